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

import math
from dataclasses import dataclass
from typing import Any

from numdiff._names import suggest
from numdiff.elementary import Number, is_zero, kind, sqrt, vanishes
from numdiff.level import Level


@dataclass(frozen=True)
class Prediction:
    """One kind of network output, m = a x_0 + b eps at a level; see the table at the top of the module.

    The base of ``Noise``, ``Data``, ``V``, ``Velocity``, ``FlowMatching``, ``Score`` and ``EDM``.
    """

    @property
    def name(self) -> str:
        """The name under which the prediction is known."""
        return _NAME_OF[type(self)]

    def components(self, level: Level) -> tuple[Number, Number]:
        """Return (a, b) at `level`, with m = a x_0 + b eps."""
        raise NotImplementedError

    def determinant(self, level: Level) -> Number:
        """Return d = a sigma - b alpha at `level`, without cancellation."""
        raise NotImplementedError


@dataclass(frozen=True)
class Noise(Prediction):
    """The noise eps."""

    def components(self, level: Level) -> tuple[Number, Number]:
        """Return (0, 1)."""
        return 0, 1

    def determinant(self, level: Level) -> Number:
        """Return -alpha."""
        return -level.alpha


@dataclass(frozen=True)
class Data(Prediction):
    """The clean sample x_0, the denoiser's output."""

    def components(self, level: Level) -> tuple[Number, Number]:
        """Return (1, 0)."""
        return 1, 0

    def determinant(self, level: Level) -> Number:
        """Return sigma."""
        return level.sigma


@dataclass(frozen=True)
class V(Prediction):
    """The v-prediction alpha eps - sigma x_0 of Salimans and Ho."""

    def components(self, level: Level) -> tuple[Number, Number]:
        """Return (-sigma, alpha)."""
        return -level.sigma, level.alpha

    def determinant(self, level: Level) -> Number:
        """Return -(alpha^2 + sigma^2)."""
        return -(level.alpha * level.alpha + level.sigma * level.sigma)


@dataclass(frozen=True)
class Velocity(Prediction):
    """The derivative dx/dt = alpha' x_0 + sigma' eps in the schedule's time."""

    def components(self, level: Level) -> tuple[Number, Number]:
        """Return (alpha', sigma').

        Raises
        ------
        ValueError
            If the level has no derivatives, or an infinite one (sigma' at t = 0 of a variance-preserving schedule).
        """
        if level.d_alpha is None or level.d_sigma is None:
            raise ValueError(
                f"prediction 'velocity' needs d_alpha and d_sigma, which the level at t = {level.time} lacks "
                "(a table has no derivatives); use 'noise', 'data', 'v' or 'flow'"
            )
        if kind(level.d_sigma) in ("float", "torch", "traced") and bool(abs(level.d_sigma) == math.inf):
            raise ValueError(
                f"prediction 'velocity' is infinite at t = {level.time}, where d sigma/dt is; end the grid at t > 0, "
                "or use 'noise', 'data' or 'v'"
            )
        return level.d_alpha, level.d_sigma

    def determinant(self, level: Level) -> Number:
        """Return alpha' sigma - sigma' alpha."""
        d_alpha, d_sigma = self.components(level)
        return d_alpha * level.sigma - d_sigma * level.alpha


@dataclass(frozen=True)
class FlowMatching(Prediction):
    """The flow-matching target eps - x_0, whatever the schedule."""

    def components(self, level: Level) -> tuple[Number, Number]:
        """Return (-1, 1)."""
        return -1, 1

    def determinant(self, level: Level) -> Number:
        """Return -(alpha + sigma)."""
        return -(level.alpha + level.sigma)


@dataclass(frozen=True)
class Score(Prediction):
    """The score, the gradient of the log density of x: -eps/sigma."""

    def components(self, level: Level) -> tuple[Number, Number]:
        """Return (0, -1/sigma).

        Raises
        ------
        ValueError
            If sigma = 0, where the score is infinite.
        """
        if vanishes(level.sigma):
            raise ValueError(
                f"prediction 'score' = -eps/sigma is infinite at sigma = 0 (t = {level.time}); end the grid earlier, "
                "or use 'noise' or 'data'"
            )
        return 0, -1 / level.sigma

    def determinant(self, level: Level) -> Number:
        """Return alpha/sigma."""
        return -level.alpha * self.components(level)[1]


@dataclass(frozen=True)
class EDM(Prediction):
    """The raw network output F of Karras et al., behind their preconditioning.

    Parameters
    ----------
    sigma_data
        Standard deviation of the data that the network was preconditioned for, positive.

    Raises
    ------
    ValueError
        If `sigma_data` is not positive and finite.
    """

    sigma_data: float = 0.5

    def __post_init__(self) -> None:
        """Refuse a sigma_data that is not a positive number."""
        if not 0 < self.sigma_data < float("inf"):
            raise ValueError(f"sigma_data must be positive and finite, not {self.sigma_data!r}")

    def _norm(self, level: Level) -> Number:
        scaled = self.sigma_data * level.alpha
        return sqrt(level.sigma * level.sigma + scaled * scaled)

    def components(self, level: Level) -> tuple[Number, Number]:
        """Return (sigma/(s N), -s alpha/N)."""
        norm = self._norm(level)
        return level.sigma / (self.sigma_data * norm), -self.sigma_data * level.alpha / norm

    def determinant(self, level: Level) -> Number:
        """Return N/s."""
        return self._norm(level) / self.sigma_data


_CLASSES: dict[str, type[Prediction]] = {
    "noise": Noise,
    "data": Data,
    "v": V,
    "velocity": Velocity,
    "flow": FlowMatching,
    "score": Score,
    "edm": EDM,
}
_NAME_OF = {cls: name for name, cls in _CLASSES.items()}
_DEFAULTS = {name: cls() for name, cls in _CLASSES.items()}


def names() -> tuple[str, ...]:
    """Return the names of all predictions.

    Returns
    -------
    tuple of str
        The names that `get`, `coefficients` and ``nd.sample`` know.
    """
    return tuple(_CLASSES)


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
        If the name is unknown; the message gives the nearest known one.
    """
    if isinstance(prediction, Prediction):
        return prediction
    if not isinstance(prediction, str) or prediction not in _DEFAULTS:
        suggest(prediction, _CLASSES, "prediction")
    return _DEFAULTS[prediction]


def coefficients(level: Level, source: str | Prediction, target: str | Prediction) -> tuple[Number, Number]:
    """Return (p, q) with target = p x + q source at `level`, formula (1).

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
    """
    shape, wanted = getattr(value, "shape", ()), getattr(x, "shape", ())
    if tuple(shape) != tuple(wanted):
        raise ValueError(f"value has shape {tuple(shape)}, but x has shape {tuple(wanted)}; they must agree")
    if get(source) == get(target):
        return value
    p, q = coefficients(level, source, target)
    return q * value if is_zero(p) else p * x + q * value
