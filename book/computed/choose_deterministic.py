"""Errors of deterministic samplers at a budget, on exact mixtures without and with guidance, for the page "Choose".

Every sampler runs on four mixtures without guidance and on the same four under exact classifier guidance of scales 4
and 8, on three grids that need no search and, some of them, on steps that `nd.optimize.timesteps` placed for them. An
error at a budget is the geometric mean over the mixtures of the root mean square (or the median) over the points of the
error of x/alpha against the exact flow. The search for steps knows the method and the schedule: it sees neither these
mixtures nor the guidance. Every sampler makes the most steps that the budget pays for.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

import numdiff as nd
from numdiff.study.mixtures import CLEAN, SCHEDULE, Problem, lay_out, problems

NFES = (5, 8, 10, 15, 20, 30, 50)
GRIDS = ("log-SNR", "time", "Karras")
POINTS = 192
SEARCHED = (5, 8, 10, 15, 20, 30)
"""Budgets for which steps are placed."""
BETA = Fraction(4, 5)

SEARCHES = ("DPM-Solver++ 2", "DPM-Solver++ 3", "UniPC3", "GHVB2(0.8)", "GHVB2(0.8) data")
"""The samplers whose steps are placed."""


def zoo() -> dict[str, nd.Method]:
    """Return the samplers that are compared, by the names they are known by."""
    half = nd.DPMSolverPP(2, rule="half")
    return {
        "DDIM": nd.DDIM(),
        "AB2": nd.AdamsBashforth(2),
        "PLMS4": nd.PLMS(4),
        "LMS4": nd.LMS(4),
        "DEIS3 (time)": nd.DEIS(3, "time"),
        "DPM-Solver++ 2M": half,
        "DPM-Solver++ 2": nd.DPMSolverPP(2),
        "DPM-Solver++ 3M published": nd.DPMSolverPP(3, rule="3m"),
        "DPM-Solver++ 3": nd.DPMSolverPP(3),
        "UniPC2 bh2": nd.UniPC(2, rule="bh2"),
        "UniPC3": nd.UniPC(3),
        "Heun": nd.Heun(),
        "RK4": nd.RK4(),
        "BDIA": nd.BDIA(),
        "HB(PLMS4, 0.8)": nd.HeavyBall(nd.PLMS(4), BETA),
        "HB(DPM-Solver++ 2M, 0.8)": nd.HeavyBall(half, BETA),
        "GHVB2(0.8)": nd.GHVB(2, BETA),
        "GHVB2(0.5)": nd.GHVB(2, Fraction(1, 2)),
        "GHVB3(0.8)": nd.GHVB(3, BETA),
        "GHVB4(0.8) published": nd.GHVB(4, BETA, nd.NOISE_RATIO, weights="uniform"),
        "GHVB2(0.8) data": nd.GHVB(2, BETA, nd.DATA_LOG_SNR),
    }


def compute() -> dict[str, Any]:
    """Return the errors by kind of problem, sampler, grid and budget."""
    kinds = _kinds(problems(POINTS))
    placed = _placed({name: zoo()[name] for name in SEARCHES})
    errors = {kind: _simple(members) for kind, members in kinds.items()}
    for kind, members in kinds.items():
        for name, schemes in placed.items():
            errors[kind][name]["optimized"] = {str(n): _error(scheme, members) for n, scheme in schemes.items()}
    return {
        "budgets": list(NFES),
        "searched": list(SEARCHED),
        "grids": [*GRIDS, "optimized"],
        "points": POINTS,
        "mixtures": [problem.name for problem in kinds["no guidance"]],
        "reference error": max(p.reference[1] for members in kinds.values() for p in members),
        "errors": errors,
    }


def _kinds(known: Mapping[str, list[Problem]]) -> dict[str, list[Problem]]:
    guided = {f"guidance {s:g}": [p for p in known["guided"] if p.scale == s] for s in (4.0, 8.0)}
    return {"no guidance": known["unguided"], **guided}


def _placed(methods: Mapping[str, nd.Method]) -> dict[str, dict[int, Any]]:
    """Return schemes on placed steps, by sampler and budget."""
    return {
        name: {n: nd.optimize.timesteps(method, SCHEDULE, n, t_end=CLEAN, time_limit=20.0).scheme() for n in SEARCHED}
        for name, method in methods.items()
    }


def _simple(members: list[Problem]) -> dict[str, dict[str, dict[str, list[float]]]]:
    found: dict[str, dict[str, dict[str, list[float]]]] = {}
    for name, method in zoo().items():
        found[name] = {}
        for grid in GRIDS:
            schemes = {n: lay_out(method, grid, n) for n in NFES}
            found[name][grid] = {str(n): _error(s, members) for n, s in schemes.items() if s is not None}
    return found


def _error(scheme: Any, members: list[Problem]) -> list[float]:
    """Return root mean square and median error, geometric means over problems; a run that overflows has none (-1)."""
    alpha = float(SCHEDULE.alpha(CLEAN))
    with np.errstate(all="ignore"):
        found = [p.errors(p.images(scheme)) / alpha for p in members]
        means = [np.exp(np.mean([np.log(of(e)) for e in found])) for of in (_rms, np.median)]
    return [float(f"{m:.4g}") if np.isfinite(m) else -1.0 for m in means]


def _rms(errors: np.ndarray) -> float:
    return float(np.sqrt(np.mean(errors**2)))
