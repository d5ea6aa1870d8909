r"""A single Gaussian N(mu, C) as a diffusion problem: a mixture of one, with a flow in closed form.

Everything is linear in x: with S = alpha^2 C + sigma^2 I the exact noise prediction is sigma S^-1 (x - alpha mu), and
the probability flow is x_t = alpha_t mu + S_t^(1/2) S_s^(-1/2) (x_s - alpha_s mu). What a sampler does to it
falls apart into one scalar equation per eigen-direction.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from numdiff.problems.mixture import GaussianMixture


class Gaussian(GaussianMixture):
    """One Gaussian; all methods of :class:`~numdiff.problems.mixture.GaussianMixture`, and an exact `flow`.

    Parameters
    ----------
    mean
        Shape (d,).
    covariance
        (d, d) full, (d,) diagonal (variances) or () isotropic (one variance).

    Raises
    ------
    ValueError
        If the shapes disagree, an entry is not finite, or the covariance is not symmetric positive semidefinite.

    Examples
    --------
    The flow of N(0, s^2) is a factor, sqrt(alpha^2 s^2 + sigma^2) at one end over the other:

    >>> import numpy as np
    >>> import numdiff as nd
    >>> narrow = nd.problems.Gaussian([0.0], 0.01)
    >>> schedule = nd.schedules.EDM()
    >>> end = narrow.flow(schedule, np.array([[10.0]]), 10.0, 0.1)
    >>> print(f"{end.x[0, 0]:.6f} {10 * (0.02 / 100.01) ** 0.5:.6f}", end.evaluations)
    0.141414 0.141414 0
    """

    def __init__(self, mean: Any, covariance: Any) -> None:
        mean = np.array(mean, dtype=np.float64)
        if mean.ndim != 1:
            raise ValueError(f"mean must have shape (d,), not {mean.shape}; in one dimension write (mean,)")
        super().__init__([1.0], mean[None], np.array(covariance, dtype=np.float64)[None])
