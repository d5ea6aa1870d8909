r"""Second derivatives of an objective, term by term, from its exact first derivatives.

The model of a step needs the Hessian of value + sum w_i a_i for multipliers w that change from step to step, so the
Hessian T_i of every term is kept by itself. T_i is nonzero only where row i of the Jacobian is: a term of a multistep
method touches a handful of neighbouring log-SNRs, and is stored as a block over those.

* **Probe.** One-sided differences of exact gradients. Columns that share no row are moved together (Curtis, Powell and
  Reid 1974), so a banded problem costs its band width in evaluations, whatever n is. The smooth part has no rows to
  read its pattern from; each of its entries is given to the nearest column moved, and one more evaluation, along a
  direction that moves every column, says whether that was right; if not, columns are moved one by one.
* **Update.** After a step d with gradient change y_i, the symmetric rank-one correction of every block,
  T_i += r r^T / (r^T d), r = y_i - T_i d: each of a few variables, so a few steps make it exact for a quadratic, for
  any n (partitioned updating: Griewank and Toint, Numer. Math. 39 (1982) 119-137).

Sums of squares bring their own part, 2 J^T J, exactly; what is kept here is then the rest, of the smooth part.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from numdiff.optimize.problem import Parts
from numdiff.optimize.search.record import Recorder

Array = NDArray[np.float64]

_PROBE = 1e-6
_SKIP = 1e-2


def gauss_newton(parts: Parts) -> Array | float:
    """Return 2 J^T J, or 0 where there are no residuals."""
    if not parts.residuals.size:
        return 0.0
    return np.asarray(2 * parts.residual_jacobian.T @ parts.residual_jacobian)


class Curvature:
    """Hessians of the smooth part and of every absolute term around the present point."""

    def __init__(self, parts: Parts) -> None:
        size, count = len(parts.gradient), len(parts.absolute)
        self.size, self.age = size, 0
        pattern = parts.absolute_jacobian != 0 if count else np.zeros((0, size), dtype=bool)
        width = int(pattern.sum(axis=1).max(initial=0))
        # The columns of each row first, then others to fill the block, which the mask keeps at zero.
        self.where = np.argsort(~pattern, axis=1, kind="stable")[:, :width]
        self.mask = np.take_along_axis(pattern, self.where, axis=1)
        self.flat = (self.where[:, :, None] * size + self.where[:, None, :]).ravel()
        self.places = size * np.arange(count)[:, None] + self.where
        self.pattern = pattern
        self.smooth = np.zeros((size, size))
        self.terms = np.zeros((count, width, width))

    def total(self, weights: Array) -> Array:
        """Return the Hessian of value + sum w_i a_i."""
        if not weights.size:
            return self.smooth
        entries = (weights[:, None, None] * self.terms).ravel()
        return self.smooth + np.bincount(self.flat, entries, self.size**2).reshape(self.size, self.size)

    def _changes(self, before: Parts, after: Parts, step: Array) -> tuple[Array, Array]:
        """Return what T d should be: of the smooth part (n,), and of the terms (q, width)."""
        smooth = (
            after.smooth_gradient - before.smooth_gradient - gauss_newton(after) @ step
            if after.residuals.size
            else after.gradient - before.gradient
        )
        if not after.absolute.size:
            return smooth, np.zeros((0, 0))
        rows = after.absolute_jacobian - before.absolute_jacobian
        return smooth, rows.take(self.places) * self.mask

    def update(self, before: Parts, after: Parts, step: Array) -> None:
        """Correct every block by what the gradients did over `step`."""
        self.age += 1
        smooth, rows = self._changes(before, after, step)
        left = smooth - self.smooth @ step
        slope = left @ step
        if abs(slope) > _SKIP * np.linalg.norm(left) * np.linalg.norm(step):
            self.smooth = self.smooth + np.outer(left, left) / slope
        if not rows.size:
            return
        moves = step[self.where] * self.mask
        over = rows - (self.terms @ moves[:, :, None])[:, :, 0]
        slopes = (over * moves).sum(axis=1)
        sizes = np.sqrt((over * over).sum(axis=1) * (moves * moves).sum(axis=1))
        slopes[np.abs(slopes) <= _SKIP * sizes + 1e-300] = np.inf  # no correction
        self.terms += over[:, :, None] * (over / slopes[:, None])[:, None, :]

    def probe(self, recorder: Recorder, z: Array, parts: Parts) -> bool:
        """Measure all blocks at `z` by differences; False, and nothing changed, where a neighbour has no value."""
        self.age = 0
        done = self._measure(recorder, z, parts, self.colours)
        if not done and self.cost < self.size:
            self.colours = np.arange(self.size)
            done = self._measure(recorder, z, parts, self.colours)
        return done

    @cached_property
    def colours(self) -> NDArray[np.intp]:
        """The columns that are moved together have the same number."""
        return self._colours()

    @property
    def cost(self) -> int:
        """Evaluations that a measurement takes."""
        return int(self.colours.max()) + 1

    def _colours(self) -> NDArray[np.intp]:
        """Return a number per column, different for any two columns of one row."""
        if not self.terms.size or self.terms.shape[1] == self.size:
            return np.arange(self.size)
        conflict = self.pattern.T.astype(int) @ self.pattern.astype(int) > 0
        colours = np.full(self.size, -1)
        for column in range(self.size):
            taken = set(colours[:column][conflict[column, :column]].tolist())
            colours[column] = next(c for c in range(self.size) if c not in taken)
        return colours

    def _measure(self, recorder: Recorder, z: Array, parts: Parts, colours: NDArray[np.intp]) -> bool:
        """Difference the gradients along the coloured directions; True if that was possible and explains another."""
        steps, check = self._steps(recorder, z), colours.max() + 1 < self.size
        along = [np.where(colours == colour, steps, 0.0) for colour in range(colours.max() + 1)]
        # Lengths in a fixed irrational pattern: no direction that a wrong assignment could be right in by chance.
        another = [steps * (1 + np.modf(np.arange(self.size) * 0.6180339887)[0])] if check else []
        found = recorder.evaluate_many(z + np.array(along + another))
        if found is None:
            return False
        smooth, terms = np.zeros_like(self.smooth), np.zeros_like(self.terms)
        everywhere, columns = np.arange(self.size), colours[self.where] if self.where.size else self.where
        for colour, (step, after) in enumerate(zip(along, found, strict=False)):
            change, rows = self._changes(parts, after, step)
            chosen = np.flatnonzero(colours == colour)
            nearest = chosen[np.argmin(np.abs(everywhere[:, None] - chosen), axis=1)]
            smooth[everywhere, nearest] += change / steps[nearest]
            hit = (columns == colour) & self.mask
            row, place = np.nonzero(hit)
            terms[row, :, place] = rows[row] / steps[self.where[row, place]][:, None]
        smooth = (smooth + smooth.T) / 2
        if check and not _explains(smooth, self._changes(parts, found[-1], another[0])[0], another[0], parts):
            return False
        self.smooth, self.terms = smooth, (terms + terms.transpose(0, 2, 1)) / 2
        return True

    def _steps(self, recorder: Recorder, z: Array) -> Array:
        """Return the differences' steps; parameters move to the side of their box with more room."""
        steps = _PROBE * recorder.unit
        window = recorder.window
        for j, (low, high) in enumerate(zip(window.lower, window.upper, strict=True), start=window.steps - 1):
            if z[j] > (low + high) / 2:
                steps[j] = -steps[j]
        return steps


def _explains(smooth: Array, change: Array, step: Array, parts: Parts) -> bool:
    slope = np.abs(parts.smooth_gradient).max()
    return bool(np.abs(change - smooth @ step).max() <= 1e-2 * np.abs(change).max() + 1e-13 * slope)
