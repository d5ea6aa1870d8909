"""The search, on problems with known minimizers: kinks, active gaps, curved valleys, degenerate windows, bad input."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import lsq_linear

from numdiff.optimize.problem import Parts
from numdiff.optimize.search import certify, minimize
from numdiff.optimize.search.project import project
from numdiff.optimize.window import Window

INF = np.inf


class Problem:
    """A function z -> Parts over a window."""

    def __init__(self, window, evaluate):
        self.window, self.evaluate = window, evaluate


def open_window(steps, gap=0.0):
    return Window(-INF, INF, steps, np.full(steps, gap))


def squares(at, window, matrix=None):
    """|R (z - at)|^2."""
    root = np.eye(window.size) if matrix is None else matrix
    return Problem(window, lambda z: Parts(np.zeros(len(z)), residuals=root @ (z - at), residual_jacobian=root))


def quadratic(at, window, hessian):
    """The same kind of function as a smooth value, plus 1."""
    return Problem(window, lambda z: Parts(hessian @ (z - at), value=1 + 0.5 * (z - at) @ hessian @ (z - at)))


def rosenbrock(window):
    """Rosenbrock's function of consecutive pairs as residuals; 0 at ones."""

    def evaluate(z):
        n = len(z)
        r = np.concatenate([10 * (z[1:] - z[:-1] ** 2), 1 - z[:-1]])
        jacobian = np.zeros((2 * n - 2, n))
        rows = np.arange(n - 1)
        jacobian[rows, rows + 1], jacobian[rows, rows] = 10, -20 * z[:-1]
        jacobian[n - 1 + rows, rows] = -1
        return Parts(np.zeros(n), residuals=r, residual_jacobian=jacobian)

    return Problem(window, evaluate)


def median(points, window):
    """sum_k |z_0 - points_k| + |z_1 - 2 - points_k|: minimal at the medians."""

    def evaluate(z):
        a = np.concatenate([z[0] - points, z[1] - 2 - points])
        jacobian = np.zeros((2 * len(points), 2))
        jacobian[: len(points), 0] = jacobian[len(points) :, 1] = 1
        return Parts(np.zeros(2), absolute=a, absolute_jacobian=jacobian)

    return Problem(window, evaluate)


def test_quadratic_of_known_multipliers():
    # (z - at)^T H (z - at) / 2 with H = tridiag(-1, 4, -1) and gaps of 1: the answer is that of the normal equations
    # on the active gaps, solved here by SciPy as a bounded least squares in (first node, slacks).
    hessian = 4 * np.eye(6) - np.eye(6, k=1) - np.eye(6, k=-1)
    at = np.array([0, 0.3, 0.1, 4, 4.2, 9])
    window = open_window(7, 1.0)
    outcome = minimize(quadratic(at, window, hessian), [np.arange(6.0) * 2])
    sums = np.tril(np.ones((6, 6)))
    root = np.linalg.cholesky(hessian).T
    base = np.concatenate([[0], np.cumsum(np.ones(5))])
    bounds = (np.array([-INF] + [0] * 5), np.full(6, INF))
    reference = lsq_linear(root @ sums, root @ (at - base), bounds, method="bvls", tol=1e-15).x
    assert outcome.certified
    assert outcome.status == "certified"
    np.testing.assert_allclose(outcome.z, base + sums @ reference, atol=1e-8)
    pull = hessian @ (outcome.z - at)
    np.testing.assert_allclose(window.matrix.T @ outcome.certificate.multipliers, pull, atol=1e-7)


@pytest.mark.parametrize("method", ["auto", "newton", "trf", "slsqp"])
def test_sum_of_squares_with_an_active_gap(method):
    outcome = minimize(squares([0, 0, 3], open_window(4, 1.0)), [np.array([-3.0, 0, 5])], method=method)
    np.testing.assert_allclose(outcome.z, [-0.5, 0.5, 3], atol=1e-6)
    assert outcome.objective == pytest.approx(0.5, abs=1e-7)


@pytest.mark.parametrize(("low", "high"), [(-INF, INF), (-3, INF), (-INF, 14), (-3, 14)])
@pytest.mark.parametrize("method", ["auto", "trf"])
def test_ends_finite_or_not(low, high, method):
    window = Window(low, high, 5, np.full(5, 0.5))
    outcome = minimize(squares([0, 3, 1, 7], window), [np.array([-2.0, 1, 4, 9])], method=method)
    np.testing.assert_allclose(outcome.z, [0, 1.75, 2.25, 7], atol=1e-6)
    assert outcome.certified


def test_rosenbrock_with_and_without_gaps():
    box = Window(-INF, INF, 2, np.zeros(2), ("a", "b", "c"), (-5.0,) * 3, (5.0,) * 3)
    free = minimize(rosenbrock(box), [np.array([-1.2, 1, -1.2, 1])])
    assert free.certified
    np.testing.assert_allclose(free.z, 1, atol=1e-6)
    window = open_window(5, 0.2)
    held = [minimize(rosenbrock(window), [np.array(s)]) for s in ([0.9, 1.2, 1.6, 2.6], [1.0, 1.4, 1.9, 3.7])]
    assert all(outcome.certified for outcome in held)
    np.testing.assert_allclose(held[0].z, held[1].z, atol=1e-6)


def test_medians_are_found_exactly():
    points = np.array([-1.0, -0.3, 0.2, 0.7, 1.9])
    outcome = minimize(median(points, open_window(3)), [np.array([-5.0, 9.0])])
    assert outcome.certified
    np.testing.assert_allclose(outcome.z, [0.2, 2.2], atol=1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_linear_programs_with_kinks(seed):
    # min c^T z + sum |A z - b| over random A: its minimum is a vertex, found by SciPy as a linear program.
    from scipy.optimize import linprog

    rng = np.random.default_rng(seed)
    n, q = 5, 12
    a, b, c = rng.normal(size=(q, n)), rng.normal(size=q), 0.3 * rng.normal(size=n)
    window = Window(-8, 8, n + 1, np.full(n + 1, 0.1))
    problem = Problem(window, lambda z: Parts(c, value=c @ z + 9, absolute=a @ z - b, absolute_jacobian=a))
    one = np.eye(q)
    rows = np.vstack(
        [np.hstack([a, -one]), np.hstack([-a, -one]), np.hstack([-window.matrix.toarray(), np.zeros((n + 1, q))])]
    )
    limit = np.concatenate([b, -b, -window.bounds])
    answer = linprog(np.concatenate([c, np.ones(q)]), A_ub=rows, b_ub=limit, bounds=(None, None))
    outcome = minimize(problem, [np.linspace(-7, 7, n)])
    assert outcome.certified
    assert outcome.objective == pytest.approx(answer.fun + 9, rel=1e-9)


def test_curved_kinks_agree_with_the_epigraph_form():
    # |x^2 + y - 2| + |y - x| + (x - 3)^2 / 10 + e^{-y}: both kinks meet at (1, 1).
    def evaluate(z):
        x, y = z
        return Parts(
            np.array([(x - 3) / 5, -np.exp(-y)]),
            value=(x - 3) ** 2 / 10 + np.exp(-y),
            absolute=np.array([x**2 + y - 2, y - x]),
            absolute_jacobian=np.array([[2 * x, 1], [-1, 1]]),
        )

    problem = Problem(open_window(3), evaluate)
    found = [minimize(problem, [np.array([0.3, 2.0])], method=m) for m in ("newton", "trust-constr", "slsqp")]
    for outcome in found:
        np.testing.assert_allclose(outcome.z, [1, 1], atol=1e-6)
    assert found[0].certified


def test_parameters_in_their_box():
    window = Window(0, 4, 3, np.full(3, 0.1), ("beta",), (0.2,), (1.0,))
    outcome = minimize(squares([1, 2, 3], window), [np.array([0.5, 3.5, 0.4])])
    assert outcome.certified
    np.testing.assert_allclose(outcome.z, [1, 2, 1], atol=1e-9)


def test_one_variable_and_no_constraints():
    window = open_window(2)
    assert window.matrix.shape == (0, 1)
    outcome = minimize(squares([0.7], window), [np.array([5.0])])
    assert outcome.certified
    assert outcome.z == pytest.approx([0.7], abs=1e-8)
    kink = Problem(window, lambda z: Parts(np.array([0.4]), 0.4 * z[0], absolute=z - 2, absolute_jacobian=np.eye(1)))
    outcome = minimize(kink, [np.array([-5.0])])
    assert outcome.certified
    assert outcome.z == pytest.approx([2], abs=1e-9)


def test_dense_values_whose_pattern_the_kinks_do_not_show():
    # One term touches one variable each, the value couples all of them: columns must not be measured together.
    rng = np.random.default_rng(3)
    root = rng.normal(size=(8, 8))
    hessian, at = root @ root.T + np.eye(8), np.arange(8.0) * 2
    kinks = at + 0.3 * rng.normal(size=8)

    def evaluate(z):
        return Parts(hessian @ (z - at), 0.5 * (z - at) @ hessian @ (z - at), absolute=z - kinks,
                     absolute_jacobian=np.eye(8))  # fmt: skip

    outcome = minimize(Problem(open_window(9), evaluate), [at + 0.5])
    assert outcome.certified
    assert outcome.evaluations < 60


def test_start_is_moved_into_the_window():
    window = Window(0, 10, 5, np.ones(5))
    point = project(window, np.array([3.0, 2.0, 9.9, 5.0]))
    assert np.min(window.slack(point)) >= -1e-12
    inside = np.array([2.0, 4.0, 6.0, 8.0])
    assert np.array_equal(project(window, inside), inside)
    outcome = minimize(squares(inside, window), [np.array([3.0, 2.0, 9.9, 5.0])])
    assert outcome.certified
    np.testing.assert_allclose(outcome.z, inside, atol=1e-8)
    np.testing.assert_allclose(outcome.starts[0].start, point)


def double_well(window):
    """(x^2 - 1)^2 + x / 10 + 1, wells near -1 and 1."""
    return Problem(window, lambda z: Parts(4 * z * (z**2 - 1) + 0.1, float(((z**2 - 1) ** 2 + z / 10 + 1)[0])))


def test_the_lowest_of_several_starts_in_any_order():
    problem = double_well(open_window(2))
    starts = [np.array([1.3]), np.array([-0.8]), np.array([0.9])]
    for order in ([0, 1, 2], [2, 0, 1], [1, 2, 0]):
        outcome = minimize(problem, [starts[k] for k in order])
        assert outcome.certified
        assert outcome.z[0] == pytest.approx(-1.0120, abs=1e-3)
        assert len(outcome.starts) == 3
        assert all(s.certified for s in outcome.starts)
        assert outcome.objective == min(s.objective for s in outcome.starts)


def test_ties_go_to_the_smaller_point():
    problem = Problem(open_window(2), lambda z: Parts(4 * z * (z**2 - 1), float(((z**2 - 1) ** 2 + 1)[0])))
    for starts in ([[1.2], [-1.1]], [[-0.7], [0.7]]):
        assert minimize(problem, [np.array(s) for s in starts]).z[0] == pytest.approx(-1, abs=1e-6)


def test_what_the_outcome_reports():
    seen = []
    outcome = minimize(rosenbrock(open_window(4)), [np.array([0.1, 0.4, 0.6])], callback=seen.append)
    assert outcome.trace[0] == outcome.initial_objective
    assert len(outcome.trace) == len(seen)
    assert np.all(np.diff(outcome.trace) <= 1e-12)
    assert outcome.objective == pytest.approx(outcome.trace[-1], abs=1e-15)
    assert outcome.evaluations >= len(outcome.trace)
    assert outcome.seconds > 0
    assert seen[-1].best == outcome.trace.min()
    assert seen[-1].starts == 1
    again = certify(rosenbrock(open_window(4)), outcome.z)
    assert again.optimality == outcome.optimality


def test_values_that_are_not_numbers_shorten_the_step():
    # -log(1 - z) + (z - 3)^2 has no value from z = 1 on; a full step lands there.
    def evaluate(z):
        return Parts(1 / (1 - z) + 2 * (z - 3), float((-np.log(1 - z) + (z - 3) ** 2)[0]))

    def refusing(z):
        if z[0] >= 1:
            raise ValueError("outside")
        return evaluate(z)

    for function in (evaluate, refusing):
        outcome = minimize(Problem(open_window(2), function), [np.array([-4.0])])
        gradient = 1 / (1 - outcome.z[0]) + 2 * (outcome.z[0] - 3)
        assert outcome.certified
        assert outcome.z[0] < 1
        assert abs(gradient) < 1e-6


def test_time_limit_returns_the_best_so_far():
    def slow(z):
        waited = 0.0
        import time

        began = time.perf_counter()
        while waited < 0.02:
            waited = time.perf_counter() - began
        return rosenbrock(open_window(6)).evaluate(z)

    starts = [np.array([-1.0, -0.5, 0, 0.5, 1]), np.arange(5.0)]
    outcome = minimize(Problem(open_window(6), slow), starts, time_limit=0.1)
    assert outcome.status == "time limit"
    assert not outcome.certified
    assert "NOT certified" in outcome.message
    assert outcome.objective == outcome.trace.min() <= outcome.initial_objective
    assert len(outcome.starts) < 2 or outcome.starts[1].trace.size


def test_uncertified_results_say_so():
    # The gradient is wrong on purpose, so that no point is stationary and F never falls as promised.
    problem = Problem(open_window(2), lambda z: Parts(np.array([1.0]), float(1 + z[0] ** 2)))
    outcome = minimize(problem, [np.array([0.5])])
    assert outcome.status == "not certified"
    assert not outcome.certified
    assert outcome.message.startswith("NOT")


def test_what_a_callback_raises_passes_through():
    def stop(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        minimize(rosenbrock(open_window(4)), [np.array([0.1, 0.4, 0.6])], callback=stop)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"starts": []}, "at least one"),
        ({"starts": [np.zeros(2)]}, r"starts\[0\] must have shape \(3,\)"),
        ({"starts": [np.array([0.0, np.nan, 1])]}, r"starts\[0\] must be finite"),
        ({"method": "magic"}, "method must be one of"),
        ({"tolerance": 0.0}, "tolerance must be positive"),
        ({"time_limit": -1.0}, "time_limit must be a positive"),
    ],
)
def test_bad_input(change, message):
    arguments = {"starts": [np.array([0.0, 1, 2])]} | change
    with pytest.raises(ValueError, match=message):
        minimize(squares([0, 1, 2], open_window(4)), **arguments)


def test_a_start_without_a_value_is_named():
    def refuse(z):
        raise ValueError("alpha is negative")

    def nothing(z):
        return Parts(np.full(1, np.nan), value=1.0)

    with pytest.raises(ValueError, match=r"starts\[0\].*alpha is negative"):
        minimize(Problem(open_window(2), refuse), [np.zeros(1)])
    with pytest.raises(ValueError, match=r"starts\[0\].*not finite"):
        minimize(Problem(open_window(2), nothing), [np.zeros(1)])


def test_trf_takes_squares_only():
    with pytest.raises(ValueError, match="sum of squares"):
        minimize(double_well(open_window(2)), [np.ones(1)], method="trf")
