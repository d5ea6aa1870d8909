"""Interactive figures in a browser, by plotly (extra "interactive"): work-precision diagrams.

`work_precision` makes a figure whose legend switches curves on and off, whose points say what they are, and whose two
menus choose the error and the cost. `write_html` writes it as one file that needs no network.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf, log10
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numdiff._files import write_atomically
from numdiff.plotting.style import COLOURS
from numdiff.plotting.work_precision import FLOOR

if TYPE_CHECKING:
    from numdiff.work_precision import Diagram, Record

DASHES = ("solid", "dash", "dashdot", "dot", "longdash", "longdashdot")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "cross", "star", "x")

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

    Raises
    ------
    ImportError
        Without plotly, naming the extra that brings it.
    ValueError
        For unknown names.
    """
    from numdiff.work_precision import COSTS, ERRORS

    go = _plotly()
    diagram = diagram.filter(tags=tags)
    name, cost = diagram.checked(error), against or diagram.against
    diagram.series(name, cost)  # refuses unknown names
    groups = _groups(diagram)
    figure = go.Figure(
        [go.Scatter(**_trace(k, label, rows, name, cost)) for k, (label, rows) in enumerate(groups.items())]
    )
    figure.update_layout(
        title=diagram.problem,
        template="plotly_white",
        shapes=_floor(diagram, name)["shapes"],
        annotations=_floor(diagram, name)["annotations"],
        updatemenus=[_errors_menu(diagram, groups, name), _costs_menu(groups, cost)],
    )
    figure.update_xaxes(type="log", title_text=COSTS[cost])
    figure.update_yaxes(type="log", title_text=ERRORS[name], exponentformat="power")
    return figure


def write_html(figure: Any, path: str | Path) -> Path:
    """Write a figure as one HTML file that works without a network, all or nothing, and return its path.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    target = Path(path)
    text = figure.to_html(full_html=True, include_plotlyjs=True, div_id="figure")
    write_atomically(target, text.encode())
    return target


def _groups(diagram: Diagram) -> dict[str, list[Record]]:
    """Return the records of each curve in the order of their evaluations, which both menus keep."""
    several = len({r.grid for r in diagram.records}) > 1
    groups: dict[str, list[Record]] = {}
    for r in diagram.records:
        groups.setdefault(f"{r.label}, {r.grid}" if several else r.label, []).append(r)
    return {label: sorted(rows, key=lambda r: (r.nfe, r.steps)) for label, rows in groups.items()}


def _trace(k: int, label: str, rows: Sequence[Record], error: str, cost: str) -> dict[str, Any]:
    line = {"color": COLOURS[k % len(COLOURS)], "dash": DASHES[(k + k // 8) % len(DASHES)]}
    shown = _heights(rows, error)
    return {
        "name": label,
        "x": _costs(rows, cost),
        "y": shown["y"],
        "error_y": {"type": "data", "array": shown["bars"], "thickness": 1},
        "text": shown["text"],
        "customdata": [[", ".join(r.tags), r.grid, r.steps, r.nfe, _time(r)] for r in rows],
        "hovertemplate": HOVER,
        "mode": "lines+markers",
        "line": line,
        "marker": {"symbol": SYMBOLS[(k + k // 8) % len(SYMBOLS)]},
    }


def _costs(rows: Sequence[Record], cost: str) -> list[Any]:
    return [getattr(r, cost) for r in rows]


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


def _errors_menu(diagram: Diagram, groups: dict[str, list[Record]], chosen: str) -> dict[str, Any]:
    from numdiff.work_precision import ERRORS

    buttons = []
    for error in diagram.errors:
        parts = [_heights(rows, error) for rows in groups.values()]
        data = {
            "y": [part["y"] for part in parts],
            "error_y.array": [part["bars"] for part in parts],
            "text": [part["text"] for part in parts],
        }
        layout = {"yaxis.title.text": ERRORS[error], **_floor(diagram, error)}
        buttons.append({"label": error, "method": "update", "args": [data, layout]})
    return _menu(buttons, diagram.errors.index(chosen), 0.0)


def _costs_menu(groups: dict[str, list[Record]], chosen: str) -> dict[str, Any]:
    from numdiff.work_precision import COSTS

    buttons = [
        {
            "label": f"against {cost}",
            "method": "update",
            "args": [{"x": [_costs(rows, cost) for rows in groups.values()]}, {"xaxis.title.text": text}],
        }
        for cost, text in COSTS.items()
    ]
    return _menu(buttons, list(COSTS).index(chosen), 0.25)


def _menu(buttons: list[dict[str, Any]], active: int, x: float) -> dict[str, Any]:
    place = {"x": x, "xanchor": "left", "y": 1.0, "yanchor": "bottom", "direction": "down", "showactive": True}
    return {"buttons": buttons, "active": active, **place}


def _floor(diagram: Diagram, error: str) -> dict[str, Any]:
    """Return the line, across the whole width, below which an error between samples is noise; none for other errors."""
    if error not in diagram.floors:
        return {"shapes": [], "annotations": []}
    height = diagram.floors[error][0]
    line = {"color": "gray", "dash": "dot", "width": 1}
    shape = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": height, "y1": height, "line": line}
    text = {"text": FLOOR, "xref": "paper", "x": 1, "y": log10(height), "showarrow": False, "yanchor": "bottom"}
    return {"shapes": [shape], "annotations": [text | {"xanchor": "right"}]}


def _plotly() -> Any:
    try:
        import plotly.graph_objects as go
    except ImportError as error:
        raise ImportError('interactive figures need plotly: pip install "numdiff[interactive]"') from error
    return go
