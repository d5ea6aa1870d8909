r"""The angle of A(alpha)-stability, exactly.

A method is A(alpha)-stable if its stability region contains the sector |arg(-z)| < alpha. For a pair (rho, sigma) the
boundary locus is z = rho(zeta)/sigma(zeta), zeta = e^{i theta}, and with c = cos theta, s = sin theta

    rho(zeta) sigma(1/zeta) = R(c) + i s I(c),    tan^2 arg(-z) = T(c) = (1 - c^2) I(c)^2/R(c)^2    where R(c) < 0

with polynomials R and I. If no point has R < 0 the angle is a right one. If I vanishes, or c = -1, where R < 0 the
locus meets the negative real axis and the angle is 0. Otherwise the least T over the points with R < 0 is attained at
a zero of

    (1 - c^2)(I' R - I R') - c I R = (R^3/(2 I)) T'

which is an algebraic number. A sector without a point of the locus in it is stable as a whole or not at all; Miller's
criterion at z = -1 and the leading coefficient rho_k - z sigma_k, which must not vanish for z < 0, decide.

**Explicit methods** have angle 0. Their stability polynomial has the leading coefficient 1, and if some other
coefficient depends on z it grows without bound with |z|; so does a root, since it is a symmetric function of the
roots. No explicit method has an unbounded region.

Sources: Widlund, BIT 7 (1967); Hairer, Wanner, Solving ODEs II, V.2, table 2.1 and theorem 1.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sympy as sp

from numdiff.symbolic.polynomials import ZETA, Z, parameters, stability_polynomial, to_fraction
from numdiff.symbolic.rootcondition import satisfies_root_condition
from numdiff.symbolic.steady import H, depends_on, one_field

C = sp.Symbol("c")
"""cos theta."""

DIGITS = 40

SMALL, NEAR = sp.Rational(1, 10**15), sp.Rational(1, 10**12)
"""What counts as zero among 40 digits; a distance below that of distinct zeros of R for pairs of a few steps."""


@dataclass(frozen=True)
class SectorAngle:
    """The largest alpha of A(alpha)-stability.

    Parameters
    ----------
    angle
        alpha in radians, exact; pi/2 is A-stability.
    tangent_squared
        tan^2 alpha, an algebraic number; oo for a right angle.
    reason
        A sentence: what limits it.

    Examples
    --------
    >>> import numdiff as nd
    >>> found = nd.stability.sector_angle(nd.AdamsBashforth(1))
    >>> found.angle, found.degrees
    (0, 0.0)
    >>> found.reason
    'explicit: a root of the stability polynomial grows without bound as |z| does, so the region is bounded'
    """

    angle: sp.Expr
    tangent_squared: sp.Expr
    reason: str

    @property
    def degrees(self) -> float:
        """The angle in degrees."""
        return float(sp.N(self.angle * 180 / sp.pi, 20))


def sector_angle(method: Any) -> SectorAngle:
    """Return the angle of A(alpha)-stability of a method or of a multistep pair.

    Parameters
    ----------
    method
        A method or steady `Tableau`, which is explicit; or a pair (rho, sigma) of polynomials in `ZETA`, implicit ones
        too, with rational coefficients.

    Returns
    -------
    SectorAngle

    Raises
    ------
    TypeError
        If `method` is neither, or has no steady tableau.
    ValueError
        For coefficients that are not rational numbers, or rho without the root 1.

    Examples
    --------
    An implicit method, BDF4, as its pair (rho, sigma):

    >>> import sympy as sp
    >>> import numdiff as nd
    >>> from numdiff.symbolic.polynomials import ZETA
    >>> rho = sp.Poly(25 * ZETA**4 - 48 * ZETA**3 + 36 * ZETA**2 - 16 * ZETA + 3, ZETA)
    >>> found = nd.stability.sector_angle((rho, sp.Poly(12 * ZETA**4, ZETA)))
    >>> round(found.degrees, 2)
    73.35
    """
    if isinstance(method, tuple):
        rho, sigma = _checked(method)
        return _of_pair(rho, sigma) if sigma.degree() >= rho.degree() else _explicit()
    tableau = one_field(method)
    if stability_polynomial(tableau).degree(Z) < 1:
        raise ValueError(f"{method} does not use the model: its stability polynomial has no z in it")
    return _explicit(depends_on(tableau, H))


def _explicit(exponential: bool = False) -> SectorAngle:
    reason = "explicit: a root of the stability polynomial grows without bound as |z| does, so the region is bounded"
    if exponential:
        reason += "; the linear part c X of X' = c X + f is solved exactly and limits nothing, f = z X is explicit"
    return SectorAngle(sp.Integer(0), sp.Integer(0), reason)


def _of_pair(rho: sp.Poly, sigma: sp.Poly) -> SectorAngle:
    zero, right = sp.Integer(0), SectorAngle(sp.pi / 2, sp.oo, "A-stable: the locus stays in the right half-plane")
    if sigma.degree() > rho.degree() or rho.LC() * sigma.LC() < 0:
        return SectorAngle(zero, zero, "a root passes through infinity at some z < 0")
    if not _stable(rho + sigma):
        return SectorAngle(zero, zero, "unstable at z = -1")
    R, imaginary = _locus(rho, sigma)
    least = _least(R, imaginary)
    if least is None:
        return right
    where, value = least
    if value == 0:
        return SectorAngle(zero, zero, "the locus meets the negative real axis")
    reason = f"the locus touches the sector at cos(theta) = {sp.N(where, 6)}"
    return SectorAngle(sp.atan(sp.sqrt(value)), value, reason)


def _stable(p: sp.Poly) -> bool:
    return satisfies_root_condition([(to_fraction(c), to_fraction(sp.S.Zero)) for c in p.all_coeffs()[::-1]])


def _locus(rho: sp.Poly, sigma: sp.Poly) -> tuple[sp.Poly, sp.Poly]:
    """Return R and I: cos(m theta) = T_m(c) and sin(m theta) = s U_{m-1}(c)."""
    real, imaginary = sp.Poly(0, C, domain="QQ"), sp.Poly(0, C, domain="QQ")
    for (i,), a in rho.terms():
        for (j,), b in sigma.terms():
            m = abs(i - j)
            real += a * b * sp.Poly(sp.chebyshevt(m, C), C)
            if m:
                imaginary += (1 if i > j else -1) * a * b * sp.Poly(sp.chebyshevu(m - 1, C), C)
    return real, imaginary


def _least(R: sp.Poly, imaginary: sp.Poly) -> tuple[sp.Expr, sp.Expr] | None:
    """Return the c in [-1, 1] next to R < 0 at which T is least, and T there; None if R is never negative."""
    shared = R.gcd(imaginary)
    P, Q = (imaginary, R) if R.is_zero else (imaginary.quo(shared), R.quo(shared))
    turning = sp.Poly(1 - C**2, C) * (P.diff(C) * Q - P * Q.diff(C)) - sp.Poly(C, C) * P * Q
    candidates = {sp.Integer(-1)}
    for p in (P, turning, shared):
        candidates |= {x for x, _ in p.real_roots(multiple=False)} if p.degree() > 0 else set()
    tangent = (1 - C**2) * P.as_expr() ** 2 / Q.as_expr() ** 2
    values = {c: sp.N(tangent.subs(C, c), DIGITS) for c in candidates if -1 <= c < 1 and _left(R, Q, c)}
    if not values:
        return None
    best = min(values, key=lambda c: values[c])
    if best == -1 or P.as_expr().subs(C, best).equals(0):
        return best, sp.Integer(0)
    return best, _exact_value(tangent, turning * shared, best, values[best])


def _left(R: sp.Poly, Q: sp.Poly, c: sp.Expr) -> bool:
    """Tell whether R < 0 at c or right beside it in [-1, 1], and T finite; Q is R without what it shares with I."""
    if abs(sp.N(Q.as_expr().subs(C, c), DIGITS)) < SMALL:
        return False
    beside = [c + d for d in (0, -NEAR, NEAR) if -1 <= c + d <= 1]
    return any(sp.N(R.as_expr().subs(C, x), DIGITS) < -(SMALL**2) for x in beside)


def _exact_value(tangent: sp.Expr, polynomial: sp.Poly, best: sp.Expr, value: sp.Float) -> sp.Expr:
    """Return T at a zero of the polynomial as the root of another one, found by elimination."""
    if best.is_Rational:
        return sp.Rational(tangent.subs(C, best))
    t = sp.Symbol("t")
    owner = min((f for f, _ in polynomial.factor_list()[1]), key=lambda f: abs(sp.N(f.as_expr().subs(C, best), DIGITS)))
    above, below = sp.fraction(sp.together(tangent))
    eliminated = sp.Poly(sp.resultant(owner.as_expr(), above - t * below, C), t)
    roots = [root for f, _ in eliminated.factor_list()[1] for root in f.real_roots()]
    return min(roots, key=lambda root: abs(sp.N(root, DIGITS) - value))


def _checked(pair: tuple[Any, ...]) -> tuple[sp.Poly, sp.Poly]:
    if len(pair) != 2 or not all(isinstance(p, sp.Poly) and p.gens == (ZETA,) for p in pair):
        raise TypeError(f"a pair (rho, sigma) of SymPy polynomials in zeta was expected, got {pair!r}")
    symbols = parameters(*pair)
    if symbols or not all(c.is_Rational for p in pair for c in p.all_coeffs()):
        raise ValueError("the angle is found for rational coefficients; give numbers for the symbols, as fractions")
    rho, sigma = pair
    if rho.eval(1) != 0 or sigma.is_zero:
        raise ValueError(f"rho must have the root 1 and sigma must not vanish, got {pair}")
    return rho, sigma
