"""From the runs of the trained model to tables; the part of `numdiff.study.summaries` about them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from numdiff.study.settings import DigitsSettings
from numdiff.study.tables import DASH, Cell, Table, number

Row = Mapping[str, Any]


def pick(runs: list[Row], **wanted: Any) -> list[Row]:
    """Return the runs with these entries.

    Parameters
    ----------
    runs
        Records of runs: ``method``, ``grid``, ``nfe``, ``diverged``, and what was measured.
    **wanted
        Entries by name.

    Returns
    -------
    list
        In their order.

    Examples
    --------
    >>> from numdiff.study import summaries
    >>> runs = [{"method": "DDIM", "nfe": 5}, {"method": "2M", "nfe": 5}]
    >>> summaries.pick(runs, method="2M")
    [{'method': '2M', 'nfe': 5}]
    """
    return [run for run in runs if all(run.get(key) == value for key, value in wanted.items())]


def best(runs: Iterable[Row], key: str = "rmse") -> Row | None:
    """Return the run with the smallest entry, diverged ones left out.

    Parameters
    ----------
    runs
        Records of runs: ``method``, ``grid``, ``nfe``, ``diverged``, and what was measured.
    key
        Which entry.

    Returns
    -------
    dict or None
        None where no run is left.

    Examples
    --------
    >>> from numdiff.study import summaries
    >>> run = {"method": "DDIM", "grid": "log-snr", "nfe": 5, "diverged": False, "rmse": 0.4, "median": 0.2}
    >>> runs = [run, {**run, "method": "2M", "rmse": 0.3}]
    >>> summaries.best(runs)["method"], summaries.best([]) is None
    ('2M', True)
    """
    return min((run for run in runs if not run["diverged"]), key=lambda run: run[key], default=None)


def errors(runs: list[Row], grid: str, nfe: Iterable[int], caption: str) -> Table:
    """Return RMSE and median error of every method on one grid; the smallest of each column is bold.

    Parameters
    ----------
    runs
        Records of runs: ``method``, ``grid``, ``nfe``, ``diverged``, and what was measured.
    grid, nfe
        Which grid, and the numbers of evaluations, one group of columns each.
    caption
        What the table shows.

    Returns
    -------
    Table
        With ``markdown()``, ``latex()`` and ``html()``.

    Examples
    --------
    >>> from numdiff.study import summaries
    >>> run = {"method": "DDIM", "grid": "log-snr", "nfe": 5, "diverged": False, "rmse": 0.4, "median": 0.2}
    >>> runs = [run, {**run, "method": "2M", "rmse": 0.3}]
    >>> print(summaries.errors(runs, "log-snr", (5,), "Errors").markdown().rstrip())
    Errors
    <BLANKLINE>
    | method | 5 evaluations RMSE | 5 evaluations median |
    | :-- | --: | --: |
    | DDIM | 0.400 | **0.200** |
    | 2M | **0.300** | 0.200 |
    """
    return _by_nfe(runs, grid, nfe, caption, (("rmse", "RMSE"), ("median", "median")))


def judged(runs: list[Row], grid: str, nfe: Iterable[int], reference: Row, caption: str) -> Table:
    """Return agreement, Frechet distance and overshoot of every method on one grid, and those of the reference.

    Parameters
    ----------
    runs
        Records of runs: ``method``, ``grid``, ``nfe``, ``diverged``, and what was measured.
    grid, nfe
        Which grid, and the numbers of evaluations, one group of columns each.
    reference
        The same of the reference solution.
    caption
        What the table shows.

    Returns
    -------
    Table
        With ``markdown()``, ``latex()`` and ``html()``.

    Examples
    --------
    >>> from numdiff.study import summaries
    >>> run = {"method": "DDIM", "grid": "log-snr", "nfe": 5, "diverged": False}
    >>> run |= {"agreement": 0.91, "frechet": 0.4, "overshoot": 0.02}
    >>> table = summaries.judged([run], "log-snr", (5,), run, "Judged")
    >>> [[getattr(cell, "text", cell) for cell in row] for row in table.rows]
    [['DDIM', '91.0', '0.400', '0.0200'], ['reference', '91.0', '0.400', '0.0200']]
    """
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
    """Return wall-clock milliseconds of every run on one grid.

    Parameters
    ----------
    runs
        Records of runs: ``method``, ``grid``, ``nfe``, ``diverged``, and what was measured.
    grid, nfe
        Which grid, and the numbers of evaluations, one group of columns each.
    caption
        What the table shows.

    Returns
    -------
    Table
        With ``markdown()``, ``latex()`` and ``html()``.

    Examples
    --------
    >>> from numdiff.study import summaries
    >>> runs = [{"method": "DDIM", "grid": "log-snr", "nfe": 5, "seconds": 0.0123, "diverged": False}]
    >>> summaries.times(runs, "log-snr", (5,), "Times").rows
    [['DDIM', '12']]
    """
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
    """Return (label of a momentum method: label of what it has at damping 1) for the methods whose base runs too.

    Parameters
    ----------
    settings
        Of the stage.

    Returns
    -------
    dict
        Labels by label.

    Examples
    --------
    >>> from numdiff import study
    >>> from numdiff.study import summaries
    >>> summaries.bases(study.FULL.digits)["HB(PLMS4, 0.8)"]
    'PLMS4'
    """
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
    """Return the ratio of the RMSE with momentum to that of the base, for every guidance; below 1 momentum helps.

    Parameters
    ----------
    pairs
        As `bases` returns them.
    digits
        Strength of guidance -> result of the stage.
    grid, nfe
        Which grid, and the numbers of evaluations, one group of columns each.
    caption
        What the table shows.

    Returns
    -------
    Table
        With ``markdown()``, ``latex()`` and ``html()``.

    Examples
    --------
    >>> from numdiff.study import summaries
    >>> run = {"method": "DDIM", "grid": "log-snr", "nfe": 5, "diverged": False, "rmse": 0.4, "median": 0.2}
    >>> runs = [run, {**run, "method": "2M", "rmse": 0.3}]
    >>> table = summaries.momentum({"2M": "DDIM"}, {1.0: {"runs": runs}}, "log-snr", (5,), "Ratios")
    >>> [getattr(cell, "text", cell) for cell in table.rows[0]]
    ['2M', 'DDIM', '0.75']
    """
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
    """Return the RMSE of a method over that of its base; None if either diverged.

    Parameters
    ----------
    runs
        Records of runs: ``method``, ``grid``, ``nfe``, ``diverged``, and what was measured.
    method, base
        Their labels.
    grid, nfe
        Of the two runs.

    Returns
    -------
    float or None
        Below 1 the method is better.

    Examples
    --------
    >>> from numdiff.study import summaries
    >>> run = {"method": "DDIM", "grid": "log-snr", "nfe": 5, "diverged": False, "rmse": 0.4, "median": 0.2}
    >>> runs = [run, {**run, "method": "2M", "rmse": 0.3}]
    >>> print(f"{summaries.rmse_ratio(runs, '2M', 'DDIM', 'log-snr', 5):.2f}")
    0.75
    """
    pair = [pick(runs, method=name, grid=grid, nfe=nfe)[0] for name in (method, base)]
    return None if any(run["diverged"] for run in pair) else pair[0]["rmse"] / pair[1]["rmse"]
