r"""Where time steps may lie: fixed ends, minimum gaps, and the boxes of what is optimized beside them.

The variables are z = (lambda_1, ..., lambda_{N-1}, p_1, ..., p_q): the interior half log-SNRs lambda, which is
log(alpha/sigma), rising from noise to data between fixed lambda_0 = `low` and lambda_N = `high`, and parameters in a
box. Either end may be infinite (alpha = 0, sigma = 0); the gap beside it is then no constraint, but a run that goes on
from alpha = 0 has its first level at `floor` at the earliest, and one that goes on to sigma = 0 its last at `ceiling`
at the latest. All constraints are linear, and as rows of `matrix` z >= `bounds` each touches two neighbours at most:

    lambda_{i+1} - lambda_i >= gaps_i,      floor <= lambda_1, lambda_{N-1} <= ceiling,      lower_j <= p_j <= upper_j.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Window:
    """The feasible set of a time-step optimization.

    Parameters
    ----------
    low, high
        Half log-SNR at the noisy and the clean end, low < high; -inf and inf are allowed.
    steps
        Number of steps N, at least 2.
    gaps
        Smallest lambda_{i+1} - lambda_i for i = 0 .. N-1, shape (N,), not negative; not used where it is infinite.
    names
        Parameters optimized beside the log-SNRs.
    lower, upper
        Their box.
    floor, ceiling
        Smallest lambda_1 where `low` is infinite, largest lambda_{N-1} where `high` is.

    Raises
    ------
    ValueError
        For fewer than two steps, ends out of order, gaps that cannot fit between the ends, or a parameter without room.

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> window = nd.optimize.Window(-5.0, 5.0, 4, np.full(4, 0.5), ("beta",), (0.1,), (1.0,))
    >>> window.size, window.matrix.shape
    (4, (6, 4))
    >>> z = np.array([-3.0, 0.0, 3.0, 0.8])
    >>> window.nodes(z).tolist()
    [-5.0, -3.0, 0.0, 3.0, 5.0]
    >>> bool((window.slack(z) > 0).all())
    True
    """

    low: float
    high: float
    steps: int
    gaps: Array
    names: tuple[str, ...] = ()
    lower: tuple[float, ...] = ()
    upper: tuple[float, ...] = ()
    floor: float = -math.inf
    ceiling: float = math.inf

    def __post_init__(self) -> None:
        """Refuse an empty feasible set."""
        if self.steps < 2:
            raise ValueError(f"steps must be at least 2, got {self.steps}: with one step there is nothing to place")
        if not self.low < self.high:
            raise ValueError(
                f"the ends must rise in log-SNR from noise to data, but go from {self.low:g} to {self.high:g}; "
                "exchange t_start and t_end"
            )
        first, last = self.inner_ends
        room, needed = last - first, float(np.sum(self.gaps[self.finite]))
        if not needed < room:
            raise ValueError(
                f"gap: {self.steps} gaps of at least {np.max(self.gaps):.4g} need {needed:.4g} of log-SNR, and the "
                f"ends are {room:.4g} apart; take a smaller gap or fewer steps"
            )
        for name, low, high in zip(self.names, self.lower, self.upper, strict=True):
            if not low < high:
                raise ValueError(f"{name} must have room to move, but its bounds are {low:g} and {high:g}")

    @property
    def inner_ends(self) -> tuple[float, float]:
        """What no interior log-SNR passes: the ends, or `floor` and `ceiling` where they are infinite."""
        low = self.low if math.isfinite(self.low) else self.floor
        return low, self.high if math.isfinite(self.high) else self.ceiling

    @cached_property
    def finite(self) -> NDArray[np.bool_]:
        """Which of the N gaps are between finite log-SNRs."""
        mask = np.ones(self.steps, dtype=bool)
        mask[0], mask[-1] = math.isfinite(self.low), math.isfinite(self.high)
        return mask

    @property
    def size(self) -> int:
        """Number of variables."""
        return self.steps - 1 + len(self.names)

    def nodes(self, z: Array) -> Array:
        """Return all N + 1 log-SNRs."""
        return np.concatenate([[self.low], z[: self.steps - 1], [self.high]])

    def steps_of(self, z: Array) -> Array:
        """Return the N gaps; inf beside an infinite end."""
        return np.diff(self.nodes(z))

    def generic(self) -> Array:
        """Return a z whose steps and parameters have no special values and no special ratios."""
        weights = 1.0 + 0.2 * np.sin(1.7 * np.arange(self.steps) + 0.3)
        low, high = self.low, self.high
        if not math.isfinite(low):
            low = max(min(high, 7.0) - 13.0 if math.isfinite(high) else -6.0, self.floor)
        if not math.isfinite(high):
            high = min(max(low, -7.0) + 13.0, self.ceiling + (self.ceiling - low) / self.steps)
        inner = low + (high - low) * np.cumsum(weights)[:-1] / weights.sum()
        return np.concatenate([inner, [a + 0.618 * (b - a) for a, b in zip(self.lower, self.upper, strict=True)]])

    @cached_property
    def _rows(self) -> tuple[Any, Array]:
        inner, count = self.steps - 1, len(self.names)
        ones = np.ones(self.steps)
        difference = sparse.diags_array([ones[:inner], -ones[:inner]], offsets=[0, -1], shape=(self.steps, inner))
        bounds = self.gaps.astype(float).copy()
        bounds[0] += self.low
        bounds[-1] -= self.high
        box = sparse.vstack([sparse.eye_array(count), -sparse.eye_array(count)]) if count else None
        kept = self.finite.copy()
        if not kept[0] and math.isfinite(self.floor):
            kept[0], bounds[0] = True, self.floor
        if not kept[-1] and math.isfinite(self.ceiling):
            kept[-1], bounds[-1] = True, -self.ceiling
        rows = sparse.csr_array(difference)[kept]
        matrix = sparse.block_diag([rows, box], format="csr") if count else rows
        return matrix, np.concatenate([bounds[kept], self.lower, [-u for u in self.upper]])

    @property
    def matrix(self) -> Any:
        """The constraints' rows, sparse, shape (constraints, size)."""
        return self._rows[0]

    @property
    def bounds(self) -> Array:
        """What the rows must not fall below."""
        return self._rows[1]

    def slack(self, z: Array) -> Array:
        """Return by how much each constraint is satisfied; negative where it is not."""
        return self.matrix @ z - self.bounds
