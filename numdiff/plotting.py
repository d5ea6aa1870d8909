"""Figures: functions from data to axes, without computation.

Every function takes arrays that somebody else computed, draws them on `ax` (a new figure's axes if None) and returns
the axes; colours and labels can be overridden by keywords. Nothing touches pyplot's global state: new figures are
`matplotlib.figure.Figure` objects with an Agg canvas, so the functions work in scripts, threads and notebooks alike;
`save` writes one figure in several formats.

The colours are those of Okabe and Ito, which people with any colour vision tell apart; line styles and markers change
along with the colours, so that a figure printed in grey can be read too.

Source: Okabe, Ito, Color universal design (2008).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
"""Okabe and Ito, the darker ones first; yellow comes last since thin yellow lines are hard to see."""

LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)), (0, (8, 3)), (0, (3, 1)))
MARKERS = "osD^vP*X"


def new_axes(width: float = 4.5, height: float = 3.6) -> Axes:
    """Return the axes of a new figure of that size in inches, outside pyplot."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure.add_subplot()


def style_of(k: int) -> dict[str, Any]:
    """Return colour, line style and marker of the k-th curve."""
    return {"color": COLOURS[k % 8], "linestyle": LINES[k % 8], "marker": MARKERS[k % 8]}


def stability_region(
    x: ArrayLike, y: ArrayLike, inside: ArrayLike, ax: Axes | None = None, *, label: str | None = None, **style: Any
) -> Axes:
    """Draw one stability region: filled, with its boundary.

    Parameters
    ----------
    x, y
        Real and imaginary parts of the grid, shapes (n,) and (m,).
    inside
        Which points belong to the region, shape (m, n).
    ax
        Where to draw.
    label
        Name for the legend.
    **style
        ``color``, ``linestyle``, ``alpha`` of the filling, ``linewidth``.
    """
    return stability_regions(x, y, {label or "": inside}, ax, **style)


def stability_regions(
    x: ArrayLike, y: ArrayLike, regions: Mapping[str, ArrayLike], ax: Axes | None = None, **style: Any
) -> Axes:
    """Draw several stability regions over each other, the boundary of each in its own colour and line style.

    Parameters
    ----------
    x, y
        Real and imaginary parts of the grid, shapes (n,) and (m,).
    regions
        Names and boolean arrays of shape (m, n).
    ax
        Where to draw.
    **style
        ``alpha`` of the fillings, ``linewidth``, and ``color``, ``linestyle`` for all.
    """
    x, y = _grid("x", x), _grid("y", y)
    ax = new_axes() if ax is None else ax
    for k, (name, inside) in enumerate(regions.items()):
        chosen = style_of(k) | style
        values = np.asarray(inside)
        if values.shape != (y.size, x.size):
            raise ValueError(
                f"region {name!r} must have shape ({y.size}, {x.size}) = (len(y), len(x)), got {values.shape}"
            )
        ax.contourf(
            x, y, values.astype(float), levels=[0.5, 1.5], colors=[chosen["color"]], alpha=chosen.get("alpha", 0.15)
        )
        width = chosen.get("linewidth", 1.5)
        ax.contour(
            x,
            y,
            values.astype(float),
            levels=[0.5],
            colors=[chosen["color"]],
            linestyles=[chosen["linestyle"]],
            linewidths=width,
        )
        if name:  # contours have no legend entry of their own
            ax.plot([], [], color=chosen["color"], linestyle=chosen["linestyle"], linewidth=width, label=name)
    return _complex_plane(ax, legend=any(regions))


def boundary_locus(
    locus: ArrayLike, ax: Axes | None = None, *, label: str | None = None, index: int = 0, **style: Any
) -> Axes:
    """Draw a boundary locus.

    Parameters
    ----------
    locus
        Complex array, shape (branches, points) or (points,).
    ax
        Where to draw.
    label
        Name for the legend.
    index
        Which of the colours and line styles to use.
    **style
        Passed to ``ax.plot``.
    """
    ax = new_axes() if ax is None else ax
    chosen = {k: v for k, v in style_of(index).items() if k != "marker"} | style
    for k, branch in enumerate(np.atleast_2d(np.asarray(locus))):
        ax.plot(branch.real, branch.imag, label=label if k == 0 else None, **chosen)
    return _complex_plane(ax, legend=label is not None)


def order_plot(
    errors: Mapping[str, tuple[ArrayLike, ArrayLike]],
    ax: Axes | None = None,
    *,
    slopes: Iterable[float] = (),
    xlabel: str = "steps",
    ylabel: str = "error",
    **style: Any,
) -> Axes:
    """Draw errors against the number of steps, doubly logarithmic, with reference slopes.

    Parameters
    ----------
    errors
        Name -> (steps, errors), two sequences of the same length; points that are not finite and positive are left out.
    ax
        Where to draw.
    slopes
        Orders p for which a thin grey line proportional to steps^-p is drawn, through the first point of the lowest
        curve (of those with the most points).
    xlabel, ylabel
        What the axes show.
    **style
        Passed to ``ax.loglog``.
    """
    ax = new_axes() if ax is None else ax
    curves = {name: _positive(name, *points) for name, points in errors.items()}
    for k, (name, (n, e)) in enumerate(curves.items()):
        ax.loglog(n, e, **({"label": name, "markersize": 4, "linewidth": 1.5} | style_of(k) | style))
    longest = max((len(n) for n, _ in curves.values()), default=0)
    anchors = [(n[0], e[0], n[-1]) for n, e in curves.values() if len(n) == longest > 1]
    if anchors:
        _reference_slopes(ax, min(anchors, key=lambda a: a[1]), slopes)
    _integer_ticks(ax, [n for n, _ in curves.values()])
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    ax.grid(visible=True, which="major", linewidth=0.3)
    if curves:
        ax.legend(frameon=False, fontsize="small")
    return ax


def error_against_nfe(
    errors: Mapping[str, tuple[ArrayLike, ArrayLike]], ax: Axes | None = None, **options: Any
) -> Axes:
    """Draw errors against the number of model evaluations; see `order_plot`."""
    return order_plot(errors, ax, **({"xlabel": "model evaluations"} | options))


def image_grid(
    images: ArrayLike,
    ax: Axes | None = None,
    *,
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
    limits: tuple[float, float] | None = None,
    gap: int = 1,
    **style: Any,
) -> Axes:
    """Draw images in a grid.

    Parameters
    ----------
    images
        Shape (rows, columns, height, width).
    ax
        Where to draw.
    rows, columns
        Labels, one each, or none.
    limits
        Values shown as black and white; smallest and largest by default.
    gap
        Pixels between images.
    **style
        Passed to ``ax.imshow``.
    """
    array = np.asarray(images, dtype=float)
    if array.ndim != 4:
        raise ValueError(f"images must have shape (rows, columns, height, width), got {array.shape}")
    m, n, height, width = array.shape
    for name, labels, count in (("rows", rows, m), ("columns", columns, n)):
        if len(labels) not in (0, count):
            raise ValueError(f"{name} must have {count} labels or none, got {len(labels)}")
    ax = new_axes(0.5 * n + 1, 0.5 * m + 0.5) if ax is None else ax
    low, high = (np.nanmin(array), np.nanmax(array)) if limits is None else limits
    padded = np.pad(array, ((0, 0), (0, 0), (0, gap), (0, gap)), constant_values=np.nan)
    mosaic = padded.transpose(0, 2, 1, 3).reshape(m * (height + gap), n * (width + gap))
    options: dict[str, Any] = {"cmap": "gray", "vmin": low, "vmax": high, "interpolation": "nearest"} | style
    ax.imshow(mosaic, **options)
    ax.set_yticks([i * (height + gap) + height / 2 - 0.5 for i in range(m)] if rows else [], rows)
    ax.set_xticks([j * (width + gap) + width / 2 - 0.5 for j in range(n)] if columns else [], columns)
    ax.tick_params(length=0, labelsize="small", labeltop=True, labelbottom=False)
    ax.spines[:].set_visible(False)
    return ax


def save(ax: Axes, path: str | Path, formats: Sequence[str] = ("pdf", "png", "svg"), *, dpi: int = 200) -> list[Path]:
    """Write the figure of `ax` to `path` with each of the suffixes; returns the files, equal for equal figures."""
    from matplotlib import rc_context

    figure: Any = ax.figure
    written = []
    for suffix in formats:
        target = Path(path).with_suffix(f".{suffix}")
        metadata = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(suffix)
        with rc_context({"svg.hashsalt": "numdiff"}):  # or every SVG would have random names in it
            figure.savefig(target, dpi=dpi, metadata=metadata)
        written.append(target)
    return written


def _grid(name: str, values: ArrayLike) -> NDArray[np.float64]:
    grid = np.asarray(values, dtype=float)
    if grid.ndim != 1 or grid.size < 2:
        raise ValueError(f"{name} must be one-dimensional with at least two points, got shape {grid.shape}")
    return grid


def _positive(name: str, n: ArrayLike, e: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the points that a logarithmic plot can show."""
    steps, errors = np.asarray(n, dtype=float), np.asarray(e, dtype=float)
    if steps.shape != errors.shape or steps.ndim != 1:
        raise ValueError(
            f"steps and errors of {name!r} must be sequences of one length, got {steps.shape}, {errors.shape}"
        )
    shown = np.isfinite(errors) & (errors > 0)
    return steps[shown], errors[shown]


def _complex_plane(ax: Axes, *, legend: bool) -> Axes:
    """Label the axes of the z plane and mark the coordinate axes."""
    ax.axhline(0, color="0.5", linewidth=0.6, zorder=0)
    ax.axvline(0, color="0.5", linewidth=0.6, zorder=0)
    ax.set_aspect("equal")
    ax.set_xlabel(r"$\mathrm{Re}\,z$")
    ax.set_ylabel(r"$\mathrm{Im}\,z$")
    if legend:
        ax.legend(frameon=False, fontsize="small", loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return ax


def _reference_slopes(ax: Axes, anchor: tuple[float, float, float], slopes: Iterable[float]) -> None:
    """Draw thin lines of the given orders and write the order at their ends."""
    first, error, last = anchor
    for p in slopes:
        end = error * (last / first) ** -p
        ax.loglog([first, last], [error, end], color="0.6", linewidth=0.7, zorder=0)
        ax.annotate(f"{p:g}", (last, end), textcoords="offset points", xytext=(3, -2), color="0.4", fontsize="x-small")


def _integer_ticks(ax: Axes, steps: Sequence[NDArray[np.float64]]) -> None:
    """Label the numbers of steps that were measured, if they are few, rather than powers of ten."""
    values = sorted({float(n) for part in steps for n in part})
    if 0 < len(values) <= 10:
        ax.set_xticks(values, [f"{v:g}" for v in values])
        ax.set_xticks([], minor=True)
