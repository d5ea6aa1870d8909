"""Linear combinations of tensors: `plain` torch operations, one `compiled` pass, one pass of a Triton kernel.

All of them form out = sum_j c_j x_j + bias and differ in how often they pass over memory. torch's own operations read
and write the partial sums, 3k - 1 passes for k terms where k + 1 would do. While the tensors fit into the cache that
hardly counts and what counts is the overhead of a call: 2-3 microseconds for each of torch's operations, 40 for a
function that `torch.compile` made. Measured on a CPU, three terms in float32 (`python -m benchmarks.bandwidth`):

================ ============ ===========
elements          plain, us   compiled, us
================ ============ ===========
16 thousand               10           45
1 million                800          900
4 million               6100         3700
================ ============ ===========

The compiled pass wins from about 2 million elements on, but every number of terms and dtype costs some seconds of a C++
compiler, once a process, which many runs never earn back: on the CPU `chosen` takes plain operations unless asked for
"compiled". Where the compiler is missing or fails, "compiled" warns once and is plain too. Into memory that the run
owns (`Sampler` with ``reuse=True``) 17 million elements take 1.0 to 1.2 times what the bandwidth of the memory allows
compiled, plain operations 1.4 to 1.7 times, and plain ones into fresh memory, which the system has to hand out page by
page, 3 to 4 times. ``torch._foreach_*`` works on lists of tensors and a row has one result: it makes the same passes,
with 1-2 microseconds more for the lists.

On CUDA the Triton kernel is taken from `LARGE` elements on. That has not been measured: a launch of the kernel from
Python is expected to cost some tens of microseconds more than the two or three launches of torch that it replaces, and
four passes less over 4 million float32 numbers, 67 MB, save about as much at 2-3 TB/s. In a CUDA graph launches cost
next to nothing, and ``combine="triton"`` should win at smaller sizes.

**Precision.** With ``wide`` the sum is formed in that dtype and rounded once, to `dtype`. Without it each of torch's
operations rounds to the tensors' dtype; the other two always sum in float32 at the least.

**Memory.** With ``out`` the result is written there; it may be the first tensor, and none of the others. All of them
keep the order of the axes in memory (channels-last stays channels-last).
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
import sysconfig
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from itertools import count
from pathlib import Path
from types import FunctionType
from typing import Any

import torch
from torch import Tensor

from numdiff._names import suggest

Combination = Callable[..., Tensor]

NAMES = ("plain", "compiled", "triton")
LARGE = 2**22
"""Elements from which on the Triton kernel is taken on CUDA; reasoned, not measured."""


def plain(
    xs: Sequence[Tensor],
    coefficients: Sequence[float],
    *,
    dtype: torch.dtype,
    bias: float = 0.0,
    wide: torch.dtype | None = None,
    out: Tensor | None = None,
    scratch: Tensor | None = None,
) -> Tensor:
    """Return sum_j c_j x_j + bias by torch's operations.

    Parameters
    ----------
    xs, coefficients
        Tensors of one shape and as many floats, of which the first may be a 0-d tensor on the host.
    dtype
        Of the result.
    bias
        Added to every element.
    wide
        The dtype of the sum, `dtype` by default.
    out
        Where to write the result; the first tensor at most shares its memory.
    scratch
        With `out` in a narrower dtype than the sum's: where to form it.
    """
    kind = wide or dtype
    total, taken = _begin(xs, coefficients, kind, out if out is not None and out.dtype == kind else scratch)
    for x, c in zip(xs[taken:], coefficients[taken:], strict=True):
        total.add_(x, alpha=c)
    if bias:
        total.add_(bias)
    if out is None or out is total:
        return total if kind == dtype else total.to(dtype)
    return out.copy_(total)


def _begin(
    xs: Sequence[Tensor], coefficients: Sequence[float], kind: torch.dtype, into: Tensor | None
) -> tuple[Tensor, int]:
    """Return the sum of the first terms in `kind`, in memory of its own, and how many terms those are."""
    x, c = xs[0], coefficients[0]
    if x.dtype != kind:  # a copy in the wide dtype first, so that the product is not rounded
        return (x.to(kind) if into is None else into.copy_(x)).mul_(c), 1
    if type(c) is float and c == 1.0 and len(xs) > 1:
        return torch.add(x, xs[1], alpha=coefficients[1], out=into), 2
    return torch.mul(x, c, out=into), 1


def compiled(
    xs: Sequence[Tensor],
    coefficients: Sequence[float],
    *,
    dtype: torch.dtype,
    bias: float = 0.0,
    wide: torch.dtype | None = None,
    out: Tensor | None = None,
    scratch: Tensor | None = None,
) -> Tensor:
    """Return sum_j c_j x_j + bias in one pass of a function made by `torch.compile`, on the CPU; as `plain` otherwise.

    It is compiled once for each number of terms and dtype, which takes seconds; tensors that are not dense in memory,
    all in the same way, are combined by `plain`, and all of them once a compilation has failed.
    """
    options: dict[str, Any] = {"dtype": dtype, "bias": bias, "wide": wide, "out": out, "scratch": scratch}
    if not (_dense_alike(xs, out) and xs[0].device.type == "cpu"):
        return plain(xs, coefficients, **options)
    own = out is not None and out.data_ptr() == xs[0].data_ptr()  # given once: a compiler copies what may be an alias
    given = xs if out is None else (*xs, out)
    mode = (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), *(x.is_inference() for x in given))
    variant = (tuple(x.dtype for x in xs), dtype, wide or _sum_dtype(dtype), out is None, own, mode)
    if variant not in _variants:
        if _failures:
            return plain(xs, coefficients, **options)
        _variants[variant] = (_fresh if out is None else _written)(*variant[1:3])
    kind, flat = variant[2], [_flat(x) for x in xs]
    numbers = torch.tensor([bias, *coefficients], dtype=kind)
    try:
        if out is None:
            return _variants[variant](numbers, flat).as_strided(xs[0].shape, xs[0].stride())
        _variants[variant](numbers, flat[0] if own else _flat(out), flat[1:] if own else flat, own)
    except Exception as error:  # of whatever kind: compilers, linkers and their caches have many
        del _variants[variant]
        _failed(error)
        return plain(xs, coefficients, **options)
    return out


_variants: dict[Any, Callable[..., Any]] = {}
"""The compiled functions, by what torch would compile the same function again for."""

_failures: list[Exception] = []


def _failed(error: Exception) -> None:
    """Warn of the first compilation that fails; none is tried afterwards."""
    if not _failures:
        reason = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"
        warnings.warn(
            f'combine="compiled" is plain from now on, since torch.compile failed ({reason:.200}); '
            "leave combine out, or see that a C++ compiler works (the variable CXX names it)",
            RuntimeWarning,
            stacklevel=3,
        )
    _failures.append(error)


_numbers = count()


def with_own_code(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return `function` with a code object of its own.

    torch counts how often it compiles a *code object* and refuses after ``torch._dynamo.config.recompile_limit`` times,
    and functions that one ``def`` made share theirs.
    """
    assert isinstance(function, FunctionType)
    code = function.__code__.replace(co_name=f"{function.__name__}_{next(_numbers)}")
    made = FunctionType(code, function.__globals__, function.__name__, function.__defaults__, function.__closure__)
    made.__kwdefaults__ = function.__kwdefaults__
    return made


def _fresh(dtype: torch.dtype, kind: torch.dtype) -> Callable[..., Tensor]:
    """Return a function to be compiled for the sum of flat tensors."""

    def combine(numbers: Tensor, xs: Sequence[Tensor]) -> Tensor:
        total = numbers[0] + numbers[1] * xs[0].to(kind)
        for n, x in enumerate(xs[1:], 2):
            total = total + numbers[n] * x.to(kind)
        return total.to(dtype)

    made: Callable[..., Tensor] = torch.compile(with_own_code(combine), fullgraph=True, dynamic=True)
    return made


def _written(dtype: torch.dtype, kind: torch.dtype) -> Callable[..., None]:
    """Return a function to be compiled for the sum written to `out`; `own` says that this is the first tensor."""

    def combine(numbers: Tensor, out: Tensor, xs: Sequence[Tensor], own: bool) -> None:
        total = numbers[0]
        for n, x in enumerate((out, *xs) if own else xs, 1):
            total = total + numbers[n] * x.to(kind)
        out.copy_(total.to(dtype))

    made: Callable[..., None] = torch.compile(with_own_code(combine), fullgraph=True, dynamic=True)
    return made


def triton(
    xs: Sequence[Tensor],
    coefficients: Sequence[float],
    *,
    dtype: torch.dtype,
    bias: float = 0.0,
    wide: torch.dtype | None = None,
    out: Tensor | None = None,
    scratch: Tensor | None = None,
) -> Tensor:
    """Return sum_j c_j x_j + bias in one pass of a Triton kernel, summed in float32; as `plain` where it has none.

    The kernel takes up to eight tensors that are dense in memory in the same way, and no float64.
    """
    from numdiff.runtime import kernel

    wider = torch.float64 in (dtype, wide) or dtype.is_complex or any(x.dtype == torch.float64 for x in xs)
    followed = torch.is_grad_enabled() and any(x.requires_grad for x in xs)  # the kernel has no gradient
    if wider or followed or len(xs) > kernel.MOST or not _dense_alike(xs, out):
        return plain(xs, coefficients, dtype=dtype, bias=bias, wide=wide, out=out, scratch=scratch)
    made = torch.empty_strided(xs[0].shape, xs[0].stride(), dtype=dtype, device=xs[0].device) if out is None else out
    kernel.launch(made, xs, coefficients, bias)
    return made


def _sum_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype that a fused pass sums in: float32 at the least."""
    return torch.float32 if dtype in (torch.float16, torch.bfloat16) else dtype


def _dense_alike(xs: Sequence[Tensor], out: Tensor | None) -> bool:
    """Tell whether all tensors fill their memory in the same order, so that they can be read as vectors."""
    first = xs[0]
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}.get(first.ndim, torch.contiguous_format)
    dense = first.is_contiguous() or first.is_contiguous(memory_format=formats)
    others = xs[1:] if out is None else (*xs[1:], out)
    return dense and all(x.shape == first.shape and x.stride() == first.stride() for x in others)


def _flat(x: Tensor) -> Tensor:
    return x.as_strided((x.numel(),), (1,))


def compilers() -> tuple[bool, bool]:
    """Tell whether there is what `torch.compile` needs on the CPU (a C++ compiler, Python's headers), and Triton."""
    return _compiles(), _triton_is_there()


@cache
def _compiles() -> bool:
    headers = Path(sysconfig.get_paths()["include"]) / "Python.h"
    return headers.is_file() and any(shutil.which(name) for name in ("g++", "clang++", "c++"))


@cache
def _triton_is_there() -> bool:
    return "triton" in sys.modules or importlib.util.find_spec("triton") is not None


def chosen(name: str | None, x: Tensor) -> Combination:
    """Return the combination called `name`, or by default what the module says for tensors like `x`.

    Raises
    ------
    ValueError
        For an unknown name, and for "triton" without Triton or away from CUDA, "compiled" away from the CPU.
    """
    if torch.compiler.is_compiling():
        return plain  # which a compiler sees through: it fuses more than one row
    if name is None:
        return _usual(x)
    if name not in NAMES:
        suggest(name, NAMES, "combination")
    if name == "compiled" and x.device.type != "cpu":
        raise ValueError(f'combine="compiled" is for samples on the CPU, got one on {x.device}; leave combine out')
    if name == "triton" and not (x.device.type == "cuda" and _triton_is_there()):
        raise ValueError(
            f'combine="triton" needs Triton and a sample on CUDA, got one on {x.device}; leave combine out'
        )
    return {"plain": plain, "compiled": compiled, "triton": triton}[name]


def _usual(x: Tensor) -> Combination:
    """Return "triton" for large tensors on CUDA, "plain" otherwise."""
    if type(x) is not Tensor or x.dtype.is_complex or torch.is_grad_enabled():
        return plain
    return triton if x.device.type == "cuda" and x.numel() >= LARGE and _triton_is_there() else plain
