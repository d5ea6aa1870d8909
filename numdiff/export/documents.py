"""A scheme as exact JSON that loads back to the same scheme, and a method with its steady tableau.

A scheme's document holds

    method, schedule       the class and its fields (`numdiff.export.values`)
    prediction, options    what the tableaus call f, and the arguments of `discretize`
    levels                 every level of the run, each once: time, alpha, sigma, model_time, d_alpha, d_sigma
    grid                   the N + 1 levels of the grid, by their numbers
    tableaus               A, U, B, V, a, b, Na, Nb; levels and target by number; tags; clocks where there is noise

Numbers are strings "p/q". In levels and tableaus they are floats, written as the rationals that they are, so that all
bits come back; a tableau is what was run, and is not derived again from the method when it is read.

A method's document holds its fields too, and its exact steady tableau for a reader: rational entries as strings, others
as ``{"expression": "..."}``. Only the fields are read back.
"""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

from numdiff.export import values
from numdiff.export.checks import check_scheme
from numdiff.export.nodes import Node, parse
from numdiff.export.rationals import from_fraction
from numdiff.export.steps import MATRICES, VECTORS, Levels, pick, read_level, read_tableaus, write_tableau
from numdiff.formulations import FORMULATIONS
from numdiff.methods.base import FINALS, STARTS, Method
from numdiff.methods.scheme import Scheme
from numdiff.tableau import Tableau

SCHEME, METHOD, VERSION = "numdiff scheme", "numdiff method", 1
PREDICTIONS = (*dict.fromkeys(f.prediction for f in FORMULATIONS.values()), "v")
SIZE = 64 * 2**20
"""Most characters of a document."""


def to_json(scheme: Scheme) -> str:
    """Return a scheme as JSON in which every number is exact.

    Parameters
    ----------
    scheme
        What `Method.discretize` returned.

    Returns
    -------
    str
        A document that `from_json` reads back to the same scheme: equal method, schedule and options (``orders`` as
        a tuple), and tableaus and levels equal bit for bit.

    Raises
    ------
    TypeError
        If `scheme` is none.
    ValueError
        For what has no exact form as text: tensors with gradients, biases that are arrays, a parameter that is neither
        a number nor a plain symbol.

    Examples
    --------
    >>> import json
    >>> import numdiff as nd
    >>> schedule = nd.schedules.VPLinear()
    >>> scheme = nd.GHVB(2, 0.8).discretize(schedule, nd.grids.uniform_log_snr(schedule, 4))
    >>> document = json.loads(nd.export.to_json(scheme))
    >>> len(document["tableaus"]), document["method"]["class"]
    (4, 'GHVB')
    >>> document["levels"][0]["time"], document["levels"][-1]["time"]     # floats as the fractions that they are
    ('1', '1152921504606847/1152921504606846976')
    """
    if not isinstance(scheme, Scheme):
        raise TypeError(f"scheme must be what method.discretize(schedule, grid) returns, got {scheme!r}")
    levels = Levels()
    grid = [levels.number(level, f"levels[{i}]") for i, level in enumerate(scheme.levels)]
    tableaus = [write_tableau(tableau, f"tableaus[{i}]", levels) for i, tableau in enumerate(scheme)]
    schedule = scheme.schedule
    options = dict(scheme.options)
    if options.get("orders") is not None:
        options["orders"] = [int(order) for order in options["orders"]]
    return _laid_out(
        {
            **_head(SCHEME),
            "method": values.Writer(values.methods()).object(scheme.method, "method"),
            "schedule": None if schedule is None else values.Writer(values.schedules()).object(schedule, "schedule"),
            "prediction": scheme.prediction,
            "options": options,
            "exact_starts": scheme.exact_starts,
            "levels": levels.written,
            "grid": grid,
            "tableaus": tableaus,
        }
    )


def from_json(text: str) -> Scheme:
    """Return the scheme that `to_json` wrote.

    Parameters
    ----------
    text
        The document. It may come from anybody: nothing in it is evaluated, classes are looked up among the methods and
        schedules that are defined, and sizes are limited.

    Returns
    -------
    Scheme

    Raises
    ------
    TypeError
        If `text` is no string.
    ValueError
        If it is no such document: another format or version, an unknown class, a missing or unknown key, a malformed
        number, wrong shapes, parts that do not belong to one another. The message names the place, as in
        ``tableaus[3].B[0][1]``.

    Examples
    --------
    Bit for bit the same scheme, wherever it is read:

    >>> import numdiff as nd
    >>> schedule = nd.schedules.VPLinear()
    >>> scheme = nd.GHVB(2, 0.8).discretize(schedule, nd.grids.uniform_log_snr(schedule, 4))
    >>> again = nd.export.from_json(nd.export.to_json(scheme))
    >>> again.method == scheme.method, again.levels == scheme.levels
    (True, True)
    >>> [tableau.B for tableau in again.tableaus] == [tableau.B for tableau in scheme.tableaus]
    True
    """
    names = ("method", "schedule", "prediction", "options", "exact_starts", "levels", "grid", "tableaus")
    entries = _opened(text, SCHEME, names)
    levels = [read_level(node) for node in entries["levels"].items()]
    grid = tuple(pick(node, levels) for node in entries["grid"].items())
    if len(grid) < 2:
        entries["grid"].fail("must have at least two levels")
    steps = len(grid) - 1
    schedule = entries["schedule"]
    scheme = Scheme(
        tableaus=read_tableaus(entries["tableaus"], levels),
        levels=grid,
        prediction=entries["prediction"].one_of(PREDICTIONS),
        method=_read_method(entries["method"]),
        schedule=None if schedule.value is None else values.read_object(schedule, values.schedules()),
        exact_starts=entries["exact_starts"].integer(0, steps - 1),
        options=_read_options(entries["options"]),
    )
    check_scheme(scheme, entries)
    return scheme


def method_to_json(method: Method) -> str:
    """Return a method as JSON: its parameters, and its exact steady tableau to be read by people.

    Parameters
    ----------
    method
        Any method; parameters may be symbols, or expressions, which are written for a reader and cannot be read back.

    Returns
    -------
    str
        A document that `method_from_json` reads back to an equal method.

    Raises
    ------
    TypeError
        If `method` is none.
    ValueError
        For a parameter that has no exact form as text.

    Examples
    --------
    >>> import json
    >>> import numdiff as nd
    >>> document = json.loads(nd.export.method_to_json(nd.AdamsBashforth(2)))
    >>> document["steady"]["B"], document["steady"]["V"]
    ([['3/2'], ['1']], [['1', '-1/2'], ['0', '0']])
    """
    from numdiff.symbolic.steady import steady

    if not isinstance(method, Method):
        raise TypeError(f"method must be a method such as nd.AdamsBashforth(3), got {method!r}")
    written = values.Writer(values.methods(), expressions=True).object(method, "method")
    tableau, note = None, ""
    try:
        tableau = steady(method)
    except ValueError as error:
        note = str(error)
    return _laid_out(
        {
            **_head(METHOD),
            "name": method.name,
            "reference": method.reference,
            "order": int(method.order),
            "method": written,
            "steady": None if tableau is None else _write_steady(tableau),
            "note": note,
        }
    )


def method_from_json(text: str) -> Method:
    """Return the method that `method_to_json` wrote; its steady tableau is derived anew when it is asked for.

    Parameters
    ----------
    text
        The document, which may come from anybody, as in `from_json`.

    Returns
    -------
    Method

    Raises
    ------
    TypeError, ValueError
        As `from_json`.

    Examples
    --------
    >>> import numdiff as nd
    >>> method = nd.HeavyBall(nd.DPMSolverPP(2), 0.5)
    >>> nd.export.method_from_json(nd.export.method_to_json(method)) == method
    True
    """
    names = ("name", "reference", "order", "method", "steady", "note")
    return _read_method(_opened(text, METHOD, names)["method"])


# --- both documents ---------------------------------------------------------------------------------------------------


def _head(format_: str) -> dict[str, Any]:
    import numdiff

    return {"format": format_, "version": VERSION, "numdiff": numdiff.__version__}


def _opened(text: str, format_: str, names: tuple[str, ...]) -> dict[str, Node]:
    """Return the entries of a document of this format and version."""
    if isinstance(text, str) and len(text) > SIZE:
        raise ValueError(f"the text has {len(text)} characters, more than {SIZE}")
    document = parse(text)
    head = ("format", "version", "numdiff")
    if not isinstance(document.value, dict):
        document.fail("must be an object")
    for key, wanted in (("format", format_), ("version", VERSION)):
        if key not in document.value:
            raise ValueError(f"key {key!r} is missing; this is no {format_}")
        Node(document.value[key], key).one_of((wanted,))
    return document.entries(*head, *names)


def _laid_out(document: dict[str, Any]) -> str:
    """Return JSON with one level or tableau a line."""
    lines = []
    for key, value in document.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            body = ",\n    ".join(json.dumps(item, ensure_ascii=False, allow_nan=False) for item in value)
            lines.append(f"{json.dumps(key)}: [\n    {body}\n  ]")
        else:
            lines.append(f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False, allow_nan=False)}")
    return "{\n  " + ",\n  ".join(lines) + "\n}\n"


def _read_method(node: Node) -> Method:
    try:
        method = values.read_object(node, values.methods())
    except RecursionError:
        raise ValueError(f"{node.place} is nested too deeply") from None
    if not isinstance(method, Method):
        node.fail("must be a method")
    return method


def _write_steady(tableau: Tableau) -> dict[str, Any]:
    from numdiff.symbolic.polynomials import to_sympy

    def entry(x: Any) -> Any:
        x = to_sympy(x)
        return from_fraction(Fraction(int(x.p), int(x.q))) if x.is_Rational else {"expression": str(x)}

    found: dict[str, Any] = {n: [[entry(x) for x in row] for row in getattr(tableau, n)] for n in MATRICES}
    found |= {name: [entry(x) for x in getattr(tableau, name)] for name in VECTORS}
    return {**found, "tags": list(tableau.tags)}


# --- options ----------------------------------------------------------------------------------------------------------


def _read_options(node: Node) -> tuple[tuple[str, Any], ...]:
    entries = node.entries("start", "final", "orders")
    orders = entries["orders"]
    given = None if orders.value is None else tuple(item.integer(1, values.LARGEST) for item in orders.items())
    return (("start", entries["start"].one_of(STARTS)), ("final", entries["final"].one_of(FINALS)), ("orders", given))
