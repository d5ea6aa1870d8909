"""Elementary functions for any number type: exact rationals, floats, arrays, torch tensors and SymPy expressions.

The coefficient routines of numdiff are written once and run on every number type. What they need beyond + - * / is
collected here: each function looks at the type of its argument and calls ``math``, NumPy, torch, mpmath or SymPy,
none of which is imported unless the argument already belongs to it.

Floats follow the limits rather than raise: ``log(0.0)`` is ``-inf`` and ``exp(1000.0)`` is ``inf``, because the ends
of a noise schedule live there. Rationals stay exact at the few points where the value is rational (``exp(0)`` is 1) and
give floats elsewhere, as ``math`` does; pass a SymPy number to stay exact everywhere.
"""

from __future__ import annotations

import math
import sys
from fractions import Fraction
from typing import Any

import numpy as np

Number = Any
"""A scalar of any supported type; formulas are generic, so the type checker is told no more than that."""


def kind(x: Number) -> str:
    """Name the number system of `x`: "exact", "float", "numpy", "torch", "sympy", "mpmath" or "traced".

    Traced numbers (`numdiff.optimize.tape`) record what is done to them; a class says that it is one by `number_kind`.
    """
    known = _KINDS.get(type(x))
    if known is None:
        known = _KINDS[type(x)] = _kind(x)
    return known


_KINDS: dict[type, str] = {}


def _kind(x: Number) -> str:
    if isinstance(x, (np.ndarray, np.generic)):
        return "numpy"
    if isinstance(x, (int, Fraction)):
        return "exact"
    if isinstance(x, float):
        return "float"
    for name, base in (("torch", "Tensor"), ("sympy", "Basic"), ("mpmath", "mpf")):
        module = sys.modules.get(name)
        if module is not None and isinstance(x, getattr(module, base)):
            return name
    if getattr(type(x), "number_kind", None) == "traced":
        return "traced"
    raise TypeError(f"unsupported number type {type(x).__name__}; use int, Fraction, float, numpy, torch or SymPy")


def _float(name: str, x: float) -> float:
    try:
        return _MATH[name](x)
    except OverflowError:
        return math.inf
    except ValueError:
        if (name, x) in (("log", 0), ("log1p", -1)):
            return -math.inf
        return math.nan


_MATH = {name: getattr(math, name) for name in ("exp", "expm1", "log", "log1p", "sqrt", "sin", "cos")}
_EXACT = {("exp", 0): 1, ("log", 1): 0, ("expm1", 0): 0, ("log1p", 0): 0, ("sqrt", 0): 0, ("sqrt", 1): 1}
_SYMPY = {"expm1": lambda s, x: s.exp(x) - 1, "log1p": lambda s, x: s.log(1 + x)}


def _apply(name: str, x: Number) -> Number:
    if type(x) is float:
        return _float(name, x)
    which = kind(x)
    if which == "exact":
        return _EXACT[name, x] if (name, x) in _EXACT else _float(name, float(x))
    if which == "float":
        return _float(name, x)
    if which == "numpy":
        with np.errstate(divide="ignore", over="ignore"):
            return getattr(np, name)(x)
    if which == "traced":
        return x.function(name)
    module = sys.modules[which]
    if which == "sympy" and name in _SYMPY:
        return _SYMPY[name](module, x)
    return getattr(module, name)(x)


def exp(x: Number) -> Number:
    """Return e**x."""
    return _apply("exp", x)


def expm1(x: Number) -> Number:
    """Return e**x - 1 without cancellation near 0."""
    return _apply("expm1", x)


def log(x: Number) -> Number:
    """Return the natural logarithm; -inf at a float zero."""
    return _apply("log", x)


def log1p(x: Number) -> Number:
    """Return log(1 + x) without cancellation near 0."""
    return _apply("log1p", x)


def sqrt(x: Number) -> Number:
    """Return the square root."""
    return _apply("sqrt", x)


def sin(x: Number) -> Number:
    """Return the sine of `x` in radians."""
    return _apply("sin", x)


def cos(x: Number) -> Number:
    """Return the cosine of `x` in radians."""
    return _apply("cos", x)


def differentiable(x: Number) -> bool:
    """Tell whether coefficients are followed back to `x`: a tensor that requires a gradient, or a traced number."""
    which = kind(x)
    return which == "traced" or (which == "torch" and x.requires_grad)


def vanishes(x: Number) -> bool:
    """Tell whether the value of `x` is zero; a tensor is looked into, gradient or not."""
    return bool(x == 0)


def is_zero(x: Number) -> bool:
    """Tell whether `x` may be dropped from a sum: zero, all of it, and without a gradient to carry."""
    if type(x) is float:
        return x == 0.0
    which = kind(x)
    if which == "torch":
        return not x.requires_grad and bool((x == 0).all())
    if which == "traced":
        return False
    return bool(np.all(x == 0)) if which == "numpy" else bool(x == 0)


def product(a: Number, b: Number) -> Number:
    """Return a * b, or a plain 0 where either may be dropped: 0 times a tensor would still carry a gradient."""
    return 0 if is_zero(a) or is_zero(b) else a * b
