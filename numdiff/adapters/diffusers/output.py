"""What a step of the scheduler returns."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from diffusers.utils import BaseOutput


@dataclass
class NumdiffSchedulerOutput(BaseOutput):
    """What `NumdiffScheduler.step` returns: the sample at the next timestep, shape of the sample.

    Parameters
    ----------
    prev_sample
        The sample at the next timestep, shape of the sample.

    Examples
    --------
    >>> import torch
    >>> import numdiff as nd
    >>> scheduler = nd.adapters.diffusers.NumdiffScheduler(method="ddim")
    >>> scheduler.set_timesteps(4)
    >>> x = torch.ones(1, 1, 2, 2)
    >>> output = scheduler.step(torch.zeros_like(x), scheduler.timesteps[0], x)
    >>> output.prev_sample.shape
    torch.Size([1, 1, 2, 2])
    """

    prev_sample: torch.Tensor
