"""Noise levels of the reverse diffusion: tau, constant, in a window or a function, and DDIM's eta."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any, ClassVar

from numdiff.elementary import Number, exp, expm1, kind, log1p, vanishes
from numdiff.level import Level

__all__ = ["Eta", "Tau"]

VARIABLES = ("time", "model_time", "rho", "log_snr")


def _real(name: str, value: Any, also: str = "") -> float:
    """Return the value of one real number, or raise a TypeError that calls it `name`."""
    try:
        plain = value.item() if kind(value) in ("numpy", "torch") and not getattr(value, "ndim", 0) else value
        if not isinstance(plain, bool):
            return float(plain)
    except OverflowError:
        return inf
    except (TypeError, ValueError):  # a type that is no number, an array, a complex number, a symbol
        pass
    raise TypeError(f"{name} must be one number{also}, real and no array, got {value!r}")


def _noise_level(name: str, value: Any, highest: float, also: str = "") -> Number:
    """Return a noise level in a type that mixes with others, or a symbol; or raise."""
    if not getattr(value, "is_number", True) and hasattr(value, "free_symbols"):
        return value
    number = _real(name, value, also)
    if not 0 <= number < highest:
        limit = "not negative and finite" if highest == inf else "between 0 and 1"
        raise ValueError(f"{name} must be {limit}, got {value}; 0 adds no noise and 1 is the reverse diffusion")
    if kind(value) == "torch" and value.requires_grad:
        return value.double()
    return number if kind(value) in ("numpy", "torch") else value


def _bound(name: str, value: Any) -> Number | None:
    """Return an end of a window, or raise."""
    if value is None:
        return None
    number = _real(name, value, " or None")
    if number != number:
        raise ValueError(f"{name} must be a number or None, got {value}")
    return value if kind(value) == "exact" else number


def beside(value: Number, level: Level) -> Number:
    """Return `value` in a form that mixes with the numbers of `level`: a Fraction and a tensor do not."""
    apart = {"exact": ("torch",), "sympy": ("float", "numpy", "torch")}.get(kind(value), ())
    return float(value) if kind(level.sigma) in apart and getattr(value, "is_number", True) else value


def _brownian_time(value: Number, level: Level) -> Number:
    """Return the clock of a data row for the noise level `value`; see the module."""
    rate = 2 * beside(value, level) ** 2
    small = kind(rate) != "sympy" and bool(rate < 0.125)
    if vanishes(level.alpha):
        return (-1 / rate if rate else -inf) if small else 0.0
    z = rate * level.log_snr
    if not small:
        return exp(z)
    return level.log_snr if vanishes(z) else level.log_snr * (expm1(z) / z)


@dataclass(frozen=True)
class Tau:
    """A noise level tau(t): constant, switched on inside a window, or a function.

    Parameters
    ----------
    value
        tau where it is on, at least 0: a number, or a function of `variable` that returns one. A step takes its value
        at one end.
    low, high
        The window, closed, in `variable`; None for no bound.
    variable
        What the window is measured in and the function is given: "time", "model_time" (what the network is given),
        "rho" or "log_snr".
    at
        Where a step asks: at its "start" (as diffusers' SA-Solver) or its "end" (the official one).

    Raises
    ------
    ValueError, TypeError
        For a negative or infinite value, an empty window or an unknown option.

    Examples
    --------
    Noise in the middle of the run only, as in SA-Solver's published window:

    >>> import numdiff as nd
    >>> tau = nd.Tau(1, 0.3, 0.7)
    >>> schedule = nd.schedules.VPLinear()
    >>> scheme = nd.SASolver(2, tau=tau).discretize(schedule, nd.grids.uniform_t(schedule, 5))
    >>> [round(float(t.target.time), 1) for t in scheme if t.noises]  # where the steps with noise end
    [0.6, 0.4]
    >>> print(tau)
    tau=1 on time [0.3, 0.7]
    """

    value: Number = 1  # or a function of one
    low: float | None = None
    high: float | None = None
    variable: str = "time"
    at: str = "end"

    large: ClassVar[bool] = False  # see `Eta`

    def __post_init__(self) -> None:
        """Check the parameters."""
        if not self.is_function:
            level = _noise_level("tau", self.value, inf, " or a function that returns one")
            object.__setattr__(self, "value", level)
        for name in ("low", "high"):
            object.__setattr__(self, name, _bound(name, getattr(self, name)))
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise ValueError(f"low must lie below high, got {self.low} and {self.high}")
        for name, known in (("variable", VARIABLES), ("at", ("start", "end"))):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {', '.join(map(repr, known))}, got {getattr(self, name)!r}")

    @property
    def is_function(self) -> bool:
        """Whether `value` is a function; SymPy's symbols can be called, too, and are none."""
        return callable(self.value) and not getattr(self.value, "is_Symbol", False)

    @property
    def everywhere(self) -> bool:
        """Whether there is no window."""
        return self.low is None and self.high is None

    @property
    def constant(self) -> Number | None:
        """tau^2 if it is the same everywhere, else None."""
        if self.is_function:
            return None
        return self.value**2 if vanishes(self.value) or self.everywhere else None

    def on(self, start: Level, end: Level) -> Number:
        """Return tau on the step from `start` to `end`; raise unless a function returns a finite number >= 0 there."""
        if self.everywhere and not self.is_function:
            return beside(self.value, end)
        now = getattr(start if self.at == "start" else end, self.variable)
        if kind(now) == "sympy" and not now.is_number:
            raise ValueError(f"{self} is known where {self.variable} is a number, got {now}; use a constant tau")
        if not ((self.low is None or now >= self.low) and (self.high is None or now <= self.high)):
            return 0
        if not self.is_function:
            return beside(self.value, end)
        name, found = f"tau({_real(self.variable, now):g})", self.value(now)
        _real(name, found)  # a symbol is none
        return beside(_noise_level(name, found, inf), end)

    def squared(self, start: Level, end: Level) -> Number:
        """Return tau^2 on the step from `start` to `end`."""
        return self.on(start, end) ** 2

    def clock(self, level: Level, squared: Number) -> Number:
        """Return the Brownian time of a data row at `level`: that of tau inside its window, of 1 for a function."""
        return _brownian_time(1 if self.is_function else self.value, level)

    def __str__(self) -> str:
        """Return "tau=1", or "tau=ramp(time)" for a function of that name, with the window."""
        called = getattr(self.value, "__name__", type(self.value).__name__)
        text = f"tau={called}({self.variable})" if self.is_function else f"tau={self.value}"
        if not self.everywhere and self.constant is None:
            low, high = ("" if x is None else f"{float(x):g}" for x in (self.low, self.high))
            text += f" on {self.variable} [{low}, {high}]"
        return text + (" at start" if self.at == "start" and self.constant is None else "")


@dataclass(frozen=True)
class Eta:
    """DDIM's noise level: a step adds eta sigma_t sqrt(1 - e^{-2h}) of noise; data prediction only.

    Parameters
    ----------
    value
        eta from 0 (DDIM) to 1 (the reverse diffusion: DDPM, Euler ancestral).
    variance
        "small", or at eta = 1 "large" for sigma_s in place of sigma_t, the noise of the forward step: DDPM's other
        choice, exact for data that are white noise themselves. It has weak order 1 at best.

    Raises
    ------
    ValueError, TypeError
        For a value out of range, or another variance.

    Examples
    --------
    >>> import numdiff as nd
    >>> schedule = nd.schedules.VPLinear()
    >>> start, end = schedule.level(0.5), schedule.level(0.4)
    >>> [round(float(nd.Eta(eta).squared(start, end)), 3) for eta in (0, 0.5, 1)]  # tau^2 of this step
    [0.0, 0.169, 1.0]
    >>> nd.AdamsBashforth(1, nd.stochastic(eta=nd.Eta(1))) == nd.DDIM(eta=1)
    True
    """

    value: Number = 1
    variance: str = "small"

    def __post_init__(self) -> None:
        """Check the parameters."""
        object.__setattr__(self, "value", _noise_level("eta", self.value, 1 + 1e-15))
        if self.variance not in ("small", "large"):
            raise ValueError(f"variance must be 'small' or 'large', got {self.variance!r}")
        if self.variance == "large" and self.value != 1:
            raise ValueError(f"variance='large' belongs to eta = 1, DDPM; got eta = {self.value}")

    @property
    def large(self) -> bool:
        """Whether the noise is that of the forward step."""
        return self.variance == "large"

    @property
    def constant(self) -> Number | None:
        """tau^2 where it does not depend on the step, at eta = 0 and 1, unless a gradient is wanted there."""
        varies = kind(self.value) == "torch" and not vanishes(self.value)  # a tensor here carries a gradient
        return self.value**2 if self.value in (0, 1) and not varies else None

    def squared(self, start: Level, end: Level) -> Number:
        """Return tau^2 on the step from `start` to `end`: 1 - e^{-2 tau^2 h} = eta^2 (1 - e^{-2h})."""
        if self.constant is not None:
            return beside(self.value, end) ** 2
        if vanishes(start.alpha) or vanishes(end.sigma):  # the limit of an infinitely long step
            return 0
        h, value = end.log_snr - start.log_snr, beside(self.value, end)
        return -log1p(value**2 * expm1(-2 * h)) / (2 * h)

    def clock(self, level: Level, squared: Number) -> Number:
        """Return the Brownian time at `level`, that of tau = eta: what tau tends to as steps get shorter."""
        return _brownian_time(self.value, level)

    def __str__(self) -> str:
        """Return "eta=1"."""
        return f"eta={self.value}" + " large" * self.large
