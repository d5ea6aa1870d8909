"""``numdiff sample --pipeline`` with pipelines of every kind, and in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tests import pipelines
from tests.commands import answer, run

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")]


def record(folder):
    return json.loads((folder / "run.json").read_text())


def test_a_real_interrupt_and_going_on(tmp_path):
    out, ddpm = tmp_path / "out", pipelines.saved("ddpm", tmp_path / "ddpm")
    words = [
        "sample",
        "ghvb2",
        "--beta",
        "0.8",
        "--steps",
        30,
        "--pipeline",
        ddpm,
        "--n",
        12,
        "--batch",
        1,
        "--out",
        out,
    ]
    command = [sys.executable, "-m", "numdiff", *map(str, words)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not (out / "00002_seed2.png").exists():
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    done = len(record(out)["images"])
    assert 3 <= done < 12
    assert f"interrupted; {done} of 12 samples are in {out}; the same command goes on from there" in err
    assert "Traceback" not in err
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"kept {done} samples of an earlier run" in again.stdout
    assert record(out)["complete"]


def test_a_pipeline_that_passes_options_to_every_step(capsys, tmp_path):
    folder = pipelines.saved("ddim", tmp_path / "ddim")
    capsys.readouterr()  # what writing it said
    answer(capsys, "sample", "ab2", "--pipeline", folder, "--steps", 3, "--n", 2, "--out", tmp_path / "out")
    assert record(tmp_path / "out")["pipeline"]["class"] == "DDIMPipeline"
    assert record(tmp_path / "out")["complete"]


@pytest.fixture
def pictures(tmp_path):
    pipelines.picture().resize((24, 16)).save(tmp_path / "init.png")
    pipelines.mask().resize((24, 16)).save(tmp_path / "mask.png")
    return SimpleNamespace(image=tmp_path / "init.png", mask=tmp_path / "mask.png")


@pytest.mark.parametrize("task", ["text", "image", "mask"])
def test_text_image_and_mask_with_one_pipeline(capsys, tmp_path, pictures, task):
    folder = pipelines.saved("sd", tmp_path / "sd")
    capsys.readouterr()  # what writing it said
    what = {"text": [], "image": ["--image", pictures.image], "mask": ["--image", pictures.image]}[task]
    what += ["--mask", pictures.mask] if task == "mask" else []
    what += ["--strength", "0.6"] if what else []
    words = ["sample", "unipc2", "--pipeline", folder, "--steps", 5, "--prompt", "a fox", "--negative-prompt", "dog"]
    words += ["--prompt", "an owl", "--guidance", 5, "--size", "24x16", "--n", 3, "--batch", 2, *what]
    answer(capsys, *words, "--out", tmp_path / "out")
    kinds = {"text": "", "image": "Img2Img", "mask": "Inpaint"}
    assert np.asarray(Image.open(tmp_path / "out" / "00002_seed2.png")).shape == (16, 24, 3)
    found = record(tmp_path / "out")
    assert found["settings"]["prompt"] == ["a fox", "an owl"]
    assert found["pipeline"]["class"] == "StableDiffusionPipeline"
    assert found["called"] == f"StableDiffusion{kinds[task]}Pipeline"
    for path in (pictures.image, pictures.mask):
        path.unlink()  # the record keeps its own
    again = ["sample", "--repeat", tmp_path / "out", "--pipeline", folder, "--out", tmp_path / "again"]
    assert "all 3 are those of the record, bit for bit" in answer(capsys, *again)


def test_labels_in_turn_and_what_is_missing(capsys, tmp_path):
    folder = pipelines.saved("dit", tmp_path / "dit")
    capsys.readouterr()
    words = ["sample", "ancestral", "--pipeline", folder, "--steps", 4]
    answer(capsys, *words, "--labels", "7,8", "--n", 4, "--batch", 3, "--out", tmp_path / "out")
    answer(capsys, *words, "--label", "8", "--seeds", "3", "--out", tmp_path / "alone")
    found = [np.asarray(Image.open(path), dtype=int) for path in (tmp_path / "out" / "00003_seed3.png",)]
    alone = np.asarray(Image.open(tmp_path / "alone" / "00000_seed3.png"), dtype=int)
    assert np.abs(found[0] - alone).max() <= 1  # float32 rounding may cross a half
    code, _, err = run(capsys, *words, "--out", tmp_path / "x")
    assert code == 2
    assert "--labels is missing: DiTPipeline draws a class by its number" in err
    code, _, err = run(capsys, *words, "--labels", "7,1000", "--out", tmp_path / "x")
    assert code == 2
    assert "--labels 1000 is no class of this pipeline; it draws 0 to 999" in err


def test_what_the_pipeline_refuses_and_how_many_steps_it_took(capsys, tmp_path, pictures):
    folder = pipelines.saved("sd", tmp_path / "sd")
    capsys.readouterr()
    words = ["sample", "--pipeline", folder, "--prompt", "a fox", "--out", tmp_path / "out"]
    for extra, message in [
        (
            ["ab2", "--call", "guidance_rescale=abc"],
            "the pipeline refused --call guidance_rescale=abc: TypeError: '>' not",
        ),
        (["ab2", "--size", "33x20"], "width and height of StableDiffusionPipeline are multiples of 8; use 32x16"),
    ]:
        code, out, err = run(capsys, *words, *extra, "--steps", 5)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert message in err
    assert "3 steps, 3 evaluations" in answer(capsys, *words, "ab2", "--times", "999,500,100")
    middle = ["--image", pictures.image, "--strength", "0.5", "--steps", 6]
    assert "3 of 6 steps, 6 evaluations" in answer(capsys, *words[:-1], tmp_path / "middle", "heun", *middle)


@pytest.mark.parametrize("name", ["sdxl", "sd3", "flux"])
def test_other_families_of_pipelines(capsys, tmp_path, name):
    folder = pipelines.saved(name, tmp_path / name)
    capsys.readouterr()  # what writing it said
    words = ["sample", "dpmpp2", "--pipeline", folder, "--steps", 4, "--prompt", "a fox", "--size", "16x16", "--n", 2]
    words += ["--call", f"max_sequence_length={pipelines.TOKENS}"] if name != "sdxl" else []
    answer(capsys, *words, "--out", tmp_path / "out")
    again = ["sample", "--repeat", tmp_path / "out", "--pipeline", folder, "--out", tmp_path / "again"]
    assert "all 2 are those of the record, bit for bit" in answer(capsys, *again)
    code, _, err = run(capsys, *words[:6], "--out", tmp_path / "x")
    assert code == 2
    assert "--prompt is missing" in err
