"""What a pipeline's folder holds, read before anything of it is loaded: JSON and the headers of safetensors only.

A pipeline in the hub's format is a folder with ``model_index.json``, which names the pipeline's class and, for each of
its parts, a library and a class, and with one folder a part:

    model_index.json              {"_class_name": "DDPMPipeline", "unet": ["diffusers", "UNet2DModel"], ...}
    unet/config.json              a network's settings; scheduler_config.json, tokenizer_config.json, ... for others
    unet/*.safetensors            its weights; NAME.fp16.safetensors is the variant "fp16" of NAME.safetensors

A safetensors file is the length of its header in 8 bytes, the header (JSON: where each tensor's bytes lie), and the
bytes, so a file that was cut short is noticed without reading it. Other weights (.bin, .ckpt, .pt, .pth) are pickles,
which can run any program when they are read; `weights` refuses them unless it is told otherwise.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

INDEX = "model_index.json"
PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".pkl")
WEIGHTS = (".safetensors", *PICKLES)
WHOLE = 2**26
"""Bytes up to which a file is hashed whole."""

MOST_HEADER = 100_000_000
"""Bytes of the longest header that safetensors reads."""

_AGAIN = "fetch it again (hf download ID --local-dir FOLDER)"


class PipelineError(ValueError):
    """A pipeline that is not there, not whole, not understood or not to be trusted.

    Examples
    --------
    >>> import tempfile
    >>> from numdiff.adapters.pipelines import loading
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     try:
    ...         loading.load(folder)
    ...     except loading.PipelineError as error:
    ...         print("model_index.json" in str(error))
    True
    """


@dataclass(frozen=True)
class Index:
    """What ``model_index.json`` says.

    Parameters
    ----------
    folder
        Where it lies.
    kind
        Name of the pipeline's class.
    parts
        (part: (library, class)) of the parts that are not left out.
    module
        The file of the pipeline's own code, or None if diffusers has the class.
    """

    folder: Path
    kind: str
    parts: dict[str, tuple[str, str]]
    module: str | None = None


def index(folder: Path) -> Index:
    """Return what the folder of a pipeline says it holds.

    Raises
    ------
    PipelineError
        If there is no such folder, or it is not a pipeline's.
    """
    if folder.is_file():
        raise PipelineError(
            f"{folder} is one file, and a pipeline is a folder in the hub's format ({INDEX} beside a folder for each "
            "part); convert it once with diffusers: PIPELINE.from_single_file(...).save_pretrained(FOLDER)"
        )
    path = folder / INDEX
    if not path.is_file():
        raise PipelineError(f"{folder} is no pipeline: it holds {_contents(folder)} and no {INDEX}{_hint(folder)}")
    found = read_json(path)
    kind, module = found.get("_class_name"), None
    if isinstance(kind, list) and len(kind) == 2:
        module, kind = f"{kind[0]}.py", kind[1]
    if not isinstance(kind, str):
        raise PipelineError(f'{path} has no "_class_name", the name of a pipeline; {_AGAIN}')
    return Index(folder, kind, _parts(found), module)


def _parts(found: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Return the parts: entries [library, class], of which ``[null, null]`` is a part left out."""
    pairs = {name: value for name, value in found.items() if isinstance(value, list) and len(value) == 2}
    return {
        name: (value[0], value[1])
        for name, value in pairs.items()
        if not name.startswith("_") and all(isinstance(one, str) for one in value)
    }


def _contents(folder: Path) -> str:
    names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    shown = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
    return shown or "nothing"


def _hint(folder: Path) -> str:
    inside = [entry.parent.name for entry in sorted(folder.glob(f"*/{INDEX}"))]
    if inside:
        return f"; {folder / inside[0]} is one"
    if (folder / "config.json").is_file():
        return ", so it is one network and not a pipeline; give the folder that has this one in it"
    return f"; give the folder that holds {INDEX}"


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file.

    Raises
    ------
    PipelineError
        If it is none.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise PipelineError(f"{path} is damaged: no valid JSON ({error}); {_AGAIN}") from error
    if not isinstance(found, dict):
        raise PipelineError(f"{path} is damaged: it holds a {type(found).__name__}, not an object; {_AGAIN}")
    return found


def weights(pipeline: Index, *, variant: str | None = None, allow_pickle: bool = False) -> list[Path]:
    """Return the files of weights that are going to be read, all of them whole.

    Parameters
    ----------
    pipeline
        What `index` found.
    variant
        Such as "fp16".
    allow_pickle
        Whether weights may be pickles where there are no others.

    Raises
    ------
    PipelineError
        For a part without its folder or its weights, for pickles, and for files that were cut short.
    """
    found: list[Path] = []
    for folder in _folders(pipeline):
        if (folder / "config.json").is_file():
            read_json(folder / "config.json")
        found += _of_part(folder, variant, allow_pickle)
    for path in found:
        if path.suffix == ".safetensors":
            whole(path)
    return found


def _folders(pipeline: Index) -> list[Path]:
    """Return the folders of the parts, which must be there."""
    for name in pipeline.parts:
        if not (pipeline.folder / name).is_dir():
            raise PipelineError(f"{pipeline.folder} lacks the folder {name}, a part of {pipeline.kind}; {_AGAIN}")
    return [pipeline.folder / name for name in pipeline.parts]


def _of_part(folder: Path, variant: str | None, allow_pickle: bool) -> list[Path]:
    """Return the weights of a part; a part with a ``config.json`` is a network and has some."""
    safe, pickles = sorted(folder.glob("*.safetensors")), []
    for ending in PICKLES:
        pickles += sorted(folder.glob(f"*{ending}"))
    if not safe and not (folder / "config.json").is_file():
        return []  # what a tokenizer or a scheduler has beside its JSON is not read
    chosen = _chosen(safe, variant) or (allow_pickle and _chosen(pickles, variant)) or []
    if chosen:
        _complete(folder)
        return chosen
    if safe or (pickles and allow_pickle):
        _variants(folder, safe or pickles, variant)
    if pickles:
        names = ", ".join(str(Path(folder.name) / path.name) for path in pickles)
        raise PipelineError(
            f"{folder.parent} has weights as pickles only ({names}), which can run any program when they are read; "
            "take safetensors, or allow_pickle=True if you trust whoever made them"
        )
    raise PipelineError(f"{folder} has no weights (*.safetensors); {_AGAIN}")


def _chosen(paths: list[Path], variant: str | None) -> list[Path]:
    """Return the files of a variant, or of none: NAME.fp16.safetensors, NAME.fp16-00001-of-00002.safetensors."""
    wanted = [path for path in paths if _variant(path) == variant]
    return wanted or ([path for path in paths if _variant(path) is None] if variant is not None else [])


def _variant(path: Path) -> str | None:
    _, dot, last = path.stem.rpartition(".")
    return re.sub(r"-\d{5}-of-\d{5}$", "", last) or None if dot else None


def _variants(folder: Path, paths: list[Path], variant: str | None) -> None:
    known = sorted({_variant(path) or "" for path in paths} - {""})
    asked = "without a variant" if variant is None else f"of the variant {variant!r}"
    raise PipelineError(f"{folder} has no weights {asked}; it has variant={' and variant='.join(known)}")


def _complete(folder: Path) -> None:
    """Refuse a part of whose files one is missing: ``*.index.json`` names them all."""
    for path in sorted(folder.glob("*.safetensors.index*.json")):
        table = read_json(path).get("weight_map")
        names = sorted(set(table.values())) if isinstance(table, dict) else []
        missing = [name for name in names if not (folder / str(name)).is_file()]
        if missing and len(missing) < len(names):
            raise PipelineError(f"{folder} lacks {missing[0]}, which {path.name} names; {_AGAIN}")


def whole(path: Path) -> None:
    """Check the header of a safetensors file against the file's length.

    Raises
    ------
    PipelineError
        If it is not a safetensors file, or not all of one.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = file.read(length) if 2 <= length <= min(size - 8, MOST_HEADER) else b""
    if not header:
        fault = "is truncated" if size < 8 or length <= MOST_HEADER else "is not a safetensors file"
        raise PipelineError(f"{path} {fault}: {size} bytes, which do not hold its own header; {_AGAIN}")
    try:
        tensors = json.loads(header)
        ends = [entry["data_offsets"][1] for name, entry in tensors.items() if name != "__metadata__"]
        wanted = 8 + length + max(ends, default=0)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError) as error:
        raise PipelineError(f"{path} is not a safetensors file: its header is no table of tensors; {_AGAIN}") from error
    if size != wanted:
        fault = "is truncated" if size < wanted else "is damaged"
        raise PipelineError(f"{path} {fault}: {size} bytes where its header says {wanted}; {_AGAIN}")


def fingerprint(pipeline: Index) -> dict[str, dict[str, Any]]:
    """Return what tells a pipeline from another: (file: {"bytes", "sha256"}) of all its JSON and weights.

    Of a file above `WHOLE` bytes the hash is of 32 pieces of a mebibyte, evenly spaced from its first to its last byte,
    under the name "sha256_of_samples": reading all of a large model would take longer than drawing an image.

    Raises
    ------
    PipelineError
        For a part without its folder.
    """
    found = {}
    for folder in (pipeline.folder, *_folders(pipeline)):
        paths = [path for path in folder.iterdir() if path.suffix in (".json", ".txt", ".model", *WEIGHTS)]
        for path in sorted(paths):
            if path.is_file():
                found[path.relative_to(pipeline.folder).as_posix()] = _identity(path)
    return found


def _identity(path: Path) -> dict[str, Any]:
    size, piece, pieces = path.stat().st_size, 2**20, 32
    if size <= WHOLE:
        return {"bytes": size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    total = hashlib.sha256()
    with path.open("rb") as file:
        for i in range(pieces):
            file.seek((size - piece) * i // (pieces - 1))
            total.update(file.read(piece))
    return {"bytes": size, "sha256_of_samples": total.hexdigest()}
