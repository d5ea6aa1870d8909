"""A scheduler's run: a method laid out on a grid, which evaluation is next, and the machine that is told the answers.

`Plan` is a scheme with its evaluations in the order in which a pipeline makes them; it can be cut off at the front for
a run that begins in the middle. `Run` is one pass through a plan. Everything that costs time is done when a plan is
made or a run begins: a step compares a pointer, looks at three attributes of the model's output and tells the machine.
"""

from __future__ import annotations

import cmath
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import product
from typing import Any

import numpy as np
import torch

from numdiff.adapters.diffusers import hooks, starting
from numdiff.adapters.diffusers.grids import Grid
from numdiff.drivers import program
from numdiff.executor import Machine
from numdiff.executor_native import Native, fitted
from numdiff.level import Level
from numdiff.methods.base import Method
from numdiff.methods.scheme import Scheme
from numdiff.methods.single_step import SingleStep
from numdiff.methods.splitting import Splitting

CHECKS = ("auto", "end", "never")
"""When to look whether the model's outputs are finite."""

FEW = 15
"""DPM-Solver++ lowers its last orders in runs of fewer steps."""


def lowered(points: int, steps: int, rule: str | None, euler_at_final: bool) -> tuple[int, ...]:
    """Return at most how many evaluations each step combines, lowered towards the end as diffusers' solvers do.

    Parameters
    ----------
    points
        How many the method combines.
    steps
        Number of steps.
    rule
        "unipc": as many as there are steps left. Another name: in runs of fewer than 15 steps, two in the last but one
        and one in the last. None: no fewer.
    euler_at_final
        Whether the last step combines one in any case.
    """
    if rule == "unipc":
        orders = [min(points, steps - n) for n in range(steps)]
    else:
        orders = [points] * steps
        if rule is not None and steps < FEW:
            orders[-2:] = [min(points, 2), 1][-steps:]
    return (*orders[:-1], 1) if euler_at_final else tuple(orders)


@dataclass(frozen=True, eq=False)
class Plan:
    """A scheme and what a pipeline sees of it.

    Parameters
    ----------
    scheme
        The method on the grid.
    prediction
        What the network predicts.
    """

    scheme: Scheme
    prediction: Any

    @cached_property
    def levels(self) -> tuple[Level, ...]:
        """The levels of the evaluations, in their order."""
        return tuple(level for tableau in self.scheme for level in tableau.levels if level is not None)

    @cached_property
    def times(self) -> list[float]:
        """What the network is told at each evaluation."""
        return [float(level.model_time) for level in self.levels]

    @cached_property
    def even(self) -> bool:
        """Whether each grid step begins after equally many evaluations."""
        return self.times[:: self._each] == [float(level.model_time) for level in self.scheme.levels[:-1]]

    @property
    def _each(self) -> int:
        return -(-len(self.times) // self.scheme.steps)

    @property
    def order(self) -> int:
        """Evaluations of every grid step, where all begin after equally many; else 1."""
        return self._each if self.even else 1

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """The evaluation with which each grid step begins, the last at its level; all of them where none is there."""
        last = {time: k for k, time in enumerate(self.times)}
        found = [last.get(float(level.model_time), len(self.times)) for level in self.scheme.levels[:-1]]
        return (0, *found[1:])

    @cached_property
    def _cuts(self) -> dict[int, Plan | None]:
        return {0: self}

    @cached_property
    def entries(self) -> tuple[Native, ...]:
        """The program in the network's own prediction."""
        return program(self.scheme, self.prediction)

    def tensor(self, device: Any) -> torch.Tensor:
        """Return the times as ``timesteps``: integers where all of them are."""
        whole = all(t.is_integer() for t in self.times)
        return torch.tensor(self.times, dtype=torch.int64 if whole else torch.float32, device=device)

    def from_evaluation(self, index: int) -> Plan | None:
        """Return the plan of a run that begins with evaluation `index`, or None where no grid step does.

        The method is laid out anew on the rest of the grid with an empty history. A start that takes more evaluations
        than are left, as a Runge-Kutta start or PNDM's warm-up does, is replaced by lower orders.
        """
        if index not in self._cuts:
            self._cuts[index] = self._cut(index)
        return self._cuts[index]

    def _cut(self, index: int) -> Plan | None:
        scheme = self.scheme
        options = dict(scheme.options)
        for n, level in enumerate(scheme.levels[:-1]):
            if n == 0 or float(level.model_time) != self.times[index]:
                continue
            left = len(scheme.levels) - 1 - n
            orders = None if options["orders"] is None else list(options["orders"][n:])
            if orders is None and left < scheme.method.points:
                orders = [left] * left
            for start, method in product(dict.fromkeys((options["start"], "lower")), starting.variants(scheme.method)):
                chosen = {"start": start, "final": options["final"], "orders": orders}
                plan = Plan(method.discretize(scheme.schedule, list(scheme.levels[n:]), **chosen), self.prediction)
                if plan.times == self.times[index:]:
                    return plan
        return None


def lay_out(method: Method, process: Any, grid: Grid, settings: Any) -> Plan:
    """Return the plan of a method on a grid.

    Raises
    ------
    ValueError
        If the method cannot be laid out there, or changes the sample before its first evaluation, which a pipeline
        makes of its own sample.
    """
    chosen = method if grid.method is None else grid.method
    orders = grid.orders
    lower = settings.lower_order_final or settings.euler_at_final
    if orders is None and lower and chosen.points > 1 and not isinstance(chosen, SingleStep):
        rule = settings.convention if settings.lower_order_final else None
        orders = lowered(chosen.points, grid.asked, rule, settings.euler_at_final)[: len(grid.levels) - 1]

    def lay(which: Method) -> Scheme:
        options = {"start": settings.start, "final": grid.final, "orders": orders}
        return which.discretize(process.schedule, list(grid.levels), **options)

    try:
        scheme = lay(chosen)
    except ValueError as error:
        if np.isfinite(float(grid.levels[0].rho)) or "cannot start at alpha = 0" not in str(error):
            raise
        scheme = starting.from_noise_alone(
            lay, settings, f"{chosen}: {str(error).partition(';')[0]}", process.table() is None
        )
    if next(iter(scheme.tableaus[0].levels), None) is not scheme.levels[0]:
        raise ValueError(
            f"{chosen} changes the sample before its first evaluation, at timestep {scheme.levels[0].model_time:g}, "
            "but a pipeline evaluates its own; use S_max below the first sigma/alpha, or nd.sample"
        )
    return Plan(scheme, process.prediction)


def refuse_splitting(method: Method) -> None:
    """Raise ValueError for a method that evaluates the condition apart from the model."""
    if isinstance(method, Splitting):
        raise ValueError(
            f"{method} evaluates the condition apart from the model, and a pipeline passes one guided output; "
            "use a method without splitting, or nd.sample with fields="
        )


class Run:
    """One pass through a plan.

    Parameters
    ----------
    plan
        What is run, from the evaluation that is made first.
    first
        The number of that evaluation in ``timesteps``.
    sample
        The sample that the network was evaluated at.
    noise
        ``noise(index, column)``.
    wide
        The dtype that the state is kept in, or None for the sample's.
    copies, check, settings
        Of the configuration: whether outputs are copied; whether each is checked; what is done to x_0.
    """

    __slots__ = (
        "check",
        "given",
        "hooks",
        "index",
        "last",
        "machine",
        "made",
        "narrow",
        "pointer",
        "sums",
        "times",
        "wide",
        "width",
    )

    def __init__(
        self,
        plan: Plan,
        first: int,
        sample: torch.Tensor,
        noise: Callable[[int, int], Any],
        *,
        wide: torch.dtype | None,
        copies: bool,
        check: str,
        settings: Any,
    ) -> None:
        self.times, self.index, self.last = plan.times, first, first + len(plan.times)
        self.narrow = sample.dtype
        self.wide = wide if wide is not None and wide is not sample.dtype else None
        self.given: Any = sample
        self.made = partial(hooks.around, settings, plan.scheme, plan.prediction)
        self.hooks = self.made()
        self.check = check == "auto" and sample.device.type == "cpu"
        self.sums: list[torch.Tensor] | None = [] if check == "end" else None
        self.pointer, self.width = 0, 0
        state = sample if self.wide is None else sample.to(self.wide)
        self.machine = Machine(fitted(plan.entries, state), state, noise=noise, copies=copies)

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy needs; its hooks, which are closures, are made anew."""
        return {name: getattr(self, name) for name in self.__slots__ if name != "hooks"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Be the copy."""
        for name, value in state.items():
            setattr(self, name, value)
        self.hooks = self.made()

    @property
    def time(self) -> float:
        """What the network is told at the next evaluation."""
        return self.times[self.index - self.last]

    def advance(self, output: torch.Tensor, sample: torch.Tensor) -> torch.Tensor:
        """Tell the machine the network's output at `sample` and return the next sample."""
        if self.check and not cmath.isfinite(output.sum().item()):
            self._refuse(output, sample)
        if self.sums is not None:
            self.sums.append(output.sum(dtype=torch.float32))
        machine, edited = self.machine, None if sample is self.given else sample
        if self.wide is not None:
            output = output.to(self.wide)
            edited = None if edited is None else edited.to(self.wide)
        if self.hooks is not None:
            at = machine.question.x if edited is None else edited  # type: ignore[union-attr]
            output = self.hooks[self.index - self.last](output, at)
        machine.tell(output, edited)
        self.index += 1
        self.pointer += self.width
        question = machine.question
        new = machine.sample if question is None else question.x
        if self.wide is not None:
            new = new.to(self.narrow)
        self.given = new
        if question is None and self.sums:
            self._look(self.sums)
        return new

    def follow(self, timesteps: torch.Tensor, timestep: Any) -> None:
        """Recognize the next timesteps by their place in the memory of ``timesteps``, if the first one lies there."""
        if position(timesteps, timestep) is not None:
            self.width = timesteps.element_size()
            self.pointer = timesteps.data_ptr() + self.index * self.width

    def check_time(self, timesteps: torch.Tensor, timestep: Any) -> None:
        """Raise unless a timestep is the next one; a tensor on a device that is no view of ``timesteps`` is trusted."""
        at = position(timesteps, timestep)
        if at is None and isinstance(timestep, torch.Tensor) and timestep.device.type != "cpu":
            return
        time = value_of(timestep) if at is None else self.times[at - self.last]
        if same(time, self.time) if at is None else at == self.index:
            return
        raise ValueError(
            f"timestep {time:g} is out of order: the method asks for {self.time:g} next; call step for each of "
            "timesteps in turn, or set_timesteps to begin again"
        )

    def _where(self, index: int) -> str:
        first = self.last - len(self.times)
        return f"at step {index + 1} of {self.last} (timestep {self.times[index - first]:g})"

    def _refuse(self, output: torch.Tensor, sample: torch.Tensor) -> None:
        if bool(output.isfinite().all()):
            return  # finite numbers whose sum is not
        if not bool(sample.isfinite().all()):
            raise ValueError(
                f"the sample is no longer finite {self._where(self.index)}: it outgrew {sample.dtype}; take smaller "
                "steps, a more stable method, or accumulate='float32'"
            )
        raise ValueError(f"the model returned a value that is not finite {self._where(self.index)}")

    def _look(self, sums: Sequence[torch.Tensor]) -> None:
        """Look at the sums of all outputs, in one transfer."""
        found = torch.stack(list(sums)).tolist()
        bad = next((k for k, value in enumerate(found) if not np.isfinite(value)), None)
        if bad is not None:
            first = self.last - len(self.times)
            raise ValueError(f"the model returned a value that is not finite {self._where(first + bad)}")


def position(timesteps: torch.Tensor, timestep: Any) -> int | None:
    """Return which entry of `timesteps` a timestep is a view of, without reading it; None where it is none."""
    if not isinstance(timestep, torch.Tensor) or timestep.device != timesteps.device or timesteps.device.type == "meta":
        return None
    if timestep.dtype is not timesteps.dtype:
        return None
    offset, rest = divmod(timestep.data_ptr() - timesteps.data_ptr(), timesteps.element_size())
    return offset if rest == 0 and 0 <= offset < len(timesteps) else None


def value_of(timestep: Any) -> float:
    """Return a timestep, or the first of equal ones, as a number: on a device this waits for it."""
    return float(timestep.reshape(-1)[0]) if isinstance(timestep, torch.Tensor) else float(timestep)


def alike(output: torch.Tensor, sample: torch.Tensor, run: Run, variance_type: str | None) -> torch.Tensor:
    """Return a network's output with the sample's shape and dtype, where nothing but a variance is lost.

    Raises
    ------
    ValueError
        If it is on another device, of another shape, or of a dtype that the state's does not hold.
    """
    if variance_type in ("learned", "learned_range") and output.shape[1:2] == (2 * sample.shape[1],):
        output = output[:, : sample.shape[1]]
    dtype = sample.dtype if run.wide is None else run.wide
    if output.dtype is not dtype and torch.promote_types(output.dtype, dtype) is dtype:
        output = output.to(dtype)
    for what, wanted in (("shape", sample.shape), ("dtype", dtype), ("device", sample.device)):
        if getattr(output, what) != wanted:
            raise ValueError(
                f"model_output has {what} {getattr(output, what)} at timestep {run.time:g}, but the sample has "
                f"{wanted}; convert one of them"
            )
    return output


def same(time: float, model_time: float) -> bool:
    """Tell whether a timestep is a model time, which ``timesteps`` may have rounded to float32."""
    return bool(np.float32(time) == np.float32(model_time))
