"""The house style: new figures, colours, line styles, and files.

The colours are those of Okabe and Ito, which people with any colour vision tell apart; line styles and markers change
along with the colours, so that a figure printed in grey can be read too.

Source: Okabe, Ito, Color universal design (2008).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
"""Okabe and Ito, the darker ones first; yellow comes last since thin yellow lines are hard to see."""

#: Line styles of the curves, in the order of `COLOURS`.
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)), (0, (8, 3)), (0, (3, 1)))
#: Markers of the curves, one letter each, in the order of `COLOURS`.
MARKERS = "osD^vP*X"


def figure(rows: int = 1, columns: int = 1, width: float = 4.5, height: float = 3.6, **options: Any) -> Any:
    """Return the axes of a new figure outside pyplot.

    Parameters
    ----------
    rows, columns
        How many axes.
    width, height
        Of the whole figure, in inches.
    **options
        Passed to ``Figure.subplots``: ``sharex``, ``sharey``, ``width_ratios``.

    Returns
    -------
    ndarray of Axes
        Shape (rows, columns); the figure is ``axes[0, 0].figure``.

    Raises
    ------
    ValueError
        For rows or columns that are no whole number of at least 1.

    Examples
    --------
    >>> import numdiff as nd
    >>> axes = nd.plotting.figure(1, 2, width=6.0, height=2.5, sharey=True)
    >>> axes.shape, axes[0, 0].figure.get_size_inches().tolist()
    ((1, 2), [6.0, 2.5])
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    for name, value in (("rows", rows), ("columns", columns)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(f"{name} must be an int of at least 1, got {value!r}")
    new = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(new)
    return new.subplots(rows, columns, squeeze=False, **options)


def share(axes: Any, columns: int | None = None) -> Any:
    """Give panels that show the same things one legend above them all, and axis labels at the outer edges only.

    Parameters
    ----------
    axes
        From `figure`; the legend is that of ``axes[0, 0]``.
    columns
        Columns of the legend; by default all in one row.

    Returns
    -------
    Figure
        That of the panels.

    Examples
    --------
    >>> import numdiff as nd
    >>> axes = nd.plotting.figure(1, 2)
    >>> for ax in axes[0]:
    ...     ax = nd.plotting.order_plot({"DDIM": ([4, 8], [0.2, 0.1])}, ax)
    >>> figure = nd.plotting.share(axes)
    >>> len(figure.legends), [ax.get_legend() for ax in axes[0]], axes[0, 1].get_ylabel()
    (1, [None, None], '')
    """
    handles, labels = axes[0, 0].get_legend_handles_labels()
    for ax in axes.flat:
        if ax.get_legend() is not None:
            ax.get_legend().remove()
    for ax in axes[:-1].flat:
        ax.set_xlabel("")
    for ax in axes[:, 1:].flat:
        ax.set_ylabel("")
    whole = axes[0, 0].figure
    whole.legend(handles, labels, loc="outside upper center", ncols=columns or len(labels), frameon=False)
    return whole


def new_axes(width: float = 4.5, height: float = 3.6) -> Axes:
    """Return the axes of a new figure of that size in inches, outside pyplot.

    Parameters
    ----------
    width, height
        Of the figure, in inches.

    Returns
    -------
    Axes
        Its figure is ``ax.figure``; pyplot knows nothing of it, so there is nothing to close.

    Examples
    --------
    >>> import numdiff as nd
    >>> nd.plotting.new_axes(6.0, 2.0).figure.get_size_inches().tolist()
    [6.0, 2.0]
    """
    axes: Axes = figure(1, 1, width, height)[0, 0]
    return axes


def style_of(k: int) -> dict[str, Any]:
    """Return colour, line style and marker of the k-th curve.

    Parameters
    ----------
    k
        Number of the curve, from 0; after eight the styles come again.

    Returns
    -------
    dict
        ``color``, ``linestyle`` and ``marker``, as ``ax.plot`` takes them.

    Examples
    --------
    >>> import numdiff as nd
    >>> nd.plotting.style_of(0)
    {'color': '#0072B2', 'linestyle': '-', 'marker': 'o'}
    >>> nd.plotting.style_of(8) == nd.plotting.style_of(0)
    True
    """
    return {"color": COLOURS[k % 8], "linestyle": LINES[k % 8], "marker": MARKERS[k % 8]}


def save(
    drawn: Axes | Figure, path: str | Path, formats: Sequence[str] = ("pdf", "png", "svg"), *, dpi: int = 200
) -> list[Path]:
    """Write a figure, or that of some axes, to `path` with each of the suffixes.

    Returns the files, which are equal byte for byte for equal figures.

    Parameters
    ----------
    drawn
        A figure, or axes of it.
    path
        Where to, without suffix.
    formats
        Suffixes that matplotlib knows.
    dpi
        Of pixel formats, in dots an inch.

    Returns
    -------
    list of Path
        The files, which are equal byte for byte for equal figures.

    Examples
    --------
    >>> import tempfile
    >>> import numdiff as nd
    >>> ax = nd.plotting.order_plot({"DDIM": ([4, 8], [0.2, 0.1])})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = nd.plotting.save(ax, f"{folder}/errors", ("svg", "png"))
    ...     [file.name for file in files], files[0].read_bytes()[:5]
    (['errors.svg', 'errors.png'], b'<?xml')
    """
    from matplotlib import rc_context

    whole: Any = drawn if hasattr(drawn, "savefig") else drawn.figure
    written = []
    for suffix in formats:
        target = Path(path).with_suffix(f".{suffix}")
        metadata = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(suffix)
        with rc_context({"svg.hashsalt": "numdiff"}):  # or every SVG would have random names in it
            whole.savefig(target, dpi=dpi, metadata=metadata)
        written.append(target)
    return written


def grid_line(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """Return one axis of a grid, checked."""
    grid = np.asarray(values, dtype=float)
    if grid.ndim != 1 or grid.size < 2:
        raise ValueError(f"{name} must be one-dimensional with at least two points, got shape {grid.shape}")
    return grid
