"""What low precision costs: the error of a run in bfloat16 or float16 against the same run in float64.

The data are normal with variance 1/4, so that the network is known; it is evaluated in float64 and rounded to the dtype
of its argument, as a network in low precision would return it at best. "own" is the error of the method itself, in
float64 against the exact flow, on the same grid: rounding below it buys nothing. The other columns are
`numdiff.runtime.Sampler` as it is, with ``accumulate="float32"`` and with ``state="float32"``.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

import numdiff as nd
from benchmarks.harness import Report, main
from benchmarks.peers import STEPS
from numdiff.runtime import Sampler, precision

METHODS = (nd.DDIM(), nd.DPMSolverPP(2), nd.GHVB(3, 0.8), nd.UniPC(2))
VARIANCE = 0.25
OPTIONS: dict[str, dict[str, Any]] = {"plain": {}, "sums": {"accumulate": "float32"}, "state": {"state": "float32"}}
SCHEDULE = nd.schedules.VPLinear()


def spread_at(level: nd.Level) -> float:
    """Return the standard deviation of the sample at a level."""
    return math.sqrt(level.alpha**2 * VARIANCE + level.sigma**2)


def model(x: Tensor, t: Any) -> Tensor:
    """Return the expected noise, rounded once."""
    level = SCHEDULE.level(float(t))
    return (x.double() * (level.sigma / spread_at(level) ** 2)).to(x.dtype)


def errors(scheme: nd.Scheme, dtype: torch.dtype) -> dict[str, float]:
    """Return the method's own error and those of rounding, relative, in the root mean square."""
    x = torch.randn(10000, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)
    double = Sampler(scheme, model)
    exact = x.double() * (spread_at(scheme.levels[-1]) / spread_at(scheme.levels[0]))
    found = {"own": float((double(x.double()) - exact).norm() / exact.norm())}
    for name, options in OPTIONS.items():
        low = Sampler(scheme, model, **options)
        found[name] = precision.error(lambda x, low=low: (double if x.dtype == torch.float64 else low)(x), x)
    return found


def run(rounds: int) -> list[Report]:
    """Compute the errors; they need no repeats."""
    grid, rows, data = nd.grids.uniform_log_snr(SCHEDULE, steps=STEPS), [], {}
    for dtype in (torch.bfloat16, torch.float16):
        for method in METHODS:
            with torch.no_grad():
                found = errors(method.discretize(SCHEDULE, grid), dtype)
            rows.append([method.name, str(dtype)[6:], *(f"{value:.1e}" for value in found.values())])
            data[f"{method.name}, {str(dtype)[6:]}"] = found
    note = (
        f"Relative error after {STEPS} steps: of the method itself, and of rounding against the run in float64, "
        "as it is, with sums in float32, and with the state in float32."
    )
    columns = ("method", "dtype", "own", "plain", 'accumulate="float32"', 'state="float32"')
    return [Report("Low precision", note, columns, rows, data)]


if __name__ == "__main__":
    main(run, 1, ("torch",), __doc__)
