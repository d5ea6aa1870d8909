r"""GHVB, heavy ball and Nesterov momentum derived in steps, and the velocity eliminated.

**GHVB** v_{n+1} = (1-beta) v_n + beta f_n, X_{n+1} = e^{ch} X_n + sum_i w_i v_{n+1-i}. Let M^m be the velocity that the
monomial u^m leaves behind, about the present node in units of the step that starts there. One step on, the centre has
moved by 1, the node is seen and the unit has grown by r,

    N^m = r^{-m} (1-beta) sum_j binom(m, j) (-1)^{m-j} M^j    (m >= 1),

and on a geometric grid N^m = M^m after many steps, as long as |1-beta| < r^m. The weights solve sum_i w_i M_i^m = mu_m
with M_i^m the moments of v_{n+1-i}; `numdiff.weights` has the closed form.

**Heavy ball and Nesterov momentum** are a base's weights divided by their sum W, an average of the mix p_n, and a
combination of both in the sample.

With D_n = X_{n+1} - e^{ch_n} X_n two steps in a row determine the velocity between them, which leaves a linear
multistep method (`numdiff.symbolic.closed_forms`). On equal steps it is compared with the determinant of the tableau,
which knows of no elimination.

Source: Wizadwongsa et al., Diffusion sampling with momentum, ICLR 2024; variable steps: numdiff.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sympy as sp

from numdiff.methods import GHVB, AdamsBashforth
from numdiff.methods.momentum import Momentum
from numdiff.symbolic.closed_forms import A, TwoStep, part_symbols, parts, readable, two_step
from numdiff.symbolic.derivation_steps import (
    P_NOW,
    V_NEXT,
    V_NOW,
    X_NEXT,
    X_NOW,
    Step,
    W,
    conditions,
    eq,
    evaluation,
    flow,
    indexed,
    kernel_moments,
    nodes_step,
    residual,
    step_length,
    velocity,
)
from numdiff.symbolic.polynomials import ZETA, multistep_pair, tidy, to_sympy
from numdiff.symbolic.steady import H, steady
from numdiff.weights import observe, on_velocities, recentre, rescale


def ghvb(method: GHVB, h: Any, ratio: sp.Expr) -> Iterator[Step]:
    """Yield the derivation of GHVB on a geometric grid."""
    point = method.point(h=h, ratios=(ratio,) * (method.points - 1))
    state = method.steady_state(ratio)
    nodes, mu = method.interpolant(point)
    yield from flow(method)
    yield from kernel_moments(method, h, point.span.moments)
    yield nodes_step(nodes, ratio if method.weights == "variable" else 1)
    yield Step(
        "the velocity",
        "It averages the evaluations before they are extrapolated.",
        (eq(V_NEXT, (1 - method.beta) * V_NOW + method.beta * evaluation(0)),),
    )
    if method.order > 1:
        yield from _fixed_point(method, state.moments(0, point), ratio)
    rows = [recentre(state.moments(i, point), -u) for i, u in enumerate(nodes)]
    yield from _weights(method, parts(method, step_length(method, h), (ratio,) * (method.points - 1)), rows, mu)
    yield from eliminated(method, h, ratio)


def _fixed_point(method: GHVB, M: Sequence[Any], ratio: sp.Expr) -> Iterator[Step]:
    uniform = method.weights == "uniform"
    growth = sp.Integer(1) if uniform else ratio
    old = [sp.Integer(1), *sp.symbols(f"M^1:{method.order}")]
    once = [to_sympy(x) for x in rescale(observe(recentre(old, 1), method.beta), 1 / growth)]
    new = sp.symbols(f"N^:{method.order}")
    yield Step(
        "what the filter does to u^m",
        "Let M^m be the velocity that the monomial u^m leaves behind, about the present node in units of the step that "
        "starts there (`M^0 = 1`). One step on, the centre has moved by 1, the node is seen, and the unit has grown by "
        f"{growth}. The new moments N^m are",
        tuple(eq(n, readable(x)) for n, x in zip(new[1:], once[1:], strict=True)),
    )
    yield Step(
        "the filter's fixed point" + (" on equal steps, as published, whatever the grid" if uniform else ""),
        "`N^m = M^m` after many steps, where `|1-beta| < r^m` for the step ratio r.",
        tuple(eq(x, readable(value)) for x, value in zip(old[1:], M[1:], strict=True)),
    )
    values = dict(zip(old[1:], map(to_sympy, M[1:]), strict=True))
    yield Step(
        "check: the filter's fixed point",
        "`N^m - M^m` at these values:",
        tuple(
            eq(n - x, residual(y.subs(values) - values[x])) for n, x, y in zip(new[1:], old[1:], once[1:], strict=True)
        ),
        check=True,
    )


def _weights(method: GHVB, known: Sequence[sp.Expr], rows: Sequence[Any], mu: Sequence[Any]) -> Iterator[Step]:
    a, *b = known
    w = on_velocities(a, b, method.beta)
    remains = conditions("w", w, "M", rows, mu)
    in_parts = on_velocities(A, part_symbols(len(b)), method.beta)
    yield Step(
        "moments of the velocities",
        "M_i^m is what v_{n+1-i} makes of u^m, about the present node in units of the present step.",
        tuple(eq(sp.Symbol(f"M_{i}^{m}"), residual(x)) for i, row in enumerate(rows) for m, x in enumerate(row)),
    )
    yield Step(
        "conditions",
        "`X_{n+1} = e^{ch} X_n + sum_i w_i v_{n+1-i}` is exact for `f = u^m`, `m < k`, if",
        tuple(eq(x.lhs + sp.Symbol(f"mu_{m}"), sp.Symbol(f"mu_{m}")) for m, x in enumerate(remains)),
    )
    yield Step(
        "closed form",
        "The velocities span what the `k - 1` newest evaluations span with the oldest velocity. With P the product of "
        "`u - u_j` over those nodes, l_j their Lagrange basis and M the oldest velocity's moments, `a = mu[P]/M[P]` "
        "and `b_j = (mu - a M)[l_j]` are the weights on these, and `f_n = (v_{n+1} - (1-beta) v_n)/beta` turns them "
        "into the w_i.",
        (eq(A, readable(a)), *indexed("b", b), *(eq(sp.Symbol(f"w_{i}"), tidy(x)) for i, x in enumerate(in_parts))),
    )
    yield Step("weights", "With a and b_j put in:", indexed("w", w))
    yield Step(
        "check: the conditions", "`sum_i w_i M_i^m - mu_m`; `m = 0` is the sum of the weights.", remains, check=True
    )


def momentum(method: Momentum, h: Any, ratio: sp.Expr) -> Iterator[Step]:
    """Yield what momentum adds to the derivation of its base."""
    weights = [to_sympy(x) for x in method.coefficients(h=h, ratios=(ratio,) * (method.points - 1))]
    total, (on_v, on_p) = residual(sum(weights)), method.factors()
    letter, on = ("omega", evaluation) if isinstance(method.base, AdamsBashforth) else ("w", velocity)
    names = sum(sp.Symbol(f"{letter}_{j}") for j in range(len(weights)))
    mix = [readable(x / total) for x in weights]
    yield Step(
        "normalised mix",
        "The base's weights sum to W. The mix p_n has weights that sum to 1, so that the velocity of a constant "
        "prediction is that prediction.",
        (eq(W, names), eq(W, readable(total)), eq(P_NOW, sum(x * on(j) for j, x in enumerate(mix)))),
    )
    yield Step("check: the mix", "Its weights sum to 1.", (eq(names / W - 1, residual(sum(mix) - 1)),), check=True)
    yield Step(
        "velocity and sample",
        "The velocity averages the mix; the sample moves by W times a combination of velocity and mix"
        + (", which is v_{n+1}." if method.short == "HB" else ", which is `(1-beta) v_{n+1} + beta p_n`."),
        (
            eq(V_NEXT, (1 - method.beta) * V_NOW + method.beta * P_NOW),
            eq(X_NEXT, sp.exp(method.kernel * H) * X_NOW + W * (on_v * V_NOW + on_p * P_NOW)),
        ),
    )
    yield _tableau(method, h, ratio, total)
    if isinstance(method.base, AdamsBashforth):
        yield from eliminated(method, h, ratio)


def _tableau(method: Momentum, h: Any, ratio: sp.Expr, total: sp.Expr) -> Step:
    """Return the rows of sample and velocity in the tableau, compared with the recursion."""
    ratios = (ratio,) * (method.points - 1)
    tableau, _ = method.advance((method.base.state_at(ratios),), method.point(h=h, ratios=ratios))
    (_, *memory, v_sample), (_, *mixed, v_velocity) = tableau.V[0], tableau.V[-1]
    (on_v, on_p), beta = method.factors(), to_sympy(method.beta)
    found = (
        ("x,v", W * on_v, v_sample - total * on_v),
        ("x,p", W * on_p, sum(memory) + sum(tableau.B[0]) - total * on_p),
        ("v,v", 1 - beta, v_velocity - (1 - beta)),
        ("v,p", beta, sum(mixed) + sum(tableau.B[-1]) - beta),
    )
    return Step(
        "check: the tableau",
        "T_{x,v} is what the tableau's sample row has on v_n, T_{x,p} the sum of what it has on evaluations; T_{v,v} "
        "and T_{v,p} are the same of the velocity row.",
        tuple(eq(sp.Symbol(f"T_{{{name}}}") - stated, residual(x)) for name, stated, x in found),
        check=True,
    )


def eliminated(method: Any, h: Any, ratio: sp.Expr) -> Iterator[Step]:
    """Yield the method without its velocity, compared with the stability polynomial where steps are equal."""
    form = two_step(method, h=h, ratios=(ratio,) * method.points)
    now, before = sp.symbols("D_n D_{n-1}")
    right = sp.Add(form.gain * before, *(x * evaluation(j) for j, x in enumerate(form.weights)))
    yield Step(
        "the velocity eliminated",
        "With `D_n = X_{n+1} - e^{ch_n} X_n`, two steps in a row determine the velocity between them. What is left is "
        "a linear multistep method; the factor of D_{n-1} is its second root at `z = 0`.",
        (eq(now, X_NEXT - sp.exp(method.kernel * sp.Symbol("h_n")) * X_NOW), eq(now, right)),
    )
    if ratio == 1:
        yield _pair(method, h, form)


def _pair(method: Any, h: Any, form: TwoStep) -> Step:
    rho, sigma = multistep_pair(steady(method, h))
    xi, d = sp.exp(method.kernel * step_length(method, h)), rho.degree()
    roots = (ZETA - xi) * (ZETA - form.gain) * ZETA ** (d - 2)
    row = sum(x * ZETA ** (d - 1 - j) for j, x in enumerate(form.weights))
    return Step(
        "check: the stability polynomial",
        "`rho(zeta) - z sigma(zeta)` is the determinant of the tableau; minus the eliminated form it leaves",
        (
            eq(sp.Function("rho")(ZETA) - roots, _difference(rho, roots)),
            eq(sp.Function("sigma")(ZETA) - row, _difference(sigma, row)),
        ),
        check=True,
    )


def _difference(polynomial: sp.Poly, expression: sp.Expr) -> sp.Expr:
    """Return what remains of a difference; e^{ch} is one more symbol."""
    difference = polynomial.as_expr() - expression
    return residual(difference.xreplace({e: sp.Dummy() for e in difference.atoms(sp.exp)}))
