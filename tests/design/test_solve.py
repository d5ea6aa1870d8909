"""Designs are the optima that calculus, a scan over rational parameters and the method's own tableau say they are."""

from fractions import Fraction

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import numdiff as nd
from numdiff.design import largest_interval, smallest_error, solve

BETA = sp.Symbol("beta")
F = Fraction
Q = sp.Rational


def ghvb(k):
    return nd.GHVB(k, BETA)


def assert_certified(design, member):
    """The numbers of a design are those of the member's own tableau."""
    assert design.order == nd.order.certified(member)
    assert sp.expand(design.error_constant - nd.order.error_constant(member)) == 0
    assert sp.expand(design.real_interval - nd.stability.real_interval(member)) == 0


@settings(max_examples=15)
@given(st.fractions(1, F(19, 10), max_denominator=12))
def test_ghvb2_of_least_error_constant(x):
    """x* = 2 - b and C falls with b, so the best b for x* >= X is 2 - X."""
    found = smallest_error(ghvb(2), real_interval=x)
    assert (found.value, found.real_interval) == (2 - Q(x), Q(x))
    assert found.method == found.nearby == nd.GHVB(2, 2 - x)
    assert_certified(found, found.method)


@settings(max_examples=8)
@given(st.fractions(F(1, 2), 3, max_denominator=9))
def test_heavy_ball_of_given_error_constant(c):
    """HB(AB2) has C = (1-b)/b: the longest interval with |C| <= c is at b = 1/(1+c), where x* = 1 + 2 c."""
    found = largest_interval(nd.HeavyBall(nd.AdamsBashforth(2), BETA), error_constant=c)
    assert (found.value, found.error_constant, found.real_interval) == (1 / (1 + Q(c)), Q(c), 1 + 2 * Q(c))
    assert found.method == nd.HeavyBall(nd.AdamsBashforth(2), beta=1 / (1 + c))
    assert_certified(found, found.method)


SCAN = [F(n, 24) for n in range(1, 49)]


@pytest.mark.parametrize(
    ("make", "x"),
    [(ghvb(3), F(3, 4)), (nd.Nesterov(nd.AdamsBashforth(2), BETA), F(3, 2)), (nd.GHVB(1, BETA), F(5, 2))],
    ids=["GHVB3", "NT(AB2)", "GHVB1"],
)
def test_a_scan_finds_nothing_better(make, x):
    found = smallest_error(make, real_interval=x)
    best = abs(float(found.error_constant))
    C = nd.order.error_constant(make)
    others = [(abs(float(C.subs(BETA, b))), b) for b in SCAN]
    admissible = [pair for pair in others if longer(make, pair[1], x)]
    assert min(admissible)[0] >= best - 1e-12
    assert any(abs(float(found.value) - b) <= 1 / 24 for _, b in admissible)  # and the scan comes near


def longer(family, b, x):
    member = nd.GHVB(family.order, b) if isinstance(family, nd.GHVB) else nd.Nesterov(family.base, beta=b)
    end = nd.stability.real_interval(member)
    return bool(nd.order.is_zero_stable(member) and end >= Q(x))


def test_an_imaginary_interval_is_met_and_tight():
    """GHVB3 with y* >= 1/4 has y* = 1/4: more x* would cost it."""
    found = largest_interval(ghvb(3), imaginary_interval=F(1, 4))
    inside, value = Q(found.nearby.beta.numerator, found.nearby.beta.denominator), found.value
    assert nd.stability.imaginary_interval(found.nearby) >= Q(1, 4)
    assert abs(inside - value) < Q(1, 10**5)
    beyond = Fraction(str(sp.N(value, 20))) - F(1, 10**4)
    assert nd.stability.imaginary_interval(nd.GHVB(3, beyond)) < Q(1, 4)
    assert sp.N(found.real_interval - sp.Integer(6) * (2 - value) / (12 - value), 30, chop=True) == 0
    least = solve(ghvb(3), maximize="imaginary_interval")
    top = nd.stability.imaginary_interval(least.nearby)
    for shift in (F(-1, 50), F(1, 50)):
        assert nd.stability.imaginary_interval(nd.GHVB(3, least.nearby.beta + shift)) < top


@pytest.mark.parametrize("m", [F(1, 3), F(1, 2), F(4, 5)])
def test_a_bound_on_parasitic_roots_is_met_and_tight(m):
    """The root of GHVB besides 1 is 1 - b."""
    assert largest_interval(ghvb(2), parasitic=m).value == 1 - Q(m)
    assert solve(ghvb(2), minimize="error_constant", parasitic=m).value == 1 + Q(m)


@settings(max_examples=5)
@given(st.fractions(F(1, 2), F(9, 10), max_denominator=10))
def test_damping_is_met_and_tight(d):
    """HB(AB1): zeta^2 - (2 - b - b x) zeta + 1 - b at z = -x; |zeta| <= d holds from b = 1 - d^2 on, for x = 1."""
    found = largest_interval(nd.HeavyBall(nd.AdamsBashforth(1), BETA), damping=(1, d))
    roots = [abs(r) for r in sp.Poly(polynomial(found.method, -1)).nroots(30)]
    assert max(roots) <= Q(d) + Q(1, 10**12)
    nearer = nd.HeavyBall(nd.AdamsBashforth(1), beta=F(found.value.p, found.value.q) - F(1, 1000))
    assert max(abs(r) for r in sp.Poly(polynomial(nearer, -1)).nroots(30)) > Q(d)


def polynomial(method, z):
    return nd.stability.polynomial(method).as_expr().subs(sp.Symbol("z"), z)


def test_floats_are_read_as_decimals():
    assert smallest_error(ghvb(2), real_interval=1.5) == smallest_error(ghvb(2), real_interval=F(3, 2))


def test_a_family_may_depend_on_its_symbol_through_expressions():
    """Of the heavy balls of order 2 with two velocities, the longest interval is that of StretchedAdams(2)."""
    gamma = sp.Symbol("gamma")
    found = largest_interval(nd.FilteredAdams(1, 2 - 2 * gamma, momentum=gamma), domain=(0, 1))
    assert (found.order, found.real_interval, found.error_constant) == (2, 2, Q(5, 12))
    stretched = nd.StretchedAdams(2)
    assert (found.method.beta, found.method.momentum) == (stretched.beta, stretched.momentum)
    assert nd.stability.polynomial(found.method) == nd.stability.polynomial(stretched)
    assert_certified(found, found.method)


REFUSED = {
    "meets the requirements": {"minimize": "error_constant", "real_interval": 2},
    "give one objective": {},
    "give one objective: maximize": {"minimize": "real_interval"},
    "only approached as beta tends to 0": {"maximize": "real_interval"},
    "real_interval must be a positive rational number, got -1": {"minimize": "error_constant", "real_interval": -1},
    "real_interval must be a positive rational number, got '1'": {"minimize": "error_constant", "real_interval": "1"},
    "real_interval must be a positive rational number, got True": {"minimize": "error_constant", "real_interval": True},
    "error_constant must be a positive rational number, got inf": {
        "maximize": "real_interval",
        "error_constant": float("inf"),
    },
    "parasitic must be a positive rational number, got sqrt": {"maximize": "real_interval", "parasitic": sp.sqrt(2)},
    "damping must be a pair": {"minimize": "error_constant", "damping": (1, 2, 3)},
    r"domain must be \(low, high\) with low < high, got \(1, 0\)": {"minimize": "error_constant", "domain": (1, 0)},
    r"domain must be a pair": {"minimize": "error_constant", "domain": 2},
    "domain must be rational numbers, got nan": {"minimize": "error_constant", "domain": (0, float("nan"))},
}


@pytest.mark.parametrize("reason", REFUSED)
def test_requirements_that_cannot_be_met_or_read_are_refused(reason):
    with pytest.raises(ValueError, match=reason):
        solve(ghvb(2), **REFUSED[reason])


def test_methods_that_cannot_be_designed_are_refused():
    with pytest.raises(ValueError, match=r"GHVB2\(1/2\) has 0 free parameters, and a design solves for one"):
        solve(nd.GHVB(2, F(1, 2)), minimize="error_constant")
    with pytest.raises(ValueError, match="has 2 free parameters"):
        solve(nd.FilteredAdams(1, BETA, momentum=sp.Symbol("gamma")), minimize="error_constant")
    with pytest.raises(ValueError, match="depends on the step length h; design it in a formulation of kernel exponent"):
        solve(nd.GHVB(2, BETA, nd.DATA_LOG_SNR), minimize="error_constant")
    with pytest.raises(TypeError, match="got 3"):
        solve(3, minimize="error_constant")
