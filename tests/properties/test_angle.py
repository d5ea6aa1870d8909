"""The angle of A(alpha)-stability, against published angles and against roots computed by numpy."""

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import numdiff as nd
from numdiff.symbolic.polynomials import ZETA

MEMBERS = nd.methods()
ANGLES = [90, 90, 86.03, 73.35, 51.84, 17.84]
"""Hairer, Wanner, Solving ODEs II, table V.2.1."""


def bdf(k):
    """sum_j nabla^j/j x_{n+k} = h f_{n+k}."""
    rho = sum(sp.Rational(1, j) * ZETA ** (k - j) * (ZETA - 1) ** j for j in range(1, k + 1))
    return sp.Poly(rho, ZETA), sp.Poly(ZETA**k, ZETA)


def numpy_coefficients(pair):
    rho, sigma = (np.array(p.all_coeffs(), dtype=float) for p in pair)
    return rho, np.concatenate([np.zeros(len(rho) - len(sigma)), sigma])


def is_inside(pair, angle, radii):
    """Whether all roots at z = -radius e^{+-i angle} lie in the closed disc."""
    rho, sigma = numpy_coefficients(pair)
    return all(np.abs(np.roots(rho + x * np.exp(1j * angle) * sigma)).max() < 1 + 1e-9 for x in radii)


@pytest.mark.parametrize("k", range(1, 7))
def test_published_angles_of_bdf(k):
    found = nd.stability.sector_angle(bdf(k))
    assert found.degrees == pytest.approx(ANGLES[k - 1], abs=5e-3)
    assert (found.angle == sp.pi / 2) == (k <= 2)


@pytest.mark.parametrize("k", range(3, 7))
def test_the_sector_is_stable_and_no_wider_one_is(k):
    angle = float(nd.stability.sector_angle(bdf(k)).angle)
    radii = np.geomspace(1e-3, 1e3, 4000)
    assert is_inside(bdf(k), angle - 1e-3, radii)
    assert not is_inside(bdf(k), angle + 1e-3, radii)


@pytest.mark.parametrize("k", range(3, 7))
def test_exact_tangent(k):
    found = nd.stability.sector_angle(bdf(k)).tangent_squared
    assert found.is_algebraic
    theta = np.linspace(1e-3, np.pi, 400001)
    rho, sigma = bdf(k)
    z = np.polyval(numpy_coefficients((rho, sigma))[0], np.exp(1j * theta)) / np.exp(1j * k * theta)
    left = z.real < 0
    # the grid misses the minimum by a step of 8e-6, squared and times a curvature of about 1e3
    assert float(found) == pytest.approx(np.min((z.imag[left] / z.real[left]) ** 2), rel=1e-5)


def test_bdf7_is_not_zero_stable():
    assert nd.stability.sector_angle(bdf(7)).angle == 0


def test_a_stable_and_bounded_pairs():
    trapezoidal = sp.Poly(ZETA - 1, ZETA), sp.Poly((ZETA + 1) / 2, ZETA)
    assert nd.stability.sector_angle(trapezoidal).angle == sp.pi / 2
    moulton = sp.Poly(ZETA**2 - ZETA, ZETA), sp.Poly((5 * ZETA**2 + 8 * ZETA - 1) / 12, ZETA)
    assert nd.stability.sector_angle(moulton).angle == 0  # implicit, with a bounded region


@settings(max_examples=20)
@given(st.fractions(0, 1, max_denominator=30))
def test_theta_methods(theta):
    # A-stable exactly for theta >= 1/2 (Dahlquist's theory for one-step methods)
    pair = sp.Poly(ZETA - 1, ZETA), sp.Poly(sp.Rational(theta) * ZETA + 1 - sp.Rational(theta), ZETA)
    assert nd.stability.sector_angle(pair).angle == (sp.pi / 2 if theta >= sp.Rational(1, 2) else 0)


@pytest.mark.parametrize("name", MEMBERS)
def test_explicit_methods_have_no_sector(name):
    found = nd.stability.sector_angle(MEMBERS[name])
    assert found.angle == 0
    assert "grows without bound" in found.reason
    assert ("solved exactly" in found.reason) == (MEMBERS[name].kernel != 0)
    assert not nd.stability.region(MEMBERS[name], -1e6, h=0.5 if MEMBERS[name].kernel else None)


@pytest.mark.parametrize(
    ("argument", "error", "message"),
    [
        ((1, 2), TypeError, "a pair"),
        (nd.AdamsBashforth, TypeError, "pass an instance"),
        ((sp.Poly(ZETA - sp.Symbol("a"), ZETA), sp.Poly(ZETA, ZETA)), ValueError, "numbers for the symbols"),
        ((sp.Poly(ZETA - 2, ZETA), sp.Poly(ZETA, ZETA)), ValueError, "root 1"),
    ],
)
def test_bad_input(argument, error, message):
    with pytest.raises(error, match=message):
        nd.stability.sector_angle(argument)
