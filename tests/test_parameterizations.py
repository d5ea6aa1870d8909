"""Conversions against the two-by-two system they solve, against published formulas, and against a Gaussian."""

import itertools
import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from numdiff import parameterizations as par
from numdiff import schedules, testing
from numdiff.level import Level

EPS = 2.0**-52
PAIRS = list(itertools.permutations(par.names(), 2))
SCHEDULES = [schedules.VPLinear(), schedules.SubVP(), schedules.Cosine(), schedules.VE(), schedules.EDM()]
SCHEDULES += [schedules.Flow(), schedules.Flow(shift=3.0)]
levels = testing.levels(st.sampled_from(SCHEDULES))


def meaning(name, level, x0, eps):
    """Return the prediction `name` made of x_0 and eps, in the words of the papers."""
    alpha, sigma = level.alpha, level.sigma
    if name == "edm":  # D = c_skip y + c_out F(.), on y = x/alpha at the noise level sigma/alpha, with sigma_data 1/2
        rho, y = sigma / alpha, (alpha * x0 + sigma * eps) / alpha
        return (x0 - y / 4 / (rho**2 + mpmath.mpf(1) / 4)) / (rho / 2 / mpmath.sqrt(rho**2 + mpmath.mpf(1) / 4))
    return {
        "noise": eps,
        "data": x0,
        "v": alpha * eps - sigma * x0,
        "velocity": level.d_alpha * x0 + level.d_sigma * eps,
        "flow": eps - x0,
        "score": -eps / sigma,
    }[name]


def exactly(level):
    names = ("time", "alpha", "sigma", "model_time", "d_alpha", "d_sigma")
    return Level(**{name: mpmath.mpf(getattr(level, name)) for name in names})


@given(level=levels)
def test_coefficients_solve_the_two_by_two_system(level):
    """The pairs (x_0, eps) = (1, 0) and (0, 1) determine p and q, which are as accurate as they can be."""
    with mpmath.workdps(60):
        exact = exactly(level)
        skip = {"edm"} if level.alpha == 0 else set()
        columns = {n: [meaning(n, exact, x0, 1 - x0) for x0 in (1, 0)] for n in par.names() if n not in skip}
        for source, target in PAIRS:
            if skip & {source, target}:
                continue
            (a, b), (a2, b2) = columns[source], columns[target]
            d = a * exact.sigma - b * exact.alpha
            if d == 0:
                continue
            p, q = par.coefficients(level, source, target)
            scale = abs(a * b2) + abs(a2 * b)
            # at most ten roundings on the way, none of them a subtraction of rounded numbers but the one in p
            assert abs(q - (a2 * exact.sigma - b2 * exact.alpha) / d) <= 5 * EPS * abs(q)
            assert abs(p - (a * b2 - a2 * b) / d) <= 5 * EPS * scale / abs(d)


@given(level=levels, x0=st.floats(-3, 3), eps=st.floats(-3, 3))
def test_round_trips(level, x0, eps):
    # outside, noise does not determine data in float64, or the reverse; the coefficients are tested above
    assume(min(level.alpha, level.sigma) > 1e-3)
    with mpmath.workdps(60):
        exact = exactly(level)
        x = level.alpha * x0 + level.sigma * eps
        values = {name: float(meaning(name, exact, mpmath.mpf(x0), mpmath.mpf(eps))) for name in par.names()}
    for source, target in PAIRS:
        there = par.convert(values[source], x, level, source=source, target=target)
        back = par.convert(there, x, level, source=target, target=source)
        p, q = par.coefficients(level, source, target)
        p2, q2 = par.coefficients(level, target, source)
        # rounding of the terms that make x and that the conversion adds; 1e-290 where they are denormal
        size = level.alpha * abs(x0) + level.sigma * abs(eps) + abs(values[source]) + 1e-290
        assert there == pytest.approx(values[target], abs=16 * EPS * (abs(p) + abs(q)) * size)
        assert back == pytest.approx(values[source], abs=16 * EPS * (abs(p2) + abs(q2) * (1 + abs(p) + abs(q))) * size)


def uncancelled(level, source, target):
    """Return (|a b2| + |a2 b|)/|d|, the size whose rounding p inherits."""
    (a, b), (a2, b2) = par.get(source).components(level), par.get(target).components(level)
    return (abs(a * b2) + abs(a2 * b)) / abs(par.get(source).determinant(level))


@given(level=levels)
def test_forth_and_back_and_transitivity(level):
    """The maps (p, q) form a groupoid: going through a third prediction changes nothing."""
    assume(min(level.alpha, level.sigma) > 1e-3)
    for a, b, c in itertools.permutations(par.names(), 3):
        p1, q1 = par.coefficients(level, a, b)
        p2, q2 = par.coefficients(level, b, c)
        p, q = par.coefficients(level, a, c)
        assert q2 * q1 == pytest.approx(q, rel=20 * EPS)
        size = uncancelled(level, a, c) + uncancelled(level, b, c) + abs(q2) * uncancelled(level, a, b)
        assert p2 + q2 * p1 == pytest.approx(p, abs=20 * EPS * size)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_gaussian_data(schedule):
    """On data N(0, c^2) every prediction is a multiple of x, and the probability flow is x' = x d log std(x_t)/dt.

    The velocity is the derivative in the level's clock, which for a shifted flow runs at d sigma/dt.
    """
    c, t = 0.7, 0.37 * schedule.T
    level, x = schedule.level(t), np.linspace(-2, 2, 5)
    variance = (level.alpha * c) ** 2 + level.sigma**2
    data, score = level.alpha * c**2 / variance * x, -x / variance
    with mpmath.workdps(40):

        def log_std(u):
            alpha, sigma = schedule.alpha(float(u)), schedule.sigma(float(u))
            return mpmath.log((mpmath.mpf(alpha) * c) ** 2 + mpmath.mpf(sigma) ** 2) / 2

        h = 1e-4 * schedule.T
        slope = float((8 * (log_std(t + h) - log_std(t - h)) - log_std(t + 2 * h) + log_std(t - 2 * h)) / (12 * h))
    np.testing.assert_allclose(par.convert(data, x, level, source="data", target="score"), score, rtol=1e-13)
    rate = schedule.d_sigma(t) / level.d_sigma
    velocity = rate * par.convert(score, x, level, source="score", target="velocity")
    np.testing.assert_allclose(velocity, slope * x, rtol=1e-10)  # the difference quotient's h^4 and rounding / h


def test_flow_is_the_velocity_on_flow_schedules():
    for shift in (1.0, 3.0):
        schedule = schedules.Flow(shift=shift)
        assert par.coefficients(schedule.level(0.4), "flow", "velocity") == (0, 1)
        assert schedule.level(0.4).time == schedule.sigma(0.4)
        assert schedule.level_at(schedule.sigma(0.4)).sigma == pytest.approx(schedule.sigma(0.4), rel=8 * EPS)


def test_edm_is_diffusers_preconditioning():
    from diffusers import EDMEulerScheduler

    rng = np.random.default_rng(0)
    x, output = torch.from_numpy(rng.normal(size=(2, 9)))
    for sigma_data, sigma in itertools.product((0.5, 1.0), (0.002, 0.5, 80.0)):
        published = EDMEulerScheduler(sigma_data=sigma_data).precondition_outputs(x, output, sigma)
        level = schedules.EDM().level(sigma)
        data = par.convert(output, x, level, source=par.EDM(sigma_data), target="data")
        torch.testing.assert_close(data, published, rtol=1e-14, atol=1e-14)


def test_v_is_diffusers_velocity():
    from diffusers import DDPMScheduler

    published = DDPMScheduler(1000, beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    schedule = schedules.Discrete(alphas_cumprod=published.alphas_cumprod)
    x0, eps = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 3, 1)))
    steps = torch.tensor([0, 400, 999])
    expected = published.get_velocity(x0, eps, steps)
    for i, m in enumerate(steps.tolist()):
        level = schedule.level(schedule.from_model_time(m))
        v = par.convert(eps[i], level.alpha * x0[i] + level.sigma * eps[i], level, source="noise", target="v")
        torch.testing.assert_close(v, expected[i], rtol=1e-6, atol=1e-6)  # diffusers takes float32 square roots


def test_same_prediction_is_left_alone():
    level, value = schedules.VPLinear().level(0.0), np.ones(3)
    for name in par.names():
        assert par.coefficients(level, name, name) == (0.0, 1.0)  # even where it is not defined
        assert par.convert(value, value, level, source=name, target=name) is value
    assert par.coefficients(level, par.EDM(0.5), "edm") == (0.0, 1.0)
    assert par.coefficients(schedules.EDM().level(1.0), par.EDM(1.0), "edm") != (0.0, 1.0)


def test_any_number_type():
    exact = Level(Fraction(1, 2), Fraction(4, 5), Fraction(3, 5), 0, Fraction(-1), Fraction(2))
    assert par.coefficients(exact, "v", "noise") == (Fraction(3, 5), Fraction(4, 5))
    assert par.coefficients(exact, "velocity", "data") == (Fraction(10, 11), Fraction(-3, 11))
    alpha, sigma = sympy.symbols("alpha sigma", positive=True)
    p, q = par.coefficients(Level(0, alpha, sigma, 0), "noise", "data")
    assert sympy.simplify(p - 1 / alpha) == 0
    assert sympy.simplify(q + sigma / alpha) == 0
    time = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    for source, target in PAIRS:
        p, q = par.coefficients(schedules.VPLinear().level(time), source, target)
        expected = par.coefficients(schedules.VPLinear().level(0.3), source, target)
        assert (float(torch.as_tensor(p).detach()), q.item()) == pytest.approx(expected, rel=1e-14, abs=1e-15)


def test_convert_keeps_the_dtype_and_agrees_across_libraries():
    level, x = schedules.VPLinear().level(0.3), np.linspace(-1, 1, 4, dtype=np.float32)
    array = par.convert(2 * x, x, level, source="v", target="data")
    tensor = par.convert(torch.from_numpy(2 * x), torch.from_numpy(x), level, source="v", target="data")
    assert (array.dtype, tensor.dtype) == (np.float32, torch.float32)
    np.testing.assert_allclose(tensor, array, rtol=1e-6)


# ------------------------------------------------------------------------------------------------------------ the ends


def test_clean_end():
    clean = schedules.EDM().level(0.0)
    assert par.coefficients(clean, "noise", "data") == (1, 0)
    assert par.coefficients(clean, "v", "data") == (1, 0)
    assert par.coefficients(clean, "v", "noise") == (0, 1)
    assert par.coefficients(clean, "edm", "noise") == (0, -1)  # F = -eps at sigma = 0
    for target in ("noise", "v", "velocity", "flow", "edm"):
        with pytest.raises(ValueError, match=rf"'data' does not determine '{target}' at t = 0.0 .* 'noise' or 'v'"):
            par.coefficients(clean, "data", target)


def test_zero_terminal_snr():
    pure = schedules.Flow().level(1.0)
    assert par.coefficients(pure, "data", "noise") == (1, 0)
    assert par.coefficients(pure, "v", "data") == (0, -1)
    assert par.coefficients(pure, "edm", "data") == (0, 0.5)  # F = x_0/sigma_data
    assert par.coefficients(pure, "velocity", "data") == (1, -1)
    assert par.coefficients(pure, "noise", "score") == (0, -1)  # a multiple needs no data
    assert par.coefficients(pure, "score", "noise") == (0, -1)
    for source, target in itertools.product(("noise", "score"), ("data", "v", "velocity", "flow", "edm")):
        with pytest.raises(ValueError, match=rf"'{source}' does not determine '{target}' at t = 1.0 .* 'data' or 'v'"):
            par.coefficients(pure, source, target)


@pytest.mark.parametrize("time", [0.0, torch.tensor(0.0, dtype=torch.float64, requires_grad=True)])
def test_score_at_sigma_zero(time):
    for pair in (("noise", "score"), ("score", "data")):
        with pytest.raises(ValueError, match="'score' = -eps/sigma is infinite at sigma = 0"):
            par.coefficients(schedules.VPLinear().level(time), *pair)


def test_velocity_where_it_does_not_exist():
    for pair in (("noise", "velocity"), ("velocity", "data")):
        with pytest.raises(ValueError, match=r"'velocity' needs d_alpha and d_sigma, .* use 'noise', 'data', 'v'"):
            par.coefficients(schedules.Discrete.ddpm_linear().level(0.5), *pair)
        with pytest.raises(ValueError, match=r"'velocity' is infinite at t = 0.0, where d sigma/dt is; end the grid"):
            par.coefficients(schedules.VPLinear().level(0.0), *pair)


def test_errors():
    level = schedules.VPLinear().level(0.5)
    with pytest.raises(ValueError, match=r"unknown prediction 'velocty'; did you mean 'velocity'\? known: data, edm"):
        par.coefficients(level, "noise", "velocty")
    with pytest.raises(ValueError, match="unknown prediction None; known"):
        par.convert(1.0, 1.0, level, source=None, target="noise")
    with pytest.raises(ValueError, match=r"value has shape \(3,\), but x has shape \(4,\)"):
        par.convert(np.ones(3), np.ones(4), level, source="noise", target="data")
    for sigma_data in (0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="sigma_data must be positive and finite"):
            par.EDM(sigma_data=sigma_data)


def test_names_and_objects():
    for name in par.names():
        assert par.get(name).name == name
        assert par.get(par.get(name)) is par.get(name)
        assert par.get(name) == type(par.get(name))()
    assert repr(par.EDM()) == "EDM(sigma_data=0.5)"
