"""The bound of Align Your Steps: that it is the divergence it claims, its derivatives, its optimum and its limit."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, optimize

import numdiff as nd
from numdiff.optimize.objectives.ays import (
    AYS,
    KLUB,
    by_recursion,
    continuum_density,
    continuum_steps,
    continuum_value,
    default_law,
)
from numdiff.optimize.objectives.mmse import FunctionLaw, GaussianLaw, SymmetricMixtures
from numdiff.optimize.objectives.mmse_tables import TableLaw, mixture_law
from numdiff.optimize.window import Window

MIXTURES = SymmetricMixtures([1.0, 0.3, 2.0], [0.2, 0.1, 0.5], [1.0, 2.0, 1.0])
TABLE = mixture_law(
    nd.problems.GaussianMixture([0.4, 0.6], [[1.0, 0.0], [-1.0, 0.5]], [0.1, 0.2]),
    np.concatenate([[-np.inf], np.arange(-5, 4.05, 0.1)]),
    draws=500,
)
FUNCTION = FunctionLaw(lambda lam: (1 / (1 + np.exp(2 * lam)), -2 * np.exp(2 * lam) / (1 + np.exp(2 * lam)) ** 2), 1.0)
LAWS = {"gaussian": GaussianLaw([0.5, 2.0]), "mixtures": MIXTURES, "table": TABLE, "function": FUNCTION}


def bound(law, low=-4.0, high=3.0, steps=6, **options):
    return KLUB(Window(low, high, steps, np.zeros(steps)), law, **options)


def value(law, log_snrs):
    return bound(law, log_snrs[0], log_snrs[-1], len(log_snrs) - 1).evaluate(log_snrs[1:-1]).objective


def minimum(problem, z):
    found = optimize.minimize(
        lambda z: problem.evaluate(z).objective,
        z,
        jac=lambda z: problem.evaluate(z).gradient,
        method="BFGS",
        options={"gtol": 1e-10},
    )
    return found.x, found.fun


# --- what it is ------------------------------------------------------------------------------------------------------


def test_a_step_with_the_denoiser_frozen_is_ddim_with_all_its_noise():
    """Y' = Y + D dg + sqrt(dg) n in Y = g x/alpha, against the tableau of DDIM at eta = 1."""
    schedule = nd.schedules.VPLinear()
    method = nd.DDIM(eta=1.0, formulation=nd.DATA_LOG_SNR)
    levels = [schedule.level(t) for t in (0.9, 0.5, 0.2)]
    for a, b, tableau in zip(levels[:-1], levels[1:], method.discretize(schedule, [0.9, 0.5, 0.2]), strict=True):
        g, h = (a.alpha / a.sigma) ** 2, (b.alpha / b.sigma) ** 2
        expected = [b.alpha / h * g / a.alpha, b.alpha / h * (h - g), b.alpha / h * math.sqrt(h - g)]
        np.testing.assert_allclose([tableau.V[0][0], tableau.B[0][0], tableau.Nb[0][0]], expected, rtol=1e-12)


S = 0.8


def covariance_of(s, a, b):
    """Cov(Y_a, Y_b) of Y_g = g x_0 + W_g for x_0 of variance s^2."""
    return a * b * s**2 + min(a, b)


def covariance(a, b):
    return covariance_of(S, a, b)


def divergence(mean_square, truth, model):
    """E KL of N(m, truth) from N(m', model) where E(m - m')^2 = mean_square."""
    return 0.5 * ((truth + mean_square) / model - 1 - math.log(truth / model))


def chain_divergence(log_snrs, parts):
    """KL of the two chains seen at `parts` equal parts of every step: conditional Gaussians, no stochastic calculus."""
    total = 0.0
    for g, end in itertools.pairwise(np.exp(2 * log_snrs)):
        gain = S**2 / (1 + g * S**2)
        edges = np.linspace(g, end, parts + 1)
        for a, b in itertools.pairwise(edges):
            now, h = S**2 / (1 + a * S**2), b - a
            apart = now**2 * covariance(a, a) + gain**2 * covariance(g, g) - 2 * now * gain * covariance(a, g)
            total += divergence(apart * h * h, h + h * h * now, h)
    return total


LOG_SNRS = np.array([-1.5, -0.4, 0.3, 0.9, 1.3])


@pytest.mark.parametrize("parts", [1, 2, 30])
def test_the_bound_is_the_divergence_of_the_chains_however_finely_they_are_seen(parts):
    assert chain_divergence(LOG_SNRS, parts) == pytest.approx(value(GaussianLaw(S), LOG_SNRS), rel=1e-11)


def step_divergence(mu, s, g, h):
    """E KL of the law of Y_h given Y_g from N(Y_g + D (h - g), h - g) for the mixture +-mu, s: a sum over a plane."""
    a, b = np.meshgrid(np.linspace(-14, 14, 561), np.linspace(-22, 22, 881), indexing="ij")
    matrix = np.array([[covariance_of(s, x, y) for y in (g, h)] for x in (g, h)])

    def log_joint(*points):
        inverse = np.linalg.inv(matrix[: len(points), : len(points)])
        apart = [np.stack([x - k * mu * c for x, c in zip(points, (g, h), strict=False)], axis=-1) for k in (1, -1)]
        forms = [-0.5 * np.einsum("...i,ij,...j", r, inverse, r) for r in apart]
        return np.logaddexp(*forms) + 0.5 * np.linalg.slogdet(inverse / (2 * np.pi))[1] - math.log(2)

    mixture = nd.problems.GaussianMixture([0.5, 0.5], [[mu], [-mu]], [s * s] * 2)
    D = mixture.denoise(a[..., None] / g, nd.schedules.EDM().level(g**-0.5))[..., 0]
    log_model = -((b - a - D * (h - g)) ** 2) / (2 * (h - g)) - 0.5 * math.log(2 * np.pi * (h - g))
    joint = log_joint(a, b)
    return float(np.sum(np.exp(joint) * (joint - log_joint(a) - log_model))) * (28 / 560) * (44 / 880)


def test_the_bound_of_a_mixture_is_the_divergence_of_the_chains():
    mu, s, snr = 1.0, 0.3, np.array([0.5, 1.2, 3.0])
    steps = sum(step_divergence(mu, s, g, h) for g, h in itertools.pairwise(snr))
    assert steps == pytest.approx(value(SymmetricMixtures(mu, s), np.log(snr) / 2), rel=1e-9)


def test_the_bound_is_above_the_divergence_of_the_samples():
    snr = np.exp(2 * LOG_SNRS)
    variance = covariance(snr[0], snr[0])
    for g, h in itertools.pairwise(snr):
        variance = (1 + (h - g) * S**2 / (1 + g * S**2)) ** 2 * variance + h - g
    samples = divergence(0.0, covariance(snr[-1], snr[-1]), variance)
    assert 0 < samples < value(GaussianLaw(S), LOG_SNRS)


def test_laws_of_independent_coordinates_add():
    parts = [SymmetricMixtures(m, s) for m, s in ((1.0, 0.2), (0.3, 0.1), (0.3, 0.1), (2.0, 0.5))]
    assert value(MIXTURES, LOG_SNRS) == pytest.approx(sum(value(law, LOG_SNRS) for law in parts), rel=1e-12)


@given(st.lists(st.floats(-3.9, 2.9), min_size=3, max_size=8, unique=True), st.sampled_from(sorted(LAWS)))
def test_the_bound_is_positive_and_falls_with_every_node_added(inner, name):
    nodes = np.array([-4.0, *sorted(inner), 3.0])
    fewer = value(LAWS[name], np.delete(nodes, 2))
    slack = 1e-9 * fewer + (1e-6 if name == "table" else 0)  # the table's integral is that of its cubics
    assert -slack < value(LAWS[name], nodes) <= fewer + slack


# --- derivatives and ends --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("low", [-4.0, -math.inf])
@pytest.mark.parametrize("name", LAWS)
def test_the_gradient_is_that_of_the_value(name, low):
    problem = bound(LAWS[name], low)
    z = np.array([-2.13, -0.71, 0.32, 1.17, 2.05])
    parts = problem.evaluate(z)
    slopes = [
        (problem.evaluate(z + e).objective - problem.evaluate(z - e).objective) / 2e-5 for e in 1e-5 * np.eye(len(z))
    ]
    np.testing.assert_allclose(parts.gradient, slopes, rtol=1e-6, atol=1e-7 * np.abs(parts.gradient).max())


def test_pure_noise_is_an_ordinary_end():
    far = value(MIXTURES, np.array([-14.0, *LOG_SNRS]))
    assert value(MIXTURES, np.array([-math.inf, *LOG_SNRS])) == pytest.approx(far, rel=1e-8)


def test_an_infinite_clean_end_needs_a_finite_one_in_its_place():
    with pytest.raises(ValueError, match=r"infinite at sigma = 0 .* sigma > 0, or give nd\.optimize\.AYS\(clean="):
        bound(MIXTURES, high=math.inf)
    z = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    open_end, closed = bound(MIXTURES, high=math.inf, clean=3.0), bound(MIXTURES, high=3.0)
    assert open_end.evaluate(z).objective == closed.evaluate(z).objective
    np.testing.assert_array_equal(open_end.evaluate(z).gradient, closed.evaluate(z).gradient)


def test_beyond_the_stand_in_of_the_clean_end_the_bound_rises():
    problem = bound(MIXTURES, high=math.inf, clean=3.0)
    z, beyond = np.array([-2.0, -1.0, 0.0, 1.0, 3.0]), np.array([-2.0, -1.0, 0.0, 1.0, 3.5])
    assert problem.evaluate(beyond).objective > problem.evaluate(z).objective
    assert problem.evaluate(beyond).gradient[-1] > 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: bound(MIXTURES, clean=2.0), "clean is for an infinite end only, but the window ends at 3"),
        (lambda: bound(MIXTURES, high=math.inf, clean=-5.0), "clean must be finite and above the window's low end -4"),
        (lambda: bound(MIXTURES, high=math.inf, clean=math.inf), "clean must be finite"),
        (
            lambda: KLUB(Window(-4.0, 3.0, 2, np.zeros(2), ("beta",), (0.1,), (1.0,)), MIXTURES),
            "does not depend on beta; leave optimize= empty",
        ),
    ],
)
def test_bad_ends_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_objective_makes_the_bound_over_a_trace():
    class Trace:
        window = Window(-4.0, 3.0, 5, np.zeros(5))

    z = np.array([-2.0, -1.0, 0.0, 1.0])
    named = AYS(MIXTURES).problem(Trace).evaluate(z).objective
    assert named == KLUB(Trace.window, MIXTURES).evaluate(z).objective
    assert AYS().problem(Trace).evaluate(z).objective == KLUB(Trace.window, default_law()).evaluate(z).objective
    assert AYS().gap(7.0, 10) * 10 < 7.0


# --- the optimum -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("low", [-3.0, -math.inf])
@pytest.mark.parametrize("steps", [2, 5, 30])
def test_on_a_gaussian_the_best_steps_are_geometric_in_one_plus_the_snr(steps, low):
    """sum_i w_{i+1}/w_i of given product is least for equal ratios: arithmetic and geometric mean."""
    s, high = 0.5, 4.0
    ends = np.log1p(s**2 * np.exp(2 * np.array([low, high])))
    inner = np.log(np.expm1(np.linspace(*ends, steps + 1)[1:-1]) / s**2) / 2
    problem = bound(GaussianLaw(s), low, high, steps)
    best = steps / 2 * math.expm1((ends[1] - ends[0]) / steps) - (ends[1] - ends[0]) / 2
    assert problem.evaluate(inner).objective == pytest.approx(best, rel=1e-11)
    np.testing.assert_allclose(problem.evaluate(inner).gradient, 0, atol=1e-11 * steps * best)
    np.testing.assert_allclose(by_recursion(GaussianLaw(s), low, high, steps)[1:-1], inner, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(problem.start(), inner, atol=1e-4)
    rng = np.random.default_rng(steps)
    assert all(problem.evaluate(inner + 0.1 * rng.normal(size=steps - 1)).objective > best for _ in range(20))


@pytest.mark.parametrize("low", [-4.0, -math.inf])
@pytest.mark.parametrize("steps", [2, 4, 10])
@pytest.mark.parametrize("name", ["mixtures", "default", "function"])
def test_the_recursion_finds_the_minimum_that_an_optimizer_finds(name, steps, low):
    law = default_law() if name == "default" else LAWS[name]
    problem = bound(law, low, steps=steps)
    found, least = minimum(problem, problem.start())
    shot = by_recursion(law, low, 3.0, steps)[1:-1]
    assert problem.evaluate(shot).objective == pytest.approx(least, rel=1e-11)
    np.testing.assert_allclose(shot, found, atol=1e-6)


def test_a_law_that_tells_nothing_between_the_ends_is_refused():
    flat = FunctionLaw(lambda lam: (np.ones_like(lam), np.zeros_like(lam)), 1.0)
    with pytest.raises(ValueError, match=r"m does not fall between log-SNR -1 and 1"):
        by_recursion(flat, -1.0, 1.0, 4)


def test_no_step_lies_where_a_law_is_flat():
    clean = TableLaw(np.array([0.1, 0.4, 1.0, 9.0]), np.array([1.0, 0.7, 0.5, 0.5]))
    ends = np.log([0.1, 9.0]) / 2
    steps = by_recursion(clean, *ends, 4)
    problem = bound(clean, *ends, steps=4)
    assert np.all(steps[1:-1] < 0)
    np.testing.assert_allclose(problem.evaluate(steps[1:-1]).gradient, 0, atol=1e-9)


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_the_steps_follow_the_scale_of_the_data(factor):
    shift = -math.log(factor)
    scaled = SymmetricMixtures(factor * MIXTURES.means, factor * MIXTURES.widths, MIXTURES.counts)
    assert value(scaled, LOG_SNRS + shift) == pytest.approx(value(MIXTURES, LOG_SNRS), rel=1e-11)
    steps = by_recursion(scaled, -4.0 + shift, 3.0 + shift, 6)
    np.testing.assert_allclose(steps, by_recursion(MIXTURES, -4.0, 3.0, 6) + shift, atol=1e-9)


# --- the limit of many steps -----------------------------------------------------------------------------------------


def test_the_continuum_of_a_gaussian_in_closed_form():
    s, lam = 0.7, np.array([-3.0, 0.0, 2.0])
    density = 2 * s**2 * np.exp(2 * lam) / (1 + s**2 * np.exp(2 * lam))
    np.testing.assert_allclose(continuum_density(GaussianLaw(s), lam), density, rtol=1e-13)
    length = math.log(1 + s**2 * math.exp(6)) - math.log(1 + s**2 * math.exp(-4))
    assert continuum_value(GaussianLaw(s), -2.0, 3.0) == pytest.approx(length**2 / 4, rel=1e-12)


@pytest.mark.parametrize("name", ["mixtures", "gaussian"])
def test_the_best_steps_tend_to_the_continuum_and_their_bound_to_its_value(name):
    law, counts = LAWS[name], (20, 40, 80)
    limit = continuum_value(law, -4.0, 3.0)
    best = [by_recursion(law, -4.0, 3.0, n) for n in counts]
    excess = [n * value(law, nodes) / limit - 1 for n, nodes in zip(counts, best, strict=True)]
    apart = [
        np.abs(nodes - continuum_steps(law, -4.0, 3.0, n))[1:-1].max() for n, nodes in zip(counts, best, strict=True)
    ]
    for errors in (excess, apart):  # first order in 1/N
        assert errors[0] > 1.7 * errors[1] > 1.7 * 1.7 * errors[2] > 0
    assert abs(2 * excess[2] - excess[1]) < 0.2 * excess[2]


def test_quantiles_of_the_density_split_its_integral_evenly():
    nodes = continuum_steps(MIXTURES, -4.0, 3.0, 7)
    parts = [
        integrate.simpson(continuum_density(MIXTURES, lam), x=lam)
        for lam in (np.linspace(a, b, 2001) for a, b in itertools.pairwise(nodes))
    ]
    np.testing.assert_allclose(parts, np.mean(parts), rtol=1e-4)
    assert sum(parts) ** 2 / 4 == pytest.approx(continuum_value(MIXTURES, -4.0, 3.0), rel=1e-9)
