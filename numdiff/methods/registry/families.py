"""The families: what builds a member, its options, other names, and whether it is as published or repaired."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from inspect import signature
from typing import Any

from numdiff.elementary import Number
from numdiff.formulations import DATA_LOG_SNR
from numdiff.methods import ancestral, churn, dpmpp_sde, exponential_runge_kutta, interpolant, pndm, splitting
from numdiff.methods.adams import AdamsBashforth
from numdiff.methods.base import Method
from numdiff.methods.bdia import BDIA
from numdiff.methods.checks import choice
from numdiff.methods.filtered_adams import FilteredAdams, StretchedAdams
from numdiff.methods.ghvb import GHVB
from numdiff.methods.momentum import HeavyBall, Nesterov
from numdiff.methods.predictor_corrector import PredictorCorrector
from numdiff.methods.published import classical, correctors, single_step
from numdiff.methods.published import stochastic as noisy
from numdiff.methods.registry import variants
from numdiff.methods.single_step import SingleStep

__all__ = ["FAMILIES", "Family"]


@dataclass(frozen=True)
class Family:
    """A family of methods as the command line sees it.

    Parameters
    ----------
    build
        Builds a member from keyword options.
    options
        The names of the options.
    summary
        One line for listings.
    aliases
        Other names, in lower case.
    published
        What is as published and what is repaired; empty where nothing differs.
    example
        Options of the member that listings and tests take for the family.
    variants
        Pairs (options, what is published and repaired about members that have them); the first pair that fits counts.

    Examples
    --------
    >>> from numdiff.methods import FAMILIES
    >>> family = FAMILIES["ghvb"]
    >>> family.summary, family.options
    ('generalized heavy ball', ('order', 'beta', 'formulation', 'weights'))
    >>> family.member().name
    'GHVB3(4/5)'
    """

    build: Callable[..., Method]
    options: tuple[str, ...]
    summary: str
    aliases: tuple[str, ...] = ()
    published: str = ""
    example: dict[str, Any] = field(default_factory=dict)
    variants: tuple[tuple[dict[str, Any], str], ...] = ()

    def status(self, options: Mapping[str, Any]) -> str:
        """Return what is published and what is repaired about the member with these options."""
        parameters = signature(self.build).parameters.values()
        chosen = {p.name: p.default for p in parameters if p.default is not p.empty} | dict(options)
        for settings, text in self.variants:
            if all(name in chosen and chosen[name] == value for name, value in settings.items()):
                return text
        return self.published or variants.AS_PUBLISHED

    def member(self) -> Method:
        """Return the member of the example."""
        return self.build(**self.example)


def _on_adams(wrap: Callable[..., Method]) -> Callable[..., Method]:
    def build(order: int = 2, beta: Any = Fraction(4, 5), **options: Any) -> Method:
        return wrap(AdamsBashforth(order, **options), beta=beta)

    return build


def _pec(order: int, **options: Any) -> Method:
    return PredictorCorrector(order, **options)


def _unipc(
    order: int = 3, formulation: Any = DATA_LOG_SNR, uncorrected: int | Sequence[int] | None = (-1,), **options: Any
) -> Method:
    return correctors.UniPC(order, formulation, uncorrected=_listed(uncorrected), **options)


def _sa_solver(order: int = 2, uncorrected: int | Sequence[int] | None = (-1,), **options: Any) -> Method:
    return correctors.SASolver(order, uncorrected=_listed(uncorrected), **options)


def _listed(steps: int | Sequence[int] | None) -> Sequence[int]:
    """Return steps as they are, one of them as a tuple, and None, which is none, as the empty one."""
    return () if steps is None else (steps,) if isinstance(steps, int) else steps


def _unic(order: int = 2, formulation: Any = DATA_LOG_SNR, corrector: int | None = None, **options: Any) -> Method:
    return correctors.UniC(AdamsBashforth(order, formulation), corrector, **options)


def _deis(order: int = 3, variant: str = "rho") -> Method:
    return classical.DEIS(order, variant)


def _ipndm_v(order: int = 4) -> Method:
    return pndm.IPNDMV(order)


def _euler_churn(S_churn: Number = 2, **options: Any) -> Method:
    return churn.EulerChurn(S_churn, **{"S_max": 50.0, **options})


def _etd(tableau: str = "Krogstad4", formulation: Any = DATA_LOG_SNR) -> Method:
    known = exponential_runge_kutta.KNOWN
    choice("tableau", tableau, tuple(known))
    return exponential_runge_kutta.ExponentialRungeKutta(known[tableau], tableau, formulation)


def _rho_rk(tableau: str = "3kutta") -> Method:
    choice("tableau", tableau, tuple(classical.RHO_RK))
    return classical.RhoRK(tableau)


ADAMS = ("order", "formulation", "weights", "rule")
CORRECTOR = ("order", "formulation", "rule", "beta", "corrector", "mode", "momentum")
BETA = Fraction(4, 5)
THIRD = 'order 3 is exact and repaired; rule "3m" and "3m-heun" are the published 3M, of order 2'

_MULTISTEP = {
    "ab": Family(
        AdamsBashforth,
        ADAMS,
        "Adams-Bashforth in any formulation",
        ("adams", "adams-bashforth"),
        'rules other than "exact" are published substitutions',
        {"order": 3},
    ),
    "ddim": Family(classical.DDIM, ("formulation", "eta"), "DDIM: Adams-Bashforth of order 1, with noise", ("euler",)),
    "plms": Family(classical.PLMS, ("order",), "PLMS and iPNDM, equal-step Adams weights on noise", ("ipndm",)),
    "pndm": Family(
        pndm.PNDM,
        ("order", "warmup", "combine"),
        "PNDM: PLMS behind pseudo-Runge-Kutta steps",
        (),
        'combines noise predictions, repaired; combine "v" is published for v predictions, of order 1',
        variants=variants.PNDM,
    ),
    "fpndm": Family(pndm.FPNDM, ("order", "combine"), "F-PNDM: PLMS behind pseudo-RK4 steps", ("f-pndm",)),
    "ipndm-v": Family(
        _ipndm_v,
        ("order",),
        "iPNDM_v, Adams in sigma/alpha with slips",
        (),
        "as published, of lower order than meant from three points on; lms is the repaired form",
    ),
    "lms": Family(classical.LMS, ("order",), "LMS: variable-step Adams on noise in sigma/alpha", ("lmsdiscrete",)),
    "deis": Family(_deis, ("order", "variant"), "DEIS in sigma/alpha, its logarithm (log-rho) or time"),
    "dpm-solver": Family(
        classical.DPMSolver,
        ("order", "rule"),
        "DPM-Solver: exponential Adams on noise",
        ("dpm",),
        THIRD,
        variants=variants.THIRD,
    ),
    "dpmpp": Family(
        classical.DPMSolverPP,
        ("order", "rule"),
        "DPM-Solver++: exponential Adams on data",
        ("dpm-solver++", "dpm++"),
        THIRD,
        variants=variants.THIRD,
    ),
    "flow-euler": Family(classical.FlowEuler, (), "Euler on the velocity"),
    "flow-ab": Family(classical.FlowAB, ("order",), "variable-step Adams-Bashforth on the velocity"),
}

_MOMENTUM = {
    "hb": Family(_on_adams(HeavyBall), (*ADAMS, "beta"), "heavy ball on Adams-Bashforth", ("heavy-ball", "heavyball")),
    "nt": Family(_on_adams(Nesterov), (*ADAMS, "beta"), "Nesterov momentum on Adams-Bashforth", ("nesterov",)),
    "ghvb": Family(
        GHVB,
        ("order", "beta", "formulation", "weights"),
        "generalized heavy ball",
        (),
        'weights for the actual steps, repaired; weights "uniform" are the published ones',
        {"order": 3, "beta": BETA},
        variants.EQUAL_STEPS,
    ),
    "filtered-adams": Family(
        FilteredAdams,
        ("order", "beta", "momentum", "error", "formulation", "weights"),
        "Adams on filtered evaluations: GHVB with momentum in the velocity or a given error constant",
        ("relaxed-ghvb",),
        example={"order": 2, "beta": BETA},
    ),
    "stretched-adams": Family(
        StretchedAdams,
        ("real_interval", "formulation", "weights"),
        "second order with a given real stability interval (3 unless told otherwise)",
        ("second-order-momentum",),
    ),
}

_CORRECTORS = {
    "pec": Family(
        _pec,
        CORRECTOR,
        "Adams predictor and corrector, one evaluation a step (two in mode PECE)",
        ("abm",),
        example={"order": 3},
    ),
    "adams-moulton": Family(
        correctors.AdamsBashforthMoulton,
        ("order", "formulation", "mode"),
        "Adams-Bashforth-Moulton, predictor and corrector of as many points, PECE",
        ("adams-bashforth-moulton",),
    ),
    "unipc": Family(
        _unipc,
        ("order", "formulation", "rule", "beta", "momentum", "mode", "uncorrected"),
        "UniPC: exponential predictor-corrector",
        (),
        'rule "exact" is the paper\'s; "bh1" and "bh2" are the published code\'s. Momentum repaired, or "published"',
        variants=variants.UNIPC,
    ),
    "unip": Family(correctors.UniP, ("order", "formulation", "rule"), "the predictor of UniPC alone"),
    "unic": Family(
        _unic, ("order", "formulation", "corrector", "rule", "mode"), "UniPC's corrector on Adams-Bashforth"
    ),
    "sa-solver": Family(
        _sa_solver,
        ("order", "corrector", "tau", "formulation", "rule", "mode", "uncorrected"),
        "SA-Solver: stochastic Adams predictor and corrector",
        ("sa",),
        'exact weights; rule "bh1" is the published substitution in two-point formulas',
        variants=variants.SA_SOLVER,
    ),
}

_ONE_STEP = {
    "heun": Family(classical.Heun, ("formulation",), "Heun's Runge-Kutta method (EDM, SSPRK2)", ("edm-heun", "ssprk2")),
    "midpoint": Family(classical.Midpoint, ("formulation",), "explicit midpoint Runge-Kutta"),
    "ralston": Family(classical.Ralston, ("formulation",), "Ralston's second-order Runge-Kutta"),
    "kutta3": Family(classical.Kutta3, ("formulation",), "Kutta's third-order Runge-Kutta", ("rk3",)),
    "ralston3": Family(classical.Ralston3, ("formulation",), "Ralston's third-order Runge-Kutta"),
    "heun3": Family(classical.Heun3, ("formulation",), "Heun's third-order Runge-Kutta"),
    "vdh3": Family(classical.VanDerHouwen3, ("formulation",), "van der Houwen's third-order Runge-Kutta"),
    "ssprk3": Family(classical.SSPRK3, ("formulation",), "Shu and Osher's third-order Runge-Kutta"),
    "ssprk43": Family(classical.SSPRK43, ("formulation",), "strong-stability-preserving Runge-Kutta (4,3)"),
    "rk4": Family(classical.RK4, ("formulation",), "classical fourth-order Runge-Kutta"),
    "kutta38": Family(classical.Kutta38, ("formulation",), "Kutta's 3/8 rule, fourth order"),
    "rho-rk": Family(
        _rho_rk,
        ("tableau",),
        f"DEIS rhoRK, Runge-Kutta on noise in sigma/alpha, by name: {', '.join(classical.RHO_RK)}",
    ),
    "flow-heun": Family(classical.FlowHeun, (), "Heun on the velocity"),
    "flow-midpoint": Family(classical.FlowMidpoint, (), "midpoint on the velocity"),
}

_EXPONENTIAL = {
    "dpm-solver-single": Family(
        single_step.DPMSolverSingle,
        ("order", "formulation", "rule", "c2", "c3"),
        "DPM-Solver and DPM-Solver++, single-step: exponential Runge-Kutta",
        ("dpmpp-single",),
        'exact, of order 3 on any nodes, repaired; rules "dpmsolver", "taylor" and "half" are published ones',
        variants=variants.SINGLE,
    ),
    "single-step": Family(
        SingleStep,
        ("order", "formulation", "rule", "tail"),
        "DPM-Solver and DPM-Solver++ with a grid interval for every evaluation, lower orders at the end",
        (),
        'exact, of order 3 on any grid, repaired; rules "dpmsolver", "taylor" and "half" are published ones',
        variants=variants.ON_THE_GRID,
    ),
    "res": Family(
        single_step.RES,
        ("order", "formulation", "rule", "c2", "c3"),
        "refined exponential solver, single-step, with stiff weights",
        (),
        'exact, of order 3 on any nodes, repaired; rule "published" is that of widespread code',
        variants=variants.RES,
    ),
    "hochbruck-ostermann": Family(
        single_step.HochbruckOstermann,
        ("order", "formulation", "c2", "c3"),
        "exponential Runge-Kutta of stiff order 1 to 4",
        ("exp-rk",),
    ),
    "etd": Family(
        _etd,
        ("tableau", "formulation"),
        f"published exponential Runge-Kutta by name: {', '.join(exponential_runge_kutta.KNOWN)}",
    ),
    "seeds": Family(single_step.SEEDS, ("order", "formulation", "tau"), "SEEDS: exponential Runge-Kutta with noise"),
}

_STOCHASTIC = {
    "ddpm": Family(noisy.DDPM, ("variance",), "DDPM's ancestral sampling, of either fixed variance"),
    "sde-dpm-solver": Family(
        noisy.SDEDPMSolver, ("order", "rule", "tau"), "SDE-DPM-Solver: exponential Adams on noise, with noise"
    ),
    "sde-dpmpp": Family(
        noisy.SDEDPMSolverPP,
        ("order", "rule", "tau"),
        "SDE-DPM-Solver++: exponential Adams on data, with noise",
        ("sde-dpm-solver++",),
        'order 3 is exact and repaired; rule "3m-heun" is k-diffusion\'s 3M, rule "sign" that of diffusers',
        variants=variants.THIRD_WITH_NOISE,
    ),
    "ancestral": Family(
        ancestral.EulerAncestral, ("eta", "noise_factor", "rule"), "Euler ancestral: DDIM with noise", ("euler-a",)
    ),
    "dpm2-ancestral": Family(
        ancestral.DPM2Ancestral, ("eta", "noise_factor"), "DPM2 ancestral: DPM-Solver-2 with noise"
    ),
    "dpmpp-2s-ancestral": Family(
        ancestral.DPMSolverPP2SAncestral,
        ("eta", "noise_factor", "rule"),
        "DPM-Solver++ 2S ancestral",
    ),
    "dpmpp-sde": Family(
        dpmpp_sde.DPMSolverPPSDE,
        ("eta", "r", "rule", "path", "noise_factor"),
        "DPM-Solver++ SDE, single-step: two evaluations and two noises a step",
        (),
        'one Brownian path for both noises, repaired; path "rho" is k-diffusion\'s',
        variants=variants.ONE_PATH,
    ),
    "edm-stochastic": Family(
        churn.EDMStochastic, ("S_churn", "S_min", "S_max", "S_noise"), "EDM's stochastic sampler: Heun with churn"
    ),
    "euler-churn": Family(_euler_churn, ("S_churn", "S_min", "S_max", "S_noise"), "Euler with churn"),
    "sit": Family(
        interpolant.SiT,
        ("rule", "diffusion", "norm", "last"),
        "SiT: Euler-Maruyama or Heun for stochastic interpolants",
    ),
}

_SPLITTING = {
    "ltsp": Family(
        splitting.LTSP,
        ("order", "weights", "formulation", "condition", "at"),
        "Lie-Trotter splitting of guidance: the condition apart from the model",
        (),
        'weights for the actual steps, repaired; weights "uniform" are the published ones',
        variants=variants.EQUAL_STEPS,
    ),
    "stsp": Family(
        splitting.STSP,
        ("order", "weights", "formulation", "at"),
        "the published Strang splitting of guidance, of order 1",
        (),
        "as published but for its weights; strang has order 2",
        variants=variants.SPLITTING,
    ),
    "strang": Family(splitting.Strang, ("formulation", "outer"), "Strang splitting of guidance, of order 2"),
}

_INVERTIBLE = {"bdia": Family(BDIA, ("gamma", "formulation"), "BDIA: DDIM that can be run back exactly")}

FAMILIES = {
    **_MULTISTEP,
    **_MOMENTUM,
    **_CORRECTORS,
    **_ONE_STEP,
    **_EXPONENTIAL,
    **_STOCHASTIC,
    **_SPLITTING,
    **_INVERTIBLE,
}
"""Every family by name."""
