r"""The order that a run has, and the leading terms of its error.

A method's order supposes exact starting values and the grid that its weights were made for. The order of a run is the
least of what follows, each derived from the tableaus that the run executes:

- **the method**: its certified order p, an error C h^p that grows along the run;
- **the grid**: weights for equal steps ("uniform") on other grids. A step of a geometric grid of ratio r misses u^m by
  D_m(r). Where D_m(1) = 0 but D_m(r) is not, a smooth grid, r = 1 + rho h, has order m + 1, and alternating steps m;
- **the start**: a fixed number of steps of order j, or a velocity that starts at f_0, leaves k h^q, q = j + 1;
- **lowered orders** on the way: a fixed number of steps of order j costs h^{j+1}, a fixed share of all steps h^j;
- **the last step**, if it returns the denoised estimate: a step of order 1, bypassing momentum.

**Leading terms** (kernel exponent 0). On y' = -y with N equal steps, T = N h,

    computed - exact = e^{-T} ((k + last) h^q + C T h^p) + higher powers of h,

with k, last and C exact, in closed form in a symbolic damping (`numdiff.properties.order.run_steps`). q = 2 has one
elementary differential only, so there k h^2 x''(0) is what any problem starts with. On a smooth grid with local step h
e^{rho t}, in which successive steps have the ratio 1 + rho (local step), T h^p becomes h^p (e^{p rho T} - 1)/(p rho),
and weights for equal steps add G rho h^2 x'' with G = D_1'(1). G is -1/12 for every such method of order 3 or more: if
the step puts a_j on f_{n-j}, then sum a_j j = -1/2 and sum a_j j^2 = 1/3, so that G = sum a_j j (j + 1)/2 = (1/3 -
1/2)/2.

Sources: Hairer, Norsett, Wanner, Solving ODEs I, III.4, III.5 and III.8.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import sympy as sp

from numdiff.methods.base import FINALS, STARTS, Method
from numdiff.methods.checks import choice
from numdiff.methods.layout import Layout
from numdiff.methods.runge_kutta import RungeKutta
from numdiff.methods.scheme import Scheme
from numdiff.methods.single_step import SingleStep
from numdiff.properties.order.consistency import certified
from numdiff.properties.order.run_steps import Cause, LeadingTerms, Run
from numdiff.symbolic.polynomials import tidy
from numdiff.symbolic.steady import exact_method, one_field
from numdiff.symbolic.transients import geometric_defects

GRIDS = ("uniform", "smooth", "alternating")
EQUAL = 1e-6
"""Relative difference below which the steps of a grid in floating point count as equal."""


@dataclass(frozen=True)
class RunOrder:
    """What `of_run` found.

    Parameters
    ----------
    order
        The order of the run.
    limiter
        A sentence that names what limits it.
    causes
        Everything that was looked at; the lowest order first.
    constant
        Leading terms of the error; None for exponential methods, where the steps follow no pattern, and where what the
        start leaves never fades (damping 2).

    Examples
    --------
    >>> import numdiff as nd
    >>> found = nd.order.of_run(nd.GHVB(3, 0.8, weights="uniform"), grid="alternating", start="runge-kutta")
    >>> found.order, found.limiter
    (1, 'weights made for equal steps have order 1 on alternating steps')
    """

    order: int
    limiter: str
    causes: tuple[Cause, ...]
    constant: LeadingTerms | None


def of_run(
    method: Any,
    *,
    start: str | None = None,
    final: str | None = None,
    grid: str | None = None,
    orders: Sequence[int] | None = None,
) -> RunOrder:
    """Return the order of a run and what limits it.

    Parameters
    ----------
    method
        A method, or a `Scheme`, whose own options and grid are then used.
    start
        As in `Method.discretize`; "lower" by default.
    final
        "denoise" for a run whose last step arrives at sigma = 0 with the denoised estimate. Others leave no trace.
    grid
        "uniform" (equal steps in the variable of the formulation; the default), "smooth" (steps that change by a factor
        1 + O(h)), or "alternating" (short and long steps in turn).
    orders
        The order of every step, as in `Method.discretize`. Lowered steps at the beginning and at the end are taken for
        a fixed number, however long the run; lowered steps elsewhere for a fixed share of all steps.

    Returns
    -------
    RunOrder

    Raises
    ------
    TypeError
        For something that is neither a method nor a scheme.
    ValueError
        For unknown options, options beside a scheme, or a method without exact coefficients.

    Examples
    --------
    >>> import numdiff as nd
    >>> nd.order.of_run(nd.AdamsBashforth(3)).order, nd.order.of_run(nd.AdamsBashforth(3), start="runge-kutta").order
    (2, 3)
    >>> nd.order.of_run(nd.AdamsBashforth(3)).limiter
    'start-up leaves an error of order h^2: first steps of lower order'
    """
    if isinstance(method, Scheme):
        if (start, final, grid, orders) != (None,) * 4:
            raise ValueError("a Scheme has its own start, final, grid and orders; give a method to ask about others")
        return _of_scheme(method)
    if not isinstance(method, Method):
        raise TypeError(f"method must be a method or a Scheme, got {method!r}; nd.AdamsBashforth(3), say")
    _check_kind(method)
    start = choice("start", "lower" if start is None else start, STARTS)
    grid = choice("grid", "uniform" if grid is None else grid, GRIDS)
    denoises = choice("final", final, FINALS) == "denoise"
    return _analysed(exact_method(method), start, grid, _checked_orders(method, orders), denoises)


def _check_kind(method: Method) -> None:
    if method.stochastic:
        raise ValueError(
            f"{method} adds noise: its runs have an order of expectations, weak_order = {method.weak_order}, and the "
            "orders here are about the flow; use the method without noise (tau = 0)"
        )
    if isinstance(method, SingleStep):
        raise ValueError(
            f"{method} makes steps over several grid intervals, of lower order at the end; orders of runs are worked "
            "out for methods with a step for every interval, see nd.order.observed"
        )


def grid_sensitivity(method: Any) -> sp.Expr:
    """Return G: on steps of ratio 1 + rho h a step misses G rho h^3 x'' more than on equal ones (computed - exact).

    Among methods of order 2 and more it is zero for weights made for the actual steps; among those of order 3 and more
    it is -1/12 for weights made for equal steps.

    Parameters
    ----------
    method
        A method without noise that has a steady step on every geometric grid.

    Returns
    -------
    Expr
        G, a number or a formula in the damping.

    Raises
    ------
    TypeError
        If `method` is no method.
    ValueError
        If the method has no steady step on a geometric grid, or adds noise.

    Examples
    --------
    >>> import numdiff as nd
    >>> [nd.order.grid_sensitivity(nd.GHVB(3, 1, weights=w)) for w in ("variable", "uniform")]
    [0, -1/12]
    """
    if not isinstance(method, Method):
        raise TypeError(f"method must be a method such as nd.AdamsBashforth(2), got {method!r}")
    _check_kind(method)
    if one_field(method).registers == 1:
        return sp.Integer(0)  # a step without memory sees no ratio
    r = sp.Symbol("r", positive=True)
    defect = geometric_defects(_classical(exact_method(method)).steady(ratio=r), r, 2)[1]
    return tidy(sp.cancel(sp.diff(defect, r)).subs(r, 1))


@functools.lru_cache(maxsize=256)
def _analysed(method: Any, start: str, grid: str, orders: tuple[int, ...] | None, denoises: bool) -> RunOrder:
    """Collect the causes and the leading terms."""
    proved = certified(method)
    causes = [Cause("method", proved, f"the method itself has order {proved}")]
    classical = _classical(method)
    run = Run(classical, start, grid, orders)
    on_grid = _grid_order(classical, grid, run, proved)
    if on_grid < proved:
        causes.append(Cause("grid", on_grid, _grid_sentence(grid, on_grid)))
    causes += run.causes(proved)
    if denoises and proved > 1:
        causes.append(Cause("last step", 2, LAST))
    ranked = tuple(sorted(causes, key=lambda cause: cause.order))
    lowest = ranked[0].order
    named = "; ".join(cause.sentence for cause in ranked if cause.order == lowest)
    changes = grid == "smooth" and method.points > 1
    constant = None
    if method.kernel == 0 and not run.share:
        constant = run.leading_terms(grid_sensitivity(method) if changes else sp.Integer(0))
    return RunOrder(lowest, named, ranked, constant)


LAST = (
    "the last step, which returns the denoised estimate, has order 1: it misses half the square of its length in "
    "sigma/alpha times the second derivative, which is order 2 if that length shrinks with the others, and a bias that "
    "more steps do not lower if the last positive sigma stays where it is"
)


def _grid_sentence(grid: str, order: int) -> str:
    steps = "steps that change smoothly" if grid == "smooth" else "alternating steps"
    return f"weights made for equal steps have order {order} on {steps}"


def _grid_order(method: Method, grid: str, run: Run, proved: int) -> int:
    """Return the order that the weights have on the grid, at most the proved one."""
    if grid == "smooth" and method.points > 1:
        r = sp.Symbol("r", positive=True)
        defects = geometric_defects(method.steady(ratio=r), r, proved)
        return min([proved, *(m + _zeros_at_one(defect, r) for m, defect in enumerate(defects) if defect != 0)])
    if grid == "alternating":
        return min(proved, run.bulk_order)
    return proved


def _zeros_at_one(defect: sp.Expr, r: sp.Symbol) -> int:
    numerator, zeros = sp.Poly(sp.numer(sp.together(defect)), r), 0
    while not numerator.eval(1):
        numerator, zeros = numerator.quo(sp.Poly(r - 1, r)), zeros + 1
    return zeros


def _classical(method: Any) -> Any:
    """Return the method with kernel exponent 0 that it becomes as h -> 0."""
    if not method.kernel:
        return method
    if hasattr(method, "base"):
        return replace(method, base=_classical(method.base))
    predictor = getattr(method, "predictor", None)
    return replace(method, formulation=None, **({} if predictor is None else {"predictor": _classical(predictor)}))


def _checked_orders(method: Method, orders: Any) -> tuple[int, ...] | None:
    if orders is None:
        return None
    if not hasattr(orders, "__len__"):
        raise TypeError(f"orders must be a sequence of ints, one per step, got {orders!r}")
    return method.check_orders(orders, len(orders)) or None


def _of_scheme(scheme: Scheme) -> RunOrder:
    """Read a scheme's options and the pattern of its steps."""
    options = dict(scheme.options)
    _check_kind(scheme.method)
    method = exact_method(scheme.method)
    formulation = method._formulation(scheme.schedule)
    orders = _checked_orders(method, options["orders"])
    layout = Layout(
        method, scheme.schedule, scheme.levels, formulation, options["start"], options["final"], (1,) * scheme.steps
    )
    grid = _pattern([float(s) for s in layout.nodes if math.isfinite(float(s))])
    last = scheme.steps - 1
    denoises = layout.denoises(last) or (isinstance(method, RungeKutta) and layout.arrives(last))
    return _analysed(method, options["start"], grid, orders, denoises)


def _pattern(nodes: Sequence[float]) -> str:
    """Tell whether steps are equal, in turn shorter and longer, or neither."""
    steps = [abs(b - a) for a, b in pairwise(nodes)]
    changes = [b / a - 1 for a, b in pairwise(steps)]
    if all(abs(x) < EQUAL for x in changes):
        return "uniform"
    turns = all(x * y < 0 for x, y in pairwise(changes))
    return "alternating" if turns and len(changes) > 1 else "smooth"
