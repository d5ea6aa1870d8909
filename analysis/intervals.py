"""Real and imaginary stability intervals of heavy ball, Nesterov and GHVB against the damping, from their formulas.

    python -m analysis.intervals --out results/analysis

Each curve is a closed form in beta (or the root of a polynomial where there is none), derived and then evaluated.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp

import numdiff as nd
from numdiff import plotting
from numdiff.study.script import main

BETA = sp.Symbol("beta", positive=True)
ORDERS = (1, 2, 3, 4)
FAMILIES = {
    "heavy ball": lambda k: nd.HeavyBall(nd.AdamsBashforth(k), BETA),
    "Nesterov": lambda k: nd.Nesterov(nd.AdamsBashforth(k), BETA),
    "GHVB": lambda k: nd.GHVB(k, BETA),
}
AXES = {"real": nd.stability.real_interval, "imaginary": nd.stability.imaginary_interval}


def compute(fast: bool) -> dict[str, Any]:
    """Return the formulas and their values on a grid of dampings."""
    betas = [sp.Rational(n, 10 if fast else 100) for n in range(2, 20 if fast else 200)]
    curves = {}
    for family, make in FAMILIES.items():
        for order in ORDERS:
            for axis, interval in AXES.items():
                formula = interval(make(order))
                values = [float(formula.subs(BETA, b)) for b in betas]
                curves[f"{family}, {axis}, {order}"] = {"formula": formula, "values": values}
    return {"beta": [float(b) for b in betas], "curves": curves}


def alone(values: np.ndarray) -> np.ndarray:
    """Tell which values stand among zeros: those of beta = 1, where the method is its base."""
    before, after = np.append(values[0], values[:-1]), np.append(values[1:], values[-1])
    return (values > 0) & (before == 0) & (after == 0)


def unbroken(values: np.ndarray) -> np.ndarray:
    """Return the values with nan where a line through them would hide a jump."""
    jump = np.append((values[:-1] == 0) & (values[1:] > 0.25), False)
    return np.where(alone(values) | jump, np.nan, values)


def draw(numbers: dict[str, Any]) -> Any:
    """Return the figure: real intervals above, imaginary ones below, a column a family."""
    axes = plotting.figure(2, len(FAMILIES), 10.5, 6.2)
    for row, axis in enumerate(AXES):
        for column, family in enumerate(FAMILIES):
            curves = {f"k = {k}": np.array(numbers["curves"][f"{family}, {axis}, {k}"]["values"]) for k in ORDERS}
            ends = "$x^*$ of $(-x^*, 0)$" if axis == "real" else "$y^*$ of $(-iy^*, iy^*)$"
            ax = plotting.curves(
                {label: (numbers["beta"], unbroken(values)) for label, values in curves.items()},
                axes[row, column],
                xlabel=r"damping $\beta$",
                ylabel=ends if column == 0 else "",
            )
            for k, values in enumerate(curves.values()):
                shown = alone(values)
                ax.plot(np.array(numbers["beta"])[shown], values[shown], "o", ms=4, color=plotting.style_of(k)["color"])
            ax.set_title(f"{family}: {axis} interval")
            ax.set_ylim(0, 4 if axis == "real" else 1)
    return axes[0, 0].figure


if __name__ == "__main__":
    main("intervals", __doc__, compute, draw)
