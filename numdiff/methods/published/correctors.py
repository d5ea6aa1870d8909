"""Published predictor-correctors that are `PredictorCorrector` under another name, and the parts of UniPC.

Each function returns the family's own object, so that a famous name and its structure are never two things.
"""

from __future__ import annotations

from collections.abc import Sequence

from numdiff.elementary import Number
from numdiff.formulations import DATA_LOG_SNR, Formulation
from numdiff.methods.adams import AdamsBashforth
from numdiff.methods.checks import check_order, choice
from numdiff.methods.multistep import Multistep
from numdiff.methods.predictor_corrector import RULES, PredictorCorrector
from numdiff.sde import Tau, stochastic
from numdiff.weights import MAX_ORDER


def AdamsBashforthMoulton(
    order: int = 4, formulation: Formulation | str | None = None, *, mode: str = "PECE"
) -> PredictorCorrector:
    """Return the classical Adams-Bashforth-Moulton method: predictor and corrector both of `order` points.

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
    """
    return PredictorCorrector(order, formulation, corrector=order, mode=mode)  # type: ignore[arg-type]


def UniP(
    order: int = 3, formulation: Formulation | str | None = DATA_LOG_SNR, *, rule: str = "exact"
) -> AdamsBashforth | PredictorCorrector:
    """Return UniP, the predictor of UniPC alone (Zhao et al., 2023): one evaluation a step, of order `order`.

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
    """
    if not isinstance(predictor, Multistep):
        raise TypeError(f"predictor must be a multistep method such as AdamsBashforth(2), got {predictor!r}")
    return PredictorCorrector(
        predictor.points,
        predictor.formulation,
        rule,
        corrector=corrector,
        mode=mode,
        uncorrected=tuple(uncorrected),
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
    """
    order = check_order(order, MAX_ORDER)
    return PredictorCorrector(
        order,
        stochastic(formulation, tau),
        rule,
        corrector=order if corrector is None else corrector,
        mode=mode,
        uncorrected=tuple(uncorrected),
    )
