"""Closed forms of stability intervals, against the published ones and against roots computed by numpy."""

from fractions import Fraction
from functools import cache
from time import perf_counter

import mpmath
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import numdiff as nd
from numdiff.symbolic.critical import X
from numdiff.symbolic.intervals import CriticalRoot, interval
from numdiff.symbolic.polynomials import ZETA, Z, stability_polynomial, to_sympy

BETA = sp.Symbol("beta")
ADAMS = [2, 1, sp.Rational(6, 11), sp.Rational(3, 10), sp.Rational(90, 551)]
GHVB = [
    2 * (2 - BETA) / BETA,
    2 - BETA,
    6 * (2 - BETA) / (12 - BETA),
    3 * (2 - BETA) / (11 - BETA),
    90 * (2 - BETA) / (600 - 49 * BETA),
]
FAMILIES = {
    "HB": lambda k, beta: nd.HeavyBall(nd.AdamsBashforth(k), beta=beta),
    "NT": lambda k, beta: nd.Nesterov(nd.AdamsBashforth(k), beta=beta),
    "GHVB": nd.GHVB,
}


@cache
def symbolic(family, order, axis):
    start = perf_counter()
    value = interval(stability_polynomial(FAMILIES[family](order, BETA).steady()), axis)
    return value, perf_counter() - start


def exactly(method, axis):
    return interval(stability_polynomial(method.steady()), axis)


@pytest.mark.parametrize("order", range(1, 6))
def test_published_real_intervals(order):
    assert exactly(nd.AdamsBashforth(order), "real") == ADAMS[order - 1]
    assert sp.cancel(symbolic("HB", order, "real")[0] - ADAMS[order - 1] * (2 - BETA) / BETA) == 0
    assert sp.cancel(symbolic("GHVB", order, "real")[0] - GHVB[order - 1]) == 0


def test_known_imaginary_intervals():
    # AB3 and AB4 as in Ghrist, Fornberg and Reeger (2015); the classical Runge-Kutta method as in every textbook
    assert exactly(nd.AdamsBashforth(3), "imaginary") == 12 * sp.sqrt(11) / 55
    assert exactly(nd.AdamsBashforth(4), "imaginary") == 4 * sp.sqrt(65) / 75
    assert [exactly(nd.AdamsBashforth(k), "imaginary") == 0 for k in (1, 2, 5, 6, 7, 8)] == [1, 1, 1, 1, 0, 0]
    assert exactly(nd.RK4(), "imaginary") == 2 * sp.sqrt(2)


def test_heavy_ball_destroys_the_imaginary_interval_and_ghvb_keeps_it():
    below = [Fraction(n, 20) for n in range(1, 20)]
    for k in (3, 4):
        heavy, kept = symbolic("HB", k, "imaginary")[0], symbolic("GHVB", k, "imaginary")[0]
        assert all(heavy.subs(BETA, to_sympy(b)) == 0 for b in below)
        assert all(kept.subs(BETA, to_sympy(b)) > 0 for b in below)
        for formula in (heavy, kept):
            assert formula.subs(BETA, 1).equals(exactly(nd.AdamsBashforth(k), "imaginary"))


def test_leapfrog():
    # roots that stay on the circle along a whole segment; the interval exists at beta = 2 only
    leapfrog = nd.HeavyBall(nd.AdamsBashforth(1), beta=2)
    assert exactly(leapfrog, "imaginary") == 1
    assert exactly(leapfrog, "real") == 0
    formula = symbolic("HB", 1, "imaginary")[0]
    assert formula.subs(BETA, 2) == 1
    assert formula.subs(BETA, sp.Rational(199, 100)) == 0


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("axis", ["real", "imaginary"])
@settings(max_examples=12)
@given(order=st.integers(1, 3), beta=st.fractions(Fraction(1, 20), Fraction(39, 20), max_denominator=40))
def test_formula_agrees_with_exact_numbers(family, axis, order, beta):
    formula = symbolic(family, order, axis)[0].subs(BETA, to_sympy(beta))
    number = exactly(FAMILIES[family](order, beta), axis)
    assert sp.N(formula - number, 30, chop=True) == 0


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=15)
@given(order=st.integers(1, 5), beta=st.fractions(Fraction(1, 20), Fraction(39, 20), max_denominator=40))
def test_just_inside_is_stable_and_just_outside_is_not(family, order, beta):
    pi = stability_polynomial(FAMILIES[family](order, beta).steady())
    x, y = (float(interval(pi, axis)) for axis in ("real", "imaginary"))
    coefficients = sp.lambdify(Z, [c.as_expr() for c in sp.Poly(pi.as_expr(), ZETA).all_coeffs()])

    def radius(z):
        return np.abs(np.roots(np.array(coefficients(z), dtype=complex))).max()

    # inside: no root beyond the circle by more than the error of a simple root; outside: beyond it by more than that
    assert all(radius(-x * s) < 1 + 1e-9 for s in (0.05, 0.5, 0.95, 1 - 1e-5))
    assert radius(-x * (1 + 1e-5)) > 1 + 1e-9
    if y:
        assert all(radius(1j * y * s) < 1 + 1e-9 for s in (0.05, 0.5, 0.95, 1 - 1e-5))
        assert radius(1j * y * (1 + 1e-4)) > 1 + 1e-9


@pytest.mark.parametrize(("family", "order"), [("GHVB", 4), ("HB", 5), ("NT", 5)])
def test_fast_enough(family, order):
    for axis in ("real", "imaginary"):
        # half of the promised time is what they take on one idle core
        assert symbolic(family, order, axis)[1] < (10 if order == 5 else 4)


def test_nesterov_switches_where_the_curves_cross():
    formula = symbolic("NT", 1, "real")[0]
    assert formula.args[0][0].equals(2 * (2 - BETA) / (BETA * (3 - 2 * BETA)))
    assert formula.args[0][1] == sp.Le(BETA, sp.Rational(4, 3))
    assert formula.args[1][0].equals(1 / (BETA - 1))


def test_algebraic_branches_become_numbers():
    formula = symbolic("NT", 3, "real")[0]
    assert formula.has(CriticalRoot)
    value = formula.subs(BETA, sp.Rational(3, 2))
    assert value.is_number
    assert value == exactly(nd.Nesterov(nd.AdamsBashforth(3), beta=Fraction(3, 2)), "real")
    assert sp.N(formula.subs(BETA, 1.5)) == pytest.approx(float(value), rel=1e-12)


def test_isolated_values_of_the_parameter_get_a_line_of_their_own():
    # only beta = 1, Adams-Bashforth itself, has an imaginary interval
    formula = symbolic("NT", 3, "imaginary")[0]
    assert formula.subs(BETA, 1).equals(12 * sp.sqrt(11) / 55)
    assert formula.subs(BETA, sp.Rational(999, 1000)) == 0


def test_a_zero_that_a_polynomial_does_not_have_is_no_number():
    root = CriticalRoot(2, sp.Lambda(X, (BETA - 1) * X**3 - 3 * X + BETA))
    assert root.subs(BETA, 1) is sp.nan  # degree 1 is left
    assert root.subs(BETA, 3) is sp.nan  # 2 X^3 - 3 X + 3 has one real zero
    assert CriticalRoot(0, sp.Lambda(X, (BETA - 1) * X + 2)).subs(BETA, 1) is sp.nan


@pytest.mark.parametrize(
    "options", [{"momentum": "published"}, pytest.param({"mode": "PECE"}, marks=pytest.mark.slow)], ids=str
)
def test_branches_whose_zeros_vanish_at_the_next_breakpoint(options):
    def method(beta):
        return nd.PredictorCorrector(2, beta=beta, **options)

    formula = nd.stability.imaginary_interval(method(BETA))
    assert formula.has(CriticalRoot)
    for beta in map(
        Fraction, ("1/2", "1", "5/4", "24/13", "2")
    ):  # 24/13: where one cubic loses its leading coefficient
        found, pi = formula.subs(BETA, to_sympy(beta)), stability_polynomial(method(beta).steady())
        assert sp.N(found - interval(pi, "imaginary"), 30, chop=True) == 0
        end = mpmath.mpf(str(sp.N(found, 40)))
        assert all(largest_root(pi, end * s) < 1 + mpmath.mpf(10) ** -25 for s in (0.01, 0.5, 0.9999) if end)
        assert largest_root(pi, end * 1.0001 or mpmath.mpf(1) / 100) > 1 + mpmath.mpf(10) ** -12


def largest_root(pi, y):
    """Largest modulus of the roots of pi(., i y), by mpmath to 40 digits."""
    with mpmath.workdps(40):
        z = mpmath.mpc(0, y)
        found = [mpmath.mpc(0)] * (pi.degree(ZETA) + 1)
        for (i, j), c in pi.as_dict().items():
            found[-1 - i] += mpmath.mpf(int(c.p)) / int(c.q) * z**j
        return max(map(abs, mpmath.polyroots(found, maxsteps=200, extraprec=200)))


def test_empty_and_endless_intervals():
    assert interval(sp.Poly(ZETA - 2 - Z, ZETA, Z), "real") == 0
    assert interval(sp.Poly(ZETA - sp.Rational(1, 2) + 0 * Z, ZETA, Z), "real") is sp.oo


def test_other_domains():
    # a Runge-Kutta-Chebyshev-like family R(z) = 1 + z + c z^2; (-1/c, 0) as long as R stays above -1, that is c >= 1/8
    c = sp.Symbol("c")
    family = sp.Poly(ZETA - 1 - Z - c * Z**2, ZETA, Z)
    formula = interval(family, "real", domain=(0, 1))
    assert formula.subs(c, sp.Rational(1, 2)) == 2
    assert formula.subs(c, sp.Rational(1, 8)) == 8
    assert formula.subs(c, sp.Rational(1, 10)).equals((10 - sp.sqrt(20)) / 2)


@pytest.mark.parametrize(
    ("pi", "options", "message"),
    [
        (sp.Poly(ZETA - 1 - Z, ZETA, Z), {"axis": "up"}, "axis must be"),
        (sp.Poly(ZETA - 1 - BETA * Z * sp.Symbol("c"), ZETA, Z), {"axis": "real"}, "one parameter"),
        (sp.Poly(ZETA - 1 - sp.sqrt(2) * Z, ZETA, Z, extension=True), {"axis": "real"}, "rational numbers"),
        (sp.Poly(ZETA - 1 - BETA * Z, ZETA, Z), {"axis": "real", "domain": (2, 1)}, "low < high"),
    ],
)
def test_bad_input(pi, options, message):
    with pytest.raises(ValueError, match=message):
        interval(pi, **options)
