"""Optimized time steps for the sampler playground: what the presets of `numdiff.optimize` do not hold.

For every deterministic method on offer without splitting, and every number of steps, the steps on the schedule
VPLinear that `nd.optimize.timesteps` finds by its default objective; with the list of orders 1, 2, ..., k, ..., 2, 1 of
the presets where the method combines past evaluations. A search may take `LIMIT` seconds, all together `TOTAL`; what is
not found by then is missing. Log-SNRs are stored with ten digits, as in the presets.
"""

from __future__ import annotations

import time
from typing import Any

import numdiff as nd
from book.tools.playground_methods import STEPS, Offer, offers, preset_of

LIMIT, TOTAL = 6.0, 560.0


def compute() -> dict[str, Any]:
    """Return the inner log-SNRs and the orders by method and number of steps, and what could not be had."""
    found: dict[str, dict[str, Any]] = {}
    refused: dict[str, str] = {}
    start = time.perf_counter()
    for steps in STEPS:
        for offer in offers():
            if offer.key in refused or preset_of(offer, steps) is not None:
                continue
            if time.perf_counter() - start > TOTAL:
                return {"steps": found, "refused": refused}
            try:
                entry = _entry(offer, steps)
            except ValueError as error:
                if steps > offer.method().points:  # fewer are too few for a method, and that is all it means
                    refused[offer.key] = str(error)
                continue
            found.setdefault(offer.key, {})[str(steps)] = entry
    return {"steps": found, "refused": refused}


def _entry(offer: Offer, steps: int) -> dict[str, Any]:
    method = offer.method()
    result = nd.optimize.timesteps(
        method,
        nd.schedules.VPLinear(),
        steps,
        orders="lowered" if method.points > 1 else None,
        time_limit=LIMIT,
    )
    return {
        "log_snr": " ".join(f"{x:.10g}" for x in result.log_snr[1:-1]),
        "orders": None if result.orders is None else " ".join(map(str, result.orders)),
        "certified": bool(result.certified),
        "objective": [float(f"{x:.4g}") for x in (result.initial_objective, result.objective)],
    }
