r"""Stage 2: stability regions of momentum on PLMS.

On equal steps PLMS_k is Adams-Bashforth AB_k. For every order and damping the region is sampled on a rectangle of z = h
lambda; the mask is saved as bits in base 64 (rows from the lowest Im z, columns from the lowest Re z, `numpy.packbits`
along the flattened array). One rectangle a panel is shared by its dampings and shows their widest region, up to a limit
that keeps the smallest one visible.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numdiff.study.progress import Progress
from numdiff.study.settings import RegionSettings, Spec

Extent = tuple[float, float, float, float]
"""Left, right, bottom and top of a rectangle."""

COARSE = 81
"""Points a side of the sample that decides how high a panel is."""

FAMILIES = {"hb": "heavy ball on PLMS", "ghvb": "GHVB"}


def units(settings: RegionSettings) -> int:
    """Return the number of regions."""
    return len(FAMILIES) * len(settings.orders) * len(settings.betas)


def window(order: int, widest: float, height: float) -> Extent:
    """Return (left, right, bottom, top) of a panel whose widest real interval is `widest`, high enough for `height`."""
    left = 1.25 * min(widest, 5.0 / order)
    top = max(0.8 * left, 1.15 * height)
    return -left, 0.35 * left, -top, top


def reach(methods: Iterable[Any], left: float, h: Any = None) -> tuple[float, float]:
    """Return the largest Re z and Im z of the methods' regions to the right of -left, from a coarse sample."""
    from numdiff.properties import stability

    z = plane((-left, left, 0.0, 2 * left), COARSE)
    points = np.concatenate([z[stability.region(method, z, h=h)] for method in methods])
    return float(points.real.max(initial=0.0)), float(points.imag.max(initial=0.0))


def fitted(method: Any, real: float, h: Any = None) -> Extent:
    """Return a rectangle that holds the region next to 0 of one method whose real interval is `real`."""
    left = 1.25 * real if 0 < real < 1e6 else 3.0
    right, height = reach([method], left, h)
    top = max(0.5 * left, 1.15 * height)
    return -left, max(0.35 * left, 1.15 * right), -top, top


def pack(mask: NDArray[np.bool_]) -> str:
    """Return a mask as text."""
    return base64.b64encode(np.packbits(mask.ravel()).tobytes()).decode()


def unpack(text: str, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the mask that `pack` wrote."""
    bits = np.unpackbits(np.frombuffer(base64.b64decode(text), dtype=np.uint8))
    return bits[: shape[0] * shape[1]].astype(bool).reshape(shape)


def plane(extent: Extent, points: int) -> NDArray[np.complex128]:
    """Return a square grid of z, shape (points, points), rows from the lowest Im z."""
    left, right, bottom, top = extent
    return np.linspace(left, right, points) + 1j * np.linspace(bottom, top, points)[:, np.newaxis]


def compute(settings: RegionSettings, seed: int, progress: Progress) -> dict[str, Any]:
    """Sample every region."""
    panels = [
        {"family": family, "title": title, "order": order, **_panel(family, order, settings, progress)}
        for family, title in FAMILIES.items()
        for order in settings.orders
    ]
    return {"points": settings.points, "panels": panels}


def _panel(family: str, order: int, settings: RegionSettings, progress: Progress) -> dict[str, Any]:
    from numdiff.properties import stability

    methods = {beta: Spec("", family, order, beta).method() for beta in settings.betas}
    reals = {beta: float(stability.real_interval(method)) for beta, method in methods.items()}
    widest = max(reals.values())
    extent = window(order, widest, reach(methods.values(), -window(order, widest, 0.0)[0])[1])
    z, regions = plane(extent, settings.points), []
    for beta, method in methods.items():
        imaginary = float(stability.imaginary_interval(method))
        mask = pack(stability.region(method, z))
        regions.append({"beta": beta, "real_interval": reals[beta], "imaginary_interval": imaginary, "mask": mask})
        progress.advance(method.name)
    return {"extent": list(extent), "regions": regions}
