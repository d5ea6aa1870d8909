"""The kinds of predictions, m = a x_0 + b eps; see the table in `numdiff.parameterizations`."""

from __future__ import annotations

import math
from dataclasses import dataclass

from numdiff.elementary import Number, kind, sqrt, vanishes
from numdiff.level import Level

__all__ = ["CLASSES", "DEFAULTS", "EDM", "Data", "FlowMatching", "Noise", "Prediction", "Score", "V", "Velocity"]


@dataclass(frozen=True)
class Prediction:
    """One kind of network output, m = a x_0 + b eps at a level.

    The base of ``Noise``, ``Data``, ``V``, ``Velocity``, ``FlowMatching``, ``Score`` and ``EDM``.

    Examples
    --------
    All predictions at one noise level:

    >>> import numdiff as nd
    >>> level = nd.schedules.EDM().level(2.0)
    >>> for name in nd.parameterizations.names():
    ...     a, b = nd.parameterizations.get(name).components(level)
    ...     print(f"{name:8} {a:7.3f} x_0 + {b:6.3f} eps")
    noise      0.000 x_0 +  1.000 eps
    data       1.000 x_0 +  0.000 eps
    v         -2.000 x_0 +  1.000 eps
    velocity   0.000 x_0 +  1.000 eps
    flow      -1.000 x_0 +  1.000 eps
    score      0.000 x_0 + -0.500 eps
    edm        1.940 x_0 + -0.243 eps
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
    """The noise eps.

    Examples
    --------
    >>> import numdiff as nd
    >>> level = nd.schedules.VPLinear().level(0.5)
    >>> nd.parameterizations.Noise().components(level)
    (0, 1)
    """

    def components(self, level: Level) -> tuple[Number, Number]:
        """Return (0, 1)."""
        return 0, 1

    def determinant(self, level: Level) -> Number:
        """Return -alpha."""
        return -level.alpha


@dataclass(frozen=True)
class Data(Prediction):
    """The clean sample x_0, the denoiser's output.

    Examples
    --------
    >>> import numdiff as nd
    >>> level = nd.schedules.VPLinear().level(0.5)
    >>> nd.parameterizations.Data().components(level)
    (1, 0)
    """

    def components(self, level: Level) -> tuple[Number, Number]:
        """Return (1, 0)."""
        return 1, 0

    def determinant(self, level: Level) -> Number:
        """Return sigma."""
        return level.sigma


@dataclass(frozen=True)
class V(Prediction):
    """The v-prediction alpha eps - sigma x_0 of Salimans and Ho.

    Examples
    --------
    On a variance-preserving schedule x and v are a rotation of x_0 and eps:

    >>> import numdiff as nd
    >>> level = nd.schedules.VPLinear().level(0.5)
    >>> a, b = nd.parameterizations.V().components(level)
    >>> round(a * a + b * b, 12), round(level.alpha * a + level.sigma * b, 12)
    (1.0, 0.0)
    """

    def components(self, level: Level) -> tuple[Number, Number]:
        """Return (-sigma, alpha)."""
        return -level.sigma, level.alpha

    def determinant(self, level: Level) -> Number:
        """Return -(alpha^2 + sigma^2)."""
        return -(level.alpha * level.alpha + level.sigma * level.sigma)


@dataclass(frozen=True)
class Velocity(Prediction):
    """The derivative dx/dt = alpha' x_0 + sigma' eps in the schedule's time.

    Raises
    ------
    ValueError
        Where the level has no derivatives, or an infinite one.

    Examples
    --------
    >>> import numdiff as nd
    >>> level = nd.schedules.Flow().level(0.3)
    >>> nd.parameterizations.Velocity().components(level)  # eps - x_0 on straight lines
    (-1.0, 1.0)
    """

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
    """The flow-matching target eps - x_0, whatever the schedule.

    Examples
    --------
    >>> import numdiff as nd
    >>> nd.parameterizations.FlowMatching().components(nd.schedules.VPLinear().level(0.5))
    (-1, 1)
    """

    def components(self, level: Level) -> tuple[Number, Number]:
        """Return (-1, 1)."""
        return -1, 1

    def determinant(self, level: Level) -> Number:
        """Return -(alpha + sigma)."""
        return -(level.alpha + level.sigma)


@dataclass(frozen=True)
class Score(Prediction):
    """The score, the gradient of the log density of x: -eps/sigma.

    Raises
    ------
    ValueError
        Where sigma = 0.

    Examples
    --------
    >>> import numdiff as nd
    >>> nd.parameterizations.Score().components(nd.schedules.EDM().level(4.0))
    (0, -0.25)
    """

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

    Examples
    --------
    >>> import numdiff as nd
    >>> level = nd.schedules.EDM().level(2.0)
    >>> p, q = nd.parameterizations.coefficients(level, nd.parameterizations.EDM(0.5), "data")  # c_skip, c_out
    >>> round(p, 4), round(q, 4)
    (0.0588, 0.4851)
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


#: The classes by the names of their predictions.
CLASSES: dict[str, type[Prediction]] = {
    "noise": Noise,
    "data": Data,
    "v": V,
    "velocity": Velocity,
    "flow": FlowMatching,
    "score": Score,
    "edm": EDM,
}
_NAME_OF = {cls: name for name, cls in CLASSES.items()}
#: Their members with default parameters.
DEFAULTS = {name: cls() for name, cls in CLASSES.items()}
