"""Checks of what callers give, in their terms and with the remedy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from numdiff._names import suggest
from numdiff.certification.subject import SCALES, Setting


def words(name: str, given: Any, example: str) -> tuple[str, ...]:
    """Return a word or some words as a tuple without repetition.

    Raises
    ------
    TypeError
        For anything else, with an example of what is wanted.
    """
    found = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, Iterable) else None
    if found is None or not all(isinstance(word, str) for word in found):
        raise TypeError(f"{name} must be a name or a sequence of names such as {example}, got {given!r}")
    return tuple(dict.fromkeys(found))


def pair(name: str, given: Any) -> tuple[float, float]:
    """Return two numbers.

    Raises
    ------
    TypeError
        For anything else.
    """
    items = tuple(given) if isinstance(given, (tuple, list, np.ndarray)) else ()
    if len(items) != 2 or not all(_real(item) for item in items):
        raise TypeError(f"{name} must be two numbers, the first and the last log-SNR, such as (-5, 4.5); got {given!r}")
    return float(items[0]), float(items[1])


def whole(name: str, given: Any, least: int) -> int:
    """Return a whole number of at least `least`.

    Raises
    ------
    ValueError
        For anything else.
    """
    if isinstance(given, bool) or not isinstance(given, (int, np.integer)) or given < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {given!r}")
    return int(given)


def setting(given: Any) -> Setting:
    """Return the setting of the runs, the default one for None.

    Raises
    ------
    TypeError
        For anything but a `Setting`.
    """
    if given is None:
        return Setting()
    if not isinstance(given, Setting):
        raise TypeError(
            f"setting must be a Setting, as numdiff.certification.subject.Setting(precision='shipped'), got {given!r}"
        )
    return given


def mapping(name: str, given: Any, example: str) -> Mapping[str, Any]:
    """Return a mapping from labels, which are words.

    Raises
    ------
    TypeError
        For anything else.
    """
    if not isinstance(given, Mapping):
        raise TypeError(f"{name} must be a mapping such as {example}, got {given!r}")
    for label in given:
        if not isinstance(label, str):
            raise TypeError(f"labels of {name} must be strings, got {label!r}; write {str(label)!r}")
    return given


def scale(given: Any) -> str:
    """Return the name of a scale in which a method can run.

    Raises
    ------
    ValueError
        For another.
    """
    known = (*SCALES, "time")
    if not isinstance(given, str) or given not in known:
        suggest(given, known, "scale")
    return given


def _real(value: Any) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
