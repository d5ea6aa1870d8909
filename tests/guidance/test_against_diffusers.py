"""Rescaling and dynamic thresholding against diffusers' own functions."""

import warnings

import pytest
import torch

from numdiff.guidance import ClassifierFree, threshold

pytestmark = pytest.mark.slow
X = 2 * torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("phi", [0.0, 0.3, 0.7, 1.0])
def test_rescaling(phi):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations of diffusers' own dependencies, at its import only
        from diffusers.guiders.guider_utils import rescale_noise_cfg

    other = torch.randn(X.shape, generator=torch.Generator().manual_seed(1))
    guided = ClassifierFree(lambda x, t, c: x * c, X, other, 7.5, rescale=phi)(torch.ones_like(X), 0.5)
    expected = rescale_noise_cfg(other + 7.5 * (X - other), X, guidance_rescale=phi)
    torch.testing.assert_close(guided, expected, rtol=1e-5, atol=1e-5)  # float32, in another order


@pytest.mark.parametrize(("ratio", "ceiling"), [(0.995, 1.0), (0.9, 1.5), (0.995, 100.0)])
def test_dynamic_thresholding(ratio, ceiling):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from diffusers import DDIMScheduler

    scheduler = DDIMScheduler(thresholding=True, dynamic_thresholding_ratio=ratio, sample_max_value=ceiling)
    torch.testing.assert_close(threshold(X, quantile=ratio, ceiling=ceiling), scheduler._threshold_sample(X))
