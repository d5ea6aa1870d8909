r"""LaTeX for the formulas and names of derived schemes, short enough for a table.

SymPy prints a formula; what is added here is judgement about what a table can hold. Exact numbers stay exact while they
are short, algebraic numbers of high degree and long fractions become decimals after an approximation sign, and an
algebraic function that has no formula is named by its degree. Method names such as ``GHVB3(4/5) data/log-snr`` or
``HB(AB2, beta)`` become text with the Greek letters of their symbols.
"""

from __future__ import annotations

import re
from typing import Any

import sympy as sp

from numdiff.symbolic.intervals import CriticalRoot
from numdiff.symbolic.polynomials import to_sympy

LONGEST = 14
"""Digits in numerator and denominator together beyond which a fraction is shown as a decimal."""

DIGITS = 6
"""Significant digits of a decimal."""

_SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_GREEK = ("alpha", "beta", "gamma", "delta", "eta", "theta", "kappa", "lambda", "mu", "rho", "sigma", "tau")


def math(value: Any) -> str:
    """Return a number or formula as LaTeX, without dollar signs; a dash for None and for nan.

    Raises
    ------
    TypeError
        If `value` is no number or SymPy expression.
    """
    if value is None or value is sp.nan:
        return "-"
    expression = to_sympy(value, "value")
    if expression.is_number:
        return _number(expression)
    short = {
        f: sp.Symbol(rf"\operatorname{{root}}_{{{f.args[0]}}}(P_{{{_degree(f)}}})")
        for f in expression.atoms(CriticalRoot)
    }
    return str(sp.latex(expression.xreplace(short)))


def text(name: str) -> str:
    """Return a name as LaTeX text, special characters escaped and Greek names in mathematics."""
    escaped = "".join(_SPECIAL.get(c, "\\" + c if c in "&%$#_{}" else c) for c in name)
    return re.sub(rf"\b({'|'.join(_GREEK)})\b", r"$\\\1$", escaped)


def _number(expression: sp.Expr) -> str:
    if expression.is_Rational:
        short = len(str(expression.p)) + len(str(expression.q)) <= LONGEST
    else:
        short = not expression.has(sp.CRootOf) and sp.count_ops(expression) <= LONGEST
    return str(sp.latex(expression)) if short else rf"\approx {sp.latex(sp.N(expression, DIGITS))}"


def _degree(root: CriticalRoot) -> int:
    polynomial = root.args[1]
    return int(sp.degree(polynomial.expr, polynomial.variables[0]))
