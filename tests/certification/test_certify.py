"""Verdicts and causes, on samplers whose orders are known from theory, and on samplers that have none."""

from itertools import pairwise

import numpy as np
import pytest

import numdiff as nd
from numdiff.certification import certify
from numdiff.certification.own import of_method
from numdiff.certification.subject import level_of
from numdiff.problems import paths
from tests.certification import samplers
from tests.certification.samplers import subject

STEPS = (24, 32, 48, 64, 96, 128, 192)


def test_a_sampler_of_a_few_lines_is_certified():
    for run, order in ((samplers.euler, 1), (samplers.heun, 2)):
        found = certify(subject(run, order))
        assert (found.verdict, found.cause, found.claim) == ("certified", "", order)
        for name in ("exact start", "as shipped", "alternating"):
            low, high = found[name].estimate.interval
            assert low - 0.3 < order < high + 0.3
        assert found.seconds > 0
        assert "numdiff" in found.versions


def test_too_high_a_claim_is_refuted():
    found = certify(subject(samplers.euler), 2)
    assert found.verdict == "refuted"
    assert "order 0.8" in found.cause or "order 0.9" in found.cause or "order 1.0" in found.cause


def test_without_a_claim_the_order_is_what_was_seen():
    found = certify(subject(samplers.heun))
    assert found.verdict == "observed"
    assert found["exact start"].slope == pytest.approx(2, abs=0.2)
    with pytest.raises(KeyError, match="no experiment 'random'; there are exact start"):
        found["random"]


# --- causes, known from the theory of multistep methods --------------------------------------------------------------


def test_a_start_of_order_one_is_named():
    """AB1, AB2, ... leave an error O(h^2)."""
    found = certify(nd.DPMSolverPP(3), steps=STEPS)
    assert found.verdict == "conditional"
    assert "the start alone costs the order" in found.cause
    assert "last steps" not in found.cause
    assert "alternating" not in found.cause
    assert certify(of_method(nd.DPMSolverPP(3), start="runge-kutta"), steps=STEPS).verdict == "certified"


@pytest.mark.slow
def test_weights_for_equal_steps_are_named_with_their_variable():
    found = certify(nd.PLMS(4), steps=STEPS)
    assert found.verdict == "conditional"
    assert "order 4 on equal steps in rho" in found.cause
    assert "on alternating steps it has order 0" in found.cause or "on alternating steps it has order 1" in found.cause
    data = certify(nd.AdamsBashforth(3, nd.DATA_RATIO, weights="uniform"), steps=STEPS)
    assert "order 3 on equal steps in inverse-rho" in data.cause


def test_lowered_last_steps_are_named():
    """Orders that fall to 1 in the last step leave h^2 f'/2 there, of which the path at rest knows nothing."""
    method = nd.DPMSolverPP(3)

    def run(field, x, levels, setting):
        lowered = (3,) * (len(levels) - 3) + (2, 1)
        scheme = method.discretize(nd.schedules.VPLinear(), list(levels), start="runge-kutta", orders=lowered)
        from numdiff.certification.own import _run

        return _run(scheme, field, x, setting)

    found = certify(subject(run, 3, prediction="data"), steps=STEPS)
    assert found.verdict == "conditional"
    assert "last steps alone cost the order" in found.cause
    assert "start alone" not in found.cause


@pytest.mark.slow
def test_single_precision_is_named():
    """A run whose sample is rounded to float32 at every step stops at that level, whatever its order."""

    def run(field, x, levels, setting):
        keep = (lambda y: np.float64(np.float32(y))) if setting.precision == "shipped" else (lambda y: y)
        return samplers.kutta(keep)(field, x, levels, setting)

    found = certify(subject(run, 4, single=True))
    assert found.verdict in ("conditional", "certified")
    assert "the rounding of float32" in found.cause
    assert found["exact start"].estimate.plateau is None
    assert certify(subject(samplers.kutta(), 4)).cause == ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: samplers.early, "question 2 of each step is asked one node early"),
        (lambda s: shifted(s), "asked one node late"),
    ],
    ids=["stage", "step"],
)
def test_questions_at_the_wrong_level_are_named_though_a_path_at_rest_forgives_them(change, words):
    found = certify(subject(change(samplers.heun), 2), steps=STEPS)
    assert found.verdict == "refuted"
    assert words in found.cause


def shifted(run):
    """A sampler that is told the next level's predictions."""

    def shift(field, x, levels, setting):
        following = dict(zip(levels, [*levels[1:], levels[-1]], strict=True))
        return run(lambda y, level: field(y, following[level]), x, levels, setting)

    return shift


def test_steps_that_are_not_those_of_the_grid_are_seen_where_the_path_does_not_rest():
    found = certify(subject(samplers.evened, 2), steps=STEPS)
    assert found.verdict != "certified"


def test_a_bias_is_no_order():
    found = certify(subject(samplers.biased, 2), steps=STEPS)
    assert found.verdict in ("refuted", "undecided")
    assert "bias" in found.cause or "does not vanish with the steps" in found.cause


def test_points_that_are_mixed_up_are_noticed():
    assert certify(subject(samplers.mixed, 1), steps=STEPS).verdict not in ("certified", "conditional")


def test_rounded_times_are_named():
    """A table of 240 entries in log-SNR, and weights for equal steps: where N does not divide it, steps are rough."""
    lams = np.linspace(-1.0, 3.0, 241)
    table = [level_of("edm", float(lam)) for lam in lams]

    def grid(steps):
        return tuple(table[round(k * 240 / steps)] for k in range(steps + 1))

    def run(field, x, levels, setting):
        before = None
        for here, there in pairwise(levels):
            h = float(there.log_snr) - float(here.log_snr)
            slope = -float(here.rho) * field(x, here)
            x = x + h * (slope if before is None else (3 * slope - before) / 2)
            before = slope
        return x

    regular = tuple(n for n in range(20, 121) if 240 % n == 0)
    found = certify(subject(run, 2, scale="edm", grid=grid, regular=regular), steps=(25, 35, 50, 70, 90, 110, 140))
    assert found.verdict == "conditional"
    assert "times rounded to its table, where N does not divide it, cost the order" in found.cause
    assert "its own time table alone" not in found.cause


def test_what_the_runs_do_not_show_is_undecided():
    """An error that changes its sign between the numbers of steps: no order can be read off, and none is refuted."""

    def run(field, x, levels, setting):
        h = 1 / (len(levels) - 1)
        return paths.toys().exact(float(levels[-1].log_snr)) * levels[-1].alpha * (1 + h * (1 - 70 * h))

    assert certify(subject(run, 2), steps=STEPS).verdict in ("undecided", "no order")


# --- no order --------------------------------------------------------------------------------------------------------


def test_a_sampler_that_raises_is_reported_with_the_number_of_steps():
    found = certify(subject(samplers.raising, 1))
    assert found.verdict == "no order"
    assert "raised at N = " in found.cause
    assert "IndexError: list index out of range" in found.cause


def test_numbers_of_steps_without_a_finite_result_are_reported():
    late = certify(subject(samplers.failing_above(200), 1))
    assert late.verdict not in ("certified", "observed")
    assert "256, 384" in late.cause
    early = certify(subject(samplers.failing_below(40), 2))
    assert early.verdict == "certified"
    assert "not finite at N = 24, 32" in early["exact start"].estimate.cause


@pytest.mark.parametrize("run", [samplers.noisy, samplers.remembering()])
def test_runs_that_do_not_repeat_themselves_are_refused(run):
    found = certify(subject(run, 1))
    assert found.verdict == "no order"
    assert "two runs of 24 steps from one sample end" in found.cause
    assert "declare it stochastic" in found.cause


def test_a_sampler_that_ignores_its_grid_is_found_out():
    assert "ignores its levels" in certify(subject(samplers.deaf, 1)).cause
    assert "ignores its grid" in certify(subject(samplers.stubborn, 1)).cause


def test_an_exact_sampler_has_no_slope():
    path = paths.toys()
    found = certify(subject(lambda field, x, levels, setting: path.state(levels[-1]), 3), path=path)
    assert found.verdict == "no order"
    assert "exact" in found.cause


# --- the door ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((samplers.euler,), {}, TypeError, "subject must be a Subject or a method"),
        ((nd.DDIM(), 1.5), {}, TypeError, "order must be a whole number, got 1.5"),
        ((nd.DDIM(), True), {}, TypeError, "order must be a whole number, got True"),
        ((nd.DDIM(), 0), {}, ValueError, "order must be at least 1, got 0"),
        ((nd.DDIM(),), {"steps": [10, 20]}, ValueError, "at least 3 numbers"),
        ((nd.DDIM(),), {"patterns": "random"}, TypeError, "write \\('random',\\)"),
        ((nd.DDIM(),), {"patterns": ("ramdom",)}, ValueError, "random"),
    ],
)
def test_mistakes_are_named(arguments, options, error, message):
    with pytest.raises(error, match=message):
        certify(*arguments, **options)


def test_a_sampler_with_few_steps_to_make_says_so():
    with pytest.raises(ValueError, match="at most 30; only \\[24\\]"):
        certify(subject(samplers.euler, 1, most=30))
