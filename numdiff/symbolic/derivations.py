r"""How the coefficients of a method come about, step by step, with every claim carried out.

A derivation is a sequence of steps: a title, sentences, and equations whose right sides are computed by the routines
that make the method's tableau: nodes and moments of the kernel (`numdiff.weights`), a filter's fixed point, the
weights, the tableau itself. The last steps are checks: the results are put back into the conditions that they were to
satisfy. A published variant that does not satisfy a condition shows by how much.

This module has the methods that combine evaluations directly. Adams methods replace f by its interpolant, formula (*)
of `numdiff.weights`; a predictor-corrector does so twice; a Runge-Kutta method is checked against the conditions of
the rooted trees (`numdiff.symbolic.trees`). `numdiff.symbolic.derivation_velocities` has the methods with momentum.

Sources: Hairer, Norsett, Wanner, Solving ODEs I, II.2, III.1 and III.5.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import sympy as sp

from numdiff.formulations import NOISE_RATIO
from numdiff.methods import GHVB, AdamsBashforth, PredictorCorrector, RungeKutta
from numdiff.methods.base import Method
from numdiff.methods.momentum import Momentum
from numdiff.methods.multistep import Multistep, positive_ratio, steady_point
from numdiff.symbolic import closed_forms
from numdiff.symbolic.derivation_steps import (
    V_NEXT,
    V_NOW,
    X_NEXT,
    X_NOW,
    Step,
    U,
    conditions,
    eq,
    flow,
    indexed,
    kernel_moments,
    nodes_step,
    powers,
    step_length,
)
from numdiff.symbolic.derivation_velocities import ghvb, momentum
from numdiff.symbolic.polynomials import ZETA, multistep_pair, tidy, to_sympy
from numdiff.symbolic.steady import exact_method, steady
from numdiff.symbolic.trees import Expansion, trees
from numdiff.weights import lagrange

__all__ = ["Step", "derivation"]


def derivation(method: Any, *, h: Any = None, ratio: Any = 1) -> tuple[Step, ...]:
    """Derive a method's coefficients in steps that can be read.

    Parameters
    ----------
    method
        Its parameters may be symbols; floats are read as the decimals they print as.
    h
        Step length of an exponential method, exact; None keeps the symbol.
    ratio
        Each step over the one before it, exact or a symbol: a geometric grid.

    Returns
    -------
    tuple of Step

    Raises
    ------
    ValueError
        For an h that the method does not depend on, a ratio that is not positive, or one at which a velocity filter has
        no fixed point; for a method of another kind.
    TypeError
        For an h or ratio that is no number, or an object that is no method.

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.symbolic import derivations
    >>> steps = derivations.derivation(nd.AdamsBashforth(2))
    >>> [step.title for step in steps][-3:]
    ['integration', 'weights', 'check: polynomials are integrated exactly']
    >>> all(step.holds for step in steps if step.check)           # every check is carried out
    True
    """
    positive_ratio(ratio, "ratio")
    if not isinstance(method, Method):
        raise TypeError(f"method must be a numdiff method, got {method!r}")
    return _derivation(exact_method(method), closed_forms.step_length(method, h), to_sympy(ratio, "ratio"))


@cache
def _derivation(method: Any, h: Any, ratio: sp.Expr) -> tuple[Step, ...]:
    for family, steps in _FAMILIES.items():
        if isinstance(method, family):
            return tuple(steps(method, h, ratio))
    raise ValueError(
        f"{method} has no derivation: those of multistep, predictor-corrector and Runge-Kutta methods can be shown"
    )


def _with_base(method: Momentum, h: Any, ratio: sp.Expr) -> Iterator[Step]:
    for step in _derivation(method.base, h, ratio):
        yield Step(f"base: {step.title}", step.text, step.equations, step.check)
    yield from momentum(method, h, ratio)


def _adams(method: AdamsBashforth, h: Any, ratio: sp.Expr) -> Iterator[Step]:
    ratios = (ratio,) * (method.points - 1)
    point, omega = method.point(h=h, ratios=ratios), method.coefficients(h=h, ratios=ratios)
    yield from flow(method)
    yield from kernel_moments(method, h, point.span.moments)
    yield nodes_step(point.nodes, ratio)
    yield from _interpolation(method, *method.interpolant(point))
    yield Step("weights", "`X_{n+1} = e^{ch} X_n + sum_j omega_j f_{n-j}` with", indexed("omega", omega))
    yield Step(
        "check: polynomials are integrated exactly",
        "`sum_j omega_j u_j^m = mu_m` for `m < k`, on the true nodes with the true moments; `m = 0` is the sum of the "
        "weights. What remains is",
        conditions("omega", omega, "u", powers(point.nodes, method.points), point.span.moments),
        check=True,
    )


def _interpolation(method: AdamsBashforth, nodes: Sequence[Any], mu: Sequence[Any]) -> Iterator[Step]:
    sentences = ["`f(s_n + h u)` is replaced by `sum_j l_j(u) f_{n-j}` with the Lagrange basis."]
    used = [sp.Symbol(f"mu_{m}") for m in range(len(mu))]
    if method.weights == "uniform":
        sentences.append("As published, the nodes are taken to be `0, -1, -2, ...` whatever the grid.")
    if method.rule == "half":
        sentences.append("As published, `mu_0/2` takes the place of mu_1.")
        used[1] = used[0] / 2
    elif method.rule == "bh1":
        sentences.append("As published, `h/2`, the moment without the kernel, takes the place of mu_1.")
        used[1] = to_sympy(mu[1])
    elif method.rule != "exact":
        sentences.append("As published, `mu_2/2` takes the place of mu_2.")
        used[2] = used[2] / 2
    rows = [[to_sympy(x) for x in row] for row in lagrange(nodes)]
    basis = [tidy(sum(x * U**m for m, x in enumerate(row))) for row in rows]
    yield Step(
        "interpolation", " ".join(sentences), tuple(eq(sp.Function(f"l_{j}")(U), p) for j, p in enumerate(basis))
    )
    sums = [sum(tidy(x) * m for x, m in zip(row, used, strict=False)) for row in rows]
    yield Step(
        "integration",
        "The integral of l_j is the sum of its coefficients times the moments.",
        tuple(eq(sp.Symbol(f"omega_{j}"), x) for j, x in enumerate(sums)),
    )


def _multistep(method: Multistep, h: Any, ratio: sp.Expr) -> Iterator[Step]:
    """Yield what can be said of any multistep method: the weights, and the pair that the tableau makes of them."""
    ratios = (ratio,) * (method.points - 1)
    point = method.point(h=h, ratios=ratios)
    yield from flow(method)
    yield from kernel_moments(method, h, point.span.moments)
    yield nodes_step(point.nodes, ratio)
    weights = method.coefficients(h=h, ratios=ratios)
    yield Step("weights", "On what the method remembers, newest first:", indexed("w", weights))
    if ratio == 1:
        rho, sigma = multistep_pair(steady(method, h))
        yield Step(
            "the memory eliminated",
            "The determinant of the tableau is `rho(zeta) - z sigma(zeta)`, a linear multistep method.",
            (eq(sp.Function("rho")(ZETA), rho.as_expr()), eq(sp.Function("sigma")(ZETA), sigma.as_expr())),
        )


def _predictor_corrector(method: PredictorCorrector, h: Any, ratio: sp.Expr) -> Iterator[Step]:
    ratios = (ratio,) * (method.points - 1)
    found = method.coefficients(h=h, ratios=ratios)
    point = steady_point(method.formulation or NOISE_RATIO, step_length(method, h), ratios, method.points + 1)
    nodes, mu = point.nodes, point.span.moments
    yield from flow(method)
    yield from kernel_moments(method, h, mu)
    yield nodes_step(nodes, ratio, "The evaluations in memory")
    rule = "" if method.rule == "exact" else f" As published, {method.rule} replaces mu_1 in two-point formulas."
    plugged = method.predictor is not None
    text = f"The weights of {method.predictor} on what it remembers." if plugged else "The Lagrange basis on the memory"
    text += "" if plugged else f", integrated.{rule}"
    yield Step("predictor", text, indexed("omega", found.predictor))
    if found.corrector:
        text = "The Lagrange basis" if plugged else "The same"
        text += " with the node `u = 1` for the evaluation at the predicted point, which w_0 weighs, before "
        text += f"{len(found.corrector) - 1} of the memory, integrated.{rule}"
        yield Step("corrector", text, indexed("w", found.corrector))
    if method.beta != 1:
        yield _two_velocities(method, h)
    for name, symbol, row, at in (
        ("predictor", "omega", found.predictor, nodes),
        ("corrector", "w", found.corrector, (1, *nodes)),
    ):
        if not row or (plugged and name == "predictor"):
            continue
        yield Step(
            f"check: the {name} integrates polynomials exactly",
            "The weights times u_j^m, summed, minus mu_m"
            + ("; here `u_0 = 1`, and `u_1, u_2, ...` are the memory." if name == "corrector" else "."),
            conditions(symbol, row, "u", powers(at[: len(row)], len(row)), mu[: len(row)]),
            check=True,
        )


def _two_velocities(method: PredictorCorrector, h: Any) -> Step:
    """Return the recursion of the corrector's velocity, read off the last row of the tableau."""
    tableau = steady(method, h)
    keep, mix = tableau.V[-1][-1], sum(map(to_sympy, tableau.V[-1][:-1])) + sum(map(to_sympy, tableau.B[-1]))
    form = {
        "repaired": "Predictor and corrector each have a velocity: with `W = mu_0` the mix p_n of evaluations has the "
        "sum 1, and the sample is `e^{ch} X_n + W v_{n+1}`.",
        "nesterov": "Predictor and corrector each have a velocity: with `W = mu_0` the mix p_n of evaluations has the "
        "sum 1, and the sample is `e^{ch} X_n + W ((1 - beta) v_{n+1} + beta p_n)`.",
        "published": "Only the corrector has a velocity, here in the scale of the sample and so multiplied by `e^{ch}` "
        "in every step: with `W = mu_0` the mix p_n of evaluations has the sum 1, and the sample is `e^{ch} X_n + W "
        "v_{n+1}`.",
    }
    return Step(
        "velocities",
        form[method.momentum],
        (eq(V_NEXT, to_sympy(keep) * V_NOW + tidy(mix) * sp.Symbol("p_n")),),
    )


def _runge_kutta(method: RungeKutta, h: Any, ratio: sp.Expr) -> Iterator[Step]:
    array, length = method.coefficients(), sp.Symbol("h")
    stages = sp.symbols(f"F_:{len(array.b)}")
    sums = [sum(to_sympy(x) * F for x, F in zip(row, stages, strict=True)) for row in (*array.A, array.b)]
    yield from flow(method)
    yield Step(
        "stages",
        "`F_i = f(Y_i)` at `s_n + c_i h`, with c_i the row sums. A one-step method: nothing here depends on step "
        "ratios.",
        (
            *(eq(sp.Symbol(f"Y_{i}"), X_NOW + length * x) for i, x in enumerate(sums[:-1])),
            *(eq(sp.Symbol(f"c_{i}"), x) for i, x in enumerate(array.c)),
            eq(X_NEXT, X_NOW + length * sums[-1]),
        ),
    )
    expansion = Expansion(method.steady())
    for q in range(1, array.order + 2):
        defects = [expansion.field.to_sympy(expansion.defect(tree)) for tree in trees(q)]
        last = q > array.order
        yield Step(
            f"what order {q} lacks" if last else f"check: order {q}",
            f"`sum_i b_i Phi_i(t) - 1/gamma(t)` for each rooted tree t with {q} {'vertices' if q > 1 else 'vertex'}"
            + (" (not all 0, so that the order is no higher)." if last else "."),
            tuple(eq(sp.Symbol(f"e_{{{q},{i}}}"), x) for i, x in enumerate(defects, 1)),
            check=not last,
        )


_FAMILIES: dict[type, Any] = {
    AdamsBashforth: _adams,
    GHVB: ghvb,
    Momentum: _with_base,
    Multistep: _multistep,
    PredictorCorrector: _predictor_corrector,
    RungeKutta: _runge_kutta,
}
