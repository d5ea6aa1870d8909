"""Reading a JSON document that anybody may have written: every value with its place, every mistake with its name.

JSON itself is read strictly: no decimal numbers (they would have been rounded), no NaN, no key twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from numdiff.export.rationals import DIGITS

T = TypeVar("T")

SHOWN = 60
"""Characters of a wrong value that a message shows."""


@dataclass(frozen=True)
class Node:
    """A value of a document and its place, such as ``tableaus[3].B``."""

    value: Any
    place: str = ""

    def fail(self, must: str) -> NoReturn:
        """Raise the ValueError that names the place, says what must be there and shows what is."""
        found = repr(self.value)
        found = found if len(found) <= SHOWN else f"{found[:SHOWN]}..."
        raise ValueError(f"{self.place or 'the document'} {must}, got {found}")

    def try_(self, convert: Callable[[Any], T]) -> T:
        """Return the value converted; a ValueError of the conversion comes with the place."""
        try:
            return convert(self.value)
        except ValueError as error:
            self.fail(str(error))

    def has(self, key: str) -> bool:
        """Tell whether this is an object with that key."""
        return isinstance(self.value, dict) and key in self.value

    def entries(self, *keys: str) -> dict[str, Node]:
        """Return the entries of an object that must have exactly these keys."""
        if not isinstance(self.value, dict):
            self.fail("must be an object")
        where = f" of {self.place}" if self.place else ""
        for key in keys:
            if key not in self.value:
                raise ValueError(f"key {key!r}{where} is missing; needed: {', '.join(keys)}")
        for key in self.value:
            if key not in keys:
                raise ValueError(f"key {key[:SHOWN]!r}{where} is unknown; known: {', '.join(keys)}")
        return {key: Node(self.value[key], f"{self.place}.{key}".lstrip(".")) for key in keys}

    def items(self) -> list[Node]:
        """Return the items of an array."""
        if not isinstance(self.value, list):
            self.fail("must be an array")
        return [Node(value, f"{self.place}[{i}]") for i, value in enumerate(self.value)]

    def text(self) -> str:
        """Return a string."""
        if not isinstance(self.value, str):
            self.fail("must be a string")
        return self.value

    def integer(self, low: int, high: int) -> int:
        """Return an integer from `low` to `high`."""
        if isinstance(self.value, bool) or not isinstance(self.value, int) or not low <= self.value <= high:
            self.fail(f"must be an integer from {low} to {high}")
        return self.value

    def one_of(self, known: tuple[Any, ...]) -> Any:
        """Return a value that must be one of the known ones."""
        if not any(type(self.value) is type(one) and self.value == one for one in known):  # true is not 1
            self.fail(f"must be one of {', '.join(map(repr, known))}")
        return self.value


def parse(text: str) -> Node:
    """Return the document.

    Raises
    ------
    TypeError
        If `text` is no string.
    ValueError
        If it is not JSON, or JSON that is not exact.
    """
    if not isinstance(text, str):
        raise TypeError(f"text must be a JSON string, got {type(text).__name__}")
    try:
        value = json.loads(
            text, parse_float=_no_float, parse_constant=_no_float, parse_int=_integer, object_pairs_hook=_once
        )
    except json.JSONDecodeError as error:
        raise ValueError(f"the text is not JSON: {error}") from None
    except RecursionError:
        raise ValueError("the text is nested too deeply") from None
    return Node(value)


def _no_float(text: str) -> NoReturn:
    raise ValueError(f'the number {text[:SHOWN]} is not exact; write a string "p/q"')


def _integer(text: str) -> int:
    if len(text) > DIGITS:
        raise ValueError(f"the number {text[:SHOWN]}... has {len(text)} digits, more than {DIGITS}")
    return int(text)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"key {key[:SHOWN]!r} occurs twice in one object")
            seen.add(key)
    return found
