"""One call from samplers and a problem to a diagram."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from numdiff._names import suggest
from numdiff.certification.measure import VARIABLES, Layout
from numdiff.certification.subject import Setting
from numdiff.work_precision import doors
from numdiff.work_precision.plan import Plan
from numdiff.work_precision.problem import target
from numdiff.work_precision.record import ERRORS, Diagram, checked_cost
from numdiff.work_precision.samplers import Sampler, made

NFE = (5, 8, 10, 15, 20, 30, 50)
"""Budgets of a diagram unless told otherwise."""

TIMED = 5
"""Runs whose median is taken where time is what the errors are shown against."""


def diagram(
    samplers: Mapping[str, Any],
    problem: Any,
    *,
    nfe: Iterable[int] | None = None,
    steps: Iterable[int] | None = None,
    grids: Iterable[str] | str | Mapping[str, Any] = ("log-snr",),
    errors: Iterable[str] | str = ("rms",),
    against: str = "nfe",
    span: tuple[float, float] | None = None,
    points: int | None = None,
    sets: int = 4,
    seed: int = 0,
    repeats: int | None = None,
    setting: Setting | None = None,
    tags: Mapping[str, Iterable[str]] | None = None,
    name: str = "",
) -> Diagram:
    """Run samplers on a problem and return their errors and costs.

    Parameters
    ----------
    samplers
        Label -> a numdiff method; the name of one; the name of a third party's sampler, "package:Name"; a `Subject`; or
        a pair of one of these and its options, ``(nd.GHVB(2), {"start": "runge-kutta"})``.
    problem
        A path, for errors against its flow; or a `GaussianMixture` or `Gaussian`, for these and for distances of laws.
    nfe
        Budgets: each sampler makes the most steps whose run takes at most so many evaluations. `NFE` by default.
    steps
        Instead of budgets, numbers of steps.
    grids
        Variables in which the steps are equal: "log-snr", "time", "karras", "rho", "inverse-rho"; "own" for a sampler's
        own grid; or label -> one of these, or a `Layout`.
    errors
        "rms", "median", "max" (at the end, against the flow from common starting points), "trajectory" (at the nodes),
        "W2", "KL", "energy"; the first is the main one. On a Gaussian W2 and KL are in closed form; on a mixture W2 is
        by optimal transport (extra "transport") and energy the energy distance, between samples.
    against
        What plots show the errors against: "nfe", "steps", "seconds" or "overhead".
    span
        First and last log-SNR on a mixture, (-5, 4.5) by default.
    points
        Samples in a set on a mixture, 64 by default; distances between samples want 256 or more.
    sets
        Independent sets of samples for distances between samples, whose scatter gives the standard error.
    seed
        Of all samples.
    repeats
        Runs for a time, of which the median is taken: 5 where `against` is a time, else 1. With 0 no times are
        kept, so that equal calls give equal diagrams.
    setting
        Precision of the runs, "float64" by default; see `numdiff.certification.subject.Setting`.
    tags
        Label -> tags of your own.
    name
        What the problem is called.

    Returns
    -------
    Diagram
        What could not be measured is in its `left_out`, with the reason.

    Raises
    ------
    TypeError, ValueError
        For samplers, problems, names and numbers that are none, and errors that the problem does not have.
    ImportError
        Where an error needs a library that is not there, with the extra that brings it.

    Examples
    --------
    >>> import numdiff as nd
    >>> samplers = {"DDIM": nd.DDIM(), "AB2": nd.AdamsBashforth(2)}
    >>> found = nd.work_precision.diagram(samplers, nd.problems.paths.toys(), nfe=(10, 40), repeats=0)
    >>> [record.nfe for record in found.records if record.label == "AB2"]
    [10, 40]
    >>> [record.label for record in found.best(40)]
    ['AB2', 'DDIM']
    """
    by, numbers = _numbers(nfe, steps)
    asked, used = _asked(errors), doors.setting(setting)
    chosen, layouts = _samplers(samplers, tags or {}), _layouts(grids)
    found = target(problem, name=name, span=span, points=points, sets=sets, seed=seed)
    for error in asked:
        found.check(error)
    repeats = _repeats(repeats, checked_cost(against))
    plan = Plan(found, asked, by, repeats, used)
    floors = {e: found.floor(e) for e in asked if plan.sampled(e)}
    results = [plan.run(sampler, label, layout, numbers) for sampler in chosen for label, layout in layouts.items()]
    records = tuple(record for part in results for record in part[0])
    left_out = tuple(dict.fromkeys(row for part in results for row in part[1]))
    return Diagram(found.name, asked, by, numbers, against, records, floors, left_out, plan.settings())


def _numbers(nfe: Iterable[int] | None, steps: Iterable[int] | None) -> tuple[str, tuple[int, ...]]:
    if nfe is not None and steps is not None:
        raise ValueError("give nfe or steps, not both")
    by, given = ("steps", steps) if steps is not None else ("nfe", NFE if nfe is None else nfe)
    numbers = tuple(given) if isinstance(given, Iterable) else (given,)
    for n in numbers:
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)):
            raise TypeError(f"{by} must be whole numbers, got {n!r}")
        if n < 1:
            raise ValueError(f"{by} must be at least 1, got {n}")
    if not numbers:
        raise ValueError(f"{by} must be at least one number, got none")
    return by, tuple(sorted({int(n) for n in numbers}))


def _asked(errors: Iterable[str] | str) -> tuple[str, ...]:
    asked = doors.words("errors", errors, '("rms", "W2")')
    if not asked:
        raise ValueError(f"errors must be at least one of {', '.join(ERRORS)}, got none")
    for error in asked:
        if error not in ERRORS:
            suggest(error, ERRORS, "error")
    return asked


def _repeats(repeats: int | None, against: str) -> int:
    if repeats is None:
        return TIMED if against in ("seconds", "overhead") else 1
    return doors.whole("repeats", repeats, 0)


def _samplers(samplers: Mapping[str, Any], tags: Mapping[str, Iterable[str]]) -> list[Sampler]:
    if not isinstance(samplers, Mapping) or not samplers:
        raise TypeError(f'samplers must be a mapping such as {{"DDIM": nd.DDIM()}}, not empty; got {samplers!r}')
    doors.mapping("samplers", samplers, '{"DDIM": nd.DDIM()}')
    for label in doors.mapping("tags", tags, '{"DDIM": ("ours",)}'):
        if label not in samplers:
            suggest(label, samplers, "label")
    return [made(label, value, tags.get(label, ())) for label, value in samplers.items()]


def _layouts(grids: Iterable[str] | str | Mapping[str, Any]) -> dict[str, Layout | None]:
    """Return the layouts by label, None for a sampler's own grid."""
    given = _labelled(grids)
    known = (*VARIABLES, "time", "own")
    for value in given.values():
        if not isinstance(value, Layout) and (not isinstance(value, str) or value not in known):
            suggest(value, known, "grid")
    if not given:
        raise ValueError(f"grids must be at least one of {', '.join(known)}, got none")
    made = {label: v if isinstance(v, Layout) else Layout(variable=v) for label, v in given.items() if v != "own"}
    return {label: made.get(label) for label in given}


def _labelled(grids: Any) -> dict[str, Any]:
    if isinstance(grids, Mapping):
        return dict(doors.mapping("grids", grids, '{"Karras": "karras"}'))
    return {name: name for name in doors.words("grids", grids, '("log-snr", "karras")')}
