"""What a probe keeps on disk, so that an interrupted run goes on where it was.

A folder holds one file per reference (end points and their stated error) and one per search (the best log-SNRs so far
and F there). Their names are fingerprints of everything they depend on: noises, schedule, ends, model of known law; and
for a search also method, steps, options and objective. A network is known by what it returns for the noises at three
times; a reference whose network returned something else is refused. Files are replaced as a whole or not at all.
"""

from __future__ import annotations

import hashlib
import io
import math
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numdiff._files import write_atomically
from numdiff.optimize.compiled import Trace
from numdiff.optimize.objectives.probe_subjects import Subject

Array = NDArray[np.float64]

SAME = 1e-3
"""Relative difference up to which outputs of a network are the same one's, on another device or in another library."""


@dataclass(frozen=True, eq=False)
class Store:
    """A reference and the best steps so far, on disk, or nowhere if ``folder`` is None."""

    folder: Path | None
    subject: Subject
    reference_name: str = ""
    best_name: str = ""

    @classmethod
    def of(cls, probe: Any, trace: Trace, subject: Subject) -> Store:
        """Return the store of a probe's cache folder, which is made if there is none."""
        if probe.cache is None:
            return cls(None, subject)
        folder = Path(probe.cache)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise ValueError(f"cache must be a folder, and {str(folder)!r} is a file or lies in one") from None
        run = [type(subject).__name__, probe.prediction, probe.reference, trace.ends]
        reference = _fingerprint(run, [subject.plain(subject.noises), _scales(trace), *subject.known()])
        window = trace.window
        search = [reference, trace.method, sorted(trace.options.items()), window.names, window.lower, window.upper]
        best = _fingerprint([*search, probe.power], [window.gaps])
        return cls(folder, subject, f"reference-{reference}.npz", f"best-{best}.npz")

    def reference(self, make: Callable[[], tuple[Any, float]]) -> tuple[Any, float]:
        """Return the reference and its error, made once."""
        if self.folder is None:
            return make()
        path, identity = self.folder / self.reference_name, self.subject.identity()
        if path.exists():
            found = _read(path, ("x", "error", *(f"identity{i}" for i in range(len(identity)))))
            for i, ours in enumerate(identity):
                _check_same(path, ours, found[f"identity{i}"])
            return self.subject.like(found["x"]), float(found["error"])
        x, error = make()
        arrays = {f"identity{i}": array for i, array in enumerate(identity)}
        _write(path, x=self.subject.plain(x), error=np.array(error), **arrays)
        return x, error

    def best(self) -> tuple[Array | None, float, float | None]:
        """Return the best z of an earlier run, F there and F where it began; None, infinity, None if there was none."""
        if self.folder is None or not (self.folder / self.best_name).exists():
            return None, math.inf, None
        found = _read(self.folder / self.best_name, ("z", "value", "initial"))
        return found["z"], float(found["value"]), float(found["initial"])

    def keep(self, z: Array, value: float, initial: float) -> None:
        """Write the best z so far, F there and F where the search began."""
        if self.folder is not None:
            _write(self.folder / self.best_name, z=z, value=np.array(value), initial=np.array(initial))


def _scales(trace: Trace) -> Array:
    """Return what tells the schedule from others: log-SNR and model time along it."""
    schedule = trace.schedule
    levels = [schedule.level(float(t)) for t in np.linspace(0.0, schedule.T, 9)]
    return np.array([(float(level.log_snr), float(level.model_time)) for level in levels])


def _fingerprint(words: Sequence[Any], arrays: Sequence[Array]) -> str:
    """Return twenty hexadecimal digits that tell descriptions and float64 arrays from others."""
    digest = hashlib.sha256(repr(words).encode())
    for array in arrays:
        digest.update(repr(array.shape).encode() + np.ascontiguousarray(array, dtype="<f8").tobytes())
    return digest.hexdigest()[:20]


def _write(path: Path, **arrays: Array) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]  # its stub takes the keyword allow_pickle for one of these
    write_atomically(path, buffer.getvalue())


def _read(path: Path, names: Sequence[str]) -> dict[str, Array]:
    try:
        with np.load(io.BytesIO(path.read_bytes())) as file:
            return {name: file[name] for name in names}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"cache: {path} is damaged or no file of a probe; delete it, or give another folder"
        ) from error


def _check_same(path: Path, ours: Array, theirs: Array) -> None:
    scale = float(np.abs(theirs).max(initial=0.0))
    if ours.shape != theirs.shape or not np.abs(ours - theirs).max(initial=0.0) <= SAME * scale:
        raise ValueError(f"cache: {path} was made with another model; delete it or give this model a folder of its own")
