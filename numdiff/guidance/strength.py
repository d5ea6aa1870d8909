r"""How strong guidance is at a noise level: numbers, functions of the log-SNR, and an interval of it.

All functions take lambda = log(alpha/sigma), *half* the log signal-to-noise ratio, which rises from noise to data; the
noise level sigma/alpha of Karras et al. is e^(-lambda).

- `Ramp` goes from one strength to another between two values of lambda, in a straight line or half a cosine; with
  `of_time` a function of the schedule's time takes its place, such as the rising weights 2 w (1 - t/T) and
  w (1 + cos(pi t/T)) of Wang et al. (2024, arXiv:2404.13040).
- `sigma_interval` states an interval of noise levels (Kynkaanniemi et al. 2024, arXiv:2404.07724) in lambda.
- `PerStep` lists one strength for each step of a grid.

**CFG++** (Chung et al. 2024, arXiv:2406.08070) is such a list. It takes the clean image from the guided noise e_g =
e_u + w (e_c - e_u), 0 <= w <= 1, and renoises it with the unguided one. In x/alpha and rho = sigma/alpha,

    DDIM:   y' = y - rho e_g + rho' e_g          CFG++:   y' = y - rho e_g + rho' e_u,

and the second is the first with the strength w rho/(rho - rho') in place of w: `cfg_plus_plus`. It holds for DDIM. A
multistep method would mix evaluations that were guided for different steps.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from numdiff._names import suggest
from numdiff.guidance.arrays import namespace
from numdiff.level import Level
from numdiff.methods.scheme import Scheme
from numdiff.schedules import Schedule

Interval = tuple[float, float]
SHAPES = ("linear", "cosine")


def finder(schedule: Schedule | Scheme) -> Callable[[Any], Level]:
    """Return the function that finds the level of a model's own time.

    Parameters
    ----------
    schedule
        A schedule; or a scheme, where alpha and sigma are those of the levels at which the scheme evaluates the model
        (which differ from the schedule's where a grid was given in sigmas, or its model times were rounded).

    Raises
    ------
    TypeError, ValueError
        For anything else; for a scheme with two levels at one model time.
    """
    if isinstance(schedule, Scheme):
        known: dict[float, Level] = {}
        for level in (*schedule.levels, *(lv for t in schedule for lv in t.levels if lv is not None)):
            other = known.setdefault(float(level.model_time), level)
            if (other.alpha, other.sigma) != (level.alpha, level.sigma):
                raise ValueError(
                    f"the scheme has two levels at model time {level.model_time}; give the schedule instead"
                )
        return lambda t: _listed(known, _single(t))
    if not isinstance(schedule, Schedule):
        raise TypeError(f"schedule must be a schedule such as nd.schedules.VPLinear(), or a scheme, got {schedule!r}")
    return lambda t: schedule.level(float(schedule.from_model_time(_single(t))))


def _listed(known: dict[float, Level], t: float) -> Level:
    nearest = min(known, key=lambda time: abs(time - t))
    if not abs(nearest - t) <= 1e-6 * (1 + abs(t)):  # times may come rounded to float32
        raise ValueError(f"the scheme evaluates no model at t = {t}; make the guided model for the scheme that runs")
    return known[nearest]


def _single(t: Any) -> float:
    """Return one time, given as a number or as an array of equal ones, as a float."""
    if isinstance(t, (int, float)) or not getattr(t, "ndim", 0):
        return float(t)
    values = np.unique(np.asarray(t.tolist()))
    if len(values) != 1:
        raise ValueError(
            f"t must be one time for the whole batch, got {len(values)} different ones; call once per time"
        )
    return float(values[0])


def sigma_interval(low: float, high: float) -> Interval:
    """Return the interval of lambda for noise levels sigma/alpha from `low` to `high` (``interval=`` takes it).

    Parameters
    ----------
    low, high
        Noise levels sigma/alpha; `low` may be 0.

    Returns
    -------
    tuple of float
        (-log high, -log low), half log-SNRs that rise; infinite for 0.

    Raises
    ------
    ValueError
        Unless 0 <= low < high.

    Examples
    --------
    >>> import numdiff as nd
    >>> low, high = nd.guidance.sigma_interval(0.28, 2.9)
    >>> print(f"{low:.3f} {high:.3f}")
    -1.065 1.273
    >>> nd.guidance.sigma_interval(0.0, 2.0)[1]
    inf
    """
    if not 0 <= low < high:
        raise ValueError(f"a sigma interval needs 0 <= low < high, got {low!r} and {high!r}")
    return -math.log(high) if high < math.inf else -math.inf, -math.log(low) if low else math.inf


@dataclass(frozen=True)
class Ramp:
    """A strength that goes from `start` at the noise end to `stop` at the data end.

    Parameters
    ----------
    start, stop
        The strengths up to ``between[0]`` and from ``between[1]`` on.
    between
        The two half log-SNRs, rising.
    shape
        "linear" in lambda, or "cosine", start + (stop - start) (1 - cos(pi u))/2 with u linear.

    Raises
    ------
    ValueError
        For log-SNRs that are not finite or do not rise, and an unknown shape.

    Examples
    --------
    >>> import numdiff as nd
    >>> ramp = nd.guidance.Ramp(1.0, 5.0, between=(-2.0, 2.0), shape="cosine")
    >>> [round(ramp(log_snr), 6) for log_snr in (-9.0, -2.0, 0.0, 1.0, 2.0)]
    [1.0, 1.0, 3.0, 4.414214, 5.0]
    """

    start: float
    stop: float
    between: Interval
    shape: str = "linear"

    def __post_init__(self) -> None:
        """Check the parameters."""
        if self.shape not in SHAPES:
            suggest(self.shape, SHAPES, "shape")
        low, high = self.between
        if not -math.inf < low < high < math.inf:
            raise ValueError(f"between must be two finite log-SNRs, rising from noise to data, got {self.between!r}")

    def __call__(self, log_snr: float) -> float:
        """Return the strength at a half log-SNR."""
        low, high = self.between
        u = min(max((log_snr - low) / (high - low), 0.0), 1.0)
        if self.shape == "cosine":
            u = (1 - math.cos(math.pi * u)) / 2
        return self.start + (self.stop - self.start) * u


@dataclass(frozen=True)
class PerStep:
    """One strength for each step of a grid, from a step's first level up to the next step's.

    Parameters
    ----------
    log_snrs
        The half log-SNRs of the N + 1 levels, rising.
    values
        The N strengths.

    Raises
    ------
    ValueError
        Unless there is one value for each step, and the log-SNRs rise.

    Examples
    --------
    >>> import numdiff as nd
    >>> schedule = nd.schedules.VPLinear()
    >>> scheme = nd.DDIM().discretize(schedule, nd.grids.uniform_log_snr(schedule, 3))
    >>> strengths = nd.guidance.PerStep.of(scheme.levels, (1.0, 4.0, 2.0))
    >>> [strengths(float(level.log_snr)) for level in scheme.levels]
    [1.0, 4.0, 2.0, 2.0]
    """

    log_snrs: tuple[float, ...]
    values: tuple[float, ...]

    @classmethod
    def of(cls, levels: Sequence[Level], values: Sequence[float]) -> PerStep:
        """Return the strengths for a grid's levels, such as ``scheme.levels``.

        Parameters
        ----------
        levels
            N + 1 levels, from noise to data.
        values
            N strengths.
        """
        return cls(tuple(float(level.log_snr) for level in levels), tuple(map(float, values)))

    def __post_init__(self) -> None:
        """Check the numbers."""
        if len(self.values) != len(self.log_snrs) - 1:
            raise ValueError(f"values must be one for each of {len(self.log_snrs) - 1} steps, got {len(self.values)}")
        if any(not a < b for a, b in pairwise(self.log_snrs)):
            raise ValueError("log_snrs must rise from noise to data; give the levels of a sampling grid")

    def __call__(self, log_snr: float) -> float:
        """Return the strength at a half log-SNR; beyond the ends that of the first and the last step."""
        return self.values[min(max(bisect.bisect_right(self._starts, log_snr) - 1, 0), len(self.values) - 1)]

    @property
    def _starts(self) -> list[float]:
        # a level found from a model time may differ from the grid's by rounding: a step begins a little early
        return [a - 1e-6 * min(b - a, 1.0) for a, b in pairwise(self.log_snrs)]


def cfg_plus_plus(levels: Sequence[Level], strength: float) -> PerStep:
    """Return the scale of `ClassifierFree` with which `DDIM` on these levels makes the steps of CFG++.

    Parameters
    ----------
    levels
        ``scheme.levels``, from noise to data.
    strength
        The guidance of CFG++, from 0 to 1 as published.

    Returns
    -------
    PerStep
        One strength for each step; at alpha = 0 `strength` itself.

    Examples
    --------
    >>> import numdiff as nd
    >>> schedule = nd.schedules.VPLinear()
    >>> scheme = nd.DDIM().discretize(schedule, nd.grids.uniform_log_snr(schedule, 4))
    >>> scale = nd.guidance.cfg_plus_plus(scheme.levels, 0.6)
    >>> rho, then = (float(level.rho) for level in scheme.levels[1:3])
    >>> print(f"{scale.values[1]:.4f} {0.6 * rho / (rho - then):.4f}")
    0.6601 0.6601
    """
    rhos = [float(level.rho) for level in levels]
    return PerStep.of(levels, [strength * (1.0 if math.isinf(a) else a / (a - b)) for a, b in pairwise(rhos)])


def of_time(schedule: Schedule, function: Callable[[float], float]) -> Callable[[float], float]:
    """Return a function of the schedule's time, from 0 at the data to ``schedule.T``, as one of the half log-SNR.

    Parameters
    ----------
    schedule
        Whose time is meant.
    function
        ``function(t)`` returns a strength.

    Returns
    -------
    function
        Of a half log-SNR.

    Examples
    --------
    >>> import numdiff as nd
    >>> schedule = nd.schedules.VPLinear()
    >>> rising = nd.guidance.of_time(schedule, lambda t: 2 * 3.0 * (1 - t))
    >>> print(f"{rising(float(schedule.log_snr(0.25))):.4f}")
    4.5000
    """
    return lambda log_snr: function(float(schedule.time(log_snr)))


class Strength:
    """A scale with its interval, at a model's own time; for the guided models of this package.

    Parameters
    ----------
    scale
        A finite number, an array of one for each sample, or a function of the half log-SNR that returns either.
    interval
        Half log-SNRs (low, high), ends included, outside of which the strength is `off`; None for everywhere.
    schedule
        A schedule or scheme; needed for a function or an interval.
    off
        The strength that leaves the plain model.
    """

    def __init__(self, scale: Any, interval: Interval | None, schedule: Schedule | Scheme | None, off: float) -> None:
        self.scale, self.interval, self.off = scale, interval, off
        self.varies = callable(scale) or interval is not None
        if self.varies and schedule is None:
            what = "interval" if interval is not None else "scale, as a function of the log-SNR,"
            raise ValueError(f"{what} needs schedule=, which tells the log-SNR of the model's time")
        pair = isinstance(interval, (tuple, list)) and len(interval) == 2
        if interval is not None and not (pair and interval[0] < interval[1]):
            raise ValueError(f"interval must be two half log-SNRs, rising, got {interval!r}; see sigma_interval")
        self.level = None if schedule is None else finder(schedule)
        if not callable(scale):
            _checked(scale)
            if getattr(scale, "ndim", 0) and not bool(namespace(scale).isfinite(scale).all()):
                raise ValueError(f"scale must be finite, got {scale}")

    def at(self, t: Any) -> Any:
        """Return the strength at the model's own time `t`."""
        if not self.varies:
            return self.scale
        assert self.level is not None
        log_snr = float(self.level(t).log_snr)
        if self.interval is not None and not self.interval[0] <= log_snr <= self.interval[1]:
            return self.off
        return _checked(self.scale(log_snr)) if callable(self.scale) else self.scale


def _checked(scale: Any) -> Any:
    """Return a scale that is a finite number, or an array of numbers."""
    if getattr(scale, "ndim", 0):
        return scale
    if isinstance(scale, (bool, str)) or not isinstance(scale, (int, float, np.number)):
        hint = "; pass scale.item()" if hasattr(scale, "item") else ""
        wanted = "a number, an array of one for each sample, or a function of the log-SNR"
        raise TypeError(f"scale must be {wanted}, got {scale!r}{hint}")
    if not math.isfinite(scale):
        raise ValueError(f"scale must be finite, got {scale}")
    return float(scale)
