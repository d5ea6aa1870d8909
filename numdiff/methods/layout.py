"""What a run looks like to a method: its levels, its history at every step, and how it starts and ends."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from numdiff.elementary import Number, differentiable, is_zero, log, vanishes
from numdiff.formulations import DATA_RATIO, NOISE_RATIO, VELOCITY_TIME, Formulation, Span
from numdiff.level import Level

if TYPE_CHECKING:
    from numdiff.methods.base import Method


@dataclass(frozen=True)
class Layout:
    """Everything that `Method._program` needs to know about one run."""

    method: Method
    schedule: Any
    levels: tuple[Level, ...]
    formulation: Formulation
    start: str
    final: str | None
    orders: tuple[int, ...]

    @property
    def steps(self) -> int:
        """Number of grid steps."""
        return len(self.levels) - 1

    @property
    def exact_starts(self) -> int:
        """How many exact samples the driver supplies after the first: up to the last step that lacks history."""
        if self.start != "exact" or self.method.points == 1:
            return 0
        needed = max((n + 1 for n in range(self.steps) if not self.ready(n)), default=0)
        if needed == self.steps:
            raise ValueError(
                f"{self.method.name} has too little history even for the last of {self.steps} steps, so that "
                'start="exact" leaves nothing to compute; take more steps or lower orders'
            )
        return needed

    def ready(self, n: int) -> bool:
        """Tell whether step `n` has the history that its order needs."""
        return self.history(n) >= self.orders[n]

    def history(self, n: int) -> int:
        """Return how many interpolation nodes there are at step `n`, the present one included."""
        return n + 1 if self._starts_finite else max(n, 1)

    @cached_property
    def nodes(self) -> tuple[Number, ...]:
        """The formulation's variable at every level."""
        return tuple(self.formulation.node(level) for level in self.levels)

    @cached_property
    def _starts_finite(self) -> bool:
        return self.formulation.is_finite(self.levels[0])

    def denoises(self, n: int) -> bool:
        """Tell whether step `n` is the last one and must return the denoised estimate."""
        if n + 1 < self.steps or self.schedule is None or not vanishes(self.levels[-1].sigma):
            return False
        if self.final is not None:
            return self.final == "denoise"
        if self.formulation.prediction == "velocity":
            return not math.isfinite(float(self.levels[-1].time))  # a clean end without a time, as after VE's sigma_min
        return self.formulation.prediction == "data" or not self.limited

    def span(self, n: int, order: int = 1) -> Span:
        """Return the geometry of step `n` with `order` moments; that of the denoised estimate where it returns that."""
        here, there = self.levels[n], self.levels[n + 1]
        if self.denoises(n):
            return self.formulation.denoising_span(here, there)
        return self.formulation.span(here, there, order)

    @property
    def limited(self) -> bool:
        """Tell whether the method's weights stay finite as a step grows without bound in the integration variable."""
        return not self.formulation.stochastic and (self.formulation.c == 0 or self.method.has_limit)

    def arrives(self, n: int) -> bool:
        """Tell whether step `n` ends where no Runge-Kutta stage can be: at sigma = 0, or where y = x/a is undefined."""
        there = self.levels[n + 1]
        return self.schedule is not None and (vanishes(there.sigma) or vanishes(self.formulation.scales(there)[0]))

    def level_at(self, n: int, fraction: Number, variable: Formulation | None = None) -> Level:
        """Return the level at s_n + fraction * h of step `n`, in the ratio (or time) variable or that of `variable`.

        Raises
        ------
        ValueError
            If the grid was given as levels without a schedule that could place one in between.
        """
        here, there = self.levels[n], self.levels[n + 1]
        if is_zero(fraction):
            return here
        if not differentiable(fraction) and fraction == 1:
            return there
        variable = ratio_of(self.formulation) if variable is None else variable
        known = variable.variable == self.formulation.variable
        first, last = self.nodes[n : n + 2] if known else (variable.node(here), variable.node(there))
        s = first + fraction * (last - first)
        if self.schedule is None:
            return Level.of_time(s)
        if variable == VELOCITY_TIME:
            return self.schedule.level_at(s)
        if variable.variable == "log-snr":
            return self.level_of(s)
        return self.level_of(-log(s) if variable == NOISE_RATIO else log(s))

    def level_of(self, log_snr: Number) -> Level:
        """Return the schedule's level at this log-SNR; the schedule raises a ValueError where it has none."""
        return self.schedule.level(self.schedule.time(log_snr))


def ratio_of(formulation: Formulation) -> Formulation:
    """Return the formulation of kernel exponent 0 for the same prediction, in which Runge-Kutta steps are classical."""
    return {"noise": NOISE_RATIO, "data": DATA_RATIO, "velocity": VELOCITY_TIME}[formulation.prediction]
