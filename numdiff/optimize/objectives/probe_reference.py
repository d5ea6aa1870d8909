r"""The end points that a probe compares with, and runs whose values are watched.

Where there is no exact flow, the reference is Adams-Bashforth of order 4 in data/log-SNR on R and on R/2 steps, uniform
in log-SNR within +-`DEEP`, with an infinite end attached. With e_R the error on R steps, e_{R/2} ~ 2^4 e_R, and

    |x_R - x_{R/2}| = |e_R - e_{R/2}| ~ 15 |e_R|,

so that the distance of the two, which is what is stated, overestimates the error of the better one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from numdiff.drivers import program as native
from numdiff.elementary import kind
from numdiff.executor import Machine
from numdiff.formulations import DATA_LOG_SNR
from numdiff.level import Level
from numdiff.methods import AdamsBashforth
from numdiff.methods.scheme import Scheme
from numdiff.optimize import propagate
from numdiff.optimize.compiled import Trace
from numdiff.optimize.objectives.probe_subjects import Subject
from numdiff.parameterizations import get

DEEP = 10.0
"""Half log-SNR at which a reference run takes the sample for noise or data alone; what that neglects is e^-20."""

STEPS = 200
"""Steps of a reference run that is no exact flow."""


def reference(subject: Subject, trace: Trace, steps: str | int) -> tuple[Any, float]:
    """Return the end points of a subject's noises and their estimated root mean square error.

    Parameters
    ----------
    subject, trace
        What runs, and between which levels.
    steps
        "auto", or the number of steps of a fine run, as `Probe.reference`.
    """
    exact = subject.flow(trace) if steps == "auto" else None
    if exact is not None:
        return exact
    count = STEPS if steps == "auto" else int(steps)
    fine, coarse = (_fine(subject, trace, n) for n in (count, count // 2))
    apart = (subject.inner(a - b, a - b) for a, b in zip(fine, coarse, strict=True))
    error = math.sqrt(float(np.mean(np.concatenate(list(apart)))) / subject.size)
    return subject.join(fine), error


def _fine(subject: Subject, trace: Trace, steps: int) -> list[Any]:
    scheme = AdamsBashforth(4, DATA_LOG_SNR).discretize(trace.schedule, fine_levels(trace, steps))
    return [run(subject, scheme, trace.schedule, rows) for rows in subject.batches()]


def fine_levels(trace: Trace, steps: int) -> list[Level]:
    """Return levels uniform in log-SNR between a trace's ends; an infinite end is attached at +-`DEEP`."""
    (first, last), schedule = trace.ends, trace.schedule
    low, high = float(first.log_snr), float(last.log_snr)
    inner = np.linspace(max(low, min(-DEEP, high - DEEP)), min(high, max(DEEP, low + DEEP)), steps + 1)
    inner = inner[(inner > low) & (inner < high)]
    reach = [float(schedule.log_snr(t)) for t in (schedule.T, 0.0)]
    inner = inner[(inner > reach[0]) & (inner < reach[1])]
    return [first, *(schedule.level(schedule.time(float(x))) for x in inner), last]


def run(subject: Subject, scheme: Scheme, schedule: Any, rows: slice) -> Any:
    """Return the end points of a plain scheme; keeps no more than the scheme's own memory."""
    field = Watched(subject.field(scheme.prediction, rows), schedule)
    machine = Machine(native(scheme, get(scheme.prediction)), subject.noises[rows])
    while (question := machine.ask()) is not None:
        level = [getattr(question.level, name) for name in propagate.LEVEL]
        machine.tell(field.value(question.x, level))
    return machine.sample


class Watched:
    """A field whose values and derivatives are checked: NaN is an error that names the level."""

    def __init__(self, field: Any, schedule: Any) -> None:
        self.field, self.schedule = field, schedule

    def evaluate(self, Y: Any, level: Sequence[Any]) -> tuple[Any, Callable[[Any], tuple[Any, dict[str, Any]]]]:
        """Return the field and its adjoint."""
        F, adjoint = self.field.evaluate(Y, level)
        self._check(Y, F, level)

        def watched(A: Any) -> tuple[Any, dict[str, Any]]:
            back, found = adjoint(A)
            if _finite(A) and not (_finite(back) and all(_finite(x) for x in found.values())):
                raise ValueError(
                    f"the model's value is finite {self._place(level)} and its derivative is not: a root, a norm or a "
                    "quotient in it meets 0 there, or torch.where hides a NaN"
                )
            return back, found

        return F, watched

    def value(self, Y: Any, level: Sequence[Any]) -> Any:
        """Return the field alone."""
        F = self.field.value(Y, level)
        self._check(Y, F, level)
        return F

    def _place(self, level: Sequence[Any]) -> str:
        snr = math.log(level[0] / level[1]) if level[0] and level[1] else math.inf if level[0] else -math.inf
        return f"at t = {self.schedule.time(snr):.6g} (half log-SNR {snr:.4g})"

    def _check(self, Y: Any, F: Any, level: Sequence[Any]) -> None:
        if _finite(F):
            return
        if not _finite(Y):
            raise ValueError(
                f"the run itself is not finite {self._place(level)}: the steps are too long for the method there"
            )
        raise ValueError(
            f"the model returned a value that is not finite {self._place(level)}; check its prediction= and its time "
            "argument there, or move that end of the run inwards (t_start, t_end)"
        )


def _finite(x: Any) -> bool:
    return bool(np.isfinite(x).all()) if kind(x) == "numpy" else bool(x.isfinite().all())
