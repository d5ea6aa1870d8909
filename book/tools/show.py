"""What notebooks show beside figures: tables that screen readers can read, and that `_static/tables.js` sorts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any


class Table:
    """A table for a notebook or a generated page.

    Parameters
    ----------
    rows
        Rows of cells; a cell is shown by ``str``, a float with four significant digits. A `Raw` cell is HTML already.
    columns
        The headings.
    caption
        What the table says; empty for none.
    tools
        Whether readers can sort and filter it.
    """

    def __init__(
        self, rows: Iterable[Sequence[Any]], columns: Sequence[str], caption: str = "", *, tools: bool = False
    ):
        self.rows, self.columns, self.caption, self.tools = [list(row) for row in rows], list(columns), caption, tools
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"row {row} has {len(row)} cells for {len(self.columns)} columns")

    def _repr_html_(self) -> str:
        """Return the table as HTML."""
        head = "".join(f'<th scope="col">{escape(name)}</th>' for name in self.columns)
        body = "".join(f"<tr>{''.join(f'<td>{cell(value)}</td>' for value in row)}</tr>" for row in self.rows)
        caption = f"<caption>{escape(self.caption)}</caption>" if self.caption else ""
        kind = "numdiff-table numdiff-tools" if self.tools else "numdiff-table"
        label = escape(self.caption or "table", quote=True)
        return (
            f'<div class="numdiff-scroll" tabindex="0" role="region" aria-label="{label}"><table class="table {kind}">'
            f"{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        )

    def __repr__(self) -> str:
        """Return the table as plain text."""
        return "\n".join("\t".join(map(str, row)) for row in [self.columns, *self.rows])


class Raw(str):
    """Text that is HTML already."""


def tex(expression: Any) -> Raw:
    """Return a SymPy expression as a formula in a cell of a table."""
    from sympy import latex

    return Raw(rf'<span class="math notranslate nohighlight">\({escape(latex(expression))}\)</span>')


def cell(value: Any) -> str:
    """Return the HTML of a cell."""
    if isinstance(value, Raw):
        return value
    return escape(f"{value:.4g}" if isinstance(value, float) else str(value))


def table(rows: Iterable[Sequence[Any]], columns: Sequence[str], caption: str = "", *, tools: bool = False) -> Table:
    """Return a table to leave as the last expression of a cell."""
    return Table(rows, columns, caption, tools=tools)
