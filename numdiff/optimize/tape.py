r"""Traced numbers: a method's own code writes down its arithmetic once.

The coefficient routines of numdiff run on any number type. A `Traced` number is one more: a float that remembers the
operation it came from. Laying a method out on levels made of traced numbers leaves behind a straight-line program

    m_i = m_a op m_b      or      m_i = g(m_a),

on a `Tape`, which `numdiff.optimize.straight_line` repeats for other values, with exact derivatives.

**Branches** are taken by the value a number had when it was traced (`float(x)`), and stay so; what a table lookup
chooses is worked out anew each time by `piecewise`, whose derivative is zero.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from numdiff.phi import phis

Array = NDArray[np.float64]


FUNCTIONS: dict[str, Any] = {
    name: getattr(np, name) for name in ("exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "arctan")
}
"""What a traced number may be put into, by the names of NumPy."""


class Operation(NamedTuple):
    """One entry of a tape: a rule and the entries it combines, -1 for none; ``extra`` is a constant or a function."""

    rule: str
    a: int = -1
    b: int = -1
    extra: Any = None


class Tape:
    """The operations of one trace, in the order in which they were made; equal ones are made once."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self.values: list[float] = []
        self._known: dict[Operation, int] = {}

    def variable(self, value: float) -> Traced:
        """Return a new independent variable that has this value while tracing."""
        self.operations.append(Operation("variable", extra=len(self.operations)))
        self.values.append(value)
        return Traced(self, len(self.values) - 1)

    def index(self, x: Any) -> int:
        """Return the entry that holds `x`, a traced number of this tape or a constant."""
        if type(x) is Traced:
            return cast(Traced, x).index
        return self._entry(Operation("constant", extra=float(x)), float(x))

    def apply(self, rule: str, value: float, a: int, b: int = -1, extra: Any = None) -> Traced:
        """Return the number that `rule` makes of the entries `a` and `b`."""
        return Traced(self, self._entry(Operation(rule, a, b, extra), value))

    def _entry(self, operation: Operation, value: float) -> int:
        index = self._known.get(operation)
        if index is None:
            index = self._known[operation] = len(self.values)
            self.operations.append(operation)
            self.values.append(value)
        return index


def _binary(rule: str) -> tuple[Callable[[Traced, Any], Any], Callable[[Traced, Any], Any]]:
    combine = getattr(operator, rule)

    def forward(x: Traced, y: Any) -> Any:
        return _combine(rule, combine, x, y)

    def backward(x: Traced, y: Any) -> Any:
        return _combine(rule, combine, y, x)

    return forward, backward


def _combine(rule: str, combine: Callable[[Any, Any], Any], x: Any, y: Any) -> Any:
    """Return x op y, without an entry where one of them is 0 or 1 and leaves the other, or nothing, behind."""
    if not (_is_number(x) and _is_number(y)):
        return NotImplemented
    trivial = _TRIVIAL[rule](x, y)
    if trivial is not None:
        return trivial
    tape = x.tape if type(x) is Traced else y.tape
    return tape.apply(rule, combine(float(x), float(y)), tape.index(x), tape.index(y))


def _is_number(x: Any) -> bool:
    return isinstance(x, (Traced, int, float, Fraction, np.integer, np.floating))


def _is(x: Any, constant: int) -> bool:
    return type(x) is not Traced and x == constant


def _trivial_sum(x: Any, y: Any) -> Any:
    return y if _is(x, 0) else x if _is(y, 0) else None


def _trivial_difference(x: Any, y: Any) -> Any:
    return x if _is(y, 0) else 0.0 if x is y else None


def _trivial_product(x: Any, y: Any) -> Any:
    if _is(x, 0) or _is(y, 0):
        return 0.0
    return y if _is(x, 1) else x if _is(y, 1) else None


def _trivial_quotient(x: Any, y: Any) -> Any:
    return x if _is(y, 1) else 0.0 if _is(x, 0) else None


_TRIVIAL = {"add": _trivial_sum, "sub": _trivial_difference, "mul": _trivial_product, "truediv": _trivial_quotient}


class Traced:
    """A number that remembers how it was made; see the top of the module."""

    __slots__ = ("index", "tape")
    number_kind = "traced"
    ndim = 0
    __array_ufunc__ = None  # a NumPy number times this one is this one's business

    def __init__(self, tape: Tape, index: int) -> None:
        self.tape, self.index = tape, index

    __add__, __radd__ = _binary("add")
    __sub__, __rsub__ = _binary("sub")
    __mul__, __rmul__ = _binary("mul")
    __truediv__, __rtruediv__ = _binary("truediv")

    def __float__(self) -> float:
        """Return the value while tracing."""
        return self.tape.values[self.index]

    def __neg__(self) -> Any:
        """Return -x."""
        return -1.0 * self

    def __pos__(self) -> Traced:
        """Return x."""
        return self

    def __abs__(self) -> Any:
        """Return |x|, by the sign while tracing."""
        return self if float(self) >= 0 else -self

    def __pow__(self, power: int) -> Any:
        """Return a whole power."""
        if not isinstance(power, int):
            return NotImplemented
        if power < 0:
            return 1.0 / self**-power
        product: Any = 1.0
        for _ in range(power):
            product = product * self
        return product

    def __eq__(self, other: object) -> bool:
        """Compare with constants by value; another traced number is equal only if it is this one, for caches' sake."""
        return self is other if type(other) is Traced else bool(float(self) == other)

    def __hash__(self) -> int:
        """Return the hash of this one number."""
        return id(self)

    def __lt__(self, other: Any) -> bool:
        """Compare values while tracing."""
        return float(self) < float(other)

    def __le__(self, other: Any) -> bool:
        """Compare values while tracing."""
        return float(self) <= float(other)

    def __gt__(self, other: Any) -> bool:
        """Compare values while tracing."""
        return float(self) > float(other)

    def __ge__(self, other: Any) -> bool:
        """Compare values while tracing."""
        return float(self) >= float(other)

    def __repr__(self) -> str:
        """Show the value while tracing."""
        return f"Traced({float(self)!r})"

    def function(self, name: str) -> Traced:
        """Return one of the functions of `numdiff.elementary`, or "arctan", of this number."""
        with np.errstate(all="ignore"):  # on a branch that a table does not take
            value = float(FUNCTIONS[name](float(self)))
        return self.tape.apply(name, value, self.index)

    def phis(self, count: int) -> list[Traced]:
        """Return [phi_0, ..., phi_{count-1}] of this number."""
        first = self.tape.apply("phis", math.nan, self.index, extra=count)
        values = phis(count, float(self))
        return [self.tape.apply("phi", value, first.index, extra=k) for k, value in enumerate(values)]

    def piecewise(self, function: Callable[[Array], Any]) -> Traced:
        """Return `function`, constant but for jumps, of this number; it takes and returns float arrays."""
        return self.tape.apply("piecewise", float(function(np.array([float(self)]))[0]), self.index, extra=function)

    def clip(self, low: float, high: float) -> Traced:
        """Return this number, which a search keeps inside the range."""
        return self

    def is_integer(self) -> bool:
        """Return False: a number that varies is not one."""
        return False
