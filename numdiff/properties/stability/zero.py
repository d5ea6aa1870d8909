r"""Zero-stability: in the damping, and in the step ratio of a variable-step scheme.

On x' = 0 the steps of a method multiply its registers by V, whose characteristic polynomial is rho(zeta). A method is
zero-stable if rho satisfies the root condition: strongly so if 1 is the only root on the circle, weakly if there is
another one. For one parameter p (a damping, a step ratio) the number of roots inside the circle changes only at real
zeros of the critical polynomials of rho (`numdiff.symbolic.critical`) and at poles of its coefficients. Between these
algebraic numbers one rational p decides, by Miller's criterion; at them the criterion runs over the number field that
they generate. So the set of zero-stable p is exact, ends included.

**Variable steps.** On geometric grids of ratio r the matrix V(r) is constant and the criterion is the same. Where rho
does not depend on r, as for Adams, heavy ball, Nesterov and GHVB, more is true. Past evaluations are a shift register,
forgotten after k steps; the velocity is multiplied by 1 - beta and takes in bounded multiples of them; the sample adds
d_n times bounded multiples of both. So products of the V_n stay below 1 + C sum d_n on any sequence of steps with
bounded ratios whenever |1 - beta| <= 1 and the weights stay bounded: the largest safe ratio is infinite. Weights of
Adams, heavy ball and Nesterov are bounded with the ratios, those of GHVB for beta <= 1 (`numdiff.weights`). For beta
> 1 there are ratios at which GHVB has no weights, and near them they are large; `discretize` refuses those grids.

**The velocity filter** of GHVB is another matter: its moments of degree m settle on a grid of ratio r only if |1 -
beta| < r^m, m < k (`numdiff.weights.steady_filter`). That limits how fast steps may shrink for the steady weights to
exist, not zero-stability.

Sources: Hairer, Norsett, Wanner, Solving ODEs I, III.3 and III.5; Grigorieff, Numer. Math. 42 (1983).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import total_ordering
from itertools import pairwise
from typing import Any

import sympy as sp

from numdiff.methods.base import Method
from numdiff.properties.stability.kappa import velocity_filter
from numdiff.symbolic.critical import X, critical_polynomials, irreducible
from numdiff.symbolic.multistep import taylor
from numdiff.symbolic.polynomials import ZETA, Z, stability_polynomial, tidy, to_fraction, to_sympy
from numdiff.symbolic.rootcondition import is_schur, satisfies_root_condition
from numdiff.symbolic.steady import H, exact_method, one_field

RATIO = sp.Symbol("r", positive=True)
"""Each step over the one before it."""


@dataclass(frozen=True)
class ZeroStability:
    """For which values of its parameter a method is zero-stable.

    Parameters
    ----------
    symbol
        The parameter; None if there is none.
    stable
        The values for which rho satisfies the root condition; all reals or the empty set without a parameter.
    weak
        Those among them with a root on the circle besides 1.
    rho
        The characteristic polynomial, in factors.

    Examples
    --------
    >>> import sympy as sp
    >>> import numdiff as nd
    >>> found = nd.stability.zero_stability(nd.GHVB(2, sp.Symbol("beta", positive=True)))
    >>> found.rho
    (zeta - 1)*(beta + zeta - 1)
    >>> found.stable, found.weak
    (Interval.Lopen(0, 2), {2})
    """

    symbol: sp.Symbol | None
    stable: sp.Set
    weak: sp.Set
    rho: sp.Expr


@dataclass(frozen=True)
class SafeRatio:
    """How fast steps may grow, and shrink.

    Parameters
    ----------
    ratio
        The largest R such that the scheme is zero-stable on geometric grids of every ratio below R.
    reason
        A sentence: why it is infinite, or what happens at R.
    filter
        Above which ratio the velocity filter of GHVB settles, so that its steady weights exist; None without a filter.

    Examples
    --------
    >>> import numdiff as nd
    >>> found = nd.stability.largest_safe_ratio(nd.GHVB(2, 0.5))
    >>> found.ratio, found.filter           # any ratio; the velocities settle where steps shrink by less than 1/2
    (oo, 1/2)
    """

    ratio: sp.Expr
    reason: str
    filter: sp.Expr | None = None


def zero_stability(method: Any) -> ZeroStability:
    """Return the exact set of dampings for which a method is zero-stable.

    Parameters
    ----------
    method
        A method, a steady `Tableau`, or rho itself as a polynomial in `ZETA`; at most one symbol. Coefficients that
        depend on the step length are taken at h = 0.

    Returns
    -------
    ZeroStability

    Raises
    ------
    TypeError
        If `method` has no steady tableau.
    ValueError
        For two symbols, or coefficients that are not rational.

    Examples
    --------
    >>> import sympy as sp
    >>> import numdiff as nd
    >>> beta = sp.Symbol("beta", positive=True)
    >>> nd.stability.zero_stability(nd.GHVB(3, beta)).stable
    Interval.Lopen(0, 2)

    The explicit two-step method of order 3 has the root -5, and no step length makes it useful:

    >>> from numdiff.symbolic.polynomials import ZETA
    >>> nd.stability.zero_stability(sp.Poly(ZETA**2 + 4 * ZETA - 5, ZETA)).stable
    EmptySet
    """
    rho = method if isinstance(method, sp.Poly) else _rho(one_field(method))
    symbol = _only_symbol(rho)
    stable, weak = _root_condition_sets(rho, symbol)
    return ZeroStability(symbol, stable, weak, tidy(rho.as_expr()))


def largest_safe_ratio(method: Any, symbol: sp.Symbol = RATIO) -> SafeRatio:
    """Return the largest R such that a variable-step scheme is zero-stable on geometric grids of all ratios below R.

    Parameters
    ----------
    method
        A method; or a `Tableau`, or rho as a polynomial in `ZETA`, with entries rational in `symbol`.
    symbol
        The step ratio, each step over the one before it.

    Returns
    -------
    SafeRatio
        An algebraic number or oo, exact, with the reason.

    Raises
    ------
    TypeError
        If `method` has no steady tableau.
    ValueError
        If rho depends on `symbol` and on another symbol, or is not rational.

    Examples
    --------
    Variable-step Adams methods are zero-stable whatever the steps; BDF2 up to 1 + sqrt(2):

    >>> import sympy as sp
    >>> import numdiff as nd
    >>> from numdiff.symbolic.polynomials import ZETA
    >>> nd.stability.largest_safe_ratio(nd.AdamsBashforth(3)).ratio
    oo
    >>> r = sp.Symbol("r", positive=True)
    >>> rho = sp.Poly((1 + 2 * r) * ZETA**2 - (1 + r) ** 2 * ZETA + r**2, ZETA)
    >>> nd.stability.largest_safe_ratio(rho, r).ratio
    1 + sqrt(2)
    """
    rho = method if isinstance(method, sp.Poly) else _rho(_on_ratio(method, symbol))
    if symbol not in rho.free_symbols:
        return _independent(method, rho)
    symbol = _only_symbol(rho)
    points, poles = _critical_values(rho, symbol)
    for low, high in pairwise([sp.Integer(0), *(x for x in points if x > 0), sp.oo]):
        at_low = (True, False) if low == 0 else (False, False) if low in poles else _verdict(rho, symbol, low)
        if not at_low[0] or not _verdict(rho, symbol, _between(low, high))[0]:
            return _bound(low, *at_low)
    return SafeRatio(sp.oo, "rho satisfies the root condition for every ratio")


def _bound(ratio: sp.Expr, stable: bool, weak: bool) -> SafeRatio:
    if ratio == 0:
        return SafeRatio(ratio, "rho violates the root condition on steps that shrink fast")
    verdict = "weakly zero-stable" if weak else "zero-stable" if stable else "not zero-stable"
    return SafeRatio(ratio, f"a root of rho reaches the unit circle; at the bound itself the scheme is {verdict}")


def _independent(method: Any, rho: sp.Poly) -> SafeRatio:
    """Return the answer for a rho without the ratio in it."""
    filtered = _filter_bound(method) if isinstance(method, Method) else None
    if not rho.free_symbols - {ZETA} and _root_condition_sets(rho, None)[0] is sp.S.EmptySet:
        return SafeRatio(sp.Integer(0), "rho violates the root condition whatever the ratio", filtered)
    reason = (
        f"rho = {tidy(rho.as_expr())} does not depend on the step ratio; where it satisfies the root condition the "
        "scheme is zero-stable on every sequence of steps with bounded ratios"
    )
    if filtered is not None:
        reason += "; beyond damping 1 also away from ratios at which the velocities determine no weights"
    return SafeRatio(sp.oo, reason, filtered)


def _filter_bound(method: Method) -> sp.Expr | None:
    """Return the ratio above which |1 - beta| < r^m for all m < k."""
    inner = velocity_filter(exact_method(method))
    return None if inner is None else sp.Abs(1 - sp.sympify(inner.beta)) ** sp.Rational(1, inner.order - 1)


def _on_ratio(method: Any, symbol: sp.Symbol) -> Any:
    """Return the tableau on a geometric grid; an exponential method at h = 0 is the one of kernel exponent 0."""
    tableau = one_field(method)
    if not isinstance(method, Method) or tableau.registers == 1:  # a one-step method sees no ratio
        return tableau
    try:
        return _without_kernel(exact_method(method)).steady(ratio=symbol)
    except ValueError as error:
        raise ValueError(f"{method} has no form without kernel, on which step ratios are decided: {error}") from error


def _without_kernel(method: Any) -> Any:
    changes: dict[str, Any] = (
        {"base": _without_kernel(method.base)} if hasattr(method, "base") else {"formulation": None}
    )
    if getattr(method, "predictor", None) is not None:
        changes["predictor"] = _without_kernel(method.predictor)
    return dataclasses.replace(method, **changes) if method.kernel else method


def _rho(tableau: Any) -> sp.Poly:
    if tableau.registers == 1:
        return sp.Poly(ZETA - to_sympy(tableau.V[0][0]).subs(H, 0), ZETA)
    pi = stability_polynomial(tableau)
    return sp.Poly.from_dict({(i,): taylor(c, 1)[0] for (i, j), c in pi.as_dict().items() if j == 0}, ZETA)


def _only_symbol(rho: sp.Poly) -> sp.Symbol | None:
    symbols = sorted(rho.free_symbols - {ZETA}, key=str)
    if len(symbols) > 1:
        raise ValueError(
            f"zero-stability is decided for one symbol, got {', '.join(map(str, symbols))}; give numbers for the others"
        )
    atoms = set().union(*(c.atoms(sp.Float, sp.NumberSymbol, sp.Function, sp.Pow) for c in rho.all_coeffs()))
    powers = {x for x in atoms if isinstance(x, sp.Pow)}
    if atoms - powers or (symbols and not all(x.exp.is_Integer for x in powers)):
        raise ValueError(f"zero-stability is decided for rational coefficients, got {rho.as_expr()}; use a Fraction")
    return symbols[0] if symbols else None


# --- the set ---


def _root_condition_sets(rho: sp.Poly, symbol: sp.Symbol | None) -> tuple[sp.Set, sp.Set]:
    """Return (stable, weak) as subsets of the real line."""
    if symbol is None:
        stable, weak = _verdict(rho, None, sp.Integer(0))
        return (sp.S.Reals if stable else sp.S.EmptySet), (sp.S.Reals if weak else sp.S.EmptySet)
    points, poles = _critical_values(rho, symbol)
    found: list[list[sp.Set]] = [[], []]
    for low, high in pairwise([-sp.oo, *points, sp.oo]):
        verdict = _verdict(rho, symbol, _between(low, high))
        for sets, holds in zip(found, verdict, strict=True):
            sets += [sp.Interval.open(low, high)] if holds else []
    for point in points:
        verdict = _verdict(rho, symbol, point) if point not in poles else (False, False)
        for sets, holds in zip(found, verdict, strict=True):
            sets += [sp.FiniteSet(point)] if holds else []
    return sp.Union(*found[0]), sp.Union(*found[1])


def _critical_values(rho: sp.Poly, symbol: sp.Symbol) -> tuple[list[sp.Expr], set[sp.Expr]]:
    """Return the real numbers at which the verdict may change, ascending, and the poles among them."""
    denominator = sp.lcm_list([sp.denom(sp.together(c)) for c in rho.all_coeffs()])
    numerator = sp.Poly(sp.cancel(rho.as_expr() * denominator), ZETA)
    rest, remainder = sp.div(numerator, sp.Poly(ZETA - 1, ZETA))
    rest = rest if remainder.is_zero else numerator
    moving = sp.Poly(rest.as_expr().subs(symbol, -Z), ZETA, Z)  # so that the parameter is X
    factors, _ = irreducible(critical_polynomials(moving, "real") if rest.degree() else [])
    poles = set(sp.Poly(denominator, symbol).real_roots()) if denominator.has(symbol) else set()
    points = {sp.Integer(0), *poles, *(root for f in factors for root in sp.Poly(f.as_expr(), X).real_roots())}
    return sorted(points, key=lambda x: sp.N(x, 30)), poles


def _between(low: sp.Expr, high: sp.Expr) -> sp.Rational:
    """Return a rational number strictly between two real algebraic numbers, or beyond one of them."""
    if low is -sp.oo:
        return sp.Integer(sp.floor(high) - 1)
    if high is sp.oo:
        return sp.Integer(sp.ceiling(low) + 1)
    middle = sp.Rational(sp.N((low + high) / 2, 30))
    if not low < middle < high:
        raise ArithmeticError(f"critical values {low} and {high} are too close to tell apart")
    return middle


def _verdict(rho: sp.Poly, symbol: sp.Symbol | None, value: sp.Expr) -> tuple[bool, bool]:
    """Return whether rho satisfies the root condition at a value of its parameter, and whether weakly."""
    numbers = [c.subs(symbol, value) if symbol is not None else c for c in rho.all_coeffs()[::-1]]
    field, entries = sp.construct_domain(numbers, extension=True)
    number: Any = _Exact if field.is_Algebraic else lambda x, _: to_fraction(field.to_sympy(x))
    values: list[Any] = [(number(x, field), number(field.zero, field)) for x in entries]
    if not satisfies_root_condition(values):
        return False, False
    rest, remainder = [values[-1]], None
    for c in reversed(values[:-1]):  # Horner: divide by zeta - 1
        remainder = (c[0] + rest[-1][0], c[1])
        rest.append(remainder)
    principal = remainder is not None and remainder[0] == 0
    return True, not is_schur(rest[-2::-1] if principal else values)


@total_ordering
class _Exact:
    """A real algebraic number in a number field, as far as Miller's criterion needs one."""

    def __init__(self, value: Any, field: Any) -> None:
        self.value, self.field = value, field

    def _with(self, other: Any) -> Any:
        return other.value if isinstance(other, _Exact) else self.field.convert(other)

    def __add__(self, other: Any) -> _Exact:
        return _Exact(self.value + self._with(other), self.field)

    def __sub__(self, other: Any) -> _Exact:
        return _Exact(self.value - self._with(other), self.field)

    def __mul__(self, other: Any) -> _Exact:
        return _Exact(self.value * self._with(other), self.field)

    __rmul__ = __mul__

    def __neg__(self) -> _Exact:
        return _Exact(-self.value, self.field)

    def __pow__(self, power: int) -> _Exact:
        return _Exact(self.value**power, self.field)

    def __eq__(self, other: object) -> bool:
        return bool(self.value == self._with(other))

    def __lt__(self, other: Any) -> bool:
        difference = self.value - self._with(other)
        return bool(difference) and bool(sp.N(self.field.to_sympy(difference), 5) < 0)

    __hash__ = None  # type: ignore[assignment]
