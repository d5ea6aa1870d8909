r"""Data laws known at some signal-to-noise ratios only: mixtures by fixed draws, networks by their errors on data.

A `TableLaw` has m(g) at nodes and interpolates log m by cubics in u = (1/2) log(1 + c g). In u a Gaussian of variance c
is the straight line log m = log c - 2 u, pure noise g = 0 is a finite point, and falling data stay falling: with PCHIP
slopes always, with exact slopes where those lie within three secants (Fritsch, Carlson 1980, doi:10.1137/0717021),
which is checked. The derivative is the interpolant's own, so that an objective on a table is exactly differentiable.

**Mixtures** (`mixture_law`). At y = sqrt(g) x_0 + n component k has the posterior covariance P_k = C_k (1 + g C_k)^-1,
the mean e_k = mu_k + sqrt(g) P_k (y - sqrt(g) mu_k) and the responsibility r_k, so that with e = sum_k r_k e_k

    V = sum_k r_k { P_k + (e_k - e)(e_k - e)^T },     m = E tr V,     dm/dg = -E||V||_F^2,

averaged over draws of (x_0, n). **Networks** (`mmse_from_model`) have E||x_0 - D||^2, which is m if D is the denoiser
and more if not: for any D, E||x_0 - D||^2 = m + E||D - E[x_0 | y]||^2.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicHermiteSpline, PchipInterpolator

from numdiff.level import Level
from numdiff.optimize.objectives.mmse import u_of
from numdiff.parameterizations import convert

Array = NDArray[np.float64]


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
        About the largest variance of a coordinate.
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
            raise ValueError("snr must be two or more increasing finite numbers from 0 on; sort them, drop repetitions")
        if not (np.all(self.mmse > 0) and np.all(np.diff(self.mmse) <= 0)):
            where = int(np.argmax(np.append(np.diff(self.mmse), 0) > 0))
            raise ValueError(f"mmse must be positive and must not rise with the SNR, but it does after entry {where}")
        if self.slope is not None and not _monotone(self.nodes, np.log(self.mmse), self._log_slopes):
            raise ValueError("the slopes let the interpolant rise between two nodes; take a finer table, or slope=None")

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

    m and dm/dg are averages of tr V and -||V||_F^2 over `draws` fixed pairs (x_0, n), the same at every node. Both are
    conditional expectations already, so what varies is only what depends on telling the components apart, and with one
    component the table is exact. The standard errors of m are kept; for two components five widths apart they are at
    most 2.5 % of m with 4096 draws. Between nodes 0.1 apart the cubics of that law add 1e-4 with its
    exact moments, and up to 0.3 % with those of the draws, whose slopes are not quite those of their errors.

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
        float(np.linalg.eigvalsh(mixture.covariance)[-1]),
        trace.std(axis=1, ddof=1) / math.sqrt(draws),
    )


def _posterior_moments(mixture: Any, clean: Array, noise: Array, g: float) -> tuple[Array, Array]:
    """Return tr V and ||V||_F^2 at every y = sqrt(g) x_0 + n, shapes (draws,)."""
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
                f"the model returned a value that is not finite at log-SNR {lam:.4g}, t = {level.time:.5g}"
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
    means = errors.mean(axis=1)
    deviation = errors.std(axis=1, ddof=1) / math.sqrt(errors.shape[1])
    rise = np.diff(means) - 4 * np.diff(errors, axis=0).std(axis=1, ddof=1) / math.sqrt(errors.shape[1])
    if np.any(rise > 0):
        where = int(np.argmax(rise))
        raise ValueError(
            f"the model's error rises to {means[where + 1]:.4g} at log-SNR {lam[where]:.4g} from {means[where]:.4g} "
            "before it, more than noise explains; check prediction and schedule, or leave that log-SNR out"
        )
    return _falling(means), deviation


def _falling(values: Array) -> Array:
    """Return the falling sequence nearest in the mean square: pool adjacent violators."""
    blocks: list[tuple[float, int]] = []
    for value in values:
        mean, count = float(value), 1
        while blocks and blocks[-1][0] < mean:
            before, many = blocks.pop()
            mean, count = (before * many + mean * count) / (many + count), many + count
        blocks.append((mean, count))
    return np.concatenate([np.full(count, mean) for mean, count in blocks])
