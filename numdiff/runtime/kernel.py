"""A Triton kernel for a linear combination of up to eight tensors: each is read once, the result is written once.

Everything is summed in float32. The tensors are read as vectors, so they must be dense in memory in the same order.
Only `numdiff.runtime.fused` imports this module, where Triton and CUDA are there. It has not been run where it was
written; ``python -m benchmarks.bandwidth --device cuda`` measures it, and ``pytest tests/runtime`` tests it, on a
machine that has both.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

MOST = 8
"""Largest number of tensors."""

BLOCK = 1024


@triton.jit
def _combine(  # type: ignore[no-untyped-def]  # pointers and numbers of a language of their own
    out, x0, x1, x2, x3, x4, x5, x6, x7, c0, c1, c2, c3, c4, c5, c6, c7, bias, n, K: tl.constexpr, SIZE: tl.constexpr
):
    """See the module."""
    at = tl.program_id(0).to(tl.int64) * SIZE + tl.arange(0, SIZE)
    inside = at < n
    total = tl.load(x0 + at, mask=inside).to(tl.float32) * c0 + bias
    if K > 1:
        total += tl.load(x1 + at, mask=inside).to(tl.float32) * c1
    if K > 2:
        total += tl.load(x2 + at, mask=inside).to(tl.float32) * c2
    if K > 3:
        total += tl.load(x3 + at, mask=inside).to(tl.float32) * c3
    if K > 4:
        total += tl.load(x4 + at, mask=inside).to(tl.float32) * c4
    if K > 5:
        total += tl.load(x5 + at, mask=inside).to(tl.float32) * c5
    if K > 6:
        total += tl.load(x6 + at, mask=inside).to(tl.float32) * c6
    if K > 7:
        total += tl.load(x7 + at, mask=inside).to(tl.float32) * c7
    tl.store(out + at, total.to(out.dtype.element_ty), mask=inside)


def launch(out: Tensor, xs: Sequence[Tensor], coefficients: Sequence[float], bias: float) -> None:
    """Write sum_j c_j x_j + bias to `out`; all are dense and laid out alike, `out` at most the first of them."""
    n, spare = out.numel(), MOST - len(xs)
    blocks = (triton.cdiv(n, BLOCK),)
    numbers = (*coefficients, *(0.0,) * spare)
    with torch.cuda.device_of(out):  # Triton launches on the current device, which may be another
        _combine[blocks](out, *xs, *(xs[0],) * spare, *numbers, bias, n, K=len(xs), SIZE=BLOCK)
