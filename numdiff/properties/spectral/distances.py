r"""How far a scheme's output is from the truth on Gaussian data, exactly: W2, KL, mean, variance, moments.

In one direction both laws are normal, generated N(m, v) and true N(m*, v*), so that with e = v/v* - 1, d = m - m*

    W2^2               = d^2 + (sqrt(v) - sqrt(v*))^2
    KL(generated|true) = (e - log(1 + e) + d^2/v*)/2
    KL(true|generated) = (f - log(1 + f) + d^2/v)/2,    f = v*/v - 1
    E x^k              = m E x^(k-1) + (k-1) v E x^(k-2)

Directions of an anisotropic Gaussian are independent: squares of W2 and the KLs (in nats) add up. KL is inf where
exactly one of the laws is a point mass; between two point masses it is 0 or inf, as the points agree or not.

Moment errors follow from the recursion's own difference, in which nothing of the size of the moments cancels:
D_k = m D_(k-1) + d M*_(k-1) + (k-1) (v D_(k-2) + (v - v*) M*_(k-2)).

Start. x_0 has the exact law N(alpha_0 mu, S_0), or, as samplers are run, N(0, sigma_0^2): the *prior* "standard", whose
mismatch grows with alpha_0 and leaves an error however many steps are made.

Source: Olkin and Pukelsheim, Linear Algebra Appl. 48 (1982), for W2; the rest is elementary.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from numdiff.methods.scheme import Scheme
from numdiff.properties.spectral.recursion import response
from numdiff.properties.spectral.scalar import Array, check_real

MOMENTS = tuple(range(2, 9))
"""Orders k of the moments E x^k that `errors` compares."""

PRIORS = (None, "standard")

NEAR = 0.25
"""Up to this |x|, x - log(1 + x) is summed as a series; beyond it the subtraction costs less than four bits."""


@dataclass(frozen=True, eq=False)
class Errors:
    """Distances between the law a scheme generates and the true one at the last level, an entry per direction.

    Parameters
    ----------
    w2
        Wasserstein-2 distance.
    kl
        KL(generated | true) in nats.
    reverse_kl
        KL(true | generated) in nats.
    mean
        Error of the mean, m - alpha_N mu.
    variance
        Error of the variance, v - S_N.
    moments
        Errors of E x^k for k in `MOMENTS`, shape ``(7, *s.shape)``.

    Examples
    --------
    >>> import numdiff as nd
    >>> schedule = nd.schedules.VPLinear()
    >>> scheme = nd.DDIM().discretize(schedule, nd.grids.uniform_log_snr(schedule, 20))
    >>> found = nd.spectral.errors(scheme, [0.1, 1.0, 2.0])
    >>> found.w2.shape, found.moments.shape
    ((3,), (7, 3))
    >>> bool(abs(found.total_w2 ** 2 - (found.w2 ** 2).sum()) < 1e-12)      # directions are independent
    True
    >>> bool((found.variance < 0).all())                                   # DDIM loses variance in every direction
    True
    """

    w2: Array
    kl: Array
    reverse_kl: Array
    mean: Array
    variance: Array
    moments: Array

    @property
    def total_w2(self) -> float:
        """W2 distance of the whole Gaussian: the root of the sum of squares over the directions."""
        return float(np.sqrt(np.sum(self.w2**2)))

    @property
    def total_kl(self) -> float:
        """KL(generated | true) of the whole Gaussian."""
        return float(np.sum(self.kl))

    @property
    def total_reverse_kl(self) -> float:
        """KL(true | generated) of the whole Gaussian."""
        return float(np.sum(self.reverse_kl))


def errors(scheme: Scheme, s: ArrayLike, mu: ArrayLike = 0.0, *, prior: str | None = None) -> Errors:
    """Return how far the law that a scheme generates is from the true one.

    Parameters
    ----------
    scheme
        What ``method.discretize(schedule, grid)`` returns.
    s, mu
        Standard deviations and means of the data in its eigen-directions; they broadcast.
    prior
        None: the run starts from the exact law at the first level. "standard": from N(0, sigma_0^2).

    Returns
    -------
    Errors
        Against the true law at the grid's last level, N(alpha_N mu, S_N); that is the data where the grid ends at
        sigma = 0.

    Raises
    ------
    TypeError, ValueError
        As `response`; also for `mu` not finite, shapes that do not broadcast, and an unknown prior.

    Examples
    --------
    How much less the second-order method errs than DDIM at 20 steps, direction by direction:

    >>> import numdiff as nd
    >>> schedule = nd.schedules.VPLinear()
    >>> grid = nd.grids.uniform_log_snr(schedule, 20)
    >>> s = [0.1, 1.0]
    >>> first = nd.spectral.errors(nd.DDIM().discretize(schedule, grid), s).w2
    >>> second = nd.spectral.errors(nd.DPMSolverPP(2).discretize(schedule, grid), s).w2
    >>> bool((second < first / 3).all())
    True

    The standard start N(0, sigma_0^2) leaves an error in the mean however many steps are made:

    >>> run = nd.DDIM().discretize(schedule, grid)
    >>> exact, standard = (nd.spectral.errors(run, 1.0, 5.0, prior=p).mean for p in (None, "standard"))
    >>> bool(abs(standard) > 1e6 * abs(exact))
    True
    """
    if prior not in PRIORS:
        raise ValueError(f'prior must be None (the exact law at the first level) or "standard", got {prior!r}')
    s, mu = _together(check_real(s, "s"), check_real(mu, "mu", negative=True))
    found = response(scheme, s)
    first, last = found.levels[0], found.levels[-1]
    missing = 0.0 if prior is None else first.alpha * mu  # the standard start lies this much below the exact mean
    start = found.scales[0] if prior is None else np.full_like(s, first.sigma)
    true, truth = found.scales[-1], last.alpha * mu
    with np.errstate(over="ignore", invalid="ignore"):
        shift = (found.drift - last.alpha) * mu - found.gain * missing + found.offset
        deviation = np.hypot(found.gain * start, np.sqrt(found.noise_variance))
        excess = deviation - true
        variance = excess * (deviation + true)
        moments = _moment_errors(shift, truth, variance, true**2)
        return Errors(
            w2=np.hypot(shift, excess),
            kl=_divergence(variance, true**2, shift),
            reverse_kl=_divergence(-variance, deviation**2, shift),
            mean=shift,
            variance=variance,
            moments=moments,
        )


def _together(s: Array, mu: Array) -> tuple[Array, Array]:
    try:
        a, b = np.broadcast_arrays(s, mu)
    except ValueError:
        raise ValueError(f"s and mu must broadcast, but have shapes {s.shape} and {mu.shape}") from None
    return a, b


def _divergence(change: Array, variance: Array, shift: Array) -> Array:
    """Return KL(N(shift, variance + change) | N(0, variance))."""
    with np.errstate(divide="ignore", invalid="ignore"):
        e = change / variance
        value = (_minus_log1p(e) + shift**2 / variance) / 2
    points = (variance == 0) & (change == 0) & (shift == 0)
    return np.where(points, 0.0, np.where(variance == 0, math.inf, value))


def _minus_log1p(x: Array) -> Array:
    """Return x - log(1 + x) for x >= -1, to a few ulp: with z = x/(2 + x) it is z (x - 2 (z^2/3 + z^4/5 + ...))."""
    x = np.maximum(x, -1.0)
    near = np.abs(x) < NEAR
    z = np.where(near, x, 0.0) / (2 + np.where(near, x, 0.0))
    series = sum(z ** (2 * k) / (2 * k + 1) for k in range(1, 12))  # |z| <= 1/7, and 7^-24 < 1e-20
    with np.errstate(divide="ignore"):
        return np.where(near, z * (x - 2 * series), x - np.log1p(np.where(near, 0.0, x)))


def _moment_errors(shift: Array, truth: Array, change: Array, variance: Array) -> Array:
    """Return the errors of E x^k for k in `MOMENTS`, by the recursion of their difference."""
    true, error = [np.ones_like(shift), truth], [np.zeros_like(shift), shift]
    for k in MOMENTS:
        error.append(
            (truth + shift) * error[-1]
            + shift * true[-1]
            + (k - 1) * ((variance + change) * error[-2] + change * true[-2])
        )
        true.append(truth * true[-1] + (k - 1) * variance * true[-2])
    return np.stack(error[2:])
