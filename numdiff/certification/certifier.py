"""`certify`: what order a sampler has, with what confidence, and why it falls short."""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence

import numpy as np

import numdiff
from numdiff._names import suggest
from numdiff.certification.certificate import Certificate
from numdiff.certification.diagnose import Finding, diagnose, standard
from numdiff.certification.experiments import Bench, Trial, flow_error, usable
from numdiff.certification.health import complaint
from numdiff.certification.measure import VARIABLES, Layout, SamplerError, ShapeError
from numdiff.certification.own import of_method
from numdiff.certification.subject import Setting, Subject
from numdiff.certification.weak import measure_weak
from numdiff.grids.patterns import GRIDS
from numdiff.methods.base import Method
from numdiff.problems.paths import Path, toys
from numdiff.properties.order.regression import FEWEST, OrderEstimate

ROUGH = ("alternating",)
"""Patterns of a certificate beside equal steps."""


def certify(
    subject: Subject | Method,
    order: int | None = None,
    *,
    path: Path | None = None,
    steps: Sequence[int] | None = None,
    patterns: Sequence[str] = ROUGH,
    seed: int = 0,
) -> Certificate:
    """Put the order of a sampler to the test, and find out why it falls short.

    Parameters
    ----------
    subject
        A sampler, or one of numdiff's methods; `numdiff.adapters.subjects.resolve` finds others by name.
    order
        The claim; by default the one that the subject brings along, if it does.
    path
        What is followed on given levels; the four toy equations of `numdiff.problems.paths.toys` by default.
    steps
        Different numbers of steps, at least three that the subject can make; 24 to 384 by default, a third of that for
        claims of order 7 and more.
    patterns
        Grids beside equal steps in log-SNR: "alternating", "random", "refined", or equal steps in "karras", "rho",
        "inverse-rho".
    seed
        Of random patterns.

    Returns
    -------
    Certificate
        Raising, not finite, unrepeatable, deaf and exact samplers have the verdict "no order", with the reason.

    Raises
    ------
    ValueError, TypeError
        For a subject that is none, an order that is no whole number, unknown patterns, too few steps.

    Examples
    --------
    DDIM, written out, and sold as second order:

    >>> import numdiff as nd
    >>> from numdiff.certification import Subject, certify
    >>> def ddim(field, x, levels, setting):
    ...     for a, b in zip(levels[:-1], levels[1:]):
    ...         x = b.alpha * (x / a.alpha + (b.rho - a.rho) * field(x, a))
    ...     return x
    >>> found = certify(Subject("mine:ddim", ddim, order=2), steps=(24, 48, 96))
    >>> found.verdict
    'refuted'
    >>> print(found.cause.partition(": ")[2].partition(";")[0])
    a step combines one answer, with which no higher order than 1 can be had, and has it

    With the order that it has it passes:

    >>> certify(Subject("mine:ddim", ddim, order=1), steps=(48, 96, 144)).verdict
    'certified'
    """
    began = time.perf_counter()
    subject = of_method(subject) if isinstance(subject, Method) else subject
    if not isinstance(subject, Subject):
        raise TypeError(
            f"subject must be a Subject or a method, got {subject!r}; numdiff.adapters.subjects makes subjects of "
            "schedulers, sample functions and step functions"
        )
    claim = _claim(subject.order if order is None else order)
    bench = Bench(
        subject, path or toys(), _steps(subject, steps, claim), weak_error if subject.stochastic else flow_error
    )
    found = _found(bench, claim, _roughs(patterns, seed))
    return Certificate(
        subject=subject.name,
        claim=claim,
        kind="weak" if subject.stochastic else "flow",
        path="Gaussian data of several variances" if subject.stochastic else bench.path.name,
        experiments=found.experiments,
        verdict=found.verdict,
        cause=found.cause,
        versions=_versions(subject),
        notes=subject.notes,
        seconds=time.perf_counter() - began,
    )


def _found(bench: Bench, claim: int | None, roughs: tuple[Layout, ...]) -> Finding:
    """Return what experiments say, or why there are none."""
    try:
        reason = complaint(bench)
    except (SamplerError, ShapeError) as error:
        reason = str(error)
    if reason:
        return Finding("no order", reason, ())
    main = standard(bench, roughs)
    clean = main[0]
    if clean.estimate is None or _exact(clean.estimate) or (claim is None and not clean.estimate.defined):
        return Finding("no order", clean.failure or getattr(clean.estimate, "cause", ""), main)
    if claim is None:
        return Finding("observed", "", main)
    return diagnose(bench, claim, main)


def _exact(estimate: OrderEstimate) -> bool:
    return all(error <= estimate.floor for error in estimate.errors)


def weak_error(bench: Bench, trial: Trial) -> OrderEstimate:
    """Return the order in which the law of a run approaches the law of the data."""
    setting = Setting(precision=trial.precision, grid="own" if trial.own else "given")
    return measure_weak(bench.subject, bench.steps, layout=trial.layout, setting=setting)


def _claim(order: int | None) -> int | None:
    if order is None:
        return None
    if isinstance(order, bool) or not isinstance(order, (int, np.integer)):
        raise TypeError(f"order must be a whole number, got {order!r}")
    if order < 1:
        raise ValueError(f"order must be at least 1, got {order}")
    return int(order)


def _steps(subject: Subject, steps: Sequence[int] | None, claim: int | None) -> tuple[int, ...]:
    found = tuple(sorted(usable(subject, steps, claim)))
    if len(found) < FEWEST:
        asked = "" if steps is None else f" of {list(steps)}"
        raise ValueError(
            f"steps must hold at least {FEWEST} numbers that {subject.name} can make, at most {subject.most}; "
            f"only {list(found)}{asked} are left"
        )
    return found


def _roughs(patterns: Sequence[str], seed: int) -> tuple[Layout, ...]:
    if isinstance(patterns, str):
        raise TypeError(f"patterns must be a sequence of names, got the string {patterns!r}; write ({patterns!r},)")
    for name in patterns:
        if name not in GRIDS:
            suggest(name, GRIDS, "pattern")
    named = [name for name in patterns if name != "uniform"]
    return tuple(Layout(variable=name) if name in VARIABLES else Layout(name, seed=seed) for name in named)


def _versions(subject: Subject) -> dict[str, str]:
    versions = {"numdiff": numdiff.__version__, "numpy": np.__version__, "python": platform.python_version()}
    package, _, version = subject.version.partition(" ")
    return {**versions, package: version} if version else versions
