r"""Time grids: where a sampler stops between noise and data.

A grid for a schedule is a float64 array of strictly decreasing times t_0 > t_1 > ... > t_N, N = `steps`; the sampler
goes from t_0 (`t_start`, by default the schedule's T) to t_N (`t_end`, by default the schedule's own t_end, where the
log-SNR lambda = log(alpha/sigma) is finite). Each rule is uniform in some function of t:

- `uniform_t`:        t itself;
- `power`:            t^(1/q); q = 2 is DDIM's "quadratic" spacing;
- `uniform_log_snr`:  lambda (DPM-Solver, Lu et al. 2022, arXiv:2206.00927);
- `karras`:           rho^(1/7), rho = sigma/alpha = e^(-lambda) (Karras et al. 2022, arXiv:2206.00364, eq. 5);
- `from_times`, `from_sigmas`, `from_timesteps`: given values.

With ``final_zero=True`` the last of the `steps` steps goes from t_end to the clean end, sigma = 0, as in Karras et al.;
the rule then spaces the others. Where the schedule reaches sigma = 0 that end is t = 0; where it does not (VE starts at
sigma_min), no time stands for it, and the grid is a list of `Level` whose last is clean.

`levels` turns any of these, or plain times, into what a method works with.
"""

from __future__ import annotations

from typing import Any

from numdiff._names import suggest
from numdiff.grids import checks
from numdiff.grids.given import from_sigmas, from_times, from_timesteps, subgrid
from numdiff.grids.points import levels
from numdiff.grids.spacing import karras, power, uniform_log_snr, uniform_t

#: What the rules return, a float64 array of times of shape (N + 1,) or a list of N + 1 levels.
Grid = checks.Grid

NAMED = {"uniform-t": uniform_t, "log-snr": uniform_log_snr, "quadratic": power, "karras": karras}
"""Rules that need a schedule and a number of steps only, by the names that the command line uses."""


def named(name: str, schedule: Any, steps: int) -> Any:
    """Return the grid of that name.

    Parameters
    ----------
    name
        A key of `NAMED`, as the command line has them.
    schedule
        The noise schedule.
    steps
        Number of steps, at least 1.

    Returns
    -------
    array or list of Level
        ``NAMED[name](schedule, steps)``, from the schedule's T to its ``t_end``.

    Raises
    ------
    ValueError
        For an unknown name, with the nearest known one.

    Examples
    --------
    >>> import numdiff as nd
    >>> sorted(nd.grids.NAMED)
    ['karras', 'log-snr', 'quadratic', 'uniform-t']
    >>> schedule = nd.schedules.EDM()
    >>> nd.grids.named("karras", schedule, 4).round(3).tolist()
    [80.0, 17.528, 2.515, 0.17, 0.002]
    """
    if name not in NAMED:
        suggest(name, NAMED, "grid")
    return NAMED[name](schedule, steps)


__all__ = [
    "NAMED",
    "Grid",
    "from_sigmas",
    "from_times",
    "from_timesteps",
    "karras",
    "levels",
    "named",
    "power",
    "subgrid",
    "uniform_log_snr",
    "uniform_t",
]
