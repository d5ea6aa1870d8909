"""Sweeps on several processes: loky's, a Dask cluster's, and what happens when they end early."""

import importlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings

import pytest

from numdiff.study import sweeps

pytestmark = pytest.mark.slow


def swept(function, settings, **options):
    """Sweep a function that has no name of its own."""
    return sweeps.run(function, settings, name="local", **options)


def measured(number):
    if number == 3:
        raise ArithmeticError("three")
    return {"square": number**2, "process": os.getpid()}


def test_processes_of_loky(tmp_path):
    settings = [{"number": k} for k in range(5)]
    with pytest.raises(sweeps.SweepError, match="number=3 failed: ArithmeticError: three") as caught:
        sweeps.run(measured, settings, out=tmp_path, jobs=2)
    results = [record["result"] for record in caught.value.records]
    assert [one["square"] for one in results] == [0, 1, 4, 16]
    assert os.getpid() not in {one["process"] for one in results}


@pytest.fixture
def dask():
    """A Dask cluster of two workers, which talk over TCP on this machine as they would across machines."""
    import joblib

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations in dask's own dependencies
        import dask
        from distributed import Client, LocalCluster

        two = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "host": "127.0.0.1"}
        # a worker that dies is started again up to three times for the same task; here none
        with (
            dask.config.set({"distributed.scheduler.allowed-failures": 0}),
            LocalCluster(**two, dashboard_address=None, silence_logs=50) as cluster,
            Client(cluster),
            joblib.parallel_config(backend="dask"),
        ):
            yield


def test_a_dask_cluster_of_two_workers(tmp_path, dask, monkeypatch):
    settings = [{"seconds": 0.1, "number": k} for k in range(8)]
    records = swept(_asleep(), settings, out=tmp_path / "a")
    assert [record["result"]["number"] for record in records] == list(range(8))
    processes = {record["result"]["process"] for record in records}
    assert len(processes) == 2
    assert os.getpid() not in processes

    lock = threading.Lock()
    with pytest.raises(TypeError, match="cannot be sent to other processes"):
        swept(lambda number: lock, [{"number": 1}], out=tmp_path / "b")

    (tmp_path / "only_here.py").write_text("def one(number):\n    return number")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(sweeps.SweepError, match="No module named 'only_here'"):
        sweeps.run(importlib.import_module("only_here").one, [{"number": 1}], out=tmp_path / "c")

    more = [{"seconds": 0.1, "number": k} for k in (9, 10, 11)]  # 9 raises, 10 kills its worker
    with pytest.raises(sweeps.SweepError, match="number=9 failed, and 1 more: ArithmeticError: nine") as caught:
        swept(_asleep(), [*settings, *more], out=tmp_path / "a")
    assert caught.value.failures[1]["settings"] == more[1]
    assert "KilledWorker" in caught.value.failures[1]["error"]
    assert [record["settings"] for record in caught.value.records] == [*settings, more[2]]
    assert len(list((tmp_path / "a").glob("*.json"))) == 11


def _asleep():
    """A function that travels by value: each worker would import this file anew."""

    def asleep(seconds, number):
        time.sleep(seconds)
        if number == 9:
            raise ArithmeticError("nine")
        if number == 10:
            os.kill(os.getpid(), signal.SIGKILL)
        return {"number": number, "process": os.getpid()}

    return asleep


def test_a_dask_cluster_that_goes_away_is_noticed(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from distributed import Client, LocalCluster

        with LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as cluster:
            client = Client(cluster)

            class Closing:
                def advance(self, text):
                    client.close()

            with pytest.raises(
                RuntimeError, match=r"Client has gone; start it again. 1 of 3 settings are done and kept"
            ):
                swept(lambda a: a, [{"a": k} for k in range(3)], out=tmp_path, backend="dask", progress=Closing())


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
