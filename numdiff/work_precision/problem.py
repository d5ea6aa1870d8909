r"""What a diagram's samplers follow: a path, and where it comes from a mixture also the laws along it.

Laws are those of y = x/alpha = x_0 + rho eps, a mixture blurred by rho = sigma/alpha, so that they do not depend on the
scale in which a sampler works.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from numdiff.certification.subject import Array
from numdiff.problems.mixture import GaussianMixture
from numdiff.problems.paths import Path, of_mixture
from numdiff.work_precision import doors
from numdiff.work_precision.errors import Value
from numdiff.work_precision.transport import SAMPLED, over_sets

SPAN = (-5.0, 4.5)
"""Log-SNRs between which mixtures are followed: about those of the linear VP schedule from t = 1 to t = 0.001."""

POINTS = 64
"""Samples in a set on a mixture, unless told otherwise."""

FLOW = ("rms", "median", "max", "trajectory")
"""Errors that compare with the flow point by point."""


@dataclass(frozen=True)
class Target:
    """A problem.

    Parameters
    ----------
    name
        Its name.
    path
        What is followed.
    mixture
        Law of the data, if there is one.
    points, sets, seed
        Samples in a set, independent sets, and the seed of them all.
    """

    name: str
    path: Path
    mixture: GaussianMixture | None
    points: int
    sets: int
    seed: int

    @property
    def gaussian(self) -> bool:
        """Whether the data are one Gaussian, whose distances are in closed form."""
        return self.mixture is not None and self.mixture.components == 1

    def check(self, error: str) -> None:
        """Raise a ValueError if this problem has no such error."""
        if error in FLOW:
            return
        if self.mixture is None:
            raise ValueError(f"{error} compares laws, and {self.name} is a path; give a GaussianMixture or a Gaussian")
        if error == "KL" and not self.gaussian:
            raise ValueError('KL needs one Gaussian, whose law stays one; on mixtures ask for "W2" or "energy"')

    def start(self, lam: float, part: int) -> Array:
        """Return a set of exact samples y at a log-SNR for a sampler to start from, shape (points, d)."""
        return self._sample(lam, part, 0)

    def exact(self, lam: float, part: int) -> Array:
        """Return an independent set of exact samples y to compare with, shape (points, d)."""
        return self._sample(lam, part, 1)

    def noise(self, part: int) -> Callable[[tuple[int, ...]], Array]:
        """Return the draws of a stochastic sampler that starts from a set."""
        return np.random.default_rng([self.seed, part, 3]).standard_normal

    def floor(self, error: str) -> Value:
        """Return an error of `SAMPLED` between two independent sets of exact samples, at the end of the path."""
        lam = self.path.span[1]
        pairs = [(self._sample(lam, part, 2), self.exact(lam, part)) for part in range(self.sets)]
        return over_sets(SAMPLED[error], pairs)

    def _sample(self, lam: float, part: int, role: int) -> Array:
        assert self.mixture is not None
        blurred = GaussianMixture(
            self.mixture.weights, self.mixture.means, self.mixture.spectrum.noised(1.0, math.exp(-lam))
        )
        return np.asarray(blurred.sample(self.points, np.random.default_rng([self.seed, part, role])))


def target(
    problem: Any, *, name: str, span: tuple[float, float] | None, points: int | None, sets: int, seed: int
) -> Target:
    """Return what the caller gave as a problem.

    Raises
    ------
    TypeError
        If it is neither a path nor a mixture, or the span is no pair of numbers.
    ValueError
        For a span or points of a path, which has its own, or numbers out of range.
    """
    sets, seed = doors.whole("sets", sets, 1), doors.whole("seed", seed, 0)
    points = None if points is None else doors.whole("points", points, 1)
    span = None if span is None else doors.pair("span", span)
    if not isinstance(name, str):
        raise TypeError(f"name must be a string, got {name!r}; write {str(name)!r}")
    if isinstance(problem, Path):
        if span is not None or points is not None:
            raise ValueError("a path has its own span and points; leave out span and points, or give a mixture")
        return Target(name or problem.name, problem, None, 1, sets, seed)
    if not isinstance(problem, GaussianMixture):
        raise TypeError(
            f"problem must be a path such as nd.problems.paths.toys(), a GaussianMixture or a Gaussian, got {problem!r}"
        )
    name, points = name or repr(problem), POINTS if points is None else points
    chosen = SPAN if span is None else span
    path = of_mixture(name, problem, chosen, points=points, seed=seed)
    if not math.isfinite(path.span[1]):
        raise ValueError(f"span must end at a finite log-SNR, got {chosen}: at sigma = 0 most grids have no steps left")
    return Target(name, path, problem, points, sets, seed)
