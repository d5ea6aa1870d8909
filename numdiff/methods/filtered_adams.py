r"""Adams-Bashforth on filtered evaluations: GHVB with a second velocity, and with its error constant as a parameter.

::

    v_{n+1} = v_n + beta (f_n - v_n) + gamma (v_n - v_{n-1}),    x_{n+1} = xi x_n + kappa sum_i w_i v_{n+1-i}

**Two velocities.** gamma, the momentum of the velocity itself, makes the filter one of second order: with E the lag its
denominator is 1 - (1-beta+gamma) E + gamma E^2. If that has real zeros 1/(1-beta_1), 1/(1-beta_2) it is two filters of
dampings beta_1 and beta_2 in a row, beta = beta_1 beta_2 and gamma = (1-beta_1)(1-beta_2). gamma = 0 is GHVB.

**A free error constant.** Let M_i be the moments of v_{n+1-i} on the actual grid (`numdiff.weights`) and mu those of
the kernel. GHVB of order p + 1 has p + 1 velocities with sum_i w_i M_i^m = mu_m for m <= p. Relax the highest of these
conditions only::

    sum_i w_i M_i^m = mu_m  (m < p),        sum_i w_i M_i^p = mu_p - p! C mu_0 h^p.

On f = u^p the step then misses p! C h^{p+1}, so the method has order p on every grid, and C is its error constant. In
differences on equal steps, sum_i w_i E^i = sum_{j<=p} c_j nabla^j, only c_p is lowered, by C. Special cases: C = 0 is
GHVB(p+1); the error constant of GHVB(p) gives back GHVB(p); p = 1 and C = (1-beta)/beta is heavy ball on AB2; beta =
1 is a relaxed Adams method.

**Completeness.** On equal steps p = 1 with gamma = 0 are all zero-stable explicit linear two-step methods of order 1,
and p = 2 all three-step ones of order 2 (for the three-step ones gamma is needed): rho has the roots 1 and those of the
filter, and sigma has p + 1 coefficients for p conditions and C.

Source: numdiff's; the special cases are those of Wizadwongsa et al., ICLR 2024.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import factorial
from typing import Any, ClassVar

from numdiff import formulations
from numdiff.elementary import Number, is_zero, kind, product
from numdiff.formulations import Formulation
from numdiff.methods.adams import WEIGHTS
from numdiff.methods.checks import check_beta, check_finite, check_order, choice, is_symbolic, show
from numdiff.methods.ghvb import FilterState
from numdiff.methods.multistep import Multistep, Point
from numdiff.tableau import Tableau, one_stage
from numdiff.weights import MAX_ORDER, exact, filtered, filtered_twice, recentre, steady_filter, to_float

__all__ = ["FilteredAdams", "StretchedAdams"]


@dataclass(frozen=True)
class TwoTermState(FilterState):
    """A filter state that also knows the velocity before the newest, about the same node as it, and its own age.

    The first velocity is the first evaluation, and so is the one before it, which is never stored: the second step has
    no momentum.
    """

    before: list[Number] | None = None
    age: int = 3


@dataclass(frozen=True)
class FilteredAdams(Multistep):
    """Adams-Bashforth on evaluations that pass a filter of first or second order.

    ::

        v_{n+1} = v_n + beta (f_n - v_n) + gamma (v_n - v_{n-1}),    x_{n+1} = xi x_n + kappa sum_i w_i v_{n+1-i}
        sum_i w_i M_i^m = mu_m (m < p),    sum_i w_i M_i^p = mu_p - p! C mu_0 h^p  (where `error` gives C)

    where f_n is the evaluation, v the velocity, M_i^m what the filter makes of u^m up to node n - i, mu_m = int_0^h
    e^{c(h-u)} u^m du, h the step, gamma the `momentum`, and xi, kappa and c belong to the formulation.

    Parameters
    ----------
    order
        p, from 1 to 8, or to 7 where `error` is given.
    beta
        Gain of the filter: the damping of GHVB, or beta_1 beta_2 of two filters in a row; or a SymPy symbol.
    momentum
        gamma in (-1, 1), with 0 < beta < 2 (1 + gamma), where the filter is stable; or a symbol.
    error
        The error constant C of a method of order p with p + 1 velocities: a number other than 0, or a symbol. None for
        p velocities, whose error constant follows.
    formulation
        As in `AdamsBashforth`.
    weights
        "variable" (order p on any grid) or "uniform" (the equal-step weights on every grid).

    Raises
    ------
    ValueError, TypeError
        For parameters out of range; at `discretize` where the weights are ill-conditioned on a grid.

    Notes
    -----
    Order p; 1 stage; N evaluations for N steps. With weights "variable" order p holds on any grid with exact starts,
    with "uniform" on equal steps.

    References
    ----------
    numdiff's own; gamma = 0 without C is GHVB: Wizadwongsa, Chinchuthakun, Khungurn, Raj, Suwajanakorn, Diffusion
    sampling with momentum, ICLR 2024, arXiv:2307.11118.

    Examples
    --------
    The error constant of a method with one velocity more is free:

    >>> import numdiff as nd
    >>> method = nd.FilteredAdams(2, 0.8, error=0.5)
    >>> nd.order.certified(method), round(float(nd.order.error_constant(method)), 12), method.points
    (2, 0.5, 3)
    >>> nd.FilteredAdams(2, 0.8).coefficients() == nd.GHVB(2, 0.8).coefficients()
    True
    """

    order: int
    beta: Any
    momentum: Any = 0
    error: Any = None
    formulation: Formulation | None = None
    weights: str = "variable"

    reference: ClassVar[str] = "numdiff; GHVB: Wizadwongsa et al., ICLR 2024"

    def __post_init__(self) -> None:
        """Check the parameters."""
        object.__setattr__(self, "order", check_order(self.order, MAX_ORDER - (self.error is not None)))
        object.__setattr__(self, "momentum", check_finite("momentum", self.momentum))
        object.__setattr__(self, "beta", _check_filter(self.beta, self.momentum))
        if self.error is not None:
            object.__setattr__(self, "error", check_finite("error", self.error))
            if is_zero(self.error):
                raise ValueError(
                    f"error = 0 makes the order {self.order + 1}: leave error out and use order={self.order + 1}"
                )
        choice("weights", self.weights, WEIGHTS)
        if self.formulation is not None:
            object.__setattr__(self, "formulation", formulations.get(self.formulation))

    @classmethod
    def from_dampings(cls, order: int, beta_1: Any, beta_2: Any, **options: Any) -> FilteredAdams:
        """Return the method with two velocity filters in a row, each of its own damping.

        Examples
        --------
        >>> import numdiff as nd
        >>> print(nd.FilteredAdams.from_dampings(2, 0.5, 0.5))
        FA2(0.25, momentum=0.25)
        """
        first, second = exact(check_beta(beta_1)), exact(check_beta(beta_2))
        return cls(order, first * second, momentum=(1 - first) * (1 - second), **options)

    @property
    def name(self) -> str:
        """FA, the order and beta, with what differs from the default."""
        inside = [show(self.beta)]
        inside += [] if is_zero(self.momentum) else [f"momentum={show(self.momentum)}"]
        inside += [] if self.error is None else [f"error={show(self.error)}"]
        parts = [f"FA{self.order}({', '.join(inside)})"]
        if self.formulation is not None:
            parts.append(self.formulation.name)
        return " ".join([*parts, *([] if self.weights == "variable" else [self.weights])])

    @property
    def points(self) -> int:
        """The velocities combined, one more than the order where the error constant is free."""
        return self.order + (self.error is not None)

    @property
    def registers(self) -> int:
        """The sample and as many past velocities as the weights or the filter need."""
        return max(self.points, 2 if is_zero(self.momentum) else 3)

    def steady_state(self, ratio: Number) -> TwoTermState:
        """Return the filter's fixed point, seen from the present node."""
        return self._fixed_point(self.beta, self.momentum, 1 if self.weights == "uniform" else ratio)

    def _fixed_point(self, beta: Number, momentum: Number, ratio: Number) -> TwoTermState:
        field = exact if kind(beta) in ("exact", "sympy") else to_float
        M, units = steady_filter(beta, self.points, ratio, momentum), [field(1)]
        for _ in range(1, self.points):
            units.append(units[-1] / field(ratio))
        return TwoTermState(tuple((M, unit) for unit in units), steady=True)

    def _observe(self, state: TwoTermState | None, point: Point) -> TwoTermState:
        """Let the filter see the present node; see `GHVB`."""
        beta, momentum = _as_at(point, self.beta), _as_at(point, self.momentum)
        age = 1 if state is None or point.first else state.age + 1
        if self.weights == "uniform":
            return replace(state or self._fixed_point(beta, momentum, 1), age=age)
        if state is None or point.first:
            M = [1, *[0] * (self.points - 1)]
            return TwoTermState(((M, point.span.unit),), before=M, age=age)
        if state.steady:
            return state
        unit = state.rows[0][1] / point.span.unit
        last = recentre(state.moments(0, point), -point.nodes[1])
        before = [unit**m * x for m, x in enumerate(state.before or ())]
        before = recentre(before, -point.nodes[1])
        seen = [(1 - beta) * x + momentum * (x - y) for x, y in zip(last, before, strict=True)]
        seen[0] = seen[0] + beta
        return TwoTermState(((seen, point.span.unit), *state.rows)[: self.points], before=last, age=age)

    def weights_at(self, state: TwoTermState, point: Point) -> list[Number]:
        """Return kappa w_i for the newest velocities: all of them once the history has filled."""
        k, mu = point.order, list(point.span.moments[: point.order])
        if k == 1:
            return [mu[0]]
        nodes = list(point.nodes[:k]) if self.weights == "variable" else [-j for j in range(k)]
        if self.error is not None and k == self.points:
            mu[-1] = mu[-1] - factorial(k - 1) * _as_at(point, self.error) * mu[0]
        if point.span.infinite and self.weights == "uniform":
            mu = [mu[0], *[0] * (k - 1)]  # nodes spaced by an infinite step: only the constant is left
        beta, momentum, oldest = _as_at(point, self.beta), _as_at(point, self.momentum), state.moments(k - 1, point)[:k]
        try:
            if is_zero(momentum):
                return filtered(nodes, oldest, beta, mu)
            newer = recentre(state.moments(k - 2, point)[:k], nodes[-1] - nodes[-2])
            return filtered_twice(nodes, newer, oldest, beta, momentum, mu)
        except ValueError as error:
            remedy = 'use weights="uniform", beta <= 1 with momentum=0, or another order'
            raise ValueError(f"{self.name} on this grid: {error}; {remedy}") from None

    def advance(self, state: TwoTermState | None, point: Point) -> tuple[Tableau, TwoTermState]:
        """Return the tableau of one step and the filter after it; see `Multistep`."""
        state = self._observe(state, point)
        r = self.registers
        beta = 1 if state.age == 1 else _as_at(point, self.beta)
        momentum = 0 if state.age <= 2 else _as_at(point, self.momentum)
        velocity = [beta, 0, 1 - beta + momentum, -momentum, *[0] * (r - 3)][: r + 1]
        if not point.momentum:
            return one_stage([point.span.moments[0], point.span.xi, *[0] * (r - 1)], velocity), state
        w = self.weights_at(state, point)
        direct, older = w[0], [*w[1:], *[0] * (r - len(w))]
        row = [product(x, direct) + y for x, y in zip(velocity[2:], older, strict=True)]
        return one_stage([direct * beta, point.span.xi, *row], velocity), state


def _as_at(point: Point, value: Number) -> Number:
    """Return a parameter as a float on a grid of floats: mixed with them exact numbers are slow and no more exact."""
    return float(value) if type(point.span.unit) is float and kind(value) in ("exact", "sympy") else value


def _check_filter(beta: Any, momentum: Any) -> Any:
    """Return `beta` if the filter forgets: both poles inside the unit circle, or on it where momentum is 0."""
    if not is_symbolic(momentum) and is_zero(momentum):
        return check_beta(beta)
    beta = check_finite("beta", beta)
    if not is_symbolic(momentum) and not -1 < momentum < 1:
        raise ValueError(f"momentum must lie in (-1, 1), got {momentum}; 0 is the filter of GHVB")
    if not (is_symbolic(beta) or is_symbolic(momentum)) and not 0 < beta < 2 * (1 + momentum):
        raise ValueError(
            f"beta must lie in (0, 2 (1 + momentum)) = (0, {2 * (1 + momentum)}), where the velocity filter is stable, "
            f"got {beta}"
        )
    return beta


def StretchedAdams(real_interval: Any = 3, **options: Any) -> FilteredAdams:
    """Return a second-order method with two velocities of given real stability interval and small error constant.

    ::

        v_{n+1} = v_n + beta (f_n - v_n) + gamma (v_n - v_{n-1}),    x_{n+1} = xi x_n + kappa (w_0 v_{n+1} + w_1 v_n)
        beta = 4/(1 + s + s^2),    gamma = (1 - s + s^2)/(1 + s + s^2),    s = x*/2

    where f_n is the evaluation, v the velocity, xi and kappa the linear factor and scale of the formulation, x* the
    `real_interval`, and w_0, w_1 make the step exact for f = 1 and f = u on the grid (see `FilteredAdams`).

    It is `FilteredAdams` of order 2 with beta = 4/(1 + s + s^2) and momentum (1 - s + s^2)/(1 + s + s^2), s = x*/2: the
    interval is (-2 s, 0) and the error constant s^2/4 + 1/6. s = 1 has the error constant of AB2, 5/12, and twice its
    interval. Both roots of the filter have modulus sqrt(momentum). Wherever `numdiff.design.largest_interval` was asked
    for the longest interval at a given error constant, within this class, it returned a member of this family.

    Parameters
    ----------
    real_interval
        x* > 0: a number or a symbol.
    options
        ``formulation`` and ``weights`` of `FilteredAdams`.

    Returns
    -------
    FilteredAdams

    Raises
    ------
    ValueError, TypeError
        For parameters out of range.

    Notes
    -----
    Order 2; 1 stage; N evaluations for N steps. With weights "variable" order 2 holds on any grid with exact starts;
    the real stability interval is (-x*, 0), on equal steps.

    References
    ----------
    numdiff's own, a member of `FilteredAdams`.

    Examples
    --------
    Order, interval and error constant; the second line has the error constant of AB2 and twice its interval:

    >>> import numdiff as nd
    >>> for x in (1, 2, 4):
    ...     method = nd.StretchedAdams(x)
    ...     print(nd.order.certified(method), nd.stability.real_interval(method), nd.order.error_constant(method))
    2 1 11/48
    2 2 5/12
    2 4 7/6
    """
    x = exact(check_finite("real_interval", real_interval))
    if not is_symbolic(x) and not x > 0:
        raise ValueError(f"real_interval must be positive, got {real_interval}; 3 is three times that of AB2")
    s = x / 2
    below = 1 + s + s**2
    return FilteredAdams(2, 4 / below, momentum=(1 - s + s**2) / below, **options)
