"""What an answer is: labelled exact expressions and sentences, to be shown as text, Markdown, LaTeX or JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Line:
    """One labelled result.

    Parameters
    ----------
    label
        What it is, a few words: "weight 0", "real interval", "step 2: what the filter does to u^m".
    value
        A SymPy expression (an equation too), an exact number, a short string, or None where the method has no such
        thing.
    note
        A sentence beside it: what the value stands for, or why there is none.

    Examples
    --------
    >>> from sympy import Rational
    >>> import numdiff as nd
    >>> from numdiff.answers import render
    >>> line = nd.answers.Line("error constant", Rational(5, 12), "of h^3 x'''")
    >>> print(render.to_text(nd.answers.Answer("AB2", (line,))))
    AB2
      error constant  5/12 ≈ 0.416667  of h^3 x'''
    """

    label: str
    value: Any
    note: str = ""


@dataclass(frozen=True)
class Answer:
    """The answer to one question about one method.

    Parameters
    ----------
    title
        The heading.
    lines
        The results, in reading order.
    notes
        Sentences after them: conventions, what limits the result, sources.

    Examples
    --------
    >>> import numdiff as nd
    >>> found = nd.answers.ask(nd.AdamsBashforth(2), "coefficients")
    >>> found.title
    'Coefficients of AB2'
    >>> [(line.label, line.value) for line in found.lines[:2]]
    [('weight 0', 3/2), ('weight 1', -1/2)]
    """

    title: str
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Setting:
    """What a question may refer to besides the method.

    Parameters
    ----------
    h
        Step length of exponential methods, exact; None keeps the symbol.
    ratio
        Each step over the one before it: exact, or a symbol.
    start, final
        As in `Method.discretize`.
    schedule, grid, steps
        Noise schedule, name of its time grid and number of steps, for questions about a run.

    Examples
    --------
    What matters to a question is given to `numdiff.answers.ask` by its name, such as the ratio of steps:

    >>> import numdiff as nd
    >>> [nd.answers.ask(nd.AdamsBashforth(2), "coefficients", ratio=r).lines[0].value for r in (1, 2)]
    [3/2, 2]
    """

    h: Any = None
    ratio: Any = 1
    start: str = "lower"
    final: str | None = None
    schedule: Any = field(default=None)
    grid: str = "log-snr"
    steps: int = 10
