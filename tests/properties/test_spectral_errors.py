"""Distances of Gaussians against quadrature and numerical transport, and what the formulas must satisfy."""

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad

import numdiff as nd
from numdiff.properties.spectral import errors, response
from numdiff.properties.spectral.distances import MOMENTS

VP = nd.schedules.VPLinear()
GRID = nd.grids.uniform_log_snr(VP, 6)
SCHEME = nd.AdamsBashforth(2).discretize(VP, GRID)


def laws(scheme, s, mu, prior=None):
    """Mean and deviation of the generated and of the true law, from the response."""
    found = response(scheme, s)
    first, last = found.levels[0], found.levels[-1]
    start = (first.alpha * mu, np.hypot(first.alpha * s, first.sigma)) if prior is None else (0.0, first.sigma)
    m = found.gain * start[0] + found.mean * mu
    return (float(m), float(abs(found.gain) * start[1])), (last.alpha * mu, float(found.scales[-1]))


def divergence(one, two):
    """KL(one | two) by quadrature of the densities."""

    def integrand(x):
        p = mpmath.npdf(x, *one)
        return p * mpmath.log(p / mpmath.npdf(x, *two))

    return float(mpmath.quad(integrand, [one[0] + k * one[1] for k in (-12, -4, 0, 4, 12)]))


@pytest.mark.parametrize("prior", [None, "standard"])
@pytest.mark.parametrize(("s", "mu"), [(1.0, 0.0), (0.1, 2.0), (3.0, -1.0), (0.02, 0.5)])
def test_against_quadrature(s, mu, prior):
    generated, true = laws(SCHEME, s, mu, prior)
    found = errors(SCHEME, s, mu, prior=prior)
    p, q = stats.norm(*generated), stats.norm(*true)
    transport = quad(lambda u: (p.ppf(u) - q.ppf(u)) ** 2, 0, 1, epsabs=0, limit=200)[0]
    assert found.w2**2 == pytest.approx(transport, rel=1e-6)  # what quad does with the logarithms at 0 and 1
    with mpmath.workdps(25):
        for one, two, value in ((generated, true, found.kl), (true, generated, found.reverse_kl)):
            assert value == pytest.approx(divergence(one, two), rel=1e-9)
        for k, value in zip(MOMENTS, found.moments, strict=True):
            exact = [stats.norm(*law).moment(k) for law in (generated, true)]
            assert value == pytest.approx(exact[0] - exact[1], rel=1e-9, abs=1e-13 * abs(exact[1]))
    assert found.mean == pytest.approx(generated[0] - true[0], abs=1e-13)
    assert found.variance == pytest.approx(generated[1] ** 2 - true[1] ** 2, rel=1e-11)


@given(st.floats(1e-3, 1e3), st.floats(-10, 10), st.integers(2, 40))
def test_small_errors_keep_their_digits(s, mu, steps):
    # KL -> (e^2/2 + ...)/2 for a small relative variance error e: positive, and consistent with W2 to that order
    scheme = nd.Heun().discretize(VP, np.linspace(0.9, 0.1, 4 * steps + 1))
    found = errors(scheme, s, mu)
    true = float(response(scheme, s).scales[-1])
    e = float(found.variance) / true**2
    assert found.kl >= 0
    assert found.reverse_kl >= 0
    leading = e**2 / 4 - e**3 / 6 + float(found.mean) ** 2 / true**2 / 2
    assert found.kl == pytest.approx(leading, rel=max(4 * e**2, 1e-12), abs=1e-300)


def test_directions_add_up():
    s, mu = np.array([0.0, 0.5, 2.0]) + 0.1, np.array([1.0, -1.0, 0.0])
    whole = errors(SCHEME, s, mu)
    parts = [errors(SCHEME, a, b) for a, b in zip(s, mu, strict=True)]
    assert whole.total_w2 == pytest.approx(np.sqrt(sum(float(p.w2) ** 2 for p in parts)), rel=1e-14)
    assert whole.total_kl == pytest.approx(sum(p.total_kl for p in parts), rel=1e-14)
    assert whole.total_reverse_kl == pytest.approx(sum(p.total_reverse_kl for p in parts), rel=1e-14)
    # in rotated coordinates: the Bures formula tr(P + Q - 2 (P^1/2 Q P^1/2)^1/2) of commuting covariances
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    found = response(SCHEME, s)
    P, Q = (rotation @ np.diag(v) @ rotation.T for v in ((found.gain * found.scales[0]) ** 2, found.scales[-1] ** 2))
    root = rotation @ np.diag(abs(found.gain) * found.scales[0]) @ rotation.T
    inner = np.sqrt(np.linalg.eigvalsh(root @ Q @ root)).sum()
    assert whole.total_w2**2 == pytest.approx(np.trace(P) + np.trace(Q) - 2 * inner + (whole.mean**2).sum(), rel=1e-9)


def test_methods_that_preserve_constants_have_no_mean_error():
    s = np.array([0.01, 1.0, 30.0])
    for name, method in nd.methods().items():
        if method.formulation != nd.VELOCITY_TIME:
            found = errors(method.discretize(VP, GRID), s, mu=5.0)
            assert np.abs(found.mean).max() < 1e-11, name  # data/ratio is unstable here and multiplies rounding by 1e3


def test_the_prior_is_forgotten_where_alpha_vanishes():
    # alpha_0 = 0: N(0, sigma_0^2) is the exact law
    schedule = nd.schedules.Flow()
    scheme = nd.FlowEuler().discretize(schedule, np.linspace(1, 0.1, 8))
    one, two = (errors(scheme, [0.3, 2.0], [1.0, 4.0], prior=prior) for prior in (None, "standard"))
    np.testing.assert_allclose(one.w2, two.w2, rtol=1e-12)
    # otherwise its mismatch stays however many steps are made
    for steps in (20, 200):
        scheme = nd.RK4().discretize(VP, np.linspace(0.4, 0.1, steps + 1))
        assert errors(scheme, 2.0, 1.0, prior="standard").w2 > 0.1
        assert errors(scheme, 2.0, 1.0).w2 < 1e-3


def test_point_masses():
    scheme = nd.DDIM(nd.DATA_LOG_SNR).discretize(VP, [0.9, 0.5, 0.0])
    reached = errors(scheme, [0.0, 1.0])
    assert reached.kl[0] == reached.w2[0] == 0
    assert 0 < reached.kl[1] < np.inf
    # Euler on dx/dt of a curved schedule misses the point: variance where there should be none
    missed = errors(nd.FlowEuler().discretize(VP, [0.9, 0.5, 0.2, 0.0]), 0.0)
    assert missed.w2 > 0
    assert missed.kl == missed.reverse_kl == np.inf


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: errors(SCHEME, 1.0, prior="gaussian"), ValueError, "prior must be None"),
        (lambda: errors(SCHEME, 1.0, mu=np.nan), ValueError, "mu must be finite"),
        (lambda: errors(SCHEME, [1.0, 2.0], mu=[1.0, 2.0, 3.0]), ValueError, "must broadcast"),
        (lambda: errors(SCHEME, -2), ValueError, "s must be finite and not negative"),
        (lambda: errors(nd.DDIM(), 1.0), TypeError, "lay the method out first"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
