"""What the user types, turned into values: exact numbers, lists, names, paths. Nothing is ever evaluated.

Numbers are exact: ``0.8`` is 4/5 and ``2/3`` is 2/3. Where a symbol is allowed its own name stands for it (``--beta
beta``, ``--ratio r``). Every function here is an argparse ``type`` and complains by an ArgumentTypeError, which
argparse puts behind the option's name.
"""

from __future__ import annotations

import itertools
import re
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

from numdiff._names import suggest

# Digits are limited because Fraction("1e999999999") would build that integer.
_NUMBER = re.compile(r"[+-]?(\d{1,30}/\d{1,30}|(\d{1,30}\.?|\d{0,30}\.\d{1,30})([eE][+-]?\d{1,2})?)")
_LONG = re.compile(r"[+-]?(\d+/\d+|(\d+\.?|\d*\.\d+)([eE][+-]?\d+)?)")
_RANGE = re.compile(r"(\d{1,4})(?:-(\d{1,4}))?")

MOST_STEPS = 1_000_000
LARGEST = 2**63 - 1
STRONGEST = 100


class UsageError(ValueError):
    """The command line cannot be understood."""


class UnansweredError(UsageError):
    """Some of what was asked has no answer; the rest was answered."""

    def __init__(self, each: Iterable[UsageError]) -> None:
        self.each = tuple(each)
        super().__init__("; ".join(map(str, self.each)))


class RefutedError(Exception):
    """Claims do not hold, and the user asked to be told so by the exit code."""


class Symbol(str):
    """The name of a symbol that stands for a number; `symbolic` makes it one of SymPy's."""


def number(text: str) -> Fraction:
    """Return an exact number: an integer, a decimal or a fraction."""
    if not _NUMBER.fullmatch(text):
        raise ArgumentTypeError(_beyond(text) or f"{text!r} is not a number; write 0.8, 4/5 or 1e-3")
    try:
        return Fraction(text)
    except ZeroDivisionError:
        raise ArgumentTypeError(f"{text!r} divides by zero") from None


def _beyond(text: str) -> str:
    """Say what is too much about a number that is beyond what is read; nothing for what is no number."""
    found = _LONG.fullmatch(text)
    if not found:
        return ""
    shown = repr(text if len(text) <= 40 else f"{text[:40]}...")
    if found[3] and len(found[3].lstrip("eE+-")) > 2:
        return f"{shown} is too {'small' if '-' in found[3] else 'large'}; exponents go from -99 to 99"
    return f"{shown} has too many digits; at most 30 are read"


def setting(text: str) -> tuple[str, Fraction | int | str | None]:
    """Return (name, value) from "name=value": an exact number, None for "none", or text."""
    name, equals, given = text.partition("=")
    if not (equals and re.fullmatch(r"[A-Za-z]\w*", name := name.strip().replace("-", "_")) and given.strip()):
        raise ArgumentTypeError(f"{text!r} is not NAME=VALUE, as in eta=1/2")
    given = given.strip()
    if given == "none":
        return name, None
    if not _NUMBER.fullmatch(given):
        return name, given
    value = number(given)
    return name, int(value) if value.denominator == 1 else value


def number_or(symbol: str) -> Callable[[str], Fraction | Symbol]:
    """Return a type for an exact number, or for the symbol of that name."""

    def parse(text: str) -> Fraction | Symbol:
        if text == symbol:
            return Symbol(text)
        if not _NUMBER.fullmatch(text):
            message = _beyond(text) or f"{text!r} is neither a number (0.8, 4/5) nor the symbol {symbol!r}"
            raise ArgumentTypeError(message)
        return number(text)

    return parse


def symbolic(value: Any) -> Any:
    """Return the SymPy symbol that a `Symbol` names; everything else as it is."""
    if not isinstance(value, Symbol):
        return value
    import sympy

    return sympy.Symbol(str(value))


def real(text: str) -> float:
    """Return a finite float, given as a number or a fraction."""
    return float(number(text))


def strength(text: str) -> float:
    """Return a strength of guidance, from 0 (no class) to `STRONGEST`."""
    value = real(text)
    if not 0 <= value <= STRONGEST:
        raise ArgumentTypeError(f"{text!r} is not from 0 (without a class) to {STRONGEST}; 1 is no guidance, 4 strong")
    return value


def whole(low: int, high: int = LARGEST) -> Callable[[str], int]:
    """Return a type for an integer from `low` to `high`."""

    def parse(text: str) -> int:
        value = int(text) if re.fullmatch(r"[+-]?\d{1,99}", text) else None
        if value is None or not low <= value <= high:
            too_large = value is not None and value > high
            bounds = f"from {low} to {high}" if high < LARGEST or too_large else f"of at least {low}"
            raise ArgumentTypeError(f"{text!r} is not an integer {bounds}")
        return value

    return parse


def steps(text: str) -> tuple[int, ...]:
    """Return increasing numbers of steps from "20,40,80"."""
    parts = text.split(",")
    if not all(re.fullmatch(r"\d{1,9}", part.strip()) for part in parts):
        raise ArgumentTypeError(f"{text!r} is not a list of integers; write 20,40,80")
    values = tuple(int(part) for part in parts)
    if len(values) < 3 or any(a >= b for a, b in itertools.pairwise(values)) or values[0] < 1:
        raise ArgumentTypeError(f"{text!r} must be three or more increasing numbers of steps; a slope needs them")
    if values[-1] > MOST_STEPS:
        raise ArgumentTypeError(f"{values[-1]} steps are more than {MOST_STEPS}")
    return values


def window(text: str) -> tuple[float, float, float, float]:
    """Return a rectangle from "left,right,bottom,top"."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 4:
        raise ArgumentTypeError(f"{text!r} must be four numbers: left,right,bottom,top")
    left, right, bottom, top = (real(part) for part in parts)
    if not (left < right and bottom < top):
        raise ArgumentTypeError(f"{text!r} must have left < right and bottom < top")
    return left, right, bottom, top


def labels(text: str) -> tuple[int, ...]:
    """Return classes from "3", "0-9" or "1,4,7-9"."""
    found: list[int] = []
    for part in text.split(","):
        match = _RANGE.fullmatch(part.strip())
        if not match:
            raise ArgumentTypeError(f"{text!r} is not a list of classes; write 3, 0-9 or 1,4,7-9")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise ArgumentTypeError(f"{part!r} runs backwards; write {last}-{first}")
        found += range(first, last + 1)
    return tuple(found)


def named(what: str, known: Iterable[str]) -> Callable[[str], str]:
    """Return a type for one of the known names, which suggests the nearest one for an unknown."""
    names = tuple(known)

    def parse(text: str) -> str:
        if text.lower() not in names:
            try:
                suggest(text, names, what)
            except ValueError as error:
                raise ArgumentTypeError(str(error)) from None
        return text.lower()

    return parse


def listed(what: str, known: Iterable[str]) -> Callable[[str], tuple[str, ...]]:
    """Return a type for one or more of the known names, with commas between them."""
    one = named(what, known)

    def parse(text: str) -> tuple[str, ...]:
        return tuple(one(part.strip()) for part in text.split(","))

    return parse


def output(*endings: str) -> Callable[[str], Path]:
    """Return a type for a file to be written, with one of the endings, in a folder that exists."""

    def parse(text: str) -> Path:
        path = Path(text)
        if path.suffix.lower() not in endings:
            raise ArgumentTypeError(f"{text!r} must end in {' or '.join(endings)}")
        if path.is_dir():
            raise ArgumentTypeError(f"{text!r} is a folder; give the name of a file")
        if path.parent.exists() and not path.parent.is_dir():
            raise ArgumentTypeError(f"{str(path.parent)!r} is a file, not a folder; choose another place than {text!r}")
        if not path.parent.is_dir():
            raise ArgumentTypeError(f"the folder of {text!r} does not exist; make it first")
        return path

    return parse
