"""What diffusers claims of its schedulers, their options in the types that they expect, and what is switched off."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from numdiff._names import suggest

CLAIMS: dict[str, int] = {
    # Liu et al. 2022, arXiv:2202.09778: the linear multistep method of order 4, behind a Runge-Kutta start
    "PNDMScheduler": 4,
    # the same from a lower order start; "fourth-order Improved Pseudo Linear Multistep scheduler" in its docstring
    "IPNDMScheduler": 4,
    # ancestral sampling, Ho et al. 2020, arXiv:2006.11239, in both
    "DDPMWuerstchenScheduler": 1,
    "UnCLIPScheduler": 1,
}
"""Orders that neither an option nor the class states."""

CORRECTED = ("UniPCMultistepScheduler", "HeliosScheduler")
"""Schedulers whose documentation gives `solver_order + 1` as the order, for the corrector that they add."""

OFF: dict[str, tuple[Any, str]] = {
    "clip_sample": (False, "clip_sample=False"),
    "clip_denoised": (False, "clip_denoised=False"),
    "thresholding": (False, "thresholding=False"),
    "stages": (1, "stages=1: one resolution"),
}
"""Options that would leave no order to speak of, what they are set to, and the note; an option given wins."""

WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def claim(name: str, cls: type, config: Mapping[str, Any], step: Mapping[str, Any], *, stochastic: bool) -> int | None:
    """Return the order that is claimed.

    Parameters
    ----------
    name, cls
        The scheduler.
    config
        All options, defaults included.
    step
        Keyword arguments of `step`, defaults included.
    stochastic
        Whether it draws noise; what is claimed then is a weak order.

    Returns
    -------
    int or None
        `solver_order`, and one more for those in `CORRECTED`; `predictor_order` where no noise is added (Xue et al.
        2023, arXiv:2309.05019, theorem 5.1, has 1 with noise); the `order` of a step; what `CLAIMS` says; or the class
        attribute `order`.
    """
    if "solver_order" in config:
        return int(config["solver_order"]) + (name in CORRECTED)
    if "predictor_order" in config:
        return 1 if stochastic else int(config["predictor_order"])
    if "order" in step:
        return int(step["order"])
    found = CLAIMS.get(name, getattr(cls, "order", None))
    return int(found) if isinstance(found, int) else None


def defaults(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the parameters that have a default, with it."""
    return {name: p.default for name, p in inspect.signature(function).parameters.items() if p.default is not p.empty}


def converted(options: Mapping[str, Any], known: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Return options in the types of their defaults.

    Parameters
    ----------
    options
        As given, from a command line perhaps: strings.
    known
        Defaults by name.
    what
        Whose options these are, for the error.

    Raises
    ------
    ValueError
        For a name that is not known, with the nearest known one, or a value that is none of its type.
    """
    for name in options:
        if name not in known:
            suggest(name, known, f"option of {what}")
    return {name: _value(name, value, known[name]) for name, value in options.items()}


def _value(name: str, value: Any, default: Any) -> Any:
    if name == "tau_func" and not callable(value) and value is not None:
        tau = float(value)
        return lambda t: tau
    if isinstance(default, bool):
        return _boolean(name, value)
    if not isinstance(value, str) or isinstance(default, str):
        return value
    if isinstance(default, int | float):
        try:
            return type(default)(value)
        except ValueError:
            raise ValueError(f"{name} must be a number such as {default}, got {value!r}") from None
    try:
        return ast.literal_eval(value)
    except (SyntaxError, ValueError):
        return value


def _boolean(name: str, value: Any) -> bool:
    word = value.lower() if isinstance(value, str) else value
    if word in WORDS:
        return WORDS[word]
    if word in (0, 1, "0", "1"):
        return bool(int(word))
    raise ValueError(f"{name} must be true or false, got {value!r}")


def switched_off(known: Iterable[str], config: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the options of `OFF` that a scheduler has and nobody gave, and a note for each."""
    found = {name: OFF[name] for name in OFF if name in set(known) and name not in config}
    return {name: value for name, (value, _) in found.items()}, tuple(note for _, note in found.values())
