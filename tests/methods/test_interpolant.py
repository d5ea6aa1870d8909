"""Stochastic interpolants against the formulas of SiT typed afresh, the flow they come from, and exact Gaussians."""

import itertools
import math

import numpy as np
import pytest

import numdiff as nd
from numdiff.methods.interpolant import DIFFUSIONS, Interpolant, SiT
from numdiff.sde import stochastic
from tests.peers import MIXTURE

FLOW = nd.schedules.Flow()
NOISES = np.random.default_rng(5).standard_normal((40, 6, 2))
ALL = [(rule, diffusion) for rule in ("euler", "heun") for diffusion in DIFFUSIONS]


# --- SiT's own formulas: time r runs forward from noise (0) to data (1), x = alpha data + sigma noise -----------------


class Sit:
    """The equations of the paper for the paths (alpha, sigma)(r), with the exact velocity of the mixture."""

    def __init__(self, schedule, diffusion, norm):
        self.schedule, self.diffusion, self.norm = schedule, diffusion, norm

    def path(self, r):
        t = 1 - r
        return (
            float(self.schedule.alpha(t)),
            -float(self.schedule.d_alpha(t)),
            float(self.schedule.sigma(t)),
            -float(self.schedule.d_sigma(t)),
        )

    def velocity(self, x, r):
        return -MIXTURE.predict(x, self.schedule.level(1 - r), "velocity")

    def score(self, x, r):
        alpha, d_alpha, sigma, d_sigma = self.path(r)
        ratio = alpha / d_alpha
        return (ratio * self.velocity(x, r) - x) / (sigma**2 - ratio * d_sigma * sigma)

    def D(self, r):
        alpha, d_alpha, sigma, d_sigma = self.path(r)
        return {
            "constant": lambda: self.norm,
            "sbdm": lambda: self.norm * (d_alpha / alpha * sigma**2 - sigma * d_sigma),
            "sigma": lambda: self.norm * sigma,
            "linear": lambda: self.norm * (1 - r),
            "decreasing": lambda: 0.25 * (self.norm * math.cos(math.pi * r) + 1) ** 2,
            "increasing-decreasing": lambda: self.norm * math.sin(math.pi * r) ** 2,
        }[self.diffusion]()

    def drift(self, x, r):
        return self.velocity(x, r) + self.D(r) * self.score(x, r)

    def step(self, rule, x, r, dt, z):
        kick = math.sqrt(2 * self.D(r) * dt) * z
        if rule == "euler":
            return x + self.drift(x, r) * dt + kick
        y = x + kick
        first = self.drift(y, r)
        return y + dt / 2 * (first + self.drift(y + dt * first, r + dt))

    def last(self, kind, x, r, dt):
        alpha, _, sigma, _ = self.path(r)
        if kind == "tweedie":
            return x / alpha + sigma**2 / alpha * self.score(x, r)
        return x + dt * (self.drift(x, r) if kind == "mean" else self.velocity(x, r))


def check_run(schedule, rule, diffusion, norm, last):
    r = np.append(np.linspace(0.02, 0.96, 12), 1.0)
    peer = Sit(schedule, diffusion, norm)
    x = y = MIXTURE.sample_level(6, schedule.level(1 - r[0]), 3)
    for n, (here, there) in enumerate(itertools.pairwise(r[:-1])):
        y = peer.step(rule, y, here, there - here, NOISES[n])
    y = peer.last(last, y, r[-2], r[-1] - r[-2])
    scheme = SiT(rule, diffusion, norm=norm, last=last).discretize(schedule, 1 - r)
    model = MIXTURE.model(schedule, "velocity")
    found = nd.sample(scheme, model, x, prediction="velocity", noise=lambda index, column: NOISES[index])
    np.testing.assert_allclose(found, y, rtol=0, atol=1e-10 * np.abs(y).max())
    assert scheme.nfe == (12 if rule == "euler" else 23)


@pytest.mark.parametrize(("rule", "diffusion"), ALL)
@pytest.mark.parametrize("schedule", [FLOW, nd.schedules.VPLinear()], ids=lambda s: s.name)
def test_runs_of_sit(schedule, rule, diffusion):
    check_run(schedule, rule, diffusion, 0.7, "mean")


@pytest.mark.parametrize("last", ["mean", "tweedie", "euler"])
@pytest.mark.parametrize("rule", ["euler", "heun"])
def test_last_steps_of_sit(rule, last):
    check_run(FLOW, rule, "sigma", 1.0, last)


# --- the flow ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rule", "flow"), [("euler", nd.FlowEuler()), ("heun", nd.Heun("velocity/time"))])
@pytest.mark.parametrize("schedule", [FLOW, nd.schedules.Flow(3.0), nd.schedules.VPLinear()], ids=str)
def test_without_noise_it_is_the_flow_bit_by_bit(rule, flow, schedule):
    last = "euler" if rule == "euler" else "tweedie"  # Runge-Kutta runs end with the denoised estimate
    method, grid = Interpolant(rule, "sigma", 0, last=last), np.linspace(0.97, 0.0, 9)
    assert not method.stochastic
    assert method.weak_order is None
    found, expected = (m.discretize(schedule, grid) for m in (method, flow))
    x, model = MIXTURE.sample_level(6, found.levels[0], 3), MIXTURE.model(schedule, "velocity")
    runs = [nd.sample(scheme, model, x, prediction="velocity") for scheme in (found, expected)]
    if rule == "euler":
        np.testing.assert_array_equal(*runs)
    np.testing.assert_allclose(*runs, rtol=1e-13)
    assert found.nfe == expected.nfe
    assert method.steady().B == flow.steady().B
    assert method.steady().A == flow.steady().A


def test_a_plain_equation_is_solved_without_noise_and_refused_with_it():
    grid = np.linspace(0, 1, 5)
    found = nd.solve_ivp(Interpolant("heun", "sigma", 0), lambda t, y: -y, grid, 1.0)
    np.testing.assert_allclose(found, nd.solve_ivp(nd.Heun(), lambda t, y: -y, grid, 1.0), rtol=1e-15)
    with pytest.raises(ValueError, match="a plain ODE has none"):
        nd.solve_ivp(Interpolant(), lambda t, y: -y, grid, 1.0)


# --- the law ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("rule", "diffusion"), ALL)
@pytest.mark.parametrize("pattern", [[1.0], [1.0, 2.0]], ids=["equal", "alternating"])
def test_weak_order_one_on_gaussian_data(rule, diffusion, pattern):
    """The variance of the generated Gaussian, exactly, against that of the flow's marginal."""
    method, found = Interpolant(rule, diffusion, 0.8), []
    for steps in (256, 512):
        s = np.cumsum([0.0, *np.tile(pattern, steps // len(pattern))])
        scheme = method.discretize(FLOW, 0.9 - 0.7 * s / s[-1])
        found.append(abs(nd.spectral.errors(scheme, 0.6, 0.5).variance))
    assert method.weak_order == 1
    assert abs(np.log2(found[0] / found[1]) - 1) < 0.1


@pytest.mark.parametrize("rule", ["euler", "heun"])
def test_simulation_has_the_variance_of_the_recursion(rule):
    """Mean and variance of 2 10^5 runs of Gaussian data, within four standard errors."""
    gaussian, n = nd.problems.GaussianMixture([1.0], [[0.5]], [[0.36]]), 200_000
    scheme = Interpolant(rule, "sigma").discretize(FLOW, [0.9, 0.6, 0.35, 0.1, 0.0])
    rng, first = np.random.default_rng(2), scheme.levels[0]
    x = first.alpha * 0.5 + math.hypot(first.alpha * 0.6, first.sigma) * rng.standard_normal((n, 1))
    model = gaussian.model(FLOW, "velocity")
    found = nd.sample(scheme, model, x, prediction="velocity", noise=lambda i, j: rng.standard_normal((n, 1)))
    response = nd.spectral.response(scheme, 0.6)
    variance = response.gain**2 * (first.alpha**2 * 0.36 + first.sigma**2) + response.noise_variance
    assert abs(found.mean() - response.drift * 0.5) < 4 * math.sqrt(variance / n)
    assert abs(found.var() / variance - 1) < 4 * math.sqrt(2 / n)


@pytest.mark.parametrize("schedule", [nd.schedules.VPLinear(), FLOW, nd.schedules.EDM()], ids=lambda s: s.name)
@pytest.mark.parametrize("tau", [0.5, 1.0])
def test_sbdm_is_the_diffusion_of_the_noise_level_tau(schedule, tau):
    """2 D dt is the variance of a short step of the stochastic formulations, to first order in the step."""
    t, formulation = 0.6, stochastic("data/log-snr", tau)
    D = Interpolant(norm=tau**2).half_squared(schedule.level(t))
    gaps = [formulation.span(schedule.level(t), schedule.level(t - dt)).noise ** 2 / (2 * dt) for dt in (1e-3, 5e-4)]
    assert abs(gaps[0] / D - 1) < 0.02
    assert abs((gaps[0] - D) / (gaps[1] - D) - 2) < 0.02


# --- numbers and doors ------------------------------------------------------------------------------------------------


def test_clocks_follow_time():
    scheme = Interpolant("heun", "linear").discretize(FLOW, [0.9, 0.5, 0.2])
    assert [t.clocks for t in scheme] == [((-0.9, -0.5),), ((-0.5, -0.2),)]


def test_starts_at_pure_noise_where_the_diffusion_is_finite():
    scheme = Interpolant(diffusion="sigma").discretize(FLOW, [1.0, 0.5, 0.0])
    assert all(math.isfinite(x) for t in scheme for row in (*t.B, *t.V) for x in row)
    with pytest.raises(ValueError, match="infinite at alpha = 0"):
        Interpolant().discretize(FLOW, [1.0, 0.5, 0.0])


def test_denoise_returns_the_denoised_estimate():
    first, second = (
        Interpolant(diffusion="sigma", last=last).discretize(FLOW, [0.9, 0.3, 0.0], final=final).tableaus[-1]
        for last, final in (("tweedie", None), ("mean", "denoise"))
    )
    assert first.B == second.B
    assert first.V == second.V
    assert not first.noises


def test_without_a_last_step_euler_adds_noise_to_the_end():
    assert Interpolant(diffusion="constant", last=None).discretize(FLOW, [0.9, 0.3, 0.0]).tableaus[-1].noises == 1


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"rule": "milstein"}, "rule must be"),
        ({"diffusion": "SBDM"}, "diffusion must be"),
        ({"last": "Mean"}, "last must be"),
        ({"norm": -1}, "norm must be at least 0 and finite"),
        ({"norm": math.nan}, "norm must be at least 0 and finite"),
        ({"rule": "heun", "last": None}, "Heun"),
    ],
)
def test_bad_options(options, match):
    with pytest.raises(ValueError, match=match):
        Interpolant(**options)


def test_bad_uses():
    with pytest.raises(TypeError, match="one number"):
        Interpolant(norm="1")
    with pytest.raises(ValueError, match="no steady step"):
        Interpolant().steady()
    with pytest.raises(ValueError, match="leads to the noise"):
        Interpolant(diffusion="sigma").discretize(FLOW, [0.1, 0.5, 0.9])
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        Interpolant(diffusion="linear").discretize(nd.schedules.EDM(), [80.0, 1.0, 0.1])
