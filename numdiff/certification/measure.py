r"""Errors of a subject on a path, and their order.

The error of a run with N steps is a norm of y - y(lambda_N) over the points and their coordinates, y = x/alpha, so that
it does not depend on the scale in which the sampler works. Grids are laid out by a pattern in a variable:

    log-snr (lambda),  rho (e^-lambda),  inverse-rho (e^lambda),  karras (rho^(1/7)),  time (of the scale's schedule)

and end at the ends of the path's span. A plain equation has its time only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from numdiff._names import suggest
from numdiff.certification.subject import SCALES, Array, Setting, Subject, answered, position
from numdiff.grids.patterns import fractions
from numdiff.level import Level
from numdiff.problems.paths import Path
from numdiff.properties.order.regression import NORMS, ROUNDINGS, OrderEstimate, observed

Map = Callable[[float], float]
Truth = Callable[[Path, Sequence[Level]], Array]


@dataclass(frozen=True)
class Variable:
    """A variable s of a grid, a monotone function of lambda.

    Parameters
    ----------
    of
        s(lambda).
    inverse
        lambda(s).
    slope
        ds/dlambda at lambda.
    """

    of: Map
    inverse: Map
    slope: Map


VARIABLES = {
    "log-snr": Variable(float, float, lambda lam: 1.0),
    "rho": Variable(lambda lam: math.exp(-lam), lambda s: -math.log(s), lambda lam: -math.exp(-lam)),
    "inverse-rho": Variable(math.exp, math.log, math.exp),
    "karras": Variable(lambda lam: math.exp(-lam / 7), lambda s: -7 * math.log(s), lambda lam: -math.exp(-lam / 7) / 7),
}
"""Variables that do not depend on a schedule."""


@dataclass(frozen=True)
class Evenly:
    """The clock under which a path goes evenly in a variable: theta is affine in s(lambda) and keeps the span's ends.

    On equal steps in s each step then covers an equal part of the path, as on equal steps in lambda without it.
    """

    variable: Variable
    span: tuple[float, float]

    def __call__(self, lam: float) -> float:
        """Return theta(lambda)."""
        first, last = map(self.variable.of, self.span)
        return self.span[0] + (self.span[1] - self.span[0]) * (self.variable.of(lam) - first) / (last - first)

    def speed(self, lam: float) -> float:
        """Return theta'(lambda)."""
        first, last = map(self.variable.of, self.span)
        return (self.span[1] - self.span[0]) * self.variable.slope(lam) / (last - first)


@dataclass(frozen=True)
class Layout:
    """How the steps of a measurement are laid out.

    Parameters
    ----------
    pattern
        Of `numdiff.grids.patterns`.
    variable
        In which the pattern is laid out: a name of `VARIABLES` or "time".
    seed
        Of random patterns.

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.certification import Layout, of_method
    >>> subject = of_method(nd.AdamsBashforth(2))
    >>> levels = Layout("alternating").levels(subject, (0.0, 4.0), 4)
    >>> [abs(round(float(level.log_snr), 3)) for level in levels]
    [0.0, 0.667, 2.0, 2.667, 4.0]
    """

    pattern: str = "uniform"
    variable: str = "log-snr"
    seed: int = 0

    @property
    def name(self) -> str:
        """The pattern, or the variable of equal steps that are not in log-SNR."""
        if self.variable == "log-snr":
            return self.pattern
        return self.variable if self.pattern == "uniform" else f"{self.pattern} in {self.variable}"

    def levels(self, subject: Subject, span: tuple[float, float], steps: int) -> tuple[Level, ...]:
        """Return the levels of a run of `steps` steps over a span of log-SNRs (or times)."""
        variable = self.coordinate(subject)
        first, last = variable.of(span[0]), variable.of(span[1])
        inner = [variable.inverse(first + (last - first) * u) for u in fractions(self.pattern, steps, self.seed)[1:-1]]
        return tuple(subject.level(lam) for lam in (span[0], *inner, span[1]))

    def evenly(self, subject: Subject, path: Path) -> Path:
        """Return the path going evenly in the variable of the layout."""
        variable = self.coordinate(subject)
        return path if variable == VARIABLES["log-snr"] else path.clocked(Evenly(variable, path.span))

    def coordinate(self, subject: Subject) -> Variable:
        """Return the variable; a plain equation has its time only."""
        if subject.scale == "time":
            return VARIABLES["log-snr"]
        if self.variable == "time":
            return _clock_of(subject.scale)
        if self.variable not in VARIABLES:
            suggest(self.variable, (*VARIABLES, "time"), "variable")
        return VARIABLES[self.variable]


@cache
def _clock_of(scale: str) -> Variable:
    """Return the time of a scale's schedule as a variable."""
    schedule = SCALES[scale]

    def slope(lam: float) -> float:
        level = schedule.level(schedule.time(lam))
        return 1 / float(level.d_alpha / level.alpha - level.d_sigma / level.sigma)

    return Variable(lambda lam: float(schedule.time(lam)), lambda t: float(schedule.level(t).log_snr), slope)


class SamplerError(RuntimeError):
    """A sampler raised; `steps` says at which N, and the cause is what it raised.

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.certification import SamplerError, Subject
    >>> from numdiff.certification.measure import measure
    >>> def fragile(field, x, levels, setting):
    ...     if len(levels) > 20:
    ...         raise KeyError("a table with 20 entries")
    ...     return x
    >>> try:
    ...     measure(Subject("mine:fragile", fragile), nd.certification.path_named("riccati"), (8, 16, 32))
    ... except SamplerError as error:
    ...     print(error.steps, repr(error.__cause__))
    32 KeyError('a table with 20 entries')
    """

    def __init__(self, steps: int, error: Exception) -> None:
        self.steps, self.error = steps, error
        super().__init__(f"raised at N = {steps}: {type(error).__name__}: {' '.join(str(error).split())}")


class ShapeError(ValueError):
    """A sampler returned something else than a sample; the text says what."""


def final(subject: Subject, path: Path, levels: Sequence[Level], setting: Setting) -> Array:
    """Return y = x/alpha where a subject arrives, shape (points, d), from the exact sample at the first level.

    Raises
    ------
    SamplerError
        If the sampler raises, with what it raised as the cause.
    TypeError, ValueError
        If it returns no array of the sample's shape.
    """
    start = path.exact(position("time", levels[0])) if subject.scale == "time" else path.state(levels[0])
    try:
        with np.errstate(all="ignore"):
            found = subject.run(answered(path, subject), start.copy(), levels, setting)
    except Exception as error:  # whatever foreign code raises is a finding
        raise SamplerError(len(levels) - 1, error) from error
    if np.iscomplexobj(found):
        raise ShapeError(f"{subject.name} returned complex numbers for a sample of real ones")
    result = np.asarray(found, dtype=float)
    if result.shape != start.shape:
        raise ShapeError(f"{subject.name} returned shape {result.shape} for a sample of shape {start.shape}")
    return result / float(levels[-1].alpha)


def measure(
    subject: Subject,
    path: Path,
    steps: Sequence[int],
    *,
    layout: Layout | None = None,
    setting: Setting | None = None,
    norm: str = "rms",
    truth: Truth | None = None,
) -> OrderEstimate:
    """Return the order that a subject shows on a path.

    Parameters
    ----------
    subject
        The sampler.
    path
        What it follows.
    steps
        Numbers of steps, at least three.
    layout
        Where the levels lie; equal steps in log-SNR by default. Ignored where ``setting.grid`` is "own".
    setting
        Circumstances of the runs.
    norm
        "rms", "max" or "median".
    truth
        ``truth(path, levels)``, what y should be at the last level; the path's solution by default.

    Returns
    -------
    OrderEstimate

    Raises
    ------
    SamplerError
        If the sampler raises at some N.
    ValueError
        For too few steps or an unknown norm, pattern or variable.
    """
    layout, setting = layout or Layout(), setting or Setting()
    size = NORMS[norm] if norm in NORMS else suggest(norm, NORMS, "norm")

    def run(n: int) -> float:
        own = setting.grid == "own" and subject.grid is not None
        levels = subject.grid(n) if own else layout.levels(subject, path.span, n)  # type: ignore[misc]
        goal = path.exact(position(subject.scale, levels[-1])) if truth is None else truth(path, levels)
        difference = np.abs(final(subject, path, levels, setting) - goal)
        with np.errstate(over="ignore"):
            return float(size(difference)) if np.all(np.isfinite(difference)) else math.nan

    scale = float(np.sqrt(np.mean(path.exact(path.span[1]) ** 2)))
    return observed(run, steps, floor=10 * path.error + ROUNDINGS * float(np.finfo(float).eps) * scale, size=scale)
