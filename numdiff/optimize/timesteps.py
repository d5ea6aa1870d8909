r"""Optimized time steps: the public entry.

`timesteps` lays the method out once in traced numbers, builds the objective from the scheme's own coefficients,
searches by constrained trust region from several starts, and has the result certified by a check of the first-order
conditions that knows nothing of the search. See `numdiff.optimize.window` for the variables, `numdiff.optimize.search`
for the search and `numdiff.optimize.objectives` for what can be minimized.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from numdiff._names import suggest
from numdiff.methods import Method
from numdiff.methods import method as named_method
from numdiff.optimize import ends
from numdiff.optimize.compiled import Trace
from numdiff.optimize.objectives import OBJECTIVES
from numdiff.optimize.orders import best_orders, lowered
from numdiff.optimize.problem import Problem
from numdiff.optimize.result import TimeSteps
from numdiff.optimize.search import minimize
from numdiff.optimize.window import Window
from numdiff.schedules import Schedule

MISMATCH = 1e-9
"""Largest relative difference between traced and plain coefficients at a result that may be called certified."""


def timesteps(
    method: Method | str,
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
    tolerance: float = 1e-8,
    time_limit: float | None = None,
    callback: Callable[[Any], None] | None = None,
) -> TimeSteps:
    """Return the time steps at which a method does best by an objective.

    Parameters
    ----------
    method
        Any method, or the name of one.
    schedule
        The noise schedule.
    steps
        Number N of grid steps, at least 2; multi-stage methods make more evaluations than steps.
    objective
        "mixture-bank" (data-free, the default), "gaussian", "paper", "ays", or an objective object such as
        ``nd.optimize.Paper(p=1)``, ``nd.optimize.Probe(mixture)``, ``nd.optimize.Residuals(function)``.
    t_start, t_end, final_zero
        Ends of the run, as in `numdiff.grids`: by default the schedule's T and t_end; ``final_zero=True`` makes the
        last step arrive at sigma = 0, from a level that is optimized too, t_end at the latest.
    gap
        Smallest step in half log-SNR: a number, or one for every step; by default the objective's own.
    optimize
        Numeric parameters of the method to optimize beside the steps: "beta", "base.beta", "c2", ...
    bounds
        (low, high) of those parameters; needed for all but beta, c2 and c3.
    orders, final
        As in `Method.discretize`; ``orders="lowered"`` is the published list 1, 2, ..., k, ..., k, ..., 2, 1, and
        "search" looks for the best one (`numdiff.optimize.orders`).
    starts
        Where the search starts: names of grids ("log-snr", "uniform-t", "quadratic", "karras"), earlier results, or
        arrays of log-SNRs. By default the objective's own.
    tolerance
        Of the first-order conditions, relative; see `numdiff.optimize.search`.
    time_limit
        Seconds after which the best steps so far are returned, marked uncertified.
    callback
        Called with the search's progress.

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
    """
    began = time.perf_counter()
    method = named_method(method) if isinstance(method, str) else method
    _check(method, schedule, steps)
    chosen = objective_of(objective)
    levels = ends.end_levels(schedule, t_start, t_end, final_zero)
    low, high = (float(level.log_snr) for level in levels)
    near, far = ends.finite_ends(low, high)
    gaps = ends.gaps_of(gap, low, high, steps, chosen.gap(far - near, steps))
    names = _names(optimize)
    last = schedule.log_snr(schedule.t_end if t_end is None else t_end) if final_zero else ends.DEEP
    window = Window(
        low, high, int(steps), gaps, names, *ends.boxes(method, names, bounds or {}), -ends.DEEP, float(last)
    )
    usual = ends.listed(getattr(chosen, "starts", STARTS) if starts is None else starts)
    asked = {"t_start": _plain(t_start), "t_end": None if final_zero else _plain(t_end), "final": final}

    def prepared(listed: tuple[int, ...] | None) -> tuple[Trace, Problem]:
        return _prepared(chosen, method, schedule, levels, window, {"orders": listed, "final": final})

    def solve(listed: tuple[int, ...] | None, begin: Any, seconds: float | None) -> TimeSteps:
        trace, problem = prepared(listed)
        begin = begin or [*getattr(problem, "starts", ()), *usual]  # a problem may know where it was before
        points = ends.starting_points(begin, method, schedule, window)
        outcome = minimize(problem, points, tolerance=tolerance, time_limit=seconds, callback=callback)
        return _result(trace, problem, chosen, outcome, {**asked, "orders": listed}, began)

    if orders != "search":
        return solve(_orders(orders, method, steps), None, time_limit)

    def value(listed: tuple[int, ...], found: TimeSteps) -> float:
        z = np.append(found.log_snr[1:-1], list(found.parameters.values()))
        return prepared(listed)[1].evaluate(z).objective

    return best_orders(solve, value, method.points, steps, time_limit)


def _orders(orders: Any, method: Method, steps: int) -> tuple[int, ...] | None:
    if isinstance(orders, str):
        if orders != "lowered":
            suggest(orders, ("lowered", "search"), "orders")
        return lowered(method.points, steps)
    return None if orders is None else tuple(orders)


def _plain(t: float | None) -> float | None:
    return None if t is None else float(t)


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


def _check(method: Any, schedule: Any, steps: Any) -> None:
    if not isinstance(method, Method):
        raise TypeError(f"method must be a method such as nd.UniPC(3), or a method's name, got {method!r}")
    if not isinstance(schedule, Schedule):
        raise TypeError(f"schedule must be a noise schedule such as nd.schedules.VPLinear(), got {schedule!r}")
    if isinstance(steps, bool) or not isinstance(steps, (int, np.integer)):
        raise TypeError(f"steps must be a whole number, at least 2, got {steps!r}")
    if steps < 2:
        raise ValueError(f"steps must be at least 2, got {steps}: with one step there is nothing to place")


def _names(optimize: Any) -> tuple[str, ...]:
    if isinstance(optimize, str):
        optimize = (optimize,)
    names = tuple(optimize)
    if len(set(names)) < len(names) or not all(isinstance(name, str) for name in names):
        raise TypeError(f'optimize must name parameters of the method, each once, such as ("beta",), got {optimize!r}')
    return names


def _prepared(
    chosen: Any, method: Method, schedule: Schedule, levels: Any, window: Window, options: Mapping[str, Any]
) -> tuple[Trace, Problem]:
    """Return the trace and the problem; those of frozen arguments are kept for the next call."""
    box = (window.low, window.high, window.steps, tuple(window.gaps), window.names, window.lower, window.upper)
    box += (window.floor, window.ceiling)
    try:
        return _kept(chosen, method, schedule, levels, box, tuple(options.items()))
    except TypeError:  # an argument cannot be hashed: an array, say
        return _prepare(chosen, method, schedule, levels, window, options)


@lru_cache(maxsize=32)
def _kept(chosen: Any, method: Method, schedule: Schedule, levels: Any, box: Any, options: Any) -> tuple[Trace, Any]:
    low, high, steps, gaps, *rest = box
    window = Window(low, high, steps, np.array(gaps), *rest)
    return _prepare(chosen, method, schedule, levels, window, dict(options))


def _prepare(chosen: Any, method: Method, schedule: Schedule, levels: Any, window: Window, options: Any) -> Any:
    trace = Trace(method, schedule, levels, window, options)
    return trace, chosen.problem(trace)


def _result(
    trace: Trace, problem: Problem, chosen: Any, outcome: Any, asked: Mapping[str, Any], began: float
) -> TimeSteps:
    z, inner = outcome.z, trace.window.steps - 1
    off = trace.mismatch(z)
    status, message = outcome.status, outcome.message
    if off > MISMATCH:
        status = "mismatch"
        message = (
            f"the coefficients of {trace.method} at these steps differ by {off:.1e} from the function that was "
            "optimized: they are no smooth function of the steps"
        )
    errors = getattr(problem, "errors", None)
    return TimeSteps(
        trace.method,
        trace.schedule,
        chosen.name,
        trace.window.nodes(z),
        outcome.objective,
        outcome.initial_objective,
        status,
        message,
        outcome.certified and off <= MISMATCH,
        outcome.optimality,
        parameters=dict(zip(trace.window.names, z[inner:].tolist(), strict=True)),
        objective_options=_options_of(chosen),
        gap=_one_or_all(trace.window.gaps[trace.window.finite]),
        certificate=outcome.certificate,
        trace=outcome.trace,
        errors=errors(z) if errors else None,
        evaluations=outcome.evaluations,
        evaluate=lambda x: problem.evaluate(x).objective,
        seconds=time.perf_counter() - began,
        **asked,
    )


def _one_or_all(gaps: Any) -> Any:
    return float(gaps[0]) if gaps.size and np.ptp(gaps) == 0 else gaps


def _options_of(chosen: Any) -> dict[str, Any]:
    """Return the options of an objective that can be written down; the rest by their type."""
    found = {item.name: getattr(chosen, item.name) for item in fields(chosen)} if is_dataclass(chosen) else {}
    plain = (str, int, float, bool, tuple, type(None))
    return {name: x if isinstance(x, plain) else type(x).__name__ for name, x in found.items()}
