"""A whole run as one module: the scheme's operations in a straight line, between the evaluations of the model.

There is no machine in it, no question and no check of values, so nothing that depends on data and nothing that waits
for a device: ``sampler.compiled()`` makes one compiled graph of it, model included, and `numdiff.runtime.captured` a
CUDA graph. ``torch.compile(sampler, fullgraph=True)`` works as well, for up to eight samplers in a process: all of them
share the code of `Sampler.forward`, and torch refuses to compile one code more than
``torch._dynamo.config.recompile_limit`` times (raise it, or call ``torch.compiler.reset()``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from numdiff._names import suggest
from numdiff.drivers import program
from numdiff.drivers_checks import answers_by_tag, check_generator, check_sampling, predicted
from numdiff.executor_native import dtype_of, factors
from numdiff.methods.checks import choice
from numdiff.methods.scheme import Scheme
from numdiff.noise import from_generator
from numdiff.runtime import fused, precision
from numdiff.runtime.straight import Evaluation, Line, Operation, Sum, straight

Model = Callable[[Tensor, Any], Tensor]


class Sampler(torch.nn.Module):
    """A scheme and a model as one module: called with x_T it returns x_0, like `numdiff.sample` to rounding.

    Parameters
    ----------
    scheme
        What `Method.discretize` returned, on a grid that runs from noise to data, with plain numbers as coefficients.
    model
        ``model(x, t)`` returns the prediction, of the shape, dtype and device of x.
    prediction, fields
        As in `numdiff.sample`. The model is the attribute ``model``, the field with the tag "condition" is
        ``field_condition``; modules among them are submodules, so that ``sampler.to`` moves them, and what is assigned
        to these attributes (``sampler.model = torch.compile(sampler.model)``) is what runs.
    accumulate
        "float32": sum every combination in float32 and round it once, for samples in bfloat16 or float16.
    state
        "float32": keep what the run makes itself in float32, and round it for the model only; see
        `numdiff.runtime.precision`.
    times
        How the model is given its time: "float", a Python number, or "tensor", a 0-d float32 tensor on the sampler's
        device (``sampler.to(device)``), for networks that would make a tensor of a number in every call. The network
        then sees the time rounded to float32, which moves a run in float64 by some 1e-8.
    combine
        How combinations are formed: "plain", "compiled" or "triton"; see `numdiff.runtime.fused`. By default "plain" on
        the CPU, where "compiled" is faster on millions of elements after seconds of compiling, and on CUDA "triton" for
        millions of elements, a choice that has not been measured.
    reuse
        Write combinations into a few buffers, made once a run, instead of fresh memory. The model must then return
        memory of its own, and nobody may keep what it was given: the next step is written over it. No gradients.
    copies
        True where the model re-uses its output buffer, as a network compiled with CUDA graphs does
        (``mode="reduce-overhead"``): its answers are copied.

    Raises
    ------
    ValueError, TypeError
        As `numdiff.sample`; for coefficients that are arrays or tensors, schemes made with ``start="exact"``, and
        precisions below the sample's.

    Examples
    --------
    >>> import torch
    >>> import numdiff as nd
    >>> schedule = nd.schedules.VPLinear()
    >>> scheme = nd.DPMSolverPP(2).discretize(schedule, nd.grids.uniform_log_snr(schedule, 8))
    >>> sampler = nd.runtime.Sampler(scheme, lambda x, t: 0.5 * x, prediction="data")
    >>> x_T = torch.linspace(-2, 2, 6, dtype=torch.float64).reshape(3, 2)
    >>> usual = nd.sample(scheme, sampler.model, x_T, prediction="data")
    >>> bool(torch.allclose(sampler(x_T), usual, rtol=1e-13))
    True
    """

    def __init__(
        self,
        scheme: Scheme,
        model: Model,
        *,
        prediction: Any = None,
        fields: Mapping[str, Model] | None = None,
        accumulate: str | None = None,
        state: str | None = None,
        times: str = "float",
        combine: str | None = None,
        reuse: bool = False,
        copies: bool = False,
    ) -> None:
        super().__init__()
        check_sampling(scheme)
        if scheme.exact_starts:
            raise ValueError('a sampler has no exact samples to start from; discretize with start="runge-kutta"')
        if accumulate is not None and state is not None:
            raise ValueError("state= sums in its precision already: leave accumulate= out")
        if combine is not None and combine not in fused.NAMES:
            suggest(combine, fused.NAMES, "combination")
        self.scheme, self.reuse, self.copies, self._combine = scheme, reuse, copies, combine
        with torch.inference_mode(False), torch.enable_grad():  # else gradients of coefficients would be lost silently
            self.line: Line = straight(program(scheme, predicted(model, prediction)))
        self._wide, self._state = precision.dtype(accumulate, "accumulate"), precision.dtype(state, "state")
        self._names = {}
        for tag, field in answers_by_tag(scheme, model, fields).items():
            self._names[tag] = f"field_{tag}" if tag else "model"
            setattr(self, self._names[tag], field)  # a submodule, if it is a module
        as_tensor = choice("times", times, ("float", "tensor")) == "tensor"
        self._factors: dict[torch.dtype, dict[int, tuple[Any, ...]]] = {}
        self._clock = torch.tensor(self.line.times, dtype=torch.float32) if as_tensor else None

    def forward(self, x: Tensor, noise: Tensor | Sequence[Tensor] | None = None, *, generator: Any = None) -> Tensor:
        """Return the sample.

        Parameters
        ----------
        x
            The initial sample x_T, shape (...), floating; it decides dtype and device and is not written to.
        noise
            For schemes that add noise: standard normal tensors like x, ``len(sampler.line.noises)`` of them or one
            tensor of shape (that many, ...); `draw` makes them.
        generator
            Instead of `noise`, a ``torch.Generator`` or a source of `numdiff.noise` (not inside ``torch.compile``).

        Returns
        -------
        Tensor
            x_0, of the shape, dtype, device and memory format of `x`.
        """
        values = self.begin(x, self.noises(x, noise, generator))
        self.advance(self.line.operations, values, x.dtype, self.memory(x))
        return self.end(values, x.dtype)

    def compiled(self, **options: Any) -> Callable[..., Tensor]:
        """Return the run as one compiled graph, a function of (x, noise).

        Parameters
        ----------
        **options
            Of ``torch.compile``, such as ``mode`` or ``backend``; ``fullgraph`` is True unless given.
        """

        def sampler(x: Tensor, noise: Tensor | Sequence[Tensor] | None = None) -> Tensor:
            return self.forward(x, noise)

        made: Callable[..., Tensor] = torch.compile(fused.with_own_code(sampler), **{"fullgraph": True, **options})
        return made

    def noises(self, x: Tensor, noise: Any = None, generator: Any = None) -> tuple[Tensor, ...]:
        """Return the noises of a run from `x` as tensors, from what `forward` was given.

        Raises
        ------
        ValueError, TypeError
            If both are given, or `noise` is neither a sequence of tensors nor a tensor of shape (their number, ...).
        """
        check_sample(x)
        if generator is not None:
            if noise is not None:
                raise ValueError("give generator or noise, not both")
            return self.draw(x, generator)
        count = len(self.line.noises)
        if noise is not None and not isinstance(noise, (Tensor, Sequence)):
            raise TypeError(
                f"noise must be the standard normal tensors themselves, got {type(noise).__name__}; give a generator "
                "or a source such as numdiff.noise.Seeded(0) as generator=, or noise=sampler.draw(x, source)"
            )
        if isinstance(noise, Tensor) and tuple(noise.shape) != (count, *x.shape):
            raise ValueError(
                f"noise has shape {tuple(noise.shape)}, expected {(count, *x.shape)}: {self.scheme.method} adds "
                f"{count} noises like the sample on this grid; noise=sampler.draw(x) makes them"
            )
        given = () if noise is None else tuple(noise)
        if len(given) != count:
            wanted = "pass noise=sampler.draw(x, generator), or generator=" if count else "leave noise out"
            raise ValueError(f"{self.scheme.method} adds {count} noises on this grid, got {len(given)}; {wanted}")
        for n, z in enumerate(given):
            check_like(z, x, f"noise {n}")
        return given

    def begin(self, x: Tensor, noise: Sequence[Tensor] = ()) -> list[Any]:
        """Return the values that a run starts from; the noises are those that `noises` returned."""
        precision.check(x, self._wide, "accumulate")
        precision.check(x, self._state, "state")
        if self._clock is not None and self._clock.device != x.device:
            raise ValueError(f"the times are on {self._clock.device}, the sample on {x.device}; sampler.to the latter")
        first = x if self._state is None else x.to(self._state)
        return [first, *noise, *(None,) * (self.line.size - 1 - len(noise))]

    def advance(
        self, operations: Sequence[Operation], values: list[Any], low: torch.dtype, buffers: list[Tensor] | None = None
    ) -> None:
        """Make operations of the line; `values` are read, set, and let go after their last use."""
        answers = {tag: getattr(self, name) for tag, name in self._names.items()}
        first = values[operations[0].reads[0]]
        combine = fused.chosen(self._combine, first)
        dtype, wide = (low, self._wide) if self._state is None else (self._state, self._state)
        scaled = self._scaled(wide or dtype) if combine is fused.plain and dtype_of(first) else {}
        scratch = buffers[-1] if buffers and wide is not None and wide != dtype else None
        for op in operations:
            if isinstance(op, Evaluation):
                values[op.out] = self._evaluate(answers[op.tag], op, values[op.x], low)
            else:
                values[op.out] = combine(
                    [values[j] for j in op.reads],
                    scaled.get(op.out, op.coefficients),
                    dtype=dtype,
                    bias=op.bias,
                    wide=wide,
                    out=None if buffers is None else buffers[op.slot],
                    scratch=scratch,
                )
            for j in op.last:
                values[j] = None

    def end(self, values: Sequence[Any], low: torch.dtype) -> Tensor:
        """Return the sample of a run that is over."""
        sample: Tensor = values[self.line.result]
        return sample.to(low)

    def draw(self, x: Tensor, source: Any = None) -> tuple[Tensor, ...]:
        """Return the noises of a run from `x`, in the order in which `numdiff.sample` draws them.

        Parameters
        ----------
        x
            The initial sample.
        source
            A ``torch.Generator``, None for the default one, or a source of `numdiff.noise` such as ``Seeded(0)``.
        """
        if hasattr(source, "bind") and not isinstance(source, type):
            bound = source.bind(x, self.scheme)
        else:
            check_generator(source, x)
            bound = from_generator(x, source)
        return tuple(bound(index, column) for index, column in self.line.noises)

    def _evaluate(self, model: Model, op: Evaluation, x: Tensor, low: torch.dtype) -> Tensor:
        """Return the model's answer."""
        x = x if x.dtype == low else x.to(low)
        F = model(x, op.time if self._clock is None else self._clock[op.index])
        check_like(F, x, f"fields[{op.tag!r}]" if op.tag else "the model")
        F = F.clone() if self.copies else F
        if self.reuse and not torch.compiler.is_compiling():
            _check_memory(F, x)
        return F

    def _scaled(self, kind: torch.dtype) -> dict[int, tuple[Any, ...]]:
        """Return the coefficients of every combination, the first as the tensor that multiplies fastest."""
        if kind not in self._factors:
            factor = factors(kind if kind.is_floating_point else None)
            sums = [op for op in self.line.operations if isinstance(op, Sum)]
            self._factors[kind] = {op.out: (factor(op.coefficients[0]), *op.coefficients[1:]) for op in sums}
        return self._factors[kind]

    def memory(self, x: Tensor) -> list[Tensor] | None:
        """Return the memory of a run that owns its buffers; the last of them is for sums in another dtype."""
        if not self.reuse or torch.compiler.is_compiling():
            return None
        if torch.is_grad_enabled() and x.requires_grad:
            raise ValueError("reuse=True has no gradients, and the sample requires one; leave reuse out")
        dtype = self._state or x.dtype
        buffers = [torch.empty_like(x, dtype=dtype) for _ in range(self.line.slots)]
        if self._wide is not None and self._wide != dtype:
            buffers.append(torch.empty_like(x, dtype=self._wide))
        return buffers

    def _apply(self, fn: Callable[[Tensor], Tensor], *arguments: Any, **keywords: Any) -> Any:
        """Move the times with the module; they keep their dtype."""
        moved = super()._apply(fn, *arguments, **keywords)
        if self._clock is not None:
            self._clock = self._clock.to(fn(self._clock).device)
        return moved


def check_sample(x: Any) -> None:
    """Raise unless `x` is a tensor that torch can compute with in floating point."""
    if not isinstance(x, Tensor):
        raise TypeError(f"the sample must be a tensor, got {type(x).__name__}; numdiff.sample takes other arrays")
    if not (x.is_floating_point() or x.is_complex()) or x.dtype.itemsize < 2:
        raise TypeError(f"the sample must be floating, in 16 bits or more, got {x.dtype}; convert it, x.float()")


def _check_memory(F: Tensor, x: Tensor) -> None:
    """Raise unless `F`, the model's answer at `x`, stays what it is when `x` is written over."""
    mine, given = F.untyped_storage(), x.untyped_storage()  # without values, on "meta", their addresses say nothing
    shared = mine is given or (type(F) is Tensor and not F.is_meta and mine.data_ptr() == given.data_ptr() != 0)
    if shared or F.requires_grad:
        raise ValueError(
            "with reuse=True the model must return memory of its own, without gradients, and it returned "
            f"{'its argument or a view of it' if shared else 'a tensor with a gradient'}; "
            f"{'pass copies=True' if shared else 'sample under torch.no_grad()'}, or leave reuse out"
        )


def check_like(F: Any, x: Tensor, who: str) -> None:
    """Raise unless `F` is a tensor like `x`; nothing is read back from a device."""
    if isinstance(F, Tensor) and F.shape == x.shape and F.dtype == x.dtype and F.device == x.device:
        return
    if not isinstance(F, Tensor):
        raise TypeError(f"{who} is {type(F).__name__}; expected a tensor of shape {tuple(x.shape)}")
    named = (tuple(F.shape), tuple(x.shape), "shape"), (F.dtype, x.dtype, "dtype"), (F.device, x.device, "device")
    for found, wanted, what in named:
        if found != wanted:
            raise ValueError(f"{who} has {what} {found}, but the sample has {wanted}; convert one of them")
