"""Time of a step of a scheduler, protocol included: NumdiffScheduler against diffusers' own.

Both sides are driven as a pipeline drives them: `scale_model_input`, a network that returns a fixed tensor at no cost,
and `step(..., return_dict=False)`, over the same timesteps of Stable Diffusion's table; `set_timesteps` is outside the
clock on both sides. NumdiffScheduler looks at every output of the network on the CPU (``check_finite="auto"``), which
diffusers does not; "unchecked" is the same without, and the aim is for the default. On a device the clock stops when
the device is done. Before it starts, pairs that are the same method have to agree on a nonlinear model.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import diffusers
import torch
from torch import Tensor

from benchmarks.harness import Report, Times, clock, interleaved, main, ratio, spread, synchronize, times
from benchmarks.peers import STEPS, TABLE, walk
from numdiff.adapters.diffusers import NumdiffScheduler

AGREE = 1e-5
"""Largest difference of the results relative to their size: tables and intermediate results in float32, 20 steps."""

TURN = 0.01
"""Seconds that a contestant's turn lasts at least."""

SHAPES = ((1, 4, 64, 64), (4, 4, 64, 64), (1, 4, 128, 128), (16, 4, 128, 128))


class Pair(NamedTuple):
    """A method of NumdiffScheduler and its peer, how many times faster it shall be, and whether they are the same."""

    peer: str
    method: dict[str, Any]
    aim: float
    same: bool = True


PAIRS = (
    Pair("EulerDiscreteScheduler", {"method": "ddim"}, 2.5),
    Pair("DPMSolverMultistepScheduler", {"method": "dpmpp", "order": 2, "rule": "half"}, 6),
    Pair("UniPCMultistepScheduler", {"method": "unipc", "order": 2, "rule": "bh2"}, 15),
    Pair("UniPCMultistepScheduler", {"method": "dpmpp", "order": 2}, 15, same=False),
    Pair("DEISMultistepScheduler", {"method": "deis", "order": 2, "variant": "log-rho"}, 15),
)


def schedulers(pair: Pair) -> dict[str, Any]:
    """Return the peer, and NumdiffScheduler from its configuration, with and without a look at the outputs."""
    peer = getattr(diffusers, pair.peer)(**TABLE)
    made = {name: NumdiffScheduler.from_config(peer.config, check_finite=check, **pair.method)
            for name, check in (("numdiff", "auto"), ("unchecked", "never"))}  # fmt: skip
    return {**made, "peer": peer}


def difference(pair: Pair) -> float:
    """Return the relative difference of the two samples of one nonlinear model."""
    x, found = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64), {}
    for name, scheduler in schedulers(pair).items():
        scheduler.set_timesteps(STEPS)
        found[name] = walk(scheduler, lambda x, t: torch.tanh(x + t / 1000), x * scheduler.init_noise_sigma)
    size = found["peer"].abs().max()
    return max(float((found[name] - found["peer"]).abs().max() / size) for name in ("numdiff", "unchecked"))


def contestants(pair: Pair, shape: tuple[int, ...], dtype: torch.dtype, device: str) -> dict[str, Callable[[], float]]:
    """Return the runs of a pair; each reports its seconds a step."""
    x, output = (torch.randn(shape, dtype=torch.float32).to(device, dtype) for _ in range(2))

    def model(x: Tensor, t: Any) -> Tensor:
        return output

    now = clock(device)

    def timed(scheduler: Any) -> float:
        elapsed, runs = 0.0, 0
        while elapsed < TURN:
            scheduler.set_timesteps(STEPS, device=device)
            synchronize(device)
            start = now()
            walk(scheduler, model, x)
            synchronize(device)
            elapsed, runs = elapsed + now() - start, runs + 1
        return elapsed / runs / STEPS

    return {name: partial(timed, scheduler) for name, scheduler in schedulers(pair).items()}


def row(pair: Pair, measured: Times, aim: float | None) -> list[str]:
    """Return the table's row of a pair."""
    ours, unchecked, peer = (measured[name] for name in ("numdiff", "unchecked", "peer"))
    name = pair.peer.removesuffix("Scheduler") + ("" if pair.same else " *")
    cells = [spread(seconds) for seconds in (ours, unchecked, peer)]
    method = " ".join(str(value) for value in pair.method.values())
    return [method, name, *cells, times(ratio(peer, ours), aim), times(ratio(peer, unchecked))]


def run(rounds: int, device: str = "cpu") -> list[Report]:
    """Measure every pair on every latent, in float32 and bfloat16."""
    torch.set_num_threads(1)
    for pair in PAIRS:
        if pair.same and not (off := difference(pair)) <= AGREE:
            raise RuntimeError(f"{pair.method} and {pair.peer} differ by {off:.2e}: not the same method")
    columns = ("numdiff", "diffusers", "numdiff, us", "unchecked, us", "peer, us", "peer/numdiff", "peer/unchecked")
    note = (
        f"Microseconds a step over {STEPS} steps, scale_model_input and step, median (quartiles), on {device}. "
        "* is not the same method."
    )
    reports = []
    for dtype in (torch.float32, torch.bfloat16):
        for n, shape in enumerate(SHAPES):
            turns = max(1, rounds // (1, 1, 1, 4)[n])
            with torch.no_grad():
                found = [interleaved(contestants(pair, shape, dtype, device), turns) for pair in PAIRS]
            first = n == 0 and dtype == torch.float32
            rows = [row(pair, m, pair.aim if first else None) for pair, m in zip(PAIRS, found, strict=True)]
            data = {f"{pair.method}, {pair.peer}": m for pair, m in zip(PAIRS, found, strict=True)}
            name = f"Scheduler, {str(dtype)[6:]} latent {'x'.join(map(str, shape))}"
            reports.append(Report(name, note, columns, rows, data))
    return reports


if __name__ == "__main__":
    main(run, 20, ("torch", "diffusers"), __doc__, devices=True)
