r"""Positivity of a polynomial on a box, with a certificate.

A polynomial p(x_1, ..., x_n) keeps one sign on an open box if, after each side is mapped onto (0, oo),

    x = (a + b s)/(1 + s),    a < x < b  <=>  0 < s < oo        (x = a + s where b is infinite),

and p is multiplied by the powers of 1 + s that clear the denominators, no two coefficients in s differ in sign: every
monomial is positive there. The coefficients are those of the Bernstein form up to positive factors. Where signs are
mixed, the box is cut in two at s = 1 and each part, and the face between them, has to pass: p > 0 on the face and on
both open parts is p > 0 on the box. A coefficient at a corner is the value of p there (up to a positive factor), so a
wrong sign at a corner ends the search at once.

All arithmetic is in integers. A verdict is a proof; the absence of one proves nothing.

Sources: Polya's theorem and Bernstein certificates, for example Powers and Reznick, Polynomials that are positive on an
interval, Trans. AMS 352 (2000).
"""

from __future__ import annotations

from collections.abc import Mapping
from math import comb
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

Box = Mapping[sp.Symbol, tuple[Any, Any]]
"""Open intervals (low, high) by symbol, rational; high may be oo."""

DEPTH = 12
"""How many times a box is cut in two on the way to a part; 12 cuts of three sides leave sixteenths."""


def sign_on(polynomial: sp.Poly, box: Box, *, depth: int = DEPTH) -> int:
    """Return 1 or -1 if the polynomial provably has that sign everywhere on the open box, 0 if no proof was found.

    Parameters
    ----------
    polynomial
        Rational coefficients; every variable has a side in `box`.
    box
        Open intervals, which may be unbounded above.
    depth
        How often the box may be cut.

    Raises
    ------
    ValueError
        For a variable without a side, or an empty side.
    """
    array = _on_orthant(polynomial, box)
    value = array.sum()  # at s = 1
    sign = (value > 0) - (value < 0)
    return sign if sign and _positive(np.asarray(sign * array, dtype=object), depth) else 0


def _on_orthant(polynomial: sp.Poly, box: Box) -> NDArray[Any]:
    """Return the integer coefficients of the polynomial in the variables s, one axis each."""
    _, polynomial = polynomial.clear_denoms(convert=True)
    degrees = [max(polynomial.degree(x), 0) for x in polynomial.gens]
    array = np.zeros([d + 1 for d in degrees], dtype=object)
    for power, value in polynomial.terms():
        array[power] = int(value)
    for axis, (x, degree) in enumerate(zip(polynomial.gens, degrees, strict=True)):
        if x not in box:
            raise ValueError(f"{x} has no side in the box; give (low, high) for it")
        array = _apply(_moebius(*box[x], degree), array, axis)
    return array


def _moebius(low: Any, high: Any, degree: int) -> list[list[int]]:
    """Return row k: the coefficients in s of x^k, cleared of denominators that are positive."""
    if not low < high:
        raise ValueError(f"a side of a box needs low < high, got ({low}, {high})")
    if high is sp.oo:
        p, q = sp.Rational(low).p, sp.Rational(low).q
        numerator, denominator = (p, q), (q, 0)
    else:
        low, high = sp.Rational(low), sp.Rational(high)
        common = int(sp.ilcm(low.q, high.q))
        numerator, denominator = (int(low * common), int(high * common)), (common, common)
    return [_times(_power(*numerator, k), _power(*denominator, degree - k), degree) for k in range(degree + 1)]


def _power(a: int, b: int, k: int) -> list[int]:
    """Return the coefficients of (a + b s)^k."""
    return [comb(k, j) * a ** (k - j) * b**j for j in range(k + 1)]


def _times(f: list[int], g: list[int], degree: int) -> list[int]:
    out = [0] * (degree + 1)
    for i, x in enumerate(f):
        for j, y in enumerate(g):
            out[i + j] += x * y
    return out


def _apply(rows: list[list[int]], array: NDArray[Any], axis: int) -> NDArray[Any]:
    """Replace index k of an axis by sum_k rows[k][j] array[k]."""
    return np.moveaxis(np.tensordot(np.array(rows, dtype=object).T, array, axes=(1, axis)), 0, axis)


def _positive(array: NDArray[Any], depth: int) -> bool:
    """Decide p > 0 on the open orthant, as far as `depth` cuts can tell."""
    if not (array < 0).any():
        return bool((array > 0).any())
    corners = array[tuple(slice(None, None, max(n - 1, 1)) for n in array.shape)]
    if depth == 0 or (corners < 0).any() or array.sum() <= 0:
        return False
    axis = _next_axis(array, depth)
    degree = array.shape[axis] - 1
    lower = [_times([0] * k + [1], _power(1, 1, degree - k), degree) for k in range(degree + 1)]
    upper = [_times(_power(1, 1, k), [1], degree) for k in range(degree + 1)]
    return (
        _positive(np.asarray(array.sum(axis=axis), dtype=object), depth)
        and _positive(_apply(lower, array, axis), depth - 1)
        and _positive(_apply(upper, array, axis), depth - 1)
    )


def _next_axis(array: NDArray[Any], depth: int) -> int:
    """Return the axis to cut: they take turns, those of degree 0 left out."""
    axes = [k for k, n in enumerate(array.shape) if n > 1]
    return axes[depth % len(axes)]
