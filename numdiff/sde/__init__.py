r"""Stochastic formulations: the reverse diffusion with a chosen amount of noise, as one more kernel of formula (*).

The variance-controlled diffusion SDE has the marginals of the probability-flow ODE for every noise level tau(t) >= 0;
tau = 0 is that ODE and tau = 1 the reverse diffusion. With tau constant on a step of length h in log-SNR it is linear
but for the prediction f, and its exact solution is that of the ODE with another kernel, plus one Gaussian:

    ==============  ==========  ==============================  ===================  ==============================
    formulation     c           xi                              factor of weights    standard deviation of the noise
    ==============  ==========  ==============================  ===================  ==============================
    data, log-SNR   -(1+tau^2)  (sigma_t/sigma_s) e^{-tau^2 h}  alpha_t (1+tau^2)    sigma_t sqrt(1 - e^{-2 tau^2 h})
    noise, log-SNR  +1          alpha_t/alpha_s                 -sigma_t (1+tau^2)   sigma_t tau sqrt(e^{2h} - 1)
    noise, ratio    0           alpha_t/alpha_s                 alpha_t (1+tau^2)    alpha_t tau sqrt(rho_s^2 - rho_t^2)
    ==============  ==========  ==============================  ===================  ==============================

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

from dataclasses import dataclass, field
from typing import Any

from numdiff.elementary import Number, exp, expm1, kind, sqrt, vanishes
from numdiff.formulations import DATA_LOG_SNR, NOISE_LOG_SNR, NOISE_RATIO, Formulation, Span, get
from numdiff.level import Level
from numdiff.sde.levels import Eta, Tau, beside
from numdiff.weights import MAX_ORDER, moments

__all__ = ["Eta", "StochasticFormulation", "Tau", "stochastic"]


@dataclass(frozen=True)
class StochasticFormulation(Formulation):
    """The probability-flow ODE `base` with a noise level; make one with `stochastic`.

    Parameters
    ----------
    name, prediction, variable, c
        As in ``Formulation``; c is -(1 + tau^2) for data where tau is constant.
    base
        The formulation of the probability-flow ODE.
    level
        The noise level, a `Tau` or an `Eta`.

    Examples
    --------
    >>> import numdiff as nd
    >>> formulation = nd.stochastic("data/log-snr", tau=1)
    >>> print(formulation, formulation.c, formulation.weak_order)
    data/log-snr tau=1 -2 2
    >>> schedule = nd.schedules.VPLinear()
    >>> span = formulation.span(schedule.level(0.5), schedule.level(0.4), order=1)
    >>> round(span.noise, 3)  # the standard deviation of what the step adds
    0.721
    """

    name: str = field(compare=False)  # a noise level of 1 and one of 1.0 are equal and print differently
    base: Formulation
    level: Tau | Eta

    @property
    def stochastic(self) -> bool:
        """Whether steps add noise, which they do not where the level is 0 throughout."""
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
        eta = beside(self.level.value, end) if isinstance(self.level, Eta) else 0 if vanishes(squared) else 1
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

    Examples
    --------
    >>> import numdiff as nd
    >>> nd.AdamsBashforth(2, nd.stochastic("data/log-snr", tau=1)) == nd.SDEDPMSolverPP(2)
    True
    >>> nd.stochastic("data/log-snr", tau=0) is nd.DATA_LOG_SNR
    True
    >>> nd.PredictorCorrector(2, nd.stochastic(tau=0.5)).weak_order
    2
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
