"""The probe: derivatives against differences, fields against mixtures, the reference, the cache, bad input."""

import os
import subprocess
import sys

import numpy as np
import pytest

import numdiff as nd
from numdiff.level import Level
from numdiff.optimize.compiled import Trace
from numdiff.optimize.objectives.probe import Probe, ProbeProblem
from numdiff.optimize.objectives.probe_fields import KernelField, MixtureField
from numdiff.optimize.objectives.probe_reference import fine_levels
from numdiff.optimize.search import minimize
from numdiff.optimize.window import Window
from numdiff.parameterizations import get

VP = nd.schedules.VPLinear()
MIXTURE = nd.problems.GaussianMixture(
    [0.3, 0.7], [[-1.0, 0.3], [0.8, -0.2]], [[[0.2, 0.05], [0.05, 0.1]], [[0.04, -0.01], [-0.01, 0.09]]]
)
DIAGONAL = nd.problems.GaussianMixture([0.5, 0.2, 0.3], [[-1.0], [0.2], [0.9]], [[0.01], [0.04], [0.02]])
METHODS = {
    "DPM++3": nd.DPMSolverPP(3),
    "UniPC3": nd.UniPC(3),
    "GHVB2": nd.GHVB(2, 0.8),
    "HB": nd.HeavyBall(nd.AdamsBashforth(2), beta=0.8),
    "Heun": nd.Heun(),
}


def traced(method, steps=6, schedule=VP, ends=(1.0, 1e-3), names=(), box=((), ()), share=0.05):
    levels = tuple(schedule.level(t) for t in ends)
    low, high = (float(level.log_snr) for level in levels)
    span = min(high, 5.0) - max(low, -5.0)
    gaps = np.full(steps, share * span / steps)
    return Trace(method, schedule, levels, Window(low, high, steps, gaps, names, *box), {})


def slopes(problem, z, h=1e-4):
    """Return dF/dz by central differences of order 6."""
    weights = {1: 45, 2: -9, 3: 1}
    found = []
    for step in h * np.eye(len(z)):
        pairs = (
            (w, problem.evaluate(z + k * step).value - problem.evaluate(z - k * step).value) for k, w in weights.items()
        )
        found.append(sum(w * d for w, d in pairs) / (60 * h))
    return np.array(found)


def check_gradient(problem, tolerance=1e-8):
    z = problem.window.generic()
    parts, expected = problem.evaluate(z), slopes(problem, z)
    # The truncation error is h^6 = 1e-24 times a seventh derivative, the rounding error 1e-15/h = 1e-11 times F ~ 10.
    np.testing.assert_allclose(parts.gradient, expected, atol=tolerance * max(1.0, np.abs(expected).max()))


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("mixture", [MIXTURE, DIAGONAL], ids=["full", "diagonal"])
def test_gradient_on_a_mixture(name, mixture):
    check_gradient(Probe(mixture, points=16).problem(traced(METHODS[name])))


@pytest.mark.parametrize(
    "model", [MIXTURE, np.random.default_rng(0).standard_normal((5, 1, 2))], ids=["mixture", "images"]
)
def test_gradient_of_a_flow_from_pure_noise(model):
    """A velocity reads the slopes of the schedule, and the first level has alpha = 0."""
    trace = traced(nd.AdamsBashforth(1), schedule=nd.schedules.Flow(shift=3.0), ends=(1.0, 0.01))
    assert trace.scheme.prediction == "velocity"
    check_gradient(Probe(model, points=8).problem(trace))


@pytest.mark.parametrize("name", METHODS)
def test_gradient_on_images(name):
    images = np.random.default_rng(1).standard_normal((7, 2, 3))
    check_gradient(Probe(images, points=10, bandwidth=0.3, batch=4, reference=20).problem(traced(METHODS[name])))


def test_gradient_with_respect_to_a_parameter():
    trace = traced(nd.GHVB(2, 0.8), names=("beta",), box=((0.5,), (1.2,)))
    check_gradient(Probe(MIXTURE, points=16, power=2.0).problem(trace))


@pytest.mark.parametrize("prediction", ["noise", "data", "velocity"])
@pytest.mark.parametrize("level", [Level(0, 0.7, 0.6, 0, -0.4, 0.5), Level(0, 0.0, 1.0, 0, -1.0, 1.0)])
def test_fields_are_those_of_the_mixture(prediction, level):
    """A kernel estimate is the mixture of its images; both fields agree with the mixture's own conditional mean."""
    rng = np.random.default_rng(2)
    images, x = rng.standard_normal((6, 4)), rng.standard_normal((9, 4))
    mixture = nd.problems.GaussianMixture(np.full(6, 1 / 6), images, np.full(6, 0.3**2))
    numbers = (level.alpha, level.sigma, level.d_alpha, level.d_sigma, 0.0, 0.0)
    expected = mixture.predict(x, level, prediction)
    A = rng.standard_normal((9, 4))
    kernel, general = (
        f.evaluate(x, numbers) for f in (KernelField(images, 0.3, prediction), MixtureField(mixture, prediction))
    )
    np.testing.assert_allclose(kernel[0], expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(general[0], expected, rtol=1e-12, atol=1e-12)
    (ours, slopes_), (theirs, other) = kernel[1](A), general[1](A)
    np.testing.assert_allclose(ours, theirs, atol=1e-12)
    for name in slopes_:
        np.testing.assert_allclose(slopes_[name], other[name], atol=1e-12)


def test_the_denoisers_jacobian_is_the_posterior_covariance():
    """alpha/sigma^2 Cov(x_0 | x), by Monte Carlo: draws of x_0 weighted by the likelihood of x."""
    alpha, sigma, x = 0.8, 0.5, np.array([[0.1, 0.2]])
    data = MIXTURE.sample(400_000, 0)
    weights = np.exp(-((x - alpha * data) ** 2).sum(1) / (2 * sigma**2))
    weights /= weights.sum()
    mean = weights @ data
    covariance = (weights[:, None] * (data - mean)).T @ (data - mean)
    _, adjoint = MixtureField(MIXTURE, "data").evaluate(x, (alpha, sigma))
    jacobian = np.concatenate([adjoint(a[None])[0] for a in np.eye(2)])
    np.testing.assert_allclose(jacobian, jacobian.T, atol=1e-14)
    # 400 000 draws of which some tenth count: three digits
    np.testing.assert_allclose(jacobian, alpha / sigma**2 * covariance, atol=1e-2)


def test_value_is_the_power_mean_of_the_errors_of_plain_runs():
    problem = Probe(MIXTURE, points=32, power=1.5, seed=3).problem(traced(nd.UniPC(3)))
    z = problem.window.generic()
    scheme = problem.trace.scheme_at(z)
    noises = MIXTURE.sample_level(32, VP.level(1.0), 3)
    images = nd.sample(scheme, MIXTURE.model(VP), noises)
    exact = MIXTURE.flow(VP, noises, 1.0, 1e-3, rtol=1e-12).x
    e = np.sqrt(np.mean((images - exact) ** 2, axis=1))
    floor = 1e-3 * exact.std()
    assert problem.evaluate(z).value == pytest.approx(np.log(np.mean(np.hypot(e, floor) ** 1.5)) / 0.75, rel=1e-9)
    found = problem.errors(z)
    assert found["training median"] == pytest.approx(np.median(e), rel=1e-8)
    assert found["training rms"] == pytest.approx(np.sqrt(np.mean(e**2)), rel=1e-8)


def test_fine_reference_is_as_good_as_it_says():
    """Against the exact flow of the same mixture."""
    trace = traced(nd.DPMSolverPP(2))
    exact, fine = (Probe(MIXTURE, points=64, reference=r).problem(trace) for r in ("auto", 100))
    error = np.sqrt(np.mean((exact.target - fine.target) ** 2))
    assert 0 < error < fine.reference_error < 1e-2
    assert exact.reference_error < 1e-7


@pytest.mark.parametrize("ends", [(1.0, 0.0), (1.0, 0.01)])
def test_fine_reference_reaches_infinite_ends(ends):
    trace = traced(nd.DPMSolverPP(2), schedule=nd.schedules.Flow(), ends=ends)
    exact, fine = (Probe(MIXTURE, points=32, reference=r).problem(trace) for r in ("auto", 200))
    assert np.sqrt(np.mean((exact.target - fine.target) ** 2)) < max(1e-4, fine.reference_error)
    assert np.all(np.diff([float(level.log_snr) for level in fine_levels(trace, 20)]) > 0)


def test_steps_get_better_and_never_worse_than_the_start():
    trace = traced(nd.DPMSolverPP(3), 8)
    problem = Probe(MIXTURE, points=64).problem(trace)
    start = np.linspace(trace.window.low, trace.window.high, 9)[1:-1]
    outcome = minimize(problem, [start], tolerance=1e-6)
    assert outcome.objective <= problem.evaluate(start).value
    fresh = Probe(MIXTURE, points=512, seed=99).problem(trace)
    before, after = fresh.errors(start), fresh.errors(outcome.z)
    assert after["training median"] < before["training median"] / 2
    assert after["training rms"] < before["training rms"]
    held_out = problem.errors(outcome.z)
    assert held_out["held-out noises"].shape == (16,)
    other = Probe(MIXTURE, points=16, seed=1).problem(trace).errors(outcome.z)
    np.testing.assert_array_equal(held_out["held-out noises"], other["training noises"])


def test_warns_where_the_reference_is_no_better_than_the_steps():
    problem = Probe(MIXTURE, points=8, reference=20).problem(traced(nd.DPMSolverPP(3), 40))
    with pytest.warns(UserWarning, match="give Probe a larger reference=") as caught:
        problem.errors(problem.window.generic())
    assert caught[0].filename == __file__


def test_cache_goes_on_where_an_interrupted_run_stopped(tmp_path):
    trace = traced(nd.DPMSolverPP(3), 8)
    start = np.linspace(trace.window.low, trace.window.high, 9)[1:-1]
    probe = Probe(MIXTURE, points=32, cache=tmp_path / "probe")

    def interrupt(progress):
        if progress.iteration == 4:
            raise KeyboardInterrupt

    first = probe.problem(trace)
    assert first.resumed == []
    with pytest.raises(KeyboardInterrupt):
        minimize(first, [start], callback=interrupt)
    again = probe.problem(trace)
    np.testing.assert_array_equal(again.target, first.target)
    (warm,) = again.resumed
    assert again.evaluate(warm).value < first.evaluate(start).value
    outcome = minimize(again, [warm], tolerance=1e-6)
    assert outcome.objective <= again.evaluate(warm).value
    # the best is on disk: what the search returns, up to the rounding of F that its last steps are taken within
    last = probe.problem(trace)
    assert last.evaluate(last.resumed[0]).value <= outcome.objective + 1e-12
    assert last.initial_objective == pytest.approx(first.evaluate(start).value, rel=1e-12)
    # where the search ended is confirmed at once: F there, and the certificate twice
    last.errors(outcome.z)
    repeated = minimize(probe.problem(trace), probe.problem(trace).resumed, tolerance=1e-6)
    assert repeated.certified
    assert repeated.evaluations == 3
    np.testing.assert_allclose(repeated.z, outcome.z, atol=1e-9)
    # another method, length or noise has a best of its own; another schedule or noise a reference of its own
    assert probe.problem(traced(nd.DPMSolverPP(3), 9)).resumed == []
    assert probe.problem(traced(nd.UniPC(3), 8)).resumed == []
    assert len(list((tmp_path / "probe").glob("reference-*.npz"))) == 1
    Probe(MIXTURE, points=32, seed=1, cache=tmp_path / "probe").problem(trace)
    assert len(list((tmp_path / "probe").glob("reference-*.npz"))) == 2


def test_a_spoilt_cache_is_refused(tmp_path):
    probe = Probe(MIXTURE, points=4, cache=tmp_path)
    trace = traced(nd.DPMSolverPP(2))
    probe.problem(trace)
    (path,) = tmp_path.glob("reference-*.npz")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match="delete it"):
        probe.problem(trace)


@pytest.mark.parametrize("model", [MIXTURE, np.random.default_rng(3).standard_normal((4, 2, 2))])
def test_batches_change_nothing(model):
    trace = traced(nd.UniPC(3))
    z = trace.window.generic()
    whole, split = (Probe(model, points=10, batch=batch, reference=20).problem(trace).evaluate(z) for batch in (10, 3))
    assert split.value == pytest.approx(whole.value, rel=1e-12)
    np.testing.assert_allclose(split.gradient, whole.gradient, atol=1e-11)


def test_exact_models_are_their_mixtures():
    trace = traced(nd.DPMSolverPP(2))
    z = trace.window.generic()
    given, model = (Probe(m, points=8).problem(trace) for m in (MIXTURE, MIXTURE.model(VP)))
    assert given.evaluate(z).value == model.evaluate(z).value
    with pytest.raises(ValueError, match="use one schedule"):
        Probe(MIXTURE.model(nd.schedules.Flow()), points=8).problem(trace)


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"model": 3.0}, TypeError, "must be a GaussianMixture"),
        ({"model": np.zeros((3, 2), dtype=np.uint8)}, TypeError, "scale them first"),
        ({"model": np.zeros(3)}, ValueError, r"shape \(N, ...\)"),
        ({"model": np.full((3, 2), np.nan)}, ValueError, "finite"),
        ({"model": np.zeros((3, 2))}, ValueError, "bandwidth must be positive"),
        ({"model": MIXTURE, "noises": np.zeros((4, 3))}, ValueError, r"shape \(n, 2\)"),
        ({"model": MIXTURE, "noises": [[0.0, 0.0]]}, TypeError, "floating NumPy array"),
        ({"model": MIXTURE, "noises": np.full((4, 2), np.inf)}, ValueError, "finite"),
        ({"model": MIXTURE, "points": 0}, ValueError, "points must be"),
        ({"model": MIXTURE, "shape": 3}, TypeError, "shape must be"),
        ({"model": MIXTURE, "points": 2.5}, TypeError, "points must be"),
        ({"model": MIXTURE, "seed": "a"}, TypeError, "seed must be"),
        ({"model": MIXTURE, "held_out": -1}, ValueError, "held_out must be"),
        ({"model": MIXTURE, "minimum_gap": -0.5}, ValueError, "minimum_gap must lie"),
        ({"model": MIXTURE, "power": "2"}, TypeError, "power must be"),
        ({"model": MIXTURE, "cache": __file__}, ValueError, "cache must be a folder"),
        ({"model": [np.zeros((3, 2))]}, TypeError, "numpy.stack"),
        ({"model": MIXTURE, "power": 3}, ValueError, "power must lie"),
        ({"model": MIXTURE, "reference": 5}, ValueError, "reference must be"),
        ({"model": MIXTURE, "prediction": "nose"}, ValueError, "noise"),
    ],
)
def test_bad_input_is_refused_at_the_door(arguments, error, match):
    with pytest.raises(error, match=match):
        Probe(**arguments).problem(traced(nd.DPMSolverPP(2)))


def test_methods_that_add_noise_are_refused():
    with pytest.raises(ValueError, match="deterministic"):
        Probe(MIXTURE, points=4).problem(traced(nd.DDIM(eta=1.0)))


def test_a_search_shortens_steps_that_blow_up(monkeypatch):
    """A trial point at which the model returns NaN is no end of the search."""
    problem = Probe(MIXTURE, points=16).problem(traced(nd.DPMSolverPP(3), 8))
    start = np.linspace(problem.window.low, problem.window.high, 9)[1:-1]
    honest, count = ProbeProblem.evaluate, [0]

    def failing(self, z):
        count[0] += 1
        if 14 < count[0] < 18:
            raise ValueError("the model returned a value that is not finite")
        return honest(self, z)

    monkeypatch.setattr(ProbeProblem, "evaluate", failing)
    outcome = minimize(problem, [start], tolerance=1e-5)
    assert count[0] > 18
    assert outcome.objective < outcome.initial_objective


def test_scores_are_predictions_of_schemes_only():
    """The closed forms cover what schemes integrate; the names come from one place."""
    for formulation in nd.formulations.FORMULATIONS.values():
        MixtureField(MIXTURE, get(formulation.prediction).name).value(np.zeros((1, 2)), (0.5, 0.5, -1.0, 1.0))


def test_torch_is_not_imported_for_a_mixture():
    code = "import sys, numdiff.optimize.objectives.probe; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)


def test_points_by_dimension():
    """1024 numbers, and between 64 and 256 noises."""
    trace = traced(nd.DPMSolverPP(1), 2)
    for dimension, points in ((1, 256), (8, 128), (40, 64)):
        mixture = nd.problems.GaussianMixture([1.0], np.zeros((1, dimension)), [0.5])
        assert Probe(mixture).problem(trace).target.shape == (points, dimension)


def test_rounding_compares_errors():
    """The cost of rounding is a ratio of errors: exp of half the difference of what is twice a logarithm."""
    schedule = nd.schedules.get("ddpm-linear")
    found = nd.optimize.timesteps(nd.DDIM(), schedule, 3, objective=Probe(MIXTURE, points=16), tolerance=1e-3)
    expected = [np.exp(x / 2) for x in (found.rounded()[1], found.objective)]
    assert found.rounding == pytest.approx(expected[0] / expected[1], rel=1e-12)
