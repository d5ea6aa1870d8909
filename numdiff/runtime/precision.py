"""Low precision: which dtype the combinations sum in, and which the sample is kept in.

A sample in bfloat16 has 8 bits, and a step changes it by a few per cent, so that rounding the sample at every step may
cost more than the solver's error. Two remedies cost no evaluation of the model:

- ``accumulate="float32"``: a row is summed in float32 and rounded once. What is stored stays low, so the sample is
  still rounded once a step;
- ``state="float32"``: whatever the run makes itself (the sample, a velocity, a converted prediction) stays in float32,
  and is rounded only for the model, whose answers stay low. The last sample is returned in the dtype of the first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from numdiff._names import suggest

WIDE = {"float32": torch.float32, "float64": torch.float64}


def dtype(name: str | None, what: str) -> torch.dtype | None:
    """Return the dtype called "float32" or "float64", or None; `what` names the argument.

    Raises
    ------
    ValueError
        For another name.
    """
    if name is None:
        return None
    if name not in WIDE:
        suggest(name, WIDE, what)
    return WIDE[name]


def check(x: Tensor, wide: torch.dtype | None, what: str) -> None:
    """Raise unless a real sample `x` is at most as precise as `wide`, which `what` names."""
    if wide is None:
        return
    if x.is_complex():
        raise ValueError(f"{what}={str(wide)[6:]!r} is for real samples, got {x.dtype}; leave it out")
    if torch.finfo(x.dtype).bits > torch.finfo(wide).bits:
        raise ValueError(f"{what}={str(wide)[6:]!r} is less precise than the sample, {x.dtype}; leave it out")


def error(run: Callable[[Any], Tensor], low: Tensor) -> float:
    """Return the relative error, in the root mean square, of a run in low precision.

    Parameters
    ----------
    run
        ``run(x)`` samples from x in whatever dtype x has, with the model in the same dtype.
    low
        The initial sample in the low precision; the reference starts from the same numbers in float64.
    """
    reference = run(low.double())
    return float((run(low).double() - reference).norm() / reference.norm())
