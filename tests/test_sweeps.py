"""Sweeps: every setting once, kept as it comes, wherever joblib lets it run."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
import warnings

import pytest

from numdiff import provenance
from numdiff.study import sweeps

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


@pytest.mark.parametrize(
    ("given", "options", "error", "message"),
    [
        ([{"a": 1}, {"a": 1}], {}, ValueError, r"settings\[0\] and settings\[1\] are the same"),
        ([{"a": object()}], {}, TypeError, r"settings\[0\] = .* is not plain JSON data"),
        ([{"a": float("inf")}], {}, TypeError, r"settings\[0\] = .* is not plain JSON data"),
        ([("a", 1)], {}, TypeError, r"settings\[0\] must be a mapping"),
        ({"a": 1}, {}, TypeError, "put the one into a list"),
        ([{"a": 1}], {"jobs": 0}, ValueError, "jobs must be at least 1, or -1"),
        ([{"a": 1}], {"jobs": 1.5}, TypeError, "jobs must be an int"),
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


# --- processes --------------------------------------------------------------------------------------------------------


def measured(number):
    if number == 3:
        raise ArithmeticError("three")
    return {"square": number**2, "process": os.getpid()}


@pytest.mark.slow
def test_processes_of_loky(tmp_path):
    settings = [{"number": k} for k in range(5)]
    with pytest.raises(sweeps.SweepError, match="number=3 failed: ArithmeticError: three") as caught:
        sweeps.run(measured, settings, out=tmp_path, jobs=2)
    results = [record["result"] for record in caught.value.records]
    assert [one["square"] for one in results] == [0, 1, 4, 16]
    assert os.getpid() not in {one["process"] for one in results}


@pytest.mark.slow
def test_a_dask_cluster_of_two_workers(tmp_path):
    """The client, the scheduler and the workers talk over TCP on this machine, as they would across machines."""
    import joblib

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations in dask's own dependencies
        from distributed import Client, LocalCluster

        # each worker imports this file's directory anew; what is defined here travels by value instead
        with (
            LocalCluster(
                n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None
            ) as cluster,
            Client(cluster),
            joblib.parallel_config(backend="dask"),
        ):
            settings = [{"seconds": 0.2, "number": k} for k in range(8)]
            records = swept(_asleep(), settings, out=tmp_path / "a")
            with pytest.raises(sweeps.SweepError, match="number=9 failed: ArithmeticError: nine"):
                swept(_asleep(), [*settings, {"seconds": 0, "number": 9}], out=tmp_path / "a")
    assert [record["result"]["number"] for record in records] == list(range(8))
    processes = {record["result"]["process"] for record in records}
    assert len(processes) == 2
    assert os.getpid() not in processes
    assert len(list((tmp_path / "a").glob("*.json"))) == 9


def _asleep():
    def asleep(seconds, number):
        time.sleep(seconds)
        if number == 9:
            raise ArithmeticError("nine")
        return {"number": number, "process": os.getpid()}

    return asleep


@pytest.mark.slow
def test_ctrl_c_keeps_what_processes_have_done(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            import sys, time
            from numdiff.study import sweeps

            def nap(number):
                time.sleep(0 if number < 2 else 60)
                return number

            if __name__ == "__main__":
                try:
                    sweeps.run(nap, [{"number": k} for k in range(6)], out=sys.argv[1], jobs=2)
                except KeyboardInterrupt as interrupt:
                    print(interrupt)
            """
        )
    )
    command = [sys.executable, script, tmp_path / "out"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        deadline = time.monotonic() + 60
        while len(list((tmp_path / "out").glob("*.json"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert "2 of 6 settings are done and kept" in out, err
