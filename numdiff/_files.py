"""Files that are either the old ones or the new ones, never a part.

`write_atomically` writes to a temporary file in the same folder, flushes it to the disk and moves it over the old one;
a move within a file system is atomic (POSIX rename, ``os.replace``). An interrupt leaves the old file and no temporary
one.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whose folder exists, all or nothing.

    Raises
    ------
    OSError
        If the file cannot be written, with `path` and a remedy.
    """
    try:
        _write(path, data)
    except OSError as error:  # under the name that the caller knows, not the temporary one
        text = f"cannot be written ({error.strerror}); choose another place, or free this one"
        raise OSError(error.errno, text, str(path)) from error


def _write(path: Path, data: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp's 0600 would hide results from everybody else
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
