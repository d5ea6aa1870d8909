"""Spectral responses: what samplers make of Gaussian data of scale s, over a run and step by step.

    python -m analysis.spectral --out results/analysis

Data N(0, s^2) make a scheme a scalar recursion. Left: the relative error of the end-to-end gain dx_0/dx_T against s, on
ten log-SNR steps of the VP-linear schedule. Right: the exact W2 distance to the data against the number of steps, for a
spectrum of 64 scales that fall like 1/k (images have such spectra), x_T drawn exactly.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

import numdiff as nd
from numdiff import plotting
from numdiff.study.script import main

BETA = Fraction(4, 5)
STEPS = (5, 6, 8, 10, 12, 16, 20, 28, 40)
METHODS = {
    "DDIM": nd.DDIM(),
    "PLMS4": nd.PLMS(4),
    "HB(PLMS4), beta = 0.8": nd.HeavyBall(nd.PLMS(4), BETA),
    "DPM-Solver++ 2M": nd.DPMSolverPP(2, rule="half"),
    "DPM-Solver++ 3, exact": nd.DPMSolverPP(3),
    "GHVB3 data/log-SNR, beta = 0.8": nd.GHVB(3, BETA, nd.DATA_LOG_SNR),
    "UniPC-3": nd.UniPC(3),
}
SPECTRUM = 1.0 / np.arange(1, 65)


def scheme(method: nd.Method, steps: int) -> nd.Scheme:
    """Return the method on log-SNR steps from pure noise to the end of the schedule."""
    schedule = nd.schedules.VPLinear()
    return method.discretize(schedule, nd.grids.uniform_log_snr(schedule, steps=steps))


def compute(fast: bool) -> dict[str, Any]:
    """Return gain errors over s at ten steps, and W2 over the number of steps."""
    s = np.geomspace(1e-3, 30, 60 if fast else 300)
    gains, distances = {}, {}
    for name, method in METHODS.items():
        response = nd.spectral.response(scheme(method, 10), s)
        gains[name] = {"gain": response.gain, "relative error": response.gain / response.exact - 1}
        distances[name] = [nd.spectral.errors(scheme(method, n), SPECTRUM).total_w2 for n in STEPS]
    return {"s": s, "gains at 10 steps": gains, "steps": STEPS, "W2": distances}


def draw(numbers: dict[str, Any]) -> Any:
    """Return the figure."""
    axes = plotting.figure(1, 2, 11.0, 4.6)
    left, right = axes[0]
    errors = {name: (numbers["s"], np.abs(v["relative error"])) for name, v in numbers["gains at 10 steps"].items()}
    plotting.curves(
        errors,
        left,
        xlabel="standard deviation $s$ of the data",
        ylabel="|gain / exact gain - 1|",
        logx=True,
        logy=True,
    )
    left.set_ylim(1e-5, 10)
    left.set_title("error of the gain, 10 steps")
    distances = {name: (numbers["steps"], v) for name, v in numbers["W2"].items()}
    plotting.curves(
        distances,
        right,
        xlabel="number of steps (one evaluation each)",
        ylabel="$W_2$ to the data",
        logx=True,
        logy=True,
        markers=True,
    )
    right.set_xticks(numbers["steps"], [str(n) for n in numbers["steps"]])
    right.set_xticks([], minor=True)
    right.set_title("Gaussian data, standard deviations $1/k$, $k = 1, ..., 64$")
    right.get_legend().remove()
    return axes[0, 0].figure


if __name__ == "__main__":
    main("spectral", __doc__, compute, draw)
