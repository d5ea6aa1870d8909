"""Time of one draw of noise: numdiff's sources beside torch.randn and torchsde's Brownian interval.

One draw is the noise of one step for the whole batch. `Seeded` makes float64 numbers on the host, a sample's own in
whatever batch it stands; `torch.randn` makes float32 numbers that depend on the batch, and float64 ones for scale.
`BrownianPath` and torchsde's `BrownianInterval` give increments of one path over the 20 steps of a run, both in
float64 and on the same clock; the interval is asked in order and anew in each round, since it keeps what it has drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import process_time
from typing import Any

import numpy as np
import torch
import torchsde

import numdiff as nd
from benchmarks.harness import Report, interleaved, main, ratio, spread, times

SHAPES = {"1x4x64x64": (1, 4, 64, 64), "64x3x32x32": (64, 3, 32, 32)}
STEPS = 20


def timed(draw: Callable[[int], Any]) -> float:
    """Return the seconds of the processor that a draw takes, over the steps of a run."""
    start = process_time()
    for index in range(STEPS):
        draw(index)
    return (process_time() - start) / STEPS


def interval(clocks: np.ndarray, shape: tuple[int, ...]) -> float:
    """Return the seconds a step of torchsde's path, made anew."""
    flat = (shape[0], int(np.prod(shape[1:])))
    path = torchsde.BrownianInterval(clocks[0], clocks[-1], size=flat, dtype=torch.float64, entropy=0)
    return timed(lambda index: path(clocks[index], clocks[index + 1]))


def contestants(shape: tuple[int, ...]) -> dict[str, Callable[[], float]]:
    """Return the sources, each of which reports its seconds a draw."""
    schedule, x, generator = nd.schedules.VPLinear(), torch.zeros(shape), torch.Generator().manual_seed(0)
    method = nd.AdamsBashforth(2, nd.stochastic())
    scheme = method.discretize(schedule, nd.grids.uniform_log_snr(schedule, steps=STEPS))
    pairs = [tableau.clocks[0] for tableau in scheme]
    clocks = np.array([pairs[0][0], *(end for _, end in pairs)])  # type: ignore[index]

    def bound(source: Any) -> float:
        draw = source.bind(x, scheme)
        return timed(lambda index: draw(index, 0))

    def randn(dtype: torch.dtype) -> float:
        return timed(lambda index: torch.randn(shape, generator=generator, dtype=dtype))

    return {
        "torch.randn, float32": partial(randn, torch.float32),
        "torch.randn, float64": partial(randn, torch.float64),
        "nd.noise.Seeded": partial(bound, nd.noise.Seeded(0)),
        "nd.noise.BrownianPath": partial(bound, nd.noise.BrownianPath(0)),
        "torchsde.BrownianInterval": partial(interval, clocks, shape),
    }


def run(rounds: int) -> list[Report]:
    """Measure every source on both tensors."""
    torch.set_num_threads(1)
    note = f"Microseconds of the processor a draw, {STEPS} draws a round, median (quartiles)."
    reports = []
    for name, shape in SHAPES.items():
        seconds = interleaved(contestants(shape), rounds)
        unit = seconds["torch.randn, float32"]
        rows = [[source, spread(values), times(ratio(values, unit))] for source, values in seconds.items()]
        reports.append(Report(f"Noise, {name}", note, ("source", "a draw, us", "of torch.randn"), rows, seconds))
    return reports


if __name__ == "__main__":
    main(run, 5, ("torch", "torchsde"), __doc__)
