"""Python statements: linear combinations, tables, and what is the same in every row of a table.

A term is a pair (coefficient, value) of texts; an empty coefficient is 1, an empty value makes the term a number.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

WIDTH = 100
"""Columns beyond which a statement is written over several lines."""

Term = tuple[str, str]


def folded(rows: Sequence[Sequence[float]], first: Sequence[str]) -> tuple[list[int], list[str]]:
    """Return the columns that change from row to row, and how each column is written: by name, or as its number.

    The first columns have names of their own; the others are c1, c2, ... as far as they change.
    """
    columns, texts, count = [], [], 0
    for k, number in enumerate(rows[0]):
        changes = len({repr(row[k]) for row in rows}) > 1
        columns += [k] * changes
        count += changes and k >= len(first)
        name = first[k] if k < len(first) else f"c{count}"
        texts.append(name if changes else repr(number))
    return columns, texts


def table(name: str, columns: Sequence[str], rows: Sequence[Sequence[float]]) -> str:
    """Return the statement that binds a name to rows of numbers; rows of one number become plain numbers."""
    lines = [f"# {', '.join(columns)} of each step", f"{name} = ("]
    for row in rows:
        text = ", ".join(map(repr, row))
        text = f"{text}," if len(row) == 1 else f"({text}),"
        lines += textwrap.wrap(text, WIDTH + 20, initial_indent=" " * 4, subsequent_indent=" " * 5)
    return "\n".join([*lines, ")"])


def assignment(targets: Sequence[tuple[str, Sequence[Term]]], indent: str) -> list[str]:
    """Return the statement that gives every target its linear combination, all at once; nothing for no target."""
    if not targets:
        return []
    left = f"{indent}{', '.join(name for name, _ in targets)} = "
    sums = [_signed(terms) for _, terms in targets]
    line = left + ", ".join(map("".join, sums))
    if len(line) <= WIDTH:
        return [line]
    if len(sums) == 1:
        return [f"{left}(", *(f"{indent}    {part.strip()}" for part in sums[0]), f"{indent})"]
    lines = [f"{left}("]
    for parts in sums:
        lines += _element(parts, indent + " " * 4)
    return [*lines, f"{indent})"]


def _element(parts: list[str], indent: str) -> list[str]:
    """Return one combination of a tuple, over several lines if it is long."""
    line = f"{indent}{''.join(parts)},"
    if len(line) <= WIDTH:
        return [line]
    return [indent + parts[0], *(f"{indent}{part.strip()}" for part in parts[1:-1]), f"{indent}{parts[-1].strip()},"]


def _signed(terms: Sequence[Term]) -> list[str]:
    """Return the terms with their signs, as in "0.5 * x", " - 0.25 * f"."""
    parts = []
    for k, (coefficient, value) in enumerate(terms):
        minus = coefficient.startswith("-")
        size = coefficient.removeprefix("-")
        body = value if size in ("", "1.0") and value else " * ".join(filter(None, (size, value)))
        sign = ("-" if minus else "") if k == 0 else (" - " if minus else " + ")
        parts.append(sign + body)
    return parts
