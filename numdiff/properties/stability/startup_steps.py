r"""What start-up steps and the stages of a step do to perturbations, as exact polynomials.

**Start-up.** On X' = c X + z X and equal steps h (h = 1 where c = 0) a run from X_0 gives X_n = G_n(z) X_0. While the
history fills, the steps are not the steady one: lowered orders ("lower"), or Runge-Kutta steps ("runge-kutta"), and
GHVB's filter settles. The G_n are taken from the program itself, laid out on a schedule with constant kappa, on which
the sample is X up to a factor: alpha = 1, sigma = e^{-lambda} for noise/ratio and data/log-SNR, alpha = e^lambda,
sigma = 1 for the other two; velocity/time has the coefficients of noise/ratio. A perturbation of X_m alone, at a node m
> 0 (the error of a start-up step, say), leaves the memory as it was and arrives at node n as G_{n,m}(z).

**Growth.** Inside the stability interval (-x*, 0) of the steady step the |G_n| stay bounded, but not by 1. Their maxima
on [-x*, 0] lie at an end or at a zero of G_n', and are compared exactly.

**Inside a step.** If the evaluation F_i = z Y_i is off by e_i then, with F = z(A F + U y) + e,

    y' = M(z) y + B (I - z A)^{-1} e,

so the sample receives Q_i(z) = (first row of B (I - z A)^{-1})_i times e_i, and z Q_i(z) times an error of the stage
value Y_i. For a Runge-Kutta method R(z) = 1 + z sum_i Q_i(z).

Sources: Hairer, Norsett, Wanner, Solving ODEs I, III.4 (starting procedures); Hundsdorfer, Verwer, Numerical solution
of time-dependent advection-diffusion-reaction equations, section V.1 (internal stability).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import sympy as sp
from sympy.polys.matrices import DomainMatrix

from numdiff.executor import step
from numdiff.formulations import NOISE_RATIO, VELOCITY_TIME, Formulation
from numdiff.level import Level
from numdiff.methods.base import Method
from numdiff.methods.checks import choice
from numdiff.properties.stability.linear import real_interval
from numdiff.symbolic.polynomials import Z, _embedded, over_field, to_sympy
from numdiff.symbolic.steady import H, _check_h, exact_method, one_field
from numdiff.tableau import Tableau

DIGITS = 30
"""Digits of a maximum that is no rational number."""

STARTS = ("lower", "runge-kutta")
E = sp.Symbol("E", positive=True)  # e^h, so that all e^{nh} lie in one field


@dataclass(frozen=True)
class Growth:
    """The largest modulus of G_n on the steady stability interval.

    Parameters
    ----------
    step
        n.
    value
        max ``|G_n|``: exact where it is rational, else to 30 digits.
    at
        The z in [-x*, 0] where it is attained; exact for methods of kernel exponent 0.

    Examples
    --------
    >>> import numdiff as nd
    >>> worst = max(nd.stability.startup_growth(nd.GHVB(3, 0.3), perturbed=1), key=lambda growth: growth.value)
    >>> worst.step, worst.at, f"{float(worst.value):.3f}"
    (5, -34/39, '1.549')
    """

    step: int
    value: sp.Expr
    at: sp.Expr


def startup(
    method: Any, *, start: str = "lower", steps: int | None = None, perturbed: int = 0, h: Any = None
) -> tuple[sp.Poly, ...]:
    """Return what a perturbation of the sample has become after each of the first steps, exactly.

    Parameters
    ----------
    method
        A method; its damping may be a symbol.
    start
        "lower" or "runge-kutta", as in `Method.discretize`.
    steps
        The last n; by default twice the number of evaluations that the method combines, when nothing in its memory is
        left from steps of lower order.
    perturbed
        The node m whose sample is perturbed, 0 for the initial value.
    h
        Step length of an exponential method; by default it stays the symbol ``h``.

    Returns
    -------
    tuple of Poly
        G_{n,m}(z) for n = m, ..., `steps`, the first of them 1. With a number for `h` their coefficients are rational
        numbers within 1e-60 of the true ones, relative to the coefficients of the steps.

    Raises
    ------
    TypeError
        If `method` is no method.
    ValueError
        For an unknown start, fewer steps than `perturbed`, an `h` for a method that does not depend on it, or a method
        with noise or several fields.

    Examples
    --------
    After an Euler step 1 + z, Adams-Bashforth 2 multiplies by 1 + 3z/2 and subtracts z/2:

    >>> import numdiff as nd
    >>> for power in nd.stability.startup(nd.AdamsBashforth(2), steps=2):
    ...     print(power.as_expr())
    1
    z + 1
    3*z**2/2 + 2*z + 1
    """
    if not isinstance(method, Method):
        raise TypeError(f"method must be a method such as nd.AdamsBashforth(3), got {method!r}; a tableau has no start")
    choice("start", start, STARTS)
    if method.stochastic:
        raise ValueError(f"{method} adds noise, and a start is about the flow; use the method without noise (tau = 0)")
    one_field(method)  # or says why there is no steady step, which the start leads to
    steps = 2 * method.points if steps is None else _count("steps", steps, 0)
    if _count("perturbed", perturbed, 0) > steps:
        raise ValueError(f"perturbed must be at most steps = {steps}, got {perturbed}")
    if h is not None:
        _check_h(h)
        if method.kernel == 0:
            raise ValueError(f"h = {h} was given, but {method} does not depend on the step length; drop h")
        h = to_sympy(h)
    return _polynomials(exact_method(method), start, steps, perturbed, h)


def startup_growth(
    method: Any, *, start: str = "lower", steps: int | None = None, perturbed: int = 0, h: Any = None
) -> tuple[Growth, ...]:
    """Return the largest ``|G_n|`` on the real stability interval of the steady step, one entry a step; see `startup`.

    Parameters
    ----------
    method, start, steps, perturbed, h
        As in `startup`; the parameters of the method are numbers.

    Returns
    -------
    tuple of Growth

    Raises
    ------
    ValueError
        If a symbol is left, `h` is missing for an exponential method, or there is no bounded interval; as `startup`.

    Examples
    --------
    The first step of heavy ball is a whole step of Euler, too long for the interval that momentum makes:

    >>> import numdiff as nd
    >>> method = nd.HeavyBall(nd.AdamsBashforth(2), 0.3)
    >>> [round(float(g.value), 2) for g in nd.stability.startup_growth(method)]
    [1.0, 4.67, 4.12, 4.2, 4.19]
    """
    free = {str(x) for p in internal(method, h=h) for x in p.free_symbols_in_domain}
    if free:
        remedy = "give h=0.1, say" if free == {"h"} else "use a number for it"
        raise ValueError(f"{method} contains the symbol {min(free)}, and a maximum needs a number; {remedy}")
    polynomials = startup(method, start=start, steps=steps, perturbed=perturbed, h=h)
    end = real_interval(method, h=None if h is None else float(h))
    if end in (0, sp.oo):
        raise ValueError(
            f"{method} has no bounded real stability interval next to 0 (it ends at {end}) to take a maximum over"
        )
    return tuple(_largest(n + perturbed, p, end, exact=h is None) for n, p in enumerate(polynomials))


def internal(method: Any, *, h: Any = None) -> tuple[sp.Poly, ...]:
    """Return Q_i(z), the factor by which an error of evaluation i of one step reaches the new sample, for every stage.

    Parameters
    ----------
    method
        A method, or a steady `Tableau`; its parameters may be symbols.
    h
        Step length of an exponential method; by default it stays the symbol ``h``.

    Returns
    -------
    tuple of Poly
        In z, one a stage.

    Raises
    ------
    TypeError
        If `method` has no steady tableau.
    ValueError
        If `h` is given for a method that does not depend on it, or is not positive.

    Examples
    --------
    >>> import numdiff as nd
    >>> [Q.as_expr() for Q in nd.stability.internal(nd.Heun())]
    [z/2 + 1/2, 1/2]
    """
    tableau = one_field(method, h)
    field, matrices = over_field(tableau)
    ring = field[Z]
    A, B = (matrices[name].convert_to(ring) for name in "AB")
    row = DomainMatrix([B.to_list()[0]], (1, tableau.stages), ring)
    total, z = row, ring.from_sympy(Z)
    for _ in range(1, tableau.stages):
        row = row * A * z
        total = total + row
    return tuple(sp.Poly(ring.to_sympy(q), Z, domain=field) for q in total.to_list()[0])


class _Clock:
    """A schedule of constant kappa, whose time is the log-SNR, in SymPy numbers."""

    def __init__(self, formulation: Formulation) -> None:
        self._alpha_is_one = (formulation.prediction == "noise") == (formulation.c == 0)

    def time(self, log_snr: Any) -> Any:
        return log_snr

    def level_at(self, time: Any) -> Level:
        raise ValueError("its first steps have stages at middle times, which a schedule gives; there is none here")

    def level(self, log_snr: Any) -> Level:
        one = sp.Integer(1)
        scales = (one, sp.exp(-log_snr)) if self._alpha_is_one else (sp.exp(log_snr), one)
        return Level(log_snr, *scales, log_snr)


@cache
def _polynomials(method: Method, start: str, steps: int, perturbed: int, h: Any) -> tuple[sp.Poly, ...]:
    formulation = method.formulation or NOISE_RATIO
    formulation = NOISE_RATIO if formulation == VELOCITY_TIME else formulation
    clock = _Clock(formulation)
    length = max(steps, method.points) + 1  # the last step of a run may be another one, and is not used
    levels = [clock.level(_log_snr(formulation, n)) for n in range(length + 1)]
    try:
        tableaus = method.program(levels, formulation, schedule=clock, start=start)
    except ValueError as error:
        raise ValueError(f"{method}, start {start!r}: {error}") from error
    nodes = _nodes(tableaus, levels)
    program, back = _over_one_field(tableaus, h)
    one = program[0].V[0][0].one
    z = sp.Poly(Z, Z, domain=one.domain) * int(formulation.kappa(levels[0]))  # kappa is 1 or -1
    state, found = [one, *[z * 0] * (program[0].registers - 1)], {perturbed: one}
    for tableau, node in zip(program, nodes, strict=True):
        if node > perturbed or node == 0 == perturbed:
            state = [z * 0 if x is None else x for x in step(tableau, state, lambda Y, level: z * Y)]
            found[node] = state[0]
    wanted = range(perturbed, steps + 1)
    if not found.keys() >= set(wanted):
        raise ValueError(
            f"{method} makes steps over several grid intervals, and has no sample at every node of a start"
        )
    return tuple(back(found[n]) for n in wanted)


def _log_snr(formulation: Formulation, n: int) -> sp.Expr:
    """Return lambda at node n: the nodes of the formulation are 1, 2, ..., or 0, h, 2h, ... in log-SNR."""
    if formulation.c:
        return n * H
    return sp.log(n + 1) if formulation.variable == "inverse-rho" else -sp.log(n + 1)


def _nodes(program: Sequence[Tableau], levels: Sequence[Level]) -> list[int]:
    """Return at which node the sample stands after each tableau."""
    nodes = [0]
    for tableau in program:
        nodes.append(next((n for n, level in enumerate(levels) if level is tableau.target), nodes[-1]))
    return nodes[1:]


def _over_one_field(program: Sequence[Tableau], h: Any) -> tuple[list[Tableau], Callable[[sp.Poly], sp.Poly]]:
    """Return the tableaus with entries in K[z], and the way back to e^h: multiples of h are powers of one E = e^h."""
    for tableau in program:
        if tableau.noises or tableau.a or tableau.b or len(set(tableau.tags)) > 1:
            raise ValueError(
                "a step that adds noise or a bias, or evaluates several fields, has no stability polynomial"
            )
    entries = list({x for t in program for name in "AUBV" for row in getattr(t, name) for x in row})
    if h is None:
        known = [to_sympy(x).replace(sp.exp, lambda a: E ** (a / H)) for x in entries]
    else:
        known = [sp.Rational(sp.N(to_sympy(x).subs(H, h), 2 * DIGITS)) for x in entries]
    field, values = _embedded(known)
    constant = dict(zip(entries, (sp.Poly.from_list([v], Z, domain=field) for v in values), strict=True))

    def back(p: sp.Poly) -> sp.Poly:
        terms = {power: field.to_sympy(c).subs(E, sp.exp(H)) for power, c in p.rep.to_dict().items()}
        return sp.Poly.from_dict(terms or {(0,): 0}, Z)

    return [tableau.map(constant.__getitem__) for tableau in program], back


def _largest(n: int, p: sp.Poly, end: sp.Expr, *, exact: bool) -> Growth:
    """Return the maximum of |p| on [-end, 0], for rational coefficients."""
    slope = p.diff(Z)
    extrema = [x for x, _ in slope.real_roots(multiple=False)] if slope.degree() > 0 else []
    numbers = {x: sp.N(x, 2 * DIGITS) for x in (sp.S.Zero, -end, *extrema)}
    inside = [x for x, value in numbers.items() if numbers[-end] <= value <= 0]
    values = {x: sp.N(abs(p.eval(numbers[x])), DIGITS) for x in inside}
    tie = max(values.values()) * (
        1 - sp.Float(10, DIGITS) ** (5 - DIGITS)
    )  # equal values: the first is chosen, 0 if it can
    at = next(x for x, value in values.items() if value >= tie)
    if exact:
        return Growth(n, abs(p.eval(at)) if at.is_Rational else values[at], at)
    return Growth(n, values[at], sp.N(at, DIGITS))


def _count(name: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
    return value
