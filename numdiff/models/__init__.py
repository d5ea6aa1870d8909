"""Trained networks: class-conditional denoisers of digits and of glyphs, classifiers to judge them, and their weights.

``digits()``, ``glyphs()`` and their classifiers load the weights that ship with the package; ``load`` and ``save`` read
and write any model of the known architectures as safetensors beside a JSON record. ``metrics`` holds the Frechet
distance and the distance to the nearest training image. How the networks were trained is in ``experiments/digits`` and
``experiments/glyphs``; ``training`` is the loop and ``tasks`` what both train.

Importing this package imports torch; ``import numdiff`` alone doesn't.
"""

from __future__ import annotations

from pathlib import Path

try:
    import torch  # noqa: F401  (only to say what to install)
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("numdiff.models needs torch and safetensors; pip install 'numdiff[torch]'") from error

from numdiff.models import metrics, store
from numdiff.models.classifier import Classifier, DigitsClassifier
from numdiff.models.conditioning import ClassConditional, Conditioned
from numdiff.models.denoiser import Denoiser
from numdiff.models.metrics import feature_statistics, frechet_distance, nearest_distance
from numdiff.models.store import WeightsError, load, save
from numdiff.models.unet import UNetDenoiser

#: The architectures that `load` knows, by name.
ARCHITECTURES = store.ARCHITECTURES

__all__ = [
    "ARCHITECTURES",
    "WEIGHTS",
    "ClassConditional",
    "Classifier",
    "Conditioned",
    "Denoiser",
    "DigitsClassifier",
    "UNetDenoiser",
    "WeightsError",
    "digits",
    "digits_classifier",
    "feature_statistics",
    "frechet_distance",
    "glyphs",
    "glyphs_classifier",
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

    Returns
    -------
    Denoiser
        Samples of shape (n, 64).

    Examples
    --------
    >>> import torch
    >>> import numdiff as nd
    >>> model = nd.models.digits()
    >>> model.shape, model.null, model.prediction
    ((64,), 10, 'v')
    >>> scheme = nd.DPMSolverPP(2).discretize(model.schedule, nd.grids.uniform_log_snr(model.schedule, 10))
    >>> noise = torch.randn(4, 64, generator=torch.Generator().manual_seed(0))
    >>> x0 = nd.sample(scheme, model.conditioned([0, 1, 2, 3]), noise, prediction="v")
    >>> nd.models.digits_classifier().predict(x0).tolist()
    [0, 1, 2, 3]
    """
    return load(WEIGHTS / "digits", Denoiser)


def digits_classifier() -> Classifier:
    """Return the classifier of 8x8 handwritten digits, trained apart from the denoiser, in evaluation mode.

    ``record["held_out_accuracy"]`` is its accuracy on the scans that neither network was trained on.

    Returns
    -------
    Classifier
        Of images of shape (n, 64), in 10 classes.

    Examples
    --------
    >>> import numdiff as nd
    >>> judge = nd.models.digits_classifier()
    >>> judge.record["held_out_accuracy"] > 0.97
    True
    """
    return load(WEIGHTS / "digits_classifier", Classifier)


def glyphs() -> UNetDenoiser:
    """Return the trained denoiser of 16x16 digits and letters, float32 on the CPU, in evaluation mode.

    Samples have shape (1, 16, 16) and grey values from -1 (paper) to 1 (ink); labels 0..61 are 0-9, A-Z, a-z and 62 is
    the null class. It was trained on the faces that matplotlib ships but four; its ``record`` says how.

    Returns
    -------
    UNetDenoiser
        Samples of shape (n, 1, 16, 16).

    Raises
    ------
    ModuleNotFoundError
        If diffusers, of whose U-Net it is made, is not installed.

    Examples
    --------
    >>> import torch
    >>> import numdiff as nd
    >>> model = nd.models.glyphs()
    >>> model.shape, model.null, model.schedule.name
    ((1, 16, 16), 62, 'ddpm-linear')
    >>> letter_a = model.conditioned(10)
    >>> tuple(letter_a(torch.zeros(2, 1, 16, 16), 500.0).shape)
    (2, 1, 16, 16)
    """
    return load(WEIGHTS / "glyphs", UNetDenoiser)


def glyphs_classifier() -> Classifier:
    """Return the classifier of 16x16 digits and letters, trained apart from the denoiser, in evaluation mode.

    ``record["held_out_accuracy"]`` is its accuracy on the four faces that neither network was trained on. Its mistakes
    are between glyphs that differ by little more than their size or a stroke (I and l, 0 and O, c and C).

    Returns
    -------
    Classifier
        Of images of shape (n, 1, 16, 16), in 62 classes.

    Examples
    --------
    >>> import numdiff as nd
    >>> judge = nd.models.glyphs_classifier()
    >>> judge.config.classes, judge.record["held_out_accuracy"] > 0.8
    (62, True)
    """
    return load(WEIGHTS / "glyphs_classifier", Classifier)
