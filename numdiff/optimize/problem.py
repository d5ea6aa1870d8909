r"""What is minimized over time steps: a function with corners, and its exact derivatives.

Every objective has the form

    F(z) = value(z) + sum_j r_j(z)^2 + sum_i |a_i(z)|

with smooth value, residuals r and absolute terms a: sums of squares are what trust-region least squares is for, and
absolute values become a smooth problem by their epigraph, -u_i <= a_i <= u_i with u_i minimized. z holds the interior
half log-SNRs lambda_1 < ... < lambda_{N-1} and then whatever else is optimized; see `numdiff.optimize.window`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from numdiff.optimize.window import Window

Array = NDArray[np.float64]


def _none() -> Array:
    return np.zeros(0)


def _no_rows() -> Array:
    return np.zeros((0, 0))


@dataclass(frozen=True, eq=False)
class Parts:
    """The parts of an objective at one z of n entries.

    Parameters
    ----------
    value, gradient
        The smooth part and its gradient, shape (n,).
    residuals, residual_jacobian
        Shapes (m,) and (m, n); empty where there are none.
    absolute, absolute_jacobian
        The terms whose absolute values add up, shapes (q,) and (q, n); empty where there are none.

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> parts = nd.optimize.Parts(
    ...     np.array([1.0]), 2.0, residuals=np.array([3.0]), residual_jacobian=np.eye(1), absolute=np.array([-4.0])
    ... )
    >>> parts.objective  # 2 + 3^2 + |-4|
    15.0
    >>> parts.smooth_gradient.tolist()  # 1 + 2 * 3 * 1
    [7.0]
    """

    gradient: Array
    value: float = 0.0
    residuals: Array = field(default_factory=_none)
    residual_jacobian: Array = field(default_factory=_no_rows)
    absolute: Array = field(default_factory=_none)
    absolute_jacobian: Array = field(default_factory=_no_rows)

    @cached_property
    def objective(self) -> float:
        """F(z)."""
        return float(self.value + self.residuals @ self.residuals + np.abs(self.absolute).sum())

    @cached_property
    def smooth_gradient(self) -> Array:
        """Gradient of the smooth part, the sum of squares included, shape (n,)."""
        if not self.residuals.size:
            return self.gradient
        return self.gradient + 2 * self.residuals @ self.residual_jacobian


class Problem(Protocol):
    """An objective over a window.

    It may have a method ``evaluate_many(points: Array) -> list[Parts]`` for several z at once, shape (k, n), which is
    what curvature is measured from.

    Attributes
    ----------
    window : Window
        Where z may lie.

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> class Even:  # the sum of the squares of the steps
    ...     window = nd.optimize.Window(0.0, 4.0, 4, np.full(4, 0.1))
    ...     def evaluate(self, z):
    ...         slopes = np.eye(4, 3) - np.eye(4, 3, -1)
    ...         return nd.optimize.Parts(np.zeros(3), residuals=np.diff(self.window.nodes(z)), residual_jacobian=slopes)
    >>> parts = Even().evaluate(np.array([1.0, 2.0, 3.0]))
    >>> float(parts.objective), parts.smooth_gradient.tolist()
    (4.0, [0.0, 0.0, 0.0])
    """

    window: Window

    def evaluate(self, z: Array) -> Parts:
        """Return the parts at `z`, which satisfies the window's constraints up to rounding."""


def check_share(name: str, value: Any) -> None:
    """Raise unless `value` is a share of the mean gap, at least 0 and below 1."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number, a share of the mean gap, got {value!r}")
    if not 0 <= value < 1:
        raise ValueError(f"{name} must lie in [0, 1), a share of the mean gap, got {value!r}")
