"""From METHOD and its options to a method.

METHOD is a family or an alias of one, in any case, also with its order behind it ("ab3", "plms-4"). Options that a
family doesn't have are refused by the registry, which suggests the nearest one.
"""

from __future__ import annotations

import argparse
import re
from typing import Any

from numdiff.cli.values import UsageError, symbolic
from numdiff.methods import FAMILIES
from numdiff.study.settings import build

OPTIONS = ("order", "beta", "momentum", "error", "real_interval", "formulation", "weights", "rule", "variant")


def known_names() -> dict[str, str]:
    """Return (name or alias: family)."""
    return {name: key for key, family in FAMILIES.items() for name in (key, *family.aliases)}


def split(text: str) -> tuple[str, int | None]:
    """Return (family or alias, order) from "ghvb", "ghvb3" or "ghvb-3"; unknown names are returned as they are."""
    names, name = known_names(), text.lower()
    if name in names:
        return name, None
    match = re.fullmatch(r"(.*?)-?(\d{1,2})", name)
    if match and match[1] in names and "order" in FAMILIES[names[match[1]]].options:
        return match[1], int(match[2])
    return text, None


def chosen(options: argparse.Namespace) -> Any:
    """Return the method that the options describe.

    Raises
    ------
    ValueError
        For unknown names, options that the family does not have, and values out of range.
    """
    try:
        return _built(options)
    except TypeError as error:  # an option that the family lacks: here it came from the command line, so a mistake
        raise UsageError(str(error)) from error


def _built(options: argparse.Namespace) -> Any:
    name, order = split(options.method)
    given = {key: symbolic(getattr(options, key)) for key in OPTIONS if getattr(options, key) is not None}
    if options.base is None:
        return build(name, _with_order(given, order, options.method))
    if order is not None:
        base, own = split(options.base)
        remedy = f"{name} --base {base}{order if own is None else own}"
        raise UsageError(f"{options.method} gives an order, but that belongs to --base; write {remedy}")
    base, order = split(options.base)
    inner = _with_order({key: value for key, value in given.items() if key != "beta"}, order, options.base)
    return build(name, {"beta": given["beta"]} if "beta" in given else {}, build(base, inner))


def _with_order(given: dict[str, Any], order: int | None, name: str) -> dict[str, Any]:
    if order is None:
        return given
    if given.get("order", order) != order:
        raise UsageError(f"{name} has order {order}, but --order says {given['order']}; give one of them")
    return {**given, "order": order}
