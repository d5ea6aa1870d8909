"""Time of a stability region on 400 x 400 points, against nodepy.

nodepy decides the root condition of a multistep method point by point from `numpy.roots`; its plotting is left out. For
a Runge-Kutta method it evaluates |R(z)| on the whole grid at once. Both sides start from the method object. The two
regions have to agree, apart from points that rounding puts on either side of a boundary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
from nodepy import linear_multistep_method as lm
from nodepy import runge_kutta_method as rk
from numpy.typing import NDArray

import numdiff as nd
from benchmarks.harness import Report, interleaved, main, ratio, spread, times
from numdiff.properties import stability

POINTS = 400
DISAGREE = 1e-3
"""Share of the points that may differ: a boundary that runs along grid lines, such as the imaginary axis, is decided by
rounding, and holds at most a few rows of 400."""

Grid = NDArray[np.complex128]
Region = NDArray[np.bool_]


@dataclass(frozen=True)
class Pair:
    """A method, nodepy's object for it and its way to the region; (left, right, top) of the plane; the aim."""

    method: Any
    peer: Any
    region: Callable[[Any, Grid], Region]
    bounds: tuple[float, float, float]
    aim: float | None = None


def multistep(peer: Any, z: Grid) -> Region:
    """Return nodepy's region of a multistep method, the computation of its plot_stability_region."""
    rho, sigma = peer.__num__().characteristic_polynomials()
    return np.vectorize(lambda z: lm._root_condition(rho - z * sigma))(z).astype(bool)


def one_step(peer: Any, z: Grid) -> Region:
    """Return nodepy's region of a Runge-Kutta method, likewise."""
    p, q = peer.__num__().stability_function(mode="float")
    return np.abs(p(z) / q(z)) <= 1


PAIRS = (
    Pair(nd.AdamsBashforth(2), lm.Adams_Bashforth(2), multistep, (-1.5, 0.5, 1.0), aim=10),
    Pair(nd.AdamsBashforth(4), lm.Adams_Bashforth(4), multistep, (-0.8, 0.8, 0.8), aim=10),
    Pair(nd.RK4(), rk.loadRKM("RK44"), one_step, (-4.0, 1.0, 4.0)),
)
ALONE = (nd.HeavyBall(nd.AdamsBashforth(2), beta=0.8), nd.GHVB(4, 0.8), nd.AdamsBashforth(8))


def points(left: float, right: float, top: float) -> Grid:
    """Return the grid of complex numbers."""
    x, y = np.linspace(left, right, POINTS), np.linspace(-top, top, POINTS)
    return x + 1j * y[:, np.newaxis]


def timed(work: Callable[[], Any]) -> float:
    """Return the seconds that `work` takes."""
    start = perf_counter()
    work()
    return perf_counter() - start


def run(rounds: int) -> list[Report]:
    """Measure every pair, and numdiff alone where nodepy has no such method."""
    rows, data = [], {}
    for pair in PAIRS:
        z = points(*pair.bounds)
        differ = float(np.mean(stability.region(pair.method, z) != pair.region(pair.peer, z)))
        if differ > DISAGREE:
            raise RuntimeError(f"the regions of {pair.method} differ at {differ:.2%} of the points")
        here, there = partial(stability.region, pair.method, z), partial(pair.region, pair.peer, z)
        seconds = interleaved({"numdiff": partial(timed, here), "nodepy": partial(timed, there)}, rounds, warm_up=0)
        gain = times(ratio(seconds["nodepy"], seconds["numdiff"]), pair.aim)
        rows.append([str(pair.method), *(spread(seconds[side], 1e-3) for side in ("numdiff", "nodepy")), gain])
        data[str(pair.method)] = seconds
    for method in ALONE:
        seconds = interleaved(
            {"numdiff": partial(timed, partial(stability.region, method, points(-2, 1, 1.5)))}, rounds
        )
        rows.append([str(method), spread(seconds["numdiff"], 1e-3), "", ""])
        data[str(method)] = seconds
    note = f"Milliseconds for {POINTS} x {POINTS} points, median (quartiles)."
    return [Report("Stability region", note, ("method", "numdiff, ms", "nodepy, ms", "nodepy/numdiff"), rows, data)]


if __name__ == "__main__":
    main(run, 2, ("scipy", "sympy", "nodepy"), __doc__)
