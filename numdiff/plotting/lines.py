"""Line plots: curves, and errors against steps with reference slopes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from numdiff.plotting.style import COLOURS, LINES, MARKERS, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FEW = 10
"""Numbers of steps that are all labelled."""


def curves(
    lines: Mapping[str, tuple[ArrayLike, ArrayLike]],
    ax: Axes | None = None,
    *,
    xlabel: str,
    ylabel: str,
    logx: bool = False,
    logy: bool = False,
    markers: bool = False,
    **style: Any,
) -> Axes:
    """Draw curves, each in its own colour and line style.

    Parameters
    ----------
    lines
        Name -> (x, y), two sequences of the same length. Points that are not finite, and on a logarithmic axis not
        positive, leave gaps. Names that begin with an underscore are not in the legend.
    ax
        Where to draw.
    xlabel, ylabel
        What the axes show, with units.
    logx, logy
        Whether the axes are logarithmic.
    markers
        Whether every point is marked.
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
    >>> beta = np.linspace(0.1, 1.0, 10)
    >>> intervals = [nd.stability.real_interval(nd.GHVB(2, b)) for b in beta]
    >>> ax = nd.plotting.curves({"GHVB2": (beta, intervals)}, xlabel="beta", ylabel="real interval")
    >>> low, high = ax.lines[0].get_ydata()[[0, -1]]
    >>> print(f"{low:.3f} {high:.3f}")
    1.900 1.000
    """
    ax = new_axes() if ax is None else ax
    for k, (name, points) in enumerate(lines.items()):
        x, y = _pair(name, *points)
        shown = np.isfinite(x) & np.isfinite(y) & ((x > 0) | (not logx)) & ((y > 0) | (not logy))
        chosen = style_of_many(k) | ({"markersize": 4} if markers else {"marker": None})
        options: dict[str, Any] = {"label": name, "linewidth": 1.5} | chosen | style
        ax.plot(np.where(shown, x, np.nan), np.where(shown, y, np.nan), **options)
    if logx:
        ax.set_xscale("log")
    if logy:
        ax.set_yscale("log")
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    ax.grid(visible=True, which="major", linewidth=0.3)
    if any(not name.startswith("_") for name in lines):
        ax.legend(frameon=False, fontsize="small")
    return ax


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

    Returns
    -------
    Axes
        Those drawn on: `ax`, or a new figure's.

    Raises
    ------
    TypeError
        For slopes that are no sequence of numbers.

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> steps = np.array([8, 16, 32])
    >>> ax = nd.plotting.order_plot({"Euler": (steps, 1 / steps), "AB2": (steps, 2 / steps**2)}, slopes=(1, 2))
    >>> len(ax.lines), ax.get_legend_handles_labels()[1]
    (4, ['Euler', 'AB2'])
    """
    slopes = checked_slopes(slopes)
    ax = new_axes() if ax is None else ax
    shown = {name: _positive(name, *points) for name, points in errors.items()}
    for k, (name, (n, e)) in enumerate(shown.items()):
        ax.loglog(n, e, **({"label": name, "markersize": 4, "linewidth": 1.5} | style_of_many(k) | style))
    longest = max((len(n) for n, _ in shown.values()), default=0)
    anchors = [(n[0], e[0], n[-1]) for n, e in shown.values() if len(n) == longest > 1]
    if anchors:
        _reference_slopes(ax, min(anchors, key=lambda a: a[1]), slopes)
    _integer_ticks(ax, [n for n, _ in shown.values()])
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    ax.grid(visible=True, which="major", linewidth=0.3)
    if shown:
        ax.legend(frameon=False, fontsize="small")
    return ax


def style_of_many(k: int) -> dict[str, Any]:
    """Return colour, line style and marker of the k-th curve; from the ninth on the pairs of them change."""
    shift = k + k // 8
    return {"color": COLOURS[k % 8], "linestyle": LINES[shift % 8], "marker": MARKERS[shift % 8]}


def checked_slopes(slopes: Any) -> tuple[float, ...]:
    """Return the orders of reference lines.

    Raises
    ------
    TypeError
        For anything but a sequence of numbers.
    """
    found = tuple(slopes) if isinstance(slopes, Iterable) else (None,)
    if not all(isinstance(p, (int, float, np.integer, np.floating)) for p in found):
        raise TypeError(f"slopes must be a sequence of orders such as (1, 2), got {slopes!r}")
    return found


def error_against_nfe(
    errors: Mapping[str, tuple[ArrayLike, ArrayLike]], ax: Axes | None = None, **options: Any
) -> Axes:
    """Draw errors against the number of model evaluations; see `order_plot`.

    Parameters
    ----------
    errors
        Name -> (evaluations, errors), two sequences of the same length; points that are not finite and positive are
        left out.
    ax
        Where to draw.
    **options
        As in `order_plot`: ``slopes``, ``xlabel``, ``ylabel``, and what ``ax.loglog`` takes.

    Returns
    -------
    Axes
        Those drawn on: `ax`, or a new figure's.

    Raises
    ------
    TypeError
        For slopes that are no sequence of numbers.

    Examples
    --------
    >>> import numdiff as nd
    >>> ax = nd.plotting.error_against_nfe({"Heun": ([4, 8, 16], [0.3, 0.08, 0.02])}, slopes=(2,))
    >>> ax.get_xlabel(), ax.get_xscale()
    ('model evaluations', 'log')
    """
    return order_plot(errors, ax, **({"xlabel": "model evaluations"} | options))


def _positive(name: str, n: ArrayLike, e: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the points that a logarithmic plot can show."""
    steps, errors = np.asarray(n, dtype=float), np.asarray(e, dtype=float)
    if steps.shape != errors.shape or steps.ndim != 1:
        raise ValueError(
            f"steps and errors of {name!r} must be sequences of one length, got {steps.shape}, {errors.shape}"
        )
    shown = np.isfinite(errors) & (errors > 0)
    return steps[shown], errors[shown]


def _pair(name: str, x: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the points of a curve, checked."""
    a, b = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"x and y of {name!r} must be sequences of one length, got {a.shape}, {b.shape}")
    return a, b


def _reference_slopes(ax: Axes, anchor: tuple[float, float, float], slopes: Iterable[float]) -> None:
    """Draw thin lines of the given orders and write the order at their ends."""
    first, error, last = anchor
    for p in slopes:
        end = error * (last / first) ** -p
        ax.loglog([first, last], [error, end], color="0.6", linewidth=0.7, zorder=0)
        ax.annotate(f"{p:g}", (last, end), textcoords="offset points", xytext=(3, -2), color="0.4", fontsize="x-small")


def _integer_ticks(ax: Axes, steps: Sequence[NDArray[np.float64]]) -> None:
    """Label numbers of steps that were measured rather than powers of ten: all if they are few, else spread ones."""
    values = sorted({float(n) for part in steps for n in part})
    if len(values) > FEW:
        apart = (values[-1] / values[0]) ** (1 / FEW)
        values = list(spread(values, apart))
    if values:
        ax.set_xticks(values, [f"{v:g}" for v in values])
        ax.set_xticks([], minor=True)


def spread(values: Sequence[float], apart: float) -> Iterator[float]:
    """Yield rising values that are at least a factor apart."""
    before = 0.0
    for v in values:
        if v >= apart * before:
            yield v
            before = v
