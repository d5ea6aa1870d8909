"""Real algebraic numbers as data: the k-th real root of a polynomial with integer coefficients.

A designed method may have a damping such as sqrt(2) - 1, or a root of a quintic. Its minimal polynomial and the number
of the root among the real ones, in ascending order from 0, say which number it is, and nothing has to be evaluated to
read it back. Only numbers that come back in the same form are written: SymPy writes a root of a quadratic with a square
root, and one of higher degree as ``CRootOf``.
"""

from __future__ import annotations

from typing import Any

DEGREE = 12
"""Highest degree of a minimal polynomial."""

DIGITS = 40
"""Most digits of its coefficients."""


def describe(value: Any) -> tuple[list[int], int]:
    """Return the integer coefficients of the minimal polynomial, constant first, and the number of the root.

    Parameters
    ----------
    value
        A real algebraic number of SymPy's.

    Raises
    ------
    ValueError
        If it is none, or one that would come back in another form.
    """
    import sympy as sp

    x = sp.Dummy("x")
    try:
        polynomial = sp.minimal_polynomial(value, x, polys=True)
    except (NotImplementedError, sp.polys.polyerrors.NotAlgebraic) as error:
        raise ValueError(f"is {value}, which is not algebraic; use float(...)") from error
    coefficients = [int(c) for c in reversed(polynomial.all_coeffs())]
    index = _index(polynomial, value)
    found = root(coefficients, index)
    if found != value:
        raise ValueError(f"is {value}, which comes back as the equal {found}; use that, or float(...)")
    return coefficients, index


def _index(polynomial: Any, value: Any) -> int:
    """Return how many real roots are smaller; distinct algebraic numbers are compared exactly by SymPy."""
    import sympy as sp

    if not value.is_real:
        raise ValueError(f"is {value}, which is not real")
    return sum(bool(other < value) for other in map(sp.sympify, polynomial.real_roots()) if other != value)


def root(coefficients: list[int], index: int) -> Any:
    """Return the real root of that number.

    Raises
    ------
    ValueError
        If the polynomial has a degree below 2 or beyond `DEGREE`, coefficients of more than `DIGITS` digits, is
        reducible over the rationals, or has no real root of that number.
    """
    import sympy as sp

    if not 2 <= len(coefficients) - 1 <= DEGREE or not coefficients[-1]:
        raise ValueError(f"must have a degree from 2 to {DEGREE}, with the highest coefficient last and not 0")
    if max(map(abs, coefficients)) >= 10**DIGITS:
        raise ValueError(f"must have coefficients of at most {DIGITS} digits")
    polynomial = sp.Poly(coefficients[::-1], sp.Dummy("x"), domain="ZZ")
    if not polynomial.is_irreducible:
        raise ValueError("must be irreducible over the rationals")
    if not 0 <= index < (count := polynomial.count_roots()):
        raise ValueError(f"has {count} real roots, so none of number {index}")
    return sp.rootof(polynomial, index, radicals=polynomial.degree() == 2)
