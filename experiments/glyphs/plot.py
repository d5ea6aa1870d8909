"""Draw and tabulate what ``run`` left: ``python -m experiments.glyphs.plot [--size 32] [--out DIR] [--to DIR]``.

- TO/glyphs.png: Frechet distance and error against evaluations; samples beside what the exact flow makes of the noises;
- TO/tables.md: the tables of the README.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.ticker import NullLocator

from numdiff import plotting
from numdiff._files import write_atomically
from numdiff.models.training import from_the_door

SHOWN = (
    "diffusers DDIM",
    "diffusers DPM++ 2M",
    "diffusers UniPC",
    "DPM++ 3M, uniform t",
    "DPM++ 3M, optimized",
    "UniPC 3, optimized",
)
"""Samplers in the figure; the tables have all."""
PICTURED = ("diffusers DDIM", "diffusers DPM++ 2M", "DPM++ 3M, uniform t", "DPM++ 3M, optimized")
BUDGET, COLUMNS = 6, 31
"""Evaluations of the samples shown (or the first there are), and how many."""
TEXT = {"frechet": "Frechet distance", "error": "error to the exact flow", "agreement": "agreement"}


def line(row: dict[str, Any], score: str) -> tuple[list[int], list[float]]:
    """Return numbers of evaluations and a score of one sampler."""
    return [int(n) for n in row], [entry[score][0] for entry in row.values()]


def curves(record: dict[str, Any]) -> Any:
    """Draw Frechet distance and error against evaluations, a column for each strength of guidance."""
    scores = record["scores"]
    axes = plotting.figure(2 + len(scores), len(scores), 9.0, 10.5, height_ratios=[1, 1, *[0.68] * len(scores)])
    for column, (guidance, rows) in enumerate(scores.items()):
        for ax, score in zip(axes[:2, column], ("frechet", "error"), strict=True):
            shown = {name: line(rows[name], score) for name in SHOWN}
            style = {"logx": True, "logy": score == "error", "markers": True}
            plotting.curves(shown, ax, xlabel="evaluations", ylabel=TEXT[score], **style)
            ax.set_xticks(line(rows[SHOWN[0]], score)[0], line(rows[SHOWN[0]], score)[0])
            ax.xaxis.set_minor_locator(NullLocator())
            ax.get_legend().remove()
        real = record["real_images"]["training faces"]["frechet"][0]
        axes[0, column].axhline(real, color="0.7", linewidth=1, zorder=0, label="as many real images")
        axes[0, column].set_title(f"guidance {guidance}")
    return axes


def pictures(axes: Any, record: dict[str, Any], folder: Path) -> None:
    """Draw samples from the same noises, below what the exact flow makes of them, a row of the figure each."""
    for row, guidance in zip(axes, record["scores"], strict=True):
        places = row[0].get_gridspec()[row[0].get_subplotspec().rowspan.start, :]
        ax = row[0].figure.add_subplot(places)
        for unused in row:
            unused.remove()
        numbers = record["scores"][guidance][record["baseline"]]
        budget = str(BUDGET) if str(BUDGET) in numbers else next(iter(numbers))
        exact = cell(folder, f"reference, guidance {guidance}")[:, 0]
        chosen = np.linspace(0, len(exact) - 1, min(COLUMNS, len(exact))).round().astype(int)
        rows = {"exact flow": exact[chosen]}
        for name in PICTURED:
            rows[name] = cell(folder, f"{name}, guidance {guidance}, {budget} evaluations")[chosen, 0]
        plotting.image_grid(np.stack(list(rows.values())), ax, rows=list(rows), limits=(-1, 1), cmap="gray_r")
        ax.set_xlabel(f"{budget} evaluations, guidance {guidance}")


def cell(folder: Path, name: str) -> np.ndarray:
    """Return the images of a cell.

    Raises
    ------
    ValueError
        If ``run`` left none.
    """
    path = folder / "cells" / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.npz"
    try:
        return np.load(path)["images"].astype(np.float64)
    except FileNotFoundError:
        raise ValueError(f"{folder} has no samples of {name!r}; run python -m experiments.glyphs.run first") from None


def draw(record: dict[str, Any], folder: Path) -> Any:
    """Return the figure."""
    axes = curves(record)
    pictures(axes[2:], record, folder)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    whole = axes[0, 0].figure
    whole.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False)
    return whole


def table(record: dict[str, Any], guidance: str, score: str) -> str:
    """Return a score of all samplers as Markdown; + and - mark two standard errors from the baseline."""
    rows = record["scores"][guidance]
    numbers = list(rows[record["baseline"]])
    lines = [f"| guidance {guidance}: {TEXT[score]} | {' | '.join(numbers)} |", "|---|" + "---:|" * len(numbers)]
    for name, row in rows.items():
        entries = [f"{_value(row[n], score)} {_mark(row[n], score)}".strip() for n in numbers]
        lines.append(f"| {name} | {' | '.join(entries)} |")
    return "\n".join(lines)


def _value(entry: dict[str, Any], score: str) -> str:
    value, deviation = entry[score]
    if score == "agreement":
        return f"{100 * value:.0f} %"
    digits = 2 if score == "frechet" and value < 100 else 0 if score == "frechet" else 4
    return f"{value:.{digits}f} ({deviation:.{digits}f})"


def _mark(entry: dict[str, Any], score: str) -> str:
    against = entry.get("against_baseline", {"better": [], "worse": []})
    return "+" if score in against["better"] else "-" if score in against["worse"] else ""


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=16, help="pixels a side (16)")
    parser.add_argument(
        "--out", type=Path, default=Path("results/glyphs-evaluation"), metavar="DIR", help="run's --out"
    )
    parser.add_argument("--results", type=Path, default=Path(__file__).parents[1] / "results", metavar="DIR")
    parser.add_argument("--to", type=Path, default=Path("results/glyphs-evaluation"), metavar="DIR")
    given = parser.parse_args()
    name = "glyphs" if given.size == 16 else f"glyphs{given.size}"
    record = json.loads((given.results / f"{name}.json").read_text())
    print(*plotting.save(draw(record, given.out), given.to / name, ("png",), dpi=110))
    tables = [table(record, g, score) for score in ("frechet", "error", "agreement") for g in record["scores"]]
    write_atomically(given.to / "tables.md", ("\n\n".join(tables) + "\n").encode())
    print(given.to / "tables.md")


if __name__ == "__main__":
    from_the_door(main)
