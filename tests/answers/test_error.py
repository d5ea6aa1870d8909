"""Answers about order and error say what the library says."""

import pytest
import sympy as sp

import numdiff as nd
from numdiff.answers import error, render
from numdiff.answers.answer import Setting

BETA = sp.Symbol("beta")
TOPICS = [error.conditions, error.leading_error, error.modified_equation, error.any_grid]
METHODS = [
    nd.Heun(),
    nd.PLMS(2),
    nd.GHVB(2, BETA),
    nd.PredictorCorrector(1),
    nd.HeavyBall(nd.AdamsBashforth(1), beta=BETA),
]


def lines(answer):
    return {line.label: line for line in answer.lines}


@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("method", METHODS, ids=str)
def test_answers_can_be_shown(topic, method):
    answer = topic(method, Setting())
    assert str(method) in answer.title
    for show in (render.to_text, render.to_markdown, render.to_latex, render.to_data):
        assert show(answer)


def test_conditions():
    found = lines(error.conditions(nd.Heun(), Setting()))
    assert found["order"].value == 2
    assert found["order 2: [tau]"].note == "f'f; gamma = 2, sigma = 1; holds"
    assert found["order 3: [[tau]]"].note.endswith("should be 1/6: misses 1/6")


def test_leading_error():
    found = lines(error.leading_error(nd.GHVB(1, BETA), Setting()))
    constant = (2 - BETA) / (2 * BETA)
    assert sp.cancel(found["error constant C"].value - constant) == 0
    assert sp.cancel(found["f'f"].value - constant) == 0
    assert "error constant C" not in lines(error.leading_error(nd.Heun(), Setting()))


def test_modified_equation():
    found = lines(error.modified_equation(nd.DDIM(), Setting()))
    assert str(found["f_1"].value) == "-f'f/2"
    assert (found["f_1"].note, found["f_2"].note) == ("times h", "times h^2")
    assert "h^1" not in render.to_text(error.modified_equation(nd.DDIM(), Setting()))


def test_any_grid():
    found = lines(error.any_grid(nd.PLMS(2), Setting()))
    assert [found[f"order on {x}"].value for x in ("any grid", "smooth grids", "equal steps")] == [1, 2, 2]
    assert "C on equal steps" not in found
    assert lines(error.any_grid(nd.DPMSolverPP(2), Setting()))["C on equal steps"].value == sp.Rational(5, 12)
    long = lines(error.any_grid(nd.GHVB(3, BETA), Setting()))["local error constant C"]
    assert long.value is None
    assert "formula of" in long.note


@pytest.mark.parametrize("topic", TOPICS[:3])
def test_reasons_pass_and_name_the_topic_that_answers(topic):
    with pytest.raises(ValueError, match=r"exponential method.*or the topic stiff-order"):
        topic(nd.DPMSolverPP(2), Setting())


def test_ratios_are_explained_where_there_are_any():
    explained = [any("`r_1" in note for note in error.any_grid(m, Setting()).notes) for m in (nd.DDIM(), nd.PLMS(2))]
    assert explained == [False, True]
