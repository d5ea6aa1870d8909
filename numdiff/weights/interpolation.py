"""Formula (*): weights that integrate the interpolant against an exponential kernel; see `numdiff.weights`."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from math import factorial, prod
from typing import Any

from numdiff.elementary import Number, kind
from numdiff.phi import phis

__all__ = [
    "INEXACT",
    "MAX_ORDER",
    "Vector",
    "adams",
    "exact",
    "interpolatory",
    "lagrange",
    "moments",
    "tidy",
    "to_float",
]

Vector = Sequence[Number]

MAX_ORDER = 8
"""Highest order of a multistep method; (*) needs phi_1 ... phi_order."""

INEXACT = ("float", "numpy", "torch", "traced")
"""Kinds of numbers that rationals are turned into floats for."""


def exact(x: Number) -> Number:
    """Return an int as a Fraction, so that division stays exact; anything else as it is."""
    return Fraction(x) if isinstance(x, int) else x


def lagrange(nodes: Vector) -> list[list[Number]]:
    """Return the Lagrange basis on `nodes`.

    Parameters
    ----------
    nodes
        k distinct numbers of any kind.

    Returns
    -------
    list of lists
        Row j holds the k coefficients of l_j, lowest power first.

    Examples
    --------
    >>> from numdiff.weights import lagrange
    >>> for row in lagrange([0, -1]):
    ...     print(*row)  # 1 + u and -u
    1 1
    0 -1
    """
    nodes = [exact(u) for u in nodes]
    rows = []
    for j, u_j in enumerate(nodes):
        others = [u_i for i, u_i in enumerate(nodes) if i != j]
        row: list[Number] = [1]
        for u_i in others:
            row = [-u_i * row[0], *[a - u_i * b for a, b in pairwise(row)], row[-1]]
        gaps = prod([u_j - u_i for u_i in others])
        rows.append([x / gaps for x in row])
    return rows


@lru_cache(maxsize=256)
def _lagrange_on_rationals(nodes: tuple[int | Fraction, ...], floats: bool) -> list[list[Number]]:
    rows = lagrange(nodes)
    return [[float(x) for x in row] for row in rows] if floats else rows


def moments(h: Number, c: Number, count: int) -> list[Number]:
    """Return mu_m in units of the step, int_0^h e^{c(h-u)} (u/h)^m du = m! h phi_{m+1}(c h), for m < `count`.

    Parameters
    ----------
    h
        Signed step length.
    c
        Kernel exponent; an exact 0 keeps rationals exact.
    count
        How many.

    Returns
    -------
    list
        `count` numbers of the kind of `h`.

    Examples
    --------
    >>> from fractions import Fraction
    >>> from numdiff.weights import moments
    >>> print(*moments(Fraction(1, 2), 0, 3))  # h/(m + 1)
    1/2 1/4 1/6
    >>> [round(mu, 6) for mu in moments(0.5, -1, 2)]
    [0.393469, 0.213061]
    """
    if kind(c) == "exact" and c == 0:
        return [h * Fraction(1, m + 1) if kind(h) in ("exact", "sympy") else h / (m + 1) for m in range(count)]
    return [factorial(m) * h * value for m, value in enumerate(phis(count + 1, c * h)[1:])] if count else []


def interpolatory(nodes: Vector, mu: Vector) -> list[Number]:
    """Return the weights sum_m l_jm mu_m of formula (*) for the moments `mu` (at least as many as nodes).

    Parameters
    ----------
    nodes
        Distinct interpolation nodes, the present one 0, in units of the step.
    mu
        Moments of the kernel in the same units, as from `moments`.

    Returns
    -------
    list
        One weight for each node.

    Examples
    --------
    >>> from numdiff.weights import interpolatory, moments
    >>> print(*interpolatory([0, -1], moments(1, 0, 2)))
    3/2 -1/2
    """
    if len(nodes) == 1:
        return [mu[0]]
    rational = all(type(u) in (int, Fraction) for u in nodes)
    basis = _lagrange_on_rationals(tuple(nodes), kind(mu[0]) in INEXACT) if rational else lagrange(nodes)
    return [sum([a * m for a, m in zip(row, mu, strict=False)]) for row in basis]


def adams(nodes: Vector, h: Number, c: Number = 0) -> list[Number]:
    """Return int_0^h e^{c(h-u)} l_j(u) du for every node: formula (*) in absolute units.

    Parameters
    ----------
    nodes
        Interpolation nodes relative to the present one, distinct, in the same units as `h`.
    h
        Signed step length, not zero.
    c
        Kernel exponent: 0 for ratio and time variables, -1 and +1 for data and noise prediction in log-SNR.

    Returns
    -------
    list
        One weight for each node; exact rationals stay exact where c = 0.

    Examples
    --------
    >>> from numdiff.weights import adams
    >>> print(*adams([0, -1, -2], 1))
    23/12 -4/3 5/12
    >>> print(*adams([1, 0, -1], 1))  # a corrector has the new node as well: Adams-Moulton
    5/12 2/3 -1/12
    """
    h = exact(h)
    return interpolatory([u / h for u in nodes], moments(h, c, len(nodes)))


def to_float(x: Number) -> Number:
    """Return an exact number as a float, since a Fraction and a tensor do not mix; anything else as it is."""
    return float(x) if kind(x) == "exact" else x


def tidy(row: Vector) -> list[Number]:
    """Bring SymPy expressions to lowest terms."""
    if all(kind(x) != "sympy" for x in row):
        return list(row)
    try:
        field = _field([x for x in row if kind(x) == "sympy"])
        return [field.to_sympy(field.from_sympy(x)) if kind(x) == "sympy" else x for x in row]
    except ValueError:  # roots, decimals, exponentials: more relations than those of a rational function
        return [x.cancel() if kind(x) == "sympy" else x for x in row]


def _field(expressions: Vector) -> Any:
    """Return the field of rational functions in the symbols and phis of expressions, where arithmetic is fast."""
    import sympy

    atoms = set().union(*(x.free_symbols | x.atoms(sympy.Function) for x in expressions))
    if not atoms or any(isinstance(x, sympy.exp) for x in atoms) or any(x.has(sympy.Float) for x in expressions):
        raise ValueError
    return sympy.ZZ.frac_field(*sorted(atoms, key=str))
