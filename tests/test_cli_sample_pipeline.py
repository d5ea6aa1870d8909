"""``numdiff sample --pipeline``: a folder that can be gone on with and repeated; mistakes in one line."""

import errno
import json
import shutil
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from tests import pipelines
from tests.commands import answer, run

pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")
GHVB = ["sample", "ghvb2", "--beta", "0.8", "--steps", 2]


@pytest.fixture(scope="module")
def ddpm(tmp_path_factory):
    return pipelines.saved("ddpm", tmp_path_factory.mktemp("saved") / "ddpm")


@pytest.fixture(scope="module")
def five(ddpm, tmp_path_factory):
    """A folder with five samples, drawn two at a time, which no test changes."""
    from numdiff import cli

    out = tmp_path_factory.mktemp("five") / "out"
    assert cli.main([str(a) for a in [*GHVB, "--pipeline", ddpm, "--n", 5, "--batch", 2, "--out", out, "--quiet"]]) == 0
    return out


@pytest.fixture
def drawing(five):
    from numdiff.adapters.pipelines import generate

    return generate


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def hashes(folder):
    return [entry["sha256"] for entry in record(folder)["images"]]


def record(folder):
    return json.loads((folder / "run.json").read_text())


# --- what comes out ---------------------------------------------------------------------------------------------------


def test_the_samples_are_the_library_s(ddpm, five):
    from numdiff.adapters.diffusers import NumdiffScheduler
    from numdiff.adapters.pipelines import generate, loading

    pipe = loading.load(ddpm)
    options = {"method": "ghvb", "order": 2, "beta": 0.8}
    scheduler = NumdiffScheduler.from_config(pipe.scheduler.config, **options)
    expected = generate.generate(pipe, [0, 1], scheduler=scheduler, num_inference_steps=2)
    assert names(five) == [*(f"0000{i}_seed{i}.png" for i in range(5)), "grid.png", "run.json"]
    for i, image in enumerate(expected):
        np.testing.assert_array_equal(np.asarray(Image.open(five / f"0000{i}_seed{i}.png")), image)


def test_the_grid_shows_every_sample(five):
    page = np.asarray(Image.open(five / "grid.png"))
    assert page.shape == (2 * 8, 3 * 8, 3)
    for i in range(5):
        row, column = divmod(i, 3)
        tile = page[8 * row : 8 * row + 8, 8 * column : 8 * column + 8]
        np.testing.assert_array_equal(tile, np.asarray(Image.open(five / f"0000{i}_seed{i}.png")))
    assert (page[8:, 16:] == 255).all()


def test_the_record_says_what_made_them_and_names_no_place(ddpm, five):
    found = record(five)
    expected = {"method": "ghvb", "order": 2, "beta": "4/5", "steps": 2, "dtype": "float32", "seeds": [0, 1, 2, 3, 4]}
    assert expected.items() <= found["settings"].items()
    assert found["complete"]
    assert found["nfe"] == 2
    assert found["pipeline"]["class"] == "DDPMPipeline"
    assert found["pipeline"]["name"] == ddpm.name
    assert found["scheduler"]["method"] == "ghvb"
    assert found["environment"]["versions"]["torch"] == torch.__version__
    assert [entry["batch"] for entry in found["images"]] == [[0, 2], [0, 2], [2, 2], [2, 2], [4, 1]]
    assert str(ddpm.parent) not in (five / "run.json").read_text()


@pytest.mark.slow
def test_json_and_arrays(capsys, ddpm, five, tmp_path):
    options = ["--pipeline", ddpm, "--seeds", "3,1", "--format", "npy", "--json"]
    printed = json.loads(answer(capsys, *GHVB, *options, "--out", tmp_path / "new" / "out"))
    assert printed == record(tmp_path / "new" / "out")
    assert [entry["file"] for entry in printed["images"]] == ["00000_seed3.npy", "00001_seed1.npy"]
    image = np.load(tmp_path / "new" / "out" / "00001_seed1.npy")
    assert (image.dtype, image.shape) == (np.float32, (8, 8, 3))
    rounded = np.asarray(Image.open(five / "00001_seed1.png")) / 255
    np.testing.assert_allclose(image, rounded, atol=0.51 / 255)  # rounding to bytes


# --- going on ---------------------------------------------------------------------------------------------------------


def test_what_is_there_is_kept_and_what_is_damaged_is_drawn_anew(capsys, ddpm, five, tmp_path, monkeypatch, drawing):
    out = shutil.copytree(five, tmp_path / "out")
    (out / "00001_seed1.png").unlink()
    (out / "00003_seed3.png").write_bytes((out / "00003_seed3.png").read_bytes()[:50])
    before, batches, draw = hashes(out), [], drawing.draw
    monkeypatch.setattr(drawing, "draw", lambda pipe, seeds, **o: batches.append(seeds) or draw(pipe, seeds, **o))
    said = answer(capsys, *GHVB, "--pipeline", ddpm, "--n", 5, "--batch", 2, "--out", out)
    assert "kept 3 samples of an earlier run" in said
    assert "00003_seed3.png was damaged, and was drawn anew" in said
    assert batches == [[0, 1], [2, 3]]  # in the batches they were in, so that they come out the same
    assert hashes(out) == before
    batches.clear()
    answer(capsys, "sample", "--method", "ghvb", "--order", 2, *GHVB[2:], "--pipeline", ddpm, "--n", 6, "--out", out)
    assert batches == [[4, 5]]  # more samples are no other settings, nor is another batch
    assert hashes(out)[:5] == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--steps", 5], "holds samples made with steps 2, and now it is steps 5; choose another --out for these"),
        (["--dtype", "bfloat16"], "made with dtype float32, and now it is dtype bfloat16"),
        (["--timesteps", "karras"], "made without timesteps, and now it is timesteps karras"),
        (["--method", "ab2"], "made with method ghvb, and now it is method ab"),
        (["--seeds", "0,2"], "made with seed 1 at place 1, and now it is seed 2"),
        (["--n", 3], "made with 5 seeds, and now it is 3"),
    ],
)
def test_other_settings_in_the_same_folder_are_refused(capsys, ddpm, five, change, message):
    before = {path: path.read_bytes() for path in five.iterdir()}
    count = [] if change[0] in ("--seeds", "--n") else ["--n", 5]
    method = ["sample"] if change[0] == "--method" else GHVB
    code, out, err = run(capsys, *method, *count, *change, "--pipeline", ddpm, "--out", five)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err
    assert {path: path.read_bytes() for path in five.iterdir()} == before


def interrupting(monkeypatch, drawing, at, error):
    """Let the batch number `at` fail."""
    draw, calls = drawing.draw, []

    def failing(*args, **options):
        calls.append(1)
        if len(calls) == at:
            raise error
        return draw(*args, **options)

    monkeypatch.setattr(drawing, "draw", failing)


def test_an_interrupt_says_how_to_go_on_and_going_on_changes_nothing(
    capsys, ddpm, five, tmp_path, monkeypatch, drawing
):
    out = tmp_path / "out"
    options = [*GHVB, "--pipeline", ddpm, "--n", 5, "--batch", 2, "--out", out]
    with monkeypatch.context() as patch:
        interrupting(patch, drawing, 2, KeyboardInterrupt())
        code, _, err = run(capsys, *options)
    assert code == 130
    assert err == f"numdiff: interrupted; 2 of 5 samples are in {out}; the same command goes on from there\n"
    assert not record(out)["complete"]
    assert len(hashes(out)) == 2
    with monkeypatch.context() as patch:
        interrupting(patch, drawing, 1, KeyboardInterrupt())
        code, _, err = run(capsys, *options[:-1], tmp_path / "new")
    assert (code, err) == (130, "numdiff: interrupted; no sample was drawn yet\n")
    assert not (tmp_path / "new").exists()
    answer(capsys, *options)
    assert hashes(out) == hashes(five)
    assert record(out)["complete"]


def test_a_network_that_returns_nan_is_named_with_what_is_done(capsys, ddpm, tmp_path, monkeypatch, drawing):
    interrupting(monkeypatch, drawing, 2, drawing.NotFiniteError("NaN at step 3; use dtype=bfloat16"))
    out = tmp_path / "out"
    code, _, err = run(capsys, *GHVB, "--pipeline", ddpm, "--n", 5, "--batch", 2, "--out", out)
    assert code == 2
    assert err == f"numdiff: error: NaN at step 3; use --dtype bfloat16; 2 of 5 samples are in {out}, and are kept\n"


def test_a_full_disk_loses_nothing(capsys, ddpm, five, tmp_path, monkeypatch, drawing):
    from numdiff.adapters.pipelines import image_folder

    out, write = tmp_path / "out", image_folder.write_atomically

    def full(path, data):
        if path.name == "00003_seed3.png":
            raise OSError(errno.ENOSPC, "cannot be written (No space left on device); free this one", str(path))
        write(path, data)

    options = [*GHVB, "--pipeline", ddpm, "--n", 5, "--batch", 2, "--out", out]
    with monkeypatch.context() as patch:
        patch.setattr(image_folder, "write_atomically", full)
        code, _, err = run(capsys, *options)
    assert code == 2
    assert "00003_seed3.png: cannot be written (No space left on device)" in err
    assert f"3 of 5 samples are in {out}, and are kept" in err
    assert names(out) == ["00000_seed0.png", "00001_seed1.png", "00002_seed2.png", "run.json"]
    answer(capsys, *options)
    assert hashes(out) == hashes(five)


# --- memory -----------------------------------------------------------------------------------------------------------


def crowded(monkeypatch, drawing, most):
    """Let batches of more than `most` samples not fit."""
    draw = drawing.draw

    def limited(pipe, seeds, **options):
        if len(seeds) > most:
            raise drawing.OutOfMemoryError(f"a batch of {len(seeds)} does not fit into memory (tried 20 GiB)")
        return draw(pipe, seeds, **options)

    monkeypatch.setattr(drawing, "draw", limited)


def test_automatic_batches_are_halved_where_memory_runs_out(capsys, ddpm, five, tmp_path, monkeypatch, drawing):
    crowded(monkeypatch, drawing, 2)
    said = answer(capsys, *GHVB, "--pipeline", ddpm, "--n", 5, "--out", tmp_path)
    assert "a batch of 4 did not fit into memory; went on with 2" in said
    assert hashes(tmp_path) == hashes(five)
    assert [entry["batch"] for entry in record(tmp_path)["images"]] == [[0, 2], [0, 2], [2, 2], [2, 2], [4, 1]]


def test_out_of_memory_is_advice_in_order(capsys, ddpm, tmp_path, monkeypatch, drawing):
    crowded(monkeypatch, drawing, 3)
    code, _, err = run(capsys, *GHVB, "--pipeline", ddpm, "--n", 5, "--batch", 4, "--out", tmp_path)
    assert (code, err.count("\n")) == (2, 1)
    advice = [
        "a smaller --batch (now 4), or --batch auto",
        "--dtype float16",
        "--slicing",
        "--offload",
        "smaller --size",
    ]
    places = [err.index(text) for text in advice]
    assert places == sorted(places)
    crowded(monkeypatch, drawing, 0)
    options = ["--pipeline", ddpm, "--dtype", "bfloat16", "--out", tmp_path]
    code, _, err = run(capsys, *GHVB, *options)
    assert code == 2
    assert "--batch" not in err
    assert "--dtype" not in err


# --- repeating --------------------------------------------------------------------------------------------------------


def test_a_record_is_repeated_bit_for_bit(capsys, ddpm, five, tmp_path):
    said = answer(capsys, "sample", "--repeat", five / "run.json", "--pipeline", ddpm, "--out", tmp_path / "again")
    assert "all 5 are those of the record, bit for bit" in said
    assert hashes(tmp_path / "again") == hashes(five)
    assert record(tmp_path / "again")["settings"] == record(five)["settings"]


@pytest.mark.slow
def test_what_is_not_repeated_is_named(capsys, ddpm, five, tmp_path):
    other = shutil.copytree(five, tmp_path / "other")
    changed = record(other)
    changed["images"][3]["sha256"] = "0" * 64
    changed["environment"]["versions"]["torch"] = "1.0"
    (other / "run.json").write_text(json.dumps(changed))
    options = ["sample", "--repeat", other, "--pipeline", ddpm]
    said = answer(capsys, *options, "--out", tmp_path / "again")
    assert "1 of 5 are not those of the record bit for bit, from 00003_seed3.png on" in said
    assert f"torch 1.0 then, {torch.__version__} now" in said
    for extra, message in [
        (["--out", other], "is the folder of the record itself"),
        (["--out", tmp_path / "x", "--steps", 3], "--steps is in the record already"),
        (["--out", tmp_path / "x", "--method", "ab2"], "METHOD is in the record already"),
    ]:
        code, _, err = run(capsys, *options, *extra)
        assert code == 2
        assert message in err


def test_another_pipeline_is_not_the_record_s(capsys, ddpm, five, tmp_path):
    moved = shutil.copytree(ddpm, tmp_path / "moved")
    config = moved / "scheduler" / "scheduler_config.json"
    config.write_text(config.read_text().replace("0.02", "0.03"))
    out = tmp_path / "again"
    code, _, err = run(capsys, "sample", "--repeat", five / "run.json", "--pipeline", moved, "--out", out)
    assert code == 2
    assert "is not the pipeline of the record: scheduler/scheduler_config.json differs" in err
    assert not out.exists()


# --- mistakes ---------------------------------------------------------------------------------------------------------

MISTAKES = {
    "sample --out x": "METHOD is required, such as ghvb3",
    "sample ab2 --method ab3 --out x": "given twice, ab2 and --method ab3",
    "sample ab2 --prompt fox --out x.png": "--prompt belongs to --pipeline; drop it",
    "sample ab2 --out digits.gif": "'digits.gif' must end in .png or .npz",
    "sample ab2 --pipeline P --grid karras --out x": "--grid belongs to a model that ships with numdiff",
    "sample ghbv --pipeline P --out x": "did you mean 'ghvb'",
    "sample hb --base plms3 --pipeline P --steps 4 --out x": "--base plms3 cannot be in a pipeline",
    "sample ab2 --pipeline P/unet --out x": "is one network and not a pipeline",
    "sample ab2 --pipeline /no/such/place --out x": "there is no folder '/no/such/place'",
    "sample ab2 --pipeline P --prompt fox --out x": "DDPMPipeline takes no --prompt: it draws without a text",
    "sample ab2 --pipeline P --guidance 3 --out x": "takes no --guidance: it has no guidance",
    "sample ab2 --pipeline P --label 3 --out x": "takes no --labels: it draws without classes",
    "sample ab2 --pipeline P --size 16x16 --out x": "takes no --size: its network draws 8x8; drop it",
    "sample ab2 --pipeline P --call eta=1 --out x": "takes no --call eta: its call has no eta",
    "sample ab2 --pipeline P --times 9,5 --out x": "takes no --times: its grid is chosen",
    "sample ab2 --pipeline P --call num_images_per_prompt=2 --out x": "per_prompt is what --n says; use that",
    "sample ab2 --pipeline P --call a=1 --call a=2 --out x": "--call a is given twice; drop one",
    "sample ab3 --pipeline P --steps 2 --out x": "lower the order (--order, or the number in METHOD's name) or take",
    "sample ab2 --pipeline P --size 16 --out x": "'16' is not WIDTHxHEIGHT in pixels",
    "sample ab2 --pipeline P --mask P/model_index.json --out x": "--mask goes with --image, which is missing",
    "sample ab2 --pipeline P --image P/model_index.json --out x": "P/model_index.json is no image that can be read",
    "sample ab2 --pipeline P --image x.png --strength 0.1 --steps 9 --out x": "--strength 0.1 of 9 steps is less",
    "sample ab2 --pipeline P --image absent.png --out x": "absent.png: No such file",
    "sample ab2 --pipeline P --strength 1.5 --out x": "'1.5' is not above 0 and at most 1",
    "sample ab2 --pipeline P --seeds 5-1 --out x": "runs backwards; write 1-5",
    "sample ab2 --pipeline P --seeds 1,1 --out x": "has a seed twice",
    "sample ab2 --pipeline P --seeds 0-3 --n 4 --out x": "--seeds says all seeds already; drop --n",
    "sample ab2 --pipeline P --seeds 0-99999999 --out x": "are more than 100000 seeds",
    "sample ab2 --pipeline P --seed 9223372036854775807 --n 2 --out x": "go beyond the largest seed",
    "sample ab2 --pipeline P --times 5,9 --out x": "must be falling numbers",
    "sample ab2 --pipeline P --times 9,5 --steps 2 --out x": "--times says where all steps are; drop --steps",
    "sample ab2 --pipeline P --timesteps optimzed --out x": "did you mean 'optimized'",
    "sample ab2 --pipeline P --dtype float64 --out x": "unknown dtype 'float64'",
    "sample ab2 --pipeline P --device tpu9 --out x": "--device tpu9 is no device of torch; use --device cpu, ",
    "sample ab2 --pipeline P --offload --out x": "device is the CPU; drop --offload",
    "sample ab2 --pipeline P --batch 0 --out x": "--batch: '0' is not an integer from 1",
    "sample ab2 --pipeline P --out P": "holds other files and no run.json; choose another --out",
    "sample ab2 --pipeline P --out P/model_index.json": "is a file, and samples need a folder; choose another --out",
    "sample --repeat absent.json --out x": "absent.json: No such file",
    "sample --repeat P/model_index.json --out x": "is no record of samples, or is damaged",
}


@pytest.mark.parametrize("line", MISTAKES)
def test_mistakes_are_one_line_and_nothing_is_written(line, capsys, ddpm, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(ddpm.rglob("*"))
    words = [str(ddpm) + word[1:] if word.split("/")[0] == "P" else word for word in line.split()]
    code, out, err = run(capsys, *words)
    assert (code, out) == (2, "")
    assert err.startswith("numdiff: error: ")
    assert err.count("\n") == 1
    assert MISTAKES[line].replace("P/", f"{ddpm}/") in err
    assert not list(tmp_path.iterdir())
    assert sorted(ddpm.rglob("*")) == before


def test_without_a_network_a_hub_id_is_a_mistake(capsys, five, tmp_path, monkeypatch):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    code, _, err = run(capsys, *GHVB, "--pipeline", "no-one/nothing", "--out", tmp_path / "out")
    assert code == 2
    assert err.count("\n") == 1
    assert "give a local folder, such as one of: hf download no-one/nothing --local-dir FOLDER" in err


@pytest.mark.slow
def test_on_a_terminal_the_bar_shows_evaluations(ddpm, five, tmp_path, monkeypatch, capfd):
    from numdiff import cli

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    options = [*GHVB, "--pipeline", ddpm, "--out", tmp_path / "out"]
    assert cli.main([str(a) for a in options]) == 0
    err = capfd.readouterr().err
    assert "sampling" in err
    assert "evaluation " in err
