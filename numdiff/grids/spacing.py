"""Grids that are uniform in a function of t; the rules are listed in the package's docstring."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from numdiff.elementary import Number
from numdiff.grids.checks import Grid, count, finished
from numdiff.schedules import Schedule
from numdiff.schedules.base import check_schedule, plain, positive, scalar

__all__ = ["karras", "power", "uniform_log_snr", "uniform_t"]


def uniform_t(
    schedule: Schedule,
    steps: int,
    *,
    t_start: float | None = None,
    t_end: float | None = None,
    final_zero: bool = False,
) -> Grid:
    """Return times uniform in t.

    Parameters
    ----------
    schedule
        The noise schedule.
    steps
        Number of steps, at least 1; the grid has ``steps + 1`` points.
    t_start
        First time, at most T; by default ``schedule.T``.
    t_end
        Last time, at least 0 and below t_start; by default ``schedule.t_end``.
    final_zero
        Whether the last step goes on from t_end to sigma = 0.

    Returns
    -------
    array or list of Level
        Float64 times of shape (steps + 1,), strictly falling, with both ends exactly as given; a list of as many levels
        where sigma = 0 has no time.

    Raises
    ------
    ValueError
        If `steps` is no integer of at least 1, or the ends are out of order or of the schedule's range.
    TypeError
        If `schedule` is no noise schedule, or an end no number.

    Examples
    --------
    >>> import numdiff as nd
    >>> schedule = nd.schedules.VPLinear()
    >>> nd.grids.uniform_t(schedule, 4, t_end=0.0).tolist()
    [1.0, 0.75, 0.5, 0.25, 0.0]
    >>> nd.grids.uniform_t(schedule, 4, final_zero=True).round(3).tolist()
    [1.0, 0.667, 0.334, 0.001, 0.0]
    """
    return _spaced(schedule, steps, t_start, t_end, final_zero, _identity, _identity)


def power(
    schedule: Schedule,
    steps: int,
    *,
    exponent: float = 2.0,
    t_start: float | None = None,
    t_end: float | None = None,
    final_zero: bool = False,
) -> Grid:
    """Return times uniform in t^(1/exponent); exponent 2 is DDIM's "quadratic" spacing.

    Parameters
    ----------
    schedule
        The noise schedule.
    steps
        Number of steps, at least 1; the grid has ``steps + 1`` points.
    t_start
        First time, at most T; by default ``schedule.T``.
    t_end
        Last time, at least 0 and below t_start; by default ``schedule.t_end``.
    final_zero
        Whether the last step goes on from t_end to sigma = 0.
    exponent
        A positive number.

    Returns
    -------
    array or list of Level
        Float64 times of shape (steps + 1,), strictly falling, with both ends exactly as given; a list of as many levels
        where sigma = 0 has no time.

    Raises
    ------
    TypeError, ValueError
        As in `uniform_t`, and for an exponent that is not positive and finite.

    Examples
    --------
    >>> import numdiff as nd
    >>> nd.grids.power(nd.schedules.VPLinear(), 4, t_end=0.0).tolist()  # (n/4)^2
    [1.0, 0.5625, 0.25, 0.0625, 0.0]
    """
    positive(exponent, "exponent")
    return _spaced(schedule, steps, t_start, t_end, final_zero, lambda t: t ** (1 / exponent), lambda u: u**exponent)


def uniform_log_snr(
    schedule: Schedule,
    steps: int,
    *,
    t_start: float | None = None,
    t_end: float | None = None,
    final_zero: bool = False,
) -> Grid:
    """Return times uniform in the log-SNR, which must be finite at both ends.

    Parameters
    ----------
    schedule
        The noise schedule.
    steps
        Number of steps, at least 1; the grid has ``steps + 1`` points.
    t_start
        First time, at most T; by default ``schedule.T``.
    t_end
        Last time, at least 0 and below t_start; by default ``schedule.t_end``.
    final_zero
        Whether the last step goes on from t_end to sigma = 0.

    Returns
    -------
    array or list of Level
        Float64 times of shape (steps + 1,), strictly falling, with both ends exactly as given; a list of as many levels
        where sigma = 0 has no time.

    Raises
    ------
    TypeError, ValueError
        As in `uniform_t`, and where the log-SNR is infinite at an end, with the remedy.

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> schedule = nd.schedules.VPLinear()
    >>> grid = nd.grids.uniform_log_snr(schedule, 10)
    >>> np.diff(schedule.log_snr(grid)).round(3).tolist()
    [0.958, 0.958, 0.958, 0.958, 0.958, 0.958, 0.958, 0.958, 0.958, 0.958]
    """
    to_log_snr = _finite_log_snr(schedule)
    return _spaced(schedule, steps, t_start, t_end, final_zero, to_log_snr, schedule.time)


def karras(
    schedule: Schedule,
    steps: int,
    *,
    rho: float = 7.0,
    t_start: float | None = None,
    t_end: float | None = None,
    final_zero: bool = False,
) -> Grid:
    """Return times uniform in (sigma/alpha)^(1/rho), which must be finite and positive at both ends.

    Parameters
    ----------
    schedule
        The noise schedule.
    steps
        Number of steps, at least 1; the grid has ``steps + 1`` points.
    t_start
        First time, at most T; by default ``schedule.T``.
    t_end
        Last time, at least 0 and below t_start; by default ``schedule.t_end``.
    final_zero
        Whether the last step goes on from t_end to sigma = 0.
    rho
        A positive number; 7 as published.

    Returns
    -------
    array or list of Level
        Float64 times of shape (steps + 1,), strictly falling, with both ends exactly as given; a list of as many levels
        where sigma = 0 has no time.

    Raises
    ------
    TypeError, ValueError
        As in `uniform_log_snr`, and for a `rho` that is not positive and finite.

    References
    ----------
    Karras, Aittala, Aila, Laine, Elucidating the design space, arXiv:2206.00364, equation 5.

    Examples
    --------
    The noise levels of Karras et al. for 5 steps, the last one to 0:

    >>> import numdiff as nd
    >>> nd.grids.karras(nd.schedules.EDM(), 5, final_zero=True).round(3).tolist()
    [80.0, 17.528, 2.515, 0.17, 0.002, 0.0]
    """
    positive(rho, "rho")
    to_log_snr = _finite_log_snr(schedule)

    def forward(t: float) -> float:
        return math.exp(-to_log_snr(t) / rho)

    return _spaced(schedule, steps, t_start, t_end, final_zero, forward, lambda u: schedule.time(-rho * np.log(u)))


def _identity(x: Number) -> Number:
    return x


def _finite_log_snr(schedule: Schedule) -> Callable[[float], float]:
    check_schedule(schedule)

    def log_snr(t: float) -> float:
        value = schedule.log_snr(t)
        if math.isinf(value):
            name, remedy = (
                ("t_start", "below T") if value < 0 else ("t_end", "above 0 (and final_zero=True to go on to 0)")
            )
            raise ValueError(f"the log-SNR is infinite at t = {t}; choose {name} {remedy}")
        return float(value)

    return log_snr


def _spaced(
    schedule: Schedule,
    steps: int,
    t_start: float | None,
    t_end: float | None,
    final_zero: bool,
    forward: Callable[[float], float],
    backward: Callable[[np.ndarray], np.ndarray],
) -> Grid:
    """Return times uniform in forward(t), with both ends exactly as given."""
    check_schedule(schedule)
    inner = count(steps, "steps") - bool(final_zero)
    start = plain(scalar(schedule.T if t_start is None else t_start, "t_start"))
    end = plain(scalar(schedule.t_end if t_end is None else t_end, "t_end"))
    if not 0 <= end < start <= schedule.T:
        raise ValueError(f"need T >= t_start > t_end >= 0, but T = {schedule.T}, t_start = {start}, t_end = {end}")
    first, last = forward(start), forward(end)
    times = np.array([start])
    if inner:
        middle = backward(first + (last - first) * np.arange(1, inner) / inner)
        times = np.concatenate([times, middle, [end]])
    return finished(schedule, times, final_zero, "times")
