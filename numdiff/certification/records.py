"""Certificates kept on disk one by one, with the conditions under which they were made, so that a table can go on.

A kept certificate is used again if its conditions are those of today: what was asked (sampler, seed, steps,
patterns, path), the versions of Python and of the packages that compute, and the source code of numdiff and of a
sampler that is no installed package. Anything else, a damaged file too, is made anew.
"""

from __future__ import annotations

import errno
import hashlib
import importlib.machinery
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numdiff
from numdiff.certification.certificate import Certificate
from numdiff.certification.documents import opened, write
from numdiff.provenance import versions

LIBRARIES = ("numpy", "scipy", "torch")
SILENT = ("cli", "plotting", "study", "answers", "testing", "work_precision", "certification/pages.py")
"""Parts of the package that no certificate depends on."""
INSTALLED = {"site-packages", "dist-packages"}


@dataclass(frozen=True)
class Records:
    """A folder with one file for each sampler.

    Parameters
    ----------
    folder
        Where the files are.
    """

    folder: Path

    @classmethod
    def open(cls, folder: str | Path) -> Records:
        """Return the records of a folder, which is made if need be.

        Raises
        ------
        OSError
            If it can be none; the message names it.
        """
        place = Path(folder)
        try:
            place.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            text = "is in the way of a folder; choose another --out or remove it"
            raise NotADirectoryError(errno.ENOTDIR, text, str(place)) from None
        return cls(place)

    def path(self, name: str) -> Path:
        """Return the file of a sampler: its name in letters that every file system takes, and a hash of it."""
        plain = re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-.")[:80]
        return self.folder / f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}.json"

    def keep(self, name: str, certificate: Certificate, conditions: Mapping[str, Any]) -> None:
        """Write a certificate, all or nothing."""
        write(self.path(name), [certificate], conditions)

    def kept(self, name: str, conditions: Mapping[str, Any]) -> Certificate | None:
        """Return the certificate that was made under these conditions; None if there is none that can be read."""
        try:
            found, certificates = opened(self.path(name).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):  # damaged files and other formats are ValueErrors
            return None
        return certificates[0] if found == conditions and len(certificates) == 1 else None


def conditions(spec: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything that decides a certificate, as plain JSON data.

    Parameters
    ----------
    spec
        "package:Name".
    asked
        What was asked about it, as plain JSON data.
    """
    package = spec.partition(":")[0]
    return {"spec": spec, **asked, "versions": _versions(package), "source": [_numdiff(), _source(package)]}


@cache
def _versions(package: str) -> dict[str, str]:
    return versions((*LIBRARIES, package))


@cache
def _numdiff() -> str:
    """Return a hash of numdiff's source code without the parts that are `SILENT`."""
    root = Path(numdiff.__file__).parent
    files = (path for path in root.rglob("*.py") if not path.relative_to(root).as_posix().startswith(SILENT))
    return _hash(root, files)


def _source(package: str) -> str:
    """Return a hash of a module or package that lies anywhere but where packages are installed; "" of all others.

    The version of an installed package stands for its source. What lies elsewhere is being worked on.
    """
    if package.partition(".")[0] == "numdiff":
        return ""
    try:
        found = importlib.machinery.PathFinder.find_spec(package.partition(".")[0], ["", *sys.path])
    except (ImportError, ValueError):
        return ""
    if found is None or not found.has_location or found.origin is None:
        return ""
    file = Path(found.origin)
    if INSTALLED & set(file.parts) or file.is_relative_to(os.path.dirname(os.__file__)):
        return ""
    return _hash(file.parent, file.parent.rglob("*.py") if file.name == "__init__.py" else [file])


def _hash(root: Path, files: Any) -> str:
    found = hashlib.sha256()
    for path in sorted(files):
        found.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()
