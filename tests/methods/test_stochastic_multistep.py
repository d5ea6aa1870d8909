"""Weak order and exact laws of multistep and predictor-corrector methods that add noise.

Weak order is the order of expectations. On Gaussian data it is read off the exact recursion of the covariance, free of
sampling error; in one dimension on a mixture off the density itself, which is propagated on a grid: two past samples
make the process Markovian, and the noise of a step is a factor in Fourier space.
"""

import math
from itertools import pairwise

import numpy as np
import pytest
import sympy as sp

import numdiff as nd
from numdiff.methods.predictor_corrector import PredictorCorrector
from numdiff.methods.published.classical import DDIM
from numdiff.methods.published.stochastic import DDPM, MisprintedThirdOrder, SDEDPMSolver, SDEDPMSolverPP
from numdiff.sde import Eta, Tau, stochastic

VP = nd.schedules.VPLinear()
GRIDS = pytest.mark.parametrize("pattern", [[1.0], [1.0, 2.0]], ids=["equal", "alternating"])
TOLERANCE = 0.4  # of an observed order: half way to the next one and some room
FORMULATIONS = ("data/log-snr", "noise/log-snr", "noise/ratio")


def grid(pattern, steps, low=-2.0, high=2.0):
    """Times between the log-SNRs `low` and `high`, steps in log-SNR of the pattern."""
    s = np.cumsum([0.0, *np.tile(pattern, steps // len(pattern))])
    return [VP.time(float(x)) for x in low + (high - low) * s / s[-1]]


def variance_error(method, pattern, steps):
    """Return the norm of the variances' errors over several scales, since at one alone it may pass through zero."""
    scheme = method.discretize(VP, grid(pattern, steps))
    errors = nd.spectral.errors(scheme, [0.2, 0.35, 0.5, 0.8], 1.0)
    assert np.abs(errors.mean).max() < 1e-2 * np.abs(errors.variance).max() + 1e-12  # data of one mean: it is hit
    return np.linalg.norm(errors.variance)


def observed(method, pattern, steps=64):
    return np.log2(variance_error(method, pattern, steps) / variance_error(method, pattern, 2 * steps))


# --- weak order, on Gaussian data exactly -----------------------------------------------------------------------------


LEVELS = [Tau(1), Tau(0.5), Tau(1, -1.0, 1.0, "log_snr")]


@GRIDS
@pytest.mark.parametrize(("formulation", "level"), list(zip(FORMULATIONS, LEVELS, strict=True)), ids=str)
@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_adams_has_weak_order_two_from_two_evaluations_on(k, formulation, level, pattern):
    """And no more: the noises in the past evaluations carry the right covariance, but steps late."""
    method = nd.AdamsBashforth(k, stochastic(formulation, level))
    assert method.weak_order == min(k, 2)
    assert abs(observed(method, pattern) - method.weak_order) < TOLERANCE


@pytest.mark.parametrize(("formulation", "level"), list(zip(FORMULATIONS, LEVELS, strict=True)), ids=str)
@pytest.mark.parametrize("options", [{}, {"mode": "PECE"}, {"corrector": 1}], ids=str)
@pytest.mark.parametrize("k", [1, 2, 3])
def test_predictor_correctors_have_weak_order_two(k, options, formulation, level):
    method = PredictorCorrector(k, stochastic(formulation, level), **options)
    assert method.weak_order == min(method.order, 2)
    assert abs(observed(method, [1.0, 2.0]) - method.weak_order) < TOLERANCE


OTHERS = [
    (SDEDPMSolverPP(2, rule="half"), 2),
    (SDEDPMSolver(2, rule="half"), 2),
    (SDEDPMSolverPP(3, rule="3m-heun"), 2),
    (nd.AdamsBashforth(1, stochastic(eta=0.5)), 1),
    (nd.AdamsBashforth(2, stochastic(eta=0.5)), 2),
    (nd.AdamsBashforth(3, stochastic(eta=1)), 2),
    (DDPM(), 1),
    (DDPM("fixed-large"), 1),
    (nd.AdamsBashforth(2, stochastic(eta=Eta(1, "large"))), 1),
]


@GRIDS
@pytest.mark.parametrize(("method", "order"), OTHERS, ids=lambda x: str(x))
def test_other_members_have_the_weak_order_they_claim(method, order, pattern):
    assert method.weak_order == order
    assert abs(observed(method, pattern) - order) < TOLERANCE


def test_the_sign_misprint_of_third_order_converges_on_equal_steps_only():
    method = MisprintedThirdOrder()
    assert method == SDEDPMSolverPP(3, rule="sign")
    assert (method.order, method.weak_order) == (1, 0)
    assert abs(observed(method, [1.0], 384) - 1) < TOLERANCE
    coarse, fine = (variance_error(method, [1.0, 2.0], n) for n in (96, 384))
    assert fine > coarse  # the error grows


@pytest.mark.parametrize("misprint", ["3m-heun", "sign"])
def test_weights_of_the_misprints_are_the_published_expressions(misprint):
    """As k-diffusion ("3m-heun") and diffusers ("sign") write them, for alpha = 1 and steps h, r_0 h, r_1 h."""
    h, r0, r1 = 0.7, 1.5, 0.8
    phi_2 = math.expm1(-2 * h) / (2 * h) + 1
    published = {"3m-heun": -(phi_2 / (2 * h) - 0.5), "sign": (1 - math.exp(-2 * h) - 2 * h) / (2 * h) ** 2 - 0.5}
    first, second = np.array([1, -1, 0]) / r0, np.array([0, 1, -1]) / r1
    D1, D2 = first + (first - second) * r0 / (r0 + r1), (first - second) / (r0 + r1)
    expected = -math.expm1(-2 * h) * np.array([1, 0, 0]) + phi_2 * D1 + published[misprint] * D2
    found = SDEDPMSolverPP(3, rule=misprint).coefficients(h=h, ratios=[1 / r0, r0 / r1])
    np.testing.assert_allclose(np.array(found, float), expected, rtol=1e-12)
    exact = nd.AdamsBashforth(3, stochastic()).coefficients(h=h, ratios=[1 / r0, r0 / r1])
    twice = -math.expm1(-2 * h) * np.array([1, 0, 0]) + phi_2 * D1 - 2 * (phi_2 / (2 * h) - 0.5) * D2
    np.testing.assert_allclose(np.array(exact, float), twice, rtol=1e-12)


# --- weak order, exactly ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_stationary_variance_of_the_linear_equation(k):
    """dx = a x dt + dW has the stationary variance -1/(2a); of Adams methods it follows from the Yule-Walker equations.

    The ratio is 1 - z/2 + ... for Euler-Maruyama and 1 + c z^2 + ... with c not 0 for all others, z = a h.
    """
    z = sp.Symbol("z")
    weights = nd.AdamsBashforth(k, "noise/ratio").coefficients()
    a = [sp.Integer(j == 0) + z * sp.Rational(w.numerator, w.denominator) for j, w in enumerate(weights)]
    g = sp.symbols(f"g0:{k + 1}")
    equations = [g[m] - sum(a[j] * g[abs(m - 1 - j)] for j in range(k)) - int(m == 0) for m in range(k + 1)]
    ratio = sp.series(sp.cancel(sp.solve(equations, g)[g[0]] * -2 * z), z, 0, 3).removeO()
    first = next(j for j in (1, 2) if ratio.coeff(z, j) != 0)
    assert ratio.coeff(z, 0) == 1
    assert first == min(k, 2)


@pytest.mark.parametrize("pattern", [[1.0], [1.0, 2.0], [1.0, 1.7, 0.6]], ids=str)
@pytest.mark.parametrize("k", [2, 3, 4])
def test_past_noises_carry_the_covariance_of_a_step(k, pattern):
    """Why: the weights have the first moment of the kernel, sum_j omega_j u_j = int e^{c(h-u)} u du, on any grid."""
    formulation = stochastic("data/log-snr", 1)
    method, levels = nd.AdamsBashforth(k, formulation), [VP.level(t) for t in grid(pattern, 12)]
    scheme = method.discretize(VP, levels)
    for n in range(k - 1, scheme.steps):
        here, there, t = levels[n], levels[n + 1], scheme.tableaus[n]
        weights, h = (t.B[0][0], *t.V[0][1:]), there.log_snr - here.log_snr
        moment = sum(w * (levels[n - j].log_snr - here.log_snr) for j, w in enumerate(weights))
        exact = 2 * there.alpha * (math.exp(-2 * h) - 1 + 2 * h) / 4
        assert moment == pytest.approx(exact, rel=1e-9)


# --- weak order, on a mixture by its density --------------------------------------------------------------------------

LAW = nd.problems.GaussianMixture([0.6, 0.4], [[-0.8], [1.1]], [[0.2], [0.05]])
X = np.linspace(-6.5, 6.5, 131)
DX = X[1] - X[0]
K = np.pi / DX * np.linspace(-1, 1, 131)[:, None]
TESTS = (X**2, np.cos(2 * X), np.tanh(3 * X))


def density(level):
    return np.exp(LAW.log_density(X[:, None], level))


def moved(P, a, b, s):
    """Return the density of (x', x) for x' = a(x) + b(past) + s z, from P[x, past]."""
    past = P @ np.exp(-1j * K * b).T * DX
    spectrum = past * np.exp(-1j * K * a).T * np.exp(-((K * s) ** 2) / 2).T
    return (spectrum @ np.exp(1j * K * X)).real.T * (K[1, 0] - K[0, 0]) / (2 * np.pi)


def multistep_law(scheme):
    """Return the density of the last sample of AB1 or AB2."""
    P = density(scheme.levels[0])[:, None] * density(scheme.levels[0])[None, :]  # the past is not used yet
    past = np.zeros_like(X)
    for n, t in enumerate(scheme):
        f = LAW.predict(X[:, None], scheme.levels[n], scheme.prediction)[:, 0]
        b = t.V[0][1] * past if len(t.V) == 2 and n else 0 * X
        P = moved(P, t.V[0][0] * X + t.B[0][0] * f, b, t.Nb[0][0])
        past = f
    return P.sum(1) * DX


def corrector_law(scheme):
    """Return the same for PEC1, whose predictions are Markovian: x_n = p_n + w F(p_n) + v F(p_{n-1})."""
    P = density(scheme.levels[0])[:, None] * density(scheme.levels[0])[None, :]
    present, past = X, 0 * X  # x_n = present(p_n) + past(p_{n-1})
    for n, t in enumerate(scheme.tableaus[1:]):
        f = LAW.predict(X[:, None], scheme.levels[n], scheme.prediction)[:, 0]
        xi, omega = t.U[0] if t.stages else t.V[0][:2]
        P = moved(P, xi * present + omega * f, xi * past, t.Nb[0][0])
        if t.stages:
            after = LAW.predict(X[:, None], scheme.levels[n + 1], scheme.prediction)[:, 0]
            present, past = X + t.B[0][0] * after, (t.V[0][1] - omega) * f
    return P.sum(1) * DX


def mixture_errors(method, law, steps, pattern):
    scheme = method.discretize(VP, grid(pattern, steps, -1.0, 0.8))
    found, true = law(scheme), density(scheme.levels[-1])
    assert abs(found.sum() * DX - 1) < 1e-6  # the grid resolves it
    return np.array([((found - true) * g).sum() * DX for g in TESTS])


MAKE = {
    "AB1": lambda f: nd.AdamsBashforth(1, f),
    "AB2": lambda f: nd.AdamsBashforth(2, f),
    "half": lambda f: nd.AdamsBashforth(2, f, rule="half"),
    "PEC1": lambda f: PredictorCorrector(1, f),
}


@pytest.mark.parametrize("pattern", [[1.0, 2.0]], ids=["alternating"])
@pytest.mark.parametrize("formulation", FORMULATIONS)
@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE.keys())
def test_weak_order_on_a_mixture(make, formulation, pattern):
    method = make(stochastic(formulation, 1))
    law = corrector_law if isinstance(method, PredictorCorrector) else multistep_law
    coarse, fine = (np.linalg.norm(mixture_errors(method, law, steps, pattern)) for steps in (24, 48))
    assert abs(np.log2(coarse / fine) - method.weak_order) < 0.2


# --- strong order -----------------------------------------------------------------------------------------------------


def on_one_path(method, formulation, steps, x, W):
    """Return the run whose noises are the increments of the path W, given at the levels of the finest grid."""
    levels = [VP.level(t) for t in grid([1.0], steps, -1.0, 1.0)]
    stride = (len(W) - 1) // steps
    scheme = method.discretize(VP, levels)
    opening = len(scheme) - steps  # tableaus that complete no step

    def noise(index, column):
        n = index - opening
        start, end = scheme.tableaus[index].clocks[column]
        return (W[(n + 1) * stride] - W[n * stride]) / math.sqrt(end - start)

    return nd.sample(scheme, LAW.model(VP, formulation.prediction), x, prediction=formulation.prediction, noise=noise)


@pytest.mark.parametrize(
    ("make", "formulation"),
    [("AB1", "data/log-snr"), ("AB2", "data/log-snr"), ("AB2", "noise/ratio"), ("PEC1", "noise/log-snr")],
)
def test_strong_order_one_on_one_brownian_path(make, formulation):
    """Additive noise: runs on finer grids of the same path converge to one another with order 1, for every method."""
    formulation, rng, n = stochastic(formulation, 1), np.random.default_rng(3), 400
    method, levels = MAKE[make](formulation), [VP.level(t) for t in grid([1.0], 512, -1.0, 1.0)]
    times = np.array([formulation.span(a, b, 1).clock for a, b in pairwise(levels)])
    increments = np.sqrt(times[:, 1] - times[:, 0])[:, None, None] * rng.standard_normal((512, n, 1))
    W = np.concatenate([np.zeros((1, n, 1)), np.cumsum(increments, 0)])
    x = LAW.sample_level(n, levels[0], 4)
    runs = [on_one_path(method, formulation, steps, x, W) for steps in (128, 256, 512)]
    gaps = [np.mean(np.abs(a - b)) for a, b in pairwise(runs)]
    assert abs(np.log2(gaps[0] / gaps[1]) - 1) < TOLERANCE


# --- simulation -------------------------------------------------------------------------------------------------------

SIMULATED = [
    SDEDPMSolverPP(1),
    SDEDPMSolverPP(2),
    SDEDPMSolverPP(2, rule="half"),
    SDEDPMSolverPP(3),
    SDEDPMSolverPP(3, rule="3m-heun"),
    MisprintedThirdOrder(),
    PredictorCorrector(2, stochastic("data/log-snr", 0.8)),
    PredictorCorrector(1, stochastic("data/log-snr", Tau(1, 0.3, 0.7))),
    nd.AdamsBashforth(1, stochastic(eta=0.5)),
    DDPM("fixed-large"),
    SDEDPMSolver(2),
    nd.AdamsBashforth(3, stochastic("noise/ratio", 0.7)),
    nd.GHVB(2, 0.7, stochastic("noise/ratio", 0.7)),
    nd.HeavyBall(nd.AdamsBashforth(2, stochastic()), 0.7),
]


@pytest.mark.parametrize("method", SIMULATED, ids=str)
@pytest.mark.parametrize("end", [0.0, 0.15])
def test_simulation_has_the_mean_and_variance_of_the_recursion(method, end):
    """10^5 runs on Gaussian data of means (0.5, -1) and deviations (0.6, 0.2), within four standard errors."""
    mu, s, n = np.array([0.5, -1.0]), np.array([0.6, 0.2]), 100_000
    gaussian, rng = nd.problems.GaussianMixture([1.0], [mu], [s**2]), np.random.default_rng(11)
    scheme = method.discretize(VP, [0.95, 0.75, 0.6, 0.45, 0.3, end])
    first = scheme.levels[0]
    start = np.hypot(first.alpha * s, first.sigma)
    x = first.alpha * mu + start * rng.standard_normal((n, 2))
    found = nd.sample(scheme, gaussian.model(VP, "data"), x, prediction="data", generator=rng)
    response = nd.spectral.response(scheme, s)
    mean, variance = response.drift * mu, (response.gain * start) ** 2 + response.noise_variance
    assert (np.abs(found.mean(0) - mean) < 4 * np.sqrt(variance / n)).all()
    assert (np.abs(found.var(0) / variance - 1) < 4 * math.sqrt(2 / n)).all()


def test_noise_without_steps_apart_is_independent_of_the_data():
    """At tau = 1 from alpha = 0 the sample forgets its start: the gain of the whole run is 0 on any data."""
    scheme = SDEDPMSolverPP(2).discretize(nd.schedules.Flow(), np.linspace(1.0, 0.0, 6))
    np.testing.assert_array_equal(nd.spectral.response(scheme, [0.1, 1.0]).gain, 0)


# --- claims and doors -------------------------------------------------------------------------------------------------


def test_a_method_without_noise_claims_no_weak_order():
    assert [m.weak_order for m in (nd.AdamsBashforth(2), PredictorCorrector(2), SDEDPMSolverPP(2, tau=0))] == [None] * 3
    assert SDEDPMSolverPP(2, tau=0) == nd.DPMSolverPP(2)
    assert SDEDPMSolverPP(3, rule="3m-heun", tau=0) == nd.DPMSolverPP(3, rule="3m-heun")
    assert SDEDPMSolver(2, rule="half", tau=0) == nd.DPMSolver(2, rule="half")
    assert MisprintedThirdOrder("data/log-snr").weak_order is None


def test_aliases_refuse_what_is_not_published():
    with pytest.raises(ValueError, match="misprint of order 3"):
        SDEDPMSolverPP(2, rule="sign")
    with pytest.raises(ValueError, match="must be data"):
        MisprintedThirdOrder("noise/ratio")
    with pytest.raises(ValueError, match="variance must be"):
        DDPM("learned")
    with pytest.raises(ValueError, match="eta belongs to data"):
        DDIM("noise/ratio", eta=0.5)


def test_the_steps_to_the_data_and_from_pure_noise_of_the_misprint():
    scheme = MisprintedThirdOrder().discretize(nd.schedules.Flow(), np.linspace(1.0, 0.0, 6))
    assert all(math.isfinite(x) for t in scheme for row in (*t.B, *t.V, *t.Nb) for x in row)
    assert not scheme.tableaus[-1].noises


def test_deterministic_order_of_the_misprint_is_one():
    method, found = MisprintedThirdOrder("data/log-snr"), []
    for steps in (128, 256):
        scheme = method.discretize(VP, grid([1.0, 2.0], steps), start="runge-kutta")
        found.append(abs(nd.spectral.errors(scheme, 0.5).variance))
    assert abs(np.log2(found[0] / found[1]) - 1) < TOLERANCE
