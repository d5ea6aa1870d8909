"""B-series against Taylor series, nodepy, the group property of flows and changes of registers."""

from collections import Counter
from fractions import Fraction
from math import factorial, prod

import numpy as np
import pytest
import sympy as sp

import numdiff as nd
from numdiff.symbolic.bseries import Logarithm, PrincipalMap, cuts, edges, first_defect
from numdiff.symbolic.trees import density, order_of, prunings, symmetry, tree_order, trees

BETA = sp.Symbol("beta")
CLASSICAL = {name: method for name, method in nd.methods().items() if not method.kernel}


def up_to(order):
    return [tree for n in range(1, order + 1) for tree in trees(n)]


def exact_flow(scale):
    return lambda tree: sp.QQ(scale ** order_of(tree), density(tree))


def scalar_differential(tree, f, x):
    """F(tree) of a scalar field."""
    return sp.diff(f, x, len(tree)) * prod(scalar_differential(branch, f, x) for branch in tree)


@pytest.mark.parametrize("order", range(1, 8))
def test_cuts_group_to_prunings(order):
    for tree in trees(order):
        found = Counter()
        for kept, forest, count in cuts(tree):
            assert order_of(kept) + sum(map(order_of, forest)) == order
            found[kept, prod(map(density, forest))] += count
        assert found == Counter({(kept, d): count for kept, count, d in prunings(tree)})
        assert sum(count for _, _, count in edges(tree)) == order - 1


@pytest.mark.parametrize("order", range(1, 6))
def test_derivatives_of_a_solution(order):
    # x^(q) = sum over |t| = q of q!/(sigma gamma) F(t), here for x' = f(x) = sin x + x^2
    x = sp.Symbol("x")
    f, derivative = sp.sin(x) + x**2, x
    for _ in range(order):
        derivative = sp.diff(derivative, x) * f
    series = sum(
        sp.Rational(factorial(order), symmetry(t) * density(t)) * scalar_differential(t, f, x) for t in trees(order)
    )
    assert sp.expand(derivative - series) == 0


@pytest.mark.parametrize("scale", [1, 2, -3])
def test_the_logarithm_of_a_flow_is_its_field(scale):
    field = Logarithm(exact_flow(scale), sp.QQ)
    assert [field(tree) for tree in up_to(7)] == [scale, *[0] * (len(up_to(7)) - 1)]


@pytest.mark.parametrize("name", ["Heun33", "RK44", "DP5", "BuRK65", "CK5"])
def test_elementary_weights_are_nodepys(name):
    # nodepy writes the weight of a tree as NumPy code, here run on arrays of rationals
    from nodepy import rooted_trees
    from nodepy import runge_kutta_method as reference

    method = reference.loadRKM(name)
    exact = lambda x: sp.nsimplify(x, rational=True)  # noqa: E731
    A = [[exact(x) if j < i else sp.Integer(0) for j, x in enumerate(row)] for i, row in enumerate(method.A.tolist())]
    b = [exact(x) for x in method.b.tolist()]
    names = {"dot": np.dot, "A": np.array(A), "b": np.array(b), "c": np.array([sum(row) for row in A])}
    principal = PrincipalMap(nd.Tableau(A=A, U=[(1,)] * len(A), B=[b], V=[(1,)]))
    assert first_defect(principal, 7) == method.order() + 1
    for order in range(2, 7):
        theirs = [
            (
                rooted_trees.RootedTree(t).density(),
                eval(reference.elementary_weight_str(t, style="python"), names.copy()),
            )
            for t in rooted_trees.list_trees(order)
        ]
        assert sorted((density(t), principal.coefficient(t)) for t in trees(order)) == sorted(theirs)


@pytest.mark.parametrize("name", CLASSICAL)
def test_the_map_deviates_where_the_order_conditions_fail(name):
    tableau = CLASSICAL[name].steady()
    assert first_defect(PrincipalMap(tableau), 7) == tree_order(tableau, 7) + 1


def test_the_map_does_not_depend_on_the_choice_of_registers():
    # y -> T y with the sample kept: V -> T V T^-1, B -> T B, U -> U T^-1
    tableau = nd.GHVB(3, BETA).steady()
    T = sp.Matrix([[1, 0, 0], [2, 1, -1], [0, 1, 3]])
    A, U, B, V = (sp.Matrix(getattr(tableau, name)) for name in "AUBV")
    other = nd.Tableau(A=A.tolist(), U=(U * T.inv()).tolist(), B=(T * B).tolist(), V=(T * V * T.inv()).tolist())
    one, two = PrincipalMap(tableau), PrincipalMap(other)
    assert all(one.coefficient(tree) == two.coefficient(tree) for tree in up_to(5))


def test_the_map_of_a_multistep_method_maps_its_own_samples():
    # AB2 says Phi(x) = x + 3/2 h f(x) - 1/2 h f(Phi^-1 x); so for h f = z x the tall trees are the Taylor coefficients
    # of the principal root of zeta = 1 + 3/2 z - z/(2 zeta)
    z = sp.Symbol("z")
    root = (1 + 3 * z / 2 + sp.sqrt((1 + 3 * z / 2) ** 2 - 2 * z)) / 2
    principal, tall = PrincipalMap(nd.AdamsBashforth(2).steady()), ()
    series = sp.series(root, z, 0, 7).removeO()
    for order in range(1, 7):
        assert principal.coefficient(tall) == series.coeff(z, order)
        tall = (tall,)


def test_a_double_root_is_refused():
    # x_{n+1} = 2 x_n - x_{n-1} + h (f_n - f_{n-1}) reproduces constants, but 1 is a double eigenvalue
    tableau = nd.Tableau(A=[(0,)], U=[(1, 0, 0)], B=[(1,), (0,), (1,)], V=[(2, -1, -1), (1, 0, 0), (0, 0, 0)])
    with pytest.raises(ValueError, match="multiple eigenvalue"):
        PrincipalMap(tableau)


def test_relaxed_euler_solves_a_slower_equation():
    # x + h f/2 is not consistent, but it is the flow of some field: f/2 - (h/2) (f/2)'(f/2) + ...
    principal = PrincipalMap(nd.Tableau(A=[(0,)], U=[(1,)], B=[(Fraction(1, 2),)], V=[(1,)]))
    field = Logarithm(principal, principal.field)
    assert (field(()), field(((),))) == (sp.QQ(1, 2), -sp.QQ(1, 8))
