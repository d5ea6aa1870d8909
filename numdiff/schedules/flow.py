"""Flow matching: straight lines between data and noise, x = (1 - t') x_0 + t' eps.

A shift s moves the levels towards noise, t' = s t/(1 + (s-1) t), so that lambda = log((1-t')/t') becomes that of shift
1 minus log s (Esser et al. 2024, arXiv:2403.03206). The paths and the velocity eps - x_0 along them stay what they are,
which is why a level's clock is t' and not t.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from numdiff.elementary import Number, exp, log
from numdiff.level import Level
from numdiff.schedules.base import scalar
from numdiff.schedules.continuous import Continuous

__all__ = ["Flow"]


@dataclass(frozen=True)
class Flow(Continuous):
    """Flow matching on straight lines, x = (1 - t') x_0 + t' eps with the shifted time t' = s t/(1 + (s-1) t).

    Parameters
    ----------
    shift
        s > 0; values above 1 spend more of [0, 1] at high noise. lambda is that of shift 1, minus log s.
    t_end
        Default last time of a sampling grid.
    time_scale
        The network is given ``time_scale * t'``, the shifted time, which is sigma.

    Raises
    ------
    ValueError
        If a parameter is not positive and finite, or `t_end` is not in [0, 1) or has an infinite log-SNR.

    Notes
    -----
    alpha = 0 at t = 1, where lambda = -inf. The shift places the levels and does not change the flow: a `Level` has the
    clock t' with dx/dt' = eps - x_0, which is what networks predict and what "velocity" means in a run. `d_alpha` and
    `d_sigma` are derivatives with respect to the t that they are given.

    Examples
    --------
    >>> import numdiff as nd
    >>> for shift in (1.0, 3.0):
    ...     schedule = nd.schedules.Flow(shift)
    ...     print(schedule.alpha(0.5), schedule.sigma(0.5), round(schedule.log_snr(0.5), 4))
    0.5 0.5 0.0
    0.25 0.75 -1.0986
    """

    shift: float = 1.0
    t_end: float = 1e-3
    time_scale: float = 1.0

    name = "flow"
    T = 1.0

    def __post_init__(self) -> None:
        """Refuse parameters that make no schedule."""
        self._validate("shift")

    @property
    def is_flow(self) -> bool:
        """True."""
        return True

    def level(self, t: Number) -> Level:
        """Return the level at the one time `t`, with the shifted time t' as its clock."""
        return replace(super().level(t), time=self.sigma(scalar(t, "t")), d_alpha=-1.0, d_sigma=1.0)

    def level_at(self, clock: Number) -> Level:
        """Return the level whose clock is t' = `clock`."""
        return self.level(self._unshifted(clock))

    def from_model_time(self, m: Number) -> Number:
        """Return the time t at which the network is given `m` = time_scale t'."""
        return self._unshifted(super().from_model_time(m))

    def _unshifted(self, shifted: Number) -> Number:
        return shifted / (self.shift * (1 - shifted) + shifted)

    def _model_time(self, t: Number) -> Number:
        return self.time_scale * self._sigma(t)

    def _denominator(self, t: Number) -> Number:
        return (1 - t) + self.shift * t  # exactly 1 and s at the ends, so that sigma(1) = 1

    def _alpha(self, t: Number) -> Number:
        return (1 - t) / self._denominator(t)

    def _sigma(self, t: Number) -> Number:
        return self.shift * t / self._denominator(t)

    def _log_snr(self, t: Number) -> Number:
        return log(1 - t) - log(t) - math.log(self.shift)

    def _time(self, log_snr: Number) -> Number:
        return 1 / (1 + self.shift * exp(log_snr))

    def _d_alpha(self, t: Number) -> Number:
        return -self._d_sigma(t)

    def _d_sigma(self, t: Number) -> Number:
        return self.shift / self._denominator(t) ** 2
