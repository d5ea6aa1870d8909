r"""A small convolutional classifier of 8x8 digits: the judge of generated samples.

Three 3x3 convolutions (the second halves the resolution), then one linear layer to `width` features phi(x) and one to
the classes. It answers two questions about samples: does it agree with the requested class, and how far is the
distribution of the features from that of the training scans,

    d^2 = |m - m_ref|^2 + tr(C + C_ref - 2 (C^(1/2) C_ref C^(1/2))^(1/2)),

the Frechet distance of `metrics`, with this network in place of Inception (Heusel et al. 2017, arXiv:1706.08500). The
mean m_ref and the covariance C_ref are buffers and travel with the weights. Grey values beyond [-1, 1] are clipped
first, as showing the image would.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from numdiff.models import metrics

_SIDE = 8


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig:
    """What a `DigitsClassifier` is made of: channels of the convolutions, number of features and classes, dropout."""

    channels: int = 32
    width: int = 64
    classes: int = 10
    dropout: float = 0.2


class DigitsClassifier(nn.Module):
    """A classifier of flattened 8x8 images with grey values in [-1, 1].

    Parameters
    ----------
    config
        What the network is made of.

    Attributes
    ----------
    shape : tuple of int
        Shape of one image, (64,).
    record : dict
        What the JSON beside the weights says about their training; empty for a new network.
    """

    architecture = "conv-digits-classifier"
    Config = ClassifierConfig
    shape = (_SIDE * _SIDE,)
    mean: Tensor
    covariance: Tensor

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        self.config = config
        self.record: dict[str, Any] = {}
        c, pixels = config.channels, (_SIDE // 2) ** 2
        self.convolutions = nn.Sequential(
            *(nn.Conv2d(1, c, 3, padding=1), nn.SiLU()),
            *(nn.Conv2d(c, c, 3, padding=1, stride=2), nn.SiLU()),
            *(nn.Conv2d(c, 2 * c, 3, padding=1), nn.SiLU()),
        )
        self.penultimate = nn.Sequential(
            nn.Flatten(), nn.Dropout(config.dropout), nn.Linear(2 * c * pixels, config.width), nn.SiLU()
        )
        self.head = nn.Linear(config.width, config.classes)
        self.register_buffer("mean", torch.zeros(config.width, dtype=torch.float64))
        self.register_buffer("covariance", torch.zeros(config.width, config.width, dtype=torch.float64))

    def features(self, x: Tensor) -> Tensor:
        """Return the penultimate layer, shape (n, width), of images of shape (n, 64)."""
        if x.ndim != 2 or x.shape[1:] != self.shape:
            raise ValueError(f"x must have shape (n, {self.shape[0]}), one flattened image a row, not {tuple(x.shape)}")
        x = x.to(self.head.weight).clamp(-1, 1)
        return self.penultimate(self.convolutions(x.reshape(-1, 1, _SIDE, _SIDE)))

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits, shape (n, classes), of images of shape (n, 64)."""
        return self.head(self.features(x))

    def predict(self, x: Tensor) -> Tensor:
        """Return the most probable class of every image, integers of shape (n,)."""
        return self(x).argmax(dim=-1)

    @torch.no_grad()
    def set_reference(self, x: Tensor) -> None:
        """Store the mean and covariance of the features of `x`, what `frechet_distance` compares with."""
        mean, covariance = metrics.feature_statistics(self._numpy_features(x))
        self.mean.copy_(torch.from_numpy(mean))
        self.covariance.copy_(torch.from_numpy(covariance))

    def frechet_distance(self, x: Tensor) -> float:
        """Return the Frechet distance (the squared one, as in "FID") from the features of `x` to the training scans'.

        It's biased upwards for few samples: compare only distances of equally many.
        """
        reference = (self.mean.cpu().double().numpy(), self.covariance.cpu().double().numpy())
        return metrics.frechet_distance(*metrics.feature_statistics(self._numpy_features(x)), *reference)

    @torch.no_grad()
    def _numpy_features(self, x: Tensor) -> np.ndarray:
        return self.features(x).cpu().double().numpy()
