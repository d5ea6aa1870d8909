"""Strong and weak orders: textbook theorems on geometric Brownian motion, and numdiff's own stochastic methods.

For dX = a X dt + b X dW the solution is X_0 exp((a - b^2/2) T + b W_T); Euler and Maruyama's method has strong order
1/2 and weak order 1, Milstein's has 1 and 1 (Kloeden, Platen, 10.2, 10.3, 14.1).
"""

from functools import lru_cache

import numpy as np
import pytest

import numdiff as nd
from numdiff.noise import BrownianPath

A, B, T, PATHS = 0.5, 0.8, 1.0, 400
STEPS = (8, 16, 32, 64)
FINEST = 256  # four times the last
VP = nd.schedules.VPLinear()


def increments(n, seed, sign=1):
    """Increments of the Brownian path of a seed over n steps, shape (n, PATHS)."""
    fine = np.random.default_rng(seed).standard_normal((FINEST, PATHS)) * np.sqrt(T / FINEST)
    return sign * fine.reshape(n, FINEST // n, PATHS).sum(axis=1)


def euler(n, seed, sign=1):
    x = np.ones(PATHS)
    for dw in increments(n, seed, sign):
        x = x * (1 + A * T / n + B * dw)
    return x


def milstein(n, seed, sign=1):
    x = np.ones(PATHS)
    for dw in increments(n, seed, sign):
        x = x * (1 + A * T / n + B * dw + B**2 / 2 * (dw**2 - T / n))
    return x


def solution(seed):
    return np.exp((A - B**2 / 2) * T + B * increments(1, seed)[0])


# --- strong -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "order"), [(euler, 0.5), (milstein, 1.0)])
@pytest.mark.parametrize("reference", [None, solution], ids=["refined", "exact"])
def test_strong_orders_of_the_textbook(method, order, reference):
    estimate = nd.order.strong(method, STEPS, seeds=8, reference=reference)
    assert estimate.interval[0] < order < estimate.interval[1]
    assert estimate.slope == pytest.approx(order, abs=0.15)


def test_standard_errors_are_those_of_repetition():
    """The spread of the errors over disjoint sets of seeds is the standard error that each of them states."""
    found = [nd.order.strong(milstein, STEPS, seeds=[2 * i, 2 * i + 1], reference=solution) for i in range(24)]
    spread = np.std([one.errors for one in found], axis=0)
    stated = np.mean([one.uncertainty for one in found], axis=0)
    np.testing.assert_allclose(stated, spread, rtol=0.5)  # 24 spreads are good to 15 %, of heavy tails worse


def test_one_path_a_seed_is_as_good_as_many_paths_of_one():
    """The spread between seeds counts: that of X^2 over M paths is std(X^2)/M^(1/2), however they are dealt out."""
    z = np.random.default_rng(0).standard_normal(40)
    options = {"reference": lambda seed: 0.0}
    single = nd.order.strong(lambda n, seed: z[seed] / n, STEPS, seeds=40, **options)
    together = nd.order.strong(
        lambda n, seed: z[seed * 10 : seed * 10 + 10] / n, STEPS, seeds=4, reference=lambda seed: np.zeros(10)
    )
    n, root = np.array(STEPS), np.sqrt(np.mean(z**2))
    np.testing.assert_allclose(single.errors, root / n, rtol=1e-12)
    np.testing.assert_allclose(single.uncertainty, np.std(z**2, ddof=1) / 40**0.5 / (2 * root) / n, rtol=1e-12)
    np.testing.assert_allclose(together.uncertainty, single.uncertainty, rtol=1e-12)


@pytest.mark.parametrize(("method", "order"), [(euler, 0.5), (milstein, 1.0)])
def test_intervals_of_few_paths_hold_the_order(method, order):
    """The next term of the error is no small one at 8 steps, and hidden by chance."""
    hits = 0
    for k in range(12):
        low, high = nd.order.strong(method, STEPS, seeds=range(4 * k, 4 * k + 4), reference=solution).interval
        hits += low < order < high
    assert hits >= 11


def test_complex_samples_are_compared_by_absolute_values():
    def turned(n, seed):
        return np.exp(0.7j) * euler(n, seed)

    plain, seen = (nd.order.strong(run, STEPS, seeds=2) for run in (euler, turned))
    np.testing.assert_allclose(seen.errors, plain.errors, rtol=1e-10)
    np.testing.assert_allclose(seen.uncertainty, plain.uncertainty, rtol=1e-10)
    means = [nd.order.weak(run, STEPS, seeds=2, functional=lambda x: x) for run in (euler, turned)]
    np.testing.assert_allclose(means[1].errors, means[0].errors, rtol=1e-10)
    np.testing.assert_allclose(means[1].uncertainty, means[0].uncertainty, rtol=1e-10)


# --- weak -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("antithetic", [False, True])
def test_weak_order_on_common_noise(antithetic):
    estimate = nd.order.weak(euler, STEPS, seeds=24, antithetic=antithetic)
    assert estimate.interval[0] < 1 < estimate.interval[1]
    assert estimate.slope == pytest.approx(1, abs=0.3)


def test_a_mirrored_path_takes_variance_away():
    """Exactly: E X X' of a path and its mirror image is the product of (1 + ah)^2 - b^2 h, E X^2 that with a plus."""
    options = {"seeds": 20, "functional": lambda x: x, "expectation": np.exp(A * T)}
    plain, pairs = (nd.order.weak(euler, (2, 4, 8), antithetic=pair, **options) for pair in (False, True))
    n = np.array([2, 4, 8])
    square, noise = (1 + A * T / n) ** 2, B**2 * T / n
    covariance, variance = ((square + sign * noise) ** n - square**n for sign in (-1, 1))
    ratio = np.sqrt((1 + covariance / variance) / 2)
    assert ratio.max() < 0.5
    # standard errors of 8000 paths of heavy tails, good to a few per cent
    np.testing.assert_allclose(np.divide(pairs.uncertainty, plain.uncertainty), ratio, rtol=0.1)


def test_a_known_expectation_has_the_variance_of_the_functional():
    """E X = e^(A T): the error is the mean's own, its standard error std(X)/sqrt(M), by the textbook."""
    estimate = nd.order.weak(euler, (2, 4, 8), functional=lambda x: x, expectation=np.exp(A * T), seeds=50)
    ends = [np.concatenate([euler(n, seed) for seed in range(50)]) for n in (2, 4, 8)]
    for n, error, bar, x in zip(estimate.steps, estimate.errors, estimate.uncertainty, ends, strict=True):
        exact = abs((1 + A * T / n) ** n - np.exp(A * T))
        assert abs(error - exact) < 4 * x.std() / np.sqrt(len(x)), n
        if error > 3 * bar:  # far from 0 the error is the mean's distance, with the mean's standard error
            assert bar == pytest.approx(x.std() / np.sqrt(len(x)), rel=0.1)


def test_the_square_of_chance_is_taken_away():
    """400 means, each 0.3/n with a standard error of 0.1: their root mean square is (0.09/n^2 + 0.01)^(1/2)."""

    def run(n, seed):
        return 0.3 / n + np.random.default_rng([seed, n]).standard_normal((100, 400))

    estimate = nd.order.weak(run, (1, 2, 3), functional=lambda x: x, expectation=np.zeros(400), seeds=1)
    for n, error in zip(estimate.steps, estimate.errors, strict=True):
        # the sum of 400 squares is good to 0.01 (2/400)^(1/2) + 2 0.03/n 400^(-1/2), 4 of which are allowed
        assert abs(error**2 - 0.09 / n**2) < 4 * (0.01 * (2 / 400) ** 0.5 + 0.06 / n * 0.05)


def test_where_chance_is_all_there_is_no_slope():
    estimate = nd.order.weak(milstein, (32, 64, 128), functional=lambda x: x, expectation=np.exp(A * T), seeds=2)
    assert not estimate.defined
    assert "statistical error at every N" in estimate.cause
    assert "more paths" in estimate.cause


# --- numdiff's own ----------------------------------------------------------------------------------------------------

GAUSSIAN = nd.problems.Gaussian([0.5, -1.0], [[0.5, 0.2], [0.2, 0.3]])
METHODS = {
    "SA": nd.SASolver(2),
    "SDE-DPM-Solver++ 1": nd.SDEDPMSolverPP(1),
    "SDE-DPM-Solver++ 2": nd.SDEDPMSolverPP(2),
    "ancestral": nd.Ancestral(nd.DDIM()),
}
FIRST, LAST, FINE = 0.9, 0.1, 128


class Path:
    """W at the levels of the finest grid, by independent increments: cheaper than any clock's `BrownianPath`."""

    def __init__(self, method, seed, sign):
        self.clocks = clocks_of(method, FINE)
        self.rng, self.sign = np.random.default_rng(seed), sign

    def bind(self, x, scheme):
        steps = np.diff(self.clocks)
        walk = self.rng.standard_normal((len(steps), *x.shape)) * np.sqrt(steps)[:, None, None]
        value = np.concatenate([np.zeros((1, *x.shape)), np.cumsum(walk, axis=0)])

        def draw(index, column):
            ends = [float(t) for t in list(scheme)[index].clocks[column]]
            low, high = (int(np.argmin(np.abs(self.clocks - t))) for t in ends)
            np.testing.assert_allclose(self.clocks[[low, high]], ends, rtol=1e-9)
            return self.sign * (value[high] - value[low]) / np.sqrt(ends[1] - ends[0])

        return draw


@lru_cache
def clocks_of(method, n):
    found = [float(t) for tableau in layout(method, n) for clock in tableau.clocks for t in clock]
    found = np.sort(found)
    return found[np.append(True, np.diff(found) > 1e-9 * np.abs(found[1:]))]


@lru_cache
def layout(method, n):
    return method.discretize(VP, nd.grids.uniform_log_snr(VP, steps=n, t_start=FIRST, t_end=LAST))


def sampler(method, paths, mean=1.0):
    """Return a run from samples of the right law, or with another factor of their mean."""
    true = VP.level(FIRST).alpha * np.array([0.5, -1.0])

    def run(n, seed, sign=1):
        start = mean * true + sign * (GAUSSIAN.sample_level(paths, VP.level(FIRST), seed) - true)
        return nd.sample(layout(method, n), GAUSSIAN.model(VP), start, noise=Path(method, seed, sign))

    return run


@pytest.mark.parametrize("name", METHODS)
def test_own_methods_have_strong_order_one(name):
    """One path, one noise a step that is additive: strong order 1, whatever the order of the drift's quadrature."""
    estimate = nd.order.strong(sampler(METHODS[name], 200), (16, 32, 64), seeds=2, refine=2)
    assert estimate.slope == pytest.approx(1, abs=0.2)


AFFINE = [nd.SASolver(2, tau=0.3), nd.SDEDPMSolverPP(1, tau=0.3), nd.SDEDPMSolverPP(2, tau=0.3)]


@pytest.mark.parametrize("method", AFFINE, ids=str)
def test_mirrored_noise_leaves_the_mean_of_own_methods_without_statistics(method):
    """On Gaussian data a run is affine, so the mean of a mirrored pair is the run without noise, of the weak order."""
    run = sampler(method, 4, mean=2.0)  # the true mean would be met exactly
    estimate = nd.order.weak(run, (8, 16, 32, 64), seeds=1, functional=lambda x: x, antithetic=True, refine=2)
    # rounding of samples of size 1 beside errors of 1e-4 to 1e-7
    assert max(estimate.uncertainty) < 1e-14
    assert estimate.slope > method.weak_order - 0.2  # of one moment, which may be better than all
    if method.weak_order == 1:
        assert estimate.slope == pytest.approx(1, abs=0.1)


def test_means_are_exact_where_the_data_prediction_is_a_martingale():
    """E[x_0 | x_t] is one along the reverse diffusion, tau = 1: whoever keeps it for a step is right on average."""
    run = sampler(METHODS["SDE-DPM-Solver++ 1"], 4, mean=2.0)
    estimate = nd.order.weak(run, (8, 16, 32), seeds=1, functional=lambda x: x, antithetic=True, refine=2)
    assert "exact here" in estimate.cause


@pytest.mark.slow
def test_own_method_has_its_weak_order_in_all_moments():
    method = METHODS["SDE-DPM-Solver++ 1"]
    estimate = nd.order.weak(sampler(method, 4000), (8, 16, 32, 64), seeds=8, antithetic=True, refine=2)
    assert estimate.interval[0] < 1 < estimate.interval[1]
    assert estimate.slope == pytest.approx(1, abs=0.3)


def test_brownian_paths_drive_strong_runs():
    """The package's own path, of which the runs of one seed see the same increments whatever their clocks."""

    def run(n, seed):
        x = GAUSSIAN.sample_level(20, VP.level(FIRST), seed)
        return nd.sample(layout(METHODS["SA"], n), GAUSSIAN.model(VP), x, noise=BrownianPath(seed))

    assert nd.order.strong(run, (8, 16, 32), seeds=1, refine=2).slope == pytest.approx(1, abs=0.4)


# --- doors ------------------------------------------------------------------------------------------------------------


def test_noise_must_come_from_the_seed():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="must come from the seed"):
        nd.order.strong(lambda n, seed: rng.standard_normal(5), STEPS)


def test_failed_runs_are_named():
    estimate = nd.order.strong(lambda n, seed: np.full(3, np.nan) if n == 8 else milstein(n, seed)[:3], STEPS, seeds=40)
    assert "not finite at N = 8" in estimate.cause


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"seeds": 0}, ValueError, "at least one"),
        ({"seeds": [1, 1]}, ValueError, "each once"),
        ({"seeds": True}, TypeError, "seeds"),
        ({"seeds": 2.5}, TypeError, "seeds must be a sequence of whole numbers, .* got 2.5"),
        ({"seeds": [0, 1.5]}, TypeError, "seeds must be whole numbers, got 1.5"),
        ({"reference": 1.0}, TypeError, "reference must be a function"),
        ({"reference": lambda seed: None}, TypeError, r"reference\(0\) returns must be numbers, got None"),
        ({"refine": 1}, ValueError, "refine"),
        ({"reference": lambda seed: np.zeros(3)}, ValueError, r"shape \(3,\)"),
    ],
)
def test_bad_input(options, error, message):
    with pytest.raises(error, match=message):
        nd.order.strong(milstein, STEPS, **options)


def test_bad_functionals():
    with pytest.raises(ValueError, match="a row for each path"):
        nd.order.weak(euler, STEPS, functional=np.mean)
    with pytest.raises(ValueError, match="the functional has 1"):
        nd.order.weak(euler, STEPS, functional=lambda x: x, expectation=[1.0, 2.0])
    with pytest.raises(ValueError, match="at most"):
        nd.order.weak(lambda n, seed: np.ones((2, 400)), STEPS)
    with pytest.raises(ValueError, match="one path"):
        nd.order.strong(lambda n, seed: 1 / n, STEPS, seeds=1)
