"""Errors of every family against evaluations on exact mixtures, for the gallery's figures.

What a family can be measured by depends on what it is:

- "flow": without noise, one field. The root mean square error of x/alpha against the exact flow from common points.
- "law": with noise. A run follows no flow, so the energy distance between 4 sets of 384 samples and as many exact ones.
- "guided": splitting methods need two fields. The error against the exactly guided flow (scale 4), in which the
  condition's part is the second field.

"floor" is what the energy distance has between two sets of exact samples of that size; no sampler gets below it but by
chance. Each error is the geometric mean over four mixtures; three grids are tried for each number of evaluations. Every
family has its member of the registry, as the gallery shows it; DDIM, in every measure, is what others can be compared
with.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import numdiff as nd
from numdiff import work_precision
from numdiff.methods import FAMILIES, MultistepSplitting, Strang
from numdiff.study.mixtures import Problem, lay_out, problems

NFES = (5, 8, 10, 15, 20, 30, 50)
GRIDS = {"log-SNR": "log-snr", "time": "time", "Karras": "karras"}
SCALE = 4.0

Curves = dict[str, dict[str, dict[str, Any]]]
"""Errors by family, grid and number of evaluations."""


def two_fields(method: nd.Method) -> bool:
    """Tell whether a method evaluates the condition apart from the model."""
    return isinstance(method, MultistepSplitting | Strang)


def measure(method: nd.Method) -> str:
    """Return what a method's error is measured by: "flow", "law" or "guided"."""
    return "law" if method.stochastic else "guided" if two_fields(method) else "flow"


def compute() -> dict[str, Any]:
    """Return the curves of all families by measure, and what could not be run."""
    members = {name: family.member() for name, family in FAMILIES.items()}
    kinds = {name: measure(method) for name, method in members.items()}
    chosen = {kind: {n: m for n, m in members.items() if kinds[n] == kind or n == "ddim"} for kind in ("flow", "law")}
    unguided = problems(64)["unguided"]
    flow = [
        work_precision.diagram(chosen["flow"], p.path, nfe=NFES, grids=GRIDS, errors="rms", repeats=0) for p in unguided
    ]
    law = [
        work_precision.diagram(
            chosen["law"], p.mixture, nfe=NFES, grids=GRIDS, errors="energy", points=384, repeats=0, name=p.name
        )
        for p in unguided
    ]
    split = {name: m for name, m in members.items() if kinds[name] == "guided" or name == "ddim"}
    return {
        "budgets": list(NFES),
        "grids": list(GRIDS),
        "curves": {"flow": _curves(flow, "rms"), "law": _curves(law, "energy"), "guided": _guided(split)},
        "problems": [p.name for p in unguided],
        "floor": float(f"{np.exp(np.mean([np.log(found.floors['energy'][0]) for found in law])):.4g}"),
        "left_out": sorted({f"{one.label}: {one.reason}" for found in (*flow, *law) for one in found.left_out}),
    }


def _curves(diagrams: list[Any], error: str) -> Curves:
    """Return the geometric means of an error over problems; a run that fails on one of them is missing."""
    found: Curves = {}
    for record in work_precision.average(diagrams, "mean").records:
        value = record.error(error)
        if np.isfinite(value) and value > 0:
            found.setdefault(record.label, {}).setdefault(record.grid, {})[str(record.nfe)] = float(f"{value:.4g}")
    return found


def _guided(members: dict[str, nd.Method]) -> Curves:
    guided = [p for p in problems(64)["guided"] if p.scale == SCALE]
    found: Curves = {}
    for name, method in members.items():
        for grid in GRIDS:
            for budget in NFES:
                scheme = lay_out(method, grid, budget)
                value = None if scheme is None else _rms(scheme, guided)
                if value is not None:
                    found.setdefault(name, {}).setdefault(grid, {})[str(scheme.nfe)] = value
    return found


def _rms(scheme: Any, guided: list[Problem]) -> float | None:
    """Return the geometric mean over problems of the root mean square error, None where a run overflows."""
    with np.errstate(all="ignore"):
        errors = [np.sqrt(np.mean(p.errors(p.images(scheme)) ** 2)) for p in guided]
        mean = float(np.exp(np.mean(np.log(errors))))
    return float(f"{mean:.4g}") if np.isfinite(mean) else None
