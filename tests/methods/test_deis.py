"""tAB-DEIS: weights against integrals to thirty digits, the published Riemann sum, observed orders and the ends."""

import functools

import mpmath as mp
import numpy as np
import pytest
import torch

import numdiff as nd
from numdiff.methods.deis import TimeAdams
from tests.methods.test_observed_orders import END, START, TOLERANCE, mixture_error, slope

SCHEDULE = nd.schedules.VPLinear()
GRID = np.array([0.97, 0.8, 0.55, 0.42, 0.2, 0.05, 0.001])
B0, B1 = mp.mpf("0.1"), mp.mpf(20)


def exact_time(rho):
    """The inverse of VP-linear's sigma/alpha: log(1 + rho^2) = t^2 (b1 - b0)/2 + t b0."""
    a = mp.log(1 + rho**2)
    return 2 * a / (B0 + mp.sqrt(B0**2 + 2 * (B1 - B0) * a))


def exact_rho(t):
    return mp.sqrt(mp.expm1(t**2 * (B1 - B0) / 2 + t * B0))


@functools.cache
def exact_weight(n, j, k):
    """alpha_t int l_j(t(rho)) d rho by adaptive quadrature in log rho, on thirty digits."""
    with mp.workdps(30):
        nodes = [mp.mpf(GRID[n - i]) for i in range(k)]

        def integrand(w):
            rho = mp.exp(w)
            others = [(exact_time(rho) - u) / (nodes[j] - u) for i, u in enumerate(nodes) if i != j]
            return rho * mp.fprod(others)

        start, end = (mp.log(exact_rho(mp.mpf(t))) for t in GRID[n : n + 2])
        return mp.quad(integrand, mp.linspace(start, end, 4)) / mp.sqrt(1 + exact_rho(mp.mpf(GRID[n + 1])) ** 2)


def found_weight(scheme, n, j):
    tableau = scheme.tableaus[n]
    return tableau.B[0][0] if j == 0 else tableau.V[0][j]


@pytest.mark.parametrize("k", [2, 3, 4])
def test_weights_are_the_integrals(k):
    scheme = TimeAdams(k).discretize(SCHEDULE, GRID)
    for n in range(k - 1, len(GRID) - 1):
        exact = [float(exact_weight(n, j, k)) for j in range(k)]
        found = [found_weight(scheme, n, j) for j in range(k)]
        np.testing.assert_allclose(found, exact, rtol=0, atol=1e-13 * max(map(abs, exact)))


def test_the_published_riemann_sum_is_off_in_the_fifth_digit():
    """A left Riemann sum in rho with 10^4 points, as the official code takes, against the same integrals."""
    n, k = 3, 4
    rho = np.linspace(*(float(exact_rho(mp.mpf(t))) for t in GRID[n : n + 2]), 10001)
    t, nodes = SCHEDULE.time(-np.log(rho[:-1])), [GRID[n - i] for i in range(k)]
    errors = []
    for j in range(k):
        basis = np.prod([(t - u) / (nodes[j] - u) for i, u in enumerate(nodes) if i != j], axis=0)
        sum_ = SCHEDULE.alpha(GRID[n + 1]) * np.sum(basis) * (rho[1] - rho[0])
        errors.append(abs(sum_ / float(exact_weight(n, j, k)) - 1))
    assert 1e-5 < max(errors) < 1e-3


@pytest.mark.parametrize("formulation", ["noise/log-snr", "data/log-snr"])
@pytest.mark.parametrize(
    "schedule", [SCHEDULE, nd.schedules.Cosine(), nd.schedules.Discrete.stable_diffusion()], ids=lambda s: s.name
)
def test_polynomials_in_time_are_integrated(schedule, formulation):
    """A prediction t^3 - t in the schedule's time, against a rule with thousands of points; tables have corners."""
    grid = np.linspace(0.9, 0.1, 9)
    f = lambda t: t**3 - t + 0.5  # noqa: E731
    scheme = TimeAdams(4, formulation).discretize(schedule, grid)
    found = scheme.tableaus[-1]
    total = found.B[0][0] * f(grid[-2]) + sum(found.V[0][j] * f(grid[-2 - j]) for j in (1, 2, 3))
    start, end = scheme.levels[-2:]
    h, c = end.log_snr - start.log_snr, scheme.method.formulation.c
    z, w = np.polynomial.legendre.leggauss(8)
    ends = np.linspace(0, h, 4001)
    u = (ends[:-1, None] + (ends[1] - ends[0]) * (z + 1) / 2).ravel()
    weights = np.tile(w / 2 * (ends[1] - ends[0]), 4000)
    exact = np.sum(weights * np.exp(c * (h - u)) * f(schedule.time(start.log_snr + u)))
    kappa = end.alpha if c == -1 else -end.sigma
    # a table's corners lie inside the pieces of this reference, whose error is that of a kink: (h/4000)^2 or so
    np.testing.assert_allclose(total, kappa * exact, rtol=1e-8 if schedule.name == "stable-diffusion" else 1e-12)


@pytest.mark.parametrize("formulation", ["noise/log-snr", "data/log-snr"])
@pytest.mark.parametrize("k", [2, 3, 4])
def test_orders_are_kept_on_rough_grids(k, formulation):
    method = TimeAdams(k, formulation)
    assert (method.order, method.stages, method.nfe(9)) == (k, 1, 9)
    assert slope(mixture_error(method), [1.0, 2.0, 1.3], 48, START, END) > k - TOLERANCE


def test_order_one_is_ddim_and_small_steps_are_log_rho_deis():
    for tableau, other in zip(
        TimeAdams(1).discretize(SCHEDULE, GRID), nd.DDIM("noise/log-snr").discretize(SCHEDULE, GRID), strict=True
    ):
        assert (tableau.B, tableau.V) == (other.B, other.V)
    gaps = []
    for h in (0.01, 0.005):
        grid = 0.5 - h * np.arange(5)
        rows = [m.discretize(SCHEDULE, grid).tableaus[-1] for m in (TimeAdams(3), nd.DEIS(3, "log-rho"))]
        (a, b), total = (np.array([*t.B[0], *t.V[0][1:]]) for t in rows), rows[0].B[0][0]
        gaps.append(np.abs(a / a.sum() - b / b.sum()).max())
        assert total
    assert 1.8 < gaps[0] / gaps[1] < 2.2  # t is linear in lambda to first order


def test_the_clean_end_is_a_step_of_order_one_and_gradients_flow():
    grid = np.append(GRID[:-1], 0.0)
    last, ddim = (m.discretize(SCHEDULE, grid).tableaus[-1] for m in (TimeAdams(3), nd.DDIM()))
    np.testing.assert_allclose([last.B[0][0], last.V[0][0]], [ddim.B[0][0], ddim.V[0][0]], rtol=1e-14)
    assert last.V[0][1:] == (0.0, 0.0)
    times = torch.tensor(GRID, requires_grad=True)
    tableau = TimeAdams(3).discretize(SCHEDULE, times).tableaus[3]
    (slope_,) = torch.autograd.grad(tableau.V[0][2], times)
    eps = 1e-6
    for i in (1, 2, 3, 4):
        shifted = [GRID + eps * s * (np.arange(len(GRID)) == i) for s in (1, -1)]
        up, down = (TimeAdams(3).discretize(SCHEDULE, g).tableaus[3].V[0][2] for g in shifted)
        np.testing.assert_allclose(slope_[i], (up - down) / (2 * eps), rtol=1e-6)


@pytest.mark.parametrize("wrap", [nd.HeavyBall, nd.Nesterov])
def test_momentum_around_it_keeps_its_weights(wrap):
    """At damping 1 momentum is its base, polynomials in time and all."""
    model, x = (lambda x, t: np.tanh(1.3 * x) * (1 - t)), np.array([0.4, -1.0])
    runs = [nd.sample(m.discretize(SCHEDULE, GRID), model, x) for m in (TimeAdams(3), wrap(TimeAdams(3), beta=1))]
    np.testing.assert_allclose(runs[0], runs[1], rtol=1e-13)


def test_what_it_refuses():
    method = nd.DEIS(3, "time")
    assert method == TimeAdams(3)
    for call in (method.steady, method.coefficients):
        with pytest.raises(ValueError, match=r"tAB3 has no .* it depends on the schedule"):
            call()
    with pytest.raises(ValueError, match="give a schedule, not None"):
        method.discretize(None, np.linspace(0, 1, 9))
    with pytest.raises(ValueError, match="no finite limit at sigma = 0"):
        method.discretize(SCHEDULE, np.append(GRID[:-1], 0.0), final="limit")
    with pytest.raises(ValueError, match="cannot start at alpha = 0"):
        method.discretize(nd.schedules.Flow(), np.linspace(1, 0.1, 9))
    with pytest.raises(ValueError, match="the kernels of DEIS, got noise/ratio"):
        TimeAdams(3, "noise/ratio")
