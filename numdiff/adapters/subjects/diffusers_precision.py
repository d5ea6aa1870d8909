r"""diffusers in float64, and with our noise: the names that its scheduler modules go through, replaced for a while.

Its schedulers compute in float32 where they say ``torch.float32`` or ``np.float32`` (the tables, the sigmas of a run,
the sample inside some steps) and where they say nothing, which is torch's default dtype. All of it goes through the
names ``torch`` and ``np`` of their modules, so that stand-ins for these two, and float64 as the default, make a
scheduler compute in float64 throughout; no formula is touched. Noise comes by ``randn_tensor``, ``torch.randn`` and
its like, or a Brownian tree, whose place takes a path that is drawn where it is asked for.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import torch

from numdiff.adapters.subjects.patched import StandIn
from numdiff.adapters.subjects.sigmas import _Brownian
from numdiff.certification.subject import Array
from numdiff.methods.checks import choice

Noise = Callable[[tuple[int, ...]], Array]
SEED = 0
"""Of a scheduler's own generator, where no noise is given: runs repeat themselves."""


def drawn(noise: Noise, shape: Any, dtype: torch.dtype) -> torch.Tensor:
    """Return a draw of our noise as a tensor.

    Raises
    ------
    ValueError
        If it has another shape than asked for.
    """
    value = np.asarray(noise(tuple(shape)), dtype=float)
    if value.shape != tuple(shape):
        raise ValueError(f"noise{(tuple(shape),)} returned shape {value.shape}; return the shape that it is asked for")
    return torch.from_numpy(value).to(dtype)


@cache
def modules() -> tuple[ModuleType, ...]:
    """Return all scheduler modules of diffusers that can be imported here."""
    with quiet():
        import diffusers.schedulers as package

        found = []
        for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            name = info.name.rsplit(".", 1)[-1]
            if name.startswith("scheduling_") and not name.endswith("_flax"):
                try:
                    found.append(importlib.import_module(info.name))
                except ImportError:  # needs a package that is not here; the classes in it are dummies then
                    continue
    return tuple(found)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence what diffusers and its dependencies deprecate, and the log of diffusers."""
    with warnings.catch_warnings():
        for category in (DeprecationWarning, FutureWarning, UserWarning, SyntaxWarning):
            warnings.simplefilter("ignore", category)
        from diffusers.utils import logging

        before = logging.get_verbosity()
        logging.set_verbosity(logging.CRITICAL)
        try:
            yield
        finally:
            logging.set_verbosity(before)


@contextmanager
def computing(precision: str, noise: Noise | None = None) -> Iterator[torch.dtype]:
    """Let schedulers compute in a precision and draw this noise; yields the dtype of their samples.

    Parameters
    ----------
    precision
        "float64", or "shipped" for float32 samples and everything else as it is.
    noise
        ``noise(shape)``, or None for the scheduler's own generator, seeded.
    """
    double = choice("precision", precision, ("float64", "shipped")) == "float64"
    with ExitStack() as stack:
        stack.enter_context(quiet())
        stack.enter_context(_default(torch.float64 if double else torch.float32))
        if noise is None:
            stack.enter_context(torch.random.fork_rng(devices=[]))
            torch.manual_seed(SEED)
        if double or noise is not None:
            stack.enter_context(_replaced(double, noise))
        yield torch.float64 if double else torch.float32


@contextmanager
def _default(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def _replaced(double: bool, noise: Noise | None) -> Iterator[None]:
    """Put stand-ins into all scheduler modules, and take them out again."""
    names: dict[str, Any] = {"torch": _double(), "np": StandIn(np, float32=np.float64)} if double else {}
    if noise is not None:
        draws = _draws(noise)
        names["torch"] = StandIn(torch, **({"float32": torch.float64} if double else {}), **draws["torch"])
        names |= draws["names"]
    kept = [(vars(module), name, vars(module)[name]) for module in modules() for name in names if name in vars(module)]
    for space, name, _ in kept:
        space[name] = names[name]
    try:
        yield
    finally:
        for space, name, value in kept:
            space[name] = value


@cache
def _double() -> StandIn:
    return StandIn(torch, float32=torch.float64)


def _draws(noise: Noise) -> dict[str, dict[str, Any]]:
    """Return what replaces the sources of noise: names of torch, and names of the modules."""

    def randn_tensor(
        shape: Any, generator: Any = None, device: Any = None, dtype: Any = None, layout: Any = None
    ) -> Any:
        return drawn(noise, shape, dtype or torch.get_default_dtype())

    def randn(*shape: Any, dtype: Any = None, **_: Any) -> Any:
        flat = shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape
        return drawn(noise, flat, dtype or torch.get_default_dtype())

    def randn_like(x: Any, **_: Any) -> Any:
        return drawn(noise, x.shape, x.dtype)

    def tree(x: Any, *_: Any, **__: Any) -> Any:
        path = _Brownian(lambda: drawn(noise, x.shape, torch.float64).numpy())
        return lambda sigma, sigma_next: torch.from_numpy(path(float(sigma), float(sigma_next))).to(x.dtype)

    return {
        "torch": {"randn": randn, "randn_like": randn_like},
        "names": {"randn_tensor": randn_tensor, "BrownianTreeNoiseSampler": tree},
    }


def version() -> str:
    """Return "diffusers" and its version."""
    modules()
    return f"diffusers {sys.modules['diffusers'].__version__}"
