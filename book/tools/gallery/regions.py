"""Stability regions: sampled by the growth of a step on f = z Y, and drawn."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from contourpy import FillType, contour_generator

from book.tools.gallery.drawing import Axis, Plot, Point
from numdiff.study.regions import plane
from numdiff.symbolic.steady import H, depends_on, one_field, steady

STEP = 0.5
"""Step length in log-SNR of exponential methods, as in the stability explorer; at 1 many regions look alike."""

POINTS = 121
"""Points a side of a region's sample."""

BOUND = 1 + 1e-7
"""Largest modulus of an eigenvalue that counts as bounded, with room for rounding."""


@dataclass(frozen=True)
class Region:
    """A sampled stability region.

    Parameters
    ----------
    extent
        Left, right, bottom and top of the rectangle.
    outlines
        Closed curves around it and its holes.
    share
        How much of the rectangle is in its interior.
    real, imaginary
        The stability intervals' ends, at `STEP` for exponential methods.
    h
        The step length, None where it is a factor of z only.
    """

    extent: tuple[float, float, float, float]
    outlines: list[list[Point]]
    share: float
    real: float
    imaginary: float
    h: float | None


def growth(tableau: Any, z: Any) -> Any:
    """Return the largest modulus of the step's eigenvalues on f = z Y, for an array of z."""
    A, U, B, V = (np.array(getattr(tableau, name), float).reshape(shape) for name, shape in _shapes(tableau))
    inverse = np.linalg.inv(np.eye(len(A)) - z[..., None, None] * A)
    return np.abs(np.linalg.eigvals(V + z[..., None, None] * (B @ inverse @ U))).max(axis=-1)


def _shapes(tableau: Any) -> list[tuple[str, tuple[int, int]]]:
    s, r = len(tableau.A), len(tableau.V)
    return [("A", (s, s)), ("U", (s, r)), ("B", (r, s)), ("V", (r, r))]


def drift(method: Any) -> tuple[Any, Any]:
    """Return (c, factor) of the equation X' = c X + factor z X that regions are about; with noise it is the mean's.

    Parameters
    ----------
    method
        One with a steady step.
    """
    if not method.stochastic:
        return method.kernel, 1
    squared = getattr(getattr(method.formulation, "level", None), "constant", None)
    return method.kernel, 1 + (method.eta**2 if squared is None else squared)


def region(method: Any) -> Region:
    """Sample the stability region of a method; raise ``ValueError`` with the reason where it has none."""
    from numdiff.properties import stability

    exact = one_field(method)
    h = STEP if depends_on(exact, H) else None
    tableau = (exact if h is None else steady(method, h)).to_float()
    ends = [end(method if h is None else tableau) for end in (stability.real_interval, stability.imaginary_interval)]
    real, imaginary = map(float, ends)
    extent = _extent(tableau, real)
    z = plane(extent, POINTS)
    half = growth(tableau, z[POINTS // 2 :])
    values = np.concatenate([half[:0:-1], half])
    share = float((values < 1 - 1e-9).mean())
    return Region(extent, outlines(z.real, z.imag, values, BOUND), share, real, imaginary, h)


def _extent(tableau: Any, real: float) -> tuple[float, float, float, float]:
    """Return a rectangle around the region; next to 0 where it begins there, else around all of it."""
    left, size = (1.25 * real, 2 * real + 0.5) if real > 0 else (4.0, 3.0)
    z = plane((-left, size, -size, size), POINTS)
    inside = z[growth(tableau, z) <= BOUND]
    right, top = (float(part.max(initial=0.0)) for part in (inside.real, inside.imag))
    if real > 0:
        top = max(0.5 * left, 1.15 * top)
        return -left, max(0.35 * left, 1.15 * right), -top, top
    if not inside.size or np.ptp(inside.real) < 0.02:
        return -1.5, 1.5, -1.5, 1.5
    left = min(float(inside.real.min()), 0.0)
    pad = 0.15 * (right - left)
    return left - pad, right + pad, -1.2 * top, 1.2 * top


def outlines(x: Any, y: Any, values: Any, bound: float) -> list[list[Point]]:
    """Return closed curves around the points of a plane where values are at most `bound`, and around holes."""
    filled = contour_generator(x, y, values, fill_type=FillType.OuterOffset).filled(-1.0, bound)
    return [
        [tuple(point) for point in points[a:b].tolist()]
        for points, offsets in zip(*filled, strict=True)
        for a, b in pairwise(offsets.tolist())
    ]


def plot(found: Region, width: float = 300, height: float = 260) -> Plot:
    """Return a region as a plot with equal scales on both axes."""
    left, right, bottom, top = found.extent
    unit = min(width / (right - left), height / (top - bottom))
    picture = Plot(Axis(left, right, "Re z"), Axis(bottom, top, "Im z"), unit * (right - left), unit * (top - bottom))
    picture.area(found.outlines)
    picture.rule([(left, 0), (right, 0)], "nd-axis")
    picture.rule([(0, bottom), (0, top)], "nd-axis")
    if 0 < found.real < 1e6:
        picture.rule([(-found.real, 0), (0, 0)], "nd-interval")
    if 0 < found.imaginary < 1e6:
        picture.rule([(0, -found.imaginary), (0, found.imaginary)], "nd-interval")
    return picture


def thumbnail(found: Region) -> str:
    """Return a region as a small picture without text; what it shows is said beside it."""
    left, right, bottom, top = found.extent
    unit = min(96 / (right - left), 72 / (top - bottom))

    def at(point: Point) -> str:
        return f"{48 + unit * (point[0] - (left + right) / 2):.1f} {36 - unit * (point[1] - (bottom + top) / 2):.1f}"

    path = "".join(f"M{'L'.join(at(point) for point in outline[::2])}Z" for outline in found.outlines)
    axes = f"M{at((left, 0))}L{at((right, 0))}M{at((0, bottom))}L{at((0, top))}"
    return (
        '<svg class="nd-thumb" aria-hidden="true" viewBox="0 0 96 72" width="96" height="72">'
        f'<path class="nd-area" fill-rule="evenodd" d="{path}"/><path class="nd-axis" d="{axes}"/></svg>'
    )
