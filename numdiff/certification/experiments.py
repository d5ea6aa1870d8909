r"""The experiments: one subject on one path, under circumstances that are changed one at a time.

A `Trial` says which: whether the path rests over the first and the last steps (what the sampler does there is then
exact), where the levels lie, in which precision it computes, and whose grid it is. A `Bench` makes each trial once.

On a grid of the sampler's own, at rest, the path is laid over the log-SNRs that all its grids cover. Not at rest a toy
equation has nothing to say at sigma = 0, so what is followed there is a mixture, whose denoiser does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from numdiff.certification.certificate import Experiment
from numdiff.certification.measure import Layout, SamplerError, measure
from numdiff.certification.subject import Setting, Subject, position
from numdiff.level import Level
from numdiff.problems import mixtures
from numdiff.problems.paths import Path, of_mixture, toys
from numdiff.properties.order.regression import OrderEstimate

STEPS = (24, 32, 48, 64, 96, 128, 192, 256, 384)
"""Numbers of steps: multiples of the period of rough patterns, closely spaced, so that a window has points enough."""

TOLERANCE = 0.3
"""How far a slope may lie from an order and still be called it: less than half way to the next one."""


@dataclass(frozen=True)
class Trial:
    """The circumstances of one experiment; the defaults are the cleanest ones.

    Parameters
    ----------
    start, end
        Whether the path rests over the first and the last steps.
    layout
        Where the levels lie.
    precision
        "float64" or "shipped".
    own
        Whether the grid is the sampler's own.
    """

    start: bool = True
    end: bool = True
    layout: Layout = Layout()  # noqa: RUF009  # frozen
    precision: str = "float64"
    own: bool = False

    def __str__(self) -> str:
        """Describe the circumstances."""
        grid = "its own grid" if self.own else f"{self.layout.pattern} steps in {self.layout.variable}"
        starts = "exact start" if self.start else "its own start"
        ends = "harmless end" if self.end else "its own end"
        return f"{grid}, {starts}, {ends}, {self.precision} precision"


CLEAN = Trial()
SHIPPED = Trial(start=False, end=False, precision="shipped")


@dataclass(eq=False)
class Bench:
    """A subject, what it follows, and the experiments made so far.

    Parameters
    ----------
    subject
        The sampler.
    path
        What it follows on given levels.
    steps
        Numbers of steps.
    observe
        What makes an estimate of a trial: errors of the flow, or of the law of a stochastic sampler.
    """

    subject: Subject
    path: Path
    steps: tuple[int, ...]
    observe: Callable[[Bench, Trial], OrderEstimate]
    made: dict[Trial, Experiment] = field(default_factory=dict)
    _grids: dict[int, tuple[Level, ...]] = field(default_factory=dict)

    def run(self, name: str, trial: Trial) -> Experiment:
        """Return the experiment, made at most once, under this name."""
        if trial not in self.made:
            try:
                self.made[trial] = Experiment(name, str(trial), self.observe(self, trial))
            except SamplerError as error:
                self.made[trial] = Experiment(name, str(trial), failure=str(error))
        return replace(self.made[trial], name=name)

    def own_levels(self, steps: int) -> tuple[Level, ...]:
        """Return the levels of the sampler's own grid."""
        assert self.subject.grid is not None
        if steps not in self._grids:
            self._grids[steps] = self.subject.grid(steps)
        return self._grids[steps]

    def own_path(self, *, rests: bool) -> Path:
        """Return what is followed on grids of the sampler's own; see the module's text."""
        where = [[position(self.subject.scale, level) for level in self.own_levels(n)] for n in self.steps]
        finite = [[lam for lam in one if math.isfinite(lam)] for one in where]
        if rests or not any(one[-1] == math.inf for one in where):
            return toys((max(one[0] for one in finite), min(one[-1] for one in finite)))
        return of_mixture("two-modes", mixtures()["two-modes"], (min(one[0] for one in finite), math.inf))


def flow_error(bench: Bench, trial: Trial) -> OrderEstimate:
    """Return the order in which a run approaches the flow."""
    setting = Setting(precision=trial.precision, grid="own" if trial.own else "given")
    path = bench.own_path(rests=trial.end) if trial.own else bench.path
    path = path.resting(start=trial.start, end=trial.end)
    path = path if trial.own else trial.layout.evenly(bench.subject, path)
    return measure(bench.subject, path, bench.steps, layout=trial.layout, setting=setting)


def meets(experiment: Experiment, claim: int) -> bool:
    """Tell whether an experiment shows the claimed order, or a higher one."""
    return bool(experiment.slope >= claim - TOLERANCE)


def costs(experiment: Experiment, claim: int) -> bool:
    """Tell whether an experiment shows a lower order than the claimed one, or none."""
    return not experiment.slope >= claim - 0.5


def usable(subject: Subject, steps: Sequence[int] | None) -> tuple[int, ...]:
    """Return the numbers of steps that a subject can make."""
    return tuple(n for n in (STEPS if steps is None else steps) if n <= subject.most)
