"""Methods, drawn: members of every family of the registry with drawn options, and the registered ones.

A family says which options it has and not which values fit together, so its members are found by trying: every order
up to the largest, every formulation, and one value of beta. What the family refuses is left out. The trying takes a
tenth of a second and is done once. All members are drawn by one number, their place in a list from low orders to high:
a failing method shrinks to the first of the list that fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import product
from typing import Any

import numdiff
from numdiff._names import suggest
from numdiff.formulations import FORMULATIONS
from numdiff.formulations import get as formulation_of
from numdiff.methods import FAMILIES
from numdiff.methods.base import Method
from numdiff.methods.splitting import Splitting
from numdiff.testing._hypothesis import SearchStrategy, st
from numdiff.weights import MAX_ORDER

Options = dict[str, Any]
Entry = tuple[int, str, Options, Method]
LARGEST = Fraction(4, 5)
"""Damping of the simplest members: 1 would take the momentum out."""

EACH = 24
"""How often each family is in the list that is drawn from; the largest ones have about as many members."""


def methods(
    *,
    deterministic: bool | None = True,
    max_order: int = 4,
    min_beta: Fraction | float = Fraction(1, 5),
    formulations: Sequence[Any] | None = None,
    families: Sequence[str] | None = None,
    splitting: bool = False,
) -> SearchStrategy[Method]:
    """Return a strategy of methods; the simplest is Adams-Bashforth of order 1, that is DDIM.

    Parameters
    ----------
    deterministic
        True for methods without noise, False for those with it, None for both.
    max_order
        Largest order that is claimed, and largest one of the method that momentum is put on.
    min_beta
        Least damping of methods with momentum, up to 4/5; their memory is 1/beta steps long.
    formulations
        Formulations or their names, and None for methods that leave it open; all by default.
    families
        Names of `numdiff.methods.FAMILIES`; by default all, and the registered methods after them.
    splitting
        Whether to draw methods that ask for a second field beside the model.

    Returns
    -------
    SearchStrategy
        Of `numdiff.Method`.

    Raises
    ------
    ValueError
        For unknown names, bounds out of range, or if no method is left.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> import numdiff as nd
    >>> from numdiff.testing import methods
    >>> @settings(max_examples=5, database=None, deadline=None)
    ... @given(methods(max_order=3, families=["ab", "ghvb"], formulations=["noise/ratio"]))
    ... def test_certified(method):
    ...     assert nd.order.certified(method) == method.order
    >>> test_certified()
    """
    if max_order < 1 or not 0 < min_beta <= LARGEST:
        raise ValueError(f"max_order must be at least 1 and min_beta in (0, 4/5], got {max_order} and {min_beta}")
    for name in families or ():
        if name not in FAMILIES:
            suggest(name, FAMILIES, "family")
    wanted = None if formulations is None else {None if f is None else formulation_of(f) for f in formulations}

    def fits(method: Method, options: Options | None = None) -> bool:
        return (
            max(method.order, (options or {}).get("order", 0)) <= max_order
            and deterministic in (None, not method.stochastic)
            and (splitting or not isinstance(method, Splitting))
            and (wanted is None or method.formulation in wanted)
        )

    found = [(name, [one for one in _members(name) if fits(one[1], one[0])]) for name in families or FAMILIES]
    registered = [] if families else [m for m in numdiff.methods(every=True).values() if fits(m)]
    entries = [entry for name, members in found for entry in _entries(name, members)]
    entries += [(method.order, "", {}, method) for method in registered]
    if not entries:
        raise ValueError("no method of the registry is left: allow more families, formulations or orders")
    ordered = sorted(entries, key=lambda entry: entry[0])
    most = int(4 / Fraction(min_beta)) - 5
    return _drawn(ordered, most)


@st.composite
def _drawn(draw: Any, ordered: list[Entry], most: int) -> Method:
    """Draw two numbers for every method, used or not: hypothesis takes what draws fewer of them for simpler."""
    (_, name, options, method), damping = ordered[draw(st.integers(0, len(ordered) - 1))], draw(st.integers(0, most))
    if "beta" not in options:
        return method
    return FAMILIES[name].build(**{**options, "beta": Fraction(4, 5 + damping)})


def _entries(name: str, members: list[tuple[Options, Method]]) -> list[Entry]:
    """Return the members of a family, several times over in small families so that all are drawn as often."""
    again = max(1, round(EACH / len(members))) if members else 0
    return [(method.order, name, options, method) for options, method in members for _ in range(again)]


@lru_cache(maxsize=256)
def _members(name: str) -> list[tuple[Options, Method]]:
    """Return the options with which the family can be built, lowest orders first, and what they build."""
    family = FAMILIES[name]
    tried: dict[str, Sequence[Any]] = {
        "order": range(1, MAX_ORDER + 1),
        "formulation": ("", *FORMULATIONS.values()),
        "beta": (LARGEST,),
    }
    axes = [[(option, value) for value in tried[option]] for option in tried if option in family.options]
    found = []
    for values in product(*axes):
        options = {option: value for option, value in values if value != ""}
        try:
            found.append((options, family.build(**options)))
        except (TypeError, ValueError):
            continue
    return found
