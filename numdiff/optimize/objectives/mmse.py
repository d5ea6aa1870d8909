r"""The minimum mean squared error of a data law as a function of the signal-to-noise ratio, with its exact derivative.

At the signal-to-noise ratio g = (alpha/sigma)^2 = e^(2 lambda) let y = sqrt(g) x_0 + n, n ~ N(0, I), the sample divided
by sigma. The denoiser is D = E[x_0 | y] and

    m(g) = E||x_0 - D||^2 = E tr V,      dm/dg = -E||V||_F^2,      V = Cov(x_0 | y),                          (1)

so m falls from m(0) = tr Cov(x_0), and half its integral is information in nats (I-MMSE: Guo, Shamai, Verdu 2005,
doi:10.1109/TIT.2005.844072; the derivative: Guo, Wu, Shamai, Verdu 2011, doi:10.1109/TIT.2010.2104030, and Payaro,
Palomar 2009, doi:10.1109/TIT.2009.2023724):

    I(x_0; y_b) - I(x_0; y_a) = 1/2 int_a^b m(g) dg.                                                          (2)

Laws of independent coordinates add, m and dm/dg alike. In closed form, or to rounding:

* **Gaussian** N(0, s^2): V = s^2/w with w = 1 + g s^2, so m = s^2/w, dm/dg = -s^4/w^2, I = (log w)/2.
* **Symmetric mixture**, +-mu with equal weights and width s: given the sign, x_0 has variance s^2/w and the two means
  are 2 mu/w apart; the sign's posterior mean is tanh(sqrt(g) mu y/w). With kappa = g mu^2/w, the signal-to-noise ratio
  at which the sign is seen,

      V = s^2/w + (mu/w)^2 sech^2,   m = s^2/w + (mu/w)^2 c_1,   -dm/dg = (s^2/w)^2 + 2 s^2 mu^2/w^3 c_1 + (mu/w)^4 c_2
      c_j(kappa) = E sech^2j(kappa + sqrt(kappa) n) = e^(-kappa/2) E sech^(2j-1)(sqrt(kappa) n).

  The last form (averaging the two signs) has an even analytic integrand, on which the trapezoidal rule converges
  geometrically: with spacing h in u = sqrt(kappa) n the poles at +-i pi/2 leave an error e^(-pi^2/h), 1e-17 at h = 1/4.

Laws that are known in numbers only, any mixture and a network's, are in `numdiff.optimize.objectives.mmse_tables`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Law(Protocol):
    """What the objective needs to know of a data law."""

    @property
    def scale(self) -> float:
        """About the largest variance c of a coordinate; only sets the variable u in which integrals are taken."""

    def at(self, snr: Array) -> tuple[Array, Array]:
        """Return m and dm/dg at signal-to-noise ratios g >= 0, both of the shape of `snr`."""


def u_of(snr: Any, scale: float) -> Any:
    """Return u = (1/2) log(1 + c g)."""
    return 0.5 * np.log1p(scale * np.asarray(snr))


def snr_of(u: Any, scale: float) -> Any:
    """Return the signal-to-noise ratio at u, the inverse of `u_of`."""
    return np.expm1(2 * np.asarray(u)) / scale


def cumulative(
    law: Law, low: float, high: float, integrand: Callable[[Array, Array], Array], panels: int = 192
) -> tuple[Array, Array]:
    """Return places in u and the integral of integrand(m, m') dg from `low` to each, up to `high` (both are g).

    Gauss-Legendre with 4 points in each of `panels` equal parts of u, in which m dg/du = 2 m (1 + c g)/c is nearly
    constant at both ends; a table is split at its nodes besides.
    """
    u = np.linspace(u_of(low, law.scale), u_of(high, law.scale), panels + 1)
    nodes = getattr(law, "nodes", np.zeros(0))
    edges = np.union1d(u, nodes[(nodes > u[0]) & (nodes < u[-1])])
    x, weights = np.polynomial.legendre.leggauss(4)
    half = np.diff(edges)[:, None] / 2
    points = np.clip(edges[:-1, None] + half * (1 + x), u[0], u[-1])
    values = integrand(*law.at(snr_of(points, law.scale))) * (2 * np.exp(2 * points) / law.scale)
    return edges, np.concatenate([[0.0], np.cumsum((values * half) @ weights)])


def information(law: Law, low: float, high: float, panels: int = 192) -> float:
    """Return 1/2 int m dg over signal-to-noise ratios `low` to `high`, formula (2), in nats; see `cumulative`."""
    return 0.5 * float(cumulative(law, low, high, lambda m, slope: m, panels)[1][-1])


# --- closed forms ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class GaussianLaw:
    """Independent Gaussian coordinates.

    Parameters
    ----------
    scales
        Standard deviations s of the coordinates, positive, shape (k,) or one number.
    counts
        How many coordinates have each of them (or a weight), positive, shape (k,); one each if None.

    Raises
    ------
    ValueError
        If a number is not positive and finite, or the shapes differ.
    """

    scales: Any
    counts: Any = None

    def __post_init__(self) -> None:
        """Check the numbers and keep them as arrays."""
        scales = _positive(self.scales, "scales")
        object.__setattr__(self, "scales", scales)
        object.__setattr__(self, "counts", _counts(self.counts, scales))

    @property
    def scale(self) -> float:
        """The largest variance."""
        return float(np.max(self.scales) ** 2)

    def at(self, snr: Array) -> tuple[Array, Array]:
        """Return m and dm/dg; see `Law`."""
        variances = self.scales**2 / (1 + np.multiply.outer(snr, self.scales**2))
        return variances @ self.counts, -(variances**2) @ self.counts


@dataclass(frozen=True, eq=False)
class SymmetricMixtures:
    """Independent coordinates that are each a mixture of N(+mu, s^2) and N(-mu, s^2) with equal weights.

    Parameters
    ----------
    means
        mu, positive, shape (k,) or one number.
    widths
        s, not negative (0 for two points), shape (k,) or one number.
    counts
        How many coordinates have each pair (or a weight), positive, shape (k,); one each if None.

    Raises
    ------
    ValueError
        If a number is out of range or the shapes differ.

    Notes
    -----
    Relative error below 1e-13 for m and dm/dg, as long as they are not under 1e-290.
    """

    means: Any
    widths: Any
    counts: Any = None

    def __post_init__(self) -> None:
        """Check the numbers and keep them as arrays."""
        widths = np.atleast_1d(np.asarray(self.widths, dtype=float))
        means, widths = np.broadcast_arrays(_positive(self.means, "means"), widths)
        if not np.all((widths >= 0) & np.isfinite(widths)):
            raise ValueError(f"widths must be finite and not negative, but one is {_worst(widths, widths >= 0):g}")
        object.__setattr__(self, "means", means)
        object.__setattr__(self, "widths", widths)
        object.__setattr__(self, "counts", _counts(self.counts, means))

    @property
    def scale(self) -> float:
        """The largest variance mu^2 + s^2."""
        return float(np.max(self.means**2 + self.widths**2))

    def at(self, snr: Array) -> tuple[Array, Array]:
        """Return m and dm/dg; see `Law`."""
        g = np.asarray(snr, dtype=float)[..., None]
        w = 1 + g * self.widths**2
        within, apart = self.widths**2 / w, (self.means / w) ** 2
        c1, c2 = sign_moments(g * self.means**2 / w)
        slopes = within**2 + 2 * within * apart * c1 + apart**2 * c2
        return (within + apart * c1) @ self.counts, -slopes @ self.counts


_U = 0.25 * np.arange(161.0)
_SECH = 1 / np.cosh(_U)
_U_WEIGHTS = 0.25 * np.where(_U == 0, 1.0, 2.0)[:, None] * np.stack([_SECH, _SECH**3], axis=1)
_N = 0.25 * np.arange(41.0)
_N_WEIGHTS = 0.25 * np.where(_N == 0, 1.0, 2.0) * np.exp(-(_N**2) / 2) / math.sqrt(2 * math.pi)


def sign_moments(kappa: Array) -> tuple[Array, Array]:
    """Return c_1 and c_2, the mean of sech^2 and of sech^4 of kappa + sqrt(kappa) n, n standard normal.

    c_1 is the mean squared error of estimating a fair sign at signal-to-noise ratio kappa, and c_1' = -c_2.
    """
    flat = np.asarray(kappa, dtype=float).reshape(-1, 1)
    both = np.empty((len(flat), 2))
    small = flat[:, 0] < 1
    sech = 1 / np.cosh(np.sqrt(flat[small]) * _N)
    both[small] = np.stack([sech @ _N_WEIGHTS, sech**3 @ _N_WEIGHTS], axis=1)
    large = flat[~small]
    both[~small] = np.exp(-(_U**2) / (2 * large)) @ _U_WEIGHTS / np.sqrt(2 * np.pi * large)
    both *= np.exp(-flat / 2)
    return both[:, 0].reshape(np.shape(kappa)), both[:, 1].reshape(np.shape(kappa))


@dataclass(frozen=True, eq=False)
class FunctionLaw:
    """A law given as a function of lambda = log(alpha/sigma), half the logarithm of the signal-to-noise ratio.

    Parameters
    ----------
    function
        ``function(log_snr) -> (m, dm/d log_snr)`` for an array of finite log-SNRs.
    variance
        m at zero signal-to-noise ratio; needed where a window begins at log-SNR -inf.
    scale
        About the largest variance of a coordinate.
    """

    function: Callable[[Array], tuple[Any, Any]]
    variance: float | None = None
    scale: float = 1.0

    def at(self, snr: Array) -> tuple[Array, Array]:
        """Return m and dm/dg; see `Law`. At g = 0 dm/dg is not known, and NaN."""
        snr = np.asarray(snr, dtype=float)
        noise = snr == 0
        if np.any(noise) and self.variance is None:
            raise ValueError("variance is needed for a window that begins at log-SNR -inf; give FunctionLaw m(0)")
        value, slope = np.full(snr.shape, self.variance, dtype=float), np.full(snr.shape, np.nan)
        found = self.function(np.log(snr[~noise]) / 2)
        value[~noise], slope[~noise] = found[0], np.asarray(found[1]) / (2 * snr[~noise])
        return value, slope


def _positive(values: Any, name: str) -> Array:
    array = np.atleast_1d(np.asarray(values, dtype=float))
    if not np.all((array > 0) & np.isfinite(array)):
        raise ValueError(f"{name} must be positive and finite, but one is {_worst(array, array > 0):g}")
    return array


def _worst(array: Array, good: NDArray[np.bool_]) -> float:
    return float(array[~(good & np.isfinite(array))][0])


def _counts(counts: Any, like: Array) -> Array:
    array = np.ones(like.shape) if counts is None else _positive(counts, "counts")
    if array.shape != like.shape or array.ndim != 1:
        raise ValueError(f"counts have shape {array.shape}, but the parameters {like.shape}; give one count for each")
    return array
