"""``numdiff derive``: everything that follows from a method's definition, exactly."""

from __future__ import annotations

import argparse
from typing import Any

from numdiff.cli.layout import columns, dump
from numdiff.cli.selection import chosen
from numdiff.cli.values import symbolic
from numdiff.study.derivation import derive, record
from numdiff.study.tables import Cell, Table, formula

MEANING_OF_Z = (
    "z = h d, where X' = c X + d X in X = x/kappa: c is what the exponential step of length h solves exactly, and d X "
    "the linear model's prediction; without an exponential (c = 0), z = h d is the usual h times lambda"
)
"""What the stability polynomial of an exponential method is a polynomial in."""


def run(options: argparse.Namespace) -> None:
    """Derive the method and print it in the form that is asked for."""
    ratio = 1 if options.ratio is None else symbolic(options.ratio)
    method = chosen(options)
    found = record(derive(method, h=options.step, ratio=ratio))
    if options.json:
        dump(found)
    elif options.markdown or options.latex:
        table = _table(found)
        print(table.latex() if options.latex else table.markdown(), end="")
    else:
        print(_text(found, method.kernel != 0))


def _lines(found: dict[str, Any]) -> list[tuple[str, dict[str, Any] | None]]:
    """Return (heading, expression) of everything but names and orders."""
    weights = [(f"weight {j}", w) for j, w in enumerate(found["weights"])]
    keys = ("error_constant", "real_interval", "imaginary_interval", "polynomial")
    return [*weights, *((key.replace("_", " "), found[key]) for key in keys)]


def _text(found: dict[str, Any], exponential: bool) -> str:
    order = str(found["order"])
    if found["order"] != found["claimed_order"]:
        order += f" (claimed: {found['claimed_order']})"
    rows = [("certified order", order), *((name, shown(name, value)) for name, value in _lines(found))]
    notes = [f"no {note}" for note in found["notes"]]
    notes += [MEANING_OF_Z] if exponential else []
    return "\n".join([f"{found['name']}  [{found['reference']}]", columns(rows, indent=2), *notes])


def shown(name: str, value: dict[str, Any] | None) -> str:
    """Return an expression with what it stands for, and its decimal value where it has one."""
    if value is None:
        return "-"
    ends = {"real interval": "(-x, 0), x ", "imaginary interval": "(-i y, i y), y "}.get(name, "")
    equals = "= " if ends else ""
    if value["float"] is None:
        return f"{ends}{equals}{value['text']}"
    if value["text"] != value["exact"]:  # a decimal stands for something longer, or for what has no exact form
        return f"{ends}≈ {value['text']}"
    decimal = f"{value['float']:.6g}"
    return f"{ends}{equals}{value['text']}" + (f" = {decimal}" if decimal != value["text"] else "")


def _table(found: dict[str, Any]) -> Table:
    rows: list[list[str | Cell]] = [["certified order", str(found["order"])]]
    rows += [[name, formula(value)] for name, value in _lines(found)]
    return Table(f"{found['name']}, derived", ("quantity", "value"), rows, "ll")
