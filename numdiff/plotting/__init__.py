"""Figures: functions from data to axes, without computation.

Every function takes arrays that somebody else computed, draws them on `ax` (a new figure's axes if None) and returns
the axes; colours and labels can be overridden by keywords. Nothing touches pyplot's global state: new figures are
`matplotlib.figure.Figure` objects with an Agg canvas, so the functions work in scripts, threads and notebooks alike;
`figure` makes one with several axes, `save` writes one in several formats.
"""

from numdiff.plotting import interactive, style
from numdiff.plotting.certificates import certificate_plot
from numdiff.plotting.images import image_grid
from numdiff.plotting.lines import curves, error_against_nfe, order_plot
from numdiff.plotting.planes import boundary_locus, order_star, plane_regions, stability_region, stability_regions
from numdiff.plotting.style import figure, new_axes, save, share, style_of
from numdiff.plotting.timesteps import (
    error_bands,
    error_per_mode,
    objective_against_error,
    objective_trace,
    sigma_per_step,
    step_density,
)
from numdiff.plotting.work_precision import work_precision

#: Colours of the curves: Okabe and Ito, the darker ones first; yellow is last, since thin yellow lines are hard to see.
COLOURS = style.COLOURS
#: Line styles of the curves, in the order of `COLOURS`.
LINES = style.LINES
#: Markers of the curves, one letter each, in the order of `COLOURS`.
MARKERS = style.MARKERS

__all__ = [
    "COLOURS",
    "LINES",
    "MARKERS",
    "boundary_locus",
    "certificate_plot",
    "curves",
    "error_against_nfe",
    "error_bands",
    "error_per_mode",
    "figure",
    "image_grid",
    "interactive",
    "new_axes",
    "objective_against_error",
    "objective_trace",
    "order_plot",
    "order_star",
    "plane_regions",
    "save",
    "share",
    "sigma_per_step",
    "stability_region",
    "stability_regions",
    "step_density",
    "style_of",
    "work_precision",
]
