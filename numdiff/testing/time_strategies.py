r"""Steps, grids and levels, drawn.

Steps h_1, h_2, ... are drawn by their ratios r_i = h_{i+1}/h_i in [1/R, R]:

    h_1 = 1,    h_{i+1} = min(max(r_i h_i, R^-2), R^2),

so that neighbours differ by a factor of at most R and any two by at most R^4, however many there are. Hypothesis makes
a failing example simple by dropping ratios and bringing the rest to 1: what it shows in the end are equal steps but for
those changes that the failure needs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from numbers import Integral, Real
from typing import Any

import numpy as np

from numdiff._names import suggest
from numdiff.certification.measure import VARIABLES, Layout
from numdiff.grids.patterns import PATTERNS
from numdiff.level import Level
from numdiff.schedules import Schedule
from numdiff.testing._hypothesis import SearchStrategy, st

WIDEST = 1000.0
"""Largest bound of step ratios: beyond it times of a grid would be as near as rounding."""

DENOMINATOR = 12
"""Largest denominator of exact ratios."""


def step_ratios(
    min_size: int = 1, max_size: int = 8, *, max_ratio: float = 2.0, exact: bool = False
) -> SearchStrategy[list[Any]]:
    """Return a strategy of lists of step ratios in [1/max_ratio, max_ratio]; the simplest are 1.

    Parameters
    ----------
    min_size, max_size
        Bounds on how many.
    max_ratio
        R, from 1 to 1000.
    exact
        Fractions instead of floats.

    Returns
    -------
    SearchStrategy
        Of lists of numbers.

    Raises
    ------
    ValueError
        For bounds that leave nothing.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> from numdiff.testing import step_ratios
    >>> @settings(max_examples=20, database=None)
    ... @given(step_ratios(2, 5, max_ratio=3, exact=True))
    ... def test_in_bounds(ratios):
    ...     assert 2 <= len(ratios) <= 5 and all(1 <= 3 * r <= 9 for r in ratios)
    >>> test_in_bounds()
    """
    _sizes(min_size, max_size, 0, "size")
    real("max_ratio", max_ratio)
    if not 1 <= max_ratio <= WIDEST:
        raise ValueError(f"max_ratio must lie between 1 and {WIDEST:g}, got {max_ratio}")
    ratio = st.sampled_from(_exact_ratios(max_ratio)) if exact else st.floats(1 / max_ratio, max_ratio)
    return st.lists(ratio, min_size=min_size, max_size=max_size)


@lru_cache(maxsize=16)
def _exact_ratios(max_ratio: float) -> tuple[Fraction, ...]:
    """Return the fractions of moderate denominators in [1, R] and their reciprocals, those of small numbers first."""
    high = Fraction(max_ratio).limit_denominator(DENOMINATOR)
    above = {Fraction(n, d) for d in range(1, DENOMINATOR + 1) for n in range(d, int(high * d) + 1)}
    return tuple(sorted(above | {1 / x for x in above}, key=lambda x: (x.numerator + x.denominator, x < 1)))


def steps(
    min_steps: int = 1, max_steps: int = 12, *, max_ratio: float = 2.0, exact: bool = False
) -> SearchStrategy[list[Any]]:
    """Return a strategy of lists of step lengths, the first of which is 1; see `step_ratios` for the rest.

    Parameters
    ----------
    min_steps, max_steps
        Bounds on how many, at least 1.
    max_ratio, exact
        As in `step_ratios`.

    Returns
    -------
    SearchStrategy
        Of lists of numbers.

    Raises
    ------
    ValueError, TypeError
        As `step_ratios`.

    Examples
    --------
    The weights of Adams-Bashforth 2 on two steps of any lengths, exactly:

    >>> from hypothesis import given, settings
    >>> from numdiff.testing import assert_weights_integrate, steps
    >>> @settings(max_examples=20, database=None)
    ... @given(steps(2, 2, exact=True))
    ... def test_ab2(lengths):
    ...     before, h = lengths
    ...     assert_weights_integrate([h + h * h / (2 * before), -h * h / (2 * before)], [0, -before], h)
    >>> test_ab2()
    """
    _sizes(min_steps, max_steps, 1, "steps")
    ratios = step_ratios(min_steps - 1, max_steps - 1, max_ratio=max_ratio, exact=exact)
    widest = Fraction(max_ratio).limit_denominator(DENOMINATOR) ** 2 if exact else float(max_ratio) ** 2
    return ratios.map(lambda drawn: _lengths(drawn, widest))


def _lengths(ratios: Sequence[Any], widest: Any) -> list[Any]:
    lengths = [widest / widest]
    for ratio in ratios:
        lengths.append(min(max(ratio * lengths[-1], 1 / widest), widest))
    return lengths


def grids(
    schedule: Schedule | None = None,
    *,
    min_steps: int = 1,
    max_steps: int = 12,
    max_ratio: float = 2.0,
    variable: str = "time",
    span: tuple[float, float] | SearchStrategy[tuple[float, float]] | None = None,
) -> SearchStrategy[np.ndarray]:
    """Return a strategy of strictly monotone time grids, float64, shape (N + 1,), whose neighbouring steps are alike.

    Parameters
    ----------
    schedule
        A noise schedule, whose grids fall from noise to data; None for the times of a plain equation.
    min_steps, max_steps
        Bounds on N.
    max_ratio
        R: each step is at most R times as long as the one before, and at least 1/R times, up to rounding.
    variable
        In which steps are measured: "time", or "log-snr" of the schedule.
    span
        First and last time, or a strategy that draws them; the grid goes from the one to the other exactly. By default
        all of the schedule, from T (from 0.99 T where alpha is 0 there) to ``t_end``, and from 0 to 1 without one.

    Returns
    -------
    SearchStrategy
        Of float64 arrays of shape (N + 1,).

    Raises
    ------
    ValueError
        For bounds that leave nothing, an unknown variable, "log-snr" without a schedule, equal ends.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> import numpy as np
    >>> from numdiff.testing import grids
    >>> @settings(max_examples=20, database=None)
    ... @given(grids(min_steps=2, max_steps=8, max_ratio=4))
    ... def test_neighbours_are_alike(times):
    ...     steps = np.diff(times)
    ...     assert times[0] == 0 and times[-1] == 1 and (steps[1:] <= 4.001 * steps[:-1]).all()
    >>> test_neighbours_are_alike()
    """
    if variable not in ("time", "log-snr"):
        suggest(variable, ("time", "log-snr"), "variable")
    if variable == "log-snr" and schedule is None:
        raise ValueError('variable="log-snr" needs a schedule; use "time" for a plain equation')
    ends = span if isinstance(span, SearchStrategy) else st.just(_span(schedule) if span is None else span)
    lengths = steps(min_steps, max_steps, max_ratio=max_ratio)
    clock = schedule if variable == "log-snr" else None
    return st.tuples(lengths, ends).map(lambda drawn: _grid(drawn[0], drawn[1], clock))


def _span(schedule: Schedule | None) -> tuple[float, float]:
    if schedule is None:
        return 0.0, 1.0
    return schedule.T * (1.0 if schedule.alpha(schedule.T) else 0.99), schedule.t_end


def _grid(lengths: Sequence[float], span: tuple[float, float], schedule: Schedule | None) -> np.ndarray:
    first, last = map(float, span)
    if not (math.isfinite(first) and math.isfinite(last)) or first == last:
        raise ValueError(f"span must be two different times, got {span}")
    part = np.cumsum(lengths[:-1]) / np.sum(lengths)
    if schedule is None:
        inner = first + (last - first) * part
    else:
        start, end = schedule.log_snr(first), schedule.log_snr(last)
        inner = schedule.time(start + (end - start) * part)
    return np.concatenate([[first], inner, [last]])


def levels(schedule: Schedule | SearchStrategy[Schedule] | None = None, *, smallest: float = 1e-12) -> Any:
    """Return a strategy of levels of a schedule; the simplest is the one in the middle, at T/2.

    Parameters
    ----------
    schedule
        A schedule, a strategy of some, or None for any (`schedules`).
    smallest
        Part of T from which times are drawn, evenly and logarithmically.

    Returns
    -------
    SearchStrategy
        Of `numdiff.Level`.

    Raises
    ------
    ValueError
        If `smallest` does not lie in (0, 1).

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> import numdiff as nd
    >>> from numdiff.testing import levels
    >>> @settings(max_examples=20, database=None)
    ... @given(levels(nd.schedules.VPLinear()))
    ... def test_variance_is_preserved(level):
    ...     assert abs(level.alpha**2 + level.sigma**2 - 1) < 1e-12
    >>> test_variance_is_preserved()
    """
    real("smallest", smallest)
    if not 0 < smallest < 1:
        raise ValueError(f"smallest must lie strictly between 0 and 1, got {smallest}")
    if schedule is None:
        from numdiff.testing.strategies import schedules

        schedule = schedules()
    chosen = schedule if isinstance(schedule, SearchStrategy) else st.just(schedule)
    power = st.floats(math.log10(smallest), 0).map(lambda e: 10.0**e)
    return st.builds(_level, chosen, st.one_of(st.just(0.5), st.floats(max(smallest, 1e-3), 1), power))


def _level(schedule: Schedule, part: float) -> Level:
    return schedule.level(min(part * schedule.T, schedule.T))


def layouts(*, patterns: Sequence[str] = PATTERNS, variables: Sequence[str] = tuple(VARIABLES)) -> Any:
    """Return a strategy of layouts for `assert_order`: a pattern of steps, the variable it is laid out in, a seed.

    Parameters
    ----------
    patterns
        Names of patterns of steps: "uniform", "alternating", "random", "refined"; at least one.
    variables
        Names of the variables in which they are laid out: "log-snr", "karras", "rho", "inverse-rho", and "time".

    Returns
    -------
    SearchStrategy
        Of `numdiff.certification.Layout`.

    Raises
    ------
    ValueError
        For unknown patterns and variables, or none.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> import numdiff as nd
    >>> from numdiff.testing import assert_consistent, layouts
    >>> @settings(max_examples=5, database=None, deadline=None)
    ... @given(layouts(patterns=["alternating", "random"]))
    ... def test_constants_are_kept(layout):
    ...     assert_consistent(nd.GHVB(2, 0.8), layout=layout)
    >>> test_constants_are_kept()
    """
    shapes = _choices("patterns", patterns, PATTERNS, "pattern")
    clocks = _choices("variables", variables, (*VARIABLES, "time"), "variable")
    return st.builds(Layout, st.sampled_from(shapes), st.sampled_from(clocks), st.integers(0, 10**6))


def _sizes(least: int, most: int, bound: int, what: str) -> None:
    for name, value in ((f"min_{what}", least), (f"max_{what}", most)):
        whole(name, value)
    if not bound <= least <= most:
        raise ValueError(f"min_{what} and max_{what} must satisfy {bound} <= min <= max, got {least} and {most}")


def whole(name: str, value: Any) -> None:
    """Check that an argument is a whole number.

    Raises
    ------
    TypeError
        If it is none, with its name.
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be a whole number, got {value!r}")


def real(name: str, value: Any) -> None:
    """Check that an argument is a number.

    Raises
    ------
    TypeError
        If it is none, with its name.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r}")


def _choices(name: str, chosen: Any, known: Sequence[str], what: str) -> list[str]:
    """Return names of which at least one is there and none unknown."""
    if isinstance(chosen, str):
        raise TypeError(f"{name} must be a sequence of names, got the string {chosen!r}; write ({chosen!r},)")
    found = list(chosen)
    if not found:
        raise ValueError(f"{name} must hold at least one of {', '.join(known)}, got {chosen!r}")
    for one in found:
        if one not in known:
            suggest(one, known, what)
    return found
