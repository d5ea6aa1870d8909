"""The shipped networks: readable digits, an honest judge, the same bits each time."""

import itertools
import math
from pathlib import Path

import pytest
import torch

from numdiff import models


@pytest.fixture(scope="module")
def digits():
    """The shipped denoiser."""
    return models.digits()


@pytest.fixture(scope="module")
def classifier():
    """The shipped classifier."""
    return models.digits_classifier()


def ddim(model, x, steps=50):
    """DDIM for a v-prediction as rotations of the noise angle, written without the package's solvers."""
    schedule = model.denoiser.schedule
    times = torch.linspace(1.0, 1e-3, steps + 1, dtype=torch.float64).tolist()
    for t, s in itertools.pairwise(times):
        turn = math.atan2(schedule.sigma(s), schedule.alpha(s)) - math.atan2(schedule.sigma(t), schedule.alpha(t))
        x = math.cos(turn) * x + math.sin(turn) * model(x, t)
    return x


def noise(n, seed=0):
    return torch.randn(n, 64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_fifty_steps_give_the_requested_digits(digits, classifier, guidance):
    labels = torch.arange(200) % 10
    x = ddim(digits.conditioned(labels, guidance), noise(200))
    assert (classifier.predict(x) == labels).double().mean() >= 0.99


def test_unconditional_samples_show_all_classes(digits, classifier):
    found = classifier.predict(ddim(digits.conditioned(10), noise(200, seed=1))).bincount(minlength=10)
    assert found.min() >= 4  # twenty expected; fewer than 4 has probability 1e-5 for a fair model


def test_sizes_and_defaults(digits, classifier):
    assert digits.dtype == torch.float32
    assert not digits.training
    assert not classifier.training
    assert 1e6 < sum(parameter.numel() for parameter in digits.parameters()) < 3e6
    assert sum(file.stat().st_size for file in models.WEIGHTS.glob("digits*")) < 8e6


def test_two_loads_give_the_same_bits(digits):
    labels = torch.arange(20) % 10
    first, second = (ddim(model.conditioned(labels), noise(20), 5) for model in (digits, models.digits()))
    assert torch.equal(first, second)


def test_float64_agrees_with_float32(digits):
    labels = torch.arange(20) % 10
    double = ddim(models.digits().to(torch.float64).conditioned(labels, 2.0), noise(20).double(), 10)
    assert double.dtype == torch.float64
    assert (
        ddim(digits.conditioned(labels, 2.0), noise(20), 10) - double
    ).abs().max() < 1e-4  # 1e-7 rounding, amplified


def test_the_record_says_how_it_was_trained(digits):
    record = digits.record
    curve = record["loss_curve"]["loss"]
    assert curve[-1] < 0.7 * curve[0]  # it starts as the best linear denoiser
    assert record["scores"][-1]["held_out_loss"] < 0.3  # 1 for a network that predicts zero
    assert record["settings"]["optimisation"]["seed"] == 0
    assert {"torch", "numpy", "python"} <= record["versions"].keys()


def held_out(monkeypatch):
    """Training and held-out scans, by the experiment's rule."""
    pytest.importorskip("sklearn")
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
    from experiments.digits.data import digits as scans

    return scans()


def test_the_classifier_reads_held_out_scans(classifier, monkeypatch):
    train, held = held_out(monkeypatch)
    accuracy = (classifier.predict(held.x) == held.labels).double().mean()
    assert accuracy == pytest.approx(classifier.record["held_out_accuracy"], abs=0.003)  # one scan of 364 on a tie
    assert accuracy > 0.98
    assert classifier.frechet_distance(train.x) < 1e-6 * float(classifier.covariance.trace())  # float32 features
    assert classifier.features(held.x).shape == (364, 64)


def test_samples_are_as_far_from_the_training_scans_as_held_out_ones(digits, monkeypatch):
    train, held = held_out(monkeypatch)
    x = ddim(digits.conditioned(torch.arange(200) % 10), noise(200)).clamp(-1, 1)
    ours, real = models.nearest_distance(x, train.x), models.nearest_distance(held.x, train.x)
    assert ours.min() > 0.7 * real.min()  # a copy would be at 0.5 or less: rounding to 17 grey values
    assert sorted(ours)[100] > 0.8 * sorted(real)[182]  # medians


def test_the_features_of_samples_are_those_of_scans(digits, classifier, monkeypatch):
    train, held = held_out(monkeypatch)
    x = ddim(digits.conditioned(torch.arange(200) % 10), noise(200))
    ours, real = classifier.frechet_distance(x), classifier.frechet_distance(held.x[:200])
    nine_classes = classifier.frechet_distance(train.x[train.labels != 0][:200])
    assert ours < nine_classes  # nearer than real scans that lack one digit
    assert ours < 4 * real  # a floor set by the number of images


def test_images_of_another_shape_are_named(classifier):
    with pytest.raises(ValueError, match=r"shape \(n, 64\).*not \(2, 8, 8\)"):
        classifier.predict(torch.zeros(2, 8, 8))
