r"""Residuals of predictor-corrector methods on any grid, as rational functions of the step ratios.

The step predicts x~ at the next node u = 1, evaluates F there and corrects; the memory holds past F. With the symbols
of `numdiff.symbolic.variable_order`, on exact memory (and exact F),

    P_m = mu_m - sum_j U_0j L_j^m,    R_m = mu_m - (B_00 + sum_j V_0j L_j^m)

are what predictor and corrector miss on u^m. F is off by f' times the error of its own predictor, now and in memory. So
if the predictor misses C~ h^{q+1} f^(q), that adds h f' sum_j w_j (C~ h^{q+1} f^(q) of the step that made F_j) to the
local error, w_j the weights of the corrector over h: the order is min(Q, q + 1) where Q is that of the corrector alone.

Source: Hairer, Norsett, Wanner, Solving ODEs I, III.1 and III.8.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import sympy as sp
from sympy.polys.polyerrors import CoercionFailed

from numdiff.formulations import Span
from numdiff.methods.multistep import Point
from numdiff.methods.predictor_corrector import PredictorCorrector
from numdiff.symbolic.polynomials import to_sympy
from numdiff.symbolic.variable_order import Element, Residuals, Symbols, scalar_product


@dataclass(frozen=True)
class Stages:
    """Residuals of a predictor and its corrector, and the corrector's weights on F, F_0, F_1, ..."""

    predictor: Residuals
    corrector: Residuals
    weights: Residuals


@cache
def stage_residuals(method: PredictorCorrector) -> Stages:
    """Return the residuals P_m and R_m, m <= k + 1, of a method of k points.

    Raises
    ------
    ValueError
        For a damping that is not a rational function, where rule "bh1" puts the step for a moment of the kernel, for a
        predictor that was plugged in and for momentum as published.
    """
    k = method.points
    if method.predictor is not None or (method.beta != 1 and method.momentum == "published"):
        raise ValueError(
            f"the order of {method.name} on any grid is proved for its own predictor and momentum only; see "
            "certified for equal steps"
        )
    if method.rule == "bh1" and method.kernel and 2 in (method.memory, method.corrected_points):
        raise ValueError(
            f"{method.name} weighs a slope by the step and not by a moment of its kernel, so that its residuals are no "
            'functions of the moments; its order on any grid is proved for rule="exact" and "bh2"'
        )
    nodes, mu = (sp.symbols(names, cls=sp.Dummy) for names in (f"u1:{k}", f"mu:{k + 2}"))
    symbols = Symbols(tuple(nodes), mu, tuple(sorted(to_sympy(method.beta).free_symbols, key=str)))
    velocities = [] if method.beta == 1 else [symbols.velocity() for _ in range(2)]
    domain = symbols.domain()
    u, moments, *past = ([Element(domain.from_sympy(x)) for x in row] for row in ((sp.S.Zero, *nodes), mu, *velocities))
    try:
        tableau = method._step(Point(Span(1, Fraction(1), moments), tuple(u), k, first=False))
    except CoercionFailed as error:
        raise ValueError(
            f"the order of {method.name} on any grid is proved over the rationals, but its damping is no rational "
            "function; use a Fraction nearby or a symbol"
        ) from error
    one, zero = 1 + 0 * moments[0], 0 * moments[0]
    rows = [[1, 0, *(-x for x in tableau.U[0][1:])], [1, -tableau.B[0][0], *(-x for x in tableau.V[0][1:])]]
    known = [[moment, one, *(_power(x, m) for x in u), *(v[m] for v in past)] for m, moment in enumerate(moments)]
    lifted = [[(zero + x).value for x in row] for row in (*rows, *known)]
    predictor, corrector = (
        symbols.linear(scalar_product((row, values)) for values in lifted[2:]) for row in lifted[:2]
    )
    off = lifted[1][1 : 2 if method.mode == "PECE" else k + 2]  # what PECE remembers is at the corrected samples
    return Stages(predictor, corrector, symbols.linear((-x.numer, x.denom) for x in off))


def _power(x: Any, m: int) -> Any:
    value = 1 + 0 * x
    for _ in range(m):
        value = value * x
    return value
