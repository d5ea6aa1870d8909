"""Real processes: gloo ranks under torchrun and without, one of them killed on purpose."""

import contextlib
import os
import socket
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest

from numdiff import sample_distributed
from numdiff.distributed import Samples

pytestmark = pytest.mark.slow

JOB = ["ghvb3", "--beta", "4/5", "--steps", "60", "--guidance", "2", "--batch", "16", "--device", "cpu", "--quiet"]
SAMPLES = ["--samples", "128"]  # eight batches of a sixth of a second: time to be killed in
PATIENCE = 120


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """The set of one rank, drawn in this process."""
    folder = tmp_path_factory.mktemp("one") / "set"
    assert sample_distributed.main([*JOB, *SAMPLES, "--out", str(folder)]) == 0
    return contents(folder)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.glob("shard-*")}


def start(command, **environment):
    own = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "", **environment}
    return subprocess.Popen(
        [sys.executable, *command],
        env=own,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def torchrun(count, folder, *more):
    launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}", *more]
    return start([*launch, "-m", "numdiff.sample_distributed", *JOB, *SAMPLES, "--out", str(folder)])


def ended(process):
    """Wait for the end; return (exit code, standard output, standard error)."""
    try:
        out, err = process.communicate(timeout=PATIENCE)
        return process.returncode, out, err
    finally:
        end(process)


def end(process):
    """Kill a process that is still there, with those that it has started."""
    if process.poll() is None:
        import psutil

        for child in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        process.kill()
    process.communicate()


def rank_of(process, rank):
    """Return the process that is a rank of a torchrun, as soon as it is there."""
    import psutil

    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        for child in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                if child.environ().get("RANK") == str(rank):
                    return child
        time.sleep(0.05)
    raise AssertionError(f"no rank {rank}")


def wait_for(folder, count, process):
    deadline = time.monotonic() + PATIENCE
    while len(list(folder.glob("shard-*"))) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_torchrun_starts_a_killed_rank_again(tmp_path, reference):
    folder = tmp_path / "set"
    process = torchrun(2, folder, "--max-restarts=1", "--monitor-interval=0.1")
    try:
        rank = rank_of(process, 0)
        wait_for(folder, 1, process)
        rank.kill()  # the one that opened the folder, and holds it
    finally:
        code, out, err = ended(process)
    assert code == 0, err
    assert "rank 1:" in out
    assert contents(folder) == reference


def test_a_killed_rank_loses_its_batch_and_another_number_of_ranks_goes_on(tmp_path, reference, capsys):
    """Ranks that a scheduler (srun) has started have nobody who ends them when one dies: the others do its work."""
    folder = tmp_path / "set"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = ["-m", "numdiff.sample_distributed", *JOB, *SAMPLES, "--out", str(folder)]
    place = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    first, second = (start(command, RANK=str(rank), LOCAL_RANK=str(rank), **place) for rank in range(2))
    try:
        wait_for(folder, 2, first)
        second.kill()
    finally:
        ended(second)
        code, _, err = ended(first)
    assert code == 1
    assert "rank 0: error: another rank has gone" in err
    kept = contents(folder)
    assert len(kept) >= len(reference) - 1  # all but the one batch in the dead one's hands
    assert kept == {name: reference[name] for name in kept}  # what is there is whole

    one, *others = sorted(kept)
    (folder / one).write_bytes(kept[one][:-8] + bytes(8))
    (folder / others[0]).unlink()
    (folder / f".{one}.abcdef").write_bytes(b"half")  # what a rank killed while writing leaves
    assert sample_distributed.main([*JOB, *SAMPLES, "--out", str(folder)]) == 0  # one rank now, in this process
    assert f"{len(reference) - len(kept) + 2} batches drawn, {len(kept) - 2} kept" in capsys.readouterr().out
    assert contents(folder) == reference
    assert len(Samples(folder).array()) == 128
    assert not list(folder.glob(".shard-*"))


def test_a_pipeline_draws_image_i_as_it_would_alone(tmp_path, capsys):
    """Seeds are S, S + 1, ...; what is drawn in batches is what the library draws one by one, to a grey level."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations of diffusers' own dependencies
        from tests.pipelines import saved, tiny

        folder = saved("dit", tmp_path / "dit")
        options = ["--pipeline", str(folder), "--labels", "1,2,3", "--steps", "4", "--guidance", "1", "--seed", "5"]
        options += ["--samples", "5", "--batch", "2", "--device", "cpu", "--quiet", "--out"]
        assert sample_distributed.main(["ghvb2", "--beta", "4/5", *options, str(tmp_path / "set")]) == 0
        capsys.readouterr()
        from numdiff.adapters.diffusers import NumdiffScheduler
        from numdiff.adapters.pipelines.generate import generate

        pipe = tiny("dit")
        asked = {"method": "ghvb", "method_options": {"order": 2, "beta": 0.8}}
        scheduler = NumdiffScheduler.from_config(pipe.scheduler.config, **asked)
        samples = Samples(tmp_path / "set")
        for i in range(5):
            call = {"class_labels": [1 + i % 3], "guidance_scale": 1.0, "num_inference_steps": 4}
            (alone,) = generate(pipe, [5 + i], scheduler=scheduler, **call)
            np.testing.assert_allclose(samples[i].astype(int), alone.astype(int), atol=1)
    assert samples.labels.tolist() == [1, 2, 3, 1, 2]
    assert len({samples[i].tobytes() for i in range(5)}) == 5
