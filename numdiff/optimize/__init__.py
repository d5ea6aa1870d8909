"""Time steps optimized for a method: objectives, search, certificate, results.

``nd.optimize.timesteps(method, schedule, steps)`` is the entry; see `numdiff.optimize.timesteps`.
"""

from numdiff.optimize import objectives
from numdiff.optimize.exports import diffusers_arguments, diffusers_rounding, install, sigmas
from numdiff.optimize.interpolation import interpolate
from numdiff.optimize.numerals import text
from numdiff.optimize.objectives import AYS, Gaussian, MixtureBank, Paper, Probe, Residuals
from numdiff.optimize.presets import preset, presets, regenerate
from numdiff.optimize.problem import Parts, Problem
from numdiff.optimize.result import Rounding, TimeSteps
from numdiff.optimize.search import Certificate, Outcome, Progress, certify, minimize
from numdiff.optimize.step_optim import StepOptim
from numdiff.optimize.timesteps import timesteps
from numdiff.optimize.window import Window

#: Objectives that need no arguments, by name: what `timesteps` takes as ``objective=``.
OBJECTIVES = objectives.OBJECTIVES

__all__ = [
    "AYS",
    "OBJECTIVES",
    "Certificate",
    "Gaussian",
    "MixtureBank",
    "Outcome",
    "Paper",
    "Parts",
    "Probe",
    "Problem",
    "Progress",
    "Residuals",
    "Rounding",
    "StepOptim",
    "TimeSteps",
    "Window",
    "certify",
    "diffusers_arguments",
    "diffusers_rounding",
    "install",
    "interpolate",
    "minimize",
    "preset",
    "presets",
    "regenerate",
    "sigmas",
    "text",
    "timesteps",
]
