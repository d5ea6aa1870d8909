"""Time to lay a method out on a grid of 1000 steps, beside what diffusers does before its first step.

`discretize` computes every coefficient of the run, in float64, for any grid. Folding a model's prediction into them,
which the first run of a scheme does, is timed as well. A scheduler's `set_timesteps` only lays out the grid, with the
same number of steps, and leaves the coefficients to each `step`: it is a scale for the numbers, not the same work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from time import process_time
from typing import Any

import diffusers
import torch

import numdiff as nd
from benchmarks.harness import Report, interleaved, main, spread
from numdiff.executor import native
from numdiff.methods.single_step import SingleStep

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
    nd.TimeAdams(3),
    nd.PNDM(),
    nd.BDIA(),
    nd.HeavyBall(nd.AdamsBashforth(2), beta=BETA),
    nd.GHVB(2, BETA),
    nd.GHVB(4, BETA),
    nd.GHVB(4, float(BETA)),
    nd.GHVB(4, BETA, weights="uniform"),
    nd.UniPC(3),
    nd.AdamsBashforthMoulton(4),
    nd.Heun(),
    nd.RK4(),
    nd.DPMSolverSingle(2),
    nd.DPMSolverSingle(2, nd.NOISE_LOG_SNR),
    nd.DPMSolverSingle(3),
    nd.DPMSolverSingle(3, nd.NOISE_LOG_SNR),
    nd.RES(3),
    nd.HochbruckOstermann(4),
    SingleStep(2),
    SingleStep(3),
    nd.LTSP(4),
    nd.STSP(4),
    nd.Strang(),
    nd.AdamsBashforth(8),
    nd.GHVB(8, float(BETA)),
)
STOCHASTIC = (
    nd.DDPM(),
    nd.AdamsBashforth(2, nd.stochastic()),
    nd.SASolver(2),
    nd.SASolver(3, tau=nd.Tau(1, 200, 800, "model_time")),
    nd.EulerAncestral(),
    nd.Ancestral(nd.DPM2()),
    nd.EDMStochastic(S_max=10.0),
    nd.DPMSolverPPSDE(),
    nd.SEEDS(2),
    nd.SEEDS(3),
)
TIME = (nd.SiT(), nd.SiT("heun"))
"""Methods of the velocity, which a table has none of."""

SCHEDULES = {
    "VP-linear": (nd.schedules.VPLinear(), (*METHODS, *STOCHASTIC, *TIME)),
    "Stable Diffusion's table": (nd.schedules.Discrete.stable_diffusion(), (*METHODS, *STOCHASTIC)),
}
PEERS = ("EulerDiscreteScheduler", "DPMSolverMultistepScheduler", "UniPCMultistepScheduler", "DEISMultistepScheduler")


def timed(work: Callable[[], Any]) -> float:
    """Return the seconds of the processor a step that `work` takes."""
    start = process_time()
    work()
    return (process_time() - start) / STEPS


def fold(scheme: nd.Scheme) -> list[Any]:
    """Rewrite a scheme for a v-prediction and plan its rows, as the first run does."""
    made = list(native(scheme, "v", scheme.prediction))
    return [entry.tableau.plan for entry in made]


def name(method: nd.Method) -> str:
    """Return the method's name, telling an exact damping from a float."""
    return f"{method.name}, exact beta" if isinstance(getattr(method, "beta", None), Fraction) else method.name


def table(title: str, schedule: nd.schedules.Schedule, methods: Sequence[nd.Method], rounds: int) -> Report:
    """Measure the methods on one schedule."""
    grid = nd.grids.uniform_log_snr(schedule, steps=STEPS)
    contestants: dict[str, Callable[[], float]] = {}
    for method in methods:
        contestants[name(method)] = partial(timed, partial(method.discretize, schedule, grid))
        contestants[f"fold {name(method)}"] = partial(timed, partial(fold, method.discretize(schedule, grid)))
    for peer in PEERS:
        contestants[peer] = partial(timed, partial(getattr(diffusers, peer)().set_timesteps, STEPS))
    seconds = interleaved(contestants, rounds)
    rows = [[name(m), spread(seconds[name(m)]), spread(seconds[f"fold {name(m)}"])] for m in methods]
    rows += [[f"diffusers {peer.removesuffix('Scheduler')}.set_timesteps", spread(seconds[peer]), ""] for peer in PEERS]
    note = (
        f"Microseconds of the processor a step for {STEPS} steps, median (quartiles); the aim is {AIM:g} up to order "
        "4. `set_timesteps` lays out times only."
    )
    columns = ("method", "discretize, us", "folding a v-prediction, us")
    return Report(f"Discretize, {title}", note, columns, rows, seconds)


def run(rounds: int) -> list[Report]:
    """Measure every method and the peers on both schedules."""
    torch.set_num_threads(1)
    return [table(title, *setting, rounds) for title, setting in SCHEDULES.items()]


if __name__ == "__main__":
    main(run, 5, ("torch", "diffusers"), __doc__)
