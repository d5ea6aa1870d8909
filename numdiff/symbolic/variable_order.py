r"""Order of multistep methods on any grid: identities between rational functions of the step ratios.

On a step of length h from s_n, with nodes u_j = (s_{n-j} - s_n)/h, the method replaces the integral of the kernel by a
combination of what its memory holds. Both are linear in f, so it is enough to look at f = u^m: with

    mu_m = int_0^h e^{c(h-u)} (u/h)^m du,    L_j^m = what register j of the memory makes of u^m,

the residual of the step on exact memory is

    R_m = mu_m - (B_00 u_0^m + sum_{j>=1} V_0j L_j^m),

and a smooth f gives the local error sum_m R_m h^m f^(m)/m!. The method has order p on any grid if R_m = O(h^{p+1-m})
for every m <= p.

Everything here is a symbol: the nodes, which are independent as the step ratios r_1 = h_n/h_{n-1}, r_2, ... are; the
moments mu_m, so that R_m = 0 holds for every kernel at once, in every formulation; and the *past*. Shift registers
forget it after a few steps. A velocity never does, and so its moments M_1, M_2, ... are symbols too, in units of the
present step, about which nothing is assumed but M_0 = 1 (a constant f gives the velocity that constant). For GHVB and
filtered Adams they are those of the oldest velocity in use about its own node (with M'_m those of the one before it,
where the filter looks back at two), for heavy ball and Nesterov those of the velocity before the step about the present
node. The few steps up to the present one are made by the method itself: `advance` gives the tableau, whose memory rows
act on the L_j, and carries the state (the velocity filter of GHVB), from which the weights are taken. If R_m = 0 for
every M, then whatever the steps before have done, it holds at every step of every grid: that is the induction.

**Arithmetic.** The coefficient routines run on any number type; here on `Element`, a SymPy expression that is kept in
lowest terms as an element of a field of rational functions.

Sources: Hairer, Norsett, Wanner, Solving ODEs I, III.5; the argument for velocities is numdiff's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, reduce
from math import factorial
from typing import Any

import sympy as sp
from sympy.polys.polyerrors import CoercionFailed

from numdiff.elementary import is_zero
from numdiff.formulations import Span
from numdiff.methods.adams import AdamsBashforth
from numdiff.methods.filtered_adams import FilteredAdams, TwoTermState
from numdiff.methods.ghvb import GHVB, FilterState
from numdiff.methods.momentum import Momentum
from numdiff.methods.multistep import Multistep, Point
from numdiff.methods.pndm import IPNDMV, PseudoNumerical
from numdiff.symbolic.polynomials import tidy, to_sympy
from numdiff.weights import recentre

__all__ = ["Residuals", "residuals", "step_ratios"]

Vector = list[Any]


def step_ratios(count: int) -> tuple[sp.Symbol, ...]:
    """Return the symbols r_1 = h_n/h_{n-1}, r_2 = h_{n-1}/h_{n-2}, ..., positive.

    Parameters
    ----------
    count
        How many.

    Returns
    -------
    tuple of Symbol

    Examples
    --------
    >>> from numdiff.symbolic.variable_order import step_ratios
    >>> step_ratios(3)
    (r_1, r_2, r_3)
    """
    return tuple(sp.Symbol(f"r_{j}", positive=True) for j in range(1, count + 1))


class Element(sp.Expr):
    """A rational function in lowest terms that passes for a SymPy expression in the coefficient routines."""

    _op_priority = 20.0  # above Symbol and Add, so that beta * Element arrives here
    is_number = False
    is_commutative = True

    def __new__(cls, value: Any) -> Element:
        """Wrap an element of a SymPy field of fractions."""
        element = sp.Expr.__new__(cls)
        element.value = value
        return element

    def _in_field(self, x: Any) -> Any:
        if isinstance(x, Element):
            return x.value
        try:
            return self.value.field.to_domain().from_sympy(to_sympy(x))
        except ValueError as error:
            raise CoercionFailed(f"{x} is no rational function over the rationals") from error

    def __add__(self, other: Any) -> Element:
        """Return the sum."""
        return Element(self.value + self._in_field(other))

    __radd__ = __add__

    def __sub__(self, other: Any) -> Element:
        """Return the difference."""
        return Element(self.value - self._in_field(other))

    def __rsub__(self, other: Any) -> Element:
        """Return the difference."""
        return Element(self._in_field(other) - self.value)

    def __mul__(self, other: Any) -> Element:
        """Return the product."""
        return Element(self.value * self._in_field(other))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Element:
        """Return the quotient."""
        return Element(self.value / self._in_field(other))

    def __rtruediv__(self, other: Any) -> Element:
        """Return the quotient."""
        return Element(self._in_field(other) / self.value)

    def __neg__(self) -> Element:
        """Return the negative."""
        return Element(-self.value)

    def __eq__(self, other: object) -> bool:
        """Tell whether two rational functions are the same."""
        return bool(self.value == self._in_field(other))

    def __hash__(self) -> int:
        """Hash the rational function."""
        return hash(self.value)

    def cancel(self, *gens: Any, **options: Any) -> Element:
        """Return the element itself: it is in lowest terms."""
        return self


@dataclass(frozen=True)
class Residuals:
    """What a step misses on u^m, m = 0, 1, ..., as rational functions.

    Parameters
    ----------
    nodes
        The symbols of the nodes u_1, u_2, ...
    past
        The symbols of the moments of velocities, which stand for the steps before.
    coefficients
        For every m the coefficients of mu_0, mu_1, ... in R_m, in the field of rational functions.

    Examples
    --------
    The leading residual of Adams-Bashforth 2 on any grid, for f = u^2 and the kernel exponent 0:

    >>> import numdiff as nd
    >>> from numdiff.symbolic.variable_order import residuals
    >>> residuals(nd.AdamsBashforth(2)).expansion(2, 0, 0)
    (2*r_1 + 3)/(6*r_1)
    """

    nodes: tuple[sp.Symbol, ...]
    past: tuple[sp.Symbol, ...]
    coefficients: tuple[tuple[Any, ...], ...]

    def vanishes(self, m: int) -> bool:
        """Tell whether R_m = 0 whatever the kernel, the ratios and the past."""
        return not any(self.coefficients[m])

    def expansion(self, m: int, c: int, i: int) -> sp.Expr:
        """Return the coefficient of h^{i+1} in R_m for the kernel exponent `c`, in step ratios.

        mu_j = h sum_i (c h)^i j!/(j + 1 + i)!.
        """
        field = self.coefficients[m][0].field
        total = field.zero
        for j, coefficient in enumerate(self.coefficients[m]):
            total += coefficient * field(c**i * factorial(j)) / field(factorial(j + 1 + i))
        return self._in_ratios(total)

    def expression(self, m: int, moments: Sequence[Any]) -> sp.Expr:
        """Return R_m for the given moments mu_0, mu_1, ..., in step ratios."""
        terms = zip(self.coefficients[m], moments, strict=False)
        return sp.Add(*(self._in_ratios(a) * to_sympy(mu) for a, mu in terms if a))

    def _in_ratios(self, value: Any) -> sp.Expr:
        node, gap, known = sp.Integer(0), sp.Integer(1), {}
        for u, ratio in zip(self.nodes, step_ratios(len(self.nodes)), strict=True):
            gap = gap / ratio
            known[u] = node = sp.together(node - gap)
        return tidy(value.as_expr().xreplace(known))


@dataclass
class Symbols:
    """The symbols of one proof and the field that they generate."""

    nodes: tuple[sp.Symbol, ...]
    mu: tuple[sp.Symbol, ...]
    parameters: tuple[sp.Symbol, ...]
    velocities: list[list[sp.Symbol]] = dataclasses.field(default_factory=list)

    def velocity(self) -> list[sp.Expr]:
        """Return M_0 = 1, M_1, ... for one more velocity."""
        mark = "'" * len(self.velocities)
        self.velocities.append([sp.Symbol(f"M{mark}_{m}") for m in range(1, len(self.mu))])
        return [sp.Integer(1), *self.velocities[-1]]

    @property
    def past(self) -> tuple[sp.Symbol, ...]:
        """All moments of velocities."""
        return tuple(x for velocity in self.velocities for x in velocity)

    def domain(self) -> Any:
        """Return the field of rational functions in all of them."""
        return sp.ZZ.frac_field(*self.parameters, *self.nodes, *self.past, *self.mu)

    def linear(self, fractions: Iterable[tuple[Any, Any]]) -> Residuals:
        """Return linear forms in the mu_j, given as numerators and denominators, by their coefficients."""
        field = self.domain().field
        moments = [field.ring.from_expr(x) for x in self.mu]
        parts = (tuple(field.new(above.diff(x), below) for x in moments) for above, below in fractions)
        return Residuals(self.nodes, self.past, tuple(parts))


@cache
def residuals(method: Multistep) -> Residuals:
    """Return the residuals R_0, ..., R_k of one step of a method of k points on any grid.

    Parameters
    ----------
    method
        Adams-Bashforth, GHVB, filtered Adams, or heavy ball and Nesterov on any of them, with rational or symbolic
        parameters.

    Returns
    -------
    Residuals

    Raises
    ------
    ValueError
        For another kind of method, whose memory is not known; for a damping that is not a rational function.

    Examples
    --------
    GHVB of order 2 integrates constants and linear functions on every grid, whatever its velocity has seen:

    >>> import sympy as sp
    >>> import numdiff as nd
    >>> from numdiff.symbolic.variable_order import residuals
    >>> found = residuals(nd.GHVB(2, sp.Symbol("beta", positive=True)))
    >>> [found.vanishes(m) for m in range(3)]
    [True, True, False]
    """
    nodes = sp.symbols(f"u1:{max(method.points, 2)}", cls=sp.Dummy)
    mu = sp.symbols(f"mu:{method.points + 1}", cls=sp.Dummy)
    symbols = Symbols(nodes, mu, _parameters(method))
    past = _past(method, symbols)
    domain = symbols.domain()
    lift = lambda x: Element(domain.from_sympy(sp.sympify(x)))  # noqa: E731
    try:
        missed = _missed(method, [[*map(lift, v)] for v in past], [*map(lift, (0, *symbols.nodes))], [*map(lift, mu)])
    except CoercionFailed as error:
        raise ValueError(
            f"the order of {method.name} on any grid is proved over the rationals, but a parameter is no rational "
            "function; use a Fraction nearby or a symbol"
        ) from error
    return symbols.linear(missed)


def _parameters(method: Any) -> tuple[sp.Symbol, ...]:
    """Return the symbols among the parameters of a method and of its base."""
    given = [getattr(method, name, None) for name in ("beta", "momentum", "error")]
    own = [x for value in given if value is not None for x in to_sympy(value).free_symbols]
    inner = _parameters(method.base) if isinstance(method, Momentum) else ()
    return tuple(sorted({*own, *inner}, key=str))


def _past(method: Any, symbols: Symbols) -> list[list[sp.Expr]]:
    """Return the moments of the method's velocities, outermost first, and make their symbols known."""
    if type(method) is AdamsBashforth:
        if method.rule == "bh1" and method.kernel:
            raise ValueError(
                f"{method} weighs the slope by h^2/2, which is no function of the moments of its kernel; orders on any "
                "grid are proved for the other rules"
            )
        return []
    if isinstance(method, IPNDMV) or (isinstance(method, PseudoNumerical) and method.combine == "noise"):
        return []
    if type(method) in (GHVB, FilteredAdams):  # a filter of second order looks back at two velocities
        return [symbols.velocity() for _ in range(1 if is_zero(getattr(method, "momentum", 0)) else 2)]
    if isinstance(method, Momentum):
        own = symbols.velocity()
        return [own, *_past(method.base, symbols)]
    raise ValueError(
        f"{method} is not known to keep evaluations or velocities in its memory; orders on any grid are proved for "
        "AdamsBashforth, GHVB, FilteredAdams, HeavyBall, Nesterov and Runge-Kutta methods"
    )


def _missed(method: Multistep, past: list[Vector], nodes: Vector, mu: Vector) -> list[tuple[Any, Any]]:
    """Return numerator and denominator of R_0, R_1, ..."""
    span = Span(1, Fraction(1), mu)
    registers, state = _memory(method, past, nodes, span)
    point = Point(span, tuple(nodes[: max(method.points, 2)]), method.points, first=False)
    tableau, _ = method.advance(state, point)
    weights = [1, -tableau.B[0][0], *(-x for x in tableau.V[0][1:])]
    known = [[moment, int(m == 0), *(x[m] for x in registers)] for m, moment in enumerate(mu)]
    return [scalar_product([(0 * mu[0] + x).value for x in row] for row in (weights, values)) for values in known]


def scalar_product(rows: Iterable[list[Any]]) -> tuple[Any, Any]:
    """Return numerator and denominator of the scalar product of two rows, clearing denominators first.

    Adding fractions one by one would cost a greatest common divisor each.
    """
    below, cleared = 1, []
    for row in rows:
        common = reduce(lambda a, b: a.lcm(b), (x.denom for x in row))
        cleared.append([x.numer * common.exquo(x.denom) for x in row])
        below = common * below
    return sum(a * b for a, b in zip(*cleared, strict=True)), below


def _memory(method: Any, past: list[Vector], nodes: Vector, span: Span) -> tuple[list[Vector], Any]:
    """Return L_1, L_2, ... about the present node, and the state that goes with them."""
    if isinstance(method, Momentum):
        own, *inner = past
        registers, state = _memory(method.base, inner, nodes, span)
        return [*registers, own], (state,)
    empty = [0 * mu for mu in span.moments]
    if not past:
        return _advanced(method, [empty] * (method.registers - 1), None, nodes[: method.points], span)
    nodes = nodes[: max(method.points, 2)]  # the oldest velocity in use is the one after the oldest node
    seen = [recentre(velocity, nodes[-2] - nodes[-1]) for velocity in past]
    registers = [*seen, *[empty] * (method.registers - 1 - len(seen))]
    state = method.steady_state(1) if method.weights == "uniform" else _filter_state(method, past, span)
    return _advanced(method, registers, state, nodes, span, observed=1)


def _filter_state(method: Any, past: list[Vector], span: Span) -> FilterState:
    """Return the state of the velocity filter after the oldest node."""
    rows = ((past[0], span.unit),)
    return FilterState(rows) if type(method) is GHVB else TwoTermState(rows, before=past[-1])


def _advanced(
    method: Multistep, registers: list[Vector], state: Any, nodes: Vector, span: Span, observed: int = 0
) -> tuple[list[Vector], Any]:
    """Make the steps from the nodes up to the present one, oldest first, but for the `observed` oldest.

    Their order is 1, since the memory does not see the sample.
    """
    for i in reversed(range(1, len(nodes) - observed)):
        here = nodes[i]
        point = Point(span, tuple(u - here for u in nodes[i : i + 2]), 1, first=False)
        tableau, state = method.advance(state, point)
        unit = [1 if m == 0 else 0 for m in range(len(span.moments))]  # what the evaluation makes of (u - here)^m
        registers = [
            recentre(
                [sum((x[m] * v for x, v in zip(registers, V[1:], strict=True)), B[0] * e) for m, e in enumerate(unit)],
                nodes[i - 1] - here,
            )
            for B, V in zip(tableau.B[1:], tableau.V[1:], strict=True)
        ]
    return registers, state
