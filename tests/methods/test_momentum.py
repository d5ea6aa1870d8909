"""Heavy ball and Nesterov are their recursions in every formulation, and the published identities hold."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import numdiff as nd
from numdiff import testing
from numdiff.phi import phi

SCHEDULE = nd.schedules.VPLinear()
TIMES = np.array([0.95, 0.83, 0.62, 0.55, 0.41, 0.3, 0.17])
ROUNDING = (
    1e-13  # six steps of some twenty operations each on numbers of size 1; x_0 from noise divides by alpha > 0.01
)
spans = st.tuples(st.floats(0.5, 0.95), st.floats(0.05, 0.3))
grids = testing.grids(SCHEDULE, min_steps=3, max_steps=8, max_ratio=10, span=spans)


def model(x, t):
    return np.tanh(1.3 * x) * (1 - t) + 0.2 * np.cos(3 * t)


def run(method, grid=TIMES, schedule=SCHEDULE):
    scheme = method.discretize(schedule, grid)
    return np.array(nd.sample(scheme, model, np.array([1.5, -0.3, 0.2]), prediction="noise", trajectory=True))


def by_hand(grid, beta, order, log_snr, nesterov):
    """The recursion on the normalised mix of one or two evaluations, in noise/ratio or data/log-SNR."""
    levels = [SCHEDULE.level(t) for t in grid]
    x, v, past, path = np.array([1.5, -0.3, 0.2]), None, None, []
    for s, t in itertools.pairwise(levels):
        path.append(x)
        f, node = model(x, s.time), s.log_snr if log_snr else s.rho
        if log_snr:
            f = (x - s.sigma * f) / s.alpha
            xi, W, step = t.sigma / s.sigma, t.alpha - t.sigma * s.alpha / s.sigma, t.log_snr - s.log_snr
            mean = 1 / -np.expm1(-step) - 1 / step  # int_0^h e^{-(h-u)} (u/h) du over its weight 1 - e^{-h}
        else:
            xi, W, step, mean = t.alpha / s.alpha, t.alpha * (t.rho - s.rho), t.rho - s.rho, 0.5
        p = f if past is None or order == 1 else f + (f - past[0]) / (node - past[1]) * step * mean
        v = p if v is None else (1 - beta) * v + beta * p
        x = xi * x + W * ((1 - beta) * v + beta * p if nesterov and path[1:] else v)
        past = (f, node)
    return np.array([*path, x])


@settings(max_examples=20)
@given(grids, st.floats(0.1, 2.0), st.sampled_from([1, 2]), st.booleans(), st.booleans())
def test_the_recursions_of_heavy_ball_and_nesterov(grid, beta, order, log_snr, nesterov):
    base = nd.AdamsBashforth(order, nd.DATA_LOG_SNR if log_snr else nd.NOISE_RATIO)
    method = (nd.Nesterov if nesterov else nd.HeavyBall)(base, beta=beta)
    expected = by_hand(grid, beta, order, log_snr, nesterov)
    # Relative to the largest number that meets: interpolation on nodes 0.005 apart may lose three digits.
    scale = max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(run(method, grid), expected, rtol=0, atol=1e-10 * scale)


@settings(max_examples=10)
@given(grids)
@pytest.mark.parametrize("options", [{}, {"formulation": nd.DATA_LOG_SNR, "rule": "half"}], ids=["ratio", "2M"])
def test_heavy_ball_on_equal_step_ab2_at_two_thirds_is_euler_on_any_grid(options, grid):
    method = nd.HeavyBall(nd.AdamsBashforth(2, weights="uniform", **options), beta=Fraction(2, 3))
    np.testing.assert_allclose(run(method, grid), run(nd.DDIM(options.get("formulation")), grid), atol=ROUNDING)


def test_with_variable_weights_that_identity_needs_equal_steps():
    schedule = nd.schedules.EDM()
    method, even = nd.HeavyBall(nd.AdamsBashforth(2), beta=Fraction(2, 3)), np.linspace(5.0, 1.0, 9)
    np.testing.assert_allclose(run(method, even, schedule), run(nd.DDIM(), even, schedule), atol=ROUNDING)
    assert np.abs(run(method) - run(nd.DDIM())).max() > 1e-3


@pytest.mark.parametrize("wrap", [nd.HeavyBall, nd.Nesterov])
@pytest.mark.parametrize("base", [nd.AdamsBashforth(3), nd.DPMSolverPP(2), nd.GHVB(2, 0.7), nd.DPMSolver(3)], ids=str)
def test_beta_one_is_the_base(wrap, base):
    method = wrap(base, beta=1)
    assert method.order == base.order
    np.testing.assert_allclose(run(method), run(base), atol=ROUNDING)


def test_bdia_is_heavy_ball_on_euler_at_one_plus_gamma():
    """z_{i-1} = gamma (z_{i+1} - DDIM_{i->i+1}(z_i)) + DDIM_{i->i-1}(z_i), alpha constant, equal steps in sigma."""
    sigma, gamma = np.linspace(3.0, 0.5, 11), 0.5
    z = [np.array([1.5, -0.3, 0.2])]
    z.append(z[0] + (sigma[1] - sigma[0]) * model(z[0], sigma[0]))
    for i in range(1, 10):
        eps = model(z[i], sigma[i])
        back, forth = (z[i] + (sigma[j] - sigma[i]) * eps for j in (i - 1, i + 1))
        z.append(gamma * (z[i - 1] - back) + forth)
    found = run(nd.HeavyBall(nd.DDIM(), beta=1 + gamma), sigma, nd.schedules.EDM())
    np.testing.assert_allclose(found, z, atol=1e-11)  # beta = 1.5 is weakly stable: rounding is passed on undamped


@pytest.mark.parametrize("k", [1, 2, 3])
def test_heavy_ball_lags_by_its_error_constant(k):
    """On equal steps and f(s) = s the increment misses the integral by the constant that makes the order one."""
    beta = sp.Symbol("beta", positive=True)
    tableau = nd.HeavyBall(nd.AdamsBashforth(k), beta=beta).steady()
    lag = (1 - beta) / beta + (sp.Rational(1, 2) if k == 1 else 0)  # k = 1: (2 - beta)/(2 beta)
    # Present node s = 0: registers x = 0, f(-1), f(-2), ..., and the velocity of the step before, in steady motion.
    y = [0, *(-j for j in range(1, k)), -sp.Rational(1, 2) - lag]
    new = nd.step(tableau, y, lambda Y, level: sp.Integer(0))
    assert sp.simplify(new[0] - (sp.Rational(1, 2) - lag)) == 0
    assert sp.simplify(new[-1] - (y[-1] + 1)) == 0  # steady: the velocity rises by one a step


def test_the_characteristic_polynomial_of_heavy_ball_on_2m():
    """P(r) = (r - e^-h)(r - 1 + beta) - (1 - e^-h) beta kappa (3r - 1)/2 for data f = kappa x/alpha."""
    beta, kappa, r, h = sp.symbols("beta kappa r h", positive=True)
    tableau = nd.HeavyBall(nd.DPMSolverPP(2, rule="half"), beta=beta).steady(h)
    U, B, V = (sp.Matrix(getattr(tableau, name)) for name in "UBV")
    found = (r * sp.eye(3) - V - kappa * B * U).det().subs(phi(1, -h), (1 - sp.exp(-h)) / h)
    P = (r - sp.exp(-h)) * (r - 1 + beta) - (1 - sp.exp(-h)) * beta * kappa * (3 * r - 1) / 2
    assert sp.simplify(found - r * P) == 0


def test_momentum_may_be_stacked():
    """Heavy ball on heavy ball filters twice."""
    inner = nd.HeavyBall(nd.DDIM(), beta=0.7)
    levels = [SCHEDULE.level(t) for t in TIMES]
    x, v, w, path = np.array([1.5, -0.3, 0.2]), None, None, []
    for s, t in itertools.pairwise(levels):
        path.append(x)
        f = model(x, s.time)
        v = f if v is None else 0.3 * v + 0.7 * f
        w = v if w is None else 0.5 * w + 0.5 * v
        x = t.alpha * (x / s.alpha + (t.rho - s.rho) * w)
    np.testing.assert_allclose(run(nd.HeavyBall(inner, beta=0.5)), [*path, x], atol=ROUNDING)


def test_a_base_without_a_mix_is_refused():
    for wrap in (nd.HeavyBall, nd.Nesterov):
        with pytest.raises(TypeError, match=r"base must be a multistep method such as AdamsBashforth\(2\), got"):
            wrap(nd.Heun(), beta=0.8)
    assert nd.HeavyBall(nd.PLMS(2), beta=0.8).name == "HB(AB2 noise/ratio uniform, 0.8)"


def test_the_26_step_toy():
    """x' = [[0,1],[-9,-10]] x with 26 steps to T = 3 (ICLR 2024): AB2 diverges, Euler and the momentum variants do not.

    The fast eigenvalue is -9, so h lambda = -27/26 lies just outside AB2's interval (-1, 0) and inside the others'.
    """
    toy = nd.problems.momentum_toy()

    def ends(method):
        path = nd.solve_ivp(method, toy.fun, np.linspace(*toy.t_span, 27), toy.y0, trajectory=True)
        return [float(np.abs(y).max()) for y in path]

    heavy = [nd.HeavyBall(nd.AdamsBashforth(2), beta) for beta in (0.8, 0.9)]
    for method in (nd.DDIM(), *heavy, nd.GHVB(2, 0.8), nd.GHVB(2, 0.9)):
        assert nd.stability.real_interval(method) > 27 / 26
        assert ends(method)[-1] < 0.2  # the solution has fallen to 9/8 e^-3 = 0.056
    assert nd.stability.real_interval(nd.AdamsBashforth(2)) < 27 / 26
    growth = ends(nd.AdamsBashforth(2))
    assert growth[-1] > growth[-3] > growth[-5]
