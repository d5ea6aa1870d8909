"""Registered methods as functions of k-diffusion's kind: its own samplers, on the same models with the same noise."""

import doctest
import itertools
import math
import types

import pytest
import torch

import numdiff as nd
from numdiff.adapters import kdiffusion, sigma_lists
from tests import peers

SIGMAS = peers.rough_sigmas(8)
X = peers.start(SIGMAS)
DETERMINISTIC = ("euler", "heun", "lms", "dpmpp_2m", "dpm_2")


@pytest.fixture(scope="module")
def sampling():
    return peers.k_diffusion()


def linear(x, sigma, *, weight=1.0):
    """The denoiser of normal data with variance `weight`."""
    return x * (weight / (weight + sigma.reshape(-1, *(1,) * (x.ndim - 1)) ** 2))


def test_examples():
    for module in (kdiffusion, sigma_lists):
        assert doctest.testmod(module).failed == 0
    assert kdiffusion.__doc__.count(">>>") > 5


# --- k-diffusion's samplers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_the_same_samples_and_callbacks(sampling, name):
    expected, found = [], []
    theirs = getattr(sampling, f"sample_{name}")(peers.denoiser(), X, SIGMAS, callback=expected.append, disable=True)
    ours = getattr(kdiffusion, f"sample_{name}")(peers.denoiser(), X, SIGMAS, callback=found.append, disable=True)
    peers.close(ours, theirs)
    assert [d["i"] for d in found] == [d["i"] for d in expected] == list(range(8))
    for mine, other in zip(found, expected, strict=True):
        assert set(mine) == set(other)
        for key in ("x", "denoised", "sigma", "sigma_hat"):
            peers.close(mine[key].expand(6, 2), other[key].expand(6, 2))


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_single_precision(sampling, name):
    """Rounding of 8 steps, each a few units of 6e-8 relative to the first sample, whose error the flow shrinks."""
    x, sigmas = X.float(), SIGMAS.float()
    theirs = getattr(sampling, f"sample_{name}")(linear, x, sigmas, disable=True)
    ours = getattr(kdiffusion, f"sample_{name}")(linear, x, sigmas, disable=True)
    assert ours.dtype == torch.float32
    assert torch.allclose(ours, theirs, rtol=2e-5, atol=2e-6)


STOCHASTIC = [
    ("euler_ancestral", {}),
    ("euler_ancestral", {"eta": 0.6, "s_noise": 1.003}),
    ("dpm_2_ancestral", {}),
    ("dpmpp_2s_ancestral", {"eta": 0.5}),
    ("euler", {"s_churn": 3.0, "s_tmin": 0.1, "s_tmax": 50.0, "s_noise": 1.003}),
    ("heun", {"s_churn": 3.0, "s_tmin": 0.1, "s_tmax": 50.0}),
    ("dpm_2", {"s_churn": 100.0}),
]


@pytest.mark.parametrize(("name", "options"), STOCHASTIC)
def test_the_same_noise_in_the_same_order(sampling, name, options):
    """torch's own noise from one seed: churn draws where none is added, and the noise before a step stays the same."""
    torch.manual_seed(4)
    theirs = getattr(sampling, f"sample_{name}")(peers.denoiser(), X, SIGMAS, disable=True, **options)
    torch.manual_seed(4)
    ours = getattr(kdiffusion, f"sample_{name}")(peers.denoiser(), X, SIGMAS, disable=True, **options)
    peers.close(ours, theirs)
    torch.manual_seed(5)
    other = getattr(kdiffusion, f"sample_{name}")(peers.denoiser(), X, SIGMAS, disable=True, **options)
    assert not torch.allclose(ours, other)


@pytest.mark.parametrize("options", [{}, {"eta": 0.49, "solver_type": "heun"}, {"s_noise": 1.1}])
def test_noise_sampler_of_a_multistep_method(sampling, options):
    noise = peers.Recorder(X)
    theirs = sampling.sample_dpmpp_2m_sde(peers.denoiser(), X, SIGMAS, disable=True, noise_sampler=noise, **options)
    asked, again = [], iter(noise.drawn)

    def repeat(sigma, sigma_next):
        asked.append((float(sigma), float(sigma_next)))
        return next(again)

    ours = kdiffusion.sample_dpmpp_2m_sde(peers.denoiser(), X, SIGMAS, disable=True, noise_sampler=repeat, **options)
    peers.close(ours, theirs)
    values = SIGMAS.tolist()
    assert asked == list(itertools.pairwise(values[:-1]))


def test_brownian_tree_of_a_step_with_two_noises(sampling):
    tree = sampling.BrownianTreeNoiseSampler(X, SIGMAS[SIGMAS > 0].min(), SIGMAS.max(), seed=11)
    theirs = sampling.sample_dpmpp_sde(peers.denoiser(), X, SIGMAS, noise_sampler=tree, disable=True)
    ours = kdiffusion.sample_dpmpp_sde(peers.denoiser(), X, SIGMAS, noise_sampler=tree, disable=True)
    peers.close(ours, theirs)


# --- what a sampler is ------------------------------------------------------------------------------------------------


def test_options_in_the_call_and_by_name():
    grid = [float(s) for s in SIGMAS]
    for beta in (0.8, 0.9):
        scheme = nd.GHVB(3, beta).discretize(peers.EDM, grid)
        expected = nd.sample(scheme, peers.model(), X, prediction="data")
        peers.close(kdiffusion.sample_ghvb3(peers.denoiser(), X, SIGMAS, disable=True, beta=beta), expected)
        one = kdiffusion.sampler(nd.GHVB(3, beta))
        peers.close(one(peers.denoiser(), X, SIGMAS, disable=True), expected)
    peers.close(kdiffusion.sampler("ghvb3", beta=0.9)(peers.denoiser(), X, SIGMAS, disable=True), expected)


def test_extra_arguments_reach_the_model():
    sample = kdiffusion.sampler("unipc3")
    one, two = (sample(linear, X, SIGMAS, {"weight": w}, disable=True) for w in (1.0, 4.0))
    assert not torch.allclose(one, two)
    peers.close(sample(lambda x, s: linear(x, s, weight=4.0), X, SIGMAS, disable=True), two)


def test_no_gradients_and_the_sample_is_kept():
    x = X.clone().requires_grad_()
    found = kdiffusion.sample_rk4(linear, x, SIGMAS, disable=True)
    assert not found.requires_grad
    assert torch.equal(x.detach(), X)
    assert kdiffusion.sample_rk4(linear, X, SIGMAS[:1], disable=True) is X


def test_a_seed_as_comfyui_passes_it():
    """ComfyUI's default_noise_sampler: a generator on the sample's device, on the CPU with the seed plus one."""
    sample = kdiffusion.sampler("ancestral")
    model = lambda x, sigma, seed: linear(x, sigma)  # noqa: E731
    generator = torch.Generator().manual_seed(8)
    fresh = lambda *_: torch.randn(X.shape, generator=generator, dtype=X.dtype)  # noqa: E731
    expected = sample(linear, X, SIGMAS, disable=True, noise_sampler=fresh)
    peers.close(sample(model, X, SIGMAS, {"seed": 7}, disable=True), expected)


def test_the_bar_counts_steps(capsys):
    kdiffusion.sample_single_step3(linear, X, SIGMAS, disable=False)
    assert "8/8" in capsys.readouterr().err
    kdiffusion.sample_single_step3(linear, X, SIGMAS, disable=True)
    assert capsys.readouterr().err == ""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*adds no noise on this grid")  # SA-Solver's window is in another time
@pytest.mark.parametrize("steps", [1, 2, 7])
@pytest.mark.parametrize("name", kdiffusion.names())
def test_every_method(name, steps):
    """Any number of steps; each report holds the model's answer at what it was given; grid steps rise from 0."""
    reports, sigmas = [], kdiffusion.sigmas("edm", steps, final_zero=False)
    found = kdiffusion.sampler(name)(linear, X, sigmas.double(), callback=reports.append, disable=True)
    assert bool(torch.isfinite(found).all())
    numbers = [d["i"] for d in reports]
    assert numbers[0] == 0
    assert numbers == sorted(set(numbers))
    assert numbers == list(range(steps)) or name == "single_step"
    for d in reports:
        peers.close(d["denoised"], linear(d["x"], d["sigma_hat"].reshape(1)))


# --- flow models ------------------------------------------------------------------------------------------------------

FLOW_SIGMAS = torch.tensor([1.0, 0.8, 0.55, 0.3, 0.1, 0.0], dtype=torch.float64)


class CONST:
    """The name that ComfyUI gives to straight lines."""


class Shifted(CONST):
    pass


def straight(x, sigma):
    """The denoiser of normal data of standard deviation 1/2 on straight lines."""
    s = sigma[:, None]
    return x * (0.25 * (1 - s)) / (0.25 * (1 - s) ** 2 + s**2)


def test_euler_on_straight_lines_is_the_same_function(sampling):
    """(x - x_0)/sigma is dx/dsigma on both schedules, so that k-diffusion's Euler is right for both, and others not."""
    theirs = sampling.sample_euler(straight, X, FLOW_SIGMAS, disable=True)
    peers.close(kdiffusion.sampler("flow-euler", scale="flow")(straight, X, FLOW_SIGMAS, disable=True), theirs)


def test_the_scale_is_read_from_a_model_of_comfyui():
    class Wrapped:
        inner_model = types.SimpleNamespace(inner_model=types.SimpleNamespace(model_sampling=Shifted()))

        def __call__(self, x, sigma):
            return straight(x, sigma)

    sample = kdiffusion.sampler("dpmpp3")
    said = kdiffusion.sampler("dpmpp3", scale="flow")(straight, X, FLOW_SIGMAS, disable=True)
    peers.close(sample(Wrapped(), X, FLOW_SIGMAS, disable=True), said)
    assert not torch.allclose(sample(straight, X, FLOW_SIGMAS, disable=True), said)
    scheme = nd.DPMSolverPP(3).discretize(nd.schedules.Flow(), FLOW_SIGMAS.tolist())
    model = lambda x, t: straight(x, torch.full((6,), t, dtype=x.dtype))  # noqa: E731
    peers.close(said, nd.sample(scheme, model, X, prediction="data"))


# --- names ------------------------------------------------------------------------------------------------------------


def test_register():
    module, menu = types.ModuleType("sampling"), ["euler"]
    added = kdiffusion.register(module, ("ghvb3", "DPM-Solver++"), menus=[menu], prefix="nd_")
    assert added == ("nd_ghvb3", "nd_dpm_solverpp")
    assert menu == ["euler", *added]
    assert kdiffusion.register(module, ("ghvb3",), menus=[menu], prefix="nd_") == ("nd_ghvb3",)
    assert menu == ["euler", *added]
    peers.close(module.sample_nd_ghvb3(linear, X, SIGMAS, disable=True), kdiffusion.sample_ghvb3(linear, X, SIGMAS))
    module.sample_euler = linear
    with pytest.raises(ValueError, match="sampling has a sample_euler already; pass prefix="):
        kdiffusion.register(module, ("euler", "ghvb2"))
    assert not hasattr(module, "sample_ghvb2")


@pytest.mark.slow
def test_the_menu_runs_on_flows():
    """From noise alone, alpha = 0, to the data: a linear model is exact in every step."""
    for name in kdiffusion.MENU:
        found = kdiffusion.sampler(name, scale="flow")(
            lambda x, s: 0 * x + 2, X, [1.0, 0.7, 0.4, 0.2, 0.0], disable=True
        )
        torch.testing.assert_close(found, torch.full_like(X, 2.0), rtol=1e-12, atol=1e-12)


def test_names():
    assert {"ghvb", "sde_dpmpp", "dpm_solver_single"} <= set(kdiffusion.names())
    assert not {"ltsp", "strang"} & set(kdiffusion.names())
    assert all(callable(getattr(kdiffusion, f"sample_{name}")) for name in kdiffusion.MENU)
    assert kdiffusion.sample_ghvb3.__name__ == "sample_ghvb3"
    for name, message in (("sample_ghbv3", "did you mean"), ("sample_dpm_adaptive", "step sizes"), ("nonsense", "no")):
        with pytest.raises(AttributeError, match=message):
            getattr(kdiffusion, name)


BAD = [
    (lambda: kdiffusion.sampler("ghvb", gamma=1), ValueError, "unknown option of ghvb 'gamma'"),
    (lambda: kdiffusion.sampler(nd.DDIM(), order=2), TypeError, "built already and takes no options, got order"),
    (lambda: kdiffusion.sampler("strang"), ValueError, "evaluates the condition apart"),
    (lambda: kdiffusion.sampler("ab2", scale="vp"), ValueError, "scale must be"),
    (lambda: kdiffusion.sampler("ab2", s_churn=1.0), ValueError, "base must be a one-step method"),
    (lambda: kdiffusion.sampler("sde-dpmpp", s_noise=-1), ValueError, "s_noise must be at least 0 and finite, got -1"),
    (lambda: kdiffusion.sampler("sde-dpmpp", eta=-1), ValueError, "eta must"),
    (
        lambda: kdiffusion.sample_heun(linear, X, SIGMAS.flip(0)),
        ValueError,
        r"sigmas must fall strictly, but sigmas\[0",
    ),
    (lambda: kdiffusion.sample_heun(linear, X, SIGMAS - 1), ValueError, "sigmas must be finite and not negative"),
    (lambda: kdiffusion.sample_heun(linear, X, torch.tensor([math.inf, 1.0])), ValueError, "sigmas must be finite"),
    (lambda: kdiffusion.sample_heun(linear, X, SIGMAS[None]), TypeError, "sigmas must be a list or tensor of falling"),
    (lambda: kdiffusion.sample_heun(linear, X.numpy(), SIGMAS), TypeError, "x must be a torch tensor .* got ndarray"),
    (lambda: kdiffusion.sample_heun(linear, torch.tensor(1.0), SIGMAS), TypeError, "x must be a .* got one number"),
    (lambda: kdiffusion.sample_heun(None, X, SIGMAS), TypeError, "model must be a denoiser, .* got None"),
    (lambda: kdiffusion.sample_heun(linear, X, SIGMAS, 3), TypeError, "extra_args must be a dictionary .* got 3"),
    (lambda: kdiffusion.sample_heun(linear, X, SIGMAS, {"seed": "a"}), TypeError, r"\['seed'\] must be .* got 'a'"),
    (lambda: kdiffusion.sample_heun(linear, X, SIGMAS, None, 3), TypeError, "callback must be a function, got 3"),
    *(
        (
            lambda bad=bad: kdiffusion.sample_dpm_fast(linear, X, bad, 14.6, 9),
            TypeError,
            "sigmas must be a list .*one by",
        )
        for bad in (0.03, None, torch.tensor(3.0))  # as k-diffusion's own is called
    ),
    (
        lambda: kdiffusion.sampler("deis3", scale="flow")(linear, X, [1.0, 0.5, 0.0]),
        ValueError,
        'AB3 noise/ratio cannot start at sigma = 1 of a flow, .*; use "ab3", "ghvb3"',
    ),
    (
        lambda: kdiffusion.sampler("heun", scale="flow")(linear, X, SIGMAS),
        ValueError,
        r'sigmas of scale "flow" lie in \[0, 1\], got 80.0 first',
    ),
    (
        lambda: kdiffusion.sample_heun(lambda x, s: x[:1], X, SIGMAS, disable=True),
        ValueError,
        r"the model returned shape \(1, 2\) at evaluation 1, step 1 \(model time 80.0\)",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


# --- k-diffusion's wrappers -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wrappers():
    """k-diffusion's modules external and layers, loaded bare like its sampling module; dctorch is for its losses."""
    import importlib
    import importlib.util
    import sys

    peers.k_diffusion()
    alone = types.ModuleType("_numdiff_k_diffusion")
    alone.__path__ = list(importlib.util.find_spec("k_diffusion").submodule_search_locations)
    stubs = {name: types.ModuleType(name) for name in ("torchvision", "torchvision.transforms", "dctorch")}
    stubs["torchvision.transforms"].functional = stubs["dctorch"].functional = None
    with pytest.MonkeyPatch.context() as patch:
        for name, stub in {**stubs, "_numdiff_k_diffusion": alone}.items():
            patch.setitem(sys.modules, name, stub)
        yield tuple(importlib.import_module(f"_numdiff_k_diffusion.{name}") for name in ("external", "layers"))


class Inner(torch.nn.Module):
    """A small network that is no denoiser of anything: smooth in x and in its time."""

    def __init__(self):
        super().__init__()
        self.alphas_cumprod = torch.linspace(0.9995, 0.005, 100, dtype=torch.float64)

    def forward(self, x, t):
        return torch.sin(x + 0.01 * t[:, None])

    apply_model = forward


@pytest.mark.parametrize("wrap", ["CompVisDenoiser", "CompVisVDenoiser", "VDenoiser", "Denoiser", "OpenAIDenoiser"])
def test_wrappers_of_k_diffusion(sampling, wrappers, wrap):
    """Ours run with its wrappers as its own do, a learned variance and quantities of other times included."""
    external, layers = wrappers
    inner = Inner()
    if wrap == "Denoiser":
        model = layers.Denoiser(inner, sigma_data=0.5)
    elif wrap == "OpenAIDenoiser":
        model = external.OpenAIDenoiser(
            lambda x, t: inner(x, t).repeat(1, 2), types.SimpleNamespace(alphas_cumprod=inner.alphas_cumprod.tolist())
        )
    elif wrap == "CompVisVDenoiser":
        inner.apply_model = lambda x, t, cond: inner(x, t)
        model = external.CompVisVDenoiser(inner)
    else:
        model = getattr(external, wrap)(inner)
    extra = {"cond": None} if wrap == "CompVisVDenoiser" else {}
    sigmas = torch.linspace(math.log(10), math.log(0.05), 12, dtype=torch.float64).exp()
    for name in ("euler", "dpmpp_2m", "heun"):
        theirs = getattr(sampling, f"sample_{name}")(model, X / 8, sigmas, extra, disable=True)
        peers.close(getattr(kdiffusion, f"sample_{name}")(model, X / 8, sigmas, extra, disable=True), theirs)
