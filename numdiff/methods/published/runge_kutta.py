"""Published Runge-Kutta samplers: classical methods in sigma/alpha, alpha/sigma or time, by the names of their authors.

Each function returns the family's own object, a `RungeKutta`. y is the scaled sample and s its variable: x/alpha and
sigma/alpha for noise prediction, x/sigma and alpha/sigma for data prediction, x and t for the velocity; f is the
prediction, h the step in s, which is negative where s falls.
"""

from __future__ import annotations

from numdiff.formulations import NOISE_RATIO, VELOCITY_TIME, Formulation
from numdiff.methods.checks import choice
from numdiff.methods.runge_kutta import KNOWN, RungeKutta


def _runge_kutta(label: str, formulation: Formulation | str | None) -> RungeKutta:
    return RungeKutta(KNOWN[label], label, formulation)  # type: ignore[arg-type]


def Heun(formulation: Formulation | str | None = None) -> RungeKutta:
    """Return Heun's method (EDM's deterministic sampler, Karras et al., 2022): two evaluations a step, order 2.

    It is also SSPRK(2,2), the optimal strong-stability-preserving method of two stages.
    """
    return _runge_kutta("Heun", formulation)


def Midpoint(formulation: Formulation | str | None = None) -> RungeKutta:
    """Return the explicit midpoint method: two evaluations a step, order 2."""
    return _runge_kutta("Midpoint", formulation)


def Ralston(formulation: Formulation | str | None = None) -> RungeKutta:
    """Return Ralston's second-order method, of least error bound: two evaluations a step."""
    return _runge_kutta("Ralston", formulation)


def Kutta3(formulation: Formulation | str | None = None) -> RungeKutta:
    """Return Kutta's third-order method: three evaluations a step."""
    return _runge_kutta("Kutta3", formulation)


def Ralston3(formulation: Formulation | str | None = None) -> RungeKutta:
    """Return Ralston's third-order method, of least error bound: three evaluations a step."""
    return _runge_kutta("Ralston3", formulation)


def Heun3(formulation: Formulation | str | None = None) -> RungeKutta:
    """Return Heun's third-order method: three evaluations a step."""
    return _runge_kutta("Heun3", formulation)


def VanDerHouwen3(formulation: Formulation | str | None = None) -> RungeKutta:
    """Return van der Houwen's third-order method, also Wray's: three evaluations a step."""
    return _runge_kutta("VanDerHouwen3", formulation)


def SSPRK3(formulation: Formulation | str | None = None) -> RungeKutta:
    """Return Shu and Osher's third-order method, strong-stability-preserving: three evaluations a step."""
    return _runge_kutta("SSPRK3", formulation)


def SSPRK43(formulation: Formulation | str | None = None) -> RungeKutta:
    """Return SSPRK(4,3), third order with steps twice as long as Euler's for positivity: four evaluations a step."""
    return _runge_kutta("SSPRK43", formulation)


def RK4(formulation: Formulation | str | None = None) -> RungeKutta:
    """Return the classical fourth-order Runge-Kutta method: four evaluations a step."""
    return _runge_kutta("RK4", formulation)


def Kutta38(formulation: Formulation | str | None = None) -> RungeKutta:
    """Return Kutta's 3/8 rule, fourth order: four evaluations a step."""
    return _runge_kutta("Kutta38", formulation)


def RhoRK(name: str = "3kutta") -> RungeKutta:
    """Return rho-RK DEIS (Zhang and Chen, 2023): a Runge-Kutta method on x/alpha in sigma/alpha, by its name there.

    Parameters
    ----------
    name
        "1euler", "2heun", "3kutta", "3ralston", "3heun", "3vdh" (van der Houwen), "3ssp" or "4rk".
    """
    choice("name", name, tuple(RHO_RK))
    return _runge_kutta(RHO_RK[name], NOISE_RATIO)


def FlowHeun() -> RungeKutta:
    """Return Heun's method on the velocity: two evaluations a step, order 2; Euler's in a step to sigma = 0.

    A step to sigma = 0 returns the denoised estimate; on a flow schedule that is Euler's step.
    """
    return Heun(VELOCITY_TIME)


def FlowMidpoint() -> RungeKutta:
    """Return the midpoint method on the velocity: two evaluations a step, order 2."""
    return Midpoint(VELOCITY_TIME)


SSPRK2 = Heun

RHO_RK = {
    "1euler": "Euler",
    "2heun": "Heun",
    "3kutta": "Kutta3",
    "3ralston": "Ralston3",
    "3heun": "Heun3",
    "3vdh": "VanDerHouwen3",
    "3ssp": "SSPRK3",
    "4rk": "RK4",
}
