"""A folder of samples and the record of how they were made, which is all that it takes to go on or to repeat them.

    00000_seed0.png ...    the samples, named by their place and seed (or .npy: float32 in [0, 1])
    grid.png               all of them on one page
    run.json               settings, pipeline (class, files, their hashes), scheduler, machine, and for each sample its
                           file's hash and the batch [first, count] that it was computed in

Every file is written whole or not at all, samples as soon as they are drawn. A folder is gone on with by the same
settings only; more seeds behind the same ones are the same settings. A sample is kept if its file has the hash that the
record says, and is drawn anew otherwise, in the batch at the same place, so that it comes out the same.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from numdiff._files import write_atomically
from numdiff.adapters.pipelines.generate import Drawn, pixels

__all__ = ["Folder", "FolderError", "open_folder"]

RECORD, GRID = "run.json", "grid.png"
FORMAT = 1
HASHED = ("image", "mask", "pipeline")
"""Settings that are a name and the hash of what it stands for."""

SHOWN = 256
"""Most samples on the page with all of them."""

WIDEST = 4096
"""Most pixels a side of that page."""


class FolderError(ValueError):
    """A folder that holds something else.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from numdiff.adapters.pipelines.image_folder import FolderError, open_folder
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     written = Path(folder, "letter.txt").write_text("mine")
    ...     try:
    ...         open_folder(Path(folder), {"seeds": [0], "format": "png"}, {})
    ...     except FolderError as error:
    ...         print("holds other files" in str(error))
    True
    """


class Folder:
    """Samples on disk; `open_folder` makes one.

    Parameters
    ----------
    path
        The folder; made when the first file is written.
    record
        What ``run.json`` says.

    Attributes
    ----------
    seeds
        Of all samples that there shall be.
    made
        Places of the samples that there are.
    damaged
        Files that were not what the record says, and are drawn anew.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from numdiff.adapters.pipelines.generate import Drawn
    >>> from numdiff.adapters.pipelines.image_folder import open_folder
    >>> with tempfile.TemporaryDirectory() as place:
    ...     folder = open_folder(Path(place, "images"), {"seeds": [7, 8, 9], "format": "png"}, {})
    ...     folder.add(0, Drawn([np.zeros((8, 8, 3), np.float32)] * 2, 10, 0.1, [False] * 2))
    ...     sorted(folder.made), next(folder.blocks(lambda: 2))
    ([0, 1], (2, 1))
    """

    def __init__(self, path: Path, record: dict[str, Any]) -> None:
        self.path, self.record = path, record
        self.seeds: list[int] = list(record["settings"]["seeds"])
        self.made: set[int] = set()
        self.damaged: list[str] = []
        self._written, self._cost = -math.inf, 0.0

    @property
    def started(self) -> bool:
        """Whether the record has been written by this run."""
        return self._written > -math.inf

    def name(self, index: int) -> str:
        """Return the file of a sample."""
        return f"{index:05d}_seed{self.seeds[index]}.{self.record['settings']['format']}"

    def blocks(self, batch: Callable[[], int]) -> Iterator[tuple[int, int]]:
        """Yield the batches (first, count) that are to be drawn, aligned to multiples of the batch size.

        Parameters
        ----------
        batch
            The batch size at present; it is asked for each batch, and may have become smaller.
        """
        missing = 0
        while missing < len(self.seeds):
            if missing in self.made:
                missing += 1
                continue
            size = batch()
            first = missing // size * size
            yield first, min(size, len(self.seeds) - first)

    def add(self, first: int, drawn: Drawn, members: Sequence[int] | None = None) -> None:
        """Write the samples of a batch that are not there yet.

        Parameters
        ----------
        first
            Place of the batch's first sample.
        drawn
            The batch.
        members
            The places to write, of which the others of the batch are not taken; all that are missing if not given.

        Raises
        ------
        OSError
            If a file cannot be written.
        """
        if not self.started:
            self.save()  # so that whose they are is known before the first is there
        count = len(drawn.images)
        for offset, image in enumerate(drawn.images):
            index = first + offset
            if index in self.made or (members is not None and index not in members):
                continue
            data = encoded(image, self.record["settings"]["format"])
            write_atomically(self.path / self.name(index), data)
            entry = {"index": index, "file": self.name(index), "seed": self.seeds[index], "sha256": _sha256(data)}
            entry |= {"batch": [first, count], "seconds": drawn.seconds / count, "nfe": drawn.nfe}
            entry |= {} if drawn.steps is None else {"steps": drawn.steps}
            self.record["images"].append(entry | ({"flagged": True} if drawn.flagged[offset] else {}))
            self.made.add(index)
        if time.monotonic() > self._written + 20 * self._cost:  # what it costs stays below a twentieth of the time
            self.save()

    def drawn_on(self, environment: dict[str, Any]) -> None:
        """Record the machine that draws from now on, beside others that have drawn samples before."""
        before = self.record.get("environment")
        if before not in (None, environment) and self.made:
            self.record.setdefault("earlier_environments", []).append(before)
        self.record["environment"] = environment

    def keep(self, name: str, data: bytes) -> None:
        """Keep a copy of what the samples were made from.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        if not self.started:
            self.save()
        path = self.path / name
        if not path.is_file() or path.read_bytes() != data:
            write_atomically(path, data)

    def save(self) -> None:
        """Write the record, into a folder that is made if need be.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        began = time.monotonic()
        self.path.mkdir(parents=True, exist_ok=True)
        self.record["images"].sort(key=lambda entry: entry["index"])
        self.record["complete"] = len(self.record["images"]) == len(self.seeds)
        text = json.dumps(self.record, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        write_atomically(self.path / RECORD, text.encode())
        self._written = time.monotonic()
        self._cost = self._written - began

    def finish(self) -> dict[str, Any]:
        """Write the page with all samples and the last of the record; return the record."""
        shown = [self.name(i) for i in range(min(len(self.seeds), SHOWN))]
        images = (decoded((self.path / name).read_bytes(), name) for name in shown)
        write_atomically(self.path / GRID, encoded(page(images, len(shown)), "png"))
        entries = self.record["images"]
        self.record["seconds_per_image"] = sum(entry["seconds"] for entry in entries) / len(entries)
        self.record["nfe"] = max(entry["nfe"] for entry in entries)
        self.save()
        return self.record

    def check(self) -> None:
        """Forget the samples whose files are missing or are not what the record says, and name them in `damaged`."""
        kept = []
        for entry in self.record["images"]:
            path = self.path / entry["file"]
            if path.is_file() and _sha256(path.read_bytes()) == entry["sha256"]:
                kept.append(entry)
            elif path.exists():
                self.damaged.append(entry["file"])
        self.record["images"] = kept
        self.made = {entry["index"] for entry in kept}


def open_folder(path: Path, settings: Mapping[str, Any], facts: Mapping[str, Any]) -> Folder:
    """Return the folder at `path`, made with its first file, with the samples that it has of the same settings.

    Parameters
    ----------
    path
        Where; folders above it are made, too, when the first file is written.
    settings
        What decides the samples, as JSON data, with ``seeds`` and ``format`` among them.
    facts
        What else the record shall say.

    Returns
    -------
    Folder
        With what is there already.

    Raises
    ------
    FolderError
        If it is a file, or holds something else, or samples of other settings, with the first that differs.
    OSError
        If it cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from numdiff.adapters.pipelines.image_folder import open_folder
    >>> with tempfile.TemporaryDirectory() as place:
    ...     folder = open_folder(Path(place, "images"), {"seeds": [7, 8], "format": "png"}, {})
    ...     list(folder.seeds), folder.name(0), folder.started
    ([7, 8], '00000_seed7.png', False)
    """
    if path.exists() and not path.is_dir():
        raise FolderError(f"{path} is a file, and samples need a folder; choose another place")
    record = {"format": FORMAT, "made_by": "numdiff sample", "settings": dict(settings), **facts, "images": []}
    folder = Folder(path, record)
    if (path / RECORD).exists():
        before = read_record(path / RECORD)
        if before["images"]:
            compare(before["settings"], settings, path)
            record.update({name: value for name, value in before.items() if name not in record})
            record["images"] = before["images"]
            folder.check()
    elif path.exists() and any(not entry.name.startswith(".") for entry in path.iterdir()):
        raise FolderError(f"{path} holds other files and no {RECORD}; choose another folder, or an empty one")
    return folder


def read_record(path: Path) -> dict[str, Any]:
    """Return a record.

    Raises
    ------
    FolderError
        If it is none, or of another format.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        entries = [(entry["index"], entry["file"], entry["seed"], entry["batch"]) for entry in found["images"]]
        seeds, version = list(found["settings"]["seeds"]), found["format"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise FolderError(
            f"{path} is no record of samples, or is damaged ({error}); remove it to begin anew"
        ) from error
    if version != FORMAT:
        raise FolderError(f"{path} has format {version}, and this version reads {FORMAT}; update numdiff")
    if any(not 0 <= index < len(seeds) or seeds[index] != seed for index, _, seed, _ in entries):
        raise FolderError(f"{path} is damaged: its samples are not those of its seeds; remove it to begin anew")
    return found


def compare(before: Mapping[str, Any], now: Mapping[str, Any], path: Path) -> None:
    """Refuse settings that differ from those that a folder's samples were made with.

    Raises
    ------
    FolderError
        With the first that differs.
    """
    names = sorted({*before, *now} - {"seeds"}, key=lambda name: (name != "method", name))  # that decides the others
    for name in names:
        if before.get(name) != now.get(name):
            _differs(path, *_words(name, before.get(name), now.get(name)))
    old, new = list(before["seeds"]), list(now["seeds"])
    if old[: len(new)] != new[: len(old)]:
        at = next(i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b)
        _differs(path, f"with seed {old[at]} at place {at}", f"it is seed {new[at]}")
    if len(new) < len(old):
        _differs(path, f"with {len(old)} seeds", f"it is {len(new)}")


def _words(name: str, before: Any, now: Any) -> tuple[str, str]:
    """Return how a setting was, "with ...", and how it is, "it is ..."."""
    if name in HASHED and before is not None and now is not None:
        return f"with another {name}", "it is this one"
    there = f"without {name}" if before is None else f"with {name} {_said(before)}"
    return there, f"{name} is not given" if now is None else f"it is {name} {_said(now)}"


def _said(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:80]}..."


def _differs(path: Path, there: str, here: str) -> None:
    raise FolderError(f"{path} holds samples made {there}, and now {here}; choose another folder for these")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# --- pixels -----------------------------------------------------------------------------------------------------------


def encoded(image: np.ndarray, form: str) -> bytes:
    """Return an image in [0, 1], shape (height, width, channels), as the bytes of a PNG or, in float32, of a .npy."""
    buffer = io.BytesIO()
    if form == "npy":
        np.save(buffer, np.asarray(image, dtype=np.float32), allow_pickle=False)
        return buffer.getvalue()
    from PIL import Image

    data = pixels(image)
    Image.fromarray(data[..., 0] if data.shape[-1] == 1 else data).save(buffer, format="PNG")
    return buffer.getvalue()


def decoded(data: bytes, name: str) -> np.ndarray:
    """Return the image of a file's bytes, in [0, 1], shape (height, width, channels)."""
    if name.endswith(".npy"):
        return np.load(io.BytesIO(data), allow_pickle=False)
    from PIL import Image

    found = np.asarray(Image.open(io.BytesIO(data)), dtype=np.float32) / 255
    return found if found.ndim == 3 else found[..., None]


def page(images: Iterable[np.ndarray], count: int) -> np.ndarray:
    """Return `count` images of one shape as one, in rows of about as many as there are rows, white where there is none.

    Where it would be wider or higher than `WIDEST` pixels, each image is thinned out to every second, third, ... pixel.
    """
    shape, found = (0, 0, 0, 0, 0), np.empty(0)
    for i, image in enumerate(images):
        if i == 0:
            columns, rows, thin = _laid_out(count, *image.shape[:2])
            height, width, channels = image[::thin, ::thin].shape
            shape = (rows, height, columns, width, channels)
            found = np.ones(shape, dtype=np.float32)
        found[i // columns, :, i % columns] = image[::thin, ::thin]
    rows, height, columns, width, channels = shape
    return found.reshape(rows * height, columns * width, channels)


def _laid_out(count: int, height: int, width: int) -> tuple[int, int, int]:
    """Return (columns, rows, every how manieth pixel): up to four in one row, more as square a page as they make."""
    columns = count if count <= 4 else min(count, math.ceil(math.sqrt(count * height / width)))
    rows = -(-count // columns)
    return columns, rows, max(1, math.ceil(columns * width / WIDEST), math.ceil(rows * height / WIDEST))
