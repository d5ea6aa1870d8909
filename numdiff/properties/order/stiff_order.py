r"""Stiff order of exponential methods: orders that hold however large the linear part of X' = c X + f(X) is.

Classical order lets h -> 0 with c fixed; its constants grow with powers of c. Let c stand for a matrix or an unbounded
operator that generates a semigroup, with f smooth along the solution. Then the error is O(h^p), with a constant that
does not know c, under conditions in z = c h (psi_m, psi_{m,i}: `numdiff.symbolic.stiff`):

    order   condition
    1       psi_1(z) = 0
    2       psi_2(z) = 0                                psi_{1,i}(z) = 0
    3       psi_3(z) = 0                                sum_i b_i(z) J psi_{2,i}(z) = 0
    4       psi_4(z) = 0                                sum_i b_i(z) J psi_{3,i}(z) = 0
            sum_i b_i(z) J sum_j a_ij(z) J psi_{2,j}(z) = 0        sum_i b_i(z) c_i K psi_{2,i}(z) = 0

J and K are arbitrary matrices, which do not commute with z: sum_i b_i(z) J psi_{2,i}(z) vanishes for all of them if and
only if sum_i b_i(z_1) psi_{2,i}(z_2) = 0 with two independent arguments. A condition holds

- *identically* as it stands;
- *weakly* if it does with psi_p(0) for psi_p(z), or with b_i(0) for b_i(z). If all conditions below order p hold
  identically and those of order p weakly, the order is still p in the parabolic setting of Hochbruck and Ostermann,
  where sum_j |z e^{jz}| is bounded up to a logarithm of the number of steps and f is bounded however large c is;
- *at z = 0* if it does with every argument 0, which is what classical order asks for;
- *not*.

**Memory.** A method that evaluates at the sample has exact stages, and the conditions are psi_1 = ... = psi_p = 0:
exactness of the weights on polynomials, as an identity in h. With memory and other stages (predictor-correctors, where
the memory holds evaluations at predicted points) let psi_{m,i} = 0 for all m <= q. Evaluations are then off by
O(h^{q+1}) and the sample by O(h^{q+2}) a step, so the order is min(Q, q + 1) at least if psi_1 = ... = psi_Q = 0; and q
+ 2 if psi_{q+2} = 0 and sum_i b_i J psi_{q+1,i} = 0, where b_i counts what reaches the sample through the memory too.

Sources: Hochbruck and Ostermann, SIAM J. Numer. Anal. 43 (2005), 1069-1090, section 4; Acta Numerica 19 (2010), section
2.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import sympy as sp

from numdiff.properties.order.consistency import certified, exact_steady, is_multistep
from numdiff.symbolic.polynomials import to_sympy
from numdiff.symbolic.steady import H, depends_on
from numdiff.symbolic.stiff import Defects, coordinates, tensor_vanishes
from numdiff.tableau import Tableau

IDENTICALLY, WEAKLY, AT_ZERO, NOT = "identically", "weakly", "at z = 0", "not"

TABLE = 4
"""Order up to which conditions of one-step methods with several stages are known here."""

HIGHEST = 9
"""Order up to which conditions of multistep methods are examined."""

Z1, Z2, Z3 = sp.symbols("z1 z2 z3")


@dataclass(frozen=True)
class StiffCondition:
    """One stiff order condition and how it holds.

    Parameters
    ----------
    order
        The order that needs it.
    formula
        The condition, as text.
    holds
        "identically", "weakly", "at z = 0" or "not".
    residual
        By how much it fails, an expression in `H` (psi conditions) or in the independent arguments z1, z2, z3 of its
        factors, phi in closed form; 0 if it holds identically.

    Examples
    --------
    >>> import numdiff as nd
    >>> for c in nd.order.stiff(nd.DPMSolverPP(2, rule="half")).conditions:
    ...     print(c.order, c.formula, c.holds)
    1 psi_1 = 0 identically
    2 psi_2 = 0 weakly
    """

    order: int
    formula: str
    holds: str
    residual: sp.Expr

    def __str__(self) -> str:
        """Return the condition and how it holds."""
        return f"{self.formula}: {'does not hold' if self.holds == NOT else 'holds ' + self.holds}"


@dataclass(frozen=True)
class StiffOrder:
    """What `stiff` found.

    Parameters
    ----------
    order
        The largest p whose conditions, and all below, hold identically.
    weak_order
        The largest p whose conditions hold weakly while all below hold identically; at least `order`.
    classical_order
        The certified order for h -> 0 with c fixed.
    conditions
        All that were examined, by order; those of the first order that fails included.

    Examples
    --------
    >>> import numdiff as nd
    >>> found = nd.order.stiff(nd.DPMSolverPP(2, rule="half"))
    >>> found.order, found.weak_order, found.classical_order
    (1, 2, 2)
    >>> [c.holds for c in found.failing]
    ['weakly']
    """

    order: int
    weak_order: int
    classical_order: int
    conditions: tuple[StiffCondition, ...]

    @property
    def failing(self) -> tuple[StiffCondition, ...]:
        """The conditions that keep the order from being one higher."""
        return tuple(c for c in self.conditions if c.order == self.order + 1 and c.holds != IDENTICALLY)


def stiff(method: Any) -> StiffOrder:
    """Return the stiff order of an exponential method, with every condition.

    Parameters
    ----------
    method
        A method in a log-SNR formulation, or a steady `Tableau` with entries in `numdiff.symbolic.steady.H`, e^{aH} and
        phi_k(aH), exact or with symbols; sample rows e^{cH}, stages e^{c_i c H}.

    Returns
    -------
    StiffOrder
        Conditions up to order 4 for Runge-Kutta methods, up to the first that fails for methods with memory.

    Raises
    ------
    TypeError
        If `method` has no steady tableau.
    ValueError
        If it does not depend on the step length (kernel exponent 0), has floating-point coefficients, evaluates more
        than one field, or stores samples.

    Examples
    --------
    The exact second-order rule is of order 2 however long the steps; the published one is for short steps only:

    >>> import numdiff as nd
    >>> [nd.order.stiff(nd.DPMSolverPP(2, rule=rule)).order for rule in ("exact", "half")]
    [2, 1]
    """
    tableau = exact_steady(method)
    if not depends_on(tableau, H):
        raise ValueError(
            f"{method} has no linear part (its kernel exponent is 0), so there is nothing stiff to be exact for; use a "
            "log-SNR formulation, or order.certified"
        )
    classical = certified(method)
    conditions: list[StiffCondition] = []
    order, weak = 0, 0
    for group in _by_order(tableau):
        conditions += group
        weak = order + all(c.holds in (IDENTICALLY, WEAKLY) for c in group)
        if not all(c.holds == IDENTICALLY for c in group):
            break
        order = weak
    return StiffOrder(order, weak, classical, tuple(conditions))


def _by_order(tableau: Tableau) -> Iterator[list[StiffCondition]]:
    """Yield the conditions of order 1, 2, ..."""
    table = _Conditions(tableau)
    if is_multistep(tableau):
        yield from ([table.sample(p)] for p in range(1, HIGHEST + 1))
    elif tableau.registers == 1:
        yield from (table.one_step(p) for p in range(1, TABLE + 1))
    else:
        yield from table.with_memory()


class _Conditions:
    """The conditions of one tableau."""

    def __init__(self, tableau: Tableau) -> None:
        """Find the defects."""
        self._defects = Defects(tableau)
        self._K = self._defects.exponentials
        self._stages = range(tableau.stages)

    def sample(self, m: int) -> StiffCondition:
        """Return psi_m = 0, a condition of order m."""
        psi, _ = self._defects.defects(m)
        holds = IDENTICALLY if not psi else WEAKLY if not self._K.at_zero(psi) else NOT
        return StiffCondition(m, f"psi_{m} = 0", holds, self._K.to_sympy(psi))

    def stage(self, m: int, i: int) -> StiffCondition:
        """Return psi_{m,i} = 0, a condition of order m + 1."""
        psi = self._defects.defects(m)[1][i]
        holds = IDENTICALLY if not psi else AT_ZERO if not self._K.at_zero(psi) else NOT
        return StiffCondition(m + 1, f"psi_{{{m},{i + 1}}} = 0", holds, self._K.to_sympy(psi))

    def one_step(self, order: int) -> list[StiffCondition]:
        """Return the conditions of an order of the table."""
        found = [self.sample(order)]
        if order == 2:
            found += [self.stage(1, i) for i in self._stages]
        if order in (3, 4):
            found.append(self.coupled(order, order - 1))
        if order == 4:
            nodes = [self._K.field.from_sympy(to_sympy(c)) for c in self._defects.nodes]
            found += [self._twice(), self.coupled(4, 2, nodes)]
        return found

    def with_memory(self) -> Iterator[list[StiffCondition]]:
        """Yield the conditions order by order, up to two beyond the stage order."""
        for order in range(1, HIGHEST + 1):
            stages = [self.stage(order - 1, i) for i in self._stages] if order > 1 else []
            exact = all(c.holds == IDENTICALLY for c in stages)
            yield [self.sample(order), *(stages if exact or order == 2 else [self.coupled(order, order - 1)])]
            if not exact:
                return

    def coupled(self, order: int, m: int, nodes: list[Any] | None = None) -> StiffCondition:
        """Return sum b_i J psi_{m,i} = 0, or with c_i K for J where `nodes` are given."""
        psi, b = self._defects.defects(m)[1], self._defects.weights
        if nodes:
            b = [x * c for x, c in zip(b, nodes, strict=True)]
        residual = self._residual((b[i], psi[i]) for i in self._stages)
        return self._bilinear(
            order, f"sum b_i {'c_i K' if nodes else 'J'} psi_{{{m},i}} = 0", b, [psi], self._limits(psi), residual
        )

    def _twice(self) -> StiffCondition:
        """Return sum b_i J sum a_ij J psi_{2,j} = 0: with psi_{2,j} in a basis, one bilinear condition for each."""
        psi, b, a = self._defects.defects(2)[1], self._defects.weights, self._defects.couplings
        right = [[self._dot(row, basis) for row in a] for basis in coordinates(psi, self._K)]
        limit = [self._dot(self._limits(row), self._limits(psi)) for row in a]
        residual = self._residual((b[i], a[i][j], psi[j]) for i in self._stages for j in self._stages)
        return self._bilinear(4, "sum b_i J sum a_ij J psi_{2,j} = 0", b, right, limit, residual)

    def _bilinear(
        self, order: int, formula: str, b: list[Any], right: list[list[Any]], limit: list[Any], residual: sp.Expr
    ) -> StiffCondition:
        """Return the condition sum b_i J R_i = 0 for every R in `right`, whose limit at z = 0 is `limit` together."""
        at_zero = self._limits(b)
        if all(tensor_vanishes(b, row, self._K) for row in right):
            return StiffCondition(order, formula, IDENTICALLY, sp.Integer(0))
        if all(tensor_vanishes(at_zero, row, self._K) for row in right):
            return StiffCondition(order, formula, WEAKLY, residual)
        return StiffCondition(order, formula, NOT if self._dot(at_zero, limit) else AT_ZERO, residual)

    def _limits(self, values: list[Any]) -> list[Any]:
        return [self._K.at_zero(x) for x in values]

    def _dot(self, a: list[Any], b: list[Any]) -> Any:
        return sum((x * y for x, y in zip(a, b, strict=True) if x and y), self._K.field.zero)

    def _residual(self, products: Iterable[tuple[Any, ...]]) -> sp.Expr:
        """Return a sum of products, each factor of an argument of its own."""
        total = sp.Integer(0)
        for factors in products:
            if all(factors):
                total += sp.Mul(*(self._of(x, z) for x, z in zip(factors, (Z1, Z2, Z3), strict=False)))
        return total

    def _of(self, element: Any, z: sp.Symbol) -> sp.Expr:
        """Return an element as an expression in z = c h."""
        return self._K.to_sympy(element).subs(H, z / self._defects.c)
