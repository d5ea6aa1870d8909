r"""Trust-region least squares in coordinates that hold the minimum gaps by themselves.

For F = r^T r alone. Where both ends are finite, the N steps are softmax shares of what the minimum gaps leave over,

    lambda_{i+1} - lambda_i = gaps_i + R e^{y_i} / sum_k e^{y_k},    R = lambda_N - lambda_0 - sum gaps,    y_0 = 0,

so every y in R^{N-1} is feasible and SciPy's `least_squares` needs no constraints. With an infinite end there is no
total to share: the finite gaps are gaps_i + e^{y_i} counted from the finite end, or, with both infinite, from a free
first node. Parameters stay as they are, in their box. A gap that wants to be at its minimum sends its y to -inf
slowly; `newton`, run from the answer, puts it there exactly.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from numdiff.optimize.problem import Parts
from numdiff.optimize.search.record import Recorder
from numdiff.optimize.window import Window

Array = NDArray[np.float64]


class LogSteps:
    """The map y -> z of a window and its Jacobian."""

    def __init__(self, window: Window) -> None:
        self.window, self.inner = window, window.steps - 1
        self.low, self.high = math.isfinite(window.low), math.isfinite(window.high)
        self.room = window.high - window.low - float(window.gaps.sum())
        self.gaps = np.where(window.finite, window.gaps, 0.0)

    def coordinates(self, z: Array) -> Array:
        """Return y of a feasible z; gaps at their minimum are opened a little, since their y is -inf."""
        steps = self.window.steps_of(z)[self.window.finite] - self.gaps[self.window.finite]
        floor = 1e-4 * (self.room / self.window.steps if self.low and self.high else 1.0)
        logs = np.log(np.maximum(steps, floor))
        if self.low and self.high:
            inner = logs[1:] - logs[0]
        else:
            inner = logs if self.low or self.high else np.concatenate([z[:1], logs])
        return np.concatenate([inner, z[self.inner :]])

    def point(self, y: Array) -> tuple[Array, Array]:
        """Return z and dz/dy, shapes (size,) and (size, size)."""
        nodes, jacobian = self._nodes(y[: self.inner])
        full = np.eye(len(y))
        full[: self.inner, : self.inner] = jacobian
        return np.concatenate([nodes, y[self.inner :]]), full

    def _nodes(self, y: Array) -> tuple[Array, Array]:
        below = np.tril(np.ones((self.inner, self.inner)))
        if self.low and self.high:
            shares = np.exp(np.concatenate([[0.0], y]) - max(0.0, float(y.max())))
            shares = shares / shares.sum()
            slopes = (np.diag(shares) - np.outer(shares, shares))[:-1, 1:] * self.room
            return self.window.low + np.cumsum(self.gaps + self.room * shares)[:-1], below @ slopes
        if self.low:
            return self.window.low + np.cumsum(self.gaps[:-1] + np.exp(y)), below * np.exp(y)
        if self.high:
            left = (self.gaps[1:] + np.exp(y))[::-1]
            return self.window.high - np.cumsum(left)[::-1], -below.T * np.exp(y)
        steps = np.concatenate([y[:1], self.gaps[1:-1] + np.exp(y[1:])])
        return np.cumsum(steps), below * np.concatenate([[1.0], np.exp(y[1:])])


def trf(recorder: Recorder, z: Array, parts: Parts, tolerance: float) -> tuple[Array, Parts]:
    """Run SciPy's `least_squares` in log-steps from `z`; return the better of its answer and `z`.

    Raises
    ------
    ValueError
        For an objective with a smooth value or absolute terms.
    """
    if parts.absolute.size or parts.value or np.any(parts.gradient):
        raise ValueError('method "trf" takes a sum of squares only; use "newton" or "auto" for this objective')
    steps = LogSteps(recorder.window)
    last: list[Parts] = [parts]

    def residuals(y: Array) -> Array:
        found = recorder.evaluate(steps.point(y)[0])
        if found is None:
            return np.full(len(parts.residuals), 1e10 * (1 + np.abs(parts.residuals).max()))
        last[0] = found
        return found.residuals

    start, box = steps.coordinates(z), recorder.window
    free = np.full(steps.inner, np.inf)
    bounds = (np.concatenate([-free, box.lower]), np.concatenate([free, box.upper]))
    small = {"ftol": 1e-3 * tolerance, "xtol": 1e-3 * tolerance, "gtol": 1e-3 * tolerance}
    start = np.clip(start, *(b + s * 1e-9 for b, s in zip(bounds, (1, -1), strict=True)))
    answer = least_squares(
        residuals, start, lambda y: last[0].residual_jacobian @ steps.point(y)[1], bounds, "trf", **small, max_nfev=200
    )
    new = steps.point(answer.x)[0]
    found = recorder.evaluate(new)
    if found is None or not recorder.feasible(new) or found.objective > parts.objective:
        return z, parts
    recorder.accept(new, found)
    return new, found
