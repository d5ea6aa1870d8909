"""Half log-SNRs of the nodes of a run, as arrays that are checked and that nobody can write to."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def nodes(log_snr: Any) -> Array:
    """Return half log-SNRs as a read-only array, checked.

    Raises
    ------
    TypeError, ValueError
        Unless they are at least three numbers in one dimension that rise strictly, infinite at the ends only.
    """
    values = np.asarray(log_snr)
    if values.dtype.kind not in "iuf":
        raise TypeError(f"log_snr must be numbers, not {log_snr!r}")
    if values.ndim != 1 or len(values) < 3:
        raise ValueError(f"log_snr must be one-dimensional with at least three nodes, but has shape {values.shape}")
    bad = ~(values[1:] > values[:-1])
    if bad.any():
        i = int(np.argmax(bad))
        raise ValueError(
            f"log_snr must rise strictly from noise to data, but log_snr[{i}] = {values[i]} and log_snr[{i + 1}] = "
            f"{values[i + 1]}"
        )
    return frozen(values)


def frozen(values: Any) -> Array:
    """Return numbers as a read-only array of our own."""
    array = np.array(values, dtype=float)
    array.setflags(write=False)
    return array
