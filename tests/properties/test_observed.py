"""Observed orders on errors whose law is known, and the causes that are named when there is none."""

from math import isnan, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import numdiff as nd
from numdiff.properties.order.fits import _drift, local
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
    # what a drift leaves open is the same for every confidence
    assert estimate.interval[0] <= narrow[0] < narrow[1] <= estimate.interval[1]


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


@given(
    st.one_of(st.integers(1, 6), st.floats(0.5, 6)),
    st.sampled_from([1, 2, 3]),
    st.floats(-0.85, 2.0),
    st.sampled_from([STEPS, (24, 32, 48, 64, 96, 128, 192, 256, 384), (40, 80, 160, 320), (30, 60, 120)]),
)
def test_the_interval_holds_the_order_of_every_expansion(p, q, u, steps):
    """e = C h^p (1 + D h^q): D is given by what D h^q is at the coarsest step, from nearly cancelling to thrice h^p."""
    estimate = observed(lambda n: float(n) ** -p * (1 + u * (steps[0] / n) ** q), steps, floor=0.0)
    assert estimate.interval[0] - 1e-9 <= p <= estimate.interval[1] + 1e-9  # 1e-9: a straight line has no width
    if len(steps) > 4 and abs(u) < 0.5 and not estimate.irregular:
        assert estimate.slope == pytest.approx(p, abs=0.05)


@given(st.integers(1, 5), st.floats(-0.6, 0.8), st.floats(-0.3, 0.3))
def test_expansions_of_three_terms(p, d, e):
    steps = (24, 32, 48, 64, 96, 128, 192, 256, 384)
    estimate = observed(lambda n: float(n) ** -p * (1 + d * (24 / n) + e * (24 / n) ** 2), steps, floor=0.0)
    # two corrections are seen as one: of 1500 random ones the interval misses 8 %, by 0.006 at most
    assert estimate.interval[0] - 0.01 <= p <= estimate.interval[1] + 0.01
    assert estimate.slope == pytest.approx(p, abs=0.25)


@pytest.mark.parametrize("zero", [30.0, 70.0, 150.0, 300.0, 1000.0])
@pytest.mark.parametrize("p", [1, 2, 3, 4])
def test_a_zero_of_the_error_is_never_taken_for_an_order(p, zero):
    """e = h^p |1 - zero h|: before its zero the error falls faster than the order, behind it again as h^p."""
    steps = (24, 32, 48, 64, 96, 128, 192, 256, 384)
    estimate = observed(lambda n: float(n) ** -p * abs(1 - zero / n), steps, floor=0.0)
    assert estimate.irregular or abs(estimate.slope - p) < 0.25 or estimate.interval[0] < p < estimate.interval[1]
    if 96 < zero < 384:
        assert estimate.irregular
        assert "irregular" in estimate.cause
        assert estimate.interval[1] - estimate.interval[0] > 1


def test_scatter_and_a_drift_together():
    """Of fine scatter on a curved law the intervals hold the order as often as they say, but for bends unseen."""
    rng, steps = np.random.default_rng(5), (24, 32, 48, 64, 96, 128, 192, 256, 384)
    hits = 0
    for _ in range(120):
        law = {n: float(n) ** -2 * (1 + 0.5 * 24 / n) * np.exp(rng.normal(0, 0.003)) for n in steps}
        low, high = observed(law.__getitem__, steps).interval
        hits += low < 2 < high
    assert hits / 120 > 0.85  # a straight line misses all: its slope is 2.2


FINE = (24, 32, 48, 64, 96, 128, 192, 256, 384)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    ("u", "scatter", "steps"),
    [(0.42, 0.05, FINE), (-0.42, 0.03, FINE), (0.42, 0.03, (8, 16, 32, 64, 128, 256)), (1.0, 0.05, FINE)],
)
def test_intervals_of_bent_laws_with_scatter(u, scatter, steps, known):
    """e = h (1 + D h) (1 + scatter z), D h = u at the coarsest step: often too little bent to be seen as such."""
    rng, law = np.random.default_rng(7), {n: (1 + u * steps[0] / n) / n for n in steps}
    hits, widths = 0, []
    for _ in range(50):
        drawn = {n: e * np.exp(scatter * rng.standard_normal()) for n, e in law.items()}
        bars = [scatter * e for e in law.values()] if known else None
        estimate = observed(drawn.__getitem__, steps, uncertainty=bars)
        hits += estimate.interval[0] <= 1 <= estimate.interval[1]
        widths.append(estimate.interval[1] - estimate.interval[0])
    assert hits / 50 >= 0.9
    if known:
        assert np.median(widths) < 1  # and orders are told apart


def test_a_drift_is_led_to_its_limit():
    """Local slopes of h^p (1 + D h) are p + D h but for h^2, so two of them lead to p."""
    x = -np.log([40, 80, 160, 320])
    slopes = local(x, y := 2 * x + np.log1p(0.5 * np.exp(x)))
    seen = slopes.mean()
    assert seen - slopes[-1] < 0.75 * (seen - 2)  # the last slope alone is not there yet
    assert _drift(x, y, seen) == pytest.approx(seen - 2, rel=0.05)


# --- statistical errors -----------------------------------------------------------------------------------------------


def test_known_errors_weigh_the_points():
    """The weighted slope is that of the textbook, and its interval 1.96 of its standard errors, sigma known."""
    bars = np.array([0.01, 0.02, 0.04, 0.05, 0.08, 0.1])
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(200):
        law = dict(zip(STEPS, np.array(STEPS) ** -1.0 * (1 + bars * rng.standard_normal(6)), strict=True))
        estimate = observed(law.__getitem__, STEPS, uncertainty=[b / n for n, b in zip(STEPS, bars, strict=True)])
        hits += estimate.interval[0] < 1 < estimate.interval[1]
    assert hits / 200 > 0.9  # above 95 %: the interval allows for a bend that the scatter would hide
    x, y, w = -np.log(STEPS), np.log([law[n] for n in STEPS]), np.array([law[n] * n for n in STEPS]) / bars
    fitted, covariance = np.polyfit(x, y, 1, w=w, cov="unscaled")
    if estimate.power == 0:
        assert estimate.slope == pytest.approx(fitted[0], rel=1e-10)
        assert estimate.interval[1] - estimate.slope >= 1.9599 * covariance[0, 0] ** 0.5


def test_pairs_and_given_uncertainties_are_the_same_and_follow_their_steps():
    pairs = observed(lambda n: (float(n) ** -2, 0.1 / n**3), STEPS)
    shuffled = STEPS[::-1]
    assert observed(lambda n: float(n) ** -2, shuffled, uncertainty=[0.1 / n**3 for n in shuffled]) == pairs
    assert pairs.uncertainty == tuple(0.1 / n**3 for n in STEPS)
    wider = observed(lambda n: (float(n) ** -2, 0.3 / n**3), STEPS).interval
    assert wider[0] < pairs.interval[0] < 2 < pairs.interval[1] < wider[1]


def test_errors_that_drown_have_no_slope():
    estimate = observed(lambda n: (float(n) ** -1, 1.0), STEPS)
    assert not estimate.defined
    assert "statistical error at every N" in estimate.cause
    assert "more paths" in estimate.cause
    partly = observed(lambda n: (float(n) ** -1, 0.004), STEPS)
    assert partly.window == (10, 80)
    assert "from N = 160 on" in partly.cause


# --- floors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("p", "level", "kind", "words"),
    [
        (6, 1e-14, "double", "double-precision rounding"),
        (5, 1e-10, "between", "less than single-precision"),
        (3, 3e-7, "single", "of the size of single-precision rounding"),
        (2, 1e-3, "large", "rounded times"),
    ],
)
@pytest.mark.parametrize("size", [1.0, 50.0])
def test_plateaus_are_measured_against_the_solution(p, level, kind, words, size):
    steps = (8, 16, 32, 64, 128, 256, 512, 1024, 2048)
    estimate = observed(lambda n: size * (50 * float(n) ** -p + level), steps, size=size, floor=0.0)
    assert estimate.plateau == pytest.approx(size * level, rel=0.2)
    assert (estimate.floor_kind, words in estimate.cause) == (kind, True)
    assert estimate.slope == pytest.approx(p, abs=SPREAD)


def test_what_single_precision_leaves_is_recognised():
    """Euler's sums in float32: the rounding of a run is seen, and called by its size."""

    def run(n):
        y, h = np.float32(1), np.float32(1.0 / n)
        for _ in range(n):
            k = -y
            middle = y + h / 2 * k
            y = y - h * middle
        return y

    estimate = observed(run, (4, 8, 16, 32, 64, 128, 512, 2048, 8192), reference=np.exp(-1.0))
    assert estimate.slope == pytest.approx(2, abs=0.2)
    assert estimate.floor_kind == "single"


def test_without_a_plateau_there_is_no_kind():
    estimate = observed(lambda n: float(n) ** -2, STEPS)
    assert (estimate.plateau, estimate.floor_kind) == (None, "")


def test_what_is_told_beside_the_slope():
    estimate = observed(lambda n: 0.0 if n == 40 else n**-2.0 * (1 + (18 / n) ** 4), (5, 10, 20, 80, 160, 320, 640))
    assert estimate.preasymptotic == tuple(n for n in estimate.steps if n < estimate.window[0])
    assert estimate.preasymptotic
    assert len(estimate.local_slopes) == len(estimate.steps) - 1
    assert estimate.local_slopes[-1] == pytest.approx(2, abs=1e-4)
    noise = dict(zip(STEPS, np.random.default_rng(0).normal(0, 0.02, 6), strict=True))
    scattered = observed(lambda n: float(n) ** -2 * np.exp(noise[n]), STEPS)
    line = np.polyfit(-np.log(STEPS), [-2 * np.log(n) + noise[n] for n in STEPS], 1, full=True)
    assert scattered.residual == pytest.approx(np.sqrt(line[1][0] / 6), rel=1e-6)


@pytest.mark.parametrize(("norm", "size"), [("rms", np.sqrt(25 / 3)), ("max", 4), ("median", 3)])
def test_norms(norm, size):
    estimate = observed(lambda n: np.array([0.0, -3.0, 4.0]) / n, STEPS, reference=np.zeros(3), norm=norm)
    np.testing.assert_allclose(estimate.errors, size / np.array(STEPS), rtol=1e-14)


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


def test_complex_solutions_differ_by_absolute_values():
    reference = np.array([3 + 4j, 1j])
    estimate = observed(lambda n: reference + np.array([0, 1j]) / n**2, STEPS, reference=reference)
    np.testing.assert_allclose(estimate.errors, np.array(STEPS) ** -2.0 / 2**0.5, rtol=1e-10)
    assert estimate.size == pytest.approx(13**0.5)


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
        (STEPS, {"norm": "rsm"}, ValueError, "rms"),
        (STEPS, {"size": np.nan}, ValueError, "size"),
        (STEPS, {"uncertainty": [0.1]}, ValueError, "one entry for each"),
        (STEPS, {"uncertainty": [-1.0] * 6}, ValueError, "standard error -1"),
        (STEPS, {"uncertainty": 1}, TypeError, "uncertainty must be a sequence .* got 1"),
        (STEPS, {"uncertainty": "abcdef"}, TypeError, "uncertainty must be a sequence"),
        (STEPS, {"uncertainty": [None] * 6}, TypeError, "standard error must be a number, got None"),
        (STEPS, {"confidence": "a"}, TypeError, "confidence must be a number, got 'a'"),
        (STEPS, {"floor": np.inf}, ValueError, "floor must be a finite error"),
        (STEPS, {"reference": np.nan}, ValueError, "reference must be finite"),
        (STEPS, {"reference": "abc"}, TypeError, "reference must be numbers"),
        (10, {}, TypeError, "steps must be a sequence of whole numbers, .* got 10"),
    ],
)
def test_bad_input(steps, options, error, message):
    with pytest.raises(error, match=message):
        observed(lambda n: 1.0 / n, steps, **options)


def test_steps_may_come_from_a_generator():
    assert observed(lambda n: n**-2.0, (10 * 2**k for k in range(6))) == observed(lambda n: n**-2.0, STEPS)


def test_runs_must_be_functions_that_return_numbers():
    with pytest.raises(TypeError, match=r"run must be a function .* got 3"):
        observed(3, STEPS)
    with pytest.raises(TypeError, match=r"run\(10\) returns must be numbers, got None"):
        observed(lambda n: None, STEPS)
    with pytest.raises(ValueError, match="complex number"):
        observed(lambda n: 1j / n, STEPS)


def test_errors_must_be_sizes():
    with pytest.raises(ValueError, match="negative error"):
        observed(lambda n: -1.0, STEPS)
    with pytest.raises(ValueError, match="give reference="):
        observed(lambda n: np.ones(2), STEPS)


def test_standard_errors_come_for_all_or_none_and_once():
    with pytest.raises(ValueError, match="pairs for all"):
        observed(lambda n: (1 / n, 0.1) if n > 20 else 1 / n, STEPS)
    with pytest.raises(ValueError, match="drop one"):
        observed(lambda n: (1 / n, 0.1), STEPS, uncertainty=[0.1] * 6)
    with pytest.raises(ValueError, match="standard error nan"):
        observed(lambda n: (1 / n, nan), STEPS)
