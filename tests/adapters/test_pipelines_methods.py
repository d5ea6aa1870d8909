"""Every method by name in a real pipeline, and what the pipeline draws against `nd.sample` with the same network."""

import warnings

import numpy as np
import pytest
import torch

import numdiff as nd
from numdiff.methods import FAMILIES
from numdiff.methods.registry import catalogue
from numdiff.methods.splitting import Splitting
from tests import zoo
from tests.pipelines import arguments, latents, tiny

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # deprecations of diffusers' own dependencies, at its import only
    import diffusers  # noqa: F401  # imported here, where its warnings are silenced

    from numdiff.adapters.diffusers import NumdiffScheduler

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")]

FLOW = ("flow-euler", "flow-ab", "flow-heun", "flow-midpoint", "sit")
"""Families that integrate the velocity of a flow, which a table of noise levels does not have."""

SPLIT = tuple(name for name, family in FAMILIES.items() if isinstance(family.member(), Splitting))
PLAIN = [name for name in FAMILIES if name not in (*FLOW, *SPLIT)]


WARMED = ("pndm", "fpndm")
"""Families whose runs open with evaluations of their own, so that their lists cannot be cut anywhere."""


def example(name):
    """Options of a family; noise is added from sigma/alpha = 1 on, below the first level of every run here."""
    return {**FAMILIES[name].example, **NEEDED.get(name, {})}


NEEDED = {"edm-stochastic": {"S_max": 1}, "euler-churn": {"S_max": 1}, "sit": {"diffusion": "sigma"}}


def named(name, options, pipe, **settings):
    return NumdiffScheduler.from_config(pipe.scheduler.config, method=name, method_options=options, **settings)


@pytest.mark.parametrize("name", [*PLAIN, *FLOW])
def test_every_family_draws_an_image_of_a_flow(name):
    pipe = tiny("sd3")
    call = {**arguments("sd3"), "num_inference_steps": 6}
    if refuses_pure_noise(name):
        with pytest.raises(ValueError, match="alpha = 0"):
            latents(pipe, named(name, example(name), pipe), call)
        return
    assert latents(pipe, named(name, example(name), pipe), call).isfinite().all()


def refuses_pure_noise(name):
    """Tell whether a family cannot begin at alpha = 0, where x/alpha is infinite and a flow's first level lies."""
    grid = np.linspace(1.0, 0.0, 7)
    try:
        nd.method(name, **example(name)).discretize(nd.schedules.Flow(), grid)
    except ValueError:
        return True
    return False


ALIASES = {(a.family, str(a.options)): a for a in catalogue.ALIASES if a.family not in SPLIT}
"""One name of another library for every sampler that libraries have."""


@pytest.mark.parametrize("alias", ALIASES.values(), ids=str)
def test_every_sampler_of_another_library_draws_an_image(alias):
    flow = alias.family in FLOW or alias.options.get("rule") == "flow"
    pipe, call = tiny("sd3" if flow else "ddpm"), arguments("sd3") if flow else {}
    options = zoo.missing(alias) | NEEDED.get(alias.family, {})
    found = latents(pipe, named(str(alias), options, pipe), {**call, "num_inference_steps": 5})
    assert found.isfinite().all()


@pytest.mark.parametrize("name", PLAIN)
def test_the_pipeline_draws_what_sample_draws(name):
    """All evaluations of a step are made by the pipeline's loop, at the times that the method asks for."""
    pipe = tiny("ddpm")
    pipe.to(torch.float64)
    ours = named(name, example(name), pipe, timestep_spacing="trailing", clip_sample=False)
    found = latents(pipe, ours, {"num_inference_steps": 5})
    assert found.isfinite().all()
    schedule = ours.schedule
    grid = nd.grids.from_timesteps(schedule, [999, 799, 599, 399, 199], final="zero")
    scheme = nd.method(name, **example(name)).discretize(schedule, grid)
    assert len(ours.timesteps) == scheme.nfe

    def network(x, t):
        return pipe.unet(x, torch.as_tensor(float(t), dtype=ours.timesteps.dtype)).sample

    chance = torch.Generator().manual_seed(0)
    x = torch.randn((1, 3, 8, 8), generator=chance, dtype=torch.float64)
    with torch.no_grad():
        expected = nd.sample(scheme, network, x, prediction="noise", generator=chance)
    # times between entries pass through float32, 6e-8 of a thousand, and the network turns by less than 1e-2 an entry
    torch.testing.assert_close(found, expected, rtol=0, atol=6e-7 * expected.abs().max().item())


@pytest.mark.parametrize("name", [name for name in PLAIN if name not in (*WARMED, "euler-churn")])
def test_every_family_begins_in_the_middle(name):
    """Without euler-churn, whose noise is S_churn over the number of steps, so that fewer steps have other times."""
    pipe = tiny("sd-img2img")
    call = {**arguments("sd-img2img"), "strength": 0.5, "num_inference_steps": 8}
    assert latents(pipe, named(name, example(name), pipe), call).isfinite().all()


@pytest.mark.parametrize("name", WARMED)
def test_behind_a_warm_up_a_run_begins_with_lower_orders(name):
    pipe = tiny("sd-img2img")
    call = {**arguments("sd-img2img"), "strength": 0.5, "num_inference_steps": 8}
    found = latents(pipe, named(name, example(name), pipe), call)
    assert torch.equal(found, latents(pipe, named("pndm", {"warmup": "lower"}, pipe), call))


def test_within_a_warm_up_no_run_begins():
    pipe = tiny("sd-img2img")
    call = {**arguments("sd-img2img"), "strength": 0.9, "num_inference_steps": 8}
    with pytest.raises(ValueError, match=r'no run of F-PNDM4 can begin at timestep 751: .* warmup="lower"'):
        latents(pipe, named("fpndm", {}, pipe), call)


OPTIMIZED = [("ddpm", 6), ("sd", 6), ("sdxl", 5), ("sd3", 5), ("flux", 5)]


@pytest.mark.parametrize(("name", "steps"), OPTIMIZED)
def test_the_line_of_the_manual(name, steps):
    pipe = tiny(name)
    pipe.scheduler = NumdiffScheduler.from_config(
        pipe.scheduler.config, method="ghvb", order=3, beta=0.8, timesteps="optimized"
    )
    assert pipe.scheduler.method == nd.GHVB(3, 0.8, formulation=pipe.scheduler.method.formulation)
    found = latents(pipe, pipe.scheduler, {**arguments(name), "num_inference_steps": steps})
    assert found.isfinite().all()
    times = pipe.scheduler.timesteps
    assert len(times) == steps
    assert (times.diff() < 0).all()
    plain = NumdiffScheduler.from_config(pipe.scheduler.config, timesteps=None)
    plain.set_timesteps(steps, **({"mu": 0.5} if name == "flux" else {}))
    assert not torch.equal(plain.timesteps.double(), times.double())


def test_a_distilled_model_is_refused():
    """A latent consistency model jumps to its estimate and adds noise; its network follows no differential equation."""
    with pytest.raises(ValueError, match="distilled"):
        NumdiffScheduler.from_config(tiny("lcm").scheduler.config, method="ddim")
