r"""Networks preconditioned after Karras et al. (2022, arXiv:2206.00364): x = x_0 + sigma eps, the network told c_noise.

The network F sees c_in x with c_in = 1/sqrt(sigma^2 + s^2), s = ``sigma_data``, and c_noise(sigma); the clean estimate
is c_skip x + c_out F (table 1 there). ``scale_model_input`` multiplies with c_in, and the run combines F itself.

- "epsilon" is Karras's F; "v_prediction" its opposite, -F (Stable Audio and Stable Video Diffusion).
- c_noise is log(sigma)/4, or (2/pi) arctan(sigma) with ``c_noise="arctan"`` (Stable Audio, CosineDPMSolverMultistep).
- sigmas run from ``sigma_max`` to ``sigma_min`` by ``sigma_schedule``: "karras" (with ``rho``) or "exponential".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from numdiff import parameterizations
from numdiff.adapters.diffusers import spacing
from numdiff.adapters.diffusers.flow import Opposite
from numdiff.adapters.diffusers.grids import Process
from numdiff.elementary import Number, exp, log
from numdiff.grids.checks import decreasing, numbers
from numdiff.level import Level
from numdiff.methods.checks import choice
from numdiff.schedules import EDM
from numdiff.schedules.base import arctan

SIGMA_SCHEDULES = ("karras", "exponential")
C_NOISES = ("log", "arctan")


@dataclass(frozen=True)
class Preconditioned(EDM):
    """Karras's schedule, with c_noise(sigma) as the network's time.

    Parameters
    ----------
    T, t_end
        Largest and smallest sigma.
    c_noise
        "log": log(sigma)/4. "arctan": (2/pi) arctan(sigma).
    """

    c_noise: str = "log"

    def _model_time(self, t: Number) -> Number:
        if self.c_noise == "arctan":
            return (2 / math.pi) * arctan(t)
        return -math.inf if isinstance(t, float) and t == 0 else 0.25 * log(t)

    def from_model_time(self, m: Number) -> Number:
        """Return the sigma at which the network is told `m`."""
        return math.tan(0.5 * math.pi * m) if self.c_noise == "arctan" else exp(4 * m)


class Karras(Process):
    """Sigmas without a table, and a network behind a preconditioning."""

    scales = True

    def __init__(self, settings: Any, kind: str) -> None:
        super().__init__(settings)
        choice("sigma_schedule", settings.sigma_schedule, SIGMA_SCHEDULES)
        choice("c_noise", settings.c_noise, C_NOISES)
        self.data = float(settings.sigma_data)
        low = 0.002 if settings.sigma_min is None else float(settings.sigma_min)
        high = 80.0 if settings.sigma_max is None else float(settings.sigma_max)
        if not 0 < low < high < math.inf:
            raise ValueError(f"need 0 < sigma_min < sigma_max < inf, got {low} and {high}")
        if kind not in ("epsilon", "v_prediction"):
            raise ValueError(
                f"prediction_type {kind!r} has no meaning behind Karras's preconditioning (sigma_data is set); use "
                "'epsilon' or 'v_prediction'"
            )
        self.low, self.high = low, high
        self.schedule: Preconditioned = Preconditioned(T=high, t_end=low, c_noise=settings.c_noise)
        network = parameterizations.EDM(self.data)
        self.prediction = network if kind == "epsilon" else Opposite(network)

    @property
    def preset(self) -> str | None:
        """Karras's own range has presets."""
        return "edm" if (self.low, self.high) == (0.002, 80.0) else None

    def ends_at_zero(self, settings: Any) -> bool:
        """Whether ``final_sigmas_type`` is "zero" (or None)."""
        return settings.final_sigmas_type in (None, "zero")

    def input_scale(self, level: Level) -> float:
        """Return c_in."""
        return float(1 / math.hypot(level.sigma, self.data * level.alpha))

    def init_noise_sigma(self, settings: Any, level: Level | None) -> float:
        """Return sqrt(sigma_max^2 + 1), as EDMEulerScheduler has it, or with ``init_noise="level"`` sigma_max."""
        return self.high if settings.init_noise == "level" else math.hypot(self.high, 1.0)

    def spaced(self, settings: Any, steps: int, rule: str | None, mu: float | None) -> tuple[Level, ...]:
        """Return the sigmas of ``sigma_schedule``, or of the rule that ``timesteps`` names."""
        if mu is not None:
            raise ValueError("mu shifts the noise levels of flow matching, and this process is not one: drop mu=")
        name = settings.sigma_schedule if rule is None else rule
        options = (settings.rho,) if name == "karras" else ()
        sigma = spacing.RHO_RULES[name](self.high, self.low, steps, *options)
        last = 0.0 if self.ends_at_zero(settings) else self.low
        return self._levels(np.append(sigma, last))

    def levels_of(self, rho: np.ndarray, settings: Any, rule: str = "") -> tuple[Level, ...]:
        """Return levels at falling sigmas."""
        return self._levels(rho)

    def _levels(self, sigma: np.ndarray) -> tuple[Level, ...]:
        c_noise = self.schedule._model_time
        return tuple(Level(s, 1.0, s, float(c_noise(s)), 0.0, 1.0) for s in sigma.tolist())

    def given(self, settings: Any, timesteps: Any, sigmas: Any, mu: float | None) -> tuple[Level, ...]:
        """Return the levels at falling sigmas, the last of which is where the run ends, or at c_noise values.

        Raises
        ------
        ValueError
            For lists that do not fall strictly.
        """
        if timesteps is not None:
            times = numbers(timesteps, "timesteps")
            decreasing(times, "timesteps")
            found = [float(self.schedule.from_model_time(m)) for m in times.tolist()]
            return self._levels(np.append(found, 0.0 if self.ends_at_zero(settings) else self.low))
        values = numbers(sigmas, "sigmas")
        decreasing(values, "sigmas")
        if values[-1] < 0 or len(values) < 2:
            raise ValueError(f"sigmas must be at least two numbers that are not negative, got {values.tolist()}")
        return self._levels(values)

    def at(self, timestep: float) -> tuple[float, float]:
        """Return (1, sigma) where the network is told `timestep`."""
        return 1.0, float(self.schedule.from_model_time(timestep))
