"""Train the denoiser: ``python -m experiments.glyphs.train [--size 32 --device cuda] [--out results/glyphs] [--fast]``.

For an image x_0 of class y (replaced by the null class with probability 0.1), a uniform time t between the first and
the last entry of the table and noise eps, the loss is the mean square of m(x_t, t, y) - (alpha eps - sigma x_0). No
image is seen twice: step k takes the next ones of an endless sequence. Kept are the exponentially averaged weights.

Interrupt it when you like; the same command goes on. It ends with OUT/glyphs.safetensors and OUT/glyphs.json (for
other sizes, OUT/glyphs32.*).
"""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

import torch

from experiments.glyphs import config
from experiments.glyphs.data import DESCRIPTION, HELD_OUT, Glyphs, Split, training_faces
from numdiff import models
from numdiff.models import tasks, training
from numdiff.models.unet import UNetDenoiser

TRAINING, VALIDATION = 0, 3
"""Seeds of the images that are learnt, and of those of the same faces by which learning is judged."""


def options(parser: ArgumentParser) -> None:
    """Add the options that both trainings have."""
    parser.add_argument("--size", type=int, default=16, help="pixels a side (16); 32 is meant for a GPU")
    parser.add_argument("--device", default="cpu", help="where to train (cpu)")


def denoising(settings: config.DenoiserRun, device: str = "cpu") -> tasks.Denoising:
    """Return the task: a new network, and images without end."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.optimisation.seed)
        network = UNetDenoiser(settings.model).to(device)
    count, common = settings.optimisation.batch, {"size": settings.model.image_shape[0], "pose": settings.pose}
    source = Glyphs(training_faces(), seed=TRAINING, device=device, **common)

    def batch(k: int) -> Split:
        return source(k * count, count)

    examples = {
        f"{name}_loss": Glyphs(faces, seed=VALIDATION, device=device, **common)(0, settings.validation)
        for name, faces in (("familiar", training_faces()), ("held_out", HELD_OUT))
    }
    first = network.schedule.t_end
    return tasks.Denoising(settings, network, batch, examples, data=DESCRIPTION, first=first)


def train(settings: config.DenoiserRun, folder: Path, progress: training.Progress = iter, device: str = "cpu") -> Path:
    """Train, or go on training, in `folder`; return the path of the weights."""
    task, optimisation = denoising(settings, device), settings.optimisation
    checkpoint = folder / f"{settings.name}.checkpoint"
    log = training.run(task, optimisation.steps, optimisation.seed, checkpoint, progress)
    weights, _ = models.save(task.average, folder / settings.name, log.record(task))
    return weights


if __name__ == "__main__":
    given = training.arguments(__doc__, "results/glyphs", options)
    run = config.denoiser(given.size, fast=given.fast)
    training.from_the_door(lambda: print(train(run, given.out, training.bar, given.device)))
