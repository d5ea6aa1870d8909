r"""A certificate that z is a stationary point, from one fresh evaluation and nothing the optimizer remembers.

A feasible z is a first-order (KKT) point of F = value + sum r^2 + sum |a_i| over matrix @ z >= bounds when there are
w_i in [-1, 1] with w_i = sign(a_i) off the kinks, and mu >= 0 that vanish off the constraints met, such that

    rho = gradient + 2 r^T J + A^T w - matrix^T mu = 0.

In floating point no a_i is exactly 0 and no threshold says which |a_i| are "at" their kink. So none is used: writing
w_i = sign(a_i) (1 - v_i), every pair (v, mu) >= 0 leaves a stationarity residual rho and a complementarity gap

    gap = sum_i (|a_i| - w_i a_i) + sum_k mu_k s_k = sum_i |a_i| v_i + sum_k mu_k s_k,      s = matrix @ z - bounds,

which is what F could still lose through the terms taken to be at their kinks (for convex F on the window: F exceeds
its minimum by at most gap + rho^T (z - minimizer)). The multipliers are those for which both together are smallest, by
nonnegative least squares. A kink missed by 1e-9 costs 1e-9 of the gap and one missed by 0.1 costs 0.1; a multiplier of
the wrong sign cannot be chosen and leaves its weight in rho. Whoever finds multipliers with both small has proved the
point, however they were found.

**Scales.** l_j is the length over which z_j counts: the mean finite step for a log-SNR (1 where no step is finite), the
width of its box for a parameter. With

    S = |F| + 10^-3 max_j l_j (|gradient_j| + sum_i 2 |J_ij| (|r_i| + |J_ij| l_j) + sum_i |A_ij|)

the numbers reported are

    stationarity = max_j l_j |rho_j| / S,   complementarity = gap / S,   feasibility = max_k (-s_k)+ / (|matrix| l)_k,

none of which changes when F is multiplied by a constant or z (with its window) by another. All three must be at most
the tolerance. The second part of S, what F could change over a typical length, is for objectives whose minimum is 0. S
vanishes with F only for a smooth value whose minimum is 0 with gradient 0; write such an objective as
residuals. Reference: Nocedal and Wright, Numerical Optimization, 2nd ed., Section 12.3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import lsq_linear, nnls

from numdiff.optimize.problem import Parts, Problem
from numdiff.optimize.window import Window

Array = NDArray[np.float64]

# Terms further than this (in units of S or of their row) from their kink or constraint are not offered a multiplier:
# one would cost a complementarity of the same size. It saves time and decides nothing.
_OFFERED = 1e-3
_SHARE = 1e-3


@dataclass(frozen=True, eq=False)
class Certificate:
    """How nearly a point satisfies the first-order conditions; scales in `numdiff.optimize.search.certificate`.

    Parameters
    ----------
    stationarity
        What is left of the gradient after the multipliers, scaled; inf where the objective cannot be evaluated.
    complementarity
        What the objective could still lose through terms taken to be at their kink and constraints taken to be met,
        scaled; inf likewise.
    feasibility
        By how much the worst constraint is missed, scaled; 0 inside; inf likewise.
    kinks
        Indices of the absolute terms at their kink, those with ``|w| < 1``.
    kink_multipliers
        w, shape (q,).
    active
        Indices of the constraints with a positive multiplier.
    multipliers
        mu, shape (constraints,).
    tolerance
        What the three were compared with.

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> class Even:  # the sum of the squares of the steps
    ...     window = nd.optimize.Window(0.0, 4.0, 4, np.full(4, 0.1))
    ...     def evaluate(self, z):
    ...         slopes = np.eye(4, 3) - np.eye(4, 3, -1)
    ...         return nd.optimize.Parts(np.zeros(3), residuals=np.diff(self.window.nodes(z)), residual_jacobian=slopes)
    >>> best = nd.optimize.certify(Even(), np.array([1.0, 2.0, 3.0]))
    >>> best.certified, best.active.tolist()
    (True, [])
    >>> worse = nd.optimize.certify(Even(), np.array([1.5, 2.0, 3.0]))
    >>> worse.certified, worse.stationarity > 0.1
    (False, True)
    """

    stationarity: float
    complementarity: float
    feasibility: float
    kinks: NDArray[np.intp]
    kink_multipliers: Array
    active: NDArray[np.intp]
    multipliers: Array
    tolerance: float

    @property
    def optimality(self) -> float:
        """The largest of the three residuals."""
        return max(self.stationarity, self.complementarity, self.feasibility)

    @property
    def certified(self) -> bool:
        """Whether all three are within the tolerance."""
        return self.optimality <= self.tolerance


def lengths(window: Window) -> Array:
    """Return l of the module's head, shape (size,)."""
    inner = window.steps - 1
    first = window.low if math.isfinite(window.low) else None
    last = window.high if math.isfinite(window.high) else None
    step = (last - first) / window.steps if first is not None and last is not None else 1.0
    boxes = [high - low for low, high in zip(window.lower, window.upper, strict=True)]
    return np.concatenate([np.full(inner, step), boxes])


def scale(parts: Parts, unit: Array) -> float:
    """Return S of the module's head; 1 where it vanishes."""
    slopes = np.abs(parts.gradient)
    if parts.residuals.size:
        jacobian = np.abs(parts.residual_jacobian)
        slopes = slopes + 2 * np.abs(parts.residuals) @ jacobian + 2 * unit * (jacobian**2).sum(axis=0)
    if parts.absolute.size:
        slopes = slopes + np.abs(parts.absolute_jacobian).sum(axis=0)
    total = abs(parts.objective) + _SHARE * float(np.max(unit * slopes, initial=0.0))
    return total if total > 0 else 1.0


def certify(problem: Problem, z: Array, *, tolerance: float = 1e-8) -> Certificate:
    """Check the first-order conditions at `z`.

    Parameters
    ----------
    problem
        What is minimized; it is evaluated once.
    z
        The point, shape (window.size,).
    tolerance
        Largest scaled residual that is still certified.

    Returns
    -------
    Certificate
        Not certified, with infinite residuals, where the objective is not finite at `z`.

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> class Even:  # the sum of the squares of the steps
    ...     window = nd.optimize.Window(0.0, 4.0, 4, np.full(4, 0.1))
    ...     def evaluate(self, z):
    ...         slopes = np.eye(4, 3) - np.eye(4, 3, -1)
    ...         return nd.optimize.Parts(np.zeros(3), residuals=np.diff(self.window.nodes(z)), residual_jacobian=slopes)
    >>> nd.optimize.certify(Even(), np.array([1.0, 2.0, 3.0])).certified
    True
    >>> nd.optimize.certify(Even(), np.array([1.0, 2.0, 3.1])).certified
    False
    """
    z = np.asarray(z, dtype=float)
    try:
        parts = problem.evaluate(z)
    except ValueError:
        return _hopeless(tolerance)
    if not finite(parts):
        return _hopeless(tolerance)
    return _certify(problem.window, z, parts, tolerance)


def finite(parts: Parts) -> bool:
    """Whether the objective and all its derivatives are numbers."""
    arrays = (parts.gradient, parts.residual_jacobian, parts.absolute_jacobian)
    return math.isfinite(parts.objective) and all(bool(np.isfinite(a).all()) for a in arrays if a.size)


def _hopeless(tolerance: float) -> Certificate:
    none, nothing = np.zeros(0, dtype=np.intp), np.zeros(0)
    return Certificate(math.inf, math.inf, math.inf, none, nothing, none, nothing, tolerance)


def _certify(window: Window, z: Array, parts: Parts, tolerance: float) -> Certificate:
    unit = lengths(window)
    size, rows, slack = scale(parts, unit), np.abs(window.matrix) @ unit, window.slack(z)
    weights, scaled = _multipliers(window, parts, unit, size, slack / rows, rows)
    multipliers = scaled * size / rows
    rho = parts.smooth_gradient - window.matrix.T @ multipliers
    if parts.absolute.size:
        rho = rho + weights @ parts.absolute_jacobian
    gap = float(np.sum(np.abs(parts.absolute) - weights * parts.absolute) + multipliers @ np.maximum(slack, 0))
    return Certificate(
        stationarity=float(np.max(unit * np.abs(rho), initial=0.0)) / size,
        complementarity=gap / size,
        feasibility=float(np.max(-slack / rows, initial=0.0)),
        kinks=np.flatnonzero(np.abs(weights) < 1),
        kink_multipliers=weights,
        active=np.flatnonzero(multipliers > 0),
        multipliers=multipliers,
        tolerance=tolerance,
    )


def _multipliers(
    window: Window, parts: Parts, unit: Array, size: float, slack: Array, rows: Array
) -> tuple[Array, Array]:
    """Return w and mu (times rows/S) with the smallest stationarity and complementarity together."""
    signs = np.where(parts.absolute < 0, -1.0, 1.0)
    jacobian = parts.absolute_jacobian if parts.absolute.size else np.zeros((0, len(unit)))
    bent, spread = signs[:, None] * jacobian * (unit / size), np.abs(parts.absolute) / size
    reach = np.abs(bent).sum(axis=1)
    near = np.flatnonzero((spread <= _OFFERED * reach) & (reach > 0))
    met = np.flatnonzero(slack <= _OFFERED)
    touching = window.matrix[met].toarray() * unit / rows[met][:, None]
    pull = unit / size * parts.smooth_gradient + bent.sum(axis=0)
    gaps = np.diag(np.concatenate([spread[near], np.maximum(slack[met], 0)]))
    left = np.vstack([np.concatenate([bent[near], touching]).T, gaps])
    found = _bounded(left, np.concatenate([pull, np.zeros(len(gaps))]), len(near))
    weights, multipliers = signs.copy(), np.zeros(len(rows))
    weights[near] *= 1 - found[: len(near)]
    multipliers[met] = found[len(near) :]
    return weights, multipliers


def _bounded(left: Array, right: Array, count: int) -> Array:
    """Least squares of left @ x - right over x >= 0, the first `count` entries at most 2 (where w = -sign(a))."""
    if not left.shape[1]:
        return np.zeros(0)
    found = np.asarray(nnls(left, right)[0])
    if np.all(found[:count] <= 2):
        return found
    upper = np.concatenate([np.full(count, 2.0), np.full(left.shape[1] - count, np.inf)])
    return np.asarray(lsq_linear(left, right, (0, upper), method="bvls", tol=1e-15).x)
