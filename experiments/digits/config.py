"""The settings of the two training runs; everything that decides their outcome, seed included."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from numdiff.models.classifier import ClassifierConfig
from numdiff.models.denoiser import DenoiserConfig
from numdiff.models.training import Optimisation

SCHEDULE = {"name": "vp-linear", "beta_min": 0.1, "beta_max": 20.0}


@dataclass(frozen=True, kw_only=True)
class DenoiserRun:
    """Training of the denoiser.

    Parameters
    ----------
    model
        The network. Nothing in it is singular at t = 0, so that training times are uniform on [0, T].
    drop_label
        Probability of training a sample with the null class.
    ema
        Decay of the averaged weights (the ones that are kept), approached as (1 + k)/(10 + k).
    """

    name: str = "digits"
    model: DenoiserConfig = field(
        default_factory=lambda: DenoiserConfig(schedule=SCHEDULE, width=192, blocks=4, dropout=0.1)
    )
    optimisation: Optimisation = field(default_factory=lambda: Optimisation(steps=3000, learning_rate=2e-3))
    drop_label: float = 0.1
    ema: float = 0.999


@dataclass(frozen=True, kw_only=True)
class ClassifierRun:
    """Training of the classifier.

    Parameters
    ----------
    model
        The network.
    warp
        Strength of the random affine maps: 1 means rotations and shears of 0.12, logarithmic scalings of 0.06 and
        shifts of a quarter pixel (one standard deviation each).
    noise
        Standard deviation of the noise added to the grey values.
    label_smoothing
        Share of the label spread over all classes.
    """

    name: str = "digits_classifier"
    model: ClassifierConfig = field(default_factory=ClassifierConfig)
    optimisation: Optimisation = field(
        default_factory=lambda: Optimisation(steps=1000, learning_rate=2e-3, weight_decay=1e-2, batch=128, seed=1)
    )
    warp: float = 1.0
    noise: float = 0.1
    label_smoothing: float = 0.05


DENOISER = DenoiserRun()
CLASSIFIER = ClassifierRun()

DENOISER_FAST = replace(
    DENOISER,
    model=replace(DENOISER.model, width=32, blocks=1),
    optimisation=replace(DENOISER.optimisation, steps=60, batch=64, warm_up=10),
)
CLASSIFIER_FAST = replace(
    CLASSIFIER,
    model=ClassifierConfig(channels=8, width=16),
    optimisation=replace(CLASSIFIER.optimisation, steps=40, batch=64, warm_up=5),
)
