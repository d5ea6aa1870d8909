"""Recorded runs, on a layer in the place of CUDA that records by running and replays by running again."""

import contextlib

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import numdiff as nd
from numdiff.runtime import captured
from numdiff.runtime.graphs import Cuda
from tests.runtime.problem import discretized, generator, run, sampler, start

METHODS = [nd.DDIM(), nd.GHVB(3, 0.8), nd.RK4(), nd.SDEDPMSolverPP(2)]


class Graph:
    """What a function did; replaying it does it again on the same memory."""

    def __init__(self, function, log):
        self.function, self.log = function, log
        function()

    def replay(self):
        self.log.append("replay")
        self.function()


class Layer:
    """Stands in for `numdiff.runtime.graphs.Cuda`."""

    def __init__(self):
        self.log = []

    def check(self, x):
        self.log.append("check")

    def on(self, x):
        return contextlib.nullcontext()

    def warm_up(self, function, times):
        self.log.append(f"warm up {times}")
        for _ in range(times):
            function()

    def pool(self):
        return "pool"

    def record(self, function, pool):
        assert pool == "pool"
        self.log.append("record")
        return Graph(function, self.log)


@pytest.mark.parametrize("options", [{}, {"reuse": True}], ids=["fresh", "reuse"])
@pytest.mark.parametrize("steps", [False, True], ids=["run", "steps"])
@pytest.mark.parametrize("method", METHODS, ids=str)
def test_a_recorded_run_takes_new_samples_and_noises(method, steps, options):
    scheme, layer = discretized(method), Layer()
    made = sampler(scheme, **options)
    first, second = start(), start(seed=5)
    kept = first.clone()
    recorded = captured(made, first, steps=steps, layer=layer, warm_up=2)
    graphs = scheme.nfe if steps else 1
    assert layer.log == ["check", "warm up 2", *["record"] * graphs]
    for x in (second, first):
        with torch.no_grad():
            found = recorded(x, generator=generator() if method.stochastic else None)
        assert torch.equal(found, run(made, x))
    assert torch.equal(first, kept)
    assert layer.log[2 + graphs :] == ["replay"] * (2 * graphs)


def test_progress_is_told_between_the_graphs_of_steps():
    scheme, told = discretized(nd.DDIM()), []
    recorded = captured(sampler(scheme), start(), steps=True, layer=Layer())
    with torch.no_grad():
        recorded(start(), callback=told.append)
    assert told == [*range(1, scheme.nfe + 1)]


def test_other_shapes_and_noises_than_recorded_are_refused():
    recorded = captured(sampler(discretized(nd.DDIM())), start(), layer=Layer())
    with pytest.raises(ValueError, match=r"x has shape \(1, 3, 4, 4\), but the sample has \(2, 3, 4, 4\)"):
        recorded(start()[:1])
    with pytest.raises(ValueError, match=r"x has dtype torch.float32, but the sample has torch.float64"):
        recorded(start(torch.float32))
    with pytest.raises(ValueError, match="adds 0 noises on this grid, got 1; leave noise out"):
        recorded(start(), [start()])


def test_a_recorded_run_has_no_gradients_in_any_mode():
    made, layer = sampler(discretized(nd.DDIM()), model=lambda x, t: torch.tanh(x)), Layer()
    expected = run(made, start())
    with torch.inference_mode():
        inside = captured(made, start(), layer=layer)
    for recorded in (inside, captured(made, start(), layer=layer)):
        found = recorded(start().requires_grad_())
        assert not found.requires_grad
        assert torch.equal(found, expected)
        with torch.inference_mode():
            assert torch.equal(recorded(start()), expected)
        assert torch.equal(recorded(start()), expected)
        assert not recorded._x.requires_grad


def test_bad_input_to_a_recorded_run_is_refused_as_a_samplers():
    made, x = sampler(discretized(nd.SDEDPMSolverPP(2))), start()
    recorded = captured(made, x, layer=Layer())
    with pytest.raises(ValueError, match="give generator or noise, not both"):
        recorded(x, made.draw(x), generator=generator())
    with pytest.raises(TypeError, match=r"sampler must be a numdiff.runtime.Sampler, got <function"):
        captured(lambda x, t: x, x, layer=Layer())
    with pytest.raises(TypeError, match=r"the sample must be a tensor, got ndarray"):
        captured(made, x.numpy(), layer=Layer())
    for warm_up in (0, -1, 2.5):
        with pytest.raises(ValueError, match="warm_up must be at least 1"):
            captured(made, x, layer=Layer(), warm_up=warm_up)


def test_the_current_device_is_the_samples():
    with FakeTensorMode():
        assert Cuda().on(torch.empty(1, device="cuda:1")).idx == 1


def test_away_from_cuda_a_graph_is_refused():
    with pytest.raises(ValueError, match="a CUDA graph needs a sample on a CUDA device, got one on cpu; there, call"):
        captured(sampler(discretized(nd.DDIM())), start())


if torch.cuda.is_available():

    @pytest.mark.parametrize("steps", [False, True], ids=["run", "steps"])
    @pytest.mark.parametrize("method", METHODS, ids=str)
    def test_a_cuda_graph_repeats_the_run(method, steps):
        made = sampler(discretized(method), model=lambda x, t: torch.tanh(x) * (1 + t), times="tensor").to("cuda")
        recorded = captured(made, start().cuda(), steps=steps)
        x = start(seed=5).cuda()
        noise = made.draw(x)
        with torch.no_grad():
            torch.testing.assert_close(recorded(x, noise), made(x, noise), rtol=1e-6, atol=1e-6)
