"""The conventions of diffusers' own scheduler tests: saving, shapes, outputs, other schedulers' configurations."""

import copy
import json
import pickle

import pytest
import torch

import numdiff as nd
from numdiff.adapters.diffusers import configs
from tests.scheduler_loops import SD, NumdiffScheduler, X, diffusers, network, peer, run

pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")
MADE = (
    {"method": "ghvb", "method_options": {"order": 3, "beta": 0.8}, **SD},
    {"method": "heun", "prediction_type": "v_prediction", "timestep_spacing": "trailing"},
    {"method": "flow-ab", "method_options": {"order": 2}, "prediction_type": "flow_prediction", "shift": 3.0},
    {"method": "dpmpp_2m", "sigma_data": 0.5},
    {"method": "ab", "method_options": {"order": 2}, "timesteps": "karras", **SD},
)
made = pytest.mark.parametrize("config", MADE, ids=[config["method"] for config in MADE])


@made
def test_saved_and_loaded_it_draws_the_same(config, tmp_path):
    scheduler = NumdiffScheduler(**config)
    scheduler.save_pretrained(tmp_path)
    loaded = NumdiffScheduler.from_pretrained(tmp_path)
    assert dict(loaded.config) == dict(scheduler.config) | {k: v for k, v in loaded.config.items() if k.startswith("_")}
    again = NumdiffScheduler.from_config(scheduler.config)
    expected = run(scheduler, 6)
    for other in (loaded, again, copy.deepcopy(scheduler)):
        assert other.method == scheduler.method
        assert torch.equal(run(other, 6), expected)


@pytest.mark.parametrize("again", [copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))], ids=["copy", "pickle"])
@pytest.mark.parametrize(
    ("method", "more"),
    [
        ("ghvb", {"order": 3, "beta": 0.8, "clip_sample": True}),
        ("heun", {}),
        ("sde-dpmpp", {"thresholding": True}),
        ("unipc", {}),
    ],
)
def test_a_copy_goes_on_with_the_run(method, more, again):
    """In progress, and when a run is over."""
    scheduler, chance = NumdiffScheduler(method=method, **more, **SD), torch.Generator().manual_seed(0)
    scheduler.set_timesteps(6)
    x = X
    for n, t in enumerate(scheduler.timesteps):
        if n == 3:
            other, y, its_chance = again(scheduler), x.clone(), again(chance)
        x = scheduler.step(network(x, t), t, x, chance).prev_sample
    for t in other.timesteps[3:]:
        y = other.step(network(y, t), t, y, its_chance).prev_sample
    assert torch.equal(x, y)
    assert torch.equal(run(again(scheduler), 6), run(scheduler, 6))


def test_options_are_flat_or_a_dict_and_can_be_changed():
    one = NumdiffScheduler(method="ghvb", order=3, beta=0.8)
    other = NumdiffScheduler(method="ghvb", method_options={"order": 3, "beta": 0.8})
    assert one.method == other.method == nd.method("ghvb", order=3, beta=0.8)
    assert one.config.method_options == {"order": 3, "beta": 0.8}
    from_theirs = NumdiffScheduler.from_config(diffusers.PNDMScheduler().config, method="ghvb", order=3, beta=0.8)
    assert from_theirs.method == one.method
    changed = NumdiffScheduler.from_config(one.config, beta=0.5)
    assert changed.method == nd.method("ghvb", order=3, beta=0.5)
    another = NumdiffScheduler.from_config(one.config, method="deis", order=2)
    assert another.method == nd.method("deis", order=2)


def test_options_that_json_cannot_hold_are_refused_when_saving(tmp_path):
    scheduler = NumdiffScheduler(method="sa-solver", order=2, tau=nd.Tau(0.5))
    with pytest.raises(TypeError, match=r"option tau = .* cannot be written to JSON"):
        scheduler.save_pretrained(tmp_path)
    assert not list(tmp_path.iterdir())


@made
@pytest.mark.parametrize("shape", [(1, 3, 4, 4), (4, 2, 6), (3, 5)])
def test_shapes_and_kinds_of_output(config, shape):
    scheduler = NumdiffScheduler(**config)
    scheduler.set_timesteps(5)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    first = scheduler.timesteps[0]
    as_tuple = scheduler.step(network(x, first), first, x, return_dict=False)
    scheduler.set_timesteps(5)
    as_object = scheduler.step(network(x, scheduler.timesteps[0]), scheduler.timesteps[0], x)
    assert isinstance(as_tuple, tuple)
    assert torch.equal(as_tuple[0], as_object.prev_sample)
    assert as_object[0] is as_object.prev_sample
    assert as_tuple[0].shape == x.shape
    assert as_tuple[0].dtype == x.dtype


@made
def test_what_pipelines_read(config):
    scheduler = NumdiffScheduler(**config)
    assert len(scheduler) == 1000
    assert len(scheduler.timesteps) == 1000
    assert isinstance(scheduler.init_noise_sigma, float)
    assert scheduler.scale_model_input(X, 999).shape == X.shape
    scheduler.set_timesteps(6)
    assert scheduler.num_inference_steps == 6
    assert scheduler.order == scheduler.method.stages
    assert len(scheduler.sigmas) == len(scheduler.timesteps) + 1
    assert scheduler.sigmas.dtype == torch.float32
    assert scheduler.step_index is scheduler.begin_index is None
    x = X
    for n, t in enumerate(scheduler.timesteps):
        x = scheduler.step(network(x, t), t, x).prev_sample
        assert scheduler.step_index == n + 1
    json.loads(scheduler.to_json_string())


CLASSES = [f"{name}Scheduler" for name in configs.CONVENTION_OF]


def test_compatibles_are_the_schedulers_of_diffusers():
    assert {c.__name__ for c in NumdiffScheduler().compatibles} == {*CLASSES}


@pytest.mark.slow
@pytest.mark.parametrize("name", CLASSES)
def test_configurations_go_both_ways(name):
    """Ours from theirs knows what they meant; theirs from ours is theirs again."""
    theirs = getattr(diffusers, name)()
    ours = NumdiffScheduler.from_config(theirs.config, method="ddim")
    back = getattr(diffusers, name).from_config(ours.config)
    kept = {k: v for k, v in theirs.config.items() if not k.startswith("_")}
    own = {"clip_sample", "lambda_min_clipped"}
    assert {k: back.config[k] for k in kept if k not in own} == {k: v for k, v in kept.items() if k not in own}
    given = {"mu": 0.5} if theirs.config.get("use_dynamic_shifting") else {}
    ours.set_timesteps(5, **given)
    assert ours.num_inference_steps in (4, 5)


def test_entries_of_others_that_a_configuration_carries_along_do_not_count():
    """UniPC does not clip, whatever DDIM's entry says; nor does it know set_alpha_to_one."""
    first = diffusers.DDIMScheduler(clip_sample=True, set_alpha_to_one=False, **SD)
    theirs = diffusers.UniPCMultistepScheduler.from_config(first.config)
    assert theirs.config.clip_sample
    ours = NumdiffScheduler.from_config(theirs.config, method="unipc", order=2)
    assert not ours.config.clip_sample
    assert ours.config.final_sigmas_type == "zero"
    assert NumdiffScheduler.from_config(first.config).config.clip_sample


def test_a_configuration_file_names_its_class(tmp_path):
    peer("DPMSolverMultistep", use_karras_sigmas=True, **SD).save_pretrained(tmp_path)
    ours = NumdiffScheduler.from_pretrained(tmp_path, method="dpmpp_2m")
    assert (ours.config.convention, ours.config.final_sigmas_type) == ("dpmsolver", "zero")
    raw = {"_class_name": "EulerDiscreteScheduler", **SD}
    assert NumdiffScheduler.from_config(raw).config.timestep_spacing == "linspace"


def test_schedulers_that_no_run_can_follow_say_why():
    for name, why in (("LCM", "distilled"), ("DDIMInverse", "use nd.invert"), ("IPNDM", "sin")):
        with pytest.raises(ValueError, match=f"{name}Scheduler .*{why}"):
            NumdiffScheduler.from_config(peer(name).config)
    with pytest.raises(ValueError, match="stochastic_sampling=True adds noise"):
        NumdiffScheduler.from_config(peer("FlowMatchEulerDiscrete", stochastic_sampling=True).config)
