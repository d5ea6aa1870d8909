"""Adams-Bashforth is exact on polynomials, and the published samplers are the members that they are named as."""

import itertools
from fractions import Fraction
from math import exp, log

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import numdiff as nd
from numdiff import testing
from numdiff.elementary import log as log_of
from numdiff.formulations import FORMULATIONS, Span
from numdiff.methods.multistep import Point
from numdiff.phi import phi
from numdiff.symbolic.derivations import derivation
from numdiff.weights import moments
from tests.methods.test_observed_orders import END, START, TOLERANCE, mixture_error, slope

SCHEDULE = nd.schedules.VPLinear()
TIMES = np.array([0.95, 0.83, 0.62, 0.55, 0.41, 0.3, 0.17])


def model(x, t):
    return np.tanh(1.3 * x) * (1 - t) + 0.2 * np.cos(3 * t)


def levels(times=TIMES):
    return [SCHEDULE.level(t) for t in times]


def run(method, x, *, grid=TIMES, **options):
    return nd.sample(method.discretize(SCHEDULE, grid, **options), model, x, prediction="noise")


# --- exactness --------------------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(
    st.integers(1, 8),
    testing.steps(9, 11, exact=True),
    st.lists(st.integers(-4, 4), min_size=8, max_size=8),
)
def test_every_order_integrates_polynomials_of_lower_degree_exactly_on_any_grid(k, steps, coefficients):
    method, y, t = nd.AdamsBashforth(k), [Fraction(0)] * k, Fraction(0)
    p = [Fraction(c) for c in coefficients[:k]]
    nodes = [t]
    for n, h in enumerate(steps):
        order = min(k, n + 1)
        relative = tuple((u - t) / h for u in reversed(nodes))[:order]
        tableau, _ = method.advance(None, Point(Span(1, h, moments(h, 0, order)), relative, order, first=n == 0))
        before, y = y[0], nd.step(tableau, y, lambda Y, level, t=t: sum(c * t**m for m, c in enumerate(p)))
        t += h
        if order == k:  # before, the starting steps are of lower order
            integral = sum(c * (t ** (m + 1) - (t - h) ** (m + 1)) / (m + 1) for m, c in enumerate(p))
            assert y[0] - before == integral
        nodes.append(t)


@pytest.mark.parametrize("name", FORMULATIONS)
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_every_formulation_integrates_a_polynomial_in_its_own_variable(name, order):
    """A whole run against quadrature of x_t = xi x_s + kappa_t int e^{c(s_t - s)} p(s) ds."""
    formulation, (z, w) = FORMULATIONS[name], np.polynomial.legendre.leggauss(20)
    grid = levels()
    s0 = formulation.node(grid[0])
    scale = formulation.node(grid[-1]) - s0

    def p(s):
        return sum((m + 1) * (-(s - s0) / scale) ** m for m in range(order))

    def truth(start, end, x):
        s_s, s_t, (a_s, _), (a_t, _) = *map(formulation.node, (start, end)), *map(formulation.scales, (start, end))
        s = s_s + (s_t - s_s) * (z + 1) / 2
        integral = (s_t - s_s) / 2 * np.sum(w * np.exp(formulation.c * (s_t - s)) * p(s))
        return a_t / a_s * x + formulation.kappa(end) * integral

    level_at = {level.model_time: level for level in grid}
    scheme = nd.AdamsBashforth(order, formulation).discretize(SCHEDULE, grid, start="exact")
    path = [np.array(0.7)]
    for start, end in itertools.pairwise(grid):
        path.append(truth(start, end, path[-1]))
    exact = {level.time: x for level, x in zip(grid, path, strict=True)}
    found = nd.sample(
        scheme,
        lambda x, t: np.asarray(p(formulation.node(level_at[t]))),
        path[0],
        prediction=scheme.prediction,
        exact=lambda level: np.asarray(exact[level.time]),
    )
    # Gauss's rule with 20 points is exact to rounding; the weights of order 4 sum terms up to ten times their value.
    np.testing.assert_allclose(found, path[-1], rtol=1e-13)


# --- published samplers -----------------------------------------------------------------------------------------------


def test_ddim_is_one_step_in_four_formulations():
    x = np.array([1.5, -0.3, 0.0])
    here, there = levels()[:2]
    eps = model(x, here.time)
    x0 = (x - here.sigma * eps) / here.alpha
    expected = there.alpha * x0 + there.sigma * eps  # Song et al. 2021, eq. 12 with sigma_t = 0
    for formulation in (None, "noise/ratio", "noise/log-snr", "data/log-snr", "data/ratio"):
        found = run(nd.DDIM(formulation), x, grid=TIMES[:2])
        np.testing.assert_allclose(found, expected, rtol=1e-14)  # a dozen operations, nothing cancels


@pytest.mark.parametrize(("rule", "half"), [("half", True), ("exact", False)])
def test_dpm_solver_pp_2m_is_the_published_update(rule, half):
    """Lu et al. 2022, algorithm 2 ("midpoint"), and the variant with (1 - e^-h)/h - e^-h in its place ("Heun")."""
    grid, x, previous = levels(), np.array([1.5, -0.3, 0.2]), None
    y = x
    for n in range(len(grid) - 1):
        s, t = grid[n], grid[n + 1]
        h = t.log_snr - s.log_snr
        D = (y - s.sigma * model(y, s.time)) / s.alpha
        slope = 0.0 if previous is None else (D - previous[0]) / ((s.log_snr - previous[1]) / h)
        extra = (1 - exp(-h)) / 2 if half else 1 + (exp(-h) - 1) / h
        y_next = t.sigma / s.sigma * y - t.alpha * (exp(-h) - 1) * D + t.alpha * extra * slope
        previous, y = (D, s.log_snr), y_next
    found = run(nd.DPMSolverPP(2, rule=rule), x)
    np.testing.assert_allclose(found, y, rtol=1e-13)  # six steps of a dozen operations; D divides by alpha > 0.01


def test_plms_takes_the_classical_weights_whatever_the_grid():
    """Liu et al. 2022, eq. 12, in the transfer form x + (rho_t - rho_s) e on x/alpha."""
    weights = {1: [1], 2: [3 / 2, -1 / 2], 3: [23 / 12, -16 / 12, 5 / 12], 4: [55 / 24, -59 / 24, 37 / 24, -9 / 24]}
    grid, x, history = levels(), np.array([1.5, -0.3, 0.2]), []
    y = x
    for s, t in itertools.pairwise(grid):
        history = [model(y, s.time), *history][:4]
        e = sum(w * f for w, f in zip(weights[len(history)], history, strict=True))
        y = t.alpha * (y / s.alpha + (t.rho - s.rho) * e)
    np.testing.assert_allclose(run(nd.PLMS(4), x), y, rtol=1e-13)  # as above


def test_log_rho_deis_integrates_the_interpolant_in_log_rho():
    """Zhang and Chen 2023: alpha_t int l_j(log rho) d rho, here by Gauss-Legendre quadrature in log rho."""
    grid, x, history = levels(), np.array([1.5, -0.3, 0.2]), []
    z, w = np.polynomial.legendre.leggauss(20)
    y = x
    for n, (s, t) in enumerate(itertools.pairwise(grid)):
        history = [model(y, s.time), *history][:3]
        nodes = [log(grid[n - j].rho) for j in range(len(history))]
        a, b = log(s.rho), log(t.rho)
        u = a + (b - a) * (z + 1) / 2
        e = 0
        for j, f in enumerate(history):
            basis = np.prod([(u - nodes[i]) / (nodes[j] - nodes[i]) for i in range(len(nodes)) if i != j], axis=0)
            e = e + f * np.sum(w * np.exp(u) * basis) * (b - a) / 2
        y = t.alpha * (y / s.alpha + e)
    # 20 points integrate e^u times a quadratic to rounding on |b - a| < 2.
    np.testing.assert_allclose(run(nd.DEIS(3, "log-rho"), x), y, rtol=1e-13)


def test_named_members_are_the_familys_own_objects():
    AB = nd.AdamsBashforth
    assert nd.LMS(3) == AB(3, nd.NOISE_RATIO) == nd.DEIS(3) == nd.DEIS(3, "rho")
    assert nd.DEIS(2, "log-rho") == nd.DPMSolver(2) == AB(2, nd.NOISE_LOG_SNR)
    assert nd.DPMSolverPP(2) == AB(2, "data/log-snr")
    assert nd.PLMS(4) == AB(4, nd.NOISE_RATIO, weights="uniform")
    assert nd.DDIM() == AB(1)
    assert nd.FlowEuler() == AB(1, nd.VELOCITY_TIME)
    assert nd.AdamsBashforth(np.int64(3)) == AB(3)


# --- coefficients and steady steps ------------------------------------------------------------------------------------


def test_symbolic_step_ratios_give_the_textbook_weights():
    r = sp.Symbol("r", positive=True)
    assert nd.AdamsBashforth(2).coefficients(ratios=[r]) == (1 + r / 2, -r / 2)  # Hairer, Norsett, Wanner III.5
    assert nd.AdamsBashforth(2).coefficients() == (Fraction(3, 2), Fraction(-1, 2))
    first, second = nd.DPMSolverPP(2, rule="half").coefficients(ratios=[r])
    h = sp.Symbol("h", positive=True)
    total = h * phi(1, -h)
    assert (sp.expand(first - total * (1 + r / 2)), sp.expand(second + total * r / 2)) == (0, 0)
    with pytest.raises(ValueError, match="ratios must have 2 entries for AB3, got 1"):
        nd.AdamsBashforth(3).coefficients(ratios=[1])


@pytest.mark.parametrize("name", FORMULATIONS)
@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_steady_step_is_the_step_on_equal_steps_in_x_over_kappa(name, order):
    """Steps equal in the formulation's variable, X = x/kappa: the run's tableau is the theory's."""
    formulation, h = FORMULATIONS[name], 0.125
    grid = [level_at(formulation, 1.0 + n * h) for n in range(order + 2)]
    method = nd.AdamsBashforth(order, formulation)
    tableau = method.discretize(SCHEDULE, grid).tableaus[-1]
    steady = method.steady(h).to_float()
    here, there = formulation.kappa(grid[-2]), formulation.kappa(grid[-1])
    found = [tableau.V[0][0] * here, *tableau.V[0][1:], *tableau.B[0]]
    expected = [steady.V[0][0] * there, *(there * x for x in steady.V[0][1:]), there * steady.B[0][0]]
    # Nodes 1 + n/8 are exact but alpha, sigma are not: relative errors of an ulp in s, 16 ulp in h; lambda adds more.
    np.testing.assert_allclose(found, expected, rtol=1e-13)
    assert tableau.V[1:] == steady.V[1:]


def level_at(formulation, s):
    """A level of a variance-preserving diffusion where the integration variable is s."""
    lam = {"rho": -log_of(s), "log-snr": s, "inverse-rho": log_of(s), "time": None}[formulation.variable]
    if lam is None:
        return nd.Level(s, 1 / s, 1.0, s)
    return nd.Level(-lam, (1 + exp(-2 * lam)) ** -0.5, (1 + exp(2 * lam)) ** -0.5, -lam)


# --- published rules --------------------------------------------------------------------------------------------------

R1, R2 = sp.symbols("r_1 r_2", positive=True)
EXPONENTIAL = pytest.mark.parametrize("formulation", [nd.DATA_LOG_SNR, nd.NOISE_LOG_SNR], ids=lambda f: f.name)


@EXPONENTIAL
@pytest.mark.parametrize("rule", ["3m", "3m-heun"])
def test_3m_halves_the_second_divided_difference(formulation, rule):
    """Exact weights less half of int u^2 f[0,-1,-2], for all step ratios; and so does DPM-Solver++'s published form."""
    h, c = sp.Symbol("h", positive=True), formulation.c
    published = nd.AdamsBashforth(2, formulation, rule=rule).coefficients(ratios=[R1, R2])
    exact = nd.AdamsBashforth(3, formulation).coefficients(ratios=[R1, R2])
    a, b = 1 / R1, 1 / R1 + 1 / (R1 * R2)  # the nodes are 0, -a and -b in units of the step
    divided = (1 / (a * b), 1 / (a * (a - b)), 1 / (b * (b - a)))
    missing = [x - y for x, y in zip(exact, published, strict=True)]
    for found, weight in zip(missing, divided, strict=True):
        assert sp.simplify(found - h * phi(3, c * h) * weight) == 0  # mu_2/2 = h phi_3(ch)
    r0, r1 = a, b - a  # the code's h_0/h and h_1/h
    f = sp.symbols("f_0:3")
    first, second = (f[0] - f[1]) / r0, (f[1] - f[2]) / r1
    D1, D2 = first + r0 / (r0 + r1) * (first - second), (first - second) / (r0 + r1)
    code = h * (phi(1, c * h) * f[0] + phi(2, c * h) * D1 + phi(3, c * h) * D2)
    assert sp.simplify(code - sum(w * x for w, x in zip(published, f, strict=True))) == 0


@EXPONENTIAL
@pytest.mark.parametrize("rule", ["half", "bh1", "3m", "3m-heun"])
def test_published_rules_have_order_two(formulation, rule):
    method = nd.AdamsBashforth(2, formulation, rule=rule)
    assert nd.order.certified(method) == method.order == 2
    assert nd.order.certified(nd.AdamsBashforth(3, formulation)) == 3


def test_3m_misses_a_twelfth_of_the_second_derivative_on_every_grid():
    for formulation in (nd.NOISE_RATIO, nd.DATA_LOG_SNR, nd.NOISE_LOG_SNR):
        found = nd.order.any_grid(nd.AdamsBashforth(2, formulation, rule="3m"))
        assert (found.order, found.residual) == (2, sp.Rational(1, 12))
    with pytest.raises(ValueError, match=r"AB2 data/log-snr bh1 weighs the slope by h\^2/2"):
        nd.order.any_grid(nd.AdamsBashforth(2, nd.DATA_LOG_SNR, rule="bh1"))


@EXPONENTIAL
@pytest.mark.parametrize("rule", ["bh1", "bh2"])
def test_two_point_rules_are_unipcs_predictors(formulation, rule):
    ours = nd.AdamsBashforth(2, formulation, rule={"bh2": "half"}.get(rule, rule)).coefficients(ratios=[R1])
    predictor = nd.UniPC(2, formulation, rule=rule).coefficients(ratios=[R1]).predictor
    assert all(sp.simplify(x - y) == 0 for x, y in zip(ours, predictor, strict=True))
    h = sp.Symbol("h", positive=True)
    slope = -ours[1] / R1  # the weight of f'(0) over that of one step
    assert sp.simplify(slope - (h / 2 if rule == "bh1" else h * phi(1, formulation.c * h) / 2)) == 0


def test_the_two_point_step_of_3m_is_its_solver_types():
    grid = levels()
    for rule, other in (("3m", "half"), ("3m-heun", "exact")):
        step, expected = (
            nd.DPMSolverPP(k, rule=r).discretize(SCHEDULE, grid).tableaus[1] for k, r in ((3, rule), (2, other))
        )
        assert (step.B[0], step.V[0][:2]) == (expected.B[0], expected.V[0])


def test_three_points_alone_have_a_limit_at_sigma_zero():
    grid = [*TIMES, 0.0]
    for formulation in (nd.NOISE_LOG_SNR, nd.NOISE_RATIO):
        nd.AdamsBashforth(2, formulation, rule="3m-heun").discretize(SCHEDULE, grid, final="limit")
    with pytest.raises(ValueError, match="no finite limit at sigma = 0"):
        nd.DPMSolver(3, rule="3m").discretize(SCHEDULE, grid, final="limit")


def test_rules_are_refused_for_other_orders():
    with pytest.raises(ValueError, match='rule="bh1" is a two-point rule; use it with order=2, not order=3'):
        nd.AdamsBashforth(3, rule="bh1")
    with pytest.raises(ValueError, match='rule="3m" combines three evaluations and has order 2: use order=2'):
        nd.AdamsBashforth(3, rule="3m")
    with pytest.raises(ValueError, match='rule="3m" combines three evaluations; use it with order=3, not order=2'):
        nd.DPMSolverPP(2, rule="3m")
    with pytest.raises(ValueError, match='rule="3m-heun" is published for the true nodes'):
        nd.AdamsBashforth(2, rule="3m-heun", weights="uniform")
    assert nd.DPMSolverPP(3, rule="3m") == nd.AdamsBashforth(2, nd.DATA_LOG_SNR, rule="3m")


@EXPONENTIAL
def test_published_rules_have_order_two_in_runs(formulation):
    for rule in ("bh1", "3m", "3m-heun"):
        found = slope(mixture_error(nd.AdamsBashforth(2, formulation, rule=rule)), [1.0, 2.0, 1.3], 48, START, END)
        assert abs(found - 2) < TOLERANCE
    assert slope(mixture_error(nd.AdamsBashforth(3, formulation)), [1.0, 2.0, 1.3], 48, START, END) > 3 - TOLERANCE


@EXPONENTIAL
@pytest.mark.parametrize("rule", ["half", "bh1", "3m", "3m-heun"])
def test_derivations_integrate_by_the_rule(rule, formulation):
    """The step "integration" writes omega_j in mu_0, mu_1, ...: with the moments put in, these are the weights."""
    method, h = nd.AdamsBashforth(2, formulation, rule=rule), sp.Symbol("h", positive=True)
    (step,) = (x for x in derivation(method) if x.title == "integration")
    mu = {sp.Symbol(f"mu_{m}"): x for m, x in enumerate(moments(h, formulation.c, method.points))}
    for equation, weight in zip(step.equations, method.coefficients(), strict=True):
        assert sp.simplify(equation.rhs.subs(mu) - weight) == 0
