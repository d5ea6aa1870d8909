r"""Bicoloured rooted trees and the classical order conditions of exponential general linear methods, exact.

For X' = L X + f(X), L a matrix, the Taylor expansion of a solution in powers of h runs over rooted trees whose vertices
are f or L. An L-vertex is linear: it has at most one branch, and as a leaf it stands for L X. The coefficients of a
method are power series in the step, M(hL) = sum_k M_k (hL)^k, so a series ``X -> sum_t h^|t|/sigma(t) a(t) F(t)(X)``
is pushed through it by peeling L-vertices off the root. With L^k t the tree t under a chain of k L-vertices, tau a tree
with root f or the empty one, and (eta D)(tau) the product of eta over the branches of tau (0 for the empty one),

    eta_i(L^k tau)    = sum_j A_k,ij (eta D)_j(tau) + sum_{l<=k} sum_j U_{k-l},ij xi_j(L^l tau)
    (E xi)_i(L^k tau) = sum_j B_k,ij (eta D)_j(tau) + sum_{l<=k} sum_j V_{k-l},ij xi_j(L^l tau).

The exact flow has E(t) = 1/gamma(t), with gamma as if all vertices were alike, and (E xi)(t) sums over what is cut off
as in `numdiff.symbolic.trees`. For each tree these are r equations in the r - 1 unknowns xi_j(t) of the memory, and the
one left over is the order condition of t. For one-step methods it is Berland, Owren and Skaflestad's.

L may be any matrix, so an order proved here holds for every c; the field is autonomous, and stage times follow the row
sums at h = 0.

Sources: Berland, Owren, Skaflestad, SIAM J. Numer. Anal. 43 (2005), 1715-1727; Butcher, Acta Numerica 15 (2006).
"""

from __future__ import annotations

from typing import Any

from sympy.polys.matrices import DomainMatrix

from numdiff.symbolic.bicoloured_trees import Tree, cuts, density, order_of, trees
from numdiff.symbolic.polynomials import to_sympy
from numdiff.symbolic.stiff import Defects, Exponentials, classical_bounds
from numdiff.tableau import Tableau

__all__ = [
    "HIGHEST",
    "MAX_ORDER",
    "ExponentialExpansion",
    "cuts",
    "density",
    "exponential_stage_order",
    "exponential_tree_order",
    "order_of",
    "trees",
]

MAX_ORDER = 6
"""Highest order that is examined: 421 trees with six vertices."""

HIGHEST = 9
"""Order up to which defects are looked at."""

Rows = list[list[Any]]


def exponential_stage_order(tableau: Tableau) -> int:
    """Return the classical order of an exponential tableau, by its defects where they decide it and by trees elsewhere.

    Parameters
    ----------
    tableau
        As in `exponential_tree_order`.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        As `exponential_tree_order`; also if the order is `MAX_ORDER` at least and trees would have to decide beyond.

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.symbolic import bicoloured
    >>> bicoloured.exponential_stage_order(nd.DPMSolverPP(3).steady())
    3
    """
    try:
        low, high = classical_bounds(Defects(tableau), HIGHEST)
    except ValueError:  # factors of the samples other than e^{ah}: the trees need none
        low, high = 0, HIGHEST
    if low == high:
        return low
    order = exponential_tree_order(tableau, min(high, MAX_ORDER))
    if order == MAX_ORDER < high:
        raise ValueError(f"the order is {MAX_ORDER} at least; conditions beyond are not examined")
    return order


def exponential_tree_order(tableau: Tableau, highest: int = MAX_ORDER) -> int:
    """Return the classical order of an exponential tableau by its order conditions.

    Parameters
    ----------
    tableau
        A steady tableau with entries in h, e^{ah} and phi_k(ah), evaluating one field.
    highest
        Order at which to stop looking.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If the method does not reproduce constants, is not zero-stable, or has coefficients that blow up as h -> 0.

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.symbolic import bicoloured
    >>> bicoloured.exponential_tree_order(nd.DPMSolverPP(2, rule="half").steady(), 4)
    2
    """
    expansion = ExponentialExpansion(tableau, highest)
    for p in range(1, highest + 1):
        if any(expansion.defect(tree) for tree in trees(p)):
            return p - 1
    return highest


class ExponentialExpansion:
    """The series of stages and registers of one exponential tableau, grown tree by tree.

    Parameters
    ----------
    tableau
        As in `exponential_tree_order`.
    highest
        Power of hL up to which coefficients are expanded.

    Attributes
    ----------
    field
        SymPy domain that holds every number: rational functions of the parameters.

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.symbolic import bicoloured
    >>> expansion = bicoloured.ExponentialExpansion(nd.DPMSolverPP(1).steady(), 2)
    >>> [[bool(expansion.defect(tree)) for tree in bicoloured.trees(order)] for order in (1, 2)]
    [[False, False], [True, True, False, False]]
    """

    def __init__(self, tableau: Tableau, highest: int) -> None:
        """Expand the coefficients in powers of hL, up to `highest`."""
        entries = {name: [[to_sympy(x) for x in row] for row in getattr(tableau, name)] for name in "AUBV"}
        K = Exponentials(x for rows in entries.values() for row in rows for x in row)
        series = {name: [[_scaled(K, x, highest + 2) for x in row] for row in rows] for name, rows in entries.items()}
        self.field = K.constants
        powers = _register_powers(series["B"], series["V"])
        shifts = {"A": (0, None), "U": (0, powers), "B": (powers, None), "V": (powers, powers)}
        self._terms = {name: _shifted(series[name], *shifts[name], highest + 1) for name in shifts}
        r = tableau.registers
        one, zero = self.field.one, self.field.zero
        square = [
            [(one if i == 0 else zero) if j == 0 else (one if i == j else zero) - x for j, x in enumerate(row)]
            for i, row in enumerate(self._terms["V"][0])
        ]
        matrix = DomainMatrix(square, (r, r), self.field)
        if not matrix.det():
            raise ValueError("the order conditions do not determine what the memory holds: 1 is a double root")
        self._solve = matrix.inv().to_list()
        self._registers: dict[Tree | None, list[Any]] = {}
        self._stages: dict[Tree | None, list[Any]] = {}
        self._start()
        self._normalise()

    def defect(self, tree: Tree) -> Any:
        """Return by how much the order condition of `tree` fails; all smaller trees must have been asked for before."""
        known = self._through("B", "V", tree)
        rhs = [x - self._shift(tree, i) for i, x in enumerate(known)]
        defect, *registers = [self._dot(row, rhs) for row in self._solve]
        self._registers[tree] = [self.field.zero, *registers]
        self._stages[tree] = self._through("A", "U", tree)
        return defect

    def _start(self) -> None:
        """Solve for what the registers hold at the empty tree."""
        zero, one = self.field.zero, self.field.one
        V, U = self._terms["V"][0], self._terms["U"][0]
        rhs = [row[0] - (one if i == 0 else zero) for i, row in enumerate(V)]
        defect, *registers = [self._dot(row, rhs) for row in self._solve]
        self._registers[None] = [one, *registers]
        self._stages[None] = [self._dot(row, self._registers[None]) for row in U]
        if defect or any(x != one for x in self._stages[None]):
            raise ValueError(
                "the method does not reproduce constants: V xi = xi, U xi = 1 has no solution with xi_0 = 1"
            )

    def _normalise(self) -> None:
        """Divide the coefficient of h^k by c^k, where c makes the condition of the tree L hold."""
        held = self._registers[None]
        forced, moved = (
            self._dot(self._solve[0], x) for x in ([self._dot(row, held) for row in self._terms["V"][1]], held)
        )
        c = forced / moved if moved else self.field.zero
        if not c:
            raise ValueError("the principal root has no factor e^(ch): the method is not exponential")
        for name, terms in self._terms.items():
            self._terms[name] = [[[x / c**k for x in row] for row in rows] for k, rows in enumerate(terms)]

    def _through(self, direct: str, memory: str, tree: Tree) -> list[Any]:
        """Return a row of equations for `tree`, without the unknown registers at `tree` itself where not yet known."""
        chain = 0
        below: list[Tree | None] = [tree]
        tau: Tree | None = tree
        while tau is not None and tau[0]:
            tau = tau[1][0] if tau[1] else None
            below.append(tau)
            chain += 1
        total = [self.field.zero] * len(self._terms[memory][0])
        if tau is not None:
            product = [self.field.one] * len(self._terms["A"][0])
            for branch in tau[1]:
                product = [x * y for x, y in zip(product, self._stages[branch], strict=True)]
            total = [x + self._dot(row, product) for x, row in zip(total, self._terms[direct][chain], strict=True)]
        for k, part in enumerate(below):
            if part in self._registers:
                held = self._registers[part]
                total = [x + self._dot(row, held) for x, row in zip(total, self._terms[memory][k], strict=True)]
        return total

    def _shift(self, tree: Tree, i: int) -> Any:
        """Return (E xi)_i(tree) - xi_i(tree)."""
        total = self._registers[None][i] / self.field(density(tree))
        for sub, count, d in cuts(tree):
            if sub != tree:
                total += self._registers[sub][i] * self.field(count) / self.field(d)
        return total

    def _dot(self, a: list[Any], b: list[Any]) -> Any:
        return sum((x * y for x, y in zip(a, b, strict=True) if x and y), self.field.zero)


def _scaled(K: Exponentials, x: Any, count: int) -> list[Any]:
    return K.series(K(x), count)


def _register_powers(B: Rows, V: Rows) -> list[int]:
    """Return 1 for registers that hold evaluations, which count as h f, and 0 for those of the size of the sample."""
    powers = [int(any(x[0] for x in row)) for row in B]
    while True:
        grown = [
            p or int(any(x[0] and q for x, q in zip(row, powers, strict=True)))
            for p, row in zip(powers, V, strict=True)
        ]
        if grown == powers:
            break
        powers = grown
    if powers[0]:
        raise ValueError("the sample's coefficients do not vanish with the step: the method is not consistent")
    return powers


def _shifted(rows: Any, to: Any, of: Any, count: int) -> list[Rows]:
    """Return the Taylor coefficients M_0, M_1, ... after rows are multiplied by h^to, and columns divided by h^of.

    Coefficients of evaluations (`of` None) carry the factor h of h f.
    """
    terms: list[Rows] = [[[None] * len(row) for row in rows] for _ in range(count)]
    for i, row in enumerate(rows):
        for j, series in enumerate(row):
            shift = (to[i] if to else 0) - (1 if of is None else of[j])
            padded = [series[0] * 0] * max(shift, 0) + list(series)
            if any(padded[: max(-shift, 0)]):
                raise ValueError("a coefficient does not vanish with the step as it must: the method is not consistent")
            for k in range(count):
                terms[k][i][j] = padded[k - min(shift, 0)]
    return terms
