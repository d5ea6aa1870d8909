"""What the loop of ``training`` trains: a denoiser with averaged weights, and a classifier.

The experiments say which network, settings and images; random numbers are drawn on the CPU and moved, so that they are
the same on every device.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from numdiff import parameterizations
from numdiff.level import Level
from numdiff.models.conditioning import ClassConditional
from numdiff.models.training import Optimiser

Batch = Callable[[int], tuple[Tensor, Tensor]]
"""The images and classes of step k; it may draw from torch's global generator."""


class Denoising:
    """Training of a denoiser, whose exponentially averaged weights are kept.

    Parameters
    ----------
    settings
        With ``optimisation``, ``drop_label`` (probability of the null class) and ``ema`` (decay of the averaged
        weights, approached as (1 + k)/(10 + k)).
    network
        The denoiser, on its device.
    batch
        Gives the images and classes of a step.
    examples
        Images and classes by the name of their loss among the scores.
    data
        The images in words.
    first
        The least time of the loss, in the schedule's time.
    """

    def __init__(
        self,
        settings: Any,
        network: ClassConditional,
        batch: Batch,
        examples: dict[str, tuple[Tensor, Tensor]],
        *,
        data: str,
        first: float = 0.0,
    ) -> None:
        self.settings, self.network, self.batch, self.examples = settings, network, batch, examples
        self.data, self.first, self.device = data, first, network.device
        self.average = copy.deepcopy(network).eval().requires_grad_(False)
        self.optimiser = Optimiser(network, settings.optimisation)

    def step(self, k: int) -> float:
        """Make step k and return its loss."""
        x, labels = self.batch(k)
        dropped = torch.rand(len(x)) < self.settings.drop_label
        labels = labels.masked_fill(dropped.to(labels.device), self.network.null)
        value = self.optimiser.step(denoising_loss(self.network, x, labels, self.first), k)
        decay = min(self.settings.ema, (1 + k) / (10 + k))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.network.parameters()), 1 - decay)
        return value

    @torch.no_grad()
    def scores(self) -> dict[str, float]:
        """Return the averaged network's loss on the examples, always with the same noise."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.settings.optimisation.seed)
            losses = {
                name: denoising_loss(self.average, *example, self.first) for name, example in self.examples.items()
            }
        return {name: round(float(loss), 5) for name, loss in losses.items()}

    def state(self) -> dict[str, Any]:
        """Return everything that the next step depends on."""
        parts: dict[str, Any] = {"network": self.network, "average": self.average, "adam": self.optimiser.adam}
        return {name: part.state_dict() for name, part in parts.items()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a state."""
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.adam.load_state_dict(state["adam"])


def denoising_loss(network: ClassConditional, x: Tensor, labels: Tensor, first: float = 0.0) -> Tensor:
    """Return the mean square error of the prediction, with fresh noise and stratified uniform times in [first, T].

    One time lies in each of n equal parts of the interval, which lowers the variance of the gradient.
    """
    n, schedule = len(x), network.schedule
    t = first + (schedule.T - first) * (torch.randperm(n) + torch.rand(n, dtype=torch.float64)) / n
    eps = torch.randn(x.shape).to(x)
    alpha, sigma = (
        level.float().reshape(n, *[1] * (x.ndim - 1)).to(x.device) for level in (schedule.alpha(t), schedule.sigma(t))
    )
    a, b = parameterizations.get(network.prediction).components(Level(t, alpha, sigma, t))
    predicted = network(alpha * x + sigma * eps, schedule.model_time(t).to(x.device), labels)
    return functional.mse_loss(predicted, a * x + b * eps)


class Classifying:
    """Training of a classifier by cross-entropy.

    Parameters
    ----------
    settings
        With ``optimisation``, ``label_smoothing`` (share of the label spread over all classes) and ``noise`` (standard
        deviation of the noise added to the grey values).
    network
        The classifier, on its device.
    batch
        Gives the images and classes of a step.
    examples
        Images and classes by the name of their accuracy among the scores.
    data
        The images in words.
    """

    def __init__(
        self, settings: Any, network: nn.Module, batch: Batch, examples: dict[str, tuple[Tensor, Tensor]], *, data: str
    ) -> None:
        self.settings, self.network, self.batch, self.examples = settings, network, batch, examples
        self.data, self.device = data, next(network.parameters()).device
        self.optimiser = Optimiser(network, settings.optimisation)

    def step(self, k: int) -> float:
        """Make step k and return its loss."""
        x, labels = self.batch(k)
        logits = self.network.train()(x + self.settings.noise * torch.randn(x.shape).to(x))
        loss = functional.cross_entropy(logits, labels, label_smoothing=self.settings.label_smoothing)
        return self.optimiser.step(loss, k)

    def scores(self) -> dict[str, float]:
        """Return the accuracy on the examples."""
        return {name: round(accuracy(self.network, *example), 5) for name, example in self.examples.items()}

    def state(self) -> dict[str, Any]:
        """Return everything that the next step depends on."""
        return {"network": self.network.state_dict(), "adam": self.optimiser.adam.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a state."""
        self.network.load_state_dict(state["network"])
        self.optimiser.adam.load_state_dict(state["adam"])


@torch.no_grad()
def accuracy(network: nn.Module, x: Tensor, labels: Tensor) -> float:
    """Return the share of images that the network gives their class."""
    return float((network.eval()(x).argmax(dim=-1) == labels).double().mean())
