"""Order stars of one-step and multistep methods, and how momentum changes them.

    python -m analysis.order_stars --out results/analysis

Grey where the principal root grows faster than the exact solution, log|zeta_1(z) e^{-z}| > 0; p + 1 grey and p + 1
white sectors meet at the origin of a method of order p, so the order can be counted. The principal root of a multistep
method is followed from the origin along rays, so cuts may show where two roots change places.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

import numdiff as nd
from numdiff import plotting
from numdiff.study.script import main

METHODS = {
    "Euler (DDIM)": nd.AdamsBashforth(1),
    "Heun": nd.Heun(),
    "RK4": nd.RK4(),
    "PLMS2": nd.AdamsBashforth(2),
    "PLMS4": nd.AdamsBashforth(4),
    "HB(PLMS4), beta = 0.5": nd.HeavyBall(nd.AdamsBashforth(4), Fraction(1, 2)),
    "GHVB2, beta = 0.5": nd.GHVB(2, Fraction(1, 2)),
    "GHVB4, beta = 0.5": nd.GHVB(4, Fraction(1, 2)),
}
REACH = {"Heun": 3.0, "RK4": 4.0, "Euler (DDIM)": 2.5}


def compute(fast: bool) -> dict[str, Any]:
    """Return the logarithm of the growth ratio on a grid for each method, with the certified order."""
    points, panels = 101 if fast else 301, []
    for name, method in METHODS.items():
        reach = REACH.get(name, 1.2)
        x = np.linspace(-reach, reach, points)
        star = nd.stability.order_star(method, x + 1j * x[:, None])
        panels.append(
            {
                "title": name,
                "order": nd.order.certified(method),
                "reach": reach,
                "log growth ratio": [" ".join(f"{v:.3g}" for v in row) for row in np.clip(star.principal, -50, 50)],
            }
        )
    return {"panels": panels}


def draw(numbers: dict[str, Any]) -> Any:
    """Return the figure: two rows of four stars."""
    axes = plotting.figure(2, 4, 11.0, 6.0)
    for panel, ax in zip(numbers["panels"], axes.flat, strict=True):
        values = np.array([row.split() for row in panel["log growth ratio"]], dtype=float)
        x = np.linspace(-panel["reach"], panel["reach"], len(values))
        plotting.order_star(x, x, values, ax)
        ax.set_title(f"{panel['title']} (order {panel['order']})", fontsize="medium")
    axes[0, 0].figure.suptitle(r"grey: $|\zeta_1(z)| > |e^z|$, white: below it", fontsize="medium")
    return axes[0, 0].figure


if __name__ == "__main__":
    main("order_stars", __doc__, compute, draw)
