"""Interactive figures in a browser, by plotly (extra "interactive"): work-precision diagrams.

`work_precision` makes a figure whose legend switches samplers on and off, whose points say what they are, and whose two
menus choose the error and the cost. A sampler has one colour and one marker whatever is chosen, and its grids differ in
their dashes; samplers that have no errors of the kind that is chosen are not in the legend. `write_html` writes it as
one file that fills the window and needs no network.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf, log10
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numdiff._files import write_atomically
from numdiff.plotting.lines import FEW, spread
from numdiff.plotting.style import COLOURS
from numdiff.plotting.work_precision import ALONE, FLOOR, places_of

__all__ = ["work_precision", "write_html"]

if TYPE_CHECKING:
    from numdiff.work_precision import Diagram, Record

DASHES = ("solid", "dash", "dashdot", "dot", "longdash", "longdashdot")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "cross", "star", "x")

OPEN = ("", "-open", "-dot")
"""What is added to the markers of the first eight samplers, of the next eight, and so on."""

NEXT_TO_NOTHING = 1e-3
"""Part of its error down to which the band about a floor goes that reaches 0, which a logarithm has no place for."""

HEIGHT = "95vh"
"""Of the figure in a page: that of the window, less its margins."""

HOVER = (
    "<b>%{fullData.name}</b><br>%{customdata[0]}<br>grid %{customdata[1]}, %{customdata[2]} steps, "
    "%{customdata[3]} evaluations<br>%{customdata[4]}<br>%{text}<extra></extra>"
)
"""What a point says: label, tags, grid, steps, evaluations, time, and the error chosen."""


def work_precision(
    diagram: Diagram, *, error: str | None = None, against: str | None = None, tags: Iterable[str] = ()
) -> Any:
    """Return an interactive figure of a diagram, a curve for each sampler and grid.

    Parameters
    ----------
    diagram
        From `numdiff.work_precision.diagram`.
    error, against
        What is shown first; the diagram's own by default.
    tags
        Show the samplers that have all of these.

    Returns
    -------
    plotly.graph_objects.Figure
        One trace for each sampler and grid.

    Raises
    ------
    ImportError
        Without plotly, naming the extra that brings it.
    TypeError
        For what is no diagram.
    ValueError
        For unknown names.

    Examples
    --------
    >>> import numdiff as nd
    >>> samplers = {"DDIM": nd.DDIM(), "AB2": nd.AdamsBashforth(2)}
    >>> found = nd.work_precision.diagram(samplers, nd.problems.paths.toys(), nfe=(10, 20), repeats=0)
    >>> figure = nd.plotting.interactive.work_precision(found)
    >>> [trace.name for trace in figure.data]
    ['DDIM', 'AB2']
    """
    from numdiff.work_precision import COSTS, ERRORS

    go = _plotly()
    places = places_of(diagram, "best")
    diagram = diagram.filter(tags=tags)
    name, cost = diagram.checked(error), against or diagram.against
    diagram.series(name, cost)  # refuses unknown names
    groups = _groups(diagram)
    shown = _legend(groups, name)
    figure = go.Figure(
        [
            go.Scatter(**_trace(places[key], diagram, key, rows, name, cost), **{k: v[j] for k, v in shown.items()})
            for j, (key, rows) in enumerate(groups.items())
        ]
    )
    figure.update_layout(
        title=_title(diagram),
        template="plotly_white",
        autosize=True,
        margin={"t": 130},
        shapes=_floor(diagram, name)["shapes"],
        annotations=_floor(diagram, name)["annotations"],
        updatemenus=[_errors_menu(diagram, groups, name), _costs_menu(groups, cost)],
    )
    figure.update_xaxes(type="log", tickformat="~g", nticks=8, **_ticks(groups, cost), title_text=COSTS[cost])
    figure.update_yaxes(type="log", tickformat="~g", nticks=8, title_text=ERRORS[name])
    return figure


def write_html(figure: Any, path: str | Path) -> Path:
    """Write a figure as one HTML file that works without a network, all or nothing, and return its path.

    Parameters
    ----------
    figure
        Of plotly.
    path
        The file.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> import numdiff as nd
    >>> found = nd.work_precision.diagram({"DDIM": nd.DDIM()}, nd.problems.paths.toys(), nfe=(10, 20), repeats=0)
    >>> figure = nd.plotting.interactive.work_precision(found)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = nd.plotting.interactive.write_html(figure, f"{folder}/page.html").read_text()
    >>> "cdn.plot.ly" in page.split("<script", 1)[0], "<html" in page
    (False, True)
    """
    target = Path(path)
    text = figure.to_html(
        full_html=True,
        include_plotlyjs=True,
        div_id="figure",
        config={"responsive": True},
        default_height=HEIGHT,
    )
    write_atomically(target, text.encode())
    return target


def _groups(diagram: Diagram) -> dict[tuple[str, str], list[Record]]:
    """Return the records by sampler and grid in the order of their evaluations, which both menus keep."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for r in diagram.records:
        groups.setdefault((r.label, r.grid), []).append(r)
    return {key: sorted(rows, key=lambda r: (r.nfe, r.steps)) for key, rows in groups.items()}


def _title(diagram: Diagram) -> str:
    """Return the problem and, where there are several grids, how their curves are dashed."""
    dashes = (f"{_dash(diagram, grid)}: {grid}" for grid in diagram.grids)
    return diagram.problem + (f"<br><sup>{', '.join(dashes)}</sup>" if len(diagram.grids) > 1 else "")


def _dash(diagram: Diagram, grid: str) -> str:
    return DASHES[diagram.grids.index(grid) % len(DASHES)]


def _legend(groups: dict[tuple[str, str], list[Record]], error: str) -> dict[str, list[bool]]:
    """Return which curves are visible, those that have such an error, and which are in the legend: one a sampler."""
    visible = [any(y is not None for y in _heights(rows, error)["y"]) for rows in groups.values()]
    first: dict[str, int] = {}
    for j, (label, _) in enumerate(groups):
        if visible[j]:
            first.setdefault(label, j)
    return {"visible": visible, "showlegend": [j in first.values() for j in range(len(groups))]}


def _trace(
    place: int, diagram: Diagram, key: tuple[str, str], rows: Sequence[Record], error: str, cost: str
) -> dict[str, Any]:
    """Return a curve; `place` is that of its sampler in the whole diagram."""
    shown, symbol = _heights(rows, error), SYMBOLS[(place + place // 8) % len(SYMBOLS)]
    return {
        "name": key[0],
        "legendgroup": key[0],
        "x": _costs(rows, cost),
        "y": shown["y"],
        "error_y": {"type": "data", "array": shown["bars"], "thickness": 1},
        "text": shown["text"],
        "customdata": [[", ".join(r.tags), r.grid, r.steps, r.nfe, _time(r)] for r in rows],
        "hovertemplate": HOVER,
        "mode": "lines+markers",
        "line": {"color": COLOURS[place % len(COLOURS)], "dash": _dash(diagram, key[1])},
        "marker": {"symbol": symbol + OPEN[place // 8 % len(OPEN)], "size": 8},
    }


def _costs(rows: Sequence[Record], cost: str) -> list[Any]:
    return [getattr(r, cost) for r in rows]


def _ticks(groups: dict[tuple[str, str], list[Record]], cost: str) -> dict[str, Any]:
    """Return the labels of the axis of a cost, those numbers that were measured, and its range about a single one."""
    values = sorted({value for rows in groups.values() for value in _costs(rows, cost) if value})
    counted = cost in ("nfe", "steps") and bool(values)
    apart = 1.0 if len(values) <= FEW or not counted else (values[-1] / values[0]) ** (1 / FEW)
    alone = len(values) == 1
    return {
        "tickmode": "array" if counted else "auto",
        "tickvals": list(spread(values, apart)) if counted else None,
        "autorange": not alone,
        "range": [log10(values[0] / ALONE), log10(values[0] * ALONE)] if alone else None,
    }


def _heights(rows: Sequence[Record], error: str) -> dict[str, list[Any]]:
    """Return errors, bars of two standard errors and their text; None where a logarithm has no place for them."""
    from numdiff.work_precision import ERRORS

    values = [r.errors.get(error, (0.0, None)) for r in rows]
    shown = [0 < value < inf for value, _ in values]
    return {
        "y": [value if ok else None for (value, _), ok in zip(values, shown, strict=True)],
        "bars": [2 * se if ok and se is not None else None for (_, se), ok in zip(values, shown, strict=True)],
        "text": [f"{ERRORS[error]}: {value:.3g}" + ("" if se is None else f" ± {se:.1g}") for value, se in values],
    }


def _time(record: Record) -> str:
    if record.seconds is None:
        return "not timed"
    spread = "" if record.spread is None else f" (range {record.spread:.1g} s)"
    return f"{record.seconds:.3g} s, {record.overhead:.3g} s without the model{spread}"


def _errors_menu(diagram: Diagram, groups: dict[tuple[str, str], list[Record]], chosen: str) -> dict[str, Any]:
    from numdiff.work_precision import ERRORS

    buttons = []
    for error in diagram.errors:
        parts = [_heights(rows, error) for rows in groups.values()]
        data = {
            "y": [part["y"] for part in parts],
            "error_y.array": [part["bars"] for part in parts],
            "text": [part["text"] for part in parts],
            **_legend(groups, error),
        }
        layout = {"yaxis.title.text": ERRORS[error], **_floor(diagram, error)}
        buttons.append({"label": error, "method": "update", "args": [data, layout]})
    return _menu(buttons, diagram.errors.index(chosen), 0.0)


def _costs_menu(groups: dict[tuple[str, str], list[Record]], chosen: str) -> dict[str, Any]:
    from numdiff.work_precision import COSTS

    buttons = [
        {
            "label": f"against {cost}",
            "method": "update",
            "args": [
                {"x": [_costs(rows, cost) for rows in groups.values()]},
                {"xaxis.title.text": text} | {f"xaxis.{name}": value for name, value in _ticks(groups, cost).items()},
            ],
        }
        for cost, text in COSTS.items()
    ]
    return _menu(buttons, list(COSTS).index(chosen), 0.25)


def _menu(buttons: list[dict[str, Any]], active: int, x: float) -> dict[str, Any]:
    place = {"x": x, "xanchor": "left", "y": 1.0, "yanchor": "bottom", "direction": "down", "showactive": True}
    return {"buttons": buttons, "active": active, **place}


def _floor(diagram: Diagram, error: str) -> dict[str, Any]:
    """Return the line below which an error between samples is noise, and its standard error; none for other errors."""
    if error not in diagram.floors:
        return {"shapes": [], "annotations": []}
    height, deviation = diagram.floors[error]
    if not 0 < height < inf:
        return {"shapes": [], "annotations": []}
    across = {"xref": "paper", "x0": 0, "x1": 1}
    shapes: list[dict[str, Any]] = [
        across | {"type": "line", "y0": height, "y1": height, "line": {"color": "gray", "dash": "dot", "width": 1}}
    ]
    if deviation:
        ends = {"y0": max(height - 2 * deviation, height * NEXT_TO_NOTHING), "y1": height + 2 * deviation}
        shapes.append(across | ends | {"type": "rect", "fillcolor": "#e5e5e5", "line": {"width": 0}, "layer": "below"})
    text = {"text": FLOOR, "xref": "paper", "x": 1, "y": log10(height), "showarrow": False, "yanchor": "bottom"}
    return {"shapes": shapes, "annotations": [text | {"xanchor": "right"}]}


def _plotly() -> Any:
    try:
        import plotly.graph_objects as go
    except ImportError as error:
        raise ImportError('interactive figures need plotly: pip install "numdiff[interactive]"') from error
    return go
