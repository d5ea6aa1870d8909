"""The networks of diffusers' pipelines as models, against the loops of its schedulers."""

import warnings

import pytest
import torch

import numdiff as nd
from numdiff.adapters import networks

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pipelines():
    """The tiny pipelines; importing diffusers and transformers warns of their own dependencies."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import diffusers  # noqa: F401

        from tests import pipelines

        pipelines.tiny("sd3")
    return pipelines


def looped(scheduler, predict, x, steps=5):
    """The loop of a pipeline: 5 steps of a scheduler of diffusers."""
    scheduler.set_timesteps(steps)
    for t in scheduler.timesteps:
        x = scheduler.step(predict(x, t), t, x, return_dict=False)[0]
    return x


@pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")
@pytest.mark.parametrize("name", ["ddpm", "dit"])
def test_networks_of_tables(pipelines, name):
    """A U-Net that returns an object, and a DiT with labels and a learned variance; DDIM to rounding in float32."""
    import diffusers

    pipe = pipelines.tiny(name)
    scheduler = diffusers.DDIMScheduler.from_config(pipe.scheduler.config, clip_sample=False, set_alpha_to_one=True)
    schedule = nd.schedules.Discrete(alphas_cumprod=scheduler.alphas_cumprod)
    if name == "ddpm":
        x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        model = networks.module(pipe.unet, schedule=schedule, prediction="noise")
        expected = looped(scheduler, lambda x, t: pipe.unet(x, t).sample, x)
    else:
        x, labels = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([3, 7])
        model = networks.module(
            pipe.transformer,
            schedule=schedule,
            prediction="noise",
            call={"hidden_states": "x", "timestep": "t"},
            condition={"class_labels": labels},
            learned_variance=True,
        )
        predict = lambda x, t: pipe.transformer(x, t.expand(2), class_labels=labels).sample[:, :4]  # noqa: E731
        expected = looped(scheduler, predict, x)
    scheme = nd.DDIM().discretize(schedule, nd.grids.from_timesteps(schedule, scheduler.timesteps))
    found = nd.sample(scheme, model, x, prediction=model.prediction)
    assert torch.allclose(found, expected.detach(), rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")
def test_a_flow_transformer(pipelines):
    """SD3's transformer: names for its arguments, a time of 1000 sigma, and Euler on the flow."""
    pipe = pipelines.tiny("sd3")
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 4, 8, 8, generator=generator)
    states = torch.randn(2, 6, pipe.transformer.config.joint_attention_dim, generator=generator)
    pooled = torch.randn(2, pipe.transformer.config.pooled_projection_dim, generator=generator)
    condition = {"encoder_hidden_states": states, "pooled_projections": pooled}
    predict = lambda x, t: pipe.transformer(x, timestep=t.expand(2), **condition).sample  # noqa: E731
    expected = looped(pipe.scheduler, predict, x)
    model = networks.module(
        pipe.transformer,
        schedule=nd.schedules.Flow(time_scale=1000.0),
        prediction="flow",
        call={"hidden_states": "x", "timestep": "t"},
        condition=condition,
    )
    scheme = nd.FlowEuler().discretize(model.schedule, pipe.scheduler.sigmas.tolist())
    found = nd.sample(scheme, model, x, prediction=model.prediction)
    assert torch.allclose(found, expected.detach(), rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
