"""Published predictor-correctors that are `PredictorCorrector` under another name, and the parts of UniPC.

Each function returns the family's own object, so that a famous name and its structure are never two things.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numdiff.elementary import Number
from numdiff.formulations import DATA_LOG_SNR, Formulation
from numdiff.methods.adams import AdamsBashforth
from numdiff.methods.checks import check_order, choice
from numdiff.methods.multistep import Multistep
from numdiff.methods.predictor_corrector import RULES, PredictorCorrector
from numdiff.sde import Tau, stochastic
from numdiff.weights import MAX_ORDER

__all__ = ["AdamsBashforthMoulton", "SASolver", "UniC", "UniP", "UniPC"]


def AdamsBashforthMoulton(
    order: int = 4, formulation: Formulation | str | None = None, *, mode: str = "PECE"
) -> PredictorCorrector:
    """Return the classical Adams-Bashforth-Moulton method: predictor and corrector both of `order` points.

    ::

        x~ = xi x_n + kappa sum_{j<k} omega_j F_{n-j},    omega_j = int_0^h e^{c(h-u)} l_j(u) du
        x_{n+1} = xi x_n + kappa [w_h f(x~) + sum_{j<k-1} w_j F_{n-j}],    F_{n+1} = f(x_{n+1})

    where f is the prediction, F_{n-j} its past values, h the step in the formulation's variable, xi, kappa and c the
    linear factor, scale and kernel exponent of the formulation (noise/ratio: alpha_t/alpha_s, alpha_t, 0), l_j the
    Lagrange basis on the k newest nodes, and w the same integrals with the basis on the new node and the k - 1 newest.

    Parameters
    ----------
    order
        k, from 1 to 8. The corrector combines the new evaluation with the k - 1 newest ones; both parts and the method
        have order k.
    formulation
        What is interpolated, in which variable; None for noise/ratio (velocity/time on flow schedules and plain ODEs).
    mode
        "PECE", the classical form, with 2N - 1 evaluations for N steps, or "PEC" with N.

    Returns
    -------
    PredictorCorrector
        With `order` points in predictor and corrector. (Hairer, Norsett, Wanner, Solving ODEs I, III.1.)

    Raises
    ------
    ValueError, TypeError
        For parameters out of range.

    Notes
    -----
    Order k; 2 stages; 2 N - 1 evaluations for N steps: the last step is predicted only. Order k holds on any grid with
    exact starts. In mode "PEC" F_{n+1} = f(x~), with 1 stage and N evaluations. As published.

    References
    ----------
    Hairer, Norsett, Wanner, Solving ordinary differential equations I, III.1; Bashforth and Adams (1883); Moulton, New
    methods in exterior ballistics (1926).

    Examples
    --------
    >>> import numdiff as nd
    >>> method = nd.AdamsBashforthMoulton(3)
    >>> print(*method.coefficients().predictor)
    23/12 -4/3 5/12
    >>> print(*method.coefficients().corrector)  # the new evaluation first
    5/12 2/3 -1/12
    >>> nd.order.certified(method), method.nfe(10)
    (3, 19)
    """
    return PredictorCorrector(order, formulation, corrector=order, mode=mode)  # type: ignore[arg-type]


def UniPC(
    order: int = 3,
    formulation: Formulation | str | None = DATA_LOG_SNR,
    *,
    rule: str = "exact",
    beta: Any = 1,
    momentum: str = "repaired",
    mode: str = "PEC",
    uncorrected: Sequence[int] = (-1,),
) -> PredictorCorrector:
    """Return UniPC (Zhao et al., 2023), named by its predictor's order; with the corrector it is one higher.

    ::

        x~ = (sigma_t/sigma_s) x_n + alpha_t sum_{j<k} omega_j D_{n-j},    omega_j = int_0^h e^{-(h-u)} l_j(u) du
        x_{n+1} = (sigma_t/sigma_s) x_n + alpha_t [w_h D(x~) + sum_{j<k} w_j D_{n-j}]

    where D are data predictions (for noise alpha_t/alpha_s, -sigma_t and e^{h-u} take the places), h is the step in
    log-SNR, l_j the Lagrange basis on the k newest nodes u_j = lambda_{n-j} - lambda_n, and w the same integrals with
    the basis on the new node, u = h, and those.

    Parameters
    ----------
    order
        Number of past evaluations combined, 1 to 7.
    formulation
        data/log-SNR as published for guided sampling, or noise/log-SNR.
    rule, beta, momentum, mode, uncorrected
        As in `PredictorCorrector`; the rule "exact" is the paper's "vary_coeff", the mode "PEC" its own, and diffusers'
        ``disable_corrector=[0, 1]`` is uncorrected=(0, 1, -1), since it never corrects the last step.

    Returns
    -------
    PredictorCorrector

    Raises
    ------
    ValueError, TypeError
        For parameters out of range.

    Notes
    -----
    Order k + 1; 1 stage; N evaluations for N steps. That is with exact starts; 1 with momentum.

    References
    ----------
    Zhao, Bai, Rao, Zhou, Lu, UniPC, arXiv:2302.04867. Code: diffusers, UniPCMultistepScheduler.

    Examples
    --------
    Order with exact starts, and evaluations for ten steps:

    >>> import numdiff as nd
    >>> for order in (1, 2, 3):
    ...     print(order, nd.order.certified(nd.UniPC(order)), nd.UniPC(order).nfe(10))
    1 2 10
    2 3 10
    3 4 10
    """
    return PredictorCorrector(order, formulation, rule, beta, None, mode, momentum, uncorrected)  # type: ignore[arg-type]


def UniP(
    order: int = 3, formulation: Formulation | str | None = DATA_LOG_SNR, *, rule: str = "exact"
) -> AdamsBashforth | PredictorCorrector:
    """Return UniP, the predictor of UniPC alone (Zhao et al., 2023): one evaluation a step, of order `order`.

    ::

        x_t = (sigma_t/sigma_s) x_s + alpha_t [h phi_1(-h) D_n + sum_{0<j<k} omega_j (D_{n-j} - D_n)]
        omega_j = int_0^h e^{-(h-u)} l_j(u) du

    where D are the data predictions (for noise predictions alpha_t/alpha_s, -sigma_t and e^{h-u} take the places), h is
    the step in log-SNR lambda = log(alpha/sigma), phi_1(z) = (e^z - 1)/z, and l_j the polynomial that is 1 at the node
    u_j = lambda_{n-j} - lambda_n and 0 at the other k - 1.

    Parameters
    ----------
    order
        Number of evaluations combined, 1 to 8.
    formulation
        data/log-SNR or noise/log-SNR.
    rule
        "exact" (the paper's "vary_coeff"): Adams-Bashforth. "bh2" and "bh1" as in the published code, which differ in
        two-point formulas only: at order 2, where bh2 is the midpoint rule of DPM-Solver++ 2M, and at higher orders in
        the single steps of order 2 with which a run begins and, published, ends.

    Returns
    -------
    AdamsBashforth or PredictorCorrector
        An Adams method wherever it is one; otherwise a predictor-corrector without corrector.

    Raises
    ------
    ValueError, TypeError
        For parameters out of range.

    Notes
    -----
    Order k; 1 stage; N evaluations for N steps. Order k holds on any grid with exact starts. Rule "exact" is the
    paper's method; "bh1" and "bh2" are the published code's two-point shortcuts, of the same order.

    References
    ----------
    Zhao, Bai, Rao, Zhou, Lu, UniPC, arXiv:2302.04867. Code: wl-zhao/UniPC; diffusers, UniPCMultistepScheduler with
    disable_corrector.

    Examples
    --------
    >>> import numdiff as nd
    >>> nd.UniP(2) == nd.DPMSolverPP(2)
    True
    >>> nd.UniP(2, rule="bh2") == nd.DPMSolverPP(2, rule="half")  # the published shortcut is that of 2M
    True
    """
    choice("rule", rule, RULES)
    order = check_order(order, MAX_ORDER)
    if rule == "exact" or order == 1:
        return AdamsBashforth(order, formulation)  # type: ignore[arg-type]
    if order == 2:
        return AdamsBashforth(2, formulation, rule="half" if rule == "bh2" else "bh1")  # type: ignore[arg-type]
    return PredictorCorrector(order, formulation, rule, corrector=0)  # type: ignore[arg-type]


def UniC(
    predictor: Multistep,
    corrector: int | None = None,
    *,
    rule: str = "exact",
    mode: str = "PEC",
    uncorrected: Sequence[int] = (-1,),
) -> PredictorCorrector:
    """Return UniPC's corrector on a predictor of one's own: diffusers' "solver_p" (Zhao et al., 2023, section 3.3).

    ::

        x~ = one step of the predictor from x_n,    F = f(x~, s_{n+1})
        x_{n+1} = xi x_n + kappa_t [w_h F + sum_{j<c-1} w_j F_{n-j}]

    where F_{n-j} are past evaluations at predicted samples, xi and kappa_t the linear factor and scale of the
    formulation (data/log-SNR: sigma_t/sigma_s and alpha_t), and w the integrals of its kernel, e^{-(h-u)} there, times
    the Lagrange basis on the new node and the c - 1 newest ones.

    Parameters
    ----------
    predictor
        Any multistep method, of order q: Adams, GHVB, or one with momentum such as ``HeavyBall(AdamsBashforth(2),
        beta=0.8)``. The corrector takes its formulation over.
    corrector
        c, from 1 to 8: points of the corrector, the new one included; by default one more than the predictor's. The
        method has order min(q + 1, c).
    rule
        The corrector's "exact", "bh1" or "bh2", which differ at c = 2 only.
    mode
        "PEC" or "PECE".
    uncorrected
        The steps that only predict, as for `PredictorCorrector`.

    Returns
    -------
    PredictorCorrector
        The method whose `predictor` is the one given. The predictor sees the same evaluations as the corrector; in
        diffusers it converts the network's output at the corrected sample, so that both agree for networks that predict
        what the formulation interpolates.

    Raises
    ------
    ValueError, TypeError
        As `PredictorCorrector`.

    Notes
    -----
    Order min(q + 1, c); 1 stage; N evaluations for N steps, q being the predictor's order. It holds with exact starts.
    Rule "exact" is the paper's method; "bh1" and "bh2" are the published code's two-point shortcuts.

    References
    ----------
    Zhao, Bai, Rao, Zhou, Lu, UniPC, arXiv:2302.04867. Code: diffusers, UniPCMultistepScheduler with solver_p.

    Examples
    --------
    The corrector raises the order of any predictor by one, here GHVB's, and costs no evaluation:

    >>> import numdiff as nd
    >>> base = nd.GHVB(2, 0.8)
    >>> method = nd.UniC(base)
    >>> nd.order.certified(base), nd.order.certified(method)
    (2, 3)
    >>> base.nfe(10), method.nfe(10)
    (10, 10)
    """
    if not isinstance(predictor, Multistep):
        raise TypeError(f"predictor must be a multistep method such as AdamsBashforth(2), got {predictor!r}")
    return PredictorCorrector(
        predictor.points,
        predictor.formulation,
        rule,
        corrector=corrector,
        mode=mode,
        uncorrected=uncorrected,  # type: ignore[arg-type]  # made a tuple there
        predictor=predictor,
    )


def SASolver(
    order: int = 2,
    corrector: int | None = None,
    *,
    tau: Number | Tau = 1,
    formulation: Formulation | str = DATA_LOG_SNR,
    rule: str = "exact",
    mode: str = "PEC",
    uncorrected: Sequence[int] = (-1,),
) -> PredictorCorrector:
    """Return SA-Solver (Xue et al., 2023): stochastic Adams predictor and corrector that share the noise of a step.

    ::

        x~ = xi x_n + kappa sum_{j<p} omega_j D_{n-j} + n z,    D = D(x~)
        x_{n+1} = xi x_n + kappa [w_h D + sum_{j<c-1} w_j D_{n-j}] + n z
        omega_j = int_0^h e^{-(1+tau^2)(h-u)} l_j(u) du,    n = sigma_t sqrt(1 - e^{-2 tau^2 h})

    where xi = (sigma_t/sigma_s) e^{-tau^2 h}, kappa = alpha_t (1 + tau^2), D are the data predictions, h is the step in
    log-SNR, l_j the Lagrange basis on the p newest nodes (for w on the new node and c - 1 old ones), and the one
    standard normal z serves predictor and corrector.

    Parameters
    ----------
    order
        p, from 1 to 8: the number of past evaluations of the predictor (the paper's steps).
    corrector
        c, from 0 to 8: the points of the corrector, the new evaluation included; 0 for none. Default p, as the
        published codes.
    tau
        The noise level: a number, or a `Tau` with a window. The published default is ``Tau(1, 200, 800,
        "model_time")``, which the authors' code reads at the end of a step and diffusers at its start
        (``at="start"``). 0 gives the deterministic method itself: UniPC where c = p + 1.
    formulation
        data/log-SNR ("data_prediction") or noise/log-SNR ("noise_prediction").
    rule
        "exact", or "bh1" for the published few-step tweak of two-point formulas; the published codes use it for data
        prediction only.
    mode
        "PEC" as published, or "PECE".
    uncorrected
        The steps that only predict. The authors' many-step sampler corrects the last step too: ``uncorrected=()``.

    Returns
    -------
    PredictorCorrector
        The predictor-corrector in the stochastic formulation. At tau = 0 it has order min(p + 1, c), or p without
        corrector. In a published run the orders fall to 1 towards the end: ``discretize(orders=...)`` with min(points,
        N - n) in step n, for both parts at once.

    Raises
    ------
    ValueError, TypeError
        For parameters out of range.

    Notes
    -----
    Order min(p + 1, c); weak order min(p + 1, c, 2); 1 stage; N evaluations for N steps. The order is that at tau = 0
    with exact starts. Rule "exact" is the paper's method; "bh1" is the substitution in the published few-step code.

    References
    ----------
    Xue, Yi, Luo, Zhang, Sun, Li, Ma, SA-Solver, arXiv:2309.05019. Code: scxue/SA-Solver; diffusers, SASolverScheduler.

    Examples
    --------
    >>> import numdiff as nd
    >>> nd.SASolver(2, 3, tau=0) == nd.UniPC(2)  # without noise
    True
    >>> print(nd.SASolver(2, tau=0.5))
    PEC2-2 data/log-snr tau=0.5
    >>> nd.SASolver(3).weak_order
    2
    """
    order = check_order(order, MAX_ORDER)
    return PredictorCorrector(
        order,
        stochastic(formulation, tau),
        rule,
        corrector=order if corrector is None else corrector,
        mode=mode,
        uncorrected=uncorrected,  # type: ignore[arg-type]  # made a tuple there
    )
