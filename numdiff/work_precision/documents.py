"""Diagrams as JSON that reads back equal: floats with the digits that give the same bits, see `numdiff.optimize`."""

from __future__ import annotations

import dataclasses
from typing import Any

from numdiff.work_precision.errors import Value
from numdiff.work_precision.record import COSTS, ERRORS, Diagram, LeftOut, Record

FORMAT, VERSION = "numdiff work-precision diagram", 1
_KEYS = tuple(item.name for item in dataclasses.fields(Diagram))


def to_json(diagram: Diagram) -> str:
    """Return a diagram as JSON, a line for every record.

    Raises
    ------
    TypeError
        For settings that JSON cannot hold.
    """
    from numdiff.optimize.documents import dumps, plain

    fields = {name: plain(getattr(diagram, name), name) for name in _KEYS}
    lines = [f'"format": {dumps(FORMAT)}', f'"version": {VERSION}']
    for name, value in fields.items():
        rows = ",\n    ".join(map(dumps, value)) if name in ("records", "left_out") else ""
        lines.append(f"{dumps(name)}: " + (f"[\n    {rows}\n  ]" if rows else dumps(value)))
    return "{\n  " + ",\n  ".join(lines) + "\n}\n"


def read(text: str) -> Diagram:
    """Return the diagram that `Diagram.document` wrote.

    Parameters
    ----------
    text
        JSON.

    Returns
    -------
    Diagram
        Equal to the one that was written.

    Raises
    ------
    TypeError
        If `text` is no string.
    ValueError
        If it is no such document; the message names the place.

    Examples
    --------
    >>> import numdiff as nd
    >>> found = nd.work_precision.diagram({"DDIM": nd.DDIM()}, nd.problems.paths.toys(), nfe=(10,), repeats=0)
    >>> nd.work_precision.read(found.document()) == found
    True
    """
    from numdiff.optimize.documents import numbers, opened

    entries = opened(text, FORMAT, VERSION).entries("format", "version", *_KEYS)
    value: dict[str, Any] = {name: numbers(entries[name]) for name in _KEYS}
    entries["by"].one_of(("nfe", "steps"))
    entries["against"].one_of(tuple(COSTS))
    for name in value["errors"]:
        if name not in ERRORS:
            entries["errors"].fail(f"must be some of {', '.join(ERRORS)}")
    try:
        return Diagram(
            **value
            | {
                "errors": tuple(value["errors"]),
                "numbers": tuple(value["numbers"]),
                "records": tuple(_record(one) for one in value["records"]),
                "floors": _pairs(value["floors"]),
                "left_out": tuple(LeftOut(**one) for one in value["left_out"]),
            }
        )
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"the document's records are not those of a diagram: {error}") from error


def _record(fields: dict[str, Any]) -> Record:
    return Record(**fields | {"tags": tuple(fields["tags"]), "errors": _pairs(fields["errors"])})


def _pairs(errors: dict[str, Any]) -> dict[str, Value]:
    return {name: (value, deviation) for name, (value, deviation) in errors.items()}
