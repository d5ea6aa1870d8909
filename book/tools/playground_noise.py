"""Noise that Python and JavaScript make alike: Philox 4x32-10 and Box and Muller's transform.

The normal pair of a particle is a function of the seed, the number of the tableau, the noise column and the particle's
number; ``noise`` in ``playground-core.js`` returns the same, but for the last digit of cos, sin and log.

Source: Salmon et al., Parallel random numbers: as easy as 1, 2, 3 (2011).
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["INITIAL", "normals", "philox"]

INITIAL = 0xFFFFFFFF
"""The number, in the place of a tableau's, under which the samples to start from are drawn."""

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
WORD = 0xFFFFFFFF


def philox(counter: Any, key: tuple[int, int], rounds: int = 10) -> np.ndarray:
    """Return the four random words of every counter.

    Parameters
    ----------
    counter
        Words, shape (..., 4).
    key
        Two words.
    rounds
        How often the words are mixed.

    Returns
    -------
    array
        Words as uint64 below 2^32, shape (..., 4).
    """
    c = np.asarray(counter, dtype=np.uint64)
    words = [c[..., i] for i in range(4)]
    for i in range(rounds):
        k = [np.uint64((key[j] + i * WEYL[j]) & WORD) for j in (0, 1)]
        first, second = words[0] * np.uint64(MULTIPLIERS[0]), words[2] * np.uint64(MULTIPLIERS[1])
        words = [
            (second >> np.uint64(32)) ^ words[1] ^ k[0],
            second & np.uint64(WORD),
            (first >> np.uint64(32)) ^ words[3] ^ k[1],
            first & np.uint64(WORD),
        ]
    return np.stack(words, axis=-1)


def normals(seed: int, n: int, index: int = INITIAL, column: int = 0) -> np.ndarray:
    """Return the standard normal pairs of `n` particles, shape (n, 2), float64."""
    counter = np.zeros((n, 4), dtype=np.uint64)
    counter[:, 0], counter[:, 1], counter[:, 2] = np.arange(n), index, column
    uniform = (philox(counter, (seed, 0))[:, :2].astype(float) + 0.5) / 2.0**32
    radius, angle = np.sqrt(-2 * np.log(uniform[:, 0])), 2 * np.pi * uniform[:, 1]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
