"""Thresholding and clipping: what is done to the network's estimate of x_0 before the method sees it.

The prediction m is turned into x_0 = p x + q m, that is changed, and turned back into a prediction of the network's own
kind, so that every method can have it, with one evaluation and no state:

- ``clip_sample``: x_0 is clipped to [-``clip_sample_range``, ``clip_sample_range``];
- ``thresholding``: with s the ``dynamic_thresholding_ratio`` quantile of ``|x_0|`` of each sample, between 1 and
  ``sample_max_value``, x_0 is clipped to [-s, s] and divided by s (Saharia et al. 2022, arXiv:2205.11487, section 2.3).

The noise is then the one that belongs to the changed x_0, as in DPM-Solver++. DDIMScheduler, unless it is told
``use_clipped_model_output=True``, goes on with the noise that the network predicted; with c the changed x_0, primes for
where the step ends and r = alpha sigma'/sigma,

    x' = alpha' c + sigma' (x - alpha x_0)/sigma
       = (sigma'/sigma) x + (alpha' - r) (c + w (c - x_0)),    w = r/(alpha' - r)

which is a DDIM step with c + w (c - x_0) for x_0. That is done with ``clip_keeps_noise``, for DDIM alone: a method that
combines several evaluations has no such step. `from_config` sets it for configurations of DDIMScheduler.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import torch

from numdiff.level import Level
from numdiff.methods.adams import AdamsBashforth
from numdiff.methods.base import Method
from numdiff.methods.scheme import Scheme
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


def refuse_options(eta: Any, use_clipped_model_output: Any) -> None:
    """Raise ValueError for options of DDIMScheduler's step, which DDIMPipeline passes to every scheduler, unless 0."""
    if eta is not None and eta != 0:
        raise ValueError(
            f"eta = {eta!r}: eta is an option of the method here: from_config(..., method='ddim', eta=0.5); leave it "
            "out of the call"
        )
    if use_clipped_model_output:
        raise ValueError(
            f"use_clipped_model_output = {use_clipped_model_output!r}: this is an entry of the configuration here: "
            "from_config(..., clip_keeps_noise=False); leave it out of the call"
        )


def thresholded(x: torch.Tensor, ratio: float, largest: float) -> torch.Tensor:
    """Return x_0, shape (batch, ...), clipped to its quantile and divided by it, sample by sample."""
    wide = x if x.dtype in (torch.float32, torch.float64) else x.float()
    flat = wide.reshape(x.shape[0], -1)
    s = torch.quantile(flat.abs(), ratio, dim=1, keepdim=True).clamp(1.0, largest)
    return (flat.clamp(-s, s) / s).reshape(x.shape).to(x.dtype)


def around(settings: Any, scheme: Scheme, prediction: Any) -> list[Callable[[Any, Any], Any]] | None:
    """Return for each evaluation the function of (prediction, sample) that changes its x_0; None where nothing is done.

    Raises
    ------
    ValueError
        Where the prediction does not determine x_0: noise at alpha = 0.
    """
    function = change(settings)
    if function is None:
        return None
    if settings.clip_keeps_noise and is_ddim(scheme.method):
        pairs = itertools.pairwise(scheme.levels)
        return [_wrapped(_with_noise(function, start, end), start, prediction) for start, end in pairs]
    levels = [level for tableau in scheme for level in tableau.levels if level is not None]
    return [_wrapped(function, level, prediction) for level in levels]


def is_ddim(method: Method) -> bool:
    """Whether steps are DDIM's: one evaluation of noise or data, kept over the step."""
    if not isinstance(method, AdamsBashforth) or method.points != 1 or method.stochastic:
        return False
    return method.formulation is None or method.formulation.prediction in ("noise", "data")


def _with_noise(function: Change, start: Level, end: Level) -> Change:
    """Return the x_0 whose DDIM step goes to the changed x_0 and keeps the noise."""
    kept = float(start.alpha * end.sigma / start.sigma)
    w = kept / (float(end.alpha) - kept)

    def changed(x: torch.Tensor) -> torch.Tensor:
        clean = function(x)
        return clean + w * (clean - x)

    return changed


def _wrapped(function: Change, level: Level, prediction: Any) -> Callable[[Any, Any], Any]:
    p, q = (float(c) for c in coefficients(level, prediction, "data"))
    p_back, q_back = (float(c) for c in coefficients(level, "data", prediction))

    def changed(output: torch.Tensor, sample: torch.Tensor) -> torch.Tensor:
        clean = function(output * q if p == 0 else sample * p + output * q)
        return clean * q_back if p_back == 0 else sample * p_back + clean * q_back

    return changed
