"""How the errors of a sampler on a problem are measured, one number of steps at a time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

import numdiff
from numdiff.certification.measure import Layout
from numdiff.certification.subject import Array, Setting, answered, position
from numdiff.level import Level
from numdiff.work_precision import laws
from numdiff.work_precision.errors import ENDS, Value, pointwise, rms
from numdiff.work_precision.problem import FLOW, Target
from numdiff.work_precision.record import LeftOut, Record
from numdiff.work_precision.samplers import RAISED, Nodes, Runner, Sampler, Watched
from numdiff.work_precision.transport import SAMPLED, over_sets

Outcome = tuple[list[Record], list[LeftOut]]
Levels = Callable[[], Sequence[Level]]
Place = Callable[[str], LeftOut]

CLOSE = 1e-9
"""Difference of two log-SNRs, or times, that are the same node to a sampler that converts back and forth."""


@dataclass(frozen=True)
class Plan:
    """What is done with every sampler."""

    target: Target
    errors: tuple[str, ...]
    by: str
    repeats: int
    setting: Setting

    def settings(self) -> dict[str, Any]:
        """Return what a reader needs to repeat the diagram."""
        points = len(self.target.path.exact(self.target.path.span[0]))
        return {
            "span": list(self.target.path.span),
            "points": points,
            "sets": self.target.sets,
            "seed": self.target.seed,
            "repeats": self.repeats,
            "precision": self.setting.precision,
            "versions": {"numdiff": numdiff.__version__, "numpy": np.__version__},
        }

    def sampled(self, error: str) -> bool:
        """Whether an error is a distance between samples."""
        return error in SAMPLED and not (self.target.gaussian and error == "W2")

    def run(self, sampler: Sampler, grid: str, layout: Layout | None, numbers: Sequence[int]) -> Outcome:
        """Return the records of numbers of steps or evaluations, and why there are none, or no error of a kind."""
        own = sampler.subject.grid
        if layout is None and own is None:
            return [], [LeftOut(sampler.label, grid, 0, "it has no grid of its own")]
        if layout is not None and not sampler.subject.given:
            return [], [LeftOut(sampler.label, grid, 0, 'it takes no levels; ask for grids=("own",)')]

        def levels(n: int) -> Sequence[Level]:
            return own(n) if layout is None and own else layout.levels(sampler.subject, self.target.path.span, n)  # type: ignore[union-attr]

        setting = replace(self.setting, grid="own" if layout is None else "given")
        records, left, done = [], self._no_flow(sampler), set()  # type: list[Record], list[LeftOut], set[int]
        for number in numbers:
            place = partial(LeftOut, sampler.label, grid, number)
            steps = number if self.by == "steps" else sampler.steps_within(number, levels)
            if steps == 0:
                left.append(place(f"no number of steps takes at most {number} evaluations"))
            elif steps not in done:
                found = self._one(sampler, grid, partial(levels, steps), setting, place)
                records, left = records + found[0], left + found[1]
            done.add(steps)
        return records, left

    def _one(self, sampler: Sampler, grid: str, levels: Levels, setting: Setting, place: Place) -> Outcome:
        """Return one record, or what the sampler raised."""
        try:
            with np.errstate(all="ignore"):
                return self._record(_Case(self.target, sampler, tuple(levels()), setting), grid, place)
        except RAISED as error:
            return [], [place(f"{type(error).__name__}: {' '.join(str(error).split())}")]

    def _record(self, case: _Case, grid: str, place: Place) -> Outcome:
        sampler, (first, total, overhead) = case.sampler, case.timed(self.repeats)
        errors: dict[str, Value] = {}
        left: list[LeftOut] = []
        for error in self.errors:
            if error in FLOW and sampler.subject.stochastic:
                continue
            try:
                errors[error] = case.error(error, first, self.sampled(error))
            except RAISED as reason:
                left.append(place(f"{error}: {reason}"))
        spread = max(total) - min(total) if self.repeats > 1 else None
        seconds, own = (float(np.median(part)) if self.repeats else None for part in (total, overhead))
        steps, nfe = len(case.levels) - 1, first.field.calls
        return [Record(sampler.label, sampler.tags, grid, steps, nfe, seconds, own, spread, errors)], left

    def _no_flow(self, sampler: Sampler) -> list[LeftOut]:
        """Say once that a stochastic sampler has no errors against the flow."""
        missing = ", ".join(error for error in self.errors if error in FLOW)
        if not (missing and sampler.subject.stochastic):
            return []
        return [LeftOut(sampler.label, "", 0, f"{missing}: it draws noise, and so follows no flow")]


@dataclass(frozen=True)
class _Run:
    """A run: y at the end, the samples at nodes that it shows, and the field that it asked."""

    y: Array
    nodes: Nodes
    field: Watched


@dataclass(frozen=True)
class _Case:
    """A sampler laid out on levels."""

    target: Target
    sampler: Sampler
    levels: tuple[Level, ...]
    setting: Setting

    @cached_property
    def runner(self) -> Runner:
        """What runs it over the levels."""
        return self.sampler.prepared(self.levels)

    def timed(self, repeats: int) -> tuple[_Run, list[float], list[float]]:
        """Return the run from the path's own points, and the times of some runs, with the model's and without."""
        y, runs, total, overhead = self.target.path.exact(self.lam(0)), [], [], []
        _ = self.runner  # laid out before the clock starts
        setting = replace(self.setting, noise=self.setting.noise or self.target.noise(0))
        for _ in range(max(repeats, 1)):
            begin = time.perf_counter()
            runs.append(self.go(y, setting))
            total.append(time.perf_counter() - begin)
            overhead.append(total[-1] - runs[-1].field.seconds)
        return runs[0], total, overhead

    def go(self, y: Array, setting: Setting) -> _Run:
        """Return the run that starts from y, shape (n, d)."""
        field = Watched(answered(self.target.path, self.sampler.subject))
        x, nodes = self.runner(field, float(self.levels[0].alpha) * y, setting)
        if x.shape != y.shape:
            raise ValueError(f"it returned shape {x.shape} for a sample of shape {y.shape}")
        return _Run(x / float(self.levels[-1].alpha), nodes, field)

    def lam(self, index: int) -> float:
        """Return the log-SNR (or time) of a node."""
        return position(self.sampler.subject.scale, self.levels[index])

    def error(self, name: str, run: _Run, sampled: bool) -> Value:
        """Return an error of a run."""
        if name in ENDS:
            return ENDS[name](pointwise(run.y, self.target.path.exact(self.lam(-1))))
        if name == "trajectory":
            return rms(self._along(run))
        return over_sets(SAMPLED[name], self.pairs) if sampled else self._exact(name)

    def _along(self, run: _Run) -> Array:
        """Return the root mean squares of each point's errors over the nodes that the run shows, the last included."""
        path, last = self.target.path, len(self.levels) - 1
        seen = {k: x for level, x in run.nodes or run.field.asked if (k := self._node(level)) is not None}
        samples = {k: x / float(self.levels[k].alpha) for k, x in seen.items()} | {last: run.y}
        errors = [pointwise(y, path.exact(self.lam(k))) for k, y in samples.items()]
        return np.sqrt(np.mean(np.square(errors), axis=0))

    def _node(self, level: Level) -> int | None:
        """Return the number of a node behind the first at a level, None if there is none."""
        own = np.array([self.lam(k) for k in range(len(self.levels))])
        k = int(np.argmin(np.abs(own - position(self.sampler.subject.scale, level))))
        near = abs(own[k] - position(self.sampler.subject.scale, level)) <= CLOSE * (1 + abs(own[k]))
        return k if near and k > 0 else None

    @cached_property
    def pairs(self) -> list[tuple[Array, Array]]:
        """Independent sets of generated samples, each with one of exact samples."""
        pairs = []
        for part in range(self.target.sets):
            setting = replace(self.setting, noise=self.target.noise(part))
            y = self.go(self.target.start(self.lam(0), part), setting).y
            pairs.append((y, self.target.exact(self.lam(-1), part)))
        return pairs

    def _exact(self, name: str) -> Value:
        """Return a distance of laws in closed form."""
        start, end = (laws.law_of(self.target.mixture, math.exp(-self.lam(k))) for k in (0, -1))
        tolerance = laws.AFFINE if self.setting.precision == "float64" else laws.AFFINE_SHIPPED
        found = laws.generated(lambda y, noise: self.go(y, replace(self.setting, noise=noise)).y, start, tolerance)
        return (laws.wasserstein if name == "W2" else laws.divergence)(found, end), None
