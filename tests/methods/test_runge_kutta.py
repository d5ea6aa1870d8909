"""Runge-Kutta arrays satisfy their order conditions exactly, and a step is the classical one in the scaled sample."""

import itertools
from fractions import Fraction
from math import factorial

import numpy as np
import pytest

import numdiff as nd
from numdiff.methods.butcher import extrapolated, neville, of_order

SCHEDULE = nd.schedules.VPLinear()


# --- power series in the step, truncated: the whole Taylor expansion of a step in exact arithmetic --------------------


def times(a, b):
    return [sum(a[i] * b[n - i] for i in range(n + 1)) for n in range(len(a))]


def plus(*terms):
    return [sum(column) for column in zip(*terms, strict=True)]


def scaled(c, a):
    return [c * x for x in a]


def shifted(a):
    return [Fraction(0), *a[:-1]]


def field(y1, y2):
    """A system with derivatives of every order in both variables, so that no elementary differential vanishes."""
    mix, power = plus(y1, scaled(Fraction(1, 2), y2)), [Fraction(1)] + [Fraction(0)] * (len(y1) - 1)
    series = power
    for k in range(1, 10):
        power = times(power, mix)
        series = plus(series, scaled(Fraction(1, factorial(k)), power))
    return series, plus(times(y1, y1), scaled(Fraction(-1), times(y2, y1)), series)


def taylor(y0, order):
    """The solution: y_{n+1} = [f(y)]_n / (n + 1)."""
    y = [[value] + [Fraction(0)] * order for value in y0]
    for n in range(order):
        f = field(*y)
        for component, slope in zip(y, f, strict=True):
            component[n + 1] = slope[n] / (n + 1)
    return y


def one_step(butcher, y0, order):
    F = []
    for row in butcher.A:
        Y = []
        for i, value in enumerate(y0):
            total = [value] + [Fraction(0)] * order
            for a, f in zip(row, F, strict=False):
                total = plus(total, shifted(scaled(a, f[i])))
            Y.append(total)
        F.append(field(*Y))
    start = [[value] + [Fraction(0)] * order for value in y0]
    return [
        plus(s, *(shifted(scaled(b, f[i])) for b, f in zip(butcher.b, F, strict=True))) for i, s in enumerate(start)
    ]


@pytest.mark.parametrize("order", range(1, 9))
def test_the_taylor_expansion_of_a_step_is_the_solutions_to_the_order_and_no_further(order):
    butcher, y0 = of_order(order), (Fraction(0), Fraction(1, 3))
    assert butcher.order >= order
    p = butcher.order
    step, solution = one_step(butcher, y0, p + 1), taylor(y0, p + 1)
    for found, exact in zip(step, solution, strict=True):
        assert found[: p + 1] == exact[: p + 1]
    assert any(found[p + 1] != exact[p + 1] for found, exact in zip(step, solution, strict=True))


@pytest.mark.parametrize("family", [nd.Heun, nd.Midpoint, nd.Ralston, nd.Kutta3, nd.RK4])
def test_named_methods_have_the_order_they_claim(family):
    method, y0 = family(), (Fraction(0), Fraction(1, 3))
    p = method.order
    step, solution = one_step(method.coefficients(), y0, p + 1), taylor(y0, p + 1)
    assert [found[: p + 1] for found in step] == [exact[: p + 1] for exact in solution]


def test_extrapolation_weights_and_stage_counts():
    assert neville([2, 4]) == [Fraction(-1, 3), Fraction(4, 3)]  # Richardson on h^2
    for m in (1, 2, 3, 4):
        butcher = extrapolated(m)
        assert len(butcher.b) == m * m + 1  # 2 + 4 + ... + 2m substeps share their first evaluation
        assert sum(butcher.b) == 1
        assert all(x == 0 for i, row in enumerate(butcher.A) for x in row[i:])
        assert butcher.in_floats().c == pytest.approx([float(c) for c in butcher.c])


# --- on a diffusion ---------------------------------------------------------------------------------------------------


def model(x, t):
    return np.tanh(1.3 * x) * (1 - t) + 0.2 * np.cos(3 * t)


def test_heun_is_edms_sampler():
    """Karras et al. 2022, algorithm 1: Heun in sigma on alpha = 1, Euler in the last step to 0."""
    sigma, x = [3.0, 2.0, 1.2, 0.5, 0.0], np.array([2.0, -1.0])
    schedule, y = nd.schedules.EDM(), x
    for s, t in itertools.pairwise(sigma):
        d = model(y, s)
        ahead = y + (t - s) * d
        y = y + (t - s) * (d + model(ahead, t)) / 2 if t else ahead
    scheme = nd.Heun().discretize(schedule, sigma)
    found = nd.sample(scheme, model, x)
    np.testing.assert_allclose(found, y, rtol=1e-14)  # the same operations, reordered
    assert scheme.nfe == 7


@pytest.mark.parametrize("formulation", [nd.NOISE_RATIO, nd.DATA_RATIO], ids=lambda f: f.name)
def test_a_step_is_the_classical_method_on_the_scaled_sample(formulation):
    grid, x = [0.9, 0.6, 0.35], np.array([0.4, -1.0])
    s = [formulation.node(SCHEDULE.level(t)) for t in grid]
    level_at = {"rho": lambda s: SCHEDULE.level(SCHEDULE.time(-np.log(s))), "inverse-rho": None}["rho"]
    if formulation is nd.DATA_RATIO:
        level_at = lambda s: SCHEDULE.level(SCHEDULE.time(np.log(s)))  # noqa: E731

    def f(s, y):
        level = level_at(s)
        a, _ = formulation.scales(level)
        return model(a * y, level.time)

    y = x / formulation.scales(SCHEDULE.level(grid[0]))[0]
    for a, b in itertools.pairwise(s):
        h = b - a
        k1 = f(a, y)
        k2 = f(a + h / 2, y + h / 2 * k1)
        k3 = f(a + h / 2, y + h / 2 * k2)
        k4 = f(b, y + h * k3)
        y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    found = nd.sample(nd.RK4(formulation).discretize(SCHEDULE, grid), model, x, prediction=formulation.prediction)
    expected = formulation.scales(SCHEDULE.level(grid[-1]))[0] * y
    np.testing.assert_allclose(found, expected, rtol=1e-12)  # times come back from log-SNR to 1e-13 or so


def test_a_log_snr_formulation_is_refused():
    with pytest.raises(ValueError, match="needs a formulation without kernel, got data/log-snr; use noise/ratio"):
        nd.Heun("data/log-snr")


def test_runge_kutta_stages_between_given_levels_need_a_schedule():
    levels = [SCHEDULE.level(t) for t in (0.9, 0.6, 0.35)]
    x = np.array([0.4, -1.0])
    by_level, by_time = (nd.RK4().discretize(SCHEDULE, grid) for grid in (levels, [0.9, 0.6, 0.35]))
    np.testing.assert_array_equal(nd.sample(by_level, model, x), nd.sample(by_time, model, x))
