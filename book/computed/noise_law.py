"""The law of samples on mixtures against the noise level: sliced W2, by method and number of evaluations."""

from __future__ import annotations

from typing import Any

import numpy as np

import numdiff as nd
from numdiff.sde import stochastic
from numdiff.study.mixtures import CLEAN, SCHEDULE, lay_out
from numdiff.study.sliced import sliced_distance

MIXTURES = ("ring", "random-16")
TAUS = (0.0, 0.25, 0.5, 0.75, 1.0)
NFES = (6, 10, 20, 40)
SAMPLES, DIRECTIONS = 3000, 16
METHODS = {
    "DDIM, Euler ancestral": (nd.AdamsBashforth, 1),
    "(SDE-)DPM-Solver++ 2": (nd.AdamsBashforth, 2),
    "SA-Solver (2, 3)": (nd.PredictorCorrector, 2),
    "SA-Solver (3, 4)": (nd.PredictorCorrector, 3),
}


def compute() -> dict[str, Any]:
    """Return distances by mixture, method, tau and evaluations, and the band in which exact samples lie."""
    panels = {name: _panel(nd.problems.mixtures()[name]) for name in MIXTURES}
    return {"taus": TAUS, "nfes": NFES, "samples": SAMPLES, "panels": panels}


def _panel(problem: nd.problems.GaussianMixture) -> dict[str, Any]:
    clean = problem.marginal(SCHEDULE.level(CLEAN))
    chance = [sliced_distance(clean.sample(SAMPLES, seed), clean, DIRECTIONS) for seed in range(100, 120)]
    start = problem.sample_level(SAMPLES, SCHEDULE.level(1.0), 5)
    model = problem.model(SCHEDULE)

    def distance(method: nd.Method, nfe: int) -> float:
        scheme = lay_out(method, "log-SNR", nfe)
        found = nd.sample(scheme, model, start, generator=np.random.default_rng(3))
        return float(f"{sliced_distance(found, clean, DIRECTIONS):.4g}")

    rows = {
        label: [[distance(build(order, stochastic("data/log-snr", tau)), nfe) for tau in TAUS] for nfe in NFES]
        for label, (build, order) in METHODS.items()
    }
    return {"exact samples": [float(x) for x in np.quantile(chance, (0.05, 0.95))], "distances": rows}
