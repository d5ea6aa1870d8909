r"""Optimized time steps that ship with the package: the main solvers on the common schedules, ready to use.

One JSON file a family of schedules, in the folder ``presets`` beside this module:

    format, version     "numdiff time-step presets", 1
    family, note        its name, and what it is for
    regenerate          the command that makes the file again
    provenance          versions that it was made with
    schedule, t_start, t_end, final_zero, objective    what was asked of `timesteps`
    methods             for each solver its fields, and for each N the interior half log-SNRs
                        lambda_1 < ... < lambda_{N-1}, orders and parameters, the objective before and after, and the
                        certificate's outcome

The ends lambda_0 and lambda_N follow from t_start, t_end and final_zero. Log-SNRs have 10 significant digits. Two
searches that end in one minimum agree to 1e-6, and at N = 50, where minima are flat, to some 1e-5. An entry that no
search could certify says so; it is the best that was found.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from numdiff._files import write_atomically
from numdiff._names import suggest
from numdiff.export.nodes import Node
from numdiff.formulations import DATA_LOG_SNR
from numdiff.methods import DDIM, GHVB, DPMSolverPP, HeavyBall, Heun, Method, UniPC
from numdiff.methods import method as named_method
from numdiff.optimize import documents
from numdiff.optimize.interpolation import interpolate
from numdiff.optimize.result import TimeSteps, versions
from numdiff.schedules import EDM, Discrete, Flow, Schedule, VPLinear

FORMAT, VERSION = "numdiff time-step presets", 1
FOLDER = Path(__file__).with_name("presets")
STEPS = (*range(4, 21), 25, 30, 50)
DIGITS = 10
COMMAND = 'python -c "import numdiff as nd; nd.optimize.regenerate()"'


@dataclass(frozen=True)
class Family:
    """A schedule and the ends of its runs, as `timesteps` takes them."""

    make: Callable[[], Schedule]
    final_zero: bool
    note: str
    file: str


FAMILIES = {
    "vp-linear": Family(VPLinear, False, "continuous VP, beta 0.1 to 20, down to t = 1e-3", "vp-linear"),
    "stable-diffusion": Family(
        Discrete.stable_diffusion, True, "Stable Diffusion 1 and 2, and SDXL, to sigma = 0", "stable-diffusion"
    ),
    "sdxl": Family(
        Discrete.stable_diffusion, True, "the table of Stable Diffusion, which SDXL has", "stable-diffusion"
    ),
    "edm": Family(EDM, True, "sigma from 80, then 0", "edm"),
    "flow": Family(Flow, True, "flow matching, sigma from 1 to 0", "flow"),
    "flow-shift-3": Family(lambda: Flow(3.0), True, "flow matching with shift 3, sigma from 1 to 0", "flow-shift-3"),
}
"""The families by name; SDXL's table is Stable Diffusion's, and so is its file."""


@dataclass(frozen=True)
class Solver:
    """A method, its list of orders and the parameters that are optimized with its steps, as `timesteps` takes them."""

    make: Callable[[], Method]
    orders: str | None = "lowered"
    optimize: tuple[str, ...] = ()
    most: int = STEPS[-1]


METHODS = {
    "dpmpp-2m": Solver(lambda: DPMSolverPP(2, rule="half")),
    "dpmpp-3m": Solver(lambda: DPMSolverPP(3)),
    "unipc-3": Solver(lambda: UniPC(3)),
    "ghvb-2": Solver(lambda: GHVB(2, 0.8)),
    "ghvb-2-tuned": Solver(lambda: GHVB(2, 0.8, DATA_LOG_SNR), "search", ("beta",), 20),
    "hb-dpmpp-2": Solver(lambda: HeavyBall(DPMSolverPP(2), 0.8)),
    "ddim": Solver(DDIM, None),
    "heun": Solver(Heun, None),
}
"""The solvers by name: DPM-Solver++(2M) as published, and the exact members of their families, with the published order
lists 1, 2, 3, ..., 3, 2, 1, as diffusers runs them; in "ghvb-2-tuned" list and damping are optimized too."""


def presets() -> list[tuple[str, str, tuple[int, ...]]]:
    """Return (family, method, numbers of steps) of every preset that ships.

    Returns
    -------
    list of tuple
        As `preset` takes them: name, method, and which numbers of steps there are.

    Examples
    --------
    >>> import numdiff as nd
    >>> sorted({family for family, _, _ in nd.optimize.presets()})
    ['edm', 'flow', 'flow-shift-3', 'sdxl', 'stable-diffusion', 'vp-linear']
    """
    found = []
    for name, family in FAMILIES.items():
        if (FOLDER / f"{family.file}.json").exists():
            methods = _read(FOLDER / f"{family.file}.json").methods
            found += [(name, key, tuple(entries)) for key, entries in methods.items()]
    return found


def preset(name: str, steps: int, method: Method | str = "dpmpp-3m", *, folder: Any = None) -> TimeSteps:
    """Return optimized steps that ship with the package.

    Parameters
    ----------
    name
        A family: "vp-linear", "stable-diffusion", "sdxl", "edm", "flow", "flow-shift-3".
    steps
        Number of steps: 4 to 20, 25, 30 or 50 ("ghvb-2-tuned": 4 to 20).
    method
        A solver's name among `METHODS`, or any method (or a method's name) that is one of them.
    folder
        Where the files are; the package's own if None.

    Returns
    -------
    TimeSteps
        As `timesteps` returned it, but for what is not stored: it cannot be evaluated, and has no trace.

    Raises
    ------
    TypeError, ValueError
        For a name or a method that there is no preset for, with the nearest, and for another number of steps, with the
        remedy.
    OSError
        If the file is missing.

    Examples
    --------
    >>> import numdiff as nd
    >>> found = nd.optimize.preset("sdxl", 8, "unipc-3")
    >>> found
    TimeSteps(PEC3 data/log-snr, 8 steps on stable-diffusion; mixture-bank 0.000514 -> 0.0001835; certified; 0 s)
    >>> scheme = found.scheme()
    >>> scheme.nfe, float(scheme.levels[-1].sigma)
    (8, 0.0)
    """
    if not isinstance(name, str) or name not in FAMILIES:
        suggest(name, FAMILIES, "family of presets")
    table = _read((FOLDER if folder is None else Path(folder)) / f"{FAMILIES[name].file}.json")
    key = _key(method)
    if key not in table.methods:
        suggest(key, table.methods, f"method of the presets for {name}")
    entries = table.methods[key]
    if isinstance(steps, bool) or not isinstance(steps, int) or steps not in entries:
        raise ValueError(
            f"no preset of {key} on {name} for steps = {steps!r}; there are {', '.join(map(str, entries))}; use "
            "nd.optimize.timesteps, or nd.optimize.interpolate(preset, steps) of the nearest"
        )
    return table.result(key, entries[steps])


def regenerate(
    folder: Any = None,
    names: Iterable[str] | None = None,
    *,
    methods: Iterable[str] | None = None,
    steps: Sequence[int] = STEPS,
    optimizer: Callable[..., TimeSteps] | None = None,
    progress: Callable[[str], None] | None = None,
) -> list[Path]:
    """Optimize the presets anew and write their files, each all or nothing.

    Parameters
    ----------
    folder
        Where to write; the package's own folder if None.
    names, methods, steps
        Which families, solvers and numbers of steps; by default all.
    optimizer
        What optimizes, called as `timesteps` is, which is the default.
    progress
        Called with a line of text before every optimization.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    ValueError
        For an unknown or empty choice, before anything is computed.
    OSError
        If a file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> import numdiff as nd
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = nd.optimize.regenerate(folder, ["vp-linear"], methods=["ddim"], steps=[4])
    ...     nd.optimize.preset("vp-linear", 4, "ddim", folder=folder).certified
    True
    """
    if optimizer is None:
        from numdiff.optimize.timesteps import timesteps

        optimizer = timesteps
    target = FOLDER if folder is None else Path(folder)
    families = _chosen("names", names, FAMILIES, "family of presets")
    keys = _chosen("methods", methods, METHODS, "method of the presets")
    if not len(steps):
        raise ValueError("steps must name at least one number of steps")
    target.mkdir(parents=True, exist_ok=True)
    written = []
    for file in dict.fromkeys(FAMILIES[name].file for name in families):
        text = _generated(file, keys, steps, optimizer, progress)
        write_atomically(target / f"{file}.json", text.encode())
        written.append(target / f"{file}.json")
    _read.cache_clear()
    return written


def _chosen(argument: str, names: Iterable[str] | None, known: Mapping[str, Any], what: str) -> list[str]:
    chosen = list(known if names is None else names)
    if not chosen:
        raise ValueError(f"{argument} must name at least one {what}; known: {', '.join(known)}")
    for one in chosen:
        if one not in known:
            suggest(one, known, what)
    return chosen


# --- writing ----------------------------------------------------------------------------------------------------------


def _generated(name: str, methods: list[str], steps: Sequence[int], optimizer: Any, progress: Any) -> str:
    family = FAMILIES[name]
    schedule = family.make()
    asked = {"t_start": schedule.T, "t_end": schedule.t_end, "final_zero": family.final_zero}
    found: dict[str, dict[int, TimeSteps]] = {key: {} for key in methods}
    for key, n in itertools.product(methods, steps):
        solver = METHODS[key]
        if n > solver.most:
            continue
        if progress is not None:
            progress(f"{name}, {key}, {n} steps")
        options = {"orders": solver.orders, "optimize": solver.optimize, **asked}
        before = next(reversed(found[key].values()), None)
        found[key][n] = _best(partial(optimizer, solver.make(), schedule, n, **options), n, before)
    document = {
        "format": FORMAT,
        "version": VERSION,
        "family": name,
        "note": family.note,
        "regenerate": COMMAND,
        "provenance": versions(),
        "schedule": documents.write_schedule(schedule),
        **asked,
        "objective": next(iter(found[methods[0]].values())).objective_name,
    }
    top = [f"{documents.dumps(key)}: {documents.dumps(value)}" for key, value in document.items()]
    blocks = [_block(key, results) for key, results in found.items()]
    return "{\n" + ",\n".join(top) + ',\n"methods": {\n' + ",\n".join(blocks) + "\n}\n}\n"


def _best(attempt: Callable[..., TimeSteps], steps: int, before: TimeSteps | None) -> TimeSteps:
    """Return what the usual search finds, or the best of it and further searches where it leaves something to wish.

    Where it is not certified: from where it ended, from another grid, and from fewer steps, `before`, interpolated.
    Where it is worse than the fewer, a poor local minimum: from those. The best has the lowest objective; among those
    within 1e-6 of it, relative, it is one that is certified.
    """
    first = attempt()
    more: list[Any] = [] if first.certified else [first, "quadratic"]
    if before is not None and (more or first.objective > before.objective):
        more.append(interpolate(before.log_snr, steps))
    found = [first, *(attempt(starts=[start]) for start in more)]
    least = min(result.objective for result in found)
    near = [result for result in found if result.objective <= least * (1 + 1e-6)]
    best = min(near, key=lambda result: (not result.certified, result.objective))
    return replace(best, initial_objective=first.initial_objective)


def _block(key: str, results: dict[int, TimeSteps]) -> str:
    """Return the results of one solver as JSON, one number of steps a line."""
    method = documents.dumps(documents.write_method(METHODS[key].make()))
    lines = [f'    "{n}": {documents.dumps(_entry(result))}' for n, result in results.items()]
    return f'  "{key}": {{"method": {method}, "steps": {{\n' + ",\n".join(lines) + "\n  }}"


_NUMBERS = ("objective", "initial_objective", "optimality")
_ENTRY = (*_NUMBERS, "certified", "status", "message", "orders", "parameters", "log_snr")


def _entry(result: TimeSteps) -> dict[str, Any]:
    found = {name: documents.plain(_rounded(getattr(result, name), 6), name) for name in _NUMBERS}
    inner = [_rounded(x, DIGITS) for x in result.log_snr[1:-1].tolist()]
    return {
        **found,
        "certified": bool(result.certified),
        "status": result.status,
        "message": result.message,
        "orders": None if result.orders is None else list(result.orders),
        "parameters": {name: _rounded(x, DIGITS) for name, x in result.parameters.items()},
        "log_snr": inner,
    }


def _rounded(x: float, digits: int) -> float:
    return float(f"{x:.{digits}g}")


# --- reading ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Table:
    """A file as it was read: the arguments, and the entries by solver and number of steps."""

    schedule: Schedule
    ends: tuple[float, float]
    times: tuple[float, float | None]
    objective: str
    provenance: dict[str, str]
    solvers: dict[str, Method]
    methods: dict[str, dict[int, dict[str, Any]]]

    def result(self, key: str, entry: dict[str, Any]) -> TimeSteps:
        low, high = self.ends
        values = {name: value for name, value in entry.items() if name not in ("log_snr", "orders")}
        return TimeSteps(
            method=self.solvers[key],
            schedule=self.schedule,
            objective_name=self.objective,
            log_snr=[low, *entry["log_snr"], high],  # type: ignore[arg-type]  # made an array there
            t_start=self.times[0],
            t_end=self.times[1],
            provenance=self.provenance,
            orders=None if entry["orders"] is None else tuple(entry["orders"]),
            **values,
        )


@lru_cache(maxsize=16)
def _read(path: Path) -> _Table:
    document = documents.opened(path.read_text(encoding="utf-8"), FORMAT, VERSION)
    asked = ("t_start", "t_end", "final_zero")
    head = ("format", "version", "family", "note", "regenerate", "provenance", "schedule", "objective")
    entries = document.entries(*head, *asked, "methods")
    schedule = documents.read_schedule(entries["schedule"])
    start, end, zero = (entries[name].value for name in asked)
    solvers, methods = {}, {}
    for key in entries["methods"].value:
        parts = Node(entries["methods"].value[key], f"methods.{key}").entries("method", "steps")
        solvers[key] = documents.read_method(parts["method"])
        steps = parts["steps"]
        methods[key] = {int(n): _read_entry(Node(x, f"{steps.place}.{n}")) for n, x in steps.value.items()}
    return _Table(
        schedule,
        (float(schedule.log_snr(start)), math.inf if zero else float(schedule.log_snr(end))),
        (start, None if zero else end),
        entries["objective"].text(),
        entries["provenance"].value,
        solvers,
        methods,
    )


def _read_entry(node: Node) -> dict[str, Any]:
    return {name: documents.numbers(entry) for name, entry in node.entries(*_ENTRY).items()}


def _key(method: Method | str) -> str:
    """Return the preset's name of a method."""
    if isinstance(method, str):
        if method in METHODS:
            return method
        try:
            method = named_method(method)
        except ValueError:
            suggest(method, METHODS, "method of the presets")
    if not isinstance(method, Method):
        raise TypeError(f"method must be a method such as nd.UniPC(3), or a method's name, got {method!r}")
    for key, solver in METHODS.items():
        if solver.make() == method:
            return key
    raise ValueError(
        f"no preset for {method}; there are {', '.join(METHODS)}, with the exact weights ('unipc-3' is nd.UniPC(3)) "
        "but for 'dpmpp-2m', which has the published; for others use nd.optimize.timesteps"
    )
