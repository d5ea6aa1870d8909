"""What a probe is made on: a mixture, images or a network, each with its noises, its field and its way to sum.

A subject answers for `noises` (its samples at the first level), `field(prediction)` (what a scheme integrates, with an
adjoint), `flow` (the exact end points, where they are known), and <a, v> per noise as NumPy numbers.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numdiff.level import Level
from numdiff.optimize.compiled import Trace
from numdiff.optimize.objectives.probe_fields import KernelField, MixtureField
from numdiff.problems.exact_model import ExactModel
from numdiff.problems.mixture import GaussianMixture

Array = NDArray[np.float64]

TOLERANCE = 1e-9
"""Relative tolerance of a mixture's exact flow; the images returned are better than that."""

NUMBERS = 2**22
"""Most numbers (noises times components times coordinates, or times images) in one array of a field: 32 MB."""


ALL = slice(None)
"""All rows of the noises."""


def points_of(probe: Any, size: int) -> int:
    """Return how many noises are drawn: 1024 numbers, in between 64 and 256 noises, unless the probe says how many.

    The error of a noise is a mean over its coordinates, so that fewer noises of more coordinates are as good a sample.
    """
    return int(probe.points or max(64, min(256, 1024 // size)))


def caller() -> int:
    """Return the `stacklevel` with which a warning of the calling function names the user's line."""
    level, frame = 1, sys._getframe(1)  # warnings has a parameter for it from Python 3.12 on
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "numdiff":
        level, frame = level + 1, frame.f_back
    return level


class Subject:
    """Samples of shape (n, ...) and what moves them; see the top of the module."""

    tolerance = 1e-8
    """What the first-order conditions of a search can be met to."""

    advice = ""
    """What to do where they are not."""

    held_out_by_default = True

    def __init__(self, noises: Any, batch: int | None) -> None:
        self.noises, self.batch = noises, batch or len(noises)
        self.size = math.prod(noises.shape[1:])

    def batches(self) -> Iterator[slice]:
        """Iterate over the rows of the noises that are run together."""
        return (slice(i, i + self.batch) for i in range(0, len(self.noises), self.batch))

    def entries(self, prediction: str) -> tuple[str, ...]:
        """Return the entries of a level that the field of this prediction reads."""
        return ("alpha", "sigma", "d_alpha", "d_sigma") if prediction == "velocity" else ("alpha", "sigma")

    def field(self, prediction: str, rows: slice) -> Any:
        """Return what a scheme of this prediction integrates, for these rows of the noises."""
        raise NotImplementedError

    def flow(self, trace: Trace) -> tuple[Any, float] | None:
        """Return the exact end points and their estimated error, or None where there is no exact flow."""
        return None

    def inner(self, a: Any, v: Any) -> Array:
        """Return <a, v> of every noise."""
        return np.einsum("nd,nd->n", a, v)

    def join(self, parts: Sequence[Any]) -> Any:
        """Return the parts of a batched array as one."""
        return np.concatenate(parts)

    def plain(self, x: Any) -> Array:
        """Return an array as NumPy's."""
        return np.asarray(x)

    def like(self, x: Array) -> Any:
        """Return a NumPy array as one like the noises."""
        return x

    def identity(self) -> list[Array]:
        """Return the arrays that tell this subject from others of its kind."""
        raise NotImplementedError

    def known(self) -> list[Array]:
        """Return those of them that tell it without running it."""
        return self.identity()

    def others(self, probe: Any, count: int) -> Any:
        """Return a probe of the same model on `count` noises from another seed."""
        return replace(probe, noises=None, points=count, seed=probe.seed + 1)


class Mixture(Subject):
    """A Gaussian mixture."""

    def __init__(self, probe: Any, mixture: GaussianMixture, first: Level) -> None:
        noises = probe.noises
        if noises is None:
            noises = mixture.sample_level(points_of(probe, mixture.dimension), first, probe.seed)
        self.mixture = mixture
        batch = probe.batch or max(1, NUMBERS // mixture.means.size)
        super().__init__(numpy_noises(noises, (mixture.dimension,)), batch)

    def field(self, prediction: str, rows: slice = ALL) -> MixtureField:
        """Return the exact field."""
        return MixtureField(self.mixture, prediction)

    def flow(self, trace: Trace) -> tuple[Array, float]:
        """Return the images under the exact flow."""
        first, last = trace.ends
        found = self.mixture.flow(trace.schedule, self.noises, first, last, rtol=TOLERANCE)
        unit = math.sqrt(float(np.mean(found.x**2)))
        return found.x, unit * float(np.sqrt(np.mean(found.error**2)))

    def identity(self) -> list[Array]:
        """Return weights, means and covariances."""
        return [self.mixture.weights, self.mixture.means, self.mixture.covariances]


class Images(Subject):
    """A kernel-density estimate of images."""

    def __init__(self, probe: Any, first: Level) -> None:
        images = _checked_images(probe.model)
        width = 0.1 * float(images.std()) if probe.bandwidth is None else probe.bandwidth
        if not 0 < width < math.inf:
            raise ValueError(f"bandwidth must be positive and finite, got {width!r}; it is in units of the images")
        self.images, self.bandwidth = images.reshape(len(images), -1), float(width)
        noises = self._draw(probe, first) if probe.noises is None else probe.noises
        noises = numpy_noises(noises, images.shape[1:]).reshape(len(noises), -1)
        super().__init__(noises, probe.batch or max(1, NUMBERS // len(images)))

    def _draw(self, probe: Any, first: Level) -> Array:
        """Draw from the exact law at the first level."""
        rng, count = np.random.default_rng(probe.seed), points_of(probe, self.images.shape[1])
        shape = count, *probe.model.shape[1:]
        chosen = self.images[rng.integers(len(self.images), size=count)].reshape(shape)
        alpha, sigma = float(first.alpha), float(first.sigma)
        return alpha * chosen + math.hypot(alpha * self.bandwidth, sigma) * rng.standard_normal(shape)

    def field(self, prediction: str, rows: slice = ALL) -> KernelField:
        """Return the field of the estimate."""
        return KernelField(self.images, self.bandwidth, prediction)

    def identity(self) -> list[Array]:
        """Return the images and their bandwidth."""
        return [self.images, np.array(self.bandwidth)]


def _checked_images(images: Any) -> Array:
    if images.dtype.kind != "f":
        raise TypeError(f"images must be floating, got {images.dtype}; scale them first, such as images / 127.5 - 1")
    if images.ndim < 2 or not images.size:
        raise ValueError(f"images must have shape (N, ...), got {images.shape}")
    if not np.isfinite(images).all():
        raise ValueError("images must be finite, but some entry is infinite or NaN; drop that image")
    return np.asarray(images, dtype=np.float64)


def numpy_noises(noises: Any, shape: tuple[int, ...]) -> Array:
    """Return noises in float64, checked."""
    if not isinstance(noises, np.ndarray) or noises.dtype.kind != "f":
        raise TypeError(f"noises must be a floating NumPy array for a mixture or images, got {type(noises).__name__}")
    if noises.ndim != len(shape) + 1 or noises.shape[1:] != shape or not len(noises):
        raise ValueError(f"noises must have shape (n, {', '.join(map(str, shape))}), got {noises.shape}")
    if not np.isfinite(noises).all():
        raise ValueError("noises must be finite, but some entry is infinite or NaN")
    return np.asarray(noises, dtype=np.float64)


def subject_of(probe: Any, trace: Trace) -> Subject:
    """Return the subject of a probe's model at the noisy end of a trace.

    Raises
    ------
    TypeError, ValueError
        If the model is none of the three kinds, or the noises do not fit it.
    """
    model, first = probe.model, trace.ends[0]
    if isinstance(model, type):
        raise TypeError(f"model is the class {model.__name__}; give an instance of it, such as {model.__name__}(...)")
    if isinstance(model, ExactModel) and isinstance(model.problem, GaussianMixture):
        if model.schedule != trace.schedule:
            raise ValueError(f"the model belongs to {model.schedule}, the steps to {trace.schedule}; use one schedule")
        model = model.problem
    if probe.conditions is not None and isinstance(model, (GaussianMixture, np.ndarray)):
        raise ValueError("conditions are for networks model(x, t, condition); a mixture and images take none")
    if isinstance(model, GaussianMixture):
        return Mixture(probe, model, first)
    if isinstance(model, np.ndarray):
        return Images(probe, first)
    if callable(model):
        from numdiff.optimize.objectives.probe_torch import Network

        return Network(probe, trace)
    hint = "; make an array of it with .numpy()" if type(model).__module__.split(".")[0] == "torch" else ""
    hint = "; make an array of it with numpy.stack or numpy.array" if isinstance(model, (list, tuple)) else hint
    raise TypeError(
        "model must be a GaussianMixture, a NumPy array of images of shape (N, ...), or a torch model(x, t), got "
        f"{type(model).__name__}{hint}"
    )
