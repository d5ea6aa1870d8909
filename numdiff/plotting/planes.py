"""Sets in a plane: stability regions, boundary loci, order stars."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from numdiff.plotting.style import COLOURS, grid_line, new_axes, style_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RE_Z, IM_Z = r"$\mathrm{Re}\,z$", r"$\mathrm{Im}\,z$"
GROWS, FALLS = "0.72", "1.0"
"""Greys of an order star: where the method grows faster than the solution, and where more slowly."""


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

    Returns
    -------
    Axes
        Those drawn on: `ax`, or a new figure's.

    Raises
    ------
    ValueError
        For an axis of fewer than two points, or of more than one dimension.

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> x, y = np.linspace(-1.2, 0.4, 33), np.linspace(-1, 1, 41)
    >>> inside = nd.stability.region(nd.AdamsBashforth(2), x + 1j * y[:, None])
    >>> ax = nd.plotting.stability_region(x, y, inside, label="AB2")
    >>> print(f"{inside[20].mean() * (x[-1] - x[0]):.1f}")  # the interval (-1, 0), seen on this grid
    1.0
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

    Returns
    -------
    Axes
        Those drawn on: `ax`, or a new figure's.

    Raises
    ------
    ValueError
        For an axis of fewer than two points, or of more than one dimension.

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> x, y = np.linspace(-2.2, 0.4, 27), np.linspace(-1.2, 1.2, 25)
    >>> z = x + 1j * y[:, None]
    >>> regions = {name: nd.stability.region(nd.method(name), z) for name in ("ab1", "ab2")}
    >>> ax = nd.plotting.stability_regions(x, y, regions)
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['ab1', 'ab2']
    >>> int(regions["ab1"].sum()) > int(regions["ab2"].sum())
    True
    """
    ax = new_axes() if ax is None else ax
    _regions(x, y, regions, ax, style)
    return _complex_plane(ax, legend=any(regions))


def plane_regions(
    x: ArrayLike,
    y: ArrayLike,
    regions: Mapping[str, ArrayLike],
    ax: Axes | None = None,
    *,
    xlabel: str,
    ylabel: str,
    line: tuple[ArrayLike, ArrayLike] | None = None,
    line_label: str = "",
    **style: Any,
) -> Axes:
    """Draw several regions over each other in a plane of two real parameters.

    Parameters
    ----------
    x, y
        The grid, shapes (n,) and (m,), in the units of the labels.
    regions
        Names and boolean arrays of shape (m, n).
    ax
        Where to draw.
    xlabel, ylabel
        What the axes show, with units.
    line
        Points (x, y) of a curve to compare with, thin and grey: where the exact solution is stable, say.
    line_label
        Its name in the legend.
    **style
        As in `stability_regions`.

    Returns
    -------
    Axes
        Those drawn on: `ax`, or a new figure's.

    Raises
    ------
    ValueError
        For an axis of fewer than two points, or of more than one dimension.

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> c, h = np.linspace(-2, 0, 21), np.linspace(0.1, 3, 30)
    >>> stable = abs(1 + c * h[:, None]) <= 1  # Euler on y' = c y
    >>> ax = nd.plotting.plane_regions(c, h, {"Euler": stable}, xlabel="c", ylabel="h", line=(c[:-1], -2 / c[:-1]))
    >>> ax.get_xlabel(), float(ax.get_ylim()[1])
    ('c', 3.0)
    """
    ax = new_axes() if ax is None else ax
    _regions(x, y, regions, ax, style)
    if line is not None:
        ax.plot(*map(np.asarray, line), color="0.35", linewidth=0.9, label=line_label or None)
    ax.set_xlim(np.min(x), np.max(x))
    ax.set_ylim(np.min(y), np.max(y))
    ax.axhline(0, color="0.5", linewidth=0.6, zorder=0)
    ax.axvline(0, color="0.5", linewidth=0.6, zorder=0)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    if any(regions) or line_label:
        ax.legend(frameon=False, fontsize="small", loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return ax


def order_star(
    x: ArrayLike, y: ArrayLike, values: ArrayLike, ax: Axes | None = None, *, label: str | None = None, **style: Any
) -> Axes:
    """Draw an order star: grey where the logarithm of the growth ratio is positive, white where it is negative.

    Parameters
    ----------
    x, y
        Real and imaginary parts of the grid, shapes (n,) and (m,).
    values
        log|zeta(z) e^{-z}|, shape (m, n), -inf allowed.
    ax
        Where to draw.
    label
        Written above the axes.
    **style
        ``color`` and ``linewidth`` of the zero contour.

    Returns
    -------
    Axes
        Those drawn on: `ax`, or a new figure's.

    Raises
    ------
    ValueError
        For an axis of fewer than two points, or of more than one dimension.

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> x = y = np.linspace(-3, 3, 60)
    >>> z = x + 1j * y[:, None]
    >>> ax = nd.plotting.order_star(x, y, np.log(abs(1 + z)) - z.real, label="Euler")
    >>> ax.get_title()
    'Euler'
    """
    x, y = grid_line("x", x), grid_line("y", y)
    ax = new_axes() if ax is None else ax
    shown = np.clip(_on_grid("values", values, x, y).astype(float), -1e3, 1e3)
    ax.contourf(x, y, shown, levels=[-2e3, 0, 2e3], colors=[FALLS, GROWS], zorder=-1)
    ax.contour(x, y, shown, levels=[0], colors=[style.get("color", COLOURS[0])], linewidths=style.get("linewidth", 1.2))
    if label is not None:
        ax.set_title(label, fontsize="medium")
    return _complex_plane(ax, legend=False)


def _regions(x: ArrayLike, y: ArrayLike, regions: Mapping[str, ArrayLike], ax: Axes, style: Mapping[str, Any]) -> None:
    """Fill and outline the regions."""
    x, y = grid_line("x", x), grid_line("y", y)
    for k, (name, inside) in enumerate(regions.items()):
        chosen = style_of(k) | dict(style)
        values = _on_grid(f"region {name!r}", inside, x, y)
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


def _on_grid(name: str, values: ArrayLike, x: Any, y: Any) -> Any:
    """Return the values at the points of a grid, checked."""
    array = np.asarray(values)
    if array.shape != (y.size, x.size):
        raise ValueError(f"{name} must have shape ({y.size}, {x.size}) = (len(y), len(x)), got {array.shape}")
    return array


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

    Returns
    -------
    Axes
        Those drawn on: `ax`, or a new figure's.

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> zeta = np.exp(1j * np.linspace(0, 2 * np.pi, 101))
    >>> locus = (zeta**2 - zeta) / (1.5 * zeta - 0.5)  # of AB2
    >>> ax = nd.plotting.boundary_locus(locus, label="AB2")
    >>> print(f"{min(ax.lines[0].get_xdata()):.2f}")  # the end of the real interval
    -1.00
    """
    ax = new_axes() if ax is None else ax
    chosen = {k: v for k, v in style_of(index).items() if k != "marker"} | style
    for k, branch in enumerate(np.atleast_2d(np.asarray(locus))):
        ax.plot(branch.real, branch.imag, label=label if k == 0 else None, **chosen)
    return _complex_plane(ax, legend=label is not None)


def _complex_plane(ax: Axes, *, legend: bool) -> Axes:
    """Label the axes of the z plane and mark the coordinate axes."""
    ax.axhline(0, color="0.5", linewidth=0.6, zorder=0)
    ax.axvline(0, color="0.5", linewidth=0.6, zorder=0)
    ax.set_aspect("equal")
    ax.set_xlabel(RE_Z)
    ax.set_ylabel(IM_Z)
    if legend:
        ax.legend(frameon=False, fontsize="small", loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return ax
