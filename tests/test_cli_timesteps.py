"""``numdiff timesteps``: what is printed and written, and what is refused."""

import itertools
import json

import numpy as np
import pytest

import numdiff as nd
from tests.commands import answer, run

PAPER = ("timesteps", "dpmpp", "--order", "2", "--steps", "6", "--objective", "paper")


@pytest.fixture(scope="module")
def result():
    return nd.optimize.timesteps(nd.DPMSolverPP(2), nd.schedules.VPLinear(), 6, objective="paper")


def numbers(text):
    return [float(word) for word in text.replace("\n", "").split(",")]


def test_the_table_says_what_was_optimized_and_how_far_it_is_proved(capsys, result):
    head, second, *rows = answer(capsys, *PAPER).splitlines()
    assert head == "AB2 data/log-snr: 6 steps on vp-linear for paper"
    assert f"{result.initial_objective:.6g} -> {result.objective:.6g}; certified" in second
    assert rows[0].split() == ["step", "time", "log-SNR", "alpha", "sigma"]
    printed = np.array([row.split() for row in rows[1:]], dtype=float)
    expected = np.stack([range(7), result.times, result.log_snr, result.alphas, result.sigmas], axis=1)
    np.testing.assert_allclose(printed, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("form", ["times", "log-snr", "sigmas"])
def test_lists_are_what_other_programs_read(capsys, result, form):
    expected = {"times": result.times, "log-snr": result.log_snr, "sigmas": result.sigmas / result.alphas}[form]
    np.testing.assert_allclose(numbers(answer(capsys, *PAPER, "--form", form)), expected, rtol=1e-7)


def test_timesteps_are_entries_of_the_table(capsys):
    options = ("timesteps", "dpmpp", "--order", "2", "--steps", "6", "--objective", "ays", "--form", "timesteps")
    found = numbers(answer(capsys, *options, "--schedule", "stable-diffusion"))
    assert found[0] == 999
    assert all(a > b >= 0 and float(b).is_integer() for a, b in itertools.pairwise(found))
    code, _, err = run(capsys, *options)
    assert code == 2
    assert "timesteps are entries of a table" in err


def test_json_loads_back(capsys, result, tmp_path):
    text = answer(capsys, *PAPER, "--form", "json")
    np.testing.assert_array_equal(nd.optimize.TimeSteps.from_json(text).log_snr, result.log_snr)
    assert json.loads(text)["objective_name"] == "paper"
    out = answer(capsys, *PAPER, "--out", tmp_path / "steps.json")
    assert out.endswith(f"wrote {tmp_path / 'steps.json'}\n")
    np.testing.assert_array_equal(nd.optimize.TimeSteps.load(tmp_path / "steps.json").log_snr, result.log_snr)


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_figures_are_written(capsys, tmp_path, ending):
    answer(capsys, *PAPER, "--out", tmp_path / f"steps.{ending}")
    start = (tmp_path / f"steps.{ending}").read_bytes()[:5]
    assert start == {"png": b"\x89PNG\r", "svg": b"<?xml", "pdf": b"%PDF-"}[ending]


def test_parameters_orders_and_starts_reach_the_optimizer(capsys):
    options = ("timesteps", "ghvb", "--order", "2", "--beta", "0.8", "--steps", "5", "--objective", "paper")
    tuned = answer(capsys, *options, "--optimize", "beta", "--start", "quadratic")
    assert "paper, beta = " in tuned
    assert "\norders 1,1,2,2,1\n" in answer(capsys, *options, "--orders", "1,1,2,2,1")


def test_bounds_and_tolerance_reach_the_optimizer(capsys):
    options = ("timesteps", "ghvb", "--order", "2", "--beta", "0.8", "--steps", "5", "--objective", "paper")
    inside = answer(capsys, *options, "--optimize", "beta", "--bounds", "beta=0.75:0.8")
    assert 0.75 <= float(inside.split("beta = ")[1].split()[0].rstrip(",")) <= 0.8
    velocity = ("timesteps", "filtered-adams", "--order", "2", "--beta", "0.8", "--objective", "paper")
    tuned = answer(capsys, *velocity, "--optimize", "momentum", "--bounds", "momentum=0:0.1")
    assert "paper, momentum = " in tuned
    rough, fine = (answer(capsys, *PAPER, "--tolerance", x, "--form", "json") for x in ("1e-2", "1e-10"))
    assert len(json.loads(rough)["trace"]) < len(json.loads(fine)["trace"])


def test_a_time_limit_prints_the_best_so_far_and_warns(capsys):
    code, out, err = run(
        capsys, "timesteps", "dpmpp3", "--steps", "80", "--objective", "paper", "--time-limit", "0.001"
    )
    assert code == 0
    assert "NOT certified" in out
    assert err.startswith("warning: not certified")


def test_progress_goes_to_standard_error(capsys, result):
    code, out, err = run(capsys, *PAPER, "--form", "times", "--progress")
    assert code == 0
    np.testing.assert_allclose(numbers(out), result.times, rtol=1e-7)
    assert err.endswith("\n")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--objective", "papr"), "did you mean 'paper'"),
        (("--objective", "probe:nothing"), "unknown mixture behind probe"),
        (("--shift", "3"), "--shift belongs to --schedule flow"),
        (("--orders", "a,b"), "--orders must be whole numbers"),
        (("--gap", "9"), "gap: 6 gaps"),
        (("--t-end", "2"), "t_end = 2.0 lies outside"),
        (("--optimize", "gamma"), "--optimize gamma needs the range of gamma too, by --bounds NAME=LOW:HIGH"),
        (("--bounds", "gamma=0:1"), "--bounds gamma belongs to --optimize gamma, which is missing"),
        (("--bounds", "gamma"), "'gamma' is not NAME=LOW:HIGH"),
        (("--bounds", "gamma=1"), "the range of gamma is '1' and not LOW:HIGH"),
        (("--bounds", "gamma=1:0"), "must have LOW below HIGH"),
        (("--bounds", "gamma=0:x"), "'x' is not a number"),
        (("--optimize", "gamma", "--bounds", "gamma=0:1", "--bounds", "gamma=0:2"), "gives a parameter twice"),
        (("--tolerance", "-1"), "tolerance must be positive"),
        (("--objective", "ays", "--final-zero"), "leave out --final-zero and give --t-end"),
        (("--start", "nowhere"), "unknown start"),
        (("--form", "lists"), "form"),
        (("--out", "steps.txt"), "--out"),
    ],
)
def test_mistakes_are_named(capsys, options, message):
    code, out, err = run(capsys, *PAPER, *options)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err
