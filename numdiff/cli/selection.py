"""From METHOD and its options to a method.

METHOD is what `numdiff.methods.find` finds: a family or an alias of one, in any case, also with its order behind it
("ab3", "plms-4"), or a sampler's name in a library ("dpmpp_2m", "UniPCMultistepScheduler"). Options that a family
doesn't have are refused by the registry, which suggests the nearest one.
"""

from __future__ import annotations

import argparse
from typing import Any

from numdiff import grids
from numdiff.cli.values import UsageError, symbolic
from numdiff.methods import find
from numdiff.methods.registry import catalogue
from numdiff.study.settings import build

FLAGS = ("order", "beta", "momentum", "error", "real_interval", "formulation", "weights", "rule", "variant")
"""Options of families that have flags of their own; the others are given by --set."""


def split(text: str) -> tuple[str, int | None]:
    """Return (family, order) from a family with its order ("ghvb3", "ghvb-3"); other names are returned as they are.

    Raises
    ------
    ValueError
        As `numdiff.methods.find`, which decides what a name stands for.
    """
    found = find(text)
    if found.order is None:
        return text, None
    return found.family + text.strip()[len(catalogue.split_grid(text.strip())[0]) :], found.order


def grid(options: argparse.Namespace, default: str) -> str:
    """Return the name of the grid: that of --grid, or that of a word behind METHOD ("DPM++ 2M Karras"), or `default`.

    Raises
    ------
    UsageError
        If the word asks for a grid that needs more than a number of steps.
    """
    maker = find(options.method).grid
    if options.grid is not None or maker is None:
        return options.grid or default
    for name, make in grids.NAMED.items():
        if maker == f"nd.grids.{make.__name__}":
            return name
    raise UsageError(
        f"{options.method} asks for a grid of its own, which {maker} makes in Python; choose one by --grid "
        f"{'|'.join(grids.NAMED)}"
    )


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
