r"""Churn: noise is added before a step, and a longer step removes it (EDM's stochastic sampler).

With rho = sigma/alpha, y = x/alpha, and where S_min <= rho_s <= S_max,

::

    gamma = min(S_churn/N, sqrt(2) - 1),    rho^ = (1 + gamma) rho_s
    y^ = y_s + S_noise sqrt(rho^^2 - rho_s^2) z,    y_t = the base method's step from rho^ to rho_t

and no noise elsewhere. The one z reaches the sample through every row of the base's tableau that reads it. Heun's
method as the base is EDM's algorithm 2; Euler's and DPM-Solver-2, ``Churn(DPM2(), ...)``, are k-diffusion's
``sample_euler`` and ``sample_dpm_2``. Adding noise carries the marginals exactly, so the law of the samples has the
base's error, and at S_noise = 1 no other; given the first sample, the splitting has weak order 1. At another S_noise,
EDM's own 1.003 included, more noise is added than the step removes: the variance keeps an error of about (S_noise^2 -
1) times that of all the noise, however many steps there are, and ``weak_order`` is 0.

On a Brownian path the noise of a step is the increment over the step itself, of the clock -rho^2, so that runs on
grids that refine one another at a fixed S_churn approach the same samples.

**Evaluation.** ``evaluation="after"`` asks the model at (y^, rho^), as published. diffusers' Euler has asked at
(y_s, rho_s) before it draws the noise, and uses the answer at rho^: ``evaluation="before"``, for one-stage bases. The
prediction that it keeps is the base's, so noise and data prediction differ. It has order 1.

Orders hold for a fixed S_churn: gamma then falls like 1/N. At its cap every step stays longer than log(1 + gamma) in
log-SNR, and nothing converges.

Sources: Karras et al., Elucidating the design space (2022), algorithm 2; Crowson, k-diffusion; diffusers,
EulerDiscreteScheduler.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

from numdiff.elementary import Number, log, product, sqrt, vanishes
from numdiff.level import Level
from numdiff.methods.adams import AdamsBashforth
from numdiff.methods.base import Method
from numdiff.methods.butcher import HEUN
from numdiff.methods.checks import check_number, check_towards_data, choice, is_symbolic, show
from numdiff.methods.layout import Layout
from numdiff.methods.one_step import OverOneStep, check_one_step
from numdiff.methods.runge_kutta import RungeKutta
from numdiff.tableau import Tableau

__all__ = ["Churn", "EDMStochastic", "EulerChurn"]

EVALUATIONS = ("after", "before")
CAP = 2**0.5 - 1
"""The largest gamma: the variance of the noise at most doubles."""


@dataclass(frozen=True)
class Churn(OverOneStep):
    """A one-step method that is given fresh noise before its steps.

    ::

        gamma = min(S_churn/N, sqrt(2) - 1) where S_min <= rho_s <= S_max, else 0,    rho^ = (1 + gamma) rho_s
        y^ = y_s + S_noise sqrt(rho^^2 - rho_s^2) z,    y_t = base's step of y^ from rho^ to rho_t

    where y = x/alpha, rho = sigma/alpha and z is standard normal.

    Parameters
    ----------
    base
        The deterministic one-step method: DDIM, Heun, an exponential Runge-Kutta method.
    S_churn
        Amount of noise of a whole run, at least 0; a step's share is capped as published.
    S_min
        Smallest sigma/alpha at which noise is added.
    S_max
        Largest sigma/alpha at which noise is added.
    S_noise
        Factor of the noise, at least 0; 1 is right, and EDM's 1.003 to 1.007, which make up for a network's loss of
        detail, change the law for good (weak order 0).
    evaluation
        "after" the noise, or "before" it, as in diffusers' Euler.

    Raises
    ------
    ValueError, TypeError
        For a base with memory or noise, a number out of range or an empty window.

    Notes
    -----
    The order is the base's, in the law of the samples; the weak order, given the first sample, is 1 (0 unless S_noise =
    1); stages and evaluations are the base's. Both hold for a fixed S_churn. As published.

    References
    ----------
    Karras, Aittala, Aila, Laine, Elucidating the design space, arXiv:2206.00364, algorithm 2.

    Examples
    --------
    >>> import numdiff as nd
    >>> method = nd.Churn(nd.Heun(), S_churn=40)
    >>> print(method, method.order, method.weak_order)
    Churn(Heun, S_churn=40) 2 1
    >>> schedule = nd.schedules.EDM()
    >>> [round(float(method.gamma(schedule.level(80.0), steps)), 4) for steps in (18, 256)]  # capped for few steps
    [0.4142, 0.1562]
    """

    base: Method
    S_churn: Number = 0
    S_min: float = 0.0
    S_max: float = math.inf
    S_noise: Number = 1
    evaluation: str = "after"

    reference: ClassVar[str] = "Karras et al., 2022, algorithm 2"

    def __post_init__(self) -> None:
        """Check the parameters."""
        check_one_step("base", self.base)
        for name in ("S_churn", "S_noise"):
            object.__setattr__(self, name, check_number(name, getattr(self, name), 0))
        for name in ("S_min", "S_max"):
            object.__setattr__(self, name, _bound(name, getattr(self, name)))
        if not self.S_min < self.S_max:
            raise ValueError(f"S_min must lie below S_max, got {self.S_min} and {self.S_max}")
        choice("evaluation", self.evaluation, EVALUATIONS)
        if self.evaluation == "before" and self.base.stages != 1:
            raise ValueError(f'evaluation="before" needs a base with one evaluation, got {self.base}; use nd.DDIM()')

    @property
    def stochastic(self) -> bool:
        """Whether a run may add noise, which it may unless S_churn is 0."""
        return not vanishes(self.S_churn)

    @property
    def weak_order(self) -> int | None:
        """1 given the first sample, 0 where S_noise is not 1; `order` in the law of the samples. None without noise."""
        return int(self.S_noise == 1) if self.stochastic else None

    @property
    def name(self) -> str:
        """The base and the parameters that are not the default ones."""
        parts = [self.base.name, f"S_churn={show(self.S_churn)}"]
        if self.S_min or self.S_max != math.inf:
            parts.append(f"on [{float(self.S_min):g}, {float(self.S_max):g}]")
        if self.S_noise != 1:
            parts.append(f"S_noise={show(self.S_noise)}")
        if self.evaluation == "before":
            parts.append("evaluated before")
        return f"Churn({', '.join(parts)})"

    def steady(self, h: Number | None = None, *, ratio: Number = 1) -> Tableau:
        """Return the base's steady step; see `Method.steady`.

        Raises
        ------
        ValueError
            With S_churn > 0: gamma depends on the number of steps of the run.
        """
        if self.stochastic:
            raise ValueError(f"{self.name} has no steady step: its noise depends on the number of steps; use its base")
        return self.base.steady(h, ratio=ratio)

    def gamma(self, level: Level, steps: int) -> Number:
        """Return gamma of the step that leaves `level`, in a run of `steps` steps."""
        share = self.S_churn / steps
        if not self.S_min <= level.rho <= self.S_max:
            return 0
        return share if share < CAP else CAP

    def _program(self, layout: Layout) -> Iterator[Tableau]:
        for here, there in pairwise(layout.levels):
            gamma = self.gamma(here, layout.steps)
            if vanishes(gamma) or vanishes(here.alpha):  # there is no more noise than at alpha = 0
                yield self._base_step(layout, here, there)
            else:
                yield self._step(layout, here, there, gamma)

    def _step(self, layout: Layout, here: Level, there: Level, gamma: Number) -> Tableau:
        check_towards_data(self, here, there)
        hat = self._level(layout, here, (1 + gamma) * here.rho)
        step = self._base_step(layout, hat, there)
        scale = hat.alpha / here.alpha
        noise = self.S_noise * hat.sigma * sqrt(1 - 1 / (1 + gamma) ** 2)
        if vanishes(noise):
            noise = 0
        before = self.evaluation == "before"
        U, V = step.U, [(product(step.V[0][0], scale),)]
        noisy = tuple((product(x, noise),) for (x,) in U)
        changed = step.replace(
            U=U if before else [(product(x, scale),) for (x,) in U],
            V=V,
            Na=((0,),) * step.stages if before else noisy,
            Nb=((product(step.V[0][0], noise),),),
            clocks=((-(here.rho**2), -(there.rho**2)),),
            target=there,
        )
        return changed.replace(levels=(here,)) if before else changed

    def _level(self, layout: Layout, here: Level, rho: Number) -> Level:
        """Return the schedule's level at sigma/alpha = `rho`, the noisier one."""
        try:
            return layout.level_of(-log(rho))
        except ValueError as error:
            raise ValueError(
                f"{self.name} churns from sigma/alpha = {float(here.rho):.6g} up to {float(rho):.6g}, which schedule "
                f"{layout.schedule.name} does not reach; lower S_max, start the grid lower, or use a wider schedule"
            ) from error


def _bound(name: str, value: Any) -> Number:
    """Return an end of the window as a number that is not negative, and may be infinite; or raise."""
    known = isinstance(value, (int, float)) or hasattr(value, "is_number")
    number = math.inf if known and value == math.inf else check_number(name, value, 0)
    if is_symbolic(number):
        raise TypeError(f"{name} must be a number, as steps are compared with it, got the symbol {value}")
    return number


def EDMStochastic(S_churn: Number = 40, S_min: float = 0.05, S_max: float = 50.0, S_noise: Number = 1.003) -> Churn:
    """Return EDM's stochastic sampler: Heun's method with churn; the defaults are those for ImageNet-64.

    ::

        rho^ = (1 + gamma) rho_s,    y^ = y_s + S_noise sqrt(rho^^2 - rho_s^2) z,    d = rho_t - rho^
        Y = y^ + d e(y^, rho^),    y_t = y^ + d [e(y^, rho^) + e(Y, rho_t)]/2

    where y = x/alpha, rho = sigma/alpha, e is the noise prediction, z standard normal, and gamma = min(S_churn/N,
    sqrt(2) - 1) where S_min <= rho_s <= S_max and 0 elsewhere.

    Parameters
    ----------
    S_churn
        Amount of noise of a whole run, at least 0.
    S_min
        Smallest sigma/alpha at which noise is added.
    S_max
        Largest sigma/alpha at which noise is added.
    S_noise
        Factor of the noise, at least 0; 1 is right, see `Churn`.

    Returns
    -------
    Churn

    Raises
    ------
    ValueError, TypeError
        For parameters out of range.

    Notes
    -----
    Order 2; weak order 0; 2 stages; 2 N evaluations for N steps, 2 N - 1 to sigma = 0. That is for S_noise = 1.003,
    which leaves too much noise; at S_noise = 1 the weak order given the first sample is 1, and the order that of the
    law of the samples. As published.

    References
    ----------
    Karras, Aittala, Aila, Laine, Elucidating the design space, arXiv:2206.00364, algorithm 2. Code: NVlabs/edm;
    k-diffusion, sample_heun.

    Examples
    --------
    >>> import numdiff as nd
    >>> schedule = nd.schedules.EDM()
    >>> scheme = nd.EDMStochastic().discretize(schedule, nd.grids.karras(schedule, 256, final_zero=True))
    >>> scheme.nfe
    511
    >>> [nd.EDMStochastic(S_noise=factor).weak_order for factor in (1.003, 1)]
    [0, 1]
    """
    return Churn(RungeKutta(HEUN, "Heun"), S_churn, S_min, S_max, S_noise)


def EulerChurn(S_churn: Number, S_min: float = 0.0, S_max: float = math.inf, S_noise: Number = 1) -> Churn:
    """Return Euler's method with churn, as k-diffusion's ``sample_euler``.

    ::

        rho^ = (1 + gamma) rho_s,    y^ = y_s + S_noise sqrt(rho^^2 - rho_s^2) z
        y_t = y^ + (rho_t - rho^) e(y^, rho^)

    where y = x/alpha, rho = sigma/alpha, e is the noise prediction, z standard normal, and gamma = min(S_churn/N,
    sqrt(2) - 1) where S_min <= rho_s <= S_max and 0 elsewhere.

    Parameters
    ----------
    S_churn
        Amount of noise of a whole run, at least 0.
    S_min
        Smallest sigma/alpha at which noise is added.
    S_max
        Largest sigma/alpha at which noise is added.
    S_noise
        Factor of the noise, at least 0; 1 is right, see `Churn`.

    Returns
    -------
    Churn

    Raises
    ------
    ValueError, TypeError
        For parameters out of range.

    Notes
    -----
    Order 1; weak order 1; 1 stage; N evaluations for N steps. As published in k-diffusion; diffusers evaluates before
    it adds the noise: `Churn` with ``evaluation="before"``.

    References
    ----------
    Crowson, k-diffusion, sample_euler; diffusers, EulerDiscreteScheduler; churn is that of Karras, Aittala, Aila,
    Laine, Elucidating the design space, arXiv:2206.00364, algorithm 2.

    Examples
    --------
    With S_churn = 0 it is DDIM:

    >>> import numpy as np
    >>> import numdiff as nd
    >>> schedule = nd.schedules.EDM()
    >>> grid = nd.grids.karras(schedule, 10)
    >>> for method in (nd.EulerChurn(0), nd.DDIM()):
    ...     scheme = method.discretize(schedule, grid)
    ...     print(method, round(nd.sample(scheme, lambda x, t: np.tanh(x), np.array([80.0])).item(), 6))
    Churn(AB1, S_churn=0) 0.359046
    AB1 0.359046
    """
    return Churn(AdamsBashforth(1), S_churn, S_min, S_max, S_noise)
