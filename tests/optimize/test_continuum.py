"""Limit densities: closed forms, exact errors of schemes, exact optima of DDIM, and bounds that no density beats."""

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import least_squares

import numdiff as nd
from numdiff.optimize.continuum import Limit, adams_constant, gaussian_errors, limit_density

SCHEDULE = nd.schedules.VPLinear()
CLEAN = 1e-3
LOW, HIGH = (float(SCHEDULE.log_snr(t)) for t in (SCHEDULE.T, CLEAN))
LINE = np.linspace(LOW, HIGH, 2001)


def weights(line):
    w = np.gradient(line)
    w[[0, -1]] /= 2
    return w


def angles(log_snr, scales):
    """arctan(s alpha/sigma): DDIM's gain on data of width s, relative to the exact one, is prod cos of its steps."""
    return np.arctan(np.exp(np.asarray(log_snr) + np.log(np.asarray(scales, dtype=float))[:, None]))


def ddim_log_gain(log_snr, scales):
    return np.log(np.cos(np.diff(angles(log_snr, scales), axis=1))).sum(axis=1)


def test_adams_constants_are_the_classical_ones():
    known = [1 / 2, 5 / 12, 3 / 8, 251 / 720, 95 / 288]
    assert [adams_constant(k) for k in range(1, 6)] == pytest.approx(known, rel=1e-13)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_gaussian_errors_are_derivatives_of_the_exact_denoiser(order):
    import mpmath

    mpmath.mp.dps = 40
    s, lam = mpmath.mpf("0.7"), mpmath.mpf("0.4")
    v = s**2 + mpmath.exp(-2 * lam)  # alpha = 1: x = sqrt(v), D = s^2/v x
    derivative = mpmath.diff(lambda u: s**2 / mpmath.sqrt(s**2 + mpmath.exp(-2 * u)), lam, order)
    expected = adams_constant(order) * mpmath.exp(lam) * derivative / (mpmath.sqrt(v) * mpmath.exp(lam))
    assert gaussian_errors([0.4], [0.7], order)[0, 0] == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_errors_of_schemes_tend_to_the_integrals(order):
    """Signs and constants too: N^k times the error of the gain, extrapolated from N = 160 and 320."""
    scales = np.array([0.05, 0.3, 1.0, 3.0])
    density = 1 + 0.5 * np.sin(LINE)
    density /= weights(LINE) @ density
    integrals = -(gaussian_errors(LINE, scales, order) * weights(LINE)) @ density**-order

    def scaled(count):
        nodes = Limit(LINE, density, integrals, 0.0).steps(count)
        times = [SCHEDULE.T, *SCHEDULE.time(nodes[1:-1]), CLEAN]
        scheme = nd.DPMSolverPP(order).discretize(SCHEDULE, times, start="runge-kutta")
        response = nd.spectral.response(scheme, scales)
        return (response.gain / response.exact - 1) * count**order

    coarse, fine = scaled(160), scaled(320)
    away = [np.abs(found - integrals).max() / np.abs(integrals).max() for found in (coarse, fine, 2 * fine - coarse)]
    assert away[1] < 0.62 * away[0]
    assert away[2] < 0.5 * away[1]


@pytest.mark.parametrize("s", [0.2, 1.0, 5.0])
def test_one_mode_of_ddim_has_equal_angles(s):
    a = gaussian_errors(LINE, [s], 1)
    found = limit_density(LINE, a, 1, least=1e-3)
    secant = 1 / np.cosh(LINE + math.log(s))
    np.testing.assert_allclose(found.density, secant / (weights(LINE) @ secant), rtol=5e-4)
    first, last = angles([LOW, HIGH], [s])[0]
    assert found.value == pytest.approx((last - first) ** 2 / 2, rel=1e-6)
    assert found.bound == pytest.approx(found.value, rel=1e-9)


def test_equal_angles_are_optimal_for_every_number_of_steps():
    rng = np.random.default_rng(0)
    for s, count in ((0.3, 3), (1.0, 7), (2.0, 20)):
        ends = angles([LOW, HIGH], [s])[0]
        best = np.log(np.tan(np.linspace(*ends, count + 1))) - math.log(s)
        scheme = nd.DDIM().discretize(SCHEDULE, [SCHEDULE.T, *SCHEDULE.time(best[1:-1]), CLEAN])
        response = nd.spectral.response(scheme, [s])
        value = ddim_log_gain(best, [s])[0]
        assert math.log(response.gain[0] / response.exact[0]) == pytest.approx(value, rel=1e-9)
        for _ in range(50):
            other = np.sort(np.clip(best[1:-1] + 0.3 * rng.standard_normal(count - 1), LOW, HIGH))
            assert ddim_log_gain([LOW, *other, HIGH], [s])[0] <= value + 1e-14


def test_optimal_steps_of_ddim_tend_to_the_limit_at_rate_one_over_n():
    """The minimum over N free steps of |errors of five widths|, by SciPy on the product of cosines."""
    scales = np.geomspace(0.1, 3, 5)
    limit = limit_density(LINE, gaussian_errors(LINE, scales, 1), 1)

    def optimum(count):
        def nodes(logits):
            steps = np.exp(logits - logits.max())
            return LOW + (HIGH - LOW) * np.concatenate([[0.0], np.cumsum(steps)]) / steps.sum()

        start = np.log(np.diff(limit.steps(count)))
        found = least_squares(lambda x: -np.expm1(ddim_log_gain(nodes(x), scales)), start, xtol=1e-12)
        return nodes(found.x), count * math.sqrt(2 * found.cost)

    values = {count: optimum(count) for count in (20, 40, 80)}
    away = [abs(value / limit.value - 1) for _, value in values.values()]
    assert away[0] > 1.8 * away[1] > 3.2 * away[2]
    nodes, _ = values[80]
    shares = np.interp(nodes, LINE, np.concatenate([[0], np.cumsum(np.diff(LINE) * limit.density[1:])]))
    assert np.abs(shares - np.linspace(0, 1, 81)).max() < 0.01


def test_no_density_falls_below_the_bound():
    rng = np.random.default_rng(1)
    for order in (1, 2):
        a = np.abs(rng.standard_normal((4, 8))) @ np.abs(rng.standard_normal((8, len(LINE))))
        a[1] *= np.sin(LINE)  # one mode changes sign, the sum of the others does not
        found = limit_density(LINE, a, order)
        assert found.bound <= found.value <= found.bound + 1e-6 * np.linalg.norm((a * weights(LINE)).sum(1)) * 10**order
        for _ in range(200):
            density = np.exp(rng.standard_normal(4) @ np.cos(np.outer(np.arange(4), LINE)))
            density /= weights(LINE) @ density
            assert np.linalg.norm((a * weights(LINE)) @ density**-order) >= found.bound


def test_errors_that_change_sign_cancel():
    found = limit_density(LINE, gaussian_errors(LINE, [0.3, 1.0], 2), 2)
    even = (gaussian_errors(LINE, [0.3, 1.0], 2) * weights(LINE)).sum(1) * (HIGH - LOW) ** 2
    assert found.value < 1e-6 * np.linalg.norm(even)
    assert found.density.min() > 0.09 / (HIGH - LOW)


def test_a_positive_mode_of_any_order_has_the_closed_form():
    def a(x):
        return 1 / (1 + x * x)

    for order in (1, 2, 3):
        expected = quad(lambda x, k=order: a(x) ** (1 / (k + 1)), LOW, HIGH, epsabs=1e-12)[0] ** (order + 1)
        assert limit_density(LINE, a(LINE), order).value == pytest.approx(expected, rel=1e-5)


def test_steps_are_equal_parts_of_the_density():
    nodes = limit_density(LINE, np.ones(len(LINE)), 2).steps(5)
    np.testing.assert_allclose(nodes, np.linspace(LOW, HIGH, 6), rtol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0, 1], [1, 1], 1), "log_snr must be at least three"),
        (([0, 2, 1], [1, 1, 1], 1), "rise from noise to data"),
        (([0, 1, 2], [1, 1], 1), "errors must be finite, of shape"),
        (([0, 1, 2], [1, np.nan, 1], 1), "errors must be finite"),
    ],
)
def test_bad_input_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        limit_density(*arguments)


def test_bad_options_are_refused():
    with pytest.raises(ValueError, match="least must lie between 0 and 1"):
        limit_density(LINE, np.ones(len(LINE)), 1, least=0.0)
    with pytest.raises(ValueError, match="order must be an integer"):
        gaussian_errors(LINE, [1.0], 0)
    with pytest.raises(ValueError, match="scales must be positive"):
        gaussian_errors(LINE, [0.0], 1)
