"""What a document must hold beyond its grammar: levels that are levels, and parts that belong to one another.

A level x = alpha x_0 + sigma eps has 0 <= alpha, sigma < inf, not both 0. Its time may be infinite (the clean end of a
variance-exploding schedule is at t = -inf), and so may the derivatives there. The levels of a grid fall or rise
strictly; the k-th tableau with a target ends grid step k, so that there are N of them, and their targets are the levels
after the first. Where the method's steps span several grid intervals, the targets are some of these, in order.
"""

from __future__ import annotations

import math
from typing import Any

from numdiff import grids
from numdiff.elementary import kind, vanishes
from numdiff.export.nodes import Node
from numdiff.level import Level
from numdiff.methods.checks import symbols_of
from numdiff.methods.layout import Layout
from numdiff.methods.scheme import Scheme
from numdiff.methods.single_step import SingleStep


def check_level(level: Level, node: Node) -> None:
    """Refuse a level that none could be.

    Raises
    ------
    ValueError
        With the place of what is wrong.
    """
    entries = {name: Node(value, f"{node.place}.{name}") for name, value in node.value.items()}
    for name, entry in entries.items():
        value = getattr(level, name)
        if value is None and name.startswith("d_"):
            continue
        if not _is_number(value):
            entry.fail("must be a number")
        try:
            size = float(value)
        except OverflowError:
            entry.fail("is larger than any float")
        if name in ("alpha", "sigma") and not 0 <= size < math.inf:
            entry.fail("must be finite and not negative")
    if vanishes(level.alpha) and vanishes(level.sigma):
        entries["sigma"].fail("must not be 0 where alpha is 0 too")


def _is_number(value: Any) -> bool:
    if value is None or isinstance(value, bool):
        return False
    try:
        return kind(value) != "sympy" or bool(value.is_number)
    except TypeError:
        return False


def check_scheme(scheme: Scheme, entries: dict[str, Node]) -> None:
    """Refuse a scheme whose parts do not belong to one another.

    Parameters
    ----------
    scheme
        The scheme, each part of which was read.
    entries
        The parts of its document, for their places.

    Raises
    ------
    ValueError
        With the place of what is wrong.
    """
    _check_grid(scheme, entries["grid"])
    _check_targets(scheme, entries["tableaus"])
    if symbols := sorted(map(str, symbols_of(scheme.method))):
        raise ValueError(f"method contains the symbol {', '.join(symbols)}, but the tableaus of a run are of numbers")
    _check_options(scheme, entries)


def _check_grid(scheme: Scheme, node: Node) -> None:
    try:
        grids.levels(scheme.schedule, scheme.levels)
    except ValueError as error:
        raise ValueError(f"{node.place}: {error}") from None


def _check_targets(scheme: Scheme, node: Node) -> None:
    ends = [(i, tableau.target) for i, tableau in enumerate(scheme) if tableau.target is not None]
    if isinstance(scheme.method, SingleStep):  # a step may span several grid intervals
        reached = iter(scheme.levels[1:])
        wrong = [i for i, target in ends if target not in reached]  # in order: `in` uses the iterator up to the target
        if wrong or not ends or ends[-1][1] != scheme.levels[-1]:
            raise ValueError(f"{node.place} must have targets that are levels of grid, in order, the last one included")
        return
    if len(ends) != scheme.steps:
        raise ValueError(
            f"{node.place} must have as many entries with a target as grid has steps ({scheme.steps}), got {len(ends)}"
        )
    for (i, target), level in zip(ends, scheme.levels[1:], strict=True):
        if target != level:
            Node(node.value[i]["target"], f"{node.place}[{i}].target").fail("must be the level of grid where it ends")


def _check_options(scheme: Scheme, entries: dict[str, Node]) -> None:
    """Lay the method out as the options say, without its tableaus, to compare what follows from them."""
    options, method = dict(scheme.options), scheme.method
    try:
        orders = method.check_orders(options["orders"], scheme.steps)
    except ValueError as error:
        raise ValueError(f"options.{error}" if options["orders"] else f"grid: {error}") from None
    try:
        formulation = method._formulation(scheme.schedule)
        layout = Layout(method, scheme.schedule, scheme.levels, formulation, options["start"], options["final"], orders)
        starts = layout.exact_starts
    except ValueError as error:
        raise ValueError(f"options: {error}") from None
    if scheme.prediction != formulation.prediction:
        entries["prediction"].fail(f"must be that of the method, {formulation.prediction!r}")
    if scheme.exact_starts != starts:
        entries["exact_starts"].fail(f"must be {starts}, as start is {options['start']!r}")
