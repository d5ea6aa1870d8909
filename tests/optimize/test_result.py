"""Results: what follows from the log-SNRs, rounding to a table, and documents that come back bit for bit."""

import dataclasses
import json
import math
import os

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
    with pytest.raises(ValueError, match="no parameter 'gamma'"):
        _ = on(VP, [0.9, 0.5, 1e-3], parameters={"gamma": 1.0}).tuned


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


# --- rounding ---------------------------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.0012, 0.998), min_size=2, max_size=12, unique_by=lambda t: round(t * 250)))
def test_timesteps_are_the_nearest_entries(inner):
    times = sorted({1.0, *inner, 0.001}, reverse=True)
    steps = on(TABLE, times, t_start=1.0)
    abar = np.array(TABLE.alphas_cumprod)
    entries = 0.5 * np.log(abar / (1 - abar))
    every = [int(np.argmin(np.abs(entries - lam))) for lam in steps.log_snr]
    if len(set(every)) == len(every):
        assert steps.timesteps.tolist() == every[:-1]
        assert steps.rounded_to(entries).shift == pytest.approx(np.abs(entries[every] - steps.log_snr).max(), abs=1e-12)
    else:
        with pytest.raises(ValueError, match="closer than the table"):
            _ = steps.timesteps


def test_entries_stay_and_cost_nothing():
    grid = nd.grids.from_timesteps(TABLE, [999, 700, 300, 20], final="zero")
    steps = on(TABLE, grid, evaluate=lambda z: float(z @ z), objective=0.0)
    steps = dataclasses.replace(steps, objective=float(steps.log_snr[1:-1] @ steps.log_snr[1:-1]))
    assert steps.timesteps.tolist() == [999, 700, 300, 20]
    assert steps.rounding == pytest.approx(1.0, abs=1e-12)


def test_rounding_is_the_objective_there_over_the_objective_here():
    z = np.array([TABLE.log_snr(0.5004), TABLE.log_snr(0.2003)])
    minimum = {"evaluate": lambda x: 1.0 + float((x[:2] - z) @ (x[:2] - z)) + x[2], "objective": 1.25}
    ends = TABLE.log_snr(1.0), TABLE.log_snr(0.001)
    steps = result(TABLE, [ends[0], *z, ends[1]], method=nd.GHVB(2, 0.25), parameters={"beta": 0.25}, **minimum)
    integers, after = steps.rounded()
    moved = np.array([TABLE.log_snr(0.5), TABLE.log_snr(0.2)])  # entries 499 and 199
    assert integers.tolist() == [999, 499, 199]
    assert after == pytest.approx(1.25 + (moved - z) @ (moved - z), rel=1e-12)
    assert steps.rounding == after / 1.25


def test_colliding_steps_are_named():
    with pytest.raises(ValueError, match=r"nodes 1 and 2 .* on entry 499; .*fewer steps or a larger gap"):
        _ = on(TABLE, [1.0, 0.5002, 0.4999, 0.1, 0.001]).timesteps


def test_a_table_that_ends_at_no_signal():
    table = nd.schedules.Discrete(alphas_cumprod=[0.99, 0.7, 0.3, 0.0])
    steps = result(table, [-math.inf, table.log_snr(0.5), math.inf])
    assert steps.timesteps.tolist() == [3, 1]


def test_what_cannot_be_rounded():
    with pytest.raises(TypeError, match=r"entries of a table.*use times"):
        _ = on(VP, [0.9, 0.5, 1e-3]).timesteps
    with pytest.raises(ValueError, match="optimize again"):
        on(TABLE, [1.0, 0.5, 0.001]).rounded()
    with pytest.raises(ValueError, match="fall strictly"):
        on(TABLE, [1.0, 0.5, 0.001]).rounded_to([0.0, 1.0])


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
