"""A diffusers scheduler that runs any registered method: the machine with the pipeline owning the loop.

A pipeline calls ``set_timesteps``, evaluates its network at each of ``timesteps`` and passes the output to ``step``.
That is the ask/tell machine turned inside out: ``timesteps`` lists one time per *evaluation* (a two-stage method has
two per grid step, which ``order`` then says), ``step`` tells the machine the output and returns the sample of its next
question. A sample that the pipeline changed between two calls (inpainting) is told along (UniPCMultistepScheduler's
corrector forgets such a change; here it stays). A pipeline that begins in the
middle of ``timesteps`` (image to image) gets a scheme laid out anew on the rest of the grid, with an empty history.

**No waiting for the device.** A timestep is recognized by where it lies in the memory of ``timesteps``, which the host
knows, and not by its value. One that is no view of ``timesteps`` is read once, when a run begins on a device; after
that the order of the calls is trusted. Coefficients are numbers of the host.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.schedulers.scheduling_utils import KarrasDiffusionSchedulers, SchedulerMixin
from diffusers.utils.torch_utils import randn_tensor

from numdiff.adapters.diffusers import beginning, configs, grids, hooks, processes, running
from numdiff.adapters.diffusers.flow import FlowMatching
from numdiff.adapters.diffusers.forward import Forward, refuse_other
from numdiff.adapters.diffusers.output import NumdiffSchedulerOutput
from numdiff.adapters.diffusers.place import Place
from numdiff.adapters.diffusers.running import Plan, Run
from numdiff.grids.checks import numbers
from numdiff.methods.checks import choice
from numdiff.methods.registry import method as build

KEPT = 16
"""How many plans a scheduler keeps, so that a pipeline that is called again lays nothing out."""


class NumdiffScheduler(Place, Forward, SchedulerMixin, ConfigMixin):  # type: ignore[misc]  # diffusers is not typed
    """A drop-in for the schedulers of diffusers: ``NumdiffScheduler.from_config(pipe.scheduler.config, method=...)``.

    Parameters
    ----------
    num_train_timesteps, beta_start, beta_end
        Length, first and last beta of the table of noise levels (`numdiff.adapters.diffusers.tables`).
    beta_schedule, trained_betas
        Its rule, "linear", "scaled_linear", "squaredcos_cap_v2", "exp", "laplace" or "sigmoid"; or all its betas.
    rescale_betas_zero_snr, snr_shift_scale
        Whether its last entry becomes pure noise; what its signal-to-noise ratio is divided by (CogVideoX).
    prediction_type
        "epsilon", "sample", "v_prediction" or "flow_prediction".
    process
        "table", "flow" or "edm"; None: a flow for "flow_prediction", "edm" where ``sigma_data`` is given, else a table.
    method, method_options, **kwargs
        A family of `numdiff.methods`, by name or alias, and its options, flat or as a dict: ``method="ghvb", order=3``.
        "dpmpp", "unipc" and "deis" have exact weights; the table below has what diffusers' classes do.
    start
        How a multistep method starts, as in `Method.discretize`: "lower" or "runge-kutta".
    lower_order_final, euler_at_final
        Whether the orders of the last steps are lowered as diffusers' solvers do (`running.lowered`).
    timesteps
        What chooses the levels: one of `grids.NAMES`, "optimized" among them. It goes before all entries below, which
        None reads.
    timestep_spacing, steps_offset, set_alpha_to_one, final_sigmas_type, use_karras_sigmas, use_exponential_sigmas
        As in diffusers, read by the ``convention`` (`numdiff.adapters.diffusers.spacing`). ``final_sigmas_type`` goes
        before ``set_alpha_to_one`` unless it is None. A last step that stays where it is is left out.
    use_beta_sigmas, use_lu_lambdas, sigma_min, sigma_max, rho, lambda_min_clipped
        As in diffusers; rho is the exponent of "karras".
    convention, timestep_rounding, init_noise
        Whose spacing, "ddim", "euler", "dpmsolver" or "unipc"; whether the network's times between entries are rounded
        ("none", "nearest", "down"; None: as the convention does); "unit" or "level" noise to start from.
    thresholding, dynamic_thresholding_ratio, sample_max_value, clip_sample, clip_sample_range, clip_keeps_noise
        What is done to the estimate of x_0 (`numdiff.adapters.diffusers.hooks`).
    shift, use_dynamic_shifting, base_shift, max_shift, base_image_seq_len, max_image_seq_len, time_shift_type
        Of flow matching (`numdiff.adapters.diffusers.flow`); pipelines work out mu from four of them.
    shift_terminal, invert_sigmas, use_flow_sigmas
        Of flow matching too.
    sigma_data, sigma_schedule, c_noise
        Of networks with Karras's preconditioning (`numdiff.adapters.diffusers.edm`).
    variance_type
        "learned" or "learned_range": the second half of the network's channels is its variance, and is dropped.
    accumulate
        "float32" or "float64": the dtype that the state is kept in between steps, whatever the sample's; None: the
        sample's own. Outputs narrower than the sample are widened, which loses nothing.
    check_finite
        "auto": on the CPU each output of the network is looked at, on a device none. "end": sums of all outputs are
        read after the last step, anywhere. "never".
    copies
        Whether the network's outputs are copied, needed where it re-uses its output buffer (CUDA graphs).

    Raises
    ------
    ValueError
        For unknown names, with the nearest known one, and options that the method does not have; for a method that
        evaluates the condition apart from the model, which a pipeline does not.

    Notes
    -----
    The samples of diffusers' own classes, with their default options, from `from_config` of their configurations:

    =================================  ======================================================
    DDIM, EulerDiscrete                ddim
    DDPM; EulerAncestralDiscrete       ddpm; ancestral
    PNDM, skip_prk_steps=True          pndm
    HeunDiscrete, LMSDiscrete          heun, formulation="noise/ratio"; lms, order=4
    DPMSolverMultistep                 dpmpp_2m; solver_type="heun": dpmpp, order=2
    UniPCMultistep                     unipc, order=2, rule="bh2"
    DEISMultistep                      deis, order=2, variant="log-rho"
    FlowMatchEulerDiscrete; EDMEuler   flow-euler; ddim
    EDMDPMSolverMultistep              dpmpp_2m
    =================================  ======================================================

    ``timesteps="optimized"`` makes the method's error small on a bank of Gaussian mixtures; it knows neither the
    network nor data. It wins on average, not always: on the letters of experiments/glyphs (its README has the numbers)
    DPM++ 2M has 1.9 to 3.6 times less error by it at 4 to 20 steps, but methods of order 3 in the data prediction break
    down at 50; on another network "trailing" may be better. Where no preset ships, the first `set_timesteps` searches:
    about a second for 10 steps, half a minute for 50.

    Examples
    --------
    >>> import torch
    >>> from diffusers import DDIMScheduler
    >>> import numdiff as nd
    >>> theirs = DDIMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012)
    >>> scheduler = nd.adapters.diffusers.NumdiffScheduler.from_config(theirs.config, method="ghvb", order=3, beta=0.8)
    >>> scheduler.set_timesteps(8)
    >>> x = torch.ones(1, 4, 8, 8)
    >>> for t in scheduler.timesteps:  # as in any pipeline: pipe.scheduler = scheduler
    ...     x = scheduler.step(0.1 * scheduler.scale_model_input(x, t), t, x).prev_sample
    >>> len(scheduler.timesteps), tuple(x.shape)
    (8, (1, 4, 8, 8))
    """

    _compatibles = [  # noqa: RUF012  # as diffusers has it
        *dict.fromkeys(
            [*(e.name for e in KarrasDiffusionSchedulers), *(f"{s}Scheduler" for s in configs.CONVENTION_OF)]
        )
    ]

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
        timesteps: str | None = None,
        final_sigmas_type: str | None = None,
        process: str | None = None,
        convention: str = "ddim",
        timestep_rounding: str | None = None,
        init_noise: str = "unit",
        rescale_betas_zero_snr: bool = False,
        snr_shift_scale: float = 1.0,
        lower_order_final: bool = False,
        euler_at_final: bool = False,
        use_karras_sigmas: bool = False,
        use_exponential_sigmas: bool = False,
        use_beta_sigmas: bool = False,
        use_lu_lambdas: bool = False,
        sigma_min: float | None = None,
        sigma_max: float | None = None,
        rho: float = 7.0,
        lambda_min_clipped: float | None = None,
        thresholding: bool = False,
        dynamic_thresholding_ratio: float = 0.995,
        sample_max_value: float = 1.0,
        clip_sample: bool = False,
        clip_sample_range: float = 1.0,
        clip_keeps_noise: bool = False,
        shift: float = 1.0,
        use_dynamic_shifting: bool = False,
        base_shift: float | None = 0.5,
        max_shift: float | None = 1.15,
        base_image_seq_len: int = 256,
        max_image_seq_len: int = 4096,
        time_shift_type: str = "exponential",
        shift_terminal: float | None = None,
        invert_sigmas: bool = False,
        use_flow_sigmas: bool = False,
        sigma_data: float | None = None,
        sigma_schedule: str = "karras",
        c_noise: str = "log",
        variance_type: str | None = None,
        accumulate: str | None = None,
        check_finite: str = "auto",
        copies: bool = False,
        **kwargs: Any,
    ) -> None:
        configs.refuse_unknown(method, kwargs, configs.entries(type(self)))
        method_options = dict(sorted({**(method_options or {}), **kwargs}.items())) or None
        if trained_betas is not None:
            trained_betas = numbers(trained_betas, "trained_betas").tolist()
        self.register_to_config(method_options=method_options, trained_betas=trained_betas)
        processes.check_names(self._settings)
        choice("check_finite", check_finite, running.CHECKS)
        self.method = build(method, **(method_options or {}))
        running.refuse_splitting(self.method)
        hooks.change(self._settings)
        self._process = processes.make(self._settings)
        self.schedule = self._process.schedule
        self.num_inference_steps: int | None = None
        self._plan: Plan | None = None
        self._plans: dict[Any, Plan] = {}
        self._tables: dict[torch.device, tuple[torch.Tensor, torch.Tensor]] = {}
        self._generator: torch.Generator | list[torch.Generator] | None = None
        self._at_rest()

    @classmethod
    def from_config(cls, config: Any = None, return_unused_kwargs: bool = False, **kwargs: Any) -> Any:
        """Return a scheduler of ours for the configuration of any scheduler of diffusers (`configs.translated`).

        Parameters
        ----------
        config
            A configuration.
        return_unused_kwargs
            Return (scheduler, what it did not take); otherwise that is an error.
        **kwargs
            Entries to change, and options of the method, flat.

        Raises
        ------
        TypeError, ValueError
            As the class, and for configurations of schedulers whose process cannot be followed.
        """
        own = configs.entries(cls)
        found = configs.translated(config, own)
        changes = configs.with_options(found, kwargs, own)
        if not return_unused_kwargs:
            configs.refuse_unknown(changes.get("method", found.get("method", "dpmpp")), changes, own)
        return super().from_config(found, return_unused_kwargs, **changes)

    def save_config(self, save_directory: Any, push_to_hub: bool = False, **kwargs: Any) -> None:
        """Write the configuration, as diffusers does; TypeError for an option that JSON cannot hold."""
        configs.check_json(self.config)
        super().save_config(save_directory, push_to_hub, **kwargs)

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: Any = None,
        timesteps: Sequence[float] | None = None,
        sigmas: Sequence[float] | None = None,
        mu: float | None = None,
    ) -> None:
        """Lay the method out on a grid and list the times of its evaluations in ``timesteps``.

        Parameters
        ----------
        num_inference_steps
            Number of grid steps; with a list, its length.
        device
            Where ``timesteps`` shall live.
        timesteps
            Or the grid itself: what the network is told, strictly falling; integers for a table.
        sigmas
            Or sigma/alpha (flow matching: sigma), strictly falling. For flow matching they are shifted, as its
            pipelines expect, and 0 is added; else the last one is where the run ends. With timesteps too, the network
            is told those (flow matching).
        mu
            Of a dynamic shift.

        Raises
        ------
        ValueError
            Unless exactly one of the three is given, or the grid does not suit the method.
        """
        given = timesteps if timesteps is not None else sigmas
        both = timesteps is not None and sigmas is not None and not isinstance(self._process, FlowMatching)
        if both or (given is None and num_inference_steps is None):
            raise ValueError("give exactly one of num_inference_steps and timesteps, or sigmas")
        if given is not None and num_inference_steps is not None and len(given) != num_inference_steps:
            raise ValueError(
                "give exactly one of num_inference_steps and timesteps, or sigmas: "
                f"num_inference_steps = {num_inference_steps}, but the list has {len(given)}"
            )
        steps = num_inference_steps if given is None else None
        self._plan, self._listed = self._laid_out(steps, timesteps, sigmas, mu), given is not None
        final = self._plan.scheme.levels[-1]
        self.num_inference_steps = self._plan.scheme.steps
        self.timesteps = self._plan.tensor(device)
        self.sigmas = torch.tensor([self._process.sigma(level) for level in (*self._plan.levels, final)])
        self._reset()

    def _laid_out(self, steps: int | None, timesteps: Any, sigmas: Any, mu: float | None) -> Plan:
        """Return the plan of a grid, made once for each grid."""
        grid = grids.choose(
            self._process, self._settings, self.method, steps=steps, timesteps=timesteps, sigmas=sigmas, mu=mu
        )
        key = (grid, self._settings.lower_order_final, self._settings.euler_at_final, self._settings.start)
        if key not in self._plans:
            if len(self._plans) == KEPT:
                self._plans.pop(next(iter(self._plans)))
            self._plans[key] = running.lay_out(self.method, self._process, grid, self._settings)
        return self._plans[key]

    def scale_model_input(self, sample: torch.Tensor, timestep: Any = None) -> torch.Tensor:
        """Return what the network shall see: the sample as it is, or c_in times it behind a preconditioning."""
        if not self._process.scales or self._plan is None:
            return sample
        index = (
            self._run.index
            if self._run is not None
            else beginning.first(self._plan, self.timesteps, timestep, self._begin_index)[0]
        )
        return sample * self._process.input_scale(self._plan.levels[index])

    def step(
        self,
        model_output: torch.Tensor,
        timestep: Any,
        sample: torch.Tensor,
        generator: torch.Generator | list[torch.Generator] | None = None,
        return_dict: bool = True,
        *,
        eta: float | None = None,
        use_clipped_model_output: bool | None = None,
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
            Of the noise, for methods that add it; one for the batch, or a list with one for each sample. The noise of
            a grid step is drawn before its first evaluation: by the call that ends the step before.
        return_dict
            Whether to return an object with ``prev_sample`` or a tuple of one.
        eta, use_clipped_model_output
            What DDIMPipeline passes to every scheduler: 0, False or None. Set ``eta`` of the method and
            ``clip_keeps_noise`` in `from_config`.

        Raises
        ------
        ValueError
            Before `set_timesteps`, for a timestep out of order, for outputs of another shape, dtype or device, and for
            ones that are not finite (``check_finite``), with the step and the timestep; for an `eta` other than 0.
        """
        if eta or use_clipped_model_output:
            hooks.refuse_options(eta, use_clipped_model_output)
        self._generator = generator
        run = self._run
        if run is None:
            run = self._begin(timestep, sample)
        elif timestep.__class__ is not torch.Tensor or timestep.data_ptr() != run.pointer:
            run.check_time(self.timesteps, timestep)
        if (
            model_output.dtype is not sample.dtype
            or model_output.shape != sample.shape
            or model_output.device != sample.device
        ):
            model_output = running.alike(model_output, sample, run, self._settings.variance_type)
        try:
            previous = run.advance(model_output, sample)
        except ValueError:
            self._run = None
            raise
        self._step_index = run.index
        if run.index == run.last:
            self._run, self._last = None, weakref.ref(previous)
        return NumdiffSchedulerOutput(prev_sample=previous) if return_dict else (previous,)

    def _begin(self, timestep: Any, sample: torch.Tensor) -> Run:
        """Start a run at the first evaluation of the grid step at `timestep`."""
        refuse_other("sample", sample)
        if self._plan is None:
            raise ValueError("the grid is not set: call set_timesteps before step")
        if self._last is not None and self._last() is sample:
            raise ValueError(
                f"the run is over: all {len(self.timesteps)} timesteps are behind; call set_timesteps to begin again"
            )
        index, plan = beginning.first(self._plan, self.timesteps, timestep, self._begin_index)
        settings = self._settings
        wide = None if settings.accumulate is None else getattr(torch, settings.accumulate)
        noise = partial(self._draw, sample.shape, sample.device, wide or sample.dtype)
        chosen = {"wide": wide, "copies": settings.copies, "check": settings.check_finite, "settings": settings}
        self._run = Run(plan, index, sample, noise, **chosen)
        self._run.follow(self.timesteps, timestep)
        return self._run

    def _draw(self, shape: Any, device: Any, dtype: torch.dtype, index: int, column: int) -> torch.Tensor:
        return randn_tensor(shape, generator=self._generator, device=device, dtype=dtype)
