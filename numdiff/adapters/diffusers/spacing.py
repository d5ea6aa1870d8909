r"""Where a run stops: the words of diffusers' configurations as lists of noise levels.

A list is given by rho = sigma/alpha (diffusers' "sigmas") and by what the network is told as its time, which the
libraries round in different ways. Three *conventions* are in use for the same words; a scheduler of diffusers has one
of them built in, here it is an entry of the configuration:

- "ddim" (DDIM, DDPM, PNDM): N entries of the table; "linspace" has both its ends;
- "euler" (Euler, Heun, LMS, KDPM2): the same, but "linspace" is not rounded and rho is interpolated linearly between
  entries; the rules below run between the first and the last rho of the spacing;
- "dpmsolver" (DPM-Solver, UniPC, DEIS, SA-Solver): N + 1 entries of which the last is dropped; the rules below run over
  the whole table.

DDIMScheduler, DDPMScheduler and PNDMScheduler do not step to the next timestep of their list but by the whole part of
T/N, so with "linspace", and with "trailing" where N does not divide T, they arrive beside it and go on as if they had
not. Here a step ends where the next begins; the samples agree with theirs wherever the list has that spacing.

The rules in rho, from rho_max to rho_min: Karras et al. (2022), uniform in rho^(1/7); exponential, uniform in log rho;
beta, the quantiles of the Beta(0.6, 0.6) distribution (Lee et al. 2024, arXiv:2407.12173); Lu et al. (2022), uniform
in log rho over the table. A rho between two entries of the table stands for a time between theirs, linear in log rho;
"dpmsolver" then rounds it to an entry ("karras", "lu") or cuts it down to one, which its `ROUNDING` says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from numdiff._names import suggest
from numdiff.methods.checks import choice

SPACINGS = ("linspace", "leading", "trailing")
"""Rules for entries of a table (Lin et al. 2024, arXiv:2305.08891, table 2)."""

ROUNDINGS = ("none", "nearest", "down")
"""What becomes of a network's time between two entries."""


@dataclass(frozen=True)
class Convention:
    """What the words of a configuration mean.

    Parameters
    ----------
    extra
        Entries that are listed and dropped again.
    whole
        Whether "linspace" is rounded to entries.
    table_ends
        Whether the rules in rho run over the whole table; else between the ends of the spacing.
    rounding
        What becomes of the network's times, by the name of the rule; those not named are left between entries.
    floor
        The last abar of a table with zero terminal SNR: 0, or a small number instead.
    """

    extra: int
    whole: bool
    table_ends: bool
    rounding: tuple[tuple[str, str], ...] = ()
    floor: float = 0.0


_SOLVER = (("karras", "nearest"), ("lu", "nearest"), ("exponential", "down"), ("beta", "down"), ("flow", "down"))

CONVENTIONS = {
    "ddim": Convention(0, True, True),
    "euler": Convention(0, False, False, (), 2.0**-24),
    "dpmsolver": Convention(1, True, True, _SOLVER, 2.0**-24),
    "unipc": Convention(1, True, True, _SOLVER, 2.0**-24),
}
"""By name; "unipc" is "dpmsolver" but for flows and for the orders of its last steps."""


def convention(name: str) -> Convention:
    """Return the convention of that name.

    Raises
    ------
    ValueError
        For an unknown name, with the nearest known one.
    """
    if name not in CONVENTIONS:
        suggest(name, CONVENTIONS, "convention")
    return CONVENTIONS[name]


def entries(count: int, steps: int, spacing: str, offset: int, rule: Convention, last: int | None = None) -> np.ndarray:
    """Return `steps` falling timesteps of a table, float64, shape (steps,).

    Parameters
    ----------
    count
        Entries of the table.
    steps
        Number of timesteps.
    spacing
        One of `SPACINGS`.
    offset
        Added to "leading" timesteps.
    rule
        The convention.
    last
        Entries that may be used, where the noisiest are left out.

    Raises
    ------
    ValueError
        For an unknown spacing, and for more steps than entries or timesteps outside of the table.
    """
    choice("timestep_spacing", spacing, SPACINGS)
    used = count if last is None else last
    if isinstance(steps, bool) or not isinstance(steps, (int, np.integer)) or not 1 <= steps <= used - rule.extra:
        raise ValueError(
            f"num_inference_steps must lie between 1 and the table's {used} entries"
            f"{' less 1' if rule.extra else ''}, got {steps}"
        )
    total = steps + rule.extra
    if spacing == "linspace":
        found = np.linspace(0, used - 1, total)[::-1]
        found = found.round() if rule.whole else found
    elif spacing == "leading":
        found = (np.arange(total)[::-1] * (used // total) + offset).astype(np.float64)
    else:
        return _inside(np.arange(used, 0, -count / steps)[:steps].round() - 1, count, "trailing")
    return _inside(found[:steps].astype(float), count, f"{spacing} with steps_offset = {offset}")


def _inside(values: np.ndarray, count: int, what: str) -> np.ndarray:
    """Refuse timesteps outside of the table."""
    if values[0] > count - 1 or values[-1] < 0:
        raise ValueError(
            f"timestep spacing {what} gives the timesteps {values[0]:g} ... {values[-1]:g}, outside of the table's 0 "
            f"... {count - 1}; change steps_offset or the number of steps"
        )
    return values


def karras(high: float, low: float, steps: int, exponent: float = 7.0) -> np.ndarray:
    """Return `steps` falling values uniform in the 1/exponent-th power.

    Raises
    ------
    ValueError
        For an exponent that is not positive.
    """
    if not 0 < exponent < math.inf:
        raise ValueError(f"rho, the exponent of the karras rule, must be positive, got {exponent}; 7 is usual")
    first, last = high ** (1 / exponent), low ** (1 / exponent)
    return np.asarray(_exact_ends((first + np.linspace(0, 1, steps) * (last - first)) ** exponent, high, low))


def exponential(high: float, low: float, steps: int) -> np.ndarray:
    """Return `steps` falling values uniform in the logarithm."""
    return _exact_ends(np.exp(np.linspace(math.log(high), math.log(low), steps)), high, low)


def beta(high: float, low: float, steps: int) -> np.ndarray:
    """Return `steps` falling values at the quantiles of the Beta(0.6, 0.6) distribution."""
    from scipy.stats import beta as distribution

    quantiles = distribution.ppf(1 - np.linspace(0, 1, steps), 0.6, 0.6)
    return _exact_ends(low + quantiles * (high - low), high, low)


def _exact_ends(values: np.ndarray, high: float, low: float) -> np.ndarray:
    """Return the values with their ends free of rounding; a list of one value is the high end."""
    if len(values) > 1:
        values[-1] = low
    values[0] = high
    return values


RHO_RULES: dict[str, Callable[[float, float, int], np.ndarray]] = {
    "karras": karras,
    "exponential": exponential,
    "beta": beta,
    "lu": exponential,
}
"""Rules in rho = sigma/alpha, by the name in ``timesteps=``."""

FLAGS = {
    "use_karras_sigmas": "karras",
    "use_exponential_sigmas": "exponential",
    "use_beta_sigmas": "beta",
    "use_lu_lambdas": "lu",
}
"""How diffusers' configurations ask for them."""


def rule_name(settings: Any) -> str | None:
    """Return the rule in rho that the flags of a configuration ask for, or None.

    Raises
    ------
    ValueError
        If they ask for several.
    """
    asked = [flag for flag in FLAGS if getattr(settings, flag)]
    if len(asked) > 1:
        raise ValueError(f"only one of {', '.join(FLAGS)} can be used, got {' and '.join(asked)}")
    return FLAGS[asked[0]] if asked else None


def table_rho(alphas_cumprod: Sequence[float]) -> np.ndarray:
    """Return sigma/alpha at the entries of a table, rising, shape (N,); inf where alpha = 0."""
    abar = np.asarray(alphas_cumprod)
    with np.errstate(divide="ignore"):
        return np.sqrt((1 - abar) / abar)


def times_of(rho: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Return the times in a table at which sigma/alpha is `rho`, linear in log rho between entries, its ends beyond."""
    return np.interp(np.log(rho), np.log(table), np.arange(len(table), dtype=float))


def rounded(times: np.ndarray, rounding: str) -> np.ndarray:
    """Return times of the network rounded as `ROUNDINGS` says."""
    choice("timestep_rounding", rounding, ROUNDINGS)
    if rounding == "none":
        return times
    return np.round(times) if rounding == "nearest" else np.floor(times + 1e-9)
