"""Defects of exponential methods as identities, bicoloured trees, and the classical order that follows."""

import itertools

import mpmath
import pytest
import sympy as sp

import numdiff as nd
from numdiff.symbolic import bicoloured
from numdiff.symbolic.phi import phi
from numdiff.symbolic.steady import H, depends_on, steady
from numdiff.symbolic.stiff import Defects, Exponentials, classical_bounds, tensor_vanishes

EXPONENTIAL = {n: m for n, m in nd.methods().items() if depends_on(steady(m), H)}
ADAMS = {n: m for n, m in EXPONENTIAL.items() if isinstance(m, nd.AdamsBashforth)}


# --- the field ---


def test_the_recurrence_of_phi_is_zero_in_the_field():
    a = sp.Rational(2, 3)
    lower, higher = phi(2, a * H), phi(3, a * H)
    K = Exponentials([lower, higher, sp.exp(H / 2)])
    assert not K(lower) - K(sp.Rational(1, 2) + a * H * higher)
    assert K(lower) - K(higher)


def test_exponentials_of_independent_rates_are_independent():
    r = sp.Symbol("r")
    K = Exponentials([sp.exp(r * H), sp.exp(H), sp.exp(r * H / 2 + H)])
    assert not K(sp.exp(r * H / 2 + H)) ** 2 - K(sp.exp(r * H)) * K(sp.exp(H)) ** 2
    assert K(sp.exp(r * H)) - K(sp.exp(H))


@pytest.mark.parametrize("k", range(5))
def test_series_are_those_of_phi(k):
    K = Exponentials([phi(k, -H / 3), sp.exp(-H / 3)])
    found = K.series(K(phi(k, -H / 3)), 6)
    assert [K.constants.to_sympy(x) for x in found] == [sp.Rational(-1, 3) ** j / sp.factorial(k + j) for j in range(6)]


def test_a_pole_has_no_series():
    K = Exponentials([sp.exp(H)])
    with pytest.raises(ValueError, match="pole at h = 0"):
        K.series(K(1 / (sp.exp(H) - 1)), 3)
    with pytest.raises(ValueError, match="polynomial in the parameters"):
        Exponentials([sp.exp(H**2)])


def test_tensor_zero_test_sees_dependent_factors_only():
    x, y = phi(1, H), phi(2, H)
    K = Exponentials([x, y])
    x, y = K(x), K(y)
    assert tensor_vanishes([x, x], [y, -y], K)
    assert tensor_vanishes([x, x, y], [y, x, -x - y], K) is False
    assert tensor_vanishes([x, y, x + y], [x - y, x - y, y - x], K)
    assert not tensor_vanishes([x, -y], [y, x], K)  # x y - y x, which vanishes only if the arguments are the same


# --- defects ---


def integral_of_monomial(m, c, u):
    """int_0^u e^{c(u-s)} s^{m-1}/(m-1)! ds, by quadrature."""
    return mpmath.quad(lambda s: mpmath.exp(c * (u - s)) * s ** (m - 1) / mpmath.factorial(m - 1), [0, u])


@pytest.mark.parametrize("name", sorted(ADAMS))
def test_defects_of_multistep_methods_are_integrals_minus_weights(name):
    """Adams methods combine values at 0, -h, -2h, ...; what they miss is known by quadrature."""
    method = ADAMS[name]
    h = sp.Rational(3, 4)
    weights = [sp.N(w, 30) for w in method.coefficients(h=h)]
    defects = Defects(steady(method))
    for m in range(1, 5):
        sums = sum(w * (-j * h) ** (m - 1) / sp.factorial(m - 1) for j, w in enumerate(weights))
        want = integral_of_monomial(m, method.kernel, float(h)) - float(sums)
        found = defects.exponentials.to_sympy(defects.defects(m)[0]).subs(H, h) * h**m
        assert float(found) == pytest.approx(float(want), abs=1e-14)


@pytest.mark.parametrize("name", sorted(EXPONENTIAL))
def test_exact_rules_are_exact_identically_and_the_bounds_hold(name):
    method = EXPONENTIAL[name]
    low, high = classical_bounds(Defects(steady(method)), 9)
    assert low <= method.order <= high
    if getattr(method, "rule", "exact") == "exact" and isinstance(method, (nd.AdamsBashforth, nd.GHVB)):
        defects = Defects(steady(method))
        assert not any(defects.defects(m)[0] for m in range(1, method.order + 1))
        assert defects.defects(method.order + 1)[0]


def test_defects_need_a_linear_part():
    with pytest.raises(ValueError, match="kernel exponent is 0"):
        Defects(nd.AdamsBashforth(2).steady())


# --- bicoloured trees ---


def brute_force(order):
    """Count bicoloured rooted trees by generating function: t(x) = x exp(sum t(x^k)/k) + x + x t(x)."""
    counts = [0] * (order + 1)
    for n in range(1, order + 1):
        euler = [1] + [0] * n
        for size in range(1, n):
            for _ in range(counts[size]):  # a multiset: divide by 1 - x^size once for each tree
                for k in range(size, n + 1):
                    euler[k] += euler[k - size]
        counts[n] = euler[n - 1] + (1 if n == 1 else counts[n - 1])
    return counts[1:]


def test_trees_are_counted_by_their_generating_function():
    assert [len(bicoloured.trees(n)) for n in range(1, 7)] == brute_force(6)
    everything = list(itertools.chain.from_iterable(bicoloured.trees(n) for n in range(1, 6)))
    assert len(set(everything)) == len(everything)
    with pytest.raises(ValueError, match="order must be at least 1"):
        bicoloured.trees(0)


@pytest.mark.parametrize("name", sorted(EXPONENTIAL))
def test_trees_defects_and_multistep_pairs_agree(name):
    """Three proofs of the classical order: bicoloured trees, defects, and where it exists the pair (rho, sigma)."""
    method, tableau = EXPONENTIAL[name], steady(EXPONENTIAL[name])
    by_trees = bicoloured.exponential_tree_order(tableau, 5)
    assert by_trees == bicoloured.exponential_stage_order(tableau) == nd.order.certified(method) == method.order


def test_trees_see_a_wrong_factor_of_the_sample():
    """e^{h/2} for e^h as the sample's factor, with the weights of exponential Euler: c is read off the factor."""
    tableau = nd.Tableau(A=[[0]], U=[[1]], B=[[H * phi(1, H)]], V=[[sp.exp(H / 2)]])
    assert bicoloured.exponential_tree_order(tableau) == 1
    tableau = nd.Tableau(A=[[0]], U=[[1]], B=[[2 * H * phi(1, H)]], V=[[sp.exp(H)]])
    assert bicoloured.exponential_tree_order(tableau) == 0
