"""What order a run has and what limits it; how an exponential method meets the stiff order conditions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sympy as sp

from numdiff.answers.answer import Answer, Line, Setting
from numdiff.properties import order
from numdiff.properties.order.runs import GRIDS

STEPS = {"uniform": "equal steps", "smooth": "smoothly changing steps", "alternating": "alternating steps"}


def run_order(method: Any, setting: Setting) -> Answer:
    """Return the order of a run with the setting's start and last step, on three kinds of grids."""
    runs = {grid: order.of_run(method, start=setting.start, final=setting.final, grid=grid) for grid in GRIDS}
    lines = [Line(f"order on {STEPS[grid]}", sp.Integer(run.order), run.limiter) for grid, run in runs.items()]
    for grid, run in runs.items():
        if run.constant is not None:
            lines.append(Line(f"leading error on {STEPS[grid]}", run.constant.error, _alone(run.constant)))
    notes = (
        "The order of a run is the least of those of the method, of its weights on the grid, of its start and of its "
        "last step.",
        "Leading errors are computed minus exact on y' = -y, y(0) = 1, at time T: one term of what the start leaves "
        "and one of what every step adds. h is the step, the mean step (of 2/3 h and 4/3 h) or the first step (of h "
        "e^(rho t)).",
    )
    return Answer(f"Order of a run of {method.name}, start {setting.start}", tuple(lines), notes)


def _alone(terms: order.LeadingTerms) -> str:
    """Say where one of the terms is absent."""
    return "the start leaves nothing of this order or below" if terms.k == terms.last == 0 else ""


def stiff_order(method: Any, setting: Setting) -> Answer:
    """Return the stiff order of an exponential method and every condition that was examined."""
    found = order.stiff(method)
    lines = [
        Line("classical order", sp.Integer(found.classical_order), "h -> 0 with the linear part fixed"),
        Line("stiff order", sp.Integer(found.order), "conditions identical in h: no matter how large the linear part"),
        Line("weak stiff order", sp.Integer(found.weak_order), "the last conditions at b_i(0) or psi_p(0) only"),
        *_conditions(found),
    ]
    notes = (
        "psi_m is what the sample misses on f = u^(m-1)/(m-1)!, psi_{m,i} what stage i misses, over h^m; the value of "
        "a condition is what it leaves. J and K are arbitrary matrices, so z1, z2, z3 are independent arguments.",
        "Hochbruck and Ostermann, SIAM J. Numer. Anal. 43 (2005).",
    )
    return Answer(f"Stiff order of {method.name}", tuple(lines), notes)


def _conditions(found: order.StiffOrder) -> Iterator[Line]:
    for condition in found.conditions:
        holds = "does not hold" if condition.holds == "not" else f"holds {condition.holds}"
        yield Line(f"order {condition.order}: {condition.formula}", condition.residual, holds)
