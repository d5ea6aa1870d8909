"""The search finds optima of functions whose optima are known, at inner points, ends and edges of requirements."""

import pytest
import sympy as sp

import numdiff as nd
from numdiff.design.search import Quantity, Requirement, best, interval_quantity, rational_quantity, within_disc
from numdiff.design.solve import substituted
from numdiff.symbolic.critical import X
from numdiff.symbolic.polynomials import ZETA, stability_polynomial
from numdiff.symbolic.steady import steady

B = sp.Symbol("b")
Q = sp.Rational
CUBIC = Quantity(lambda q: q**3 - 3 * q, (sp.Poly(X - B**3 + 3 * B, X, B),))


def at_most(polynomial, bound=0):
    return Requirement(lambda q: bool(polynomial.subs(B, q) <= bound), (sp.Poly(polynomial - bound, B),))


def test_turning_points_and_ends():
    """t^3 - 3 t has its inner maximum at -1, and beyond 2 exceeds it."""
    assert best(CUBIC, True, [], B, (-2, Q(3, 2))).position == -1
    assert best(CUBIC, True, [], B, (-2, 3)).position == 3
    assert best(CUBIC, False, [], B, (0, 3)).position == 1
    found = best(CUBIC, True, [], B, (-2, Q(3, 2)))
    assert CUBIC.exactly(B, found.minimal, found.position, found.value) == 2


def test_an_edge_of_a_requirement_is_an_algebraic_number():
    """The largest t^3 - 3 t with t^2 <= 5 is at sqrt 5, where it is 2 sqrt 5."""
    found = best(CUBIC, True, [at_most(B**2, 5)], B, (0, 3))
    assert found.position == sp.sqrt(5)
    assert found.minimal.as_expr() == B**2 - 5
    assert found.inside**2 < 5
    value = CUBIC.exactly(B, found.minimal, found.position, found.value)
    assert value == 2 * sp.sqrt(5)


def test_separate_admissible_cells_are_compared():
    outside = at_most(-((B - 1) ** 2), -Q(1, 4))  # |t - 1| >= 1/2
    assert best(CUBIC, False, [outside], B, (0, 3)).position in (Q(1, 2), Q(3, 2))
    assert best(CUBIC, False, [outside, at_most(-B, -1)], B, (0, 3)).position == Q(3, 2)


def test_what_is_only_approached_is_refused():
    with pytest.raises(ValueError, match=r"the best value, 2.0*, is only approached as b tends to 2"):
        best(CUBIC, False, [], B, (2, 3))
    pole = rational_quantity(1 / B, B)
    with pytest.raises(ValueError, match="infinite, is only approached as b tends to 0"):
        best(pole, True, [], B, (0, 1))
    with pytest.raises(ValueError, match=r"no b in \(0, 1\] meets the requirements"):
        best(pole, True, [at_most(B, -1)], B, (0, 1))


def test_absolute_values_have_an_edge_at_zero():
    found = best(rational_quantity((B - Q(1, 3)) / (B + 1), B), False, [], B, (0, 1))
    assert found.position == Q(1, 3)


@pytest.mark.parametrize("radius", [Q(1, 2), 1, Q(3, 2)])
def test_zeros_in_a_disc(radius):
    """zeta^2 - b has them for |b| <= radius^2, and so has zeta^2 - b zeta + b exactly where Schur's conditions say."""
    need = within_disc(ZETA**2 - B, radius, B)
    assert best(CUBIC_GROWS, True, [need], B, (-4, 4)).position == radius**2
    assert best(CUBIC_GROWS, False, [need], B, (-4, 4)).position == -(radius**2)
    pair = within_disc(ZETA**2 - B * ZETA + B, 1, B)
    assert best(CUBIC_GROWS, True, [pair], B, (-4, 4)).position == 1
    assert best(CUBIC_GROWS, False, [pair], B, (-4, 4)).position == -Q(1, 2)
    assert within_disc(sp.Integer(1), radius, B).holds(Q(1))


CUBIC_GROWS = Quantity(lambda q: q**3, (sp.Poly(X - B**3, X, B),))


@pytest.mark.parametrize("axis", ["real", "imaginary"])
@pytest.mark.parametrize("family", [nd.GHVB(3, B), nd.Nesterov(nd.AdamsBashforth(2), B)], ids=["GHVB3", "NT"])
def test_the_relations_of_an_interval_hold_at_members(family, axis):
    quantity = interval_quantity(stability_polynomial(steady(family)), axis, B, (0, 2))
    end = {"real": nd.stability.real_interval, "imaginary": nd.stability.imaginary_interval}[axis]
    for q in (Q(1, 5), Q(4, 5), Q(13, 10)):
        member = substituted(family, B, q)
        exact = end(member)
        assert abs(sp.N(quantity.at(q) - exact, 30)) < Q(1, 10**28)
        if exact:
            assert any(abs(sp.N(F.as_expr().subs({X: exact, B: q}), 30)) < Q(1, 10**20) for F in quantity.relations)
