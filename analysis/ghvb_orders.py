r"""The numerical-order table of the momentum paper: GHVB 0.5 to 3.5, its ceiling at 2, and what passes it.

    python -m analysis.ghvb_orders --out results/analysis

The protocol (Wizadwongsa et al., Diffusion sampling with momentum, ICLR 2024): e(N) is the mean difference of a run
with N steps to PLMS4 with 1000, and the numerical order is q = log(e(N)/e(2N)) / log 2, N = 40 ... 640. Its GHVB 0.5,
1.5, 2.5, 3.5 are k = 1, 2, 3, 4 with damping 1/2, with weights for equal steps in sigma/alpha on steps equal in t.

Here the model is exact, so e is known against the true flow too. Runs go from log-SNR -1 to 3 only, where the schedule
is harmless, and not over all times. The table shows q at the last doubling beside the order that `nd.order.of_run`
proves: for the published form, for it with one cause of its order 2 after the other removed (the steps, the start, the
velocity v_0 = f_0), with each of them alone, and for weights made for the steps they are used on. PLMS4 with 1000 steps
is of order 2 itself: near its own error, the grey line of the figure, q against it is worth nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

import numdiff as nd
from numdiff import plotting
from numdiff.certification.measure import Layout, final
from numdiff.certification.own import of_method
from numdiff.certification.subject import Setting
from numdiff.problems.paths import of_mixture
from numdiff.study.script import main

SPAN = (-1.0, 3.0)
"""First and last log-SNR."""

BETA = Fraction(1, 2)
SCHEDULE = nd.schedules.VPLinear()
MIXTURE = nd.problems.mixtures()["two-modes"]
NOTHING = 30
"""Times the error of the reference, below which an error says nothing."""


@dataclass(frozen=True)
class Variant:
    """A way to run GHVB: weights, start, variable in which steps are equal, and whether the path rests at first."""

    what: str
    weights: str = "uniform"
    start: str = "lower"
    variable: str = "time"
    rests: bool = False

    def method(self, k: int) -> nd.Method:
        """Return GHVB of order k."""
        return nd.GHVB(k, BETA, weights=self.weights)

    def proved(self, k: int) -> tuple[int, str]:
        """Return the order of the run and what limits it, in a few words."""
        grid = "uniform" if self.variable == "rho" else "smooth"
        found = nd.order.of_run(self.method(k), start=self.start, grid=grid)
        # A path at rest forgives whatever start-up leaves.
        causes = [cause for cause in found.causes if not (self.rests and cause.name == "start-up")]
        order = min(cause.order for cause in causes)
        named = {cause.name for cause in causes if cause.order == order}
        return order, ", ".join(word for word, true in self._words(named).items() if true)

    def _words(self, causes: set[str]) -> dict[str, bool]:
        """Return what may limit the order, and whether it does."""
        starts = "start-up" in causes and "method" not in causes
        return {
            "its own order": "method" in causes,
            "steps": "grid" in causes and "method" not in causes,
            "start": starts and self.start == "lower",
            "velocity": starts and self.weights == "uniform",
        }


VARIANTS = (
    Variant("published"),
    Variant("published, exact start", start="exact"),
    Variant("published, exact start and velocity", rests=True),
    Variant("published, equal steps in rho", variable="rho"),
    Variant("published, equal steps in rho, exact start", start="exact", variable="rho"),
    Variant("published, equal steps in rho, exact start and velocity", variable="rho", rests=True),
    Variant("variable-step", weights="variable"),
    Variant("variable-step, Runge-Kutta start", weights="variable", start="runge-kutta"),
    Variant("variable-step, exact start", weights="variable", start="exact"),
)
DRAWN = (VARIANTS[0], next(variant for variant in VARIANTS if variant.start == "runge-kutta"))
FAR = 0.5
"""Difference of q from the proved order that wants a word."""

EXPLANATION = """\
The published form stays at order 2 whatever its number, for three reasons, each of which suffices alone: its weights
are made for equal steps in sigma/alpha and are used on others (steps), its first steps combine fewer velocities
(start), and its average begins at v_0 = f_0 rather than where equal steps would have brought it (velocity). Weights
made for the actual steps and the actual average remove the first and the third, a Runge-Kutta start the second;
together they reach orders 3 and 4. The protocol itself sees no further than its reference, PLMS4 with 1000 steps, which
is of order 2 and {floor:.1e} away from the true flow: where an error comes near that, q against it says nothing.

All runs go from log-SNR {first:g} to {last:g}; "published" steps are equal in t between those two.
"""


class Flow:
    """The exact model of the mixture, `points` samples of it, and where its flow takes them."""

    def __init__(self, points: int) -> None:
        self.path = of_mixture("two modes", MIXTURE, SPAN, points=points)
        self.exact = cache(lambda lam: self.path.exact(lam))
        self.model = MIXTURE.model(SCHEDULE)

    def run(self, method: nd.Method, steps: int, variant: Variant) -> np.ndarray:
        """Return y = x/alpha after `steps` steps."""
        subject, layout = of_method(method), Layout("uniform", variant.variable)
        levels = layout.levels(subject, SPAN, steps)
        if variant.rests:
            return final(subject, layout.evenly(subject, self.path).resting(end=False), levels, Setting())
        scheme = method.discretize(SCHEDULE, list(levels), start=variant.start)
        x = nd.sample(scheme, self.model, self.path.state(levels[0]), prediction="noise", exact=self.path.state)
        return np.asarray(x) / float(levels[-1].alpha)


def orders(errors: list[float], floor: float) -> list[float | None]:
    """Return q between successive numbers of steps, None where an error is near the floor."""
    return [None if b < floor else math.log2(a / b) for a, b in pairwise(errors)]


def compute(fast: bool) -> dict[str, Any]:
    """Return errors and orders of every variant against the true flow, and those of the protocol."""
    steps = (40, 80, 160) if fast else (40, 80, 160, 320, 640, 1280, 2560)
    flow = Flow(8 if fast else 64)
    truth = flow.exact(SPAN[1])
    published = flow.run(nd.PLMS(4), 1000, VARIANTS[0])
    rows = []
    for k in (1, 2, 3, 4):
        for variant in VARIANTS:
            runs = [flow.run(variant.method(k), n, variant) for n in steps]
            errors = [float(np.abs(y - truth).mean()) for y in runs]
            against = [float(np.abs(y - published).mean()) for n, y in zip(steps, runs, strict=True) if n <= 640]
            order, limiter = variant.proved(k)
            rows.append(
                {
                    "name": f"GHVB {k - 0.5}",
                    "variant": variant.what,
                    "proved": order,
                    "limited by": limiter,
                    "errors": errors,
                    "orders": orders(errors, NOTHING * flow.path.error),
                    "errors against PLMS4": against,
                    "orders against PLMS4": orders(against, 0.0),
                }
            )
    reference = float(np.abs(published - truth).mean())
    return {"steps": steps, "error of PLMS4 with 1000 steps": reference, "rows": rows}


def draw(numbers: dict[str, Any]) -> Any:
    """Return the figure and the tables."""
    text = EXPLANATION.format(floor=numbers["error of PLMS4 with 1000 steps"], first=SPAN[0], last=SPAN[1])
    return picture(numbers), "\n".join([text, protocol(numbers), causes(numbers)])


def picture(numbers: dict[str, Any]) -> Any:
    """Return errors against N: the published form, and the variable-step form with a Runge-Kutta start."""
    axes = plotting.figure(1, len(DRAWN), 10.0, 4.4)
    for ax, variant in zip(axes[0], DRAWN, strict=True):
        found = [row for row in numbers["rows"] if row["variant"] == variant.what]
        curves = {row["name"]: (numbers["steps"], row["errors"]) for row in found}
        labels = {"xlabel": "number of steps", "ylabel": "mean error at the end"}
        plotting.curves(curves, ax, **labels, logx=True, logy=True, markers=True)
        reference = numbers["error of PLMS4 with 1000 steps"]
        ax.axhline(reference, color="0.6", linewidth=1, zorder=0, label="PLMS4, 1000 steps")
        ax.set_xticks(numbers["steps"], [str(n) for n in numbers["steps"]])
        ax.set_xticks([], minor=True)
        ax.set_title(f"{variant.what}: proved {', '.join(str(row['proved']) for row in found)}")
    low, high = zip(*(ax.get_ylim() for ax in axes[0]), strict=True)
    for ax in axes[0]:
        ax.set_ylim(min(low), max(high))
    return plotting.share(axes)


def protocol(numbers: dict[str, Any]) -> str:
    """Return q as the paper measures it, beside q against the true flow."""
    last = [n for n in numbers["steps"] if n <= 640]
    pairs = [f"{a}-{b}" for a, b in pairwise(last)]
    rows = []
    for row in numbers["rows"]:
        if row["variant"] in {variant.what for variant in DRAWN}:
            for against in ("PLMS4", "the flow"):
                found = row["orders against PLMS4"] if against == "PLMS4" else row["orders"]
                rows.append([row["name"], row["variant"], against, *map(number, found[: len(pairs)])])
    title = "Numerical orders by the protocol, and against the true flow\n\n"
    return title + table(["method", "form", "against", *pairs], rows)


def causes(numbers: dict[str, Any]) -> str:
    """Return the order at the last doublings, beside what is proved and what limits it."""
    steps = numbers["steps"]
    ends = sorted({min(4, len(steps) - 1), len(steps) - 1})
    heading = ["method", "form", "proved", *(f"q, {steps[j - 1]}-{steps[j]}" for j in ends), "limited by"]
    rows = [
        [
            row["name"],
            row["variant"],
            str(row["proved"]),
            *(remarked(row["orders"][j - 1], row["proved"]) for j in ends),
            row["limited by"],
        ]
        for row in numbers["rows"]
    ]
    return "Orders against the true flow, and what limits them\n\n" + table(heading, rows) + notes(rows)


def remarked(q: float | None, proved: int) -> str:
    """Return q with the mark of a footnote where it is not what was proved."""
    if q is None:
        return f"{number(q)} (b)"
    return number(q) + (" (a)" if abs(q - proved) > FAR else "")


def notes(rows: list[list[str]]) -> str:
    """Return the footnotes that a table has marks of."""
    known = {
        "(a)": (
            "the errors that make the order the proved one are there but small: with so few steps terms of another "
            "order outweigh them, and q comes to the proved order with more steps."
        ),
        "(b)": f"the error is below {NOTHING} times that of the reference solution, so that q says nothing.",
    }
    used = [mark for mark in known if any(mark in cell for row in rows for cell in row)]
    return "".join(f"\n{mark} {known[mark]}\n" for mark in used)


def number(value: float | None) -> str:
    """Return an order with two digits; where errors are those of the reference, a dash."""
    return "-" if value is None else f"{value:.2f}"


def table(heading: list[str], rows: list[list[str]]) -> str:
    """Return a table in Markdown."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


if __name__ == "__main__":
    main("ghvb_orders", __doc__, compute, draw)
