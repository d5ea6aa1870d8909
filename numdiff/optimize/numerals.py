"""Optimized time steps as text to paste into other programs."""

from __future__ import annotations

from typing import Any

import numpy as np

from numdiff.methods.checks import choice

FORMATS = ("comma", "comfyui", "python")


def text(values: Any, form: str = "comma", *, digits: int = 9) -> str:
    """Return numbers as text that other programs take.

    Parameters
    ----------
    values
        Numbers in one dimension, such as `sigmas`.
    form
        "comma": ``14.6146, 2.1, 0``. "comfyui": the same, for the field of ComfyUI's ManualSigmas node. "python":
        a list, ``[14.6146, 2.1, 0.0]``. None of them uses exponents, which ManualSigmas would read as two numbers.
    digits
        Significant digits; 9 give back every float32.

    Returns
    -------
    str
        In the form asked for.

    Raises
    ------
    TypeError, ValueError
        For values that are not finite numbers in one dimension, an unknown form, or digits outside 1 to 17.

    Examples
    --------
    >>> import numdiff as nd
    >>> nd.optimize.text([14.6146, 2.1, 0.0])
    '14.6146, 2.1, 0'
    >>> nd.optimize.text([14.6146, 1e-7, 0.0], "python")
    '[14.6146, 0.0000001, 0.0]'
    """
    array = np.asarray(values)
    if array.dtype.kind not in "iuf":
        raise TypeError(f"values must be numbers, not {values!r}")
    if array.ndim != 1 or not array.size or not np.isfinite(array).all():
        raise ValueError(f"values must be finite numbers in one dimension, at least one, got {values!r}")
    if isinstance(digits, bool) or not isinstance(digits, int) or not 1 <= digits <= 17:
        raise ValueError(f"digits must be an integer from 1 to 17, not {digits!r}")
    choice("form", form, FORMATS)
    trim: Any = "0" if form == "python" else "-"
    shown = [np.format_float_positional(x, digits, unique=False, fractional=False, trim=trim) for x in array.tolist()]
    joined = ", ".join(shown)
    return f"[{joined}]" if form == "python" else joined
