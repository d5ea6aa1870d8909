"""Published Runge-Kutta samplers: classical methods in sigma/alpha, alpha/sigma or time, by the names of their authors.

Each function returns the family's own object, a `RungeKutta`. y is the scaled sample and s its variable: x/alpha and
sigma/alpha for noise prediction, x/sigma and alpha/sigma for data prediction, x and t for the velocity; f is the
prediction, h the step in s, which is negative where s falls.
"""

from __future__ import annotations

from numdiff.formulations import NOISE_RATIO, Formulation
from numdiff.methods.checks import choice
from numdiff.methods.runge_kutta import KNOWN, RungeKutta

__all__ = ["RHO_RK", "RK4", "SSPRK2", "Heun", "Kutta38", "Midpoint", "Ralston", "RhoRK"]


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

    Returns
    -------
    RungeKutta

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

    Examples
    --------
    >>> import numdiff as nd
    >>> print(*nd.Heun().coefficients().b)
    1/2 1/2
    >>> schedule = nd.schedules.EDM()
    >>> grid = nd.grids.karras(schedule, 18, final_zero=True)
    >>> nd.Heun().discretize(schedule, grid).nfe  # the 35 evaluations of EDM
    35
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

    Returns
    -------
    RungeKutta

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

    Examples
    --------
    >>> import numdiff as nd
    >>> print(*nd.Midpoint().coefficients().c)
    0 1/2
    >>> nd.stability.real_interval(nd.Midpoint()), nd.order.certified(nd.Midpoint())
    (2, 2)
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

    Returns
    -------
    RungeKutta

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

    Examples
    --------
    Every method of two stages and order 2 has the second term; only this one lacks the first:

    >>> import numdiff as nd
    >>> for method in (nd.Ralston(), nd.Heun(), nd.Midpoint()):
    ...     print(method, nd.order.leading_error(method))
    Ralston 1/6 h^3 f'f'f + O(h^4)
    Heun -1/12 h^3 f''(f, f) + 1/6 h^3 f'f'f + O(h^4)
    Midpoint 1/24 h^3 f''(f, f) + 1/6 h^3 f'f'f + O(h^4)
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

    Returns
    -------
    RungeKutta

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

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> y = nd.solve_ivp(nd.RK4(), lambda t, y: -y, np.linspace(0, 1, 11), 1.0)
    >>> print(f"{abs(y - np.exp(-1.0)):.1e}")
    3.3e-07
    >>> nd.stability.imaginary_interval(nd.RK4())
    2*sqrt(2)
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

    Returns
    -------
    RungeKutta

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

    Examples
    --------
    >>> import numdiff as nd
    >>> print(*nd.Kutta38().coefficients().b)
    1/8 3/8 3/8 1/8
    >>> nd.stability.polynomial(nd.Kutta38()) == nd.stability.polynomial(nd.RK4())
    True
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

    Returns
    -------
    RungeKutta

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

    Examples
    --------
    >>> import numdiff as nd
    >>> print(nd.RhoRK("3kutta"), nd.RhoRK("3kutta").nfe(10))
    Kutta3 noise/ratio 30
    >>> nd.RhoRK("3vdh").coefficients() == nd.VanDerHouwen3().coefficients()
    True
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
