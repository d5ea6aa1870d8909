"""Torch models that go wrong: what is said, when, and that nothing is left behind for the next run."""

import math

import numpy as np
import pytest
import torch

import numdiff as nd
from numdiff import drivers_checks
from numdiff.adapters import kdiffusion, networks
from numdiff.executor import Machine

VP = nd.schedules.VPLinear()
TIMES = [0.9, 0.7, 0.5, 0.3, 0.1]
METHODS = [nd.GHVB(2, 0.8), nd.UniPC(2), nd.Heun(), nd.HeavyBall(nd.DPMSolverPP(2), 0.8), nd.RK4(), nd.method("pndm")]
SCHEME = nd.AdamsBashforth(2).discretize(VP, TIMES)
X = torch.from_numpy(np.random.default_rng(2).standard_normal((3, 2)))


def model(x, t):
    return torch.tanh(x) * (1 - t)


def turning(call, bad):
    """The model, with `bad` in place of evaluation number `call`."""
    count = 0

    def turned(x, t):
        nonlocal count
        count += 1
        return bad(x) if count == call else model(x, t)

    return turned


def raising(error):
    def bad(x):
        raise error

    return bad


# --- answers ----------------------------------------------------------------------------------------------------------

ANSWERS = [
    (lambda x: x.to("meta"), ValueError, "the model returned a tensor on meta {where}; the sample is on cpu"),
    (lambda x: x.half(), TypeError, "the model returned dtype torch.float16 {where}; expected torch.float64"),
    (lambda x: x + 0j, TypeError, "the model returned dtype torch.complex128 {where}"),
    (lambda x: x.mean(), ValueError, r"the model returned shape \(\) {where}; expected \(3, 2\), as the sample"),
    (lambda x: x.repeat(1, 2), ValueError, r"the model returned shape \(3, 4\) {where}"),
    (lambda x: x.numpy(), TypeError, "the model returned ndarray {where}; expected Tensor"),
    (lambda x: {"sample": x}, TypeError, "the model returned dict {where}; expected Tensor"),
    (lambda x: x / 0, ValueError, "the model returned a value that is not finite {where}"),
]


@pytest.mark.parametrize(("bad", "error", "message"), ANSWERS)
@pytest.mark.parametrize("call", [1, 4])
def test_the_evaluation_is_named(bad, error, message, call):
    where = rf"at evaluation {call}, step {call} \(model time {TIMES[call - 1]}\)"
    with pytest.raises(error, match=message.format(where=where)):
        nd.sample(SCHEME, turning(call, bad), X)


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_every_evaluation_of_a_run_can_be_the_bad_one(method):
    """Predictors, stages and correctors alike: evaluation k is named k, and its model time is the level's."""
    scheme = method.discretize(VP, TIMES)
    times = [level.model_time for tableau in scheme for level in tableau.levels]
    for k, t in enumerate(times, start=1):
        with pytest.raises(ValueError, match=rf"not finite at evaluation {k}, step \d+ \(model time {t}\)"):
            nd.sample(scheme, turning(k, lambda x: x * math.nan), X)


def test_on_a_device_the_first_bad_evaluation_is_named_when_the_run_is_over(monkeypatch):
    """There the sums are read once, at the end; what follows from a NaN is not blamed."""
    monkeypatch.setattr(drivers_checks, "_on_host", lambda x: False)
    with pytest.raises(ValueError, match=r"not finite at evaluation 2, step 2 \(model time 0.7\)"):
        nd.sample(SCHEME, turning(2, lambda x: x * math.nan), X)


def test_right_sides_of_equations():
    for k in (1, 3):
        with pytest.raises(ValueError, match=rf"fun returned a value that is not finite at evaluation {k}, step {k}"):
            nd.solve_ivp(nd.AdamsBashforth(2), lambda t, y, k=k: y / (t - (k - 1)), [0.0, 1.0, 2.0, 3.0, 4.0], X)
    with pytest.raises(
        ValueError, match=r"fun returned a tensor on meta at evaluation 1, step 1 \(t = 0.0\); y0 is on"
    ):
        nd.solve_ivp(nd.RK4(), lambda t, y: y.to("meta"), [0, 1], X)


# --- arguments --------------------------------------------------------------------------------------------------------

SPLIT = nd.method("strang").discretize(VP, TIMES)
ARGUMENTS = [
    ({"prediction": "nois"}, ValueError, "unknown prediction 'nois'; did you mean 'noise'"),
    ({"prediction": 1}, ValueError, "unknown prediction 1; known: data"),
    ({"fields": [model]}, TypeError, r'fields must be a dictionary of functions by tag, {"condition": g}, got \['),
    ({"fields": model}, TypeError, "fields must be a dictionary of functions by tag"),
    ({"fields": "condition"}, TypeError, "fields must be a dictionary .* got 'condition'"),
    ({"fields": {1: model, "a": model}}, ValueError, r"evaluates the fields \[\], got \[1, 'a'\]; it takes no fields"),
    ({"callback": 3}, TypeError, "callback must be a function, got 3"),
    ({"generator": np.random.default_rng(0)}, TypeError, "generator must be a torch.Generator for such a sample"),
]


@pytest.mark.parametrize(("options", "error", "message"), ARGUMENTS)
def test_arguments(options, error, message):
    with pytest.raises(error, match=message):
        nd.sample(SCHEME, model, X, **options)


def test_fields_of_a_splitting_method():
    with pytest.raises(TypeError, match="fields must be a dictionary"):
        nd.sample(SPLIT, model, X, fields=[("condition", model)])
    tags = [tag for tableau in SPLIT for tag in tableau.tags]
    second = [k for k, tag in enumerate(tags, start=1) if tag][1]
    with pytest.raises(ValueError, match=rf"fields\['condition'\] returned a value .* finite at evaluation {second},"):
        nd.sample(SPLIT, model, X, fields={"condition": turning(2, lambda x: x / 0)})


def test_noise():
    scheme = nd.method("ddpm").discretize(VP, TIMES)
    for bad, message in (
        (X.float(), "noise returned dtype torch.float32 for column 0 of tableau 0; expected torch.float64"),
        (X.to("meta"), "noise returned a tensor on meta for column 0 of tableau 0"),
        (X[:1], r"noise returned shape \(1, 2\) for column 0"),
        (X / 0, "noise returned a value that is not finite for column 0"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            nd.sample(scheme, model, X, noise=lambda index, column, bad=bad: bad)


# --- types ------------------------------------------------------------------------------------------------------------


def wide(prediction):
    """A run of AB2 whose coefficients reach 1e6, in float16."""
    schedule = nd.schedules.EDM(T=1e6, t_end=1e-6)
    scheme = nd.AdamsBashforth(2).discretize(schedule, np.geomspace(1e6, 1e-6, 8))
    return nd.sample(scheme, lambda x, t: 0 * x, X.half(), prediction=prediction)


def test_float16_ends_at_65504():
    with pytest.raises(ValueError, match=r"a coefficient after evaluation 1 is beyond the range of torch.float16; run"):
        wide("noise")
    assert wide("data").dtype == torch.float16  # its coefficients stay below 1
    steady = lambda t, y: 6000 + 0 * y  # noqa: E731
    with pytest.raises(ValueError, match=r"y is no longer finite at evaluation 3, step 3 .*: it outgrew torch.float16"):
        nd.solve_ivp(nd.AdamsBashforth(1), steady, [0.0, 10.0, 20.0, 30.0], X.half())


@pytest.mark.parametrize("dtype", [torch.int32, torch.bool, torch.float8_e4m3fn])
def test_types_that_torch_cannot_compute_in(dtype):
    with pytest.raises(TypeError, match=f"the sample .*{dtype}.*; convert it"):
        nd.sample(SCHEME, model, X.to(dtype))


def test_other_errors_of_a_model_are_its_own():
    error = RuntimeError("CUDA out of memory")
    with pytest.raises(RuntimeError) as caught:
        nd.sample(SCHEME, turning(2, raising(error)), X)
    assert caught.value is error


# --- nothing is left behind -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [*METHODS, nd.method("sde-dpmpp"), nd.BDIA()], ids=str)
@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("the model's own")], ids=["interrupt", "error"])
def test_an_interrupted_run_leaves_the_scheme_as_it_was(method, error):
    """The next run of the same scheme gives bit for bit what a scheme gives that was never interrupted."""
    fresh, used, draw = method.discretize(VP, TIMES), method.discretize(VP, TIMES), nd.noise.Seeded(3)
    expected = nd.sample(fresh, model, X, noise=draw)
    kept = X.clone()
    for call in range(1, used.nfe + 1):
        with pytest.raises(type(error)):
            nd.sample(used, turning(call, raising(error)), X, noise=draw)
        assert torch.equal(nd.sample(used, model, X, noise=draw), expected)
    assert torch.equal(X, kept)


def test_an_interrupted_callback_and_sampler():
    sigmas = kdiffusion.sigmas("edm", 6).double()
    denoiser = lambda x, sigma: x / (1 + sigma[:, None] ** 2)  # noqa: E731
    expected = kdiffusion.sample_ghvb3(denoiser, X, sigmas, disable=True)
    for stop in range(6):
        callback = lambda report, stop=stop: 1 / (report["i"] - stop)  # noqa: E731
        with pytest.raises(ZeroDivisionError):
            kdiffusion.sample_ghvb3(denoiser, X, sigmas, callback=callback, disable=True)
        assert torch.equal(kdiffusion.sample_ghvb3(denoiser, X, sigmas, disable=True), expected)


def test_a_machine_is_over_once():
    machine = Machine(nd.drivers.program(SCHEME, nd.parameterizations.get("noise")), X)
    while (asked := machine.ask()) is not None:
        machine.tell(model(asked.x, asked.level.model_time))
    with pytest.raises(RuntimeError, match="the run is over"):
        machine.tell(X)


# --- answers that are unusual and right -------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_views_of_anything_are_answers(method):
    """Expanded, transposed and aliased tensors are read and never written to."""
    scheme = method.discretize(VP, TIMES)
    constant = torch.tensor([0.5], dtype=torch.float64)
    for odd, plain in (
        (lambda x, t: constant.expand_as(x), lambda x, t: torch.full_like(x, 0.5)),
        (lambda x, t: model(x, t).T.contiguous().T, model),
        (lambda x, t: x, lambda x, t: x.clone()),
        (lambda x, t: x[:], lambda x, t: x.clone()),
    ):
        assert torch.equal(nd.sample(scheme, odd, X), nd.sample(scheme, plain, X))
    assert constant.item() == 0.5


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_gradients_pass_through_a_run(method):
    scheme, weight = method.discretize(VP, TIMES), torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    x = X[:1].clone().requires_grad_()
    run = lambda x, w: nd.sample(scheme, lambda y, t: torch.tanh(w * y), x)  # noqa: E731
    assert torch.autograd.gradcheck(run, (x, weight))
    with torch.no_grad():
        assert not run(x, weight).requires_grad
    assert torch.equal(run(x, weight), run(x.detach(), weight.detach()))


@pytest.mark.slow  # the first tensor on "meta" costs a second
def test_a_trial_without_values():
    """On the device "meta" a run is its shapes and types alone: no memory, nothing to be finite."""
    net = networks.module(lambda x, t: torch.tanh(x) * t[:, None], schedule=VP, prediction="v", time="log-snr")
    for method in METHODS:
        found = nd.sample(method.discretize(VP, TIMES), net, X.to("meta"), prediction=net.prediction)
        assert (found.shape, found.dtype, found.device.type) == (X.shape, X.dtype, "meta")
