r"""The diffusion test problem: one direction of Gaussian data, for which every exact prediction is affine in x.

Data N(mu, s^2) at a level x = alpha x_0 + sigma eps is N(alpha mu, S) with S = alpha^2 s^2 + sigma^2, and a prediction
m = a x_0 + b eps has the conditional mean

    E[m | x] = a mu + g (x - alpha mu),    g = (a alpha s^2 + b sigma)/S                                          (1)

so a scheme that combines such evaluations is an affine recursion. A Gaussian in d dimensions falls apart into d of
these problems, one per eigen-direction of its covariance. The probability flow is

    x_t = alpha_t mu + sqrt(S_t/S_s) (x_s - alpha_s mu)                                                           (2)

In floating point everything is formed from the quotients alpha s/sqrt(S) and sigma/sqrt(S), with sqrt(S) a hypotenuse,
so that neither a large nor a small s overflows before its time. s = 0 is a point mass, whose data prediction is
constant; s -> oo is flat data, whose noise prediction vanishes.

Source: (1) and (2) are the formulas of `numdiff.problems.mixture` and `numdiff.problems.flow` for one Gaussian.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numdiff.elementary import kind
from numdiff.level import Level
from numdiff.methods.scheme import Scheme
from numdiff.parameterizations import get

Array = NDArray[np.float64]

NO_VARIANCE = (
    "at sigma = 0 (t = {}) data of standard deviation 0 leaves x no variance, and a prediction off the single point "
    "has no meaning; use s > 0, or a scheme that evaluates nothing at sigma = 0"
)


def spread(level: Level, s: Array) -> Array:
    """Return sqrt(S), the standard deviation of x at `level`, for data of standard deviation `s`."""
    return np.hypot(level.alpha * s, level.sigma)


def prediction_at(level: Level, prediction: str, s: Array) -> tuple[float, Array]:
    """Return (a, g) of formula (1) at `level`, for floats.

    Raises
    ------
    ValueError
        If x has no variance there (s = 0 and sigma = 0), or the level lacks the derivatives that a velocity needs.
    """
    a, b = get(prediction).components(level)
    r = spread(level, s)
    if not r.all():
        raise ValueError(NO_VARIANCE.format(level.time))
    return a, a * (level.alpha * s / r) * (s / r) + b * (level.sigma / r) / r


def slope(level: Level, prediction: str, u: Any) -> Any:
    """Return g of formula (1) for the variance u = s^2, in exact numbers; errors as `prediction_at`."""
    a, b = get(prediction).components(level)
    S = level.alpha**2 * u + level.sigma**2
    if S == 0:
        raise ValueError(NO_VARIANCE.format(level.time))
    return (a * level.alpha * u + b * level.sigma) / S


def check_scheme(scheme: Any) -> Scheme:
    """Return `scheme` if the test problem can be put to it.

    Raises
    ------
    TypeError
        If it is no `Scheme`.
    ValueError
        If it belongs to a plain ODE, or evaluates several fields.
    """
    if not isinstance(scheme, Scheme):
        hint = "; lay the method out first, method.discretize(schedule, grid)" if hasattr(scheme, "discretize") else ""
        raise TypeError(f"scheme must be what method.discretize(schedule, grid) returns, got {scheme!r}{hint}")
    if scheme.schedule is None:
        raise ValueError(
            "the scheme belongs to a plain ODE (its schedule is None), which has no noise levels; lay the method out "
            "on a noise schedule, or use nd.stability for linear ODEs"
        )
    check_fields(scheme.tableaus)
    return scheme


def check_fields(tableaus: Sequence[Any]) -> None:
    """Raise unless every stage evaluates the same field."""
    tags = sorted({tag for tableau in tableaus for tag in tableau.tags})
    if len(tags) > 1:
        raise ValueError(
            f"the scheme evaluates several fields, {', '.join(map(repr, tags))}; the test problem has one prediction, "
            "that of the data, and says nothing of the others: lay out the method without splitting"
        )


def check_real(value: Any, name: str, *, negative: bool = False) -> Array:
    """Return `value` as a float array that is finite, and not negative unless `negative`.

    Raises
    ------
    TypeError
        If it holds a symbol or anything else that is no real number.
    ValueError
        For an entry that is infinite, NaN or (unless `negative`) below 0.
    """
    given = np.asarray(value)
    if given.dtype.kind not in "iuf":
        symbols = any(kind_of(x) == "sympy" and not x.is_number for x in given.ravel())
        remedy = "; for a symbol use nd.spectral.exact(scheme, s=...)" if symbols and name == "s" else ""
        try:
            if symbols or given.dtype.kind != "O":
                raise TypeError
            given = np.array([float(x) for x in given.ravel()]).reshape(given.shape)
        except (TypeError, ValueError):
            raise TypeError(f"{name} must be real numbers, got {value!r}{remedy}") from None
    array = given.astype(np.float64)
    bad = ~np.isfinite(array) if negative else ~(np.isfinite(array) & (array >= 0))
    if bad.any():
        what = "finite" if negative else "finite and not negative: it is a standard deviation"
        raise ValueError(f"{name} must be {what}, got {array[bad].ravel()[0]}")
    return array


def kind_of(x: Any) -> str:
    """Return the number system of `x`, or its type's name where it is no number."""
    try:
        return kind(x)
    except TypeError:
        return type(x).__name__


def to_number(x: Any) -> float:
    """Return a coefficient or an entry of a level as a Python float, without its gradient.

    Raises
    ------
    ValueError
        If it is an array of several numbers or a symbol.
    """
    if type(x) is float:
        return x
    which = kind(x)
    if which == "torch":
        x = x.detach()
    if getattr(x, "ndim", 0) or (which == "sympy" and not x.is_number):
        raise ValueError(f"coefficients and levels must be single numbers here, got {x!r}; use nd.spectral.exact")
    return float(x)


def in_floats(level: Level) -> Level:
    """Return the level with Python floats for its scales and their derivatives."""
    names = ("alpha", "sigma", "d_alpha", "d_sigma")
    changes = {n: to_number(x) for n in names if (x := getattr(level, n)) is not None and type(x) is not float}
    return replace(level, **changes) if changes else level
