r"""The rows of a predictor-corrector step and the tableaus that are made of them.

The registers are (x, f_0, ..., f_{m-1}, z_0, ...): the sample, the past evaluations newest first, and whatever else is
carried on, which is velocities or the memory of a predictor that was plugged in. With the predicted row p, the
corrected row o (both over the registers) and the weight w of the new evaluation,

::

    x~ = p . y,    F = f(x~),    x+ = o . y + w F                          PEC: F is remembered
                                 F' = f(x+)                                PECE: F' is remembered

**Momentum.** With xi the factor of x, W the total weight and q the rest of a row,

::

    repaired     for predictor and corrector each   v+ = (1-beta) v + beta q/W,     x+ = xi x + W v+
    nesterov     for predictor and corrector each   v+ as above,  x+ = xi x + W [(1-beta) v+ + beta q/W]
    published    for the corrector only             v+ = (1-beta) v + beta q/(a_t W),   x+ = xi x + a_t W v+

with a the scale of the scaled sample (sigma for data prediction; xi = a_t/a_s on the flow). The published velocity
averages predictions over different scales, so that a constant prediction is not preserved. It is carried as a v, which
the step multiplies by xi; equal steps, where xi = e^{ch}, are those of a schedule whose other scale is constant (VE).

In the repaired form z enters the test equation only as z beta zeta/(zeta - (1-beta)), in predictor and corrector
alike: an interval that ends at zeta = -1 is multiplied by (2-beta)/beta.

Sources: Wizadwongsa et al., Diffusion Sampling with Momentum (2024).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from numdiff.elementary import Number, is_zero, product
from numdiff.methods.butcher import of_order
from numdiff.methods.layout import Layout
from numdiff.methods.multistep import Point, runge_kutta
from numdiff.tableau import Tableau

Row = tuple[Number, ...]


@dataclass(frozen=True)
class Weights:
    """The weights of one step for kappa = 1, newest first: on F_0, F_1, ...; the corrector's on F, F_0, F_1, ..."""

    predictor: tuple[Number, ...]
    corrector: tuple[Number, ...]

    @property
    def b(self) -> tuple[Number, ...]:
        """The weights of the new sample, the corrector's, if there is one."""
        return self.corrector or self.predictor


@dataclass(frozen=True)
class Rows:
    """The rows of one step over the registers (x, f_0, ..., f_{m-1}, others).

    Parameters
    ----------
    predicted
        The predicted sample.
    corrected
        The corrected sample, but for the new evaluation.
    new
        The weight of the new evaluation in the corrected sample.
    memory
        m, the number of past evaluations.
    others
        The rows of the other registers, each with its weight on the new evaluation.
    """

    predicted: Row
    corrected: Row
    new: Number
    memory: int
    others: tuple[tuple[Row, Number], ...] = ()

    def tableau(self, *, evaluates_twice: bool = False) -> Tableau:
        """Return the step, with one evaluation (PEC) or two (PECE)."""
        r = len(self.predicted)
        shift = [[int(j == i) for j in range(r)] for i in range(1, self.memory)]
        V = [self.corrected, (0,) * r, *shift, *(row for row, _ in self.others)]
        weights = [(self.new, 0), (0, 1), *((0, 0),) * (self.memory - 1), *((q, 0) for _, q in self.others)]
        if evaluates_twice:
            return Tableau(A=((0, 0), (self.new, 0)), U=[self.predicted, self.corrected], V=V, B=weights)
        return Tableau(A=((0,),), U=[self.predicted], V=V, B=[(sum(pair),) for pair in weights])


def with_momentum(rows: Rows, beta: Number, form: str, point: Point, *, corrects: bool) -> Rows:
    """Return the rows with damped velocities as the last registers: two, or one in the published form."""
    keep, blend = (0, 1) if point.first else (1 - beta, beta)
    if form == "published":
        return _published(rows, keep, blend, point, corrects=corrects)
    on_v, on_p = (keep, blend) if form == "repaired" else ((1 - beta) ** 2, beta * (2 - beta))
    if point.first or not point.momentum:  # in the first step there is no velocity to read, whatever beta carries
        on_v, on_p = 0, 1
    W, (xi, *predictor), (_, *old), new = point.span.moments[0], rows.predicted, rows.corrected, rows.new
    predicted, corrected = ([product(on_p, x) for x in row] for row in (predictor, old))
    p, q = ([_over(product(blend, x), W) for x in row] for row in (predictor, [new, *old]))
    sample = (xi, *corrected, 0, product(on_v, W))
    return replace(
        rows,
        predicted=(xi, *predicted, product(on_v, W), 0) if corrects else sample,
        corrected=sample,
        new=product(on_p, new),
        others=(((0, *p, keep, 0), 0), ((0, *q[1:], 0, keep), q[0])),
    )


def _published(rows: Rows, keep: Number, blend: Number, point: Point, *, corrects: bool) -> Rows:
    """Return the rows with the published velocity of the corrector, here a v for the scale a of the scaled sample.

    A step that only predicts has no momentum and passes the velocity on (the first one has none to pass on).
    """
    W, (xi, *old) = point.span.moments[0], rows.corrected
    if not corrects and not point.first:
        keep, blend = 1, 0
    q = [_over(product(blend, x), W) for x in (rows.new, *old)]
    velocity, predicted = (0, *q[1:], product(keep, xi)), (*rows.predicted, 0)
    sample = (xi, *(product(blend, x) for x in old), product(W, velocity[-1]))
    new = product(blend, rows.new)
    if not corrects:
        sample, new = predicted, 0
    return replace(rows, predicted=predicted, corrected=sample, new=new, others=((velocity, q[0]),))


def _over(x: Number, total: Number) -> Number:
    """Return x over the total weight; a plain 0 stays one, where a total with a gradient would make it a term."""
    return 0 if is_zero(x) else x / total


def held(tableau: Tableau) -> Tableau:
    """Keep the memory rows, leave the sample as it is, for the driver to replace at the stage, and evaluate once."""
    unit = (1, *(0,) * (tableau.registers - 1))
    memory = [(sum(row),) for row in tableau.B[1:]]
    return Tableau(A=((0,),), U=(unit,), V=(unit, *tableau.V[1:]), B=((0,), *memory))


def bootstrapped(tableau: Tableau, layout: Layout, n: int, order: int, *, evaluates: bool) -> Tableau:
    """Make the sample row a Runge-Kutta step of this order and evaluate at its end; its first evaluation is in memory.

    The last step of a run evaluates at its end only if it corrects.
    """
    step = runge_kutta(of_order(order), layout, n)
    rest = (0,) * (tableau.registers - 2)
    rows = [(*x, *a) for x, a in zip((*step.U, *step.V), (*step.A, *step.B), strict=True)][1:]
    (scale, first, *last), evaluated = rows[-1], rows if evaluates else rows[:-1]
    s = len(evaluated)
    memory = [(*(0,) * (s - 1), sum(row) if evaluates else 0)[:s] for row in tableau.B[1:]]
    there = (layout.levels[n + 1],) if evaluates else ()
    return Tableau(
        A=[(*a, *(0,) * s)[:s] for _, _, *a in evaluated],
        U=[(x, y, *rest) for x, y, *_ in evaluated],
        V=[(scale, first, *rest), *tableau.V[1:]],
        B=[(*last, *(0,) * s)[:s], *memory],
        levels=(*step.levels[1:], *there),
    )


def unevaluated(tableau: Tableau) -> Tableau:
    """Return a last step that predicts only: its sample row is the predictor's."""
    return Tableau(A=(), U=(), V=tableau.V, B=((),) * tableau.registers)


def uncorrected_steps(given: Sequence[int], steps: int) -> set[int]:
    """Return the numbers of the steps that are not corrected, counted from 0."""
    for j, n in enumerate(given):
        if not -steps <= n < steps:
            raise ValueError(
                f"uncorrected[{j}] = {n} is not one of the {steps} steps, which count from 0 (or back from -1)"
            )
    return {n % steps for n in given}


def check_uncorrected(steps: Any) -> tuple[int, ...]:
    """Return the numbers of the steps that only predict as ints, or raise."""
    if isinstance(steps, (str, int)) or not hasattr(steps, "__iter__"):
        raise TypeError(f"uncorrected must be a tuple of step numbers such as (0, -1), got {steps!r}")
    steps = tuple(steps)
    if any(isinstance(n, bool) or not isinstance(n, (int, np.integer)) for n in steps):
        raise TypeError(f"uncorrected must contain ints, the numbers of steps, got {steps!r}")
    return tuple(map(int, steps))
