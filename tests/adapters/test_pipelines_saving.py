"""Whole pipelines with NumdiffScheduler written to a folder and read back, in the format of the hub."""

import importlib
import json
import warnings

import pytest
import torch

from tests.pipelines import NAMES, arguments, latents, saved, tiny

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # deprecations of diffusers' own dependencies, at its import only
    import diffusers

    from numdiff.adapters.diffusers import NumdiffScheduler

pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")

ROUNDING = 1e-5
"""Of the largest latent: weights mapped from a file lie elsewhere in memory, so sums are taken in another order."""

GHVB = {"method": "ghvb", "order": 3, "beta": 0.8}


def draw(pipe, name):
    return latents(pipe, pipe.scheduler, {**arguments(name), "num_inference_steps": 5})


def near(found, expected):
    torch.testing.assert_close(found, expected, rtol=0, atol=ROUNDING * expected.abs().max().item())


def reopened(folder, **parts):
    pipe = diffusers.DiffusionPipeline.from_pretrained(folder, **parts)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def check_round_trip(name, folder):
    pipe = tiny(name)
    pipe.scheduler = NumdiffScheduler.from_config(pipe.scheduler.config, **GHVB)
    expected = draw(pipe, name)
    pipe.save_pretrained(folder)
    again = reopened(folder)
    assert isinstance(again.scheduler, NumdiffScheduler)
    assert again.scheduler.method == pipe.scheduler.method
    assert json.dumps(again.scheduler.config["method_options"]) == json.dumps(pipe.scheduler.config["method_options"])
    near(draw(again, name), expected)


def test_ddpm_comes_back_with_the_scheduler(tmp_path):
    check_round_trip("ddpm", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name != "ddpm"])
def test_a_pipeline_comes_back_with_the_scheduler(name, tmp_path):
    check_round_trip(name, tmp_path)


def test_the_folder_names_a_module_that_a_reader_can_import(tmp_path):
    """diffusers looks the class up in a module that the reader has imported, and needs its mixins there."""
    pipe = tiny("ddpm")
    pipe.scheduler = NumdiffScheduler.from_config(pipe.scheduler.config, **GHVB)
    pipe.save_pretrained(tmp_path)
    module, name = json.loads((tmp_path / "model_index.json").read_text())["scheduler"]
    assert module.split(".")[:3] == ["numdiff", "adapters", "diffusers"]
    assert getattr(importlib.import_module(module), name) is NumdiffScheduler
    assert {path.suffix for path in tmp_path.rglob("*.*")} == {".json", ".safetensors"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dit", "sd", "flux"])
def test_a_saved_pipeline_is_given_the_scheduler_when_it_is_read(name, tmp_path):
    """The way for pipelines on the hub, whose index may name classes of diffusers only."""
    folder = saved(name, tmp_path)
    ours = NumdiffScheduler.from_pretrained(folder, subfolder="scheduler", **GHVB)
    pipe = reopened(folder, scheduler=ours)
    assert pipe.scheduler is ours
    expected = tiny(name)
    expected.scheduler = NumdiffScheduler.from_config(expected.scheduler.config, **GHVB)
    near(draw(pipe, name), draw(expected, name))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sd", "sdxl", "sd3", "flux"])
def test_the_way_back_to_diffusers_scheduler(name):
    """Ours keeps the entries of the other's configuration, so that it can be made again from ours."""
    pipe = tiny(name)
    before, expected = pipe.scheduler, draw(pipe, name)
    pipe.scheduler = NumdiffScheduler.from_config(before.config, **GHVB)
    pipe.scheduler = type(before).from_config(pipe.scheduler.config)
    assert torch.equal(draw(pipe, name), expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sd", "flux", "ddpm"])
def test_half_precision_weights_from_the_folder(name, tmp_path):
    folder = saved(name, tmp_path)
    pipe = diffusers.DiffusionPipeline.from_pretrained(folder, dtype=torch.bfloat16)
    pipe.set_progress_bar_config(disable=True)
    pipe.scheduler = NumdiffScheduler.from_config(pipe.scheduler.config, **GHVB)
    found = draw(pipe, name)
    assert found.dtype == torch.bfloat16
    assert found.isfinite().all()


@pytest.mark.parametrize(
    ("scheduler", "settings", "process"),
    [
        ("FlowMatchEulerDiscreteScheduler", {"shift": 3.0}, "flow"),
        ("DPMSolverMultistepScheduler", {"timestep_spacing": "linspace"}, "table"),
        ("DPMSolverMultistepScheduler", {"use_flow_sigmas": True, "prediction_type": "flow_prediction"}, "flow"),
        ("EulerDiscreteScheduler", {"timestep_spacing": "linspace"}, "table"),
        ("PNDMScheduler", {"skip_prk_steps": True}, "table"),
    ],
)
def test_a_configuration_made_in_memory_means_what_it_means_on_disk(scheduler, settings, process, tmp_path):
    """Only a configuration read from a file names its class."""
    theirs = getattr(diffusers, scheduler)(**settings)
    theirs.save_pretrained(tmp_path)
    ours = NumdiffScheduler.from_config(theirs.config, method="ddim")
    read = NumdiffScheduler.from_pretrained(tmp_path, method="ddim")
    for one in (ours, read):
        one.set_timesteps(7)
    assert read.config.process == process
    assert ours.timesteps.tolist() == read.timesteps.tolist()
    assert ours.sigmas.tolist() == read.sigmas.tolist()
    assert ours.config.prediction_type == read.config.prediction_type
