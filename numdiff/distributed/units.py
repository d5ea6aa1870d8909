"""Batches: the numbered units of work that a set of samples is cut into.

Sample i of a set is a function of the settings, the seed and i. A network, though, may round differently in a batch of
another size: a matrix product adds in an order that depends on its shape. So the set is cut into batches once, by n and
the batch size alone, and each is computed whole by whoever takes it. The bits then don't depend on how many ranks
there are or which of them takes which batch; another batch size gives the same samples to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Batch:
    """Samples ``first`` ... ``first + count - 1`` of a set, batch ``number`` of it.

    Parameters
    ----------
    number
        Of the batch, from 0.
    first, count
        Number of its first sample, and how many it has.

    Examples
    --------
    >>> from numdiff import distributed
    >>> batch = distributed.Batch(number=3, first=192, count=64)
    >>> print(batch)
    batch 3 (samples 192 to 255)
    >>> batch.indices
    range(192, 256)
    """

    number: int
    first: int
    count: int

    @property
    def indices(self) -> range:
        """The numbers of its samples."""
        return range(self.first, self.first + self.count)

    def __str__(self) -> str:
        """Return "batch 3 (samples 192 to 255)"."""
        return f"batch {self.number} (samples {self.first} to {self.first + self.count - 1})"


def batches(n: int, size: int) -> list[Batch]:
    """Return the batches of a set of `n` samples, `size` each but the last.

    Parameters
    ----------
    n
        Number of samples.
    size
        Samples of a batch.

    Returns
    -------
    list of Batch
        In order; together they hold the samples 0 to n - 1.

    Raises
    ------
    ValueError
        Unless both are at least 1.

    Examples
    --------
    >>> from numdiff import distributed
    >>> [(batch.first, batch.count) for batch in distributed.batches(10, 4)]
    [(0, 4), (4, 4), (8, 2)]
    """
    for name, value in (("n", n), ("batch", size)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    return [Batch(k, first, min(size, n - first)) for k, first in enumerate(range(0, n, size))]
