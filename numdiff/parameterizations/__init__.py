r"""What a network predicts, and how one prediction follows from another.

At a level the sample is x = alpha x_0 + sigma eps. Every prediction in use is a linear combination

::

    m = a x_0 + b eps

of the same two unknowns, so (x, m) determines both, and with them every other prediction n = a2 x_0 + b2 eps::

    n = p x + q m,      p = (a b2 - a2 b) / d,      q = d2 / d,
    d = a sigma - b alpha,      d2 = a2 sigma - b2 alpha                                                      (1)

============ =========================== ================================ ==================================
name         m                           (a, b)                           d = a sigma - b alpha
============ =========================== ================================ ==================================
"noise"      eps                         (0, 1)                           -alpha
"data"       x_0                         (1, 0)                           sigma
"v"          alpha eps - sigma x_0       (-sigma, alpha)                  -(alpha^2 + sigma^2)
"velocity"   dx/dt                       (alpha', sigma')                 alpha' sigma - sigma' alpha
"flow"       eps - x_0                   (-1, 1)                          -(alpha + sigma)
"score"      grad log p = -eps/sigma     (0, -1/sigma)                    alpha/sigma
"edm"        F of Karras et al.          (sigma/(s N), -s alpha/N)        N/s
============ =========================== ================================ ==================================

with s = sigma_data and N = sqrt(sigma^2 + s^2 alpha^2). The last row is D = c_skip y + c_out F on y = x/alpha at the
noise level rho = sigma/alpha (Karras et al. 2022, arXiv:2206.00364, table 1 and eq. 7), solved for F; the powers of
alpha cancel, so that it holds on every schedule and at both ends. "v" is Salimans and Ho's (arXiv:2202.00512) and
needs no derivative. "velocity" is the derivative in the level's clock, x_t' = alpha' x_0 + sigma' eps; on flow
schedules it is what a flow-matching network predicts, "flow", whatever the shift.

Accuracy. No d in the table subtracts nearly equal numbers (alpha' <= 0 <= sigma' on every schedule), so q is accurate
to a few ulp; p to a few ulp of ``(|a b2| + |a2 b|) / |d|``, and of itself wherever source or target is noise, data or
score, because then one of the products is zero. What remains is conditioning: x_0 from a noise prediction divides by
alpha, and no formula can help that.

Where d = 0 the pair (x, m) says nothing new about x (noise at alpha = 0, data at sigma = 0) and only multiples of m
follow from it; everything else is an error.
"""

from __future__ import annotations

from typing import Any

from numdiff._names import suggest
from numdiff.elementary import Number, is_zero, vanishes
from numdiff.level import Level
from numdiff.parameterizations.kinds import (
    CLASSES,
    DEFAULTS,
    EDM,
    Data,
    FlowMatching,
    Noise,
    Prediction,
    Score,
    V,
    Velocity,
)

__all__ = [
    "EDM",
    "Data",
    "FlowMatching",
    "Noise",
    "Prediction",
    "Score",
    "V",
    "Velocity",
    "coefficients",
    "convert",
    "get",
    "names",
]


ELSEWHERE = ("epsilon", "eps", "sample", "x0", "x_start", "v_prediction", "flow_prediction")
"""Names that predictions have in other libraries; they are refused with ours."""


def names() -> tuple[str, ...]:
    """Return the names of all predictions.

    Returns
    -------
    tuple of str
        The names that `get`, `coefficients` and ``nd.sample`` know.

    Examples
    --------
    >>> import numdiff as nd
    >>> nd.parameterizations.names()
    ('noise', 'data', 'v', 'velocity', 'flow', 'score', 'edm')
    """
    return tuple(CLASSES)


def get(prediction: str | Prediction) -> Prediction:
    """Return the prediction called `prediction`; a `Prediction` is returned as it is.

    Parameters
    ----------
    prediction
        One of `names()`, or an object such as ``EDM(sigma_data=1)``.

    Returns
    -------
    Prediction
        The prediction.

    Raises
    ------
    ValueError
        If the name is unknown; the message gives the nearest known one, and ours for a name of diffusers.

    Examples
    --------
    >>> import numdiff as nd
    >>> nd.parameterizations.get("edm")
    EDM(sigma_data=0.5)
    >>> nd.parameterizations.get("noize")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: unknown prediction 'noize'; did you mean 'noise'? ...
    """
    if isinstance(prediction, Prediction):
        return prediction
    if not isinstance(prediction, str) or prediction not in DEFAULTS:
        if isinstance(prediction, str) and prediction in ELSEWHERE:
            raise ValueError(
                f"unknown prediction {prediction!r}; known: {', '.join(sorted(CLASSES))}; diffusers' 'epsilon' is "
                "'noise', 'sample' is 'data', 'v_prediction' is 'v', 'flow_prediction' is 'flow'"
            )
        suggest(prediction, CLASSES, "prediction")
    return DEFAULTS[prediction]


def coefficients(level: Level, source: str | Prediction, target: str | Prediction) -> tuple[Number, Number]:
    """Return (p, q) with target = p x + q source at `level`.

    Parameters
    ----------
    level
        Where the sample x = alpha x_0 + sigma eps lives; its entries may be floats, exact numbers, symbols, tensors.
    source, target
        The prediction that is known and the one that is wanted, by name or as an object such as ``EDM(sigma_data=1)``.

    Returns
    -------
    tuple of numbers
        (p, q), of the kind of the level's entries.

    Raises
    ------
    ValueError
        If a name is unknown, if the source does not determine the target at this level (a noise prediction at
        alpha = 0, a data prediction at sigma = 0), or if either is undefined there (score at sigma = 0, velocity
        without derivatives).

    Examples
    --------
    Where the noise is known, the data are (x - sigma eps)/alpha:

    >>> import numdiff as nd
    >>> level = nd.schedules.Flow().level(0.2)
    >>> p, q = nd.parameterizations.coefficients(level, "noise", "data")
    >>> round(p, 12), round(q, 12)
    (1.25, -0.25)
    """
    known, wanted = get(source), get(target)
    if known == wanted:
        return 0.0, 1.0
    (a, b), (a2, b2) = known.components(level), wanted.components(level)
    cross = a * b2 - a2 * b
    d = known.determinant(level)
    if not vanishes(d):
        return cross / d, wanted.determinant(level) / d
    if vanishes(cross) and not (vanishes(a) and vanishes(b)):
        return 0.0, (a2 / a if vanishes(b) else b2 / b)
    raise ValueError(
        f"prediction {known.name!r} does not determine {wanted.name!r} at t = {level.time} (alpha = {level.alpha}, "
        f"sigma = {level.sigma}); use a model predicting {_remedy(level)}, or move that end of the grid inwards"
    )


def _remedy(level: Level) -> str:
    return "'data' or 'v'" if vanishes(level.alpha) else "'noise' or 'v'"


def convert(value: Any, x: Any, level: Level, *, source: str | Prediction, target: str | Prediction) -> Any:
    """Return the prediction `target` that follows from `value`, a prediction of kind `source`, at the sample `x`.

    Parameters
    ----------
    value
        What the network returned; same shape as `x`.
    x
        The sample, any shape; numpy, torch or a number.
    level
        The level of `x`.
    source, target
        Predictions, by name or as objects.

    Returns
    -------
    array, tensor or number
        Of the kind and shape of `value`; `value` itself where source and target agree.

    Raises
    ------
    ValueError
        As `coefficients`, and if the shapes of `value` and `x` differ.

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> level = nd.schedules.VPLinear().level(0.5)
    >>> x_0, eps = np.array([1.0, -2.0]), np.array([0.5, 0.1])
    >>> x = level.alpha * x_0 + level.sigma * eps
    >>> v = nd.parameterizations.convert(eps, x, level, source="noise", target="v")
    >>> nd.parameterizations.convert(v, x, level, source="v", target="data").round(12).tolist()
    [1.0, -2.0]
    """
    shape, wanted = getattr(value, "shape", ()), getattr(x, "shape", ())
    if tuple(shape) != tuple(wanted):
        raise ValueError(f"value has shape {tuple(shape)}, but x has shape {tuple(wanted)}; they must agree")
    if get(source) == get(target):
        return value
    p, q = coefficients(level, source, target)
    return q * value if is_zero(p) else p * x + q * value
