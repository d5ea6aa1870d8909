"""Noise levels as values: equal ones are equal, functions of time, and what is refused at the door."""

import math
import pickle
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import sympy as sp
import torch

import numdiff as nd
from numdiff.methods.dpmpp_sde import SingleStepSDE
from numdiff.methods.published.single_step import DPMSolverSingle
from numdiff.noise import BrownianPath
from numdiff.sde import Eta, Tau, stochastic

VP = nd.schedules.VPLinear()
GRID = [0.9, 0.7, 0.55, 0.4, 0.2, 0.1]
FORMULATIONS = ("data/log-snr", "noise/log-snr", "noise/ratio")
METHODS = {
    "SA": lambda tau: nd.SASolver(2, tau=tau),
    "SA noise": lambda tau: nd.SASolver(2, tau=tau, formulation="noise/log-snr"),
    "AB ratio": lambda tau: nd.AdamsBashforth(2, stochastic("noise/ratio", tau)),
    "SEEDS data": lambda tau: DPMSolverSingle(2, stochastic("data/log-snr", tau)),
    "SEEDS noise": lambda tau: DPMSolverSingle(2, stochastic("noise/log-snr", tau)),
    "2S-SDE": lambda tau: SingleStepSDE(stochastic("data/log-snr", tau)),
    "2S-SDE rho": lambda tau: SingleStepSDE(stochastic("noise/log-snr", tau), path="rho"),
}
every_method = pytest.mark.parametrize("make", METHODS.values(), ids=METHODS.keys())


def ramp(x):
    """tau(t), smooth."""
    return 0.4 + x


def box(x):
    """tau(t), 1.5 inside a window."""
    return 1.5 if 0.15 <= x <= 0.6 else 0


# --- equality ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("one", [1.0, Fraction(1), np.float64(1), torch.tensor(1.0)], ids=repr)
def test_the_printed_name_does_not_part_equal_methods(one):
    for make in (lambda x: nd.SASolver(2, tau=x), lambda x: nd.AdamsBashforth(1, stochastic(eta=x))):
        assert make(1) == make(one)
        assert hash(make(1)) == hash(make(one))
        assert make(1) != make(0.5)
    assert stochastic("noise/ratio", 1) != stochastic("noise/log-snr", 1)


NUMBERS = {"numpy": np.float64, "Fraction": Fraction, "torch": torch.tensor, "Float": sp.Float, "Rational": sp.Rational}


@pytest.mark.parametrize("number", NUMBERS.values(), ids=NUMBERS.keys())
def test_windows_of_every_number_type_print_and_work_alike(number):
    found, plain = (Tau(1, *ends, "rho") for ends in ((number(0.25), number(4.0)), (0.25, 4.0)))
    assert found == plain
    assert str(found) == str(plain) == "tau=1 on rho [0.25, 4]"


# --- functions --------------------------------------------------------------------------------------------------------


@every_method
def test_a_piecewise_constant_function_is_a_window(make):
    found, window = (make(tau).discretize(VP, GRID) for tau in (box, Tau(1.5, 0.15, 0.6)))
    assert [t.plan for t in found] == [t.plan for t in window]
    assert {t.noises > 0 for t in found} == {True, False}


@every_method
def test_the_function_zero_is_the_deterministic_method_bit_by_bit(make):
    found, plain = (make(tau).discretize(VP, GRID) for tau in (lambda t: 0.0, 0))
    assert [t.plan for t in found] == [t.plan for t in plain]


@pytest.mark.parametrize("variable", ["time", "model_time", "rho", "log_snr"])
@pytest.mark.parametrize("at", ["start", "end"])
def test_a_step_has_the_value_at_its_start_or_end(variable, at):
    """On every step the span is that of the constant, whichever variable the function is given."""
    levels = [VP.level(t) for t in GRID]
    for formulation in FORMULATIONS:
        varying = stochastic(formulation, Tau(lambda x: 1 / (1 + x * x), variable=variable, at=at))
        for here, there in pairwise(levels):
            x = getattr(here if at == "start" else there, variable)
            constant = stochastic(formulation, 1 / (1 + x * x)).span(here, there, 2)
            found = varying.span(here, there, 2)
            assert (found.xi, found.noise, list(found.moments)) == (constant.xi, constant.noise, list(constant.moments))


@pytest.mark.parametrize("name", ["SA", "SA noise", "AB ratio", "SEEDS data", "2S-SDE"])
def test_weak_order_two_for_a_smooth_function(name):
    """The variance of the law on Gaussian data: it is the same for all tau(t), and found to order 2, exactly."""
    method = METHODS[name](Tau(lambda s: 1 + 0.6 * math.sin(2 * s), variable="log_snr"))
    assert method.weak_order == 2

    def error(steps):
        s = np.cumsum([0.0, *np.tile([1.0, 2.0], steps // 2)])
        times = [VP.time(float(x)) for x in -2.0 + 4.0 * s / s[-1]]
        return np.linalg.norm(nd.spectral.errors(method.discretize(VP, times), [0.2, 0.35, 0.5, 0.8], 1.0).variance)

    assert np.log2(error(64) / error(128)) == pytest.approx(2, abs=0.4)


@pytest.mark.parametrize("name", ["SA", "AB ratio", "SEEDS data", "2S-SDE"])
def test_runs_on_one_path_converge_strongly(name):
    """tau(t) scales the increments of the one motion of tau = 1 on data rows, of -rho^2 on noise rows."""
    gaussian = nd.problems.Gaussian([0.5, -1.0], [[0.5, 0.2], [0.2, 0.3]])
    x, model = gaussian.sample_level(100, VP.level(0.9), 2), gaussian.model(VP)
    method = METHODS[name](lambda t: 1.5 * t)

    def run(steps):
        grid = nd.grids.uniform_log_snr(VP, steps=steps, t_start=0.9, t_end=0.1)
        return nd.sample(method.discretize(VP, grid), model, x, noise=BrownianPath(6))

    gaps = [np.sqrt(np.mean((a - b) ** 2)) for a, b in pairwise(run(n) for n in (32, 64, 128))]
    assert gaps[1] < 0.62 * gaps[0]  # 2^-1/2 = 0.71 would be order 1/2
    assert gaps[1] < 0.05 * run(128).std()


def test_functions_make_values():
    method = nd.SASolver(2, tau=ramp)
    assert method.name == "PEC2-2 data/log-snr tau=ramp(time)"
    assert str(Tau(ramp, 0.2, None, "rho", "start")) == "tau=ramp(rho) on rho [0.2, ] at start"
    assert method == nd.SASolver(2, tau=Tau(ramp))
    assert method != nd.SASolver(2, tau=box)
    copy = pickle.loads(pickle.dumps(method))
    assert (copy, hash(copy)) == (method, hash(method))
    assert method.formulation.level.constant is None
    assert method.stochastic
    for write in (nd.export.method_to_json, lambda m: nd.export.to_json(m.discretize(VP, GRID))):
        with pytest.raises(ValueError, match="is the function ramp, which text cannot hold"):
            write(method)


def test_gradients_of_what_a_function_closes_over():
    def total(scale):
        scheme = nd.SASolver(2, tau=lambda t: scale * (1 + t)).discretize(VP, GRID)
        return sum(t.Nb[0][0] + t.V[0][0] for t in scheme if t.noises)

    scale = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(total(scale), scale)
    assert float(slope) == pytest.approx((total(0.7 + 1e-6) - total(0.7 - 1e-6)) / 2e-6, rel=1e-6)


@pytest.mark.parametrize(
    ("value", "error", "match"),
    [
        (lambda t: -t, ValueError, r"tau\(0\.7\) must be not negative and finite, got -0\.7"),
        (lambda t: math.nan, ValueError, r"tau\(0\.7\) must be not negative and finite, got nan"),
        (lambda t: math.inf, ValueError, r"tau\(0\.7\) must be not negative and finite, got inf"),
        (lambda t: None, TypeError, r"tau\(0\.7\) must be one number, .* got None"),
        (lambda t: np.ones(2), TypeError, r"tau\(0\.7\) must be one number"),
        (lambda t: sp.Symbol("x"), TypeError, r"tau\(0\.7\) must be one number, .* got x"),
    ],
)
def test_what_a_function_returns_is_checked_at_every_step(value, error, match):
    with pytest.raises(error, match=match):
        nd.AdamsBashforth(1, stochastic(tau=value)).discretize(VP, GRID)


@pytest.mark.parametrize("tau", [Tau(ramp), Tau(1, 0.2, 0.8), Tau(sp.Symbol("b"), low=0.2)], ids=str)
def test_questions_about_a_step_are_refused_where_no_step_is_like_another(tau):
    method = nd.SASolver(2, tau=tau)
    for topic in ("coefficients", "derivation", "intervals", "leading-error", "any-grid"):
        with pytest.raises(ValueError, match="no steady step: its noise level depends on the step"):
            nd.answers.ask(method, topic)
    t = sp.symbols("t0:2", positive=True)
    with pytest.raises(ValueError, match="is known where time is a number, got t1"):
        method.formulation.level.squared(*(nd.Level(x, 1 - x, x, x) for x in t))


# --- doors ------------------------------------------------------------------------------------------------------------

NO_NUMBERS = [1j, [1], (1,), {}, b"1", "1", True, np.ones(1), np.complex128(1), np.True_, torch.tensor(1j), sp.I]


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
def test_what_is_no_real_number_is_refused_by_name(value):
    makers = {
        "tau": Tau,
        "eta": Eta,
        "low": lambda x: Tau(1, low=x),
        "high": lambda x: Tau(1, high=x),
        "S_churn": nd.EDMStochastic,
        "S_min": lambda x: nd.EulerChurn(1, S_min=x),
        "S_max": lambda x: nd.EulerChurn(1, S_max=x),
        "S_noise": lambda x: nd.EulerChurn(1, S_noise=x),
        "noise_factor": lambda x: nd.EulerAncestral(noise_factor=x),
        "norm": lambda x: nd.SiT(norm=x),
    }
    for name, make in makers.items():
        with pytest.raises(TypeError, match=f"^{name} must be one "):
            make(value)


def test_bounds_are_numbers_or_none():
    for bounds in ({"low": math.nan}, {"high": math.nan}, {"low": sp.nan}):
        with pytest.raises(ValueError, match="must be a number or None, got nan"):
            Tau(1, **bounds)
    for value in (sp.Symbol("a"), None):
        with pytest.raises(TypeError, match=r"^S_max must be"):
            nd.EulerChurn(1, S_max=value)
        with pytest.raises(TypeError, match=r"^tau must be one number or a function"):
            Tau(None)
    with pytest.raises(TypeError, match=r"^low must be one number or None"):
        Tau(1, low=sp.Symbol("a"))
    assert nd.EulerChurn(1, S_max=sp.oo) == nd.EulerChurn(1)
