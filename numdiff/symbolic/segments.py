r"""The stable segment next to z = 0 on an axis, for numbers, as a proof.

Critical points (`numdiff.symbolic.critical`) cut the half-axis X > 0 into segments on which the number of roots outside
the unit circle is constant. Real zeros are isolated by disjoint rational intervals with gaps between them (Vincent's
theorem; no floating point), one rational point of each gap is put to Miller's exact criterion, and the interval ends
where the first segment fails.

On the imaginary axis X = y^2 and the sample point is chosen as the square of a rational y.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import isqrt
from typing import Any

import sympy as sp

from numdiff.symbolic.critical import X, on_axis
from numdiff.symbolic.polynomials import to_fraction, to_sympy
from numdiff.symbolic.rootcondition import Gaussian, satisfies_root_condition
from numdiff.symbolic.rounded import is_decided

Isolated = tuple[Fraction, Fraction, int]
"""An interval (low, high) that holds one real zero, and the position of its polynomial in the list."""


@dataclass(frozen=True)
class Endpoint:
    """Where a stable interval ends, in X.

    Parameters
    ----------
    owner
        Position in the list of the polynomial that vanishes there; None where the interval is empty, or endless.
    index
        Which of its real zeros, counted from 0 in ascending order.
    bounded
        False for an interval that never ends.
    """

    owner: int | None = None
    index: int = 0
    bounded: bool = True


def isolate(polynomials: Sequence[sp.Poly], low: Any, high: Any = None) -> list[Isolated]:
    """Return the real zeros in [low, high] of irreducible polynomials, ascending, with gaps between.

    Each polynomial's zeros are isolated by themselves; where two intervals meet, the longer one is bisected. A
    polynomial that is a multiple of an earlier one adds nothing.
    """
    integers = [_integers(p) for p in polynomials]
    zeros = []
    for owner, p in enumerate(polynomials):
        if integers[owner] not in integers[:owner]:
            zeros += [(to_fraction(a), to_fraction(b), owner) for (a, b), _ in p.intervals(inf=low, sup=high)]
    while True:
        zeros.sort()
        meeting = next((k for k, (left, right) in enumerate(pairwise(zeros)) if left[1] >= right[0]), None)
        if meeting is None:
            return zeros
        k = max(meeting, meeting + 1, key=lambda n: zeros[n][1] - zeros[n][0])
        zeros[k] = _bisected(integers[zeros[k][2]], zeros[k])


def _integers(p: sp.Poly) -> list[int]:
    """Return the coefficients of a multiple of the polynomial that are integers without a common factor."""
    primitive = p.clear_denoms(convert=True)[1].primitive()[1]
    return [int(c) * int(sp.sign(primitive.LC())) for c in primitive.all_coeffs()]


def _bisected(p: Sequence[int], zero: Isolated) -> Isolated:
    """Return the half of the interval with the zero in it, which is simple and the only one inside."""
    low, high, owner = zero
    middle = (low + high) / 2
    at_middle = _sign(p, middle)
    if at_middle == 0:
        return middle, middle, owner
    # just beyond `low` the sign is opposite to that at `high`, whether or not another zero sits at `low` itself
    at_high = _sign(p, high) or -_sign(p, low)
    return (low, middle, owner) if at_middle == at_high else (middle, high, owner)


def _sign(p: Sequence[int], x: Fraction) -> int:
    """Return the sign of an integer polynomial at a rational, in integers."""
    total, power = 0, 1
    for c in p:
        total, power = total * x.numerator + c * power, power * x.denominator
    return (total > 0) - (total < 0)


def is_stable(pi: sp.Poly, axis: str, y: Fraction) -> bool:
    """Decide the root condition at z = -y (real axis) or z = i y, exactly; rational coefficients."""
    return satisfies_root_condition(_on_axis_at(pi, axis, y))


def is_stable_rounded(pi: sp.Poly, axis: str, y: Fraction) -> bool:
    """Decide the same for coefficients that are rounded; raise ``ValueError`` where their rounding decides."""
    p = _on_axis_at(pi, axis, y)
    if not is_decided(p):
        z = -float(y) if axis == "real" else complex(0, float(y))
        raise ValueError(
            f"the coefficients of the step are floats, and at z = {z:.3g} their rounding decides whether it is stable, "
            "so that the interval is not known; pass the method itself, whose damping may be a float, or a step in "
            "exact numbers, such as fractions.Fraction(1, 3)"
        )
    return satisfies_root_condition(p)


def _on_axis_at(pi: sp.Poly, axis: str, y: Fraction) -> list[Gaussian]:
    """Return the coefficients of pi(., z), lowest power of zeta first, at z = -y or z = i y."""
    real, imaginary = on_axis(pi, axis)
    point = y if axis == "real" else y * y
    a, b = ([_at(c, point) for c in part] for part in (real, imaginary))
    return [(p, y * q) for p, q in zip(a, b, strict=True)]


def endpoint(
    pi: sp.Poly, factors: Sequence[sp.Poly], axis: str, stable: Callable[[sp.Poly, str, Fraction], bool] = is_stable
) -> Endpoint:
    """Return where the stable interval next to 0 ends.

    Parameters
    ----------
    pi
        Stability polynomial with rational coefficients.
    factors
        Coprime polynomials in X, none of them zero at 0, whose zeros contain the critical points.
    axis
        "real" or "imaginary".
    stable
        Who decides: `is_stable`, or `is_stable_rounded`.
    """
    zeros = isolate([sp.Poly(X, X), *factors], 0)[1:]
    low, last = Fraction(0), Endpoint()
    for left, right, owner in zeros:
        if not stable(pi, axis, between(low, left, axis)):
            return last
        index = int(factors[owner - 1].count_roots(sup=to_sympy(right))) - 1
        low, last = right, Endpoint(owner - 1, index)
    return Endpoint(bounded=False) if stable(pi, axis, between(low, low + 1, axis)) else last


def between(low: Fraction, high: Fraction, axis: str) -> Fraction:
    """Return a rational y with low < X < high for X = y (real axis) or X = y^2."""
    middle = (low + high) / 2
    if axis == "real":
        return middle
    scale = 16
    while True:
        y = Fraction(isqrt(middle.numerator * scale**2 // middle.denominator), scale)
        if low < y * y < high:
            return y
        scale *= 16


def _at(polynomial: sp.Poly, point: Fraction) -> Fraction:
    total = Fraction(0)
    for c in polynomial.all_coeffs():
        total = total * point + to_fraction(c)
    return total
