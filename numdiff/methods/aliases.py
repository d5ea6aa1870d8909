"""Published samplers that are one of the families here under another name.

Each function returns the family's own object, so that a famous name and its structure are never two things.
"""

from __future__ import annotations

from numdiff.formulations import DATA_LOG_SNR, NOISE_LOG_SNR, NOISE_RATIO, VELOCITY_TIME, Formulation
from numdiff.methods.adams import AdamsBashforth
from numdiff.methods.base import choice
from numdiff.methods.butcher import HEUN
from numdiff.methods.runge_kutta import KNOWN, RungeKutta


def DDIM(formulation: Formulation | str | None = None) -> AdamsBashforth:
    """Return DDIM (Song et al., 2021), which is Adams-Bashforth of order 1.

    Every noise and data formulation gives the same step, and so does the velocity on flow schedules, where alpha and
    sigma are linear in time; on other schedules velocity/time is Euler's method for dx/dt and not DDIM.
    """
    return AdamsBashforth(1, formulation)  # type: ignore[arg-type]


def PLMS(order: int = 4) -> AdamsBashforth:
    """Return PLMS (Liu et al., PNDM, 2022): equal-step Adams weights on noise in sigma/alpha, whatever the grid."""
    return AdamsBashforth(order, NOISE_RATIO, weights="uniform")


def LMS(order: int = 4) -> AdamsBashforth:
    """Return the linear multistep sampler of k-diffusion: variable-step Adams on noise in sigma/alpha."""
    return AdamsBashforth(order, NOISE_RATIO)


def DEIS(order: int = 3, variant: str = "rho") -> AdamsBashforth:
    """Return DEIS (Zhang and Chen, 2023) combining `order` evaluations.

    Parameters
    ----------
    order
        Number of evaluations; the paper counts polynomial degrees, so its rho-AB r is ``DEIS(r + 1)``.
    variant
        "rho" interpolates in sigma/alpha (the paper's rho-AB), "log-rho" in its logarithm (the form in diffusers).
    """
    choice("variant", variant, ("rho", "log-rho"))
    return AdamsBashforth(order, NOISE_RATIO if variant == "rho" else NOISE_LOG_SNR)


def DPMSolver(order: int = 2, *, rule: str = "exact") -> AdamsBashforth:
    """Return multistep DPM-Solver (Lu et al., 2022): exponential Adams on noise in log-SNR.

    ``rule="half"`` is the published 2M midpoint rule.
    """
    return AdamsBashforth(order, NOISE_LOG_SNR, rule=rule)


def DPMSolverPP(order: int = 2, *, rule: str = "exact") -> AdamsBashforth:
    """Return multistep DPM-Solver++ (Lu et al., 2022): exponential Adams on data in log-SNR.

    Parameters
    ----------
    order
        Number of evaluations combined. Order 3 here is the exact exponential Adams method; the widely copied "3M"
        lacks a factor 2 in one term and is second order.
    rule
        "exact" integrates the interpolant (the published Heun-type 2M at order 2); "half" is the published 2M midpoint.
    """
    return AdamsBashforth(order, DATA_LOG_SNR, rule=rule)


def FlowEuler() -> AdamsBashforth:
    """Return Euler's method on the velocity, the usual sampler of flow matching."""
    return AdamsBashforth(1, VELOCITY_TIME)


def Heun(formulation: Formulation | str | None = None) -> RungeKutta:
    """Return Heun's method (EDM's deterministic sampler, Karras et al., 2022): two evaluations a step, order 2."""
    return RungeKutta(HEUN, "Heun", formulation)  # type: ignore[arg-type]


def Midpoint(formulation: Formulation | str | None = None) -> RungeKutta:
    """Return the explicit midpoint method: two evaluations a step, order 2."""
    return RungeKutta(KNOWN["Midpoint"], "Midpoint", formulation)  # type: ignore[arg-type]


def Ralston(formulation: Formulation | str | None = None) -> RungeKutta:
    """Return Ralston's second-order method, of least error bound: two evaluations a step."""
    return RungeKutta(KNOWN["Ralston"], "Ralston", formulation)  # type: ignore[arg-type]


def Kutta3(formulation: Formulation | str | None = None) -> RungeKutta:
    """Return Kutta's third-order method: three evaluations a step."""
    return RungeKutta(KNOWN["Kutta3"], "Kutta3", formulation)  # type: ignore[arg-type]


def RK4(formulation: Formulation | str | None = None) -> RungeKutta:
    """Return the classical fourth-order Runge-Kutta method: four evaluations a step."""
    return RungeKutta(KNOWN["RK4"], "RK4", formulation)  # type: ignore[arg-type]
