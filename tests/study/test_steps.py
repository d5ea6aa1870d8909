"""The cases on which time steps are judged: exact models, references, and a bootstrap that is one."""

import numpy as np
import pytest

import numdiff as nd
from numdiff.optimize import orders
from numdiff.problems import GaussianMixture
from numdiff.study import published_timesteps, steps
from numdiff.study.mixtures import CLEAN, SCHEDULE

CASES = {case.name: case for case in (*steps.tuning(64), *steps.unseen(64))}


def plain(mixture):
    """The same mixture with the formulas of the package."""
    return GaussianMixture(mixture.weights, mixture.means, mixture.spectrum)


def test_the_two_sets_share_nothing():
    first, second = steps.tuning(), steps.unseen()
    assert len(second) >= 8
    assert not {c.name for c in first} & {c.name for c in second}
    assert not {c.seed for c in first} & {c.seed for c in second}
    known = list(nd.problems.mixtures().values())
    for case in second:
        for other in (*(c.mixture for c in first), *known):
            same = other.means.shape == case.mixture.means.shape
            assert not (same and np.allclose(other.means, case.mixture.means))
    assert {c.mixture.dimension for c in second} >= {2, 16, 64}


@pytest.mark.parametrize("name", CASES)
def test_coordinates_have_the_stated_variance_and_zero_mean(name):
    mixture = CASES[name].mixture
    scale = {"wide-12": 2.0, "large-8": 3.0, "small-10": 0.3}.get(name, 1.0)
    np.testing.assert_allclose(np.trace(mixture.covariance) / mixture.dimension, scale**2, rtol=1e-12)
    np.testing.assert_allclose(mixture.mean, 0, atol=1e-12 * scale)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("t", [1.0, 0.3, 0.05, CLEAN])
def test_matrix_products_give_the_conditional_means(name, t):
    mixture, level = CASES[name].mixture, SCHEDULE.level(t)
    x = mixture.sample_level(32, level, 5)
    for prediction in ("data", "noise", "v", "score"):
        expected = plain(mixture).predict(x, level, prediction)
        # x^2/s <= 1e5 is what may cancel in the logits, and a mean moves by that times the spread of the modes.
        size = np.abs(expected).max() + np.abs(mixture.means).max()
        np.testing.assert_allclose(mixture.predict(x, level, prediction), expected, rtol=0, atol=1e-11 * size)


@pytest.mark.parametrize("name", ["lattice-2", "random-5"])
def test_references_are_those_of_the_plain_mixture_and_state_their_error(name):
    case = CASES[name]
    found, error = case.reference
    expected = plain(case.mixture).flow(SCHEDULE, case.noises, 1.0, CLEAN, rtol=1e-12)
    np.testing.assert_allclose(found, expected.x, rtol=0, atol=1e-9)
    assert error.max() < 1e-9


def test_errors_of_a_fine_scheme_vanish_and_one_step_is_far():
    case = CASES["pair-3"]
    fine = nd.DPMSolverPP(3).discretize(SCHEDULE, steps.SIMPLE["log-SNR"](None, 400), start="runge-kutta")
    coarse = nd.DDIM().discretize(SCHEDULE, steps.SIMPLE["log-SNR"](None, 1))
    assert np.median(case.errors(fine)) < 1e-6 < 0.1 < np.median(case.errors(coarse))


def test_simple_grids_run_between_the_same_ends():
    for name, rule in steps.SIMPLE.items():
        times = rule(nd.DDIM(), 6)
        assert times[0] == 1.0, name
        assert times[-1] == CLEAN, name
        assert len(times) == 7, name


@pytest.mark.parametrize("n", [2, 3, 4, 5, 9])
def test_lowered_orders_are_the_published_ones(n):
    published = tuple(published_timesteps.order(k, n) for k in range(n))
    assert orders.lowered(3, n) == published
    scheme = steps.lowered(steps.SIMPLE["log-SNR"])(nd.DPMSolverPP(3), n)
    assert [sum(w != 0 for w in (*t.B[0], *t.V[0][1:])) for t in scheme] == list(published)


def test_score_is_the_geometric_mean_of_the_cases_and_takes_schemes_for_grids():
    cases, method = steps.tuning(64)[:2], nd.DPMSolverPP(2)
    found = steps.score(steps.SIMPLE["quadratic t"], method, (6, 9), cases)
    pairs = np.array([found["cases"][case.name][6] for case in cases])
    rms, median = np.sqrt(pairs.prod(axis=0))
    assert found["rms"][6] == pytest.approx(rms)
    assert found["median"][6] == pytest.approx(median)
    e = cases[0].errors(method.discretize(SCHEDULE, steps.SIMPLE["quadratic t"](method, 9)))
    assert found["cases"]["pair-3"][9] == pytest.approx((np.sqrt(np.mean(e**2)), np.median(e)))

    def laid_out(method, n):
        return method.discretize(SCHEDULE, steps.SIMPLE["quadratic t"](method, n))

    assert steps.score(laid_out, method, (6, 9), cases) == found
    assert steps.gain(found, found) == 1


def test_a_budget_is_never_exceeded_and_one_that_is_too_small_scores_nan():
    rule, heun = steps.SIMPLE["log-SNR"], nd.Heun()
    assert steps.scheme_of(rule, heun, 9).nfe <= 9
    assert steps.scheme_of(rule, heun, 3) is None
    found = steps.score(rule, heun, (3,), steps.tuning(64)[:1])
    assert np.isnan(found["rms"][3])


@pytest.mark.parametrize("points", [40, 41, 300])
def test_bootstrap_values_are_those_of_the_repeated_samples(points):
    counts = steps.resamples(points, 30, seed=4)
    assert np.all(counts.sum(axis=1) == points)
    errors = np.random.default_rng(8).lognormal(size=(2, 3, points))
    rms, medians = steps.resampled_rms(errors, counts), steps.resampled_medians(errors, counts)
    for b, count in enumerate(counts.astype(int)):
        drawn = np.repeat(errors, count, axis=-1)
        np.testing.assert_allclose(rms[b], np.sqrt((drawn**2).mean(axis=-1)), rtol=1e-12)
        np.testing.assert_allclose(medians[b], np.median(drawn, axis=-1), rtol=1e-15)


def test_counts_that_are_no_bootstrap_are_refused():
    counts = np.zeros((1, 4000))
    counts[0, 0] = 4000
    with pytest.raises(ValueError, match="outside ranks"):
        steps.resampled_medians(np.arange(4000.0)[None], counts)
