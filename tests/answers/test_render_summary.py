"""Summaries: what is missing says why, in every form, and no symbol stops the rest."""

from fractions import Fraction

import pytest
import sympy as sp

import numdiff as nd
from numdiff.answers import render
from numdiff.answers.summary import answer, derive, record

BETA, GAMMA, R = sp.symbols("beta gamma r")
FORMS = (render.to_text, render.to_markdown, render.to_latex)
TWO = nd.FilteredAdams(2, BETA, momentum=GAMMA)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_says_why_something_is_missing_and_what_z_is(form):
    shown = " ".join(form(answer(derive(nd.DPMSolverPP(2)))).split())
    assert "no imaginary interval: the end of the stability interval could not be proved" in shown
    assert "what the exponential step of length h solves exactly" in shown
    assert nd.DPMSolverPP(2).reference in shown


def test_intervals_are_intervals():
    found = answer(derive(nd.HeavyBall(nd.PLMS(4), beta=Fraction(1, 2))))
    assert "real interval x*       9/10 = 0.9  (-x*, 0)" in render.to_text(found)
    assert r"| real interval $x^{*}$ | $\frac{9}{10} = 0.9$ | $(-x^{*}, 0)$ |" in render.to_markdown(found)
    assert r"\text{real interval $x^{*}$:} \quad & \frac{9}{10} = 0.9 \\ & \parbox" in render.to_latex(found)
    assert r"{\small $(-x^{*}, 0)$}" in render.to_latex(found)
    assert "exponential" not in render.to_text(found)


def test_the_zeros_that_end_an_interval_are_defined():
    method = nd.HeavyBall(nd.PLMS(4), beta=BETA)
    (definition,) = record(derive(method))["definitions"]
    assert definition.startswith("P_3(X) = 3375*X**3*beta**6 + ")
    assert definition in " ".join(render.to_text(answer(derive(method))).split())
    assert record(derive(nd.PLMS(4)))["definitions"] == []


def test_two_symbols_leave_zero_stability_open():
    found = derive(TWO)
    assert (found.order, found.certified) == (2, False)
    assert None not in (*found.weights, found.error_constant, found.polynomial)
    assert (found.real, found.imaginary) == (None, None)
    text = " ".join(render.to_text(answer(found)).split())
    assert "order where zero-stable 2" in text
    assert "no proof of zero-stability: the order is 2 where the method is zero-stable" in text


def test_the_constant_of_two_symbols_is_that_of_their_values():
    values = {BETA: Fraction(3, 2), GAMMA: Fraction(1, 3)}
    special = derive(nd.FilteredAdams(2, values[BETA], momentum=values[GAMMA]))
    assert special.certified
    assert special.order == 2
    assert sp.nsimplify(derive(TWO).error_constant.subs(values)) == special.error_constant


@pytest.mark.parametrize("name", list(nd.methods())[::3])
def test_the_order_of_a_summary_is_the_certified_one(name):
    found = derive(nd.methods()[name])
    assert found.certified
    assert found.order == nd.order.certified(nd.methods()[name])


@pytest.mark.parametrize(("method", "topic"), [(nd.UniPC(2), "stiff-order"), (nd.RK4(), "leading-error")])
def test_notes_name_topics_that_answer(method, topic):
    (note,) = [note for note in derive(method).notes if note.startswith("error constant")]
    assert note.endswith(f"see the topic {topic}")
    assert nd.answers.ask(method, topic).lines


def test_a_determinant_on_growing_steps_is_no_stability_polynomial():
    notes = derive(nd.GHVB(3, BETA), ratio=R).notes
    assert any(note.startswith("stability polynomial: with step ratio r") for note in notes)
    assert not any("determinant" in note for note in derive(nd.GHVB(3, BETA)).notes)
