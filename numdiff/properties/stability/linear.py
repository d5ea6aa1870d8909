r"""Linear stability of a method: its polynomial, region, intervals and boundary locus.

On the test equation X' = c X + z X (c the kernel exponent of the formulation, X the sample over kappa, z per step when
c = 0) the steady step has the stability polynomial pi(zeta, z), and z belongs to the stability region when pi(., z)
satisfies the root condition: all roots in the closed unit disc, those on the circle simple. So runs on f = z X stay
bounded.

**Region.** Miller's criterion (`numdiff.symbolic.rootcondition`) in floating point, for all z at once: n reductions of
the degree by

    p_1(zeta) = (conj(p_n) p(zeta) - p_0 p*(zeta)) / zeta,

keeping at every stage the points with |p_0| < |p_n|. Where the two are close, or the reductions have lost too many
digits to tell (an error bound runs along), the roots of that one polynomial are computed with their uncertainty 8 n eps
sum_k |p_k zeta^k| / |p'(zeta)|: a root on the circle to within that is accepted if it is simple.

**Intervals** are exact (`numdiff.symbolic.intervals`). **The boundary locus** holds the z at which some root has
modulus one; for a multistep method it is rho(zeta)/sigma(zeta), |zeta| = 1.

Sources: Hairer, Wanner, Solving ODEs II, V.1; Miller, J. Inst. Math. Appl. 8 (1971).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray

from numdiff.properties.stability.kappa import exponential_interval
from numdiff.symbolic.intervals import DAMPING, interval
from numdiff.symbolic.polynomials import ZETA, Z, stability_polynomial
from numdiff.symbolic.rounded import as_meant
from numdiff.symbolic.steady import H, depends_on, exact_method, one_field, steady
from numdiff.tableau import Tableau

SIMPLE = 1e-9
"""Uncertainty of a root up to which it counts as simple. Rounding splits a double root by about sqrt(eps) = 1e-8, which
makes its uncertainty 1e-7 or more; simple roots on the circle, at orders 1 to 8 and beta >= 0.001, are certain to
1e-10."""

CLEARLY_INSIDE = 0.9
"""Modulus below which a computed root lies in the disc whatever its multiplicity m <= 8: rounding moves it by
eps^(1/m) <= 0.02."""

EPS, TINY = float(np.finfo(float).eps), float(np.finfo(float).tiny)

CHUNK = 2**15
"""Points reduced at a time: about 4 MB of coefficients for a polynomial of degree 8."""

Complex = NDArray[np.complex128]


def polynomial(method: Any, *, h: Any = None) -> sp.Poly:
    """Return the stability polynomial pi(zeta, z), monic in zeta, without the factors zeta^m of stored history.

    Parameters
    ----------
    method
        A method, or a steady `Tableau`; its damping may be a symbol. A float damping is read as the decimal that it
        prints as.
    h
        Step length of an exponential method; by default it stays the symbol ``h``.

    Returns
    -------
    Poly
        SymPy polynomial in ``zeta`` and ``z``.

    Raises
    ------
    TypeError
        If `method` has no steady tableau.
    ValueError
        If `h` is given for a method that does not depend on it, or is not positive.

    Examples
    --------
    >>> import numdiff as nd
    >>> nd.stability.polynomial(nd.AdamsBashforth(2)).as_expr()
    -3*z*zeta/2 + z/2 + zeta**2 - zeta
    """
    return stability_polynomial(one_field(method, h))


def region(method: Any, z: ArrayLike, *, h: float | None = None) -> NDArray[np.bool_]:
    """Tell for every z whether it belongs to the stability region.

    Parameters
    ----------
    method
        A method with numbers for its parameters, or a steady `Tableau`.
    z
        Complex array of any shape.
    h
        Step length, required for exponential methods.

    Returns
    -------
    ndarray of bool
        The shape of `z`. Boundary points belong to the region, to rounding, unless a repeated root lies on the circle.

    Raises
    ------
    ValueError
        If a symbol is left in the coefficients, or z is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> z = np.array([-2.1, -1.9, -0.5, 0.5j])
    >>> nd.stability.region(nd.AdamsBashforth(1), z).tolist()
    [False, True, True, False]
    >>> x, y = np.meshgrid(np.linspace(-4, 1, 101), np.linspace(-3, 3, 101))
    >>> areas = [nd.stability.region(m, x + 1j * y).mean() for m in (nd.RK4(), nd.AdamsBashforth(4))]
    >>> bool(areas[0] > 10 * areas[1])
    True
    """
    coefficients = _numeric(method, h)
    points = _points(z)
    inside = np.empty(points.size, dtype=bool)
    for start in range(0, points.size, CHUNK):
        part = slice(start, start + CHUNK)
        inside[part] = _root_condition(_evaluate(coefficients, points.reshape(-1)[part]))
    return inside.reshape(points.shape)


def real_interval(method: Any, *, h: Any = None, domain: tuple[Any, Any] = DAMPING) -> sp.Expr:
    """Return x* >= 0 of the stability interval (-x*, 0) on the real axis, exactly.

    Parameters
    ----------
    method
        A method, or a steady `Tableau`, with rational parameters or one symbol. Floats in a tableau are read as the
        fractions next to them where those have small denominators (1.9166666666666667 as 23/12), else as they are.
    h
        Step length of an exponential method, where the interval counts from z = 0 too. A float stands for the rational
        coefficients that it leads to; an exact number, a pair (low, high) or None (every h > 0, as the symbol ``h``)
        give a formula that is proved for all of them.
    domain
        Where a symbolic parameter varies, low < beta <= high; for a formula in h too, high is not included.

    Returns
    -------
    Expr
        A SymPy number (``float()`` takes it); a formula or ``Piecewise`` where a parameter is a symbol; 0 where the
        method is unstable next to 0.

    Raises
    ------
    ValueError
        For two symbols or more besides h, or irrational coefficients; where a formula in h could not be proved; where
        the rounding of a tableau's floats decides.

    Examples
    --------
    >>> import sympy as sp
    >>> import numdiff as nd
    >>> beta = sp.Symbol("beta", positive=True)
    >>> nd.stability.real_interval(nd.GHVB(3, beta))
    6*(2 - beta)/(12 - beta)
    >>> [nd.stability.real_interval(nd.AdamsBashforth(k)) for k in (1, 2, 3, 4)]
    [2, 1, 6/11, 3/10]
    >>> print(f"{float(nd.stability.real_interval(nd.RK4())):.4f}")
    2.7853
    """
    return _interval(method, "real", h, domain)


def imaginary_interval(method: Any, *, h: Any = None, domain: tuple[Any, Any] = DAMPING) -> sp.Expr:
    """Return y* >= 0 of the stability interval (-i y*, i y*) on the imaginary axis, exactly.

    Parameters
    ----------
    method, h, domain
        As in `real_interval`.

    Returns
    -------
    Expr
        As of `real_interval`; 0 where the method is unstable next to 0.

    Raises
    ------
    ValueError
        As `real_interval`.

    Examples
    --------
    >>> import numdiff as nd
    >>> nd.stability.imaginary_interval(nd.RK4()), nd.stability.imaginary_interval(nd.AdamsBashforth(2))
    (2*sqrt(2), 0)
    >>> nd.stability.imaginary_interval(nd.AdamsBashforth(3))
    12*sqrt(11)/55
    """
    return _interval(method, "imaginary", h, domain)


def boundary_locus(method: Any, points: int = 400, *, h: float | None = None) -> Complex:
    """Return the curve on which some root of the stability polynomial has modulus one.

    Parameters
    ----------
    method
        A method with numbers for its parameters, or a steady `Tableau`.
    points
        Number of angles in [0, 2 pi], both ends included, so that the curve closes.
    h
        Step length, required for exponential methods.

    Returns
    -------
    ndarray of complex, shape (d, points)
        One continuous branch a row; d is the degree in z, 1 for multistep methods. nan where a branch passes through
        infinity.

    Raises
    ------
    ValueError
        For fewer than two points, or if a symbol is left in the coefficients.

    Examples
    --------
    >>> import numdiff as nd
    >>> curve = nd.stability.boundary_locus(nd.AdamsBashforth(2), points=5)
    >>> curve.shape
    (1, 5)
    >>> (curve[0].round(6) + 0.0).tolist()                     # it crosses the real axis at 0 and at -1
    [0j, (-0.4+0.8j), (-1+0j), (-0.4-0.8j), 0j]
    """
    if isinstance(points, bool) or not isinstance(points, (int, np.integer)):
        raise TypeError(f"points must be an int, got {points!r}")
    if points < 2:
        raise ValueError(f"points must be at least 2, got {points}")
    coefficients = _numeric(method, h)
    circle = np.exp(2j * np.pi * np.linspace(0, 1, points))
    in_z = np.polynomial.polynomial.polyval(circle, coefficients)  # shape (d + 1, points)
    if len(in_z) == 1:
        raise ValueError(f"{method} does not use the model: its stability polynomial has no z in it")
    return _continuous(_roots(in_z))


def _interval(method: Any, axis: str, h: Any, domain: tuple[Any, Any]) -> sp.Expr:
    return _derived(exact_method(method), axis, tuple(h) if isinstance(h, list) else h, tuple(domain))


@lru_cache(maxsize=512)
def _derived(method: Any, axis: str, h: Any, domain: tuple[Any, Any]) -> sp.Expr:
    tableau, exact = as_meant(one_field(method))
    if not depends_on(tableau, H):
        steady(method, h)  # says so where h is given in vain
        return interval(stability_polynomial(tableau), axis, domain, rounded=not exact)
    if not exact:
        raise ValueError(
            "the coefficients of the step are floats and contain the step length h; pass the method itself, or a step "
            "in exact numbers, such as fractions.Fraction(1, 3)"
        )
    return exponential_interval(tableau if isinstance(method, Tableau) else method, axis, h, domain)


def _points(z: ArrayLike) -> Complex:
    """Return z as a complex array, checked."""
    try:
        points = np.asarray(z, dtype=np.complex128)
    except (TypeError, ValueError) as error:
        raise TypeError(f"z must be an array of complex numbers, got {type(z).__name__}") from error
    if not np.isfinite(points).all():
        raise ValueError("z must be finite, but it contains nan or inf; drop those points")
    return points


def _numeric(method: Any, h: Any) -> NDArray[np.float64]:
    """Return C with pi(zeta, z) = sum_ij C_ij zeta^i z^j in floating point."""
    pi = polynomial(method, h=h)
    free = sorted(map(str, pi.free_symbols_in_domain))
    if free:
        remedy = "give h=0.1, say" if free == ["h"] else "use a number for it"
        raise ValueError(f"{method} contains the symbol {', '.join(free)}, and a number is needed here; {remedy}")
    table = np.zeros((pi.degree(ZETA) + 1, pi.degree(Z) + 1))
    for power, value in pi.as_dict().items():
        table[power] = float(value)
    return table


def _evaluate(coefficients: NDArray[np.float64], z: Complex) -> Complex:
    """Return the coefficients of pi(., z), lowest power of zeta first: shape (n + 1, points)."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(np.polynomial.polynomial.polyval(z, coefficients.T), dtype=np.complex128)


def _reduced(p: Complex) -> Complex:
    """Return p_1 for polynomials in the columns of `p`."""
    return p[-1].conj() * p[1:] - p[0] * p[-2::-1].conj()


def _root_condition(p: Complex) -> NDArray[np.bool_]:
    """Decide the root condition for polynomials in the columns of `p`, lowest power first, monic."""
    polynomials, holds = p, np.zeros(p.shape[1], dtype=bool)
    alive = np.arange(p.shape[1])
    with np.errstate(over="ignore", invalid="ignore"):
        error = EPS * np.abs(p).sum(axis=0)  # of the coefficients, over the largest one
        while len(p) > 1:
            low, high = (np.square(c.real) + np.square(c.imag) for c in (p[0], p[-1]))
            margin = 1 - low / high
            close = alive[np.abs(margin) <= error]
            holds[close] = _by_roots(polynomials[:, close])
            inside = margin > error
            alive, p = alive[inside], _reduced(p[:, inside])
            p = p / np.abs(p).max(axis=0, initial=TINY)
            error = 4 * error[inside] / margin[inside]
    holds[alive] = True
    return holds


def _by_roots(p: Complex) -> NDArray[np.bool_]:
    """Decide the root condition from the roots and their conditioning."""
    if not p.shape[1]:
        return np.zeros(0, dtype=bool)
    roots = np.linalg.eigvals(_companion(p[:-1])).T  # shape (n, points)
    powers = np.abs(roots)[np.newaxis] ** np.arange(len(p))[:, np.newaxis, np.newaxis]
    slope = np.polynomial.polynomial.polyval(roots, np.polynomial.polynomial.polyder(p), tensor=False)
    error = 8 * len(p) * EPS * np.einsum("kp,kip->ip", np.abs(p), powers) / np.maximum(np.abs(slope), TINY)
    modulus = np.abs(roots)
    simple_on_circle = (error <= SIMPLE) & (modulus <= 1 + error)
    return np.all((modulus < np.maximum(1 - error, CLEARLY_INSIDE)) | simple_on_circle, axis=0)


def _companion(p: Complex) -> Complex:
    """Return companion matrices, shape (points, n, n), of monic polynomials given without their leading coefficient."""
    n = len(p)
    matrix = np.zeros((p.shape[1], n, n), dtype=np.complex128)
    matrix[:, np.arange(1, n), np.arange(n - 1)] = 1
    matrix[:, :, -1] = -p.T
    return matrix


def _roots(in_z: Complex) -> Complex:
    """Return the roots, shape (d, points), of polynomials in the columns of `in_z`; nan where one is infinite."""
    small = np.abs(in_z[-1]) <= EPS * np.abs(in_z).max(axis=0)
    lead = np.where(small, np.nan, in_z[-1])
    monic = in_z[:-1] / lead
    companion = _companion(np.where(small, 0, monic))
    return np.where(small, np.nan, np.linalg.eigvals(companion).T)


def _continuous(roots: Complex) -> Complex:
    """Permute the roots at each angle so that every row is a continuous branch."""
    from scipy.optimize import linear_sum_assignment

    branches = roots.copy()
    for k in range(1, roots.shape[1]):
        distance = np.abs(branches[:, k - 1, np.newaxis] - roots[:, k])
        if len(roots) > 1 and np.isfinite(distance).all():
            branches[:, k] = roots[linear_sum_assignment(distance)[1], k]
    return branches
