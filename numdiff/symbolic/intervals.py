r"""Stability intervals in closed form.

The real stability interval is the largest (-x*, 0) and the imaginary one the largest (-i y*, i y*) on which the stability polynomial satisfies the
root condition. (Single points inside at which roots meet on the circle and part again are not looked for.)

**Numbers.** Between two neighbouring critical points (`numdiff.symbolic.critical`) the number of roots outside the circle is constant, so one
rational point decides a whole segment, by Miller's exact criterion. The interval ends with the last segment in a row from 0 that passes.
Real roots are isolated by rational intervals, never by floating point, so the answer is an exact algebraic number.

**A symbolic parameter beta.** The critical points are the real zeros of polynomials F_i(X, beta). Along beta their number and their order can change only where

    lead_X F_i = 0,    F_i(0, beta) = 0,    disc_X F_i = 0,    res_X(F_i, F_j) = 0,    or a coefficient of pi has a pole.

Between two such breakpoints the arrangement of curves and stable segments is fixed, so one rational beta, treated as above, shows which zero of which F_i ends
the interval there; where F_i has degree 1 or 2 in X that is a formula, else a `CriticalRoot`. (This is cylindrical algebraic decomposition in the
plane.) At rational breakpoints the interval is worked out too, and gets a line of its own where it differs from both sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp

from numdiff.symbolic.critical import AXES, X, cleared, critical_polynomials, irreducible, on_axis
from numdiff.symbolic.polynomials import ZETA, Z, parameters
from numdiff.symbolic.rootcondition import satisfies_root_condition

DAMPING = (0, 2)
"""Where a symbolic parameter varies unless told otherwise: the dampings for which momentum is zero-stable."""


class CriticalRoot(sp.Function):
    """The k-th real zero in X (counted from 0, ascending) of a polynomial of degree 3 or more; a number once its parameter is one.

    Arguments: k and a SymPy ``Lambda`` from X to the polynomial.
    """

    nargs = 2

    @classmethod
    def eval(cls, k: Any, polynomial: Any) -> Any:
        """Return the algebraic number when the polynomial has no symbols left."""
        if polynomial.free_symbols:
            return None
        return sp.Poly(polynomial(X), X).real_roots()[int(k)]


@dataclass(frozen=True)
class Endpoint:
    """Where an interval ends: at 0 (`factor` None, `bounded`), nowhere (not `bounded`), or at real zero `index` of `factor`."""

    factor: sp.Poly | None = None
    index: int = 0
    bounded: bool = True

    def value(self) -> sp.Expr:
        """Return the exact number, for a polynomial without parameters."""
        if self.factor is None:
            return sp.Integer(0) if self.bounded else sp.oo
        return self.factor.real_roots()[self.index]


def interval(pi: sp.Poly, axis: str, domain: Sequence[Any] = DAMPING) -> sp.Expr:
    """Return x* or y* exactly.

    Parameters
    ----------
    pi
        Stability polynomial in `ZETA` and `Z` with rational coefficients, or rational in one parameter.
    axis
        "real" or "imaginary".
    domain
        The open interval in which a symbolic parameter varies, two rationals.

    Returns
    -------
    Expr
        A number (0 where no interval exists, oo where it never ends), or a formula or ``Piecewise`` in the parameter, valid on `domain`.

    Raises
    ------
    ValueError
        For an unknown axis, an empty domain, more than one parameter, or coefficients that are not rational.
    """
    if axis not in AXES:
        raise ValueError(f'axis must be "real" or "imaginary", got {axis!r}')
    pi, denominator = cleared(pi)
    symbols = parameters(pi)
    if not (pi.domain.is_ZZ or pi.domain.is_QQ or (pi.domain.is_Poly and len(pi.domain.symbols) == 1 == len(symbols))):
        raise ValueError(
            f"the stability polynomial has coefficients in {pi.domain}; intervals need rational numbers or one parameter that enters "
            "rationally: give numbers for the other symbols (and a float for sqrt, exp and phi)"
        )
    squared = _over_parameter(pi, denominator, axis, domain) if symbols else _numeric(pi, axis).value()
    return squared if axis == "real" else _root(squared)


def _root(squared: sp.Expr) -> sp.Expr:
    """Return y* from Y* = y*^2."""
    if isinstance(squared, sp.Piecewise):
        return sp.Piecewise(*((sp.sqrt(value), condition) for value, condition in squared.args))
    return sp.sqrt(squared)


# --- numbers ---


def is_stable(pi: sp.Poly, axis: str, point: Any) -> bool:
    """Decide the root condition at the rational point X = `point` (y^2 on the imaginary axis, where any rational y^2 > 0 will do)."""
    real, imaginary = ([sp.Rational(c.eval(point)) for c in part] for part in on_axis(pi, axis))
    if axis == "real":
        return satisfies_root_condition([(_fraction(c), _fraction(0)) for c in real])
    y = _rational_root(point)
    return satisfies_root_condition([(_fraction(a), _fraction(y * b)) for a, b in zip(real, imaginary, strict=True)])
