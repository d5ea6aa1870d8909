"""The published bound: equal to an independent restatement, and to what errors do to the runs it is claimed for."""

import mpmath as mp
import numpy as np
import pytest

import numdiff as nd
from numdiff.optimize.compiled import Trace
from numdiff.optimize.objectives.paper import Paper, charges
from numdiff.optimize.window import Window
from numdiff.study import published_timesteps as published
from tests import zoo

VP = nd.schedules.VPLinear()
ENDS = (VP.level(VP.T), VP.level(1e-3))
LOW, HIGH = (float(level.log_snr) for level in ENDS)
FLOW = nd.schedules.Flow()
VP_GRID = nd.grids.uniform_log_snr(VP, steps=8)
FLOW_GRID = [0.99, 0.95, 0.9, 0.75, 0.6, 0.3, 0.2, 0.1, 0.05]


def published_method(steps):
    """Return the scheme that the paper analyses and its options."""
    return nd.AdamsBashforth(3, nd.DATA_LOG_SNR), {"orders": [published.order(s, steps) for s in range(steps)]}


def trace(method, steps, **options):
    return Trace(method, VP, ENDS, Window(LOW, HIGH, steps, np.zeros(steps)), options)


def grid(steps, seed=0):
    """Return N - 1 interior log-SNRs whose gaps differ by up to a factor of 20."""
    gaps = np.random.default_rng(seed).uniform(0.1, 2, steps)
    return LOW + (HIGH - LOW) * np.cumsum(gaps)[:-1] / gaps.sum()


def restated(z, p, trunc):
    return published.objective([mp.mpf(x) for x in (LOW, *z, HIGH)], p, trunc, mp.exp)


@pytest.mark.parametrize("trunc", [0, 3])
@pytest.mark.parametrize("p", [1, 2])
def test_the_objective_is_the_published_one(p, trunc):
    for steps in range(4, 21):
        method, options = published_method(steps)
        problem = Paper(p, trunc).problem(trace(method, steps, **options))
        for seed in range(3):
            z = grid(steps, seed)
            with mp.workdps(30):
                assert abs(problem.evaluate(z).objective / restated(z, p, trunc) - 1) < 1e-12


@pytest.mark.parametrize("steps", [4, 7, 8, 13])
def test_its_derivatives_are_those_of_the_restatement(steps):
    method, options = published_method(steps)
    z = grid(steps)
    parts = Paper().problem(trace(method, steps, **options)).evaluate(z)
    gradient = parts.gradient + np.sign(parts.absolute) @ parts.absolute_jacobian
    with mp.workdps(50):

        def moved(i, h):
            return restated([mp.mpf(x) + (h if i == j else 0) for j, x in enumerate(z)], 2, None)

        h = mp.mpf("1e-15")
        exact = [(moved(i, h) - moved(i, -h)) / (2 * h) for i in range(steps - 1)]
    assert gradient == pytest.approx(np.array(exact, dtype=float), rel=1e-10, abs=1e-12 * np.abs(gradient).max())


@pytest.mark.parametrize(("steps", "trunc"), [(5, 3), (7, 3), (8, 0), (12, 0)])
def test_trunc_is_3_up_to_7_evaluations(steps, trunc):
    method, options = published_method(steps)
    scheme = trace(method, steps, **options).scheme_at(grid(steps))
    assert Paper().value(scheme) == Paper(trunc=trunc).value(scheme) != Paper(trunc=3 - trunc).value(scheme)


def answering(answers):
    """Return a model that gives these answers one after the other, whatever it is asked."""
    left = iter(answers)
    return lambda x, t: np.full_like(x, next(left))


def deterministic():
    """Return, by name, every registered method whose runs add no noise and evaluate the model alone."""
    found = {}
    for name, method in zoo.everything().items():
        scheme = method.discretize(*((FLOW, FLOW_GRID) if "flow" in name else (VP, VP_GRID)))
        if not any(tableau.noises or any(tableau.tags) for tableau in scheme):
            found[name] = method
    return found


@pytest.mark.filterwarnings("ignore:.*adds no noise on this grid")
def test_a_charge_is_what_an_error_of_the_denoiser_does_to_each_step_of_a_run():
    """For every method: an answer wrong by eps dF/dx_0 at evaluation e moves x/a by J_se in step s."""
    times = VP.time(np.array([LOW, *grid(8), HIGH]))
    for name, method in deterministic().items():
        scheme = method.discretize(VP, times)
        levels = [level for tableau in scheme for level in tableau.levels]
        charged = charges(scheme, 1)
        reached = [scheme.levels[0], *(tableau.target for tableau in scheme if tableau.target is not None)]
        scales = np.array([scale(level, scheme.prediction) for level in reached])
        for e, level in enumerate(levels):
            slope = nd.parameterizations.coefficients(level, "data", scheme.prediction)[1]
            model = answering(np.eye(scheme.nfe)[e] * level.sigma / level.alpha * abs(slope))
            path = nd.sample(scheme, model, np.zeros(1), prediction=scheme.prediction, trajectory=True)
            moved = np.diff(np.ravel(path) / scales) * scales[-1] / reached[-1].sigma
            expected = np.array([step.get(e, 0.0) for step in charged])
            assert expected == pytest.approx(moved, rel=1e-9, abs=1e-10 * np.abs(moved).max()), (name, e)


def scale(level, prediction):
    """What x is divided by so that it stays where the prediction is 0; v-prediction keeps no multiple of it."""
    return {"data": level.sigma, "noise": level.alpha}.get(prediction, 1.0)


def test_the_formulations_of_one_prediction_have_one_bound():
    """DDIM interpolates the same prediction in both variables, so that it makes the same errors."""
    for schedule, times in ((VP, VP_GRID), (FLOW, FLOW_GRID)):
        for prediction, variables in (("noise", ("ratio", "log-snr")), ("data", ("ratio", "log-snr"))):
            methods = [nd.AdamsBashforth(1, f"{prediction}/{variable}") for variable in variables]
            values = [Paper().value(method.discretize(schedule, times)) for method in methods]
            assert values[0] == pytest.approx(values[1], rel=1e-11)


def test_the_objective_depends_on_the_schedule_through_its_log_snrs_alone():
    method, options = published_method(6)
    lam = np.array([-3.0, -2.0, -1.5, 0.0, 0.5, 2.0, 4.0])
    schedules = (VP, nd.schedules.VE(), FLOW, nd.schedules.Flow(shift=3))
    values = [Paper(1).value(method.discretize(s, s.time(lam), **options)) for s in schedules]
    assert values == pytest.approx([float(published.objective(lam, 1))] * 4, rel=1e-10)


@pytest.mark.parametrize(
    "name", ["HB(AB2, 4/5)", "GHVB3(4/5)", "PEC3 data/log-snr", "RK4", "BDIA(1)", "AB2 velocity/time"]
)
def test_derivatives_of_other_methods_are_those_of_the_plain_value(name):
    traced, z = trace(zoo.everything()[name], 6), grid(6)
    problem = Paper().problem(traced)
    direction = np.cos(np.arange(5))
    values = [Paper().value(traced.scheme_at(z + k * 1e-3 * direction)) for k in range(-4, 5)]
    weights = np.array([3, -32, 168, -672, 0, 672, -168, 32, -3]) / 840e-3  # eighth-order central difference
    parts = problem.evaluate(z)
    gradient = parts.gradient + np.sign(parts.absolute) @ parts.absolute_jacobian
    assert values[4] == pytest.approx(parts.objective, rel=1e-12)
    assert gradient @ direction == pytest.approx(weights @ values, rel=1e-8)


def test_the_default_gap_is_a_part_of_the_mean_step():
    assert Paper().gap(10.0, 5) == pytest.approx(0.7 * 2)


REFUSED = {
    "noise": (nd.AdamsBashforth(1, nd.stochastic()), VP, (1.0, 0.5, 1e-3), "adds some"),
    "fields": (zoo.everything()["Strang(midpoint)"], VP, (1.0, 0.5, 1e-3), "knows the model's error only"),
    "alpha = 0": (nd.AdamsBashforth(1, "data/log-snr"), FLOW, (1.0, 0.5, 1e-3), "start at a smaller t_start"),
    "sigma = 0": (nd.AdamsBashforth(1, "data/log-snr"), VP, (1.0, 0.5, 0.0), "optimize up to a positive t_end"),
    "no schedule": (nd.AdamsBashforth(1), None, (0.0, 0.5, 1.0), "noise schedule"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_bound_cannot_say_is_refused_with_a_remedy(case):
    method, schedule, times, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        Paper().value(method.discretize(schedule, list(times)))


@pytest.mark.parametrize("options", [{"p": 0}, {"p": 1.5}, {"p": True}, {"trunc": -1}, {"trunc": 1.0}])
def test_parameters_out_of_range_are_named(options):
    (name,) = options
    with pytest.raises(ValueError, match=rf"{name} must be an integer of at least"):
        Paper(**options)
