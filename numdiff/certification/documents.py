r"""Certificates as JSON that loads back exactly, and as pages to read.

A document holds the fields of a `Certificate`, those of its experiments and of their estimates, by name. A float is
written with the fewest digits that give back the same bits; NaN, which stands for "there is no number", is null, and an
infinity is ``{"float": "inf"}``. A file holds

    format, version     what it is
    conditions          under which the certificates were made, for whoever resumes; {} if nobody asked
    certificates        documents, in order
    sha256              of the conditions and the certificates, so that a file that was cut or edited is noticed

What a field may hold is read off the dataclasses, so that a field that is added to them is written, read and checked
without a line here; `VERSION` counts such changes.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from numdiff._files import write_atomically
from numdiff.certification.certificate import VERDICTS, Certificate
from numdiff.certification.pages import markdown, overview, text
from numdiff.export.nodes import Node
from numdiff.properties.order.regression import OrderEstimate

__all__ = [
    "FORMAT",
    "VERSION",
    "certificate",
    "document",
    "dumps",
    "loads",
    "markdown",
    "opened",
    "overview",
    "read",
    "text",
    "write",
]

FORMAT, VERSION = "numdiff certificates", 1
_ODD = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}


def document(certificate: Certificate) -> dict[str, Any]:
    """Return a certificate as plain JSON data, with the format and its version.

    Raises
    ------
    TypeError
        If a field holds something else than it is declared to hold; the message names it.
    """
    return {"format": FORMAT, "version": VERSION, **_encoded(certificate, Certificate, "certificate")}


def certificate(document: Mapping[str, Any]) -> Certificate:
    """Return the certificate of a document.

    Raises
    ------
    ValueError
        If it is none, or one of another format or version; the message names the place.
    """
    node = Node(document, "")
    _check_format(node)
    found = _decoded(Node({k: v for k, v in document.items() if k not in ("format", "version")}), Certificate)
    assert isinstance(found, Certificate)
    if found.verdict not in VERDICTS:
        Node(found.verdict, "verdict").one_of(tuple(VERDICTS))
    return found


def dumps(certificates: Sequence[Certificate], conditions: Mapping[str, Any] | None = None) -> str:
    """Return certificates as the text of a file, with the conditions under which they were made, plain JSON data."""
    content = {"conditions": dict(conditions or {}), "certificates": [document(one) for one in certificates]}
    whole = {"format": FORMAT, "version": VERSION, **content, "sha256": _digest(content)}
    return json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def loads(text: str) -> list[Certificate]:
    """Return the certificates that `dumps` wrote; see `opened`."""
    return opened(text)[1]


def opened(text: str) -> tuple[dict[str, Any], list[Certificate]]:
    """Return the conditions and the certificates that `dumps` wrote.

    Raises
    ------
    TypeError
        If `text` is no string.
    ValueError
        If it is not JSON, of another format or version, or not what was written.
    """
    node = _parsed(text)
    _check_format(node)
    entries = node.entries("format", "version", "conditions", "certificates", "sha256")
    content = {name: entries[name].value for name in ("conditions", "certificates")}
    if entries["sha256"].text() != _digest(content):
        raise ValueError("the certificates are not those that were written: the checksum does not fit; make them anew")
    return content["conditions"], [certificate(one.value) for one in entries["certificates"].items()]


def write(path: str | Path, certificates: Sequence[Certificate], conditions: Mapping[str, Any] | None = None) -> None:
    """Write certificates to a file, all or nothing.

    Parameters
    ----------
    path
        The file.
    certificates
        What `certify` returned, in any number.
    conditions
        Under which they were made, plain JSON data; `read` leaves them out.

    Raises
    ------
    OSError
        If it cannot be written.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numdiff as nd
    >>> from numdiff.certification import Certificate, read, write
    >>> certificate = Certificate("mine:euler", 1, "flow", "toys", (), "no order", "it raises")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "certificates.json")
    ...     write(path, [certificate])
    ...     read(path) == [certificate]
    True
    """
    write_atomically(Path(path), dumps(certificates, conditions).encode())


def read(path: str | Path) -> list[Certificate]:
    """Return the certificates of a file.

    Parameters
    ----------
    path
        A file that `write`, or `certify_all`, made.

    Returns
    -------
    list of Certificate

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is damaged or of another format; the message begins with the file's name.

    Examples
    --------
    A file that was changed by hand is refused:

    >>> import pathlib, tempfile
    >>> from numdiff.certification import Certificate, read, write
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "certificates.json")
    ...     write(path, [Certificate("mine:euler", 1, "flow", "toys", (), "refuted", "it raises")])
    ...     changed = path.write_text(path.read_text().replace("refuted", "certified"))
    ...     try:
    ...         read(path)
    ...     except ValueError as error:
    ...         print(str(error).partition(".json: ")[2].partition(":")[0])
    the certificates are not those that were written
    """
    try:
        return loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:  # of which UnicodeDecodeError is one
        raise ValueError(f"{path}: {error}") from error


def _digest(content: Any) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _parsed(text: str) -> Node:
    if not isinstance(text, str):
        raise TypeError(f"text must be a JSON string, got {type(text).__name__}")
    try:
        return Node(json.loads(text, parse_constant=_refused))
    except json.JSONDecodeError as error:
        raise ValueError(f"the text is not JSON: {error}") from None
    except RecursionError:
        raise ValueError("the text is nested too deeply") from None


def _refused(text: str) -> NoReturn:
    raise ValueError(f'the number {text} is not JSON; write null for NaN and {{"float": "inf"}}')


def _check_format(node: Node) -> None:
    """Refuse what is no document of this format and version."""
    if not isinstance(node.value, Mapping):
        node.fail("must be an object")
    for key, wanted in (("format", FORMAT), ("version", VERSION)):
        if key not in node.value:
            raise ValueError(f"key {key!r} is missing; this is no document of {FORMAT}")
        Node(node.value[key], key).one_of((wanted,))


# --- values by their declared types -----------------------------------------------------------------------------------


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    """Return the declared types of a dataclass's fields."""
    hints = typing.get_type_hints(kind, localns={"OrderEstimate": OrderEstimate})
    return {item.name: hints[item.name] for item in dataclasses.fields(kind)}


def _optional(kind: Any) -> Any:
    """Return X of ``X | None``, and None of any other type."""
    if typing.get_origin(kind) not in (types.UnionType, typing.Union):
        return None
    (inner,) = (part for part in typing.get_args(kind) if part is not type(None))
    return inner


def _parts(kind: Any, count: int) -> list[Any]:
    """Return the types of the entries of a tuple type; of ``tuple[X, ...]``, `count` times X."""
    inner = typing.get_args(kind)
    return [inner[0]] * count if inner[-1] is Ellipsis else list(inner)


def _encoded(value: Any, kind: Any, place: str) -> Any:
    """Return a value of a declared type as plain data."""
    if (inner := _optional(kind)) is not None:
        missing = isinstance(value, float) and math.isnan(value)  # where null already means None
        return None if value is None else {"float": "nan"} if missing else _encoded(value, inner, place)
    if dataclasses.is_dataclass(kind) and isinstance(value, kind):  # type: ignore[arg-type]  # a class, not an instance
        hints = _hints(typing.cast(type, kind))
        return {name: _encoded(getattr(value, name), hint, f"{place}.{name}") for name, hint in hints.items()}
    if typing.get_origin(kind) is tuple and isinstance(value, (tuple, list)):
        parts = _parts(kind, len(value))
        return [_encoded(v, part, f"{place}[{i}]") for i, (v, part) in enumerate(zip(value, parts, strict=True))]
    if typing.get_origin(kind) is dict and isinstance(value, Mapping):
        inner = typing.get_args(kind)[1]
        return {str(key): _encoded(v, inner, f"{place}.{key}") for key, v in value.items()}
    return _plain(value, kind, place)


def _plain(value: Any, kind: Any, place: str) -> Any:
    """Return a number, a truth value or a string as plain data."""
    if kind is float and isinstance(value, (float, int)) and not isinstance(value, bool):
        return None if math.isnan(value) else {"float": str(float(value))} if math.isinf(value) else float(value)
    if kind in (int, str, bool) and isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
        return kind(value)
    raise TypeError(f"{place} must be {getattr(kind, '__name__', kind)}, got {value!r}")


def _decoded(node: Node, kind: Any) -> Any:
    """Return the value of a declared type that a node holds."""
    if (inner := _optional(kind)) is not None:
        return None if node.value is None else _decoded(node, inner)
    if dataclasses.is_dataclass(kind):
        make: Any = kind
        hints = _hints(make)
        return make(**{name: _decoded(entry, hints[name]) for name, entry in node.entries(*hints).items()})
    if typing.get_origin(kind) is tuple:
        items = node.items()
        parts = _parts(kind, len(items))
        if len(parts) != len(items):
            node.fail(f"must have {len(parts)} entries")
        return tuple(_decoded(item, part) for item, part in zip(items, parts, strict=True))
    if typing.get_origin(kind) is dict:
        return {key: _decoded(entry, typing.get_args(kind)[1]) for key, entry in _named(node).items()}
    return _float(node) if kind is float else _exactly(node, kind)


def _named(node: Node) -> dict[str, Node]:
    if not isinstance(node.value, dict):
        node.fail("must be an object")
    return node.entries(*node.value)


def _float(node: Node) -> float:
    value = node.value
    if isinstance(value, dict) and list(value) == ["float"] and value["float"] in _ODD:
        return _ODD[value["float"]]
    if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
        node.fail('must be a number, null or {"float": "inf"}')
    return math.nan if value is None else float(value)


def _exactly(node: Node, kind: type) -> Any:
    """Return a value of one type; true is no integer."""
    if type(node.value) is not kind:
        node.fail(f"must be of type {kind.__name__}")
    return node.value
