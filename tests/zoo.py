"""Every method that can be found by name."""

import numdiff as nd
from numdiff.methods import FAMILIES
from numdiff.methods.registry import catalogue


def missing(alias):
    """What a name leaves open and its family needs."""
    return {k: v for k, v in FAMILIES[alias.family].example.items() if k not in alias.options}


def everything():
    """Return every registered method by name: representatives, the families' examples, the samplers of libraries."""
    found = [*nd.methods(every=True).values()]
    found += [family.member() for family in FAMILIES.values()]
    found += [nd.method(str(alias), **missing(alias)) for alias in catalogue.ALIASES]
    return {method.name: method for method in found}
