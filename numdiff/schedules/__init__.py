"""Noise schedules: alpha(t), sigma(t), the log-SNR and its inverse, derivatives, levels and the network's own time.

`base` says what every schedule offers, `continuous` holds those given by a formula, `discrete` those given by a table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numdiff._names import suggest
from numdiff.schedules.base import Schedule
from numdiff.schedules.continuous import EDM, VE, Cosine, SubVP, VPLinear
from numdiff.schedules.discrete import Discrete
from numdiff.schedules.flow import Flow

__all__ = ["EDM", "VE", "Cosine", "Discrete", "Flow", "Schedule", "SubVP", "VPLinear", "get", "names"]

_REGISTRY: dict[str, Callable[..., Schedule]] = {
    "vp-linear": VPLinear,
    "sub-vp": SubVP,
    "cosine": Cosine,
    "ve": VE,
    "edm": EDM,
    "flow": Flow,
    "ddpm-linear": Discrete.ddpm_linear,
    "stable-diffusion": Discrete.stable_diffusion,
    "discrete": Discrete,
}


def names() -> tuple[str, ...]:
    """Return the names that `get` knows.

    Returns
    -------
    tuple of str
        The names.

    Examples
    --------
    >>> import numdiff as nd
    >>> nd.schedules.names()
    ('vp-linear', 'sub-vp', 'cosine', 've', 'edm', 'flow', 'ddpm-linear', 'stable-diffusion', 'discrete')
    """
    return tuple(_REGISTRY)


def get(name: str | Schedule, **options: Any) -> Schedule:
    """Return the schedule called `name`, made with `options`; a `Schedule` is returned as it is.

    Parameters
    ----------
    name
        One of `names()`, or a schedule.
    options
        The parameters of that schedule, such as ``shift=3.0`` for "flow".

    Returns
    -------
    Schedule
        The schedule.

    Raises
    ------
    ValueError
        If the name is unknown; the message gives the nearest known one. "discrete" needs ``betas`` or
        ``alphas_cumprod``.

    Examples
    --------
    >>> import numdiff as nd
    >>> nd.schedules.get("flow", shift=3.0)
    Flow(shift=3.0, t_end=0.001, time_scale=1.0)
    >>> nd.schedules.get("stable-diffusion").N
    1000
    """
    if isinstance(name, Schedule) and not options:
        return name
    if not isinstance(name, str) or name not in _REGISTRY:
        suggest(name, _REGISTRY, "schedule")
    return _REGISTRY[name](**options)
