"""The probe on networks: derivatives through torch, against differences and against the closed forms."""

import numpy as np
import pytest

import numdiff as nd
from numdiff.optimize.objectives.probe import Probe
from tests.optimize.test_probe import METHODS, MIXTURE, VP, check_gradient, traced

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # threads that outnumber the cores cost these small networks ten times the time

FLOW = nd.schedules.Flow(shift=3.0)
SHAPE = (2, 3)


def noises(*shape):
    return torch.randn(shape or (4, *SHAPE), dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def mlp(dtype=torch.float64, seed=0):
    """Return a smooth network of x and t on samples of `SHAPE`."""
    generator = torch.Generator().manual_seed(seed)
    first, second = (
        torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for shape in ((7, 12), (12, 6))
    )

    def model(x, t):
        inputs = torch.cat([x.flatten(1), t[:, None]], dim=1)
        return 0.3 * (torch.tanh(inputs @ first * 0.4) @ second).reshape(x.shape) + 0.5 * x

    return model


def mixture_model(schedule, prediction):
    """Return the exact network of the test mixture, written in torch with one time per sample."""
    means, weights = torch.tensor(MIXTURE.means), torch.tensor(MIXTURE.weights)
    covariances = torch.tensor(MIXTURE.covariances)
    eye = torch.eye(2, dtype=torch.float64)

    def model(x, t):
        time = schedule.from_model_time(t)
        alpha, sigma = schedule.alpha(time)[:, None], schedule.sigma(time)[:, None]
        total = alpha[:, None, :, None] ** 2 * covariances + sigma[:, None, :, None] ** 2 * eye
        apart = x[:, None] - alpha[:, None] * means
        solved = torch.linalg.solve(total, apart[..., None])[..., 0]
        r = torch.softmax(weights.log() - (apart * solved).sum(-1) / 2 - torch.logdet(total) / 2, dim=-1)
        noise = sigma * (r[..., None] * solved).sum(1)
        return noise if prediction == "noise" else (x - sigma * noise) / alpha

    return model


@pytest.mark.parametrize("name", ["UniPC3", "Heun", "HB"])
def test_gradient_through_a_network(name):
    probe = Probe(mlp(), noises(3, *SHAPE), reference=20, batch=2)
    check_gradient(probe.problem(traced(METHODS[name], 4)))


@pytest.mark.parametrize("prediction", ["flow", "data", "v", "edm", "velocity"])
def test_gradient_of_a_flow_with_any_prediction(prediction):
    trace = traced(nd.AdamsBashforth(1), 3, schedule=FLOW, ends=(0.99, 0.05))
    check_gradient(Probe(mlp(), noises(), prediction=prediction, reference=20).problem(trace), 1e-6)


def test_gradient_of_a_flow_from_pure_noise():
    trace = traced(nd.AdamsBashforth(2), 4, schedule=FLOW, ends=(1.0, 0.0))
    check_gradient(Probe(mlp(), noises(), prediction="flow", reference=20).problem(trace))


@pytest.mark.parametrize("prediction", ["noise", "data"])
@pytest.mark.parametrize("name", ["UniPC3", "HB"])
def test_autograd_agrees_with_the_closed_form(name, prediction):
    """The same mixture as a network and as itself: values and gradients, the derivative in t included."""
    noises = MIXTURE.sample_level(12, VP.level(1.0), 0)
    trace = traced(METHODS[name])
    network = Probe(mixture_model(VP, prediction), torch.tensor(noises), prediction=prediction).problem(trace)
    exact = Probe(MIXTURE, noises, reference=200).problem(trace)
    z = trace.window.generic()
    ours, theirs = network.evaluate(z), exact.evaluate(z)
    assert ours.value == pytest.approx(theirs.value, rel=1e-9)
    np.testing.assert_allclose(ours.gradient, theirs.gradient, atol=1e-7)


def test_single_precision_networks_get_double_coefficients():
    trace = traced(nd.UniPC(3))
    single, double = (
        Probe(mlp(dtype), points=6, noises=torch.ones((6, *SHAPE), dtype=dtype), reference=20).problem(trace)
        for dtype in (torch.float32, torch.float64)
    )
    z = trace.window.generic()
    ours, theirs = single.evaluate(z), double.evaluate(z)
    assert single.target.dtype == torch.float64
    assert ours.value == pytest.approx(theirs.value, abs=1e-4)
    np.testing.assert_allclose(ours.gradient, theirs.gradient, atol=1e-3)


def test_tables_of_times_count_as_constant_and_warn():
    table = torch.linspace(-1, 1, 1000, dtype=torch.float64)

    def model(x, t):
        return torch.tanh(x) + table[(999 * t).long()][:, None]

    problem = Probe(model, shape=(3,), points=4, reference=20).problem(traced(nd.DPMSolverPP(2)))
    with pytest.warns(UserWarning, match="no gradient in it"):
        assert np.isfinite(problem.evaluate(problem.window.generic()).gradient).all()


def test_models_without_a_time_need_no_warning():
    check_gradient(
        Probe(lambda x, t: torch.tanh(x), shape=(3,), points=4, reference=20).problem(traced(nd.UniPC(2), 4)), 1e-2
    )


def test_cache_of_another_network_is_refused(tmp_path):
    trace = traced(nd.UniPC(2))
    Probe(mlp(seed=0), noises(), reference=20, cache=tmp_path).problem(trace)
    Probe(mlp(seed=0), noises(), reference=20, cache=tmp_path).problem(trace)
    with pytest.raises(ValueError, match="another model"):
        Probe(mlp(seed=5), noises(), reference=20, cache=tmp_path).problem(trace)


def nan_below(x, t):
    return torch.where(t[:, None] < 0.1, torch.nan, torch.tanh(x))


@pytest.mark.parametrize(
    ("model", "arguments", "error", "match"),
    [
        (nan_below, {}, ValueError, r"not finite at t = 0\.0\d+ \(half log-SNR [\d.]+\)"),
        (lambda x, t: x[:, :1], {}, ValueError, "returned shape"),
        (lambda x, t: x.numpy(), {}, TypeError, "must return a torch tensor"),
        (torch.tanh, {"shape": None}, ValueError, "shape= of one sample"),
        (lambda x, t: x, {"noises": np.zeros((2, 3))}, TypeError, "floating torch tensor"),
        (lambda x, t: x, {"noises": torch.zeros(3)}, ValueError, r"shape \(n, \.\.\.\)"),
        (lambda x, t: x, {"noises": torch.full((2, 3), torch.inf)}, ValueError, "finite"),
    ],
)
def test_bad_networks_are_refused(model, arguments, error, match):
    with pytest.raises(error, match=match):
        Probe(model, **({"shape": (3,), "points": 4, "reference": 20} | arguments)).problem(traced(nd.DPMSolverPP(2)))


class Layers(torch.nn.Module):
    """A network of one linear layer and others."""

    def __init__(self, *layers):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(3, 3), *layers)

    def forward(self, x, t):
        return torch.tanh(self.layers(x))


@pytest.mark.parametrize(
    ("model", "error", "match"),
    [
        (Layers(torch.nn.BatchNorm1d(3)), ValueError, r"BatchNorm1d in training mode; call model.eval\(\)"),
        (Layers(torch.nn.Dropout(0.5)), ValueError, r"Dropout in training mode; call model.eval\(\)"),
        (lambda x, t: torch.nn.functional.dropout(x), ValueError, "random"),
        (lambda x, t: torch.tanh(x + x.mean(0)), ValueError, "mixes the samples"),
        (lambda x, t: x.long(), TypeError, "floating numbers, got torch.int64"),
        (lambda x, t: x @ torch.eye(3, dtype=torch.float64), TypeError, "noises of torch.float32.*give noises="),
        (Layers, TypeError, "an instance"),
        (torch.zeros(3, 2), TypeError, r"\.numpy\(\)"),
    ],
)
def test_networks_that_no_probe_can_follow_are_refused(model, error, match):
    with pytest.raises(error, match=match):
        Probe(model, shape=(3,), points=4, reference=20).problem(traced(nd.DPMSolverPP(2)))


def test_layers_in_evaluation_mode_are_followed():
    model = Layers(torch.nn.BatchNorm1d(3), torch.nn.Dropout(0.5)).double().eval()
    check_gradient(Probe(model, shape=(3,), points=4, reference=20).problem(traced(nd.DPMSolverPP(2), 4)), 1e-6)


def test_a_derivative_that_is_not_finite_says_so():
    """sqrt(0 x) has the value 0 and the derivative 0 times infinity."""
    probe = Probe(lambda x, t: x + torch.sqrt(0 * x.abs()), shape=(3,), points=4, reference=20)
    problem = probe.problem(traced(nd.DPMSolverPP(2)))
    with pytest.raises(ValueError, match="its derivative is not"):
        problem.evaluate(problem.window.generic())


def test_noise_is_no_prediction_for_pure_noise():
    with pytest.raises(ValueError, match="t_start="):
        Probe(lambda x, t: x, shape=(3,), points=4, reference=20).problem(traced(nd.DPMSolverPP(2), 4, FLOW))


def test_conditions_go_with_their_noises(tmp_path):
    """A network with a label for each noise is, on noises of one label, the network of that label."""
    labels, x = torch.tensor([0, 1, 0, 1, 1]), noises(5, 3)
    trace = traced(nd.DPMSolverPP(2), 4)
    z = trace.window.generic()

    def model(x, t, label):
        return torch.tanh(x * (0.5 + label[:, None]))

    probe = Probe(model, x, conditions=labels, batch=2, reference=20, held_out=3, cache=tmp_path)
    problem = probe.problem(trace)
    for label in (0, 1):
        mine = labels == label
        alone = Probe(lambda x, t, k=label: torch.tanh(x * (0.5 + k)), x[mine], reference=20).problem(trace)
        np.testing.assert_allclose(problem.squares(z)[0][mine], alone.squares(z)[0], rtol=1e-10)
        np.testing.assert_allclose(problem.squares(z)[1][mine], alone.squares(z)[1], atol=1e-10)
    check_gradient(problem, 1e-6)
    with pytest.warns(UserWarning, match="larger reference="):
        found = problem.errors(z)
    assert found["held-out noises"].shape == (3,)
    assert probe.problem(trace).resumed  # other labels have a cache of their own, and the same ones theirs
    assert not Probe(model, x, conditions=1 - labels, reference=20, cache=tmp_path).problem(trace).resumed
    with pytest.raises(ValueError, match="one entry for each of the 5 noises"):
        Probe(model, x, conditions=labels[:3]).problem(trace)
    with pytest.raises(ValueError, match="conditions are for networks"):
        Probe(MIXTURE, conditions=labels).problem(trace)


def test_a_network_that_holds_its_labels_can_be_cached(tmp_path):
    denoiser = nd.models.digits().double()
    trace = traced(nd.DDIM(), 3, denoiser.schedule)
    model, x = denoiser.conditioned([1, 2, 3]), noises(3, 64)
    for _ in range(2):
        Probe(model, x, prediction=model.prediction, reference=20, cache=tmp_path).problem(trace)
    other = denoiser.conditioned([1, 2, 4])  # no noise but the last has another network
    with pytest.raises(ValueError, match="another model"):
        Probe(other, x, prediction=model.prediction, reference=20, cache=tmp_path).problem(trace)


def test_tolerance_is_what_the_precision_allows():
    trace = traced(nd.DPMSolverPP(2), 4)
    for dtype, tolerance in ((torch.float32, 1e-2), (torch.float64, 1e-8)):
        probe = Probe(mlp(dtype), noises(4, *SHAPE).to(dtype), reference=20)
        assert probe.tolerance == probe.problem(trace).subject.tolerance == tolerance
        assert ("model.double()" in probe.problem(trace).advice) == (tolerance > 1e-8)
    assert Probe(MIXTURE).tolerance == 1e-8
    assert Probe(Layers()).tolerance == Probe(lambda x, t: x).tolerance == 1e-2


def test_networks_must_let_gradients_through():
    def first(x, t):
        return torch.tanh(x * t[0])

    def detached(x, t):
        return torch.tanh(x).detach()

    for model, match in ((first, "first entry of t"), (detached, "no gradient")):
        problem = Probe(model, shape=(3,), points=4, reference=20).problem(traced(nd.DPMSolverPP(2)))
        with pytest.raises(ValueError, match=match):
            problem.evaluate(problem.window.generic())


def test_steps_of_a_guided_denoiser():
    """Classifier-free guidance calls the network once for twice the samples, each with its own time."""
    denoiser = nd.models.digits().double()
    model = denoiser.conditioned(3, guidance=2.0)
    x = noises(2, 64)
    torch.testing.assert_close(model(x, torch.full((2,), 0.3, dtype=x.dtype)), model(x, 0.3))
    probe = Probe(model, x, prediction=model.prediction, reference=20)
    check_gradient(probe.problem(traced(nd.DPMSolverPP(2), 3, denoiser.schedule)), 1e-6)
