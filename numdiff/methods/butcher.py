"""Explicit Runge-Kutta methods as exact Butcher arrays, of any order.

Orders 1 to 4 are the classical ones, by name. Higher orders come from Gragg's midpoint rule with extrapolation: n
substeps (n even) of

::

    eta_1 = eta_0 + h_n f(eta_0),    eta_{i+1} = eta_{i-1} + 2 h_n f(eta_i),    h_n = h/n

have an error expansion in even powers of h_n, so combining n = 2, 4, ..., 2m by Aitken-Neville gives order 2m. All of
it is one explicit Runge-Kutta method whose coefficients follow in exact arithmetic; its first evaluation is shared.

**Strong stability.** SSP methods are convex combinations of Euler steps: SSPRK2 (which is Heun's method), SSPRK3 of Shu
and Osher, and the four-stage SSPRK(4,3), whose Euler steps may be twice as long.

Sources: Hairer, Norsett, Wanner, Solving ODEs I, II.1 and II.9; Ralston, Math. Comp. 16 (1962); van der Houwen,
Construction of integration formulas (1977); Shu and Osher, J. Comput. Phys. 77 (1988); Gottlieb, Ketcheson, Shu, Strong
stability preserving methods (2011).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache, cached_property
from typing import Any

__all__ = [
    "EULER",
    "HEUN",
    "HEUN3",
    "KUTTA3",
    "KUTTA38",
    "MIDPOINT",
    "RALSTON",
    "RALSTON3",
    "RK4",
    "SSPRK3",
    "SSPRK43",
    "VAN_DER_HOUWEN3",
    "Butcher",
    "extrapolated",
    "of_order",
    "two_stage",
]

Q = Fraction


@dataclass(frozen=True)
class Butcher:
    """An explicit Runge-Kutta method as its exact Butcher array; c is the row sums of A.

    Parameters
    ----------
    A
        The s rows of s Fractions, strictly lower triangular.
    b
        The s weights.
    order
        Its order, taken on trust here; ``nd.order.certified`` proves it.

    Examples
    --------
    >>> import numdiff as nd
    >>> array = nd.RK4().coefficients()
    >>> print(*array.b, "|", *array.c)
    1/6 1/3 1/3 1/6 | 0 1/2 1/2 1
    >>> array.order
    4
    """

    A: tuple[tuple[Fraction, ...], ...]
    b: tuple[Fraction, ...]
    order: int

    @cached_property
    def c(self) -> tuple[Fraction, ...]:
        """Abscissae, the row sums of A."""
        return tuple(sum(row, Q(0)) for row in self.A)

    def in_floats(self) -> Butcher:
        """Return the method in floats, for runs."""
        return self._floats

    @cached_property
    def _floats(self) -> Butcher:
        A: Any = tuple(tuple(map(float, row)) for row in self.A)
        b: Any = tuple(map(float, self.b))
        rounded = Butcher(A, b, self.order)
        rounded.__dict__["c"] = tuple(map(float, self.c))  # each rounded once: sums of floats may miss 1
        return rounded


def _square(rows: list[list[Fraction]]) -> tuple[tuple[Fraction, ...], ...]:
    return tuple(tuple(row) + (Q(0),) * (len(rows) - len(row)) for row in rows)


def two_stage(theta: Fraction) -> Butcher:
    """Return the second-order method with abscissa `theta`: 1/2 midpoint, 2/3 Ralston, 1 Heun.

    Parameters
    ----------
    theta
        The second abscissa, a Fraction other than 0.

    Returns
    -------
    Butcher
        The array.

    Examples
    --------
    >>> from fractions import Fraction
    >>> from numdiff.methods.butcher import HEUN, two_stage
    >>> two_stage(Fraction(1)) == HEUN
    True
    >>> print(*two_stage(Fraction(2, 3)).b)
    1/4 3/4
    """
    return Butcher(_square([[], [theta]]), (1 - 1 / (2 * theta), 1 / (2 * theta)), 2)


EULER = Butcher(_square([[]]), (Q(1),), 1)
MIDPOINT, RALSTON, HEUN = (two_stage(theta) for theta in (Q(1, 2), Q(2, 3), Q(1)))
KUTTA3 = Butcher(_square([[], [Q(1, 2)], [Q(-1), Q(2)]]), (Q(1, 6), Q(2, 3), Q(1, 6)), 3)
RALSTON3 = Butcher(_square([[], [Q(1, 2)], [Q(0), Q(3, 4)]]), (Q(2, 9), Q(1, 3), Q(4, 9)), 3)
HEUN3 = Butcher(_square([[], [Q(1, 3)], [Q(0), Q(2, 3)]]), (Q(1, 4), Q(0), Q(3, 4)), 3)
VAN_DER_HOUWEN3 = Butcher(_square([[], [Q(8, 15)], [Q(1, 4), Q(5, 12)]]), (Q(1, 4), Q(0), Q(3, 4)), 3)
SSPRK3 = Butcher(_square([[], [Q(1)], [Q(1, 4), Q(1, 4)]]), (Q(1, 6), Q(1, 6), Q(2, 3)), 3)
SSPRK43 = Butcher(
    _square([[], [Q(1, 2)], [Q(1, 2), Q(1, 2)], [Q(1, 6), Q(1, 6), Q(1, 6)]]), (Q(1, 6), Q(1, 6), Q(1, 6), Q(1, 2)), 3
)
RK4 = Butcher(_square([[], [Q(1, 2)], [Q(0), Q(1, 2)], [Q(0), Q(0), Q(1)]]), (Q(1, 6), Q(1, 3), Q(1, 3), Q(1, 6)), 4)
KUTTA38 = Butcher(
    _square([[], [Q(1, 3)], [Q(-1, 3), Q(1)], [Q(1), Q(-1), Q(1)]]), (Q(1, 8), Q(3, 8), Q(3, 8), Q(1, 8)), 4
)


def neville(counts: list[int]) -> list[Fraction]:
    """Return the weights that extrapolate values with expansions in (1/n)^2 at n in `counts` to 1/n = 0."""
    weights = []
    for n in counts:
        w = Q(1)
        for other in counts:
            if other != n:
                w *= Q(n * n, n * n - other * other)
        weights.append(w)
    return weights


@cache
def extrapolated(m: int) -> Butcher:
    """Return the extrapolated midpoint method of order 2 m, with m (m + 1) - m + 1 stages.

    Parameters
    ----------
    m
        Half the order, at least 1.

    Returns
    -------
    Butcher
        The array, cached.

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.methods.butcher import extrapolated
    >>> nd.order.certified(nd.RungeKutta(extrapolated(2), "GBS4")), len(extrapolated(2).b)
    (4, 5)
    """
    counts = [2 * (j + 1) for j in range(m)]
    rows: list[list[Fraction]] = [[]]
    b = [Q(0)]
    for n, weight in zip(counts, neville(counts), strict=True):
        previous, value, stage = [Q(0)] * len(rows), [Q(1, n)], 0
        for _ in range(1, n):
            rows.append(value)
            stage, length = len(rows) - 1, len(rows)
            b.append(Q(0))
            step = [*previous, *[Q(0)] * (length - len(previous))]
            step[stage] += Q(2, n)
            previous, value = value, step
        b = [x + weight * (value[i] if i < len(value) else 0) for i, x in enumerate(b)]
    return Butcher(_square(rows), tuple(b), 2 * m)


def of_order(order: int) -> Butcher:
    """Return an explicit method of at least this order: classical up to 4, extrapolated above.

    Parameters
    ----------
    order
        At least 1.

    Returns
    -------
    Butcher
        The array; from order 5 on it has an even order.

    Examples
    --------
    >>> from numdiff.methods.butcher import of_order
    >>> [(order, len(of_order(order).b)) for order in (1, 2, 3, 4, 6, 8)]
    [(1, 1), (2, 2), (3, 3), (4, 4), (6, 10), (8, 17)]
    """
    classical = {1: EULER, 2: HEUN, 3: KUTTA3, 4: RK4}
    return classical[order] if order in classical else extrapolated((order + 1) // 2)
