"""From every start to its minimum, each certified; the best of them is the result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from numdiff.optimize.problem import Parts, Problem
from numdiff.optimize.search.certificate import Certificate, certify
from numdiff.optimize.search.descent import bfgs
from numdiff.optimize.search.epigraph import slsqp, trust_constr
from numdiff.optimize.search.newton import newton
from numdiff.optimize.search.project import project
from numdiff.optimize.search.record import Outcome, Progress, Recorder, Start, TimeUpError
from numdiff.optimize.search.squares import trf

Array = NDArray[np.float64]

_SOLVERS: dict[str, Callable[[Recorder, Array, Parts, float], tuple[Array, Parts]]] = {
    "bfgs": bfgs,
    "newton": newton,
    "trf": trf,
    "trust-constr": trust_constr,
    "trust-constr briefly": partial(trust_constr, iterations=150),
    "slsqp": slsqp,
}
# What each method runs, in order, until the certificate holds. A second Newton measures the curvature afresh.
_PLANS = {
    "auto": ("newton", "newton"),
    "newton": ("newton", "newton"),
    "trf": ("trf", "newton"),
    "trust-constr": ("trust-constr",),
    "slsqp": ("slsqp",),
}
_LAST_RESORT = ("trust-constr briefly", "newton")
_TIE = 1e-9


def minimize(
    problem: Problem,
    starts: Sequence[Array],
    *,
    tolerance: float = 1e-8,
    time_limit: float | None = None,
    callback: Callable[[Progress], None] | None = None,
    method: str = "auto",
) -> Outcome:
    """Minimize an objective over its window from several starts and certify what is found.

    Parameters
    ----------
    problem
        Objective and window.
    starts
        Points z, each of shape (window.size,); one that breaks a gap or a box is moved to the nearest that does not.
    tolerance
        Of the certificate; see `numdiff.optimize.search.certificate`.
    time_limit
        Seconds after which the best point so far is returned, with status "time limit"; None for no limit. An
        evaluation under way is not interrupted.
    callback
        Called with a `Progress` at every accepted iterate. What it raises ends the search.
    method
        "auto" runs "newton", for a smooth objective after "bfgs", and, if no start's answer is certified, a few
        iterations of "trust-constr" and "newton" from the lowest; "trf" (sums of squares only) runs "newton" from its
        answer; "newton", "trust-constr" and "slsqp" run alone.

    Returns
    -------
    Outcome
        The lowest certified end point, or the lowest of all where none is certified, which its status then says. Of end
        points equal in F to 1e-9 the lexicographically smallest is taken, so that the order of starts does not matter.

    Raises
    ------
    ValueError
        For an unknown method, a tolerance or time limit that is not positive, no start, a start of the wrong shape or
        with entries that are not finite, and a start at which the objective has no finite value.

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
    >>> found.certified, [f"{x:.3f}" for x in found.z]
    (True, ['1.000', '2.000', '3.000'])
    """
    if method not in _PLANS:
        raise ValueError(f"method must be one of {', '.join(_PLANS)}, got {method!r}")
    if not tolerance > 0:
        raise ValueError(f"tolerance must be positive, got {tolerance}")
    if time_limit is not None and not time_limit > 0:
        raise ValueError(f"time_limit must be a positive number of seconds, or None for no limit, got {time_limit}")
    points = _checked(problem, starts)
    recorder = Recorder(problem, time_limit, callback)
    first = [_first(recorder, point, k) for k, point in enumerate(points)]
    ends: list[tuple[Start, Certificate]] = []
    late = False
    for k, (point, parts) in enumerate(zip(points, first, strict=True)):
        recorder.begin(k, len(points))
        recorder.accept(point, parts)
        end, late = _follow(recorder, (point, parts.objective), point, parts, _plan(method, parts), tolerance)
        ends.append(end)
        if late:
            break
    if method == "auto" and not late and not any(certificate.certified for _, certificate in ends):
        late = _retry(recorder, ends, tolerance)
    return _outcome(recorder, ends, len(points), late)


def _checked(problem: Problem, starts: Sequence[Array]) -> list[Array]:
    size, points = problem.window.size, [np.asarray(start, dtype=float) for start in starts]
    if not points:
        raise ValueError("starts must hold at least one point")
    for k, point in enumerate(points):
        if point.shape != (size,):
            raise ValueError(f"starts[{k}] must have shape ({size},), the window's variables, got {point.shape}")
        if not np.isfinite(point).all():
            raise ValueError(f"starts[{k}] must be finite, got {point}")
    return [project(problem.window, point) for point in points]


def _first(recorder: Recorder, point: Array, index: int) -> Parts:
    """Evaluate a start, whatever the time; every later evaluation may be refused."""
    deadline, recorder.deadline = recorder.deadline, None
    parts = recorder.evaluate(point)
    recorder.deadline = deadline
    if parts is None:
        try:
            recorder.problem.evaluate(point)
        except ValueError as error:
            raise ValueError(f"starts[{index}]: the objective has no value there: {error}") from error
        raise ValueError(f"starts[{index}]: the objective or a derivative is not finite there; start elsewhere")
    return parts


def _plan(method: str, parts: Parts) -> tuple[str, ...]:
    """Return the solvers of a method; a smooth objective without corners or squares is descended first."""
    smooth = not parts.absolute.size and not parts.residuals.size
    return ("bfgs", "newton", "newton") if smooth and method == "auto" else _PLANS[method]


def _follow(
    recorder: Recorder,
    start: tuple[Array, float],
    z: Array,
    parts: Parts,
    plan: Sequence[str],
    tolerance: float,
) -> tuple[tuple[Start, Certificate], bool]:
    """Run solvers from `z`, to which a start (with its F) has led, until the certificate holds or time is up."""
    late, used, certificate = False, [], None
    for name in plan:
        used.append(name.split()[0])
        try:
            z, parts = _SOLVERS[name](recorder, z, parts, tolerance)
        except TimeUpError:
            late = True
            if recorder.here is not None:
                _, z, parts = recorder.here
        certificate = certify(recorder.problem, z, tolerance=tolerance)
        recorder.evaluations += 1
        if late or (certificate.certified and name != "trf"):
            break
    assert certificate is not None
    label, trace = "+".join(dict.fromkeys(used)), np.array(recorder.trace)
    end = Start(start[0], z, start[1], parts.objective, certificate.certified, label, trace)
    return (end, certificate), late


def _retry(recorder: Recorder, ends: list[tuple[Start, Certificate]], tolerance: float) -> bool:
    """Follow the lowest end, which is not certified, by the last resort; return whether time is up."""
    k = min(range(len(ends)), key=lambda k: ends[k][0].objective)
    end = ends[k][0]
    recorder.begin(k, len(ends))
    recorder.trace = end.trace.tolist()
    try:
        parts = recorder.evaluate(end.z)
    except TimeUpError:
        return True
    if parts is None:
        return False
    recorder.here = end.objective, end.z, parts
    begun = end.start, end.initial_objective
    (again, certificate), late = _follow(recorder, begun, end.z, parts, _LAST_RESORT, tolerance)
    ends[k] = replace(again, method=f"{end.method}+{again.method}"), certificate
    return late


def _outcome(recorder: Recorder, ends: list[tuple[Start, Certificate]], count: int, late: bool) -> Outcome:
    certified = [pair for pair in ends if pair[1].certified]
    among = certified or ends
    lowest = min(end.objective for end, _ in among)
    tied = [pair for pair in among if pair[0].objective <= lowest + _TIE * abs(lowest)]
    end, certificate = min(tied, key=lambda pair: tuple(pair[0].z))
    status = "time limit" if late else "certified" if certificate.certified else "not certified"
    return Outcome(
        end.z,
        end.objective,
        end.initial_objective,
        status,
        _message(certificate, len(ends), count, late),
        certificate,
        end.trace,
        tuple(record for record, _ in ends),
        recorder.evaluations,
        recorder.seconds,
        end.method,
    )


def _message(certificate: Certificate, done: int, count: int, late: bool) -> str:
    worst = f"scaled KKT residual {certificate.optimality:.1e}, tolerance {certificate.tolerance:.0e}"
    verdict = f"certified stationary ({worst})" if certificate.certified else f"NOT certified ({worst})"
    if late:
        return f"time limit reached at start {done} of {count}; best point so far: {verdict}"
    return f"{verdict}; best of {count} start{'s' if count > 1 else ''}"
