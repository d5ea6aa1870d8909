"""Every method with noise that has a name has the weak order it claims, and is the method without noise at zero noise.

On Gaussian data a run is affine: its gain and the variance of its noise are recursions without sampling error. Two
readings of what is to converge:

- *given the first sample*, the mean and the variance of the last one. With V the variance of x/alpha, a step of the
  diffusion with noise level tau multiplies the deviation from the mean, in units of its own standard deviation, by
  (V_t/V_s)^{tau^2/2}: the flow leaves it alone, and at tau = 1 it is the forward process read backwards. tau is that of
  each step, which for DDIM's eta depends on the step's length. `Method.weak_order` is about this.
- *the law*, for a first sample with the law of its level. Steps beyond the target and back carry the marginals, so
  ancestral and churned methods have the order of their base there.
"""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

import numdiff as nd
from numdiff.methods.ancestral import Ancestral
from numdiff.methods.churn import Churn
from numdiff.methods.dpmpp_sde import SingleStepSDE
from numdiff.methods.interpolant import Interpolant
from numdiff.methods.published.single_step import DPM2, DPMSolverSingle
from numdiff.methods.registry import FAMILIES
from numdiff.sde import Tau, stochastic
from tests import zoo

METHODS = {name: method for name, method in zoo.everything().items() if method.stochastic}
TOLERANCE = 0.3
S = np.array([0.3, 0.5, 0.8])
VP = nd.schedules.VPLinear()
PATTERNS = {"equal": (1.0,), "alternating": (1.0, 2.0)}
every_method = pytest.mark.parametrize("name", zoo.members_first(METHODS))


def schedule_of(method):
    """Return a schedule on which the method adds noise: the flow rule and windows of model time ask for their own."""
    window = getattr(method.formulation, "level", None)
    if isinstance(window, Tau) and window.variable == "model_time":
        return nd.schedules.Discrete.stable_diffusion()
    return nd.schedules.Flow() if getattr(method, "rule", "") == "flow" else VP


def tau_squared(method, start, end, steps):
    """Return the square of the noise level of a step, to first order in its length."""
    h = end.log_snr - start.log_snr
    if isinstance(method, Churn):
        return method.gamma(start, steps) / h  # the noise is 2 gamma rho^2, that of the diffusion 2 tau^2 rho^2 h
    if isinstance(method, Ancestral):
        return method.eta if method.rule == "flow" else method.eta**2
    if isinstance(method, Interpolant):
        ends = [method.half_squared(x) / (x.sigma * (x.d_sigma - x.sigma * x.d_alpha / x.alpha)) for x in (start, end)]
        return sum(ends) / 2  # D over that of tau = 1
    return method.formulation.level.squared(start, end)


def errors(method, pattern, steps, low=-1.5, high=1.5, tau=None):
    """Return the errors of the variance of the law, and of gain and variance given the first sample."""
    schedule = schedule_of(method)
    s = np.cumsum([0.0, *np.tile(pattern, steps // len(pattern))])
    scheme = method.discretize(schedule, [float(schedule.time(x)) for x in low + (high - low) * s / s[-1]])
    found = nd.spectral.response(scheme, S)
    first, last = scheme.levels[0], scheme.levels[-1]
    before, after = ((x.alpha * S) ** 2 + x.sigma**2 for x in (first, last))
    levels = pairwise(scheme.levels)
    exponents = [float(tau_squared(method, a, b, steps) if tau is None else tau**2) / 2 for a, b in levels]
    V = [S**2 + level.rho**2 for level in scheme.levels]
    gain = np.sqrt(after / before) * math.prod((b / a) ** p for p, (a, b) in zip(exponents, pairwise(V), strict=True))
    law = found.gain**2 * before + found.variances[-1] - after
    return law, np.array([found.gain - gain, found.variances[-1] - (after - gain**2 * before)])


def slopes(method, pattern, steps=64):
    """Return the observed orders of the law and given the first sample."""
    if isinstance(method, Churn):
        steps = max(steps, int(8 * method.S_churn))  # gamma is S_churn/N from 2.4 S_churn on, and is to be small
    runs = [errors(method, pattern, n) for n in (steps, 2 * steps)]
    return [np.log2(np.linalg.norm(coarse) / np.linalg.norm(fine)) for coarse, fine in zip(*runs, strict=True)]


def exact_noise(method):
    """Return the method with a factor of the noise of 1: another one changes the law, whatever the grid."""
    return replace(method, S_noise=1) if isinstance(method, Churn) else method


def forgets(method):
    """Whether so much noise is added that nothing of the first sample is left: both readings are then one."""
    return isinstance(method, Churn) and method.S_churn > 10


@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS.keys())
@every_method
def test_the_weak_order_is_seen(name, pattern):
    method = exact_noise(METHODS[name])
    law, given = slopes(method, pattern)
    if method.weak_order == 0:  # the lost sign: converges on equal steps only
        assert (given > 1 - TOLERANCE) == (pattern == PATTERNS["equal"])
        return
    assert given > method.weak_order - TOLERANCE
    assert given < method.weak_order + 0.75 or forgets(method)
    assert law > (method.order if isinstance(method, Ancestral | Churn) else method.weak_order) - TOLERANCE


@pytest.mark.parametrize(
    "method", [SingleStepSDE(stochastic(eta=0.8)), nd.AdamsBashforth(2, stochastic(eta=0.5))], ids=str
)
def test_eta_is_a_noise_level_that_depends_on_the_step(method):
    """Of order 2 for the noise level that each step has, and of order 1 for the one of short steps, tau = eta."""
    eta = float(method.formulation.level.value)
    for tau, order in ((None, 2), (eta, 1)):
        coarse, fine = (np.linalg.norm(errors(method, (1.0, 2.0), n, tau=tau)[1]) for n in (64, 128))
        assert np.log2(coarse / fine) == pytest.approx(order, abs=TOLERANCE)


# --- zero noise -------------------------------------------------------------------------------------------------------

NOISES = ("eta", "tau", "S_churn", "norm")
WITHOUT = {  # family: (options, the method without noise)
    "ddim": ({}, nd.DDIM()),
    "ancestral": ({}, nd.DDIM()),
    "dpm2-ancestral": ({}, DPM2()),
    "dpmpp-2s-ancestral": ({}, DPMSolverSingle(2, rule="dpmsolver")),
    "dpmpp-sde": ({}, DPMSolverSingle(2, rule="dpmsolver")),
    "edm-stochastic": ({}, nd.Heun()),
    "euler-churn": ({}, nd.DDIM()),
    "sa-solver": ({"order": 3}, nd.PredictorCorrector(3, "data/log-snr", corrector=3)),
    "sde-dpm-solver": ({"order": 3}, nd.DPMSolver(3)),
    "sde-dpmpp": ({"order": 3}, nd.DPMSolverPP(3)),
    "seeds": ({}, DPMSolverSingle(3, "noise/log-snr", rule="dpmsolver")),
    "sit": ({"rule": "heun", "diffusion": "sigma"}, nd.Heun("velocity/time")),
}


def test_every_family_with_a_noise_level_is_listed():
    assert {name for name, family in FAMILIES.items() if set(NOISES) & set(family.options)} == set(WITHOUT)


@pytest.mark.parametrize("name", WITHOUT)
def test_zero_noise_is_the_method_without_noise(name):
    options, expected = WITHOUT[name]
    (noise,) = set(NOISES) & set(FAMILIES[name].options)
    method = nd.method(name, **options, **{noise: 0})
    assert not method.stochastic
    assert method.weak_order is None
    assert (method.stages, method.nfe(9)) == (expected.stages, expected.nfe(9))
    for last in (0.1, 0.0):
        grid = np.linspace(0.9, last, 8) ** 1.5
        schemes = [m.discretize(VP, grid, final="denoise") for m in (method, expected)]
        assert not any(tableau.noises for tableau in schemes[0])
        for one, other in zip(*schemes, strict=True):
            assert one.plan == other.plan
