r"""Order on any grid: proved with symbols for the step ratios, and for what the steps before have done.

`certified` is about equal steps. On other grids the weights meet other nodes, and a velocity has averaged over other
steps. From the residuals R_m of `numdiff.symbolic.variable_order`, which are rational functions of the step ratios r_1
= h_n/h_{n-1}, r_2, ... and of the velocity's moments M_1, M_2, ...,

    local error (exact minus numerical) = sum_m R_m h^m f^(m)/m!,    R_m = sum_i R_m^(i) h^{1+i},

where a kernel exponent c = 0 leaves R_m^(0) only. The order on any grid is the least p with R_m^(i) != 0 for some m + i
= p, and its residual the polynomial

    C(D; r, M) = sum_{m+i=p} R_m^(i) D^m/m!,    or the number R_p^(0)/p! where that is all of it:

the local error is C h^{p+1} f^(p) (C(D) acts on f), so that on equal steps, where M_m has its fixed point, C is the
error constant. The ratios and moments are meant to stay bounded.

**Smooth grids.** Where the order on equal steps is higher than on any grid, C vanishes on equal steps. If the steps
come from a smooth change of variable, r_j = 1 + O(h), hence C = O(h) and one order is won back, not more in general.

**Predictor-corrector methods** evaluate at predicted points, and so J = f' times the predictor's error joins C: see
`numdiff.symbolic.variable_corrector`.

**One-step methods** see no ratio: their order on any grid is that of the step.

Sources: Hairer, Norsett, Wanner, Solving ODEs I, III.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import sympy as sp

from numdiff.methods.exponential_runge_kutta import ExponentialRungeKutta
from numdiff.methods.momentum import Momentum
from numdiff.methods.multistep import Multistep
from numdiff.methods.predictor_corrector import PredictorCorrector
from numdiff.methods.runge_kutta import RungeKutta
from numdiff.properties.order.consistency import certified
from numdiff.properties.order.expansion import leading_error
from numdiff.symbolic.multistep import D
from numdiff.symbolic.polynomials import tidy
from numdiff.symbolic.steady import H, exact_method
from numdiff.symbolic.variable_corrector import Stages, stage_residuals
from numdiff.symbolic.variable_order import Residuals, residuals, step_ratios
from numdiff.weights import moments

J = sp.Symbol("J")
"""The derivative f' of the field, acting on the derivative beside it, in residuals of predictor-corrector methods."""


@dataclass(frozen=True)
class ProofLine:
    """One line of a proof: a name, what it equals (None: it is a free symbol) and what that says."""

    name: str
    value: sp.Expr | None
    text: str


@dataclass(frozen=True)
class GridOrder:
    """The order of a method on any grid, with its proof.

    Parameters
    ----------
    order
        On any grid with bounded step ratios, and exact starting values.
    residual
        C above, a function of r_1, r_2, ... and M_1, M_2, ...; for a one-step method the leading error in elementary
        differentials.
    equal_order
        On equal steps.
    proof
        What is a symbol and what follows, step by step.

    Examples
    --------
    >>> import numdiff as nd
    >>> found = nd.order.any_grid(nd.GHVB(2, 0.8, weights="uniform"))
    >>> found.order, found.smooth_order, found.equal_order
    (1, 2, 2)
    >>> for line in found.proof:
    ...     print(line.name, "=", line.value)
    M_m = None
    M_0 = 1
    R_0 = 0
    R_1/h = (4*M_1*r_1 + 5*r_1 - 4)/(10*r_1)
    """

    order: int
    residual: sp.Expr
    equal_order: int
    proof: tuple[ProofLine, ...]

    @property
    def smooth_order(self) -> int:
        """On grids that are a smooth function of equal steps."""
        return min(self.equal_order, self.order + 1)


def any_grid(method: Any) -> GridOrder:
    """Return the order that a method has on any grid, proved over the field of rational functions of the ratios.

    Parameters
    ----------
    method
        An instance of `AdamsBashforth`, `GHVB`, `FilteredAdams`, `HeavyBall`, `Nesterov`, `PredictorCorrector` (in
        any formulation) or `RungeKutta`. A damping may be a symbol; the order is then that of a generic damping.

    Returns
    -------
    GridOrder

    Raises
    ------
    TypeError
        For anything else than a method.
    ValueError
        For other kinds of method, and for a damping that is neither rational nor a symbol.

    Examples
    --------
    The published weights of GHVB are made for equal steps and lose orders on others; those derived for the grid do not:

    >>> import numdiff as nd
    >>> [nd.order.any_grid(nd.GHVB(3, 0.8, weights=w)).order for w in ("uniform", "variable")]
    [1, 3]
    """
    if not callable(getattr(method, "discretize", None)) or isinstance(method, type):
        raise TypeError(f"method must be an instance of a method, which knows its step on every grid, got {method!r}")
    return _any_grid(exact_method(method))


@cache
def _any_grid(method: Any) -> GridOrder:
    if isinstance(method, RungeKutta):
        return _one_step(method)
    if isinstance(method, PredictorCorrector):
        return _with_predictor(method)
    if isinstance(method, ExponentialRungeKutta):
        raise ValueError(
            f"{method} is a one-step method: on every grid it has the order that certified gives for equal steps; its "
            "error has no closed form in f alone: see the stiff order conditions"
        )
    if not isinstance(method, Multistep):
        raise ValueError(
            f"{method} is neither a multistep, a predictor-corrector nor a Runge-Kutta method of this package; its "
            "order is proved on equal steps only, where it has a steady step: see certified"
        )
    found, c = residuals(method), method.kernel
    order, leading = _leading(found, c, method.points)
    residual = tidy(leading[order] / sp.factorial(order)) if [*leading] == [order] else _in_derivatives(leading)
    return GridOrder(order, residual, certified(method), (*_premises(method, found), *_steps(found, c, order, leading)))


def _one_step(method: RungeKutta) -> GridOrder:
    order, error = certified(method), leading_error(method).expression
    line = ProofLine(
        "local error", error, "the step sees no step ratio and has no memory: it is the same on every grid"
    )
    return GridOrder(order, error, order, (line,))


def _with_predictor(method: PredictorCorrector) -> GridOrder:
    """Combine the order of the corrector with one more than that of the predictor."""
    found, c, k = stage_residuals(method), method.kernel, method.points
    below, slope = _leading(found.predictor, c, k + 1)
    alone, leading = _leading(found.corrector, c, k + 1)
    order = min(alone, below + 1)
    residual = _in_derivatives(leading) if alone == order else sp.Integer(0)
    if below + 1 == order:
        residual += J * _passed_on(found, _in_derivatives(slope), below, c)
    predicted = _steps(found.predictor, c, below, slope)
    lines = [
        *_premises(method, found.corrector),
        *(ProofLine(line.name.replace("R", "P"), line.value, f"predictor: {line.text}") for line in predicted),
        *_steps(found.corrector, c, alone, leading),
        ProofLine("order", sp.Integer(order), "the corrector's, at most one more than the predictor's"),
    ]
    return GridOrder(order, residual, certified(method), tuple(lines))


def _passed_on(found: Stages, error: sp.Expr, order: int, c: int) -> sp.Expr:
    """Return the sum of the corrector's weights times the predictor's error in the step that made the evaluation."""
    count = len(found.weights.coefficients)
    total, scale, ratios = sp.Integer(0), sp.Integer(1), step_ratios(2 * count)
    for j in range(count):
        shifted = error.xreplace({ratios[i]: ratios[i + j] for i in range(count)})
        total += found.weights.expansion(j, c, 0) * scale * shifted
        scale = scale / ratios[j] ** (order + 1)
    return sp.collect(sp.expand(total), D, tidy)


def _in_derivatives(leading: dict[int, sp.Expr]) -> sp.Expr:
    """Return sum_m R_m D^m/m!."""
    return sp.Add(*(tidy(value / sp.factorial(m)) * D**m for m, value in leading.items()))


def _leading(found: Residuals, c: int, highest: int) -> tuple[int, dict[int, sp.Expr]]:
    """Return the order p and {m: R_m^(p-m)} over the m for which it is not 0."""
    for order in range(highest + 1):
        powers = [(m, order - m) for m in range(order + 1) if c or m == order]
        values = {m: found.expansion(m, c, i) for m, i in powers if not found.vanishes(m)}
        if leading := {m: value for m, value in values.items() if value != 0}:
            return order, leading
    raise ValueError(f"the residuals of {highest} points vanish up to u^{highest}: this is no interpolatory method")


def _premises(method: Any, found: Residuals) -> list[ProofLine]:
    """Say what is left as a symbol."""
    if not found.past:
        return []
    own = isinstance(method, (Momentum, PredictorCorrector))
    of = (
        "the velocity before the step makes of u^m about the present"
        if own
        else "the oldest velocity makes of u^m about its"
    )
    return [
        ProofLine("M_m", None, f"what {of} node; arbitrary, so that nothing is assumed about the steps before"),
        ProofLine("M_0", sp.Integer(1), "the velocity of a constant f is that constant, at every step"),
    ]


def _steps(found: Residuals, c: int, order: int, leading: dict[int, sp.Expr]) -> list[ProofLine]:
    """List the residuals up to the one that is not zero."""
    past = " and every past for which the weights exist (all of them for beta <= 1)" if found.past else ""
    lines = []
    for m in range(order + 1):
        if found.vanishes(m):
            lines.append(ProofLine(f"R_{m}", sp.Integer(0), f"for every kernel, all step ratios{past}"))
        elif m in leading and not c:
            lines.append(
                ProofLine(f"R_{m}/h", leading[m], "a function of the step ratios" + past.replace("every", "the"))
            )
        elif m in leading:
            exact = found.expression(m, moments(H, c, len(found.coefficients)))
            power = "" if m == order else f"^{1 + order - m}"
            lines.append(ProofLine(f"R_{m}", exact, "exact in h"))
            lines.append(ProofLine(f"R_{m}/h{power}", leading[m], "at h = 0"))
    return lines
