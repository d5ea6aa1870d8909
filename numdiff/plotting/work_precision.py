"""Work-precision diagrams: errors against cost, doubly logarithmic, one curve a sampler."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

from numdiff.plotting.lines import _integer_ticks, _reference_slopes, checked_slopes, style_of_many
from numdiff.plotting.style import new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from numdiff.work_precision import Diagram, Series

FILLS = ("full", "none", "left")
"""Of markers: of the first eight curves, of the next eight, and so on."""

INSIDE = 8
"""Curves that a legend inside the axes names; more of them stand beside it."""

ALONE = 1.5
"""Factor to either side that an axis shows of a single cost."""

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
        A sampler has the same colour, line and marker for every error and whatever the tags. Bars, and the band about
        the error of two exact samples, are twice the standard error to either side, where there is one. Errors that
        are 0 or not finite have no place on the axes and leave their points out.

    Raises
    ------
    TypeError
        For what is no diagram, and slopes that are no numbers.
    ValueError
        For unknown names.

    Examples
    --------
    >>> import numdiff as nd
    >>> samplers = {"DDIM": nd.DDIM(), "AB2": nd.AdamsBashforth(2)}
    >>> found = nd.work_precision.diagram(samplers, nd.problems.paths.toys(), nfe=(10, 20), repeats=0)
    >>> ax = nd.plotting.work_precision(found, slopes=(1, 2))
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('model evaluations', 'root mean square error at the end')
    """
    from numdiff.work_precision import COSTS, ERRORS  # here, so that figures of other things need not load it

    places, slopes = places_of(diagram, grids), checked_slopes(slopes)
    diagram = diagram.filter(tags=tags)
    name, cost = diagram.checked(error), against or diagram.against
    series = diagram.series(name, cost, grids=grids)
    ax = new_axes(*_size(len(series))) if ax is None else ax
    points = [_points(one, name, cost) for one in series]
    for one, (x, y, bars) in zip(series, points, strict=True):
        own = style_at(places[one.records[0].label, one.records[0].grid])
        chosen: dict[str, Any] = {"label": one.name, "markersize": 4, "linewidth": 1.5, "elinewidth": 0.8} | own | style
        ax.errorbar(x, y, yerr=2 * bars if np.any(bars) else None, **chosen)
    _finish(ax, points, slopes)
    if cost in ("nfe", "steps"):
        asked = [np.array(diagram.numbers, dtype=float)] if cost == diagram.by else [x for x, _, _ in points]
        _integer_ticks(ax, asked)
    costs = {v for x, _, _ in points for v in x}
    if len(costs) == 1:  # a logarithmic axis of one value would have no scale
        ax.set_xlim(min(costs) / ALONE, max(costs) * ALONE)
    ax.set_xlabel(COSTS[cost])
    ax.set_ylabel(ERRORS[name])
    ax.set_title(diagram.heading if grids == "best" else diagram.problem, fontsize="medium")
    if name in diagram.floors:
        _floor(ax, *diagram.floors[name])
    _legend(ax, len(series))
    return ax


def places_of(diagram: Diagram, grids: str) -> dict[tuple[str, str], int]:
    """Return which curve of the whole diagram a sampler on a grid belongs to, counted from 0.

    Raises
    ------
    TypeError
        For what is no diagram.
    """
    from numdiff.work_precision import Diagram as Known

    if not isinstance(diagram, Known):
        raise TypeError(f"diagram must be a numdiff.work_precision.Diagram, as diagram() returns it; got {diagram!r}")
    keys = dict.fromkeys((r.label, r.grid) for r in diagram.records)
    each = {key: k for k, key in enumerate(keys)}
    return each if grids == "each" else {key: diagram.labels.index(key[0]) for key in keys}


def style_at(place: int) -> dict[str, Any]:
    """Return the style of a curve: eight have filled markers, eight hollow ones, eight half filled ones."""
    return style_of_many(place) | {"fillstyle": FILLS[place // 8 % len(FILLS)]}


def _size(curves: int) -> tuple[float, float]:
    """Return width and height, in inches, of a figure with room for its legend."""
    return (4.5, 3.6) if curves <= INSIDE else (7.0, max(3.6, 0.17 * curves + 0.6))


def _points(series: Series, error: str, cost: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return costs, errors and standard errors, 0 where there are none."""
    rows = [(r.cost(cost), *r.errors[error]) for r in series.records]
    x, y, bars = zip(*rows, strict=True)
    return np.array(x), np.array(y), np.array([0.0 if bar is None else bar for bar in bars])


def _floor(ax: Axes, height: float, deviation: float | None) -> None:
    """Draw the error of two exact samples, with twice its standard error to either side."""
    if not 0 < height < inf:
        return
    ax.axhline(height, color="0.5", linewidth=0.8, linestyle=(0, (1, 1)), label=FLOOR, zorder=0)
    if deviation:
        bottom = height - 2 * deviation
        low = bottom if bottom > 0 else ax.get_ylim()[0]  # a band that reaches 0 reaches the frame
        ax.axhspan(min(low, height), height + 2 * deviation, color="0.9", linewidth=0, zorder=-1)


def _finish(ax: Axes, points: list[Any], slopes: Iterable[float]) -> None:
    """Make the axes logarithmic, and draw reference slopes through the first point of the lowest curve."""
    ax.set_xscale("log")
    ax.set_yscale("log", nonpositive="clip")  # a bar that reaches 0 reaches the frame
    ax.grid(visible=True, which="major", linewidth=0.3)
    anchors = [(x[0], y[0], x[-1]) for x, y, _ in points if len(x) > 1]
    if anchors:
        _reference_slopes(ax, min(anchors, key=lambda a: a[1]), slopes)


def _legend(ax: Axes, curves: int) -> None:
    handles, labels = ax.get_legend_handles_labels()
    if not labels:
        return
    named = sorted(zip(handles, labels, strict=True), key=lambda pair: pair[1] == FLOOR)  # the curves come first
    handles, labels = [handle for handle, _ in named], [label for _, label in named]
    if curves <= INSIDE:
        ax.legend(handles, labels, frameon=False, fontsize="small")
    else:
        ax.legend(handles, labels, frameon=False, fontsize="x-small", loc="upper left", bbox_to_anchor=(1.0, 1.0))
