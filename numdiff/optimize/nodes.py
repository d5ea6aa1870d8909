"""Half log-SNRs of the nodes of a run, as arrays that are checked and that nobody can write to; functions of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def nodes(log_snr: Any) -> Array:
    """Return half log-SNRs as a read-only array, checked.

    Parameters
    ----------
    log_snr
        Half log-SNRs of the N + 1 nodes, from noise to data.

    Returns
    -------
    ndarray
        float64, shape (N + 1,), read-only, a copy.

    Raises
    ------
    TypeError, ValueError
        Unless they are at least three numbers in one dimension that rise strictly, infinite at the ends only.

    Examples
    --------
    >>> import math
    >>> from numdiff.optimize.result import nodes
    >>> nodes([-4, 0, math.inf]).tolist()
    [-4.0, 0.0, inf]
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


@dataclass(frozen=True)
class Checked:
    """The objective as a function of one array, whose shape is checked."""

    function: Callable[[Array], float]
    inner: int
    names: tuple[str, ...]

    def __call__(self, z: Any) -> float:
        """Return the objective at z, shape (inner + len(names),)."""
        point = np.asarray(z, dtype=float)
        if point.shape != (self.inner + len(self.names),):
            raise ValueError(
                f"evaluate takes the {self.inner} half log-SNRs between the ends"
                f"{' and then ' + ', '.join(self.names) if self.names else ''}, got an array of shape {point.shape}; "
                "result.value takes all nodes too"
            )
        return float(self.function(point))
