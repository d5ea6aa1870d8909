"""The manifest of a set of samples: what it is, so that it can be gone on with, repeated and read.

``manifest.json`` holds

    format, version   what the file is
    settings          everything that decides the samples
    versions          of Python, numdiff and the libraries that compute
    command           how the set was asked for first
    runs              of each run that came to its end: ranks, device, batches made, seconds

A folder belongs to one set. Other settings, or another version of what computes, are refused by name: half a set of
one kind and half of another would look like a whole one.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numdiff import provenance
from numdiff._files import write_atomically
from numdiff.study.store import digest

FORMAT, VERSION = "numdiff samples", 1
NAME = "manifest.json"


class FolderError(ValueError):
    """A folder that cannot take these samples, or holds none that can be read."""


def document(settings: Mapping[str, Any], command: Sequence[str]) -> dict[str, Any]:
    """Return the manifest of a new set."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "settings": dict(settings),
        "versions": provenance.versions(),
        "command": list(command),
        "runs": [],
    }


def read(folder: Path) -> dict[str, Any]:
    """Return the manifest of a folder.

    Raises
    ------
    FolderError
        If there is none, or it is damaged or of another version.
    """
    path = folder / NAME
    try:
        found = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise FolderError(f"{folder} holds no {NAME}, so no set of samples; give the folder of --out") from None
    except ValueError as error:
        raise FolderError(f"{path} is damaged ({error}); choose another --out, or remove the folder") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT or not isinstance(found.get("settings"), dict):
        raise FolderError(f"{path} is no manifest of samples; choose another --out")
    if found.get("version") != VERSION:
        raise FolderError(
            f"{path} has version {found.get('version')}, and this numdiff reads {VERSION}; update numdiff"
        )
    return found


def opened(folder: Path, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the manifest of a folder, which is made if need be and must otherwise belong to the same set.

    Parameters
    ----------
    folder
        The folder; it may be missing or empty.
    wanted
        What `document` returned.

    Raises
    ------
    FolderError
        If the folder holds something else, or another set; the message names what differs and the remedy.
    OSError
        If it cannot be made or written to.
    """
    _made(folder)
    if not (folder / NAME).exists():
        strange = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
        if strange:
            raise FolderError(f"{folder} holds {strange[0]!r} but no {NAME}; choose a new or an empty folder for --out")
        save(folder, wanted)
        return dict(wanted)
    found = read(folder)
    _compare(folder, found, wanted)
    return found


def save(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest, all or nothing."""
    write_atomically(folder / NAME, (json.dumps(manifest, indent=1, allow_nan=False) + "\n").encode())


def key(manifest: Mapping[str, Any]) -> str:
    """Return what every batch of the set is marked with."""
    return digest({"settings": manifest["settings"], "versions": manifest["versions"]})


def _made(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        text = "is in the way of a folder; choose another --out or remove it"
        raise NotADirectoryError(errno.ENOTDIR, text, str(folder)) from None


def _compare(folder: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    there, here = found["settings"], json.loads(json.dumps(wanted["settings"]))
    faults = [
        f"{name} is {_short(there.get(name))} there and {_short(here.get(name))} here"
        for name in dict.fromkeys((*there, *here))
        if there.get(name) != here.get(name)
    ]
    if faults:
        more = f", and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise FolderError(
            f"{folder} holds other samples: {'; '.join(faults[:3])}{more}. Choose another --out, or give the settings "
            f"of {NAME}"
        )
    now = wanted["versions"]
    for package, version in found["versions"].items():
        if now.get(package, version) != version:
            raise FolderError(
                f"{folder} was begun with {package} {version}, and this is {now[package]}, which may round "
                f"differently; choose another --out, or install {package} {version}"
            )


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder against a second job, as far as the file system can; the lock dies with the process.

    Raises
    ------
    FolderError
        If another job writes into it.
    """
    try:
        import fcntl
    except ModuleNotFoundError:  # no POSIX: two jobs would do the same work twice, which harms nothing
        yield
        return
    _made(folder)
    with open(folder / ".lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderError(f"another job is writing into {folder}; wait for it, or choose another --out") from None
        except OSError:  # a file system without locks
            pass
        yield
