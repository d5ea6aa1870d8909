"""Modified equations against published ones, principal roots, and runs in high precision."""

from fractions import Fraction
from math import factorial, prod

import mpmath
import numpy as np
import pytest
import sympy as sp

import numdiff as nd
from numdiff.methods import butcher
from numdiff.symbolic.polynomials import ZETA, Z, stability_polynomial

BETA = sp.Symbol("beta")
B = Fraction(4, 5)
X, Y = sp.symbols("x y")


def symmetry_of(tree):
    return prod(factorial(tree.count(b)) * symmetry_of(b) ** tree.count(b) for b in set(tree))


def differential_at(tree, field):
    """F(tree) of a polynomial field in x, y: m-th derivatives contracted with the branches, one after the other."""
    variables = (X, Y)[: len(field)]
    branches = [differential_at(branch, field) for branch in tree]

    def contracted(component, rest):
        if not rest:
            return component
        return sum(v * contracted(sp.diff(component, u), rest[1:]) for v, u in zip(rest[0], variables, strict=True))

    return [sp.expand(contracted(component, branches)) for component in field]


def modified_field(method, field, h):
    """The right side of the modified equation, truncated after h^{p+1}, as polynomials with the number h in them."""
    equation = nd.order.modified_equation(method)
    total = [sp.Integer(0)] * len(field)
    for tree, value in equation.coefficients:
        order = str(tree).count("(")
        scale = value / symmetry_of(tree) * sp.Rational(h) ** (order - 1)
        total = [a + scale * b for a, b in zip(total, differential_at(tree, field), strict=True)]
    return [sp.expand(x) for x in total]


def test_euler():
    # Hairer, Lubich, Wanner, Geometric Numerical Integration, IX.1: f - h/2 f'f + h^2 (f''(f, f)/12 + f'f'f/3)
    text = "x' = f - 1/2 h f'f + 1/12 h^2 f''(f, f) + 1/3 h^2 f'f'f + O(h^3)"
    assert str(nd.order.modified_equation(nd.DDIM())) == text


def test_euler_on_a_square():
    # the same book, example 1.1: x' = x^2 becomes x' = x^2 - h x^3 + 3/2 h^2 x^4
    assert modified_field(nd.DDIM(), [X**2], Fraction(1, 7)) == [X**2 - X**3 / 7 + 3 * X**4 / 98]


def test_terms():
    equation = nd.order.modified_equation(nd.DDIM())
    f, ff = (sp.Symbol(name) for name in ("f", "f'f"))
    assert str(equation.term(0)) == str(f)
    assert str(equation.term(1)) == str(-ff / 2)
    assert equation.order == 1
    assert sp.latex(equation.term(2)) == r"\frac{f''(f, f)}{12} + \frac{f'f'f}{3}"


@pytest.mark.parametrize("method", [nd.AdamsBashforth(k) for k in (1, 2, 3, 4)] + [nd.GHVB(2, BETA)], ids=str)
def test_leading_term_is_minus_the_leading_error(method):
    # to leading order, the samples solve x' = f - (local error)/h
    equation, error = nd.order.modified_equation(method), nd.order.leading_error(method)
    found = dict(equation.coefficients)
    assert all(sp.cancel(found[tree] + value) == 0 for tree, value in error.coefficients)


LINEAR = [nd.DDIM(), nd.Heun(), nd.Kutta3(), nd.RK4(), *(nd.AdamsBashforth(k) for k in (2, 3, 4))]
LINEAR += [nd.GHVB(k, BETA) for k in (1, 2)] + [nd.HeavyBall(nd.AdamsBashforth(k), beta=BETA) for k in (1, 2)]
LINEAR += [nd.Nesterov(nd.AdamsBashforth(2), beta=BETA), nd.HeavyBall(nd.AdamsBashforth(1), beta=2)]


@pytest.mark.parametrize("method", LINEAR, ids=str)
def test_linear_problems_see_the_principal_root(method):
    # f = lambda x: only tall trees act, and the modified lambda is log(zeta_1(h lambda))/h; so exp(sum a_n z^n) is a
    # root of the stability polynomial up to the first unknown power, z^{p+3}
    equation = nd.order.modified_equation(method)
    found, tall, exponent = dict(equation.coefficients), (), sp.Integer(0)
    for order in range(1, equation.order + 3):
        exponent += found.get(tall, 0) * Z**order
        tall = (tall,)
    count = equation.order + 3
    root = sum(truncated(exponent**k / factorial(k), count) for k in range(count))
    pi = stability_polynomial(method.steady())
    powers = [sp.Integer(1)]
    for _ in range(pi.degree(ZETA)):
        powers.append(truncated(powers[-1] * root, count))
    residual = truncated(sum(c * Z**j * powers[i] for (i, j), c in pi.as_dict().items()), count)
    assert all(sp.cancel(c) == 0 for c in sp.Poly(residual, Z).all_coeffs())


def truncated(expression, count):
    polynomial = sp.Poly(sp.expand(expression), Z)
    return sum((c * Z**k for (k,), c in polynomial.terms() if k < count), sp.Integer(0))


NONLINEAR = [nd.DDIM(), nd.Heun(), nd.Kutta3(), nd.AdamsBashforth(3), nd.GHVB(3, B)]
NONLINEAR += [nd.HeavyBall(nd.AdamsBashforth(2), beta=B), nd.Nesterov(nd.AdamsBashforth(1), beta=B)]
NONLINEAR += [m for m in nd.methods().values() if m.name in ("PEC1", "HB(PEC2, 4/5)")]


@pytest.mark.parametrize("field", [[X**2 / 2], [Y + X**2 / 4, -X + X * Y / 4]], ids=["square", "rotation"])
@pytest.mark.parametrize("method", NONLINEAR, ids=str)
def test_runs_solve_the_modified_equation_two_orders_better(method, field):
    errors = [run_against(method, field, n) for n in (32, 64)]
    p = nd.order.modified_equation(method).order
    plain, modified = (mpmath.log(a / b, 2) for a, b in zip(*errors, strict=True))
    # the next terms change a slope by about h C_{p+1}/C_p, and constants of memory are of the order of 1/beta^p
    assert abs(plain - p) < 0.3
    assert abs(modified - p - 2) < 0.4


def run_against(method, field, n):
    """Errors of n/2 steps of length 1/n against the plain and the modified equation, once transients are gone."""
    with mpmath.workdps(30):
        start, f = np.array([mpmath.mpf(1) / 3, mpmath.mpf(1) / 5][: len(field)]), evaluator(field, mpmath.mpf(1) / n)
        state = [start, *[f(start, None)] * (method.steady().registers - 1)]
        state = run(method, state, f, n)  # the parasitic roots are at most 1/5 + O(h): 32 steps leave nothing of them
        modified = evaluator(modified_field(method, field, Fraction(1, n)), mpmath.mpf(1) / 16)
        best = nd.RungeKutta(butcher.extrapolated(4))  # order 8
        end = run(method, state, f, n // 2)[0]
        references = [run(best, state[:1], g, 8)[0] for g in (evaluator(field, mpmath.mpf(1) / 16), modified)]
        return [max(abs(end - x)) for x in references]


def run(method, state, f, steps):
    tableau = method.steady().map(lambda c: mpmath.mpf(c.numerator) / c.denominator)
    for _ in range(steps):
        state = nd.step(tableau, state, f)
    return state


def evaluator(field, step):
    """The field times the step, for polynomials in one or two variables, in the working precision."""
    variables = (X, Y)[: len(field)]
    terms = [[(powers, step * int(c.p) / int(c.q)) for powers, c in sp.Poly(f, *variables).terms()] for f in field]

    def evaluate(x, level):
        table = [[v**k for k in range(8)] for v in x]
        return np.array([sum(c * prod(table[i][k] for i, k in enumerate(powers)) for powers, c in f) for f in terms])

    return evaluate
