r"""Lists of sigmas by name, as k-diffusion and ComfyUI take them: falling, float32, ending with 0.

A sigma is sigma/alpha, the noise of a sample scaled to alpha = 1, or sigma/(alpha + sigma) for flow schedules
(`numdiff.optimize.sigmas`). With s_max and s_min at the ends of the run and N steps, the last of which goes on to 0,

- "karras":            s^(1/rho) uniform, rho = 7
- "exponential":       log s uniform
- "polyexponential":   log s = log s_min + (log s_max - log s_min) u^rho, u uniform from 1 to 0
- "uniform-t", "quadratic":  the schedule's time, or its square root, uniform
- "beta":              the network's time at quantiles of the beta distribution (0.6, 0.6), for u = 1, 1 - 1/N, ...
- "ays-sd15", "ays-sdxl", "ays-deepfloyd-if", "ays-svd":  the published tables, log-linear for other N, the last
  entry replaced by 0; for models whose noise reaches as far (700 for "svd")
- "optimized":         `numdiff.optimize.timesteps` for ``method``

A grid of `numdiff.grids`, or a result of `numdiff.optimize`, may be given in place of a name.

"beta" is ComfyUI's rule (Lee et al., arXiv:2407.12173) without its rounding to entries of a table, which can name an
entry twice.

Sources: Karras et al., arXiv:2206.00364, eq. 5; Crowson, k-diffusion, ``get_sigmas_*``; Sabour et al., Align your
steps, arXiv:2404.14507.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from inspect import signature
from typing import Any

import numpy as np
import torch

from numdiff import grids, schedules
from numdiff._names import suggest
from numdiff.grids.checks import count
from numdiff.schedules import Schedule
from numdiff.schedules.base import plain, positive, scalar

__all__ = ["RULES", "sigmas"]

Array = Any


def sigmas(
    schedule: Schedule | str,
    steps: int | None = None,
    grid: Any = "karras",
    *,
    final_zero: bool = True,
    t_start: float | None = None,
    t_end: float | None = None,
    device: Any = None,
    dtype: Any = torch.float32,
    **options: Any,
) -> torch.Tensor:
    """Return a list of sigmas.

    Parameters
    ----------
    schedule
        The noise schedule or its name: where the sigmas begin and end, and their convention.
    steps
        Number of steps, the one to 0 included. Not needed where `grid` holds the nodes.
    grid
        A name (listed in `numdiff.adapters.sigma_lists`), times or levels as `numdiff.grids` makes them, or a
        `numdiff.optimize.TimeSteps`.
    final_zero
        Whether the list ends with 0.
    t_start
        First time of the schedule; not for published tables and given nodes.
    t_end
        Last time of the schedule before the 0; likewise.
    device
        Where the tensor shall live.
    dtype
        The tensor's dtype.
    **options
        ``rho`` for "karras" and "polyexponential", ``alpha`` and ``beta`` for "beta", ``exponent`` for "quadratic",
        and for "optimized" ``method`` (by default DPM-Solver++ of order 3) and what `nd.optimize.timesteps` takes.

    Returns
    -------
    Tensor
        Shape (steps + 1,), falling strictly.

    Raises
    ------
    ValueError
        For an unknown name, with the nearest; for ends out of range, and tables that begin beyond the schedule's noise;
        if the list does not fall strictly in `dtype`; for a device that is not there.
    TypeError
        For options that the rule does not have.

    Examples
    --------
    >>> from numdiff.adapters import sigma_lists
    >>> [f"{sigma:.3f}" for sigma in sigma_lists.sigmas("edm", 4)]
    ['80.000', '9.723', '0.470', '0.002', '0.000']
    >>> [f"{sigma:.3f}" for sigma in sigma_lists.sigmas("stable-diffusion", 4, "ays-sd15")]
    ['14.615', '3.227', '1.396', '0.510', '0.000']
    """
    schedule = schedules.get(schedule)
    ends = {"t_start": t_start, "t_end": t_end}
    if isinstance(grid, str):
        if grid not in RULES:
            suggest(grid, RULES, "grid")
        if steps is None:
            raise ValueError(f'steps is missing: grid="{grid}" needs the number of steps, for example 10')
        _check_options(grid, options)
        values = RULES[grid](schedule, count(steps, "steps"), final_zero, **ends, **options)
    else:
        _refuse(ends | options, "nodes that are given")
        values = _given(schedule, grid, final_zero)
        if steps is not None and len(values) != steps + 1:
            raise ValueError(f"the grid makes {len(values) - 1} steps, got steps = {steps}; leave it out")
        if not (np.diff(values) < 0).all():
            raise ValueError(f"the grid must fall from noise to data, its sigmas are {list(map(float, values))}")
    try:
        made = torch.tensor(np.asarray(values, dtype=np.float64)).to(device=device, dtype=dtype)
    except (AssertionError, RuntimeError) as error:  # what torch raises where it was built without CUDA, or has none
        raise ValueError(f"device = {device!r} cannot be used here: {error}") from error
    if not bool((made[1:] < made[:-1]).all()):
        raise ValueError(
            f"the sigmas do not fall strictly in {dtype}; take fewer steps or a wider dtype: {made.tolist()}"
        )
    return made


def _check_options(grid: str, options: dict[str, Any]) -> None:
    """Refuse options that a rule does not have, with those that it has."""
    known = OPTIONS.get(grid, ())
    if grid == "optimized":
        from numdiff.optimize import timesteps

        known = ("method", *signature(timesteps).parameters)
    if wrong := [key for key in options if key not in known]:
        raise TypeError(f'grid="{grid}" has no option {", ".join(wrong)}; it takes {", ".join(known) or "none"}')


def _refuse(options: dict[str, Any], what: str) -> None:
    given = [key for key, value in options.items() if value is not None]
    if given:
        raise TypeError(f"{what} take no {', '.join(given)}; leave that out")


def _given(schedule: Schedule, grid: Any, final_zero: bool) -> Array:
    """Return the sigmas of nodes, with a 0 behind them where one is asked for."""
    if hasattr(grid, "log_snr") and hasattr(grid, "orders"):
        from numdiff.optimize import sigmas as of_result

        return of_result(grid, final_zero=final_zero)
    values = _of_levels(schedule, grids.levels(schedule, grid))
    return np.append(values, 0.0) if final_zero and values[-1] > 0 else values


def _of_levels(schedule: Schedule, levels: Sequence[Any]) -> Array:
    """Return the sigmas of levels, in the schedule's convention."""
    if schedule.is_flow:
        return np.array([plain(level.sigma / (level.alpha + level.sigma)) for level in levels])
    found = np.array([plain(level.rho) for level in levels])
    if math.isinf(found[0]):
        raise ValueError("sigma/alpha is infinite at the first node, where alpha = 0; choose t_start below T")
    return found


def _rule(name: Callable[..., Any]) -> Callable[..., Array]:
    def make(schedule: Schedule, steps: int, final_zero: bool, **options: Any) -> Array:
        made = name(schedule, steps, final_zero=final_zero, **options)
        return _of_levels(schedule, grids.levels(schedule, made))

    return make


def _ends(schedule: Schedule, t_start: float | None, t_end: float | None) -> tuple[float, float]:
    start = plain(scalar(schedule.T if t_start is None else t_start, "t_start"))
    end = plain(scalar(schedule.t_end if t_end is None else t_end, "t_end"))
    if not 0 <= end < start <= schedule.T:
        raise ValueError(f"need T >= t_start > t_end >= 0, but T = {schedule.T}, t_start = {start}, t_end = {end}")
    return start, end


def _polyexponential(
    schedule: Schedule, steps: int, final_zero: bool, *, t_start: Any = None, t_end: Any = None, rho: float = 1.0
) -> Array:
    positive(rho, "rho")
    low, high = (-plain(schedule.log_snr(t)) for t in _ends(schedule, t_start, t_end)[::-1])
    if math.isinf(high) or math.isinf(low):
        raise ValueError("the log-SNR is infinite at an end; choose t_start below T and t_end above 0")
    ramp = np.linspace(1, 0, steps if final_zero else steps + 1) ** rho
    log_rho = low + ramp * (high - low)
    values = 1 / (1 + np.exp(-log_rho)) if schedule.is_flow else np.exp(log_rho)
    return np.append(values, 0.0) if final_zero else values


def _beta(
    schedule: Schedule,
    steps: int,
    final_zero: bool,
    *,
    t_start: Any = None,
    t_end: Any = None,
    alpha: float = 0.6,
    beta: float = 0.6,
) -> Array:
    positive(alpha, "alpha")
    positive(beta, "beta")
    try:
        from scipy.stats import beta as distribution
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError('grid="beta" needs scipy; pip install scipy') from error
    start, end = _ends(schedule, t_start, t_end)
    u = 1 - np.arange(steps) / steps if final_zero else np.linspace(1, 0, steps + 1)
    times = end + (start - end) * distribution.ppf(u, alpha, beta)
    values = _of_levels(schedule, [schedule.level(float(t)) for t in times])
    return np.append(values, 0.0) if final_zero else values


def _published(name: str) -> Callable[..., Array]:
    def make(schedule: Schedule, steps: int, final_zero: bool, **options: Any) -> Array:
        from numdiff.optimize.objectives.ays import interpolated

        _refuse(options, "published tables")
        values = interpolated(name, steps)
        if schedule.is_flow:
            raise ValueError(f'grid="ays-{name}" is a table of sigma/alpha, and {schedule.name!r} is a flow schedule')
        largest = plain(schedule.rho(schedule.T))
        if values[0] > 1.01 * largest:
            raise ValueError(
                f'grid="ays-{name}" runs from sigma/alpha = {values[0]:g}, and the schedule ends at {largest:g}; it is '
                "the table of another model: choose one whose noise reaches no further"
            )
        return np.append(values[:-1], 0.0) if final_zero else values

    return make


def _optimized(
    schedule: Schedule, steps: int, final_zero: bool, *, method: Any = ("dpmpp", 3), **options: Any
) -> Array:
    from numdiff.methods.registry import method as build
    from numdiff.optimize import sigmas as of_result
    from numdiff.optimize import timesteps

    chosen = build(method[0], order=method[1]) if isinstance(method, tuple) else method
    return of_result(timesteps(chosen, schedule, steps, final_zero=final_zero, **options))


RULES: dict[str, Callable[..., Array]] = {
    "karras": _rule(grids.karras),
    "exponential": _rule(grids.uniform_log_snr),
    "polyexponential": _polyexponential,
    "uniform-t": _rule(grids.uniform_t),
    "quadratic": _rule(grids.power),
    "beta": _beta,
    **{f"ays-{name}": _published(name) for name in ("sd15", "sdxl", "deepfloyd-if", "svd")},
    "optimized": _optimized,
}
"""What makes each named list."""

OPTIONS = {
    "karras": ("rho",),
    "polyexponential": ("rho",),
    "quadratic": ("exponent",),
    "beta": ("alpha", "beta"),
}
"""The further options of each; of "optimized" they are those of `numdiff.optimize.timesteps`."""
