"""NumdiffScheduler.from_config(theirs.config, method=...) draws the samples of diffusers' own scheduler, in float32.

The methods coincide in exact arithmetic (tests/test_diffusers*.py, in float64); here the scheduler's protocol is
compared: timesteps, tables, spacing, the last steps' orders, what the network sees, noise.
"""

import pytest
import torch

from numdiff.adapters.diffusers import configs
from tests.scheduler_loops import SD, NumdiffScheduler, X, alike, peer

pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")

# The matrices are slow; what follows them picks one of each kind.
EVERY = ("leading", "linspace", "trailing")
RULES = ("karras", "exponential", "beta")
TRUNCATED = 1e-4
"""Where the peer truncates the network's times to integers: one that float32 puts just below loses a whole entry."""


@pytest.mark.slow
@pytest.mark.parametrize("spacing", EVERY)
@pytest.mark.parametrize(
    ("name", "method", "options"),
    [
        ("DPMSolverMultistep", "dpmpp_2m", {}),
        ("UniPCMultistep", "unipc", {"order": 2, "rule": "bh2"}),
        ("DEISMultistep", "deis", {"order": 2, "variant": "log-rho"}),
        ("EulerDiscrete", "ddim", {}),
        ("HeunDiscrete", "heun", {"formulation": "noise/ratio"}),
        ("LMSDiscrete", "lms", {"order": 4}),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_spacings_mean_what_they_mean_there(name, method, options, spacing):
    config = {**SD, "timestep_spacing": spacing, "steps_offset": 1 if spacing == "leading" else 0}
    alike(peer(name, **config), method, **options)


@pytest.mark.slow
@pytest.mark.parametrize("to_one", [True, False])
@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("prediction", ["epsilon", "sample", "v_prediction"])
def test_ddim(to_one, offset, prediction):
    config = {"clip_sample": False, "set_alpha_to_one": to_one, "steps_offset": offset, "prediction_type": prediction}
    ours = alike(peer("DDIM", **config, **SD), "ddim")
    # without an offset the last timestep is entry 0, where the peer stays; ours leaves the idle evaluation out
    assert len(ours.timesteps) == (7 if not (to_one or offset) else 8)


SLOWLY_MADE = ("KDPM2Discrete", "KDPM2AncestralDiscrete")


@pytest.mark.parametrize(("steps", "made"), [(4, False), pytest.param(7, True, marks=pytest.mark.slow)])
def test_every_class_has_its_own_grid(steps, made):
    """Also those whose spacing is no entry of their configuration."""
    for name in (name for name in configs.CONVENTION_OF if made or name not in SLOWLY_MADE):
        theirs = peer(name, **({"skip_prk_steps": True} if name == "PNDM" else {}))
        ours = NumdiffScheduler.from_config(theirs.config, method="ddim")
        theirs.set_timesteps(steps)
        ours.set_timesteps(steps)
        expected = list(dict.fromkeys(theirs.timesteps.tolist()))  # two stages at one time are one step, as PNDM's
        if name in (*SLOWLY_MADE, "DPMSolverSDE"):
            expected = theirs.timesteps.tolist()[::2]  # between them are midpoints
        # a last timestep at entry 0 without set_alpha_to_one is idle, which PNDM's default is
        assert ours.timesteps.tolist() == pytest.approx(expected[: len(ours.timesteps)], rel=1e-6), name
        assert len(ours.timesteps) == steps - (name == "PNDM"), name


def test_ddim_is_that_of_trailing_spacing_from_zero_terminal_snr():
    config = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing", "prediction_type": "v_prediction"}
    alike(peer("DDIM", clip_sample=False, **config, **SD), "ddim", formulation="data/log-snr")
    # sigma/alpha begins at 4096 there: float32 leaves 5e-4 of it in absolute terms, and 1e-4 of the first step
    alike(peer("DPMSolverMultistep", **config, **SD), "dpmpp_2m", tolerance=1e-4)
    alike(peer("EulerDiscrete", **config, **SD), "ddim", tolerance=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES)
def test_rules_for_sigmas(rule):
    config = {**SD, f"use_{rule}_sigmas": True}
    whole = 2e-5 if rule == "karras" else TRUNCATED
    alike(peer("EulerDiscrete", **config), "ddim")
    alike(peer("DPMSolverMultistep", **config), "dpmpp_2m", tolerance=whole)
    alike(peer("DEISMultistep", **config), "deis", order=2, variant="log-rho", tolerance=whole)
    alike(peer("HeunDiscrete", **config), "heun", formulation="noise/ratio")


def test_more_rules_for_sigmas():
    alike(peer("DPMSolverMultistep", use_lu_lambdas=True, **SD), "dpmpp_2m")
    alike(peer("UniPCMultistep", use_karras_sigmas=True, **SD), "unipc", order=2, rule="bh2")
    alike(peer("EulerDiscrete", use_karras_sigmas=True, sigma_min=0.1, sigma_max=10.0, **SD), "ddim")


@pytest.mark.slow
@pytest.mark.parametrize("steps", [8, 16])
@pytest.mark.parametrize("final", ["zero", "sigma_min"])
def test_the_orders_of_the_last_steps(steps, final):
    config = {"final_sigmas_type": final, **SD}
    alike(peer("DPMSolverMultistep", **config), "dpmpp_2m", steps=steps)
    alike(
        peer("DPMSolverMultistep", solver_type="heun", lower_order_final=False, **config), "dpmpp", order=2, steps=steps
    )
    alike(peer("DPMSolverMultistep", euler_at_final=True, **config), "dpmpp_2m", steps=steps)
    for order in (2, 3):
        alike(peer("UniPCMultistep", solver_order=order, **config), "unipc", order=order, rule="bh2", steps=steps)


@pytest.mark.slow
def test_tables_of_other_rules():
    alike(peer("DPMSolverMultistep", beta_schedule="squaredcos_cap_v2", lambda_min_clipped=-5.1), "dpmpp_2m")
    alike(peer("DDPM", beta_schedule="sigmoid", clip_sample=False), "ddpm")
    alike(peer("DDIM", trained_betas=torch.linspace(0.001, 0.02, 1000).numpy(), clip_sample=False), "ddim")


@pytest.mark.slow
@pytest.mark.parametrize("order", [1, 2, 3])
def test_deis(order):
    alike(peer("DEISMultistep", solver_order=order, **SD), "deis", order=order, variant="log-rho")


def test_plms_with_its_doubled_timestep():
    alike(peer("PNDM", skip_prk_steps=True, steps_offset=1, **SD), "pndm")
    raw = peer("PNDM", skip_prk_steps=True, steps_offset=1, prediction_type="v_prediction", **SD)
    assert alike(raw, "pndm").config.method_options == {"combine": "v"}
    assert NumdiffScheduler.from_config(raw.config, method="pndm", combine="noise").method.combine == "noise"


def test_a_corrector_acts_where_the_last_step_stays():
    config = {"use_karras_sigmas": True, "final_sigmas_type": "sigma_min", **SD}
    for order in (2, 3):
        ours = alike(peer("UniPCMultistep", solver_order=order, **config), "unipc", order=order, rule="bh2")
        assert len(ours.timesteps) == 8
    assert len(alike(peer("DPMSolverMultistep", **config), "dpmpp_2m").timesteps) == 7


@pytest.mark.parametrize("rule", ["midpoint", "heun"])
def test_noise_comes_from_the_same_calls_of_the_generator(rule):
    kinds = {"midpoint": {"rule": "half"}, "heun": {}}
    theirs = peer("DPMSolverMultistep", algorithm_type="sde-dpmsolver++", solver_type=rule, **SD)
    alike(theirs, "sde-dpmpp", order=2, **kinds[rule])
    alike(peer("EulerAncestralDiscrete", **SD), "ancestral")
    alike(peer("DDPM", clip_sample=False, **SD), "ddpm")


@pytest.mark.parametrize("to_one", [True, False])
@pytest.mark.parametrize("formulation", [None, "data/log-snr"])
def test_ddim_clips_data_and_keeps_the_noise(to_one, formulation):
    given = {"set_alpha_to_one": to_one, "steps_offset": 1, "clip_sample_range": 0.7, **SD}
    for config in ({}, {"prediction_type": "v_prediction"}, {"thresholding": True, "sample_max_value": 1.5}):
        alike(peer("DDIM", **given, **config), "ddim", formulation=formulation)
    # where a step ends at sigma = 0 there is no noise to keep
    for keeps in (True, False):
        ours = NumdiffScheduler(method="ddim", clip_sample=True, clip_keeps_noise=keeps, **SD)
        ours.set_timesteps(1)
        assert ours.step(10 * X, ours.timesteps[0], X).prev_sample.abs().max() == pytest.approx(1.0, abs=1e-6)


def test_a_network_clipped_or_thresholded():
    alike(peer("DDPM", clip_sample=True, clip_sample_range=0.5, **SD), "ddpm")
    alike(peer("HeunDiscrete", clip_sample=True, **SD), "heun", formulation="noise/ratio")
    big = {"thresholding": True, "dynamic_thresholding_ratio": 0.9, "sample_max_value": 1.5}
    for prediction in ("epsilon", "sample", "v_prediction"):
        alike(peer("DPMSolverMultistep", prediction_type=prediction, **big, **SD), "dpmpp_2m")
    alike(peer("UniPCMultistep", **big, **SD), "unipc", order=2, rule="bh2")


# --- flow matching and preconditioned networks ------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "config",
    [
        {},
        {"shift": 3.0},
        {"use_dynamic_shifting": True},
        {"use_dynamic_shifting": True, "time_shift_type": "linear", "shift_terminal": 0.1},
        {"use_karras_sigmas": True},
        {"shift": 3.0, "use_exponential_sigmas": True},
        {"use_beta_sigmas": True},
        {"invert_sigmas": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("method", ["flow-euler", "ddim"])
def test_flow_matching(config, method):
    given = {"mu": 0.7} if "use_dynamic_shifting" in config else {}
    alike(peer("FlowMatchEulerDiscrete", **config), method, given=given)
    if not given:
        alike(peer("FlowMatchEulerDiscrete", **config), method, given={"sigmas": [1.0, 0.7, 0.4, 0.1]}, steps=None)


def test_timesteps_of_flows_are_told_and_their_sigmas_shifted():
    times = [1000.0, 800.0, 500.0, 200.0]
    for config, given in (
        ({}, {}),
        ({"shift": 3.0}, {}),
        ({"shift": 3.0}, {"sigmas": [1.0, 0.7, 0.4, 0.1]}),
        ({"use_dynamic_shifting": True}, {"mu": 0.6}),
    ):
        theirs = peer("FlowMatchEulerDiscrete", **config)
        ours = NumdiffScheduler.from_config(theirs.config, method="flow-euler")
        for scheduler in (theirs, ours):
            scheduler.set_timesteps(timesteps=times, **given)
        assert ours.timesteps.tolist() == theirs.timesteps.tolist() == times
        torch.testing.assert_close(ours.sigmas, theirs.sigmas)


def test_solvers_on_flows():
    config = {"use_flow_sigmas": True, "flow_shift": 3.0, "prediction_type": "flow_prediction"}
    alike(peer("DPMSolverMultistep", **config), "dpmpp_2m", tolerance=TRUNCATED)
    # UniPC begins 1e-6 below sigma = 1, which float32 blurs by a tenth, and with it its first log-SNR step of 14
    alike(peer("UniPCMultistep", **config), "unipc", order=2, rule="bh2", tolerance=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["karras", "exponential"])
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("final", ["zero", "sigma_min"])
def test_preconditioned_networks(rule, prediction, final):
    config = {"sigma_schedule": rule, "prediction_type": prediction, "final_sigmas_type": final, "sigma_data": 0.7}
    for name, method in (("EDMEuler", "ddim"), ("EDMDPMSolverMultistep", "dpmpp_2m")):
        ours = alike(peer(name, **config), method)
        assert ours.init_noise_sigma == pytest.approx(peer(name, **config).init_noise_sigma)


def test_video_diffusion_is_preconditioned_with_unit_data():
    config = {"timestep_type": "continuous", "prediction_type": "v_prediction", "use_karras_sigmas": True}
    for spacing in ("leading", "linspace"):
        wide = {"sigma_min": 0.002, "sigma_max": 700.0, "timestep_spacing": spacing}
        alike(peer("EulerDiscrete", **config, **wide, **SD), "ddim")


def test_one_of_each_kind():
    alike(peer("DPMSolverMultistep", use_karras_sigmas=True, timestep_spacing="trailing", **SD), "dpmpp_2m")
    alike(peer("EulerDiscrete", **SD), "ddim")
    alike(peer("DEISMultistep", solver_order=2, **SD), "deis", order=2, variant="log-rho")
    alike(peer("DDIM", clip_sample=False, set_alpha_to_one=False, **SD), "ddim")
    alike(
        peer("FlowMatchEulerDiscrete", use_dynamic_shifting=True, shift_terminal=0.1), "flow-euler", given={"mu": 0.7}
    )
    alike(peer("FlowMatchEulerDiscrete", shift=3.0), "ddim", given={"sigmas": [1.0, 0.7, 0.4, 0.1]}, steps=None)
    alike(peer("EDMEuler"), "ddim")
    alike(peer("EDMDPMSolverMultistep", prediction_type="v_prediction"), "dpmpp_2m")
