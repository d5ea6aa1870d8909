r"""The search on the published objective, restated here by quadrature and complex steps, far from the package's own.

VP-linear, data prediction in log-SNR, orders 1, 2, 3, ..., 3, 2, 1, p = 2, t from 1 to 1e-3, least gap 0.7 L/N. Its
kinks are active at every minimizer, which is where methods for smooth functions stop unconverged.
"""

from __future__ import annotations

import numpy as np
import pytest

from numdiff.optimize.problem import Parts
from numdiff.optimize.search import certify, minimize
from numdiff.optimize.search.project import project
from numdiff.optimize.window import Window

NODES, WEIGHTS = np.polynomial.legendre.leggauss(14)
NODES, WEIGHTS = (NODES + 1) / 2, WEIGHTS / 2
TINY = 1e-30


def half_log_snr(t):
    log_alpha = -(19.9 * t**2 / 4 + 0.1 * t / 2)
    return log_alpha - 0.5 * np.log(-np.expm1(2 * log_alpha))


class Restated:
    """The objective of N steps as parts; the Jacobian by complex steps, one direction per row of a batch."""

    def __init__(self, steps):
        self.steps, self.trunc = steps, 3 if steps <= 7 else 0
        low, high = half_log_snr(1.0), half_log_snr(1e-3)
        self.window = Window(low, high, steps, np.full(steps, 0.7 * (high - low) / steps))
        self.order = np.minimum(3, np.minimum(np.arange(steps) + 1, steps - np.arange(steps)))

    def charges(self, lam):
        """eps_{s-k} J_{s,k}, shape (..., N, 3), for log-SNRs (..., N + 1)."""
        h, out = np.diff(lam), np.zeros((*lam.shape[:-1], self.steps, 3), dtype=complex)
        eps = (1 + np.exp(2 * lam)) ** -1.0 * np.sqrt(1 + np.exp(-2 * lam))
        for s in range(self.steps):
            order = self.order[s]
            at = [lam[..., s - k, None] - lam[..., s, None] for k in range(order)]
            u = h[..., s, None] * NODES
            kernel = h[..., s, None] * WEIGHTS * np.exp(lam[..., s, None] + u)
            for k in range(order):
                basis = np.ones_like(u)
                for m in range(order):
                    if m != k:
                        basis = basis * (u - at[m]) / (at[k] - at[m])
                out[..., s, k] = eps[..., s - k] * (kernel * basis).sum(-1)
        return out

    def terms(self, lam):
        """The smooth value and c, at complex log-SNRs."""
        weights, n = self.charges(lam), self.steps
        value = weights[..., 0, 0] + weights[..., n - 1, 0]
        for s in range(1, self.trunc):
            value = value + np.sqrt((weights[..., s, :] ** 2).sum(-1))
        c = np.zeros((*lam.shape[:-1], n), dtype=complex)
        for s in range(max(1, self.trunc), n - 1):
            for k in range(self.order[s]):
                c[..., s - k] += weights[..., s, k]
        return value, c

    def evaluate(self, z):
        size = len(z)
        lam = self.window.nodes(z) + np.pad(1j * TINY * np.eye(size), ((0, 0), (1, 1)))
        value, c = self.terms(lam)
        return Parts(
            value.imag / TINY, float(value[0].real), absolute=c[0].real, absolute_jacobian=(c.imag / TINY).T.copy()
        )

    def starts(self):
        n, high, low = self.steps, self.window.high, self.window.low
        rho = np.linspace(np.exp(-low / 7), np.exp(-high / 7), n + 1) ** 7
        grids = {
            "log-snr": np.linspace(low, high, n + 1),
            "uniform-t": half_log_snr(np.linspace(1, 1e-3, n + 1)),
            "quadratic": half_log_snr(np.linspace(1, np.sqrt(1e-3), n + 1) ** 2),
            "edm": -np.log(rho),
        }
        return {name: grid[1:-1] for name, grid in grids.items()}


@pytest.mark.parametrize(("steps", "value"), [(8, 32.555), (10, 15.907)])
def test_the_restatement_gives_the_published_values(steps, value):
    problem = Restated(steps)
    assert problem.evaluate(problem.starts()["log-snr"]).objective == pytest.approx(value, abs=6e-4)


@pytest.mark.parametrize("steps", [5, 6, 7, 8, 10, 12, 20])
def test_every_start_ends_certified_at_the_same_steps(steps):
    problem = Restated(steps)
    outcomes = [minimize(problem, [start]) for start in problem.starts().values()]
    for outcome in outcomes:
        assert outcome.certified
        assert outcome.method == "newton"
        np.testing.assert_allclose(outcome.z, outcomes[0].z, atol=1e-6)
        assert outcome.objective == pytest.approx(outcomes[0].objective, rel=1e-8)


@pytest.mark.parametrize("steps", [5, 8, 10])
def test_a_perturbed_start_ends_at_the_same_steps(steps):
    problem = Restated(steps)
    start = problem.starts()["log-snr"]
    reference = minimize(problem, [start])
    for seed in range(4):
        noise = 1e-7 * np.random.default_rng(seed).normal(size=len(start))
        np.testing.assert_allclose(minimize(problem, [start + noise]).z, reference.z, atol=1e-6)


@pytest.mark.parametrize("method", ["trust-constr", "slsqp"])
@pytest.mark.parametrize("steps", [5, 8, 10])
def test_general_solvers_reach_the_same_steps(steps, method):
    problem = Restated(steps)
    start = problem.starts()["uniform-t"]
    fast, general = minimize(problem, [start]), minimize(problem, [start], method=method)
    np.testing.assert_allclose(fast.z, general.z, atol=1e-6)
    assert fast.objective <= general.objective * (1 + 1e-8)


def test_no_feasible_neighbour_is_lower():
    # A certificate is a claim about first order; at a vertex of kinks and gaps it makes the point a local minimum.
    problem = Restated(10)
    outcome = minimize(problem, list(problem.starts().values()))
    rng = np.random.default_rng(0)
    for size in (1e-2, 1e-3, 1e-4):
        for _ in range(50):
            near = project(problem.window, outcome.z + size * rng.normal(size=9))
            assert problem.evaluate(near).objective >= outcome.objective - 1e-9


def test_kinks_and_gaps_are_active_and_starts_are_not_stationary():
    problem = Restated(10)
    outcome = minimize(problem, [problem.starts()["log-snr"]])
    multipliers = outcome.certificate.kink_multipliers[outcome.certificate.kinks]
    assert np.any(np.abs(multipliers) < 0.99)
    assert len(outcome.certificate.active) >= 5
    for start in problem.starts().values():
        assert not certify(problem, project(problem.window, start), tolerance=1e-3).certified
