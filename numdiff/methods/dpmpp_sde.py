r"""DPM-Solver++ (SDE), single-step: two evaluations of the reverse diffusion a step, with noise on both.

With the exact step of the diffusion for a constant prediction, x_t = xi x_s + W f + n z (`numdiff.sde`), to the inner
level m at a fraction r of the step in log-SNR and to t,

::

    X_2 = xi_m x_s + W_m f_1 + n_m z_1
    x_t = xi x_s + w_1 f_1 + w_2 f_2 + n z_2,    w from f linear in log-SNR through both nodes

``rule="half"``, as published, takes W/2 for the first moment, so that w_2 = W/(2 r); "exact" takes formula (*).

**One path.** z_1 and z_2 are increments of one Brownian motion, the first over a part of the other's time, so

::

    z_2 = sqrt(theta) z_1 + sqrt(1 - theta) z_3,    theta = (T_m - T_s)/(T_t - T_s),    z_3 independent

for a clock T. ``path="brownian"`` takes the clock of the diffusion itself, with which a constant prediction gives x_m
and x_t their exact joint law; ``path="rho"`` takes T = -sigma/alpha, which is what k-diffusion and diffusers draw from
their Brownian tree. Both have theta = r + O(h), and the weak order 2 then follows from three sums: w_2 r = W/2, which
is the drift's, and w_2 times the covariance of z_1 with z_2 and w_2 times the variance of X_2, each as it should be.
``path="independent"`` has no covariance and weak order 1. With another ``noise_factor`` than 1 the variance keeps an
error of about (noise_factor^2 - 1) times that of all the noise, however short the steps are: weak order 0.

**The same method elsewhere.** For a constant tau, so for eta = 1 too, ``path="brownian"`` is the exponential
Runge-Kutta method of two stages in the stochastic formulation: ``DPMSolverSingle(2, stochastic(tau=tau))``, SEEDS-2 on
data predictions. What is only here are the other two paths, and an eta between 0 and 1 that is asked of the part up to
the inner level and of the whole step separately, as the published code does.

Sources: Lu et al., DPM-Solver++ (2022), section 5; Crowson, k-diffusion (``sample_dpmpp_sde``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any, ClassVar

from numdiff import formulations
from numdiff.elementary import Number, sqrt
from numdiff.formulations import DATA_LOG_SNR, Formulation, Span
from numdiff.level import Level
from numdiff.methods.base import OneStep
from numdiff.methods.checks import check_noise_factor, check_number, choice, show
from numdiff.methods.exponential_butcher import two_stage
from numdiff.methods.exponential_runge_kutta import exponential_step, infinite
from numdiff.methods.layout import Layout
from numdiff.methods.multistep import first_order
from numdiff.sde import StochasticFormulation, Tau, stochastic
from numdiff.tableau import Tableau
from numdiff.weights import exact, interpolatory

__all__ = ["DPMSolverPPSDE", "SingleStepSDE"]

RULES = ("half", "exact")
PATHS = ("brownian", "rho", "independent")


@dataclass(frozen=True)
class SingleStepSDE(OneStep):
    """Two-stage exponential Runge-Kutta method of the reverse diffusion, with noise on stage and output.

    ::

        x_m = xi_m x_s + W_m f_1 + n_m z_1,    f_1 = f(x_s, s),    f_2 = f(x_m, m)
        x_t = xi x_s + (W - w_2) f_1 + w_2 f_2 + n z_2,    w_2 = W/(2 r)

    where f is the prediction, m lies the fraction r of the step in log-SNR further, xi, W and n are the linear factor,
    the weight of a constant prediction and the noise of the diffusion's exact step to t (with index to m), and z_1, z_2
    are increments of one Brownian motion; rule "exact" has another w_2.

    Parameters
    ----------
    formulation
        A log-SNR formulation, as from `numdiff.sde.stochastic`.
    r
        Where the inner level is, as a fraction of the step in log-SNR, above 0 and at most 1.
    rule
        "half" as published, or "exact".
    path
        How the two noises of a step depend on one another: "brownian", on the diffusion's own path, "rho", on a
        path over sigma/alpha as in k-diffusion, or "independent".
    noise_factor
        Factor of the noise, at least 0; 1 is right and other values change the law for good ("s_noise").

    Raises
    ------
    ValueError, TypeError
        For another formulation, a number out of range or an unknown option.

    Notes
    -----
    Order 2; weak order 2; 2 stages; 2 N evaluations for N steps. The weak order is 1 with path "independent".

    References
    ----------
    Lu, Zhou, Bao, Chen, Li, Zhu, DPM-Solver++, arXiv:2211.01095; Crowson, k-diffusion, sample_dpmpp_sde.

    Examples
    --------
    >>> import numdiff as nd
    >>> formulation = nd.stochastic("data/log-snr", eta=1)
    >>> [nd.SingleStepSDE(formulation, path=path).weak_order for path in ("brownian", "rho", "independent")]
    [2, 2, 1]
    >>> nd.SingleStepSDE(formulation).coefficients()
    (0, 2*h*phi(1, -2*h))
    """

    formulation: Formulation
    r: Number = Fraction(1, 2)
    rule: str = "half"
    path: str = "brownian"
    noise_factor: Number = 1

    reference: ClassVar[str] = "Lu et al., DPM-Solver++, 2022, section 5; Crowson, k-diffusion, 2022"

    def __post_init__(self) -> None:
        """Check the parameters."""
        object.__setattr__(self, "formulation", formulations.get(self.formulation))
        if self.formulation.variable != "log-snr":
            raise ValueError(f"formulation must be in log-SNR, got {self.formulation}; use stochastic('data/log-snr')")
        remedy = "at r = 0 the inner level is the first one"
        object.__setattr__(self, "r", check_number("r", self.r, 0, 1, above=True, remedy=remedy))
        choice("rule", self.rule, RULES)
        choice("path", self.path, PATHS)
        object.__setattr__(self, "noise_factor", check_noise_factor(self.noise_factor))

    @property
    def order(self) -> int:  # type: ignore[override]
        """2 in the drift."""
        return 2

    @property
    def has_limit(self) -> bool:
        """False, since the inner level of an infinitely long step is nowhere."""
        return False

    @property
    def weak_order(self) -> int | None:
        """2 on one path, 1 with independent noises, 0 where the noise is scaled; None without noise."""
        if not self.stochastic:
            return None
        if self.noise_factor != 1:
            return 0
        return 1 if self.path == "independent" else getattr(self.formulation, "weak_order", 2)

    @property
    def stages(self) -> int:
        """Two."""
        return 2

    @property
    def name(self) -> str:
        """The formulation, with what differs from the default."""
        parts = [self.formulation.name, *([f"r={show(self.r)}"] if self.r != Fraction(1, 2) else [])]
        parts += [x for x in (self.rule, self.path) if x not in ("half", "brownian")]
        parts += [f"noise x {show(self.noise_factor)}"] if self.noise_factor != 1 else []
        return f"2S-SDE({', '.join(parts)})"

    def coefficients(self) -> tuple[Number, ...]:
        """Return the weights (w_1, w_2) of one steady step, for kappa = 1, in terms of h."""
        return tuple(self.steady().B[0])

    def steady(self, h: Number | None = None, *, ratio: Number = 1) -> Tableau:
        """Return the tableau of one of equal steps, without its noise; see `Method.steady`."""
        h = self._steady_h(h, ratio)
        inner, whole = self.formulation.steady_span(self.r * h, 1), self.formulation.steady_span(h, 2)
        return self._tableau(inner, whole)

    def _tableau(self, inner: Span, whole: Span) -> Tableau:
        mu = whole.moments
        if self.rule == "half":
            mu = [mu[0], exact(mu[0]) / 2]
        return Tableau(
            A=((0, 0), (inner.moments[0], 0)),
            U=((1,), (inner.xi,)),
            B=(tuple(interpolatory((0 * self.r, self.r), mu)),),
            V=((whole.xi,),),
        )

    def _program(self, layout: Layout) -> Iterator[Tableau]:
        for n, (here, there) in enumerate(pairwise(layout.levels)):
            if infinite(layout.formulation, here, there):
                yield first_order(layout.formulation, here, there, noise_factor=self.noise_factor)
            else:
                yield self._step(layout.formulation, here, layout.level_at(n, self.r, DATA_LOG_SNR), there)

    def _step(self, asked: Formulation, here: Level, middle: Level, there: Level) -> Tableau:
        formulation = _on_step(asked, here, there)
        if not formulation.stochastic:
            array = two_stage(self.r, self.rule)
            return exponential_step(array, formulation, (here, middle), there)
        inner, whole = formulation.span(here, middle, 1), formulation.span(here, there, 2)
        step = self._tableau(inner, whole).same_shape(levels=(here, middle), target=there)
        if whole.clock is None or inner.clock is None:  # no noise: eta is too small for one
            return step
        first, last = self.noise_factor * inner.noise, self.noise_factor * whole.noise
        if self.path == "independent":
            return step.replace(Na=((0, 0), (first, 0)), Nb=((0, last),), clocks=(None, whole.clock))
        start, end = whole.clock if self.path == "brownian" else (-here.rho, -there.rho)
        between = inner.clock[1] if self.path == "brownian" else -middle.rho
        theta = (between - start) / (end - start)
        level: Any = getattr(asked, "level", None)
        if self.path == "brownian" and isinstance(level, Tau) and level.is_function and asked.prediction == "data":
            start, between, end = (level.clock(x, 0) for x in (here, middle, there))  # that of a run, not of one step
        shared, fresh = last * sqrt(theta), last * sqrt(1 - theta)
        if self.r == 1:
            return step.replace(Na=((0,), (first,)), Nb=((last,),), clocks=((start, end),))
        clocks = ((start, between), (between, end))
        return step.replace(Na=((0, 0), (first, 0)), Nb=((shared, fresh),), clocks=clocks)


def _on_step(formulation: Formulation, here: Level, there: Level) -> Formulation:
    """Return the formulation with the tau that a whole step has: a window opens between steps only."""
    if isinstance(formulation, StochasticFormulation) and isinstance(formulation.level, Tau):
        return stochastic(formulation.base, formulation.level.on(here, there))
    return formulation


def DPMSolverPPSDE(
    eta: Number = 1,
    *,
    r: Number = Fraction(1, 2),
    rule: str = "half",
    path: str = "brownian",
    noise_factor: Number = 1,
) -> SingleStepSDE:
    """Return DPM-Solver++ (SDE), k-diffusion's ``dpmpp_sde``: two evaluations a step, data prediction.

    ::

        x_m = xi_m x_s + W_m D_1 + n_m z_1,    D_1 = D(x_s, s),    D_2 = D(x_m, m)
        x_t = xi x_s + (W - w_2) D_1 + w_2 D_2 + n z_2,    w_2 = W/(2 r)
        xi = (sigma_t/sigma_s) e^{-h},    W = alpha_t (1 - e^{-2h}),    n = sigma_t sqrt(1 - e^{-2h})

    where D is the data prediction, h the step in log-SNR, m lies r h further with xi_m, W_m, n_m in its place, and z_1,
    z_2 are standard normals of one Brownian path; shown for eta = 1, and rule "exact" has another w_2.

    Parameters
    ----------
    eta
        DDIM's noise level, 0 to 1.
    r
        Where the inner level is, as a fraction of the step in log-SNR, above 0 and at most 1.
    rule
        The weight w_2: "half" as published, or "exact".
    path
        How the two noises of a step depend on one another: "brownian", on the diffusion's own path, "rho", on a path
        over sigma/alpha, which is k-diffusion's and diffusers' own form, or "independent".
    noise_factor
        Factor of the noise, at least 0; 1 is right and other values change the law for good ("s_noise").

    Returns
    -------
    SingleStepSDE

    Raises
    ------
    ValueError, TypeError
        For parameters out of range.

    Notes
    -----
    Order 2; weak order 2; 2 stages; 2 N evaluations for N steps. The order is that at eta = 0. Repaired: both noises
    lie on the diffusion's own path; path "rho" is the published one, and "independent" has weak order 1.

    References
    ----------
    Crowson, k-diffusion, sample_dpmpp_sde; diffusers, DPMSolverSDEScheduler; the solver is 2S of Lu, Zhou, Bao, Chen,
    Li, Zhu, DPM-Solver++, arXiv:2211.01095.

    Examples
    --------
    >>> import numdiff as nd
    >>> print(nd.DPMSolverPPSDE(), "|", nd.DPMSolverPPSDE(path="rho"))
    2S-SDE(data/log-snr eta=1) | 2S-SDE(data/log-snr eta=1, rho)
    >>> nd.DPMSolverPPSDE().weak_order, nd.DPMSolverPPSDE(path="independent").weak_order
    (2, 1)
    """
    return SingleStepSDE(stochastic(DATA_LOG_SNR, eta=eta), r, rule, path, noise_factor)
