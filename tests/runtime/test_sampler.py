"""A straight-line run is numdiff.sample's, in whatever memory, layout and precision."""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import numdiff as nd
from numdiff.drivers import program
from numdiff.runtime import Sampler
from numdiff.runtime.straight import Evaluation, straight
from tests.runtime.problem import SHAPE, discretized, fields, generator, model, run, sampled, sampler, start

METHODS = nd.methods()
MAIN = [nd.DDIM(), nd.GHVB(3, 0.8), nd.DPMSolverPP(2), nd.SDEDPMSolverPP(2), nd.RK4()]


@pytest.mark.parametrize("name", METHODS)
def test_a_straight_line_samples_as_the_machine_does(name):
    scheme, x = discretized(METHODS[name]), start()
    expected = sampled(scheme, x, "v")
    found = run(sampler(scheme, "v", reuse=True), x)
    # the same sums of up to a dozen terms in another order, seven steps
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12 * float(expected.abs().max()))


@pytest.mark.parametrize("method", [*MAIN, nd.UniPC(3)], ids=str)
def test_memory_of_its_own_and_fresh_memory_give_the_same_numbers(method):
    scheme, x = discretized(method), start()
    owned, fresh = (run(sampler(scheme, reuse=reuse), x) for reuse in (True, False))
    assert torch.equal(owned, fresh)


@pytest.mark.parametrize("method", MAIN, ids=str)
def test_the_times_may_be_tensors(method):
    scheme, x, asked = discretized(method), start(torch.float32), []

    def timed(x, t):
        asked.append(t)
        return torch.tanh(x) * (1 + t)

    made = sampler(scheme, model=timed, times="tensor")
    found = run(made, x)
    assert all(t.shape == () and t.dtype == torch.float32 for t in asked)
    assert [float(t) for t in asked] == [float(np.float32(t)) for t in made.line.times]
    # times in float32, the precision of everything else
    torch.testing.assert_close(found, sampled(scheme, x, model=timed), rtol=1e-4, atol=1e-4)
    assert made.to(torch.bfloat16)._clock.dtype == torch.float32  # a cast of the network leaves the times alone
    with pytest.raises(ValueError, match="the times are on cpu, the sample on meta"):
        made(x.to("meta"), noise=[x.to("meta")] * len(made.line.noises) or None)


class Allocations(TorchDispatchMode):
    """Counts the memory that is made outside the model."""

    def __init__(self):
        super().__init__()
        self.made, self.quiet, self._known = 0, False, set()

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        keywords = keywords or {}
        result = function(*arguments, **keywords)
        given = {x.data_ptr() for x in (*arguments, *keywords.values()) if isinstance(x, torch.Tensor)}
        if isinstance(result, torch.Tensor) and result.ndim and result.data_ptr() not in given and not self.quiet:
            self.made += 1
        return result


@pytest.mark.parametrize("options", [{}, {"accumulate": "float32"}, {"state": "float32"}], ids=str)
@pytest.mark.parametrize("method", [nd.DDIM(), nd.SDEDPMSolverPP(2), nd.UniPC(3), nd.RK4()], ids=str)
def test_a_run_that_owns_its_buffers_makes_none_in_a_step(method, options):
    x = start(torch.bfloat16)

    def counted(steps):
        def apart(x, t):
            ledger.quiet = True
            F = torch.tanh(x)
            ledger.quiet = False
            return F

        made = sampler(discretized(method, np.linspace(0.9, 0.05, steps)), "v", apart, reuse=True, **options)
        noise = made.draw(x)
        low = len(made.line.times) if "state" in options else 0
        with torch.no_grad(), Allocations() as ledger:
            made(x, noise)
        return ledger.made - low, made.line.slots

    few, slots = counted(8)
    many, _ = counted(14)
    # with a float32 state each evaluation gets a copy in the model's dtype, and the ends are casts
    assert few == many <= slots + 3
    scheme = discretized(method)
    assert slots <= scheme.registers + 2 * max(tableau.stages for tableau in scheme)  # stages, and their evaluations


def test_a_run_that_owns_its_buffers_refuses_models_that_share_memory():
    scheme, x = discretized(nd.DDIM()), start()
    for view in (lambda x, t: x, lambda x, t: x[:], lambda x, t: x.detach(), lambda x, t: torch.from_numpy(x.numpy())):
        with (
            torch.no_grad(),
            pytest.raises(ValueError, match="it returned its argument or a view of it; pass copies=True"),
        ):
            Sampler(scheme, view, reuse=True)(x)
        assert torch.equal(run(Sampler(scheme, view, reuse=True, copies=True), x), run(Sampler(scheme, view), x))
    assert Sampler(scheme, lambda y, t: torch.empty_like(y), reuse=True)(x.to("meta")).is_meta
    with pytest.raises(ValueError, match="reuse=True has no gradients, and the sample requires one"):
        Sampler(scheme, model, reuse=True)(x.clone().requires_grad_())
    weight = torch.ones(1, requires_grad=True)
    with pytest.raises(ValueError, match=r"a tensor with a gradient; sample under torch.no_grad"):
        Sampler(scheme, lambda x, t: (x * weight).to(x), reuse=True)(x)


@pytest.mark.parametrize("reuse", [False, True])
def test_a_model_may_fill_one_buffer_again_and_again(reuse):
    scheme, x = discretized(nd.AdamsBashforth(3)), start()
    buffer = torch.empty_like(x)
    copied = sampler(scheme, model=lambda x, t: torch.tanh(x, out=buffer), copies=True, reuse=reuse)
    assert torch.equal(run(copied, x), run(sampler(scheme, model=lambda x, t: torch.tanh(x)), x))


def test_gradients_flow_through_a_run():
    scheme, x = discretized(nd.GHVB(2, 0.8)), start().requires_grad_()
    (found,) = torch.autograd.grad(sampler(scheme)(x).sum(), x)
    (expected,) = torch.autograd.grad(sampled(scheme, x).sum(), x)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("method", [*MAIN, nd.UniPC(3), nd.HeavyBall(nd.AdamsBashforth(2), 0.8)], ids=str)
def test_every_step_keeps_the_order_of_the_axes_in_memory(method):
    scheme, shapes = discretized(method), []
    for x in (start().to(memory_format=torch.channels_last), start().permute(1, 0, 3, 2)):

        def watching(y, t, x=x):
            shapes.append(y.stride())
            assert y.stride() == x.stride()
            return torch.tanh(y)

        noise = generator() if method.stochastic else None
        stepped = [run(sampler(scheme, model=watching, reuse=reuse), x) for reuse in (False, True)]
        stepped.append(nd.sample(scheme, watching, x, generator=noise))
        assert all(y.stride() == x.stride() for y in stepped)
        plain = x.contiguous()
        torch.testing.assert_close(stepped[0], run(sampler(scheme, model=lambda y, t: torch.tanh(y)), plain))
    assert len(shapes) == 6 * scheme.nfe


def test_a_line_computes_what_is_needed_and_frees_what_is_not():
    line = straight(program(discretized(nd.AdamsBashforth(3)), "noise"))
    evaluations = [op for op in line.operations if isinstance(op, Evaluation)]
    assert len(evaluations) == 7
    ends = [j for op in line.operations for j in op.last]
    assert len(ends) == len(set(ends))  # a value ends once
    assert line.result not in ends
    assert {*range(line.size)} - {*ends} == {line.result}
    assert line.slots == 1  # x' = c x + ... in the place of x, and the history is the model's memory
    assert sum(map(len, line.pieces()), 0) == len(line.operations)
    for piece in line.pieces():
        assert [isinstance(op, Evaluation) for op in piece].count(True) == 1
    # AB1, AB2, AB3, ..., each reading the sample and as many evaluations, and writing one sample
    assert line.passes == (2 + 3 + 5 * 4) + 7


def test_modules_are_submodules():
    network = torch.nn.Linear(4, 4)
    made = Sampler(discretized(nd.DDIM()), network.forward and (lambda x, t: network(x)))
    assert list(made.parameters()) == []
    net = type("Net", (torch.nn.Module,), {"forward": lambda self, x, t: x})()
    made = Sampler(discretized(nd.DDIM()), net)
    assert made.model is net
    x, other = start(), type("Net", (torch.nn.Module,), {"forward": lambda self, x, t: torch.tanh(x)})()
    made.model = other  # what is assigned runs
    assert torch.equal(run(made, x), run(Sampler(made.scheme, other), x))


# --- bad input --------------------------------------------------------------------------------------------------------


def test_bad_input_is_refused_by_name():
    scheme, x = discretized(nd.DDIM()), start()
    noisy = discretized(nd.SDEDPMSolverPP(2))
    for refused, message in [
        ({"times": "integer"}, "times must be one of 'float', 'tensor', got 'integer'"),
        ({"accumulate": "float31"}, "unknown accumulate 'float31'; did you mean 'float32'"),
        ({"state": "float32", "accumulate": "float32"}, "leave accumulate= out"),
        ({"combine": "tritn"}, "unknown combination 'tritn'; did you mean 'triton'"),
        ({"fields": {"condition": model}}, r"evaluates the fields \[\], got \['condition'\]"),
    ]:
        with pytest.raises(ValueError, match=message):
            Sampler(scheme, model, **refused)
    with pytest.raises(ValueError, match="less precise than the sample"):
        Sampler(scheme, model, state="float32")(x)
    with pytest.raises(ValueError, match='combine="triton" needs Triton and a sample on CUDA, got one on cpu'):
        Sampler(scheme, model, combine="triton")(x)
    with pytest.raises(ValueError, match=r"adds 7 noises on this grid, got 0; pass noise=sampler.draw"):
        Sampler(noisy, model)(x)
    with pytest.raises(ValueError, match="adds 0 noises on this grid, got 1; leave noise out"):
        Sampler(scheme, model)(x, [x])
    with pytest.raises(ValueError, match=r"noise 0 has shape \(3,\), but the sample has \(2, 3, 4, 4\)"):
        Sampler(noisy, model)(x, [torch.zeros(3)] * 7)
    with pytest.raises(ValueError, match=r"the model has dtype torch.float32, but the sample has torch.float64"):
        Sampler(scheme, lambda x, t: x.float())(x)
    with pytest.raises(TypeError, match=r"the sample must be a tensor, got ndarray"):
        Sampler(scheme, model)(np.zeros(3))
    made = Sampler(noisy, model)
    for source in (nd.noise.Seeded(0), generator(), lambda index, column: x, 3):
        with pytest.raises(TypeError, match=r"noise must be the standard normal tensors themselves, got .*generator="):
            made(x, source)
    with pytest.raises(
        ValueError, match=r"noise has shape \(2, 3, 4, 4\), expected \(7, 2, 3, 4, 4\): .* adds 7 noises"
    ):
        made(x, torch.randn_like(x))
    for odd in (torch.int64, torch.float8_e4m3fn):
        with pytest.raises(TypeError, match=f"the sample must be floating, in 16 bits or more, got {odd}"):
            made(x.to(odd))
    with pytest.raises(ValueError, match=r"accumulate='float32' is for real samples, got torch.complex64"):
        Sampler(scheme, model, accumulate="float32")(x.to(torch.complex64))
    with pytest.raises(TypeError, match=r"scheme must be what method.discretize"):
        Sampler(nd.DDIM(), model)
    exact = nd.AdamsBashforth(3).discretize(scheme.schedule, [0.9, 0.5, 0.3, 0.1], start="exact")
    with pytest.raises(ValueError, match="no exact samples to start from"):
        Sampler(exact, model)


def test_coefficients_with_gradients_are_left_to_sample():
    grid = torch.tensor([0.9, 0.5, 0.2], dtype=torch.float64, requires_grad=True)
    scheme = nd.DDIM().discretize(nd.schedules.VPLinear(), list(grid))
    for mode in (torch.enable_grad, torch.no_grad, torch.inference_mode):  # the gradients are there in all of them
        with mode(), pytest.raises(ValueError, match=r"run it with nd.sample"):
            Sampler(scheme, model)
        with mode():
            nd.sample(scheme, model, start())
        assert nd.sample(scheme, model, start()).requires_grad  # whatever ran before


def test_noise_is_drawn_as_sample_draws_it():
    scheme, x = discretized(nd.SDEDPMSolverPP(2)), start()
    made = sampler(scheme)
    source = nd.noise.Seeded(3)
    expected = nd.sample(scheme, model, x, noise=source, fields=fields(scheme))
    torch.testing.assert_close(run_with(made, x, made.draw(x, source)), expected, rtol=1e-12, atol=1e-12)
    assert torch.stack(made.draw(x, source)).shape == (len(made.line.noises), *SHAPE)
    torch.testing.assert_close(run_with(made, x, torch.stack(made.draw(x, source))), expected, rtol=1e-12, atol=1e-12)


def run_with(made, x, noise):
    with torch.no_grad():
        return made(x, noise)
