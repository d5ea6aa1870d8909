"""Sampling a trained model, for the command ``sample`` and for the study: named time grids, labels, noise, a timed run.

Samples end at the schedule's ``t_end``, a positive noise level that an eye doesn't see, so that every method solves the
same problem and none needs a special last step.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SHIPPED = "digits"


@dataclass(frozen=True)
class Run:
    """What one run gave: samples of shape (n, ...), evaluations, steps, and wall-clock seconds of the run alone."""

    samples: Any
    nfe: int
    steps: int
    seconds: float


def load(model: str) -> Any:
    """Return a denoiser that ships with the package ("digits", "glyphs"), or the one saved at a path.

    Raises
    ------
    OSError, ValueError
        If there is none, or it is damaged.
    """
    from numdiff import models

    shipped = {SHIPPED: models.digits, "glyphs": models.glyphs}
    if model in shipped:
        return shipped[model]()
    if not Path(f"{model.removesuffix('.safetensors').removesuffix('.json')}.json").exists():
        raise FileNotFoundError(
            f"there is no model {model!r}: give {' or '.join(map(repr, shipped))}, or the path of a pair "
            "NAME.safetensors, NAME.json"
        )
    return models.load(model, (models.Denoiser, models.UNetDenoiser))


def labels(classes: Sequence[int], n: int) -> Any:
    """Return `n` labels that go through `classes` again and again, as a tensor."""
    import torch

    return torch.tensor([classes[i % len(classes)] for i in range(n)])


def noise(denoiser: Any, n: int, seed: int) -> Any:
    """Return `n` standard normal samples x_T of a variance-preserving model, the same for every method."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    return torch.randn((n, *denoiser.shape), generator=generator, dtype=denoiser.dtype)


def run(
    denoiser: Any,
    method: Any,
    times: Any,
    x: Any,
    classes: Any,
    guidance: float,
    *,
    start: str = "lower",
    generator: Any = None,
    noise: Any = None,
    **options: Any,
) -> Run:
    """Draw samples.

    Parameters
    ----------
    denoiser
        A `numdiff.models.Denoiser`.
    method
        Any method.
    times
        Grid from noise to data.
    x
        Initial noise, shape (n, ...).
    classes
        Labels, shape (n,).
    guidance
        Strength of classifier-free guidance; 1 is none. A method that splits guidance off evaluates the conditional
        network and, apart from it, guidance - 1 times the difference that the condition makes.
    start, **options
        As `Method.discretize` takes them.
    generator, noise
        Of the noise that a stochastic method adds; see `numdiff.sample`.

    Raises
    ------
    ValueError
        For a method that splits guidance off where there is none.
    """
    import torch

    from numdiff.drivers import sample

    scheme = method.discretize(denoiser.schedule, times, start=start, **options)
    model, fields = _fields(denoiser, scheme, classes, guidance)
    with torch.inference_mode():
        began = time.perf_counter()
        chance = {"generator": generator, "noise": noise}
        samples = sample(scheme, model, x, prediction=model.prediction, fields=fields, **chance)
        seconds = time.perf_counter() - began
    return Run(samples, scheme.nfe, scheme.steps, seconds)


def _fields(denoiser: Any, scheme: Any, classes: Any, guidance: float) -> tuple[Any, dict[str, Any] | None]:
    """Return the model and the other fields of a scheme: what guidance adds to the conditional model, split off."""
    from numdiff.guidance import ClassifierFree

    tags = {tag for tableau in scheme for tag in tableau.tags if tag}
    if not tags:
        return denoiser.conditioned(classes, guidance), None
    if guidance in (0.0, 1.0):
        raise ValueError(
            f"{scheme.method} splits guidance off, and guidance {guidance:g} leaves nothing to split; give another "
            "strength such as guidance=2, or a method without splitting"
        )
    guided = ClassifierFree(denoiser, classes, denoiser.null, guidance, prediction=denoiser.prediction)
    added = guided.split("condition")[1]["condition"]
    return denoiser.conditioned(classes, 1.0), dict.fromkeys(tags, added)
