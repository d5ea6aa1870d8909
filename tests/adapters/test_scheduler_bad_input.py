"""What a scheduler refuses, and in which words."""

import math
import sys

import pytest
import torch

import numdiff as nd
from tests.scheduler_loops import SD, NumdiffScheduler, X, network, peer, run

PREDICTIONS = sys.modules["numdiff.adapters.diffusers.processes"].PREDICTIONS

pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"prediction_type": "v"}, "unknown prediction_type 'v'; .*known: epsilon, flow_prediction, sample, v_pre"),
        ({"process": "table", "prediction_type": "flow_prediction"}, "contradict|networks of flow matching predict"),
        ({"process": "table", "use_flow_sigmas": True}, "contradicts process='table'"),
        ({"process": "edm"}, "needs sigma_data"),
        ({"sigma_data": 0.5, "prediction_type": "sample"}, "no meaning behind Karras's preconditioning"),
        ({"method": "ddim", "order": 3}, "unknown option of NumdiffScheduler with method 'ddim' 'order'"),
        ({"method": "ghvb", "order": 3, "bta": 0.8}, "'bta'; did you mean 'beta'"),
        ({"method": "strang"}, "evaluates the condition apart from the model"),
        ({"timesteps": "karas"}, "unknown timesteps 'karas'; did you mean 'karras'"),
        ({"timestep_spacing": "trailling"}, "timestep_spacing .*trailling"),
        ({"convention": "dpmsolvr"}, "did you mean 'dpmsolver'"),
        ({"use_karras_sigmas": True, "use_beta_sigmas": True}, "only one of"),
        ({"final_sigmas_type": "one"}, "final_sigmas_type"),
        ({"accumulate": "float16"}, "accumulate"),
        ({"check_finite": "always"}, "check_finite"),
        ({"thresholding": True, "dynamic_thresholding_ratio": 1.5}, "dynamic_thresholding_ratio must lie"),
        ({"clip_sample": True, "clip_sample_range": -1}, "clip_sample_range must be positive"),
        ({"prediction_type": "flow_prediction", "shift": 0}, "shift must be positive"),
        ({"prediction_type": "flow_prediction", "num_train_timesteps": 0}, "num_train_timesteps must be an integer of"),
        ({"prediction_type": "flow_prediction", "sigma_data": 0.5}, "sigma_data = 0.5 belongs to .* process is 'flow'"),
        ({"process": "table", "sigma_data": 0.5}, "sigma_data = 0.5 belongs to .* leave it out, or set process='edm'"),
        ({"shift": 3}, "shift = 3 places the noise levels of flow matching, and this is a table"),
        ({"use_dynamic_shifting": True}, "use_dynamic_shifting = True places the noise levels of flow matching"),
        ({"variance_type": "learnd"}, "variance_type must be one of None, .*'learned', .*got 'learnd'"),
        ({"num_train_timesteps": 0}, "num_train_timesteps must be an integer of at least 2, .*got 0"),
        ({"beta_start": -1}, r"beta_start must be a number in \(0, 1\), .*got -1"),
        ({"beta_end": "0.02"}, r"beta_end must be a number in \(0, 1\), .*got '0.02'"),
        ({"trained_betas": ["a"]}, r"trained_betas must be numbers, not \['a'\]"),
        ({"prediction_type": "flow_prediction", "time_shift_type": "cubic"}, "time_shift_type"),
    ],
    ids=str,
)
def test_configurations(config, message):
    with pytest.raises((ValueError, TypeError), match=message):
        NumdiffScheduler(**config)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"num_inference_steps": 1001}, "between 1 and the table's 1000 entries, got 1001"),
        ({"num_inference_steps": 2.5}, "integer of at least 1, got 2.5"),
        ({"num_inference_steps": True}, "integer of at least 1, got True"),
        ({"num_inference_steps": 3, "timesteps": [3, 2, 1, 0]}, "= 3, but the list has 4"),
        ({"timesteps": [900, 500], "sigmas": [3.0, 1.0]}, "exactly one of"),
        ({"timesteps": [100, 500, 900]}, r"fall strictly, but timesteps\[0\] = 100"),
        ({"timesteps": [900, 500, 500]}, r"fall strictly, but timesteps\[1\] = 500"),
        ({"timesteps": [1200, 500]}, "1200.* lies outside"),
        ({"timesteps": [900, -5]}, "-5.* lies outside"),
        ({"timesteps": [900.5, 500.0]}, "timesteps must be integers"),
        ({"timesteps": ["900"]}, "timesteps must be numbers"),
        ({"sigmas": [1.0, 3.0, 0.0]}, "sigmas must fall strictly"),
        ({"sigmas": [50.0, 3.0, 0.0]}, "beyond the table's last"),
        ({"sigmas": [3.0, -1.0]}, "not negative"),
        ({"num_inference_steps": 5, "mu": 1.0}, "drop mu="),
    ],
    ids=str,
)
def test_grids(given, message):
    with pytest.raises((ValueError, TypeError), match=message):
        NumdiffScheduler(**SD).set_timesteps(**given)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("TCD", "^LCMScheduler or TCDScheduler is for networks distilled"),
        (
            "BlockRefinement",
            "^BlockRefinementScheduler is no scheduler whose configuration has a meaning here; .*DDIM, DD",
        ),
        ("EulerDiscrete", "interpolation_type='log_linear' tells the network the times of other"),
    ],
)
def test_configurations_of_others(name, message):
    config = {"interpolation_type": "log_linear"} if name == "EulerDiscrete" else {}
    with pytest.raises(ValueError, match=message):
        NumdiffScheduler.from_config(peer(name, **config).config)


@pytest.mark.parametrize("name", [*PREDICTIONS, "eps"])
def test_predictions_of_models_by_their_names_in_diffusers(name):
    """The message says what the scheduler makes of ``prediction_type``."""
    scheme = nd.DDIM().discretize(nd.schedules.VPLinear(), [1.0, 0.1])
    pairs = ", ".join(f"'{theirs}' is '{ours}'" for theirs, ours in PREDICTIONS.items())
    with pytest.raises(ValueError, match=f"unknown prediction '{name}'; known: data, edm, .*; diffusers' {pairs}$"):
        nd.sample(scheme, network, X, prediction=name)


def test_unknown_classes_are_refused_and_unread_entries_dropped():
    with pytest.raises(ValueError, match="MyScheduler is no scheduler whose"):
        NumdiffScheduler.from_config({"_class_name": "MyScheduler", **SD})
    dynamic = peer("DPMSolverMultistep", use_dynamic_shifting=True)  # which it reads for flows only
    assert NumdiffScheduler.from_config(dynamic.config).config.use_dynamic_shifting is False
    with pytest.raises(ValueError, match="shift = 3 places the noise levels of flow matching"):
        NumdiffScheduler.from_config(dynamic.config, shift=3)


def test_rules_that_have_no_grid():
    for chosen in ({"timesteps": "karras"}, {"use_karras_sigmas": True}):
        with pytest.raises(ValueError, match="rho, the exponent of the karras rule, must be positive, got 0"):
            NumdiffScheduler(rho=0, **chosen, **SD).set_timesteps(5)
    with pytest.raises(ValueError, match=r"timesteps='optimized' compares where runs end, .* a deterministic method"):
        NumdiffScheduler(method="ancestral", timesteps="optimized", **SD).set_timesteps(5)


def test_grids_of_flows():
    ends = NumdiffScheduler(prediction_type="flow_prediction", shift_terminal=0.1, method="flow-euler")
    with pytest.raises(ValueError, match=r"shift_terminal = 0.1 .* takes at least 2 steps, got 1"):
        ends.set_timesteps(1)
    with pytest.raises(ValueError, match="timesteps and sigmas must be as many, got 1 and 2"):
        NumdiffScheduler(prediction_type="flow_prediction").set_timesteps(timesteps=[900.0], sigmas=[0.9, 0.5])
    dynamic = NumdiffScheduler(prediction_type="flow_prediction", use_dynamic_shifting=True, method="ddim")
    with pytest.raises(ValueError, match="use_dynamic_shifting needs mu="):
        dynamic.set_timesteps(5)
    static = NumdiffScheduler(prediction_type="flow_prediction", method="ddim")
    with pytest.raises(ValueError, match="drop mu=, or set shift"):
        static.set_timesteps(5, mu=1.0)
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        static.set_timesteps(sigmas=[1.2, 0.5])
    with pytest.raises(ValueError, match="names entries of a table, and flow matching has none"):
        NumdiffScheduler(prediction_type="flow_prediction", timesteps="trailing").set_timesteps(5)


def ready(steps=5, **config):
    scheduler = NumdiffScheduler(**({"method": "ab", "order": 2} | SD if "method" not in config else SD) | config)
    scheduler.set_timesteps(steps)
    return scheduler


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"eta": 0.3},
            ValueError,
            r"eta = 0.3: eta is an option of the method here: from_config.*method='ddim', eta=0.5",
        ),
        ({"eta": math.nan}, ValueError, "eta = nan: eta is an option of the method"),
        ({"use_clipped_model_output": True}, ValueError, r"from_config\(..., clip_keeps_noise=False\); leave it out"),
        ({"variance_noise": None}, TypeError, "unexpected keyword argument 'variance_noise'"),
    ],
)
def test_options_of_other_schedulers_steps(options, error, message):
    scheduler = ready()
    with pytest.raises(error, match=message):
        scheduler.step(X, scheduler.timesteps[0], X, **options)
    assert scheduler.step_index is None  # nothing was told to the method


def test_options_of_other_schedulers_steps_that_say_nothing_are_passed_over():
    expected = run(ready())
    for eta in (0, 0.0, None, torch.tensor(0.0)):
        for clipped in (None, False):
            found, scheduler = X, ready(8)
            for t in scheduler.timesteps:
                given = {"eta": eta, "use_clipped_model_output": clipped}
                found = scheduler.step(network(found, t), t, found, **given).prev_sample
            assert torch.equal(found, expected)


@pytest.mark.parametrize("k", [0, 2, 4])
@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("check", ["auto", "end"])
def test_a_model_that_fails_at_a_step_is_named(k, value, check):
    scheduler = ready(check_finite=check)
    t = scheduler.timesteps[k].item()

    def failing(x, time):
        return torch.full_like(x, value) if float(time) == t else network(x, time)

    with pytest.raises(ValueError, match=rf"not finite at step {k + 1} of 5 \(timestep {t:g}\)"):
        run(scheduler, model=failing, timesteps=scheduler.timesteps)
    assert run(scheduler, timesteps=scheduler.timesteps).isfinite().all()  # it begins anew


def test_a_sample_that_outgrows_its_dtype_is_no_fault_of_the_model():
    with pytest.raises(ValueError, match=r"the sample is no longer finite at step [23] of 5 .*accumulate='float32'"):
        run(NumdiffScheduler(method="ddim", **SD), 5, X.half() * 3e4, model=lambda x, t: 0 * x)


def test_large_but_finite_outputs_pass():
    scheduler = ready(method="ddim")
    big = torch.full_like(X, 3e38)
    scheduler.step(big * 0.9, scheduler.timesteps[0], X)  # their sum overflows, they do not


def test_a_step_after_the_last():
    scheduler = ready()
    last = X
    for t in scheduler.timesteps:
        last = scheduler.step(X, t, last).prev_sample
    with pytest.raises(ValueError, match="the run is over: all 5 timesteps are behind"):
        scheduler.step(X, t, last)


def test_an_interrupted_run_is_not_taken_up_by_the_next():
    scheduler = ready()
    for t in scheduler.timesteps[:3]:
        scheduler.step(X, t, X)
    first = scheduler.timesteps[0]
    with pytest.raises(ValueError, match=r"out of order: the method asks for .* next; .*set_timesteps to begin again"):
        scheduler.step(X, first, X)
    expected = run(ready(), timesteps=ready().timesteps)
    scheduler.set_timesteps(5)
    assert torch.equal(run(scheduler, timesteps=scheduler.timesteps), expected)


def test_samples_of_another_kind():
    for bad, what in ((X.numpy(), "ndarray"), (X.long(), "torch.int64")):
        with pytest.raises(TypeError, match=rf"original_samples must be a floating-point tensor, not {what}"):
            ready().add_noise(bad, X, torch.tensor([1]))
        with pytest.raises(TypeError, match=rf"sample must be a floating-point tensor, not {what}"):
            ready().step(X, ready().timesteps[0], bad)


def test_shapes_devices_and_places():
    scheduler = ready()
    t = scheduler.timesteps[0]
    with pytest.raises(ValueError, match=r"model_output has shape .*\[2, 2, 4, 4\].* at timestep 800"):
        scheduler.step(torch.cat([X, X], dim=1), t, X)
    scheduler.set_timesteps(5)
    with pytest.raises(ValueError, match="model_output has device meta at timestep 800"):
        scheduler.step(X.to("meta"), scheduler.timesteps[0], X)
    with pytest.raises(ValueError, match=r"begin_index must lie in 0 ... 4, got 5"):
        scheduler.set_begin_index(5)
    with pytest.raises(ValueError, match=r"timesteps must lie in 0 ... 999, the table's entries, got \[1000\]"):
        scheduler.add_noise(X, X, torch.tensor([1000]))
    with pytest.raises(ValueError, match="is not one of timesteps"):
        scheduler.index_for_timestep(3)
    with pytest.raises(TypeError, match="unexpected keyword"):
        scheduler.step(X, t, X, s_churn=1.0)


def test_a_run_cannot_begin_within_a_step():
    scheduler = NumdiffScheduler(method="midpoint", timestep_spacing="trailing", **SD)
    scheduler.set_timesteps(5)
    with pytest.raises(ValueError, match="is not where a grid step begins; begin at one of 999, 799"):
        scheduler.step(X, scheduler.timesteps[1], X)


def test_noise_prediction_from_zero_signal_says_what_to_do():
    scheduler = NumdiffScheduler(method="ddim", rescale_betas_zero_snr=True, timestep_spacing="trailing", **SD)
    with pytest.raises(ValueError, match=r"alpha = 0|infinite"):
        run(scheduler, 5)
