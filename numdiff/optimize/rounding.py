r"""Steps moved to the entries of a table: every entry once, as near as the sum of squares allows.

A network trained on a table of noise levels may be asked only at its entries. Let e_0 > e_1 > ... > e_{M-1} be their
half log-SNRs and lambda_0 < ... < lambda_n the nodes, from noise to data. Wanted are entries j_0 > ... > j_n, all
different, with the least

    sum_i (lambda_i - e_{j_i})^2.

Where the nearest entries differ they are the answer, since each term is least there. Where two nodes have the same
nearest entry, which no gap in log-SNR prevents when a grid is finer than the table's first spacings, one of them moves
on. The minimum is found exactly by dynamic programming, S_i(j) = (lambda_i - e_j)^2 + min_{k > j} S_{i-1}(k), in n M
operations. An entry at -inf (alpha = 0) takes a node at -inf and no other; without one such a node takes the noisiest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numdiff.schedules import Discrete

Array = NDArray[np.float64]

SAME_END = 1e-3
"""Difference of two half log-SNRs that name one entry: float32 tables differ from exact ones by 1e-4 at the end."""


@dataclass(frozen=True, eq=False)
class Rounding:
    """Steps moved to entries of a table.

    Parameters
    ----------
    timesteps
        The entries at which the N steps begin, falling strictly, shape (N,).
    log_snr
        Half log-SNR of all N + 1 nodes after rounding; a last node at sigma = 0 stays.
    shift
        The largest move of a node in half log-SNR.
    objective
        The objective there. None where the result cannot evaluate it, and where an end moved, by more than 1e-3: the
        objective is a function of the nodes between fixed ends and would hide that.

    Examples
    --------
    >>> import numdiff as nd
    >>> found = nd.optimize.preset("stable-diffusion", 4)
    >>> levels = [float(x) for x in nd.schedules.Discrete.stable_diffusion().corners[::-1]]
    >>> rounding = found.rounded_to(levels)
    >>> rounding.timesteps.tolist() == found.timesteps.tolist()
    True
    >>> rounding.timesteps.dtype.name, rounding.shift < 0.01
    ('int64', True)
    """

    timesteps: NDArray[np.int64]
    log_snr: Array
    shift: float
    objective: float | None


def table_of(entries: Any) -> Array:
    """Return a table of half log-SNRs, checked.

    Raises
    ------
    ValueError
        Unless they fall strictly and are at least two.
    """
    table = np.asarray(entries, dtype=float)
    if table.ndim != 1 or len(table) < 2 or not (np.diff(table) < 0).all():
        raise ValueError("entries must be half log-SNRs that fall strictly, at least two of them")
    return table


def schedule_table(schedule: Any) -> Array:
    """Return the half log-SNRs of a schedule's entries.

    Raises
    ------
    TypeError
        If the schedule is no table.
    """
    if not isinstance(schedule, Discrete):
        raise TypeError(
            f"timesteps are entries of a table, and {schedule!r} is none; use times, or "
            "nd.optimize.diffusers_arguments with the scheduler whose table it is"
        )
    zero_signal = schedule.alphas_cumprod[-1] == 0
    return np.concatenate([[-math.inf] if zero_signal else [], schedule.corners])[::-1]


def assign(table: Array, values: Array) -> NDArray[np.int64]:
    """Return the indices of distinct entries for values that rise, falling strictly, with the least sum of squares.

    Raises
    ------
    ValueError
        If there are more values than entries for them.
    """
    usable = int(np.isfinite(table).sum())
    needed = int(np.isfinite(values).sum()) + (usable == len(table) and values[0] == -math.inf)
    if needed > usable:
        raise ValueError(
            f"{needed} nodes need as many entries of the table, and it has {usable} for them; take fewer steps"
        )
    before = np.zeros(len(table))  # the least sum so far, if the next node takes an entry below this one
    choices = []
    for value in values:
        sums = before + _costs(table, value)
        least = np.minimum.accumulate(sums[::-1])[::-1]
        choices.append(_where_least(sums, least))
        before = np.append(least[1:], math.inf)
    index = [int(choices[-1][0])]
    for chosen in choices[-2::-1]:
        index.append(int(chosen[index[-1] + 1]))
    return np.array(index[::-1], dtype=np.int64)


def _costs(table: Array, value: float) -> Array:
    """Return the squared moves of a value to every entry."""
    if value == -math.inf:
        return np.where(np.arange(len(table)) == len(table) - 1, 0.0, math.inf)
    return np.where(np.isfinite(table), (table - value) ** 2, math.inf)


def _where_least(sums: Array, least: Array) -> NDArray[np.int64]:
    """Return for every j the first k >= j with sums[k] = least[j] = min(sums[j:])."""
    own = np.where(sums == least, np.arange(len(sums)), len(sums))
    return np.minimum.accumulate(own[::-1])[::-1]


def moves(before: Array, after: Array) -> tuple[float, float]:
    """Return the largest move of a node, and of an end, of those that are finite before."""
    known = np.isfinite(before)
    moved = np.abs(after[known] - before[known])
    ends = [abs(after[i] - before[i]) if math.isfinite(before[i]) else 0.0 for i in (0, -1)]
    return float(moved.max()), float(max(ends))
