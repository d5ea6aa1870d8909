r"""Distances between two samples: W2 by exact optimal transport, and the energy distance.

    W2^2 = min over couplings of E |X - Y|^2,         energy^2 = 2 E|X - Y| - E|X - X'| - E|Y - Y'|,

both of the empirical laws, so that neither is 0 between two samples of one law: `floor` says how large they are then,
and an error near its floor is noise. The energy distance is that of ``scipy.stats.energy_distance``, in any dimension.

Sources: Peyre, Cuturi, Computational optimal transport (2019), arXiv:1803.00567; the POT library solves the linear
program. Szekely, Rizzo, J. Stat. Plan. Inference 143 (2013), doi:10.1016/j.jspi.2013.03.018.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf, sqrt
from typing import Any

import numpy as np

from numdiff.certification.subject import Array
from numdiff.work_precision.errors import Value

ITERATIONS = 10_000_000
"""Of the network simplex; POT's own limit of 100 000 is reached with about a thousand points."""


def transport(x: Array, y: Array) -> float:
    """Return W2 of the empirical laws of two samples, shapes (n, d) and (m, d), exactly.

    Parameters
    ----------
    x, y
        Samples, shapes (n, d) and (m, d).

    Returns
    -------
    float
        In the unit of the samples.

    Raises
    ------
    ImportError
        Without the POT library, naming the extra that brings it.

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> x = np.array([[0.0], [1.0]])
    >>> round(nd.work_precision.transport(x, x[::-1] + 3), 9)
    3.0
    """
    if not (np.all(np.isfinite(x)) and np.all(np.isfinite(y))):
        return inf
    return sqrt(max(float(_pot().emd2([], [], _pot().dist(x, y), numItermax=ITERATIONS)), 0.0))


def energy(x: Array, y: Array) -> float:
    """Return the energy distance of the empirical laws of two samples, shapes (n, d) and (m, d).

    Parameters
    ----------
    x, y
        Samples, shapes (n, d) and (m, d).

    Returns
    -------
    float
        sqrt(2 E||X - Y|| - E||X - X'|| - E||Y - Y'||).

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> x = np.array([[0.0], [1.0]])
    >>> nd.work_precision.energy(x, x[::-1]), round(nd.work_precision.energy(x[:1], x[1:]) ** 2, 9)
    (0.0, 2.0)
    """
    if not (np.all(np.isfinite(x)) and np.all(np.isfinite(y))):
        return inf
    from scipy.spatial.distance import cdist

    with np.errstate(over="ignore"):
        square = 2 * cdist(x, y).mean() - cdist(x, x).mean() - cdist(y, y).mean()
    return sqrt(max(float(square), 0.0)) if np.isfinite(square) else inf


SAMPLED: dict[str, Callable[[Array, Array], float]] = {"W2": transport, "energy": energy}
"""Distances between samples by the name of the error."""


def over_sets(distance: Callable[[Array, Array], float], pairs: Sequence[tuple[Array, Array]]) -> Value:
    """Return the mean of a distance over independent pairs of samples, with its standard error."""
    values = np.array([distance(x, y) for x, y in pairs])
    if len(values) < 2 or not np.all(np.isfinite(values)):
        return float(np.mean(values)), None
    return float(np.mean(values)), float(np.std(values, ddof=1)) / sqrt(len(values))


def _pot() -> Any:
    try:
        import ot
    except ImportError as error:
        raise ImportError(
            'W2 between samples needs the POT library: pip install "numdiff[transport]", or ask for "energy"'
        ) from error
    return ot
