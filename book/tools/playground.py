"""Data of the sampler playground: programs of tableaus for every member on offer, as scripts that a page can load.

``data/playground/index.js`` has what all methods share: the members and their names, the grids' levels, mixtures, and
the coefficients of the integrator of the exact flow. Every member has a file of its own, loaded when it is chosen.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import numdiff as nd
from book.tools.pages import write_folder
from book.tools.playground_methods import STEPS, Offer, offers, preset_of, summary_of, titles
from book.tools.playground_programs import Archive, base64_of, numbers_of
from book.tools.results import stored
from numdiff.methods import FAMILIES, Scheme

__all__ = ["GRIDS", "MIXTURES", "SCHEDULES", "grid", "mixture", "scheme", "write"]

SCHEDULES = {"vp-linear": nd.schedules.VPLinear(), "flow": nd.schedules.Flow()}
NOISIEST = {"vp-linear": 1.0, "flow": 0.999}
"""Where runs start: at t = 1 of the flow schedule log-SNR is infinite, and half of the grids do not exist."""

GRIDS = {
    "log-snr": "uniform in log-SNR",
    "uniform-t": "uniform in time",
    "karras": "Karras (rho = 7)",
    "quadratic": "quadratic in time",
    "optimized": "optimized",
}

MOST = 120
"""Most evaluations of a program on offer, so that all of them together stay within some megabytes."""

Component = tuple[float, float, float, float, float, float]


def _ring(n: int, radius: float, deviation: float) -> list[Component]:
    angles = 2 * np.pi * np.arange(n) / n
    return [(1 / n, radius * float(np.cos(a)), radius * float(np.sin(a)), deviation, deviation, 0.0) for a in angles]


MIXTURES: dict[str, tuple[str, list[Component]]] = {
    "two": ("Two modes", [(0.5, -1.2, -0.4, 0.25, 0.25, 0.0), (0.5, 1.2, 0.4, 0.25, 0.25, 0.0)]),
    "ring": ("Ring of eight", _ring(8, 1.5, 0.12)),
    "unequal": (
        "Unequal covariances",
        [(0.5, -1.0, 0.5, 0.7, 0.08, 0.6), (0.3, 1.1, 0.9, 0.3, 0.1, -0.9), (0.2, 0.6, -1.2, 0.15, 0.45, 0.2)],
    ),
    "rare": (
        "One common, two rare",
        [(0.9, -0.6, 0, 0.3, 0.3, 0.0), (0.06, 1.5, 1, 0.1, 0.1, 0.0), (0.04, 1.6, -1, 0.1, 0.1, 0.0)],
    ),
}
"""Name and components: weight, mean (two numbers), deviations along the axes, angle of the first axis."""


def mixture(components: list[Component]) -> nd.problems.GaussianMixture:
    """Return components as the mixture of numdiff."""
    matrices = []
    for _, _, _, first, second, angle in components:
        q = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        matrices.append(q @ np.diag([first**2, second**2]) @ q.T)
    weights = np.array([c[0] for c in components])
    return nd.problems.GaussianMixture(weights / weights.sum(), [c[1:3] for c in components], np.array(matrices))


@cache
def _found() -> dict[str, Any]:
    """Return the optimized steps by member, and why a search was refused."""
    return stored("playground_steps")


def grid(schedule: str, name: str, steps: int) -> np.ndarray:
    """Return the times of a grid that all methods share."""
    return nd.grids.NAMED[name](SCHEDULES[schedule], steps, t_start=NOISIEST[schedule])


def scheme(offer: Offer, schedule: str, name: str, steps: int) -> Scheme:
    """Return the method laid out; raise ``ValueError`` where that cannot be.

    Parameters
    ----------
    offer
        The member.
    schedule, name
        Keys of `SCHEDULES` and `GRIDS`.
    steps
        Number of grid steps.
    """
    chosen = SCHEDULES[schedule]
    if name != "optimized":
        return offer.method().discretize(chosen, grid(schedule, name, steps))
    if schedule != "vp-linear":
        raise ValueError("steps are optimized for the VP schedule only")
    if (preset := preset_of(offer, steps)) is not None:
        return preset.scheme()
    entry = _found()["steps"].get(offer.key, {}).get(str(steps))
    if entry is None:
        why = _found()["refused"].get(offer.key, "the search was not run")
        raise ValueError(f"there are no optimized steps of {offer.method()} for {steps} steps: {why}")
    inner = [chosen.time(float(x)) for x in entry["log_snr"].split()]
    orders = None if entry["orders"] is None else [int(x) for x in entry["orders"].split()]
    return offer.method().discretize(chosen, [chosen.T, *inner, chosen.t_end], orders=orders)


def layouts() -> Iterator[tuple[str, str, int]]:
    """Yield every schedule, grid and number of steps."""
    return ((schedule, name, steps) for schedule in SCHEDULES for name in GRIDS for steps in STEPS)


def script(offer: Offer) -> str:
    """Return the data file of a member."""
    archive, programs, missing = Archive(), {}, {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a method says of a grid that does not suit it is for its users
        for schedule, name, steps in layouts():
            key = f"{schedule}/{name}/{steps}"
            try:
                laid = _affordable(scheme(offer, schedule, name, steps))
            except ValueError as error:
                missing[key] = str(error)
                continue
            programs[key] = archive.add(laid, () if name == "optimized" else _nodes(schedule, name, steps))
    document = {"programs": programs, "missing": missing, **archive.document()}
    return f"numdiffPlayground.register({json.dumps(offer.key)}, {_compact(document)});\n"


def _affordable(laid: Scheme) -> Scheme:
    if laid.nfe > MOST:
        raise ValueError(f"{laid.steps} steps take {laid.nfe} evaluations; programs of more than {MOST} are not stored")
    return laid


@cache
def _nodes(schedule: str, name: str, steps: int) -> list[tuple[float, ...]]:
    return [numbers_of(level) for level in nd.grids.levels(SCHEDULES[schedule], grid(schedule, name, steps))]


def index() -> str:
    """Return the data file that all methods share."""
    common = [(s, name, steps) for s, name, steps in layouts() if name != "optimized"]
    document = {
        "steps": STEPS,
        "grids": GRIDS,
        "schedules": {key: _ends(key) for key in SCHEDULES},
        "mixtures": {key: {"name": name, "components": parts} for key, (name, parts) in MIXTURES.items()},
        "members": [_member(offer) for offer in offers()],
        "nodes": {
            f"{s}/{name}/{n}": base64_of(x for node in _nodes(s, name, n) for x in node) for s, name, n in common
        },
        "dop853": _dop853(),
    }
    return f"numdiffPlayground.share({_compact(document)});\n"


def _ends(schedule: str) -> list[list[float]]:
    """Return (alpha, sigma) where runs start and where they end."""
    chosen = SCHEDULES[schedule]
    levels = [chosen.level(NOISIEST[schedule]), chosen.level(chosen.t_end)]
    return [[float(level.alpha), float(level.sigma)] for level in levels]


def _member(offer: Offer) -> dict[str, Any]:
    method = offer.method()
    split = offer.group == "Splitting of the condition"
    return {
        "key": offer.key,
        "group": offer.group,
        "family": offer.family,
        "title": titles()[offer.family],
        "label": offer.label,
        "name": method.name,
        "summary": summary_of(offer),
        "status": FAMILIES[offer.family].status(offer.options),
        "order": method.weak_order if method.stochastic else method.order,
        "noise": method.stochastic,
        "split": split,
        "optimized": offer.key in _found()["steps"] or preset_of(offer, 10) is not None,
    }


def _dop853() -> dict[str, Any]:
    """Return the coefficients of Dormand and Prince's pair of order 8, as SciPy has them."""
    from scipy.integrate._ivp import dop853_coefficients as c

    n = c.N_STAGES
    table = {"A": c.A[:n, :n].tolist(), "C": c.C[:n].tolist(), "B": c.B.tolist()}
    return table | {"E3": c.E3.tolist(), "E5": c.E5.tolist()}


def _compact(document: Any) -> str:
    return json.dumps(document, separators=(",", ":"))


def write(book: Path) -> None:
    """Write the data files of the playground."""
    files = {f"{offer.key}.js": script(offer) for offer in offers()}
    write_folder(book / "explore" / "data" / "playground", {"index.js": index(), **files})
