r"""Design: the value of a free parameter that is best for an objective under requirements, exactly.

The family is a method with one SymPy symbol b among its parameters. Its steady tableau gives the error constant C(b)
and the stability polynomial, hence the intervals x*(b), y*(b) (`numdiff.symbolic.intervals`), all algebraic in b, and
`numdiff.design.search` finds the optimum as an algebraic number. Requirements:

    real_interval = X         x* >= X
    imaginary_interval = Y    y* >= Y
    error_constant = c        |C| <= c
    parasitic = m             the roots of rho other than 1 have modulus at most m
    damping = (x, d)          all roots have modulus at most d at z = -x

Zero-stability is always required.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import sympy as sp

from numdiff.design.search import (
    Optimum,
    Quantity,
    Requirement,
    best,
    interval_quantity,
    rational_quantity,
    within_disc,
)
from numdiff.symbolic.intervals import DAMPING
from numdiff.symbolic.multistep import classical_order
from numdiff.symbolic.polynomials import ZETA, Z, multistep_pair, stability_polynomial, to_fraction
from numdiff.symbolic.steady import H, depends_on, exact_method, steady


@dataclass(frozen=True)
class Design:
    """A designed method and what is proved of it.

    Parameters
    ----------
    method
        The member of the family at the exact value: it runs at once.
    symbol, value
        The free parameter and its exact value.
    order, error_constant, real_interval
        Order of consistency (zero-stability was required), C, and x*, exact.
    proof
        How the optimum is known to be one.
    nearby
        A member with a rational parameter that meets the requirements too, to within 10^-6 of the value or closer
        where the admissible cell is narrower; equal to `method` where the value is rational.

    Examples
    --------
    >>> import sympy as sp
    >>> import numdiff as nd
    >>> found = nd.design.smallest_error(nd.GHVB(3, sp.Symbol("beta")), real_interval=0.9)
    >>> found.value, found.real_interval, found.error_constant
    (4/17, 9/10, 83/48)
    >>> scheme = found.method.discretize(nd.schedules.VPLinear(), [1.0, 0.5, 0.1, 1e-3])     # it runs at once
    >>> scheme.steps
    3
    """

    method: Any
    symbol: sp.Symbol
    value: sp.Expr
    order: int
    error_constant: sp.Expr
    real_interval: sp.Expr
    proof: str
    nearby: Any


@dataclass(frozen=True)
class _Family:
    """What the tableau of a family says about it as functions of its symbol."""

    method: Any
    symbol: sp.Symbol
    domain: tuple[Any, Any]
    pi: sp.Poly
    order: int
    error: sp.Expr

    @classmethod
    def of(cls, method: Any, domain: tuple[Any, Any]) -> _Family:
        method = exact_method(method)
        tableau = steady(method)
        free = sorted(symbols(method), key=str)
        if len(free) != 1:
            raise ValueError(
                f"{method} has {len(free)} free parameters, and a design solves for one: put one SymPy symbol in "
                "place of a parameter and numbers, or expressions in that symbol, for the others"
            )
        if depends_on(tableau, H):
            raise ValueError(
                f"{method} depends on the step length h; design it in a formulation of kernel exponent 0 (ratio or "
                "time) and use the parameters found in any other"
            )
        order, error = classical_order(*multistep_pair(tableau))
        return cls(method, free[0], domain, stability_polynomial(tableau), order, error)

    @cache  # noqa: B019  # a frozen value: what it refers to is small
    def quantity(self, name: str) -> Quantity:
        """Return a quantity by its name."""
        if name == "error_constant":
            return rational_quantity(self.error, self.symbol)
        return interval_quantity(self.pi, name.removesuffix("_interval"), self.symbol, self.domain)

    def rho(self) -> sp.Expr:
        """Return rho over its root 1."""
        at_zero = sp.Poly(self.pi.as_expr().subs(Z, 0), ZETA)
        return sp.quo(at_zero, sp.Poly(ZETA - 1, ZETA)).as_expr()

    def member(self, value: sp.Expr) -> Any:
        return substituted(self.method, self.symbol, value)


def solve(
    family: Any,
    *,
    maximize: str | None = None,
    minimize: str | None = None,
    real_interval: Any = None,
    imaginary_interval: Any = None,
    error_constant: Any = None,
    parasitic: Any = None,
    damping: tuple[Any, Any] | None = None,
    domain: tuple[Any, Any] = DAMPING,
) -> Design:
    """Return the member of a family that is best for the objective and meets the requirements.

    Parameters
    ----------
    family
        A multistep method of kernel exponent 0 with one SymPy symbol among its parameters.
    maximize, minimize
        One of them: ``maximize="real_interval"`` or ``"imaginary_interval"``, ``minimize="error_constant"``.
    real_interval, imaginary_interval, error_constant, parasitic, damping
        Requirements, rational numbers (floats are read as the decimals they print as);
        each at its value or better. ``parasitic = m``: the roots of rho other than 1 have modulus at most m.
        ``damping = (x, d)``: all roots have modulus at most d at z = -x. Zero-stability is always required.
    domain
        Where the symbol varies, low < b <= high.

    Returns
    -------
    Design

    Raises
    ------
    ValueError
        If the family has not exactly one symbol, no member meets the requirements, or the best value is only
        approached.

    Examples
    --------
    >>> import sympy as sp, numdiff as nd
    >>> beta = sp.Symbol("beta")
    >>> nd.design.solve(nd.GHVB(2, beta), minimize="error_constant", real_interval=sp.Rational(3, 2)).value
    1/2
    """
    objective, largest = _objective(maximize, minimize)
    known = _Family.of(family, _interval(domain))
    b = known.symbol
    quantity = known.quantity
    needs = [within_disc(known.rho(), 1, b)]
    bounds = (("real_interval", real_interval), ("imaginary_interval", imaginary_interval))
    needs += [_bounded(quantity(name), _rational(name, x), 1) for name, x in bounds if x is not None]
    if error_constant is not None:
        needs.append(_bounded(quantity("error_constant"), _rational("error_constant", error_constant), -1))
    if parasitic is not None:
        needs.append(within_disc(known.rho(), _rational("parasitic", parasitic), b))
    if damping is not None:
        if not isinstance(damping, tuple) or len(damping) != 2:
            raise ValueError(f"damping must be a pair (x, d), all roots within d at z = -x, got {damping!r}")
        x, radius = (_rational("damping", value) for value in damping)
        needs.append(within_disc(known.pi.as_expr().subs(Z, -x), radius, b))
    found = best(quantity(objective), largest, needs, b, known.domain)
    return _result(known, found, f"{'largest' if largest else 'smallest'} {objective.replace('_', ' ')}")


def smallest_error(family: Any, *, real_interval: Any, **requirements: Any) -> Design:
    """Return the member of smallest error constant, in modulus, whose real interval is at least `real_interval`.

    Parameters
    ----------
    family, real_interval
        As in `solve`.
    **requirements
        Further requirements, and the domain, of `solve`.

    Returns
    -------
    Design

    Raises
    ------
    ValueError
        As `solve`.

    Examples
    --------
    Room up to z = -3/2 costs GHVB of order 2 a damping of 1/2, and more than twice the error constant of AB2:

    >>> import sympy as sp
    >>> import numdiff as nd
    >>> found = nd.design.smallest_error(nd.GHVB(2, sp.Symbol("beta")), real_interval=1.5)
    >>> found.value, found.error_constant
    (1/2, 11/12)
    """
    return solve(family, minimize="error_constant", real_interval=real_interval, **requirements)


def largest_interval(family: Any, **requirements: Any) -> Design:
    """Return the member of largest real stability interval.

    Parameters
    ----------
    family
        As in `solve`.
    **requirements
        Requirements, and the domain, of `solve`.

    Returns
    -------
    Design

    Raises
    ------
    ValueError
        As `solve`; where the interval grows towards an end that no member attains, a requirement has to bound it.

    Examples
    --------
    >>> import sympy as sp
    >>> import numdiff as nd
    >>> found = nd.design.largest_interval(nd.GHVB(3, sp.Symbol("beta")), error_constant=1)
    >>> found.value, found.real_interval
    (2/5, 24/29)
    """
    return solve(family, maximize="real_interval", **requirements)


def substituted(method: Any, symbol: sp.Symbol, value: Any) -> Any:
    """Return the method with a value for a symbol in its parameters, those of its base included."""
    changes = {}
    for field in dataclasses.fields(method):
        old = getattr(method, field.name)
        if isinstance(old, sp.Basic) and old.has(symbol):
            new = sp.cancel(old.subs(symbol, value)) if sp.sympify(value).is_Rational else _radical(old, symbol, value)
            changes[field.name] = to_fraction(new) if new.is_Rational else new
        elif dataclasses.is_dataclass(old) and hasattr(old, "steady"):
            changes[field.name] = substituted(old, symbol, value)
    return dataclasses.replace(method, **changes)


def _radical(formula: sp.Expr, symbol: sp.Symbol, value: Any) -> sp.Expr:
    """Return a rational function of an algebraic number with a rational denominator where radicals allow it."""
    found = formula.subs(symbol, value)
    return found if found.has(sp.CRootOf) or found.free_symbols else sp.radsimp(sp.expand(found))


def symbols(method: Any) -> set[sp.Symbol]:
    """Return the symbols among a method's parameters, those of its base included."""
    values = [getattr(method, field.name) for field in dataclasses.fields(method)]
    inner = [symbols(v) for v in values if dataclasses.is_dataclass(v) and hasattr(v, "steady")]
    return set().union(*(v.free_symbols for v in values if isinstance(v, sp.Basic)), *inner)


def _objective(maximize: str | None, minimize: str | None) -> tuple[str, bool]:
    given = [(name, largest) for name, largest in ((maximize, True), (minimize, False)) if name is not None]
    allowed = {("real_interval", True), ("imaginary_interval", True), ("error_constant", False)}
    if len(given) != 1 or given[0] not in allowed:
        raise ValueError(
            'give one objective: maximize="real_interval", maximize="imaginary_interval" or '
            f'minimize="error_constant", got maximize={maximize!r}, minimize={minimize!r}'
        )
    return given[0]


def _rational(name: str, value: Any, *, positive: bool = True) -> sp.Rational:
    """Return a number as the rational one that it prints as."""
    number = None
    if not isinstance(value, (bool, str)):
        try:
            number = sp.Rational(str(value)) if isinstance(value, float) else sp.Rational(value)
        except (TypeError, ValueError):
            number = None
    if number is None or not number.is_Rational or not number.is_finite or (positive and number <= 0):
        which = "a positive rational number" if positive else "rational numbers"
        raise ValueError(f"{name} must be {which}, got {value!r}; use a Fraction nearby")
    return number


def _interval(domain: Any) -> tuple[sp.Rational, sp.Rational]:
    """Return the domain of the symbol in rational numbers."""
    if not isinstance(domain, tuple) or len(domain) != 2:
        raise ValueError(f"domain must be a pair (low, high), got {domain!r}")
    low, high = (_rational("domain", value, positive=False) for value in domain)
    if not low < high:
        raise ValueError(f"domain must be (low, high) with low < high, got ({low}, {high})")
    return low, high


def _bounded(quantity: Quantity, bound: sp.Rational, sign: int) -> Requirement:
    """Require sign * quantity >= sign * bound."""
    return Requirement(
        lambda q: bool(sign * quantity.at(q) >= sign * bound), (*quantity.equals(bound), *quantity.breaks)
    )


def _result(known: _Family, found: Optimum, objective: str) -> Design:
    b, value = known.symbol, found.position
    side = 1 if sp.N(found.inside - value, 30) > 0 else -1
    exact = {}
    for name in ("error_constant", "real_interval"):
        quantity = known.quantity(name)
        near = sp.Rational(str(sp.N(value, 60))) + side * sp.Rational(1, 10**40)
        exact[name] = quantity.exactly(b, found.minimal, value, quantity.at(near))
    low, high = known.domain
    proof = (
        f"{objective} of {known.method} over {low} < {b} <= {high}: {found.cells} cells on which the objective is "
        f"monotone and every requirement decided by one rational sample; the optimum is the zero {b} = "
        f"{sp.N(value, 10)} of {found.minimal.as_expr()}"
    )
    nearby = known.member(value if value.is_Rational else _simple(value, found.inside))
    sign = sp.sign(known.error.subs(b, found.inside))
    return Design(
        known.member(value),
        b,
        value,
        known.order,
        sign * exact["error_constant"],
        exact["real_interval"],
        proof,
        nearby,
    )


def _simple(value: sp.Expr, inside: sp.Rational) -> sp.Rational:
    """Return a rational number of few digits between the value and `inside`, within 10^-6 of the value."""
    here, there = (Fraction(str(sp.N(x, 40))) for x in (value, inside))
    aim = here + max(min((there - here) / 2, Fraction(1, 10**6)), Fraction(-1, 10**6))
    denominator = 1
    while True:
        guess = aim.limit_denominator(denominator)
        if min(here, aim) < guess <= max(here, aim):
            return sp.Rational(guess.numerator, guess.denominator)
        denominator *= 2
