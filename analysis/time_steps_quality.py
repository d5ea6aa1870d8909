"""Do optimized time steps give better samples? Errors on unseen mixtures against every baseline, wins and losses alike.

    python -m analysis.time_steps_quality --out results/analysis

The mixtures of `numdiff.study.steps.unseen`, on which nothing was tuned; 2048 noises each; the distance of every image
from the exact one. Every entry makes the same number of model evaluations. A baseline may keep the full order to the
end or lower it there, as published samplers do (1, 2, 3, ..., 3, 2, 1): of the two it is given the one that serves it
better on these very mixtures. The optimized steps are given no such choice: "mixture-bank" has full orders; "orders"
means that the objective chooses the list, and "orders and beta" the damping of GHVB and heavy ball as well.

A gain is the ratio of a baseline's error to that of the optimized steps (above 1: the optimized steps are better), a
geometric mean over the mixtures, with a 95 % interval from a bootstrap over the noises that is paired: every grid sees
the same resampled noises. The interval says what other noises would change, not what other mixtures would; for that
there is the table by mixture. An error against the exact flow is not a distance between distributions.
"""

from __future__ import annotations

import warnings
from fractions import Fraction
from functools import cache, partial
from typing import Any

import numpy as np

import numdiff as nd
from numdiff import plotting
from numdiff.optimize.objectives.ays import interpolated
from numdiff.optimize.objectives.probe import Probe
from numdiff.study import published_timesteps, steps
from numdiff.study.mixtures import CLEAN, SCHEDULE
from numdiff.study.script import main

BETA = Fraction(4, 5)
METHODS: dict[str, nd.Method] = {
    "DPM-Solver++ 3 exact": nd.DPMSolverPP(3),
    "UniPC3": nd.UniPC(3),
    "GHVB3(0.8)": nd.GHVB(3, BETA),
    "GHVB2(0.8) data": nd.GHVB(2, BETA, nd.DATA_LOG_SNR),
    "HB(DPM-Solver++ 2, 0.8)": nd.HeavyBall(nd.DPMSolverPP(2), BETA),
}
DAMPED = tuple(method for method in METHODS.values() if isinstance(method, (nd.GHVB, nd.HeavyBall)))
"""The methods that have a damping."""
LIMIT = 10.0
"""Seconds for one optimization."""
WHAT = ("rms", "median")
LEAST = 8
"""Budgets from which gains are averaged."""
FIRST = 6
"""Budgets from which cells are counted as wins and losses."""
# --- the grids --------------------------------------------------------------------------------------------------------


def ays_table(method: nd.Method, n: int) -> np.ndarray:
    """Return the published steps of Align Your Steps for a pixel model, log-linearly interpolated.

    That model runs from sigma/alpha 160 to 0.006, these runs from 152 to 0.010: the table is stretched to fit.
    """
    low, high = (float(SCHEDULE.log_snr(t)) for t in (SCHEDULE.T, CLEAN))
    table = -np.log(interpolated("deepfloyd-if", n))
    return _times(low + (high - low) * (table - table[0]) / (table[-1] - table[0]))


@cache
def published(start: str, p: int, n: int) -> np.ndarray:
    """Return where the published procedure of the paper stops, converged or not."""
    first = published_timesteps.start(start, n, CLEAN, float(SCHEDULE.T))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SciPy's, that a finite difference was zero: the procedure is run as published
        return _times(published_timesteps.optimize(first, p=p).log_snr)


def _times(log_snr: np.ndarray) -> np.ndarray:
    """Return times with both ends exact."""
    return np.array([SCHEDULE.T, *(float(SCHEDULE.time(value)) for value in log_snr[1:-1]), CLEAN])


@cache
def optimized(objective: str, method: nd.Method, n: int, orders: str | None = None, damping: bool = False) -> Any:
    """Return the result of an objective that knows no data, for a kind of order list, the damping optimized or not."""
    names = ("beta",) if damping and method in DAMPED else ()
    return nd.optimize.timesteps(
        method, SCHEDULE, n, objective=objective, t_end=CLEAN, orders=orders, optimize=names, time_limit=LIMIT
    )


def probe(case: steps.Case, method: nd.Method, n: int, first: str = "lowered") -> Any:
    """Return the scheme that is best on an eighth as many noises of a mixture, drawn from another seed.

    With "bank" for `first` the order list and the damping are those that the mixture bank finds, and the damping is
    then optimized with the steps.
    """
    objective = Probe(case.mixture, points=case.points // 8, seed=7)
    options: dict[str, Any] = {"objective": objective, "t_end": CLEAN, "time_limit": LIMIT}
    if first == "lowered":
        return nd.optimize.timesteps(method, SCHEDULE, n, orders="lowered", **options).scheme()
    found = optimized("mixture-bank", method, n, "search", True)
    names = tuple(found.parameters)
    starts = [found, "log-snr", "quadratic"]
    return nd.optimize.timesteps(
        found.tuned, SCHEDULE, n, orders=found.orders, optimize=names, starts=starts, **options
    ).scheme()


BASELINES: dict[str, steps.Steps] = {
    **steps.SIMPLE,
    "AYS table": ays_table,
    "AYS minimum": lambda method, n: optimized("ays", method, n).grid,
    "paper, p = 2 from log-SNR": lambda method, n: published("unif", 2, n),
    "paper, p = 2 from uniform t": lambda method, n: published("unif_t", 2, n),
    "paper, p = 1 from log-SNR": lambda method, n: published("unif", 1, n),
    "paper's minimum": lambda method, n: optimized("paper", method, n).grid,
}


def data_free(objective: str, orders: str | None = None, damping: bool = False) -> steps.Steps:
    """Return the rule that lays methods out on the steps that minimize an objective."""
    return lambda method, n: optimized(objective, method, n, orders, damping).scheme()


OURS: dict[str, steps.Steps] = {
    "mixture-bank": data_free("mixture-bank"),
    "mixture-bank, lowered": data_free("mixture-bank", "lowered"),
    "mixture-bank, orders": data_free("mixture-bank", "search"),
    "mixture-bank, orders and beta": data_free("mixture-bank", "search", True),
    "gaussian": data_free("gaussian"),
}
"""Optimized steps that know the method and the schedule, not the data; with the order list; with the damping too."""
AWARE: dict[str, Any] = {"probe, lowered": probe, "probe, orders and beta": partial(probe, first="bank")}
"""Optimized steps that know the mixture too: ``steps(case, method, n)``."""
BEST = "best simple grid"
GROUPS = {
    "log-SNR": ("log-SNR",),
    "paper as published": tuple(name for name in BASELINES if name.startswith("paper, ")),
    "AYS": ("AYS table", "AYS minimum"),
    BEST: tuple(steps.SIMPLE),
}
"""What the optimized steps are compared with: the best of a group, by its mean error at that budget."""
SHOWN = (*steps.SIMPLE, "paper, p = 2 from log-SNR", "mixture-bank", "mixture-bank, orders and beta")
"""Lines of the figure."""

# --- the errors -------------------------------------------------------------------------------------------------------


def compute(fast: bool) -> dict[str, Any]:
    """Return errors, gains and counts by method, grid, budget and mixture, without and with knowledge of the data."""
    cases = steps.unseen(256 if fast else steps.POINTS)[: 2 if fast else None]
    names, count = list(METHODS)[: 1 if fast else None], 50 if fast else 1000
    aware = names[:1] if fast else [names[0], names[3]]
    return {
        "reference errors": {case.name: float(case.reference[1].max()) for case in cases},
        "data-free": _study(names, (8,) if fast else steps.NFES, cases, OURS, {}, count),
        "data-aware": _study(aware, (8,), cases, {}, AWARE, count),
    }


def _study(methods: Any, nfes: Any, cases: Any, ours: Any, aware: Any, count: int) -> dict[str, Any]:
    """Return what one kind of optimized steps gains over the baselines."""
    names = [*BASELINES, *ours, *aware]
    tables, choice = _chosen(_errors(methods, nfes, cases, ours, aware))
    found = np.log([[np.sqrt(np.mean(table[0] ** 2, axis=-1)), np.median(table[1], axis=-1)] for table in tables])
    found, drawn = np.moveaxis(found, 0, -1), _drawn(tables, count)
    gains = {
        name: {against: _comparison(found, drawn, names, name, group, nfes) for against, group in GROUPS.items()}
        for name in (*ours, *aware)
    }
    return {
        "nfes": nfes,
        "methods": methods,
        "grids": names,
        "cases": [case.name for case in cases],
        "lowered": choice,
        "errors": np.exp(found.mean(axis=-1)),
        "errors by mixture": np.exp(found),
        "gains": gains,
    }


def _errors(methods: Any, nfes: Any, cases: Any, ours: Any, aware: Any) -> np.ndarray:
    """Return the errors by (case, method, budget, rule, noise).

    The rules are the baselines with full and with lowered orders, then the optimized steps.
    """
    rules = [*BASELINES.values(), *map(steps.lowered, BASELINES.values()), *ours.values()]
    schemes = {(m, nfe): [steps.scheme_of(rule, METHODS[m], nfe) for rule in rules] for m in methods for nfe in nfes}
    tables = []
    for case in cases:
        own, errors = [partial(rule, case) for rule in aware.values()], []
        for (m, nfe), row in schemes.items():
            every = [*row, *(steps.scheme_of(rule, METHODS[m], nfe) for rule in own)]
            errors.append([case.errors(scheme) for scheme in every])
        tables.append(np.reshape(errors, (len(methods), len(nfes), -1, case.points)))
    return np.array(tables)


def _chosen(errors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the errors by (case, what, method, budget, grid, noise), and whether a baseline has lowered orders.

    The better of a baseline's two order lists has the smaller mean over the cases, for either measure of its own.
    """
    n = len(BASELINES)
    full, low, ours = errors[..., :n, :], errors[..., n : 2 * n, :], errors[..., 2 * n :, :]
    rms = [np.log(np.mean(part**2, axis=-1)).mean(axis=0) for part in (full, low)]
    median = [np.log(np.median(part, axis=-1)).mean(axis=0) for part in (full, low)]
    choice = np.array([rms[1] < rms[0], median[1] < median[0]])
    parts = [np.where(better[..., None], low, full) for better in choice]
    return np.stack([np.concatenate([part, ours], axis=-2) for part in parts], axis=1), choice


def _drawn(tables: np.ndarray, count: int) -> np.ndarray:
    """Return the log errors of bootstrap samples by (sample, what, method, budget, grid, case)."""
    drawn = []
    for k, (first, second) in enumerate(tables):
        counts = steps.resamples(first.shape[-1], count, k)
        drawn.append(np.log([steps.resampled_rms(first, counts), steps.resampled_medians(second, counts)]))
    return np.moveaxis(np.array(drawn), 0, -1).swapaxes(0, 1)


# --- the comparison ---------------------------------------------------------------------------------------------------


def _comparison(
    found: np.ndarray, drawn: np.ndarray, names: list[str], name: str, group: tuple[str, ...], nfes: Any
) -> dict[str, Any]:
    """Return gains and counts of one kind of steps against the best of a group of baselines at each budget."""
    pick, budgets = np.array([names.index(member) for member in group]), np.array(nfes)
    best = pick[found[..., pick, :].mean(axis=-1).argmin(axis=-1)]
    gain, spread = (_gain(array, names.index(name), best) for array in (found, drawn))
    late, counted, every = budgets >= LEAST, budgets >= FIRST, budgets > 0
    views = {"budget": (every, (3,)), "method": (late, (2, 3)), "mixture": (late, (1, 2)), "all": (late, (1, 2, 3))}
    low, high = (np.quantile(spread[:, :, :, counted], q, axis=0) for q in (0.025, 0.975))
    return {
        **{key: _interval(gain[:, :, keep], spread[:, :, :, keep], axes) for key, (keep, axes) in views.items()},
        "wins": (low > 0).sum(axis=(1, 2, 3)),
        "losses": (high < 0).sum(axis=(1, 2, 3)),
        "cells": low[0].size,
        "least": np.exp(gain[:, :, counted].mean(axis=-1).min(axis=(1, 2))),
        "opponents": [[[names[k] for k in row] for row in block] for block in best],
    }


def _gain(array: np.ndarray, ours: int, best: np.ndarray) -> np.ndarray:
    """Return log(error of the baseline / ours) by (..., what, method, budget, case)."""
    index = np.broadcast_to(best[..., None, None], (*array.shape[:-2], 1, array.shape[-1]))
    return np.take_along_axis(array, index, axis=-2)[..., 0, :] - array[..., ours, :]


def _interval(gain: np.ndarray, spread: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Return the geometric mean over `axes` and its 95 % interval: three numbers along the last axis."""
    means = spread.mean(axis=tuple(axis + 1 for axis in axes))
    return np.exp(np.stack([gain.mean(axis=axes), *np.quantile(means, [0.025, 0.975], axis=0)], axis=-1))


# --- what is shown ----------------------------------------------------------------------------------------------------


def draw(numbers: dict[str, Any]) -> Any:
    """Return the figure and the tables."""
    free = numbers["data-free"]
    nfes, methods = np.array(free["nfes"]), free["methods"]
    axes = plotting.figure(2, len(methods), 3.2 * len(methods), 6.4, sharex=True, sharey="row")
    for row, what in enumerate(WHAT):
        for column, method in enumerate(methods):
            errors = np.array(free["errors"][row][column])
            lines = {name: (nfes, errors[:, free["grids"].index(name)]) for name in SHOWN}
            label = "root mean square error" if what == "rms" else "median error"
            plotting.curves(lines, axes[row, column], xlabel="evaluations", ylabel=label, logx=True, logy=True)
            axes[row, column].set_title(method, fontsize="medium")
            axes[row, column].set_xticks(nfes, [str(n) for n in nfes])
            axes[row, column].set_xticks([], minor=True)
    return plotting.share(axes, columns=5), _text(numbers)


def _text(numbers: dict[str, Any]) -> str:
    """Return the tables in Markdown."""
    worst = max(numbers["reference errors"].values())
    text = f"The reference's own error is estimated to be at most {worst:.1g} for every noise.\n"
    for kind in ("data-free", "data-aware"):
        found = numbers[kind]
        details = [_detail(found, key) for key in ("method", "mixture")]
        text += "\n".join([f"\n# Steps that are {kind}\n", _overall(found), *details, _budgets(found), _raw(found)])
    return text


def _table(rows: list[list[str]]) -> str:
    lines = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _overall(numbers: dict[str, Any]) -> str:
    rows = [["steps", "against", *(f"{what}: gain, wins/losses, least mean" for what in WHAT)]]
    for name, against in numbers["gains"].items():
        for other, found in against.items():
            cells = [
                f"{_shown(found['all'][k])}, {found['wins'][k]}/{found['losses'][k]} of {found['cells']}, "
                f"{found['least'][k]:.2f}"
                for k in range(len(WHAT))
            ]
            rows.append([name, other, *cells])
    head = f"Gains at {LEAST} evaluations and more; cells (method, budget, mixture) won or lost at {FIRST} and more by "
    head += "more than the 95 % interval; least: the smallest gain at one budget of one method, mean over mixtures."
    return f"## Against the baselines\n\n{head}\n\n{_table(rows)}"


def _detail(numbers: dict[str, Any], key: str) -> str:
    labels = numbers["methods"] if key == "method" else numbers["cases"]
    text = f"## By {key}, {LEAST} evaluations and more\n"
    for k, what in enumerate(WHAT):
        rows = [["steps", "against", *labels]]
        for name, against in numbers["gains"].items():
            rows += [[name, other, *map(_shown, found[key][k])] for other, found in against.items()]
        text += f"\nGain in {what} error:\n\n{_table(rows)}"
    return text


def _budgets(numbers: dict[str, Any]) -> str:
    """Return the gains against the best simple grid at every budget, and the grid that was the best."""
    text = "## By budget, against the best simple grid\n"
    for k, what in enumerate(WHAT):
        rows = [["steps", "method", *map(str, numbers["nfes"])]]
        for name, against in numbers["gains"].items():
            found = against[BEST]
            for j, method in enumerate(numbers["methods"]):
                pairs = zip(found["budget"][k][j], found["opponents"][k][j], strict=True)
                rows.append([name, method, *(f"{_shown(gain)} {grid}" for gain, grid in pairs)])
        text += f"\nGain in {what} error:\n\n{_table(rows)}"
    return text


def _raw(numbers: dict[str, Any]) -> str:
    text = "## Errors\n"
    for k, what in enumerate(WHAT):
        rows = [["method", "grid", *map(str, numbers["nfes"])]]
        for j, method in enumerate(numbers["methods"]):
            columns = zip(*numbers["errors"][k][j], strict=True)
            rows += [[method, g, *(f"{e:.2g}" for e in es)] for g, es in zip(numbers["grids"], columns, strict=True)]
        text += f"\nGeometric mean over the mixtures of the {what} error:\n\n{_table(rows)}"
    return text


def _shown(interval: list[float]) -> str:
    return "{:.2f} [{:.2f}, {:.2f}]".format(*interval)


if __name__ == "__main__":
    main("time_steps_quality", __doc__, compute, draw)
