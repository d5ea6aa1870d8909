"""Exponential Runge-Kutta methods: published arrays, orders and stiff orders, SEEDS, what happens at the ends."""

import functools
import pickle
from fractions import Fraction as Q
from math import exp, expm1, sqrt

import numpy as np
import pytest
import sympy as sp
import torch

import numdiff as nd
from numdiff.methods import exponential_butcher as arrays
from numdiff.methods.exponential_runge_kutta import KNOWN, ExponentialRungeKutta
from numdiff.methods.published.single_step import DPM2, RES, SEEDS, DPMSolverSingle, HochbruckOstermann
from numdiff.phi import phi
from numdiff.sde import Eta, Tau, stochastic
from tests.properties.test_stiff_order import PUBLISHED

VP = nd.schedules.VPLinear()
MIXTURE = nd.problems.GaussianMixture([0.4, 0.6], [[-1.0, -0.5], [1.0, 1.0]], [0.3, 0.1])
START, END = 0.7, 0.25
X = MIXTURE.sample_level(16, VP.level(START), 1)
FORMULATIONS = ["data/log-snr", "noise/log-snr"]
every_formulation = pytest.mark.parametrize("formulation", FORMULATIONS)

# method: (stiff order, weak stiff order, classical order)
ORDERS = {
    HochbruckOstermann(1): (1, 1, 1),
    HochbruckOstermann(2, c2=Q(3, 4)): (2, 2, 2),
    HochbruckOstermann(3): (2, 3, 3),
    HochbruckOstermann(3, c2=Q(1, 3), c3=1): (2, 3, 3),
    HochbruckOstermann(4): (3, 4, 4),
    RES(2): (2, 2, 2),
    RES(3): (2, 3, 3),
    RES(3, c3=0.8): (2, 3, 3),
    RES(3, c3=0.8, rule="published"): (2, 2, 2),
    DPM2(): (1, 2, 2),
    DPMSolverSingle(2): (2, 2, 2),
    DPMSolverSingle(2, rule="dpmsolver"): (1, 2, 2),
    DPMSolverSingle(3): (2, 3, 3),
    DPMSolverSingle(3, rule="dpmsolver"): (2, 3, 3),
    DPMSolverSingle(3, rule="half"): (2, 2, 3),
    DPMSolverSingle(3, c2=0.25, c3=0.8): (2, 3, 3),
    DPMSolverSingle(3, c2=0.25, c3=0.8, rule="taylor"): (2, 2, 2),
    DPMSolverSingle(3, c2=0.25, c3=0.8, rule="dpmsolver"): (2, 2, 2),
}
MEMBERS = [*ORDERS, *(ExponentialRungeKutta(table, name) for name, table in KNOWN.items())]
every_member = pytest.mark.parametrize("method", MEMBERS, ids=str)


# --- coefficients -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ORDERS, ids=str)
def test_stiff_orders(method):
    found = nd.order.stiff(method)
    assert (found.order, found.weak_order, found.classical_order) == ORDERS[method]
    assert method.order == found.classical_order


NAMES = {
    "ETD2RK": "ETD2RK (Cox and Matthews)",
    "ETD3RK": "ETD3RK (Cox and Matthews)",
    "ETD4RK": "ETD4RK (Cox and Matthews)",
    "Krogstad4": "ETD4RK (Krogstad)",
    "StrehmelWeiner4": "Strehmel and Weiner",
    "HochbruckOstermann4": "Hochbruck and Ostermann, five stages",
}


@pytest.mark.parametrize("name", KNOWN)
def test_published_arrays(name):
    """Typed a second time, from the papers, in tests of stiff orders."""
    found, expected = ExponentialRungeKutta(KNOWN[name], name).steady(), PUBLISHED[NAMES[name]][0]
    for matrix in "AUBV":
        for one, other in zip(getattr(found, matrix), getattr(expected, matrix), strict=True):
            assert [sp.simplify(sp.expand_func(x - y)) for x, y in zip(one, other, strict=True)] == [0] * len(one)


@pytest.mark.parametrize(("c2", "c3"), [(Q(1, 5), Q(2, 5)), (Q(1, 2), Q(1)), (Q(3, 4), Q(4, 5)), (Q(1, 2), Q(2, 3))])
def test_three_stages_have_order_three_on_any_nodes_and_as_published_on_two_thirds_only(c2, c3):
    exact = [arrays.three_stage(c2, c3), arrays.hochbruck_ostermann3(c2, c3)]
    published = [arrays.three_stage(c2, c3, rule) for rule in ("taylor", "dpmsolver", "half")]
    for table in exact:
        assert nd.order.certified(ExponentialRungeKutta(table)) == table.order == 3
    for table in published:
        assert nd.order.certified(ExponentialRungeKutta(table)) == table.order == (3 if c3 == Q(2, 3) else 2)


def test_a_symbolic_node_stays_one():
    c2 = sp.Symbol("c2", positive=True)
    method = DPMSolverSingle(2, c2=c2)
    assert nd.order.stiff(method).order == 2
    with pytest.raises(ValueError, match="symbol c2"):
        method.discretize(VP, [0.9, 0.5])


def test_names_for_one_method():
    assert RES(2).table == DPMSolverSingle(2).table == HochbruckOstermann(2).table == arrays.two_stage(Q(1, 2))
    assert DPM2().table == DPMSolverSingle(2, rule="half").table
    assert RES(3, rule="published").table == RES(3).table  # c_3 = 1, where the slip in gamma does not show
    r, h = Q(3, 2), sp.Symbol("h", positive=True)  # RES multistep: c_2 = -h_0/h = -1/r
    phi1, phi2 = (phi(k, -h) for k in (1, 2))
    found = nd.DPMSolverPP(2).coefficients(ratios=(r,))
    expected = (h * (phi1 + r * phi2), -h * r * phi2)
    assert [sp.simplify(x - y) for x, y in zip(found, expected, strict=True)] == [0, 0]


def test_of_order_one_it_is_ddim():
    grid = np.linspace(0.9, 0.0, 6)
    for f in (*FORMULATIONS, stochastic("data/log-snr", 0.7), stochastic(eta=0.5), stochastic("noise/log-snr", 1)):
        for one, other in zip(
            DPMSolverSingle(1, f).discretize(VP, grid), nd.AdamsBashforth(1, f).discretize(VP, grid), strict=True
        ):
            for name in ("A", "U", "B", "V", "Nb", "clocks"):
                np.testing.assert_allclose(
                    np.array(getattr(one, name), float), np.array(getattr(other, name), float), rtol=1e-12
                )


# --- runs -------------------------------------------------------------------------------------------------------------


@functools.cache
def exact_flow():
    return MIXTURE.flow(VP, X, START, END).x


def slope(method, pattern, repeats):
    def error(count):
        s = np.cumsum([0.0, *np.tile(pattern, count)])
        scheme = method.discretize(VP, START + (END - START) * s / s[-1])
        return np.sqrt(np.mean((nd.sample(scheme, MIXTURE.model(VP), X) - exact_flow()) ** 2))

    return np.log2(error(repeats) / error(2 * repeats))


@every_formulation
@every_member
def test_observed_orders_on_rough_grids(method, formulation):
    method = ExponentialRungeKutta(method.table, method.label, formulation)
    assert slope(method, [1.0, 2.0, 1.3], 8) > method.order - 0.35


@every_member
def test_one_step_is_exact_for_a_point(method):
    """The data prediction of a point is constant; the noise prediction's integral is the rest of the same line."""
    point = nd.problems.GaussianMixture([1.0], [[0.3, -0.4]], [0.0])
    here, there = VP.level(0.9), VP.level(0.1)
    x = point.sample_level(3, here, 0)
    noise = (x - here.alpha * np.array([0.3, -0.4])) / here.sigma
    expected = there.alpha * np.array([0.3, -0.4]) + there.sigma * noise
    for formulation in FORMULATIONS:
        scheme = ExponentialRungeKutta(method.table, method.label, formulation).discretize(VP, [0.9, 0.1])
        np.testing.assert_allclose(nd.sample(scheme, point.model(VP), x), expected, rtol=0, atol=1e-9)


def test_the_ends():
    flow = nd.schedules.Flow()
    sample = MIXTURE.sample_level(4, flow.level(1.0), 0)
    for method in (*MEMBERS, SEEDS(3, "data/log-snr")):
        if method.formulation.prediction == "data":
            scheme = method.discretize(flow, np.linspace(1, 0, 6))
            assert [t.stages for t in scheme] == [1, *[method.stages] * 3, 1]
            options = {"prediction": "data", "generator": np.random.default_rng(0)}
            assert np.isfinite(nd.sample(scheme, MIXTURE.model(flow, "data"), sample, **options)).all()
    for method in (DPM2(), SEEDS(2)):
        with pytest.raises(ValueError, match="alpha = 0"):
            method.discretize(flow, np.linspace(1, 0, 6))
    with pytest.raises(ValueError, match="sigma = 0"):
        RES(2).discretize(VP, np.linspace(0, 1, 6))
    assert RES(3).discretize(flow, np.linspace(0.1, 1, 4)).tableaus[-1].stages == 1  # inversion up to alpha = 0


def test_a_plain_ode_is_solved_by_the_array_at_zero():
    classical = nd.solve_ivp(nd.RungeKutta(nd.Kutta3().butcher), lambda t, y: t - y**2, [0.0, 0.3, 0.7], 1.0)
    found = nd.solve_ivp(RES(3), lambda t, y: t - y**2, [0.0, 0.3, 0.7], 1.0)
    np.testing.assert_allclose(found, classical, rtol=1e-14)


def test_gradients_reach_the_grid():
    times = torch.tensor([0.8, 0.5, 0.3], dtype=torch.float64, requires_grad=True)
    weight = lambda t: sum(x for s in HochbruckOstermann(4).discretize(VP, t) for x in s.B[0])  # noqa: E731
    (slope,) = torch.autograd.grad(weight(times), times)
    shift = torch.tensor([0.0, 1e-6, 0.0], dtype=torch.float64)
    numerical = (float(weight(times.detach() + shift)) - float(weight(times.detach() - shift))) / 2e-6
    assert abs(float(slope[1]) - numerical) < 1e-6 * abs(numerical)


# --- noise ------------------------------------------------------------------------------------------------------------


def level_of(snr):
    return VP.level(VP.time(snr))


@pytest.mark.parametrize("order", [2, 3])
def test_seeds_as_published(order):
    """Algorithms of the paper, r = 1/2 and r_1 = 1/3, r_2 = 2/3, noise prediction: one step on given evaluations."""
    snr, h = -1.0, 0.9
    (step,) = SEEDS(order).discretize(VP, [VP.time(snr), VP.time(snr + h)])
    s, m, t = (level_of(snr + u * h) for u in (0, 1 / order, 1))
    weights, noises = [], []
    if order == 2:
        weights = [[-2 * m.sigma * expm1(h / 2), 0], [0, -2 * t.sigma * expm1(h)]]
        noises = [[m.sigma * sqrt(expm1(h)), 0], [t.sigma * sqrt(exp(2 * h) - exp(h)), t.sigma * sqrt(expm1(h))]]
        scales = [m.alpha, t.alpha]
    else:
        n = level_of(snr + 2 * h / 3)
        slope = -2 * n.sigma * 2 * (expm1(2 * h / 3) / (2 * h / 3) - 1)
        last = -2 * t.sigma * 1.5 * (expm1(h) / h - 1)
        weights = [
            [-2 * m.sigma * expm1(h / 3), 0, 0],
            [-2 * n.sigma * expm1(2 * h / 3) - slope, slope, 0],
            [-2 * t.sigma * expm1(h) - last, 0, last],
        ]
        e = [exp(2 * h * k / 3) for k in range(4)]
        small, middle, large = (sqrt(e[k + 1] - e[k]) for k in range(3))
        noises = [
            [m.sigma * small, 0, 0],
            [n.sigma * middle, n.sigma * small, 0],
            [t.sigma * large, t.sigma * middle, t.sigma * small],
        ]
        scales = [m.alpha, n.alpha, t.alpha]
    np.testing.assert_allclose([*step.A[1:], step.B[0]], weights, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose([*step.Na[1:], step.Nb[0]], noises, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose([*step.U[1:], step.V[0]], [[a / s.alpha] for a in scales], rtol=1e-9)
    assert not any(step.Na[0])


@pytest.mark.parametrize("tau", [0.5, 1])
@pytest.mark.parametrize("method", [DPMSolverSingle(3), HochbruckOstermann(4)], ids=str)
@every_formulation
def test_noise_of_a_point_has_the_variance_of_its_level(method, tau, formulation):
    """The prediction of white noise's other half is constant: all that spreads is the noise, exactly."""
    method = ExponentialRungeKutta(method.table, method.label, stochastic(formulation, tau))
    here, there = VP.level(0.9), VP.level(0.4)
    (step,) = method.discretize(VP, [0.9, 0.4])
    h = there.log_snr - here.log_snr
    ratio, add = (there.sigma * exp(-(tau**2) * h) / here.sigma, -expm1(-2 * tau**2 * h) * there.sigma**2)
    if formulation == "noise/log-snr":
        ratio, add = there.alpha / here.alpha, tau**2 * there.sigma**2 * expm1(2 * h)
    np.testing.assert_allclose(step.V[0][0], ratio, rtol=1e-10)
    np.testing.assert_allclose(sum(x * x for x in step.Nb[0]), add, rtol=1e-10)
    for i, level in enumerate(step.levels[1:], 1):
        (part,) = DPMSolverSingle(1, method.formulation).discretize(VP, [here, level])
        np.testing.assert_allclose(sum(x * x for x in step.Na[i]), part.Nb[0][0] ** 2, rtol=1e-10)
    ends = [clock for clocks in step.clocks for clock in clocks]
    np.testing.assert_allclose(ends[2::2], ends[1:-1:2], rtol=1e-12)


LINE = nd.problems.GaussianMixture([0.4, 0.6], [[-1.0], [0.7]], [0.05, 0.2])


def expectation(method, grid, x, points=12):
    """E[sin 2 x_t + x_t^2] after one or two steps, by Gauss-Hermite quadrature over their noises."""
    z, w = np.polynomial.hermite_e.hermegauss(points)
    scheme = method.discretize(VP, grid)
    count = [tableau.noises for tableau in scheme]
    nodes = np.meshgrid(*[z] * sum(count), indexing="ij")
    weight = functools.reduce(np.multiply.outer, [w / w.sum()] * sum(count))
    draw = lambda index, column: nodes[sum(count[:index]) + column].reshape(-1, 1)  # noqa: E731
    found = nd.sample(scheme, LINE.model(VP), np.full((weight.size, 1), x), noise=draw)
    return float(np.sum(weight.ravel() * (np.sin(2 * found) + found**2)[:, 0]))


@pytest.mark.parametrize(
    ("method", "order"),
    [
        (SEEDS(1), 1),
        (SEEDS(2), 2),
        (SEEDS(2, "data/log-snr"), 2),
        (DPMSolverSingle(2, stochastic(tau=0.6)), 2),
        (ExponentialRungeKutta(arrays.ETD2RK, "ETD2RK", stochastic()), 2),
    ],
    ids=str,
)
def test_local_weak_order(method, order):
    """One step and two halves differ by O(h^{p+1}) in expectations on a nonlinear model; neither is drawn."""
    assert method.weak_order == order
    middle, gaps = VP.log_snr(0.4), []
    for h in (0.02, 0.01):
        grid = [VP.time(middle + u * h) for u in (0, 0.5, 1)]
        gaps.append(abs(expectation(method, grid[::2], 0.2) - expectation(method, grid, 0.2)))
    assert abs(np.log2(gaps[0] / gaps[1]) - (order + 1)) < 0.35


@pytest.mark.parametrize("formulation", [stochastic(tau=1), stochastic("noise/log-snr", 0.7)], ids=str)
def test_weak_order_two_of_three_stages_on_a_gaussian(formulation):
    """Mean and variance of a run on Gaussian data follow from its tableaus exactly, and tend to those of the level."""
    gaussian = nd.problems.GaussianMixture([1.0], [[0.5]], [0.3])
    model, method = gaussian.model(VP), DPMSolverSingle(3, formulation)

    def error(steps):
        s = np.cumsum([0.0, *np.tile([1.0, 2.0], steps)])
        scheme = method.discretize(VP, START + (END - START) * s / s[-1])
        total = sum(t.noises for t in scheme)
        offsets = np.cumsum([0, *(t.noises for t in scheme)])
        unit = np.eye(total + 2)[:, :, None]  # runs from 0, from 1, and with each noise 1 in turn: the map is affine
        draw = lambda index, column: unit[2 + offsets[index] + column]  # noqa: E731
        base, first, *others = nd.sample(scheme, model, unit[1], noise=draw)[:, 0]
        levels = [VP.level(t) for t in (START, END)]
        before, after = (x.alpha**2 * 0.3 + x.sigma**2 for x in levels)
        return abs((first - base) ** 2 * before + np.sum((np.array(others) - base) ** 2) - after)

    assert np.log2(error(8) / error(16)) > 2 - 0.35


# --- doors ------------------------------------------------------------------------------------------------------------


def test_refusals():
    with pytest.raises(ValueError, match="log-SNR formulation"):
        RES(2, "noise/ratio")
    with pytest.raises(ValueError, match="variance='small'"):
        RES(2, stochastic(eta=Eta(1, "large")))
    with pytest.raises(ValueError, match="second node must differ from 2/3"):
        DPMSolverSingle(3, c2=Q(2, 3), c3=1)
    with pytest.raises(ValueError, match=r"c2 must lie in \(0, 1\]"):
        RES(2, c2=1.5)
    with pytest.raises(TypeError, match="c3 must be one number"):
        RES(3, c3="1")
    with pytest.raises(ValueError, match="1 nodes beside 0"):
        DPMSolverSingle(2, c3=0.5)
    with pytest.raises(ValueError, match="order must be between 1 and 4, got 5"):
        HochbruckOstermann(5)
    with pytest.raises(ValueError, match="first node must be 0"):
        arrays.ExponentialButcher((Q(1, 2),), (), (), 1)
    with pytest.raises(ValueError, match="rows of A"):
        arrays.ExponentialButcher((0, Q(1, 2)), (), (((1, 1, -1),),), 1)


def test_values():
    for method in (*MEMBERS, SEEDS(3), DPMSolverSingle(2, stochastic("data/log-snr", Tau(1, 0.2, 0.8)))):
        assert pickle.loads(pickle.dumps(method)) == method
        assert method.stages == method.table.stages
        assert method.discretize(VP, np.linspace(0.9, 0.1, 4)).nfe == method.nfe(3)
    assert DPMSolverSingle(3, c2=0.25, c3=0.8).table == DPMSolverSingle(3, c2=Q(1, 4), c3=Q(4, 5)).table
    assert DPMSolverSingle(2).weak_order is None
