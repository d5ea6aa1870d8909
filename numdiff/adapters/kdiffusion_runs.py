"""What a run called as k-diffusion's has beside the steps: noise in k-diffusion's order, and its progress bar."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch

from numdiff.methods.churn import Churn
from numdiff.methods.scheme import Scheme

Tensor = torch.Tensor


def noise_of(
    scheme: Scheme, sigmas: Sequence[float], x: Tensor, sampler: Callable[..., Tensor] | None, seed: int | None
) -> Callable[[int, int], Tensor]:
    """Return the noise of column k of tableau n, from a noise sampler of k-diffusion's kind or from torch."""
    if sampler is None and isinstance(scheme.method, Churn):
        return _every_step(x)
    draw = _normals(x, seed) if sampler is None else sampler
    spans = _spans(scheme, sigmas)

    def noise(index: int, column: int) -> Tensor:
        before, after = spans[index][column]
        return draw(x.new_full((), before), x.new_full((), after))

    return noise


def _normals(x: Tensor, seed: int | None) -> Callable[..., Tensor]:
    """Return torch's noise, and ComfyUI's for a seed, which is one higher on the CPU."""
    if seed is None:
        return lambda *_: torch.randn_like(x)
    generator = torch.Generator(device=x.device).manual_seed(int(seed) + (x.device.type == "cpu"))
    return lambda *_: torch.randn(x.shape, dtype=x.dtype, device=x.device, generator=generator)


def _every_step(x: Tensor) -> Callable[[int, int], Tensor]:
    """Return torch's noise where every step draws, also those that use none."""
    drawn = 0

    def noise(index: int, column: int) -> Tensor:
        nonlocal drawn
        for _ in range(drawn, index):
            torch.randn_like(x)
        drawn = index + 1
        return torch.randn_like(x)

    return noise


def _spans(scheme: Scheme, sigmas: Sequence[float]) -> list[list[tuple[float, float]]]:
    """Return for each tableau the sigmas between which each of its noises lies: cut at the levels of inner stages."""
    nodes = {id(level): n for n, level in enumerate(scheme.levels)}
    found, arrived = [], 0
    for tableau in scheme:
        end = arrived if tableau.target is None else nodes[id(tableau.target)]
        inner = [float(level.sigma) for level in tableau.levels[1 : tableau.noises] if level is not None]
        cuts = [sigmas[arrived], *inner, sigmas[end]]
        found.append(list(pairwise(cuts)))
        arrived = end
    return found


class Bar:
    """k-diffusion's progress bar, tqdm's, which counts grid steps."""

    def __init__(self, steps: int, disable: bool | None) -> None:
        self._bar: Any = None
        if disable is not True:
            try:
                from tqdm.auto import tqdm
            except ModuleNotFoundError as error:
                raise ModuleNotFoundError(
                    "the progress bar needs tqdm; pip install tqdm, or pass disable=True"
                ) from error
            self._bar = tqdm(total=steps, disable=disable)

    def __enter__(self) -> Callable[[int], None]:
        """Return the function that is told the step reached."""
        return self._reached

    def __exit__(self, *_: object) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()

    def _reached(self, step: int) -> None:
        if self._bar is not None:
            self._bar.update(step - self._bar.n)
