"""Filtered Adams: its special cases, its error constant on any grid, two filters in a row, and its order in runs."""

import functools
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import numdiff as nd
from numdiff import testing
from numdiff.formulations import FORMULATIONS, Span
from numdiff.methods.multistep import Point
from numdiff.symbolic.polynomials import ZETA
from numdiff.symbolic.steady import steady
from numdiff.weights import moments

BETA, GAMMA, C = sp.symbols("beta gamma C")
F = Fraction
SCHEDULE = nd.schedules.VPLinear()
TIMES = np.array([0.95, 0.83, 0.62, 0.55, 0.41, 0.3, 0.17])
steps_of = testing.steps(6, 8, exact=True)
every_formulation = pytest.mark.parametrize("formulation", [None, *FORMULATIONS.values()], ids=str)


def model(x, t):
    return np.tanh(1.3 * x) * (1 - t) + 0.2 * np.cos(3 * t)


def run(method, prediction="noise"):
    x = np.array([1.5, -0.3, 0.2])
    scheme = method.discretize(SCHEDULE, TIMES)
    return np.array(nd.sample(scheme, model, x, prediction=prediction, trajectory=True))


def polynomial(method):
    return nd.stability.polynomial(method).as_expr()


def history(method, steps, f):
    """Run in rationals over given steps; return times, samples and velocities."""
    state, t, y = None, F(0), [F(0)] * method.registers
    times, samples, velocities = [F(0)], [F(0)], []
    for n, h in enumerate(steps):
        order = min(method.points, n + 1)
        nodes = tuple((u - t) / h for u in reversed(times))[: max(order, 2)]
        point = Point(Span(1, h, moments(h, 0, order)), nodes, order, first=n == 0)
        tableau, state = method.advance(state, point)
        y = nd.step(tableau, y, lambda Y, level, t=t: f(t))
        t += h
        for kept, new in zip((times, samples, velocities), (t, y[0], y[1]), strict=True):
            kept.append(new)
    return times, samples, velocities


# --- special cases ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", ["variable", "uniform"])
@every_formulation
@pytest.mark.parametrize("k", [1, 2, 3])
def test_without_momentum_and_error_it_is_ghvb(k, formulation, weights):
    ours = nd.FilteredAdams(k, F(4, 5), formulation=formulation, weights=weights)
    ghvb = nd.GHVB(k, F(4, 5), formulation, weights)
    options = {"h": 0.3} if ours.kernel else {}
    assert ours.coefficients(**options) == ghvb.coefficients(**options)
    prediction = "velocity" if formulation == nd.VELOCITY_TIME else "noise"
    np.testing.assert_array_equal(run(ours, prediction), run(ghvb, prediction))


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_symbolic_tableaus_of_the_special_cases(k):
    filtered = nd.FilteredAdams(k, BETA)
    assert polynomial(filtered) == polynomial(nd.GHVB(k, BETA))
    constant = nd.order.error_constant(nd.GHVB(k, BETA))
    relaxed = nd.FilteredAdams(k, BETA, error=constant)  # one more register may leave a root 0
    assert sp.cancel(polynomial(relaxed) / polynomial(nd.GHVB(k, BETA))) in (1, ZETA)
    assert sp.cancel(polynomial(nd.FilteredAdams(k, 1)) - polynomial(nd.AdamsBashforth(k))) == 0


def test_heavy_ball_is_the_first_order_member_with_its_constant():
    ball = nd.HeavyBall(nd.AdamsBashforth(2), beta=BETA)
    relaxed = nd.FilteredAdams(1, BETA, error=nd.order.error_constant(ball))
    assert sp.cancel(polynomial(relaxed) - polynomial(ball)) == 0


@pytest.mark.parametrize("k", [1, 2, 3])
def test_beta_one_is_relaxed_adams(k):
    """The newest differences are those of Adams, and the last is lowered by C: on two points 3/2 - C and C - 1/2."""
    relaxed = sp.Matrix(nd.FilteredAdams(k, 1, error=C).coefficients())
    adams = sp.Matrix(nd.AdamsBashforth(k + 1).coefficients())
    difference = sp.Matrix([(-1) ** i * sp.binomial(k, i) for i in range(k + 1)])
    assert (relaxed - adams + C * difference).expand() == sp.zeros(k + 1, 1)


# --- two filters in a row ---------------------------------------------------------------------------------------------


@settings(max_examples=10)
@given(
    st.integers(1, 4),
    st.fractions(F(1, 5), F(9, 5), max_denominator=7),
    st.fractions(F(1, 5), F(9, 5), max_denominator=7),
    steps_of,
)
def test_two_dampings_are_two_filters_in_a_row(k, first, second, steps):
    method = nd.FilteredAdams.from_dampings(k, first, second, weights="uniform")  # any weights: they leave v alone
    times, _, velocities = history(method, steps, lambda t: t**3 - 2 * t)
    values = [t**3 - 2 * t for t in times]
    u = v = values[0]
    for n, found in enumerate(velocities):
        if n:
            u += first * (values[n] - u)
            v += second * (u - v)
        assert found == v


def test_two_dampings_of_which_one_is_1_are_one_filter():
    assert nd.FilteredAdams.from_dampings(2, F(1, 2), 1) == nd.FilteredAdams(2, F(1, 2))
    with pytest.raises(ValueError, match="beta"):
        nd.FilteredAdams.from_dampings(2, F(1, 2), 3)


# --- order and error constant -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("k", "beta", "momentum", "error"), [(1, F(2, 3), F(1, 6), None), (2, F(4, 5), 0, F(1, 2)), (3, 1, F(1, 4), None)]
)
@settings(max_examples=8)
@given(steps_of, st.lists(st.integers(-4, 4), min_size=3, max_size=3))
def test_polynomials_below_the_order_are_integrated_exactly_on_any_grid(k, beta, momentum, error, steps, coefficients):
    method = nd.FilteredAdams(k, beta, momentum, error)
    p = coefficients[:k]
    times, samples, _ = history(method, steps, lambda t: sum(c * t**m for m, c in enumerate(p)))
    integral = [sum(F(c) * t ** (m + 1) / (m + 1) for m, c in enumerate(p)) for t in times]
    for n in range(method.points - 1, len(steps)):
        assert samples[n + 1] - samples[n] == integral[n + 1] - integral[n]


@pytest.mark.parametrize("k", [1, 2, 3])
@settings(max_examples=8)
@given(steps_of, st.fractions(F(1, 4), 1, max_denominator=6), st.fractions(F(1, 5), 3, max_denominator=6))
def test_the_error_constant_is_c_on_any_grid(k, steps, beta, error):
    """On f = t^k every step of length h misses k! C h^(k+1), whatever the steps before."""
    method = nd.FilteredAdams(k, beta, error=error)
    times, samples, _ = history(method, steps, lambda t: t**k)
    for n in range(k, len(steps)):
        exact = (times[n + 1] ** (k + 1) - times[n] ** (k + 1)) / (k + 1)
        assert exact - (samples[n + 1] - samples[n]) == sp.factorial(k) * error * steps[n] ** (k + 1)


@pytest.mark.parametrize("k", [1, 2])
def test_the_error_constant_is_c_on_any_grid_with_symbols(k):
    found = nd.order.any_grid(nd.FilteredAdams(k, BETA, error=C))
    assert (found.order, found.residual) == (k, C)
    assert nd.order.error_constant(nd.FilteredAdams(k, BETA, GAMMA, C)) == C


@every_formulation
def test_certified_order_in_every_formulation(formulation):
    for method in (
        nd.FilteredAdams(2, F(4, 5), error=F(1, 2), formulation=formulation),
        nd.FilteredAdams(2, F(4, 5), F(1, 5), formulation=formulation),
        nd.StretchedAdams(3, formulation=formulation),
    ):
        assert nd.order.certified(method) == 2


PROBLEM = nd.problems.odes()["bernoulli"]


def largest_error(method, pattern, repeats):
    s = np.cumsum([0.0, *np.tile(pattern, repeats)])
    first, last = PROBLEM.t_span
    grid = first + (last - first) * s / s[-1]
    path = nd.solve_ivp(method, PROBLEM.fun, grid, PROBLEM.y0, start="runge-kutta", trajectory=True)
    return np.abs(np.array(path).T - PROBLEM.exact(grid)).max()


@pytest.mark.parametrize(
    "method",
    [
        nd.FilteredAdams(1, 0.8, error=0.5),
        nd.FilteredAdams(2, 0.8, error=0.5),
        nd.FilteredAdams(3, 0.8, error=0.5),
        nd.FilteredAdams(3, 0.8, 0.2),
        nd.FilteredAdams.from_dampings(3, 0.8, 0.5),
        nd.StretchedAdams(2),
        nd.StretchedAdams(3.0),
    ],
    ids=str,
)
@pytest.mark.parametrize("pattern", [[1.0, 2.0], [1.0, 1.5, 1.2]], ids=str)
def test_order_observed_on_irregular_grids(method, pattern):
    """Steps alternate at every scale, so that only weights for any grid keep the order; 0.35 as for other methods."""
    coarse, fine = (largest_error(method, pattern, n) for n in (48, 96))
    assert np.log2(coarse / fine) > method.order - 0.35


MIXTURE, X, ENDS = nd.problems.mixtures()["two-modes"], np.array([[0.7], [-1.2]]), (0.7, 0.25)


@functools.cache
def exact_flow():
    return MIXTURE.flow(SCHEDULE, X, *ENDS, rtol=1e-8).x


@every_formulation
def test_every_formulation_converges_to_the_same_sample(formulation):
    prediction = "noise" if formulation is None else formulation.prediction
    scheme = nd.StretchedAdams(2, formulation=formulation).discretize(
        SCHEDULE, np.linspace(*ENDS, 241), start="runge-kutta"
    )
    found = nd.sample(scheme, MIXTURE.model(SCHEDULE, prediction), X, prediction=prediction)
    assert np.abs(found - exact_flow()).max() < 1e-3


# --- stretched Adams --------------------------------------------------------------------------------------------------


def test_stretched_adams_has_the_interval_it_is_given():
    x = sp.Symbol("x")
    family, s = nd.StretchedAdams(x), x / 2
    assert sp.cancel(nd.order.error_constant(family) - s**2 / 4 - sp.Rational(1, 6)) == 0
    assert nd.stability.real_interval(family, domain=(0, 100)) == x
    assert nd.order.certified(family) == 2


@settings(max_examples=10)
@given(st.fractions(F(1, 4), 30, max_denominator=9))
def test_stretched_adams_at_numbers(x):
    method = nd.StretchedAdams(x)
    assert nd.stability.real_interval(method) == sp.Rational(x)
    assert nd.order.error_constant(method) == sp.Rational(x**2 / 16 + F(1, 6))
    filter_ = np.roots([1, -(1 - float(method.beta) + float(method.momentum)), float(method.momentum)])
    np.testing.assert_allclose(np.abs(filter_), float(method.momentum) ** 0.5, rtol=1e-6)


def test_stretched_adams_of_two_is_ab2_with_twice_its_interval():
    stretched, adams = nd.StretchedAdams(2), nd.AdamsBashforth(2)
    assert nd.order.error_constant(stretched) == nd.order.error_constant(adams)
    assert nd.stability.real_interval(stretched) == 2 * nd.stability.real_interval(adams)
    assert stretched.coefficients() == (1, 0)  # x+ = x + h v+
    assert (stretched.beta, stretched.momentum) == (F(4, 3), F(1, 3))  # v+ = (4 f - v_before)/3


# --- parameters -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "kind", "reason"),
    [
        (lambda: nd.FilteredAdams(0, 0.8), ValueError, "order must be"),
        (lambda: nd.FilteredAdams(8, 0.8, error=1), ValueError, "order must be between 1 and 7"),
        (lambda: nd.FilteredAdams(2, 0), ValueError, "beta"),
        (lambda: nd.FilteredAdams(2, 2.5), ValueError, "beta"),
        (lambda: nd.FilteredAdams(2, 2.5, 0.2), ValueError, r"beta must lie in \(0, 2 \(1 \+ momentum\)\)"),
        (lambda: nd.FilteredAdams(2, 0.8, 1), ValueError, r"momentum must lie in \(-1, 1\), got 1"),
        (lambda: nd.FilteredAdams(2, 0.8, "0.2"), TypeError, "momentum must be one number"),
        (lambda: nd.FilteredAdams(2, 0.8, True), TypeError, "momentum must be one number"),
        (lambda: nd.FilteredAdams(2, 0.8, 1j), TypeError, "momentum must be one real number"),
        (lambda: nd.FilteredAdams(2, 0.8, error=float("nan")), ValueError, "error must be finite"),
        (lambda: nd.FilteredAdams(2, 0.8, error=0), ValueError, "leave error out and use order=3"),
        (lambda: nd.FilteredAdams(2, 0.8, error=np.ones(2)), TypeError, "error must be one number"),
        (lambda: nd.FilteredAdams(2, 0.8, weights="equal"), ValueError, "weights"),
        (lambda: nd.StretchedAdams(0), ValueError, "real_interval must be positive, got 0"),
        (lambda: nd.StretchedAdams("3"), TypeError, "real_interval must be one number"),
    ],
)
def test_bad_parameters(build, kind, reason):
    with pytest.raises(kind, match=reason):
        build()


def test_names_and_registers():
    assert str(nd.FilteredAdams(2, F(4, 5), F(1, 5), F(1, 2), nd.NOISE_RATIO, "uniform")) == (
        "FA2(4/5, momentum=1/5, error=1/2) noise/ratio uniform"
    )
    assert nd.FilteredAdams(1, F(4, 5)).registers == 2
    assert steady(nd.FilteredAdams(1, F(4, 5), F(1, 5))).registers == 3
