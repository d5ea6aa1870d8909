"""The few array operations that NumPy and torch spell differently, and the precision in which mixtures are evaluated.

Posterior weights are differences of squared distances divided by sigma^2, so they are computed in float64 whatever the
precision of the sample, and only the result is rounded to it. The casts are differentiable.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

Array = Any
"""A NumPy array or a torch tensor."""


def is_torch(x: object) -> bool:
    """Tell whether `x` is a torch tensor, without importing torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(x, torch.Tensor)


def widen(x: Any, dimension: int) -> tuple[Array, Callable[[Array], Array]]:
    """Return `x` in float64 (or wider) and a function that rounds a result to the dtype of `x`.

    Raises
    ------
    ValueError
        If the last axis of `x` is not the `dimension` of the problem.
    TypeError
        If `x` is not real.
    """
    shape = tuple(np.shape(x))
    if not shape or shape[-1] != dimension:
        raise ValueError(f"x has shape {shape}, but its last axis must be the dimension {dimension} of the problem")
    if is_torch(x):
        torch, dtype = sys.modules["torch"], x.dtype
        _check_real(dtype, dtype.is_complex)
        return x.to(torch.float64), lambda y: y.to(dtype) if dtype.is_floating_point else y
    x = np.asarray(x)
    dtype = x.dtype if x.dtype.kind == "f" else np.dtype(np.float64)
    _check_real(x.dtype, x.dtype.kind not in "fiub")
    return x.astype(np.result_type(dtype, np.float64), copy=False), lambda y: y.astype(dtype, copy=False)


def _check_real(dtype: object, bad: bool) -> None:
    if bad:
        raise TypeError(f"x must be real, not {dtype}; stack real and imaginary parts along the last axis")


def constant(array: np.ndarray, x: Array) -> Array:
    """Return `array` as float64 in the library and on the device of `x`."""
    if is_torch(x):
        torch = sys.modules["torch"]
        return torch.tensor(array, dtype=torch.float64, device=x.device)
    return array


def namespace(x: Array) -> Any:
    """Return the module, numpy or torch, whose functions take `x`."""
    return sys.modules["torch"] if is_torch(x) else np


def concatenate(parts: list[Array]) -> Array:
    """Return the parts joined along the first axis."""
    return sys.modules["torch"].cat(parts) if is_torch(parts[0]) else np.concatenate(parts)


def logsumexp(x: Array) -> Array:
    """Return log sum exp over the last axis; -inf entries count as zero."""
    if is_torch(x):
        return sys.modules["torch"].logsumexp(x, -1)
    top = x.max(-1)
    return top + np.log(np.exp(x - top[..., None]).sum(-1))


def softmax(x: Array) -> Array:
    """Return exp(x) normalised over the last axis."""
    if is_torch(x):
        return sys.modules["torch"].softmax(x, -1)
    scaled = np.exp(x - x.max(-1, keepdims=True))
    return scaled / scaled.sum(-1, keepdims=True)
