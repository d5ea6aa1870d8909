r"""Formulations: which prediction is interpolated, in which variable, with which kernel.

With y the scaled sample and s the integration variable, the probability-flow ODE reads dX/ds = c X + f for
X = x/kappa, and a step from level s to level t is x_t = xi x_s + kappa_t sum_j omega_j f_j with the weights (*) of
`numdiff.weights`:

    ==================  =====  ========  ========  ===  ================  ========  ====================================
    formulation         f      y         s         c    xi                kappa_t   known as
    ==================  =====  ========  ========  ===  ================  ========  ====================================
    noise, ratio        eps    x/alpha   rho       0    alpha_t/alpha_s   alpha_t   DDIM, PLMS, LMS, rho-AB DEIS
    noise, log-SNR      eps    x/alpha   lambda    +1   alpha_t/alpha_s   -sigma_t  DPM-Solver, log-rho DEIS
    data, log-SNR       x_0    x/sigma   lambda    -1   sigma_t/sigma_s   alpha_t   DPM-Solver++
    data, ratio         x_0    x/sigma   1/rho     0    sigma_t/sigma_s   sigma_t
    velocity, time      dx/dt  x         t         0    1                 1         flow matching; any plain ODE y' = f
    ==================  =====  ========  ========  ===  ================  ========  ====================================

**The ends.** Call a the scale of y (alpha for noise rows, sigma for data rows) and b the other one. Then

- a_s = 0 (noise prediction at alpha = 0, data prediction leaving sigma = 0): x/a does not exist; refused.
- a_t = 0 (data rows arriving at sigma = 0): x_t = b_t f, finite for a constant f only, so order 1.
- b_s = 0: a log-SNR row starts at an infinite node. Its limit is x_t = (a_t/a_s) x_s + b_t f, order 1, and the node
  takes no part in later interpolation. A ratio row starts at s = 0 and needs no limit.
- b_t = 0 (noise rows arriving at sigma = 0): finite at every order. For log-SNR rows kappa_t int_0^h e^{c(h-u)} u^m du
  tends to -a_t (b_s/a_s) m! (times (-1)^m for data rows, where lambda falls).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import factorial, inf

from numdiff._names import suggest
from numdiff.elementary import Number, exp, vanishes
from numdiff.level import Level
from numdiff.parameterizations import coefficients
from numdiff.weights import MAX_ORDER, moments

__all__ = [
    "DATA_LOG_SNR",
    "DATA_RATIO",
    "FORMULATIONS",
    "NOISE_LOG_SNR",
    "NOISE_RATIO",
    "VELOCITY_TIME",
    "Formulation",
    "Span",
    "get",
]

_ATTRIBUTE = {"rho": "rho", "log-snr": "log_snr", "inverse-rho": "inverse_rho", "time": "time"}


@dataclass(frozen=True)
class Span:
    """The geometry of one step: x_t = xi x_s + sum_j w_j f_j with w_j = sum_m l_jm `moments[m]`.

    Parameters
    ----------
    xi
        Factor of the present sample.
    unit
        The length in which nodes and `moments` are measured: the signed step h, or 1 where h is infinite.
    moments
        kappa_t int_0^h e^{c(h-u)} (u/unit)^m du for m = 0, 1, ...; `moments[0]` is the total weight W of f.
    max_order
        How many of the moments are finite: the highest order of a step over this span.
    infinite
        Whether the step is infinitely long in the integration variable.
    c
        Kernel exponent on this step.
    noise
        Standard deviation of the noise that the step adds.
    clock
        The Brownian times between which that noise is the increment, scaled; None where there is none.

    Examples
    --------
    >>> import numdiff as nd
    >>> schedule = nd.schedules.VPLinear()
    >>> start, end = schedule.level(0.5), schedule.level(0.4)
    >>> span = nd.DATA_LOG_SNR.span(start, end, order=2)
    >>> round(span.xi - end.sigma / start.sigma, 12), span.max_order
    (0.0, 2)
    >>> round(span.xi * start.alpha + span.moments[0] - end.alpha, 12)  # constant data predictions are kept exactly
    0.0
    """

    xi: Number
    unit: Number
    moments: Sequence[Number]
    infinite: bool = False
    c: Number = 0
    noise: Number = 0
    clock: tuple[Number, Number] | None = None

    @property
    def max_order(self) -> int:
        """Highest order that this span admits."""
        return len(self.moments)


@dataclass(frozen=True)
class Formulation:
    """What is interpolated, in which variable, with which kernel; compare with ``==``, look up by name with `get`.

    Parameters
    ----------
    name
        "prediction/variable", for example "data/log-snr".
    prediction
        What f is: "noise", "data" or "velocity".
    variable
        The integration variable s: "rho", "log-snr", "inverse-rho" or "time".
    c
        Kernel exponent.

    Examples
    --------
    >>> import numdiff as nd
    >>> for formulation in nd.formulations.FORMULATIONS.values():
    ...     print(f"{formulation.name:15} {formulation.variable:12} c = {formulation.c}")
    noise/ratio     rho          c = 0
    noise/log-snr   log-snr      c = 1
    data/log-snr    log-snr      c = -1
    data/ratio      inverse-rho  c = 0
    velocity/time   time         c = 0

    >>> nd.AdamsBashforth(2, "data/log-snr") == nd.AdamsBashforth(2, nd.DATA_LOG_SNR)
    True
    """

    name: str
    prediction: str
    variable: str
    c: Number

    @property
    def stochastic(self) -> bool:
        """Whether steps add noise; see `numdiff.sde`."""
        return False

    def __str__(self) -> str:
        """Return the name."""
        return self.name

    def node(self, level: Level) -> Number:
        """Return the integration variable s at `level`."""
        return getattr(level, _ATTRIBUTE[self.variable])

    def scales(self, level: Level) -> tuple[Number, Number]:
        """Return (a, b): the scale of the scaled sample y = x/a and the other scale; (1, 1) for a velocity."""
        if self.prediction == "velocity":
            return 1.0, 1.0
        return (level.alpha, level.sigma) if self.prediction == "noise" else (level.sigma, level.alpha)

    def kappa(self, level: Level) -> Number:
        """Return kappa, the scale in which dX/ds = c X + f for X = x/kappa."""
        a, b = self.scales(level)
        if self.c == 0:
            return a
        return b if self.prediction == "data" else -b

    def span(self, start: Level, end: Level, order: int = MAX_ORDER) -> Span:
        """Return the geometry of the step from `start` to `end`, with moments for orders up to `order`.

        Raises
        ------
        ValueError
            If the scaled sample does not exist at `start` (alpha = 0 for noise, sigma = 0 for data),
            or a velocity's step has no end.
        """
        (a_s, b_s), (a_t, b_t) = self.scales(start), self.scales(end)
        if vanishes(a_s):
            raise ValueError(self._no_start(start))
        xi = a_t / a_s
        if vanishes(a_t) or (self.c and vanishes(b_s)):
            return Span(xi, 1.0, [b_t], infinite=True, c=self.c)
        if self.c and vanishes(b_t):
            scale, sign = -a_t * b_s / a_s, 1 if self.prediction == "noise" else -1
            return Span(xi, 1.0, [scale * sign**m * factorial(m) for m in range(order)], infinite=True, c=self.c)
        first, last = self.node(start), self.node(end)
        if abs(first) == inf or abs(last) == inf:
            verb, level = ("start", start) if self.is_finite(end) else ("arrive", end)
            raise ValueError(
                f"formulation {self.name} cannot {verb} at time {level.time}, where the schedule has sigma = 0; "
                'use final="denoise" (the default), or end the grid at a positive sigma'
            )
        kappa = self.kappa(end)
        h = last - first
        return Span(xi, h, [kappa * mu for mu in moments(h, self.c, order)], c=self.c)

    def denoising_span(self, start: Level, end: Level) -> Span:
        """Return the step of order 1 that arrives at sigma = 0 with alpha times the denoised estimate.

        For noise and data that is the step of order 1 itself; a velocity is converted, since x + h dx/dt is the
        denoised estimate on straight lines in t only.
        """
        if self.prediction != "velocity":
            return self.span(start, end, 1)
        p, q = coefficients(start, "velocity", "data")
        return Span(end.alpha * p, 1.0, [end.alpha * q])

    def steady_span(self, h: Number, order: int = MAX_ORDER) -> Span:
        """Return the span of a step of length `h` in X = x/kappa, where equal steps are the same: xi = e^{ch}."""
        return Span(exp(self.c * h) if self.c else 1, h, moments(h, self.c, order), c=self.c)

    def is_finite(self, level: Level) -> bool:
        """Tell whether `level` can be an interpolation node."""
        return not bool(abs(self.node(level)) == inf)

    def _no_start(self, level: Level) -> str:
        zero, remedy = (
            ("alpha", "start at a smaller time, or use formulation data/log-snr, data/ratio or velocity/time")
            if self.prediction == "noise"
            else ("sigma", "start at a larger time, or use formulation noise/ratio or velocity/time")
        )
        return f"formulation {self.name} cannot start at {zero} = 0 (time {level.time}); {remedy}"


#: Noise prediction in sigma/alpha with kernel exponent 0, as DDIM, PLMS, LMS and DEIS's rho-AB have it.
NOISE_RATIO = Formulation("noise/ratio", "noise", "rho", 0)
#: Noise prediction in log-SNR with kernel exponent +1, as DPM-Solver has it.
NOISE_LOG_SNR = Formulation("noise/log-snr", "noise", "log-snr", 1)
#: Data prediction in log-SNR with kernel exponent -1, as DPM-Solver++, UniPC and SA-Solver have it.
DATA_LOG_SNR = Formulation("data/log-snr", "data", "log-snr", -1)
#: Data prediction in alpha/sigma with kernel exponent 0.
DATA_RATIO = Formulation("data/ratio", "data", "inverse-rho", 0)
#: The velocity dx/dt in time, for flow matching and any plain ODE.
VELOCITY_TIME = Formulation("velocity/time", "velocity", "time", 0)

#: The five formulations by name.
FORMULATIONS = {f.name: f for f in (NOISE_RATIO, NOISE_LOG_SNR, DATA_LOG_SNR, DATA_RATIO, VELOCITY_TIME)}


def get(formulation: str | Formulation) -> Formulation:
    """Return the formulation of that name.

    Parameters
    ----------
    formulation
        A key of `FORMULATIONS`, such as "data/log-snr", or a formulation, which is returned as it is.

    Returns
    -------
    Formulation
        The formulation.

    Raises
    ------
    ValueError
        For an unknown name, with the nearest known one.

    Examples
    --------
    >>> import numdiff as nd
    >>> nd.formulations.get("noise/ratio") is nd.NOISE_RATIO
    True
    >>> nd.formulations.get("data/logsnr")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: unknown formulation 'data/logsnr'; did you mean 'data/log-snr'? ...
    """
    if isinstance(formulation, Formulation):
        return formulation
    if formulation not in FORMULATIONS:
        suggest(formulation, FORMULATIONS, "formulation")
    return FORMULATIONS[formulation]
