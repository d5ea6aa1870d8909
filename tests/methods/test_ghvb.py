"""GHVB integrates what its velocity filter sees on any grid, and is the published method on equal steps."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest
import sympy as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import numdiff as nd
from numdiff import testing
from numdiff.formulations import FORMULATIONS, Span
from numdiff.methods.multistep import Point
from numdiff.weights import moments

BETA = sp.Symbol("beta", positive=True)
SCHEDULE = nd.schedules.VPLinear()
TIMES = np.array([0.95, 0.83, 0.62, 0.55, 0.41, 0.3, 0.17])


def model(x, t):
    return np.tanh(1.3 * x) * (1 - t) + 0.2 * np.cos(3 * t)


def run(method, grid=TIMES, schedule=SCHEDULE, prediction="noise"):
    scheme = method.discretize(schedule, grid)
    return np.array(nd.sample(scheme, model, np.array([1.5, -0.3, 0.2]), prediction=prediction, trajectory=True))


# --- on any grid ------------------------------------------------------------------------------------------------------


@settings(max_examples=20)
@given(
    st.integers(1, 5),
    st.fractions(Fraction(1, 5), 1, max_denominator=7),
    testing.steps(6, 8, exact=True),
    st.lists(st.integers(-4, 4), min_size=5, max_size=5),
)
def test_polynomials_of_lower_degree_are_integrated_exactly_through_the_velocity(k, beta, steps, coefficients):
    """The velocity recursion itself, run in rationals, meets the weights; neither knows of the other."""
    method, state, t = nd.GHVB(k, beta), None, Fraction(0)
    y, velocities, times = [Fraction(0)] * method.registers, [], [Fraction(0)]
    p = [Fraction(c) for c in coefficients[:k]]

    def f(t):
        return sum(c * t**m for m, c in enumerate(p))

    for n, h in enumerate(steps):
        order = min(k, n + 1)
        nodes = tuple((u - t) / h for u in reversed(times))[: max(order, 2)]
        point = Point(Span(1, h, moments(h, 0, order)), nodes, order, first=n == 0)
        tableau, state = method.advance(state, point)
        before = y[0]
        y = nd.step(tableau, y, lambda Y, level, t=t: f(t))
        velocities.append((1 - beta) * velocities[-1] + beta * f(t) if n else f(t))
        t += h
        times.append(t)
        assert y[1] == velocities[-1]
        if order == k:
            assert y[0] - before == sum(c * (t ** (m + 1) - (t - h) ** (m + 1)) / (m + 1) for m, c in enumerate(p))


@settings(max_examples=15)
@given(st.integers(1, 5), st.lists(st.floats(1.0, 2.0), min_size=7, max_size=12), st.sampled_from(list(FORMULATIONS)))
def test_beta_one_is_adams_bashforth_on_any_grid(k, steps, name):
    grid = 0.95 - 0.8 * np.cumsum([0, *steps]) / sum(steps)
    prediction = FORMULATIONS[name].prediction
    adams, ghvb = (run(method, grid, prediction=prediction) for method in (AB(k, name), nd.GHVB(k, 1, name)))
    # The two solve for the same weights by different eliminations; order 5 loses two digits.
    np.testing.assert_allclose(ghvb, adams, rtol=0, atol=1e-12 * np.abs(adams).max())


def AB(order, formulation):
    return nd.AdamsBashforth(order, formulation)


@settings(max_examples=15)
@given(st.lists(st.floats(1.0, 2.0), min_size=4, max_size=9), st.floats(0.1, 2.0), st.sampled_from(list(FORMULATIONS)))
def test_order_one_is_heavy_ball_on_euler_in_every_formulation(steps, beta, name):
    grid, prediction = 0.95 - 0.8 * np.cumsum([0, *steps]) / sum(steps), FORMULATIONS[name].prediction
    ghvb = run(nd.GHVB(1, beta, name), grid, prediction=prediction)
    heavy = run(nd.HeavyBall(AB(1, name), beta=beta), grid, prediction=prediction)
    np.testing.assert_allclose(ghvb, heavy, rtol=0, atol=1e-13 * np.abs(heavy).max())  # nine steps of ten operations


def test_on_equal_steps_the_variable_weights_become_the_published_ones():
    schedule, grid = nd.schedules.EDM(), np.linspace(40.0, 1.0, 61)  # uniform in rho
    for k in (1, 2, 3, 4):
        variable, uniform = (nd.GHVB(k, 0.6, weights=w).discretize(schedule, grid) for w in ("variable", "uniform"))
        start, end = variable.tableaus[k], variable.tableaus[-1]
        last = uniform.tableaus[-1]
        # The filter forgets like 0.4^60 = 1e-24; what is left is the rounding of two eliminations.
        np.testing.assert_allclose([*end.V[0], *end.B[0]], [*last.V[0], *last.B[0]], rtol=1e-12)
        if k > 1:
            early = uniform.tableaus[k]
            assert abs(start.B[0][0] - early.B[0][0]) > 1e-3  # not yet in the steps after the start


def tableaus(method, nodes):
    """The weights of a run over given nodes, in their own numbers: rationals stay exact."""
    state, rows = None, []
    for n in range(len(nodes) - 1):
        h, order = nodes[n + 1] - nodes[n], min(method.order, n + 1)
        relative = tuple((nodes[n - j] - nodes[n]) / h for j in range(min(n + 1, max(order, 2))))
        point = Point(Span(1, h, moments(h, 0, order)), relative, order, first=n == 0)
        tableau, state = method.advance(state, point)
        rows.append([float(x) for x in (*tableau.V[0][1:], *tableau.B[0])])
    return np.array(rows)


@pytest.mark.parametrize("beta", [0.2, 0.8])
@pytest.mark.parametrize("ratio", [0.25, 0.75, 1.0, 1.5])
@pytest.mark.parametrize("k", [2, 5, 8])
def test_no_digits_are_lost_on_graded_grids(k, ratio, beta):
    """Steps that shrink by r a step leave the filter a past that outweighs the present by ((1-beta)/r^k)^n."""
    nodes = np.arange(31.0) if ratio == 1 else np.sign(ratio - 1) * ratio ** np.arange(31.0)
    found = tableaus(nd.GHVB(k, beta), nodes.tolist())
    exact = tableaus(nd.GHVB(k, Fraction(beta)), [Fraction(x) for x in nodes])
    # Each weight to the rounding of the largest of its row: of the order of k^2 = 64 operations, some of which lose a
    # digit where the steps grow and the nodes, seen from the last one, crowd.
    assert (np.abs(found - exact).max(axis=1) <= 1e-13 * np.abs(exact).max(axis=1)).all()


@settings(max_examples=25)
@given(st.integers(2, 8), st.floats(0.01, 1.0), st.lists(st.floats(-3.0, 3.0), min_size=8, max_size=14))
def test_up_to_beta_one_no_grid_is_refused(k, beta, exponents):
    """However steps of 10^-3 to 10^3 follow each other."""
    grid = np.cumsum([0.0, *(10.0 ** np.array(exponents))])
    scheme = nd.GHVB(k, beta).discretize(None, grid)
    assert all(np.isfinite(x) for t in scheme for row in (*t.V, *t.B) for x in row)


def last_weights(method, ratio, count):
    """The weights on the velocities after `count` steps of a geometric grid of length 1, 1/r, ... before the last."""
    state = None
    for n in range(count):
        order = min(method.order, n + 1)
        nodes, at = [Fraction(0)], Fraction(0)
        for j in range(1, max(order, 2)):
            at -= 1 / ratio**j
            nodes.append(at)
        unit = ratio ** (n - count)
        relative = tuple(nodes if n else nodes[:1])
        point = Point(Span(1, unit, moments(unit, 0, order)), relative, order, first=n == 0)
        _, state = method.advance(state, point)
    return np.array([float(w / unit) for w in method.weights_at(state, point)])


@pytest.mark.parametrize("k", [2, 3, 4])
@pytest.mark.parametrize(("beta", "ratio"), [("1/2", "3/8"), ("4/5", "3/4"), ("4/5", "2/5"), ("7/4", "1/3")])
def test_geometric_grids_have_the_printed_weights_or_lose_the_damping(k, beta, ratio):
    """With |1-beta| < r^{k-1} the run tends to `coefficients`; else to Adams-Bashforth of order k - 1: Euler for 2."""
    beta, r = Fraction(beta), Fraction(ratio)
    method, ratios = nd.GHVB(k, beta), [r] * (k - 1)
    gain = abs(1 - beta) / r ** (k - 1)
    found = last_weights(method, r, 100)
    if gain < 1:
        expected = np.array(method.coefficients(ratios=ratios), dtype=float)
    else:
        with pytest.raises(ValueError, match=r"no steady state at beta = .*\|1 - beta\| = .* must be below ratio\^"):
            method.coefficients(ratios=ratios)
        on_f = nd.AdamsBashforth(k - 1).coefficients(ratios=ratios[1:])
        expected = np.zeros(k)  # beta f_{n-j} = v_{n+1-j} - (1-beta) v_{n-j}
        for j, w in enumerate(on_f):
            expected[j : j + 2] += float(w / beta), float(-w * (1 - beta) / beta)
    rate = float(max(min(gain, 1 / gain), r))  # lower moments follow r times more slowly
    assert rate**100 < 1e-6
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e3 * rate**95 + 1e-12)


@pytest.mark.parametrize(("beta", "ratio"), [("1/2", "1/2"), ("3/2", "1/2"), ("3/4", "1/4")])
def test_at_the_edge_the_filter_does_not_settle_and_is_refused(beta, ratio):
    with pytest.raises(ValueError, match="use a ratio nearer to 1 or a beta nearer to 1"):
        nd.GHVB(2, Fraction(beta)).coefficients(ratios=[Fraction(ratio)])


# --- the published weights --------------------------------------------------------------------------------------------


def gammas(count):
    """Coefficients of -t/((1-t) log(1-t)) = 1/q, q = (1-t) sum_j t^j/(j+1)."""
    q = [sp.Integer(1)] + [sp.Rational(1, j + 1) - sp.Rational(1, j) for j in range(1, count)]
    gamma = [sp.Integer(1)]
    for n in range(1, count):
        gamma.append(-sum(q[j] * gamma[n - j] for j in range(1, n + 1)))
    return gamma


@pytest.mark.parametrize("k", range(1, 7))
def test_the_steady_weights_are_the_published_ones_with_symbolic_beta(k):
    gamma, ratio = gammas(k), (1 - BETA) / BETA
    c = [gamma[j] + (ratio * gamma[j - 1] if j else 0) for j in range(k)]
    published = [sum((-1) ** i * comb(j, i) * c[j] for j in range(i, k)) for i in range(k)]
    for weights in ("variable", "uniform"):
        found = nd.GHVB(k, BETA, weights=weights).coefficients()
        assert [sp.cancel(w - p) for w, p in zip(found, published, strict=True)] == [0] * k


def test_the_weights_of_order_two_and_three_in_closed_form():
    assert nd.GHVB(2, BETA).coefficients() == tuple(sp.cancel(w / (2 * BETA)) for w in (2 + BETA, BETA - 2))
    three = nd.GHVB(3, Fraction(4, 5)).coefficients()
    assert three == tuple(w / (12 * Fraction(4, 5)) for w in (22, -(24 - Fraction(32, 5)), 6 - Fraction(4, 5)))


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_the_steady_step_is_the_published_linear_multistep_method(k):
    """(1 - E)(1 - (1-beta)E) x_{n+1} = d beta sum_i w_i E^{i+1} f_{n+1}: no register of v is left."""
    beta = Fraction(3, 5)
    method = nd.GHVB(k, beta)
    w, tableau = method.coefficients(), method.steady()
    f = [Fraction(n * n - 3 * n + 5, n + 1) for n in range(12)]  # no polynomial
    x, y = [], [Fraction(0)] * method.registers
    for value in f:
        x.append(y[0])
        y = nd.step(tableau, y, lambda Y, level, value=value: value)
    x.append(y[0])
    for n in range(k + 1, 11):
        left = x[n + 1] - (2 - beta) * x[n] + (1 - beta) * x[n - 1]
        assert left == beta * sum(w_i * f[n - i] for i, w_i in enumerate(w))


def test_the_generalised_nesterov_family_is_ghvb_of_order_two():
    """x+ = x + d [c_0 f + (1-c_0) v+ + b_1 (v+ - v)] with b_1 = ((2-beta)/2 - (1-beta) c_0)/beta, for every c_0."""
    c0, f, v = sp.symbols("c_0 f v")
    new = (1 - BETA) * v + BETA * f
    family = c0 * f + (1 - c0) * new + ((2 - BETA) / 2 - (1 - BETA) * c0) / BETA * (new - v)
    tableau = nd.GHVB(2, BETA).steady()
    x, again = nd.step(tableau, [sp.Integer(0), v], lambda Y, level: f)
    assert sp.simplify(x - family) == 0
    assert sp.expand(again - new) == 0


# --- interface --------------------------------------------------------------------------------------------------------


def test_geometric_grids_have_steady_weights_and_unequal_ratios_do_not():
    r = sp.Symbol("r", positive=True)
    w = nd.GHVB(2, BETA).coefficients(ratios=[r])
    # M_0^1 = -(1-beta)/(r - (1-beta)), M_1^1 = M_0^1/(1-beta): w_0 + w_1 = 1, w_0 M_0 + w_1 M_1 = 1/2.
    M0, M1 = -(1 - BETA) / (r - 1 + BETA), -1 / (r - 1 + BETA)
    assert sp.simplify(w[0] + w[1] - 1) == 0
    assert sp.simplify(w[0] * M0 + w[1] * M1 - sp.Rational(1, 2)) == 0
    steps = 1.3 ** np.arange(70)
    scheme = nd.GHVB(2, 0.6).discretize(None, np.cumsum([0, *steps]))
    row = scheme.tableaus[-1].B[0][0] / steps[-1]
    expected = 0.6 * float(w[0].subs({BETA: sp.Rational(3, 5), r: sp.Rational(13, 10)}))
    np.testing.assert_allclose(row, expected, rtol=1e-12)  # (0.4/1.3)^70 is nothing
    with pytest.raises(ValueError, match="remembers every step: give equal ratios"):
        nd.GHVB(3, 0.8).coefficients(ratios=[1, 2])


def test_beta_above_one_is_refused_where_the_weights_are_singular():
    # At beta = 2 on equal steps the filter's moments -h, h, ... put M_0 = M_1 at the third node.
    with pytest.raises(
        ValueError, match=r"GHVB2\(2\) on this grid: .*use weights=.uniform., beta <= 1 or another order"
    ):
        nd.GHVB(2, 2).discretize(None, np.linspace(0, 1, 9))


def test_from_paper_reads_the_decimal():
    assert nd.GHVB.from_paper(2.8) == nd.GHVB(3, Fraction(4, 5), weights="uniform")
    assert nd.GHVB.from_paper("1.8", weights="variable") == nd.GHVB(2, Fraction(4, 5))
    assert nd.GHVB.from_paper(4.0) == nd.GHVB(4, 1, weights="uniform")


def test_gradients_with_respect_to_beta_reach_the_weights():
    def weight(beta):
        return nd.GHVB(3, beta).discretize(None, [0.0, 1.0, 1.5, 2.5, 4.5]).tableaus[-1].B[0][0]

    beta = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(weight, (beta,))
    assert weight(torch.tensor(0.7, requires_grad=True)).dtype == torch.float64  # promoted, and still in the graph
    assert type(weight(torch.tensor(0.7))) is float
    assert weight(np.float32(0.5)) == weight(0.5)
