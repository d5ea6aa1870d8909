"""Presets: what ships, how it is found by name, and that the files are what they say."""

import dataclasses
import json
import math
import re
import sys
from functools import partial

import numpy as np
import pytest

import numdiff as nd
from numdiff.optimize.interpolation import interpolate
from numdiff.optimize.orders import lowered
from numdiff.optimize.presets import FAMILIES, METHODS, STEPS, preset, regenerate
from numdiff.optimize.result import TimeSteps
from numdiff.optimize.timesteps import timesteps

module = sys.modules["numdiff.optimize.presets"]  # nd.optimize.presets is the function


def evenly(method, schedule, steps, *, t_start, t_end, final_zero, orders=None, optimize=()):
    """An optimizer that puts nodes evenly between what is finite of the ends, with digits to round."""
    low, high = schedule.log_snr(t_start), math.inf if final_zero else schedule.log_snr(t_end)
    inner = np.linspace(max(low, -5), min(high, 5), steps + 1)[1:-1] + math.pi * 1e-12
    listed = lowered(method.points, steps) if orders else None
    options = {"orders": listed, "parameters": dict.fromkeys(optimize, 0.7)}
    return TimeSteps(method, schedule, "even", [low, *inner, high], 1 / 3, 2.0, "converged", "", True, 1e-9, **options)


@pytest.fixture
def folder(tmp_path):
    regenerate(tmp_path, optimizer=evenly)
    return tmp_path


def test_every_preset_is_found_and_runs(folder):
    for name, family in FAMILIES.items():
        for key, solver in METHODS.items():
            found = preset(name, 6, key, folder=folder)
            assert found.method == solver.make()
            assert found.orders == (lowered(found.method.points, 6) if solver.orders else None)
            assert found.parameters == dict.fromkeys(solver.optimize, 0.7)
            assert found.schedule == family.make()
            assert found.scheme().steps == 6
            assert (found.log_snr[-1] == math.inf) == family.final_zero


def test_log_snrs_come_back_to_ten_digits(folder):
    family = FAMILIES["vp-linear"]
    schedule = family.make()
    fresh = evenly(nd.UniPC(3), schedule, 20, t_start=1.0, t_end=1e-3, final_zero=False)
    found = preset("vp-linear", 20, "unipc-3", folder=folder)
    np.testing.assert_allclose(found.log_snr, fresh.log_snr, rtol=5.1e-10)
    assert (found.log_snr[0], found.log_snr[-1]) == (schedule.log_snr(1.0), schedule.log_snr(1e-3))
    assert (found.times[0], found.times[-1]) == (1.0, 1e-3)
    assert found.objective == 0.333333
    assert found.certified
    assert found.provenance["numdiff"] == nd.__version__


def test_methods_by_name_by_alias_and_by_value(folder):
    by_key = preset("edm", 5, "unipc-3", folder=folder)
    assert preset("edm", 5, nd.UniPC(3), folder=folder).method == by_key.method
    assert preset("edm", 5, "heun", folder=folder).method == nd.Heun()
    assert preset("edm", 5, "dpmpp_2m", folder=folder).method == nd.DPMSolverPP(2, rule="half")


def test_sdxl_has_the_table_of_stable_diffusion(folder):
    one, other = (preset(name, 10, folder=folder) for name in ("sdxl", "stable-diffusion"))
    assert one.log_snr.tolist() == other.log_snr.tolist()
    assert len(list(folder.iterdir())) == len(FAMILIES) - 1


def test_the_list_names_every_preset(folder, monkeypatch):
    monkeypatch.setattr(module, "FOLDER", folder)
    listed = module.presets()
    assert [(name, key) for name, key, _ in listed] == [(name, key) for name in FAMILIES for key in METHODS]
    assert all(steps == tuple(n for n in STEPS if n <= METHODS[key].most) for _, key, steps in listed)


def test_files_repeat_and_say_where_they_come_from(folder, tmp_path):
    before = (folder / "edm.json").read_bytes()
    lines = []
    regenerate(folder, ["edm"], optimizer=evenly, progress=lines.append)
    assert (folder / "edm.json").read_bytes() == before
    assert lines[0] == "edm, dpmpp-2m, 4 steps"
    assert len(lines) == sum(n <= solver.most for solver in METHODS.values() for n in STEPS)
    document = json.loads(before)
    assert "nd.optimize.regenerate" in document["regenerate"]
    assert set(document["provenance"]) == {"numdiff", "numpy", "scipy"}
    assert document["note"]


def test_a_part_can_be_made(tmp_path):
    regenerate(tmp_path, ["flow"], methods=["heun"], steps=(4,), optimizer=evenly)
    assert preset("flow", 4, "heun", folder=tmp_path).steps == 4
    with pytest.raises(ValueError, match="known: heun"):
        preset("flow", 4, "ddim", folder=tmp_path)


def test_the_real_optimizer_makes_them(tmp_path):
    """What a preset holds is what a computation from another start gives, to the 1e-6 that machines agree to."""
    paper = partial(timesteps, objective="paper", tolerance=1e-10)
    regenerate(tmp_path, ["vp-linear"], methods=["dpmpp-2m", "dpmpp-3m"], steps=(5, 10), optimizer=paper)
    for method in ("dpmpp-2m", "dpmpp-3m"):
        for steps in (5, 10):
            found = preset("vp-linear", steps, method, folder=tmp_path)
            solver = METHODS[method]
            fresh = paper(solver.make(), found.schedule, steps, orders=solver.orders, starts=["quadratic"])
            assert found.certified
            assert fresh.certified
            assert found.objective_name == "paper"
            assert found.objective == pytest.approx(fresh.objective, rel=1e-5)  # stored with 6 digits
            np.testing.assert_allclose(found.log_snr, fresh.log_snr, rtol=0, atol=1e-6)


def attempts(*outcomes):
    """An optimizer whose first, second and third search end with these objectives, certified or not."""
    left = list(outcomes)
    asked = []

    def optimizer(method, schedule, steps, *, starts=None, **options):
        found = evenly(method, schedule, steps, **options)
        objective, certified = left.pop(0)
        asked.append(starts)
        return dataclasses.replace(found, objective=objective, certified=certified, initial_objective=2.0 * objective)

    return optimizer, asked


@pytest.mark.parametrize(
    ("outcomes", "kept"),
    [
        ([(1.0, True)], (1.0, True)),
        ([(1.0, False), (1.0 + 1e-9, True), (2.0, True)], (1.0, True)),
        ([(1.0, False), (1.0, False), (0.5, True)], (0.5, True)),
        ([(1.0, False), (1.0, False), (1.5, True)], (1.0, False)),  # a better one that is not proved stays
        ([(1.0, False), (0.25, False), (0.5, True)], (0.25, False)),
    ],
)
def test_what_is_not_certified_is_tried_again(tmp_path, outcomes, kept):
    optimizer, asked = attempts(*outcomes)
    regenerate(tmp_path, ["flow"], methods=["heun"], steps=(4,), optimizer=optimizer)
    found = preset("flow", 4, "heun", folder=tmp_path)
    assert (found.objective, found.certified) == kept
    assert found.initial_objective == 2.0  # of the usual search
    assert len(asked) == len(outcomes)
    assert asked[0] is None
    if len(asked) > 1:
        assert asked[1][0].objective == outcomes[0][0]


def test_more_steps_that_are_worse_are_tried_from_the_fewer(tmp_path):
    optimizer, asked = attempts((1.0, True), (3.0, True), (0.5, True), (0.25, True))
    regenerate(tmp_path, ["vp-linear"], methods=["ddim"], steps=(4, 8, 9), optimizer=optimizer)
    assert [preset("vp-linear", n, "ddim", folder=tmp_path).objective for n in (4, 8, 9)] == [1.0, 0.5, 0.25]
    assert [asked[i] for i in (0, 1, 3)] == [None] * 3
    fewer = preset("vp-linear", 4, "ddim", folder=tmp_path)
    np.testing.assert_allclose(asked[2][0], interpolate(fewer.log_snr, 8), rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "steps", "method", "error", "message"),
    [
        ("sdx", 10, "heun", ValueError, "did you mean 'sdxl'"),
        ("sd", 10, "heun", ValueError, "did you mean 'stable-diffusion'"),
        ("edm", 10, "unipc3", ValueError, r"no preset for PEC3 .*exact weights \('unipc-3' is nd.UniPC\(3\)\)"),
        ("edm", 10, "unipc-4", ValueError, "no preset for"),
        ("edm", 10, "nonsense", ValueError, "unknown method of the presets 'nonsense'"),
        ("edm", 10, nd.UniPC(2), ValueError, r"no preset for .*use nd\.optimize\.timesteps"),
        ("edm", 10, 3, TypeError, "method must be"),
        ("edm", 21, "heun", ValueError, r"steps = 21; there are 4, 5, .*interpolate"),
        ("edm", True, "heun", ValueError, "steps = True"),
    ],
)
def test_what_there_is_no_preset_for(folder, name, steps, method, error, message):
    with pytest.raises(error, match=message):
        preset(name, steps, method, folder=folder)


def test_the_methods_that_messages_name_are_those_of_the_presets():
    assert METHODS["unipc-3"].make() == nd.UniPC(3) != nd.method("unipc3")
    assert METHODS["dpmpp-2m"].make() == nd.DPMSolverPP(2, rule="half") != nd.DPMSolverPP(2)


def test_names_are_checked_before_anything_is_computed(tmp_path):
    with pytest.raises(ValueError, match="unknown family of presets 'edn'"):
        regenerate(tmp_path / "new", ["edn"], optimizer=None)
    with pytest.raises(ValueError, match="unknown method of the presets 'huen'"):
        regenerate(tmp_path / "new", methods=["huen"], optimizer=None)
    with pytest.raises(ValueError, match="at least one method of the presets"):
        regenerate(tmp_path / "new", methods=[], optimizer=None)
    with pytest.raises(ValueError, match="at least one number of steps"):
        regenerate(tmp_path / "new", steps=(), optimizer=None)
    assert not (tmp_path / "new").exists()


def test_a_file_of_another_version_is_refused(folder):
    path = folder / "edm.json"
    path.write_text(re.sub('"version": 1', '"version": 2', path.read_text()))
    module._read.cache_clear()
    with pytest.raises(ValueError, match="version must be one of 1"):
        preset("edm", 5, folder=folder)


# --- what ships -------------------------------------------------------------------------------------------------------

SHIPPED = [
    ("vp-linear", "dpmpp-2m", 6),
    ("vp-linear", "heun", 10),
    ("stable-diffusion", "dpmpp-3m", 8),
    ("edm", "unipc-3", 5),
    ("flow", "ghvb-2", 7),
    ("flow-shift-3", "hb-dpmpp-2", 9),
    ("edm", "ghvb-2-tuned", 4),
]


@pytest.mark.parametrize(("name", "key", "steps"), SHIPPED)
def test_what_ships_is_what_a_fresh_computation_gives(name, key, steps):
    shipped, solver = preset(name, steps, key), METHODS[key]
    family = FAMILIES[name]
    fresh = timesteps(
        solver.make(),
        family.make(),
        steps,
        final_zero=family.final_zero,
        orders=solver.orders,
        optimize=solver.optimize,
    )
    assert shipped.certified
    assert fresh.certified
    assert shipped.orders == fresh.orders
    assert shipped.objective == pytest.approx(fresh.objective, rel=1e-5)  # stored with 6 digits
    np.testing.assert_allclose(shipped.log_snr, fresh.log_snr, rtol=0, atol=1e-6)
    assert shipped.parameters == pytest.approx(fresh.parameters, rel=0, abs=1e-6)


def test_every_family_ships_every_solver():
    expected = [(name, key, tuple(n for n in STEPS if n <= METHODS[key].most)) for name in FAMILIES for key in METHODS]
    assert nd.optimize.presets() == expected


def test_what_ships_is_no_worse_than_its_start_and_says_where_it_is_not_certified():
    entries = [preset(name, n, key) for name, key, steps in nd.optimize.presets() for n in steps]
    assert all(entry.objective <= entry.initial_objective for entry in entries)
    assert all(entry.objective_name == "mixture-bank" for entry in entries)
    doubtful = [entry for entry in entries if not entry.certified]
    assert all("NOT certified" in entry.message and entry.steps >= 25 for entry in doubtful)
    assert len(doubtful) <= 0.02 * len(entries)


@pytest.mark.parametrize("name", FAMILIES)
def test_what_ships_can_be_run(name):
    for key in METHODS:
        scheme = preset(name, 10, key).scheme()
        assert scheme.steps == 10
        assert (scheme.levels[-1].sigma == 0) == FAMILIES[name].final_zero
