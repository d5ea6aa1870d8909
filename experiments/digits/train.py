"""Train the denoiser: ``python -m experiments.digits.train --out results/digits [--fast]``.

For an image x_0 of class y (replaced by the null class with probability 0.1), a uniform time t and noise eps, the loss
is the mean square of m(x_t, t, y) - (alpha eps - sigma x_0). The times of a batch are stratified, one in each of its
equal parts, which lowers the variance of the gradient. Kept are the exponentially averaged weights.

Interrupt it when you like; the same command goes on. It ends with OUT/digits.safetensors and OUT/digits.json.
"""

from __future__ import annotations

from pathlib import Path

import torch

from experiments.digits.config import DENOISER, DENOISER_FAST, DenoiserRun
from experiments.digits.data import DESCRIPTION, GREY_STEP, Split, digits
from numdiff import models
from numdiff.models import tasks, training
from numdiff.models.denoiser import Denoiser


def denoising(settings: DenoiserRun) -> tasks.Denoising:
    """Return the task: a new network, and scans drawn with replacement."""
    train, held_out = digits()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.optimisation.seed)
        network = Denoiser(settings.model)
    network.fit_linear(train.x, GREY_STEP)

    def batch(k: int) -> Split:
        chosen = torch.randint(len(train.x), (settings.optimisation.batch,))
        return Split(train.x[chosen], train.labels[chosen])

    examples = {"train_loss": train, "held_out_loss": held_out}
    return tasks.Denoising(settings, network, batch, examples, data=DESCRIPTION)


def train(settings: DenoiserRun, folder: Path, progress: training.Progress = iter) -> Path:
    """Train, or go on training, in `folder`; return the path of the weights."""
    task, optimisation = denoising(settings), settings.optimisation
    checkpoint = folder / f"{settings.name}.checkpoint"
    log = training.run(task, optimisation.steps, optimisation.seed, checkpoint, progress)
    weights, _ = models.save(task.average, folder / settings.name, log.record(task))
    return weights


if __name__ == "__main__":
    given = training.arguments(__doc__, "results/digits")
    run = DENOISER_FAST if given.fast else DENOISER
    training.from_the_door(lambda: print(train(run, given.out, training.bar)))
