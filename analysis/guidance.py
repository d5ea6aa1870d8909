"""Strong guidance: artifacts and errors against the guidance scale, with momentum, with splitting, and without.

    python -m analysis.guidance --out results/analysis

The model is the exact noise prediction of a mixture plus the exact classifier's gradient times the scale. The error is
the median over the points of the distance to the exact guided flow. The artifact magnitude follows the score for
latent images: coordinates are normalised by the mean and the standard deviation of the data, those below 3 in absolute
value count as 0, and the rest are averaged; here without pooling, since these points have no pixels beside each other.
A magnitude of 0 is drawn as 1e-4. Every method makes the same number of steps, not of evaluations: a step costs one
model evaluation and one gradient, for STSP two gradients, and for Strang two evaluations and four gradients.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

import numdiff as nd
from numdiff import guidance, plotting
from numdiff.methods.splitting import LTSP, STSP, Strang
from numdiff.study.mixtures import GRIDS, SCHEDULE, Problem
from numdiff.study.script import main

BETA = Fraction(4, 5)
SCALES = (1, 2, 4, 6, 8, 12)
STEPS = (10, 20)
MIXTURES = ("ring", "correlated", "random-16")
GRID = "log-SNR"
METHODS: dict[str, dict[str, nd.Method]] = {
    "momentum": {
        "DDIM": nd.DDIM(),
        "PLMS4": nd.PLMS(4),
        "HB(PLMS4, 0.8)": nd.HeavyBall(nd.PLMS(4), BETA),
        "GHVB4(0.8), published": nd.GHVB(4, BETA, nd.NOISE_RATIO, weights="uniform"),
        "DPM-Solver++ 2M": nd.DPMSolverPP(2, rule="half"),
        "HB(DPM-Solver++ 2M, 0.8)": nd.HeavyBall(nd.DPMSolverPP(2, rule="half"), BETA),
        "UniPC2": nd.UniPC(2, rule="bh2"),
        "HB(UniPC2, 0.8)": nd.UniPC(2, rule="bh2", beta=BETA),
    },
    "splitting": {
        "DDIM": nd.DDIM(),
        "PLMS4": nd.PLMS(4),
        "LTSP4, condition first": LTSP(4, condition="first", weights="uniform"),
        "LTSP4, condition last": LTSP(4, condition="last", weights="uniform"),
        "STSP4": STSP(4, weights="uniform"),
        "STSP4, variable weights": STSP(4),
        "Strang": Strang(),
    },
}


def artifact_magnitude(x: np.ndarray, mixture: nd.problems.GaussianMixture) -> float:
    """Return the mean of |normalised coordinate| over all coordinates, those below 3 counting as 0."""
    return float(guidance.artifact_magnitude(x, mixture.mean, np.sqrt(np.diagonal(mixture.covariance))).mean())


def compute(fast: bool) -> dict[str, Any]:
    """Return errors and artifact magnitudes by mixture, steps, method and scale."""
    scales, steps, names = (SCALES[::3], STEPS[:1], MIXTURES[:1]) if fast else (SCALES, STEPS, MIXTURES)
    panels: dict[str, Any] = {}
    for name in names:
        mixture = nd.problems.mixtures()[name]
        problems = [Problem(name, mixture, (0,), float(s), points=24 if fast else 96) for s in scales]
        exact = [artifact_magnitude(p.reference[0], mixture) for p in problems]
        panels[name] = {"exact flow": exact, "reference error": max(p.reference[1] for p in problems)}
        for n in steps:
            panels[name][str(n)] = {
                group: {label: [_measure(m, p, n) for p in problems] for label, m in members.items()}
                for group, members in METHODS.items()
            }
    return {"scales": scales, "steps": steps, "grid": GRID, "mixtures": panels}


def _measure(method: nd.Method, problem: Problem, steps: int) -> dict[str, float]:
    images = problem.images(method.discretize(SCHEDULE, GRIDS[GRID](steps)))
    error = float(np.median(problem.errors(images)))
    return {"median": error, "artifacts": artifact_magnitude(images, problem.mixture)}


def draw(numbers: dict[str, Any]) -> Any:
    """Return the figure: error and artifacts at the first number of steps, mixtures across, groups down."""
    n, scales = str(numbers["steps"][0]), numbers["scales"]
    names = list(numbers["mixtures"])
    axes = plotting.figure(4, len(names), 4.2 * len(names) + 3.0, 10.5, sharex=True)
    for column, name in enumerate(names):
        panel = numbers["mixtures"][name]
        for row, (group, what) in enumerate((g, w) for g in METHODS for w in ("median", "artifacts")):
            ax = axes[row, column]
            floor = 0.0 if what == "median" else 1e-4  # artifacts may be exactly 0, which a logarithm cannot show
            lines = {k: (scales, [v[what] + floor for v in values]) for k, values in panel[n][group].items()}
            label = "median error" if what == "median" else "artifact magnitude"
            plotting.curves(lines, ax, xlabel="guidance scale", ylabel=label, logy=True)
            if what == "artifacts":
                exact = [v + floor for v in panel["exact flow"]]
                ax.plot(scales, exact, color="0.8", linewidth=5, zorder=0, label="exact flow")
            ax.set_title(f"{group}: {name}, {n} steps", fontsize="medium")
            ax.get_legend().remove()
    for row, place in ((1, "outside right upper"), (3, "outside right lower")):
        axes[0, 0].figure.legend(*axes[row, 0].get_legend_handles_labels(), loc=place, frameon=False)
    return axes[0, 0].figure


if __name__ == "__main__":
    main("guidance", __doc__, compute, draw)
