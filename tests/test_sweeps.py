"""Sweeps: every setting once, kept as it comes, wherever joblib lets it run."""

import functools
import json
import sys
import threading
import warnings

import numpy as np
import pytest

from numdiff import provenance
from numdiff.study import sweep_names, sweeps

SETTINGS = [{"base": base, "power": power} for base in (2, 3) for power in (1, 2, 3)]
EXPECTED = [{"value": 2}, {"value": 4}, {"value": 8}, {"value": 3}, {"value": 9}, {"value": 27}]


def calls():
    """Return a function that is swept, and the list of what it was called with."""
    made = []

    def power(base, power):
        made.append((base, power))
        return {"value": base**power}

    return power, made


def swept(function, settings, **options):
    """Sweep a function that has no name of its own."""
    return sweeps.run(function, settings, name="calls.power", **options)


class Progress:
    def __init__(self):
        self.said = []

    def advance(self, text):
        self.said.append(text)


class Held:
    def __call__(self):
        return 1


def test_records_come_in_order_with_all_that_is_needed_to_read_one_alone(tmp_path):
    function, made = calls()
    progress = Progress()
    records = swept(function, SETTINGS, out=tmp_path / "new" / "folder", progress=progress)
    assert [record["settings"] for record in records] == SETTINGS
    assert [record["result"] for record in records] == EXPECTED
    assert made == [(one["base"], one["power"]) for one in SETTINGS]
    assert len(progress.said) == len(SETTINGS)
    kept = [json.loads(path.read_text()) for path in (tmp_path / "new" / "folder").iterdir()]
    assert sorted(map(repr, kept)) == sorted(map(repr, records))
    assert records[0]["versions"] == provenance.versions()
    assert records[0]["environment"]["device"] == provenance.device()


def test_the_same_call_goes_on_and_makes_damaged_records_anew(tmp_path):
    function, made = calls()
    whole = swept(function, SETTINGS[:4], out=tmp_path)
    again = swept(function, SETTINGS[::-1], out=tmp_path)
    assert again[::-1][:4] == whole
    assert made[4:] == [(3, 3), (3, 2)]
    for path, damage in zip(sorted(tmp_path.iterdir()), (b"", b"{}", b"[1]", b'{"format":'), strict=False):
        path.write_bytes(damage)
    edited = sorted(tmp_path.iterdir())[4]
    edited.write_text(edited.read_text().replace('"result"', '"result" ').replace('"value": ', '"value": 1'))
    del made[:]
    assert [record["result"] for record in swept(function, SETTINGS, out=tmp_path)] == EXPECTED
    assert len(made) == 5
    del made[:]
    swept(function, SETTINGS, out=tmp_path, resume=False)
    assert len(made) == len(SETTINGS)


def test_failures_are_kept_apart_raised_together_and_tried_again(tmp_path):
    broken = {(2, 2), (3, 3)}

    def power(base, power):
        if (base, power) in broken:
            raise ArithmeticError("by\nzero")
        return {"value": base**power}

    with pytest.raises(
        sweeps.SweepError, match="base=2, power=2 failed, and 1 more: ArithmeticError: by zero"
    ) as caught:
        swept(power, SETTINGS, out=tmp_path)
    assert "4 of 6 settings are done and kept" in str(caught.value)
    assert [failure["settings"] for failure in caught.value.failures] == [SETTINGS[1], SETTINGS[5]]
    assert "ArithmeticError" in caught.value.failures[0]["traceback"]
    assert [record["result"] for record in caught.value.records] == [EXPECTED[k] for k in (0, 2, 3, 4)]
    assert len(list(tmp_path.glob("*.failed.json"))) == 2
    broken.clear()
    assert [record["result"] for record in swept(power, SETTINGS, out=tmp_path)] == EXPECTED
    assert not list(tmp_path.glob("*.failed.json"))


@pytest.mark.parametrize("result", [float("nan"), {1, 2}, object()])
def test_what_is_no_json_is_a_failure(result, tmp_path):
    with pytest.raises(sweeps.SweepError, match="JSON"):
        swept(lambda: result, [{}], out=tmp_path)


def test_results_of_another_function_or_other_versions_are_refused(tmp_path, monkeypatch):
    function, _ = calls()
    swept(function, SETTINGS, out=tmp_path)
    with pytest.raises(ValueError, match=r"is a result of calls.power, not of builtins.dict; give another out="):
        sweeps.run(dict, SETTINGS, out=tmp_path)
    monkeypatch.setattr(sweeps.provenance, "versions", lambda: {"numpy": "0.1"})
    with pytest.raises(ValueError, match=r"was made with numpy \S+, and here is 0.1; .* resume=False"):
        swept(function, SETTINGS, out=tmp_path)


def scaled(value, by=1):
    return value * by


def code_of(text):
    """Return the hash of what a text defines as f."""
    space = {}
    exec(text, space)
    return sweep_names.code(space["f"])


def test_what_a_partial_binds_belongs_to_the_function(tmp_path):
    sweeps.run(functools.partial(scaled, by=2), [{"value": 1}], out=tmp_path)
    for other in (scaled, functools.partial(scaled, by=100), functools.partial(scaled, by=2.0)):
        with pytest.raises(ValueError, match=r"is a result of .*scaled\(by=2\), not of .*; give another out="):
            sweeps.run(other, [{"value": 1}], out=tmp_path)
    again = sweeps.run(functools.partial(functools.partial(scaled), by=2), [{"value": 1}], out=tmp_path)
    assert [record["result"] for record in again] == [2]
    with pytest.raises(TypeError, match=r"is a partial that binds <object object .* not plain JSON data"):
        sweeps.run(functools.partial(scaled, by=object()), [{"value": 1}], out=tmp_path)


@pytest.mark.parametrize("function", [lambda: 1, calls()[0], [1].count, functools.partial(lambda: 1), Held()])
def test_a_function_without_a_name_of_its_own_is_given_one(function, tmp_path):
    with pytest.raises(TypeError, match=r"has no name that is its own .*; give name="):
        sweeps.run(function, [{}], out=tmp_path)
    assert not list(tmp_path.iterdir())


def test_code_is_told_by_what_it_does():
    text = "def f(x, k=1):\n    'Doc.'\n    return [x + k + 1 for _ in x if x in {'a', 'b', 'c'}]"
    same = ["\n\n" + text, text.replace("Doc", "Other words"), text.replace("    return", "    # why\n    return")]
    assert {code_of(one) for one in same} == {code_of(text)}
    others = [
        text.replace("k=1", "k=2"),
        text.replace("+ 1", "+ 2"),
        text.replace("+ k", "- k"),
        text.replace("'b'", "'d'"),
    ]
    wrapped = f"import functools\n{text}\ng = f\nf = functools.wraps(g)(lambda x: 2 * g(x))"
    assert len({code_of(one) for one in [text, *others, wrapped, wrapped.replace("+ k", "- k")]}) == 7


def test_results_of_a_function_that_was_changed_are_refused(tmp_path, monkeypatch):
    sweeps.run(scaled, [{"value": 1}], out=tmp_path)
    monkeypatch.setattr(scaled, "__defaults__", (2,))
    with pytest.raises(ValueError, match=r"was made by .*scaled before its code was changed; .* resume=False"):
        sweeps.run(scaled, [{"value": 1}], out=tmp_path)
    (record,) = sweeps.run(scaled, [{"value": 1}], out=tmp_path, resume=False)
    assert record["result"] == 2


def test_what_is_computed_and_what_is_read_are_the_same_data(tmp_path):
    asked = []

    def kinds(pair, x):
        asked.append(pair)
        return {"pair": pair, "tuple": (1, (2,)), "keys": {1: None}, "number": x}

    settings = [{"pair": (1, 2), "x": np.float64(0.1)}]
    first = swept(kinds, settings, out=tmp_path)
    assert repr(first) == repr(swept(kinds, settings, out=tmp_path)) == repr([json.loads(json.dumps(first[0]))])
    assert asked == [[1, 2]]
    with pytest.raises(sweeps.SweepError, match="1 of 2 settings are done"):  # the two keys would become one
        swept(lambda a: {1: "int", str(a): "text"} if a else 0, [{"a": 1}, {"a": 0}], out=tmp_path / "keys")


def test_leaving_by_system_exit_is_a_failure_of_its_setting(tmp_path):
    with pytest.raises(sweeps.SweepError, match=r"code=3 failed: SystemExit: 3. 1 of 2 settings are done"):
        swept(lambda code: code and sys.exit(code), [{"code": 3}, {"code": 0}], out=tmp_path)


def test_a_function_that_cannot_be_sent_is_refused_before_anything_starts(tmp_path):
    lock = threading.Lock()
    with pytest.raises(TypeError, match=r"cannot be sent to other processes .*lock.*; make what it holds"):
        swept(lambda a: lock and a, [{"a": 1}, {"a": 2}], out=tmp_path, jobs=2)
    assert len(swept(lambda a: lock and a, [{"a": 1}, {"a": 2}], out=tmp_path, jobs=2, backend="threading")) == 2


@pytest.mark.parametrize(
    ("given", "options", "error", "message"),
    [
        ([{"a": 1}, {"a": 1}], {}, ValueError, r"settings\[0\] and settings\[1\] are the same"),
        ([{"a": object()}], {}, TypeError, r"settings\[0\] = .* is not plain JSON data"),
        ([{"a": float("inf")}], {}, TypeError, r"settings\[0\] = .* is not plain JSON data"),
        ([("a", 1)], {}, TypeError, r"settings\[0\] must be a mapping"),
        ({"a": 1}, {}, TypeError, "put the one into a list"),
        (5, {}, TypeError, "settings must be a list of mappings, got 5"),
        ([{"a": 1}], {"jobs": 0}, ValueError, "jobs must be at least 1, or -1"),
        ([{"a": 1}], {"jobs": 1.5}, TypeError, "jobs must be an int"),
        ([{"a": 1}], {"backend": 3}, TypeError, "backend must be the name of one, such as 'loky'"),
        ([{"a": 1}], {"progress": 3}, TypeError, r"progress must have a method advance\(text\)"),
        ([{"a": 1}], {"name": ""}, TypeError, "name must be text"),
        ([{"a": 1}], {"backend": "lokky"}, ValueError, "backend 'lokky' cannot be used.*choose loky"),
    ],
)
def test_bad_input(given, options, error, message, tmp_path):
    with pytest.raises(error, match=message):
        sweeps.run(dict, given, out=tmp_path, **options)


def test_a_folder_that_is_a_file_and_what_is_no_function(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="choose another out="):
        sweeps.run(dict, [{"a": 1}], out=tmp_path / "file")
    with pytest.raises(TypeError, match="function must be"):
        sweeps.run("dict", [{"a": 1}], out=tmp_path)
    with pytest.raises(TypeError, match="out must be the path of a folder, got 3"):
        sweeps.run(dict, [{"a": 1}], out=3)
    assert sweeps.run(dict, [], out=tmp_path) == []


def test_a_full_disk_stops_and_keeps_what_was_written(tmp_path, monkeypatch):
    function, made = calls()
    write = sweeps.write_atomically

    def full(path, data):
        if len(made) == 3:
            raise OSError(28, "cannot be written (No space left on device)", str(path))
        write(path, data)

    monkeypatch.setattr(sweeps, "write_atomically", full)
    with pytest.raises(OSError, match="No space left"):
        swept(function, SETTINGS, out=tmp_path)
    monkeypatch.undo()
    swept(function, SETTINGS, out=tmp_path)
    assert len(made) == 3 + 4


def test_an_interrupt_keeps_what_is_done_and_says_so(tmp_path):
    function, _ = calls()

    def stopping(base, power):
        if (base, power) == (3, 1):
            raise KeyboardInterrupt
        return function(base, power)

    with pytest.raises(KeyboardInterrupt, match=r"3 of 6 settings are done and kept in .* the same call goes on"):
        swept(stopping, SETTINGS, out=tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


def test_the_surrounding_backend_is_respected(tmp_path):
    joblib = pytest.importorskip("joblib")
    function, made = calls()
    with joblib.parallel_config(backend="threading", n_jobs=2):  # threads share `made`; processes would not
        assert [record["result"] for record in swept(function, SETTINGS, out=tmp_path / "a")] == EXPECTED
        assert len(made) == 6
        swept(function, SETTINGS, out=tmp_path / "b", jobs=3)
        assert len(made) == 12
    with warnings.catch_warnings():
        records = swept(function, SETTINGS, out=tmp_path / "c", backend="threading", jobs=2)
    assert [record["result"] for record in records] == EXPECTED


def test_a_backend_that_returns_results_all_at_once_is_given_a_round_at_a_time(tmp_path):
    """Ray's and multiprocessing's cannot stream: an interrupt then loses one round, not everything."""
    import joblib
    from joblib._parallel_backends import ThreadingBackend

    class Rounds(ThreadingBackend):
        supports_return_generator = False

    joblib.register_parallel_backend("rounds", Rounds)
    function, _ = calls()

    def stopping(base, power):
        if (base, power) == (3, 3):
            raise KeyboardInterrupt
        return function(base, power)

    with pytest.raises(KeyboardInterrupt, match="4 of 6"):
        swept(stopping, SETTINGS, out=tmp_path, backend="rounds", jobs=2)
