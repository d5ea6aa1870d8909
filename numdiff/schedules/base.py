r"""What every noise schedule offers, and the care that its ends need.

A schedule maps a time t in [0, T], from clean data at t = 0 to noise at t = T, to the scales of

::

    x_t = alpha(t) x_0 + sigma(t) eps,

and lambda(t) = log(alpha/sigma), the half log signal-to-noise ratio ``log_snr``, falls strictly from t = 0 to T. The
inverse t(lambda) is ``time``; rho = sigma/alpha = e^(-lambda). What the network is given, its ``model_time``, is a
separate function of t.

Ends. Where sigma = 0, lambda is +inf and rho is 0; where alpha = 0 (zero terminal SNR), lambda is -inf and rho is inf.
``time`` takes both back to the end they came from. A derivative that grows without bound, sigma' at t = 0 of a
variance-preserving schedule, is +inf. Nothing is ever a NaN and nothing warns.

Variance-preserving schedules know log alpha and give sigma = sqrt(-expm1(2 log alpha)), which does not cancel near
t = 0 as sqrt(1 - alpha^2) does; sigma' = -alpha alpha'/sigma, since alpha^2 + sigma^2 = 1.
"""

from __future__ import annotations

import math
import sys
from abc import ABC, abstractmethod
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from numdiff.elementary import Number, exp, expm1, kind, log, log1p, sqrt
from numdiff.level import Level

__all__ = ["Schedule"]

_SLACK = 1e-9
"""How far beyond the ends, relative to 1 + |lambda|, a log-SNR may lie by rounding and still count as the end."""


def positive(value: float, name: str) -> None:
    """Raise ValueError unless the parameter `name` is a positive finite number."""
    if isinstance(value, (bool, str)) or not 0 < value < math.inf:
        raise ValueError(f"{name} must be positive and finite, not {value!r}")


def check_schedule(schedule: Any, alternative: str = "") -> None:
    """Raise TypeError unless `schedule` is a noise schedule; `alternative` says what else the caller takes."""
    if not isinstance(schedule, Schedule):
        is_class = isinstance(schedule, type) and issubclass(schedule, Schedule)
        hint = f"; pass an instance, {schedule.__name__}(...)" if is_class else ""
        raise TypeError(
            f"schedule must be a noise schedule such as nd.schedules.VPLinear(){alternative}, got {schedule!r}{hint}"
        )


def real(x: Any, name: str) -> Number:
    """Return `x` as a Python float, a float array of at least one axis or a float tensor; refuse everything else."""
    if isinstance(x, (bool, np.bool_)):
        raise TypeError(f"{name} must be a number, not {x!r}")
    if isinstance(x, (int, float, Fraction)):
        return float(x)
    if isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind in "iuf":
        x = x if x.dtype.kind == "f" else x.astype(np.float64)
        return x if x.ndim else float(x)
    if getattr(x, "number_kind", None) == "traced":
        return x
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(x, torch.Tensor) and x.dtype != torch.bool and not x.is_complex():
        return x if x.is_floating_point() else x.double()
    raise TypeError(f"{name} must be a float, a numpy array or a torch tensor of real numbers, not {_describe(x)}")


def _describe(x: Any) -> str:
    return f"{type(x).__name__} {x!r}" if isinstance(x, (str, list, tuple)) else type(x).__name__


def within(x: Number, low: float, high: float, name: str) -> Number:
    """Return `x` if all of it lies in [low, high]; the error names the first value that does not (a NaN never does)."""
    if isinstance(x, float) or kind(x) == "traced":
        if low <= x <= high:
            return x
        first = float(x)
    else:
        outside = ~((x >= low) & (x <= high))
        if not bool(outside.any()):
            return x
        first = float(x[outside].ravel()[0].item()) if x.ndim else plain(x)
    raise ValueError(f"{name} = {first} lies outside [{low}, {high}], the range of the schedule")


def clamp(x: Number, low: float, high: float) -> Number:
    """Return `x` moved into [low, high]; gradients pass inside."""
    if isinstance(x, float):
        return min(max(x, low), high)
    return x.clip(low, high)


def ratio(a: Number, b: Number) -> Number:
    """Return a / b for a >= 0 and b >= 0, inf where b = 0."""
    if isinstance(b, float):
        return a / b if b else math.inf
    with np.errstate(divide="ignore", over="ignore"):
        return a / b


def arctan(x: Number) -> Number:
    """Return the arc tangent of a float, an array or a tensor."""
    if isinstance(x, float):
        return math.atan(x)
    if kind(x) == "traced":
        return x.function("arctan")
    return np.arctan(x) if kind(x) == "numpy" else x.arctan()


def from_log_alpha(log_alpha: Number) -> Number:
    """Return the variance-preserving sigma = sqrt(1 - alpha^2) from log alpha, without cancellation."""
    return sqrt(0.0 - expm1(2 * log_alpha))  # not -expm1, which makes a clean end -0.0


def log_alpha_of(log_snr: Number) -> Number:
    """Return log alpha at the log-SNR of a variance-preserving schedule: alpha^2 = 1/(1 + e^(-2 lambda))."""
    return -0.5 * log1p(exp(-2 * log_snr))


class Schedule(ABC):
    """A noise schedule; subclasses supply the formulas with a leading underscore.

    Attributes
    ----------
    name : str
        The name in the registry.
    T : float
        The largest time, where the noise is.
    t_end : float
        Where a sampling grid ends by default; the log-SNR is finite there.

    Notes
    -----
    Times may be Python floats (which give Python floats), numpy arrays or torch tensors, elementwise and in the dtype
    they come in. Gradients flow through tensors; at an end with infinite log-SNR they are infinite or NaN. A time that
    is NaN or outside [0, T] is a ValueError.

    Examples
    --------
    What every schedule offers:

    >>> import numpy as np
    >>> import numdiff as nd
    >>> schedule = nd.schedules.VPLinear()
    >>> schedule.alpha(np.array([0.0, 0.5, 1.0])).round(4).tolist()
    [1.0, 0.2812, 0.0066]
    >>> round(schedule.time(schedule.log_snr(0.3)), 12)
    0.3
    >>> schedule.alpha(2.0)
    Traceback (most recent call last):
        ...
    ValueError: t = 2.0 lies outside [0.0, 1.0], the range of the schedule
    """

    name: str
    T: float
    t_end: float

    @property
    def has_derivatives(self) -> bool:
        """Whether `d_alpha` and `d_sigma` exist."""
        return True

    @property
    def is_flow(self) -> bool:
        """Whether this is a flow-matching schedule, for which velocity is the natural prediction."""
        return False

    def alpha(self, t: Number) -> Number:
        """Return the signal scale at `t`."""
        return self._alpha(self._checked(t))

    def sigma(self, t: Number) -> Number:
        """Return the noise scale at `t`."""
        return self._sigma(self._checked(t))

    def log_snr(self, t: Number) -> Number:
        """Return lambda = log(alpha/sigma) at `t`; +inf where sigma = 0 and -inf where alpha = 0."""
        return self._log_snr(self._checked(t))

    def rho(self, t: Number) -> Number:
        """Return sigma/alpha at `t`; inf where alpha = 0."""
        t = self._checked(t)
        return ratio(self._sigma(t), self._alpha(t))

    def d_alpha(self, t: Number) -> Number:
        """Return d alpha/dt at `t`."""
        return self._d_alpha(self._checked(t))

    def d_sigma(self, t: Number) -> Number:
        """Return d sigma/dt at `t`; +inf at t = 0 of a schedule with sigma ~ sqrt(t) there."""
        return self._d_sigma(self._checked(t))

    def time(self, log_snr: Number) -> Number:
        """Return the time at which lambda = `log_snr`, the inverse of `log_snr`.

        Raises
        ------
        ValueError
            If the value is NaN or beyond lambda(0) or lambda(T) by more than rounding.
        """
        value = within(real(log_snr, "log_snr"), *self._log_snrs, "log_snr")
        return clamp(self._time(value), 0.0, self.T)

    def model_time(self, t: Number) -> Number:
        """Return what the network is given as its time at `t`."""
        return self._model_time(self._checked(t))

    @abstractmethod
    def from_model_time(self, m: Number) -> Number:
        """Return the time t whose `model_time` is `m`."""

    def level(self, t: Number) -> Level:
        """Return the level at the one time `t`.

        Entries are Python floats, or 0-d float64 tensors on the CPU where `t` is a tensor that requires a gradient.
        An end with infinite log-SNR is a constant all the same: it enters a step as a limit and not by its value.
        """
        t = scalar(t, "t")
        if not isinstance(t, float) and math.isinf(self.log_snr(plain(t))):
            t = plain(t)
        inside = self._checked(t)
        slopes = (self._d_alpha(inside), self._d_sigma(inside)) if self.has_derivatives else (None, None)
        return Level(t, self._alpha(inside), self._sigma(inside), self._model_time(inside), *slopes)

    def level_at(self, clock: Number) -> Level:
        """Return the level whose ``time``, the clock of its velocity, is `clock`; only `Flow` has one other than t."""
        return self.level(clock)

    @cached_property
    def _log_snrs(self) -> tuple[float, float]:
        """The lowest and the highest log-SNR that `time` takes."""
        low, high = self._log_snr(self.T), self._log_snr(0.0)
        return low - _SLACK * (1 + abs(low)), high + _SLACK * (1 + abs(high))

    def _checked(self, t: Any) -> Number:
        return within(real(t, "t"), 0.0, self.T, "t") + 0.0  # -0.0 becomes 0.0, and sigma never -0.0

    @abstractmethod
    def _alpha(self, t: Number) -> Number: ...

    @abstractmethod
    def _sigma(self, t: Number) -> Number: ...

    def _log_snr(self, t: Number) -> Number:
        return log(self._alpha(t)) - log(self._sigma(t))

    @abstractmethod
    def _time(self, log_snr: Number) -> Number: ...

    @abstractmethod
    def _model_time(self, t: Number) -> Number: ...

    @abstractmethod
    def _d_alpha(self, t: Number) -> Number: ...

    @abstractmethod
    def _d_sigma(self, t: Number) -> Number: ...


def plain(x: Number) -> float:
    """Return a number as a Python float, without its gradient."""
    return float(x.detach().item()) if kind(x) == "torch" else float(x)


def scalar(x: Any, name: str) -> Number:
    """Return one number as a Python float, or as a 0-d float64 CPU tensor where it requires a gradient."""
    x = real(x, name)
    if isinstance(x, float) or kind(x) == "traced":
        return x
    if x.ndim:
        raise ValueError(f"{name} must be one number, not an array of shape {tuple(x.shape)}")
    return x.cpu().double() if x.requires_grad else float(x)
