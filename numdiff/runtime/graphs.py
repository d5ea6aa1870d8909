"""CUDA graphs of a run: its kernels are recorded once and started by one call, without Python between them.

A graph repeats the same kernels on the same memory. So the initial sample and the noises get memory of their own, into
which every call copies the new ones; coefficients are part of the kernels, since they are numbers of the host; and
times must be tensors on the device (``Sampler(..., times="tensor")``) unless the network is known not to move a number
there: one that makes a tensor of the number copies it to the device, which CUDA refuses while it records. Before the
recording the run is made a few times on a side stream, so that libraries have chosen their kernels and allocated what
they keep.

`captured` records the whole run as one graph, or with ``steps=True`` one graph for each evaluation of the model and the
sums after it, which share their memory and are replayed in order; between them the host is free to report progress or
to be interrupted.

Everything here has run only on the thin layer that the tests put in the place of `Cuda`. ``python -m benchmarks.model
--device cuda`` times it against bare calls of the model, and ``pytest tests/runtime`` tests it, where CUDA is there.

Source: the PyTorch manual, "CUDA semantics", section on CUDA graphs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from numdiff.runtime.sampler import Sampler, check_like, check_sample
from numdiff.runtime.straight import Operation


class Cuda:
    """What recording needs of torch.cuda, on the sample's device whichever is the current one."""

    def check(self, x: Tensor) -> None:
        """Raise unless `x` is where a graph can be recorded."""
        if x.device.type != "cuda":
            raise ValueError(
                f"a CUDA graph needs a sample on a CUDA device, got one on {x.device}; there, call the sampler itself "
                "or sampler.compiled()"
            )

    def on(self, x: Tensor) -> AbstractContextManager[Any]:
        """Return a context in which the device of `x` is the current one."""
        return torch.cuda.device(x.device)

    def warm_up(self, run: Callable[[], Any], times: int) -> None:
        """Make a run some times on a side stream."""
        stream, current = torch.cuda.Stream(), torch.cuda.current_stream()
        stream.wait_stream(current)
        with torch.cuda.stream(stream):
            for _ in range(times):
                run()
        current.wait_stream(stream)

    def pool(self) -> Any:
        """Return memory for graphs that are replayed one after the other."""
        return torch.cuda.graph_pool_handle()

    def record(self, run: Callable[[], None], pool: Any) -> Any:
        """Return what `run` does as a graph, with a ``replay()``."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=pool):
            run()
        return graph


class Captured:
    """A recorded run: call it with a sample like the one that it was recorded with; see `captured`.

    Parameters
    ----------
    sampler, x, noise, steps, layer
        As in `captured`, which makes these; all noises given.

    Examples
    --------
    >>> import torch
    >>> import numdiff as nd
    >>> schedule = nd.schedules.VPLinear()
    >>> scheme = nd.DPMSolverPP(2).discretize(schedule, nd.grids.uniform_log_snr(schedule, 8))
    >>> device = "cuda" if torch.cuda.is_available() else "cpu"
    >>> x_T = torch.zeros(4, 2, device=device)
    >>> run = nd.runtime.Sampler(scheme, lambda x, t: 0.5 * x, prediction="data", times="tensor").to(device)
    >>> if device == "cuda":
    ...     run = nd.runtime.captured(run, x_T)
    >>> run(x_T + 1).shape  # called alike, recorded or not
    torch.Size([4, 2])
    """

    def __init__(self, sampler: Sampler, x: Tensor, noise: Sequence[Tensor], steps: bool, layer: Any) -> None:
        self._sampler, self._layer = sampler, layer
        self._x, self._noise = x.clone(), tuple(z.clone() for z in noise)
        self._values: list[Any] = []
        self._memory: list[Tensor] | None = None
        self._sample: Tensor | None = None
        pieces = sampler.line.pieces() if steps else (sampler.line.operations,)
        pool = layer.pool()
        last = len(pieces) - 1
        self._graphs = [
            layer.record(partial(self._piece, piece, n == 0, n == last), pool) for n, piece in enumerate(pieces)
        ]

    def _piece(self, operations: Sequence[Operation], first: bool, last: bool) -> None:
        """Make a piece of the run on the graph's own memory."""
        if first:
            self._values = self._sampler.begin(self._x, self._noise)
            self._memory = self._sampler.memory(self._x)
        self._sampler.advance(operations, self._values, self._x.dtype, self._memory)
        if last:
            self._sample = self._sampler.end(self._values, self._x.dtype)

    def __call__(
        self,
        x: Tensor,
        noise: Tensor | Sequence[Tensor] | None = None,
        *,
        generator: Any = None,
        callback: Callable[[int], None] | None = None,
        copy: bool = True,
    ) -> Tensor:
        """Return the sample, without gradients.

        Parameters
        ----------
        x, noise, generator
            As in `Sampler.forward`, of the shape, dtype and device of the recording.
        callback
            ``callback(n)`` after graph n = 1, 2, ... is started (on the device it may still be at work).
        copy
            Return a copy; otherwise the graph's own memory, which the next call overwrites.

        Raises
        ------
        ValueError
            For another shape, dtype, device or number of noises than recorded.
        """
        with torch.inference_mode(False), torch.no_grad():  # as recorded
            check_like(x, self._x, "x")
            given = self._sampler.noises(x, noise, generator)
            with self._layer.on(self._x):
                for new, old in ((x, self._x), *zip(given, self._noise, strict=True)):
                    old.copy_(new)
                for n, graph in enumerate(self._graphs, 1):
                    graph.replay()
                    if callback is not None:
                        callback(n)
                assert self._sample is not None
                return self._sample.clone() if copy else self._sample


def captured(
    sampler: Sampler,
    x: Tensor,
    noise: Tensor | Sequence[Tensor] | None = None,
    *,
    steps: bool = False,
    warm_up: int = 3,
    layer: Any = None,
) -> Captured:
    """Record a sampler's run as CUDA graphs, without gradients.

    Parameters
    ----------
    sampler
        On the sample's device, with ``times="tensor"`` unless its network takes numbers as they are.
    x
        A sample of the shape, dtype, device and memory format of those to come; it is not written to.
    noise
        For schemes that add noise: tensors like those to come (by default drawn).
    steps
        One graph for each evaluation rather than one for the run.
    warm_up
        How many runs are made before, at least one.
    layer
        What stands in for `Cuda`.

    Returns
    -------
    Captured
        A function of (x, noise) like the sampler.

    Raises
    ------
    ValueError, TypeError
        Away from CUDA, for no warm-up, and as `Sampler`.

    Examples
    --------
    >>> import torch
    >>> import numdiff as nd
    >>> schedule = nd.schedules.VPLinear()
    >>> scheme = nd.DPMSolverPP(2).discretize(schedule, nd.grids.uniform_log_snr(schedule, 8))
    >>> sampler = nd.runtime.Sampler(scheme, lambda x, t: 0.5 * x, prediction="data", times="tensor")
    >>> try:
    ...     nd.runtime.captured(sampler, torch.zeros(4, 2))  # with device="cuda": a graph of the whole run
    ... except ValueError as error:
    ...     print(str(error).split(",")[0])
    a CUDA graph needs a sample on a CUDA device
    """
    if not isinstance(sampler, Sampler):
        raise TypeError(f"sampler must be a numdiff.runtime.Sampler, got {sampler!r}; make one of scheme and model")
    if not (isinstance(warm_up, int) and warm_up >= 1):
        raise ValueError(
            f"warm_up must be at least 1, got {warm_up!r}: libraries choose their kernels in the first run"
        )
    check_sample(x)
    layer = Cuda() if layer is None else layer
    layer.check(x)
    with torch.inference_mode(False), torch.no_grad(), layer.on(x):
        given = sampler.noises(x, sampler.draw(x) if noise is None else noise)
        layer.warm_up(lambda: sampler(x, given), warm_up)
        return Captured(sampler, x, given, steps, layer)
