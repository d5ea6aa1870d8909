"""Images in a grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from numdiff.plotting.style import new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def image_grid(
    images: ArrayLike,
    ax: Axes | None = None,
    *,
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
    limits: tuple[float, float] | None = None,
    gap: int = 1,
    **style: Any,
) -> Axes:
    """Draw images in a grid.

    Parameters
    ----------
    images
        Shape (rows, columns, height, width).
    ax
        Where to draw.
    rows, columns
        Labels, one each, or none.
    limits
        Values shown as black and white; smallest and largest by default.
    gap
        Pixels between images.
    **style
        Passed to ``ax.imshow``.

    Returns
    -------
    Axes
        Those drawn on: `ax`, or a new figure's.

    Raises
    ------
    ValueError
        For images of another number of axes, and labels of another number than rows or columns.

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> images = np.random.default_rng(0).uniform(-1, 1, (2, 5, 8, 8))
    >>> ax = nd.plotting.image_grid(images, rows=("DDIM", "AB2"), limits=(-1, 1))
    >>> ax.images[0].get_array().shape  # one pixel between images
    (18, 45)
    """
    array = np.asarray(images, dtype=float)
    if array.ndim != 4:
        raise ValueError(f"images must have shape (rows, columns, height, width), got {array.shape}")
    m, n, height, width = array.shape
    for name, labels, count in (("rows", rows, m), ("columns", columns, n)):
        if len(labels) not in (0, count):
            raise ValueError(f"{name} must have {count} labels or none, got {len(labels)}")
    ax = new_axes(0.5 * n + 1, 0.5 * m + 0.5) if ax is None else ax
    low, high = (np.nanmin(array), np.nanmax(array)) if limits is None else limits
    padded = np.pad(array, ((0, 0), (0, 0), (0, gap), (0, gap)), constant_values=np.nan)
    mosaic = padded.transpose(0, 2, 1, 3).reshape(m * (height + gap), n * (width + gap))
    options: dict[str, Any] = {"cmap": "gray", "vmin": low, "vmax": high, "interpolation": "nearest"} | style
    ax.imshow(mosaic, **options)
    ax.set_yticks([i * (height + gap) + height / 2 - 0.5 for i in range(m)] if rows else [], rows)
    ax.set_xticks([j * (width + gap) + width / 2 - 0.5 for j in range(n)] if columns else [], columns)
    ax.tick_params(length=0, labelsize="small", labeltop=True, labelbottom=False)
    ax.spines[:].set_visible(False)
    return ax
