"""Methods that put noise around the steps of a deterministic one-step method: what they ask of it and have from it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from numdiff.elementary import Number, log
from numdiff.level import Level
from numdiff.methods.base import Method, Transformed
from numdiff.methods.checks import check_no_orders
from numdiff.methods.layout import Layout
from numdiff.tableau import Tableau


class OverOneStep(Transformed):
    """A method whose steps are those of a deterministic one-step method, between levels of its own, and noise."""

    @property
    def order(self) -> int:  # type: ignore[override]
        """The base's, in the law of the samples; see the module."""
        return self.base.order

    @property
    def stages(self) -> int:
        """As many as the base's."""
        return self.base.stages

    def check_orders(self, orders: Any, steps: int) -> tuple[int, ...]:
        """Return 1 for every step, or raise if orders are given: there is nothing to lower."""
        return check_no_orders(self, orders, steps)

    def coefficients(self) -> Any:
        """Return the base's coefficients."""
        return self.base.coefficients()

    def _base_step(self, layout: Layout, start: Level, end: Level) -> Tableau:
        """Return the one step of the base from `start` to `end`.

        Raises
        ------
        ValueError
            If the step evaluates at a level that the schedule does not have.
        """
        (step,) = self.base._program(replace(layout, method=self.base, levels=(start, end), orders=(1,)))
        for level in step.levels:
            if level is not None and level.time != level.time:
                raise ValueError(
                    f"{self} evaluates at sigma/alpha = {level.rho:.6g}, which schedule {layout.schedule.name} does "
                    "not reach; use a schedule of a wider range, less noise, or another grid"
                )
        return step


def check_one_step(name: str, method: Any) -> Method:
    """Return `method` if it is a deterministic one-step method whose state is the sample alone, or raise.

    Raises
    ------
    TypeError
        If it is no method.
    ValueError
        If it has a memory, a velocity or noise.
    """
    if not isinstance(method, Method):
        raise TypeError(f"{name} must be a one-step method such as nd.DDIM() or nd.Heun(), got {method!r}")
    if method.stochastic:
        raise ValueError(f"{name} must add no noise of its own, got {method}; use its form without noise")
    remembers = method.points != 1 or method.steady(1.0 if method.kernel else None).registers != 1
    if remembers or method.nfe(1) != method.stages:  # a step of several grid intervals makes fewer on one
        raise ValueError(f"{name} must be a one-step method without memory, got {method}; use nd.DDIM() or nd.Heun()")
    return method


def level_of_rho(layout: Layout, rho: Number, like: Level) -> Level:
    """Return the schedule's level at sigma/alpha = `rho`; beyond its range one without a time, at the alpha of `like`.

    Such a level may be where a step begins or ends, but not where the model is evaluated.
    """
    try:
        return layout.level_of(-log(rho))
    except ValueError:
        return Level(math.nan, like.alpha, like.alpha * rho, math.nan)
