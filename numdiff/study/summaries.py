"""From results to tables. Nothing is computed here but ratios, and which entry of a column is the smallest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from numdiff.study.digits_tables import bases, best, errors, judged, momentum, pick, rmse_ratio, times
from numdiff.study.settings import SYMBOL
from numdiff.study.tables import Cell, Table, formula, number, significant

Row = Mapping[str, Any]

BETA_SIGN = "β"


def beta(text: str) -> str:
    """Return a damping as it is shown: the letter, or a decimal.

    Parameters
    ----------
    text
        "beta", or a number such as "4/5".

    Returns
    -------
    str
        To be shown.

    Examples
    --------
    >>> from numdiff.study import summaries
    >>> [summaries.beta(text) for text in ("beta", "4/5", "1")]
    ['β', '0.8', '1']
    """
    from fractions import Fraction

    return BETA_SIGN if text == SYMBOL else f"{float(Fraction(text)):g}"


# --- schemes ----------------------------------------------------------------------------------------------------------


def scheme_name(row: Row) -> Cell:
    """Return the name of a scheme, Greek letters and all."""
    from numdiff.symbolic.latex import text

    return Cell(row["name"].replace("beta", BETA_SIGN), latex=text(row["name"]))


def schemes(rows: Iterable[Row], caption: str) -> Table:
    """Return the table of weights, order and error constant.

    Parameters
    ----------
    rows
        Records of schemes, as `numdiff.answers.summary.record` makes them.
    caption
        What the table shows.

    Returns
    -------
    Table
        With ``markdown()``, ``latex()`` and ``html()``.

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.answers.summary import derive, record
    >>> from numdiff.study import summaries
    >>> table = summaries.schemes([record(derive(nd.AdamsBashforth(2)))], "Schemes")
    >>> [getattr(cell, "text", cell) for cell in table.rows[0]]
    ['AB2', '3/2, -1/2', '2', '5/12']
    """
    head = ("scheme", "weights, newest first", "order", "error constant")
    body: list[list[str | Cell]] = [
        [scheme_name(row), _weights(row["weights"]), str(row["order"]), formula(row["error_constant"])] for row in rows
    ]
    return Table(caption, head, body, "llcl")


def intervals(rows: Iterable[Row], caption: str) -> Table:
    """Return the table of stability intervals.

    Parameters
    ----------
    rows
        Records of schemes, as `numdiff.answers.summary.record` makes them.
    caption
        What the table shows.

    Returns
    -------
    Table
        With ``markdown()``, ``latex()`` and ``html()``.

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.answers.summary import derive, record
    >>> from numdiff.study import summaries
    >>> table = summaries.intervals([record(derive(nd.AdamsBashforth(3)))], "Intervals")
    >>> [getattr(cell, "text", cell) for cell in table.rows[0]]
    ['AB3', '6/11', '12*sqrt(11)/55']
    """
    head = ("scheme", "real interval: x =", "imaginary interval: y =")
    keys = ("real_interval", "imaginary_interval")
    return Table(caption, head, [[scheme_name(row), *(formula(row[key]) for key in keys)] for row in rows], "lll")


def _weights(weights: list[dict[str, str]]) -> Cell:
    return Cell(
        ", ".join(w["text"] for w in weights),
        latex=r",\; ".join(f"${w['latex']}$" for w in weights),
        html=", ".join(w["mathml"] for w in weights),
    )


def dampings(rows: list[Row], caption: str) -> Table:
    """Return order, error constant and real interval of the momentum families for every numerical damping.

    Parameters
    ----------
    rows
        Records of schemes, as `numdiff.answers.summary.record` makes them, with ``family``, ``k`` and ``beta``.
    caption
        What the table shows.

    Returns
    -------
    Table
        With ``markdown()``, ``latex()`` and ``html()``.

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.answers.summary import derive, record
    >>> from numdiff.study import summaries
    >>> row = {"family": "GHVB", "k": 2, "beta": "1/2", **record(derive(nd.GHVB(2, 0.5)))}
    >>> table = summaries.dampings([row], "Dampings")
    >>> [getattr(cell, "text", cell) for cell in table.rows[0]]
    ['GHVB', '2', '2', '11/12', '3/2']
    """
    numeric = [row for row in rows if row["beta"] not in (None, SYMBOL)]
    betas = list(dict.fromkeys(row["beta"] for row in numeric))
    at = {(row["family"], row["k"], row["beta"]): row for row in numeric}
    body = []
    for family, k in dict.fromkeys((row["family"], row["k"]) for row in numeric):
        cells = [at[family, k, b] for b in betas]
        body.append(
            [
                family,
                str(k),
                str(cells[0]["order"]),
                *(_short(c["error_constant"]) for c in cells),
                *(_short(c["real_interval"]) for c in cells),
            ]
        )
    names = [f"{BETA_SIGN} = {beta(b)}" for b in betas]
    groups = (("", 3), ("error constant", len(betas)), ("real interval", len(betas)))
    return Table(caption, ("family", "k", "order", *names, *names), body, "lcc" + "r" * 2 * len(betas), groups)


def _short(value: dict[str, Any] | None) -> Cell:
    """Return a number as an exact fraction where that is short."""
    if value is None or value["float"] is None:
        return formula(value)
    return Cell(value["text"]) if len(value["text"]) <= 8 else number(value["float"], 4)


# --- orders -----------------------------------------------------------------------------------------------------------


def orders(cases: list[Row], caption: str) -> Table:
    """Return observed orders with their confidence beside the claimed ones; * marks a slope away from theory.

    Parameters
    ----------
    cases
        Records of observed orders: ``method``, ``problem``, ``grid``, ``start``, ``slope``, ``low``, ``high``, ...
    caption
        What the table shows.

    Returns
    -------
    Table
        With ``markdown()``, ``latex()`` and ``html()``.

    Examples
    --------
    >>> from numdiff.study import summaries
    >>> case = {"problem": "riccati", "grid": "uniform", "start": "lower", "method": "AB3", "certified": 3}
    >>> case |= {"slope": 2.02, "low": 1.98, "high": 2.06, "expected": 2}
    >>> summaries.orders([case], "Orders").rows[0][2].text
    '2.02 ± 0.04'
    """
    columns = list(dict.fromkeys((c["problem"], c["grid"], c["start"]) for c in cases if c["start"] != "none"))
    methods = list(dict.fromkeys(c["method"] for c in cases))
    body = []
    for method in methods:
        mine = [c for c in cases if c["method"] == method]
        body.append([method, str(mine[0]["certified"]), *(_slope(_find(mine, *column)) for column in columns)])
    problems = list(dict.fromkeys(c["problem"] for c in cases))
    groups = [("", 2), *((p, sum(1 for column in columns if column[0] == p)) for p in problems)]
    head = ["method", "claimed", *(f"{grid}, {start}" for _, grid, start in columns)]
    return Table(caption, head, body, "lc" + "r" * len(columns), groups)


def _find(cases: list[Row], problem: str, grid: str, start: str) -> Row | None:
    """Return the case of a column; one-step methods have no start and stand in the first column of each grid."""
    here = [c for c in cases if c["problem"] == problem and c["grid"] == grid]
    return next((c for c in here if c["start"] in (start, "none")), None)


def _slope(case: Row | None) -> Cell:
    if case is None:
        return Cell("")
    if case["slope"] is None:
        return Cell("no slope")
    star = "" if as_expected(case) else "*"
    half = (case["high"] - case["low"]) / 2
    plain = f"{case['slope']:.2f} ± {half:.2f}{star}"
    return Cell(plain, latex=rf"${case['slope']:.2f} \pm {half:.2f}${star}")


def as_expected(case: Row, tolerance: float = 0.3) -> bool:
    """Tell whether a slope lies within the tolerance of what theory expects.

    Parameters
    ----------
    case
        Record of an observed order.
    tolerance
        Of the slope.

    Returns
    -------
    bool
        False where there is no slope.

    Examples
    --------
    >>> from numdiff.study import summaries
    >>> summaries.as_expected({"slope": 2.9, "expected": 3}), summaries.as_expected({"slope": 2.1, "expected": 3})
    (True, False)
    """
    return case["slope"] is not None and abs(case["slope"] - case["expected"]) <= tolerance


def joined(parts: Iterable[str]) -> str:
    """Return "a", "a and b" or "a, b and c".

    Parameters
    ----------
    parts
        Words.

    Returns
    -------
    str
        "" for none.

    Examples
    --------
    >>> from numdiff.study import summaries
    >>> summaries.joined(["a"]), summaries.joined(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    *before, last = list(parts) or [""]
    return f"{', '.join(before)} and {last}" if before else last


__all__ = [
    "as_expected",
    "bases",
    "best",
    "beta",
    "dampings",
    "errors",
    "intervals",
    "joined",
    "judged",
    "momentum",
    "orders",
    "pick",
    "rmse_ratio",
    "schemes",
    "significant",
    "times",
]
