"""Samplers as data: every method is a frozen description that yields tableaus."""

from numdiff.methods.adams import AdamsBashforth
from numdiff.methods.aliases import (
    DDIM,
    DEIS,
    LMS,
    PLMS,
    RK4,
    DPMSolver,
    DPMSolverPP,
    FlowEuler,
    Heun,
    Kutta3,
    Midpoint,
    Ralston,
)
from numdiff.methods.base import Method
from numdiff.methods.filtered_adams import FilteredAdams, StretchedAdams
from numdiff.methods.ghvb import GHVB
from numdiff.methods.momentum import HeavyBall, Nesterov
from numdiff.methods.predictor_corrector import PredictorCorrector, UniPC
from numdiff.methods.registry import FAMILIES, method, methods, register
from numdiff.methods.runge_kutta import RungeKutta
from numdiff.methods.scheme import Scheme

__all__ = [
    "DDIM",
    "DEIS",
    "FAMILIES",
    "GHVB",
    "LMS",
    "PLMS",
    "RK4",
    "AdamsBashforth",
    "DPMSolver",
    "DPMSolverPP",
    "FilteredAdams",
    "FlowEuler",
    "HeavyBall",
    "Heun",
    "Kutta3",
    "Method",
    "Midpoint",
    "Nesterov",
    "PredictorCorrector",
    "Ralston",
    "RungeKutta",
    "Scheme",
    "StretchedAdams",
    "UniPC",
    "method",
    "methods",
    "register",
]
