"""Exact samples of a Gaussian mixture: a component by its weight, then x = mu + Q sqrt(v) n with n standard normal."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from numdiff.problems._arrays import Array
from numdiff.problems.covariance import Spectrum


def draw(weights: np.ndarray, means: np.ndarray, spectrum: Spectrum, n: int, rng: Any) -> Array:
    """Draw `n` points, shape (n, d): NumPy from a seed or a NumPy generator, torch from a ``torch.Generator``.

    Raises
    ------
    ValueError
        If n is not a non-negative integer.
    TypeError
        If `rng` is none of the three.
    """
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 0:
        raise ValueError(f"n must be a non-negative integer, not {n!r}")
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(rng, torch.Generator):
        options = {"generator": rng, "device": rng.device, "dtype": torch.float64}
        uniform, normal = torch.rand(n, **options), torch.randn(n, means.shape[1], **options)
        points = _transform(weights, means, spectrum, uniform.cpu().numpy(), normal.cpu().numpy())
        return torch.from_numpy(points).to(rng.device)
    if isinstance(rng, bool) or not isinstance(rng, (int, np.integer, np.random.Generator)):
        raise TypeError(f"rng must be an integer seed, a numpy.random.Generator or a torch.Generator, not {rng!r}")
    generator = np.random.default_rng(rng)
    return _transform(weights, means, spectrum, generator.random(n), generator.standard_normal((n, means.shape[1])))


def _transform(
    weights: np.ndarray, means: np.ndarray, spectrum: Spectrum, uniform: np.ndarray, normal: np.ndarray
) -> np.ndarray:
    # The last cumulative weight may round below 1; clipping keeps a uniform number above it in the last component.
    chosen = np.minimum(np.searchsorted(np.cumsum(weights), uniform, side="right"), len(weights) - 1)
    points = np.sqrt(spectrum.variances[chosen]) * normal
    if spectrum.basis is not None:
        for k in np.unique(chosen):
            points[chosen == k] = points[chosen == k] @ spectrum.basis[k].T
    return means[chosen] + points
