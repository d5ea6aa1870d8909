"""The folder of a pipeline, from a path or from the hub; and the hub's libraries, kept quiet.

A hub id (``name/model``) is looked up on the network for at most `PATIENCE` seconds, then in the local cache;
``HF_HUB_OFFLINE=1`` asks the cache at once. Whatever the network, the hub or its client raise comes out as one sentence
that says what was tried and what helps.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from numdiff.adapters.pipelines.checks import INDEX, PipelineError

PATIENCE = 10.0
"""Seconds that the hub may take to answer."""

_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")


def resolve(path_or_id: str | os.PathLike[str], **options: Any) -> Path:
    """Return the folder of a pipeline, downloaded first if a hub id is given and it is not in the cache.

    Parameters
    ----------
    path_or_id
        As in `load`.
    **options
        ``variant``, ``revision``, ``allow_pickle`` and ``trust_remote_code`` of `load`.

    Raises
    ------
    PipelineError
        If there is neither such a folder nor such an id, or the hub cannot be reached.
    """
    text = os.fspath(path_or_id)
    path = Path(text).expanduser()
    if text.strip() and path.exists():
        return path
    if not text.strip() or not _ID.fullmatch(text) or text.startswith(".") or ".." in text:
        raise PipelineError(f"there is no folder {text!r}, and it cannot be a hub id (name/model); correct the path")
    return _download(text, options)


def _download(name: str, options: dict[str, Any]) -> Path:
    """Ask the hub, for at most `PATIENCE` seconds, and fetch JSON and safetensors; without a network, ask the cache."""
    import huggingface_hub
    from huggingface_hub import constants

    problem: BaseException | None = None
    if not constants.HF_HUB_OFFLINE:
        try:
            huggingface_hub.HfApi().model_info(name, revision=options.get("revision"), timeout=PATIENCE)
        except Exception as error:  # whatever the hub's client and the network raise; it is told on
            problem = error
    if problem is not None and _answered(problem):
        raise PipelineError(f"{_tried(name)}, and the hub has {_denied(name, problem)}; {_remedy(name)}") from problem
    try:
        return _fetched(name, options, cached=problem is not None or constants.HF_HUB_OFFLINE)
    except Exception as error:
        cause = _cause(problem) if problem is not None else f"HF_HUB_OFFLINE is set and {name} is not in its cache"
        if problem is None and not constants.HF_HUB_OFFLINE:
            raise PipelineError(f"{name} was not downloaded: {one_line(error)}; {_remedy(name)}") from error
        raise PipelineError(f"{_tried(name)}, and {cause}; {_remedy(name)}") from (problem or error)


def _fetched(name: str, options: dict[str, Any], cached: bool) -> Path:
    if cached:
        _in_cache(name, options.get("revision"))
    from diffusers import DiffusionPipeline

    trust = {"trust_remote_code": True} if options.get("trust_remote_code") else {}
    with quiet(bars=not cached):
        folder = DiffusionPipeline.download(
            name,
            revision=options.get("revision"),
            variant=options.get("variant"),
            use_safetensors=None if options.get("allow_pickle") else True,
            local_files_only=cached,
            **trust,
        )
    return Path(folder)


def _in_cache(name: str, revision: str | None) -> None:
    """Refuse what the cache does not have; diffusers finds that out, too, but only after seconds of imports."""
    from huggingface_hub import try_to_load_from_cache

    if not isinstance(try_to_load_from_cache(name, INDEX, revision=revision), str):
        raise FileNotFoundError(f"{name} is not in the hub's cache")


def _answered(error: BaseException) -> bool:
    """Tell whether the hub answered, if only to refuse: not without a network, nor where the hub itself failed."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status is not None and 400 <= status < 500 and status not in (408, 429)


def _denied(name: str, error: BaseException) -> str:
    kind = type(error).__name__
    if kind == "GatedRepoError":
        return f"{name} for those only who accepted its terms and logged in (hf auth login)"
    if kind == "RevisionNotFoundError":
        return f"no such revision of {name}"
    if kind == "RepositoryNotFoundError":
        return f"no {name} that everybody may read"
    return f"refused {name} ({one_line(error)})"


def _tried(name: str) -> str:
    return f"there is no folder {name!r} here"


def _cause(error: BaseException) -> str:
    from huggingface_hub import constants

    return f"the hub cannot be reached ({constants.ENDPOINT}: {one_line(error)}), nor is it in the hub's cache"


def _remedy(name: str) -> str:
    return f"give a local folder, such as one of: hf download {name} --local-dir FOLDER"


def one_line(error: BaseException) -> str:
    """Return an exception's name and message, on one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__


@contextmanager
def quiet(bars: bool = False) -> Iterator[None]:
    """Silence diffusers and transformers while the block runs, and their progress bars unless `bars`.

    What they log as an error they raise as well, or get over (a part without safetensors whose pickles are allowed).
    """
    from diffusers.utils import logging

    libraries = [logging]
    with suppress(ImportError):
        from transformers.utils import logging as others

        libraries.append(others)
    before = [(one, one.get_verbosity(), one.is_progress_bar_enabled()) for one in libraries]
    try:
        for one in libraries:
            one.set_verbosity(one.CRITICAL)
            if not bars:
                one.disable_progress_bar()
        yield
    finally:
        for one, verbosity, shown in before:
            one.set_verbosity(verbosity)
            (one.enable_progress_bar if shown else one.disable_progress_bar)()
