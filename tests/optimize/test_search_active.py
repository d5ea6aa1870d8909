"""Newton's step on an active set: the convex solver's where both apply, and exact where curvature is indefinite."""

from __future__ import annotations

import numpy as np
import pytest

from numdiff.optimize.search.active import step_on
from numdiff.optimize.search.quadratic import minimize_model
from tests.optimize.test_search_model import model


def multipliers(step):
    return np.concatenate([step.kinks, step.constraints])


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("shape", [(6, 7, 8), (6, 0, 8), (6, 7, 0), (5, 2, 3), (20, 20, 21)])
def test_the_same_step_as_the_convex_solver(seed, shape):
    gradient, hessian, terms, constraints = model(seed, *shape)
    guess = np.zeros(len(terms[0]) + len(constraints[0]))
    convex = minimize_model(gradient, np.linalg.eigh(hessian), terms, constraints, guess)
    step = step_on(gradient, hessian, terms, constraints, multipliers(convex), 1e-12)
    assert step is not None
    size = 1 + np.abs(convex.move).max()
    np.testing.assert_allclose(step.move, convex.move, atol=1e-8 * size)
    np.testing.assert_allclose(step.kinks, convex.kinks, atol=1e-7)
    np.testing.assert_allclose(
        step.constraints, convex.constraints, atol=1e-7 * (1 + convex.constraints.max(initial=0))
    )
    assert step.decrease == pytest.approx(convex.decrease, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_indefinite_curvature_that_the_active_set_hides(seed):
    # H = H_0 - 100 * (projector on the active rows): indefinite, and positive definite where the step is free. What
    # the model's minimum is does not depend on that part but for a multiple of the active rows, the multipliers' part.
    gradient, hessian, (a, jacobian), (slack, matrix) = model(seed, 6, 3, 3)
    guess = np.zeros(6)
    convex = minimize_model(gradient, np.linalg.eigh(hessian), (a, jacobian), (slack, matrix), guess)
    bent, met = np.abs(convex.kinks) < 1, convex.constraints > 0
    held = np.concatenate([jacobian[bent], matrix[met]])
    aim = np.concatenate([-a[bent], -slack[met]])
    below = hessian - 100 * held.T @ np.linalg.solve(held @ held.T, held)
    tilt = gradient + 100 * held.T @ np.linalg.solve(held @ held.T, aim)
    assert np.linalg.eigvalsh(below)[0] < 0
    step = step_on(tilt, below, (a, jacobian), (slack, matrix), multipliers(convex), 1e-12)
    assert step is not None
    np.testing.assert_allclose(step.move, convex.move, atol=1e-8)
    np.testing.assert_allclose(step.kinks, convex.kinks, atol=1e-7)
    np.testing.assert_allclose(step.residual, tilt + step.kinks @ jacobian - step.constraints @ matrix, atol=1e-12)


def test_a_wrong_active_set_gives_no_step():
    hessian, empty = np.eye(1), (np.zeros(0), np.zeros((0, 1)))
    # |d - 5| + d^2/2 is minimal at 1, below its kink: neither at it nor above it.
    kink = np.array([-5.0]), np.ones((1, 1))
    for weight in (0.5, 1.0):
        assert step_on(np.zeros(1), hessian, kink, empty, np.array([weight]), 1e-12) is None
    step = step_on(np.zeros(1), hessian, kink, empty, np.array([-1.0]), 1e-12)
    assert step is not None
    assert step.move == pytest.approx([1.0])
    assert step.decrease == pytest.approx(0.5)
    # (d - 3)^2/2 is minimal at 1 for d <= 1, at 3 for d <= 5.
    for bound, force, answer in ((1.0, 1.0, 1.0), (1.0, 0.0, None), (5.0, 1.0, None), (5.0, 0.0, 3.0)):
        rows = np.array([bound]), -np.ones((1, 1))
        step = step_on(np.array([-3.0]), hessian, empty, rows, np.array([force]), 1e-12)
        assert (step is None) == (answer is None)
        if step is not None:
            assert step.move == pytest.approx([answer])


def test_dependent_or_too_many_rows_give_no_step():
    rows, empty = np.array([[1.0, 0, 0], [0, 1, 0], [1, 1, 0]]), (np.zeros(0), np.zeros((0, 3)))
    assert step_on(np.ones(3), np.eye(3), empty, (np.zeros(3), rows), np.ones(3), 1e-12) is None
    many = np.vstack([rows, np.eye(3)])
    assert step_on(np.ones(3), np.eye(3), empty, (np.zeros(6), many), np.ones(6), 1e-12) is None
