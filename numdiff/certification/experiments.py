r"""The experiments: one subject on one path, under circumstances that are changed one at a time.

A `Trial` says which: whether the path rests over the first and the last steps (what the sampler does there is then
exact), where the levels lie, in which precision it computes, and whose grid it is. A `Bench` makes each trial once.

On grids of the sampler's own the path is a mixture, which has something to say at every level, sigma = 0 included. It
rests at the ends of what all these grids cover. A last step to sigma = 0 either extrapolates the flow or returns the
data prediction at the last positive sigma; what it should arrive at is that of the two to which it comes closer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from numdiff.certification.certificate import Experiment
from numdiff.certification.identify import NotLinearError
from numdiff.certification.measure import Layout, SamplerError, measure
from numdiff.certification.subject import Array, Field, Setting, Subject, position
from numdiff.certification.weak import NoNoiseError
from numdiff.level import Level
from numdiff.problems import mixtures
from numdiff.problems.paths import Path, of_mixture
from numdiff.properties.order.regression import FEWEST, OrderEstimate

STEPS = (24, 32, 48, 64, 96, 128, 192, 256, 384)
"""Numbers of steps: multiples of the period of rough patterns, closely spaced, so that a window has points enough."""

HIGH = 7
"""Order from which errors reach rounding at `STEPS`; claims of that order are put to the test at a third of them."""

BRIEF = 250
"""Most steps of the experiments that look for a cause, which need tell orders apart only."""

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
    rounded
        Whether its own grid has numbers of steps for which it must round.
    """

    start: bool = True
    end: bool = True
    layout: Layout = Layout()  # noqa: RUF009  # frozen
    precision: str = "float64"
    own: bool = False
    rounded: bool = False

    def describe(self, scale: str) -> str:
        """Return the circumstances in words, for a subject of some scale."""
        where = "" if scale == "time" else f" in {self.layout.variable}"
        grid = f"{'equal' if self.layout.pattern == 'uniform' else self.layout.pattern} steps{where}"
        if self.own:
            grid = f"its own {'rounded ' * self.rounded}grid"
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
    _flows: dict[tuple[float, float], Path] = field(default_factory=dict)

    def run(self, name: str, trial: Trial, *, brief: bool = False) -> Experiment:
        """Return the experiment, made at most once, under this name; a brief one makes no more than `BRIEF` steps."""
        if trial not in self.made:
            what = trial.describe(self.subject.scale)
            try:
                bench = self.shortened() if brief else self
                self.made[trial] = Experiment(name, what, self.observe(bench, trial))
            except (SamplerError, NotLinearError, NoNoiseError) as error:
                self.made[trial] = Experiment(name, what, failure=str(error))
        return replace(self.made[trial], name=name)

    def shortened(self) -> Bench:
        """Return the bench with at most `BRIEF` steps, where enough are left to see an order."""

        def few(steps: tuple[int, ...]) -> tuple[int, ...]:
            kept = tuple(n for n in steps if n <= BRIEF)
            return kept if len(kept) > FEWEST else steps

        subject = replace(self.subject, regular=few(self.subject.regular))
        return replace(self, subject=subject, steps=few(self.steps), made={})

    def own_levels(self, steps: int) -> tuple[Level, ...]:
        """Return the levels of the sampler's own grid."""
        assert self.subject.grid is not None
        if steps not in self._grids:
            self._grids[steps] = self.subject.grid(steps)
        return self._grids[steps]

    def numbers(self, trial: Trial) -> tuple[int, ...]:
        """Return the numbers of steps of a trial."""
        return self.subject.regular if trial.own and not trial.rounded and self.subject.regular else self.steps

    def own_path(self, trial: Trial) -> Path:
        """Return what is followed on grids of the sampler's own; see the module's text."""
        start, end = trial.start, trial.end
        levels = [self.own_levels(n) for n in self.numbers(trial)]
        where = [[lam for lam in map(self._position, one) if math.isfinite(lam)] for one in levels]
        begin, last = min(one[0] for one in where), min(one[-1] for one in where)
        clean = not all(math.isfinite(self._position(one[-1])) for one in levels)
        whole = (begin, math.inf if clean else max(one[-1] for one in where))
        if whole not in self._flows:  # which remember where their references lead
            self._flows[whole] = of_mixture("two-modes", mixtures()["two-modes"], whole)
        return self._flows[whole].resting(start=start, end=end, span=(max(one[0] for one in where), last))

    def _position(self, level: Level) -> float:
        return position(self.subject.scale, level)


def flow_error(bench: Bench, trial: Trial) -> OrderEstimate:
    """Return the order in which a run approaches the flow."""
    setting = Setting(precision=trial.precision, grid="own" if trial.own else "given")
    steps = bench.numbers(trial)
    if not trial.own:
        path = trial.layout.evenly(bench.subject, bench.path.resting(start=trial.start, end=trial.end))
        return measure(bench.subject, path, steps, layout=trial.layout, setting=setting)
    path, once = bench.own_path(trial), _remembering(bench.subject)
    found = [measure(once, path, steps, setting=setting, truth=truth) for truth in (None, _denoised)]
    return min(found, key=lambda estimate: estimate.errors[-1])  # the first one if neither is finite


def _remembering(subject: Subject) -> Subject:
    """Return the subject making each number of steps once."""
    ends: dict[int, Array] = {}

    def run(field: Field, x: Array, levels: Sequence[Level], setting: Setting) -> Array:
        n = len(levels)
        if n not in ends:
            ends[n] = subject.run(field, x, levels, setting)
        return ends[n]

    return replace(subject, run=run)


def _denoised(path: Path, levels: Sequence[Level]) -> Array:
    """Return where a last step that denoises should arrive, and the path's solution elsewhere."""
    before, last = levels[-2:]
    return path.denoised(before) if last.sigma == 0 else path.exact(float(last.log_snr))


def meets(experiment: Experiment, claim: int) -> bool:
    """Tell whether an experiment shows the claimed order, or a higher one."""
    estimate = experiment.estimate
    if holes(experiment):
        return False
    doubtful = estimate is not None and estimate.irregular and estimate.interval[0] < claim - 0.5
    return bool(experiment.slope >= claim - TOLERANCE) and not doubtful


def holes(experiment: Experiment) -> tuple[int, ...]:
    """Return the numbers of steps without a finite result above one that has one: fewer may be unstable, more not."""
    if experiment.estimate is None:
        return ()
    pairs = list(zip(experiment.estimate.steps, experiment.estimate.errors, strict=True))
    first = min((n for n, error in pairs if math.isfinite(error)), default=math.inf)
    return tuple(n for n, error in pairs if n > first and not math.isfinite(error))


def costs(experiment: Experiment, claim: int) -> bool:
    """Tell whether an experiment shows a lower order than the claimed one, or none."""
    return not experiment.slope >= claim - 0.5


def usable(subject: Subject, steps: Sequence[int] | None, claim: int | None) -> tuple[int, ...]:
    """Return the numbers of steps that a subject can make, fewer by default where a high order is claimed."""
    if steps is None:
        steps = tuple(n // 3 for n in STEPS) if claim is not None and claim >= HIGH else STEPS
    return tuple(n for n in steps if n <= subject.most)
