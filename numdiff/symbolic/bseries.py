r"""B-series of a general linear method: the map its sample follows, its local error and its modified equation.

**The principal map.** On a smooth problem and away from starting transients, the samples of a strictly zero-stable
general linear method follow a one-step method: there are a map Phi and memories xi_1(x), ..., xi_{r-1}(x), both
B-series, with which a step takes the registers (x, xi_1(x), ...) to (Phi(x), xi_1(Phi(x)), ...) (Kirchgraber; Stoffer).
In coefficients, with ``x -> sum_t h^|t|/sigma(t) a(t) F(t)(x)``, stages eta and (eta D)(t) as in
`numdiff.symbolic.trees`,

    (Phi xi)_i(t) = sum_j B_ij (eta D)_j(t) + sum_j V_ij xi_j(t),    xi_0 = 1,                                     (1)

    (Phi xi)(t) = xi(t) + xi(empty) Phi(t) + sum over cuts of t, not all of it, xi(s) prod Phi(what was cut off),

where s is the subtree that keeps the root. For each tree these are r linear equations for Phi(t) and xi_1(t), ...,
xi_{r-1}(t): the left eigenvector u of V for the eigenvalue 1, with u xi(empty) = 1, gives Phi(t), the others the
memory. The method has order p if Phi(t) = 1/gamma(t) for ``|t| <= p``; for a Runge-Kutta method Phi(t) = sum b_i
Phi_i(t), Butcher's elementary weight. Where V has other eigenvalues on the unit circle (damping 2), (1) still defines
Phi formally, and what the starting values put into the parasitic modes stays.

**Local error.** exact minus numerical, over one step: ``h^{p+1} sum_{|t| = p+1} (1/gamma(t) - Phi(t))/sigma(t) F(t)``.
With memory this is the defect of a step on exact memory projected by u, so it does not depend on how registers are
scaled or combined. For a multistep method it is C h^{p+1} x^{(p+1)}, C the error constant, since
``x^{(q)} = sum_{|t| = q} q!/(sigma(t) gamma(t)) F(t)``.

**Modified equation.** The vector field a whose flow over h is Phi, ``x' = sum_t h^{|t|-1}/sigma(t) a(t) F(t)``. With
the Lie derivative of a series b along a,

    (D_a b)(t) = sum over the edges of t of b(s) a(c),    c the branch above the edge, s the rest,

the flow is Phi = sum_{k>=1} D_a^{k-1} a/k!, and since the terms k >= 2 see smaller trees only, a follows tree by tree.
If Phi has order p, a(t) is 1 for f, 0 for ``1 < |t| <= p`` and Phi(t) - 1/gamma(t) for ``|t| = p+1``.

Sources: Kirchgraber, Numer. Math. 48 (1986); Stoffer, Numer. Math. 64 (1993); Hairer, Lubich, Wanner, Geometric
Numerical Integration, III.1, IX.1, IX.9 and XV.2.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from math import factorial
from typing import Any

import sympy as sp

from numdiff.symbolic.polynomials import tidy
from numdiff.symbolic.trees import Expansion, Tree, density, order_of, trees
from numdiff.tableau import Tableau

__all__ = ["Logarithm", "PrincipalMap", "cuts", "edges", "first_defect"]

Forest = tuple[Tree, ...]


@cache
def cuts(tree: Tree) -> tuple[tuple[Tree, Forest, int], ...]:
    """Return (s, forest, n) over the subtrees s with the root: n ways to cut down to s, each leaving that forest.

    Parameters
    ----------
    tree
        A rooted tree as nested tuples, () for the single vertex.

    Returns
    -------
    tuple
        Triples (s, forest, n).

    Examples
    --------
    >>> from numdiff.symbolic import bseries
    >>> bseries.cuts(((),))                         # the root with its branch cut off, and the whole tree
    (((), ((),), 1), (((),), (), 1))
    """
    found: Counter[tuple[Tree, Forest]] = Counter({((), ()): 1})
    for branch in tree:
        grown: Counter[tuple[Tree, Forest]] = Counter()
        for (kept, fallen), n in found.items():
            grown[kept, tuple(sorted((*fallen, branch)))] += n
            for sub, forest, m in cuts(branch):
                grown[tuple(sorted((*kept, sub))), tuple(sorted((*fallen, *forest)))] += n * m
        found = grown
    return tuple((s, forest, n) for (s, forest), n in found.items())


def edges(tree: Tree) -> list[tuple[Tree, Tree, int]]:
    """Return (s, c, n): n edges of the tree whose removal leaves s with the root and c without.

    Parameters
    ----------
    tree
        A rooted tree as nested tuples, () for the single vertex.

    Returns
    -------
    list
        Triples (s, c, n).

    Examples
    --------
    >>> from numdiff.symbolic import bseries
    >>> bseries.edges(((), ()))                     # either of two edges leaves a chain of two and a vertex
    [(((),), (), 2)]
    """
    return [(s, forest[0], n) for s, forest, n in cuts(tree) if len(forest) == 1]


class PrincipalMap(Expansion):
    """The one-step method that the samples of a tableau follow, grown tree by tree.

    Parameters
    ----------
    tableau
        A steady tableau of kernel exponent 0, exact or with symbols, evaluating one field.

    Raises
    ------
    ValueError
        As `Expansion`; also if 1 is a multiple eigenvalue of V.

    Examples
    --------
    Adams-Bashforth 2 has the coefficients 1 and 1/2 of the exact flow; for trees of order 3 those would be 1/6 and 1/3:

    >>> import numdiff as nd
    >>> from numdiff.symbolic import bseries, trees
    >>> phi = bseries.PrincipalMap(nd.AdamsBashforth(2).steady())
    >>> [phi.coefficient(tree) for order in (1, 2, 3) for tree in trees.trees(order)]
    [1, 1/2, -1/2, -1/4]
    """

    def __init__(self, tableau: Tableau) -> None:
        """Solve for the memory at the empty tree, and scale the left eigenvector."""
        super().__init__(tableau)
        self._map: dict[Tree, Any] = {}
        self._along, self._total = self._solve(self._registers[None])
        if not self._total:
            raise ValueError("1 is a multiple eigenvalue of V: the method is not zero-stable and follows no map")

    def __call__(self, tree: Tree) -> Any:
        """Return Phi(tree), an element of `field`."""
        if tree not in self._map:
            for order in range(1, order_of(tree) + 1):
                for smaller in trees(order):
                    if smaller not in self._map:
                        self._grow(smaller)
        return self._map[tree]

    def coefficient(self, tree: Tree) -> sp.Expr:
        """Return Phi(tree) as an expression in lowest terms."""
        return tidy(self.field.to_sympy(self(tree)))

    def _grow(self, tree: Tree) -> None:
        derivative = self._derivative(tree)
        rhs = [self._dot(row, derivative) - self._known_shift(tree, i) for i, row in enumerate(self._B)]
        registers, defect = self._solve(rhs)
        self._map[tree] = value = defect / self._total
        registers = [x - value * y for x, y in zip(registers, self._along, strict=True)]
        self._registers[tree] = registers
        self._stages[tree] = [
            self._dot(a, derivative) + self._dot(u, registers) for a, u in zip(self._A, self._U, strict=True)
        ]

    def _known_shift(self, tree: Tree, i: int) -> Any:
        """Return (Phi xi)_i(tree) - xi_i(tree) - xi_i(empty) Phi(tree)."""
        total = self.field.zero
        for sub, forest, count in cuts(tree):
            term = self._registers[sub][i] if forest else self.field.zero
            if term:
                for fallen in forest:
                    term *= self._map[fallen]
                total += term * self.field(count)
        return total


class Logarithm:
    """The vector field whose flow over one step is a given map.

    Parameters
    ----------
    phi
        The coefficients of the map by tree, numbers in `field`; 1 at the single vertex.
    field
        SymPy domain.

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.symbolic import bseries
    >>> euler = bseries.PrincipalMap(nd.AdamsBashforth(1).steady())
    >>> field = bseries.Logarithm(euler, euler.field)
    >>> field.coefficient(()), field.coefficient(((),))                 # x' = f - h/2 f'f + ...
    (1, -1/2)
    """

    def __init__(self, phi: Any, field: Any) -> None:
        """Start with nothing known."""
        self._phi, self.field = phi, field
        self._derivatives: dict[tuple[int, Tree], Any] = {}

    def __call__(self, tree: Tree) -> Any:
        """Return a(tree), an element of `field`."""
        return self._term(1, tree)

    def coefficient(self, tree: Tree) -> sp.Expr:
        """Return a(tree) as an expression in lowest terms."""
        return tidy(self.field.to_sympy(self(tree)))

    def _term(self, k: int, tree: Tree) -> Any:
        """Return (D_a^{k-1} a)(tree)."""
        if (k, tree) not in self._derivatives:
            self._derivatives[k, tree] = self._flow_part(tree) if k == 1 else self._derivative(k, tree)
        return self._derivatives[k, tree]

    def _flow_part(self, tree: Tree) -> Any:
        value = self._phi(tree)
        for k in range(2, order_of(tree) + 1):
            value -= self._term(k, tree) / self.field(factorial(k))
        return value

    def _derivative(self, k: int, tree: Tree) -> Any:
        total = self.field.zero
        if order_of(tree) < k:  # D_a^{k-1} a starts with k vertices
            return total
        for rest, branch, count in edges(tree):
            along = self._term(1, branch)
            if along:
                total += along * self._term(k - 1, rest) * self.field(count)
        return total


def first_defect(principal: PrincipalMap, highest: int) -> int | None:
    """Return the lowest order at which the map is not the exact flow, or None up to `highest`.

    Parameters
    ----------
    principal
        The map of a method.
    highest
        Order at which to stop looking.

    Returns
    -------
    int or None

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.symbolic import bseries
    >>> bseries.first_defect(bseries.PrincipalMap(nd.RK4().steady()), 6)
    5
    """
    for order in range(1, highest + 1):
        if any(principal(tree) * principal.field(density(tree)) != principal.field.one for tree in trees(order)):
            return order
    return None
