"""What optimized time steps gain on mixtures that nothing was tuned on, and what a lower published bound is worth."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from scipy.stats import spearmanr

import numdiff as nd
from numdiff.study import steps
from numdiff.study.mixtures import CLEAN, SCHEDULE

METHODS: dict[str, nd.Method] = {
    "DPM-Solver++ 3": nd.DPMSolverPP(3),
    "UniPC3": nd.UniPC(3),
    "GHVB2(0.8), data/log-SNR": nd.GHVB(2, Fraction(4, 5), nd.DATA_LOG_SNR),
}
NFES = (6, 8, 10, 15, 20)
CASES = 6
POINTS = 256
GAPS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
RANDOM = 60


def compute() -> dict[str, Any]:
    """Return errors by method, steps and budget; the bound against its gap; rank correlations over random steps."""
    cases = [steps.Case(case.name, case.mixture, case.seed, POINTS) for case in steps.unseen()[:CASES]]
    quality = {name: _quality(method, cases) for name, method in METHODS.items()}
    return {
        "cases": [case.name for case in cases],
        "points": POINTS,
        "nfes": NFES,
        "quality": quality,
        "gaps": _gaps(cases),
        "ranks": _ranks(cases),
    }


def errors(scheme: Any, cases: list[steps.Case]) -> list[float]:
    """Return root mean square and median error, geometric means over the cases."""
    found = [case.errors(scheme) for case in cases]
    logs = [(np.log(np.sqrt(np.mean(e**2))), np.log(np.median(e))) for e in found]
    return [float(f"{x:.4g}") for x in np.exp(np.mean(logs, axis=0))]


def optimized(method: nd.Method, n: int, objective: str = "mixture-bank", **options: Any) -> Any:
    """Return the optimum of an objective."""
    return nd.optimize.timesteps(method, SCHEDULE, n, objective=objective, t_end=CLEAN, time_limit=10.0, **options)


def _quality(method: nd.Method, cases: list[steps.Case]) -> dict[str, Any]:
    rows: dict[str, Any] = {
        name: [errors(method.discretize(SCHEDULE, make(method, n)), cases) for n in NFES]
        for name, make in steps.SIMPLE.items()
    }
    for name in ("log-SNR", "quadratic t"):
        make = steps.lowered(steps.SIMPLE[name])
        rows[f"{name}, lowered orders"] = [errors(make(method, n), cases) for n in NFES]
    options: dict[str, dict[str, Any]] = {
        "paper, lowered orders": {"objective": "paper", "orders": "lowered"},
        "ays": {"objective": "ays"},
        "gaussian": {"objective": "gaussian"},
        "mixture-bank": {},
        "mixture-bank, orders": {"orders": "search"},
    }
    if isinstance(method, nd.GHVB):
        options["mixture-bank, orders and beta"] = {"orders": "search", "optimize": ("beta",)}
    found = {name: [optimized(method, n, **chosen) for n in NFES] for name, chosen in options.items()}
    rows |= {name: [errors(one.scheme(), cases) for one in row] for name, row in found.items()}
    return {"errors": rows, "beta": [round(one.parameters.get("beta", 0.8), 2) for one in list(found.values())[-1]]}


def _gaps(cases: list[steps.Case]) -> dict[str, Any]:
    """Return the bound and the errors at its minima under several minimum gaps, and on steps uniform in log-SNR."""
    method, n = nd.DPMSolverPP(3), 10
    length = float(SCHEDULE.log_snr(CLEAN) - SCHEDULE.log_snr(SCHEDULE.T))
    rows = []
    for gap in GAPS:
        found = optimized(method, n, "paper", orders="lowered", gap=gap * length / n)
        rows.append({"gap": gap, "F": found.objective, "certified": found.certified})
        rows[-1]["errors"] = errors(found.scheme(), cases)
    even = method.discretize(SCHEDULE, nd.grids.uniform_log_snr(SCHEDULE, n, t_end=CLEAN), orders=_lowered(n))
    return {"minima": rows, "log-SNR": {"F": float(nd.optimize.Paper().value(even)), "errors": errors(even, cases)}}


def _lowered(n: int) -> list[int]:
    return [min(3, i + 1, n - i) for i in range(n)]


def _ranks(cases: list[steps.Case]) -> dict[str, float]:
    """Return Spearman's correlation of objectives with the median error over random steps, the mean over the cases."""
    method, n, rng = nd.DPMSolverPP(3), 10, np.random.default_rng(0)
    grids = [_random(rng, n) for _ in range(RANDOM)]
    schemes = [method.discretize(SCHEDULE, grid) for grid in grids]
    found = np.array([[np.median(case.errors(scheme)) for scheme in schemes] for case in cases])
    result = {}
    for name in ("paper", "ays", "gaussian", "mixture-bank"):
        evaluate = optimized(method, n, name).evaluate
        values = [float(evaluate(SCHEDULE.log_snr(grid[1:-1]))) for grid in grids]
        result[name] = round(float(np.mean([spearmanr(values, row).statistic for row in found])), 3)
    return result


def _random(rng: np.random.Generator, n: int) -> np.ndarray:
    """Return times of a random mean of simple grids, with steps perturbed by some tenths."""
    simple = [SCHEDULE.log_snr(np.asarray(make(nd.DDIM(), n))) for make in steps.SIMPLE.values()]
    widths = np.diff(rng.dirichlet(np.full(len(simple), 0.5)) @ np.array(simple)) * np.exp(0.2 * rng.standard_normal(n))
    low, high = simple[0][0], simple[0][-1]
    nodes = low + (high - low) * np.cumsum(widths) / widths.sum()
    return np.array([SCHEDULE.T, *(float(SCHEDULE.time(x)) for x in nodes[:-1]), CLEAN])
