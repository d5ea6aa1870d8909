"""A self-contained HTML page, piece by piece. Images are embedded, and nothing is loaded from outside."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable
from pathlib import Path

from numdiff.study.style import CSS
from numdiff.study.tables import Table

MEDIA = {".svg": "image/svg+xml", ".png": "image/png"}


def plain(text: str) -> str:
    """Return text for HTML: escaped, on one line."""
    return html.escape(" ".join(text.split()))


class Page:
    """A page that is written from top to bottom; figures, tables and sections number themselves.

    Parameters
    ----------
    title
        Title of the page.
    root
        Folder that the names of images refer to.
    """

    def __init__(self, title: str, root: Path) -> None:
        self.title, self.root = title, root
        self.parts: list[str] = []
        self.sections = self.figures = self.tables = 0

    def raw(self, markup: str) -> None:
        """Append HTML as it is."""
        self.parts.append(markup)

    def section(self, title: str) -> None:
        """Begin a numbered section."""
        self.sections += 1
        self.raw(f"<h2>{self.sections}&ensp;{html.escape(title)}</h2>")

    def paragraph(self, sentences: str | Iterable[str]) -> None:
        """Append a paragraph of plain text; nothing for no sentences."""
        text = plain(sentences if isinstance(sentences, str) else " ".join(sentences))
        if text:
            self.raw(f"<p>{text}</p>")

    def table(self, table: Table, note: str = "") -> int:
        """Append a table with its caption above and return its number."""
        self.tables += 1
        caption = f"<b>Table {self.tables}.</b> {plain(table.caption)} {plain(note)}"
        self.raw(f'<div class="wide"><p class="caption">{caption}</p><div class="scroll">{table.html()}</div></div>')
        return self.tables

    def folded(self, summary: str, tables: Iterable[Table]) -> None:
        """Append tables that open on a click."""
        self.raw(f'<details class="wide"><summary>{html.escape(summary)}</summary>')
        for table in tables:
            self.table(table)
        self.raw("</details>")

    def figure(self, name: str, caption: str, alt: str) -> int:
        """Append an image of the root folder, embedded, with its caption below; return its number."""
        self.figures += 1
        path = self.root / name
        data = base64.b64encode(path.read_bytes()).decode()
        image = f'<img alt="{html.escape(alt)}" src="data:{MEDIA[path.suffix]};base64,{data}">'
        caption = f"<b>Figure {self.figures}.</b> {plain(caption)}"
        self.raw(f'<figure class="wide">{image}<figcaption>{caption}</figcaption></figure>')
        return self.figures

    def details(self, summary: str, text: str) -> None:
        """Append preformatted text that opens on a click."""
        self.raw(f"<details><summary>{html.escape(summary)}</summary><pre>{html.escape(text)}</pre></details>")

    def items(self, entries: Iterable[str]) -> None:
        """Append a list of plain texts."""
        self.raw("<ul>" + "".join(f"<li>{plain(entry)}</li>" for entry in entries) + "</ul>")

    def document(self) -> str:
        """Return the whole page."""
        body = "\n".join(self.parts)
        return (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<meta name="generator" content="numdiff study">\n'
            f"<title>{html.escape(self.title)}</title>\n<style>{CSS}</style>\n</head>\n"
            f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
        )
