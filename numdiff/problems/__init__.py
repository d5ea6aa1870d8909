"""Problems whose truth is known: toy ODEs with closed solutions, and Gaussian(-mixture) diffusions.

`ode` and `linear` hold differential equations, `mixture` and `gaussian` diffusions with their exact denoiser, score and
marginals, `flow` the reference solution of the probability-flow ODE, `catalogue` the named mixtures.
"""

from __future__ import annotations

from numdiff.problems.catalogue import mixtures
from numdiff.problems.exact_model import ExactModel, Guidance
from numdiff.problems.flow import Reference
from numdiff.problems.gaussian import Gaussian
from numdiff.problems.linear import LinearSystem, momentum_toy
from numdiff.problems.mixture import GaussianMixture
from numdiff.problems.ode import ODE, odes

__all__ = [
    "ODE",
    "ExactModel",
    "Gaussian",
    "GaussianMixture",
    "Guidance",
    "LinearSystem",
    "Reference",
    "mixtures",
    "momentum_toy",
    "odes",
]
