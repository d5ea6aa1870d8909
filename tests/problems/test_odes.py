"""The closed solutions solve their equations, in every number type that an equation claims to take."""

import mpmath
import numpy as np
import pytest
import sympy
import torch
from scipy.integrate import solve_ivp

from numdiff.problems import ODE, LinearSystem, momentum_toy, odes

PROBLEMS = {**odes(), "momentum-toy": momentum_toy()}
NONLINEAR = list(odes().values())
every_problem = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS.keys())
every_nonlinear = pytest.mark.parametrize("problem", NONLINEAR, ids=[p.name for p in NONLINEAR])


def symbols(problem):
    return sympy.Symbol("t", real=True), np.array(sympy.symbols(f"y:{problem.dimension}", real=True), dtype=object)


@every_problem
def test_the_symbolic_derivative_of_the_solution_is_the_right_side(problem):
    t, _ = symbols(problem)
    solution = problem.exact(t)
    defect = [sympy.diff(y, t) - f for y, f in zip(solution, problem.fun(t, solution), strict=True)]
    start, end = map(sympy.Rational, problem.t_span)
    for j in range(6):
        at = start + (end - start) * sympy.Rational(j, 5)
        # 60 digits in; the largest terms are below 1e3, so 50 digits are left if the defect is zero.
        assert all(abs(sympy.N(d.subs(t, at), 60)) < 1e-50 for d in defect)


@every_problem
def test_dop853_arrives_at_the_solution(problem):
    times = np.linspace(*problem.t_span, 9)
    run = solve_ivp(problem.fun, problem.t_span, problem.y0, "DOP853", times, rtol=1e-12, atol=1e-13)
    # Local errors of 1e-12 over a few hundred steps, none of which these problems magnify more than tenfold.
    np.testing.assert_allclose(run.y, problem.exact(times), rtol=0, atol=1e-9)
    np.testing.assert_allclose(problem.exact(problem.t_span[0]), problem.y0, rtol=1e-15, atol=1e-15)


@every_nonlinear
def test_each_equation_is_nonlinear_and_depends_on_time(problem):
    t, y = symbols(problem)
    f = problem.fun(t, y)
    assert any(sympy.diff(f_i, a, b) != 0 for f_i in f for a in y for b in y)
    assert any(sympy.simplify(sympy.diff(f_i, t)) != 0 for f_i in f)


@every_nonlinear
def test_tags_say_what_the_jacobian_does(problem):
    t, y = symbols(problem)
    jacobian = sympy.lambdify((t, *y), sympy.Matrix(list(problem.fun(t, y))).jacobian(list(y)))
    span = problem.t_span[1] - problem.t_span[0]
    times = np.linspace(*problem.t_span, 40)
    spectra = [np.linalg.eigvals(np.array(jacobian(s, *problem.exact(s)), dtype=float)) for s in times]
    # "stiff": more than 30 decay times fit in the interval; "oscillatory": more than 2 radians of rotation do.
    assert (min(z.real.min() for z in spectra) * span < -30) == ("stiff" in problem.tags)
    assert (np.mean([np.abs(z.imag).max() for z in spectra]) * span > 2) == ("oscillatory" in problem.tags)
    assert ("scalar" in problem.tags) == (problem.dimension == 1)


@every_problem
def test_number_types_agree(problem):
    t = 0.4375
    y = problem.exact(t) * 1.125
    with mpmath.workdps(40):
        truth = problem.fun(mpmath.mpf(t), np.array([mpmath.mpf(v) for v in y], dtype=object))
        exact = problem.exact(mpmath.mpf(t))
    truth, exact = np.array(truth, dtype=float), np.array(exact, dtype=float)
    scale = np.abs(truth).max()
    # A dozen operations on terms up to 30 times the result (the stiff ones subtract).
    np.testing.assert_allclose(problem.fun(t, y), truth, rtol=0, atol=1e-13 * scale)
    np.testing.assert_allclose(problem.fun(t, torch.from_numpy(y)).numpy(), truth, rtol=0, atol=1e-13 * scale)
    np.testing.assert_allclose(problem.exact(t), exact, rtol=0, atol=1e-14)
    times = torch.tensor([0.0, t], dtype=torch.float64)
    assert problem.exact(times).shape == (problem.dimension, 2)
    np.testing.assert_allclose(problem.exact(times)[:, 1].numpy(), exact, rtol=0, atol=1e-14)


@every_problem
def test_precision_and_trailing_axes_follow_the_state(problem):
    y = np.stack([problem.y0, 1.5 * problem.y0], axis=1)
    columns = [problem.fun(0.5, column) for column in y.T]
    np.testing.assert_allclose(problem.fun(0.5, y), np.stack(columns, axis=1), rtol=1e-15)
    assert problem.fun(0.5, y.astype(np.float32)).dtype == np.float32
    for dtype in (torch.float32, torch.bfloat16):
        assert problem.fun(0.5, torch.from_numpy(problem.y0).to(dtype)).dtype == dtype


@pytest.mark.parametrize("problem", [p for p in NONLINEAR if p.dimension == 1], ids=lambda p: p.name)
def test_scalar_equations_take_bare_numbers(problem):
    y = float(problem.y0[0])
    assert problem.fun(0.5, y) == problem.fun(0.5, np.array([y]))[0]
    assert problem.fun(0.5, np.array(y)).shape == ()


def test_linear_system_matches_forty_digits_and_integrates_backwards():
    system = LinearSystem([[-1.0, 2.0, 0.0], [0.5, -3.0, 1.0], [0.0, 1.0, -0.25]], [1.0, -2.0, 0.5], (2.0, -1.0))
    with mpmath.workdps(40):
        truth = np.array(system.exact(mpmath.mpf(-1)), dtype=float)
    # The exponential has norm 1e5: the scaled factor's rounding, 1e-16, doubles at worst in each of a dozen squarings.
    np.testing.assert_allclose(system.exact(-1.0), truth, rtol=1e-12)
    np.testing.assert_array_equal(system.exact(2.0), system.y0)
    assert system.exact(np.linspace(2, -1, 5)).shape == (3, 5)


def test_momentum_toy_separates_euler_from_adams_bashforth_two():
    """h lambda = -27/26 lies outside (-1, 0), the interval of AB2, and inside (-2, 0), Euler's."""
    toy, h = momentum_toy(), 3 / 26
    euler, adams = [toy.y0], [toy.y0, toy.y0 + h * toy.fun(0, toy.y0)]
    for _ in range(26):
        euler.append(euler[-1] + h * toy.fun(0, euler[-1]))
        adams.append(adams[-1] + h * (1.5 * toy.fun(0, adams[-1]) - 0.5 * toy.fun(0, adams[-2])))
    # (1, 1) is the left eigenvector of -9, so the sum of the components is the fast mode, a scalar recurrence.
    euler, adams = np.abs(np.sum(euler, axis=1)), np.abs(np.sum(adams, axis=1))
    roots = np.abs(np.roots([1, -1 + 1.5 * 27 / 26, -0.5 * 27 / 26]))
    assert roots.max() > 1
    # What is left of the other root after 24 steps, (0.494/1.051)^24 = 1e-8, is far below the tolerance.
    np.testing.assert_allclose(adams[26] / adams[25], roots.max(), rtol=1e-6)
    np.testing.assert_allclose(euler[5] / euler[4], 1 / 26, rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ODE("a", abs, abs, (0.0, 0.0), [1.0]), "t_span must be two distinct finite times"),
        (lambda: ODE("a", abs, abs, (0.0, np.nan), [1.0]), "t_span must be two distinct finite times"),
        (lambda: ODE("a", abs, abs, (0.0, 1.0), 1.0), r"write a scalar as \(y0,\)"),
        (lambda: ODE("a", abs, abs, (0.0, 1.0), [np.inf]), "y0 must be a finite vector"),
        (lambda: LinearSystem([[1.0, 2.0]], [1.0], (0, 1)), "matrix must be a finite square matrix"),
        (lambda: LinearSystem([[1.0]], [1.0, 2.0], (0, 1)), "y0 has 2 components"),
        (lambda: odes()["rotation"].fun(0.0, np.zeros(3)), "y has 3 components"),
    ],
)
def test_bad_input_names_the_argument(make, message):
    with pytest.raises(ValueError, match=message):
        make()
