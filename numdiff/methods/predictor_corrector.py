r"""Predictor-corrector methods in every formulation: UniPC, SA-Solver and Adams-Bashforth-Moulton, in PEC or PECE mode.

With past evaluations F_j near the nodes u_j = s_{n-j} - s_n in memory, one step predicts from p of them, evaluates and
corrects by c points, the new one included::

    x~ = xi x_n + kappa_t sum_{j<p} omega_j F_j                           (*) on the nodes u_0, ..., u_{p-1}
    F  = f(x~, s_{n+1})
    x_{n+1} = xi x_n + kappa_t (w_h F + sum_{j<c-1} w_j F_j)              (*) on the nodes h, u_0, ..., u_{c-2}

In PEC mode the memory keeps F, the evaluation at the *predicted* point, so a run of N steps makes N evaluations: one at
the first level, one at the end of every step but the last, which is predicted only. In PECE mode every corrected sample
is evaluated once more for the memory: 2N - 1 evaluations. Since f is evaluated within O(h^{p+1}) of the solution, which
counts times the step, the order is min(p + 1, c) in both modes.

**UniPC.** Its B(h) cancels from the linear systems of the paper, so that bh1, bh2 and the exact rule are the same
method, except where the published code short-cuts a two-point formula (the predictor at p = 2, the corrector at c = 2):
there the moment h^2 phi_2(ch) is replaced by h/2 h phi_1(ch) (``rule="bh2"``) or by h^2/2 (``rule="bh1"``).

**A predictor of one's own.** Any multistep method may predict (``predictor=``, UniPC's "solver_p"): of order q it gives
the order min(q + 1, c). It carries its own memory and sees the evaluations that the corrector keeps.

**Noise and momentum.** In a stochastic formulation predictor and corrector of a step share one noise: that is
SA-Solver. With beta predictor and corrector each average their mix of evaluations in a velocity of its own; the
published code has one in the corrector only: see `numdiff.methods.predictor_corrector_steps`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from numdiff import formulations
from numdiff.elementary import Number, is_zero, vanishes
from numdiff.formulations import NOISE_RATIO, Formulation, Span
from numdiff.methods.base import Method
from numdiff.methods.checks import check_beta, check_order, choice, show
from numdiff.methods.layout import Layout
from numdiff.methods.multistep import Multistep, Point, check_ratios, point_at, positive_ratio, steady_point
from numdiff.methods.predictor_corrector_steps import (
    Rows,
    Weights,
    bootstrapped,
    check_uncorrected,
    held,
    uncorrected_steps,
    unevaluated,
    with_momentum,
)
from numdiff.phi import phi
from numdiff.tableau import Tableau
from numdiff.weights import MAX_ORDER, exact, interpolatory, tidy

__all__ = ["PredictorCorrector"]

RULES = ("exact", "bh1", "bh2")
MODES = ("PEC", "PECE")
MOMENTA = ("repaired", "published", "nesterov")


@dataclass(frozen=True)
class PredictorCorrector(Method):
    """Adams predictor with p points and corrector with c: order min(p + 1, c), by default p + 1.

    ::

        x~ = xi x_n + kappa_t sum_{j<p} omega_j F_{n-j},    F = f(x~),    omega_j = int_0^h e^{c(h-u)} l_j(u) du
        x_{n+1} = xi x_n + kappa_t (w_h F + sum_{j<c-1} w_j F_{n-j})

    where f is the prediction, F_{n-j} its past values, h the step, xi, kappa_t and c (in e^{c(h-u)}) the linear factor,
    scale and kernel exponent of the formulation (noise/ratio: alpha_t/alpha_s, alpha_t, 0), l_j the Lagrange basis on
    the p newest nodes, and w the same integrals with the basis on the new node and the c - 1 newest.

    Parameters
    ----------
    memory
        p, from 1 to 7 (8 with a `corrector` of at most 8): the number of past evaluations that the predictor combines,
        which UniPC calls its order.
    formulation
        What is interpolated, in which variable; None for noise/ratio (velocity/time on flow schedules).
    rule
        "exact", or UniPC's published "bh1" and "bh2", which differ from it in two-point formulas only.
    beta
        Damping of a heavy ball in (0, 2]; 1 is none.
    corrector
        c, from 1 to 8: the number of points of the corrector, the new one included; 0 for none. Default p + 1.
    mode
        "PEC", one evaluation a step, or "PECE", two.
    momentum
        What beta means: "repaired", a heavy ball on predictor and corrector; "published", the form of the published
        code; "nesterov", Nesterov's momentum on predictor and corrector.
    uncorrected
        The steps that only predict, counted from 0, or from the end if negative; by default the last one. A last step
        that corrects costs one evaluation more; at sigma = 0 no step corrects. `numdiff.invert` leaves the corrector
        out on the same grid intervals, and -1 at its own last step.
    predictor
        A multistep method that predicts instead of Adams; then `memory` is its number of points. See `UniC`.

    Raises
    ------
    ValueError, TypeError
        For parameters out of range, or that contradict each other.

    Notes
    -----
    Order min(p + 1, c); 1 stage; N evaluations for N steps. With exact starts; 1 with momentum.

    References
    ----------
    Hairer, Norsett, Wanner, Solving ordinary differential equations I, III.1; Zhao, Bai, Rao, Zhou, Lu, UniPC,
    arXiv:2302.04867.

    Examples
    --------
    Adams-Bashforth of order 2 and Adams-Moulton with three points, of order 3:

    >>> import numdiff as nd
    >>> method = nd.PredictorCorrector(2)
    >>> print(*method.coefficients().predictor, "|", *method.coefficients().corrector)
    3/2 -1/2 | 5/12 2/3 -1/12
    >>> nd.order.certified(method), method.nfe(10), nd.PredictorCorrector(2, mode="PECE").nfe(10)
    (3, 10, 19)
    """

    memory: int
    formulation: Formulation | None = None
    rule: str = "exact"
    beta: Any = 1
    corrector: int | None = None
    mode: str = "PEC"
    momentum: str = "repaired"
    uncorrected: tuple[int, ...] = (-1,)
    predictor: Multistep | None = None

    reference: ClassVar[str] = "Zhao et al., UniPC, 2023; Hairer, Norsett, Wanner, Solving ODEs I, III.1"

    def __post_init__(self) -> None:
        """Check the parameters."""
        default = self.corrector is None
        object.__setattr__(self, "memory", check_order(self.memory, MAX_ORDER - 1 if default else MAX_ORDER))
        object.__setattr__(self, "corrector", self.memory + 1 if default else self._check_corrector())
        object.__setattr__(self, "beta", check_beta(self.beta))
        choice("rule", self.rule, RULES)
        choice("mode", self.mode, MODES)
        choice("momentum", self.momentum, MOMENTA)
        object.__setattr__(self, "uncorrected", check_uncorrected(self.uncorrected))
        if self.formulation is not None:
            object.__setattr__(self, "formulation", formulations.get(self.formulation))
        if self.corrected_points == 0 and self.mode == "PECE":
            raise ValueError('corrector=0 leaves nothing to evaluate twice; use mode="PEC"')
        if self.predictor is not None:
            _check_predictor(self)

    def _check_corrector(self) -> int:
        remedy = "it counts points, the new one included; 0 is no corrector"
        return check_order(self.corrector, MAX_ORDER, name="corrector", lowest=0, remedy=remedy)

    @property
    def corrected_points(self) -> int:
        """c, the points of the corrector with the new one; 0 without a corrector."""
        return int(self.corrector or 0)

    @property
    def points(self) -> int:
        """As many evaluations as predictor or corrector take from memory."""
        return max(self.memory, self.corrected_points - 1)

    @property
    def order(self) -> int:  # type: ignore[override]
        """min(p + 1, c), or p without a corrector; 1 with momentum."""
        if self.beta != 1:
            return 1
        predicts = self.memory if self.predictor is None else self.predictor.order
        return min(predicts + 1, self.corrected_points) if self.corrector else predicts

    @property
    def name(self) -> str:
        """The mode and the points, with what differs from the default."""
        mode = self.mode if self.corrector else "PE"
        base = f"{mode}{self.memory}" if self.predictor is None else f"{mode}({self.predictor.name})"
        parts = [base if self.corrected_points in (0, self.memory + 1) else f"{base}-{self.corrector}"]
        if self.formulation is not None and self.predictor is None:
            parts.append(self.formulation.name)
        if self.rule != "exact":
            parts.append(self.rule)
        if self.uncorrected != (-1,):
            parts.append(f"uncorrected [{', '.join(map(str, self.uncorrected))}]")
        if self.beta == 1:
            return " ".join(parts)
        form = "" if self.momentum != "published" else " published"
        return f"{'NT' if self.momentum == 'nesterov' else 'HB'}{form}({' '.join(parts)}, {show(self.beta)})"

    @property
    def registers(self) -> int:
        """The sample, the past evaluations, the velocities if there is momentum, and the memory of a predictor."""
        if self.predictor is not None:
            return self._kept + self.predictor.registers
        velocities = 0 if not self._damped else 1 if self.momentum == "published" else 2
        return 1 + self._kept + velocities

    @property
    def _damped(self) -> bool:
        """Whether there are velocities: not at beta = 1, unless that carries a gradient."""
        return not is_zero(self.beta - 1)

    @property
    def _kept(self) -> int:
        """How many evaluations the tableaus remember: a plugged-in predictor remembers its own."""
        return self.points if self.predictor is None else max(self.corrected_points - 1, 1)

    @property
    def has_limit(self) -> bool:
        """False where a two-point predictor weighs the slope by h/2 or h^2/2, which grows with the step."""
        return (self.rule == "exact" or self.memory != 2) if self.predictor is None else self.predictor.has_limit

    @property
    def stages(self) -> int:
        """One evaluation a step in PEC mode, two in PECE mode."""
        return 2 if self.mode == "PECE" else 1

    def reverse(self) -> PredictorCorrector:
        """Return the method that leaves the corrector out on the same grid intervals of the reversed grid.

        -1 speaks of the end of a run, which saves an evaluation there, and stays; other numbers speak of places on the
        grid.
        """
        mirrored = dict.fromkeys(n if n == -1 else -1 - n for n in self.uncorrected)
        return replace(self, uncorrected=tuple(mirrored))

    def nfe(self, steps: int) -> int:
        """Return the model evaluations of a run: N in PEC and 2N - 1 in PECE mode where only the last step predicts."""
        corrected = len(set(range(steps)) - uncorrected_steps(self.uncorrected, steps)) if self.corrector else 0
        ends = corrected > 0 and steps - 1 not in uncorrected_steps(self.uncorrected, steps)
        return steps + (corrected if self.mode == "PECE" else int(ends))

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
        ratios = check_ratios(self, ratios)
        point = steady_point(self.formulation or NOISE_RATIO, self._steady_h(h, 1), ratios, self.points + 1)
        if self.predictor is None:
            predictor = tuple(tidy(self._predictor(point)))
        else:
            predictor = self.predictor.coefficients(h=h, ratios=ratios[: self.memory - 1])
        return Weights(predictor, tuple(tidy(self._corrector(point))))

    def steady(self, h: Number | None = None, *, ratio: Number = 1) -> Tableau:
        """Return the tableau of one step among equal (or geometric) steps; see `Method.steady`."""
        h = self._steady_h(h, positive_ratio(ratio, "ratio"))
        ratios = (ratio,) * (self.points - 1)
        point = steady_point(self.formulation or NOISE_RATIO, h, ratios, self.points + 1)
        state, own = None, None
        if self.predictor is not None:
            state, own = self.predictor.steady_state(ratio), self.predictor._point(h, ratios[: self.memory - 1])
        return self._rows(state, point, own)[0].tableau(evaluates_twice=self.mode == "PECE")

    def _predictor(self, point: Point) -> list[Number]:
        """Return kappa omega_j, newest first."""
        p, mu = min(self.memory, point.order), point.span.moments
        return interpolatory(point.nodes[:p], self._short_cut(point.span) if p == 2 else mu)

    def _corrector(self, point: Point) -> list[Number]:
        """Return kappa w on the new evaluation and the memory; `point.span` has one more moment than its order."""
        if not self.corrector:
            return []
        old = min(self.corrected_points - 1, point.order)
        mu = self._short_cut(point.span) if old == 1 else point.span.moments
        return interpolatory((point.nodes[0] + 1, *point.nodes[:old]), mu)

    def _short_cut(self, span: Span) -> Sequence[Number]:
        """Return the moments of a two-point formula, as published."""
        total = span.moments[0]
        if self.rule == "exact" or span.infinite:
            return span.moments
        slope = total if self.rule == "bh2" else total / phi(1, span.c * span.unit)
        return [total, exact(slope) / 2]

    def _step(self, point: Point) -> Tableau:
        """Return predict, evaluate, correct at `point`, for predictors without a state."""
        return self._rows(None, point, None)[0].tableau(evaluates_twice=self.mode == "PECE")

    def _rows(self, state: Any, point: Point, own: Point | None, *, corrects: bool = True) -> tuple[Rows, Any]:
        """Return the rows of one step and the next state of a plugged-in predictor, whose point is `own`.

        Uncorrected, the sample is the predicted one.
        """
        m, xi = self._kept, point.span.xi
        others: tuple[Any, ...] = ()
        if self.predictor is None or own is None:
            weights = self._predictor(point)
            predicted = (xi, *weights, *(0,) * (m - len(weights)))
        else:
            step, state = self.predictor.advance(state, own)
            gap = (0,) * (m - 1)
            predicted, *memory = ((row[0], b, *gap, *row[1:]) for row, (b,) in zip(step.V, step.B, strict=True))
            others = tuple((row, 0) for row in memory)
        new, corrected = 0, predicted
        if corrects and self.corrector:
            new, *old = self._corrector(point)
            corrected = (xi, *old, *(0,) * (len(predicted) - 1 - len(old)))
        rows = Rows(predicted, corrected, new, m, others)
        if self._damped:
            corrects = corrects and bool(self.corrector)
            rows = with_momentum(rows, self.beta, self.momentum, point, corrects=corrects)
        return rows, state

    def _program(self, layout: Layout) -> Iterator[Tableau]:
        yield self._opening(layout)
        skipped, state, own = uncorrected_steps(self.uncorrected, layout.steps), None, None
        of_predictor = replace(layout, orders=tuple([min(k, self.memory) for k in layout.orders]))
        for n, there in enumerate(layout.levels[1:]):
            point, last = point_at(layout, n, extra=1), n + 1 == layout.steps
            arrives = layout.schedule is not None and bool(vanishes(there.sigma))
            corrects = bool(self.corrector) and n not in skipped and not (point.span.infinite or arrives)
            if self.predictor is not None:
                own = self.predictor.point_of(of_predictor, n)
            rows, state = self._rows(state, point, own, corrects=corrects)
            tableau = rows.tableau(evaluates_twice=self.mode == "PECE" and corrects and not last)
            evaluates = corrects or not last
            if layout.start == "exact" and not layout.ready(n):
                tableau = held(tableau)
            elif layout.start == "runge-kutta" and not layout.ready(n) and not layout.arrives(n):
                order = max(min(layout.orders[n], self._order_to_start), 1)
                tableau = bootstrapped(tableau, layout, n, order, evaluates=evaluates)
            elif not evaluates:
                tableau = unevaluated(tableau)
            levels = tuple([level or there for level in tableau.levels])
            yield tableau.same_shape(levels=levels, target=there).with_noise(
                point.span.noise, point.span.clock, stages=True
            )

    @property
    def _order_to_start(self) -> int:
        """One less than the order without momentum: a fixed number of steps leaves that order intact."""
        return min(self.memory, self.corrected_points - 1) if self.corrector else self.memory - 1

    def _opening(self, layout: Layout) -> Tableau:
        """Return the evaluation at the first level, which completes no step."""
        r = self.registers
        V = [[int(i == j == 0) for j in range(r)] for i in range(r)]
        return Tableau(A=((0,),), U=V[:1], V=V, B=[(int(i == 1),) for i in range(r)], levels=layout.levels[:1])


def _check_predictor(method: PredictorCorrector) -> None:
    base = method.predictor
    if not isinstance(base, Multistep):
        raise TypeError(f"predictor must be a multistep method such as AdamsBashforth(2), got {base!r}")
    if method.memory != base.points:
        raise ValueError(f"memory must be {base.points}, the points of {base.name}, got {method.memory}; use UniC")
    if method.formulation != base.formulation:
        raise ValueError(
            f"predictor {base.name} and corrector must share the formulation; use UniC, which takes it over"
        )
    if method.beta != 1:
        raise ValueError(f"give the damping to the predictor, as in HeavyBall({base.name}, beta={show(method.beta)})")
