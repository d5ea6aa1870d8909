"""Tables that can be printed as Markdown, LaTeX and HTML, with numbers aligned to the right.

A cell is text, or a `Cell` that says how it looks in each of the three; plain text is escaped where that is needed.
Rules are booktabs': one above, one below the head, one below; groups of columns carry a heading and a thin rule of
their own.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """A cell: its text, its LaTeX and HTML where they differ from the escaped text, and whether it is set in bold."""

    text: str
    latex: str | None = None
    html: str | None = None
    bold: bool = False

    def in_markdown(self) -> str:
        """Return the cell for Markdown."""
        text = self.text.replace("|", "\\|")
        return f"**{text}**" if self.bold else text

    def in_latex(self) -> str:
        """Return the cell for LaTeX."""
        from numdiff.symbolic.latex import text

        body = text(self.text) if self.latex is None else self.latex
        return rf"\textbf{{{body}}}" if self.bold else body

    def in_html(self) -> str:
        """Return the cell for HTML."""
        body = html.escape(self.text) if self.html is None else self.html
        return f"<b>{body}</b>" if self.bold else body


@dataclass(frozen=True)
class Table:
    """A table.

    Parameters
    ----------
    caption
        What it shows.
    head
        Column headings.
    rows
        Cells; text stands for a plain cell.
    align
        One letter a column: l, r, c, or w for text that may run over several lines.
    groups
        Pairs (heading, number of columns) over the head, covering all columns, or nothing.
    """

    caption: str
    head: Sequence[str | Cell]
    rows: Sequence[Sequence[str | Cell]]
    align: str
    groups: Sequence[tuple[str, int]] = ()

    def __post_init__(self) -> None:
        """Check the shape."""
        wide = len(self.head)
        if len(self.align) != wide or any(len(row) != wide for row in self.rows):
            raise ValueError(f"table {self.caption!r} needs {wide} cells in every row and letters in align")
        if self.groups and sum(span for _, span in self.groups) != wide:
            raise ValueError(f"the groups of table {self.caption!r} must cover its {wide} columns")

    def markdown(self) -> str:
        """Return the table in Markdown; groups are written into the headings."""
        names = [_cell(c).in_markdown() for c in self.head]
        if self.groups:
            over = [title for title, span in self.groups for _ in range(span)]
            names = [f"{a} {b}".strip() for a, b in zip(over, names, strict=True)]
        rules = [{"l": ":--", "r": "--:", "c": ":-:", "w": ":--"}[a] for a in self.align]
        lines = [names, rules, *([_cell(c).in_markdown() for c in row] for row in self.rows)]
        return f"{self.caption}\n\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"

    def latex(self) -> str:
        """Return the table as a LaTeX ``tabular`` for the booktabs package, the caption as a comment."""
        align = self.align.replace("w", "p{4cm}")
        lines = [f"% {self.caption}", rf"\begin{{tabular}}{{{align}}}", r"\toprule"]
        if self.groups:
            over = [rf"\multicolumn{{{span}}}{{c}}{{{Cell(title).in_latex()}}}" for title, span in self.groups]
            lines += [" & ".join(over) + r" \\", *self._group_rules()]
        lines += [" & ".join(_cell(c).in_latex() for c in self.head) + r" \\", r"\midrule"]
        lines += [" & ".join(_cell(c).in_latex() for c in row) + r" \\" for row in self.rows]
        return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"

    def _group_rules(self) -> list[str]:
        rules, first = [], 1
        for title, span in self.groups:
            if title:
                rules.append(rf"\cmidrule(lr){{{first}-{first + span - 1}}}")
            first += span
        return rules

    def html(self) -> str:
        """Return the table as an HTML ``table`` without its caption."""
        dense = ' class="dense"' if len(self.head) > DENSE else ""
        parts = [f"<table{dense}>", "<thead>"]
        if self.groups:
            over = "".join(
                f'<th colspan="{span}" class="{"group" if title else ""}" scope="colgroup">{html.escape(title)}</th>'
                for title, span in self.groups
            )
            parts.append(f"<tr>{over}</tr>")
        parts += [self._row(self.head, "th"), "</thead>", "<tbody>", *(self._row(row, "td") for row in self.rows)]
        return "\n".join([*parts, "</tbody>", "</table>"])

    def _row(self, cells: Sequence[str | Cell], tag: str) -> str:
        scope = ' scope="col"' if tag == "th" else ""
        pairs = zip(self.align, cells, strict=True)
        return "<tr>" + "".join(f'<{tag} class="{a}"{scope}>{_cell(c).in_html()}</{tag}>' for a, c in pairs) + "</tr>"


def _cell(cell: str | Cell) -> Cell:
    return Cell(cell) if isinstance(cell, str) else cell


DENSE = 10
"""Columns from which a table is set smaller."""

DASH = Cell("\N{EN DASH}", latex="--")


def formula(value: dict[str, str] | None) -> Cell:
    """Return the cell of an expression that `numdiff.answers.expressions.expression` wrote down; a dash for None."""
    return DASH if value is None else Cell(value["text"], latex=f"${value['latex']}$", html=value["mathml"])


def number(value: float | None, digits: int = 3, *, bold: bool = False) -> Cell:
    """Return the cell of a number with so many significant digits; a dash for None."""
    if value is None:
        return DASH
    text = significant(value, digits)
    mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
    power = rf"${mantissa} \cdot 10^{{{int(exponent)}}}$" if "10" in text and not text.isascii() else None
    return Cell(text, latex=power, bold=bold)


def significant(value: float, digits: int = 3) -> str:
    """Return a number with so many significant digits, with a power of ten where it would get long.

    Parameters
    ----------
    value
        The number.
    digits
        How many digits.

    Returns
    -------
    str
        For a table.

    Examples
    --------
    >>> from numdiff.study.summaries import significant
    >>> [significant(value) for value in (0.0012345, 12.0, 3.0e-7)]
    ['0.00123', '12.0', '3.00×10⁻⁷']
    """
    if value == 0:
        return "0"
    mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
    power = int(exponent)
    if not -4 <= power < 5:
        return f"{mantissa}\N{MULTIPLICATION SIGN}10" + str(power).translate(_RAISED)
    return f"{value:.{max(digits - 1 - power, 0)}f}"


_RAISED = str.maketrans("0123456789-", "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u207b")
