"""Exponential schemes on X' = c X + d X: closed forms, and the region at one step length after another."""

import numpy as np
import pytest
import sympy as sp

import numdiff as nd
from numdiff.phi import phi

MEMBERS = nd.methods()
EXPONENTIAL = [name for name, method in MEMBERS.items() if method.kernel != 0]


@pytest.mark.parametrize("method", [nd.DPMSolverPP(1), nd.DPMSolver(1)])
def test_exponential_euler_in_closed_form(method):
    # one root, e^{ch} + d h phi_1(c h)
    rng = np.random.default_rng(0)
    ch, dh = method.kernel * rng.uniform(0, 6, (40, 1)), rng.uniform(-12, 12, 50)
    root = np.exp(ch) + dh * phi(1, ch)
    np.testing.assert_array_equal(nd.stability.two_parameter_region(method, ch, dh), np.abs(root) <= 1)
    # boundary points, rounded, belong: d h = (+-1 - e^{ch})/phi_1(ch); a relative 1e-9 beyond they do not
    ch = method.kernel * np.linspace(0.1, 5, 20)
    for value in (-1.0, 1.0):
        edge = (value - np.exp(ch)) / phi(1, ch)
        assert nd.stability.two_parameter_region(method, ch, edge * (1 - value * np.sign(edge) * 1e-13)).all()
        assert not nd.stability.two_parameter_region(method, ch, edge + value * 1e-6).any()


def test_exponential_euler_follows_the_exact_solution_where_that_falls():
    # the root equals 1 exactly on d h = -c h: e^z - z phi_1(z) = 1
    z = -np.linspace(0.01, 30, 100)
    below, above = (nd.stability.two_parameter_region(nd.DPMSolverPP(1), z, -z * f) for f in (1 - 1e-9, 1 + 1e-9))
    assert below.all()
    assert not above.any()


@pytest.mark.parametrize("name", EXPONENTIAL)
def test_against_regions_of_one_step_length(name):
    method, rng = MEMBERS[name], np.random.default_rng(3)
    h, d = rng.uniform(0.05, 4, 15), rng.uniform(-5, 2, 15)
    found = nd.stability.two_parameter_region(method, method.kernel * h, d * h)
    expected = [nd.stability.region(method, z, h=step) for z, step in zip(d, h, strict=True)]
    assert found.tolist() == [bool(x) for x in expected]


@pytest.mark.parametrize("order", [1, 2, 3])
def test_without_linear_term_it_is_the_classical_method(order):
    dh = np.linspace(-2.5, 0.5, 301)
    classical = nd.stability.region(nd.GHVB(order, 0.7), dh)
    for formulation in (nd.DATA_LOG_SNR, nd.NOISE_LOG_SNR):
        method = nd.GHVB(order, 0.7, formulation)
        np.testing.assert_array_equal(nd.stability.two_parameter_region(method, 0, dh), classical)


def test_half_rule_with_heavy_ball():
    # stable for d in (-((2-beta)/(2 beta)) coth(h/2), 1)
    h, beta = np.linspace(0.05, 3, 30), 0.6
    end = (2 - beta) / (2 * beta) / np.tanh(h / 2)
    method = nd.HeavyBall(nd.DPMSolverPP(2, rule="half"), beta=beta)
    for d, stable in ((-end * (1 - 1e-9), True), (-end * (1 + 1e-9), False), (0.999, True), (1.001, False)):
        assert (nd.stability.two_parameter_region(method, -h, d * h) == stable).all()


def test_shapes_and_chunks(monkeypatch):
    x, y = np.linspace(-3, 0, 7), np.linspace(-5, 1, 4)[:, np.newaxis]
    whole = nd.stability.two_parameter_region(nd.DPMSolverPP(2), x, y)
    assert whole.shape == (4, 7)
    monkeypatch.setattr("numdiff.properties.stability.two_parameter.CHUNK", 5)
    np.testing.assert_array_equal(nd.stability.two_parameter_region(nd.DPMSolverPP(2), x, y), whole)
    assert nd.stability.two_parameter_region(nd.DPMSolverPP(2), -1, -1).shape == ()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda f: f(nd.AdamsBashforth(2), -1, 0), ValueError, "kernel exponent 0"),
        (lambda f: f("ab2", -1, 0), TypeError, r"got 'ab2'; nd.method\('ab2'\) makes one"),
        (lambda f: f(nd.DPMSolverPP(2), 1, 0), ValueError, "it is negative or 0"),
        (lambda f: f(nd.DPMSolver(2), -1, 0), ValueError, "it is positive or 0"),
        (lambda f: f(nd.DPMSolverPP(2), np.nan, 0), ValueError, "ch must be finite"),
        (lambda f: f(nd.DPMSolverPP(2), -1, [1j]), TypeError, "dh must be an array of real numbers"),
        (lambda f: f(nd.GHVB(2, sp.Symbol("b"), nd.DATA_LOG_SNR), -1, 0), ValueError, "symbol b"),
        (lambda f: f(nd.DPMSolverPP(2), [-1, -2], [1, 2, 3]), ValueError, "broadcast"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call(nd.stability.two_parameter_region)
