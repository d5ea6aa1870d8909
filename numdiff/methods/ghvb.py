r"""Generalized heavy ball (GHVB) of any order, on any grid, in any formulation.

The velocity is averaged before it is extrapolated::

    v_{n+1} = (1-beta) v_n + beta f_n,    x_{n+1} = xi x_n + kappa sum_{i<k} w_i v_{n+1-i},    v_0 = f_0.

The published weights follow from f = (1 + ((1-beta)/beta) nabla) v, put into Adams-Bashforth on equal steps and
truncated at nabla^{k-1}. Here the weights come from what the filter does to polynomials on the actual grid
(`numdiff.weights`): with M_i^m the filter of u^m after node n - i they solve sum_i w_i M_i^m = int_0^h e^{c(h-u)} u^m
du, m < k, so order k holds on every grid. On equal steps the two agree exactly. ``weights="uniform"`` are the
published ones: the filter is taken at its fixed point on equal steps of the present length, whatever the grid. With
c = 0 that is one set of numbers times the step's total weight.

On a geometric grid of ratio r the moments M^m tend to a fixed point if and only if |1-beta| < r^m. With all m < k they
do for |1-beta| < r^{k-1} (always for r >= 1), and the weights tend to those of `coefficients`. Otherwise M^{k-1} grows
without bound in units of the steps, the weight a = mu[P]/M[P] on the oldest velocity tends to 0, and what is left
interpolates the k - 1 newest evaluations: the method tends to Adams-Bashforth of order k - 1 and damps no longer.

Sources: Wizadwongsa et al., Diffusion sampling with momentum, ICLR 2024 (equal steps); the variable-step form is
numdiff's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from numdiff import formulations
from numdiff.elementary import Number, kind, product
from numdiff.formulations import Formulation
from numdiff.methods.adams import WEIGHTS
from numdiff.methods.checks import check_beta, check_order, choice, show
from numdiff.methods.multistep import Multistep, Point
from numdiff.tableau import Tableau, one_stage
from numdiff.weights import (
    MAX_ORDER,
    exact,
    observe,
    on_newer,
    on_oldest,
    on_velocities,
    recentre,
    rescale,
    steady_filter,
    to_float,
)

__all__ = ["GHVB"]


@dataclass(frozen=True)
class FilterState:
    """The velocity filter after the last nodes, newest first: moments centred on their own node, with their unit.

    In a steady state the present node is among them already, and the unit is the present step.
    """

    rows: tuple[tuple[list[Number], Number], ...]
    steady: bool = False

    def moments(self, i: int, point: Point) -> list[Number]:
        """Return the moments after node n - i about that node, in units of the step at `point`."""
        M, unit = self.rows[i]
        return rescale(M, unit if self.steady else unit / point.span.unit)


@dataclass(frozen=True)
class GHVB(Multistep):
    """Generalized heavy ball of order k with damping beta.

    ::

        v_{n+1} = (1-beta) v_n + beta f_n,    v_0 = f_0
        x_{n+1} = xi x_n + kappa sum_{i<k} w_i v_{n+1-i},    sum_i w_i M_i^m = int_0^h e^{c(h-u)} u^m du,    m < k

    where f_n is the evaluation, v the velocity, M_i^m what the filter makes of u^m up to node n - i, h the step, and
    xi, kappa and c the linear factor, scale and kernel exponent of the formulation (noise/ratio: alpha_t/alpha_s,
    alpha_t, 0).

    Parameters
    ----------
    order
        k, from 1 to 8: the number of velocities combined.
    beta
        Damping in (0, 2]; 1 is Adams-Bashforth. A SymPy symbol for exact work, a 0-d float64 torch tensor for
        gradients.
    formulation
        As in `AdamsBashforth`.
    weights
        "variable" (order k on any grid) or "uniform" (as published: order k on equal steps only, and 2 at most in a
        run, since v_0 = f_0 is not the velocity of equal steps; on others 2 where the steps change smoothly, 1 where
        they are rough).

    Raises
    ------
    ValueError, TypeError
        For parameters out of range; at `discretize` for beta > 1 on a grid where the weights are ill-conditioned.
        At `coefficients` and `steady` for numbers with ``|1-beta| >= r^{k-1}`` on steps of ratio r < 1: no weights are
        tended to there that keep the damping.

    Notes
    -----
    Order k; 1 stage; N evaluations for N steps. With weights "variable", the repaired form, order k holds on any grid
    with exact starts; the published ones, "uniform", have it on equal steps, 2 at most in a run, 2 on steps that change
    smoothly, and 1 on rough ones.

    Where steps shrink by a ratio r with ``r^{k-1} <= |1-beta|``, the velocities of the longer steps before outweigh the
    present, and the weights of "variable" tend to those of Adams-Bashforth of order k - 1 on its evaluations (k = 2:
    Euler). The order holds, but nothing is damped any more. On steps uniform in log-SNR, h apart, r is e^{-h} in
    noise/ratio; in noise/log-snr and data/log-snr such steps are equal, and the damping stays.

    The ICLR paper names methods by one float, ceil(order) = k with beta its fractional part: its 2.8 is ``GHVB(3,
    0.8)``, its 1.8 ``GHVB(2, 0.8)``. See `GHVB.from_paper`.

    References
    ----------
    Wizadwongsa, Chinchuthakun, Khungurn, Raj, Suwajanakorn, Diffusion sampling with momentum, ICLR 2024,
    arXiv:2307.11118; the weights for unequal steps are numdiff's.

    Examples
    --------
    >>> import sympy as sp
    >>> import numdiff as nd
    >>> beta = sp.Symbol("beta", positive=True)
    >>> nd.GHVB(2, beta).coefficients()
    ((beta + 2)/(2*beta), (beta - 2)/(2*beta))
    >>> nd.stability.real_interval(nd.GHVB(2, 0.8)), nd.stability.real_interval(nd.AdamsBashforth(2))
    (6/5, 1)
    >>> nd.GHVB(2, 1).coefficients() == nd.AdamsBashforth(2).coefficients()
    True
    """

    order: int
    beta: Any
    formulation: Formulation | None = None
    weights: str = "variable"

    reference: ClassVar[str] = "Wizadwongsa et al., ICLR 2024; variable steps: numdiff"

    def __post_init__(self) -> None:
        """Check the parameters."""
        object.__setattr__(self, "order", check_order(self.order, MAX_ORDER))
        object.__setattr__(self, "beta", check_beta(self.beta))
        choice("weights", self.weights, WEIGHTS)
        if self.formulation is not None:
            object.__setattr__(self, "formulation", formulations.get(self.formulation))

    @classmethod
    def from_paper(cls, order: float | str, **options: Any) -> GHVB:
        """Return the method that the paper writes as one number, read as a decimal: 2.8 means beta = 4/5 exactly.

        Published weights unless told otherwise.

        Examples
        --------
        >>> import numdiff as nd
        >>> print(nd.GHVB.from_paper(2.8))
        GHVB3(4/5) uniform
        """
        from fractions import Fraction
        from math import ceil

        value = Fraction(str(order))
        k = ceil(value)
        return cls(k, value - k + 1, **{"weights": "uniform", **options})

    @property
    def name(self) -> str:
        """GHVB, order and beta, with what differs from the default."""
        parts = [f"GHVB{self.order}({show(self.beta)})"]
        if self.formulation is not None:
            parts.append(self.formulation.name)
        return " ".join([*parts, *([] if self.weights == "variable" else [self.weights])])

    @property
    def registers(self) -> int:
        """The sample and max(1, k - 1) past velocities."""
        return max(2, self.order)

    def steady_state(self, ratio: Number) -> FilterState:
        """Return the filter's fixed point, seen from the present node."""
        return self._fixed_point(self.beta, 1 if self.weights == "uniform" else ratio)

    def _fixed_point(self, beta: Number, ratio: Number) -> FilterState:
        field = exact if kind(beta) in ("exact", "sympy") else to_float
        M, units = steady_filter(beta, self.order, ratio), [field(1)]
        for _ in range(1, self.order):
            units.append(units[-1] / field(ratio))
        return FilterState(tuple((M, unit) for unit in units), steady=True)

    def _observe(self, state: FilterState | None, point: Point) -> FilterState:
        """Let the filter see the present node; the published weights take it to be at its fixed point all along."""
        if self.weights == "uniform":
            return state or self._fixed_point(self._beta_at(point), 1)
        if state is None or point.first:
            return FilterState((([1, *[0] * (self.order - 1)], point.span.unit),))
        if state.steady:
            return state
        seen = observe(recentre(state.moments(0, point), -point.nodes[1]), self._beta_at(point))
        return FilterState(((seen, point.span.unit), *state.rows)[: self.order])

    def _beta_at(self, point: Point) -> Number:
        """Return beta, as a float on a grid of floats: mixed with them exact numbers are slow and no more exact."""
        exactly = kind(self.beta) in ("exact", "sympy")
        return float(self.beta) if type(point.span.unit) is float and exactly else self.beta

    def weights_at(self, state: FilterState, point: Point) -> list[Number]:
        """Return kappa w_i for the `order` newest velocities."""
        a, b = self.parts_at(state, point)
        return on_velocities(a, b, self._beta_at(point)) if b else [a]

    def parts_at(self, state: FilterState, point: Point) -> tuple[Number, list[Number]]:
        """Return kappa a and kappa b_j, the weights on the oldest velocity and on the evaluations since."""
        k = point.order
        nodes, mu = self.interpolant(point)
        if k == 1:
            return mu[0], []
        try:
            M = state.moments(k - 1, point)[:k]
            a = on_oldest(nodes, M, self._beta_at(point), mu)
            return a, on_newer(nodes, M, mu, a)
        except ValueError as error:
            remedy = 'use weights="uniform", beta <= 1 or another order'
            raise ValueError(f"{self.name} on this grid: {error}; {remedy}") from None

    def interpolant(self, point: Point) -> tuple[Sequence[Number], Sequence[Number]]:
        """Return the nodes that are taken for the true ones, and the moments in use."""
        k, mu = point.order, point.span.moments
        nodes = point.nodes[:k] if self.weights == "variable" else [-j for j in range(k)]
        if point.span.infinite and self.weights == "uniform":
            mu = [mu[0], *[0] * (k - 1)]  # nodes spaced by an infinite step: only the constant is left
        return nodes, mu[:k]

    def advance(self, state: FilterState | None, point: Point) -> tuple[Tableau, FilterState]:
        """Return the tableau of one step and the filter after it; see `Multistep`."""
        state = self._observe(state, point)
        r = self.registers
        beta = 1 if point.first else self._beta_at(point)
        velocity = [beta, 0, 1 - beta, *[0] * (r - 2)]
        if not point.momentum:
            return one_stage([point.span.moments[0], point.span.xi, *[0] * (r - 1)], velocity), state
        w = self.weights_at(state, point)
        w = [*w, *[0] * (r - len(w))]
        row = [beta * w[0], point.span.xi, product(1 - beta, w[0]) + w[1], *w[2:]]
        return one_stage(row, velocity), state
