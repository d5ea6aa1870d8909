r"""A small convolutional classifier of grey images: the judge of generated samples.

A 3x3 convolution, then `halvings` times two of them, the first of which halves the resolution and the second doubles
the channels; then one linear layer to `width` features phi(x) and one to the classes. It answers two questions about
samples: does it agree with the requested class, and how far is the distribution of the features from that of the
training images,

    d^2 = |m - m_ref|^2 + tr(C + C_ref - 2 (C^(1/2) C_ref C^(1/2))^(1/2)),

the Frechet distance of `metrics`, with this network in place of Inception (Heusel et al. 2017, arXiv:1706.08500). The
mean m_ref and the covariance C_ref are buffers and travel with the weights. Grey values beyond [-1, 1] are clipped
first, as showing the image would.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from numdiff.models import metrics


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig:
    """What a `Classifier` is made of; the JSON beside its weights holds these fields, or those that are not default.

    Parameters
    ----------
    channels, halvings
        Channels of the first convolution; how often the resolution is halved.
    width, classes, dropout
        Number of features and of classes; probability of dropping an input of the features in training.
    image_shape, flat
        Height and width; whether images are rows of height * width numbers or have shape (1, height, width).
    """

    channels: int = 32
    width: int = 64
    classes: int = 10
    dropout: float = 0.2
    image_shape: Sequence[int] = (8, 8)
    flat: bool = True
    halvings: int = 1

    def __post_init__(self) -> None:
        """Make a list, which is what JSON has, the tuple that it stands for."""
        object.__setattr__(self, "image_shape", tuple(self.image_shape))


class Classifier(nn.Module):
    """A classifier of grey images with values in [-1, 1].

    Parameters
    ----------
    config
        What the network is made of.

    Attributes
    ----------
    shape : tuple of int
        Shape of one image, (height * width,) or (1, height, width).
    record : dict
        What the JSON beside the weights says about their training; empty for a new network.

    Examples
    --------
    >>> import torch
    >>> import numdiff as nd
    >>> judge = nd.models.digits_classifier()
    >>> images = torch.zeros(3, 64)
    >>> tuple(judge(images).shape), tuple(judge.features(images).shape), judge.predict(images).dtype
    ((3, 10), (3, 64), torch.int64)
    """

    architecture = "conv-digits-classifier"  # the name that the first files have; they hold any size
    Config = ClassifierConfig
    mean: Tensor
    covariance: Tensor

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        self.config = config
        self.record: dict[str, Any] = {}
        pixels = math.prod(config.image_shape)
        self.shape = (pixels,) if config.flat else (1, *config.image_shape)
        self.convolutions = _convolutions(config.channels, config.halvings)
        inputs = config.channels * 2**config.halvings * pixels // 4**config.halvings
        self.penultimate = nn.Sequential(
            nn.Flatten(), nn.Dropout(config.dropout), nn.Linear(inputs, config.width), nn.SiLU()
        )
        self.head = nn.Linear(config.width, config.classes)
        self.register_buffer("mean", torch.zeros(config.width, dtype=torch.float64))
        self.register_buffer("covariance", torch.zeros(config.width, config.width, dtype=torch.float64))

    def features(self, x: Tensor) -> Tensor:
        """Return the penultimate layer, shape (n, width), of images of shape ``(n, *shape)``."""
        if tuple(x.shape[1:]) != self.shape:
            wanted = ", ".join(map(str, self.shape))
            row = ", one flattened image a row" if self.config.flat else ""
            raise ValueError(f"x must have shape (n, {wanted}){row}, not {tuple(x.shape)}")
        x = x.to(self.head.weight).clamp(-1, 1)
        return self.penultimate(self.convolutions(x.reshape(-1, 1, *self.config.image_shape)))

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits, shape (n, classes), of images of shape ``(n, *shape)``."""
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
        """Return the Frechet distance (the squared one, as in "FID") from the features of `x` to the training images'.

        It's biased upwards for few samples: compare only distances of equally many.
        """
        reference = (self.mean.cpu().double().numpy(), self.covariance.cpu().double().numpy())
        return metrics.frechet_distance(*metrics.feature_statistics(self._numpy_features(x)), *reference)

    @torch.no_grad()
    def _numpy_features(self, x: Tensor) -> np.ndarray:
        parts = [self.features(part) for part in x.split(4096)]  # the first convolution of all at once takes gigabytes
        return torch.cat(parts).cpu().double().numpy()


def _convolutions(channels: int, halvings: int) -> nn.Sequential:
    layers = [nn.Conv2d(1, channels, 3, padding=1), nn.SiLU()]
    for c in (channels * 2**i for i in range(halvings)):
        layers += [nn.Conv2d(c, c, 3, padding=1, stride=2), nn.SiLU(), nn.Conv2d(c, 2 * c, 3, padding=1), nn.SiLU()]
    return nn.Sequential(*layers)


DigitsClassifier = Classifier
"""The name that it had when digits were all it knew."""
