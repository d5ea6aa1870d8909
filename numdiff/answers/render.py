"""Answers as text for terminals, Markdown, LaTeX and plain data for JSON.

A value may be a SymPy expression, an equation or inequality, an exact number, a decimal, a short string or None.
Formulas are printed by `numdiff.answers.expressions` and `numdiff.symbolic.latex`, sentences by
`numdiff.answers.prose`; what is added here is how lines are laid out, what stands beside an exact number, that is its
decimal value, after "=" where that is all of it and after an approximation sign where it is not, and behind the notes
the polynomials whose zeros have a name in the formulas.

In text, long lines are wrapped at spaces under their own column. In Markdown formulas stand between dollar signs in a
table. In LaTeX short answers are a table (booktabs) and long formulas an ``align*`` (amsmath), one formula a line.

A line without a label belongs to the one above it. An answer with such lines is a text in steps: each step has its
label as a heading, then its note, then its formulas.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from numdiff.answers.answer import Answer, Line
from numdiff.answers.expressions import roots
from numdiff.answers.prose import plain, typeset
from numdiff.answers.shown import Shown, exact, record, show

__all__ = ["Shown", "exact", "record", "show", "to_data", "to_latex", "to_markdown", "to_text"]

WIDTH = 100
"""Columns of a text unless told otherwise."""

LABEL = 32
"""Columns of a label beyond which its value begins on the next line."""

LONG = 90
"""Characters of LaTeX beyond which a formula gets a line of its own."""


def _steps(answer: Answer) -> list[list[Line]]:
    """Return the lines in groups that begin with a label; no groups where every line has one."""
    if all(line.label for line in answer.lines):
        return []
    groups: list[list[Line]] = []
    for line in answer.lines:
        if line.label or not groups:
            groups.append([])
        groups[-1].append(line)
    return groups


def _formulas(step: list[Line]) -> list[Line]:
    """Return the lines of a step without the note that stands above them."""
    return [replace(step[0], note=""), *step[1:]]


def _typeset(answer: Answer) -> tuple[Answer, list[tuple[Shown, str]]]:
    """Return an answer with its values as `Shown`, and equations that define the names in them, with words on each."""
    from numdiff.symbolic import latex

    values = [line.value for line in answer.lines]
    names = latex.names(values)
    lines = tuple(replace(line, value=show(line.value, names)) for line in answer.lines)
    return replace(answer, lines=lines), [(show(equation), words) for equation, words in latex.definitions(values)]


def _plain(answer: Answer) -> Answer:
    """Return an answer without the marks around the mathematics in its sentences."""
    lines = tuple(replace(line, label=plain(line.label), note=plain(line.note)) for line in answer.lines)
    return Answer(plain(answer.title), lines, tuple(map(plain, answer.notes)))


def to_text(answer: Answer, width: int = WIDTH) -> str:
    """Return an answer as aligned text, lines wrapped at `width` columns.

    Parameters
    ----------
    answer
        What `numdiff.answers.ask` returned.
    width
        Columns.

    Returns
    -------
    str

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.answers import render
    >>> print(render.to_text(nd.answers.ask(nd.Heun(), "angle"), width=70))
    A(alpha)-stability of Heun
      alpha  0
             explicit: a root of the stability polynomial grows without
             bound as |z| does, so the region is bounded
    """
    answer, definitions = _typeset(_plain(answer))
    lines = [answer.title]
    labels = [len(line.label) for line in answer.lines if len(line.label) <= LABEL]
    column = max(labels, default=0) + 4
    for step in (steps := _steps(answer)):
        lines.append(f"  {step[0].label}")
        lines += _wrapped(step[0].note, " " * 4, " " * 4, width) if step[0].note else []
        lines += [part for line in _formulas(step) for part in _beside(line, " " * 8, " " * 8, width)]
    for line in () if steps else answer.lines:
        label, indent = f"  {line.label}", " " * column
        first, head = (label.ljust(column), []) if len(label) + 2 <= column else (indent, [label])
        lines += head + _beside(line, first, indent, width)
    for note in (*answer.notes, *(f"{equation.text}; {plain(words)}." for equation, words in definitions)):
        lines += _wrapped(note, "", "", width)
    return "\n".join(line.rstrip() for line in lines)


def _beside(line: Line, first: str, indent: str, width: int) -> list[str]:
    """Return a value behind `first`, with its note beside it or, where there is no room, below it."""
    body = _wrapped(show(line.value).text, first, indent, width)
    if not line.note:
        return body
    if len(body) == 1 and len(body[0]) + 2 + len(line.note) <= width:
        return [f"{body[0]}  {line.note}"]
    return body + _wrapped(line.note, indent, indent, width)


def _wrapped(body: str, first: str, indent: str, width: int) -> list[str]:
    options: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False}
    room = max(width, len(indent) + 40)
    glued = body.replace(" ...", "\N{NO-BREAK SPACE}...")  # no line begins with dots
    lines = textwrap.wrap(glued, room, initial_indent=first, subsequent_indent=indent, **options)
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines] or [first]


def to_markdown(answer: Answer) -> str:
    r"""Return an answer as a heading, a table (or steps) with formulas between dollar signs, and its notes as a list.

    Parameters
    ----------
    answer
        What `numdiff.answers.ask` returned.

    Returns
    -------
    str

    Examples
    --------
    >>> from sympy import Rational
    >>> from numdiff.answers import Answer, Line, render
    >>> print(render.to_markdown(Answer("AB2", (Line("error constant", Rational(5, 12)),))).splitlines()[-1])
    | error constant | $\frac{5}{12} \approx 0.416667$ |
    """
    answer, definitions = _typeset(answer)
    steps = _steps(answer)
    body = [part for step in steps for part in _markdown_step(step)] if steps else _markdown_table(answer.lines)
    notes = [f"- {_in_markdown(note)}" for note in answer.notes]
    notes += [f"- ${equation.latex}$; {_in_markdown(words)}." for equation, words in definitions]
    return (
        "\n".join([f"### {_in_markdown(answer.title)}", "", *body, *([""] if notes and not steps else []), *notes])
        + "\n"
    )


def _markdown_table(lines: Sequence[Line]) -> list[str]:
    noted = any(line.note for line in lines)
    rows = [["quantity", "value", "note"], [":--"] * 3]
    rows += [[_in_markdown(line.label), _cell(line.value), _in_markdown(line.note)] for line in lines]
    return [f"| {' | '.join(row if noted else row[:2])} |" for row in rows]


def _markdown_step(step: list[Line]) -> list[str]:
    head = f"**{_in_markdown(step[0].label)}.** {_in_markdown(step[0].note)}".rstrip()
    items = [f"- {_cell(line.value)} {_in_markdown(line.note)}".rstrip() for line in _formulas(step)]
    return [head, "", *items, ""]


def _cell(value: Any) -> str:
    shown = show(value)
    formula = shown.latex and shown.latex.replace("|", r"\vert ")  # a bar would end the cell
    return f"${formula}$" if formula else _in_markdown(shown.text)


def _in_markdown(body: str) -> str:
    return typeset(body, lambda text: "".join(f"\\{c}" if c in "\\|*<$" else c for c in text))


def to_latex(answer: Answer) -> str:
    r"""Return an answer as a booktabs table, or as ``align*`` where a formula is long; title and notes around it.

    Parameters
    ----------
    answer
        What `numdiff.answers.ask` returned.

    Returns
    -------
    str
        A part of a document with the packages amsmath and booktabs.

    Examples
    --------
    >>> from sympy import Rational
    >>> from numdiff.answers import Answer, Line, render
    >>> print(render.to_latex(Answer("AB2", (Line("error constant", Rational(5, 12)),))).splitlines()[5])
    error constant & $\frac{5}{12} \approx 0.416667$ \\
    """
    answer, definitions = _typeset(answer)
    shown = [(line, show(line.value)) for line in answer.lines]
    if steps := _steps(answer):
        body = [part for step in steps for part in _latex_step(step)]
    else:
        body = _align(shown) if any(len(value.latex or "") > LONG for _, value in shown) else _tabular(shown)
    notes = [rf"\par {_in_latex(note)}" for note in answer.notes]
    notes += [rf"\par ${equation.latex}$; {_in_latex(words)}." for equation, words in definitions]
    return "\n".join([rf"\paragraph{{{_in_latex(answer.title)}}}", *body, *notes]) + "\n"


def _latex_step(step: list[Line]) -> list[str]:
    head = rf"\subparagraph{{{_in_latex(step[0].label)}.}} {_in_latex(step[0].note)}".rstrip()
    return [head, *_align([(replace(line, label=""), show(line.value)) for line in _formulas(step)])]


def _tabular(rows: Sequence[tuple[Line, Shown]]) -> list[str]:
    noted = any(line.note for line, _ in rows)
    head = ["quantity", "value", "note"] if noted else ["quantity", "value"]
    lines = [
        rf"\begin{{tabular}}{{ll{'p{6cm}' if noted else ''}}}",
        r"\toprule",
        " & ".join(head) + r" \\",
        r"\midrule",
    ]
    for line, value in rows:
        cell = _in_latex(value.text) if value.latex is None else f"${value.latex}$"
        lines.append(" & ".join([_in_latex(line.label), cell, *([_in_latex(line.note)] if noted else [])]) + r" \\")
    return [*lines, r"\bottomrule", r"\end{tabular}"]


def _align(rows: Sequence[tuple[Line, Shown]]) -> list[str]:
    lines = []
    for line, value in rows:
        cell = rf"\text{{{_in_latex(value.text)}}}" if value.latex is None else value.latex
        label = rf"\text{{{_in_latex(line.label)}:}} \quad " if line.label else ""
        lines.append(f"  {label}& {cell}")
        if line.note:
            lines[-1] += rf" \\ & \parbox{{0.7\linewidth}}{{\small {_in_latex(line.note)}}}"
    return [r"\begin{align*}", " \\\\\n".join(lines), r"\end{align*}"]


_SIGNS = {"≈": r"\approx", "≤": r"\le", "≥": r"\ge", "∞": r"\infty", "±": r"\pm", "√": r"\surd", "→": r"\to"}
_SIGNS |= {"\N{MINUS SIGN}": "-", "<": "<", ">": ">", "|": "|"}  # the last three are other signs in old text fonts


def _in_latex(body: str) -> str:
    from numdiff.symbolic import latex

    def escaped(text: str) -> str:
        return "".join(f"${_SIGNS[c]}$" if c in _SIGNS else c for c in latex.text(text.replace("->", "→")))

    return typeset(body, escaped)


def to_data(answer: Answer) -> dict[str, Any]:
    """Return an answer as plain data for JSON.

    Examples
    --------
    >>> from sympy import Rational
    >>> from numdiff.answers import Answer, Line, render
    >>> data = render.to_data(Answer("AB2", (Line("error constant", Rational(5, 12)),)))
    >>> data["lines"][0]["value"]["exact"]
    '5/12'
    """
    from numdiff.symbolic import latex

    answer = _plain(answer)
    names = latex.names(line.value for line in answer.lines)
    lines = [{"label": line.label, "value": record(line.value, names), "note": line.note} for line in answer.lines]
    notes = [*answer.notes, *roots(line.value for line in answer.lines)]
    return {"title": answer.title, "lines": lines, "notes": notes}
