"""Single-step DPM-Solvers on a grid with one node for every evaluation."""

import functools
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import numdiff as nd
from numdiff.methods.published.single_step import DPMSolverSingle
from numdiff.methods.single_step import SingleStep, order_list
from numdiff.sde import stochastic

VP = nd.schedules.VPLinear()
MIXTURE = nd.problems.GaussianMixture([0.4, 0.6], [[-1.0, -0.5], [1.0, 1.0]], [0.3, 0.1])
START, END = 0.7, 0.25
X = MIXTURE.sample_level(16, VP.level(START), 1)
FORMULATIONS = ["data/log-snr", "noise/log-snr"]


@given(st.integers(1, 3), st.integers(1, 60), st.sampled_from(["official", "diffusers"]))
def test_every_list_spans_the_grid_and_falls_at_its_end_only(order, intervals, tail):
    found = order_list(order, intervals, tail)
    assert sum(found) == intervals
    assert list(found) == sorted(found, reverse=True)
    assert max(found) <= order
    assert sum(k < order for k in found) <= 2


def test_published_lists():
    assert [order_list(3, n) for n in (9, 10, 11)] == [(3, 3, 2, 1), (3, 3, 3, 1), (3, 3, 3, 2)]
    assert [order_list(2, n) for n in (4, 5)] == [(2, 2), (2, 2, 1)]
    assert order_list(2, 4, "diffusers") == (2, 1, 1)
    assert order_list(3, 9, "full") == (3, 3, 3)
    with pytest.raises(ValueError, match="does not divide 10"):
        order_list(3, 10, "full")


@pytest.mark.parametrize("formulation", FORMULATIONS)
@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("end", [0.0, 0.1])
def test_a_run_makes_one_evaluation_for_every_interval_at_its_node(order, formulation, end):
    method = SingleStep(order, formulation)
    for steps in range(order, 9):
        grid = np.linspace(0.9, end, steps + 1)
        scheme = method.discretize(VP, grid)
        assert scheme.nfe == steps == method.nfe(steps)
        assert [level.time for tableau in scheme for level in tableau.levels] == list(grid[:-1])
        assert scheme.tableaus[-1].stages == 1 or end > 0


@pytest.mark.parametrize("rule", ["exact", "taylor", "dpmsolver", "half"])
@pytest.mark.parametrize("order", [2, 3])
def test_on_equal_intervals_of_log_snr_it_is_the_exponential_runge_kutta_method(order, rule):
    snr = np.linspace(VP.log_snr(START), VP.log_snr(END), 2 * order + 1)
    grid = [VP.time(s) for s in snr]
    found = SingleStep(order, rule=rule, tail="full").discretize(VP, grid)
    expected = DPMSolverSingle(order, rule=rule).discretize(VP, grid[::order])
    for one, other in zip(found, expected, strict=True):
        for name in ("A", "U", "B", "V"):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-11, atol=1e-13)


@functools.cache
def exact_flow():
    return MIXTURE.flow(VP, X, START, END).x


def slope(method, pattern, steps):
    def error(repeats):
        s = np.cumsum([0.0, *np.tile(pattern, repeats)])
        grid = START + (END - START) * s / s[-1]
        found = nd.sample(method.discretize(VP, grid), MIXTURE.model(VP), X)
        return np.sqrt(np.mean((found - exact_flow()) ** 2))

    return np.log2(error(steps) / error(2 * steps))


@pytest.mark.parametrize("formulation", FORMULATIONS)
def test_the_exact_rule_has_order_three_on_rough_grids_and_published_ones_two(formulation):
    pattern = [1.0, 1.0, 2.5]
    assert slope(SingleStep(3, formulation, tail="full"), pattern, 8) > 2.65
    for rule in ("dpmsolver", "taylor", "half"):
        assert abs(slope(SingleStep(3, formulation, rule, "full"), pattern, 32) - 2) < 0.35
    assert slope(SingleStep(2, formulation, tail="full"), [1.0, 2.0], 12) > 1.65


@pytest.mark.parametrize("orders", [(3, 2, 1), (1, 2, 3), (3, 3), (1,) * 6, np.array([2, 2, 2])], ids=str)
def test_orders_are_those_of_the_steps(orders):
    scheme = SingleStep(3).discretize(VP, np.linspace(0.9, 0.1, 7), orders=orders)
    assert [tableau.stages for tableau in scheme] == list(orders)
    assert scheme.nfe == 6
    read = nd.export.from_json(nd.export.to_json(scheme))
    assert repr(read.tableaus) == repr(scheme.tableaus)
    assert dict(read.options)["orders"] == tuple(orders)


def test_orders_that_do_not_cover_the_grid_are_refused():
    grid = np.linspace(0.9, 0.1, 10)
    for orders, total in (([3] * 9, 27), ([3] * 8 + [2], 26), ([3, 3, 2], 8), ([], 0)):
        with pytest.raises(ValueError, match=f"orders must add up to the 9 grid intervals, .* with the sum {total}"):
            SingleStep(3).discretize(VP, grid, orders=orders)
    with pytest.raises(ValueError, match=r"orders\[0\] must be an int from 1 to 2, got 3"):
        SingleStep(2).discretize(VP, grid, orders=[3, 3, 3])
    with pytest.raises(TypeError, match="orders must be a sequence of ints"):
        SingleStep(3).discretize(VP, grid, orders=9)


@pytest.mark.parametrize("steps", [1, 2])
def test_grids_shorter_than_the_order_have_one_step_of_a_lower_one(steps):
    grid = np.linspace(0.5, 0.3, steps + 1)
    assert [tableau.stages for tableau in SingleStep(3).discretize(VP, grid)] == [steps]


def test_starts_are_ignored_as_by_one_step_methods():
    grid = np.linspace(0.9, 0.1, 7)
    for start in ("runge-kutta", "exact"):
        scheme = SingleStep(3).discretize(VP, grid, start=start)
        assert scheme.exact_starts == 0
        assert repr(scheme.tableaus) == repr(SingleStep(3).discretize(VP, grid).tableaus)


def test_inversion_mirrors_the_orders():
    grid, seen = np.linspace(0.9, 0.1, 7), []
    scheme = SingleStep(3).discretize(VP, grid, orders=(3, 2, 1))
    nd.invert(scheme, MIXTURE.model(VP), X, callback=lambda n, level, x: seen.append(level.time))
    np.testing.assert_allclose(seen, [grid[5], grid[3], grid[0]])


def test_infinite_intervals_are_steps_of_order_one():
    flow = nd.schedules.Flow()
    grid = np.linspace(1.0, 0.0, 8)
    scheme = SingleStep(3).discretize(flow, grid)
    assert [tableau.stages for tableau in scheme] == [1, 2, 3, 1]
    sample = MIXTURE.sample_level(4, flow.level(1.0), 0)
    assert np.isfinite(nd.sample(scheme, MIXTURE.model(flow, "data"), sample, prediction="data")).all()
    with pytest.raises(ValueError, match="alpha = 0"):
        SingleStep(3, "noise/log-snr").discretize(flow, grid)


def test_inversion_leads_back():
    grid = np.linspace(START, END, 49)
    scheme = SingleStep(3).discretize(VP, grid)
    back = nd.invert(scheme, MIXTURE.model(VP), nd.sample(scheme, MIXTURE.model(VP), X))
    np.testing.assert_allclose(back, X, atol=2e-3)


@pytest.mark.parametrize("order", [2, 3])
def test_gradients_reach_the_grid(order):
    times = torch.tensor([0.8, 0.7, 0.5, 0.3, 0.2], dtype=torch.float64, requires_grad=True)
    weight = lambda t: sum(x for s in SingleStep(order).discretize(VP, t) for x in s.B[0])  # noqa: E731
    (found,) = torch.autograd.grad(weight(times), times)
    shift = torch.tensor([0.0, 1e-6, 0.0, 0.0, 0.0], dtype=torch.float64)
    numerical = (float(weight(times.detach() + shift)) - float(weight(times.detach() - shift))) / 2e-6
    assert abs(float(found[1]) - numerical) < 1e-6 * max(abs(numerical), 1e-2)


def test_on_a_plain_ode_it_is_the_classical_method_on_the_same_nodes():
    found = nd.solve_ivp(SingleStep(2), lambda t, y: t - y**2, [0.0, 0.1, 0.2], 1.0)
    expected = nd.solve_ivp(nd.Midpoint(), lambda t, y: t - y**2, [0.0, 0.2], 1.0)
    np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_stochastic_stages_share_the_noise_of_the_grid_intervals():
    scheme = SingleStep(3, stochastic(tau=1)).discretize(VP, np.linspace(0.9, 0.0, 10))
    assert [tableau.noises for tableau in scheme] == [3, 3, 2, 0]
    clocks = [clock for tableau in scheme for clock in tableau.clocks]
    np.testing.assert_allclose([a for a, _ in clocks[1:]], [b for _, b in clocks[:-1]], rtol=1e-12)


def test_refusals():
    with pytest.raises(ValueError, match="rule"):
        SingleStep(3, rule="bh1")
    with pytest.raises(ValueError, match="tail"):
        SingleStep(3, tail="none")
    with pytest.raises(ValueError, match="between 1 and 3"):
        SingleStep(4)
    with pytest.raises(ValueError, match="log-SNR formulation"):
        SingleStep(2, "noise/ratio")
    snr = np.array([-1.0, 1.0, 1.2, 2.0])
    with pytest.raises(ValueError, match="second node must differ from 2/3"):
        SingleStep(3, tail="full").discretize(VP, [VP.time(s) for s in snr])
    method = SingleStep(3, "noise/log-snr", "half", "diffusers")
    assert pickle.loads(pickle.dumps(method)) == method
    assert str(method) == "SingleStep3 noise/log-snr half diffusers"
