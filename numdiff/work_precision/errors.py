r"""Errors against the exact flow, with the standard error that comes from the choice of the starting points.

With y = x/alpha and the coordinates j = 1, ..., d of the points i = 1, ..., n let

    e_i^2 = mean over j of (y_ij - y*_ij)^2;     rms^2 = mean of e_i^2,     median and max: those of the e_i.       (1)

The trajectory error is the rms of (1) over all the nodes that a sampler shows but the first, where it is exact.

Where the points are a sample of a law, rms = sqrt(m) of the mean m of e_i^2 has the standard error

    s / (2 sqrt(n m)),      s^2 the variance of the e_i^2 (the delta method),

and the median that of the bootstrap; from fewer than `FEWEST` points neither says anything. The largest error
estimates no property of the law and has none.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf, sqrt

import numpy as np

from numdiff.certification.subject import Array

Value = tuple[float, float | None]
"""An error and its standard error; None where there is none."""

FEWEST = 4
"""Points from which on their scatter is given as a standard error."""

RESAMPLES = 200
"""Samples of the bootstrap: the standard error of a standard error of 5 %."""


def pointwise(y: Array, truth: Array) -> Array:
    """Return e_i of (1) for y and its truth of shape (..., n, d), shape (..., n); inf where y is not finite."""
    with np.errstate(over="ignore", invalid="ignore"):
        found = np.sqrt(np.mean((y - truth) ** 2, axis=-1))
    return np.where(np.isfinite(found), found, inf)


def rms(e: Array) -> Value:
    """Return the root mean square of errors, shape (n,), with its standard error."""
    with np.errstate(over="ignore"):
        squares = e**2
        value = float(np.sqrt(np.mean(squares)))
    if len(e) < FEWEST or not 0 < value < inf:
        return value, None
    return value, float(np.std(squares, ddof=1)) / (2 * value * sqrt(len(e)))


def largest(e: Array) -> Value:
    """Return the largest error."""
    return float(np.max(e)), None


def median(e: Array) -> Value:
    """Return the median with the standard error of the bootstrap."""
    value = float(np.median(e))
    if len(e) < FEWEST or not np.all(np.isfinite(e)):
        return value, None
    chosen = np.random.default_rng(0).integers(len(e), size=(RESAMPLES, len(e)))
    return value, float(np.std(np.median(e[chosen], axis=1), ddof=1))


ENDS: dict[str, Callable[[Array], Value]] = {"rms": rms, "median": median, "max": largest}
"""Errors at the end, functions of the e_i."""
