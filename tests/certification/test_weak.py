"""The exact law of samplers on Gaussian data, and the weak orders that it shows."""

from dataclasses import replace

import numpy as np
import pytest

import numdiff as nd
from numdiff.certification.identify import NotLinearError
from numdiff.certification.measure import Layout, SamplerError
from numdiff.certification.own import of_method
from numdiff.certification.subject import Setting, Subject
from numdiff.certification.weak import DEVIATIONS, NoNoiseError, law, measure_weak
from numdiff.grids.patterns import PATTERNS
from numdiff.methods.adams import AdamsBashforth
from numdiff.sde import stochastic

STEPS = (24, 32, 48, 64, 96)
HEUN = nd.Ancestral(nd.Heun())
METHODS = [
    nd.SASolver(2),
    nd.SASolver(3),
    nd.SDEDPMSolverPP(2),
    nd.EulerAncestral(eta=0.7),
    nd.EDMStochastic(S_churn=2, S_noise=1),
    AdamsBashforth(2, stochastic("noise/ratio", 0.5)),
]


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("method", METHODS, ids=str)
def test_the_law_is_that_of_the_recursion(method, pattern):
    """`nd.spectral` follows gain and variance from tableau to tableau; here they are read off a black box."""
    subject = of_method(method)
    levels = Layout(pattern).levels(subject, (-1.0, 3.0), 24)
    found = law(subject, levels)
    # S_churn depends on the number of steps: both see the same 24
    expected = nd.spectral.response(method.discretize(nd.schedules.VPLinear(), list(levels)), np.array(DEVIATIONS))
    first, last = float(levels[0].alpha), float(levels[-1].alpha)
    np.testing.assert_allclose(found.gain, expected.gain * first / last, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.noise, expected.variances[-1] / last**2, rtol=1e-9)
    np.testing.assert_allclose(found.shift, 0, atol=1e-14)


@pytest.mark.parametrize("pattern", ["uniform", "random"])
@pytest.mark.parametrize(
    ("method", "order"),
    [
        (nd.SASolver(1), 1),
        (nd.SASolver(3), 2),
        (nd.SDEDPMSolverPP(1), 1),
        (nd.SDEDPMSolverPP(2), 2),
        (nd.EulerAncestral(eta=0.7), 1),
        (HEUN, 2),
    ],
    ids=str,
)
def test_orders_of_the_law(method, order, pattern):
    estimate = measure_weak(of_method(method), STEPS, layout=Layout(pattern))
    assert estimate.slope == pytest.approx(order, abs=0.3)  # the tolerance of verdicts
    assert estimate.interval[0] - 0.02 < order < estimate.interval[1] + 0.02


def test_given_the_first_sample_a_method_may_be_worse_than_in_its_law():
    """Steps beyond the target and back carry the marginals with the order of their base, and the rest with order 1."""
    assert measure_weak(of_method(HEUN), STEPS).slope == pytest.approx(2, abs=0.2)
    assert measure_weak(of_method(HEUN), STEPS, tau=1).slope == pytest.approx(1, abs=0.2)
    half = of_method(AdamsBashforth(1, stochastic("data/log-snr", 0.5)))
    assert measure_weak(half, STEPS, tau=0.5).slope == pytest.approx(1, abs=0.25)
    # a law for another noise level is no limit of the runs
    assert not measure_weak(half, STEPS, tau=1.0).slope > 0.5


def louder(subject, factor):
    """The sampler with its noise multiplied."""

    def run(field, x, levels, setting):
        return subject.run(field, x, levels, replace(setting, noise=lambda shape: factor * setting.noise(shape)))

    return replace(subject, run=run)


def test_noise_of_the_wrong_size_is_no_convergence():
    subject = of_method(nd.SDEDPMSolverPP(2))
    estimate = measure_weak(louder(subject, 1.05), STEPS)
    assert not estimate.slope > 1.5
    assert estimate.errors[-1] > 0.01
    assert measure_weak(louder(subject, -1.0), STEPS).errors == pytest.approx(measure_weak(subject, STEPS).errors)


def test_the_mean_belongs_to_the_law():
    """Half of the squares are those of the mean, in units of the true deviation; own methods keep it exactly."""
    subject = of_method(nd.SDEDPMSolverPP(2))

    def moved(field, x, levels, setting):
        return subject.run(field, x, levels, setting) + 0.1

    seen, plain = (measure_weak(one, STEPS) for one in (replace(subject, run=moved), subject))
    last = Layout().levels(subject, (-1.0, 3.0), 24)[-1]
    variance = np.square(DEVIATIONS) + float(last.rho) ** 2
    mean = np.mean((0.1 / float(last.alpha)) ** 2 / variance) / 2
    np.testing.assert_allclose(np.square(seen.errors), np.square(plain.errors) + mean, rtol=1e-9)


# --- what has no law --------------------------------------------------------------------------------------------------


def test_a_generator_of_its_own_is_told_from_no_noise():
    rng = np.random.default_rng(0)

    def own(field, x, levels, setting):
        return x + 0.1 * rng.standard_normal(x.shape)

    with pytest.raises(NoNoiseError, match="ignores the noise of the setting"):
        measure_weak(Subject("test:own", own, stochastic=True), STEPS)
    with pytest.raises(NoNoiseError, match="deterministic"):
        measure_weak(of_method(nd.DDIM()), STEPS)


def walk(change):
    """A sampler that makes one draw a step and does something to its sample."""

    def run(field, x, levels, setting):
        for _ in levels[1:]:
            x = change(0.9 * x + 0.1 * np.asarray(setting.noise(x.shape)))
        return x

    return Subject("test:walk", run, stochastic=True)


def test_what_is_not_affine_is_refused():
    with pytest.raises(NotLinearError, match="not affine"):
        measure_weak(walk(lambda x: np.clip(x, -0.2, 0.2)), STEPS)

    def sometimes(field, x, levels, setting):
        for _ in range(len(levels) + (len(x) > 1)):
            x = x + setting.noise(x.shape)
        return x

    with pytest.raises(NotLinearError, match="random draws in one run"):
        measure_weak(Subject("test:sometimes", sometimes, stochastic=True), STEPS)

    def other(field, x, levels, setting):
        return x + np.sum(setting.noise((2, *x.shape)))

    with pytest.raises(NotLinearError, match="not of the sample's shape"):
        measure_weak(Subject("test:other", other, stochastic=True), STEPS)


def test_runs_that_fail_are_named():
    assert "not finite at N = 24, 32" in measure_weak(walk(lambda x: np.nan * x), STEPS).cause

    def broken(x):
        raise RuntimeError("no")

    with pytest.raises(SamplerError, match="N = 24"):
        measure_weak(walk(broken), STEPS)


def test_bad_input():
    with pytest.raises(ValueError, match="no noise; measure its order"):
        measure_weak(replace(walk(abs), scale="time"), STEPS)
    with pytest.raises(ValueError, match="tau"):
        measure_weak(walk(abs), STEPS, tau=-1)
    with pytest.raises(ValueError, match="at least 3"):
        measure_weak(walk(lambda x: x), STEPS[:2])


def test_memory_is_that_of_one_point_for_each_draw():
    """No array that a sampler sees has more rows than draws, first sample, base and check."""
    seen = []

    def run(field, x, levels, setting):
        for _ in levels[1:]:
            seen.append(x.shape)
            x = x + setting.noise(x.shape)
        return x

    subject = Subject("test:rows", run, stochastic=True)
    law(subject, Layout().levels(subject, (-1.0, 3.0), 50), Setting())
    assert max(seen) == (53, len(DEVIATIONS))
