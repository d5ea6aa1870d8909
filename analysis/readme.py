"""The figure of the README: what momentum does to stability, and what the right weights do to order.

Left: stability regions of PLMS4 and of its momentum variants. Right: error of the end point against steps on a Gaussian
mixture under the VP-linear schedule, on grids uniform in log-SNR: the published equal-step weights of GHVB3 against
those numdiff derives for the grid, in two formulations, all with a Runge-Kutta start.

    python -m analysis.readme --out book/_static
"""

from __future__ import annotations

from typing import Any

import numpy as np

import numdiff as nd
from numdiff import plotting
from numdiff.study.regions import pack, unpack
from numdiff.study.script import main

BETA = 0.8
STEPS = (20, 40, 80, 160, 320, 640)


def regions(points: int) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Return real parts, imaginary parts and the stability regions."""
    x, y = np.linspace(-1.1, 0.25, points), np.linspace(-1.15, 1.15, points)
    z = x + 1j * y[:, None]
    methods = {
        "PLMS4": nd.AdamsBashforth(4),
        "with heavy ball 0.5": nd.HeavyBall(nd.AdamsBashforth(4), beta=0.5),
        "GHVB4, 0.5": nd.GHVB(4, 0.5),
    }
    return x, y, {name: nd.stability.region(method, z) for name, method in methods.items()}


def errors(counts: tuple[int, ...]) -> dict[str, tuple[list[int], list[float]]]:
    """Return steps and root-mean-square errors of the published and of the derived weights."""
    schedule, problem = nd.schedules.VPLinear(), nd.problems.mixtures()["two-modes"]
    x = np.random.default_rng(0).standard_normal((64, problem.dimension))
    reference = problem.flow(schedule, x, schedule.T, schedule.t_end).x
    model = problem.model(schedule, prediction="noise")
    methods = {
        "published weights": nd.GHVB(3, BETA, weights="uniform"),
        "derived, noise/ratio": nd.GHVB(3, BETA),
        "derived, data/log-SNR": nd.GHVB(3, BETA, nd.DATA_LOG_SNR),
    }
    curves = {}
    for label, method in methods.items():
        found = []
        for steps in counts:
            grid = nd.grids.uniform_log_snr(schedule, steps=steps)
            end = nd.sample(method.discretize(schedule, grid, start="runge-kutta"), model, x)
            found.append(float(np.sqrt(np.mean((end - reference) ** 2))))
        curves[label] = (list(counts), found)
    return curves


def compute(fast: bool) -> dict[str, Any]:
    """Return the regions as packed bits and the errors."""
    x, y, masks = regions(200 if fast else 760)
    return {
        "beta": BETA,
        "x": x,
        "y": y,
        "regions": {name: pack(mask) for name, mask in masks.items()},
        "errors": errors(STEPS[:3] if fast else STEPS),
    }


def draw(numbers: dict[str, Any]) -> Any:
    """Return the figure: regions and errors side by side."""
    axes = plotting.figure(1, 2, 10.0, 4.0)
    left, right = axes[0]
    shape = (len(numbers["y"]), len(numbers["x"]))
    masks = {name: unpack(bits, shape) for name, bits in numbers["regions"].items()}
    plotting.stability_regions(numbers["x"], numbers["y"], masks, left)
    plotting.order_plot(numbers["errors"], right, slopes=(2, 3), ylabel="error of the end point (RMS)")
    right.set_title(f"GHVB3, beta = {BETA}, on a Gaussian mixture")
    return axes[0, 0].figure


if __name__ == "__main__":
    main("readme", __doc__, compute, draw)
