r"""The tables of noise variances that diffusers' schedulers are configured with, in float64.

A table beta_0 .. beta_{N-1} gives abar_i = prod_{j <= i} (1 - beta_j), alpha = sqrt(abar), sigma = sqrt(1 - abar).
The rules, by the name in ``beta_schedule``:

- "linear":             beta linear from beta_start to beta_end (Ho et al. 2020, arXiv:2006.11239);
- "scaled_linear":      sqrt(beta) linear (latent diffusion, Rombach et al. 2022, arXiv:2112.10752);
- "squaredcos_cap_v2":  abar(t) = cos^2((pi/2) (t + 0.008)/1.008), t = i/N (Nichol and Dhariwal 2021, arXiv:2102.09672);
- "exp":                abar(t) = e^(-12 t);
- "laplace":            the half log-SNR of abar(t)^2 follows Laplace's quantile function (Hang et al. 2024,
                        arXiv:2407.03297);
- "sigmoid":            beta = beta_start + (beta_end - beta_start) / (1 + e^(-u)), u from -6 to 6 (Xu et al. 2022,
                        GeoDiff, arXiv:2203.02923).

Where abar(t) is given, beta_i = 1 - abar((i+1)/N)/abar(i/N), at most 0.999.

``rescale_betas_zero_snr`` moves sqrt(abar) linearly so that its last entry is 0 and its first stays (Lin et al. 2024,
arXiv:2305.08891, algorithm 1). Schedulers that work in sigma/alpha put 2^-24 for the last abar, since 0 would make it
infinite: `FLOOR`. diffusers computes all of this in float32; the difference is some 1e-6 of abar, which at the first
entries is up to 1e-3 of sigma^2 = 1 - abar.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from numdiff._names import suggest
from numdiff.schedules import Discrete

FLOOR = 2.0**-24
"""What schedulers in sigma/alpha take for the last abar of a table with zero terminal SNR."""

LARGEST_BETA = 0.999


def _cosine(t: float) -> float:
    return math.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2


def _laplace(t: float) -> float:
    half = 0.5 - t
    log_snr = -0.5 * math.copysign(1.0, half) * math.log(1 - 2 * abs(half) + 1e-6)
    return math.sqrt(1 / (1 + math.exp(-log_snr)))


def _exponential(t: float) -> float:
    return math.exp(-12.0 * t)


ALPHA_BARS: dict[str, Callable[[float], float]] = {
    "squaredcos_cap_v2": _cosine,
    "exp": _exponential,
    "laplace": _laplace,
}
"""abar as a function of t in [0, 1], by the name of the rule."""

RULES = ("linear", "scaled_linear", "sigmoid", *ALPHA_BARS)


def betas(count: int, start: float, end: float, rule: str) -> np.ndarray:
    """Return a table of noise variances, shape (count,), in float64.

    Parameters
    ----------
    count
        Number of entries, at least 2.
    start, end
        First and last variance, for the rules that have them.
    rule
        One of `RULES`.

    Raises
    ------
    ValueError
        For an unknown rule, with the nearest known one; for fewer than two entries, and variances outside (0, 1).
    """
    if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < 2:
        raise ValueError(f"num_train_timesteps must be an integer of at least 2, the table's entries, got {count!r}")
    if rule not in RULES:
        suggest(rule, RULES, "beta_schedule (pass trained_betas for another table)")
    for name, value in (("beta_start", start), ("beta_end", end)) if rule not in ALPHA_BARS else ():
        if isinstance(value, bool) or not isinstance(value, (int, float, np.floating)) or not 0 < value < 1:
            raise ValueError(f"{name} must be a number in (0, 1), a variance of noise, got {value!r}")
    if rule == "linear":
        return np.linspace(start, end, count)
    if rule == "scaled_linear":
        return np.linspace(start**0.5, end**0.5, count) ** 2
    if rule == "sigmoid":
        return start + (end - start) / (1 + np.exp(-np.linspace(-6, 6, count)))
    nodes = [ALPHA_BARS[rule](i / count) for i in range(count + 1)]
    return np.array([min(1 - b / a, LARGEST_BETA) for a, b in itertools.pairwise(nodes)])


def zero_terminal_snr(alphas_cumprod: np.ndarray, floor: float = 0.0) -> np.ndarray:
    """Return the table with sqrt(abar) moved linearly to end at 0, and its last abar at `floor`, shape (N,)."""
    root = np.sqrt(alphas_cumprod)
    moved = ((root - root[-1]) * (root[0] / (root[0] - root[-1]))) ** 2
    moved[-1] = floor
    return np.asarray(moved)


@lru_cache(maxsize=16)
def _schedule(values: tuple[float, ...], zero_snr: bool, floor: float, shift: float) -> Discrete:
    table = Discrete(betas=values, name="diffusers")
    if not zero_snr and shift == 1:
        return table
    abar = np.array(table.alphas_cumprod)
    if shift != 1:
        abar = abar / (shift + (1 - shift) * abar)
    return Discrete(alphas_cumprod=zero_terminal_snr(abar, floor) if zero_snr else abar, name="diffusers")


def schedule(settings: Any, floor: float = 0.0) -> Discrete:
    """Return the schedule of a scheduler's configuration.

    Parameters
    ----------
    settings
        Has ``num_train_timesteps``, ``beta_start``, ``beta_end``, ``beta_schedule``, ``trained_betas``,
        ``rescale_betas_zero_snr`` and ``snr_shift_scale`` (CogVideoX: abar/(s + (1-s) abar)).
    floor
        The last abar where the terminal SNR is rescaled to zero.

    Raises
    ------
    ValueError
        For an unknown rule and for betas outside (0, 1).
    """
    values = settings.trained_betas
    if values is None:
        values = betas(
            settings.num_train_timesteps, settings.beta_start, settings.beta_end, settings.beta_schedule
        ).tolist()
    flat = tuple(float(x) for x in np.asarray(values, dtype=np.float64).ravel())
    return _schedule(flat, bool(settings.rescale_betas_zero_snr), floor, float(settings.snr_shift_scale))
