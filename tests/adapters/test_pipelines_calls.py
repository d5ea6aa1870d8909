"""What callers ask of pipelines: guidance, batches, own time steps, callbacks, half precision.

The same call with diffusers' scheduler is the reference throughout.
"""

import warnings

import pytest
import torch

from tests.pipelines import arguments, embedded, generators, latents, tiny

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # deprecations of diffusers' own dependencies, at its import only
    import diffusers

    from numdiff.adapters.diffusers import NumdiffScheduler

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")]

ROUNDING = 1e-5
"""Of the largest latent: up to ten steps of two dozen float32 roundings, 6e-8 each, and the peers' float32 tables."""

METHODS = {
    "ddim": ("DDIMScheduler", {"clip_sample": False, "set_alpha_to_one": True}, {}),
    "dpmpp": ("DPMSolverMultistepScheduler", {}, {"order": 2, "rule": "half"}),
    "sde-dpmpp": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}, {"order": 2, "rule": "half"}),
    "unipc": ("UniPCMultistepScheduler", {}, {"order": 2, "rule": "bh2"}),
}
LEVELS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "timestep_spacing": "trailing"}


def pair(method, **more):
    """Return diffusers' scheduler and ours of the same configuration."""
    name, settings, options = METHODS[method]
    theirs = getattr(diffusers, name)(**LEVELS, **settings, **more)
    config = {**theirs.config, "_class_name": name}
    return theirs, NumdiffScheduler.from_config(config, method=method, method_options=options)


def same(found, expected, tolerance=ROUNDING):
    assert found.dtype == expected.dtype
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance * expected.abs().max().item())


@pytest.mark.parametrize(("name", "method"), [("sd", "dpmpp"), ("sd", "sde-dpmpp"), ("sdxl", "dpmpp")])
@pytest.mark.parametrize(
    "more",
    [
        {"guidance_scale": 1.0},
        {"guidance_scale": 15.0},
        {"guidance_scale": 5.0, "guidance_rescale": 0.7},
        {"negative_prompt": ["a dog"]},
    ],
    ids=lambda more: "-".join(more),
)
def test_guidance(name, method, more):
    pipe, call = tiny(name), {**arguments(name), "num_inference_steps": 5, **more}
    theirs, ours = pair(method)
    same(latents(pipe, ours, call), latents(pipe, theirs, call))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["sd", "sd-img2img"])
def test_a_batch_of_prompts_with_a_generator_each(name, method):
    theirs, ours = pair(method)
    pipe, call = tiny(name), {**arguments(name, 3), "num_inference_steps": 5}
    found = latents(pipe, ours, call, 3)
    same(found, latents(pipe, theirs, call, 3))
    alone = latents(pipe, ours, {**call, "prompt": call["prompt"][1:2]}, seed=1)
    same(found[1:2], alone)


@pytest.mark.parametrize("method", METHODS)
def test_several_images_of_a_prompt(method):
    theirs, ours = pair(method)
    pipe, call = tiny("sd"), {**arguments("sd"), "num_inference_steps": 5, "num_images_per_prompt": 3}
    found = latents(pipe, ours, call, 3)
    assert len(found) == 3
    same(found, latents(pipe, theirs, call, 3))


@pytest.mark.parametrize("name", ["sd", "sdxl", "sd-img2img", "sd-inpaint"])
def test_prompts_that_are_encoded_already(name):
    _, ours = pair("dpmpp")
    pipe = tiny(name)
    expected = latents(pipe, ours, {**arguments(name), "num_inference_steps": 5})
    same(latents(pipe, ours, {**embedded(name, pipe), "num_inference_steps": 5}), expected)


TIMES = [999, 850, 600, 330, 100, 20]


@pytest.mark.parametrize("method", ["dpmpp", "sde-dpmpp"])
def test_times_of_the_caller(method):
    theirs, ours = pair(method)
    pipe, call = tiny("sd"), {**arguments("sd"), "timesteps": TIMES}
    same(latents(pipe, ours, call), latents(pipe, theirs, call))
    assert ours.timesteps.tolist() == TIMES


def test_noise_levels_of_the_caller():
    """Euler's list ends with its last level, 0; the times of the network lie between entries of the table."""
    theirs = diffusers.EulerDiscreteScheduler(**LEVELS)
    ours = NumdiffScheduler.from_config({**theirs.config, "_class_name": type(theirs).__name__}, method="euler")
    pipe, call = tiny("sdxl"), {**arguments("sdxl"), "sigmas": [14.0, 6.0, 2.5, 0.9, 0.2, 0.0]}
    same(latents(pipe, ours, call), latents(pipe, theirs, call))


@pytest.mark.parametrize("method", ["ddim", "dpmpp", "unipc"])
def test_a_run_that_ends_early(method):
    """SDXL's base model hands a noisy sample over to its refiner; the next run starts afresh."""
    theirs, ours = pair(method)
    pipe, call = tiny("sdxl"), {**arguments("sdxl"), "num_inference_steps": 10}
    whole = latents(pipe, ours, call)
    same(latents(pipe, ours, {**call, "denoising_end": 0.5}), latents(pipe, theirs, {**call, "denoising_end": 0.5}))
    assert torch.equal(latents(pipe, ours, call), whole)


@pytest.mark.parametrize("method", ["ddim", "dpmpp", "sde-dpmpp"])
def test_a_callback_that_changes_the_sample(method):
    """Without UniPC: diffusers' corrector starts over from the sample before and forgets the change."""

    def shift(pipe, step, time, tensors):
        return {"latents": tensors["latents"] + 0.5} if step == 2 else tensors

    theirs, ours = pair(method)
    pipe, call = tiny("sd"), {**arguments("sd"), "num_inference_steps": 5}
    plain = latents(pipe, ours, call)
    call |= {"callback_on_step_end": shift}
    changed = latents(pipe, ours, call)
    same(changed, latents(pipe, theirs, call))
    assert (changed - plain).abs().max() > 0.1


def test_a_callback_sees_every_step():
    seen = []
    _, ours = pair("dpmpp")
    pipe = tiny("sd")
    latents(
        pipe,
        ours,
        {
            **arguments("sd"),
            "num_inference_steps": 4,
            "callback_on_step_end": lambda pipe, step, time, tensors: seen.append((step, int(time))) or tensors,
        },
    )
    assert seen == [(n, int(t)) for n, t in enumerate(ours.timesteps)]


def test_an_interrupted_run_leaves_the_next_one_alone():
    def stop(pipe, step, time, tensors):
        if step == 2:
            raise KeyboardInterrupt
        return tensors

    _, ours = pair("dpmpp")
    pipe, call = tiny("sd"), {**arguments("sd"), "num_inference_steps": 6}
    expected = latents(pipe, ours, call)
    with pytest.raises(KeyboardInterrupt):
        latents(pipe, ours, call | {"callback_on_step_end": stop})
    assert torch.equal(latents(pipe, ours, call), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize(
    ("name", "method"), [("sd", "ddim"), ("sd", "dpmpp"), ("sd", "unipc"), ("sd-inpaint", "dpmpp")]
)
def test_half_precision(name, method, dtype):
    """As near to float32 as diffusers' scheduler, whose errors are mostly the network's; twice as far at most."""
    theirs, ours = pair(method)
    call = {**arguments(name), "num_inference_steps": 5, "guidance_scale": 3.0}
    exact = latents(tiny(name), theirs, call)
    pipe = tiny(name).to(dtype=dtype)
    found, expected = latents(pipe, ours, call), latents(pipe, theirs, call)
    assert found.dtype == expected.dtype == dtype
    assert (found - exact).abs().max() <= 2 * (expected - exact).abs().max()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ["ddpm", "dit", "sdxl", "sd3", "flux"])
def test_every_kind_of_pipeline_runs_in_half_precision(name, dtype):
    pipe = tiny(name)
    ours = NumdiffScheduler.from_config(pipe.scheduler.config, method="dpmpp", order=2)
    exact = latents(pipe, ours, {**arguments(name), "num_inference_steps": 5})
    found = latents(pipe.to(dtype=dtype), ours, {**arguments(name), "num_inference_steps": 5})
    assert found.dtype == dtype
    # eps is 2^-11 or 2^-8; five steps of guided outputs, whose scale multiplies the network's own roundings
    assert (found - exact).abs().max() <= 40 * torch.finfo(dtype).eps * exact.abs().max()


def test_noise_is_the_generator_s_alone():
    """Two runs with the same generator agree bit by bit, whatever the global state of chance."""
    _, ours = pair("sde-dpmpp")
    pipe, call = tiny("sd"), {**arguments("sd"), "num_inference_steps": 5}
    pipe.scheduler = ours
    torch.manual_seed(1)
    first = pipe(**call, generator=generators(), output_type="latent").images
    torch.manual_seed(2)
    assert torch.equal(pipe(**call, generator=generators(), output_type="latent").images, first)
