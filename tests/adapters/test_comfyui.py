"""Nodes and menu entries for ComfyUI, against stand-ins: fakes of the few interfaces that are used, and not ComfyUI.

What they copy is its published behaviour: ``KSAMPLER.sample`` scales the noise, wraps the model and calls the function
with keywords; the function's model takes ``model_options`` and ``seed``; a SAMPLER's callback gets four values.
"""

import doctest
import sys
import types

import numpy as np
import pytest
import torch

import numdiff as nd
from numdiff.adapters import comfyui, kdiffusion
from tests import peers

X = torch.from_numpy(np.random.default_rng(1).standard_normal((3, 2)))


class CONST:
    """The name of ComfyUI's class for straight lines: noise_scaling is sigma n + (1 - sigma) x."""

    def noise_scaling(self, sigma, noise, latent):
        return sigma * noise + (1 - sigma) * latent


class EPS:
    def noise_scaling(self, sigma, noise, latent):
        return noise * sigma + latent


class Sampling:
    """A model_sampling: its table of sigmas rises."""

    def __init__(self, sigmas):
        self.sigmas = sigmas


class Table(Sampling, EPS):
    pass


class Straight(Sampling, CONST):
    pass


class Model:
    """A MODEL: its model_sampling, and the denoiser of normal data with standard deviation 1/2."""

    def __init__(self, model_sampling):
        self.model_sampling = model_sampling

    def get_model_object(self, name):
        return getattr(self, name)

    def denoise(self, x, sigma):
        s = sigma[:, None]
        alpha = 1 - s if isinstance(self.model_sampling, CONST) else torch.ones_like(s)
        return x * (0.25 * alpha) / (0.25 * alpha**2 + s**2)


class Guider:
    """What KSAMPLER wraps: it has the model as inner_model and takes options and a seed."""

    def __init__(self, model):
        self.inner_model = model

    def __call__(self, x, sigma, model_options=None, seed=None):
        assert model_options == {"a": 1}
        return self.inner_model.denoise(x, sigma)


class Inpaint:
    """KSamplerX0Inpaint without a mask."""

    def __init__(self, guider):
        self.inner_model = guider

    def __call__(self, x, sigma, denoise_mask, model_options=None, seed=None):
        assert denoise_mask is None
        return self.inner_model(x, sigma, model_options=model_options, seed=seed)


class KSAMPLER:
    """A SAMPLER around a function."""

    def __init__(self, sampler_function, extra_options=None, inpaint_options=None):
        self.sampler_function, self.extra_options = sampler_function, extra_options or {}

    def sample(self, guider, sigmas, extra_args, callback, noise, latent, denoise_mask=None, disable_pbar=False):
        extra_args["denoise_mask"] = denoise_mask
        start = guider.inner_model.model_sampling.noise_scaling(sigmas[0], noise, latent)
        steps = len(sigmas) - 1
        report = None if callback is None else lambda d: callback(d["i"], d["denoised"], d["x"], steps)
        return self.sampler_function(
            Inpaint(guider),
            start,
            sigmas,
            extra_args=extra_args,
            callback=report,
            disable=disable_pbar,
            **self.extra_options,
        )


@pytest.fixture
def comfy(monkeypatch):
    """Modules named as ComfyUI's, with what is used of them."""
    modules = {
        name: types.ModuleType(name)
        for name in ("comfy", "comfy.samplers", "comfy.k_diffusion", "comfy.k_diffusion.sampling")
    }
    for name, module in modules.items():
        module.__path__ = []
        monkeypatch.setitem(sys.modules, name, module)
    samplers = modules["comfy.samplers"]
    samplers.KSAMPLER = KSAMPLER
    samplers.KSAMPLER_NAMES = ["euler", "dpm_2"]
    samplers.SAMPLER_NAMES = [*samplers.KSAMPLER_NAMES, "uni_pc"]
    samplers.KSampler = types.SimpleNamespace(SAMPLERS=samplers.SAMPLER_NAMES)
    samplers.sampling = modules["comfy.k_diffusion.sampling"]
    samplers.sampling.sample_euler = lambda *_: None
    return samplers


def run(sampler, model, sigmas, callback=None, seed=3):
    extra = {"model_options": {"a": 1}, "seed": seed}
    return sampler.sample(Guider(model), sigmas, extra, callback, X, torch.zeros_like(X), disable_pbar=True)


def stable_diffusion():
    abar = np.array(nd.schedules.Discrete.stable_diffusion().alphas_cumprod)
    return Model(Table(torch.from_numpy(((1 - abar) / abar) ** 0.5).float()))


def flow(shift=3.0):
    t = torch.arange(1, 1001) / 1000
    return Model(Straight(shift * t / (1 + (shift - 1) * t)))


def test_examples():
    assert doctest.testmod(comfyui).failed == 0


@pytest.mark.parametrize("model", [stable_diffusion(), flow()], ids=["table", "flow"])
def test_both_nodes_in_one_run(comfy, model):
    """As in a graph with SamplerCustom; the result is that of the method on the model's own schedule."""
    assert all({"INPUT_TYPES", "RETURN_TYPES", "FUNCTION", "CATEGORY"} <= set(dir(n)) for n in comfyui.nodes().values())
    assert set(comfyui.display_names()) == set(comfyui.nodes())
    (sampler,) = comfyui.nodes()["NumdiffSampler"]().make("ghvb", 2, 0.7)
    (sigmas,) = comfyui.nodes()["NumdiffSigmas"]().make(model, "uniform-t", 6, 1.0)
    reports = []
    found = run(sampler, model, sigmas.double(), lambda *values: reports.append(values))
    is_flow = isinstance(model.model_sampling, CONST)
    schedule = nd.schedules.Flow() if is_flow else peers.EDM
    scheme = nd.GHVB(2, 0.7).discretize(schedule, sigmas.tolist())
    denoiser = lambda x, s: model.denoise(x, torch.full((3,), s, dtype=x.dtype))  # noqa: E731
    expected = nd.sample(scheme, denoiser, X * sigmas[0].double(), prediction="data")
    assert torch.allclose(found, expected, rtol=1e-12, atol=1e-12)
    assert [r[0] for r in reports] == list(range(6))
    assert all(r[3] == 6 for r in reports)


def test_sigmas_of_a_model():
    table = stable_diffusion().model_sampling
    schedule = comfyui.schedule_of(table)
    assert schedule.N == 1000
    assert float(schedule.rho(0.5)) == pytest.approx(float(table.sigmas[499]), rel=1e-6)  # the table is float32
    node = comfyui.NumdiffSigmas()
    (karras,) = node.make(stable_diffusion(), "karras", 8, 1.0)
    first, last = (float(table.sigmas[i]) ** (1 / 7) for i in (-1, 0))
    assert karras.tolist() == pytest.approx([*((first + i / 7 * (last - first)) ** 7 for i in range(8)), 0], rel=1e-5)
    (part,) = node.make(stable_diffusion(), "karras", 8, 0.5)
    (whole,) = node.make(stable_diffusion(), "karras", 16, 1.0)
    assert torch.equal(part, whole[-9:])
    assert node.make(stable_diffusion(), "karras", 8, 0.0)[0].numel() == 0


@pytest.mark.parametrize("shift", [1.0, 3.0, 1.15])
def test_the_shift_of_a_flow(shift):
    schedule = comfyui.schedule_of(flow(shift).model_sampling)
    assert schedule.is_flow
    assert schedule.shift == pytest.approx(shift, rel=1e-5)
    (sigmas,) = comfyui.NumdiffSigmas().make(flow(shift), "karras", 5, 1.0)
    assert sigmas[0] == pytest.approx(1, abs=1e-3)
    assert sigmas[-1] == 0


def test_a_seed_makes_the_noise(comfy):
    model = stable_diffusion()
    (sampler,) = comfyui.NumdiffSampler().make("ancestral", 0, 0.0)
    sigmas = torch.tensor([10.0, 3.0, 1.0, 0.0], dtype=torch.float64)
    one, same, other = (run(sampler, model, sigmas, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(one, same)
    assert not torch.allclose(one, other)


def test_the_menu(comfy):
    names = comfyui.register(("ghvb2", "unipc3"))
    assert tuple(comfy.KSAMPLER_NAMES) == ("euler", "dpm_2", *names)
    assert tuple(comfy.KSampler.SAMPLERS) == ("euler", "dpm_2", "uni_pc", *names)
    function = getattr(comfy.sampling, f"sample_{names[0]}")  # as ksampler(name) finds it
    sigmas = kdiffusion.sigmas("stable-diffusion", 5)
    assert bool(run(KSAMPLER(function), stable_diffusion(), sigmas.double()).isfinite().all())
    with pytest.raises(ValueError, match="has a sample_euler already"):
        comfyui.register(("euler",))


def test_optimized_sigmas_are_those_of_the_part_that_is_run():
    (part,) = comfyui.NumdiffSigmas().make(stable_diffusion(), "optimized", 3, 0.02)  # not 150 steps
    schedule = comfyui.schedule_of(stable_diffusion().model_sampling)
    assert part.shape == (4,)
    assert float(part[0]) == pytest.approx(float(schedule.rho(0.02 * schedule.T)), rel=1e-5)
    assert part[-1] == 0
    with pytest.raises(ValueError, match=r'grid "optimized" is for few steps, 100 at most, got steps = 1000'):
        comfyui.NumdiffSigmas().make(stable_diffusion(), "optimized", 1000, 1.0)


def test_bad_input(comfy):
    with pytest.raises(ValueError, match="method heun has no order; set order to 0"):
        comfyui.NumdiffSampler().make("heun", 2, 0.0)
    with pytest.raises(ValueError, match="method ddim has no beta; set beta to 0"):
        comfyui.NumdiffSampler().make("ddim", 0, 0.8)
    with pytest.raises(ValueError, match="SimpleNamespace has no table of sigmas"):
        comfyui.schedule_of(types.SimpleNamespace())
    with pytest.raises(ValueError, match="no shift of straight lines"):
        comfyui.schedule_of(Straight(torch.linspace(0.001, 1, 1000) ** 2))


def test_outside_comfyui(monkeypatch):
    monkeypatch.setitem(sys.modules, "comfy", None)
    for call in (comfyui.register, lambda: comfyui.NumdiffSampler().make("ghvb", 0, 0.0)):
        with pytest.raises(ModuleNotFoundError, match="this runs inside ComfyUI, as a folder in custom_nodes"):
            call()
