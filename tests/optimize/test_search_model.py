"""The dual solver of one step's convex model, against SciPy and against its own optimality conditions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from numdiff.optimize.search.quadratic import minimize_model


def model(seed, n=6, kinks=7, rows=8):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(n, n))
    hessian = 0.1 * root @ root.T + 0.1 * np.eye(n)
    slack = rng.uniform(0, 1, rows) * (rng.uniform(size=rows) > 0.3)
    terms = rng.normal(size=kinks), rng.normal(size=(kinks, n))
    return 3 * rng.normal(size=n), hessian, terms, (slack, rng.normal(size=(rows, n)))


def solve(gradient, hessian, terms, constraints):
    guess = np.zeros(len(terms[0]) + len(constraints[0]))
    return minimize_model(gradient, np.linalg.eigh(hessian), terms, constraints, guess)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("shape", [(6, 7, 8), (6, 0, 8), (6, 7, 0), (5, 14, 0), (1, 1, 1), (20, 20, 21)])
def test_optimality_conditions(seed, shape):
    gradient, hessian, (a, jacobian), (slack, matrix) = model(seed, *shape)
    step = solve(gradient, hessian, (a, jacobian), (slack, matrix))
    after, room = a + jacobian @ step.move, slack + matrix @ step.move
    pull = gradient + hessian @ step.move + step.kinks @ jacobian - step.constraints @ matrix
    size = 1 + np.abs(gradient).max() + np.abs(step.constraints).max(initial=0)
    assert np.abs(pull).max() < 1e-10 * size
    assert np.all(np.abs(step.kinks) <= 1)
    assert np.all(step.constraints >= 0)
    assert np.all(room >= -1e-9)
    assert np.abs(np.abs(after) - step.kinks * after).max(initial=0) < 1e-8
    assert np.abs(step.constraints * room).max(initial=0) < 1e-8 * size


@pytest.mark.parametrize("seed", range(6))
def test_same_minimum_as_scipy(seed):
    gradient, hessian, (a, jacobian), (slack, matrix) = model(seed)
    n = len(gradient)
    step = solve(gradient, hessian, (a, jacobian), (slack, matrix))

    def value(d):
        return gradient @ d + 0.5 * d @ hessian @ d + np.abs(a + jacobian @ d).sum()

    assert step.decrease == pytest.approx(value(np.zeros(n)) - value(step.move), rel=1e-12)
    answer = minimize(
        lambda x: gradient @ x[:n] + 0.5 * x[:n] @ hessian @ x[:n] + x[n:].sum(),
        np.concatenate([np.zeros(n), np.abs(a)]),
        method="SLSQP",
        constraints={
            "type": "ineq",
            "fun": lambda x: np.concatenate(
                [slack + matrix @ x[:n], x[n:] - a - jacobian @ x[:n], x[n:] + a + jacobian @ x[:n]]
            ),
        },
        options={"maxiter": 1000, "ftol": 1e-14},
    )
    assert value(step.move) <= value(answer.x[:n]) + 1e-9
    if answer.success:
        np.testing.assert_allclose(step.move, answer.x[:n], atol=1e-5)
