"""Levels and tableaus of a run as JSON data that loads back bit for bit; `documents` puts them together."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np

from numdiff.export import values
from numdiff.export.checks import check_level
from numdiff.export.nodes import Node
from numdiff.export.rationals import from_float
from numdiff.level import Level
from numdiff.tableau import Tableau

MATRICES = ("A", "U", "B", "V", "Na", "Nb")
VECTORS = ("a", "b")
LEVEL = tuple(item.name for item in dataclasses.fields(Level))


class Levels:
    """The levels of a run, each written once and known by its number."""

    def __init__(self) -> None:
        self.written: list[dict[str, Any]] = []
        self._numbers: dict[str, int] = {}

    def number(self, level: Level | None, place: str) -> int:
        """Return the number of a level, which is written at most once."""
        if level is None:
            raise ValueError(f"{place} is None; a scheme evaluates at levels")
        written = {name: _write_scalar(getattr(level, name), f"{place}.{name}") for name in LEVEL}
        key = json.dumps(written)
        if key not in self._numbers:
            self._numbers[key] = len(self.written)
            self.written.append(written)
        return self._numbers[key]


def _write_scalar(x: Any, place: str) -> Any:
    """Return a float as a string; integers and other exact numbers of a level as `values` writes them."""
    if isinstance(x, (float, np.floating)):
        try:
            return from_float(float(x))
        except ValueError as error:
            raise ValueError(f"{place} {error}") from None
    if isinstance(x, (str, tuple)):
        raise ValueError(f"{place} {values.refusal(x)}")
    return values.Writer({}).value(x, place)


def _write_entry(x: Any, place: str) -> str:
    """Return an entry of a tableau, which must be a finite float."""
    if type(x) is not float:
        raise ValueError(f"{place} {values.refusal(x)}")
    if x - x != 0:
        raise ValueError(f"{place} is {x}; a tableau needs finite numbers")
    return from_float(x)


def write_tableau(tableau: Tableau, place: str, levels: Levels) -> dict[str, Any]:
    """Return a tableau of floats as JSON data, its levels by number."""
    found: dict[str, Any] = {}
    for name in MATRICES:
        rows = enumerate(getattr(tableau, name))
        found[name] = [[_write_entry(x, f"{place}.{name}[{i}][{j}]") for j, x in enumerate(row)] for i, row in rows]
    for name in VECTORS:
        found[name] = [_write_entry(x, f"{place}.{name}[{i}]") for i, x in enumerate(getattr(tableau, name))]
    target = tableau.target
    if tableau.noises:
        clocks = enumerate(tableau.clocks)
        found["clocks"] = [clock and [_write_scalar(t, f"{place}.clocks[{i}]") for t in clock] for i, clock in clocks]
    return {
        **found,
        "levels": [levels.number(level, f"{place}.levels[{i}]") for i, level in enumerate(tableau.levels)],
        "target": None if target is None else levels.number(target, f"{place}.target"),
        "tags": list(tableau.tags),
    }


def _read_scalar(node: Node) -> Any:
    if isinstance(node.value, str):
        return values.read_float(node, finite=False)
    return values.read(node, {})


def read_level(node: Node) -> Level:
    """Return a level."""
    level = Level(**{name: _read_scalar(entry) for name, entry in node.entries(*LEVEL).items()})
    check_level(level, node)
    return level


def pick(node: Node, levels: list[Level]) -> Level:
    """Return the level of a number."""
    return levels[node.integer(0, len(levels) - 1)]


def read_tableaus(node: Node, levels: list[Level]) -> tuple[Tableau, ...]:
    """Return the tableaus of a run: at least one, all of the same number of registers."""
    tableaus = tuple(_read_tableau(item, levels) for item in node.items())
    if not tableaus or len({tableau.registers for tableau in tableaus}) != 1:
        raise ValueError("tableaus must be one or more, all of the same number of registers")
    return tableaus


def _read_tableau(node: Node, levels: list[Level]) -> Tableau:
    clocks = ("clocks",) if node.has("clocks") else ()
    entries = node.entries(*MATRICES, *VECTORS, *clocks, "levels", "target", "tags")
    read: dict[str, Any] = {
        name: tuple(tuple(map(values.read_float, row.items())) for row in entries[name].items()) for name in MATRICES
    }
    read |= {name: tuple(map(values.read_float, entries[name].items())) for name in VECTORS}
    target, places = entries["target"], entries["levels"].items()
    if len(places) != len(read["A"]):
        entries["levels"].fail(f"must have one entry per stage ({len(read['A'])})")
    try:
        return Tableau(
            **read,
            levels=tuple(pick(item, levels) for item in places),
            target=None if target.value is None else pick(target, levels),
            tags=tuple(item.text() for item in entries["tags"].items()),
            clocks=tuple(map(_read_clock, entries["clocks"].items())) if clocks else (),
        )
    except ValueError as error:
        place = node.place
        raise ValueError(str(error) if str(error).startswith(place) else f"{place}: {error}") from None


def _read_clock(node: Node) -> tuple[Any, ...] | None:
    if node.value is None:
        return None
    clock = tuple(map(_read_scalar, node.items()))
    if len(clock) != 2:
        node.fail("must be null or two times")
    return clock
