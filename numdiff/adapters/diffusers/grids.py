"""What a run is laid out on: the levels of a grid by name, by search or as given, whatever the process.

A `Process` is how data becomes noise and what the network is told of it: a table (`numdiff.adapters.diffusers.table`),
flow matching (`flow`) or Karras et al.'s sigma with a preconditioned network (`edm`). Each makes lists of levels from
lists of rho = sigma/alpha, so that whatever chooses rho works for all.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

import numdiff.grids
from numdiff._names import suggest
from numdiff.adapters.diffusers import spacing
from numdiff.level import Level
from numdiff.methods.base import Method
from numdiff.schedules import Schedule

OPTIMIZED = "optimized"

NAMED = {**numdiff.grids.NAMED, "uniform-log-snr": numdiff.grids.uniform_log_snr}
"""Grids of `numdiff.grids` by name; "karras" is taken by the rule in rho."""

NAMES = tuple(dict.fromkeys((*spacing.SPACINGS, *spacing.RHO_RULES, *NAMED, OPTIMIZED)))
"""What ``timesteps=`` of a scheduler may be."""

SAME = 1e-6
"""Two levels whose rho differ by less than this, relative, are one: a step between them does nothing."""


HAIR = 1e-5
"""How far, relative, an idle step goes where it is made."""


@dataclass(frozen=True)
class Grid:
    """N + 1 levels from noise to data, and what a search found beside them.

    Parameters
    ----------
    levels
        The levels.
    asked
        N, or more where idle steps at the end were left out.
    method, orders, final
        The method with optimized parameters, and the arguments of `Method.discretize` it was optimized with; None
        where nothing was optimized.
    """

    levels: tuple[Level, ...]
    asked: int
    method: Method | None = None
    orders: tuple[int, ...] | None = None
    final: str | None = None


class Process(ABC):
    """How data becomes noise, and what the network is told.

    Attributes
    ----------
    schedule
        The noise schedule, for levels between those of the grid.
    prediction
        What the network predicts, as `numdiff.parameterizations` knows it.
    scales
        Whether the network sees the sample times `input_scale`.
    """

    scales = False

    def __init__(self, settings: Any) -> None:
        self.settings = settings
        self.schedule: Schedule
        self.prediction: Any

    @property
    def preset(self) -> str | None:
        """The family of optimized presets for this process, or None."""
        return None

    @abstractmethod
    def spaced(self, settings: Any, steps: int, rule: str | None, mu: float | None) -> tuple[Level, ...]:
        """Return the levels of the configuration's own spacing, or of a rule in rho."""

    @abstractmethod
    def given(self, settings: Any, timesteps: Any, sigmas: Any, mu: float | None) -> tuple[Level, ...]:
        """Return the levels of timesteps or sigmas that the caller chose."""

    @abstractmethod
    def levels_of(self, rho: np.ndarray, settings: Any, rule: str = "") -> tuple[Level, ...]:
        """Return levels at falling values of rho = sigma/alpha, of which the last may be 0."""

    @abstractmethod
    def at(self, timestep: float) -> tuple[float, float]:
        """Return (alpha, sigma) where the network is told `timestep`."""

    def rest(self, settings: Any) -> tuple[Level, ...]:
        """Return the levels that a scheduler without a table lists before ``set_timesteps``."""
        return self.spaced(settings, int(settings.num_train_timesteps), None, None)

    def sigma(self, level: Level) -> float:
        """Return the level's entry in the scheduler's ``sigmas``: rho = sigma/alpha."""
        return float(level.rho)

    def input_scale(self, level: Level) -> float:
        """Return what the sample is multiplied with before the network sees it."""
        return 1.0

    def init_noise_sigma(self, settings: Any, level: Level | None) -> float:
        """Return the standard deviation of the noise that a run starts from, at its first level."""
        return 1.0

    def table(self) -> Sequence[float] | None:
        """Return the table of abar, or None."""
        return None

    def ends_at_zero(self, settings: Any) -> bool:
        """Whether the last step goes to sigma = 0."""
        return True

    def named(self, settings: Any, steps: int, name: str) -> tuple[Level, ...]:
        """Return the levels of a grid of `numdiff.grids`."""
        times = NAMED[name](self.schedule, steps, final_zero=self.ends_at_zero(settings))
        return tuple(numdiff.grids.levels(self.schedule, times))


def choose(
    process: Process,
    settings: Any,
    method: Method,
    *,
    steps: int | None = None,
    timesteps: Any = None,
    sigmas: Any = None,
    mu: float | None = None,
) -> Grid:
    """Return the grid that a scheduler's ``set_timesteps`` asks for.

    Parameters
    ----------
    process, settings, method
        The process, the scheduler's configuration, and the method, which optimized steps depend on.
    steps, timesteps, sigmas
        Number of steps, or the timesteps, or the sigmas; one of them.
    mu
        Of a shift that depends on the size of the image.

    Raises
    ------
    ValueError
        For unknown names; for a number of steps that is not a positive integer; for lists that do not fall strictly or
        leave the process's range.
    """
    if steps is None:
        levels = process.given(settings, timesteps, sigmas, mu)
        return Grid(without_idle_step(levels, process, settings, method), len(levels) - 1)
    if isinstance(steps, bool) or not isinstance(steps, (int, np.integer)) or steps < 1:
        raise ValueError(f"num_inference_steps must be an integer of at least 1, got {steps!r}")
    if settings.timesteps == OPTIMIZED:
        return _optimized(process, settings, method, int(steps))
    levels = _named(process, settings, int(steps), mu)
    return Grid(without_idle_step(levels, process, settings, method), int(steps))


def _named(process: Process, settings: Any, steps: int, mu: float | None) -> tuple[Level, ...]:
    name = settings.timesteps
    if name is not None and name not in NAMES:
        suggest(name, NAMES, "timesteps")
    if name in NAMED and name not in spacing.RHO_RULES:
        return process.named(settings, steps, name)
    rule = name if name in spacing.RHO_RULES else spacing.rule_name(settings) if name is None else None
    return process.spaced(settings, steps, rule, mu)


def _optimized(process: Process, settings: Any, method: Method, steps: int) -> Grid:
    if method.stochastic:
        raise ValueError(
            f"timesteps={OPTIMIZED!r} compares where runs end, and {method} adds noise, which moves that; take another "
            "name, such as timesteps='karras', or None, or a deterministic method"
        )
    result = _searched(method, process.schedule, steps, process.ends_at_zero(settings), process.preset)
    with np.errstate(over="ignore"):
        rho = np.exp(-np.asarray(result.log_snr))
    levels = process.levels_of(rho, settings, OPTIMIZED)
    return Grid(levels, steps, result.tuned, result.orders, result.final)


@lru_cache(maxsize=64)
def _searched(method: Method, schedule: Schedule, steps: int, final_zero: bool, preset: str | None) -> Any:
    """Return optimized steps: those that ship where there are any, else a search of some seconds at most."""
    import numdiff.optimize

    if preset is not None and final_zero:
        try:
            return numdiff.optimize.preset(preset, steps, method)
        except ValueError:  # none ships for this method or this number of steps
            pass
    return numdiff.optimize.timesteps(method, schedule, steps, final_zero=final_zero)


def without_idle_step(levels: Sequence[Level], process: Process, settings: Any, method: Method) -> tuple[Level, ...]:
    """Return the levels less the last, where it is where the one before is: an evaluation there would change nothing.

    DDIMScheduler with ``set_alpha_to_one=False`` and ``steps_offset=0`` makes such a step, and DEIS on Karras sigmas.
    A method with a corrector, UniPC, does change the sample by an evaluation there: for it the last level goes below
    the other by a hair.
    """
    if len(levels) < 3 or abs(levels[-1].rho - levels[-2].rho) > SAME * levels[-2].rho:
        return tuple(levels)
    if not getattr(method, "corrected_points", 0):
        return tuple(levels[:-1])
    rho = float(levels[-2].rho)
    return (*levels[:-1], process.levels_of(np.array([rho, rho * (1 - HAIR)]), settings)[-1])
