r"""Stochastic formulations: the reverse diffusion with a chosen amount of noise, as one more kernel of formula (*).

The variance-controlled diffusion SDE has the marginals of the probability-flow ODE for every noise level tau(t) >= 0;
tau = 0 is that ODE and tau = 1 the reverse diffusion. With tau constant on a step of length h in log-SNR it is linear
but for the prediction f, and its exact solution is that of the ODE with another kernel, plus one Gaussian:

    ==============  =========  ==============================  ===================  ==============================
    formulation     c          xi                              factor of weights    standard deviation of the noise
    ==============  =========  ==============================  ===================  ==============================
    data, log-SNR   -(1+tau^2) (sigma_t/sigma_s) e^{-tau^2 h}  alpha_t (1+tau^2)    sigma_t sqrt(1 - e^{-2 tau^2 h})
    noise, log-SNR  +1         alpha_t/alpha_s                 -sigma_t (1+tau^2)   sigma_t tau sqrt(e^{2h} - 1)
    noise, ratio    0          alpha_t/alpha_s                 alpha_t (1+tau^2)    alpha_t tau sqrt(rho_s^2 - rho_t^2)
    ==============  =========  ==============================  ===================  ==============================

So a multistep or predictor-corrector method becomes stochastic by its formulation alone: SDE-DPM-Solver++ is Adams in
data/log-SNR with tau = 1, SA-Solver the predictor-corrector with tau(t), DDIM with eta and Euler ancestral order 1.

**Eta.** DDIM's eta fixes the noise of a step instead: eta sigma_t sqrt(1 - e^{-2h}), which is the data row with
1 - e^{-2 tau^2 h} = eta^2 (1 - e^{-2h}). eta = 1 is tau = 1.

**The ends.** The step that arrives at sigma = 0 adds no noise and returns the denoised estimate. At alpha = 0 the data
row keeps its limit: x_t = alpha_t x_0 plus fresh noise where tau > 0.

**Brownian motion.** Each noise is an increment of one Brownian motion W over a clock T: e^{2 tau^2 lambda} for data
rows (eta for tau where eta is given; from tau = 1/4 down (e^{2 tau^2 lambda} - 1)/(2 tau^2), which tells two levels
apart however small tau is) and -rho^2 for noise rows, all rising along the run. Runs on different grids that draw their
noises from one path of W (`numdiff.noise.BrownianPath`) therefore discretize the same realisation. On data rows with
eta strictly between 0 and 1, or with tau a function, that holds in the limit of short steps only: the noise of a step
then depends on its length, or is no increment over the clock of its own tau but over that of tau = 1.

**Weak order.** A multistep method of order k >= 2 has weak order 2 and no more, on any grid, and order 1 has weak order
1. The old evaluations carry the noises of the steps before, with weights of first moment sum_j omega_j u_j = int_0^h
e^{c(h-u)} u du: the covariance that the noise of a step has with its own drift, but steps late, which costs h^2. Order
3 would need the iterated integrals of W. For the same reason every method has strong order 1. A claim of
weak order is about expectations given the first sample, for the diffusion with the noise level that each step has. With
eta strictly between 0 and 1 that is tau = eta + O(h), with tau a function its value at one end of the step: against tau
= eta, or tau(t), the order is 1. The law of the last sample, for a first one with the law of its level, is the same for
all tau and keeps the order; it may have a higher one where noise is added apart (`numdiff.methods.ancestral`).

Sources: Xue et al., SA-Solver (2023), proposition 4.2; Song et al., DDIM (2021), section 4.1; Lu et al., DPM-Solver++
(2022), section 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any, ClassVar

from numdiff.elementary import Number, exp, expm1, kind, log1p, sqrt, vanishes
from numdiff.formulations import DATA_LOG_SNR, NOISE_LOG_SNR, NOISE_RATIO, Formulation, Span, get
from numdiff.level import Level
from numdiff.weights import MAX_ORDER, moments

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


def _beside(value: Number, level: Level) -> Number:
    """Return `value` in a form that mixes with the numbers of `level`: a Fraction and a tensor do not."""
    apart = {"exact": ("torch",), "sympy": ("float", "numpy", "torch")}.get(kind(value), ())
    return float(value) if kind(level.sigma) in apart and getattr(value, "is_number", True) else value


def _brownian_time(value: Number, level: Level) -> Number:
    """Return the clock of a data row for the noise level `value`; see the module."""
    rate = 2 * _beside(value, level) ** 2
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
            return _beside(self.value, end)
        now = getattr(start if self.at == "start" else end, self.variable)
        if kind(now) == "sympy" and not now.is_number:
            raise ValueError(f"{self} is known where {self.variable} is a number, got {now}; use a constant tau")
        if not ((self.low is None or now >= self.low) and (self.high is None or now <= self.high)):
            return 0
        if not self.is_function:
            return _beside(self.value, end)
        name, found = f"tau({_real(self.variable, now):g})", self.value(now)
        _real(name, found)  # a symbol is none
        return _beside(_noise_level(name, found, inf), end)

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
        """tau^2 where it does not depend on the step: at eta = 0 and 1, unless a gradient is wanted there."""
        varies = kind(self.value) == "torch" and not vanishes(self.value)  # a tensor here carries a gradient
        return self.value**2 if self.value in (0, 1) and not varies else None

    def squared(self, start: Level, end: Level) -> Number:
        """Return tau^2 on the step from `start` to `end`: 1 - e^{-2 tau^2 h} = eta^2 (1 - e^{-2h})."""
        if self.constant is not None:
            return _beside(self.value, end) ** 2
        if vanishes(start.alpha) or vanishes(end.sigma):  # the limit of an infinitely long step
            return 0
        h, value = end.log_snr - start.log_snr, _beside(self.value, end)
        return -log1p(value**2 * expm1(-2 * h)) / (2 * h)

    def clock(self, level: Level, squared: Number) -> Number:
        """Return the Brownian time at `level`, that of tau = eta: what tau tends to as steps get shorter."""
        return _brownian_time(self.value, level)

    def __str__(self) -> str:
        """Return "eta=1"."""
        return f"eta={self.value}" + " large" * self.large


@dataclass(frozen=True)
class StochasticFormulation(Formulation):
    """A row of the table above, of the probability-flow ODE `base` and a noise level; make one with `stochastic`."""

    name: str = field(compare=False)  # a noise level of 1 and one of 1.0 are equal and print differently
    base: Formulation
    level: Tau | Eta

    @property
    def stochastic(self) -> bool:
        """Whether steps add noise: not where the level is 0 throughout."""
        return not (self.level.constant is not None and vanishes(self.level.constant))

    @property
    def weak_order(self) -> int:
        """The highest weak order that a multistep method can have here."""
        return 1 if self.level.large else 2

    @property
    def symbols(self) -> set[Any]:
        """The SymPy symbols in the noise level; a run needs numbers."""
        return getattr(self.level.value, "free_symbols", set())

    def span(self, start: Level, end: Level, order: int = MAX_ORDER) -> Span:
        """Return the geometry of the step from `start` to `end`, with its noise; see `Formulation.span`.

        Raises
        ------
        ValueError
            As there; also for a step towards the noise.
        """
        if vanishes(end.sigma):
            return self.base.span(start, end, 1 if self.stochastic else order)
        squared = self.level.squared(start, end)
        if self.base == DATA_LOG_SNR and vanishes(start.alpha) and not vanishes(start.sigma):
            return self._leaving_alpha_zero(start, end, squared)
        if vanishes(squared):
            return self.base.span(start, end, order)
        span = self.base.span(start, end, 0 if self.base == DATA_LOG_SNR else order)  # data: other moments below
        known = self.variable == "log-snr" and not span.infinite
        h, factor = span.unit if known else end.log_snr - start.log_snr, 1 + squared
        if kind(h) != "sympy" and h < 0:
            raise ValueError(
                f"formulation {self.name} adds noise on the way to the data, but the step from time {start.time} to "
                f"{end.time} leads to the noise; reverse the grid, or use tau = 0"
            )
        if self.base != DATA_LOG_SNR:
            noise = sqrt(squared) * end.sigma * sqrt(expm1(2 * h))
            scaled = [factor * mu for mu in span.moments]
            clock = (-(start.rho**2), -(end.rho**2))
            return Span(span.xi, span.unit, scaled, span.infinite, span.c, noise, clock)
        mu = [end.alpha * factor * x for x in moments(h, -factor, order)]
        noise = (start if self.level.large else end).sigma * sqrt(-expm1(-2 * squared * h))
        clock = (self.level.clock(start, squared), self.level.clock(end, squared))
        return Span(span.xi * exp(-squared * h), h, mu, c=-factor, noise=noise, clock=clock)

    def _leaving_alpha_zero(self, start: Level, end: Level, squared: Number) -> Span:
        """Return the limit x_t = sqrt(1 - eta^2) (sigma_t/sigma_s) x_s + alpha_t x_0 + eta sigma_t z."""
        eta = _beside(self.level.value, end) if isinstance(self.level, Eta) else 0 if vanishes(squared) else 1
        xi = end.sigma / start.sigma * sqrt(1 - eta**2)
        clock = None if vanishes(eta) else (self.level.clock(start, squared), self.level.clock(end, squared))
        noise = (start if self.level.large else end).sigma * eta
        return Span(xi, 1.0, [end.alpha], infinite=True, c=self.c, noise=noise, clock=clock)

    def denoising_span(self, start: Level, end: Level) -> Span:
        """Return the step of order 1 that arrives at sigma = 0; it adds no noise."""
        return self.base.denoising_span(start, end)

    def steady_span(self, h: Number, order: int = MAX_ORDER) -> Span:
        """Return the span of a step of length `h` in X = x/kappa, without its noise, which no equal steps share.

        Raises
        ------
        ValueError
            Where tau depends on the step.
        """
        squared = self.level.constant
        if squared is None:
            raise ValueError(
                f"formulation {self.name} has no steady step: its noise level depends on the step; use a constant tau"
            )
        if vanishes(squared):
            return self.base.steady_span(h, order)
        xi = exp(self.c * h) if self.c else 1
        return Span(xi, h, [(1 + squared) * mu for mu in moments(h, self.c, order)], c=self.c)


def stochastic(
    formulation: Formulation | str = DATA_LOG_SNR, tau: Number | Tau | None = None, *, eta: Number | Eta | None = None
) -> Formulation:
    """Return the formulation of the reverse diffusion with noise level `tau` (or DDIM's `eta`).

    Parameters
    ----------
    formulation
        data/log-SNR, noise/log-SNR or noise/ratio, by name or as an object.
    tau
        The noise level: a number, a function of time that is read at the end of a step, or a `Tau` with a window or
        another variable. 1 if neither is given.
    eta
        DDIM's measure of noise instead, 0 to 1 (or an `Eta`); data/log-SNR only.

    Returns
    -------
    Formulation
        For the ``formulation`` of a multistep, predictor-corrector or exponential Runge-Kutta method; the plain one
        where the level is the number 0.

    Raises
    ------
    ValueError, TypeError
        For other formulations, both levels at once, or a level out of range.
    """
    base = get(formulation)
    if base not in (DATA_LOG_SNR, NOISE_LOG_SNR, NOISE_RATIO):
        raise ValueError(
            f"formulation {base} has no stochastic form here; use data/log-snr, noise/log-snr or noise/ratio"
        )
    if tau is not None and eta is not None:
        raise ValueError(f"give tau or eta, not both, got tau={tau} and eta={eta}")
    level: Tau | Eta
    if eta is not None:
        level = eta if isinstance(eta, Eta) else Eta(eta)
        if base != DATA_LOG_SNR:
            raise ValueError(f"eta belongs to data/log-snr, where order 1 is DDIM with that eta; got {base}; use tau")
    else:
        level = tau if isinstance(tau, Tau) else Tau(1 if tau is None else tau)
    if level.constant is not None and vanishes(level.constant):
        return base
    constant = level.constant if level.constant is not None else 0
    c = -(1 + constant) if base == DATA_LOG_SNR else base.c
    return StochasticFormulation(f"{base.name} {level}", base.prediction, base.variable, c, base, level)


__all__: Sequence[str] = ("Eta", "StochasticFormulation", "Tau", "stochastic")
