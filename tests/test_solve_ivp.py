"""`solve_ivp` integrates plain equations in SciPy's convention, on any number type."""

from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
import torch

import numdiff as nd
from numdiff.formulations import FORMULATIONS


def circle(t, y):
    return [y[1] * (1 + t), -y[0] * (1 + t)]


@pytest.mark.parametrize(
    "y0", [[1, 0], (1.0, 0.0), np.array([1, 0]), np.array([1.0, 0.0], np.float32), np.array([1, 0], complex)], ids=repr
)
def test_solve_ivp_takes_initial_values_as_scipy_does(y0):
    dtype = np.asarray(y0).dtype if isinstance(y0, np.ndarray) and y0.dtype.kind in "fc" else np.float64
    found = nd.solve_ivp(nd.RK4(), circle, np.linspace(0, 1, 41), y0)
    assert found.dtype == dtype
    angle = 1.5
    # Order 4 with h = 1/40 and derivatives below 10: 1e-6; float32 rounds 40 steps to 1e-6 as well.
    np.testing.assert_allclose(found, [np.cos(angle), -np.sin(angle)], rtol=0, atol=1e-5)


def test_solve_ivp_takes_numbers_tensors_and_matrices():
    grid = np.linspace(0, 1, 41)
    decay = np.exp(-1.5)
    assert nd.solve_ivp(nd.RK4(), lambda t, y: -(1 + t) * y, grid, 1.0) == pytest.approx(decay, abs=1e-6)  # as above
    complex_ = nd.solve_ivp(nd.RK4(), lambda t, y: 1j * (1 + t) * y, grid, 1 + 0j)
    assert complex(complex_) == pytest.approx(np.exp(1.5j), abs=1e-6)
    tensor = nd.solve_ivp(nd.RK4(), lambda t, y: -(1 + t) * y, grid, torch.ones(2, 3, dtype=torch.float64))
    assert tensor.numpy() == pytest.approx(np.full((2, 3), decay), abs=1e-6)
    back = nd.solve_ivp(nd.RK4(), lambda t, y: -(1 + t) * y, grid[::-1], decay)
    assert back == pytest.approx(1.0, abs=1e-6)
    path = nd.solve_ivp(nd.RK4(), lambda t, y: -(1 + t) * y, grid, 1.0, trajectory=True)
    assert len(path) == 41


@pytest.mark.parametrize("number", [float, Fraction, np.float32, sp.Rational, np.float64])
def test_solve_ivp_gives_the_right_side_a_float_whatever_the_times_are(number):
    times, seen = [number(n) / 4 for n in (0, 1, 2, 4)], []
    nd.solve_ivp(nd.AdamsBashforth(2), lambda t, y: seen.append(t) or np.cos(t) * y, times, 1.0)
    assert seen == [0.0, 0.25, 0.5]
    assert all(type(t) is float for t in seen)


def test_solve_ivp_ignores_the_formulation_of_a_diffusion():
    problem, grid = nd.problems.odes()["bernoulli"], np.linspace(0, 2, 30)
    plain = nd.solve_ivp(nd.AdamsBashforth(3), problem.fun, grid, problem.y0)
    for formulation in FORMULATIONS:
        assert (nd.solve_ivp(nd.AdamsBashforth(3, formulation), problem.fun, grid, problem.y0) == plain).all()


def test_solve_ivp_carries_gradients_to_times_and_initial_value():
    times = torch.linspace(0, 1, 9, dtype=torch.float64).requires_grad_()
    y0 = torch.tensor([0.5, -1.0], dtype=torch.float64, requires_grad=True)

    def value(times, y0):
        return nd.solve_ivp(nd.AdamsBashforth(2), lambda t, y: torch.sin(t * y), times, y0)

    assert torch.autograd.gradcheck(value, (times, y0))  # torch's finite differences, float64
