"""The entry: what is optimized comes out, bad input is refused by name, and equal input gives equal steps."""

import math
import warnings

import numpy as np
import pytest

import numdiff as nd
from numdiff.optimize import ends
from numdiff.optimize.window import Window

SCHEDULE = nd.schedules.VPLinear()
METHOD = nd.DPMSolverPP(2)


def even(scheme):
    """Steps in log-SNR: the sum of their squares is least where they are equal."""
    lam = [level.log_snr for level in scheme.levels]
    return [b - a for a, b in zip(lam, lam[1:])]  # noqa: B905, RUF007


EVEN = nd.optimize.Residuals(even)


def test_a_users_residuals_are_minimized_exactly():
    result = nd.optimize.timesteps(METHOD, SCHEDULE, 9, objective=EVEN, starts=["quadratic"])
    lam = np.linspace(SCHEDULE.log_snr(1.0), SCHEDULE.log_snr(1e-3), 10)
    np.testing.assert_allclose(result.log_snr, lam, rtol=0, atol=1e-9)
    assert result.certified
    assert result.objective == pytest.approx((lam[-1] - lam[0]) ** 2 / 9, rel=1e-12)
    assert result.objective < result.initial_objective


def test_ddim_is_best_with_equal_angles_on_unit_gaussian_data():
    """A step multiplies N(0, 1) by cos of the angle between its ends; their product is largest for equal angles."""

    def lost(scheme):
        gain = 1.0
        for tableau, start in zip(scheme, scheme.levels, strict=False):
            gain = gain * (tableau.V[0][0] + tableau.B[0][0] * start.sigma)  # noise prediction sigma x of N(0, 1)
        return [gain - 1]

    result = nd.optimize.timesteps(nd.DDIM(), SCHEDULE, 6, objective=nd.optimize.Residuals(lost))
    angles = np.arctan2(result.sigmas, result.alphas)
    np.testing.assert_allclose(np.diff(angles), (angles[-1] - angles[0]) / 6, atol=1e-7)
    assert result.certified


@pytest.mark.parametrize("gap", [0.5, [0.2, 1.5, 0.2, 0.2, 0.2]])
def test_gaps_are_kept(gap):
    def uneven(scheme):
        return [scheme.levels[i].log_snr - scheme.levels[0].log_snr for i in range(1, 5)]

    result = nd.optimize.timesteps(METHOD, SCHEDULE, 5, objective=nd.optimize.Residuals(uneven), gap=gap)
    expected = np.broadcast_to(gap, 5)[:4]
    np.testing.assert_allclose(np.diff(result.log_snr)[:4], expected, atol=1e-9)
    assert result.certified


def test_infinite_ends_are_allowed_and_their_levels_stay():
    flow = nd.schedules.Flow(shift=3.0)

    def halves(scheme):
        return [level.sigma - (1 - i / 6) for i, level in enumerate(scheme.levels)]

    result = nd.optimize.timesteps(nd.FlowEuler(), flow, 6, objective=nd.optimize.Residuals(halves), t_end=0.0)
    assert result.log_snr[0] == -math.inf
    assert result.log_snr[-1] == math.inf
    np.testing.assert_allclose(result.sigmas, np.linspace(1, 0, 7), atol=1e-8)
    assert result.certified
    assert result.scheme().nfe == 6


def test_the_clean_end_of_edm_is_a_level_without_a_time():
    edm = nd.schedules.EDM()

    def powers(scheme):
        return [level.sigma**1 / 80.0 - (1 - i / 5) ** 3 for i, level in enumerate(scheme.levels[:-1])]

    objective = nd.optimize.Residuals(powers)
    result = nd.optimize.timesteps(nd.DPMSolverPP(2), edm, 5, objective=objective, final_zero=True)
    np.testing.assert_allclose(result.sigmas, 80 * (1 - np.arange(6) / 5) ** 3, rtol=1e-6)
    assert result.scheme().steps == 5


def test_equal_input_gives_equal_steps_and_a_moved_start_the_same():
    objective = nd.optimize.Paper()
    first = nd.optimize.timesteps(METHOD, SCHEDULE, 8, objective=objective, starts=["log-snr"])
    again = nd.optimize.timesteps(METHOD, SCHEDULE, 8, objective=objective, starts=["log-snr"])
    np.testing.assert_array_equal(first.log_snr, again.log_snr)
    start = np.linspace(first.log_snr[0], first.log_snr[-1], 9)[1:-1]
    moved = start + 1e-7 * np.random.default_rng(0).standard_normal(7)
    third = nd.optimize.timesteps(METHOD, SCHEDULE, 8, objective=objective, starts=[moved])
    np.testing.assert_allclose(third.log_snr, first.log_snr, atol=1e-6)
    assert third.objective == pytest.approx(first.objective, rel=1e-9)


def test_what_is_optimized_is_what_the_scheme_then_has():
    """The objective at the result, from the plain scheme's coefficients and levels alone."""

    def first_weights(scheme):
        return [tableau.B[0][0] for tableau in scheme if tableau.stages]

    objective = nd.optimize.Residuals(first_weights)
    for method in (nd.UniPC(3), nd.GHVB(3, 0.8), nd.Heun(), nd.HeavyBall(METHOD, 0.7)):
        result = nd.optimize.timesteps(method, SCHEDULE, 6, objective=objective, gap=0.05)
        again = sum(tableau.B[0][0] ** 2 for tableau in result.scheme() if tableau.stages)
        assert again == pytest.approx(result.objective, rel=1e-10)


def test_a_parameter_is_optimized_with_the_steps():
    """(beta - 1/3)^2 and even steps: both minima are known."""

    def both(scheme):
        return [*even(scheme), 10 * (scheme.method.beta - 1 / 3)]

    result = nd.optimize.timesteps(
        nd.GHVB(2, 0.8), SCHEDULE, 6, objective=nd.optimize.Residuals(both), optimize="beta", bounds={"beta": (0.1, 1)}
    )
    assert result.parameters["beta"] == pytest.approx(1 / 3, abs=1e-8)
    assert result.tuned == nd.GHVB(2, result.parameters["beta"])
    np.testing.assert_allclose(np.diff(result.log_snr), np.ptp(result.log_snr) / 6, atol=1e-8)


def test_searching_orders_ends_where_no_single_change_helps():
    options = {"objective": nd.optimize.Paper(), "starts": ["log-snr"]}
    found = nd.optimize.timesteps(METHOD, SCHEDULE, 5, orders="search", **options)
    plain = nd.optimize.timesteps(METHOD, SCHEDULE, 5, **options)
    assert found.objective <= plain.objective
    assert len(found.orders) == 5
    assert found.certified
    for n in range(1, 5):
        changed = tuple(3 - k if i == n else k for i, k in enumerate(found.orders))
        there = nd.optimize.timesteps(
            METHOD, SCHEDULE, 5, orders=changed, objective=nd.optimize.Paper(), starts=[found]
        )
        assert there.objective >= found.objective * (1 - 1e-6) or there.initial_objective > found.objective


def test_a_time_limit_gives_the_best_so_far_uncertified():
    result = nd.optimize.timesteps(nd.DPMSolverPP(3), SCHEDULE, 60, objective="paper", time_limit=1e-3)
    assert not result.certified
    assert "time limit" in result.status
    assert np.isfinite(result.objective)
    assert "not certified" in repr(result)


def test_a_noise_level_with_a_window_is_no_smooth_function_and_says_so():
    method = nd.AdamsBashforth(1, nd.stochastic(nd.DATA_LOG_SNR, tau=nd.Tau(1, 0.2, 0.8)))

    def ends_early(scheme):
        return [scheme.levels[i].log_snr + 4.9 for i in range(1, 5)] + [tableau.B[0][0] for tableau in scheme]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the window meets no step any more
        result = nd.optimize.timesteps(method, SCHEDULE, 5, objective=nd.optimize.Residuals(ends_early), gap=0.01)
    assert result.status == "mismatch"
    assert not result.certified


def test_a_branch_on_a_traced_number_is_found_out():
    """max() compares the values of the trace and keeps one step, so what is minimized is not the function."""
    result = nd.optimize.timesteps(METHOD, SCHEDULE, 6, objective=nd.optimize.Residuals(lambda s: [max(even(s))]))
    assert result.status == "mismatch"
    assert not result.certified


def test_a_function_that_changes_is_called_anew():
    weight = [1.0]
    objective = nd.optimize.Residuals(lambda scheme: [weight[0] * even(scheme)[0], *even(scheme)[1:]])
    before = nd.optimize.timesteps(METHOD, SCHEDULE, 4, objective=objective)
    weight[0] = 3.0
    after = np.diff(nd.optimize.timesteps(METHOD, SCHEDULE, 4, objective=objective).log_snr)
    np.testing.assert_allclose(np.diff(before.log_snr), np.ptp(before.log_snr) / 4, atol=1e-8)
    np.testing.assert_allclose(after / after[1], [1 / 9, 1, 1, 1], atol=1e-8)


def test_ends_are_exactly_those_asked_for():
    for schedule in (SCHEDULE, nd.schedules.EDM(), nd.schedules.SubVP()):
        times = nd.optimize.timesteps(METHOD, schedule, 4, objective=EVEN).times
        assert (times[0], times[-1]) == (schedule.T, schedule.t_end)


def test_parameters_stay_in_their_box():
    method = nd.GHVB(2, 0.8)
    lowest = nd.optimize.Residuals(lambda scheme: [*even(scheme), scheme.method.beta])
    result = nd.optimize.timesteps(method, SCHEDULE, 5, objective=lowest, optimize="beta", bounds={"beta": (0.2, 0.6)})
    assert result.parameters["beta"] == 0.2
    assert result.certified


def test_a_function_makes_methods_with_free_coefficients():
    """(c_2 - 0.4)^2 over single-step methods whose node is free."""

    def node(scheme):
        here, stage = scheme.tableaus[0].levels
        step = scheme.levels[1].log_snr - here.log_snr
        return [*even(scheme), 3 * ((stage.log_snr - here.log_snr) / step - 0.4)]

    result = nd.optimize.timesteps(
        lambda c2: nd.DPMSolverSingle(2, c2=c2), SCHEDULE, 5, objective=nd.optimize.Residuals(node), optimize="c2"
    )
    assert result.parameters["c2"] == pytest.approx(0.4, abs=1e-8)
    assert result.scheme().nfe == 10
    assert result.certified


def test_an_order_search_is_no_worse_than_the_lists_it_begins_with_and_keeps_the_whole_record():
    options = {"objective": "paper", "starts": ["log-snr"]}
    found = nd.optimize.timesteps(METHOD, SCHEDULE, 6, orders="search", **options)
    first = nd.optimize.timesteps(METHOD, SCHEDULE, 6, **options)
    for orders in (None, "lowered", found.orders):
        one = nd.optimize.timesteps(METHOD, SCHEDULE, 6, orders=orders, **options)
        assert found.objective <= one.objective * (1 + 1e-6)
    assert found.initial_objective == first.initial_objective
    assert found.evaluations > first.evaluations


@pytest.mark.parametrize("seconds", [1e-6, 0.01, 0.03])
def test_an_order_search_out_of_time_says_so(seconds):
    result = nd.optimize.timesteps(
        nd.DPMSolverPP(3), SCHEDULE, 14, objective="paper", orders="search", time_limit=seconds
    )
    assert result.status == "time limit"
    assert not result.certified
    assert np.isfinite(result.objective)


def test_steps_that_merge_without_a_gap_are_an_error():
    every = nd.optimize.Residuals(lambda scheme: [level.log_snr + 5.1 for level in scheme.levels[1:-1]])
    with pytest.raises(ValueError, match=r"gap: nodes \d and \d merged"):
        nd.optimize.timesteps(METHOD, SCHEDULE, 5, objective=every, gap=0.0)


REFUSED = {
    "steps 1": ({"steps": 1}, ValueError, "steps must be at least 2, got 1"),
    "steps 2.5": ({"steps": 2.5}, TypeError, "steps must be a whole number"),
    "ends reversed": ({"t_start": 0.1, "t_end": 0.9}, ValueError, "t_end = 0.9 must be below t_start = 0.1"),
    "end outside": ({"t_start": 3.0}, ValueError, "t_start = 3.0 lies outside"),
    "end of a wrong kind": ({"t_end": "0.1"}, TypeError, "t_end must be a time"),
    "gaps do not fit": ({"gap": 5.0}, ValueError, "gap: 6 gaps of at least 5"),
    "negative gap": ({"gap": -1.0}, ValueError, "gap must be at least 0"),
    "gaps of a wrong length": ({"gap": [0.1, 0.1]}, ValueError, "gap must be a number or have 6 entries"),
    "objective": ({"objective": "papre"}, ValueError, "objective 'papre'.*paper"),
    "objective class": ({"objective": nd.optimize.Paper}, TypeError, "objective must be one of"),
    "parameter": (
        {"optimize": "gamma"},
        ValueError,
        "bounds must hold a \\(low, high\\) pair for the parameter 'gamma'",
    ),
    "parameter of the method": (
        {"optimize": "gamma", "bounds": {"gamma": (0, 1)}},
        ValueError,
        "has no parameter 'gamma'",
    ),
    "empty box": ({"optimize": "beta", "bounds": {"beta": (1, 1)}}, ValueError, "beta must have room"),
    "bounds of nothing": ({"bounds": {"beta": (0, 1)}}, ValueError, "bounds names \\['beta'\\]"),
    "starts": ({"starts": "log-snr"}, TypeError, "starts must be a list"),
    "a start's name": ({"starts": ["log-snrr"]}, ValueError, "start 'log-snrr'"),
    "a start's length": ({"starts": [[0.0, 1.0]]}, ValueError, "starts\\[0\\] must have 5 interior or 7"),
    "a start's order": ({"starts": [[0, 1, 3, 2, 4]]}, ValueError, "starts\\[0\\] must rise"),
    "time limit": ({"time_limit": -1}, ValueError, "time_limit must be a positive number"),
    "tolerance": ({"tolerance": 0}, ValueError, "tolerance must be positive"),
    "final_zero": ({"final_zero": "no"}, TypeError, "final_zero must be True or False"),
    "orders of a wrong kind": ({"orders": 3}, TypeError, "orders must be a list of whole numbers"),
    "orders' name": ({"orders": "serach"}, ValueError, "orders 'serach'.*search"),
    "optimize of a wrong kind": ({"optimize": 3}, TypeError, "optimize must name parameters"),
    "box of a wrong kind": ({"optimize": "beta", "bounds": {"beta": 1}}, TypeError, "bounds of 'beta' must be a pair"),
    "box of three": ({"optimize": "beta", "bounds": {"beta": (0, 1, 2)}}, TypeError, "bounds of 'beta' must be a pair"),
    "bounds of a wrong kind": ({"bounds": 3}, TypeError, "bounds must be a dictionary"),
    "gap of a wrong kind": ({"gap": {}}, TypeError, "gap must be a number"),
    "a function that makes no method": ({"method": lambda: 3}, TypeError, "method must return a method"),
    "method": ({"method": 3}, TypeError, "method must be a method"),
    "schedule": ({"schedule": "vp"}, TypeError, "schedule must be a noise schedule"),
    "orders": ({"orders": (1, 2, 3)}, ValueError, "orders"),
    "not differentiable": (
        {"method": nd.TimeAdams(2), "schedule": nd.schedules.Discrete.stable_diffusion()},
        ValueError,
        "not smooth functions of the steps",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_refused_by_name(name):
    changes, error, message = REFUSED[name]
    arguments = {"method": nd.GHVB(2, 0.8), "schedule": SCHEDULE, "steps": 6, "objective": EVEN} | changes
    with pytest.raises(error, match=message):
        nd.optimize.timesteps(arguments.pop("method"), arguments.pop("schedule"), arguments.pop("steps"), **arguments)


def test_residuals_refuse_what_cannot_be_differentiated():
    for function, error, message in (
        (lambda scheme: 3, TypeError, "must return a sequence"),
        (lambda scheme: [np.ones(2)], TypeError, "entry 0 is ndarray"),
        (lambda scheme: [1.0, 2.0], ValueError, "nothing that depends on the steps"),
    ):
        with pytest.raises(error, match=message):
            nd.optimize.timesteps(METHOD, SCHEDULE, 5, objective=nd.optimize.Residuals(function))


def test_starts_with_short_steps_move_only_as_far_as_the_gap_asks():
    window = Window(-5.0, 5.0, 4, np.full(4, 1.0))
    z = ends.starting_points([np.array([-4.9, -4.8, 4.0])], METHOD, SCHEDULE, window)[0]
    assert (window.slack(z) >= 0).all()
    assert np.min(np.diff(window.nodes(z))) == pytest.approx(1.0, abs=0.01)
    far = np.array([-3.0, 0.0, 3.0])
    np.testing.assert_array_equal(ends.starting_points([far], METHOD, SCHEDULE, window)[0], far)


def test_window_rows_are_the_gaps_and_boxes():
    window = Window(-5.0, math.inf, 4, np.array([0.1, 0.2, 0.3, 0.0]), ("beta",), (0.1,), (1.0,))
    z = np.array([-4.0, -2.0, 1.0, 0.4])
    np.testing.assert_allclose(window.slack(z), [1 - 0.1, 2 - 0.2, 3 - 0.3, 0.4 - 0.1, 1.0 - 0.4])
    np.testing.assert_array_equal(window.nodes(z), [-5, -4, -2, 1, math.inf])
