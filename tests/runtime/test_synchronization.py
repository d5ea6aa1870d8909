"""A run never waits for a device: no value of a tensor is asked for.

Tensors on the device "meta" have no values, and fake ones on "cuda" refuse to be read; a mode watches for copies
between devices, and on the CPU for reads. Where CUDA is there, torch itself watches.
"""

import warnings

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

import numdiff as nd
from numdiff.runtime import captured
from tests.runtime.problem import SHAPE, discretized, fields, generator, sampler
from tests.runtime.test_graphs import Layer

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", category=FutureWarning)
    from numdiff.adapters.diffusers import NumdiffScheduler

MAIN = {
    "ddim": nd.DDIM(),
    "ghvb": nd.GHVB(3, 0.8),
    "dpmpp": nd.DPMSolverPP(2),
    "unipc": nd.UniPC(2),
    "sde": nd.SDEDPMSolverPP(2),
    "rk4": nd.RK4(),
    "strang": nd.methods()["HB(PEC2, 4/5)"],
}
SCHEDULERS = {
    "ddim": {"method": "ab", "order": 1},
    "ghvb": {"method": "ghvb", "order": 3, "beta": 0.8},
    "dpmpp": {"method": "dpmpp", "order": 2},
    "heun": {"method": "heun"},
}


class Watch(TorchDispatchMode):
    """Refuses what waits for a device: a value that is read, a copy from one device to another."""

    READS = ("_local_scalar_dense", "nonzero", "equal", "masked_select", "is_nonzero")

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        name, keywords = function.overloadpacket.__name__, keywords or {}
        assert name not in self.READS, f"{name} reads a value"
        result = function(*arguments, **keywords)
        if name in ("_to_copy", "copy_"):
            devices = {x.device.type for x in (*arguments, result) if isinstance(x, torch.Tensor)}
            assert len(devices) == 1, f"{name} copies between {devices}"
        return result


def network(x, t):
    return torch.tanh(x) * (1 + t)


def by_sample(method, device):
    scheme = discretized(method)
    draw = (lambda x: lambda index, column: torch.randn_like(x)) if method.stochastic else lambda x: None
    options = {"prediction": "v", "fields": fields(scheme), "finite": False}
    return lambda x: nd.sample(scheme, network, x, noise=draw(x), **options)


def by_sampler(method, device):
    made = sampler(discretized(method), "v", network, times="tensor" if device == "cuda" else "float").to(device)

    def run(x):
        with torch.no_grad():
            return made(x, [torch.randn_like(x) for _ in made.line.noises])

    return run


def by_graph(method, device):
    made = sampler(discretized(method), "v", network, times="tensor" if device == "cuda" else "float").to(device)
    layer = None if device == "cuda" else Layer()
    recorded = captured(made, torch.empty(SHAPE, device=device), layer=layer)
    return lambda x: recorded(x, [torch.randn_like(x) for _ in made.line.noises])


def by_scheduler(options, device):
    made = NumdiffScheduler(**options)
    made.set_timesteps(6, device=device)
    made.set_begin_index(0)  # as pipelines do, so that nothing is searched for

    def run(x):
        for t in made.timesteps:
            F = network(made.scale_model_input(x, t), t.to(x.device))
            x = made.step(F, t, x, return_dict=False)[0]
        return x

    return run


RUNS = [(by_sample, MAIN[name]) for name in MAIN] + [(by_sampler, MAIN[name]) for name in MAIN]
RUNS += [(by_graph, MAIN[name]) for name in ("ghvb", "sde")]
RUNS += [(by_scheduler, options) for options in SCHEDULERS.values()]
every_run = pytest.mark.parametrize(("run", "what"), RUNS, ids=lambda value: getattr(value, "__name__", str(value)))


@every_run
def test_a_run_reads_nothing_from_tensors_without_values(run, what):
    made = run(what, "meta")
    with Watch():
        x = made(torch.empty(SHAPE, device="meta"))
    assert x.shape == SHAPE
    assert x.device.type == "meta"


def test_the_watch_sees_reads_and_copies():
    x = torch.zeros(2)
    for waiting in (lambda: float(x.sum()), lambda: bool(x.any()), x.nonzero, lambda: x.to("meta")):
        with Watch(), pytest.raises(AssertionError, match=r"reads a value|copies between"):
            waiting()


@pytest.mark.parametrize(
    ("run", "what"),
    [(by_sample, MAIN["ghvb"]), (by_sampler, MAIN["rk4"])],
    ids=lambda v: getattr(v, "__name__", str(v)),
)
def test_a_run_reads_nothing_from_a_fake_device(run, what):
    made = run(what, "meta")
    with FakeTensorMode():
        x = made(torch.empty(SHAPE, device="cuda"))
    assert x.shape == SHAPE
    assert x.device.type == "cuda"


def test_the_check_of_values_reads_when_the_run_is_over_and_not_before():
    asked = []

    def counting(x, t):
        asked.append(t)
        return network(x, t)

    with FakeTensorMode(), pytest.raises(Exception, match=r"_local_scalar_dense"):
        nd.sample(discretized(nd.DDIM()), counting, torch.empty(SHAPE, device="cuda"))
    assert len(asked) == 7


def test_values_are_not_looked_at_where_nobody_wants_it():
    scheme = discretized(nd.DDIM())
    with Watch():
        found = nd.sample(scheme, lambda x, t: x * float("nan"), torch.zeros(SHAPE), finite=False)
    assert found.isnan().all()
    with pytest.raises(ValueError, match="not finite"):
        nd.sample(scheme, lambda x, t: x * float("nan"), torch.zeros(SHAPE))


if torch.cuda.is_available():

    @every_run
    def test_a_run_never_waits_for_cuda(run, what):
        x = torch.randn(SHAPE, device="cuda")
        made = run(what, "cuda")
        made(x)
        torch.cuda.set_sync_debug_mode("error")
        try:
            made(x)
        finally:
            torch.cuda.set_sync_debug_mode("default")


def test_draws_live_where_the_sample_does():
    made = sampler(discretized(nd.SDEDPMSolverPP(2)))
    assert all(z.device.type == "cpu" for z in made.draw(torch.zeros(SHAPE), generator()))
