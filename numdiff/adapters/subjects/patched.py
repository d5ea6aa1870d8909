"""Names of somebody else's module, replaced for the time of one run and put back whatever happens.

A sampler that draws noise by ``torch.randn_like`` takes no generator; so that two runs can share their noise, and an
experiment can choose it, the name ``torch`` in the module's globals becomes a `StandIn` whose random functions answer
with what they are told. Nothing is replaced in torch itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from numdiff.certification.subject import Array

_ABSENT = object()


class StandIn:
    """A module, or anything else with attributes, some of them replaced.

    Parameters
    ----------
    original
        What answers for every other name.
    replaced
        The new values by name.
    """

    def __init__(self, original: Any, **replaced: Any) -> None:
        self._original = original
        self.__dict__.update(replaced)

    def __getattr__(self, name: str) -> Any:
        """Return the original's attribute."""
        return getattr(self._original, name)


@contextmanager
def replaced(namespace: dict[str, Any], **values: Any) -> Iterator[None]:
    """Set names in a module's globals, and put back what was there, or nothing, at the end or on an exception.

    Parameters
    ----------
    namespace
        The globals: ``vars(module)`` or ``function.__globals__``.
    values
        The new values by name.
    """
    before = {name: namespace.get(name, _ABSENT) for name in values}
    namespace.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is _ABSENT:
                namespace.pop(name, None)
            else:
                namespace[name] = value


@contextmanager
def drawing(namespace: dict[str, Any], noise: Callable[[tuple[int, ...]], Array] | None) -> Iterator[None]:
    """Let ``torch.randn_like`` and ``torch.randn`` of a module draw what `noise` returns; None changes nothing.

    Parameters
    ----------
    namespace
        Globals of the module: the names there of torch and of these two functions are replaced.
    noise
        As in `Setting.noise`.
    """
    if noise is None:
        yield
        return
    import torch

    def randn_like(x: Any, *, dtype: Any = None, **ignored: Any) -> Any:
        return torch.from_numpy(np.array(noise(tuple(x.shape)))).to(dtype or x.dtype)

    def randn(*size: Any, dtype: Any = None, **ignored: Any) -> Any:
        shape = size[0] if len(size) == 1 and not isinstance(size[0], int) else size
        return torch.from_numpy(np.array(noise(tuple(map(int, shape))))).to(dtype or torch.get_default_dtype())

    stand_in = StandIn(torch, randn_like=randn_like, randn=randn)
    news = ((torch, stand_in), (torch.randn_like, randn_like), (torch.randn, randn))
    changes = {name: new for name, value in namespace.items() for old, new in news if value is old}
    with replaced(namespace, **changes):
        yield
