"""A certificate as a figure: errors against steps, with what was fitted and what was claimed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from numdiff.plotting.lines import order_plot
from numdiff.plotting.style import new_axes, style_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from numdiff.certification.certificate import Certificate, Experiment


def certificate_plot(
    certificate: Certificate, ax: Axes | None = None, *, names: Sequence[str] | None = None, **style: Any
) -> Axes:
    """Draw the experiments of a certificate, doubly logarithmic.

    Points of the window, to which the order was fitted, are filled and joined by a thick line; the others are hollow.
    A thin grey line has the slope of the claim, and errors in the grey band are below the floor.

    Parameters
    ----------
    certificate
        What `numdiff.certification.certify` returned.
    ax
        Where to draw.
    names
        The experiments to draw; by default all that were measured.
    **style
        Passed to ``ax.loglog``.

    Raises
    ------
    KeyError
        For an experiment that was not made.
    """
    chosen = certificate.experiments if names is None else tuple(certificate[name] for name in names)
    shown = {_label(one): one for one in chosen if one.estimate is not None}
    estimates: dict[str, Any] = {label: one.estimate for label, one in shown.items()}
    ax = new_axes(5.6, 4.2) if ax is None else ax
    errors = {label: (found.steps, found.errors) for label, found in estimates.items()}
    slopes = () if certificate.claim is None else (certificate.claim,)
    thin: dict[str, Any] = {"linewidth": 0.7, "markerfacecolor": "white"} | style
    order_plot(errors, ax, slopes=slopes, **thin)
    for k, (label, found) in enumerate(estimates.items()):
        _window(ax, found, style_of(k) | style, label)
    _floor(ax, [found.floor for found in estimates.values()])
    ax.set_title(_title(certificate), fontsize="medium", loc="left")
    return ax


def _label(one: Experiment) -> str:
    slope = one.slope
    return f"{one.name}: {slope:.2f}" if np.isfinite(slope) else f"{one.name}: no order"


def _title(certificate: Certificate) -> str:
    claim = "no claim" if certificate.claim is None else f"claim {certificate.claim}"
    return f"{certificate.subject}\n{claim}, {certificate.verdict}"


def _window(ax: Axes, found: Any, style: dict[str, Any], label: str) -> None:
    """Mark the points that the order was fitted to; the legend has a name for the curve already."""
    if found.window is None:
        return
    points = zip(found.steps, found.errors, strict=True)
    inside = [(n, e) for n, e in points if found.window[0] <= n <= found.window[1] and np.isfinite(e) and e > 0]
    if inside:
        steps, errors = zip(*inside, strict=True)
        marked: dict[str, Any] = {"markersize": 4, "linewidth": 2.2, "label": f"_{label}, window"} | style
        ax.plot(steps, errors, **marked)  # loglog would label the axis anew


def _floor(ax: Axes, floors: Sequence[float]) -> None:
    """Shade what is below the highest floor, if errors come near it."""
    floor, low = max(floors, default=0.0), ax.get_ylim()[0]
    if floor > low:
        ax.axhspan(low, floor, color="0.9", zorder=0, linewidth=0)
        ax.set_ylim(bottom=low)
        ax.annotate(
            "floor", (1, floor), xycoords=("axes fraction", "data"), xytext=(-4, -2), textcoords="offset points",
            ha="right", va="top", color="0.4", fontsize="x-small",
        )  # fmt: skip
