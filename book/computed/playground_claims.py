"""The views that the playground's page tells its readers to try: the errors that numdiff itself finds there.

The same mixtures, programs and noise as in the browser, run by `nd.sample`; the exact flow by `GaussianMixture.flow`,
and with a push towards a component, where that has none, by SciPy's DOP853 on the guided equation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

import numdiff as nd
from book.tools import playground
from book.tools.playground_methods import STEPS, offers
from book.tools.playground_noise import normals
from numdiff.level import Level
from numdiff.methods import Scheme

PARTICLES, SEED = 200, 1

Side = tuple[str, str, int]


@dataclass(frozen=True)
class View:
    """What a link to the playground shows: two samplers (member, grid, steps) on one problem."""

    mixture: str
    a: Side
    b: Side
    scale: float = 0.0
    component: int = 0
    schedule: str = "vp-linear"

    @property
    def link(self) -> str:
        """The part of an address that shows it."""
        sides = [f"{name}--{'--'.join(map(str, side))}" for name, side in (("a", self.a), ("b", self.b))]
        rest = [f"mixture--{self.mixture}", f"schedule--{self.schedule}", f"particles--{PARTICLES}", f"seed--{SEED}"]
        push = [f"scale--{round(100 * self.scale)}", f"component--{self.component + 1}"]
        return "__".join(["#view", *sides, *rest, *push])


VIEWS = {
    "grid": View("ring", ("dpmpp_3", "uniform-t", 10), ("dpmpp_3", "log-snr", 10)),
    "optimized": View("ring", ("dpmpp_2", "log-snr", 10), ("dpmpp_2", "optimized", 10)),
    "push-10": View("ring", ("plms_4", "log-snr", 10), ("ltsp_4", "log-snr", 10), 6.0, 1),
    "push-20": View("ring", ("plms_4", "log-snr", 20), ("ltsp_4", "log-snr", 20), 6.0, 1),
}


def compute() -> dict[str, Any]:
    """Return for every view and sampler evaluations, RMS error and median error at every number of steps."""
    return {
        name: {"link": view.link, "a": _curve(view, view.a), "b": _curve(view, view.b)} for name, view in VIEWS.items()
    }


def _curve(view: View, side: Side) -> dict[str, list[float]]:
    offer = next(offer for offer in offers() if offer.key == side[0])
    start = normals(SEED, PARTICLES)
    exact = end_points(view, start)
    found = {}
    for steps in STEPS:
        try:
            scheme = playground.scheme(offer, view.schedule, side[1], steps)
        except ValueError:  # too few steps for the order
            continue
        distance = np.linalg.norm(run(view, scheme, start) - exact, axis=1)
        found[str(steps)] = [float(f"{x:.6g}") for x in (np.sqrt(np.mean(distance**2)), np.median(distance))]
    return found


def run(view: View, scheme: Scheme, start: np.ndarray, seed: int = SEED) -> np.ndarray:
    """Return the end points of a scheme, by `nd.sample`; the prediction is the scheme's own.

    Parameters
    ----------
    view
        The problem.
    scheme
        What is run.
    start
        First samples, shape (n, 2).
    seed
        Seed of the noise that the scheme adds.
    """
    mixture, schedule = playground.mixture(playground.MIXTURES[view.mixture][1]), playground.SCHEDULES[view.schedule]
    model = mixture.model(schedule, scheme.prediction)
    push = mixture.condition(schedule, view.component, view.scale, scheme.prediction)
    split = any(tag for tableau in scheme for tag in tableau.tags)

    def noise(index: int, column: int) -> np.ndarray:
        return normals(seed, len(start), index, column)

    if split:
        return nd.sample(scheme, model, start, prediction=scheme.prediction, fields={"condition": push}, noise=noise)
    return nd.sample(scheme, lambda x, t: model(x, t) + push(x, t), start, prediction=scheme.prediction, noise=noise)


def end_points(view: View, start: np.ndarray) -> np.ndarray:
    """Return where the exact flow of the (guided) model carries `start`, shape (n, 2)."""
    mixture, schedule = playground.mixture(playground.MIXTURES[view.mixture][1]), playground.SCHEDULES[view.schedule]
    first, last = schedule.level(playground.NOISIEST[view.schedule]), schedule.level(schedule.t_end)
    if view.scale == 0:
        return mixture.flow(None, start, first, last).x
    return _guided(mixture, view, start, first, last)


def _guided(mixture: Any, view: View, start: np.ndarray, first: Level, last: Level) -> np.ndarray:
    """Integrate along the arc alpha = cos, sigma = sin, on which the flow is the same but for a factor."""
    from scipy.integrate import solve_ivp

    chosen = mixture.conditional(view.component)

    def slope(theta: float, flat: np.ndarray) -> np.ndarray:
        cosine, sine = math.cos(theta), math.sin(theta)
        level, x = Level(theta, cosine, sine, theta, -sine, cosine), flat.reshape(-1, 2)
        whole = mixture.predict(x, level, "velocity")
        return (whole + view.scale * (chosen.predict(x, level, "velocity") - whole)).ravel()

    angles = [math.atan2(level.sigma, level.alpha) for level in (first, last)]
    sizes = [math.hypot(level.alpha, level.sigma) for level in (first, last)]
    found = solve_ivp(slope, angles, start.ravel() / sizes[0], method="DOP853", rtol=1e-12, atol=1e-12)
    return found.y[:, -1].reshape(start.shape) * sizes[1]
