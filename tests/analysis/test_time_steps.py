"""What the scripts on time steps say, against closed forms and against the library's other routes."""

import importlib
import math

import numpy as np
import pytest
from scipy.stats import spearmanr

import numdiff as nd
from numdiff.study.mixtures import CLEAN, SCHEDULE


@pytest.fixture(scope="module")
def objectives():
    return importlib.import_module("analysis.time_steps_objectives")


@pytest.fixture(scope="module")
def density():
    return importlib.import_module("analysis.time_steps_density")


@pytest.fixture(scope="module")
def sensitivity():
    return importlib.import_module("analysis.time_steps_sensitivity")


def test_rank_correlations_are_those_of_scipy(objectives):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 5, 40))
    y = y + x
    y[:, 3] = y[:, 7]  # a tie
    expected = [spearmanr(a, b).statistic for a, b in zip(x, y, strict=True)]
    np.testing.assert_allclose(objectives.spearman(x, y), expected, rtol=1e-12)


def test_random_schedules_rise_between_the_ends(objectives):
    nodes = objectives.schedules(10, 50, 3)
    assert (np.diff(nodes, axis=1) > 0).all()
    np.testing.assert_allclose(nodes[:, [0, -1]], np.tile(objectives.ends(), (50, 1)), rtol=1e-14)
    assert np.std(nodes[:, 5]) > 0.2


def test_gains_are_those_of_the_spectral_response(density):
    scheme = nd.DPMSolverPP(3).discretize(SCHEDULE, nd.grids.power(SCHEDULE, 8, t_end=CLEAN))
    response = nd.spectral.response(scheme, density.WIDTHS)
    np.testing.assert_allclose(density.gain_errors(scheme), response.gain / response.exact - 1, rtol=1e-9, atol=1e-13)


def test_the_banks_errors_tend_to_the_integrals_of_its_paths(density):
    """log-SNR steps of order 1: N times the residuals, extrapolated from N = 60 and 120."""
    bank = density.MixtureBank(problems=12)
    line = density.LINE
    weights = np.gradient(line)
    weights[[0, -1]] /= 2
    expected = -(density.bank_errors(bank, 1) * weights).sum(1) * (line[-1] - line[0])

    def scaled(n):
        window = nd.optimize.Window(line[0], line[-1], n, np.zeros(n))
        ends = tuple(SCHEDULE.level(t) for t in (SCHEDULE.T, CLEAN))
        trace = importlib.import_module("numdiff.optimize.compiled").Trace(
            nd.DPMSolverPP(1), SCHEDULE, ends, window, {}
        )
        problem = bank.problem(trace)
        error = problem.errors(np.linspace(line[0], line[-1], n + 1)[1:-1])["error"]
        mean, width, _, _ = bank.mixtures()
        return n * error / (np.hypot(mean, width) ** bank.power * math.sqrt(len(mean)))

    coarse, fine = scaled(60), scaled(120)
    size = np.abs(expected).max()
    assert np.abs(fine - expected).max() < 0.6 * np.abs(coarse - expected).max()
    assert np.abs(2 * fine - coarse - expected).max() < 0.02 * size


def test_the_bound_of_positive_weights_tends_to_its_integral(sensitivity):
    from scipy.integrate import quad

    integral = quad(lambda x: 1 / math.sqrt(1 + math.exp(2 * x)), sensitivity.LOW, sensitivity.HIGH, epsabs=1e-12)[0]
    assert sensitivity.constant() == pytest.approx(integral, rel=1e-10)
    first = sensitivity.quadrature((100, 200, 400))["order 1"]
    away = np.array(first) - integral
    assert 0.4 < away[1] / away[0] < 0.55
    assert 0.4 < away[2] / away[1] < 0.55


def test_scaled_data_have_scaled_images(sensitivity):
    case = sensitivity.steps.unseen(16)[0]
    moved = sensitivity.scaled(case, 2.0)
    x = case.mixture.sample_level(5, SCHEDULE.level(0.5), 0)
    level = SCHEDULE.level(0.3)
    doubled = nd.problems.GaussianMixture(
        case.mixture.weights, 2 * case.mixture.means, 4 * case.mixture.spectrum.variances
    )
    np.testing.assert_allclose(moved.mixture.noise(x, level), doubled.noise(x, level), rtol=1e-9, atol=1e-12)
