"""Mean squared errors of data laws: closed forms, high precision, Monte Carlo, and information in nats."""

import mpmath as mp
import numpy as np
import pytest
from scipy import optimize

import numdiff as nd
from numdiff.level import Level
from numdiff.optimize.objectives.mmse import FunctionLaw, GaussianLaw, SymmetricMixtures, information, sign_moments
from numdiff.optimize.objectives.mmse_tables import TableLaw, mixture_law, mmse_from_model

KAPPAS = [0.0, 1e-8, 0.01, 0.3, 0.999, 1.0, 1.7, 9.0, 60.0, 900.0]


def exact_sign_moments(kappa):
    """E sech^2 and E sech^4 of kappa + sqrt(kappa) n as they are defined, not symmetrized."""
    with mp.workdps(25):
        root = mp.sqrt(kappa)
        return [
            mp.quad(lambda n, p=p: mp.npdf(n) * mp.sech(kappa + root * n) ** p, mp.linspace(-20, 20, 41))
            for p in (2, 4)
        ]


@pytest.mark.parametrize("kappa", KAPPAS)
def test_sign_moments_agree_with_high_precision_integrals_of_their_definition(kappa):
    found = sign_moments(np.array(kappa))
    exact = exact_sign_moments(mp.mpf(kappa)) if kappa < 100 else laplace(kappa)
    for value, truth in zip(found, exact, strict=True):
        assert float(value) == pytest.approx(float(truth), rel=2e-13)


def laplace(kappa):
    """The same for large kappa, where the mass sits at u = kappa + sqrt(kappa) n near 0."""
    with mp.workdps(25):
        weight = lambda u: mp.npdf((u - kappa) / mp.sqrt(kappa)) / mp.sqrt(kappa)  # noqa: E731
        return [mp.quad(lambda u, p=p: weight(u) * mp.sech(u) ** p, mp.linspace(-60, 60, 61)) for p in (2, 4)]


def test_the_first_sign_moment_is_one_minus_the_mean_hyperbolic_tangent():
    n, weights = np.polynomial.hermite_e.hermegauss(120)
    for kappa in (0.1, 0.5, 1.0):
        mean = np.tanh(kappa + np.sqrt(kappa) * n) @ weights / np.sqrt(2 * np.pi)
        assert sign_moments(np.array(kappa))[0] == pytest.approx(1 - mean, rel=1e-10)


@pytest.mark.parametrize(("mu", "s"), [(1.0, 0.2), (0.3, 0.7), (2.0, 0.0)])
@pytest.mark.parametrize("g", [0.05, 2.0])
def test_the_slope_of_a_mixture_is_the_derivative_of_its_error(mu, s, g):
    with mp.workdps(25):
        w = lambda x: 1 + x * mp.mpf(s) ** 2  # noqa: E731
        error = lambda x: s**2 / w(x) + (mu / w(x)) ** 2 * exact_sign_moments(x * mp.mpf(mu) ** 2 / w(x))[0]  # noqa: E731
        step = mp.mpf("1e-6")
        slope = (error(g + step) - error(g - step)) / (2 * step)
        value = error(mp.mpf(g))
    m, dm = SymmetricMixtures(mu, s).at(np.array([g]))
    assert m[0] == pytest.approx(float(value), rel=2e-13)
    assert dm[0] == pytest.approx(float(slope), rel=1e-9)


def test_the_gaussian_error_is_the_conditional_variance_at_every_level_of_a_schedule():
    schedule, s = nd.schedules.VPLinear(), 0.7
    for t in (0.05, 0.4, 1.0):
        level = schedule.level(t)
        variance = s**2 * level.sigma**2 / (level.alpha**2 * s**2 + level.sigma**2)
        m, slope = GaussianLaw(s).at(np.array([np.exp(2 * level.log_snr)]))
        assert m[0] == pytest.approx(variance, rel=1e-12)
        assert slope[0] == pytest.approx(-(variance**2), rel=1e-12)


def test_a_mixture_without_distance_is_a_gaussian():
    snr = np.array([0.0, 0.1, 3.0, 1e4])
    for a, b in zip(SymmetricMixtures(1e-9, 0.8).at(snr), GaussianLaw(0.8).at(snr), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


MIXTURE = nd.problems.GaussianMixture([0.5, 0.5], [[1.0], [-1.0]], [0.09, 0.09])
LAW = SymmetricMixtures(1.0, 0.3)


def two_levels(count, seed):
    """x_0, and its denoised estimates at a noisy and a cleaner level of one forward path in Y."""
    rng = np.random.default_rng(seed)
    clean = MIXTURE.sample(count, rng)
    low, high = 0.8, 4.0
    early = low * clean + np.sqrt(low) * rng.standard_normal(clean.shape)
    late = early + (high - low) * clean + np.sqrt(high - low) * rng.standard_normal(clean.shape)
    denoised = [MIXTURE.denoise(y / g, Level(0.0, 1.0, g**-0.5, 0.0)) for y, g in ((early, low), (late, high))]
    return clean, early, *denoised, (low, high)


def within(samples, expected, errors=4.5):
    samples = np.ravel(samples)
    assert abs(samples.mean() - expected) < errors * samples.std(ddof=1) / np.sqrt(samples.size)


def test_the_denoiser_is_a_martingale_along_the_signal_to_noise_ratio():
    clean, early, first, second, (low, high) = two_levels(200_000, 1)
    m = LAW.at(np.array([low, high]))[0]
    for probe in (np.ones_like(early), np.tanh(early), np.cos(3 * early)):
        within((second - first) * probe, 0.0)
    within((clean - first) ** 2, m[0])
    within((clean - second) ** 2, m[1])
    within((second - first) ** 2, m[0] - m[1])


@pytest.mark.parametrize(("mu", "s", "g"), [(1.0, 0.5, 2.0), (1.0, 0.0, 3.0), (0.4, 1.0, 0.2)])
def test_half_the_integral_of_the_error_is_the_mutual_information(mu, s, g):
    """I = h(y) - h(n), the entropy of y = sqrt(g) x_0 + n by an integral that knows no denoiser."""
    with mp.workdps(25):
        center, width = mp.sqrt(g) * mu, mp.sqrt(1 + mp.mpf(g) * mp.mpf(s) ** 2)
        density = lambda y: (mp.npdf(y, center, width) + mp.npdf(y, -center, width)) / 2  # noqa: E731
        entropy = mp.quad(lambda y: -density(y) * mp.log(density(y)), mp.linspace(-25, 25, 41))
        exact = entropy - mp.log(2 * mp.pi * mp.e) / 2
    assert information(SymmetricMixtures(mu, s), 0.0, g) == pytest.approx(float(exact), rel=1e-12)


def test_information_of_closed_forms():
    law = GaussianLaw([0.5, 2.0], [3.0, 1.0])
    exact = 1.5 * np.log(1 + 0.25 * 100) + 0.5 * np.log(1 + 4.0 * 100)
    assert information(law, 0.0, 100.0) == pytest.approx(exact, rel=1e-13)
    two_points = SymmetricMixtures(1.0, 0.0)
    assert information(two_points, 0.0, 200.0, panels=200) == pytest.approx(np.log(2), rel=1e-12)


# --- tables ----------------------------------------------------------------------------------------------------------

LOG_SNRS = np.concatenate([[-np.inf], np.arange(-4, 5.05, 0.1)])
BETWEEN = np.exp(2 * np.arange(-3.95, 4.9, 0.1))


def test_a_table_of_a_gaussian_is_exact_between_its_nodes():
    single = nd.problems.GaussianMixture([1.0], [[0.3, 0.1]], [0.49])
    table, law = mixture_law(single, LOG_SNRS[::8], draws=2), GaussianLaw([0.7, 0.7])
    for found, exact in zip(table.at(BETWEEN[:80]), law.at(BETWEEN[:80]), strict=True):
        np.testing.assert_allclose(found, exact, rtol=1e-11)
    assert np.max(table.standard_error) < 1e-15


def test_a_mixture_by_draws_agrees_with_the_quadrature_within_its_standard_errors():
    table = mixture_law(MIXTURE, LOG_SNRS, draws=20_000, seed=3)
    exact = LAW.at(table.snr)[0]
    assert np.all(np.abs(table.mmse - exact) <= 4.5 * table.standard_error + 1e-12)
    assert np.max(table.standard_error / table.mmse) < 0.02


def test_the_table_has_the_derivative_of_its_own_curve():
    table = mixture_law(MIXTURE, LOG_SNRS, draws=500)
    step = 1e-6 * BETWEEN
    slope = (table.at(BETWEEN + step)[0] - table.at(BETWEEN - step)[0]) / (2 * step)
    np.testing.assert_allclose(table.at(BETWEEN)[1], slope, rtol=1e-6)


def test_posterior_covariances_in_two_dimensions_against_direct_integration():
    mixture = nd.problems.GaussianMixture([0.3, 0.7], [[1.0, 0.0], [-0.5, 0.8]], [[[0.3, 0.1], [0.1, 0.2]]] * 2)
    g = 1.5
    grid = np.linspace(-6, 6, 401)
    points = np.stack(np.meshgrid(grid, grid, indexing="ij"), axis=-1)
    level = Level(0.0, np.sqrt(g), 1.0, 0.0)
    density = np.exp(mixture.log_density(points * 1.5, level)) * (1.5 * (grid[1] - grid[0])) ** 2
    denoised = mixture.denoise(points * 1.5, level)
    error = np.trace(mixture.covariance) + mixture.mean @ mixture.mean - np.sum(density * np.sum(denoised**2, axis=-1))
    table = mixture_law(mixture, [np.log(g) / 2, 1.0], draws=40_000, seed=5)
    assert density.sum() == pytest.approx(1, abs=1e-9)
    assert abs(table.mmse[0] - error) < 4.5 * table.standard_error[0]


@pytest.mark.parametrize("prediction", ["noise", "data", "v"])
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_the_error_of_an_exact_network_is_the_law_of_its_data(prediction, library):
    schedule, data = nd.schedules.VPLinear(), MIXTURE.sample(20_000, 7)
    if library == "torch":
        data = pytest.importorskip("torch").from_numpy(data)
    lam = np.arange(-2, 3.1, 0.25)
    table = mmse_from_model(MIXTURE.model(schedule, prediction), schedule, data, lam, prediction=prediction, batch=7000)
    assert np.all(np.abs(table.mmse - LAW.at(table.snr)[0]) < 4.5 * table.standard_error)
    middle = np.exp(2 * (lam[1:] + lam[:-1]) / 2)
    np.testing.assert_allclose(table.at(middle)[0], LAW.at(middle)[0], rtol=0.05)
    assert np.all(table.at(np.array([0.0, *middle]))[1] <= 0)


def test_a_network_of_another_schedule_is_refused_and_so_are_values_that_are_not_finite():
    schedule, data = nd.schedules.VPLinear(), MIXTURE.sample(4000, 7)
    with pytest.raises(ValueError, match=r"error rises to .* check prediction and schedule"):
        mmse_from_model(lambda x, t: 0 * x, schedule, data, [-4.0, 0.0], prediction="noise")
    with pytest.raises(ValueError, match=r"not finite at log-SNR -1"):
        mmse_from_model(lambda x, t: x * np.nan, schedule, data, [-1.0, 0.0])
    with pytest.raises(ValueError, match="at least 2 samples"):
        mmse_from_model(lambda x, t: x, schedule, data[:1], [-1.0, 0.0])


def test_small_rises_are_pooled_to_the_nearest_falling_sequence():
    from numdiff.optimize.objectives.mmse_tables import _falling

    values = np.sort(np.random.default_rng(0).normal(size=40))[::-1] + np.random.default_rng(1).normal(size=40)
    found = _falling(values)
    assert np.all(np.diff(found) <= 0)
    if hasattr(optimize, "isotonic_regression"):  # SciPy 1.12
        np.testing.assert_allclose(found, optimize.isotonic_regression(values, increasing=False).x, atol=1e-14)


def test_a_function_of_the_log_snr_is_a_law():
    gaussian = lambda lam: (1 / (1 + np.exp(2 * lam)), -2 * np.exp(2 * lam) / (1 + np.exp(2 * lam)) ** 2)  # noqa: E731
    snr = np.array([0.2, 1.0, 30.0])
    for found, exact in zip(FunctionLaw(gaussian).at(snr), GaussianLaw(1.0).at(snr), strict=True):
        np.testing.assert_allclose(found, exact, rtol=1e-13)
    assert FunctionLaw(gaussian, variance=1.0).at(np.zeros(1))[0] == 1
    with pytest.raises(ValueError, match=r"variance is needed .* log-SNR -inf"):
        FunctionLaw(gaussian).at(np.zeros(1))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GaussianLaw([1.0, -1.0]), "scales must be positive and finite, but one is -1"),
        (lambda: GaussianLaw([1.0, 2.0], [1.0]), "give one count for each"),
        (lambda: SymmetricMixtures(1.0, np.nan), "widths must be finite and not negative, but one is nan"),
        (lambda: SymmetricMixtures([1.0, 0.0], 0.1), "means must be positive and finite, but one is 0"),
        (lambda: TableLaw(np.array([0.0, 1.0]), np.array([1.0, 2.0])), "must not rise with the SNR, but it does after"),
        (lambda: TableLaw(np.array([1.0, 0.0]), np.array([1.0, 0.5])), "increasing finite numbers"),
        (lambda: TableLaw(np.arange(2.0), np.array([1, 0.9]), np.array([-9.0, -0.1])), "take a finer table"),
        (lambda: TableLaw(np.arange(1.0, 3), np.array([1, 0.9])).at(np.array([3.0])), "covers log-SNRs 0 to 0.3466"),
        (lambda: mixture_law(MIXTURE, LOG_SNRS, draws=1), "draws must be at least 2"),
    ],
)
def test_bad_laws_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
