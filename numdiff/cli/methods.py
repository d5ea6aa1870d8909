"""``numdiff methods``: the families, their options and aliases."""

from __future__ import annotations

import argparse
from typing import Any

from numdiff.cli.layout import columns, dump
from numdiff.cli.selection import known_names, split
from numdiff.methods import FAMILIES
from numdiff.methods.registry import family


def run(options: argparse.Namespace) -> None:
    """List all families, or the one that is asked for."""
    names = list(FAMILIES)
    if options.family is not None:
        name = split(options.family)[0]
        family(name)  # refuses an unknown name, with the nearest one
        names = [known_names()[name.lower()]]
    if options.json:
        dump([_entry(name) for name in names])
        return
    rows = [("family", "options", "also called", "what it is"), *(_row(name) for name in names)]
    print(columns(rows))


def _entry(name: str) -> dict[str, Any]:
    found = FAMILIES[name]
    return {"family": name, "summary": found.summary, "options": list(found.options), "aliases": list(found.aliases)}


def _row(name: str) -> tuple[str, str, str, str]:
    found = FAMILIES[name]
    return name, " ".join(found.options) or "-", " ".join(found.aliases) or "-", found.summary
