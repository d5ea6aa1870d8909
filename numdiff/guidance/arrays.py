"""Arrays of either library, and the batches that conditions are joined into."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from numdiff.elementary import kind

Array = Any


def namespace(x: Array) -> Any:
    """Return the library of an array: NumPy or torch.

    Raises
    ------
    TypeError
        If `x` belongs to neither.
    """
    which = kind(x) if hasattr(x, "dtype") else None
    if which not in ("numpy", "torch"):
        raise TypeError(f"x must be a NumPy array or a torch tensor, got {type(x).__name__}; convert it")
    return np if which == "numpy" else sys.modules["torch"]


def concatenate(parts: Sequence[Array]) -> Array:
    """Return arrays of one library joined along axis 0."""
    return namespace(parts[0]).concatenate(list(parts))


def per_sample(value: Any, x: Array) -> Any:
    """Return a number as it is, and an array of one number for each sample shaped to multiply `x`, in its dtype.

    Raises
    ------
    TypeError, ValueError
        If an array is of another library than `x`, or has another shape than (len(x),).
    """
    if not getattr(value, "ndim", 0):
        return value
    if kind(value) != kind(x):
        raise TypeError(
            f"scale is a {kind(value)} array and the samples are {kind(x)}'s; convert it, such as by torch.as_tensor"
        )
    if tuple(value.shape) != (len(x),):
        raise ValueError(
            f"scale must be one number or one for each of {len(x)} samples, got shape {tuple(value.shape)}"
        )
    value = value.reshape(-1, *(1,) * (x.ndim - 1))
    return value.astype(x.dtype) if kind(x) == "numpy" else value.to(x.dtype)


def join(parts: Sequence[Any], x: Array, name: str = "condition") -> Any:
    """Return conditions as one: arrays, and numbers as one entry a sample, joined along axis 0, structures kept.

    Parameters
    ----------
    parts
        Conditions of the same structure: None, numbers, arrays whose axis 0 has len(x) entries or one, and dicts,
        tuples and lists of these. Anything else must be equal in all of them, and is kept.
    x
        The samples that each of them is for.
    name
        What the part is called in messages.

    Raises
    ------
    TypeError, ValueError
        If they have different structures, or cannot be joined.
    """
    first = parts[0]
    if isinstance(first, Mapping):
        _alike(all(isinstance(p, Mapping) and p.keys() == first.keys() for p in parts), name, "keys")
        return {key: join([p[key] for p in parts], x, f"{name}[{key!r}]") for key in first}
    if isinstance(first, (tuple, list)):
        _alike(all(type(p) is type(first) and len(p) == len(first) for p in parts), name, "lengths")
        made = [join([p[i] for p in parts], x, f"{name}[{i}]") for i in range(len(first))]
        return type(first)(*made) if hasattr(first, "_fields") else type(first)(made)
    if all(_joinable(p) for p in parts):
        return _concatenated([_rows(p, x, name) for p in parts], name)
    _alike(not any(hasattr(p, "shape") for p in parts) and all(p == first for p in parts), name, "kinds or values")
    return first


def _alike(good: bool, name: str, what: str) -> None:
    if not good:
        raise TypeError(f"{name} has different {what} in the conditions, so they make no batch; pass batched=False")


def _joinable(part: Any) -> bool:
    return hasattr(part, "shape") or (isinstance(part, (int, float)) and not isinstance(part, bool))


def _rows(part: Any, x: Array, name: str) -> Array:
    """Return one row of a condition for each sample."""
    n = len(x)
    if not hasattr(part, "shape"):
        xp = namespace(x)
        where = {} if xp is np else {"device": x.device}
        dtype = {"dtype": x.dtype} if isinstance(part, float) else {}
        return xp.full((n,), part, **dtype, **where)
    shape = tuple(part.shape)
    if shape[:1] == (n,):
        return part
    if shape[:1] in ((), (1,)):
        target = (n, *shape[1:])
        return np.broadcast_to(part, target) if namespace(part) is np else part.expand(target)
    raise ValueError(f"{name} has shape {shape}, for {n} samples; its axis 0 must have {n} entries, or one")


def _concatenated(rows: list[Array], name: str) -> Array:
    kinds = {(namespace(row).__name__, str(row.dtype), tuple(row.shape[1:])) for row in rows}
    if len(kinds) > 1:
        found = ", ".join(f"{tuple(row.shape)} {row.dtype}" for row in rows)
        raise ValueError(f"{name} differs in shape or dtype ({found}); pad or cast it, or pass batched=False")
    return concatenate(rows)
