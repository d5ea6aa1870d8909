"""Somebody's function and how it is called: what it requires, what it takes by name, and what it should return."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from numdiff._names import suggest

SAMPLES = ("x", "xt", "x_t", "y", "sample", "samples", "state", "latent", "latents", "z")
"""What samples are called; a function whose first argument is one takes no model."""


@contextmanager
def calling(call: str, what: str) -> Iterator[None]:
    """Say how somebody's function was called where it raises a TypeError, which often means that it expects another."""
    try:
        yield
    except TypeError as error:
        raise TypeError(f"{error} (it was called as {call}; {what})") from error


def sample_of(found: Any, who: str, shape: tuple[int, ...]) -> Any:
    """Return what a function of somebody's returned, if it is an array.

    Raises
    ------
    TypeError
        If it is none; the text says what to return.
    """
    if found is None:
        raise TypeError(f"{who} returned None; end it with `return x`, the sample of shape {shape}")
    if isinstance(found, (tuple, list, dict, str)):
        raise TypeError(f"{who} returned a {type(found).__name__}; return the sample alone, an array of shape {shape}")
    return found


def check_model(sampler: Callable[..., Any]) -> None:
    """Refuse a step (x, t, t_next) that never sees the model, by what its first argument is called."""
    first = positional(sampler)[:1]
    if first and first[0] in SAMPLES:
        raise TypeError(
            f"{called(sampler)}({', '.join(positional(sampler))}) has no argument for the model; write "
            "step(model, x, t, t_next), make_step(model) that returns step(x, t, t_next), or sample(model, x, ts)"
        )


def check_options(name: str, options: Iterable[str], known: Sequence[str] | None) -> None:
    """Refuse options that are not known, of `name`; None knows all of them."""
    for key in options:
        if known is not None and key not in known:
            suggest(key, known, f"option of {name}")


def positional(function: Callable[..., Any]) -> list[str]:
    """Return the names of the positional parameters."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in inspect.signature(function).parameters.values() if p.kind in kinds]


def required(function: Callable[..., Any]) -> int:
    """Return the number of arguments without a default, the noise apart."""
    if not callable(function):
        raise TypeError(f"a sampler must be something to call, got {function!r:.80}")
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = inspect.signature(function).parameters.values()
    return sum(p.default is p.empty and p.kind not in variable and p.name != "noise" for p in parameters)


def called(function: Any) -> str:
    """Return a callable's name."""
    inner = function.func if isinstance(function, partial) else function
    return str(getattr(inner, "__name__", type(inner).__name__))
