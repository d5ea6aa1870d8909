r"""Relative stability: whether the parasitic roots outgrow the principal one.

With the roots zeta_j(z) of the stability polynomial, zeta_1 the principal one, z is relatively stable if |zeta_j(z)| <=
|zeta_1(z)| for every j. The variant |zeta_j(z)| <= |e^{(c+z)h}|, j >= 2, compares with the exact solution.

**The real interval, exactly.** For a multistep pair pi = rho(zeta) - z sigma(zeta) take the principal root r as the
parameter instead of z: then z = rho(r)/sigma(r), and the ratios w = zeta_j/r of the others are the roots of

    G(w, r) = [rho(r w) sigma(r) - sigma(r w) rho(r)] / (w - 1).

While zeta_1 is larger than every other root it is real, positive and simple, so dz/dr > 0 and r falls from e^{ch} as z
falls from 0. Relative stability on (-x*, 0) is therefore the root condition of G(., r) on an interval (r*, e^{ch}),
which `numdiff.symbolic.intervals` decides exactly, at a symbolic damping too, and x* = -rho(r*)/sigma(r*), whose
polynomial is a resultant. At a double root G(1, r) = 0: the interval ends where the principal root ceases to be real,
although a conjugate pair of largest modulus still satisfies the inequality.

Sources: Hull, Newbery, Integration procedures which minimize propagated errors, SIAM J. 9 (1961); Hairer, Norsett,
Wanner, Solving ODEs I, III.9.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray

from numdiff.methods.checks import choice
from numdiff.properties.stability.branches import branches, start_of, uncertainty
from numdiff.properties.stability.linear import _numeric, _points
from numdiff.properties.stability.stars import log_exact
from numdiff.symbolic.critical import X
from numdiff.symbolic.intervals import DAMPING, CriticalRoot, _Product, interval
from numdiff.symbolic.polynomials import (
    ZETA,
    Z,
    multistep_pair,
    parameters,
    stability_polynomial,
    tidy,
    to_sympy,
)
from numdiff.symbolic.steady import H, depends_on, exact_method, one_field

AGAINST = ("principal", "exact")
R = sp.Symbol("r")


def relative_region(
    method: Any, z: ArrayLike, *, h: float | None = None, against: str = "principal"
) -> NDArray[np.bool_]:
    """Tell for every z whether the parasitic roots stay below the principal one.

    Parameters
    ----------
    method, z, h
        As in `order_star`.
    against
        "principal": ``|zeta_j| <= |zeta_1|``. "exact": ``|zeta_j| <= |e^{(c+z)h}|``, the growth of the exact solution.

    Returns
    -------
    ndarray of bool
        The shape of `z`. Ties, to rounding, belong to the region; so do all points for a one-step method.

    Raises
    ------
    ValueError
        For an unknown `against`; as `roots`.

    Examples
    --------
    Beyond -2/3 the parasitic root of AB2 is the larger one, though runs decay up to -1:

    >>> import numdiff as nd
    >>> nd.stability.relative_region(nd.AdamsBashforth(2), [-0.3, -0.9]).tolist()
    [True, False]
    """
    choice("against", against, AGAINST)
    found, principal = branches(method, z, h)
    moduli = np.abs(found)
    slack = uncertainty(_numeric(method, h), _points(z).reshape(-1), found)
    first = np.arange(len(found))[:, np.newaxis] == principal
    if against == "principal":
        bound = np.where(first, moduli + slack, 0).max(axis=0)
    else:
        bound = np.exp(log_exact(method, z, h))
    return (np.where(first, 0, moduli - slack) <= bound).all(axis=0).reshape(np.shape(z))


def relative_interval(method: Any, *, h: Any = None, domain: tuple[Any, Any] = DAMPING) -> sp.Expr:
    """Return x* >= 0 of the largest (-x*, 0) on which no root exceeds the principal one in modulus, exactly.

    Parameters
    ----------
    method
        A method of one evaluation a step, or its steady `Tableau`, with rational parameters or one symbol.
    h
        Step length, required for exponential methods.
    domain
        Where a symbolic parameter varies, low < beta <= high.

    Returns
    -------
    Expr
        A number, a formula, or a ``Piecewise`` in the parameter; the interval ends where the principal root meets
        another one at the latest. oo for a method with one root, or with a second one of the same modulus throughout; 0
        where a parasitic root is larger next to 0 already.

    Raises
    ------
    ValueError
        For methods with several roots and several evaluations a step; as `real_interval`.

    Examples
    --------
    >>> import numdiff as nd
    >>> method = nd.AdamsBashforth(2)
    >>> nd.stability.relative_interval(method), nd.stability.real_interval(method)
    (2/3, 1)
    """
    return _derived(exact_method(method), h, tuple(domain))


@lru_cache(maxsize=256)
def _derived(method: Any, h: Any, domain: tuple[Any, Any]) -> sp.Expr:
    tableau = one_field(method, h)
    if depends_on(tableau, H):
        raise ValueError(f"{method} depends on the step length h: give a number, h=0.1, for its relative stability")
    if stability_polynomial(tableau).degree(ZETA) <= 1:
        return sp.oo
    rho, sigma = multistep_pair(tableau)
    start = to_sympy(start_of(method, h)) if h is not None else sp.Integer(1)
    fall = interval(_ratios(rho, sigma, start), "real", domain)
    common = rho.gcd(sigma)  # a root of both, for every z, is not the principal one
    rho, sigma = rho.quo(common), sigma.quo(common)
    if not fall.free_symbols:
        return _number(rho, sigma, start, fall)
    return _pieces(rho, sigma, start, fall, domain)


def _ratios(rho: sp.Poly, sigma: sp.Poly, start: sp.Expr) -> sp.Poly:
    """Return G(zeta, r) at r = (1 + z) start, a polynomial in `ZETA` and `Z`: z falls from 0 as r falls from start."""
    gens = (ZETA, R, *parameters(rho, sigma))
    at_w, at_r = ([p.as_expr().subs(ZETA, x) for p in (rho, sigma)] for x in (R * ZETA, R))
    numerator = sp.Poly(sp.numer(sp.together(at_w[0] * at_r[1] - at_w[1] * at_r[0])), *gens)
    quotient = numerator.exquo(sp.Poly(ZETA - 1, *gens))
    while quotient.eval(R, 0).is_zero:  # r divides it where rho and sigma share low powers
        quotient = quotient.exquo(sp.Poly(R, *gens))
    return sp.Poly(quotient.as_expr().subs(R, (1 + Z) * start), ZETA, Z)


def _pieces(rho: sp.Poly, sigma: sp.Poly, start: sp.Expr, fall: sp.Expr, domain: tuple[Any, Any]) -> sp.Expr:
    """Return x as a formula in the parameter, piece by piece."""
    (beta,) = fall.free_symbols
    low, found = sp.sympify(domain[0]), []
    for part, condition in fall.args if isinstance(fall, sp.Piecewise) else ((fall, sp.true),):
        for when in condition.args if isinstance(condition, sp.Or) else (condition,):
            if isinstance(when, sp.Eq):
                at = [sp.Poly(p.as_expr().subs(beta, when.rhs), ZETA) for p in (rho, sigma)]
                found.append((_number(at[0], at[1], start, part), when))
                continue
            high = sp.sympify(domain[1]) if when == sp.true else when.rhs
            sample = sp.Rational(sp.N((low + high) / 2, 10))
            found.append((_formula(rho, sigma, start, part, beta, sample), when))
            low = high
    return sp.Piecewise(*found)


def _number(rho: sp.Poly, sigma: sp.Poly, start: sp.Expr, fall: sp.Expr) -> sp.Expr:
    """Return x = -rho(r)/sigma(r) at r = (1 - fall) start, for an algebraic number `fall`."""
    if fall in (0, sp.oo):
        return fall
    is_root = isinstance(fall, sp.CRootOf)
    defining = fall.poly.as_expr().subs(fall.poly.gen, R) if is_root else sp.minimal_polynomial(fall, R)
    candidates = sp.Poly(_image(rho, sigma, start, defining), X).real_roots(multiple=False)
    x = _value(rho, sigma, (1 - fall) * start)
    return min((root for root, _ in candidates), key=lambda root: abs(sp.N(root, 40) - x))


def _formula(
    rho: sp.Poly, sigma: sp.Poly, start: sp.Expr, fall: sp.Expr, beta: sp.Symbol, sample: sp.Rational
) -> sp.Expr:
    """Return x as a function of beta on the piece that contains `sample`."""
    if fall in (0, sp.oo):
        return fall
    r = (1 - fall) * start
    composed = -rho.as_expr().subs(ZETA, r) / sigma.as_expr().subs(ZETA, r)
    if isinstance(fall, CriticalRoot):  # eliminating a root of high degree takes long and explains nothing
        return composed
    eliminated = sp.Poly(_image(rho, sigma, start, _defining(fall, beta)), X, beta)
    if not (eliminated.domain.is_ZZ or eliminated.domain.is_QQ):  # a square root of a number is left in it
        return composed
    factors = [factor for factor, _ in eliminated.factor_list()[1] if factor.degree(X)]
    at = [sp.Poly(p.as_expr().subs(beta, sample), ZETA) for p in (rho, sigma)]
    x = _value(at[0], at[1], sp.N((1 - fall.subs(beta, sample)) * start, 60))
    roots = [
        (abs(sp.N(root, 40) - x), factor, k)
        for factor in factors
        for k, (root, _) in enumerate(sp.Poly(factor.as_expr().subs(beta, sample), X).real_roots(multiple=False))
    ]
    _, factor, k = min(roots, key=lambda entry: entry[0])
    a, *rest = sp.Poly(factor.as_expr(), X).all_coeffs()
    if len(rest) > 2:  # an index among the real roots would not hold beyond a zero of the leading coefficient
        return composed
    if len(rest) == 1:
        return tidy(-rest[0] / a)
    b, c = rest
    sign = (1 if k else -1) * (1 if a.subs(beta, sample) > 0 else -1)
    root = _Product.of(b**2 - 4 * a * c, beta, sample).square_root()
    return sp.factor_terms((sign * root - b) / (2 * sp.factor(a)))


def _defining(fall: sp.Expr, beta: sp.Symbol) -> sp.Expr:
    """Return a polynomial in `R` and beta that vanishes at R = fall, a formula with one square root at most."""
    radicals = [p for p in fall.atoms(sp.Pow) if p.exp == sp.Rational(1, 2) and p.has(beta)]
    product = R - fall
    for radical in radicals:
        product = sp.expand(product * product.subs(radical, -radical))
    return sp.numer(sp.together(product))


def _image(rho: sp.Poly, sigma: sp.Poly, start: sp.Expr, defining: sp.Expr) -> sp.Expr:
    """Return the polynomial in `X` whose zeros are -rho(r)/sigma(r), r = (1 - R) start, over the zeros R."""
    at = [p.as_expr().subs(ZETA, (1 - R) * start) for p in (rho, sigma)]
    return sp.resultant(defining, sp.numer(sp.together(at[0] + X * at[1])), R)


def _value(rho: sp.Poly, sigma: sp.Poly, r: sp.Expr) -> sp.Expr:
    """Return x = -rho(r)/sigma(r) to about 50 digits."""
    number = sp.N(r, 60)
    return -rho.eval(number) / sigma.eval(number)
