r"""Stage 3: the order that runs show, beside the one that is claimed.

A method runs with N, 2N, 4N, ... steps on a problem whose solution is known; the slope of log(error) against log(step)
is its observed order (`numdiff.properties.order`). Toy equations have closed solutions, mixtures a reference flow.

**Grids.** "uniform" in t; "log-snr": uniform in log-SNR (mixtures); "alternating", "random" and "refined" as in
`numdiff.grids.patterns`, laid out in t for an equation and in log-SNR for a mixture.

**What theory expects** of a method of claimed order p:

- start "lower" begins with a step of order 1, whose local error O(h^2) stays: min(p, 2);
- weights for equal steps on unequal ones ("published"): min(p, 2) on a smooth grid, where neighbouring steps differ by
  O(h^2), or jump a fixed number of times ("refined"), and min(p, 1) where they alternate or are random; GHVB's need a
  velocity that is there already, so v_0 = f_0 leaves them min(p, 2) on equal steps too;
- otherwise p.

These are limits: a coefficient that happens to be small hides a low order over any range of steps, and the slope is
then above the expectation.

A mixture runs between two moderate log-SNRs. Above the first of them the exact noise prediction hardly changes, and a
start of low order would leave no trace to be measured.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numdiff.grids.patterns import PATTERNS
from numdiff.grids.patterns import fractions as part_of_steps
from numdiff.methods.splitting import Splitting
from numdiff.study.progress import Progress
from numdiff.study.settings import OrderSettings, Spec

GRIDS = (*PATTERNS, "log-snr")
STARTS = ("lower", "runge-kutta", "exact")
LOG_SNR = (-1.0, 3.0)
"""First and last log-SNR of a run on a mixture."""

TOLERANCE = 0.3
"""How far a slope may lie from an order and still be called it: less than half way to the next order."""

Run = Callable[[int], Any]
Floats = NDArray[np.float64]


def fractions(grid: str, steps: int, seed: int) -> Floats:
    """Return steps + 1 numbers from 0 to 1, spaced as `grid` says."""
    if grid not in GRIDS:
        raise ValueError(f"grid must be one of {', '.join(GRIDS)}, got {grid!r}")
    return part_of_steps("uniform" if grid == "log-snr" else grid, steps, seed)


@lru_cache(maxsize=1)
def problem_names() -> tuple[str, ...]:
    """Return the names of all equations and mixtures."""
    from numdiff import problems

    return (*problems.odes(), *_mixtures())


def observe(
    method: Any, problem: str, *, start: str, grid: str, steps: tuple[int, ...], points: int = 32, seed: int = 0
) -> Any:
    """Return the observed order of a method on a named problem.

    Parameters
    ----------
    method
        Any method.
    problem
        A name of `problem_names`.
    start
        "lower", "runge-kutta" or "exact".
    grid
        "uniform", "alternating", "random", "refined", or "log-snr" for a mixture.
    steps
        Numbers of steps, at least three.
    points
        Samples of a mixture.
    seed
        Of the random grid and of the samples.

    Returns
    -------
    OrderEstimate

    Raises
    ------
    ValueError
        For unknown names, and for too few steps.
    """
    from numdiff import problems
    from numdiff._names import suggest
    from numdiff.properties.order import observed

    odes = problems.odes()
    _check_kind(method)
    if problem in odes:
        if grid == "log-snr":
            raise ValueError(f"grid log-snr needs a diffusion, and {problem} is an equation; use {', '.join(PATTERNS)}")
        run, reference, floor = _on_ode(method, odes[problem], start, grid, seed)
    elif problem in problem_names():
        run, reference, floor = _on_mixture(method, problem, start, grid, points, seed)
    else:
        suggest(problem, problem_names(), "problem")
    return observed(run, steps, reference=reference, floor=floor)


def _check_kind(method: Any) -> None:
    """Refuse what does not follow the flow that errors are measured against."""
    if method.stochastic:
        raise ValueError(
            f"{method} adds noise, and its samples do not approach those of the flow; it claims weak order "
            f"{method.weak_order}, of expectations. Ask about it without noise: tau=0, eta=0, norm=0 or "
            "S_churn=0, what it has of these"
        )
    if isinstance(method, Splitting):
        raise ValueError(f"{method} evaluates a condition beside the model, and the problems here have none")


def _on_ode(method: Any, ode: Any, start: str, grid: str, seed: int) -> tuple[Run, Any, float | None]:
    from numdiff.drivers import solve_ivp

    first, last = ode.t_span

    def run(steps: int) -> Any:
        times = first + (last - first) * fractions(grid, steps, seed)
        with np.errstate(over="ignore", invalid="ignore"):
            return _finite(lambda: solve_ivp(method, ode.fun, times, ode.y0, start=start, exact=ode.exact), ode.y0)

    return run, ode.exact(last), None


@lru_cache(maxsize=1)
def _mixtures() -> Any:
    from numdiff import problems

    return problems.mixtures()


@lru_cache(maxsize=8)
def _reference(problem: str, points: int, seed: int) -> tuple[Any, Any, Any]:
    """Return the mixture, samples at the first level, and where the exact flow takes them."""
    mixture, schedule = _mixtures()[problem], _schedule()
    top, bottom = (schedule.time(x) for x in LOG_SNR)
    x = mixture.sample_level(points, schedule.level(top), np.random.default_rng(seed))
    return mixture, x, mixture.flow(schedule, x, top, bottom)


@lru_cache(maxsize=1)
def _schedule() -> Any:
    from numdiff.schedules import VPLinear

    return VPLinear()


def _on_mixture(method: Any, problem: str, start: str, grid: str, points: int, seed: int) -> tuple[Run, Any, float]:
    from numdiff.drivers import sample

    schedule = _schedule()
    mixture, x, reference = _reference(problem, points, seed)
    model, first = mixture.model(schedule, prediction="noise"), schedule.level(schedule.time(LOG_SNR[0]))

    def exact(level: Any) -> Any:
        return mixture.flow(schedule, x, first, level).x

    def run(steps: int) -> Any:
        scheme = method.discretize(schedule, times(schedule, grid, steps, seed), start=start)
        return _finite(lambda: sample(scheme, model, x, prediction="noise", exact=exact), x)

    # The reference knows its own error; at ten times that, measured errors mean nothing. 1e-13 is its rounding.
    return run, reference.x, 10 * float(np.sqrt(np.mean(np.square(reference.error)))) + 1e-13


def times(schedule: Any, grid: str, steps: int, seed: int) -> Floats:
    """Return the times of a grid between the two log-SNRs of `LOG_SNR`."""
    part, (first, last) = fractions(grid, steps, seed), LOG_SNR
    top, bottom = schedule.time(first), schedule.time(last)
    inner = (
        top + (bottom - top) * part[1:-1] if grid == "uniform" else schedule.time(first + (last - first) * part[1:-1])
    )
    return np.concatenate([[top], inner, [bottom]])


def _finite(run: Callable[[], Any], like: Any) -> Any:
    """Return what a run returns, or NaN where it ran away, which is a result and not a mistake."""
    try:
        return run()
    except ValueError as error:
        if "not finite" not in str(error):
            raise
        return np.full_like(np.asarray(like, dtype=float), np.nan)


# --- the stage --------------------------------------------------------------------------------------------------------


def expected(spec: Spec, order: int, one_step: bool, start: str, grid: str, diffusion: bool) -> int:
    """Return the order that theory expects of a case; see the module's text."""
    if one_step:
        return order
    if start == "lower":
        order = min(order, 2)
    if spec.family != "plms" and spec.weights != "uniform":
        return order
    if grid in ("alternating", "random"):
        return min(order, 1)
    return min(order, 2) if diffusion or grid == "refined" or spec.family == "ghvb" else order


def cases(settings: OrderSettings) -> list[tuple[str, bool, Spec, str, str]]:
    """Return (problem, is it a diffusion, method, start, grid) of every case; one-step methods have one start only."""
    found = []
    for names, specs, pairs, diffusion in (
        (settings.odes, settings.ode_methods, settings.ode_cases, False),
        (settings.mixtures, settings.mixture_methods, settings.mixture_cases, True),
    ):
        for problem in names:
            for spec in specs:
                seen: set[str] = set()
                for start, grid in pairs:
                    if _is_one_step(spec) and grid in seen:
                        continue
                    seen.add(grid)
                    found.append((problem, diffusion, spec, start, grid))
    return found


def _is_one_step(spec: Spec) -> bool:
    method = spec.method()
    return method.points == 1 and method.steady().registers == 1


def units(settings: OrderSettings) -> int:
    """Return the number of cases."""
    return len(cases(settings))


def compute(settings: OrderSettings, seed: int, progress: Progress) -> dict[str, Any]:
    """Measure every case."""
    from numdiff.properties.order import certified

    proved: dict[str, int] = {}
    rows = []
    for problem, diffusion, spec, start, grid in cases(settings):
        method = spec.method()
        if spec.label not in proved:
            proved[spec.label] = certified(method)
        found = observe(
            method, problem, start=start, grid=grid, steps=settings.steps, points=settings.points, seed=seed
        )
        one_step = _is_one_step(spec)
        rows.append(
            {
                "problem": problem,
                "diffusion": diffusion,
                "method": spec.label,
                "start": "none" if one_step else start,
                "grid": grid,
                "claimed": method.order,
                "certified": proved[spec.label],
                "expected": expected(spec, method.order, one_step, start, grid, diffusion),
                **estimate(found),
            }
        )
        progress.advance(f"{spec.label} on {problem}")
    return {"tolerance": TOLERANCE, "cases": rows}


def estimate(found: Any) -> dict[str, Any]:
    """Return an OrderEstimate as plain data, None where a number does not exist."""
    slope = {"slope": found.slope, "low": found.interval[0], "high": found.interval[1]} if found.defined else {}
    return {
        **{name: slope.get(name) for name in ("slope", "low", "high")},
        "window": list(found.window) if found.window else None,
        "floor": found.floor,
        "cause": found.cause,
        "steps": list(found.steps),
        "errors": [e if np.isfinite(e) else None for e in found.errors],
    }
