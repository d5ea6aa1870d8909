"""Where do the best steps go as their number grows? Optimal densities of steps against their continuum limits.

    python -m analysis.time_steps_density --out results/analysis

The density of a step of width h in half log-SNR lambda, of N on a range of length L, is L/(N h): 1 for log-SNR steps.
For N up to 80, on the VP-linear schedule:

- the error of the gain of DDIM on Gaussian data of nine widths, |r|^2, against the limit of
  `numdiff.optimize.continuum`, whose value N |r| must tend to, certified by its dual bound;
- the bound of Align Your Steps against its own limit, density ~ 2 g sqrt(-m'(g)), g = e^(2 lambda);
- for DPM-Solver++ 3 the signed errors of nine or thirty widths cancel: the limit value is 0, many densities reach it,
  and N^k |r| of the optimum goes on falling;
- those of the mixture bank's 200 problems cannot: along a problem's exact path x(lambda), a quantile of its law p, the
  local error C h^(k+1) alpha D^(k) of x ends as p(x)/p_N(x_N) times itself, which gives the a_m of the limit; its value
  is above 0, proved by the dual bound;
- the paper's optimum, which has no limit, is shown beside them.

The distance to a limit is the largest difference of the two cumulative densities.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import numdiff as nd
from numdiff import plotting
from numdiff.optimize.continuum import Limit, adams_constant, gaussian_errors, limit_density
from numdiff.optimize.objectives import ays
from numdiff.optimize.objectives.bank import MixtureBank, quantile
from numdiff.optimize.objectives.gaussian import Gaussian
from numdiff.study.mixtures import CLEAN, SCHEDULE
from numdiff.study.script import main

COUNTS = (5, 10, 20, 40, 80)
WIDTHS = np.geomspace(0.1, 3.0, 9)
LINE = np.linspace(float(SCHEDULE.log_snr(SCHEDULE.T)), float(SCHEDULE.log_snr(CLEAN)), 301)
MULTISTEP = nd.DPMSolverPP(3)


def gain_errors(scheme: nd.Scheme) -> list[Any]:
    """Return the relative error of a data-prediction scheme's gain on Gaussian data of every width."""
    first, last = scheme.levels[0], scheme.levels[-1]
    found = []
    for s in WIDTHS.tolist():
        exact = ((last.alpha * s) ** 2 + last.sigma**2) / ((first.alpha * s) ** 2 + first.sigma**2)
        found.append(_gain(scheme, s) / float(exact) ** 0.5 - 1.0)
    return found


def _gain(scheme: nd.Scheme, s: float) -> Any:
    registers: list[Any] = [1.0] + [0.0] * (scheme.registers - 1)
    for tableau in scheme:
        values = list(registers)
        for row, level in zip(tableau.plan.stages, tableau.levels, strict=True):
            a, b = level.alpha * s, level.sigma
            values.append(a * s / (a * a + b * b) * sum(c * values[i] for i, c in row))
        registers = [sum(c * values[i] for i, c in row) for row in tableau.plan.outputs]
    return registers[0]


GAIN = nd.optimize.Residuals(gain_errors, "gain")
FAMILIES: dict[str, tuple[nd.Method, Callable[[], Any], int]] = {
    "Gaussian gains, DDIM": (nd.DPMSolverPP(1), lambda: GAIN, 80),
    "Gaussian gains, DPM-Solver++ 3": (MULTISTEP, lambda: GAIN, 20),
    "Gaussian W2 (30 widths), DPM-Solver++ 3": (MULTISTEP, Gaussian, 20),
    "Align Your Steps (any method)": (nd.DPMSolverPP(1), ays.AYS, 80),
    "mixture bank, DPM-Solver++ 3": (MULTISTEP, MixtureBank, 80),
    "paper (gap 0.7 L/N), DPM-Solver++ 3": (MULTISTEP, nd.optimize.Paper, 80),
}
"""Method, objective and the largest N: where the errors cancel to nothing, more steps say nothing more."""
SQUARES = [name for name in FAMILIES if name.startswith(("Gaussian", "mixture"))]
"""Objectives that are squares of errors."""


def optima(name: str, other: Limit | None, counts: Any) -> dict[str, Any]:
    """Return optima by number of steps; a search starts from the limit, or from the optimum before it, interpolated."""
    method, objective, most = FAMILIES[name]
    found: dict[str, Any] = {}
    before: Any = None
    for n in (n for n in counts if n <= most):
        starts: list[Any] = [nd.optimize.interpolate(before, n)] if before else ["log-snr", "quadratic"]
        if other:
            starts = [other.steps(n)[1:-1]]
        before = nd.optimize.timesteps(method, SCHEDULE, n, objective=objective(), t_end=CLEAN, starts=starts)
        found[str(n)] = described(before, n)
    return found


def described(found: Any, n: int) -> dict[str, Any]:
    """Return the steps' density at the steps' middles and what they are worth."""
    nodes, length = found.log_snr, LINE[-1] - LINE[0]
    return {
        "log_snr": nodes,
        "middle": (nodes[1:] + nodes[:-1]) / 2,
        "density": length / (n * np.diff(nodes)),
        "error": found.objective**0.5,
        "error of log-SNR": found.evaluate(np.linspace(LINE[0], LINE[-1], n + 1)[1:-1]) ** 0.5,
        "ratio": float(np.exp(np.abs(np.diff(np.log(np.diff(nodes)))).max())),
        "certified": found.certified,
    }


def limit(name: str, iterations: int = 3000) -> Limit | None:
    """Return the limit density, where there is one."""
    if name == "Gaussian gains, DDIM":
        return limit_density(LINE, gaussian_errors(LINE, WIDTHS, 1), 1, least=0.01, iterations=iterations)
    if name.startswith("mixture bank"):
        return limit_density(LINE, bank_errors(MixtureBank(), 3), 3, iterations=iterations)
    if name.startswith("Align"):
        density = ays.continuum_density(ays.default_law(), LINE)
        return Limit(LINE, density / np.trapezoid(density, LINE), np.zeros(0), 0.0)
    return None


def bank_errors(bank: MixtureBank, order: int) -> np.ndarray:
    """Return a_m of the bank's problems on `LINE`; derivatives by central differences of nine points."""
    mean, width, tilt, noise = bank.mixtures()
    h, reach = LINE[1] - LINE[0], 4
    points = LINE[0] + h * np.arange(-reach, len(LINE) + reach)
    alpha = 1 / np.sqrt(1 + np.exp(-2 * points))
    denoised, law = np.empty((2, len(mean), len(points)))
    for i, (a, b) in enumerate(zip(alpha, np.sqrt(1 - alpha**2), strict=True)):
        v = (a * width) ** 2 + b**2
        x = quantile(noise, a * mean, np.sqrt(v), tilt)
        denoised[:, i] = a * width**2 / v * x + b**2 / v * mean * np.tanh(a * mean * x / v + tilt)
        law[:, i] = sum(np.exp(g * tilt - (x - g * a * mean) ** 2 / (2 * v)) for g in (1, -1)) / np.sqrt(v)
    powers = np.vander(np.arange(-reach, reach + 1.0), increasing=True).T
    rule = np.linalg.solve(powers, np.where(np.arange(2 * reach + 1) == order, math.factorial(order), 0.0)) / h**order
    derivative = sum(c * denoised[:, j : j + len(LINE)] for j, c in enumerate(rule))
    density = law[:, reach:-reach]
    unit = np.hypot(mean, width) ** bank.power * math.sqrt(len(mean))
    found: np.ndarray = (
        adams_constant(order) * alpha[reach:-reach] * derivative * density / (density[:, -1] * unit)[:, None]
    )
    return found


def distance(nodes: np.ndarray, other: Limit) -> float:
    """Return the largest difference between the shares of steps below any node."""
    parts = np.diff(LINE) * (other.density[1:] + other.density[:-1]) / 2
    shares = np.interp(nodes, LINE, np.concatenate([[0.0], np.cumsum(parts)]))
    return float(np.abs(shares - np.linspace(0, 1, len(nodes))).max())


def compute(fast: bool) -> dict[str, Any]:
    """Return optima by family and number of steps, limits and distances to them, and the gains' errors."""
    counts = COUNTS[: 2 if fast else None]
    families: dict[str, Any] = {}
    for name in FAMILIES:
        other = limit(name, 200 if fast else 3000)
        best = optima(name, other, counts)
        families[name] = {"optima": best, "limit": None}
        if other:
            families[name]["limit"] = {"density": other.density * (LINE[-1] - LINE[0])}
            families[name]["limit"].update(value=other.value if other.residuals.size else None, bound=other.bound)
            families[name]["distance"] = {str(n): distance(row["log_snr"], other) for n, row in best.items()}
    return {"counts": counts, "line": LINE, "families": families}


# --- what is shown ----------------------------------------------------------------------------------------------------


def draw(numbers: dict[str, Any]) -> Any:
    """Return the figure and the tables."""
    axes = plotting.figure(2, 4, 15.0, 7.4)
    places = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    for place, (name, found) in zip(places, numbers["families"].items(), strict=True):
        _densities(axes[place], numbers, name, found)
    _values(axes[0, 3], numbers)
    _distances(axes[1, 3], numbers)
    axes[0, 0].figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=6, frameon=False
    )
    return axes[0, 0].figure, _text(numbers)


def _densities(ax: Any, numbers: dict[str, Any], name: str, found: dict[str, Any]) -> None:
    for k, (n, row) in enumerate(found["optima"].items()):
        ax.plot(row["middle"], row["density"], label=f"N = {n}", color=plotting.COLOURS[k], linewidth=1.2)
    if found["limit"]:
        ax.plot(numbers["line"], found["limit"]["density"], "k--", linewidth=1.5, label="continuum limit")
    ax.set_title(name, fontsize="medium")
    ax.set_xlabel(r"half log-SNR $\lambda$")
    ax.set_ylabel("density $L/(N h)$")
    ax.set_ylim(0, 4)


def _values(ax: Any, numbers: dict[str, Any]) -> None:
    """Draw N^k times the root of the objective against N, and the limit's value."""
    for j, name in enumerate(SQUARES):
        best, k = numbers["families"][name]["optima"], FAMILIES[name][0].order
        counts = np.array([int(n) for n in best])
        style = {"color": plotting.COLOURS[j], "marker": plotting.MARKERS[j], "markersize": 4}
        ax.loglog(
            counts,
            counts**k * np.array([row["error"] for row in best.values()]),
            "-",
            label=name.replace("DPM-Solver++", "DPM++"),
            **style,
        )
        ax.loglog(counts, counts**k * np.array([row["error of log-SNR"] for row in best.values()]), ":", **style)
        if numbers["families"][name]["limit"]:
            value = numbers["families"][name]["limit"]["value"]
            ax.axhline(value, color=plotting.COLOURS[j], linestyle="--", linewidth=1)
    ax.set_ylabel("$N^k$ root F (dotted: log-SNR; dashed: limit)")
    _counts(ax, numbers, "lower right")


def _counts(ax: Any, numbers: dict[str, Any], place: str) -> None:
    ax.set_xticks(numbers["counts"], [str(n) for n in numbers["counts"]])
    ax.set_xticks([], minor=True)
    ax.set_xlabel("N")
    ax.legend(fontsize="x-small", frameon=False, loc=place)


def _distances(ax: Any, numbers: dict[str, Any]) -> None:
    counts = np.array(numbers["counts"])
    for k, (name, found) in enumerate(numbers["families"].items()):
        if found["limit"]:
            far = np.array(list(found["distance"].values()))
            ax.loglog(counts, far, marker="o", color=plotting.COLOURS[k], label=name)
    ax.loglog(counts, 0.4 / counts, color="0.6", linewidth=0.8, label="slope -1")
    ax.set_ylabel("distance to the limit")
    ax.set_ylim(bottom=3e-5)
    _counts(ax, numbers, "lower left")


def _text(numbers: dict[str, Any]) -> str:
    """Return the tables in Markdown."""
    counts, families = [str(n) for n in numbers["counts"]], numbers["families"]

    def row(label: str, cells: Any) -> list[str]:
        known = list(cells)
        return [label, *known, *["-"] * (len(counts) - len(known))]

    rows = [["N^k root objective", *counts, "limit (bound)"]]
    for name in SQUARES:
        k, known = FAMILIES[name][0].order, families[name]["limit"]
        end = f"{known['value']:.5g} ({known['bound']:.5g})" if known else ""
        best = families[name]["optima"].items()
        rows.append([*row(f"{name}: optimal", (f"{int(n) ** k * r['error']:.4g}" for n, r in best)), end])
        rows.append([*row("log-SNR", (f"{int(n) ** k * r['error of log-SNR']:.4g}" for n, r in best)), ""])
    text = _table(rows)
    rows = [["distance to the limit", *counts]]
    rows += [row(name, (f"{x:.2g}" for x in f["distance"].values())) for name, f in families.items() if f["limit"]]
    text += "\n" + _table(rows)
    rows = [["largest ratio of neighbouring steps", *counts]]
    rows += [row(name, (f"{r['ratio']:.3g}" for r in f["optima"].values())) for name, f in families.items()]
    text += "\n" + _table(rows)
    rows = [["certified", *counts]]
    rows += [row(n, ("yes" if r["certified"] else "no" for r in f["optima"].values())) for n, f in families.items()]
    return text + "\n" + _table(rows)


def _table(rows: list[list[str]]) -> str:
    lines = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


if __name__ == "__main__":
    main("time_steps_density", __doc__, compute, draw)
