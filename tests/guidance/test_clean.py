"""Thresholding and inpainting: what they do to the clean image, in any prediction, and what they leave alone."""

import numpy as np
import pytest
import torch

import numdiff as nd
from numdiff.guidance import Inpainting, on_data, threshold, thresholded
from numdiff.parameterizations import convert, names
from tests.guidance.problem import MIXTURE, VP, X

T = 0.3
LEVEL = VP.level(T)
MASK = np.array([[True, False, True]])
KNOWN = np.array([[0.3, 0.0, -0.8]])
INPAINTING = Inpainting(KNOWN, MASK, VP, noise=X)


@pytest.mark.parametrize("prediction", names())
def test_a_change_of_the_clean_image_is_the_same_in_every_prediction(prediction):
    changed = on_data(MIXTURE.model(VP, prediction), np.tanh, VP, prediction)
    x_0 = convert(changed(X, T), X, LEVEL, source=prediction, target="data")
    np.testing.assert_allclose(x_0, np.tanh(MIXTURE.denoise(X, LEVEL)), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("prediction", ["noise", "v", "flow"])
def test_what_is_in_range_keeps_its_bits(prediction):
    model = MIXTURE.model(VP, prediction)
    np.testing.assert_array_equal(thresholded(model, VP, prediction, limit=9.0)(X, T), model(X, T))
    clean = on_data(model, lambda x: 1 / 0, VP, prediction)
    np.testing.assert_array_equal(clean(X, 0.0), model(X, 0.0))  # sigma = 0: x is the clean image


@pytest.mark.parametrize("xp", [np.asarray, torch.tensor])
def test_dynamic_thresholding_divides_by_the_quantile(xp):
    x = np.random.default_rng(1).normal(size=(5, 4, 3)) * np.array([0.2, 0.5, 1.0, 2.0, 4.0])[:, None, None]
    for limit, p, ceiling in ((1.0, 0.9, None), (1.0, 0.995, 1.5), (0.5, 1.0, None)):
        found = np.asarray(threshold(xp(x), limit=limit, quantile=p, ceiling=ceiling))
        for before, after in zip(x, found, strict=True):
            s = np.clip(np.quantile(abs(before), p), limit, ceiling)
            np.testing.assert_allclose(after, limit * np.clip(before, -s, s) / s, rtol=1e-13)
        assert abs(found).max() <= limit * (1 + 1e-15)
    np.testing.assert_array_equal(np.asarray(threshold(xp(x))), np.clip(x, -1, 1))


def test_quantiles_of_half_precision_and_of_one_entry():
    x = torch.randn(3, 40, generator=torch.Generator().manual_seed(0))
    narrow = threshold(3 * x.bfloat16(), quantile=0.9)
    assert narrow.dtype == torch.bfloat16
    # bfloat16 keeps eight bits; the quantile and the quotient round once each
    torch.testing.assert_close(narrow.float(), threshold(3 * x, quantile=0.9), rtol=0.02, atol=0.02)
    assert threshold(torch.tensor([[4.0]]).bfloat16(), quantile=0.5).item() == 1.0


@pytest.mark.parametrize("method", [nd.DDIM(), nd.DPMSolverPP(2), nd.GHVB(3, 0.8), nd.UniPC(2), nd.RK4()], ids=str)
@pytest.mark.parametrize("prediction", ["noise", "data", "v"])
def test_known_pixels_stay_on_their_line_whatever_the_method(method, prediction):
    """A constant prediction is exact in every step, so x = alpha known + sigma eps to rounding, where mask = 1."""
    model = INPAINTING.wrap(MIXTURE.model(VP, prediction), prediction)
    scheme = method.discretize(VP, nd.grids.uniform_log_snr(VP, steps=8))
    first, last = scheme.levels[0], scheme.levels[-1]
    found = nd.sample(scheme, model, X, prediction=prediction)
    noise = (X - first.alpha * KNOWN) / first.sigma
    line = last.alpha * KNOWN + last.sigma * noise
    # 32 evaluations, each converted by factors up to 1/alpha = 150
    np.testing.assert_allclose(found[:, MASK[0]], line[:, MASK[0]], rtol=0, atol=1e-11)
    assert (INPAINTING.paste(found)[:, MASK[0]] == KNOWN[:, MASK[0]]).all()
    np.testing.assert_array_equal(INPAINTING.paste(found)[:, 1], found[:, 1])


def test_known_pixels_arrive_at_sigma_zero():
    model = INPAINTING.wrap(MIXTURE.model(VP, "data"), "data")
    scheme = nd.DPMSolverPP(2).discretize(VP, np.array([1.0, 0.6, 0.3, 0.1, 0.0]))
    found = nd.sample(scheme, model, X, prediction="data")
    assert (found[:, MASK[0]] == KNOWN[:, MASK[0]]).all()


@pytest.mark.parametrize("method", [nd.DDIM(), nd.GHVB(2, 0.8), nd.Heun(), nd.UniPC(2), nd.STSP(2)], ids=str)
def test_an_edit_is_seen_by_every_evaluation(method):
    seen = []

    def model(x, t):
        seen.append((x, VP.level(t)))
        return MIXTURE.model(VP)(x, t)

    scheme = method.discretize(VP, np.linspace(1.0, 0.1, 7))
    split = {"fields": {"condition": model}} if isinstance(method, nd.MultistepSplitting) else {}
    path = nd.sample(scheme, model, X, edit=INPAINTING.edit, trajectory=True, **split)
    assert len(seen) == scheme.nfe
    for x, level in seen:
        expected = level.alpha * KNOWN + level.sigma * X
        np.testing.assert_allclose(x[:, MASK[0]], expected[:, MASK[0]], rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(path[0], seen[0][0])


def test_ddim_with_an_edit_is_the_loop_that_edits():
    scheme = nd.DDIM().discretize(VP, np.linspace(1.0, 0.1, 7))
    found = nd.sample(scheme, MIXTURE.model(VP), X, edit=INPAINTING.edit)
    x = X
    for here, there in zip(scheme.levels, scheme.levels[1:], strict=False):
        x = np.where(MASK, here.alpha * KNOWN + here.sigma * X, x)
        noise = MIXTURE.model(VP)(x, here.model_time)
        x = there.alpha * (x - here.sigma * noise) / here.alpha + there.sigma * noise
    np.testing.assert_allclose(found, x, rtol=1e-11, atol=1e-11)


def test_an_edit_that_changes_nothing_changes_nothing():
    for method in (nd.DDIM(), nd.UniPC(3), nd.RK4(), nd.HeavyBall(nd.PLMS(4), beta=0.8)):
        scheme = method.discretize(VP, np.linspace(1.0, 0.1, 7))
        plain = nd.sample(scheme, MIXTURE.model(VP), X)
        np.testing.assert_array_equal(nd.sample(scheme, MIXTURE.model(VP), X, edit=lambda x, level: x), plain)


def test_noise_of_a_generator_is_new_at_every_evaluation():
    scheme = nd.DDIM().discretize(VP, np.linspace(1.0, 0.1, 4))
    seen = []

    def model(x, t):
        level = VP.level(t)
        seen.append((x[:, 0] - level.alpha * KNOWN[:, 0]) / level.sigma)
        return MIXTURE.model(VP)(x, t)

    edit = Inpainting(KNOWN, MASK, noise=np.random.default_rng(5)).edit
    nd.sample(scheme, model, X, edit=edit)
    rng = np.random.default_rng(5)
    for noise in seen:
        np.testing.assert_allclose(noise, rng.standard_normal(X.shape)[:, 0], rtol=1e-12)


def test_guidance_then_thresholding_then_inpainting():
    overshooting = lambda x, t: 3 * MIXTURE.model(VP, "data")(x, t)  # noqa: E731
    model = INPAINTING.wrap(thresholded(overshooting, VP, "data", limit=0.5), "data")(X, T)
    np.testing.assert_array_equal(model[:, MASK[0]], np.broadcast_to(KNOWN, X.shape)[:, MASK[0]])  # beyond 0.5, kept
    np.testing.assert_array_equal(model[:, 1], np.clip(overshooting(X, T), -0.5, 0.5)[:, 1])


SCHEME = nd.DDIM().discretize(VP, np.linspace(1.0, 0.1, 4))
REFUSED = {
    "a limit": (lambda: threshold(X, limit=0.0), ValueError, "limit must be positive"),
    "a quantile": (lambda: thresholded(abs, VP, quantile=99.5), ValueError, "quantile must lie in (0, 1]"),
    "a ceiling below": (lambda: threshold(X, quantile=0.9, ceiling=0.5), ValueError, "at least limit = 1.0, got 0.5"),
    "a ceiling of nothing": (lambda: threshold(X, ceiling=2.0), ValueError, "ceiling bounds the quantile"),
    "no function": (lambda: on_data(3, abs, VP), TypeError, "model must be a function"),
    "no schedule": (lambda: Inpainting(KNOWN, MASK).wrap(abs), ValueError, "wrap needs the schedule"),
    "no noise": (lambda: Inpainting(KNOWN, MASK).edit(X, LEVEL), ValueError, "edit needs noise"),
    "noise of others": (
        lambda: Inpainting(KNOWN, MASK, noise=X[:2]).edit(X, LEVEL), ValueError, "of shape (6, 3), got (2, 3)"),
    "noise that is a seed": (lambda: Inpainting(KNOWN, MASK, noise=0), TypeError, "or a generator, got 0"),
    "noise of another library": (
        lambda: Inpainting(KNOWN, MASK, noise=torch.Generator()).edit(X, LEVEL), TypeError, "numpy.random.Generator"),
    "known of others": (
        lambda: Inpainting(np.ones(4), np.ones(4)).paste(X), ValueError, "known has shape (4,), which does not"),
    "known in grey values": (lambda: Inpainting(np.ones(3, np.uint8), MASK), TypeError, "floating, in the range of"),
    "a mask of another library": (lambda: Inpainting(KNOWN, torch.ones(3)), TypeError, "mask must be an array of"),
    "a mask in grey values": (lambda: Inpainting(KNOWN, 255 * MASK), ValueError, "mask must lie between 0"),
    "known nan": (lambda: Inpainting(KNOWN / 0, MASK), ValueError, "known must be finite"),
    "noise at alpha = 0": (
        lambda: thresholded(lambda x, t: x, nd.schedules.Flow())(X, 1.0), ValueError, "does not determine 'data'"),
    "an edit that is none": (lambda: nd.sample(SCHEME, abs, X, edit=3), TypeError, "edit must be a function"),
    "an edit of another shape": (
        lambda: nd.sample(SCHEME, abs, X, edit=lambda x, level: x[0]), ValueError, "edit returned shape (3,)"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*divide.*:RuntimeWarning", "ignore:.*invalid.*:RuntimeWarning")
@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_a_remedy(case):
    call, kind, words = REFUSED[case]
    with pytest.raises(kind) as caught:
        call()
    assert words in str(caught.value)
