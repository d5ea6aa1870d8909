"""What the grids have in common: validation at the door, and the clean end."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from typing import Any

import numpy as np

from numdiff.level import Level
from numdiff.schedules import Schedule

__all__ = ["Grid"]

Grid = np.ndarray | list[Level]
"""Strictly decreasing times, or levels where the clean end has no time."""


def count(value: Any, name: str) -> int:
    """Return `value` as an int; refuse all but integers of at least 1."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"{name} must be an integer of at least 1, not {value!r}")
    return int(value)


def numbers(values: Any, name: str) -> np.ndarray:
    """Return `values` as a one-dimensional float64 array that is not empty."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(values, torch.Tensor):
        values = values.detach().cpu().numpy()
    array = np.asarray(values)
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{name} must be numbers, not {values!r}")
    if array.ndim != 1 or not array.size:
        raise ValueError(f"{name} must be one-dimensional and not empty, but has shape {array.shape}")
    return array.astype(np.float64)


def decreasing(values: np.ndarray, name: str) -> None:
    """Raise ValueError unless the values fall strictly (a NaN never does)."""
    bad = ~(values[1:] < values[:-1])
    if bad.any():
        i = int(np.argmax(bad))
        raise ValueError(
            f"{name} must fall strictly, but {name}[{i}] = {values[i]} and {name}[{i + 1}] = {values[i + 1]}; drop one "
            "of them or reverse the order"
        )


def finished(schedule: Schedule, times: np.ndarray, final_zero: bool, what: str) -> Grid:
    """Append sigma = 0 where asked for, and check."""
    points = len(times) + bool(final_zero)
    if points < 2:
        raise ValueError(f"a grid needs at least two {what}, but has {points}")
    reaches = schedule.sigma(0.0) == 0
    if final_zero and reaches:
        if times[-1] == 0:
            raise ValueError("the grid ends at t = 0 already; drop final_zero=True or choose t_end > 0")
        times = np.append(times, 0.0)
    decreasing(times, "times")
    if final_zero and not reaches:
        return [*(schedule.level(t) for t in times), _clean(schedule)]
    return times


def _clean(schedule: Schedule) -> Level:
    """Return the clean level of a schedule that approaches sigma = 0 only as t falls without bound."""
    return replace(schedule.level(0.0), time=-math.inf, sigma=0.0, d_alpha=None, d_sigma=None)
