"""Results on disk: one JSON file per stage, keyed by everything that decides it.

The key is the SHA-256 of the stage's name, its settings, the seed, the versions of numdiff and of the numerical
libraries, and the source code that computes (what only draws or formats is left out, as are the shipped weights' bytes:
their JSON, which holds their hash, is in). A result whose key matches is used again; anything else is computed anew. A
file also carries the hash of its own result, so that a file that was cut short or edited is noticed, reported and
replaced.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numdiff
from numdiff import provenance
from numdiff._files import write_atomically

LIBRARIES = ("numpy", "scipy", "sympy", "torch", "matplotlib")
_FORMATTING = (
    "report",
    "paper",
    "page",
    "style",
    "tables",
    "summaries",
    "digits_tables",
    "findings",
    "draw",
    "store",
    "progress",
    "runner",
)
PRESENTATION = ("cli", "plotting", "testing", "adapters", "_files", *(f"study/{name}" for name in _FORMATTING))
"""Parts of the package that no number depends on."""


class StoreError(OSError):
    """The output folder cannot be used.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from numdiff import study
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     written = Path(folder, "notes").write_text("a file")
    ...     try:
    ...         study.run(Path(folder, "notes"), parts=[])
    ...     except study.StoreError as error:
    ...         print(type(error).__base__.__name__)
    OSError
    """


def canonical(value: Any) -> bytes:
    """Return `value` as JSON with sorted keys and no spaces; refuses NaN and infinity."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def digest(value: Any) -> str:
    """Return the SHA-256 of a JSON value."""
    return hashlib.sha256(canonical(value)).hexdigest()


@cache
def versions() -> dict[str, str]:
    """Return the versions that a result depends on: Python, numdiff, and the libraries that are installed."""
    return provenance.versions(LIBRARIES)


@cache
def source(skip: tuple[str, ...] = PRESENTATION) -> str:
    """Return a hash of the package's Python files and of the JSON beside its weights, without the parts in `skip`."""
    root, found = Path(numdiff.__file__).parent, hashlib.sha256()
    files = sorted([*root.rglob("*.py"), *root.glob("models/weights/*.json")])
    for path in files:
        name = path.relative_to(root).as_posix()
        if not name.startswith(skip):
            found.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()


def key(stage: str, settings: Mapping[str, Any], seed: int) -> str:
    """Return the key of a stage's result."""
    return digest({"stage": stage, "settings": settings, "seed": seed, "versions": versions(), "source": source()})


@dataclass(frozen=True)
class Folder:
    """An output folder that exists and can be written to; make it with `Folder.open`."""

    path: Path

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Folder:
        """Make the folder, and try to write into it.

        Raises
        ------
        StoreError
            If it cannot be made, is a file, or cannot be written to.
        """
        place = Path(path)
        try:
            for folder in (place, *(place / name for name in ("data", "tables", "figures"))):
                folder.mkdir(parents=True, exist_ok=True)
                tempfile.TemporaryFile(dir=folder).close()
        except (FileExistsError, NotADirectoryError):
            raise StoreError(
                f"cannot write to {place}: there is a file where a folder should be; choose another --out"
            ) from None
        except OSError as error:
            raise StoreError(f"cannot write to {place}: {error.strerror or error}; choose another --out") from error
        return cls(place)

    def write(self, name: str, content: str | bytes) -> Path:
        """Write one file atomically and return its path."""
        path = self.path / name
        if path.is_dir():
            raise StoreError(
                f"cannot write {path}: there is a folder where a file should be; remove it or choose another --out"
            )
        write_atomically(path, content.encode() if isinstance(content, str) else content)
        return path

    def save(self, stage: str, record: Mapping[str, Any]) -> dict[str, Any]:
        """Write the record of a stage and return it; it gains the hash of its result."""
        whole = {**record, "sha256": digest(record["result"])}
        self.write(f"data/{stage}.json", json.dumps(whole, indent=1, allow_nan=False) + "\n")
        return whole

    def load(self, stage: str, wanted: str) -> tuple[dict[str, Any] | None, str]:
        """Return the record of a stage, or None and the reason why it must be computed ("" if it never was).

        Parameters
        ----------
        stage
            The stage's name.
        wanted
            The key that the record must have.
        """
        path = self.path / "data" / f"{stage}.json"
        try:
            record = json.loads(path.read_bytes())
            intact = digest(record["result"]) == record["sha256"]
        except FileNotFoundError:
            return None, ""
        except (ValueError, KeyError, TypeError):
            return None, "its saved result is damaged"
        if not intact:
            return None, "its saved result is damaged"
        if record.get("key") != wanted:
            return None, "settings, versions or code have changed"
        return record, ""
