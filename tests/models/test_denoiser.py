"""The denoiser and its guided callable: shapes, times, gradients, guidance, and errors in the user's terms."""

import math

import pytest
import torch

from numdiff import models
from numdiff.models.denoiser import DenoiserConfig

MIX = torch.randn(64, 64, generator=torch.Generator().manual_seed(2), dtype=torch.float64) / 8
DATA = torch.randn(500, 64, generator=torch.Generator().manual_seed(3), dtype=torch.float64) @ MIX - 0.5


@pytest.fixture(scope="module")
def model():
    """A float64 network with random weights everywhere."""
    torch.manual_seed(0)
    network = models.Denoiser(DenoiserConfig(schedule={"name": "vp-linear"}, width=16, blocks=2)).double().eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    network.fit_linear(DATA, 0.1)
    return network.requires_grad_(False)


@pytest.fixture(scope="module")
def x():
    """Seven samples."""
    return torch.randn(7, 64, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


LABELS = torch.tensor([0, 1, 2, 3, 9, 10, 0])


def test_attributes(model):
    assert model.shape == (64,)
    assert model.prediction == "v"
    assert model.null == 10
    assert model.schedule.name == "vp-linear"


@pytest.mark.parametrize("t", [0.0, 1e-8, 1e-3, 0.3, 1.0])
def test_one_time_for_all_is_the_same_as_a_time_for_each(model, x, t):
    once = model(x, t, LABELS)
    each = model(x, torch.full((7,), t, dtype=torch.float64), LABELS)
    assert once.shape == (7, 64)
    assert once.isfinite().all()
    assert torch.equal(model(x, torch.tensor(t, dtype=torch.float64), LABELS), once)
    torch.testing.assert_close(each, once, rtol=1e-12, atol=1e-12)  # other order of the same sums


def test_a_sample_does_not_depend_on_its_batch(model, x):
    together = model.conditioned(LABELS, 2.5)(x, 0.4)
    for i in range(7):
        alone = model.conditioned(int(LABELS[i]), 2.5)(x[i : i + 1], 0.4)
        torch.testing.assert_close(alone[0], together[i], rtol=1e-12, atol=1e-12)  # other blocking of the same sums


def test_guidance_is_a_linear_combination(model, x):
    conditional, unconditional = model.conditioned(LABELS)(x, 0.4), model.conditioned(10)(x, 0.4)
    assert not torch.allclose(conditional, unconditional)
    for guidance in (-1.0, 0.0, 0.5, 1.0, 3.0):
        guided = model.conditioned(LABELS, guidance)(x, 0.4)
        combined = unconditional + guidance * (conditional - unconditional)
        torch.testing.assert_close(guided, combined, rtol=1e-12, atol=1e-12)  # rounding


@pytest.mark.parametrize(("guidance", "rows"), [(0.0, 7), (1.0, 7), (2.0, 14)])
def test_plain_models_cost_one_evaluation(model, x, guidance, rows):
    seen = []
    handle = model.inward.register_forward_hook(lambda module, inputs, output: seen.append(len(output)))
    model.conditioned(LABELS, guidance)(x, 0.4)
    handle.remove()
    assert seen == [rows]


@pytest.mark.parametrize("t", [1e-3, 0.3, 1.0])
def test_without_its_network_it_is_the_exact_denoiser_of_a_gaussian(x, t):
    network = models.Denoiser(DenoiserConfig(schedule={"name": "vp-linear"}, width=8, blocks=1)).double().eval()
    network.fit_linear(DATA, 0.1)
    alpha, sigma = network.schedule.alpha(t), network.schedule.sigma(t)
    mean, identity = DATA.mean(dim=0), torch.eye(64, dtype=torch.float64)
    covariance = DATA.T.cov(correction=0) + 0.1**2 / 12 * identity
    gain = alpha * torch.linalg.solve(alpha**2 * covariance + sigma**2 * identity, covariance)
    x_0 = mean + (x - alpha * mean) @ gain  # E[x_0 | x] for x_0 ~ N(mean, covariance)
    with torch.no_grad():
        found = alpha * x - sigma * network(x, t, LABELS)
    torch.testing.assert_close(found, x_0, rtol=0, atol=1e-10)  # 1e-16 through a condition number below 1e4


def test_the_prediction_is_finite_at_both_ends_without_variance():
    network = models.Denoiser(DenoiserConfig(schedule={"name": "vp-linear"}, width=8, blocks=1)).eval()
    network.fit_linear(torch.full((10, 64), -1.0), 0.125)
    for t in (0.0, 1.0):
        assert network(torch.full((1, 64), -1.0), t, torch.tensor([0])).isfinite().all()


def test_gradients_reach_the_sample_and_the_time(model, x):
    small, t = x[:2].clone().requires_grad_(), torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(model.conditioned(LABELS[:2], 2.0), (small, t), fast_mode=True)


def test_the_angle_is_accurate_near_the_data(model):
    for t in (1e-12, 1e-6, 1e-3):  # sigma ~ sqrt(0.1 t): 1 - alpha^2 in float64 would have lost all digits at 1e-12
        exact = math.atan2(float(model.schedule.sigma(t)), float(model.schedule.alpha(t)))
        assert float(model.angle(t)) == exact
        assert exact == pytest.approx(math.sqrt(0.1 * t), rel=100 * t + 1e-15)


def test_float32_agrees_with_float64(model, x):
    single = models.Denoiser(model.config).eval()
    single.load_state_dict(model.state_dict())
    exact = model.conditioned(LABELS, 2.0)(x, 0.4)
    found = single.conditioned(LABELS, 2.0)(x.float(), 0.4)
    assert found.dtype == torch.float32
    assert (found - exact).abs().max() < 1e-5 * exact.abs().max()  # 1e-7, times the growth through six layers


@pytest.mark.parametrize(
    ("labels", "guidance", "error", "message"),
    [
        (11, 1.0, ValueError, "labels must lie in 0..10"),
        ([0, -1], 1.0, ValueError, "not -1"),
        ([0.5], 1.0, TypeError, "labels must be integers"),
        (True, 1.0, TypeError, "labels must be integers"),
        ([[0, 1]], 1.0, ValueError, r"shape \(n,\)"),
        (0, math.nan, ValueError, "guidance must be finite"),
    ],
)
def test_bad_conditions_are_named(model, labels, guidance, error, message):
    with pytest.raises(error, match=message):
        model.conditioned(labels, guidance)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prediction": "noise"}, "prediction must be 'v', not 'noise'"),
        ({"schedule": {"name": "edm"}}, "'edm' is not variance preserving"),
        ({"schedule": {"name": "vp-liner"}}, "did you mean 'vp-linear'"),
    ],
)
def test_bad_configurations_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        models.Denoiser(DenoiserConfig(**{"schedule": {"name": "vp-linear"}} | changes))


def test_bad_samples_are_named(model, x):
    call = model.conditioned(3)
    with pytest.raises(ValueError, match=r"shape \(n, 64\).*not \(7, 1, 8, 8\).*x.reshape"):
        call(x.reshape(7, 1, 8, 8), 0.5)
    with pytest.raises(TypeError, match=r"x is torch.float32 but the model is torch.float64.*\.to\(torch.float32\)"):
        call(x.float(), 0.5)
    with pytest.raises(TypeError, match="x must be a torch tensor, not ndarray"):
        call(x.numpy(), 0.5)
    with pytest.raises(ValueError, match="7 samples but there are 2 labels"):
        model.conditioned([1, 2])(x, 0.5)
    with pytest.raises(ValueError, match="model time"):
        call(x, 1.5)
