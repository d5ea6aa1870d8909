"""What the tests of the runtime share: a grid, a model, and the run of `numdiff.sample` that they are held against."""

import numpy as np
import torch

import numdiff as nd
from numdiff.runtime import Sampler

SCHEDULE = nd.schedules.VPLinear()
GRID = np.linspace(0.9, 0.05, 8)
SHAPE = (2, 3, 4, 4)


def start(dtype=torch.float64, seed=0):
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def model(x, t):
    return torch.tanh(x) + 0.1 * t * x


def fields(scheme):
    tags = sorted({tag for tableau in scheme for tag in tableau.tags if tag})
    return {tag: lambda x, t: 0.3 * torch.sin(x) for tag in tags}


def generator():
    return torch.Generator().manual_seed(1)


def discretized(method, grid=GRID):
    return method.discretize(SCHEDULE, grid)


def sampled(scheme, x, prediction="noise", model=model):
    """numdiff.sample of the problem."""
    noise = generator() if scheme.method.stochastic else None
    return nd.sample(scheme, model, x, prediction=prediction, fields=fields(scheme), generator=noise)


def sampler(scheme, prediction="noise", model=model, **options):
    return Sampler(scheme, model, prediction=prediction, fields=fields(scheme), **options)


def run(made, x):
    """A sampler's run with the same noise, without gradients."""
    with torch.no_grad():
        return made(x, generator=generator() if made.line.noises else None)
