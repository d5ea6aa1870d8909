"""A certificate as a figure: errors against steps, with what was fitted and what was claimed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from numdiff.plotting.lines import order_plot, style_of_many
from numdiff.plotting.style import new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from numdiff.certification.certificate import Certificate, Experiment

MOST = 8
"""Experiments that are drawn unless told otherwise: as many as there are colours."""

INSIDE = 4
"""Experiments that a legend inside the axes names; more of them stand below it."""


def certificate_plot(
    certificate: Certificate, ax: Axes | None = None, *, names: Sequence[str] | None = None, **style: Any
) -> Axes:
    """Draw the experiments of a certificate, doubly logarithmic.

    Points of the window, to which the order was fitted, are filled and joined by a thick line; the others are hollow.
    A thin grey line has the slope of the claim, and errors in the grey band are below the floor. The legend says what
    tables say: orders with their 95 % intervals, "irregular" where the errors follow no power of the step.

    Parameters
    ----------
    certificate
        What `numdiff.certification.certify` returned.
    ax
        Where to draw.
    names
        The experiments to draw. By default eight of those that were measured: exact start, as shipped and alternating
        first, then those that fall short most; the others are left out without a word.
    **style
        Passed to ``ax.loglog``.

    Returns
    -------
    Axes
        Those drawn on: `ax`, or a new figure's.

    Raises
    ------
    TypeError
        For what is no certificate.
    KeyError
        For an experiment that was not made.

    Examples
    --------
    >>> import numdiff as nd
    >>> certificate = nd.certification.certify(nd.DDIM(), steps=(8, 16, 32))
    >>> ax = nd.plotting.certificate_plot(certificate, names=("exact start", "as shipped"))
    >>> ax.get_xscale(), ax.get_yscale()
    ('log', 'log')
    >>> [text.get_text().split(":")[0] for text in ax.get_legend().get_texts()]
    ['exact start', 'as shipped']
    """
    from numdiff.certification.certificate import Certificate as Known

    if not isinstance(certificate, Known):
        raise TypeError(f"certificate must be a Certificate, as certify() returns it; got {certificate!r}")
    chosen = _telling(certificate) if names is None else [certificate[name] for name in names]
    estimates: dict[str, Any] = {_label(one): one.estimate for one in chosen if one.estimate is not None}
    ax = new_axes(*_size(len(estimates))) if ax is None else ax
    errors = {label: (found.steps, found.errors) for label, found in estimates.items()}
    slopes = () if certificate.claim is None else (certificate.claim,)
    thin: dict[str, Any] = {"linewidth": 0.7, "markerfacecolor": "white"} | style
    order_plot(errors, ax, slopes=slopes, **thin)
    for k, (label, found) in enumerate(estimates.items()):
        _window(ax, found, style_of_many(k) | style, label)
    _floor(ax, [found.floor for found in estimates.values()])
    ax.set_title(_title(certificate), fontsize="medium", loc="left")
    if len(estimates) > INSIDE:
        ax.legend(frameon=False, fontsize="x-small", loc="upper center", bbox_to_anchor=(0.5, -0.14))
    return ax


def _telling(certificate: Certificate) -> list[Experiment]:
    """Return the experiments that are drawn unless told otherwise; those without an order come last."""
    from numdiff.certification.pages import MAIN

    made = [one for one in certificate.experiments if one.estimate is not None]
    main = [one for one in made if one.name in MAIN]
    others = [one for one in made if one.name not in MAIN]
    return [*main, *sorted(others, key=lambda one: one.slope if np.isfinite(one.slope) else np.inf)][:MOST]


def _size(experiments: int) -> tuple[float, float]:
    """Return width and height, in inches, of a figure with room for its legend."""
    return (5.6, 4.2) if experiments <= INSIDE else (5.6, 4.2 + 0.17 * experiments)


def _label(one: Experiment) -> str:
    """Return the name of an experiment with its order, in the words of tables."""
    from numdiff.certification.pages import DASH, order

    words = order(one.estimate)
    return f"{one.name}: {'no order' if words == DASH else words}"


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
