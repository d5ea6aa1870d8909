r"""Dominance: which method is at least as good as another in order, error constant and real interval.

a dominates b if order(a) >= order(b), |C(a)| <= |C(b)| and x*(a) >= x*(b), one of them strictly; all exact.

**What is possible.** An explicit zero-stable linear two-step method of order 2 has rho = (zeta-1)(zeta-1+beta) and two
coefficients in sigma for two conditions: it is GHVB(2, beta), and C = 5/12 + (1-beta)/(2 beta) and x* = 2 - beta both
decrease with beta. So no two-step method dominates GHVB(2), and a heavy ball of order 2 is GHVB(2) and nothing else.
Three steps are enough: `FilteredAdams` has methods of the same order and error constant and a longer interval,

- with a free error constant in place of the next order condition, or
- with momentum in the velocity (a second velocity).

`dominating` takes the member of each whose error constant is that of the given method and whose interval is longest.
With momentum every answer worked out so far lies on x* = 4 C + 2 for order 1, and on `StretchedAdams`, x* = 2 sqrt(4 C
- 2/3), for order 2; that this is so for every C is not proved. Where the optimum leaves no method that is strictly best
(x* grows towards a filter that never forgets), the bound on the parasitic roots decides.

**Second-order heavy balls.** x+ = x + h v+ with a filter of second order has order 2 exactly where 2 - beta - 2 gamma =
0, where the velocity does not lag behind f (`order_conditions`). The longest interval among them, 2, is that of
StretchedAdams(2): v+ = (4 f - v_before)/3, with the error constant of AB2.

Error constants of methods of different orders multiply different powers of the step: dominance by a higher order says
that the constant of the higher power is no larger either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from numdiff.design.solve import Design, largest_interval
from numdiff.formulations import Formulation
from numdiff.methods.base import Method
from numdiff.methods.filtered_adams import FilteredAdams
from numdiff.properties.order import certified, error_constant
from numdiff.properties.stability import real_interval
from numdiff.symbolic.intervals import DAMPING
from numdiff.symbolic.polynomials import multistep_pair
from numdiff.symbolic.steady import H, depends_on, exact_method, steady
from numdiff.weights import MAX_ORDER

BETA, GAMMA = sp.symbols("beta gamma")

MEMORY = Fraction(4, 5)
"""Largest parasitic root of a dominating method unless told otherwise: the memory of GHVB at its damping 0.2."""


@dataclass(frozen=True)
class Merits:
    """What a method is judged by: its order, its error constant C and x* of its real interval (-x*, 0), exact.

    Parameters
    ----------
    order
        Certified order.
    error_constant
        C, a SymPy number.
    real_interval
        x*, a SymPy number.

    Examples
    --------
    >>> import numdiff as nd
    >>> nd.design.merits(nd.AdamsBashforth(2))
    Merits(order=2, error_constant=5/12, real_interval=1)
    """

    order: int
    error_constant: sp.Expr
    real_interval: sp.Expr


def merits(method: Method | Design) -> Merits:
    """Return order, error constant and real interval, certified from the method's own tableau (or from its design).

    Parameters
    ----------
    method
        A classical multistep method with numbers for its parameters, or a `Design`.

    Returns
    -------
    Merits

    Raises
    ------
    ValueError
        For a method that is no convergent classical multistep method with numbers for its parameters: its error is not
        one number, or its interval depends on the step length or on a symbol.

    Examples
    --------
    Momentum buys stability with a larger error constant:

    >>> from fractions import Fraction
    >>> import numdiff as nd
    >>> for beta in (1, Fraction(1, 2)):
    ...     found = nd.design.merits(nd.GHVB(3, beta))
    ...     print(found.order, found.error_constant, found.real_interval)
    3 3/8 6/11
    3 19/24 18/23
    """
    if isinstance(method, Design):
        return Merits(method.order, method.error_constant, method.real_interval)
    if depends_on(steady(method), H):
        raise ValueError(
            f"{method} depends on the step length h, and so do its merits; compare in a formulation of kernel exponent "
            "0 (ratio or time)"
        )
    found = Merits(certified(method), error_constant(method), real_interval(method))
    if not (found.error_constant.is_number and found.real_interval.is_number):
        raise ValueError(f"{method} has a symbol among its parameters, and a comparison needs numbers; give it a value")
    if found.order < 1:
        raise ValueError(
            f"{method} does not converge: it is inconsistent or not zero-stable; there is nothing to compare"
        )
    return found


def dominates(a: Method | Design, b: Method | Design) -> bool:
    """Tell whether `a` is at least as good as `b` in order, abs(error constant) and real interval, and better in one.

    Parameters
    ----------
    a, b
        Classical multistep methods with numbers for their parameters, or designs.

    Returns
    -------
    bool
        Decided exactly, ties of algebraic numbers included.

    Raises
    ------
    ValueError
        As `merits`.

    Examples
    --------
    AB2 has a smaller error constant than GHVB(2, 1/2) and a shorter interval, so neither dominates the other:

    >>> from fractions import Fraction
    >>> import numdiff as nd
    >>> plain, heavy = nd.AdamsBashforth(2), nd.GHVB(2, Fraction(1, 2))
    >>> nd.design.dominates(plain, heavy), nd.design.dominates(heavy, plain)
    (False, False)
    >>> nd.design.dominates(nd.StretchedAdams(2), plain)           # the error constant of AB2, twice its interval
    True
    """
    first, second = merits(a), merits(b)
    signs = (
        first.order - second.order,
        _sign(abs(second.error_constant) - abs(first.error_constant)),
        _sign(first.real_interval - second.real_interval),
    )
    return min(signs) >= 0 and max(signs) > 0


def _sign(difference: sp.Expr) -> int:
    """Return the sign of a real algebraic number; what vanishes to 60 digits has a minimal polynomial that says so."""
    number = sp.N(difference, 60)
    if abs(number) > sp.Rational(1, 10**40):
        return 1 if number > 0 else -1
    if difference == 0 or sp.minimal_polynomial(difference, sp.Dummy("t"), polys=True).eval(0) == 0:
        return 0
    return int(sp.sign(difference))


def dominating(method: Method, *, order: int | None = None, parasitic: Any = MEMORY) -> Design | None:
    """Return a `FilteredAdams` design that dominates a method, or None if the classes that are tried have none.

    Tried are, at the method's own error constant, the one-filter family with a free error constant and the family with
    momentum and none. The longest interval wins.

    Parameters
    ----------
    method
        A classical multistep method with numbers for its parameters.
    order
        Order of the design; by default that of the method.
    parasitic
        Bound on the roots of rho other than 1, so that the design does not remember for long.

    Returns
    -------
    Design or None

    Raises
    ------
    ValueError
        As `merits`; for an order below the method's, or beyond those of `FilteredAdams`.

    Examples
    --------
    >>> import numdiff as nd
    >>> before, better = nd.design.merits(nd.AdamsBashforth(1)), nd.design.dominating(nd.AdamsBashforth(1))
    >>> (before.order, better.order), (before.error_constant, better.error_constant)
    ((1, 1), (1/2, 1/2))
    >>> before.real_interval, better.real_interval
    (2, 4)
    """
    return _dominating(exact_method(method), order, parasitic)


@cache
def _dominating(method: Method, order: int | None, parasitic: Any) -> Design | None:
    target = merits(method)
    order = target.order if order is None else order
    if order < target.order:
        raise ValueError(f"order must be at least {target.order}, that of {method}, to dominate it, got {order}")
    found = []
    for family, domain in candidates(order, abs(target.error_constant), method.formulation):
        try:
            design = largest_interval(family, parasitic=parasitic, domain=domain)
        except ValueError:  # no member of this family has so short a memory, or none is the best
            continue
        if dominates(design, method):
            found.append(design)
    return max(found, key=lambda d: float(d.real_interval), default=None)


def candidates(
    order: int, error: sp.Expr, formulation: Formulation | None = None
) -> list[tuple[FilteredAdams, tuple[Any, Any]]]:
    """Return the families of that order and error constant with one symbol left, and where the symbol varies."""
    found: list[tuple[FilteredAdams, tuple[Any, Any]]] = []
    if error != 0 and order < MAX_ORDER:
        found.append((FilteredAdams(order, BETA, error=error, formulation=formulation), DAMPING))
    free = error_constant(FilteredAdams(order, BETA, momentum=GAMMA)) - error
    gains = sp.solve(sp.numer(sp.together(free)), BETA)  # linear in beta
    with_momentum = (FilteredAdams(order, sp.factor(b), momentum=GAMMA, formulation=formulation) for b in gains)
    return [*found, *((family, (0, 1)) for family in with_momentum)]


def order_conditions(method: Method, order: int) -> tuple[sp.Expr, ...]:
    """Return the polynomials in a method's symbols that vanish where its order is at least `order`.

    Those that hold for all parameters are left out, so an empty tuple says that every member has that order, and a
    number other than 0 that none has.

    Parameters
    ----------
    method
        A method of one evaluation a step; its parameters may be symbols.
    order
        Positive.

    Returns
    -------
    tuple of Expr

    Raises
    ------
    ValueError
        For a method with several evaluations a step, or an order that is not positive.

    Examples
    --------
    >>> import sympy as sp
    >>> import numdiff as nd
    >>> beta = sp.Symbol("beta")
    >>> nd.design.order_conditions(nd.HeavyBall(nd.AdamsBashforth(2), beta), 2)      # order 2 at beta = 1 only
    (-2*(beta - 1),)
    >>> nd.design.order_conditions(nd.GHVB(2, beta), 2)                             # always
    ()
    """
    if order < 1:
        raise ValueError(f"order must be positive, got {order}")
    rho, sigma = multistep_pair(steady(method))
    left = [sum(c * sp.Integer(i) ** q for (i,), c in rho.terms()) for q in range(order + 1)]
    right = [0, *(sum(q * c * sp.Integer(i) ** (q - 1) for (i,), c in sigma.terms()) for q in range(1, order + 1))]
    found = (sp.numer(sp.cancel(a - b)) for a, b in zip(left, right, strict=True))
    return tuple(dict.fromkeys(sp.factor(f) for f in found if f != 0))


@dataclass(frozen=True)
class Tradeoff:
    """Error constant and real interval along a family: exact values, and arrays for plots.

    Parameters
    ----------
    parameters
        The values of the symbol.
    error_constants, real_intervals
        C and x* of the members, exact, in the same order.

    Examples
    --------
    >>> from fractions import Fraction
    >>> import sympy as sp
    >>> import numdiff as nd
    >>> family = nd.GHVB(2, sp.Symbol("beta", positive=True))
    >>> found = nd.design.tradeoff(family, [Fraction(1, 2), Fraction(3, 4), 1])
    >>> found.error_constants, found.real_intervals
    ((11/12, 7/12, 5/12), (3/2, 5/4, 1))
    >>> found.front()                                    # a trade: no member is better than another
    (2, 1, 0)
    """

    parameters: tuple[sp.Expr, ...]
    error_constants: tuple[sp.Expr, ...]
    real_intervals: tuple[sp.Expr, ...]

    def arrays(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return parameters, error constants and real intervals as float arrays."""
        columns = (self.parameters, self.error_constants, self.real_intervals)
        first, second, third = (np.array([float(x) for x in column]) for column in columns)
        return first, second, third

    def front(self) -> tuple[int, ...]:
        """Return the positions of the members that no other one dominates, by ascending ``|error constant|``."""
        order = sorted(
            range(len(self.parameters)), key=lambda i: (abs(self.error_constants[i]), -self.real_intervals[i])
        )
        kept: list[int] = []
        for i in order:
            if not kept or self.real_intervals[i] > self.real_intervals[kept[-1]]:
                kept.append(i)
        return tuple(kept)


def tradeoff(family: Method, values: Sequence[Any], *, domain: tuple[Any, Any] = DAMPING) -> Tradeoff:
    """Return error constant and real interval of the members of a family with one symbol.

    Parameters
    ----------
    family
        A classical multistep method with one SymPy symbol.
    values
        Rational values of the symbol in the domain.
    domain
        Where the formulas hold, low < b <= high.

    Returns
    -------
    Tradeoff

    Raises
    ------
    ValueError
        If the family has not exactly one symbol, or a value lies outside the domain.

    Examples
    --------
    >>> import sympy as sp
    >>> import numdiff as nd
    >>> found = nd.design.tradeoff(nd.GHVB(2, sp.Symbol("beta", positive=True)), [0.2, 0.5, 1])
    >>> betas, errors, intervals = found.arrays()
    >>> intervals.tolist(), errors.round(3).tolist()
    ([1.8, 1.5, 1.0], [2.417, 0.917, 0.417])
    """
    C, x = error_constant(family), real_interval(family, domain=domain)
    symbols = C.free_symbols | x.free_symbols
    if len(symbols) != 1:
        raise ValueError(f"{family} must have exactly one symbol among its parameters, got {sorted(map(str, symbols))}")
    (symbol,) = symbols
    low, high = map(sp.Rational, domain)
    points = tuple(sp.Rational(str(v)) if isinstance(v, float) else sp.Rational(v) for v in values)
    for point in points:
        if not low < point <= high:
            raise ValueError(f"values must lie in ({low}, {high}], got {point}; give another domain=")
    return Tradeoff(points, tuple(C.subs(symbol, p) for p in points), tuple(x.subs(symbol, p) for p in points))
