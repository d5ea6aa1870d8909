r"""Exponential schemes on the two-parameter test equation X' = c X + d X.

A formulation with the kernel e^{ch} integrates the linear term c X exactly and interpolates f = d X. That |c| = 1 there
only fixes the unit of the integration variable: what a step does depends on the two products c h and d h. With h =
|c h| and z = d the power z^j comes in the stability polynomial pi(zeta, z; h) with h^j times phi functions, so that

    pi(zeta, d h / h; h) = sum_ij a_ij(h) zeta^i (d h)^j

has coefficients a_ij that are finite at h = 0, where they are those of the method without kernel. They are compiled
once, and the root condition is decided for all points at a time. The exact solution falls where c h + d h < 0, one side
of the line d h = -c h.

Source: Hochbruck, Ostermann, Exponential integrators, Acta Numerica 19 (2010), section 2; Cox, Matthews, J. Comput.
Phys. 176 (2002), section 4 (regions in two parameters).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray

from numdiff.properties.stability.linear import CHUNK, _root_condition, polynomial
from numdiff.symbolic.polynomials import ZETA, parameters
from numdiff.symbolic.steady import H, steady


def two_parameter_region(method: Any, ch: ArrayLike, dh: ArrayLike) -> NDArray[np.bool_]:
    """Tell for every pair (c h, d h) whether runs on X' = c X + d X stay bounded.

    Parameters
    ----------
    method
        An exponential method (a log-SNR formulation) with numbers for its parameters.
    ch
        Real array: the step length times the kernel exponent c, so none of its entries may have the sign of -c; 0 is
        the limit of small steps at fixed d h.
    dh
        Real array that broadcasts against `ch`.

    Returns
    -------
    ndarray of bool
        The common shape. Boundary points belong to the region, to rounding, unless a repeated root lies on the circle.

    Raises
    ------
    TypeError
        If `method` is no method.
    ValueError
        For a method whose kernel exponent is 0, a `ch` of the wrong sign, values that are not finite, shapes that do
        not agree, or a symbol in the coefficients.

    Examples
    --------
    Data prediction in log-SNR has c = -1. At a step of length 1 the model may pull outward, but not hard inward:

    >>> import numpy as np
    >>> import numdiff as nd
    >>> nd.stability.two_parameter_region(nd.DPMSolverPP(2), -1.0, np.array([-3.0, -0.5, 1.0])).tolist()
    [False, True, True]
    """
    c = getattr(method, "kernel", 0)
    if c == 0:
        steady(method)  # says so where it is no method at all
        raise ValueError(
            f"{method} has kernel exponent 0 and depends on c h + d h alone: use region(method, ch + dh), or a "
            "formulation in log-SNR"
        )
    ch, dh = _finite("ch", ch), _finite("dh", dh)
    if (c * ch < 0).any():
        sign = "positive" if c > 0 else "negative"
        raise ValueError(f"ch must not have the sign of -c = {-c:+d}: in this formulation it is {sign} or 0")
    ch, dh = np.broadcast_arrays(ch, dh)
    coefficients = _compiled(method)
    h, d = np.abs(ch).reshape(-1), dh.reshape(-1)
    inside = np.empty(h.size, dtype=bool)
    for first in range(0, h.size, CHUNK):
        part = slice(first, first + CHUNK)
        inside[part] = _root_condition(coefficients(h[part], d[part]))
    return inside.reshape(ch.shape)


def _compiled(method: Any) -> Any:
    """Return the function (h, d h) -> coefficients of pi over zeta, lowest power first: shape (n + 1, points)."""
    pi = polynomial(method)
    free = [str(symbol) for symbol in parameters(pi) if symbol != H]
    if free:
        raise ValueError(f"{method} contains the symbol {free[0]}, and a number is needed here; use a number for it")
    powers = list(pi.as_dict())
    values = [sp.cancel(pi.as_dict()[i, j] / H**j) for i, j in powers]
    evaluate = sp.lambdify(H, values, modules="numpy", cse=True)
    degree = pi.degree(ZETA)

    def coefficients(h: NDArray[np.float64], d: NDArray[np.float64]) -> NDArray[np.complex128]:
        table = np.zeros((degree + 1, h.size), dtype=np.complex128)
        with np.errstate(over="ignore", invalid="ignore"):
            for (i, j), value in zip(powers, evaluate(h), strict=True):
                table[i] += value * d**j
        return table

    return coefficients


def _finite(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """Return real finite values as an array."""
    array = np.asarray(values)
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{name} must be an array of real numbers, got {values!r}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, but it contains nan or inf; drop those points")
    return array.astype(np.float64)
