"""Steps given in floating point: the exact step that is meant, or else whether the rounding decides.

A consistent step has a root 1 at z = 0, and along the imaginary axis that root leaves the circle slowly: |zeta|^2 = 1 +
c y^4 for AB3. The rounding of its weights adds a term of size 1e-16 y^2, which wins next to 0, so the rational numbers
that floats are may have no stable interval where the step that was meant has one. Hence two readings:

- `as_meant`: every float is the fraction with a small denominator next to it (1.9166666666666667 is 23/12), if each has
  one that close;
- `is_decided`: else the floats as they are, as long as no change of the coefficients by `CHANGE` moves a root of the
  stability polynomial across the circle.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import sympy as sp

from numdiff.symbolic.polynomials import to_fraction, to_sympy
from numdiff.symbolic.rootcondition import Gaussian
from numdiff.tableau import Tableau

__all__ = ["as_meant", "is_decided"]

DENOMINATOR = 10**6
"""Largest denominator of a fraction that is meant, for a number of size 1. The denominators of Adams-Bashforth weights
up to order 8 are 120960 at most, and one random float in two thousand has such a fraction next to it."""

NEXT = Fraction(1, 2**50)
"""Relative distance to that fraction (absolute below 1): a few roundings."""

CHANGE = 1e-6
"""Relative change of the coefficients that must not matter: what rounding to float32 along the way leaves of them."""

ANGLES = np.exp(2j * np.pi * np.arange(128) / 128)


def as_meant(tableau: Tableau) -> tuple[Tableau, bool]:
    """Return the step with every float read as the fraction meant, and whether all of them could be.

    Parameters
    ----------
    tableau
        A steady step; entries of any kind.

    Returns
    -------
    tuple
        The step itself where nothing is a float, or some float has no fraction next to it.

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.symbolic.rounded import as_meant
    >>> step, exact = as_meant(nd.AdamsBashforth(3).steady().to_float())
    >>> step.B[0], exact
    ((Fraction(23, 12),), True)
    """
    given = {name: getattr(tableau, name) for name in "AUBV"}
    if not any(_inexact(x) for rows in given.values() for row in rows for x in row):
        return tableau, True
    read = {name: tuple(tuple(map(_fraction, row)) for row in rows) for name, rows in given.items()}
    if any(x is None for rows in read.values() for row in rows for x in row):
        return tableau, False
    return tableau.replace(**read), True


def _inexact(x: Any) -> bool:
    return x.has(sp.Float) if isinstance(x, sp.Basic) else not isinstance(x, (int, Fraction))


def _fraction(x: Any) -> Any:
    """Return an entry without floats, or None."""
    if not _inexact(x):
        return x
    if not isinstance(x, sp.Basic):
        return _next_to(to_fraction(to_sympy(x)))
    found = {f: _next_to(Fraction(float(f))) for f in x.atoms(sp.Float)}
    return None if None in found.values() else x.xreplace({f: to_sympy(value) for f, value in found.items()})


def _next_to(x: Fraction) -> Fraction | None:
    """Return the fraction with a small denominator next to x; a larger number is rounded more, so leaves fewer."""
    size = max(1.0, abs(float(x)))
    meant = x.limit_denominator(max(1, int(DENOMINATOR / size**0.5)))
    return meant if abs(meant - x) <= NEXT * Fraction(size) else None


def is_decided(p: Sequence[Gaussian]) -> bool:
    """Tell whether p has as many roots in the unit disc as all polynomials with coefficients next to its own.

    By Rouché's theorem that holds where the changes, at most `CHANGE` times the sum of |p_k|, stay below |p| on the
    whole circle. |p| is looked at where it can be small, at the angles of its roots, and at others between.

    Parameters
    ----------
    p
        Coefficients, lowest power first, as pairs of rationals (real, imaginary).

    Returns
    -------
    bool

    Examples
    --------
    >>> from fractions import Fraction
    >>> from numdiff.symbolic.rounded import is_decided
    >>> one, half = (Fraction(1), Fraction(0)), (Fraction(1, 2), Fraction(0))
    >>> is_decided([half, one]), is_decided([one, one])        # a root at -1/2; one at -1, on the circle
    (True, False)
    """
    largest = max(abs(part) for c in p for part in c)
    scaled = np.array([complex(float(a / largest), float(b / largest)) for a, b in p])
    roots = np.roots(scaled[::-1])
    roots = roots[roots != 0]
    circle = np.concatenate([ANGLES, roots / np.abs(roots)])
    return bool(np.abs(np.polyval(scaled[::-1], circle)).min() > CHANGE * np.abs(scaled).sum())
