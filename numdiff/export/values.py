"""Methods and schedules as plain data: the class by name, and its fields.

A field is one of

    null, true, "text", 3                       None, a bool, text, an integer
    {"rational": "4/5"}, {"float": "1/2"}       exact numbers, and floats as the rationals that they are
    {"symbol": "beta"}                          a SymPy symbol without assumptions
    {"root": {"coefficients": [...], "index": 1}}   a real algebraic number (`numdiff.export.algebraic`)
    {"formulation": "data/log-snr"}             a formulation by name
    {"stochastic": {"base": "data/log-snr", "level": {"class": "Tau", ...}}}    one that adds noise
    {"rationals": ["1/2", "1/2"]}               tuples of rational numbers, and of floats ("floats")
    [...]                                       any other tuple
    {"class": "AdamsBashforth", "order": 2, ...}   another method, or a Butcher array

Reading looks a class up among the methods (or schedules) that exist in the process, those that the reader defined
included, and fills its fields; nothing is imported, looked up elsewhere or evaluated.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, cast

import numpy as np

from numdiff._names import nearest
from numdiff.elementary import kind
from numdiff.export import algebraic
from numdiff.export.nodes import Node
from numdiff.export.rationals import from_float, from_fraction, to_float, to_fraction
from numdiff.formulations import FORMULATIONS, Formulation
from numdiff.methods.base import Method
from numdiff.methods.butcher import Butcher
from numdiff.methods.exponential_butcher import ExponentialButcher
from numdiff.schedules import Schedule
from numdiff.sde import Eta, StochasticFormulation, Tau, stochastic

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
LARGEST = 2**63 - 1


def classes(root: type) -> dict[str, type]:
    """Return the dataclasses among the subclasses of `root`, by name; numdiff's own win over others of that name."""
    found, queue = [], [root]
    while queue:
        queue += (here := queue.pop(0)).__subclasses__()
        if dataclasses.is_dataclass(here) and not inspect.isabstract(here):
            found.append(here)
    found.sort(key=lambda cls: cls.__module__.split(".")[0] == "numdiff")
    return {cls.__name__: cls for cls in found}


def methods() -> dict[str, type]:
    """Return the classes that a method and its parts may have."""
    parts = (Butcher, ExponentialButcher, Tau, Eta)
    return {**classes(Method), **{part.__name__: part for part in parts}}


def schedules() -> dict[str, type]:
    """Return the classes that a schedule may have."""
    return classes(Schedule)


# --- writing ----------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Writer:
    """Writes values as plain data.

    Parameters
    ----------
    known
        The classes that can be read back.
    expressions
        Whether a parameter that cannot be read back may be written for a reader, as ``{"expression": "..."}``.

    Raises
    ------
    ValueError
        From every method: if a value has no exact form, with its place and the remedy.
    """

    known: Mapping[str, type]
    expressions: bool = False

    def value(self, value: Any, place: str) -> Any:
        """Return a field's value."""
        if value is None or isinstance(value, (bool, str)):
            return value
        if isinstance(value, (int, np.integer)):
            return int(value)
        if isinstance(value, tuple):
            return self._tuple(value, place)
        if isinstance(value, StochasticFormulation):
            return self._stochastic(value, place)
        if isinstance(value, Formulation):
            return _write_formulation(value, place)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return self.object(value, place)
        return self._number(value, place)

    def object(self, value: Any, place: str) -> dict[str, Any]:
        """Return a dataclass instance of a known class."""
        name = type(value).__name__
        if self.known.get(name) is not type(value):
            raise ValueError(f"{place} is a {name}, which cannot be read back; known: {', '.join(sorted(self.known))}")
        fields = [item.name for item in dataclasses.fields(cast(Any, value)) if item.init]
        return {"class": name, **{key: self.value(getattr(value, key), f"{place}.{key}") for key in fields}}

    def _stochastic(self, value: StochasticFormulation, place: str) -> dict[str, Any]:
        base = _write_formulation(value.base, f"{place}.base")["formulation"]
        return {"stochastic": {"base": base, "level": self.object(value.level, f"{place}.level")}}

    def _tuple(self, value: tuple[Any, ...], place: str) -> Any:
        for one, tag in ((Fraction, "rational"), (float, "float")):
            if value and all(isinstance(x, one) for x in value):
                return {f"{tag}s": [self._number(x, f"{place}[{i}]")[tag] for i, x in enumerate(value)]}
        return [self.value(x, f"{place}[{i}]") for i, x in enumerate(value)]

    def _number(self, value: Any, place: str) -> dict[str, Any]:
        try:
            return _write_number(value)
        except ValueError as error:
            if self.expressions and hasattr(value, "free_symbols"):
                return {"expression": str(value)}
            raise ValueError(f"{place} {error}") from error


def _write_formulation(value: Formulation, place: str) -> dict[str, str]:
    if FORMULATIONS.get(value.name) != value:
        raise ValueError(f"{place} is none of the formulations {', '.join(FORMULATIONS)}, got {value!r}")
    return {"formulation": value.name}


def _write_number(value: Any) -> dict[str, Any]:
    if isinstance(value, (float, np.floating)):
        return {"float": from_float(float(value))}
    if isinstance(value, Fraction) or getattr(value, "is_Rational", False):
        return {"rational": from_fraction(Fraction(int(value.numerator), int(value.denominator)))}
    if getattr(value, "is_Symbol", False):
        return {"symbol": _symbol_name(value)}
    if getattr(value, "is_algebraic", False) and value.is_number:
        coefficients, index = algebraic.describe(value)
        return {"root": {"coefficients": list(map(str, coefficients)), "index": index}}
    raise ValueError(refusal(value))


def refusal(value: Any) -> str:
    """Say why a value has no exact form, and what to do."""
    try:
        which = kind(value)
    except TypeError:
        which = ""
    if callable(value) and not which:
        called = getattr(value, "__name__", type(value).__name__)
        return f"is the function {called}, which text cannot hold; use numbers and windows, or `to_python` for one grid"
    if which == "torch" and value.requires_grad:
        return "carries a gradient, which JSON and source code cannot; detach it: x.detach(), float(x)"
    if which in ("torch", "numpy"):
        return f"is an array of shape {tuple(value.shape)}; only single numbers can be written"
    if which == "sympy":
        return f"is the expression {value}; only numbers and plain symbols can be read back, so put numbers into it"
    return f"is a {type(value).__name__}, which has no exact form as text"


def _symbol_name(symbol: Any) -> str:
    if symbol != type(symbol)(symbol.name):
        raise ValueError(f"is a symbol with assumptions; use sympy.Symbol({symbol.name!r})")
    if not _NAME.fullmatch(symbol.name):
        raise ValueError(f"must be a symbol of letters, digits and underscores, got {symbol.name!r}")
    return str(symbol.name)


# --- reading ----------------------------------------------------------------------------------------------------------


def read(node: Node, known: Mapping[str, type]) -> Any:
    """Return the value that `write` wrote.

    Raises
    ------
    ValueError
        If it wrote none, with its place.
    """
    if isinstance(node.value, list):
        return tuple(read(item, known) for item in node.items())
    if node.has("class"):
        return read_object(node, known)
    if node.has("expression"):
        node.fail("is an expression, which is for reading only")
    if node.has("stochastic"):
        return _read_stochastic(node.entries("stochastic")["stochastic"], known)
    if isinstance(node.value, dict):
        tag = next(iter(node.value), "")
        if tag not in _TAGS:
            node.fail(f"must have one of the keys class, {', '.join(_TAGS)}, stochastic")
        return _TAGS[tag](node.entries(tag)[tag])
    if node.value is None or isinstance(node.value, (str, bool)):
        return node.value
    return node.integer(-LARGEST, LARGEST)


def read_object(node: Node, known: Mapping[str, type]) -> Any:
    """Return the object of a known class that `write_object` wrote."""
    if not node.has("class"):
        node.fail("must be an object with a key 'class'")
    place = f"{node.place}.class"
    name = Node(node.value["class"], place).text()
    if name not in known:
        best = nearest(name, known)
        hint = f"; did you mean {best!r}?" if best else f"; known: {', '.join(sorted(known))}"
        raise ValueError(f"{place} {name[:60]!r} is unknown{hint} (a class of your own must be defined first)")
    cls = known[name]
    fields = [item.name for item in dataclasses.fields(cls) if item.init]
    entries = node.entries("class", *fields)
    values = {key: read(entries[key], known) for key in fields}
    try:
        return cls(**values)
    except (TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise ValueError(f"{node.place}: {error}") from error


def _read_symbol(node: Node) -> Any:
    name = node.text()
    if not _NAME.fullmatch(name):
        node.fail("must be a symbol's name of letters, digits and underscores")
    import sympy

    return sympy.Symbol(name)


def _read_root(node: Node) -> Any:
    entries = node.entries("coefficients", "index")
    coefficients = list(map(read_fraction, entries["coefficients"].items()))
    if any(c.denominator != 1 for c in coefficients):
        entries["coefficients"].fail("must be integers")
    index = entries["index"].integer(0, algebraic.DEGREE)
    return node.try_(lambda _: algebraic.root(list(map(int, coefficients)), index))


def _read_formulation(node: Node) -> Formulation:
    return FORMULATIONS[node.one_of(tuple(FORMULATIONS))]


def _read_stochastic(node: Node, known: Mapping[str, type]) -> Formulation:
    entries = node.entries("base", "level")
    level = read_object(entries["level"], known)
    if not isinstance(level, (Tau, Eta)):
        entries["level"].fail("must be a Tau or an Eta")
    base = entries["base"].one_of(tuple(FORMULATIONS))
    return node.try_(lambda _: stochastic(base, level) if isinstance(level, Tau) else stochastic(base, eta=level))


def read_fraction(node: Node) -> Fraction:
    """Return the rational number of a node."""
    return Node(node.text(), node.place).try_(to_fraction)


def read_float(node: Node, *, finite: bool = True) -> float:
    """Return the float of a node, bit for bit."""
    return Node(node.text(), node.place).try_(lambda text: to_float(text, finite=finite))


_TAGS = {
    "rational": read_fraction,
    "float": lambda node: read_float(node, finite=False),
    "symbol": _read_symbol,
    "root": _read_root,
    "formulation": _read_formulation,
    "rationals": lambda node: tuple(map(read_fraction, node.items())),
    "floats": lambda node: tuple(map(read_float, node.items())),
}
