"""Train the denoiser: ``python -m experiments.digits.train --out results/digits [--fast]``.

For an image x_0 of class y (replaced by the null class with probability 0.1), a uniform time t and noise eps, the loss
is the mean square of m(x_t, t, y) - (alpha eps - sigma x_0). The times of a batch are stratified, one in each of its
equal parts, which lowers the variance of the gradient. Kept are the exponentially averaged weights.

Interrupt it when you like; the same command goes on. It ends with OUT/digits.safetensors and OUT/digits.json.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from experiments.digits import loop
from experiments.digits.config import DENOISER, DENOISER_FAST, DenoiserRun
from experiments.digits.data import GREY_STEP, Split, digits
from numdiff import models, parameterizations
from numdiff.level import Level
from numdiff.models.denoiser import Denoiser


class Denoising:
    """The task: network, averaged network, optimiser."""

    def __init__(self, settings: DenoiserRun) -> None:
        self.settings = settings
        self.train, self.held_out = digits()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.optimisation.seed)
            self.network = Denoiser(settings.model)
        self.network.fit_linear(self.train.x, GREY_STEP)
        self.average = copy.deepcopy(self.network).eval().requires_grad_(False)
        self.optimiser = loop.Optimiser(self.network, settings.optimisation)

    def step(self, k: int) -> float:
        """Make step k and return its loss."""
        batch = self.settings.optimisation.batch
        chosen = torch.randint(len(self.train.x), (batch,))
        dropped = torch.rand(batch) < self.settings.drop_label
        labels = self.train.labels[chosen].masked_fill(dropped, self.network.null)
        loss = denoising_loss(self.network, Split(self.train.x[chosen], labels))
        value = self.optimiser.step(loss, k)
        decay = min(self.settings.ema, (1 + k) / (10 + k))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.network.parameters()), 1 - decay)
        return value

    @torch.no_grad()
    def scores(self) -> dict[str, float]:
        """Return the averaged network's loss on the training and the held-out scans, always with the same noise."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.settings.optimisation.seed)
            parts = {"train_loss": self.train, "held_out_loss": self.held_out}
            return {name: round(float(denoising_loss(self.average, part)), 5) for name, part in parts.items()}

    def state(self) -> dict[str, Any]:
        """Return everything that the next step depends on."""
        parts: dict[str, Any] = {"network": self.network, "average": self.average, "adam": self.optimiser.adam}
        return {name: part.state_dict() for name, part in parts.items()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a state."""
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.adam.load_state_dict(state["adam"])


def denoising_loss(network: Denoiser, data: Split) -> Tensor:
    """Return the mean square error of the prediction on `data`, with stratified uniform times and fresh noise."""
    n, schedule = len(data.x), network.schedule
    t = schedule.T * (torch.randperm(n) + torch.rand(n, dtype=torch.float64)) / n
    alpha, sigma = schedule.alpha(t).float()[:, None], schedule.sigma(t).float()[:, None]
    eps = torch.randn_like(data.x)
    a, b = parameterizations.get(network.prediction).components(Level(t, alpha, sigma, t))
    predicted = network(alpha * data.x + sigma * eps, schedule.model_time(t), data.labels)
    return functional.mse_loss(predicted, a * data.x + b * eps)


def train(settings: DenoiserRun, folder: Path, progress: loop.Progress = iter) -> Path:
    """Train, or go on training, in `folder`; return the path of the weights."""
    task, optimisation = Denoising(settings), settings.optimisation
    checkpoint = folder / f"{settings.name}.checkpoint"
    log = loop.run(task, optimisation.steps, optimisation.seed, checkpoint, progress)
    weights, _ = models.save(task.average, folder / settings.name, log.record(task))
    return weights


if __name__ == "__main__":
    arguments = loop.arguments(__doc__)
    loop.from_the_door(lambda: print(train(DENOISER_FAST if arguments.fast else DENOISER, arguments.out, loop.bar)))
