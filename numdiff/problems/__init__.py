"""Problems whose truth is known: toy ODEs with closed solutions, and Gaussian(-mixture) diffusions.

`ode` and `linear` hold differential equations, `mixture` and `gaussian` diffusions with their exact denoiser, score and
marginals, `flow` the reference solution of the probability-flow ODE, `catalogue` the named mixtures, `paths` equations
and mixtures alike as what a sampler follows.
"""

from __future__ import annotations

from numdiff.problems.catalogue import mixtures
from numdiff.problems.exact_model import ExactModel, Guidance
from numdiff.problems.flow import Reference
from numdiff.problems.gaussian import Gaussian
from numdiff.problems.linear import LinearSystem, momentum_toy
from numdiff.problems.mixture import GaussianMixture
from numdiff.problems.ode import ODE, odes
from numdiff.problems.paths import Path

__all__ = [
    "ODE",
    "ExactModel",
    "Gaussian",
    "GaussianMixture",
    "Guidance",
    "LinearSystem",
    "Path",
    "Reference",
    "mixtures",
    "momentum_toy",
    "odes",
]
