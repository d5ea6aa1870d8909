"""Results: what follows from the log-SNRs, and documents that come back bit for bit."""

import copy
import dataclasses
import json
import math
import os
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import numdiff as nd
from numdiff.optimize.result import TimeSteps, versions

TABLE = nd.schedules.Discrete.stable_diffusion()
VP, FLOW, VE = nd.schedules.VPLinear(), nd.schedules.Flow(3.0), nd.schedules.VE()


def result(schedule, log_snr, method=None, **options):
    fields = {"objective_name": "paper", "objective": 2.0, "initial_objective": 8.0, "status": "converged"}
    fields |= {"message": "", "certified": True, "optimality": 1e-10}
    return TimeSteps(method=method or nd.UniPC(3), schedule=schedule, log_snr=log_snr, **fields | options)


def on(schedule, times, **options):
    return result(schedule, [schedule.log_snr(t) for t in times], **options)


def coefficients(scheme):
    return [(t.A, t.U, t.B, t.V, t.levels) for t in scheme]


# --- the steps --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", [VP, TABLE, nd.schedules.Cosine(), nd.schedules.EDM()])
def test_scales_have_the_log_snrs(schedule):
    times = np.linspace(0.9, 0.05, 6) * schedule.T
    steps = on(schedule, times)
    # one inversion of the schedule: some 1e-13 relative in t, which the slope of log-SNR, up to 50 here, carries over
    np.testing.assert_allclose(steps.times, times, rtol=1e-11)
    np.testing.assert_allclose(np.log(steps.alphas / steps.sigmas), steps.log_snr, rtol=0, atol=1e-10)
    assert steps.steps == 5


def test_the_ends_are_the_times_that_were_asked_for():
    steps = on(VP, [0.9, 0.5, 1e-3], t_start=0.9, t_end=1e-3)
    assert (steps.times[0], steps.times[-1]) == (0.9, 1e-3)


def test_infinite_ends_have_their_times_or_levels():
    flow = result(FLOW, [-math.inf, -1.0, 2.0, math.inf])
    assert (flow.times[0], flow.times[-1]) == (1.0, 0.0)
    assert (flow.alphas[0], flow.sigmas[-1]) == (0.0, 0.0)
    clean = result(VE, [-3.0, 0.0, 2.0, math.inf])  # VE starts at sigma_min: no time stands for sigma = 0
    assert clean.times[-1] == -math.inf
    assert clean.grid[-1].sigma == 0
    assert clean.scheme().levels[-1].log_snr == math.inf


def test_the_scheme_is_the_tuned_method_on_the_grid():
    base = nd.DPMSolverPP(2)
    steps = on(VP, [0.9, 0.5, 0.2, 1e-3], method=nd.HeavyBall(base, 0.8), parameters={"beta": 0.9}, orders=(1, 2, 1))
    expected = nd.HeavyBall(base, 0.9).discretize(VP, steps.times, orders=(1, 2, 1))
    assert coefficients(steps.scheme()) == coefficients(expected)
    assert steps.method.beta == 0.8
    nested = on(VP, [0.9, 0.5, 1e-3], method=nd.HeavyBall(nd.GHVB(2, 0.5), 0.8), parameters={"base.beta": 0.7})
    assert nested.tuned == nd.HeavyBall(nd.GHVB(2, 0.7), 0.8)


def test_what_a_function_made_of_the_parameters_is_tuned_already():
    """Even where the function's parameter has the name of a field of the method and another meaning."""
    for name in ("gamma", "beta"):
        steps = on(VP, [0.9, 0.5, 1e-3], method=nd.GHVB(2, 0.25), parameters={name: 0.75}, made=True)
        assert steps.tuned == TimeSteps.from_json(steps.to_json()).tuned == nd.GHVB(2, 0.25)
    with pytest.raises(ValueError, match="no parameter 'gamma'"):
        _ = on(VP, [0.9, 0.5, 1e-3], parameters={"gamma": 1.0}).tuned


def test_an_optimized_function_of_a_parameter_is_laid_out_as_it_was_optimized():
    found = nd.optimize.timesteps(
        lambda beta: nd.GHVB(2, 1 - beta), VP, 4, objective="gaussian", optimize="beta", bounds={"beta": (0.1, 0.6)}
    )
    assert found.tuned.beta == pytest.approx(1 - found.parameters["beta"], rel=1e-15)
    again = nd.optimize.timesteps(found.tuned, VP, 4, objective="gaussian")
    assert again.value(found.log_snr) == pytest.approx(found.objective, rel=1e-9)


def test_the_objective_at_other_nodes():
    asked = []

    def evaluate(z):
        asked.append(z)
        return 7.0

    steps = result(VP, [-3.0, 0.0, 1.0, 2.0], method=nd.GHVB(2, 0.25), parameters={"beta": 0.5}, evaluate=evaluate)
    assert steps.value() == steps.value([-1.0, 0.5]) == steps.value([-3.0, -1.0, 0.5, 2.0]) == 7.0
    assert steps.value([-1.0, 0.5], {"beta": 0.75}) == 7.0
    expected = [[0.0, 1.0, 0.5], [-1.0, 0.5, 0.5], [-1.0, 0.5, 0.5], [-1.0, 0.5, 0.75]]
    assert [z.tolist() for z in asked] == expected


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda r: r.value([0.0]), r"the 2 half log-SNRs between the ends, or all 4, got an array of shape \(1,\)"),
        (lambda r: r.value([-3.0, 0.0, 1.0, 2.5]), "must begin and end at"),
        (lambda r: r.value([1.0, 0.0]), "rise strictly"),
        (lambda r: r.value([0.0, 1.0], {"gamma": 1.0}), r"parameters names \['gamma'\]; optimized were \['beta'\]"),
        (lambda r: r.evaluate(r.log_snr), r"evaluate takes the 2 half log-SNRs between the ends and then beta"),
        (lambda r: dataclasses.replace(r, evaluate=None).value(), "optimize again"),
    ],
)
def test_nodes_that_cannot_be_evaluated(call, message):
    steps = result(VP, [-3.0, 0.0, 1.0, 2.0], parameters={"beta": 0.5}, evaluate=lambda z: 7.0)
    with pytest.raises(ValueError, match=message):
        call(steps)


@pytest.mark.parametrize("again", [lambda x: pickle.loads(pickle.dumps(x)), copy.copy, copy.deepcopy])
def test_pickles_hold_the_numbers_and_no_code(again):
    first = full()
    _ = first.times
    second = again(first)
    assert second.to_json() == first.to_json()
    assert (first.evaluate, second.evaluate)[1] is None
    assert first.evaluate is not None
    assert second.log_snr.tobytes() == first.log_snr.tobytes()
    assert second.times.tolist() == first.times.tolist()
    with pytest.raises(ValueError, match="read-only"):
        second.log_snr[1] = 1.0


def test_an_optimized_result_can_be_pickled():
    first = nd.optimize.timesteps("dpmpp2", VP, 4, objective="gaussian")
    second = pickle.loads(pickle.dumps(first))
    assert second.to_json() == first.to_json()
    assert first.value() == pytest.approx(first.objective, rel=1e-12)


def test_a_clean_end_is_one_step_more():
    steps = on(VP, [0.9, 0.5, 1e-3], t_end=1e-3, orders=(1, 2), evaluate=lambda z: 0.0)
    longer = steps.with_clean_end()
    assert longer.log_snr.tolist() == [*steps.log_snr, math.inf]
    assert longer.times[-1] == 0.0
    assert longer.scheme().levels[-1].sigma == 0
    assert longer.orders == (1, 2, 1)
    assert not longer.certified
    with pytest.raises(ValueError, match="already"):
        longer.with_clean_end()


def test_nobody_can_write_to_a_result():
    given_here = np.array([-3.0, 0.0, 2.0])
    steps = result(VP, given_here)
    given_here[1] = 1.0
    assert steps.log_snr[1] == 0.0
    with pytest.raises(ValueError, match="read-only"):
        steps.log_snr[1] = 1.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        steps.objective = 0.0


@pytest.mark.parametrize(
    ("log_snr", "error", "message"),
    [
        ([-3.0, 2.0], ValueError, "at least three nodes"),
        ([-3.0, 2.0, 1.0], ValueError, r"log_snr\[1\] = 2.0 and log_snr\[2\] = 1.0"),
        ([-3.0, math.nan, 1.0], ValueError, "rise strictly"),
        ([-3.0, math.inf, math.inf], ValueError, "rise strictly"),
        (["a", "b", "c"], TypeError, "must be numbers"),
    ],
)
def test_nodes_that_make_no_grid(log_snr, error, message):
    with pytest.raises(error, match=message):
        result(VP, log_snr)


def test_the_repr_says_whether_to_trust_it():
    text = repr(on(VP, [0.9, 0.5, 1e-3], seconds=0.125))
    assert all(part in text for part in ("2 steps on vp-linear", "paper 8 -> 2", "; certified", "0.125 s"))
    late = repr(on(VP, [0.9, 0.5, 1e-3], certified=False, message="time limit of 1 s hit", parameters={"beta": 0.75}))
    assert "not certified: time limit of 1 s hit" in late
    assert "beta=0.75" in late


# --- documents --------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Check:
    active: tuple = (0, 3)
    multipliers: np.ndarray = dataclasses.field(default_factory=lambda: np.array([0.1, 1 / 3]))
    violation: float = math.inf


def full():
    rng = np.random.default_rng(0)
    log_snr = [-math.inf, *np.sort(rng.normal(size=5)), math.inf]
    return result(
        FLOW,
        log_snr,
        method=nd.HeavyBall(nd.DPMSolverPP(2), 0.8),
        t_start=1.0,
        final="denoise",
        orders=(1, 2, 2, 2, 2, 1),
        parameters={"beta": 0.1 + 0.2},
        objective_options={"p": 2, "scales": (0.1, 5e-324), "name": "inf", "worst": np.float64(math.nan)},
        gap=np.array([0.0, 0.1, 0.1, 0.1, 0.1, 0.0]),
        certificate=Check(),
        trace=rng.normal(size=7),
        errors={"s": np.geomspace(0.1, 3, 4), "residuals": rng.normal(size=4)},
        seconds=0.1,
        evaluations=12,
        evaluate=lambda z: 0.0,
        certified=False,
        message='a "quote" and λ',
    )


def test_documents_come_back_bit_for_bit():
    first = full()
    text = first.to_json()
    second = TimeSteps.from_json(text)
    assert second.to_json() == text
    for name in ("log_snr", "trace"):
        assert getattr(second, name).tobytes() == getattr(first, name).tobytes()
    for name, value in first.errors.items():
        assert second.errors[name].tobytes() == value.tobytes()
    for name in ("method", "schedule", "orders", "final", "parameters", "message", "certified", "seconds", "t_end"):
        assert getattr(second, name) == getattr(first, name)
    assert second.certificate == {"active": [0, 3], "multipliers": [0.1, 1 / 3], "violation": math.inf}
    assert second.objective_options["scales"] == [0.1, 5e-324]
    assert second.objective_options["name"] == "inf"  # text stays text
    assert math.isnan(second.objective_options["worst"])
    assert coefficients(second.scheme()) == coefficients(first.scheme())
    assert second.evaluate is None


def test_a_document_says_where_it_comes_from():
    document = json.loads(full().to_json())
    assert document["provenance"] == versions()
    assert document["method_name"] == str(nd.HeavyBall(nd.DPMSolverPP(2), 0.8))
    assert document["schedule"]["class"] == "Flow"


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-12, 12), min_size=3, max_size=20, unique=True))
def test_any_steps_come_back(values):
    steps = result(nd.schedules.EDM(), sorted(values))
    assert TimeSteps.from_json(steps.to_json()).log_snr.tobytes() == steps.log_snr.tobytes()


def test_files_are_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "steps.json"
    full().save(path)
    before = path.read_bytes()
    assert TimeSteps.load(path).to_json().encode() == before

    def broken(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", broken)
    with pytest.raises(OSError, match="cannot be written"):
        on(VP, [0.9, 0.5, 1e-3]).save(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["steps.json"]


def test_an_option_that_no_text_can_hold():
    with pytest.raises(TypeError, match=r"objective_options\.model is a function"):
        on(VP, [0.9, 0.5, 1e-3], objective_options={"model": lambda x: x}).to_json()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"format": "numdiff time steps"', '"format": "other"', "format must be one of 'numdiff time steps'"),
        ('"version": 1', '"version": 2', "version must be one of 1"),
        ('"certified": false', '"certified": 1', "certified must be bool"),
        ('"evaluations": 12', '"evaluations": null', "evaluations must be int"),
        ('"class": "Flow"', '"class": "Flaw"', "did you mean 'Flow'"),
        ('"seconds": 0.1', '"second": 0.1', "'seconds' is missing"),
        ('"seconds": 0.1', '"seconds": NaN', "NaN is not JSON"),
        ('"seconds": 0.1', '"seconds": ', "not JSON"),
        ('"log_snr": [', '"log_snr": [9.0, ', "rise strictly"),
        ('"log_snr": [', '"log_snr": ["a", ', "must be numbers"),
        ('"orders": [1, 2', '"orders": [1, 2, 2', r"orders must suit the method \(.*6"),
        ('"orders": [1, 2', '"orders": [1, 3', r"orders must suit the method"),
        ('"orders": [1, 2', '"orders": [1, "a"', r"orders must suit the method"),
        ('"t_start": 1.0', '"t_start": 2.0', "t_start must be null or a time from 0 to 1, got 2.0"),
        ('"t_start": 1.0', '"t_start": -1.0', "t_start must be null or a time from 0 to 1"),
        ('"t_start": 1.0', '"t_start": 0.5', r"t_start must be the time of log_snr\[0\] = -inf, and not of"),
        ('"t_end": null', '"t_end": 0.5', r"t_end must be the time of log_snr\[-1\] = inf"),
        ('"final": "denoise"', '"final": "denose"', "final must be one of None, 'limit', 'denoise'"),
        ('"start": "lower"', '"start": "higher"', "start must be one of 'lower'"),
    ],
)
def test_documents_that_are_none(old, new, message):
    text = full().to_json()
    assert old in text
    with pytest.raises(ValueError, match=message):
        TimeSteps.from_json(text.replace(old, new))


def test_a_document_is_text():
    with pytest.raises(TypeError, match="JSON string"):
        TimeSteps.from_json(b"{}")
