"""Published samplers that are one of the families here under another name.

Each function returns the family's own object, so that a famous name and its structure are never two things.
"""

from __future__ import annotations

from numdiff.elementary import Number, vanishes
from numdiff.formulations import DATA_LOG_SNR, NOISE_LOG_SNR, NOISE_RATIO, Formulation
from numdiff.methods.adams import AdamsBashforth
from numdiff.methods.checks import choice
from numdiff.methods.deis import TimeAdams
from numdiff.methods.published.dpm_solver import DPMSolver, DPMSolverPP
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
        What is interpolated, in which variable; None for noise/ratio (velocity/time on flow schedules), and for
        data/log-SNR, the only one, where there is noise.
    eta
        Noise of a step, 0 to 1, as a fraction of that of the reverse diffusion; 1 is DDPM. See `numdiff.sde`.

    Returns
    -------
    AdamsBashforth

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

    Examples
    --------
    One step is the same whatever is predicted:

    >>> import numpy as np
    >>> import numdiff as nd
    >>> schedule, grid = nd.schedules.VPLinear(), [1.0, 0.5, 0.001]
    >>> ends = []
    >>> for formulation in ("noise/ratio", "noise/log-snr", "data/log-snr", "data/ratio"):
    ...     scheme = nd.DDIM(formulation).discretize(schedule, grid)
    ...     ends.append(nd.sample(scheme, lambda x, t: np.tanh(x), np.ones(1), prediction="noise").item())
    >>> max(ends) - min(ends) < 1e-12
    True
    >>> nd.DDIM(eta=1) == nd.DDPM()
    True
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

    Returns
    -------
    AdamsBashforth

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

    Examples
    --------
    The weights of equal steps are taken on any grid; variable-step Adams, ``LMS``, knows the steps:

    >>> import numdiff as nd
    >>> for ratios in ([1, 1], [2, 2]):  # equal steps, steps that double
    ...     print(*nd.PLMS(3).coefficients(ratios=ratios), "|", *nd.LMS(3).coefficients(ratios=ratios))
    23/12 -4/3 5/12 | 23/12 -4/3 5/12
    23/12 -4/3 5/12 | 32/9 -17/3 28/9
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

    Returns
    -------
    AdamsBashforth

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

    Examples
    --------
    >>> import numdiff as nd
    >>> nd.LMS(3) == nd.AdamsBashforth(3, "noise/ratio")
    True
    >>> print(*nd.LMS(3).coefficients())  # on equal steps of sigma/alpha
    23/12 -4/3 5/12
    >>> print(*nd.LMS(3).coefficients(ratios=[2, 1]))  # the last step twice as long as those before
    19/6 -10/3 7/6
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

    Returns
    -------
    AdamsBashforth

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

    Examples
    --------
    >>> import numdiff as nd
    >>> schedule = nd.schedules.Discrete.ddpm_linear()
    >>> grid = nd.grids.from_timesteps(schedule, range(950, -1, -50))
    >>> [method.discretize(schedule, grid).nfe for method in (nd.IPNDM(), nd.PNDM(), nd.FPNDM())]
    [20, 21, 29]
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

    Returns
    -------
    AdamsBashforth | TimeAdams

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

    Examples
    --------
    >>> import numdiff as nd
    >>> for variant in ("rho", "log-rho", "time"):
    ...     print(variant, "is", nd.DEIS(3, variant))
    rho is AB3 noise/ratio
    log-rho is AB3 noise/log-snr
    time is tAB3
    >>> nd.DEIS(3) == nd.LMS(3), nd.DEIS(2, "log-rho") == nd.DPMSolver(2)
    (True, True)
    """
    choice("variant", variant, VARIANTS)
    if variant == "time":
        return TimeAdams(order)
    return AdamsBashforth(order, NOISE_RATIO if variant == "rho" else NOISE_LOG_SNR)
