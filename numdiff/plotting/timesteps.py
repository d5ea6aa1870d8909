"""Figures of time steps: where they lie, what they cost, and how the search found them.

Where a function takes sigmas, log-SNRs or a trace it also takes an optimized result, anything with `log_snr` and
`trace`, and reads them off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from numdiff.plotting.lines import _integer_ticks, curves, order_plot
from numdiff.plotting.style import new_axes, style_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def sigma_per_step(
    sigmas: Mapping[str, Any],
    ax: Axes | None = None,
    *,
    xlabel: str = "$i/N$",
    ylabel: str = r"$\sigma_i/\alpha_i$",
    **style: Any,
) -> Axes:
    """Draw the noise level of every node against its share of the steps, on a logarithmic axis.

    Parameters
    ----------
    sigmas
        Name -> levels sigma/alpha (or sigma) of the N + 1 nodes, from noise to data, or a `TimeSteps`, whose
        sigma/alpha are drawn; N may differ. Levels of 0 and inf have no place on the axis: the line ends at their
        neighbours.
    ax
        Where to draw.
    xlabel, ylabel
        What the axes show.
    **style
        Passed to ``ax.plot``.

    Returns
    -------
    Axes
        Those drawn on: `ax`, or a new figure's.

    Raises
    ------
    ValueError
        Unless each is one-dimensional with at least two levels.

    Examples
    --------
    >>> import numdiff as nd
    >>> ax = nd.plotting.sigma_per_step({"optimized": nd.optimize.preset("vp-linear", 10)})
    >>> len(ax.lines[0].get_xdata()), ax.get_yscale()
    (11, 'log')
    """
    lines = {name: _steps(name, _of(values, "log_snr", lambda lam: np.exp(-lam))) for name, values in sigmas.items()}
    shares = {name: np.arange(len(y)) / (len(y) - 1) for name, y in lines.items()}
    pairs = {name: (shares[name], y) for name, y in lines.items()}
    return curves(pairs, ax, xlabel=xlabel, ylabel=ylabel, logy=True, markers=True, **style)


def step_density(
    log_snrs: Mapping[str, Any],
    ax: Axes | None = None,
    *,
    xlabel: str = r"half log-SNR $\lambda$",
    ylabel: str = r"share of the steps per unit of $\lambda$",
    **style: Any,
) -> Axes:
    """Draw where the steps are: 1/(N h) over each step of length h in half log-SNR, a histogram of area 1.

    Parameters
    ----------
    log_snrs
        Name -> half log-SNRs of the N + 1 nodes, rising, or a `TimeSteps`. A step to an infinite end is not drawn but
        counted in N, so that the area is then (N - 1)/N.
    ax
        Where to draw.
    xlabel, ylabel
        What the axes show.
    **style
        Passed to ``ax.plot``.

    Returns
    -------
    Axes
        Those drawn on: `ax`, or a new figure's.

    Raises
    ------
    ValueError
        Unless each rises strictly.

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> ax = nd.plotting.step_density({"optimized": nd.optimize.preset("vp-linear", 10)})
    >>> x, y = ax.lines[0].get_data()
    >>> print(f"{np.diff(x) @ y[1:]:.6f}")  # a histogram of area 1
    1.000000
    """
    ax = new_axes() if ax is None else ax
    for k, (name, values) in enumerate(log_snrs.items()):
        lam = _steps(name, _of(values, "log_snr"))
        if not (np.diff(lam) > 0).all():
            raise ValueError(f"log_snrs of {name!r} must rise strictly, got {lam}")
        shown = lam[np.isfinite(lam)]
        heights = 1 / ((len(lam) - 1) * np.diff(shown))
        x, y = np.repeat(shown, 2), np.concatenate([[0.0], np.repeat(heights, 2), [0.0]])
        options: dict[str, Any] = {"label": name, "linewidth": 1.5} | style_of(k) | {"marker": None} | style
        ax.plot(x, y, **options)
    return _labelled(ax, xlabel, ylabel, bool(log_snrs))


def error_per_mode(
    errors: Mapping[str, tuple[ArrayLike, ArrayLike]],
    ax: Axes | None = None,
    *,
    xlabel: str = "scale of the data",
    ylabel: str = "error",
    logx: bool = True,
    **style: Any,
) -> Axes:
    """Draw the predicted error of each mode: its size against its scale, doubly logarithmic.

    Parameters
    ----------
    errors
        Name -> (modes, errors), two sequences of the same length; signs are dropped, exact zeros leave gaps.
    ax
        Where to draw.
    xlabel, ylabel
        What the axes show.
    logx
        Whether modes are on a logarithmic axis.
    **style
        Passed to ``ax.plot``.

    Returns
    -------
    Axes
        Those drawn on: `ax`, or a new figure's.

    Examples
    --------
    >>> import numdiff as nd
    >>> ax = nd.plotting.error_per_mode({"DDIM": ([0.1, 0.3, 1.0], [1e-3, -2e-2, 5e-3])})
    >>> [float(error) for error in ax.lines[0].get_ydata()]
    [0.001, 0.02, 0.005]
    """
    pairs = {name: (modes, np.abs(np.asarray(values, dtype=float))) for name, (modes, values) in errors.items()}
    return curves(pairs, ax, xlabel=xlabel, ylabel=ylabel, logx=logx, logy=True, markers=True, **style)


def error_bands(
    errors: Mapping[str, tuple[ArrayLike, ArrayLike, ArrayLike, ArrayLike]],
    ax: Axes | None = None,
    *,
    slopes: Iterable[float] = (),
    xlabel: str = "model evaluations",
    ylabel: str = "error",
    **style: Any,
) -> Axes:
    """Draw errors against model evaluations with bands of uncertainty, such as bootstrap intervals.

    Parameters
    ----------
    errors
        Name -> (evaluations, error, low, high), four sequences of the same length with low <= error <= high.
    ax
        Where to draw.
    slopes, xlabel, ylabel, **style
        As in `order_plot`.

    Returns
    -------
    Axes
        Those drawn on: `ax`, or a new figure's.

    Raises
    ------
    ValueError
        If lengths differ, or a band does not hold its error.

    Examples
    --------
    >>> import numdiff as nd
    >>> band = ([5, 10, 20], [0.3, 0.1, 0.03], [0.2, 0.08, 0.02], [0.4, 0.12, 0.04])
    >>> ax = nd.plotting.error_bands({"AB2": band}, slopes=(2,))
    >>> len(ax.collections), ax.get_xlabel()
    (1, 'model evaluations')
    """
    ax = new_axes() if ax is None else ax
    order_plot({k: (v[0], v[1]) for k, v in errors.items()}, ax, slopes=slopes, xlabel=xlabel, ylabel=ylabel, **style)
    for k, (name, (n, middle, low, high)) in enumerate(errors.items()):
        x, e, a, b = (np.asarray(values, dtype=float) for values in (n, middle, low, high))
        if not x.shape == e.shape == a.shape == b.shape:
            raise ValueError(f"the four sequences of {name!r} must have one length, got {a.shape} and {b.shape}")
        known = np.isfinite(e) & np.isfinite(a) & np.isfinite(b)
        if not ((a <= e) & (e <= b))[known].all():
            raise ValueError(f"the band of {name!r} must hold its error: low <= error <= high")
        shown = known & (a > 0)
        ax.fill_between(x[shown], a[shown], b[shown], color=style_of(k)["color"], alpha=0.2, linewidth=0)
    return ax


def objective_trace(
    traces: Mapping[str, Any],
    ax: Axes | None = None,
    *,
    xlabel: str = "iteration",
    ylabel: str = "objective",
    logy: bool = True,
    **style: Any,
) -> Axes:
    """Draw the objective against the iterations of the search.

    Parameters
    ----------
    traces
        Name -> values, one an iteration, or a `TimeSteps`.
    ax
        Where to draw.
    xlabel, ylabel
        What the axes show.
    logy
        Whether the objective is on a logarithmic axis.
    **style
        Passed to ``ax.plot``.

    Returns
    -------
    Axes
        Those drawn on: `ax`, or a new figure's.

    Examples
    --------
    >>> import numdiff as nd
    >>> ax = nd.plotting.objective_trace({"from log-SNR": [0.3, 0.1, 0.04, 0.039]})
    >>> ax.get_yscale(), len(ax.lines[0].get_ydata())
    ('log', 4)
    """
    values = {name: np.asarray(_of(trace, "trace"), dtype=float) for name, trace in traces.items()}
    pairs = {name: (np.arange(trace.size), trace) for name, trace in values.items()}
    ax = curves(pairs, ax, xlabel=xlabel, ylabel=ylabel, logy=logy, markers=True, **style)
    longest = max((trace.size for trace in values.values()), default=0)
    if 1 < longest <= 10:
        _integer_ticks(ax, [np.arange(longest, dtype=float)])
    return ax


def objective_against_error(
    pairs: Mapping[str, tuple[ArrayLike, ArrayLike]],
    ax: Axes | None = None,
    *,
    xlabel: str = "objective",
    ylabel: str = "error",
    logx: bool = True,
    logy: bool = True,
    **style: Any,
) -> Axes:
    """Draw what an objective promises against what happens: a point for every grid, without lines.

    A good objective puts its points on a rising curve; one whose lowest points are not the lowest errors misleads.

    Parameters
    ----------
    pairs
        Name -> (objectives, errors), two sequences of the same length, one entry a grid; one name an objective, or a
        number of steps. Points that are not finite, and on a logarithmic axis not positive, are left out.
    ax
        Where to draw.
    xlabel, ylabel
        What the axes show.
    logx, logy
        Whether the axes are logarithmic.
    **style
        Passed to ``ax.plot``.

    Returns
    -------
    Axes
        Those drawn on: `ax`, or a new figure's.

    Raises
    ------
    ValueError
        If the two sequences of a name differ in length.

    Examples
    --------
    >>> import numdiff as nd
    >>> ax = nd.plotting.objective_against_error({"paper": ([0.1, 0.2, 0.5], [0.02, 0.03, 0.2])})
    >>> ax.lines[0].get_linestyle(), len(ax.lines[0].get_xdata())
    ('None', 3)
    """
    options: dict[str, Any] = {"linestyle": "none", "alpha": 0.7} | style
    return curves(pairs, ax, xlabel=xlabel, ylabel=ylabel, logx=logx, logy=logy, markers=True, **options)


def _of(values: Any, name: str, convert: Callable[[Any], Any] = lambda x: x) -> Any:
    """Return what a result holds under a name, converted; everything else as it is."""
    return convert(getattr(values, name)) if hasattr(values, "log_snr") else values  # an array has a trace of its own


def _steps(name: str, values: ArrayLike) -> np.ndarray:
    array = np.asarray(values, dtype=float)
    if array.ndim != 1 or array.size < 2:
        raise ValueError(f"{name!r} must be one-dimensional with at least two nodes, got shape {array.shape}")
    return array


def _labelled(ax: Axes, xlabel: str, ylabel: str, legend: bool) -> Axes:
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    ax.grid(visible=True, which="major", linewidth=0.3)
    if legend:
        ax.legend(frameon=False, fontsize="small")
    return ax
