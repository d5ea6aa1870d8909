r"""Optimized time steps: the public entry.

`timesteps` lays the method out once in traced numbers, builds the objective from the scheme's own coefficients,
searches by constrained trust region from several starts, and has the result certified by a check of the first-order
conditions that knows nothing of the search. See `numdiff.optimize.window` for the variables, `numdiff.optimize.search`
for the search and `numdiff.optimize.objectives` for what can be minimized.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from numdiff._names import suggest
from numdiff.methods import Method
from numdiff.methods import method as named_method
from numdiff.optimize import ends
from numdiff.optimize.job import Job
from numdiff.optimize.objectives import OBJECTIVES
from numdiff.optimize.orders import best_orders
from numdiff.optimize.result import TimeSteps
from numdiff.optimize.window import Window
from numdiff.schedules import Schedule


def timesteps(
    method: Method | str | Callable[..., Method],
    schedule: Schedule,
    steps: int,
    *,
    objective: Any = "mixture-bank",
    t_start: float | None = None,
    t_end: float | None = None,
    final_zero: bool = False,
    gap: float | Sequence[float] | None = None,
    optimize: Sequence[str] = (),
    bounds: Mapping[str, tuple[float, float]] | None = None,
    orders: Sequence[int] | str | None = None,
    final: str | None = None,
    starts: Sequence[Any] | None = None,
    tolerance: float | None = None,
    time_limit: float | None = None,
    callback: Callable[[Any], None] | None = None,
) -> TimeSteps:
    """Return the time steps at which a method does best by an objective.

    Parameters
    ----------
    method
        Any method, the name of one, or a function that makes one of the parameters in `optimize`, by name:
        ``lambda c2: nd.DPMSolverSingle(2, c2=c2)``.
    schedule
        The noise schedule.
    steps
        Number N of grid steps, at least 2; multi-stage methods make more evaluations than steps.
    objective
        "mixture-bank" (data-free, the default), "gaussian", "paper", "ays", or an objective object such as
        ``nd.optimize.Paper(p=1)``, ``nd.optimize.Probe(mixture)``, ``nd.optimize.Residuals(function)``.
    t_start
        First time, as in `numdiff.grids`; by default the schedule's T.
    t_end
        Last time; by default the schedule's t_end.
    final_zero
        Whether the last step arrives at sigma = 0, from a level that is optimized too, t_end at the latest.
    gap
        Smallest step in half log-SNR: a number, or one for every step; by default the objective's own.
    optimize
        Numeric parameters of the method to optimize beside the steps: "beta", "base.beta", "c2", ...
    bounds
        {name: (low, high)} of those parameters; needed for all but beta, c2 and c3.
    orders, final
        As in `Method.discretize`; ``orders="lowered"`` is the published list 1, 2, ..., k, ..., k, ..., 2, 1, and
        "search" looks for the best one (`numdiff.optimize.orders`).
    starts
        Where the search starts: names of grids ("log-snr", "uniform-t", "quadratic", "karras"), earlier results, or
        arrays of log-SNRs. By default the objective's own. Objectives have several minima, of which the lowest that is
        found is returned: more starts may find a lower one. A probe that resumes from its cache starts there alone.
    tolerance
        Of the first-order conditions, relative; see `numdiff.optimize.search`. By default 1e-8, and 1e-2 for a probe on
        a float32 network, whose derivatives are no better.
    time_limit
        Seconds of search after which the best steps so far are returned, with status "time limit" and not certified.
    callback
        Called with a `Progress` at every accepted iterate; what it raises ends the search.

    Returns
    -------
    TimeSteps
        The steps, what they are worth, and whether they are certified.

    Raises
    ------
    TypeError, ValueError
        For arguments of the wrong kind or out of range: fewer than two steps, ends out of order, gaps that cannot fit,
        unknown names; for a method that cannot be laid out there or whose coefficients are not differentiable; for an
        objective that is not finite at a start.

    Examples
    --------
    >>> import numdiff as nd
    >>> found = nd.optimize.timesteps(nd.DPMSolverPP(2), nd.schedules.VPLinear(), steps=4)
    >>> found.certified, found.log_snr.shape
    (True, (5,))
    >>> print(f"{found.objective / found.initial_objective:.2f}")  # the share of the error measure that is left
    0.53
    >>> found.scheme().nfe  # runs as any other: nd.sample(found.scheme(), model, x_T, prediction="noise")
    4
    """
    if isinstance(method, str):
        method = named_method(method)
    _check(method, schedule, steps, final_zero)
    chosen = objective_of(objective)
    if tolerance is None:
        tolerance = getattr(chosen, "tolerance", 1e-8)
    levels = ends.end_levels(schedule, t_start, t_end, final_zero)
    low, high = (float(level.log_snr) for level in levels)
    near, far = ends.finite_ends(low, high)
    gaps = ends.gaps_of(gap, low, high, steps, chosen.gap(far - near, steps))
    names = ends.names_of(optimize)
    first, last = (float(x if t is None else t) for t, x in ((t_start, schedule.T), (t_end, schedule.t_end)))
    ceiling = float(schedule.log_snr(last)) if final_zero else ends.DEEP
    window = Window(low, high, int(steps), gaps, names, *ends.boxes(method, names, bounds), -ends.DEEP, ceiling)
    job = Job(
        method,
        schedule,
        levels,
        window,
        chosen,
        ends.listed(getattr(chosen, "starts", STARTS) if starts is None else starts),
        {"t_start": first, "t_end": None if final_zero else last, "final": final},
        {"tolerance": tolerance, "callback": callback},
    )
    if isinstance(orders, str) and orders == "search":
        return best_orders(job, time_limit)
    return job.solve(job.orders(orders), time_limit)


STARTS = ("log-snr", "quadratic", "uniform-t")
"""Grids from which a search starts unless its objective names others."""


def objective_of(objective: Any) -> Any:
    """Return the objective of a name, or the object itself if it is one."""
    if isinstance(objective, str):
        if objective not in OBJECTIVES:
            suggest(objective, OBJECTIVES, "objective")
        return OBJECTIVES[objective]()
    if isinstance(objective, type) or not (hasattr(objective, "problem") and hasattr(objective, "gap")):
        raise TypeError(
            f"objective must be one of {', '.join(OBJECTIVES)} or an objective such as nd.optimize.Paper(p=1), "
            f"got {objective!r}"
        )
    return objective


def _check(method: Any, schedule: Any, steps: Any, final_zero: Any) -> None:
    if not isinstance(method, Method) and (isinstance(method, type) or not callable(method)):
        raise TypeError(
            f"method must be a method such as nd.UniPC(3), a method's name, or a function making one, got {method!r}"
        )
    if not isinstance(schedule, Schedule):
        raise TypeError(f"schedule must be a noise schedule such as nd.schedules.VPLinear(), got {schedule!r}")
    if isinstance(steps, bool) or not isinstance(steps, (int, np.integer)):
        raise TypeError(f"steps must be a whole number, at least 2, got {steps!r}")
    if not isinstance(final_zero, (bool, np.bool_)):
        raise TypeError(f"final_zero must be True or False, got {final_zero!r}")
    if steps < 2:
        raise ValueError(f"steps must be at least 2, got {steps}: with one step there is nothing to place")
