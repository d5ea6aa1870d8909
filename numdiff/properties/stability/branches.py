r"""The roots of a stability polynomial as functions of z, and the principal one among them.

For a zero-stable method pi(., 0) has one root that belongs to the exact solution: 1, or e^{ch} where the formulation
has a kernel e^{ch}. It is simple, so near z = 0 it is an analytic function zeta_1(z), the **principal root**; the
others are parasitic. One step of the exact solution of X' = c X + z X multiplies by e^{(c + z) h} (h = 1 where c = 0),
and zeta_1 imitates it. Further out zeta_1 is continued along the ray from 0 to z.

**Crossings.** The continuation is unique as long as no ray meets a branch point, a zero of the discriminant
disc_zeta pi(., z), where two roots coincide. Only the irreducible factor of pi with the principal root matters. The
zeros are computed beforehand. They also bound the steps: within the distance to the nearest one every root is analytic,
so a ray is followed in steps of a quarter of that distance, each an Euler step d zeta/dz = -pi_z/pi_zeta and two of
Newton's. A ray that does meet a branch point goes around it
counterclockwise, as seen from 0 (`TURN`): behind it lies a cut, on which zeta_1 is the limit from larger arguments. At
a real branch point two real roots become a conjugate pair, so that |zeta_1| does not depend on the side.

Source: Hairer, Wanner, Solving ODEs II, V.4 (principal sheet of a multistep method).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray

from numdiff.properties.stability.linear import CHUNK, EPS, TINY, _companion, _evaluate, _numeric, _points, polynomial
from numdiff.symbolic.polynomials import ZETA, Z

TURN = 1e-6
"""Greatest angle in radians by which a path leaves its ray, to pass branch points that lie on it on one side. Beside
one the roots stay about 1e-6 apart, far above their rounding."""

STRIDE = 0.25
"""Length of a step over the distance to the nearest branch point."""

SMALLEST = 1e-9
"""Length of the shortest step over |z|, far below `TURN`: some paths end at a branch point and would never arrive."""

Complex = NDArray[np.complex128]
Real = NDArray[np.float64]


def roots(method: Any, z: ArrayLike, *, h: float | None = None) -> Complex:
    """Return the roots of the stability polynomial, the principal one first.

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
    ndarray of complex, shape (n, *z.shape)
        The principal root, continued along the ray from 0 to each z, then the others by falling modulus. Where the ray
        meets a branch point it passes that counterclockwise; at a branch point itself both roots are equal anyway.

    Raises
    ------
    ValueError
        If a symbol is left in the coefficients, z is not finite, or no simple root at z = 0 belongs to the exact
        solution.

    Examples
    --------
    The principal root of AB2 follows e^z; the parasitic one reaches the unit circle at z = -1:

    >>> import numdiff as nd
    >>> found = nd.stability.roots(nd.AdamsBashforth(2), [-0.5, -1.0])
    >>> found.shape
    (2, 2)
    >>> found.real.round(4).tolist()
    [[0.6404, 0.5], [-0.3904, -1.0]]
    """
    found, principal = branches(method, z, h)
    rows = np.arange(len(found))[:, np.newaxis]
    order = np.argsort(np.where(rows == principal, -np.inf, -np.abs(found)), axis=0, kind="stable")
    return np.take_along_axis(found, order, axis=0).reshape(-1, *np.shape(z))


def branches(method: Any, z: ArrayLike, h: float | None) -> tuple[Complex, NDArray[np.intp]]:
    """Return all roots, shape (n, points), and for each point which of them is the principal one."""
    coefficients, points = _numeric(method, h), _points(z).reshape(-1)
    start = start_of(method, h)
    _check_start(method, coefficients, start)
    factor = _principal_factor(method, coefficients, start, h)
    found = np.empty((len(coefficients) - 1, points.size), dtype=np.complex128)
    principal = np.zeros(points.size, dtype=np.intp)
    for first in range(0, points.size, CHUNK):
        part = slice(first, first + CHUNK)
        monic = _evaluate(coefficients, points[part])[:-1]
        found[:, part] = np.linalg.eigvals(_companion(monic)).T if len(monic) > 1 else -monic
        if len(monic) > 1:
            target = _continued(points[part], start, *factor)
            principal[part] = np.argmin(np.abs(found[:, part] - target), axis=0)
    return found, principal


def start_of(method: Any, h: float | None) -> float:
    """Return the principal root at z = 0: e^{ch}, c the kernel exponent."""
    return float(np.exp(getattr(method, "kernel", 0) * float(h or 0)))


def uncertainty(coefficients: Real, z: Complex, found: Complex) -> Real:
    """Return by how much rounding may have moved each root of pi(., z), to first order; shape of `found`."""
    p = _evaluate(coefficients, z)
    powers = np.abs(found) ** np.arange(len(p))[:, np.newaxis, np.newaxis]
    slope = np.polynomial.polynomial.polyval(found, np.polynomial.polynomial.polyder(p), tensor=False)
    return 8 * len(p) * EPS * np.einsum("kp,kip->ip", np.abs(p), powers) / np.maximum(np.abs(slope), TINY)


def _check_start(method: Any, coefficients: Real, start: float) -> None:
    """Raise unless `start` is a simple root at z = 0."""
    rho = coefficients[:, 0]
    size = np.abs(rho) @ start ** np.arange(len(rho))
    value, slope = (np.polynomial.polynomial.polyval(start, p) for p in (rho, np.polynomial.polynomial.polyder(rho)))
    if abs(value) > 1e-12 * size:
        raise ValueError(
            f"{method} has no principal root: at z = 0 no root of its stability polynomial is {start:.6g}, the growth "
            "of the exact solution; use a consistent method, and the method itself rather than its tableau if it is "
            "exponential"
        )
    if abs(slope) <= 1e-8 * size:
        raise ValueError(f"{method} is not zero-stable: its principal root is a repeated one at z = 0")


def _principal_factor(method: Any, coefficients: Real, start: float, h: float | None) -> tuple[Real, Complex]:
    """Return the factor of pi that has the principal root, and its branch points other than 0."""
    pi = polynomial(method, h=h)
    if not (pi.domain.is_QQ or pi.domain.is_ZZ):  # algebraic or transcendental numbers: the nearest doubles will do
        terms = {(i, j): sp.Rational(float(c)) for (i, j), c in np.ndenumerate(coefficients) if c}
        pi = sp.Poly.from_dict(terms, ZETA, Z, domain="QQ")
    factors = [factor for factor, _ in (pi.factor_list() if h is None else pi.sqf_list())[1]]
    factor = min(factors, key=lambda f: abs(np.polynomial.polynomial.polyval(start, _table(f)[:, 0])))
    return _table(factor), _branch_points(factor)


def _table(pi: sp.Poly) -> Real:
    """Return C with pi = sum_ij C_ij zeta^i z^j, monic."""
    table = np.zeros((pi.degree(ZETA) + 1, pi.degree(Z) + 1))
    for power, value in pi.as_dict().items():
        table[power] = float(value)
    return table / table[-1, 0]


def _branch_points(factor: sp.Poly) -> Complex:
    """Return the zeros of the discriminant, without 0, where the principal root is simple."""
    if factor.degree(ZETA) < 2:
        return np.empty(0, dtype=np.complex128)
    discriminant = sp.Poly(factor.discriminant(), Z, domain="QQ").sqf_part()
    zeros = np.roots([float(c / discriminant.LC()) for c in discriminant.all_coeffs()])
    return zeros[np.abs(zeros) > 1e-14 * np.abs(zeros).max(initial=1.0)].astype(np.complex128)


def _continued(z: Complex, start: float, coefficients: Real, crossings: Complex) -> Complex:
    """Return the root that is `start` at z = 0, followed to every z; shape (points,)."""
    zeta = np.full(z.shape, start, dtype=np.complex128)
    share = np.where(z == 0, 1.0, 0.0)  # how much of the ray is done
    active = np.flatnonzero(share < 1)
    while active.size:
        at, end = share[active], z[active]
        here = _path(at, end)
        gaps = np.abs(here - crossings[:, np.newaxis]).min(axis=0, initial=np.inf)
        with np.errstate(invalid="ignore"):
            stride = np.maximum(STRIDE * gaps / np.abs(end), SMALLEST)
        there = np.minimum(at + stride, 1.0)
        zeta[active] = _followed(coefficients, zeta[active], here, _path(there, end))
        share[active] = there
        active = active[there < 1]
    return zeta


def _path(share: Real, z: Complex) -> Complex:
    """Return the point of the path to z: the ray, turned counterclockwise by up to `TURN` on the way."""
    return share * z * np.exp(1j * TURN * 4 * share * (1 - share))


def _followed(coefficients: Real, zeta: Complex, here: Complex, there: Complex) -> Complex:
    """Return the root at `there` that continues `zeta` at `here`."""
    p, slope_in_z = _evaluate(coefficients, here), _evaluate(_derivative(coefficients.T).T, here)
    value = zeta + (there - here) * _quotient(-_at(slope_in_z, zeta), _at(_derivative(p), zeta))
    p = _evaluate(coefficients, there)
    slope = _derivative(p)
    for _ in range(2):
        value = value - _quotient(_at(p, value), _at(slope, value))
    return value


def _derivative(p: Any) -> Any:
    """Return the derivative, lowest power first along the first axis."""
    return np.arange(1, len(p)).reshape(-1, *(1,) * (np.ndim(p) - 1)) * p[1:]


def _at(p: Complex, value: Complex) -> Complex:
    """Evaluate the polynomials in the columns of `p`, one value each."""
    return np.asarray(np.polynomial.polynomial.polyval(value, p, tensor=False))


def _quotient(a: Complex, b: Complex) -> Complex:
    """Divide, with 0 where the divisor vanishes: at a branch point the root stays where it is."""
    zero = b == 0
    return np.asarray(np.where(zero, 0, a) / np.where(zero, 1, b), dtype=np.complex128)
