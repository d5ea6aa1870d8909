"""Optimized time steps as JSON that loads back bit for bit.

A document holds the fields of `TimeSteps` but for its objective's code:

    method, schedule        the class and its fields (`numdiff.export.values`), exact
    method_name, method_repr    for a reader
    log_snr, trace, errors, certificate, ...    numbers

A float is written with the fewest digits that give back the same bits (Python's ``repr``), which every reader of JSON
that uses IEEE arithmetic returns exactly; infinities and NaN, which JSON lacks, are ``{"float": "inf"}``. Nothing in a
document is evaluated when it is read, and classes are looked up among the methods and schedules that are defined.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np

from numdiff.export import values
from numdiff.export.documents import SIZE
from numdiff.export.nodes import Node
from numdiff.methods import Method
from numdiff.methods.base import FINALS, STARTS
from numdiff.optimize.result import TimeSteps
from numdiff.schedules import Schedule

FORMAT, VERSION = "numdiff time steps", 1
CLOSE = 1e-6
"""Largest difference of the log-SNRs of one time on two machines."""
_ODD = {"inf": float("inf"), "-inf": float("-inf"), "nan": float("nan")}
_APART = ("method", "schedule", "evaluate")
_PLAIN = tuple(item.name for item in dataclasses.fields(TimeSteps) if item.name not in _APART)
_KEYS = ("method", "method_name", "method_repr", "schedule", *_PLAIN)


def to_json(result: TimeSteps) -> str:
    """Return the result as JSON.

    Raises
    ------
    TypeError
        For an option of the objective, or a number of the certificate, that JSON cannot hold; the message names it.
    ValueError
        For a method or schedule that has no exact form as text.
    """
    fields = {name: plain(getattr(result, name), name) for name in _PLAIN}
    document = {
        "format": FORMAT,
        "version": VERSION,
        "method": write_method(result.method),
        "method_name": str(result.method),
        "method_repr": repr(result.method),
        "schedule": write_schedule(result.schedule),
        **fields,
    }
    lines = (f"{json.dumps(key)}: {dumps(value)}" for key, value in document.items())
    return "{\n  " + ",\n  ".join(lines) + "\n}\n"


def from_json(text: str) -> TimeSteps:
    """Return the result that `to_json` wrote, but for `evaluate`, which is None.

    Arrays of options and certificates come back as lists.

    Raises
    ------
    TypeError
        If `text` is no string.
    ValueError
        If it is no such document; the message names the place.
    """
    document = opened(text, FORMAT, VERSION)
    entries = document.entries("format", "version", *_KEYS)
    read = {name: numbers(entries[name]) for name in _PLAIN}
    _check(read, entries)
    orders = read["orders"]
    read["orders"] = None if orders is None else tuple(orders)
    read["errors"] = None if read["errors"] is None else {k: np.asarray(v) for k, v in read["errors"].items()}
    try:
        found = TimeSteps(method=read_method(entries["method"]), schedule=read_schedule(entries["schedule"]), **read)
    except TypeError as error:
        raise ValueError(str(error)) from error
    _check_orders(found, entries["orders"])
    _check_ends(found, entries)
    return found


_KINDS: dict[str, tuple[type, ...]] = {
    "objective_name": (str,),
    "objective": (float, int),
    "initial_objective": (float, int),
    "status": (str,),
    "message": (str,),
    "certified": (bool,),
    "optimality": (float, int),
    "t_start": (float, int, type(None)),
    "t_end": (float, int, type(None)),
    "start": (str,),
    "final": (str, type(None)),
    "orders": (list, type(None)),
    "parameters": (dict,),
    "made": (bool,),
    "objective_options": (dict,),
    "log_snr": (list,),
    "trace": (list,),
    "errors": (dict, type(None)),
    "seconds": (float, int),
    "evaluations": (int,),
    "provenance": (dict,),
}


def _check(read: Mapping[str, Any], entries: Mapping[str, Node]) -> None:
    for name, kinds in _KINDS.items():
        value = read[name]
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            wanted = " or ".join("null" if kind is type(None) else kind.__name__ for kind in kinds)
            entries[name].fail(f"must be {wanted}")
    entries["start"].one_of(STARTS)
    entries["final"].one_of(FINALS)


def _check_orders(result: TimeSteps, node: Node) -> None:
    """Refuse orders that the method would refuse."""
    if result.orders is None:
        return
    try:
        result.method.check_orders(result.orders, result.steps)
    except (TypeError, ValueError) as error:
        node.fail(f"must suit the method ({error})")


def _check_ends(result: TimeSteps, entries: Mapping[str, Node]) -> None:
    """Refuse first and last times that are none, or those of other log-SNRs."""
    schedule = result.schedule
    for name, at in (("t_start", 0), ("t_end", -1)):
        time, end = getattr(result, name), float(result.log_snr[at])
        if time is None:
            continue
        if not 0 <= time <= schedule.T:
            entries[name].fail(f"must be null or a time from 0 to {schedule.T:g}")
        found = float(schedule.log_snr(float(time)))
        if found != end and not abs(found - end) <= CLOSE:
            entries[name].fail(f"must be the time of log_snr[{at}] = {end:.9g}, and not of {found:.9g}")


# --- shared with the presets ------------------------------------------------------------------------------------------


def plain(value: Any, place: str) -> Any:
    """Return a value as what JSON has: arrays and tuples as lists, dataclasses as objects.

    Raises
    ------
    TypeError
        For anything else, with its place.
    """
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(entry, f"{place}.{key}") for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry, f"{place}[{i}]") for i, entry in enumerate(value)]
    if isinstance(value, float) and value - value != 0:
        return {"float": str(value)}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"{place} is a {type(value).__name__}, which JSON cannot hold; use numbers, text, lists or dicts")


def dumps(value: Any) -> str:
    """Return JSON on one line."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def numbers(node: Node) -> Any:
    """Return the value of a node with the floats that JSON lacks."""
    return _numbers(node.value)


def _numbers(value: Any) -> Any:
    if isinstance(value, list):
        return [_numbers(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    if list(value) == ["float"] and value["float"] in _ODD:
        return _ODD[value["float"]]
    return {key: _numbers(entry) for key, entry in value.items()}


def opened(text: str, format_: str, version: int) -> Node:
    """Return a document of this format and version.

    Raises
    ------
    TypeError, ValueError
        If it is none.
    """
    if not isinstance(text, str):
        raise TypeError(f"text must be a JSON string, got {type(text).__name__}")
    if len(text) > SIZE:
        raise ValueError(f"the text has {len(text)} characters, more than {SIZE}")
    try:
        document = Node(json.loads(text, parse_constant=_refused))
    except json.JSONDecodeError as error:
        raise ValueError(f"the text is not JSON: {error}") from None
    except RecursionError:
        raise ValueError("the text is nested too deeply") from None
    for key, wanted in (("format", format_), ("version", version)):
        if not document.has(key):
            raise ValueError(f"key {key!r} is missing; this is no document of {format_}")
        Node(document.value[key], key).one_of((wanted,))
    return document


def _refused(text: str) -> NoReturn:
    raise ValueError(f'the number {text} is not JSON; write {{"float": "inf"}}, "-inf" or "nan"')


def write_method(method: Method) -> dict[str, Any]:
    """Return a method as plain data."""
    return values.Writer(values.methods()).object(method, "method")


def write_schedule(schedule: Schedule) -> dict[str, Any]:
    """Return a schedule as plain data."""
    return values.Writer(values.schedules()).object(schedule, "schedule")


def read_method(node: Node) -> Method:
    """Return the method that `write_method` wrote."""
    method = values.read_object(node, values.methods())
    if not isinstance(method, Method):
        node.fail("must be a method")
    return method


def read_schedule(node: Node) -> Schedule:
    """Return the schedule that `write_schedule` wrote."""
    schedule = values.read_object(node, values.schedules())
    assert isinstance(schedule, Schedule)
    return schedule
