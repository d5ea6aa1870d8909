"""Thresholding and clipping: what is done to the network's estimate of x_0 before the method sees it.

The prediction m is turned into x_0 = p x + q m, that is changed, and turned back into a prediction of the network's own
kind, so that every method can have it, with one evaluation and no state:

- ``clip_sample``: x_0 is clipped to [-``clip_sample_range``, ``clip_sample_range``];
- ``thresholding``: with s the ``dynamic_thresholding_ratio`` quantile of |x_0| of each sample, between 1 and
  ``sample_max_value``, x_0 is clipped to [-s, s] and divided by s (Saharia et al. 2022, arXiv:2205.11487, section 2.3).

DDIMScheduler clips x_0 and goes on with the noise that the network predicted, unless ``use_clipped_model_output=True``;
here, as in DPM-Solver++, the noise is the one that belongs to the clipped x_0, as with that option.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from numdiff.level import Level
from numdiff.parameterizations import coefficients

Change = Callable[[torch.Tensor], torch.Tensor]


def change(settings: Any) -> Change | None:
    """Return what the configuration does to x_0, or None.

    Raises
    ------
    ValueError
        For a range that is not positive, and a ratio outside (0, 1].
    """
    if settings.thresholding:
        ratio, largest = float(settings.dynamic_thresholding_ratio), float(settings.sample_max_value)
        if not 0 < ratio <= 1:
            raise ValueError(f"dynamic_thresholding_ratio must lie in (0, 1], got {ratio}")
        if not largest >= 1:
            raise ValueError(f"sample_max_value must be at least 1, got {largest}")
        return lambda x: thresholded(x, ratio, largest)
    if settings.clip_sample:
        bound = float(settings.clip_sample_range)
        if not bound > 0:
            raise ValueError(f"clip_sample_range must be positive, got {bound}")
        return lambda x: x.clamp(-bound, bound)
    return None


def thresholded(x: torch.Tensor, ratio: float, largest: float) -> torch.Tensor:
    """Return x_0, shape (batch, ...), clipped to its quantile and divided by it, sample by sample."""
    wide = x if x.dtype in (torch.float32, torch.float64) else x.float()
    flat = wide.reshape(x.shape[0], -1)
    s = torch.quantile(flat.abs(), ratio, dim=1, keepdim=True).clamp(1.0, largest)
    return (flat.clamp(-s, s) / s).reshape(x.shape).to(x.dtype)


def around(settings: Any, levels: list[Level], prediction: Any) -> list[Callable[[Any, Any], Any]] | None:
    """Return for each evaluation the function of (prediction, sample) that changes its x_0; None where nothing is done.

    Raises
    ------
    ValueError
        Where the prediction does not determine x_0: noise at alpha = 0.
    """
    function = change(settings)
    return None if function is None else [_wrapped(function, level, prediction) for level in levels]


def _wrapped(function: Change, level: Level, prediction: Any) -> Callable[[Any, Any], Any]:
    p, q = (float(c) for c in coefficients(level, prediction, "data"))
    p_back, q_back = (float(c) for c in coefficients(level, "data", prediction))

    def changed(output: torch.Tensor, sample: torch.Tensor) -> torch.Tensor:
        clean = function(output * q if p == 0 else sample * p + output * q)
        return clean * q_back if p_back == 0 else sample * p_back + clean * q_back

    return changed
