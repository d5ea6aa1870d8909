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
from collections.abc import Iterable, Sequence
from math import factorial, lcm
from typing import Any

import sympy as sp
from sympy.polys.matrices import DomainMatrix

from numdiff.symbolic.phi import phi
from numdiff.symbolic.polynomials import to_sympy
from numdiff.symbolic.steady import H
from numdiff.tableau import Tableau

__all__ = ["Defects", "Exponentials", "classical_bounds", "coordinates", "tensor_vanishes"]

Rows = list[list[Any]]


class Exponentials:
    """The field of rational functions of parameters, h and exponentials e^{ah}.

    Parameters
    ----------
    expressions
        Rational functions of symbols, `H`, e^{aH} and phi_k(aH), where a is a polynomial in the symbols.

    Attributes
    ----------
    field, constants
        SymPy domains: the field itself, and that of the parameters alone.

    Raises
    ------
    ValueError
        If something else occurs in an expression.
    """

    def __init__(self, expressions: Iterable[sp.Expr]) -> None:
        """Collect the exponents and choose one generator for each monomial in them."""
        expressions = list(expressions)
        symbols = set().union(*(x.free_symbols for x in expressions)) - {H}
        self.parameters = tuple(sorted(symbols, key=str))
        functions = set().union(*(x.atoms(sp.exp, phi) for x in expressions))
        exponents = {f: self._exponent(f) for f in functions}
        scales: dict[tuple[int, ...], int] = {}
        for terms in exponents.values():
            for monomial, value in terms.items():
                scales[monomial] = lcm(scales.get(monomial, 1), int(sp.Rational(value).q))
        self._scales = scales
        self._generators = {monomial: sp.Symbol(f"E{k}") for k, monomial in enumerate(sorted(scales))}
        self.field = sp.QQ.frac_field(*self.parameters, H, *self._generators.values())
        self.constants = sp.QQ.frac_field(*self.parameters) if self.parameters else sp.QQ
        self._known = {f: self._rational(f, terms) for f, terms in exponents.items()}
        self._back = {g: sp.exp(self.monomial(m) * H / scales[m]) for m, g in self._generators.items()}
        self.h = self.field.from_sympy(H)

    def __call__(self, expression: sp.Expr) -> Any:
        """Return an expression as an element of the field."""
        return self.field.from_sympy(expression.xreplace(self._known))

    def to_sympy(self, element: Any) -> sp.Expr:
        """Return an element with exponentials in place of the generators, in the denominator only if it is a sum."""
        top, bottom = (part.as_expr() for part in (element.numer, element.denom))
        generators = self._generators.values()
        common = sp.Mul(
            *(g ** min(m[-k] for m in element.denom.monoms()) for k, g in enumerate(reversed([*generators]), 1))
        )
        shown = sp.factor(top) if common == 1 else sp.expand(top / common)
        return (shown / sp.factor(bottom / common)).xreplace(self._back)

    def series(self, element: Any, count: int) -> list[Any]:
        """Return the first `count` Taylor coefficients in h, elements of `constants`.

        Raises
        ------
        ValueError
            If the element has a pole at h = 0.
        """
        extra = count
        while True:
            top, bottom = (self._expanded(part, extra) for part in (element.numer, element.denom))
            start = next((k for k, x in enumerate(bottom) if x), extra)
            if start + count <= extra:
                break
            extra = 2 * extra + 2 if start == extra else start + count
        if any(top[:start]):
            raise ValueError("a coefficient has a pole at h = 0: no steady step exists for small steps")
        return _divided(top[start:], bottom[start:], count)

    def valuation(self, element: Any, highest: int) -> int:
        """Return the order of the zero at h = 0, or `highest` if it is at least that."""
        values = self.series(element, highest)
        return next((k for k, x in enumerate(values) if x), highest)

    def at_zero(self, element: Any) -> Any:
        """Return the limit h -> 0 as an element of the field."""
        return self.constant(self.series(element, 1)[0])

    def constant(self, value: Any) -> Any:
        """Return an element of `constants` as one of the field."""
        return self.field.from_sympy(self.constants.to_sympy(value))

    def _terms(self, rate: sp.Expr) -> dict[tuple[int, ...], sp.Rational]:
        """Return a rate as rational multiples of monomials in the parameters."""
        polynomial = rate.as_poly(*self.parameters) if self.parameters else None
        terms = {m: c for m, c in polynomial.terms() if c} if polynomial is not None else {(): rate} if rate else {}
        if rate.has(H) or not all(c.is_Rational for c in terms.values()):
            raise ValueError(f"an exponent must be h times a polynomial in the parameters, got {rate * H}")
        return terms

    def _exponent(self, f: sp.Expr) -> dict[tuple[int, ...], sp.Rational]:
        return self._terms(sp.expand(f.args[-1] / H))

    def monomial(self, powers: tuple[int, ...]) -> sp.Expr:
        """Return a product of powers of the parameters."""
        return sp.Mul(*(x**n for x, n in zip(self.parameters, powers, strict=False)))

    def _power(self, terms: dict[tuple[int, ...], sp.Rational]) -> sp.Expr:
        return sp.Mul(*(self._generators[m] ** int(c * self._scales[m]) for m, c in terms.items()))

    def _rational(self, f: sp.Expr, terms: dict[tuple[int, ...], sp.Rational]) -> sp.Expr:
        """Return exp(z) or phi(k, z) in terms of the generators."""
        power = self._power(terms)
        if isinstance(f, sp.exp):
            return power
        k, z = f.args
        return (power - sum((z**j / sp.factorial(j) for j in range(int(k))), sp.Integer(0))) / z**k

    def _expanded(self, polynomial: Any, count: int) -> list[Any]:
        """Return Taylor coefficients of a polynomial in parameters, h and generators."""
        total, n = [self.constants.zero] * count, len(self.parameters)
        rates = [
            self.constants.from_sympy(self.monomial(m)) / self.constants(self._scales[m]) for m in self._generators
        ]
        for powers, value in polynomial.terms():
            factor = self.constants.from_sympy(sp.QQ.to_sympy(value) * self.monomial(powers[:n]))
            rate = sum(
                (r * self.constants(p) for r, p in zip(rates, powers[n + 1 :], strict=True)), self.constants.zero
            )
            for k in range(powers[n], count):
                total[k] += factor
                factor *= rate / self.constants(k - powers[n] + 1)
        return total


def _divided(numerator: Sequence[Any], denominator: Sequence[Any], count: int) -> list[Any]:
    """Divide power series of at least `count` terms, lowest power first."""
    result: list[Any] = []
    for n in range(count):
        value = numerator[n]
        for j in range(1, n + 1):
            value -= denominator[j] * result[n - j]
        result.append(value / denominator[0])
    return result


class Defects:
    """The defects psi_m and psi_{m,i} of a steady exponential tableau, and its effective coefficients.

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
    """
    return not any(_dot(left, row) for row in coordinates(right, exponentials))


def coordinates(values: Sequence[Any], exponentials: Exponentials) -> Rows:
    """Return rows m_k of constants with values_i = sum_k m_k[i] e_k, for some basis e_k of their span."""
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
