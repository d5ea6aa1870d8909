"""Published samplers under different names that are one method: the same tableaus, or the same runs to rounding."""

from fractions import Fraction

import numpy as np
import pytest

import numdiff as nd
from numdiff.methods.ancestral import EulerAncestral
from numdiff.methods.bdia import BDIA
from numdiff.methods.published.correctors import SASolver, UniP
from numdiff.methods.published.single_step import DPM2, RES, DPMSolverSingle
from numdiff.methods.published.stochastic import SDEDPMSolverPP
from numdiff.sde import stochastic

SCHEDULE = nd.schedules.VPLinear()
FLOW = nd.schedules.Flow()
MIXTURE = nd.problems.mixtures()["correlated"]
ROUNDING = 1e-12
"""Twenty steps of a dozen operations each; alpha and sigma reach 0.01."""


def rough(first=0.9, last=0.05, steps=20):
    """Times whose steps alternate 2:1."""
    s = np.append(0.0, np.cumsum(np.tile([1.0, 2.0], steps // 2)))
    return first + (last - first) * s / s[-1]


def run(method, schedule=SCHEDULE, grid=None, **options):
    grid = rough() if grid is None else grid
    x = MIXTURE.sample_level(5, schedule.level(grid[0]), 2)
    return nd.sample(method.discretize(schedule, grid, **options), MIXTURE.model(schedule), x)


def same(first, second, **options):
    expected = run(second, **options)
    np.testing.assert_allclose(run(first, **options), expected, rtol=0, atol=ROUNDING * np.abs(expected).max())


def noises(seed):
    rng = np.random.default_rng(seed)
    drawn = {}
    return lambda index, column: drawn.setdefault((index, column), rng.standard_normal((5, 2)))


SAME_FLOW = [
    ("UniP-2 bh2 is 2M midpoint", UniP(2, rule="bh2"), nd.DPMSolverPP(2, rule="half")),
    ("UniP-3 is exponential Adams 3", UniP(3), nd.AdamsBashforth(3, nd.DATA_LOG_SNR)),
    ("SA-3 predictor at tau 0 is exponential Adams 3", SASolver(3, 0, tau=0), nd.AdamsBashforth(3, nd.DATA_LOG_SNR)),
    ("UniP-3 in noise is DEIS log-rho", UniP(3, nd.NOISE_LOG_SNR), nd.DEIS(3, "log-rho")),
    ("SA-Solver at tau 0 is UniPC", SASolver(2, 3, tau=0), nd.UniPC(2)),
    ("LMS is rho-AB", nd.LMS(4), nd.DEIS(4, "rho")),
    ("DPM2 is DPM-Solver-2", DPM2(), DPMSolverSingle(2, nd.NOISE_LOG_SNR, rule="dpmsolver")),
    ("RES 2S is 2S in its exact form", RES(2), DPMSolverSingle(2, rule="exact")),
    ("DDIM in data and noise", nd.DDIM("data/log-snr"), nd.DDIM("noise/ratio")),
]


@pytest.mark.parametrize(("first", "second"), [case[1:] for case in SAME_FLOW], ids=[case[0] for case in SAME_FLOW])
def test_one_method_under_two_names(first, second):
    same(first, second)


def test_flow_euler_is_ddim_where_alpha_and_sigma_are_linear():
    same(nd.FlowEuler(), nd.DDIM("noise/ratio"), schedule=FLOW)


def test_euler_ancestral_is_the_first_order_sde_solver():
    """With the same noise: eta = 1 is tau = 1."""
    grid = rough()
    x = MIXTURE.sample_level(5, SCHEDULE.level(grid[0]), 2)
    model = MIXTURE.model(SCHEDULE)
    members = EulerAncestral(), SDEDPMSolverPP(1), nd.AdamsBashforth(1, stochastic(eta=1)), SASolver(1, 0, tau=1)
    first, *others = (nd.sample(m.discretize(SCHEDULE, grid), model, x, noise=noises(4)) for m in members)
    for found in others:
        np.testing.assert_allclose(found, first, rtol=0, atol=ROUNDING * np.abs(first).max())


@pytest.mark.parametrize("gamma", [Fraction(1), Fraction(3, 4)])
def test_bdia_is_heavy_ball_on_equal_ratio_steps_with_constant_alpha(gamma):
    """In exact arithmetic: every tableau moves the sample and its predecessor alike."""
    levels = [nd.Level(time=s, alpha=Fraction(1), sigma=s, model_time=s) for s in map(Fraction, (6, 5, 4, 3, 2))]
    programs = [
        m.program(levels, nd.NOISE_RATIO) for m in (BDIA(gamma), nd.HeavyBall(nd.DDIM("noise/ratio"), 1 + gamma))
    ]
    states = [[Fraction(7), *[Fraction(0)] * (program[0].registers - 1)] for program in programs]
    for steps in zip(*programs, strict=True):
        states = [
            nd.step(t, y, lambda Y, level: Y * level.sigma / 3 + level.time) for t, y in zip(steps, states, strict=True)
        ]
        assert states[0][0] == states[1][0]
