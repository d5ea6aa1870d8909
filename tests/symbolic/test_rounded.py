"""Intervals of steps in floating point: those of the exact step, or a refusal, never an artifact of rounding."""

from contextlib import contextmanager
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import numdiff as nd
from numdiff.properties.stability import imaginary_interval, real_interval
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


@pytest.mark.parametrize("name", [*list(ROUNDED)[:-1], pytest.param("AB8", marks=pytest.mark.slow)])
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


@pytest.mark.parametrize("beta", [0.8, np.float64(0.8), sp.Float("0.8")])
def test_a_damping_is_the_decimal_that_it_prints_as(beta):
    assert real_interval(nd.GHVB(3, beta)) == real_interval(nd.GHVB(3, Fraction(4, 5)))


@contextmanager
def unless_refused():
    try:
        yield
    except ValueError as refused:
        if "their rounding decides whether it is stable" not in str(refused):
            raise


@pytest.mark.slow
@settings(max_examples=150)
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
            with unless_refused():
                assert float(interval(step)) == pytest.approx(exact, rel=error)


def test_weights_without_fractions_are_taken_as_they_are_where_they_decide():
    """R(z) = 1 + z + z^2/2 + c z^3: R = -1 at the real end, |R(iy)|^2 = 1 + (1/4 - 2c) y^4 + c^2 y^6 on the other."""
    answers = []
    for c in 1 / (np.array([0.5, 1, 6]) + np.pi):
        step = nd.Tableau(A=[(0, 0, 0), (1, 0, 0), (1 / 2 - c, c, 0)], U=[(1,)] * 3, B=[(0, 0, 1)], V=[(1,)])
        assert not as_meant(step)[1]
        end = -max(z.real for z in np.roots([c, 1 / 2, 1, 2]) if abs(z.imag) < 1e-9)
        assert float(real_interval(step)) == pytest.approx(end, rel=1e-9)
        with unless_refused():  # the two weights that sum to 1/2 do so up to rounding only
            found = float(imaginary_interval(step))
            assert found == pytest.approx(max(2 * c - 1 / 4, 0) ** 0.5 / c, rel=1e-9)
            answers.append(found)
    assert answers


@pytest.mark.slow
def test_steps_at_a_length_are_taken_as_they_are():
    for method in (nd.DPMSolverPP(1), nd.DPMSolverPP(2)):
        for interval in INTERVALS.values():
            given, exact = interval(method.steady(0.3)), interval(method, h=0.3)
            assert float(given) == pytest.approx(float(exact), rel=1e-9)


def test_roots_close_to_the_circle_decide_nothing():
    def decided(*roots):
        parts = sp.Poly(sp.prod(sp.Symbol("t") - sp.Rational(r) for r in roots), sp.Symbol("t")).all_coeffs()[::-1]
        return is_decided([(Fraction(int(c.p), int(c.q)), Fraction(0)) for c in parts])

    tiny = sp.Rational(1, 10**7)
    assert decided("1/2", "1/2", "1/2")
    assert decided("1/2", 3)
    assert not decided("1/2", 1)
    assert not decided(0, 1 - tiny)
    assert not decided(0, -1 - tiny)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (in_float32(nd.AdamsBashforth(4).steady()), "their rounding decides whether it is stable"),
        (nd.HeavyBall(nd.AdamsBashforth(1), beta=2).steady().map(lambda x: x * (1 - 1e-12)), "pass the method itself"),
        (nd.GHVB(3, sp.Symbol("beta")).steady().map(lambda x: x * (1 + 1e-9)), "floats beside the symbol beta"),
        (nd.DPMSolverPP(2).steady().map(lambda x: x * (1 + 1e-9)), "contain the step length h"),
    ],
)
def test_refused_with_a_remedy(step, words):
    with pytest.raises(ValueError, match="the coefficients of the step are floats") as caught:
        imaginary_interval(step)
    assert words in str(caught.value)
