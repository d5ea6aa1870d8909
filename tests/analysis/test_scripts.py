"""Every script of analysis writes its figure or table and its numbers, and what it says agrees with the library."""

import importlib
import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import numdiff as nd
from numdiff.study import script
from numdiff.study.regions import unpack

ROOT = Path(__file__).parents[2] / "analysis"
NAMES = sorted(path.stem for path in ROOT.glob("*.py") if not path.stem.startswith("_"))
LONG = {"guidance", "start_and_grid", "stochastic", "time_steps_digits", "time_steps_quality", "work_precision"}
CASES = [pytest.param(name, marks=[pytest.mark.slow] * (name in LONG)) for name in NAMES]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Run a script once, reduced, and return its files by suffix with its numbers."""
    done = {}

    def run(name):
        if name not in done:
            module = importlib.import_module(f"analysis.{name}")
            out = tmp_path_factory.mktemp(name)
            files = script.main(name, module.__doc__, module.compute, module.draw, ["--out", str(out), "--fast"])
            done[name] = {path.suffix: path for path in files}, json.loads((out / f"{name}.json").read_text())
        return done[name]

    return run


@pytest.mark.parametrize("name", CASES)
def test_a_script_writes_its_figure_or_table_and_its_numbers(name, written):
    files, numbers = written(name)
    figure, table = {".pdf", ".png", ".svg"}, {".md"}
    assert set(files) - {".json"} in (figure, table, figure | table)
    assert ".json" in files
    assert all(path.stat().st_size > 200 for path in files.values())
    assert numbers


def test_regions_end_where_the_exact_intervals_do(written):
    _, numbers = written("regions_plms")
    for panel in numbers["panels"]:
        x, y = np.array(panel["x"]), np.array(panel["y"])
        row = np.argmin(np.abs(y))
        for region in panel["regions"].values():
            end = -float(Fraction(region["real interval"]))
            inside = unpack(region["inside"], (len(y), len(x)))[row]
            if end > x[0]:
                beyond = x < end - 2 * (x[1] - x[0])
                assert inside[(x > end) & (x < -0.05)].mean() > 0.9
                assert not inside[beyond].any()


def test_every_marked_method_is_dominated_at_its_own_error_constant(written):
    _, numbers = written("tradeoff")
    for panel in numbers["orders"].values():
        assert panel["marked"]
        for pair in panel["marked"]:
            ours, theirs = pair["method"], pair["dominated by"]
            assert theirs["order"] >= ours["order"]
            assert theirs["error constant"] <= ours["error constant"] * (1 + 1e-12)
            assert theirs["real interval"] > ours["real interval"]


@pytest.mark.slow
def test_observed_orders_are_those_that_are_proved(written):
    """With 640 steps at most; smooth grids, where two errors of the same order may cancel in part, come near slowly."""
    _, numbers = written("start_and_grid")
    for row in numbers["rows"]:
        assert abs(row["observed"] - row["proved"]) < (0.8 if row["grid"] == "smooth" else 0.3), row


def test_spectral_distances_fall_with_the_steps(written):
    _, numbers = written("spectral")
    for name, values in numbers["W2"].items():
        assert values[-1] < values[0], name
    again = nd.spectral.response(
        nd.DDIM().discretize(nd.schedules.VPLinear(), nd.grids.uniform_log_snr(nd.schedules.VPLinear(), steps=10)),
        np.array(numbers["s"]),
    )
    np.testing.assert_allclose(numbers["gains at 10 steps"]["DDIM"]["gain"], again.gain, rtol=1e-15)


def test_a_script_refuses_what_it_does_not_know(capsys):
    with pytest.raises(SystemExit):
        script.main("x", "One line.", lambda fast: {}, lambda numbers: "", ["--nonsense"])
    assert "usage: python -m analysis.x" in capsys.readouterr().err
