r"""What is certified: anything that samples, reduced to one call.

A `Subject` is asked to carry a sample over given levels and asks back for predictions:

    run(field, x, levels, setting) -> x at levels[-1],        field(x, level) -> prediction, both of shape (points, d).

An adapter (`numdiff.adapters.subjects`) turns a library's sampler into one: it gives the sampler a model that finds the
level of every question, and the grid in whatever form the sampler wants it. Everything else, what is measured and why
an order is missed, is found out by experiments with that one call; no experiment knows which sampler it is made with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numdiff import schedules
from numdiff._names import suggest
from numdiff.level import Level

Array = NDArray[np.float64]
Field = Callable[[Array, Level], Array]

SCALES = {"vp": schedules.VPLinear(), "edm": schedules.EDM(T=1e4), "flow": schedules.Flow()}
"""The schedule of each scale, which places intermediate levels and gives velocities their derivatives."""


class NotASamplerError(ValueError):
    """Something with a sampler's name whose steps follow no probability flow and no diffusion; the text says why.

    Examples
    --------
    A solver that changes its order by itself has none at given steps:

    >>> from numdiff.adapters.subjects import resolve
    >>> from numdiff.certification import NotASamplerError
    >>> try:
    ...     resolve("scipy:LSODA")
    ... except NotASamplerError as error:
    ...     print(str(error).partition(" at ")[0])
    scipy:LSODA has no order
    """


@dataclass(frozen=True)
class Setting:
    """The circumstances of one run.

    Parameters
    ----------
    precision
        "float64": the sampler computes in float64, coefficients too, by whatever the adapter can do to make it so;
        "shipped": as its package does, from a float32 sample where it leaves the choice.
    grid
        "given": the levels are ours; "own": they are what `Subject.grid` returned.
    noise
        ``noise(shape)`` returns what the sampler's next random draw is to be, float64; None leaves its own generator.

    Examples
    --------
    Circumstances of a run; here all noise of an ancestral sampler is switched off:

    >>> import numpy as np
    >>> import numdiff as nd
    >>> from numdiff.certification import Setting, of_method
    >>> subject = of_method(nd.EulerAncestral(), scale="edm")
    >>> levels = [subject.level(lam) for lam in (-2.0, 0.0, 2.0)]
    >>> quiet = Setting(noise=np.zeros)
    >>> runs = [subject.run(lambda x, level: x / 2, np.ones((3, 2)), levels, quiet) for _ in range(2)]
    >>> bool(np.ptp(runs[0]) == 0), np.array_equal(*runs)
    (True, True)
    """

    precision: str = "float64"
    grid: str = "given"
    noise: Callable[[tuple[int, ...]], Array] | None = None


@dataclass(frozen=True)
class Subject:
    """A sampler to certify.

    Parameters
    ----------
    name
        "package:Name", as the command line takes it.
    run
        ``run(field, x, levels, setting)``: x of shape (points, d), float64, at ``levels[0]``; returns the sample at
        ``levels[-1]``, float64. `field` must be asked at the level where the sampler believes to be.
    order
        What is claimed for it; None if nothing is.
    prediction
        What `field` must answer: "noise", "data", "v", "velocity" or "flow".
    scale
        How alpha and sigma belong together: "vp" (squares add up to 1), "edm" (alpha = 1), "flow" (they add up to 1),
        or "time" for an integrator of y' = f(t, y), whose levels are times and whose prediction is "velocity".
    grid
        ``grid(steps)`` returns the levels that the sampler visits by itself; None if it has no grid of its own.
    regular
        Numbers of steps for which a grid of its own rounds nothing: divisors of the size of its table. () if all are.
    given
        Whether it can be told its levels.
    single
        Whether "shipped" precision differs from "float64".
    stochastic
        Whether it draws noise.
    most
        Largest number of steps.
    version
        Package and version, for the record.
    notes
        What the adapter changed so that there is an order to speak of: clipping switched off, say.

    Examples
    --------
    DDIM as a subject: from level to level it asks for the noise where it is:

    >>> import numpy as np
    >>> from numdiff.certification import Setting, Subject
    >>> def ddim(field, x, levels, setting):
    ...     for a, b in zip(levels[:-1], levels[1:]):
    ...         x = b.alpha * (x / a.alpha + (b.rho - a.rho) * field(x, a))
    ...     return x
    >>> subject = Subject("mine:ddim", ddim, order=1)
    >>> levels = [subject.level(lam) for lam in (-1.0, 1.0, 3.0)]
    >>> subject.run(lambda x, level: 0 * x, np.ones((2, 3)), levels, Setting()).shape
    (2, 3)
    """

    name: str
    run: Callable[[Field, Array, Sequence[Level], Setting], Array] = field(repr=False)
    order: int | None = None
    prediction: str = "noise"
    scale: str = "vp"
    grid: Callable[[int], tuple[Level, ...]] | None = field(default=None, repr=False)
    regular: tuple[int, ...] = ()
    given: bool = True
    single: bool = False
    stochastic: bool = False
    most: int = 10_000
    version: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check what can be checked without running anything."""
        if self.scale not in (*SCALES, "time"):
            suggest(self.scale, (*SCALES, "time"), "scale")
        if not callable(self.run):
            raise TypeError(f"run must be a function (field, x, levels, setting) -> x, got {self.run!r}")
        if self.order is not None and (isinstance(self.order, bool) or not isinstance(self.order, int)):
            raise TypeError(f"order must be a whole number or None, got {self.order!r}")
        if self.order is not None and self.order < 1:
            raise ValueError(f"order must be at least 1, got {self.order}; use None where nothing is claimed")
        if not (self.given or self.grid):
            raise ValueError(f"{self.name} neither takes levels nor has a grid of its own: set given or grid")

    def level(self, lam: float) -> Level:
        """Return the level of a log-SNR (of a time where the scale is "time"); infinity is sigma = 0."""
        return level_of(self.scale, lam)


def level_of(scale: str, lam: float) -> Level:
    """Return the level of a log-SNR on one of the `SCALES`, or of a time; infinity is sigma = 0."""
    if scale == "time":
        return Level.of_time(lam)
    schedule = SCALES[scale]
    return schedule.level(0.0 if lam == math.inf else schedule.time(lam))


def position(scale: str, level: Level) -> float:
    """Return the log-SNR of a level, or its time where the scale is "time"."""
    return float(level.time if scale == "time" else level.log_snr)


def answered(path: Any, subject: Subject) -> Field:
    """Return the field that makes a sampler follow a path."""
    if subject.scale == "time":
        return lambda x, level: path.slope(float(level.time), x)
    return lambda x, level: path.predict(x, level, subject.prediction)
