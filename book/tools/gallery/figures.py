"""The spectral response of a method, and what its error costs, as figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import numdiff as nd
from book.tools.gallery.drawing import Axis, Plot, Point

SCALES = np.logspace(-2, 2, 121)
"""Standard deviations of the Gaussian data."""

RUNS = (5, 10, 20)
"""Steps of the spectral figure."""


def spectral(method: Any) -> dict[int, list[Point]]:
    """Return, by number of steps, (s, standard deviation over the exact one); ``ValueError`` with the reason else."""
    schedule = nd.schedules.VPLinear()
    found = {}
    for steps in RUNS:
        scheme = method.discretize(schedule, nd.grids.uniform_log_snr(schedule, steps))
        response = nd.spectral.response(scheme, SCALES)
        deviation = np.hypot(response.gain * response.scales[0], np.sqrt(response.noise_variance))
        found[steps] = list(zip(SCALES.tolist(), (deviation / response.scales[-1]).tolist(), strict=True))
    return found


def spectral_plot(found: Mapping[int, list[Point]]) -> Plot:
    """Return the spectral response as a plot, cut at three times the exact deviation."""
    top = min(3.0, max(1.25, 1.05 * max(y for points in found.values() for _, y in points)))
    plot = Plot(
        Axis(float(SCALES[0]), float(SCALES[-1]), "standard deviation s of the data", log=True),
        Axis(0.0, top, "generated / exact"),
    )
    plot.rule([(float(SCALES[0]), 1.0), (float(SCALES[-1]), 1.0)])
    for index, (steps, points) in enumerate(found.items()):
        plot.line([(x, min(y, 10.0)) for x, y in points], index, f"{steps} steps")
    return plot


def best(curves: Mapping[str, Mapping[str, float]]) -> list[tuple[int, float, str]]:
    """Return (evaluations, error, grid) with the grid that serves best for each number of evaluations."""
    numbers = sorted({int(number) for curve in curves.values() for number in curve})
    found = []
    for number in numbers:
        error, grid = min((curve[str(number)], grid) for grid, curve in curves.items() if str(number) in curve)
        found.append((number, error, grid))
    return found


def work_precision_plot(name: str, curves: Mapping[str, Any], label: str) -> Plot:
    """Return a family's errors against evaluations, with those of DDIM."""
    rows = {key: best(curves[key]) for key in dict.fromkeys((name, "ddim"))}
    values = [error for row in rows.values() for _, error, _ in row if error < 1e3]
    low, high = min(values) / 1.5, max(values) * 1.5
    plot = Plot(Axis(4, 60, "model evaluations", log=True), Axis(low, high, label, log=True))
    for index, (key, row) in enumerate(rows.items()):
        points = [(float(n), min(error, 10 * high)) for n, error, _ in row]
        plot.line(points, 3 if key == "ddim" and name != "ddim" else index, key, marks=True)
    return plot
