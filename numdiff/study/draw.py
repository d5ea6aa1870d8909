"""From results to figures, through `numdiff.plotting`. Nothing is computed here.

Every function returns the axes of a new figure; `save` writes curves and regions as PDF, PNG and SVG, and mosaics of
images, which are pixels anyway, as PNG. Errors of the trained model are drawn in two rows, methods without and with
momentum, each row with the curves of the other in grey behind it; within a row every method has a colour and a marker
of its own. Methods with momentum have dashed lines and hollow markers, so that one legend serves both rows.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from numdiff import plotting
from numdiff.study import regions, store
from numdiff.study.digits import pixels
from numdiff.study.settings import DigitsSettings, Spec
from numdiff.study.summaries import beta, pick

FORMATS = ("pdf", "png", "svg")

COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A5195")
"""Okabe and Ito's colours, which most people can tell apart; yellow, too faint for a line, is replaced by violet."""
MARKERS = "osD^vP*X"
BEHIND = {"color": "#d9d9d9", "linestyle": "-", "marker": "", "linewidth": 0.8, "zorder": 1}
"""The curves of the other row."""

COMPARED = ("AB3", "PLMS3 (published)", "HB(AB2, 4/5)", "GHVB3(4/5)", "GHVB3(4/5) (published)")
"""What the figure of observed orders shows: published against variable weights."""


WORST = 3.0
"""Errors above this are left out of the figure: grey values lie in [-1, 1], and nothing can be read any more."""


def panels(rows: int, columns: int, width: float, height: float, **options: Any) -> np.ndarray:
    """Return the axes of a new figure, shape (rows, columns); sizes in inches are those of the whole figure."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure.subplots(rows, columns, squeeze=False, **options)


def legend_below(axes: np.ndarray, columns: int) -> None:
    """Replace the legends of all panels by one below the figure."""
    found: dict[str, Any] = {}
    for ax in axes.flat:
        found |= {label: handle for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
        if ax.get_legend():
            ax.get_legend().remove()
    if found:
        figure = axes.flat[0].figure
        figure.legend(
            found.values(), found.keys(), loc="outside lower center", ncols=columns, frameon=False, fontsize="small"
        )


def rendered(ax: Any, suffix: str) -> bytes:
    """Return the figure of `ax` as the bytes of a PDF, PNG or SVG file, without dates in it."""
    import matplotlib as mpl

    buffer = io.BytesIO()
    metadata = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(suffix)
    with mpl.rc_context({"svg.hashsalt": "numdiff"}):  # ids that do not change from run to run
        ax.figure.savefig(buffer, format=suffix, dpi=160, metadata=metadata)
    return buffer.getvalue()


def save(folder: store.Folder, name: str, ax: Any, formats: Iterable[str] = FORMATS) -> list[str]:
    """Write the figure of `ax` to figures/NAME with each of the suffixes, atomically; return the names of the files."""
    ax.figure.draw_without_rendering()
    ax.figure.set_layout_engine("none")  # the layout is found once, not once a format
    written = [f"figures/{name}.{suffix}" for suffix in formats]
    for path, suffix in zip(written, formats, strict=True):
        folder.write(path, rendered(ax, suffix))
    return written


# --- stability regions ------------------------------------------------------------------------------------------------


def stability(result: Mapping[str, Any], family: str) -> Any:
    """Draw the regions of one family, a panel for each order."""
    found = [panel for panel in result["panels"] if panel["family"] == family]
    axes = panels(1, len(found), 2.9 * len(found), 3.4)
    n = result["points"]
    for ax, panel in zip(axes.flat, found, strict=True):
        left, right, bottom, top = panel["extent"]
        masks = {f"β = {beta(r['beta'])}": regions.unpack(r["mask"], (n, n)) for r in panel["regions"]}
        plotting.stability_regions(np.linspace(left, right, n), np.linspace(bottom, top, n), masks, ax)
        ax.set_title(f"k = {panel['order']}", fontsize="medium")
    legend_below(axes, len(found[0]["regions"]))
    return axes.flat[0]


def region(method: Any, extent: tuple[float, float, float, float], mask: np.ndarray) -> Any:
    """Draw one region, for the command line."""
    left, right, bottom, top = extent
    x, y = np.linspace(left, right, mask.shape[1]), np.linspace(bottom, top, mask.shape[0])
    return plotting.stability_region(x, y, mask, label=method.name)


# --- observed orders --------------------------------------------------------------------------------------------------


def order_panels(cases: list[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return (problem, grid) of the panels: every problem where a Runge-Kutta start leaves the grid to decide."""
    pairs = dict.fromkeys((c["problem"], c["grid"]) for c in cases if c["start"] == "runge-kutta")
    smooth = [pair for pair in pairs if pair[1] in ("uniform", "log-snr")]
    return [pair for problem, _ in smooth for pair in pairs if pair[0] == problem] or list(pairs)


def orders(result: Mapping[str, Any]) -> Any:
    """Draw errors against steps with Runge-Kutta starts: one row a problem, one panel a grid."""
    cases = [c for c in result["cases"] if c["start"] == "runge-kutta" and c["method"] in COMPARED]
    problems = list(dict.fromkeys(c["problem"] for c in cases))
    wide = max(len({c["grid"] for c in cases if c["problem"] == p}) for p in problems)
    axes = panels(wide, len(problems), 3.4 * len(problems), 2.9 * wide + 0.5)
    for column, problem in zip(axes.T, problems, strict=True):
        grids = list(dict.fromkeys(c["grid"] for c in cases if c["problem"] == problem))
        for ax, grid in zip(column, grids, strict=False):
            for k, method in enumerate(COMPARED):
                mine = [c for c in cases if (c["problem"], c["grid"], c["method"]) == (problem, grid, method)]
                curves = {c["method"]: (c["steps"], [np.nan if e is None else e for e in c["errors"]]) for c in mine}
                plotting.order_plot(curves, ax, slopes=(1, 2, 3) if k == 0 else (), **plotting.style_of(k))
            ax.set_title(f"{problem}, {grid}", fontsize="medium")
        for ax in column[len(grids) :]:
            ax.set_axis_off()
    legend_below(axes, 5)
    return axes.flat[0]


# --- digits -----------------------------------------------------------------------------------------------------------


def style(spec: Spec, settings: DigitsSettings) -> dict[str, Any]:
    """Return colour, line and marker of a method: by its place among those with, or without, momentum."""
    group = [s.label for s in settings.methods if has_momentum(s) == has_momentum(spec)]
    place = group.index(spec.label)
    chosen = {"color": COLOURS[place % len(COLOURS)], "marker": MARKERS[place % len(MARKERS)], "linewidth": 1.2}
    return chosen | ({"linestyle": "--", "markerfacecolor": "white"} if has_momentum(spec) else {"linestyle": "-"})


def has_momentum(spec: Spec) -> bool:
    """Return whether a method averages, by its family."""
    return spec.family in ("hb", "nt", "ghvb")


def errors(digits: Mapping[float, Mapping[str, Any]], settings: DigitsSettings, key: str = "rmse") -> Any:
    """Draw errors against evaluations: two rows for each strength of guidance, one column for each grid."""
    kinds = list(dict.fromkeys(has_momentum(spec) for spec in settings.methods))
    wide, rows = 3.5 * max(len(settings.grids), 2), [(w, kind) for w in digits for kind in kinds]
    axes = panels(len(rows), len(settings.grids), wide, 2.9 * len(rows) + 1, sharex=True)
    for row, (guidance, kind) in zip(axes, rows, strict=True):
        for ax, grid in zip(row, settings.grids, strict=True):
            _error_panel(ax, pick(digits[guidance]["runs"], grid=grid), settings, key, kind)
            what = "with" if kind else "without"
            ax.set_title(f"guidance {guidance:g}, {grid}, {what} momentum", fontsize="small")
    for k in range(0, len(rows), len(kinds)):  # the same scale for one strength of guidance
        same = list(axes[k : k + len(kinds)].flat)
        bottom = min(ax.get_ylim()[0] for ax in same)
        for ax in same:
            ax.set_ylim(bottom, WORST)
    for ax in axes[:-1].flat:
        ax.set_xlabel("")
    legend_below(axes, 3 if len(settings.grids) < 3 else 5)
    return axes.flat[0]


def _error_panel(ax: Any, every: list[Mapping[str, Any]], settings: DigitsSettings, key: str, kind: bool) -> None:
    """Draw the methods of one kind, those of the other in grey and without a name behind them."""
    for spec in sorted(settings.methods, key=lambda spec: has_momentum(spec) == kind):
        runs = [r for r in pick(every, method=spec.label) if not r["diverged"]]
        points = ([r["evaluations"] for r in runs], [r[key] for r in runs])
        if has_momentum(spec) == kind:
            plotting.error_against_nfe({spec.label: points}, ax, **style(spec, settings))
        else:
            ax.loglog(*points, **BEHIND)
    ax.set_xticks(settings.nfe, map(str, settings.nfe))
    ax.set_ylabel({"rmse": "RMSE", "median": "median error"}[key])


def mosaic(digits: Mapping[float, Mapping[str, Any]], settings: DigitsSettings, grid: str, nfe: int) -> Any:
    """Draw the same noises sampled by every method, the reference on top; one panel for each strength of guidance."""
    labels = [spec.label for spec in settings.methods]
    first = next(iter(digits.values()))
    columns = [str(label) for label in first["pictures"]["labels"]]
    height, width = 0.28 * (len(labels) + 1) + 0.5, 0.27 * len(columns)
    axes = panels(1, len(digits), width * len(digits) + 2.4, height)
    for k, (ax, (guidance, result)) in enumerate(zip(axes.flat, digits.items(), strict=True)):
        pictures, shape = result["pictures"], result["shape"]
        rows = [pictures["reference"], *(pictures["runs"].get(f"{grid}/{nfe}/{label}") for label in labels)]
        blank = np.full((len(columns), *shape), np.nan)
        images = [blank if row is None else [pixels(picture, shape) for picture in row] for row in rows]
        names = ["reference", *labels] if k == 0 else []
        plotting.image_grid(
            np.array(images, dtype=float), ax, rows=names, columns=columns, limits=(0, 255), cmap="gray_r"
        )
        ax.set_title(f"guidance {guidance:g}", fontsize="small")
        ax.tick_params(labelsize=7)
    return axes.flat[0]
