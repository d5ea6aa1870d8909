r"""Levels as numbers: how a sampler is told where it goes, and how its questions are understood.

A sampler knows levels by a number t of its own:

    "log-snr"  lambda = log(alpha/sigma), rising;       "sigma"  sigma, falling;
    "time"     the time of the scale's schedule, falling; of a plain equation its time, rising.

The numbers that a run was given stand for exactly the levels that they were made from, so that nothing is lost where
the two are converted into one another; any other number is a level between, found by the scale.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from numdiff._names import suggest
from numdiff.certification.subject import SCALES, Array, level_of
from numdiff.level import Level

TIMES = ("log-snr", "sigma", "time")
"""What numbers may stand for levels."""


def checked(scale: str, time: str) -> None:
    """Check the names of a scale and of what stands for its levels.

    Raises
    ------
    ValueError
        For unknown ones, and for log-SNRs or sigmas of a plain equation.
    """
    if scale not in (*SCALES, "time"):
        suggest(scale, (*SCALES, "time"), "scale")
    if time not in TIMES:
        suggest(time, TIMES, "time")
    if scale == "time" and time != "time":
        raise ValueError(f'time must be "time" for a plain equation (scale="time"), got {time!r}')


class Clock:
    """The levels of one run and the numbers that stand for them.

    Parameters
    ----------
    levels
        Of the run.
    scale, time
        See `Subject` and the module's text.
    dtype
        Floating-point type of the numbers.

    Attributes
    ----------
    values
        The numbers, shape (len(levels),).
    """

    def __init__(self, levels: Sequence[Level], scale: str, time: str, dtype: Any = np.float64) -> None:
        name = {"log-snr": "log_snr"}.get(time, time)
        self.values: Array = np.array([getattr(level, name) for level in levels], dtype=dtype)
        self._scale, self._time = scale, time
        self._known = {float(value): level for value, level in zip(self.values, levels, strict=True)}

    def __call__(self, t: Any) -> Level:
        """Return the level that a number, or an array of equal ones, stands for.

        Raises
        ------
        ValueError
            If the numbers differ, or the scale has no such level.
        """
        number = _one(t)
        return self._known[number] if number in self._known else self._between(number)

    def _between(self, number: float) -> Level:
        if self._scale == "time":
            return Level.of_time(number)
        if self._time == "time":
            return SCALES[self._scale].level(number)
        if self._time == "sigma":
            largest = math.inf if self._scale == "edm" else 1.0
            if not 0 <= number < largest:
                raise ValueError(
                    f"the model was asked at sigma = {number:g}; levels of scale {self._scale!r} lie in 0 <= sigma < "
                    f"{largest:g}: check time= and scale="
                )
            return level_of(self._scale, _log_snr(self._scale, number))
        return level_of(self._scale, number)


def _log_snr(scale: str, sigma: float) -> float:
    """Return log(alpha/sigma) of a sigma on a scale."""
    if sigma == 0:
        return math.inf
    alpha = {"vp": math.sqrt((1 - sigma) * (1 + sigma)) if sigma < 1 else 0.0, "flow": 1 - sigma, "edm": 1.0}[scale]
    return math.log(alpha / sigma)


def _one(t: Any) -> float:
    """Return the number that a number, an array or a tensor of equal numbers holds."""
    values = np.asarray(t.detach().cpu() if hasattr(t, "detach") else t, dtype=float).reshape(-1)
    if not len(values) or np.any(values != values[0]):
        raise ValueError(f"the model must be asked at one level for all points, got {values.tolist()[:4]}")
    return float(values[0])
