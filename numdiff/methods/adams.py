"""Adams-Bashforth in every formulation: PLMS, LMS, DDIM, DEIS and DPM-Solver++ multistep are instances of it.

::

    x_t = xi x_s + kappa_t sum_{j<k} omega_j f_{n-j},    omega_j = int_0^h e^{c(h-u)} l_j(u) du

on the nodes u_j = s_{n-j} - s_n. Published variants differ from it and are named, not hidden:

- ``weights="uniform"`` spaces all nodes by the present step, u_j = -j h, whatever the grid: PLMS and iPNDM.
- ``rule`` other than "exact" puts another number for one moment mu_m = int_0^h e^{c(h-u)} u^m du:

  ===========  ======  ==================================  =====  =================================================
  rule         points  in place of                         order  known as
  ===========  ======  ==================================  =====  =================================================
  "half"       2       mu_1 <- h/2 mu_0                    2      2M "midpoint" of DPM-Solver(++), UniPC's "bh2"
  "bh1"        2       mu_1 <- h^2/2                       2      UniPC's "bh1", SA-Solver's two-point step
  "3m"         3       mu_2 <- mu_2/2; start as "half"     2      3M of DPM-Solver(++), solver type "midpoint"
  "3m-heun"    3       mu_2 <- mu_2/2; start as "exact"    2      the same, solver type "heun"; DPM++ 3M
  ===========  ======  ==================================  =====  =================================================

**3M.** With f[.] divided differences the interpolant through three points is f_n + u f'(0) + u^2 f[0,-1,-2], where
the second difference is f''/2. The published weights multiply f[0,-1,-2] by the integral of u^2/2, which would be right
for f'': half of that term is missing, an error h^3 f''/12 in every step, so that three evaluations give order 2. The
exact rule with ``order=3`` has order 3.

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
from numdiff.methods.checks import check_order, choice
from numdiff.methods.multistep import AdamsType, Point
from numdiff.phi import phi
from numdiff.weights import MAX_ORDER, interpolatory

__all__ = ["AdamsBashforth"]

WEIGHTS = ("variable", "uniform")
RULES = ("exact", "half", "bh1", "3m", "3m-heun")
HALVED = ("3m", "3m-heun")


@dataclass(frozen=True)
class AdamsBashforth(AdamsType):
    """Explicit Adams method of order k, exact on polynomials of degree < k in the formulation's variable on any grid.

    ::

        x_t = xi x_s + kappa_t sum_{j<k} omega_j f_{n-j},    omega_j = int_0^h e^{c(h-u)} l_j(u) du

    where f_{n-j} are the evaluations, newest first, h is the step in the formulation's variable, xi, kappa_t and c are
    the linear factor, scale and kernel exponent of the formulation (data/log-SNR: sigma_t/sigma_s, alpha_t, -1), and
    l_j is the polynomial that is 1 at the node u_j = s_{n-j} - s_n and 0 at the other k - 1.

    Parameters
    ----------
    order
        k, from 1 to 8: the number of evaluations combined, but for the rules "3m" and "3m-heun", which combine three
        at order 2.
    formulation
        What is interpolated, in which variable; None for noise/ratio (velocity/time on flow schedules).
    weights
        "variable" for formula (*) on the true nodes, "uniform" for nodes spaced by the present step.
    rule
        "exact", or a published substitution, all with ``order=2``: "half" (2M "midpoint" of DPM-Solver(++), UniPC's
        "bh2"), "bh1" (UniPC's "bh1"), "3m" and "3m-heun" (3M of DPM-Solver(++), which combines three evaluations).

    Raises
    ------
    ValueError, TypeError
        For an order out of range or an unknown option.

    Notes
    -----
    Order k; 1 stage; N evaluations for N steps. Order k holds with exact starts, on any grid with weights "variable"
    and on grids uniform in the variable with "uniform"; with noise the weak order is 2 at most.

    References
    ----------
    Hairer, Norsett, Wanner, Solving ordinary differential equations I, III.1 and III.5; Hochbruck and Ostermann,
    Exponential multistep methods of Adams-type, BIT 51 (2011).

    Examples
    --------
    >>> import numdiff as nd
    >>> print(*nd.AdamsBashforth(3).coefficients())
    23/12 -4/3 5/12
    >>> print(*nd.AdamsBashforth(2).coefficients(ratios=[2]))  # after a step of half the length
    2 -1
    >>> nd.order.error_constant(nd.AdamsBashforth(3)), nd.stability.real_interval(nd.AdamsBashforth(3))
    (3/8, 6/11)
    >>> nd.AdamsBashforth(2, "data/log-snr").coefficients()  # DPM-Solver++ 2M without its substitution
    (h*phi(1, -h) + h*phi(2, -h), -h*phi(2, -h))
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
        self._check_rule()
        if self.formulation is not None:
            object.__setattr__(self, "formulation", formulations.get(self.formulation))

    def _check_rule(self) -> None:
        if self.rule in ("half", "bh1") and self.order != 2:
            raise ValueError(f'rule="{self.rule}" is a two-point rule; use it with order=2, not order={self.order}')
        if self.rule in HALVED and self.order != 2:
            raise ValueError(
                f'rule="{self.rule}" combines three evaluations and has order 2: use order=2, not order={self.order}, '
                'or rule="exact" with order=3'
            )
        if self.rule not in ("exact", "half") and self.weights != "variable":
            raise ValueError(f'rule="{self.rule}" is published for the true nodes; use weights="variable"')

    @property
    def points(self) -> int:
        """As many as the order, and three for 3M."""
        return 3 if self.rule in HALVED else self.order

    @property
    def name(self) -> str:
        """AB and the number of evaluations, with what differs from the default."""
        parts = [f"AB{self.points}"]
        if self.formulation is not None:
            parts.append(self.formulation.name)
        parts += [x for x in (self.weights, self.rule) if x not in ("variable", "exact")]
        return " ".join(parts)

    @property
    def has_limit(self) -> bool:
        """False where the slope is weighed by h/2 or h^2/2 on the true nodes, which stay behind."""
        return self.rule in ("exact", "3m-heun") or self.weights == "uniform"

    def weights_at(self, state: Any, point: Point) -> list[Number]:
        """Return kappa omega_j for the step's `order` newest nodes."""
        return interpolatory(*self.interpolant(point))

    def interpolant(self, point: Point) -> tuple[Sequence[Number], Sequence[Number]]:
        """Return the nodes that are taken for the true ones, and the moments in use."""
        k, mu = point.order, point.span.moments
        if point.span.infinite and self.weights == "uniform" and self.rule == "exact":
            return [0], mu  # nodes spaced by an infinite step: the polynomial is constant where the kernel is not 0
        if k == 2 and self.rule in ("half", "3m"):
            mu = [mu[0], mu[0] / 2]
        elif k == 2 and self.rule == "bh1":
            mu = [mu[0], mu[0] / phi(1, point.span.c * point.span.unit) / 2]
        elif k == 3 and self.rule in HALVED:
            mu = [mu[0], mu[1], mu[2] / 2]
        return point.nodes[:k] if self.weights == "variable" else [-j for j in range(k)], mu
