r"""What calls a network: the time, the names, the casts, and the prediction in what it returns; see `networks`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

import torch

from numdiff import parameterizations
from numdiff.level import Level
from numdiff.schedules import Schedule

Tensor = torch.Tensor
Output = str | int | Callable[[Any], Tensor] | None

TIMES: dict[str, Callable[[Level], Any]] = {
    "model": lambda level: level.model_time,
    "continuous": lambda level: level.time,
    "sigma": lambda level: level.rho,
    "log-snr": lambda level: level.log_snr,
    "c-noise": lambda level: -level.log_snr / 4,
}
"""What a network may be given as its time, as functions of the level."""


class Network(torch.nn.Module):
    """A network that is called as ``model(x, t)``; made by `numdiff.adapters.networks`, which says what the fields are.

    It is an ``nn.Module`` that owns the network and the conditions that are tensors, so that ``to`` moves them all.

    Attributes
    ----------
    schedule, prediction
        What `Method.discretize` and `numdiff.sample` need to know of the network.

    Examples
    --------
    >>> import torch
    >>> import numdiff as nd
    >>> from numdiff.adapters import networks
    >>> model = networks.module(lambda x, t: x * t[:, None], schedule="vp-linear", prediction="noise")
    >>> model(torch.ones(2, 1), 0.5).tolist(), model.schedule.name, model.prediction.name
    ([[0.5], [0.5]], 'vp-linear', 'noise')
    """

    def __init__(
        self,
        net: Callable[..., Any],
        schedule: Schedule,
        prediction: parameterizations.Prediction,
        *,
        time: str | Callable[[Level], Any] = "model",
        condition: Mapping[str, Any] | None = None,
        call: Mapping[str, str] | None = None,
        output: Output = None,
        learned_variance: bool = False,
        dtype: torch.dtype | None = None,
        time_dtype: torch.dtype | None = None,
        gradients: bool = False,
        casts: bool = False,
        scale: Callable[[Level], Any] | None = None,
    ) -> None:
        super().__init__()
        self.net, self.schedule, self.prediction = net, schedule, prediction
        self.time, self.call, self.output, self.scale = time, None if call is None else dict(call), output, scale
        self.learned_variance, self.gradients, self.casts = learned_variance, gradients, casts
        self.dtype, self.time_dtype = dtype, time_dtype
        self._plain: dict[str, Any] = {}
        self._tensors: dict[str, str] = {}
        for name, value in (condition or {}).items():
            if isinstance(value, torch.Tensor):
                self._tensors[name] = f"condition_{name}"
                self.register_buffer(self._tensors[name], value, persistent=False)
            else:
                self._plain[name] = value
        schedule.level(schedule.t_end)  # makes its tables, which torch.compile could not trace
        self.eval()

    @property
    def condition(self) -> dict[str, Any]:
        """The further keyword arguments of each call."""
        return {**self._plain, **{name: getattr(self, buffer) for name, buffer in self._tensors.items()}}

    def forward(self, x: Tensor, t: Any) -> Tensor:
        """Return the prediction at the sample `x`, shape (n, ...), and model time `t`; a tensor like `x`.

        Raises
        ------
        TypeError, ValueError
            For a sample that is no batch of floating numbers, another dtype or device than the network's, and answers
            that are no tensor like the sample; each with the argument that mends it.
        """
        condition = self.condition
        self._check(x, condition)
        with nullcontext() if self.gradients else torch.no_grad():
            value = t if self.time == "model" and self.scale is None else self._value(t)
            z = x if self.scale is None else x * self.scale(self._level(t))
            z = z if self.dtype is None else z.to(self.dtype)
            times = self._times(value, x)
            if self.call is None:
                answer = self.net(z, times, **condition)
            else:
                given = {"x": z, "t": times}
                answer = self.net(**{name: given[what] for name, what in self.call.items()}, **condition)
            return self._like(selected(answer, self.output), x)

    def _level(self, t: Any) -> Level:
        return self.schedule.level(self.schedule.from_model_time(t))

    def _value(self, t: Any) -> Any:
        """Return what the network is given as its time."""
        function = TIMES[self.time] if isinstance(self.time, str) else self.time
        return function(self._level(t))

    def _times(self, value: Any, x: Tensor) -> Tensor:
        """Return the time of each sample, shape (n,), on the sample's device; a float is filled in there."""
        wide = torch.float64 if x.dtype == torch.float64 and self.dtype is None else torch.float32
        dtype = self.time_dtype or wide
        if isinstance(value, torch.Tensor):  # carries a gradient
            return value.to(device=x.device, dtype=dtype).expand(x.shape[0])
        if not dtype.is_floating_point and not float(value).is_integer():
            raise ValueError(f"time_dtype = {dtype} holds no {value}; lay the grid at entries of the table, or drop it")
        return torch.full((x.shape[0],), value, dtype=dtype, device=x.device)

    def _check(self, x: Any, condition: Mapping[str, Any]) -> None:
        """Refuse samples and conditions that the network cannot take."""
        if not isinstance(x, torch.Tensor) or not x.is_floating_point() or not x.ndim:
            what = f"a {x.dtype} tensor of shape {tuple(x.shape)}" if isinstance(x, torch.Tensor) else type(x).__name__
            raise TypeError(f"x must be a floating tensor of shape (n, ...), got {what}")
        weight = next(self.net.parameters(), None) if isinstance(self.net, torch.nn.Module) else None
        if weight is not None and weight.device != x.device:
            raise ValueError(
                f"the sample is on {x.device} and the network on {weight.device}; move one of them, "
                f"model.to({str(x.device)!r}) or x.to({str(weight.device)!r})"
            )
        for name, value in condition.items():
            if isinstance(value, torch.Tensor) and value.device != x.device:
                raise ValueError(
                    f"condition[{name!r}] is on {value.device} and the sample on {x.device}; use model.to(x.device)"
                )
            if name == "class_labels" and isinstance(value, torch.Tensor) and len(value) not in (1, len(x)):
                raise ValueError(f"class_labels are {len(value)} and the samples {len(x)}; give one for each, or one")
        if weight is None or self.casts or not weight.is_floating_point():
            return
        wanted = self.dtype or x.dtype
        if weight.dtype != wanted and not _autocasts(x):
            who = f"dtype = {wanted}" if self.dtype else f"the sample is {x.dtype}"
            raise TypeError(
                f"{who}, and the network's parameters are {weight.dtype}; pass dtype={weight.dtype} to run it so and "
                "get the sample's type back, or convert the network"
            )

    def _like(self, F: Any, x: Tensor) -> Tensor:
        """Return an answer as a tensor like the sample: without a variance, in the sample's type."""
        if not isinstance(F, torch.Tensor):
            raise TypeError(f"the network returned {type(F).__name__}, no tensor; say where it is by output=")
        doubled = x.ndim > 1 and F.shape == (x.shape[0], 2 * x.shape[1], *x.shape[2:])
        if self.learned_variance:
            if not doubled:
                raise ValueError(
                    f"learned_variance=True expects twice the sample's channels, {tuple(x.shape)}, but the network "
                    f"returned shape {tuple(F.shape)}; leave it out"
                )
            F = F[:, : x.shape[1]]
        elif F.shape != x.shape:
            remedy = "pass learned_variance=True to keep the first half" if doubled else "choose it by output="
            raise ValueError(f"the network returned shape {tuple(F.shape)} for a sample of {tuple(x.shape)}; {remedy}")
        cast = self.casts or self.dtype is not None or _autocasts(x)
        return F.to(x.dtype) if cast else F


def _autocasts(x: Tensor) -> bool:
    """Tell whether `torch.autocast` is on, which the device "meta" does not know."""
    return x.device.type != "meta" and torch.is_autocast_enabled(x.device.type)


def selected(answer: Any, output: Output) -> Any:
    """Return the prediction in what a network returned."""
    if callable(output):
        return output(answer)
    if output is None:
        if isinstance(answer, torch.Tensor):
            return answer
        if isinstance(answer, Mapping):
            output = "sample"
        elif hasattr(answer, "sample"):
            return answer.sample
        elif isinstance(answer, (tuple, list)) and answer:
            return answer[0]
        else:
            return answer
    if isinstance(output, str):
        known = sorted(map(str, answer)) if isinstance(answer, Mapping) else []
        if isinstance(answer, Mapping) and output not in answer:
            raise ValueError(
                f"the network returned the keys {', '.join(known)} and no {output!r}; choose one by output="
            )
        if not isinstance(answer, Mapping) and not hasattr(answer, output):
            raise ValueError(f"output = {output!r}, but the network returned {type(answer).__name__} without it")
        return answer[output] if isinstance(answer, Mapping) else getattr(answer, output)
    try:
        return answer[output]
    except (IndexError, TypeError, KeyError):
        raise ValueError(f"output = {output!r}, but the network returned {type(answer).__name__} without it") from None
