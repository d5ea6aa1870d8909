"""The settings of the two trainings and of the evaluation; everything that decides their outcome, seeds included."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from experiments.glyphs.data import Pose
from numdiff.models.classifier import ClassifierConfig
from numdiff.models.training import Optimisation
from numdiff.models.unet import UNetConfig

SCHEDULE = {"name": "ddpm-linear"}


@dataclass(frozen=True, kw_only=True)
class DenoiserRun:
    """Training of the denoiser.

    Parameters
    ----------
    model
        The network.
    drop_label
        Probability of training a sample with the null class.
    ema
        Decay of the averaged weights (the ones that are kept), approached as (1 + k)/(10 + k).
    pose
        Spread of the images' poses.
    validation
        Number of images of which the scores at checkpoints are.
    """

    name: str = "glyphs"
    model: UNetConfig = field(default_factory=lambda: UNetConfig(schedule=SCHEDULE))
    optimisation: Optimisation = field(
        default_factory=lambda: Optimisation(steps=2000, learning_rate=1.5e-3, batch=64, warm_up=100)
    )
    drop_label: float = 0.1
    ema: float = 0.997
    pose: Pose = field(default_factory=Pose)
    validation: int = 256


@dataclass(frozen=True, kw_only=True)
class ClassifierRun:
    """Training of the classifier.

    Parameters
    ----------
    model
        The network.
    noise
        Standard deviation of the noise added to the grey values.
    label_smoothing
        Share of the label spread over all classes.
    reference
        Number of images on which the mean and the covariance of the features are taken.
    pose, validation
        As those of the denoiser.
    """

    name: str = "glyphs_classifier"
    model: ClassifierConfig = field(
        default_factory=lambda: ClassifierConfig(classes=62, image_shape=(16, 16), flat=False, halvings=2)
    )
    optimisation: Optimisation = field(
        default_factory=lambda: Optimisation(steps=3000, learning_rate=2e-3, weight_decay=1e-2, batch=128, seed=1)
    )
    noise: float = 0.1
    label_smoothing: float = 0.05
    reference: int = 20000
    pose: Pose = field(default_factory=Pose)
    validation: int = 2048


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What is sampled and compared.

    Parameters
    ----------
    per_class
        Samples of each of the 62 classes.
    evaluations
        Numbers of evaluations by the strength of guidance; with guidance each is two of the network.
    reference
        Evaluations of the reference: the table's entries and the last step to sigma = 0.
    reference_per_class
        Samples of each class that are followed by the reference, the first ones.
    seed
        Of the initial noise.
    resamplings
        Of the bootstrap.
    """

    per_class: int = 3
    evaluations: tuple[tuple[float, tuple[int, ...]], ...] = ((1.0, (4, 6, 10, 20, 50)), (2.0, (4, 6, 10, 20)))
    reference: int = 1000
    reference_per_class: int = 1
    seed: int = 7
    resamplings: int = 200


def evaluation(*, fast: bool = False) -> Evaluation:
    """Return what is sampled."""
    if not fast:
        return Evaluation()
    return Evaluation(per_class=1, evaluations=((1.0, (4,)), (2.0, (4,))), reference=10, resamplings=20)


def denoiser(size: int = 16, *, fast: bool = False) -> DenoiserRun:
    """Return the training of the denoiser of size x size pixels.

    The larger network (32 pixels and more) has three stages of two residual blocks, 9.8 M parameters, for a GPU.
    """
    run = DenoiserRun()
    if size > 16:
        model = replace(run.model, widths=(96, 128, 160), attention=(False, True, True), layers=2)
        optimisation = replace(run.optimisation, steps=20000, learning_rate=4e-4, batch=256, warm_up=500)
        run = replace(run, name=f"glyphs{size}", model=model, optimisation=optimisation, ema=0.9995)
    if fast:
        model = replace(run.model, widths=(16, 16), attention=(False, False), head=8)
        run = replace(run, model=model, optimisation=replace(run.optimisation, steps=20, batch=16, warm_up=5))
    return replace(run, model=replace(run.model, image_shape=(size, size)))


def classifier(size: int = 16, *, fast: bool = False) -> ClassifierRun:
    """Return the training of the classifier of size x size pixels."""
    run = ClassifierRun()
    if size > 16:
        run = replace(run, name=f"glyphs{size}_classifier", model=replace(run.model, halvings=3))
    if fast:
        optimisation = replace(run.optimisation, steps=20, batch=16, warm_up=5)
        run = replace(run, model=replace(run.model, channels=4, width=8), optimisation=optimisation, reference=200)
    return replace(run, model=replace(run.model, image_shape=(size, size)))
