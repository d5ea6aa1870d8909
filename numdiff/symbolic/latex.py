r"""LaTeX for the formulas and names of derived schemes, short enough for a table.

SymPy prints a formula; what is added here is judgement about what a table can hold. Exact numbers stay exact while they
are short, algebraic numbers of high degree and long fractions become decimals after an approximation sign, and an
algebraic function that has no formula gets a name: root_k(P_d) is zero k, counted from 0 at the smallest, of a
polynomial P_d of degree d that `definitions` writes down (Q_d, R_d, ... where there are others of that degree). Inside
a formula a number without a short form is a decimal behind an approximation sign. Method names such as
``GHVB3(4/5) data/log-snr`` or ``HB(AB2, beta)`` become text with the Greek letters of their symbols.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import sympy as sp

from numdiff.symbolic.intervals import CriticalRoot
from numdiff.symbolic.polynomials import to_sympy

__all__ = ["definitions", "math", "names", "short", "text"]

LONGEST = 14
"""Digits in numerator and denominator together beyond which a fraction is shown as a decimal."""

DIGITS = 6
"""Significant digits of a decimal."""

_SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_GREEK = ("alpha", "beta", "gamma", "delta", "zeta", "eta", "theta", "kappa", "lambda", "mu", "rho", "sigma", "tau")

_LETTERS = "PQRSTUVW"

Names = Mapping[sp.Lambda, str]
"""Polynomials of `CriticalRoot` and their names: P_3, Q_3, P_4, ..."""


class NamedRoot(sp.Symbol):
    """A symbol "root0(P_3)" that stands for a `CriticalRoot`."""

    def _parts(self) -> tuple[str, ...]:
        found = re.fullmatch(r"root(\d+)\((\w'*)_(\d+)\)", self.name)
        assert found is not None
        return found.groups()

    def _latex(self, printer: Any) -> str:
        return r"\operatorname{{root}}_{{{}}}({}_{{{}}})".format(*self._parts())

    def _mathml_presentation(self, printer: Any) -> Any:
        index, letter, degree = self._parts()
        row = _node(printer, "mrow", _index(printer, "root", index), _node(printer, "mo", "("))
        for node in (_index(printer, letter, degree), _node(printer, "mo", ")")):
            row.appendChild(node)
        return row


class Decimal(sp.Symbol):
    """A symbol "≈0.3583" that stands for a number without a short form."""

    def _latex(self, printer: Any) -> str:
        return rf"{{\approx}}{self.name[1:]}"

    def _mathml_presentation(self, printer: Any) -> Any:
        return _node(printer, "mrow", _node(printer, "mo", "\N{ALMOST EQUAL TO}"), _node(printer, "mn", self.name[1:]))


def _index(printer: Any, letter: str, index: str) -> Any:
    return _node(printer, "msub", _node(printer, "mi", letter), _node(printer, "mn", index))


def _node(printer: Any, tag: str, *content: Any) -> Any:
    node = printer.dom.createElement(tag)
    for part in content:
        node.appendChild(printer.dom.createTextNode(part) if isinstance(part, str) else part)
    return node


def names(values: Iterable[Any]) -> dict[sp.Lambda, str]:
    """Return the polynomials of the critical roots in some expressions, in order, and their names.

    Parameters
    ----------
    values
        SymPy expressions.

    Returns
    -------
    dict
        Names by polynomial.

    Examples
    --------
    >>> import sympy as sp
    >>> from numdiff.symbolic import intervals, latex
    >>> X, beta = sp.symbols("X beta")
    >>> root = intervals.CriticalRoot(0, sp.Lambda(X, X**3 + beta * X - 1))
    >>> list(latex.names([root]).values())
    ['P_3']
    """
    found: dict[sp.Lambda, str] = {}
    for value in values:
        for part in sp.preorder_traversal(value) if isinstance(value, sp.Basic) and value.has(CriticalRoot) else ():
            if isinstance(part, CriticalRoot) and part.args[1] not in found:
                degree = _degree(part.args[1])
                before = sum(name.endswith(f"_{degree}") for name in found.values())
                found[part.args[1]] = f"{_LETTERS[before % 8]}{chr(39) * (before // 8)}_{degree}"
    return found


def definitions(values: Iterable[Any]) -> list[tuple[sp.Eq, str]]:
    """Return what the names in some expressions mean: the equation P_3(X) = ..., and words on its zeros.

    In the words, mathematics stands between backticks.

    Parameters
    ----------
    values
        SymPy expressions.

    Returns
    -------
    list
        Pairs of an equation and words.

    Examples
    --------
    >>> import sympy as sp
    >>> from numdiff.symbolic import intervals, latex
    >>> X, beta = sp.symbols("X beta")
    >>> root = intervals.CriticalRoot(0, sp.Lambda(X, X**3 + beta * X - 1))
    >>> equation, words = latex.definitions([root])[0]
    >>> equation.rhs
    X**3 + X*beta - 1
    """
    values = [value for value in values if isinstance(value, sp.Basic)]
    indices: dict[Any, set[int]] = {}
    for root in set[Any]().union(*(value.atoms(CriticalRoot) for value in values)):
        indices.setdefault(root.args[1], set()).add(int(root.args[0]))
    return [
        (_definition(polynomial, name), "; ".join(f"`root{k}` is {_which(k)}" for k in sorted(indices[polynomial])))
        for polynomial, name in names(values).items()
    ]


def _definition(polynomial: sp.Lambda, name: str) -> sp.Eq:
    (x,) = polynomial.variables
    return sp.Eq(sp.Function(name)(x), sp.collect(sp.expand(polynomial.expr), x), evaluate=False)


def _which(k: int) -> str:
    return "its smallest real zero" if k == 0 else f"its real zero number {k}, counted from 0 at the smallest"


def short(value: Any, known: Names | None = None) -> Any:
    """Return an expression with critical roots as names, and numbers without a short form inside it as decimals.

    Parameters
    ----------
    value
        Any SymPy object.
    known
        From `names`; without it names are those of `value` alone.

    Returns
    -------
    object
        Of SymPy.

    Examples
    --------
    >>> import sympy as sp
    >>> from numdiff.symbolic import intervals, latex
    >>> X, beta = sp.symbols("X beta")
    >>> latex.short(2 * intervals.CriticalRoot(0, sp.Lambda(X, X**3 + beta * X - 1)))
    2*root0(P_3)
    """
    known = names([value]) if known is None else known
    roots = {root: NamedRoot(f"root{root.args[0]}({known[root.args[1]]})") for root in value.atoms(CriticalRoot)}
    return _rounded(value.xreplace(roots) if roots else value)


def _rounded(value: Any) -> Any:
    """Return an expression with its algebraic numbers of high degree as decimals."""
    if not value.has(sp.CRootOf):
        return value
    if value.is_number:
        return Decimal(f"\N{ALMOST EQUAL TO}{float(value):.{DIGITS}g}", real=True)
    if value.is_Add or value.is_Mul:
        number, rest = value.as_independent(*value.free_symbols, as_Add=value.is_Add)
        return value.func(_rounded(number), _rounded(rest))
    if isinstance(value, sp.Piecewise):
        return sp.Piecewise(*((_rounded(part), _rounded(when)) for part, when in value.args), evaluate=False)
    return value.func(*map(_rounded, value.args))


def math(value: Any, known: Names | None = None) -> str:
    r"""Return a number or formula as LaTeX, without dollar signs; a dash for None and for nan.

    Critical roots have the names in `known`, or those of `value` alone.

    Parameters
    ----------
    value
        A number, a SymPy expression, or None.
    known
        From `names`.

    Returns
    -------
    str

    Raises
    ------
    TypeError
        If `value` is no number or SymPy expression.

    Examples
    --------
    >>> import sympy as sp
    >>> from numdiff.symbolic import latex
    >>> print(latex.math(sp.sqrt(2) / 3))
    \frac{\sqrt{2}}{3}
    >>> print(latex.math(sp.Rational(123456789, 1000000007)))           # too long for a table
    \approx 0.123457
    """
    if value is None or value is sp.nan:
        return "-"
    expression = to_sympy(value, "value")
    if expression.is_number:
        return _number(expression)
    return str(sp.latex(short(expression, known)))


def text(name: str) -> str:
    r"""Return a name as LaTeX text, special characters escaped and Greek names in mathematics.

    Parameters
    ----------
    name
        Any text.

    Returns
    -------
    str

    Examples
    --------
    >>> from numdiff.symbolic import latex
    >>> print(latex.text("HB(AB2, beta)"), latex.text("my_method"))
    HB(AB2, $\beta$) my\_method
    """
    escaped = "".join(_SPECIAL.get(c, "\\" + c if c in "&%$#_{}" else c) for c in name)
    return re.sub(rf"\b({'|'.join(_GREEK)})\b", r"$\\\1$", escaped)


def _number(expression: sp.Expr) -> str:
    if expression.is_Rational:
        fits = len(str(expression.p)) + len(str(expression.q)) <= LONGEST
    else:
        fits = not expression.has(sp.CRootOf) and sp.count_ops(expression) <= LONGEST
    return str(sp.latex(expression)) if fits else rf"\approx {sp.latex(sp.N(expression, DIGITS))}"


def _degree(polynomial: sp.Lambda) -> int:
    return int(sp.degree(polynomial.expr, polynomial.variables[0]))
