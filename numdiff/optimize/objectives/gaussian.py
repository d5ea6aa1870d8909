r"""Time steps for Gaussian data, in closed form: the error of a run's law over a spectrum of scales.

On data N(0, s^2) every prediction is linear in the sample, so a run is linear too: with g the product of its steps and
n_j what becomes of the j-th noise it adds, both functions of s,

    x_N = g x_0 + sum_j n_j noise_j,        Var x_N = V = g^2 S_0 + sum_j n_j^2,     S = alpha^2 s^2 + sigma^2,

where the flow has the variance S_N. Summed over scales s_k with weights w_k, the criteria are (u = V/S_N - 1)

    "w2"    sum_k w_k (sqrt(V) - sqrt(S_N))^2                 the square of the Wasserstein-2 distance,
    "kl"    sum_k w_k (u - log(1 + u))/2                      KL(generated | true) in nats.

Data in d dimensions fall apart into such scales, the eigenvalues of their covariance. Without noise g sqrt(S_0) takes
the place of sqrt(V) in "w2", a smooth function that agrees with it where g >= 0; a run that turns data over (g < 0) is
charged for it. "kl" becomes a sum of squares by the smooth root r = u sqrt((u - log(1 + u))/(2 u^2)).

A Gaussian has no modes to choose between, and few numbers to get right: with N steps, about N scales can be made
exact at once by cancellation, and data that are not Gaussian gain little from that. Use it for what it is, the exact
optimum for a covariance, and `numdiff.optimize.objectives.bank` for data.

Reference: `numdiff.properties.spectral`, where the same laws are found by the executor itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numdiff.optimize.compiled import Trace
from numdiff.optimize.objectives.fields import EndPoints, usual_steps
from numdiff.optimize.problem import Parts

Array = NDArray[np.float64]

SCALES = tuple(float(s) for s in np.geomspace(0.03, 3.0, 30))
"""Default spectrum."""

GAP = 0.3
"""Default minimum gap, as a part of the mean step L/N."""

CRITERIA = ("w2", "kl")

NEAR = 0.05
"""Up to this |u|, (u - log(1 + u))/(2 u^2) is summed as a series."""


@dataclass(frozen=True)
class Gaussian:
    """Distance between the law of a run and that of the flow on Gaussian data.

    Parameters
    ----------
    scales
        Standard deviations s_k > 0 of the data.
    weights
        Their weights w_k >= 0; by default 1/K each.
    criterion
        "w2", the square of the Wasserstein-2 distance, or "kl", the divergence of the samples from the truth in nats;
        formulas in `numdiff.optimize.objectives.gaussian`.

    Raises
    ------
    ValueError
        For scales that are not positive and finite, weights that do not fit or are negative, an unknown criterion.

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> unit = nd.optimize.Gaussian(scales=(1.0,))
    >>> found = nd.optimize.timesteps(nd.DDIM(), nd.schedules.VPLinear(), steps=4, objective=unit)
    >>> angles = np.arctan2(found.sigmas, found.alphas)
    >>> [f"{step:.4f}" for step in -np.diff(angles)]  # DDIM's best steps for N(0, 1) are equal in angle
    ['0.3884', '0.3884', '0.3884', '0.3884']
    """

    scales: Sequence[float] = SCALES
    weights: Sequence[float] | None = None
    criterion: str = "w2"

    name = "gaussian"

    @property
    def starts(self) -> tuple[Any, ...]:
        """Where a search begins."""
        return usual_steps, "quadratic"

    def __post_init__(self) -> None:
        """Check the parameters and make them hashable."""
        scales = numbers("scales", self.scales)
        count = len(scales)
        weights = (1.0 / count,) * count if self.weights is None else numbers("weights", self.weights, zero=True)
        if len(weights) != count or not sum(weights) > 0:
            raise ValueError(
                f"weights must be one for each of the {count} scales, some of them positive; got {weights}"
            )
        if self.criterion not in CRITERIA:
            raise ValueError(f'criterion must be "w2" or "kl", got {self.criterion!r}')
        object.__setattr__(self, "scales", scales)
        object.__setattr__(self, "weights", weights)

    def gap(self, length: float, steps: int) -> float:
        """Return the default minimum gap between log-SNRs that are `length` apart in all."""
        return GAP * length / steps

    def problem(self, trace: Trace) -> GaussianProblem:
        """Return the objective over the trace's window, with exact derivatives; see `numdiff.optimize.problem`."""
        return GaussianProblem(trace, np.array(self.scales), np.array(self.weights), self.criterion)


def numbers(name: str, values: Any, *, zero: bool = False, sign: bool = False) -> tuple[float, ...]:
    """Return finite numbers as a tuple of floats: positive ones, or also `zero`, or of any `sign`.

    Raises
    ------
    TypeError, ValueError
        If they are no numbers, there are none, or one is out of range.
    """
    try:
        found = tuple(float(x) for x in values)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a sequence of numbers, got {values!r}") from None
    wrong = [x for x in found if not math.isfinite(x) or not (sign or x > 0 or (zero and x == 0))]
    if wrong or not found:
        kind = "finite" if sign else "finite and not negative" if zero else "finite and positive"
        raise ValueError(f"{name} must be {kind} numbers, at least one, got {wrong[0] if wrong else 'none'}")
    return found


class GaussianProblem:
    """The criteria over a window; see `numdiff.optimize.problem.Problem`."""

    def __init__(self, trace: Trace, scales: Array, weights: Array, criterion: str) -> None:
        self.window, self._scales, self._kl = trace.window, scales, criterion == "kl"
        self._noises = sum(tableau.noises for tableau in trace.scheme)
        first, last = ((float(end.alpha), float(end.sigma)) for end in trace.ends)
        self._start, self._true = (np.hypot(alpha * scales, sigma) for alpha, sigma in (first, last))
        blocks = 1 + self._noises
        begin: Array = np.repeat(np.eye(blocks), len(scales), axis=1)
        begin[0, : len(scales)] = self._start
        width = np.tile(scales, blocks)
        self._ends, self._roots = EndPoints(trace, np.zeros_like(width), width, begin), np.sqrt(weights)

    def evaluate(self, z: Array) -> Parts:
        """Return the roots of the weighted criteria as residuals."""
        deviation, jacobian = self._deviation(z)
        if self._kl:
            ratio = deviation / self._true
            residuals, slopes = _kl_root(ratio * ratio - 1)
            slopes = slopes * 2 * ratio / self._true
        else:
            residuals, slopes = deviation - self._true, np.ones_like(deviation)
        jacobian *= (self._roots * slopes)[:, None]
        return Parts(np.zeros(self.window.size), residuals=self._roots * residuals, residual_jacobian=jacobian)

    def errors(self, z: Array) -> dict[str, Any]:
        """Return by scale the deviation that is generated, the true one, and their distances."""
        deviation = np.abs(self._deviation(z)[0])
        with np.errstate(divide="ignore"):
            kl = _kl_root((deviation / self._true) ** 2 - 1)[0] ** 2
        w2 = np.abs(deviation - self._true)
        return {"scale": self._scales, "deviation": deviation, "true": self._true, "w2": w2, "kl": kl}

    def _deviation(self, z: Array) -> tuple[Array, Array]:
        """Return sqrt(V), or g sqrt(S_0) where there is no noise, and its Jacobian."""
        ends, jacobian = self._ends(z)
        if not self._noises:
            return ends, jacobian
        shape = (1 + self._noises, len(self._scales))
        parts = ends.reshape(shape)
        deviation = np.sqrt(np.sum(parts**2, axis=0))
        turned = np.einsum("bk,bkn->kn", parts, jacobian.reshape(*shape, -1))
        return deviation, turned / deviation[:, None]


def _kl_root(u: Array) -> tuple[Array, Array]:
    """Return r with r^2 = (u - log(1 + u))/2 and the sign of u, and dr/du; infinite at u = -1."""
    near = np.abs(u) < NEAR
    small = np.where(near, u, 0.0)
    series = sum((-small) ** k / (k + 2) for k in range(14)) / 2  # NEAR^14 < 1e-18
    far = np.where(near, 1.0, u)
    with np.errstate(divide="ignore", invalid="ignore"):
        q = np.where(near, series, (far - np.log1p(far)) / (2 * far**2))
        return u * np.sqrt(q), 1 / (4 * (1 + u) * np.sqrt(q))
