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
rows (eta for tau where eta is given) and -rho^2 for noise rows, both rising along the run. Runs on different grids that
draw their noises from one path of W (`numdiff.noise.BrownianPath`) therefore discretize the same realisation; with eta
strictly between 0 and 1 only in the limit of short steps, as the noise of a step then depends on its length.

**Weak order.** A multistep method of order k >= 2 has weak order 2 and no more, on any grid, and order 1 has weak order
1. The old evaluations carry the noises of the steps before, with weights of first moment sum_j omega_j u_j = int_0^h
e^{c(h-u)} u du: the covariance that the noise of a step has with its own drift, but steps late, which costs h^2. Order
3 would need the iterated integrals of W. For the same reason every method has strong order 1.

Sources: Xue et al., SA-Solver (2023), proposition 4.2; Song et al., DDIM (2021), section 4.1; Lu et al., DPM-Solver++
(2022), section 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Any

from numdiff.elementary import Number, exp, expm1, kind, log1p, sqrt, vanishes
from numdiff.formulations import DATA_LOG_SNR, NOISE_LOG_SNR, NOISE_RATIO, Formulation, Span, get
from numdiff.level import Level
from numdiff.weights import MAX_ORDER, moments

VARIABLES = ("time", "model_time", "rho", "log_snr")


def _noise_level(name: str, value: Number, highest: float) -> Number:
    if isinstance(value, (bool, str)) or value is None or getattr(value, "ndim", None):
        raise TypeError(f"{name} must be one number, got {value!r}")
    if getattr(value, "is_number", True) and not 0 <= value < highest:
        limit = "not negative and finite" if highest == inf else "between 0 and 1"
        raise ValueError(f"{name} must be {limit}, got {value}; 0 adds no noise and 1 is the reverse diffusion")
    if kind(value) == "torch" and value.requires_grad:
        return value.double()
    return float(value) if kind(value) in ("numpy", "torch") else value


def _beside(value: Number, level: Level) -> Number:
    """Return `value` in a form that mixes with the numbers of `level`: a Fraction and a tensor do not."""
    return float(value) if kind(value) == "exact" and kind(level.sigma) == "torch" else value


@dataclass(frozen=True)
class Tau:
    """A noise level tau(t), constant or switched on inside a window.

    Parameters
    ----------
    value
        tau where it is on, at least 0.
    low, high
        The window, closed, in `variable`; None for no bound.
    variable
        What the window is measured in: "time", "model_time" (what the network is given), "rho" or "log_snr".
    at
        Where a step asks whether it is on: at its "start" (as diffusers' SA-Solver) or its "end" (the official one).

    Raises
    ------
    ValueError, TypeError
        For a negative or infinite value, an empty window or an unknown option.
    """

    value: Number = 1
    low: float | None = None
    high: float | None = None
    variable: str = "time"
    at: str = "end"

    def __post_init__(self) -> None:
        """Check the parameters."""
        object.__setattr__(self, "value", _noise_level("tau", self.value, inf))
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise ValueError(f"low must lie below high, got {self.low} and {self.high}")
        for name, known in (("variable", VARIABLES), ("at", ("start", "end"))):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {', '.join(map(repr, known))}, got {getattr(self, name)!r}")

    @property
    def constant(self) -> Number | None:
        """tau^2 if it is the same everywhere, else None."""
        return self.value**2 if vanishes(self.value) or (self.low is None and self.high is None) else None

    def squared(self, start: Level, end: Level) -> Number:
        """Return tau^2 on the step from `start` to `end`."""
        now = getattr(start if self.at == "start" else end, self.variable)
        inside = (self.low is None or now >= self.low) and (self.high is None or now <= self.high)
        return _beside(self.value, end) ** 2 if inside else 0

    def clock(self, level: Level, squared: Number) -> Number:
        """Return the Brownian time of a data row at `level`, e^{2 tau^2 lambda}; `squared` is tau^2 on its step."""
        return 0.0 if vanishes(level.alpha) else exp(2 * squared * level.log_snr)

    @property
    def large(self) -> bool:
        """False; see `Eta`."""
        return False

    def __str__(self) -> str:
        """Return "tau=1" with the window."""
        if self.constant is not None:
            return f"tau={self.value}"
        low, high = ("" if x is None else f"{x:g}" for x in (self.low, self.high))
        return f"tau={self.value} on {self.variable} [{low}, {high}]" + (" at start" if self.at == "start" else "")


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
        varies = kind(self.value) == "torch" and self.value.requires_grad and not vanishes(self.value)
        return self.value**2 if self.value in (0, 1) and not varies else None

    def squared(self, start: Level, end: Level) -> Number:
        """Return tau^2 on the step from `start` to `end`: 1 - e^{-2 tau^2 h} = eta^2 (1 - e^{-2h})."""
        if self.constant is not None:
            return self.constant
        if vanishes(start.alpha) or vanishes(end.sigma):  # the limit of an infinitely long step
            return 0
        h, value = end.log_snr - start.log_snr, _beside(self.value, end)
        return -log1p(value**2 * expm1(-2 * h)) / (2 * h)

    def clock(self, level: Level, squared: Number) -> Number:
        """Return the Brownian time at `level`, e^{2 eta^2 lambda}: eta is what tau tends to as steps get shorter."""
        return 0.0 if vanishes(level.alpha) else exp(2 * _beside(self.value, level) ** 2 * level.log_snr)

    def __str__(self) -> str:
        """Return "eta=1"."""
        return f"eta={self.value}" + " large" * self.large


@dataclass(frozen=True)
class StochasticFormulation(Formulation):
    """A row of the table above; make one with `stochastic`.

    Parameters
    ----------
    base
        The formulation of the probability-flow ODE.
    level
        The noise level, `Tau` or `Eta`.
    """

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
        squared = self.level.squared(start, end)
        if vanishes(end.sigma):
            return self.base.span(start, end, 1 if self.stochastic else order)
        if self.base == DATA_LOG_SNR and vanishes(start.alpha) and not vanishes(start.sigma):
            return self._leaving_alpha_zero(start, end, squared)
        span = self.base.span(start, end, order)
        if vanishes(squared):
            return span
        h, factor = end.log_snr - start.log_snr, 1 + squared
        if kind(h) != "sympy" and h < 0:
            raise ValueError(
                f"formulation {self.name} adds noise on the way to the data, but the step from time {start.time} to "
                f"{end.time} leads to the noise; reverse the grid, or use tau = 0"
            )
        if self.base != DATA_LOG_SNR:
            noise = sqrt(squared) * end.sigma * sqrt(expm1(2 * h))
            scaled = [factor * mu for mu in span.moments]
            return replace(span, moments=scaled, noise=noise, clock=(-(start.rho**2), -(end.rho**2)))
        mu = [end.alpha * factor * x for x in moments(h, -factor, order)]
        noise = (start if self.level.large else end).sigma * sqrt(-expm1(-2 * squared * h))
        clock = self._clock(start, end, squared)
        return Span(span.xi * exp(-squared * h), h, mu, c=-factor, noise=noise, clock=clock)

    def _leaving_alpha_zero(self, start: Level, end: Level, squared: Number) -> Span:
        """Return the limit x_t = sqrt(1 - eta^2) (sigma_t/sigma_s) x_s + alpha_t x_0 + eta sigma_t z."""
        eta = _beside(self.level.value, end) if isinstance(self.level, Eta) else 0 if vanishes(squared) else 1
        xi = end.sigma / start.sigma * sqrt(1 - eta**2)
        clock = None if vanishes(eta) else self._clock(start, end, squared)
        noise = (start if self.level.large else end).sigma * eta
        return Span(xi, 1.0, [end.alpha], infinite=True, c=self.c, noise=noise, clock=clock)

    def _clock(self, start: Level, end: Level, squared: Number) -> tuple[Number, Number]:
        return self.level.clock(start, squared), self.level.clock(end, squared)

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
        The noise level: a number, or a `Tau` with a window. 1 if neither is given.
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
