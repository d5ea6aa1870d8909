"""From METHOD and its options to a method.

METHOD is a family or an alias of one, in any case, also with its order behind it ("ab3", "plms-4"), or a sampler's
name in a library ("dpmpp_2m", "UniPCMultistepScheduler"). Options that a family doesn't have are refused by the
registry, which suggests the nearest one.
"""

from __future__ import annotations

import argparse
import re
from typing import Any

from numdiff.cli.values import UsageError, symbolic
from numdiff.methods import FAMILIES
from numdiff.methods.registry import catalogue, families
from numdiff.study.settings import build

FLAGS = ("order", "beta", "momentum", "error", "real_interval", "formulation", "weights", "rule", "variant")
"""Options of families that have flags of their own; the others are given by --set."""


def split(text: str) -> tuple[str, int | None]:
    """Return (family or alias, order) from "ghvb", "ghvb3" or "ghvb-3"; other names are returned as they are.

    Raises
    ------
    UsageError
        If the text is a family with its order and a sampler's name in a library at once, and these differ.
    """
    names, name = families(), text.lower()
    if name in names:
        return name, None
    match = re.fullmatch(r"(.*?)-?(\d{1,2})", name)
    if not (match and match[1] in names and "order" in FAMILIES[names[match[1]]].options):
        return text, None
    same = [alias for alias in catalogue.aliases(text, str.lower) if alias.library != "paper"]
    if same and (same[0].family, same[0].options.get("order")) != (names[match[1]], int(match[2])):
        raise UsageError(
            f"{text} may be {match[1]} --order {match[2]}, or {same[0]}, which is {same[0].described}; write which"
        )
    return match[1], int(match[2])


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
    given = {key: symbolic(getattr(options, key)) for key in FLAGS if getattr(options, key) is not None}
    for key, value in options.set or ():
        if key in given:
            raise UsageError(f"{key} is given twice; drop --set {key}=...")
        given[key] = value
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
