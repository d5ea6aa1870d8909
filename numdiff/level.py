"""A level: one point of a noise schedule, as data.

At a level the sample is x = alpha x_0 + sigma eps. A level keeps

- ``time``: the clock t of the velocity dx/dt, which the velocity formulation integrates over: the schedule's own
  variable (for flow matching with a shift, the shifted one);
- ``alpha``, ``sigma``: signal and noise scale;
- ``model_time``: what the network is given (a discrete model's step number, say). It is kept apart from
  (alpha, sigma) because published codes round or truncate the one and not the other;
- ``d_alpha``, ``d_sigma``: the derivatives with respect to t, where the schedule has them.

Derived: ``log_snr`` = log(alpha/sigma), the half log signal-to-noise ratio; ``rho`` = sigma/alpha and its inverse
``inverse_rho``. At sigma = 0 they are inf, 0 and inf; at alpha = 0 they are -inf, inf and 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numdiff.elementary import Number, log, vanishes

__all__ = ["Level"]


@dataclass(frozen=True, slots=True)
class Level:
    """One point of a schedule; floats, or 0-d float64 torch tensors where a grid carries gradients.

    Parameters
    ----------
    time
        The clock t.
    alpha, sigma
        Signal and noise scale at t, not both zero.
    model_time
        What the network receives as its time argument.
    d_alpha, d_sigma
        Derivatives with respect to t, or None where the schedule has none.

    Examples
    --------
    >>> import numdiff as nd
    >>> level = nd.schedules.VPLinear().level(0.5)
    >>> level.model_time, round(level.alpha**2 + level.sigma**2, 12)
    (0.5, 1.0)
    >>> round(level.rho, 3), round(level.inverse_rho, 3), round(level.log_snr, 3)
    (3.413, 0.293, -1.228)
    >>> nd.Level(0.0, 1.0, 0.0, 0).log_snr  # the clean end
    inf
    """

    time: Number
    alpha: Number
    sigma: Number
    model_time: Any
    d_alpha: Number | None = None
    d_sigma: Number | None = None

    @classmethod
    def of_time(cls, t: Number) -> Level:
        """Return the level of a plain ODE, which has a time and nothing else (alpha = 1, sigma = 0)."""
        return cls(time=t, alpha=1.0, sigma=0.0, model_time=t)

    @property
    def log_snr(self) -> Number:
        """Half log signal-to-noise ratio lambda = log(alpha/sigma)."""
        return log(self.alpha) - log(self.sigma)

    @property
    def rho(self) -> Number:
        """Noise-to-signal ratio sigma/alpha; inf at alpha = 0."""
        return float("inf") if vanishes(self.alpha) else self.sigma / self.alpha

    @property
    def inverse_rho(self) -> Number:
        """Signal-to-noise ratio alpha/sigma; inf at sigma = 0."""
        return float("inf") if vanishes(self.sigma) else self.alpha / self.sigma
