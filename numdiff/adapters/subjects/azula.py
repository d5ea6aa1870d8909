r"""Samplers of azula.

An azula sampler asks its denoiser's schedule for (alpha, sigma) at the times of ``torch.linspace(start, stop,
steps + 1)``. None of its samplers (0.11) reads the times themselves: Adams-Bashforth interpolates in sigma/alpha, in
sigma/(alpha + sigma) or in their logarithm, all of which it gets from the schedule. So a schedule made for a run, whose
values at the times i/N are alpha and sigma of our levels, puts the sampler on any grid:

    alpha(i/N), sigma(i/N) = those of level N - i;      between, lambda is linear in the time, on the subject's scale.

On its own grid it has a schedule of azula's, `VPSchedule` unless another is named, with these equal steps in time.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

import numpy as np

from numdiff._names import suggest
from numdiff.adapters.subjects import patched
from numdiff.adapters.subjects.callables import Arrays, labelled
from numdiff.certification.subject import Array, Field, Setting, Subject, level_of
from numdiff.level import Level

ORDERS = {"DDIMSampler": 1, "EulerSampler": 1, "HeunSampler": 2}
"""What the docstrings say; the orders of the multistep samplers are their option `order`."""


def names() -> tuple[str, ...]:
    """Return the names of azula's samplers."""
    import azula.sample

    return tuple(name for name in azula.sample.__all__ if name != "Sampler")


def subject(
    name: str, *, order: int | None = None, scale: str = "vp", schedule: str = "VPSchedule", **options: Any
) -> Subject:
    """Return a sampler of azula.

    Parameters
    ----------
    name
        Of the class, "zABSampler".
    order
        What is claimed, and the sampler's own `order` if it has one.
    scale
        Of the levels that it is given: "vp", "edm" or "flow".
    schedule
        Name of the class in `azula.noise` that its own grid comes from.
    options
        Of the sampler, ``eta=0.5``.

    Raises
    ------
    ValueError
        For unknown names and options, with the nearest known ones.
    """
    import azula.noise
    import azula.sample

    if name not in names():
        suggest(name, names(), "sampler of azula")
    if schedule not in azula.noise.__all__[1:]:
        suggest(schedule, azula.noise.__all__[1:], "schedule of azula")
    kind = getattr(azula.sample, name)
    parameters = inspect.signature(kind).parameters
    for key in options:
        if key not in _known(parameters):
            suggest(key, _known(parameters), f"option of {name}")
    if order is not None and "order" in parameters:
        options = {"order": order} | options
    run = _Run(kind, options, scale, getattr(azula.noise, schedule)())
    return Subject(
        name=labelled(f"azula:{name}", options),
        run=run,
        order=order if order is not None else _claim(name, parameters, options),
        prediction="data",
        scale=scale,
        grid=run.grid,
        single=True,
        stochastic=_stochastic(name, parameters, options),
        version=f"azula {version('azula')}",
    )


def _known(parameters: Any) -> tuple[str, ...]:
    """Return the names of the options of its own."""
    return tuple(p.name for p in parameters.values() if p.kind is not p.VAR_KEYWORD and p.name != "denoiser")


def _claim(name: str, parameters: Any, options: dict[str, Any]) -> int | None:
    """Return the order that the documentation gives."""
    if "order" in parameters:
        return int(options.get("order", parameters["order"].default))
    if options.get("eta"):
        return None
    return ORDERS.get(name)


def _stochastic(name: str, parameters: Any, options: dict[str, Any]) -> bool:
    """Tell whether it draws noise: eta says so where there is one."""
    if "eta" in parameters:
        return bool(options.get("eta", parameters["eta"].default))
    return name == "DDPMSampler" or (
        name == "PCSampler" and bool(options.get("delta", 1) and options.get("corrections", 1))
    )


class _Run:
    """Runs of one sampler."""

    def __init__(self, kind: Any, options: dict[str, Any], scale: str, own: Any) -> None:
        self._kind, self._options, self._scale, self._own = kind, options, scale, own

    def grid(self, steps: int) -> tuple[Level, ...]:
        """Return the levels of equal steps in the time of azula's schedule."""
        import torch

        times = torch.linspace(1.0, 0.0, steps + 1, dtype=torch.float64)
        alpha, sigma = self._own(times)
        rows = zip(times.tolist(), alpha.tolist(), sigma.tolist(), strict=True)
        return tuple(Level(time=t, alpha=a, sigma=s, model_time=t) for t, a, s in rows)

    def __call__(self, field: Field, x: Array, levels: Sequence[Level], setting: Setting) -> Array:
        """Run over the levels; see `Subject.run`."""
        import torch

        arrays = Arrays("torch", setting.precision == "shipped")
        ours = _Schedule(levels, self._scale)

        def denoise(x_t: Any, t: Any, **ignored: Any) -> Any:
            return SimpleNamespace(mean=arrays.of(field(arrays.back(x_t), ours.level(float(t)))))

        denoise.schedule = self._own if setting.grid == "own" else ours  # type: ignore[attr-defined]
        dtype = None if arrays.single else torch.float64
        sampler = self._kind(denoise, steps=len(levels) - 1, silent=True, dtype=dtype, **self._options)
        with patched.drawing(inspect.unwrap(self._kind.__call__).__globals__, setting.noise):
            return arrays.back(sampler(arrays.of(x)))


class _Schedule:
    """An azula schedule through given levels: level i at the time 1 - i/N."""

    def __init__(self, levels: Sequence[Level], scale: str) -> None:
        self._levels, self._scale = levels, scale

    def __call__(self, t: Any) -> tuple[Any, Any]:
        """Return alpha and sigma, tensors of the shape and type of t."""
        import torch

        levels = [self.level(float(one)) for one in t.reshape(-1)]
        both = [[level.alpha for level in levels], [level.sigma for level in levels]]
        alpha, sigma = (torch.tensor(row, dtype=t.dtype).reshape(t.shape) for row in both)
        return alpha, sigma

    def level(self, t: float) -> Level:
        """Return the level of a time, exactly at the nodes."""
        place = (1 - t) * (len(self._levels) - 1)
        index = round(place)
        if abs(place - index) < 1e-3:  # float32 times are off by 1e-7 times the number of steps
            return self._levels[index]
        below, above = (float(self._levels[i].log_snr) for i in (math.floor(place), math.ceil(place)))
        return level_of(self._scale, float(np.interp(place % 1, [0, 1], [below, above])))
