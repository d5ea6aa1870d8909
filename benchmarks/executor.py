"""Time of a step apart from the model: numdiff's executor against diffusers' schedulers.

Both sides walk the same timesteps of Stable Diffusion's table from the same noise tensor, with a model that returns a
fixed tensor at no cost. numdiff is timed twice: the ask/tell `Machine` that a pipeline would drive, made anew for each
run, and `sample` with its checks of every model output (type, shape, dtype, finiteness). A scheduler is timed from
`scale_model_input` to the end of `step`, as a pipeline calls them. Laying out the grid (`set_timesteps`, `discretize`)
is outside on both sides.

Before the clock starts each pair runs on a real model, and pairs that implement the same method have to agree to
float32. Where a method adds noise both sides draw it from a torch generator, inside the clock.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

import numdiff as nd
from benchmarks.harness import Report, Times, interleaved, main, ratio, spread, times
from benchmarks.peers import FAMILIES, PAIRS, SHAPES, STEPS, Model, Pair, difference, scheduler, scheme, source, walk
from numdiff.drivers import program
from numdiff.noise import from_generator

TURN = 0.01
"""Seconds that a contestant's turn lasts at least: a short run is repeated and not timed alone."""


def drive(machine: nd.Machine, model: Model) -> Tensor:
    """Answer a machine's questions to the end."""
    while (question := machine.ask()) is not None:
        machine.tell(model(question.x, question.level.model_time))
    return machine.sample


def contestants(pair: Pair, shape: tuple[int, ...]) -> dict[str, Callable[[], float]]:
    """Return the three runs of a pair; each reports its seconds a step."""
    generator = torch.Generator().manual_seed(0)
    x, output = torch.randn(shape, generator=generator), torch.randn(shape, generator=generator)
    laid_out, peer = scheme(pair), scheduler(pair)
    steps, noise = program(laid_out, "noise"), source(pair)
    drawn = None if noise is None else from_generator(x, noise)

    def model(x: Tensor, t: Any) -> Tensor:
        return output

    def timed(run: Callable[[], Any]) -> float:
        elapsed, runs = 0.0, 0
        while elapsed < TURN:
            peer.set_timesteps(STEPS)
            start = perf_counter()
            run()
            elapsed, runs = elapsed + perf_counter() - start, runs + 1
        return elapsed / runs / STEPS

    return {
        "machine": partial(timed, lambda: drive(nd.Machine(steps, x, noise=drawn), model)),
        "sample": partial(timed, lambda: nd.sample(laid_out, model, x, generator=noise)),
        "peer": partial(timed, lambda: walk(peer, model, x, noise)),
    }


def row(pair: Pair, measured: Times, aim: float) -> list[str]:
    """Return the table's row of a pair."""
    machine, sample, peer = (measured[name] for name in ("machine", "sample", "peer"))
    same = "" if pair.agree is not None else " *"
    return [
        pair.method.name,
        pair.peer.removesuffix("Scheduler") + same,
        *(spread(seconds) for seconds in (machine, sample, peer)),
        times(ratio(peer, machine), aim),
        times(ratio(peer, sample)),
    ]


def run(rounds: int) -> list[Report]:
    """Measure every pair on both tensors."""
    torch.set_num_threads(1)
    pairs = (*PAIRS, *FAMILIES)
    for pair in pairs:
        if pair.agree is not None and not (off := difference(pair)) <= pair.agree:
            raise RuntimeError(f"{pair.method.name} and {pair.peer} differ by {off:.2e}: not the same method")
    columns = ("numdiff", "diffusers", "machine, us", "sample, us", "peer, us", "peer/machine", "peer/sample")
    note = f"Microseconds a step over {STEPS} steps without the model, median (quartiles). * is not the same method."
    reports = []
    for which, (name, shape) in enumerate(SHAPES.items()):
        with torch.no_grad():
            measured = [interleaved(contestants(pair, shape), max(1, rounds // (1, 4)[which])) for pair in pairs]
        rows = [row(pair, m, pair.aims[which]) for pair, m in zip(pairs, measured, strict=True)]
        data = {f"{pair.method.name}, {pair.peer}": m for pair, m in zip(pairs, measured, strict=True)}
        reports.append(Report(f"Executor, float32 tensor {name}", note, columns, rows, data))
    return reports


if __name__ == "__main__":
    main(run, 40, ("torch", "diffusers"), __doc__)
