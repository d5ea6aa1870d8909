"""Formula (*) is the integral it claims to be, and the velocity filter the velocity recursion, in any number type."""

import math
from fractions import Fraction
from math import comb

import mpmath
import pytest
import sympy as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from numdiff.testing import assert_weights_integrate, steps
from numdiff.weights import (
    MAX_ORDER,
    adams,
    exact,
    filtered,
    interpolatory,
    lagrange,
    moments,
    observe,
    recentre,
    rescale,
    steady_filter,
    tidy,
)

EPS = 2.0**-52
rationals = st.fractions(Fraction(1, 2), 2, max_denominator=12)


def nodes_behind(h, steps):
    """Nodes 0, -d_1, -d_1-d_2, ... for steps that go back from a present step of length h."""
    nodes = [0 * h]
    for d in steps:
        nodes.append(nodes[-1] - h * d)
    return nodes


def integral(c, h, f):
    """int_0^h e^{c(h-u)} f(u) du in high precision."""
    return mpmath.quad(lambda u: mpmath.exp(c * (h - u)) * f(u), [0, h])


def integral_of_product(c, h, roots):
    """int_0^h e^{c(h-u)} prod (u - u_i) du from Kummer's function, which phi has no part in."""
    row = [mpmath.mpf(1)]
    for root in roots:
        row = [low - root * high for low, high in zip([0, *row], [*row, 0], strict=True)]
    return sum(a * h ** (m + 1) / (m + 1) * mpmath.hyp1f1(1, m + 2, c * h) for m, a in enumerate(row))


@settings(max_examples=25)
@given(steps(1, MAX_ORDER), st.floats(0.01, 3.0), st.sampled_from([-1, 1]), st.sampled_from([-1, 0, 1, -2, 0.5]))
def test_weights_are_the_integrals_of_the_lagrange_basis(lengths, length, sign, c):
    h, k = sign * length, len(lengths)
    nodes = nodes_behind(h, lengths[1:])
    weights = adams(nodes, h, c)
    assert_weights_integrate(weights, nodes, h, c)
    with mpmath.workdps(40):
        u = [mpmath.mpf(x) for x in nodes]
        for j, weight in enumerate(weights):
            others = [x for i, x in enumerate(u) if i != j]
            gaps = mpmath.fprod(u[j] - x for x in others)
            truth = integral_of_product(c, mpmath.mpf(h), others) / gaps
            # Summed in powers of u, the weight suffers rounding relative to the sum of the absolute terms, which is the
            # integral of prod (|t| + |u_i|)/|u_j - u_i|; about 3k operations touch each term, and phi is within 8 ulp.
            size = integral_of_product(c * sign, mpmath.mpf(length), [-abs(x) for x in others]) / abs(gaps)
            assert abs(weight - truth) <= (3 * k + 8) * EPS * size


@settings(max_examples=30)
@given(rationals, steps(1, MAX_ORDER, exact=True))
def test_rational_weights_integrate_polynomials_exactly(h, lengths):
    nodes = nodes_behind(h, lengths[1:])
    weights = adams(nodes, h)
    assert all(isinstance(w, Fraction) for w in weights)
    assert_weights_integrate(weights, nodes, h)


def test_equal_steps_give_the_classical_adams_weights_of_every_order():
    # The gamma_j are the coefficients of -t/((1-t) log(1-t)), that is, of 1/q with q = (1-t) sum_j t^j/(j+1).
    q = [Fraction(1)] + [Fraction(1, j + 1) - Fraction(1, j) for j in range(1, MAX_ORDER)]
    gamma = [Fraction(1)]
    for n in range(1, MAX_ORDER):
        gamma.append(-sum(q[j] * gamma[n - j] for j in range(1, n + 1)))
    for k in range(1, MAX_ORDER + 1):  # nabla^j f_n = sum_i (-1)^i binom(j, i) f_{n-i}
        classical = [sum(gamma[j] * (-1) ** i * comb(j, i) for j in range(i, k)) for i in range(k)]
        assert adams([-i for i in range(k)], 1) == classical


@pytest.mark.parametrize("c", [-1, 0, 1])
def test_symbolic_weights_are_the_integrals(c):
    h, r, u = sp.symbols("h r u", positive=True)
    nodes = [sp.Integer(0), -h / r]
    for j, weight in enumerate(adams(nodes, h, c)):
        basis = sp.prod((u - nodes[i]) / (nodes[j] - nodes[i]) for i in range(2) if i != j)
        truth = sp.integrate(sp.exp(c * (h - u)) * basis, (u, 0, h))
        at = {h: sp.Rational(3, 7), r: sp.Rational(5, 3)}
        assert abs(sp.N((weight - truth).subs(at), 40)) < 1e-38  # 40 digits, two lost in the sum


def test_moments_are_those_of_the_kernel_in_units_of_the_step():
    with mpmath.workdps(40):
        for c in (-1, 0, 1, -2, 0.5):
            for h in (-2.5, -1e-6, 1e-9, 0.3, 4.0):
                found = moments(h, c, MAX_ORDER)
                for m, value in enumerate(found):
                    truth = integral(c, mpmath.mpf(h), lambda u, m=m, h=h: (u / h) ** m)
                    assert abs(value - truth) <= 12 * EPS * abs(truth)  # phi within 8 ulp, m! exact, 2 products
    assert moments(Fraction(2, 3), 0, 4) == [Fraction(2, 3) / (m + 1) for m in range(4)]


def test_weights_carry_gradients_with_respect_to_step_and_nodes():
    def value(h, d):
        return sum(w * s for w, s in zip(adams([0.0 * h, -d, -2.5 * d], h, -1), (1.0, -2.0, 3.0), strict=True))

    h, d = (torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (0.3, 0.2))
    assert torch.autograd.gradcheck(value, (h, d))  # torch's own finite differences and tolerance, in float64


# --- the velocity filter ----------------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(
    st.integers(1, 5),
    st.fractions(Fraction(1, 5), 1, max_denominator=9),
    steps(2, 7, exact=True),
)
def test_the_filter_sees_what_the_velocity_recursion_makes_of_monomials(count, beta, lengths):
    s = [sum(lengths[:n], Fraction(0)) for n in range(len(lengths) + 1)]
    M = [exact(1)] + [exact(0)] * (count - 1)
    for n in range(1, len(s)):
        M = observe(recentre(M, s[n] - s[n - 1]), beta)
        for m in range(count):
            v = (s[0] - s[n]) ** m  # v_1 = f_0, monomials centred on the present node
            for i in range(1, n + 1):
                v = (1 - beta) * v + beta * (s[i] - s[n]) ** m
            assert M[m] == v


@settings(max_examples=30)
@given(
    st.integers(2, 6),
    st.fractions(Fraction(1, 5), 1, max_denominator=9),
    steps(7, 9, exact=True),
)
def test_filtered_weights_solve_the_system_of_the_velocities(k, beta, lengths):
    """sum_i w_i v_{n+1-i} integrates u^m, with the velocities from their recursion and any moments of the kernel."""
    s = [sum(lengths[:n], Fraction(0)) for n in range(len(lengths) + 1)]
    s, mu = [x - s[-1] for x in s], [Fraction(m + 2, 2 * m + 1) for m in range(k)]  # any numbers will do

    def velocities(m, centre):
        out = [(s[0] - centre) ** m]
        for u in s[1:]:
            out.append((1 - beta) * out[-1] + beta * (u - centre) ** m)
        return out

    oldest = [velocities(m, s[-k])[-k] for m in range(k)]
    w = filtered([s[-1 - i] for i in range(k)], oldest, beta, mu)
    for m in range(k):
        v = velocities(m, 0)
        assert sum(w[i] * v[-1 - i] for i in range(k)) == mu[m]


@given(rationals, st.lists(rationals, min_size=1, max_size=6))
def test_recentre_and_rescale_are_changes_of_variable(d, moment):
    for m, value in enumerate(recentre(moment, d)):
        assert value == sum(comb(m, j) * (-d) ** (m - j) * moment[j] for j in range(m + 1))
    assert recentre(recentre(moment, d), -d) == moment
    assert rescale(moment, d) == [d**m * value for m, value in enumerate(moment)]


@pytest.mark.parametrize(("beta", "ratio"), [(0.8, 1), (0.5, 1), (1.5, 1), (0.6, 1.7), (0.9, 0.6), (1, 0.5)])
def test_the_steady_filter_is_the_sum_over_an_infinite_geometric_past(beta, ratio):
    with mpmath.workdps(60):
        b, r = mpmath.mpf(beta), mpmath.mpf(ratio)
        found = steady_filter(Fraction(beta), 5, Fraction(ratio))
        for m in range(5):
            position, total = mpmath.mpf(0), mpmath.mpf(0)
            for j in range(2000):  # (0.4/0.6^4)^... decays at least like 0.78^j: below 1e-200
                total += b * (1 - b) ** j * position**m
                position -= r ** (-j - 1)
            value = mpmath.mpf(found[m].numerator) / found[m].denominator
            assert abs(value - total) < mpmath.mpf(10) ** -45 * (1 + abs(total))


def test_the_steady_filter_is_a_fixed_point_for_symbols():
    beta, ratio = sp.symbols("beta r", positive=True)
    M = steady_filter(beta, 4, ratio)
    # One step on: the centre moves by the present step, 1, and the coming step, ratio, becomes the unit.
    again = observe(rescale(recentre(M, 1), 1 / ratio), beta)
    assert all(sp.simplify(a - b) == 0 for a, b in zip(again, M, strict=True))


@pytest.mark.parametrize(("beta", "ratio"), [(Fraction(1, 2), Fraction(1, 2)), (0.2, 0.5), (Fraction(3, 2), 0.1)])
def test_the_steady_filter_is_refused_where_the_past_outweighs_the_present(beta, ratio):
    with pytest.raises(ValueError, match=r"has no steady state at beta = .* use a ratio nearer to 1"):
        steady_filter(beta, 4, ratio)


def test_helpers_keep_numbers_exact():
    assert isinstance(exact(3), Fraction)
    assert exact(0.5) == 0.5
    assert interpolatory([0], [Fraction(1, 3)]) == [Fraction(1, 3)]
    x = sp.Symbol("x")
    assert tidy([(x**2 - 1) / (x - 1), 2.5]) == [x + 1, 2.5]
    rows = lagrange([Fraction(0), Fraction(-1), Fraction(-3)])
    nodes = [0, -1, -3]
    assert [[sum(a * u**m for m, a in enumerate(row)) for u in nodes] for row in rows] == [
        [int(i == j) for j in range(3)] for i in range(3)
    ]
    assert moments(1, 1, 1)[0] == pytest.approx(math.e - 1, rel=8 * EPS)  # an int step, an exponential kernel
