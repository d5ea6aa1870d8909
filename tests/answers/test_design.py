"""The answer about design says what the library says: for numbers what dominates, for a symbol the trade-off."""

from fractions import Fraction

import pytest
import sympy as sp

import numdiff as nd
from numdiff.answers import design, render
from numdiff.answers.answer import Setting

BETA = sp.Symbol("beta")
F = Fraction
METHODS = [nd.GHVB(2, F(4, 5)), nd.GHVB(2, BETA), nd.AdamsBashforth(1), nd.StretchedAdams(2), nd.GHVB(1, 0.5)]
METHODS += [nd.HeavyBall(nd.AdamsBashforth(2), beta=BETA), nd.StretchedAdams(sp.Symbol("x"))]


def lines(method):
    return {line.label: line for line in design.design(method, Setting()).lines}


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_every_notation(method):
    answer = design.design(method, Setting())
    assert method.name in answer.title
    for show in (render.to_text, render.to_markdown, render.to_latex, render.to_data):
        assert show(answer)


@pytest.mark.parametrize("method", [nd.AdamsBashforth(1), nd.GHVB(2, F(1, 2)), nd.GHVB(3, F(1, 5))], ids=str)
def test_the_line_that_runs_it_makes_a_method_that_dominates(method):
    found = lines(method)
    made = eval(found["run"].value, {"nd": nd, "Fraction": Fraction})
    assert nd.design.dominates(made, method)
    assert made == nd.design.dominating(method).nearby
    assert [found[f"{x} of it"].value for x in ("order", "C", "x*")] == list(
        vars(nd.design.merits(nd.design.dominating(method))).values()
    )


def test_nothing_better():
    found = lines(nd.StretchedAdams(2))
    assert found["better method"].value is None
    assert "of order 2" in found["better method"].note


def test_a_symbol_gives_formulas_and_optima():
    found = lines(nd.GHVB(2, BETA))
    assert sp.expand(found["x*"].value - (2 - BETA)) == 0
    assert sp.roots(found["order 3 where this is 0"].value, BETA) == {6: 1}
    assert found["beta of least |C| with x* >= 3/2"].value == sp.Rational(1, 2)
    stretched = lines(nd.StretchedAdams(sp.Symbol("x")))
    assert stretched["x*"].value == sp.Symbol("x")
    assert sp.expand(stretched["C"].value - sp.Symbol("x") ** 2 / 16 - sp.Rational(1, 6)) == 0


def test_reasons_pass():
    for method, reason in ((nd.DPMSolverPP(2), "step length"), (nd.RK4(), "no multistep method")):
        with pytest.raises(ValueError, match=reason):
            design.design(method, Setting())
