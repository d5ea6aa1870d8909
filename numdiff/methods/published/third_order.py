"""Published Runge-Kutta samplers of order 3: of Kutta, Ralston, Heun and van der Houwen, and two that keep positivity.

Each function returns the family's own object, a `RungeKutta`; the symbols are those of `runge_kutta`.
"""

from __future__ import annotations

from numdiff.formulations import Formulation
from numdiff.methods.published.runge_kutta import member
from numdiff.methods.runge_kutta import RungeKutta

__all__ = ["SSPRK3", "SSPRK43", "Heun3", "Kutta3", "Ralston3", "VanDerHouwen3"]


def Kutta3(formulation: Formulation | str | None = None) -> RungeKutta:
    """Return Kutta's third-order method: three evaluations a step.

    ::

        f_1 = f(y_n, s_n),    f_2 = f(y_n + h/2 f_1, s_n + h/2),    f_3 = f(y_n + h (2 f_2 - f_1), s_n + h)
        y_{n+1} = y_n + h (f_1 + 4 f_2 + f_3)/6

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
    Order 3; 3 stages; 3 N evaluations for N steps. A last step to sigma = 0 is Euler's. As published.

    References
    ----------
    Kutta, Z. Math. Phys. 46 (1901).

    Examples
    --------
    >>> import numdiff as nd
    >>> print(*nd.Kutta3().coefficients().b)  # Simpson's rule
    1/6 2/3 1/6
    >>> print(f"{float(nd.stability.real_interval(nd.Kutta3())):.4f}")
    2.5127
    """
    return member("Kutta3", formulation)


def Ralston3(formulation: Formulation | str | None = None) -> RungeKutta:
    """Return Ralston's third-order method, of least error bound: three evaluations a step.

    ::

        f_1 = f(y_n, s_n),    f_2 = f(y_n + h/2 f_1, s_n + h/2),    f_3 = f(y_n + 3h/4 f_2, s_n + 3h/4)
        y_{n+1} = y_n + h (2 f_1 + 3 f_2 + 4 f_3)/9

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
    Order 3; 3 stages; 3 N evaluations for N steps. A last step to sigma = 0 is Euler's. As published.

    References
    ----------
    Ralston, Runge-Kutta methods with minimum error bounds, Math. Comp. 16 (1962).

    Examples
    --------
    >>> import numdiff as nd
    >>> print(*nd.Ralston3().coefficients().b)
    2/9 1/3 4/9
    >>> nd.order.certified(nd.Ralston3())
    3
    """
    return member("Ralston3", formulation)


def Heun3(formulation: Formulation | str | None = None) -> RungeKutta:
    """Return Heun's third-order method: three evaluations a step.

    ::

        f_1 = f(y_n, s_n),    f_2 = f(y_n + h/3 f_1, s_n + h/3),    f_3 = f(y_n + 2h/3 f_2, s_n + 2h/3)
        y_{n+1} = y_n + h (f_1 + 3 f_3)/4

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
    Order 3; 3 stages; 3 N evaluations for N steps. A last step to sigma = 0 is Euler's. As published.

    References
    ----------
    Heun, Z. Math. Phys. 45 (1900).

    Examples
    --------
    >>> import numdiff as nd
    >>> print(*nd.Heun3().coefficients().b)
    1/4 0 3/4
    >>> print(*nd.Heun3().coefficients().c)
    0 1/3 2/3
    """
    return member("Heun3", formulation)


def VanDerHouwen3(formulation: Formulation | str | None = None) -> RungeKutta:
    """Return van der Houwen's third-order method, also Wray's: three evaluations a step.

    ::

        f_1 = f(y_n, s_n),    f_2 = f(y_n + 8h/15 f_1, s_n + 8h/15),    f_3 = f(y_n + h (3 f_1 + 5 f_2)/12, s_n + 2h/3)
        y_{n+1} = y_n + h (f_1 + 3 f_3)/4

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
    Order 3; 3 stages; 3 N evaluations for N steps. A last step to sigma = 0 is Euler's. As published.

    References
    ----------
    van der Houwen, Construction of integration formulas for initial value problems (1977); as a sampler Zhang and Chen,
    Fast sampling of diffusion models with exponential integrator, arXiv:2204.13902.

    Examples
    --------
    >>> import numdiff as nd
    >>> for row in nd.VanDerHouwen3().coefficients().A:
    ...     print(*row)
    0 0 0
    8/15 0 0
    1/4 5/12 0
    """
    return member("VanDerHouwen3", formulation)


def SSPRK3(formulation: Formulation | str | None = None) -> RungeKutta:
    """Return Shu and Osher's third-order method, strong-stability-preserving: three evaluations a step.

    ::

        f_1 = f(y_n, s_n),    f_2 = f(y_n + h f_1, s_n + h),    f_3 = f(y_n + h (f_1 + f_2)/4, s_n + h/2)
        y_{n+1} = y_n + h (f_1 + f_2 + 4 f_3)/6

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
    Order 3; 3 stages; 3 N evaluations for N steps. A last step to sigma = 0 is Euler's. As published.

    References
    ----------
    Shu and Osher, J. Comput. Phys. 77 (1988).

    Examples
    --------
    >>> import numdiff as nd
    >>> print(*nd.SSPRK3().coefficients().c)  # the last stage goes back to the middle
    0 1 1/2
    >>> nd.order.certified(nd.SSPRK3()), nd.stability.imaginary_interval(nd.SSPRK3())
    (3, sqrt(3))
    """
    return member("SSPRK3", formulation)


def SSPRK43(formulation: Formulation | str | None = None) -> RungeKutta:
    """Return SSPRK(4,3), third order with steps twice as long as Euler's for positivity: four evaluations a step.

    ::

        f_1 = f(y_n, s_n),    f_2 = f(y_n + h/2 f_1, s_n + h/2),    f_3 = f(y_n + h (f_1 + f_2)/2, s_n + h)
        f_4 = f(y_n + h (f_1 + f_2 + f_3)/6, s_n + h/2),    y_{n+1} = y_n + h (f_1 + f_2 + f_3 + 3 f_4)/6

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
    Order 3; 4 stages; 4 N evaluations for N steps. A last step to sigma = 0 is Euler's. As published.

    References
    ----------
    Kraaijevanger, Contractivity of Runge-Kutta methods, BIT 31 (1991); Spiteri and Ruuth, SIAM J. Numer. Anal. 40
    (2002).

    Examples
    --------
    One evaluation more than ``SSPRK3`` doubles the real stability interval:

    >>> import numdiff as nd
    >>> [round(float(nd.stability.real_interval(method)), 2) for method in (nd.SSPRK3(), nd.SSPRK43())]
    [2.51, 5.15]
    """
    return member("SSPRK43", formulation)
