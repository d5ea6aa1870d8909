"""Functions sample_*(model, x, sigmas): k-diffusion's against this package's methods, and made-up ones."""

import math

import numpy as np
import pytest
import torch

from numdiff.adapters.subjects import NotASamplerError, names, resolve, sigmas
from numdiff.certification.measure import Layout, SamplerError, final, measure
from numdiff.certification.subject import Setting
from numdiff.level import Level
from numdiff.problems.paths import toys

PATH = toys()
SAMPLERS = [name for name in names("k-diffusion") if name not in ("sample_dpm_fast", "sample_dpm_adaptive")]


def levels(*values):
    return [Level(time=s, alpha=1.0, sigma=s, model_time=s) for s in values]


def draws(seed=1):
    """The same noise for every run that is given a new one of these, small enough that no toy equation blows up."""
    rng = np.random.default_rng(seed)
    return Setting(noise=lambda shape: 0.05 * rng.standard_normal(shape))


def end(spec, setting=None, steps=16, **options):
    subject = resolve(spec, **options)
    return final(subject, PATH, Layout("random", seed=2).levels(subject, PATH.span, steps), setting or Setting())


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("sample_euler", "ddim"),
        ("sample_heun", "heun"),
        ("sample_dpm_2", "DPM2"),
        ("sample_lms", "lms(order=4)"),
        ("sample_lms(order=2)", "lms(order=2)"),
        ("sample_dpmpp_2m", "dpmpp(order=2, rule=half)"),
    ],
)
def test_on_rough_steps_they_are_the_methods_of_the_same_names(theirs, ours):
    np.testing.assert_allclose(end(f"k-diffusion:{theirs}"), end(f"numdiff:{ours}", scale="edm"), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("sample_euler_ancestral", "euler-ancestral"),
        ("sample_dpmpp_sde", "dpmpp-sde(path=rho)"),
        ("sample_dpmpp_2m_sde", "sde-dpmpp(order=2, rule=half)"),
    ],
)
def test_noise_that_is_chosen_goes_where_a_method_of_the_same_name_puts_it(theirs, ours):
    found, expected = end(f"k-diffusion:{theirs}", draws(), 6), end(f"numdiff:{ours}", draws(), 6, scale="edm")
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10 * np.abs(expected).max())


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_constant_denoiser_is_followed_exactly_to_the_last_sigma(name):
    """x - c is proportional to sigma where the denoiser says c everywhere; nothing goes on to sigma = 0."""
    subject = resolve(f"k-diffusion:{name}")
    run = resolve(f"k-diffusion:{name}", eta=0.0).run if subject.stochastic else subject.run
    end_of_run = run(
        lambda x, level: np.full_like(x, 0.5), np.array([[3.0, -1.0]]), levels(4.0, 2.5, 1.0, 0.7), Setting()
    )
    np.testing.assert_allclose(end_of_run, 0.5 + 0.7 / 4.0 * np.array([[2.5, -1.5]]), rtol=1e-13)


def test_what_draws_noise_is_found_out():
    stochastic = {name for name in SAMPLERS if resolve(f"k-diffusion:{name}").stochastic}
    assert stochastic == {name for name in SAMPLERS if name.endswith(("_sde", "_ancestral"))}
    assert not resolve("k-diffusion:sample_dpmpp_2m_sde", eta="0").stochastic
    assert resolve("k-diffusion:sample_heun", s_churn=2.0).stochastic


def test_claims_are_what_is_documented_and_an_order_is_the_samplers_own_where_it_has_one():
    assert resolve("k-diffusion:sample_dpmpp_2m").order == 2
    assert resolve("k-diffusion:sample_euler_ancestral").order == 1
    for name in ("sample_dpmpp_sde", "sample_dpmpp_3m_sde"):  # no order is stated for either
        assert resolve(f"k-diffusion:{name}").order is None
    assert resolve("k-diffusion:sample_heun", order=3).order == 3
    lms = resolve("k-diffusion:sample_lms", order=2)
    assert (lms.name, lms.order) == ("k-diffusion:sample_lms(order=2)", 2)
    assert 1.8 < measure(lms, PATH.resting(), (32, 48, 64, 96)).slope < 2.2


def test_own_grid_is_karras_and_ends_at_zero():
    subject = resolve("k-diffusion:sample_dpmpp_2m")
    found = subject.grid(10)
    assert len(found) == 11
    assert found[-1].sigma == 0
    roots = np.array([level.sigma for level in found[:-1]]) ** (1 / 7)
    np.testing.assert_allclose(np.diff(roots, 2), 0, atol=1e-5)  # in float32, as it is made
    result = subject.run(lambda x, level: 0 * x + 2.0, np.ones((1, 1)), found, Setting(grid="own"))
    np.testing.assert_allclose(result, 2.0, rtol=1e-14)  # the last step returns the denoised sample


def test_as_shipped_it_computes_in_float32():
    types = []

    def sample_types(model, x, sigmas):
        types.append((x.dtype, sigmas.dtype, model(x, sigmas[0] * x.new_ones(len(x))).dtype))
        return x

    subject = sigmas.of_sampler(sample_types)
    types.clear()
    for precision in ("float64", "shipped"):
        subject.run(lambda x, level: x, np.ones((2, 3)), levels(2.0, 1.0), Setting(precision=precision))
    assert types == [(torch.float64,) * 3, (torch.float32,) * 3]


def test_arguments_are_passed_where_the_signature_has_them():
    def sample_plain(model, x, sigmas, extra_args=None, callback=None, disable=None):
        assert (extra_args, callback, disable) == ({}, None, True)
        return model(x, sigmas[-1] * x.new_ones(len(x)), **extra_args)

    subject = sigmas.of_sampler(sample_plain, order=1)
    assert (subject.name, subject.scale, subject.prediction, subject.order) == ("sample_plain", "edm", "data", 1)
    np.testing.assert_array_equal(
        subject.run(lambda x, level: x * level.sigma, np.ones((1, 2)), levels(2.0, 0.25), Setting()), [[0.25, 0.25]]
    )


def sample_noisy(model, x, sigmas):
    if sigmas[0] < 0.5:
        raise ArithmeticError("too small")
    return x + torch.randn_like(x) + torch.randn(x.shape, dtype=x.dtype) + torch.randn(*x.shape, dtype=x.dtype)


def test_noise_of_torch_is_replaced_for_the_run_and_put_back_even_when_it_fails():
    subject = sigmas.of_sampler(sample_noisy)
    drawn = iter((1.0, 10.0, 100.0))
    setting = Setting(noise=lambda shape: np.full(shape, next(drawn)))
    np.testing.assert_array_equal(subject.run(None, np.zeros((1, 2)), levels(2.0, 1.0), setting), [[111.0, 111.0]])
    assert subject.stochastic
    with pytest.raises(SamplerError, match="raised at N = 1: ArithmeticError: too small"):
        final(subject, PATH, levels(0.1, 0.05), draws())
    assert sample_noisy.__globals__["torch"] is torch


def test_the_brownian_path_has_the_increments_of_one():
    """Each value is linear in the draws; the products of the coefficients are the covariances."""
    count = 6
    units = iter(np.eye(count))
    path = sigmas._Brownian(lambda: next(units))
    asked = [(5.0, 4.0), (5.0, 2.0), (4.0, 2.0), (4.5, 3.0), (1.0, 5.0)]
    rows = [path(a, b) * math.sqrt(abs(a - b)) for a, b in asked]
    for (a, b), one in zip(asked, rows, strict=True):
        for (c, d), other in zip(asked, rows, strict=True):
            shared = max(0.0, min(max(a, b), max(c, d)) - max(min(a, b), min(c, d)))
            assert one @ other == pytest.approx(np.sign(b - a) * np.sign(d - c) * shared, abs=1e-14)
    again = math.exp(math.log(4.5))
    np.testing.assert_array_equal(path(again, 3.0), path(4.5, 3.0))  # draws nothing new up to rounding


@pytest.mark.parametrize("name", ["sample_dpm_fast", "sample_dpm_adaptive"])
def test_samplers_that_lay_out_their_own_steps_are_refused(name):
    with pytest.raises(NotASamplerError, match=r"sigma_min, sigma_max.*lays out its own steps"):
        resolve(f"k-diffusion:{name}")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("k-diffusion:sample_dpmpp_2n", "unknown sampler of k-diffusion 'sample_dpmpp_2n'; did you mean"),
        (
            "k-diffusion:sample_heun(s_chum=1)",
            "unknown option of k-diffusion:sample_heun 's_chum'; did you mean 's_churn'",
        ),
        ("k-diffusion:sample_dpmpp_2m(eta=1)", "sample_dpmpp_2m has no options, got 'eta'"),
    ],
)
def test_wrong_names(spec, message):
    with pytest.raises(ValueError, match=message):
        resolve(spec)
