r"""The root condition as inequalities between polynomials.

Put zeta = (1 + w)/(1 - w). The roots of a real polynomial of degree n lie strictly inside the unit circle if and only
if (1 - w)^n p = a_0 w^n + ... + a_n is a Hurwitz polynomial, that is, for a_0 > 0, if all a_i and the Hurwitz
determinants Delta_{n-1}, Delta_{n-3}, ... are positive (Lienard and Chipart; Delta_k is the leading minor of order k of
the matrix with the entries a_{2j-i}). If one of them is negative some root lies strictly outside. A root reaches the
circle where a_0 = 0 (zeta = -1), a_n = 0 (zeta = 1) or Delta_{n-1} = 0 (a pair).

For a stability polynomial on the real axis, z = -X, they are polynomials in X and the parameters. On the imaginary axis
pi is replaced by pi(zeta, i y) pi(zeta, -i y), which is real and a polynomial in X = y^2.

Source: Gantmacher, The theory of matrices, vol. 2, XV.13.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from typing import Any

import sympy as sp
from sympy.polys.matrices import DomainMatrix

from numdiff.symbolic.critical import X, on_axis


@dataclass(frozen=True)
class Condition:
    """One a_i or Delta_k in factors; `power` says how its sign must depend on that of the a_i."""

    constant: sp.Rational
    factors: tuple[tuple[sp.Poly, int], ...]
    power: int
    critical: bool


def conditions(pi: sp.Poly, axis: str) -> list[Condition]:
    """Return the Lienard-Chipart conditions on X in (0, X*)."""
    gens = (X, *sorted(pi.free_symbols_in_domain, key=str))
    ring = sp.QQ[gens]
    real, imaginary = ([ring.from_sympy(c.as_expr()) for c in part] for part in on_axis(pi, axis))
    if axis == "imaginary":
        x = ring.from_sympy(X)
        squares = [_product(part, part, ring.zero) for part in (real, imaginary)]
        real = [a + x * b for a, b in zip(*squares, strict=True)]
    a = _cayley(real, ring.zero)
    n = len(a) - 1
    found = [(value, 1, k in (0, n) or n == 2) for k, value in enumerate(a)]
    found += [(_hurwitz(a, k, ring), k, k == n - 1) for k in range(n - 1, 1, -2)]
    result = []
    for value, power, critical in found:
        constant, factors = sp.Poly(value.as_expr(), *gens).factor_list()
        result.append(Condition(constant, tuple(factors), power, critical))
    return result


def _product(f: Sequence[Any], g: Sequence[Any], zero: Any) -> list[Any]:
    out = [zero] * (len(f) + len(g) - 1)
    for i, x in enumerate(f):
        for j, y in enumerate(g):
            out[i + j] += x * y
    return out


def _cayley(c: Sequence[Any], zero: Any) -> list[Any]:
    """Return a_0, ..., a_n, highest power of w first, of sum_i c_i (1 + w)^i (1 - w)^{n-i}."""
    n = len(c) - 1
    a = [zero] * (n + 1)
    for i, value in enumerate(c):
        up, down = [comb(i, k) for k in range(i + 1)], [(-1) ** k * comb(n - i, k) for k in range(n - i + 1)]
        for k, number in enumerate(_product(up, down, 0)):
            a[n - k] += value * number
    return a


def _hurwitz(a: Sequence[Any], k: int, ring: Any) -> Any:
    """Return the k-th leading minor of the Hurwitz matrix, whose entry (i, j) is a_{2j-i}, both from 1."""
    rows = [[a[2 * j - i] if 0 <= 2 * j - i < len(a) else ring.zero for j in range(1, k + 1)] for i in range(1, k + 1)]
    return DomainMatrix(rows, (k, k), ring).charpoly()[-1] * (-1) ** k
