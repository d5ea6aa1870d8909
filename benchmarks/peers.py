"""The schedulers of diffusers and the methods of numdiff that they are held against.

Both sides get Stable Diffusion's table and the same timesteps. Pairs that implement the same method agree to float32,
which `difference` measures on a nonlinear model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from inspect import signature
from typing import Any

import diffusers
import torch
from torch import Tensor

import numdiff as nd
from numdiff.methods.single_step import SingleStep

Model = Callable[[Tensor, Any], Tensor]

STEPS = 20
TABLE: dict[str, Any] = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "timestep_spacing": "leading",
    "steps_offset": 1,
}


@dataclass(frozen=True)
class Pair:
    """A method of numdiff and its peer.

    Parameters
    ----------
    method, peer
        The two; `peer` names a class of diffusers.
    final
        What the peer's grid ends with; see `numdiff.grids.from_timesteps`.
    aims
        How many times faster the machine should be on the small and on the large tensor.
    agree
        Largest difference of the results relative to their size; None where the two are not the same method.
    config
        Options of the peer, beside the table.
    lowers
        Whether the peer lowers its order to 1 over the last steps.
    """

    method: nd.Method
    peer: str
    final: str
    aims: tuple[float, float]
    agree: float | None = 1e-5  # float32 tables and intermediate float32 on the peer's side, over 20 steps
    config: dict[str, Any] = field(default_factory=dict)
    lowers: bool = False


PAIRS = (
    Pair(nd.DDIM(), "EulerDiscreteScheduler", "zero", (2.5, 1.8)),
    Pair(nd.DPMSolverPP(2, rule="half"), "DPMSolverMultistepScheduler", "zero", (6, 2.5)),
    Pair(nd.DPMSolverPP(2), "UniPCMultistepScheduler", "zero", (15, 4.5), agree=None),
    Pair(nd.DEIS(2, "log-rho"), "DEISMultistepScheduler", "first-entry", (15, 4)),
)
FAMILIES = (
    Pair(
        nd.SDEDPMSolverPP(2, rule="half"),
        "DPMSolverMultistepScheduler",
        "zero",
        (2.5, 1.8),  # three quarters of the machine's time is the noise, on both sides
        config={"algorithm_type": "sde-dpmsolver++"},
    ),
    Pair(
        nd.SASolver(2, tau=1, rule="bh1"),
        "SASolverScheduler",
        "first-entry",
        (5, 1.5),
        config={"tau_func": lambda t: 1},
        lowers=True,
    ),
    Pair(
        SingleStep(2, rule="half", tail="diffusers"),
        "DPMSolverSinglestepScheduler",
        "zero",
        (5, 2),
        config={"solver_order": 2, "final_sigmas_type": "zero"},
    ),
)
"""Other families: with noise, with noise and a corrector, with stages."""

SHAPES = {"1x4x64x64": (1, 4, 64, 64), "16x4x128x128": (16, 4, 128, 128)}


def scheduler(pair: Pair) -> Any:
    """Return the peer, with its grid laid out."""
    kind = getattr(diffusers, pair.peer)
    known = signature(kind.__init__).parameters  # not all have a choice of timesteps
    made = kind(**{name: value for name, value in TABLE.items() if name in known}, **pair.config)
    made.set_timesteps(STEPS)
    return made


def scheme(pair: Pair) -> nd.Scheme:
    """Return numdiff's scheme on the peer's table and timesteps."""
    peer = scheduler(pair)
    schedule = nd.schedules.Discrete(alphas_cumprod=peer.alphas_cumprod)
    grid = nd.grids.from_timesteps(schedule, peer.timesteps, final=pair.final)
    steps = len(grid) - 1
    orders = [min(pair.method.points, steps - n) for n in range(steps)] if pair.lowers else None
    return pair.method.discretize(schedule, grid, orders=orders)


def walk(peer: Any, model: Model, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Sample as a pipeline does; the generator is for schedulers with noise."""
    options = {} if generator is None else {"generator": generator}
    for t in peer.timesteps:
        scaled = peer.scale_model_input(x, t)
        x = peer.step(model(scaled, t), t, x, return_dict=False, **options)[0]
    return x


def source(pair: Pair) -> torch.Generator | None:
    """Return a generator where the pair adds noise: both sides draw the same numbers from equal ones."""
    return torch.Generator().manual_seed(1) if pair.method.stochastic else None


def difference(pair: Pair) -> float:
    """Return the relative difference of the two samples of one nonlinear model."""
    dtype = torch.float32 if pair.method.stochastic else torch.float64  # the noise of float64 is another
    x, peer = torch.randn(64, generator=torch.Generator().manual_seed(0), dtype=dtype), scheduler(pair)
    ours = nd.sample(scheme(pair), lambda x, t: torch.tanh(x + t / 1000), x, generator=source(pair))
    theirs = walk(peer, lambda x, t: torch.tanh(x + t / 1000), x * peer.init_noise_sigma, source(pair))
    return float((ours - theirs).abs().max() / theirs.abs().max())
