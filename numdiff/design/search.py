r"""Exact optimisation over one parameter.

Every quantity here (error constant, end of a stability interval) is a piecewise algebraic function of the parameter b,
and every requirement ("x* >= 3", "parasitic roots within modulus 2/3") changes only where some polynomial in b
vanishes. The real zeros of

- the polynomials at which a piece of the objective ends, or its derivative vanishes: with F(X, b) = 0 the relation
  between X = x* and b, the resultant of F and dF/db in X;
- the polynomials at which a requirement holds with equality;

cut the domain into open cells. On each of them every requirement holds throughout or nowhere, which one rational
sample decides, and the objective is monotone. So the best value is a limit at an end of an admissible cell, and that
end is an algebraic number. Limits are taken from inside the cell: requirements that are closed conditions then hold at
the end itself. An admissible point between two cells that are not is not looked for.

Zeros are isolated in rational arithmetic (`numdiff.symbolic.segments`). Values of the objective at the few ends are
compared to 40 digits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import sympy as sp

from numdiff.symbolic.critical import X, cleared, critical_polynomials, irreducible
from numdiff.symbolic.intervals import interval
from numdiff.symbolic.polynomials import ZETA, Z, to_fraction, to_sympy
from numdiff.symbolic.rootcondition import satisfies_root_condition
from numdiff.symbolic.segments import isolate

DIGITS = 40
NEAR = sp.Rational(1, 10**DIGITS)
"""How far inside a cell a limit at its end is evaluated."""

INFINITE = 10**10
"""What a value so near an end exceeds only where it has a pole of order 1/4 or more."""


@dataclass(frozen=True)
class Quantity:
    """A piecewise algebraic function of the parameter.

    Parameters
    ----------
    at
        Its value at a rational parameter.
    relations
        Polynomials F(X, b), one of which vanishes at X = the value, wherever it is finite.
    breaks
        Polynomials in b at whose zeros the formula changes.
    """

    at: Callable[[sp.Rational], sp.Expr]
    relations: tuple[sp.Poly, ...]
    breaks: tuple[sp.Poly, ...] = ()

    def equals(self, value: Any) -> list[sp.Poly]:
        """Return the polynomials in b that vanish where the quantity is `value`."""
        return [F.eval(X, sp.sympify(value)) for F in self.relations]

    def turns(self, b: sp.Symbol) -> list[sp.Poly]:
        """Return the polynomials in b that vanish where the derivative does."""
        found = [sp.resultant(F.as_expr(), F.diff(b).as_expr(), X) for F in self.relations if not F.diff(b).is_zero]
        return [sp.Poly(p, b) for p in found]

    def exactly(self, b: sp.Symbol, minimal: sp.Poly, position: sp.Expr, value: sp.Expr) -> sp.Expr:
        """Return the algebraic number near `value` that the quantity is at the zero `position` of `minimal`."""
        candidates = []
        for F in self.relations:
            R = F.eval(b, position) if position.is_Rational else _eliminated(F, minimal, b)
            candidates += list(sp.Poly(R, X, domain="QQ").real_roots()) if R != 0 else []
        best = min(candidates, key=lambda r: abs(sp.N(r - value, DIGITS)), default=None)
        if best is None or abs(sp.N(best - value, DIGITS)) > sp.Rational(1, 10**15):
            return value  # infinite
        return best


def _eliminated(F: sp.Poly, minimal: sp.Poly, b: sp.Symbol) -> sp.Expr:
    return sp.resultant(F.as_expr(), minimal.as_expr(), b)


@dataclass(frozen=True)
class Requirement:
    """A condition on the parameter: `holds` decides it at a rational one; it changes at zeros of `boundaries` only."""

    holds: Callable[[sp.Rational], bool]
    boundaries: tuple[sp.Poly, ...]


@dataclass(frozen=True)
class Optimum:
    """Where the objective is best: the exact position, its polynomial, the limit there, a rational point inside."""

    position: sp.Expr
    minimal: sp.Poly
    value: sp.Expr
    inside: sp.Rational
    cells: int


def interval_quantity(pi: sp.Poly, axis: str, b: sp.Symbol, domain: Sequence[Any]) -> Quantity:
    """Return x* (or y*) of a stability polynomial with one parameter."""
    formula = interval(pi, axis, domain)
    relations = [sp.Poly(F.as_expr(), X, b) for F in irreducible(critical_polynomials(cleared(pi)[0], axis))[0]]
    if axis == "imaginary":  # the critical polynomials are in y^2
        relations = [sp.Poly(F.as_expr().subs(X, X**2), X, b) for F in relations]
    conditions = formula.args if isinstance(formula, sp.Piecewise) else ()
    edges = [condition.rhs for _, condition in conditions if condition is not sp.true]
    breaks = tuple(sp.Poly(sp.minimal_polynomial(edge, b), b) for edge in edges)
    return Quantity(lambda q: sp.N(formula.subs(b, q), DIGITS + 10), tuple(relations), breaks)


def rational_quantity(formula: sp.Expr, b: sp.Symbol) -> Quantity:
    """Return |formula| for a rational function of the parameter."""
    top, bottom = sp.fraction(sp.cancel(formula))
    relation = tuple(sp.Poly(X * bottom - sign * top, X, b) for sign in (1, -1))
    edges = tuple(sp.Poly(part, b) for part in (top, bottom) if part.has(b))
    return Quantity(lambda q: abs(sp.N(formula.subs(b, q), DIGITS + 10)), relation, edges)


def within_disc(polynomial: sp.Expr, radius: Any, b: sp.Symbol) -> Requirement:
    """Require that the zeros in zeta of a polynomial in zeta and b lie in the disc of that radius."""
    scaled = sp.numer(sp.together(polynomial.subs(ZETA, sp.sympify(radius) * ZETA)))
    along = sp.Poly(scaled.subs(b, -Z), ZETA, Z)
    if along.degree(ZETA) < 1:
        return Requirement(lambda q: True, ())
    with_b, alone = irreducible(critical_polynomials(along, "real"))
    found = [sp.Poly(F.as_expr().subs(X, b), b) for F in (*with_b, *alone) if F.has(X)]
    leading = sp.Poly(sp.LC(scaled, ZETA), b)

    def holds(q: sp.Rational) -> bool:
        coefficients = sp.Poly(scaled.subs(b, q), ZETA).all_coeffs()[::-1]
        return satisfies_root_condition([(to_fraction(sp.Rational(c)), to_fraction(sp.S.Zero)) for c in coefficients])

    return Requirement(holds, (*found, leading, sp.Poly(b, b)))


def best(
    objective: Quantity,
    largest: bool,
    requirements: Iterable[Requirement],
    b: sp.Symbol,
    domain: Sequence[Any],
) -> Optimum:
    """Return the optimum over low < b <= high.

    Raises
    ------
    ValueError
        If no parameter meets the requirements, or the objective improves towards an end that is not in the domain.
    """
    requirements = list(requirements)
    low, high = map(sp.Rational, domain)
    polynomials = [sp.Poly(b - low, b), sp.Poly(b - high, b), *objective.breaks, *objective.turns(b)]
    polynomials += [p for r in requirements for p in r.boundaries]
    factors = _factors(polynomials)
    zeros = isolate(factors, low, high)
    sign, found = (1 if largest else -1), []
    for left, right in pairwise(zeros):
        sample = to_sympy((left[1] + right[0]) / 2)
        if all(r.holds(sample) for r in requirements):
            for (a, c, owner), side in ((left, 1), (right, -1)):
                position = _position(factors[owner], a, c)
                value = objective.at(_beside(position, side))
                found.append((sign * value, position != low, position, factors[owner], value, sample))
    if not found:
        raise ValueError(f"no {b} in ({low}, {high}] meets the requirements; relax one of them")
    most = max(entry[0] for entry in found)
    attained = [e for e in found if e[1] and e[0] > most - sp.Rational(1, 10**20)]
    if most is sp.oo or not attained:
        entry = max(found, key=lambda e: e[0])
        limit = "infinite" if abs(entry[4]) > INFINITE else sp.N(entry[4], 6)
        raise ValueError(
            f"the best value, {limit}, is only approached as {b} tends to {entry[2]} and not attained; add a "
            "requirement that bounds the parameter, such as error_constant= or parasitic="
        )
    _, _, position, minimal, value, sample = attained[0]
    return Optimum(position, minimal, value, sample, len(zeros) - 1)


def _factors(polynomials: Iterable[sp.Poly]) -> list[sp.Poly]:
    """Return the distinct irreducible factors."""
    found = (p for p in polynomials if not p.is_zero)
    return list(dict.fromkeys(f.monic() for p in found for f, _ in p.set_domain("QQ").factor_list()[1]))


def _position(polynomial: sp.Poly, low: Any, high: Any) -> sp.Expr:
    """Return the isolated zero as an exact number."""
    if low == high:
        return to_sympy(low)
    return next(r for r in polynomial.real_roots() if to_sympy(low) <= r <= to_sympy(high))


def _beside(position: sp.Expr, side: int) -> sp.Rational:
    """Return a rational number next to the position, on that side of it."""
    near = position if position.is_Rational else sp.Rational(str(sp.N(position, DIGITS + 15)))
    return near + side * NEAR
