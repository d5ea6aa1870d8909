r"""A class-conditional denoiser for images of 16x16 pixels and more: diffusers' UNet2DModel.

At time t the sample is x = alpha x_0 + sigma eps with alpha^2 + sigma^2 = 1 and the model estimates the v-prediction
alpha eps - sigma x_0 for class y; index `classes` is the null class, seen whenever training drops the label. The
schedule is a table (`numdiff.schedules.Discrete`) and the network is given its entries' numbers 0..N-1, so that every
scheduler of diffusers applies as it is; between them the times are real numbers, which the sinusoids of the network's
embedding take as they are.

Blocks of patch x patch pixels become channels first (a space-to-depth permutation, undone at the end): a stage of
convolutions at full resolution with few channels costs a CPU most of the time and adds little at these sizes.

diffusers is needed to build the network, hence imported with the first one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from numdiff import schedules
from numdiff.models.conditioning import ClassConditional, only_v, variance_preserving


@dataclass(frozen=True, kw_only=True)
class UNetConfig:
    """What a `UNetDenoiser` is made of; the JSON beside its weights holds these fields.

    Parameters
    ----------
    schedule
        Name and options of a schedule given by a table, as `numdiff.schedules.get` takes them.
    prediction
        What the model predicts, by the names of `numdiff.parameterizations`: "v", the only one there is.
    image_shape
        Height and width.
    channels
        Channels of an image.
    classes
        Number of classes; label `classes` is the null class.
    patch
        Side of the blocks of pixels that become channels.
    widths
        Channels of the stages; each halves the resolution of the one before.
    attention
        Which stages have self-attention; the lowest resolution has it in any case.
    layers, groups, head
        Residual blocks per stage, groups of a group norm (of two channels at least), channels of an attention head.
    dropout
        Probability of dropping a channel's entry in training.
    """

    schedule: dict[str, Any]
    prediction: str = "v"
    image_shape: Sequence[int] = (16, 16)
    channels: int = 1
    classes: int = 62
    patch: int = 2
    widths: Sequence[int] = (64, 96)
    attention: Sequence[bool] = (False, True)
    layers: int = 1
    groups: int = 8
    head: int = 32
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Make the lists, which are what JSON has, the tuples that they stand for.

        Raises
        ------
        ValueError
            If the image cannot be divided into patches and halved between the stages, the stages' settings are not
            equally many, or a group norm would have one channel a group: it takes away what time and class add.
        """
        for name in ("image_shape", "widths", "attention"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if len(self.widths) != len(self.attention):
            raise ValueError(f"widths and attention must be equally long, not {self.widths} and {self.attention}")
        if any(width % self.groups or width == self.groups for width in self.widths):
            raise ValueError(
                f"widths must be multiples of groups = {self.groups}, two at least (a group of one channel forgets "
                f"time and class), not {self.widths}"
            )
        unit = self.patch * 2 ** (len(self.widths) - 1)
        if any(side % unit for side in self.image_shape):
            raise ValueError(
                f"image_shape must be multiples of {unit} (patch {self.patch}, {len(self.widths)} stages), "
                f"not {self.image_shape}"
            )


class UNetDenoiser(ClassConditional):
    """A class-conditional U-Net of images of shape (channels, height, width).

    Parameters
    ----------
    config
        What the network is made of.

    Attributes
    ----------
    schedule : Discrete
        The table it was trained on; the network's times are 0..N-1.
    prediction : str
        What it predicts.
    shape : tuple of int
        Shape of one sample, (channels, height, width).
    null : int
        The null class.
    network : UNet2DModel
        The network of diffusers, on patches.
    record : dict
        What the JSON beside the weights says about their training; empty for a new network.

    Raises
    ------
    ModuleNotFoundError
        If diffusers is not installed.

    Examples
    --------
    >>> import torch
    >>> import numdiff as nd
    >>> from numdiff.models.unet import UNetConfig
    >>> config = UNetConfig(schedule={"name": "ddpm-linear"}, widths=(16, 16), head=8, classes=3)
    >>> model = nd.models.UNetDenoiser(config)
    >>> x = torch.ones(2, 1, 16, 16)
    >>> tuple(model(x, 500.0, torch.tensor([0, model.null])).shape), model.schedule.N
    ((2, 1, 16, 16), 1000)
    """

    architecture = "unet2d-denoiser"
    Config = UNetConfig

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        self.record: dict[str, Any] = {}
        self.schedule = variance_preserving(schedules.get(**config.schedule))
        if not isinstance(self.schedule, schedules.Discrete):
            raise ValueError(
                f"schedule {self.schedule.name!r} is no table of noise levels; use 'ddpm-linear', 'stable-diffusion' "
                "or 'discrete'"
            )
        self.prediction = only_v(config.prediction)
        self.shape = (config.channels, *config.image_shape)
        self.null = config.classes
        self.network = _unet(config)

    def forward(self, x: Tensor, t: float | Tensor, labels: Tensor) -> Tensor:
        """Return the prediction for `x` at model time `t` and class `labels`.

        Parameters
        ----------
        x
            Samples, shape (n, channels, height, width), in the dtype of the parameters.
        t
            Model time in [-1, N - 1], one number for all samples or one for each, shape (n,).
        labels
            Classes, integers of shape (n,); `null` is the null class.

        Returns
        -------
        Tensor
            Shape (n, channels, height, width).
        """
        self._check(x)
        times = torch.as_tensor(t, device=x.device).to(x.dtype).expand(len(x))
        patches = functional.pixel_unshuffle(x, self.config.patch)
        found = self.network(patches, times, class_labels=labels, return_dict=False)[0]
        return functional.pixel_shuffle(found, self.config.patch)


def _unet(config: UNetConfig) -> nn.Module:
    try:
        from diffusers import UNet2DModel
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "this model is a UNet2DModel of diffusers, which is not installed; pip install diffusers"
        ) from error
    channels = config.channels * config.patch**2
    network: Any = UNet2DModel(
        sample_size=tuple(side // config.patch for side in config.image_shape),
        in_channels=channels,
        out_channels=channels,
        block_out_channels=tuple(config.widths),
        layers_per_block=config.layers,
        down_block_types=tuple("AttnDownBlock2D" if wanted else "DownBlock2D" for wanted in config.attention),
        up_block_types=tuple("AttnUpBlock2D" if wanted else "UpBlock2D" for wanted in reversed(config.attention)),
        norm_num_groups=config.groups,
        attention_head_dim=config.head,
        dropout=config.dropout,
        num_class_embeds=config.classes + 1,
    )
    return network
