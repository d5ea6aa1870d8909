r"""Quasi-Newton descent in coordinates that hold the minimum gaps by themselves, for smooth objectives.

In the log-steps y of `numdiff.optimize.search.squares` the end-point errors of a run are far better scaled than in the
log-SNRs: moving one y stretches one step and makes room elsewhere, and no step can be used up on the way. A descent in
z stops at the first minimum with a collapsed step; one in y passes it by. Parameters are p = lower + (upper - lower) /
(1 + e^{-v}), so that all of (y, v) is feasible, and BFGS (Nocedal and Wright, Numerical Optimization, 2nd ed., Section
6.1) needs no constraints. What it leaves is for `newton` to finish: gaps at their minimum, where y is -inf, above all.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize as scipy_minimize

from numdiff.optimize.problem import Parts
from numdiff.optimize.search.certificate import certify
from numdiff.optimize.search.record import Recorder
from numdiff.optimize.search.squares import LogSteps
from numdiff.optimize.window import Window

Array = NDArray[np.float64]

_ENOUGH = 1e-5  # of the first gradient: newton is faster from there
_FAR = 1e-6  # share of a parameter's box that a start at its edge is moved inwards, where v is finite


class _Free:
    """The map (y, v) -> z of a window, which needs no bounds, and its Jacobian."""

    def __init__(self, window: Window) -> None:
        self.steps = LogSteps(window)
        self.lower = np.array(window.lower)
        self.width = np.array(window.upper) - self.lower
        self.inner = self.steps.inner

    def coordinates(self, z: Array) -> Array:
        """Return (y, v) of a feasible z."""
        y = self.steps.coordinates(z)
        share = np.clip((y[self.inner :] - self.lower) / self.width, _FAR, 1 - _FAR)
        return np.concatenate([y[: self.inner], np.log(share / (1 - share))])

    def point(self, free: Array) -> tuple[Array, Array]:
        """Return z and dz/d(y, v)."""
        share = 1 / (1 + np.exp(-free[self.inner :]))
        z, jacobian = self.steps.point(np.concatenate([free[: self.inner], self.lower + self.width * share]))
        jacobian[:, self.inner :] *= self.width * share * (1 - share)
        return z, jacobian


def bfgs(recorder: Recorder, z: Array, parts: Parts, tolerance: float) -> tuple[Array, Parts]:
    """Descend from the feasible `z`, whose parts are known; return the better of the answer and `z`.

    Raises
    ------
    ValueError
        For an objective with absolute terms.
    """
    if parts.absolute.size:
        raise ValueError('method "bfgs" takes smooth objectives only; use "newton" or "auto" for this one')
    recorder.evaluations += 1
    if certify(recorder.problem, z, tolerance=tolerance).certified:
        return z, parts  # a search that goes on where an earlier one ended
    free = _Free(recorder.window)
    best = [(z, parts)]

    def value(x: Array) -> tuple[float, Array]:
        with np.errstate(over="ignore"):
            trial, jacobian = free.point(x)
        found = recorder.evaluate(trial) if np.isfinite(trial).all() else None
        if found is None:
            return 1e10 * (1 + abs(parts.objective)), np.zeros(len(x))
        if found.objective < best[0][1].objective and recorder.feasible(trial):
            best[0] = trial, found
        return found.objective, found.smooth_gradient @ jacobian

    def accept(_: Array) -> None:
        recorder.accept(*best[0])

    start = free.coordinates(z)
    slope = np.abs(parts.smooth_gradient @ free.point(start)[1]).max()
    enough = max(_ENOUGH * slope, 0.1 * tolerance * recorder.scale(parts))
    options = {"gtol": enough, "maxiter": 50 + 10 * len(z)}
    with np.errstate(all="ignore"):
        scipy_minimize(value, start, jac=True, method="BFGS", callback=accept, options=options)
    if best[0][1] is not parts:
        recorder.accept(*best[0])
    return best[0]
