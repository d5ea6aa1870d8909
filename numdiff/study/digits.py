r"""Stage 4: the trained model of handwritten digits, sampled by every method from the same noises.

The question is how far a solver with few evaluations is from the exact solution of the model's own probability-flow
ODE. Per sample i with D pixels,

    e_i = sqrt(mean_pixels (x_i - ref_i)^2),    RMSE = sqrt(mean_i e_i^2),    and the median of e_i,

RMSE with its standard error sd(e_i^2)/(2 sqrt(n) RMSE). The median is beside it because a few samples that end as
another digit dominate an RMSE.

**Reference.** DPM-Solver++ of order 3 with a Runge-Kutta start and many steps. Its error is taken to be the larger of
two distances: to itself with half as many steps (for a method of order 3 this overestimates it sevenfold), and to
Adams-Bashforth of order 4 on noise in sigma/alpha, which shares neither formulation nor weights with it.

**What a judge sees.** The classifier's agreement with the requested class; the Frechet distance between its features of
the samples and of the training scans (d^2, biased upwards for few samples, so compare equal numbers only); and the
overshoot sqrt(mean max(|x| - 1, 0)^2) beyond the grey values that the data have, which is where artefacts of strong
guidance show. The reference's own values stand beside them: a solver cannot be blamed for what the model does.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from numdiff import grids
from numdiff.study import sampling
from numdiff.study.progress import Progress
from numdiff.study.settings import DigitsSettings, Spec
from numdiff.study.threads import limited

LIMIT = 1e3
"""RMSE from which a run counts as diverged: grey values lie in [-1, 1]."""


def units(settings: DigitsSettings) -> int:
    """Return the number of runs of one guidance, the reference's three included."""
    return 3 + len(settings.methods) * len(settings.grids) * len(settings.nfe)


def compute(
    settings: DigitsSettings, seed: int, progress: Progress, guidance: float, threads: int = 1
) -> dict[str, Any]:
    """Sample with every method, on every grid, at every number of evaluations, under one strength of guidance."""
    import torch  # noqa: F401  (must be imported to be limited)

    with limited(threads):
        return {"threads": threads, **_compare(Bench(settings, seed, guidance), progress)}


def _compare(bench: Bench, progress: Progress) -> dict[str, Any]:
    settings = bench.settings
    reference = bench.reference(progress)
    runs, pictures = [], {}
    for name in settings.grids:
        for nfe in settings.nfe:
            for spec in settings.methods:
                row, picture = bench.row(spec, name, nfe)
                runs.append(row)
                if picture is not None:
                    pictures[f"{name}/{nfe}/{spec.label}"] = picture
                progress.advance(f"{spec.label}, {nfe} evaluations, {name}")
    return {
        "guidance": bench.guidance,
        "samples": settings.samples,
        "parameters": sum(p.numel() for p in bench.denoiser.parameters()),
        "problem": bench.problem(),
        "reference": reference,
        "runs": runs,
        "shape": list(bench.denoiser.config.image_shape),
        "pictures": {
            "labels": bench.labels[: settings.pictures].tolist(),
            "reference": bench.show(bench.truth),
            "runs": pictures,
        },
    }


class Bench:
    """The model, the judge, the noises, and the reference solution that everything is measured against."""

    def __init__(self, settings: DigitsSettings, seed: int, guidance: float) -> None:
        from numdiff import models

        self.settings, self.guidance = settings, guidance
        self.denoiser, self.judge = sampling.load(settings.model), models.digits_classifier()
        self.labels = sampling.labels(range(self.denoiser.null), settings.samples)
        self.noise = sampling.noise(self.denoiser, settings.samples, seed)
        self.truth: Any = None

    def run(self, method: Any, grid: str, steps: int, start: str = "lower") -> sampling.Run:
        """Draw all samples with one method."""
        times = grids.named(grid, self.denoiser.schedule, steps)
        return sampling.run(self.denoiser, method, times, self.noise, self.labels, self.guidance, start=start)

    def problem(self) -> dict[str, Any]:
        """Return the schedule, and the levels between which every method runs."""
        schedule = self.denoiser.schedule

        def end(t: float) -> dict[str, float]:
            return {"time": t, "log_snr": float(schedule.log_snr(t)), "sigma": float(schedule.sigma(t))}

        title = {"vp-linear": "VP linear"}.get(schedule.name, schedule.name)
        return {"schedule": title, "from": end(float(schedule.T)), "to": end(float(schedule.t_end))}

    def reference(self, progress: Progress) -> dict[str, Any]:
        """Compute the reference and its error, and judge it."""
        import numdiff as nd

        steps, found = self.settings.reference_steps, []
        fine = nd.DPMSolverPP(3)
        other = nd.AdamsBashforth(4, nd.NOISE_RATIO)
        for method, count in ((fine, steps), (fine, steps // 2), (other, steps)):
            found.append(self.run(method, "log-snr", count, "runge-kutta").samples)
            progress.advance(f"reference, {count} steps")
        self.truth = found[0]
        distances = [self.distance(other)["rmse"] for other in found[1:]]
        return {
            "method": fine.name,
            "steps": steps,
            "to_half_resolution": distances[0],
            "other_method": f"{other.name}, {steps} steps",
            "to_other_method": distances[1],
            "error": max(distances),
            **self.verdict(self.truth),
        }

    def distance(self, samples: Any) -> dict[str, float]:
        """Return RMSE, its standard error, and median and largest error per sample."""
        squares = (samples.double() - self.truth.double()).square().mean(dim=1).numpy()
        rmse = float(np.sqrt(squares.mean()))
        spread = float(squares.std() / (2 * np.sqrt(len(squares)) * rmse)) if rmse else 0.0
        return {
            "rmse": rmse,
            "rmse_se": spread,
            "median": float(np.sqrt(np.median(squares))),
            "worst": float(np.sqrt(squares.max())),
        }

    def verdict(self, samples: Any) -> dict[str, float]:
        """Return what the classifier and the range of grey values say about samples."""
        agreement = (self.judge.predict(samples) == self.labels).double().mean()
        beyond = (samples.abs() - 1).clamp(min=0).square().mean().sqrt()
        return {
            "agreement": float(agreement),
            "frechet": float(self.judge.frechet_distance(samples)),
            "overshoot": float(beyond),
        }

    def row(self, spec: Spec, grid: str, nfe: int) -> tuple[dict[str, Any], list[str] | None]:
        """Run one method; return its line of the table, and its pictures if it stayed finite."""
        method = spec.method()
        stages = method.steady().stages
        line = {"method": spec.label, "name": method.name, "grid": grid, "nfe": nfe, "diverged": False}
        try:
            found = self.run(method, grid, nfe // stages)
        except ValueError as error:
            if "not finite" not in str(error):
                raise
            return {**line, "diverged": True}, None
        line |= {"evaluations": found.nfe, "steps": found.steps, "seconds": found.seconds}
        distance = self.distance(found.samples)
        if not distance["rmse"] < LIMIT:
            return {**line, "diverged": True}, None
        return {**line, **distance, **self.verdict(found.samples)}, self.show(found.samples)

    def show(self, samples: Any) -> list[str]:
        """Return the first samples as strings of two hexadecimal digits a pixel, 00 for grey value -1 and ff for 1."""
        grey = ((samples[: self.settings.pictures].clamp(-1, 1) + 1) * 127.5).round().byte()
        return [bytes(image.tolist()).hex() for image in grey.reshape(len(grey), -1)]


def pixels(picture: str, shape: list[int]) -> np.ndarray:
    """Return a picture that `Bench.show` wrote, grey values from 0 to 255, of the given shape."""
    return np.frombuffer(bytes.fromhex(picture), dtype=np.uint8).reshape(shape)
