r"""Classifier guidance: the gradient of a classifier added to the score (Dhariwal and Nichol 2021, arXiv:2105.05233).

Bayes' rule with the classifier's power s, p(x) p(c | x)^s, adds s grad_x log p(c | x) to the score -eps/sigma, so

    eps -> eps - s sigma grad_x log p(c | x).

Every other prediction is m = p x + q eps at a level, with x held, so that m -> m - q s sigma grad_x log p(c | x).

Where the classifier looks:

- ``on="noisy"``: at x and t, classifier(x, t), trained on noisy images;
- ``on="clean"``: at the model's denoised image D(x) = E[x_0 | x], classifier(x_0), trained on clean ones; then
  grad_x log p(c | D(x)) = J^T grad log p(c | x_0) with the Jacobian J = dD/dx. With ``backprop=True`` it is exact, a
  backward pass through the model. Without, the model is not differentiated: J is taken from Gaussian data of standard
  deviation s_0, whose denoiser is linear,

      J = alpha s_0^2/(alpha^2 s_0^2 + sigma^2) I.

  (To hold the noise prediction fixed instead gives J = I/alpha, which grows without bound at the noise end.) As an
  approximation of log p(c | x) both are wrong by the spread of x_0 given x, most where there is much noise.

Gradients are taken outside of any ``inference_mode`` or ``no_grad`` around the sampler and returned without their
graph; nothing is added to the ``.grad`` of a parameter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from numdiff.drivers_checks import predicted, spelled
from numdiff.elementary import vanishes
from numdiff.guidance.arrays import Array, namespace, per_sample
from numdiff.guidance.calls import Calls
from numdiff.guidance.strength import Interval, Strength
from numdiff.level import Level
from numdiff.methods.checks import choice
from numdiff.methods.scheme import Scheme
from numdiff.parameterizations import Prediction, coefficients, convert
from numdiff.schedules import Schedule

Model = Callable[[Array, Any], Array]
PLACES = ("noisy", "clean")


class ClassifierGuided:
    """A model moved by a classifier's gradient, as a model: ``guided(x, t)``.

    Parameters
    ----------
    model
        ``model(x, t)`` returns the prediction, a tensor like x; it may itself be guided.
    classifier
        ``classifier(x, t)``, or ``classifier(x_0)`` with ``on="clean"``, returns logits of shape (n, classes).
    labels
        The class of all samples, or of each, integers of shape (n,).
    scale
        s: a number, an array of one for each sample, or a function of the half log-SNR that returns either; 0 leaves
        the model alone.
    schedule
        Of the model, or the scheme that runs.
    prediction
        What the model predicts; the guided model predicts the same. None takes ``model.prediction`` where it says so,
        else "noise".
    on
        "noisy" or "clean".
    backprop
        Whether a clean classifier's gradient goes back through the model.
    data_std
        s_0 of the Jacobian that stands in for it without.
    interval
        Half log-SNRs (low, high), ends included, of guidance; see `sigma_interval`.

    Attributes
    ----------
    prediction
        What it predicts, by name where that says all.
    model, fields
        The parts of a splitting method: the model, and {"condition": what the classifier adds}.
    calls : Calls
        What has been evaluated so far, by the guided model and by its parts.

    Raises
    ------
    TypeError, ValueError
        For an argument out of its range.

    Notes
    -----
    One evaluation of the model and one gradient, of which ``on="clean"`` with ``backprop=True`` goes through the model
    and costs a backward pass. As two fields, a clean classifier evaluates the model once more for the condition.
    ``torch.compile(fullgraph=True)`` and CUDA graphs take no gradient inside of a model (they take `ClassifierFree`).

    Examples
    --------
    >>> import torch
    >>> import numdiff as nd
    >>> schedule = nd.schedules.VPLinear()
    >>> model = lambda x, t: torch.zeros_like(x)
    >>> logits = lambda x, t: torch.cat([x, -x], dim=1)
    >>> guided = nd.guidance.ClassifierGuided(model, logits, labels=0, scale=2.0, schedule=schedule)
    >>> moved = guided(torch.zeros(1, 1), 0.5)  # eps - s sigma grad log p, and grad log p = 1 at x = 0
    >>> print(f"{float(moved) / float(schedule.sigma(0.5)):.4f}")
    -2.0000
    """

    def __init__(
        self,
        model: Model,
        classifier: Callable[..., Any],
        labels: Any,
        scale: Any,
        schedule: Schedule | Scheme,
        *,
        prediction: str | Prediction | None = None,
        on: str = "noisy",
        backprop: bool = True,
        data_std: float = 1.0,
        interval: Interval | None = None,
    ) -> None:
        choice("on", on, PLACES)
        if not data_std > 0:
            raise ValueError(f"data_std must be positive, got {data_std!r}")
        if not callable(classifier):
            raise TypeError(f"classifier must be a function that returns logits, got {classifier!r}")
        self._classifier, self._labels, self._data_std = classifier, labels, float(data_std)
        find = self._noisy if on == "noisy" else self._through if backprop else self._beside
        self._begin(model, find, scale, schedule, prediction, interval)

    @classmethod
    def from_gradient(
        cls,
        model: Model,
        gradient: Callable[[Array, Any], Array],
        scale: Any,
        schedule: Schedule | Scheme,
        *,
        prediction: str | Prediction | None = None,
        interval: Interval | None = None,
    ) -> ClassifierGuided:
        """Return a model guided by a known gradient: ``gradient(x, t)`` is grad_x log p(c | x), NumPy or torch.

        The parameters are those of the class; `numdiff.problems.GaussianMixture.guidance` makes such a gradient.

        Examples
        --------
        >>> import numpy as np
        >>> import numdiff as nd
        >>> schedule = nd.schedules.VPLinear()
        >>> toward = lambda x, t: 1.0 - x
        >>> guided = nd.guidance.ClassifierGuided.from_gradient(lambda x, t: x, toward, 1.0, schedule)
        >>> print(f"{guided(np.ones((1, 1)), 0.5)[0, 0]:.1f}")
        1.0
        """
        if not callable(gradient):
            raise TypeError(f"gradient must be a function of (x, t), got {gradient!r}")
        made = cls.__new__(cls)

        def known(x: Array, t: Any, level: Level) -> tuple[None, Array]:
            made.calls.add(classifier=1)
            return None, gradient(x, t)

        made._begin(model, known, scale, schedule, prediction, interval)
        return made

    def _begin(
        self, model: Model, find: Any, scale: Any, schedule: Any, prediction: str | Prediction | None, interval: Any
    ) -> None:
        """Set what both constructors share."""
        if not callable(model):
            raise TypeError(f"model must be a function of (x, t), got {model!r}")
        self._model, self._find, self._own = model, find, predicted(model, prediction)
        self.prediction = spelled(self._own)
        self._strength = Strength(scale, interval, schedule, off=0.0)
        if self._strength.level is None:
            raise ValueError("classifier guidance needs schedule=: the gradient is weighted by sigma")
        self.calls = Calls()
        self._classes = 0

    def __call__(self, x: Array, t: Any) -> Array:
        """Return the guided prediction at the samples `x`, shape (n, ...), and the model's own time `t`."""
        weight, level = self._weight(x, t)
        if weight is None:
            return self._counted(x, t)
        prediction, gradient = self._find(x, t, level)
        return (self._counted(x, t) if prediction is None else prediction) + weight * gradient

    @property
    def model(self) -> Model:
        """The model without the classifier."""
        plain = partial(self._counted)
        plain.prediction = self.prediction  # type: ignore[attr-defined]
        return plain

    @property
    def fields(self) -> dict[str, Model]:
        """What the classifier adds to `model`, the other field of a splitting method."""

        def field(x: Array, t: Any) -> Array:
            weight, level = self._weight(x, t)
            return namespace(x).zeros_like(x) if weight is None else weight * self._find(x, t, level)[1]

        return {"condition": field}

    def _counted(self, x: Array, t: Any) -> Array:
        self.calls.add(network=1, batches=1)
        return self._model(x, t)

    def _weight(self, x: Array, t: Any) -> tuple[Any, Level]:
        """Return the factor of the gradient in the model's prediction, None for 0, and the level."""
        assert self._strength.level is not None
        level, scale = self._strength.level(t), self._strength.at(t)
        if (not getattr(scale, "ndim", 0) and scale == 0.0) or vanishes(level.sigma):
            return None, level
        _, q = coefficients(level, "noise", self._own)
        return per_sample(scale, x) * (-level.sigma * q), level

    # --- where the gradient comes from: functions of (x, t, level) that return (prediction or None, gradient) -------

    def _noisy(self, x: Array, t: Any, level: Level) -> tuple[None, Array]:
        with _differentiable(x) as leaf:
            return None, self._gradient(self._classifier(leaf, t), leaf)

    def _through(self, x: Array, t: Any, level: Level) -> tuple[Array, Array]:
        with _differentiable(x) as leaf:
            prediction = self._counted(leaf, t)
            clean = convert(prediction, leaf, level, source=self._own, target="data")
            gradient = self._gradient(self._classifier(clean), leaf)
            self.calls.add(backward=1)
        return prediction.detach(), gradient

    def _beside(self, x: Array, t: Any, level: Level) -> tuple[Array, Array]:
        prediction = self._counted(x, t)
        clean = convert(prediction, x, level, source=self._own, target="data")
        with _differentiable(clean) as leaf:
            gradient = self._gradient(self._classifier(leaf), leaf)
        variance = self._data_std**2
        return prediction, gradient * (level.alpha * variance / (level.alpha**2 * variance + level.sigma**2))

    def _gradient(self, logits: Any, leaf: Array) -> Array:
        """Return the gradient of the labels' log probabilities, each with respect to its own sample."""
        import torch

        if not isinstance(logits, torch.Tensor) or logits.ndim != 2 or len(logits) != len(leaf):
            got = f"shape {tuple(logits.shape)}" if isinstance(logits, torch.Tensor) else type(logits).__name__
            raise ValueError(f"the classifier must return logits of shape ({len(leaf)}, classes), got {got}")
        labels = torch.as_tensor(self._labels, device=logits.device)
        if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
            raise TypeError(f"labels must be integers, not {labels.dtype}; convert them with .long()")
        if labels.ndim > 1 or (labels.ndim and len(labels) != len(leaf)):
            raise ValueError(f"labels must be one or have shape ({len(leaf)},), not {tuple(labels.shape)}")
        if self._classes != logits.shape[1]:  # looked at once, since a device is waited for
            if labels.numel() and (int(labels.min()) < 0 or int(labels.max()) >= logits.shape[1]):
                raise ValueError(
                    f"labels must lie between 0 and {logits.shape[1] - 1}, the classes of the classifier, got "
                    f"{labels.unique().tolist()}"
                )
            self._classes = logits.shape[1]
        log_p = torch.log_softmax(logits, dim=-1).gather(-1, labels.long().expand(len(leaf))[:, None])
        if not log_p.requires_grad:
            raise ValueError(
                "the classifier's logits do not depend on its input by autograd; it must not use no_grad()"
            )
        self.calls.add(classifier=1)
        return torch.autograd.grad(log_p.sum(), leaf)[0]


@contextmanager
def _differentiable(x: Array) -> Iterator[Array]:
    """Give a leaf like `x` that gradients reach, whatever mode the caller is in."""
    import torch

    if not isinstance(x, torch.Tensor):
        raise TypeError(
            f"a classifier is differentiated by torch, and x is {type(x).__name__}; sample tensors, or give a known "
            "gradient by ClassifierGuided.from_gradient"
        )
    with torch.inference_mode(False), torch.enable_grad():
        yield x.detach().clone().requires_grad_()
