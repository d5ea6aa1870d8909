"""What the results of a sweep are recognised by: the name of the function, and a hash of its code.

A name stands for a function only if looking it up gives that function. Lambdas share one name, local functions may hold
other variables each time, and methods belong to an object whose state the name does not tell; whoever sweeps these says
what their results are to be called. The hash is that of the compiled code and the default values: comments, the
docstring and the place in the file may change, and what other functions do is not in it.
"""

from __future__ import annotations

import functools
import hashlib
import json
import sys
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any

from numdiff.study.store import canonical

_REMEDY = "give name=..., another one whenever the function computes something else"


def name(function: Callable[..., Any]) -> str:
    """Return the name of a function, with the arguments that a `functools.partial` binds: "module.error(order=3)".

    Raises
    ------
    TypeError
        If another function could have the same name, or a bound argument is not plain JSON data.
    """
    if isinstance(function, functools.partial):
        bound = [f"{key}={_plain(value)}" for key, value in sorted(function.keywords.items())]
        return f"{name(function.func)}({', '.join([*map(_plain, function.args), *bound])})"
    module, path = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if module is None or path is None or _found(module, path) is not function:
        raise TypeError(
            f"function {function!r} has no name that is its own (lambdas, local functions, methods and callable "
            f"objects have none), so its results could be taken for another's; {_REMEDY}, or define it with def in a "
            "module"
        )
    if module == "__main__":  # python -m experiments.one.run: the same function as when it is imported
        module = getattr(getattr(sys.modules["__main__"], "__spec__", None), "name", module)
    return f"{module}.{path}"


def code(function: Callable[..., Any]) -> str:
    """Return the SHA-256 of a function's compiled code, and of those that it wraps; of a built-in one, of nothing."""
    texts: list[str] = []
    one: Any = function
    while one is not None:
        if not isinstance(one, functools.partial):
            texts.append(_told(one))
        one = one.func if isinstance(one, functools.partial) else getattr(one, "__wrapped__", None)
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def _plain(value: Any) -> str:
    try:
        canonical(value)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"function is a partial that binds {value!r}, which is not plain JSON data ({error}), so its results "
            f"cannot be recognised by it; {_REMEDY}"
        ) from None
    return json.dumps(value, sort_keys=True)


def _found(module: str, path: str) -> Any:
    """Return what a name stands for, or None."""
    place: Any = sys.modules.get(module)
    for part in path.split("."):
        place = getattr(place, part, None)
    return place


def _told(function: Any) -> str:
    """Return what a function's code says, the same in every process."""
    if not isinstance(function, FunctionType):
        return ""
    named = sorted((function.__kwdefaults__ or {}).items())
    return repr([_code(function.__code__, function.__doc__), _const(function.__defaults__ or ()), _const(named)])


def _code(one: CodeType, doc: str | None = None) -> list[Any]:
    constants = [_const(value) for value in one.co_consts if value is None or value != doc]
    return [one.co_code.hex(), one.co_names, one.co_varnames, constants]


def _const(value: Any) -> Any:
    """Return a constant so that its text is always the same: sets have no order, and objects have addresses."""
    if isinstance(value, CodeType):
        return _code(value)
    if isinstance(value, frozenset):
        return sorted(map(repr, value))
    if isinstance(value, (tuple, list)):
        return [_const(one) for one in value]
    plain = value is None or isinstance(value, (bool, int, float, complex, str, bytes)) or value is ...
    return value if plain else type(value).__qualname__
