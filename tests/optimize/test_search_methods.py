"""The search on the published objective of methods whose minimizers leave a direction free: certified, reproducible."""

from __future__ import annotations

import time

import numpy as np
import pytest

import numdiff as nd
from numdiff.optimize.problem import Parts
from numdiff.optimize.search import minimize
from numdiff.optimize.window import Window

VP = nd.schedules.VPLinear()
# UniPC: one kink, curvature only along it, and a Lagrangian whose Hessian is indefinite. HB in noise/ratio: F is 14000
# and flat, so that steps move by 1e-3 where F moves by rounding.
CASES = [(nd.UniPC(3), n) for n in (8, 10, 12, 16, 20)] + [
    (nd.HeavyBall(nd.AdamsBashforth(2), 0.8), 20),
    (nd.AdamsBashforth(3), 12),
    (nd.GHVB(3, 0.8), 10),
    (nd.Heun(), 10),
]


def optimized(method, steps, start):
    return nd.optimize.timesteps(method, VP, steps, objective="paper", starts=[start])


@pytest.mark.parametrize(("method", "steps"), CASES, ids=str)
def test_every_start_ends_certified_at_the_same_steps(method, steps):
    found = [optimized(method, steps, start) for start in ("log-snr", "uniform-t", "quadratic")]
    for result in found:
        assert result.certified
        np.testing.assert_allclose(result.log_snr, found[0].log_snr, atol=1e-6)


@pytest.mark.parametrize(("method", "steps"), CASES[2:6], ids=str)
def test_a_perturbed_start_ends_at_the_same_steps(method, steps):
    low, high = (float(VP.log_snr(t)) for t in (VP.T, VP.t_end))
    start = np.linspace(low, high, steps + 1)[1:-1]
    noise = 1e-7 * np.random.default_rng(1).normal(size=len(start))
    one, other = (optimized(method, steps, z) for z in (start, start + noise))
    np.testing.assert_allclose(one.log_snr, other.log_snr, atol=1e-6)


class Uphill:
    """A function whose gradient has the wrong sign, so that no search can certify anything."""

    def __init__(self, wait=0.0):
        self.window, self.wait = Window(-np.inf, np.inf, 3, np.zeros(3)), wait

    def evaluate(self, z):
        time.sleep(self.wait)
        return Parts(-2 * z, absolute=np.array([1 + z @ z]), absolute_jacobian=-2 * z[None], value=float(z @ z))


def test_the_last_resort_is_taken_once_from_the_lowest_end():
    outcome = minimize(Uphill(), [np.array([2.0, 3.0]), np.array([0.2, 0.4]), np.array([1.0, 2.0])])
    assert not outcome.certified
    assert [("trust-constr" in start.method) for start in outcome.starts] == [False, True, False]
    assert outcome.starts[1].initial_objective == pytest.approx(1 + 2 * 0.2)


def test_the_last_resort_keeps_the_time_limit():
    problem, start = Uphill(), [np.array([0.2, 0.4])]
    fast = minimize(problem, start, method="newton").evaluations
    late = minimize(Uphill(0.02), start, time_limit=0.02 * fast + 0.05)
    assert late.status == "time limit"
    assert not late.certified
