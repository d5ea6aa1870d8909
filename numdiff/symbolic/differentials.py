r"""Rooted trees in writing: elementary differentials and bracket notation, as text and as LaTeX.

Every rooted tree t = [t_1, ..., t_m] stands for one term in the derivatives of a solution of x' = f(x), its elementary
differential

    F([])(x) = f(x),    F(t)(x) = f^(m)(x) (F(t_1)(x), ..., F(t_m)(x)),

with the m-th derivative of f as a symmetric multilinear map. Several branches are written with the larger ones first, a
single one without parentheses: f'f''(f'f, f) is the tree [[[tau], tau]], tau the single vertex.

Sources: Butcher, Numerical Methods for Ordinary Differential Equations, section 301; Hairer, Norsett, Wanner, Solving
ODEs I, II.2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import sympy as sp

from numdiff.symbolic.trees import Tree, order_of, symmetry

__all__ = ["ElementaryDifferential", "bracket_text", "differential", "differential_text", "elementary_sum", "sum_text"]

PRIMES = 3
"""Derivatives of f up to this order are written with primes, higher ones as f^(4)."""


class ElementaryDifferential(sp.Symbol):
    """An elementary differential as a SymPy symbol, named by its text; see `differential`.

    Parameters
    ----------
    name
        The text, as of `differential_text`.
    assumptions
        Those of a SymPy symbol.

    Examples
    --------
    >>> import sympy as sp
    >>> from numdiff.symbolic import differentials
    >>> symbol = differentials.differential(((), ()))
    >>> symbol, sp.diff(symbol**2, symbol)
    (f''(f, f), 2*f''(f, f))
    """

    def _latex(self, printer: Any) -> str:
        return re.sub(r"\^\((\d+)\)", r"^{(\1)}", str(self.name))


@cache
def differential(tree: Tree) -> ElementaryDifferential:
    """Return F(tree) as a symbol that prints as f''(f'f, f) does, for expressions in elementary differentials.

    Parameters
    ----------
    tree
        A rooted tree as nested tuples, () for the single vertex.

    Returns
    -------
    ElementaryDifferential

    Examples
    --------
    >>> from numdiff.symbolic import differentials
    >>> differentials.differential((((),),)) + differentials.differential(((), ()))
    f''(f, f) + f'f'f
    """
    return ElementaryDifferential(differential_text(tree))


def differential_text(tree: Tree) -> str:
    """Return the elementary differential of a tree as text, such as ``f''(f'f, f)``.

    Parameters
    ----------
    tree
        A rooted tree as nested tuples, () for the single vertex.

    Returns
    -------
    str

    Examples
    --------
    >>> from numdiff.symbolic import differentials, trees
    >>> [differentials.differential_text(tree) for tree in trees.trees(3)]
    ["f''(f, f)", "f'f'f"]
    """
    if not tree:
        return "f"
    derivative = "f" + "'" * len(tree) if len(tree) <= PRIMES else f"f^({len(tree)})"
    if len(tree) == 1:
        return derivative + differential_text(tree[0])
    return f"{derivative}({', '.join(map(differential_text, _ordered(tree)))})"


def bracket_text(tree: Tree) -> str:
    """Return a tree in bracket notation, such as ``[[tau], tau]``.

    Parameters
    ----------
    tree
        A rooted tree as nested tuples, () for the single vertex.

    Returns
    -------
    str

    Examples
    --------
    >>> from numdiff.symbolic import differentials, trees
    >>> [differentials.bracket_text(tree) for tree in trees.trees(3)]
    ['[tau, tau]', '[[tau]]']
    """
    return f"[{', '.join(map(bracket_text, _ordered(tree)))}]" if tree else "tau"


def elementary_sum(coefficients: Mapping[Tree, sp.Expr], step: sp.Expr, shift: int = 0) -> sp.Expr:
    """Return ``sum_t coefficient(t)/sigma(t) step^{|t| - shift} F(t)``, terms in the order of the mapping.

    Parameters
    ----------
    coefficients
        Numbers or formulas by tree, in the normalisation of a B-series; zeros are left out.
    step
        The symbol of the step length.
    shift
        1 for a vector field, whose series starts with f, 0 for a map.

    Returns
    -------
    Expr

    Examples
    --------
    The Taylor expansion of the exact flow:

    >>> import sympy as sp
    >>> from numdiff.symbolic import differentials, trees
    >>> exact = {t: sp.Rational(1, trees.density(t)) for order in (1, 2, 3) for t in trees.trees(order)}
    >>> differentials.elementary_sum(exact, sp.Symbol("h"))
    f*h + f''(f, f)*h**3/6 + f'f*h**2/2 + f'f'f*h**3/6
    """
    terms = [
        value / symmetry(tree) * step ** (order_of(tree) - shift) * differential(tree)
        for tree, value in coefficients.items()
        if value != 0
    ]
    return sp.Add(*terms)


def sum_text(coefficients: Mapping[Tree, sp.Expr], shift: int = 0) -> str:
    """Return the sum of `elementary_sum` as one line of text by growing order, such as ``f - 1/2 h f'f``.

    Parameters
    ----------
    coefficients, shift
        As in `elementary_sum`.

    Returns
    -------
    str

    Examples
    --------
    >>> import sympy as sp
    >>> from numdiff.symbolic import differentials
    >>> differentials.sum_text({(): sp.Integer(1), ((),): sp.Rational(-1, 2)}, shift=1)
    "f - 1/2 h f'f"
    """
    line = ""
    for tree, value in coefficients.items():
        if value == 0:
            continue
        power = order_of(tree) - shift
        factor, negative = _signed(value / symmetry(tree))
        parts = [factor, {0: "", 1: "h"}.get(power, f"h^{power}"), differential_text(tree)]
        line += (" - " if negative else " + ") + " ".join(part for part in parts if part)
    return line.replace(" + ", "", 1) if line.startswith(" + ") else line.replace(" - ", "-", 1) or "0"


def _signed(value: sp.Expr) -> tuple[str, bool]:
    """Return a coefficient without its leading minus sign, as text ("" for 1), and whether there was one."""
    negative = bool(value.could_extract_minus_sign())
    text = str(-value if negative else value)
    return ("" if text == "1" else f"({text})" if (-value if negative else value).is_Add else text), negative


def _ordered(tree: Tree) -> list[Tree]:
    """Return the branches, larger ones first."""
    return sorted(tree, key=lambda branch: (-order_of(branch), branch))
