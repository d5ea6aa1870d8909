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

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, cast

from numdiff.answers.answer import Answer, Line
from numdiff.answers.expressions import APPROXIMATELY, DIGITS, expression, mathml, roots, text
from numdiff.answers.prose import plain, typeset

WIDTH = 100
"""Columns of a text unless told otherwise."""

LABEL = 32
"""Columns of a label beyond which its value begins on the next line."""

LONG = 90
"""Characters of LaTeX beyond which a formula gets a line of its own."""

DASH = "-"

_RELATIONS = {"==": ("=", "="), "!=": ("!=", r"\ne"), "<=": ("<=", r"\le"), ">=": (">=", r"\ge")}
_RELATIONS |= {"<": ("<", "<"), ">": (">", ">")}


@dataclass(frozen=True)
class Shown:
    """A value in two notations: text, and LaTeX without dollar signs (None for a string)."""

    text: str
    latex: str | None = None


# --- one value --------------------------------------------------------------------------------------------------------


def exact(value: Any) -> Any:
    """Return a value as a SymPy object, a string or None; a float becomes a decimal, nan nothing."""
    import numpy as np
    import sympy as sp

    if isinstance(value, (bool, np.bool_)) or value in (sp.true, sp.false):
        return "yes" if value else "no"
    if isinstance(value, (float, np.floating)):
        if math.isnan(value):
            return None
        return sp.Float(float(value)) if math.isfinite(value) else sp.oo * (1 if value > 0 else -1)
    if isinstance(value, sp.Poly):
        return value.as_expr()
    return (
        None
        if value is None or value is sp.nan
        else value
        if isinstance(value, str)
        else sp.sympify(value, strict=True)
    )


def show(value: Any, names: Any = None) -> Shown:
    """Return a value as text and LaTeX; `names` as in `numdiff.answers.expressions.expression`.

    Raises
    ------
    TypeError
        If it is nothing that an answer may hold.
    """
    import sympy as sp

    from numdiff.symbolic import latex

    if isinstance(value, Shown):
        return value
    value = _checked(value)
    if value is None:
        return Shown(DASH)
    if isinstance(value, str):
        return Shown(value)
    if isinstance(value, sp.core.relational.Relational):
        left, right = show(value.lhs, names), show(value.rhs, names)
        plain, math_ = _RELATIONS[value.rel_op]
        return Shown(f"{left.text} {plain} {right.text}", f"{left.latex} {math_} {right.latex}")
    if isinstance(value, sp.Expr):
        return _expression(value, names)
    return Shown(_logic(value), sp.latex(latex.short(value, names)))


def _logic(value: Any) -> str:
    """Return a set, a statement about one, or statements combined, as text."""
    import sympy as sp

    if isinstance(value, sp.Interval):
        ends = f"{show(value.start).text}, {show(value.end).text}"
        return f"{'(' if value.left_open else '['}{ends}{')' if value.right_open else ']'}"
    if isinstance(value, sp.FiniteSet):
        return f"{{{', '.join(show(member).text for member in value)}}}"
    if isinstance(value, sp.Contains):
        return f"{show(value.args[0]).text} in {show(value.args[1]).text}"
    words = {sp.Union: " or ", sp.Or: " or ", sp.And: " and "}.get(type(value))
    return words.join(show(part).text for part in value.args) if words else str(value)


def _checked(value: Any) -> Any:
    try:
        return exact(value)
    except ValueError as error:  # SymPy's SympifyError
        raise TypeError(f"an answer cannot show a {type(value).__name__}: {value!r}") from error


def _expression(value: Any, names: Any) -> Shown:
    import sympy as sp

    from numdiff.symbolic import latex

    if value in (sp.oo, -sp.oo):
        sign = "-" if value == -sp.oo else ""
        return Shown(f"{sign}infinity", rf"{sign}\infty")
    if value.has(sp.Float):
        return _decimal(value)
    plain, formula = text(value, names), latex.math(value, names)
    if not value.is_number or not value.is_real:
        return Shown(plain, formula)
    if plain != str(value):  # a decimal stands for something longer
        return Shown(f"≈ {plain}", formula)
    decimal = f"{float(value):.{DIGITS}g}"
    if value.is_Integer or decimal == plain:
        return Shown(plain, formula)
    whole = value.is_Rational and Fraction(decimal) == Fraction(int(value.p), int(value.q))
    signs = ("=", "=") if whole else ("≈", r"\approx")
    more = "" if formula.startswith(r"\approx") or "e" in decimal else f" {signs[1]} {decimal}"
    return Shown(f"{plain} {signs[0]} {decimal}", formula + more)


def _decimal(value: Any) -> Shown:
    """Return a number that was measured, or a formula with such numbers in it, rounded to `DIGITS` digits."""
    import sympy as sp

    rounded = value.xreplace({number: sp.Float(number, DIGITS) for number in value.atoms(sp.Float)})
    if value.is_number and value.is_real:
        number = sp.Float(value, DIGITS)
        return Shown(f"≈ {float(number):.{DIGITS}g}", rf"\approx {sp.latex(number)}")
    return Shown(str(rounded), sp.latex(rounded))


def record(value: Any, names: Any = None) -> Any:
    """Return a value as plain data: text, exact text, float, LaTeX and MathML of a formula; a string; None."""
    import sympy as sp

    value = _checked(value)
    if value is None or isinstance(value, str):
        return value
    shown = show(value, names)
    if value.is_Float:
        rounded = mathml(sp.Float(value, DIGITS))
        code = f"<math>{APPROXIMATELY}{rounded}</math>"
        return {"text": shown.text, "exact": None, "float": float(value), "latex": shown.latex, "mathml": code}
    real = value.is_real is not False if value.is_number else not value.has(sp.Float)
    if isinstance(value, sp.Expr) and real:
        return expression(value, names)
    if isinstance(value, sp.core.relational.Relational) and real:
        return {**cast(dict[str, Any], expression(value, names)), "text": shown.text, "latex": shown.latex}
    return {"text": shown.text, "exact": sp.sstr(value), "float": None, "latex": shown.latex, "mathml": None}


# --- an answer --------------------------------------------------------------------------------------------------------


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
    """Return an answer as aligned text, lines wrapped at `width` columns."""
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
    """Return an answer as a heading, a table (or steps) with formulas between dollar signs, and its notes as a list."""
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
    """Return an answer as a booktabs table, or as ``align*`` where a formula is long; title and notes around it."""
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
    """Return an answer as plain data for JSON."""
    from numdiff.symbolic import latex

    answer = _plain(answer)
    names = latex.names(line.value for line in answer.lines)
    lines = [{"label": line.label, "value": record(line.value, names), "note": line.note} for line in answer.lines]
    notes = [*answer.notes, *roots(line.value for line in answer.lines)]
    return {"title": answer.title, "lines": lines, "notes": notes}
