"""The answers about runs and stiff orders carry what the library finds."""

import pytest
import sympy as sp

import numdiff as nd
from numdiff import answers
from numdiff.answers.render import to_latex, to_markdown, to_text


def values(answer):
    return {line.label: line.value for line in answer.lines}


def test_run_order_of_plms():
    answer = answers.ask(nd.PLMS(4), "run-order", start="runge-kutta")
    found = values(answer)
    assert [
        found[f"order on {steps}"] for steps in ("equal steps", "smoothly changing steps", "alternating steps")
    ] == [4, 2, 1]
    assert found["leading error on equal steps"] == nd.order.of_run(nd.PLMS(4), start="runge-kutta").constant.error
    assert "weights made for equal steps" in answer.lines[2].note


def test_stiff_order_of_the_half_rule():
    answer = answers.ask(nd.DPMSolverPP(2, rule="half"), "stiff-order")
    assert values(answer)["stiff order"] == 1
    last = answer.lines[-1]
    assert (last.label, last.note) == ("order 2: psi_2 = 0", "holds weakly")
    assert isinstance(last.value, sp.Expr)


@pytest.mark.parametrize("topic", ["run-order", "stiff-order"])
@pytest.mark.parametrize("show", [to_text, to_markdown, to_latex])
def test_answers_can_be_shown(topic, show):
    assert "order" in show(answers.ask(nd.UniPC(2), topic))


def test_methods_without_a_linear_part_say_so():
    with pytest.raises(ValueError, match="no linear part"):
        answers.ask(nd.AdamsBashforth(2), "stiff-order")
