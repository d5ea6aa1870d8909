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
from typing import Any

import numpy as np

from numdiff._names import suggest
from numdiff.certification.subject import SCALES, Array, Setting, Subject, answered, position
from numdiff.grids.patterns import fractions
from numdiff.level import Level
from numdiff.problems.paths import Path
from numdiff.properties.order.regression import OrderEstimate, observed

Map = Callable[[float], float]
VARIABLES: dict[str, tuple[Map, Map]] = {
    "log-snr": (float, float),
    "rho": (lambda lam: math.exp(-lam), lambda s: -math.log(s)),
    "inverse-rho": (math.exp, math.log),
    "karras": (lambda lam: math.exp(-lam / 7), lambda s: -7 * math.log(s)),
}
"""Variable of a grid: from lambda and back."""


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
    """

    pattern: str = "uniform"
    variable: str = "log-snr"
    seed: int = 0

    def levels(self, subject: Subject, span: tuple[float, float], steps: int) -> tuple[Level, ...]:
        """Return the levels of a run of `steps` steps over a span of log-SNRs (or times)."""
        to, back = self._maps(subject)
        first, last = to(span[0]), to(span[1])
        inner = [back(first + (last - first) * u) for u in fractions(self.pattern, steps, self.seed)[1:-1]]
        return tuple(subject.level(lam) for lam in (span[0], *inner, span[1]))

    def _maps(self, subject: Subject) -> tuple[Map, Map]:
        if subject.scale == "time":
            return float, float
        if self.variable == "time":
            schedule = SCALES[subject.scale]
            return lambda lam: float(schedule.time(lam)), lambda t: float(schedule.level(t).log_snr)
        if self.variable not in VARIABLES:
            suggest(self.variable, (*VARIABLES, "time"), "variable")
        return VARIABLES[self.variable]


class SamplerError(RuntimeError):
    """A sampler raised; `steps` says at which N, and the cause is what it raised."""

    def __init__(self, steps: int, error: Exception) -> None:
        self.steps, self.error = steps, error
        super().__init__(f"raised at N = {steps}: {type(error).__name__}: {' '.join(str(error).split())}")


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
    except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError, RuntimeError, AssertionError) as error:
        raise SamplerError(len(levels) - 1, error) from error
    result = np.asarray(found, dtype=float)
    if result.shape != start.shape:
        raise ValueError(f"{subject.name} returned shape {result.shape} for a sample of shape {start.shape}")
    return result / float(levels[-1].alpha)


def measure(
    subject: Subject,
    path: Path,
    steps: Sequence[int],
    *,
    layout: Layout | None = None,
    setting: Setting | None = None,
    norm: str = "rms",
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
        truth = path.exact(position(subject.scale, levels[-1]))
        difference = np.abs(final(subject, path, levels, setting) - truth)
        with np.errstate(over="ignore"):
            return float(size(difference)) if np.all(np.isfinite(difference)) else math.nan

    scale = float(np.sqrt(np.mean(path.exact(path.span[1]) ** 2)))
    return observed(run, steps, floor=10 * path.error + 64 * float(np.finfo(float).eps) * scale)


NORMS: dict[str, Callable[[Array], Any]] = {
    "rms": lambda e: np.sqrt(np.mean(e**2)),
    "max": np.max,
    "median": np.median,
}
"""Norms of an array of absolute differences."""
