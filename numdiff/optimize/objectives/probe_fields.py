r"""Denoisers whose derivatives are known: what a probe follows when the data's law is a Gaussian mixture.

With s_k = alpha^2 v_k + sigma^2, z_k = Q_k^T x - alpha nu_k (nu_k = Q_k^T mu_k), u_k = z_k/s_k and the responsibilities
r_k of `numdiff.problems.mixture`, the conditional mean of m = a x_0 + b eps is

    F = sum_k r_k m_k,      m_k = a mu_k + Q_k g_k z_k,      g_k = (a alpha v_k + b sigma)/s_k.                  (1)

For an adjoint vector A let h_k = <A, m_k>, c_k = r_k (h_k - sum_j r_j h_j), so that sum_k c_k = 0, and l_k the
logarithm of the joint density of x and k. Then

    (dF/dx)^T A   = sum_k Q_k (r_k g_k Q_k^T A - c_k u_k)                                                          (2)
    <A, dF/dalpha> = sum_k r_k <Q_k^T A, (dg_k/dalpha) z_k - g_k nu_k> + sum_k c_k dl_k/dalpha                     (3)
    <A, dF/dsigma> = sum_k r_k <Q_k^T A, (dg_k/dsigma) z_k>            + sum_k c_k dl_k/dsigma
    dg_k/dalpha = (a v_k - 2 alpha v_k g_k)/s_k,      dl_k/dalpha = <u_k, nu_k> + alpha sum (u_k^2 v_k - v_k/s_k)
    dg_k/dsigma = (b - 2 sigma g_k)/s_k,              dl_k/dsigma = sigma sum (u_k^2 - 1/s_k)

and, where a and b vary themselves (velocity: a = alpha', b = sigma'), <A, dF/da>, <A, dF/db> from (1). For the data
prediction (2) is the posterior covariance, alpha/sigma^2 Cov(x_0 | x), which is symmetric; in this form it holds at
sigma = 0 as well.

`KernelField` is the case of N images y_k of equal weight and one variance v (a kernel-density estimate of bandwidth
sqrt(v)): there all of it is four products of matrices of sizes (points, d) and (N, d).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numdiff.parameterizations import Prediction, get
from numdiff.problems.mixture import GaussianMixture

Array = NDArray[np.float64]
Adjoint = Callable[[Any], tuple[Any, dict[str, Any]]]

_COMPONENTS: dict[str, Callable[[Sequence[float]], tuple[float, float]]] = {
    "noise": lambda level: (0.0, 1.0),
    "data": lambda level: (1.0, 0.0),
    "velocity": lambda level: (level[2], level[3]),
}
"""(a, b) of the predictions that schemes integrate, from a level's (alpha, sigma, d_alpha, d_sigma, ...)."""


def _parts(prediction: str | Prediction, level: Sequence[float]) -> tuple[float, float]:
    return _COMPONENTS[get(prediction).name](level)


class _Field:
    """A field in closed form."""

    def evaluate(self, Y: Array, level: Sequence[float]) -> tuple[Array, Adjoint]:
        """Return F and its adjoint."""
        raise NotImplementedError

    def value(self, Y: Array, level: Sequence[float]) -> Array:
        """Return F alone."""
        return self.evaluate(Y, level)[0]


class MixtureField(_Field):
    """The exact field of a mixture for `numdiff.optimize.propagate`: samples of shape (points, d), float64.

    Parameters
    ----------
    mixture
        The data.
    prediction
        What the scheme integrates: "noise", "data" or "velocity".
    """

    def __init__(self, mixture: GaussianMixture, prediction: str) -> None:
        self.mixture, self.prediction = mixture, prediction
        basis, means = mixture.spectrum.basis, mixture.means
        self._v = mixture.spectrum.variances
        self._turn = None if basis is None else basis.transpose(1, 0, 2).reshape(mixture.dimension, -1)
        self._nu = means if basis is None else np.einsum("kij,ki->kj", basis, means)
        self._log_weights = np.log(mixture.weights)

    def evaluate(self, Y: Array, level: Sequence[float]) -> tuple[Array, Adjoint]:
        """Return F, formula (1), and its adjoint."""
        alpha, sigma = level[0], level[1]
        a, b = _parts(self.prediction, level)
        s = alpha * alpha * self._v + sigma * sigma
        g = (a * alpha * self._v + b * sigma) / s
        z = self._along(Y) - alpha * self._nu
        u = z / s
        r = softmax(self._log_weights - (np.einsum("nkd,nkd->nk", z, u) + np.log(s).sum(1)) / 2)
        F = self._back((r[:, :, None] * g) * z)
        if a:
            F += a * (r @ self.mixture.means)
        return F, lambda A: self._adjoint(A, level, z, u, r, s, g)

    def _adjoint(
        self, A: Array, level: Sequence[float], z: Array, u: Array, r: Array, s: Array, g: Array
    ) -> tuple[Array, dict[str, Array]]:
        alpha, sigma = level[0], level[1]
        a, b = _parts(self.prediction, level)
        v, turned = self._v, self._along(A)
        Az, means = turned * z, A @ self.mixture.means.T
        h = a * means + np.einsum("nkd,kd->nk", Az, g)
        c = r * (h - np.einsum("nk,nk->n", r, h)[:, None])
        back = self._back((r[:, :, None] * g) * turned - c[:, :, None] * u)
        square = u * u
        along = np.einsum("nkd,kd->nk", Az, (a - 2 * alpha * g) * v / s) - np.einsum("nkd,kd->nk", turned, g * self._nu)
        across = np.einsum("nkd,kd->nk", Az, (b - 2 * sigma * g) / s)
        l_alpha = np.einsum("nkd,kd->nk", u, self._nu) + alpha * (np.einsum("nkd,kd->nk", square, v) - (v / s).sum(1))
        l_sigma = sigma * (square.sum(2) - (1 / s).sum(1))
        slopes = {"alpha": _dot(r, along) + _dot(c, l_alpha), "sigma": _dot(r, across) + _dot(c, l_sigma)}
        if get(self.prediction).name == "velocity":
            slopes["d_alpha"] = _dot(r, means + np.einsum("nkd,kd->nk", Az, alpha * v / s))
            slopes["d_sigma"] = _dot(r, np.einsum("nkd,kd->nk", Az, sigma / s))
        return back, slopes

    def _along(self, x: Array) -> Array:
        """Return Q_k^T x, shape (n, K or 1, d)."""
        if self._turn is None:
            return x[:, None, :]
        return (x @ self._turn).reshape(len(x), *self._nu.shape)

    def _back(self, y: Array) -> Array:
        """Return sum_k Q_k y_k, shape (n, d)."""
        return y.sum(1) if self._turn is None else y.reshape(len(y), -1) @ self._turn.T


class KernelField(_Field):
    """The exact field of a kernel-density estimate over images, for samples of shape (points, d), float64.

    Parameters
    ----------
    images
        Shape (N, d), float64.
    bandwidth
        Standard deviation of the Gaussian around every image, positive.
    prediction
        What the scheme integrates: "noise", "data" or "velocity".
    """

    def __init__(self, images: Array, bandwidth: float, prediction: str) -> None:
        self.images, self.prediction, self._v = images, prediction, bandwidth**2
        self._square = np.einsum("kd,kd->k", images, images)

    def evaluate(self, Y: Array, level: Sequence[float]) -> tuple[Array, Adjoint]:
        """Return F, formula (1), and its adjoint; what all components share cancels in r and is left out."""
        alpha, sigma = level[0], level[1]
        a, b = _parts(self.prediction, level)
        s = alpha * alpha * self._v + sigma * sigma
        g = (a * alpha * self._v + b * sigma) / s
        overlap = Y @ self.images.T
        r = softmax(overlap * (alpha / s) - self._square * (alpha * alpha / (2 * s)))
        F = g * Y + (a - alpha * g) * (r @ self.images)
        return F, lambda A: self._adjoint(A, level, Y, overlap, r, s, g)

    def _adjoint(
        self, A: Array, level: Sequence[float], Y: Array, overlap: Array, r: Array, s: float, g: float
    ) -> tuple[Array, dict[str, Array]]:
        alpha, sigma = level[0], level[1]
        a, b = _parts(self.prediction, level)
        v, seen, own = self._v, A @ self.images.T, _dot(A, Y)
        mean = _dot(r, seen)
        c = (a - alpha * g) * r * (seen - mean[:, None])
        back = g * A + (alpha / s) * (c @ self.images)
        distance = alpha * alpha * self._square - 2 * alpha * overlap  # |x - alpha y_k|^2, less |x|^2
        l_alpha = (overlap - alpha * self._square) / s + (alpha * v / s**2) * distance
        centred = own - alpha * mean
        slopes = {
            "alpha": (a - 2 * alpha * g) * v / s * centred - g * mean + _dot(c, l_alpha),
            "sigma": (b - 2 * sigma * g) / s * centred + sigma / s**2 * _dot(c, distance),
        }
        if get(self.prediction).name == "velocity":
            slopes.update(d_alpha=mean + alpha * v / s * centred, d_sigma=sigma / s * centred)
        return back, slopes


def _dot(x: Array, y: Array) -> Array:
    """Return the sum over the last axis of x y."""
    return np.einsum("nk,nk->n", x, y)


def softmax(logits: Array) -> Array:
    """Return exp(logits) over its sum along the last axis; overwrites `logits`."""
    logits -= logits.max(-1, keepdims=True)
    np.exp(logits, out=logits)
    logits /= logits.sum(-1, keepdims=True)
    return logits
