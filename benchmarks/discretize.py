"""Time to lay a method out on a grid of 1000 steps, beside what diffusers does before its first step.

`discretize` computes every coefficient of the run, in float64, for any grid. Folding a model's prediction into them,
which the first run of a scheme does, is timed as well. A scheduler's `set_timesteps` only lays out the grid, with the
same number of steps, and leaves the coefficients to each `step`: it is a scale for the numbers, not the same work.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial
from time import perf_counter
from typing import Any

import diffusers
import torch

import numdiff as nd
from benchmarks.harness import Report, interleaved, main, spread
from numdiff.executor import native

STEPS = 1000
AIM = 100.0
"""Microseconds a step, for methods of order 4 and less."""

BETA = Fraction(4, 5)
METHODS = (
    nd.DDIM(),
    nd.AdamsBashforth(2),
    nd.AdamsBashforth(4),
    nd.PLMS(4),
    nd.DPMSolverPP(2),
    nd.DPMSolverPP(3),
    nd.HeavyBall(nd.AdamsBashforth(2), beta=BETA),
    nd.GHVB(2, BETA),
    nd.GHVB(4, BETA),
    nd.GHVB(4, float(BETA)),
    nd.GHVB(4, BETA, weights="uniform"),
    nd.RK4(),
    nd.AdamsBashforth(8),
    nd.GHVB(8, float(BETA)),
)
PEERS = ("EulerDiscreteScheduler", "DPMSolverMultistepScheduler", "UniPCMultistepScheduler", "DEISMultistepScheduler")


def timed(work: Callable[[], Any]) -> float:
    """Return the seconds a step that `work` takes."""
    start = perf_counter()
    work()
    return (perf_counter() - start) / STEPS


def fold(scheme: nd.Scheme) -> list[Any]:
    """Rewrite a scheme for a v-prediction and plan its rows, as the first run does."""
    made = list(native(scheme, "v", scheme.prediction))
    return [entry.tableau.plan for entry in made]


def name(method: nd.Method) -> str:
    """Return the method's name, telling an exact damping from a float."""
    return f"{method.name}, exact beta" if isinstance(getattr(method, "beta", None), Fraction) else method.name


def run(rounds: int) -> list[Report]:
    """Measure every method and the peers."""
    torch.set_num_threads(1)
    schedule = nd.schedules.VPLinear()
    grid = nd.grids.uniform_log_snr(schedule, steps=STEPS)
    contestants: dict[str, Callable[[], float]] = {}
    for method in METHODS:
        contestants[name(method)] = partial(timed, partial(method.discretize, schedule, grid))
        contestants[f"fold {name(method)}"] = partial(timed, partial(fold, method.discretize(schedule, grid)))
    for peer in PEERS:
        contestants[peer] = partial(timed, partial(getattr(diffusers, peer)().set_timesteps, STEPS))
    seconds = interleaved(contestants, rounds)
    rows = [[name(m), spread(seconds[name(m)]), spread(seconds[f"fold {name(m)}"])] for m in METHODS]
    rows += [[f"diffusers {peer.removesuffix('Scheduler')}.set_timesteps", spread(seconds[peer]), ""] for peer in PEERS]
    note = (
        f"Microseconds a step for {STEPS} steps, median (quartiles); the aim is {AIM:g} up to order 4. `set_timesteps` "
        "lays out times only."
    )
    return [Report("Discretize", note, ("method", "discretize, us", "folding a v-prediction, us"), rows, seconds)]


if __name__ == "__main__":
    main(run, 7, ("torch", "diffusers"), __doc__)
