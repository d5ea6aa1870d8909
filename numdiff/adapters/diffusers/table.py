"""Diffusion on a table of noise levels: DDPM's, Stable Diffusion's and their like, in the sample x_t itself.

A scheduler in sigma/alpha (Euler, Heun) works on x_t/alpha, which it multiplies with alpha for the network in
``scale_model_input``. Here the sample stays x_t: nothing is scaled, and the same latents come out at the end, where
alpha = 1; with ``final_sigmas_type="sigma_min"`` theirs is x/alpha and ours x, 4e-4 less at the first entry of Stable
Diffusion's table. What such a scheduler starts from is its first sigma times noise, alpha times which is sigma_t:
slightly less than the 1 of the others. ``init_noise="level"`` says so; `from_config` sets it for their configurations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

import numdiff.grids
from numdiff.adapters.diffusers import spacing, tables
from numdiff.adapters.diffusers.grids import Process
from numdiff.grids.checks import decreasing, numbers
from numdiff.level import Level
from numdiff.methods.checks import choice
from numdiff.schedules import Discrete

BEYOND = 1e-3
"""How far, relative, a sigma may lie beyond the table: published lists are rounded; the network is told the end."""

INIT_NOISES = ("unit", "level")
FINALS = (None, "zero", "sigma_min")


class Table(Process):
    """A table of noise levels, which the network knows by its entries 0 ... N - 1."""

    def __init__(self, settings: Any, prediction: Any) -> None:
        super().__init__(settings)
        self.convention = spacing.convention(settings.convention)
        self.schedule: Discrete = tables.schedule(settings, self.convention.floor)
        self.prediction = prediction
        choice("final_sigmas_type", settings.final_sigmas_type, FINALS)
        choice("init_noise", settings.init_noise, INIT_NOISES)
        spacing.rule_name(settings)
        for name, default in (("shift", 1), ("use_dynamic_shifting", False), ("shift_terminal", None)):
            if getattr(settings, name) != default:
                raise ValueError(
                    f"{name} = {getattr(settings, name)!r} places the noise levels of flow matching, and this is a "
                    "table of noise levels; leave it out, or set prediction_type='flow_prediction'"
                )

    @cached_property
    def rho(self) -> np.ndarray:
        """The table's sigma/alpha, rising."""
        return spacing.table_rho(self.schedule.alphas_cumprod)

    @property
    def preset(self) -> str | None:
        """Stable Diffusion's, if this is its table."""
        known = Discrete.stable_diffusion(self.schedule.N).alphas_cumprod
        same = self.schedule.N == 1000 and np.allclose(known, self.schedule.alphas_cumprod, rtol=1e-5, atol=0)
        return "stable-diffusion" if same else None

    def table(self) -> Sequence[float]:
        """Return abar of the entries."""
        return self.schedule.alphas_cumprod

    def ends_at_zero(self, settings: Any) -> bool:
        """Whether ``final_sigmas_type``, or ``set_alpha_to_one`` where that is None, ends the run at sigma = 0."""
        if settings.final_sigmas_type is None:
            return bool(settings.set_alpha_to_one)
        return bool(settings.final_sigmas_type == "zero")

    def init_noise_sigma(self, settings: Any, level: Level | None) -> float:
        """Return 1, or with ``init_noise="level"`` sigma_t of the first level."""
        if settings.init_noise == "unit" or settings.timestep_spacing == "leading":
            return 1.0
        return float(self.schedule.sigma(1.0) if level is None else level.sigma)

    def spaced(self, settings: Any, steps: int, rule: str | None, mu: float | None) -> tuple[Level, ...]:
        """Return entries of the table, or levels of a rule in rho, and the last level after them."""
        _no_mu(mu)
        if rule is None:
            return self._at_times(settings, self._entries(settings, steps), "")
        if self.convention.table_ends:
            ends = self.rho[[-1, 0]]
        else:
            ends = np.interp(self._entries(settings, steps)[[0, -1]], np.arange(self.schedule.N), self.rho)
        high = ends[0] if settings.sigma_max is None or rule == "lu" else settings.sigma_max
        low = ends[1] if settings.sigma_min is None or rule == "lu" else settings.sigma_min
        if not 0 < low < high < math.inf:
            raise ValueError(
                f"the {rule} rule needs 0 < sigma_min < sigma_max < inf, got {low} and {high}; a table whose last "
                "alpha is 0 needs sigma_max="
            )
        options = (settings.rho,) if rule == "karras" else ()
        return self._finished(settings, spacing.RHO_RULES[rule](high, low, steps, *options), rule)

    def _entries(self, settings: Any, steps: int) -> np.ndarray:
        name = settings.timesteps if settings.timesteps in spacing.SPACINGS else settings.timestep_spacing
        last = None
        if settings.lambda_min_clipped is not None and settings.lambda_min_clipped > -math.inf:
            last = int(np.count_nonzero(-np.log(self.rho) >= settings.lambda_min_clipped))
        return spacing.entries(self.schedule.N, steps, name, settings.steps_offset, self.convention, last)

    def _at_times(self, settings: Any, times: np.ndarray, rule: str) -> tuple[Level, ...]:
        """Return levels at times of the table; between entries rho is linear."""
        if (times == np.round(times)).all():
            level = self.schedule.level
            found = [level(t) for t in self.schedule.from_model_time(times).tolist()]
            return (*found, self._last(settings))
        rho = np.interp(times, np.arange(self.schedule.N), self.rho)
        return (*self._levels(rho, times), self._last(settings))

    def _last(self, settings: Any) -> Level:
        return self.schedule.level(0.0 if self.ends_at_zero(settings) else self.schedule.t_end)

    def _finished(self, settings: Any, rho: np.ndarray, rule: str) -> tuple[Level, ...]:
        return (*self.levels_of(rho, settings, rule), self._last(settings))

    def levels_of(self, rho: np.ndarray, settings: Any, rule: str = "") -> tuple[Level, ...]:
        """Return levels at falling values of rho, whose times the network is told as the convention rounds them."""
        clean = bool(rho[-1] == 0)
        inner = np.asarray(rho[:-1] if clean else rho, dtype=float)
        finite = self.rho[np.isfinite(self.rho)]
        if inner[0] > finite[-1] * (1 + BEYOND) and not (math.isinf(self.rho[-1]) or settings.sigma_max is not None):
            raise ValueError(
                f"sigma/alpha = {inner[0]:g} lies beyond the table's last, {finite[-1]:g}, where the network was not "
                "trained; set sigma_max to allow it"
            )
        times = spacing.times_of(inner, finite)
        rounding = settings.timestep_rounding
        times = spacing.rounded(times, self._rounding(rule) if rounding is None else rounding)
        found = self._levels(inner, times)
        return (*found, self.schedule.level(0.0)) if clean else tuple(found)

    def _rounding(self, rule: str) -> str:
        return dict(self.convention.rounding).get(rule, "none")

    def _levels(self, rho: np.ndarray, times: np.ndarray) -> list[Level]:
        """Return levels with rho and the network's times as given; their clock is the schedule's time."""
        low, high = self.schedule.rho(self.schedule.t_end), self.schedule.rho(self.schedule.T)
        found = []
        for r, m in zip(rho.tolist(), times.tolist(), strict=True):
            if r > high:
                clock = self.schedule.T * (1 + math.log(r / high))
            elif r < low:
                clock = self.schedule.t_end * r / low
            else:
                clock = float(self.schedule.time(-math.log(r))) if r < math.inf else self.schedule.T
            alpha = 1 / math.hypot(1.0, r)
            found.append(Level(clock, alpha, r * alpha if r < math.inf else 1.0, m))
        return found

    def given(self, settings: Any, timesteps: Any, sigmas: Any, mu: float | None) -> tuple[Level, ...]:
        """Return the levels at entries of the table, or at sigmas that fall, the last of which is where the run ends.

        Raises
        ------
        TypeError
            For timesteps that are no integers.
        ValueError
            For lists that do not fall strictly or leave the table.
        """
        _no_mu(mu)
        if timesteps is not None:
            final: str | None = "zero" if self.ends_at_zero(settings) else "first-entry"
            values = numbers(timesteps, "timesteps")
            final = None if final == "first-entry" and values[-1] == 0 and len(values) > 1 else final
            if (values != np.round(values)).any() and self.convention.whole:
                raise TypeError(
                    f"timesteps must be integers, entries of the table, not {list(timesteps)!r}; use sigmas= for "
                    "levels between them, or convention='euler'"
                )
            if (values == np.round(values)).all():
                times = numdiff.grids.from_timesteps(self.schedule, values, final=final)
                return tuple(numdiff.grids.levels(self.schedule, times))
            decreasing(values, "timesteps")
            return self._at_times(settings, spacing._inside(values, self.schedule.N, "timesteps="), "")
        rho = numbers(sigmas, "sigmas")
        decreasing(rho, "sigmas")
        if not (rho >= 0).all() or len(rho) < 2:
            raise ValueError(f"sigmas must be at least two numbers that are not negative, got {rho.tolist()}")
        return self.levels_of(rho, settings, "sigmas")

    def at(self, timestep: float) -> tuple[float, float]:
        """Return (alpha, sigma) at an entry of the table or between two."""
        level = self.schedule.level(self.schedule.from_model_time(timestep))
        return level.alpha, level.sigma


def _no_mu(mu: float | None) -> None:
    if mu is not None:
        raise ValueError("mu shifts the noise levels of flow matching; a table of noise levels has none: drop mu=")
