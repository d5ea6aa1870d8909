"""Exact expressions written down once, as text, LaTeX and MathML, so that tables need not derive anything again.

MathML is typeset by browsers themselves. SymPy prints it, with three changes: fractions keep their factors, 6(2 -
beta)/(12 - beta), where SymPy multiplies a number into a sum; a piecewise function is a list of its pieces; and numbers
or algebraic functions without a short formula become a decimal or a name (`numdiff.symbolic.latex`), which `roots`
explains.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

MINUS = "<mo>&#8722;</mo>"
APPROXIMATELY = "<mo>&#8776;</mo>"

LONGEST = 32
"""Characters of an exact number beyond which a decimal is shown."""

DIGITS = 6
"""Significant digits of a decimal."""


def expression(value: Any, names: Any = None) -> dict[str, Any] | None:
    """Return a SymPy expression as plain data: short text, exact text, float (None with symbols), LaTeX and MathML.

    The exact text is None where only a decimal is known. `names` are those of `numdiff.symbolic.latex.names`; without
    them algebraic functions are named as if the expression stood alone.
    """
    if value is None:
        return None
    import sympy as sp

    from numdiff.symbolic import latex

    return {
        "text": text(value, names),
        "exact": None if value.has(sp.Float) else sp.sstr(value),
        "float": float(value) if value.is_number and value.is_finite else None,
        "latex": latex.math(value, names),
        "mathml": f"<math>{APPROXIMATELY if value.has(sp.Float) else ''}{mathml(short(value, names))}</math>",
    }


def measured(value: Any) -> Any:
    """Return a number that was found in decimals as a decimal, so that it does not pass for an exact fraction."""
    import sympy as sp

    if value is None or not (value.is_number and value.is_finite and value.is_nonzero):
        return value  # a formula in h is exact
    return sp.Float(float(value))


def roots(values: Iterable[Any]) -> list[str]:
    """Return sentences that say what the names of algebraic functions in some expressions mean."""
    from numdiff.answers.prose import plain
    from numdiff.symbolic import latex

    return [f"{equation.lhs} = {equation.rhs}; {plain(words)}." for equation, words in latex.definitions(values)]


def text(value: Any, names: Any = None) -> str:
    """Return an expression as one readable line."""
    import sympy as sp

    value = short(value, names)
    if isinstance(value, sp.Piecewise):
        return "; ".join(f"{part} ({_condition(when)})" for part, when in value.args)
    return f"{float(value):.{DIGITS}g}" if value.is_Float else str(value)


def short(value: Any, names: Any = None) -> Any:
    """Name algebraic functions that have no formula, and write unwieldy numbers as decimals."""
    import sympy as sp

    from numdiff.symbolic import latex

    if value.is_number and value.is_finite and (value.has(sp.CRootOf, sp.Float) or len(str(value)) > LONGEST):
        return sp.N(value, DIGITS)
    return latex.short(value, names)


def _condition(when: Any) -> str:
    import sympy as sp

    if when == sp.true:
        return "otherwise"
    sign = {sp.Le: "<=", sp.Lt: "<", sp.Eq: "="}.get(type(when))
    return f"{when.args[0]} {sign} {when.args[1]}" if sign else str(when)


def mathml(value: Any, sample: str = "1/2") -> str:
    """Return the presentation MathML of an expression, without the outer ``math`` element.

    Factors of a rational function are written so that they are positive where its symbol is `sample`: dampings lie in
    (0, 2), and the last piece of a piecewise function reaches up to 2.
    """
    import sympy as sp

    if isinstance(value, sp.Piecewise):
        return "<mtext>;&#160; </mtext>".join(
            f"<mrow>{mathml(part, '2' if when == sp.true else sample)}<mspace width='0.4em'/>{_when(when)}</mrow>"
            for part, when in value.args
        )
    if (
        isinstance(value, sp.Expr)
        and not value.is_number
        and len(value.free_symbols) == 1
        and value.is_rational_function()
    ):
        return _fraction(value, sp.Rational(sample))
    return _printed(value)


def _when(condition: Any) -> str:
    import sympy as sp

    return "<mtext>otherwise</mtext>" if condition == sp.true else f"<mtext>if&#160;</mtext>{_printed(condition)}"


def _printed(value: Any) -> str:
    from sympy.printing.mathml import mathml as printed

    return (
        str(printed(value, printer="presentation")).replace("<mo>-</mo>", MINUS).replace("<mo><</mo>", "<mo>&lt;</mo>")
    )


def _fraction(value: Any, sample: Any) -> str:
    """Return a rational function of one symbol with numerator and denominator in factors, none negative at `sample`."""
    import sympy as sp

    (symbol,) = value.free_symbols
    content, parts = sp.Integer(1), []
    for part, sign in zip(sp.fraction(sp.cancel(value)), (1, -1), strict=True):
        number, factors = sp.factor_list(part, symbol)
        turned = [(-f if f.subs(symbol, sample) < 0 else f, power) for f, power in factors]
        flips = sum(power for f, power in factors if f.subs(symbol, sample) < 0)
        content *= number**sign * (-1) ** flips
        parts.append(turned)
    minus, (top, bottom) = MINUS if content < 0 else "", parts
    if content.q == 1 and not bottom:
        return minus + _product(abs(content.p), top, bare=not minus)
    over, under = _product(abs(content.p), top), _product(content.q, bottom)
    return f"{minus}<mfrac><mrow>{over}</mrow><mrow>{under}</mrow></mfrac>"


def _product(number: int, factors: list[tuple[Any, int]], *, bare: bool = True) -> str:
    """Return a product; a single sum needs no parentheses where it stands `bare`."""
    shown = [f"<mn>{number}</mn>"] if number != 1 or not factors else []
    for factor, power in factors:
        alone = bare and len(factors) == 1 and not shown and power == 1
        body = _printed(factor)
        if factor.is_Add and not alone:
            body = f"<mrow><mo stretchy='false'>(</mo>{body}<mo stretchy='false'>)</mo></mrow>"
        shown.append(body if power == 1 else f"<msup>{body}<mn>{power}</mn></msup>")
    return "".join(shown)
