"""Where in ``timesteps`` a run begins: at a grid step, and at the one that the pipeline meant.

A pipeline that begins in the middle (image to image) counts grid steps, and takes ``timesteps[n * scheduler.order:]``.
That is the evaluation with which step n begins where all steps have equally many, as diffusers' own schedulers have.
It is another one behind a Runge-Kutta start or a warm-up; and where the pipeline passed a list of ``sigmas`` or
``timesteps``, it counts ``len(timesteps)`` steps, which are evaluations. `Order` is a number whose product with a
number of steps is right in all these cases. Where no run can begin, the error says so before any evaluation.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

import torch

from numdiff.adapters.diffusers.running import Plan, position, same, value_of

NEAR = 8
"""How many grid steps an error looks ahead for one where a run can begin."""


class Order(int):
    """Evaluations of a grid step, 1 where they differ; times n, the evaluation with which grid step n begins.

    Parameters
    ----------
    plan
        The plan.
    listed
        Whether steps are counted as pipelines do that passed a list: all L = ``len(timesteps)`` of them, so that a
        strength s gives k = floor(L (1 - s)). The grid step is then the last n < (k + 1) N/L. That is floor(N (1 - s)),
        what the pipeline would have found with N steps, or one more where k leaves both possible; for a whole number
        N (1 - s) it is that.
    """

    _starts: tuple[int, ...]
    _listed: bool

    def __new__(cls, plan: Plan, listed: bool) -> Order:
        """Make the number."""
        order = super().__new__(cls, plan.order)
        order._starts, order._listed = (*plan.starts, len(plan.times)), listed
        return order

    def __mul__(self, steps: Any) -> Any:
        """Return the evaluation with which a grid step begins; past the last, the number of evaluations."""
        if not isinstance(steps, int) or steps < 0:
            return int(self) * steps
        last = len(self._starts) - 1
        n = -(-(steps + 1) * last // self._starts[-1]) - 1 if self._listed else steps
        return self._starts[min(n, last)]

    __rmul__ = __mul__


def first(plan: Plan, timesteps: torch.Tensor, timestep: Any, begin_index: int | None) -> tuple[int, Plan]:
    """Return the number of the evaluation at which a run begins, and what it runs.

    A view of ``timesteps`` says so itself; else the pipeline's ``begin_index``, else the timestep's value.

    Raises
    ------
    ValueError
        If no grid step begins there, or the rest of ``timesteps`` is not what a run from there needs.
    """
    at = position(timesteps, timestep)
    if at is None and begin_index is not None and _may_be(timestep, plan.times[begin_index]):
        at = begin_index
    value = plan.times[at] if at is not None else value_of(timestep)
    found = [at] if at is not None else [k for k, t in enumerate(plan.times) if same(value, t)]
    for k in found:
        cut = plan.from_evaluation(k)
        if cut is not None:
            return k, cut
    raise refusal(plan, value, found[-1] if found else None)


def check(plan: Plan, index: int) -> None:
    """Raise ValueError unless a run can begin with an evaluation."""
    if plan.from_evaluation(index) is None:
        raise refusal(plan, plan.times[index], index)


def refusal(plan: Plan, value: float, index: int | None) -> ValueError:
    """Return the error that says why no run begins at a timestep, and where one does.

    Parameters
    ----------
    plan
        The plan.
    value, index
        The timestep, and its number in ``timesteps``; None where it is none of them.
    """
    scheme = plan.scheme
    if plan.even or index is None:
        starts = ", ".join(f"{level.model_time:g}" for level in scheme.levels[:-1])
        where = "begin at one of" if plan.even else "the grid is"
        return ValueError(f"timestep {value:g} is not where a grid step begins; {where} {starts}")
    remedy = (
        'use start="lower"'
        if dict(scheme.options)["start"] != "lower"
        else 'use method="pndm" with warmup="lower"'
        if hasattr(scheme.method, "warmup")
        else "use a method whose steps have equally many evaluations"
    )
    later = (k for k in plan.starts if index < k < len(plan.times))
    next_one = next((k for k in islice(later, NEAR) if plan.from_evaluation(k) is not None), None)
    or_later = "" if next_one is None else f", or at {plan.times[next_one]:g} (a smaller strength)"
    return ValueError(
        f"no run of {scheme.method} can begin at timestep {value:g}: its {scheme.steps} grid steps have "
        f"{len(plan.times)} evaluations, more at its start than later, and those listed from there on are not the ones "
        f"of a run from there; {remedy}, or begin at {plan.times[0]:g}{or_later}"
    )


def _may_be(timestep: Any, time: float) -> bool:
    """Tell whether a timestep has a value, as far as the host knows."""
    on_device = isinstance(timestep, torch.Tensor) and timestep.device.type != "cpu"
    return on_device or same(value_of(timestep), time)
