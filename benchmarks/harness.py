"""What the benchmarks share: interleaved repeats, medians and quartiles, Markdown tables, JSON.

Contestants take turns, one run each a round, so that a slow spell of the machine falls on all of them. A time is given
as the median over the rounds with its quartiles; a ratio is the median of the ratios within a round, which a slow spell
hardly moves.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from numdiff import provenance

Times = dict[str, np.ndarray]


@dataclass(frozen=True)
class Report:
    """One table.

    Parameters
    ----------
    title
        What was measured.
    note
        How, in a sentence or two.
    columns
        Headings.
    rows
        Cells, already formatted.
    data
        The numbers behind the table, for the JSON file.
    """

    title: str
    note: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    data: Mapping[str, Any] = field(default_factory=dict)

    def markdown(self) -> str:
        """Return the table as Markdown, with its columns aligned."""
        table = [list(self.columns), *(list(row) for row in self.rows)]
        widths = [max(len(row[j]) for row in table) for j in range(len(self.columns))]
        lines = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in table]
        rule = "|" + "|".join("-" * (w + 2) for w in widths) + "|"
        return "\n".join([f"### {self.title}", "", self.note, "", lines[0], rule, *lines[1:], ""])


def interleaved(contestants: Mapping[str, Callable[[], float]], rounds: int, warm_up: int = 1) -> Times:
    """Return the seconds that each contestant reports in each of `rounds` rounds, after `warm_up` thrown away."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    gc.collect()
    gc.freeze()  # the modules stay: looking through them again before every run would take longer than the runs
    for turn in range(warm_up + rounds):
        for name, run in contestants.items():
            gc.collect()
            elapsed = run()
            if turn >= warm_up:
                seconds[name].append(elapsed)
    return {name: np.array(values) for name, values in seconds.items()}


def spread(seconds: np.ndarray, unit: float = 1e-6) -> str:
    """Return "median (lower quartile - upper quartile)" in `unit` seconds; one sample has no quartiles."""
    if len(seconds) == 1:
        return _short(seconds[0] / unit)
    low, middle, high = np.quantile(seconds, [0.25, 0.5, 0.75]) / unit
    return f"{_short(middle)} ({_short(low)}-{_short(high)})"


def ratio(slow: np.ndarray, fast: np.ndarray) -> float:
    """Return how many times longer `slow` took, the median over the rounds."""
    return float(np.median(slow / fast))


def times(value: float, aim: float | None = None) -> str:
    """Return a ratio as text, with the aim it is held against."""
    return f"{value:.1f}x" + ("" if aim is None else f" (aim {aim:g}x)")


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def environment(packages: Sequence[str]) -> str:
    """Return a line with the processor and the versions, without anything that names the machine."""
    found = {"numdiff": "missing", **dict.fromkeys(packages, "missing"), **provenance.versions(("numpy", *packages))}
    python = found.pop("python")
    installed = ", ".join(f"{name} {version}" for name, version in found.items())
    return f"{provenance.device()}, one thread; Python {python}, {installed}"
