r"""Stability polynomials of tableaus, exactly and with symbols.

On the scalar linear field f = z Y one steady step of a tableau multiplies its r registers by

    M(z) = V + z B (I - z A)^{-1} U,    (I - z A)^{-1} = I + z A + ... + (z A)^{s-1}    (A strictly lower triangular)

so for explicit methods M is a matrix of polynomials in z, and the stability polynomial

    pi(zeta, z) = det(zeta I - M(z)) = zeta^n + ...

is a polynomial in both; its coefficients are rational in the parameters (a damping beta; for exponential methods also
the step length h, e^{ch} and phi_k(ch)). The determinant is the characteristic polynomial over the polynomial ring,
computed without division, which costs milliseconds where expanding a symbolic determinant costs minutes.

**Spurious roots.** A register that only stores a past value contributes a root zeta = 0 for every z. The powers zeta^m
that divide pi are removed: they say how the history is stored, not how the method behaves. Other common factors of all
powers of z (the pole that the zero cancels in HB(AB2, 2/3)) belong to the method and stay.

**Multistep pairs.** With one stage, pi is linear in z and pi = rho(zeta) - z sigma(zeta) is the classical pair of a
linear multistep method sum_i rho_i x_{n+i} = h sum_i sigma_i f_{n+i}, obtained by eliminating every register but the
sample.

Sources: Butcher, General linear methods, Acta Numerica 15 (2006), section 3.3; Hairer, Norsett, Wanner, Solving ODEs I,
III.2.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import sympy as sp
from sympy.polys.constructor import construct_domain
from sympy.polys.matrices import DomainMatrix
from sympy.polys.polyerrors import CoercionFailed

from numdiff.symbolic.phi import phi
from numdiff.tableau import Tableau

__all__ = [
    "ZETA",
    "Z",
    "multistep_pair",
    "over_field",
    "parameters",
    "stability_polynomial",
    "step_matrix",
    "tidy",
    "to_fraction",
    "to_sympy",
]

#: The variables of stability polynomials: the root, and the step times the eigenvalue.
ZETA, Z = sp.symbols("zeta z")


def to_sympy(x: Any, what: str = "tableau entry") -> sp.Expr:
    """Return a scalar as an exact SymPy number or expression; a float becomes the rational number that it is.

    Parameters
    ----------
    x
        A number of any kind, or a SymPy expression.
    what
        What messages call it.

    Returns
    -------
    Expr

    Raises
    ------
    TypeError
        For an array, a tensor that is not 0-dimensional, or anything else that is no number.

    Examples
    --------
    >>> from fractions import Fraction
    >>> from numdiff.symbolic.polynomials import to_sympy
    >>> to_sympy(Fraction(1, 3)), to_sympy(0.375), to_sympy(0.1)
    (1/3, 3/8, 3602879701896397/36028797018963968)
    """
    if isinstance(x, sp.Basic):
        return sp.nsimplify(x, rational=True) if x.has(sp.Float) else x
    if isinstance(x, Fraction):
        return sp.Rational(x.numerator, x.denominator)
    if isinstance(x, int):
        return sp.Integer(x)
    try:
        if isinstance(x, str) or not math.isfinite(number := float(x)):
            raise ValueError
        return sp.Rational(number)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{what} must be a finite scalar, got {x!r}; symbolic work needs numbers or SymPy symbols"
        ) from error


def to_fraction(x: sp.Rational) -> Fraction:
    """Return a SymPy rational as a Fraction, whose arithmetic is faster and needs no simplification.

    Parameters
    ----------
    x
        A SymPy rational.

    Returns
    -------
    Fraction

    Examples
    --------
    >>> import sympy as sp
    >>> from numdiff.symbolic.polynomials import to_fraction
    >>> to_fraction(sp.Rational(3, 4))
    Fraction(3, 4)
    """
    return Fraction(int(x.p), int(x.q))


def over_field(tableau: Tableau) -> tuple[Any, dict[str, DomainMatrix]]:
    """Return a field K that holds every entry, and A, U, B, V as matrices over K.

    Parameters
    ----------
    tableau
        A steady step; entries exact, symbolic or floating point (taken as the rationals that they are).

    Returns
    -------
    tuple
        K, and a dict of SymPy's ``DomainMatrix`` by name.

    Examples
    --------
    >>> import sympy as sp
    >>> import numdiff as nd
    >>> from numdiff.symbolic import polynomials
    >>> field, matrices = polynomials.over_field(nd.GHVB(2, sp.Symbol("beta", positive=True)).steady())
    >>> field, matrices["B"].shape
    (ZZ(beta), (2, 1))
    """
    shapes = {"A": (tableau.stages,) * 2, "U": (tableau.stages, tableau.registers)}
    shapes |= {"B": (tableau.registers, tableau.stages), "V": (tableau.registers,) * 2}
    entries = [to_sympy(x) for name in shapes for row in getattr(tableau, name) for x in row]
    field, values = _embedded(entries)
    matrices, position = {}, 0
    for name, (m, n) in shapes.items():
        rows = [values[position + i * n : position + (i + 1) * n] for i in range(m)]
        matrices[name] = DomainMatrix(rows, (m, n), field)
        position += m * n
    return field, matrices


def _embedded(entries: list[sp.Expr]) -> tuple[Any, list[Any]]:
    """Return a field with the entries in it: Q, extensions, rational functions of symbols, e^{ah} and phi_k(ah)."""
    symbols = set().union(*(x.free_symbols for x in entries))
    if not symbols:
        return construct_domain(entries, field=True, extension=True)
    functions = set().union(*(x.atoms(sp.exp, phi) for x in entries))
    field = sp.ZZ.frac_field(*sorted(symbols, key=str), *sorted(functions, key=str))
    try:
        return field, [field.from_sympy(x) for x in entries]
    except (
        CoercionFailed,
        ValueError,
    ):  # another function of a symbol: SymPy's general expressions, without exact zero tests
        return construct_domain(entries, field=True)


def step_matrix(tableau: Tableau) -> DomainMatrix:
    """Return M(z) = V + z B (I - z A)^{-1} U over K[z].

    Parameters
    ----------
    tableau
        A steady step; entries exact, symbolic or floating point (taken as the rationals that they are).

    Returns
    -------
    DomainMatrix
        Shape (r, r), polynomials in `Z`.

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.symbolic import polynomials
    >>> polynomials.step_matrix(nd.AdamsBashforth(2).steady()).to_Matrix()
    Matrix([
    [3*z/2 + 1, -1/2],
    [        z,    0]])
    """
    field, matrices = over_field(tableau)
    ring = field[Z]
    z = ring.from_sympy(Z)
    A, U, B, V = (matrices[name].convert_to(ring) for name in "AUBV")
    M, power, term = V, z, U
    for _ in range(tableau.stages):
        M = M + B * term * power
        power, term = power * z, A * term
    return M


def stability_polynomial(tableau: Tableau) -> sp.Poly:
    """Return pi(zeta, z) = det(zeta I - V - z B (I - z A)^{-1} U) without the factors zeta^m of stored history.

    Parameters
    ----------
    tableau
        A steady step; entries exact, symbolic or floating point (taken as the rationals that they are).

    Returns
    -------
    Poly
        A polynomial in `ZETA` and `Z`, monic in zeta, over the field of the parameters.

    Examples
    --------
    >>> import sympy as sp
    >>> import numdiff as nd
    >>> from numdiff.symbolic import polynomials
    >>> method = nd.HeavyBall(nd.AdamsBashforth(1), sp.Symbol("beta", positive=True))
    >>> polynomials.stability_polynomial(method.steady()).as_expr()
    -beta*z*zeta - beta + zeta**2 + zeta*(beta - 2) + 1
    """
    M = step_matrix(tableau)
    coefficients = M.charpoly()
    while len(coefficients) > 1 and coefficients[-1] == M.domain.zero:
        coefficients = coefficients[:-1]
    degree, field = len(coefficients) - 1, M.domain.domain
    terms = {(degree - i, j): value for i, c in enumerate(coefficients) for (j,), value in c.terms()}
    return sp.Poly.from_dict({power: field.to_sympy(c) for power, c in terms.items()}, ZETA, Z, domain=field)


def multistep_pair(tableau: Tableau) -> tuple[sp.Poly, sp.Poly]:
    """Return (rho, sigma) with pi = rho(zeta) - z sigma(zeta), for a tableau with one stage.

    Parameters
    ----------
    tableau
        A steady step; entries exact, symbolic or floating point (taken as the rationals that they are).

    Returns
    -------
    tuple of Poly
        In `ZETA`, over the field of the parameters.

    Raises
    ------
    ValueError
        If the stability polynomial is not linear in z.

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.symbolic import polynomials
    >>> rho, sigma = polynomials.multistep_pair(nd.AdamsBashforth(2).steady())
    >>> rho.as_expr(), sigma.as_expr()
    (zeta**2 - zeta, 3*zeta/2 - 1/2)
    """
    pi = stability_polynomial(tableau)
    if pi.degree(Z) > 1:
        raise ValueError(
            f"a method of {tableau.stages} stages is no linear multistep method: its stability polynomial has degree "
            f"{pi.degree(Z)} in z; use stability_polynomial"
        )
    parts: list[dict[tuple[int], Any]] = [{}, {}]
    for (i, j), value in pi.rep.to_dict().items():
        parts[j][i,] = -value if j else value
    rho, sigma = (sp.Poly.from_dict(part or {(0,): pi.domain.zero}, ZETA, domain=pi.domain) for part in parts)
    return rho, sigma


def parameters(*polynomials: sp.Poly) -> tuple[sp.Symbol, ...]:
    """Return the symbols in the coefficients, sorted by name.

    Parameters
    ----------
    *polynomials
        Over any fields.

    Returns
    -------
    tuple of Symbol

    Examples
    --------
    >>> import sympy as sp
    >>> import numdiff as nd
    >>> from numdiff.symbolic import polynomials
    >>> pi = polynomials.stability_polynomial(nd.GHVB(2, sp.Symbol("beta", positive=True)).steady())
    >>> polynomials.parameters(pi)
    (beta,)
    """
    found = set().union(*(p.free_symbols_in_domain for p in polynomials))
    return tuple(sorted(found, key=str))


def tidy(expression: Any) -> sp.Expr:
    """Return a rational function in factors, with a leading minus sign moved into one of them: (6 - beta)/(12 beta).

    Parameters
    ----------
    expression
        A rational function.

    Returns
    -------
    Expr

    Examples
    --------
    >>> import sympy as sp
    >>> from numdiff.symbolic.polynomials import tidy
    >>> beta = sp.Symbol("beta")
    >>> tidy((12 - 2 * beta) / (24 * beta))
    (6 - beta)/(12*beta)
    """
    constant, rest = sp.factor(expression).as_coeff_Mul()
    factors = list(sp.Mul.make_args(rest))
    position = next((i for i, f in enumerate(factors) if f.is_Add), None)
    if constant < 0 and position is not None:
        constant, factors[position] = -constant, -factors[position]
    return sp.Mul(*factors) * constant
