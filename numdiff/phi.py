r"""The phi functions of exponential integrators, accurate for every real argument.

Definition, with z real and k a whole number::

    phi_0(z) = e^z,    phi_k(z) = int_0^1 e^{(1 - theta) z} theta^{k-1} / (k-1)! dtheta = sum_{j>=0} z^j / (k + j)!

so phi_k(0) = 1/k! and 0 < phi_k. One recurrence and its derivative are all the code below uses::

    phi_{k-1}(z) = 1/(k-1)! + z phi_k(z)                                                                       (1)
    phi_k'(z)    = phi_k(z) - k phi_{k+1}(z)                                                                   (2)

**Floats.** As it stands, (1) is Horner's scheme for the Taylor series and meets every phi_k on its way down
("downward"); solved for phi_k it divides by z and starts at e^z ("upward"). Going down, the relative error of phi_k
reaches phi_{k-1} times ``|z phi_k / phi_{k-1}|``; going up, an error is multiplied by the inverse.

- z > 0: with X a Poisson variable of mean z, phi_k = e^z z^{-k} P(X >= k) and the factor is P(X >= k)/P(X >= k-1).
  It is below 1, so downward never harms; upward costs 1/P(X >= k) from e^z on, which is little for k < z/2.
- z < 0: the factor is (1 - q)/q with q = (k-1)! phi_{k-1}(z) = M(1, k, z), which rises with k from e^z to 1 and
  passes 1/2 near ``k = |z|``: below it upward is the stable direction, above it downward.

Hence upward where k < -z or k < z/2, and downward elsewhere: a few ulp for every z, from one e^z and no other
special function. `_downward` and `_upward` are (1); the rest chooses between them.

**Other numbers.** An exact zero gives the exact Fraction 1/k!, other rationals give floats. An mpmath number is worked
out in the working precision; a SymPy expression becomes the opaque function of `numdiff.symbolic.phi`. Torch tensors
differentiate by (2), which is phi again, hence to any order; for z -> -inf (2) loses the factor ``|z|`` in relative
accuracy, for phi_k ~ k phi_{k+1} there. Arrays and tensors of any real type are computed in float64 and rounded once
to their own type, as NumPy's functions do: pass float64 where coefficients are wanted in full.

References: M. Hochbruck and A. Ostermann, Exponential integrators, Acta Numerica 19 (2010), section 2.1 and (2.10);
W. Gautschi, Computational aspects of three-term recurrence relations, SIAM Review 9 (1967), on the direction.
"""

from __future__ import annotations

import math
import operator
import sys
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numdiff.elementary import Number, kind

__all__ = ["HIGHEST", "phi", "phis"]

HIGHEST = 12
"""Largest order in floating point; exact, mpmath and SymPy arguments take any."""

_LARGEST_EXP = 700.0  # below log(1.8e308) = 709.8; beyond, e^z is carried as two factors, as phi_k overflows later
_ALL_OVERFLOW = 1000.0  # e^1000 / 1000^14 > 1.8e308: phi_k is inf from here on for every order in use


def _last_term(order: int, reach: float) -> int:
    """Return the k after which z^(k - order)/k!, at z = reach, no longer shows in phi_order(reach) in float64."""
    k, term = order, 1.0
    while term > 2.0**-56:  # an eighth of an ulp of the first term
        k += 1
        term *= reach / k
    return k


_ORDERS = HIGHEST + 2  # the gradient of phi_HIGHEST needs one order more, its gradient another
_RECIPROCAL = tuple(1 / math.factorial(k) for k in range(_last_term(_ORDERS, 2.0 * _ORDERS) + 1))  # k >= z/2 goes down
_NEAR = 4.0
_RECIPROCAL_NEAR = _RECIPROCAL[: _last_term(_ORDERS, 2 * _NEAR) + 1]  # for |z| <= _NEAR: the terms left out are 1e-27


def phi(k: int, z: Number) -> Number:
    """Return phi_k(z).

    Parameters
    ----------
    k
        Order, a whole number >= 0; at most `HIGHEST` in floating point.
    z
        Argument: int, Fraction, float, real numpy array or scalar, torch tensor, mpmath or SymPy number.

    Returns
    -------
    number
        The kind, shape and floating dtype of `z`, elementwise for arrays and tensors (integers become floats). An int
        or Fraction gives a Fraction at zero and a float elsewhere. phi_k(-inf) = 0, phi_k(inf) = inf, nan stays nan.

    Raises
    ------
    ValueError
        If `k` is negative or above `HIGHEST`.
    TypeError
        If `k` is no integer or `z` is no real number in at most double precision.

    Examples
    --------
    >>> import numpy as np
    >>> from numdiff.phi import phi
    >>> phi(3, 0)  # 1/3!, exact
    Fraction(1, 6)
    >>> f"{phi(2, -1e-9):.15f}"  # no cancellation near 0, where (e^z - 1 - z)/z^2 has none of its digits left
    '0.499999999833333'
    >>> phi(1, np.array([-1.0, 0.0])).round(6).tolist()
    [0.632121, 1.0]
    """
    k, which = _order("k", k), kind(z)
    if which == "sympy":
        from numdiff.symbolic.phi import phi as symbolic

        return symbolic(k, z)
    if which == "mpmath":
        return in_mpmath(k, z)
    if which == "exact" and z == 0:
        return Fraction(1, math.factorial(k))
    return phis(k + 1, z)[-1]


def phis(count: int, z: Number) -> list[Number]:
    """Return [phi_0(z), ..., phi_{count-1}(z)] in one pass.

    Parameters
    ----------
    count
        How many, a whole number >= 0; at most `HIGHEST` + 1 in floating point.
    z
        Argument, as for `phi`; the values equal those of `phi` bit for bit.

    Returns
    -------
    list
        `count` numbers of the kind of `z`.

    Raises
    ------
    ValueError, TypeError
        As for `phi`.

    Examples
    --------
    >>> from numdiff.phi import phi, phis
    >>> phis(4, 0.5) == [phi(k, 0.5) for k in range(4)]
    True
    >>> [round(value, 4) for value in phis(4, 0.5)]
    [1.6487, 1.2974, 0.5949, 0.1898]
    """
    count, which = _order("count", count), kind(z)
    if which in ("sympy", "mpmath") or (which == "exact" and z == 0) or count == 0:
        return [phi(k, z) for k in range(count)]
    if count > HIGHEST + 1:
        raise ValueError(f"k must be at most {HIGHEST} in floating point, got {count - 1}; pass z as mpmath.mpf")
    if which == "numpy":
        return _of_array(count, z)
    if which == "traced":
        return z.phis(count)
    return _of_tensor(count, z) if which == "torch" else _of_float(count, float(z))


def _order(name: str, k: int) -> int:
    try:
        k = operator.index(k)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {k!r}; phi has whole orders only") from None
    if k < 0:
        raise ValueError(f"{name} must be at least 0, got {k}; phi has no negative orders")
    return k


def in_mpmath(k: int, z: Number) -> Number:
    """Return phi_k(z) = M(1, k+1, z)/k! for an mpmath number, real or complex, in the working precision."""
    mpmath = sys.modules["mpmath"]
    if k == 0 or mpmath.isinf(z) or mpmath.isnan(z):
        return mpmath.exp(z)  # the limits 0 and inf are those of every order
    with mpmath.extraprec(16):  # hyp1f1 may lose a few bits of its own
        value = mpmath.hyp1f1(1, k + 1, z) / mpmath.factorial(k)
    return +value


# --- float64: the two directions of (1); the same lines serve a float and an array ----------------------------------


def _downward(count: int, z: Number, reciprocal: tuple[float, ...] = _RECIPROCAL) -> list[Number]:
    """Return phi_k(z), k < count, by (1) from far above."""
    value, values = reciprocal[-1], []
    for constant in reciprocal[-2 : count - 1 - len(reciprocal) : -1]:
        value = constant + z * value
    for constant in reciprocal[:count][::-1]:
        value = constant + z * value
        values.append(value)
    return values[::-1]


def _upward(count: int, z: Number, power: Number, unit: Number) -> list[Number]:
    """Return unit * phi_k(z), k < count, by (1) from power = unit * e^z."""
    values = [power]
    for constant in _RECIPROCAL[: count - 1]:
        values.append((values[-1] - constant * unit) / z)
    return values


def _of_float(count: int, z: float) -> list[float]:
    if -1.0 <= z <= 2.0:  # upward serves k = 0 alone, and could not divide by z = 0
        return [float(np.exp(z)), *_downward(count, z, _RECIPROCAL_NEAR)[1:]]
    z = min(z, _ALL_OVERFLOW)  # in this order, so that nan stays nan
    turn = max(-z, z / 2)
    scale = float(np.exp(z - _LARGEST_EXP)) if z > _LARGEST_EXP else 1.0
    up = _upward(count, z, float(np.exp(min(z, _LARGEST_EXP))), 1.0 / scale)
    if turn > count - 1:
        return [value * scale for value in up]
    near = _RECIPROCAL_NEAR if -_NEAR <= z <= _NEAR else _RECIPROCAL
    return [up[k] if k < turn else value for k, value in enumerate(_downward(count, z, near))]


def _of_array(count: int, z: NDArray[Any]) -> list[Any]:
    if z.dtype.kind not in "biuf" or z.dtype.itemsize > 8:
        raise TypeError(f"z must be real, in double precision at most, got dtype {z.dtype}; cast it or use mpmath.mpf")
    dtype = z.dtype if z.dtype.kind == "f" else np.dtype(float)
    with np.errstate(over="ignore", under="ignore"):  # the limits inf and 0 are the answer, as in numdiff.elementary
        if z.ndim == 0:
            return [np.float64(value).astype(dtype) for value in _of_float(count, float(z))]
        x = np.minimum(z.astype(float), _ALL_OVERFLOW)
        turn = np.maximum(-x, x / 2)
        scale = np.exp(np.maximum(x - _LARGEST_EXP, 0.0))
        up = _upward(count, np.where(turn > 1, x, 1.0), np.exp(np.minimum(x, _LARGEST_EXP)), 1.0 / scale)
        down = _downward(count, np.clip(x, -count, 2 * count))
        return [np.where(k < turn, u * scale, d).astype(dtype) for k, (u, d) in enumerate(zip(up, down, strict=True))]


# --- torch: phi's derivative is phi, so that backward is built from forward ------------------------------------------


def _of_tensor(count: int, z: Any) -> list[Any]:
    torch = sys.modules["torch"]
    if z.is_complex():
        raise TypeError(f"z must be real, got dtype {z.dtype}; pass SymPy numbers for complex arguments")
    dtype = z.dtype if z.is_floating_point() else torch.get_default_dtype()
    values = _autograd_function().apply(count, z.to("cpu", torch.float64))
    return [value.to(z.device, dtype) for value in values]


@cache
def _autograd_function() -> Any:
    """Return the autograd Function of (2); made on first use, so that torch stays optional."""
    torch = sys.modules["torch"]

    class Phis(torch.autograd.Function):  # type: ignore[name-defined]  # torch is known at run time only
        @staticmethod
        def forward(count: int, z: Any) -> tuple[Any, ...]:
            return tuple(torch.as_tensor(value) for value in _of_array(count, z.detach().numpy()))

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[int, Any], output: tuple[Any, ...]) -> None:
            ctx.count, z = inputs
            ctx.save_for_backward(z)
            ctx.save_for_forward(z)
            ctx.set_materialize_grads(False)

        @staticmethod
        def derivatives(ctx: Any) -> list[Any]:
            values = Phis.apply(ctx.count + 1, *ctx.saved_tensors)
            return [values[k] - k * values[k + 1] for k in range(ctx.count)]

        @staticmethod
        def backward(ctx: Any, *gradients: Any) -> tuple[None, Any]:
            parts = [g * d for g, d in zip(gradients, Phis.derivatives(ctx), strict=True) if g is not None]
            return None, sum(parts[1:], parts[0]) if parts else None

        @staticmethod
        def jvp(ctx: Any, _: None, tangent: Any) -> tuple[Any, ...]:
            return tuple(tangent * d for d in Phis.derivatives(ctx))

        @staticmethod
        def vmap(info: Any, in_dims: tuple[None, int], count: int, z: Any) -> tuple[Any, Any]:
            return Phis.apply(count, z), (in_dims[1],) * count

    return Phis
