r"""Defects of exponential general linear methods on X' = c X + g(u), as identities in the step length.

Let f = g along the exact solution, a smooth function of the offset u from the present node, and let the memory hold
what it holds on exact values of g. A step then misses the solution by a *defect*. With g = u^{m-1}/(m-1)! write

    exact - numerical = h^m psi_m(z)       for the sample after the step,    z = c h,
    exact - numerical = h^m psi_{m,i}(z)   for stage i, an evaluation at u = c_i h.

For a one-step method psi_m = phi_m(z) - sum_i b_i c_i^{m-1}/(m-1)! and psi_{m,i} = c_i^m phi_m(c_i z) - sum_j a_ij
c_j^{m-1}/(m-1)!. With memory the registers y_1, ... solve, for the polynomial solution X_m of X' = c X + u^{m-1}/(m-1)!
and with the shift S = sum_l h^l/l! (d/du)^l,

    (S xi)_j = sum_k V_jk xi_k + sum_i B_ji g(c_i h),      j >= 1.

**Exact zero tests.** Put phi_k(z) = (e^z - sum_{j<k} z^j/j!)/z^k. Entries then lie in the field Q(beta, h, e^{h/q}),
one exponential for every monomial in the parameters that multiplies h in an exponent: these are linearly independent
over the rationals, so that the exponentials are algebraically independent (Ax), and a defect vanishes for every h if
and only if it is the zero of that field. e^{ah} goes back into its power series for the limit h -> 0.

Sources: Hochbruck and Ostermann, SIAM J. Numer. Anal. 43 (2005), 1069-1090; Acta Numerica 19 (2010), section 2; Ax,
Ann. Math. 93 (1971).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from math import factorial
from typing import Any

import sympy as sp
from sympy.polys.matrices import DomainMatrix

from numdiff.symbolic.exponentials import Exponentials
from numdiff.symbolic.polynomials import to_sympy
from numdiff.symbolic.steady import H
from numdiff.tableau import Tableau

__all__ = ["Defects", "Exponentials", "classical_bounds", "coordinates", "tensor_vanishes"]

Rows = list[list[Any]]


class Defects:
    """The defects psi_m and psi_{m,i} of a steady exponential tableau, and its effective coefficients.

    Parameters
    ----------
    tableau
        A steady tableau with entries in `numdiff.symbolic.steady.H`, e^{aH} and phi_k(aH).

    Attributes
    ----------
    exponentials
        The field of everything below.
    c, nodes
        Kernel exponent, and c_i of every stage, SymPy expressions.
    weights, couplings
        b_i and a_ij divided by h, such that a constant change of evaluation i changes the sample by h b_i and stage j
        by h a_ji; through the memory too.

    Raises
    ------
    ValueError
        If the sample's own factors are not e^{ch} and e^{c_i c h}, or the memory holds samples.

    Examples
    --------
    DPM-Solver++ 2M by the exact rule misses nothing on constant and linear g:

    >>> import numdiff as nd
    >>> from numdiff.symbolic.stiff import Defects
    >>> defects = Defects(nd.DPMSolverPP(2).steady())
    >>> defects.c, [bool(defects.defects(m)[0]) for m in (1, 2, 3)]
    (-1, [False, False, True])
    """

    def __init__(self, tableau: Tableau) -> None:
        """Read the exponents, and solve for the memory at constant g."""
        entries = {name: [[to_sympy(x) for x in row] for row in getattr(tableau, name)] for name in "AUBV"}
        self.c = _rate(entries["V"][0][0], "the sample after the step")
        if not self.c:
            raise ValueError("the kernel exponent is 0: X' = f has no linear part")
        if any(row[0] != 0 for row in entries["V"][1:]):
            raise ValueError("the memory holds samples; defects are defined for a memory of evaluations")
        rates = [_rate(row[0], f"stage {i}") for i, row in enumerate(entries["U"])]
        self.nodes = tuple(rate / self.c for rate in rates)
        self.exponentials = K = Exponentials(x for rows in entries.values() for row in rows for x in row)
        A, U, B, V = ([[K(x) for x in row] for row in entries[name]] for name in "AUBV")
        self._A, self._U, self._B, self._V = A, U, B, V
        self._c = [K.field.from_sympy(node) * K.h for node in self.nodes]
        r = tableau.registers
        self._memory = [[K.field(int(i == j)) - V[i][j] for j in range(1, r)] for i in range(1, r)]
        self._held: list[list[Any]] = []
        self._inverse = _inverse(self._memory, K.field)
        gains = [[_dot(row, column) for column in zip(*B[1:], strict=True)] for row in self._inverse]
        self.weights = [x / K.h for x in self._through(B[0], V[0], gains)]
        self.couplings = [[x / K.h for x in self._through(a, u, gains)] for a, u in zip(A, U, strict=True)]

    def defects(self, m: int) -> tuple[Any, list[Any]]:
        """Return psi_m and the list of psi_{m,i}, elements of the field, for m >= 1."""
        while len(self._held) < m:
            self._grow()
        K = self.exponentials
        g = [self._monomial(x, m - 1) for x in self._c]
        registers, scale = [self._solution(m), *self._held[m - 1]], K.h**m

        def psi(a: list[Any], u: list[Any], offset: Any) -> Any:
            return (self._exact(m, offset) - _dot(u, registers) - _dot(a, g)) / scale

        stages = [psi(a, u, x) for a, u, x in zip(self._A, self._U, self._c, strict=True)]
        return psi(self._B[0], self._V[0], K.h), stages

    def _through(self, direct: list[Any], row: list[Any], gains: Rows) -> list[Any]:
        """Return the direct coefficients and what reaches the row through the memory."""
        columns = list(zip(*gains, strict=True)) or [()] * len(direct)
        return [x + _dot(row[1:], column) for x, column in zip(direct, columns, strict=True)]

    def _grow(self) -> None:
        """Solve for what the registers hold on the next monomial."""
        m, K = len(self._held) + 1, self.exponentials
        g = [self._monomial(x, m - 1) for x in self._c]
        rhs = [_dot(row, g) for row in self._B[1:]]
        for lag, older in enumerate(reversed(self._held), start=1):
            factor = self._monomial(K.h, lag)
            rhs = [x - factor * y for x, y in zip(rhs, older, strict=True)]
        self._held.append([_dot(row, rhs) for row in self._inverse])

    def _solution(self, m: int) -> Any:
        """Return the polynomial solution of X' = c X + u^{m-1}/(m-1)! at u = 0."""
        return self.exponentials.field.from_sympy(-(self.c**-m))

    def _exact(self, m: int, offset: Any) -> Any:
        return sum(
            (self._monomial(offset, m - k) * self._solution(k) for k in range(1, m + 1)), self.exponentials.field.zero
        )

    def _monomial(self, u: Any, m: int) -> Any:
        field = self.exponentials.field
        return u**m / field(factorial(m)) if m else field.one


def _rate(factor: sp.Expr, what: str) -> sp.Expr:
    """Return a from e^{aH}."""
    if factor == 1:
        return sp.Integer(0)
    rate = sp.expand(factor.args[0] / H) if isinstance(factor, sp.exp) else H
    if rate.has(H):
        raise ValueError(f"the factor of the sample in {what} is {factor}, not an exponential e^(a h)")
    return rate


def _inverse(matrix: Rows, field: Any) -> Rows:
    n = len(matrix)
    if not n:
        return []
    try:
        return DomainMatrix(matrix, (n, n), field).inv().to_list()
    except sp.polys.matrices.exceptions.DMNonInvertibleMatrixError:
        raise ValueError("the memory is not determined by exact evaluations: it never forgets its start") from None


def _dot(a: Sequence[Any], b: Sequence[Any]) -> Any:
    total: Any = 0
    for x, y in zip(a, b, strict=True):
        if x and y:
            total = x * y + total
    return total


def classical_bounds(defects: Defects, highest: int) -> tuple[int, int]:
    """Return (low, high) around the classical order of convergence, from defects as h -> 0.

    On exact stages the sample is missed by O(h^{Q+1}), on exact memory and sample the stages by O(h^{q+1}). The order
    is at most Q, which concerns g(u) alone. Evaluations at the stages are off by O(h^{q+1}), which costs the sample
    O(h^{q+2}) a step, so the order is at least min(Q, q + 1).

    Parameters
    ----------
    defects
        Of a tableau.
    highest
        Order at which to stop looking.

    Returns
    -------
    tuple of int

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.symbolic.stiff import Defects, classical_bounds
    >>> classical_bounds(Defects(nd.DPMSolverPP(3).steady()), 9)
    (3, 3)
    """
    K, stage, sample = defects.exponentials, highest, highest
    for m in range(1, highest + 1):
        output, stages = defects.defects(m)
        scale = K.h**m
        sample = min(sample, K.valuation(output * scale, highest + 1) - 1)
        stage = min([stage, *(K.valuation(x * scale, highest + 1) - 1 for x in stages)])
        if m > sample:
            break
    return min(sample, stage + 1), sample


def tensor_vanishes(left: Sequence[Any], right: Sequence[Any], exponentials: Exponentials) -> bool:
    """Tell whether sum_i left_i(z_1) right_i(z_2) = 0 for independent arguments z_1 and z_2.

    The right factors are written in a basis over the constants; what multiplies each basis element must vanish.

    Parameters
    ----------
    left, right
        Elements of the field, as many of either.
    exponentials
        The field.

    Returns
    -------
    bool

    Examples
    --------
    >>> import sympy as sp
    >>> from numdiff.symbolic.steady import H
    >>> from numdiff.symbolic.stiff import Exponentials, tensor_vanishes
    >>> field = Exponentials([sp.exp(-H)])
    >>> e, one = field(sp.exp(-H)), field.field.one
    >>> tensor_vanishes([e, -e], [one, one], field), tensor_vanishes([e, -one], [one, e], field)
    (True, False)
    """
    return not any(_dot(left, row) for row in coordinates(right, exponentials))


def coordinates(values: Sequence[Any], exponentials: Exponentials) -> Rows:
    """Return rows m_k of constants with values_i = sum_k m_k[i] e_k, for some basis e_k of their span.

    Parameters
    ----------
    values
        Elements of the field.
    exponentials
        The field.

    Returns
    -------
    list
        Rows of elements of the field that do not depend on h.

    Examples
    --------
    >>> import sympy as sp
    >>> from numdiff.symbolic.steady import H
    >>> from numdiff.symbolic.stiff import Exponentials, coordinates
    >>> field = Exponentials([sp.exp(-H)])
    >>> e, one = field(sp.exp(-H)), field.field.one
    >>> [[int(str(x)) for x in row] for row in coordinates([e, 2 * e, one], field)]       # the span has two dimensions
    [[1, 2, 0], [0, 0, 1]]
    """
    K, n = exponentials.constants, len(exponentials.parameters)
    common = functools.reduce(lambda p, q: p.lcm(q), (value.denom for value in values))
    table: list[dict[Any, Any]] = []
    for value in values:
        found: dict[Any, Any] = {}
        for powers, number in (value.numer * common.exquo(value.denom)).terms():
            constant = K.from_sympy(sp.QQ.to_sympy(number) * exponentials.monomial(powers[:n]))
            found[powers[n:]] = found.get(powers[n:], K.zero) + constant
        table.append(found)
    keys = sorted(set().union(*table))
    if not keys:
        return []
    matrix = [[found.get(key, K.zero) for found in table] for key in keys]
    reduced, pivots = DomainMatrix(matrix, (len(keys), len(values)), K).rref()
    return [[exponentials.constant(x) for x in row] for row in reduced.to_list()[: len(pivots)]]
