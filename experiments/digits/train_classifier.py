"""Train the classifier: ``python -m experiments.digits.train_classifier --out results/digits [--fast]``.

Cross-entropy with label smoothing on the training scans, each seen through a random small affine map and with noise
added. It shares no weights, seed or batches with the denoiser; it shares the training scans and the held-out ones.
Afterwards mean and covariance of its features on the (unchanged) training scans are stored with the weights.

Interrupt it when you like; the same command goes on. It ends with OUT/digits_classifier.safetensors and .json.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from experiments.digits.config import CLASSIFIER, CLASSIFIER_FAST, ClassifierRun
from experiments.digits.data import DESCRIPTION, Split, digits
from numdiff import models
from numdiff.models import tasks, training
from numdiff.models.classifier import Classifier


def classifying(settings: ClassifierRun) -> tasks.Classifying:
    """Return the task: a new network, and scans drawn with replacement under random maps."""
    train, held_out = digits()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.optimisation.seed)
        network = Classifier(settings.model)

    def batch(k: int) -> Split:
        chosen = torch.randint(len(train.x), (settings.optimisation.batch,))
        return Split(warped(train.x[chosen], settings.warp), train.labels[chosen])

    examples = {"train_accuracy": train, "held_out_accuracy": held_out}
    return tasks.Classifying(settings, network, batch, examples, data=DESCRIPTION)


def warped(x: Tensor, strength: float) -> Tensor:
    """Return images of shape (n, 64) under random affine maps; what comes in from outside is paper."""
    turn, shear = 0.12 * strength * torch.randn(2, len(x))
    scales = (0.06 * strength * torch.randn(2, len(x))).exp()
    shift = 0.06 * strength * torch.randn(len(x), 2)  # grid units: 2 is the width of the image, 0.06 a quarter pixel
    rows = [scales[0] * turn.cos(), shear - turn.sin(), shift[:, 0], turn.sin(), scales[1] * turn.cos(), shift[:, 1]]
    grid = functional.affine_grid(torch.stack(rows, dim=-1).reshape(-1, 2, 3), [len(x), 1, 8, 8], align_corners=False)
    ink = functional.grid_sample(x.reshape(-1, 1, 8, 8) + 1, grid, align_corners=False)
    return ink.reshape(-1, 64) - 1


def train(settings: ClassifierRun, folder: Path, progress: training.Progress = iter) -> Path:
    """Train, or go on training, in `folder`; return the path of the weights."""
    task, optimisation = classifying(settings), settings.optimisation
    checkpoint = folder / f"{settings.name}.checkpoint"
    log = training.run(task, optimisation.steps, optimisation.seed, checkpoint, progress)
    task.network.eval().set_reference(task.examples["train_accuracy"][0])
    record = log.record(task) | {"held_out_accuracy": log.scores[-1]["held_out_accuracy"]}
    weights, _ = models.save(task.network, folder / settings.name, record)
    return weights


if __name__ == "__main__":
    given = training.arguments(__doc__, "results/digits")
    run = CLASSIFIER_FAST if given.fast else CLASSIFIER
    training.from_the_door(lambda: print(train(run, given.out, training.bar)))
