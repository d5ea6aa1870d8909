"""Grids from given times, sigmas or integer timesteps, and parts of a grid."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any, cast

import numpy as np

from numdiff.grids.checks import Grid, count, decreasing, finished, numbers
from numdiff.schedules import Discrete, Schedule
from numdiff.schedules.base import check_schedule, clamp, within

__all__ = ["from_sigmas", "from_times", "from_timesteps", "subgrid"]


def from_times(schedule: Schedule, times: Sequence[float] | np.ndarray, *, final_zero: bool = False) -> Grid:
    """Return the given times as a grid, checked: strictly decreasing and inside the schedule's range.

    Parameters
    ----------
    schedule
        The noise schedule.
    times
        Strictly decreasing times, one-dimensional.
    final_zero
        Whether to append sigma = 0.

    Returns
    -------
    array or list of Level
        Times of shape (N + 1,); a list of levels where sigma = 0 is asked for and has no time.

    Raises
    ------
    TypeError
        If `schedule` is no noise schedule, or a time no number.
    ValueError
        If the times do not fall strictly, leave [0, T], or are fewer than two in the end.

    Examples
    --------
    >>> import numdiff as nd
    >>> schedule = nd.schedules.VPLinear()
    >>> nd.grids.from_times(schedule, [1.0, 0.6, 0.1], final_zero=True).tolist()
    [1.0, 0.6, 0.1, 0.0]
    >>> nd.grids.from_times(schedule, [1.0, 0.6, 0.6])
    Traceback (most recent call last):
        ...
    ValueError: times must fall strictly, but times[1] = 0.6 and times[2] = 0.6; drop one of them or reverse the order
    """
    check_schedule(schedule)
    values = numbers(times, "times")
    schedule.alpha(values)
    return finished(schedule, values, final_zero, "times")


def from_sigmas(
    schedule: Schedule, sigmas: Sequence[float] | np.ndarray, *, final_zero: bool = False, clip: bool = False
) -> Grid:
    """Return the times at which sigma/alpha takes the given values (the "sigmas" of k-diffusion).

    Parameters
    ----------
    schedule
        The noise schedule.
    sigmas
        Strictly decreasing values of rho = sigma/alpha; a trailing 0 is the clean end.
    final_zero
        Whether to append the clean end.
    clip
        Whether values beyond the schedule's ends are moved to them; otherwise they are an error. Published tables are
        rounded, and may lie just outside.

    Returns
    -------
    array or list of Level
        Times of shape (N + 1,); a list of levels where sigma = 0 is asked for and has no time.

    Raises
    ------
    TypeError
        If `schedule` is no noise schedule, or a value no number.
    ValueError
        If the values do not fall strictly, are negative, or lie outside the schedule's range.

    Examples
    --------
    The sigmas of k-diffusion for a VP model, and the timesteps that its network is given:

    >>> import numdiff as nd
    >>> schedule = nd.schedules.Discrete.stable_diffusion()
    >>> grid = nd.grids.from_sigmas(schedule, [14.6, 3.0, 0.5, 0.0])
    >>> schedule.rho(grid).round(6).tolist()
    [14.6, 3.0, 0.5, 0.0]
    >>> schedule.model_time(grid).round(1).tolist()
    [998.8, 673.2, 169.3, -1.0]
    """
    check_schedule(schedule)
    values = numbers(sigmas, "sigmas")
    if (values < 0).any() or np.isnan(values).any():
        raise ValueError(f"sigmas must not be negative or NaN, but sigmas[{int(np.argmin(values))}] = {values.min()}")
    decreasing(values, "sigmas")
    trailing = bool(values[-1] == 0)
    if trailing and final_zero:
        raise ValueError("sigmas end with 0 already; drop the 0 or final_zero=True")
    inner = values[:-1] if trailing else values
    low, high = schedule.rho(0.0), schedule.rho(schedule.T)
    if clip:
        inner = clamp(inner, low, high)
    outside = (inner > high * (1 + 1e-9)) | (inner < low * (1 - 1e-9))  # the slack that schedule.time allows for
    if outside.any():
        i = int(np.argmax(outside))
        raise ValueError(
            f"sigmas[{i}] = {inner[i]} lies outside the schedule's sigma/alpha in [{low}, {high}]; pass clip=True to "
            "move it to the end"
        )
    with np.errstate(divide="ignore"):
        return finished(schedule, schedule.time(-np.log(inner)), final_zero or trailing, "sigmas")


def from_timesteps(
    schedule: Discrete, timesteps: Sequence[int] | np.ndarray, *, final: str | None = "zero"
) -> np.ndarray:
    """Return the times of integer timesteps of a discrete schedule, and of the level after the last one.

    Parameters
    ----------
    schedule
        A table of N noise levels.
    timesteps
        Strictly decreasing integers in [0, N - 1]: table entries, as the network is given them.
    final
        What follows the last timestep: "zero", the clean end (diffusers' ``set_alpha_to_one=True``); "first-entry", the
        table's first entry (``set_alpha_to_one=False``); None, nothing.

    Returns
    -------
    array
        Times, one for each timestep and one for what follows; a timestep m is the time (m + 1)/N.

    Raises
    ------
    TypeError
        If the schedule is not `Discrete` or a timestep is not an integer.
    ValueError
        If the timesteps do not fall strictly or leave the table.

    Examples
    --------
    >>> import numdiff as nd
    >>> schedule = nd.schedules.Discrete.ddpm_linear()
    >>> grid = nd.grids.from_timesteps(schedule, [999, 749, 499, 249])
    >>> grid.tolist()
    [1.0, 0.75, 0.5, 0.25, 0.0]
    """
    if not isinstance(schedule, Discrete):
        raise TypeError(f"from_timesteps needs a Discrete schedule, not {schedule!r}; use from_times")
    values = numbers(timesteps, "timesteps")
    if not (values == np.round(values)).all():
        raise TypeError(f"timesteps must be integers, not {timesteps!r}; use from_times for times between entries")
    decreasing(values, "timesteps")
    times = schedule.from_model_time(within(values, 0, schedule.N - 1, "timesteps"))
    if final is None:
        return cast(np.ndarray, finished(schedule, times, False, "timesteps"))
    if final not in ("zero", "first-entry"):
        raise ValueError(f"final must be 'zero', 'first-entry' or None, not {final!r}")
    if final == "first-entry" and values[-1] == 0:
        raise ValueError("the last timestep is the first entry already; use final='zero' or final=None")
    last = 0.0 if final == "zero" else schedule.t_end
    return np.append(times, last)


def subgrid(grid: Any, *, every: int | None = None, indices: Iterable[int] | None = None) -> Any:
    """Return part of a grid, of the same kind: array, tensor (with its gradient) or list of levels.

    Parameters
    ----------
    grid
        Times or levels.
    every
        Keep every so manieth point, first and last included; must divide the number of steps.
    indices
        Or the indices to keep, rising strictly, at least two; negative ones count from the end.

    Returns
    -------
    array, tensor or list of Level
        The chosen points, in order.

    Raises
    ------
    TypeError
        For an index that is no integer.
    ValueError
        If not exactly one of `every` and `indices` is given, or they do not fit the grid.

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> grid = np.linspace(1.0, 0.0, 5)
    >>> nd.grids.subgrid(grid, every=2).tolist(), nd.grids.subgrid(grid, indices=[0, 3, -1]).tolist()
    ([1.0, 0.5, 0.0], [1.0, 0.25, 0.0])
    """
    if (every is None) == (indices is None):
        raise ValueError("give exactly one of every and indices")
    points = len(grid)
    if every is not None:
        if count(every, "every") > points - 1 or (points - 1) % every:
            raise ValueError(f"every = {every} must divide the grid's {points - 1} steps; use indices to choose freely")
        return grid[::every]
    chosen = [_index(i, points) for i in cast(Iterable[int], indices)]
    if len(chosen) < 2 or any(a >= b for a, b in itertools.pairwise(chosen)):
        raise ValueError(f"indices must rise strictly and be at least two, but are {chosen}")
    return [grid[i] for i in chosen] if isinstance(grid, (list, tuple)) else grid[chosen]


def _index(i: Any, points: int) -> int:
    if isinstance(i, (bool, np.bool_)) or not isinstance(i, (int, np.integer)):
        raise TypeError(f"indices must be integers, not {i!r}")
    if not -points <= i < points:
        raise ValueError(f"index {i} is outside a grid of {points} points")
    return int(i) % points
