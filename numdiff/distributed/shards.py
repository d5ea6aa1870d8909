"""Batches on disk: one safetensors file each, or images beside a JSON file, either whole or not there.

A shard is there when its file is, which is moved into place when it's complete; a killed rank leaves at worst a
temporary file. Before a shard counts as done, it is read: its hash must be that of its content, and its mark that of
the set, so a file that was cut short, changed or copied from elsewhere is made again.

    safetensors   shard-000012.safetensors: ``samples``, ``indices`` and, where there are, ``labels`` and ``seeds``
    png           000000/000123.png (a folder per thousand) and shard-000012.json with their hashes; written last, it
                  stands for all of them

What is written is a function of the samples alone (no times, no ranks), so equal sets are equal files.
"""

from __future__ import annotations

import hashlib
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from numdiff._files import write_atomically
from numdiff.distributed.units import Batch
from numdiff.study.store import digest

Arrays = dict[str, np.ndarray]
_MARK = "numdiff"  # one entry only: safetensors writes several in any order


@dataclass(frozen=True)
class Shards(ABC):
    """The shards of a folder.

    Parameters
    ----------
    folder
        Where they are.
    key
        The mark of the set; see `manifest.key`.
    """

    folder: Path
    key: str
    ending = ""

    def path(self, batch: Batch) -> Path:
        """Return the file that stands for a batch."""
        return self.folder / f"shard-{batch.number:06d}{self.ending}"

    def holds(self, batch: Batch) -> bool:
        """Return whether a batch is there, whole and of this set; everything of it is read."""
        try:
            self.read(batch)
        except (OSError, ValueError):
            return False
        return True

    def read(self, batch: Batch) -> Arrays:
        """Return the arrays of a batch.

        Raises
        ------
        OSError
            If a file cannot be read.
        ValueError
            If it is damaged, of another set, or holds another batch of this one.
        """
        arrays = self._stored(batch)
        indices = arrays["indices"]
        if not np.array_equal(indices, batch.indices):
            ends = f"samples {indices[0]} to {indices[-1]}" if indices.ndim == 1 and indices.size else "no samples"
            raise self._refuse(self.path(batch), f"should hold {batch} and holds {ends}: it is a copy of another file")
        if {len(each) for each in arrays.values()} != {batch.count}:
            raise self._refuse(self.path(batch), f"holds arrays that have not one entry for each of {batch}")
        return arrays

    @abstractmethod
    def _stored(self, batch: Batch) -> Arrays:
        """Return what the file of a batch holds, checked by its own hash and for its set."""

    @abstractmethod
    def write(self, batch: Batch, arrays: Arrays) -> None:
        """Write the arrays of a batch, all or nothing.

        Raises
        ------
        OSError
            If they cannot be written; the message names the file.
        """

    def clean(self) -> None:
        """Remove the temporary files that killed ranks have left."""
        for path in self.folder.glob(f".shard-*{self.ending}.*"):
            path.unlink(missing_ok=True)

    def _refuse(self, path: Path, why: str) -> ValueError:
        return ValueError(f"{path} {why}; run the same command again, which makes it anew")


@dataclass(frozen=True)
class Tensors(Shards):
    """Samples as they are, in safetensors."""

    ending = ".safetensors"

    def _stored(self, batch: Batch) -> Arrays:
        """See `Shards`."""
        from safetensors import SafetensorError, safe_open

        path = self.path(batch)
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing; run the same command again")
        try:
            with safe_open(path, framework="numpy") as file:
                mark = json.loads((file.metadata() or {}).get(_MARK, "{}"))
                arrays = {name: file.get_tensor(name) for name in sorted(file.keys())}
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            raise self._refuse(path, f"is damaged ({error})") from None
        if not isinstance(mark, dict) or mark.get("key") != self.key:
            raise self._refuse(path, "belongs to another set")
        if mark.get("sha256") != checksum(arrays) or not {"samples", "indices"} <= arrays.keys():
            raise self._refuse(path, "is damaged: its hash is not that of its content")
        return arrays

    def write(self, batch: Batch, arrays: Arrays) -> None:
        """See `Shards`."""
        from safetensors.numpy import save

        held = {name: np.ascontiguousarray(arrays[name]) for name in sorted(arrays)}
        mark = json.dumps({"key": self.key, "sha256": checksum(held)})
        write_atomically(self.path(batch), save(held, {_MARK: mark}))


@dataclass(frozen=True)
class Images(Shards):
    """Samples as PNG files of 8 bits: grey values -1 ... 1 are 0 ... 255, beyond them they are cut off."""

    ending = ".json"

    def _stored(self, batch: Batch) -> Arrays:
        """See `Shards`."""
        path = self.path(batch)
        try:
            found = json.loads(path.read_bytes())
            sha, key, other, files = (found[name] for name in ("sha256", "key", "arrays", "files"))
        except FileNotFoundError:
            raise FileNotFoundError(f"{path} is missing; run the same command again") from None
        except (ValueError, KeyError, TypeError) as error:
            raise self._refuse(path, f"is damaged ({error})") from None
        if key != self.key:
            raise self._refuse(path, "belongs to another set")
        if sha != digest([other, files]):
            raise self._refuse(path, "is damaged: its hash is not that of its content")
        images = [self._image(self.folder / name, sha) for name, sha in files.items()]
        return {"samples": np.stack(images), **{name: np.array(each, dtype=np.int64) for name, each in other.items()}}

    def _image(self, path: Path, sha: str) -> np.ndarray:
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise FileNotFoundError(f"{path} is missing; run the same command again, which makes it anew") from None
        if hashlib.sha256(data).hexdigest() != sha:
            raise self._refuse(path, "is damaged: its hash is not that of its content")
        return np.asarray(_pillow().open(io.BytesIO(data)))

    def write(self, batch: Batch, arrays: Arrays) -> None:
        """See `Shards`."""
        files = {}
        for index, image in zip(batch.indices, pixels(arrays["samples"]), strict=True):
            name = image_name(index)
            data = png(image)
            _plainly(self.folder / name, data)
            files[name] = hashlib.sha256(data).hexdigest()
        other = {name: each.tolist() for name, each in sorted(arrays.items()) if name != "samples"}
        mark = {"key": self.key, "sha256": digest([other, files])}
        text = json.dumps({**mark, "arrays": other, "files": files}, indent=1)
        write_atomically(self.path(batch), f"{text}\n".encode())


FORMATS: dict[str, type[Shards]] = {"safetensors": Tensors, "png": Images}
"""How samples can be kept, by name."""


def checksum(arrays: Mapping[str, np.ndarray]) -> str:
    """Return the SHA-256 of arrays with their names, dtypes and shapes."""
    found = hashlib.sha256()
    for name in sorted(arrays):
        each = np.ascontiguousarray(arrays[name])
        found.update(f"{name} {each.dtype.str} {each.shape}\n".encode())
        found.update(each.data if each.size else b"")
    return found.hexdigest()


def image_name(index: int) -> str:
    """Return the name of an image in its folder, a thousand in each: "001000/001234.png"."""
    return f"{index - index % 1000:06d}/{index:06d}.png"


def pixels(samples: np.ndarray) -> np.ndarray:
    """Return samples as images of 8 bits, shape (n, h, w) or (n, h, w, 3).

    Parameters
    ----------
    samples
        Bytes of shape (n, h, w[, 1, 3 or 4]), or floats of shape (n, h, w) or (n, channels, h, w) from -1 to 1; floats
        beyond are shown as the end that they passed.

    Raises
    ------
    ValueError
        If they have another shape.
    """
    if samples.dtype != np.uint8:
        grey = np.rint((np.clip(samples, -1, 1) + 1) * 127.5).astype(np.uint8)
        samples = grey if grey.ndim == 3 else np.moveaxis(grey, 1, -1)
    if samples.ndim == 4 and samples.shape[-1] == 1:
        samples = samples[..., 0]
    if samples.ndim == 3 or (samples.ndim == 4 and samples.shape[-1] in (3, 4)):
        return np.ascontiguousarray(samples)
    raise ValueError(f"samples of shape {samples.shape[1:]} are no images; use --format safetensors")


def png(image: np.ndarray) -> bytes:
    """Return an image of 8 bits as a PNG file.

    Raises
    ------
    ModuleNotFoundError
        If Pillow is not installed.
    """
    buffer = io.BytesIO()
    _pillow().fromarray(image).save(buffer, format="PNG")
    return buffer.getvalue()


def _pillow() -> Any:
    try:
        from PIL import Image
    except ModuleNotFoundError:
        raise ModuleNotFoundError("PNG files need Pillow: pip install pillow, or use --format safetensors") from None
    return Image


def _plainly(path: Path, data: bytes) -> None:
    """Write a file that counts only once another one names its hash; thousands need no flush each."""
    try:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        text = f"cannot be written ({error.strerror}); choose another place, or free this one"
        raise OSError(error.errno, text, str(path)) from error
