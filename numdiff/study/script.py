"""One script per figure or table: computed numbers, saved, then drawn from what was saved.

A script of `analysis` gives two functions, and `main` gives it a command line::

    python -m analysis.NAME --out DIR [--fast]

``compute(fast)`` returns plain numbers and strings (nested dicts and lists; NumPy arrays become lists), which are
written to ``NAME.json``. ``draw(numbers)`` makes a figure of them, written as PDF, SVG and PNG, or a table in Markdown
(``NAME.md``), or a pair of both. Every file is written all or nothing, and the same input gives the same bytes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from numdiff._files import write_atomically
from numdiff.study.draw import FORMATS, rendered


def main(
    name: str,
    doc: str,
    compute: Callable[[bool], dict[str, Any]],
    draw: Callable[[dict[str, Any]], Any],
    argv: Sequence[str] | None = None,
) -> list[Path]:
    """Run a script and return the files it wrote.

    Parameters
    ----------
    name
        Stem of the files.
    doc
        The script's docstring; its first line is the help.
    compute
        ``compute(fast)`` returns the numbers.
    draw
        ``draw(numbers)`` returns a figure, a Markdown text, or a figure and a text.
    argv
        Arguments; those of the command line if None.

    Raises
    ------
    OSError
        If the folder or a file cannot be written.
    """
    parser = argparse.ArgumentParser(prog=f"python -m analysis.{name}", description=doc.strip().splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the figure and its numbers")
    parser.add_argument("--fast", action="store_true", help="fewer points: seconds, for a first look")
    options = parser.parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(compute(options.fast), indent=1, default=_plain, allow_nan=False) + "\n"
    files = {"json": text.encode(), **_drawn(draw(json.loads(text)))}
    written = [options.out / f"{name}.{suffix}" for suffix in files]
    for path, data in zip(written, files.values(), strict=True):
        write_atomically(path, data)
        print(path, file=sys.stderr)
    return written


def _drawn(result: Any) -> dict[str, bytes]:
    """Return the files of a figure, of a Markdown text or of both by their suffix."""
    if isinstance(result, tuple):
        return {suffix: data for part in result for suffix, data in _drawn(part).items()}
    if isinstance(result, str):
        return {"md": result.encode()}
    result.draw_without_rendering()
    result.set_layout_engine("none")  # the layout is found once, not once a format
    return {suffix: rendered(result, suffix) for suffix in FORMATS}


def _plain(value: Any) -> Any:
    """Return what JSON lacks as what it has: arrays as lists, exact numbers as text."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    return str(value)
