r"""Ordinary differential equations y' = f(t, y) with solutions in closed form.

All are nonlinear and non-autonomous, because a linear or autonomous equation leaves most order conditions of a method
untested: y' = g(t) y^2, say, needs every one of the four trees of order three. Each solution below is verified by
inserting it; the constructions are

- separable, y' = g'(t) h(y):         H(y) = g(t) with H' = 1/h ("reciprocal", "logistic", "riccati");
- Bernoulli, y' = -t y + t y^3:       u = y^-2 is linear, u' = 2 t u - 2 t, so y = (1 + C e^(t^2))^(-1/2);
- rotations, (x, y)' = w(t, r) (-y, x): r is kept or follows its own equation, the angle is the integral of w;
- prescribed, y' = g' - L (y - g) q(y):  y = g for every rate L (Prothero and Robinson 1974), stiff for large L;
- Kaps' problem, y1' = -(L+2) y1 + L y2^2, y2' = y1 - y2 - y2^2: (e^(-2 tau), e^(-tau)) for every L, made
  non-autonomous by a change of time tau(t), under which the right side is multiplied by tau'(t).

Conventions are SciPy's: ``fun(t, y)`` takes the components of y along its **first** axis and returns an array of the
same shape. The lines run on NumPy arrays, torch tensors and object arrays of SymPy or mpmath numbers, in the precision
of y; a scalar equation takes a bare number too.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from numdiff.elementary import Number, cos, exp, kind, log1p, sin, sqrt

State = Any
"""Components along the first axis: NumPy array, torch tensor, or an object array of SymPy or mpmath numbers."""


@dataclass(frozen=True, eq=False)
class ODE:
    """An initial value problem with its solution.

    Parameters
    ----------
    name
        Short name, the key in :func:`odes`.
    fun
        Right side ``fun(t, y)``, y of shape (n,) or (n, ...).
    exact
        Solution ``exact(t)`` through y0: shape (n,) for a number t, (n, m) for an array of m times.
    t_span
        First and last time; t_span[1] < t_span[0] integrates backwards.
    y0
        State at t_span[0], shape (n,), float64.
    description
        The equation in a line.
    tags
        Of "scalar", "system", "oscillatory", "stiff".

    Raises
    ------
    ValueError
        If t_span is not two distinct finite times or y0 not a finite vector.

    Examples
    --------
    An equation of your own with its solution, in SciPy's conventions. Adams-Bashforth of order 2 quarters its error
    when the steps are halved:

    >>> import numpy as np
    >>> import numdiff as nd
    >>> solution = lambda t: np.array([np.exp(-t * t / 2)])
    >>> decay = nd.problems.ODE("decay", lambda t, y: -t * y, solution, t_span=(0.0, 2.0), y0=[1.0])
    >>> decay.dimension, decay.y0.tolist()
    (1, [1.0])
    >>> def error(n):
    ...     times = np.linspace(*decay.t_span, n + 1)
    ...     return abs(nd.solve_ivp(nd.AdamsBashforth(2), decay.fun, times, decay.y0) - decay.exact(2.0))[0]
    >>> print(f"{error(100) / error(200):.1f}")
    4.1
    """

    name: str
    fun: Callable[[Any, State], State] = field(repr=False)
    exact: Callable[[Any], State] = field(repr=False)
    t_span: tuple[float, float]
    y0: np.ndarray
    description: str = ""
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the times and the state."""
        object.__setattr__(self, "t_span", check_span(self.t_span))
        object.__setattr__(self, "y0", check_state(self.y0))

    @property
    def dimension(self) -> int:
        """Number of components n."""
        return len(self.y0)


def check_span(t_span: Sequence[float]) -> tuple[float, float]:
    """Return `t_span` as two distinct finite floats, or raise ValueError."""
    times = tuple(float(t) for t in t_span)
    if len(times) != 2 or not all(map(math.isfinite, times)) or times[0] == times[1]:
        raise ValueError(f"t_span must be two distinct finite times (first, last), not {t_span!r}")
    return times[0], times[1]


def check_state(y0: Any) -> np.ndarray:
    """Return `y0` as a finite float64 vector, or raise ValueError."""
    state = np.array(y0, dtype=np.float64)
    if state.ndim != 1 or state.size == 0 or not np.all(np.isfinite(state)):
        raise ValueError(f"y0 must be a finite vector of shape (n,), not {y0!r}; write a scalar as (y0,)")
    return state


def stack(parts: Sequence[Number]) -> State:
    """Stack components along a new first axis, in the array type that fits their numbers."""
    which = {kind(part) for part in parts}
    if "torch" in which:
        torch = sys.modules["torch"]
        return torch.stack(torch.broadcast_tensors(*parts))
    if which <= {"numpy", "float"}:
        return np.stack(np.broadcast_arrays(*parts))
    return np.array(parts, dtype=object)


def _field(rhs: Callable[..., tuple[Number, ...]], n: int) -> Callable[[Any, State], State]:
    """Turn rhs(t, y1, ..., yn) -> (y1', ..., yn') into fun(t, y)."""

    def fun(t: Any, y: State) -> State:
        if n == 1 and not getattr(y, "ndim", 0):
            return rhs(t, y)[0]
        if len(y) != n:
            raise ValueError(f"y has {len(y)} components along its first axis, but this equation has {n}")
        return stack(rhs(t, *y))

    return fun


def _ode(
    name: str,
    description: str,
    rhs: Callable[..., tuple[Number, ...]],
    solution: Callable[[Number], tuple[Number, ...]],
    t_end: float,
    *tags: str,
) -> ODE:
    """Build an ODE on [0, t_end] from its components; the initial state is the solution's."""
    y0 = np.array([float(part) for part in solution(0.0)])
    shape = "scalar" if len(y0) == 1 else "system"
    return ODE(name, _field(rhs, len(y0)), lambda t: stack(solution(t)), (0.0, t_end), y0, description, (shape, *tags))


def _reciprocal() -> ODE:
    return _ode(
        "reciprocal",
        "y' = -cos(t) y^2, y = 2/(3 + 2 sin t)",
        lambda t, y: (-cos(t) * y**2,),
        lambda t: (2 / (3 + 2 * sin(t)),),
        3.0,
    )


def _logistic() -> ODE:
    return _ode(
        "logistic",
        "y' = (1 + cos t) y (1 - y), y = 1/(1 + 4 exp(-t - sin t))",
        lambda t, y: ((1 + cos(t)) * y * (1 - y),),
        lambda t: (1 / (1 + 4 * exp(-t - sin(t))),),
        4.0,
    )


def _riccati() -> ODE:
    # tan(log(1 + t)) grows to 1.96 at t = 2, where y' = (1 + y^2)/(1 + t) has the expanding slope 1.3.
    def solution(t: Number) -> tuple[Number]:
        tau = log1p(t)
        return (sin(tau) / cos(tau),)

    return _ode(
        "riccati", "y' = (1 + y^2)/(1 + t), y = tan(log(1 + t))", lambda t, y: ((1 + y**2) / (1 + t),), solution, 2.0
    )


def _bernoulli() -> ODE:
    return _ode(
        "bernoulli",
        "y' = t (y^3 - y), y = (1 + exp(t^2))^(-1/2)",
        lambda t, y: (t * (y**3 - y),),
        lambda t: (1 / sqrt(1 + exp(t**2)),),
        2.0,
    )


def _rotation() -> ODE:
    # Eigenvalues on the imaginary axis; the frequency depends on the conserved radius, so phase errors are nonlinear.
    def rhs(t: Number, x: Number, y: Number) -> tuple[Number, ...]:
        w = 2 * (x**2 + y**2) * (1 + cos(t))
        return -w * y, w * x

    def solution(t: Number) -> tuple[Number, ...]:
        angle = 5 * (t + sin(t)) / 2
        return cos(angle) - sin(angle) / 2, sin(angle) + cos(angle) / 2

    return _ode("rotation", "(x, y)' = 2 r^2 (1 + cos t) (-y, x), r^2 = 5/4", rhs, solution, 4.0, "oscillatory")


def _limit_cycle() -> ODE:
    def rhs(t: Number, x: Number, y: Number) -> tuple[Number, ...]:
        w, growth = 3 + 2 * cos(2 * t), 1 - x**2 - y**2
        return growth * x - w * y, growth * y + w * x

    def solution(t: Number) -> tuple[Number, ...]:
        angle, radius = 3 * t + sin(2 * t), 1 / sqrt(1 + 3 * exp(-2 * t))
        return radius * cos(angle), radius * sin(angle)

    return _ode("limit-cycle", "r' = r (1 - r^2), angle' = 3 + 2 cos 2t", rhs, solution, 3.0, "oscillatory")


def _chirp() -> ODE:
    # The factors (y1^2 + y2^2) and y3 (2 + y1) are 1 on the solution and couple all three components off it.
    return _ode(
        "chirp",
        "y1' = 2t y2 (y1^2 + y2^2), y2' = -2t y1 y3 (2 + y1), y3' = -2t y2 y3^2; y1 = sin t^2, y2 = cos t^2",
        lambda t, a, b, c: (2 * t * b * (a**2 + b**2), -2 * t * a * c * (2 + a), -2 * t * b * c**2),
        lambda t: (sin(t**2), cos(t**2), 1 / (2 + sin(t**2))),
        2.0,
        "oscillatory",
    )


def _prothero_robinson() -> ODE:
    return _ode(
        "prothero-robinson",
        "y' = -sin t - 20 (y - cos t)(1 + y^2), y = cos t; slope -20 to -40",
        lambda t, y: (-sin(t) - 20 * (y - cos(t)) * (1 + y**2),),
        lambda t: (cos(t),),
        2.0,
        "stiff",
    )


def _kaps() -> ODE:
    def rhs(t: Number, a: Number, b: Number) -> tuple[Number, ...]:
        rate = 1 + sin(2 * t) / 2
        return rate * (-32 * a + 30 * b**2), rate * (a - b - b**2)

    def solution(t: Number) -> tuple[Number, ...]:
        tau = t + sin(t) ** 2 / 2
        return exp(-2 * tau), exp(-tau)

    return _ode("kaps", "Kaps' problem, L = 30, in the time tau = t + sin(t)^2/2", rhs, solution, 2.0, "stiff")


_BUILDERS = (
    _reciprocal,
    _logistic,
    _riccati,
    _bernoulli,
    _rotation,
    _limit_cycle,
    _chirp,
    _prothero_robinson,
    _kaps,
)


def odes() -> dict[str, ODE]:
    """Return the toy equations by name: four smooth scalar ones, three oscillatory systems, two stiff ones.

    Returns
    -------
    dict
        `ODE` by name, easiest first; all nonlinear and non-autonomous, with solutions in closed form.

    Examples
    --------
    >>> import numdiff as nd
    >>> problem = nd.problems.odes()["riccati"]
    >>> problem.t_span, problem.y0.shape
    ((0.0, 2.0), (1,))
    >>> print([name for name, ode in nd.problems.odes().items() if "stiff" in ode.tags])
    ['prothero-robinson', 'kaps']
    """
    return {problem.name: problem for problem in (build() for build in _BUILDERS)}
