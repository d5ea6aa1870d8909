r"""Stability intervals in closed form.

The real stability interval is the largest (-x*, 0) and the imaginary one the largest (-i y*, i y*) on which the
stability polynomial satisfies the root condition. (Single points inside, at which roots meet on the circle and part
again, are not looked for.) For numbers, see `numdiff.symbolic.segments`.

**A symbolic parameter beta.** The critical points are the real zeros of polynomials F_i(X, beta). Along beta their
number and their order can change only where

    lead_X F_i = 0,    F_i(0, beta) = 0,    disc_X F_i = 0,    res_X(F_i, F_j) = 0,    or a coefficient of pi has a
    pole.

Between two such breakpoints the arrangement of curves and stable segments is fixed, so one rational beta shows which
zero of which F_i ends the interval there: cylindrical algebraic decomposition in the plane. Where F_i has degree 1 or 2
in X that zero is a formula, else a `CriticalRoot`. Rational breakpoints are worked out as well and get a line of their
own where they differ from the formula beside them; at irrational ones the formula on the left is taken to continue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations, pairwise
from typing import Any

import sympy as sp

from numdiff.symbolic.critical import AXES, X, cleared, critical_polynomials, irreducible
from numdiff.symbolic.polynomials import parameters, to_sympy
from numdiff.symbolic.segments import Isolated, endpoint, is_stable, is_stable_rounded, isolate

__all__ = ["DAMPING", "CriticalRoot", "interval"]

Piece = tuple[sp.Expr, Any]

DAMPING = (0, 2)
"""Where a symbolic parameter varies unless told otherwise: the dampings for which momentum is zero-stable."""


class CriticalRoot(sp.Function):
    """The k-th real zero (from 0, ascending) of a polynomial; a number once the polynomial has no symbols left.

    Where the polynomial has fewer real zeros than that, there is no such number: ``nan``.

    Parameters
    ----------
    k
        Which zero, counted from 0 at the smallest, with multiplicity.
    polynomial
        A SymPy ``Lambda`` from X to the polynomial.

    Examples
    --------
    >>> import sympy as sp
    >>> from numdiff.symbolic.intervals import CriticalRoot
    >>> X, beta = sp.symbols("X beta")
    >>> root = CriticalRoot(2, sp.Lambda(X, X**3 - 3 * X + beta))    # the largest of three, where there are three
    >>> root.has(CriticalRoot), root.subs(beta, 2), root.subs(beta, 0)
    (True, 1, sqrt(3))
    >>> root.subs(beta, 3)                                                # one real zero is left
    nan
    """

    nargs = 2

    @classmethod
    def eval(cls, k: Any, polynomial: Any) -> Any:
        """Return the algebraic number when there are no symbols left; nan where there is none."""
        if polynomial.free_symbols:
            return None
        zeros = sp.Poly(sp.nsimplify(polynomial(X), rational=True), X).real_roots()
        return zeros[int(k)] if int(k) < len(zeros) else sp.nan


def interval(pi: sp.Poly, axis: str, domain: Sequence[Any] = DAMPING, *, rounded: bool = False) -> sp.Expr:
    """Return x* or y* exactly.

    Parameters
    ----------
    pi
        Stability polynomial in `ZETA` and `Z` with rational coefficients, or rational in one parameter.
    axis
        "real" or "imaginary".
    domain
        Where a symbolic parameter varies, low < beta <= high, two rationals.
    rounded
        Whether the coefficients are rounded: they are then numbers, and must decide for all that lie close to them.

    Returns
    -------
    Expr
        A number (0 where no interval exists, oo where it never ends), or a formula or ``Piecewise`` in the parameter,
        valid on `domain`.

    Raises
    ------
    ValueError
        For an unknown axis, an empty domain, more than one parameter, or coefficients that are not rational; for
        rounded ones with a parameter in them, or whose rounding decides.

    Examples
    --------
    >>> import sympy as sp
    >>> import numdiff as nd
    >>> from numdiff.symbolic import intervals, polynomials
    >>> pi = polynomials.stability_polynomial(nd.GHVB(2, sp.Symbol("beta", positive=True)).steady())
    >>> intervals.interval(pi, "real")
    2 - beta
    """
    if axis not in AXES:
        raise ValueError(f'axis must be "real" or "imaginary", got {axis!r}')
    pi, denominator = cleared(pi)
    symbols = parameters(pi)
    rational = pi.domain.is_ZZ or pi.domain.is_QQ or (pi.domain.is_Poly and set(pi.domain.symbols) == set(symbols))
    if len(symbols) > 1 or not rational:
        raise ValueError(
            f"the stability polynomial has coefficients in {pi.domain}; an interval needs rational numbers, or one "
            "parameter that enters rationally: give numbers for the other symbols, and a float for h"
        )
    if symbols and rounded:
        raise ValueError(
            f"the coefficients of the step are floats beside the symbol {symbols[0]}, and a formula in it needs exact "
            "numbers there; pass the method itself, or a step with numbers such as fractions.Fraction(1, 3)"
        )
    if symbols:
        return _over_parameter(pi, denominator, axis, *map(sp.Rational, domain))
    return _number(pi, axis, is_stable_rounded if rounded else is_stable)


def _shown(value: sp.Expr, axis: str) -> sp.Expr:
    """Return x* from X, or y* from X = y*^2."""
    return value if axis == "real" else sp.sqrt(value)


def _number(pi: sp.Poly, axis: str, stable: Callable[[sp.Poly, str, Fraction], bool] = is_stable) -> sp.Expr:
    """Return the end of the interval for a polynomial without parameters."""
    factors, _ = irreducible(critical_polynomials(pi, axis))
    end = endpoint(pi, factors, axis, stable)
    if end.owner is None:
        return sp.Integer(0) if end.bounded else sp.oo
    return _shown(factors[end.owner].real_roots()[end.index], axis)


# --- one parameter ---


def _over_parameter(pi: sp.Poly, denominator: sp.Expr, axis: str, low: sp.Rational, high: sp.Rational) -> sp.Expr:
    """Return the formula, or the pieces, on low < beta <= high."""
    if not low < high:
        raise ValueError(f"domain must be (low, high) with low < high, got ({low}, {high})")
    (beta,) = parameters(pi)
    factors, alone = irreducible(critical_polynomials(pi, axis))
    ends = [sp.Poly(beta - low, beta), sp.Poly(beta - high, beta)]
    projection = _distinct([*ends, *_projection(factors, alone, denominator, beta)])
    zeros = isolate(projection, low, high)
    samples = [to_sympy((left[1] + right[0]) / 2) for left, right in pairwise(zeros)]
    formulas = [_formula(pi, factors, axis, beta, sample) for sample in samples]
    pieces: list[Piece] = [(formulas[0], sp.true)]
    for zero, formula in zip(zeros[1:-1], formulas[1:], strict=True):
        position = _position(projection[zero[2]], zero)
        value = _number(_at(pi, beta, position), axis) if position.is_Rational else None
        pieces = _join(pieces, formula, beta, position, value)
    pieces = _closed(
        pieces, beta, high, _number(_at(pi, beta, high), axis) if denominator.subs(beta, high) != 0 else None
    )
    return pieces[0][0] if len(pieces) == 1 else sp.Piecewise(*pieces)


def _join(
    pieces: list[Piece], formula: sp.Expr, beta: sp.Symbol, position: sp.Expr, value: sp.Expr | None
) -> list[Piece]:
    """Append the formula that holds beyond `position`, where the interval ends at `value` (None: not worked out)."""
    *before, (last, _) = pieces
    left, right = (value is None or _equal(f.subs(beta, position), value) for f in (last, formula))
    if not left and not right:
        before.append((value, sp.Eq(beta, position)))
    if last == formula:
        return [*before, (formula, sp.true)]
    return [*before, (last, beta <= position if left else beta < position), (formula, sp.true)]


def _closed(pieces: list[Piece], beta: sp.Symbol, high: sp.Rational, value: sp.Expr | None) -> list[Piece]:
    """Put the value at the upper end of the domain first, where the last formula does not give it."""
    if value is None or _equal(pieces[-1][0].subs(beta, high), value):
        return pieces
    return [(value, sp.Eq(beta, high)), *pieces]


def _equal(a: sp.Expr, b: sp.Expr) -> bool:
    """Compare two real algebraic numbers to 30 digits, where different ends of one interval differ by far more."""
    return bool(a == b or (a.is_finite and b.is_finite and abs(sp.N(a - b, 40, chop=True)) < sp.Rational(1, 10**30)))


def _position(polynomial: sp.Poly, zero: Isolated) -> sp.Expr:
    """Return the isolated zero as an exact number."""
    if zero[0] == zero[1]:
        return to_sympy(zero[0])
    return next(r for r in polynomial.real_roots() if zero[0] < r < zero[1])


def _distinct(polynomials: Iterable[sp.Poly]) -> list[sp.Poly]:
    """Return the distinct irreducible factors of polynomials in one variable."""
    return list(dict.fromkeys(factor.monic() for p in polynomials if not p.is_zero for factor, _ in p.factor_list()[1]))


def _projection(
    factors: Sequence[sp.Poly], alone: Sequence[sp.Poly], denominator: sp.Expr, beta: sp.Symbol
) -> list[sp.Poly]:
    """Return the polynomials in beta at whose zeros the arrangement of critical points may change."""
    found: list[Any] = [denominator, *(p.as_expr() for p in alone)]
    for f in factors:
        found += [sp.LC(f.as_expr(), X), f.as_expr().subs(X, 0), sp.discriminant(f.as_expr(), X)]
    found += [sp.resultant(f.as_expr(), g.as_expr(), X) for f, g in combinations(factors, 2)]
    return [sp.Poly(p, beta) for p in found]


def _formula(pi: sp.Poly, factors: Sequence[sp.Poly], axis: str, beta: sp.Symbol, sample: sp.Rational) -> sp.Expr:
    """Return the end of the interval as a function of beta, on the cell that contains `sample`."""
    end = endpoint(_at(pi, beta, sample), [_at(f, beta, sample) for f in factors], axis)
    if end.owner is None:
        return sp.Integer(0) if end.bounded else sp.oo
    factor = factors[end.owner].as_expr()
    a, *rest = sp.Poly(factor, X).all_coeffs()
    if len(rest) > 2:
        return _shown(CriticalRoot(end.index, sp.Lambda(X, factor)), axis)
    if len(rest) == 1:
        value = _Product.of(-rest[0] / a, beta, sample)
        return value.expr() if axis == "real" else value.square_root()
    b, c = rest
    sign = (1 if end.index else -1) * (1 if a.subs(beta, sample) > 0 else -1)
    root = _Product.of(b**2 - 4 * a * c, beta, sample).square_root()
    return _shown(sp.factor_terms((sign * root - b) / (2 * sp.factor(a))), axis)


@dataclass(frozen=True)
class _Product:
    """A positive rational function as constant and factors, all positive on the cell: 6/11, (2 - beta)^1, beta^-1."""

    constant: sp.Rational
    factors: tuple[tuple[sp.Expr, int], ...]

    @classmethod
    def of(cls, value: sp.Expr, beta: sp.Symbol, sample: sp.Rational) -> _Product:
        """Factor `value`, which is positive at the sample."""
        constant, found = sp.Integer(1), []
        for part, sign in zip(sp.fraction(sp.cancel(value)), (1, -1), strict=True):
            content, factors = sp.factor_list(part, beta)
            constant *= abs(content) ** sign
            found += [(f if f.subs(beta, sample) > 0 else -f, sign * power) for f, power in factors]
        return cls(constant, tuple(found))

    def expr(self) -> sp.Expr:
        """Return the product; the constant comes last, or SymPy would multiply it into a factor."""
        return sp.Mul(*(f**power for f, power in self.factors)) * self.constant

    def square_root(self) -> sp.Expr:
        """Return the square root with the squares drawn out of it."""
        outside = sp.Mul(*(f ** (power // 2) for f, power in self.factors))
        inside = sp.Mul(*(f for f, power in self.factors if power % 2))
        return outside * sp.sqrt(inside) * sp.sqrt(self.constant)


def _at(polynomial: sp.Poly, beta: sp.Symbol, value: sp.Rational) -> sp.Poly:
    """Return the polynomial with a number for beta."""
    gens = [g for g in polynomial.gens if g != beta]
    return sp.Poly(polynomial.as_expr().subs(beta, value), *gens, domain="QQ")
