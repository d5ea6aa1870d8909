"""How much noise helps: the distribution of samples against tau and against the number of evaluations.

    python -m analysis.stochastic --out results/analysis

The law of the samples is compared with the law of the data, at the sigma where runs end, by the sliced Wasserstein
distance: the mean over directions of W_2 between the projected samples and the projected mixture, whose quantiles are
exact. As many exact samples lie as far from it as the grey band says (20 sets of them: the middle 90 %), so that what
is inside the band tells nothing more. Methods with tau = 0 follow the flow; every method of a column makes the same
number of evaluations and sees the same starting points. The model is exact: what noise does against the errors of a
trained network is not seen here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import numdiff as nd
from numdiff import plotting
from numdiff.sde import stochastic
from numdiff.study.mixtures import CLEAN, SCHEDULE, lay_out
from numdiff.study.script import main
from numdiff.study.sliced import sliced_distance

MIXTURES = ("ring", "correlated", "random-16")
TAUS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25)
NFES = (6, 10, 20, 40)
GRID = "log-SNR"
METHODS: dict[str, Callable[[Any], nd.Method]] = {
    "DDIM, Euler ancestral": lambda f: nd.AdamsBashforth(1, f),
    "(SDE-)DPM-Solver++ 2": lambda f: nd.AdamsBashforth(2, f),
    "(SDE-)DPM-Solver++ 3": lambda f: nd.AdamsBashforth(3, f),
    "SA-Solver (2, 3)": lambda f: nd.PredictorCorrector(2, f),
    "SA-Solver (3, 4)": lambda f: nd.PredictorCorrector(3, f),
}


def compute(fast: bool) -> dict[str, Any]:
    """Return the distances by mixture, method, tau and number of evaluations, and those of exact samples."""
    n, nfes, lines = (2000, NFES[1:3], 8) if fast else (6000, NFES, 32)
    taus = TAUS[::2] if fast else TAUS
    panels = {}
    for name in MIXTURES[:2] if fast else MIXTURES:
        problem = nd.problems.mixtures()[name]
        clean = problem.marginal(SCHEDULE.level(CLEAN))
        chance = [sliced_distance(clean.sample(n, seed), clean, lines) for seed in range(100, 120)]
        start = problem.sample_level(n, SCHEDULE.level(1.0), 5)
        model = problem.model(SCHEDULE)
        rows = {
            label: [[_distance(make, tau, nfe, model, start, clean, lines) for tau in taus] for nfe in nfes]
            for label, make in METHODS.items()
        }
        panels[name] = {"exact samples": np.quantile(chance, (0.05, 0.95)), "distances": rows}
    return {"taus": taus, "nfes": nfes, "samples": n, "grid": GRID, "panels": panels}


def _distance(
    make: Callable[[Any], nd.Method], tau: float, nfe: int, model: Any, start: Any, clean: Any, lines: int
) -> float:
    scheme = lay_out(make(stochastic("data/log-snr", tau)), GRID, nfe)
    found = nd.sample(scheme, model, start, generator=np.random.default_rng(3))
    return sliced_distance(found, clean, lines)


def draw(numbers: dict[str, Any]) -> Any:
    """Return the figure: mixtures down, evaluations across."""
    panels, nfes = numbers["panels"], numbers["nfes"]
    axes = plotting.figure(len(panels), len(nfes), 3.2 * len(nfes), 2.6 * len(panels), sharex=True, sharey="row")
    for row, (name, panel) in zip(axes, panels.items(), strict=True):
        for k, (nfe, ax) in enumerate(zip(nfes, row, strict=True)):
            lines = {label: (numbers["taus"], values[k]) for label, values in panel["distances"].items()}
            plotting.curves(lines, ax, xlabel=r"$\tau$", ylabel="sliced $W_2$", logy=True)
            ax.axhspan(*panel["exact samples"], color="0.9", zorder=0, label="exact samples")
            ax.set_title(f"{name}, {nfe} evaluations", fontsize="medium")
    return plotting.share(axes, columns=min(3, len(nfes)))


if __name__ == "__main__":
    main("stochastic", __doc__, compute, draw)
