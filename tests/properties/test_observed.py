"""Observed orders on errors whose law is known, and the causes that are named when there is none."""

from math import isnan, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import numdiff as nd
from numdiff.properties.order.regression import SPREAD, observed

STEPS = (10, 20, 40, 80, 160, 320)


@given(st.floats(1, 8), st.floats(1e-3, 1e3))
def test_power_law_is_recovered(p, C):
    estimate = observed(lambda n: C * float(n) ** -p, STEPS, floor=0.0)
    # logarithms of numbers down to 1e-23, good to 1e-15 relative, over a range of log 32
    assert estimate.slope == pytest.approx(p, abs=1e-12)
    assert estimate.window == (10, 320)
    assert estimate.cause == ""


@given(st.sampled_from([1, 2, 3, 4]), st.integers(0, 10**6))
def test_interval_covers_the_slope_of_noisy_errors(p, seed):
    noise = dict(zip(STEPS, np.random.default_rng(seed).normal(0, 0.02, len(STEPS)), strict=True))
    estimate = observed(lambda n: float(n) ** -p * np.exp(noise[n]), STEPS, confidence=0.9999, floor=0.0)
    assert estimate.interval[0] < p < estimate.interval[1]  # wrong once in 10 000; the examples are fixed
    narrow = observed(lambda n: float(n) ** -p * np.exp(noise[n]), STEPS, floor=0.0).interval
    assert estimate.interval[0] < narrow[0] < narrow[1] < estimate.interval[1]


def test_coverage_is_what_it_says():
    # 95 % of the intervals of a straight line with normal noise contain its slope: 400 trials, standard deviation 1.1 %
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(400):
        noise = dict(zip(STEPS, rng.normal(0, 0.02, len(STEPS)), strict=True))
        low, high = observed(lambda n, e=noise: float(n) ** -2 * np.exp(e[n]), STEPS).interval
        hits += low < 2 < high
    assert 0.91 < hits / 400 < 0.99


def test_the_start_that_is_not_asymptotic_is_dropped():
    estimate = observed(lambda n: n**-2.0 * (1 + (18 / n) ** 4), STEPS)
    assert estimate.window[0] > 10
    assert estimate.slope == pytest.approx(2, abs=SPREAD)


def test_rounding_floor_is_dropped():
    estimate = observed(lambda n: max(float(n) ** -6, 1e-14), STEPS)
    assert estimate.slope == pytest.approx(6, abs=1e-9)
    assert estimate.window == (10, 160)
    assert estimate.errors[-1] <= estimate.floor


def test_plateau_of_an_inexact_reference_is_named():
    estimate = observed(lambda n: float(n) ** -3 + 1e-6, (*STEPS, 640))
    assert estimate.slope == pytest.approx(3, abs=SPREAD)
    assert "stop falling beyond N = 40" in estimate.cause


def test_exact_methods_have_no_slope():
    estimate = observed(lambda n: 1e-16, STEPS)
    assert isnan(estimate.slope)
    assert not estimate.defined
    assert "exact here" in estimate.cause
    assert str(estimate).startswith("no order")


def test_runs_that_blow_up_are_reported_and_left_out():
    estimate = observed(lambda n: nan if n == 10 else np.inf if n == 20 else float(n) ** -2, STEPS)
    assert estimate.slope == pytest.approx(2, abs=1e-9)
    assert estimate.window == (40, 320)
    assert "not finite at N = 10, 20" in estimate.cause
    hopeless = observed(lambda n: nan, STEPS)
    assert not hopeless.defined
    assert "not finite" in hopeless.cause
    assert "only 0 usable" in hopeless.cause


def test_irregular_convergence_is_named():
    estimate = observed(lambda n: float(n) ** -2 * (1.5 + np.sin(n)), STEPS)
    assert "irregular" in estimate.cause
    assert estimate.interval[1] - estimate.interval[0] > 1  # and is not sold as precise
    assert "do not fall" in observed(lambda n: 1.0 + 0.01 * n, STEPS).cause


def test_a_straight_start_that_does_not_last_is_no_window():
    # the error of a Runge-Kutta method of order 4 that changes sign near N = 40: local slopes 5.5, 5.6, 7.7, ...
    errors = dict(
        zip((5, 10, 20, 40, 80, 160, 320), (4e-4, 9.1e-6, 1.87e-7, 8.7e-10, 2.7e-10, 2.7e-11, 2e-12), strict=True)
    )
    estimate = observed(lambda n: errors[n], list(errors))
    assert estimate.window == (80, 320)
    assert "irregular" in estimate.cause


def test_drift_is_named():
    estimate = observed(lambda n: float(n) ** -2 / (1 + 5 / n), STEPS)
    assert "drifting" in estimate.cause


def test_solutions_against_a_reference():
    t_end, exact = 3.0, np.array([1 / (1.5 + np.sin(3.0))] * 2)
    y0 = np.array([1 / 1.5] * 2)
    for method in (nd.AdamsBashforth(2), nd.Kutta3()):
        estimate = observed(
            lambda n, m=method: nd.solve_ivp(m, lambda t, y: -np.cos(t) * y**2, np.linspace(0, t_end, n + 1), y0),
            (80, 160, 320, 640),
            reference=exact,
        )
        assert estimate.slope == pytest.approx(nd.order.certified(method), abs=0.2)


def test_tensors_are_welcome():
    torch = pytest.importorskip("torch")
    reference = torch.zeros(3, dtype=torch.float64)
    estimate = observed(lambda n: reference + float(n) ** -2, STEPS, reference=reference, floor=0.0)
    assert estimate.slope == pytest.approx(2, abs=1e-9)


@pytest.mark.parametrize(
    ("steps", "options", "error", "message"),
    [
        ((10, 20), {}, ValueError, "at least 3 different"),
        ((10, 20, 20), {}, ValueError, "at least 3 different"),
        ((10, 20, 40.0), {}, TypeError, "whole numbers"),
        ((0, 20, 40), {}, ValueError, "at least 1"),
        (STEPS, {"confidence": 1.0}, ValueError, "confidence"),
        (STEPS, {"floor": -1.0}, ValueError, "floor"),
        (STEPS, {"reference": np.zeros(3)}, ValueError, "shape"),
    ],
)
def test_bad_input(steps, options, error, message):
    with pytest.raises(error, match=message):
        observed(lambda n: 1.0 / n, steps, **options)


def test_errors_must_be_sizes():
    with pytest.raises(ValueError, match="negative error"):
        observed(lambda n: -1.0, STEPS)
    with pytest.raises(ValueError, match="give reference="):
        observed(lambda n: np.ones(2), STEPS)
