"""A diffusers scheduler that runs any registered method: the machine with the pipeline owning the loop.

A pipeline calls ``set_timesteps``, evaluates its network at each of ``timesteps`` and passes the output to ``step``.
That is the ask/tell machine turned inside out: ``timesteps`` lists one time per *evaluation* (a two-stage method has
two per grid step, which is why ``order`` is 1), ``step`` tells the machine the output and returns the sample of its
next question. A sample that the pipeline changed between two calls (inpainting) is told along. A pipeline that begins
in the middle of ``timesteps`` (image to image) gets a scheme laid out anew on the rest of the grid, with an empty
history.

Schedules are tables of noise levels, as in diffusers: alpha_t = sqrt(abar_t), sigma_t = sqrt(1 - abar_t).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from diffusers.utils import BaseOutput
from diffusers.utils.torch_utils import randn_tensor

from numdiff import grids
from numdiff._names import suggest
from numdiff.drivers import program
from numdiff.executor import Machine
from numdiff.executor_native import fitted
from numdiff.methods.checks import choice
from numdiff.methods.registry import method as build
from numdiff.methods.scheme import Scheme
from numdiff.methods.splitting import Splitting
from numdiff.parameterizations import get
from numdiff.schedules import Discrete

PREDICTIONS = {"epsilon": "noise", "sample": "data", "v_prediction": "v"}
SPACINGS = ("linspace", "leading", "trailing")


@dataclass
class NumdiffSchedulerOutput(BaseOutput):
    """What `NumdiffScheduler.step` returns: the sample at the next timestep, shape of the sample."""

    prev_sample: torch.Tensor


def betas(count: int, start: float, end: float, rule: str) -> np.ndarray:
    """Return diffusers' tables of noise variances, shape (count,), in float64."""
    if rule == "scaled_linear":
        return np.linspace(start**0.5, end**0.5, count) ** 2
    if rule != "linear":
        suggest(rule, ("linear", "scaled_linear"), "beta_schedule (pass trained_betas for another table)")
    return np.linspace(start, end, count)


def spaced(count: int, steps: int, spacing: str, offset: int) -> np.ndarray:
    """Return `steps` decreasing integer timesteps of a table of `count` entries (Lin et al. 2023, table 2)."""
    if not 1 <= steps <= count:
        raise ValueError(f"num_inference_steps must lie between 1 and the table's {count} entries, got {steps}")
    if choice("timestep_spacing", spacing, SPACINGS) == "linspace":
        return np.linspace(0, count - 1, steps).round()[::-1].astype(int)
    if spacing == "leading":
        return np.arange(steps)[::-1] * (count // steps) + offset
    return np.round(np.arange(count, 0, -count / steps)).astype(int) - 1


class NumdiffScheduler(SchedulerMixin, ConfigMixin):  # type: ignore[misc]  # diffusers is not typed
    """A drop-in for the schedulers of diffusers: ``NumdiffScheduler.from_config(pipe.scheduler.config, method=...)``.

    Parameters
    ----------
    num_train_timesteps, beta_start, beta_end, beta_schedule, trained_betas
        The table of noise levels; ``beta_schedule`` is "linear" or "scaled_linear".
    prediction_type
        "epsilon", "sample" or "v_prediction".
    method
        A family of `numdiff.methods`, by name or alias: "dpmpp", "ghvb", "plms", "heun", ...
    method_options
        Its options, for example ``{"order": 3, "beta": 0.8}``.
    start
        How a multistep method starts, as in `Method.discretize`: "lower" or "runge-kutta".
    timestep_spacing, steps_offset, set_alpha_to_one
        As in diffusers' DDIMScheduler: which timesteps, and whether the last step goes to the clean end.

    Raises
    ------
    ValueError
        For unknown names, with the nearest known one, and options that the method does not have; for a method that
        evaluates the condition apart from the model, which a pipeline does not.
    """

    order = 1

    @register_to_config
    def __init__(
        self,
        num_train_timesteps: int = 1000,
        beta_start: float = 0.0001,
        beta_end: float = 0.02,
        beta_schedule: str = "linear",
        trained_betas: Sequence[float] | None = None,
        prediction_type: str = "epsilon",
        method: str = "dpmpp",
        method_options: dict[str, Any] | None = None,
        start: str = "lower",
        timestep_spacing: str = "leading",
        steps_offset: int = 0,
        set_alpha_to_one: bool = True,
    ) -> None:
        table: Any = trained_betas
        if table is None:
            table = betas(num_train_timesteps, beta_start, beta_end, beta_schedule)
        self.schedule = Discrete(betas=table, name="diffusers")
        if prediction_type not in PREDICTIONS:
            suggest(prediction_type, PREDICTIONS, "prediction_type")
        choice("start", start, ("lower", "runge-kutta"))
        self.method = build(method, **(method_options or {}))
        if isinstance(self.method, Splitting):
            raise ValueError(
                f"{self.method} evaluates the condition apart from the model, and a pipeline passes one guided output; "
                "use a method without splitting, or nd.sample with fields="
            )
        self.init_noise_sigma = 1.0
        self.timesteps = torch.from_numpy(np.arange(num_train_timesteps)[::-1].copy())
        self._scheme: Scheme | None = None
        self._machine: Machine | None = None
        self._given: torch.Tensor | None = None
        self._generator: torch.Generator | list[torch.Generator] | None = None

    @property
    def _settings(self) -> Any:
        """The registered configuration, whose entries are attributes; diffusers types it as a plain dict."""
        return self.config

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: Any = None,
        timesteps: Sequence[int] | None = None,
    ) -> None:
        """Lay the method out on a grid and list the times of its evaluations in ``timesteps``.

        Parameters
        ----------
        num_inference_steps
            Number of grid steps.
        device
            Where ``timesteps`` shall live.
        timesteps
            Or the grid itself: strictly decreasing integers.

        Raises
        ------
        ValueError
            Unless exactly one of the two is given, or the grid does not suit the method.
        """
        if (num_inference_steps is None) == (timesteps is None):
            raise ValueError("give exactly one of num_inference_steps and timesteps")
        count, offset = self.schedule.N, self._settings.steps_offset
        if timesteps is None:
            assert num_inference_steps is not None
            timesteps = spaced(count, num_inference_steps, self._settings.timestep_spacing, offset).tolist()
        final = "zero" if self._settings.set_alpha_to_one or timesteps[-1] == 0 else "first-entry"
        self._scheme = self._lay_out(grids.from_timesteps(self.schedule, timesteps, final=final))
        if self._scheme.tableaus[0].levels[0] is not self._scheme.levels[0]:
            raise ValueError(
                f"{self.method} changes the sample before its first evaluation, at timestep {timesteps[0]}, but a "
                "pipeline evaluates its own; use S_max below the first sigma/alpha, or nd.sample"
            )
        self.num_inference_steps = len(timesteps)
        self.timesteps = torch.tensor(_evaluation_times(self._scheme), device=device)
        self._machine = self._given = None

    def _lay_out(self, grid: Any) -> Scheme:
        return self.method.discretize(self.schedule, grid, start=self._settings.start)

    def scale_model_input(self, sample: torch.Tensor, timestep: Any = None) -> torch.Tensor:
        """Return the sample as it is: the network sees x_t itself."""
        return sample

    def step(
        self,
        model_output: torch.Tensor,
        timestep: Any,
        sample: torch.Tensor,
        generator: torch.Generator | list[torch.Generator] | None = None,
        return_dict: bool = True,
        **_: Any,
    ) -> NumdiffSchedulerOutput | tuple[torch.Tensor]:
        """Take the network's output at `timestep` and return the sample for the next one.

        Parameters
        ----------
        model_output
            The network's prediction, shape of the sample.
        timestep
            One of ``timesteps``, in their order.
        sample
            What the network was evaluated at; if it is not what the last call returned, the change is carried along.
        generator
            Of the noise, for methods that add it; one for the batch, or a list with one for each sample.
        return_dict
            Whether to return an object with ``prev_sample`` or a tuple of one.

        Raises
        ------
        ValueError
            Before `set_timesteps`, for a timestep out of order, and for outputs of another shape, dtype or device.
        """
        self._generator = generator
        time = float(timestep)
        if self._machine is None:
            self._machine = self._begin(time, sample)
        question = self._machine.ask()
        assert question is not None
        if not _same(time, question.level.model_time):
            raise ValueError(
                f"timestep {time:g} is out of order: the method asks for {question.level.model_time:g} next; call step "
                "for each of timesteps in turn, or set_timesteps to begin again"
            )
        for what in ("shape", "dtype", "device"):
            if getattr(model_output, what) != getattr(sample, what):
                raise ValueError(
                    f"model_output has {what} {getattr(model_output, what)} at timestep {time:g}, but the sample has "
                    f"{getattr(sample, what)}; convert one of them"
                )
        self._machine.tell(model_output, None if sample is question.x else sample)
        following = self._machine.ask()
        previous = self._machine.sample if following is None else following.x
        if following is None:
            self._machine = None
        return NumdiffSchedulerOutput(prev_sample=previous) if return_dict else (previous,)

    def _begin(self, time: float, sample: torch.Tensor) -> Machine:
        """Start a run at the first evaluation of the grid step at `time`."""
        if self._scheme is None:
            raise ValueError("the grid is not set: call set_timesteps before step")
        levels, scheme = self._scheme.levels, self._scheme
        at = next((n for n, level in enumerate(levels[:-1]) if _same(time, level.model_time)), None)
        if at is None:
            raise ValueError(f"timestep {time:g} is not where a grid step begins; begin at one of {_starts(levels)}")
        if at:
            left = len(levels) - 1 - at
            orders = [left] * left if left < self.method.points else None
            scheme = self.method.discretize(self.schedule, list(levels[at:]), start=self._settings.start, orders=orders)
        rewritten = fitted(program(scheme, get(PREDICTIONS[self._settings.prediction_type])), sample)
        return Machine(rewritten, sample, noise=self._noise_like(sample))

    def _noise_like(self, sample: torch.Tensor) -> Any:
        def noise(index: int, column: int) -> torch.Tensor:
            return randn_tensor(sample.shape, generator=self._generator, device=sample.device, dtype=sample.dtype)

        return noise

    def add_noise(self, original_samples: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """Return alpha_t x_0 + sigma_t eps at integer `timesteps`, one per sample or one for all."""
        table = torch.tensor(self.schedule.alphas_cumprod, dtype=torch.float64)[timesteps.cpu().long()]
        shape = (-1,) + (1,) * (original_samples.ndim - 1)
        alpha, sigma = (x.sqrt().reshape(shape).to(original_samples) for x in (table, 1 - table))
        return alpha * original_samples + sigma * noise

    def __len__(self) -> int:
        """Return the size of the table."""
        return self.schedule.N


def _same(time: float, model_time: Any) -> bool:
    """Tell whether a timestep is a model time, which ``timesteps`` may have rounded to float32."""
    return bool(np.float32(time) == np.float32(float(model_time)))


def _evaluation_times(scheme: Scheme) -> list[int] | list[float]:
    """Return the model times of a scheme's evaluations, integers where all of them are."""
    times = [float(level.model_time) for tableau in scheme for level in tableau.levels if level is not None]
    return [int(t) for t in times] if all(t.is_integer() for t in times) else times


def _starts(levels: Sequence[Any]) -> str:
    return ", ".join(f"{level.model_time:g}" for level in levels[:-1])
