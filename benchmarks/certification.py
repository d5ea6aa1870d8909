"""Time of certifying one method on one path, against the bare runs that it cannot do without, and against nodepy.

`certify` makes a few dozen runs (exact start, as shipped, alternating steps, its checks) and fits their errors; the
bare runs are those of the exact start and of the start as shipped alone, by a sampler that has its steps already laid
out. The observed order of RK4 on y' = (1 + y^2)/(1 + t), y(0) = 0, is found here by `nd.order.observed` with runs of
`nd.solve_ivp`, and by nodepy's convergence test with its own RK4, both with the same numbers of steps; their errors
have to agree. The aim is 3 s for a certificate.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import process_time
from typing import Any

import matplotlib as mpl
import numpy as np
from nodepy import convergence, ivp
from nodepy import runge_kutta_method as rk

import numdiff as nd
from benchmarks.harness import Report, interleaved, main, ratio, spread, times
from numdiff.certification import certify
from numdiff.certification.measure import Layout, final
from numdiff.certification.own import of_method
from numdiff.certification.subject import Setting
from numdiff.problems.paths import toys

AIM = 3.0
STEPS: tuple[int, ...] = (24, 32, 48, 64, 96, 128, 192, 256, 384)
METHODS = {
    "DDIM": (nd.DDIM(), None),
    "AB3": (nd.AdamsBashforth(3), None),
    "GHVB3(0.8)": (nd.GHVB(3, 0.8), None),
    "UniPC-3": (nd.UniPC(3), None),
    "RK4": (nd.RK4(), None),
    "AB3, claimed 4": (nd.AdamsBashforth(3), 4),
}


def timed(work: Callable[[], Any]) -> float:
    """Return the seconds of the processor that `work` takes."""
    start = process_time()
    work()
    return process_time() - start


def bare(method: nd.Method) -> None:
    """Make the runs of an exact start and of the start as shipped, and nothing else."""
    subject = of_method(method)
    for path in (toys().resting(), toys()):
        for steps in STEPS:
            final(subject, path, Layout().levels(subject, path.span, steps), Setting())


def certificates(rounds: int) -> Report:
    """Measure `certify` on the toy equations."""
    rows, data = [], {}
    for name, (method, claim) in METHODS.items():
        work = {
            "certify": partial(timed, partial(certify, method, claim, steps=STEPS)),
            "runs": partial(timed, partial(bare, method)),
        }
        seconds = interleaved(work, rounds)
        gain = times(ratio(seconds["certify"], seconds["runs"]))
        rows.append([name, spread(seconds["certify"], 1.0), spread(seconds["runs"], 1.0), gain])
        data[name] = seconds
    note = (
        f"Seconds of the processor for {STEPS[0]} to {STEPS[-1]} steps, median (quartiles); the aim is {AIM:g}. A "
        "claim that fails is diagnosed."
    )
    columns = ("method", "certify, s", "bare runs, s", "certify/runs")
    return Report("Certificates", note, columns, rows, data)


def observed_orders(rounds: int) -> Report:
    """Measure the observed order of RK4 on one equation."""
    mpl.use("Agg")
    ode, method, peer = nd.problems.odes()["riccati"], nd.RK4(), rk.loadRKM("RK44").__num__()
    first, last = ode.t_span
    exact = np.array(ode.exact(last), dtype=float)
    problem = ivp.IVP(f=ode.fun, u0=ode.y0, t0=first, T=last, exact=ode.exact)

    def ours() -> Any:
        def run(steps: int) -> Any:
            return nd.solve_ivp(method, ode.fun, np.linspace(first, last, steps + 1), ode.y0)

        return nd.order.observed(run, STEPS, reference=exact)

    def theirs() -> Any:
        return convergence.ctest(peer, problem, grids=list(STEPS))

    # nodepy adds up its times, so its errors carry a few roundings more.
    np.testing.assert_allclose(ours().errors, theirs()[1][0], rtol=1e-2, atol=1e-13)
    seconds = interleaved({"numdiff": partial(timed, ours), "nodepy": partial(timed, theirs)}, rounds)
    gain = times(ratio(seconds["nodepy"], seconds["numdiff"]))
    row = [f"RK4, {len(STEPS)} runs", *(spread(seconds[side], 1e-3) for side in ("numdiff", "nodepy")), gain]
    note = (
        "Milliseconds of the processor, median (quartiles). nodepy draws its curve and fits no order; numdiff's fit is "
        "in its time."
    )
    return Report("Observed order", note, ("method", "numdiff, ms", "nodepy, ms", "nodepy/numdiff"), [row], seconds)


def run(rounds: int) -> list[Report]:
    """Measure both."""
    return [certificates(rounds), observed_orders(rounds)]


if __name__ == "__main__":
    main(run, 3, ("scipy", "nodepy"), __doc__)
