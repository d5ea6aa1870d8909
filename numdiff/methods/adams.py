"""Adams-Bashforth in every formulation: PLMS, LMS, DDIM, DEIS and DPM-Solver++ multistep are instances of it.

    x_t = xi x_s + kappa_t sum_{j<k} omega_j f_{n-j},    omega_j = int_0^h e^{c(h-u)} l_j(u) du

on the nodes u_j = s_{n-j} - s_n. Two published variants differ from it and are named, not hidden:

- ``weights="uniform"`` spaces all nodes by the present step, u_j = -j h, whatever the grid: PLMS and iPNDM.
- ``rule="half"`` (two points) replaces the moment h^2 phi_2(c h) by h/2 h phi_1(c h): the "midpoint" rule of
  DPM-Solver++ 2M.

Sources: Hairer, Norsett, Wanner, Solving ODEs I, III.5; Liu et al., PNDM (2022); Zhang and Chen, DEIS (2023); Lu et
al., DPM-Solver++ (2022).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from numdiff import formulations
from numdiff.elementary import Number
from numdiff.formulations import Formulation
from numdiff.methods.base import check_order, choice
from numdiff.methods.multistep import Multistep, Point
from numdiff.tableau import Tableau, one_stage
from numdiff.weights import MAX_ORDER, interpolatory

WEIGHTS = ("variable", "uniform")
RULES = ("exact", "half")


@dataclass(frozen=True)
class AdamsBashforth(Multistep):
    """Explicit Adams method of order k, exact on polynomials of degree < k in the formulation's variable on any grid.

    Parameters
    ----------
    order
        k, from 1 to 8: the number of evaluations combined.
    formulation
        What is interpolated, in which variable; None for noise/ratio (velocity/time on flow schedules).
    weights
        "variable" for formula (*) on the true nodes, "uniform" for nodes spaced by the present step.
    rule
        "exact", or "half" (order 2 only) for the midpoint substitution of DPM-Solver++ 2M.

    Raises
    ------
    ValueError, TypeError
        For an order out of range or an unknown option.
    """

    order: int
    formulation: Formulation | None = None
    weights: str = "variable"
    rule: str = "exact"

    reference: ClassVar[str] = "Hairer, Norsett, Wanner, Solving ODEs I, III.5; Zhang and Chen, DEIS, 2023"

    def __post_init__(self) -> None:
        """Check the parameters."""
        object.__setattr__(self, "order", check_order(self.order, MAX_ORDER))
        choice("weights", self.weights, WEIGHTS)
        choice("rule", self.rule, RULES)
        if self.rule == "half" and self.order != 2:
            raise ValueError(f'rule="half" is a two-point rule; use it with order=2, not order={self.order}')
        if self.formulation is not None:
            object.__setattr__(self, "formulation", formulations.get(self.formulation))

    @property
    def name(self) -> str:
        """AB and the order, with what differs from the default."""
        parts = [f"AB{self.order}"]
        if self.formulation is not None:
            parts.append(self.formulation.name)
        parts += [x for x in (self.weights, self.rule) if x not in ("variable", "exact")]
        return " ".join(parts)

    @property
    def has_limit(self) -> bool:
        """False for the half rule on the true nodes: it weighs the slope by h/2, and the nodes stay behind."""
        return self.rule == "exact" or self.weights == "uniform"

    @property
    def registers(self) -> int:
        """The sample and k - 1 past evaluations."""
        return self.order

    def weights_at(self, state: Any, point: Point) -> list[Number]:
        """Return kappa omega_j for the step's `order` newest nodes."""
        return interpolatory(*self.interpolant(point))

    def interpolant(self, point: Point) -> tuple[Sequence[Number], Sequence[Number]]:
        """Return the nodes that are taken for the true ones, and the moments in use."""
        k, mu = point.order, point.span.moments
        if point.span.infinite and self.weights == "uniform" and self.rule == "exact":
            return [0], mu  # nodes spaced by an infinite step: the polynomial is constant where the kernel is not 0
        if self.rule == "half" and k == 2:
            mu = [mu[0], mu[0] / 2]
        return point.nodes[:k] if self.weights == "variable" else [-j for j in range(k)], mu

    def state_at(self, ratios: Sequence[Number]) -> None:
        """Return None: Adams methods carry no state, so any ratios will do."""

    def advance(self, state: Any, point: Point) -> tuple[Tableau, Any]:
        """Return the tableau of one step; see `Multistep`."""
        omega = self.weights_at(state, point)
        pad = [0] * (self.order - len(omega))
        return one_stage([omega[0], point.span.xi, *omega[1:], *pad], [1, *[0] * self.order]), None
