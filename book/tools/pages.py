"""Pages that are written by programs: they are made anew by every build and are not kept in the repository."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from numdiff._files import write_atomically

BOOK = Path(__file__).parents[1]
"""The folder of the book."""


def write_folder(folder: Path, files: Mapping[str, str]) -> None:
    """Make `folder` hold exactly `files` (name: text): others of the same kinds are removed, equal ones left alone."""
    folder.mkdir(parents=True, exist_ok=True)
    kinds = {Path(name).suffix for name in files}
    for path in folder.iterdir():
        if path.suffix in kinds and path.name not in files:
            path.unlink()
    for name, text in files.items():
        write(folder / name, text)


def write(path: Path, text: str) -> None:
    """Write a generated file if it says something new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != text:
        write_atomically(path, text.encode())
