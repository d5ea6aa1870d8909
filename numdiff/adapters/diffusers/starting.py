"""Methods where a run of a scheduler starts: from noise alone, or in the middle with an empty history."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from numdiff.methods.adams import AdamsBashforth
from numdiff.methods.base import Method
from numdiff.methods.registry import method as build
from numdiff.methods.scheme import Scheme


def variants(method: Method) -> tuple[Method, ...]:
    """Return a method, and the same without a warm-up of its own."""
    if not hasattr(method, "warmup"):
        return (method,)
    return method, replace(method, warmup="lower")  # type: ignore[type-var]


def from_noise_alone(lay: Callable[[Method], Scheme], settings: Any, why: str, flow: bool) -> Scheme:
    """Return a method's scheme on a grid that starts at alpha = 0, where its default formulation does not exist.

    One evaluation a step and no history is DDIM in all of them, so it is only written in another. Others become other
    methods, which the caller has to choose.
    """
    given = settings.method_options or {}
    elsewhere = ", or sigma_max=0.999" if flow else ", or a grid that starts later, such as timestep_spacing='leading'"
    for name in ("data/log-snr", "data/ratio"):
        try:
            changed = build(settings.method, **{**given, "formulation": name})
            scheme = lay(changed)
        except (TypeError, ValueError):  # no such option, or no such formulation of this method
            continue
        plain = isinstance(changed, AdamsBashforth) and changed.points == 1 and not changed.stochastic
        if plain and given.get("formulation") is None:
            return scheme
        raise ValueError(f"{why}; use formulation={name!r}, or method='dpmpp' or 'unipc'{elsewhere}") from None
    raise ValueError(f"{why}; use method='dpmpp' or 'unipc'{elsewhere}") from None
