"""What can be proved or measured about a method: stability, order, tables of derived schemes.

`order`, `stability` and `spectral` are `numdiff.order`, `numdiff.stability` and `numdiff.spectral`; `schemes` makes
tables of derived schemes. The packages load on first use.
"""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["order", "schemes", "spectral", "stability"]


def __getattr__(name: str) -> Any:
    """Import a package on first use."""
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
