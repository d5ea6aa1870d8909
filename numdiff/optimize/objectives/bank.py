r"""Time steps without data: end-point errors on a bank of one-dimensional mixtures whose flow is known exactly.

A problem of the bank is a mixture of two normals, +mu and -mu with odds e^(2b), both of width s, and one noise: the
quantile z of the marginal at the first level. In one dimension the probability flow keeps the order of points, so that
it takes quantiles to quantiles: the exact image of the z-quantile at the first level is the z-quantile at the last,

    P(X_0 > x_0) = P(Z > z) = P(X_N > x_N),    X_n: +-alpha_n mu widened by sqrt(alpha_n^2 s^2 + sigma_n^2).

Both are found by Newton's method on the logarithm of the tail, safeguarded by bisection, to 1e-13 and without an ODE
solver. A run started in x_0 ends in y, and with r = sqrt(mu^2 + s^2), the size of the data,

    F = mean over problems of c^2 log(1 + (e/c)^2),    e = (y - x_N)/r^a.                                         (1)

Small errors count by their square, errors beyond c by their logarithm: a run that ends in another mode is an error of
the size of the data, whatever the steps, and the few that do should not place all steps.

**The bank.** (log mu, log(mu/s), b, z) run through P points of a Kronecker lattice, frac(1/2 + k/g^j) for j = 1 ... 4
with g^5 = g + 1, which fills a box evenly for every P: no two problems share a scale, so that no error is made small by
a cancellation at a few scales only. What a mixture has and a Gaussian lacks is the choice of a mode, in the tanh of its
denoiser; unequal odds are what makes the place of that choice an unknown, which in a symmetric pair is x = 0 for every
scheme. Where the mean of the data is does not matter, as every method here takes constants to constants.

**Why these defaults.** Gains over uniform log-SNR of DPM-Solver++(3), UniPC-3, GHVB(2, 0.8) and HB over DPM-Solver++(2)
at 8 to 20 evaluations, geometric means of RMSE and of median error over 14 mixtures (the five of
`numdiff.study.steps.tuning` and nine random ones in 2-24 dimensions), averaged over five shifts of the lattice:

    c                        none    0.1     0.05    0.03        P, c none   200     400
    RMSE                     1.58    1.58    1.57    1.56                    1.58    1.60
    median                   2.17    2.37    2.45    2.56                    2.17    2.13
    spread of the median     0.29    0.17    0.14    0.12                    0.29    0.29

Power a, ranges and shares change either by less than the spread between lattices, but for mu/s from 2 to 10, which
gains 15 % in the median and loses 5 % in the RMSE, and errors relative to the data's size, which do likewise.

Source of the flow as a rearrangement: the one-dimensional continuity equation; of the lattice: Niederreiter, Random
Number Generation and Quasi-Monte Carlo Methods (1992), chapter 4, with the irrationals of Roberts (2018).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

from numdiff.optimize.compiled import Trace
from numdiff.optimize.objectives.fields import EndPoints, usual_steps
from numdiff.optimize.objectives.gaussian import numbers
from numdiff.optimize.problem import Parts

Array = NDArray[np.float64]

GAP = 0.2
"""Default minimum gap, as a part of the mean step L/N.

Gaps of 0.1 to 0.4 gave the same errors on the tuning mixtures to 1 %: unlike the paper's bound, (1) does not reward
steps of length zero at 8 to 20 evaluations. From about 16 steps on some steps of high-order methods end at the gap.
"""


@dataclass(frozen=True)
class MixtureBank:
    """Mean of c^2 log(1 + e^2/c^2) over the end-point errors e of a bank of mixtures.

    Formula (1) is in `numdiff.optimize.objectives.bank`, with what the defaults were chosen by.

    Parameters
    ----------
    problems
        Number P of problems.
    means
        Range of mu, in the unit of the data (networks' data have a standard deviation of about 1).
    ratios
        Range of mu/s, the separation of the components.
    share
        Largest weight of the heavier component, at least 1/2; 1/2 makes all mixtures symmetric.
    quantile
        Largest ``|z|`` of a noise, in standard deviations.
    power
        a of formula (1): 0 for absolute errors, which large data dominate, 1 for errors relative to the data's size.
    outlier
        c of formula (1), positive; None for the mean square error.

    Raises
    ------
    TypeError, ValueError
        For parameters of the wrong kind or out of range.

    Examples
    --------
    >>> import numdiff as nd
    >>> bank = nd.optimize.MixtureBank(problems=50, outlier=None)
    >>> mu, s, odds, z = bank.mixtures()
    >>> mu.shape, bool(0.3 < mu.min() < mu.max() < 3.0)
    ((50,), True)
    >>> found = nd.optimize.timesteps(nd.DDIM(), nd.schedules.VPLinear(), steps=4, objective=bank)
    >>> found.objective < found.initial_objective
    True
    """

    problems: int = 200
    means: tuple[float, float] = (0.3, 3.0)
    ratios: tuple[float, float] = (1.0, 8.0)
    share: float = 0.92
    quantile: float = 2.2
    power: float = 0.25
    outlier: float | None = 0.03

    name = "mixture-bank"

    @property
    def starts(self) -> tuple[Any, ...]:
        """Where a search begins: `usual_steps`, from which the lowest minimum is nearly always found, and another."""
        return (usual_steps, "quadratic")

    def __post_init__(self) -> None:
        """Check the parameters."""
        if isinstance(self.problems, bool) or not isinstance(self.problems, int) or self.problems < 1:
            raise ValueError(f"problems must be a whole number, at least 1, got {self.problems!r}")
        for name in ("means", "ratios"):
            found = numbers(name, getattr(self, name))
            if len(found) != 2 or found[0] > found[1]:
                raise ValueError(f"{name} must be a range (low, high) with low <= high, got {getattr(self, name)!r}")
            object.__setattr__(self, name, found)
        for name, low, high in (
            ("share", 0.5, 1.0),
            ("quantile", 0.0, 8.0),
            ("power", -4.0, 4.0),
        ):
            (value,) = numbers(name, (getattr(self, name),), sign=True)
            if not low <= value < high:
                raise ValueError(f"{name} must be at least {low:g} and below {high:g}, got {value:g}")
        if self.outlier is not None:
            numbers("outlier", (self.outlier,))

    def gap(self, length: float, steps: int) -> float:
        """Return the default minimum gap between log-SNRs that are `length` apart in all."""
        return GAP * length / steps

    def problem(self, trace: Trace) -> BankProblem:
        """Return the objective over the trace's window, with exact derivatives; see `numdiff.optimize.problem`.

        Raises
        ------
        ValueError
            For a method that adds noise, whose runs have no end point.
        """
        return BankProblem(trace, *self.mixtures(), self.power, self.outlier)

    def mixtures(self) -> tuple[Array, Array, Array, Array]:
        """Return mu, s, b and z of every problem."""
        u = lattice(self.problems, 4)
        mean, ratio = (low * (high / low) ** x for (low, high), x in zip((self.means, self.ratios), u, strict=False))
        tilt = 0.5 * math.log(self.share / (1 - self.share))
        return mean, mean / ratio, tilt * u[2], self.quantile * (2 * u[3] - 1)


def lattice(count: int, dimension: int) -> Array:
    """Return `count` points of the Kronecker lattice in the unit cube, shape (dimension, count)."""
    g = 2.0
    for _ in range(100):  # a contraction by a factor below 1/2
        g = (1 + g) ** (1 / (dimension + 1))
    steps = g ** -np.arange(1.0, dimension + 1)
    return (0.5 + np.outer(steps, np.arange(1, count + 1))) % 1.0


class BankProblem:
    """Formula (1) over a window; see `numdiff.optimize.problem.Problem`."""

    def __init__(
        self, trace: Trace, mean: Array, width: Array, tilt: Array, z: Array, power: float, outlier: float | None
    ) -> None:
        if any(tableau.noises for tableau in trace.scheme):
            raise ValueError(
                f"objective 'mixture-bank' compares end points, and {trace.method} adds noise, which moves them; "
                'optimize the steps of a deterministic method, or take objective="gaussian", which compares laws'
            )
        self.window, self._outlier = trace.window, outlier
        self._mixtures = mean, width, tilt, z
        first, self._last = (
            quantile(z, float(end.alpha) * mean, np.hypot(float(end.alpha) * width, float(end.sigma)), tilt)
            for end in trace.ends
        )
        self._ends = EndPoints(trace, mean, width, first[None], tilt)
        self._units = np.hypot(mean, width) ** -power

    def evaluate(self, z: Array) -> Parts:
        """Return the roots of the terms of (1), with the errors' signs, as residuals."""
        ends, jacobian = self._ends(z)
        errors = self._units * (ends - self._last)
        residuals, slopes = (errors, 1.0) if self._outlier is None else _bent(errors, self._outlier)
        share = 1 / math.sqrt(len(errors))
        jacobian *= (share * self._units * slopes)[:, None]
        return Parts(np.zeros(self.window.size), residuals=share * residuals, residual_jacobian=jacobian)

    def errors(self, z: Array) -> dict[str, Any]:
        """Return the problems, the exact end points, and the errors y - x_N."""
        mean, width, tilt, noise = self._mixtures
        share = 1 / (1 + np.exp(-2 * tilt))
        error = self._ends(z)[0] - self._last
        return {"mean": mean, "width": width, "share": share, "quantile": noise, "exact": self._last, "error": error}


def _bent(e: Array, c: float) -> tuple[Array, Array]:
    """Return t with t^2 = c^2 log(1 + (e/c)^2) and the sign of e, and dt/de."""
    square = (e / c) ** 2
    root = np.sqrt(np.divide(np.log1p(square), square, out=np.ones_like(square), where=square > 0))
    return e * root, 1 / ((1 + square) * root)


def quantile(z: Array, mean: Array, width: Array, tilt: Array) -> Array:
    """Return the x with P(X > x) = P(Z > z), for standard normal Z and mixtures X.

    Parameters
    ----------
    z
        Quantiles, shape (problems,).
    mean, width, tilt
        The mixtures: +-mean with odds e^(2 tilt), of width > 0.

    Returns
    -------
    ndarray
        x, to a few ulp of mean + width in the tail that is the smaller one.
    """
    sign = np.where(z < 0, -1.0, 1.0)
    z, tilt = z * sign, tilt * sign
    tail, shares = log_ndtr(-z), (-np.logaddexp(0, -2 * tilt), -np.logaddexp(0, 2 * tilt))
    low, high = width * z - mean, width * z + mean
    x = low + (high - low) * np.exp(shares[0])
    for _ in range(200):  # bisection alone needs 60
        excess, slope = _log_tail(x, mean, width, shares)
        excess -= tail
        low, high = np.where(excess > 0, x, low), np.where(excess > 0, high, x)
        with np.errstate(all="ignore"):  # between distant modes there is no density
            new = x - excess / slope
        new = np.where((new > low) & (new < high), new, 0.5 * (low + high))
        change, x = np.abs(new - x), new
        if np.all(change <= 4e-16 * (mean + width)):
            break
    return np.asarray(x * sign)


def _log_tail(x: Array, mean: Array, width: Array, shares: tuple[Array, Array]) -> tuple[Array, Array]:
    """Return log P(X > x) and its derivative."""
    u, v = (x - mean) / width, (x + mean) / width
    value = np.logaddexp(shares[0] + log_ndtr(-u), shares[1] + log_ndtr(-v))
    density = np.exp(shares[0] - u * u / 2 - value) + np.exp(shares[1] - v * v / 2 - value)
    return value, -density / (math.sqrt(2 * math.pi) * width)
