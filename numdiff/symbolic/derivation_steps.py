r"""The steps of a derivation, and those that all methods share.

Conventions. X = x/kappa obeys dX/ds = c X + f; u = (s - s_n)/h counts in present steps, where step n goes from s_n to
s_{n+1} = s_n + h, and a classical formulation (c = 0) takes h = 1. f_{n-j} is the evaluation at u_j. By variation of
constants

    X(s_n + h) = e^{ch} X(s_n) + int_0^h e^{c(h-u)} f(s_n + u) du,

and the moments of the kernel, mu_m = h int_0^1 e^{ch(1-u)} u^m du = m! h phi_{m+1}(ch), obey c mu_m = m mu_{m-1}/h - 1,
as integration by parts shows.

A check puts results back into the condition that they were to satisfy. The right side of its equation is what
remains, in lowest terms: 0 there is a proof for all values of the symbols.

Source: Hochbruck and Ostermann, Acta Numerica 2010, section 2.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp

from numdiff.methods import RungeKutta
from numdiff.symbolic.closed_forms import readable
from numdiff.symbolic.polynomials import tidy, to_sympy
from numdiff.symbolic.steady import H
from numdiff.weights import tidy as lowest

U, X_NOW, X_NEXT, V_NOW, V_NEXT, P_NOW, W = sp.symbols("u X_n X_{n+1} v_n v_{n+1} p_n W")


@dataclass(frozen=True)
class Step:
    """One step of a derivation.

    Parameters
    ----------
    title
        A few words.
    text
        What is done, in sentences; formulas in them stand between backticks.
    equations
        SymPy equations, unevaluated; in a check the right side is what remains of a condition.
    check
        Whether the equations are conditions carried out, each of which holds if its right side is 0.

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.symbolic import derivations
    >>> steps = derivations.derivation(nd.AdamsBashforth(2))
    >>> weights = next(step for step in steps if step.title == "weights")
    >>> [(equation.lhs, equation.rhs) for equation in weights.equations]
    [(omega_0, 3/2), (omega_1, -1/2)]
    """

    title: str
    text: str
    equations: tuple[sp.Eq, ...] = ()
    check: bool = False

    @property
    def holds(self) -> bool:
        """Whether every right side is 0."""
        return all(equation.rhs == 0 for equation in self.equations)


def eq(left: Any, right: Any) -> sp.Eq:
    """Return an equation that stays as it is written."""
    return sp.Eq(to_sympy(left), to_sympy(right), evaluate=False)


def indexed(name: str, values: Sequence[Any]) -> tuple[sp.Eq, ...]:
    """Return name_0 = ..., name_1 = ..., in readable form."""
    return tuple(eq(sp.Symbol(f"{name}_{j}"), readable(value)) for j, value in enumerate(values))


def evaluation(j: int) -> sp.Symbol:
    """Return f_{n-j}."""
    return sp.Symbol("f_n" if j == 0 else f"f_{{n-{j}}}")


def velocity(i: int) -> sp.Symbol:
    """Return v_{n+1-i}."""
    return sp.Symbol({0: "v_{n+1}", 1: "v_n"}.get(i, f"v_{{n-{i - 1}}}"))


def residual(expression: Any) -> sp.Expr:
    """Return an expression in lowest terms; rational functions of symbols and phis only."""
    remains = lowest([to_sympy(expression)])[0]
    return tidy(remains) if remains else sp.Integer(0)


def step_length(method: Any, h: Any) -> sp.Expr:
    """Return the length of the present step: a symbol in exponential formulations unless given, else 1."""
    if not method.kernel:
        return sp.Integer(1)
    return H if h is None else to_sympy(h, "h")


def flow(method: Any) -> Iterator[Step]:
    """Yield the equation and its solution over one step."""
    c, s, u = method.kernel, sp.Symbol("s"), sp.Symbol("u")
    length, X, f, now = sp.Symbol("h"), sp.Function("X"), sp.Function("f"), sp.Symbol("s_n")
    chosen, q = method.formulation, _drift_factor(method)
    what = (
        f"Formulation {chosen}: f is the {chosen.prediction} prediction and s is {chosen.variable}.{_noise(chosen)}"
        if chosen
        else (
            "No formulation is fixed: f may be noise in `s = rho`, a velocity or any plain right side in `s = t`; "
            "`c = 0`."
        )
    )
    slope = c * X(s) + q * f(s)
    yield Step("the equation", f"{what} In `X = x/kappa` the flow is", (eq(sp.Derivative(X(s), s), slope),))
    if isinstance(method, RungeKutta):
        return
    integral = sp.Integral(sp.exp(c * (length - u)) * q * f(now + u), (u, 0, length))
    yield Step(
        "one step, exactly",
        "Variation of constants. A method replaces f under the integral by something that it can integrate.",
        (eq(X(now + length), sp.exp(c * length) * X(now) + integral),),
    )


def _noise(formulation: Any) -> str:
    """Say what is done about the noise of a stochastic formulation."""
    return " The noise, which is added to every step, is left out." if formulation.stochastic else ""


def _drift_factor(method: Any) -> Any:
    """Return 1 + tau^2, by which a diffusion multiplies the evaluation in its drift; 1 without noise."""
    if not method.stochastic:
        return sp.Integer(1)
    method.formulation.steady_span(1, 0)  # or says that tau is no constant
    return 1 + to_sympy(method.formulation.level.constant)


def kernel_moments(method: Any, h: Any, mu: Sequence[Any]) -> Iterator[Step]:
    """Yield the moments of the kernel and the recurrence that they satisfy."""
    c, length = method.kernel, step_length(method, h)
    q = _drift_factor(method)
    factor = "" if q == 1 else f"{q} "
    yield Step(
        "moments of the kernel",
        f"`mu_m = {factor}h int_0^1 "
        + "e^{ch(1-u)} u^m du = "
        + factor
        + "m! h phi_{m+1}(ch)`, with u in units of the step "
        + ("h." if c else "`h = 1`."),
        indexed("mu", mu),
    )
    remains = tuple(_by_parts(c, q, length, list(map(to_sympy, mu))))
    text = (
        f"`c mu_m = m mu_{{m-1}}/h - {q}`, and `c mu_0 = {factor}{'(' * (q != 1)}e^{{ch}} - 1{')' * (q != 1)}`. "
        "With the closed forms of `phi` put in, what remains is"
    )
    if remains:
        yield Step("check: integration by parts", text, remains, check=True)


def _by_parts(c: Any, q: Any, h: sp.Expr, mu: list[sp.Expr]) -> Iterator[sp.Eq]:
    for m, value in enumerate(mu):
        symbol, before = sp.Symbol(f"mu_{m}"), sp.Symbol(f"mu_{m - 1}")
        left = c * symbol + q - (m * before / H if m else q * sp.exp(c * H))
        remains = c * value + q - (m * mu[m - 1] / h if m else q * sp.exp(c * h))
        if c or m:
            yield eq(left, sp.expand(sp.expand_func(remains)))


def nodes_step(nodes: Sequence[Any], ratio: Any, where: str = "The newest evaluations") -> Step:
    """Return the nodes u_j."""
    steps = "equal steps" if ratio == 1 else f"steps that are each {ratio} times the one before"
    return Step(
        "nodes",
        f"{where}, on {steps}:",
        tuple(eq(sp.Symbol(f"u_{j}"), tidy(u)) for j, u in enumerate(map(to_sympy, nodes))),
    )


def conditions(
    weight: str, w: Sequence[Any], value: str, rows: Sequence[Sequence[Any]], mu: Sequence[Any]
) -> tuple[sp.Eq, ...]:
    """Return sum_i w_i rows_i^m - mu_m = what remains, for every m; `weight` and `value` name w_i and rows_i^m."""
    found = []
    for m, target in enumerate(mu):
        names = [
            sp.Symbol(f"{value}_{i}^{m}") if value == "M" else sp.Symbol(f"{value}_{i}") ** m for i in range(len(w))
        ]
        left = sum(sp.Symbol(f"{weight}_{i}") * x for i, x in enumerate(names)) - sp.Symbol(f"mu_{m}")
        total = sum(to_sympy(x) * to_sympy(row[m]) for x, row in zip(w, rows, strict=True))
        found.append(eq(left, residual(total - to_sympy(target))))
    return tuple(found)


def powers(nodes: Sequence[Any], count: int) -> list[list[sp.Expr]]:
    """Return u_j^m, m < `count`, for every node."""
    return [[to_sympy(u) ** m for m in range(count)] for u in nodes]
