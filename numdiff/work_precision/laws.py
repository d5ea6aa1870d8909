r"""W2 and KL between the law that a sampler generates and the exact one, on Gaussian data, without sampling.

On Gaussian data the exact model is affine in x, and so is what a sampler makes of a start y_0 and of its draws xi_k:

    y_N = a + A y_0 + sum_k B_k xi_k.                                                                              (1)

One run over a few chosen points reads (1) off: the mean of the start, the mean plus each column of the root L of its
covariance, and for each draw the mean with each unit vector drawn. With G = (A L, B_1, B_2, ...) the generated law is
N(m, G G^T); the exact one is N(m*, H H^T). One more, oblique point checks that the sampler is affine. Then

    W2^2 = |m - m*|^2 + min over orthogonal U of |G - (H, 0) U|_F^2,                                               (2)
    KL(generated|true) = (|H^-1 (m - m*)|^2 + sum_i (s_i^2 - 1 - log s_i^2))/2,      s_i singular values of H^-1 G.  (3)

(2) is the distance of Bures and Wasserstein as a Procrustes problem, whose minimum U = P Q^T, from the singular value
decomposition (H, 0)^T G = P S Q^T, is a difference of matrices: nothing cancels, where the usual formula of traces
loses half of the digits.

Sources: Olkin, Pukelsheim, Linear Algebra Appl. 48 (1982); Bhatia, Jain, Lim, Expo. Math. 37 (2019),
doi:10.1016/j.exmath.2018.01.002, theorem 1, for (2).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

import numpy as np

from numdiff.certification.subject import Array
from numdiff.properties.spectral.distances import _minus_log1p

AFFINE = 1e-6
"""Largest departure of the check point from (1), relative to the run's size: far above rounding, far below clipping."""

AFFINE_SHIPPED = 1e-3
"""The same where a sampler computes in float32: its rounding, magnified by the first levels, in some tens of steps."""

Noise = Callable[[tuple[int, ...]], Array]
Go = Callable[[Array, Noise], Array]


class NotAffineError(ValueError):
    """A sampler's result is no affine function of its start, so that its law on Gaussian data has no closed form.

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> from numdiff.work_precision.laws import Normal, generated
    >>> try:
    ...     generated(lambda y, noise: y**2, Normal(np.zeros(1), np.eye(1)))
    ... except nd.work_precision.NotAffineError as error:
    ...     print(error)
    the result is no affine function of the start: its law has no closed form
    """


@dataclass(frozen=True)
class Normal:
    """N(mean, root root^T); `mean` of shape (d,), `root` of shape (d, m), m >= d."""

    mean: Array
    root: Array


def law_of(mixture: object, noise: float) -> Normal:
    """Return the law of y = x_0 + rho eps, rho = `noise`, where `mixture` is a single Gaussian."""
    spectrum = mixture.spectrum.noised(1.0, noise)  # type: ignore[attr-defined]
    basis = np.eye(spectrum.variances.shape[1]) if spectrum.basis is None else spectrum.basis[0]
    return Normal(mixture.means[0], basis * np.sqrt(spectrum.variances[0]))  # type: ignore[attr-defined]


def generated(go: Go, start: Normal, tolerance: float = AFFINE) -> Normal:
    """Return the law that a sampler makes of a start.

    Parameters
    ----------
    go
        ``go(y, noise)``: carries y of shape (n, d); its draws are what ``noise(shape)`` returns.
    start
        The law of y_0.
    tolerance
        For the check point.

    Raises
    ------
    NotAffineError
        If the check point contradicts (1).
    """
    d = len(start.mean)
    draws = _Draws(None)
    go(start.mean[None], draws)
    oblique = np.sin(1 + np.arange(d))  # no direction is special
    points = [start.mean[None], start.mean + start.root.T, (start.mean + start.root @ oblique)[None]]
    y = np.concatenate([*points, np.tile(start.mean, (d * draws.made, 1))])
    with np.errstate(all="ignore"):
        end = go(y, _Draws(d))
        columns, check = (end[1 : d + 1] - end[0]).T, end[d + 1] - end[0]
        size = np.abs(end).max()
        if not np.abs(check - columns @ oblique).max() <= tolerance * size and np.isfinite(size):
            raise NotAffineError("the result is no affine function of the start: its law has no closed form")
    return Normal(end[0], np.concatenate([columns, (end[d + 2 :] - end[0]).T], axis=1))


class _Draws:
    """Draws that are 0 but for unit vectors: draw k in the points that belong to it, after the first d + 2."""

    def __init__(self, dimension: int | None) -> None:
        self.dimension, self.made = dimension, 0

    def __call__(self, shape: tuple[int, ...]) -> Array:
        values, d = np.zeros(shape), self.dimension
        if d is not None:
            first = d + 2 + d * self.made
            values.reshape(-1, d)[first : first + d] = np.eye(d)
        self.made += 1
        return values


def wasserstein(found: Normal, true: Normal) -> float:
    """Return W2, formula (2); inf where the generated law is not finite."""
    if not (np.all(np.isfinite(found.root)) and np.all(np.isfinite(found.mean))):
        return inf
    wide = np.zeros_like(found.root)
    wide[:, : true.root.shape[1]] = true.root
    left, _, right = np.linalg.svd(wide.T @ found.root)
    return float(np.hypot(np.linalg.norm(found.mean - true.mean), np.linalg.norm(found.root - wide @ left @ right)))


def divergence(found: Normal, true: Normal) -> float:
    """Return KL(generated | true) in nats, formula (3); inf where the generated law is singular or not finite."""
    if not (np.all(np.isfinite(found.root)) and np.all(np.isfinite(found.mean))):
        return inf
    whitened = np.linalg.solve(true.root, np.column_stack([found.root, found.mean - true.mean]))
    s = np.linalg.svd(whitened[:, :-1], compute_uv=False)
    if not np.all(s > 0):
        return inf
    return float((np.sum(whitened[:, -1] ** 2) + np.sum(_minus_log1p((s - 1) * (s + 1)))) / 2)
