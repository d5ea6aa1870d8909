"""Time steps optimized for a method: objectives, search, certificate, results.

``nd.optimize.timesteps(method, schedule, steps)`` is the entry; see `numdiff.optimize.timesteps`.
"""

from numdiff.optimize.objectives import OBJECTIVES, Paper, Residuals
from numdiff.optimize.problem import Parts, Problem
from numdiff.optimize.result import Rounding, TimeSteps
from numdiff.optimize.search import Certificate, Outcome, Progress, certify, minimize
from numdiff.optimize.timesteps import timesteps
from numdiff.optimize.window import Window

__all__ = [
    "OBJECTIVES",
    "Certificate",
    "Outcome",
    "Paper",
    "Parts",
    "Problem",
    "Progress",
    "Residuals",
    "Rounding",
    "TimeSteps",
    "Window",
    "certify",
    "minimize",
    "timesteps",
]
