"""Unknown names: one error message for every registry of the package, with the nearest known name.

The nearest name is the one of which the initials were asked for ("sd" of "stable-diffusion"); else the shortest that
begins with what was asked for; else ``difflib``'s, the known name whose longest matching blocks cover most of both
strings, if they cover at least 60 % of them; else the shortest that holds it. Names are compared in lower case. It is
only ever a suggestion; nothing is guessed on the caller's behalf.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import NoReturn

TELLING = 4
"""Letters from which on a part of a name says which one is meant."""


def nearest(name: object, known: Iterable[str]) -> str | None:
    """Return the known name that resembles `name` most, or None where none does or `name` is no string."""
    if not isinstance(name, str):
        return None
    by_lower_case = {candidate.lower(): candidate for candidate in known}
    part = name.lower()
    abbreviated = [known for known in by_lower_case if part == _initials(known)]
    holding = sorted((known for known in by_lower_case if len(part) >= TELLING and part in known), key=len)
    beginning = [known for known in holding if known.startswith(part)]
    found = abbreviated or beginning or difflib.get_close_matches(part, by_lower_case, n=1) or holding
    return by_lower_case[found[0]] if found else None


def _initials(name: str) -> str:
    """Return the first letters of the words of a name with hyphens; "" where it is a single word."""
    words = name.split("-")
    return "".join(word[:1] for word in words) if len(words) > 1 else ""


def suggest(name: object, known: Iterable[str], what: str) -> NoReturn:
    """Raise the error for an unknown name.

    Parameters
    ----------
    name
        What was asked for.
    known
        The names that exist.
    what
        What is named, in the singular: "schedule", "method".

    Raises
    ------
    ValueError
        Always: ``unknown schedule 'vp-liner'; did you mean 'vp-linear'? known: cosine, vp-linear``.
    """
    names = sorted(known)
    best = nearest(name, names)
    hint = f"did you mean {best!r}? " if best is not None else ""
    raise ValueError(f"unknown {what} {name!r}; {hint}known: {', '.join(names)}")
