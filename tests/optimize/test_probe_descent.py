"""The descent in log-steps: its coordinates against differences, its answers against minima known beforehand."""

import math

import numpy as np
import pytest

from numdiff.optimize.problem import Parts
from numdiff.optimize.search.descent import _Free, bfgs
from numdiff.optimize.search.record import Recorder
from numdiff.optimize.window import Window

WINDOWS = {
    "finite": Window(-5.0, 4.0, 5, np.full(5, 0.1)),
    "from pure noise": Window(-math.inf, 4.0, 5, np.array([0, 0.1, 0.1, 0.1, 0.1])),
    "to pure data": Window(-5.0, math.inf, 5, np.array([0.1, 0.1, 0.1, 0.1, 0])),
    "both": Window(-math.inf, math.inf, 5, np.array([0, 0.1, 0.1, 0.1, 0])),
    "parameter": Window(-5.0, 4.0, 5, np.full(5, 0.1), ("beta",), (0.2,), (1.4,)),
}


class Bowl:
    """F = |z - target|^2_weights + log cosh of a sum: smooth, convex, no quadratic, with its minimum at the target."""

    def __init__(self, window, target):
        self.window, self.target = window, target
        self.weights = 1.0 + np.arange(len(target)) ** 2

    def evaluate(self, z):
        d = z - self.target
        value = self.weights @ d**2 + np.log(np.cosh(d.sum()))
        return Parts(gradient=2 * self.weights * d + np.tanh(d.sum()), value=float(value))


@pytest.mark.parametrize("name", WINDOWS)
def test_coordinates(name):
    window = WINDOWS[name]
    free, z = _Free(window), window.generic()
    x = free.coordinates(z)
    found, jacobian = free.point(x)
    np.testing.assert_allclose(found, z, atol=1e-12)
    h = 1e-5
    differences = [(free.point(x + e)[0] - free.point(x - e)[0]) / (2 * h) for e in h * np.eye(len(x))]
    np.testing.assert_allclose(jacobian, np.transpose(differences), atol=1e-8)
    far = free.point(x + 3 * np.sin(np.arange(len(x))))[0]
    assert np.all(window.slack(far) > 0)


@pytest.mark.parametrize("name", WINDOWS)
def test_finds_an_interior_minimum(name):
    window = WINDOWS[name]
    target = window.generic()
    target[: window.steps - 1] += 0.3 * np.cos(np.arange(window.steps - 1))
    problem = Bowl(window, target)
    recorder = Recorder(problem, None, None)
    start = window.generic()
    z, parts = bfgs(recorder, start, problem.evaluate(start), 1e-8)
    # the gradient falls by 1e5, and with it the distance from the minimum
    np.testing.assert_allclose(z, target, atol=1e-4)
    assert recorder.trace[-1] == parts.objective == min(recorder.trace)


def test_returns_its_start_where_nothing_is_lower():
    window = WINDOWS["finite"]
    problem = Bowl(window, window.generic())
    start = window.generic()
    parts = problem.evaluate(start)
    z, found = bfgs(Recorder(problem, None, None), start, parts, 1e-8)
    np.testing.assert_allclose(z, start, atol=1e-12)
    assert found.objective <= parts.objective


def test_passes_by_points_without_a_value():
    class Holed(Bowl):
        def evaluate(self, z):
            if z[0] > self.target[0] + 0.2:
                raise ValueError("no value there")
            return super().evaluate(z)

    window = WINDOWS["finite"]
    target = window.generic()
    start = target - 0.5
    problem = Holed(window, target)
    z, _ = bfgs(Recorder(problem, None, None), start, problem.evaluate(start), 1e-8)
    np.testing.assert_allclose(z, target, atol=1e-3)


def test_refuses_kinks():
    window = WINDOWS["finite"]
    parts = Parts(gradient=np.zeros(4), absolute=np.ones(1), absolute_jacobian=np.ones((1, 4)))
    with pytest.raises(ValueError, match="smooth"):
        bfgs(Recorder(Bowl(window, window.generic()), None, None), window.generic(), parts, 1e-8)
