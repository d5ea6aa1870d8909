r"""Every scheduler of diffusers as a subject: its own loop, on our levels or on its own.

A pipeline's loop is ``scale_model_input``, the network, ``step``. Here the network is a field that is asked at the
level of the timestep. What a scheduler carries is found out by looking at it:

- x itself where its input is left as it is, y = x/alpha where ``scale_model_input`` multiplies by alpha;
- x at alpha = 1 behind EDM's preconditioning, D = c_skip x + c_out F: the field answers with D, and F is solved for;
- what the network must predict is an option of most. For the others eps - x_0, its negative and v are tried on a path
  at rest, where x_0 = x/alpha and there is no noise: a sampler keeps x/alpha there, whatever it is.

Not every scheduler samples. One that replaces part of the noise of its sample by new noise however short the step, as
consistency models do, follows neither a probability flow nor a diffusion; nor does one whose sample is made of tokens.
Both are refused, by what they do in such a run and never by their names.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import torch

from numdiff._names import suggest
from numdiff.adapters.subjects import diffusers_claims as claims
from numdiff.adapters.subjects import diffusers_tables as tables
from numdiff.adapters.subjects.diffusers_own import own, regular
from numdiff.adapters.subjects.diffusers_precision import computing, modules, quiet, version
from numdiff.adapters.subjects.diffusers_schedulers import Laid, NoGridError, built, kind_of, parameters, timed
from numdiff.certification.subject import Array, Field, NotASamplerError, Setting, Subject, level_of
from numdiff.level import Level
from numdiff.methods.checks import choice
from numdiff.parameterizations import get

PREDICTIONS = {"epsilon": "noise", "sample": "data", "v_prediction": "v", "flow_prediction": "flow"}
GIVEN = {"model_output", "timestep", "sample", "return_dict", "old_pred_original_sample", "timestep_back"}
"""Arguments of `step` that the loop has."""

FAILURES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NameError,
    RuntimeError,
    TypeError,
    ValueError,
)
ORDER, LARGEST = "solver_order", 3
"""The option that chooses among the orders of a scheduler, and the largest that any of them has formulas for."""

MOVED = 1e-6
"""Most that a path at rest may move."""

SPREAD, FINE = tuple(np.linspace(-0.5, 1.5, tables.TRIAL + 1).tolist()), (32, 128)
"""Log-SNRs of a run on trial, and numbers of steps over the same span that a diffusion tells apart."""

REDRAWN = 0.75
"""Part of its noise that a step four times as short may still draw; of a diffusion it is a half."""


@dataclass(frozen=True)
class Loop:
    """A scheduler's class with its options, and what was found out about it.

    Parameters
    ----------
    cls, config
        Of the scheduler.
    step
        Keyword arguments of every `step`.
    how
        How it is told its levels.
    scale
        As in `Subject`.
    prediction
        As in `Subject`.
    sign
        Of what the network predicts.
    """

    cls: type
    config: dict[str, Any]
    step: dict[str, Any]
    how: tables.Convention
    scale: str
    prediction: str = "noise"
    sign: float = 1.0

    def __call__(self, field: Field, x: Array, levels: Sequence[Level], setting: Setting) -> Array:
        """Run it; see `Subject`."""
        with computing(setting.precision, setting.noise) as dtype:
            laid = self._laid(levels, setting.grid)
            ends = [float(laid.levels[n].alpha) if self._carries_ratio(laid) else 1.0 for n in (0, -1)]
            sample = torch.from_numpy(x / ends[0]).to(dtype)
            return np.asarray(self._loop(field, sample, laid).to(torch.float64).numpy() * ends[1])

    def _laid(self, levels: Sequence[Level], grid: str) -> Laid:
        if choice("grid", grid, ("given", "own")) == "own":
            return own(self.cls, self.config, len(levels) - 1)
        return tables.given(self.cls, self.config, self.how, levels)

    def _carries_ratio(self, laid: Laid) -> bool:
        """Tell whether the sample is x/alpha; asked before the first step, which fixes the index of that step."""
        if self.scale != "vp" or not hasattr(laid.scheduler, "scale_model_input"):
            return False
        one = torch.ones((), dtype=torch.get_default_dtype())
        return bool(laid.scheduler.scale_model_input(one, laid.times[0]) != one)

    def _loop(self, field: Field, sample: torch.Tensor, laid: Laid) -> torch.Tensor:
        scheduler, extras, clock = laid.scheduler, self._extras(), hasattr(laid.scheduler, "_alpha_cumprod")
        scale = getattr(scheduler, "scale_model_input", lambda sample, t: sample)
        for i, t in enumerate(laid.times):
            seen = scale(sample, t)
            output = self._answer(field, sample, seen, laid.level(i, t), scheduler, i)
            time = t.expand(len(sample)) if clock else t
            found = scheduler.step(
                model_output=output, timestep=time, sample=sample, return_dict=False, **self.step, **extras
            )
            sample = found[0]
            if extras:
                extras.update(old_pred_original_sample=found[1], timestep_back=t)
        return sample

    def _extras(self) -> dict[str, Any]:
        """Return what a scheduler with the history in its arguments is told at first."""
        known = inspect.signature(self.cls.step).parameters  # type: ignore[attr-defined]
        return {name: None for name in ("old_pred_original_sample", "timestep_back") if name in known}

    def _answer(
        self, field: Field, sample: torch.Tensor, seen: torch.Tensor, level: Level, scheduler: Any, i: int
    ) -> torch.Tensor:
        """Return the network's output, in the sample's dtype."""
        x = sample if self.scale == "edm" else seen
        # copies both ways: the scheduler keeps what it gets, and a field may return or change what it got
        answer = torch.from_numpy(np.array(field(x.to(torch.float64, copy=True).numpy(), level), dtype=float))
        answer = answer.to(sample.dtype)
        if not hasattr(scheduler, "precondition_outputs"):
            return self.sign * answer
        sigma = scheduler.sigmas[i]
        skipped, one = torch.zeros_like(sample), torch.ones_like(sample)
        skipped = scheduler.precondition_outputs(sample, skipped, sigma)
        return (answer - skipped) / scheduler.precondition_outputs(torch.zeros_like(sample), one, sigma)


@cache
def _classes() -> dict[str, type]:
    """Return the concrete schedulers by name."""
    with quiet():
        from diffusers.schedulers.scheduling_utils import SchedulerMixin

        found = [value for module in modules() for value in vars(module).values() if inspect.isclass(value)]
    return {cls.__name__: cls for cls in found if issubclass(cls, SchedulerMixin) and cls is not SchedulerMixin}


@cache
def names() -> tuple[str, ...]:
    """Return the names of all schedulers of the installed diffusers, those too that are refused.

    A scheduler that has formulas of several orders and samples with more than its default has a second name, its
    option in brackets: "UniPCMultistepScheduler(solver_order=3)".

    Raises
    ------
    ImportError
        If diffusers is not installed.
    """
    return tuple(found for name in sorted(_classes()) for found in (name, *_variants(name)))


def _variants(name: str) -> list[str]:
    """Return the name with the largest order, if it has an order to choose and that one is neither default nor refused.

    Whether it takes the order is found out by a run on trial.
    """
    default = parameters(_classes()[name]).get(ORDER)
    if default is None or default.default == LARGEST:
        return []
    try:
        return [subject(name, **{ORDER: LARGEST}).name.partition(":")[2]]
    except ValueError:  # it samples not at all, or not with this order
        return []


def subject(name: str, *, order: int | None = None, **config: Any) -> Subject:
    """Return a scheduler of diffusers.

    Parameters
    ----------
    name
        Of the class, "UniPCMultistepScheduler".
    order
        What is claimed, and its `solver_order` or the `order` of its steps, if it has one and none is given.
    config
        Options of its constructor or keyword arguments of its `step`, in the types of their defaults or as strings.

    Raises
    ------
    ValueError
        For an unknown name or option, with the nearest known one, and for options that it refuses.
    NotASamplerError
        If it does not sample, with the reason.
    """
    if name not in _classes():
        suggest(name, _classes(), "scheduler of diffusers")
    cls = _classes()[name]
    options, steps = _known(name, cls)
    if order is not None:
        config |= {key: order for key in ("solver_order", "order") if key in (options | steps) and key not in config}
    found = claims.converted(config, options | steps, name)
    off, notes = claims.switched_off(options, found)
    chosen = {key: value for key, value in found.items() if key in options} | off
    step = {key: value for key, value in found.items() if key not in options}
    called = f"{name}({_written(config)})" if config else name
    loop, stochastic = _explained(called, bool(config), lambda: _examined(called, cls, chosen, step))
    claimed = claims.claim(name, cls, options | chosen, steps | step, stochastic=stochastic)
    return _made(called, loop, order if order is not None else claimed, stochastic, notes)


def _explained(called: str, configured: bool, examine: Callable[[], tuple[Loop, bool]]) -> tuple[Loop, bool]:
    """Return what an examination returns, and say in a sentence why there is nothing."""
    try:
        return examine()
    except NotASamplerError:
        raise
    except NoGridError as error:
        raise NotASamplerError(f"{called} cannot be told its noise levels: {error}") from error
    except FAILURES as error:
        if configured:
            raise ValueError(f"{called} does not run: {_said(error)}") from error
        raise NotASamplerError(
            f"a run of {called} on real numbers, with a prediction and nothing else in each step, fails: {_said(error)}"
        ) from error


def _known(name: str, cls: type) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the options of the constructor and of `step`, with their defaults."""
    needed = [key for key, p in parameters(cls).items() if p.default is p.empty]
    if needed:
        raise NotASamplerError(f"{name} cannot be built without {', '.join(needed)}, which a model comes with")
    if not hasattr(cls, "step"):
        raise NotASamplerError(f"{name} has no method step")
    arguments = inspect.signature(cls.step).parameters
    missing = [key for key, p in arguments.items() if p.default is p.empty and key not in (*GIVEN, "self")]
    if missing:
        raise NotASamplerError(f"a step of {name} needs {', '.join(missing)}, which sampling does not have")
    unusual = {"generator", "variance_noise", "prev_timestep", "per_token_timesteps", "pred_original_sample"}
    steps = {key: value for key, value in claims.defaults(cls.step).items() if key not in GIVEN | unusual}
    return {key: p.default for key, p in parameters(cls).items()}, steps


def _examined(name: str, cls: type, config: dict[str, Any], step: dict[str, Any]) -> tuple[Loop, bool]:
    """Return the loop of a scheduler, and whether it draws noise.

    Raises
    ------
    NotASamplerError
        If it does not sample.
    """
    with computing("float64"):
        scheduler = built(cls, config)
        scale = kind_of(scheduler, cls)[1]
        _check_direction(name, cls, config, scheduler)
        how = tables.convention(cls, config)
    loop, moved = _predicting(Loop(cls, config, step, how, scale))
    stochastic = _differs(loop)
    if stochastic:
        _check_redrawn(name, loop)
    if moved > MOVED:
        raise NotASamplerError(
            f"{name} moves a sample whose model finds no noise in it by {moved:.1g} of its size, whether the model "
            f"predicts {' or '.join(dict.fromkeys(kind for kind, _ in _kinds(loop)))}"
        )
    return loop, stochastic


def _check_direction(name: str, cls: type, config: dict[str, Any], scheduler: Any) -> None:
    """Refuse what visits its table from data to noise."""
    if hasattr(scheduler, "alphas_cumprod"):
        timed(scheduler, tables.TRIAL)
        first, last = float(scheduler.timesteps[0]), float(scheduler.timesteps[-1])
        if first < last:
            raise NotASamplerError(
                f"{name} visits its timesteps upwards, {first:g} to {last:g}, from data to noise: it inverts a sampler"
            )


def _kinds(loop: Loop) -> list[tuple[str, float]]:
    """Return what a network may have to predict, with its sign: what the options say, or else all that there is."""
    chosen = loop.config.get("prediction_type", claims.defaults(loop.cls.__init__).get("prediction_type"))  # type: ignore[misc]
    if loop.scale == "edm":
        return [("data", 1.0)]
    if chosen in PREDICTIONS:
        return [(PREDICTIONS[chosen], 1.0)]
    return [("v", 1.0), ("noise", 1.0)] if loop.scale == "vp" else [("flow", 1.0), ("flow", -1.0), ("v", 1.0)]


def _predicting(loop: Loop) -> tuple[Loop, float]:
    """Return the loop with what its network must predict: what keeps a path at rest best; and how far it moves."""
    tried = [replace(loop, prediction=prediction, sign=sign) for prediction, sign in _kinds(loop)]
    moves = [_rest(one, _levels(loop, SPREAD), 0.0) for one in tried]
    best = int(np.argmin(np.nan_to_num(moves, nan=np.inf)))
    return tried[best], moves[best]


def _levels(loop: Loop, lambdas: Sequence[float]) -> list[Level]:
    return [level_of(loop.scale, lam) for lam in lambdas]


def _differs(loop: Loop) -> bool:
    """Tell whether the noise is seen in the result."""
    levels = _levels(loop, SPREAD)
    return _rest(loop, levels, 0.0) != _rest(loop, levels, 1.0)


def _check_redrawn(name: str, loop: Loop) -> None:
    """Refuse what draws new noise however short the step is; what a diffusion adds goes as the root of the step."""
    drawn = []
    for steps in FINE:
        levels = _levels(loop, np.linspace(SPREAD[0], SPREAD[-1], steps + 1).tolist())
        drawn.append(abs(_rest(loop, levels, 1.0, draws=1) - _rest(loop, levels, 0.0)) / float(levels[0].rho))
    if drawn[1] > REDRAWN * drawn[0]:
        raise NotASamplerError(
            f"{name} replaces {min(drawn[1], 1.0):.0%} of the noise of its sample by new noise in a step, however "
            "short: it jumps between samples and follows neither a probability flow nor a diffusion"
        )


def _rest(loop: Loop, levels: Sequence[Level], noise: float, draws: int | None = None) -> float:
    """Return how far x/alpha moves in a run whose model finds no noise and whose first draws, or all, are `noise`."""
    left = itertools.count(-(draws or 0))

    def drawing(shape: tuple[int, ...]) -> Array:
        return np.full(shape, noise if draws is None or next(left) < 0 else 0.0)

    def field(x: Array, level: Level) -> Array:
        return float(get(loop.prediction).components(level)[0]) * x / float(level.alpha)

    first, last = float(levels[0].alpha), float(levels[-1].alpha)
    found = loop(field, np.full((2, 2), first), levels, Setting(noise=drawing))
    return float(np.abs(found / last - 1).max())


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def _written(config: dict[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in config.items())


def _regular(loop: Loop) -> tuple[int, ...]:
    with computing("float64"):
        return regular(loop.cls, loop.config)


def _made(name: str, loop: Loop, order: int | None, stochastic: bool, notes: tuple[str, ...]) -> Subject:
    """Return the subject, with the grid of its own if samples can be compared at both ends of it."""

    @cache
    def grid(steps: int) -> tuple[Level, ...]:
        with computing("float64"):
            levels = own(loop.cls, loop.config, steps).levels
        if len(levels) != steps + 1:
            raise ValueError(f"{name} lays out {len(levels) - 1} steps when asked for {steps}; ask for another number")
        return levels

    try:
        lays_out: Callable[[int], tuple[Level, ...]] | None = grid if float(grid(8)[0].alpha) > 0 else None
    except FAILURES as error:
        lays_out, notes = None, (*notes, f"no grid of its own: {_said(error)}")
    else:
        notes = (
            notes if lays_out else (*notes, "no grid of its own: it begins at alpha = 0, where x/alpha is not finite")
        )
    return Subject(
        name=f"diffusers:{name}",
        run=loop,
        order=order,
        prediction=loop.prediction,
        scale=loop.scale,
        grid=lays_out,
        regular=_regular(loop) if lays_out else (),
        single=True,
        stochastic=stochastic,
        version=version(),
        notes=notes,
    )
