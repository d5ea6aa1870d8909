"""The usual samplers of flow matching: classical methods on the velocity, in time.

Each function returns the family's own object, an `AdamsBashforth` or a `RungeKutta` with the velocity formulation.
"""

from __future__ import annotations

from numdiff.formulations import VELOCITY_TIME
from numdiff.methods.adams import AdamsBashforth
from numdiff.methods.published.runge_kutta import Heun, Midpoint
from numdiff.methods.runge_kutta import RungeKutta

__all__ = ["FlowAB", "FlowEuler", "FlowHeun", "FlowMidpoint"]


def FlowEuler() -> AdamsBashforth:
    """Return Euler's method on the velocity, the usual sampler of flow matching.

    ::

        x_t = x_s + (t - s) v(x_s, s)

    where v is the velocity dx/dt, and t falls from noise to data.

    Returns
    -------
    AdamsBashforth

    Notes
    -----
    Order 1; 1 stage; N evaluations for N steps. On flow schedules, alpha = 1 - t and sigma = t, this is DDIM. As
    published.

    References
    ----------
    Lipman, Chen, Ben-Hamu, Nickel, Le, Flow matching, arXiv:2210.02747; Liu, Gong, Liu, Rectified flow,
    arXiv:2209.03003. Code: diffusers, FlowMatchEulerDiscreteScheduler.

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> schedule = nd.schedules.Flow()
    >>> scheme = nd.FlowEuler().discretize(schedule, [1.0, 0.5, 0.0])
    >>> nd.sample(scheme, lambda x, t: x - 3.0, np.array([5.0]), prediction="velocity").tolist()
    [3.5]
    """
    return AdamsBashforth(1, VELOCITY_TIME)


def FlowAB(order: int = 2) -> AdamsBashforth:
    """Return variable-step Adams-Bashforth on the velocity, the multistep sampler of flow matching.

    ::

        x_t = x_s + sum_{j<k} w_j v_{n-j},    w_j = int_s^t l_j(r) dr

    where v_{n-j} are the velocities dx/dt, newest first, and l_j is the polynomial in time that is 1 at t_{n-j} and 0
    at the other k - 1 newest nodes.

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
    order.

    References
    ----------
    Hairer, Norsett, Wanner, Solving ordinary differential equations I, III.5; the velocity is that of Lipman, Chen,
    Ben-Hamu, Nickel, Le, Flow matching, arXiv:2210.02747.

    Examples
    --------
    With exact starts, halving the steps divides the error of order 3 by about 8:

    >>> import numpy as np
    >>> import numdiff as nd
    >>> def exact(t):
    ...     return np.exp(-t)

    >>> def error(steps):
    ...     grid = np.linspace(0.0, 1.0, steps + 1)
    ...     y = nd.solve_ivp(nd.FlowAB(3), lambda t, y: -y, grid, 1.0, start="exact", exact=exact)
    ...     return abs(y - exact(1.0))

    >>> print(f"{error(40) / error(80):.1f}")
    7.9
    """
    return AdamsBashforth(order, VELOCITY_TIME)


def FlowHeun() -> RungeKutta:
    """Return Heun's method on the velocity: two evaluations a step, order 2; Euler's in a step to sigma = 0.

    ::

        X = x_s + (t - s) v(x_s, s),    x_t = x_s + (t - s) [v(x_s, s) + v(X, t)]/2

    where v is the velocity dx/dt, and t falls from noise to data.

    A step to sigma = 0 returns the denoised estimate; on a flow schedule that is Euler's step.

    Returns
    -------
    RungeKutta

    Notes
    -----
    Order 2; 2 stages; 2 N evaluations for N steps, 2 N - 1 to sigma = 0. As published.

    References
    ----------
    Heun, Z. Math. Phys. 45 (1900), on the velocity of Lipman, Chen, Ben-Hamu, Nickel, Le, Flow matching,
    arXiv:2210.02747; Liu, Gong, Liu, Rectified flow, arXiv:2209.03003. Code: diffusers, FlowMatchHeunDiscreteScheduler.

    Examples
    --------
    >>> import numdiff as nd
    >>> schedule = nd.schedules.Flow(shift=3.0)
    >>> grid = nd.grids.uniform_t(schedule, 10, t_end=0.0)
    >>> nd.FlowHeun().discretize(schedule, grid).nfe  # two evaluations a step, one in the last
    19
    """
    return Heun(VELOCITY_TIME)


def FlowMidpoint() -> RungeKutta:
    """Return the midpoint method on the velocity: two evaluations a step, order 2.

    ::

        X = x_s + (t - s)/2 v(x_s, s),    x_t = x_s + (t - s) v(X, (s + t)/2)

    where v is the velocity dx/dt, and t falls from noise to data.

    Returns
    -------
    RungeKutta

    Notes
    -----
    Order 2; 2 stages; 2 N evaluations for N steps, 2 N - 1 to sigma = 0. As published.

    References
    ----------
    Runge, Math. Ann. 46 (1895), on the velocity of Lipman, Chen, Ben-Hamu, Nickel, Le, Flow matching, arXiv:2210.02747;
    Liu, Gong, Liu, Rectified flow, arXiv:2209.03003. Code: facebookresearch/flow_matching, ODESolver of method
    "midpoint".

    Examples
    --------
    >>> import numdiff as nd
    >>> schedule = nd.schedules.Flow()
    >>> scheme = nd.FlowMidpoint().discretize(schedule, nd.grids.uniform_t(schedule, 4, t_end=0.0))
    >>> [round(level.time, 3) for tableau in scheme for level in tableau.levels]
    [1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25]
    """
    return Midpoint(VELOCITY_TIME)
