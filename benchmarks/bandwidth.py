"""Bytes that a step moves against what the memory can do.

A combination of k tensors must read k and write one. The device's bandwidth is measured beside it in the same rounds:
a copy (one read, one written) and torch's triad ``a + c b`` into given memory (two read, one written); the better of
the two is the limit. "passes" divides the time of a step by the time that its least traffic takes at that bandwidth:
1 is the limit, and the aim is 1.3 where these arrays fit into no cache.

The rows are the steps of methods with k - 1 evaluations of history; the ways are those of `numdiff.runtime.fused`, into
memory that the run owns.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from benchmarks.harness import Report, clock, interleaved, main, spread, synchronize, times
from numdiff.runtime import fused

SHAPES = ((1, 4, 64, 64), (16, 4, 128, 128), (16, 4, 512, 512))
TERMS = {2: "DDIM", 3: "AB2", 5: "AB4"}
AIM = 1.3
TURN = 0.02
"""Seconds that a contestant's turn lasts at least."""


LARGE = 2**26
"""Bytes of a step from which on it fits into no cache, and the aim holds."""


def timed(function: Callable[[], Any], device: str) -> float:
    """Return the seconds of a call, from calls in a row without waiting between them."""
    elapsed, calls, together, now = 0.0, 0, 1, clock(device)
    while elapsed < TURN:
        synchronize(device)
        start = now()
        for _ in range(together):
            function()
        synchronize(device)
        elapsed, calls, together = elapsed + now() - start, calls + together, 2 * together
    return elapsed / calls


def ways(k: int, shape: tuple[int, ...], dtype: torch.dtype, device: str) -> dict[str, Callable[[], Any]]:
    """Return the combinations of k tensors and the two measures of the memory."""
    xs = [torch.randn(shape).to(device, dtype) for _ in range(k)]
    out, coefficients = torch.empty_like(xs[0]), tuple(0.9 / (j + 1) for j in range(k))
    names = ["plain", *(["compiled"] if device == "cpu" and fused.compilers()[0] else [])]
    names += ["triton"] if device != "cpu" and fused.compilers()[1] else []
    made = {name: partial(fused.chosen(name, xs[0]), xs, coefficients, dtype=dtype, out=out) for name in names}  # type: dict[str, Callable[[], Any]]
    made["fresh"] = partial(fused.plain, xs, coefficients, dtype=dtype)
    made["copy"] = partial(out.copy_, xs[0])
    made["triad"] = lambda: torch.add(xs[0], xs[1], alpha=0.5, out=out)
    return {name: partial(timed, function, device) for name, function in made.items()}


def row(k: int, measured: dict[str, np.ndarray], size: int, names: tuple[str, ...]) -> tuple[list[str], dict[str, Any]]:
    """Return the table's row and its numbers."""
    seconds = {name: float(np.median(values)) for name, values in measured.items()}
    limit = max(2 * size / seconds["copy"], 3 * size / seconds["triad"])
    least = (k + 1) * size / limit
    passes = {name: seconds[name] / least for name in names if name in measured}
    best = min(passes, key=lambda name: passes[name])
    cells = [f"{spread(measured[n])}, {times(passes[n])}" if n in measured else "" for n in names]
    found = [
        f"{TERMS[k]}, {k} terms",
        f"{limit / 1e9:.3g}",
        *cells,
        f"{best} {times(passes[best], AIM if (k + 1) * size >= LARGE else None)}",
    ]
    return found, {"limit": limit, "least": least, **measured}


def run(rounds: int, device: str = "cpu") -> list[Report]:
    """Measure every number of terms on every size, in float32 and bfloat16."""
    torch.set_num_threads(1)
    names = ("fresh", "plain", "compiled") if device == "cpu" else ("fresh", "plain", "triton")
    columns = ("step", "limit, GB/s", *(f"{name}, us" for name in names), "best")
    note = (
        f"Microseconds of a combination on {device}, median (quartiles), and how many times the least traffic at the "
        'measured bandwidth takes. "fresh" is plain with memory made anew.'
    )
    reports = []
    for dtype in (torch.float32, torch.bfloat16):
        for shape in SHAPES:
            size = int(np.prod(shape)) * dtype.itemsize
            with torch.no_grad():
                found = {k: interleaved(ways(k, shape, dtype, device), rounds) for k in TERMS}
            rows = {k: row(k, measured, size, names) for k, measured in found.items()}
            name = f"Bandwidth, {str(dtype)[6:]} state {'x'.join(map(str, shape))}"
            data = {TERMS[k]: numbers for k, (_, numbers) in rows.items()}
            reports.append(Report(name, note, columns, [cells for cells, _ in rows.values()], data))
    return reports


if __name__ == "__main__":
    main(run, 9, ("torch",), __doc__, devices=True)
