"""What the playground's page shows of the stored results: links to try with their errors, and where they come from."""

from __future__ import annotations

from html import escape

from book.tools.results import origin, stored
from book.tools.show import Raw, Table, table

__all__ = ["sources", "tried"]

TITLES = {
    "grid": "third order, steps uniform in time and in log-SNR",
    "optimized": "steps uniform in log-SNR and optimized",
    "push-10": "a strong push, 10 steps, without and with splitting",
    "push-20": "the same, 20 steps",
}


def tried() -> Table:
    """Return the table of links, with the errors that numdiff finds for the two samplers of each."""
    rows = []
    for name, view in stored("playground_claims").items():
        title = escape(TITLES[name])
        cells = []
        for side in "ab":
            steps = view["link"].partition(f"__{side}--")[2].partition("__")[0].rpartition("--")[2]
            cells.append(f"{view[side][steps][0]:.3g}")
        rows.append([Raw(f'<a href="{escape(view["link"], quote=True)}">{title}</a>'), *cells])
    columns = ["open in the playground", "RMS error of A", "RMS error of B"]
    return table(rows, columns, "Views to open, and the errors that numdiff finds there in Python")


class Text(str):
    """Markdown to leave as the last expression of a cell."""

    def _repr_markdown_(self) -> str:
        return str(self)


def sources() -> Text:
    """Return where the table and the optimized steps come from."""
    return Text(f"{origin('playground_claims')}. Optimized steps: {origin('playground_steps')}.")
