"""Small plots as SVG in a page: text that follows the theme's colours, light and dark, and a thousand bytes a curve."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape

Point = tuple[float, float]

LEFT, RIGHT, TOP, BOTTOM = 58, 12, 10, 44
"""Room around the axes, in units of the picture."""


@dataclass(frozen=True)
class Axis:
    """An axis.

    Parameters
    ----------
    low, high
        Its ends.
    label
        What it shows.
    log
        Whether it is logarithmic.
    """

    low: float
    high: float
    label: str
    log: bool = False

    def share(self, value: float) -> float:
        """Return where a value lies, 0 at the low end and 1 at the high one."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[tuple[float, str]]:
        """Return values worth a mark, with their labels."""
        if self.log:
            first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
            every = max(1, math.ceil((last - first) / 6))
            tens = [(10.0**k, _power(k)) for k in range(first, last + 1, every)]
            return tens if len(tens) > 1 else [(x, f"{x:g}") for x in _between(self.low, self.high)]
        step = _step((self.high - self.low) / 5)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [(k * step, f"{k * step:.6g}".replace("-", "\N{MINUS SIGN}")) for k in range(first, last + 1)]


def _power(k: int) -> str:
    """Return 10^k as text."""
    if -2 <= k <= 2:
        return f"{10.0**k:g}"
    digits = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
    return f"10{str(k).translate(digits)}"


def _between(low: float, high: float) -> list[float]:
    found = [m * 10.0**k for k in range(-8, 9) for m in (1, 2, 5) if low <= m * 10.0**k <= high]
    return found or [low, high]


def _step(rough: float) -> float:
    """Return 1, 2 or 5 times a power of ten, no less than `rough`."""
    scale = 10.0 ** math.floor(math.log10(rough))
    return next(m * scale for m in (1, 2, 5, 10) if m * scale >= rough * (1 - 1e-9))


@dataclass
class Plot:
    """Axes with curves and areas, as SVG.

    Parameters
    ----------
    x, y
        The axes.
    width, height
        Of the field between them, in units of the picture.
    """

    x: Axis
    y: Axis
    width: float = 400
    height: float = 250
    parts: list[str] = field(default_factory=list)
    legend: list[tuple[int, str]] = field(default_factory=list)

    def at(self, point: Point) -> str:
        """Return a point's coordinates in the picture."""
        u, v = self.x.share(point[0]), self.y.share(point[1])
        return f"{LEFT + self.width * u:.1f} {TOP + self.height * (1 - v):.1f}"

    def line(self, points: Sequence[Point], index: int, label: str = "", *, marks: bool = False) -> None:
        """Draw a curve in style `index`."""
        if len(points) > 1:
            self.parts.append(f'<path class="nd-line nd-{index}" d="M{"L".join(map(self.at, points))}"/>')
        for point in points if marks else ():
            cx, cy = self.at(point).split()
            self.parts.append(f'<circle class="nd-mark nd-{index}" cx="{cx}" cy="{cy}" r="3.2"/>')
        if label:
            self.legend.append((index, label))

    def rule(self, points: Sequence[Point], kind: str = "nd-rule") -> None:
        """Draw a reference line."""
        self.parts.append(f'<path class="{kind}" d="M{"L".join(map(self.at, points))}"/>')

    def area(self, outlines: Iterable[Sequence[Point]]) -> None:
        """Fill what the outlines enclose, holes left out."""
        path = "".join(f"M{'L'.join(map(self.at, outline))}Z" for outline in outlines)
        self.parts.append(f'<path class="nd-area" fill-rule="evenodd" d="{path}"/>')

    def svg(self, alt: str, identity: str) -> str:
        """Return the picture; `identity` is its id on the page."""
        rows = math.ceil(len(self.legend) / 2)
        total = TOP + self.height + BOTTOM + 20 * rows
        clip = (
            f'<clipPath id="{identity}-clip"><rect x="{LEFT}" y="{TOP}" width="{self.width:g}" '
            f'height="{self.height:g}"/></clipPath>'
        )
        return (
            f'<svg class="nd-plot" role="img" aria-label="{escape(alt, quote=True)}" '
            f'viewBox="0 0 {LEFT + self.width + RIGHT:g} {total:g}" width="{LEFT + self.width + RIGHT:g}">{clip}'
            f'{"".join(self._frame())}<g clip-path="url(#{identity}-clip)">{"".join(self.parts)}</g>'
            f"{''.join(self._keys())}</svg>"
        )

    def _frame(self) -> Iterable[str]:
        bottom, middle = TOP + self.height, LEFT + self.width / 2
        yield f'<rect class="nd-frame" x="{LEFT}" y="{TOP}" width="{self.width:g}" height="{self.height:g}"/>'
        for value, label in self.x.ticks():
            at = LEFT + self.width * self.x.share(value)
            yield f'<path class="nd-grid" d="M{at:.1f} {TOP}V{bottom:g}"/>'
            yield f'<text x="{at:.1f}" y="{bottom + 16:g}" text-anchor="middle">{label}</text>'
        for value, label in self.y.ticks():
            at = TOP + self.height * (1 - self.y.share(value))
            yield f'<path class="nd-grid" d="M{LEFT} {at:.1f}H{LEFT + self.width:g}"/>'
            yield f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{label}</text>'
        yield f'<text x="{middle:g}" y="{bottom + 36:g}" text-anchor="middle">{escape(self.x.label)}</text>'
        up = TOP + self.height / 2
        yield (
            f'<text x="14" y="{up:g}" text-anchor="middle" transform="rotate(-90 14 {up:g})">'
            f"{escape(self.y.label)}</text>"
        )

    def _keys(self) -> Iterable[str]:
        for k, (index, label) in enumerate(self.legend):
            x, y = LEFT + (k % 2) * self.width / 2, TOP + self.height + BOTTOM + 14 + 20 * (k // 2)
            yield f'<path class="nd-line nd-{index}" d="M{x:g} {y - 4:g}h28"/>'
            yield f'<text x="{x + 34:g}" y="{y:g}">{escape(label)}</text>'


def figure(svg: str, caption: str) -> str:
    """Return a picture with its caption."""
    return f'<figure class="nd-figure">{svg}<figcaption>{caption}</figcaption></figure>'
