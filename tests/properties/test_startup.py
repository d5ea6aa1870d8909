"""Start-up polynomials and internal stability against runs of the executor and known stability functions."""

from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import numdiff as nd
from numdiff import executor
from numdiff.formulations import NOISE_RATIO
from numdiff.methods.butcher import of_order
from numdiff.symbolic.polynomials import ZETA, Z
from numdiff.symbolic.steady import H

BETA = sp.Symbol("beta")
MEMBERS = nd.methods()
CLASSICAL = [name for name, method in MEMBERS.items() if method.kernel == 0]
EXPONENTIAL = [name for name, method in MEMBERS.items() if method.kernel != 0]


def values(polynomials, z):
    return np.array([float(p.eval(sp.Rational(z))) for p in polynomials])


@pytest.mark.parametrize("start", ["lower", "runge-kutta"])
@pytest.mark.parametrize("name", CLASSICAL)
def test_polynomials_are_what_a_run_does(name, start):
    method, z = MEMBERS[name], -0.37
    found = nd.stability.startup(method, start=start)
    assert found[0].as_expr() == 1
    scheme = method.discretize(None, np.arange(len(found) + 1.0), start=start)  # its last step is not compared
    state, samples = [1.0, *[None] * (scheme.registers - 1)], {0: 1.0}
    for tableau in scheme:
        state = executor.step(tableau, state, lambda Y, level: z * Y)
        samples[round(tableau.target.time) if tableau.target else 0] = state[0]
    np.testing.assert_allclose([samples[n] for n in range(len(found))], values(found, z), rtol=1e-12)


@pytest.mark.parametrize("start", ["lower", "runge-kutta"])
@pytest.mark.parametrize("name", EXPONENTIAL)
def test_exponential_methods_do_the_same_on_a_real_schedule(name, start):
    # EDM: alpha = 1, sigma = t, where kappa is 1 for data and -sigma, not constant, for noise
    method, z, h = MEMBERS[name], -0.37, 0.25
    found = nd.stability.startup(method, start=start, h=h)
    times = np.exp(-h * np.arange(len(found) + 1))
    prediction = method.formulation.prediction
    kappa = np.ones_like(times) if prediction == "data" else -times
    scheme = method.discretize(nd.schedules.EDM(), times, start=start)
    model = (lambda x, t: z * x) if prediction == "data" else (lambda x, t: -z * x / t)
    run = nd.sample(scheme, model, np.ones(1), prediction=prediction, trajectory=True)
    grown = np.array([x[0] for x in run]) / kappa * kappa[0]
    np.testing.assert_allclose(grown[:-1], values(found, z), rtol=1e-10)


@pytest.mark.parametrize("start", ["lower", "runge-kutta"])
def test_the_exact_program_is_the_one_that_runs(start):
    schedule, times = nd.schedules.VPLinear(), np.linspace(0.9, 0.2, 7)
    levels = [schedule.level(t) for t in times]
    for method in (nd.GHVB(3, 0.8), nd.HeavyBall(nd.DPMSolverPP(3), beta=0.5)):
        formulation = method.formulation or NOISE_RATIO
        program = method.program(levels, formulation, schedule=schedule, start=start)
        for ours, theirs in zip(program, method.discretize(schedule, times, start=start), strict=True):
            assert all(getattr(ours.to_float(), name) == getattr(theirs, name) for name in "AUBV")
    with pytest.raises(ValueError, match="start must be one of"):
        nd.AdamsBashforth(2).program(levels, NOISE_RATIO, start="none")


def test_symbols_stay():
    for beta in (Fraction(1, 2), Fraction(3, 2)):
        exact = sp.Rational(beta.numerator, beta.denominator)
        symbolic = nd.stability.startup(nd.HeavyBall(nd.AdamsBashforth(3), beta=BETA))
        numbers = nd.stability.startup(nd.HeavyBall(nd.AdamsBashforth(3), beta=beta))
        assert [sp.expand(p.as_expr().subs(BETA, exact)) for p in symbolic] == [p.as_expr() for p in numbers]
    symbolic = nd.stability.startup(nd.DPMSolverPP(2), start="runge-kutta", steps=3)
    numbers = nd.stability.startup(nd.DPMSolverPP(2), start="runge-kutta", steps=3, h=sp.Rational(1, 3))
    at = {H: sp.Rational(1, 3), Z: sp.Rational(-2, 7)}
    for p, q in zip(symbolic, numbers, strict=True):
        assert abs(sp.N(p.as_expr().subs(at), 40) - q.eval(at[Z])) < 1e-30


def test_a_runge_kutta_start_multiplies_by_its_stability_function():
    R = sum(Z**k / sp.factorial(k) for k in range(4))  # order 3 with three stages: the Taylor polynomial
    found = nd.stability.startup(nd.AdamsBashforth(4), start="runge-kutta", steps=3)
    assert [sp.expand(p.as_expr() - R**n) for n, p in enumerate(found)] == [0] * 4
    assert of_order(3).order == 3
    one_step = nd.stability.startup(nd.RK4(), steps=2)
    assert sp.expand(one_step[2].as_expr() - one_step[1].as_expr() ** 2) == 0


def test_the_filtered_start_is_adams():
    # with k nodes the velocities of GHVB hold every evaluation there is, and order k fixes the weights
    for k in (2, 3, 4):
        adams = nd.stability.startup(nd.AdamsBashforth(k), steps=k)
        assert nd.stability.startup(nd.GHVB(k, Fraction(3, 5)), steps=k) == adams
        assert nd.stability.startup(nd.GHVB(k, BETA), steps=1) == adams[:2]


@pytest.mark.parametrize("name", ["AB3", "HB(AB2, 4/5)", "GHVB3(4/5) noise/ratio uniform", "NT(AB2, 4/5)"])
def test_after_the_start_the_steady_recurrence_holds(name):
    # sum_i pi_i(z) G_{n+i}(z) = 0 once all steps involved are steady: Cayley and Hamilton
    method = MEMBERS[name]
    pi = nd.stability.polynomial(method)
    n = method.points + method.registers
    found = nd.stability.startup(method, steps=n + pi.degree(ZETA))
    coefficients = sp.Poly(pi.as_expr(), ZETA).all_coeffs()[::-1]
    total = sum(c * found[n + i].as_expr() for i, c in enumerate(coefficients))
    assert sp.expand(total) == 0


@pytest.mark.parametrize("name", ["AB4", "HB(AB4, 4/5)", "GHVB3(4/5)", "PEC3"])
def test_a_perturbed_node_is_the_difference_of_two_runs(name):
    method, z, m = MEMBERS[name], -0.2, 2
    found = nd.stability.startup(method, perturbed=m)
    scheme = method.discretize(None, np.arange(2.0 * method.points + 2))
    runs = []
    for shift in (0.0, 1.0):
        state, samples = [1.0, *[None] * (scheme.registers - 1)], {}
        for tableau in scheme:
            state = executor.step(tableau, state, lambda Y, level: z * Y)
            node = round(tableau.target.time) if tableau.target else 0
            state[0] = state[0] + (shift if node == m else 0)
            samples[node] = state[0]
        runs.append(samples)
    differences = [runs[1][n] - runs[0][n] for n in range(m, 2 * method.points + 1)]
    np.testing.assert_allclose(differences, values(found, z), rtol=1e-9)


@pytest.mark.parametrize("name", [*CLASSICAL, *EXPONENTIAL])
def test_maxima_are_not_exceeded_anywhere(name):
    method = MEMBERS[name]
    h = 0.3 if method.kernel else None
    end = nd.stability.real_interval(method, h=h)
    if end == 0:
        with pytest.raises(ValueError, match="no bounded real stability interval"):
            nd.stability.startup_growth(method, h=h)
        return
    z = np.linspace(-float(end), 0, 2001)
    for p, g in zip(
        nd.stability.startup(method, h=h), nd.stability.startup_growth(method, h=h), strict=True
    ):  # a grid of 2000 intervals misses a maximum by 1e-5 of its curvature at most
        sampled = np.abs(np.polyval([float(c) for c in p.all_coeffs()], z)).max()
        assert sampled <= float(g.value) * (1 + 1e-9)
        assert sampled >= float(g.value) * (1 - 1e-3)


@settings(max_examples=15)
@given(st.fractions(Fraction(1, 20), Fraction(19, 10), max_denominator=20))
def test_the_start_of_momentum_outgrows_its_steady_step(beta):
    # HB(AB1): x* = 2 (2 - beta)/beta, and the first step is Euler's, 1 + z = 1 - x* at the end
    first = nd.stability.startup_growth(nd.HeavyBall(nd.AdamsBashforth(1), beta=beta), steps=1)[1]
    end = 2 * (2 - beta) / beta
    assert first.value == max(1, end - 1)


@pytest.mark.parametrize("name", ["Heun", "Midpoint", "Ralston", "Kutta3", "RK4"])
def test_internal_factors_add_up_to_the_stability_function(name):
    method = MEMBERS[name]
    R = nd.stability.startup(method, steps=1)[1].as_expr()
    total = sum(q.as_expr() for q in nd.stability.internal(method))
    assert sp.expand(1 + Z * total - R) == 0


def test_internal_factors_are_what_an_error_does():
    z, tableau = sp.Rational(-3, 7), nd.RK4().steady()
    exact = nd.stability.internal(nd.RK4())
    for i, q in enumerate(exact):
        count = iter(range(4))

        def field(Y, level, count=count, i=i):
            return z * Y + int(next(count) == i)

        assert executor.step(tableau, [sp.Integer(0)], field)[0] == q.eval(z)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda s: s.startup(nd.AdamsBashforth(2).steady()), TypeError, "a tableau has no start"),
        (lambda s: s.startup(nd.AdamsBashforth(2), start="exact"), ValueError, "start must be one of"),
        (lambda s: s.startup(nd.AdamsBashforth(2), steps=-1), ValueError, "steps must be at least 0"),
        (lambda s: s.startup(nd.AdamsBashforth(2), steps=1.5), TypeError, "steps must be an int"),
        (lambda s: s.startup(nd.AdamsBashforth(2), perturbed=5), ValueError, "perturbed must be at most steps = 4"),
        (lambda s: s.startup(nd.AdamsBashforth(2), h=0.1), ValueError, "drop h"),
        (lambda s: s.startup(nd.DPMSolverPP(2), h=-1), ValueError, "h must be positive"),
        (lambda s: s.startup_growth(nd.GHVB(2, BETA)), ValueError, "symbol beta"),
        (lambda s: s.startup_growth(nd.DPMSolverPP(2)), ValueError, "give h=0.1"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call(nd.stability)
