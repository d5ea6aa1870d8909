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
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from numdiff.optimize.result import TimeSteps


def lowered(points: int, steps: int) -> tuple[int, ...]:
    """Return the orders 1, 2, ..., k, ..., k, ..., 2, 1 of published samplers, for N steps."""
    return tuple(min(points, n + 1, steps - n) for n in range(steps))


def best_orders(job: Any, time_limit: float | None) -> TimeSteps:
    """Return the result with the best list of orders that single changes lead to.

    Parameters
    ----------
    job
        The `numdiff.optimize.job.Job`, whose ``solve(orders, time_limit, first)`` optimizes the steps of a list and
        whose ``value(orders, result)`` is the objective of a list at the steps of a result.
    time_limit
        Seconds for all of it, or None. What it ends is marked so, and not certified: there may be a better list.
    """
    points, steps = job.points, job.window.steps
    full = tuple(min(points, n + 1) for n in range(steps))
    clock = _Clock(time_limit)
    first = best = job.solve(full, clock.left)
    found = [first]
    if not clock.over:
        found.append(job.solve(lowered(points, steps), clock.left))
        best = _better(best, found[-1])
    while not clock.over:
        candidate = min(
            _neighbours(best.orders, full), key=lambda orders: (job.value(orders, best), orders), default=None
        )
        if candidate is None:
            break
        try:
            found.append(job.solve(candidate, clock.left, [best]))
        except ValueError:  # the method does not exist at that list's optimum
            break
        better = _better(best, found[-1])
        if better is best:
            break
        best = better
    changes = {"status": "time limit", "certified": False, "message": f"time limit after {len(found)} lists of orders"}
    return replace(
        best,
        initial_objective=first.initial_objective,
        trace=np.concatenate([result.trace for result in found]),
        evaluations=sum(result.evaluations for result in found),
        seconds=time.perf_counter() - job.began,
        **(changes if clock.over else {}),
    )


class _Clock:
    """What is left of a time limit."""

    def __init__(self, limit: float | None) -> None:
        self.end = None if limit is None else time.perf_counter() + limit

    @property
    def left(self) -> float | None:
        """Seconds left, a little at least; None without a limit."""
        return None if self.end is None else max(self.end - time.perf_counter(), 1e-3)

    @property
    def over(self) -> bool:
        """Whether time is up."""
        return self.end is not None and time.perf_counter() >= self.end


def _better(best: TimeSteps, other: TimeSteps) -> TimeSteps:
    return other if other.objective < best.objective * (1 - WORTH) else best


WORTH = 1e-6
"""Relative improvement for which a list is exchanged."""


def _neighbours(orders: tuple[int, ...], full: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Yield the lists that differ in one step, each order at most what the history has."""
    for n, highest in enumerate(full):
        for k in range(1, highest + 1):
            if k != orders[n]:
                yield (*orders[:n], k, *orders[n + 1 :])
