"""From a grid, in any of the forms a caller may hold it, to the levels that a method works with."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, cast

from numdiff.elementary import Number, kind
from numdiff.level import Level
from numdiff.schedules import Schedule
from numdiff.schedules.base import check_schedule, plain, scalar

__all__ = ["levels"]


def levels(schedule: Schedule | None, grid: Any) -> tuple[Level, ...]:
    """Return the levels of a grid, checked.

    Parameters
    ----------
    schedule
        The noise schedule, or None for the plain times of an ODE.
    grid
        Times (list, tuple, 1-D array or tensor) or `Level` objects, at least two. They may fall (noise to data) or rise
        (data to noise), but strictly.

    Returns
    -------
    tuple of Level
        One for each point, with Python float entries. Times that are tensors requiring a gradient stay 0-d float64
        tensors on the CPU (float32 ones are promoted; the gradient flows back to them), and with `schedule` None exact
        times (`Fraction`, SymPy numbers) stay exact.

    Raises
    ------
    TypeError
        If an entry is not a number or a level, or `schedule` is neither a schedule nor None.
    ValueError
        If there are fewer than two points, or they are not one-dimensional, finite and strictly monotone:
        ``times must be strictly monotone, but t[3] = 0.2 and t[4] = 0.2; drop one of them``.

    Examples
    --------
    >>> import numdiff as nd
    >>> for level in nd.grids.levels(nd.schedules.EDM(), [80.0, 2.0, 0.0]):
    ...     print(level.time, level.alpha, level.sigma)
    80.0 1.0 80.0
    2.0 1.0 2.0
    0.0 1.0 0.0

    >>> nd.grids.levels(None, [0.0, 0.5, 0.5])
    Traceback (most recent call last):
        ...
    ValueError: times must be strictly monotone, but t[1] = 0.5 and t[2] = 0.5; drop one of them
    """
    if schedule is not None:
        check_schedule(schedule, ", or None")
    entries = _entries(grid)
    if len(entries) < 2:
        raise ValueError(f"a grid needs at least two times, but has {len(entries)}")
    given = [isinstance(entry, Level) for entry in entries]
    if any(given):
        if not all(given):
            raise TypeError("a grid must be all times or all levels, not both")
        if schedule is not None:
            _monotone([level.log_snr for level in entries], "log-SNRs", "log_snr")
        _monotone([level.time for level in entries], "times", "t")
        return tuple(entries)
    times = [_time(entry, i, exact=schedule is None) for i, entry in enumerate(entries)]
    _monotone(times, "times", "t")
    return tuple(Level.of_time(t) if schedule is None else schedule.level(t) for t in times)


def _entries(grid: Any) -> Sequence[Any]:
    if isinstance(grid, (str, bytes, dict)) or not hasattr(grid, "__len__"):
        raise TypeError(f"a grid must be a sequence of times or levels, not {type(grid).__name__} {grid!r}")
    if getattr(grid, "ndim", 1) != 1:
        raise ValueError(f"times must be one-dimensional, but have shape {tuple(grid.shape)}")
    return cast(Sequence[Any], grid)


def _time(entry: Any, i: int, *, exact: bool) -> Number:
    if exact and (isinstance(entry, Fraction) or type(entry).__module__.split(".")[0] in ("sympy", "mpmath")):
        return entry
    value = scalar(entry, f"t[{i}]")
    if not math.isfinite(plain(value)):
        raise ValueError(f"times must be finite, but t[{i}] = {plain(value)}")
    return value


def _monotone(values: Sequence[Number], what: str, symbol: str) -> None:
    """Raise unless the values strictly fall or strictly rise; symbols that cannot be compared pass."""
    signs = [_sign(b, a) for a, b in itertools.pairwise(values)]
    direction = next((sign for sign in signs if sign), 1)
    for i, sign in enumerate(signs):
        if sign is not None and sign != direction:
            raise ValueError(
                f"{what} must be strictly monotone, but {symbol}[{i}] = {_shown(values[i])} and {symbol}[{i + 1}] = "
                f"{_shown(values[i + 1])}; drop one of them"
            )


def _sign(a: Number, b: Number) -> int | None:
    try:
        return int(bool(a > b)) - int(bool(a < b))
    except TypeError:  # SymPy cannot tell
        return None


def _shown(x: Number) -> Any:
    return plain(x) if kind(x) == "torch" else x
