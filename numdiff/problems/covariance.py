r"""Covariances of the components of a mixture, kept as spectra C_k = Q_k diag(v_k) Q_k^T.

Noising maps C_k to alpha^2 C_k + sigma^2 I = Q_k diag(alpha^2 v_k + sigma^2) Q_k^T: the basis stays, so that a change
of level costs O(K d) once the eigenvectors are known, and the smallest eigenvalues keep their relative accuracy at any
sigma. Diagonal and isotropic covariances have Q_k = I and no basis is stored.

A symmetric matrix is known to rounding only, so eigenvalues of a full covariance below d u ||C_k||, u = 2.2e-16, are
set to zero: a rank-deficient matrix is then singular exactly, as its author meant it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

_SHAPES = (
    "give (K, d, d) for full covariances, (K, d) for diagonal ones (variances) or (K,) for isotropic ones (one "
    "variance per component); the number of axes decides"
)


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Eigenvalues and eigenvectors of K covariances.

    Parameters
    ----------
    variances
        Eigenvalues v, shape (K, d), not negative.
    basis
        Eigenvectors as columns, shape (K, d, d), or None where every covariance is diagonal.
    """

    variances: np.ndarray
    basis: np.ndarray | None = None

    @property
    def singular(self) -> bool:
        """Whether some component has a direction of variance zero."""
        return not bool(np.all(self.variances > 0))

    def matrices(self) -> np.ndarray:
        """Return the covariances as matrices, shape (K, d, d)."""
        if self.basis is None:
            return self.variances[:, :, None] * np.eye(self.variances.shape[1])
        return (self.basis * self.variances[:, None, :]) @ self.basis.transpose(0, 2, 1)

    def noised(self, alpha: float, sigma: float) -> Spectrum:
        """Return the spectrum of alpha^2 C + sigma^2 I."""
        return Spectrum(alpha**2 * self.variances + sigma**2, self.basis)

    def select(self, components: list[int]) -> Spectrum:
        """Return the spectra of some components, in the order given."""
        return Spectrum(self.variances[components], None if self.basis is None else self.basis[components])


def spectrum(covariances: Any, K: int, d: int) -> Spectrum:
    """Decompose covariances given in any of the three shapes.

    Parameters
    ----------
    covariances
        (K, d, d) full, (K, d) diagonal, (K,) isotropic, or a `Spectrum`. The number of axes decides, never the
        sizes: a (d, d) matrix with d = K is read as K diagonals.
    K, d
        Number of components and dimension.

    Raises
    ------
    ValueError
        If the shape fits none of the three, an entry is not finite, a full covariance is not symmetric, or one has a
        negative eigenvalue.
    """
    if isinstance(covariances, Spectrum):
        return covariances
    array = np.array(covariances, dtype=np.float64)
    if array.shape not in ((K, d, d), (K, d), (K,)):
        raise ValueError(
            f"covariances have shape {array.shape}, but there are K = {K} means of d = {d}: {_hint(array, K, d)}"
        )
    if not np.all(np.isfinite(array)):
        raise ValueError(f"covariances must be finite, but entry {_first(~np.isfinite(array))} is not")
    if array.ndim == 3:
        return _full(array)
    if np.any(array < 0):
        where = _first(array < 0)
        raise ValueError(f"variances must not be negative, but entry {where} is {array[where]}; {_SHAPES}")
    return Spectrum(np.broadcast_to(array.reshape(K, -1), (K, d)).copy())


def _hint(array: np.ndarray, K: int, d: int) -> str:
    if array.shape == (d, d):
        return f"for one matrix shared by all components repeat it, np.broadcast_to(C, ({K}, {d}, {d}))"
    return _SHAPES


def _first(mask: np.ndarray) -> tuple[int, ...]:
    return tuple(int(i) for i in np.argwhere(mask)[0])


def _full(matrices: np.ndarray) -> Spectrum:
    size = np.abs(matrices).max(axis=(1, 2))
    # Products such as L L^T are symmetric to rounding only; 1e-10 is far above that and far below a mistake.
    skew = np.abs(matrices - matrices.transpose(0, 2, 1)).max(axis=(1, 2)) > 1e-10 * size
    if np.any(skew):
        raise ValueError(f"covariances[{int(np.argmax(skew))}] is not symmetric; pass (C + C.T)/2 if it should be")
    values, basis = np.linalg.eigh((matrices + matrices.transpose(0, 2, 1)) / 2)
    noise = matrices.shape[-1] * np.finfo(np.float64).eps * np.abs(values).max(axis=1, keepdims=True)
    # Rounding in building a covariance (a product of d terms) is allowed for with a factor 100 before it is an error.
    bad = values[:, :1] < -100 * noise
    if np.any(bad):
        k = int(np.argmax(bad))
        raise ValueError(
            f"covariances[{k}] has the negative eigenvalue {values[k, 0]:.3g}; a covariance must be positive "
            "semidefinite (clip its eigenvalues, or build it as L @ L.T)"
        )
    return Spectrum(np.where(values <= noise, 0.0, values), basis)
