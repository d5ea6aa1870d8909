"""numdiff: numerical analysis of diffusion samplers.

One definition of a method derives its coefficients, proves its order and stability, validates it where the truth is
known, and runs it::

    import numdiff as nd

    method = nd.GHVB(3, 0.8)
    schedule = nd.schedules.VPLinear()
    scheme = method.discretize(schedule, nd.grids.uniform_log_snr(schedule, steps=10))
    x0 = nd.sample(scheme, model, x_T, prediction="noise")

Importing the package imports NumPy only; SciPy, SymPy, torch and matplotlib load on first use.
"""

from __future__ import annotations

import importlib
from typing import Any

from numdiff import formulations, grids, noise, parameterizations, schedules
from numdiff.drivers import invert, sample, solve_ivp
from numdiff.executor import Machine, step
from numdiff.formulations import Formulation
from numdiff.level import Level
from numdiff.methods import (
    BDIA,
    DDIM,
    DDPM,
    DEIS,
    DPM2,
    FPNDM,
    GHVB,
    IPNDM,
    IPNDMV,
    LMS,
    LTSP,
    PLMS,
    PNDM,
    RES,
    RK4,
    SEEDS,
    SSPRK2,
    SSPRK3,
    SSPRK43,
    STSP,
    AdamsBashforth,
    AdamsBashforthMoulton,
    Ancestral,
    Butcher,
    Churn,
    DPM2Ancestral,
    DPMSolver,
    DPMSolverPP,
    DPMSolverPP2SAncestral,
    DPMSolverPPSDE,
    DPMSolverSingle,
    EDMStochastic,
    EulerAncestral,
    EulerChurn,
    ExponentialButcher,
    ExponentialRungeKutta,
    FilteredAdams,
    FlowAB,
    FlowEuler,
    FlowHeun,
    FlowMidpoint,
    HeavyBall,
    Heun,
    Heun3,
    HochbruckOstermann,
    Interpolant,
    Kutta3,
    Kutta38,
    Method,
    Midpoint,
    MisprintedThirdOrder,
    Momentum,
    MultistepSplitting,
    Nesterov,
    PredictorCorrector,
    PseudoNumerical,
    Ralston,
    Ralston3,
    RhoRK,
    RungeKutta,
    SASolver,
    Scheme,
    SDEDPMSolver,
    SDEDPMSolverPP,
    SingleStep,
    SingleStepSDE,
    SiT,
    Strang,
    StretchedAdams,
    TimeAdams,
    UniC,
    UniP,
    UniPC,
    VanDerHouwen3,
    method,
    methods,
)
from numdiff.sde import Eta, Tau, stochastic
from numdiff.tableau import Tableau

__version__ = "0.1.0"

#: Noise prediction in sigma/alpha with kernel exponent 0, as DDIM, PLMS, LMS and DEIS's rho-AB have it.
NOISE_RATIO = formulations.NOISE_RATIO
#: Noise prediction in log-SNR with kernel exponent +1, as DPM-Solver has it.
NOISE_LOG_SNR = formulations.NOISE_LOG_SNR
#: Data prediction in log-SNR with kernel exponent -1, as DPM-Solver++, UniPC and SA-Solver have it.
DATA_LOG_SNR = formulations.DATA_LOG_SNR
#: Data prediction in alpha/sigma with kernel exponent 0.
DATA_RATIO = formulations.DATA_RATIO
#: The velocity dx/dt in time, for flow matching and any plain ODE.
VELOCITY_TIME = formulations.VELOCITY_TIME

_LAZY = {
    "adapters": "numdiff.adapters",
    "runtime": "numdiff.runtime",
    "guidance": "numdiff.guidance",
    "design": "numdiff.design",
    "export": "numdiff.export",
    "answers": "numdiff.answers",
    "stability": "numdiff.properties.stability",
    "optimize": "numdiff.optimize",
    "order": "numdiff.properties.order",
    "spectral": "numdiff.properties.spectral",
    "problems": "numdiff.problems",
    "symbolic": "numdiff.symbolic",
    "models": "numdiff.models",
    "plotting": "numdiff.plotting",
    "certification": "numdiff.certification",
    "testing": "numdiff.testing",
    "work_precision": "numdiff.work_precision",
}


def __getattr__(name: str) -> Any:
    """Import the heavier parts on first use."""
    if name in _LAZY:
        return importlib.import_module(_LAZY[name])
    raise AttributeError(f"module 'numdiff' has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the heavier parts too."""
    return sorted([*globals(), *_LAZY])


__all__ = [
    "BDIA",
    "DATA_LOG_SNR",
    "DATA_RATIO",
    "DDIM",
    "DDPM",
    "DEIS",
    "DPM2",
    "FPNDM",
    "GHVB",
    "IPNDM",
    "IPNDMV",
    "LMS",
    "LTSP",
    "NOISE_LOG_SNR",
    "NOISE_RATIO",
    "PLMS",
    "PNDM",
    "RES",
    "RK4",
    "SEEDS",
    "SSPRK2",
    "SSPRK3",
    "SSPRK43",
    "STSP",
    "VELOCITY_TIME",
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
    "Eta",
    "EulerAncestral",
    "EulerChurn",
    "ExponentialButcher",
    "ExponentialRungeKutta",
    "FilteredAdams",
    "FlowAB",
    "FlowEuler",
    "FlowHeun",
    "FlowMidpoint",
    "Formulation",
    "HeavyBall",
    "Heun",
    "Heun3",
    "HochbruckOstermann",
    "Interpolant",
    "Kutta3",
    "Kutta38",
    "Level",
    "Machine",
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
    "Tableau",
    "Tau",
    "TimeAdams",
    "UniC",
    "UniP",
    "UniPC",
    "VanDerHouwen3",
    "__version__",
    "formulations",
    "grids",
    "invert",
    "method",
    "methods",
    "noise",
    "parameterizations",
    "sample",
    "schedules",
    "solve_ivp",
    "step",
    "stochastic",
]
