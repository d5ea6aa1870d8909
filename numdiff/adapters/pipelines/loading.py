"""Pipelines from a folder or from the hub, with nothing read that could run a program.

`load` takes a folder in the hub's format, or a hub id (``name/model``), of which `hub` makes a
folder. `checks` reads the folder's JSON and the headers of its weights first, so that what is missing, cut
short, a pickle, or code of its own is said in one sentence before torch has read a byte.

A scheduler in the folder that diffusers does not know (one of ours, or anybody's) is no reason to refuse: only its JSON
is read, and `NumdiffScheduler.from_config` of it takes its place.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
from pathlib import Path
from typing import Any

from numdiff._names import nearest
from numdiff.adapters.pipelines import checks
from numdiff.adapters.pipelines.checks import PipelineError
from numdiff.adapters.pipelines.hub import one_line, quiet, resolve
from numdiff.adapters.pipelines.memory import is_out_of_memory

__all__ = ["PipelineError", "load"]

_INSTALL = "install it (pip install 'numdiff[pipelines]')"


def load(
    path_or_id: str | os.PathLike[str],
    *,
    device: Any = "cpu",
    dtype: Any = None,
    variant: str | None = None,
    revision: str | None = None,
    allow_pickle: bool = False,
    trust_remote_code: bool = False,
) -> Any:
    """Return a pipeline of diffusers, ready to be called, without a progress bar of its own.

    Parameters
    ----------
    path_or_id
        A folder in the hub's format, or a hub id.
    device
        Where its networks shall live: a torch device, or None to leave them where they are read to.
    dtype
        Of its networks: a torch dtype, or the name of one; float32 if not given.
    variant
        Which of several sets of weights: "fp16" for ``NAME.fp16.safetensors``.
    revision
        Of a hub id: a branch, a tag or a commit.
    allow_pickle
        Whether weights may be pickles (.bin, .ckpt, .pt) where there are no safetensors.
    trust_remote_code
        Whether code that comes with the pipeline may run.

    Returns
    -------
    DiffusionPipeline
        Of the class that its folder names.

    Raises
    ------
    PipelineError
        If there is no such pipeline, or it is not whole, not understood, or asks for trust that was not given.
    ModuleNotFoundError
        If a library that it needs is not installed.
    ValueError
        For an unknown dtype, and a device that is not there.

    Examples
    --------
    >>> import tempfile
    >>> from diffusers import DDIMPipeline, DDIMScheduler, UNet2DModel
    >>> from numdiff.adapters.pipelines import loading
    >>> blocks = {"down_block_types": ("DownBlock2D",), "up_block_types": ("UpBlock2D",), "block_out_channels": (32,)}
    >>> network = UNet2DModel(sample_size=8, in_channels=3, out_channels=3, **blocks)
    >>> pipe = DDIMPipeline(network, DDIMScheduler())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pipe.save_pretrained(folder)
    ...     type(loading.load(folder)).__name__
    'DDIMPipeline'
    """
    kind, where = torch_dtype(dtype), None if device is None else torch_device(device)
    folder = resolve(
        path_or_id, variant=variant, revision=revision, allow_pickle=allow_pickle, trust_remote_code=trust_remote_code
    )
    index = checks.index(folder)
    checks.weights(index, variant=variant, allow_pickle=allow_pickle)
    options: dict[str, Any] = {"trust_remote_code": True} if trust_remote_code else {}
    with quiet():
        _classes(index, trust_remote_code)
        own = _foreign_scheduler(index)
        if own:
            options["scheduler"] = None
        pipe = _read(index, {**options, "variant": variant, "use_safetensors": not allow_pickle or None}, kind)
        if own:
            pipe.register_modules(scheduler=_ours(folder))
        if where is not None:
            pipe.to(where)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def torch_dtype(dtype: Any) -> Any:
    """Return the torch dtype of a name, None for None.

    Raises
    ------
    ValueError
        For what is no floating dtype.
    """
    import torch

    found = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if found is not None and not (isinstance(found, torch.dtype) and found.is_floating_point):
        raise ValueError(f"dtype must be float32, float16 or bfloat16, got {dtype!r}")
    if found is None and dtype is not None:
        raise ValueError(f"dtype must be float32, float16 or bfloat16, got {dtype!r}")
    return found


def torch_device(device: Any) -> Any:
    """Return a torch device that is there; "auto" is CUDA's where there is one, and else the CPU.

    Raises
    ------
    ValueError
        For an unknown device and one that is not there.
    """
    import torch

    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"device={device} is no device of torch; use device=cpu, cuda, cuda:1 or auto") from error
    if found.type == "cuda":
        there = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (found.index or 0) >= there:
            seen = f"only {there}" if there else "none"
            raise ValueError(f"device={device} is not here: torch {torch.__version__} sees {seen}; use device=cpu")
    return found


def _classes(index: checks.Index, trust: bool) -> None:
    """Refuse a pipeline or a part of a class that does not exist, or whose library is not installed."""
    import diffusers

    if index.module is not None:
        if not trust:
            raise PipelineError(
                f"{index.folder} brings code of its own ({index.module}), which is not run; use trust_remote_code=True "
                "if you trust whoever wrote it"
            )
        return
    _known(diffusers, index.kind, "pipeline", index)
    for part, (library, kind) in index.parts.items():
        if part == "scheduler" or trust:
            continue
        if (index.folder / part / f"{library}.py").is_file():
            raise PipelineError(
                f"{part} of {index.folder} brings code of its own ({part}/{library}.py), which is not run; use "
                "trust_remote_code=True if you trust whoever wrote it"
            )
        _known(_library(library, part, index), kind, part, index)


def _library(name: str, part: str, index: checks.Index) -> Any:
    """Return the module of a part's class: a library, or a pipeline's own module within diffusers."""
    from diffusers import pipelines

    if hasattr(pipelines, name):
        return getattr(pipelines, name)
    if not re.fullmatch(r"\w+", name) or importlib.util.find_spec(name) is None:
        raise ModuleNotFoundError(f"{part} of {index.folder} needs {name}, which is not installed; {_INSTALL}")
    return importlib.import_module(name)


def _known(library: Any, kind: str, part: str, index: checks.Index) -> None:
    """Refuse a class that its library does not have, or has as a stand-in only."""
    found = getattr(library, kind, None)
    if found is None:
        best = nearest(kind, [name for name in dir(library) if name[:1].isupper()])
        hint = f"did you mean {best!r}? " if best else ""
        raise PipelineError(
            f"{index.folder / checks.INDEX} names the {part} {kind!r}, which {library.__name__} "
            f"{getattr(library, '__version__', '')} does not have; {hint}update the library, or correct the file"
        )
    if type(found).__name__ == "DummyObject":
        needs = ", ".join(name for name in found._backends if importlib.util.find_spec(name) is None)
        raise ModuleNotFoundError(
            f"{kind}, the {part} of {index.folder}, needs {needs or 'more libraries'}; {_INSTALL}"
        )


def _foreign_scheduler(index: checks.Index) -> bool:
    """Tell whether the folder has a scheduler that diffusers does not know."""
    import diffusers

    library, kind = index.parts.get("scheduler", ("diffusers", "DDIMScheduler"))
    return library != "diffusers" or not hasattr(diffusers, kind)


def _ours(folder: Path) -> Any:
    from numdiff.adapters.diffusers import NumdiffScheduler

    config = checks.read_json(folder / "scheduler" / "scheduler_config.json")
    return NumdiffScheduler.from_config({name: value for name, value in config.items() if name != "_class_name"})


def _read(index: checks.Index, options: dict[str, Any], dtype: Any) -> Any:
    """Read the networks; what diffusers and transformers raise about files is told on in one line."""
    from diffusers import DiffusionPipeline, __version__

    name = "dtype" if tuple(map(int, __version__.split(".")[:2])) >= (0, 42) else "torch_dtype"
    asked = {} if dtype is None else {name: dtype}
    try:
        return DiffusionPipeline.from_pretrained(str(index.folder), **options, **asked)
    except ImportError as error:
        raise ModuleNotFoundError(f"{index.folder} needs more libraries: {one_line(error)}; {_INSTALL}") from error
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise
        raise PipelineError(
            f"{index.folder} was not understood as a {index.kind}: {one_line(error)}; compare its {checks.INDEX} and "
            "config.json with the original, or fetch it again"
        ) from error
