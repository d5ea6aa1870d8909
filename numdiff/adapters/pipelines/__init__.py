"""diffusers pipelines: loaded safely, driven sample by sample, their images kept in a folder that can be gone on with.

``loading.load`` opens a folder in the hub's format or a hub id; ``generate.generate`` draws one image for each seed,
the same in whatever batch; ``image_folder`` writes images, a page of them and the record that repeats them. ``numdiff
sample --pipeline`` is made of these three.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "Drawn": "generate",
    "Folder": "image_folder",
    "FolderError": "image_folder",
    "NotFiniteError": "generate",
    "OutOfMemoryError": "memory",
    "PipelineError": "checks",
    "draw": "generate",
    "load": "loading",
    "open_folder": "image_folder",
}


def __getattr__(name: str) -> Any:
    """Import a name on first use."""
    if name in _HOMES:
        return getattr(importlib.import_module(f"numdiff.adapters.pipelines.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'numdiff.adapters.pipelines' has no attribute {name!r}")


__all__ = [  # and `generate.generate`, whose module has its name
    "Drawn",
    "Folder",
    "FolderError",
    "NotFiniteError",
    "OutOfMemoryError",
    "PipelineError",
    "draw",
    "load",
    "open_folder",
]
