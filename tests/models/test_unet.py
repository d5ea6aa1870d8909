"""The U-Net of diffusers as a denoiser: real times, guidance, weights on disk, and errors in the user's terms."""

import sys
import warnings

import pytest
import torch

import numdiff as nd
from numdiff import models
from numdiff.models.unet import UNetConfig

TINY = UNetConfig(schedule={"name": "ddpm-linear"}, image_shape=(8, 8), classes=5, widths=(8, 8), groups=4, head=4)


@pytest.fixture(scope="module")
def model():
    """A float64 network with random weights."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations of diffusers' own dependencies, at its import only
        import diffusers  # noqa: F401
    torch.manual_seed(0)
    return models.UNetDenoiser(TINY).double().eval().requires_grad_(False)


def noise(n=6):
    return torch.randn(n, 1, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


LABELS = torch.tensor([0, 1, 2, 3, 4, 5])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_shape": (10, 8)}, r"multiples of 4 \(patch 2, 2 stages\), not \(10, 8\)"),
        ({"groups": 64}, r"multiples of groups = 64, two at least \(a group of one channel forgets"),
        ({"attention": (True,)}, "widths and attention must be equally long"),
        ({"schedule": {"name": "vp-linear"}}, "'vp-linear' is no table of noise levels; use 'ddpm-linear'"),
        ({"prediction": "noise"}, "prediction must be 'v', not 'noise'"),
    ],
)
def test_bad_configurations_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        models.UNetDenoiser(UNetConfig(**{"schedule": {"name": "ddpm-linear"}} | changes))


def test_without_diffusers_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(ModuleNotFoundError, match=r"UNet2DModel of diffusers.*pip install diffusers"):
        models.UNetDenoiser(TINY)


@pytest.mark.slow
def test_attributes(model):
    assert model.shape == (1, 8, 8)
    assert model.prediction == "v"
    assert model.null == 5
    assert isinstance(model.schedule, nd.schedules.Discrete)
    assert model.dtype == torch.float64


@pytest.mark.slow
@pytest.mark.parametrize("t", [0.0, 3.0, 3.5, 999.0])
def test_one_time_for_all_is_the_same_as_a_time_for_each(model, t):
    once, each = model(noise(), t, LABELS), model(noise(), torch.full((6,), t, dtype=torch.float64), LABELS)
    assert torch.equal(once, each)
    assert torch.equal(model(noise(), torch.tensor(t), LABELS), once)
    assert once.shape == (6, 1, 8, 8)


@pytest.mark.slow
def test_times_between_entries_are_not_rounded(model):
    """UNet2DModel makes whole numbers of plain floats: 3.5 would be 3."""
    at = {t: model(noise(), t, LABELS) for t in (3.0, 3.5, 4.0)}
    assert not torch.allclose(at[3.0], at[3.5], rtol=0, atol=1e-6)
    assert (at[3.5] - at[3.0]).norm() < (at[4.0] - at[3.0]).norm()


@pytest.mark.slow
def test_it_is_the_network_of_diffusers_on_patches(model):
    """Pixel (2i + a, 2j + b) of an image is pixel (i, j) of the network's channel 2a + b."""
    x = noise()
    patches = torch.stack([x[:, 0, a::2, b::2] for a in (0, 1) for b in (0, 1)], dim=1)
    times = torch.full((6,), 17.0, dtype=torch.float64)
    expected = model.network(patches, times, class_labels=LABELS).sample
    found = model(x, 17.0, LABELS)
    for k, (a, b) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1))):
        assert torch.equal(found[:, 0, a::2, b::2], expected[:, k])


@pytest.mark.slow
def test_guidance_is_a_linear_combination(model):
    conditional, unconditional = model.conditioned(LABELS)(noise(), 400.0), model.conditioned(5)(noise(), 400.0)
    assert torch.equal(model.conditioned(LABELS, 0.0)(noise(), 400.0), unconditional)
    assert torch.allclose(conditional[5], unconditional[5], rtol=0, atol=1e-12)  # the null class
    assert not torch.allclose(conditional[:5], unconditional[:5], rtol=0, atol=1e-6)
    combined = unconditional + 3 * (conditional - unconditional)
    found = model.conditioned(LABELS, 3.0)(noise(), 400.0)
    torch.testing.assert_close(found, combined, rtol=1e-10, atol=1e-10)  # rounding, in other batches


@pytest.mark.slow
def test_weights_come_back(model, tmp_path):
    single = models.UNetDenoiser(TINY).eval().requires_grad_(False)
    models.save(single, tmp_path / "tiny", {"seconds": 2.0})
    back = models.load(tmp_path / "tiny", (models.Denoiser, models.UNetDenoiser))
    assert back.config == single.config
    assert back.schedule == single.schedule
    assert back.record == {"seconds": 2.0}
    x = noise().float()
    assert torch.equal(back(x, 12.0, LABELS), single(x, 12.0, LABELS))
    with pytest.raises(models.WeightsError, match="holds a UNetDenoiser, not a Denoiser"):
        models.load(tmp_path / "tiny", models.Denoiser)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (torch.zeros(6, 64, dtype=torch.float64), ValueError, r"\(n, 1, 8, 8\), not \(6, 64\); reshape images"),
        (torch.zeros(6, 1, 8, 8), TypeError, "x is torch.float32 but the model is torch.float64"),
        (noise().numpy(), TypeError, "x must be a torch tensor"),
    ],
)
def test_bad_samples_are_named(model, x, error, message):
    with pytest.raises(error, match=message):
        model(x, 3.0, LABELS)


@pytest.mark.slow
def test_schedulers_of_diffusers_apply_as_they_are(model):
    """DDIM with "trailing" spacing is numdiff's on the same entries; the model is given their numbers."""
    import diffusers

    seen = []

    def plain(x, t):
        seen.append(float(t))
        return model.conditioned(LABELS)(x, float(t))

    scheduler = diffusers.DDIMScheduler(
        beta_schedule="linear", prediction_type="v_prediction", clip_sample=False, timestep_spacing="trailing"
    )
    scheduler.set_timesteps(10)
    x = noise()
    for t in scheduler.timesteps:
        x = scheduler.step(plain(x, t), t, x, return_dict=False)[0]
    assert seen == [999.0, 899.0, 799.0, 699.0, 599.0, 499.0, 399.0, 299.0, 199.0, 99.0]
    scheme = nd.DDIM().discretize(model.schedule, nd.grids.uniform_t(model.schedule, 10, t_end=0.0))
    found = nd.sample(scheme, plain, noise(), prediction="v")
    assert seen[10:] == pytest.approx(seen[:10], abs=1e-9)
    torch.testing.assert_close(found, x, rtol=0, atol=1e-3)  # diffusers' table is float32: 1e-6 in abar, times 1/alpha
