"""Networks as models: how they are called, what they may return, and the networks of Karras et al."""

import doctest
import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import numdiff as nd
from numdiff.adapters import networks

VP = nd.schedules.Discrete.stable_diffusion()
MIXTURE = nd.problems.GaussianMixture([0.4, 0.6], [[-1.0, 0.5], [1.0, -0.5]], [[[0.3, 0.1], [0.1, 0.2]]] * 2)
X = torch.from_numpy(np.random.default_rng(0).standard_normal((5, 2)))


class Probe(torch.nn.Module):
    """Records how it was called and answers with a function of x."""

    def __init__(self, answer=lambda x: torch.tanh(x), dtype=torch.float64):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1, dtype=dtype))
        self.answer, self.calls = answer, []

    def forward(self, *args, **kwargs):
        self.calls.append((args, kwargs))
        x = args[0] if args else kwargs["hidden_states"]
        return self.answer(x * self.weight)


def made(net=None, **options):
    return networks.module(net or Probe(), **{"schedule": VP, "prediction": "v", **options})


def test_examples():
    assert doctest.testmod(networks).failed == 0
    assert networks.__doc__.count(">>>") > 5


# --- how a network is called ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("model", lambda t: 1000 * t - 1),
        ("continuous", lambda t: t),
        ("sigma", lambda t: VP.rho(t)),
        ("log-snr", lambda t: VP.log_snr(t)),
        ("c-noise", lambda t: math.log(VP.rho(t)) / 4),
        (lambda level: 3 * level.sigma, lambda t: 3 * VP.sigma(t)),
    ],
    ids=lambda v: v if isinstance(v, str) else "function",
)
def test_the_time_of_each_sample(name, expected):
    net = Probe()
    model = made(net, time=name)
    model(X, VP.model_time(0.37))
    (x, t), _ = net.calls[0]
    assert torch.equal(x, X)
    assert t.shape == (5,)
    assert t.dtype == torch.float64
    assert t.tolist() == pytest.approx([expected(0.37)] * 5, rel=1e-12)


def test_names_of_a_transformer():
    """hidden_states, timestep and embeddings, as SD3's and Flux's transformers are called; an object with .sample."""
    net, states = Probe(lambda x: SimpleNamespace(sample=x)), torch.ones(5, 3)
    flow = nd.schedules.Flow(3.0, time_scale=1000.0)
    model = made(
        net,
        schedule=flow,
        prediction="flow",
        call={"hidden_states": "x", "timestep": "t"},
        condition={"encoder_hidden_states": states},
    )
    assert torch.equal(model(X, flow.model_time(0.25)), X)
    ((), given), = net.calls  # fmt: skip
    assert set(given) == {"hidden_states", "timestep", "encoder_hidden_states"}
    assert torch.equal(given["encoder_hidden_states"], states)
    assert given["timestep"].tolist() == pytest.approx([500.0] * 5)  # 3 t/(1 + 2 t) = 1/2


ANSWERS = [
    (lambda x: x, None),
    (lambda x: (x, x + 1), None),
    (lambda x: [x + 1, x], 1),
    (lambda x: {"sample": x, "loss": 0}, None),
    (lambda x: {"pred": x, "sample": 0}, "pred"),
    (lambda x: SimpleNamespace(logits=x), "logits"),
    (lambda x: {"deep": [x + 1, x]}, lambda answer: answer["deep"][1]),
]


@pytest.mark.parametrize(("answer", "output"), ANSWERS)
def test_where_the_prediction_is(answer, output):
    assert torch.equal(made(Probe(answer), output=output)(X, 500.0), X)


def test_the_first_half_of_the_channels_is_the_prediction():
    """As OpenAI's networks return them: chunk(2, dim=1)[0]."""
    answer = lambda x: torch.cat([x, x + 1], 1)  # noqa: E731
    for x in (X, torch.randn(2, 3, 4, 4, dtype=torch.float64)):
        assert torch.equal(made(Probe(answer), learned_variance=True)(x, 500.0), x)
    with pytest.raises(ValueError, match=r"shape \(5, 4\) for a sample of \(5, 2\); pass learned_variance=True"):
        made(Probe(answer))(X, 500.0)


def test_types():
    """A bfloat16 network for a float32 sample: times stay exact in float32, the answer comes back in float32."""
    net = Probe(dtype=torch.bfloat16)
    model = made(net, dtype=torch.bfloat16)
    found = model(X.float(), 981.0)
    (x, t), _ = net.calls[0]
    assert (x.dtype, t.dtype, found.dtype) == (torch.bfloat16, torch.float32, torch.float32)
    assert t[0] == 981
    assert torch.equal(found, torch.tanh(X.bfloat16()).float())
    index = made(net, dtype=torch.bfloat16, time_dtype=torch.long)
    index(X.float(), 981.0)
    assert net.calls[-1][0][1].dtype == torch.long
    with pytest.raises(ValueError, match=r"time_dtype = torch.int64 holds no 980.5; lay the grid at entries"):
        index(X.float(), 980.5)


def test_autocast():
    """Within `torch.autocast` a float32 network answers in bfloat16, and a run goes on in the sample's type."""
    net = torch.nn.Linear(2, 2)
    model = networks.module(lambda x, t: net(x), schedule=VP, prediction="v")
    plain = model(X.float(), 500.0)
    with torch.autocast("cpu", torch.bfloat16):
        found = model(X.float(), 500.0)
    assert found.dtype == torch.float32
    assert not torch.equal(found, plain)
    assert torch.allclose(found, plain, rtol=0.05, atol=0.05)


def test_evaluation_mode_and_gradients():
    net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Dropout(0.9)).double()
    model = networks.module(lambda x, t: net(x), schedule=VP, prediction="noise")
    assert net.training  # inside a function it is the function's affair
    model = networks.module(torch.nn.Sequential(net), schedule=VP, prediction="noise", output=None)
    assert not net.training
    probe = Probe()
    assert not made(probe)(X, 500.0).requires_grad
    made(probe, gradients=True)(X, 500.0).sum().backward()
    assert probe.weight.grad is not None
    assert model.prediction.name == "noise"


@pytest.mark.slow  # the first tensor on "meta" costs a second
def test_nothing_waits_for_the_device():
    """On the device "meta" there are no values, so that whatever asked for one would fail; conditions move along."""
    net = Probe(lambda x: {"sample": torch.cat([x, x], 1)})
    model = made(net, time="log-snr", learned_variance=True, condition={"y": torch.ones(5)}, dtype=torch.float64)
    model.to("meta")
    found = model(torch.empty(5, 2, device="meta"), 500.0)
    assert (found.device.type, found.shape, found.dtype) == ("meta", (5, 2), torch.float32)


@pytest.mark.parametrize("prediction", ["noise", "data", "v", "score", "edm"])
def test_a_run_is_that_of_the_exact_model(prediction):
    exact = MIXTURE.model(VP, prediction)

    class Net(torch.nn.Module):
        def forward(self, x, log_snr):
            time = VP.time(float(log_snr[0]))
            return torch.from_numpy(exact(x.numpy(), VP.model_time(time)))

    model = networks.module(Net(), schedule=VP, prediction=prediction, time="log-snr")
    scheme = nd.GHVB(2, 0.8).discretize(VP, nd.grids.uniform_log_snr(VP, 6))
    found = nd.sample(scheme, model, X, prediction=model.prediction)
    expected = nd.sample(scheme, exact, X.numpy(), prediction=prediction)
    assert found.numpy() == pytest.approx(expected, rel=1e-9)  # the time goes through the log-SNR and back


# --- EDM --------------------------------------------------------------------------------------------------------------


class Precond(torch.nn.Module):
    """EDMPrecond of NVIDIA's training/networks.py, in a few lines: D from F by table 1 of the paper, in float32."""

    def __init__(self, label_dim=0, sigma_min=0, sigma_max=float("inf"), sigma_data=0.5):
        super().__init__()
        self.label_dim, self.sigma_min, self.sigma_max, self.sigma_data = label_dim, sigma_min, sigma_max, sigma_data
        self.mix = torch.nn.Parameter(torch.tensor([[0.8, -0.3], [0.4, 0.9]]))
        self.labels = []

    def inner(self, x, c_noise, class_labels=None, **_):
        self.labels.append(class_labels)
        shift = 0 if class_labels is None else class_labels.sum(1, keepdim=True) * 0.1
        return torch.sin(x @ self.mix.to(x.dtype) + c_noise[:, None]) + shift

    def forward(self, x, sigma, class_labels=None, force_fp32=False, **model_kwargs):
        x, sigma = x.float(), sigma.float().reshape(-1, 1)
        square = sigma**2 + self.sigma_data**2
        F = self.inner(x / square.sqrt(), sigma.flatten().log() / 4, class_labels)
        return self.sigma_data**2 / square * x + sigma * self.sigma_data / square.sqrt() * F

    def round_sigma(self, sigma):
        return torch.as_tensor(sigma)


def heun_of_the_paper(net, latents, sigmas, class_labels=None):
    """Algorithm 1 of the paper, as generate.py has it, in double precision with a float32 network."""
    x = latents.double() * sigmas[0]
    D = lambda x, s: net(x, torch.as_tensor(s), class_labels).double()  # noqa: E731
    for s, t in itertools.pairwise(sigmas):
        d = (x - D(x, s)) / s
        following = x + (t - s) * d
        if t > 0:
            following = x + (t - s) * 0.5 * (d + (following - D(following, t)) / t)
        x = following
    return x


def test_the_sampler_of_the_paper():
    """A float32 network in a float64 run: 18 steps whose networks round by 6e-8 of values up to 80."""
    net = Precond()
    model = networks.edm(net)
    sigmas = networks.sigmas(model, 18)
    expected = [(80 ** (1 / 7) + i / 17 * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7 for i in range(18)]
    assert sigmas == pytest.approx([*expected, 0.0], rel=1e-12)
    scheme = nd.Heun().discretize(model.schedule, sigmas)
    found = nd.sample(scheme, model, X * sigmas[0], prediction=model.prediction)
    assert torch.allclose(found, heun_of_the_paper(net, X, sigmas).detach(), rtol=1e-5, atol=1e-5)


def test_raw_networks():
    """F with prediction EDM(sigma_data) makes the run of D: the conversion is formula (1) instead of the wrapper."""
    net = Precond(sigma_data=0.7).double()
    whole = networks.module(
        lambda x, s: net_double(net, x, s), schedule=nd.schedules.EDM(), prediction="data", time="sigma"
    )
    raw = networks.edm(net.inner, sigma_data=0.7, raw=True)
    assert raw.prediction == nd.parameterizations.EDM(0.7)
    scheme = nd.DPMSolverPP(2).discretize(raw.schedule, nd.grids.karras(raw.schedule, 8))
    start = X * 80
    found = nd.sample(scheme, raw, start, prediction=raw.prediction)
    expected = nd.sample(scheme, whole, start, prediction=whole.prediction)
    assert torch.allclose(found, expected, rtol=1e-11, atol=1e-11)  # 8 steps in float64, from values up to 80


def net_double(net, x, sigma):
    """D of `Precond` without its casts."""
    square = sigma[:, None] ** 2 + net.sigma_data**2
    F = net.inner(x / square.sqrt(), sigma.log() / 4)
    return net.sigma_data**2 / square * x + sigma[:, None] * net.sigma_data / square.sqrt() * F


def test_attributes_and_labels():
    net = Precond(label_dim=3, sigma_min=0.01, sigma_max=50)
    model = networks.edm(net, class_labels=[0, 2, 2, 1, 0], force_fp32=True)
    assert (model.schedule.T, model.schedule.t_end) == (50.0, 0.01)
    model(X, 1.0)
    assert net.labels[-1].tolist() == torch.eye(3)[[0, 2, 2, 1, 0]].tolist()
    for one in (torch.eye(3)[:1], 0):  # for all samples
        networks.edm(net, class_labels=one)(X, 1.0)
        assert net.labels[-1].tolist() == [[1.0, 0.0, 0.0]]
    networks.edm(net)(X, 1.0)
    assert net.labels[-1] is None


# --- bad input --------------------------------------------------------------------------------------------------------

BAD = [
    (lambda: made("net"), TypeError, "net must be an nn.Module or a function of tensors, got 'net'"),
    (lambda: made(prediction="eps"), ValueError, "unknown prediction 'eps'"),
    (lambda: made(schedule="vp-liner"), ValueError, "unknown schedule 'vp-liner'; did you mean 'vp-linear'"),
    (lambda: made(time="sigmas"), ValueError, "unknown time 'sigmas'; did you mean 'sigma'"),
    (lambda: made(time=3), TypeError, "time must be a name or a function of the level, got 3"),
    (lambda: made(call={"sample": "x"}), ValueError, 'call must name one argument for "x" and one for "t"'),
    (lambda: made(call={"a": "x", "b": "t"}, condition={"a": 1}), ValueError, "call and condition both give a"),
    (lambda: made()(X.numpy(), 5.0), TypeError, r"x must be a floating tensor of shape \(n, ...\), got ndarray"),
    (lambda: made()(X.long(), 5.0), TypeError, r"got a torch.int64 tensor of shape \(5, 2\)"),
    (lambda: made()(X.float(), 5.0), TypeError, "sample is torch.float32.*are torch.float64; pass dtype=torch.float64"),
    (
        lambda: made(dtype=torch.float16)(X, 5.0),
        TypeError,
        "dtype = torch.float16, and the network's parameters are torch.float64; pass dtype=torch.float64",
    ),
    (
        lambda: made(Probe().to("meta"))(X, 5.0),
        ValueError,
        r"sample is on cpu and the network on meta; move one of them, model.to\('cpu'\)",
    ),
    (
        lambda: made(condition={"y": torch.ones(5, device="meta")})(X, 5.0),
        ValueError,
        r"condition\['y'\] is on meta and the sample on cpu",
    ),
    (lambda: made(Probe(lambda x: x[:1]))(X, 5.0), ValueError, r"returned shape \(1, 2\) for a sample of \(5, 2\)"),
    (lambda: made(learned_variance=True)(X, 5.0), ValueError, "expects twice the sample's channels"),
    (
        lambda: made(Probe(lambda x: None))(X, 5.0),
        TypeError,
        "returned NoneType, no tensor; say where it is by output=",
    ),
    (
        lambda: made(Probe(lambda x: {"out": x}))(X, 5.0),
        ValueError,
        "returned the keys out and no 'sample'; choose one",
    ),
    (lambda: made(output="out")(X, 5.0), ValueError, "output = 'out', but the network returned Tensor without it"),
    (lambda: made(Probe(lambda x: (x,)), output=1)(X, 5.0), ValueError, "output = 1, but the network returned tuple"),
    (lambda: networks.edm(None), TypeError, "net must be a network"),
    (lambda: networks.edm(Precond(), class_labels=[1]), ValueError, "its label_dim is 0"),
    (lambda: networks.edm(Precond(3), class_labels=[3]), ValueError, r"must lie between 0 and 2, got \[3\]"),
    (lambda: networks.edm(Precond(3), class_labels=torch.eye(4)), ValueError, r"must have shape \(n, 3\)"),
    (lambda: networks.edm(lambda x, s: x, class_labels=[1]), ValueError, "no label_dim; pass vectors"),
    (lambda: networks.edm(Precond(3), class_labels=[]), TypeError, "class_labels are empty; give whole numbers"),
    (lambda: networks.edm(Precond(3), class_labels=torch.ones(5, dtype=bool)), TypeError, "labels are truth values"),
    (lambda: networks.edm(Precond(3), class_labels=[0, 1])(X, 1.0), ValueError, "labels are 2 and the samples 5; give"),
    (lambda: networks.sigmas(Precond(), 5), TypeError, "model must be what networks.edm returned, got Precond"),
    (lambda: made(condition=3), TypeError, "condition must be a dictionary of keyword arguments, .* got 3"),
    (
        lambda: made(time_dtype="long"),
        TypeError,
        "time_dtype must be a type of torch's, such as torch.long, got 'long'",
    ),
    (lambda: networks.edm(lambda x, s: x, sigma_data=-1.0, raw=True), ValueError, "sigma_data must be positive"),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.slow
@pytest.mark.parametrize("time", ["model", "log-snr", "raw"])
def test_a_run_is_one_graph(time):
    """`torch.compile(fullgraph=True)` takes a whole run: times, conditions, casts and selection make no break."""

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(2, 4)

        def forward(self, x, t, y=0.0):
            return (torch.tanh(self.linear(x)) * torch.sin(t)[:, None] + y,)

    torch._dynamo.reset()
    net = Net()
    if time == "raw":
        model = networks.edm(lambda x, t: net(x, t)[0][:, :2], raw=True)
    else:
        model = networks.module(
            net, schedule=VP, prediction="v", time=time, learned_variance=True, condition={"y": 0.1}
        )
    scheme = nd.GHVB(2, 0.8).discretize(model.schedule, nd.grids.uniform_log_snr(model.schedule, 4))
    levels = [level.model_time for tableau in scheme for level in tableau.levels]

    def run(x):
        for t in levels:
            x = model(x, t)
        return x

    compiled = torch.compile(run, fullgraph=True, backend="eager")
    assert torch.equal(compiled(X.float()), run(X.float()))
    sampler = nd.runtime.Sampler(scheme, model, prediction=model.prediction)
    expected = nd.sample(scheme, model, X.float(), prediction=model.prediction)
    assert torch.equal(sampler.compiled(backend="eager")(X.float()), expected)
