"""Stiff order conditions on published exponential Runge-Kutta methods, multistep methods and predictor-correctors."""

from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

import numdiff as nd
from numdiff.symbolic.phi import phi
from numdiff.symbolic.steady import H

HALF = sp.Rational(1, 2)


def p(k, c=1):
    """phi_k(c z), z = -h."""
    return phi(k, -c * H)


def exponential(c, A, b):
    """The tableau of an exponential Runge-Kutta method on X' = -X + f; `A` may leave out a_i1 (None)."""
    s, rows = len(c), []
    for i, row in enumerate(A):
        if row and row[0] is None:  # the row sum c_i phi_1(c_i z)
            row = [c[i] * p(1, c[i]) - sum(row[1:]), *row[1:]]
        rows.append([*(H * x for x in row), *[0] * (s - len(row))])
    return nd.Tableau(A=rows, U=[(sp.exp(-x * H),) for x in c], B=[[H * x for x in b]], V=[[sp.exp(-H)]])


B4 = [p(1) - 3 * p(2) + 4 * p(3), 2 * p(2) - 4 * p(3), 2 * p(2) - 4 * p(3), 4 * p(3) - p(2)]
A52 = HALF * p(2, HALF) - p(3) + p(2) / 4 - HALF * p(3, HALF)
NODES4 = [0, HALF, HALF, 1]

# name: (tableau, stiff order, weak stiff order, classical order)
PUBLISHED = {
    "exponential Euler": (exponential([0], [[]], [p(1)]), 1, 1, 1),
    "ETD2RK (Cox and Matthews)": (exponential([0, 1], [[], [None]], [p(1) - p(2), p(2)]), 2, 2, 2),
    "ETD3RK (Cox and Matthews)": (
        exponential(
            [0, HALF, 1],
            [[], [None], [None, 2 * p(1)]],
            [p(1) - 3 * p(2) + 4 * p(3), 4 * p(2) - 8 * p(3), 4 * p(3) - p(2)],
        ),
        2, 2, 3,
    ),
    "ETD4RK (Cox and Matthews)": (
        exponential(
            NODES4,
            [[], [None], [None, HALF * p(1, HALF)], [HALF * p(1, HALF) * (sp.exp(-H / 2) - 1), 0, p(1, HALF)]],
            B4,
        ),
        2, 2, 4,
    ),
    "ETD4RK (Krogstad)": (exponential(NODES4, [[], [None], [None, p(2, HALF)], [None, 0, 2 * p(2)]], B4), 3, 3, 4),
    "Strehmel and Weiner": (
        exponential(
            NODES4,
            [[], [None], [None, p(2, HALF) / 2], [None, -2 * p(2), 4 * p(2)]],
            [B4[0], 0, 4 * p(2) - 8 * p(3), B4[3]],
        ),
        3, 3, 4,
    ),
    "Hochbruck and Ostermann, five stages": (
        exponential(
            [*NODES4, HALF],
            [[], [None], [None, p(2, HALF)], [None, p(2), p(2)], [None, A52, A52, p(2, HALF) / 4 - A52]],
            [B4[0], 0, 0, B4[3], 4 * p(2) - 8 * p(3)],
        ),
        3, 4, 4,
    ),
    "Lawson's RK4": (
        exponential(
            NODES4,
            [[], [HALF * sp.exp(-H / 2)], [0, HALF], [0, 0, sp.exp(-H / 2)]],
            [sp.exp(-H) / 6, sp.exp(-H / 2) / 3, sp.exp(-H / 2) / 3, sp.Rational(1, 6)],
        ),
        0, 1, 4,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_exponential_runge_kutta_methods(name):
    """The orders given by Hochbruck and Ostermann (2005), section 5; Lawson methods fail the first condition."""
    tableau, strict, weak, classical = PUBLISHED[name]
    found = nd.order.stiff(tableau)
    assert (found.order, found.weak_order, found.classical_order) == (strict, weak, classical)
    assert nd.order.certified(tableau) == classical


def test_what_order_three_lacks_in_etd4rk_is_one_condition_that_holds_at_zero():
    (failing,) = nd.order.stiff(PUBLISHED["ETD4RK (Cox and Matthews)"][0]).failing
    assert failing.formula == "sum b_i J psi_{2,i} = 0"
    assert failing.holds == "at z = 0"
    z1, z2 = sp.symbols("z1 z2")
    tiny = sp.Rational(1, 10**6)
    assert abs(sp.N(failing.residual.subs({z1: tiny, z2: tiny}), 40)) < tiny
    assert abs(sp.N(failing.residual.subs({z1: tiny, z2: -1}), 40)) > sp.Rational(1, 1000)


def single_step(rule, c2):
    """DPM-Solver-2S: the second weight is phi_1/(2 c_2) (midpoint) or phi_2/c_2 (taylor)."""
    b2 = p(1) / (2 * c2) if rule == "midpoint" else p(2) / c2
    return exponential([0, c2], [[], [None]], [p(1) - b2, b2])


@pytest.mark.parametrize("c2", [HALF, sp.Rational(2, 3), sp.Symbol("c2", positive=True)])
def test_dpm_solver_2s_taylor_meets_the_second_condition_identically_and_midpoint_weakly(c2):
    taylor, midpoint = (nd.order.stiff(single_step(rule, c2)) for rule in ("taylor", "midpoint"))
    assert (taylor.order, taylor.weak_order, taylor.classical_order) == (2, 2, 2)
    assert (midpoint.order, midpoint.weak_order, midpoint.classical_order) == (1, 2, 2)
    (failing,) = midpoint.failing
    assert (failing.formula, failing.holds) == ("psi_2 = 0", "weakly")
    assert sp.simplify(sp.expand_func(p(2) - p(1) / 2) - failing.residual) == 0


@pytest.mark.parametrize(("c3", "weak", "classical"), [("2/3", 3, 3), ("7/10", 2, 2)])
def test_dpm_solver_3s_needs_its_third_node_at_two_thirds(c3, weak, classical):
    c2, c3 = sp.Rational(1, 3), sp.Rational(c3)
    rows = [[], [None], [None, c3**2 / c2 * p(2, c3)]]
    found = nd.order.stiff(exponential([0, c2, c3], rows, [p(1) - p(2) / c3, 0, p(2) / c3]))
    assert (found.order, found.weak_order, found.classical_order) == (2, weak, classical)


def test_the_half_rule_is_exact_for_constants_only():
    """phi_2(-h) - phi_1(-h)/2, of first order in h, is what keeps DPM-Solver++ 2M from stiff order 2."""
    found = nd.order.stiff(nd.DPMSolverPP(2, rule="half"))
    assert (found.order, found.weak_order, found.classical_order) == (1, 2, 2)
    (failing,) = found.failing
    assert str(failing) == "psi_2 = 0: holds weakly"
    assert sp.simplify(sp.expand_func(p(2) - p(1) / 2) - failing.residual) == 0
    assert nd.order.stiff(nd.DPMSolverPP(2)).order == 2


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_exact_exponential_multistep_methods_keep_their_order(k):
    beta = sp.Symbol("beta", positive=True)
    for method in (nd.AdamsBashforth(k, "data/log-snr"), nd.GHVB(k, Fraction(1, 3), "noise/log-snr")):
        assert nd.order.stiff(method).order == k
    if k > 1:
        assert nd.order.stiff(nd.HeavyBall(nd.DPMSolverPP(k), beta)).order == 1


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_unipc_has_one_order_more_than_its_memory(k):
    """The predictor's stage order is k, the corrector is exact to order k + 1."""
    found = nd.order.stiff(nd.UniPC(k))
    assert (found.order, found.classical_order) == (k + 1, k + 1)


def test_published_short_cuts_of_unipc_cost_stiff_order():
    """At k = 2 they put a multiple of phi_1 or of 1 for phi_2 in the predictor: classical order 3, stiff order 2."""
    for rule in ("bh1", "bh2"):
        found = nd.order.stiff(nd.UniPC(2, rule=rule))
        assert (found.order, found.classical_order) == (2, 3)
        assert [c.formula for c in found.failing] == ["sum b_i J psi_{2,i} = 0"]
    assert nd.order.stiff(nd.UniPC(1, rule="bh2")).order == 1


@pytest.mark.parametrize("name", sorted(nd.methods()))
def test_stiff_order_is_at_most_the_classical_one(name):
    method = nd.methods()[name]
    if method.kernel:
        found = nd.order.stiff(method)
        assert found.order <= found.weak_order <= found.classical_order == method.order
        assert all(c.residual == 0 for c in found.conditions if c.holds == "identically")
        assert all(c.residual != 0 for c in found.conditions if c.holds != "identically")
    else:
        with pytest.raises(ValueError, match="no linear part"):
            nd.order.stiff(method)


def test_bad_input():
    with pytest.raises(TypeError, match="must be a method such as"):
        nd.order.stiff(3)
    with pytest.raises(ValueError, match="floating-point coefficients"):
        nd.order.stiff(nd.Tableau(A=[[0]], U=[[1]], B=[[0.5 * H * phi(1, H)]], V=[[sp.exp(H)]]))
    with pytest.raises(ValueError, match="not an exponential"):
        nd.order.stiff(
            nd.Tableau(
                A=[
                    [0],
                ],
                U=[[1]],
                B=[[H]],
                V=[[1 + H]],
            )
        )


def local_errors(method, stiffness, steps):
    """The largest error over t <= 1 of y' = -stiffness y + g(t), y = cos t, on exact starts."""
    h = 1 / steps
    weights = [float(w) / (stiffness * h) * h for w in method.coefficients(h=sp.Rational(stiffness * h))]
    t = np.arange(steps + 1) * h
    y, g = np.cos(t), stiffness * np.cos(t) - np.sin(t)
    x, worst = y[1], 0.0
    for n in range(1, steps):
        x = np.exp(-stiffness * h) * x + weights[0] * g[n] + weights[1] * g[n - 1]
        worst = max(worst, abs(x - y[n + 1]))
    return worst


def test_stiff_orders_show_where_the_linear_part_is_large():
    """Exact 2M keeps order 2 at every stiffness; the half rule has order 1 where h L is large and f as large as L."""

    def slope(rule, stiffness):
        method = nd.DPMSolverPP(2, rule=rule)
        return nd.order.observed(lambda n: local_errors(method, stiffness, n), [64, 128, 256]).slope

    assert slope("exact", 1) > 1.9
    assert slope("half", 1) > 1.9
    assert slope("exact", 10**5) > 1.9
    assert slope("half", 10**5) < 1.1
