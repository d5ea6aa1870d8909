"""BDIA: its published formula, heavy ball, leapfrog, the inverse, orders, ends and doors, exactly where possible."""

import pickle
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
import torch

import numdiff as nd
from numdiff.formulations import DATA_LOG_SNR, NOISE_RATIO, VELOCITY_TIME
from numdiff.level import Level
from numdiff.methods.bdia import BDIA

VP = nd.schedules.VPLinear()
MIXTURE = nd.problems.mixtures()["correlated"]
GAMMA = Fraction(9, 10)


def exact_levels(alphas, rhos):
    return [
        Level(time=n, alpha=a, sigma=a * r, model_time=n) for n, (a, r) in enumerate(zip(alphas, rhos, strict=True))
    ]


ALPHAS = [Fraction(a, 10) for a in (2, 3, 5, 8, 9)]
ROUGH = exact_levels(ALPHAS, [Fraction(r) for r in (12, 7, 6, 2, 1)])
EQUAL = exact_levels(ALPHAS, [Fraction(r) for r in (9, 7, 5, 3, 1)])
CONSTANT = exact_levels([Fraction(1)] * 5, [Fraction(r) for r in (9, 7, 5, 3, 1)])


def field(x, level):
    """Any nonlinear field, exact on rationals."""
    return x * x / 100 - x / 7 + level.rho / 3


def run(tableaus, x, registers=()):
    state = [x, *registers, *[None] * (tableaus[0].registers - 1 - len(registers))]
    path = [x]
    for tableau in tableaus:
        state = nd.step(tableau, state, field)
        path.append(state[0])
    return path, state


def ddim(x, here, there, eps):
    return there.alpha / here.alpha * x + (there.sigma - there.alpha * here.sigma / here.alpha) * eps


# --- identities in exact arithmetic -----------------------------------------------------------------------------------


@pytest.mark.parametrize("gamma", [1, GAMMA, Fraction(3, 2)])
@pytest.mark.parametrize("levels", [ROUGH, EQUAL, CONSTANT], ids=["rough", "equal", "constant alpha"])
def test_the_tableaus_are_the_published_formula(gamma, levels):
    path, _ = run(BDIA(gamma).program(levels, NOISE_RATIO), Fraction(3))
    x = [Fraction(3)]
    x.append(ddim(x[0], levels[0], levels[1], field(x[0], levels[0])))
    for n in range(1, 4):
        eps = field(x[n], levels[n])
        back = ddim(x[n], levels[n], levels[n - 1], eps)
        x.append(gamma * (x[n - 1] - back) + ddim(x[n], levels[n], levels[n + 1], eps))
    assert path == x


@pytest.mark.parametrize("gamma", [1, GAMMA])
def test_on_equal_steps_it_is_the_heavy_ball_on_ddim(gamma):
    """beta = 1 + gamma where alpha is constant, beta_n = 1 + gamma alpha_{n-1}/alpha_{n+1} elsewhere."""
    base = nd.AdamsBashforth(1)
    ball = nd.HeavyBall(base, 1 + gamma).program(CONSTANT, NOISE_RATIO)
    assert run(ball, Fraction(3))[0] == run(BDIA(gamma).program(CONSTANT, NOISE_RATIO), Fraction(3))[0]
    betas = [1] + [1 + gamma * EQUAL[n - 1].alpha / EQUAL[n + 1].alpha for n in range(1, 4)]
    varying = [nd.HeavyBall(base, beta) for beta in betas]
    first = nd.HeavyBall(base, Fraction(1, 2)).program(EQUAL, NOISE_RATIO)[
        0
    ]  # stores the velocity; beta does not matter
    later = [m.program(EQUAL, NOISE_RATIO)[n] for n, m in enumerate(varying) if n]
    assert run([first, *later], Fraction(3))[0] == run(BDIA(gamma).program(EQUAL, NOISE_RATIO), Fraction(3))[0]


def test_gamma_1_is_the_leapfrog():
    path, _ = run(BDIA().program(CONSTANT, NOISE_RATIO), Fraction(3))
    for n in range(1, 4):
        assert path[n + 1] == path[n - 1] + (CONSTANT[n + 1].rho - CONSTANT[n - 1].rho) * field(path[n], CONSTANT[n])


@pytest.mark.parametrize("gamma", [1, GAMMA, Fraction(1, 3)])
@pytest.mark.parametrize("levels", [ROUGH, EQUAL], ids=["rough", "equal"])
def test_the_inverse_undoes_every_step_exactly(gamma, levels):
    path, (last, before) = run(BDIA(gamma).program(levels, NOISE_RATIO), Fraction(3))
    assert BDIA(gamma).reverse().reverse() == BDIA(gamma)
    back = BDIA(gamma).reverse().program(levels[::-1], NOISE_RATIO)[1:]
    assert run(back, before, (last,))[0] == path[-2::-1]


@pytest.mark.parametrize("formulation", [NOISE_RATIO, DATA_LOG_SNR])
def test_the_formulations_are_the_same_method(formulation):
    grid, x = nd.grids.uniform_t(VP, steps=9), MIXTURE.sample_level(5, VP.level(1.0), 0)
    reference = nd.sample(BDIA(0.9).discretize(VP, grid), MIXTURE.model(VP), x)
    found = nd.sample(BDIA(0.9, formulation).discretize(VP, grid), MIXTURE.model(VP, "data"), x, prediction="data")
    np.testing.assert_allclose(found, reference, rtol=0, atol=1e-10)
    flow = nd.schedules.Flow()
    grid = np.linspace(0.9, 0.1, 8)
    runs = [
        nd.sample(BDIA(0.9, f).discretize(flow, grid), MIXTURE.model(flow, "flow"), x, prediction="flow")
        for f in (formulation, VELOCITY_TIME, None)
    ]
    np.testing.assert_allclose(runs[0], runs[1], rtol=0, atol=1e-11)
    assert (runs[1] == runs[2]).all()


def test_the_steady_step_is_that_of_a_run():
    gamma = sp.Symbol("gamma", positive=True)
    assert BDIA(gamma).coefficients() == (1 - gamma, gamma, 1 + gamma)
    levels = exact_levels([Fraction(1)] * 4, [Fraction(r) for r in (15, 7, 3, 1)])  # ratio 1/2
    step, steady = BDIA(GAMMA).program(levels, NOISE_RATIO)[2], BDIA(GAMMA).steady(Fraction(-2), ratio=Fraction(1, 2))
    assert (step.V, step.B) == (steady.V, steady.B)
    h = sp.log(2)
    levels = exact_levels([1] * 3, [sp.Integer(4), sp.Integer(2), sp.Integer(1)])
    step, steady = BDIA(GAMMA, DATA_LOG_SNR).program(levels, DATA_LOG_SNR)[1], BDIA(GAMMA, DATA_LOG_SNR).steady(h)
    difference = [
        a - b
        for p, q in zip((*step.V, *step.B), (*steady.V, *steady.B), strict=True)
        for a, b in zip(p, q, strict=True)
    ]
    assert all(sp.simplify(sp.nsimplify(d)) == 0 for d in difference)


# --- orders -----------------------------------------------------------------------------------------------------------


def error(gamma, grid):
    x = MIXTURE.sample_level(8, VP.level(grid[0]), 1)
    exact = MIXTURE.flow(VP, x, grid[0], grid[-1]).x
    return np.sqrt(np.mean((nd.sample(BDIA(gamma).discretize(VP, grid), MIXTURE.model(VP), x) - exact) ** 2))


def rough_grid(steps):
    """Steps of lengths 1, 2, 1, 2 ... in rho."""
    s = np.cumsum([0.0, *np.tile([1.0, 2.0], steps // 2)])
    rho = 5 + (0.5 - 5) * s / s[-1]
    return np.array([VP.time(-np.log(r)) for r in rho])


def smooth_grid(steps):
    return nd.grids.uniform_log_snr(VP, steps=steps, t_start=0.7, t_end=0.2)


@pytest.mark.parametrize(("gamma", "grid", "order"), [(1, smooth_grid, 2), (0.5, smooth_grid, 1), (1, rough_grid, 1)])
def test_orders(gamma, grid, order):
    """Two on smooth grids for gamma = 1 (also where alpha varies), one otherwise."""
    errors = [error(gamma, grid(n)) for n in (128, 256, 512)]
    slopes = np.log2(np.array(errors[:-1]) / errors[1:])
    assert np.abs(slopes - order).max() < 0.25


def test_claims():
    assert (BDIA().order, BDIA(0.9).order, BDIA().weak_order) == (2, 1, None)
    assert (BDIA().stages, BDIA().nfe(7), BDIA().samples, BDIA().points) == (1, 7, 2, 1)
    assert BDIA().discretize(VP, np.linspace(1, 0.1, 8)).nfe == 7
    assert str(BDIA()) == "BDIA(1)"
    assert str(BDIA(0.96, "data/log-snr")) == "BDIA(0.96, data/log-snr)"
    assert pickle.loads(pickle.dumps(BDIA(GAMMA))) == BDIA(GAMMA)
    assert hash(BDIA(0.5)) == hash(BDIA(Fraction(1, 2)))


def test_gradients_flow_to_gamma():
    x, grid = torch.tensor([[1.5, -0.25]], dtype=torch.float64), np.linspace(0.9, 0.1, 7)

    def value(gamma):
        return nd.sample(BDIA(gamma).discretize(VP, grid), lambda x, t: t * x / (1 + x * x), x).sum()

    gamma = torch.tensor(0.9, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(value(gamma), gamma)
    assert float(slope) == pytest.approx(float(value(0.9 + 1e-5) - value(0.9 - 1e-5)) / 2e-5, rel=1e-6)


# --- ends and doors ---------------------------------------------------------------------------------------------------


def test_arriving_at_sigma_0():
    """Its own step by default, which is the limit of the formula; a plain DDIM step on request."""
    x, grid = MIXTURE.sample_level(4, VP.level(1.0), 0), np.linspace(1.0, 0.0, 9)
    near = np.append(grid[:-1], 1e-13)
    own, limit = (nd.sample(BDIA(0.9).discretize(VP, g), MIXTURE.model(VP), x) for g in (grid, near))
    np.testing.assert_allclose(own, limit, rtol=0, atol=1e-5)  # sigma is 1e-7 there
    path = nd.sample(BDIA(0.9).discretize(VP, grid, final="denoise"), MIXTURE.model(VP), x, trajectory=True)
    np.testing.assert_allclose(path[-1], MIXTURE.denoise(path[-2], VP.level(grid[-2])), rtol=1e-12)
    data = nd.sample(BDIA(0.9, "data/log-snr").discretize(VP, grid), MIXTURE.model(VP), x)
    np.testing.assert_allclose(data, own, rtol=0, atol=1e-10)


def test_leaving_alpha_0():
    flow, x = nd.schedules.Flow(), np.random.default_rng(0).standard_normal((4, 2))
    grid = np.linspace(1.0, 0.1, 9)
    runs = [
        nd.sample(BDIA(0.9, f).discretize(flow, grid), MIXTURE.model(flow, "flow"), x, prediction="flow")
        for f in ("data/log-snr", None)
    ]
    np.testing.assert_allclose(*runs, rtol=0, atol=1e-11)
    with pytest.raises(ValueError, match="cannot start at alpha = 0"):
        BDIA(0.9, "noise/ratio").discretize(flow, grid)
    with pytest.raises(ValueError, match="cannot start at sigma = 0"):
        BDIA(0.9, "data/log-snr").reverse().discretize(flow, grid[::-1] - 0.1)


@pytest.mark.parametrize("gamma", [0, -1, float("inf"), float("nan")])
def test_gamma_out_of_range_is_refused(gamma):
    with pytest.raises(ValueError, match="gamma must be positive and finite"):
        BDIA(gamma)


def test_other_nonsense_is_refused():
    for gamma in (None, "1", True, [1], np.ones(2), 1j):
        with pytest.raises(TypeError, match="gamma must be one"):
            BDIA(gamma)
    for formulation in ("noise/log-snr", "data/ratio", nd.sde.stochastic()):
        with pytest.raises(ValueError, match="formulation must be one of"):
            BDIA(1, formulation)
    with pytest.raises(ValueError, match="contains the symbol g"):
        BDIA(sp.Symbol("g", positive=True)).discretize(VP, [1.0, 0.5])
