r"""Optimized time steps for other programs: lists of sigmas, and diffusers' schedulers.

Two conventions for a "sigma" are in use. k-diffusion, ComfyUI and diffusers' schedulers for tables of noise levels take
rho = sigma_t/alpha_t = e^(-lambda), the noise of a sample scaled to alpha = 1. Flow models take
sigma_t/(alpha_t + sigma_t) = 1/(1 + e^lambda) in [0, 1], which on straight paths, alpha = 1 - sigma, is sigma itself.
Both fall from noise to data, and 0 is the clean end.

diffusers. A scheduler's ``set_timesteps`` takes sigmas, or timesteps, or neither; some shift what they are given. Here
the arguments are tried on a copy of the scheduler, and its sigmas are compared with those wanted, so that a scheduler
that would run other steps is an error and never a surprise. Where arguments do not do, `install` writes the sigmas and
the timesteps into the scheduler after ``set_timesteps``. A timestep between two entries of the table is interpolated
linearly in log rho, as in diffusers' own ``_sigma_to_t``.

Only ``timesteps=`` rounds to entries; `diffusers_rounding` says what that costs.
"""

from __future__ import annotations

import copy
import inspect
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numdiff.methods.checks import choice
from numdiff.optimize.numerals import text as text
from numdiff.optimize.result import Rounding, TimeSteps
from numdiff.optimize.rounding import SAME_END

Array = NDArray[np.float64]

CONVENTIONS = (None, "k-diffusion", "flow")
_CLOSE = 1e-5
"""Relative error of sigmas that float32 and a handful of operations on them leave, 1e-7 each."""


def sigmas(result: TimeSteps, *, convention: str | None = None, final_zero: bool = False) -> Array:
    """Return the sigmas of the nodes, falling, as other programs list them.

    Parameters
    ----------
    result
        The steps.
    convention
        "k-diffusion": sigma/alpha. "flow": sigma/(alpha + sigma), in [0, 1]. None: "flow" for flow schedules, else
        "k-diffusion".
    final_zero
        Whether to append 0, a step to the clean end, if the last is not 0 already. That is one step more than was
        optimized.

    Returns
    -------
    ndarray
        Shape (N + 1,), or (N + 2,) where a 0 was appended.

    Raises
    ------
    ValueError
        For an unknown convention, and where alpha = 0 has no finite sigma/alpha.

    Examples
    --------
    >>> import numdiff as nd
    >>> found = nd.optimize.preset("stable-diffusion", 5)
    >>> [f"{sigma:.3f}" for sigma in nd.optimize.sigmas(found)]
    ['14.615', '2.878', '0.694', '0.283', '0.100', '0.000']
    """
    name = choice("convention", convention, CONVENTIONS)
    if name is None:
        name = "flow" if result.schedule.is_flow else "k-diffusion"
    lam = result.log_snr
    if name == "flow":
        found = np.array([1 / (1 + math.exp(x)) if x < 700 else math.exp(-x) for x in lam])
    elif lam[0] == -math.inf:
        raise ValueError(
            "sigma/alpha is infinite at the first node, where alpha = 0; use convention='flow', or optimize with "
            "t_start below the schedule's T"
        )
    else:
        found = np.exp(-lam)
    return np.append(found, 0.0) if final_zero and found[-1] > 0 else found


def diffusers_rounding(result: TimeSteps, scheduler: Any) -> Rounding:
    """Return what becomes of the steps at entries of the scheduler's own table (`numdiff.optimize.rounding`).

    A node beyond the table is moved to its end, which `shift` says; `diffusers_arguments` and `install` refuse it.

    Parameters
    ----------
    result
        The steps.
    scheduler
        A scheduler of diffusers; it is not changed.

    Returns
    -------
    Rounding
        The entries, and by how much the nodes move.

    Raises
    ------
    TypeError
        If the scheduler does not run on a list of sigmas, or has no table of noise levels.
    ValueError
        If there are more steps than entries.

    Examples
    --------
    >>> import numdiff as nd
    >>> from diffusers import DPMSolverMultistepScheduler
    >>> scheduler = DPMSolverMultistepScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    >>> rounding = nd.optimize.diffusers_rounding(nd.optimize.preset("stable-diffusion", 4), scheduler)
    >>> rounding.timesteps.tolist(), round(rounding.shift, 3)
    ([999, 574, 171, 13], 0.005)
    """
    return result.rounded_to(_table(scheduler))


def diffusers_arguments(result: TimeSteps, scheduler: Any, *, kind: str | None = None) -> dict[str, Any]:
    """Return the arguments of the scheduler's ``set_timesteps``, which many pipelines take too.

    Parameters
    ----------
    result
        The steps.
    scheduler
        A scheduler of diffusers; it is not changed.
    kind
        "sigmas" or "timesteps"; None takes sigmas where they work, since only timesteps are rounded.

    Returns
    -------
    dict
        ``{"sigmas": [...]}`` or ``{"timesteps": [...]}``: ``pipe(prompt, **arguments)`` or
        ``scheduler.set_timesteps(**arguments)``. The scheduler then runs on the nodes of the result (timesteps: on
        the entries of `diffusers_rounding`), which was checked on a copy of it.

    Raises
    ------
    TypeError
        If `scheduler` has no ``set_timesteps`` and sigmas.
    ValueError
        If the scheduler ends at the clean end and the result does not, or the other way round, if a node lies beyond
        the scheduler's table, or if no arguments make it run on these steps; the message says what remains.

    Examples
    --------
    >>> import numdiff as nd
    >>> from diffusers import FlowMatchEulerDiscreteScheduler
    >>> scheduler = FlowMatchEulerDiscreteScheduler()
    >>> arguments = nd.optimize.diffusers_arguments(nd.optimize.preset("flow", 4), scheduler)
    >>> [f"{sigma:.3f}" for sigma in arguments["sigmas"]]
    ['1.000', '0.701', '0.369', '0.093']
    >>> scheduler.set_timesteps(**arguments)  # or pipe(prompt, **arguments)
    """
    _check_scheduler(scheduler)
    choice("kind", kind, (None, "sigmas", "timesteps"))
    _check_end(result, scheduler)
    _check_inside(result, scheduler, rounded=kind == "timesteps")
    accepted = inspect.signature(scheduler.set_timesteps).parameters
    reasons = []
    for name in ("sigmas", "timesteps") if kind is None else (kind,):
        if name not in accepted:
            reasons.append(f"set_timesteps takes no {name}=")
            continue
        wanted, candidates = _sigma_lists(result, scheduler) if name == "sigmas" else _entries(result, scheduler)
        for values in candidates:
            refused = _refused(scheduler, {name: values}, wanted)
            if refused is None:
                return {name: values}
            reasons.append(f"{name}= gives other steps ({refused})")
    why = "; ".join(dict.fromkeys(reasons))
    raise ValueError(
        f"no arguments make this {type(scheduler).__name__} run on these steps: {why}; use "
        "nd.optimize.install(scheduler, result)"
    )


def install(
    scheduler: Any, result: TimeSteps, *, device: Any = None, rounded: bool = False, **options: Any
) -> Rounding | None:
    """Call the scheduler's ``set_timesteps`` and put the optimized steps in place of what it chose.

    Parameters
    ----------
    scheduler
        A scheduler of diffusers that runs on a list of sigmas; it is changed. A later ``set_timesteps``, such as a
        pipeline's own, undoes it: pass the result's arguments to the pipeline instead, or run the loop yourself.
    result
        The steps.
    device
        Where ``timesteps`` shall live.
    rounded
        Whether the nodes are moved to entries of the scheduler's table (`diffusers_rounding`), for a network that
        indexes with its time. Otherwise nothing is rounded, and timesteps may lie between entries.
    **options
        Passed to ``set_timesteps``, such as ``mu``; a scheduler with dynamic shifting that needs a ``mu`` gets one,
        without effect, since its sigmas are replaced.

    Returns
    -------
    Rounding or None
        What the rounding did.

    Raises
    ------
    TypeError
        If the scheduler does not run on a list of sigmas, or has no table to round to.
    ValueError
        If the result ends at the clean end and the scheduler does not; if a node lies beyond the scheduler's table,
        where its network was not trained; if the first sigma is infinite.

    Notes
    -----
    A result that ends at a positive sigma ends there too, whatever the scheduler does by itself; a scheduler told
    ``final_sigmas_type="zero"`` still lowers the order of its last step.

    Examples
    --------
    >>> import numdiff as nd
    >>> from diffusers import FlowMatchEulerDiscreteScheduler
    >>> scheduler, found = FlowMatchEulerDiscreteScheduler(), nd.optimize.preset("flow", 4)
    >>> nd.optimize.install(scheduler, found)
    >>> bool(abs(scheduler.sigmas.numpy() - nd.optimize.sigmas(found)).max() < 1e-6)
    True
    """
    import torch

    _check_scheduler(scheduler)
    if result.log_snr[-1] == math.inf:  # a list that was not made for it meets log(0) there
        _check_end(result, scheduler)
    _check_inside(result, scheduler, rounded=rounded)
    rounding = diffusers_rounding(result, scheduler) if rounded else None
    lam = result.log_snr if rounding is None else rounding.log_snr
    levels, times = _scales(lam, scheduler), _model_times(lam, scheduler, result)
    if rounding is not None:
        times[: result.steps] = rounding.timesteps
    scheduler.set_timesteps(result.steps, device=device, **_needed(scheduler) | options)
    repeated = _is_interleaved(scheduler, result.steps)
    if repeated:  # two evaluations a step: 0, 1, 1, 2, 2, ...; none at the clean end
        levels, times = (np.append(x[:1], np.repeat(x[1:], 2)) for x in (levels, times))
    count = 2 * result.steps - (levels[-1] == 0) if repeated else result.steps
    scheduler.sigmas = torch.tensor(levels[: count + 1], dtype=torch.float32, device=scheduler.sigmas.device)
    dtype = torch.int64 if rounding is not None and scheduler.timesteps.dtype == torch.int64 else torch.float32
    scheduler.timesteps = torch.tensor(times[:count], device=device).to(dtype)
    return rounding


# --- what a scheduler is ----------------------------------------------------------------------------------------------


def _check_scheduler(scheduler: Any) -> None:
    if not hasattr(scheduler, "set_timesteps") or not hasattr(scheduler, "sigmas"):
        raise TypeError(
            f"{type(scheduler).__name__} does not run on a list of sigmas; use a scheduler that does, such as "
            "DPMSolverMultistepScheduler, or nd.adapters.diffusers.NumdiffScheduler"
        )
    if hasattr(scheduler, "sigmas_interpol") or hasattr(scheduler, "precondition_noise"):
        raise TypeError(f"{type(scheduler).__name__} keeps lists of its own beside its sigmas, which would not follow")


def _is_flow(scheduler: Any) -> bool:
    return not hasattr(scheduler, "alphas_cumprod") or bool(getattr(scheduler.config, "use_flow_sigmas", False))


def _is_interleaved(scheduler: Any, steps: int) -> bool:
    """Tell whether every node but the ends is listed twice, as in HeunDiscreteScheduler."""
    listed = len(scheduler.timesteps)
    if len(scheduler.sigmas) != listed + 1 or listed not in (steps, 2 * steps - 1):
        raise TypeError(
            f"{type(scheduler).__name__} lists {listed} timesteps and {len(scheduler.sigmas)} sigmas for {steps} "
            "steps, which is neither one nor two evaluations a step"
        )
    return steps > 1 and listed == 2 * steps - 1


def _table(scheduler: Any) -> Array:
    """Return the half log-SNR of the scheduler's entries."""
    _check_scheduler(scheduler)
    if _is_flow(scheduler):
        raise TypeError(f"{type(scheduler).__name__} of a flow model has no table of noise levels to round to")
    abar = np.asarray(scheduler.alphas_cumprod.detach().cpu().double().numpy())
    with np.errstate(divide="ignore"):
        return 0.5 * (np.log(abar) - np.log1p(-abar))


def _scales(lam: Array, scheduler: Any) -> Array:
    """Return the sigmas that stand for log-SNRs in this scheduler."""
    if _is_flow(scheduler):
        if lam[0] == -math.inf and hasattr(scheduler, "alphas_cumprod"):
            raise ValueError(
                f"{type(scheduler).__name__} takes the logarithm of alpha, which is 0 at the first node; optimize with "
                "t_start below T"
            )
        found = 1 / (1 + np.exp(np.minimum(lam, 700.0)))
        return np.where(np.isinf(lam) & (lam > 0), 0.0, found)
    if lam[0] == -math.inf:
        raise ValueError("sigma/alpha is infinite at the first node, where alpha = 0; optimize with t_start below T")
    return np.exp(-lam)


def _model_times(lam: Array, scheduler: Any, result: TimeSteps) -> Array:
    """Return the timesteps at log-SNRs: those of the result's table, if it is one of that size, or interpolated."""
    if _is_flow(scheduler):
        return _scales(lam, scheduler) * scheduler.config.num_train_timesteps
    table = _table(scheduler)
    if getattr(result.schedule, "N", None) == len(table) and lam is result.log_snr:
        return np.array([level.model_time for level in result.levels], dtype=float)
    return np.interp(-lam, -table, np.arange(len(table), dtype=float))


def _check_inside(result: TimeSteps, scheduler: Any, *, rounded: bool) -> None:
    """Refuse nodes beyond the table; rounded ones beyond by more than half its last spacing, as far as others move."""
    if _is_flow(scheduler):
        return
    table = _table(scheduler)
    high, low = (0.5 * abs(np.diff(table)[[0, -1]]) if rounded else np.full(2, SAME_END)).tolist()
    outside = (result.log_snr > table[0] + high) | (result.log_snr < table[-1] - low)
    outside &= np.isfinite(result.log_snr)
    if outside.any():
        i = int(np.argmax(outside))
        raise ValueError(
            f"node {i} has log-SNR {result.log_snr[i]:.6g}, beyond the scheduler's table, {table[-1]:.6g} to "
            f"{table[0]:.6g}, where its network was not trained; optimize with t_start and t_end inside"
        )


def _needed(scheduler: Any) -> dict[str, float]:
    """Return what ``set_timesteps`` cannot do without: mu where the shift depends on the size of the image."""
    return {"mu": 1.0} if getattr(scheduler.config, "use_dynamic_shifting", False) else {}


def _ends_clean(scheduler: Any, steps: int) -> bool:
    trial = copy.deepcopy(scheduler)
    trial.set_timesteps(steps, **_needed(scheduler))
    return float(trial.sigmas[-1]) == 0


def _check_end(result: TimeSteps, scheduler: Any) -> None:
    clean, name = result.log_snr[-1] == math.inf, type(scheduler).__name__
    if _ends_clean(scheduler, result.steps) == clean:
        return
    if clean:
        raise ValueError(
            f"the steps end at sigma = 0, and this {name} ends at a positive sigma; give it final_sigmas_type='zero' "
            "if it takes that, or optimize with final_zero=False"
        )
    raise ValueError(
        f"the steps end at sigma > 0, and this {name} ends at sigma = 0; give it final_sigmas_type='sigma_min' if it "
        "takes that, optimize with final_zero=True, or add a step: result.with_clean_end()"
    )


# --- arguments, tried on a copy ---------------------------------------------------------------------------------------


def _sigma_lists(result: TimeSteps, scheduler: Any) -> tuple[Array, list[list[float]]]:
    """Return the sigmas wanted, and the lists that may lead to them: all, all but the last, those before a shift."""
    wanted = _scales(result.log_snr, scheduler)
    candidates = [wanted, wanted[:-1]]
    shift = getattr(scheduler, "shift", getattr(scheduler.config, "flow_shift", 1.0))
    if _is_flow(scheduler) and shift != 1:
        candidates = [wanted[:-1] / (shift - (shift - 1) * wanted[:-1])]
    return wanted, [values.tolist() for values in candidates]


def _entries(result: TimeSteps, scheduler: Any) -> tuple[Array, list[list[int]]]:
    """Return the sigmas wanted of rounded steps, and the timesteps; none for a flow, whose timesteps are sigmas."""
    if _is_flow(scheduler):
        return _scales(result.log_snr, scheduler), []
    found = diffusers_rounding(result, scheduler)
    return _scales(found.log_snr, scheduler), [found.timesteps.tolist()]


def _refused(scheduler: Any, arguments: dict[str, Any], wanted: Array) -> str | None:
    """Return why a copy of the scheduler does not run on the sigmas wanted, or None."""
    trial = copy.deepcopy(scheduler)
    try:
        trial.set_timesteps(**arguments, **_needed(scheduler))
    except (ValueError, TypeError, IndexError) as error:
        return str(error).splitlines()[0]
    found = trial.sigmas.detach().cpu().double().numpy()
    if len(found) == 2 * (len(wanted) - 1):
        found = np.append(found[:1], found[1::2])  # two evaluations a step
    if found.shape != wanted.shape:
        return f"{len(found)} sigmas for {len(wanted)} nodes"
    allowed = np.append(np.full(len(wanted) - 1, _CLOSE), SAME_END) * wanted
    worst = int(np.argmax(np.abs(found - wanted) - allowed))
    if abs(found[worst] - wanted[worst]) <= allowed[worst]:
        return None
    return f"sigma {worst} would be {found[worst]:.6g}, not {wanted[worst]:.6g}"
