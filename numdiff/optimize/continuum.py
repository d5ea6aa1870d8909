r"""Where the best steps go as their number grows: densities of steps, and a bound that no density can beat.

N steps of density rho on lambda = log(alpha/sigma) have h = 1/(N rho(lambda)), int rho = 1. A method of order k makes
the local error h^{k+1} times something smooth, which the flow carries to the end, so that of many modes m (widths of
Gaussian data, say) each ends with an error

    r_m = sum_i h_i^{k+1} a_m(lambda_i) + ...  ->  N^{-k} int rho^{-k} a_m dlambda.                              (1)

The limit density minimises |r|, r = int w a dlambda with w = rho^{-k}. That is a **convex** problem: r is linear in w,
and int w^{-1/k} <= 1 is a convex set. For a direction e of unit length and A = e.a >= 0 the least e.r has the density

    rho ~ A^{1/(k+1)}        with        min int w A = (int A^{1/(k+1)} dlambda)^{k+1},                          (2)

and because |r| >= e.r, (2) bounds every density from below: strong duality is min |r| = max_e (2). One mode with a >= 0
has (2) as its solution. Where no e makes A >= 0 everywhere, as for one mode whose a changes sign, the value is 0:
signed errors cancel to this order, many densities do it, and only later terms tell them apart. A least density f (no
step longer than 1/(N f)) keeps the problem finite: then the density of (2) is max(f, c A_+^{1/(k+1)}).

**Gaussian data** N(0, s^2), run in data/log-SNR by a method whose error constant is C (Adams-Bashforth: 1/2, 5/12,
3/8, ...). With p = v/(1+v), v = s^2 e^{2 lambda}, the point one standard deviation out has x/sigma = e^lambda s/sqrt(p)
along the exact flow and the denoised estimate D = s sqrt(p). As dp/dlambda = 2p(1-p), every derivative of D is a
polynomial of p times sqrt(p), and the relative error of the gain is -N^{-k} int rho^{-k} a_s with

    a_s = C e^lambda D^{(k)} / (x/sigma) = C p P_k(p),     P_0 = 1,   P_{k+1} = (1-p) (P_k + 2 p P_k').          (3)

DDIM (k = 1): a_s = p (1-p)/2 is positive and (2) gives rho ~ sqrt(p(1-p)): steps of equal angle arctan(s alpha/sigma),
which are optimal for every N, as the gain is the product of their cosines.

What (1) leaves out: the lower order of a run's first steps (one short first step makes it vanish in the limit), and
steps whose neighbours' ratios do not tend to 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Limit:
    """The density that optimal steps tend to.

    Parameters
    ----------
    log_snr
        Where the density is known, rising, shape (n,).
    density
        rho, integral 1 by the trapezoidal rule, shape (n,).
    residuals
        int rho^{-k} a_m dlambda, shape (modes,): N^k times the errors of N steps.
    bound
        What ``|residuals|`` of no density falls below.
    """

    log_snr: Array
    density: Array
    residuals: Array
    bound: float

    @property
    def value(self) -> float:
        """``|residuals|``."""
        return float(np.linalg.norm(self.residuals))

    def steps(self, count: int) -> Array:
        """Return the log-SNRs of `count` steps of this density, shape (count + 1,): equal parts of its integral."""
        parts = np.diff(self.log_snr) * (self.density[1:] + self.density[:-1]) / 2
        total = np.concatenate([[0.0], np.cumsum(parts)])
        return np.interp(np.linspace(0, total[-1], count + 1), total, self.log_snr)


def gaussian_errors(log_snr: ArrayLike, scales: ArrayLike, order: int, constant: float | None = None) -> Array:
    """Return a_s of formula (3) for Gaussian data.

    Parameters
    ----------
    log_snr
        Half log-SNRs, shape (n,).
    scales
        Standard deviations s > 0 of the data, shape (modes,).
    order
        Order k of the method, at least 1.
    constant
        Its error constant in data/log-SNR; None: that of the Adams-Bashforth method of k steps.

    Returns
    -------
    ndarray
        Shape (modes, n).

    Raises
    ------
    ValueError
        If the order is no positive integer or a scale is not positive.
    """
    if isinstance(order, bool) or not isinstance(order, int) or order < 1:
        raise ValueError(f"order must be an integer of at least 1, got {order!r}")
    s = np.atleast_1d(np.asarray(scales, dtype=float))
    if not (s > 0).all():
        raise ValueError(f"scales must be positive standard deviations, got {scales!r}")
    p = 0.5 + 0.5 * np.tanh(np.asarray(log_snr, dtype=float) + np.log(s)[:, None])
    polynomial = np.polynomial.Polynomial([1.0])
    for _ in range(order):
        polynomial = np.polynomial.Polynomial([1.0, -1.0]) * (
            polynomial + np.polynomial.Polynomial([0.0, 2.0]) * polynomial.deriv()
        )
    found: Array = (adams_constant(order) if constant is None else float(constant)) * p * polynomial(p)
    return found


def adams_constant(order: int) -> float:
    """Return the error constant of the Adams-Bashforth method of `order` steps, int_0^1 (u)_k/k! du: 1/2, 5/12, ..."""
    rising = np.polynomial.Polynomial.fromroots(-np.arange(order)) / np.prod(np.arange(1.0, order + 1))
    return float(rising.integ()(1.0))


def limit_density(
    log_snr: ArrayLike, errors: ArrayLike, order: int, *, least: float = 0.05, iterations: int = 3000
) -> Limit:
    """Return the density of steps that minimises the errors (1) of many steps.

    The problem is convex in w, so that a stationary log-density is a global minimum: quasi-Newton (L-BFGS) on
    ``log |r|^2`` finds one, and (2) in the direction of its r bounds all others.

    Parameters
    ----------
    log_snr
        Nodes of the trapezoidal rule, rising from noise to data, shape (n,).
    errors
        a_m at the nodes, times the root of the mode's weight, shape (modes, n) or (n,).
    order
        Order k of the method, at least 1.
    least
        Least density, as a part of the mean density 1/(lambda_N - lambda_0); between 0 and 1. Where the density is at
        this bound, it moves when the bound does.
    iterations
        After how many the search ends: compare ``value`` with ``bound``.

    Returns
    -------
    Limit
        The density and the bound; ``value`` is certified to the difference of the two.

    Raises
    ------
    ValueError
        For log-SNRs that do not rise, errors of another shape or not finite, or a `least` outside (0, 1).
    """
    lam, a = _checked(log_snr, errors, least)
    weights = np.gradient(lam)
    weights[[0, -1]] /= 2
    floor, columns = least / weights.sum(), a * weights
    even = float(np.sum((columns.sum(1) * weights.sum() ** order) ** 2))

    def value(theta: Array) -> tuple[float, Array]:
        density, free = _density(theta, weights, least)
        r = columns @ density**-order
        size = float(r @ r) + NOTHING**2 * even
        slope = -2 * order * density ** (-order - 1) * (r @ columns) / size * free
        return math.log(size or 1.0), slope - weights * free * slope.sum() / (1 - least)

    options = {"maxiter": iterations, "maxfun": 2 * iterations, "maxcor": 30, "ftol": 1e-15, "gtol": 1e-9}
    found = minimize(value, np.zeros(len(lam)), jac=True, method="L-BFGS-B", options=options)
    density = _density(found.x, weights, least)[0]
    r = columns @ density**-order
    direction = r / (np.linalg.norm(r) or 1.0)
    best = _extreme(direction @ a, weights, floor, order)
    return Limit(lam, density, r, max(0.0, float(direction @ (columns @ best**-order))))


NOTHING = 1e-8
"""Errors below this part of even steps' count as cancelled."""


def _density(theta: Array, weights: Array, least: float) -> tuple[Array, Array]:
    """Return floor + free, of integral 1, and free, which is proportional to e^theta."""
    free = np.exp(theta - theta.max())
    free *= (1 - least) / (weights @ free)
    return least / weights.sum() + free, free


def _checked(log_snr: ArrayLike, errors: ArrayLike, least: float) -> tuple[Array, Array]:
    lam = np.asarray(log_snr, dtype=float)
    a = np.atleast_2d(np.asarray(errors, dtype=float))
    if lam.ndim != 1 or len(lam) < 3 or not (np.diff(lam) > 0).all():
        raise ValueError("log_snr must be at least three numbers that rise from noise to data")
    if a.ndim != 2 or a.shape[1] != len(lam) or not np.isfinite(a).all():
        raise ValueError(f"errors must be finite, of shape (modes, {len(lam)}), got shape {a.shape}")
    if not 0 < least < 1:
        raise ValueError(f"least must lie between 0 and 1, parts of the mean density, got {least!r}")
    return lam, a


def _extreme(a: Array, weights: Array, floor: float, order: int) -> Array:
    """Return the density max(floor, c a_+^{1/(k+1)}), of integral 1, that minimises int rho^{-k} a."""
    shape = np.maximum(a, 0.0) ** (1 / (order + 1))
    if not shape.any():
        return np.full(len(a), floor)
    ranks = np.argsort(shape)
    below = np.concatenate([[0.0], np.cumsum(weights[ranks])[:-1]])  # weight of the nodes at the floor
    above = np.cumsum((weights * shape)[ranks][::-1])[::-1]  # sum of those above it
    factors = (1.0 - floor * below) / np.maximum(above, 1e-300)
    fits = factors * shape[ranks] >= floor
    return np.maximum(floor, factors[np.argmax(fits)] * shape)
