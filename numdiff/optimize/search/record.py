r"""What a search reports, and the one place where it evaluates.

Every evaluation of a search goes through a `Recorder`: it counts, turns a ValueError or a number that is not finite
into None (a trial the search must shorten), stops at the time limit, and keeps the best feasible point accepted so far,
so that a search that is cut off still has something to return.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from numdiff.optimize.problem import Parts, Problem
from numdiff.optimize.search.certificate import Certificate, finite, lengths, scale

Array = NDArray[np.float64]


class TimeUpError(Exception):
    """The time limit is reached; the recorder holds the best point."""


@dataclass(frozen=True)
class Progress:
    """What a callback is told, once per accepted iterate.

    Parameters
    ----------
    start, starts
        Which start is being followed, from 0, and how many there are.
    iteration
        Accepted iterates of this start so far.
    objective, best
        F now, and the lowest F of any start.
    evaluations, seconds
        Spent so far.

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> class Even:  # the sum of the squares of the steps
    ...     window = nd.optimize.Window(0.0, 4.0, 4, np.full(4, 0.1))
    ...     def evaluate(self, z):
    ...         slopes = np.eye(4, 3) - np.eye(4, 3, -1)
    ...         return nd.optimize.Parts(np.zeros(3), residuals=np.diff(self.window.nodes(z)), residual_jacobian=slopes)
    >>> told = []
    >>> found = nd.optimize.minimize(Even(), [np.array([0.5, 1.0, 1.5])], callback=told.append)
    >>> told[0].start, told[0].starts
    (0, 1)
    >>> told[-1].best == min(each.objective for each in told)
    True
    """

    start: int
    starts: int
    iteration: int
    objective: float
    best: float
    evaluations: int
    seconds: float


@dataclass(frozen=True, eq=False)
class Start:
    """What became of one start.

    Parameters
    ----------
    start, z
        Where it began, after projection into the window, and ended, shape (size,).
    initial_objective, objective
        F at the two.
    certified
        Whether z is.
    method
        Which solvers were used, joined by "+".
    trace
        F at each accepted iterate.

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> class Even:  # the sum of the squares of the steps
    ...     window = nd.optimize.Window(0.0, 4.0, 4, np.full(4, 0.1))
    ...     def evaluate(self, z):
    ...         slopes = np.eye(4, 3) - np.eye(4, 3, -1)
    ...         return nd.optimize.Parts(np.zeros(3), residuals=np.diff(self.window.nodes(z)), residual_jacobian=slopes)
    >>> found = nd.optimize.minimize(Even(), [np.array([0.5, 1.0, 1.5]), np.array([2.5, 3.0, 3.5])])
    >>> [(f"{each.initial_objective:.1f}", f"{each.objective:.1f}") for each in found.starts]
    [('7.0', '4.0'), ('7.0', '4.0')]
    """

    start: Array
    z: Array
    initial_objective: float
    objective: float
    certified: bool
    method: str
    trace: Array


@dataclass(frozen=True, eq=False)
class Outcome:
    """Result of `minimize`.

    Parameters
    ----------
    z, objective
        The point and F there.
    initial_objective
        F at the start that led to it, after projection into the window.
    status
        "certified", "not certified" or "time limit".
    message
        The same in a sentence.
    certificate
        The conditions checked at z; `certified` and `optimality` are read from it.
    trace
        F at each accepted iterate of the winning start, falling up to rounding.
    starts
        One record per start, in the order given.
    evaluations, seconds
        Spent on all starts.
    method
        Which solver reached z: "newton", "trf", "trust-constr" or "slsqp", or several joined by "+".

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> class Even:  # the sum of the squares of the steps
    ...     window = nd.optimize.Window(0.0, 4.0, 4, np.full(4, 0.1))
    ...     def evaluate(self, z):
    ...         slopes = np.eye(4, 3) - np.eye(4, 3, -1)
    ...         return nd.optimize.Parts(np.zeros(3), residuals=np.diff(self.window.nodes(z)), residual_jacobian=slopes)
    >>> found = nd.optimize.minimize(Even(), [np.array([0.5, 1.0, 1.5])])
    >>> found.status, found.optimality < 1e-8
    ('certified', True)
    >>> print(f"{found.initial_objective:.1f} {found.objective:.1f}", [f"{x:.3f}" for x in found.z])
    7.0 4.0 ['1.000', '2.000', '3.000']
    """

    z: Array
    objective: float
    initial_objective: float
    status: str
    message: str
    certificate: Certificate
    trace: Array
    starts: tuple[Start, ...]
    evaluations: int
    seconds: float
    method: str

    @property
    def certified(self) -> bool:
        """Whether the certificate holds."""
        return self.certificate.certified

    @property
    def optimality(self) -> float:
        """Largest residual of the certificate."""
        return self.certificate.optimality


class Recorder:
    """Evaluates a problem, counts, and remembers the best accepted point."""

    def __init__(self, problem: Problem, deadline: float | None, callback: Callable[[Progress], None] | None) -> None:
        self.problem, self.window = problem, problem.window
        self.unit = lengths(problem.window)
        self.matrix = problem.window.matrix.toarray()
        self.rows = np.abs(self.matrix) @ self.unit
        self.began = time.perf_counter()
        self.deadline = None if deadline is None else self.began + deadline
        self.callback = callback
        self.evaluations, self.index, self.count = 0, 0, 1
        self.best: tuple[float, Array, Parts] | None = None
        self.here: tuple[float, Array, Parts] | None = None
        self.trace: list[float] = []

    def begin(self, index: int, count: int) -> None:
        """Note that the next evaluations belong to another start."""
        self.index, self.count, self.trace, self.here = index, count, [], None

    @property
    def seconds(self) -> float:
        """Time since the search began."""
        return time.perf_counter() - self.began

    def evaluate(self, z: Array) -> Parts | None:
        """Return the parts at `z`, or None where the objective or a derivative is not a number."""
        self._spend(1)
        try:
            with np.errstate(all="ignore"):
                parts = self.problem.evaluate(z)
                return parts if finite(parts) else None
        except ValueError:
            return None

    def evaluate_many(self, points: Array) -> list[Parts] | None:
        """Return the parts at several points, shape (k, n); None where one of them has none.

        At once, if the problem has a method `evaluate_many` for it.
        """
        together = getattr(self.problem, "evaluate_many", None)
        if together is None:
            found = []
            for point in points:
                found.append(self.evaluate(point))
                if found[-1] is None:
                    return None
            return cast("list[Parts]", found)
        self._spend(len(points))
        try:
            with np.errstate(all="ignore"):
                everywhere: list[Parts] = together(points)
                return everywhere if all(map(finite, everywhere)) else None
        except ValueError:
            return None

    def _spend(self, evaluations: int) -> None:
        if self.deadline is not None and time.perf_counter() > self.deadline:
            raise TimeUpError
        self.evaluations += evaluations

    def accept(self, z: Array, parts: Parts) -> None:
        """Take `z` as an iterate: trace, best point, callback."""
        value = parts.objective
        self.trace.append(value)
        if self.here is None or value < self.here[0]:
            self.here = (value, z, parts)
        if self.best is None or value < self.best[0]:
            self.best = (value, z, parts)
        if self.callback is not None:
            best = self.best[0]
            self.callback(
                Progress(self.index, self.count, len(self.trace) - 1, value, best, self.evaluations, self.seconds)
            )

    def feasible(self, z: Array) -> bool:
        """Whether `z` is in the window up to rounding."""
        return bool(np.min(self.slack(z), initial=math.inf) >= -1e-10)

    def slack(self, z: Array) -> Array:
        """Return the slacks in units of their rows."""
        return np.asarray((self.matrix @ z - self.window.bounds) / self.rows)

    def scale(self, parts: Parts) -> float:
        """Return the scale S of the certificate."""
        return scale(parts, self.unit)
