"""Answers, values and sentences as HTML, with LaTeX as MathJax finds it."""

from __future__ import annotations

import re
from html import escape
from typing import Any

from book.tools.show import Raw, Table
from numdiff.answers import Answer
from numdiff.answers.prose import typeset
from numdiff.answers.render import show
from numdiff.symbolic import latex


def answer_html(answer: Answer) -> str:
    """Return an answer as a table with its notes below."""
    values = [line.value for line in answer.lines]
    names = latex.names(values)
    noted = any(line.note for line in answer.lines)
    rows = [
        (Raw(typed(line.label)), Raw(shown(line.value, names)), *((Raw(typed(line.note)),) if noted else ()))
        for line in answer.lines
    ]
    columns = ["quantity", "value", "note"][: 3 if noted else 2]
    notes = [typed(note) for note in answer.notes]
    notes += [f"{span(show(equation).latex)}; {typed(words)}." for equation, words in latex.definitions(values)]
    items = "".join(f"<li>{note}</li>" for note in notes)
    return Table(rows, columns, answer.title)._repr_html_() + (f'<ul class="nd-notes">{items}</ul>' if notes else "")


def shown(x: Any, names: Any = None) -> str:
    """Return a value of an answer as HTML."""
    found = show(x, names)
    return span(found.latex) if found.latex else typed(found.text)


def span(code: str | None) -> str:
    """Return LaTeX as MathJax finds it in HTML."""
    return rf'<span class="math notranslate nohighlight">\({escape(code or "", quote=False)}\)</span>'


def typed(text: str) -> str:
    """Return a sentence as HTML with its mathematics typeset."""
    body = typeset(text, lambda part: escape(part, quote=False).replace("$", "&#36;"))
    return re.sub(r"\$(.+?)\$", lambda found: span(found[1]), body)


def equal(left: str, right: str | None) -> str:
    """Return LaTeX for "left is right", where the right side may begin with a sign of approximation."""
    return f"{left} {right}" if (right or "").startswith(r"\approx") else f"{left} = {right}"
