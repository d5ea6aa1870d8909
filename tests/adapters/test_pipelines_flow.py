"""NumdiffScheduler in pipelines of flow matching (SD3, Flux), against diffusers' schedulers for them."""

import warnings

import pytest
import torch

import numdiff as nd
from tests.pipelines import arguments, embedded, generators, latents, tiny

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # deprecations of diffusers' own dependencies, at its import only
    import diffusers

    from numdiff.adapters.diffusers import NumdiffScheduler

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")]

ROUNDING = 1e-5
"""Of the largest latent: five steps of two dozen float32 roundings, 6e-8 each, of levels that the peers hold in
float32, and the network's slopes, about ten, behind times of 1000 that are rounded too."""

TEXT = ("sd3", "flux")
IMAGE = ("sd3-img2img", "flux-img2img")
HALF = {"order": 2, "rule": "half"}


def agree(name, theirs, method, *, steps=5, **more):
    """Compare `theirs` with ours of the same configuration."""
    settings = {**theirs.config, "_class_name": type(theirs).__name__}
    ours = NumdiffScheduler.from_config(settings, method=method, **more.pop("options", {}))
    pipe, call = tiny(name), {**arguments(name), "num_inference_steps": steps, **more}
    expected, found = latents(pipe, theirs, call), latents(pipe, ours, call)
    torch.testing.assert_close(ours.timesteps.double(), theirs.timesteps.double(), rtol=1e-5, atol=0)
    assert found.dtype == expected.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0, atol=ROUNDING * expected.abs().max().item())
    return ours


def flow_euler(name, **settings):
    return diffusers.FlowMatchEulerDiscreteScheduler.from_config(tiny(name).scheduler.config, **settings)


@pytest.mark.parametrize("name", TEXT + IMAGE)
def test_euler_with_the_shift_of_the_model(name):
    """SD3 has a shift of 3; Flux's grows with the number of latents, which its pipeline passes as mu."""
    agree(name, flow_euler(name), "flow-euler")


@pytest.mark.parametrize("name", TEXT)
def test_the_network_predicts_a_flow_though_the_configuration_does_not_say_so(name):
    """No `prediction_type` is in a flow scheduler's configuration."""
    ours = NumdiffScheduler.from_config(tiny(name).scheduler.config, method="flow-euler")
    assert ours.config.prediction_type == "flow_prediction"


@pytest.mark.parametrize("settings", [{"shift": 1.0}, {"shift": 6.0}, {"shift_terminal": 0.02}])
def test_other_shifts(settings):
    agree("sd3", flow_euler("sd3", **settings), "flow-euler")


@pytest.mark.parametrize("kind", ["exponential", "linear"])
@pytest.mark.parametrize("size", [16, 32])
def test_dynamic_shifting(kind, size):
    """The shift of a larger image differs: mu is worked out from the number of latents."""
    agree("flux", flow_euler("flux", time_shift_type=kind), "flow-euler", height=size, width=size)


@pytest.mark.parametrize("rule", ["use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"])
@pytest.mark.parametrize("name", TEXT)
def test_grids_of_noise_levels(name, rule):
    agree(name, flow_euler(name, **{rule: True}), "flow-euler")


@pytest.mark.parametrize("name", TEXT)
def test_noise_levels_of_the_caller(name):
    """They are shifted like the others."""
    agree(name, flow_euler(name), "flow-euler", steps=4, sigmas=[1.0, 0.8, 0.5, 0.2])


@pytest.mark.parametrize("strength", [0.4, 0.9])
@pytest.mark.parametrize("name", IMAGE)
def test_image_to_image_starts_in_the_middle(name, strength):
    agree(name, flow_euler(name), "flow-euler", strength=strength)


@pytest.mark.parametrize("method", ["flow-heun", "rk4"])
def test_image_to_image_with_several_evaluations_a_step(method):
    """Flux's pipeline counts evaluations; the strength is that of the grid steps all the same."""
    pipe = tiny("flux-img2img")
    ours = NumdiffScheduler.from_config(pipe.scheduler.config, method=method)
    call = {**arguments("flux-img2img"), "num_inference_steps": 5, "strength": 0.6}
    assert latents(pipe, ours, call).isfinite().all()
    assert ours.begin_index == 2 * int(ours.order)


def test_heun():
    """FlowMatchHeun lists a time per evaluation as ours does; its pipeline counts two a step."""
    theirs = diffusers.FlowMatchHeunDiscreteScheduler(shift=3.0)
    agree("sd3", theirs, "flow-heun")


@pytest.mark.parametrize(
    ("scheduler", "settings", "method", "options"),
    [
        ("DPMSolverMultistepScheduler", {}, "dpmpp", HALF),
        ("DPMSolverMultistepScheduler", {"solver_type": "heun"}, "dpmpp", {"order": 2}),
        ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}, "sde-dpmpp", HALF),
        ("UniPCMultistepScheduler", {}, "unipc", {"order": 2, "rule": "bh2"}),
    ],
)
def test_solvers_on_data(scheduler, settings, method, options):
    flow = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": 3.0}
    theirs = getattr(diffusers, scheduler)(**flow, **settings)
    agree("sd3", theirs, method, options={"method_options": options})


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("flow-ab", {"order": 2}),
        ("flow-midpoint", {}),
        ("dpmpp", {"order": 3}),
        ("unipc", {"order": 3}),
        ("dpm-solver-single", {"order": 3, "formulation": "data/log-snr"}),
        ("hb", {"order": 2, "beta": 0.8, "formulation": "velocity/time"}),
        ("sde-dpmpp", {}),
    ],
)
def test_the_pipeline_draws_what_sample_draws(method, options):
    """Stages lie between the pipeline's levels, and the velocity of the network is converted where a method asks."""
    pipe = tiny("sd3")
    ours = NumdiffScheduler.from_config(pipe.scheduler.config, method=method, method_options=options)
    call = embedded("sd3", pipe) | {"guidance_scale": 1.0, "num_inference_steps": 5}
    found = latents(pipe, ours, call)

    def network(x, t):
        times = torch.tensor([float(t)])
        text = {"encoder_hidden_states": call["prompt_embeds"], "pooled_projections": call["pooled_prompt_embeds"]}
        return pipe.transformer(hidden_states=x, timestep=times, **text).sample

    theirs = flow_euler("sd3")
    theirs.set_timesteps(5)  # its levels are those of ours; a method of several stages lists times between them
    scheme = nd.method(method, **options).discretize(ours.schedule, theirs.sigmas.double().numpy())
    assert len(ours.timesteps) == scheme.nfe
    x = torch.randn((1, 4, 8, 8), generator=generators())
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        chance = torch.default_generator
        expected = nd.sample(scheme, network, x, prediction="velocity", generator=chance)
    torch.testing.assert_close(found, expected, rtol=0, atol=ROUNDING * expected.abs().max().item())
