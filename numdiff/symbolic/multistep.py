r"""Order and error constant of a multistep pair (rho, sigma), exact and with symbols.

**Classical pairs** (kernel exponent 0). Applied to a smooth solution of x' = f, in units of the step,

    sum_i rho_i x(i) - sum_i sigma_i x'(i) = sum_q C_q x^(q),    C_q = sum_i (rho_i i^q/q! - sigma_i i^{q-1}/(q-1)!)

and the order p is the largest with C_0 = ... = C_p = 0: exactness on the monomials up to t^p. The error constant is
C_{p+1}/sigma(1), which does not change when rho and sigma are multiplied by a factor, and is the multiple of h^{p+1}
x^{(p+1)} by which a unit of time is missed, over h.

**Exponential pairs.** For X' = c X + f with coefficients that depend on h put f = e^{w u}, whose solution is X =
e^{wu}/(w - c):

    R(h, w) = rho(e^{wh}; h) - (w - c) sigma(e^{wh}; h) = (w - c) E(w) h^{p+1} + O(h^{p+2})

Powers of w stand for derivatives of f, so E(w) = C w^p says that the local error is C h^{p+1} f^{(p)}; an inexact rule
such as DPM-Solver++ 2M's midpoint adds lower derivatives times powers of c. E is divided by sigma(1; h)/h at h = 0. The
exponent c is read off the principal root e^{ch} of rho, and e^{ah} and phi_k(ah) enter by their Taylor series. For c =
0 and sigma = h sigma(zeta) this is the classical definition.

Sources: Hairer, Norsett, Wanner, Solving ODEs I, III.2 (2.4), (2.13); Hochbruck and Ostermann, Acta Numerica 2010,
section 2.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from numdiff.symbolic.phi import phi
from numdiff.symbolic.polynomials import tidy
from numdiff.symbolic.steady import H

__all__ = ["D", "classical_order", "exponential_order", "taylor"]

D = sp.Symbol("D")
"""The derivative along the integration variable, in the error polynomials of exponential methods."""

HIGHEST = 16
"""Order up to which conditions are looked at; explicit zero-stable methods of k steps have at most order k."""


def classical_order(rho: sp.Poly, sigma: sp.Poly) -> tuple[int, sp.Expr]:
    """Return the order p and C_{p+1}/sigma(1) of a pair without step length in it.

    Parameters
    ----------
    rho, sigma
        Polynomials in `numdiff.symbolic.polynomials.ZETA`, exact or with symbols.

    Returns
    -------
    tuple
        p = -1 and the constant nan if not even a constant solution is reproduced; p = 0 if the method is not
        consistent.

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.symbolic import multistep, polynomials
    >>> rho, sigma = polynomials.multistep_pair(nd.AdamsBashforth(2).steady())
    >>> multistep.classical_order(rho, sigma)
    (2, 5/12)
    """
    for q in range(HIGHEST + 2):
        C = sp.cancel(_moment(rho, q) - (_moment(sigma, q - 1) if q else 0))
        if C != 0:
            total = sigma.eval(1)
            return q - 1, tidy(C / total) if q and total != 0 else sp.nan
    raise ValueError(f"the order exceeds {HIGHEST}: rho and sigma vanish together, so this is no method")


def _moment(p: sp.Poly, q: int) -> sp.Expr:
    """Return sum_i p_i i^q/q!."""
    return sum((c * sp.Integer(i) ** q for (i,), c in p.terms()), sp.Integer(0)) / sp.factorial(q)


def exponential_order(rho: sp.Poly, sigma: sp.Poly) -> tuple[int, sp.Expr]:
    """Return the order p and the error polynomial E(D) of a pair whose coefficients depend on `H`.

    Parameters
    ----------
    rho, sigma
        Polynomials in `numdiff.symbolic.polynomials.ZETA`; coefficients in `H`, e^{aH} and phi_k(aH).

    Returns
    -------
    tuple
        As `classical_order`; the constant C itself where E(D) = C D^p.

    Examples
    --------
    The published DPM-Solver++ 2M multiplies its slope by the wrong function of the step, which adds an error in f':

    >>> import numdiff as nd
    >>> from numdiff.symbolic import multistep, polynomials
    >>> for rule in ("exact", "half"):
    ...     pair = polynomials.multistep_pair(nd.DPMSolverPP(2, rule=rule).steady())
    ...     print(rule, multistep.exponential_order(*pair))
    exact (2, 5/12)
    half (2, 5*D**2/12 + D/12)
    """
    count = 2 + max(rho.degree(), sigma.degree())
    while True:
        left, right = _expanded(rho, count), _expanded(sigma, count)
        c = _exponent(rho, left)
        residual = [a - (D - c) * b for a, b in zip(left, right, strict=True)]
        leading = next((q for q, value in enumerate(residual) if sp.cancel(value) != 0), None)
        if leading is not None:
            break
        if count > 2 * HIGHEST:
            raise ValueError(f"the order exceeds {HIGHEST}: rho and sigma vanish together, so this is no method")
        count *= 2
    total = sp.cancel(right[1].subs(D, 0))
    if leading == 0 or total == 0:
        return leading - 1, sp.nan
    quotient, remainder = sp.div(sp.Poly(sp.cancel(residual[leading] / total), D), sp.Poly(D - c, D))
    if not remainder.is_zero:  # the step does not even solve X' = c X to this order
        return leading - 1, sp.nan
    monomial = quotient.degree() == leading - 1 and len(quotient.terms()) == 1
    return leading - 1, tidy(quotient.LC()) if monomial else sp.collect(sp.expand(quotient.as_expr()), D, tidy)


def _expanded(p: sp.Poly, count: int) -> list[sp.Expr]:
    """Return the first `count` Taylor coefficients in H of p(e^{D h}; h)."""
    total = [sp.Integer(0)] * count
    for (i,), coefficient in p.terms():
        series = taylor(coefficient, count)
        powers = [(i * D) ** j / sp.factorial(j) if i or not j else sp.Integer(0) for j in range(count)]
        for a, value in enumerate(series):
            for b in range(count - a):
                total[a + b] += value * powers[b]
    return [sp.expand(value) for value in total]


def _exponent(rho: sp.Poly, expanded: list[sp.Expr]) -> sp.Expr:
    """Return c, given that rho(e^{ch}; h) = O(h^2): the coefficient of h in rho(e^{Dh}; h) is rho_h + D rho'."""
    slope, constant = sp.Poly(expanded[1], D).nth(1), sp.Poly(expanded[1], D).nth(0)
    if sp.cancel(slope) == 0:
        raise ValueError("rho has a double root at 1 for h = 0: the method is not zero-stable and has no order")
    return sp.cancel(-constant / slope)


def taylor(expression: Any, count: int) -> list[sp.Expr]:
    """Return the first `count` Taylor coefficients in `H` of a rational function of H, e^{aH} and phi_k(aH).

    Parameters
    ----------
    expression
        Of SymPy.
    count
        How many coefficients.

    Returns
    -------
    list of Expr

    Raises
    ------
    ValueError
        If the expression has a pole at H = 0.

    Examples
    --------
    >>> from numdiff.symbolic.multistep import taylor
    >>> from numdiff.symbolic.phi import phi
    >>> from numdiff.symbolic.steady import H
    >>> taylor(phi(1, -H), 4)
    [1, -1/2, 1/6, -1/24]
    """
    expression, extra = sp.sympify(expression), count + 2  # a common factor h^2 may cancel
    while True:
        known = {f: _function_series(f, extra) for f in expression.atoms(sp.exp, phi) if f.has(H)}
        numerator, denominator = (
            [sp.cancel(c) for c in sp.Poly(part, H).all_coeffs()[::-1]]
            for part in sp.fraction(sp.together(expression.xreplace(known)))
        )
        start = next(k for k, c in enumerate(denominator) if c != 0)
        if start + count <= extra:
            break
        extra = 2 * start + count
    if any(c != 0 for c in numerator[:start]):
        raise ValueError(f"{expression} has a pole at {H} = 0: no steady step exists for small steps")
    return _quotient(numerator[start:], denominator[start:], count)


def _function_series(f: sp.Expr, count: int) -> sp.Expr:
    """Return the Taylor polynomial of exp(z) or phi(k, z), z = aH."""
    k, z = (0, f.args[0]) if isinstance(f, sp.exp) else f.args
    return sum((z**j / sp.factorial(k + j) for j in range(count)), sp.Integer(0))


def _quotient(numerator: list[sp.Expr], denominator: list[sp.Expr], count: int) -> list[sp.Expr]:
    """Divide power series, lowest power first; the denominator starts with a nonzero constant."""
    result: list[sp.Expr] = []
    for n in range(count):
        value = numerator[n] if n < len(numerator) else sp.Integer(0)
        value -= sum(denominator[j] * result[n - j] for j in range(1, min(n, len(denominator) - 1) + 1))
        result.append(sp.cancel(value / denominator[0]))
    return result
