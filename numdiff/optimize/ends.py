"""From the arguments of `timesteps` to a window: end levels, minimum gaps, parameter boxes, and starting points."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numdiff import grids
from numdiff._names import suggest
from numdiff.level import Level
from numdiff.methods import GHVB, Method
from numdiff.optimize.window import Window
from numdiff.schedules import Schedule

Array = NDArray[np.float64]

NEARLY = 5.0
"""Half log-SNR beyond which a sample is noise or data to all but one part in e^10 of its variance."""

DEEP = 10.0
"""Half log-SNR that no level beside an infinite end passes: beyond, a sample is noise or data but for e^-20."""

BOXES: dict[str, tuple[float, float]] = {"beta": (0.05, 1.95), "c2": (0.05, 0.95), "c3": (0.05, 0.95)}
"""Boxes of parameters that `timesteps` can optimize without being told one."""


def end_levels(schedule: Schedule, t_start: float | None, t_end: float | None, final_zero: bool) -> tuple[Level, Level]:
    """Return the first and the last level of a run, checked."""
    first = schedule.T if t_start is None else t_start
    last = schedule.t_end if t_end is None else t_end
    for name, value in (("t_start", first), ("t_end", last)):
        if isinstance(value, (bool, str)) or not isinstance(value, (int, float, np.number)):
            raise TypeError(f"{name} must be a time, got {value!r}")
        if not 0 <= value <= schedule.T:
            raise ValueError(
                f"{name} = {value} lies outside [0, {schedule.T:g}], the times of schedule {schedule.name}"
            )
    if not last < first:
        raise ValueError(
            f"t_end = {last:g} must be below t_start = {first:g}: runs go from noise to data; exchange them"
        )
    if final_zero:
        begin, _, clean = grids.levels(schedule, grids.from_times(schedule, [first, last], final_zero=True))
        return begin, clean
    return schedule.level(float(first)), schedule.level(float(last))


def gaps_of(gap: Any, low: float, high: float, steps: int, default: float) -> Array:
    """Return the minimum gaps, shape (steps,), of the argument `gap`: None, a number, or one for every step."""
    value = default if gap is None else gap
    array = np.asarray(value)
    if array.dtype.kind not in "iuf":
        raise TypeError(f"gap must be a number or {steps} numbers in half log-SNR, got {gap!r}")
    try:
        gaps = np.broadcast_to(array.astype(float), (steps,)).copy()
    except ValueError:
        raise ValueError(f"gap must be a number or have {steps} entries, one a step, got {gap!r}") from None
    if not np.all(np.isfinite(gaps)) or np.any(gaps < 0):
        raise ValueError(f"gap must be at least 0 and finite, in half log-SNR, got {gap!r}")
    if not math.isfinite(low):
        gaps[0] = 0.0
    if not math.isfinite(high):
        gaps[-1] = 0.0
    return gaps


def names_of(optimize: Any) -> tuple[str, ...]:
    """Return the names of the parameters to optimize, checked."""
    names = (optimize,) if isinstance(optimize, str) else optimize
    if (
        not isinstance(names, (tuple, list))
        or not all(isinstance(name, str) for name in names)
        or len(set(names)) < len(names)
    ):
        raise TypeError(f'optimize must name parameters of the method, each once, such as ("beta",), got {optimize!r}')
    return tuple(names)


def boxes(method: Any, names: Sequence[str], bounds: Any) -> tuple[Any, Any]:
    """Return the lower and the upper bounds of the parameters."""
    bounds = {} if bounds is None else bounds
    if not isinstance(bounds, Mapping):
        raise TypeError(f"bounds must be a dictionary of (low, high) pairs, got {bounds!r}")
    unknown = set(bounds) - set(names)
    if unknown:
        raise ValueError(f"bounds names {sorted(unknown)}, which optimize does not; add them there")
    pairs = [_box(method, name, bounds) for name in names]
    return tuple(low for low, _ in pairs), tuple(high for _, high in pairs)


def _box(method: Any, name: str, bounds: Mapping[str, Any]) -> tuple[float, float]:
    box = bounds.get(name, BOXES.get(name.rpartition(".")[2]))
    if name not in bounds and name == "beta" and isinstance(method, GHVB):
        box = (BOXES[name][0], 1.8 if method.order == 2 else 1.0)  # beyond 1 weights do not exist on every grid
    if box is None:
        raise ValueError(f"bounds must hold a (low, high) pair for the parameter {name!r} of {_called(method)}")
    try:
        low, high = map(float, box)
    except (TypeError, ValueError):
        raise TypeError(f"bounds of {name!r} must be a pair of numbers (low, high), got {box!r}") from None
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"bounds of {name!r} must be finite, got {box!r}")
    return low, high


def _called(method: Any) -> str:
    return str(method) if isinstance(method, Method) else getattr(method, "__name__", "the function")


def listed(starts: Any) -> list[Any]:
    """Return the argument `starts` as a list, or raise."""
    if isinstance(starts, str) or not isinstance(starts, (Sequence, np.ndarray)) or not len(starts):
        raise TypeError(f"starts must be a list of grids' names, results or log-SNRs, got {starts!r}")
    return list(starts)


def starting_points(starts: Sequence[Any], method: Method, schedule: Schedule, window: Window) -> list[Array]:
    """Return feasible z for starts: names of grids, `TimeSteps`, or log-SNRs of the interior or of the whole grid."""
    own = [_own(method, name) for name in window.names]
    middle = [
        x if x is not None and low <= x <= high else 0.5 * (low + high)
        for x, low, high in zip(own, window.lower, window.upper, strict=True)
    ]
    inner = [_inner(start, i, schedule, window) for i, start in enumerate(starts)]
    return [np.concatenate([_feasible(x, window), middle]) for x in inner]


def _own(method: Method, name: str) -> float | None:
    """Return the value a method has for a parameter, or None where it has no number yet."""
    value: Any = method
    for part in name.split("."):
        value = getattr(value, part, None)
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _inner(start: Any, i: int, schedule: Schedule, window: Window) -> Array:
    inner = window.steps - 1
    if isinstance(start, str):
        return _named(start, schedule, window)
    if callable(start):  # an objective's own rule
        start = start(window)
    values = np.asarray(getattr(start, "log_snr", start), dtype=float)
    if values.shape == (window.steps + 1,):
        values = values[1:-1]
    if values.shape != (inner,):
        raise ValueError(
            f"starts[{i}] must have {inner} interior or {inner + 2} log-SNRs, got an array of shape {values.shape}"
        )
    whole = np.concatenate([[window.low], values, [window.high]])
    if not np.all(np.isfinite(values)) or not np.all(np.diff(whole) >= 0):
        raise ValueError(f"starts[{i}] must rise from {window.low:g} to {window.high:g} in log-SNR, got {values}")
    return values


def _named(name: str, schedule: Schedule, window: Window) -> Array:
    """Return the interior of a named grid; one that needs finite log-SNRs spans those that networks tell apart."""
    if name not in grids.NAMED:
        suggest(name, grids.NAMED, "start")
    low, high = np.clip(finite_ends(window.low, window.high), *window.inner_ends)
    if name in ("log-snr", "karras"):
        first, last = (float(schedule.time(x)) for x in (low, high))
    else:
        first = float(schedule.time(window.low)) if math.isfinite(window.low) else float(schedule.T)
        last = float(schedule.time(window.high)) if math.isfinite(window.high) else 0.0
    times: Any = grids.NAMED[name](schedule, window.steps, t_start=first, t_end=last)
    return np.array([float(schedule.log_snr(float(t))) for t in times[1:-1]])


def finite_ends(low: float, high: float) -> tuple[float, float]:
    """Return the ends, an infinite one replaced by where a sample is all but noise, or all but data."""
    inner_low = low if math.isfinite(low) else min(-NEARLY, high - NEARLY)
    inner_high = high if math.isfinite(high) else max(NEARLY, inner_low + NEARLY)
    return inner_low, inner_high


def _feasible(inner: Array, window: Window) -> Array:
    """Return these log-SNRs, moved towards even steps as little as the minimum gaps ask."""
    inner = np.clip(inner, *window.inner_ends)
    low = window.low if math.isfinite(window.low) else inner[0] - 1.0
    high = window.high if math.isfinite(window.high) else inner[-1] + 1.0
    gaps = np.where(window.finite, window.gaps, 0.0)
    whole = np.concatenate([[low], inner, [high]])
    if math.isfinite(window.low) and math.isfinite(window.high):
        even = gaps + (high - low - gaps.sum()) / window.steps
    else:
        even = np.maximum(np.full(window.steps, (high - low) / window.steps), 1.5 * gaps)
    steps = np.diff(whole)
    short = (steps < gaps) & window.finite
    share = np.max(np.where(short, (gaps - steps) / np.maximum(even - steps, 1e-300), 0.0)) if short.any() else 0.0
    if share:
        share = min(1.0, share + 1e-3)
        steps = steps + share * (even - steps)
        inner = low + np.cumsum(steps)[:-1]
    return inner
