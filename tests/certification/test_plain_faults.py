"""Mistakes in samplers of a few lines over plain equations: what is named is what was done, or nothing is."""

from itertools import pairwise

import numpy as np
import pytest

import numdiff as nd
from numdiff.certification.effective import STEPS, explain
from numdiff.certification.faults import Series, best
from numdiff.certification.identify import NotLinearError
from numdiff.certification.series import COUNT
from numdiff.certification.subject import Subject

ADAMS4 = np.array([55, -59, 37, -9]) / 24
KUTTA = ([[], [1 / 2], [-1, 2]], [1 / 6, 2 / 3, 1 / 6], [0, 1 / 2, 1])
HEUN = ([[], [1]], [1 / 2, 1 / 2], [0, 1])
RK4 = ([[], [1 / 2], [0, 1 / 2], [0, 0, 1]], [1 / 6, 1 / 3, 1 / 3, 1 / 6], [0, 1 / 2, 1 / 2, 1])


def plain(walk):
    def run(field, x, levels, setting):
        return walk(lambda y, t: field(y, nd.Level.of_time(t)), x, [float(level.time) for level in levels])

    return Subject("test:plain", run, prediction="velocity", scale="time")


def stepped(table, f, x, t, h):
    A, b, c = table
    k = []
    for row, node in zip(A, c, strict=True):
        k.append(f(x + h * sum(a * y for a, y in zip(row, k, strict=True)), t + node * h))
    return x + h * sum(w * y for w, y in zip(b, k, strict=True))


def runge_kutta(table, other=None, when=lambda n, steps: False, keep=1.0):
    def walk(f, x, times):
        for n, (a, b) in enumerate(pairwise(times)):
            x = keep * stepped(other if when(n, len(times) - 1) else table, f, x, a, b - a)
        return x

    return plain(walk)


def multistep(weights):
    def walk(f, x, times):
        known = []
        for a, b in pairwise(times):
            known = [f(x, a), *known][: len(weights)]
            w = weights if len(known) == len(weights) else [1.0, *[0.0] * (len(known) - 1)]
            x = x + (b - a) * sum(p * y for p, y in zip(w, known, strict=True))
        return x

    return plain(walk)


def with_(table, **parts):
    return tuple(parts.get(name, part) for name, part in zip("Abc", table, strict=True))


def test_the_controls_are_clean():
    for subject, order in [(runge_kutta(KUTTA), 3), (runge_kutta(RK4), 4), (multistep(ADAMS4), 4)]:
        seen = explain(subject, order)
        assert (seen.order, seen.sentence, seen.misplaced) == (order, "", "")


@pytest.mark.parametrize(("table", "order"), [(HEUN, 2), (KUTTA, 3), (RK4, 4)])
def test_one_order_too_many_accuses_nobody(table, order):
    seen = explain(runge_kutta(table), order + 1)
    assert seen.order == order
    assert f"no higher order than {order} can be had, and has it" in seen.sentence


def test_a_wrong_sign_in_a_stage_is_not_taken_for_a_wrong_level():
    seen = explain(runge_kutta(with_(KUTTA, A=[[], [1 / 2], [1, 2]])), 3)
    assert "question 1 of the step of the input of question 3 of each step carries -1" in seen.sentence
    assert seen.misplaced == ""


def test_a_wrong_level_of_a_stage_is_not_taken_for_a_wrong_weight():
    seen = explain(runge_kutta(with_(RK4, c=[0, 1 / 2, 1 / 2, 1 / 2])), 4)
    assert "question 4 of each step is asked 0.5 of a step from its node, while its sample lies 1 of" in seen.sentence
    assert seen.misplaced == seen.sentence


def test_weights_in_the_wrong_places_are_both_named():
    seen = explain(runge_kutta(with_(RK4, b=[1 / 6, 1 / 3, 1 / 6, 1 / 3])), 4)
    assert "two coefficients are wrong" in seen.sentence
    assert "the answer to question 3 of the step carries 0.5 of" in seen.sentence
    assert "the answer to question 4 of the step carries 2 of" in seen.sentence


def test_two_wrong_weights_are_no_fault_of_a_predictor():
    """36 and -8 for 37 and -9: on equal steps that could also be said of a corrector nobody has seen."""
    seen = explain(multistep(np.array([55, -59, 36, -8]) / 24), 4)
    assert "two coefficients are wrong" in seen.sentence
    assert "3 questions back carries 0.8889 of" in seen.sentence
    assert "2 questions back makes up for it in the sum" in seen.sentence
    assert "predictor" not in seen.sentence


def test_an_answer_of_the_wrong_age_is_named():
    seen = explain(multistep(np.array([3, 0, -1]) / 2), 2)
    assert "1 question back is 0 and lies on the answer 2 questions back instead" in seen.sentence


@pytest.mark.parametrize("off", [1e-4, -1e-2])
def test_a_sample_that_is_not_carried_is_named(off):
    seen = explain(runge_kutta(HEUN, keep=1 - off), 2)
    assert f"the factor of the sample is {1 - off:g} of what it should be on every step" in seen.sentence
    assert seen.grain == 0


def test_steps_that_are_not_as_the_others_are_named():
    euler = ([[]], [1.0], [0])
    seen = explain(runge_kutta(HEUN, euler, lambda n, steps: n % 5 == 4), 2)
    assert "every 5th step takes 0 of the term with the 1st derivative" in seen.sentence
    seen = explain(runge_kutta(RK4, HEUN, lambda n, steps: n >= 2 * steps // 3), 4)
    assert f"from step {2 * STEPS[-1] // 3 + 1} of {STEPS[-1]} on, every step takes 1.5 of" in seen.sentence


def test_what_is_off_by_a_power_of_the_step_is_said_with_it():
    def walk(f, x, times):
        for a, b in pairwise(times):
            x = x + (1 + (b - a)) * (stepped(HEUN, f, x, a, b - a) - x)
        return x

    seen = explain(plain(walk), 2)
    assert seen.order == 1
    assert "all weights of a step are 1.04167 of what (*) asks" in seen.sentence  # steps of 4/96


def test_a_claim_beyond_what_can_be_compared_is_compared_as_far_as_can_be():
    seen = explain(multistep(ADAMS4), COUNT + 3)
    assert (seen.order, seen.compared) == (4, COUNT)
    assert f"compared up to order {COUNT} only" in seen.sentence
    assert explain(multistep(ADAMS4), 4).compared == 4


def test_a_sampler_with_steps_of_its_own_is_refused():
    def walk(f, x, times):
        return runge_kutta(HEUN).run(
            lambda y, level: f(y, float(level.time)),
            x,
            [nd.Level.of_time(t) for t in np.linspace(times[0], times[-1], 31)],
            None,
        )

    with pytest.raises(NotLinearError, match="steps of its own: it asks 60 and 60 questions"):
        explain(plain(walk), 2)


def test_an_unused_old_answer_is_not_lost_where_another_at_its_node_is_used():
    """Two answers at one node, of which only one is used: the weight on the other is 0, and rightly so."""
    nodes, mu = np.array([0.0, -1.0, -1.0]), 1 / np.arange(1.0, COUNT + 1)
    G = nodes[:, None] ** np.arange(COUNT)
    rows = np.tile([1.5, -1.0, 0.0], (3, 1))
    defects = rows @ G - mu
    one = Series("", tuple("abc"), rows, np.tile(G, (3, 1, 1)), defects, np.tile(mu, (3, 1)), 2, 0, inside=1)
    fault = best([(one, one)], 1)
    assert fault is not None
    assert (fault.what, fault.factor) == ("b", 2)
