r"""The order of a sampler, asserted.

The errors of runs with N steps are measured and fitted as in `numdiff.certification.measure`; the assertion is that the
slope is the order, up to a tolerance, and that the runs show a slope at all: errors that follow no power have none, and
one whose 95 % interval is wider than `WIDEST` could as well be a neighbouring order's.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, isnan, log
from numbers import Real
from typing import Any

from numdiff.certification.measure import Layout, measure
from numdiff.certification.subject import Setting
from numdiff.problems.paths import Path, toys
from numdiff.properties.order.regression import OrderEstimate, observed
from numdiff.testing.calls import STEPS, Call
from numdiff.testing.subjects import in_words, laid_out, subject_of, takes_only_steps

WIDEST = 0.5
"""Largest half width of the interval of a slope, beyond which the runs do not tell neighbouring orders apart."""


def assert_order(
    sampler: Any,
    order: int,
    *,
    path: Path | None = None,
    steps: Sequence[int] = STEPS,
    layout: Layout | str = "uniform",
    seed: int = 0,
    setting: Setting | None = None,
    norm: str = "rms",
    tolerance: float = 0.3,
    at_least: bool = False,
    **options: Any,
) -> OrderEstimate:
    """Assert that a sampler has an order.

    Parameters
    ----------
    sampler
        What `numdiff.testing.subjects.subject_of` takes, or a function ``run(n)`` that returns the error of n steps.
    order
        The order that its error should have.
    path
        What the sampler follows. By default the four toy equations, at rest over the first and the last steps, so that
        neither starting values nor a lowered last step are to blame.
    steps
        Numbers of steps, at least three.
    layout
        A `Layout`, or the name of a pattern of steps in log-SNR: "uniform", "alternating", "random", "refined".
    seed
        Of the random patterns, where `layout` is a name.
    setting
        Circumstances of the runs; see `numdiff.certification.subject.Setting`.
    norm
        Norm of the error over the points: "rms", "max" or "median".
    tolerance
        Largest distance of the slope from the order, at most 1. The slope at a few hundred steps is not yet its limit:
        on the default path with the default steps it is within 0.2 for methods up to order 5.
    at_least
        Whether a higher order, or no error at all, is as good. Errors that follow no power pass only if they fall
        that fast between any two numbers of steps.
    options
        Of the sampler; see `subject_of`.

    Returns
    -------
    OrderEstimate
        What was seen.

    Raises
    ------
    AssertionError
        If the order is another one, or the runs show none; the message has the table of errors, the seed, and the call
        that looks for the cause.
    TypeError, ValueError
        For arguments that do not make sense.
    numdiff.certification.measure.SamplerError
        If the sampler raises, with its exception as the cause.

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.testing import assert_order
    >>> found = assert_order(nd.AdamsBashforth(2), 2, layout="alternating", steps=(64, 96, 128))
    >>> found.steps, round(found.slope)
    ((64, 96, 128), 2)

    A function ``run(n)`` that returns errors will do:

    >>> round(assert_order(lambda n: 3.0 / n**2, 2, steps=(10, 20, 40)).slope, 6)
    2.0
    >>> assert_order(lambda n: 3.0 / n, 2, steps=(10, 20, 40))                         # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    AssertionError: ...
    """
    _check(order, tolerance)
    chosen, alone = laid_out(layout, seed), takes_only_steps(sampler)
    if alone:
        if path or setting or options or layout != "uniform" or norm != "rms":
            raise ValueError(
                f"path, layout, setting, norm and options{_listed(options)} are a sampler's; run(n) makes its errors "
                "itself"
            )
        estimate, name = observed(sampler, steps), "run(n)"
    else:
        subject, followed = subject_of(sampler, **options), path or toys().resting()
        estimate, name = measure(subject, followed, steps, layout=chosen, setting=setting, norm=norm), subject.name
    problem = _problem(estimate, order, tolerance, at_least)
    if problem:
        call = Call(sampler, order, path, tuple(steps), chosen, setting, norm, tolerance, at_least, options)
        around = [] if alone else [f"path: {followed.name}; {in_words(chosen)}"]
        raise AssertionError(_message(f"{name}: {problem}", estimate, [*around, *call.again()], call.remedy(alone)))
    return estimate


def _check(order: Any, tolerance: Any) -> None:
    """Refuse orders and tolerances that every run, or none, would meet."""
    for name, value, example in (("order", order, "2"), ("tolerance", tolerance, "0.3")):
        if isinstance(value, bool) or not isinstance(value, Real):
            raise TypeError(f"{name} must be a number such as {example}, got {value!r}")
        if not 0 < float(value) < inf:
            raise ValueError(f"{name} must be positive and finite, got {value}; {example}, say")
    if tolerance > 1:
        raise ValueError(
            f"tolerance must be at most 1, which is how far neighbouring orders are apart, got {tolerance}"
        )


def _listed(options: dict[str, Any]) -> str:
    return f" ({', '.join(options)})" if options else ""


def _problem(estimate: OrderEstimate, order: int, tolerance: float, at_least: bool) -> str:
    """Return what is wrong with an estimate, or nothing."""
    wanted = f"order {order}{' or more' if at_least else ''} (tolerance {tolerance:g})"
    if at_least and all(error <= estimate.floor for error in estimate.errors):
        return ""
    if isnan(estimate.slope):
        return f"{wanted} expected, but the runs show no order"
    low, high = estimate.interval
    clear = (high - low) / 2 <= WIDEST and not estimate.irregular
    # Errors may fall faster than any power, and with no order that could be told still have more than the one wanted.
    fast = at_least and all(slope >= order - tolerance for slope in estimate.local_slopes)
    if not (clear or fast):
        return f"{wanted} expected, but the runs do not show an order clearly"
    if estimate.slope < order - tolerance or (not at_least and estimate.slope > order + tolerance):
        return f"{wanted} expected, order {estimate.slope:.2f} observed"
    return ""


def _message(problem: str, estimate: OrderEstimate, around: list[str], remedy: str) -> str:
    """Return the report of a failure: what was expected, seen and run, and what to do next."""
    return "\n".join(
        [problem, f"fitted: {estimate}", *around, "", *_table(estimate), "", f"next, for the cause: {remedy}"]
    )


def _table(estimate: OrderEstimate) -> list[str]:
    """Return the lines of N, error and the slope since the line before."""
    rows, before = ["     N  error      local order"], None
    for n, error in zip(estimate.steps, estimate.errors, strict=True):
        slope = f"{_slope(before, (n, error)):.2f}" if before and min(before[1], error) > 0 else ""
        rows.append(f"{n:6d}  {error:.3e}  {slope}".rstrip())
        before = (n, error)
    return rows


def _slope(first: tuple[int, float], second: tuple[int, float]) -> float:
    return log(first[1] / second[1]) / log(second[0] / first[0])
