"""Designs that dominate GHVB: the same order and error constant with a longer stability interval."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import sympy as sp

import numdiff as nd

DAMPINGS = (Fraction(1, 5), Fraction(2, 5), Fraction(1, 2), Fraction(3, 5), Fraction(4, 5))


def compute() -> dict[str, Any]:
    """Return, for GHVB of order 2 and 3 over the damping, its merits and those of the design that dominates it."""
    return {str(k): [_row(nd.GHVB(k, beta), beta) for beta in DAMPINGS] for k in (2, 3)}


def _row(method: Any, beta: Fraction) -> dict[str, Any]:
    design = nd.design.dominating(method)
    merits = nd.design.merits(method)
    return {
        "beta": str(beta),
        "error constant": str(merits.error_constant),
        "real interval": str(merits.real_interval),
        "dominated by": None if design is None else str(design.real_interval),
        "error constant of that": None if design is None else str(design.error_constant),
        "design": None if design is None else _parameters(design),
    }


def _parameters(design: Any) -> dict[str, Any]:
    """Return what makes the design again: ``nd.FilteredAdams`` of these exact parameters, and its proof."""
    method = design.method
    return {
        "order": method.order,
        "beta": str(method.beta),
        "momentum": str(method.momentum),
        "error": None if method.error is None else str(method.error),
        "weights": [str(sp.radsimp(sp.sympify(w))) for w in method.coefficients()],
        "proof": design.proof,
    }
