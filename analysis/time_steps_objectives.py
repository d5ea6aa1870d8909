"""Does a lower objective sample better? Rank correlation with the true error, and the way to each optimum.

    python -m analysis.time_steps_objectives --out results/analysis

**Random schedules.** A convex combination (Dirichlet, all parameters 1/2) of the log-SNRs of four simple grids (uniform
t, log-SNR, quadratic t, EDM), of which every step is multiplied by exp(0.3 g_i + 0.15 n_i) before they are scaled to
the range again: g_i a random smooth function (three cosines of i/N with normal coefficients), n_i independent normals.
The true errors are those on mixtures on which nothing was tuned, against the exact flow. Spearman's rank correlation
between objective and error over the schedules, averaged over the mixtures, with the 95 % interval of a bootstrap over
schedules. A probe knows the mixture that it is compared on (noises of its own); the other objectives know no data.

**Straight paths.** From log-SNR steps (0) to the optimum of an objective (1) on a straight line in log-SNR: where the
objective falls and the error rises, a lower objective samples worse.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
from scipy.stats import rankdata

import numdiff as nd
from numdiff import plotting
from numdiff.optimize.compiled import Trace
from numdiff.optimize.ends import end_levels
from numdiff.optimize.objectives.bank import MixtureBank
from numdiff.optimize.objectives.gaussian import Gaussian
from numdiff.optimize.objectives.probe import Probe
from numdiff.optimize.window import Window
from numdiff.study import steps
from numdiff.study.mixtures import CLEAN, SCHEDULE
from numdiff.study.script import main

BETA = Fraction(4, 5)
METHODS: dict[str, nd.Method] = {
    "DPM-Solver++ 3 exact": nd.DPMSolverPP(3),
    "UniPC3": nd.UniPC(3),
    "GHVB2(0.8) data": nd.GHVB(2, BETA, nd.DATA_LOG_SNR),
    "HB(DPM-Solver++ 2, 0.8)": nd.HeavyBall(nd.DPMSolverPP(2), BETA),
}
COUNTS = (6, 10, 20)
CASES = ("lattice-2", "anisotropic-6", "large-8")
WHAT = ("rms", "median")
OBJECTIVES: dict[str, Callable[[Any], Any]] = {
    "paper": lambda case: nd.optimize.Paper(),
    "AYS": lambda case: nd.optimize.AYS(),
    "Gaussian W2": lambda case: Gaussian(),
    "mixture bank": lambda case: MixtureBank(),
    "probe": lambda case: Probe(case.mixture, points=24),
}
"""``objective(case)``; all but the probe are the same for every case."""
AWARE = ("probe",)
PATHS: dict[str, tuple[str, dict[str, Any]]] = {
    "paper, gap 0.1 L/N": ("paper", {"gap": 0.1}),
    "paper, gap 0.7 L/N": ("paper", {}),
    "Gaussian W2": ("Gaussian W2", {}),
    "mixture bank": ("mixture bank", {}),
}

# --- schedules and values ---------------------------------------------------------------------------------------------


def ends() -> tuple[float, float]:
    """Return the first and the last half log-SNR."""
    return float(SCHEDULE.log_snr(SCHEDULE.T)), float(SCHEDULE.log_snr(CLEAN))


def schedules(n: int, count: int, seed: int) -> np.ndarray:
    """Return random half log-SNRs, shape (count, n + 1); see the top."""
    rng = np.random.default_rng(seed)
    low, high = ends()
    simple = np.array([np.diff(SCHEDULE.log_snr(np.array(rule(nd.DDIM(), n)))) for rule in steps.SIMPLE.values()])
    base = rng.dirichlet(np.full(len(simple), 0.5), count) @ simple
    waves = np.cos(np.pi * np.outer(np.arange(1, 4), (np.arange(n) + 0.5) / n))
    smooth = rng.standard_normal((count, 3)) @ waves
    widths = base * np.exp(0.3 * smooth + 0.15 * rng.standard_normal((count, n)))
    nodes = np.cumsum(widths, axis=1) / widths.sum(axis=1, keepdims=True)
    found = low + (high - low) * np.concatenate([np.zeros((count, 1)), nodes], axis=1)
    found[:, -1] = high
    return found


def times(nodes: np.ndarray) -> np.ndarray:
    """Return the times of half log-SNRs, both ends exact."""
    return np.array([SCHEDULE.T, *SCHEDULE.time(nodes[1:-1]), CLEAN])


def values(objective: Any, method: nd.Method, nodes: np.ndarray) -> np.ndarray:
    """Return the objective of every schedule, shape (count,)."""
    n = nodes.shape[1] - 1
    window = Window(*ends(), n, np.zeros(n))
    problem = objective.problem(Trace(method, SCHEDULE, end_levels(SCHEDULE, None, CLEAN, False), window, {}))
    return np.array([problem.evaluate(z).objective for z in nodes[:, 1:-1]])


def errors(method: nd.Method, nodes: np.ndarray, cases: Any) -> np.ndarray:
    """Return the true errors, shape (what, cases, count)."""
    found = np.empty((len(WHAT), len(cases), len(nodes)))
    for j, row in enumerate(nodes):
        scheme = method.discretize(SCHEDULE, times(row))
        for k, case in enumerate(cases):
            e = case.errors(scheme)
            found[:, k, j] = np.sqrt(np.mean(e**2)), np.median(e)
    return found


# --- rank correlations ------------------------------------------------------------------------------------------------


def spearman(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return Spearman's rank correlations along the last axis."""
    a, b = (rankdata(v, axis=-1) for v in (x, y))
    a, b = (v - v.mean(axis=-1, keepdims=True) for v in (a, b))
    found: np.ndarray = (a * b).sum(-1) / np.sqrt((a * a).sum(-1) * (b * b).sum(-1))
    return found


def correlations(objective: np.ndarray, truth: np.ndarray, resamples: int, seed: int) -> dict[str, Any]:
    """Return by kind of error the mean correlation over the cases, its 95 % interval, and that of every case.

    `objective` has the shape (cases, schedules), `truth` (what, cases, schedules).
    """
    picks = np.random.default_rng(seed).integers(0, truth.shape[-1], (resamples, truth.shape[-1]))
    found = {}
    for what, error in zip(WHAT, truth, strict=True):
        by_case = spearman(objective, error)
        drawn = np.mean([spearman(o[picks], e[picks]) for o, e in zip(objective, error, strict=True)], axis=0)
        found[what] = {"mean": by_case.mean(), "interval": np.quantile(drawn, [0.025, 0.975]), "cases": by_case}
    return found


def table(cases: Any, counts: Any, methods: Any, count: int, resamples: int) -> dict[str, Any]:
    """Return the correlations by method, number of steps, objective and kind of error."""
    found: dict[str, Any] = {}
    for name, method in methods.items():
        for n in counts:
            nodes = schedules(n, count, n)
            truth = errors(method, nodes, cases)
            for label, make in OBJECTIVES.items():
                known = [values(make(case), method, nodes) for case in (cases if label in AWARE else cases[:1])]
                objective = np.broadcast_to(known, (len(cases), count))
                found.setdefault(name, {}).setdefault(str(n), {})[label] = correlations(objective, truth, resamples, n)
    return found


# --- straight paths ---------------------------------------------------------------------------------------------------


def path(label: str, method: nd.Method, n: int, cases: Any, parts: np.ndarray) -> dict[str, Any]:
    """Return objective and true errors, relative to log-SNR steps, on the way to an optimum."""
    name, options = PATHS[label]
    objective = OBJECTIVES[name](None)
    if "gap" in options:
        options = {"gap": options["gap"] * (ends()[1] - ends()[0]) / n}
    found = nd.optimize.timesteps(method, SCHEDULE, n, objective=objective, t_end=CLEAN, **options)
    start, end = np.linspace(*ends(), n + 1), found.log_snr
    nodes = start + parts[:, None] * (end - start)
    truth = np.exp(np.log(errors(method, nodes, cases)).mean(axis=1))
    value = values(objective, method, nodes)
    return {
        "objective": value / value[0],
        **{what: row / row[0] for what, row in zip(WHAT, truth, strict=True)},
        "certified": found.certified,
    }


def compute(fast: bool) -> dict[str, Any]:
    """Return the correlations and the paths."""
    cases = [case for case in steps.unseen(64 if fast else 96) if case.name in CASES[: 2 if fast else None]]
    methods = dict(list(METHODS.items())[: 1 if fast else None])
    parts = np.linspace(0, 1, 6 if fast else 21)
    return {
        "counts": COUNTS[: 1 if fast else None],
        "cases": [case.name for case in cases],
        "correlations": table(cases, COUNTS[: 1 if fast else None], methods, 20 if fast else 200, 20 if fast else 100),
        "parts": parts,
        "paths": {label: path(label, METHODS["DPM-Solver++ 3 exact"], 10, cases, parts) for label in PATHS},
    }


# --- what is shown ----------------------------------------------------------------------------------------------------


def draw(numbers: dict[str, Any]) -> Any:
    """Return the figure and the tables."""
    axes = plotting.figure(3, 4, 13.0, 9.5)
    for column, method in enumerate(numbers["correlations"]):
        for row, what in enumerate(WHAT):
            _dots(axes[row, column], numbers, method, what)
    for spare in range(len(numbers["correlations"]), 4):
        axes[0, spare].set_axis_off()
        axes[1, spare].set_axis_off()
    axes[0, 0].set_ylabel("rank correlation with the rms error")
    axes[1, 0].set_ylabel("rank correlation with the median error")
    for ax, (label, found) in zip(axes[2], numbers["paths"].items(), strict=True):
        lines = {name: (numbers["parts"], found[name]) for name in ("objective", *WHAT)}
        plotting.curves(lines, ax, xlabel="from log-SNR steps to the optimum", ylabel="relative to log-SNR", logy=True)
        ax.set_title(f"to the optimum of: {label}", fontsize="medium")
    axes[0, 0].figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=len(OBJECTIVES), frameon=False
    )
    return axes[0, 0].figure, _text(numbers)


def _dots(ax: Any, numbers: dict[str, Any], method: str, what: str) -> None:
    for k, objective in enumerate(OBJECTIVES):
        rows = [numbers["correlations"][method][str(n)][objective][what] for n in numbers["counts"]]
        mean, interval = np.array([row["mean"] for row in rows]), np.array([row["interval"] for row in rows])
        x = np.arange(len(rows)) + 0.13 * (k - (len(OBJECTIVES) - 1) / 2)
        style = {"color": plotting.COLOURS[k], "marker": plotting.MARKERS[k], "linestyle": "none", "markersize": 5}
        ax.errorbar(x, mean, np.abs(interval.T - mean), label=objective, **style)
    ax.axhline(0, color="0.6", linewidth=0.8)
    ax.set_ylim(-0.4, 1.05)
    ax.set_xticks(range(len(numbers["counts"])), [f"N = {n}" for n in numbers["counts"]])
    ax.set_title(method, fontsize="medium")


def _text(numbers: dict[str, Any]) -> str:
    """Return the tables in Markdown."""
    text = "Mean over the mixtures of Spearman's rank correlation [95 % interval]; (least of a mixture).\n"
    for what in WHAT:
        rows = [["method", "N", *OBJECTIVES], ["---"] * (2 + len(OBJECTIVES))]
        for method, by_count in numbers["correlations"].items():
            rows += [[method, n, *(_shown(found[o][what]) for o in OBJECTIVES)] for n, found in by_count.items()]
        text += f"\n## With the {what} error\n\n" + "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"
    rows = [["to the optimum of", "objective", *WHAT, "certified"], ["---"] * (3 + len(WHAT))]
    for label, found in numbers["paths"].items():
        ends = (f"{found[k][-1]:.3g}" for k in ("objective", *WHAT))
        rows.append([label, *ends, "yes" if found["certified"] else "no"])
    head = "At the optimum, relative to log-SNR steps (DPM-Solver++ 3 exact, 10 steps)"
    return f"{text}\n## {head}\n\n" + "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


def _shown(found: dict[str, Any]) -> str:
    low, high = found["interval"]
    return f"{found['mean']:.2f} [{low:.2f}, {high:.2f}] ({min(found['cases']):.2f})"


if __name__ == "__main__":
    main("time_steps_objectives", __doc__, compute, draw)
