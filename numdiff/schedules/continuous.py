r"""Schedules given by a formula; t runs from 0 (data) to T (noise) and lambda = log(alpha/sigma).

========== ================================================= ==================================== ====================
schedule   alpha, sigma                                      inverse t(lambda)                    reference
========== ================================================= ==================================== ====================
VPLinear   log alpha = -t^2 D/4 - t b/2, sigma^2=1-alpha^2   L = log(1+e^(-2 lambda)),            Song 2021, eq. 32
                                                             t = 2L / (b + sqrt(b^2 + 2 D L))
SubVP      alpha as VPLinear, sigma = 1 - alpha^2            L = 2 asinh(e^(-lambda)/2), then     Song 2021, eq. 29
                                                             as VPLinear
Cosine     alpha = cos(theta)/cos(theta_0), sigma^2 =        tan(theta - theta_0), below          Nichol 2021, eq. 17
           1-alpha^2, theta = (pi/2) (t+s)/(1+s)
VE         alpha = 1, sigma = m (M/m)^t                      log(e^(-lambda)/m)/log(M/m)          Song 2021, eq. 30
EDM        alpha = 1, sigma = t                              e^(-lambda)                          Karras 2022, table 1
Flow       alpha = 1-t', sigma = t',                         1/(1 + s e^lambda)                   Lipman 2023; Esser
           t' = s t/(1 + (s-1) t)                                                                 2024, eq. 23
========== ================================================= ==================================== ====================

(Song: arXiv:2011.13456; Nichol: 2102.09672; Karras: 2206.00364; Lipman: 2210.02747; Esser: 2403.03206.)

VPLinear: beta(t) is linear from b = beta_min to beta_max over [0, T], D = (beta_max - beta_min)/T, L = -2 log alpha.
SubVP: sigma = rho alpha and sigma = 1 - alpha^2 give rho/2 = (1/alpha - alpha)/2 = sinh(-log alpha).
Cosine: with d = theta - theta_0 = (pi/2) t/(1+s),
sigma^2 cos^2(theta_0) = cos^2(theta_0) - cos^2(theta) = sin(d) sin(theta + theta_0), which does not cancel near t = 0,
and alpha = sin((pi/2) (1-t)/(1+s))/cos(theta_0), which is exactly 0 at t = 1. The inverse: with S = sin(theta) =
sqrt(sin^2(theta_0) + sigma^2 cos^2(theta_0)), sin(d) = sigma^2 cos(theta_0)/(S + alpha sin(theta_0)) and
cos(d) = alpha cos^2(theta_0) + S sin(theta_0).
Flow: the shift moves log-SNR, lambda -> lambda - log s.

Time of the network. ``time_scale * t``, but for two: EDM gives ``time_scale * sigma`` (its t is sigma), and Flow gives
``time_scale * t'`` with the shifted t' = sigma, because a network knows the noise level and not the grid's clock.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from numdiff.elementary import Number, exp, expm1, log, log1p, sin, sqrt
from numdiff.schedules.base import (
    Schedule,
    arctan,
    clamp,
    from_log_alpha,
    log_alpha_of,
    positive,
    ratio,
    real,
    within,
)

__all__ = ["EDM", "VE", "Cosine", "SubVP", "VPLinear"]


class Continuous(Schedule):
    """A schedule given by a formula, whose network is given a multiple of the time."""

    time_scale: float

    def _validate(self, *positive_fields: str) -> None:
        for field in (*positive_fields, "T", "time_scale"):
            positive(getattr(self, field), field)
        if not 0 <= self.t_end < self.T:
            raise ValueError(f"t_end must lie in [0, T) = [0, {self.T}), not {self.t_end!r}")
        if math.isinf(self._log_snr(float(self.t_end))):
            raise ValueError(f"t_end = {self.t_end} has infinite log-SNR; choose t_end > 0")

    def from_model_time(self, m: Number) -> Number:
        """Return the time t at which the network is given `m`."""
        m = within(real(m, "model time"), 0.0, self.time_scale * self.T, "model time")
        return clamp(m / self.time_scale, 0.0, self.T)

    def _model_time(self, t: Number) -> Number:
        return self.time_scale * t


class _LinearBeta(Continuous):
    """The alpha that VPLinear and SubVP share."""

    beta_min: float
    beta_max: float

    def __post_init__(self) -> None:
        """Refuse parameters that make no schedule."""
        self._validate("beta_min", "beta_max")

    @property
    def _slope(self) -> float:
        return (self.beta_max - self.beta_min) / self.T

    def _log_alpha(self, t: Number) -> Number:
        return -t * (0.25 * self._slope * t + 0.5 * self.beta_min)

    def _time_of_log_alpha(self, log_alpha: Number) -> Number:
        doubled = -2 * log_alpha
        return 2 * doubled / (self.beta_min + sqrt(self.beta_min**2 + 2 * self._slope * doubled))

    def _alpha(self, t: Number) -> Number:
        return exp(self._log_alpha(t))

    def _d_alpha(self, t: Number) -> Number:
        return -0.5 * (self.beta_min + self._slope * t) * self._alpha(t)


@dataclass(frozen=True)
class VPLinear(_LinearBeta):
    """Variance-preserving diffusion with beta(t) linear from beta_min at t = 0 to beta_max at t = T.

    Parameters
    ----------
    beta_min, beta_max
        Noise rates per unit of time, positive.
    T
        Largest time.
    t_end
        Default last time of a sampling grid.
    time_scale
        The network is given ``time_scale * t``.

    Raises
    ------
    ValueError
        If a parameter is not positive and finite, or `t_end` is not in [0, T) or has an infinite log-SNR.

    Notes
    -----
    sigma ~ sqrt(beta_min t) near t = 0, so `d_sigma` is +inf at t = 0.

    Examples
    --------
    >>> import numdiff as nd
    >>> schedule = nd.schedules.VPLinear()
    >>> for t in (0.0, 0.5, 1.0):
    ...     print(round(schedule.alpha(t), 4), round(schedule.sigma(t), 4), round(schedule.log_snr(t), 2))
    1.0 0.0 inf
    0.2812 0.9597 -1.23
    0.0066 1.0 -5.02
    """

    beta_min: float = 0.1
    beta_max: float = 20.0
    T: float = 1.0
    t_end: float = 1e-3
    time_scale: float = 1.0

    name = "vp-linear"

    def _sigma(self, t: Number) -> Number:
        return from_log_alpha(self._log_alpha(t))

    def _log_snr(self, t: Number) -> Number:
        log_alpha = self._log_alpha(t)
        return log_alpha - 0.5 * log(-expm1(2 * log_alpha))

    def _time(self, log_snr: Number) -> Number:
        return self._time_of_log_alpha(log_alpha_of(log_snr))

    def _d_sigma(self, t: Number) -> Number:
        return ratio(-self._alpha(t) * self._d_alpha(t), self._sigma(t))


@dataclass(frozen=True)
class SubVP(_LinearBeta):
    """The sub-variance-preserving schedule: alpha as in `VPLinear`, sigma = 1 - alpha^2.

    Parameters
    ----------
    beta_min, beta_max, T, t_end, time_scale
        As in `VPLinear`.

    Raises
    ------
    ValueError
        As `VPLinear`.

    Examples
    --------
    >>> import numdiff as nd
    >>> schedule = nd.schedules.SubVP()
    >>> round(schedule.sigma(0.5) - (1 - schedule.alpha(0.5) ** 2), 12)
    0.0
    """

    beta_min: float = 0.1
    beta_max: float = 20.0
    T: float = 1.0
    t_end: float = 1e-3
    time_scale: float = 1.0

    name = "sub-vp"

    def _sigma(self, t: Number) -> Number:
        return -expm1(2 * self._log_alpha(t))

    def _log_snr(self, t: Number) -> Number:
        log_alpha = self._log_alpha(t)
        return log_alpha - log(-expm1(2 * log_alpha))

    def _time(self, log_snr: Number) -> Number:
        half = 0.5 * exp(-log_snr)
        square = half * half
        return self._time_of_log_alpha(-log1p(half + square / (1 + sqrt(1 + square))))  # -asinh(half)

    def _d_sigma(self, t: Number) -> Number:
        return -2 * self._alpha(t) * self._d_alpha(t)


@dataclass(frozen=True)
class Cosine(Continuous):
    """The cosine schedule in continuous time, alpha = cos(theta)/cos(theta_0).

    Parameters
    ----------
    s
        Offset that keeps the first noise levels from being too small, positive.
    T
        Largest time, at most 1; 0.9946 keeps the 1000-step table's beta <= 0.999, and T = 1 has alpha = 0 (zero
        terminal SNR).
    t_end
        Default last time of a sampling grid.
    time_scale
        The network is given ``time_scale * t``.

    Raises
    ------
    ValueError
        If a parameter is not positive and finite, `t_end` is not in [0, T) or has an infinite log-SNR, or T is above 1.

    Notes
    -----
    `d_sigma` is +inf at t = 0.

    Examples
    --------
    >>> import numdiff as nd
    >>> schedule = nd.schedules.Cosine()
    >>> [round(schedule.log_snr(t), 2) for t in (0.001, 0.25, 0.5, 0.75)]
    [5.05, 0.86, -0.01, -0.89]
    >>> nd.schedules.Cosine(T=1.0).alpha(1.0)  # zero terminal SNR
    0.0
    """

    s: float = 0.008
    T: float = 0.9946
    t_end: float = 1e-3
    time_scale: float = 1.0

    name = "cosine"

    def __post_init__(self) -> None:
        """Refuse parameters that make no schedule."""
        self._validate("s")
        if self.T > 1:
            raise ValueError(f"T must be at most 1 (alpha = 0 there), not {self.T!r}")

    @property
    def _rate(self) -> float:
        return 0.5 * math.pi / (1 + self.s)

    @property
    def _theta_0(self) -> float:
        return self.s * self._rate

    def _alpha(self, t: Number) -> Number:
        return sin(self._rate * (1 - t)) / math.cos(self._theta_0)

    def _sigma(self, t: Number) -> Number:
        angle = self._rate * t
        return sqrt(sin(angle) * sin(angle + 2 * self._theta_0)) / math.cos(self._theta_0)

    def _time(self, log_snr: Number) -> Number:
        sin_0, cos_0 = math.sin(self._theta_0), math.cos(self._theta_0)
        alpha = 1 / sqrt(1 + exp(-2 * log_snr))
        variance = 1 / (1 + exp(2 * log_snr))
        sin_theta = sqrt(sin_0**2 + variance * cos_0**2)
        sin_d = variance * cos_0 / (sin_theta + alpha * sin_0)
        return arctan(sin_d / (alpha * cos_0**2 + sin_theta * sin_0)) / self._rate

    def _d_alpha(self, t: Number) -> Number:
        return -self._rate * sin(self._rate * t + self._theta_0) / math.cos(self._theta_0)

    def _d_sigma(self, t: Number) -> Number:
        return ratio(-self._alpha(t) * self._d_alpha(t), self._sigma(t))


@dataclass(frozen=True)
class VE(Continuous):
    """The variance-exploding schedule: alpha = 1, sigma geometric from sigma_min at t = 0 to sigma_max at t = 1.

    Parameters
    ----------
    sigma_min, sigma_max
        Noise scales at the ends, 0 < sigma_min < sigma_max.
    t_end
        Default last time of a sampling grid; the schedule never reaches sigma = 0, see ``final_zero`` of the grids.
    time_scale
        The network is given ``time_scale * t``.

    Raises
    ------
    ValueError
        If a parameter is not positive and finite, or `sigma_min` is not below `sigma_max`.

    Examples
    --------
    >>> import numdiff as nd
    >>> [round(nd.schedules.VE().sigma(t), 4) for t in (0.0, 0.5, 1.0)]
    [0.01, 0.7071, 50.0]
    """

    sigma_min: float = 0.01
    sigma_max: float = 50.0
    t_end: float = 0.0
    time_scale: float = 1.0

    name = "ve"
    T = 1.0

    def __post_init__(self) -> None:
        """Refuse parameters that make no schedule."""
        self._validate("sigma_min", "sigma_max")
        if not self.sigma_min < self.sigma_max:
            raise ValueError(f"sigma_min = {self.sigma_min} must be below sigma_max = {self.sigma_max}")

    @property
    def _log_ratio(self) -> float:
        return math.log(self.sigma_max) - math.log(self.sigma_min)

    def _alpha(self, t: Number) -> Number:
        return 1.0 + 0.0 * t

    def _sigma(self, t: Number) -> Number:
        return self.sigma_min * exp(self._log_ratio * t)

    def _log_snr(self, t: Number) -> Number:
        return -math.log(self.sigma_min) - self._log_ratio * t

    def _time(self, log_snr: Number) -> Number:
        return -(log_snr + math.log(self.sigma_min)) / self._log_ratio

    def _d_alpha(self, t: Number) -> Number:
        return 0.0 * t

    def _d_sigma(self, t: Number) -> Number:
        return self._log_ratio * self._sigma(t)


@dataclass(frozen=True)
class EDM(Continuous):
    """The schedule of Karras et al.: alpha = 1 and sigma = t.

    Parameters
    ----------
    T
        Largest noise scale.
    t_end
        Smallest noise scale before the clean end.
    time_scale
        The network is given ``time_scale * sigma``; a network that wants log(sigma)/4 takes the logarithm itself.

    Raises
    ------
    ValueError
        If a parameter is not positive and finite, or `t_end` is not in [0, T) or has an infinite log-SNR.

    Examples
    --------
    >>> import numdiff as nd
    >>> schedule = nd.schedules.EDM()
    >>> schedule.sigma(2.0), schedule.rho(2.0), round(schedule.time(-0.5), 4)
    (2.0, 2.0, 1.6487)
    """

    T: float = 80.0
    t_end: float = 0.002
    time_scale: float = 1.0

    name = "edm"

    def __post_init__(self) -> None:
        """Refuse parameters that make no schedule."""
        self._validate()

    def _alpha(self, t: Number) -> Number:
        return 1.0 + 0.0 * t

    def _sigma(self, t: Number) -> Number:
        return t

    def _log_snr(self, t: Number) -> Number:
        return -log(t)

    def _time(self, log_snr: Number) -> Number:
        return exp(-log_snr)

    def _d_alpha(self, t: Number) -> Number:
        return 0.0 * t

    def _d_sigma(self, t: Number) -> Number:
        return 1.0 + 0.0 * t
