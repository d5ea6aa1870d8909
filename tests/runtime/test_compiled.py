"""torch.compile takes a whole run as one graph, model included."""

import pytest
import torch

import numdiff as nd
from numdiff.methods.splitting import Strang
from numdiff.runtime import fused
from tests.runtime.problem import SCHEDULE, generator, sampler

METHODS = {"ghvb": nd.GHVB(2, 0.8), "sde": nd.SDEDPMSolverPP(2), "strang": Strang()}
BACKENDS = ["eager", "aot_eager"]


class Network(torch.nn.Module):
    """Two convolutions and an embedding of the time, a number or a 0-d tensor."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.Conv2d(8, 3, 3, padding=1)
        self.time = torch.nn.Linear(1, 8)

    def forward(self, x, t):
        t = torch.as_tensor(t, dtype=x.dtype, device=x.device).reshape(1, 1)
        return self.last(torch.nn.functional.silu(self.first(x) + self.time(t)[:, :, None, None]))


def prepared(name, **options):
    made = sampler(METHODS[name].discretize(SCHEDULE, [0.9, 0.6, 0.3, 0.1]), "noise", Network().eval(), **options)
    x = torch.randn(1, 3, 8, 8, generator=generator())
    return made, x, made.draw(x, generator()) or None


def same(name, backend, **options):
    torch._dynamo.reset()
    made, x, noise = prepared(name, **options)
    with torch.no_grad():
        expected = made(x, noise)
        found = torch.compile(made, fullgraph=True, backend=backend)(x, noise)
    # float32, convolutions and sums in another order
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_run_is_one_graph(name, backend):
    same(name, backend, times="tensor" if name == "strang" else "float")


@pytest.mark.slow
def test_low_precision_and_buffers_of_its_own_are_one_graph_too():
    torch._dynamo.reset()
    made, x, _ = prepared("ghvb", state="float32", reuse=True)
    made, x = made.to(torch.bfloat16), x.to(torch.bfloat16)
    with torch.no_grad():
        expected = made(x)
        found = torch.compile(made, fullgraph=True, backend="aot_eager")(x)
    torch.testing.assert_close(found, expected)


@pytest.mark.slow
def test_every_sampler_is_compiled_by_itself():
    torch._dynamo.reset()
    x = torch.randn(1, 3, 4, 4, generator=generator())
    with torch.no_grad(), torch._dynamo.config.patch(recompile_limit=1):
        for steps in (2, 3, 4):
            made = sampler(nd.DDIM().discretize(SCHEDULE, torch.linspace(0.9, 0.1, steps).tolist()), "noise")
            torch.testing.assert_close(made.compiled(backend="eager")(x), made(x))


if fused.compilers()[0]:

    @pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # inductor's own imports
    @pytest.mark.slow
    def test_inductor_compiles_the_run():
        same("ghvb", "inductor", times="tensor")
