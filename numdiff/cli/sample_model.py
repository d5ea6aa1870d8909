"""``numdiff sample METHOD``: a trained model that ships with numdiff, or one saved beside it, as an image or arrays."""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import Any

import numpy as np

from numdiff import grids
from numdiff._files import write_atomically
from numdiff.cli.sample_options import MODEL, PIPELINE_ONLY, completed
from numdiff.cli.selection import chosen, grid
from numdiff.cli.values import UsageError, output
from numdiff.methods import find
from numdiff.study import sampling

ENLARGED = 6
"""Screen pixels a side of a pixel."""


def run(options: argparse.Namespace) -> None:
    """Draw the samples, write them, and say what a judge thinks of them."""
    import torch  # imported here so that it can be limited to its threads

    from numdiff.study.threads import limited

    completed(options, MODEL, PIPELINE_ONLY, "--pipeline")
    try:
        options.out = output(".png", ".npz")(options.out)
    except argparse.ArgumentTypeError as error:
        raise UsageError(f"argument --out: {error}") from None
    method, spacing = chosen(options), grid(options, "log-snr")
    with limited(options.threads):
        denoiser = sampling.load(options.model)
        if options.labels is None:
            options.labels = tuple(range(denoiser.null))
        _check(denoiser, options)
        classes = sampling.labels(options.labels, options.n)
        noise = sampling.noise(denoiser, options.n, options.seed)
        times = grids.named(spacing, denoiser.schedule, options.steps)
        chance = torch.Generator().manual_seed(options.seed + 1)  # of the method's own noise, not that of x_T
        settings = {"start": options.start, "generator": chance}
        found = sampling.run(denoiser, method, times, noise, classes, options.guidance, **settings)
        _write(options.out, found.samples, noise, classes, denoiser, len(options.labels))
        verdict = _judged(found.samples, classes) if options.model == sampling.SHIPPED else ""
    if options.grid is None and find(options.method).grid is not None:
        print(f"grid {spacing}, which {options.method} asks for")
    print(f"{method.name}: {found.steps} steps, {found.nfe} evaluations, {found.seconds:.2f} s{verdict}")
    print(f"wrote {options.n} samples to {options.out}")


def _check(denoiser: Any, options: argparse.Namespace) -> None:
    wrong = [label for label in options.labels if label >= denoiser.null]
    if wrong:
        raise UsageError(
            f"label {wrong[0]} is no class of this model; use --labels 0-{denoiser.null - 1}, or --guidance 0 for "
            "samples without a class"
        )


def _judged(samples: Any, classes: Any) -> str:
    from numdiff import models

    agreement = (models.digits_classifier().predict(samples) == classes).double().mean()
    return f", classifier agrees with {100 * float(agreement):.1f} %"


def _write(path: Path, samples: Any, noise: Any, classes: Any, denoiser: Any, width: int) -> None:
    shape = tuple(denoiser.config.image_shape)
    images = samples.numpy().reshape(-1, *shape)
    buffer = io.BytesIO()
    if path.suffix.lower() == ".npz":
        np.savez_compressed(buffer, samples=images, labels=classes.numpy(), noise=noise.numpy())
    else:
        from matplotlib.image import imsave

        imsave(buffer, sheet(images, min(width, len(images))), cmap="gray_r", vmin=-1, vmax=1, format="png")
    write_atomically(path, buffer.getvalue())


def sheet(images: np.ndarray, columns: int) -> np.ndarray:
    """Return images of shape (n, h, w) as one, a row for each turn through the classes, blank where there is none."""
    n, height, width = images.shape
    rows = -(-n // columns)
    full = np.concatenate([images, np.full((rows * columns - n, height, width), -1.0, dtype=images.dtype)])
    framed = np.pad(full, ((0, 0), (1, 1), (1, 1)), constant_values=-1.0)
    page = framed.reshape(rows, columns, height + 2, width + 2).transpose(0, 2, 1, 3).reshape(rows * (height + 2), -1)
    return page.repeat(ENLARGED, axis=0).repeat(ENLARGED, axis=1)
