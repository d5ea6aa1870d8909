r"""How close two sets of samples are: the Frechet distance between features, the distance to the nearest neighbour.

The Frechet (2-Wasserstein) distance of N(m1, C1) and N(m2, C2) (Dowson and Landau 1982, J. Multivariate Analysis 12) is

    d^2 = |m1 - m2|^2 + tr C1 + tr C2 - 2 tr (C1^(1/2) C2 C1^(1/2))^(1/2).

With factors C1 = S S^T, C2 = R R^T the last trace is the sum of the singular values of R^T S, because
S^T C2 S = (R^T S)^T (R^T S). That needs no square root of a product of matrices, stays real, and takes singular
covariances (fewer samples than features, a feature that never fires) as they are. S is V sqrt(L) from the
eigendecomposition C1 = V L V^T, with the eigenvalues below d eps max(L), which are rounding, set to zero: the root of
one would be 1e-8, not 1e-16. For commuting covariances d^2 = |m1 - m2|^2 + sum (sqrt(l1) - sqrt(l2))^2.

Like the "FID" of Heusel et al. (2017, arXiv:1706.08500), `frechet_distance` returns d^2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["feature_statistics", "frechet_distance", "nearest_distance"]

FloatArray = NDArray[np.float64]


def feature_statistics(features: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return mean and covariance (divided by n - 1) of features of shape (n, d), in float64.

    Parameters
    ----------
    features
        Shape (n, d), n >= 2, finite.

    Returns
    -------
    tuple of ndarray
        Mean, shape (d,), and covariance, shape (d, d).

    Raises
    ------
    ValueError
        If there are fewer than two rows, or a feature is not finite.

    Examples
    --------
    >>> import numdiff as nd
    >>> mean, covariance = nd.models.feature_statistics([[0.0, 1.0], [2.0, 1.0]])
    >>> mean.tolist(), covariance.tolist()
    ([1.0, 1.0], [[2.0, 0.0], [0.0, 0.0]])
    """
    rows = np.asarray(features, dtype=np.float64)
    if rows.ndim != 2 or len(rows) < 2:
        raise ValueError(f"features must have shape (n, d) with n >= 2, not {rows.shape}")
    if not np.isfinite(rows).all():
        bad = int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0])
        raise ValueError(f"features must be finite, but row {bad} is not; drop the samples that diverged")
    mean = rows.mean(axis=0)
    return mean, (rows - mean).T @ (rows - mean) / (len(rows) - 1)


def frechet_distance(mean1: ArrayLike, cov1: ArrayLike, mean2: ArrayLike, cov2: ArrayLike) -> float:
    """Return the squared Frechet distance d^2 between two Gaussians.

    Parameters
    ----------
    mean1, mean2
        Means, shape (d,).
    cov1, cov2
        Covariances, shape (d, d), symmetric and positive semidefinite up to rounding.

    Returns
    -------
    float
        In the square of the features' unit.

    Raises
    ------
    ValueError
        If shapes disagree, an entry is not finite, or a covariance is not symmetric or has a negative eigenvalue.

    Notes
    -----
    The absolute error is a few d eps (tr C1 + tr C2); the method is in `numdiff.models.metrics`.

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> squared = nd.models.frechet_distance([0, 0], np.eye(2), [3, 0], 4 * np.eye(2))
    >>> print(f"{squared:.6f}")  # 3^2, and (2 - 1)^2 for each of two directions
    11.000000
    """
    first_mean, second_mean = _mean(mean1, "mean1"), _mean(mean2, "mean2")
    if len(first_mean) != len(second_mean):
        sizes = f"{len(first_mean)} and {len(second_mean)} entries"
        raise ValueError(f"mean1 and mean2 have {sizes}; use the same features for both")
    shift = first_mean - second_mean
    first, second = _factor(cov1, "cov1", len(shift)), _factor(cov2, "cov2", len(shift))
    overlap = np.linalg.svd(second.T @ first, compute_uv=False).sum()
    traces = np.square(first).sum() + np.square(second).sum()
    return float(shift @ shift + max(traces - 2 * overlap, 0.0))


def nearest_distance(x: ArrayLike, references: ArrayLike) -> FloatArray:
    """Return the Euclidean distance of every row of `x` to the nearest row of `references`, shape (n,).

    Differences are taken before they are squared: the distance of a copy is exactly zero.

    Parameters
    ----------
    x
        Shape (n, d).
    references
        Shape (m, d), m >= 1.

    Returns
    -------
    ndarray
        Shape (n,).

    Raises
    ------
    ValueError
        For other shapes, or no references.

    Examples
    --------
    >>> import numdiff as nd
    >>> nd.models.nearest_distance([[0.0, 0.0], [3.0, 4.0]], [[0.0, 0.0], [3.0, 0.0]]).tolist()
    [0.0, 4.0]
    """
    points, others = np.asarray(x, dtype=np.float64), np.asarray(references, dtype=np.float64)
    if points.ndim != 2 or others.ndim != 2 or points.shape[1] != others.shape[1] or not len(others):
        raise ValueError(f"x and references must be (n, d) and (m, d) with m >= 1, not {points.shape}, {others.shape}")
    return np.array([np.sqrt(np.square(others - point).sum(axis=1).min()) for point in points])


def _mean(mean: ArrayLike, name: str) -> FloatArray:
    vector = np.asarray(mean, dtype=np.float64)
    if vector.ndim != 1 or not np.isfinite(vector).all():
        raise ValueError(f"{name} must be a finite vector of shape (d,), not {_describe(vector)}")
    return vector


def _factor(cov: ArrayLike, name: str, dimension: int) -> FloatArray:
    """Return S with S S^T = cov, after checking that there is one."""
    matrix = np.asarray(cov, dtype=np.float64)
    if matrix.shape != (dimension, dimension) or not np.isfinite(matrix).all():
        raise ValueError(f"{name} must be a finite matrix of shape {(dimension, dimension)}, not {_describe(matrix)}")
    scale = np.abs(matrix).max(initial=0.0)
    if np.abs(matrix - matrix.T).max(initial=0.0) > 1e-8 * scale:  # 1e-8: what float32 statistics still satisfy
        raise ValueError(f"{name} must be symmetric; use (C + C^T)/2 if the difference is rounding")
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    top = values.max(initial=0.0)
    if values.min(initial=0.0) < -1e-6 * scale:  # float32 rounding, times a few hundred dimensions
        raise ValueError(f"{name} must be positive semidefinite but has the eigenvalue {values.min():.3g}")
    kept = np.where(values > dimension * np.finfo(np.float64).eps * top, values, 0.0)
    return vectors * np.sqrt(kept)


def _describe(array: FloatArray) -> str:
    return f"shape {array.shape}" if np.isfinite(array).all() else "one with NaN or infinity"
