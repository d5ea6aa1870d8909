"""One kind of guidance at one scale: every solver at equal evaluations, against the reference and in the judge's eyes.

Per sample the error is sqrt(mean over pixels (x - x_ref)^2), of which the median is given. The artifact magnitude is
the published one (`numdiff.guidance.artifact_magnitude`) on images of one channel: normalised by mean and standard
deviation of all training pixels, cells of 2 x 2 pixels, threshold 3. The overshoot is the root mean square of
max(|x| - 1, 0), what lies beyond the grey values. Agreement and Frechet distance are the classifier's. Uncertainties
are standard errors of the bootstrap over the samples.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch

import numdiff as nd
from experiments.guidance.config import SOLVERS, Solver
from numdiff import guidance, models
from numdiff.study import sampling

RESAMPLES = 200
FRECHET_RESAMPLES = 20  # each takes a singular value decomposition
SIDE = 8
SPREAD = 0.54  # standard deviation of a pixel over the training scans, root mean square; stands for the Jacobian


@cache
def networks() -> tuple[Any, Any]:
    """Return the denoiser and the classifier, as they ship."""
    return models.digits().requires_grad_(False), models.digits_classifier().requires_grad_(False)


def compute(
    kind: str, scale: float, samples: int, seed: int, budgets: list[int], reference_steps: int, grid: str
) -> dict[str, Any]:
    """Return the reference and the runs of one kind of guidance at one scale, as plain data."""
    torch.set_num_threads(1)
    bench = Bench(samples, seed, grid)
    if kind == "remedies":
        return {"runs": [bench.remedy(name, make, scale, budgets) for name, make in REMEDIES.items()]}
    model = bench.guided(kind, scale)
    fine = nd.DPMSolverPP(3)
    truth, half = (bench.draw(fine, model, n, start="runge-kutta") for n in (reference_steps, reference_steps // 2))
    error = float(np.median(bench.distances(half, truth)))
    runs = [bench.run(name, solver, kind, scale, b, truth) for b in budgets for name, solver in SOLVERS.items()]
    return {"reference": {"error": error, **bench.verdict(truth)}, "runs": [run for run in runs if run is not None]}


class Bench:
    """The networks, the noises, the labels, and what is measured of samples."""

    def __init__(self, samples: int, seed: int, grid: str) -> None:
        self.denoiser, self.classifier = networks()
        self.labels = sampling.labels(range(self.denoiser.null), samples)
        self.noise = sampling.noise(self.denoiser, samples, seed)
        self.grid, self.seed = grid, seed
        mean, variance = self.denoiser.mean.double(), (self.denoiser.basis**2 @ self.denoiser.scale**2).double()
        self.mean = float(mean.mean())
        self.std = float((variance.mean() + mean.var(correction=0)).sqrt())

    def guided(self, kind: str, scale: float, **options: Any) -> Any:
        """Return the guided model."""
        net, schedule = self.denoiser, self.denoiser.schedule
        if kind == "free":
            null = torch.full_like(self.labels, net.null)
            return guidance.ClassifierFree(
                net, self.labels, null, scale, prediction=net.prediction, schedule=schedule, **options
            )
        return guidance.ClassifierGuided(
            net.conditioned(net.null),
            self.classifier,
            self.labels,
            scale,
            schedule,
            prediction=net.prediction,
            on="clean",
            backprop=kind == "through",
            data_std=SPREAD,
        )

    def draw(self, method: nd.Method, model: Any, steps: int, fields: Any = None, start: str = "lower") -> np.ndarray:
        """Return samples, shape (n, 64)."""
        times = nd.grids.named(self.grid, self.denoiser.schedule, steps)
        scheme = method.discretize(self.denoiser.schedule, times, start=start)
        with torch.inference_mode():
            found = nd.sample(scheme, model, self.noise, prediction=self.denoiser.prediction, fields=fields)
        return found.double().numpy()

    def run(
        self, name: str, solver: Solver, kind: str, scale: float, budget: int, truth: np.ndarray
    ) -> dict[str, Any] | None:
        """Return the line of one solver; None where the budget is too small for it."""
        guided = self.guided(kind, scale)
        model, fields = guided, None
        if solver.group == "splitting":
            model, fields = guided.split(solver.base) if kind == "free" else (guided.model, guided.fields)
        steps = budget // cost(solver, kind, scale)
        least = getattr(solver.method, "points", getattr(getattr(solver.method, "base", None), "points", 1))
        if steps < least or (kind != "free" and solver.base == "condition"):
            return None
        line = {"solver": name, "group": solver.group, "budget": budget, "steps": steps}
        try:
            found = self.draw(solver.method, model, steps, fields)
        except ValueError as error:
            if "finite" not in str(error):
                raise
            return {**line, "diverged": True, "calls": vars(guided.calls)}
        median = bootstrapped(self.distances(found, truth), np.median, self.seed)
        return {**line, "diverged": False, "calls": vars(guided.calls), "error": median, **self.verdict(found)}

    def remedy(self, name: str, make: Callable[..., Any], scale: float, budgets: list[int]) -> dict[str, Any]:
        """Return the line of a changed model, run by DPM-Solver++ 2M (CFG++: by DDIM) within the middle budget."""
        steps = budgets[len(budgets) // 2] // 2
        method = nd.DDIM() if "CFG++" in name else nd.DPMSolverPP(2, rule="half")
        levels = nd.DDIM().discretize(self.denoiser.schedule, nd.grids.named(self.grid, self.denoiser.schedule, steps))
        found = self.draw(method, make(self, scale, levels.levels), steps)
        return {"remedy": name, "solver": str(method.name), "steps": steps, **self.verdict(found)}

    def distances(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the root mean square difference of each sample."""
        return np.sqrt(np.mean((x - y) ** 2, axis=1))

    def verdict(self, x: np.ndarray) -> dict[str, Any]:
        """Return artifact magnitude, overshoot, agreement and Frechet distance, each with its standard error."""
        images = torch.from_numpy(x)
        with torch.inference_mode():
            features = self.classifier.features(images)
            agrees = (self.classifier.head(features).argmax(dim=-1) == self.labels).double().numpy()
        artifacts = guidance.artifact_magnitude(x.reshape(-1, SIDE, SIDE), self.mean, self.std, pool=2)
        beyond = np.maximum(np.abs(x) - 1, 0)
        return {
            "artifacts": bootstrapped(artifacts, np.mean, self.seed),
            "overshoot": float(np.sqrt(np.mean(beyond**2))),
            "agreement": bootstrapped(agrees, np.mean, self.seed),
            "frechet": self.frechet(features.double().numpy()),
        }

    def frechet(self, features: np.ndarray) -> list[float]:
        """Return the distance of features to those of the training scans, with the bootstrap's standard error."""
        reference = (self.classifier.mean.double().numpy(), self.classifier.covariance.double().numpy())
        rows = np.random.default_rng(self.seed).integers(len(features), size=(FRECHET_RESAMPLES, len(features)))
        found = [
            models.frechet_distance(*models.feature_statistics(part), *reference)
            for part in (features, *(features[row] for row in rows))
        ]
        return [found[0], float(np.std(found[1:], ddof=1))]


def cost(solver: Solver, kind: str, scale: float) -> int:
    """Return the evaluations of a step: two for a guided model or what guidance adds, one for a plain network.

    A classifier's gradient through the network counts one for the backward pass; beside the network it costs none.
    """
    pair = 2 if kind != "beside" else 1
    if solver.group != "splitting":
        return 1 if kind == "free" and scale == 1 else pair
    asked = solver.method.evaluations
    difference = 0 if kind == "free" and scale == 1 and solver.base == "condition" else pair
    return asked[""] + difference * asked["condition"]


def bootstrapped(values: np.ndarray, statistic: Callable[..., Any], seed: int) -> list[float]:
    """Return a statistic of the samples with its standard error."""
    rows = np.random.default_rng(seed).integers(len(values), size=(RESAMPLES, len(values)))
    return [float(statistic(values)), float(np.std(statistic(values[rows], axis=1), ddof=1))]


REMEDIES: dict[str, Callable[[Bench, float, Any], Any]] = {
    "none": lambda bench, s, levels: bench.guided("free", s),
    "half the scale": lambda bench, s, levels: bench.guided("free", s / 2),
    "rescale 0.7": lambda bench, s, levels: bench.guided("free", s, rescale=0.7),
    "interval, sigma/alpha in [0.3, 3]": lambda bench, s, levels: bench.guided(
        "free", s, interval=guidance.sigma_interval(0.3, 3.0)
    ),
    "cosine ramp from 1 at the noise end": lambda bench, s, levels: bench.guided(
        "free", guidance.Ramp(1.0, s, (-5.0, 2.0), "cosine")
    ),
    "clipping": lambda bench, s, levels: guidance.thresholded(
        bench.guided("free", s), bench.denoiser.schedule, bench.denoiser.prediction
    ),
    "dynamic thresholding 0.95": lambda bench, s, levels: guidance.thresholded(
        bench.guided("free", s), bench.denoiser.schedule, bench.denoiser.prediction, quantile=0.95
    ),
    "CFG++ 0.6, DDIM": lambda bench, s, levels: bench.guided("free", guidance.cfg_plus_plus(levels, 0.6)),
}
