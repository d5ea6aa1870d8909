r"""Stochastic interpolants: Euler-Maruyama and Heun for the SDE whose marginals are those of the flow (SiT).

With the velocity v and the score s of the same law, and any D(t) >= 0, the equation

::

    dx = [v(x, t) - D(t) s(x, t)] dt + sqrt(2 D(t)) dW,    t from noise to data, so dt < 0                       (1)

has the marginals of dx/dt = v. (SiT writes w = 2 D.) The score is linear in x and v, s = p x + q v with numbers p, q of
the level (`numdiff.parameterizations.coefficients`), so the drift is b v + c x with b = 1 - D q and c = -D p, and a
step is a tableau with one evaluation or two, Heun's of the drift at the sample with the whole noise of the step::

    Euler    x' = x + h (b v + c x) + sqrt(2 D |h|) z
    Heun     y = x + sqrt(2 D |h|) z,    x' = y + h/2 [d(y, t) + d(y + h d(y, t), t + h)],    d = b v + c x

D is taken at the start of the step. With r = t, which is 0 at the data and 1 at the noise, the choices of SiT are

::

    =========================  ======================================
    "constant"                 norm
    "sbdm"                     norm sigma^2 |d lambda/dt|
    "sigma"                    norm sigma
    "linear"                   norm r
    "decreasing"               (1 - norm cos(pi r))^2/4
    "increasing-decreasing"    norm sin^2(pi r)
    =========================  ======================================

"sbdm" with norm tau^2 is the equation of `numdiff.sde` with the noise level tau; norm = 1 is the reverse diffusion.
Noise first and drift after it is a splitting of first order: both samplers have weak order 1.

The score is infinite at sigma = 0, so the step that arrives there is another one: "mean", Euler's without noise;
"tweedie", the denoised estimate; "euler", Euler's step of the flow; None, Euler-Maruyama's own, which Heun lacks.

Sources: Ma et al., SiT (2024), section 3 and appendix; Albergo et al., Stochastic interpolants (2023), theorem 2.10.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import pi
from typing import ClassVar

from numdiff.elementary import Number, cos, kind, sin, sqrt, vanishes
from numdiff.formulations import VELOCITY_TIME, Formulation
from numdiff.level import Level
from numdiff.methods.base import OneStep
from numdiff.methods.butcher import EULER, HEUN, Butcher
from numdiff.methods.checks import check_number, check_towards_data, choice, show
from numdiff.methods.layout import Layout
from numdiff.methods.multistep import first_order
from numdiff.parameterizations import coefficients
from numdiff.tableau import Tableau, one_stage

__all__ = ["Interpolant", "SiT"]

RULES = ("euler", "heun")
DIFFUSIONS = ("constant", "sbdm", "sigma", "linear", "decreasing", "increasing-decreasing")
LASTS = ("mean", "tweedie", "euler", None)


@dataclass(frozen=True)
class Interpolant(OneStep):
    """Euler-Maruyama or Heun's method for the SDE (1) of a stochastic interpolant.

    ::

        x' = x + h d(x, t) + sqrt(2 D |h|) z,    d = v - D s                                       rule "euler"
        y = x + sqrt(2 D |h|) z,    x' = y + h/2 [d(y, t) + d(y + h d(y, t), t + h)]               rule "heun"

    where v is the velocity, s the score (linear in x and v), D(t) >= 0 the diffusion, h < 0 the step in time and z
    standard normal.

    Parameters
    ----------
    rule
        "euler", one evaluation a step, or "heun", two.
    diffusion
        D(t): "constant" (norm), "sbdm" (norm sigma^2 times the absolute value of d lambda/dt), "sigma" (norm sigma),
        "linear" (norm r), "decreasing" ((1 - norm cos(pi r))^2/4) or "increasing-decreasing" (norm sin^2(pi r)), where
        r is the time, 0 at the data and 1 at the noise.
    norm
        Its size, a number not negative; 0 leaves Euler's or Heun's method on the velocity (but for "decreasing").
    last
        The step that arrives at sigma = 0, where the score is infinite: "mean", Euler's without noise; "tweedie", the
        denoised estimate; "euler", Euler's step of the flow; None, Euler-Maruyama's own, which Heun lacks.

    Raises
    ------
    ValueError, TypeError
        For an unknown option, a norm that is negative or no number, or Heun with last=None.

    Notes
    -----
    Order 1; weak order 1; 1 stage; N evaluations for N steps. Rule "heun" has 2 stages, and order 2 on the flow. As
    published.

    References
    ----------
    Ma et al., SiT, arXiv:2401.08740; Albergo, Boffi, Vanden-Eijnden, Stochastic interpolants, arXiv:2303.08797.

    Examples
    --------
    >>> import numdiff as nd
    >>> schedule, method = nd.schedules.Flow(), nd.Interpolant(diffusion="sigma")
    >>> [method.half_squared(schedule.level(t)) for t in (1.0, 0.5, 0.0)]  # D(t)
    [1.0, 0.5, 0.0]
    >>> method.weak_order, nd.Interpolant("heun", norm=0).stochastic
    (1, False)
    """

    rule: str = "euler"
    diffusion: str = "sbdm"
    norm: Number = 1
    last: str | None = "mean"

    reference: ClassVar[str] = "Ma et al., SiT, 2024; Albergo, Boffi, Vanden-Eijnden, Stochastic interpolants, 2023"

    def __post_init__(self) -> None:
        """Check the parameters."""
        for name, known in (("rule", RULES), ("diffusion", DIFFUSIONS), ("last", LASTS)):
            choice(name, getattr(self, name), known)
        object.__setattr__(self, "norm", check_number("norm", self.norm, 0, remedy="0 adds no noise"))
        if self.rule == "heun" and self.last is None:
            raise ValueError('last must be "mean", "tweedie" or "euler" for Heun, whose second stage needs a score')

    @property
    def formulation(self) -> Formulation:  # type: ignore[override]
        """The velocity, on every schedule that has derivatives."""
        return VELOCITY_TIME

    @property
    def stochastic(self) -> bool:
        """Whether D is positive somewhere."""
        return self.diffusion == "decreasing" or not vanishes(self.norm)

    @property
    def order(self) -> int:  # type: ignore[override]
        """1 or 2, that of the rule on the flow, norm = 0."""
        return 1 if self.rule == "euler" else 2

    @property
    def stages(self) -> int:
        """One or two."""
        return self.order

    @property
    def name(self) -> str:
        """The rule, the diffusion and what differs from the default."""
        parts = [self.diffusion, *([] if self.norm == 1 else [show(self.norm)])]
        parts += [] if self.last == "mean" else [f"last={self.last}"]
        return f"Interpolant {self.rule}({', '.join(parts)})"

    def coefficients(self) -> Butcher:
        """Return the Butcher array of the rule."""
        return EULER if self.rule == "euler" else HEUN

    def steady(self, h: Number | None = None, *, ratio: Number = 1) -> Tableau:
        """Return the step of the flow; with noise the drift depends on the level, and no step is like another.

        Raises
        ------
        ValueError
            Where there is noise.
        """
        if self.stochastic:
            raise ValueError(f"{self.name} has no steady step: b and c depend on the level; use norm=0")
        return self._step(self._steady_h(h, 1), (1, 0), (1, 0), 0)

    def half_squared(self, level: Level) -> Number:
        """Return D at `level`, half the square of the coefficient of dW.

        Raises
        ------
        ValueError
            Where D is infinite ("sbdm" at alpha = 0), the level has no derivatives, or its time lies beyond 1.
        """
        norm = float(self.norm) if kind(self.norm) == "exact" else self.norm
        if self.diffusion == "constant":
            return norm
        if self.diffusion == "sigma":
            return norm * level.sigma
        if self.diffusion == "sbdm":
            return 0 * norm if vanishes(norm) else norm * _sbdm(level)
        r = level.time
        if kind(r) != "sympy" and not 0 <= r <= 1:
            raise ValueError(f'diffusion "{self.diffusion}" is a function of a time in [0, 1], got {r}; use "sbdm"')
        if self.diffusion == "linear":
            return norm * r
        return (1 - norm * cos(pi * r)) ** 2 / 4 if self.diffusion == "decreasing" else norm * sin(pi * r) ** 2

    def _program(self, layout: Layout) -> Iterator[Tableau]:
        for n in range(layout.steps):
            here, there = layout.levels[n], layout.levels[n + 1]
            if layout.denoises(n):
                yield first_order(VELOCITY_TIME, here, there)
            elif layout.arrives(n) and self.last is not None:
                yield self._arrival(here, there)
            else:
                yield self._between(here, there)

    def _between(self, here: Level, there: Level) -> Tableau:
        """Return an ordinary step."""
        h, D = there.time - here.time, self.half_squared(here)
        if not vanishes(D):
            check_towards_data(self, here, there)
        first = _drift(here, D)
        second = _drift(there, self.half_squared(there)) if self.rule == "heun" else (0, 0)
        step = self._step(h, first, second, 0 if vanishes(D) else sqrt(-2 * D * h))
        levels = (here, there)[: step.stages]
        return step.replace(levels=levels, target=there, clocks=((-here.time, -there.time),) * step.noises)

    def _arrival(self, here: Level, there: Level) -> Tableau:
        """Return the step to sigma = 0."""
        if self.last == "tweedie":
            return first_order(VELOCITY_TIME, here, there)
        b, c = _drift(here, self.half_squared(here) if self.last == "mean" else 0)
        h = there.time - here.time
        return one_stage([h * b, 1 + h * c], [1, 0], level=here, target=there)

    def _step(self, h: Number, first: tuple[Number, Number], second: tuple[Number, Number], noise: Number) -> Tableau:
        """Return a step of length `h` with the drifts b v + c x at its start and end."""
        (b, c), (b2, c2) = first, second
        if self.rule == "euler":
            return one_stage([h * b, 1 + h * c], [1, 0]).with_noise(noise)
        keep = 1 + h * c  # of y in the second stage, whose weight on the first evaluation is h b
        out, half = 1 + h * (c + c2 * keep) / 2, h / 2
        B = ((half * (b + c2 * h * b), half * b2),)
        step = Tableau(A=((0, 0), (h * b, 0)), U=((1,), (keep,)), B=B, V=((out,),))
        return step if vanishes(noise) else step.replace(Na=((noise,), (noise * keep,)), Nb=((noise * out,),))


def _drift(level: Level, D: Number) -> tuple[Number, Number]:
    """Return (b, c) of the drift v - D s = b v + c x."""
    if vanishes(D):
        return 1, 0
    p, q = coefficients(level, "velocity", "score")
    return 1 - D * q, -D * p


def _sbdm(level: Level) -> Number:
    """Return sigma^2 |d lambda/dt| = sigma sigma' - sigma^2 alpha'/alpha."""
    if vanishes(level.alpha):
        raise ValueError(
            f'diffusion "sbdm" is infinite at alpha = 0 (time {level.time}); start the grid at a smaller time, or use '
            '"sigma" or another one'
        )
    if level.d_alpha is None or level.d_sigma is None:
        raise ValueError(f'diffusion "sbdm" needs d_alpha and d_sigma, which the level at time {level.time} lacks')
    return level.sigma * (level.d_sigma - level.sigma * level.d_alpha / level.alpha)


def SiT(rule: str = "euler", diffusion: str = "sbdm", *, norm: Number = 1, last: str | None = "mean") -> Interpolant:
    """Return a sampler of SiT (Ma et al., 2024) for the SDE; its defaults are the published ones.

    ::

        x' = x + h [v(x, t) - D(t) s(x, t)] + sqrt(2 D(t) |h|) z

    where v is the velocity, s the score that follows from it, D(t) the diffusion (for "sbdm" norm sigma^2
    times the absolute value of d lambda/dt, with lambda = log(alpha/sigma)), h < 0 the step in time and z standard
    normal; rule "heun" is in `Interpolant`.

    Lay it out on a grid whose last step is the published "last step size", 0.04, and that starts at alpha > 0 for
    "sbdm".

    Parameters
    ----------
    rule, diffusion, norm, last
        As in `Interpolant`.

    Returns
    -------
    Interpolant

    Raises
    ------
    ValueError, TypeError
        For parameters out of range.

    Notes
    -----
    Order 1; weak order 1; 1 stage; N evaluations for N steps. Rule "heun" has 2 stages, and order 2 on the flow, norm =
    0. As published.

    References
    ----------
    Ma et al., SiT, arXiv:2401.08740; Albergo, Boffi, Vanden-Eijnden, Stochastic interpolants, arXiv:2303.08797. Code:
    willisma/SiT, transport.

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> schedule = nd.schedules.Flow()
    >>> grid = np.append(np.linspace(0.99, 0.04, 25), 0.0)  # the published last step
    >>> scheme = nd.SiT(diffusion="sigma").discretize(schedule, grid)
    >>> x = nd.sample(scheme, lambda x, t: x, np.ones(2), prediction="velocity", noise=nd.noise.Seeded(1))
    >>> scheme.nfe, x.shape
    (25, (2,))
    """
    return Interpolant(rule, diffusion, norm, last)
