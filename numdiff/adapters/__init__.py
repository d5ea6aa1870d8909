"""Bridges to other packages, each imported only when asked for."""

from __future__ import annotations

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    """Import an adapter on first use."""
    if name in __all__:
        return importlib.import_module(f"numdiff.adapters.{name}")
    raise AttributeError(f"module 'numdiff.adapters' has no attribute {name!r}")


__all__ = ["comfyui", "diffusers", "kdiffusion", "networks", "pipelines", "sigma_lists", "subjects"]
