"""Roots of the stability polynomial and order stars, against fine continuation, nodepy and the order."""

import numpy as np
import pytest
import sympy as sp

import numdiff as nd
from numdiff.symbolic.polynomials import ZETA, Z

MEMBERS = nd.methods()
CLASSICAL = [name for name, method in MEMBERS.items() if method.kernel == 0]


def coefficients(method, h):
    """Coefficients of pi over powers of (zeta, z), by SymPy alone."""
    pi = nd.stability.polynomial(method, h=h)
    table = np.zeros((pi.degree(ZETA) + 1, pi.degree(Z) + 1))
    for power, value in pi.as_dict().items():
        table[power] = float(value)
    return table


def followed(table, z, start, steps=200):
    """The principal root at the end of a ray, nearest root after nearest root in small equal steps."""
    for share in np.linspace(0, 1, steps + 1)[1:]:
        roots = np.roots(np.polynomial.polynomial.polyval(share * z, table.T)[::-1])
        start = roots[np.argmin(np.abs(roots - start))]
    return start


@pytest.mark.parametrize("name", MEMBERS)
def test_roots_are_those_of_the_polynomial_and_the_first_one_is_the_continuation(name):
    method = MEMBERS[name]
    h = 0.3 if method.kernel else None
    rng = np.random.default_rng(1)
    z = rng.uniform(-3, 1, (2, 2)) + 1j * rng.uniform(-2, 2, (2, 2))
    found = nd.stability.roots(method, z, h=h)
    table = coefficients(method, h)
    assert found.shape == (len(table) - 1, 2, 2)
    for index in np.ndindex(2, 2):
        expected = np.roots(np.polynomial.polynomial.polyval(z[index], table.T)[::-1])
        # the roots at random points are simple: both solvers agree to rounding
        np.testing.assert_allclose(
            np.sort_complex(np.round(found[:, *index], 9)), np.sort_complex(np.round(expected, 9)), atol=1e-8
        )
        assert abs(found[0, *index] - followed(table, z[index], np.exp(method.kernel * (h or 0)))) < 1e-9
    assert (np.diff(np.abs(found[1:]), axis=0) <= 0).all()


@pytest.mark.parametrize("h", [0.01, 1.0])
def test_the_principal_root_at_0_is_the_growth_of_the_linear_part(h):
    for method in (nd.DPMSolverPP(3), nd.GHVB(2, 0.7, nd.NOISE_LOG_SNR), nd.HeavyBall(nd.DPMSolverPP(2), beta=0.5)):
        assert nd.stability.roots(method, 0, h=h)[0] == pytest.approx(np.exp(method.kernel * h), rel=1e-12)


def test_behind_a_branch_point_the_root_is_the_limit_from_larger_arguments():
    # AB2: (1 + 3z/2)^2 = 2z at z = (-2 +- 4 sqrt(2) i)/9, the only branch points
    method, branch = nd.AdamsBashforth(2), (-2 + 4j * np.sqrt(2)) / 9
    behind = 1.5 * branch
    above, at, below = nd.stability.roots(method, behind * np.exp(1j * np.array([1e-6, 0, -1e-6])))[0]
    assert abs(at - above) < 1e-4 < abs(at - below)
    both = nd.stability.roots(method, branch)
    assert abs(both[0] - both[1]) < 1e-6  # equal to the square root of rounding
    # leapfrog: zeta = z +- sqrt(1 + z^2); the principal one is z + sqrt(1 + z^2), continued
    leapfrog = nd.HeavyBall(nd.AdamsBashforth(1), beta=2)
    z = np.array([0.3, -0.7, -5, 0.5j, 0.2 + 3j, 0.2 - 3j])
    np.testing.assert_allclose(nd.stability.roots(leapfrog, z)[0], z + np.sqrt(1 + z**2), atol=1e-12)


def test_common_factors_and_many_points():
    # HB(AB2, 2/3) is Euler with the root 1/3 beside it, for every z
    z = np.linspace(-2, 0.5, 40_001)[:-1].reshape(2, -1)
    found = nd.stability.roots(nd.HeavyBall(nd.AdamsBashforth(2), beta=sp.Rational(2, 3)), z)
    # the two meet at z = -2/3, and pass through each other; next to it rounding moves a root by 1e-16/1e-5
    np.testing.assert_allclose(found[0], 1 + z, atol=1e-9)
    np.testing.assert_allclose(found[1], 1 / 3, atol=1e-9)


@pytest.mark.parametrize("name", CLASSICAL)
def test_sectors_at_the_origin_show_the_order(name):
    method = MEMBERS[name]
    angles = 2 * np.pi * (np.arange(720) + 0.5) / 720
    star = nd.stability.order_star(method, 0.03 * np.exp(1j * angles)).principal
    changes = np.flatnonzero(np.sign(star) != np.sign(np.roll(star, 1)))
    assert len(changes) == 2 * (nd.order.certified(method) + 1)
    widths = np.diff(np.append(angles[changes], angles[changes[0]] + 2 * np.pi))
    # the next term turns the boundaries by |z| times a constant, below 0.15 of a sector here
    np.testing.assert_allclose(widths, np.pi / (nd.order.certified(method) + 1), rtol=0.15)


@pytest.mark.parametrize("name", ["RK44", "Mid22", "Heun33"])
def test_against_nodepy(name):
    from nodepy import runge_kutta_method as reference

    theirs = reference.loadRKM(name)
    A, b = (np.array(x, dtype=float) for x in (theirs.A, theirs.b))
    ours = nd.Tableau(A=A.tolist(), U=[(1,)] * len(b), B=[b.tolist()], V=[(1,)])
    numerator, denominator = theirs.stability_function()
    z = np.linspace(-4, 2, 20) + 1j * np.linspace(-3, 3, 15)[:, np.newaxis]
    R = np.polyval(np.array(numerator.coeffs, dtype=float), z) / np.polyval(
        np.array(denominator.coeffs, dtype=float), z
    )
    star = nd.stability.order_star(ours, z)
    # log|R| at |R| >= 1e-3 carries a relative rounding of 1e-12
    np.testing.assert_allclose(star.principal, np.log(np.abs(R)) - z.real, atol=1e-10)
    np.testing.assert_array_equal(star.principal, star.largest)


def test_the_largest_root_decides_stability():
    method, rng = nd.GHVB(3, 0.8), np.random.default_rng(2)
    z = rng.uniform(-2, 1, 200) + 1j * rng.uniform(-1, 1, 200)
    star = nd.stability.order_star(method, z)
    assert (star.largest >= star.principal).all()
    np.testing.assert_array_equal(star.largest + z.real <= 0, nd.stability.region(method, z))


def test_exponential_stars_compare_with_the_exact_exponential():
    # exponential Euler solves X' = c X exactly: no deviation at z = 0
    for h in (0.1, 2.0):
        assert nd.stability.order_star(nd.DPMSolverPP(1), 0, h=h).principal == pytest.approx(0, abs=1e-15)
        R = np.exp(-h) + 0.5 * (1 - np.exp(-h))
        expected = np.log(R) - (-1 + 0.5) * h
        assert nd.stability.order_star(nd.DPMSolverPP(1), 0.5, h=h).principal == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: s.roots(nd.GHVB(2, sp.Symbol("beta")), [0]), "symbol beta"),
        (lambda s: s.roots(nd.DPMSolverPP(2), [0]), "h=0.1"),
        (lambda s: s.roots(nd.RK4(), [np.inf]), "z must be finite"),
        (lambda s: s.roots(nd.DPMSolverPP(2).steady(0.1), [0]), "no principal root"),
        (lambda s: s.roots(nd.Tableau(A=[(0,)], U=[(1, 0)], B=[(1,), (0,)], V=[(2, -1), (1, 0)]), [0]), "zero-stable"),
        (lambda s: s.order_star(nd.RK4(), [0], h=0.1), "drop h"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call(nd.stability)
