"""Train the classifier: ``python -m experiments.digits.train_classifier --out results/digits [--fast]``.

Cross-entropy with label smoothing on the training scans, each seen through a random small affine map and with noise
added. It shares no weights, seed or batches with the denoiser; it shares the training scans and the held-out ones.
Afterwards mean and covariance of its features on the (unchanged) training scans are stored with the weights.

Interrupt it when you like; the same command goes on. It ends with OUT/digits_classifier.safetensors and .json.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from experiments.digits import loop
from experiments.digits.config import CLASSIFIER, CLASSIFIER_FAST, ClassifierRun
from experiments.digits.data import Split, digits
from numdiff import models
from numdiff.models.classifier import DigitsClassifier


class Classifying:
    """The task: network and optimiser."""

    def __init__(self, settings: ClassifierRun) -> None:
        self.settings = settings
        self.train, self.held_out = digits()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.optimisation.seed)
            self.network = DigitsClassifier(settings.model)
        self.optimiser = loop.Optimiser(self.network, settings.optimisation)

    def step(self, k: int) -> float:
        """Make step k and return its loss."""
        chosen = torch.randint(len(self.train.x), (self.settings.optimisation.batch,))
        x = warped(self.train.x[chosen], self.settings.warp)
        logits = self.network.train()(x + self.settings.noise * torch.randn_like(x))
        labels, smoothing = self.train.labels[chosen], self.settings.label_smoothing
        return self.optimiser.step(functional.cross_entropy(logits, labels, label_smoothing=smoothing), k)

    def scores(self) -> dict[str, float]:
        """Return the accuracy on the training and the held-out scans."""
        parts = {"train_accuracy": self.train, "held_out_accuracy": self.held_out}
        return {name: round(accuracy(self.network, part), 5) for name, part in parts.items()}

    def state(self) -> dict[str, Any]:
        """Return everything that the next step depends on."""
        return {"network": self.network.state_dict(), "adam": self.optimiser.adam.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a state."""
        self.network.load_state_dict(state["network"])
        self.optimiser.adam.load_state_dict(state["adam"])


def warped(x: Tensor, strength: float) -> Tensor:
    """Return images of shape (n, 64) under random affine maps; what comes in from outside is paper."""
    turn, shear = 0.12 * strength * torch.randn(2, len(x))
    scales = (0.06 * strength * torch.randn(2, len(x))).exp()
    shift = 0.06 * strength * torch.randn(len(x), 2)  # grid units: 2 is the width of the image, 0.06 a quarter pixel
    rows = [scales[0] * turn.cos(), shear - turn.sin(), shift[:, 0], turn.sin(), scales[1] * turn.cos(), shift[:, 1]]
    grid = functional.affine_grid(torch.stack(rows, dim=-1).reshape(-1, 2, 3), [len(x), 1, 8, 8], align_corners=False)
    ink = functional.grid_sample(x.reshape(-1, 1, 8, 8) + 1, grid, align_corners=False)
    return ink.reshape(-1, 64) - 1


@torch.no_grad()
def accuracy(network: DigitsClassifier, data: Split) -> float:
    """Return the share of images given their class."""
    return float((network.eval().predict(data.x) == data.labels).double().mean())


def train(settings: ClassifierRun, folder: Path, progress: loop.Progress = iter) -> Path:
    """Train, or go on training, in `folder`; return the path of the weights."""
    task, optimisation = Classifying(settings), settings.optimisation
    checkpoint = folder / f"{settings.name}.checkpoint"
    log = loop.run(task, optimisation.steps, optimisation.seed, checkpoint, progress)
    task.network.eval().set_reference(task.train.x)
    record = log.record(task) | {"held_out_accuracy": log.scores[-1]["held_out_accuracy"]}
    weights, _ = models.save(task.network, folder / settings.name, record)
    return weights


if __name__ == "__main__":
    arguments = loop.arguments(__doc__)
    loop.from_the_door(lambda: print(train(CLASSIFIER_FAST if arguments.fast else CLASSIFIER, arguments.out, loop.bar)))
