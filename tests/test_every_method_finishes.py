"""Every method on every schedule and grid, in both precisions, gives finite samples or is refused for a known reason.

The data are Gaussian, so that the model is linear and defined at every level with alpha >= 0 and sigma > 0.
"""

from itertools import pairwise

import numpy as np
import pytest

import numdiff as nd
from numdiff.methods.ancestral import Ancestral
from numdiff.methods.churn import Churn
from tests import zoo

STEPS = 6
ALIKE = ("cosine", "ddpm-linear", "edm", "sub-vp", "ve")
"""Schedules with the ends of others: tested with the slow tests."""
VARIANCE = 0.49
SCHEDULES = {name: nd.schedules.get(name) for name in nd.schedules.names() if name != "discrete"}


METHODS = zoo.everything()


def grids(schedule):
    """Yield every grid of that schedule: each spacing, ending at its last positive sigma and at sigma = 0."""
    for name, grid in nd.grids.NAMED.items():
        start = {"t_start": 0.9 * schedule.T} if schedule.is_flow and name in ("log-snr", "karras") else {}
        for final_zero in (False, True):
            yield f"{name}{' to zero' * final_zero}", grid(schedule, STEPS, final_zero=final_zero, **start)
    sigmas = np.geomspace(schedule.rho(0.9 * schedule.T), 1.1 * schedule.rho(schedule.t_end), STEPS)
    yield "sigmas", nd.grids.from_sigmas(schedule, sigmas)


def model_of(schedule):
    """Return E[x_0 | x_t] of Gaussian data with mean 0."""
    levels = {}

    def model(x, t):
        if t not in levels:
            level = schedule.level(schedule.from_model_time(t))
            alpha, sigma = float(level.alpha), float(level.sigma)
            levels[t] = alpha * VARIANCE / (alpha**2 * VARIANCE + sigma**2)
        return x * levels[t]

    return model


def refusals(method, schedule, levels):
    """Return (why theory refuses a method there or None, why it may): patterns of the message."""
    formulation = method.formulation or (nd.VELOCITY_TIME if schedule.is_flow else nd.NOISE_RATIO)
    may = (
        "do not determine the integral"
        if isinstance(method, nd.FilteredAdams) and (method.beta > 1 or method.momentum)
        else None
    )
    if formulation.prediction == "velocity" and not schedule.has_derivatives:
        return "needs d alpha/dt and d sigma/dt", may
    if formulation.prediction == "noise" and levels[0].alpha == 0:
        return "cannot start at alpha = 0", may
    if isinstance(method, Ancestral) and method.rule == "flow" and not schedule.is_flow:
        return "has a rule for flow schedules", may
    if getattr(method, "diffusion", "") == "sbdm" and levels[0].alpha == 0:
        return 'diffusion "sbdm" is infinite at alpha = 0', may
    return _beyond_the_schedule(method, schedule, levels), may


def _beyond_the_schedule(method, schedule, levels):
    """Return why a method is refused that evaluates at more or less noise than the schedule has."""
    rho = [float(level.rho) for level in levels]
    if isinstance(method, Churn):
        churned = [x * (1 + min(method.S_churn / STEPS, 2**0.5 - 1)) for x in rho if method.S_min <= x <= method.S_max]
        return "churns from sigma/alpha" if max(churned, default=0) > schedule.rho(schedule.T) else None
    if isinstance(method, Ancestral) and getattr(method.base.coefficients(), "c", (0,))[-1] == 1:
        down = [b * (1 - method.eta**2 * (1 - (b / a) ** 2)) ** 0.5 for a, b in pairwise(rho) if 0 < b < a < np.inf]
        return "evaluates at sigma/alpha" if min(down) < schedule.rho(0) else None
    return None


def run(scheme, model, x):
    """Return a run of the scheme, with noise of a fixed seed and all other fields zero."""
    tags = {tag for tableau in scheme for tag in tableau.tags if tag}
    fields = dict.fromkeys(tags, lambda x, t: 0 * x) or None
    generator = np.random.default_rng(5)
    return nd.sample(scheme, model, x, prediction="data", generator=generator, fields=fields)


@pytest.mark.filterwarnings("ignore:.* adds no noise on this grid:UserWarning")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in ALIKE else name for name in SCHEDULES]
)
def test_every_method_finishes_or_says_why_not(name):
    schedule, wrong = SCHEDULES[name], []
    model = model_of(schedule)
    for spacing, grid in grids(schedule):
        levels = nd.grids.levels(schedule, grid)
        for method in METHODS.values():
            must, may = refusals(method, schedule, levels)
            try:
                scheme = method.discretize(schedule, grid)
            except ValueError as error:
                if not any(reason and reason in str(error) for reason in (must, may)):
                    wrong.append((method.name, spacing, str(error)))
                continue
            if must is not None:
                wrong.append((method.name, spacing, f"is not refused: {must}"))
                continue
            for dtype in (np.float32, np.float64):
                x = float(levels[0].sigma) * np.array([-1.3, 0.2, 0.9], dtype=dtype)
                found = run(scheme, model, x)
                if found.dtype != dtype or not np.isfinite(found).all():
                    wrong.append((method.name, spacing, np.dtype(dtype).name, found))
    assert not wrong
