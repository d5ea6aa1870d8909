"""Weights in a form that can be read, and the step ratios and lengths that they are written in."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from math import isfinite
from typing import Any

import sympy as sp

from numdiff.methods.multistep import Multistep
from numdiff.symbolic.phi import phi
from numdiff.symbolic.polynomials import tidy, to_sympy
from numdiff.weights import tidy as lowest

RATIO = sp.Symbol("r", positive=True)
"""The step ratio of a geometric grid."""


def ratio_symbols(method: Any) -> tuple[sp.Symbol, ...]:
    """Return the step ratios r_1 = h_n/h_{n-1}, r_2 = h_{n-1}/h_{n-2}, ... that the weights of a method depend on.

    Parameters
    ----------
    method
        A multistep or predictor-corrector method.

    Returns
    -------
    tuple of Symbol

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.symbolic import closed_forms
    >>> closed_forms.ratio_symbols(nd.AdamsBashforth(3))
    (r_1, r_2)
    """
    return tuple(sp.symbols(f"r_1:{method.points}", positive=True))


def step_length(method: Any, h: Any) -> sp.Expr | None:
    """Return the length of an exponential step as an exact number, None if it is to stay a symbol; floats as decimals.

    Parameters
    ----------
    method
        A method.
    h
        A positive number, or None.

    Returns
    -------
    Expr or None

    Raises
    ------
    ValueError
        If the method does not depend on it, or it is not positive.
    TypeError
        If it is no number.

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.symbolic import closed_forms
    >>> closed_forms.step_length(nd.DPMSolverPP(2), 0.1), closed_forms.step_length(nd.DPMSolverPP(2), None)
    (1/10, None)
    """
    if h is None:
        return None
    if not method.kernel:
        raise ValueError(
            f"h = {h} was given, but {method} does not depend on the step length (its kernel exponent is 0); drop h"
        )
    value = to_sympy(Fraction(repr(h)) if type(h) is float and isfinite(h) else h, "h")
    if not value.is_number:
        raise TypeError(f"h must be a number, got {h!r}; leave it out to keep the symbol h")
    if not value.is_positive:
        raise ValueError(f"h must be positive, got {h}")
    return value


def remembers(method: Any) -> bool:
    """Tell whether the weights depend on every past step, not only on those between the method's nodes.

    Parameters
    ----------
    method
        A method.

    Returns
    -------
    bool

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.symbolic import closed_forms
    >>> closed_forms.remembers(nd.GHVB(3, 0.8)), closed_forms.remembers(nd.AdamsBashforth(3))
    (True, False)
    """
    if not isinstance(method, Multistep):
        return False
    try:
        method.state_at((1, 2))
    except ValueError:
        return True
    return False


def free_ratios(method: Any) -> tuple[sp.Symbol, ...]:
    """Return the most general ratios that `weights` takes: r_1, r_2, ..., or r, r, ... where a filter remembers.

    Parameters
    ----------
    method
        A multistep or predictor-corrector method.

    Returns
    -------
    tuple of Symbol

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.symbolic import closed_forms
    >>> closed_forms.free_ratios(nd.AdamsBashforth(3)), closed_forms.free_ratios(nd.GHVB(3, 0.8))
    ((r_1, r_2), (r, r))
    """
    return (RATIO,) * (method.points - 1) if remembers(method) else ratio_symbols(method)


def readable(value: Any) -> sp.Expr:
    """Return a weight in lowest terms: in factors, or as a factor times a sum of factors times phi_m(ch).

    Parameters
    ----------
    value
        A number or SymPy expression.

    Returns
    -------
    Expr

    Examples
    --------
    >>> import sympy as sp
    >>> from numdiff.symbolic import closed_forms
    >>> beta = sp.Symbol("beta")
    >>> closed_forms.readable((1 - beta**2) / (2 * beta - 2 * beta**2))
    (beta + 1)/(2*beta)
    """
    return _readable(to_sympy(value))


@cache
def _readable(value: sp.Expr) -> sp.Expr:
    phis = sorted(value.atoms(phi), key=lambda f: (str(f.args[1]), f.args[0]))
    if not phis:
        return tidy(value)
    numerator, denominator = sp.fraction(lowest([value])[0])
    linear = sp.Poly(numerator, *phis)
    if not linear.is_homogeneous or linear.total_degree() != 1 or denominator.has(*phis):
        return tidy(value)
    shared = sp.gcd_list(linear.coeffs())
    factors = [tidy(c / shared) for c in linear.coeffs()]
    if factors[0].could_extract_minus_sign():
        shared, factors = -shared, [tidy(-c) for c in factors]
    inside = [
        c * sp.prod(f**e for f, e in zip(phis, m, strict=True)) for c, m in zip(factors, linear.monoms(), strict=True)
    ]
    return sp.factor(shared / denominator) * sp.Add(*inside)  # not `tidy`: a minus sign reads better in front
