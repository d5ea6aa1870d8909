"""The grids that diffusers' schedulers lay out themselves, and the levels behind them."""

from __future__ import annotations

from typing import Any

from numdiff.adapters.subjects.diffusers_schedulers import (
    Laid,
    NoGridError,
    between,
    built,
    falling,
    from_abar,
    from_rho,
    integrable,
    kind_of,
    level_at,
    timed,
)
from numdiff.level import Level


def own(cls: type, config: dict[str, Any], steps: int) -> Laid:
    """Return a scheduler on the grid that it lays out itself.

    Raises
    ------
    ValueError
        For more steps than its table has entries, or fewer than it can take.
    """
    scheduler = built(cls, config)
    kind, scale = kind_of(scheduler, cls)
    if kind == "table" and steps > len(scheduler.alphas_cumprod):
        raise ValueError(
            f"{cls.__name__} has a table of {len(scheduler.alphas_cumprod)} timesteps, got {steps} steps; "
            "ask for fewer, or give it the levels"
        )
    timed(scheduler, steps)
    if kind == "clock":
        levels = [from_abar(float(a)) for a in scheduler._alpha_cumprod(scheduler.timesteps, None)]
        return Laid(scheduler, list(scheduler.timesteps[:-1]), lambda i, t: levels[i], tuple(levels))
    if kind == "listed":
        levels = [Level(0.0, float(a), float(s), 0.0) for a, s in zip(scheduler.alphas, scheduler.betas, strict=True)]
        return Laid(scheduler, list(scheduler.timesteps), lambda i, t: levels[i], tuple(levels))
    if kind == "sigmas":
        return _own_sigmas(scheduler, scale, steps)
    return _own_table(scheduler, steps)


def regular(cls: type, config: dict[str, Any], fewest: int = 20) -> tuple[int, ...]:
    """Return the numbers of steps, from `fewest` to half its table, for which whole timesteps need no rounding."""
    scheduler = built(cls, config)
    count = len(getattr(scheduler, "alphas_cumprod", ()))
    return tuple(n for n in range(fewest, count // 2 + 1) if count % n == 0)


def _own_sigmas(scheduler: Any, scale: str, steps: int) -> Laid:
    if not hasattr(scheduler, "sigmas"):
        raise NoGridError("it has neither a table of noise levels nor sigmas")
    sigmas = [float(s) for s in scheduler.sigmas]
    times, count = scheduler.timesteps, scheduler.config.get("num_train_timesteps")

    def level(i: int, t: Any) -> Level:  # timesteps that were rounded tell the network another level
        return level_at(scale, sigmas[i] if times.is_floating_point() or scale != "flow" else float(t) / count)

    levels = sigmas if len(sigmas) == steps + 1 else falling(sigmas)
    return Laid(scheduler, list(times[: len(sigmas) - 1]), level, tuple(level_at(scale, s) for s in levels))


def _own_table(scheduler: Any, steps: int) -> Laid:
    if hasattr(scheduler, "sigmas"):
        integrable(scheduler)
    entries = [from_abar(float(a), k) for k, a in enumerate(scheduler.alphas_cumprod)]

    def level(i: int, t: Any) -> Level:
        time = float(t)
        return entries[int(time)] if time.is_integer() else from_rho(between(scheduler, i, time, entries), time)

    if hasattr(scheduler, "sigmas"):
        sigmas = [float(s) for s in scheduler.sigmas]
        sigmas = sigmas if len(sigmas) == steps + 1 else falling(sigmas)
        levels = tuple(from_rho(s) for s in sigmas)
    else:
        main = getattr(scheduler, "_timesteps", None)  # without those of a Runge-Kutta start
        main = scheduler.timesteps.tolist() if main is None else main[::-1].tolist()
        ends = [getattr(scheduler, name) for name in ("final_alpha_cumprod", "one") if hasattr(scheduler, name)]
        levels = (*(entries[int(t)] for t in main), from_abar(float(ends[0])) if ends else entries[0])
    return Laid(scheduler, list(scheduler.timesteps), level, levels)
