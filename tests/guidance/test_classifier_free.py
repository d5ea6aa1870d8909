"""Classifier-free guidance on mixtures, where it is exact; batches, weights, rescaling, splitting, what each costs."""

import math
from typing import NamedTuple

import numpy as np
import pytest
import torch

import numdiff as nd
from numdiff.guidance import Calls, ClassifierFree, ClassifierGuided, Weighted, rescaled, sigma_interval, thresholded
from numdiff.parameterizations import convert, names
from tests.guidance.problem import CLASSES, LABELS, MIXTURE, VP, X, gradient, log_guided, network

NULL = np.full(6, 3)
T = 0.4
LEVEL = VP.level(T)


@pytest.mark.parametrize("scale", [0.0, 1.0, 2.5, 7.0])
def test_the_guided_score_is_that_of_the_tilted_density(scale):
    guided = ClassifierFree(network("score"), LABELS, NULL, scale, prediction="score")
    exact = gradient(lambda x: log_guided(x, LEVEL, LABELS, scale), X)
    # fourth-order differences of step 1e-4 lose rounding/h = 1e-12 of logarithms of size 10 times the scale
    np.testing.assert_allclose(guided(X, T), exact, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("prediction", names())
def test_guidance_is_the_same_in_every_prediction(prediction):
    here = ClassifierFree(network(prediction), LABELS, NULL, 4.0, prediction=prediction)(X, T)
    noise = ClassifierFree(network("noise"), LABELS, NULL, 4.0)(X, T)
    # rounding of conversions by factors below 10
    np.testing.assert_allclose(
        convert(here, X, LEVEL, source=prediction, target="noise"), noise, rtol=1e-11, atol=1e-12
    )


@pytest.mark.parametrize("prediction", names())
@pytest.mark.parametrize("scale", [0.0, 1.0, 5.0])
def test_it_is_classifier_guidance_where_both_are_exact(prediction, scale):
    labels = np.full(6, 1)
    free = ClassifierFree(network(prediction), labels, NULL, scale, prediction=prediction)
    exact = MIXTURE.guidance(VP, CLASSES[1])
    guided = ClassifierGuided.from_gradient(MIXTURE.model(VP, prediction), exact, scale, VP, prediction=prediction)
    np.testing.assert_allclose(free(X, T), guided(X, T), rtol=1e-11, atol=1e-11)


class Pair(NamedTuple):
    a: object
    b: object


def structured(x, t, condition):
    """A network of a dict with a tensor per sample, one for all, a number, a named tuple, None and a name."""
    assert condition["none"] is None
    assert condition["name"] == "same"
    number = condition["number"].reshape(-1, 1) if hasattr(condition["number"], "shape") else condition["number"]
    return x * condition["each"] + condition["pair"].a * t + number + condition["pair"].b[0]


def conditions(xp, n=6):
    each = xp.arange(n * 3.0).reshape(n, 3) / 10
    one = {"each": each, "pair": Pair(xp.ones((1, 3)), [each]), "number": 2, "none": None, "name": "same"}
    other = {"each": each[:1] - 1, "pair": Pair(xp.zeros((1, 3)), [-each]), "number": 5, "none": None, "name": "same"}
    return one, other


@pytest.mark.parametrize("xp", [np, torch])
def test_one_call_for_both_conditions_is_the_same_as_two(xp):
    one, other = conditions(xp)
    x = xp.asarray(X, dtype=one["each"].dtype)
    together, apart = (ClassifierFree(structured, one, other, 3.0, batched=b) for b in (True, False))
    # the same elementwise operations; torch may block them otherwise
    tolerance = 1e-12 if xp is np else 1e-5
    np.testing.assert_allclose(np.asarray(together(x, T)), np.asarray(apart(x, T)), rtol=tolerance, atol=tolerance)
    assert together.calls == Calls(network=2, batches=1)
    assert apart.calls == Calls(network=2, batches=2)
    together(x, T)
    assert together.calls == Calls(network=4, batches=2)
    together.calls.reset()
    assert together.calls == Calls()


def test_the_network_sees_an_entry_for_each_sample_at_any_scale():
    seen = []
    for scale in (0.0, 1.0, 2.0):
        ClassifierFree(lambda x, t, c: seen.append(c) or x, 7, 3, scale)(X, T)
    assert [list(c) for c in seen] == [[3] * 6, [7] * 6, [3] * 6 + [7] * 6]


def test_times_of_each_sample_are_batched_too():
    times = np.linspace(0.1, 0.9, 6)
    guided = ClassifierFree(network(), LABELS, NULL, 3.0)(X, times)
    rows = [ClassifierFree(network(), LABELS[i : i + 1], NULL[:1], 3.0)(X[i : i + 1], t) for i, t in enumerate(times)]
    np.testing.assert_allclose(guided, np.concatenate(rows), rtol=1e-13)


@pytest.mark.parametrize(("scale", "labels"), [(0.0, NULL), (1.0, LABELS)])
@pytest.mark.parametrize("options", [{}, {"batched": False}, {"interval": (-9.0, 9.0), "schedule": VP}])
def test_plain_models_cost_one_evaluation(scale, labels, options):
    guided = ClassifierFree(network(), LABELS, NULL, scale, **options)
    np.testing.assert_array_equal(guided(X, T), network()(X, T, labels))
    assert guided.calls == Calls(network=1, batches=1)


def test_outside_of_its_interval_it_is_the_conditional_network():
    guided = ClassifierFree(network(), LABELS, NULL, 5.0, schedule=VP, interval=sigma_interval(0.5, 2.0), rescale=0.7)
    for t in (0.05, 0.99):
        assert not 0.5 <= VP.rho(t) <= 2
        np.testing.assert_array_equal(guided(X, t), network()(X, t, LABELS))
    assert guided.calls == Calls(network=2, batches=2)
    inside = VP.time(0.0)
    expected = ClassifierFree(network(), LABELS, NULL, 5.0, rescale=0.7)(X, inside)
    np.testing.assert_array_equal(guided(X, inside), expected)


def test_a_scale_may_be_a_function_of_the_log_snr_or_one_number_a_sample():
    scales = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
    each = ClassifierFree(network(), LABELS, NULL, scales)(X, T)
    for i, scale in enumerate(scales):
        one = ClassifierFree(network(), LABELS[[i]], NULL[[i]], float(scale))(X[[i]], T)
        np.testing.assert_allclose(each[[i]], one, rtol=1e-13, atol=1e-13)
    varying = ClassifierFree(network(), LABELS, NULL, lambda lam: 2 + lam, schedule=VP)
    constant = ClassifierFree(network(), LABELS, NULL, 2 + LEVEL.log_snr)
    np.testing.assert_allclose(varying(X, T), constant(X, T), rtol=1e-13)


def test_several_conditions_multiply_their_likelihoods():
    """p(x) prod_k p(c_k|x)^(w v_k), which is what composing conditions samples from, at one level."""
    labels = [np.full(6, c) for c in (0, 2)]
    guided = ClassifierFree(network("score"), Weighted(tuple(labels), (1.5, -0.5)), NULL, 2.0, prediction="score")

    def log_density(x):
        tilted = [log_guided(x, LEVEL, c, s) for c, s in zip(labels, (3.0, -1.0), strict=True)]
        return sum(tilted) - MIXTURE.log_density(x, LEVEL)

    np.testing.assert_allclose(guided(X, T), gradient(log_density, X), rtol=1e-8, atol=1e-8)
    assert guided.calls == Calls(network=3, batches=1)
    without_null = ClassifierFree(network(), Weighted(tuple(labels), (1.5, -0.5)), NULL, 1.0)
    mean = 1.5 * network()(X, T, labels[0]) - 0.5 * network()(X, T, labels[1])
    np.testing.assert_allclose(without_null(X, T), mean, rtol=1e-13)
    assert without_null.calls == Calls(network=2, batches=1)


def test_the_null_may_have_a_network_of_its_own():
    weak = lambda x, t, c: 0.5 * network()(x, t, c)  # noqa: E731
    guided = ClassifierFree(network(), LABELS, LABELS, 3.0, weak=weak)
    strong = network()(X, T, LABELS)
    np.testing.assert_allclose(guided(X, T), strong / 2 + 3 * (strong / 2), rtol=1e-13)


@pytest.mark.parametrize("prediction", ["noise", "data", "v"])
@pytest.mark.parametrize("scale", [0.0, 3.0])
def test_rescaling_moves_the_spread_of_each_sample(prediction, scale):
    plain = ClassifierFree(network(prediction), LABELS, NULL, scale, prediction=prediction)(X, T)
    conditional = network(prediction)(X, T, LABELS)
    for phi in (0.3, 1.0):
        moved = ClassifierFree(network(prediction), LABELS, NULL, scale, prediction=prediction, rescale=phi)(X, T)
        for found, before, target in zip(moved, plain, conditional, strict=True):
            factor = phi * np.std(target) / np.std(before) + 1 - phi
            np.testing.assert_allclose(found, factor * before, rtol=1e-12)


def test_rescaling_depends_on_the_prediction_and_can_be_done_in_another():
    v = ClassifierFree(network("v"), LABELS, NULL, 4.0, prediction="v", rescale=1.0, rescale_in="data", schedule=VP)
    data = ClassifierFree(network("data"), LABELS, NULL, 4.0, prediction="data", rescale=1.0)
    as_data = convert(v(X, T), X, LEVEL, source="v", target="data")
    np.testing.assert_allclose(as_data, data(X, T), rtol=1e-10, atol=1e-12)
    own = ClassifierFree(network("v"), LABELS, NULL, 4.0, prediction="v", rescale=1.0)(X, T)
    assert not np.allclose(own, v(X, T), rtol=1e-3)


def test_a_prediction_without_spread_stays():
    for constant in (np.ones((2, 4)), torch.ones(2, 4)):
        assert (rescaled(constant, 2 * constant, 1.0) == constant).all()


@pytest.mark.parametrize("base", ["null", "condition"])
@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0, 6.0, np.linspace(0, 5, 6), lambda lam: 3 + lam])
def test_the_fields_of_a_splitting_sum_to_the_guided_model(base, scale):
    guided = ClassifierFree(network(), LABELS, NULL, scale, schedule=VP)
    model, fields = guided.split(base)
    np.testing.assert_allclose(model(X, T) + fields["condition"](X, T), guided(X, T), rtol=1e-12, atol=1e-12)
    plain = NULL if base == "null" else LABELS
    np.testing.assert_array_equal(model(X, T), network()(X, T, plain))


def test_the_fields_count_with_the_model():
    guided = ClassifierFree(network(), LABELS, NULL, 6.0)
    scheme = nd.STSP(2).discretize(VP, np.linspace(1, 0.01, 5))
    nd.sample(scheme, guided.model, X, fields=guided.fields)
    assert guided.calls == Calls(network=4 + 2 * 8, batches=4 + 8)  # one model, two differences a step


def test_guided_sampling_converges_to_the_flow_of_the_tilted_scores():
    """Split and unsplit runs of order 2 have one limit, at the rate of their order."""
    guided = ClassifierFree(network(), LABELS, NULL, 2.0)

    def run(method, steps):
        scheme = method.discretize(VP, nd.grids.uniform_log_snr(VP, steps=steps))
        split = {"fields": guided.fields} if method is not plain else {}
        return nd.sample(scheme, guided.model if split else guided, X, **split)

    plain, strang = nd.Midpoint(), nd.Strang()
    apart = [abs(run(plain, n) - run(strang, n)).max() for n in (20, 40)]
    assert apart[1] < apart[0] / 3  # 4 in the limit


def test_gradients_flow_and_half_precision_stays():
    x = torch.tensor(X, dtype=torch.float32, requires_grad=True)
    guided = ClassifierFree(lambda x, t, c: x * c.reshape(-1, 1), torch.arange(6.0), 0.0, 3.0)
    guided(x, T).sum().backward()
    torch.testing.assert_close(x.grad, (3 * torch.arange(6.0))[:, None].expand(6, 3))
    half = ClassifierFree(lambda x, t, c: x, 1, 0, 3.0, rescale=0.5)(x.detach().bfloat16(), T)
    assert half.dtype == torch.bfloat16


@pytest.mark.slow
def test_a_guided_model_is_compiled_whole():
    network = torch.nn.Linear(3, 3)
    condition = torch.ones(6, 1)
    for options in ({}, {"rescale": 0.5}, {"interval": (-math.inf, 0.0), "schedule": VP}):
        guided = ClassifierFree(lambda x, t, c: network(x) * c + t, condition, 0 * condition, 3.0, **options)
        compiled = torch.compile(lambda x, guided=guided: guided(guided(x, 0.9), 0.1), backend="eager", fullgraph=True)
        x = torch.tensor(X, dtype=torch.float32)
        torch.testing.assert_close(compiled(x), guided(guided(x, 0.9), 0.1))


@pytest.mark.slow
def test_the_shipped_denoiser_is_guided_as_it_guides_itself():
    net = nd.models.digits().requires_grad_(False)
    labels = torch.arange(6)
    x = torch.randn(6, 64, generator=torch.Generator().manual_seed(0))
    for scale in (0.0, 1.0, 4.0):
        guided = ClassifierFree(net, labels, net.null, scale, prediction=net.prediction)
        assert torch.equal(guided(x, T), net.conditioned(labels, scale)(x, T))


@pytest.mark.slow
def test_a_whole_guided_run_is_compiled():
    layer = torch.nn.Linear(3, 3)
    x = torch.tensor(X, dtype=torch.float32)
    guided = ClassifierFree(
        lambda x, t, c: layer(x) * c[:, None] + t, 1.0, 0.0, lambda lam: 3 + lam, schedule=VP, rescale=0.5
    )
    scheme = nd.GHVB(2, 0.8).discretize(VP, np.linspace(1.0, 0.1, 5))
    with torch.inference_mode():
        run = nd.runtime.Sampler(scheme, guided).compiled(backend="eager")
        torch.testing.assert_close(run(x), nd.sample(scheme, guided, x), rtol=1e-5, atol=1e-5)


def test_what_the_network_predicts_is_known_to_all_that_is_made_of_it():
    """Nobody has to say it again: not to the guided model, not to its parts, not to the run."""
    net = network("v")
    net.prediction = "v"
    scheme, split = (nd.method(name).discretize(VP, np.linspace(1.0, 0.1, 4)) for name in ("ddim", "strang"))
    told, given = (ClassifierFree(net, LABELS, NULL, 3.0, **options) for options in ({}, {"prediction": "v"}))
    assert told.prediction == given.prediction == thresholded(told, VP).prediction == "v"
    np.testing.assert_array_equal(nd.sample(scheme, told, X), nd.sample(scheme, given, X, prediction="v"))
    np.testing.assert_array_equal(
        nd.sample(split, told.model, X, fields=told.fields),
        nd.sample(split, given.model, X, fields=given.fields, prediction="v"),
    )
    with pytest.raises(ValueError, match="prediction = 'noise' contradicts the model, which says that it predicts 'v'"):
        ClassifierFree(net, LABELS, NULL, 3.0, prediction="noise")


def test_scales_of_each_sample_keep_the_type_of_the_samples():
    for dtype, scale in ((torch.bfloat16, torch.full((6,), 3.0)), (torch.float32, torch.full((6,), 3))):
        x = torch.tensor(X, dtype=dtype)
        guided = ClassifierFree(lambda x, t, c: x * c[:, None], 1.0, 0.5, scale)
        assert torch.equal(guided(x, T), ClassifierFree(lambda x, t, c: x * c[:, None], 1.0, 0.5, 3.0)(x, T))


NETWORK = network()
REFUSED = {
    "a network that is none": (lambda: ClassifierFree(3, 1, 0), TypeError, "network must be a function of"),
    "rescale": (lambda: ClassifierFree(NETWORK, 1, 0, rescale=1.5), ValueError, "between 0 and 1, got 1.5"),
    "a scale that is nan": (lambda: ClassifierFree(NETWORK, 1, 0, math.nan), ValueError, "finite, got nan"),
    "a rescale that is a name": (lambda: ClassifierFree(NETWORK, 1, 0, rescale="a"), ValueError, "got 'a'"),
    "a scale that is nan somewhere": (
        lambda: ClassifierFree(NETWORK, 1, 0, np.array([1, np.nan])), ValueError, "finite, got [ 1. nan]"),
    "a scale that is a tensor": (
        lambda: ClassifierFree(NETWORK, 1, 0, torch.tensor(3.0)), TypeError, "tensor(3.); pass scale.item()"),
    "scales of another library": (
        lambda: ClassifierFree(NETWORK, LABELS, NULL, torch.ones(6))(X, T), TypeError, "scale is a torch array and"),
    "an interval that is a number": (
        lambda: ClassifierFree(NETWORK, 1, 0, 2.0, schedule=VP, interval=3), ValueError, "two half log-SNRs"),
    "a scale that is a name": (lambda: ClassifierFree(NETWORK, 1, 0, "7"), TypeError, "scale must be a number"),
    "an interval without a schedule": (
        lambda: ClassifierFree(NETWORK, 1, 0, 2.0, interval=(0, 1)), ValueError, "interval needs schedule="),
    "a function without a schedule": (
        lambda: ClassifierFree(NETWORK, 1, 0, abs), ValueError, "function of the log-SNR, needs schedule="),
    "an interval that falls": (
        lambda: ClassifierFree(NETWORK, 1, 0, 2.0, schedule=VP, interval=(1, 0)), ValueError, "rising, got (1, 0)"),
    "a prediction": (lambda: ClassifierFree(NETWORK, 1, 0, prediction="epsilom"), ValueError, "unknown prediction"),
    "rescale_in without a schedule": (
        lambda: ClassifierFree(NETWORK, 1, 0, 2.0, rescale=0.5, rescale_in="data"), ValueError, "needs schedule="),
    "a schedule that is none": (
        lambda: ClassifierFree(NETWORK, 1, 0, 2.0, schedule="vp"), TypeError, "schedule must be a schedule such as"),
    "a base": (lambda: ClassifierFree(NETWORK, 1, 0).split("nul"), ValueError, "must be one of 'null', 'condition'"),
    "a split with rescaling": (
        lambda: ClassifierFree(NETWORK, 1, 0, 2.0, rescale=0.5).fields, ValueError, "no sum of two fields"),
    "rows": (lambda: ClassifierFree(NETWORK, LABELS[:4], NULL, 2.0)(X, T), ValueError, "has shape (4,), for 6 samples"),
    "shapes": (
        lambda: ClassifierFree(NETWORK, np.ones((6, 2)), np.ones((6, 3)), 2.0)(X, T), ValueError, "pass batched=False"),
    "structures": (lambda: ClassifierFree(NETWORK, {"a": 1}, {"b": 1}, 2.0)(X, T), TypeError, "different keys"),
    "prompts as text": (lambda: ClassifierFree(NETWORK, "cat", "", 2.0)(X, T), TypeError, "pass batched=False"),
    "a network that loses rows": (
        lambda: ClassifierFree(lambda x, t, c: x[:6], 1, 0, 2.0)(X, T), ValueError, "(6, 3) for a batch of 12"),
    "a condition that broadcasts over the batch": (
        lambda: ClassifierFree(lambda x, t, c: x[:, :1] + c, 1.0, 0.0, 2.0)(X[:, :1], T), ValueError,
        "returned shape (12, 12) for a batch of 12 samples of shape (12, 1) (2 conditions together); it must return "
        "one prediction of that shape; a condition that is a number arrives with one entry for each sample, shape "
        "(12,): reshape it in the network, as condition.reshape(-1, 1), or pass batched=False"),
    "a condition that broadcasts on its own": (
        lambda: ClassifierFree(lambda x, t, c: x + c, 1.0, 0.0, 1.0)(torch.tensor(X[:, :1]), T), ValueError,
        "returned shape (6, 6) for a batch of 6 samples of shape (6, 1); it"),
    "one answer of the wrong shape": (
        lambda: ClassifierFree(lambda x, t, c: x[0], 1, 0, 2.0, batched=False)(X, T), ValueError,
        "returned shape (3,) for a batch of 6 samples of shape (6, 3); it must return one prediction of that shape"),
    "a weak network's answer": (
        lambda: ClassifierFree(NETWORK, LABELS, NULL, 2.0, weak=lambda x, t, c: x[:1])(X, T), ValueError,
        "returned shape (1, 3) for a batch of 6 samples"),
    "a network that returns no array": (
        lambda: ClassifierFree(lambda x, t, c: "x", 1, 0, 2.0)(X, T), ValueError, "the network returned str"),
    "scales of other samples": (
        lambda: ClassifierFree(NETWORK, LABELS, NULL, np.ones(5))(X, T), ValueError, "6 samples, got shape (5,)"),
    "times that differ under an interval": (
        lambda: ClassifierFree(NETWORK, LABELS, NULL, 2.0, schedule=VP, interval=(0, 1))(X, np.linspace(0.1, 0.5, 6)),
        ValueError, "t must be one time for the whole batch, got 6 different ones"),
    "weights": (lambda: Weighted((1, 2), (1.0,)), ValueError, "one for each condition, got 1 for 2"),
    "a list of numbers as samples": (lambda: ClassifierFree(NETWORK, 1, 0, 2.0)([1.0], T), TypeError, "a NumPy array"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_a_remedy(case):
    call, kind, words = REFUSED[case]
    with pytest.raises(kind) as caught:
        call()
    assert words in str(caught.value)
