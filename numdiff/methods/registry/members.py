"""Representative methods: what the registry-wide tests, tables and plots run over."""

from __future__ import annotations

from fractions import Fraction

from numdiff.formulations import DATA_LOG_SNR, DATA_RATIO, NOISE_LOG_SNR, NOISE_RATIO, VELOCITY_TIME
from numdiff.methods import churn, pndm, splitting
from numdiff.methods.adams import AdamsBashforth
from numdiff.methods.ancestral import Ancestral
from numdiff.methods.base import Method
from numdiff.methods.bdia import BDIA
from numdiff.methods.deis import TimeAdams
from numdiff.methods.dpmpp_sde import DPMSolverPPSDE
from numdiff.methods.exponential_runge_kutta import KNOWN, ExponentialRungeKutta
from numdiff.methods.filtered_adams import FilteredAdams, StretchedAdams
from numdiff.methods.ghvb import GHVB
from numdiff.methods.interpolant import SiT
from numdiff.methods.momentum import HeavyBall, Nesterov
from numdiff.methods.predictor_corrector import PredictorCorrector
from numdiff.methods.published import classical, correctors
from numdiff.methods.published import single_step as exponential
from numdiff.methods.published import stochastic as noisy
from numdiff.methods.single_step import SingleStep
from numdiff.sde import Tau, stochastic

__all__ = ["methods"]

BETA = Fraction(4, 5)
single = exponential.DPMSolverSingle


def methods(*, every: bool = False) -> dict[str, Method]:
    """Return representative methods by name.

    Parameters
    ----------
    every
        False for those that the theory of multistep and classical Runge-Kutta methods covers: no noise, one field, a
        memory of evaluations, a steady step. True for all, so that every family of the registry has a member.

    Returns
    -------
    dict
        (name: method).

    Examples
    --------
    >>> from numdiff.methods import methods  # or numdiff.methods
    >>> print(methods()["RK4"].reference)
    Hairer, Norsett, Wanner, Solving ODEs I, II.1; Karras et al. 2022, algorithm 1
    >>> [name for name in methods() if name.startswith("AB") and "/" not in name]
    ['AB1', 'AB2', 'AB3', 'AB4', 'AB5']
    >>> sum(method.stochastic for method in methods().values())  # every=True has those with noise, too
    0
    """
    found = [*_adams(), *_momentum(), *_correctors(), *_one_step()]
    found += [*_other(), *_splitting(), *_stochastic(), *_churned()] if every else []
    return {method.name: method for method in found}


def _adams() -> list[Method]:
    members: list[Method] = [AdamsBashforth(k) for k in range(1, 6)]
    members += [AdamsBashforth(3, f) for f in (NOISE_RATIO, NOISE_LOG_SNR, DATA_LOG_SNR, DATA_RATIO, VELOCITY_TIME)]
    members += [
        classical.PLMS(4),
        classical.DPMSolverPP(2, rule="half"),
        classical.DPMSolver(2),
        classical.DPMSolverPP(2),
    ]
    return [*members, classical.DPMSolverPP(3, rule="3m")]


def _correctors() -> list[Method]:
    members: list[Method] = [PredictorCorrector(k) for k in (1, 3)]
    members += [
        PredictorCorrector(2, beta=BETA),
        correctors.UniPC(2),
        correctors.UniPC(3),
        correctors.UniPC(2, NOISE_LOG_SNR, rule="bh1"),
    ]
    return [*members, correctors.UniPC(2, rule="bh2", beta=BETA), correctors.AdamsBashforthMoulton(3)]


def _momentum() -> list[Method]:
    members: list[Method] = [HeavyBall(AdamsBashforth(k), beta=BETA) for k in (1, 2, 4)]
    members += [HeavyBall(classical.DPMSolverPP(2, rule="half"), beta=BETA)]
    members += [HeavyBall(classical.PLMS(2), beta=Fraction(3, 2))]
    members += [Nesterov(AdamsBashforth(k), beta=BETA) for k in (1, 2)] + [
        Nesterov(classical.DPMSolverPP(2), beta=BETA)
    ]
    members += [GHVB(k, BETA) for k in range(1, 6)] + [GHVB(3, BETA, DATA_LOG_SNR), GHVB(2, BETA, NOISE_LOG_SNR)]
    members += [GHVB(3, Fraction(1, 2), DATA_RATIO), GHVB(3, BETA, NOISE_RATIO, weights="uniform")]
    members += [FilteredAdams(k, BETA, error=Fraction(1, 2)) for k in (1, 2, 3)]
    members += [StretchedAdams(2), StretchedAdams(3, formulation=DATA_LOG_SNR)]
    members += [FilteredAdams.from_dampings(3, BETA, Fraction(1, 2)), FilteredAdams(3, 1, Fraction(1, 4), BETA)]
    return [*members, FilteredAdams(2, BETA, Fraction(1, 5), BETA, NOISE_RATIO, "uniform")]


def _one_step() -> list[Method]:
    members: list[Method] = [
        classical.Heun(),
        classical.Midpoint(),
        classical.Ralston(),
        classical.Kutta3(),
        classical.RK4(),
    ]
    return [*members, classical.Heun(DATA_RATIO), classical.RK4(VELOCITY_TIME), classical.SSPRK43()]


def _other() -> list[Method]:
    """Return methods without noise that this theory leaves out, or that are much like those it covers."""
    members: list[Method] = [TimeAdams(3), TimeAdams(2, DATA_LOG_SNR), correctors.UniC(AdamsBashforth(2))]
    members += [correctors.UniC(HeavyBall(AdamsBashforth(2), beta=BETA)), PredictorCorrector(3, corrector=2)]
    members += [PredictorCorrector(2, mode="PECE", uncorrected=()), correctors.UniP(3, rule="bh1")]
    members += [PredictorCorrector(2, beta=BETA, momentum=kind) for kind in ("published", "nesterov")]
    members += [
        classical.Ralston3(),
        classical.Heun3(),
        classical.VanDerHouwen3(),
        classical.SSPRK3(),
        classical.Kutta38(),
    ]
    members += [classical.DPMSolver(n, rule=rule) for n, rule in ((2, "half"), (2, "bh1"), (3, "3m-heun"))]
    members += [
        pndm.PNDM(),
        pndm.FPNDM(),
        pndm.PNDM(3, warmup="lower", combine="v"),
        pndm.IPNDMV(4),
        BDIA(),
        BDIA(BETA),
    ]
    members += [single(3, NOISE_LOG_SNR), single(2, c2=1), single(3), exponential.RES(3)]
    members += [single(2, NOISE_LOG_SNR, rule="dpmsolver"), *map(exponential.HochbruckOstermann, (3, 4))]
    members += [single(3, rule=rule) for rule in ("dpmsolver", "taylor", "half")]
    members += [SingleStep(3), SingleStep(2, rule="half", tail="diffusers"), SingleStep(3, NOISE_LOG_SNR, "dpmsolver")]
    return [*members, *(ExponentialRungeKutta(KNOWN[name], name) for name in KNOWN)]


def _splitting() -> list[Method]:
    return [splitting.LTSP(4, weights="uniform"), splitting.LTSP(2), splitting.STSP(3), splitting.Strang()]


def _stochastic() -> list[Method]:
    half = Fraction(1, 2)
    members: list[Method] = [classical.DDIM(eta=1), classical.DDIM(eta=half), noisy.DDPM("fixed-large")]
    members += [noisy.SDEDPMSolver(2), noisy.SDEDPMSolverPP(2, rule="half"), noisy.SDEDPMSolverPP(3, tau=half)]
    members += [noisy.SDEDPMSolverPP(3, rule=rule) for rule in ("3m-heun", "sign")]
    members += [
        AdamsBashforth(2, stochastic(NOISE_RATIO)),
        AdamsBashforth(1, stochastic(DATA_LOG_SNR, Tau(1, 0.2, 0.8))),
    ]
    return [*members, correctors.SASolver(2), correctors.SASolver(3, 4, tau=half), correctors.SASolver(2, mode="PECE")]


def _churned() -> list[Method]:
    members: list[Method] = [Ancestral(base) for base in (classical.DDIM(), classical.Heun(), exponential.DPM2())]
    members += [Ancestral(single(2, rule="dpmsolver"), Fraction(1, 2)), churn.EDMStochastic()]
    members += [churn.EulerChurn(2, S_max=50.0)]
    members += [DPMSolverPPSDE(path=path) for path in ("brownian", "rho", "independent")]
    members += [DPMSolverPPSDE(BETA, rule="exact"), *(exponential.SEEDS(order) for order in (1, 2, 3))]
    members += [exponential.SEEDS(3, DATA_LOG_SNR, tau=Fraction(1, 2)), SiT(), SiT("heun", "sigma", last="tweedie")]
    return members
