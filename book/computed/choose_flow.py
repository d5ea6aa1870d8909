"""Errors of samplers of flow-matching models at a budget, on exact mixtures, for the page "Choose".

The schedule is x = (1 - t) x_0 + t eps from t = 1, pure noise, to t = 0.001; the model is the exact velocity of one of
four mixtures. Steps are equal in t' at shifts 1 and 3 (the shift places levels and changes neither paths nor model).
An error is the geometric mean over the mixtures of the root mean square (or the median) over the points against the
exact flow. Methods of noise prediction cannot start at alpha = 0 and are not here. "Lowered" means that the orders
of the last steps fall to 1, as diffusers' solvers do it: the last step is very long in log-SNR. "Optimized" steps are
placed by `nd.optimize.timesteps`, which knows the method and the schedule and not these mixtures.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

import numdiff as nd
from numdiff.study.mixtures import steps_within

NFES = (4, 6, 8, 10, 15, 20, 30)
SHIFTS = (1.0, 3.0)
MIXTURES = ("two-modes", "ring", "correlated", "random-16")
POINTS = 192
BETA = Fraction(4, 5)
Case = tuple[Any, np.ndarray, np.ndarray]
"""A mixture, noises and their exact images."""


def zoo() -> dict[str, nd.Method]:
    """Return the samplers that are compared."""
    return {
        "Euler (flow-euler)": nd.AdamsBashforth(1, nd.VELOCITY_TIME),
        "AB2 velocity": nd.AdamsBashforth(2, nd.VELOCITY_TIME),
        "AB3 velocity": nd.AdamsBashforth(3, nd.VELOCITY_TIME),
        "GHVB2(0.8) velocity": nd.GHVB(2, BETA, nd.VELOCITY_TIME),
        "Heun velocity": nd.Heun(nd.VELOCITY_TIME),
        "RK4 velocity": nd.RK4(nd.VELOCITY_TIME),
        "DPM-Solver++ 2M": nd.DPMSolverPP(2, rule="half"),
        "DPM-Solver++ 3": nd.DPMSolverPP(3),
        "UniPC2 bh2": nd.UniPC(2, rule="bh2"),
        "UniPC3": nd.UniPC(3),
        "GHVB2(0.8) data": nd.GHVB(2, BETA, nd.DATA_LOG_SNR),
    }


LOWERED = {"DPM-Solver++ 2M": 2, "DPM-Solver++ 3": 3, "UniPC2 bh2": 2, "UniPC3": 3}
"""Orders of those that are also run with lowered last orders."""
SEARCHES = ("AB2 velocity", "GHVB2(0.8) velocity", "DPM-Solver++ 3", "UniPC3")
SEARCHED = (6, 8, 10, 15)


def compute() -> dict[str, Any]:
    """Return the errors by sampler, shift and budget."""
    cases = _cases()
    errors: dict[str, Any] = {}
    for name, method in zoo().items():
        errors[name] = {f"shift {shift:g}": _curve(method, shift, cases) for shift in SHIFTS}
    for name, order in LOWERED.items():
        curves = {f"shift {shift:g}": _curve(zoo()[name], shift, cases, order) for shift in SHIFTS}
        errors[f"{name}, lowered"] = curves
    for name in SEARCHES:
        errors[name]["optimized"] = _optimized(zoo()[name], cases)
    return {"budgets": list(NFES), "points": POINTS, "mixtures": list(MIXTURES), "errors": errors}


def _cases() -> list[Case]:
    """Return mixtures with noises and their exact images."""
    schedule, known, cases = nd.schedules.Flow(), nd.problems.mixtures(), []
    for seed, name in enumerate(MIXTURES):
        noises = known[name].sample_level(POINTS, schedule.level(1.0), seed)
        cases.append((known[name], noises, known[name].flow(schedule, noises, 1.0, schedule.t_end, rtol=1e-9).x))
    return cases


def _curve(method: nd.Method, shift: float, cases: list[Case], order: int = 0) -> dict[str, list[float]]:
    """Return errors by budget; with an order, the orders of the last steps fall to 1."""
    schedule, found = nd.schedules.Flow(shift), {}
    end = float(schedule.from_model_time(nd.schedules.Flow().t_end))
    for budget in NFES:
        n = steps_within(method, budget)
        if n >= max(method.points, 1):
            orders = [min(order, i + 1, n - i) for i in range(n)] if order else None
            scheme = method.discretize(schedule, nd.grids.uniform_t(schedule, n, t_end=end), orders=orders)
            found[str(budget)] = _error(scheme, schedule, cases)
    return found


def _optimized(method: nd.Method, cases: list[Case]) -> dict[str, list[float]]:
    schedule = nd.schedules.Flow()
    found = {n: nd.optimize.timesteps(method, schedule, n, time_limit=20.0) for n in SEARCHED}
    return {str(n): _error(steps.scheme(), schedule, cases) for n, steps in found.items()}


def _error(scheme: Any, schedule: Any, cases: list[Case]) -> list[float]:
    """Return root mean square and median error, geometric means over the mixtures."""
    logs = []
    for mixture, noises, images in cases:
        model = mixture.model(schedule, prediction="velocity")
        found = nd.sample(scheme, model, noises, prediction="velocity")
        errors = np.sqrt(np.mean((found - images) ** 2, axis=-1))
        logs.append((np.log(np.sqrt(np.mean(errors**2))), np.log(np.median(errors))))
    return [float(f"{x:.4g}") for x in np.exp(np.mean(logs, axis=0))]
