r"""Stability of methods with two fields on the test equation y' = lam_1 y + lam_2 y.

A step of a tableau whose stage i evaluates the model has z_i = z = d lam_1, one that evaluates the condition z_i = w =
d lam_2. With Z = diag(z_i) it multiplies the registers by

    M(z, w) = V + B Z (I - A Z)^{-1} U,    pi(zeta, z, w) = det(zeta I - M(z, w))

without the factors zeta^m of stored history. A method of one field evaluates the sum of both: its pi is the one it has
at z + w. Everything is exact; regions are decided as those of one field are (`numdiff.properties.stability.linear`).

Source: Hairer, Wanner, Solving ODEs II, V.1; Wizadwongsa, Suwajanakorn, Splitting Numerical Methods (ICLR 2023).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray
from sympy.polys.matrices import DomainMatrix

from numdiff.properties.stability.linear import _root_condition
from numdiff.symbolic.intervals import interval
from numdiff.symbolic.polynomials import ZETA, Z, over_field, parameters, to_sympy
from numdiff.symbolic.steady import steady

W = sp.Symbol("w")
"""The step times the eigenvalue of the condition."""


def split_polynomial(method: Any, *, h: Any = None) -> sp.Poly:
    """Return pi(zeta, z, w) of a method of one or two fields, monic in zeta.

    Parameters
    ----------
    method
        A method, or a steady `Tableau`; stages without tag evaluate the model (z), all others the condition (w).
    h
        Step length of an exponential method; by default it stays the symbol ``h``.

    Returns
    -------
    Poly
        In ``zeta``, ``z`` and ``w``.

    Raises
    ------
    TypeError
        If `method` has no steady tableau.
    ValueError
        If the tableau has three fields or more.

    Examples
    --------
    >>> import sympy as sp
    >>> import numdiff as nd
    >>> pi = nd.stability.split_polynomial(nd.LTSP(1))        # an Euler step of either field: (1 + z)(1 + w)
    >>> pi.gens, sp.expand(pi.as_expr() + (1 + pi.gens[1]) * (1 + pi.gens[2]))
    ((zeta, z, w), zeta)
    """
    tableau = steady(method, h)
    fields = sorted(set(tableau.tags))
    if len(set(fields) | {""}) > 2:
        raise ValueError(f"{method} evaluates the fields {fields}; the test equation has the model and one other")
    field, matrices = over_field(tableau)
    ring = field[Z, W]
    z, w = ring.from_sympy(Z), ring.from_sympy(W)
    diagonal = [z + w if fields == [""] else (w if tag else z) for tag in tableau.tags]
    A, U, B, V = (_over_ring(matrices[name], ring) for name in "AUBV")
    scaled = DomainMatrix.diag(diagonal, ring, (tableau.stages,) * 2)
    M, term = V, scaled * U
    for _ in range(tableau.stages):
        M, term = M + B * term, scaled * (A * term)
    coefficients = M.to_sparse().charpoly()
    while len(coefficients) > 1 and coefficients[-1] == ring.zero:
        coefficients = coefficients[:-1]
    degree = len(coefficients) - 1
    terms = {(degree - i, *powers): value for i, c in enumerate(coefficients) for powers, value in c.terms()}
    return sp.Poly.from_dict({p: field.to_sympy(c) for p, c in terms.items()}, ZETA, Z, W, domain=field)


def _over_ring(matrix: DomainMatrix, ring: Any) -> DomainMatrix:
    """Return the matrix over the ring of its field; SymPy's own conversion fails for fields of functions."""
    rows = [[ring.ring.ground_new(x) for x in row] for row in matrix.to_list()]
    return DomainMatrix(rows, matrix.shape, ring)


def split_interval(method: Any, *, z: Any = 0, h: Any = None) -> sp.Expr:
    """Return w* >= 0 of the interval (-w*, 0) of the condition in which runs stay bounded, exactly.

    Parameters
    ----------
    method
        A method with rational parameters.
    z
        The model's d lam_1, a rational number; 0 for a condition alone.
    h
        Step length of an exponential method, a float, which stands for the rational coefficients that it leads to.

    Returns
    -------
    Expr
        A SymPy number; 0 where the method is unstable next to w = 0.

    Raises
    ------
    ValueError
        For a z that is not rational, or irrational coefficients.

    Examples
    --------
    How strong guidance may be, as step times its eigenvalue, with the model at rest and with the model's own z = -1/2:

    >>> from fractions import Fraction
    >>> import numdiff as nd
    >>> nd.stability.split_interval(nd.LTSP(2)), nd.stability.split_interval(nd.LTSP(2), z=Fraction(-1, 2))
    (2, 5)
    """
    value = to_sympy(z, "z")
    if not value.is_Rational:
        raise ValueError(f"z must be a rational number, got {z}; give a Fraction")
    pi = split_polynomial(method, h=h)
    if not pi.domain.is_QQ and not pi.domain.is_ZZ:
        raise ValueError(
            f"{method} has coefficients in {pi.domain}, and an interval needs rational ones; give h=0.1, say"
        )
    return interval(sp.Poly(pi.as_expr().subs(Z, value).subs(W, Z), ZETA, Z, domain="QQ"), "real")


def split_region(method: Any, z: ArrayLike, w: ArrayLike, *, h: float | None = None) -> NDArray[np.bool_]:
    """Tell for every pair (z, w) whether runs on y' = lam_1 y + lam_2 y stay bounded.

    Parameters
    ----------
    method
        A method with numbers for its parameters, or a steady `Tableau`.
    z, w
        Complex arrays that broadcast: the step times the eigenvalues of the model and of the condition.
    h
        Step length, required for exponential methods.

    Returns
    -------
    ndarray of bool
        The common shape.

    Raises
    ------
    ValueError
        If a symbol is left in the coefficients, or an entry is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> nd.stability.split_region(nd.LTSP(2), 0.0, np.array([-2.5, -0.5])).tolist()
    [False, True]
    """
    pi = split_polynomial(method, h=h)
    if free := parameters(pi):
        raise ValueError(f"{method} contains the symbol {free[0]}, and a number is needed here; use a number for it")
    first, second = np.broadcast_arrays(np.asarray(z, dtype=complex), np.asarray(w, dtype=complex))
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError("z and w must be finite, but they contain nan or inf; drop those points")
    table = np.zeros((pi.degree(ZETA) + 1, first.size), dtype=np.complex128)
    for (i, j, k), value in pi.as_dict().items():
        table[i] += float(value) * first.reshape(-1) ** j * second.reshape(-1) ** k
    return _root_condition(table).reshape(first.shape)
