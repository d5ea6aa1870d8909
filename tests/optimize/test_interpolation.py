"""Interpolation to another number of steps: the published rule, and what it keeps."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import numdiff as nd
from numdiff.optimize.interpolation import interpolate
from numdiff.optimize.result import TimeSteps

GAPS = st.lists(st.floats(1e-3, 5.0), min_size=2, max_size=12)
MORE = st.integers(2, 40)


def table(gaps, low=False, high=False):
    """A table with these gaps between its finite nodes, and infinite ends where asked for."""
    finite = np.cumsum([-4.0, *gaps])
    return np.concatenate([[-math.inf] * low, finite, [math.inf] * high])


def share(lam):
    """sigma/(alpha + sigma), the time of a flow model."""
    return 1 / (1 + np.exp(lam))


def published(sigmas, steps):
    """The published code of AYS: linear in log sigma against i/N, from data to noise, with the levels it is given."""
    new = np.interp(np.linspace(0, 1, steps), np.linspace(0, 1, len(sigmas)), np.log(sigmas[::-1]))
    return np.exp(new)[::-1]


@settings(deadline=None)
@given(GAPS, MORE)
def test_finite_tables_follow_the_published_rule(gaps, steps):
    lam = table(gaps)
    np.testing.assert_allclose(np.exp(-interpolate(lam, steps)), published(np.exp(-lam), steps + 1), rtol=1e-11)


@settings(deadline=None)
@given(GAPS, MORE)
def test_kept_ends_follow_the_published_rule_with_a_zero_behind(gaps, steps):
    """As AYS is used: the levels are interpolated, and 0 is appended."""
    found = interpolate(table(gaps, high=True), steps, infinite="keep")
    assert found[-1] == math.inf
    np.testing.assert_allclose(np.exp(-found[:-1]), published(np.exp(-table(gaps)), steps), rtol=1e-11)


@settings(deadline=None)
@given(GAPS, MORE, st.booleans(), st.booleans(), st.sampled_from(["split", "keep"]))
def test_nodes_rise_between_the_same_ends(gaps, steps, low, high, infinite):
    lam = table(gaps, low, high)
    if infinite == "keep" and steps <= low + high:
        return
    found = interpolate(lam, steps, infinite=infinite)
    assert found.shape == (steps + 1,)
    assert (np.diff(found) > 0).all()
    assert (found[0], found[-1]) == (lam[0], lam[-1])


@settings(deadline=None)
@given(GAPS, st.integers(1, 5), st.booleans(), st.booleans())
def test_a_multiple_of_the_steps_keeps_every_node(gaps, factor, low, high):
    lam = table(gaps, low, high)
    found = interpolate(lam, factor * (len(lam) - 1))[::factor]
    # a node beside an infinite step goes through s = 1/(1 + e^lambda) and back: s near 1 has lost up to e^8 ulp
    np.testing.assert_allclose(found, lam, rtol=0, atol=1e-11)


@settings(deadline=None)
@given(GAPS, MORE)
def test_split_ends_are_linear_in_the_time_of_a_flow(gaps, steps):
    lam = table(gaps, low=True, high=True)
    found, pieces = interpolate(lam, steps), len(lam) - 1
    u = np.arange(steps + 1) * pieces / steps
    first, last = u <= 1, u >= pieces - 1
    np.testing.assert_allclose(share(found[first]), 1 - u[first] * (1 - share(lam[1])), rtol=1e-12)
    np.testing.assert_allclose(share(found[last]), (pieces - u[last]) * share(lam[-2]), rtol=1e-11, atol=1e-300)


def test_a_uniform_table_stays_uniform():
    np.testing.assert_allclose(interpolate(np.linspace(-5, 5, 11), 7), np.linspace(-5, 5, 8), rtol=0, atol=1e-14)


def test_results_stay_results():
    vp = nd.schedules.VPLinear()
    end = vp.time(2.0)
    steps = TimeSteps(nd.UniPC(3), vp, "paper", [-3.0, 0.0, vp.log_snr(end)], 1.0, 2.0, "", "", True, 0.0, t_end=end)
    found = interpolate(steps, 4)
    assert found.log_snr[:-1].tolist() == [-3.0, -1.5, 0.0, 0.5 * vp.log_snr(end)]
    assert found.times[-1] == end
    assert found.scheme().steps == 4
    assert not found.certified
    assert math.isnan(found.objective)
    assert "interpolated from 2 steps" in repr(found)
    assert "paper not evaluated" in repr(found)
    assert TimeSteps.from_json(found.to_json()).log_snr.tolist() == found.log_snr.tolist()


def test_too_few_steps_for_the_method_are_refused_at_once():
    vp = nd.schedules.VPLinear()
    lam = np.linspace(-5.0, 4.0, 6)
    steps = TimeSteps(nd.DPMSolverPP(3), vp, "paper", lam, 1.0, 2.0, "", "", True, 0.0)
    with pytest.raises(ValueError, match=r"steps = 2 does not suit the method of the result: .* at least 3 steps"):
        interpolate(steps, 2)
    assert interpolate(steps, 3).scheme().steps == 3


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: interpolate([0.0, 1.0, 2.0], 1), ValueError, "at least 2, got 1"),
        (lambda: interpolate([0.0, 1.0, 2.0], 4.0), TypeError, "whole number"),
        (lambda: interpolate([0.0, 1.0, 1.0], 4), ValueError, "rise strictly"),
        (lambda: interpolate([0.0, 1.0], 4), ValueError, "three nodes"),
        (lambda: interpolate([0.0, 1.0, 2.0], 4, infinite="drop"), ValueError, "'split', 'keep'"),
        (lambda: interpolate([-math.inf, 0.0, 1.0, math.inf], 2, infinite="keep"), ValueError, "leaves 0 steps"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
