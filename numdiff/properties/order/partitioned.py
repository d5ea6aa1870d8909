r"""Orders of methods with two fields, exactly.

For y' = e(y, s) + g(y, s) and an additive Runge-Kutta method, a tableau with one register whose stages are tagged by
field, with b^[i] the weights of the stages of field i and c^[j]_k = sum_l A_kl over the stages l of field j,

    order 1    sum b^[i] = 1                          for all fields i
    order 2    sum_k b^[i]_k c^[j]_k = 1/2            for all pairs of fields i, j

and, where the fields depend on s, sum_k b^[i]_k c_k = 1/2 with c_k the fractions of the step at which stages are.

A method with memory is put to the scalar test: the root zeta of pi(zeta, z, w) that is 1 at z = w = 0 must be e^{z+w}
to the order. A term in which they differ proves that the order is no higher.

Source: Araujo, Murua, Sanz-Serna, Symplectic methods based on decompositions, SIAM J. Numer. Anal. 34 (1997);
Hairer, Lubich, Wanner, Geometric Numerical Integration, III.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import sympy as sp

from numdiff.properties.stability.split import W, split_polynomial
from numdiff.symbolic.polynomials import ZETA, Z, to_sympy
from numdiff.symbolic.steady import steady


def additive_residuals(method: Any, nodes: Sequence[Any] | None = None) -> dict[tuple[str, ...], sp.Expr]:
    """Return what is left of every condition up to order 2 of an additive Runge-Kutta method, by fields.

    Parameters
    ----------
    method
        A method, or a steady `Tableau` of step length 1, with one register.
    nodes
        Fractions c of the step at which its stages are, for fields that depend on the level.

    Returns
    -------
    dict
        Under (i,) and (i, j) the residuals of the conditions above, under (i, "level") those of the nodes; all zero for
        order 2.

    Raises
    ------
    ValueError
        For a method with memory.
    """
    tableau = steady(method)
    if tableau.registers != 1:
        raise ValueError(f"{method} has memory; additive conditions are for one-step methods, use principal_defect")
    s, tags, half = tableau.stages, tableau.tags, sp.Rational(1, 2)
    A = [[to_sympy(x) for x in row] for row in tableau.A]
    b = [to_sympy(x) for x in tableau.B[0]]
    fields = sorted(set(tags))
    mine = {tag: [k for k in range(s) if tags[k] == tag] for tag in fields}
    found: dict[tuple[str, ...], sp.Expr] = {(i,): sum(b[k] for k in mine[i]) - 1 for i in fields}
    for i, j in product(fields, fields):
        found[i, j] = sum(b[k] * A[k][m] for k in mine[i] for m in mine[j]) - half
    if nodes is not None:
        c = [to_sympy(x) for x in nodes]
        found |= {(i, "level"): sum(b[k] * c[k] for k in mine[i]) - half for i in fields}
    return found


def principal_defect(method: Any, highest: int = 4) -> tuple[int, sp.Expr]:
    """Return (p, D): the principal root is e^{z+w} + D(z, w) + higher, D homogeneous of degree p + 1 and not zero.

    The order of the method is p at most. For methods of order 1 at least.

    Parameters
    ----------
    method
        A method of kernel exponent 0, or its steady `Tableau`.
    highest
        Degree at which to stop; then D is 0.
    """
    pi, t = split_polynomial(method), sp.Symbol("t")
    scaled = sp.expand(pi.as_expr().subs({Z: t * Z, W: t * W}, simultaneous=True))
    at_one = sp.Poly(scaled, ZETA).as_expr()
    slope = sp.diff(at_one, ZETA).subs({t: 0, ZETA: 1})
    root = sp.Integer(1)
    for degree in range(1, highest + 1):  # Newton's method, a power of t at a time
        left = sp.Poly(sp.expand(at_one.subs(ZETA, root)), t).coeff_monomial(t**degree)
        term = sp.expand(-left / slope)
        defect = sp.factor(term - (Z + W) ** degree / sp.factorial(degree))
        if defect != 0:
            return degree - 1, defect
        root += term * t**degree
    return highest, sp.Integer(0)
