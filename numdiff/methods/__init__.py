"""Samplers as data: every method is a frozen description that yields tableaus."""

from numdiff.methods import registry
from numdiff.methods.adams import AdamsBashforth
from numdiff.methods.ancestral import Ancestral, DPM2Ancestral, DPMSolverPP2SAncestral, EulerAncestral
from numdiff.methods.base import Method
from numdiff.methods.bdia import BDIA
from numdiff.methods.butcher import Butcher
from numdiff.methods.churn import Churn, EDMStochastic, EulerChurn
from numdiff.methods.deis import TimeAdams
from numdiff.methods.dpmpp_sde import DPMSolverPPSDE, SingleStepSDE
from numdiff.methods.exponential_butcher import ExponentialButcher
from numdiff.methods.exponential_runge_kutta import ExponentialRungeKutta
from numdiff.methods.filtered_adams import FilteredAdams, StretchedAdams
from numdiff.methods.ghvb import GHVB
from numdiff.methods.interpolant import Interpolant, SiT
from numdiff.methods.ipndmv import IPNDMV
from numdiff.methods.momentum import HeavyBall, Momentum, Nesterov
from numdiff.methods.pndm import FPNDM, PNDM, PseudoNumerical
from numdiff.methods.predictor_corrector import PredictorCorrector
from numdiff.methods.published.classical import (
    DDIM,
    DEIS,
    IPNDM,
    LMS,
    PLMS,
    RK4,
    SSPRK2,
    SSPRK3,
    SSPRK43,
    DPMSolver,
    DPMSolverPP,
    FlowAB,
    FlowEuler,
    FlowHeun,
    FlowMidpoint,
    Heun,
    Heun3,
    Kutta3,
    Kutta38,
    Midpoint,
    Ralston,
    Ralston3,
    RhoRK,
    VanDerHouwen3,
)
from numdiff.methods.published.correctors import AdamsBashforthMoulton, SASolver, UniC, UniP, UniPC
from numdiff.methods.published.single_step import DPM2, RES, SEEDS, DPMSolverSingle, HochbruckOstermann
from numdiff.methods.published.stochastic import DDPM, MisprintedThirdOrder, SDEDPMSolver, SDEDPMSolverPP
from numdiff.methods.registry import find, method, register
from numdiff.methods.registry.families import Family
from numdiff.methods.registry.members import methods
from numdiff.methods.runge_kutta import RungeKutta
from numdiff.methods.scheme import Scheme
from numdiff.methods.single_step import SingleStep
from numdiff.methods.splitting import LTSP, STSP, MultistepSplitting, Strang

#: The families by name, each a ``Family`` with its options, a one-line summary, aliases and what is published of it.
FAMILIES: dict[str, Family] = registry.FAMILIES

__all__ = [
    "BDIA",
    "DDIM",
    "DDPM",
    "DEIS",
    "DPM2",
    "FAMILIES",
    "FPNDM",
    "GHVB",
    "IPNDM",
    "IPNDMV",
    "LMS",
    "LTSP",
    "PLMS",
    "PNDM",
    "RES",
    "RK4",
    "SEEDS",
    "SSPRK2",
    "SSPRK3",
    "SSPRK43",
    "STSP",
    "AdamsBashforth",
    "AdamsBashforthMoulton",
    "Ancestral",
    "Butcher",
    "Churn",
    "DPM2Ancestral",
    "DPMSolver",
    "DPMSolverPP",
    "DPMSolverPP2SAncestral",
    "DPMSolverPPSDE",
    "DPMSolverSingle",
    "EDMStochastic",
    "EulerAncestral",
    "EulerChurn",
    "ExponentialButcher",
    "ExponentialRungeKutta",
    "FilteredAdams",
    "FlowAB",
    "FlowEuler",
    "FlowHeun",
    "FlowMidpoint",
    "HeavyBall",
    "Heun",
    "Heun3",
    "HochbruckOstermann",
    "Interpolant",
    "Kutta3",
    "Kutta38",
    "Method",
    "Midpoint",
    "MisprintedThirdOrder",
    "Momentum",
    "MultistepSplitting",
    "Nesterov",
    "PredictorCorrector",
    "PseudoNumerical",
    "Ralston",
    "Ralston3",
    "RhoRK",
    "RungeKutta",
    "SASolver",
    "SDEDPMSolver",
    "SDEDPMSolverPP",
    "Scheme",
    "SiT",
    "SingleStep",
    "SingleStepSDE",
    "Strang",
    "StretchedAdams",
    "TimeAdams",
    "UniC",
    "UniP",
    "UniPC",
    "VanDerHouwen3",
    "find",
    "method",
    "methods",
    "register",
]
