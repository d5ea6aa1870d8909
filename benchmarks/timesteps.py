"""Seconds to optimize time steps: numdiff beside a plain restatement of the published procedure, on the same objective.

Both minimize the published bound of the orders 1, 2, 3, ..., 3, 2, 1 on the linear variance-preserving schedule (p = 2,
last time 0.001) from uniform times, between the same ends and under the same minimum gap. `published_timesteps` does so
as published, by SciPy's trust-constr with finite differences and BFGS; an evaluation of its objective takes a quarter
or less of the time that the authors' own code takes. numdiff's "new" is a problem that it has not met before, from the
arguments to the certificate; "again" is the same call once more, for which it keeps the compiled coefficients. F is
evaluated by the restatement for both.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from time import process_time
from typing import Any

import numdiff as nd
from benchmarks.harness import Report, interleaved, main, ratio, spread, times
from numdiff.study import published_timesteps as published

STEPS = (10, 20, 100)
AIMS = {10: 200.0, 20: 150.0, 100: 100.0}
OWN = {("mixture-bank", 10): 20, ("mixture-bank", 20): 50, ("mixture-bank", 100): 500}
"""Aims in milliseconds."""

T_END = 1e-3
START = "uniform-t"
ONCE = 50
"""From this many steps on the published procedure runs once: it takes a minute or more."""

_fresh = itertools.count(1)


def ours(steps: int, objective: Any, t_end: float = T_END) -> Any:
    orders = [published.order(n, steps) for n in range(steps)]
    method, schedule = nd.AdamsBashforth(3, nd.DATA_LOG_SNR), nd.schedules.VPLinear()
    return nd.optimize.timesteps(
        method, schedule, steps, objective=objective, t_end=t_end, orders=orders, starts=[START]
    )


def new_end() -> float:
    """Return a last time that no problem had before, and that changes nothing to be seen."""
    return T_END * (1 + 1e-10 * next(_fresh))


def timed(run: Callable[[], Any], found: list[Any]) -> float:
    """Return the seconds of the processor that a call takes, whose result is kept."""
    began = process_time()
    found[:] = [run()]
    return process_time() - began


def paper(steps: int, rounds: int) -> tuple[list[str], dict[str, Any]]:
    """Measure the two on the published objective."""
    objective = nd.optimize.Paper()
    first = published.start("unif_t", steps, T_END)
    gap = objective.gap(first[-1] - first[0], steps)
    theirs: list[Any] = []
    mine: list[Any] = []
    contestants = {
        "published": lambda: timed(lambda: published.optimize(first, gap=gap), theirs),
        "new": lambda: timed(lambda: ours(steps, objective, new_end()), mine),
        "again": lambda: timed(lambda: ours(steps, objective), mine),
    }
    ours(steps, objective)
    once = steps >= ONCE
    seconds = interleaved(contestants, 1 if once else rounds, warm_up=0)
    (their,), (own,) = theirs, mine
    value = published.objective(own.log_snr)
    row = [
        str(steps),
        spread(seconds["published"], 1.0),
        f"{their.objective:.4f}",
        f"{their.optimality:.1e}",
        spread(seconds["new"], 1e-3),
        spread(seconds["again"], 1e-3),
        f"{value:.4f}",
        f"{own.optimality:.1e}" + ("" if own.certified else " (not certified)"),
        times(ratio(seconds["published"], seconds["new"]), AIMS.get(steps)),
    ]
    return row, {**seconds, "F published": their.objective, "F": value, "gap": gap}


def alone(name: str, steps: int, rounds: int) -> tuple[list[str], dict[str, Any]]:
    """Measure one of numdiff's other objectives, which have no peer."""
    method, schedule = nd.UniPC(3), nd.schedules.VPLinear()
    found: list[Any] = []

    def call(t_end: float) -> float:
        return timed(lambda: nd.optimize.timesteps(method, schedule, steps, objective=name, t_end=t_end), found)

    call(T_END)
    contestants = {"new": lambda: call(new_end()), "again": lambda: call(T_END)}
    seconds = interleaved(contestants, 1 if steps >= ONCE else rounds, warm_up=0)
    aim = f" (aim {OWN[name, steps]})" if (name, steps) in OWN else ""
    residual = f"{found[0].optimality:.1e}" + ("" if found[0].certified else " (not certified)")
    return [name, str(steps), spread(seconds["new"], 1e-3) + aim, spread(seconds["again"], 1e-3), residual], seconds


def others(rounds: int) -> list[Report]:
    """Measure the objectives that have no peer, for UniPC-3."""
    cases = [(name, steps) for name in nd.optimize.OBJECTIVES if name != "paper" for steps in STEPS]
    if not cases:
        return []
    rows, data = zip(*(alone(name, steps, rounds) for name, steps in cases), strict=True)
    note = "UniPC-3 from the objective's own starts: milliseconds of the processor, median (quartiles)."
    numbers = {f"{name}, N = {steps}": found for (name, steps), found in zip(cases, data, strict=True)}
    return [
        Report(
            "Time steps, other objectives", note, ("objective", "N", "new, ms", "again, ms", "residual"), rows, numbers
        )
    ]


def run(rounds: int) -> list[Report]:
    """Measure every number of steps."""
    rows, data = zip(*(paper(steps, rounds) for steps in STEPS), strict=True)
    columns = ("N", "published, s", "F", "optimality", "new, ms", "again, ms", "F", "residual", "published/new")
    note = (
        "Seconds of the processor, milliseconds for numdiff, median (quartiles; N >= 50: one round). Where "
        "each stopped: F, SciPy's optimality, and numdiff's residual of the first-order conditions over F's own scale."
    )
    numbers = {f"N = {steps}": found for steps, found in zip(STEPS, data, strict=True)}
    return [Report("Time steps, the published objective", note, columns, rows, numbers), *others(rounds)]


if __name__ == "__main__":
    main(run, 5, ("scipy",), __doc__)
