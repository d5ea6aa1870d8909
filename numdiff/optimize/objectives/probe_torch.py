r"""A network as what a probe follows: derivatives by torch, coefficients in float64.

The network predicts m(x, t) = a x_0 + b eps; a scheme integrates F = p x + q m with (p, q) of
`numdiff.parameterizations`, formula (1), functions of the level. For an adjoint vector A,

    (dF/dx)^T A = p A + (dm/dx)^T q A,      <A, dF/dt> = <q A, dm/dt>,      <A, dF/dalpha> = <A, p_alpha x + q_alpha m>

and so on. The network is given one time per sample, so that <q A, dm/dt> comes out for every sample by itself. Samples,
coefficients and adjoints are float64; the network works in the dtype of the noises.

A network whose output has no gradient with respect to t, as one that looks t up in a table, is taken for constant in t
between its entries: dm/dt = 0. If its output does change with t, a warning says so, since the derivatives of the
objective then lack that part and a search may stop short of a minimum.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numdiff.elementary import kind
from numdiff.level import Level
from numdiff.optimize.compiled import Trace
from numdiff.optimize.objectives.probe_subjects import Subject
from numdiff.optimize.propagate import LEVEL
from numdiff.parameterizations import coefficients
from numdiff.schedules.base import plain

Array = NDArray[np.float64]

BATCH = 64
"""Noises that run through a network at a time by default."""


class Network(Subject):
    """A torch model and its noises."""

    def __init__(self, probe: Any, trace: Trace) -> None:
        self.model, self.prediction = probe.model, probe.prediction
        first, last = trace.ends
        self._times = [float(level.model_time) for level in (first, _between(trace), last)]
        noises = _drawn(probe, first) if probe.noises is None else probe.noises
        self.dtype = _checked(noises).dtype
        self._asked: list[bool] = []
        super().__init__(noises.double(), probe.batch or BATCH)

    def entries(self, prediction: str) -> tuple[str, ...]:
        """Return the entries of a level that may vary: the conversion reads the scales, the network the time."""
        return (*LEVEL[:4], "model_time")

    def field(self, prediction: str) -> NetworkField:
        """Return the network, converted to what a scheme combines."""
        return NetworkField(self, prediction)

    def inner(self, a: Any, v: Any) -> Array:
        """Return <a, v> of every noise."""
        return np.asarray((a * v).flatten(1).sum(1).cpu().numpy())

    def join(self, parts: Sequence[Any]) -> Any:
        """Return the parts of a batched tensor as one."""
        import torch

        return torch.cat(list(parts))

    def plain(self, x: Any) -> Array:
        """Return a tensor as a NumPy array."""
        return np.asarray(x.detach().cpu().numpy())

    def like(self, x: Array) -> Any:
        """Return a NumPy array as a tensor like the noises."""
        return self.noises.new_tensor(x)

    def identity(self) -> list[Array]:
        """Return what the network makes of one noise at three times of the run: a changed network changes it."""
        import torch

        with torch.no_grad():
            return [self.plain(self.call(self.noises[:1], t)) for t in self._times]

    def call(self, x: Any, t: Any) -> Any:
        """Return the network's output in float64; t is a number, or a tensor with one entry per sample."""
        if isinstance(t, float):
            t = x.new_full((len(x),), t)
        found = self.model(x.to(self.dtype), t.to(self.dtype))
        if kind_of(found) != "torch":
            raise TypeError(f"the model must return a torch tensor, got {type(found).__name__}")
        if found.shape != x.shape:
            raise ValueError(f"the model returned shape {tuple(found.shape)} for samples of shape {tuple(x.shape)}")
        return found.double()

    def constant_in_time(self) -> None:
        """Warn, once, if a network without a gradient in t depends on t."""
        import torch

        if self._asked:
            return
        self._asked.append(True)
        with torch.no_grad():
            early, late = (self.call(self.noises[:1], t) for t in self._times[:2])
        if not torch.equal(early, late):
            warnings.warn(
                "the model's output changes with t but has no gradient in it (a table, or float(t) inside the model): "
                "it is taken for constant in t between jumps, and the steps found may not be certified",
                stacklevel=2,
            )


def kind_of(x: Any) -> str:
    """Return the kind of an array, or its type's name."""
    try:
        return kind(x)
    except TypeError:
        return type(x).__name__


def _between(trace: Trace) -> Level:
    """Return a level inside the window, in the middle where both ends are finite."""
    low, high = (max(-3.0, min(3.0, x)) for x in (trace.window.low, trace.window.high))
    inside = 0.5 * (low + high) if low < high else trace.window.generic()[0]
    return trace.schedule.level(trace.schedule.time(float(inside)))


def _drawn(probe: Any, first: Level) -> Any:
    """Return sigma times standard normal numbers, in the dtype and on the device of the network's parameters."""
    import torch

    if probe.shape is None:
        raise ValueError("a network needs noises= of shape (n, ...), or the shape= of one sample to draw them")
    like = next(iter(getattr(probe.model, "parameters", list)()), torch.zeros(()))
    generator = torch.Generator().manual_seed(probe.seed)
    noises = float(first.sigma) * torch.randn((probe.points, *probe.shape), generator=generator, dtype=torch.float64)
    return noises.to(like.device, like.dtype)


def _checked(noises: Any) -> Any:
    if kind_of(noises) != "torch" or not noises.is_floating_point():
        raise TypeError(f"noises must be a floating torch tensor for a network, got {type(noises).__name__}")
    if noises.ndim < 2 or not noises.numel():
        raise ValueError(f"noises must have shape (n, ...), got {tuple(noises.shape)}")
    if not bool(noises.isfinite().all()):
        raise ValueError("noises must be finite, but some entry is infinite or NaN")
    return noises


class NetworkField:
    """A network converted to the prediction that a scheme combines; see `numdiff.optimize.propagate.Field`."""

    def __init__(self, network: Network, prediction: str) -> None:
        self.network, self.wanted = network, prediction

    def value(self, Y: Any, level: Sequence[Any]) -> Any:
        """Return F alone, without a graph."""
        import torch

        alpha, sigma, d_alpha, d_sigma, time, model_time = level
        here = Level(time, alpha, sigma, model_time, d_alpha, d_sigma)
        p, q = coefficients(here, self.network.prediction, self.wanted)
        with torch.no_grad():
            return p * Y + q * self.network.call(Y, float(model_time))

    def evaluate(self, Y: Any, level: Sequence[Any]) -> tuple[Any, Callable[[Any], tuple[Any, dict[str, Any]]]]:
        """Return F and its adjoint."""
        import torch

        x = Y.detach().requires_grad_()
        t = x.new_full((len(x),), float(level[5])).requires_grad_()
        with torch.enable_grad():
            m = self.network.call(x, t)
        (p, q), slopes = self._conversion(level)
        value = m.detach()

        def adjoint(A: Any) -> tuple[Any, dict[str, Array]]:
            inner = self.network.inner
            found = {name: dp * inner(A, Y) + dq * inner(A, value) for name, (dp, dq) in slopes.items()}
            back, along = self._pull(m, x, t, q * A)
            if along is not None:
                found["model_time"] = along
            return p * A + back, found

        if not m.requires_grad:
            raise ValueError("the model's output has no gradient: drop torch.no_grad() and .detach() inside it")
        return p * Y + q * value, adjoint

    def _pull(self, m: Any, x: Any, t: Any, seed: Any) -> tuple[Any, Array | None]:
        """Return (dm/dx)^T seed and <seed, dm/dt> of every sample, None where there is no gradient in t."""
        import torch

        back, along = torch.autograd.grad(m, (x, t), seed, allow_unused=True)
        if along is None:
            self.network.constant_in_time()
        elif len(along) > 1 and not bool(along[1:].any()) and bool(along[0]):
            raise ValueError(
                "the model uses the first entry of t for all samples, and a probe needs the derivative of each: make "
                "it use t of shape (n,) entry by entry"
            )
        if back is None:
            back = torch.zeros_like(x)
        return back, None if along is None else along.cpu().numpy()

    def _conversion(self, level: Sequence[Any]) -> tuple[tuple[float, float], dict[str, tuple[float, float]]]:
        """Return (p, q) at a level, and their derivatives with respect to its entries."""
        import torch

        names = [name for name, x in zip(LEVEL[:4], level[:4], strict=True) if x is not None and math.isfinite(x)]
        scales = {name: torch.tensor(level[LEVEL.index(name)], dtype=torch.float64).requires_grad_() for name in names}
        slopes = scales.get("d_alpha"), scales.get("d_sigma")
        whole = Level(level[4], scales["alpha"], scales["sigma"], level[5], slopes[0], slopes[1])
        with torch.enable_grad():
            pair = coefficients(whole, self.network.prediction, self.wanted)
        tensors = list(scales.values())
        rows = [_gradient(x, tensors) for x in pair]
        return (plain(pair[0]), plain(pair[1])), dict(zip(names, zip(*rows, strict=True), strict=True))


def _gradient(x: Any, scales: Sequence[Any]) -> list[float]:
    import torch

    if kind(x) != "torch" or not x.requires_grad:
        return [0.0] * len(scales)
    found = torch.autograd.grad(x, scales, retain_graph=True, allow_unused=True)
    return [0.0 if g is None else float(g) for g in found]
