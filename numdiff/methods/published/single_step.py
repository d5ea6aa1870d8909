"""Single-step samplers under their published names: exponential Runge-Kutta methods, and SEEDS with noise.

Each function returns an `ExponentialRungeKutta`; the arrays are in `numdiff.methods.exponential_butcher`.

Sources: Lu et al., DPM-Solver (2022) and DPM-Solver++ (2022); Zhang et al., Improved order analysis (RES, 2023);
Hochbruck and Ostermann, Acta Numerica (2010); Gonzalez et al., SEEDS (2023).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from numdiff.elementary import Number, kind
from numdiff.formulations import DATA_LOG_SNR, NOISE_LOG_SNR, Formulation
from numdiff.methods import exponential_butcher as arrays
from numdiff.methods.checks import check_number, check_order, choice, show
from numdiff.methods.exponential_butcher import ExponentialButcher
from numdiff.methods.exponential_runge_kutta import ExponentialRungeKutta
from numdiff.sde import stochastic

__all__ = ["DPM2", "RES", "SEEDS", "DPMSolverSingle", "HochbruckOstermann"]

EVALUATIONS = "it counts the evaluations of a step"


def node(name: str, value: Any, default: Number) -> Number:
    """Return a node as an exact number (a float as the decimal it prints as), a symbol or a tensor."""
    if value is None:
        return default
    remedy = "it is the fraction of a step at which a stage sits"
    number = check_number(name, value, 0, 1, above=True, remedy=remedy)
    which = kind(number)
    if which == "sympy" and number.is_Rational:
        return Fraction(int(number.p), int(number.q))
    return Fraction(str(number)) if which in ("exact", "float") else number


def nodes(c2: Any, c3: Any, second: Number, third: Number) -> tuple[Number, Number]:
    """Return both nodes with their defaults, in types that mix: a Fraction and a tensor do not."""
    found = node("c2", c2, second), node("c3", c3, third)
    if any(kind(x) in ("torch", "mpmath", "traced") for x in found):
        return tuple(float(x) if kind(x) == "exact" else x for x in found)  # type: ignore[return-value]
    return found


def _label(name: str, order: int, letter: str, nodes: Sequence[Any], rule: str) -> str:
    shown = ", ".join(show(float(x.detach()) if kind(x) == "torch" else x) for x in nodes)
    return f"{name}-{order}{letter}" + (f"({shown})" if shown else "") + ("" if rule == "exact" else f" {rule}")


def single_step_table(order: int, rule: str, c2: Number, c3: Number) -> ExponentialButcher:
    """Return the array of a single-step DPM-Solver."""
    if order == 1:
        return arrays.EULER
    if order == 2:
        return arrays.two_stage(c2, "exact" if rule in ("exact", "taylor") else "half")
    return arrays.three_stage(c2, c3, rule)


def DPMSolverSingle(
    order: int = 3,
    formulation: Formulation | str = DATA_LOG_SNR,
    *,
    rule: str = "exact",
    c2: Number | None = None,
    c3: Number | None = None,
) -> ExponentialRungeKutta:
    """Return DPM-Solver++ 2S/3S (data/log-snr) or DPM-Solver-2/-3 (noise/log-snr), single-step; stochastic: SEEDS.

    ::

        x_2 = (sigma_2/sigma_s) x_s + alpha_2 c_2 h phi_1(-c_2 h) D_1,    D_i = D(x_i, lambda_s + c_i h)
        x_3 = (sigma_3/sigma_s) x_s + alpha_3 h [c_3 phi_1(-c_3 h) D_1 + a_32 (D_2 - D_1)]
        x_t = (sigma_t/sigma_s) x_s + alpha_t h [phi_1(-h) D_1 + sum_{i>1} b_i (D_i - D_1)]

    where h is the step in log-SNR, D the data prediction (for noise e: alpha_t/alpha_s, -sigma_t and phi_k(+) take the
    places of sigma_t/sigma_s, alpha_t and phi_k(-)), stage i lies c_i of the step further and phi_k(z) = int_0^1
    e^{(1-r)z} r^{k-1}/(k-1)! dr. a_32 and b_i are those of the rule: as published a_32 = (c_3^2/c_2) phi_2(-c_3 h), b_3
    = phi_2(-h)/c_3.

    Parameters
    ----------
    order
        1, 2 or 3, the number of evaluations a step.
    formulation
        data/log-snr, noise/log-snr or a stochastic form.
    rule
        "exact": weights exact on polynomials through the nodes, order 3 on any two nodes (the published "taylor" or
        "heun" at order 2 and where c_3 = 2/3). "taylor": the published form of that elsewhere too, order 2 at order 3
        unless c_3 = 2/3. "dpmsolver": the published default (at order 2 the midpoint form), order 3 for c_3 = 2/3
        only. "half": diffusers' "midpoint" at order 3; at order 2 the same as "dpmsolver".
    c2, c3
        Nodes, published as r_1 and r_2; 1/2 at order 2, 1/3 and 2/3 at order 3. A float is read as the decimal it
        prints as.

    Returns
    -------
    ExponentialRungeKutta

    Raises
    ------
    ValueError, TypeError
        For parameters out of range.

    Notes
    -----
    Order k; k stages; k N evaluations for N steps. Repaired: "exact" has order 3 on any nodes; the published rules
    "dpmsolver" and "taylor" have it for c_3 = 2/3 only, and 2 elsewhere.

    References
    ----------
    Lu, Zhou, Bao, Chen, Li, Zhu, DPM-Solver, arXiv:2206.00927, appendix B; Lu, Zhou, Bao, Chen, Li, Zhu, DPM-Solver++,
    arXiv:2211.01095. Code: diffusers, DPMSolverSinglestepScheduler; LuChengTHU/dpm-solver.

    Examples
    --------
    The published array of order 3 needs the node 2/3:

    >>> from fractions import Fraction
    >>> import numdiff as nd
    >>> for rule in ("exact", "dpmsolver"):
    ...     print(rule, [nd.DPMSolverSingle(3, rule=rule, c3=c3).order for c3 in (Fraction(2, 3), Fraction(3, 4))])
    exact [3, 3]
    dpmsolver [3, 2]
    """
    order = check_order(order, 3, remedy=EVALUATIONS)
    choice("rule", rule, (*arrays.RULES, "taylor"))
    given = [x for x in (c2, c3) if x is not None]
    if len(given) > order - 1 or (order == 2 and c3 is not None):
        raise ValueError(f"order {order} has {order - 1} nodes beside 0, got c2={c2} and c3={c3}")
    second, third = nodes(c2, c3, Fraction(1, order), Fraction(2, 3))
    table = single_step_table(order, rule, second, third)
    shown = [] if not given else [second, third][: order - 1]
    rule = {(2, "taylor"): "exact", (2, "half"): "dpmsolver"}.get((order, rule), rule) if order > 1 else "exact"
    return ExponentialRungeKutta(table, _label("DPM-Solver", order, "S", shown, rule), formulation)  # type: ignore[arg-type]


def DPM2() -> ExponentialRungeKutta:
    """Return DPM2 ("dpm_2", KDPM2): DPM-Solver-2 in noise prediction, midpoint form, c_2 = 1/2.

    ::

        x_m = (alpha_m/alpha_s) x_s - sigma_m (e^{h/2} - 1) e(x_s, s),    lambda_m = lambda_s + h/2
        x_t = (alpha_t/alpha_s) x_s - sigma_t (e^h - 1) e(x_m, m)

    where e is the noise prediction and h the step in log-SNR lambda = log(alpha/sigma).

    Returns
    -------
    ExponentialRungeKutta

    Notes
    -----
    Order 2; 2 stages; 2 N evaluations for N steps. As published.

    References
    ----------
    Lu, Zhou, Bao, Chen, Li, Zhu, DPM-Solver, arXiv:2206.00927, DPM-Solver-2. Code: k-diffusion, sample_dpm_2;
    diffusers, KDPM2DiscreteScheduler.

    Examples
    --------
    >>> import numdiff as nd
    >>> nd.DPM2() == nd.DPMSolverSingle(2, "noise/log-snr", rule="dpmsolver")
    True
    >>> nd.DPM2().nfe(10), nd.order.certified(nd.DPM2())
    (20, 2)
    """
    return DPMSolverSingle(2, NOISE_LOG_SNR, rule="dpmsolver")


def RES(
    order: int = 2,
    formulation: Formulation | str = DATA_LOG_SNR,
    *,
    rule: str = "exact",
    c2: Number | None = None,
    c3: Number | None = None,
) -> ExponentialRungeKutta:
    """Return a refined exponential solver (RES, Zhang et al., 2023), single-step, with stiff weights.

    ::

        x_2 = (sigma_2/sigma_s) x_s + alpha_2 c_2 h phi_1(-c_2 h) D_1
        x_3 = (sigma_3/sigma_s) x_s + alpha_3 h [c_3 phi_1(-c_3 h) D_1 + a_32 (D_2 - D_1)]    at order 3
        x_t = (sigma_t/sigma_s) x_s + alpha_t h [phi_1(-h) D_1 + phi_2(-h) E]
        E = (D_2 - D_1)/c_2  at order 2,    [g (D_2 - D_1) + D_3 - D_1]/(g c_2 + c_3)  at order 3

    where h is the step in log-SNR, D_i the data prediction at stage i, c_i of the step further (for noise e_i:
    alpha_t/alpha_s, -sigma_t and phi_k(+) take the places of sigma_t/sigma_s, alpha_t and phi_k(-)), phi_k(z) = int_0^1
    e^{(1-r)z} r^{k-1}/(k-1)! dr, g = c_3 (3 c_3 - 2)/(c_2 (2 - 3 c_2)) and a_32 = g c_2 phi_2(-c_2 h) + (c_3^2/c_2)
    phi_2(-c_3 h).

    Parameters
    ----------
    order
        2: b_2 = phi_2/c_2, DPM-Solver++ 2S in its exact form. 3: Hochbruck and Ostermann's family with gamma.
    formulation
        As in `DPMSolverSingle`.
    rule
        "exact", or at order 3 "published": gamma as in widespread code, order 2 unless c_3 = 1.
    c2, c3
        Nodes: 1/2, and 1 at order 3.

    Returns
    -------
    ExponentialRungeKutta

    Raises
    ------
    ValueError, TypeError
        For parameters out of range.

    Notes
    -----
    Order k; k stages; k N evaluations for N steps. Repaired: g has 3 c_3^2 where widespread code has 3 c_3^3 (rule
    "published", of order 2 unless c_3 = 1).

    References
    ----------
    Zhang, Song, Chen, Improved order analysis and design of exponential integrator (RES), arXiv:2308.02157; order 3 is
    (5.8) of Hochbruck and Ostermann, Explicit exponential Runge-Kutta methods, SIAM J. Numer. Anal. 43 (2005).

    Examples
    --------
    >>> import numdiff as nd
    >>> nd.RES(2).coefficients() == nd.DPMSolverSingle(2).coefficients()
    True
    >>> nd.order.certified(nd.RES(3)), nd.order.certified(nd.RES(3, rule="published", c3=0.75))
    (3, 2)
    """
    order = check_order(order, 3, lowest=2, remedy=EVALUATIONS)
    choice("rule", rule, ("exact", "published")[: order - 1])
    if order == 2 and c3 is not None:
        raise ValueError(f"order 2 has one node beside 0, c2, got c3={c3}; leave it out")
    second, third = nodes(c2, c3, Fraction(1, 2), Fraction(1))
    table = arrays.two_stage(second) if order == 2 else arrays.hochbruck_ostermann3(second, third, rule)
    given = [] if c2 is None and c3 is None else [second, third][: order - 1]
    return ExponentialRungeKutta(table, _label("RES", order, "S", given, rule), formulation)  # type: ignore[arg-type]


def HochbruckOstermann(
    order: int = 4,
    formulation: Formulation | str = DATA_LOG_SNR,
    *,
    c2: Number | None = None,
    c3: Number | None = None,
) -> ExponentialRungeKutta:
    """Return an exponential Runge-Kutta method of stiff order 1 to 4 (Hochbruck and Ostermann, 2005).

    ::

        X_i = e^{c_i z} X_n + h [c_i phi_1(c_i z) F_1 + sum_{1<j<i} a_ij(z) (F_j - F_1)],    i = 1, ..., 5
        X_{n+1} = e^z X_n + h [phi_1(z) F_1 + b_4(z) (F_4 - F_1) + b_5(z) (F_5 - F_1)]
        c = (0, 1/2, 1/2, 1, 1/2),    b_4 = 4 phi_3(z) - phi_2(z),    b_5 = 4 phi_2(z) - 8 phi_3(z)

    where X is x/alpha and F the data prediction (x/-sigma and noise), h the step in log-SNR, z = c h with kernel
    exponent c = -1 (+1), phi_k(z) = int_0^1 e^{(1-r)z} r^{k-1}/(k-1)! dr; shown is order 4.

    Parameters
    ----------
    order
        1: exponential Euler. 2: b_2 = phi_2/c_2. 3: their family with gamma, weakly of stiff order 3. 4: five stages,
        their (5.19), weakly of stiff order 4.
    formulation
        As in `DPMSolverSingle`.
    c2, c3
        Nodes of orders 2 and 3: 1/2, and 2/3.

    Returns
    -------
    ExponentialRungeKutta

    Raises
    ------
    ValueError, TypeError
        For parameters out of range.

    Notes
    -----
    Order 4; 5 stages; 5 N evaluations for N steps. Orders 1 to 3 have as many stages as their order. As published.

    References
    ----------
    Hochbruck and Ostermann, Explicit exponential Runge-Kutta methods, SIAM J. Numer. Anal. 43 (2005), section 5.

    Examples
    --------
    >>> import numdiff as nd
    >>> method = nd.HochbruckOstermann(4)
    >>> nd.order.certified(method), method.stages
    (4, 5)
    >>> print(*method.coefficients().c)
    0 1/2 1/2 1 1/2
    """
    order = check_order(order, 4, remedy="it is the stiff order")
    second, third = nodes(c2, c3, Fraction(1, 2), Fraction(2, 3))
    if order == 2 and c3 is not None:
        raise ValueError(f"order 2 has one node beside 0, c2, got c3={c3}; leave it out")
    if order in (1, 4) and (c2 is not None or c3 is not None):
        raise ValueError(f"order {order} has no free nodes, got c2={c2} and c3={c3}")
    build = {
        1: lambda: arrays.EULER,
        2: lambda: arrays.two_stage(second),
        3: lambda: arrays.hochbruck_ostermann3(second, third),
        4: lambda: arrays.HOCHBRUCK_OSTERMANN4,
    }
    given = [] if c2 is None and c3 is None else [second, third][: order - 1]
    return ExponentialRungeKutta(build[order](), _label("HochbruckOstermann", order, "", given, "exact"), formulation)  # type: ignore[arg-type]


def SEEDS(order: int = 3, formulation: Formulation | str = NOISE_LOG_SNR, *, tau: Number = 1) -> ExponentialRungeKutta:
    """Return SEEDS-1, -2 or -3 (Gonzalez et al., 2023): DPM-Solver's array for the reverse diffusion.

    ::

        x_i = (alpha_i/alpha_s) x_s - 2 sigma_i h sum_{j<i} a_ij(h) e_j + n_i,    e_j = e(x_j, lambda_s + c_j h)
        x_t = (alpha_t/alpha_s) x_s - 2 sigma_t h sum_i b_i(h) e_i + n_t,         n_i = alpha_i W(rho_s^2 - rho_i^2)

    where e is the noise prediction, h the step in log-SNR, rho = sigma/alpha, W a Brownian motion from the start of the
    step (so n_t has variance sigma_t^2 (e^{2h} - 1)), and a, b are DPM-Solver's weights, at order 2 h a_21 = e^{h/2} -
    1, b_1 = 0 and h b_2 = e^h - 1. For another tau 2 is 1 + tau^2 and n_i is tau n_i.

    Parameters
    ----------
    order
        Evaluations a step. The weak order is 1, 2, 2.
    formulation
        noise/log-snr as published, or data/log-snr.
    tau
        Noise level; 1 is the reverse diffusion.

    Returns
    -------
    ExponentialRungeKutta

    Raises
    ------
    ValueError, TypeError
        For parameters out of range.

    Notes
    -----
    Order k; weak order min(k, 2); k stages; k N evaluations for N steps. The order is that at tau = 0. As published.

    References
    ----------
    Gonzalez et al., SEEDS: exponential SDE solvers, arXiv:2305.14267.

    Examples
    --------
    >>> import numdiff as nd
    >>> [nd.SEEDS(order).weak_order for order in (1, 2, 3)]
    [1, 2, 2]
    >>> nd.SEEDS(2, tau=0).coefficients() == nd.DPM2().coefficients()
    True
    """
    order = check_order(order, 3, remedy=EVALUATIONS)
    found = stochastic(formulation, tau)
    return ExponentialRungeKutta(DPMSolverSingle(order, found, rule="dpmsolver").table, f"SEEDS-{order}", found)
