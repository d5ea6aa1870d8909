r"""How much of a sample lies far outside of the data: the artifacts of strong guidance in few steps, as a number.

The magnitude of Wizadwongsa et al. (Diffusion sampling with momentum for mitigating divergence artifacts, ICLR 2024):
normalise by the mean and the standard deviation of the data, per channel; take absolute values, the maximum over the
channels and over cells of k x k pixels; set those below tau to 0; average over the cells. There k = 4 and tau = 3 on
latents of 4 x 64 x 64. Guidance itself drives samples outwards, so a solver is to be compared with the exact flow.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from numdiff.guidance.arrays import Array, namespace


def artifact_magnitude(
    x: Array, mean: Any, std: Any, *, threshold: float = 3.0, channels: int | None = None, pool: int = 1
) -> Array:
    """Return the artifact magnitude of each sample, shape (n,).

    Parameters
    ----------
    x
        Samples, shape (n, ...).
    mean, std
        Of the data; numbers, or arrays that broadcast to a sample, such as (c, 1, 1) for images (c, h, w).
    threshold
        tau, in standard deviations.
    channels
        Axis of `x` over which the maximum is taken; None for none, as for points without channels.
    pool
        k: side of the square cells of the last two axes; 1 for no pooling.

    Returns
    -------
    Array
        Shape (n,), in standard deviations of the data; 0 where nothing lies beyond the threshold.

    Raises
    ------
    ValueError
        If the cells do not fill the last two axes, there is no such axis, or a standard deviation is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> images = np.zeros((2, 3, 4, 4))
    >>> images[1, 0, 0, 0] = 5.0  # one pixel of the second image, five standard deviations out
    >>> nd.guidance.artifact_magnitude(images, mean=0.0, std=1.0, channels=1).tolist()
    [0.0, 0.3125]
    """
    if not isinstance(pool, int) or pool < 1:
        raise ValueError(f"pool must be a whole number from 1, the side of the cells, got {pool!r}")
    if channels is not None and (channels == 0 or not -x.ndim < channels < x.ndim):
        raise ValueError(f"channels must be one of the {x.ndim} axes of the samples after the first, got {channels!r}")
    if not ((std if hasattr(std, "dtype") else np.asarray(std)) > 0).all():
        raise ValueError(f"std must be positive, got {std}; leave pixels out that are the same in all data")
    z = abs((x - mean) / std)
    if channels is not None:
        z = namespace(z).amax(z, channels)
    if pool != 1:
        height, width = z.shape[-2:]
        if z.ndim < 3 or height % pool or width % pool:
            raise ValueError(f"pool must divide height and width, got {pool} for samples of shape {tuple(z.shape[1:])}")
        cells = z.reshape(*z.shape[:-2], height // pool, pool, width // pool, pool)
        z = namespace(z).amax(cells, (-3, -1))
    kept = namespace(z).where(z < threshold, namespace(z).zeros_like(z), z)
    return kept.reshape(len(z), -1).mean(1)
