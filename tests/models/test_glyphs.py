"""The shipped glyphs and their experiment: readable samples, an honest judge, scores with their uncertainty."""

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

import numdiff as nd
from numdiff import models

sys.path.insert(0, str(Path(__file__).parents[2]))  # the experiments are no part of the package

from experiments.glyphs import config, data, scores

pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")  # how diffusers hands tensors to NumPy
GROUPS = ("0Oo", "1Il", "Cc", "Kk", "Pp", "Ss", "Uu", "Vv", "Ww", "Xx", "Yy", "Zz", "5S", "2Z")
"""Glyphs of one outline at other sizes, or nearly so: these are the judge's mistakes."""


@pytest.fixture(scope="module")
def classifier():
    """The shipped classifier."""
    return models.glyphs_classifier()


@pytest.fixture(scope="module")
def glyphs():
    """The shipped denoiser."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations of diffusers' own dependencies, at its import only
        import diffusers  # noqa: F401
    return models.glyphs()


def sampled(model, guidance, labels, steps=12, seed=11):
    """Draw samples by DPM-Solver++ 3 on optimized steps."""
    noise = torch.randn(len(labels), *model.shape, generator=torch.Generator().manual_seed(seed))
    scheme = nd.optimize.timesteps(nd.DPMSolverPP(3), model.schedule, steps, final_zero=True).scheme()
    return nd.sample(scheme, model.conditioned(labels, guidance), noise, prediction=model.prediction)


@pytest.mark.slow
def test_samples_are_recognised(glyphs, classifier):
    labels = torch.arange(124) % 62
    agreement = (classifier.predict(sampled(glyphs, 2.0, labels)) == labels).double().mean()
    real = data.Glyphs(data.training_faces(), seed=12)(0, 500)
    on_real = (classifier.predict(real.x) == real.labels).double().mean()
    assert agreement > on_real - 0.15  # of 124 samples: four standard errors


@pytest.mark.slow
def test_unconditional_samples_show_many_classes(glyphs, classifier):
    found = classifier.predict(sampled(glyphs, 1.0, torch.full((124,), glyphs.null)))
    assert len(found.unique()) > 35  # 124 fair draws of 62 show 54 on average, give or take 2.4


@pytest.mark.slow
def test_a_sample_does_not_depend_on_its_batch(glyphs):
    labels = torch.arange(6)
    x = torch.randn(6, 1, 16, 16, generator=torch.Generator().manual_seed(3))
    together = glyphs.conditioned(labels, 2.0)(x, 300.0)
    alone = torch.cat([glyphs.conditioned(i, 2.0)(x[i : i + 1], 300.0) for i in range(6)])
    torch.testing.assert_close(alone, together, rtol=1e-4, atol=1e-4)  # float32, other blocking of the same sums


@pytest.mark.slow
def test_its_loss_is_that_of_its_record(glyphs):
    from numdiff.models import tasks

    settings = config.denoiser()
    held_out = data.Glyphs(data.HELD_OUT, seed=3, pose=settings.pose)(0, settings.validation)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.optimisation.seed)
        tasks.denoising_loss(glyphs, *data.Glyphs(data.training_faces(), seed=3)(0, settings.validation), 1e-3)
        loss = tasks.denoising_loss(glyphs, *held_out, 1e-3)
    assert glyphs.record["scores"][-1]["held_out_loss"] == pytest.approx(float(loss), abs=1e-4)


def test_sizes(classifier):
    assert sum(file.stat().st_size for file in models.WEIGHTS.glob("glyphs*")) < 10e6
    assert classifier.shape == (1, 16, 16)
    assert not classifier.training


@pytest.mark.slow
def test_the_judge_knows_faces_that_it_never_saw(classifier):
    """Mistakes are between glyphs that look the same at another size, which a pose may be."""
    x, labels = data.Glyphs(data.HELD_OUT[:1], seed=21)(0, 300)
    found = classifier.predict(x)
    assert (found == labels).double().mean() > 0.75
    alike = {frozenset((a, b)) for group in GROUPS for a in group for b in group}
    pairs = [frozenset(data.CLASSES[i] for i in pair) for pair in zip(found.tolist(), labels.tolist(), strict=True)]
    assert np.mean([len(pair) == 1 or pair in alike for pair in pairs]) > 0.9


@pytest.mark.slow
def test_the_judge_tells_real_images_from_noise(classifier):
    """The distance falls towards zero with the number of real images, and is far from it for other ones."""
    real = data.Glyphs(data.training_faces()[:2], seed=22)(0, 200).x
    noise = torch.randn(real.shape, generator=torch.Generator().manual_seed(0))
    blurred = torch.nn.functional.avg_pool2d(real, 3, stride=1, padding=1)
    near, far, middle = (classifier.frechet_distance(x) for x in (real, noise, blurred))
    assert near < middle < far


@pytest.mark.slow
def test_its_accuracy_is_that_of_its_record(classifier):
    settings = config.classifier()
    for name, faces in (("familiar", data.training_faces()), ("held_out", data.HELD_OUT)):
        x, labels = data.Glyphs(faces, seed=4, pose=settings.pose)(0, settings.validation)
        accuracy = float((classifier.predict(x) == labels).double().mean())
        assert classifier.record["scores"][-1][f"{name}_accuracy"] == pytest.approx(accuracy, abs=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("size", [16, 32])
def test_weights_stay_small(size, glyphs):
    with torch.device("meta"):
        network = models.UNetDenoiser(config.denoiser(size).model)
    assert network.shape == (1, size, size)
    assert 4 * sum(parameter.numel() for parameter in network.parameters()) < 40e6


def cell(n, seed, shift=0.0):
    """Features of a small judge, answers and errors."""
    random = np.random.default_rng(seed)
    return {
        "features": random.standard_normal((n, 3)) + shift,
        "agrees": random.random(n) < 0.8,
        "errors": random.random(n) ** 2 * (1 + shift),
    }


@pytest.fixture(scope="module")
def judge():
    """A classifier whose reference is the standard normal distribution of three features."""
    made = models.Classifier(models.classifier.ClassifierConfig(channels=2, width=3))
    made.covariance.copy_(torch.eye(3))
    return made


def test_standard_errors_are_those_of_theory(judge):
    given = cell(400, 0)
    found = scores.summary(scores.replicates(given, judge, 250), None)
    share = given["agrees"].mean()
    assert found["agreement"][0] == pytest.approx(share, rel=1e-4)
    # the bootstrap of a mean is sqrt(p (1 - p)/n); 250 resamplings know it to 1/sqrt(500)
    assert found["agreement"][1] == pytest.approx(np.sqrt(share * (1 - share) / 400), rel=5 / np.sqrt(500))
    assert found["error"][0] == pytest.approx(np.sqrt(given["errors"].mean()), rel=1e-4)


def test_a_sampler_is_as_good_as_itself_and_better_than_a_worse_one(judge):
    good, bad = (scores.replicates(cell(300, 1, shift), judge, 100) for shift in (0.0, 0.8))
    same = scores.summary(good, good)["against_baseline"]
    assert same["frechet"] == same["error"] == [0.0, 0.0]
    assert same["better"] == same["worse"] == []
    assert {"frechet", "error"} <= set(scores.summary(good, bad)["against_baseline"]["better"])
    assert {"frechet", "error"} <= set(scores.summary(bad, good)["against_baseline"]["worse"])


def test_paired_differences_are_known_better_than_single_scores(judge):
    first = cell(300, 2)
    second = first | {"errors": first["errors"] * 1.05}
    found = scores.summary(*(scores.replicates(c, judge, 100) for c in (second, first)))
    ratio, deviation = found["against_baseline"]["error"]
    assert ratio == pytest.approx(np.log(1.05) / 2, rel=1e-4)
    assert deviation < 1e-6 < found["error"][1]


@pytest.mark.slow
def test_a_run_goes_on_and_refuses_other_settings(tmp_path, glyphs, monkeypatch):
    from experiments.glyphs import run

    kept = {name: run.samplers()[name] for name in (run.BASELINE, "DPM++ 3M, optimized")}
    monkeypatch.setattr(run, "samplers", lambda: kept)
    settings = config.Evaluation(per_class=1, evaluations=((1.0, (4,)),), reference=20, resamplings=10)
    bench = run.Bench(models.WEIGHTS, 16, "cpu", settings, tmp_path)

    def stopped(work):
        yield work[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.evaluate(bench, stopped)
    left = {file: file.stat().st_mtime_ns for file in (tmp_path / "cells").iterdir()}
    assert len(left) == 2  # the reference, and one sampler
    record = run.result(bench, run.evaluate(bench))
    assert all(file.stat().st_mtime_ns == when for file, when in left.items())
    assert json.loads(json.dumps(record)) == record
    row = record["scores"]["1"]
    assert set(row) == set(kept)
    assert row["DPM++ 3M, optimized"]["4"]["error"][0] < row[run.BASELINE]["4"]["error"][0]
    with pytest.raises(ValueError, match="results of other settings, weights or another device; choose another --out"):
        run.Bench(models.WEIGHTS, 16, "cpu", config.Evaluation(seed=8), tmp_path)


@pytest.mark.slow
def test_the_table_given_to_diffusers_is_the_schedule(glyphs):
    import diffusers

    from experiments.glyphs.samplers import table

    scheduler = diffusers.DDIMScheduler(**table(glyphs.schedule))
    expected = np.array(glyphs.schedule.alphas_cumprod)
    np.testing.assert_allclose(scheduler.alphas_cumprod.numpy(), expected, rtol=1e-5)  # float32, a thousand products
