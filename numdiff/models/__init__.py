"""Trained networks: a class-conditional denoiser of handwritten digits, a classifier to judge it, and their weights.

``digits()`` and ``digits_classifier()`` load the weights that ship with the package; ``load`` and ``save`` read and
write any model of the known architectures as safetensors beside a JSON record. ``metrics`` holds the Frechet
distance and the distance to the nearest training image. How the networks were trained is in ``experiments/digits``.

Importing this package imports torch; ``import numdiff`` alone doesn't.
"""

from __future__ import annotations

from pathlib import Path

try:
    import torch  # noqa: F401  (only to say what to install)
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("numdiff.models needs torch and safetensors; pip install 'numdiff[torch]'") from error

from numdiff.models import metrics
from numdiff.models.classifier import DigitsClassifier
from numdiff.models.denoiser import Conditioned, Denoiser
from numdiff.models.metrics import feature_statistics, frechet_distance, nearest_distance
from numdiff.models.store import ARCHITECTURES, WeightsError, load, save

__all__ = [
    "ARCHITECTURES",
    "WEIGHTS",
    "Conditioned",
    "Denoiser",
    "DigitsClassifier",
    "WeightsError",
    "digits",
    "digits_classifier",
    "feature_statistics",
    "frechet_distance",
    "load",
    "metrics",
    "nearest_distance",
    "save",
]

WEIGHTS = Path(__file__).parent / "weights"
"""The folder of the weights that ship with the package."""


def digits() -> Denoiser:
    """Return the trained denoiser of 8x8 handwritten digits, float32 on the CPU, in evaluation mode.

    Samples are rows of 64 grey values, -1 (paper) to 1 (ink), labels are 0..9 and 10 is the null class. It was trained
    on four fifths of scikit-learn's ``load_digits``; its ``record`` says how.
    """
    return load(WEIGHTS / "digits", Denoiser)


def digits_classifier() -> DigitsClassifier:
    """Return the classifier of 8x8 handwritten digits, trained apart from the denoiser, in evaluation mode.

    ``record["held_out_accuracy"]`` is its accuracy on the scans that neither network was trained on.
    """
    return load(WEIGHTS / "digits_classifier", DigitsClassifier)
