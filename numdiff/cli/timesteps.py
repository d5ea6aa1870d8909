"""``numdiff timesteps``: optimized steps of a method, printed, written or drawn."""

from __future__ import annotations

import argparse
import sys
from typing import Any

import numpy as np

from numdiff import grids, schedules
from numdiff._files import write_atomically
from numdiff.cli.layout import columns
from numdiff.cli.selection import chosen
from numdiff.cli.values import UsageError


def run(options: argparse.Namespace) -> None:
    """Optimize the steps, print them, and write what was asked for."""
    from numdiff import optimize

    method, schedule = chosen(options), _schedule(options)
    result = optimize.timesteps(
        method,
        schedule,
        options.steps,
        objective=_objective(options),
        t_start=options.t_start,
        t_end=options.t_end,
        final_zero=options.final_zero,
        final=options.final,
        gap=options.gap,
        optimize=options.optimize,
        bounds=_bounds(options),
        tolerance=options.tolerance,
        orders=_orders(options.orders),
        starts=options.start,
        time_limit=options.time_limit,
        callback=_report if options.progress else None,
    )
    if options.progress:
        print(file=sys.stderr)
    if not result.certified:
        print(f"warning: not certified: {result.message}", file=sys.stderr)
    print(_shown(result, options.form))
    if options.out is not None:
        _write(result, options)


def _schedule(options: argparse.Namespace) -> Any:
    if options.shift is None:
        return schedules.get(options.schedule)
    if options.schedule != "flow":
        raise UsageError(f"--shift belongs to --schedule flow, not to {options.schedule}")
    return schedules.get("flow", shift=options.shift)


def _objective(options: argparse.Namespace) -> Any:
    name, _, rest = options.objective.partition(":")
    if name == "ays" and options.final_zero:
        raise UsageError(
            "the AYS bound is infinite at sigma = 0; leave out --final-zero and give --t-end, or use Python: "
            "nd.optimize.timesteps(..., objective=nd.optimize.AYS(clean=...), final_zero=True)"
        )
    if name != "probe":
        return options.objective
    from numdiff import optimize, problems
    from numdiff._names import suggest

    known = problems.mixtures()
    if rest not in known:
        suggest(rest or "(none)", known, "mixture behind probe:")
    return optimize.Probe(known[rest])


def _bounds(options: argparse.Namespace) -> dict[str, tuple[float, float]]:
    """Return the boxes of the parameters; every one that has no usual box must be given."""
    from numdiff.optimize.ends import BOXES

    found = dict(options.bounds)
    if len(found) < len(options.bounds):
        raise UsageError("--bounds gives a parameter twice")
    for name in options.optimize:
        if name not in found and name.rpartition(".")[2] not in BOXES:
            raise UsageError(f"--optimize {name} needs the range of {name} too, by --bounds NAME=LOW:HIGH")
    unknown = sorted(set(found) - set(options.optimize))
    if unknown:
        raise UsageError(f"--bounds {unknown[0]} belongs to --optimize {unknown[0]}, which is missing")
    return found


def _orders(text: str | None) -> Any:
    if text is None or text in ("search", "lowered"):
        return text
    try:
        return tuple(int(word) for word in text.split(","))
    except ValueError:
        raise UsageError(
            f"--orders must be whole numbers with commas, as in 1,2,3,3,2,1, or lowered or search, got {text!r}"
        ) from None


def _report(progress: Any) -> None:
    line = (
        f"start {progress.start + 1} of {progress.starts}, iteration {progress.iteration}: {progress.objective:.6g}, "
        f"best {progress.best:.6g}, {progress.evaluations} evaluations in {progress.seconds:.1f} s"
    )
    print(f"\r{line:<100}", end="", file=sys.stderr, flush=True)


def _shown(result: Any, form: str) -> str:
    from numdiff import optimize

    if form == "json":
        return str(result.to_json()).rstrip("\n")
    if form == "table":
        return f"{_summary(result)}\n{_table(result)}"
    if form in ("sigmas", "comfyui"):
        return optimize.text(optimize.sigmas(result), "comma" if form == "sigmas" else "comfyui")
    values = {"times": lambda: result.times, "log-snr": lambda: result.log_snr, "timesteps": lambda: result.timesteps}
    try:
        found = values[form]()
    except TypeError as error:
        raise UsageError(str(error)) from error
    return ", ".join(f"{x:.9g}" for x in found)


def _summary(result: Any) -> str:
    certified = f"certified, optimality {result.optimality:.1e}" if result.certified else "NOT certified"
    tuned = "".join(f", {name} = {value:.6g}" for name, value in result.parameters.items())
    orders = f"\norders {','.join(map(str, result.orders))}" if result.orders else ""
    return (
        f"{result.method}: {result.steps} steps on {result.schedule.name} for {result.objective_name}{tuned}\n"
        f"objective {result.initial_objective:.6g} -> {result.objective:.6g}; {certified}; "
        f"{result.evaluations} evaluations in {result.seconds:.3g} s{orders}"
    )


def _table(result: Any) -> str:
    rows: list[tuple[str, ...]] = [("step", "time", "log-SNR", "alpha", "sigma")]
    entries = zip(result.times, result.log_snr, result.alphas, result.sigmas, strict=True)
    rows += [(str(i), *(f"{x:.6g}" for x in row)) for i, row in enumerate(entries)]
    return columns(rows, indent=2)


def _write(result: Any, options: argparse.Namespace) -> None:
    if options.out.suffix.lower() == ".json":
        result.save(options.out)
    else:
        write_atomically(options.out, _figure(result, options.out.suffix[1:].lower()))
    print(f"wrote {options.out}")


def _figure(result: Any, kind: str) -> bytes:
    """Return a figure: noise level by step, density of steps, and the search, beside the simple grids."""
    from numdiff import plotting
    from numdiff.study import draw

    axes = plotting.figure(1, 3, width=12.0)[0]
    known = {"optimized": result.log_snr} | _simple(result)
    plotting.sigma_per_step({name: np.exp(-lam) for name, lam in known.items()}, axes[0])
    plotting.step_density(known, axes[1])
    plotting.objective_trace({result.objective_name: result.trace}, axes[2])
    return draw.rendered(axes[0], kind)


def _simple(result: Any) -> dict[str, np.ndarray]:
    """Return the named grids between the same ends, as log-SNRs; none where an end is infinite."""
    if not np.isfinite(result.log_snr).all():
        return {}
    ends: Any = {"t_start": float(result.times[0]), "t_end": float(result.times[-1])}
    found: dict[str, Any] = {n: make(result.schedule, result.steps, **ends) for n, make in grids.NAMED.items()}
    return {name: np.array([float(result.schedule.log_snr(float(t))) for t in times]) for name, times in found.items()}
