"""One mistake in a copy of each family is caught and named; the originals are the control."""

import pytest

import numdiff as nd
from numdiff.certification.effective import explain
from numdiff.certification.measure import Layout
from numdiff.certification.own import of_method
from tests.certification import mutations

HISTORY, VELOCITY = "answer {} back", "velocity {} back"
ONE, TWO = "1 question", "2 questions"
RHO = ("uniform", "PNDM", "F-PNDM", "BDIA")  # right on equal steps in rho only

# method, entries of one weight, and where it is in the sentence's words
WEIGHTS = {
    "AB3": ([("V", 0, 1)], HISTORY.format(ONE)),
    "AB3 data/log-snr": ([("V", 0, 2)], HISTORY.format(TWO)),
    "AB3 velocity/time": ([("V", 0, 2)], HISTORY.format(TWO)),
    "AB4 noise/ratio uniform": ([("V", 0, 1)], HISTORY.format(ONE)),
    "AB2 data/log-snr half": ([("V", 0, 1)], HISTORY.format(ONE)),
    "HB(AB2, 4/5)": ([("V", 0, 1), ("V", 2, 1)], "1 question back in what enters the velocity"),
    "HB(AB2 data/log-snr half, 4/5)": ([("V", 0, 1), ("V", 2, 1)], "1 question back in what enters the velocity"),
    "NT(AB2, 4/5)": ([("V", 0, 1), ("V", 2, 1)], "1 question back in what enters the velocity"),
    "GHVB3(4/5)": ([("V", 0, 2)], VELOCITY.format("2 steps")),
    "GHVB3(4/5) data/log-snr": ([("V", 0, 2)], VELOCITY.format("2 steps")),
    "GHVB3(1/2) data/ratio": ([("V", 0, 2)], VELOCITY.format("2 steps")),
    "GHVB3(4/5) noise/ratio uniform": ([("V", 0, 2)], VELOCITY.format("2 steps")),
    "FA2(4/5, error=1/2)": ([("V", 0, 2)], VELOCITY.format("2 steps")),
    "PEC2 data/log-snr": ([("U", 0, 2)], "1 question back of the predictor"),
    "PEC3 data/log-snr": ([("V", 0, 2)], "1 question back of the corrector"),
    "PECE3-3": ([("V", 0, 2), ("U", 1, 2)], HISTORY.format(TWO)),
    "tAB3": ([("V", 0, 1)], HISTORY.format(ONE)),
    "PNDM4": ([("V", 0, 2)], HISTORY.format(TWO)),
    "F-PNDM4": ([("V", 0, 1)], HISTORY.format(ONE)),
    "BDIA(1)": ([("B", 0, 0)], "the newest answer of the two-step method"),
    "Heun": ([("B", 0, 1)], "the answer to question 2 of the step"),
    "RK4": ([("B", 0, 1)], "the answer to question 2 of the step"),
    "RK4 velocity/time": ([("A", 2, 1)], "question 2 of the step of the input of question 3"),
    "Kutta3": ([("A", 2, 1)], "question 2 of the step of the input of question 3"),
    "SingleStep3 data/log-snr": ([("B", 0, 2)], "the answer to question 3 of the step"),
    "SingleStep2 data/log-snr half diffusers": ([("B", 0, 1)], "the answer to question 2 of the step"),
    "DPM-Solver-3S data/log-snr": ([("A", 2, 1)], "question 2 of the step of the input of question 3"),
    "DPM-Solver-2S dpmsolver noise/log-snr": ([("B", 0, 1)], "the answer to question 2 of the step"),
}
FACTORS = {-1: "carries -1 of", 2: "carries 2 of", 0: "is 0 where"}
UNHURT = ("SingleStep2 data/log-snr half diffusers",)  # the midpoint rule gives its first answer no weight

slow = pytest.mark.slow
QUICK = ("AB3", "RK4")
NO_HISTORY = ("BDIA(1)",)  # without its only answer nothing is left

FAMILIES = ("AB3", "GHVB3(4/5)", "PEC3 data/log-snr", "RK4")
MISTAKES = [(name, factor) for name in WEIGHTS for factor in FACTORS if factor or name not in NO_HISTORY]


def found(name, change=None, claim=None):
    method = nd.methods(every=True)[name]
    variable = "rho" if any(word in name for word in RHO) else "log-snr"
    return method, explain(of_method(method, change=change), claim or method.order, layout=Layout(variable=variable))


def quick_ones(names):
    return [name if name in QUICK else pytest.param(name, marks=slow) for name in names]


@pytest.mark.parametrize(
    ("name", "factor"),
    [pytest.param(*one, marks=() if one in {(n, 2) for n in FAMILIES} else slow) for one in MISTAKES],
)
def test_a_wrong_weight_is_named_with_its_factor(name, factor):
    entries, place = WEIGHTS[name]
    method, seen = found(name, mutations.scaled(entries, factor))
    assert seen.order < method.order
    assert place in seen.sentence
    assert FACTORS[factor] in seen.sentence


@pytest.mark.parametrize("nodes", [1, pytest.param(-1, marks=slow)])
@pytest.mark.parametrize("name", quick_ones(WEIGHTS))
def test_a_question_at_the_wrong_level_is_named(name, nodes):
    method, seen = found(name, mutations.shifted(0, nodes))
    assert seen.order < method.order or name in UNHURT or method.order == 1  # a first-order method stays one
    assert f"one node {'late' if nodes > 0 else 'early'}" in seen.sentence


@pytest.mark.parametrize("name", ["Heun", "PECE3-3"])
def test_a_later_stage_at_the_wrong_level_is_named(name):
    _, seen = found(name, mutations.shifted(1, 1))
    assert "of each step is asked one node late" in seen.sentence


@pytest.mark.parametrize("name", quick_ones(WEIGHTS))
def test_single_precision_is_named_and_costs_no_order(name):
    method, seen = found(name, mutations.single)
    assert "single precision" in seen.sentence
    assert seen.order == method.order


@pytest.mark.parametrize("name", quick_ones(WEIGHTS))
def test_the_originals_are_clean(name):
    method, seen = found(name)
    assert seen.sentence == ""
    assert seen.order == method.order


@pytest.mark.parametrize("prediction", ["data", "noise"])
def test_the_published_third_order_rule_lacks_a_factor_2(prediction):
    formulation = nd.DATA_LOG_SNR if prediction == "data" else nd.NOISE_LOG_SNR
    seen = explain(of_method(nd.AdamsBashforth(2, formulation=formulation, rule="3m")), 3)
    assert seen.order == 2
    assert seen.formulation == f"{prediction}/log-snr"
    assert "2nd derivative (2nd divided difference) carries 0.5 of" in seen.sentence
    assert "lacks a factor 2" in seen.sentence
    assert seen.rows["moments"][:2] == pytest.approx(seen.rows["asked"][:2], rel=1e-9)
    assert seen.rows["moments"][2] == pytest.approx(seen.rows["asked"][2] / 2, rel=1e-9)
