r"""Predictor-corrector methods in every formulation: UniPC, and Adams-Bashforth-Moulton in PEC mode.

With k evaluations in memory, F_j near the nodes u_j = s_{n-j} - s_n, one step predicts, evaluates once and corrects:

    x~ = xi x_n + kappa_t sum_{j<k} omega_j F_j                         (*) on the nodes u_0, ..., u_{k-1}
    F  = f(x~, s_{n+1})
    x_{n+1} = xi x_n + kappa_t (w_h F + sum_{j<k} w_j F_j)              (*) on the nodes h, u_0, ..., u_{k-1}

The memory keeps F, the evaluation at the *predicted* point (PEC mode), so a run of N steps makes N evaluations: one at
the first level, one at the end of every step but the last, which is predicted only. The predictor has order k and the
corrector order k + 1; since f is evaluated within O(h^{k+1}) of the solution the method has order k + 1.

**UniPC.** Its B(h) cancels from the linear systems of the paper, so that bh1, bh2 and the exact rule are the same
method, except where the published code short-cuts a two-point formula (the predictor at k = 2, the corrector at k = 1):
there the moment h^2 phi_2(ch) is replaced by h/2 h phi_1(ch) (``rule="bh2"``) or by h^2/2 (``rule="bh1"``).

**Heavy ball.** With W the total weight, p~ and p the normalised mixes of predictor and corrector, each with its own
velocity (v~+ = p~ and v+ = p in the first step),

    v~+ = (1-beta) v~ + beta p~,    x~ = xi x + W v~+,    v+ = (1-beta) v + beta p,    x+ = xi x + W v+

On the test equation z then enters only as z beta zeta/(zeta - (1-beta)), in predictor and corrector alike: an interval
that ends at zeta = -1 is multiplied by (2-beta)/beta. (The published code averages predictions at different noise
levels without normalising them, and overwrites the predictor's velocity after the average.)

Sources: Zhao et al., UniPC (2023); Hairer, Norsett, Wanner, Solving ODEs I, III.1; Wizadwongsa et al., Diffusion
Sampling with Momentum (2024).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

from numdiff import formulations
from numdiff.elementary import Number, is_zero, kind, product
from numdiff.formulations import DATA_LOG_SNR, NOISE_RATIO, Formulation, Span
from numdiff.methods.base import Layout, Method, check_beta, check_order, choice
from numdiff.methods.butcher import of_order
from numdiff.methods.ghvb import show
from numdiff.methods.multistep import Point, point_at, positive_ratio, runge_kutta, steady_point
from numdiff.phi import phi
from numdiff.tableau import Tableau
from numdiff.weights import MAX_ORDER, interpolatory, tidy

RULES = ("exact", "bh1", "bh2")


@dataclass(frozen=True)
class Weights:
    """The weights of one step for kappa = 1, newest first: on F_0, F_1, ...; the corrector's on F, F_0, F_1, ..."""

    predictor: tuple[Number, ...]
    corrector: tuple[Number, ...]

    @property
    def b(self) -> tuple[Number, ...]:
        """The weights of the new sample: the corrector's."""
        return self.corrector


@dataclass(frozen=True)
class PredictorCorrector(Method):
    """Adams predictor with k points and corrector with k + 1, in PEC mode: order k + 1, one evaluation a step.

    Parameters
    ----------
    memory
        k, from 1 to 7: the number of past evaluations combined, which UniPC calls its order.
    formulation
        What is interpolated, in which variable; None for noise/ratio (velocity/time on flow schedules).
    rule
        "exact", or UniPC's published "bh1" and "bh2", which differ from it in two-point formulas only.
    beta
        Damping of a heavy ball in (0, 2]; 1 is none.

    Raises
    ------
    ValueError, TypeError
        For parameters out of range.
    """

    memory: int
    formulation: Formulation | None = None
    rule: str = "exact"
    beta: Any = 1

    reference: ClassVar[str] = "Zhao et al., UniPC, 2023; Hairer, Norsett, Wanner, Solving ODEs I, III.1"

    def __post_init__(self) -> None:
        """Check the parameters."""
        object.__setattr__(self, "memory", check_order(self.memory, MAX_ORDER - 1))
        object.__setattr__(self, "beta", check_beta(self.beta))
        choice("rule", self.rule, RULES)
        if self.formulation is not None:
            object.__setattr__(self, "formulation", formulations.get(self.formulation))

    @property
    def points(self) -> int:
        """As many as the memory holds."""
        return self.memory

    @property
    def order(self) -> int:  # type: ignore[override]
        """One more than the points; 1 with momentum."""
        return self.points + 1 if self.beta == 1 else 1

    @property
    def name(self) -> str:
        """PEC and the points, with what differs from the default."""
        parts = [f"PEC{self.points}"]
        if self.formulation is not None:
            parts.append(self.formulation.name)
        if self.rule != "exact":
            parts.append(self.rule)
        return " ".join(parts) if self.beta == 1 else f"HB({' '.join(parts)}, {show(self.beta)})"

    @property
    def registers(self) -> int:
        """The sample, the past evaluations, and two velocities if there is momentum."""
        return 1 + self.points + 2 * (self.beta != 1)

    @property
    def has_limit(self) -> bool:
        """False where a two-point predictor weighs the slope by h/2 or h^2/2, which grows with the step."""
        return self.rule == "exact" or self.points != 2

    def coefficients(self, *, h: Number | None = None, ratios: Sequence[Number] | None = None) -> Weights:
        """Return the weights of one step, exact.

        Parameters
        ----------
        h
            Step length, as in `steady`.
        ratios
            Step ratios r_1 = h_n/h_{n-1}, r_2 = h_{n-1}/h_{n-2}, ..., one fewer than `points`; equal steps by default.

        Raises
        ------
        ValueError
            For the wrong number of ratios, or one that is not positive and finite.
        """
        ratios = (1,) * (self.points - 1) if ratios is None else tuple(ratios)
        if len(ratios) != self.points - 1:
            raise ValueError(f"ratios must have {self.points - 1} entries for {self.name}, got {len(ratios)}")
        for j, ratio in enumerate(ratios):
            positive_ratio(ratio, f"ratios[{j}]")
        point = steady_point(self.formulation or NOISE_RATIO, self._steady_h(h, 1), ratios, self.points + 1)
        return Weights(tuple(tidy(self._predictor(point))), tuple(tidy(self._corrector(point))))

    def steady(self, h: Number | None = None, *, ratio: Number = 1) -> Tableau:
        """Return the tableau of one step among equal (or geometric) steps; see `Method.steady`."""
        h = self._steady_h(h, positive_ratio(ratio, "ratio"))
        ratios = (ratio,) * (self.points - 1)
        point = steady_point(self.formulation or NOISE_RATIO, h, ratios, self.points + 1)
        return self._step(point)

    def _predictor(self, point: Point) -> list[Number]:
        """Return kappa omega_j, newest first."""
        mu = point.span.moments
        return interpolatory(point.nodes[: point.order], self._short_cut(point.span) if point.order == 2 else mu)

    def _corrector(self, point: Point) -> list[Number]:
        """Return kappa w on the new evaluation and the memory; `point.span` has one more moment than the predictor."""
        mu = self._short_cut(point.span) if point.order == 1 else point.span.moments
        return interpolatory((point.nodes[0] + 1, *point.nodes[: point.order]), mu)

    def _short_cut(self, span: Span) -> Sequence[Number]:
        """Return the moments of a two-point formula, as published."""
        total = span.moments[0]
        if self.rule == "exact" or span.infinite:
            return span.moments
        slope = total if self.rule == "bh2" else total / phi(1, span.c * span.unit)
        return [total, slope * Fraction(1, 2) if kind(total) in ("exact", "sympy") else slope / 2]

    def _step(self, point: Point, *, corrects: bool = True) -> Tableau:
        """Return predict, evaluate, correct; without correction the new sample is the predicted one."""
        k, xi = self.points, point.span.xi
        pad = [0] * (k - point.order)
        predictor = [*self._predictor(point), *pad]
        new, *old = [*self._corrector(point), *pad] if corrects else [0, *predictor]
        shift = [[0] * (k + 1), *([int(j == i) for j in range(k + 1)] for i in range(1, k))]
        B = [(new,), (1,), *((0,),) * (k - 1)]
        tableau = Tableau(A=((0,),), U=[(xi, *predictor)], V=[(xi, *old), *shift], B=B)
        return tableau if self.beta == 1 else _with_velocities(tableau, self.beta, point)

    def _program(self, layout: Layout) -> Iterator[Tableau]:
        yield self._opening(layout)
        for n, there in enumerate(layout.levels[1:]):
            point, last = point_at(layout, n, extra=1), n + 1 == layout.steps
            tableau = self._step(point, corrects=not (last or point.span.infinite))
            if layout.start == "exact" and not layout.ready(n):
                tableau = _hold(tableau)
            elif layout.start == "runge-kutta" and not layout.ready(n) and not layout.arrives(n):
                tableau = _bootstrap(tableau, layout, n)
            tableau = tableau.replace(levels=(*tableau.levels[:-1], there), target=there)
            tableau = _without_evaluation(tableau) if last else tableau
            yield tableau.with_noise(point.span.noise, point.span.clock, stages=True)

    def _opening(self, layout: Layout) -> Tableau:
        """Return the evaluation at the first level, which completes no step."""
        r = self.registers
        V = [[int(i == j == 0) for j in range(r)] for i in range(r)]
        return Tableau(A=((0,),), U=V[:1], V=V, B=[(int(i == 1),) for i in range(r)], levels=layout.levels[:1])


def UniPC(
    order: int = 3, formulation: Formulation | str | None = DATA_LOG_SNR, *, rule: str = "exact", beta: Any = 1
) -> PredictorCorrector:
    """Return UniPC (Zhao et al., 2023) of the order that its predictor, UniP, has; with the corrector it is one higher.

    Parameters
    ----------
    order
        Number of past evaluations combined, 1 to 7.
    formulation
        data/log-SNR as published for guided sampling, or noise/log-SNR.
    rule
        "exact" (the paper's "vary_coeff"), "bh1" or "bh2" as in the published code.
    beta
        Damping of a heavy ball; 1 is none.
    """
    return PredictorCorrector(order, formulation, rule, beta)  # type: ignore[arg-type]


def _with_velocities(tableau: Tableau, beta: Number, point: Point) -> Tableau:
    """Return the step with a damped velocity for the predictor and one for the corrector as its last registers."""
    W, (xi, *predictor), (_, *old), new = point.span.moments[0], tableau.U[0], tableau.V[0], tableau.B[0][0]
    keep, blend = (0, 1) if point.first else (1 - beta, beta)
    on_v, on_p = (keep, blend) if point.momentum else (0, 1)
    predicted, corrected = ([product(on_p, x) for x in row] for row in (predictor, old))
    p, q = ([0 if is_zero(x) else product(blend, x) / W for x in row] for row in (predictor, [new, *old]))
    velocities = [(0, *p, keep, 0), (0, *q[1:], 0, keep)]
    return Tableau(
        A=tableau.A,
        U=[(xi, *predicted, product(on_v, W), 0)],
        V=[(xi, *corrected, 0, product(on_v, W)), *((*row, 0, 0) for row in tableau.V[1:]), *velocities],
        B=[(product(on_p, new),), *tableau.B[1:], (0,), (q[0],)],
    )


def _hold(tableau: Tableau) -> Tableau:
    """Keep the memory rows and leave the sample as it is, for the driver to replace at the stage."""
    unit = (1, *(0,) * (tableau.registers - 1))
    return tableau.replace(U=(unit,), V=(unit, *tableau.V[1:]), B=((0,), *tableau.B[1:]))


def _bootstrap(tableau: Tableau, layout: Layout, n: int) -> Tableau:
    """Make the sample row a Runge-Kutta step of order k and evaluate at its end; its first evaluation is in memory."""
    step = runge_kutta(of_order(layout.orders[n]), layout, n)
    rest = (0,) * (tableau.registers - 2)
    rows = [(*x, *a) for x, a in zip((*step.U, *step.V), (*step.A, *step.B), strict=True)][1:]
    s = len(rows)
    memory = [(*(0,) * (s - 1), row[0]) for row in tableau.B[1:]]
    return Tableau(
        A=[(*a, *(0,) * (s - len(a))) for _, _, *a in rows],
        U=[(x, first, *rest) for x, first, *_ in rows],
        V=[(*rows[-1][:2], *rest), *tableau.V[1:]],
        B=[(*rows[-1][2:], 0), *memory],
        levels=(*step.levels[1:], layout.levels[n + 1]),
    )


def _without_evaluation(tableau: Tableau) -> Tableau:
    """Return the last step, which predicts only: its sample row is the predictor's."""
    return tableau.replace(A=(), U=(), B=((),) * tableau.registers, levels=(), tags=())
