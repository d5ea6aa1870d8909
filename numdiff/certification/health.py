"""What must hold before an order means anything: a sampler repeats itself, heeds its grid, and makes errors at all."""

from __future__ import annotations

import numpy as np

from numdiff.certification.experiments import Bench, Trial
from numdiff.certification.measure import Layout, final
from numdiff.certification.subject import Array, Setting, Subject
from numdiff.problems.paths import Path

SAME = 1e-12
"""Relative difference up to which two samples are one: rounding of a few hundred steps."""

UNREPEATABLE = (
    "two runs of {n} steps from one sample end {far:.1e} apart: it draws noise of its own or keeps something from one "
    "run to the next; seed it, make it anew for each run, or declare it stochastic"
)
DEAF = "it ends at the same sample, bit for bit or nearly, on equal and on alternating steps: it ignores its levels"
STUBBORN = "{few} steps and {many} steps end at the same sample, {far:.1e} from the exact one: it ignores its grid"


def complaint(bench: Bench) -> str:
    """Return why there is no order to measure, or "" if there may be one.

    Raises
    ------
    SamplerError
        If the sampler raises.
    """
    subject, few, many = bench.subject, bench.steps[0], bench.steps[len(bench.steps) // 2]
    first, other, again = (_end(bench, n) for n in (few, many, few))
    if not (np.isfinite(first).all() and np.isfinite(other).all()):
        return ""  # the estimate says at which numbers of steps
    if not np.array_equal(first, again):
        return UNREPEATABLE.format(n=few, far=float(np.abs(first - again).max()))
    if _far(other, _truth(bench)) <= SAME:
        return ""  # exact, which the estimate says too
    if _far(first, other) <= SAME:
        return STUBBORN.format(few=few, many=many, far=_far(other, _truth(bench)))
    if subject.given and _far(first, _end(bench, few, "alternating")) <= SAME:
        return DEAF
    return ""


def _path(bench: Bench) -> Path:
    """Return a path that never rests; on a grid of the sampler's own any will do that covers it."""
    return bench.path if bench.subject.given else bench.own_path(Trial(start=False, end=False, own=True, rounded=True))


def _end(bench: Bench, steps: int, pattern: str = "uniform") -> Array:
    subject, path = bench.subject, _path(bench)
    setting = Setting(grid="given" if subject.given else "own", noise=_noise(subject))
    levels = Layout(pattern).levels(subject, path.span, steps) if subject.given else bench.own_levels(steps)
    return final(subject, path, levels, setting)


def _noise(subject: Subject):  # type: ignore[no-untyped-def]  # a generator's method
    return np.random.default_rng(0).standard_normal if subject.stochastic else None


def _truth(bench: Bench) -> Array:
    path = _path(bench)
    return path.exact(path.span[1])


def _far(a: Array, b: Array) -> float:
    with np.errstate(over="ignore"):  # a run that blew up is far from everything
        return float(np.abs(a - b).max() / max(1.0, float(np.abs(b).max())))
