"""Compare samplers on the glyphs: ``python -m experiments.glyphs.run [--size 32 --device cuda] [--out DIR] [--fast]``.

From the same noises and with the same classes, with and without guidance, at 4 to 50 evaluations:

- Frechet distance of the classifier's features to those of 20000 images of the training faces;
- error: root mean square over pixels and samples of the distance from the reference of 1000 evaluations;
- agreement: the share of samples in which the classifier sees the requested class.

Every sampler at every number of evaluations is a file under OUT/cells, written when done: interrupt it when you like,
the same command goes on. It ends with glyphs.json in experiments/results (or OUT, with --fast), and prints the table.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import time
import zipfile
from argparse import ArgumentParser
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from experiments.glyphs import config, scores
from experiments.glyphs.data import HELD_OUT, Glyphs, training_faces
from experiments.glyphs.samplers import BASELINE, Sampler, reference, samplers
from numdiff import models, provenance
from numdiff._files import write_atomically
from numdiff.models import training

REAL = 6
"""Seed of the real images that stand beside the samples."""


class Bench:
    """The networks, the noises, and the cells that are finished.

    Parameters
    ----------
    weights
        Folder of the weights.
    size, device
        Pixels a side; where to compute.
    settings
        What is sampled.
    folder
        Where cells are kept.

    Raises
    ------
    ValueError
        If `folder` holds cells of other settings or weights.
    """

    def __init__(self, weights: Path, size: int, device: str, settings: config.Evaluation, folder: Path) -> None:
        self.name = "glyphs" if size == 16 else f"glyphs{size}"
        self.denoiser = models.load(weights / self.name, models.UNetDenoiser).to(device)
        self.judge = models.load(weights / f"{self.name}_classifier", models.Classifier).to(device)
        self.settings, self.cells, self.device = settings, folder / "cells", torch.device(device)
        count = settings.per_class * self.denoiser.null
        self.labels = torch.arange(count, device=device) % self.denoiser.null
        drawn = torch.randn(count, *self.denoiser.shape, generator=torch.Generator().manual_seed(settings.seed))
        self.noise = drawn.to(device)
        self.followed = settings.reference_per_class * self.denoiser.null
        self.description = self._describe(weights)
        self._same(folder)

    def _describe(self, weights: Path) -> dict[str, Any]:
        names = (self.name, f"{self.name}_classifier")
        digests = {name: hashlib.sha256((weights / f"{name}.safetensors").read_bytes()).hexdigest() for name in names}
        settings = json.loads(json.dumps(dataclasses.asdict(self.settings)))
        return {"settings": settings, "weights": digests, "device": provenance.device(self.device)}

    def _same(self, folder: Path) -> None:
        path = folder / "settings.json"
        if not path.exists():
            self.cells.mkdir(parents=True, exist_ok=True)
            write_atomically(path, json.dumps(self.description, indent=1).encode())
        elif json.loads(path.read_text()) != self.description:
            raise ValueError(
                f"{folder} holds results of other settings, weights or another device; choose another --out"
            )

    def cell(self, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, np.ndarray]:
        """Return the arrays of a cell, made if they are not on the disk."""
        path = self.cells / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.npz"
        try:
            return dict(np.load(path))
        except FileNotFoundError:
            made, buffer = make(), io.BytesIO()
        except (ValueError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path} is damaged ({error}); delete it, and run the same command again") from error
        np.savez(buffer, name=name, **made)
        write_atomically(path, buffer.getvalue())
        return {key: np.asarray(value) for key, value in made.items()}

    def truth(self, guidance: float) -> np.ndarray:
        """Return where the flow takes the noises that are followed."""

        def make() -> dict[str, Any]:
            model = self.denoiser.conditioned(self.labels[: self.followed], guidance)
            with torch.inference_mode():
                exact = reference(model, self.noise[: self.followed], self.settings.reference)
            return {"images": exact.cpu().numpy()}

        return self.cell(f"reference, guidance {guidance:g}", make)["images"]

    def sampled(self, name: str, sampler: Sampler, guidance: float, evaluations: int) -> dict[str, np.ndarray]:
        """Return images, features, agreement and squared errors of a sampler."""

        def make() -> dict[str, Any]:
            exact, model = self.truth(guidance), self.denoiser.conditioned(self.labels, guidance)
            with torch.inference_mode():
                began = time.perf_counter()
                images = sampler(model, self.noise, evaluations)
                seconds = time.perf_counter() - began
            errors = np.square(images[: self.followed].cpu().numpy() - exact).mean(axis=(1, 2, 3), dtype=np.float64)
            return self.judged(images, self.labels) | {"errors": errors, "seconds": seconds}

        return self.cell(f"{name}, guidance {guidance:g}, {evaluations} evaluations", make)

    @torch.no_grad()
    def judged(self, images: Tensor, labels: Tensor) -> dict[str, Any]:
        """Return images, features and agreement; samples that diverged count as paper."""
        images = torch.nan_to_num(images, nan=-1.0, posinf=1.0, neginf=-1.0)
        agrees = (self.judge.predict(images) == labels).cpu().numpy()
        return {
            "images": images.clamp(-2, 2).cpu().numpy().astype(np.float16),
            "features": self.judge.features(images).cpu().numpy(),
            "agrees": agrees,
        }

    def real(self) -> dict[str, Any]:
        """Return the scores of as many real images of each class, of the training faces and of those held out."""
        found, size, count = {}, self.denoiser.shape[-1], self.settings.per_class
        for name, faces in (("training faces", training_faces()), ("held-out faces", HELD_OUT)):
            images, labels = Glyphs(faces, size=size, seed=REAL)(0, 20 * len(self.labels))
            chosen = torch.cat([(labels == y).nonzero()[:count, 0] for y in range(self.denoiser.null)])
            cell = self.judged(images[chosen].to(self.device), labels[chosen].to(self.device)) | {"errors": np.zeros(1)}
            kept = scores.replicates(cell, self.judge, self.settings.resamplings)
            found[name] = scores.summary({key: kept[key] for key in ("frechet", "agreement")}, None)
        return found


def evaluate(bench: Bench, progress: Callable[[list[Any]], Iterable[Any]] = iter) -> dict[str, Any]:
    """Sample whatever is missing and return the scores, by guidance, sampler and number of evaluations."""
    every, times = samplers(), bench.settings.resamplings
    table: dict[str, Any] = {}
    work = [(g, n, name) for g, numbers in bench.settings.evaluations for n in numbers for name in every]
    for guidance, evaluations, name in progress(work):
        bench.sampled(name, every[name], guidance, evaluations)
    for guidance, numbers in bench.settings.evaluations:
        for n in numbers:
            cells = {name: bench.sampled(name, every[name], guidance, n) for name in every}
            kept = {name: scores.replicates(cell, bench.judge, times) for name, cell in cells.items()}
            for name, cell in kept.items():
                row = scores.summary(cell, None if name == BASELINE else kept[BASELINE])
                table.setdefault(f"{guidance:g}", {}).setdefault(name, {})[str(n)] = row
    return table


def result(bench: Bench, table: dict[str, Any]) -> dict[str, Any]:
    """Return the record: scores, what they are against, settings and provenance."""
    return {
        "experiment": "glyphs",
        "size": bench.denoiser.shape[-1],
        "baseline": BASELINE,
        "entries": "[value, standard error]; against_baseline: difference, of the errors that of their logarithms",
        "scores": table,
        "real_images": bench.real(),
        **bench.description,
        "environment": provenance.environment(bench.device),
    }


def show(table: dict[str, Any]) -> str:
    """Return the scores as text: Frechet distance and error by guidance, sampler and number of evaluations."""
    lines = []
    for guidance, rows in table.items():
        lines += [f"guidance {guidance}: Frechet distance | error"]
        for name, row in rows.items():
            values = "  ".join(f"{n:>3}: {e['frechet'][0]:6.2f} | {e['error'][0]:.4f}" for n, e in row.items())
            lines.append(f"{name:30s} {values}")
    return "\n".join(lines)


def options(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--size", type=int, default=16, help="pixels a side (16)")
    parser.add_argument("--device", default="cpu", help="where to compute (cpu)")
    parser.add_argument("--weights", type=Path, default=models.WEIGHTS, metavar="DIR", help="default: those shipped")
    parser.add_argument("--results", type=Path, metavar="DIR", help="where the record goes (experiments/results)")


def bar(work: list[Any]) -> Iterable[Any]:
    """Return the work under a progress bar."""
    from tqdm import tqdm

    return tqdm(work, unit="cell")


def main() -> None:
    """Run from the command line."""
    given = training.arguments(__doc__, "results/glyphs-evaluation", options)
    settings = config.evaluation(fast=given.fast)
    bench = Bench(given.weights, given.size, given.device, settings, given.out)
    found = result(bench, evaluate(bench, bar))
    folder = given.results or (given.out if given.fast else Path(__file__).parents[1] / "results")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{bench.name}.json"
    write_atomically(path, (json.dumps(found, indent=1) + "\n").encode())
    print(show(found["scores"]))
    print(path)


if __name__ == "__main__":
    training.from_the_door(main)
