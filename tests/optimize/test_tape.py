"""Traced coefficients are those of a plain layout, and their derivatives those of torch and of high precision."""

import mpmath
import numpy as np
import pytest
import torch

import numdiff as nd
from numdiff import elementary
from numdiff.optimize.compiled import Trace, coefficients
from numdiff.optimize.straight_line import Compiled, _phis
from numdiff.optimize.tape import Tape
from numdiff.optimize.window import Window
from numdiff.phi import phi

SCHEDULES = {
    "vp-linear": (nd.schedules.VPLinear(), 1.0),
    "table": (nd.schedules.Discrete.stable_diffusion(), 1.0),
    "flow": (nd.schedules.Flow(shift=3.0), 0.97),
    "edm": (nd.schedules.EDM(), 80.0),
    "cosine": (nd.schedules.Cosine(), 0.9),
    "sub-vp": (nd.schedules.SubVP(), 1.0),
}
STEPS = 7


def window_of(schedule, t_start, steps=STEPS):
    ends = schedule.level(t_start), schedule.level(schedule.t_end)
    low, high = (float(level.log_snr) for level in ends)
    return ends, Window(low, high, steps, np.full(steps, 1e-3))


def elsewhere(window, seed=0):
    """Interior log-SNRs far from those that were traced."""
    steps = np.random.default_rng(seed).uniform(0.3, 1.0, window.steps)
    return window.low + (window.high - window.low) * np.cumsum(steps)[:-1] / steps.sum()


def lay_out(method, schedule, t_start):
    ends, window = window_of(schedule, t_start)
    try:
        method.discretize(schedule, [ends[0], *map(schedule.level, [0.5, 0.4, 0.3, 0.2, 0.1, 0.05]), ends[1]])
    except ValueError:
        return None
    return Trace(method, schedule, ends, window, {})


def plain(x):
    return float(x.detach() if isinstance(x, torch.Tensor) else x)


def windowed(method):
    """A noise level that is switched on inside a window jumps there: no smooth function of the steps."""
    if isinstance(method, nd.Churn):
        return True
    level = getattr(method.formulation, "level", None)
    return not getattr(level, "everywhere", True)


ALIKE = ("cosine", "sub-vp")  # formulas as "vp-linear" is: with the slow tests


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in ALIKE else name for name in SCHEDULES]
)
def test_every_member_traced_equals_its_plain_layout_elsewhere(name):
    schedule, t_start = SCHEDULES[name]
    seen = 0
    for label, method in nd.methods(every=True).items():
        if windowed(method) or (name == "table" and isinstance(method, nd.TimeAdams)):
            continue
        trace = lay_out(method, schedule, t_start)
        if trace is not None:
            seen += 1
            assert trace.mismatch(elsewhere(trace.window)) < 1e-12, label
    assert seen > 100


METHODS = {
    "AB3": nd.DPMSolverPP(3),
    "published 2M": nd.DPMSolverPP(2, rule="half"),
    "PLMS4": nd.PLMS(4),
    "variable GHVB3": nd.GHVB(3, 0.8),
    "HB": nd.HeavyBall(nd.DPMSolverPP(2), 0.7),
    "UniPC3": nd.UniPC(3),
    "Heun": nd.Heun(),
    "single-step 3": nd.SingleStep(3),
    "tAB3": nd.TimeAdams(3),
}


@pytest.mark.parametrize("schedule", ["vp-linear", "flow", "edm"])
@pytest.mark.parametrize("name", METHODS)
def test_derivatives_are_those_of_torch(name, schedule):
    schedule, t_start = SCHEDULES[schedule]
    trace = lay_out(METHODS[name], schedule, t_start)
    z = elsewhere(trace.window, seed=1)
    values, jacobian = trace.compile(coefficients(trace.scheme))(z)
    x = torch.tensor(z, requires_grad=True)
    levels = [schedule.level(schedule.time(x[i])) for i in range(len(z))]
    scheme = METHODS[name].discretize(schedule, [trace.ends[0], *levels, trace.ends[1]])
    expected = coefficients(scheme)
    np.testing.assert_allclose(values, list(map(plain, expected)), rtol=1e-12, atol=1e-14)
    for row, c in zip(jacobian, expected, strict=True):
        if isinstance(c, torch.Tensor):
            (gradient,) = torch.autograd.grad(c, x, retain_graph=True)
            np.testing.assert_allclose(row, gradient, rtol=1e-9, atol=1e-9 * (1 + abs(gradient).max()))
        else:
            assert not row.any()


def test_derivatives_with_respect_to_beta_are_those_of_torch():
    schedule, (ends, window) = SCHEDULES["vp-linear"][0], window_of(nd.schedules.VPLinear(), 1.0)
    window = Window(window.low, window.high, STEPS, window.gaps, ("beta",), (0.1,), (1.0,))
    for method in (nd.GHVB(3, 0.8), nd.HeavyBall(nd.DPMSolverPP(2), 0.8)):
        trace = Trace(method, schedule, ends, window, {})
        z = np.append(elsewhere(window), 0.37)
        values, jacobian = trace.compile(coefficients(trace.scheme))(z)
        beta = torch.tensor(0.37, dtype=torch.float64, requires_grad=True)
        levels = [schedule.level(schedule.time(x)) for x in z[:-1]]
        scheme = type(method)(*([method.order] if isinstance(method, nd.GHVB) else [method.base]), beta).discretize(
            schedule, [ends[0], *levels, ends[1]]
        )
        for value, row, c in zip(values, jacobian, coefficients(scheme), strict=True):
            assert value == pytest.approx(plain(c), rel=1e-12, abs=1e-14)
            slope = torch.autograd.grad(c, beta, retain_graph=True)[0] if getattr(c, "requires_grad", False) else 0.0
            assert row[-1] == pytest.approx(float(slope), rel=1e-9, abs=1e-11)


def test_the_functions_are_those_of_high_precision():
    x, y = 0.7, 1.3
    tape = Tape()
    a, b = tape.variable(x), tape.variable(y)
    formulas = {
        "sum": lambda f, a, b: a + 2 * b - a * b + (3 - a) / (b * b + 1) - (-a) ** 3,
        "exp": lambda f, a, b: f.exp(a * b) + f.expm1(a - b),
        "log": lambda f, a, b: f.log(a / b) + f.log1p(a * a) * f.sqrt(a + b),
        "circle": lambda f, a, b: f.sin(a * b) + f.cos(a - b) ** 2,
    }
    outputs = [formula(elementary, a, b) for formula in formulas.values()] + [phi(3, -a * b), phi(1, a)]
    values, jacobian = Compiled(tape, (a, b), outputs)(np.array([0.31, 2.2]))
    phis = [lambda f, a, b: mpmath.hyp1f1(1, 4, -a * b) / 6, lambda f, a, b: mpmath.hyp1f1(1, 2, a)]
    with mpmath.workdps(40):
        for value, row, formula in zip(values, jacobian, [*formulas.values(), *phis], strict=True):
            at = (mpmath.mpf("0.31"), mpmath.mpf("2.2"))
            assert value == pytest.approx(float(formula(mpmath, *at)), rel=1e-14)
            for k, order in enumerate([(1, 0), (0, 1)]):
                slope = mpmath.diff(lambda *z, g=formula: g(mpmath, *z), at, order)
                assert row[k] == pytest.approx(float(slope), rel=1e-13, abs=1e-15)


def test_a_banded_jacobian_costs_as_many_columns_as_its_band_is_wide():
    ends, window = window_of(nd.schedules.VPLinear(), 1.0, steps=40)
    trace = Trace(nd.DPMSolverPP(3), nd.schedules.VPLinear(), ends, window, {})
    compiled = trace.compile(coefficients(trace.scheme))
    assert compiled.evaluate(elsewhere(window)).shape[1] - 1 == 4  # three nodes and the end of the step
    assert compiled.variables == 39


def test_zero_and_one_leave_nothing_behind():
    tape = Tape()
    a = tape.variable(2.0)
    assert a * 1 is a
    assert a + 0 is a
    assert 0 * a == 0.0
    assert a - a == 0.0
    assert a / 1 is a
    assert (np.float64(3.0) * a).index == (3.0 * a).index
    assert len(tape.operations) == 3  # the variable, the constant 3, their product


def test_a_trace_refuses_what_is_not_differentiable():
    schedule = SCHEDULES["table"][0]
    ends, window = window_of(schedule, 1.0)
    with pytest.raises(ValueError, match="not smooth functions of the steps on the table"):
        Trace(nd.TimeAdams(3), schedule, ends, window, {})


def test_a_parameter_that_does_not_exist_is_named():
    schedule, (ends, window) = SCHEDULES["vp-linear"][0], window_of(nd.schedules.VPLinear(), 1.0)
    window = Window(window.low, window.high, STEPS, window.gaps, ("gamma",), (0.1,), (1.0,))
    with pytest.raises(ValueError, match="no parameter 'gamma'"):
        Trace(nd.GHVB(3, 0.8), schedule, ends, window, {})


@pytest.mark.parametrize("name", ["vp-linear", "flow"])
def test_many_points_at_once_are_the_points_one_by_one(name):
    schedule = nd.schedules.VPLinear() if name == "vp-linear" else nd.schedules.Flow()
    ends, window = window_of(schedule, 0.9)
    trace = Trace(nd.UniPC(3), schedule, ends, window, {})
    compiled = trace.compile(coefficients(trace.scheme))
    points = np.array([elsewhere(window, seed) for seed in range(5)])
    values, jacobians = compiled.many(points)
    for point, value, jacobian in zip(points, values, jacobians, strict=True):
        plain_values = np.array([float(x) for x in coefficients(trace.scheme_at(point))])
        np.testing.assert_allclose(value, plain_values, rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(jacobian, compiled(point)[1], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_phi_of_short_steps_is_that_of_high_precision(sign):
    z = sign * np.array([1e-9, 0.003, 0.4, 1.0, 1.7, 2.9, 4.0])
    values = _phis(6, z)
    for k in range(6):
        with mpmath.workdps(30):
            exact = [float(mpmath.hyp1f1(1, k + 1, mpmath.mpf(x)) / mpmath.factorial(k)) for x in z]
        np.testing.assert_allclose(values[k], exact, rtol=4e-15)
    mixed = np.array([-0.5, 0.7, 6.0, 0.0])
    np.testing.assert_allclose(_phis(2, mixed)[1], np.where(mixed == 0, 1.0, np.expm1(mixed) / (mixed + (mixed == 0))))


def test_levels_of_preserved_variance_need_no_time():
    # alpha = (1 + e^(-2 lambda))^(-1/2), sigma = e^-lambda alpha, log-SNR itself: to rounding at points far apart.
    schedule = nd.schedules.VPLinear()
    ends, window = window_of(schedule, 1.0)
    trace = Trace(nd.DPMSolverPP(2), schedule, ends, window, {})
    level = trace.scheme.levels[2]
    z = elsewhere(window)
    values, jacobian = trace.compile([level.alpha, level.sigma, level.log_snr, level.rho])(z)
    with mpmath.workdps(30):
        x = mpmath.mpf(z[1])
        alpha = 1 / mpmath.sqrt(1 + mpmath.exp(-2 * x))
        exact = [alpha, mpmath.exp(-x) * alpha, x, mpmath.exp(-x)]
        slopes = [alpha * (1 - alpha**2), -mpmath.exp(-x) * alpha**3, 1, -mpmath.exp(-x)]
    np.testing.assert_allclose(values, [float(y) for y in exact], rtol=3e-15)
    np.testing.assert_allclose(jacobian[:, 1], [float(y) for y in slopes], rtol=1e-14)
    assert np.count_nonzero(jacobian) == 4
