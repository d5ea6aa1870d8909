r"""The nearest point of a window: where a start that breaks a minimum gap is moved.

With c_i = gaps_0 + ... + gaps_{i-1} the gap constraints say that lambda_i - c_i does not fall from node to node, and
the ends bound it. The nearest nondecreasing sequence is isotonic regression (pool adjacent violators), and the nearest
one within bounds is that, clipped: exact, and unchanged for a start that is feasible.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from numdiff.optimize.window import Window

Array = NDArray[np.float64]


def project(window: Window, z: Array) -> Array:
    """Return the point of the window nearest to `z` in log-SNR, parameters clipped to their box."""
    z = np.asarray(z, dtype=float)
    if np.min(window.slack(z), initial=0.0) >= 0:
        return z.copy()
    inner = window.steps - 1
    gaps = np.where(window.finite, window.gaps, 0.0)
    offsets = np.cumsum(gaps)
    level = isotonic_regression(z[:inner] - offsets[:-1]).x
    nodes = np.clip(level, window.low, window.high - offsets[-1]) + offsets[:-1]
    return np.concatenate([nodes, np.clip(z[inner:], window.lower, window.upper)])
