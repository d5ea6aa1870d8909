"""Published Runge-Kutta samplers: classical methods in sigma/alpha, alpha/sigma or time, by the names of their authors.

Each function returns the family's own object, a `RungeKutta`. y is the scaled sample and s its variable: x/alpha and
sigma/alpha for noise prediction, x/sigma and alpha/sigma for data prediction, x and t for the velocity; f is the
prediction, h the step in s, which is negative where s falls.
"""

from __future__ import annotations

from numdiff.formulations import NOISE_RATIO, Formulation
from numdiff.methods.checks import choice
from numdiff.methods.runge_kutta import KNOWN, RungeKutta


def member(label: str, formulation: Formulation | str | None) -> RungeKutta:
    """Return the method of that name in `KNOWN`."""
    return RungeKutta(KNOWN[label], label, formulation)  # type: ignore[arg-type]


def Heun(formulation: Formulation | str | None = None) -> RungeKutta:
    """Return Heun's method (EDM's deterministic sampler, Karras et al., 2022): two evaluations a step, order 2.

    ::

        Y = y_n + h f(y_n, s_n),    y_{n+1} = y_n + h/2 [f(y_n, s_n) + f(Y, s_{n+1})]

    where y is the scaled sample and s its variable (x/alpha and sigma/alpha for noise prediction, x/sigma and
    alpha/sigma for data, x and t for the velocity), f the prediction and h the step in s.

    It is also SSPRK(2,2), the optimal strong-stability-preserving method of two stages.

    Parameters
    ----------
    formulation
        noise/ratio, data/ratio or velocity/time; None for noise/ratio (velocity/time on flow schedules).

    Raises
    ------
    ValueError
        For a log-SNR formulation, or an unknown name.

    Notes
    -----
    Order 2; 2 stages; 2 N evaluations for N steps. A last step to sigma = 0 is Euler's. As published.

    References
    ----------
    Heun, Z. Math. Phys. 45 (1900); Karras, Aittala, Aila, Laine, Elucidating the design space, arXiv:2206.00364,
    algorithm 1. Code: k-diffusion, sample_heun; diffusers, HeunDiscreteScheduler.
    """
    return member("Heun", formulation)


def Midpoint(formulation: Formulation | str | None = None) -> RungeKutta:
    """Return the explicit midpoint method: two evaluations a step, order 2.

    ::

        Y = y_n + h/2 f(y_n, s_n),    y_{n+1} = y_n + h f(Y, s_n + h/2)

    where y is the scaled sample and s its variable (x/alpha and sigma/alpha for noise prediction, x/sigma and
    alpha/sigma for data, x and t for the velocity), f the prediction and h the step in s.

    Parameters
    ----------
    formulation
        noise/ratio, data/ratio or velocity/time; None for noise/ratio (velocity/time on flow schedules).

    Raises
    ------
    ValueError
        For a log-SNR formulation, or an unknown name.

    Notes
    -----
    Order 2; 2 stages; 2 N evaluations for N steps. A last step to sigma = 0 is Euler's. As published.

    References
    ----------
    Runge, Math. Ann. 46 (1895); Hairer, Norsett, Wanner, Solving ordinary differential equations I, II.1.
    """
    return member("Midpoint", formulation)


def Ralston(formulation: Formulation | str | None = None) -> RungeKutta:
    """Return Ralston's second-order method, of least error bound: two evaluations a step.

    ::

        Y = y_n + 2h/3 f(y_n, s_n),    y_{n+1} = y_n + h [f(y_n, s_n) + 3 f(Y, s_n + 2h/3)]/4

    where y is the scaled sample and s its variable (x/alpha and sigma/alpha for noise prediction, x/sigma and
    alpha/sigma for data, x and t for the velocity), f the prediction and h the step in s.

    Parameters
    ----------
    formulation
        noise/ratio, data/ratio or velocity/time; None for noise/ratio (velocity/time on flow schedules).

    Raises
    ------
    ValueError
        For a log-SNR formulation, or an unknown name.

    Notes
    -----
    Order 2; 2 stages; 2 N evaluations for N steps. A last step to sigma = 0 is Euler's. As published.

    References
    ----------
    Ralston, Runge-Kutta methods with minimum error bounds, Math. Comp. 16 (1962).
    """
    return member("Ralston", formulation)


def RK4(formulation: Formulation | str | None = None) -> RungeKutta:
    """Return the classical fourth-order Runge-Kutta method: four evaluations a step.

    ::

        f_1 = f(y_n, s_n),    f_2 = f(y_n + h/2 f_1, s_n + h/2),    f_3 = f(y_n + h/2 f_2, s_n + h/2)
        f_4 = f(y_n + h f_3, s_n + h),    y_{n+1} = y_n + h (f_1 + 2 f_2 + 2 f_3 + f_4)/6

    where y is the scaled sample and s its variable (x/alpha and sigma/alpha for noise prediction, x/sigma and
    alpha/sigma for data, x and t for the velocity), f the prediction and h the step in s.

    Parameters
    ----------
    formulation
        noise/ratio, data/ratio or velocity/time; None for noise/ratio (velocity/time on flow schedules).

    Raises
    ------
    ValueError
        For a log-SNR formulation, or an unknown name.

    Notes
    -----
    Order 4; 4 stages; 4 N evaluations for N steps. A last step to sigma = 0 is Euler's. As published.

    References
    ----------
    Kutta, Z. Math. Phys. 46 (1901); Hairer, Norsett, Wanner, Solving ordinary differential equations I, II.1.
    """
    return member("RK4", formulation)


def Kutta38(formulation: Formulation | str | None = None) -> RungeKutta:
    """Return Kutta's 3/8 rule, fourth order: four evaluations a step.

    ::

        f_1 = f(y_n, s_n),    f_2 = f(y_n + h/3 f_1, s_n + h/3),    f_3 = f(y_n + h (f_2 - f_1/3), s_n + 2h/3)
        f_4 = f(y_n + h (f_1 - f_2 + f_3), s_n + h),    y_{n+1} = y_n + h (f_1 + 3 f_2 + 3 f_3 + f_4)/8

    where y is the scaled sample and s its variable (x/alpha and sigma/alpha for noise prediction, x/sigma and
    alpha/sigma for data, x and t for the velocity), f the prediction and h the step in s.

    Parameters
    ----------
    formulation
        noise/ratio, data/ratio or velocity/time; None for noise/ratio (velocity/time on flow schedules).

    Raises
    ------
    ValueError
        For a log-SNR formulation, or an unknown name.

    Notes
    -----
    Order 4; 4 stages; 4 N evaluations for N steps. A last step to sigma = 0 is Euler's. As published.

    References
    ----------
    Kutta, Z. Math. Phys. 46 (1901).
    """
    return member("Kutta38", formulation)


def RhoRK(name: str = "3kutta") -> RungeKutta:
    """Return rho-RK DEIS (Zhang and Chen, 2023): a Runge-Kutta method on x/alpha in sigma/alpha, by its name there.

    ::

        y_i = y_n + d sum_{j<i} a_ij e(y_j, rho_n + c_j d),    y_{n+1} = y_n + d sum_i b_i e(y_i, rho_n + c_i d)

    where y = x/alpha, rho = sigma/alpha, d = rho_{n+1} - rho_n, e is the noise prediction, and (a, b, c) the Butcher
    array that `name` stands for.

    Parameters
    ----------
    name
        "1euler", "2heun", "3kutta", "3ralston", "3heun", "3vdh" (van der Houwen), "3ssp" or "4rk".

    Raises
    ------
    ValueError
        For an unknown name.

    Notes
    -----
    Order k; k stages; k N evaluations for N steps, k the digit in the name. A last step to sigma = 0 is Euler's. As
    published.

    References
    ----------
    Zhang and Chen, Fast sampling of diffusion models with exponential integrator, arXiv:2204.13902, rho-RK. Code:
    qsh-zh/deis.
    """
    choice("name", name, tuple(RHO_RK))
    return member(RHO_RK[name], NOISE_RATIO)


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
