r"""Growth on the linear model x_0 = kappa x/alpha, in steady state on equal log-SNR steps.

A denoiser that returns kappa times the scaled sample is the Gaussian test problem at a frozen ratio of signal and
noise, kappa = alpha^2 s^2/S: 1 for flat data, 0 for a point mass at the origin. Guidance can push kappa out of [0, 1].
In the exact flow x/alpha grows by e^{(kappa-1)h} over a step h of lambda = log(alpha/sigma); a method's own factor is
the largest root of its polynomial on this problem (`numdiff.properties.stability.diffusion_polynomial`).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray

from numdiff.properties.spectral.scalar import check_real
from numdiff.properties.stability import diffusion_polynomial
from numdiff.symbolic.parametric import Q
from numdiff.symbolic.polynomials import ZETA, parameters
from numdiff.symbolic.steady import H


def steady_gain(method: Any, kappa: ArrayLike, *, h: float) -> NDArray[np.float64]:
    """Return the growth factor of x/alpha per step on x_0 = kappa x/alpha.

    Parameters
    ----------
    method
        A method with numbers for its parameters, in a noise or data formulation (None: noise/ratio).
    kappa
        Real array of any shape.
    h
        Step in lambda = log(alpha/sigma) towards the data, positive.

    Returns
    -------
    ndarray
        Largest modulus of a root, of the shape of `kappa`; the exact flow has exp((kappa - 1) h).

    Raises
    ------
    TypeError
        If `method` is no method, or `kappa` or `h` are no real numbers.
    ValueError
        For a velocity formulation, a symbol among the parameters, a method without a steady step, h not positive.

    Examples
    --------
    On flat data (kappa = 1) nothing should grow. Beyond, where guidance leads, a sampler grows at another rate than the
    exact flow:

    >>> import numpy as np
    >>> import numdiff as nd
    >>> kappa = np.array([0.0, 1.0, 2.0])
    >>> nd.spectral.steady_gain(nd.DPMSolverPP(2), kappa, h=0.5).round(4).tolist()
    [0.6065, 1.0, 1.5435]
    >>> np.exp((kappa - 1) * 0.5).round(4).tolist()
    [0.6065, 1.0, 1.6487]
    """
    points, length = check_real(kappa, "kappa", negative=True), float(check_real(h, "h"))
    if not 0 < length < math.inf:
        raise ValueError(f"h must be positive and finite, a step of the log-SNR towards the data, got {h}")
    pi = diffusion_polynomial(method)
    if set(parameters(pi)) - {H, Q}:
        raise ValueError(f"{method} has symbols among its parameters; give them numbers")
    exactly = sp.Rational(length)  # closed forms in e^{-h} cancel for short steps
    at = {H: exactly, Q: sp.Rational(sp.exp(-exactly).evalf(60))}
    n = pi.degree(ZETA)
    table = np.zeros((n + 1, pi.degree(pi.gens[1]) + 1))
    for power, value in pi.as_dict().items():
        table[power] = float(value.subs(at))
    p = np.polynomial.polynomial.polyval(points, table.T)  # shape (n + 1, *kappa.shape)
    companion = np.zeros((*points.shape, n, n))
    companion[..., np.arange(1, n), np.arange(n - 1)] = 1
    companion[..., :, -1] = -np.moveaxis(p[:-1] / p[-1], 0, -1)
    return np.asarray(np.abs(np.linalg.eigvals(companion)).max(-1))
