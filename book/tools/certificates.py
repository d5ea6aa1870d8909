"""The tables of the Certify pages, from the stored certificates."""

from __future__ import annotations

import shlex
from html import escape
from pathlib import Path
from typing import Any

from book.tools import pages
from book.tools.results import stored
from book.tools.show import Raw, Table
from numdiff.certification.certificate import VERDICTS

COLUMNS = ["sampler", "claim", "verdict", "exact start", "as shipped", "alternating", "diagnosis"]


def command(row: dict[str, Any]) -> str:
    """Return what certifies a row again."""
    return f"numdiff certify {shlex.quote(row['sampler'])}"


def cells(row: dict[str, Any]) -> list[Any]:
    """Return a row as the page shows it; below the name stands the command that repeats it."""
    claim = "none" if row["claim"] is None else str(row["claim"])
    kind = f"numdiff-verdict numdiff-{row['verdict'].replace(' ', '-')}"
    verdict = Raw(f'<span class="{kind}">{row["verdict"]}</span>')
    name = escape(row["sampler"].partition(":")[2])
    repeat = f'<span class="numdiff-command">{escape(command(row))}</span>'
    claim += " (weak)" if row["kind"] == "weak" else ""
    return [Raw(f"<code>{name}</code>{repeat}"), claim, verdict, *row["orders"], row["cause"]]


def html(package: str, found: dict[str, Any]) -> str:
    """Return the table of a package, with versions, date and a count of the verdicts."""
    rows = found["rows"]
    counts = {verdict: sum(row["verdict"] == verdict for row in rows) for verdict in VERDICTS}
    said = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    caption = f"{len(rows)} samplers of {package}: {said}"
    head = f"<p>{escape(caption)}. Certified on {found['date']} with {escape(versions)}.</p>"
    body = Table(map(cells, rows), COLUMNS, caption, tools=True)._repr_html_()
    return f'{head}<div class="numdiff-certificates">{body}</div>'


def verdicts() -> str:
    """Return the meaning of the verdicts."""
    return Table(VERDICTS.items(), ["verdict", "meaning"], "Verdicts", tools=False)._repr_html_()


def write(book: Path) -> None:
    """Write a file of HTML for every table."""
    found = stored("certificates")
    for package, one in found.items():
        pages.write(book / "certify" / f"_{package}.html", html(package, one))
    pages.write(book / "certify" / "_verdicts.html", verdicts())
