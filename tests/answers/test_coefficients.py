"""The answers about coefficients show what the library derives, for every registered method."""

import json
from fractions import Fraction

import pytest
import sympy as sp

import numdiff as nd
from numdiff.answers.answer import Setting
from numdiff.answers.coefficients import coefficients, derivation, limits
from numdiff.symbolic.closed_forms import weights
from numdiff.symbolic.polynomials import to_sympy

METHODS = nd.methods()
R = sp.Symbol("r")


@pytest.mark.parametrize("setting", [Setting(), Setting(ratio=Fraction(3, 2))], ids=["1", "3/2"])
@pytest.mark.parametrize("name", [name for name, m in METHODS.items() if m.points <= 3])
def test_coefficients_begin_with_the_weights_on_the_grid_asked_for(name, setting):
    method = METHODS[name]
    lines = coefficients(method, setting).lines
    if isinstance(method, nd.RungeKutta):
        shown = [line.value for line in lines if line.label.startswith("b_")]
        assert tuple(shown) == method.coefficients().b
        return
    found = weights(method, ratios=(setting.ratio,) * (method.points - 1))
    expected = [value for row in found.values() for value in row]
    assert [line.value for line in lines[: len(expected)]] == expected
    assert all(line.label for line in lines)


def test_runge_kutta_says_that_ratios_do_not_matter():
    answer = coefficients(nd.Heun(), Setting(ratio=R))
    assert answer == coefficients(nd.Heun(), Setting())
    assert "does not depend on step ratios" in answer.notes[0]


def test_ghvb_shows_geometric_and_general_grids():
    labels = [(line.label, line.note) for line in coefficients(nd.GHVB(2, Fraction(4, 5)), Setting()).lines]
    assert ("weight 0", "steps of ratio r") in labels
    assert {"any grid: a", "any grid: w_1", "any grid: next M^1"} <= {label for label, _ in labels}


@pytest.mark.parametrize(
    ("method", "condition"),
    [
        (nd.GHVB(2, sp.Symbol("beta", positive=True)), r"|1-beta| < r. Where"),
        (nd.GHVB(3, Fraction(4, 5)), "|1-beta| < r^2. Where"),
        (nd.HeavyBall(nd.GHVB(3, Fraction(4, 5)), Fraction(1, 2)), "tends to Adams-Bashforth of order 2"),
        (nd.FilteredAdams(2, Fraction(4, 5), Fraction(1, 5)), "smaller than r;"),
    ],
    ids=str,
)
def test_weights_on_geometric_grids_come_with_their_condition(method, condition):
    assert any(condition in note for note in coefficients(method, Setting(ratio=R)).notes)


@pytest.mark.parametrize("method", [nd.GHVB(1, Fraction(1, 2)), nd.GHVB(3, Fraction(1, 2), weights="uniform")], ids=str)
def test_weights_that_know_no_ratio_come_without_one(method):
    assert not any("settle" in note for note in coefficients(method, Setting()).notes)


@pytest.mark.parametrize("order", [6, 8])
def test_high_orders_leave_long_formulas_out_and_say_so(order):
    answer = coefficients(nd.AdamsBashforth(order), Setting())
    assert len(answer.lines) == order
    assert any("up to 5 points" in note for note in answer.notes)


@pytest.mark.parametrize("name", METHODS)
def test_derivations_number_their_steps_and_report_the_checks(name):
    answer = derivation(METHODS[name], Setting())
    assert answer.lines[0].label == "1. " + ("base: " * hasattr(METHODS[name], "base")) + "the equation"
    assert all(isinstance(line.value, sp.Eq) for line in answer.lines)
    assert "checks leave 0." in answer.notes[0]


def test_a_variant_that_fails_a_condition_is_named():
    assert "does not satisfy" in derivation(nd.DPMSolverPP(2, rule="half"), Setting()).notes[0]
    assert "does not satisfy" not in derivation(nd.DPMSolverPP(2), Setting()).notes[0]


def test_limits_are_shown_with_what_they_equal():
    answer = limits(nd.GHVB(2, Fraction(4, 5)), Setting())
    assert [line.note for line in answer.lines if line.note and not line.note.startswith("equal to ")] == []
    labels = {line.label.split(":")[0] for line in answer.lines if line.label}
    assert labels == {"r -> 1", "beta -> 1", "beta -> 0", "beta -> 0 at r > 1"}


@pytest.mark.parametrize("question", [coefficients, derivation, limits])
def test_answers_can_be_written_down(question):
    for line in question(nd.GHVB(2, Fraction(4, 5), "data/log-snr"), Setting(ratio=R)).lines:
        assert json.dumps([line.label, sp.sstr(to_sympy(line.value)), sp.latex(line.value), line.note])


@pytest.mark.parametrize(("method", "explained"), [(nd.PLMS(3), False), (nd.AdamsBashforth(3), True)], ids=str)
def test_ratios_are_explained_where_there_are_any(method, explained):
    answer = coefficients(method, Setting())
    ratios = any(s.name.startswith("r_") for line in answer.lines for s in to_sympy(line.value).free_symbols)
    assert any(note.startswith("r_1 is") for note in answer.notes) == ratios == explained
