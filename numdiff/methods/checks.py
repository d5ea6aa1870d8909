"""Checks of what users give to methods: options, orders, dampings; and the symbols among a method's parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from numdiff.elementary import Number, kind

if TYPE_CHECKING:
    from numdiff.methods.base import Method


def choice(name: str, value: Any, known: tuple[Any, ...]) -> Any:
    """Return `value` if it is one of `known`; otherwise raise a ValueError that lists them."""
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, known))}, got {value!r}")
    return value


def check_orders(method: Method, orders: Sequence[int] | None, steps: int) -> tuple[int, ...]:
    """Return the order of every step, checked."""
    points = method.points
    if orders is None:
        if steps < points:
            raise ValueError(
                f"{method.name} combines {points} evaluations and needs at least {points} steps, got {steps}; "
                "lower the order or take more steps"
            )
        return (points,) * steps
    if isinstance(orders, (str, int)) or not hasattr(orders, "__len__"):
        raise TypeError(f"orders must be a sequence of {steps} ints, one per step, got {orders!r}")
    orders = tuple(orders)
    if len(orders) != steps:
        raise ValueError(f"orders must have one entry per step ({steps}), got {len(orders)}")
    for n, k in enumerate(orders):
        if not isinstance(k, (int, np.integer)) or isinstance(k, bool) or not 1 <= k <= points:
            raise ValueError(f"orders[{n}] must be an int from 1 to {points}, got {k!r}")
    return tuple(map(int, orders))


def check_order(order: Any, highest: int) -> int:
    """Return `order` as an int from 1 to `highest`, or raise."""
    if isinstance(order, bool) or not isinstance(order, (int, np.integer)):
        raise TypeError(f"order must be an int, got {order!r}; it counts evaluations")
    if not 1 <= order <= highest:
        raise ValueError(f"order must be between 1 and {highest}, got {order}")
    return int(order)


def check_beta(beta: Number) -> Number:
    """Return `beta` if it lies in (0, 2] or is a symbol, or raise; arrays of one number and tensors become doubles."""
    if isinstance(beta, (bool, str)) or beta is None or getattr(beta, "ndim", None):
        raise TypeError(f"beta must be one number or a SymPy symbol, got {beta!r}")
    try:
        which = kind(beta)
    except TypeError:
        raise TypeError(f"beta must be one real number or a SymPy symbol, got {beta!r}") from None
    if which == "sympy" and not beta.is_number:
        return beta
    if not (0 < beta <= 2 and (which != "exact" or float(beta))):
        raise ValueError(f"beta must lie in (0, 2], got {beta}; beta = 1 is the method without momentum")
    if which == "torch" and beta.requires_grad:
        return beta.double()
    return float(beta) if which in ("numpy", "torch") else beta


def symbols_of(method: Method) -> set[Any]:
    """Return the SymPy symbols among a method's parameters and those of its base."""
    values = [getattr(method, item.name) for item in fields(method)]  # type: ignore[arg-type]
    found = [symbols_of(v) if hasattr(v, "discretize") else _symbols(v) for v in values]
    return set().union(*found)


def _symbols(value: Any) -> set[Any]:
    return getattr(value, "free_symbols", set()) or getattr(value, "symbols", set())
