"""The figure of the README: what momentum does to stability, and what the right weights do to order.

Left: stability regions of PLMS4 and of its momentum variants. Right: error of the end point against steps on a Gaussian
mixture under the VP-linear schedule, on grids uniform in log-SNR: the published equal-step weights of GHVB3 against
those numdiff derives for the grid, in two formulations, all with a Runge-Kutta start.

    python -m analysis.readme --out book/_static
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

import numdiff as nd
from numdiff import plotting

BETA = 0.8
STEPS = (20, 40, 80, 160, 320, 640)


def regions() -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Return real parts, imaginary parts and the stability regions."""
    x, y = np.linspace(-1.1, 0.25, 541), np.linspace(-0.95, 0.95, 761)
    z = x + 1j * y[:, None]
    methods = {
        "PLMS4": nd.AdamsBashforth(4),
        "with heavy ball 0.5": nd.HeavyBall(nd.AdamsBashforth(4), beta=0.5),
        "GHVB4, 0.5": nd.GHVB(4, 0.5),
    }
    return x, y, {name: nd.stability.region(method, z) for name, method in methods.items()}


def errors() -> dict[str, tuple[list[int], list[float]]]:
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
        for steps in STEPS:
            grid = nd.grids.uniform_log_snr(schedule, steps=steps)
            end = nd.sample(method.discretize(schedule, grid, start="runge-kutta"), model, x)
            found.append(float(np.sqrt(np.mean((end - reference) ** 2))))
        curves[label] = (list(STEPS), found)
    return curves


def main() -> None:
    """Write the figure and its numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("book/_static"), help="folder for readme.png and readme.json")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    plotting.stability_regions(*regions(), left)
    curves = errors()
    plotting.order_plot(curves, right, slopes=(2, 3), ylabel="error of the end point (RMS)")
    right.set_title(f"GHVB3, beta = {BETA}, on a Gaussian mixture")
    figure.savefig(out / "readme.png", dpi=120)
    (out / "readme.json").write_text(json.dumps({"beta": BETA, "errors": curves}, indent=1) + "\n")


if __name__ == "__main__":
    main()
