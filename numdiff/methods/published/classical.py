"""Published samplers that are one of the families here under another name.

Each function returns the family's own object, so that a famous name and its structure are never two things.
"""

from __future__ import annotations

from numdiff.elementary import Number, vanishes
from numdiff.formulations import DATA_LOG_SNR, NOISE_LOG_SNR, NOISE_RATIO, Formulation
from numdiff.methods.adams import HALVED, AdamsBashforth
from numdiff.methods.checks import choice
from numdiff.methods.deis import TimeAdams
from numdiff.methods.published.flow import FlowAB, FlowEuler, FlowHeun, FlowMidpoint
from numdiff.methods.published.runge_kutta import RHO_RK, RK4, SSPRK2, Heun, Kutta38, Midpoint, Ralston, RhoRK
from numdiff.methods.published.third_order import SSPRK3, SSPRK43, Heun3, Kutta3, Ralston3, VanDerHouwen3
from numdiff.sde import stochastic

__all__ = [
    "DDIM",
    "DEIS",
    "IPNDM",
    "LMS",
    "PLMS",
    "RHO_RK",
    "RK4",
    "SSPRK2",
    "SSPRK3",
    "SSPRK43",
    "VARIANTS",
    "DPMSolver",
    "DPMSolverPP",
    "FlowAB",
    "FlowEuler",
    "FlowHeun",
    "FlowMidpoint",
    "Heun",
    "Heun3",
    "Kutta3",
    "Kutta38",
    "Midpoint",
    "Ralston",
    "Ralston3",
    "RhoRK",
    "VanDerHouwen3",
]

VARIANTS = ("rho", "log-rho", "time")


def DDIM(formulation: Formulation | str | None = None, eta: Number = 0) -> AdamsBashforth:
    """Return DDIM (Song et al., 2021): Adams-Bashforth of order 1, with noise where eta > 0.

    ::

        x_t = alpha_t D + sqrt(sigma_t^2 - n^2) e + n z,    n = eta sigma_t sqrt(1 - e^{-2h})

    where D is the data and e the noise prediction at (x_s, s), h the step in log-SNR lambda = log(alpha/sigma), and z
    standard normal. eta = 0 is Adams-Bashforth of order 1: x_t = (alpha_t/alpha_s) x_s + (sigma_t - sigma_s
    alpha_t/alpha_s) e.

    Every noise and data formulation gives the same step, and so does the velocity on flow schedules, where alpha and
    sigma are linear in time; on other schedules velocity/time is Euler's method for dx/dt and not DDIM.

    Parameters
    ----------
    formulation
        As above; data/log-SNR where there is noise.
    eta
        Noise of a step, 0 to 1, as a fraction of that of the reverse diffusion; 1 is DDPM. See `numdiff.sde`.

    Raises
    ------
    ValueError, TypeError
        For parameters out of range.

    Notes
    -----
    Order 1; 1 stage; N evaluations for N steps. With eta > 0 the weak order is 1 too, for the diffusion with the noise
    level that each step has. As published.

    References
    ----------
    Song, Meng, Ermon, Denoising diffusion implicit models, arXiv:2010.02502. Code: diffusers, DDIMScheduler; without
    noise k-diffusion, sample_euler.
    """
    if vanishes(eta):
        return AdamsBashforth(1, formulation)  # type: ignore[arg-type]
    return AdamsBashforth(1, stochastic(DATA_LOG_SNR if formulation is None else formulation, eta=eta))


def PLMS(order: int = 4) -> AdamsBashforth:
    """Return PLMS (Liu et al., PNDM, 2022): equal-step Adams weights on noise in sigma/alpha, whatever the grid.

    ::

        x_t = T_{s->t}(x_s, sum_{j<k} b_j e_{n-j})
        T_{s->t}(x, e) = (alpha_t/alpha_s) x + (sigma_t - sigma_s alpha_t/alpha_s) e
        b = (1),    (3, -1)/2,    (23, -16, 5)/12,    (55, -59, 37, -9)/24    for k = 1, 2, 3, 4

    where e_{n-j} are the noise predictions, newest first, and the b_j the Adams weights of equal steps, taken by index
    whatever the grid: the method is exact Adams-Bashforth where steps are equal in sigma/alpha and nowhere else.

    Parameters
    ----------
    order
        Number of evaluations combined, 1 to 8.

    Raises
    ------
    ValueError, TypeError
        For an order out of range, or that is no integer.

    Notes
    -----
    Order k; 1 stage; N evaluations for N steps. Order k holds with exact starts on grids uniform in sigma/alpha only;
    from k = 2 on the order is 2 on other smooth grids and 1 on rough ones. The weights are those published; `PNDM` has
    its published start, and `LMS` is the form for any grid.

    References
    ----------
    Liu, Ren, Lin, Zhao, Pseudo numerical methods for diffusion models on manifolds, arXiv:2202.09778. Code: diffusers,
    PNDMScheduler with skip_prk_steps, whose first step is `PNDM`'s.
    """
    return AdamsBashforth(order, NOISE_RATIO, weights="uniform")


def LMS(order: int = 4) -> AdamsBashforth:
    """Return the linear multistep sampler of k-diffusion: variable-step Adams on noise in sigma/alpha.

    ::

        x_t/alpha_t = x_s/alpha_s + sum_{j<k} w_j e_{n-j},    w_j = int_{rho_s}^{rho_t} l_j(rho) drho

    where rho = sigma/alpha, e_{n-j} are the noise predictions, newest first, and l_j is the polynomial of degree k - 1
    that is 1 at rho_{n-j} and 0 at the other k - 1 newest nodes.

    This is also DEIS's rho-AB, and what iPNDM_v is meant to be (see `IPNDMV`).

    Parameters
    ----------
    order
        Number of evaluations combined, 1 to 8.

    Raises
    ------
    ValueError, TypeError
        For an order out of range, or that is no integer.

    Notes
    -----
    Order k; 1 stage; N evaluations for N steps. Order k holds on any grid with exact starts, 2 from starts of lower
    order. As published, but with exact integrals for adaptive quadrature.

    References
    ----------
    Crowson, k-diffusion, sample_lms; diffusers, LMSDiscreteScheduler; as rho-AB Zhang and Chen, Fast sampling of
    diffusion models with exponential integrator, arXiv:2204.13902; Hairer, Norsett, Wanner, Solving ordinary
    differential equations I, III.5.
    """
    return AdamsBashforth(order, NOISE_RATIO)


def IPNDM(order: int = 4) -> AdamsBashforth:
    """Return iPNDM (Zhang and Chen, 2023): PLMS from a start of lower order, one evaluation a step throughout.

    ::

        x_{n+1} = T_{n->n+1}(x_n, sum_{j<m} b_j e_{n-j}),    m = min(n + 1, k)

    where T is DDIM's step with one prediction, e_{n-j} are the noise predictions, newest first, and b_j the m Adams
    weights of equal steps: (1), (3, -1)/2, (23, -16, 5)/12, (55, -59, 37, -9)/24.

    Parameters
    ----------
    order
        Number of evaluations combined, 1 to 8.

    Raises
    ------
    ValueError, TypeError
        For an order out of range, or that is no integer.

    Notes
    -----
    Order k; 1 stage; N evaluations for N steps. Order k holds with exact starts on grids uniform in sigma/alpha only; a
    run from its own starts has order 2 at most, and 1 on rough grids. As published.

    References
    ----------
    Zhang and Chen, Fast sampling of diffusion models with exponential integrator, arXiv:2204.13902, appendix; the
    weights are those of Liu, Ren, Lin, Zhao, Pseudo numerical methods for diffusion models on manifolds,
    arXiv:2202.09778. Code: diffusers, IPNDMScheduler, on a schedule of its own.
    """
    return PLMS(order)


def DEIS(order: int = 3, variant: str = "rho") -> AdamsBashforth | TimeAdams:
    """Return multistep DEIS (Zhang and Chen, 2023) combining `order` evaluations.

    ::

        x_t = (alpha_t/alpha_s) x_s + alpha_t sum_{j<k} w_j e_{n-j},    w_j = int_{rho_s}^{rho_t} l_j(chi(rho)) drho

    where rho = sigma/alpha, e_{n-j} are the noise predictions, newest first, chi is the variable that `variant` names
    (rho, log rho or the time t), and l_j the polynomial in chi that is 1 at chi_{n-j} and 0 at the other k - 1 nodes.

    Parameters
    ----------
    order
        Number of evaluations; the paper counts polynomial degrees, so its rho-AB r is ``DEIS(r + 1)``.
    variant
        "rho" interpolates in sigma/alpha (the paper's rho-AB), "log-rho" in its logarithm (the form in diffusers),
        "time" in the schedule's time (the paper's tAB, by quadrature: see `TimeAdams`).

    Raises
    ------
    ValueError, TypeError
        For an order out of range or an unknown variant.

    Notes
    -----
    Order k; 1 stage; N evaluations for N steps. Order k holds on any grid with exact starts. As published, but with
    exact integrals ("time": to rounding) for the left Riemann sum of the published code.

    References
    ----------
    Zhang and Chen, Fast sampling of diffusion models with exponential integrator, arXiv:2204.13902. Code: qsh-zh/deis;
    diffusers, DEISMultistepScheduler, which is "log-rho".
    """
    choice("variant", variant, VARIANTS)
    if variant == "time":
        return TimeAdams(order)
    return AdamsBashforth(order, NOISE_RATIO if variant == "rho" else NOISE_LOG_SNR)


def DPMSolver(order: int = 2, *, rule: str = "exact") -> AdamsBashforth:
    """Return multistep DPM-Solver (Lu et al., 2022): exponential Adams on noise in log-SNR.

    ::

        x_t = (alpha_t/alpha_s) x_s - sigma_t sum_{j<k} omega_j e_{n-j},    omega_j = int_0^h e^{h-u} l_j(u) du

    where h is the step in log-SNR lambda = log(alpha/sigma), e_{n-j} are the noise predictions, newest first, and l_j
    the polynomial that is 1 at the node u_j = lambda_{n-j} - lambda_n and 0 at the other k - 1. Rule "half", the
    published 2M, takes int_0^h e^{(h-u)} u du as h/2 times that of 1.

    Parameters
    ----------
    order, rule
        As in `DPMSolverPP`.

    Raises
    ------
    ValueError
        As `DPMSolverPP`.

    Notes
    -----
    Order k; 1 stage; N evaluations for N steps. Order k holds on any grid with exact starts, 2 from starts of lower
    order. The published order 3, rules "3m" and "3m-heun", has order 2 for want of a factor 2.

    References
    ----------
    Lu, Zhou, Bao, Chen, Li, Zhu, DPM-Solver, arXiv:2206.00927; the multistep form is from Lu, Zhou, Bao, Chen, Li, Zhu,
    DPM-Solver++, arXiv:2211.01095. Code: diffusers, DPMSolverMultistepScheduler of algorithm_type "dpmsolver".
    """
    return _log_snr_multistep(order, NOISE_LOG_SNR, rule)


def DPMSolverPP(order: int = 2, *, rule: str = "exact") -> AdamsBashforth:
    """Return multistep DPM-Solver++ (Lu et al., 2022): exponential Adams on data in log-SNR.

    ::

        x_t = (sigma_t/sigma_s) x_s + alpha_t sum_{j<k} omega_j D_{n-j},    omega_j = int_0^h e^{-(h-u)} l_j(u) du

    where h is the step in log-SNR lambda = log(alpha/sigma), D_{n-j} are the data predictions, newest first, and l_j
    the polynomial that is 1 at the node u_j = lambda_{n-j} - lambda_n and 0 at the other k - 1. Rule "half", the
    published 2M, takes int_0^h e^{-(h-u)} u du as h/2 times that of 1.

    Parameters
    ----------
    order
        Number of evaluations combined.
    rule
        "exact" integrates the interpolant: 2M of solver type "heun", and 3M as it should be, of order 3. "half" is the
        published 2M of type "midpoint". "3m" and "3m-heun" are 3M as published, of order 2 for want of a factor 2; they
        start with a step of "half" and of "exact". "bh1" is UniPC's two-point rule.

    Raises
    ------
    ValueError
        If the rule is not one for that many evaluations.

    Notes
    -----
    Order k; 1 stage; N evaluations for N steps. Order k holds on any grid with exact starts, 2 from starts of lower
    order. The published order 3, rules "3m" and "3m-heun", has order 2 for want of a factor 2.

    References
    ----------
    Lu, Zhou, Bao, Chen, Li, Zhu, DPM-Solver++, arXiv:2211.01095. Code: diffusers, DPMSolverMultistepScheduler;
    k-diffusion, sample_dpmpp_2m.
    """
    return _log_snr_multistep(order, DATA_LOG_SNR, rule)


def _log_snr_multistep(order: int, formulation: Formulation, rule: str) -> AdamsBashforth:
    if rule not in HALVED:
        return AdamsBashforth(order, formulation, rule=rule)
    if order != 3:
        raise ValueError(f'rule="{rule}" combines three evaluations; use it with order=3, not order={order}')
    return AdamsBashforth(2, formulation, rule=rule)  # three evaluations, but order 2
