"""`sample`, `invert` and `solve_ivp` run any scheme on any array, keep its dtype and leave callers' arrays alone."""

import dataclasses
import itertools
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
import torch
from hypothesis import given, settings

import numdiff as nd
from numdiff import testing
from numdiff.drivers import program
from numdiff.formulations import FORMULATIONS
from tests.peers import MIXTURE

METHODS = nd.methods()
every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
VP = nd.schedules.VPLinear()
SCHEDULES = [
    VP,
    nd.schedules.Cosine(),
    nd.schedules.SubVP(),
    nd.schedules.VE(),
    nd.schedules.EDM(),
    nd.schedules.Flow(shift=2.0),
    nd.schedules.Discrete.stable_diffusion(),
]
TIMES = np.array([0.9, 0.78, 0.6, 0.55, 0.4, 0.3, 0.22])
PREDICTIONS = ("noise", "data", "v", "velocity", "flow", "score", "edm")


def model(x, t):
    tanh = torch.tanh if isinstance(x, torch.Tensor) else np.tanh
    return tanh(1.3 * x) * (1 - t) + 0.2


def family(formulation):
    """Members of every family in one formulation."""
    AB = nd.AdamsBashforth
    members = [AB(1, formulation), AB(3, formulation), AB(3, formulation, weights="uniform")]
    members += [nd.HeavyBall(AB(2, formulation), beta=0.7), nd.Nesterov(AB(2, formulation), beta=1.6)]
    members += [nd.GHVB(3, 0.6, formulation), nd.GHVB(2, 0.5, formulation, weights="uniform")]
    if formulation.c:
        return [*members, AB(2, formulation, rule="half")]
    return [*members, nd.RK4(formulation), nd.Heun(formulation)]


# --- constant predictions ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.name)
@pytest.mark.parametrize("formulation", FORMULATIONS.values(), ids=FORMULATIONS.keys())
@settings(max_examples=3)
@given(testing.grids(min_steps=3, max_steps=7, max_ratio=10, span=(0.95, 0.05)))
def test_a_constant_prediction_is_exact_in_every_step(formulation, schedule, fractions):
    """x stays on alpha x_0 + sigma eps (velocity: on a straight line), whatever the grid and the momentum."""
    grid = schedule.T * fractions
    if formulation is nd.VELOCITY_TIME and not schedule.has_derivatives:
        return
    x, constant = np.array([1.5, -0.3]), np.array([0.7, -1.1])
    levels = [schedule.level(t) for t in grid]
    a, b = formulation.scales(levels[0])
    other = (x - b * constant) / a  # the one of x_0 and eps that is not predicted
    for method in family(formulation):
        if len(grid) <= method.points:
            continue
        for start in ("lower", "runge-kutta"):
            scheme = method.discretize(schedule, grid, start=start)
            largest = max(abs(c) for tableau in scheme for _, c in tableau.plan.outputs[0])
            path = nd.sample(scheme, lambda x, t: constant, x, prediction=formulation.prediction, trajectory=True)
            for level, found in zip(levels, path, strict=True):
                a_t, b_t = formulation.scales(level)
                on_the_line = a_t * other + b_t * constant
                if formulation is nd.VELOCITY_TIME:
                    on_the_line = x + (level.time - levels[0].time) * constant
                # Steps of ten operations on numbers of the size of x and a x_0, b eps; weights may be ten times W, and
                # log-SNR steps of 0.01 know W = h phi_1 from lambda = 10 to three digits less. Where steps grow
                # suddenly the weights are far larger, and cancel.
                size = np.abs(a_t * other) + np.abs(b_t * constant) + np.abs(x)
                assert (np.abs(found - on_the_line) <= 1e-11 * size + 1e-14 * largest).all()


# --- predictions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("formulation", FORMULATIONS.values(), ids=FORMULATIONS.keys())
def test_every_prediction_of_one_field_gives_one_sample(formulation):
    x = MIXTURE.sample_level(5, VP.level(TIMES[0]), 1)
    for method in family(formulation):
        scheme = method.discretize(VP, TIMES, start="runge-kutta")
        runs = {
            p: nd.sample(scheme, MIXTURE.model(VP, p), x, prediction=p)
            for p in (*PREDICTIONS, nd.parameterizations.EDM(1.5))
        }
        for found in runs.values():
            # Conversions divide by alpha > 0.02: two digits of the rounding of seven steps.
            np.testing.assert_allclose(found, runs["noise"], rtol=0, atol=1e-12)


def test_a_prediction_of_another_schedule_is_another_field():
    """A wrong declaration is not forgiven: the runs above agree because the conversions are right."""
    scheme, x = nd.DDIM().discretize(VP, TIMES), MIXTURE.sample_level(5, VP.level(TIMES[0]), 1)
    silent = MIXTURE.model(VP, "v").__call__  # does not say what it predicts
    right, wrong = (nd.sample(scheme, silent, x, prediction=p) for p in ("v", "noise"))
    assert np.abs(right - wrong).max() > 0.1


# --- number types -----------------------------------------------------------------------------------------------------

DTYPES = [np.float16, np.float32, np.float64, torch.float16, torch.bfloat16, torch.float32, torch.float64]


def make(values, dtype):
    return torch.tensor(values, dtype=dtype) if isinstance(dtype, torch.dtype) else np.array(values, dtype=dtype)


def unit(dtype):
    return (torch.finfo if isinstance(dtype, torch.dtype) else np.finfo)(dtype).eps


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("prediction", ["noise", "v", "data"])
def test_all_number_types_agree_to_their_rounding_and_keep_their_dtype(dtype, prediction):
    values = [[1.5, -0.25], [0.75, -1.0]]  # exact in every type
    for method in METHODS.values():
        scheme = method.discretize(VP, TIMES)
        exact = nd.sample(scheme, model, np.array(values), prediction=prediction)
        found = nd.sample(scheme, model, make(values, dtype), prediction=prediction)
        assert found.dtype == dtype
        assert type(found) is type(make(values, dtype))
        if isinstance(dtype, torch.dtype):
            found = found.double().numpy()
        # 7 steps of up to 6 products of numbers up to 10, passed on by the flow; x_0 from noise divides by alpha > 0.1.
        assert np.abs(found - exact).max() <= 200 * unit(dtype) * max(1, np.abs(exact).max())


def test_levels_of_numpy_scalars_do_not_promote_the_state():
    levels = [nd.Level(*(np.float64(v) for v in (t, VP.alpha(t), VP.sigma(t), t))) for t in TIMES]
    for prediction in ("noise", "data"):
        scheme = nd.AdamsBashforth(2, nd.NOISE_RATIO).discretize(VP, levels)
        assert nd.sample(scheme, model, np.float32([1.0, 2.0]), prediction=prediction).dtype == np.float32
        assert all(
            type(c) is float
            for e in program(scheme, nd.parameterizations.get("data"))
            for h in e.held
            if h
            for _, c in h
        )


@pytest.mark.parametrize("shape", [(), (1,), (3, 0), (2, 1, 4)])
def test_any_shape_is_kept(shape):
    for x in (np.zeros(shape, np.float32), torch.zeros(shape, dtype=torch.float32)):
        found = nd.sample(nd.DPMSolverPP(2).discretize(VP, TIMES), model, x)
        assert (tuple(found.shape), found.dtype) == (shape, x.dtype)


def test_grids_and_parameters_of_any_number_type_give_the_same_run():
    x = np.array([0.3, -1.2])
    grid = [Fraction(9, 10), Fraction(1, 2), Fraction(1, 4), Fraction(1, 8)]
    floats = list(map(float, grid))
    reference = nd.sample(nd.GHVB(2, 0.5).discretize(VP, floats), model, x)
    for same in (
        grid,
        tuple(floats),
        np.array(floats),
        torch.tensor(floats, dtype=torch.float64),
        [VP.level(t) for t in floats],
    ):
        for beta in (0.5, Fraction(1, 2), np.float32(0.5), np.array(0.5), sp.Rational(1, 2), torch.tensor(0.5)):
            found = nd.sample(nd.GHVB(np.int64(2), beta).discretize(VP, same), model, x)
            np.testing.assert_allclose(found, reference, rtol=1e-14)
    coarse = np.array(floats, dtype=np.float32)  # read as the numbers it holds
    np.testing.assert_array_equal(
        nd.sample(nd.DDIM().discretize(VP, coarse), model, x),
        nd.sample(nd.DDIM().discretize(VP, coarse.astype(float)), model, x),
    )


def test_a_thousand_steps_and_more():
    grid = nd.grids.uniform_log_snr(VP, steps=2000)
    x = MIXTURE.sample_level(4, VP.level(1.0), 1)
    exact = MIXTURE.flow(VP, x, 1.0, grid[-1]).x
    for method in (nd.AdamsBashforth(4), nd.GHVB(4, 0.5), nd.DPMSolverPP(3)):
        found = nd.sample(method.discretize(VP, grid, start="runge-kutta"), MIXTURE.model(VP), x)
        np.testing.assert_allclose(found, exact, rtol=0, atol=1e-8)  # h = 0.007, order 3 and 4, derivatives below 10


# --- the caller's arrays ----------------------------------------------------------------------------------------------


def duplicate(x):
    return x.clone() if isinstance(x, torch.Tensor) else x.copy()


@pytest.mark.parametrize("library", ["numpy", "torch"])
@every_method
def test_nothing_that_the_caller_holds_is_written_to(method, library):
    for prediction in ("noise", "data", "v"):
        leaves_everything_as_it_was(method, prediction, library)


def leaves_everything_as_it_was(method, prediction, library):
    x = make([1.5, -0.25, 0.5], np.float64 if library == "numpy" else torch.float64)
    constant, held = 0.5 * x + 1.0, []
    scheme = method.discretize(VP, TIMES, start="runge-kutta")
    models = {
        "fresh": model,
        "a cached constant": lambda x, t: constant,
        "the very sample": lambda x, t: x,
        "a view of the sample": lambda x, t: x[:],
    }
    for name, returned in models.items():

        def watched(x, t, returned=returned):
            out = returned(x, t)
            held.extend([(x, duplicate(x)), (out, duplicate(out))])
            return out

        found = nd.sample(
            scheme, watched, x, prediction=prediction, callback=lambda n, level, y: held.append((y, duplicate(y)))
        )
        expected = nd.sample(
            scheme, lambda x, t, returned=returned: duplicate(returned(x, t)), x, prediction=prediction
        )
        assert (found == expected).all(), name
    assert all((now == then).all() for now, then in held)
    assert x.tolist() == [1.5, -0.25, 0.5]
    assert (constant == 0.5 * x + 1.0).all()


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_copies_protects_from_a_model_that_reuses_its_output(library):
    x = make([1.5, -0.25, 0.5], np.float64 if library == "numpy" else torch.float64)
    buffer, scheme = 0 * x, nd.AdamsBashforth(3, nd.NOISE_RATIO).discretize(VP, TIMES)

    def reusing(x, t):
        buffer[:] = model(x, t)
        return buffer

    for prediction in ("noise", "data"):
        expected = nd.sample(scheme, model, x, prediction=prediction)
        assert (nd.sample(scheme, reusing, x, prediction=prediction, copies=True) == expected).all()
    assert not (nd.sample(scheme, reusing, x) == nd.sample(scheme, model, x)).all()  # what it protects from


# --- gradients --------------------------------------------------------------------------------------------------------


@every_method
def test_gradients_flow_to_the_grid_and_the_start_of_every_method(method):
    """Against central differences along one direction; every scheme and program is made anew from the tensors."""
    times = torch.tensor(TIMES, dtype=torch.float64, requires_grad=True)
    x = torch.tensor([1.5, -0.25], dtype=torch.float64, requires_grad=True)
    weights, along, step = torch.tensor([1.0, -2.0]), torch.linspace(-1, 1, len(TIMES)).double(), 1e-5

    def value(times, x, start):
        scheme = method.discretize(VP, times, start=start)
        assert repr(scheme).startswith(f"Scheme({method}, 6 steps from t = 0.")
        return (nd.sample(scheme, model, x, prediction="v") * weights).sum()

    for start in ("lower", "runge-kutta"):
        slopes = torch.autograd.grad(value(times, x, start), (times, x))
        moves = ((along * step, 0 * x), (0 * along, torch.full_like(x, step)))
        for slope, (dt, dx), direction in zip(slopes, moves, (along, torch.ones(2)), strict=True):
            with torch.no_grad():
                ends = [value(times + s * dt, x + s * dx, start) for s in (1, -1)]
            difference = (ends[0] - ends[1]) / (2 * step)
            # Truncation step^2 times a third derivative of at most 1e3, rounding 1e-15/step times 100.
            assert float((slope * direction).sum()) == pytest.approx(float(difference), rel=1e-6, abs=1e-6)


BETAS = [
    lambda beta: nd.HeavyBall(nd.AdamsBashforth(2), beta=beta),
    lambda beta: nd.HeavyBall(nd.DPMSolverPP(3), beta=beta),
    lambda beta: nd.Nesterov(nd.PLMS(2), beta=beta),
    lambda beta: nd.GHVB(3, beta),
    lambda beta: nd.GHVB(2, beta, nd.DATA_LOG_SNR, weights="uniform"),
    lambda beta: nd.HeavyBall(nd.GHVB(2, beta), beta=beta),
]


@pytest.mark.parametrize("build", BETAS)
@pytest.mark.parametrize("grid", [TIMES, np.append(TIMES, 0.0)], ids=["inside", "to sigma = 0"])
def test_gradients_flow_to_beta(build, grid):
    beta = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    x = torch.tensor([1.5, -0.25], dtype=torch.float64)

    def value(beta):
        return nd.sample(build(beta).discretize(VP, grid), model, x).sum()

    (slope,) = torch.autograd.grad(value(beta), beta)
    difference = (value(0.7 + 1e-5) - value(0.7 - 1e-5)) / 2e-5
    assert float(slope) == pytest.approx(float(difference), rel=1e-6, abs=1e-6)  # as above
    assert float(value(beta).detach()) == pytest.approx(float(value(0.7)), rel=1e-13)


def test_gradients_with_respect_to_a_float32_grid_come_back_in_float32():
    times = torch.tensor(TIMES, dtype=torch.float32, requires_grad=True)
    x = torch.ones(2, dtype=torch.float32)
    found = nd.sample(nd.AdamsBashforth(2).discretize(VP, times), model, x)
    assert found.dtype == torch.float32
    found.sum().backward()
    assert times.grad.dtype == torch.float32
    assert (times.grad != 0).all()


# --- trajectories, callbacks, inversion -------------------------------------------------------------------------------


@every_method
def test_trajectory_and_callback_see_every_level_of_the_grid(method):
    x, seen = np.array([1.5, -0.25]), []
    scheme = method.discretize(VP, TIMES, start="runge-kutta")
    path = nd.sample(scheme, model, x, trajectory=True, callback=lambda n, level, y: seen.append((n, level.time, y)))
    assert len(path) == len(TIMES)
    assert path[0] is x
    assert [n for n, _, _ in seen] == list(range(1, len(TIMES)))
    assert [t for _, t, _ in seen] == list(TIMES[1:])
    assert all(y is z for (_, _, y), z in zip(seen, path[1:], strict=True))
    assert (path[-1] == nd.sample(scheme, model, x)).all()
    calls = []
    nd.sample(scheme, lambda x, t: calls.append(t) or model(x, t), x)
    assert len(calls) == scheme.nfe
    assert all(type(t) is float for t in calls)


def test_a_program_that_closes_without_an_evaluation_has_a_trajectory():
    """The last evaluation finishes two steps: a corrected one and one that only predicts."""
    level = [VP.level(t) for t in (0.9, 0.6, 0.3)]
    row = [level[1].alpha * (level[1].rho - level[0].rho), level[2].alpha * (level[2].rho - level[1].rho)]
    first = nd.Tableau(
        A=[[0]], U=[[1, 0]], B=[[row[0]], [1]], V=[[level[1].alpha / level[0].alpha, 0], [0, 0]], levels=level[:1]
    )
    last = nd.Tableau(A=(), U=(), B=[[], []], V=[[level[2].alpha / level[1].alpha, row[1]], [0, 1]])
    scheme = dataclasses.replace(
        nd.DDIM().discretize(VP, level),
        tableaus=(first.replace(target=level[1]).to_float(), last.replace(target=level[2]).to_float()),
    )
    seen = []
    path = nd.sample(scheme, model, np.array([1.5]), trajectory=True, callback=lambda n, lv, y: seen.append((n, lv, y)))
    eps = model(path[0], 0.9)
    x1 = level[1].alpha * (path[0] / level[0].alpha + (level[1].rho - level[0].rho) * eps)
    x2 = level[2].alpha * (x1 / level[1].alpha + (level[2].rho - level[1].rho) * eps)
    np.testing.assert_allclose(path[1:], [x1, x2], rtol=1e-14)
    assert [(n, lv) for n, lv, _ in seen] == [(1, level[1]), (2, level[2])]
    assert all(y is z for (_, _, y), z in zip(seen, path[1:], strict=True))


@pytest.mark.parametrize(
    "method", [nd.DDIM(), nd.AdamsBashforth(2), nd.DPMSolverPP(2), nd.GHVB(2, 0.8), nd.Heun()], ids=str
)
def test_inversion_undoes_sampling_to_the_order_of_the_method(method):
    x = MIXTURE.sample_level(8, VP.level(0.7), 1)

    def gap(steps):
        scheme = method.discretize(VP, np.linspace(0.7, 0.25, steps + 1))
        back = nd.invert(scheme, MIXTURE.model(VP), nd.sample(scheme, MIXTURE.model(VP), x))
        return np.sqrt(np.mean((back - x) ** 2))

    # One order below would be a slope of 1 less; 64 and 128 steps are within 0.1 of the limit.
    assert np.log2(gap(64) / gap(128)) > method.order - 0.35


def test_inversion_reverses_the_orders_and_sees_every_level():
    x, orders = np.array([1.5, -0.25]), [1, 2, 2, 1, 2, 1]
    scheme = nd.AdamsBashforth(2).discretize(VP, TIMES, orders=orders)
    seen = []
    path = nd.invert(scheme, model, x, trajectory=True, callback=lambda n, level, y: seen.append((n, level.time)))
    by_hand = nd.AdamsBashforth(2).discretize(VP, TIMES[::-1], orders=orders[::-1])
    y = [x, 0 * x]
    for tableau in by_hand:
        y = nd.step(tableau, y, lambda Y, level: model(Y, level.time))
        y[1] = 0 * x if y[1] is None else y[1]
    np.testing.assert_allclose(path[-1], y[0], rtol=1e-14)  # the same operations on the same numbers
    assert seen == list(enumerate(TIMES[::-1][1:], start=1))


def test_noise_comes_from_the_generator_or_the_callers_function():
    level = [VP.level(t) for t in (0.9, 0.6, 0.3)]
    noisy = tuple(
        nd.Tableau(A=[[0]], U=[[1]], B=[[0]], V=[[0]], Nb=[[1, 10]], levels=[a], target=b).to_float()
        for a, b in itertools.pairwise(level)
    )
    scheme = dataclasses.replace(nd.DDIM().discretize(VP, level), tableaus=noisy)
    for x, generator in (
        (np.zeros(3, np.float32), np.random.default_rng),
        (torch.zeros(3, dtype=torch.bfloat16), lambda seed: torch.Generator().manual_seed(seed)),
        (np.array(0.0), np.random.default_rng),
    ):
        runs = [nd.sample(scheme, model, x, generator=generator(seed)) for seed in (1, 1, 2)]
        assert (runs[0] == runs[1]).all()
        assert not (runs[0] == runs[2]).all()
        assert runs[0].dtype == x.dtype
    given_noise = nd.sample(scheme, model, np.zeros(1), noise=lambda index, column: np.array([100.0 * index + column]))
    assert given_noise == [100.0 + 10 * 101.0]
