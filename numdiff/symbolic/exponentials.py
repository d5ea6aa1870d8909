"""The field of exponentials in which defects of exponential methods are exactly zero or not; see `stiff`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import lcm
from typing import Any

import sympy as sp

from numdiff.symbolic.phi import phi
from numdiff.symbolic.steady import H


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

    Examples
    --------
    The closed form of phi_2 cancels for short steps; its series says what it tends to:

    >>> from numdiff.symbolic.phi import phi
    >>> from numdiff.symbolic.steady import H
    >>> from numdiff.symbolic.stiff import Exponentials
    >>> field = Exponentials([phi(2, -H)])
    >>> element = field(phi(2, -H))
    >>> field.to_sympy(element), [str(x) for x in field.series(element, 3)]
    ((h - 1 + exp(-h))/h**2, ['1/2', '-1/6', '1/24'])
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
