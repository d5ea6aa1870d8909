"""What the benchmarks share: interleaved repeats, medians and quartiles, Markdown tables, JSON.

Contestants take turns, one run each a round, so that a slow spell of the machine falls on all of them. A time is given
as the median over the rounds with its quartiles; a ratio is the median of the ratios within a round, which a slow spell
hardly moves.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np

from numdiff import provenance
from numdiff._files import write_atomically

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


def clock(device: str) -> Callable[[], float]:
    """Return the clock of a device: for one thread of the CPU its processor time, which other work hardly moves."""
    return process_time if device == "cpu" else perf_counter


def synchronize(device: str) -> None:
    """Wait until a device has done what it was given; the CPU always has."""
    if device != "cpu":
        import torch

        torch.cuda.synchronize(device)


def environment(packages: Sequence[str], device: str = "cpu") -> str:
    """Return a line with the processor and the versions, without anything that names the machine."""
    found = {"numdiff": "missing", **dict.fromkeys(packages, "missing"), **provenance.versions(("numpy", *packages))}
    python = found.pop("python")
    installed = ", ".join(f"{name} {version}" for name, version in found.items())
    return f"{provenance.device(device)}, one thread; Python {python}, {installed}"


def main(
    run: Callable[..., Sequence[Report]],
    rounds: int,
    packages: Sequence[str],
    doc: str | None,
    flags: Mapping[str, str] | None = None,
    devices: bool = False,
) -> None:
    """Run one benchmark from the command line: Markdown to stdout, numbers to ``--json``.

    `flags` are further switches with their help, and `devices` adds ``--device``; `run` is given both by name.
    """
    parser = argparse.ArgumentParser(description=(doc or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=rounds, help=f"how often each contestant runs (default {rounds})")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    for name, text in (flags or {}).items():
        parser.add_argument(f"--{name}", action="store_true", help=text)
    if devices:
        parser.add_argument("--device", default="cpu", help='"cpu" (default), "cuda" or "cuda:N"')
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error(f"--rounds must be at least 1, got {options.rounds}")
    check_path(parser, options.json)
    if devices:
        check_device(parser, options.device)
    named = {name: value for name, value in vars(options).items() if name not in ("rounds", "json")}
    reports = run(options.rounds, **named)
    write(reports, environment(packages, named.get("device", "cpu")), options.json, named.get("device", "cpu"))


def check_path(parser: argparse.ArgumentParser, path: Path | None) -> None:
    """End with a message unless a file can be written at `path`: before the measurements, not after."""
    if path is not None and (path.is_dir() or not os.access(path.resolve().parent, os.W_OK)):
        parser.error(f"--json {path}: no file can be written there; give a file in a folder that exists")


def check_device(parser: argparse.ArgumentParser, name: str) -> None:
    """End with a message unless torch can compute on the device."""
    import torch

    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError) as error:
        parser.error(f"--device {name}: {str(error).splitlines()[0]}; --device cpu needs none")


def write(reports: Sequence[Report], where: str, path: Path | None, device: str = "cpu") -> None:
    """Print the tables and save the numbers."""
    sys.stdout.write("\n".join(report.markdown() for report in reports) + f"\n{where}\n")
    if path is not None:
        numbers = {report.title: report.data for report in reports}
        record = {"environment": provenance.environment(device), **numbers}
        write_atomically(path, (json.dumps(record, indent=1, default=_plain) + "\n").encode())


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else float(value)
