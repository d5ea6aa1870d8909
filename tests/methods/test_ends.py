"""The ends of a schedule: sigma = 0 and alpha = 0 give limits, denoised estimates or errors, and never a NaN."""

import math

import numpy as np
import pytest

import numdiff as nd
from numdiff import Level

METHODS = nd.methods()
every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
VP, FLOW = nd.schedules.VPLinear(), nd.schedules.Flow()
TO_CLEAN = np.array([0.9, 0.7, 0.55, 0.4, 0.28, 0.13, 0.0])
DATA = nd.problems.Gaussian([0.4, -0.7], [0.5, 0.3])
X = np.array([[0.3, -1.2], [1.1, 0.8]])


def coefficients(scheme):
    return [x for t in scheme for m in (t.A, t.U, t.B, t.V) for row in m for x in row]


def has_no_limit(method, undefined):
    """Whether several evaluations are extrapolated to where a prediction's row is undefined, or by half a step."""
    formulation = method.formulation
    if isinstance(method, nd.RungeKutta) or method.points == 1 or formulation is None:
        return False
    return formulation.prediction == undefined or getattr(getattr(method, "base", method), "rule", "exact") != "exact"


# --- arriving at sigma = 0 --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", ["lower", "runge-kutta"])
@every_method
def test_a_grid_that_ends_at_sigma_zero_gives_finite_steps_or_a_clear_error(method, start):
    for final in (None, "limit", "denoise"):
        is_finite_or_refused(method, start, final)


def is_finite_or_refused(method, start, final):
    if final == "limit" and has_no_limit(method, "data"):
        with pytest.raises(ValueError, match='no finite limit at sigma = 0 beyond order 1; use final="denoise"'):
            method.discretize(VP, TO_CLEAN, start=start, final=final)
        return
    scheme = method.discretize(VP, TO_CLEAN, start=start, final=final)
    assert all(map(math.isfinite, coefficients(scheme)))
    x = nd.sample(scheme, DATA.model(VP), X)
    assert np.isfinite(x).all()


@pytest.mark.parametrize("method", [m for m in METHODS.values() if not isinstance(m, nd.PredictorCorrector)], ids=str)
def test_denoise_returns_the_models_denoised_estimate_at_the_last_evaluation(method):
    seen, model = [], DATA.model(VP, "data")

    def recording(x, t):
        seen.append(model(x, t))
        return seen[-1]

    scheme = method.discretize(VP, TO_CLEAN, final="denoise")
    found = nd.sample(scheme, recording, X, prediction="data")
    if scheme.prediction == "data":
        assert found is seen[-1]  # xi = 0 and the weight is 1: the very array
    else:
        # x_0 back from noise or velocity: divided and multiplied by alpha and sigma, which are above 0.1 there.
        np.testing.assert_allclose(found, seen[-1], rtol=1e-13)
    assert scheme.tableaus[-1].stages == 1


PREDICTOR_CORRECTORS = {name: m for name, m in METHODS.items() if isinstance(m, nd.PredictorCorrector)}


@pytest.mark.parametrize("method", PREDICTOR_CORRECTORS.values(), ids=PREDICTOR_CORRECTORS.keys())
def test_a_predictor_corrector_denoises_its_corrected_sample_by_the_last_evaluation(method):
    """What it knows at the last node is the prediction at the predicted sample, not at the corrected one."""
    asked, model = [], DATA.model(VP, "data")
    scheme = method.discretize(VP, TO_CLEAN, final="denoise")
    *_, corrected, found = nd.sample(
        scheme, lambda x, t: asked.append(x) or model(x, t), X, prediction="data", trajectory=True
    )
    (p, q), (r, s) = (
        nd.parameterizations.coefficients(scheme.levels[-2], a, b)
        for a, b in (("data", scheme.prediction), (scheme.prediction, "data"))
    )
    evaluated = p * asked[-1] + q * model(asked[-1], 0.13)
    np.testing.assert_allclose(found, r * corrected + s * evaluated, rtol=1e-12)
    assert scheme.tableaus[-1].stages == 0


@pytest.mark.parametrize(
    "method",
    [
        nd.AdamsBashforth(1),
        nd.AdamsBashforth(3, nd.NOISE_RATIO),
        nd.AdamsBashforth(4, nd.NOISE_LOG_SNR),
        nd.PLMS(3),
        nd.HeavyBall(nd.DPMSolver(3), beta=0.7),
        nd.Nesterov(nd.AdamsBashforth(2), beta=1.3),
        nd.GHVB(3, 0.8, nd.NOISE_LOG_SNR),
        nd.GHVB(2, 0.5, weights="uniform"),
        nd.HeavyBall(nd.DDIM(nd.DATA_LOG_SNR), beta=0.7),
    ],
    ids=str,
)
def test_the_limit_is_the_limit_of_grids_that_end_closer_and_closer(method):
    grid, model = [VP.level(t) for t in TO_CLEAN], DATA.model(VP)

    def run(eps, final=None):
        end = grid[-1] if eps == 0 else Level(0.0, math.sqrt((1 - eps) * (1 + eps)), eps, 0.0)
        return nd.sample(method.discretize(VP, [*grid[:-1], end], final=final), model, X)

    # The error is eps times a polynomial of degree 3 in log eps = -23, and numbers of size 10.
    np.testing.assert_allclose(run(0.0, "limit"), run(1e-10), rtol=0, atol=1e-5)


def test_equal_spacing_of_an_infinite_step_leaves_the_newest_evaluation():
    """The weights on nodes -j h tend to (W, 0, 0) like 1/h: three grids that end closer and closer say so."""
    method = nd.AdamsBashforth(2, nd.NOISE_LOG_SNR, weights="uniform")
    grid = [VP.level(t) for t in TO_CLEAN]
    last = method.discretize(VP, grid).tableaus[-1]
    assert last.V[0][1] == 0
    ends = [Level(0.0, 1.0, math.exp(-lam), 0.0) for lam in (50.0, 100.0, 200.0)]
    tails = [method.discretize(VP, [*grid[:-1], end]).tableaus[-1].V[0][1] for end in ends]
    h = [end.log_snr - grid[-2].log_snr for end in ends]
    np.testing.assert_allclose(np.diff(np.log(np.abs(tails))), -np.diff(np.log(h)), rtol=1e-3)  # e^-50 corrections


def test_the_half_rule_is_not_extended_to_an_infinite_step():
    """Its weight of the slope is h/2 without end; the default is the denoised estimate, as in data prediction."""
    for method in (nd.DPMSolver(2, rule="half"), nd.HeavyBall(nd.DPMSolver(2, rule="half"), beta=0.8)):
        default, denoised = (method.discretize(VP, TO_CLEAN, final=final) for final in (None, "denoise"))
        assert default.tableaus[-1].V == denoised.tableaus[-1].V
        with pytest.raises(ValueError, match=r"AB2 noise/log-snr half.* has no finite limit at sigma = 0"):
            method.discretize(VP, TO_CLEAN, final="limit")


@every_method
def test_defaults_are_the_limit_for_noise_and_velocity_and_the_denoised_estimate_for_data(method):
    default = method.discretize(VP, TO_CLEAN)
    final = "denoise" if default.prediction == "data" or not method.has_limit else "limit"
    chosen = method.discretize(VP, TO_CLEAN, final=final)
    assert [(t.V, t.B) for t in default] == [(t.V, t.B) for t in chosen]


@pytest.mark.parametrize(
    "method", [nd.FlowEuler(), nd.AdamsBashforth(3, nd.VELOCITY_TIME), nd.RK4(nd.VELOCITY_TIME)], ids=str
)
def test_a_clean_end_without_a_time_is_reached_by_denoising(method):
    """A variance-exploding schedule has sigma > 0 at every time; its clean end is a level at t = -inf."""
    schedule, seen = nd.schedules.VE(), []
    grid = nd.grids.uniform_log_snr(schedule, steps=30, final_zero=True)
    assert grid[-1].time == -math.inf
    model = DATA.model(schedule, "data")
    scheme = method.discretize(schedule, grid)
    assert all(map(math.isfinite, coefficients(scheme)))
    found = nd.sample(scheme, lambda x, t: seen.append(model(x, t)) or seen[-1], 50 * X, prediction="data")
    # The velocity divides by sigma = 0.01 and is multiplied by it again, on x of size 1: two digits.
    np.testing.assert_allclose(found, seen[-1], rtol=0, atol=1e-13)
    if not isinstance(method, nd.RungeKutta):
        with pytest.raises(ValueError, match=r'velocity/time cannot arrive at time -inf.*; use final="denoise"'):
            method.discretize(schedule, grid, final="limit")
    with pytest.raises(ValueError, match="velocity/time cannot start at time -inf"):
        method.discretize(schedule, grid[::-1])


# --- leaving alpha = 0 ------------------------------------------------------------------------------------------------

FROM_NOISE = np.array([1.0, 0.85, 0.7, 0.5, 0.42, 0.3, 0.1])


@pytest.mark.parametrize("start", ["lower", "runge-kutta"])
@every_method
def test_a_flow_may_start_at_pure_noise_unless_the_formulation_scales_by_alpha(method, start):
    model = DATA.model(FLOW, "velocity")
    if method.formulation is not None and method.formulation.prediction == "noise":
        with pytest.raises(ValueError, match=r"cannot start at alpha = 0 \(time 1.0\); start at a smaller time, or"):
            method.discretize(FLOW, FROM_NOISE, start=start)
        return
    for last in (0.1, 0.0):
        scheme = method.discretize(FLOW, np.linspace(1.0, last, 41), start=start)
        assert all(map(math.isfinite, coefficients(scheme)))
        if method.formulation == nd.DATA_RATIO and last == 0:
            continue  # 1/rho doubles in the last steps; extrapolating x_0 that far is finite and no good
        found = nd.sample(scheme, model, X, prediction="velocity")
        exact = DATA.flow(FLOW, X, 1.0, last).x
        # The first-order ones are 2 % off in 40 steps; a wrong first or last step costs its length, up to 1.
        np.testing.assert_allclose(found, exact, rtol=0, atol=0.04)


@pytest.mark.parametrize("order", [2, 3])
@pytest.mark.parametrize("family", [nd.AdamsBashforth, lambda k, f: nd.GHVB(k, 0.8, f)], ids=["AB", "GHVB"])
def test_the_node_at_minus_infinity_is_dropped_from_the_history(family, order):
    """From the second step on, the run is the one that starts at the second level."""
    method, model = family(order, nd.DATA_LOG_SNR), DATA.model(FLOW, "data")
    whole = nd.sample(method.discretize(FLOW, FROM_NOISE), model, X, prediction="data", trajectory=True)
    late = nd.sample(method.discretize(FLOW, FROM_NOISE[1:]), model, whole[1], prediction="data", trajectory=True)
    first = FLOW.level(0.85)
    np.testing.assert_allclose(whole[1], first.alpha * model(X, 1.0) + first.sigma * X, rtol=1e-14)
    np.testing.assert_allclose(whole[-1], late[-1], rtol=1e-14)  # the same operations on the same numbers


@pytest.mark.parametrize("prediction", ["v", "data"])
@pytest.mark.parametrize("method", [nd.DPMSolverPP(2), nd.DDIM(nd.DATA_RATIO), nd.Heun(nd.DATA_RATIO)], ids=str)
def test_zero_terminal_snr_tables_start_at_alpha_zero(method, prediction):
    betas = np.append(np.linspace(1e-4, 0.02, 99), 1.0)
    schedule = nd.schedules.Discrete(betas=betas)
    grid = nd.grids.from_timesteps(schedule, [99, 80, 60, 40, 20, 5])
    found = nd.sample(method.discretize(schedule, grid), DATA.model(schedule, prediction), X, prediction=prediction)
    exact = DATA.flow(schedule, X, 1.0, 0.0).x
    np.testing.assert_allclose(found, exact, rtol=0, atol=0.3)  # six steps; a wrong first step costs 1
    with pytest.raises(ValueError, match="cannot start at alpha = 0"):
        nd.DDIM().discretize(schedule, grid)
    with pytest.raises(ValueError, match=r"'noise' does not determine 'data' at t = 1.0 .*use a model"):
        nd.sample(method.discretize(schedule, grid), DATA.model(schedule), X)


# --- the other way: leaving sigma = 0 and arriving at alpha = 0 -------------------------------------------------------


@every_method
def test_inversion_starts_at_clean_data_unless_the_formulation_scales_by_sigma(method):
    scheme = method.discretize(VP, TO_CLEAN)
    if scheme.prediction == "data":
        with pytest.raises(ValueError, match=r"cannot start at sigma = 0 \(time 0.0\); start at a larger time, or use"):
            nd.invert(scheme, DATA.model(VP), X)
    elif scheme.prediction == "velocity":
        with pytest.raises(ValueError, match=r"'velocity' is infinite at t = 0\.0"):  # sigma ~ sqrt(t) there
            nd.invert(scheme, DATA.model(VP), X)
    else:
        fine = method.discretize(VP, np.linspace(0.9, 0.0, 101) ** 2 / 0.9)  # sigma ~ sqrt(t) wants small first steps
        found, exact = nd.invert(fine, DATA.model(VP), X), DATA.flow(VP, X, 0.0, 0.9).x
        np.testing.assert_allclose(found, exact, rtol=0, atol=0.1)  # first order in 100 steps on numbers of size 2


@every_method
def test_inversion_to_pure_noise_is_finite_or_refused_with_the_right_remedy(method):
    up = FROM_NOISE[::-1]
    if has_no_limit(method, "noise"):
        with pytest.raises(ValueError, match="no finite limit at alpha = 0 beyond order 1; end the grid at a positive"):
            method.discretize(FLOW, up)
        return
    assert all(map(math.isfinite, coefficients(method.discretize(FLOW, up))))


def test_a_runge_kutta_start_is_dropped_where_its_stages_cannot_be():
    """Three steps of order 3 from alpha = 0 to sigma = 0: the history is never full, and the last step denoises."""
    scheme = nd.AdamsBashforth(3, nd.DATA_LOG_SNR).discretize(FLOW, [1.0, 0.6, 0.3, 0.0], start="runge-kutta")
    assert [t.stages for t in scheme] == [2, 2, 1]
    assert all(map(math.isfinite, coefficients(scheme)))
    assert scheme.tableaus[-1].B[0] == (1.0,)
