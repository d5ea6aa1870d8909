"""Draw what ``evaluate`` and ``train`` left: ``python -m experiments.digits.plot [--weights DIR] [--out DIR]``.

- digits.png: held-out scans beside samples, one class a column;
- nearest.png: samples above the training scans nearest to them, and the distribution of those distances;
- training.png: the loss curve and the loss of the averaged network on training and held-out scans.
"""

from __future__ import annotations

import argparse
import zipfile
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from experiments.digits.data import digits
from numdiff import models
from numdiff.models.training import from_the_door

ROWS = 10


def mosaic(ax: Any, images: np.ndarray, columns: int, title: str) -> None:
    """Show images of shape (n, 64) row by row, with a line of background between them."""
    tiles = np.pad(images.reshape(-1, columns, 8, 8).clip(-1, 1), ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=0)
    ax.imshow(tiles.transpose(0, 2, 1, 3).reshape(-1, 10 * columns), cmap="gray_r", vmin=-1, vmax=1)
    ax.set_title(title, fontsize=9)
    ax.axis("off")


def by_class(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return ROWS images of every class, the classes running fastest."""
    return np.stack([images[labels == digit][:ROWS] for digit in range(10)], axis=1).reshape(-1, 64)


def grid(samples: dict[str, np.ndarray]) -> plt.Figure:
    """Draw the held-out scans and the samples side by side."""
    sets = {"held-out scans": by_class(samples["held-out scans"], samples["held-out labels"])}
    sets |= {key: value[: 10 * ROWS] for key, value in samples.items() if "guidance" in key and key.startswith("D")}
    figure, axes = plt.subplots(1, len(sets), figsize=(3.2 * len(sets), 3.6), layout="constrained")
    for ax, (title, images) in zip(axes, sets.items(), strict=True):
        mosaic(ax, images, 10, title)
    return figure


def nearest(samples: dict[str, np.ndarray]) -> plt.Figure:
    """Draw samples with their nearest training scans, and how far those are."""
    train = digits()[0].x.numpy()
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    for key in (key for key in samples if "labels" not in key and not key.startswith("DPM")):
        distances = models.nearest_distance(samples[key].clip(-1, 1), train)
        right.hist(distances, bins=30, density=True, histtype="step", label=key)
    right.set(xlabel="distance to the nearest training scan", ylabel="density")
    right.legend(fontsize=7)
    first = next(value for key, value in samples.items() if "guidance" in key)[:20].clip(-1, 1)
    matches = train[[np.square(train - image).sum(axis=1).argmin() for image in first]]
    rows = [part for i in (0, 10) for part in (first[i : i + 10], matches[i : i + 10])]
    mosaic(left, np.concatenate(rows), 10, "samples, and below each the nearest training scan")
    return figure


def training(record: dict[str, Any]) -> plt.Figure:
    """Draw the losses of a run."""
    figure, ax = plt.subplots(figsize=(5, 3.2), layout="constrained")
    curve = record["loss_curve"]
    steps = curve["steps_per_point"] * (np.arange(len(curve["loss"])) + 0.5)
    ax.plot(steps, curve["loss"], label="training batches (network)", color="0.7")
    for name in ("train_loss", "held_out_loss"):
        ax.plot(
            *zip(*((score["step"], score[name]) for score in record["scores"]), strict=True), label=f"{name} (average)"
        )
    ax.set(xlabel="step", ylabel="mean square error of v", ylim=(0.15, 0.35))
    ax.legend(fontsize=8)
    return figure


def load_samples(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays that ``evaluate`` wrote.

    Raises
    ------
    ValueError
        If there are none at `path`, or the file is damaged.
    """
    remedy = "run python -m experiments.digits.evaluate with the same --out first"
    if not path.is_file():
        raise ValueError(f"{path} does not exist; {remedy}")
    try:
        return dict(np.load(path))
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} holds no samples ({error}); {remedy}") from None


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, default=models.WEIGHTS, metavar="DIR", help="default: those shipped")
    parser.add_argument("--out", type=Path, default=Path("results/digits"), metavar="DIR", help="where evaluate wrote")
    given = parser.parse_args()
    samples, record = load_samples(given.out / "samples.npz"), models.load(given.weights / "digits").record
    figures = {"digits": grid(samples), "nearest": nearest(samples), "training": training(record)}
    for name, figure in figures.items():
        figure.savefig(given.out / f"{name}.png", dpi=130)
        print(given.out / f"{name}.png")


if __name__ == "__main__":
    from_the_door(main)
