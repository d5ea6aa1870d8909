r"""Our levels made those of diffusers' schedulers.

A scheduler with a table of abar_t = alpha^2 is built for a table that *is* our list of levels, entry 0 the last of
them, and told to visit its entries one by one:

    abar_k = alpha(lambda_{N-k})^2,  k = 0 .. N,      timesteps N, N-1, ..., 1,      the last step going to entry 0.

Which of its options make it visit them so is found by trying. The table is written into its attributes after it is
built, because abar_t as a running product of 1 - beta_t is not exact. A scheduler that ends at sigma = 0 whatever it is
told runs one step more, from entry 0, and is stopped before; so its last step to a level of ours is a step like any
other. Schedulers without a table (EDM's, flow matching) get our sigmas in place of theirs, each wherever theirs was.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any

import numpy as np
import torch

from numdiff.adapters.subjects.diffusers_schedulers import (
    Laid,
    NoGridError,
    between,
    built,
    from_rho,
    integrable,
    kind_of,
    parameters,
    timed,
)
from numdiff.level import Level

NEUTRAL: dict[str, Any] = {
    "use_karras_sigmas": False,
    "use_exponential_sigmas": False,
    "use_beta_sigmas": False,
    "use_lu_lambdas": False,
    "use_dynamic_shifting": False,
    "rescale_betas_zero_snr": False,
    "snr_shift_scale": 1.0,
    "shift": 1.0,
    "flow_shift": 1.0,
    "shift_terminal": None,
    "invert_sigmas": False,
    "lambda_min_clipped": -math.inf,
    "interpolation_type": "linear",
    "timestep_type": "discrete",
    "set_alpha_to_one": False,
    "steps_offset": 0,
}
"""Options that move the levels; on a given grid they must not."""

SMALL: dict[str, Any] = {"num_train_timesteps": 2, "trained_betas": (0.5, 0.5)}
"""What a scheduler is built with: some lay out a run over their whole table, which is not theirs yet."""

TRIAL = 6
"""Steps of the run that finds out by which options a scheduler visits its table one by one."""


@dataclass(frozen=True)
class Convention:
    """How a scheduler is told its levels.

    Parameters
    ----------
    kind
        "table": of abar; "listed": the sigmas of the run are an option; "clock": abar is a function of the time; or
        "sigmas".
    scale
        As in `Subject`.
    options
        What makes it visit a table one by one.
    extra
        Steps that are run and left out at the end.
    parts
        Entries of the table in a step.
    """

    kind: str
    scale: str
    options: tuple[tuple[str, Any], ...] = ()
    extra: int = 0
    parts: int = 1


def convention(cls: type, config: dict[str, Any]) -> Convention:
    """Find out how a scheduler is told its levels.

    Raises
    ------
    NoGridError
        If none of its options makes it visit a table one by one.
    """
    scheduler = built(cls, config)
    kind, scale = kind_of(scheduler, cls)
    if kind in ("listed", "clock"):
        return Convention(kind, scale)
    if kind == "sigmas":
        timed(scheduler, TRIAL)
        several = len(scheduler.timesteps) > TRIAL + 1
        return Convention(kind, scale, extra=int(several))
    # a Runge-Kutta start evaluates half way between the entries of a step
    parts = 2 if scheduler.config.get("skip_prk_steps") is False else 1
    levels = [from_rho(r) for r in np.geomspace(2.0, 0.2, TRIAL + 1)]
    failures: list[str] = []
    for extra, options in product((0, 1), _spacings(cls, parts)):
        trial = Convention(
            kind, scale, tuple((options | {"steps_offset": 0 if extra else parts}).items()), extra, parts
        )
        try:
            if _visits(of_table(cls, config, trial, levels), trial):
                return trial
            failures.append("its timesteps skip entries of the table")
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            failures.append(f"{type(error).__name__}: {' '.join(str(error).split())}")
    raise NoGridError(f"no option makes it visit {TRIAL} levels one by one: {failures[0]}")


def _spacings(cls: type, parts: int) -> Iterable[dict[str, Any]]:
    names = ("linspace", "leading", "trailing") if parts == 1 else ("leading",)
    return [{"timestep_spacing": name} for name in names] if "timestep_spacing" in parameters(cls) else [{}]


def _visits(laid: Laid, trial: Convention) -> bool:
    """Tell whether a run visits all entries in order, and ends at the last where it says where it ends."""
    whole = [float(t) for t in laid.scheduler.timesteps if float(t).is_integer()]
    steps = list(dict.fromkeys(t for t in whole if t % trial.parts == 0))
    last = 0 if trial.extra else trial.parts
    if steps != [float(k) for k in range(TRIAL * trial.parts, last - 1, -trial.parts)]:
        return False
    sigmas = getattr(laid.scheduler, "sigmas", None)
    if sigmas is None:
        return True
    return bool(abs(float(sigmas[-1]) - (0.0 if trial.extra else 0.2)) < 1e-5)


def given(cls: type, config: dict[str, Any], how: Convention, levels: Sequence[Level]) -> Laid:
    """Return a scheduler that visits our levels.

    Parameters
    ----------
    cls
        Of the scheduler.
    config
        Its options.
    how
        What `convention` found.
    levels
        N + 1 of them, noise falling.

    Raises
    ------
    NoGridError
        If it cannot be told these.
    ValueError
        If the noise does not fall.
    """
    for n, (before, after) in enumerate(pairwise(levels)):
        if not float(after.rho) < float(before.rho):
            raise ValueError(
                f"the noise must fall from level to level, but sigma/alpha is {before.rho} and {after.rho} "
                f"at levels {n} and {n + 1}; drop one of them"
            )
    make = {"table": of_table, "listed": _of_list, "clock": _of_clock, "sigmas": _of_sigmas}[how.kind]
    return make(cls, config, how, levels)


def neutral(cls: type, config: dict[str, Any], levels: Sequence[Level], **options: Any) -> dict[str, Any]:
    """Return options that leave the levels alone, of those that the scheduler has."""
    known = parameters(cls)
    final = "zero" if float(levels[-1].sigma) == 0 else "sigma_min"
    wanted = NEUTRAL | {"final_sigmas_type": final} | options
    if config.get("tau_func") is None:  # by default a function of the timestep in a table of 1000
        wanted["tau_func"] = _one
    return config | {name: value for name, value in wanted.items() if name in known}


def _one(timestep: Any) -> int:
    return 1


def of_table(cls: type, config: dict[str, Any], how: Convention, levels: Sequence[Level]) -> Laid:
    """Return a scheduler whose table is our list of levels."""
    steps = len(levels) - 1
    entries = refined(levels, how.parts)[::-1]
    abar = np.array([float(level.alpha) ** 2 for level in entries])
    alphas = abar / np.concatenate([[1.0], abar[:-1]])
    scheduler = built(cls, neutral(cls, config, levels, **dict(how.options), **SMALL))
    lengths = {"num_train_timesteps": len(abar), "original_inference_steps": steps + how.extra}
    scheduler.register_to_config(**{name: value for name, value in lengths.items() if name in parameters(cls)})
    squares = np.array([float(level.sigma) ** 2 for level in entries])
    _write(scheduler, abar, alphas, squares)
    timed(scheduler, steps + how.extra)
    times = _until(scheduler, steps, how)
    if hasattr(scheduler, "sigmas"):
        integrable(scheduler)

    def level(i: int, t: Any) -> Level:
        time = float(t)
        return entries[int(time)] if time.is_integer() else from_rho(between(scheduler, i, time, entries), time)

    return Laid(scheduler, times, level, tuple(levels))


def _write(scheduler: Any, abar: Any, alphas: Any, squares: Any) -> None:
    """Write the table into every attribute that holds it; what lies after the last entry is the last entry."""
    with np.errstate(divide="ignore"):
        values = {
            "alphas_cumprod": abar,
            "alphas": alphas,
            "betas": 1 - alphas,
            "alpha_t": np.sqrt(abar),
            "sigma_t": np.sqrt(squares),
            "lambda_t": 0.5 * (np.log(abar) - np.log(squares)),
            "final_alpha_cumprod": abar[0],
            "initial_alpha_cumprod": abar[0],
            "one": abar[0],
        }
    for name, value in values.items():
        if hasattr(scheduler, name):
            setattr(scheduler, name, torch.tensor(value, dtype=torch.get_default_dtype()))


def _until(scheduler: Any, steps: int, how: Convention) -> Sequence[Any]:
    """Return the timesteps of the first `steps` steps."""
    times = scheduler.timesteps
    if not how.extra:
        return list(times)
    per_step = (len(times) + 1) // (steps + 1)  # the last step, to sigma = 0, is always of one evaluation
    return list(times[: per_step * steps])


def refined(levels: Sequence[Level], parts: int) -> list[Level]:
    """Return the levels with those between them that cut the log-SNR of each step into equal parts."""
    found = [levels[0]]
    for before, after in pairwise(levels):
        r, s, cuts = float(before.rho), float(after.rho), [k / parts for k in range(1, parts)]
        found += [*(from_rho(r ** (1 - u) * s**u) for u in cuts), after]
    return found


def _of_list(cls: type, config: dict[str, Any], how: Convention, levels: Sequence[Level]) -> Laid:
    scheduler = cls(**config | {"trained_betas": [float(level.sigma) for level in levels]})
    timed(scheduler, len(levels) - 1)
    return Laid(scheduler, list(scheduler.timesteps), lambda i, t: levels[i], tuple(levels))


def _of_clock(cls: type, config: dict[str, Any], how: Convention, levels: Sequence[Level]) -> Laid:
    """Return a scheduler whose abar is looked up; its times are counted down to 1, as it adds no noise at time 0."""
    scheduler, count = cls(**config), len(levels)
    abar = torch.tensor([1.0, *(float(level.alpha) ** 2 for level in reversed(levels))])
    scheduler._alpha_cumprod = lambda t, device: abar[t.long()]
    scheduler.set_timesteps(timesteps=torch.arange(count, 0, -1, dtype=abar.dtype))
    return Laid(scheduler, list(scheduler.timesteps[:-1]), lambda i, t: levels[i], tuple(levels))


def _of_sigmas(cls: type, config: dict[str, Any], how: Convention, levels: Sequence[Level]) -> Laid:
    """Return a scheduler whose sigmas are replaced by ours in the order in which they fall."""
    steps = len(levels) - 1
    scheduler = built(cls, neutral(cls, config, levels, num_train_timesteps=max(1000, steps + 2)))
    ours = [float(level.sigma) for level in levels] + [0.0] * how.extra
    for count in (steps + how.extra, steps + how.extra + 1):  # some count their sigmas, not their steps
        timed(scheduler, count)
        if not hasattr(scheduler, "sigmas"):
            raise NoGridError("it has neither a table of noise levels nor sigmas")
        theirs = [float(s) for s in scheduler.sigmas]
        distinct = theirs if len(theirs) == len(ours) else list(dict.fromkeys(theirs))
        if len(distinct) == len(ours):
            break
    else:
        raise NoGridError(
            f"for {steps} steps it has the {len(distinct)} sigmas {', '.join(f'{s:.4g}' for s in distinct)}"
        )
    rank = {s: n for n, s in enumerate(distinct)}
    ranks = [rank[s] for s in theirs] if len(theirs) != len(ours) else list(range(len(ours)))
    times = len(scheduler.timesteps)
    scheduler.sigmas = torch.tensor([ours[n] for n in ranks], dtype=scheduler.sigmas.dtype)
    scheduler.timesteps = _times(scheduler, times)
    return Laid(
        scheduler, _until(scheduler, steps, how)[: len(ranks) - 1], lambda i, t: levels[ranks[i]], tuple(levels)
    )


def _times(scheduler: Any, count: int) -> torch.Tensor:
    """Return the timesteps of a scheduler's sigmas: what preconditions them, a multiple, or the distance from 1."""
    sigmas = scheduler.sigmas[:count]
    if hasattr(scheduler, "precondition_noise"):
        return scheduler.precondition_noise(sigmas)
    scale = scheduler.config.get("num_train_timesteps")
    return 1 - sigmas if scale is None else sigmas * scale
