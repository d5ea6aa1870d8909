r"""Weights on disk: NAME.safetensors beside NAME.json, nothing that could run code when read.

The JSON holds

    format        1; a later version says another number
    architecture  a key of `ARCHITECTURES`
    config        the architecture's arguments (for a denoiser also its schedule and prediction)
    weights       file name, number of bytes and SHA-256 of the safetensors file
    record        anything about the training: settings, loss curve, seconds, versions, scores

`load` reads the bytes once, compares size and hash with the JSON before parsing anything, and reports which file is
wrong, how, and what to do. `save` writes each file to a temporary one in the same folder, flushes it to the disk and
moves it into place, so that an interrupt leaves the old file or the new one, never a part. The weights go first: a pair
torn by an interrupt between the two moves fails the hash instead of passing as the old model.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as read_tensors
from safetensors.torch import save as write_tensors
from torch import nn

from numdiff._files import write_atomically
from numdiff._names import suggest
from numdiff.models.classifier import Classifier
from numdiff.models.denoiser import Denoiser
from numdiff.models.unet import UNetDenoiser

Model = Denoiser | UNetDenoiser | Classifier

ARCHITECTURES: dict[str, type[Denoiser] | type[UNetDenoiser] | type[Classifier]] = {
    cls.architecture: cls for cls in (Denoiser, UNetDenoiser, Classifier)
}
"""The architectures that `load` knows, by name."""

_FORMAT = 1
_REMEDY = "fetch both files again, or train anew (experiments/digits, experiments/glyphs)"


class WeightsError(ValueError):
    """Weights that cannot be trusted: corrupt, truncated, mismatched, or of another format.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numdiff as nd
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = nd.models.save(nd.models.digits(), f"{folder}/mine")
    ...     kept = files[0].write_bytes(files[0].read_bytes()[:-1])
    ...     try:
    ...         nd.models.load(f"{folder}/mine")
    ...     except nd.models.WeightsError as error:
    ...         print("corrupt" in str(error) or "truncated" in str(error))
    True
    """


def save(model: Model, path: str | os.PathLike[str], record: dict[str, Any] | None = None) -> tuple[Path, Path]:
    """Write `model` to PATH.safetensors and PATH.json, each atomically.

    Parameters
    ----------
    model
        A model of a known architecture.
    path
        Path without ending (or with either of the two); its folder is created.
    record
        What to say about the training, JSON-serialisable; the model's own `record` if not given.

    Returns
    -------
    tuple of Path
        The weights and the JSON.

    Raises
    ------
    OSError
        If a file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> import numdiff as nd
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = nd.models.save(nd.models.digits(), f"{folder}/mine", {"note": "a copy"})
    ...     [file.name for file in files], nd.models.load(f"{folder}/mine").record
    (['mine.safetensors', 'mine.json'], {'note': 'a copy'})
    """
    weights_path, json_path = _paths(path)
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    data = write_tensors(state)
    header = {
        "format": _FORMAT,
        "architecture": model.architecture,
        "config": dataclasses.asdict(model.config),
        "weights": {"file": weights_path.name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()},
        "record": model.record if record is None else record,
    }
    text = json.dumps(header, indent=1, allow_nan=False) + "\n"  # before writing: a bad record leaves nothing behind
    json_path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(weights_path, data)
    write_atomically(json_path, text.encode())
    return weights_path, json_path


def load(path: str | os.PathLike[str], expected: type[nn.Module] | tuple[type[nn.Module], ...] | None = None) -> Any:
    """Return the model at PATH.safetensors and PATH.json, in evaluation mode, with frozen parameters.

    Parameters
    ----------
    path
        Path without ending (or with either of the two).
    expected
        The class that it must be, or those of which it must be one, if given.

    Returns
    -------
    Denoiser, UNetDenoiser or Classifier
        On the CPU, in the precision that it was saved in.

    Raises
    ------
    FileNotFoundError
        If one of the two files is missing.
    WeightsError
        If a file is corrupt or truncated, or the two do not belong together.
    ValueError
        If the architecture is unknown; the message gives the nearest known one.

    Examples
    --------
    >>> import numdiff as nd
    >>> model = nd.models.load(nd.models.WEIGHTS / "digits", nd.models.Denoiser)
    >>> model.training, model.shape
    (False, (64,))
    """
    weights_path, json_path = _paths(path)
    header = _read_header(json_path)
    if header["architecture"] not in ARCHITECTURES:
        suggest(header["architecture"], ARCHITECTURES, f"architecture in {json_path}:")
    cls = ARCHITECTURES[header["architecture"]]
    wanted = (cls,) if expected is None else expected if isinstance(expected, tuple) else (expected,)
    if cls not in wanted:
        names = " or a ".join(kind.__name__ for kind in wanted)
        raise WeightsError(f"{json_path} holds a {cls.__name__}, not a {names}; give the path of another")
    tensors = _read_weights(weights_path, json_path, header["weights"])
    model = _build(cls, header["config"], json_path)
    _fill(model, tensors, weights_path, json_path)
    model.record = header["record"]
    return model.eval().requires_grad_(False)


def _paths(path: str | os.PathLike[str]) -> tuple[Path, Path]:
    text = os.fspath(path)
    for ending in (".safetensors", ".json"):
        text = text.removesuffix(ending)
    return Path(text + ".safetensors"), Path(text + ".json")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{path} does not exist; a model is NAME.safetensors beside NAME.json: {_REMEDY}"
        ) from None
    except IsADirectoryError:
        raise WeightsError(
            f"{path} is a folder where a file should be; give the path of another, or {_REMEDY}"
        ) from None


def _read_header(path: Path) -> dict[str, Any]:
    try:
        header = json.loads(_read(path))
    except ValueError as error:  # invalid JSON, or bytes that are not UTF-8
        raise WeightsError(f"{path} is not valid JSON ({error}); {_REMEDY}") from error
    fields = {"format": int, "architecture": str, "config": dict, "weights": dict, "record": dict}
    wrong = [f for f, kind in fields.items() if not isinstance(header, dict) or not isinstance(header.get(f), kind)]
    if wrong:
        raise WeightsError(f"{path} lacks or has a malformed {', '.join(map(repr, wrong))}; {_REMEDY}")
    if header["format"] != _FORMAT:
        raise WeightsError(f"{path} has format {header['format']}, this version reads {_FORMAT}; update numdiff")
    return header


def _read_weights(path: Path, json_path: Path, expected: dict[str, Any]) -> dict[str, torch.Tensor]:
    data = _read(path)
    if len(data) != expected.get("bytes"):
        fault = "is truncated" if len(data) < (expected.get("bytes") or 0) else "has the wrong size"
        raise WeightsError(
            f"{path} {fault}: {len(data)} bytes where {json_path} says {expected.get('bytes')}; {_REMEDY}"
        )
    digest = hashlib.sha256(data).hexdigest()
    if digest != expected.get("sha256"):
        raise WeightsError(
            f"{path} is corrupt or belongs to another model: its SHA-256 is {digest} where {json_path} says "
            f"{expected.get('sha256')}; {_REMEDY}"
        )
    try:
        return read_tensors(data)
    except (SafetensorError, ValueError) as error:
        raise WeightsError(f"{path} is not a safetensors file ({error}); {_REMEDY}") from error


def _build(cls: type[Model], config: dict[str, Any], path: Path) -> Any:
    try:
        settings: Any = cls.Config(**config)
        with torch.random.fork_rng(devices=[]):  # the initial weights are overwritten: do not advance the caller's seed
            return cls(settings)
    except (TypeError, ValueError) as error:
        raise WeightsError(f"{path}: config does not describe a {cls.architecture} ({error}); {_REMEDY}") from error


def _fill(model: nn.Module, tensors: dict[str, torch.Tensor], path: Path, json_path: Path) -> None:
    wanted = model.state_dict()
    faults = [f"{name} is missing" for name in wanted.keys() - tensors.keys()]
    faults += [f"{name} is not part of the model" for name in tensors.keys() - wanted.keys()]
    faults += [
        f"{name} has shape {tuple(tensors[name].shape)} instead of {tuple(wanted[name].shape)}"
        for name in wanted.keys() & tensors.keys()
        if tensors[name].shape != wanted[name].shape
    ]
    if faults:
        raise WeightsError(f"{path} does not fit the config in {json_path}: {sorted(faults)[0]}; {_REMEDY}")
    model.load_state_dict(tensors)
