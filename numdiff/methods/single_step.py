r"""Single-step DPM-Solvers on a grid with one node for every evaluation: the published order lists.

A step of order k spans k grid intervals, and its stages sit on the grid's own nodes,

::

    c_i = (lambda_{n+i-1} - lambda_n)/(lambda_{n+k} - lambda_n),    i = 2, ..., k,

so that a run of N intervals makes N evaluations whatever the orders, and every table comes from the grid. The lists::

    order 3    N = 0 mod 3: 3, ..., 3, 2, 1        N = 1 mod 3: 3, ..., 3, 1        N = 2 mod 3: 3, ..., 3, 2
    order 2    N even: 2, ..., 2                   N odd: 2, ..., 2, 1

diffusers ends an even list of order 2 with 1, 1. An interval of infinite length in log-SNR, at sigma = 0 or alpha = 0,
is a step of order 1 of its own whatever the list; the step that held it keeps the rest.

Order 3 asks for more than DPM-Solver-3 gives where c_3 is not 2/3, as it is on no grid but log-SNR's own: see
`numdiff.methods.exponential_butcher`. ``rule="exact"`` has order 3 on every grid (unless c_2 = 2/3). A last step of
order 1 misses by O(h^2), once: lists that end with it have order 2 as a whole.

Between the ends of its steps a run has stages and no samples, so callbacks and trajectories see the steps' ends only.

Sources: Lu et al., DPM-Solver (2022), algorithm 3 and appendix D.3; DPM-Solver++ (2022).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from numdiff.elementary import Number
from numdiff.formulations import DATA_LOG_SNR, Formulation
from numdiff.methods import exponential_butcher as arrays
from numdiff.methods.base import Method
from numdiff.methods.checks import check_order, check_spans, choice
from numdiff.methods.exponential_butcher import ExponentialButcher
from numdiff.methods.exponential_runge_kutta import (
    ExponentialRungeKutta,
    base_of,
    check_formulation,
    exponential_step,
    infinite,
)
from numdiff.methods.layout import Layout
from numdiff.methods.multistep import first_order
from numdiff.methods.published.single_step import single_step_table
from numdiff.tableau import Tableau

__all__ = ["SingleStep", "order_list"]

TAILS = ("official", "diffusers", "full")


def order_list(order: int, intervals: int, tail: str = "official") -> tuple[int, ...]:
    """Return the orders of the steps that cover `intervals` grid intervals.

    Parameters
    ----------
    order
        1, 2 or 3.
    intervals
        N, the number of evaluations.
    tail
        "official", steps of the full order and then what is left, at order 3 always a lower one; "diffusers", which
        ends an even list of order 2 with 1, 1; "full" without lowering.

    Returns
    -------
    tuple of int
        The orders, which add up to `intervals`.

    Raises
    ------
    ValueError
        For an unknown tail, or "full" where `order` does not divide N.

    Examples
    --------
    >>> from numdiff.methods.single_step import order_list
    >>> [order_list(3, N) for N in (6, 7, 8)]
    [(3, 2, 1), (3, 3, 1), (3, 3, 2)]
    >>> order_list(2, 6, "diffusers")
    (2, 2, 1, 1)
    """
    choice("tail", tail, TAILS)
    whole, rest = divmod(intervals, order)
    if tail == "full":
        if rest:
            raise ValueError(
                f"order {order} does not divide {intervals} grid intervals, as tail='full' needs; use tail='official'"
            )
        return (order,) * whole
    if order == 3 and rest == 0 and whole:
        return (*(3,) * (whole - 1), 2, 1)
    if order == 2 and rest == 0 and whole and tail == "diffusers":
        return (*(2,) * (whole - 1), 1, 1)
    return (*(order,) * whole, *((rest,) if rest else ()))


@dataclass(frozen=True)
class SingleStep(Method):
    """DPM-Solver(++) single-step as run by the published codes: one grid node for every evaluation.

    ::

        x_i = xi_i x_n + kappa_i h sum_{j<i} a_ij D_j,    D_i = D(x_i),    c_i = (lambda_{n+i-1} - lambda_n)/h
        x_{n+k} = xi x_n + kappa h sum_{i<=k} b_i D_i,    h = lambda_{n+k} - lambda_n

    where lambda = log(alpha/sigma), D is the data prediction, xi and kappa are sigma_t/sigma_s and alpha_t (for noise
    alpha_t/alpha_s and -sigma_t), and a, b the weights of `DPMSolverSingle` on the nodes c_i, which are grid nodes.

    Parameters
    ----------
    order
        1, 2 or 3: the order of every step that the list does not lower.
    formulation
        data/log-snr (DPM-Solver++), noise/log-snr (DPM-Solver) or a stochastic form.
    rule
        "exact", "taylor", "dpmsolver" or "half"; see `numdiff.methods.exponential_runge_kutta.DPMSolverSingle`.
        diffusers' solver_type "heun" is "taylor" and its "midpoint" is "half"; the official code's are "taylor" and
        "dpmsolver".
    tail
        The list of orders: "official", "diffusers" or "full"; see `order_list`. ``discretize(orders=...)`` replaces
        it by a list of the same kind: the orders of the steps, 1 to `order`, which add up to the grid's intervals, as
        (3, 3, 2, 1) does to 9.

    Raises
    ------
    ValueError, TypeError
        For parameters out of range.

    Notes
    -----
    Order k; k stages; N evaluations for N grid intervals. Lists that end in a step of order 1 have order 2 as a whole.
    Repaired: "exact" has order 3 on any grid; the published rules have it only where c_3 = 2/3.

    References
    ----------
    Lu, Zhou, Bao, Chen, Li, Zhu, DPM-Solver, arXiv:2206.00927, algorithm 3 and appendix D.3; Lu, Zhou, Bao, Chen, Li,
    Zhu, DPM-Solver++, arXiv:2211.01095. Code: LuChengTHU/dpm-solver; diffusers, DPMSolverSinglestepScheduler.

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.methods.single_step import order_list
    >>> order_list(3, 10)  # ten evaluations: the orders, and the grid intervals, of the steps
    (3, 3, 3, 1)
    >>> schedule = nd.schedules.VPLinear()
    >>> scheme = nd.SingleStep(3).discretize(schedule, nd.grids.uniform_log_snr(schedule, 10))
    >>> scheme.nfe, [tableau.stages for tableau in scheme]
    (10, [3, 3, 3, 1])
    """

    order: int = 3
    formulation: Formulation | None = DATA_LOG_SNR
    rule: str = "exact"
    tail: str = "official"

    reference: ClassVar[str] = "Lu et al., DPM-Solver, 2022, algorithm 3 and appendix D.3"

    def __post_init__(self) -> None:
        """Check the parameters."""
        object.__setattr__(self, "order", check_order(self.order, 3))
        choice("rule", self.rule, (*arrays.RULES, "taylor"))
        choice("tail", self.tail, TAILS)
        chosen = DATA_LOG_SNR if self.formulation is None else self.formulation
        object.__setattr__(self, "formulation", check_formulation(chosen))

    @property
    def name(self) -> str:
        """The order, the formulation, and what differs from the default."""
        parts = [f"SingleStep{self.order}", str(self.formulation)]
        parts += [self.rule] * (self.rule != "exact") + [self.tail] * (self.tail != "official")
        return " ".join(parts)

    @property
    def weak_order(self) -> int | None:
        """As an exponential Runge-Kutta method's."""
        return min(self.order, 2) if self.stochastic else None

    @property
    def points(self) -> int:
        """1, since nothing is remembered from step to step."""
        return 1

    def check_orders(self, orders: Any, steps: int) -> tuple[int, ...]:
        """Return the orders of the steps that cover `steps` grid intervals: those given, or the list of `tail`."""
        return self._full_orders(steps) if orders is None else check_spans(self, orders, steps)

    def _full_orders(self, steps: int) -> tuple[int, ...]:
        return order_list(self.order, steps, self.tail)

    def nfe(self, steps: int) -> int:
        """Return `steps`: every grid interval costs one evaluation."""
        return steps

    @property
    def stages(self) -> int:
        """Evaluations of one step of the full order, which spans as many grid intervals."""
        return self.order

    def table(self, c2: Number = 1, c3: Number = 1) -> ExponentialButcher:
        """Return the array of a step of the full order with these nodes."""
        return single_step_table(self.order, self.rule, c2, c3)

    def coefficients(self) -> ExponentialButcher:
        """Return the exact array of equal intervals in log-SNR."""
        return self._steady_method().table

    def _steady_method(self) -> ExponentialRungeKutta:
        nodes = {i: arrays.Q(i, self.order) for i in range(1, self.order)}
        table = self.table(nodes.get(1, 1), nodes.get(2, 1))
        return ExponentialRungeKutta(table, self.name, self.formulation)

    def steady(self, h: Number | None = None, *, ratio: Number = 1) -> Tableau:
        """Return one step of the full order over equal intervals, `h` long altogether; see `Method.steady`."""
        return self._steady_method().steady(h, ratio=ratio)

    def _program(self, layout: Layout) -> Iterator[Tableau]:
        n = 0
        for k in self._steps(layout):
            levels, there = layout.levels[n : n + k], layout.levels[n + k]
            if infinite(layout.formulation, levels[0], there):
                yield first_order(layout.formulation, levels[0], there)
            else:
                yield exponential_step(self._on(layout, levels, there), layout.formulation, levels, there)
            n += k

    def _on(self, layout: Layout, levels: Any, there: Any) -> ExponentialButcher:
        """Return the array of a step whose stages sit at these levels."""
        variable, k = base_of(layout.formulation), len(levels)
        first, *inner, last = (variable.node(level) for level in (*levels, there))
        c = [(s - first) / (last - first) for s in inner] + [1, 1]
        return single_step_table(k, self.rule, *c[:2])

    def _steps(self, layout: Layout) -> Iterator[int]:
        """Yield how many intervals each step spans, infinite intervals alone."""
        listed = list(layout.orders)
        ends = layout.levels[0], layout.levels[1], layout.levels[-2], layout.levels[-1]
        opens, closes = (infinite(layout.formulation, *ends[i : i + 2]) for i in (0, 2))
        if closes and listed[-1] > 1:
            listed[-1:] = [listed[-1] - 1, 1]
        if opens and listed[0] > 1:
            listed[:1] = [1, listed[0] - 1]
        yield from listed
