"""Intervals of steps in floating point: those of the exact step, or a refusal; never what their rounding makes of it."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import numdiff as nd
from numdiff.stability import imaginary_interval, real_interval
from numdiff.symbolic.rounded import as_meant, is_decided

INTERVALS = {"real": real_interval, "imaginary": imaginary_interval}
ROUNDED = {  # the rounding takes the imaginary interval of some away, and gives others one of length 1e-8
    "AB3": nd.AdamsBashforth(3),
    "Heun3": nd.Heun3(),
    "SSPRK43": nd.SSPRK43(),
    "GHVB2": nd.GHVB(2, Fraction(4, 5)),
    "PECE3": nd.PredictorCorrector(3, mode="PECE"),
    "AB8": nd.AdamsBashforth(8),
}


def in_float32(tableau):
    return tableau.map(lambda x: float(np.float32(float(x))))


@pytest.mark.parametrize("name", ROUNDED)
def test_floats_have_the_interval_of_the_step_that_is_meant(name):
    step = ROUNDED[name].steady()
    for interval in INTERVALS.values():
        assert interval(step.to_float()) == interval(step)


def test_the_interval_of_floats_against_roots_in_mpmath():
    def largest(weights, y):
        with mpmath.workdps(40):
            first, *rest = (mpmath.mpf(b) * mpmath.mpc(0, y) / 12 for b in weights)
            return max(map(abs, mpmath.polyroots([1, -1 - first, *(-b for b in rest)], maxsteps=200, extraprec=100)))

    end = float(imaginary_interval(nd.AdamsBashforth(3).steady().to_float()))
    assert all(largest((23, -16, 5), end * s) < 1 for s in (1e-6, 0.01, 0.5, 1 - 1e-9))
    assert largest((23, -16, 5), end * (1 + 1e-9)) > 1


@pytest.mark.parametrize("beta", [0.8, np.float32(0.8), np.float16(0.8), sp.Float("0.8"), Fraction(4, 5)])
def test_a_damping_is_the_decimal_that_it_prints_as(beta):
    assert real_interval(nd.GHVB(3, beta)) == real_interval(nd.GHVB(3, Fraction(4, 5)))


@settings(max_examples=20)
@given(
    st.sampled_from([nd.GHVB, lambda k, beta: nd.HeavyBall(nd.AdamsBashforth(k), beta=beta)]),
    st.integers(1, 4),
    st.floats(0.1, 1.9),
    st.integers(1, 12),
)
def test_floats_of_any_damping_are_right_or_refused(family, order, beta, digits):
    method = family(order, round(beta, digits))
    for interval in INTERVALS.values():
        exact = float(interval(method))
        for step, error in ((method.steady(), 1e-9), (in_float32(method.steady()), 1e-3)):
            try:
                assert float(interval(step)) == pytest.approx(exact, rel=error)
            except ValueError as refused:
                assert "their rounding decides" in str(refused)


def test_weights_without_fractions_are_taken_as_they_are_where_they_decide():
    # R(z) = 1 + z + z^2/2 + c z^3 ends on the real axis where R = -1, whatever c is
    c = 1 / (4 + np.pi)
    step = nd.Tableau(
        A=[(0, 0, 0), (1, 0, 0), (1 / 2 - c, c, 0)], U=[(1,)] * 3, B=[(1 / 2, -1 / 2, 1)], V=[(1,)]
    )
    R = np.polynomial.Polynomial([1, 1, 1 / 2 - 1 / 2 + 1 / 2 - c + c - 1 / 2, c])
    R = np.polynomial.Polynomial(_stability_function(step))
    end = -max(root.real for root in (R + 1).roots() if abs(root.imag) < 1e-12)
    assert float(real_interval(step)) == pytest.approx(end, rel=1e-9)
