r"""Patterns of steps for convergence tests: how N steps share an interval, whatever its variable.

- ``uniform``:      equal steps;
- ``alternating``:  h, 2h, h, 2h, ...: no refinement makes it smooth, so weights for equal steps show;
- ``random``:       `PERIOD` random lengths, neighbours of ratios between 1/2 and 2, again and again: as rough at every
                    N, and of the same error constant, which new draws would not be;
- ``refined``:      one random grid of `BASE` steps, each cut into N/BASE equal ones (the remainder goes to the first):
                    smooth but for `BASE` jumps that stay where they are.

Source: Hairer, Norsett, Wanner, Solving ODEs I, III.5, for what a ratio bound does to multistep methods.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from numdiff._names import suggest

__all__ = ["BASE", "GRIDS", "PATTERNS", "PERIOD", "fractions"]

PATTERNS = ("uniform", "alternating", "random", "refined")
GRIDS = (*PATTERNS, "rho", "inverse-rho", "karras")
"""Grids of convergence tests by name: patterns in log-SNR, and equal steps in another variable."""

PERIOD = 8
"""Steps after which the random pattern repeats itself; numbers of steps that it divides fit best."""

BASE = 4
"""Cells of the random grid that is refined."""


def fractions(pattern: str, steps: int, seed: int = 0) -> NDArray[np.float64]:
    """Return the nodes of `steps` steps from 0 to 1, shape (steps + 1,), rising.

    Parameters
    ----------
    pattern
        One of `PATTERNS`.
    steps
        Number of steps, at least 1.
    seed
        Of the random ones.

    Returns
    -------
    array
        Float64 nodes, from 0 to 1.

    Raises
    ------
    ValueError
        For an unknown pattern, with the nearest known one, or fewer than one step.

    Examples
    --------
    >>> import numpy as np
    >>> from numdiff.grids.patterns import fractions
    >>> np.diff(fractions("alternating", 4)).round(4).tolist()
    [0.1667, 0.3333, 0.1667, 0.3333]
    """
    if pattern not in PATTERNS:
        suggest(pattern, PATTERNS, "grid")
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    nodes = np.concatenate([[0.0], np.cumsum(_lengths(pattern, steps, seed))])
    return np.asarray(nodes / nodes[-1])


def _lengths(pattern: str, steps: int, seed: int) -> NDArray[np.float64]:
    if pattern == "uniform":
        return np.ones(steps)
    if pattern == "alternating":
        return np.where(np.arange(steps) % 2, 2.0, 1.0)
    if pattern == "random":
        return np.resize(_walk(np.random.default_rng([seed]), PERIOD), steps)
    base = _walk(np.random.default_rng([seed]), BASE)
    parts = np.full(BASE, steps // BASE) + (np.arange(BASE) < steps % BASE)
    return np.concatenate([np.full(n, length / n) for length, n in zip(base, parts, strict=True) if n])


def _walk(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Return lengths whose neighbours, the last and the first too, differ by factors of at most 2."""
    change = rng.uniform(-1.0, 1.0, count)
    return np.asarray(2.0 ** np.cumsum((change - change.mean()) / max(1.0, np.abs(change - change.mean()).max())))
