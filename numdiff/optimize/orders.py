r"""The list of orders, optimized with the steps.

A multistep run may combine fewer evaluations in some steps than its order allows: published samplers lower the last
orders to 2 and 1. Which list is best is a choice among k^N, and depends on the steps. `best_orders` alternates: at the
steps optimized for the present list, every list that differs from it in one step's order is valued as it stands; the
best of them is then optimized itself, and taken if it is better. It starts from the better of the full orders and the
published ones, 1, 2, ..., k, ..., k, ..., 2, 1, and ends where no such change helps: a local optimum of list and steps
together, of which the steps are certified and the list is not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from numdiff.optimize.result import TimeSteps


def lowered(points: int, steps: int) -> tuple[int, ...]:
    """Return the orders 1, 2, ..., k, ..., k, ..., 2, 1 of published samplers, for N steps."""
    return tuple(min(points, n + 1, steps - n) for n in range(steps))


def best_orders(
    solve: Callable[[tuple[int, ...] | None, Any, float | None], TimeSteps],
    value: Callable[[tuple[int, ...], TimeSteps], float],
    points: int,
    steps: int,
    time_limit: float | None,
) -> TimeSteps:
    """Return the result with the best list of orders that single changes lead to.

    Parameters
    ----------
    solve
        ``solve(orders, starts, time_limit)`` optimizes the steps for a list, from the given starts (None: the usual).
    value
        ``value(orders, result)`` is the objective of a list at the steps of a result.
    points
        The highest order k.
    steps
        Number of steps N.
    time_limit
        Seconds for all of it, or None.
    """
    began = time.perf_counter()
    full = tuple(min(points, n + 1) for n in range(steps))

    def left() -> float | None:
        return None if time_limit is None else max(0.0, time_limit - (time.perf_counter() - began))

    best, orders = solve(full, None, left()), full
    other = solve(lowered(points, steps), None, left())
    if other.objective < best.objective * (1 - WORTH):
        best, orders = other, lowered(points, steps)
    while time_limit is None or left():
        tried = {candidate: value(candidate, best) for candidate in _neighbours(orders, full)}
        candidate = min(tried, key=lambda key: (tried[key], key), default=None)
        if candidate is None:
            break
        found = solve(candidate, [best], left())
        if not found.objective < best.objective * (1 - WORTH):
            break
        best, orders = found, candidate
    return best


WORTH = 1e-6
"""Relative improvement for which a list is exchanged."""


def _neighbours(orders: tuple[int, ...], full: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Yield the lists that differ in one step, each order at most what the history has."""
    for n, highest in enumerate(full):
        for k in range(1, highest + 1):
            if k != orders[n]:
                yield (*orders[:n], k, *orders[n + 1 :])
