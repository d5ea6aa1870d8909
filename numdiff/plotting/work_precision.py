"""Work-precision diagrams: errors against cost, doubly logarithmic, one curve a sampler."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from numdiff.plotting.lines import _integer_ticks, _reference_slopes
from numdiff.plotting.style import COLOURS, LINES, MARKERS, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from numdiff.work_precision import Diagram, Series

INSIDE = 8
"""Curves that a legend inside the axes names; more of them stand beside it."""

FLOOR = "two exact samples"
"""What the line is called that an error between samples cannot be told from noise below."""


def work_precision(
    diagram: Diagram,
    ax: Axes | None = None,
    *,
    error: str | None = None,
    against: str | None = None,
    tags: Iterable[str] = (),
    grids: str = "best",
    slopes: Iterable[float] = (),
    **style: Any,
) -> Axes:
    """Draw the errors of a diagram against a cost.

    Parameters
    ----------
    diagram
        From `numdiff.work_precision.diagram`.
    ax
        Where to draw.
    error, against
        Names of an error that was measured and of a cost; the diagram's own by default.
    tags
        Draw the samplers that have all of these.
    grids
        "best": one curve a sampler, on the grid that is best at each point; "each": one for every grid.
    slopes
        Orders p for which a thin grey line proportional to cost^-p is drawn.
    **style
        Passed to ``ax.errorbar``.

    Returns
    -------
    Axes
        Bars are twice the standard error to either side, where there is one. Errors that are 0 or not finite have no
        place on the axes and leave their points out.

    Raises
    ------
    ValueError
        For unknown names.
    """
    from numdiff.work_precision import COSTS, ERRORS  # here, so that figures of other things need not load it

    diagram = diagram.filter(tags=tags)
    name, cost = diagram.checked(error), against or diagram.against
    series = diagram.series(name, cost, grids=grids)
    ax = new_axes(4.5 if len(series) <= INSIDE else 7.0) if ax is None else ax
    points = [_points(one, name, cost) for one in series]
    for k, (one, (x, y, bars)) in enumerate(zip(series, points, strict=True)):
        chosen: dict[str, Any] = (
            {"label": one.name, "markersize": 4, "linewidth": 1.5, "elinewidth": 0.8} | style_of_many(k) | style
        )
        ax.errorbar(x, y, yerr=2 * bars if np.any(bars) else None, **chosen)
    if name in diagram.floors:
        ax.axhline(diagram.floors[name][0], color="0.5", linewidth=0.8, linestyle=(0, (1, 1)), label=FLOOR, zorder=0)
    _finish(ax, points, slopes)
    if cost in ("nfe", "steps"):
        asked = [np.array(diagram.numbers, dtype=float)] if cost == diagram.by else [x for x, _, _ in points]
        _integer_ticks(ax, asked)
    ax.set_xlabel(COSTS[cost])
    ax.set_ylabel(ERRORS[name])
    _legend(ax, len(series))
    return ax


def style_of_many(k: int) -> dict[str, Any]:
    """Return colour, line style and marker of the k-th curve; from the ninth on the pairs of them change."""
    shift = k + k // 8
    return {"color": COLOURS[k % 8], "linestyle": LINES[shift % 8], "marker": MARKERS[shift % 8]}


def _points(series: Series, error: str, cost: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return costs, errors and standard errors, 0 where there are none."""
    rows = [(r.cost(cost), *r.errors[error]) for r in series.records]
    x, y, bars = zip(*rows, strict=True)
    return np.array(x), np.array(y), np.array([0.0 if bar is None else bar for bar in bars])


def _finish(ax: Axes, points: list[Any], slopes: Iterable[float]) -> None:
    """Make the axes logarithmic, and draw reference slopes through the first point of the lowest curve."""
    ax.set_xscale("log")
    ax.set_yscale("log", nonpositive="clip")  # a bar that reaches 0 reaches the frame
    ax.grid(visible=True, which="major", linewidth=0.3)
    anchors = [(x[0], y[0], x[-1]) for x, y, _ in points if len(x) > 1]
    if anchors:
        _reference_slopes(ax, min(anchors, key=lambda a: a[1]), slopes)


def _legend(ax: Axes, curves: int) -> None:
    if not ax.get_legend_handles_labels()[1]:
        return
    if curves <= INSIDE:
        ax.legend(frameon=False, fontsize="small")
    else:
        ax.legend(frameon=False, fontsize="x-small", loc="upper left", bbox_to_anchor=(1.0, 1.0))
