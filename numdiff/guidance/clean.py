r"""Changes of the clean image that a model predicts: clipping, dynamic thresholding, and any other function of it.

A prediction m = a x_0 + b eps at x = alpha x_0 + sigma eps determines x_0, and with x held a change of x_0 is one of m,

    m -> m + q (c(x_0) - x_0),        q = dm/dx_0,

so that entries that c leaves alone keep their bits.

Static thresholding clips x_0 to the range of the data. Dynamic thresholding (Saharia et al. 2022, arXiv:2205.11487,
section 2.3) takes for each sample the p-th quantile s of ``|x_0|`` and, where s exceeds the range r of the data, clips
to [-s, s] and divides by s/r: pixels that a strong guidance drove beyond the range are drawn inwards, not saturated.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from numdiff.drivers_checks import predicted, spelled
from numdiff.elementary import vanishes
from numdiff.guidance.arrays import Array, namespace
from numdiff.guidance.strength import finder
from numdiff.methods.scheme import Scheme
from numdiff.parameterizations import Prediction, coefficients, convert
from numdiff.schedules import Schedule

Model = Callable[[Array, Any], Array]


class OnData:
    """A model whose predicted clean image is changed, as a model; made by `on_data` and `thresholded`.

    Parameters
    ----------
    model
        ``model(x, t)`` returns the prediction.
    change
        ``change(x_0)`` returns an array like x_0, shape (n, ...).
    schedule
        Of the model, or the scheme that runs.
    prediction
        What the model predicts; None as in `numdiff.sample`.

    Raises
    ------
    TypeError
        If `model` or `change` is no function.
    ValueError
        When called, at alpha = 0 with a noise prediction.

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> model = lambda x, t: np.full_like(x, 0.4)
    >>> rounded = nd.guidance.OnData(model, np.round, nd.schedules.VPLinear(), "data")
    >>> rounded(np.ones((1, 2)), 0.5).tolist()
    [[0.0, 0.0]]
    """

    def __init__(
        self,
        model: Model,
        change: Callable[[Array], Array],
        schedule: Schedule | Scheme,
        prediction: str | Prediction | None,
    ) -> None:
        for name, function in (("model", model), ("change", change)):
            if not callable(function):
                raise TypeError(f"{name} must be a function, got {function!r}")
        self._model, self._change, self._level = model, change, finder(schedule)
        self._own = predicted(model, prediction)
        self.prediction = spelled(self._own)

    def __call__(self, x: Array, t: Any) -> Array:
        """Return the prediction at the samples `x`, shape (n, ...), and the model's own time `t`."""
        found = self._model(x, t)
        if self._own.name == "data":
            return self._change(found)
        level = self._level(t)
        if vanishes(level.sigma):
            return found  # x is the clean image, whatever is predicted
        clean = convert(found, x, level, source=self._own, target="data")
        _, q = coefficients(level, "data", self._own)
        return found + q * (self._change(clean) - clean)


def on_data(
    model: Model,
    change: Callable[[Array], Array],
    schedule: Schedule | Scheme,
    prediction: str | Prediction | None = None,
) -> OnData:
    """Return a model whose predicted clean image goes through a function.

    Parameters
    ----------
    model
        ``model(x, t)`` returns the prediction.
    change
        ``change(x_0)`` returns an array like x_0, shape (n, ...).
    schedule
        Of the model, or the scheme that runs.
    prediction
        What the model predicts; the result predicts the same. None as in `numdiff.sample`.

    Returns
    -------
    OnData
        A model: ``model(x, t)``.

    Raises
    ------
    ValueError
        When called, at alpha = 0 with a noise prediction, which does not determine x_0 there.

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> model = lambda x, t: np.array([[0.4, -0.2]])
    >>> symmetric = nd.guidance.on_data(model, np.abs, nd.schedules.VPLinear(), "data")
    >>> symmetric(np.zeros((1, 2)), 0.5).tolist()
    [[0.4, 0.2]]
    """
    return OnData(model, change, schedule, prediction)


def threshold(x: Array, *, limit: float = 1.0, quantile: float | None = None, ceiling: float | None = None) -> Array:
    """Return clean images drawn into the range of the data.

    Parameters
    ----------
    x
        Images, shape (n, ...).
    limit
        r: the data lie in [-r, r].
    quantile
        p of dynamic thresholding, per sample (0.995 as published for small images); None to clip to [-r, r].
    ceiling
        Largest s that is divided out; None for no bound, as published. diffusers calls it sample_max_value and has 1,
        with which dynamic thresholding is clipping.

    Returns
    -------
    Array
        Shape of `x`.

    Raises
    ------
    ValueError
        For an option out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> x = np.array([[-4.0, 0.5, 2.0]])
    >>> nd.guidance.threshold(x).tolist()
    [[-1.0, 0.5, 1.0]]
    >>> nd.guidance.threshold(x, quantile=1.0).tolist()  # divided by the largest
    [[-1.0, 0.125, 0.5]]
    """
    _check_threshold(limit, quantile, ceiling)
    if quantile is None:
        return x.clip(-limit, limit)
    s = _quantile(abs(x).reshape(len(x), -1), quantile).clip(limit, ceiling)
    s = s.reshape(-1, *(1,) * (x.ndim - 1))
    xp = namespace(x)
    return xp.clip(x, -s, s) / (s / limit)


def _check_threshold(limit: float, quantile: float | None, ceiling: float | None) -> None:
    if not 0 < limit < math.inf:
        raise ValueError(f"limit must be positive and finite, the data lying in [-limit, limit], got {limit!r}")
    if quantile is not None and not 0 < quantile <= 1:
        raise ValueError(f"quantile must lie in (0, 1], such as 0.995, got {quantile!r}")
    if ceiling is not None and (quantile is None or not ceiling >= limit):
        raise ValueError(f"ceiling bounds the quantile and must be at least limit = {limit}, got {ceiling!r}")


def _quantile(rows: Array, p: float) -> Array:
    """Return the p-th quantile of every row, linear between order statistics, in the dtype of the rows."""
    if namespace(rows) is np:
        return np.quantile(rows, p, axis=1).astype(rows.dtype)
    import torch

    if rows.shape[1] <= _MOST and rows.dtype in (torch.float32, torch.float64):
        return torch.quantile(rows, p, dim=1)
    ordered = rows.sort(dim=1).values  # torch.quantile takes neither more entries nor half precision
    place = p * (rows.shape[1] - 1)
    low = min(int(place), rows.shape[1] - 2) if rows.shape[1] > 1 else 0
    return torch.lerp(ordered[:, low], ordered[:, min(low + 1, rows.shape[1] - 1)], place - low)


_MOST = 2**24
"""Entries of a row up to which torch.quantile works."""


def thresholded(
    model: Model,
    schedule: Schedule | Scheme,
    prediction: str | Prediction | None = None,
    *,
    limit: float = 1.0,
    quantile: float | None = None,
    ceiling: float | None = None,
) -> OnData:
    """Return a model whose predicted clean image is clipped, or dynamically thresholded; see `threshold`.

    Parameters
    ----------
    model
        ``model(x, t)`` returns the prediction; guidance goes inside.
    schedule
        Of the model, or the scheme that runs.
    prediction
        What the model predicts; the result predicts the same. None as in `numdiff.sample`.
    limit, quantile, ceiling
        As in `threshold`.

    Returns
    -------
    OnData
        A model: ``model(x, t)``.

    Raises
    ------
    ValueError
        For an option out of its range; when called, at alpha = 0 with a noise prediction.

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> schedule = nd.schedules.VPLinear()
    >>> scheme = nd.DDIM().discretize(schedule, nd.grids.uniform_log_snr(schedule, 10))
    >>> wild = lambda x, t: np.full_like(x, 3.0)
    >>> model = nd.guidance.thresholded(wild, schedule, "data")
    >>> runs = [nd.sample(scheme, m, np.zeros((1, 1)), prediction="data") for m in (wild, model)]
    >>> [f"{float(x[0, 0]):.1f}" for x in runs]
    ['3.0', '1.0']
    """
    _check_threshold(limit, quantile, ceiling)

    def change(x: Array) -> Array:
        return threshold(x, limit=limit, quantile=quantile, ceiling=ceiling)

    return OnData(model, change, schedule, prediction)
