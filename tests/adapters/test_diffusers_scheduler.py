"""NumdiffScheduler inside diffusers' own pipeline, against diffusers' schedulers and against nd.sample."""

import warnings

import numpy as np
import pytest
import torch

import numdiff as nd

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # deprecations of diffusers' own dependencies, at its import only
    import diffusers

    from numdiff.adapters.diffusers import NumdiffScheduler

pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")
PROBLEM = nd.problems.GaussianMixture([0.4, 0.6], [[-1.0, 0.5], [1.0, -0.3]], [0.1, 0.2])


@pytest.fixture(scope="module")
def unet():
    """A tiny network with random weights."""
    torch.manual_seed(0)
    net = diffusers.UNet2DModel(
        sample_size=8,
        in_channels=1,
        out_channels=1,
        block_out_channels=(8, 8),
        layers_per_block=1,
        norm_num_groups=4,
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
    )
    return net.eval()


def draw(unet, scheduler, steps=7):
    pipe = diffusers.DDPMPipeline(unet=unet, scheduler=scheduler)
    pipe.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(3)
    return pipe(batch_size=2, generator=generator, num_inference_steps=steps, output_type="np").images


def test_a_pipeline_draws_the_same_images_as_with_ddim(unet):
    ddim = diffusers.DDIMScheduler(clip_sample=False, set_alpha_to_one=True)
    ours = NumdiffScheduler.from_config(ddim.config, method="ddim")
    assert ours.config.timestep_spacing == ddim.config.timestep_spacing
    # float32 over 7 steps of a dozen operations on numbers of size 1/alpha <= 160
    np.testing.assert_allclose(draw(unet, ours), draw(unet, ddim), atol=1e-4)


def model(scheduler):
    exact = PROBLEM.model(scheduler.schedule, "noise")
    return lambda x, t: torch.from_numpy(exact(x.numpy(), float(t)))


def loop(scheduler, x, timesteps=None):
    f = model(scheduler)
    for t in scheduler.timesteps if timesteps is None else timesteps:
        x = scheduler.step(f(scheduler.scale_model_input(x, t), t), t, x).prev_sample
    return x


@pytest.mark.parametrize(
    ("method", "options"),
    [("ghvb", {"order": 3, "beta": 0.8}), ("dpmpp", {"order": 2}), ("heun", {}), ("hb", {"order": 2, "beta": 0.7})],
)
@pytest.mark.parametrize("start", ["lower", "runge-kutta"])
def test_the_pushed_loop_is_the_pulled_one(method, options, start):
    scheduler = NumdiffScheduler(method=method, method_options=options, start=start, timestep_spacing="trailing")
    scheduler.set_timesteps(9)
    grid = nd.grids.from_timesteps(scheduler.schedule, np.round(np.arange(1000, 0, -1000 / 9)).astype(int) - 1)
    scheme = nd.method(method, **options).discretize(scheduler.schedule, grid, start=start)
    assert len(scheduler.timesteps) == scheme.nfe
    x = torch.randn(5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert torch.equal(loop(scheduler, x), nd.sample(scheme, model(scheduler), x))
    assert torch.equal(loop(scheduler, x), loop(scheduler, x))  # a second run starts afresh


def test_a_run_that_begins_in_the_middle_starts_with_an_empty_history():
    scheduler = NumdiffScheduler(method="ab", method_options={"order": 3})
    scheduler.set_timesteps(10)
    x = torch.randn(5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    grid = nd.grids.from_timesteps(scheduler.schedule, scheduler.timesteps[4:].numpy())
    scheme = nd.AdamsBashforth(3).discretize(scheduler.schedule, grid)
    assert torch.equal(loop(scheduler, x, scheduler.timesteps[4:]), nd.sample(scheme, model(scheduler), x))
    assert loop(scheduler, x, scheduler.timesteps[9:]).isfinite().all()  # one step is left: order 1


@pytest.mark.parametrize(("method", "stages"), [("single-step", 1), ("midpoint", 2), ("dpm-solver-single", 3)])
@pytest.mark.parametrize("left", [1, 2, 5])
def test_methods_without_a_memory_begin_in_the_middle_too(method, stages, left):
    scheduler = NumdiffScheduler(method=method, timestep_spacing="trailing")
    scheduler.set_timesteps(10)
    times = scheduler.timesteps[stages - 1 - left * stages :]  # the last step, to sigma = 0, evaluates once
    scheme = nd.method(method).discretize(scheduler.schedule, scheduler.scheme.levels[-left - 1 :])
    x = torch.randn(5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    expected = nd.sample(scheme, model(scheduler), x)
    torch.testing.assert_close(loop(scheduler, x, times), expected, rtol=1e-5, atol=1e-5)  # timesteps are float32


def test_a_sample_changed_by_the_pipeline_counts():
    # with noise prediction 0 every step multiplies by alpha_t/alpha_s, so a change is carried on by the same factor
    scheduler = NumdiffScheduler(method="ab", method_options={"order": 2})
    scheduler.set_timesteps(5)
    x = torch.ones(3, 2, dtype=torch.float64)
    for n, t in enumerate(scheduler.timesteps):
        x = x + 1.0 if n == 2 else x
        x = scheduler.step(torch.zeros_like(x), t, x).prev_sample
    table = np.sqrt(scheduler.schedule.alphas_cumprod)
    first, third = (table[int(scheduler.timesteps[n])] for n in (0, 2))
    np.testing.assert_allclose(x, 1 / first + 1 / third, rtol=1e-13)  # five products and quotients


def test_noise_is_added_as_ddpm_does():
    scheduler, peer = NumdiffScheduler(), diffusers.DDPMScheduler()
    x, noise = torch.randn(4, 1, 3, 3), torch.randn(4, 1, 3, 3)
    t = torch.tensor([0, 10, 500, 999])
    # the peer's table is a float32 running product: 1e-6 relative in abar, 2e-4 of sigma^2 at the first entry
    torch.testing.assert_close(scheduler.add_noise(x, noise, t), peer.add_noise(x, noise, t), rtol=1e-3, atol=1e-5)


def test_configuration_survives_saving(tmp_path):
    scheduler = NumdiffScheduler(
        method="ghvb", method_options={"order": 2, "beta": 0.5}, prediction_type="v_prediction"
    )
    scheduler.save_pretrained(tmp_path)
    loaded = NumdiffScheduler.from_pretrained(tmp_path)
    assert loaded.method == scheduler.method
    assert loaded.config.prediction_type == "v_prediction"


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="unknown prediction_type 'epsilom'; did you mean 'epsilon'"):
        NumdiffScheduler(prediction_type="epsilom")
    with pytest.raises(ValueError, match="unknown method 'ghbv'; did you mean 'ghvb'"):
        NumdiffScheduler(method="ghbv")
    scheduler = NumdiffScheduler()
    x = torch.zeros(1, 2)
    with pytest.raises(ValueError, match="call set_timesteps before step"):
        scheduler.step(x, 999, x)
    with pytest.raises(ValueError, match="exactly one of num_inference_steps and timesteps"):
        scheduler.set_timesteps()
    with pytest.raises(ValueError, match="must be an integer of at least 1, got 0"):
        scheduler.set_timesteps(0)
    scheduler.set_timesteps(timesteps=[900, 500, 100])
    with pytest.raises(ValueError, match="timestep 3 is not where a grid step begins; begin at one of 900, 500, 100"):
        scheduler.step(x, 3, x)
    with pytest.raises(ValueError, match=r"model_output has dtype torch.float64 at timestep 900"):
        scheduler.step(x.double(), 900, x)
    scheduler.step(x, 900, x)
    with pytest.raises(ValueError, match="timestep 100 is out of order: the method asks for 500 next"):
        scheduler.step(x, 100, x)
