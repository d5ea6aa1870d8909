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
* **Any mixture** of `numdiff.problems`: V is a function of y, averaged over fixed draws; see `mixture_law`.
* **A network**: m estimated from data; see `mmse_from_model`.

Between its nodes a table interpolates log m by cubics in u = (1/2) log(1 + c g), in which a Gaussian of variance c is a
straight line, g = 0 is a finite point, and monotone data stay monotone (Fritsch, Carlson 1980, doi:10.1137/0717021).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicHermiteSpline, PchipInterpolator

from numdiff.parameterizations import convert

Array = NDArray[np.float64]


class Law(Protocol):
    """What the objective needs to know of a data law."""

    scale: float
    """A typical variance c of a coordinate; only sets the variable u in which integrals are taken."""

    def at(self, snr: Array) -> tuple[Array, Array]:
        """Return m and dm/dg at signal-to-noise ratios g >= 0, both of the shape of `snr`."""


def u_of(snr: Any, scale: float) -> Any:
    """Return u = (1/2) log(1 + c g)."""
    return 0.5 * np.log1p(scale * np.asarray(snr))


def snr_of(u: Any, scale: float) -> Any:
    """Return the signal-to-noise ratio at u, the inverse of `u_of`."""
    return np.expm1(2 * np.asarray(u)) / scale


def information(law: Law, low: float, high: float, panels: int = 96) -> float:
    """Return 1/2 int m dg over signal-to-noise ratios `low` to `high`, formula (2), in nats.

    Gauss-Legendre with 8 points in each of `panels` equal parts of u, in which the integrand m dg/du = 2 m (1 + c g)/c
    is nearly constant; a table is split at its nodes besides.
    """
    u = np.linspace(*u_of([low, high], law.scale), panels + 1)
    nodes = getattr(law, "nodes", np.zeros(0))
    edges = np.union1d(u, nodes[(nodes > u[0]) & (nodes < u[-1])])
    x, weights = np.polynomial.legendre.leggauss(8)
    half = np.diff(edges)[:, None] / 2
    points = np.clip(edges[:-1, None] + half * (1 + x), u[0], u[-1])
    values = law.at(snr_of(points, law.scale))[0] * (np.exp(2 * points) / law.scale)
    return float(np.sum(values * weights * half))


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
        """Geometric mean of the variances."""
        return float(np.exp(2 * np.average(np.log(self.scales), weights=self.counts)))

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
        means, widths = np.broadcast_arrays(
            _positive(self.means, "means"), np.atleast_1d(np.asarray(self.widths, float))
        )
        if not np.all((widths >= 0) & np.isfinite(widths)):
            raise ValueError(f"widths must be finite and not negative, but one is {_worst(widths, widths >= 0):g}")
        object.__setattr__(self, "means", means)
        object.__setattr__(self, "widths", widths)
        object.__setattr__(self, "counts", _counts(self.counts, means))

    @property
    def scale(self) -> float:
        """Geometric mean of the variances mu^2 + s^2."""
        return float(np.exp(np.average(np.log(self.means**2 + self.widths**2), weights=self.counts)))

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
        A typical variance of a coordinate.
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


# --- tables ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class TableLaw:
    """A law known at some signal-to-noise ratios, with a monotone cubic between them.

    Parameters
    ----------
    snr
        Signal-to-noise ratios, increasing, at least two; the first may be 0.
    mmse
        m there, positive, not increasing.
    slope
        dm/dg there, or None to take slopes from the neighbours (PCHIP).
    scale
        A typical variance of a coordinate.
    standard_error
        Standard errors of `mmse` where it is an estimate, else None; not used, only kept.

    Raises
    ------
    ValueError
        If m increases, or given slopes would make the cubics increase somewhere (a finer table cures it).
    """

    snr: Array
    mmse: Array
    slope: Array | None = None
    scale: float = 1.0
    standard_error: Array | None = None

    def __post_init__(self) -> None:
        """Refuse what is not a falling positive function."""
        if len(self.snr) < 2 or not (np.all(np.diff(self.snr) > 0) and self.snr[0] >= 0 and np.isfinite(self.snr[-1])):
            raise ValueError(
                "snr must be at least two increasing finite numbers from 0 on; sort them, drop repetitions"
            )
        if not (np.all(self.mmse > 0) and np.all(np.diff(self.mmse) <= 0)):
            where = int(np.argmax(np.append(np.diff(self.mmse), 0) > 0))
            raise ValueError(f"mmse must be positive and must not rise with the SNR, but it does after entry {where}")
        if self.slope is not None and not _monotone(self.nodes, np.log(self.mmse), self._log_slopes):
            raise ValueError(
                "the slopes make the interpolant rise between two nodes; take a finer table, or slope=None"
            )

    @cached_property
    def nodes(self) -> Array:
        """The nodes in u."""
        return u_of(self.snr, self.scale)

    @property
    def _log_slopes(self) -> Array:
        assert self.slope is not None
        return self.slope / self.mmse * (2 * (1 + self.scale * self.snr) / self.scale)

    @cached_property
    def _curve(self) -> Any:
        logs = np.log(self.mmse)
        if self.slope is None:
            return PchipInterpolator(self.nodes, logs)
        return CubicHermiteSpline(self.nodes, logs, self._log_slopes)

    def at(self, snr: Array) -> tuple[Array, Array]:
        """Return m and dm/dg; see `Law`."""
        u = u_of(snr, self.scale)
        slack = 1e-12 * (1 + self.nodes[-1])
        if not np.all((u >= self.nodes[0] - slack) & (u <= self.nodes[-1] + slack)):
            ends = 0.5 * np.log(self.snr[[0, -1]]) if self.snr[0] > 0 else (-np.inf, 0.5 * np.log(self.snr[-1]))
            raise ValueError(f"the table covers log-SNRs {ends[0]:.4g} to {ends[1]:.4g} only; extend it to both ends")
        u = np.clip(u, self.nodes[0], self.nodes[-1])  # rounding of an end, no more
        value = np.exp(self._curve(u))
        return value, value * self._curve(u, 1) * (self.scale / 2) * np.exp(-2 * u)


def _monotone(x: Array, y: Array, slopes: Array) -> bool:
    """Return whether the cubic Hermite interpolant falls: de Boor's sufficient box, slopes within 3 secants."""
    secant = np.diff(y) / np.diff(x)
    steepest = np.minimum(slopes[:-1], slopes[1:])
    return bool(np.all(slopes <= 0) and np.all(steepest >= 3 * secant * (1 + 1e-9)))


def mixture_law(mixture: Any, log_snrs: Any, draws: int = 4096, seed: int = 0) -> TableLaw:
    """Return the law of a `numdiff.problems.GaussianMixture` as a table over `log_snrs`.

    m and dm/dg are averages of tr V and -||V||_F^2, formula (1), over `draws` fixed pairs (x_0, n), the same at every
    node, components in proportion to their weights. Both are conditional expectations already, so the relative standard
    error of m is that of tr V, zero for one component: about 1 % of the part that is due to not knowing the component
    with 4096 draws. It is kept in ``standard_error``. With one component the table is exact at its nodes.

    Parameters
    ----------
    mixture
        The data law, in d dimensions; the cost is draws * K d^2 a node.
    log_snrs
        Increasing log-SNRs, the first may be -inf; 0.1 apart or less.
    draws
        Number of draws, at least 2.
    seed
        Seed of the draws.

    Raises
    ------
    ValueError
        As `TableLaw`, or for fewer than two draws.
    """
    snr = np.exp(2 * np.asarray(log_snrs, dtype=float))
    if draws < 2:
        raise ValueError(f"draws must be at least 2, got {draws}: one draw has no standard error")
    rng = np.random.default_rng(seed)
    clean, noise = mixture.sample(draws, rng), rng.standard_normal((draws, mixture.dimension))
    moments = [_posterior_moments(mixture, clean, noise, g) for g in snr]
    trace, square = (np.array(column) for column in zip(*moments, strict=True))
    return TableLaw(
        snr,
        trace.mean(axis=1),
        -square.mean(axis=1),
        float(np.trace(mixture.covariance)) / mixture.dimension,
        trace.std(axis=1, ddof=1) / math.sqrt(draws),
    )


def _posterior_moments(mixture: Any, clean: Array, noise: Array, g: float) -> tuple[Array, Array]:
    """Return tr V and ||V||_F^2 at every y = sqrt(g) x_0 + n, shapes (draws,).

    Component k has posterior covariance P_k = C_k (1 + g C_k)^-1 and mean e_k = mu_k + sqrt(g) P_k (y - sqrt(g) mu_k);
    V = sum_k r_k (P_k + e_k e_k^T) - e e^T.
    """
    from numdiff.level import Level

    root, C, mu = math.sqrt(g), mixture.covariances, mixture.means
    y = root * clean + noise
    r = mixture.responsibilities(y, Level(0.0, root, 1.0, 0.0))
    P = np.linalg.solve(np.eye(mixture.dimension) + g * C, C)
    e = mu + root * np.einsum("kij,nkj->nki", P, y[:, None, :] - root * mu)
    apart = e - np.einsum("nk,nki->ni", r, e)[:, None, :]
    V = np.einsum("nk,kij->nij", r, P) + np.einsum("nk,nki,nkj->nij", r, apart, apart)
    return np.trace(V, axis1=1, axis2=2), np.sum(V * V, axis=(1, 2))


def mmse_from_model(
    model: Callable[[Any, Any], Any],
    schedule: Any,
    data: Any,
    log_snrs: Any,
    *,
    prediction: Any = "noise",
    seed: int = 0,
    batch: int = 256,
) -> TableLaw:
    """Return the law seen by a network: E||x_0 - D||^2 on `data` at `log_snrs`, one noise per item and node.

    The same noises serve every node. A rise of the estimates with the SNR, which the truth cannot have, is averaged
    away (pool adjacent violators) where it is within four standard errors of the rise, and refused where it is more.

    Parameters
    ----------
    model
        ``model(x, t)`` with t the model's own time, as in `numdiff.sample`.
    schedule
        Its schedule.
    data
        Clean samples, shape (n, ...), floating NumPy array or torch tensor, at least two.
    log_snrs
        Increasing finite log-SNRs within the schedule; the variance of the data is added as the node -inf.
    prediction
        What the model predicts.
    seed
        Seed of the noises.
    batch
        Samples per call of the model.

    Raises
    ------
    ValueError
        If the model returns a value that is not finite, or the error rises with the SNR by more than noise explains:
        the model, its prediction and its schedule then do not belong together, or it is not well trained there.
    """
    lam = np.asarray(log_snrs, dtype=float)
    if len(data) < 2:
        raise ValueError(f"data must hold at least 2 samples, got {len(data)}")
    flat = np.asarray(data.detach().cpu() if hasattr(data, "detach") else data, dtype=float).reshape(len(data), -1)
    variance = np.sum((flat - flat.mean(axis=0)) ** 2, axis=1) * len(flat) / (len(flat) - 1)
    errors = [variance, *(_model_errors(model, schedule, data, value, prediction, seed, batch) for value in lam)]
    snr = np.concatenate([[0.0], np.exp(2 * lam)])
    values, deviation = _pooled(np.array(errors), lam)
    return TableLaw(snr, values, scale=float(variance.mean()) / flat.shape[1], standard_error=deviation)


def _model_errors(
    model: Callable[[Any, Any], Any], schedule: Any, data: Any, lam: float, prediction: Any, seed: int, batch: int
) -> Array:
    """Return ||x_0 - D||^2 of every sample at one log-SNR, shape (n,)."""
    level, rng = schedule.level(schedule.time(float(lam))), np.random.default_rng(seed)
    found = []
    for start in range(0, len(data), batch):
        clean = data[start : start + batch]
        noise = _like(rng.standard_normal(tuple(clean.shape)), clean)
        x = float(level.alpha) * clean + float(level.sigma) * noise
        error = clean - convert(model(x, level.model_time), x, level, source=prediction, target="data")
        error = np.asarray(error.detach().cpu() if hasattr(error, "detach") else error, dtype=float)
        if not np.all(np.isfinite(error)):
            raise ValueError(
                f"the model returned a value that is not finite at log-SNR {lam:.4g}, t = {level.time:.6g}"
            )
        found.append(np.sum(error.reshape(len(error), -1) ** 2, axis=1))
    return np.concatenate(found)


def _like(noise: Array, data: Any) -> Any:
    """Return `noise` in the library, type and device of `data`."""
    if isinstance(data, np.ndarray):
        return noise.astype(data.dtype)
    import torch

    return torch.from_numpy(noise).to(data)


def _pooled(errors: Array, lam: Array) -> tuple[Array, Array]:
    """Return falling means and their standard errors; rises beyond noise are an error."""
    from scipy.optimize import isotonic_regression

    means = errors.mean(axis=1)
    deviation = errors.std(axis=1, ddof=1) / math.sqrt(errors.shape[1])
    rise = np.diff(means) - 4 * np.diff(errors, axis=0).std(axis=1, ddof=1) / math.sqrt(errors.shape[1])
    if np.any(rise > 0):
        where = int(np.argmax(rise))
        raise ValueError(
            f"the model's error rises to {means[where + 1]:.4g} at log-SNR {lam[where]:.4g} from {means[where]:.4g} "
            "before it, more than noise explains; check prediction and schedule, or leave that log-SNR out"
        )
    return isotonic_regression(means, increasing=False).x, deviation


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
