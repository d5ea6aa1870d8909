r"""Published stochastic samplers that are one of the families here under another name, and one misprint.

A multistep method becomes stochastic by its formulation (see `numdiff.sde`), so that most of these are one line. The
exception is the third order of sde-dpmsolver++ in diffusers. There the slope D_2 = (h^2/2) f'' of the interpolant
D_0 + D_1 u/h + D_2 (u/h)^2 must have the weight

::

    mu_2 = (1 + tau^2) alpha_t int_0^h e^{z(1 - u/h)} (u/h)^2 du = 2 alpha_t (1/2 - phi_2(z)),    z = -(1 + tau^2) h

and the code has -alpha_t (1/2 + phi_2(z)): half of it, as in the other codes' 3M, with a sign lost besides. That tends
to -alpha_t and not to 0 as h -> 0, which makes the order 1, and with noise worse: second differences of the predictions
are of size sqrt(h), so they must cancel from step to step, as on equal steps they do. On alternating steps the variance
does not converge.

Sources: Ho et al., DDPM (2020), section 3.2; Lu et al., DPM-Solver++ (2022), section 5; Song et al., DDIM (2021).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from numdiff import formulations
from numdiff.elementary import Number, kind
from numdiff.formulations import DATA_LOG_SNR, NOISE_LOG_SNR, Formulation
from numdiff.methods.adams import AdamsBashforth
from numdiff.methods.checks import choice
from numdiff.methods.multistep import AdamsType, Point
from numdiff.methods.published.classical import DPMSolver, DPMSolverPP
from numdiff.phi import phi
from numdiff.sde import Eta, Tau, stochastic
from numdiff.weights import interpolatory

__all__ = ["DDPM", "MisprintedThirdOrder", "SDEDPMSolver", "SDEDPMSolverPP"]

VARIANCES = ("fixed-small", "fixed-large")


@dataclass(frozen=True)
class MisprintedThirdOrder(AdamsType):
    """SDE-DPM-Solver++ of three evaluations as diffusers has it, with a sign lost; for certification only.

    ::

        x_t = xi x_s + mu_0 D_n + mu_1 D' + mu_2 D'',    mu_2 = -alpha_t (1/2 + phi_2(z)) for 2 alpha_t (1/2 - phi_2(z))

    where D_n + D' u/h + D'' (u/h)^2 is the interpolant of the three newest data predictions, z = -(1 + tau^2) h, and xi
    and mu_m are those of SDE-DPM-Solver++; the formula is that for tau = 1. A noise of its step is added.

    Its order is 1 and its weak order 0; on equal steps that is 1 too. The method meant is ``SDEDPMSolverPP(3)``.

    Parameters
    ----------
    formulation
        data/log-SNR with a noise level, from `numdiff.sde.stochastic`; None for tau = 1.

    Raises
    ------
    ValueError
        For another prediction.

    Notes
    -----
    Order 1; weak order 0; 1 stage; N evaluations for N steps. As published in diffusers.

    References
    ----------
    diffusers, DPMSolverMultistepScheduler of algorithm_type "sde-dpmsolver++" and solver_order 3.

    Examples
    --------
    Beside what was meant:

    >>> import numdiff as nd
    >>> for method in (nd.MisprintedThirdOrder(), nd.SDEDPMSolverPP(3)):
    ...     print(method.order, method.weak_order)
    1 0
    3 2
    """

    formulation: Formulation | None = None

    order: ClassVar[int] = 1  # type: ignore[misc]
    reference: ClassVar[str] = "diffusers, DPMSolverMultistepScheduler, sde-dpmsolver++ of order 3"

    def __post_init__(self) -> None:
        """Check the parameters."""
        found = stochastic() if self.formulation is None else formulations.get(self.formulation)
        object.__setattr__(self, "formulation", found)
        if found.prediction != "data" or found.variable != "log-snr":
            raise ValueError(f"formulation must be data/log-snr or a stochastic form of it, got {found}")

    @property
    def weak_order(self) -> int | None:
        """0; None without noise."""
        return 0 if self.stochastic else None

    @property
    def points(self) -> int:
        """Three evaluations are combined, whatever the order."""
        return 3

    @property
    def name(self) -> str:
        """AB3 with the misprint."""
        return f"AB3 {self.formulation} sign lost"

    @property
    def has_limit(self) -> bool:
        """False, since the weights of the formula do not stay finite and consistent on an infinite step."""
        return False

    def weights_at(self, state: Any, point: Point) -> list[Number]:
        """Return the weights of the step, newest first: those of Adams but for the moment of u^2."""
        mu = list(point.span.moments)
        if point.order == 3:
            z = point.span.c * point.span.unit
            half = phi(2, 0 * z) if kind(z) == "sympy" else 0.5
            mu[2] = mu[0] / (z * phi(1, z)) * (phi(2, z) + half)  # mu_0 = -alpha_t z phi_1(z)
        return interpolatory(point.nodes[: point.order], mu)


def DDPM(variance: str = "fixed-small") -> AdamsBashforth:
    """Return ancestral sampling of DDPM (Ho et al., 2020): the posterior mean and a noise of fixed variance.

    ::

        x_t = (sigma_t/sigma_s) e^{-h} x_s + alpha_t (1 - e^{-2h}) D + n z
        n^2 = sigma_t^2 (1 - e^{-2h})  "fixed-small",    sigma_s^2 (1 - e^{-2h})  "fixed-large"

    where D is the data prediction at (x_s, s), h the step in log-SNR lambda = log(alpha/sigma), and z standard normal:
    the mean is that of the posterior of x_t given x_s and x_0 = D.

    Parameters
    ----------
    variance
        "fixed-small": that of the posterior given x_0, sigma_t^2 (1 - e^{-2h}), which is DDIM with eta = 1.
        "fixed-large": that of the forward step, sigma_s^2 (1 - e^{-2h}) (beta_t on variance-preserving schedules). The
        step to sigma = 0 adds no noise in either.

    Returns
    -------
    AdamsBashforth

    Raises
    ------
    ValueError
        For an unknown variance.

    Notes
    -----
    Order 1; weak order 1; 1 stage; N evaluations for N steps. As published.

    References
    ----------
    Ho, Jain, Abbeel, Denoising diffusion probabilistic models, arXiv:2006.11239, section 3.2. Code: diffusers,
    DDPMScheduler.

    Examples
    --------
    >>> import numdiff as nd
    >>> nd.DDPM() == nd.DDIM(eta=1)
    True
    >>> schedule, grid = nd.schedules.VPLinear(), [1.0, 0.5, 0.001]
    >>> for variance in ("fixed-small", "fixed-large"):
    ...     scheme = nd.DDPM(variance).discretize(schedule, grid)
    ...     print(variance, [round(tableau.Nb[0][0], 3) for tableau in scheme])  # the noise of each step
    fixed-small [0.959, 0.01]
    fixed-large [1.0, 0.96]
    """
    choice("variance", variance, VARIANCES)
    return AdamsBashforth(1, stochastic(DATA_LOG_SNR, eta=Eta(1, variance.removeprefix("fixed-"))))


def SDEDPMSolver(order: int = 2, *, rule: str = "exact", tau: Number | Tau = 1) -> AdamsBashforth:
    """Return SDE-DPM-Solver: exponential Adams for the reverse diffusion on noise in log-SNR.

    ::

        x_t = (alpha_t/alpha_s) x_s - (1 + tau^2) sigma_t sum_{j<k} omega_j e_{n-j} + n z
        omega_j = int_0^h e^{h-u} l_j(u) du,    n = tau sigma_t sqrt(e^{2h} - 1)

    where e_{n-j} are the noise predictions, newest first, h is the step in log-SNR, z standard normal, and l_j the
    polynomial that is 1 at the node u_j = lambda_{n-j} - lambda_n and 0 at the other k - 1. Rule "half" takes int_0^h
    e^{(h-u)} u du as h/2 times that of 1.

    Parameters
    ----------
    order
        Number of evaluations combined; 1 and 2 are published.
    rule
        "exact" (solver type "heun" of diffusers), "half" for its "midpoint" at order 2, and the rules of `DPMSolver`.
    tau
        Noise level; 1 as published, 0 is DPM-Solver.

    Returns
    -------
    AdamsBashforth

    Raises
    ------
    ValueError, TypeError
        For parameters out of range.

    Notes
    -----
    Order k; weak order min(k, 2); 1 stage; N evaluations for N steps. The order is that at tau = 0 with exact starts.
    Orders 1 and 2 are published; "exact" is solver type "heun" and "half" is "midpoint".

    References
    ----------
    Lu, Zhou, Bao, Chen, Li, Zhu, DPM-Solver++, arXiv:2211.01095. Code: diffusers, DPMSolverMultistepScheduler of
    algorithm_type "sde-dpmsolver".

    Examples
    --------
    >>> import numdiff as nd
    >>> method = nd.SDEDPMSolver(2)
    >>> method.order, method.weak_order
    (2, 2)
    >>> nd.SDEDPMSolver(2, tau=0) == nd.DPMSolver(2)
    True
    """
    return replace(DPMSolver(order, rule=rule), formulation=stochastic(NOISE_LOG_SNR, tau))


def SDEDPMSolverPP(
    order: int = 2, *, rule: str = "exact", tau: Number | Tau = 1
) -> AdamsBashforth | MisprintedThirdOrder:
    """Return SDE-DPM-Solver++ (Lu et al., 2022): exponential Adams for the reverse diffusion on data in log-SNR.

    ::

        x_t = (sigma_t/sigma_s) e^{-tau^2 h} x_s + (1 + tau^2) alpha_t sum_{j<k} omega_j D_{n-j} + n z
        omega_j = int_0^h e^{-(1+tau^2)(h-u)} l_j(u) du,    n = sigma_t sqrt(1 - e^{-2 tau^2 h})

    where D_{n-j} are the data predictions, newest first, h is the step in log-SNR, z standard normal, and l_j the
    polynomial that is 1 at the node u_j = lambda_{n-j} - lambda_n and 0 at the other k - 1. Rule "half" takes int_0^h
    e^{-(1+tau^2)(h-u)} u du as h/2 times that of 1.

    Parameters
    ----------
    order
        Number of evaluations combined. From 2 on the weak order is 2.
    rule
        As for `AdamsBashforth`: "exact" (solver type "heun" of diffusers at order 2), "half" for its "midpoint" and
        "DPM++ 2M SDE" of k-diffusion; at order 3 "3m-heun" is "DPM++ 3M SDE" as published, of order 2, and "sign" what
        diffusers has, of order 1 (`MisprintedThirdOrder`).
    tau
        Noise level; 1 as published, 0 is DPM-Solver++. k-diffusion's eta in "2M SDE" and "3M SDE" is tau^2.

    Returns
    -------
    AdamsBashforth | MisprintedThirdOrder

    Raises
    ------
    ValueError, TypeError
        For parameters out of range.

    Notes
    -----
    Order k; weak order min(k, 2); 1 stage; N evaluations for N steps. The order is that at tau = 0 with exact starts.
    Order 3 is repaired: rule "3m-heun" is k-diffusion's 3M, of order 2, and "sign" that of diffusers, of order 1.

    References
    ----------
    Lu, Zhou, Bao, Chen, Li, Zhu, DPM-Solver++, arXiv:2211.01095. Code: k-diffusion, sample_dpmpp_2m_sde and
    sample_dpmpp_3m_sde; diffusers, algorithm_type "sde-dpmsolver++".

    Examples
    --------
    Where all data are 0 the samples have the standard deviation sigma of the last level:

    >>> import numpy as np
    >>> import numdiff as nd
    >>> schedule, noise = nd.schedules.VPLinear(), nd.noise.Seeded(0)
    >>> scheme = nd.SDEDPMSolverPP(2).discretize(schedule, nd.grids.uniform_log_snr(schedule, 10))
    >>> x_T = noise.initial(np.empty((10000, 1)))
    >>> x = nd.sample(scheme, lambda x, t: 0 * x, x_T, prediction="data", noise=noise)
    >>> print(f"{x.std() / schedule.sigma(schedule.t_end):.1f}")
    1.0
    >>> nd.SDEDPMSolverPP(2, tau=0) == nd.DPMSolverPP(2)
    True
    """
    formulation = stochastic(DATA_LOG_SNR, tau)
    if rule == "sign":
        if order != 3:
            raise ValueError(f'rule="sign" is a misprint of order 3; got order={order}, use "exact" or "half"')
        return MisprintedThirdOrder(formulation)
    return replace(DPMSolverPP(order, rule=rule), formulation=formulation)
