"""What limits the order of a run: start-up and grid, predicted from the tableaus and observed, in one table.

    python -m analysis.start_and_grid --out results/analysis

Each row is a method, a start and a kind of grid, with the order that `nd.order.of_run` proves, what limits it, the
leading term of the error on y' = -y where it is known, and the order that runs on the Riccati equation show.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

import numdiff as nd
from numdiff.study.script import main

BETA = Fraction(4, 5)
METHODS = (
    nd.AdamsBashforth(2),
    nd.AdamsBashforth(3),
    nd.PLMS(3),
    nd.PLMS(4),
    nd.HeavyBall(nd.AdamsBashforth(2), BETA),
    nd.GHVB(3, BETA),
    nd.GHVB(3, BETA, weights="uniform"),
    nd.GHVB(4, BETA),
    nd.PredictorCorrector(2),
    nd.RK4(),
)
STARTS = ("lower", "runge-kutta")
GRIDS = ("uniform", "smooth", "alternating")


def fractions(grid: str, steps: int) -> np.ndarray:
    """Return times in [0, 1] for an even number of steps."""
    if grid == "alternating":
        return np.append(0.0, np.cumsum(np.tile([1.0, 2.0], steps // 2))) / (1.5 * steps)
    u = np.linspace(0, 1, steps + 1)
    return u if grid == "uniform" else np.expm1(1.5 * u) / np.expm1(1.5)


def observe(method: nd.Method, start: str, grid: str, steps: tuple[int, ...]) -> float:
    """Return the observed order on the Riccati equation."""
    ode = nd.problems.odes()["riccati"]
    first, last = ode.t_span

    def run(n: int) -> Any:
        return nd.solve_ivp(method, ode.fun, first + (last - first) * fractions(grid, n), ode.y0, start=start)

    return float(nd.order.observed(run, steps, reference=ode.exact(last)).slope)


def compute(fast: bool) -> dict[str, Any]:
    """Return the rows of the table."""
    steps = (160, 320, 640) if fast else (320, 640, 1280, 2560)
    rows = []
    for method in METHODS:
        for start in STARTS if method.points > 1 else STARTS[:1]:
            for grid in GRIDS:
                found = nd.order.of_run(method, start=start, grid=grid)
                term = found.constant
                rows.append(
                    {
                        "method": method.name,
                        "start": start,
                        "grid": grid,
                        "proved": found.order,
                        "observed": round(observe(method, start, grid, steps), 2),
                        "limited by": found.limiter,
                        "error on y' = -y": "" if term is None else str(term.error),
                    }
                )
    return {"steps": steps, "rows": rows}


def draw(numbers: dict[str, Any]) -> str:
    """Return the table in Markdown."""
    heading = list(numbers["rows"][0])
    lines = [heading, ["---"] * len(heading), *([str(v) for v in row.values()] for row in numbers["rows"])]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


if __name__ == "__main__":
    main("start_and_grid", __doc__, compute, draw)
