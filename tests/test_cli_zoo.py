"""The command line with methods that add noise, have two fields, or make stages within a step."""

import numpy as np
import pytest

from numdiff import cli


def run(capsys, *arguments):
    code = cli.main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    return code, out, err


def drawn(capsys, path, *arguments):
    code, _, err = run(capsys, "sample", *arguments, "--n", 3, "--steps", 5, "--labels", 3, "--out", path)
    assert code == 0, err
    with np.load(path) as found:
        return found["samples"], found["noise"]


@pytest.mark.parametrize("name", ["dpmpp_2m_sde", "euler_ancestral", "sa-solver", "edm-stochastic"])
def test_a_seed_repeats_the_noise_of_a_method_too(capsys, tmp_path, name):
    path = tmp_path / "x.npz"
    first, again, other = (drawn(capsys, path, name, "--seed", seed) for seed in (3, 3, 4))
    assert (first[0] == again[0]).all()
    assert not (first[0] == other[0]).all()
    assert np.isfinite(first[0]).all()


@pytest.mark.parametrize("name", ["dpm_2", "bdia", "dpm_fast", "etd"])
def test_other_kinds_of_step_draw_samples(capsys, tmp_path, name):
    assert np.isfinite(drawn(capsys, tmp_path / "x.npz", name)[0]).all()


def test_splitting_splits_guidance(capsys, tmp_path):
    """On short steps the two fields together are the guided model."""
    split = ["strang", "--set", "formulation=noise/ratio", "--guidance", 2, "--steps", 60]
    whole = ["heun", "--formulation", "noise/ratio", "--guidance", 2, "--steps", 60]
    found = []
    for arguments in (split, whole):
        path = tmp_path / "x.npz"
        code, _, err = run(capsys, "sample", *arguments, "--n", 3, "--labels", 3, "--out", path)
        assert code == 0, err
        with np.load(path) as arrays:
            found.append(arrays["samples"])
    assert np.abs(found[0] - found[1]).max() < 0.05  # pixels lie between -1 and 1; both methods have order 2


@pytest.mark.parametrize("guidance", [0, 1])
def test_splitting_needs_guidance(capsys, tmp_path, guidance):
    code, _, err = run(capsys, "sample", "stsp", "--guidance", guidance, "--n", 1, "--out", tmp_path / "x.png")
    assert code == 2
    assert f"guidance {guidance} leaves nothing to split; give another strength such as --guidance 2" in err


def test_orders_are_measured_against_the_flow(capsys):
    code, _, err = run(capsys, "order", "dpmpp_2m_sde", "--start", "lower")
    assert code == 2
    assert "adds noise, and its samples do not approach those of the flow; it claims weak order 2" in err
    assert "without noise: --set tau=0, eta=0, norm=0 or S_churn=0" in err
    assert "use a constant --set tau=1" in run(capsys, "stability", "sa_solver")[2]
    code, _, err = run(capsys, "order", "stsp", "--start", "lower")
    assert code == 2
    assert "evaluates a condition beside the model" in err


@pytest.mark.parametrize("name", ["dpmpp_2m_sde", "dpm_2", "DPM++ 3M SDE", "bdia", "seeds", "single-step"])
def test_theory_answers_for_samplers_of_every_kind(capsys, name):
    code, out, err = run(capsys, "derive", name)
    assert code == 0, err
    assert "certified order" in out
    assert ("weak order" in out) == ("SDE" in name.upper() or name == "seeds")
    code, out, err = run(capsys, "stability", name, *([] if name == "bdia" else ["--step", "0.5"]))
    assert code == 0, err
    assert "real interval" in out


@pytest.mark.parametrize("command", ["derive", "stability"])
@pytest.mark.parametrize("name", ["stsp", "ltsp", "strang"])
def test_two_fields_are_refused_with_what_answers(capsys, command, name):
    code, _, err = run(capsys, command, name)
    assert code == 2
    assert "evaluates the fields" in err
    assert "split_polynomial" in err


def test_a_sampler_that_was_without_family_is_found(capsys):
    code, out, _ = run(capsys, "methods", "dpm_fast")
    assert code == 0
    assert "nd.method('single-step', order=3, formulation='noise/log-snr', rule='dpmsolver')" in out
