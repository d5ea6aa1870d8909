"""What drivers refuse, and what they forgive: directions, buffers, wrong kinds, samples that outgrow their dtype."""

from itertools import pairwise

import numpy as np
import pytest
import torch

import numdiff as nd

SCHEDULE = nd.schedules.VPLinear()
GRID = nd.grids.uniform_log_snr(SCHEDULE, steps=8)
PROGRAM = (
    r"program must be tuple\(native\(scheme, prediction, scheme.prediction\)\), with native from numdiff.executor .*"
)


def reused(f, shape):
    """A function that fills one buffer again and again."""
    buffer = np.zeros(shape)

    def fill(*args):
        buffer[...] = f(*args)
        return buffer

    return fill


@pytest.mark.parametrize("method", [nd.RK4(), nd.AdamsBashforth(3), nd.GHVB(3, 0.8)], ids=str)
def test_a_right_side_may_fill_one_buffer(method):
    f, t, y0 = lambda t, y: -y + t, np.linspace(0, 1, 11), np.array([0.3, -0.7])
    np.testing.assert_array_equal(nd.solve_ivp(method, reused(f, 2), t, y0), nd.solve_ivp(method, f, t, y0))


def test_invert_copies_when_told_to():
    scheme, f, x = nd.AdamsBashforth(3).discretize(SCHEDULE, GRID), lambda x, t: np.sin(x) * t, np.array([0.3, -0.7])
    np.testing.assert_array_equal(nd.invert(scheme, reused(f, 2), x, copies=True), nd.invert(scheme, f, x))


def test_invert_reverses_the_orders():
    orders, method = [1, 1, 2, 3, 3, 3, 3, 3], nd.AdamsBashforth(3)
    model, x = lambda x, t: np.sin(x) * t, np.array([0.3, -0.7])
    there = method.discretize(SCHEDULE, GRID, orders=orders)
    back = method.discretize(SCHEDULE, GRID[::-1], orders=orders[::-1])
    levels = []
    found = nd.invert(there, model, x, callback=lambda n, level, x: levels.append(level.time))
    assert levels == [level.time for level in back.levels[1:]]
    f = nd.executor.Machine(nd.drivers.program(back, nd.parameterizations.get("noise")), x)
    while (asked := f.ask()) is not None:
        f.tell(model(asked.x, asked.level.model_time))
    np.testing.assert_array_equal(found, f.sample)


def test_invert_wants_a_scheme_that_samples():
    method, model, x = nd.AdamsBashforth(3), lambda x, t: x, np.ones(2)
    with pytest.raises(ValueError, match=r"runs from data to noise .*; lay the method out from noise to data"):
        nd.invert(method.discretize(SCHEDULE, GRID[::-1]), model, x)
    with pytest.raises(ValueError, match='invert cannot run a scheme with start="exact"; discretize with'):
        nd.invert(method.discretize(SCHEDULE, GRID, start="exact"), model, x)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nd.sample(nd.GHVB(3, 0.8), abs, np.ones(2)), r"scheme must be what method.discretize.* got GHVB\("),
        (lambda: nd.solve_ivp("ab3", abs, GRID, 1.0), r"method must be a method such as .* got 'ab3'"),
        (lambda: nd.solve_ivp(nd.DDIM(), 3, GRID, 1.0), "fun must be a function, got 3"),
        (lambda: nd.DDIM().discretize("vp", GRID), "schedule must be a noise schedule .* got 'vp'"),
        (lambda: nd.DDIM().discretize(nd.schedules.VPLinear, GRID), "schedule must be a noise schedule"),
        (
            lambda: nd.DDIM().discretize(SCHEDULE, GRID, orders=3),
            "orders must be a sequence of 8 ints, one per step, got 3",
        ),
        (lambda: nd.sample(nd.DDIM().discretize(SCHEDULE, GRID), 3, np.ones(2)), "the model must be a function, got 3"),
        (
            lambda: nd.Machine(nd.DDIM().discretize(SCHEDULE, GRID), np.ones(2)),
            f"{PROGRAM}, got Scheme; nd.sample takes",
        ),
        (
            lambda: nd.Machine(tuple(nd.DDIM().discretize(SCHEDULE, GRID)), np.ones(2)),
            f"{PROGRAM}, got tuple of Tableau",
        ),
        (lambda: nd.Machine((), np.ones(2)), f"{PROGRAM}, got tuple;"),
    ],
)
def test_arguments_of_the_wrong_kind_are_named(call, message):
    with pytest.raises(TypeError, match=message):
        call()


def test_a_model_that_says_what_it_predicts_is_believed():
    """Left out the prediction is the model's, given it must agree, and the schedule is the scheme's."""
    mixture = nd.problems.GaussianMixture([1.0], [[0.0]], [[[0.25]]])
    x, schedule = np.linspace(-2, 2, 5)[:, None], nd.schedules.VPLinear()
    scheme = nd.DDIM().discretize(schedule, nd.grids.uniform_log_snr(schedule, 6))
    model = mixture.model(nd.schedules.VPLinear(), "v")  # an equal schedule
    told = nd.sample(scheme, model, x)
    np.testing.assert_array_equal(told, nd.sample(scheme, model.__call__, x, prediction="v"))
    np.testing.assert_array_equal(nd.sample(scheme, model, x, prediction=nd.parameterizations.get("v")), told)
    np.testing.assert_allclose(nd.invert(scheme, model, told), nd.invert(scheme, model, told, prediction="v"))
    for run in (nd.sample, nd.invert, nd.runtime.Sampler):
        start = () if run is nd.runtime.Sampler else (x,)
        with pytest.raises(ValueError, match=r"prediction = 'noise' contradicts the model, .* predicts 'v' .* leave"):
            run(scheme, model, *start, prediction="noise")
        with pytest.raises(ValueError, match=r"made for the schedule EDM\(.*laid out on VPLinear\(.*discretize with"):
            run(scheme, mixture.model(nd.schedules.EDM()), *start)
    part = nd.DDIM().discretize(nd.schedules.EDM(T=14.6), [14.6, 1.0, 0.1])  # a part of the model's range
    assert np.isfinite(nd.sample(part, mixture.model(nd.schedules.EDM(), "data"), x)).all()


def test_who_is_to_blame_for_what_is_not_finite():
    scheme = nd.DDIM().discretize(nd.schedules.EDM(), np.array([80.0, 40.0, 1.0]))
    with pytest.raises(ValueError, match="the sample is not finite at the start"):
        nd.sample(scheme, lambda x, t: x, np.array([np.nan, 1.0]))
    with pytest.raises(ValueError, match=r"the model returned a value that is not finite at evaluation 2, step 2"):
        nd.sample(scheme, lambda x, t: x * 0 + (np.inf if t < 80 else 0), np.ones(2))
    large = torch.full((2,), 6e4, dtype=torch.float16)  # float16 ends at 65504
    with pytest.raises(
        ValueError, match=r"the sample is no longer finite .*: it outgrew torch.float16; .* wider dtype"
    ):
        nd.sample(scheme, lambda x, t: torch.full_like(x, -1000.0), large)
    with pytest.raises(ValueError, match=r"edit returned a value that is not finite at model time 80.0"):
        nd.sample(scheme, lambda x, t: x, np.ones(2), edit=lambda x, level: x * np.nan)


def test_complex_right_sides_of_real_equations_are_refused_and_complex_states_run():
    t, f = np.linspace(0, 1, 5), lambda t, y: 1j * y
    with pytest.raises(TypeError, match=r"fun returned dtype complex128 .*; expected float64, as y0; cast one of them"):
        nd.solve_ivp(nd.DDIM(), f, t, [1.0])
    for y0 in (np.array([1 + 0j]), torch.tensor([1 + 0j], dtype=torch.complex128)):
        assert abs(complex(nd.solve_ivp(nd.RK4(), f, t, y0)[0]) - np.exp(1j)) < 1e-4  # h^4/120 with h = 1/4


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_published_flow_euler_whatever_the_shift(shift):
    # x += (sigma' - sigma) F, which on straight lines is DDIM
    schedule, grid = nd.schedules.Flow(shift=shift), np.linspace(1, 0, 9)
    F, x = lambda x, t: np.sin(3 * x) + t, np.array([0.3, -0.7])
    expected, sigma = x, schedule.sigma(grid)
    for a, b in pairwise(sigma):
        expected = expected + (b - a) * F(expected, a)
    for method in (nd.FlowEuler(), nd.DDIM(), nd.DDIM(nd.DATA_RATIO), nd.DDIM(nd.DATA_LOG_SNR)):
        found = nd.sample(method.discretize(schedule, grid), F, x, prediction="flow")
        np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-14)  # eight steps of a few operations


def test_velocity_reaches_a_clean_end_without_a_time():
    schedule = nd.schedules.VE()
    grid = nd.grids.uniform_t(schedule, 10, final_zero=True)
    scheme = nd.AdamsBashforth(2, nd.VELOCITY_TIME).discretize(schedule, grid)
    x0, eps = np.array([1.0, -2.0]), np.array([0.5, 0.25])
    x = x0 + schedule.sigma(1.0) * eps
    path = nd.sample(scheme, lambda x, t: eps, x, trajectory=True)
    # the step to the clean end denoises: x_0 = x - sigma eps, with alpha = 1 and the schedule's smallest sigma
    np.testing.assert_allclose(path[-1], path[-2] - schedule.sigma(0.0) * eps, rtol=1e-14)
