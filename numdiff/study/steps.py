r"""Time steps on trial: mixtures that no one tuned on, their exact images, and how far a scheme ends from them.

A case is a mixture with n noises x_T drawn from its exact law at t = T and their images x_ref under the exact flow. A
scheme that takes noise i to x_i has the errors, and the case the two summaries,

    e_i = |x_i - x_ref,i| / sqrt(d),      rms = sqrt(mean_i e_i^2),      median_i e_i.

The root mean square is dominated by the few noises that end in another mode, the median leaves them out; neither is a
distance between distributions, and a picture that ends as another good picture counts as an error here.

**Two sets.** Whoever chooses an objective, a bank or a minimum gap may look at `tuning` and at nothing else; `unseen`
is for the final table. The sets share no mixture, no seed of a mixture and no noise. Each mixture is scaled to variance
1 on average over the coordinates, as the data of networks are, except one of scale 3 and one of scale 0.3.

**Speed.** With s_k = alpha^2 v_k + sigma^2 the responsibilities are softmax(c_k + x.(alpha mu_k/s_k) - x^2.(1/s_k)/2)
for diagonal covariances, and the conditional mean of `numdiff.problems.mixture`, formula (1), is
x (r.g) + r.(a mu - alpha g mu): four matrix products instead of an array of size n K d. What cancels in them is
x^2/s <= 1e5 at sigma >= 0.01, so that the logits lose at most five digits of sixteen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np

import numdiff as nd
from numdiff.level import Level
from numdiff.optimize import orders
from numdiff.problems import _arrays
from numdiff.study.mixtures import CLEAN, SCHEDULE, steps_within

NFES = (5, 6, 7, 8, 10, 12, 15, 20)
POINTS = 2048

Steps = Callable[[nd.Method, int], Any]
"""``steps(method, n)`` returns a grid of n steps, or a scheme laid out on one."""

SIMPLE: dict[str, Steps] = {
    "uniform t": lambda method, n: nd.grids.uniform_t(SCHEDULE, n, t_end=CLEAN),
    "log-SNR": lambda method, n: nd.grids.uniform_log_snr(SCHEDULE, n, t_end=CLEAN),
    "quadratic t": lambda method, n: nd.grids.power(SCHEDULE, n, t_end=CLEAN),
    "EDM": lambda method, n: nd.grids.karras(SCHEDULE, n, t_end=CLEAN),
}
"""The grids that need no optimization."""


class Quick(nd.problems.GaussianMixture):
    """A mixture whose conditional means are matrix products; for sigma >= 0.01, where they lose little to rounding."""

    def translated(self, shift: Any) -> Quick:
        """Return the law of x_0 + shift, `shift` of shape (d,)."""
        return Quick(self.weights, self.means + shift, self.spectrum)

    def _mean(self, x: Any, level: Level, a: Any, gain: Callable[[Any, Any], Any]) -> Any:
        if _arrays.is_torch(x):
            return super()._mean(x, level, a, gain)
        alpha, v = float(level.alpha), self.spectrum.variances
        s = alpha**2 * v + float(level.sigma) ** 2
        g, points = gain(v, s), x.reshape(-1, self.dimension)
        offsets = np.log(self.weights) - np.log(s).sum(1) / 2
        if self.spectrum.basis is None:
            return self._diagonal(points, alpha, s, g, a, offsets).reshape(x.shape)
        return self._full(points, alpha, s, g, a, offsets).reshape(x.shape)

    def _diagonal(
        self, x: np.ndarray, alpha: float, s: np.ndarray, g: np.ndarray, a: Any, offsets: np.ndarray
    ) -> np.ndarray:
        tilt = alpha * self.means / s
        r = _softmax(x @ tilt.T - (x * x) @ (0.5 / s).T + (offsets - alpha * (tilt * self.means).sum(1) / 2))
        return x * (r @ g) + r @ ((a - alpha * g) * self.means)

    def _full(
        self, x: np.ndarray, alpha: float, s: np.ndarray, g: np.ndarray, a: Any, offsets: np.ndarray
    ) -> np.ndarray:
        rotation, root = self._parameters(x).rotation, np.sqrt(s)
        centred = x @ (rotation / root.ravel()) - (alpha * self._parameters(x).rotated_means / root).ravel()
        z = centred.reshape(len(x), *s.shape)
        r = _softmax(offsets - np.einsum("nkd,nkd->nk", z, z) / 2)
        z *= r[:, :, None]
        return centred @ (rotation * (g * root).ravel()).T + a * (r @ self.means)


def _softmax(logits: np.ndarray) -> np.ndarray:
    logits -= logits.max(1, keepdims=True)
    np.exp(logits, out=logits)
    logits /= logits.sum(1, keepdims=True)
    return logits


@dataclass(frozen=True, eq=False)
class Case:
    """A mixture, noises and their exact images.

    Parameters
    ----------
    name
        What tables call it.
    mixture
        The data.
    seed
        Seed of the noises.
    points
        How many noises.
    """

    name: str
    mixture: nd.problems.GaussianMixture
    seed: int
    points: int = POINTS

    @cached_property
    def noises(self) -> np.ndarray:
        """Points x_T of the exact law at t = T, shape (points, d)."""
        return self.mixture.sample_level(self.points, SCHEDULE.level(SCHEDULE.T), self.seed)

    @cached_property
    def reference(self) -> tuple[np.ndarray, np.ndarray]:
        """The images of `noises` under the exact flow, shape (points, d), and their estimated errors, (points,).

        The tolerance is 1e-12, so that noises on a ridge between two modes, where the flow magnifies an error by a
        thousand, have their image to 1e-9 too.
        """
        found = self.mixture.flow(SCHEDULE, self.noises, SCHEDULE.T, CLEAN, rtol=1e-12)
        return found.x, found.error

    @cached_property
    def model(self) -> Any:
        """The exact noise prediction as a network, model(x, t)."""
        return self.mixture.model(SCHEDULE)

    def errors(self, scheme: Any) -> np.ndarray:
        """Return e_i of every noise, shape (points,); NaN or infinite where the scheme diverges."""
        with np.errstate(over="ignore", invalid="ignore"):
            images = nd.sample(scheme, self.model, self.noises)
            return np.sqrt(np.mean((images - self.reference[0]) ** 2, axis=-1))


# --- the mixtures -----------------------------------------------------------------------------------------------------


def _scaled(weights: Any, means: Any, variances: Any, scale: float = 1.0, basis: Any = None) -> Quick:
    """Return a mixture of mean zero whose coordinates have the variance ``scale^2`` on average."""
    w, mu = np.asarray(weights, dtype=float), np.asarray(means, dtype=float)
    w, v = w / w.sum(), np.broadcast_to(np.asarray(variances, dtype=float).T, mu.T.shape).T
    mu = mu - w @ mu
    size = scale / np.sqrt((w @ (mu**2 + v)).mean())
    if basis is None:
        return Quick(w, size * mu, size**2 * v)
    return Quick(w, size * mu, (basis * (size**2 * v)[:, None, :]) @ basis.transpose(0, 2, 1))


def _random(
    components: int, dimension: int, seed: int, widths: tuple[float, float], scale: float = 1.0, full: bool = True
) -> Quick:
    """Return normal means, widths uniform in their logarithm, Dirichlet weights and, if `full`, random axes."""
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.full(components, 3.0))
    means = rng.standard_normal((components, dimension))
    low, high = np.log(widths)
    variances = np.exp(2 * rng.uniform(low, high, (components, dimension)))
    basis = np.linalg.qr(rng.standard_normal((components, dimension, dimension)))[0] if full else None
    return _scaled(weights, means, variances, scale, basis)


def _patches(components: int, dimension: int, rank: int, floor: float, seed: int) -> Quick:
    """Return data near a subspace, as patches of images are: coordinate j has the spread 1/j, floor beyond the rank."""
    rng = np.random.default_rng(seed)
    spread = np.where(np.arange(dimension) < rank, 1.0 / (1 + np.arange(dimension)), 0.0)
    means = spread * rng.standard_normal((components, dimension))
    variances = (spread * np.exp(rng.uniform(np.log(0.1), np.log(0.5), (components, dimension)))) ** 2 + floor**2
    return _scaled(rng.dirichlet(np.full(components, 3.0)), means, variances)


def _circle(components: int) -> np.ndarray:
    angle = 2 * np.pi * np.arange(components) / components
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _moons(components: int, width: float) -> Quick:
    """Return two half circles that reach into one another, each a chain of narrow components."""
    angle = np.linspace(0, np.pi, components // 2)
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    lower = np.stack([1 - np.cos(angle), 0.5 - np.sin(angle)], axis=1)
    return _scaled(np.ones(2 * len(angle)), np.concatenate([upper, lower]), width**2)


@cache
def tuning(points: int = 1024) -> tuple[Case, ...]:
    """Return the cases that objectives, banks and gaps may be tuned on; `points` noises each."""
    chosen = {
        "pair-3": _scaled([0.35, 0.65], [[-1, 0.2, 0.5], [1, 0, -0.5]], [0.16, 0.04]),
        "triangle-2": _scaled([0.2, 0.3, 0.5], _circle(3), [0.02, 0.05, 0.01]),
        "random-5": _random(7, 5, 101, (0.03, 0.6)),
        "wide-12": _random(9, 12, 102, (0.1, 0.8), scale=2.0, full=False),
        "patches-32": _patches(6, 32, 6, 0.02, 103),
    }
    return tuple(Case(name, mixture, 71_000 + k, points) for k, (name, mixture) in enumerate(chosen.items()))


@cache
def unseen(points: int = POINTS) -> tuple[Case, ...]:
    """Return the cases of the final table, which nothing was tuned on; `points` noises each."""
    lattice = np.stack(np.meshgrid([-1.0, 0.0, 1.0], [-1.0, 0.0, 1.0]), axis=-1).reshape(-1, 2)
    chosen = {
        "ring-2": _scaled(np.ones(12), _circle(12), 0.06**2),
        "lattice-2": _scaled(np.arange(1, 10), lattice, 0.12**2),
        "moons-2": _moons(40, 0.06),
        "widths-3": _scaled(np.ones(4), [[0, 0, 0], [1, 1, 0], [-1, 1, 1], [0, -1, -1]], [0.25, 0.04, 0.01, 0.001]),
        "weights-4": _scaled([60, 25, 10, 4, 1], np.eye(5)[:, :4] * 2, [0.09, 0.04, 0.04, 0.09, 0.04]),
        "anisotropic-6": _random(6, 6, 906, (0.02, 1.0)),
        "large-8": _random(8, 8, 908, (0.1, 0.5), scale=3.0, full=False),
        "small-10": _random(8, 10, 910, (0.1, 0.5), scale=0.3, full=False),
        "random-16": _random(8, 16, 916, (0.05, 0.6)),
        "patches-64": _patches(10, 64, 8, 0.01, 964),
    }
    return tuple(Case(name, mixture, 83_000 + k, points) for k, (name, mixture) in enumerate(chosen.items()))


# --- scores -----------------------------------------------------------------------------------------------------------


def lowered(steps: Steps) -> Steps:
    """Return the rule that lays methods out on the same grids with `numdiff.optimize.orders.lowered`."""
    return lambda method, n: method.discretize(SCHEDULE, steps(method, n), orders=orders.lowered(method.points, n))


def scheme_of(steps: Steps, method: nd.Method, nfe: int) -> Any:
    """Return the scheme of at most `nfe` evaluations on the grid that ``steps`` gives, or None where none fits."""
    n = steps_within(method, nfe)
    if n < max(method.points, 2):
        return None
    found = steps(method, n)
    return found if isinstance(found, nd.Scheme) else method.discretize(SCHEDULE, found)


def score(
    steps: Steps, method: nd.Method, nfes: Sequence[int] = NFES, problems: Sequence[Case] | None = None
) -> dict[str, Any]:
    """Return the errors of a method on the grids of a rule.

    Parameters
    ----------
    steps
        ``steps(method, n)`` returns a grid of n steps for `SCHEDULE` from T to `CLEAN`, or a scheme on one.
    method
        The solver.
    nfes
        Budgets of model evaluations.
    problems
        Cases; `tuning()` if None.

    Returns
    -------
    dict
        "rms" and "median": by budget, the geometric mean over the cases; NaN where the method does not fit. "cases":
        by name and budget, the pair of the two.
    """
    cases = tuning() if problems is None else problems
    found: dict[str, dict[int, tuple[float, float]]] = {case.name: {} for case in cases}
    for nfe in nfes:
        scheme = scheme_of(steps, method, nfe)
        for case in cases:
            e = np.full(1, np.nan) if scheme is None else case.errors(scheme)
            found[case.name][nfe] = float(np.sqrt(np.mean(e**2))), float(np.median(e))
    means = {nfe: np.exp(np.mean(np.log([row[nfe] for row in found.values()]), axis=0)) for nfe in nfes}
    return {
        "rms": {nfe: float(mean[0]) for nfe, mean in means.items()},
        "median": {nfe: float(mean[1]) for nfe, mean in means.items()},
        "cases": found,
    }


def gain(score: Mapping[str, Any], other: Mapping[str, Any], what: str = "rms") -> float:
    """Return how many times smaller the errors of `score` are than those of `other`, geometric mean over budgets."""
    ratios = [np.log(other[what][nfe] / score[what][nfe]) for nfe in score[what]]
    return float(np.exp(np.nanmean(ratios)))


# --- uncertainty ------------------------------------------------------------------------------------------------------


def resamples(points: int, count: int, seed: int) -> np.ndarray:
    """Return how often each of `points` noises is drawn in each of `count` bootstrap samples, shape (count, points)."""
    return np.random.default_rng(seed).multinomial(points, np.full(points, 1 / points), size=count).astype(np.float64)


def resampled_rms(errors: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the root mean squares over bootstrap samples of errors (..., points), shape (count, ...)."""
    squares = errors.reshape(-1, errors.shape[-1]) ** 2
    return np.sqrt(counts @ squares.T / counts.shape[1]).reshape(len(counts), *errors.shape[:-1])


def resampled_medians(errors: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the medians over bootstrap samples of errors (..., points), shape (count, ...).

    The rank of a resample's median among the n errors has the standard deviation sqrt(n)/2, so that only the ranks
    within 4 sqrt(n) of the middle are looked at.

    Raises
    ------
    ValueError
        If a median lies outside, eight standard deviations off: the counts are then not those of `resamples`.
    """
    n = counts.shape[1]
    reach = int(4 * np.sqrt(n)) + 1
    low, high = max(0, n // 2 - reach), min(n, n // 2 + reach)
    rows = errors.reshape(-1, n)
    order = np.argsort(rows, axis=1)
    below = np.zeros((len(rows), n))
    np.put_along_axis(below, order[:, :low], 1.0, axis=1)
    found = np.empty((len(counts), len(rows)))
    for j, (start, ranks) in enumerate(zip((counts @ below.T).T, order[:, low:high], strict=True)):
        reached = start[:, None] + np.cumsum(counts[:, ranks], axis=1)
        pair = [(reached < level).sum(1) for level in ((n + 1) // 2, n // 2 + 1)]
        if (start >= (n + 1) // 2).any() or max(p.max() for p in pair) == len(ranks):
            raise ValueError(
                f"a bootstrap median lies outside ranks {low} to {high} of {n}; make counts by `resamples`"
            )
        found[:, j] = (rows[j, ranks[pair[0]]] + rows[j, ranks[pair[1]]]) / 2
    return found.reshape(len(counts), *errors.shape[:-1])
