"""The samplers that are compared: numdiff's on two kinds of time steps, and diffusers' own schedulers.

All end at sigma = 0. Steps uniform in time are what diffusers calls "trailing" spacing; the optimized ones minimize a
bound that knows the method and the schedule, but neither the network nor data.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

import numdiff as nd
from numdiff.models import Conditioned

BASELINE = "diffusers DPM++ 2M"
"""The sampler that the others are compared with, noise by noise."""

METHODS: dict[str, nd.Method] = {
    "DDIM": nd.DDIM(),
    "DPM++ 2M": nd.DPMSolverPP(2),
    "DPM++ 3M": nd.DPMSolverPP(3),
    "UniPC 3": nd.UniPC(3),
    "DEIS 3": nd.DEIS(3),
    "PLMS 4": nd.PLMS(4),
    "HB(DPM++ 2M, 0.8)": nd.HeavyBall(nd.DPMSolverPP(2), Fraction(4, 5)),
    "GHVB 3 (0.8)": nd.GHVB(3, Fraction(4, 5)),
}
"""Methods with the exact weights of their order, each at its own formulation."""

OPTIMIZED = ("DPM++ 2M", "DPM++ 3M", "UniPC 3", "GHVB 3 (0.8)")
"""Those that are also run on steps optimized for them."""

SCHEDULERS: dict[str, tuple[str, dict[str, Any]]] = {
    "diffusers DDIM": ("DDIMScheduler", {"clip_sample": False}),
    "diffusers DPM++ 2M": ("DPMSolverMultistepScheduler", {}),
    "diffusers UniPC": ("UniPCMultistepScheduler", {}),
    "diffusers DEIS": ("DEISMultistepScheduler", {}),
}
"""Schedulers of diffusers, with what differs from their defaults."""


Sampler = Callable[[Conditioned, Tensor, int], Tensor]
"""A way to sample: (model, noise, evaluations) -> images."""


def samplers() -> dict[str, Sampler]:
    """Return all samplers by name."""
    found = {f"{name}, uniform t": _ours(method, _uniform) for name, method in METHODS.items()}
    found |= {f"{name}, optimized": _ours(METHODS[name], _optimized) for name in OPTIMIZED}
    return found | {name: _theirs(*entry) for name, entry in SCHEDULERS.items()}


def _uniform(method: nd.Method, schedule: Any, steps: int) -> nd.Scheme:
    return method.discretize(schedule, nd.grids.uniform_t(schedule, steps, t_end=0.0))


def _optimized(method: nd.Method, schedule: Any, steps: int) -> nd.Scheme:
    return nd.optimize.timesteps(method, schedule, steps, final_zero=True, time_limit=20.0).scheme()


def _ours(method: nd.Method, rule: Callable[[nd.Method, Any, int], nd.Scheme]) -> Sampler:
    def draw(model: Conditioned, noise: Tensor, evaluations: int) -> Tensor:
        scheme = rule(method, model.denoiser.schedule, evaluations)
        if scheme.nfe != evaluations:
            raise ValueError(f"{method.name} makes {scheme.nfe} evaluations in {evaluations} steps")
        return nd.sample(scheme, model, noise, prediction=model.prediction)

    return draw


def _theirs(name: str, options: dict[str, Any]) -> Sampler:
    def draw(model: Conditioned, noise: Tensor, evaluations: int) -> Tensor:
        import diffusers

        scheduler = getattr(diffusers, name)(**table(model.denoiser.schedule), **options)
        scheduler.set_timesteps(evaluations, device=noise.device)
        if len(scheduler.timesteps) != evaluations:
            raise ValueError(f"{name} makes {len(scheduler.timesteps)} evaluations where {evaluations} are wanted")
        x = noise * scheduler.init_noise_sigma
        for t in scheduler.timesteps:
            x = scheduler.step(model(scheduler.scale_model_input(x, t), float(t)), t, x, return_dict=False)[0]
        return x

    return draw


def table(schedule: Any) -> dict[str, Any]:
    """Return the schedule as the arguments of a scheduler of diffusers: the betas of its table."""
    kept = torch.tensor([1.0, *schedule.alphas_cumprod], dtype=torch.float64)
    betas = 1 - kept[1:] / kept[:-1]
    return {"num_train_timesteps": schedule.N, "trained_betas": betas.numpy(), "prediction_type": "v_prediction"}


def reference(model: Conditioned, noise: Tensor, evaluations: int) -> Tensor:
    """Return where the model's flow takes the noise.

    DPM-Solver++ 3 on steps uniform in time; 1000 of them are the entries of the table and the
    step from the first one to sigma = 0.
    """
    schedule = model.denoiser.schedule
    scheme = nd.DPMSolverPP(3).discretize(schedule, nd.grids.uniform_t(schedule, evaluations, t_end=0.0))
    return nd.sample(scheme, model, noise, prediction=model.prediction)
