"""Stored results: what takes too long for a page is computed once, kept with its provenance, and read by the pages.

    python -m book.tools.results            # the names, with when and where they were computed
    python -m book.tools.results NAME ...   # compute these anew; --all: every one

A computation is a module of `book.computed` with a function ``compute() -> dict`` of plain JSON data. Its file,
``book/results/NAME.json``, holds the values, the record of what computed them (`numdiff.provenance`) and the command.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
import time
from collections.abc import Iterable
from importlib import import_module
from typing import Any

from book.tools.pages import BOOK
from numdiff import provenance
from numdiff._files import write_atomically

RESULTS = BOOK / "results"


def names() -> list[str]:
    """Return the names of the computations."""
    return sorted(path.stem for path in (BOOK / "computed").glob("*.py") if not path.stem.startswith("_"))


def stored(name: str) -> dict[str, Any]:
    """Return the values of a stored result; raise ``ValueError``, with the command that makes it, if there is none."""
    return record(name)["values"]


def record(name: str) -> dict[str, Any]:
    """Return a stored result whole: values, command, seconds and environment."""
    path = RESULTS / f"{name}.json"
    if not path.exists():
        raise ValueError(f"there is no stored result {name!r}; make it: python -m book.tools.results {name}")
    return json.loads(path.read_text())


def origin(name: str) -> str:
    """Return a sentence that says what computed a stored result and the command that repeats it."""
    found = record(name)
    versions = ", ".join(f"{key} {value}" for key, value in found["environment"]["versions"].items())
    where = f"on a {found['environment']['device']} ({versions})"
    return f"Computed in {found['seconds']:.0f} s {where}: `{found['command']}`"


def recompute(wanted: Iterable[str] | None = None) -> None:
    """Compute results anew, all of them unless told which."""
    for name in names() if wanted is None else wanted:
        if name not in names():
            raise ValueError(f"there is no computation {name!r}; there are {', '.join(names())}")
        start = time.perf_counter()
        values = import_module(f"book.computed.{name}").compute()
        document = {
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "command": f"python -m book.tools.results {name}",
            "seconds": round(time.perf_counter() - start, 1),
            "environment": provenance.environment(),
            "values": values,
        }
        RESULTS.mkdir(exist_ok=True)
        write_atomically(RESULTS / f"{name}.json", (json.dumps(document, indent=1) + "\n").encode())
        print(f"{name}: {document['seconds']} s", flush=True)


def main(arguments: list[str] | None = None) -> int:
    """List or recompute as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m book.tools.results", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--all", action="store_true", help="compute every one anew")
    chosen = parser.parse_args(arguments)
    if chosen.all or chosen.names:
        recompute(None if chosen.all else chosen.names)
    else:
        for name in names():
            print(f"{name}: {origin(name) if (RESULTS / f'{name}.json').exists() else 'not computed yet'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
