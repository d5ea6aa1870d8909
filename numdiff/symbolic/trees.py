r"""Rooted trees and the order conditions of general linear methods, exact.

The Taylor expansion of a solution of x' = f(x) in powers of h runs over rooted trees t with ``|t|`` vertices; a map
``x -> sum_t h^|t|/sigma(t) a(t) F(t)(x)`` is named by its coefficients a(t) (a B-series). The exact flow has E(t) =
1/gamma(t), with ``gamma(t) = |t| prod gamma(branches)``, and sigma(t) counts symmetries.

Let the registers of a tableau start a step as B-series xi_j, the sample exactly: xi_0 = 1 at the empty tree, 0
elsewhere. Then tree by tree, for t = [t_1, ..., t_m],

    eta_i(t)     = sum_j A_ij (eta D)_j(t) + sum_j U_ij xi_j(t)          stages,  (eta D)_i(t) = prod_k eta_i(t_k)
    (E xi)_i(t)  = sum_j B_ij (eta D)_j(t) + sum_j V_ij xi_j(t)          the registers a step later

with (E xi)(t) = xi(t) + sum over the proper subtrees s of t that contain the root of xi(s) prod E(what was cut off) +
xi(empty) E(t). For every t these are r equations in the r - 1 unknowns xi_1(t), ..., xi_{r-1}(t), with matrix I - V:
the unknowns say what the memory holds on an exact start, and the one equation left over is **the order condition of
t**. The method has order p if it holds for all ``|t| <= p``. With r = 1 these are Butcher's conditions sum b_i Phi_i(t)
= 1/gamma(t); a multistep method satisfies those of all trees of one order together.

The field is autonomous: times of the stages are taken to follow the row sums. Values stored in memory count as h f (h =
1 in a steady tableau).

Sources: Butcher, General linear methods, Acta Numerica 15 (2006), section 4.2; Hairer, Norsett, Wanner, Solving ODEs I,
II.2 and III.8.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from math import factorial
from typing import Any

from sympy.polys.matrices import DomainMatrix

from numdiff.symbolic.polynomials import over_field
from numdiff.tableau import Tableau

__all__ = ["MAX_ORDER", "Expansion", "density", "order_of", "prunings", "symmetry", "tree_order", "trees"]

Tree = tuple[Any, ...]
"""A rooted tree as the sorted tuple of its branches; () is the single vertex."""

MAX_ORDER = 8
"""Highest order that is examined: 200 trees."""


@cache
def trees(order: int) -> tuple[Tree, ...]:
    """Return every rooted tree with `order` vertices.

    Parameters
    ----------
    order
        Number of vertices.

    Returns
    -------
    tuple
        Trees as sorted tuples of their branches, () for the single vertex.

    Raises
    ------
    ValueError
        For an order below 1.

    Examples
    --------
    >>> from numdiff.symbolic import trees
    >>> trees.trees(3), [len(trees.trees(order)) for order in range(1, 9)]
    ((((), ()), (((),),)), [1, 1, 2, 4, 9, 20, 48, 115])
    """
    if order < 1:
        raise ValueError(f"order must be at least 1, got {order}; a tree has a root")
    return tuple(sorted(_forests(order - 1, order - 1)))


@cache
def _forests(size: int, largest: int) -> frozenset[Tree]:
    """Return every sorted tuple of trees with `size` vertices in all and none above `largest`."""
    if size == 0:
        return frozenset({()})
    found = set()
    for first in range(1, min(size, largest) + 1):
        for tree in trees(first):
            found |= {tuple(sorted((tree, *rest))) for rest in _forests(size - first, first)}
    return frozenset(found)


@cache
def order_of(tree: Tree) -> int:
    """Return the number ``|t|`` of vertices.

    Parameters
    ----------
    tree
        A rooted tree as nested tuples, () for the single vertex.

    Returns
    -------
    int

    Examples
    --------
    >>> from numdiff.symbolic import trees
    >>> trees.order_of(((), ((),)))
    4
    """
    return 1 + sum(order_of(branch) for branch in tree)


@cache
def density(tree: Tree) -> int:
    """Return ``gamma(t) = |t| prod gamma(branches)``.

    Parameters
    ----------
    tree
        A rooted tree as nested tuples, () for the single vertex.

    Returns
    -------
    int

    Examples
    --------
    >>> from numdiff.symbolic import trees
    >>> [trees.density(tree) for tree in trees.trees(3)]
    [3, 6]
    """
    result = order_of(tree)
    for branch in tree:
        result *= density(branch)
    return result


@cache
def symmetry(tree: Tree) -> int:
    """Return sigma(t), the number of automorphisms: prod over distinct branches of m! sigma(branch)^m.

    Parameters
    ----------
    tree
        A rooted tree as nested tuples, () for the single vertex.

    Returns
    -------
    int

    Examples
    --------
    >>> from numdiff.symbolic import trees
    >>> [trees.symmetry(tree) for tree in trees.trees(3)]
    [2, 1]
    """
    result = 1
    for branch, count in Counter(tree).items():
        result *= factorial(count) * symmetry(branch) ** count
    return result


@cache
def prunings(tree: Tree) -> tuple[tuple[Tree, int, int], ...]:
    """Return (s, n, d) over the subtrees s with the root: n ways to cut down to s, each with prod E(cut off) = 1/d.

    Parameters
    ----------
    tree
        A rooted tree as nested tuples, () for the single vertex.

    Returns
    -------
    tuple
        Triples (s, n, d).

    Examples
    --------
    >>> from numdiff.symbolic import trees
    >>> trees.prunings(((),))                       # the root alone, and the whole tree
    (((), 1, 1), (((),), 1, 1))
    """
    found: Counter[tuple[Tree, int]] = Counter({((), 1): 1})
    for branch in tree:
        grown: Counter[tuple[Tree, int]] = Counter()
        for (kept, d), n in found.items():
            grown[kept, d * density(branch)] += n
            for sub, m, e in prunings(branch):
                grown[tuple(sorted((*kept, sub))), d * e] += n * m
        found = grown
    return tuple((s, n, d) for (s, d), n in found.items())


def tree_order(tableau: Tableau, highest: int = MAX_ORDER) -> int:
    """Return the order of a tableau by its order conditions.

    Parameters
    ----------
    tableau
        A steady tableau of kernel exponent 0 with exact or symbolic entries, evaluating one field.
    highest
        Order at which to stop looking.

    Returns
    -------
    int
        The largest p <= `highest` whose conditions all hold; 0 if the method is not consistent.

    Raises
    ------
    ValueError
        If the method is not preconsistent (it does not reproduce constants), or I - V leaves the memory undetermined.

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.symbolic import trees
    >>> trees.tree_order(nd.RK4().steady()), trees.tree_order(nd.GHVB(3, 1).steady())
    (4, 3)
    """
    expansion = Expansion(tableau)
    for p in range(1, highest + 1):
        if any(expansion.defect(tree) for tree in trees(p)):
            return p - 1
    return highest


class Expansion:
    """The B-series of stages and registers of one tableau, grown tree by tree.

    Parameters
    ----------
    tableau
        As in `tree_order`.

    Attributes
    ----------
    field
        SymPy domain that holds every number.

    Raises
    ------
    ValueError
        As `tree_order`.

    Examples
    --------
    What Heun's method of order 2 lacks at the trees of order 3; smaller trees have to be asked for first:

    >>> import numdiff as nd
    >>> from numdiff.symbolic import trees
    >>> expansion = trees.Expansion(nd.Heun().steady())
    >>> found = {tree: expansion.defect(tree) for order in (1, 2, 3) for tree in trees.trees(order)}
    >>> [str(found[tree]) for tree in trees.trees(3)]
    ['1/6', '-1/6']
    """

    def __init__(self, tableau: Tableau) -> None:
        """Solve for what the registers hold at the empty tree."""
        self.field, matrices = over_field(tableau)
        self._A, self._U, self._B, self._V = (matrices[name].to_list() for name in "AUBV")
        self._registers: dict[Tree | None, list[Any]] = {}
        self._stages: dict[Tree, list[Any]] = {}
        self._solve = _Memory(matrices["V"])
        zero, one = self.field.zero, self.field.one
        start, defect = self._solve([row[0] - (one if i == 0 else zero) for i, row in enumerate(self._V)])
        start[0] = one
        if defect or any(self._dot(row, start) != one for row in self._U):
            raise ValueError(
                "the method does not reproduce constants: V xi = xi, U xi = 1 has no solution with xi_0 = 1"
            )
        self._registers[None] = start

    def defect(self, tree: Tree) -> Any:
        """Return by how much the order condition of `tree` fails; all smaller trees must have been asked for before."""
        derivative = self._derivative(tree)
        rhs = [self._dot(row, derivative) - self._known_shift(tree, i) for i, row in enumerate(self._B)]
        registers, defect = self._solve(rhs)
        self._registers[tree] = registers
        self._stages[tree] = [
            self._dot(a, derivative) + self._dot(u, registers) for a, u in zip(self._A, self._U, strict=True)
        ]
        return defect

    def _derivative(self, tree: Tree) -> list[Any]:
        """Return (eta D)_i(tree) for every stage."""
        result = [self.field.one] * len(self._A)
        for branch in tree:
            result = [x * y for x, y in zip(result, self._stages[branch], strict=True)]
        return result

    def _known_shift(self, tree: Tree, i: int) -> Any:
        """Return (E xi)_i(tree) - xi_i(tree)."""
        total = self._registers[None][i] / self.field(density(tree))
        for sub, count, d in prunings(tree):
            if sub != tree:
                total += self._registers[sub][i] * self.field(count) / self.field(d)
        return total

    def _dot(self, a: list[Any], b: list[Any]) -> Any:
        return sum((x * y for x, y in zip(a, b, strict=True)), self.field.zero)


class _Memory:
    """Solves (I - V) xi = rhs for xi_1, ..., xi_{r-1} with xi_0 = 0, and says what is left over."""

    def __init__(self, V: DomainMatrix) -> None:
        """Eliminate once: find T with T (I - V)[:, 1:] = [identity; zero row]."""
        r, field = V.shape[0], V.domain
        system = (DomainMatrix.eye(r, field).to_dense() - V.to_dense()).to_list()
        rows = [[*system[i][1:], *(field.one if i == j else field.zero for j in range(r))] for i in range(r)]
        reduced, pivots = DomainMatrix(rows, (r, 2 * r - 1), field).to_dense().rref()
        if tuple(pivots[: r - 1]) != tuple(range(r - 1)):
            raise ValueError(
                "the order conditions do not determine what the memory holds: V has a second eigenvalue 1, "
                "so the method is not zero-stable"
            )
        self._rows = [row[r - 1 :] for row in reduced.to_list()]
        self._field = field

    def __call__(self, rhs: list[Any]) -> tuple[list[Any], Any]:
        """Return ([0, xi_1, ...], what the remaining equation lacks)."""
        products = [sum((t * b for t, b in zip(row, rhs, strict=True)), self._field.zero) for row in self._rows]
        return [self._field.zero, *products[:-1]], products[-1]
