"""Classifier guidance: the exact gradient on mixtures, autograd against differences, nothing left behind."""

import weakref

import numpy as np
import pytest
import torch

import numdiff as nd
from numdiff.guidance import Calls, ClassifierFree, ClassifierGuided
from numdiff.parameterizations import convert, names
from tests.guidance.problem import CLASSES, LABELS, MIXTURE, VP, X, gradient

T = 0.4
LEVEL = VP.level(T)
TORCH_X = torch.tensor(X)


def noisy(x, t):
    """Exact logits of the classes on noisy points."""
    level = VP.level(t)
    logs = [MIXTURE.conditional(c).log_density(x, level) + np.log(MIXTURE.weights[list(c)].sum()) for c in CLASSES]
    return torch.stack(logs, dim=-1)


def clean(x):
    """Smooth logits on clean points."""
    return torch.stack([x[:, 0], torch.sin(x[:, 1]) + x[:, 0] ** 2, x[:, 2] - x[:, 0]], dim=-1)


@pytest.mark.parametrize("prediction", names())
def test_the_exact_classifier_gives_the_exact_guided_model(prediction):
    for label, classes in enumerate(CLASSES):
        guided = ClassifierGuided(
            MIXTURE.model(VP, prediction), noisy, label, 2.5, VP, prediction=prediction
        )  # against the difference of the exact conditional and unconditional networks
        exact = MIXTURE.model(VP, prediction)(X, T) + MIXTURE.condition(VP, classes, 2.5, prediction)(X, T)
        np.testing.assert_allclose(guided(TORCH_X, T).numpy(), exact, rtol=1e-10, atol=1e-11)


def test_each_sample_has_its_label_and_its_scale():
    scales = np.linspace(0, 5, 6)
    guided = ClassifierGuided(MIXTURE.model(VP), noisy, torch.tensor(LABELS), torch.tensor(scales), VP)(TORCH_X, T)
    for i, (label, scale) in enumerate(zip(LABELS, scales, strict=True)):
        one = ClassifierGuided(MIXTURE.model(VP), noisy, int(label), float(scale), VP)(TORCH_X[i : i + 1], T)
        torch.testing.assert_close(guided[i : i + 1], one, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("prediction", ["noise", "v"])
def test_a_clean_classifier_is_differentiated_through_the_model(prediction):
    model = MIXTURE.model(VP, prediction)
    guided = ClassifierGuided(model, clean, torch.tensor(LABELS), 3.0, VP, prediction=prediction, on="clean")

    def log_p(x):
        x = torch.tensor(x)
        logits = clean(convert(model(x, T), x, LEVEL, source=prediction, target="data"))
        return torch.log_softmax(logits, dim=-1).numpy()[np.arange(6), LABELS]

    noise = convert(guided(TORCH_X, T), TORCH_X, LEVEL, source=prediction, target="noise").numpy()
    expected = MIXTURE.model(VP)(X, T) - 3 * LEVEL.sigma * gradient(log_p, X)
    np.testing.assert_allclose(noise, expected, rtol=1e-8, atol=1e-9)  # rounding/h of the differences
    assert guided.calls == Calls(network=1, batches=1, classifier=1, backward=1)


def test_without_backpropagation_the_jacobian_is_that_of_gaussian_data():
    """On isotropic Gaussian data of that deviation the two are the same."""
    problem = nd.problems.GaussianMixture([1.0], [[0.3, -0.2, 0.1]], [0.49])
    for t in (0.05, 0.4, 0.95):
        pair = [
            ClassifierGuided(problem.model(VP), clean, 1, 2.0, VP, on="clean", backprop=b, data_std=0.7)
            for b in (True, False)
        ]
        with torch.no_grad():
            torch.testing.assert_close(pair[0](TORCH_X, t), pair[1](TORCH_X, t), rtol=1e-10, atol=1e-10)
        assert pair[1].calls == Calls(network=1, batches=1, classifier=1)


class Remembering:
    """A noise model with parameters that keeps weak references to what its graph holds."""

    def __init__(self):
        self.layer = torch.nn.Linear(3, 3)
        self.inner = []

    def __call__(self, x, t):
        hidden = torch.tanh(self.layer(x))
        self.inner.append(weakref.ref(hidden))
        return hidden * t


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad, torch.enable_grad])
@pytest.mark.parametrize("backprop", [True, False])
def test_a_run_leaves_no_graph_and_no_parameter_gradients(mode, backprop):
    model = Remembering()
    head = torch.nn.Linear(3, 3)
    guided = ClassifierGuided(model, head, 1, 2.0, VP, on="clean", backprop=backprop)
    scheme = nd.AdamsBashforth(2).discretize(VP, np.linspace(1, 0.1, 5))
    x = torch.tensor(X, dtype=torch.float32)
    with mode():
        found = nd.sample(scheme, guided, x)
    if backprop or mode is not torch.enable_grad:
        assert found.grad_fn is None
        assert not any(ref() is not None for ref in model.inner)
    assert all(p.grad is None for p in (*model.layer.parameters(), *head.parameters()))
    assert not x.requires_grad


def test_modes_around_the_sampler_do_not_change_the_samples():
    guided = ClassifierGuided(MIXTURE.model(VP), noisy, 1, 2.0, VP)
    scheme = nd.AdamsBashforth(2).discretize(VP, np.linspace(1, 0.1, 5))
    runs = []
    for mode in (torch.inference_mode, torch.no_grad, torch.enable_grad):
        with mode():
            runs.append(nd.sample(scheme, guided, TORCH_X).numpy())
    np.testing.assert_array_equal(runs[0], runs[1])
    np.testing.assert_array_equal(runs[0], runs[2])


def test_the_two_fields_sum_to_the_guided_model_and_count_with_it():
    for on, classifier in (("noisy", noisy), ("clean", clean)):
        guided = ClassifierGuided(MIXTURE.model(VP), classifier, 1, 2.0, VP, on=on)
        total = guided.model(TORCH_X, T) + guided.fields["condition"](TORCH_X, T)
        torch.testing.assert_close(total, guided(TORCH_X, T), rtol=1e-12, atol=1e-12)
        extra = on == "clean"
        assert guided.calls == Calls(2 + extra, 2 + extra, classifier=2, backward=2 * extra)


def test_where_there_is_nothing_to_add_nothing_is_evaluated():
    for t, options in ((T, {"scale": 0.0}), (0.0, {"scale": 3.0}), (0.9, {"scale": 3.0, "interval": (0.0, 5.0)})):
        guided = ClassifierGuided(MIXTURE.model(VP), noisy, 1, schedule=VP, **options)
        assert torch.equal(guided(TORCH_X, t), MIXTURE.model(VP)(TORCH_X, t))
        assert not guided.fields["condition"](TORCH_X, t).any()
        assert guided.calls == Calls(network=1, batches=1)


def test_a_guided_model_may_be_guided_again():
    inner = ClassifierFree(lambda x, t, c: MIXTURE.model(VP)(x, t) + c, 0.5, 0.1, 3.0, batched=False)
    outer = ClassifierGuided(inner, noisy, 1, 2.0, VP)
    alone = ClassifierGuided(MIXTURE.model(VP), noisy, 1, 2.0, VP)
    torch.testing.assert_close(outer(TORCH_X, T), alone(TORCH_X, T) + 0.1 + 3 * 0.4, rtol=1e-12, atol=1e-12)


def guided(classifier=noisy, labels=1, **options):
    return ClassifierGuided(MIXTURE.model(VP), classifier, labels, 2.0, VP, **options)


REFUSED = {
    "where": (lambda: guided(on="nosy"), ValueError, "on must be one of 'noisy', 'clean'"),
    "a deviation": (lambda: guided(data_std=0.0), ValueError, "data_std must be positive"),
    "a classifier that is none": (lambda: guided("x"), TypeError, "classifier must be a function"),
    "no schedule": (
        lambda: ClassifierGuided(MIXTURE.model(VP), noisy, 1, 2.0, None), ValueError, "needs schedule="),
    "a model that is none": (lambda: ClassifierGuided(1, noisy, 1, 2.0, VP), TypeError, "model must be a function"),
    "a gradient that is none": (
        lambda: ClassifierGuided.from_gradient(MIXTURE.model(VP), 1, 2.0, VP), TypeError, "gradient must be a"),
    "logits": (lambda: guided(lambda x, t: x[0])(TORCH_X, T), ValueError, "of shape (6, classes), got shape (3,)"),
    "labels": (lambda: guided(labels=torch.ones(6))(TORCH_X, T), TypeError, "labels must be integers"),
    "labels of others": (lambda: guided(labels=[1, 2])(TORCH_X, T), ValueError, "must be one or have shape (6,)"),
    "labels that no logit has": (
        lambda: guided(labels=[0, 1, 3, 1, 0, 2])(TORCH_X, T), ValueError, "between 0 and 2, the classes of the"),
    "labels from the end": (lambda: guided(labels=-1)(TORCH_X, T), ValueError, "got [-1]"),
    "numpy": (lambda: guided()(X, T), TypeError, "ClassifierGuided.from_gradient"),
    "no graph": (
        lambda: guided(lambda x, t: torch.ones(6, 3))(TORCH_X, T), ValueError, "do not depend on its input"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_a_remedy(case):
    call, kind, words = REFUSED[case]
    with pytest.raises(kind) as caught:
        call()
    assert words in str(caught.value)
