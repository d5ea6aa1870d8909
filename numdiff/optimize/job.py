"""One optimization: the trace, the search and the result, for any list of orders."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numdiff._names import suggest
from numdiff.methods import Method
from numdiff.optimize import ends
from numdiff.optimize.compiled import Trace
from numdiff.optimize.orders import lowered
from numdiff.optimize.problem import Problem
from numdiff.optimize.result import TimeSteps
from numdiff.optimize.search import Outcome, minimize
from numdiff.optimize.window import Window
from numdiff.schedules import Schedule

Array = NDArray[np.float64]
Orders = tuple[int, ...] | None

MISMATCH = 1e-9
"""Largest relative difference between traced and plain coefficients at a result that may be called certified."""


@dataclass(frozen=True, eq=False)
class Job:
    """What `timesteps` was asked for, checked.

    Parameters
    ----------
    method, schedule, levels, window, objective
        What is optimized, between which levels, over which window, by what.
    starts
        Where every search starts.
    asked
        Ends and last step, as the result keeps them.
    search
        Options of `numdiff.optimize.search.minimize`.
    """

    method: Method | Callable[..., Method]
    schedule: Schedule
    levels: Any
    window: Window
    objective: Any
    starts: Sequence[Any]
    asked: Mapping[str, Any]
    search: Mapping[str, Any]
    began: float = field(default_factory=time.perf_counter)

    def orders(self, orders: Any) -> Orders:
        """Return the list that the argument `orders` stands for."""
        if isinstance(orders, str):
            if orders != "lowered":
                suggest(orders, ("lowered", "search"), "orders")
            return lowered(self.points, self.window.steps)
        if orders is None:
            return None
        try:
            return tuple(int(k) if k == int(k) else k for k in orders)
        except (TypeError, ValueError):
            raise TypeError(f'orders must be a list of whole numbers, "lowered" or "search", got {orders!r}') from None

    @property
    def points(self) -> int:
        """How many evaluations a step of the method combines at most."""
        return self.prepared(None)[0].scheme.method.points

    def prepared(self, orders: Orders) -> tuple[Trace, Problem]:
        """Return the trace and the problem of a list of orders; those of frozen arguments are kept for later calls."""
        window, options = self.window, (("orders", orders), ("final", self.asked["final"]))
        arguments = (self.objective, self.method, self.schedule, self.levels, _key(window), options)
        keep = getattr(self.objective, "kept", True) and _hashable(arguments)
        return _kept(*arguments) if keep else _prepare(*arguments)

    def solve(self, orders: Orders, time_limit: float | None, first: Sequence[Any] = ()) -> TimeSteps:
        """Return the best steps for a list of orders, searched for from `first` and then from the usual starts."""
        trace, problem = self.prepared(orders)
        begin = [*first, *self.starts]
        points = getattr(problem, "resumed", None)  # a problem may know where it was before
        points = points or ends.starting_points(begin, trace.method, self.schedule, self.window)
        outcome = minimize(problem, points, time_limit=time_limit, **self.search)
        return self._result(trace, problem, outcome, orders)

    def value(self, orders: Orders, found: TimeSteps) -> float:
        """Return the objective of a list of orders at the steps of a result."""
        z = np.append(found.log_snr[1:-1], list(found.parameters.values()))
        return self.prepared(orders)[1].evaluate(z).objective

    def _result(self, trace: Trace, problem: Any, outcome: Outcome, orders: Orders) -> TimeSteps:
        window, inner = self.window, self.window.steps - 1
        z = outcome.z.copy()
        z[inner:] = np.clip(z[inner:], window.lower, window.upper)  # rounding may carry a parameter past its box
        _refuse_merged(window, z)
        off = _mismatch(trace, problem, z)
        errors, begun = getattr(problem, "errors", None), getattr(problem, "initial_objective", None)
        advice = "" if outcome.certified else getattr(problem, "advice", "")
        gaps = window.gaps[window.finite]
        return TimeSteps(
            trace.method if isinstance(self.method, Method) else trace.method_at(z.tolist()),
            self.schedule,
            self.objective.name,
            window.nodes(z),
            outcome.objective,
            outcome.initial_objective if begun is None else begun,
            outcome.status if off <= MISMATCH else "mismatch",
            _message(outcome.message + _at_bounds(window, z), advice) if off <= MISMATCH else _no_function(off),
            outcome.certified and off <= MISMATCH,
            outcome.optimality,
            orders=orders,
            parameters=dict(zip(window.names, z[inner:].tolist(), strict=True)),
            made=not isinstance(self.method, Method),
            objective_options=_options_of(self.objective),
            gap=float(gaps[0]) if gaps.size and np.ptp(gaps) == 0 else gaps,
            certificate=outcome.certificate,
            trace=outcome.trace,
            errors=errors(z) if errors else None,
            evaluations=outcome.evaluations,
            evaluate=lambda x: problem.evaluate(x).objective,
            seconds=time.perf_counter() - self.began,
            **self.asked,
        )


def _key(window: Window) -> tuple[Any, ...]:
    """Return the fields of a window in a form that can be hashed."""
    return tuple(
        tuple(x) if isinstance(x, np.ndarray) else x for x in (getattr(window, f.name) for f in fields(window))
    )


def _hashable(arguments: Any) -> bool:
    try:
        hash(arguments)
    except TypeError:  # an argument holds an array, say
        return False
    return True


def _prepare(objective: Any, method: Any, schedule: Schedule, levels: Any, key: Any, options: Any) -> Any:
    low, high, steps, gaps, *rest = key
    trace = Trace(method, schedule, levels, Window(low, high, steps, np.array(gaps), *rest), dict(options))
    return trace, objective.problem(trace)


_kept = lru_cache(maxsize=32)(_prepare)


def _refuse_merged(window: Window, z: Array) -> None:
    steps = window.steps_of(z)
    if not np.all(steps > 0):
        i = int(np.argmin(steps))
        raise ValueError(
            f"gap: nodes {i} and {i + 1} merged at log-SNR {window.nodes(z)[i]:.6g}, where the objective is lowest for "
            "a step of length 0; give a positive gap"
        )


def _message(text: str, advice: str) -> str:
    return f"{text}; {advice}" if advice else text


def _at_bounds(window: Window, z: Array) -> str:
    """Return which parameters are at an edge of their box."""
    edges = zip(window.names, z[window.steps - 1 :], window.lower, window.upper, strict=True)
    found = [
        f"{name} is at its bound {x:g}" for name, x, low, high in edges if min(x - low, high - x) < 1e-6 * (high - low)
    ]
    return "".join(f"; {text}" for text in found)


def _mismatch(trace: Trace, problem: Any, z: Array) -> float:
    """Return by how much a plain scheme at `z` differs from what was minimized, or raise if there is none."""
    try:
        own = problem.mismatch(z) if hasattr(problem, "mismatch") else 0.0
        return max(trace.mismatch(z), own)
    except ValueError as error:
        advice = "; give other bounds" if trace.window.names else ""
        raise ValueError(f"the method does not exist at the optimum that was found: {error}{advice}") from error


def _no_function(off: float) -> str:
    return (
        f"what was minimized differs by {off:.1e} from what a plain scheme has at these steps: a coefficient or a "
        "residual is no smooth function of the steps"
    )


def _options_of(chosen: Any) -> dict[str, Any]:
    """Return the options of an objective that can be written down; the rest by their type."""
    found = {item.name: getattr(chosen, item.name) for item in fields(chosen)} if is_dataclass(chosen) else {}
    plain = (str, int, float, bool, tuple, type(None))
    return {name: x if isinstance(x, plain) else type(x).__name__ for name, x in found.items()}
