"""Training: an interrupted run that is resumed gives the same bits as one that was not."""

import itertools
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from numdiff import models

pytest.importorskip("sklearn")
pytest.importorskip("tqdm")


@pytest.fixture(autouse=True)
def experiments(monkeypatch):
    """The experiments, which are no part of the package, with checkpoints every few steps."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
    from numdiff.models import training

    monkeypatch.setattr(training, "CHECKPOINT_EVERY", 5)


def runs():
    """The two experiments with tiny settings."""
    from experiments.digits import config, train, train_classifier

    short = {"steps": 17, "batch": 16, "warm_up": 3}
    for module, settings in ((train, config.DENOISER_FAST), (train_classifier, config.CLASSIFIER_FAST)):
        yield module.train, replace(settings, optimisation=replace(settings.optimisation, **short))


def glyphs_runs():
    """The two experiments with glyphs, with tiny settings; the first import of diffusers warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import diffusers  # noqa: F401
    from experiments.glyphs import config, train, train_classifier

    short = {"steps": 17, "batch": 8, "warm_up": 3}
    for module, settings in ((train, config.denoiser(fast=True)), (train_classifier, config.classifier(fast=True))):
        short_run = replace(settings.optimisation, **short)
        yield module.train, replace(settings, optimisation=short_run, validation=16)


def interrupted_after(steps):
    """A progress bar that is interrupted."""

    def progress(numbers):
        yield from itertools.islice(numbers, steps)
        raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize(
    ("which", "index"),
    [(runs, 0), (runs, 1), *(pytest.param(glyphs_runs, i, marks=pytest.mark.slow) for i in (0, 1))],
)
def test_resumed_equals_uninterrupted(tmp_path, which, index):
    train, settings = list(which())[index]
    whole = models.load(train(settings, tmp_path / "whole"))
    for steps in (3, 8, 6):  # before the first checkpoint; from scratch to 5; from 5 to 10
        with pytest.raises(KeyboardInterrupt):
            train(settings, tmp_path / "parts", interrupted_after(steps))
    parts = models.load(train(settings, tmp_path / "parts"))
    assert all(torch.equal(whole.state_dict()[name], value) for name, value in parts.state_dict().items())
    for entry in ("loss_curve", "scores", "settings"):
        assert parts.record[entry] == whole.record[entry]
    other = models.load(train(replace(settings, optimisation=replace(settings.optimisation, seed=5)), tmp_path / "x"))
    assert other.record["loss_curve"] != whole.record["loss_curve"]


def test_a_finished_run_is_not_repeated(tmp_path):
    train, settings = next(iter(runs()))
    train(settings, tmp_path)
    asked = []
    train(settings, tmp_path, lambda numbers: asked.extend(numbers) or numbers)
    assert asked == []


def test_other_settings_and_damage_are_refused(tmp_path):
    train, settings = next(iter(runs()))
    train(settings, tmp_path)
    with pytest.raises(ValueError, match=r"made with other settings; choose another --out"):
        train(replace(settings, drop_label=0.5), tmp_path)
    checkpoint = tmp_path / f"{settings.name}.checkpoint"
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"no readable checkpoint .*delete it"):
        train(settings, tmp_path)


def test_training_leaves_the_random_state_alone(tmp_path):
    train, settings = next(iter(runs()))
    before = torch.random.get_rng_state()
    train(settings, tmp_path)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_split_is_a_partition_of_all_scans():
    from sklearn.datasets import load_digits

    from experiments.digits.data import digits

    train, held_out = digits()
    x = torch.cat([train.x, held_out.x])
    assert len(x) == 1797
    assert sorted(map(tuple, ((x + 1) * 8).tolist())) == sorted(map(tuple, load_digits().data.tolist()))
    share = held_out.labels.bincount() / (held_out.labels.bincount() + train.labels.bincount())
    assert (share - 0.2).abs().max() < 1 / 174  # one scan of the smallest class
