"""A job in one process, or with threads for ranks: who draws what, what stops it, what is kept."""

import errno
import json
import os
import signal
import threading
import time

import numpy as np
import pytest
import torch

import numdiff as nd
from numdiff import sample_distributed
from numdiff.distributed import (
    BatchError,
    Denoiser,
    LostRankError,
    Plan,
    Ranks,
    Samples,
    Several,
    StoppedError,
    batches,
    ranks,
    shards,
    work,
)

ALONE = Ranks(0, 1, 0, "cpu")


class Counting:
    """A source whose sample i is i, and which does as it is told when it draws a batch."""

    def __init__(self, then=None, **settings):
        self.settings, self.then, self.drawn = {"seed": 0, **settings}, then or {}, []

    def draw(self, batch):
        self.drawn.append(batch.number)
        self.then.get(batch.number, lambda: None)()
        return {"samples": np.array(batch.indices, dtype=np.float32)[:, None]}


class Bar:
    def __init__(self):
        self.shown = 0

    def update(self, more):
        self.shown += more


def alone():
    return Ranks(0, 1, 0, torch.device("cpu"))


def fails(error):
    def fail():
        raise error

    return fail


# --- one rank ---------------------------------------------------------------------------------------------------------


def test_a_set_is_drawn_once_and_entered_into_the_manifest(tmp_path):
    source, again, bar = Counting(), Counting(), Bar()
    plan = Plan(tmp_path / "set", 10, 4, command=["me"])
    (tally,) = work(source, plan, alone(), progress=bar)
    assert (tally.drawn, tally.samples, tally.kept, bar.shown) == (3, 10, 0, 3)
    (tally,) = work(again, plan, alone())
    assert (tally.drawn, tally.kept, again.drawn) == (0, 3, [])
    assert Samples(tmp_path / "set").array()[:, 0].tolist() == list(range(10))
    found = json.loads((tmp_path / "set" / "manifest.json").read_text())
    assert [(run["ranks"], run["kept"], run["each"][0]["batches"]) for run in found["runs"]] == [(1, 0, 3), (1, 3, 0)]
    assert (
        found["settings"] | {"n": 10, "batch": 4, "device": "cpu", "threads": torch.get_num_threads()}
        == found["settings"]
    )


def test_a_failure_names_the_rank_and_the_samples_and_keeps_the_rest(tmp_path):
    plan = Plan(tmp_path, 10, 4)
    with pytest.raises(BatchError, match=r"rank 0, batch 1 \(samples 4 to 7\): the model is ill"):
        work(Counting({1: fails(ValueError("the model\nis ill"))}), plan, alone())
    source = Counting()
    work(source, plan, alone())
    assert source.drawn == [1, 2]


def test_no_memory_gives_advice(tmp_path):
    with pytest.raises(BatchError, match=r"Use a --batch smaller than 4, with another --out"):
        work(Counting({0: fails(MemoryError("9 GiB"))}), Plan(tmp_path, 10, 4), alone())


def test_a_full_disk_says_so_and_loses_nothing(tmp_path, monkeypatch):
    plan, write = Plan(tmp_path, 10, 4), shards.write_atomically

    def full(path, data):
        if "000001" in path.name:
            raise OSError(errno.ENOSPC, "cannot be written (No space left on device)", str(path))
        write(path, data)

    monkeypatch.setattr(shards, "write_atomically", full)
    with pytest.raises(
        OSError, match=r"No space left on device\), in rank 0, batch 1 .*the same command goes on"
    ) as caught:
        work(Counting(), plan, alone())
    assert caught.value.filename == str(tmp_path / "shard-000001.safetensors")
    monkeypatch.undo()
    source = Counting()
    work(source, plan, alone())
    assert source.drawn == [1, 2]


def test_sigterm_lets_the_batch_finish(tmp_path):
    plan = Plan(tmp_path, 10, 4)
    before = signal.getsignal(signal.SIGTERM)
    source = Counting({1: lambda: os.kill(os.getpid(), signal.SIGTERM)})
    with pytest.raises(StoppedError, match=r"stopped after batch 1 .*; 2 of 3 batches are kept in .* the same command"):
        work(source, plan, alone())
    assert signal.getsignal(signal.SIGTERM) is before
    source = Counting()
    work(source, plan, alone())
    assert source.drawn == [2]


def test_ctrl_c_does_not_wait(tmp_path):
    plan = Plan(tmp_path, 10, 4)
    with pytest.raises(KeyboardInterrupt):
        work(Counting({1: lambda: os.kill(os.getpid(), signal.SIGINT)}), plan, alone())
    source = Counting()
    work(source, plan, alone())
    assert source.drawn == [1, 2]


# --- several ranks ----------------------------------------------------------------------------------------------------


class Thread(Several):
    """A rank that is a thread; what a process group would gather, a barrier does."""

    def gathered(self, numbers, waiting):
        self.store.set(f"numbers/{self.rank}", json.dumps(numbers))
        return [json.loads(self.store.get(f"numbers/{rank}")) for rank in range(self.size)]


def together(plans, sources, seconds=20):
    """Run one thread a plan; return what each returned or raised."""
    store, found = torch.distributed.HashStore(), [None] * len(plans)
    store.set_timeout(ranks.timedelta(seconds=seconds))

    def run(rank):
        try:
            here = Thread(rank, len(plans), rank, torch.device("cpu"), store=store)
            found[rank] = work(sources[rank], plans[rank], here)
        except BaseException as error:
            found[rank] = error

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(len(plans))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return found


def test_ranks_deal_the_batches_and_the_files_are_those_of_one(tmp_path):
    sources = [Counting() for _ in range(4)]
    found = together([Plan(tmp_path / "four", 50, 3)] * 4, sources)
    assert sorted(number for source in sources for number in source.drawn) == list(range(len(batches(50, 3))))
    assert [tally.drawn for tally in found[0]] == [len(source.drawn) for source in sources]
    work(Counting(), Plan(tmp_path / "one", 50, 3), alone())
    for path in (tmp_path / "one").glob("shard-*"):
        assert path.read_bytes() == (tmp_path / "four" / path.name).read_bytes()


def test_ranks_that_were_started_differently_do_not_mix(tmp_path):
    found = together([Plan(tmp_path, 8, 4)] * 2, [Counting(), Counting(steps=3)], seconds=0.5)
    assert isinstance(found[1], ValueError)
    assert "the ranks were started differently: steps is 3 here and None on rank 0" in str(found[1])


def test_only_rank_0_says_that_the_folder_is_another_s(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    first, second = together([Plan(tmp_path, 8, 4)] * 2, [Counting(), Counting()])
    assert "holds 'thesis.tex'" in str(first)
    assert isinstance(second, SystemExit)
    assert second.code == 2


def test_more_ranks_than_batches(tmp_path):
    said = []
    store = torch.distributed.HashStore()
    here = Thread(0, 1, 0, torch.device("cpu"), store=store)
    here.size = 3
    for rank in (1, 2):
        store.set(f"numbers/{rank}", "[0, 0, 0, 0]")
    work(Counting(), Plan(tmp_path, 8, 4), here, say=said.append)
    assert said == ["3 ranks for 2 batches: the others have nothing to do; use a smaller --batch"]


def test_a_rank_that_never_comes_is_missed(tmp_path):
    store = torch.distributed.HashStore()
    store.set_timeout(ranks.timedelta(seconds=0.2))
    here = Several(1, 2, 1, torch.device("cpu"), store=store, timeout=0.2)
    with pytest.raises(LostRankError, match=r"rank 0 did not say its settings within 0.2 s, or has gone"):
        work(Counting(), Plan(tmp_path, 8, 4), here)


def test_a_new_start_is_told_from_the_old_one_in_a_store_that_remembers(tmp_path):
    """torchrun keeps its store: what the ranks of three starts wrote must not be taken for today's."""
    store, names = torch.distributed.HashStore(), []
    for start in range(3):
        found = {}

        def meet(rank, found=found):
            found[rank] = ranks.met(store, rank, 3, 20)

        threads = [threading.Thread(target=meet, args=(rank,)) for rank in ((2, 1, 0) if start else (0, 1, 2))]
        for thread in threads:
            thread.start()
            time.sleep(0.02)  # later starts see the old name first
        for thread in threads:
            thread.join(30)
        assert len(set(found.values())) == 1
        names.append(found[0])
    assert len(set(names)) == 3
    with pytest.raises(LostRankError, match="are all ranks started"):
        ranks.met(store, 1, 2, 0.1)
    with pytest.raises(LostRankError, match="are all ranks started"):
        ranks.met(store, 0, 2, 0.1)


# --- where a rank computes --------------------------------------------------------------------------------------------


def test_every_rank_has_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [str(ranks.device(name, 1)) for name in ("auto", "cuda", "cpu")] == ["cuda:1", "cuda:1", "cpu"]
    with pytest.raises(ValueError, match=r"local rank 2 has no GPU of its own: .* sees 2 .*--nproc-per-node=2"):
        ranks.device("auto", 2)


def test_ranks_with_gpus_meet_over_nccl(monkeypatch):
    """The calls that torch is given; that NCCL answers them takes GPUs."""
    from torch import distributed

    store, made = distributed.HashStore(), []
    for name, value in {
        "RANK": "1",
        "WORLD_SIZE": "2",
        "LOCAL_RANK": "1",
        "MASTER_ADDR": "a",
        "MASTER_PORT": "1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", made.append)
    monkeypatch.setattr(distributed, "rendezvous", lambda *given, **more: iter([(store, 1, 2)]))
    monkeypatch.setattr(ranks, "met", lambda *given: "today")
    monkeypatch.setattr(distributed, "init_process_group", lambda *given, **more: made.append((given, more)))
    monkeypatch.setattr(distributed, "destroy_process_group", lambda: made.append("left"))
    with ranks.connected("auto", 5) as here:
        assert (here.rank, here.size, str(here.device)) == (1, 2, "cuda:1")
        assert here.claim() == 0
        assert here.claim() == 1
    device, ((backend,), options), left = made
    assert (str(device), backend, left) == ("cuda:1", "nccl", "left")
    assert (options["rank"], options["world_size"], options["device_id"]) == (1, 2, device)


def test_no_gpu_and_no_device():
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match=r"has no GPU of its own: .* sees none on this machine; use --device cpu"):
            ranks.device("cuda")
    with pytest.raises(ValueError, match="device must be 'auto', 'cpu' or 'cuda', got 'tpu'"):
        ranks.device("tpu")


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"WORLD_SIZE": "2"}, "WORLD_SIZE is 2 but RANK, LOCAL_RANK, MASTER_ADDR, MASTER_PORT is not set; start the"),
        ({"WORLD_SIZE": "x"}, "WORLD_SIZE is 'x' in the environment, not a number; start the ranks with torchrun"),
        ({"WORLD_SIZE": "2", "RANK": ""}, "RANK is '' in the environment, not a number"),
        ({"WORLD_SIZE": "-1"}, "WORLD_SIZE is '-1' in the environment"),
    ],
)
def test_half_an_environment_is_one_line(variables, message, monkeypatch, capsys, tmp_path):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    code, out, err = main(capsys, "ddim", "--out", tmp_path / "x")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_a_rank_beyond_the_number_of_ranks_is_refused(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "2")
    with pytest.raises(ValueError, match="RANK is 2 and WORLD_SIZE 2, but ranks count from 0 to WORLD_SIZE - 1"):
        ranks.asked()


# --- a denoiser -------------------------------------------------------------------------------------------------------


def main(capsys, *arguments):
    """Return (exit code, standard output, standard error)."""
    where = [] if "--device" in arguments else ["--device", "cpu"]
    code = sample_distributed.main([*map(str, arguments), *where, "--quiet"])
    found = capsys.readouterr()
    return code, found.out, found.err


def test_the_samples_are_the_library_s_whatever_the_batch(capsys, tmp_path):
    """A stochastic method: its noise too belongs to the sample, not to the batch."""
    few = ["euler_a", "--steps", 4, "--guidance", 2, "--labels", "7,1-3", "--seed", 5, "--n", 10]
    for name, size in (("a", 10), ("b", 4)):
        code, out, err = main(capsys, *few, "--batch", size, "--out", tmp_path / name)
        assert (code, err) == (0, "")
        assert "10 samples" in out
    model, noise = nd.models.digits(), nd.noise.Seeded(5)
    labels = [7, 1, 2, 3, 7, 1, 2, 3, 7, 1]
    scheme = nd.method("euler_a").discretize(model.schedule, nd.grids.uniform_log_snr(model.schedule, 4))
    with torch.inference_mode():
        x = noise.initial(torch.empty(10, 64))
        expected = nd.sample(scheme, model.conditioned(labels, 2.0), x, prediction="v", noise=noise)
    one, other = (Samples(tmp_path / name) for name in "ab")
    assert one.labels.tolist() == labels
    # float32, summed in another order for another batch, over 4 evaluations of 3 blocks
    np.testing.assert_allclose(one.array().reshape(10, 64), expected.numpy(), atol=1e-4)
    np.testing.assert_allclose(one.array(), other.array(), atol=1e-4)
    assert abs(one.array()[1] - one.array()[5]).max() > 0.1  # the same class, another noise


def test_initial_noise_is_normal_and_a_stream_of_its_own():
    source = nd.noise.Seeded(3, first=2)
    x = source.initial(torch.empty(20000, 2, dtype=torch.float64)).numpy()
    np.testing.assert_array_equal(x[5:7], nd.noise.Seeded(3, first=7).initial(np.empty((2, 2))))
    z = source.bind(x, None)(0, 0)
    for moment, expected in ((x.mean(), 0), ((x**2).mean(), 1), ((x * z).mean(), 0), ((x[:, 0] * x[:, 1]).mean(), 0)):
        assert abs(moment - expected) < 5 * np.sqrt(2 / x.size) * 2  # five standard errors


def test_a_model_that_returns_nan(tmp_path):
    source = Denoiser("digits", nd.DDIM(), steps=2)
    with torch.no_grad():
        source.denoiser.outward.bias.fill_(float("nan"))
    with pytest.raises(
        BatchError, match=r"rank 0, batch 0 \(samples 0 to 3\): the model returned a value that is not f"
    ):
        work(source, Plan(tmp_path, 4, 4), alone())


def test_other_weights_are_another_set(tmp_path):
    source = Denoiser("digits", nd.DDIM(), steps=2)
    work(source, Plan(tmp_path / "set", 4, 4), alone())
    with torch.no_grad():
        source.denoiser.outward.bias[0] += 1e-6
    nd.models.save(source.denoiser, tmp_path / "digits")
    other = Denoiser(str(tmp_path / "digits.safetensors"), nd.DDIM(), steps=2)
    with pytest.raises(ValueError, match="holds other samples: weights is"):
        work(other, Plan(tmp_path / "set", 4, 4), alone())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: METHOD, --out"),
        (["ddim"], "required: --out"),
        (["didm", "--out", "x"], "did you mean"),
        (["ddim", "--out", "x", "--n", "0"], "'0' is not an integer of at least 1"),
        (["ddim", "--out", "x", "--batch", "0"], "'0' is not an integer from 1"),
        (["ddim", "--out", "x", "--format", "gif"], "format"),
        (["ddim", "--out", "x", "--labels", "3,10"], "label 10 is no class of this model; give labels from 0-9"),
        (["ddim", "--out", "x", "--model", "nowhere"], "there is no model 'nowhere': give digits or glyphs, the path"),
        (["ghvb3", "--out", "x"], "method ghvb needs beta"),
        (["ddim", "--out", "x", "--prompt", "a fox"], "--prompt is of pipelines, and there is none; give --pipeline"),
        (["ddim", "--out", "x", "--model", "digits", "--prompt", "a fox"], "--prompt does not go with --model; drop"),
        (["ddim", "--out", "x", "--pipeline", "p", "--grid", "karras"], "--grid does not go with --pipeline"),
        (["ddim", "--out", "x", "--device", "cuda"], "local rank 0 has no GPU of its own"),
    ],
)
def test_mistakes_are_one_line(capsys, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    code, out, err = main(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("numdiff.sample_distributed: error: ")
    assert err.count("\n") == 1
    assert message in err
    assert not (tmp_path / "x").exists()
