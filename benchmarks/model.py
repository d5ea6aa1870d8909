"""Total latency of a run with a network of real size and random weights, against the calls of the network alone.

The same network is called as often by all: "bare" calls it N times on one tensor and does nothing else; the others
sample with DPM-Solver++ 2M over the same timesteps of Stable Diffusion's table: diffusers' scheduler and
NumdiffScheduler in a pipeline's loop, `numdiff.sample`, `numdiff.runtime.Sampler`, and on CUDA a graph of the whole
run. ``--compile`` adds ``sampler.compiled()``, a graph of N copies of the network, which takes
minutes to compile, and what it must be held against, N calls of the compiled network.

Before the clock starts all but "bare" have to return one sample. By default the networks are small enough for a thread
of a CPU; ``--full`` takes a U-Net of Stable Diffusion's size and a DiT-XL/2 in bfloat16. Aim: a whole run as a CUDA
graph within 2 % of N bare calls.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import diffusers
import torch
from torch import Tensor

import numdiff as nd
from benchmarks.harness import Report, clock, interleaved, main, ratio, spread, synchronize
from benchmarks.peers import PAIRS, STEPS, TABLE, walk
from numdiff.adapters.diffusers import NumdiffScheduler
from numdiff.runtime import Sampler, captured

PAIR = PAIRS[1]
"""DPM-Solver++ 2M and diffusers' DPMSolverMultistepScheduler."""

AGREE = {torch.float32: 1e-4, torch.bfloat16: 0.1}
"""Largest difference of two samples: some roundings a step, amplified by the network."""

SMALL_STEPS = 4
"""Steps where the run is compiled, or made on a CPU."""


class Unet(torch.nn.Module):
    """A U-Net of Stable Diffusion's kind behind (x, t)."""

    def __init__(self, widths: tuple[int, ...], context: int, tokens: int) -> None:
        super().__init__()
        deep = len(widths) - 1
        self.net = diffusers.UNet2DConditionModel(
            block_out_channels=widths,
            down_block_types=("CrossAttnDownBlock2D",) * deep + ("DownBlock2D",),
            up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * deep,
            cross_attention_dim=context,
            attention_head_dim=8,
        )
        self.register_buffer("context", torch.randn(1, tokens, context))

    def forward(self, x: Tensor, t: Any) -> Tensor:
        """Return the prediction."""
        context = self.context.expand(len(x), -1, -1)
        return self.net(x, t, encoder_hidden_states=context, return_dict=False)[0]


class Dit(torch.nn.Module):
    """A DiT behind (x, t)."""

    def __init__(self, layers: int, heads: int, width: int, size: int) -> None:
        super().__init__()
        self.net = diffusers.DiTTransformer2DModel(
            num_attention_heads=heads, attention_head_dim=width, num_layers=layers, sample_size=size, out_channels=4
        )
        self.register_buffer("label", torch.zeros(1, dtype=torch.long))

    def forward(self, x: Tensor, t: Any) -> Tensor:
        """Return the prediction."""
        times = torch.as_tensor(t, device=x.device).expand(len(x))
        return self.net(x, timestep=times, class_labels=self.label.expand(len(x)), return_dict=False)[0]


class Case(NamedTuple):
    """A network, the latent that it is given, and its dtype."""

    name: str
    make: Callable[[], torch.nn.Module]
    shape: tuple[int, ...]
    dtype: torch.dtype


CASES = (
    Case("U-Net 32-64, float32", lambda: Unet((32, 64), 64, 16), (1, 4, 32, 32), torch.float32),
    Case("DiT 4 x 128, float32", lambda: Dit(4, 4, 32, 32), (1, 4, 32, 32), torch.float32),
)
FULL = (
    Case("U-Net SD 1.5, bfloat16", lambda: Unet((320, 640, 1280, 1280), 768, 77), (1, 4, 64, 64), torch.bfloat16),
    Case("DiT-XL/2, bfloat16", lambda: Dit(28, 16, 72, 32), (1, 4, 32, 32), torch.bfloat16),
)


def layouts(steps: int, device: str) -> tuple[Any, Any, nd.Scheme]:
    """Return the peer, NumdiffScheduler and the scheme on the same timesteps."""
    peer = diffusers.DPMSolverMultistepScheduler(**TABLE)
    ours = NumdiffScheduler.from_config(peer.config, method="dpmpp", order=2, rule="half", check_finite="never")
    for scheduler in (peer, ours):
        scheduler.set_timesteps(steps, device=device)
    schedule = nd.schedules.Discrete(alphas_cumprod=peer.alphas_cumprod.cpu())
    grid = nd.grids.from_timesteps(schedule, peer.timesteps.cpu(), final=PAIR.final)
    return peer, ours, PAIR.method.discretize(schedule, grid)


def compare(runs: dict[str, Callable[[], Any]]) -> None:
    """Raise unless all runs return diffusers' sample, to the rounding of its dtype."""
    samples = {name: run() for name, run in runs.items() if not name.startswith("bare")}
    peer = samples["diffusers"].double()
    for name, sample in samples.items():
        off = float((sample.double() - peer).norm() / peer.norm())
        if not off <= AGREE[sample.dtype]:
            raise RuntimeError(f"{name} and diffusers differ by {off:.2e}: not the same run")


def contestants(case: Case, steps: int, device: str, compiled: bool) -> dict[str, Callable[[], float]]:
    """Return the runs of a case; each reports its seconds."""
    torch.manual_seed(0)
    network = case.make().eval().requires_grad_(False).to(device, case.dtype)
    x = torch.randn(case.shape).to(device, case.dtype)
    peer, ours, scheme = layouts(steps, device)
    sampler = Sampler(scheme, network, times="tensor").to(device)
    owning = Sampler(scheme, network, times="tensor", reuse=True).to(device)
    times, now = peer.timesteps, clock(device)

    def bare(model: Callable[[Tensor, Any], Tensor]) -> None:
        for t in times:
            model(x, t)

    def looped(scheduler: Any) -> Tensor:
        return walk(scheduler, network, x)

    runs: dict[str, Callable[[], Any]] = {
        "bare": partial(bare, network),
        "diffusers": partial(looped, peer),
        "NumdiffScheduler": partial(looped, ours),
        "sample": lambda: nd.sample(scheme, lambda x, t: network(x, t), x, finite=False),
        "Sampler": partial(sampler, x),
        "Sampler, reuse": partial(owning, x),
    }
    if device != "cpu":
        runs["CUDA graph"] = partial(captured(sampler, x), x, copy=False)
    if compiled:
        runs["bare, compiled"] = partial(bare, torch.compile(network, fullgraph=True))
        runs["Sampler, compiled"] = partial(sampler.compiled(), x)

    def anew() -> None:
        for scheduler in (peer, ours):
            scheduler.set_timesteps(steps, device=device)

    def timed(run: Callable[[], Any]) -> float:
        anew()
        synchronize(device)
        start = now()
        run()
        synchronize(device)
        return now() - start

    anew()
    compare(runs)
    return {name: partial(timed, run) for name, run in runs.items()}


def run(rounds: int, device: str = "cpu", full: bool = False, compile: bool = False) -> list[Report]:
    """Measure every case."""
    torch.set_num_threads(1)
    reports, steps = [], SMALL_STEPS if device == "cpu" or compile else STEPS
    for case in FULL if full else CASES:
        with torch.no_grad():
            measured = interleaved(contestants(case, steps, device, compile), rounds)
        rows = []
        for name, seconds in measured.items():
            base = measured["bare, compiled" if "compiled" in name else "bare"]
            over = "" if name.startswith("bare") else f"{100 * (ratio(seconds, base) - 1):+.1f} %"
            rows.append([name, spread(seconds, 1e-3), over])
        shape = "x".join(map(str, case.shape))
        note = (
            f"Milliseconds of {steps} steps, latent {shape}, {device}, median (quartiles), and beyond the bare calls."
        )
        reports.append(Report(f"Run with {case.name}", note, ("run", "total, ms", "beyond bare"), rows, dict(measured)))
    return reports


if __name__ == "__main__":
    main(
        run,
        7,
        ("torch", "diffusers"),
        __doc__,
        {"full": "networks of the real size in bfloat16", "compile": "also the compiled run"},
        devices=True,
    )
