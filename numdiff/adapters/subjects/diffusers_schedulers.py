"""What diffusers' schedulers have in common: how they are built and timed, and the levels behind their timesteps.

Steps inside which a network is evaluated are the scheduler's own business. The level of a question is that of its
timestep: a whole one is an entry of the table of abar = alpha^2; in between it is what the scheduler computes with.
"""

from __future__ import annotations

import copy
import inspect
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from numdiff.certification.subject import SCALES
from numdiff.level import Level

_BUILT: dict[Any, Any] = {}
KEPT = 8
"""Schedulers that are kept to be copied."""


@dataclass(frozen=True)
class Laid:
    """A scheduler ready to run: its timesteps, the level of the i-th of them, and the levels of the steps."""

    scheduler: Any
    times: Sequence[Any]
    level: Callable[[int, Any], Level]
    levels: tuple[Level, ...]


class NoGridError(ValueError):
    """A scheduler cannot be told these levels; the text says why."""


@cache
def parameters(cls: type) -> dict[str, inspect.Parameter]:
    """Return the options of a scheduler by name."""
    found = inspect.signature(cls.__init__).parameters  # type: ignore[misc]  # of a class, not of an instance
    return {name: p for name, p in found.items() if name != "self" and p.kind is not p.VAR_KEYWORD}


def built(cls: type, config: dict[str, Any]) -> Any:
    """Return a new scheduler as it comes, a copy of one that is kept: some take a third of a second to build."""
    key = (cls, torch.get_default_dtype(), repr(sorted(config.items())))
    if key not in _BUILT:
        if len(_BUILT) >= KEPT:
            _BUILT.clear()
        _BUILT[key] = cls(**config)
    return copy.deepcopy(_BUILT[key])


def timed(scheduler: Any, steps: int) -> None:
    """Call `set_timesteps`; a schedule of consistency distillation is told that its other length is the same."""
    known = inspect.signature(scheduler.set_timesteps).parameters
    scheduler.set_timesteps(steps, **({"intermediate_timesteps": None} if "intermediate_timesteps" in known else {}))


def kind_of(scheduler: Any, cls: type) -> tuple[str, str]:
    """Return kind and scale, from what a scheduler has."""
    if hasattr(scheduler, "precondition_outputs"):
        return "sigmas", "edm"
    if hasattr(scheduler, "_alpha_cumprod"):
        return "clock", "vp"
    if hasattr(scheduler, "alphas_cumprod"):
        return ("sigmas", "flow") if scheduler.config.get("use_flow_sigmas") else ("table", "vp")
    if "trained_betas" in parameters(cls):
        return "listed", "vp"
    return "sigmas", "flow"


def integrable(scheduler: Any) -> None:
    """Make the sigmas NumPy's where they are integrated by quadrature, which asks for them a hundred times a step.

    The dtype stays, and the arithmetic to a rounding, and the run is ten times as fast.
    """
    if hasattr(sys.modules[type(scheduler).__module__], "integrate"):
        scheduler.sigmas = scheduler.sigmas.numpy()


def between(scheduler: Any, i: int, time: float, entries: Sequence[Level]) -> float:
    """Return the noise ratio at a timestep between entries of the table.

    A second stage between two levels is placed by interpolation of log sigma, forth and back; everything else is at
    the sigma of its step.
    """
    inside = hasattr(scheduler, "sigmas_interpol") or hasattr(scheduler, "mid_point_sigma")
    if not hasattr(scheduler, "sigmas") or (inside and not scheduler.state_in_first_order):
        k = min(int(time), len(entries) - 2)
        low, high = (math.log(float(entries[j].rho)) for j in (k, k + 1))
        return math.exp(low + (time - k) * (high - low))
    return float(scheduler.sigmas[i])


def falling(sigmas: Sequence[float]) -> list[float]:
    """Return the sigmas without the repetitions of stages."""
    return [s for n, s in enumerate(sigmas) if n == 0 or s != sigmas[n - 1]]


def level_at(scale: str, sigma: float) -> Level:
    """Return the level of a sigma where alpha = 1, "edm", or alpha = 1 - sigma, "flow"."""
    return SCALES[scale].level(sigma)


def from_rho(rho: float, time: float | None = None) -> Level:
    """Return the level of a noise ratio where alpha^2 + sigma^2 = 1."""
    alpha = 1 / math.hypot(1.0, rho)
    where = -math.log(rho) if rho > 0 else math.inf
    return Level(time=where, alpha=alpha, sigma=rho * alpha, model_time=where if time is None else time)


def from_abar(abar: float, time: float | None = None) -> Level:
    """Return the level of alpha^2 where alpha^2 + sigma^2 = 1."""
    alpha, sigma = math.sqrt(abar), math.sqrt(max(1 - abar, 0.0))
    return Level(time=0.0 if time is None else float(time), alpha=alpha, sigma=sigma, model_time=time)
