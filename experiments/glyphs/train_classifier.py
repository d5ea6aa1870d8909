"""Train the classifier: ``python -m experiments.glyphs.train_classifier [--size 32 --device cuda] [--out DIR]``.

Cross-entropy with label smoothing on images of the training faces with noise added, none seen twice. It shares no
weights, seed or image with the denoiser; it shares the faces, learnt and held out. Afterwards mean and covariance of
its features on images without noise are stored with the weights.

Interrupt it when you like; the same command goes on. It ends with OUT/glyphs_classifier.safetensors and .json (for
other sizes, OUT/glyphs32_classifier.*).
"""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

import torch

from experiments.glyphs import config
from experiments.glyphs.data import DESCRIPTION, HELD_OUT, Glyphs, Split, training_faces
from numdiff import models
from numdiff.models import tasks, training
from numdiff.models.classifier import Classifier

TRAINING, VALIDATION, REFERENCE = 1, 4, 5
"""Seeds of the images that are learnt, of those by which learning is judged, and of those that define the distance."""


def options(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--size", type=int, default=16, help="pixels a side (16)")
    parser.add_argument("--device", default="cpu", help="where to train (cpu)")


def classifying(settings: config.ClassifierRun, device: str = "cpu") -> tasks.Classifying:
    """Return the task: a new network, and images without end."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.optimisation.seed)
        network = Classifier(settings.model).to(device)
    count, common = settings.optimisation.batch, {"size": settings.model.image_shape[0], "pose": settings.pose}
    source = Glyphs(training_faces(), seed=TRAINING, device=device, **common)

    def batch(k: int) -> Split:
        return source(k * count, count)

    examples = {
        f"{name}_accuracy": Glyphs(faces, seed=VALIDATION, device=device, **common)(0, settings.validation)
        for name, faces in (("familiar", training_faces()), ("held_out", HELD_OUT))
    }
    return tasks.Classifying(settings, network, batch, examples, data=DESCRIPTION)


def train(
    settings: config.ClassifierRun, folder: Path, progress: training.Progress = iter, device: str = "cpu"
) -> Path:
    """Train, or go on training, in `folder`; return the path of the weights."""
    task, optimisation = classifying(settings, device), settings.optimisation
    checkpoint = folder / f"{settings.name}.checkpoint"
    log = training.run(task, optimisation.steps, optimisation.seed, checkpoint, progress)
    size = settings.model.image_shape[0]
    images = Glyphs(training_faces(), size=size, seed=REFERENCE, pose=settings.pose, device=device)
    parts = [images(start, 1000).x for start in range(0, settings.reference, 1000)]
    task.network.eval().set_reference(torch.cat(parts)[: settings.reference])
    record = log.record(task) | {"held_out_accuracy": log.scores[-1]["held_out_accuracy"]}
    weights, _ = models.save(task.network, folder / settings.name, record)
    return weights


if __name__ == "__main__":
    given = training.arguments(__doc__, "results/glyphs", options)
    run = config.classifier(given.size, fast=given.fast)
    training.from_the_door(lambda: print(train(run, given.out, training.bar, given.device)))
