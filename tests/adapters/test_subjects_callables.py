"""Anybody's own samplers: steps, factories of steps and whole runs, in every clock."""

import doctest
import math
from itertools import pairwise

import numpy as np
import pytest
import torch

import numdiff as nd
from numdiff.adapters.subjects import callables, of_function, of_step, patched
from numdiff.adapters.subjects.clock import Clock
from numdiff.certification.measure import Layout, SamplerError, final, measure
from numdiff.certification.own import of_method
from numdiff.certification.subject import SCALES, Setting, level_of
from numdiff.level import Level
from numdiff.problems.paths import toys

PATH = toys()


def end(subject, steps=12, setting=None):
    return final(subject, PATH, Layout("random", seed=5).levels(subject, PATH.span, steps), setting or Setting())


def test_the_example_of_the_module_is_right():
    failed, count = doctest.testmod(callables)
    assert (failed, count > 4) == (0, True)


def scaled(scale, time, t):
    """alpha and sigma, from first principles."""
    if time == "time":
        level = SCALES[scale].level(t)
        return level.alpha, level.sigma
    sigma = t if time == "sigma" else None
    if scale == "vp":
        sigma = 1 / math.sqrt(1 + math.exp(2 * t)) if sigma is None else sigma
        return math.sqrt(1 - sigma**2), sigma
    if scale == "edm":
        return 1.0, math.exp(-t) if sigma is None else sigma
    sigma = 1 / (1 + math.exp(t)) if sigma is None else sigma
    return 1 - sigma, sigma


@pytest.mark.parametrize("time", ["log-snr", "sigma", "time"])
@pytest.mark.parametrize("scale", ["vp", "edm", "flow"])
def test_heun_written_in_any_clock_is_heun(scale, time):
    def step(model, x, t, t_next):
        (a, s), (b, r) = scaled(scale, time, t), scaled(scale, time, t_next)
        noise = model(x, t)
        middle = b / a * x + (r - s * b / a) * noise
        return b / a * x + (r - s * b / a) * (noise + model(middle, t_next)) / 2

    # y = x/alpha at a log-SNR does not depend on the scale
    found, expected = end(of_step(step, scale=scale, time=time)), end(of_method("heun", scale="edm"))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def euler(model):
    return lambda x, t, t_next: x + (t_next - t) * model(x, t)


class Euler:
    def __init__(self, model):
        self.model = model

    def __call__(self, x, t, t_next):
        return x + (t_next - t) * self.model(x, t)


def bare(model, x, t, t_next, *, factor=1.0):
    return x + factor * (t_next - t) * model(x, t)


def whole(model, x, ts):
    for t, t_next in pairwise(ts):
        x = x + (t_next - t) * model(x, t)
    return x


OPTIONS = {"scale": "edm", "time": "sigma"}


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("make", [euler, Euler, bare, whole])
def test_all_ways_to_write_a_sampler_are_the_same_sampler(make, library):
    wrap = of_function if make is whole else of_step
    subject = wrap(make, library=library, **OPTIONS)
    assert subject.name == make.__name__
    np.testing.assert_allclose(end(subject), end(of_method("ddim", scale="edm")), rtol=0, atol=1e-12)


def test_what_a_step_remembers_is_of_one_run():
    def make_step(model):
        seen = []

        def step(x, t, t_next):
            seen.append(t)
            return x + len(seen)

        return step

    subject = of_step(make_step, scale="time")
    levels = [Level.of_time(t) for t in (0.0, 1.0, 2.0)]
    for _ in range(2):
        np.testing.assert_array_equal(subject.run(None, np.zeros((1, 1)), levels, Setting()), [[3.0]])


@pytest.mark.parametrize(("single", "precision", "dtype"), [
    (False, "shipped", torch.float64), (True, "float64", torch.float64), (True, "shipped", torch.float32),
])  # fmt: skip
def test_torch_samplers_are_given_tensors_of_one_type(single, precision, dtype):
    def step(model, x, t, t_next):
        assert (t.ndim, t_next.ndim) == (0, 0)
        values = (x, t, t_next, model(x, t), model(x, t * torch.ones(len(x), dtype=x.dtype)))
        assert {value.dtype for value in values} == {dtype}
        return x

    subject = of_step(step, library="torch", single=single, **OPTIONS)
    assert subject.single is single
    end(subject, setting=Setting(precision=precision))


def test_levels_that_were_given_come_back_as_they_were():
    """Their alpha and sigma need not be the scale's; in between, they are."""
    levels = [Level(time=0.5, alpha=0.7, sigma=0.6, model_time=3), Level(time=0.1, alpha=1.0, sigma=0.0, model_time=1)]
    for time in ("log-snr", "sigma", "time"):
        for dtype in (np.float32, np.float64):
            clock = Clock(levels, "vp", time, dtype)
            assert [clock(value) for value in clock.values] == levels
            assert clock(np.full(4, clock.values[0])) is levels[0]
    assert Clock(levels, "vp", "sigma")(0.28).alpha == pytest.approx(0.96)
    assert Clock(levels, "flow", "log-snr")(1.0).log_snr == pytest.approx(1.0)
    assert Clock(levels, "edm", "sigma")(0.0).sigma == 0


def test_points_cannot_be_at_different_levels():
    with pytest.raises(SamplerError, match=r"asked at one level for all points, got \[1.0, 2.0\]"):
        end(of_step(lambda model, x, t, t_next: model(x, [1.0, 2.0])))


def test_a_wrong_clock_is_found_out():
    with pytest.raises(SamplerError, match=r"sigma = 1\.5; levels of scale 'vp' lie in 0 <= sigma < 1: check time="):
        end(of_step(lambda model, x, t, t_next: model(x, 1.5), time="sigma"))


def test_plain_equations_have_times_and_velocities():
    def midpoint(f, y, t, t_next):
        h = t_next - t
        return y + h * f(y + h / 2 * f(y, t), t + h / 2)

    subject = of_step(midpoint, scale="time", order=2)
    assert (subject.prediction, subject.order) == ("velocity", 2)
    np.testing.assert_allclose(end(subject), end(of_method("midpoint", scale="time")), rtol=1e-13)
    assert abs(measure(subject, PATH, (24, 32, 48, 64)).slope - 2) < 0.2
    with pytest.raises(ValueError, match='prediction must be "velocity" for a plain equation'):
        of_step(midpoint, scale="time", prediction="data")
    with pytest.raises(ValueError, match='time must be "time" for a plain equation'):
        of_step(midpoint, scale="time", time="sigma")


def test_noise_comes_from_the_setting():
    def step(model, x, t, t_next, noise):
        return x + noise(x.shape)

    def make_step(model, noise):
        return lambda x, t, t_next: x + noise(x.shape)

    def sampler(model, x, ts, *, noise=None):
        return x + sum(noise(x.shape) for _ in ts[1:])

    levels = [level_of("vp", lam) for lam in (0.0, 1.0, 2.0, 3.0)]
    for subject in (of_step(step), of_step(make_step), of_function(sampler), of_step(step, library="torch")):
        assert subject.stochastic
        drawn = iter((1.0, 10.0, 100.0))
        setting = Setting(noise=lambda shape, drawn=drawn: np.full(shape, next(drawn)))
        np.testing.assert_array_equal(subject.run(None, np.zeros((2, 1)), levels, setting), [[111.0], [111.0]])
        assert np.isfinite(subject.run(None, np.zeros((2, 1)), levels, Setting())).all()
    assert not of_step(euler).stochastic


def test_a_grid_of_its_own_is_in_its_own_clock():
    subject = of_step(euler, grid=lambda steps: [4.0 / (k + 1) for k in range(steps)] + [0.0], **OPTIONS)
    levels = subject.grid(3)
    assert [level.sigma for level in levels] == pytest.approx([4.0, 2.0, 4 / 3, 0.0])
    assert [level.alpha for level in levels] == [1.0] * 4
    assert of_step(euler).grid is None


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: of_step(lambda x, t: x), TypeError, r"or a step \(model, x, t, t_next\), but <lambda> requires 2"),
        (lambda: of_function(euler), TypeError, r"a function \(model, x, ts\), but euler requires 1 arguments"),
        (lambda: of_step(3), TypeError, "a sampler must be something to call, got 3"),
        (lambda: of_step(euler, time="sigm"), ValueError, "unknown time 'sigm'; did you mean 'sigma'"),
        (lambda: of_step(euler, scale="vpp"), ValueError, "unknown scale 'vpp'; did you mean 'vp'"),
        (lambda: of_step(euler, library="jax"), ValueError, "unknown library 'jax'"),
        (lambda: of_step(euler, prediction="nois"), ValueError, "unknown prediction 'nois'; did you mean 'noise'"),
        (lambda: of_step(euler, order=1.5), TypeError, "order must be a whole number or None, got 1.5"),
    ],
)
def test_bad_input(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_replaced_names_come_back_and_new_ones_go():
    space = {"a": 1}

    def fail():
        with patched.replaced(space, a=2, b=3):
            assert space == {"a": 2, "b": 3}
            raise ArithmeticError

    with pytest.raises(ArithmeticError):
        fail()
    assert space == {"a": 1}


def test_drawing_replaces_torch_and_its_functions_by_whatever_name():
    space = {"th": torch, "randn_like": torch.randn_like, "other": torch.ones}
    x = torch.zeros(2, 3, dtype=torch.float64)
    with patched.drawing(space, lambda shape: np.full(shape, 7.0)):
        assert torch.equal(space["th"].randn_like(x), x + 7)
        assert torch.equal(space["randn_like"](x), x + 7)
        assert space["th"].randn(2, 3, generator=None, device="cpu").dtype is torch.float32
        assert space["th"].randn((2, 3), dtype=torch.float64).shape == (2, 3)
        assert space["th"].float64 is torch.float64
        assert space["other"] is torch.ones
    assert space == {"th": torch, "randn_like": torch.randn_like, "other": torch.ones}
    with patched.drawing(space, None):
        assert space["th"] is torch


def nothing(model, x, ts):
    """Forget to return."""


def pair(model, x, ts):
    """Return more than the sample."""
    return x, []


def swapped(model, ts, x):
    """Take the arguments in another order."""
    return float(x)


def step(x, t, t_next):
    """Take a step without a model."""
    return x


@pytest.mark.parametrize(
    ("sampler", "message"),
    [
        (nothing, "nothing returned None; end it with `return x`"),
        (lambda model, x, t, t_next: None, "a step returned None"),
        (pair, "pair returned a tuple; return the sample alone"),
        (swapped, r"it was called as swapped\(model, x, ts\); model\(x, t\) is a function and ts holds 5 numbers"),
        (lambda model: 3, r"\(model\) must return a function step\(x, t, t_next\), got 3"),
    ],
    ids=["none", "no step", "tuple", "order", "factory"],
)
def test_functions_of_another_shape_are_told_what_to_return(sampler, message):
    subject = callables.of_object(sampler, "mine")
    with pytest.raises(SamplerError, match=message):
        final(subject, toys(), Layout().levels(subject, (-1.0, 3.0), 4), Setting())


def test_a_step_without_a_model_and_unknown_options_are_refused_at_once():
    with pytest.raises(TypeError, match=r"step\(x, t, t_next\) has no argument for the model; write step\(model, x"):
        callables.of_object(step, "mine")
    with pytest.raises(ValueError, match="unknown option of mine 'predction'; did you mean 'prediction'"):
        callables.of_object(nothing, "mine", predction="noise")
    with pytest.raises(ValueError, match="unknown option of mine 'strat'; did you mean 'start'"):
        callables.of_object(nd.DDIM(), "mine", strat="lower")
    options = {"beta": 0.5, "prediction": "data"}
    assert callables.of_object(lambda model, x, ts, beta: x, "mine", **options).name == "mine(beta=0.5)"
    assert callables.of_object(lambda model, x, ts, **more: x, "mine", **options).prediction == "data"
