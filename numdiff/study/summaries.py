"""From results to tables. Nothing is computed here but ratios, and which entry of a column is the smallest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from numdiff.study.settings import SYMBOL, DigitsSettings
from numdiff.study.tables import DASH, Cell, Table, formula, number, significant

Row = Mapping[str, Any]

BETA_SIGN = "β"


def beta(text: str) -> str:
    """Return a damping as it is shown: the letter, or a decimal."""
    from fractions import Fraction

    return BETA_SIGN if text == SYMBOL else f"{float(Fraction(text)):g}"


# --- schemes ----------------------------------------------------------------------------------------------------------


def scheme_name(row: Row) -> Cell:
    """Return the name of a scheme, Greek letters and all."""
    from numdiff.symbolic.latex import text

    return Cell(row["name"].replace("beta", BETA_SIGN), latex=text(row["name"]))


def schemes(rows: Iterable[Row], caption: str) -> Table:
    """Return the table of weights, order and error constant."""
    head = ("scheme", "weights, newest first", "order", "error constant")
    body: list[list[str | Cell]] = [
        [scheme_name(row), _weights(row["weights"]), str(row["order"]), formula(row["error_constant"])] for row in rows
    ]
    return Table(caption, head, body, "llcl")


def intervals(rows: Iterable[Row], caption: str) -> Table:
    """Return the table of stability intervals."""
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
    """Return order, error constant and real interval of the momentum families for every numerical damping."""
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
    """Return observed orders with their confidence beside the claimed ones; * marks a slope away from theory."""
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
    """Tell whether a slope lies within the tolerance of what theory expects."""
    return case["slope"] is not None and abs(case["slope"] - case["expected"]) <= tolerance


# --- digits -----------------------------------------------------------------------------------------------------------


def pick(runs: list[Row], **wanted: Any) -> list[Row]:
    """Return the runs with these entries."""
    return [run for run in runs if all(run.get(key) == value for key, value in wanted.items())]


def best(runs: Iterable[Row], key: str = "rmse") -> Row | None:
    """Return the run with the smallest entry, diverged ones left out."""
    return min((run for run in runs if not run["diverged"]), key=lambda run: run[key], default=None)


def errors(runs: list[Row], grid: str, nfe: Iterable[int], caption: str) -> Table:
    """Return RMSE and median error of every method on one grid; the smallest of each column is bold."""
    return _by_nfe(runs, grid, nfe, caption, (("rmse", "RMSE"), ("median", "median")))


def judged(runs: list[Row], grid: str, nfe: Iterable[int], reference: Row, caption: str) -> Table:
    """Return agreement, Frechet distance and overshoot of every method on one grid, and those of the reference."""
    columns = (("agreement", "agree %"), ("frechet", "Fréchet"), ("overshoot", "overshoot"))
    table = _by_nfe(runs, grid, nfe, caption, columns, mark=False)
    last: list[str | Cell] = ["reference", *(_entry(reference, key) for _ in nfe for key, _ in columns)]
    return Table(table.caption, table.head, [*table.rows, last], table.align, table.groups)


def _by_nfe(
    runs: list[Row],
    grid: str,
    nfe: Iterable[int],
    caption: str,
    columns: tuple[tuple[str, str], ...],
    *,
    mark: bool = True,
) -> Table:
    nfe, here = tuple(nfe), pick(runs, grid=grid)
    winners = {(n, key): best(pick(here, nfe=n), key) for n in nfe for key, _ in columns} if mark else {}
    body = []
    for method in dict.fromkeys(run["method"] for run in here):
        cells: list[str | Cell] = [_method_name(here, method)]
        for n in nfe:
            run = pick(here, method=method, nfe=n)[0]
            cells += [_entry(run, key, bold=mark and winners[n, key] is run) for key, _ in columns]
        body.append(cells)
    head = ["method", *(name for _ in nfe for _, name in columns)]
    groups = [("", 1), *((f"{n} evaluations", len(columns)) for n in nfe)]
    return Table(caption, head, body, "l" + "r" * (len(head) - 1), groups)


def _method_name(runs: list[Row], method: str) -> str:
    """Return the name, with a dagger if the method could not use every evaluation."""
    return method + (" †" if any(r.get("evaluations", r["nfe"]) != r["nfe"] for r in pick(runs, method=method)) else "")


def _entry(run: Row, key: str, *, bold: bool = False) -> Cell:
    if run.get("diverged"):
        return Cell("diverged")
    if key == "agreement":
        return Cell(f"{100 * run[key]:.1f}", bold=bold)
    return number(run[key], 3, bold=bold)


def times(runs: list[Row], grid: str, nfe: Iterable[int], caption: str) -> Table:
    """Return wall-clock milliseconds of every run on one grid."""
    nfe, here = tuple(nfe), pick(runs, grid=grid)
    body: list[list[str | Cell]] = []
    for method in dict.fromkeys(run["method"] for run in here):
        seconds = [pick(here, method=method, nfe=n)[0].get("seconds") for n in nfe]
        shown = ["diverged" if s is None else f"{1000 * s:.0f}" for s in seconds]
        body.append([_method_name(here, method), *shown])
    return Table(
        caption,
        ["method", *map(str, nfe)],
        body,
        "l" + "r" * len(nfe),
        (("", 1), ("milliseconds at so many evaluations", len(nfe))),
    )


def bases(settings: DigitsSettings) -> dict[str, str]:
    """Return (label of a momentum method: label of what it has at damping 1) for the methods whose base runs too."""
    plms = {spec.order: spec.label for spec in settings.methods if spec.family == "plms"}
    found = {}
    for spec in settings.methods:
        if spec.base is not None:
            found[spec.label] = spec.base.label
        elif spec.family == "ghvb" and spec.weights == "uniform" and spec.order in plms:
            found[spec.label] = plms[spec.order]
    labels = {spec.label for spec in settings.methods}
    return {method: base for method, base in found.items() if base in labels}


def momentum(
    pairs: Mapping[str, str], digits: Mapping[float, Row], grid: str, nfe: Iterable[int], caption: str
) -> Table:
    """Return the ratio of the RMSE with momentum to that of the base, for every guidance; below 1 momentum helps."""
    nfe, body = tuple(nfe), []
    for method, base in pairs.items():
        cells: list[str | Cell] = [method, base]
        for result in digits.values():
            for n in nfe:
                ratio = rmse_ratio(result["runs"], method, base, grid, n)
                cells.append(DASH if ratio is None else Cell(f"{ratio:.2f}", bold=f"{ratio:.2f}" < "1"))
        body.append(cells)
    groups = [("", 2), *((f"guidance {w:g}", len(nfe)) for w in digits)]
    return Table(
        caption,
        ["method", "base", *(str(n) for _ in digits for n in nfe)],
        body,
        "ll" + "r" * len(nfe) * len(digits),
        groups,
    )


def rmse_ratio(runs: list[Row], method: str, base: str, grid: str, nfe: int) -> float | None:
    """Return the RMSE of a method over that of its base; None if either diverged."""
    pair = [pick(runs, method=name, grid=grid, nfe=nfe)[0] for name in (method, base)]
    return None if any(run["diverged"] for run in pair) else pair[0]["rmse"] / pair[1]["rmse"]


def joined(parts: Iterable[str]) -> str:
    """Return "a", "a and b" or "a, b and c"."""
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
