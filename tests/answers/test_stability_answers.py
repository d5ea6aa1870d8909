"""The presenters of stability: what they say, in every notation, for every method that has an answer."""

import pytest
import sympy as sp

import numdiff as nd
from numdiff.answers import render, stability
from numdiff.answers.answer import Setting

BETA = sp.Symbol("beta")
MEMBERS = nd.methods()
TOPICS = (stability.intervals, stability.zero_stability, stability.angle, stability.diffusion_interval)
HALF = nd.HeavyBall(nd.DPMSolverPP(2, rule="half"), beta=BETA)


def values(answer):
    return {line.label: line.value for line in answer.lines}


@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("method", [nd.GHVB(2, BETA), HALF, nd.AdamsBashforth(2), nd.HeavyBall(nd.DDIM(), beta=2)])
def test_every_notation(topic, method):
    answer = topic(method, Setting(h=None))
    for write in (render.to_text, render.to_markdown, render.to_latex, render.to_data):
        assert write(answer)


def test_intervals():
    assert values(stability.intervals(nd.GHVB(2, BETA), Setting()))["real interval x*"].equals(2 - BETA)
    found = stability.intervals(HALF, Setting())
    assert values(found)["real interval x*"].equals(
        (2 - BETA) * sp.coth(sp.Symbol("h", positive=True) / 2) / (2 * BETA)
    )
    assert values(found)["imaginary interval y*"] is None  # no rational formula: the note says why
    assert "could not be proved" in found.lines[-1].note
    pair = values(stability.intervals(nd.AdamsBashforth(2), Setting()))
    zeta = sp.Symbol("zeta")
    assert sp.expand(pair["rho(zeta)"] - zeta * (zeta - 1)) == 0
    assert sp.expand(pair["sigma(zeta)"] - (3 * zeta - 1) / 2) == 0


def test_zero_stability():
    found = values(stability.zero_stability(nd.GHVB(3, BETA), Setting()))
    assert found["zero-stable for beta in"] == sp.Interval.Lopen(0, 2)
    assert found["weakly so for beta in"] == sp.FiniteSet(2)
    assert found["largest safe step ratio"] is sp.oo
    assert found["smallest ratio of the filter"].subs(BETA, sp.Rational(3, 4)) == sp.Rational(1, 2)
    leapfrog = values(stability.zero_stability(nd.HeavyBall(nd.DDIM(), beta=2), Setting()))
    assert (leapfrog["zero-stable"], leapfrog["weakly so"]) == ("yes", "yes")


def test_angle_and_diffusion():
    assert values(stability.angle(nd.RK4(), Setting()))["alpha"] == 0
    found = values(stability.diffusion_interval(HALF, Setting(h=sp.Rational(1, 2))))
    assert found["low"].equals((BETA - 2) * sp.coth(sp.Rational(1, 4)) / (2 * BETA))
    assert (found["high"], found["low, of eps"]) == (1, 0)
    noise = values(stability.diffusion_interval(nd.DDIM(), Setting()))
    assert (noise["low"], noise["high, of x_0"]) == (0, 1)


@pytest.mark.parametrize("name", [n for n, m in MEMBERS.items() if m.formulation == nd.formulations.VELOCITY_TIME])
def test_no_diffusion_interval_on_the_velocity(name):
    with pytest.raises(ValueError, match="works in time on the velocity"):
        stability.diffusion_interval(MEMBERS[name], Setting())
