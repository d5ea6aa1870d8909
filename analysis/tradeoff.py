"""Error constant against real stability interval, along heavy ball, GHVB and the methods derived to dominate them.

    python -m analysis.tradeoff --out results/analysis

Every point is exact: a method of order 1, 2 or 3 with its error constant C and its real interval (-x*, 0). Further
right and lower is better. A curve is a family over its free parameter; crosses are the paper's dampings 1, 0.8, 0.5,
0.2, dots the designs that dominate them, each of the same order and error constant.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import sympy as sp

import numdiff as nd
from numdiff import plotting
from numdiff.study.script import main

BETA = sp.Symbol("beta", positive=True)
DAMPINGS = (Fraction(1), Fraction(4, 5), Fraction(1, 2), Fraction(1, 5))
FAMILIES = {
    1: {"HB(AB2)": lambda b: nd.HeavyBall(nd.AdamsBashforth(2), b), "GHVB1 = HB(AB1)": lambda b: nd.GHVB(1, b)},
    2: {"GHVB2": lambda b: nd.GHVB(2, b)},
    3: {"GHVB3": lambda b: nd.GHVB(3, b)},
}


def compute(fast: bool) -> dict[str, Any]:
    """Return the curves and the marked methods of every order."""
    values = [sp.Rational(n, 20 if fast else 80) for n in range(2, 21 if fast else 81) if fast or n > 7]
    return {"orders": {order: _panel(families, values) for order, families in FAMILIES.items()}}


def _panel(families: dict[str, Any], values: list[sp.Rational]) -> dict[str, Any]:
    curves, marked = {}, []
    for name, make in families.items():
        _, errors, intervals = nd.design.tradeoff(make(BETA), values).arrays()
        curves[name] = {"error constant": np.abs(errors), "real interval": intervals}
        for b in DAMPINGS:
            method = make(b)
            if nd.order.error_constant(method) == 0 or nd.order.certified(method) != nd.order.certified(make(BETA)):
                continue  # beta = 1 is the base, of higher order
            design = nd.design.dominating(method)
            marked.append({"method": _point(method), "dominated by": None if design is None else _point(design)})
    return {"curves": curves, "marked": marked}


def _point(method: Any) -> dict[str, Any]:
    merits = nd.design.merits(method)
    return {
        "name": str(getattr(method, "method", method)),
        "order": merits.order,
        "error constant": float(abs(merits.error_constant)),
        "real interval": float(merits.real_interval),
        "exact": [str(merits.error_constant), str(merits.real_interval)],
    }


def draw(numbers: dict[str, Any]) -> Any:
    """Return the figure: one panel an order."""
    axes = plotting.figure(1, len(numbers["orders"]), 11.0, 4.0)
    for (order, panel), ax in zip(numbers["orders"].items(), axes.flat, strict=True):
        lines = {name: (c["real interval"], c["error constant"]) for name, c in panel["curves"].items()}
        plotting.curves(
            lines,
            ax,
            xlabel="$x^*$ of the real interval $(-x^*, 0)$",
            ylabel="error constant $|C|$",
            logx=True,
            logy=True,
        )
        for k, pair in enumerate(panel["marked"]):
            _pair(ax, pair, labelled=k == 0)
        _plain_ticks(ax)
        ax.get_legend().remove()
        ax.set_title(f"order {order}: {' and '.join(panel['curves'])}", fontsize="medium")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    axes[0, 0].legend(handles[:-2], labels[:-2], frameon=False, fontsize="small", loc="lower right")
    axes[0, 0].figure.legend(handles[-2:], labels[-2:], loc="outside upper center", ncols=2, frameon=False)
    return axes[0, 0].figure


def _pair(ax: Any, pair: dict[str, Any], *, labelled: bool) -> None:
    """Draw a method, the design that dominates it, and a line between them."""
    ours, theirs = ((p["real interval"], p["error constant"]) for p in (pair["method"], pair["dominated by"]))
    ax.plot(*zip(ours, theirs, strict=True), color="0.6", linewidth=0.8, linestyle=":")
    ax.plot(*ours, "x", color="0.2", markersize=6, label="given" if labelled else "_")
    style = {"color": plotting.COLOURS[4], "markeredgecolor": "0.2", "markersize": 6}
    ax.plot(*theirs, "o", label="design that dominates it" if labelled else "_", **style)


def _plain_ticks(ax: Any) -> None:
    """Write 0.5, 1, 2 where a logarithmic axis would write powers of ten."""
    for axis in (ax.xaxis, ax.yaxis):
        low, high = sorted(axis.get_view_interval())
        known = (0.1, 0.25, 0.5, 1, 2, 4, 10, 20) if high > 8 * low else (0.5, 0.6, 0.8, 1, 1.5, 2, 3, 4, 6)
        ticks = [t for t in known if low <= t <= high]
        axis.set_ticks(ticks, [f"{t:g}" for t in ticks])
        axis.set_ticks([], minor=True)


if __name__ == "__main__":
    main("tradeoff", __doc__, compute, draw)
