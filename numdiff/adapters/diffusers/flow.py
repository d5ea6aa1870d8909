r"""Flow matching as SD3, Flux and their like have it: x = (1 - sigma) x_0 + sigma eps, the network told T sigma.

The levels are sigmas in [0, 1], falling. From N evenly spaced ones, or those that a pipeline gives, to the ones in use:

1. shift:    sigma -> s sigma/(1 + (s-1) sigma) (Esser et al. 2024, arXiv:2403.03206, eq. 23); with
             ``use_dynamic_shifting`` s is e^mu ("exponential") or mu ("linear"), and a pipeline gives mu, which grows
             linearly with the number of image tokens from ``base_shift`` to ``max_shift``;
2. stretch:  1 - sigma is scaled so that the last sigma is ``shift_terminal`` (LTX-Video, arXiv:2501.00103);
3. a rule of `numdiff.adapters.diffusers.spacing` between the first and the last, if one is asked for;
4. 0, the clean end.

The evenly spaced ones run from 1 to the shifted 1/T, which is shifted again (as in FlowMatchEulerDiscreteScheduler). In
the conventions "dpmsolver" and "unipc" they are those of DPMSolverMultistepScheduler and UniPCMultistepScheduler with
``use_flow_sigmas``, whose timesteps are cut down to integers. (DEISMultistepScheduler with ``use_flow_sigmas`` stops at
its last sigma before the clean end, 0.3 with eight steps and a shift of 3; here the run goes on to 0.)

Methods that combine noise predictions cannot start at sigma = 1, where x is noise and nothing else; ``sigma_max`` moves
the first level below it, to 0.999 say (UniPCMultistepScheduler takes 1 - 1e-6).

``invert_sigmas`` (Mochi): the network is told T (1 - sigma) and predicts x_0 - eps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from diffusers.utils import logging

from numdiff.adapters.diffusers import spacing
from numdiff.adapters.diffusers.grids import Process
from numdiff.grids.checks import count as positive
from numdiff.grids.checks import decreasing, numbers
from numdiff.level import Level
from numdiff.methods.checks import choice
from numdiff.parameterizations import Prediction
from numdiff.schedules import Flow

logger = logging.get_logger(__name__)

SHIFTS = ("exponential", "linear")
NEAR_ONE = 1e-6
"""How much UniPC's first sigma is moved below 1, where its logarithms are infinite."""


@dataclass(frozen=True)
class Opposite(Prediction):
    """Minus another prediction: x_0 - eps of inverted flows, the "v" of EDM schedulers."""

    base: Prediction

    @property
    def name(self) -> str:
        """The other's name behind a minus."""
        return f"-{self.base.name}"

    def components(self, level: Level) -> tuple[Any, Any]:
        """Return minus the other's (a, b)."""
        a, b = self.base.components(level)
        return -a, -b

    def determinant(self, level: Level) -> Any:
        """Return minus the other's d."""
        return -self.base.determinant(level)


class FlowMatching(Process):
    """Straight lines from data to noise, with a shift that places the levels."""

    def __init__(self, settings: Any, prediction: Prediction) -> None:
        super().__init__(settings)
        self.count = positive(settings.num_train_timesteps, "num_train_timesteps")
        self.schedule: Flow = Flow(time_scale=float(self.count))
        self.prediction = Opposite(prediction) if settings.invert_sigmas else prediction
        self.convention = spacing.convention(settings.convention)
        choice("time_shift_type", settings.time_shift_type, SHIFTS)
        if not settings.shift > 0:
            raise ValueError(f"shift must be positive, got {settings.shift}")
        if settings.shift_terminal is not None and not 0 <= settings.shift_terminal < 1:
            raise ValueError(f"shift_terminal must lie in [0, 1), got {settings.shift_terminal}")
        spacing.rule_name(settings)

    @property
    def preset(self) -> str | None:
        """The presets' family for shifts of 1 and 3; the shift places the levels that a search starts from."""
        return "flow"

    def sigma(self, level: Level) -> float:
        """Return sigma, or 1 - sigma where they are inverted."""
        return float(1 - level.sigma if self.settings.invert_sigmas else level.sigma)

    def spaced(self, settings: Any, steps: int, rule: str | None, mu: float | None) -> tuple[Level, ...]:
        """Return the levels of evenly spaced sigmas, shifted, stretched and perhaps put in order by a rule in rho."""
        if settings.timesteps in spacing.SPACINGS and settings.timesteps != "linspace":
            raise ValueError(
                f"timesteps={settings.timesteps!r} names entries of a table, and flow matching has none; use None, or "
                f"one of {', '.join(spacing.RHO_RULES)}"
            )
        solver = self.convention.extra > 0
        if settings.convention == "unipc":
            evenly = np.linspace(1, 1 / self.count, steps + 1)[:-1]
        elif solver:
            evenly = (1 - np.linspace(1, 1 / self.count, steps + 1))[::-1][:-1]
        else:
            low = (
                1 / self.count if settings.use_dynamic_shifting else self._static(settings, np.array([1 / self.count]))
            )
            evenly = np.linspace(1.0, float(np.squeeze(low)), steps)
        return self._finished(settings, self.shifted(settings, evenly, mu), rule, "flow" if solver else "")

    def rest(self, settings: Any) -> tuple[Level, ...]:
        """Return the levels of all timesteps, shifted where the shift does not depend on the image."""
        sigma = np.arange(self.count, 0, -1) / self.count
        sigma = sigma if settings.use_dynamic_shifting else self._static(settings, sigma)
        return (*self._levels(settings, sigma, ""), self.schedule.level(0.0))

    def shifted(self, settings: Any, sigma: np.ndarray, mu: float | None) -> np.ndarray:
        """Return sigmas after steps 1 and 2 of the module's text.

        Raises
        ------
        ValueError
            If the shift is dynamic and mu is not given, or the other way round.
        """
        if settings.use_dynamic_shifting != (mu is not None):
            raise ValueError(
                "use_dynamic_shifting needs mu=, which set_timesteps takes and pipelines work out from the image's size"
                if mu is None
                else f"mu = {mu} is given, but use_dynamic_shifting is False; drop mu=, or set shift"
            )
        if mu is None:
            sigma = self._static(settings, sigma)
        else:
            scale = math.exp(mu) if settings.time_shift_type == "exponential" else mu
            with np.errstate(divide="ignore"):
                sigma = scale / (scale + (1 / sigma - 1))
        if settings.shift_terminal:
            if len(sigma) < 2:
                raise ValueError(
                    f"shift_terminal = {settings.shift_terminal} puts the last sigma there and keeps the first at 1, "
                    "which takes at least 2 steps, got 1"
                )
            rest = 1 - sigma
            sigma = 1 - rest * ((1 - settings.shift_terminal) / rest[-1])
        return sigma

    @staticmethod
    def _static(settings: Any, sigma: np.ndarray) -> np.ndarray:
        return np.asarray(settings.shift * sigma / (1 + (settings.shift - 1) * sigma))

    def _finished(self, settings: Any, sigma: np.ndarray, rule: str | None, times: str) -> tuple[Level, ...]:
        if rule is not None:
            high = float(sigma[0]) if settings.sigma_max is None else settings.sigma_max
            low = float(sigma[-1]) if settings.sigma_min is None else settings.sigma_min
            options = (settings.rho,) if rule == "karras" else ()
            sigma = spacing.RHO_RULES[rule](high, low, len(sigma), *options)
        elif settings.sigma_max is not None and sigma[0] > settings.sigma_max:
            if len(sigma) > 1 and sigma[1] >= settings.sigma_max:
                raise ValueError(
                    f"sigma_max = {settings.sigma_max} moves the first sigma to or below the second, {sigma[1]:g}; "
                    "take fewer steps or a sigma_max nearer to 1"
                )
            sigma = np.concatenate([[float(settings.sigma_max)], sigma[1:]])
        decreasing(sigma, "sigmas")
        if settings.convention == "unipc" and sigma[0] > 1 - NEAR_ONE:
            sigma = np.concatenate([[sigma[0] - NEAR_ONE], sigma[1:]])
        levels = self._levels(settings, sigma, times)
        return (*levels, self.schedule.level(0.0)) if sigma[-1] > 0 else levels

    def _levels(self, settings: Any, sigma: np.ndarray, rule: str) -> tuple[Level, ...]:
        if not (sigma[0] <= 1 and sigma[-1] >= 0):
            raise ValueError(f"sigmas of flow matching must lie in [0, 1], got {sigma[0]:g} ... {sigma[-1]:g}")
        times = self.count * (1 - sigma if settings.invert_sigmas else sigma)
        rounding = settings.timestep_rounding
        default = dict(self.convention.rounding).get(rule, "none")
        times = spacing.rounded(times, default if rounding is None else rounding)
        pairs = zip(sigma.tolist(), times.tolist(), strict=True)
        return tuple(Level(s, 1 - s, s, t, -1.0, 1.0) for s, t in pairs)

    def levels_of(self, rho: np.ndarray, settings: Any, rule: str = "") -> tuple[Level, ...]:
        """Return levels at rho = sigma/(1 - sigma), inf at sigma = 1."""
        with np.errstate(divide="ignore"):
            return self._levels(settings, 1 / (1 + 1 / rho), rule)

    def given(self, settings: Any, timesteps: Any, sigmas: Any, mu: float | None) -> tuple[Level, ...]:
        """Return the levels of sigmas, to which the shift is applied.

        Timesteps without sigmas are T sigma. The network is told them as they are, and the sample has their shifted
        sigmas, as FlowMatchEulerDiscreteScheduler has it, which warns that the two may not belong together. With both,
        the sigmas are shifted too, and the network is told the timesteps (CogView4).

        Raises
        ------
        ValueError
            For lists that do not fall strictly, leave the range or differ in length.
        """
        told = None if timesteps is None else numbers(timesteps, "timesteps")
        if sigmas is None:
            sigmas = self._sigmas_told(settings, told)
        values = numbers(sigmas, "sigmas")
        decreasing(values, "sigmas")
        clean = bool(values[-1] == 0)
        if told is not None and len(told) != len(values):
            raise ValueError(f"timesteps and sigmas must be as many, got {len(told)} and {len(values)}")
        values = self.shifted(settings, values[:-1] if clean else values, mu)
        rule = "flow" if self.convention.extra else ""
        levels = self._finished(settings, values, spacing.rule_name(settings), rule)
        if told is None:
            return levels
        return tuple(replace(level, model_time=t) for level, t in zip(levels, (*told.tolist(), 0.0), strict=False))

    def _sigmas_told(self, settings: Any, told: np.ndarray | None) -> np.ndarray:
        """Return the sigmas, before they are shifted, of which the network is told."""
        sigma = np.asarray(told) / self.count
        decreasing(1 - sigma if settings.invert_sigmas else sigma, "timesteps / num_train_timesteps")
        if settings.shift != 1 or settings.use_dynamic_shifting or settings.shift_terminal:
            logger.warning(
                "timesteps= without sigmas=: the network is told the timesteps as they are, but the noise levels are "
                "those of timesteps / num_train_timesteps after the shift; pass sigmas= for levels and timesteps that "
                "belong together."
            )
        return 1 - sigma if settings.invert_sigmas else sigma

    def named(self, settings: Any, steps: int, name: str) -> tuple[Level, ...]:
        """Return a grid of `numdiff.grids` from sigma = 1 - 1/T, where the log-SNR is finite, and then 0."""
        from numdiff.adapters.diffusers.grids import NAMED

        ends: dict[str, Any] = {"t_start": 1 - 1 / self.count, "t_end": 1 / self.count, "final_zero": True}
        times = NAMED[name](self.schedule, steps, **ends)
        return tuple(self._levels(settings, np.asarray(times, dtype=float), ""))

    def at(self, timestep: float) -> tuple[float, float]:
        """Return (1 - sigma, sigma) where the network is told `timestep`."""
        sigma = timestep / self.count
        sigma = 1 - sigma if self.settings.invert_sigmas else sigma
        return 1 - sigma, sigma
