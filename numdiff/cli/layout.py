"""Text for terminals: aligned columns, and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any


def columns(rows: Iterable[Sequence[str]], gap: int = 2, indent: int = 0) -> str:
    """Return rows with their columns aligned to the left; the last column is not padded."""
    table = [tuple(row) for row in rows]
    widths = [max(len(row[i]) for row in table) for i in range(max(map(len, table), default=0) - 1)]
    lines = (
        (" " * gap).join([*(cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)), row[-1]])
        for row in table
    )
    return "\n".join(" " * indent + line.rstrip() for line in lines)


def dump(value: Any) -> None:
    """Print a value as JSON."""
    print(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))
