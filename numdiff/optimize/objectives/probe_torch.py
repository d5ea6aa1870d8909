r"""A network as what a probe follows: derivatives by torch, coefficients in float64.

The network predicts m(x, t) = a x_0 + b eps; a scheme integrates F = p x + q m with (p, q) of
`numdiff.parameterizations`, formula (1), functions of the level. For an adjoint vector A,

    (dF/dx)^T A = p A + (dm/dx)^T q A,      <A, dF/dt> = <q A, dm/dt>,      <A, dF/dalpha> = <A, p_alpha x + q_alpha m>

and so on. The network is given one time per sample, so that <q A, dm/dt> comes out for every sample by itself. Samples,
coefficients and adjoints are float64; the network works in the dtype of the noises.

A network whose output has no gradient with respect to t, as one that looks t up in a table, is taken for constant in t
between its entries: dm/dt = 0. If its output does change with t, a warning says so, since the derivatives of the
objective then lack that part and a search may stop short of a minimum.

**Independence.** <q A, dm/dt> and the errors of single noises need m_b to depend on x_b alone. Before a network is
used, the first sample of a batch is changed at a time inside the run: the outputs of the others must stay as they were,
and two calls on the same samples must agree.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numdiff.elementary import kind
from numdiff.level import Level
from numdiff.optimize.compiled import Trace
from numdiff.optimize.objectives.probe_subjects import ALL, Subject, caller, points_of
from numdiff.optimize.propagate import LEVEL
from numdiff.parameterizations import coefficients
from numdiff.schedules.base import plain

Array = NDArray[np.float64]

BATCH = 64
"""Noises that run through a network at a time by default."""

SINGLE = 1e-2
"""What first-order conditions are met to in single precision, where sums over a run leave about four digits."""


class Network(Subject):
    """A torch model and its noises."""

    held_out_by_default = False

    def __init__(self, probe: Any, trace: Trace) -> None:
        _refuse_training(probe.model)
        self.model, self.prediction = probe.model, probe.prediction
        first, last = trace.ends
        self._first = first
        self._times = [float(level.model_time) for level in (first, _between(trace), last)]
        noises = _drawn(probe, first) if probe.noises is None else probe.noises
        self.dtype = _checked(noises).dtype
        self._asked: list[bool] = []
        super().__init__(noises.double(), probe.batch or BATCH)
        self.conditions = _conditions(probe.conditions, self.noises)
        if tolerance_of(self.dtype) > self.tolerance:
            self.tolerance, self.advice = tolerance_of(self.dtype), _advice(self.dtype)
        self._check_model()

    def entries(self, prediction: str) -> tuple[str, ...]:
        """Return the entries of a level that may vary: the conversion reads the scales, the network the time."""
        return (*LEVEL[:4], "model_time")

    def field(self, prediction: str, rows: slice = ALL) -> NetworkField:
        """Return the network, converted to what a scheme combines."""
        return NetworkField(self, prediction, rows)

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

    def known(self) -> list[Array]:
        """Return the conditions; what the network is, only its outputs tell."""
        return [] if self.conditions is None else [self.plain(self.conditions)]

    def identity(self) -> list[Array]:
        """Return what the network makes of the noises at three times of the run: a changed network changes it."""
        import torch

        with torch.no_grad():
            at = ([self.call(self.noises[rows], t, rows) for rows in self.batches()] for t in self._times)
            return [self.plain(self.join(parts)) for parts in at]

    def others(self, probe: Any, count: int) -> Any:
        """Return a probe of the same network on `count` noises from another seed; conditions go round."""
        shape = tuple(self.noises.shape[1:])
        fresh = replace(probe, shape=shape, points=count, seed=probe.seed + 1, conditions=None)
        drawn = _drawn(fresh, self._first)
        conditions = self.conditions
        if conditions is not None:
            conditions = conditions[[i % len(conditions) for i in range(count)]]
        return replace(probe, noises=drawn.to(self.noises.device, self.dtype), conditions=conditions)

    def call(self, x: Any, t: Any, rows: slice = ALL) -> Any:
        """Return the network's output in float64; t is a number, or a tensor with one entry per sample."""
        if isinstance(t, float):
            t = x.new_full((len(x),), t)
        more = () if self.conditions is None else (self.conditions[rows],)
        found = self.model(x.to(self.dtype), t.to(self.dtype), *more)
        if kind_of(found) != "torch":
            raise TypeError(f"the model must return a torch tensor, got {type(found).__name__}")
        if not found.is_floating_point():
            raise TypeError(f"the model must return floating numbers, got {found.dtype}")
        if found.shape != x.shape:
            raise ValueError(f"the model returned shape {tuple(found.shape)} for samples of shape {tuple(x.shape)}")
        return found.double()

    def _check_model(self) -> None:
        """Raise if the network takes no noises of this dtype, is random, or mixes the samples of a batch."""
        import torch

        try:
            coefficients(self._first, self.prediction, "data")
        except ValueError as error:
            raise ValueError(f"{error}: give t_start=, the first time") from error
        rows = slice(0, min(self.batch, len(self.noises)))
        x = self.noises[rows]
        other = x.clone()
        other[0] = -x[0] + 0.5
        with torch.no_grad():
            try:
                once = self.call(x, self._times[1], rows)
            except RuntimeError as error:
                if "type" not in str(error):  # torch names the types that do not go together
                    raise
                raise TypeError(
                    f"the model does not take noises of {self.dtype}: {error}; give noises= in the dtype of the model "
                    "(they are drawn in that of model.parameters(), and in float32 where there are none)"
                ) from error
            twice, changed = (self.call(y, self._times[1], rows) for y in (x, other))
        if not bool(once.isfinite().all() and changed.isfinite().all()):
            return  # the runs will say where
        slack = min(1e-3, 100 * torch.finfo(self.dtype).eps) * float(once.abs().max())
        if float((once - twice).abs().max()) > slack:
            raise ValueError("the model is random: two calls on the same samples differ; use model.eval()")
        if len(x) > 1 and float((once - changed)[1:].abs().max()) > slack:
            raise ValueError(
                "the model mixes the samples of a batch: one that changes changes the output for others, and a probe "
                "needs each by itself; use model.eval(), or batch=1"
            )

    def shares_time(self) -> bool:
        """Whether another first entry of t changes the output for other samples."""
        import torch

        rows = slice(0, self.batch)
        x = self.noises[rows]
        t = x.new_full((len(x),), self._times[1])
        other = t.clone()
        other[0] = self._times[0]
        with torch.no_grad():
            return not torch.equal(self.call(x, t, rows)[1:], self.call(x, other, rows)[1:])

    def constant_in_time(self) -> None:
        """Warn, once, if a network without a gradient in t depends on t."""
        import torch

        if self._asked:
            return
        self._asked.append(True)
        rows = slice(0, self.batch)
        with torch.no_grad():
            early, late = (self.call(self.noises[rows], t, rows) for t in self._times[:2])
        if not torch.equal(early, late):
            warnings.warn(
                "the model's output changes with t but has no gradient in it (a table, or float(t) inside the model): "
                "it is taken for constant in t between jumps, and the steps found may not be certified",
                stacklevel=caller(),
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
    like = _like(probe.model)
    generator = torch.Generator().manual_seed(probe.seed)
    count = points_of(probe, math.prod(probe.shape)) if probe.conditions is None else len(probe.conditions)
    noises = float(first.sigma) * torch.randn((count, *probe.shape), generator=generator, dtype=torch.float64)
    return noises.to(like.device, like.dtype)


def _like(model: Any) -> Any:
    """Return a parameter of the model, or a float32 zero where it has none."""
    import torch

    return next(iter(getattr(model, "parameters", list)()), torch.zeros(()))


def dtype_of(model: Any, noises: Any) -> Any:
    """Return the dtype that a network will work in."""
    return _like(model).dtype if noises is None else getattr(noises, "dtype", None)


def tolerance_of(dtype: Any) -> float:
    """Return what first-order conditions can be met to by a network of a dtype."""
    import torch

    return SINGLE if dtype in (torch.float32, torch.float16, torch.bfloat16) else Subject.tolerance


def _advice(dtype: Any) -> str:
    return (
        f"the network works in {str(dtype).removeprefix('torch.')}, which leaves its derivatives about four digits: "
        f"use model.double() with float64 noises, or tolerance={SINGLE:g} or more"
    )


def _refuse_training(model: Any) -> None:
    """Raise for dropout or batch normalization in training mode."""
    from torch import nn

    kinds = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)  # torch has no public name
    for part in model.modules() if isinstance(model, nn.Module) else ():
        if part.training and isinstance(part, kinds):
            raise ValueError(f"the model has a {type(part).__name__} in training mode; call model.eval() first")


def _conditions(conditions: Any, noises: Any) -> Any:
    """Return the conditions as a tensor beside the noises, one for each."""
    import torch

    if conditions is None:
        return None
    try:
        found = torch.as_tensor(conditions, device=noises.device)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"conditions must be an array or a tensor, one entry per noise: {error}") from error
    if not found.ndim or len(found) != len(noises):
        raise ValueError(
            f"conditions must hold one entry for each of the {len(noises)} noises, got {tuple(found.shape)}"
        )
    return found


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

    def __init__(self, network: Network, prediction: str, rows: slice = ALL) -> None:
        self.network, self.wanted, self.rows = network, prediction, rows

    def value(self, Y: Any, level: Sequence[Any]) -> Any:
        """Return F alone, without a graph."""
        import torch

        alpha, sigma, d_alpha, d_sigma, time, model_time = level
        here = Level(time, alpha, sigma, model_time, d_alpha, d_sigma)
        p, q = coefficients(here, self.network.prediction, self.wanted)
        with torch.no_grad():
            return p * Y + q * self.network.call(Y, float(model_time), self.rows)

    def evaluate(self, Y: Any, level: Sequence[Any]) -> tuple[Any, Callable[[Any], tuple[Any, dict[str, Any]]]]:
        """Return F and its adjoint."""
        import torch

        x = Y.detach().requires_grad_()
        t = x.new_full((len(x),), float(level[5])).requires_grad_()
        with torch.enable_grad():
            m = self.network.call(x, t, self.rows)
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
        elif len(along) > 1 and not bool(along[1:].any()) and bool(along[0]) and self.network.shares_time():
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
