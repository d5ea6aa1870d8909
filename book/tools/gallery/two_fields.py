"""Methods that evaluate the condition apart from the model: their order and stability on y' = lam_1 y + lam_2 y.

With z and w the step times the eigenvalues of the model and of the condition, one step multiplies by a root of pi(zeta,
z, w). What is known of it takes the place of the order, the intervals and the region of methods of one field.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

import numdiff as nd
from book.tools.gallery.drawing import Axis, Plot, figure
from book.tools.gallery.markup import equal, span
from book.tools.gallery.regions import outlines
from numdiff.answers.render import show
from numdiff.properties.order.partitioned import principal_defect

POINTS = 141
MODEL = (Fraction(-1, 10), Fraction(-1, 5))
"""The model's z at which the condition's interval is given beside that of the condition alone."""

TEST = span("y' = \\lambda_1 y + \\lambda_2 y")


def order_html(method: Any) -> str:
    """Say what the order is on linear fields, with the leading error."""
    order, defect = principal_defect(method)
    factor = rf"e^{{z+w}} + \left({show(defect).latex}\right) + \ldots"
    return (
        f"<p>On {TEST} a step multiplies by {span(factor)}, with z and w the step times the two eigenvalues: order "
        f"{order} there, and it cannot be more on other fields.</p>"
    )


def stability_html(method: Any) -> str:
    """Return the intervals of the condition and the region of real pairs (z, w)."""
    ends = {z: show(nd.stability.split_interval(method, z=z)).latex for z in (Fraction(0), *MODEL)}
    intervals = ", ".join(f"{span(equal('w^*', end))} at {span(f'z = {float(z):g}')}" for z, end in ends.items())
    alt = f"Region of real pairs (z, w) for which {method.name} stays bounded"
    caption = (
        f"Shaded: the real pairs of {span('z')} (the model's) and {span('w')} (the condition's) for which steps on "
        f"{TEST} stay bounded; real eigenvalues only."
    )
    text = f"<p>Interval {span('(-w^*, 0)')} of the condition: {intervals}.</p>"
    return text + figure(plot(method).svg(alt, "region"), caption)


def plot(method: Any) -> Plot:
    """Return the region in the plane of real z and w."""
    left, bottom = (1.25 * _reach(method, axis) for axis in (0, 1))
    z, w = np.meshgrid(np.linspace(-left, 0.25 * left, POINTS), np.linspace(-bottom, 0.25 * bottom, POINTS))
    inside = nd.stability.split_region(method, z, w)
    picture = Plot(Axis(-left, 0.25 * left, "z, model"), Axis(-bottom, 0.25 * bottom, "w, condition"), 300, 300)
    picture.area(outlines(z, w, 1.0 - inside, 0.5))
    picture.rule([(-left, 0), (0.25 * left, 0)], "nd-axis")
    picture.rule([(0, -bottom), (0, 0.25 * bottom)], "nd-axis")
    return picture


def _reach(method: Any, axis: int) -> float:
    """Return how far the region goes along a negative half axis."""
    values = np.linspace(-8.0, -0.01, 800)
    pair = (values, 0.0) if axis == 0 else (0.0, values)
    inside = nd.stability.split_region(method, *pair)
    return float(-values[inside].min()) if inside.any() else 1.0
