"""Regions, loci and intervals in floating point against exact arithmetic, numpy's roots and nodepy."""

from fractions import Fraction
from time import perf_counter

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import numdiff as nd
from numdiff.symbolic.polynomials import ZETA

BETA = sp.Symbol("beta")
MEMBERS = nd.methods()
damping = st.fractions(Fraction(1, 100), Fraction(199, 100), max_denominator=100)


def spectral_radius(tableau, z):
    """Largest modulus of V + z B (I - z A)^-1 U, by floating-point linear algebra alone."""
    A, U, B, V = (np.array(getattr(tableau, n), dtype=float) for n in "AUBV")
    return np.abs(np.linalg.eigvals(V + z * B @ np.linalg.solve(np.eye(len(A)) - z * A, U))).max()


@pytest.mark.parametrize("name", MEMBERS)
def test_region_is_where_the_step_matrix_is_power_bounded(name):
    method = MEMBERS[name]
    h = 0.3 if method.kernel else None
    tableau = method.steady(0.3) if h else method.steady()
    rng = np.random.default_rng(0)
    z = rng.uniform(-3, 1, 150) + 1j * rng.uniform(-2, 2, 150)
    radius = np.array([spectral_radius(tableau, point) for point in z])
    clear = (
        np.abs(radius - 1) > 1e-6
    )  # defective zeros of the shift register cost sqrt(eps) and more, not roots near the circle
    assert clear.sum() > 140
    np.testing.assert_array_equal(nd.stability.region(method, z, h=h)[clear], (radius < 1)[clear])


@settings(max_examples=25)
@given(st.integers(1, 6), damping, st.sampled_from(["hb", "nt", "ghvb"]))
def test_boundary_points_belong_to_the_region(order, beta, family):
    method = nd.method(family, order=order, beta=beta)
    x = float(nd.stability.real_interval(method))
    factors = np.array([1, 1 - 1e-9, 0.5, 0, 1 + 1e-9, -1e-3])
    # the exact endpoint, rounded, counts as inside; a relative 1e-9 outside does not
    assert nd.stability.region(method, -x * factors).tolist() == [True, True, True, True, False, False]


def test_repeated_roots_on_the_circle_do_not_belong():
    leapfrog = nd.HeavyBall(nd.AdamsBashforth(1), beta=2)
    z = np.array([0, 0.5j, 0.999999j, 1j, -1j, 1.000001j, -1e-6, 1e-6])
    assert nd.stability.region(leapfrog, z).tolist() == [True, True, True, False, False, False, False, False]
    # rho = (zeta - 1)^2 at z = 0
    double = nd.Tableau(A=[(0,)], U=[(1, 0)], B=[(1,), (0,)], V=[(2, -1), (1, 0)])
    assert not nd.stability.region(double, 0)


def test_against_nodepy():
    from nodepy import linear_multistep_method as reference

    rng = np.random.default_rng(3)
    z = rng.uniform(-1.2, 0.4, 60) + 1j * rng.uniform(-1, 1, 60)
    for k in range(1, 6):
        rho, sigma = reference.Adams_Bashforth(k).__num__().characteristic_polynomials()
        theirs = [np.abs((rho - point * sigma).roots).max() <= 1 for point in z]
        assert nd.stability.region(nd.AdamsBashforth(k), z).tolist() == theirs


def test_shapes_and_kinds():
    z = np.zeros((2, 3, 4), dtype=complex)
    inside = nd.stability.region(nd.AdamsBashforth(2), z)
    assert inside.shape == z.shape
    assert inside.dtype == bool
    assert nd.stability.region(nd.AdamsBashforth(2), []).shape == (0,)
    assert nd.stability.region(nd.AdamsBashforth(2), -0.5).shape == ()
    assert not nd.stability.region(nd.RK4(), 1e200)  # overflows on the way


def test_chunks_do_not_show(monkeypatch):
    z = np.tile([-0.3, 0.3], 500)  # inside, outside, inside, ...
    monkeypatch.setattr("numdiff.properties.stability.linear.CHUNK", 7)
    assert nd.stability.region(nd.AdamsBashforth(3), z).tolist() == [True, False] * 500


@given(
    st.lists(st.sampled_from([1e-2, 1e-3, 1e-4]), min_size=6, max_size=6),
    st.sampled_from([0, 1e-7, -1e-7]),
    st.floats(0, 1),
)
def test_many_roots_near_the_circle(depths, excess, turn):
    # every reduction of Miller's recursion loses digits here: all margins are small at once
    angles = np.pi * (np.arange(6) + 0.3 + 0.4 * turn) / 6
    moduli = 1 - np.array(depths)
    moduli[2] = 1 + excess
    half = moduli * np.exp(1j * angles)
    coefficients = np.poly(np.concatenate([half, half.conj()])).real
    # a companion matrix whose step has these roots at z = 0; the roots are 0.2 apart, so the coefficients' rounding
    # moves them by about 1e-13, and only excess = 0 leaves the verdict to the declared rounding
    shift = [tuple(float(i == j) for j in range(12)) for i in range(11)]
    step = nd.Tableau(A=[(0,)], U=[(1,) + (0,) * 11], B=[(0,)] * 12, V=[tuple(-coefficients[1:]), *shift])
    assert nd.stability.region(step, 0) == (excess <= 0)


def test_float_damping():
    method = nd.GHVB(2, 0.8)
    assert nd.stability.real_interval(method) == sp.Rational(6, 5)
    assert nd.stability.polynomial(method) == nd.stability.polynomial(nd.GHVB(2, Fraction(4, 5)))


@given(st.floats(0.05, 2.0), st.fractions(Fraction(1, 10), Fraction(19, 10), max_denominator=20))
def test_half_rule_with_heavy_ball(h, beta):
    # stable for kappa in (-((2-beta)/(2 beta)) coth(h/2), 1), f = kappa x/alpha in the data prediction
    method = nd.HeavyBall(nd.DPMSolverPP(2, rule="half"), beta=beta)
    end = float((2 - beta) / (2 * beta)) / np.tanh(h / 2)
    assert float(nd.stability.real_interval(method, h=h)) == pytest.approx(end, rel=1e-12)
    factors = np.array([-end * (1 + 1e-9), -end * (1 - 1e-9), 0.999, 1.001])
    assert nd.stability.region(method, factors, h=h).tolist() == [False, True, True, False]


def test_growing_kernels_have_no_interval_at_zero():
    assert nd.stability.real_interval(nd.DPMSolver(2), h=0.1) == 0


@pytest.mark.parametrize("method", [nd.AdamsBashforth(2), nd.GHVB(4, 0.7), nd.RK4(), nd.Heun()])
def test_locus_has_a_root_on_the_circle(method):
    locus = nd.stability.boundary_locus(method, 50)
    pi = nd.stability.polynomial(method)
    assert locus.shape == (pi.degree(sp.Symbol("z")), 50)
    coefficients = sp.lambdify("z", [c.as_expr() for c in sp.Poly(pi.as_expr(), ZETA).all_coeffs()])
    for point in locus[:, 1:-1].ravel():
        roots = np.roots(np.array(coefficients(point), dtype=complex))
        # z is good to about 1e-12 where its own roots are close, and moves the roots by at most ten times that
        assert np.abs(np.abs(roots) - 1).min() < 1e-10


def test_locus_branches_are_continuous():
    locus = nd.stability.boundary_locus(nd.RK4(), 2000)
    # dz = i dtheta zeta/R'(z), and |R'| is smallest, about 0.2, near the branch points of R
    assert np.abs(np.diff(locus)).max() < 0.3
    np.testing.assert_allclose(np.sort_complex(locus[:, 0]), np.sort_complex(locus[:, -1]), atol=1e-6)


def test_locus_of_a_multistep_method_is_rho_over_sigma():
    zeta = np.exp(1j * np.linspace(0, 2 * np.pi, 30))
    expected = (zeta**2 - zeta) / (1.5 * zeta - 0.5)
    np.testing.assert_allclose(nd.stability.boundary_locus(nd.AdamsBashforth(2), 30)[0], expected, atol=1e-14)


@pytest.mark.slow
def test_ten_times_faster_than_nodepy():
    from nodepy import linear_multistep_method as reference
    from nodepy.linear_multistep_method import _root_condition

    x, y = np.linspace(-1.2, 0.4, 400), np.linspace(-1, 1, 400)
    z = x + 1j * y[:, np.newaxis]
    rho, sigma = reference.Adams_Bashforth(4).__num__().characteristic_polynomials()
    start = perf_counter()
    np.vectorize(lambda point: _root_condition(rho - point * sigma))(z[:40])  # a tenth of the grid
    theirs = 10 * (perf_counter() - start)
    start = perf_counter()
    nd.stability.region(nd.AdamsBashforth(4), z)
    assert theirs > 10 * (perf_counter() - start)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda s: s.region(nd.GHVB(2, BETA), [0]), ValueError, "symbol beta"),
        (lambda s: s.region(nd.DPMSolverPP(2), [0]), ValueError, "h=0.1"),
        (lambda s: s.region(nd.AdamsBashforth(2), [np.nan]), ValueError, "z must be finite"),
        (lambda s: s.region(nd.AdamsBashforth(2), ["a"]), TypeError, "z must be an array"),
        (lambda s: s.region(nd.AdamsBashforth, [0]), TypeError, "pass an instance"),
        (lambda s: s.region("AB2", [0]), TypeError, "method must be a method such as"),
        (lambda s: s.imaginary_interval(nd.DPMSolverPP(2)), ValueError, "could not be proved"),
        (lambda s: s.real_interval(nd.AdamsBashforth(2), h=0.1), ValueError, "drop h"),
        (lambda s: s.boundary_locus(nd.AdamsBashforth(2), 1), ValueError, "at least 2"),
        (lambda s: s.boundary_locus(nd.AdamsBashforth(2), 2.5), TypeError, "points must be an int"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call(nd.stability)
