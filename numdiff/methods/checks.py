"""Checks of what users give to methods: options, orders, numbers; how names show these, and the symbols in them."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from numdiff.elementary import Number, kind
from numdiff.level import Level

if TYPE_CHECKING:
    from numdiff.methods.base import Method


def choice(name: str, value: Any, known: tuple[Any, ...]) -> Any:
    """Return `value` if it is one of `known`; otherwise raise a ValueError that lists them."""
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, known))}, got {value!r}")
    return value


def check_orders(method: Method, orders: Any, steps: int) -> tuple[int, ...]:
    """Return how many evaluations every step combines at most, checked."""
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
    return _up_to(points, orders, f"; {method.name} combines {points} evaluations")


def check_no_orders(method: Method, orders: Any, steps: int) -> tuple[int, ...]:
    """Return 1 for every step of a method that combines no past evaluations, or raise: it has nothing to lower."""
    if orders is not None:
        raise ValueError(
            f"{method.name} combines no past evaluations, so that orders= has nothing to lower; leave it out, or take "
            "a multistep method"
        )
    return (1,) * steps


def check_spans(method: Method, orders: Any, intervals: int) -> tuple[int, ...]:
    """Return the orders of steps that span as many grid intervals each, and the whole grid together, or raise."""
    if isinstance(orders, (str, int)) or not hasattr(orders, "__len__"):
        raise TypeError(f"orders must be a sequence of ints such as (3, 3, 2, 1), one per step, got {orders!r}")
    orders = _up_to(method.order, tuple(orders), "")
    if sum(orders) != intervals:
        raise ValueError(
            f"orders must add up to the {intervals} grid intervals, since a step of {method.name} spans as many as its "
            f"order, got {orders} with the sum {sum(orders)}"
        )
    return orders


def _up_to(highest: int, orders: tuple[Any, ...], why: str) -> tuple[int, ...]:
    for n, k in enumerate(orders):
        if not isinstance(k, (int, np.integer)) or isinstance(k, bool) or not 1 <= k <= highest:
            raise ValueError(f"orders[{n}] must be an int from 1 to {highest}, got {k!r}{why}")
    return tuple(map(int, orders))


def check_order(
    order: Any, highest: int, *, name: str = "order", lowest: int = 1, remedy: str = "it counts evaluations"
) -> int:
    """Return `order`, or another count that errors call `name`, as an int from `lowest` to `highest`, or raise."""
    if isinstance(order, bool) or not isinstance(order, (int, np.integer)):
        raise TypeError(f"{name} must be an int, got {order!r}; {remedy}")
    if not lowest <= order <= highest:
        raise ValueError(f"{name} must be between {lowest} and {highest}, got {order}; {remedy}")
    return int(order)


def _one_number(name: str, value: Any) -> Number:
    """Return `value` as one real number of a type that mixes with others, or a symbol, or raise."""
    if isinstance(value, (bool, str)) or value is None or getattr(value, "ndim", None):
        raise TypeError(f"{name} must be one number or a SymPy symbol, got {value!r}")
    try:
        which = kind(value)
    except TypeError:
        raise TypeError(f"{name} must be one real number or a SymPy symbol, got {value!r}") from None
    array = which in ("numpy", "torch")
    plain = value.item() if array else value
    if isinstance(plain, (bool, complex)) or (which == "sympy" and _is_number(plain) and not plain.is_comparable):
        raise TypeError(f"{name} must be one real number or a SymPy symbol, got {value!r}")
    if which == "torch" and value.requires_grad:
        return value.double()
    if which == "traced":
        return value
    return float(plain) if array else value


def _is_number(value: Any) -> bool:
    return bool(getattr(value, "is_number", True))


def is_symbolic(value: Number) -> bool:
    """Tell whether `value` has no value yet: a SymPy symbol, or an expression of some."""
    return kind(value) == "sympy" and not value.is_number


def check_finite(name: str, value: Any) -> Number:
    """Return `value` if it is finite or a symbol, or raise; see `check_number`."""
    number = _one_number(name, value)
    if not is_symbolic(number) and not abs(number) < math.inf:
        raise ValueError(f"{name} must be finite, got {value}")
    return number


def check_number(
    name: str, value: Any, low: float, high: float = math.inf, *, above: bool = False, remedy: str = ""
) -> Number:
    """Return `value` if it is finite and lies in [low, high], or in (low, high] if `above`, or is a symbol; or raise.

    Arrays of one number and tensors become doubles; tensors that carry a gradient keep it.
    """
    number = _one_number(name, value)
    if is_symbolic(number):
        return number
    fits = low <= number <= high and number < math.inf
    if above:  # as a float too: runs are in floats, and a tiny Fraction becomes 0 there
        fits = fits and number != low and (kind(number) != "exact" or float(number) != low)
    if not fits:
        bracket = "(" if above else "["
        range_ = f"lie in {bracket}{low:g}, {high:g}]"
        if high == math.inf:
            range_ = "be positive and finite" if above and low == 0 else f"be at least {low:g} and finite"
        raise ValueError(f"{name} must {range_}, got {value}{remedy and '; '}{remedy}")
    return number


def check_beta(beta: Number) -> Number:
    """Return `beta` if it is a damping: a number in (0, 2] or a symbol; or raise."""
    return check_number("beta", beta, 0, 2, above=True, remedy="beta = 1 is the method without momentum")


def check_noise_factor(factor: Number) -> Number:
    """Return `factor` if it can multiply noise: a number that is not negative, or a symbol; or raise."""
    return check_number("noise_factor", factor, 0, remedy="1 keeps the marginals")


def check_towards_data(method: Method, here: Level, there: Level) -> None:
    """Raise if a step that adds noise leads to more noise: the noise of a reverse diffusion is drawn one way only."""
    if there.log_snr < here.log_snr:
        raise ValueError(
            f"{method.name} adds noise on the way to the data, but the step from time {here.time} to {there.time} "
            "leads to the noise; reverse the grid, or use the method without its noise"
        )


def check_label(label: Any) -> None:
    """Raise unless `label` can name a method in tables."""
    if not isinstance(label, str) or not label:
        raise TypeError(f"label must be a name for tables such as 'RK4', got {label!r}")


def show(number: Any) -> str:
    """Return a number as names show it: floats in six digits, everything else in full."""
    return f"{number:.6g}" if isinstance(number, float) else str(number)


def symbols_of(method: Method) -> set[Any]:
    """Return the SymPy symbols among a method's parameters and those of its base."""
    values = [getattr(method, item.name) for item in fields(method)]  # type: ignore[arg-type]
    found = [symbols_of(v) if hasattr(v, "discretize") else _symbols(v) for v in values]
    return set().union(*found)


def needs_floats(method: Method) -> bool:
    """Tell whether a parameter of a method or of its base is a tensor or a SymPy number: Fractions mix with neither."""
    values = [getattr(method, item.name) for item in fields(method)]  # type: ignore[arg-type]
    levels: list[Any] = [getattr(value, "level", None) for value in values]  # of a formulation that adds noise
    values += [level.value for level in levels if hasattr(level, "value")]
    return any(
        needs_floats(value) if hasattr(value, "discretize") else hasattr(value, "free_symbols") or _is_tensor(value)
        for value in values
    )


def _is_tensor(value: Any) -> bool:
    return hasattr(value, "requires_grad") and kind(value) == "torch"


def _symbols(value: Any) -> set[Any]:
    return getattr(value, "free_symbols", set()) or getattr(value, "symbols", set())
