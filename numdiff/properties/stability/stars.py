r"""Order stars: how the growth of a run compares with that of the exact solution.

On X' = c X + z X one step of the exact solution multiplies by e^{(c + z) h} (h = 1 where the kernel exponent c is 0),
and one step of a method by the roots zeta_j(z) of its stability polynomial, zeta_1 the principal one
(`numdiff.properties.stability.branches`).

The sign of log|zeta_1(z) e^{-(c+z)h}| divides the plane: white where the run grows more slowly than the solution, black
where it grows faster. For c = 0 and order p, zeta_1 e^{-z} = 1 - C z^{p+1} + ..., so that p + 1 white and p + 1 black
sectors of width pi/(p + 1) meet at the origin, and the star shows the order. (For c != 0 and fixed h the deviation is
of first order in z: a step integrates polynomials exactly, and not e^{zs}.) With several roots zeta_1 jumps across the
cuts behind its branch points, and so may the colours; the largest root is continuous.

Sources: Wanner, Hairer, Norsett, Order stars and stability theorems, BIT 18 (1978); Hairer, Wanner, Solving ODEs II,
IV.4 and V.4.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from numdiff.properties.stability.branches import branches
from numdiff.properties.stability.linear import _points


class OrderStar(NamedTuple):
    """Logarithms of growth over the growth of the exact solution, each of the shape of z.

    Attributes
    ----------
    principal
        log|zeta_1(z) e^{-(c+z)h}|; -inf where zeta_1 = 0.
    largest
        The same for the largest root.

    Examples
    --------
    Around 0 the star of a method of order p has p + 1 sectors in which the principal root grows too fast:

    >>> import numpy as np
    >>> import numdiff as nd
    >>> z = 0.01 * np.exp(2j * np.pi * (np.arange(360) + 0.5) / 360)
    >>> star = nd.stability.order_star(nd.AdamsBashforth(2), z)
    >>> signs = np.sign(star.principal)
    >>> int((signs != np.roll(signs, 1)).sum()) // 2
    3
    """

    principal: NDArray[np.float64]
    largest: NDArray[np.float64]


def order_star(method: Any, z: ArrayLike, *, h: float | None = None) -> OrderStar:
    """Return by how much the growth of a step exceeds that of the exact solution, as logarithms.

    Parameters
    ----------
    method
        A method with numbers for its parameters, or a steady `Tableau` of kernel exponent 0.
    z
        Complex array of any shape.
    h
        Step length, required for exponential methods.

    Returns
    -------
    OrderStar

    Raises
    ------
    ValueError
        As `roots`.

    Examples
    --------
    Euler's growth 1 + z against e^z:

    >>> import numpy as np
    >>> import numdiff as nd
    >>> found = nd.stability.order_star(nd.AdamsBashforth(1), np.array([-0.5, 0.5]))
    >>> found.principal.round(4).tolist(), (np.log([0.5, 1.5]) - [-0.5, 0.5]).round(4).tolist()
    ([-0.1931, -0.0945], [-0.1931, -0.0945])
    """
    found, principal = branches(method, z, h)
    exact = log_exact(method, z, h)
    with np.errstate(divide="ignore"):
        grown = np.log(np.abs(found)) - exact
    shape = np.shape(z)
    return OrderStar(np.take_along_axis(grown, principal[np.newaxis], 0).reshape(shape), grown.max(0).reshape(shape))


def log_exact(method: Any, z: ArrayLike, h: float | None) -> NDArray[np.float64]:
    """Return log|e^{(c+z)h}| for every z, flat; for a method with noise the growth of the mean."""
    c, q = getattr(method, "kernel", 0), 1.0
    if getattr(method, "stochastic", False):  # the drift of a diffusion is X' = c X + (1 + tau^2) z X
        squared = getattr(getattr(method.formulation, "level", None), "constant", None)
        if squared is None:
            raise ValueError(
                f"{method} adds noise whose level is no constant tau, so that its mean has no exact growth to compare"
            )
        q += float(squared)
    return np.asarray((float(c) + q * _points(z).reshape(-1).real) * (1.0 if h is None else float(h)))
