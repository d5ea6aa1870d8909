r"""Reference solutions of the probability-flow ODE of a mixture.

Along the flow xbar = x/alpha obeys d xbar/d rho = E[eps | x], rho = sigma/alpha (Song et al. 2021, arXiv:2011.13456,
eq. 13; Karras et al. 2022, arXiv:2206.00364, eq. 4), so it depends on the levels at its ends and not on the schedule.

A single Gaussian N(mu, Q diag(v) Q^T), with s = alpha^2 v + sigma^2 at either end, has the closed form

    x_t = alpha_t mu + Q sqrt(s_t/s_s) Q^T (x_s - alpha_s mu)                                                     (1)

A mixture is integrated in the variable in which both ends are regular. With m the mean of the data, c its standard
deviation (root mean square over the coordinates) and rho = c tan(theta), the state

    X = c (x - alpha m)/sqrt(c^2 alpha^2 + sigma^2) = cos(theta) (x_0 - m) + c sin(theta) eps

keeps standard deviation c at every angle, and

    dX/dtheta = -sin(theta) E[x_0 - m | X] + c cos(theta) E[eps | X],      theta = 0 (data) to pi/2 (alpha = 0)     (2)

whose right side is bounded on both ends: by its formula it carries the factor (c^2 - v_k) sin(theta) cos(theta)/s_k.

Stated tolerance. (2) is solved twice by DOP853 with absolute tolerance c rtol and relative tolerance rtol, the second
time with rtol/1000 (not below 2.3e-14, where SciPy stops). The second solution is returned, and its distance to the
first in units of c as the error; for x the unit is sqrt(c^2 alpha^2 + sigma^2), the size of x at the end. It estimates
the error of the first solution, so that what is returned is better by an order or more; it is no bound, and at a single
point the two may agree by chance. Rounding is not in it (below 1e-13 where the flow does not magnify it). On a ridge
between two modes, and from the data end of narrow modes, the flow magnifies every perturbation of its start, rounding
of x included; the estimate then grows with it.

Points are integrated in groups of at most 256 that share their steps; DOP853 bounds the root mean square of the local
error over a group, hence that of a single point by 16 times it, well within the margin of the second run.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from numdiff.level import Level
from numdiff.problems import _arrays
from numdiff.problems._arrays import Array
from numdiff.schedules.base import check_schedule

_GROUP = 256
_TIGHTER = 1000
_FLOOR = 2.3e-14


class Reference(NamedTuple):
    """A reference solution.

    Attributes
    ----------
    x
        The points at the end, shape (..., d).
    error
        Estimated error of each point, shape (...): the largest over its coordinates, in units of
        sqrt(c^2 alpha^2 + sigma^2), the size of x at the end; 0 where a closed form was used.
    evaluations
        Evaluations of the right side per group of points, both runs together.

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> mixture = nd.problems.GaussianMixture([0.4, 0.6], [[-1.0], [1.0]], [0.25, 0.09])
    >>> schedule = nd.schedules.VPLinear()
    >>> found = mixture.flow(schedule, np.array([[-0.5], [0.5]]), 1.0, 0.3, rtol=1e-9)     # a Reference
    >>> found.x.shape, found.error.shape, bool(found.error.max() < 1e-9)
    ((2, 1), (2,), True)
    >>> back = mixture.flow(schedule, found.x, 0.3, 1.0, rtol=1e-9)
    >>> back.x.round(9).ravel().tolist()
    [-0.5, 0.5]
    """

    x: Array
    error: np.ndarray
    evaluations: int


def as_level(schedule: Any, time: Any, name: str) -> Level:
    """Return `time` if it is a level, else the schedule's level there."""
    if isinstance(time, Level):
        return time
    if schedule is None:
        raise ValueError(f"{name} = {time!r} is a time and needs a schedule; pass one, or pass a Level")
    check_schedule(schedule, ", or None where both times are levels")
    return schedule.level(time)


def gaussian_flow(problem: Any, x: Array, start: Level, end: Level, rtol: float) -> Reference:
    """Carry `x` from `start` to `end` by formula (1)."""
    spectrum, mean = problem.spectrum, _arrays.constant(problem.means[0], x)
    before, after = (spectrum.noised(float(level.alpha), float(level.sigma)).variances[0] for level in (start, end))
    if not np.all(before > 0):
        raise ValueError(_ill_posed("start"))
    scale = _arrays.constant(np.sqrt(after) / np.sqrt(before), x)
    z = x - start.alpha * mean
    if spectrum.basis is None:
        moved = scale * z
    else:
        basis = _arrays.constant(spectrum.basis[0], x)
        moved = (scale * (z @ basis)) @ basis.T
    return Reference(end.alpha * mean + moved, np.zeros(tuple(x.shape[:-1])), 0)


def mixture_flow(problem: Any, x: Array, start: Level, end: Level, rtol: float) -> Reference:
    """Carry `x` from `start` to `end` by DOP853 on equation (2)."""
    if not 1e-13 <= rtol <= 1e-6:
        raise ValueError(
            f"rtol must lie in [1e-13, 1e-6], not {rtol!r}; below it rounding decides, above it the estimate fails"
        )
    for name, level in (("start", start), ("end", end)):
        if float(level.sigma) == 0 and problem.spectrum.singular:
            raise ValueError(_ill_posed(name))
    centre = problem.mean
    centred = problem.translated(-centre)
    c = _spread(centred)
    points = x.detach().cpu().numpy() if _arrays.is_torch(x) else x
    state = (c / _size(start, c)) * (points.reshape(-1, problem.dimension) - float(start.alpha) * centre)
    span = tuple(math.atan2(float(level.sigma), c * float(level.alpha)) for level in (start, end))
    groups = [_integrate(centred, c, span, state[i : i + _GROUP], rtol) for i in range(0, len(state), _GROUP)]
    moved = np.concatenate([group[0] for group in groups]) if groups else state
    error = np.concatenate([group[1] for group in groups]) if groups else state[:, 0]
    final = (_size(end, c) / c) * moved.reshape(points.shape) + float(end.alpha) * centre
    evaluations = max((group[2] for group in groups), default=0)
    return Reference(_arrays.constant(final, x), error.reshape(points.shape[:-1]), evaluations)


def _ill_posed(name: str) -> str:
    return (
        f"the {name} has sigma = 0 and a covariance is singular: the flow is not determined there; use a level with "
        "sigma > 0 and, for data, `denoise` at it"
    )


def _spread(centred: Any) -> float:
    """Return the standard deviation of a centred mixture, root mean square over coordinates; 1 for a single point."""
    second = centred.weights @ (centred.means**2 + centred.spectrum.variances).sum(1) / centred.dimension
    return math.sqrt(second) if second > 0 else 1.0


def _size(level: Level, c: float) -> float:
    return math.hypot(c * float(level.alpha), float(level.sigma))


def _integrate(
    centred: Any, c: float, span: tuple[float, ...], state: np.ndarray, rtol: float
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the end state of one group, the error estimate of each point and the number of evaluations."""
    loose, first = _dop853(centred, c, span, state, rtol)
    tight, second = _dop853(centred, c, span, state, max(rtol / _TIGHTER, _FLOOR))
    return tight, np.abs(tight - loose).max(1) / c, first + second


def _dop853(centred: Any, c: float, span: tuple[float, ...], state: np.ndarray, rtol: float) -> tuple[np.ndarray, int]:
    if span[0] == span[1]:
        return state, 0
    from scipy.integrate import solve_ivp

    def fun(theta: float, flat: np.ndarray) -> np.ndarray:
        cosine, sine = math.cos(theta), math.sin(theta)
        level = Level(theta, cosine, c * sine, theta, -sine, c * cosine)
        return centred.predict(flat.reshape(state.shape), level, "velocity").ravel()

    found = solve_ivp(fun, span, state.ravel(), method="DOP853", t_eval=span[1:], rtol=rtol, atol=c * rtol)
    if not found.success:
        raise RuntimeError(
            f"the reference solution stopped between angles {span[0]:.6g} and {span[1]:.6g}: {found.message} Use a "
            "larger rtol, or end at a larger sigma"
        )
    return found.y[:, -1].reshape(state.shape), found.nfev
