"""Runs on exact mixtures, with and without guidance, at a given number of model evaluations.

A problem is a mixture, the prediction that is followed (that of the mixture, or guided towards some of its components
by the exact classifier: eps - s sigma grad log p(component | x)) and points at the noisy end with their exact images at
the clean end. Unguided images come from `GaussianMixture.flow`; guided ones from an extrapolated midpoint method of
order 6 on 100 and 200 steps uniform in log-SNR, whose difference is reported as their error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

import numdiff as nd
from numdiff.certification.subject import level_of
from numdiff.level import Level
from numdiff.methods.butcher import extrapolated
from numdiff.problems.exact_model import level_of_model_time
from numdiff.problems.paths import Path

SCHEDULE = nd.schedules.VPLinear()
CLEAN = 1e-3
"""The time at which runs end: sigma = 0.01, below what is visible in 8 bits."""

GRIDS: dict[str, Callable[[int], Any]] = {
    "log-SNR": lambda n: nd.grids.uniform_log_snr(SCHEDULE, steps=n, t_end=CLEAN),
    "time": lambda n: nd.grids.uniform_t(SCHEDULE, steps=n, t_end=CLEAN),
    "Karras": lambda n: nd.grids.karras(SCHEDULE, steps=n, t_end=CLEAN),
}


@dataclass(frozen=True, eq=False)
class Problem:
    """A mixture, the guidance towards some of its components, and how many points are carried.

    Parameters
    ----------
    name
        What tables call it.
    mixture
        The data.
    components
        What guidance points to; empty for none.
    scale
        Guidance scale s: 0 none, 1 the conditional distribution.
    points
        How many.
    """

    name: str
    mixture: nd.problems.GaussianMixture
    components: tuple[int, ...] = ()
    scale: float = 0.0
    points: int = 256

    @cached_property
    def start(self) -> np.ndarray:
        """Points at the noisy end, shape (points, d)."""
        return self.mixture.sample_level(self.points, SCHEDULE.level(1.0), 0)

    def model(self, x: np.ndarray, t: Any) -> np.ndarray:
        """Return the guided noise prediction at x, shape (..., d), and model time t."""
        return self.noise(x, level_of_model_time(SCHEDULE, t))

    def noise(self, x: np.ndarray, level: Level) -> np.ndarray:
        """Return the guided noise prediction at x, shape (..., d), and a level."""
        return self.mixture.noise(x, level) + (self._guidance(x, level) if self.scale else 0.0)

    def base(self, x: np.ndarray, t: Any) -> np.ndarray:
        """Return the mixture's noise prediction, without guidance."""
        return self.mixture.noise(x, level_of_model_time(SCHEDULE, t))

    def condition(self, x: np.ndarray, t: Any) -> np.ndarray:
        """Return what guidance adds, -s sigma grad log p(component | x)."""
        return self._guidance(x, level_of_model_time(SCHEDULE, t))

    def _guidance(self, x: np.ndarray, level: Level) -> np.ndarray:
        return -self.scale * level.sigma * self.mixture.component_score(x, level, self.components)

    @cached_property
    def reference(self) -> tuple[np.ndarray, float]:
        """The exact images of `start`, and the largest estimated error."""
        if not self.scale:
            found = self.mixture.flow(SCHEDULE, self.start, 1.0, CLEAN, rtol=1e-9)
            return found.x, float(found.error.max())
        method = nd.RungeKutta(extrapolated(3), "extrapolated midpoint", nd.NOISE_RATIO)
        coarse, fine = (
            nd.sample(method.discretize(SCHEDULE, GRIDS["log-SNR"](n)), self.model, self.start) for n in (100, 200)
        )
        return fine, float(np.abs(coarse - fine).max())

    @cached_property
    def path(self) -> Path:
        """The (guided) flow of `start` as a path, whose solution is known at its two ends."""
        levels = SCHEDULE.level(1.0), SCHEDULE.level(CLEAN)
        span = float(levels[0].log_snr), float(levels[1].log_snr)
        ends = self.start / levels[0].alpha, self.reference[0] / levels[1].alpha

        def slope(lam: float, y: np.ndarray) -> np.ndarray:
            level = level_of("vp", lam)
            return -level.rho * self.noise(level.alpha * y, level)

        def exact(lam: float) -> np.ndarray:
            near = [y for end, y in zip(span, ends, strict=True) if abs(lam - end) < 1e-9 * abs(end)]
            if not near:
                raise ValueError(f"{self.name} is known at log-SNR {span[0]:g} and {span[1]:g} only, not at {lam:g}")
            return near[0]

        return Path(self.name, slope, exact, span, self.reference[1])

    def images(self, scheme: Any) -> np.ndarray:
        """Return where a scheme takes the points, shape (points, d); one that splits has the guidance apart."""
        if any(tag for tableau in scheme for tag in tableau.tags):
            return nd.sample(scheme, self.base, self.start, fields={"condition": self.condition})
        return nd.sample(scheme, self.model, self.start)

    def errors(self, images: np.ndarray) -> np.ndarray:
        """Return the distance of every image from the exact one, per square root of the dimension."""
        return np.sqrt(np.mean((images - self.reference[0]) ** 2, axis=-1))


def problems(points: int = 256) -> dict[str, list[Problem]]:
    """Return the problems by kind: "unguided", and "guided" towards one component at scales 4 and 8."""
    known = nd.problems.mixtures()
    chosen = {name: known[name] for name in ("two-modes", "ring", "correlated", "random-16")}
    plain = [Problem(name, mixture, points=points) for name, mixture in chosen.items()]
    guided = [
        Problem(f"{name}, guidance {scale}", mixture, (0,), float(scale), points)
        for name, mixture in chosen.items()
        for scale in (4, 8)
    ]
    return {"unguided": plain, "guided": guided}


def steps_within(method: nd.Method, nfe: int) -> int:
    """Return the largest number of grid steps whose run takes at most `nfe` evaluations; 0 if there is none."""
    fitting = [n for n in range(1, nfe + 1) if method.nfe(n) <= nfe]
    return max(fitting, default=0)


def lay_out(method: nd.Method, grid: str, nfe: int) -> Any:
    """Return the scheme of at most `nfe` evaluations on a grid of `GRIDS`, or None where the method does not fit."""
    steps = steps_within(method, nfe)
    if steps < max(method.points, 1):
        return None
    return method.discretize(SCHEDULE, GRIDS[grid](steps))
