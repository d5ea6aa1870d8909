r"""The convex model that one step of the search minimizes, solved through its dual.

At a feasible z with slacks s >= 0 the step d minimizes

    g^T d + d^T H d / 2 + sum_i |a_i + A_i d|     subject to   M d >= -s,

H positive definite. With |t| = max_{|w| <= 1} w t and multipliers mu >= 0 the minimum over d is explicit,
d = -H^{-1} (g + A^T w - M^T mu), and v = (w, mu) solves a quadratic program whose constraints are a box,

    minimize  v^T S v / 2 - c^T v,    S = G H^{-1} G^T,    c = (a, -s) - G H^{-1} g,    G = [A; -M],

with gradient -(a + A d, -(s + M d)): minus what is left of the kinks and of the slacks. It is solved by the projected
Newton method of Bertsekas (SIAM J. Control Optim. 20 (1982) 221-246): Newton on the free entries, the step bent along
the box, each iterate lower than the one before. From the multipliers of the step before it, it takes one or two
iterations. S is singular where more terms are free than there are variables; there delta times its diagonal is added
and taken away again by refinement (the proximal-point method), so the kinks and constraints found are met to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

Array = NDArray[np.float64]

_SHIFT = 1e-10
_ITERATIONS = 200
_SOLVES = 2  # the second takes the shift away again


@dataclass(frozen=True, eq=False)
class Step:
    """A minimizer of the model.

    Parameters
    ----------
    move
        d, shape (n,).
    kinks, constraints
        The multipliers w and mu.
    decrease
        What the model says F will fall by.
    residual
        g + A^T w - M^T mu: what these multipliers leave of the gradient at z.
    """

    move: Array
    kinks: Array
    constraints: Array
    decrease: float
    residual: Array


def _newton(
    curvature: Array, shift: Array, linear: Array, point: Array, gradient: Array, free: NDArray[np.intp]
) -> Array:
    """Return `point` with its free entries (indices) moved to where the gradient vanishes, the others kept."""
    rows = curvature[free]
    block = rows[:, free]
    block.flat[:: len(free) + 1] += shift[free]
    factor, fault = lapack.dpotrf(block, lower=1)
    new, left = point.copy(), -gradient[free]
    for again in range(_SOLVES):
        if again:
            left = linear[free] - rows @ new
        if fault:  # singular to rounding in spite of the shift
            new[free] += np.linalg.lstsq(block, left, rcond=1e-14)[0]
        else:
            new[free] += lapack.dpotrs(factor, left, lower=1)[0]
    return new


def _direct(
    curvature: Array, shift: Array, linear: Array, box: tuple[Array, Array], point: Array, gradient: Array
) -> Array:
    """Return the Newton point of the entries that are free: inside the box, or on its face and drawn inwards."""
    lower, upper = box
    low, high = point <= lower, point >= upper
    free = np.flatnonzero(~((low & (gradient >= 0)) | (high & (gradient <= 0))))
    while free.size:
        target = _newton(curvature, shift, linear, point, gradient, free)
        # An entry on a face that Newton's step takes outwards is not free after all; without it the step descends.
        out = (low & (target < point)) | (high & (target > point))
        if not out.any():
            return target
        free = free[~out[free]]
    return point


def _search(curvature: Array, box: tuple[Array, Array], point: Array, gradient: Array, target: Array) -> Array:
    """Return a lower point towards `target`: bent along the box, or failing that up to the first face."""
    lower, upper = box
    way = target - point
    for length in (1.0, 0.5, 0.25):
        new = np.minimum(np.maximum(point + length * way, lower), upper)
        step = new - point
        slope = gradient @ step
        if 0.5 * step @ (curvature @ step) + slope <= 0.1 * slope < 0:
            return np.asarray(new)
    with np.errstate(divide="ignore", invalid="ignore"):
        hit = np.where(way > 0, (upper - point) / way, np.where(way < 0, (lower - point) / way, np.inf))
    return np.asarray(np.clip(point + min(1.0, hit.min()) * way, lower, upper))


def _descend(curvature: Array, linear: Array, box: tuple[Array, Array], point: Array) -> Array:
    """Minimize v^T S v / 2 - c^T v over a box, from `point` in it."""
    size, last = 1 + float(np.abs(linear).max()), np.inf
    shift = _SHIFT * np.maximum(curvature.diagonal(), 1e-300)
    gradient = curvature @ point - linear
    for _ in range(_ITERATIONS):
        target = _direct(curvature, shift, linear, box, point, gradient)
        point = _search(curvature, box, point, gradient, target)
        gradient = curvature @ point - linear
        left = float(np.abs(np.minimum(np.maximum(point - gradient, box[0]), box[1]) - point).max())
        # What is left near rounding and no longer halves is rounding.
        if left < 1e-13 * size or (left < 1e-10 * size and left > 0.5 * last):
            break
        last = left
    return point


def minimize_model(
    gradient: Array,
    spectrum: tuple[Array, Array],
    terms: tuple[Array, Array],
    constraints: tuple[Array, Array],
    guess: Array,
) -> Step:
    """Minimize the model of the module's head.

    Parameters
    ----------
    gradient
        g, shape (n,).
    spectrum
        Positive eigenvalues (n,) of H and its orthonormal eigenvectors, columns of (n, n).
    terms
        a and A, shapes (q,) and (q, n).
    constraints
        s and M, shapes (m,) and (m, n); a negative slack is made good by the step.
    guess
        Multipliers (w, mu) to begin at, shape (q + m,); those of the step before.
    """
    values, vectors = spectrum
    (kinks, jacobian), (slack, matrix) = terms, constraints
    count, rows = len(kinks), np.concatenate([jacobian, -matrix])
    turned = rows @ vectors
    pull = gradient @ vectors
    curvature = (turned / values) @ turned.T
    linear = np.concatenate([kinks, -slack]) - turned @ (pull / values)
    upper = np.concatenate([np.ones(count), np.full(len(slack), np.inf)])
    lower = np.concatenate([-np.ones(count), np.zeros(len(slack))])
    dual = np.minimum(np.maximum(guess, lower), upper)
    if len(rows):
        dual = _descend(curvature, linear, (lower, upper), dual)
    bent = -(pull + dual @ turned) / values
    move = vectors @ bent
    after = gradient @ move + 0.5 * values @ bent**2 + np.abs(kinks + jacobian @ move).sum()
    return Step(move, dual[:count], dual[count:], float(np.abs(kinks).sum() - after), gradient + dual @ rows)
