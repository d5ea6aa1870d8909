r"""Named mixtures for validation, from easy to hard; the same numbers on every machine.

The first ones are written out. The random ones are drawn by NumPy's PCG64 from an integer seed,

    mu_k = n,    C_k = Q_k diag(v_k) Q_k^T,    log v_k uniform,    w_k ~ Dirichlet(2, ..., 2),

Q_k from the QR decomposition of a normal matrix, and then shifted and scaled so that the whole mixture has mean zero
and variance 1 on average over the coordinates. Every covariance is nonsingular, so that the reference flow reaches
sigma = 0.

What makes a mixture hard for a sampler is the ratio of the spread of the modes to their width: the exact noise
prediction bends where sigma/alpha passes the spread (from one Gaussian to a choice of mode) and again where it passes
each mode's widths.
"""

from __future__ import annotations

import numpy as np

from numdiff.problems.mixture import GaussianMixture


def _two_modes() -> GaussianMixture:
    return GaussianMixture([0.4, 0.6], [[-1.0], [1.0]], [0.25, 0.09])


def _three_scales() -> GaussianMixture:
    # Widths over two decades: the scales at which the denoiser bends differ from mode to mode.
    return GaussianMixture([0.3, 0.5, 0.2], [[-1.5], [0.2], [1.8]], [1.0, 0.01, 1e-4])


def _ring() -> GaussianMixture:
    angle = 2 * np.pi * np.arange(8) / 8
    weights = np.array([1, 2, 3, 4, 4, 3, 2, 1]) / 20
    return GaussianMixture(weights, 1.4 * np.stack([np.cos(angle), np.sin(angle)], axis=1), np.full(8, 0.01))


def _correlated() -> GaussianMixture:
    covariances = [[[0.5, 0.3], [0.3, 0.25]], [[0.1, -0.08], [-0.08, 0.1]], [[0.04, 0.0], [0.0, 0.9]]]
    return GaussianMixture([0.5, 0.3, 0.2], [[-1.0, -0.5], [1.0, 1.0], [1.2, -1.0]], covariances)


def _random(components: int, dimension: int, seed: int) -> GaussianMixture:
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.full(components, 2.0))
    means = rng.standard_normal((components, dimension))
    basis = np.linalg.qr(rng.standard_normal((components, dimension, dimension)))[0]
    variances = np.exp(rng.uniform(np.log(1e-3), np.log(0.3), (components, dimension)))
    centred = means - weights @ means
    scale = np.sqrt((weights @ (centred**2 + variances)).mean())
    covariances = (basis * (variances / scale**2)[:, None, :]) @ basis.transpose(0, 2, 1)
    return GaussianMixture(weights, centred / scale, covariances)


def mixtures() -> dict[str, GaussianMixture]:
    """Return the named mixtures, easiest first: 1-D, 2-D, then random full covariances in 16 and 64 dimensions.

    Returns
    -------
    dict
        `GaussianMixture` by name; every covariance is nonsingular.

    Examples
    --------
    >>> import numdiff as nd
    >>> for name, mixture in nd.problems.mixtures().items():
    ...     print(name, mixture.components, mixture.dimension)
    two-modes 2 1
    three-scales 3 1
    ring 8 2
    correlated 3 2
    random-16 20 16
    random-64 100 64
    """
    return {
        "two-modes": _two_modes(),
        "three-scales": _three_scales(),
        "ring": _ring(),
        "correlated": _correlated(),
        "random-16": _random(20, 16, seed=16),
        "random-64": _random(100, 64, seed=64),
    }
