"""Judge samples of the denoiser: ``python -m experiments.digits.evaluate [--weights DIR] [--out DIR] [--fast]``.

For DDIM and DPM-Solver++ 2, with and without guidance, from the same noise and with the classes 0..9 in turn:

- agreement: the share of samples in which the classifier sees the requested class;
- Frechet distance of the classifier's features to the training scans, of as many samples as there are held-out scans,
  beside the same distance for those scans;
- distance to the nearest training scan, its quantiles beside those of the held-out scans: a network that copies its
  training set has smaller ones;
- spread: the mean over pixels of the standard deviation, beside that of the held-out scans.

Writes OUT/evaluation.json and OUT/samples.npz, from which ``plot`` draws.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import numdiff as nd
from experiments.digits.data import Split, digits
from numdiff import models, provenance
from numdiff._files import write_atomically
from numdiff.models.training import LIBRARIES, from_the_door


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What is sampled."""

    samples: int = 1000
    steps: int = 50
    guidances: tuple[float, ...] = (1.0, 2.0)
    seed: int = 0


METHODS: dict[str, nd.Method] = {"DDIM": nd.DDIM(), "DPM-Solver++ 2": nd.DPMSolverPP(2)}


def draw(denoiser: models.Denoiser, method: nd.Method, guidance: float, settings: Evaluation) -> tuple[Tensor, Tensor]:
    """Return samples and their classes."""
    labels = torch.arange(settings.samples) % denoiser.null
    noise = torch.randn(settings.samples, *denoiser.shape, generator=torch.Generator().manual_seed(settings.seed))
    grid = nd.grids.uniform_t(denoiser.schedule, steps=settings.steps)
    scheme = method.discretize(denoiser.schedule, grid)
    return nd.sample(scheme, denoiser.conditioned(labels, guidance), noise, prediction=denoiser.prediction), labels


def judge(classifier: models.Classifier, x: Tensor, labels: Tensor, train: Split, count: int) -> dict[str, Any]:
    """Return the scores of images; the Frechet distance is that of the first `count`."""
    shown = x.clamp(-1, 1)
    nearest = models.nearest_distance(shown, train.x)
    return {
        "images": len(x),
        "agreement": float((classifier.predict(x) == labels).double().mean()),
        "frechet": {"images": count, "distance": classifier.frechet_distance(x[:count])},
        "nearest_training": dict(
            zip(("min", "5%", "median", "95%"), np.quantile(nearest, (0, 0.05, 0.5, 0.95)).tolist(), strict=True)
        ),
        "spread": float(shown.std(dim=0).mean()),
        "largest": float(x.abs().max()),
    }


def evaluate(weights: Path, folder: Path, settings: Evaluation) -> dict[str, Any]:
    """Sample and judge; write and return the scores."""
    folder.mkdir(parents=True, exist_ok=True)  # before the sampling: a bad --out should not cost minutes
    denoiser = models.load(weights / "digits", models.Denoiser)
    classifier = models.load(weights / "digits_classifier", models.Classifier)
    train, held_out = digits()
    count = min(len(held_out.x), settings.samples)
    scores = {"held-out scans": judge(classifier, *held_out, train, count)}
    pictures: dict[str, Any] = {"held-out scans": held_out.x.numpy(), "held-out labels": held_out.labels.numpy()}
    for name, method in METHODS.items():
        for guidance in settings.guidances:
            start = time.perf_counter()
            x, labels = draw(denoiser, method, guidance, settings)
            seconds = time.perf_counter() - start
            key = f"{name}, {settings.steps} steps, guidance {guidance:g}"
            scores[key] = judge(classifier, x, labels, train, count) | {"seconds": round(seconds, 3)}
            pictures[key] = x.numpy()
    np.savez(folder / "samples.npz", **pictures)
    result = {"scores": scores, "seed": settings.seed, **provenance.environment("cpu", LIBRARIES)}
    write_atomically(folder / "evaluation.json", json.dumps(result, indent=1).encode())
    return result


def main() -> None:
    """Run from the command line and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, default=models.WEIGHTS, metavar="DIR", help="default: those shipped")
    parser.add_argument("--out", type=Path, default=Path("results/digits"), metavar="DIR", help="folder of the results")
    parser.add_argument("--fast", action="store_true", help="few samples in few steps, to see that it runs")
    given = parser.parse_args()
    torch.set_num_threads(1)
    settings = Evaluation(samples=40, steps=5) if given.fast else Evaluation()
    for name, score in evaluate(given.weights, given.out, settings)["scores"].items():
        nearest = " ".join(f"{value:.2f}" for value in score["nearest_training"].values())
        print(
            f"{name:45s} agreement {score['agreement']:.4f}  Frechet {score['frechet']['distance']:7.3f}  "
            f"nearest {nearest}  spread {score['spread']:.3f}  largest {score['largest']:.2f}  "
            f"seconds {score.get('seconds', 0):.2f}"
        )


if __name__ == "__main__":
    from_the_door(main)
