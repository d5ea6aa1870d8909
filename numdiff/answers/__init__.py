"""Questions about a method and their answers, ready to be shown; the mathematics lives in the packages below.

`ask` puts a question by its topic, as ``numdiff derive METHOD --topic TOPIC`` does; `numdiff.answers.render` shows the
`Answer` as text, Markdown, LaTeX or JSON. A topic's module is imported when it is asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from numdiff._names import suggest
from numdiff.answers.answer import Answer, Line, Setting

__all__ = ["TOPICS", "Answer", "Line", "Setting", "Topic", "ask", "topic"]


@dataclass(frozen=True)
class Topic:
    """A question.

    Parameters
    ----------
    module, function
        The module below this package, and its function that answers.
    summary
        One line for listings.
    reads
        The fields of `Setting` on which the answer depends.

    Examples
    --------
    >>> from numdiff import answers
    >>> found = answers.topic("intervals")
    >>> found.summary, found.reads
    ('stability polynomial, real and imaginary interval', ('h',))
    """

    module: str
    function: str
    summary: str
    reads: tuple[str, ...] = ()

    def load(self) -> Callable[[Any, Setting], Answer]:
        """Import the function."""
        return getattr(importlib.import_module(f"{__name__}.{self.module}"), self.function)


TOPICS = {
    "coefficients": Topic(
        "coefficients", "coefficients", "weights on equal, geometric and arbitrary steps", ("h", "ratio")
    ),
    "derivation": Topic("coefficients", "derivation", "how the weights come about, step by step", ("h", "ratio")),
    "limits": Topic("coefficients", "limits", "what the weights tend to as h, beta and the step ratios do"),
    "intervals": Topic("stability", "intervals", "stability polynomial, real and imaginary interval", ("h",)),
    "zero-stability": Topic("stability", "zero_stability", "dampings and step ratios at which a run stays bounded"),
    "angle": Topic("stability", "angle", "the angle of A(alpha)-stability"),
    "diffusion-interval": Topic("stability", "diffusion_interval", "stability in the scale of Gaussian data", ("h",)),
    "startup": Topic("growth", "startup", "internal stability of the first steps", ("h", "start")),
    "relative": Topic("growth", "relative", "relative stability and order stars", ("h",)),
    "spectral": Topic(
        "spectral",
        "spectral",
        "gain, W2, KL and moments on Gaussian data, on a schedule",
        ("schedule", "grid", "steps", "start", "final"),
    ),
    "conditions": Topic("error", "conditions", "order conditions by rooted trees"),
    "leading-error": Topic("error", "leading_error", "error constants and leading error terms"),
    "modified-equation": Topic("error", "modified_equation", "the equation that a run solves to one order more"),
    "any-grid": Topic("error", "any_grid", "the order on every grid, with step ratios as symbols"),
    "run-order": Topic("runs", "run_order", "the order of a run, and what limits it", ("start", "final")),
    "stiff-order": Topic("runs", "stiff_order", "order conditions of exponential methods"),
    "design": Topic("design", "design", "parameters that are best in some sense"),
}
"""Every question, in the order in which all of them are asked."""


def topic(name: str) -> Topic:
    """Return the topic of that name.

    Parameters
    ----------
    name
        A key of `TOPICS`.

    Returns
    -------
    Topic

    Raises
    ------
    ValueError
        For an unknown name, with the nearest known one.

    Examples
    --------
    >>> from numdiff import answers
    >>> answers.topic("angle").summary
    'the angle of A(alpha)-stability'
    >>> list(answers.TOPICS)[:4]
    ['coefficients', 'derivation', 'limits', 'intervals']
    """
    if not isinstance(name, str) or name not in TOPICS:
        suggest(name, TOPICS, "topic")
    return TOPICS[name]


def ask(method: Any, question: str, /, **setting: Any) -> Answer:
    """Return the answer to a question about a method.

    Parameters
    ----------
    method
        A method; parameters may be symbols.
    question
        A name of `TOPICS`, such as "intervals".
    **setting
        The fields of `Setting` that matter to the question.

    Returns
    -------
    Answer

    Raises
    ------
    ValueError
        For an unknown topic or field of the setting; where the question has no answer for this method, with the
        reason.

    Examples
    --------
    >>> from sympy import Symbol
    >>> import numdiff as nd
    >>> found = nd.answers.ask(nd.GHVB(2, Symbol("beta", positive=True)), "intervals")
    >>> [(line.label, line.value) for line in found.lines if line.label == "real interval x*"]
    [('real interval x*', 2 - beta)]

    `numdiff.answers.render` shows an answer as text, Markdown, LaTeX or JSON:

    >>> from numdiff.answers import render
    >>> print(render.to_text(nd.answers.ask(nd.AdamsBashforth(2), "angle"), width=70))
    A(alpha)-stability of AB2
      alpha  0
             explicit: a root of the stability polynomial grows without
             bound as |z| does, so the region is bounded
    """
    known = [item.name for item in fields(Setting)]
    for name in setting:
        if name not in known:
            suggest(name, known, "setting")
    asked, name = topic(question).load(), str(getattr(method, "name", method))
    try:
        return asked(method, Setting(**setting))
    except ValueError as error:
        if name in str(error) or str(method) in str(error):
            raise
        raise type(error)(f"{name}: {error}") from error
