r"""What the class-conditional denoisers share: labels, the null class, classifier-free guidance.

Guidance (Ho and Salimans 2022, arXiv:2207.12598), in the form where w = 1 is the conditional network:

    v_w = v(x, t, null) + w (v(x, t, y) - v(x, t, null))

Its two weights sum to one, so the multiple of x in a change of prediction is unchanged: guiding v, noise or data is the
same thing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from numdiff.guidance import ClassifierFree
from numdiff.parameterizations import get as get_prediction
from numdiff.schedules import Schedule


def variance_preserving(schedule: Schedule) -> Schedule:
    """Return `schedule` if alpha^2 + sigma^2 = 1.

    Raises
    ------
    ValueError
        If it's another one.
    """
    middle = schedule.T / 2
    if abs(schedule.alpha(middle) ** 2 + schedule.sigma(middle) ** 2 - 1) > 1e-6:
        raise ValueError(
            f"schedule {schedule.name!r} is not variance preserving; use 'vp-linear', 'cosine' or 'discrete'"
        )
    return schedule


def only_v(prediction: str) -> str:
    """Return "v", the prediction that the denoisers are built for.

    Raises
    ------
    ValueError
        If `prediction` is another one.
    """
    if get_prediction(prediction).name != "v":
        raise ValueError(
            f"prediction must be 'v', not {prediction!r}; convert afterwards with parameterizations.convert"
        )
    return "v"


class ClassConditional(nn.Module):
    """A network (x, t, labels) -> prediction that can be conditioned on classes, or on none.

    Attributes
    ----------
    schedule : Schedule
        The schedule it was trained on.
    prediction : str
        What it predicts.
    shape : tuple of int
        Shape of one sample.
    null : int
        The null class, which stands for any of 0..null - 1.
    record : dict
        What the JSON beside the weights says about their training; empty for a new network.

    Examples
    --------
    >>> import torch
    >>> import numdiff as nd
    >>> model = nd.models.digits()
    >>> model.shape, model.null, model.dtype
    ((64,), 10, torch.float32)
    >>> model.conditioned([3, 5], guidance=2.0)(torch.zeros(2, 64), 0.5).shape
    torch.Size([2, 64])
    """

    schedule: Schedule
    prediction: str
    shape: tuple[int, ...]
    null: int
    record: dict[str, Any]

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the parameters, which samples must have."""
        return next(self.parameters()).dtype

    @property
    def device(self) -> torch.device:
        """The device of the parameters."""
        return next(self.parameters()).device

    def conditioned(self, labels: int | Sequence[int] | Tensor, guidance: float = 1.0) -> Conditioned:
        """Return the callable (x, t) that a sampler needs, for fixed classes and guidance.

        Parameters
        ----------
        labels
            One class for all samples, or one for each, shape (n,); `null` gives the unconditional model.
        guidance
            w in v_w = v(x, t, null) + w (v(x, t, y) - v(x, t, null)): 1 is the conditional network (one evaluation), 0
            the unconditional one (one evaluation), everything else costs two, made as one batch.

        Raises
        ------
        ValueError
            If a label is no class, or `guidance` is not finite.
        TypeError
            If labels are not integers.
        """
        if not math.isfinite(guidance):
            raise ValueError(f"guidance must be finite, not {guidance}; 1 is the plain conditional model")
        return Conditioned(self, self._labels(labels), float(guidance))

    def _labels(self, labels: int | Sequence[int] | Tensor) -> Tensor:
        found = torch.as_tensor(labels, device=self.device)
        if found.is_floating_point() or found.is_complex() or found.dtype == torch.bool:
            raise TypeError(f"labels must be integers, not {found.dtype}; convert them with .long()")
        if found.ndim > 1:
            raise ValueError(f"labels must be one integer or have shape (n,), not {tuple(found.shape)}")
        wrong = found[(found < 0) | (found > self.null)].reshape(-1)
        if len(wrong):
            raise ValueError(f"labels must lie in 0..{self.null} ({self.null} is the null class), not {int(wrong[0])}")
        return found.long()

    def _check(self, x: Tensor) -> None:
        if not isinstance(x, Tensor):
            raise TypeError(f"x must be a torch tensor, not {type(x).__name__}; wrap it with torch.from_numpy")
        if tuple(x.shape[1:]) != self.shape:
            row = ", one flattened image a row" if len(self.shape) == 1 else ""
            wanted, text = ", ".join(map(str, self.shape)), "flatten" if row else "reshape"
            raise ValueError(
                f"x must have shape (n, {wanted}){row}, not {tuple(x.shape)}; "
                f"{text} images with x.reshape(len(x), {wanted})"
            )
        if x.dtype != self.dtype:
            raise TypeError(f"x is {x.dtype} but the model is {self.dtype}; convert the model with .to({x.dtype})")


@dataclass(frozen=True)
class Conditioned:
    """A denoiser for fixed classes and guidance: what a sampler calls. Made by `ClassConditional.conditioned`.

    Parameters
    ----------
    denoiser
        The network.
    labels
        Classes, integers of shape (1,) or (n,).
    guidance
        Strength w of classifier-free guidance; 1 and 0 take one evaluation, others two.

    Examples
    --------
    >>> import torch
    >>> import numdiff as nd
    >>> model, x = nd.models.digits(), torch.zeros(1, 64)
    >>> with torch.no_grad():
    ...     null, plain, guided = (model.conditioned(7, w)(x, 0.5) for w in (0.0, 1.0, 3.0))
    >>> bool(torch.allclose(guided, null + 3 * (plain - null), atol=1e-5))
    True
    """

    denoiser: ClassConditional
    labels: Tensor
    guidance: float

    @property
    def prediction(self) -> str:
        """What `__call__` returns, by the names of `numdiff.parameterizations`."""
        return self.denoiser.prediction

    def __call__(self, x: Tensor, t: float | Tensor) -> Tensor:
        """Return the guided prediction at model time `t`.

        Parameters
        ----------
        x
            Samples, shape ``(n, *shape)``; n must be the number of labels, where they are more than one.
        t
            Model time, a float, or a tensor (through which gradients flow) of one time or one for each sample.

        Raises
        ------
        ValueError
            If the number of samples is not that of the labels.
        """
        if self.labels.ndim and len(self.labels) != len(x):
            raise ValueError(f"x holds {len(x)} samples but there are {len(self.labels)} labels; give one label each")
        return self._guided(x, t)

    @cached_property
    def _guided(self) -> ClassifierFree:
        settings = self.denoiser, self.labels, self.denoiser.null, self.guidance
        return ClassifierFree(*settings, prediction=self.prediction)
