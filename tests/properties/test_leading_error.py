"""Order conditions and leading errors against error constants, nodepy and steps in exact arithmetic."""

from fractions import Fraction
from math import factorial, prod

import pytest
import sympy as sp

import numdiff as nd
from numdiff.methods import butcher
from numdiff.symbolic.trees import density

BETA = sp.Symbol("beta")
MULTISTEP = [nd.AdamsBashforth(k) for k in range(1, 6)]
MULTISTEP += [nd.GHVB(k, BETA) for k in range(1, 5)]
MULTISTEP += [make(nd.AdamsBashforth(k), beta=BETA) for make in (nd.HeavyBall, nd.Nesterov) for k in (1, 2, 3)]
RUNGE_KUTTA = [nd.DDIM(), nd.Heun(), nd.Midpoint(), nd.Ralston(), nd.Kutta3(), nd.RK4()]
CLASSICAL = {name: method for name, method in nd.methods().items() if not method.kernel}


@pytest.mark.parametrize("method", MULTISTEP, ids=str)
def test_multistep_errors_are_the_error_constant(method):
    # C x^(q) = C sum q!/(sigma gamma) F(t), and leading_error gives e(t)/sigma, q = p + 1; the sign agrees too
    error, constant = nd.order.leading_error(method), nd.order.error_constant(method)
    assert error.order == nd.order.certified(method)
    for tree, value in error.coefficients:
        assert sp.cancel(value * density(tree) - constant * factorial(error.order + 1)) == 0


@pytest.mark.parametrize("name", CLASSICAL)
def test_order_of_every_classical_method(name):
    method = CLASSICAL[name]
    assert nd.order.leading_error(method).order == nd.order.certified(method)


@pytest.mark.parametrize("method", RUNGE_KUTTA, ids=str)
def test_runge_kutta_error_of_one_step(method):
    # x' = x^2 + 1, x(0) = 1/3: (exact - numerical)/h^{p+1} -> the sum, with x(h) as a Taylor series
    x, h = sp.symbols("x h")
    f, start = x**2 + 1, sp.Rational(1, 3)
    error = nd.order.leading_error(method)
    expected = sum(value / symmetry_of(tree) * value_of(tree, f, x) for tree, value in error.coefficients)
    derivative, exact = x, start
    for q in range(1, error.order + 2):
        derivative = sp.expand(sp.diff(derivative, x) * f)
        exact += derivative.subs(x, start) * h**q / factorial(q)
    numerical = nd.step(method.steady(), [start], lambda Y, level: sp.expand(h * (Y**2 + 1)))[0]
    difference = sp.expand(exact - numerical)
    assert all(difference.coeff(h, q) == 0 for q in range(error.order + 1))
    assert difference.coeff(h, error.order + 1) == expected.subs(x, start)


def symmetry_of(tree):
    return prod(factorial(tree.count(b)) * symmetry_of(b) ** tree.count(b) for b in set(tree))


def value_of(tree, f, x):
    return sp.diff(f, x, len(tree)) * prod(value_of(branch, f, x) for branch in tree)


def test_conditions_of_heun():
    found = {c.name: c for c in nd.order.conditions(nd.Heun(), 3)}
    assert [c.satisfied for c in found.values()] == [True, True, False, False]
    bushy = found["[tau, tau]"]
    assert (bushy.order, bushy.density, bushy.symmetry) == (3, 3, 2)
    assert (bushy.value, bushy.target, bushy.residual) == tuple(map(sp.Rational, ("1/2", "1/3", "-1/6")))
    assert str(bushy.differential) == "f''(f, f)"


@pytest.mark.parametrize(("order", "count"), [(1, 1), (4, 8), (6, 37), (8, 200)])
def test_number_of_conditions(order, count):
    assert len(nd.order.conditions(nd.RK4(), order)) == count


@pytest.mark.parametrize("m", [1, 2, 3])
def test_extrapolated_midpoint_satisfies_all_up_to_its_order(m):
    found = nd.order.conditions(nd.RungeKutta(butcher.extrapolated(m)), 2 * m + 1)
    assert [c.satisfied for c in found if c.order <= 2 * m] == [True] * sum(c.order <= 2 * m for c in found)
    assert not all(c.satisfied for c in found)


def test_conditions_with_memory_and_a_symbol():
    found = nd.order.conditions(nd.GHVB(4, BETA), 6)
    assert all(c.satisfied == (c.order <= 4) for c in found)
    tuned = [c for c in nd.order.conditions(nd.HeavyBall(nd.AdamsBashforth(1), beta=BETA), 2) if not c.satisfied]
    assert [sp.cancel(c.residual - (2 - BETA) / (2 * BETA)) for c in tuned] == [0]  # leapfrog at beta = 2


def test_two_ways_to_write_euler():
    # the pole of heavy ball at beta = 2/3 cancels the zero of AB2: the same map, hence the same series
    heavy = nd.HeavyBall(nd.AdamsBashforth(2), beta=Fraction(2, 3))
    assert nd.order.leading_error(heavy) == nd.order.leading_error(nd.DDIM())
    assert nd.order.modified_equation(heavy) == nd.order.modified_equation(nd.DDIM())


def test_text():
    assert str(nd.order.leading_error(nd.DDIM())) == "1/2 h^2 f'f + O(h^3)"
    assert str(nd.order.leading_error(nd.Heun())) == "-1/12 h^3 f''(f, f) + 1/6 h^3 f'f'f + O(h^4)"
    assert str(nd.order.leading_error(nd.GHVB(1, BETA))) == "(2 - beta)/(2*beta) h^2 f'f + O(h^3)"
    assert sp.latex(nd.order.leading_error(nd.DDIM()).expression) == "\\frac{f'f h^{2}}{2}"


def test_ralston_leaves_no_error_on_quadratures():
    # its abscissa 2/3 makes sum b c^2 = 1/3: order 3 for x' = f(t)
    error = dict(nd.order.leading_error(nd.Ralston()).coefficients)
    assert error[(), ()] == 0
    assert error[((),),] == sp.Rational(1, 6)


def test_refusals():
    with pytest.raises(ValueError, match="order must be between 1 and 8"):
        nd.order.conditions(nd.RK4(), 9)
    with pytest.raises(TypeError, match="order must be an int"):
        nd.order.conditions(nd.RK4(), 4.0)
    with pytest.raises(ValueError, match="known up to order 8"):
        nd.order.leading_error(nd.AdamsBashforth(8))
    with pytest.raises(ValueError, match="known up to order 8"):
        nd.order.modified_equation(nd.AdamsBashforth(7))
    with pytest.raises(ValueError, match="exponential method"):
        nd.order.leading_error(nd.DPMSolverPP(2))
    with pytest.raises(ValueError, match="floating-point"):
        nd.order.leading_error(nd.AdamsBashforth(2).steady().to_float())
    with pytest.raises(TypeError, match="must be a method such as"):
        nd.order.leading_error("AB2")
    with pytest.raises(ValueError, match="leading_error"):
        nd.order.error_constant(nd.RK4())
    with pytest.raises(ValueError, match="not consistent"):
        nd.order.modified_equation(nd.Tableau(A=[(0,)], U=[(1,)], B=[(2,)], V=[(1,)]))
