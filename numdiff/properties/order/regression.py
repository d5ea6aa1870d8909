r"""The order that runs show: slope of log(error) against log(step), with its uncertainty and the reasons against it.

For a method of order p the error behaves as e(h) = C h^p (1 + O(h)), between two ends: for large steps the higher terms
count, for small ones rounding or the reference does. Of the measured points (h_i, e_i), h_i = 1/N_i, those after the
last run that was not finite and before the first error at the rounding floor are looked at, and the **window** is the
longest stretch of them, up to the finest or to a plateau, whose local slopes

    p_i = log(e_i/e_{i+1}) / log(h_i/h_{i+1})

stay within `SPREAD` of their mean, which is above `FLAT`, with at least `FEWEST` points. In the window, least squares
gives the slope, and the residuals its standard error s; the interval is slope +- t_{0.975, n-2} s. It covers scatter; a
drift that has not died out, or errors that stop falling beyond the window, are named in `cause`.

Where no slope can be given it is nan, and `cause` says why: all errors at rounding level (an exact method), runs that
were not finite, too few points.

Sources: Hairer, Norsett, Wanner, Solving ODEs I, II.4; Draper, Smith, Applied regression analysis, chapter 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

SPREAD = 0.2
"""How far local slopes may lie from their mean in the asymptotic window, so that neighbouring orders stay apart."""

FEWEST = 3
"""Points in a window: two determine the slope and one is left to contradict it."""

FLAT = 0.5
"""Mean slope up to which a stretch is not convergence but a plateau: no method has an order between 0 and 1."""

ROUNDINGS = 64
"""Rounding floor in units of eps times the size of the solution: what sums of a few hundred terms leave."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class OrderEstimate:
    """An observed order.

    Parameters
    ----------
    slope
        Fitted order; nan where none can be given.
    interval
        95 % confidence interval of the slope, (low, high).
    window
        First and last N of the points fitted; None without a slope.
    floor
        Error below which points were taken for rounding.
    cause
        What the reader should know: why there is no slope, or what speaks against it; "" if nothing does.
    steps, errors
        All that was measured.
    """

    slope: float
    interval: tuple[float, float]
    window: tuple[int, int] | None
    floor: float
    cause: str
    steps: tuple[int, ...]
    errors: tuple[float, ...]

    @property
    def defined(self) -> bool:
        """Whether there is a slope."""
        return not isnan(self.slope)

    def __str__(self) -> str:
        """Return slope, interval and cause on one line."""
        if not self.defined:
            return f"no order: {self.cause}"
        half = (self.interval[1] - self.interval[0]) / 2
        return f"{self.slope:.2f} +- {half:.2f} (N = {self.window[0]}..{self.window[1]})" + (  # type: ignore[index]
            f"; {self.cause}" if self.cause else ""
        )


def observed(
    run: Callable[[int], Any],
    steps: Sequence[int],
    *,
    reference: Any = None,
    floor: float | None = None,
    confidence: float = 0.95,
) -> OrderEstimate:
    """Run a method with different numbers of steps and fit its order.

    Parameters
    ----------
    run
        Called with N; returns the error of N steps (a number >= 0), or, with a `reference`, the solution.
    steps
        Different whole numbers N >= 1, at least three; the step is proportional to 1/N.
    reference
        Solution to compare with, of the shape that `run` returns; the error is the root mean square of the difference.
    floor
        Errors at or below it are taken for rounding. Defaults to 64 eps times the size of `reference` (1 without one).
    confidence
        Coverage of the interval.

    Returns
    -------
    OrderEstimate

    Raises
    ------
    ValueError, TypeError
        For steps that are not three different whole numbers, a negative error, a solution whose shape is not the
        reference's, a floor or a confidence out of range.
    """
    steps = _checked(steps)
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie strictly between 0 and 1, got {confidence}")
    if floor is not None and not floor >= 0:
        raise ValueError(f"floor must be an error >= 0, got {floor}")
    target = None if reference is None else _array(reference)
    errors = np.array([_error(run(n), target, n) for n in steps])
    if floor is None:
        floor = ROUNDINGS * float(np.finfo(float).eps) * (1.0 if target is None else float(np.sqrt(np.mean(target**2))))
    return _estimate(np.array(steps), errors, float(floor), confidence)


def _checked(steps: Sequence[int]) -> list[int]:
    """Return the steps in ascending order."""
    for n in steps:
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)):
            raise TypeError(f"steps must be whole numbers, got {n!r}")
        if n < 1:
            raise ValueError(f"steps must be at least 1, got {n}")
    unique = sorted({int(n) for n in steps})
    if len(unique) < FEWEST or len(unique) < len(steps):
        raise ValueError(f"steps must be at least {FEWEST} different numbers, got {list(steps)}; 20, 40, 80, 160, say")
    return unique


def _array(x: Any) -> Floats:
    """Return a NumPy array from an array or a tensor on any device."""
    return np.asarray(x.detach().cpu() if hasattr(x, "detach") else x, dtype=float)


def _error(result: Any, reference: Floats | None, n: int) -> float:
    """Return the error of one run."""
    value = _array(result)
    if reference is None:
        if value.ndim:
            raise ValueError(f"run({n}) returned an array of shape {value.shape}; return an error, or give reference=")
        if value < 0:
            raise ValueError(f"run({n}) returned the negative error {float(value)}; return its size")
        return float(value)
    if value.shape != reference.shape:
        raise ValueError(f"run({n}) returned shape {value.shape}, but reference has shape {reference.shape}")
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.sqrt(np.mean((value - reference) ** 2)))


def _estimate(steps: NDArray[np.int64], errors: Floats, floor: float, confidence: float) -> OrderEstimate:
    """Choose the window, fit, and collect what speaks against the result."""
    usable, causes = _usable(steps, errors, floor)
    slope, half, window = nan, nan, None
    if len(usable) >= FEWEST:
        x, y = -np.log(steps[usable]), np.log(errors[usable])
        part, remarks = _window(x, y, steps[usable])
        causes += remarks
        slope, half = _fit(x[part], y[part], confidence)
        window = (int(steps[usable][part][0]), int(steps[usable][part][-1]))
    measured = tuple(map(int, steps)), tuple(map(float, errors))
    return OrderEstimate(slope, (slope - half, slope + half), window, floor, "; ".join(causes), *measured)


def _usable(steps: NDArray[np.int64], errors: Floats, floor: float) -> tuple[NDArray[np.int64], list[str]]:
    """Return the positions after the last failure and before the floor, and remarks."""
    bad = np.flatnonzero(~np.isfinite(errors))
    causes = [f"not finite at N = {', '.join(map(str, steps[bad]))}"] if len(bad) else []
    start = bad[-1] + 1 if len(bad) else 0
    low = np.flatnonzero(errors[start:] <= floor)
    stop = start + low[0] if len(low) else len(errors)
    if start < len(errors) and stop == start:
        causes.append(f"every error is at rounding level ({floor:.1e} or below): the method is exact here")
    elif stop - start < FEWEST:
        causes.append(f"only {stop - start} usable errors above rounding level; an order needs {FEWEST}")
    return np.arange(start, stop), causes


def _window(x: Floats, y: Floats, steps: NDArray[np.int64]) -> tuple[slice, list[str]]:
    """Return the asymptotic window, and what to say about it; `x` = log h falls."""
    slopes, n = np.diff(y) / np.diff(x), len(x)
    for length in range(n, FEWEST - 1, -1):
        for start in range(n - length, -1, -1):
            inside, beyond = slopes[start : start + length - 1], slopes[start + length - 1 :]
            if _is_asymptotic(inside, beyond):
                return slice(start, start + length), _remarks(inside, beyond, steps[start + length - 1])
    found = ", ".join(f"{p:.2f}" for p in slopes)
    what = "irregular convergence" if slopes.max() > FLAT else "the errors do not fall"
    return slice(n - FEWEST, n), [f"{what}: local slopes {found}"]


def _is_asymptotic(inside: Floats, beyond: Floats) -> bool:
    """Tell whether slopes agree, and nothing but a plateau comes after them."""
    mean = inside.mean()
    return bool(mean > FLAT and np.abs(inside - mean).max() <= SPREAD and (not len(beyond) or beyond[-1] < mean / 2))


def _remarks(inside: Floats, beyond: Floats, last: int) -> list[str]:
    """Name a drift of the slopes inside the window, and the plateau beyond its last N."""
    remarks = []
    drift = np.diff(inside)
    if len(drift) > 1 and (np.all(drift > 0) or np.all(drift < 0)) and abs(inside[-1] - inside[0]) > SPREAD / 2:
        remarks.append(f"still drifting: local slopes go from {inside[0]:.2f} to {inside[-1]:.2f}")
    if len(beyond):
        remarks.append(f"the errors stop falling beyond N = {last}: rounding, or an inexact reference")
    return remarks


def _fit(x: Floats, y: Floats, confidence: float) -> tuple[float, float]:
    """Return the least-squares slope and half the width of its confidence interval."""
    from scipy.stats import t

    dx = x - x.mean()
    slope = float(dx @ y / (dx @ dx))
    residual = y - y.mean() - slope * dx
    variance = float(residual @ residual) / (len(x) - 2) / float(dx @ dx)
    return slope, float(t.ppf((1 + confidence) / 2, len(x) - 2) * np.sqrt(variance))
