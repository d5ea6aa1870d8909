"""How much do the steps matter, whom else do they serve, and why the published bound's true minimum samples worse.

    python -m analysis.time_steps_sensitivity --out results/analysis

Steps optimized on the mixture bank, on the VP-linear schedule; errors against the exact flow on mixtures on which
nothing was tuned, geometric means over the mixtures.

- **Moves**: every interior node is moved by a random normal part (1, 2, 5, 10, 20 %) of the shorter step beside it. A
  table of a thousand entries moves them too, once. The eigenvalues of the Hessian of log F tell how unequal the
  directions are.
- **Transfer**: the error of one method on the steps of another, relative to the steps of its own; and the gain over
  log-SNR steps where the data's scale is not the one assumed.
- **The published bound** F (orders 1, 2, 3, ..., 3, 2, 1): with positive weights it is a quadrature, which tends to
  int sigma^(p-1) dlambda = arcsinh(e^-lambda_0) - arcsinh(e^-lambda_N) for p = 2 whatever the grid. What lies below
  that are weights of both signs that cancel between neighbours, best where steps shrink to nothing: F and the errors
  at its certified minima under different minimum gaps, and where the published procedure stops.
"""

from __future__ import annotations

import warnings
from fractions import Fraction
from typing import Any

import numpy as np

import numdiff as nd
from numdiff import plotting
from numdiff.optimize.objectives.bank import MixtureBank
from numdiff.optimize.objectives.paper import Paper, charges
from numdiff.study import published_timesteps, steps
from numdiff.study.mixtures import CLEAN, SCHEDULE
from numdiff.study.script import main

BETA = Fraction(4, 5)
METHODS: dict[str, nd.Method] = {
    "DPM++ 3": nd.DPMSolverPP(3),
    "DPM++ 2M": nd.DPMSolverPP(2, rule="half"),
    "UniPC3": nd.UniPC(3),
    "GHVB2 data": nd.GHVB(2, BETA, nd.DATA_LOG_SNR),
    "HB(DPM++ 2)": nd.HeavyBall(nd.DPMSolverPP(2), BETA),
    "DDIM": nd.DPMSolverPP(1),
}
MOVES = (0.01, 0.02, 0.05, 0.1, 0.2)
SCALES = (0.25, 0.5, 1.0, 2.0, 4.0)
GAPS = (0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Minimum gaps as parts of L/N."""
CASES = ("lattice-2", "large-8", "widths-3", "anisotropic-6")
SOLVER = METHODS["DPM++ 3"]
LOW, HIGH = float(SCHEDULE.log_snr(SCHEDULE.T)), float(SCHEDULE.log_snr(CLEAN))


def grid(nodes: np.ndarray) -> np.ndarray:
    """Return the times of half log-SNRs, both ends exact."""
    return np.array([SCHEDULE.T, *SCHEDULE.time(nodes[1:-1]), CLEAN])


def mean_errors(method: nd.Method, nodes: np.ndarray, cases: Any, orders: Any = None) -> np.ndarray:
    """Return the geometric means over the cases of root mean square and median error."""
    scheme = method.discretize(SCHEDULE, grid(nodes), orders=orders)
    found = [case.errors(scheme) for case in cases]
    result: np.ndarray = np.exp(
        np.mean([(np.log(np.sqrt(np.mean(e**2))), np.log(np.median(e))) for e in found], axis=0)
    )
    return result


def best(method: nd.Method, n: int, **options: Any) -> Any:
    """Return optimized steps."""
    return nd.optimize.timesteps(method, SCHEDULE, n, t_end=CLEAN, **{"objective": MixtureBank(), **options})


# --- moves ------------------------------------------------------------------------------------------------------------


def moves(found: Any, cases: Any, draws: int) -> dict[str, Any]:
    """Return root objective and errors relative to the optimum's after random moves, and after rounding to a table."""
    z, room = found.log_snr[1:-1], np.minimum(np.diff(found.log_snr)[1:], np.diff(found.log_snr)[:-1])
    own, rng = mean_errors(SOLVER, found.log_snr, cases), np.random.default_rng(0)

    def relative(inner: np.ndarray) -> np.ndarray:
        errors = mean_errors(SOLVER, np.array([LOW, *inner, HIGH]), cases) / own
        return np.array([np.sqrt(found.evaluate(inner) / found.objective), *errors])

    rows = []
    for part in MOVES:
        kicks = np.clip(rng.standard_normal((draws, len(z))), -2.4, 2.4)  # so that the nodes stay in order
        rows.append(np.quantile([relative(z + part * room * kick) for kick in kicks], [0.1, 0.5, 0.9], axis=0))
    table = SCHEDULE.log_snr(np.round(1000 * np.asarray(SCHEDULE.time(z))) / 1000)
    return {"relative": rows, "rounded": relative(np.asarray(table)), "eigenvalues": curvatures(found)}


def curvatures(found: Any, step: float = 1e-3) -> np.ndarray:
    """Return the eigenvalues of the Hessian of log F with respect to the interior log-SNRs, by central differences."""
    z = found.log_snr[1:-1]
    moved = step * np.eye(len(z))

    def value(x: np.ndarray) -> float:
        return float(np.log(found.evaluate(x)))

    hessian = [
        [value(z + a + b) - value(z + a - b) - value(z - a + b) + value(z - a - b) for a in moved] for b in moved
    ]
    eigenvalues: np.ndarray = np.linalg.eigvalsh(np.array(hessian) / (4 * step**2))
    return eigenvalues


# --- transfer ---------------------------------------------------------------------------------------------------------


def transfer(n: int, methods: Any, cases: Any) -> dict[str, Any]:
    """Return the errors of every method (rows) on the steps of every other and on simple grids, relative to its own."""
    owners = {name: best(method, n).log_snr for name, method in methods.items()}
    simple = {name: np.asarray(steps.SIMPLE[name](SOLVER, n)) for name in ("log-SNR", "quadratic t")}
    owners.update({name: np.array([LOW, *SCHEDULE.log_snr(t[1:-1]), HIGH]) for name, t in simple.items()})
    errors = np.array([[mean_errors(m, nodes, cases) for nodes in owners.values()] for m in methods.values()])
    own = np.array([errors[k, k] for k in range(len(methods))])
    return {"steps of": list(owners), "method": list(methods), "relative": errors / own[:, None]}


def scaled(case: steps.Case, factor: float) -> steps.Case:
    """Return the same mixture, its data multiplied by a factor."""
    mixture, spectrum = case.mixture, case.mixture.spectrum
    variances = factor**2 * spectrum.variances
    if spectrum.basis is not None:
        variances = (spectrum.basis * variances[:, None, :]) @ np.swapaxes(spectrum.basis, 1, 2)
    return steps.Case(
        case.name, steps.Quick(mixture.weights, factor * mixture.means, variances), case.seed, case.points
    )


def scales(found: Any, cases: Any) -> list[np.ndarray]:
    """Return by scale the gain in both errors over log-SNR steps."""
    even = np.linspace(LOW, HIGH, len(found.log_snr))
    rows = []
    for factor in SCALES:
        moved = [scaled(case, factor) for case in cases]
        rows.append(mean_errors(SOLVER, even, moved) / mean_errors(SOLVER, found.log_snr, moved))
    return rows


# --- the published bound ----------------------------------------------------------------------------------------------


def constant() -> float:
    """Return int sigma dlambda on a variance-preserving schedule, what F of p = 2 tends to with positive weights."""
    return float(np.arcsinh(np.exp(-LOW)) - np.arcsinh(np.exp(-HIGH)))


def lowered(n: int) -> tuple[int, ...]:
    """Return the published orders."""
    return tuple(min(3, i + 1, n - i) for i in range(n))


def bound(n: int, gaps: Any, cases: Any) -> dict[str, Any]:
    """Return F and errors relative to log-SNR steps: at certified minima by minimum gap, and where the paper stops."""
    orders, objective = lowered(n), Paper()
    even = np.linspace(LOW, HIGH, n + 1)
    base = mean_errors(SOLVER, even, cases, orders)

    def row(nodes: np.ndarray) -> dict[str, Any]:
        scheme = SOLVER.discretize(SCHEDULE, grid(nodes), orders=orders)
        gross = sum(abs(x) for step in charges(scheme, 2) for x in step.values())
        shortest = np.diff(nodes).min() * n / (HIGH - LOW)
        errors = mean_errors(SOLVER, nodes, cases, orders) / base
        return {"F": objective.value(scheme), "gross": gross, "shortest": shortest, "errors": errors}

    minima = []
    for part in gaps:
        found = best(SOLVER, n, objective=objective, gap=part * (HIGH - LOW) / n, orders=orders)
        minima.append({**row(found.log_snr), "gap": part, "certified": found.certified})
    stops = {start: row(_published(start, n)) for start in ("unif", "unif_t")}
    quadratic = np.asarray(steps.SIMPLE["quadratic t"](SOLVER, n))
    simple = {"log-SNR": row(even), "quadratic t": row(np.array([LOW, *SCHEDULE.log_snr(quadratic[1:-1]), HIGH]))}
    return {"minima": minima, "published": stops, "simple": simple}


def _published(start: str, n: int) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SciPy's, that a finite difference was zero: the procedure is run as published
        first = published_timesteps.start(start, n, CLEAN, float(SCHEDULE.T))
        return np.array([LOW, *published_timesteps.optimize(first).log_snr[1:-1], HIGH])


def quadrature(counts: Any) -> dict[str, list[float]]:
    """Return F of simple grids by the number of steps: of log-SNR steps at order 1 (positive weights) and order 3."""
    grids = {n: np.linspace(LOW, HIGH, n + 1) for n in counts}
    found: dict[str, list[float]] = {}
    for name, method in (("order 1", nd.DPMSolverPP(1)), ("orders 1, 2, 3, ..., 3, 2, 1", SOLVER)):
        for n, nodes in grids.items():
            orders = lowered(n) if method is SOLVER else None
            value = Paper(trunc=0).value(method.discretize(SCHEDULE, grid(nodes), orders=orders))
            found.setdefault(name, []).append(value)
    return found


def compute(fast: bool) -> dict[str, Any]:
    """Return the moves, the transfer matrix, the gains by scale, and the bound's minima."""
    cases = [case for case in steps.unseen(64 if fast else 128) if case.name in CASES[: 2 if fast else None]]
    n, counts = 10, (10, 20, 40, 80, 160, 320)[: 4 if fast else None]
    found, methods = best(SOLVER, n), dict(list(METHODS.items())[: 2 if fast else None])
    return {
        "steps": n,
        "certified": found.certified,
        "moves": moves(found, cases, 4 if fast else 20),
        "transfer": transfer(n, methods, cases),
        "scales": scales(found, cases[:2]),
        "constant": constant(),
        "counts": counts,
        "quadrature": quadrature(counts),
        "bound": bound(n, GAPS[7:] if fast else GAPS, cases),
    }


# --- what is shown ----------------------------------------------------------------------------------------------------


def draw(numbers: dict[str, Any]) -> Any:
    """Return the figure and the tables."""
    axes = plotting.figure(2, 3, 14.0, 8.2)
    _moves(axes[0, 0], numbers["moves"])
    _matrix(axes[0, 1], numbers["transfer"])
    _scales(axes[0, 2], numbers["scales"])
    _quadrature(axes[1, 0], numbers)
    _bound(axes[1, 1], numbers, 0, "root mean square error")
    _bound(axes[1, 2], numbers, 1, "median error")
    return axes[0, 0].figure, _text(numbers)


def _moves(ax: Any, found: dict[str, Any]) -> None:
    rows = np.array(found["relative"])
    for k, name in enumerate(("root of the objective", "rms error", "median error")):
        low, middle, high = rows[:, :, k].T
        ax.plot(MOVES, middle, label=name, color=plotting.COLOURS[k], marker=plotting.MARKERS[k])
        ax.fill_between(MOVES, low, high, color=plotting.COLOURS[k], alpha=0.15, linewidth=0)
    ax.set(xscale="log", yscale="log", xlabel="standard deviation of the moves, part of a step")
    ax.set_ylabel("relative to the optimum (10, 50, 90 %)")
    ax.set_title("nodes moved at random", fontsize="medium")
    ax.legend(frameon=False)


def _matrix(ax: Any, found: dict[str, Any]) -> None:
    values = np.array(found["relative"])[:, :, 0]
    ax.imshow(np.log2(values), cmap="RdBu_r", vmin=-1.5, vmax=1.5, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        ax.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize="small")
    ax.set_xticks(range(values.shape[1]), found["steps of"], rotation=35, ha="right")
    ax.set_yticks(range(values.shape[0]), found["method"])
    ax.set_xlabel("steps of")
    ax.set_title("rms error relative to a method's own steps", fontsize="medium")


def _scales(ax: Any, rows: Any) -> None:
    for k, name in enumerate(("rms error", "median error")):
        ax.plot(SCALES, np.array(rows)[:, k], label=name, color=plotting.COLOURS[k + 1], marker=plotting.MARKERS[k + 1])
    ax.axhline(1, color="0.6", linewidth=0.8)
    ax.set(xscale="log", xlabel="data multiplied by", ylabel="times better than log-SNR steps")
    ax.set_xticks(SCALES, [f"{s:g}" for s in SCALES])
    ax.set_xticks([], minor=True)
    ax.set_title("data of another scale", fontsize="medium")
    ax.legend(frameon=False)


def _quadrature(ax: Any, numbers: dict[str, Any]) -> None:
    for k, (name, row) in enumerate(numbers["quadrature"].items()):
        off = np.abs(np.array(row) / numbers["constant"] - 1)
        ax.loglog(numbers["counts"], off, label=name, color=plotting.COLOURS[k], marker=plotting.MARKERS[k])
    ax.set_xticks(numbers["counts"], [str(n) for n in numbers["counts"]])
    ax.set_xticks([], minor=True)
    ax.set_xlabel("N")
    ax.set_ylabel("|F / constant - 1|")
    ax.set_title(f"F on log-SNR steps tends to {numbers['constant']:.4f}", fontsize="medium")
    ax.legend(frameon=False)


def _bound(ax: Any, numbers: dict[str, Any], k: int, label: str) -> None:
    """Draw F and an error at the bound's minima against the minimum gap, both relative to log-SNR steps."""
    found = numbers["bound"]
    even = found["simple"]["log-SNR"]["F"]
    gaps = [row["gap"] for row in found["minima"]]
    ax.semilogy(gaps, [row["F"] / even for row in found["minima"]], color=plotting.COLOURS[0], marker="o", label="F")
    errors = [row["errors"][k] for row in found["minima"]]
    ax.semilogy(gaps, errors, color=plotting.COLOURS[1], marker="s", label=label)
    for (name, row), marker in zip(found["published"].items(), "*P", strict=True):
        start = {"unif": "log-SNR", "unif_t": "uniform t"}[name]
        for value, colour in ((row["F"] / even, 0), (row["errors"][k], 1)):
            ax.plot(row["shortest"], value, marker, color=plotting.COLOURS[colour], markersize=11, markeredgecolor="k")
        ax.plot([], [], marker, color="0.7", markeredgecolor="k", markersize=9, label=f"published, from {start}")
    ax.axhline(found["simple"]["quadratic t"]["errors"][k], color="0.4", linestyle=":", label=f"quadratic t: {label}")
    ax.axhline(1, color="0.7", linewidth=0.8)
    ax.set(xlabel="minimum gap (published: shortest step), parts of L/N", ylabel="relative to log-SNR steps")
    ax.set_title(f"minima of F, N = {numbers['steps']}", fontsize="medium")
    ax.legend(frameon=False, fontsize="x-small", loc="lower right")


def _text(numbers: dict[str, Any]) -> str:
    """Return the tables in Markdown."""
    moved = numbers["moves"]
    names = ["root objective", "rms", "median"]
    rows = [["nodes moved by", *names]]
    for part, (_, middle, high) in zip(MOVES, moved["relative"], strict=True):
        rows.append([f"{100 * part:g} %", *(f"{m:.3f} ({h:.3f})" for m, h in zip(middle, high, strict=True))])
    rows.append(["rounding to 1/1000", *(f"{x:.3f}" for x in moved["rounded"])])
    text = "## Moves\n\nMedian (90 % quantile) of the ratio to the optimum.\n\n" + _table(rows)
    spread = ", ".join(f"{x:.3g}" for x in moved["eigenvalues"])
    text += f"\nEigenvalues of the Hessian of log F in the log-SNRs: {spread}.\n"
    for k, what in enumerate(("rms", "median")):
        found = numbers["transfer"]
        rows = [["method", *found["steps of"]]]
        for name, line in zip(found["method"], found["relative"], strict=True):
            rows.append([name, *(f"{x[k]:.2f}" for x in line)])
        text += f"\n## Transfer: {what} error relative to a method's own steps\n\n{_table(rows)}"
    rows = [["data multiplied by", *(f"{s:g}" for s in SCALES)]]
    rows += [[what, *(f"{row[k]:.2f}" for row in numbers["scales"])] for k, what in enumerate(("rms", "median"))]
    text += f"\n## Times better than log-SNR steps\n\n{_table(rows)}"
    return text + _bound_text(numbers)


def _bound_text(numbers: dict[str, Any]) -> str:
    found = numbers["bound"]
    rows = [["steps", "F", "sum of all charges", "shortest step / (L/N)", "rms", "median", "certified"]]
    entries = [(f"minimum, gap {row['gap']:g} L/N", row, row["certified"]) for row in found["minima"]]
    entries += [(f"published, start {name}", row, None) for name, row in found["published"].items()]
    entries += [(name, row, None) for name, row in found["simple"].items()]
    for name, row, certified in entries:
        line = [name, *(f"{row[key]:.4g}" for key in ("F", "gross", "shortest")), *(f"{e:.3g}" for e in row["errors"])]
        rows.append([*line, "" if certified is None else "yes" if certified else "no"])
    head = f"Errors relative to log-SNR steps, N = {numbers['steps']}; F tends to {numbers['constant']:.5g}."
    return f"\n## The published bound\n\n{head}\n\n{_table(rows)}"


def _table(rows: list[list[str]]) -> str:
    lines = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


if __name__ == "__main__":
    main("time_steps_sensitivity", __doc__, compute, draw)
