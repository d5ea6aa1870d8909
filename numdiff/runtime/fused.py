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

so `chosen` takes the compiled one from 2 million elements on where a C++ compiler is there, and below that the plain
one; the first such run waits some seconds for the compiler. Into memory that the run owns (`Sampler` with
``reuse=True``) 17 million elements take 1.0 to 1.2 times what the bandwidth of the memory allows, plain operations
1.4 to 1.7 times, and plain ones into fresh memory, which the system has to hand out page by page, 3 to 4 times.
``torch._foreach_*`` works on lists of tensors and a row has one result: it makes the same passes, with 1-2 microseconds
more for the lists. On CUDA the Triton kernel is taken where it applies; that has not been timed here.

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
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from numdiff._names import suggest

Combination = Callable[..., Tensor]

NAMES = ("plain", "compiled", "triton")
LARGE = 2**21
"""Elements from which on a compiled pass wins on a CPU."""


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
    all in the same way, are combined by `plain`.
    """
    if not (_dense_alike(xs, out) and xs[0].device.type == "cpu"):
        return plain(xs, coefficients, dtype=dtype, bias=bias, wide=wide, out=out, scratch=scratch)
    kind = wide or _sum_dtype(dtype)
    numbers = torch.tensor([bias, *coefficients], dtype=kind)
    flat = [_flat(x) for x in xs]
    if out is None:
        return _fresh(dtype, kind)(numbers, flat).as_strided(xs[0].shape, xs[0].stride())
    own = out.data_ptr() == xs[0].data_ptr()  # one tensor for it, not two: a compiler copies what may be an alias
    _written(dtype, kind)(numbers, flat[0] if own else _flat(out), flat[1:] if own else flat, own)
    return out


@cache
def _fresh(dtype: torch.dtype, kind: torch.dtype) -> Callable[..., Tensor]:
    """Return the compiled sum of flat tensors; torch makes one for each number of tensors and their dtypes."""

    def combine(numbers: Tensor, xs: Sequence[Tensor]) -> Tensor:
        total = numbers[0] + numbers[1] * xs[0].to(kind)
        for n, x in enumerate(xs[1:], 2):
            total = total + numbers[n] * x.to(kind)
        return total.to(dtype)

    made: Callable[..., Tensor] = torch.compile(combine, fullgraph=True, dynamic=True)
    return made


@cache
def _written(dtype: torch.dtype, kind: torch.dtype) -> Callable[..., None]:
    """Return the compiled sum of flat tensors, written to `out`; `own` says that this is the first of them."""

    def combine(numbers: Tensor, out: Tensor, xs: Sequence[Tensor], own: bool) -> None:
        total = numbers[0]
        for n, x in enumerate((out, *xs) if own else xs, 1):
            total = total + numbers[n] * x.to(kind)
        out.copy_(total.to(dtype))

    made: Callable[..., None] = torch.compile(combine, fullgraph=True, dynamic=True)
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
    """Return the combination called `name`, or by default the one that won the measurements for tensors like `x`.

    Raises
    ------
    ValueError
        For an unknown name, and for "triton" without Triton or away from CUDA, "compiled" away from the CPU.
    """
    if torch.compiler.is_compiling():
        return plain  # which a compiler sees through: it fuses more than one row
    if name is None:
        return _fastest(x)
    if name not in NAMES:
        suggest(name, NAMES, "combination")
    if name == "compiled" and x.device.type != "cpu":
        raise ValueError(f'combine="compiled" is for samples on the CPU, got one on {x.device}; leave combine out')
    if name == "triton" and not (x.device.type == "cuda" and _triton_is_there()):
        raise ValueError(
            f'combine="triton" needs Triton and a sample on CUDA, got one on {x.device}; leave combine out'
        )
    return {"plain": plain, "compiled": compiled, "triton": triton}[name]


def _fastest(x: Tensor) -> Combination:
    if type(x) is not Tensor or x.dtype.is_complex or torch.is_grad_enabled():
        return plain
    if x.device.type == "cuda" and _triton_is_there():
        return triton
    if x.device.type == "cpu" and x.numel() >= LARGE and compilers()[0]:
        return compiled
    return plain
