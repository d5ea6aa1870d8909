r"""Weights that integrate, asserted: formula (*) of `numdiff.weights` from an independent source.

Weights omega_j on nodes u_j are exact to degree k - 1 for the kernel exponent c if

    sum_j omega_j u_j^m = int_0^h e^{c(h-u)} u^m du = h^{m+1}/(m+1) M(1, m+2, c h),        m < k,              (1)

with Kummer's function M, which mpmath evaluates in as many digits as are asked for; numdiff's phi has no part in it.

**Tolerance.** Weights made from the Lagrange basis in powers of u carry rounding relative to what they would be if
every term were positive,

    S_j = int_0^|h| |e^{c(h-u)}| prod_{i != j} (u + |u_i|)/|u_j - u_i| du,

since as many terms of that total size are summed, k of them, each rounded some 3 times and multiplied by a phi within 8
ulp. So the sum (1) may be off by (3k + 8) eps sum_j S_j |u_j|^m; a factor of 4 is left to other orders of summation.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from math import comb, isfinite
from numbers import Integral
from typing import Any

import numpy as np

from numdiff.drivers import program
from numdiff.elementary import kind
from numdiff.executor import Machine
from numdiff.executor_native import fitted
from numdiff.formulations import Formulation
from numdiff.methods.base import Method
from numdiff.methods.scheme import Scheme
from numdiff.parameterizations import get

EPS = 2.0**-52
SLACK = 4
DIGITS = 30

STEADY = 2.0**14 * EPS
"""Tolerance of a step of a method relative to S, 4e-12: histories are averaged and averages undone, which costs a few
digits more than weights themselves; a wrong weight misses by a part of S itself."""


def assert_weights_integrate(weights: Any, nodes: Any, h: Any = None, c: Any = 0, *, degree: int | None = None) -> None:
    """Assert that weights integrate polynomials against the kernel e^{c(h-u)}; or a method's, step by step.

    ``assert_weights_integrate(weights, nodes, h, c)`` looks at one step, in absolute units;
    ``assert_weights_integrate(method, grid, schedule)`` lays a method out, lets it follow predictions that are
    polynomials in its own variable and nothing else, and looks at every step whose history is there.

    Parameters
    ----------
    weights
        omega_j, shape (k,), in units of the step's own variable (kappa = 1): floats, or whole numbers and Fractions,
        which have to be exact where c is 0. Or a deterministic multistep method.
    nodes
        u_j relative to the node that the step leaves, shape (k,). Or the grid.
    h
        Signed length of the step. Or the schedule; None for a plain equation.
    c
        Kernel exponent: 0 in ratios and in time, +1 and -1 for noise and data in log-SNR.
    degree
        Highest degree, k - 1 by default; of a method its order less 1. Substituted moments, as in the rules "half" and
        "bh1", keep an order and integrate constants only: degree 0.

    Raises
    ------
    AssertionError
        If a polynomial is missed; the message says which, by how much, and what was allowed.
    ValueError, TypeError
        For arguments that do not fit each other.

    Examples
    --------
    The weights of Adams-Bashforth 2 on equal steps, in fractions, and a typing error in them:

    >>> from fractions import Fraction
    >>> import numdiff as nd
    >>> from numdiff.testing import assert_weights_integrate
    >>> assert_weights_integrate([Fraction(3, 2), Fraction(-1, 2)], [0, -1], 1)
    >>> try:
    ...     assert_weights_integrate([Fraction(3, 2), Fraction(1, 2)], [0, -1], 1)
    ... except AssertionError as error:
    ...     print(str(error)[:65])
    the weights do not integrate u^0: they give 2, the integral is 1,

    A method, on every step of a grid of its own:

    >>> schedule = nd.schedules.VPLinear()
    >>> assert_weights_integrate(nd.DPMSolverPP(3), nd.grids.uniform_log_snr(schedule, 6), schedule)
    """
    if isinstance(weights, Method):
        _assert_steps_integrate(weights, nodes, h, degree)
        return
    weights, nodes = list(weights), list(nodes)
    if len(weights) != len(nodes) or not weights or len(set(nodes)) < len(nodes):
        raise ValueError(f"weights need as many different nodes, got {len(weights)} weights and nodes {nodes}")
    if h is None or h == 0:
        raise ValueError(f"h must be the length of the step, not {h}")
    _check_numbers(nodes, h, c, degree)
    for m in range(len(weights) if degree is None else degree + 1):
        expected: Any
        found = sum(w * u**m for w, u in zip(weights, nodes, strict=True))
        if c == 0 and all(kind(x) == "exact" for x in (*weights, *nodes, h)):
            expected, allowed = Fraction(h) ** (m + 1) / (m + 1), 0.0  # rationals do not round
        else:
            scales = zip(_sizes(nodes, h, c), nodes, strict=True)
            expected = _moment(h, c, m)
            allowed = SLACK * (3 * len(nodes) + 8) * EPS * sum(S * abs(float(u)) ** m for S, u in scales)
            if not isfinite(allowed):
                raise ValueError(
                    f"the integral of u^{m} overflows for {h=}, {c=} and nodes {nodes}; take a shorter step"
                )
        if not abs(found - expected) <= allowed:
            raise AssertionError(
                _text(f"u^{m}", found, expected, allowed, f"weights {weights}, nodes {nodes}, {h=}, {c=}")
            )


def _check_numbers(nodes: Sequence[Any], h: Any, c: Any, degree: Any) -> None:
    """Refuse what would make every sum right, or every sum wrong."""
    for name, value in (("h", h), ("c", c), *(("every node", node) for node in nodes)):
        if not isfinite(value):
            raise ValueError(f"{name} must be finite, got {value}")
    _check_degree(degree)


def _check_degree(degree: Any) -> None:
    if degree is None:
        return
    if isinstance(degree, bool) or not isinstance(degree, Integral):
        raise TypeError(f"degree must be a whole number or None, got {degree!r}")
    if degree < 0:
        raise ValueError(f"degree must be at least 0, got {degree}; 0 looks at constants, that is at the sum")


def _moment(h: Any, c: Any, m: int) -> float:
    """Return (1)."""
    if c == 0:
        return float(h) ** (m + 1) / (m + 1)
    import mpmath

    with mpmath.workdps(DIGITS):
        z = mpmath.mpf(float(h))
        return float(z ** (m + 1) / (m + 1) * mpmath.hyp1f1(1, m + 2, float(c) * z))


def _sizes(nodes: Sequence[Any], h: Any, c: Any) -> list[float]:
    """Return S_j, from the moments of |u|^m against the absolute kernel."""
    u, moments = [abs(float(x)) for x in nodes], [abs(_moment(h, c, m)) for m in range(len(nodes))]
    sizes = []
    for j, own in enumerate(nodes):
        # prod (t + |u_i|), lowest power first
        basis = np.atleast_1d(np.poly([-x for i, x in enumerate(u) if i != j]))[::-1]
        gaps = np.prod([abs(float(own - other)) for i, other in enumerate(nodes) if i != j])
        sizes.append(float(np.dot(basis, moments) / gaps))
    return sizes


def _assert_steps_integrate(method: Method, grid: Any, schedule: Any, degree: int | None) -> None:
    """Let a method follow ((s - s_0)/S)^m for all m at once, one component each, and look at every step."""
    if method.stochastic:
        raise ValueError(f"{method} adds noise; assert that of its deterministic form")
    _check_degree(degree)
    highest = max(method.order - 1, 0) if degree is None else degree
    scheme, formulation = method.discretize(schedule, grid), method._formulation(schedule)
    s = np.array([float(formulation.node(level)) for level in scheme.levels])
    if not np.all(np.isfinite(s)):
        raise ValueError(f"the grid reaches an end where {formulation.variable} is infinite; keep away from it")
    unit = s[-1] - s[0]
    path = _followed(scheme, lambda level: ((float(formulation.node(level)) - s[0]) / unit) ** np.arange(highest + 1.0))
    for n, (here, there) in enumerate(pairwise(scheme.levels)):
        xi, kappa = _linear(formulation, here, there)
        newest = s[max(0, n - method.points + 1) : n + 1][::-1] - s[n]
        size = abs(kappa) * sum(_sizes(newest, s[n + 1] - s[n], formulation.c))
        for m in range(min(highest, n) + 1):
            found = path[n + 1][m] - xi * path[n][m]
            expected = kappa * _shifted(s[n] - s[0], s[n + 1] - s[n], unit, formulation.c, m)
            allowed = STEADY * (size + abs(xi * path[n][m]))
            if not abs(found - expected) <= allowed:
                where = (
                    f"{method} in step {n + 1} of {len(s) - 1}, grid {[float(level.time) for level in scheme.levels]}"
                )
                raise AssertionError(_text(f"a polynomial of degree {m}", found, expected, allowed, where))


def _followed(scheme: Scheme, field: Any) -> list[np.ndarray]:
    """Return the samples of a run from 0 at all levels, the prediction a function of the level alone."""
    x = np.zeros_like(field(scheme.levels[0]))
    machine = Machine(fitted(program(scheme, get(scheme.prediction)), x), x)
    numbers = {id(level): n for n, level in enumerate(scheme.levels)}
    path = [x] * len(scheme.levels)
    while (question := machine.ask()) is not None:
        machine.tell(field(question.level))
        for index, reached in machine.passed:
            target = scheme.tableaus[index].target
            if id(target) in numbers:
                path[numbers[id(target)]] = reached
    return path


def _linear(formulation: Formulation, here: Any, there: Any) -> tuple[float, float]:
    """Return xi and kappa of a step."""
    a, b = (float(formulation.scales(level)[0]) for level in (here, there))
    return b / a, float(formulation.kappa(there))


def _shifted(start: float, h: float, unit: float, c: Any, m: int) -> float:
    """Return int_0^h e^{c(h-u)} ((start + u)/unit)^m du; start and h have one sign, so nothing cancels."""
    return sum(comb(m, i) * start ** (m - i) * _moment(h, c, i) for i in range(m + 1)) / unit**m


def _text(what: str, found: Any, expected: Any, allowed: float, where: str) -> str:
    off = float(abs(found - expected))
    return (
        f"the weights do not integrate {what}: they give {float(found):.17g}, the integral is {float(expected):.17g}, "
        f"off by {off:.2e} where rounding explains {allowed:.2e}\n{where}"
    )
