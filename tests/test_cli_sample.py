"""``numdiff sample``: the library's samples, its pictures, and whose model they are drawn with."""

import numpy as np
import pytest

import numdiff as nd
from tests.commands import answer, run


def test_sample_is_the_library_s_sample(capsys, tmp_path):
    import torch

    target = tmp_path / "digits.npz"
    arguments = ["sample", "dpmpp2", "--steps", 6, "--grid", "quadratic", "--labels", "7,1-3", "--guidance", "2.5"]
    out = answer(capsys, *arguments, "--n", 10, "--seed", 5, "--out", target)
    assert "6 steps, 6 evaluations" in out
    saved = np.load(target)
    assert saved["labels"].tolist() == [7, 1, 2, 3, 7, 1, 2, 3, 7, 1]
    noise = torch.randn(10, 64, generator=torch.Generator().manual_seed(5))
    model = nd.models.digits()
    scheme = nd.DPMSolverPP(2).discretize(model.schedule, nd.grids.power(model.schedule, 6))
    with torch.no_grad():
        expected = nd.sample(scheme, model.conditioned(torch.tensor(saved["labels"]), 2.5), noise, prediction="v")
    np.testing.assert_array_equal(saved["noise"], noise.numpy())
    # the same arithmetic in the same order, up to how many threads share a matrix product
    np.testing.assert_allclose(saved["samples"].reshape(10, 64), expected.numpy(), atol=1e-4)


def test_sample_draws_one_enlarged_digit_after_the_other(capsys, tmp_path):
    from matplotlib.image import imread

    target = tmp_path / "digits.png"
    answer(capsys, "sample", "ddim", "--steps", 3, "--n", 13, "--labels", "0-4", "--out", target)
    picture = imread(target)
    assert picture.shape[:2] == (3 * 60, 5 * 60)  # 8 pixels and a frame of 1, six times enlarged; 13 = 5 + 5 + 3
    assert (picture[120:, 180:, :3] == 1).all()  # no digit, no ink
    assert picture[..., :3].min() < 0.2


def test_sample_takes_a_saved_model_and_refuses_a_damaged_one(capsys, tmp_path):
    nd.models.save(nd.models.digits(), tmp_path / "mine")
    arguments = ["sample", "ddim", "--steps", 2, "--n", 3, "--out"]
    answer(capsys, *arguments, tmp_path / "a.npz")
    answer(capsys, *arguments, tmp_path / "b.npz", "--model", tmp_path / "mine.safetensors")
    np.testing.assert_array_equal(np.load(tmp_path / "a.npz")["samples"], np.load(tmp_path / "b.npz")["samples"])
    weights = tmp_path / "mine.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    code, _, err = run(capsys, *arguments, tmp_path / "c.npz", "--model", tmp_path / "mine")
    assert code == 2
    assert "is truncated" in err
    assert not (tmp_path / "c.npz").exists()


@pytest.mark.parametrize(
    ("name", "given", "grid"),
    [
        ("DPM++ 2M Karras", [], "karras"),
        ("dpmpp_2m_sgm_uniform", [], "uniform-t"),
        ("ghvb2 exponential", ["--beta", "0.8"], "log-snr"),
        ("DPM++ 2M Karras", ["--grid", "quadratic"], None),
        ("DPM++ 2M Beta", ["--grid", "quadratic"], None),
    ],
)
def test_a_word_behind_the_name_chooses_the_grid(capsys, tmp_path, name, given, grid):
    few = ["--steps", 3, "--n", 1, "--labels", 3, "--out"]
    out = answer(capsys, "sample", name, *given, *few, tmp_path / "a.npz")
    plain = name.split()[0] if name.startswith("ghvb") else "dpmpp_2m"
    own = given if grid is None else [*given, "--grid", grid]
    answer(capsys, "sample", plain, *own, *few, tmp_path / "b.npz")
    np.testing.assert_array_equal(np.load(tmp_path / "a.npz")["samples"], np.load(tmp_path / "b.npz")["samples"])
    assert (f"grid {grid}, which {name} asks for" in out) == (grid is not None)


def test_a_grid_that_takes_more_than_a_number_of_steps_is_not_replaced_in_silence(capsys, tmp_path):
    for command in (["sample", "--out", tmp_path / "x.npz"], ["derive", "--python"]):
        code, _, err = run(capsys, *command, "DPM++ 2M Beta")
        assert code == 2
        assert "DPM++ 2M Beta asks for a grid of its own, which nd.grids.from_sigmas makes in Python" in err
        assert "choose one by --grid uniform-t|log-snr|quadratic|karras" in err


def test_a_word_behind_the_name_chooses_the_grid_of_a_derived_run(capsys):
    expected = answer(capsys, "derive", "dpmpp_2m", "--scheme", "--grid", "karras")
    assert answer(capsys, "derive", "DPM++ 2M Karras", "--scheme") == expected
