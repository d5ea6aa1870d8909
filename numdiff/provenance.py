"""What a result was made with: versions, processor, device. Nothing that names a machine, a user or a path.

Every experiment, benchmark and sampled set of images carries such a record, so that a number can be traced to what made
it and repeated.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Iterable
from typing import Any

__all__ = ["LIBRARIES", "device", "environment", "versions"]

LIBRARIES = ("numpy", "scipy", "sympy", "torch", "diffusers", "transformers", "safetensors")
"""The libraries whose versions a record names, where they are installed."""


def versions(packages: Iterable[str] = LIBRARIES) -> dict[str, str]:
    """Return the versions of Python, numdiff and those of `packages` that are installed.

    Parameters
    ----------
    packages
        Names of distributions; one that is not installed is left out.

    Returns
    -------
    dict
        (name: version), all text.

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.provenance import versions
    >>> found = versions(["numpy", "a-package-that-is-not-installed"])
    >>> sorted(found), found["numdiff"] == nd.__version__
    (['numdiff', 'numpy', 'python'], True)
    """
    import numdiff

    found = {"python": platform.python_version(), "numdiff": numdiff.__version__}
    for name in packages:
        try:
            found[name] = importlib.metadata.version(name)
        except (importlib.metadata.PackageNotFoundError, ValueError):  # not installed, or no name of a package
            continue
    return found


def device(where: Any = "cpu") -> str:
    """Return what a torch device is, in words: "2-core x86-64 CPU", or the name that an accelerator gives itself.

    Parameters
    ----------
    where
        A torch device or its name, "cpu" or "cuda:0".

    Returns
    -------
    str
        The device in words, which name neither the machine nor its user.

    Examples
    --------
    >>> from numdiff.provenance import device
    >>> device("cpu").endswith(" CPU")
    True
    """
    kind = getattr(where, "type", str(where).partition(":")[0])
    if kind == "cpu":
        return f"{os.cpu_count()}-core {platform.machine().replace('_', '-')} CPU"
    import torch

    if kind == "cuda":
        return str(torch.cuda.get_device_name(where))
    return kind


def environment(where: Any = "cpu", packages: Iterable[str] = LIBRARIES) -> dict[str, Any]:
    """Return the record of what computes here, as plain JSON data: ``device``, ``threads`` (of torch) and ``versions``.

    Parameters
    ----------
    where
        The torch device that computes.
    packages
        The libraries to name.

    Returns
    -------
    dict
        ``threads`` where torch is among the packages, ``cuda`` where torch has it.

    Examples
    --------
    >>> from numdiff.provenance import environment
    >>> sorted(environment(packages=["numpy"]))
    ['device', 'versions']
    """
    named = versions(packages)
    found: dict[str, Any] = {"device": device(where), "versions": named}
    if "torch" in named:
        import torch

        found["threads"] = torch.get_num_threads()
        if torch.version.cuda is not None:
            found["cuda"] = torch.version.cuda
    return found
