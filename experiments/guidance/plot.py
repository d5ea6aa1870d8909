"""Draw and tabulate what ``run`` measured: ``python -m experiments.guidance.plot [--results FILE] [--out DIR]``.

Writes OUT/guidance.png, classifier-free guidance against the scale: the median error to the reference, and the artifact
magnitude; and OUT/tables.md, all tables, of which experiments/results/guidance.md is a copy.
"""

from __future__ import annotations

import argparse
import io
import json
from pathlib import Path
from typing import Any

from numdiff import plotting
from numdiff._files import write_atomically
from numdiff.models.training import from_the_door

KEPT = Path(__file__).parents[1] / "results" / "guidance.json"
GROUPS = ("plain", "momentum", "splitting")
FLOOR = 1e-3
"""Artifact magnitudes are drawn with this added: they may be 0."""


def lines(units: list[dict[str, Any]], group: str, budget: int, what: str) -> dict[str, Any]:
    """Return (scales, values) of every solver of a group, for classifier-free guidance."""
    found: dict[str, tuple[list[float], list[float]]] = {}
    for unit in units:
        for run in unit["runs"]:
            if run["group"] == group and run["budget"] == budget:
                x, y = found.setdefault(run["solver"], ([], []))
                x.append(unit["scale"])
                y.append(float("nan") if run["diverged"] else run[what][0] + (FLOOR if what == "artifacts" else 0))
    return found


def draw(result: dict[str, Any]) -> Any:
    """Return the figure: error and artifacts at the middle budget, groups across; the plain bases behind the others."""
    grid, budgets = result["settings"]["grid"], result["settings"]["budgets"]
    budget = budgets[len(budgets) // 2]
    units = [u for u in result["units"] if u["kind"] == "free" and u["grid"] == grid]
    axes = plotting.figure(2, 3, 11.5, 6.0, sharex=True)
    scales = [u["scale"] for u in units]
    for row, what in enumerate(("error", "artifacts")):
        for column, group in enumerate(GROUPS):
            ax = axes[row, column]
            label = "median error" if what == "error" else "artifact magnitude"
            plotting.curves(lines(units, group, budget, what), ax, xlabel="guidance scale", ylabel=label, logy=True)
            for base, style in (("PLMS4", "--"), ("DPM-Solver++ 2M", ":")) if group != "plain" else ():
                x, y = lines(units, "plain", budget, what)[base]
                ax.plot(x, y, color="0.6", linewidth=1, linestyle=style, zorder=0, label=f"{base} (plain)")
            if what == "artifacts":
                exact = [u["reference"]["artifacts"][0] + FLOOR for u in units]
                ax.plot(scales, exact, color="0.8", linewidth=5, zorder=0, label="exact flow")
                ax.legend(frameon=False, fontsize="x-small")
            if row == 0:
                ax.set_title(f"{group}, {budget} evaluations", fontsize="medium")
                ax.get_legend().remove()
    for row in (0, 1):
        limits = [ax.get_ylim() for ax in axes[row]]
        for ax in axes[row]:
            ax.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))
    return axes[0, 0].figure


def summary(result: dict[str, Any], budget: int) -> str:
    """Return the table of classifier-free guidance at one budget: error, artifacts and agreement by scale."""
    grid = result["settings"]["grid"]
    units = [u for u in result["units"] if u["kind"] == "free" and u["grid"] == grid and u["scale"] > 1]
    names = [f"{what} at {u['scale']:g}" for what in ("error", "artifacts", "agreement") for u in units]
    table = {"exact flow": [""] * len(units) + [value(u["reference"], w) for w in ("artifacts",) for u in units]}
    table["exact flow"] += [value(u["reference"], "agreement") for u in units]
    for what in ("error", "artifacts", "agreement"):
        for unit in units:
            for run in (r for r in unit["runs"] if r["budget"] == budget):
                table.setdefault(run["solver"], []).append(value(run, what))
    head = "| solver | " + " | ".join(names) + " |"
    rows = [f"| {name} | " + " | ".join(cells) + " |" for name, cells in table.items()]
    return "\n".join([f"**free, {budget} evaluations**", "", head, "|---" * (len(names) + 1) + "|", *rows, ""])


def tables(result: dict[str, Any]) -> str:
    """Return the summary and one table for every unit, in Markdown."""
    blocks = [summary(result, budget) for budget in result["settings"]["budgets"]]
    for unit in result["units"]:
        title = f"**{unit['kind']}, scale {unit['scale']:g}, {unit['grid']}**"
        if unit["kind"] == "remedies":
            rows = [f"| {r['remedy']} | {r['steps']} | {judged(r)} |" for r in unit["runs"]]
            head = "| changed model | steps |"
        else:
            rows = [f"| exact flow | | | | {judged(unit['reference'])} |"]
            rows += [
                f"| {r['solver']} | {r['steps']} | {spent(r['calls'])} | {value(r, 'error')} | {judged(r)} |"
                for r in unit["runs"]
            ]
            title += f", reference known to {unit['reference']['error']:.1e}"
            head = "| solver | steps | evaluations | error |"
        head += " artifacts | overshoot | agreement | Frechet |"
        blocks.append("\n".join([title, "", head, "|---" * (head.count("|") - 1) + "|", *rows, ""]))
    return "\n".join(blocks)


def spent(calls: dict[str, int]) -> str:
    """Return the evaluations of a run: of the network, and those backwards through it."""
    return f"{calls['network']}" + (f" + {calls['backward']} back" if calls["backward"] else "")


def value(run: dict[str, Any], what: str, digits: int = 3) -> str:
    """Return a number with its standard error."""
    if run.get("diverged"):
        return "diverged"
    return f"{run[what][0]:.{digits}f} ± {run[what][1]:.{digits}f}"


def judged(run: dict[str, Any]) -> str:
    """Return the cells of what the judges say."""
    if run.get("diverged"):
        return "| | | "
    cells = [value(run, "artifacts"), f"{run['overshoot']:.3f}", value(run, "agreement"), value(run, "frechet", 1)]
    return " | ".join(cells)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=KEPT, metavar="FILE")
    parser.add_argument(
        "--out", type=Path, default=Path("results/guidance"), metavar="DIR", help="folder of the figure"
    )
    given = parser.parse_args()
    if not given.results.is_file():
        raise ValueError(f"{given.results} does not exist; run python -m experiments.guidance.run first")
    result = json.loads(given.results.read_text(encoding="utf-8"))
    given.out.mkdir(parents=True, exist_ok=True)
    picture = io.BytesIO()
    draw(result).savefig(picture, format="png", dpi=90)
    write_atomically(given.out / "guidance.png", picture.getvalue())
    write_atomically(given.out / "tables.md", tables(result).encode())
    print(given.out / "guidance.png", given.out / "tables.md")


if __name__ == "__main__":
    from_the_door(main)
