r"""A class-conditional denoiser for small images: a residual MLP with adaptive layer norm.

At time t the sample is x = alpha x_0 + sigma eps with alpha^2 + sigma^2 = 1. The model estimates the v-prediction
alpha eps - sigma x_0 for class y; index `classes` is the null class, seen whenever training drops the label.

The network F corrects the best linear denoiser. Let m be the mean of the training images and V diag(s^2) V^T their
covariance. For Gaussian data the posterior of x_0 given x has, in the coordinates z = V^T (x - alpha m), the mean
V^T m + alpha s^2 z/n^2 and the standard deviations s sigma/n, where n^2 = alpha^2 s^2 + sigma^2 is the variance of z.
The model takes x_0 to be that mean minus (s sigma/n) F(z/n, phi, y), so that v = (alpha x - x_0)/sigma is

    v = -sigma m + V [alpha sigma (1 - s^2) z/n^2 + (s/n) F(z/n, phi, y)].

Inputs and targets of F have unit variance in every direction at every noise level, as in Karras et al. (2022,
arXiv:2206.00364, section 5) with one sigma_data per principal direction. It matters where the data hardly vary (corners
that are always paper): a plain network leaves noise there, because it would need a slope of 1/sigma. s^2 contains
the variance of rounding to the grey levels, so that n > 0 even at sigma = 0.

Time enters as the noise angle phi = atan2(sigma, alpha) in [0, pi/2], embedded as (phi, sin k phi, cos k phi), k <= K.
On a variance-preserving schedule v = dx/dphi, and phi ~ sigma near the data end: a network smooth in phi is smooth in
sigma there, where t itself would hide a square root. With c = silu(time(phi) + label(y)), each of the L blocks is

    h <- h + g(c) * W2 silu(W1 [(1 + s(c)) * norm(h) + b(c)])

where norm is a layer norm without parameters and (s, b, g) one linear map of c (adaLN-zero: Peebles and Xie 2023,
arXiv:2212.09748, section 3.2), starting at zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from numdiff import schedules
from numdiff.models.conditioning import ClassConditional, only_v, variance_preserving


class _Modulation(nn.Module):
    """`parts` vectors per row of the conditioning c, zero at the start of training."""

    def __init__(self, width: int, parts: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, parts * width)
        self.parts = parts
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, condition: Tensor, index: Tensor) -> tuple[Tensor, ...]:
        return self.linear(condition)[index].chunk(self.parts, dim=-1)


def _norm(h: Tensor) -> Tensor:
    return functional.layer_norm(h, h.shape[-1:])


class _Block(nn.Module):
    def __init__(self, width: int, expansion: int, dropout: float) -> None:
        super().__init__()
        self.modulation = _Modulation(width, 3)
        self.up = nn.Linear(width, expansion * width)
        self.dropout = nn.Dropout(dropout)
        self.down = nn.Linear(expansion * width, width)

    def forward(self, h: Tensor, condition: Tensor, index: Tensor) -> Tensor:
        scale, shift, gate = self.modulation(condition, index)
        inner = functional.silu(self.up(torch.addcmul(shift, _norm(h), 1 + scale)))
        return torch.addcmul(h, gate, self.down(self.dropout(inner)))


@dataclass(frozen=True, kw_only=True)
class DenoiserConfig:
    """What a `Denoiser` is made of; the JSON beside its weights holds these fields.

    Parameters
    ----------
    schedule
        Name and options of a schedule, as `numdiff.schedules.get` takes them; the times given to the network are the
        schedule's model times.
    prediction
        What the model predicts, by the names of `numdiff.parameterizations`: "v", the only one there is.
    image_shape
        Height and width; a sample is the image's rows one after the other.
    classes
        Number of classes; label `classes` is the null class.
    width, blocks, expansion, frequencies
        Width of the residual stream, number L of blocks, width of a block's inner layer in units of `width`, number K
        of frequencies of the time embedding.
    dropout
        Probability of dropping an inner unit in training.
    """

    schedule: dict[str, Any]
    prediction: str = "v"
    image_shape: Sequence[int] = (8, 8)
    classes: int = 10
    width: int = 256
    blocks: int = 3
    expansion: int = 2
    frequencies: int = 16
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Make a list, which is what JSON has, the tuple that it stands for."""
        object.__setattr__(self, "image_shape", tuple(self.image_shape))


class Denoiser(ClassConditional):
    """A class-conditional denoiser of flattened images.

    Parameters
    ----------
    config
        What the network is made of.

    Attributes
    ----------
    schedule : Schedule
        The schedule it was trained on.
    prediction : str
        What it predicts.
    shape : tuple of int
        Shape of one sample, (height * width,).
    null : int
        The null class.
    mean, basis, scale : Tensor
        m, V and s of the linear denoiser.
    record : dict
        What the JSON beside the weights says about their training; empty for a new network.

    Examples
    --------
    >>> import torch
    >>> import numdiff as nd
    >>> from numdiff.models.denoiser import DenoiserConfig
    >>> model = nd.models.Denoiser(DenoiserConfig(schedule={"name": "vp-linear"}, width=16, blocks=1))
    >>> x = torch.ones(2, 64)
    >>> tuple(model(x, 0.3, torch.tensor([0, model.null])).shape), model.record
    ((2, 64), {})
    """

    architecture = "adaln-mlp-denoiser"
    Config = DenoiserConfig
    mean: Tensor
    basis: Tensor
    scale: Tensor

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        self.config = config
        self.record: dict[str, Any] = {}
        self.schedule = variance_preserving(schedules.get(**config.schedule))
        self.prediction = only_v(config.prediction)
        self.shape = (math.prod(config.image_shape),)
        self.null = config.classes
        width = config.width
        self.time = nn.Sequential(nn.Linear(2 * config.frequencies + 1, width), nn.SiLU(), nn.Linear(width, width))
        self.label = nn.Embedding(config.classes + 1, width)
        nn.init.normal_(self.label.weight, std=0.02)
        self.inward = nn.Linear(self.shape[0], width)
        self.blocks = nn.ModuleList(_Block(width, config.expansion, config.dropout) for _ in range(config.blocks))
        self.modulation = _Modulation(width, 2)
        self.outward = nn.Linear(width, self.shape[0])
        nn.init.zeros_(self.outward.weight)
        nn.init.zeros_(self.outward.bias)
        self.register_buffer("mean", torch.zeros(self.shape))
        self.register_buffer("basis", torch.eye(self.shape[0]))
        self.register_buffer("scale", torch.ones(self.shape))

    def fit_linear(self, x: Tensor, grey_step: float) -> None:
        """Set m, V and s of the linear denoiser from training images.

        Parameters
        ----------
        x
            Images, shape (n, height * width).
        grey_step
            Distance of neighbouring grey levels; its rounding, a variance of grey_step^2/12, is added to s^2.
        """
        centred = x.double() - x.double().mean(dim=0)
        variance, basis = torch.linalg.eigh(centred.T @ centred / len(x))
        self.mean.copy_(x.double().mean(dim=0))
        self.basis.copy_(basis)
        self.scale.copy_((variance.clamp(min=0) + grey_step**2 / 12).sqrt())

    def angle(self, t: float | Tensor) -> Tensor:
        """Return phi = atan2(sigma, alpha) at model time `t`, in the dtype and on the device of the parameters.

        It's computed in the precision of `t` (float64 for a float): in float32 sigma loses digits near t = 0.
        """
        time = self.schedule.from_model_time(t)
        alpha, sigma = self.schedule.alpha(time), self.schedule.sigma(time)
        if isinstance(time, Tensor):
            return torch.atan2(sigma, alpha).to(self.inward.weight)
        return torch.tensor(math.atan2(sigma, alpha), dtype=self.dtype, device=self.inward.weight.device)

    def forward(self, x: Tensor, t: float | Tensor, labels: Tensor) -> Tensor:
        """Return the prediction for `x` at model time `t` and class `labels`.

        Parameters
        ----------
        x
            Samples, shape (n, height * width), in the dtype of the parameters.
        t
            Model time, one number for all samples or one for each, shape (n,).
        labels
            Classes, integers of shape (n,); `null` is the null class.

        Returns
        -------
        Tensor
            Shape (n, height * width).
        """
        self._check(x)
        phi = self.angle(t)
        if phi.ndim:
            condition, index = self._condition(phi, labels), torch.arange(len(x), device=x.device)
        else:  # one time: the modulations are those of the few classes, looked up by label
            every = torch.arange(self.null + 1, device=x.device)
            condition, index = self._condition(phi.expand(self.null + 1), every), labels
        alpha, sigma = phi.cos()[..., None], phi.sin()[..., None]
        z = (x - alpha * self.mean) @ self.basis
        norm = (alpha**2 * self.scale**2 + sigma**2).sqrt()
        h = self.inward(z / norm)
        for block in self.blocks:
            h = block(h, condition, index)
        scale, shift = self.modulation(condition, index)
        correction = self.outward(torch.addcmul(shift, _norm(h), 1 + scale))
        linear = alpha * sigma * (1 - self.scale**2) * z / norm**2
        return (linear + self.scale / norm * correction) @ self.basis.T - sigma * self.mean

    def _condition(self, phi: Tensor, labels: Tensor) -> Tensor:
        waves = phi[:, None] * torch.arange(1, self.config.frequencies + 1, dtype=phi.dtype, device=phi.device)
        features = torch.cat([phi[:, None], waves.sin(), waves.cos()], dim=-1)
        return functional.silu(self.time(features) + self.label(labels))
