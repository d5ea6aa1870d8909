"""Which sampler at how many evaluations: errors of the deterministic zoo on exact mixtures, and a ranking.

    python -m analysis.work_precision --out results/analysis

Every method runs on four mixtures without guidance and on the same four with exact classifier guidance at scales 4
and 8, on three grids, with at most the given number of model evaluations; the truth is the exact (guided) flow. A
method's error at a budget is the geometric mean over the mixtures of the root mean square (or the median) over the
points of the error of x/alpha (alpha = 0.99995 at the end); the grid is the one of the three that serves the method
best over those mixtures, and the table names it. What is ranked is how well the flow of an exact model is followed, not
how pleasing a trained network's images are.
"""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import numdiff as nd
from numdiff import plotting, work_precision
from numdiff.methods.bdia import BDIA
from numdiff.methods.pndm import PNDM
from numdiff.methods.published.correctors import AdamsBashforthMoulton
from numdiff.methods.published.single_step import RES, DPMSolverSingle
from numdiff.study.mixtures import problems
from numdiff.study.script import main

BETA = Fraction(4, 5)
GRIDS = {"log-SNR": "log-snr", "time": "time", "Karras": "karras"}
NFES = (4, 5, 6, 8, 10, 12, 15, 20, 30, 50)
RANKED = (5, 6, 8, 10, 15, 20, 30)
"""Budgets of the table."""
SHOWN = ("DDIM", "PLMS4", "LMS4", "DPM-Solver++ 2M", "DPM-Solver++ 3M published", "DPM-Solver++ 3 exact")
SHOWN += ("UniPC3 bh2", "GHVB2(0.8)")
"""Methods of the figure, as many as there are styles of lines."""


def zoo() -> dict[str, nd.Method]:
    """Return the deterministic methods that are compared, by the names they are known by."""
    plms, half = nd.PLMS(4), nd.DPMSolverPP(2, rule="half")
    return {
        "DDIM": nd.DDIM(),
        "PLMS2": nd.PLMS(2),
        "PLMS4": plms,
        "PNDM": PNDM(),
        "LMS4": nd.LMS(4),
        "DEIS tAB2": nd.DEIS(3, "time"),
        "DEIS3 log-rho": nd.DEIS(3, "log-rho"),
        "DPM-Solver 2M": nd.DPMSolver(2, rule="half"),
        "DPM-Solver-2": DPMSolverSingle(2, "noise/log-snr"),
        "DPM-Solver-3": DPMSolverSingle(3, "noise/log-snr"),
        "DPM-Solver++ 2S": DPMSolverSingle(2),
        "DPM-Solver++ 3S": DPMSolverSingle(3),
        "DPM-Solver++ 2M": half,
        "DPM-Solver++ 2 exact": nd.DPMSolverPP(2),
        "DPM-Solver++ 3M published": nd.DPMSolverPP(3, rule="3m"),
        "DPM-Solver++ 3 exact": nd.DPMSolverPP(3),
        "UniPC2 bh2": nd.UniPC(2, rule="bh2"),
        "UniPC3 bh2": nd.UniPC(3, rule="bh2"),
        "UniPC3 exact": nd.UniPC(3),
        "ABM3 PECE": AdamsBashforthMoulton(3),
        "AB3 velocity": nd.AdamsBashforth(3, nd.VELOCITY_TIME),
        "Heun": nd.Heun(),
        "Heun velocity": nd.Heun(nd.VELOCITY_TIME),
        "RK4": nd.RK4(),
        "RES 3S": RES(3),
        "BDIA": BDIA(),
        "HB(PLMS4, 0.8)": nd.HeavyBall(plms, BETA),
        "GHVB2(0.8)": nd.GHVB(2, BETA),
        "GHVB4(0.8) published": nd.GHVB(4, BETA, nd.NOISE_RATIO, weights="uniform"),
        "GHVB2(0.8) data": nd.GHVB(2, BETA, nd.DATA_LOG_SNR),
        "HB(DPM-Solver++ 2M, 0.8)": nd.HeavyBall(half, BETA),
        "HB(UniPC2, 0.8)": nd.UniPC(2, rule="bh2", beta=BETA),
        "StretchedAdams(3/2) data": nd.StretchedAdams(Fraction(3, 2), formulation=nd.DATA_LOG_SNR),
    }


def compute(fast: bool) -> dict[str, Any]:
    """Return the diagram of the mean errors by kind of problem, with the errors of the references."""
    nfes = NFES[3:8:4] if fast else NFES
    found, worst = {}, 0.0
    for kind, members in problems(16 if fast else 96).items():
        members = members[: 2 if fast else None]
        worst = max(worst, *(p.reference[1] for p in members))
        diagrams = [
            work_precision.diagram(zoo(), p.path, nfe=nfes, grids=GRIDS, errors=("rms", "median"), repeats=0)
            for p in members
        ]
        found[kind] = json.loads(work_precision.average(diagrams, kind).document())
    return {"diagrams": found, "reference error": worst}


def draw(numbers: dict[str, Any]) -> Any:
    """Return the figure and the table of the ranking."""
    diagrams = {kind: work_precision.read(json.dumps(found)) for kind, found in numbers["diagrams"].items()}
    axes = plotting.figure(2, 2, 11.0, 8.0, sharex=True)
    for column, found in enumerate(diagrams.values()):
        for row, what in enumerate(("rms", "median")):
            ax = plotting.work_precision(found.filter(labels=SHOWN), axes[row, column], error=what)
            ax.set_ylim(top=3.0)
    return plotting.share(axes, 4), _table(diagrams)


def _table(diagrams: dict[str, Any], places: int = 8) -> str:
    """Return the ranking in Markdown: one column a budget, one row a place."""
    text = (
        "Each entry: a method, that of three grids which serves it best, and the geometric mean over the mixtures of "
    )
    text += "its root mean square error.\n\n"
    for kind, found in diagrams.items():
        columns = {nfe: found.best(nfe) for nfe in found.numbers if nfe in RANKED}
        lines = [["place", *(f"{nfe} evaluations" for nfe in columns)], ["---"] * (1 + len(columns))]
        for place in range(places):
            entries = (ranked[place] for ranked in columns.values())
            lines.append([str(place + 1), *(f"{r.label}, {r.grid}: {r.error('rms'):.2g}" for r in entries)])
        text += f"## {kind}\n\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n\n"
    return text


if __name__ == "__main__":
    main("work_precision", __doc__, compute, draw)
