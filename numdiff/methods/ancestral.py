r"""Ancestral sampling: a step of any one-step method beyond the target, and noise that brings it back.

With rho = sigma/alpha, y = x/alpha and the noise level eta between 0 and 1, the step from s to t is

    up^2 = eta^2 rho_t^2 (rho_s^2 - rho_t^2)/rho_s^2,      down^2 = rho_t^2 - up^2
    y_down = the base method's step from rho_s to rho_down,    y_t = y_down + up z

At eta = 1 this is rho_down = rho_t^2/rho_s, a step of twice the length in log-SNR. Both halves carry the marginals of
the diffusion into each other: the flow does, and adding noise does. So the error of a run's *distribution* is that of
the base alone, of its order, when the first sample has the distribution of its level; given a fixed first sample it is
the splitting of an SDE, weak order 1.

**Rectified flow.** On the flow schedule, where sigma = t and alpha = 1 - t, another rule for the same eta is in use:
sigma_down = sigma_t (1 - eta + eta sigma_t/sigma_s), with the noise that then restores rho_t (``rule="flow"``).

Over DDIM it is the exact solution of that SDE for a constant prediction: `Ancestral(DDIM(), eta)` is order 1 in
data/log-SNR with DDIM's eta, known as Euler ancestral.

**The ends.** The step that arrives at sigma = 0 is the base's own and adds no noise. From alpha = 0 on, rho_down is
sqrt(1 - eta^2) rho_t, a denoised estimate for eta = 1. The base may need a level at rho_down, which the schedule
places.

Sources: Song et al., DDIM (2021), section 4.1; Crowson, k-diffusion (``sample_*_ancestral``), whose ``s_noise`` is
``noise_factor`` here; diffusers, LTXEulerAncestralRFScheduler.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from numdiff.elementary import Number, exp, expm1, kind, log, log1p, sqrt, vanishes
from numdiff.formulations import Formulation
from numdiff.level import Level
from numdiff.methods.adams import AdamsBashforth
from numdiff.methods.base import Method
from numdiff.methods.checks import choice
from numdiff.methods.layout import Layout
from numdiff.methods.published.single_step import DPM2, DPMSolverSingle
from numdiff.tableau import Tableau

RULES = ("variance", "flow")


def one_step(method: Any, name: str) -> Method:
    """Return `method` if it is a deterministic one-step method whose state is the sample alone, or raise.

    Raises
    ------
    TypeError
        If it is no method.
    ValueError
        If it has a memory, a velocity or noise.
    """
    if not isinstance(method, Method):
        raise TypeError(f"{name} must be a one-step method such as nd.DDIM() or nd.Heun(), got {method!r}")
    if method.stochastic:
        raise ValueError(f"{name} must add no noise of its own, got {method}; use its form without noise")
    if method.points != 1 or method.steady(1.0 if method.kernel else None).registers != 1:
        raise ValueError(f"{name} must be a one-step method without memory, got {method}; use nd.DDIM() or nd.Heun()")
    return method


def number_in(name: str, value: Any, low: float, high: float) -> Number:
    """Return `value` if it is one number from `low` to `high`, or a symbol; raise otherwise."""
    if isinstance(value, (bool, str)) or value is None or getattr(value, "ndim", None):
        raise TypeError(f"{name} must be one number, got {value!r}")
    if getattr(value, "is_number", True) and not (low <= value <= high and value < math.inf):
        limit = f"at least {low:g} and finite" if high == math.inf else f"between {low:g} and {high:g}"
        raise ValueError(f"{name} must be {limit}, got {value}")
    return float(value) if kind(value) == "numpy" else value


def level_of_rho(layout: Layout, rho: Number, like: Level) -> Level:
    """Return the schedule's level at sigma/alpha = `rho`; one without a time, at the alpha of `like`, where it ends."""
    try:
        return layout.schedule.level(layout.schedule.time(-log(rho)))
    except ValueError:
        return Level(math.nan, like.alpha, like.alpha * rho, math.nan)


def base_step(base: Method, layout: Layout, start: Level, end: Level) -> Tableau:
    """Return the one step of `base` from `start` to `end`.

    Raises
    ------
    ValueError
        If the step evaluates at a level that the schedule does not have.
    """
    (step,) = base._program(replace(layout, method=base, levels=(start, end), orders=(1,)))
    for level in step.levels:
        if level is not None and level.time != level.time:
            raise ValueError(
                f"{layout.method} evaluates at sigma/alpha = {level.rho:.6g}, which schedule {layout.schedule.name} "
                "does not reach; use a schedule of a wider range, less noise, or another grid"
            )
    return step


def need_schedule(method: Method, schedule: Any) -> None:
    """Raise unless a method that adds noise is given a schedule."""
    if schedule is None and method.stochastic:
        raise ValueError(f"{method} adds the noise of a diffusion, and a plain ODE has none; give a noise schedule")


@dataclass(frozen=True)
class Ancestral(Method):
    """A one-step method made ancestral: steps beyond the target, and noise.

    Parameters
    ----------
    base
        The deterministic one-step method: DDIM, a Runge-Kutta method, an exponential Runge-Kutta method.
    eta
        Noise level, from 0 (the base itself) to 1.
    noise_factor
        Factor of the noise, at least 0; 1 is right and other values change the distribution ("s_noise").
    rule
        "variance" as above, or "flow", on flow schedules.

    Raises
    ------
    ValueError, TypeError
        For a base with memory or noise, or a number out of range.
    """

    base: Method
    eta: Number = 1
    noise_factor: Number = 1
    rule: str = "variance"

    reference: ClassVar[str] = "Song et al., DDIM, 2021, section 4.1; Crowson, k-diffusion, 2022"

    def __post_init__(self) -> None:
        """Check the parameters."""
        one_step(self.base, "base")
        object.__setattr__(self, "eta", number_in("eta", self.eta, 0, 1))
        object.__setattr__(self, "noise_factor", number_in("noise_factor", self.noise_factor, 0, math.inf))
        choice("rule", self.rule, RULES)

    @property
    def order(self) -> int:  # type: ignore[override]
        """The base's, in the law of the samples; see the module."""
        return self.base.order

    @property
    def points(self) -> int:
        """A one-step method combines no past evaluations."""
        return 1

    @property
    def formulation(self) -> Formulation | None:  # type: ignore[override]
        """The base's."""
        return self.base.formulation

    @property
    def kernel(self) -> Number:
        """Kernel exponent of a steady step: 1 + eta^2 times the base's for data, where eta is 0 or 1."""
        scaled = self.formulation is not None and self.formulation.prediction == "data"
        return self.base.kernel * (1 + self.eta**2 if scaled else 1)

    @property
    def stochastic(self) -> bool:
        """Whether a run adds noise: unless eta is 0."""
        return not vanishes(self.eta)

    @property
    def weak_order(self) -> int | None:
        """1 given the first sample; `order` in the law of the samples. None without noise."""
        return 1 if self.stochastic else None

    @property
    def has_limit(self) -> bool:
        """As the base's."""
        return self.base.has_limit

    @property
    def stages(self) -> int:
        """As many as the base's."""
        return self.base.stages

    @property
    def name(self) -> str:
        """The base, eta, and the factor of the noise unless it is 1."""
        factor = "" if self.noise_factor == 1 else f", noise x {self.noise_factor}"
        rule = "" if self.rule == "variance" else f", {self.rule}"
        return f"Ancestral({self.base.name}, eta={self.eta}{factor}{rule})"

    def coefficients(self) -> Any:
        """Return the base's coefficients."""
        return self.base.coefficients()

    def steady(self, h: Number | None = None, *, ratio: Number = 1) -> Tableau:
        """Return one of equal steps in log-SNR, without its noise, which no equal steps share; see `Method.steady`.

        Raises
        ------
        ValueError
            For a base in a ratio or in time with eta > 0, or the flow rule: rho_down depends on where the step is.
        """
        if not self.stochastic:
            return self.base.steady(h, ratio=ratio)
        if self.base.kernel == 0 or self.rule == "flow":
            raise ValueError(f"{self.name} has no steady step: equal steps in {self.formulation or 'rho'} differ")
        h = self._steady_h(h, ratio)
        extra = -log1p(self.eta**2 * expm1(-2 * h)) / 2 if self.eta != 1 else h
        step = self.base.steady(h + extra)
        if self.formulation is not None and self.formulation.prediction == "data":
            return step
        back = exp(-extra)  # kappa is -sigma: X_t = x_down/kappa_t
        return step.replace(B=[[back * x for x in step.B[0]]], V=[[back * step.V[0][0]]])

    def _formulation(self, schedule: Any) -> Formulation:
        need_schedule(self, schedule)
        if self.rule == "flow" and not getattr(schedule, "is_flow", False):
            raise ValueError(f"{self} has a rule for flow schedules, got {schedule.name}; use rule='variance'")
        return super()._formulation(schedule)

    def _program(self, layout: Layout) -> Iterator[Tableau]:
        for here, there in zip(layout.levels, layout.levels[1:], strict=False):
            if vanishes(self.eta) or vanishes(there.sigma):
                yield base_step(self.base, layout, here, there)
            else:
                yield self._step(layout, here, there)

    def _step(self, layout: Layout, here: Level, there: Level) -> Tableau:
        h = there.log_snr - here.log_snr
        if h < 0:
            raise ValueError(
                f"{self.name} adds noise on the way to the data, but the step from time {here.time} to {there.time} "
                "leads to the noise; reverse the grid, or use eta = 0"
            )
        ratio, up = self._down_and_up(here, there, h)
        down = level_of_rho(layout, there.rho * ratio, there)
        step = base_step(self.base, layout, here, down)
        scale = there.alpha / down.alpha
        step = step.replace(B=[[scale * x for x in step.B[0]]], V=[[scale * step.V[0][0]]], target=there)
        return step.with_noise(self.noise_factor * there.sigma * up, (self._clock(here), self._clock(there)))

    def _down_and_up(self, here: Level, there: Level, h: Number) -> tuple[Number, Number]:
        """Return rho_down and up over rho_t, without cancellation in short steps."""
        if self.rule == "variance":
            removed = self.eta**2 * expm1(-2 * h)  # -eta^2 (rho_s^2 - rho_t^2)/rho_s^2
            return sqrt(1 + removed), sqrt(-removed)
        lost = self.eta * (here.sigma - there.sigma) / here.sigma  # 1 - sigma_down/sigma_t
        alpha = 1 - there.sigma * (1 - lost)
        ratio = (1 - lost) * there.alpha / alpha
        return ratio, sqrt(lost / alpha * (1 + ratio))  # 1 - ratio is lost/alpha, as alpha_t + sigma_t = 1

    def _clock(self, level: Level) -> Number:
        """Return the Brownian time e^{2 eta^2 lambda} that the noise of short steps keeps; exact at eta = 1."""
        return 0.0 if vanishes(level.alpha) else exp(2 * self.eta**2 * level.log_snr)


def EulerAncestral(eta: Number = 1, *, noise_factor: Number = 1, rule: str = "variance") -> Ancestral:
    """Return Euler ancestral: DDIM with noise, order 1; eta = 1 is SDE-DPM-Solver++ of order 1 and DDPM's posterior.

    Parameters
    ----------
    eta, noise_factor, rule
        As in `Ancestral`; "flow" is Euler ancestral as used for rectified flows.
    """
    return Ancestral(AdamsBashforth(1), eta, noise_factor, rule)


def DPM2Ancestral(eta: Number = 1, *, noise_factor: Number = 1) -> Ancestral:
    """Return DPM2 ancestral ("dpm_2_ancestral", KDPM2Ancestral): DPM-Solver-2, midpoint form, with noise.

    Parameters
    ----------
    eta, noise_factor
        As in `Ancestral`.
    """
    return Ancestral(DPM2(), eta, noise_factor)


def DPMSolverPP2SAncestral(eta: Number = 1, *, rule: str = "dpmsolver", noise_factor: Number = 1) -> Ancestral:
    """Return DPM-Solver++ 2S ancestral ("dpmpp_2s_ancestral"): two evaluations a step, data prediction, with noise.

    Parameters
    ----------
    eta, noise_factor
        As in `Ancestral`.
    rule
        "dpmsolver", the midpoint form as published, or "exact", of stiff order 2.
    """
    return Ancestral(DPMSolverSingle(2, rule=rule), eta, noise_factor)
