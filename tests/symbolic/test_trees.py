"""Rooted trees and order conditions against counting theorems and nodepy."""

from fractions import Fraction
from math import factorial

import pytest
import sympy as sp

import numdiff as nd
from numdiff.methods import butcher
from numdiff.symbolic.trees import Expansion, density, order_of, prunings, symmetry, tree_order, trees

BETA = sp.Symbol("beta")


def test_number_of_rooted_trees():
    assert [len(trees(n)) for n in range(1, 9)] == [1, 1, 2, 4, 9, 20, 48, 115]
    assert all(order_of(t) == 5 for t in trees(5))
    with pytest.raises(ValueError, match="at least 1"):
        trees(0)


@pytest.mark.parametrize("n", range(1, 9))
def test_labellings(n):
    # increasing labellings of all trees number (n-1)!; all labellings n^(n-1) (Cayley)
    assert sum(Fraction(factorial(n), symmetry(t) * density(t)) for t in trees(n)) == factorial(n - 1)
    assert sum(Fraction(factorial(n), symmetry(t)) for t in trees(n)) == n ** (n - 1)


@pytest.mark.parametrize("n", range(1, 7))
def test_prunings_compose_the_flow_with_itself(n):
    # the flow over 1 followed by the flow over 1 is the flow over 2: E(t) + sum_s E(s) prod E(cut) = 2^n E(t)
    for tree in trees(n):
        total = Fraction(1, density(tree)) + sum(Fraction(count, density(s) * d) for s, count, d in prunings(tree))
        assert total == Fraction(2**n, density(tree))


@pytest.mark.parametrize("name", ["FE", "Mid22", "Heun33", "RK44", "Merson43", "BS5", "DP5", "BuRK65"])
def test_runge_kutta_orders_are_nodepys(name):
    from nodepy import runge_kutta_method as reference

    method = reference.loadRKM(name)
    exact = lambda x: sp.nsimplify(x, rational=True)  # noqa: E731
    A = [[exact(x) if j < i else 0 for j, x in enumerate(row)] for i, row in enumerate(method.A.tolist())]
    tableau = nd.Tableau(A=A, U=[(1,)] * len(A), B=[[exact(x) for x in method.b]], V=[(1,)])
    assert tree_order(tableau) == method.order()


def test_each_condition_is_needed():
    # Kutta's 3/8-like method with one weight moved keeps the sum b_i = 1 but loses the order of every larger tree
    b = [Fraction(1, 6) + Fraction(1, 100), Fraction(1, 3) - Fraction(1, 100), Fraction(1, 3), Fraction(1, 6)]
    tableau = nd.RK4().steady().replace(B=[b])
    expansion = Expansion(tableau)
    assert expansion.defect(()) == 0
    assert expansion.defect(((),)) != 0
    assert tree_order(tableau) == 1


@pytest.mark.parametrize("m", [1, 2, 3])
def test_extrapolated_midpoint(m):
    assert tree_order(nd.RungeKutta(butcher.extrapolated(m)).steady()) == 2 * m


def test_multistep_methods_have_the_order_of_their_pair():
    # two independent roads to one number: rooted trees with memory, and exactness on monomials
    for k in range(1, 6):
        assert tree_order(nd.AdamsBashforth(k).steady()) == nd.order.certified(nd.AdamsBashforth(k)) == k
    for k in range(1, 4):
        assert tree_order(nd.GHVB(k, BETA).steady()) == nd.order.certified(nd.GHVB(k, BETA)) == k
        heavy = nd.HeavyBall(nd.AdamsBashforth(k), beta=BETA)
        assert tree_order(heavy.steady()) == nd.order.certified(heavy) == 1


def test_two_stages_and_memory():
    # predict with AB2, evaluate there, correct with the trapezoidal rule; memory: f at the corrected point (PECE).
    # Order 2, and 3 for the corrector 5/12, 8/12, -1/12 (Hairer, Norsett, Wanner I, III.1).
    half, q = Fraction(1, 2), lambda n: Fraction(n, 12)
    A, U = [(0, 0), (Fraction(3, 2), 0)], [(1, 0), (1, -half)]
    trapezoidal = nd.Tableau(A=A, U=U, B=[(half, half), (1, 0)], V=[(1, 0), (0, 0)])
    moulton = nd.Tableau(A=A, U=U, B=[(q(8), q(5)), (1, 0)], V=[(1, q(-1)), (0, 0)])
    assert tree_order(trapezoidal) == 2
    assert tree_order(moulton) == 3


def test_methods_that_are_none():
    with pytest.raises(ValueError, match="does not reproduce constants"):
        tree_order(nd.Tableau(A=[(0,)], U=[(1,)], B=[(1,)], V=[(Fraction(1, 2),)]))
    with pytest.raises(ValueError, match="second eigenvalue 1"):
        tree_order(nd.Tableau(A=[(0,)], U=[(1, 0)], B=[(1,), (1,)], V=[(1, 0), (0, 1)]))
