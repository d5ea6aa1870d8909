"""Weights on disk: what was saved comes back, and every kind of damage is named with its file and remedy."""

import hashlib
import json

import pytest
import torch

from numdiff import models
from numdiff.models.classifier import ClassifierConfig
from numdiff.models.denoiser import DenoiserConfig

TINY = DenoiserConfig(schedule={"name": "vp-linear", "beta_max": 15.0}, width=8, blocks=1, frequencies=2)


@pytest.fixture
def saved(tmp_path):
    """A tiny denoiser and where it was saved."""
    torch.manual_seed(0)
    model = models.Denoiser(TINY)
    torch.nn.init.normal_(model.outward.weight)  # zero at the start, which would hide mistakes
    models.save(model, tmp_path / "tiny", {"seconds": 1.5})
    return model, tmp_path / "tiny"


def edit(path, **changes):
    """Change fields of the JSON."""
    file = path.with_suffix(".json")
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_a_saved_model_comes_back(saved):
    model, path = saved
    for name in (path, path.with_suffix(".json"), str(path.with_suffix(".safetensors"))):
        back = models.load(name)
        assert back.config == model.config
        assert back.schedule == model.schedule
        assert back.record == {"seconds": 1.5}
        assert not back.training
        assert not any(parameter.requires_grad for parameter in back.parameters())
        assert all(torch.equal(back.state_dict()[key], value) for key, value in model.state_dict().items())


def test_the_json_holds_the_hash_of_the_weights(saved):
    path = saved[1]
    header = json.loads(path.with_suffix(".json").read_text())
    data = path.with_suffix(".safetensors").read_bytes()
    assert header["weights"] == {
        "file": "tiny.safetensors",
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    assert header["config"]["prediction"] == "v"
    assert sorted(file.name for file in path.parent.iterdir()) == ["tiny.json", "tiny.safetensors"]


def test_loading_leaves_the_random_state_alone(saved):
    before = torch.random.get_rng_state()
    models.load(saved[1])
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_failed_save_leaves_the_old_model(saved):
    model, path = saved
    with pytest.raises(ValueError, match="JSON"):
        models.save(model, path, {"loss": float("nan")})
    assert models.load(path).record == {"seconds": 1.5}


@pytest.mark.parametrize("ending", [".safetensors", ".json"])
def test_a_missing_file_is_named(saved, ending):
    file = saved[1].with_suffix(ending)
    file.unlink()
    with pytest.raises(FileNotFoundError, match=f"{file.name} does not exist.*fetch both files again"):
        models.load(saved[1])


@pytest.mark.parametrize("ending", ["json", "safetensors"])
def test_a_folder_in_place_of_a_file_is_named(saved, ending):
    path = saved[1].with_suffix(f".{ending}")
    path.unlink()
    path.mkdir()
    with pytest.raises(models.WeightsError, match="is a folder where a file should be"):
        models.load(saved[1])


def test_truncated_weights(saved):
    file = saved[1].with_suffix(".safetensors")
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(models.WeightsError, match=r"tiny.safetensors is truncated: \d+ bytes where .* fetch both"):
        models.load(saved[1])


def test_one_flipped_bit(saved):
    file = saved[1].with_suffix(".safetensors")
    data = bytearray(file.read_bytes())
    data[-5] ^= 1
    file.write_bytes(data)
    with pytest.raises(models.WeightsError, match=r"tiny.safetensors is corrupt .*SHA-256.* fetch both"):
        models.load(saved[1])


def test_weights_that_are_no_safetensors_file(saved):
    data = b"not tensors at all"
    saved[1].with_suffix(".safetensors").write_bytes(data)
    edit(saved[1], weights={"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()})
    with pytest.raises(models.WeightsError, match=r"tiny.safetensors is not a safetensors file"):
        models.load(saved[1])


def test_weights_of_another_shape(saved):
    config = json.loads(saved[1].with_suffix(".json").read_text())["config"]
    edit(saved[1], config=config | {"width": 16})
    with pytest.raises(models.WeightsError, match=r"tiny.safetensors does not fit .* has shape .* instead of"):
        models.load(saved[1])
    edit(saved[1], config=config | {"blocks": 2})
    with pytest.raises(models.WeightsError, match=r"blocks\.1\..* is missing"):
        models.load(saved[1])


@pytest.mark.parametrize(
    ("config", "message"),
    [({"depth": 3}, "unexpected keyword argument 'depth'"), ({"schedule": {"name": "vp-liner"}}, "'vp-linear'")],
)
def test_a_config_that_makes_no_model(saved, config, message):
    edit(saved[1], config=config)
    with pytest.raises(models.WeightsError, match=f"tiny.json: config does not describe .*{message}"):
        models.load(saved[1])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"format": 1, "arch', "not valid JSON"),
        (b"\xff\xfe\x00", "not valid JSON"),
        ("[]", "lacks or has a malformed 'format'"),
        ('{"format": 1, "architecture": "x", "config": {}, "weights": {}}', "malformed 'record'"),
        ('{"format": 2, "architecture": "x", "config": {}, "weights": {}, "record": {}}', "update numdiff"),
    ],
)
def test_a_damaged_json(saved, text, message):
    saved[1].with_suffix(".json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(models.WeightsError, match=f"tiny.json .*{message}"):
        models.load(saved[1])


def test_an_unknown_architecture_suggests_the_nearest(saved):
    edit(saved[1], architecture="adaln-mlp-denoisr")
    with pytest.raises(ValueError, match=r"tiny\.json.*'adaln-mlp-denoisr'; did you mean 'adaln-mlp-denoiser'"):
        models.load(saved[1])


def test_a_model_of_another_kind(saved):
    with pytest.raises(models.WeightsError, match="holds a Denoiser, not a Classifier"):
        models.load(saved[1], models.DigitsClassifier)


def test_a_classifier_takes_its_reference_along(tmp_path):
    classifier = models.DigitsClassifier(ClassifierConfig(channels=4, width=6)).eval()
    x = torch.rand(40, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    classifier.set_reference(x)
    models.save(classifier, tmp_path / "judge")
    back = models.load(tmp_path / "judge", models.DigitsClassifier)
    assert torch.equal(back.covariance, classifier.covariance)
    assert back.frechet_distance(x) < 1e-12 * float(back.covariance.trace()) + 1e-15  # rounding
    assert back.frechet_distance(-x) > 1e-6 * float(back.covariance.trace())
