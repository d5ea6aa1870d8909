"""Published samplers that are one of the families here under another name.

Each function returns the family's own object, so that a famous name and its structure are never two things.
"""

from __future__ import annotations

from numdiff.elementary import Number, vanishes
from numdiff.formulations import DATA_LOG_SNR, NOISE_LOG_SNR, NOISE_RATIO, VELOCITY_TIME, Formulation
from numdiff.methods.adams import HALVED, AdamsBashforth
from numdiff.methods.checks import choice
from numdiff.methods.deis import TimeAdams
from numdiff.methods.published.runge_kutta import (
    RHO_RK,
    RK4,
    SSPRK2,
    SSPRK3,
    SSPRK43,
    FlowHeun,
    FlowMidpoint,
    Heun,
    Heun3,
    Kutta3,
    Kutta38,
    Midpoint,
    Ralston,
    Ralston3,
    RhoRK,
    VanDerHouwen3,
)
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
    """Return DDIM (Song et al., 2021), which is Adams-Bashforth of order 1.

    Every noise and data formulation gives the same step, and so does the velocity on flow schedules, where alpha and
    sigma are linear in time; on other schedules velocity/time is Euler's method for dx/dt and not DDIM.

    Parameters
    ----------
    formulation
        As above; data/log-SNR where there is noise.
    eta
        Noise of a step, 0 to 1, as a fraction of that of the reverse diffusion; 1 is DDPM. See `numdiff.sde`.
    """
    if vanishes(eta):
        return AdamsBashforth(1, formulation)  # type: ignore[arg-type]
    return AdamsBashforth(1, stochastic(DATA_LOG_SNR if formulation is None else formulation, eta=eta))


def PLMS(order: int = 4) -> AdamsBashforth:
    """Return PLMS (Liu et al., PNDM, 2022): equal-step Adams weights on noise in sigma/alpha, whatever the grid."""
    return AdamsBashforth(order, NOISE_RATIO, weights="uniform")


def LMS(order: int = 4) -> AdamsBashforth:
    """Return the linear multistep sampler of k-diffusion: variable-step Adams on noise in sigma/alpha.

    This is also DEIS's rho-AB, and what iPNDM_v is meant to be (see `numdiff.methods.pndm.IPNDMV`).
    """
    return AdamsBashforth(order, NOISE_RATIO)


def IPNDM(order: int = 4) -> AdamsBashforth:
    """Return iPNDM (Zhang and Chen, 2023): PLMS from a start of lower order, one evaluation a step throughout."""
    return PLMS(order)


def DEIS(order: int = 3, variant: str = "rho") -> AdamsBashforth | TimeAdams:
    """Return multistep DEIS (Zhang and Chen, 2023) combining `order` evaluations.

    Parameters
    ----------
    order
        Number of evaluations; the paper counts polynomial degrees, so its rho-AB r is ``DEIS(r + 1)``.
    variant
        "rho" interpolates in sigma/alpha (the paper's rho-AB), "log-rho" in its logarithm (the form in diffusers),
        "time" in the schedule's time (the paper's tAB, by quadrature: see `TimeAdams`).
    """
    choice("variant", variant, VARIANTS)
    if variant == "time":
        return TimeAdams(order)
    return AdamsBashforth(order, NOISE_RATIO if variant == "rho" else NOISE_LOG_SNR)


def DPMSolver(order: int = 2, *, rule: str = "exact") -> AdamsBashforth:
    """Return multistep DPM-Solver (Lu et al., 2022): exponential Adams on noise in log-SNR.

    Parameters
    ----------
    order, rule
        As in `DPMSolverPP`.
    """
    return _log_snr_multistep(order, NOISE_LOG_SNR, rule)


def DPMSolverPP(order: int = 2, *, rule: str = "exact") -> AdamsBashforth:
    """Return multistep DPM-Solver++ (Lu et al., 2022): exponential Adams on data in log-SNR.

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
    """
    return _log_snr_multistep(order, DATA_LOG_SNR, rule)


def _log_snr_multistep(order: int, formulation: Formulation, rule: str) -> AdamsBashforth:
    if rule not in HALVED:
        return AdamsBashforth(order, formulation, rule=rule)
    if order != 3:
        raise ValueError(f'rule="{rule}" combines three evaluations; use it with order=3, not order={order}')
    return AdamsBashforth(2, formulation, rule=rule)  # three evaluations, but order 2


def FlowEuler() -> AdamsBashforth:
    """Return Euler's method on the velocity, the usual sampler of flow matching."""
    return AdamsBashforth(1, VELOCITY_TIME)


def FlowAB(order: int = 2) -> AdamsBashforth:
    """Return variable-step Adams-Bashforth on the velocity, the multistep sampler of flow matching."""
    return AdamsBashforth(order, VELOCITY_TIME)
