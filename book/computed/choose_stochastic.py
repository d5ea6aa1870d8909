"""Distances between what stochastic and deterministic samplers draw and the data, for the page "Choose".

The energy distance between sets of samples and as many exact ones, on four mixtures without guidance; geometric means
over the mixtures. "floor" is the distance of two exact sets of that size: nothing tells samplers apart below it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import numdiff as nd
from numdiff import work_precision
from numdiff.study.mixtures import problems

NFES = (8, 10, 15, 20, 30, 50)
GRIDS = {"log-SNR": "log-snr", "time": "time", "Karras": "karras"}
POINTS, SETS = 384, 4


def zoo() -> dict[str, nd.Method]:
    """Return the samplers that are compared."""
    return {
        "DDIM": nd.DDIM(),
        "UniPC3": nd.UniPC(3),
        "DPM-Solver++ 2M": nd.DPMSolverPP(2, rule="half"),
        "DDPM": nd.DDPM(),
        "Euler ancestral": nd.EulerAncestral(),
        "DPM++ 2S ancestral": nd.DPMSolverPP2SAncestral(),
        "DPM++ SDE": nd.DPMSolverPPSDE(),
        "SDE-DPM-Solver++ 2": nd.SDEDPMSolverPP(2),
        "SA-Solver 3, tau = 1": nd.SASolver(3, tau=1),
        "SA-Solver 3, tau = 1/2": nd.SASolver(3, tau=0.5),
        "EDM stochastic": nd.EDMStochastic(),
    }


def compute() -> dict[str, Any]:
    """Return energy distances by sampler, grid and budget, and the floor."""
    diagrams = [
        work_precision.diagram(
            zoo(), p.mixture, nfe=NFES, grids=GRIDS, errors="energy", points=POINTS, sets=SETS, repeats=0, name=p.name
        )
        for p in problems(POINTS)["unguided"]
    ]
    errors: dict[str, Any] = {name: {grid: {} for grid in GRIDS} for name in zoo()}
    for record in work_precision.average(diagrams, "mean").records:
        value, deviation = record.errors["energy"]
        if np.isfinite(value):
            errors[record.label][record.grid][str(record.nfe)] = [float(f"{x:.4g}") for x in (value, deviation)]
    return {
        "budgets": list(NFES),
        "points": POINTS,
        "sets": SETS,
        "floor": float(f"{np.exp(np.mean([np.log(found.floors['energy'][0]) for found in diagrams])):.4g}"),
        "errors": errors,
    }
