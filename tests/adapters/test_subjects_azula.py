"""azula's samplers on our grids and on their own, against this package's methods."""

import inspect
from itertools import pairwise

import azula.noise
import azula.sample
import numpy as np
import pytest
import torch

from numdiff.adapters.subjects import azula as adapter
from numdiff.adapters.subjects import names, resolve
from numdiff.certification.measure import Layout, final, measure
from numdiff.certification.subject import Setting, Subject
from numdiff.problems.paths import toys

PATH = toys()


def end(subject, steps=16, setting=None):
    return final(subject, PATH, Layout("random", seed=2).levels(subject, PATH.span, steps), setting or Setting())


@pytest.mark.parametrize(
    ("theirs", "ours", "scale"),
    [
        ("DDIMSampler", "ddim", "vp"),
        ("EulerSampler", "ddim", "flow"),
        ("HeunSampler", "heun", "vp"),
        ("zABSampler(order=3)", "lms(order=3)", "vp"),
        ("zABSampler(order=4)", "lms(order=4)", "edm"),
        ("vABSampler(order=3)", "flow-ab(order=3)", "flow"),
        ("zEABSampler(order=3)", "dpm-solver(order=3)", "vp"),
        ("xEABSampler(order=3)", "dpmpp(order=3)", "edm"),
        ("ItoSampler(eta=0)", "ddim", "vp"),
    ],
)
def test_on_rough_steps_they_are_methods_of_this_package(theirs, ours, scale):
    found, expected = (end(resolve(s, scale=scale)) for s in (f"azula:{theirs}", f"numdiff:{ours}"))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("theirs", ["DDPMSampler", "DDIMSampler(eta=1)"])
def test_noise_that_is_chosen_goes_where_ancestral_sampling_puts_it(theirs):
    noise = lambda: Setting(noise=np.random.default_rng(3).standard_normal)  # noqa: E731
    found, expected = end(resolve(f"azula:{theirs}"), 6, noise()), end(resolve("numdiff:ddpm"), 6, noise())
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11 * np.abs(expected).max())
    assert azula.sample.torch is torch


@pytest.mark.parametrize("name", [name for name in names("azula") if name != "REABSampler"])
def test_a_clean_sample_stays_clean(name):
    """x = alpha c goes on to alpha c where the denoiser says c everywhere (but for the misprint of the last test)."""
    subject = resolve(f"azula:{name}")
    levels = [subject.level(lam) for lam in (-1.0, -0.2, 0.1, 1.4)]
    silent = Setting(noise=np.zeros)
    found = subject.run(lambda x, level: 0 * x + 2.0, np.array([[levels[0].alpha * 2.0]]), levels, silent)
    np.testing.assert_allclose(found, 2 * levels[-1].alpha, rtol=1e-13)


def test_own_grid_is_equal_steps_in_the_time_of_its_schedule():
    subject = resolve("azula:zABSampler", schedule="CosineSchedule")
    levels = subject.grid(8)
    alpha, sigma = azula.noise.CosineSchedule()(torch.linspace(1, 0, 9, dtype=torch.float64))
    np.testing.assert_array_equal([level.alpha for level in levels], alpha)
    np.testing.assert_array_equal([level.sigma for level in levels], sigma)
    own, given = (
        subject.run(lambda x, level: x / (1 + level.sigma), np.ones((2, 1)), levels, Setting(grid=grid))
        for grid in ("own", "given")
    )
    np.testing.assert_allclose(own, given, rtol=1e-13)


def test_as_shipped_it_computes_in_float32():
    subject = resolve("azula:HeunSampler")
    levels = Layout().levels(subject, PATH.span, 8)
    full, short = (
        subject.run(lambda x, level: np.tanh(x), np.ones((1, 1)), levels, Setting(precision=precision))
        for precision in ("float64", "shipped")
    )
    assert short == np.float32(short)
    assert full != short
    assert short == pytest.approx(full, rel=1e-5)


def test_the_model_is_asked_at_the_levels_of_the_grid_and_between_by_log_snr():
    subject = resolve("azula:HeunSampler")
    levels, asked = Layout("random").levels(subject, PATH.span, 5), []
    subject.run(lambda x, level: asked.append(level) or x, np.ones((1, 1)), levels, Setting())
    assert asked == [level for pair in pairwise(levels) for level in pair]
    between = adapter._Schedule(levels, "vp").level(1 - 2.25 / 5)
    assert between.log_snr == pytest.approx(0.75 * levels[2].log_snr + 0.25 * levels[3].log_snr)


def test_claims_are_the_documented_orders():
    claims = {name: resolve(f"azula:{name}").order for name in names("azula")}
    assert {name: claim for name, claim in claims.items() if claim is not None} == {
        "DDIMSampler": 1,
        "EulerSampler": 1,
        "HeunSampler": 2,
    } | {
        name: inspect.signature(getattr(azula.sample, name)).parameters["order"].default
        for name in names("azula")
        if "AB" in name
    }
    assert resolve("azula:DDIMSampler", eta="1").order is None
    assert resolve("azula:zABSampler", order=4).name == "azula:zABSampler(order=4)"
    stochastic = {name for name in names("azula") if resolve(f"azula:{name}").stochastic}
    assert stochastic == {"DDPMSampler", "ItoSampler", "PCSampler"}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("azula:zABsampler2", "unknown sampler of azula 'zABsampler2'; did you mean 'zABSampler'"),
        ("azula:zABSampler(ordr=3)", "unknown option of zABSampler 'ordr'; did you mean 'order'"),
        ("azula:EulerSampler(schedule=VPScedule)", "unknown schedule of azula 'VPScedule'; did you mean 'VPSchedule'"),
        ("azula:EulerSampler(scale=ve)", "unknown scale 've'"),
    ],
)
def test_wrong_names(spec, message):
    with pytest.raises(ValueError, match=message):
        resolve(spec)


def test_the_rosenbrock_sampler_is_of_order_1_because_a_scale_is_taken_from_the_wrong_level():
    """Its integral is scaled by sqrt(alpha_s^2 + sigma_t^2); with sigma_s, as in its formula, it has its order."""
    source = inspect.getsource(azula.sample.REABSampler)
    assert source.count("alpha_s**2 + sigma_t**2") == 1
    space = dict(vars(azula.sample))
    exec(source.replace("alpha_s**2 + sigma_t**2", "alpha_s**2 + sigma_s**2"), space)
    shipped = resolve("azula:REABSampler", order=2)
    run = adapter._Run(space["REABSampler"], {"order": 2}, "vp", azula.noise.VPSchedule())
    repaired = Subject(name="repaired", run=run, prediction="data", scale="vp")
    slopes = [measure(s, PATH.resting(), (128, 192, 256, 384)).slope for s in (shipped, repaired)]
    assert slopes == pytest.approx([1.0, 2.0], abs=0.25)
