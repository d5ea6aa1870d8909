"""The answers about start-up and relative stability arrange what the library says."""

import pytest
import sympy as sp

import numdiff as nd
from numdiff.answers import growth, prose
from numdiff.answers.answer import Setting

MEMBERS = nd.methods()


def lines(answer):
    return {prose.plain(line.label): line.value for line in answer.lines}


@pytest.mark.parametrize("name", list(MEMBERS)[::4])
def test_methods_of_every_kind_have_an_answer(name):
    setting = Setting(h=sp.Rational(1, 10) if MEMBERS[name].kernel else None)
    for question in (growth.startup, growth.relative):
        answer = question(MEMBERS[name], setting)
        assert str(MEMBERS[name]) in answer.title
        assert answer.lines
        assert all(isinstance(line.value, (sp.Basic, int)) for line in answer.lines)


def test_startup_shows_polynomials_maxima_and_stages():
    found = lines(growth.startup(nd.HeavyBall(nd.AdamsBashforth(1), beta=sp.Rational(4, 5)), Setting()))
    assert found["max |G_1|"] == 2
    assert sp.expand(found["G_1(z)"] - found["Q_0(z)"] * sp.Symbol("z") * sp.Rational(5, 4) - 1) == 0
    beta = sp.Symbol("beta")
    symbolic = growth.startup(nd.HeavyBall(nd.AdamsBashforth(2), beta=beta), Setting(start="runge-kutta"))
    assert beta in lines(symbolic)["G_2(z)"].free_symbols
    assert any("symbol beta" in note for note in symbolic.notes)
    with pytest.raises(ValueError, match="start must be one of"):
        growth.startup(nd.AdamsBashforth(2), Setting(start="exact"))


def test_relative_shows_the_interval_and_the_sectors():
    found = lines(growth.relative(nd.AdamsBashforth(2), Setting()))
    assert found["relative interval"] == sp.Rational(2, 3)
    assert found["sectors of the order star"] == 6
    with pytest.raises(ValueError, match="give a number"):
        growth.relative(nd.DPMSolverPP(2), Setting())
