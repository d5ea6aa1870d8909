"""Stability regions of PLMS 1 to 4 with heavy ball (above) and as generalized heavy ball (below), over the damping.

    python -m analysis.regions_plms --out results/analysis

The figures of Wizadwongsa et al. (ICLR 2024), from exact polynomials; the real and imaginary intervals are exact too.
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
ORDERS = (1, 2, 3, 4)
WINDOWS = {1: (-6.5, 0.6, 3.6), 2: (-4.6, 0.5, 2.6), 3: (-2.6, 0.4, 1.6), 4: (-1.6, 0.3, 1.15)}  # left, right, top


def methods(family: str, order: int) -> dict[str, nd.Method]:
    """Return the member of every damping by its legend."""
    make = {"HB": lambda b: nd.HeavyBall(nd.AdamsBashforth(order), b), "GHVB": lambda b: nd.GHVB(order, b)}[family]
    return {f"beta = {float(b):g}": make(b) for b in BETAS}


def compute(fast: bool) -> dict[str, Any]:
    """Return every region as packed bits, with its exact intervals."""
    panels = []
    for family in ("HB", "GHVB"):
        for order in ORDERS:
            left, right, top = WINDOWS[order]
            x, y = np.linspace(left, right, 120 if fast else 480), np.linspace(-top, top, 120 if fast else 480)
            found = {
                label: {
                    "real interval": nd.stability.real_interval(method),
                    "imaginary interval": nd.stability.imaginary_interval(method),
                    "inside": pack(nd.stability.region(method, x + 1j * y[:, None])),
                }
                for label, method in methods(family, order).items()
            }
            panels.append({"title": f"{family}, k = {order}", "x": x, "y": y, "regions": found})
    return {"panels": panels}


def draw(numbers: dict[str, Any]) -> Any:
    """Return the figure: two rows of four panels."""
    axes = plotting.figure(2, len(ORDERS), 11.0, 6.4)
    for panel, ax in zip(numbers["panels"], axes.flat, strict=True):
        shape = (len(panel["y"]), len(panel["x"]))
        masks = {label: unpack(region["inside"], shape) for label, region in panel["regions"].items()}
        plotting.stability_regions(panel["x"], panel["y"], masks, ax)
        ax.set_title(panel["title"])
        ax.set_aspect("auto")
    return plotting.share(axes)


if __name__ == "__main__":
    main("regions_plms", __doc__, compute, draw)
