"""What time steps can be optimized for; an objective is an object with a name, a default gap and a problem."""

from collections.abc import Callable
from typing import Any

from numdiff.optimize.objectives.ays import AYS
from numdiff.optimize.objectives.bank import MixtureBank
from numdiff.optimize.objectives.gaussian import Gaussian
from numdiff.optimize.objectives.paper import Paper
from numdiff.optimize.objectives.probe import Probe
from numdiff.optimize.objectives.user import Residuals

OBJECTIVES: dict[str, Callable[[], Any]] = {
    "mixture-bank": MixtureBank,
    "gaussian": Gaussian,
    "paper": Paper,
    "ays": AYS,
}
"""Objectives that need no arguments, by name."""

__all__ = ["AYS", "OBJECTIVES", "Gaussian", "MixtureBank", "Paper", "Probe", "Residuals"]
