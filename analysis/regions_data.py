"""Stability regions of DPM-Solver++ and UniPC with heavy ball, in the plane of kappa = alpha d(x_0)/dx.

    python -m analysis.regions_data --out results/analysis

A data prediction x_0 = kappa x/alpha makes X' = -X + kappa X of X = x/alpha, and a run on equal log-SNR steps of length
h stays bounded where the steady step satisfies the root condition at z = kappa. Gaussian data have kappa in (0, 1);
strong guidance and sharp modes leave it.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

import numdiff as nd
from numdiff import plotting
from numdiff.study.regions import pack, unpack
from numdiff.study.script import main

BETAS = (Fraction(1), Fraction(4, 5), Fraction(1, 2), Fraction(1, 5))
STEPS = (0.25, 0.5)
WINDOW = (-11.0, 3.0, 7.0)  # left, right, top
METHODS = {
    "DPM-Solver++ 2M": lambda b: nd.HeavyBall(nd.DPMSolverPP(2, rule="half"), b),
    "DPM-Solver++ 3, exact": lambda b: nd.HeavyBall(nd.DPMSolverPP(3), b),
    "UniPC-2": lambda b: nd.UniPC(2, rule="bh2", beta=b),
    "UniPC-3": lambda b: nd.UniPC(3, beta=b),
}


def compute(fast: bool) -> dict[str, Any]:
    """Return every region as packed bits, with the end of its real interval in kappa."""
    points, (left, right, top) = 120 if fast else 480, WINDOW
    x, y = np.linspace(left, right, points), np.linspace(-top, top, points)
    panels, betas = [], BETAS[::3] if fast else BETAS
    for h in STEPS:
        for name, make in METHODS.items():
            regions = {
                f"beta = {float(b):g}": {
                    "lowest kappa": -float(nd.stability.real_interval(make(b), h=h)),
                    "inside": pack(nd.stability.region(make(b), x + 1j * y[:, None], h=h)),
                }
                for b in betas
            }
            panels.append({"title": f"{name}, h = {h:g}", "regions": regions})
    return {"kappa real": x, "kappa imaginary": y, "panels": panels}


def draw(numbers: dict[str, Any]) -> Any:
    """Return the figure: a row for each step length, a column for each method."""
    axes = plotting.figure(len(STEPS), len(METHODS), 11.5, 6.0)
    shape = (len(numbers["kappa imaginary"]), len(numbers["kappa real"]))
    for panel, ax in zip(numbers["panels"], axes.flat, strict=True):
        masks = {label: unpack(region["inside"], shape) for label, region in panel["regions"].items()}
        plotting.stability_regions(numbers["kappa real"], numbers["kappa imaginary"], masks, ax)
        ax.set_title(panel["title"], fontsize="medium")
        ax.set_xlabel(r"$\mathrm{Re}\,\kappa$")
        ax.set_ylabel(r"$\mathrm{Im}\,\kappa$")
        ax.axvline(1, color="0.5", linewidth=0.6, linestyle=":")
    return plotting.share(axes)


if __name__ == "__main__":
    main("regions_data", __doc__, compute, draw)
