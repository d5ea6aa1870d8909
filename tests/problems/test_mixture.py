"""Mixtures against independent sources: quadrature, 40-digit derivatives, closed forms, and identities they obey."""

import subprocess
import sys

import mpmath
import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

from numdiff import parameterizations, schedules
from numdiff.level import Level
from numdiff.problems import Gaussian, GaussianMixture, mixtures

MIXTURES = mixtures()
every_mixture = pytest.mark.parametrize("mixture", MIXTURES.values(), ids=MIXTURES.keys())
POINTS = GaussianMixture([0.25, 0.75], [[-1.0], [1.0]], [0.0, 0.0])
PREDICTIONS = ("noise", "data", "v", "flow", "score", "edm", "velocity")
CLEAN = Level(0.0, 1.0, 0.0, 0.0)


def level(alpha, sigma):
    return Level(0.5, alpha, sigma, 0.5, -1.25, 0.75)


def points(mixture, at, n=7, seed=0):
    """Samples of the marginal, and half as many again three times as far out."""
    x = mixture.sample_level(n, at, seed)
    return np.concatenate([x, 3 * x[: n // 2]])


def mp_log_density(mixture, x, alpha, sigma, only=None):
    """log sum w N(x; alpha mu, alpha^2 C + sigma^2 I) in mpmath, from determinant and inverse of the matrices."""
    total = mpmath.mpf(0)
    for k, (w, mu, C) in enumerate(zip(mixture.weights, mixture.means, mixture.covariances, strict=True)):
        S = alpha**2 * mpmath.matrix(C.tolist()) + sigma**2 * mpmath.eye(len(mu))
        z = mpmath.matrix([x_i - alpha * mpmath.mpf(float(m)) for x_i, m in zip(x, mu, strict=True)])
        norm = mpmath.sqrt(mpmath.det(2 * mpmath.pi * S))
        if only is None or k == only:
            total += mpmath.mpf(float(w)) * mpmath.exp(-(z.T * S**-1 * z)[0] / 2) / norm
    return mpmath.log(total)


def mp_gradient(f, x):
    return [mpmath.diff(lambda s, i=i: f([*x[:i], s, *x[i + 1 :]]), x[i]) for i in range(len(x))]


def bayes(mixture, x, alpha, sigma):
    """E[x_0 | x] in one dimension, the quotient of two integrals over x_0."""
    widths = np.sqrt(mixture.spectrum.variances[:, 0])
    parts = [[mpmath.mpf(float(v)) for v in part] for part in (mixture.weights, mixture.means[:, 0], widths)]

    def joint(x0):
        prior = sum(w / v * mpmath.exp(-(((x0 - m) / v) ** 2) / 2) for w, m, v in zip(*parts, strict=True))
        return prior * mpmath.exp(-(((x - alpha * x0) / sigma) ** 2) / 2)

    # Break points around every mode and the peak of the likelihood, so that no piece hides a spike.
    near = [m + s * v for m, v in zip(mixture.means[:, 0], widths, strict=True) for s in (-8, 0, 8)]
    near += [x / alpha + s * sigma / alpha for s in (-6, 0, 6)]
    nodes = [mpmath.mpf(float(v)) for v in sorted({*near, -12.0, 12.0}) if -12 <= v <= 12]
    # The rule stops at an absolute error, so the integrand is scaled to one near its peak.
    peak = joint(x / alpha)
    mass, first = (mpmath.quad(lambda s, p=p: s**p * joint(s) / peak, nodes, maxdegree=6) for p in (0, 1))
    return first / mass


@pytest.mark.parametrize("name", ["two-modes", pytest.param("three-scales", marks=pytest.mark.slow)])
@pytest.mark.parametrize(("alpha", "sigma"), [(0.8, 0.6), (1.0, 0.05), (0.1, 0.995), (1.0, 20.0)])
def test_conditional_means_equal_bayes_integral_by_quadrature(name, alpha, sigma):
    mixture = MIXTURES[name]
    for x in points(mixture, level(alpha, sigma), n=2)[:, 0]:
        with mpmath.workdps(20):
            denoised = bayes(mixture, *map(mpmath.mpf, (float(x), alpha, sigma)))
            noise = (float(x) - alpha * denoised) / sigma
        # 1e-13 of the largest number in the formula, the data's size: a few hundred roundings.
        scale = 1 + abs(x) / max(alpha, sigma)
        got = [f(np.array([[x]]), level(alpha, sigma))[0, 0] for f in (mixture.denoise, mixture.noise)]
        assert abs(got[0] - denoised) < 1e-13 * scale
        assert abs(got[1] - noise) < 1e-13 * scale * max(1, alpha / sigma)


@pytest.mark.parametrize(("alpha", "sigma"), [(0.8, 0.6), (1.0, 0.01), (0.0, 1.0), (1.0, 0.0), (1.0, 80.0)])
def test_density_and_score_match_forty_digits(alpha, sigma):
    mixture, at = MIXTURES["correlated"], level(alpha, sigma)
    x = points(mixture, at, n=4)
    with mpmath.workdps(40):
        f = lambda u: mp_log_density(mixture, u, mpmath.mpf(alpha), mpmath.mpf(sigma))  # noqa: E731  # differentiated
        density = np.array([f(list(map(mpmath.mpf, p))) for p in x], dtype=float)
        score = np.array([mp_gradient(f, list(map(mpmath.mpf, p))) for p in x], dtype=float)
    # The exponent is a sum of squares of that size itself, each rounded; the condition number of C is below 60.
    np.testing.assert_allclose(mixture.log_density(x, at), density, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(mixture.score(x, at), score, rtol=0, atol=1e-12 * np.abs(score).max())


@every_mixture
@pytest.mark.parametrize(("alpha", "sigma"), [(0.8, 0.6), (1.0, 1e-3), (0.02, 0.9998), (1.0, 80.0)])
def test_identities_between_predictions(mixture, alpha, sigma):
    at = level(alpha, sigma)
    x = points(mixture, at)
    eps, data = mixture.noise(x, at), mixture.denoise(x, at)
    size = np.abs(x).max()
    np.testing.assert_allclose(alpha * data + sigma * eps, x, rtol=0, atol=1e-13 * size)
    np.testing.assert_allclose(mixture.score(x, at), -eps / sigma, rtol=1e-11)
    for name in PREDICTIONS:
        a, b = parameterizations.get(name).components(at)
        value = mixture.predict(x, at, name)
        scale = np.abs(a * data).max() + np.abs(b * eps).max()
        np.testing.assert_allclose(value, a * data + b * eps, rtol=0, atol=1e-12 * scale)
        # Independent of (a, b): the conversions know only the pair (x, prediction).
        back = parameterizations.convert(value, x, at, source=name, target="noise")
        np.testing.assert_allclose(back, eps, rtol=0, atol=1e-12 * (1 + size / sigma) * max(1, sigma / alpha))


@every_mixture
def test_jacobian_of_the_denoiser_is_a_covariance(mixture):
    """d E[x_0|x]/dx = (alpha/sigma^2) Cov[x_0|x]: symmetric, positive, trace E|x_0|^2-like; gradients through torch."""
    at = level(0.9, 0.4)
    for x in torch.from_numpy(mixture.sample_level(2, at, 1)):
        jacobian = torch.autograd.functional.jacobian(lambda y: mixture.denoise(y, at), x).numpy()
        covariance = 0.4**2 / 0.9 * jacobian
        np.testing.assert_allclose(covariance, covariance.T, atol=1e-13)
        r = mixture.responsibilities(x.numpy(), at)
        gain = 0.9 * mixture.spectrum.variances / (0.81 * mixture.spectrum.variances + 0.16)
        means = np.stack([mixture.conditional(k).denoise(x.numpy(), at) for k in range(mixture.components)])
        within = (r[:, None] * mixture.spectrum.variances * (1 - 0.9 * gain)).sum()
        apart = r @ ((means - r @ means) ** 2).sum(1)
        # Trace by the law of total variance, from the parts; eigenvalues cannot be negative beyond rounding.
        np.testing.assert_allclose(np.trace(covariance), within + apart, rtol=1e-11)
        assert np.linalg.eigvalsh(covariance).min() > -1e-13


def test_two_point_masses_have_the_hyperbolic_tangent_as_denoiser():
    x = np.linspace(-3, 3, 13)[:, None]
    for sigma in (0.05, 0.5, 5.0, 1e4):
        alpha = 0.75
        logit = alpha * x / sigma**2 + np.log(3) / 2
        np.testing.assert_allclose(
            POINTS.denoise(x, level(alpha, sigma)), np.tanh(logit), atol=1e-14 / min(1, sigma**2)
        )


@given(st.floats(-8, 4), st.floats(0, 6))
def test_extreme_noise_and_far_points_stay_finite_and_right(log_sigma, log_distance):
    mixture, sigma = MIXTURES["random-64"], 10.0**log_sigma
    at = Level(0.5, 1.0, sigma, 0.5)
    direction = np.random.default_rng(3).standard_normal((2, 64))
    x = 10.0**log_distance * direction
    r = mixture.responsibilities(x, at)
    np.testing.assert_allclose(r.sum(1), 1, rtol=1e-13)
    for name in ("noise", "data", "v", "score"):
        assert np.all(np.isfinite(mixture.predict(x, at, name)))
        assert np.all(np.isfinite(mixture.component_score(x, at, 5)))
    assert np.all(np.isfinite(mixture.log_density(x, at)))
    # Noise takes at most the share of the smallest eigenvalue: |D - x| <= sigma^2/(v_min + sigma^2) max |x - mu_k|.
    shrink = sigma**2 / (mixture.spectrum.variances.min() + sigma**2)
    reach = np.linalg.norm(x, axis=1) + np.linalg.norm(mixture.means, axis=1).max()
    assert np.all(np.linalg.norm(mixture.denoise(x, at) - x, axis=1) <= shrink * reach * (1 + 1e-9) + 1e-14 * reach)


@pytest.mark.parametrize("sigma", [1e-8, 1e-3])
def test_far_from_point_masses_the_nearest_one_is_the_denoised_sample(sigma):
    masses = GaussianMixture(np.full(100, 0.01), np.random.default_rng(0).standard_normal((100, 64)), np.zeros(100))
    x = 1e6 * np.random.default_rng(1).standard_normal((5, 64))
    nearest = np.argmin(((x[:, None] - masses.means) ** 2).sum(-1), axis=1)
    np.testing.assert_array_equal(masses.denoise(x, level(1.0, sigma)), masses.means[nearest])


@every_mixture
def test_large_noise_limit_is_linear_regression_on_the_whole_mixture(mixture):
    """At rho -> inf, E[x_0|x] = m + Cov/sigma^2 (x - m) + O(sigma^-2): the first two moments are all that is left."""
    sigma = 1e4
    x = sigma * np.random.default_rng(2).standard_normal((4, mixture.dimension))
    linear = mixture.mean + (x - mixture.mean) @ mixture.covariance / sigma**2
    # Next terms: third cumulants against x x^T/sigma^4 and 1/sigma^2, d of each, of the data's size one cubed, say < 5.
    error = np.abs(mixture.denoise(x, Level(0.5, 1.0, sigma, 0.5)) - linear).max()
    assert error < 5 * mixture.dimension / sigma**2
    assert np.abs(linear - mixture.mean).max() > 10 * error


@every_mixture
def test_ends_of_the_schedule(mixture):
    x = mixture.sample(5, 0)
    np.testing.assert_allclose(mixture.denoise(x, CLEAN), x, rtol=0, atol=1e-14 * (1 + np.abs(x).max()))
    assert np.all(mixture.noise(x, CLEAN) == 0)
    pure = Level(1.0, 0.0, 2.0, 1.0)
    # A sum over at most 100 means and, in the full case, 6400 numbers of size one, rounded in some order.
    np.testing.assert_allclose(mixture.denoise(x, pure), np.broadcast_to(mixture.mean, x.shape), atol=1e-14)
    np.testing.assert_allclose(mixture.noise(x, pure), x / 2, rtol=1e-14, atol=1e-15)


@every_mixture
def test_marginal_is_the_density_of_noisy_samples(mixture):
    at = level(0.7, 0.5)
    marginal, x = mixture.marginal(at), points(mixture, at)
    np.testing.assert_allclose(marginal.log_density(x, CLEAN), mixture.log_density(x, at), rtol=1e-12)
    n = 20_000
    draws = mixture.sample_level(n, at, np.random.default_rng(5))
    assert draws.shape == (n, mixture.dimension)
    deviations = np.sqrt(np.diag(marginal.covariance) / n)
    # Five standard errors over at most 64 + 64^2 numbers; a fixed seed, so it passes for ever or never.
    assert np.all(np.abs(draws.mean(0) - marginal.mean) < 5 * deviations)
    outer = np.sqrt(np.outer(np.diag(marginal.covariance), np.diag(marginal.covariance)))
    assert np.all(np.abs(np.cov(draws.T) - marginal.covariance) < 5 * 1.5 * outer / np.sqrt(n))


@pytest.mark.parametrize("generator", [7, torch.Generator().manual_seed(7)], ids=["numpy", "torch"])
def test_one_dimensional_samples_follow_the_distribution_function(generator):
    mixture = MIXTURES["three-scales"]
    draws = np.asarray(mixture.sample(5000, generator))[:, 0]
    widths = np.sqrt(mixture.spectrum.variances[:, 0])
    cdf = lambda x: scipy.stats.norm.cdf((x[:, None] - mixture.means[:, 0]) / widths) @ mixture.weights  # noqa: E731
    assert scipy.stats.kstest(draws, cdf).pvalue > 1e-3


def test_samples_repeat_from_a_seed_and_torch_samples_are_tensors():
    mixture = MIXTURES["correlated"]
    np.testing.assert_array_equal(mixture.sample(5, 3), mixture.sample(5, np.random.default_rng(3)))
    first, second = (mixture.sample_level(5, level(0.6, 0.8), torch.Generator().manual_seed(3)) for _ in range(2))
    assert isinstance(first, torch.Tensor)
    assert torch.equal(first, second)
    assert np.all(POINTS.sample(50, 0) ** 2 == 1)


def test_the_three_shapes_of_covariances_mean_the_same():
    w, mu, v = [0.3, 0.7], np.array([[0.0, 1.0, -1.0], [1.0, 0.5, 2.0]]), np.array([0.5, 2.0])
    shapes = [v, np.tile(v[:, None], (1, 3)), v[:, None, None] * np.eye(3)]
    full, diagonal, isotropic = (GaussianMixture(w, mu, c) for c in reversed(shapes))
    x, at = np.random.default_rng(0).standard_normal((2, 4, 3)), level(0.6, 0.7)
    for other in (diagonal, isotropic):
        np.testing.assert_allclose(other.noise(x, at), full.noise(x, at), rtol=1e-13)
        np.testing.assert_allclose(other.covariances, full.covariances, rtol=1e-15)
    np.testing.assert_array_equal(full.noise(x, at)[1, 2], full.noise(x[1, 2], at))
    # K = d: two axes are variances, one row per component, whatever the matrix looks like.
    square = GaussianMixture([0.5, 0.5], np.eye(2), [[1.0, 0.5], [0.5, 1.0]])
    np.testing.assert_array_equal(square.covariances, [np.diag([1.0, 0.5]), np.diag([0.5, 1.0])])


def test_rank_deficient_covariances_are_singular_exactly():
    factor = np.random.default_rng(0).standard_normal((2, 5, 2))
    mixture = GaussianMixture([0.5, 0.5], np.zeros((2, 5)), factor @ factor.transpose(0, 2, 1))
    assert mixture.spectrum.singular
    assert np.all((mixture.spectrum.variances == 0).sum(1) == 3)
    # Directions without data are noise only, even at sigma = 1e-8, where a leftover eigenvalue of 1e-16 would compete.
    x, at = mixture.sample_level(3, level(1.0, 1e-8), 0), level(1.0, 1e-8)
    flat = mixture.spectrum.basis[0][:, :3]
    only = mixture.conditional(0)
    np.testing.assert_allclose(only.noise(x, at) @ flat, x @ flat / 1e-8, rtol=1e-6, atol=1e-6)


def test_gaussian_is_the_linear_formula():
    rng = np.random.default_rng(0)
    factor, mu, x = rng.standard_normal((4, 4)), rng.standard_normal(4), rng.standard_normal((6, 4))
    gaussian, at = Gaussian(mu, factor @ factor.T), level(0.6, 0.7)
    S = 0.36 * factor @ factor.T + 0.49 * np.eye(4)
    np.testing.assert_allclose(gaussian.noise(x, at), 0.7 * np.linalg.solve(S, (x - 0.6 * mu).T).T, rtol=1e-12)
    frozen = scipy.stats.multivariate_normal(0.6 * mu, S)
    np.testing.assert_allclose(gaussian.log_density(x, at), frozen.logpdf(x), rtol=1e-12)
    np.testing.assert_allclose(gaussian.covariance, factor @ factor.T, rtol=1e-13, atol=1e-14)
    np.testing.assert_array_equal(Gaussian(mu, 2.0).covariance, 2 * np.eye(4))


# --- guidance --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("component", [0, 2, [0, 1]])
def test_component_score_is_the_gradient_of_the_log_responsibility(component):
    mixture, at = MIXTURES["correlated"], level(0.8, 0.6)
    x = points(mixture, at)
    got = mixture.component_score(x, at, component)
    split = mixture.conditional(component).score(x, at) - mixture.score(x, at)
    np.testing.assert_allclose(got, split, rtol=0, atol=1e-13 * np.abs(mixture.score(x, at)).max())
    tensor = torch.from_numpy(x).requires_grad_()
    chosen = mixture.responsibilities(tensor, at)[:, np.atleast_1d(component)].sum(-1)
    (gradient,) = torch.autograd.grad(chosen.log().sum(), tensor)
    np.testing.assert_allclose(got, gradient.numpy(), rtol=0, atol=1e-12 * np.abs(got).max())


def test_component_score_keeps_its_digits_where_the_class_is_certain():
    mixture, x = MIXTURES["correlated"], [-4.0, -3.0]
    with mpmath.workdps(60):
        alpha, sigma = mpmath.mpf("0.9"), mpmath.mpf("0.3")
        joint = lambda u: mp_log_density(mixture, u, alpha, sigma, only=0) - mp_log_density(mixture, u, alpha, sigma)  # noqa: E731
        truth = np.array(mp_gradient(joint, list(map(mpmath.mpf, x))), dtype=float)
    got = mixture.component_score(np.array(x), level(0.9, 0.3), 0)
    assert np.abs(truth).max() < 1e-20
    # Log-responsibilities near -100 keep 1e-14 absolute, which is the relative accuracy of their exponential.
    np.testing.assert_allclose(got, truth, rtol=1e-12)
    assert np.all(mixture.component_score(np.array(x), level(0.9, 0.3), [0, 1, 2]) == 0)


def test_conditional_weights_and_parts():
    mixture = MIXTURES["ring"]
    part = mixture.conditional([3, 1])
    np.testing.assert_allclose(part.weights, [2 / 3, 1 / 3], rtol=1e-15)
    np.testing.assert_array_equal(part.means, mixture.means[[3, 1]])
    schedule = schedules.VPLinear()
    x = mixture.sample(3, 0)
    guided = mixture.guidance(schedule, [3, 1])(x, 0.5)
    np.testing.assert_array_equal(guided, mixture.component_score(x, schedule.level(0.5), [3, 1]))


# --- as a network ----------------------------------------------------------------------------------------------------

SCHEDULES = {name: schedules.get(name) for name in schedules.names() if name != "discrete"}


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES.keys())
@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_model_takes_the_networks_own_time(schedule, prediction):
    mixture = MIXTURES["ring"]
    if prediction == "velocity" and not schedule.has_derivatives:
        with pytest.raises(ValueError, match="velocity' needs a schedule with derivatives"):
            mixture.model(schedule, prediction)
        return
    model = mixture.model(schedule, prediction)
    assert model.prediction == prediction
    at = schedule.level(0.37 * schedule.T)
    x = mixture.sample_level(3, at, 0)
    # Inverting the model's time costs an ulp of t; sigma near t = 0.37 T magnifies it no more than a hundredfold.
    np.testing.assert_allclose(model(x, at.model_time), mixture.predict(x, at, prediction), rtol=1e-11, atol=1e-12)
    tensor = torch.from_numpy(x)
    for t in (torch.tensor(at.model_time, dtype=torch.float64), torch.full((3,), at.model_time, dtype=torch.float64)):
        np.testing.assert_allclose(model(tensor, t).numpy(), model(x, at.model_time), rtol=1e-12, atol=1e-12)


def test_model_of_a_table_takes_integer_tensors_and_refuses_a_mixed_batch():
    mixture, schedule = MIXTURES["ring"], schedules.Discrete.ddpm_linear()
    x = torch.zeros(2, 2, dtype=torch.float64)
    at = schedule.level((499 + 1) / 1000)
    np.testing.assert_allclose(mixture.model(schedule)(x, torch.tensor([499, 499])), mixture.noise(x, at), rtol=1e-12)
    with pytest.raises(ValueError, match="t must be one time for the whole batch"):
        mixture.model(schedule)(x, torch.tensor([499, 500]))


def test_gradient_flows_through_the_time():
    mixture, schedule = MIXTURES["ring"], schedules.Cosine()
    x = torch.from_numpy(mixture.sample(2, 0))
    t = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda s: mixture.model(schedule, "v")(x, s), t)


@every_mixture
def test_numpy_and_torch_agree_and_low_precision_is_the_rounded_truth(mixture):
    at = level(0.6, 0.8)
    x = points(mixture, at, n=40)
    reference = mixture.noise(x, at)
    # Different BLAS calls sum up to 6400 terms in different orders.
    np.testing.assert_allclose(mixture.noise(torch.from_numpy(x), at).numpy(), reference, rtol=0, atol=1e-13 * 64)
    single = x.astype(np.float32)
    assert mixture.noise(single, at).dtype == np.float32
    np.testing.assert_array_equal(mixture.noise(single, at), mixture.noise(single.astype(float), at).astype(np.float32))
    for dtype in (torch.float32, torch.bfloat16):
        low = torch.from_numpy(x).to(dtype)
        assert torch.equal(mixture.noise(low, at), mixture.noise(low.double(), at).to(dtype))


def test_blocks_do_not_change_the_result():
    mixture, at = MIXTURES["random-64"], level(0.6, 0.8)
    x = mixture.sample_level(100, at, 0).reshape(4, 25, 64)
    single = np.stack([[mixture.noise(p, at) for p in row] for row in x])
    np.testing.assert_allclose(mixture.noise(x, at), single, rtol=0, atol=1e-13)
    assert mixture.responsibilities(x, at).shape == (4, 25, 100)
    assert mixture.log_density(x[:0], at).shape == (0, 25)


def test_catalogue_repeats_and_is_standardised_where_it_says():
    again = mixtures()
    for name, mixture in MIXTURES.items():
        np.testing.assert_array_equal(mixture.means, again[name].means)
        assert not mixture.spectrum.singular
    for name in ("random-16", "random-64"):
        np.testing.assert_allclose(MIXTURES[name].mean, 0, atol=1e-15)
        np.testing.assert_allclose(np.trace(MIXTURES[name].covariance) / MIXTURES[name].dimension, 1, rtol=1e-13)


def test_problems_import_neither_torch_nor_scipy_nor_sympy():
    code = "import sys, numdiff.problems; print({'torch', 'scipy', 'sympy', 'mpmath'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
