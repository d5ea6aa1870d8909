r"""Ancestral sampling: a step of any one-step method beyond the target, and noise that brings it back.

With rho = sigma/alpha, y = x/alpha and the noise level eta between 0 and 1, the step from s to t is

::

    up^2 = eta^2 rho_t^2 (rho_s^2 - rho_t^2)/rho_s^2,      down^2 = rho_t^2 - up^2
    y_down = the base method's step from rho_s to rho_down,    y_t = y_down + up z

At eta = 1 this is rho_down = rho_t^2/rho_s, a step of twice the length in log-SNR. Both halves carry the marginals of
the diffusion into each other: the flow does, and adding noise does. So the error of a run's *distribution* is that of
the base alone, of its order, when the first sample has the distribution of its level; given a fixed first sample it is
the splitting of an SDE, weak order 1. With another ``noise_factor`` than 1 the second half no longer undoes the first:
the variance keeps an error of about (noise_factor^2 - 1) times that of the noise however short the steps are, and
``weak_order`` is 0.

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

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

from numdiff.elementary import Number, exp, expm1, log1p, sqrt, vanishes
from numdiff.formulations import Formulation
from numdiff.level import Level
from numdiff.methods.adams import AdamsBashforth
from numdiff.methods.base import Method
from numdiff.methods.checks import check_noise_factor, check_number, check_towards_data, choice, show
from numdiff.methods.layout import Layout
from numdiff.methods.one_step import OverOneStep, check_one_step, level_of_rho
from numdiff.methods.published.single_step import DPM2, DPMSolverSingle
from numdiff.sde import Eta
from numdiff.tableau import Tableau

__all__ = ["Ancestral", "DPM2Ancestral", "DPMSolverPP2SAncestral", "EulerAncestral"]

RULES = ("variance", "flow")


@dataclass(frozen=True)
class Ancestral(OverOneStep):
    """A one-step method made ancestral: steps beyond the target, and noise.

    ::

        up^2 = eta^2 rho_t^2 (rho_s^2 - rho_t^2)/rho_s^2,    down^2 = rho_t^2 - up^2
        x_t = alpha_t [base's step of x/alpha from rho_s to down + up z]

    where rho = sigma/alpha and z is standard normal.

    Parameters
    ----------
    base
        The deterministic one-step method: DDIM, a Runge-Kutta method, an exponential Runge-Kutta method.
    eta
        Noise level, from 0 (the base itself) to 1.
    noise_factor
        Factor of the noise, at least 0; 1 is right and other values change the distribution for good ("s_noise").
    rule
        "variance", the formulas shown, or "flow", on flow schedules: sigma_down = sigma_t (1 - eta + eta
        sigma_t/sigma_s), with the noise that then restores rho_t.

    Raises
    ------
    ValueError, TypeError
        For a base with memory or noise, or a number out of range.

    Notes
    -----
    The order is the base's, in the law of the samples; the weak order, given the first sample, is 1; stages and
    evaluations are the base's. As published.

    References
    ----------
    Crowson, k-diffusion, sample_euler_ancestral and others; Song, Meng, Ermon, Denoising diffusion implicit models,
    arXiv:2010.02502, section 4.1.

    Examples
    --------
    The noise of each step:

    >>> import numdiff as nd
    >>> schedule, grid = nd.schedules.VPLinear(), [1.0, 0.5, 0.001]
    >>> for eta in (0.5, 1):
    ...     scheme = nd.Ancestral(nd.Heun(), eta).discretize(schedule, grid)
    ...     print(eta, [round(tableau.Nb[0][0], 3) for tableau in scheme])
    0.5 [0.48, 0.005]
    1 [0.959, 0.01]
    """

    base: Method
    eta: Number = 1
    noise_factor: Number = 1
    rule: str = "variance"

    reference: ClassVar[str] = "Song et al., DDIM, 2021, section 4.1; Crowson, k-diffusion, 2022"

    def __post_init__(self) -> None:
        """Check the parameters."""
        check_one_step("base", self.base)
        object.__setattr__(self, "eta", check_number("eta", self.eta, 0, 1, remedy="1 is the reverse diffusion"))
        object.__setattr__(self, "noise_factor", check_noise_factor(self.noise_factor))
        choice("rule", self.rule, RULES)

    @property
    def kernel(self) -> Number:
        """Kernel exponent of a steady step, 1 + eta^2 times the base's for data, where eta is 0 or 1."""
        scaled = self.formulation is not None and self.formulation.prediction == "data"
        return self.base.kernel * (1 + self.eta**2 if scaled else 1)

    @property
    def stochastic(self) -> bool:
        """Whether a run adds noise, which it does unless eta is 0."""
        return not vanishes(self.eta)

    @property
    def weak_order(self) -> int | None:
        """1 given the first sample; `order` in its law; 0 where the noise is scaled. None without noise."""
        return int(self.noise_factor == 1) if self.stochastic else None

    @property
    def name(self) -> str:
        """The base, eta, and the factor of the noise unless it is 1."""
        factor = "" if self.noise_factor == 1 else f", noise x {show(self.noise_factor)}"
        rule = "" if self.rule == "variance" else f", {self.rule}"
        return f"Ancestral({self.base.name}, eta={show(self.eta)}{factor}{rule})"

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
        return step.scaled(exp(-extra))  # kappa is -sigma: X_t = x_down/kappa_t

    def _formulation(self, schedule: Any) -> Formulation:
        if self.rule == "flow" and not getattr(schedule, "is_flow", False):
            found = getattr(schedule, "name", schedule)
            raise ValueError(f"{self} has a rule for flow schedules, got {found}; use rule='variance'")
        return super()._formulation(schedule)

    def _program(self, layout: Layout) -> Iterator[Tableau]:
        for here, there in pairwise(layout.levels):
            if vanishes(self.eta) or vanishes(there.sigma):
                yield self._base_step(layout, here, there)
            else:
                yield self._step(layout, here, there)

    def _step(self, layout: Layout, here: Level, there: Level) -> Tableau:
        check_towards_data(self, here, there)
        ratio, up = self._down_and_up(here, there)
        down = level_of_rho(layout, there.rho * ratio, there)
        step = self._base_step(layout, here, down).scaled(there.alpha / down.alpha).same_shape(target=there)
        clock = (Eta(self.eta).clock(here, 0), Eta(self.eta).clock(there, 0))  # that of short steps; exact at eta = 1
        return step.with_noise(self.noise_factor * there.sigma * up, clock)

    def _down_and_up(self, here: Level, there: Level) -> tuple[Number, Number]:
        """Return rho_down and up over rho_t, without cancellation in short steps."""
        if self.rule == "variance":
            removed = self.eta**2 * expm1(-2 * (there.log_snr - here.log_snr))  # -eta^2 (rho_s^2 - rho_t^2)/rho_s^2
            return sqrt(1 + removed), sqrt(-removed)
        lost = self.eta * (here.sigma - there.sigma) / here.sigma  # 1 - sigma_down/sigma_t
        alpha = 1 - there.sigma * (1 - lost)
        ratio = (1 - lost) * there.alpha / alpha
        return ratio, sqrt(lost / alpha * (1 + ratio))  # 1 - ratio is lost/alpha, as alpha_t + sigma_t = 1


def EulerAncestral(eta: Number = 1, *, noise_factor: Number = 1, rule: str = "variance") -> Ancestral:
    """Return Euler ancestral: DDIM with noise, order 1; eta = 1 is SDE-DPM-Solver++ of order 1 and DDPM's posterior.

    ::

        x_t = alpha_t [x_s/alpha_s + (down - rho_s) e + up z]
        up^2 = eta^2 rho_t^2 (rho_s^2 - rho_t^2)/rho_s^2,    down^2 = rho_t^2 - up^2

    where e is the noise prediction at (x_s, s), rho = sigma/alpha and z is standard normal.

    Parameters
    ----------
    eta
        Noise level, from 0 (no noise) to 1.
    noise_factor
        Factor of the noise, at least 0; 1 is right and other values change the distribution for good ("s_noise").
    rule
        "variance", the formulas of `Ancestral`, or "flow", Euler ancestral as used for rectified flows.

    Returns
    -------
    Ancestral

    Raises
    ------
    ValueError, TypeError
        For parameters out of range.

    Notes
    -----
    Order 1; weak order 1; 1 stage; N evaluations for N steps. As published.

    References
    ----------
    Crowson, k-diffusion, sample_euler_ancestral; diffusers, EulerAncestralDiscreteScheduler; as DDIM with eta Song,
    Meng, Ermon, Denoising diffusion implicit models, arXiv:2010.02502, section 4.1.

    Examples
    --------
    At eta = 1 it is DDPM's posterior, step by step:

    >>> import numdiff as nd
    >>> schedule, grid = nd.schedules.VPLinear(), [1.0, 0.5, 0.001]
    >>> for method in (nd.EulerAncestral(), nd.DDPM()):
    ...     print([round(tableau.Nb[0][0], 9) for tableau in method.discretize(schedule, grid)])
    [0.959412795, 0.010485367]
    [0.959412795, 0.010485367]
    """
    return Ancestral(AdamsBashforth(1), eta, noise_factor, rule)


def DPM2Ancestral(eta: Number = 1, *, noise_factor: Number = 1) -> Ancestral:
    """Return DPM2 ancestral ("dpm_2_ancestral", KDPM2Ancestral): DPM-Solver-2, midpoint form, with noise.

    ::

        up^2 = eta^2 rho_t^2 (rho_s^2 - rho_t^2)/rho_s^2,    down^2 = rho_t^2 - up^2,    mid^2 = rho_s down
        y_m = y_s + (mid - rho_s) e(y_s, rho_s),    y_t = y_s + (down - rho_s) e(y_m, mid) + up z

    where y = x/alpha, rho = sigma/alpha, e is the noise prediction and z standard normal.

    Parameters
    ----------
    eta
        Noise level, from 0 (no noise) to 1.
    noise_factor
        Factor of the noise, at least 0; 1 is right and other values change the distribution for good ("s_noise").

    Returns
    -------
    Ancestral

    Raises
    ------
    ValueError, TypeError
        For parameters out of range.

    Notes
    -----
    Order 2; weak order 1; 2 stages; 2 N evaluations for N steps. The order is that of the law of the samples; the weak
    order is given the first one. As published.

    References
    ----------
    Crowson, k-diffusion, sample_dpm_2_ancestral; diffusers, KDPM2AncestralDiscreteScheduler; the solver is DPM-Solver-2
    of Lu, Zhou, Bao, Chen, Li, Zhu, DPM-Solver, arXiv:2206.00927.

    Examples
    --------
    >>> import numdiff as nd
    >>> method = nd.DPM2Ancestral()
    >>> method.order, method.weak_order, method.nfe(10)
    (2, 1, 20)
    >>> nd.DPM2Ancestral(0).stochastic
    False
    """
    return Ancestral(DPM2(), eta, noise_factor)


def DPMSolverPP2SAncestral(eta: Number = 1, *, rule: str = "dpmsolver", noise_factor: Number = 1) -> Ancestral:
    """Return DPM-Solver++ 2S ancestral ("dpmpp_2s_ancestral"): two evaluations a step, data prediction, with noise.

    ::

        up^2 = eta^2 rho_t^2 (rho_s^2 - rho_t^2)/rho_s^2,    down^2 = rho_t^2 - up^2,    h = log(rho_s/down)
        y_m = e^{-h/2} y_s + (1 - e^{-h/2}) D(y_s, rho_s),    y_t = e^{-h} y_s + (1 - e^{-h}) D(y_m, mid) + up z

    where y = x/alpha, rho = sigma/alpha, mid^2 = rho_s down, D is the data prediction and z standard normal; rule
    "exact" gives D(y_s, rho_s) a weight of its own.

    Parameters
    ----------
    eta
        Noise level, from 0 (no noise) to 1.
    noise_factor
        Factor of the noise, at least 0; 1 is right and other values change the distribution for good ("s_noise").
    rule
        "dpmsolver", the midpoint form as published, or "exact", of stiff order 2.

    Returns
    -------
    Ancestral

    Raises
    ------
    ValueError, TypeError
        For parameters out of range.

    Notes
    -----
    Order 2; weak order 1; 2 stages; 2 N evaluations for N steps. The order is that of the law of the samples; the weak
    order is given the first one. As published.

    References
    ----------
    Crowson, k-diffusion, sample_dpmpp_2s_ancestral; the solver is 2S of Lu, Zhou, Bao, Chen, Li, Zhu, DPM-Solver++,
    arXiv:2211.01095.

    Examples
    --------
    >>> import numdiff as nd
    >>> method = nd.DPMSolverPP2SAncestral(0.5)
    >>> print(method)
    Ancestral(DPM-Solver-2S dpmsolver data/log-snr, eta=0.5)
    >>> method.order, method.weak_order, method.nfe(10)
    (2, 1, 20)
    """
    return Ancestral(DPMSolverSingle(2, rule=rule), eta, noise_factor)
