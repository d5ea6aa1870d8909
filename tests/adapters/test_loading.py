"""Pipelines from folders and from the hub: what is whole is loaded, and what is not is named before it is read."""

import json
import os
import shutil
import warnings

import pytest
import torch

from tests import pipelines

pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")
UNET = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """The folder of a pipeline, which no test changes."""
    return pipelines.saved("ddpm", tmp_path_factory.mktemp("ddpm"))


@pytest.fixture
def folder(original, tmp_path):
    return shutil.copytree(original, tmp_path / "ddpm")


@pytest.fixture
def loading(original):
    from numdiff.adapters.pipelines import loading

    return loading


def edit(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


# --- what is whole ----------------------------------------------------------------------------------------------------


def test_a_folder_is_the_pipeline_that_was_saved(original, loading, capfd):
    import diffusers

    pipe, expected = loading.load(original), pipelines.tiny("ddpm")
    assert type(pipe) is diffusers.DDPMPipeline
    found = pipe.unet.state_dict()
    for name, tensor in expected.unet.state_dict().items():
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=0)
    assert pipe.scheduler.config.beta_end == expected.scheduler.config.beta_end
    assert not pipe.unet.training
    assert capfd.readouterr() == ("", "")  # no bars, no advice


@pytest.mark.parametrize("dtype", ["float16", torch.bfloat16])
def test_networks_are_read_in_the_dtype(original, loading, dtype):
    kind = getattr(torch, dtype) if isinstance(dtype, str) else dtype
    assert loading.load(original, dtype=dtype).unet.dtype is kind


def test_a_scheduler_that_diffusers_does_not_know_is_ours_on_its_noise_levels(folder, loading):
    from numdiff.adapters.diffusers import NumdiffScheduler

    edit(folder / "model_index.json", scheduler=["somebodys_library", "TheirScheduler"])
    edit(folder / "scheduler" / "scheduler_config.json", _class_name="TheirScheduler", beta_end=0.015)
    pipe = loading.load(folder)
    assert isinstance(pipe.scheduler, NumdiffScheduler)
    assert pipe.scheduler.config.beta_end == 0.015


def test_a_pipeline_that_was_saved_with_our_scheduler_is_loaded_with_it(folder, loading, tmp_path):
    from numdiff.adapters.diffusers import NumdiffScheduler

    pipe = loading.load(folder)
    options = {"method": "ghvb", "method_options": {"order": 3, "beta": 0.8}}
    pipe.scheduler = NumdiffScheduler.from_config(pipe.scheduler.config, **options)
    pipe.save_pretrained(tmp_path / "ours")
    again = loading.load(tmp_path / "ours")
    assert repr(again.scheduler.method) == repr(pipe.scheduler.method)


def test_pickles_are_not_read_unless_they_are_allowed(folder, loading, tmp_path, capfd):
    from safetensors.torch import load_file

    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    pickle = (folder / UNET).with_suffix(".bin")
    weights = load_file(folder / UNET)
    torch.save({**weights, "trap": Trap()}, pickle)
    (folder / UNET).unlink()
    with pytest.raises(loading.PipelineError, match=r"pickles only \(unet/diffusion_pytorch_model.bin\).*allow_pickle"):
        loading.load(folder)
    assert not (tmp_path / "sprung").exists()
    torch.save(weights, pickle)
    capfd.readouterr()
    found = loading.load(folder, allow_pickle=True).unet.state_dict()
    assert capfd.readouterr() == ("", "")
    assert all(torch.equal(found[name], tensor) for name, tensor in weights.items())


def test_a_variant_is_read_if_it_is_asked_for(folder, loading):
    (folder / UNET).rename((folder / UNET).with_suffix(".fp16.safetensors"))
    with pytest.raises(loading.PipelineError, match="has no weights without a variant; it has variant=fp16"):
        loading.load(folder)
    assert loading.load(folder, variant="fp16").unet is not None
    with pytest.raises(loading.PipelineError, match="of the variant 'ema'; it has variant=fp16"):
        loading.load(folder, variant="ema")


# --- what is not ------------------------------------------------------------------------------------------------------


def cut(path, count):
    path.write_bytes(path.read_bytes()[:count])


def shards(folder):
    table = {"weight_map": {"a": "part-1.safetensors", "b": UNET.split("/")[1]}}
    (folder / "unet" / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(table))


def code(folder):
    (folder / "unet" / "mine.py").write_text("raise SystemExit('was run')")
    edit(folder / "model_index.json", unet=["mine", "Net"])


def pipeline_code(folder):
    (folder / "mine.py").write_text("raise SystemExit('was run')")
    edit(folder / "model_index.json", _class_name=["mine", "Pipe"])


FAULTS = {
    "no index": (lambda f: (f / "model_index.json").unlink(), "is no pipeline: it holds scheduler, unet and no model_"),
    "index cut short": (lambda f: cut(f / "model_index.json", 40), "model_index.json is damaged: no valid JSON"),
    "index a list": (lambda f: (f / "model_index.json").write_text("[1]"), "it holds a list, not an object"),
    "no class": (lambda f: edit(f / "model_index.json", _class_name=None), '"_class_name", the name of a pipeline'),
    "unknown pipeline": (lambda f: edit(f / "model_index.json", _class_name="DDPMPipelin"), "mean 'DDPMPipeline'"),
    "unknown network": (lambda f: edit(f / "model_index.json", unet=["diffusers", "UNet2DMode"]), "n 'UNet2DModel'"),
    "no library": (lambda f: edit(f / "model_index.json", unet=["no_such", "Net"]), "needs no_such, which is not inst"),
    "code of a part": (code, r"code of its own \(unet/mine.py\), which is not run; use trust_remote_code=True"),
    "code of all": (pipeline_code, r"code of its own \(mine.py\), which is not run; use trust_remote_code=True"),
    "no part": (lambda f: shutil.rmtree(f / "unet"), "lacks the folder unet, a part of DDPMPipeline"),
    "no weights": (lambda f: (f / UNET).unlink(), r"unet has no weights \(\*.safetensors\)"),
    "a shard missing": (shards, "lacks part-1.safetensors, which diffusion_pytorch_model.safetensors.index.json names"),
    "weights cut short": (lambda f: cut(f / UNET, -10), r"is truncated: \d+ bytes where its header says \d+"),
    "header cut short": (lambda f: cut(f / UNET, 100), "is truncated: 100 bytes, which do not hold its own header"),
    "empty weights": (lambda f: cut(f / UNET, 0), "is truncated: 0 bytes"),
    "no safetensors": (lambda f: (f / UNET).write_bytes(b"PK\3\4 a zip file, renamed"), "is not a safetensors file"),
    "no table": (lambda f: (f / UNET).write_bytes((4).to_bytes(8, "little") + b"[12]"), "header is no table of tens"),
    "config cut short": (lambda f: cut(f / "unet" / "config.json", 30), "unet/config.json is damaged: no valid JSON"),
    "config of another": (lambda f: edit(f / "unet" / "config.json", block_out_channels=[8, 8]), "not understood as a"),
    "scheduler missing": (lambda f: edit(f / "model_index.json", scheduler=[None, None]), "was not understood as a"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_not_whole_is_named(folder, loading, fault):
    damage, message = FAULTS[fault]
    damage(folder)
    with pytest.raises((loading.PipelineError, ModuleNotFoundError), match=message) as caught:
        loading.load(folder)
    assert str(folder) in str(caught.value)


def test_what_is_no_pipeline_s_folder_says_what_it_is(original, loading, tmp_path):
    for given, message in [
        (original / "unet", "is one network and not a pipeline"),
        (original / UNET, "is one file, and a pipeline is a folder"),
        (original.parent, f"{original.name} is one"),
        (tmp_path, "it holds nothing and no model_index.json"),
        (tmp_path / "absent", "there is no folder"),
        ("", "there is no folder ''"),
    ]:
        with pytest.raises(loading.PipelineError, match=message):
            loading.load(given)


def test_devices_and_dtypes_that_are_not_there(original, loading, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert loading.torch_device("auto") == torch.device("cpu")
    with pytest.raises(ValueError, match=r"device=cuda is not here: torch .* sees none; use device=cpu"):
        loading.load(original, device="cuda")
    with pytest.raises(ValueError, match="device=gpu is no device of torch; use device=cpu, cuda, cuda:1 or auto"):
        loading.torch_device("gpu")
    for dtype in ("int8", "float46", 3):
        with pytest.raises(ValueError, match="dtype must be float32, float16 or bfloat16"):
            loading.load(original, dtype=dtype)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert loading.torch_device("auto") == torch.device("cuda")
    with pytest.raises(ValueError, match="sees only 1"):
        loading.torch_device("cuda:1")


def test_the_fingerprint_tells_any_file_from_another(folder):
    from numdiff.adapters.pipelines import checks

    before = checks.fingerprint(checks.index(folder))
    assert set(before) == {"model_index.json", "scheduler/scheduler_config.json", "unet/config.json", UNET}
    data = bytearray((folder / UNET).read_bytes())
    data[-1] ^= 1
    (folder / UNET).write_bytes(data)
    after = checks.fingerprint(checks.index(folder))
    assert [name for name in before if before[name] != after[name]] == [UNET]
    shutil.rmtree(folder / "unet")
    with pytest.raises(checks.PipelineError, match="lacks the folder unet, a part of DDPMPipeline; fetch it again"):
        checks.fingerprint(checks.index(folder))


# --- the hub ----------------------------------------------------------------------------------------------------------


class Answer:
    def __init__(self, status_code):
        self.status_code = status_code


def hub(monkeypatch, error):
    """Let the hub answer by an error; return the time-outs that it was asked with."""
    import huggingface_hub

    waits = []

    def model_info(self, name, *, revision=None, timeout=None):
        waits.append(timeout)
        raise error

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", model_info)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    return waits


def test_without_a_network_a_hub_id_is_one_sentence(loading, monkeypatch):
    waits = hub(monkeypatch, ConnectionError("name resolution\nfailed"))
    message = (
        "no folder 'no-one/nothing' here, and the hub cannot be reached .*name resolution failed.*hf download no-one"
    )
    with pytest.raises(loading.PipelineError, match=message) as caught:
        loading.load("no-one/nothing")
    assert waits == [10.0]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "status", "message"),
    [
        ("RepositoryNotFoundError", 404, "no no-one/nothing that everybody may read"),
        ("GatedRepoError", 403, "for those only who accepted its terms"),
        ("RevisionNotFoundError", 404, "no such revision of no-one/nothing"),
        ("HfHubHTTPError", 418, r"refused no-one/nothing \(HfHubHTTPError: a teapot\)"),
    ],
)
def test_what_the_hub_refuses_is_told(loading, monkeypatch, kind, status, message):
    error = type(kind, (Exception,), {})("a teapot")
    error.response = Answer(status)
    hub(monkeypatch, error)
    with pytest.raises(loading.PipelineError, match=message):
        loading.load("no-one/nothing")


def test_offline_asks_the_cache_at_once(loading, monkeypatch):
    import diffusers
    import huggingface_hub

    asked = []
    monkeypatch.setattr(diffusers.DiffusionPipeline, "download", lambda *name, **options: asked.append(name))
    waits = hub(monkeypatch, AssertionError("asked"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(loading.PipelineError, match="HF_HUB_OFFLINE is set and no-one/nothing is not in its cache"):
        loading.load("no-one/nothing")
    assert not waits
    assert not asked  # importing diffusers takes seconds


def test_what_the_hub_gives_is_loaded_like_a_folder(original, loading, monkeypatch):
    import diffusers
    import huggingface_hub

    asked = {}

    def download(name, **options):
        asked.update(options, name=name)
        return str(original)

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda self, name, **_: None)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(diffusers.DiffusionPipeline, "download", download)
    pipe = loading.load("some-one/ddpm", revision="v2")
    assert type(pipe) is diffusers.DDPMPipeline
    assert (asked["name"], asked["revision"], asked["use_safetensors"]) == ("some-one/ddpm", "v2", True)
    assert "trust_remote_code" not in asked


def test_the_libraries_speak_again_afterwards(original, loading):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from diffusers.utils import logging

    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    with loading.quiet():
        assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == (logging.CRITICAL, False)
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before
