"""What the page "Choose" advises, and the numbers that the advice is held to (`tests/book/test_use_pages.py`)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from book.tools.pages import BOOK
from book.tools.results import stored

Errors = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Root mean square and median error (or a distance and its standard error) by sampler, grid and budget."""

TOLERATED = 2.5
"""An advice may have this many times the least error that was measured for its case: it covers several budgets."""


@dataclass(frozen=True)
class Advice:
    """A sampler on a grid for a case and some budgets.

    Parameters
    ----------
    source, case
        The stored result, and the kind of problem in it ("" where it has one only).
    budgets
        Numbers of evaluations.
    sampler, grid
        Labels in the stored result.
    settings
        What `NumdiffScheduler.from_config` is given.
    plain
        Optimized steps are out of the question, whatever the mixtures say: a trained network was worse on them.
    """

    source: str
    case: str
    budgets: tuple[int, ...]
    sampler: str
    grid: str
    settings: str
    plain: bool = False

    def errors(self) -> Errors:
        """Return all errors of the case."""
        found = stored(self.source)["errors"]
        return found[self.case] if self.case else found

    def row(self) -> list[tuple[int, float, float, str]]:
        """Return budget, own error, least error of the case and whose that is."""
        errors = self.errors()
        grids = ("log-SNR", "time", "Karras") if self.plain else None
        best = {n: least(errors, n, grids=grids) for n in self.budgets}
        return [(n, errors[self.sampler][self.grid][str(n)][0], best[n][0], best[n][1]) for n in self.budgets]


OPTIMIZED3 = 'method="unipc", order=3, timesteps="optimized"'
LOG3 = 'method="unipc", order=3, timesteps="log-snr"'
SAFE = 'method="ghvb", order=2, beta=0.8, timesteps="optimized"'
AB2 = 'method="ab", order=2, timesteps="log-snr"'
LOG2 = 'method="unipc", order=2, rule="bh2", timesteps="log-snr"'

ADVICE = (
    Advice("choose_deterministic", "no guidance", (5, 8, 10, 15, 20), "UniPC3", "optimized", OPTIMIZED3),
    Advice("choose_deterministic", "no guidance", (30, 50), "UniPC3", "log-SNR", LOG3, plain=True),
    Advice("choose_deterministic", "guidance 4", (5, 8, 10), "GHVB2(0.8)", "optimized", SAFE),
    Advice("choose_deterministic", "guidance 4", (15, 20), "UniPC3", "optimized", OPTIMIZED3),
    Advice("choose_deterministic", "guidance 4", (30, 50), "UniPC3", "log-SNR", LOG3, plain=True),
    Advice("choose_deterministic", "guidance 8", (5, 8, 10), "GHVB2(0.8)", "optimized", SAFE),
    Advice("choose_deterministic", "guidance 8", (15,), "AB2", "log-SNR", AB2),
    Advice("choose_deterministic", "guidance 8", (20,), "UniPC3", "optimized", OPTIMIZED3),
    Advice("choose_deterministic", "guidance 8", (30, 50), "UniPC2 bh2", "log-SNR", LOG2, plain=True),
)
"""For diffusion models without noise."""

VELOCITY = 'method="ab", order={}, formulation="velocity/time"'
FLOW_ADVICE = (
    Advice("choose_flow", "", (4,), "AB2 velocity", "shift 1", VELOCITY.format(2)),
    Advice("choose_flow", "", (6, 8, 10, 15, 20, 30), "AB3 velocity", "shift 1", VELOCITY.format(3)),
)
"""For flow models."""


def least(
    errors: Errors, budget: int, samplers: Iterable[str] | None = None, grids: Iterable[str] | None = None
) -> Any:
    """Return (error, sampler, grid) of the least first error at a budget, among some samplers and grids."""
    chosen, key = set(errors if samplers is None else samplers), str(budget)
    allowed = None if grids is None else set(grids)
    found = [
        (curve[key][0], name, grid)
        for name, curves in errors.items()
        for grid, curve in curves.items()
        if name in chosen and (allowed is None or grid in allowed) and key in curve and curve[key][0] > 0
    ]
    return min(found)


def experiment(name: str) -> dict[str, Any]:
    """Return a record of `experiments/results`, "guidance" or "glyphs"."""
    return json.loads((BOOK.parent / "experiments" / "results" / f"{name}.json").read_text())
