"""Reading a set of samples: in order, as many at a time as are asked for."""

from __future__ import annotations

import errno
import operator
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from numdiff._files import write_atomically
from numdiff.distributed import manifest
from numdiff.distributed.shards import FORMATS, Arrays, Shards
from numdiff.distributed.units import Batch, batches


class Samples:
    """A set of samples in a folder: ``samples[i]``, ``samples[a:b]``, ``for x in samples``, ``samples.array()``.

    Files are read when they are needed, and their hashes and the numbers of their samples checked; the last one read is
    kept.

    Parameters
    ----------
    folder
        What was given as ``--out``.

    Raises
    ------
    ValueError
        If the folder holds no set of samples, or one that isn't complete.

    Attributes
    ----------
    manifest : dict
        What the set is: ``settings``, ``versions``, ``runs``.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> import torch
    >>> from numdiff import distributed
    >>> class Noise:
    ...     settings = {"source": "normal numbers"}
    ...     def draw(self, batch):
    ...         drawn = [np.random.default_rng(i).normal(size=2) for i in batch.indices]
    ...         return {"samples": np.array(drawn), "seeds": np.array(batch.indices)}
    >>> ranks = distributed.Ranks(0, 1, 0, torch.device("cpu"))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tallies = distributed.work(Noise(), distributed.Plan(Path(folder, "set"), n=6, batch=4), ranks)
    ...     samples = distributed.Samples(Path(folder, "set"))
    ...     samples.shape, len(samples), bool((samples[2:5] == samples.array()[2:5]).all())
    ((6, 2), 6, True)
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self.manifest = manifest.read(self.folder)
        settings = self.manifest["settings"]
        self._batches = batches(settings["n"], settings["batch"])
        self._shards: Shards = FORMATS[settings["format"]](self.folder, manifest.key(self.manifest))
        missing = [batch for batch in self._batches if not self._shards.path(batch).is_file()]
        if missing:
            raise manifest.FolderError(
                f"{len(missing)} of {len(self._batches)} batches are missing in {self.folder}, the first is "
                f"{missing[0]}; run the command again that made it"
            )
        self._kept: tuple[int, Arrays] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the whole set, (n, ...)."""
        return (len(self), *self._read(self._batches[0])["samples"].shape[1:])

    @property
    def labels(self) -> np.ndarray | None:
        """The class of every sample, shape (n,), or None where there are no classes."""
        return self._whole("labels") if "labels" in self._read(self._batches[0]) else None

    def __len__(self) -> int:
        """Return the number of samples."""
        return int(self.manifest["settings"]["n"])

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield one sample after the other."""
        for arrays in self.batches():
            yield from arrays["samples"]

    def __getitem__(self, index: int | slice) -> np.ndarray:
        """Return one sample, or those of a slice as an array.

        Raises
        ------
        IndexError, TypeError
            As for a sequence.
        """
        if isinstance(index, slice):
            numbers = range(len(self))[index]
            found = [self._one(i) for i in numbers]
            return np.stack(found) if found else np.empty((0, *self.shape[1:]), self[0].dtype)
        return self._one(range(len(self))[operator.index(index)])

    def batches(self) -> Iterator[Arrays]:
        """Yield what each file holds: ``samples``, ``indices``, and where there are, ``labels`` and ``seeds``."""
        for batch in self._batches:
            yield self._read(batch)

    def array(self) -> np.ndarray:
        """Return all samples as one array, shape (n, ...)."""
        return self._whole("samples")

    def damaged(self) -> list[Batch]:
        """Return the batches that are not whole, having read them all; running the command again makes them anew."""
        return [batch for batch in self._batches if not self._shards.holds(batch)]

    def __repr__(self) -> str:
        """Return what the set is."""
        settings = self.manifest["settings"]
        return f"Samples({str(self.folder)!r}: {len(self)} of {settings.get('model')} with {settings.get('method')})"

    def _one(self, index: int) -> np.ndarray:
        batch = self._batches[index // self.manifest["settings"]["batch"]]
        found: np.ndarray = self._read(batch)["samples"][index - batch.first]
        return found

    def _read(self, batch: Batch) -> Arrays:
        if self._kept is None or self._kept[0] != batch.number:
            self._kept = batch.number, self._shards.read(batch)
        return self._kept[1]

    def _whole(self, name: str) -> np.ndarray:
        return np.concatenate([arrays[name] for arrays in self.batches()])


def merge(folder: str | os.PathLike[str], path: str | os.PathLike[str]) -> Path:
    """Write a set of samples as one safetensors file: ``samples``, ``indices``, and ``labels`` and ``seeds`` if any.

    The whole set passes through memory; `Samples` reads it without.

    Parameters
    ----------
    folder
        Of the set.
    path
        The file, in a folder that is there.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError, OSError
        If the set is not complete or damaged, or the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> import torch
    >>> from numdiff import distributed
    >>> class Noise:
    ...     settings = {"source": "normal numbers"}
    ...     def draw(self, batch):
    ...         drawn = [np.random.default_rng(i).normal(size=2) for i in batch.indices]
    ...         return {"samples": np.array(drawn), "seeds": np.array(batch.indices)}
    >>> ranks = distributed.Ranks(0, 1, 0, torch.device("cpu"))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tallies = distributed.work(Noise(), distributed.Plan(Path(folder, "set"), n=6, batch=4), ranks)
    ...     distributed.merge(Path(folder, "set"), Path(folder, "all.safetensors")).name
    'all.safetensors'
    """
    from safetensors.numpy import save

    parts: dict[str, list[Any]] = {}
    samples, target = Samples(folder), Path(path)
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "is no folder; make it, or choose another place", str(target.parent))
    for arrays in samples.batches():
        for name, each in arrays.items():
            parts.setdefault(name, []).append(each)
    write_atomically(target, save({name: np.concatenate(each) for name, each in parts.items()}))
    return target
