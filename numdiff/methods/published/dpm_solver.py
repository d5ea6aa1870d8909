"""Multistep DPM-Solver and DPM-Solver++, which are Adams-Bashforth methods in log-SNR.

Each function returns the family's own object, an `AdamsBashforth`.
"""

from __future__ import annotations

from numdiff.formulations import DATA_LOG_SNR, NOISE_LOG_SNR, Formulation
from numdiff.methods.adams import HALVED, AdamsBashforth

__all__ = ["DPMSolver", "DPMSolverPP"]


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

    Returns
    -------
    AdamsBashforth

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

    Examples
    --------
    >>> import numdiff as nd
    >>> nd.DPMSolver(2).coefficients()
    (h*phi(1, h) + h*phi(2, h), -h*phi(2, h))
    >>> nd.DPMSolver(2, rule="half").coefficients()  # as published
    (3*h*phi(1, h)/2, -h*phi(1, h)/2)
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

    Returns
    -------
    AdamsBashforth

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

    Examples
    --------
    >>> import numdiff as nd
    >>> nd.DPMSolverPP(2).coefficients()
    (h*phi(1, -h) + h*phi(2, -h), -h*phi(2, -h))
    >>> nd.DPMSolverPP(2, rule="half").coefficients()  # 2M as published
    (3*h*phi(1, -h)/2, -h*phi(1, -h)/2)
    >>> [nd.order.certified(nd.DPMSolverPP(3, rule=rule)) for rule in ("exact", "3m")]
    [3, 2]
    """
    return _log_snr_multistep(order, DATA_LOG_SNR, rule)


def _log_snr_multistep(order: int, formulation: Formulation, rule: str) -> AdamsBashforth:
    if rule not in HALVED:
        return AdamsBashforth(order, formulation, rule=rule)
    if order != 3:
        raise ValueError(f'rule="{rule}" combines three evaluations; use it with order=3, not order={order}')
    return AdamsBashforth(2, formulation, rule=rule)  # three evaluations, but order 2
