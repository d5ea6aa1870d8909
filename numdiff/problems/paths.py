r"""Paths: equations with known solutions, behind the interface of a denoiser.

Along the probability flow, y = x/alpha obeys an equation in the log-SNR lambda, and a denoiser is nothing but its right
side: from dy/drho = eps, rho = sigma/alpha = e^(-lambda),

    dy/dlambda = F(lambda, y),      eps = -F/rho,      x_0 = y + F.                                              (1)

So **any** F makes a model that a sampler may be asked to follow, and what it should arrive at is alpha y(lambda). A
toy equation of `numdiff.problems.ode` gives a path whose solution is in closed form; a mixture gives F = -rho eps with
its reference flow.

**Rest.** A change of clock, theta(lambda) with theta' >= 0, turns (1) into dy/dlambda = theta' F(theta, y), solved by
y(theta(lambda)). Where theta' = 0 the path rests: the noise is 0, the data prediction is y, and every step of a
consistent sampler is exact there, of whatever order it is. A path that rests over the first steps has therefore exact
starting values for a sampler that nobody can look into, and one that rests over the last steps makes a lowered final
order, or a last step to sigma = 0, harmless. Between the rests theta' rises and falls like the regularized incomplete
beta function I(q+1, q+1) with q = `SMOOTH`, so the solution keeps q + 1 continuous derivatives.

A velocity of a curved schedule, and v of any, are not constant at rest: a sampler that extrapolates those makes its
start-up error on any path.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from numdiff.level import Level
from numdiff.parameterizations import get
from numdiff.problems.ode import ODE, odes

__all__ = ["RAMP", "REST", "SMOOTH", "Clock", "Path", "joined", "of_mixture", "of_ode", "toys"]

Array = NDArray[np.float64]

REST = 0.15
"""Part of the span that a path rests at an end: three steps of twenty."""

RAMP = 0.5 - REST
"""Part of the span in which its speed rises after a rest, or falls before one."""

SMOOTH = 7
"""Derivatives that theta' has where a rest ends."""

ROUNDING = 2.0**-52
"""Relative error of a closed form."""


class Clock(Protocol):
    """A rising map theta of log-SNRs, with its derivative."""

    def __call__(self, lam: float) -> float:
        """Return theta(lambda)."""

    def speed(self, lam: float) -> float:
        """Return theta'(lambda)."""


@dataclass(frozen=True, eq=False)
class Path:
    """An equation dy/dlambda = F(lambda, y) with its solution.

    Parameters
    ----------
    name
        What reports call it.
    slope
        F(lambda, y) for y of shape (points, d); of a plain equation lambda is its time.
    exact
        The solution y(lambda), shape (points, d).
    span
        First and last lambda of runs.
    error
        Root mean square error of the solution, estimated or bounded.

    Examples
    --------
    An equation of an ODE becomes something that a sampler can be asked to follow, and it knows where it should arrive:

    >>> import numdiff as nd
    >>> from numdiff.problems import paths
    >>> path = paths.of_ode(nd.problems.odes()["logistic"])
    >>> path.span, path.exact(path.span[1]).shape
    ((-1.0, 3.0), (1, 1))
    >>> level = nd.Level(time=0.0, alpha=0.8, sigma=0.6, model_time=0.0)
    >>> x = path.state(level)                                       # the exact sample at that level
    >>> bool(abs(0.8 * path.predict(x, level, "data") + 0.6 * path.predict(x, level, "noise") - x).max() < 1e-15)
    True

    At rest the noise is 0, and every consistent sampler is exact:

    >>> still = path.resting()
    >>> still.name
    'logistic, at rest at the start and the end'
    >>> start = nd.Level(time=0.0, alpha=0.5, sigma=1.0, model_time=0.0)
    >>> still.predict(still.state(start), start, "noise").tolist()
    [[0.0]]
    """

    name: str
    slope: Callable[[float, Array], Array] = field(repr=False)
    exact: Callable[[float], Array] = field(repr=False)
    span: tuple[float, float]
    error: float

    def predict(self, x: Array, level: Level, prediction: Any = "noise") -> Array:
        """Return what a perfect network says at `x`, shape (points, d); at sigma = 0 the path is at rest."""
        alpha, rho = float(level.alpha), float(level.rho)
        y = x / alpha
        slope = self.slope(-math.log(rho), y) if rho > 0 else np.zeros_like(y)
        a, b = get(prediction).components(level)
        return float(a) * (y + slope) - (float(b) / rho * slope if rho > 0 else 0.0)

    def state(self, level: Level) -> Array:
        """Return the exact sample x = alpha y at a level, shape (points, d)."""
        return float(level.alpha) * self.exact(float(level.log_snr))

    def resting(self, *, start: bool = True, end: bool = True, span: tuple[float, float] | None = None) -> Path:
        """Return the path that rests over the first and the last part of a span, its own by default.

        Beyond the span it stays at rest, or goes on at a constant speed where it does not rest.

        Raises
        ------
        ValueError
            If the span goes on to infinity, which has no parts.
        """
        if not (start or end):
            return self
        if not math.isfinite((span or self.span)[1]):
            raise ValueError(f"{self.name} cannot rest over parts of {span or self.span}; give a span that ends")
        name = f"{self.name}, at rest at {' and '.join(['the start'] * start + ['the end'] * end)}"
        return replace(self.clocked(_Clock(span or self.span, start, end)), name=name)

    def denoised(self, level: Level) -> Array:
        """Return the data prediction of the exact sample at a level, shape (points, d)."""
        lam = float(level.log_snr)
        y = self.exact(lam)
        return y + self.slope(lam, y)

    def clocked(self, clock: Clock) -> Path:
        """Return the path y(theta(lambda)) over the same span, theta a rising map of the span onto itself."""

        def slope(lam: float, y: Array) -> Array:
            speed = clock.speed(lam)
            return speed * self.slope(clock(lam), y) if speed else np.zeros_like(y)

        return replace(self, slope=slope, exact=lambda lam: self.exact(clock(lam)))


@dataclass(frozen=True)
class _Clock:
    """theta(lambda): the same at both ends as lambda, standing still before the rise and after the fall of its speed.

    In fractions of the span the rise and the fall do not overlap, so their product is their sum less 1.
    """

    span: tuple[float, float]
    start: bool
    end: bool

    def speed(self, lam: float) -> float:
        """Return theta'(lambda)."""
        part = self._fraction(lam)
        rise = _ramp((part - REST) / RAMP)[0] if self.start else 1.0
        fall = _ramp((1 - REST - part) / RAMP)[0] if self.end else 1.0
        return (rise + fall - 1) / (self._covered(self._last) - self._covered(self._first))

    def __call__(self, lam: float) -> float:
        """Return theta(lambda), at rest the same to the last bit."""
        if lam == math.inf and not self.end:
            return math.inf
        begin, end = self._covered(self._first), self._covered(self._last)
        return self.span[0] + (self.span[1] - self.span[0]) * (
            (self._covered(self._fraction(lam)) - begin) / (end - begin)
        )

    @property
    def _first(self) -> float:
        return REST if self.start else 0.0

    @property
    def _last(self) -> float:
        return 1 - REST if self.end else 1.0

    def _fraction(self, lam: float) -> float:
        """Return which part of the span has passed; of a rest, that at its moving end."""
        part = (lam - self.span[0]) / (self.span[1] - self.span[0])
        part = max(part, self._first) if self.start else part
        return min(part, self._last) if self.end else part

    def _covered(self, part: float) -> float:
        """Return the integral of the speed, up to its factor and a constant."""
        rise = RAMP * _ramp((part - REST) / RAMP)[1] if self.start else part
        fall = -RAMP * _ramp((1 - REST - part) / RAMP)[1] if self.end else part
        return rise + fall - part


@lru_cache(maxsize=4096)
def _ramp(x: float) -> tuple[float, float]:
    """Return I_x(q+1, q+1), which rises from 0 to 1 on [0, 1], and its integral from 0."""
    if x <= 0:
        return 0.0, 0.0
    if x >= 1:
        return 1.0, x - 0.5
    from scipy.special import betainc

    q = SMOOTH + 1
    value = float(betainc(q, q, x))
    return value, x * value - 0.5 * float(betainc(q + 1, q, x))


def of_ode(ode: ODE, span: tuple[float, float] = (-1.0, 3.0)) -> Path:
    """Return a toy equation as a path: its time goes over `span` at a constant speed; one point, d components.

    Parameters
    ----------
    ode
        Of `numdiff.problems.odes`.
    span
        First and last log-SNR, or times of a plain equation.

    Raises
    ------
    ValueError
        If the span is not two finite numbers, the second of them larger.

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.problems import paths
    >>> path = paths.of_ode(nd.problems.odes()["chirp"], span=(-2.0, 4.0))
    >>> path.exact(4.0).shape, path.error < 1e-13
    ((1, 3), True)
    """
    first, last = _checked(span)
    begin, speed = ode.t_span[0], (ode.t_span[1] - ode.t_span[0]) / (last - first)

    def time(lam: float) -> float:
        return begin + speed * (lam - first)

    def slope(lam: float, y: Array) -> Array:
        return speed * np.asarray(ode.fun(time(lam), y.T)).T

    def exact(lam: float) -> Array:
        return np.asarray(ode.exact(time(lam)), dtype=float)[None, :]

    end = exact(last)
    # Rounding of the solution, and of the angles and exponents in it: that of a time, carried over by the slope.
    size = np.abs(end) + max(map(abs, ode.t_span)) / abs(speed) * np.abs(slope(last, end))
    return Path(ode.name, slope, exact, (first, last), 4 * ROUNDING * float(np.sqrt(np.mean(size**2))))


def joined(name: str, paths: Sequence[Path]) -> Path:
    """Return several paths over one span as one, their coordinates side by side.

    An error constant that happens to vanish in one of them does not vanish in all.

    Parameters
    ----------
    name
        What reports call it.
    paths
        The paths, at least one.

    Returns
    -------
    Path

    Raises
    ------
    ValueError
        If the spans or the numbers of points differ.

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.problems import paths
    >>> odes = nd.problems.odes()
    >>> paths.joined("both", [paths.of_ode(odes["riccati"]), paths.of_ode(odes["chirp"])]).exact(0.0).shape
    (1, 4)
    """
    spans = {path.span for path in paths}
    widths = [path.exact(path.span[0]).shape for path in paths]
    if len(spans) != 1 or len({points for points, _ in widths}) != 1:
        raise ValueError(f"paths must have one span and one number of points, got {sorted(spans)} and {widths}")
    cuts = np.cumsum([width for _, width in widths])[:-1]

    def slope(lam: float, y: Array) -> Array:
        parts = np.split(y, cuts, axis=1)
        return np.concatenate([path.slope(lam, part) for path, part in zip(paths, parts, strict=True)], axis=1)

    def exact(lam: float) -> Array:
        return np.concatenate([path.exact(lam) for path in paths], axis=1)

    return Path(name, slope, exact, spans.pop(), max(path.error for path in paths))


def toys(span: tuple[float, float] = (-1.0, 3.0)) -> Path:
    """Return the four smooth scalar toy equations as one path: nonlinear, non-autonomous, in closed form.

    Two points of four coordinates, the equations of the second in reverse order: a sampler that mixes up its points, or
    has an eye for the first one only, does not follow both.

    Examples
    --------
    >>> from numdiff.problems import paths
    >>> paths.toys().exact(3.0).shape
    (2, 4)
    """
    found = odes()
    names = ("reciprocal", "logistic", "riccati", "bernoulli")
    row = joined("toys", [of_ode(found[name], span) for name in names])

    def turned(y: Array) -> Array:
        return np.concatenate([point[None, :: 1 if k % 2 == 0 else -1] for k, point in enumerate(y)])

    def exact(lam: float) -> Array:
        return turned(np.repeat(row.exact(lam), 2, axis=0))

    return replace(row, slope=lambda lam, y: turned(row.slope(lam, turned(y))), exact=exact)


def of_mixture(
    name: str, mixture: Any, span: tuple[float, float] = (-1.0, 3.0), *, points: int = 8, seed: int = 0
) -> Path:
    """Return the probability flow of a mixture as a path, with its reference solution.

    Parameters
    ----------
    name
        What reports call it.
    mixture
        A `GaussianMixture`.
    span
        First log-SNR, finite, and last one; infinity stands for sigma = 0.
    points
        How many samples are followed.
    seed
        Of the samples at the first log-SNR.

    Raises
    ------
    ValueError
        If the span is not two numbers, the first finite and the second larger.

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.problems import paths
    >>> path = paths.of_mixture("modes", nd.problems.mixtures()["two-modes"], span=(-1.0, 1.0), points=3)
    >>> path.exact(1.0).shape, path.error < 1e-9
    ((3, 1), True)
    """
    first, last = _checked(span, open_end=True)
    x = mixture.sample_level(points, _level(first), seed)

    def slope(lam: float, y: Array) -> Array:
        level = _level(lam)
        return -float(level.rho) * np.asarray(mixture.predict(level.alpha * y, level, "noise"))

    @lru_cache(maxsize=2048)
    def reference(lam: float) -> Any:
        return mixture.flow(None, x, _level(first), _level(lam))

    def exact(lam: float) -> Array:
        return np.asarray(reference(lam).x) / _level(lam).alpha

    # The reference estimates its own error; 1e-13 is its rounding.
    return Path(name, slope, exact, (first, last), float(np.sqrt(np.mean(reference(last).error ** 2))) + 1e-13)


def _checked(span: tuple[float, float], *, open_end: bool = False) -> tuple[float, float]:
    first, last = map(float, span)
    if not (math.isfinite(first) and first < last and (open_end or math.isfinite(last))):
        raise ValueError(
            f"span must be two rising log-SNRs, finite{' or ending at infinity' if open_end else ''}, not {span}"
        )
    return first, last


def _level(lam: float) -> Level:
    """Return the level of a log-SNR where alpha^2 + sigma^2 = 1."""
    if lam == math.inf:
        return Level(time=lam, alpha=1.0, sigma=0.0, model_time=lam)
    alpha = math.exp(-0.5 * math.log1p(math.exp(-2 * lam))) if lam > -300 else math.exp(lam)
    return Level(time=lam, alpha=alpha, sigma=math.exp(-lam) * alpha, model_time=lam)
