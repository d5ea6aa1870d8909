r"""Pseudo numerical methods: PNDM with its published starts and combinations, and iPNDM_v as published.

A transfer takes a sample from one level to another with one prediction e, as DDIM does::

    T_{s->t}(x, e) = (alpha_t/alpha_s) x + (sigma_t - sigma_s alpha_t/alpha_s) e

PNDM applies it to the mix of k evaluations with the Adams weights of equal steps, (55, -59, 37, -9)/24 for k = 4, on
whatever grid. That is `PLMS`; what is PNDM's own is the start, where there is no history yet::

    ==============  ==========================================================  ==================  ====================
    warmup          the first steps                                             evaluations         known as
    ==============  ==========================================================  ==================  ====================
    "heun"          one pseudo-Heun step, e = (e_s + e_t)/2; then k = 2, 3, 4   N + 1               skip_prk_steps
    "runge-kutta"   k - 1 pseudo-RK4 steps, the middle at the middle time       N + 3 (k - 1)       F-PNDM
    "lower"         k = 1, 2, 3                                                 N                   iPNDM, PLMS
    ==============  ==========================================================  ==================  ====================

Only the first evaluation of such a step enters the history. In a pseudo-Runge-Kutta step every stage is a transfer from
the start of the step; the middle *time* is not the middle of sigma/alpha, so that the local error is O(h^3) and no
better than Heun's. (``discretize(..., start="runge-kutta")`` replaces the start by a classical one.)

**Combining v.** Where the network predicts v = alpha eps - sigma x_0, the published code mixes the raw outputs and
converts the mix once, at the start of the step: eps = alpha_s v + sigma_s x_s (``combine="v"``). In the angle phi =
arctan(sigma/alpha) that is

::

    x_t = cos(phi_t - phi_s) x_s + sin(phi_t - phi_s) sum_j b_j v_{n-j},    while dx/dphi = v.

With weights b_j made for the integral of v the term in x_s, off by (phi_t - phi_s)^2/2, has nothing to balance it: the
method has order 1, whatever k. Combining eps (``combine="noise"``, the default) is the corrected form.

Sources: Liu et al., PNDM (2022), algorithms 1 and 2; Zhang and Chen, DEIS (2023), appendix H.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import atan2
from typing import Any, ClassVar

from numdiff.elementary import Number, kind
from numdiff.formulations import NOISE_RATIO, Formulation, Span
from numdiff.level import Level
from numdiff.methods.adams import AdamsBashforth
from numdiff.methods.butcher import HEUN, RK4, Butcher
from numdiff.methods.checks import check_order, choice
from numdiff.methods.ipndmv import IPNDMV
from numdiff.methods.layout import Layout
from numdiff.methods.multistep import AdamsType, Point
from numdiff.schedules import Discrete
from numdiff.schedules.base import plain
from numdiff.tableau import Tableau
from numdiff.weights import MAX_ORDER

__all__ = ["FPNDM", "IPNDMV", "PNDM", "PseudoNumerical"]

WARMUPS = ("heun", "runge-kutta", "lower")
COMBINES = ("noise", "v")


@dataclass(frozen=True)
class _Angle(Formulation):
    """v over the angle arctan(sigma/alpha): steps are rotations, exact where the mix of v is v at the start."""

    def node(self, level: Level) -> Number:
        """Return the angle, which only tells nodes apart: weights are those of equal steps."""
        return atan2(plain(level.sigma), plain(level.alpha))

    def scales(self, level: Level) -> tuple[Number, Number]:
        """Return (1, 1): the sample is not scaled."""
        return 1.0, 1.0

    def span(self, start: Level, end: Level, order: int = MAX_ORDER) -> Span:
        """Return the rotation by phi_t - phi_s, for any alpha^2 + sigma^2."""
        n = start.alpha**2 + start.sigma**2
        xi = (end.alpha * start.alpha + end.sigma * start.sigma) / n
        total = (end.sigma * start.alpha - start.sigma * end.alpha) / n
        return Span(xi, 1.0, [total / (m + 1) for m in range(order)])


V_ANGLE = _Angle("v/angle", "v", "angle", 0)


@dataclass(frozen=True)
class PseudoNumerical(AdamsType):
    """PNDM: equal-step Adams weights with a pseudo-Runge-Kutta start; build it with `PNDM` or `FPNDM`.

    ::

        x_{n+1} = T_{n->n+1}(x_n, sum_{j<m} b_j e_{n-j}),    m <= k, as many as there are

    where T is DDIM's step with one prediction, e_{n-j} are the noise predictions, newest first, and b_j the m Adams
    weights of equal steps.

    Parameters
    ----------
    points
        k, from 1 to 8: the number of evaluations combined; 4 as published.
    warmup
        The first steps: "heun", one pseudo-Heun step; "runge-kutta", k - 1 pseudo-Runge-Kutta steps of four
        evaluations; "lower", lower orders.
    combine
        "noise", or "v" to mix v predictions as published for networks that predict v.

    Raises
    ------
    ValueError, TypeError
        For an unknown option or a number of points out of range.

    Notes
    -----
    Order k; 1 stage; N evaluations for N steps, and those of the start. Order k holds with exact starts on grids
    uniform in sigma/alpha only; there a run has order min(k, 3) from its own starts and 2 from "lower". Other smooth
    grids give 2, rough ones 1. Combining v has order 1.

    ``warmup`` is what ``start="lower"``, the default, means here. Momentum around the method (`HeavyBall`) acts on its
    Adams steps and starts as ``warmup="lower"``. The published scheduler aims at t - T//N instead of the next timestep;
    that is the next timestep with its "leading" spacing, and with "trailing" if N divides T.

    References
    ----------
    Liu, Ren, Lin, Zhao, Pseudo numerical methods for diffusion models on manifolds, arXiv:2202.09778, algorithms 1 and
    2.

    Examples
    --------
    >>> import numdiff as nd
    >>> [nd.PseudoNumerical(4, warmup).nfe(20) for warmup in ("heun", "runge-kutta", "lower")]
    [21, 29, 20]
    >>> nd.PseudoNumerical(4, combine="v").order  # as published for networks that predict v
    1
    """

    points: int = 4
    warmup: str = "heun"
    combine: str = "noise"

    reference: ClassVar[str] = "Liu et al., PNDM, 2022, algorithms 1 and 2"

    def __post_init__(self) -> None:
        """Check the parameters."""
        object.__setattr__(self, "points", check_order(self.points, MAX_ORDER, name="points"))
        choice("warmup", self.warmup, WARMUPS)
        choice("combine", self.combine, COMBINES)

    @property
    def order(self) -> int:  # type: ignore[override]
        """The number k on equal steps of sigma/alpha, with exact starts; 1 where v is combined."""
        return self.points if self.combine == "noise" else 1

    @property
    def formulation(self) -> Formulation:  # type: ignore[override]
        """noise/ratio, or v over the angle."""
        return NOISE_RATIO if self.combine == "noise" else V_ANGLE

    @property
    def name(self) -> str:
        """PNDM and the points, with what differs from the default."""
        parts = [f"{'F-' if self.warmup == 'runge-kutta' else 'i' if self.warmup == 'lower' else ''}PNDM{self.points}"]
        return " ".join(parts + ["v"] * (self.combine == "v"))

    @property
    def warm_steps(self) -> int:
        """How many pseudo-Runge-Kutta steps there are at the start."""
        return {"heun": min(1, self.points - 1), "runge-kutta": self.points - 1, "lower": 0}[self.warmup]

    def nfe(self, steps: int) -> int:
        """Return N, one more for a start by Heun and three more for each step of RK4."""
        return steps + (len(self._array.b) - 1) * self.warm_steps

    @cached_property
    def base(self) -> AdamsBashforth:
        """The Adams method that it is once the history is full."""
        return AdamsBashforth(self.points, self.formulation, weights="uniform")

    def weights_at(self, state: Any, point: Point) -> list[Number]:
        """Return the weights of equal steps."""
        return self.base.weights_at(state, point)

    def steady(self, h: Number | None = None, *, ratio: Number = 1) -> Tableau:
        """Return the tableau of one step among equal steps; see `Method.steady`.

        Raises
        ------
        ValueError
            Where v is combined: its steps are rotations and no kernel exponent describes them.
        """
        if self.combine == "v":
            raise ValueError(
                f'{self} has no steady step: it rotates the sample; use combine="noise", or look at the tableaus of '
                "discretize(...)"
            )
        return super().steady(h, ratio=ratio)

    @property
    def _array(self) -> Butcher:
        return RK4 if self.warmup == "runge-kutta" else HEUN

    def _program(self, layout: Layout) -> Iterator[Tableau]:
        if self.combine == "v" and layout.start == "runge-kutta":
            raise ValueError(f'{self} has a start of its own and takes no start="runge-kutta"; use start="lower"')
        for n, tableau in enumerate(super()._program(layout)):
            own = layout.start == "lower" and n < self.warm_steps and not layout.ready(n) and not layout.arrives(n)
            yield pseudo_runge_kutta(self._array, layout, n, tableau) if own else tableau

    def _formulation(self, schedule: Any) -> Formulation:
        if schedule is None and self.combine == "v":
            raise ValueError(f'{self} combines v predictions and needs a schedule; use combine="noise" for plain ODEs')
        return super()._formulation(schedule)


def pseudo_runge_kutta(butcher: Butcher, layout: Layout, n: int, memory: Tableau) -> Tableau:
    """Return step `n` as transfers from its start: X_i = T(x, sum_j (a_ij/c_i) F_j), x' = T(x, sum_j b_j F_j).

    Parameters
    ----------
    butcher
        Heun's method or RK4: abscissae 0, 1/2 (the middle time) and 1.
    layout, n
        The run and the step.
    memory
        Supplies the rows of the registers y_1, y_2, ... from the first stage.
    """
    here, there = layout.levels[n], layout.levels[n + 1]
    spots = {Fraction(0): here, Fraction(1): there}
    if Fraction(1, 2) in butcher.c:
        spots[Fraction(1, 2)] = middle(layout, n)
    levels = tuple(spots[c] for c in butcher.c)
    s, rest = len(butcher.b), (0,) * (memory.registers - 1)
    U, A = [(1, *rest)], [(0,) * s]
    for level, row, c in zip(levels[1:], butcher.A[1:], butcher.c[1:], strict=True):
        span = layout.formulation.span(here, level, 1)
        U.append((span.xi, *rest))
        A.append(tuple(_scaled(span.moments[0], x / c) for x in row))
    span = layout.formulation.span(here, there, 1)
    return Tableau(
        A=A,
        U=U,
        B=[[_scaled(span.moments[0], x) for x in butcher.b], *((row[0], *(0,) * (s - 1)) for row in memory.B[1:])],
        V=[(span.xi, *rest), *memory.V[1:]],
        levels=levels,
        target=there,
    )


def _scaled(total: Number, x: Fraction) -> Number:
    return 0 if x == 0 else total * (x if kind(total) in ("exact", "sympy") else float(x))


def middle(layout: Layout, n: int) -> Level:
    """Return the level at the middle time of step `n`; on a table at entry t - d//2 with d = t - t', as published.

    Where d is odd the published scheduler gives the network another time, t' + d//2, than that of the sample, t - d//2,
    and makes the second middle stage there. Here both middle stages are at t - d//2.
    """
    here, there, schedule = layout.levels[n], layout.levels[n + 1], layout.schedule
    if schedule is None:
        return layout.level_at(n, 0.5 if kind(here.time) in ("torch", "traced") else Fraction(1, 2))
    if not isinstance(schedule, Discrete):
        return schedule.level_at((here.time + there.time) / 2)
    gap = here.model_time - there.model_time
    whole = float(gap).is_integer() and float(here.model_time).is_integer()
    return schedule.level(schedule.from_model_time(here.model_time - (gap // 2 if whole else gap / 2)))


def PNDM(order: int = 4, *, warmup: str = "heun", combine: str = "noise") -> PseudoNumerical:
    """Return PNDM (Liu et al., 2022) as it is mostly run: PLMS behind one pseudo-Heun step, N + 1 evaluations.

    ::

        x_1 = T_{0->1}(x_0, (e_0 + e~)/2),    e~ = e(T_{0->1}(x_0, e_0), t_1)
        x_{n+1} = T_{n->n+1}(x_n, sum_{j<m} b_j e_{n-j}),    m = min(n + 1, k),    n > 0

    where T_{s->t}(x, e) = (alpha_t/alpha_s) x + (sigma_t - sigma_s alpha_t/alpha_s) e is DDIM's step, e_{n-j} are the
    noise predictions, newest first, and b_j the m Adams weights of equal steps: (1), (3, -1)/2, (23, -16, 5)/12, (55,
    -59, 37, -9)/24.

    Parameters
    ----------
    order
        Number of evaluations combined, 1 to 8.
    warmup, combine
        As in `PseudoNumerical`.

    Returns
    -------
    PseudoNumerical

    Raises
    ------
    ValueError, TypeError
        For parameters out of range.

    Notes
    -----
    Order k; 1 stage; N + 1 evaluations for N steps. Order k holds with exact starts on grids uniform in sigma/alpha
    only; there a run from its own start has order min(k, 3); other smooth grids give 2, rough ones 1. Combining "noise"
    is the repaired form where the network predicts v: "v", as published there, has order 1.

    References
    ----------
    Liu, Ren, Lin, Zhao, Pseudo numerical methods for diffusion models on manifolds, arXiv:2202.09778, algorithm 2.
    Code: diffusers, PNDMScheduler with skip_prk_steps.

    Examples
    --------
    >>> import numdiff as nd
    >>> schedule = nd.schedules.Discrete.stable_diffusion()
    >>> grid = nd.grids.from_timesteps(schedule, range(981, 0, -20), final="first-entry")
    >>> nd.PNDM().discretize(schedule, grid).nfe  # diffusers' 51 evaluations for 50 steps
    51
    """
    return PseudoNumerical(order, warmup, combine)


def FPNDM(order: int = 4, *, combine: str = "noise") -> PseudoNumerical:
    """Return F-PNDM (Liu et al., 2022): PLMS behind pseudo-RK4 steps, 12 + (N - 3) evaluations for order 4.

    ::

        x_{n+1} = T_{n->n+1}(x_n, (e_1 + 2 e_2 + 2 e_3 + e_4)/6)                         n < k - 1
        e_i = e(T_{n->i}(x_n, e_{i-1}), t_i),    t_2 = t_3 = (t_n + t_{n+1})/2,    t_4 = t_{n+1}
        x_{n+1} = T_{n->n+1}(x_n, sum_{j<k} b_j e_{n-j})                                 n >= k - 1

    where T_{s->t}(x, e) = (alpha_t/alpha_s) x + (sigma_t - sigma_s alpha_t/alpha_s) e is DDIM's step, e_1 = e_n and
    e_{n-j} are the noise predictions, newest first, and b_j the k Adams weights of equal steps: (1), (3, -1)/2, (23,
    -16, 5)/12, (55, -59, 37, -9)/24.

    Parameters
    ----------
    order
        Number of evaluations combined, 1 to 8.
    combine
        As in `PseudoNumerical`.

    Returns
    -------
    PseudoNumerical

    Raises
    ------
    ValueError, TypeError
        For parameters out of range.

    Notes
    -----
    Order k; 1 stage; N + 3 (k - 1) evaluations for N steps. Order k holds with exact starts on grids uniform in
    sigma/alpha only; there a run from its own start has order min(k, 3), k for plain ODEs; other smooth grids give 2,
    rough ones 1. As published but for `combine`, as in `PNDM`.

    References
    ----------
    Liu, Ren, Lin, Zhao, Pseudo numerical methods for diffusion models on manifolds, arXiv:2202.09778, algorithm 1.
    Code: diffusers, PNDMScheduler without skip_prk_steps.

    Examples
    --------
    >>> import numdiff as nd
    >>> nd.FPNDM().nfe(50), nd.FPNDM().warm_steps
    (59, 3)
    """
    return PseudoNumerical(order, "runge-kutta", combine)
