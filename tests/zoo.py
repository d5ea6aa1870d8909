"""Every method that can be found by name."""

import pytest

import numdiff as nd
from numdiff.methods import FAMILIES
from numdiff.methods.registry import catalogue

HEAVY = frozenset(
    {
        "AB4",
        "AB5",
        "FA3(1, momentum=1/4, error=4/5)",
        "GHVB4(4/5)",
        "GHVB5(4/5)",
        "HB(AB4, 4/5)",
        "PEC3",
        "PECE3-3",
        "PECE4-4",
    }
)
"""Members whose exact algebra takes long, each of a family that has a smaller member too."""


def by_weight(names):
    """Return members as parameters: the last light one of each family and formulation fast, the others slow."""
    members, fast = nd.methods(every=True), {}
    names = list(names)
    for name in names:
        kind = type(members[name]), members[name].formulation
        if name not in HEAVY:
            fast[kind] = name
    return [name if name in fast.values() else pytest.param(name, marks=pytest.mark.slow) for name in names]


def members_first(names):
    """Return names as parameters of a test: members of the registry fast, the samplers of libraries slow."""
    fast = nd.methods(every=True).keys() - HEAVY
    return [name if name in fast else pytest.param(name, marks=pytest.mark.slow) for name in names]


def missing(alias):
    """What a name leaves open and its family needs."""
    return {k: v for k, v in FAMILIES[alias.family].example.items() if k not in alias.options}


def everything():
    """Return every registered method by name: representatives, the families' examples, the samplers of libraries."""
    found = [*nd.methods(every=True).values()]
    found += [family.member() for family in FAMILIES.values()]
    found += [nd.method(str(alias), **missing(alias)) for alias in catalogue.ALIASES]
    return {method.name: method for method in found}
