"""How a run grows: what start-up steps and stages do to perturbations, and the roots beside the principal one."""

from __future__ import annotations

from typing import Any

from numdiff.answers.answer import Answer, Line, Setting
from numdiff.answers.expressions import measured
from numdiff.answers.noise import mean

MOST_OPEN = 3
"""Stages up to which the step length of an exponential method may stay a symbol."""


def startup(method: Any, setting: Setting) -> Answer:
    """Answer what the first steps of a run, and the stages of one step, do to perturbations."""
    from numdiff.properties import stability

    if setting.h is None and method.kernel and method.stages > MOST_OPEN:
        raise ValueError(
            f"{method} has {method.stages} stages: with the step length open its polynomials take long; give a number "
            "for h, such as h=0.1"
        )
    grown = stability.startup(method, start=setting.start, steps=method.points, h=setting.h)
    lines = [Line(f"`G_{n}(z)`", _shown(p, setting.h)) for n, p in enumerate(grown) if n]
    notes = [
        f'`G_n(z) = X_n/X_0` on `X\' = c X + z X`, equal steps, start "{setting.start}"; taken from the program '
        "itself.",
        "`Q_i(z) = d X_{n+1}/d F_i`: an error of evaluation i reaches the new sample multiplied by Q_i.",
    ]
    try:
        largest = stability.startup_growth(method, start=setting.start, h=setting.h)
        lines += [
            Line(f"`max |G_{g.step}|`", g.value, f"on the stability interval, at `z = {g.at}`") for g in largest[1:]
        ]
    except ValueError as error:
        notes.append(f"No maxima: {error}.")
    inner = enumerate(stability.internal(method, h=setting.h))
    return Answer(
        f"Start-up and internal stability of {method}",
        (*lines, *(Line(f"`Q_{i}(z)`", _shown(q, setting.h)) for i, q in inner)),
        tuple(notes),
    )


def relative(method: Any, setting: Setting) -> Answer:
    """Answer where the parasitic roots stay below the principal one, and what the order star looks like."""
    from numdiff.properties import order, stability

    h = None if setting.h is None else float(setting.h)
    end = stability.relative_interval(method, h=h)
    lines = [
        Line(
            "relative interval", end if h is None else measured(end), "`x*` of `(-x*, 0)`: `|zeta_j| < |zeta_1|` there"
        )
    ]
    notes = [
        "zeta_1 is the principal root, which is `e^{ch}` at `z = 0`; a method with one root has nothing to compare."
    ]
    if method.kernel == 0 and not method.stochastic:
        p = order.certified(method)
        width = _pi_over(p + 1)
        lines.append(Line("sectors of the order star", 2 * (p + 1), f"{p + 1} white, {p + 1} black at the origin"))
        lines.append(Line("width of a sector", width, "the order star shows the order p = " + str(p)))
    return Answer(f"Relative stability and order star of {method}", tuple(lines), (*notes, *mean(method)))


def _shown(p: Any, h: Any) -> Any:
    """Return a polynomial as an expression, in decimals where a step length was put in."""
    import sympy as sp

    return p.as_expr() if h is None else sp.N(p.as_expr(), 15)


def _pi_over(n: int) -> Any:
    import sympy as sp

    return sp.pi / n
