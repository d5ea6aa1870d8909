"""Relative stability: exact intervals against the roots themselves."""

from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import numdiff as nd
from numdiff.symbolic.polynomials import ZETA, Z

BETA = sp.Symbol("beta")
MEMBERS = nd.methods()
SEVERAL = [
    name
    for name, method in MEMBERS.items()
    if method.stages == 1 and len(nd.stability.roots(method, 0, h=0.3 if method.kernel else None)) > 1
]
TWO_ROOTS = {
    "hb1": lambda beta: nd.HeavyBall(nd.AdamsBashforth(1), beta=beta),
    "hb2": lambda beta: nd.HeavyBall(nd.AdamsBashforth(2), beta=beta),
    "ghvb2": lambda beta: nd.GHVB(2, beta),
    "nt1": lambda beta: nd.Nesterov(nd.AdamsBashforth(1), beta=beta),
}


def moduli(method, z, h=None):
    """Moduli of the principal root and of the largest other one."""
    found = np.abs(nd.stability.roots(method, z, h=h))
    return found[0], found[1:].max(axis=0)


@pytest.mark.parametrize("name", SEVERAL)
def test_the_interval_ends_at_the_first_tie(name):
    method = MEMBERS[name]
    h = 0.3 if method.kernel else None
    end = float(nd.stability.relative_interval(method, h=h))
    principal, other = moduli(method, -end * np.linspace(0, 0.999, 200), h)
    assert (principal > other).all()
    principal, other = moduli(method, -end, h)
    assert principal == pytest.approx(other, rel=1e-6)  # a double root is good to the square root of rounding


def test_two_evaluations_a_step_have_no_such_interval():
    with pytest.raises(ValueError, match="a method of 2 stages is no linear multistep method"):
        nd.stability.relative_interval(nd.AdamsBashforthMoulton(3))


def test_adams_bashforth():
    # AB2: zeta^2 - (1 + 3z/2) zeta + z/2 has the roots +-r when 1 + 3z/2 = 0
    assert nd.stability.relative_interval(nd.AdamsBashforth(2)) == sp.Rational(2, 3)
    # AB3: roots r, -r and b have the symmetric functions b = 1 + 23z/12, -r^2 = 4z/3, -b r^2 = 5z/12
    z = sp.Symbol("z")
    b, square = 1 + sp.Rational(23, 12) * z, -sp.Rational(4, 3) * z
    (expected,) = sp.Poly(sp.expand((b * square + sp.Rational(5, 12) * z) / z), z).real_roots()
    assert nd.stability.relative_interval(nd.AdamsBashforth(3)) == -expected
    assert nd.stability.relative_interval(nd.AdamsBashforth(1)) == sp.oo
    assert nd.stability.relative_interval(nd.RK4()) == sp.oo
    # leapfrog: the roots 1 and -1 tie at z = 0, and the parasitic one wins for every z < 0
    assert nd.stability.relative_interval(nd.HeavyBall(nd.AdamsBashforth(1), beta=2)) == 0


@settings(max_examples=15)
@given(st.fractions(Fraction(1, 20), Fraction(19, 10), max_denominator=20), st.sampled_from(list(TWO_ROOTS)))
def test_symbolic_damping(beta, which):
    build = TWO_ROOTS[which]
    formula = nd.stability.relative_interval(build(BETA)).subs(BETA, sp.Rational(beta.numerator, beta.denominator))
    number = nd.stability.relative_interval(build(beta))
    assert formula == number == sp.oo or float(formula) == pytest.approx(float(number), rel=1e-12)


@pytest.mark.parametrize("build", [lambda b: nd.GHVB(3, b), lambda b: nd.HeavyBall(nd.AdamsBashforth(3), beta=b)])
def test_symbolic_damping_with_three_roots(build):
    formula = nd.stability.relative_interval(build(BETA))
    for beta in (sp.Rational(1, 5), sp.Rational(4, 5), sp.Rational(3, 2)):
        number = nd.stability.relative_interval(build(beta))
        assert float(formula.subs(BETA, beta)) == pytest.approx(float(number), rel=1e-12)


def test_heavy_ball_on_euler_in_closed_form():
    # zeta^2 - (2 - beta + beta z) zeta + 1 - beta: double root where 2 - beta + beta z = 2 sqrt(1 - beta)
    formula = nd.stability.relative_interval(nd.HeavyBall(nd.AdamsBashforth(1), beta=BETA))
    for beta in (sp.Rational(1, 4), sp.Rational(16, 25)):
        assert sp.simplify(formula.subs(BETA, beta) - (1 - sp.sqrt(1 - beta)) ** 2 / beta) == 0


@pytest.mark.parametrize("which", list(TWO_ROOTS))
def test_two_roots_tie_where_their_sum_or_their_difference_vanishes(which):
    method = TWO_ROOTS[which](BETA)
    formula = nd.stability.relative_interval(method)
    _, b, c = sp.Poly(nd.stability.polynomial(method).as_expr(), ZETA).all_coeffs()
    pieces = [(formula, sp.true)] if not isinstance(formula, sp.Piecewise) else formula.args
    for x, _ in pieces:
        if x != sp.oo:
            assert 0 in (sp.simplify(e.subs(Z, -x)) for e in (b, b**2 - 4 * c))


def test_region_agrees_with_the_definition():
    rng = np.random.default_rng(5)
    z = rng.uniform(-2, 1, 300) + 1j * rng.uniform(-1, 1, 300)
    for method in (nd.AdamsBashforth(4), nd.GHVB(3, 0.5), nd.Nesterov(nd.AdamsBashforth(2), beta=0.8)):
        principal, other = moduli(method, z)
        np.testing.assert_array_equal(nd.stability.relative_region(method, z), other <= principal)
        exact = nd.stability.relative_region(method, z, against="exact")
        np.testing.assert_array_equal(exact, other <= np.exp(z.real))
    assert nd.stability.relative_region(nd.RK4(), z).all()


def test_ties_belong_to_the_region():
    # AB2 at -2/3 has the roots +-1/sqrt(3); leapfrog on i (-1, 1) has two roots on the circle
    assert nd.stability.relative_region(nd.AdamsBashforth(2), [-2 / 3, -0.6667]).tolist() == [True, False]
    leapfrog = nd.HeavyBall(nd.AdamsBashforth(1), beta=2)
    assert nd.stability.relative_region(leapfrog, [0, 0.5j, 0.1, -0.1]).tolist() == [True, True, True, False]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: s.relative_region(nd.AdamsBashforth(2), [0], against="nothing"), "against must be one of"),
        (lambda s: s.relative_interval(nd.DPMSolverPP(2)), "h=0.1"),
        (lambda s: s.relative_interval(nd.AdamsBashforth(2), h=0.1), "drop h"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call(nd.stability)


@pytest.mark.parametrize("order", [2, pytest.param(3, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "build",
    [
        nd.GHVB,
        lambda k, b: nd.HeavyBall(nd.AdamsBashforth(k), b),
        lambda k, b: nd.FilteredAdams(k, b, Fraction(1, 2)),
    ],
    ids=["GHVB", "HB", "FA"],
)
def test_formulas_hold_all_along_the_damping(build, order):
    """A root of the polynomial in x may leave through infinity, and the formula must not change over to another."""
    formula = nd.stability.relative_interval(build(order, BETA))
    for k in range(1, 20):
        beta = Fraction(k, 10) - Fraction(1, 77)
        number = float(nd.stability.relative_interval(build(order, beta)))
        assert float(formula.subs(BETA, sp.Rational(beta.numerator, beta.denominator))) == pytest.approx(
            number, rel=1e-9
        )
