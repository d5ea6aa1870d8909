"""Exports: diffusers, an independent program, runs on the steps that it was given.

With the noise prediction constant, eps = e and x_0 = 0, the exact solution is x_t = sigma_t e, and every consistent
scheduler stays on it: its samples tell the sigmas that it really uses, whatever its order. The samples are float32,
with some ten operations a step of 1e-7 each: TOLERANCE. Then whole runs on a mixture are compared with our own scheme.
"""

import importlib
import math
import re
import warnings

import numpy as np
import pytest
import torch

import numdiff as nd
from numdiff.optimize import exports
from numdiff.optimize.result import TimeSteps
from tests import peers
from tests.peers import MIXTURE, SCHEDULE, TABLE

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array:DeprecationWarning"),  # how diffusers hands tensors to NumPy
    pytest.mark.filterwarnings("ignore:.algorithm_types dpmsolver:FutureWarning"),
]
TOLERANCE = 1e-5
TIMES = [1.0, 0.7777, 0.51234, 0.3, 0.1, 0.0123]


def result(schedule, log_snr, method=None):
    return TimeSteps(
        method or nd.DPMSolverPP(2, rule="half"),
        schedule,
        "paper",
        log_snr,
        1.0,
        2.0,
        "converged",
        "",
        True,
        0.0,
        evaluate=lambda z: 1.0 + float(z @ z),
    )


def steps(*, clean, method=None):
    return result(SCHEDULE, [*map(SCHEDULE.log_snr, TIMES), math.inf if clean else SCHEDULE.log_snr(0.001)], method)


def flow(shift=1.0, method=None):
    return result(nd.schedules.Flow(shift), [-math.inf, -1.0, 0.3, 2.0, math.inf], method)


def build(name, **config):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations of diffusers' own dependencies, at its import only
        found = getattr(importlib.import_module("diffusers"), name)
    return found(**config)


def sigmas_of_a_run(scheduler, first):
    """Sigma/alpha (sigma for a flow) before every step and after the last one, from the samples alone."""
    plain = type(scheduler).__name__.startswith(("FlowMatch", "Euler", "Heun"))  # x itself, or x/alpha; others sigma
    x = torch.full((1, 1, 1, 1), first if plain else first / math.sqrt(1 + first**2))
    e = torch.ones(1, 1, 1, 1)
    found = [first]
    for t in scheduler.timesteps:
        if hasattr(scheduler, "scale_model_input"):
            scheduler.scale_model_input(x, t)
        x = scheduler.step(e, t, x, return_dict=False)[0]
        y = float(x)
        found.append(y if plain else y / math.sqrt(1 - y**2))
    return np.array(found)


def config(name, clean):
    takes_final = name not in ("HeunDiscreteScheduler", "DEISMultistepScheduler")
    return TABLE | ({"final_sigmas_type": "zero" if clean else "sigma_min"} if takes_final else {})


INSTALLED = [
    ("DPMSolverMultistepScheduler", True),
    ("DPMSolverMultistepScheduler", False),
    ("UniPCMultistepScheduler", True),
    ("UniPCMultistepScheduler", False),
    ("EulerDiscreteScheduler", True),
    ("EulerDiscreteScheduler", False),
    ("HeunDiscreteScheduler", True),
    ("HeunDiscreteScheduler", False),
    ("DEISMultistepScheduler", False),
]


def nodes_visited(name, values, *, clean):
    """Heun's method visits a node twice: once by the predictor, once by the corrector, which agree here."""
    if name != "HeunDiscreteScheduler":
        return values
    return np.concatenate([values[:1], np.repeat(values[1:-1], 2), np.repeat(values[-1:], 1 if clean else 2)])


@pytest.mark.parametrize(("name", "clean"), INSTALLED)
def test_an_installed_scheduler_runs_on_the_steps(name, clean):
    scheduler, ours = build(name, **config(name, clean)), steps(clean=clean)
    assert exports.install(scheduler, ours) is None
    wanted = nodes_visited(
        name, np.append(np.exp(-ours.log_snr[:-1]), 0.0 if clean else SCHEDULE.rho(0.001)), clean=clean
    )
    found = sigmas_of_a_run(scheduler, wanted[0])
    np.testing.assert_allclose(found, wanted, rtol=TOLERANCE, atol=TOLERANCE)
    times = nodes_visited(name, np.array([1000 * t - 1 for t in [*TIMES, 0.001]]), clean=clean)[: len(found) - 1]
    np.testing.assert_allclose(scheduler.timesteps, times, rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize(("name", "clean"), INSTALLED)
def test_a_rounded_run_differs_by_the_reported_rounding(name, clean):
    scheduler, ours = build(name, **config(name, clean)), steps(clean=clean)
    rounding = exports.install(scheduler, ours, rounded=True)
    assert all(float(t).is_integer() for t in scheduler.timesteps)
    visited = nodes_visited(name, ours.log_snr, clean=clean)
    found = sigmas_of_a_run(scheduler, math.exp(-rounding.log_snr[0]))
    moved = np.abs(-np.log(found[: len(visited) - clean]) - visited[: len(visited) - clean])
    assert moved.max() == pytest.approx(rounding.shift, abs=2e-4)  # the float32 table's first entry is off by 1e-4
    assert rounding.objective == pytest.approx(1.0 + rounding.log_snr[1:-1] @ rounding.log_snr[1:-1], rel=1e-12)


@pytest.mark.parametrize(
    ("name", "clean", "kind", "key"),
    [
        ("DPMSolverMultistepScheduler", True, None, "timesteps"),
        ("DPMSolverMultistepScheduler", False, None, "timesteps"),
        ("EulerDiscreteScheduler", True, None, "sigmas"),
        ("EulerDiscreteScheduler", False, "timesteps", "timesteps"),
        ("HeunDiscreteScheduler", True, None, "timesteps"),
    ],
)
def test_arguments_make_a_scheduler_run_on_the_steps(name, clean, kind, key):
    scheduler, ours = build(name, **config(name, clean)), steps(clean=clean)
    arguments = exports.diffusers_arguments(ours, scheduler, kind=kind)
    assert list(arguments) == [key]
    scheduler.set_timesteps(**arguments)
    rounding = exports.diffusers_rounding(ours, scheduler)
    lam = ours.log_snr if key == "sigmas" else rounding.log_snr
    wanted = nodes_visited(name, np.append(np.exp(-lam[:-1]), 0.0 if clean else SCHEDULE.rho(0.001)), clean=clean)
    found = sigmas_of_a_run(scheduler, wanted[0])
    np.testing.assert_allclose(found, wanted, rtol=3e-4, atol=TOLERANCE)  # the float32 table's first entry, as above
    if key == "timesteps":
        assert arguments["timesteps"] == ours.timesteps.tolist() == rounding.timesteps.tolist()


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_flow_matching_undoes_the_shift_of_the_scheduler(shift):
    scheduler, ours = build("FlowMatchEulerDiscreteScheduler", shift=shift), flow(shift)
    wanted = 1 / (1 + np.exp(ours.log_snr))
    scheduler.set_timesteps(**exports.diffusers_arguments(ours, scheduler))
    np.testing.assert_allclose(sigmas_of_a_run(scheduler, 1.0), wanted, rtol=TOLERANCE, atol=1e-7)
    scheduler = build("FlowMatchEulerDiscreteScheduler", shift=shift)
    exports.install(scheduler, ours)
    np.testing.assert_allclose(sigmas_of_a_run(scheduler, 1.0), wanted, rtol=TOLERANCE, atol=1e-7)
    np.testing.assert_allclose(scheduler.timesteps, 1000 * wanted[:-1], rtol=1e-6)


def test_a_continuous_schedule_goes_through_the_schedulers_own_table():
    """ddpm-linear is the table of VP-linear, entry 1000 t - 1 at time t, up to 1 %: 1 - b is not e^-b for b = 0.02."""
    vp = nd.schedules.VPLinear()
    ours = result(vp, [vp.log_snr(t) for t in (0.9, 0.5, 0.2, 0.001)])
    scheduler = build("DPMSolverMultistepScheduler", beta_start=1e-4, beta_end=0.02, final_sigmas_type="sigma_min")
    rounding = exports.diffusers_rounding(ours, scheduler)
    assert np.abs(rounding.timesteps - np.array([899, 499, 199])).max() <= 10
    table = np.asarray(scheduler.alphas_cumprod, dtype=float)
    expected = np.array([np.argmin(np.abs(0.5 * np.log(table / (1 - table)) - lam)) for lam in ours.log_snr])
    assert rounding.timesteps.tolist() == expected[:-1].tolist()


RUNS = [
    ("DPMSolverMultistepScheduler", {"solver_order": 2}, nd.DPMSolverPP(2, rule="half"), False),
    ("EulerDiscreteScheduler", {}, nd.DDIM(), True),
    ("HeunDiscreteScheduler", {}, nd.Heun(), True),
]


@pytest.mark.parametrize(("name", "options", "method", "scaled"), RUNS)
def test_whole_runs_agree_with_our_scheme(name, options, method, scaled):
    ours = steps(clean=True, method=method)
    scheduler = build(name, **config(name, True), **options)
    exports.install(scheduler, ours)
    model = MIXTURE.model(SCHEDULE, "noise")
    start = MIXTURE.sample_level(6, SCHEDULE.level(1.0), 3)
    expected = nd.sample(ours.scheme(), model, start, prediction="noise")
    x = torch.from_numpy(start / (SCHEDULE.alpha(1.0) if scaled else 1.0))
    for t in scheduler.timesteps:
        eps = torch.from_numpy(model(scheduler.scale_model_input(x, t).double().numpy(), float(t)))
        x = scheduler.step(eps, t, x, return_dict=False)[0].double()
    # float32 sigmas and timesteps, 1e-7 each, times 1/alpha = 15 where the run starts and some 10 operations a step
    np.testing.assert_allclose(x, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "method"),
    [("euler", nd.DDIM()), ("heun", nd.Heun()), ("dpmpp_2m", nd.DPMSolverPP(2, rule="half")), ("lms", nd.LMS(4))],
    ids=str,
)
def test_k_diffusion_runs_on_our_sigmas(name, method):
    edm = peers.EDM
    ours = result(edm, [*(edm.log_snr(t) for t in (80.0, 21.0, 6.0, 1.1, 0.4, 0.03)), math.inf], method)
    sigmas = torch.from_numpy(exports.sigmas(ours))
    start = peers.start(sigmas)
    expected = getattr(peers.k_diffusion(), f"sample_{name}")(peers.denoiser(), start, sigmas, disable=True)
    peers.close(nd.sample(ours.scheme(), peers.model(), start, prediction="data"), expected)


# --- lists and text ---------------------------------------------------------------------------------------------------


def test_sigmas_in_both_conventions():
    ours = steps(clean=True)
    np.testing.assert_allclose(exports.sigmas(ours)[:-1], ours.sigmas[:-1] / ours.alphas[:-1], rtol=1e-12)
    assert exports.sigmas(ours)[-1] == 0
    for shift in (1.0, 3.0):
        np.testing.assert_allclose(exports.sigmas(flow(shift)), flow(shift).sigmas, rtol=1e-12)  # sigma itself
    half = exports.sigmas(ours, convention="flow")
    np.testing.assert_allclose(half, ours.sigmas / (ours.sigmas + ours.alphas), rtol=1e-12)
    with pytest.raises(ValueError, match="t_start below"):
        exports.sigmas(flow(), convention="k-diffusion")


def test_a_trailing_zero_is_appended_once():
    for clean in (True, False):
        found = exports.sigmas(steps(clean=clean), final_zero=True)
        assert found[-1] == 0
        assert (np.diff(found) < 0).all()
        assert len(found) == (7 if clean else 8)


def test_text_gives_back_every_float32_to_readers_that_know_no_exponents():
    """ComfyUI's ManualSigmas finds numbers by a pattern of digits and points; "1e-05" would be two numbers to it."""
    values = np.geomspace(1e-9, 1e9, 61).astype(np.float32)
    for form in ("comma", "comfyui"):
        text = exports.text([*values, 0.0], form)
        assert "e" not in text
        found = [float(x) for x in re.findall(r"[-+]?(?:\d*\.*\d+)", text)]
        np.testing.assert_array_equal(np.float32(found), np.float32([*values, 0.0]))
    assert exports.text([14.6146, 2, 0], digits=3) == "14.6, 2, 0"
    assert exports.text([0.5, 0], "python") == "[0.5, 0.0]"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: exports.text([1.0, math.inf]), ValueError, "finite"),
        (lambda: exports.text(["1"]), TypeError, "numbers"),
        (lambda: exports.text([1.0], "xml"), ValueError, "form must be one of"),
        (lambda: exports.text([1.0], digits=0), ValueError, "digits"),
        (lambda: exports.sigmas(steps(clean=True), convention="edm"), ValueError, "convention must be one of"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    ("name", "options", "ours", "error", "message"),
    [
        ("DDIMScheduler", TABLE, steps(clean=True), TypeError, "NumdiffScheduler"),
        ("KDPM2DiscreteScheduler", TABLE, steps(clean=True), TypeError, "lists of its own"),
        ("UniPCMultistepScheduler", TABLE, steps(clean=True), ValueError, r"install\(scheduler, result\)"),
        ("DPMSolverMultistepScheduler", TABLE, steps(clean=False), ValueError, "'sigma_min'"),
        ("DEISMultistepScheduler", TABLE, steps(clean=True), ValueError, "final_zero=False"),
        (
            "EulerDiscreteScheduler",
            {**TABLE, "use_karras_sigmas": True},
            steps(clean=True),
            ValueError,
            "use_karras_sigmas",
        ),
    ],
)
def test_schedulers_that_would_run_other_steps(name, options, ours, error, message):
    kind = "timesteps" if "use_karras_sigmas" in options else None
    with pytest.raises(error, match=message):
        exports.diffusers_arguments(ours, build(name, **options), kind=kind)


def test_a_clean_end_can_be_added_for_a_scheduler_that_ends_there():
    scheduler, longer = build("DPMSolverMultistepScheduler", **TABLE), steps(clean=False).with_clean_end()
    arguments = exports.diffusers_arguments(longer, scheduler)
    assert arguments["timesteps"] == [*steps(clean=False).timesteps.tolist(), 0]
    exports.install(scheduler, longer)
    wanted = exports.sigmas(steps(clean=False), final_zero=True)
    np.testing.assert_allclose(sigmas_of_a_run(scheduler, wanted[0]), wanted, rtol=TOLERANCE, atol=TOLERANCE)


def test_steps_closer_than_the_table_get_entries_of_their_own():
    close = result(SCHEDULE, [SCHEDULE.log_snr(t) for t in (1.0, 0.5002, 0.4999, 0.001)])
    scheduler = build("EulerDiscreteScheduler", **config("EulerDiscreteScheduler", False))
    rounding = exports.install(scheduler, close, rounded=True)
    assert sorted(rounding.timesteps.tolist()[1:]) in ([498, 499], [499, 500])
    assert scheduler.timesteps.tolist() == rounding.timesteps.tolist()


BEYOND = {
    "before": [-5.024, 0.0, 2.0, SCHEDULE.log_snr(0.001)],  # sigma/alpha = 152; the table ends at 14.6
    "behind": [SCHEDULE.log_snr(1.0), 0.0, 2.0, 4.557],  # sigma/alpha = 0.0105; the table ends at 0.029
    "inside, but not at the end": [SCHEDULE.log_snr(1.0), 0.0, 4.5, math.inf],
}


@pytest.mark.parametrize("log_snr", BEYOND.values(), ids=BEYOND)
@pytest.mark.parametrize("name", ["DPMSolverMultistepScheduler", "EulerDiscreteScheduler"])
def test_nodes_beyond_the_table_are_refused_everywhere(name, log_snr):
    beyond, scheduler = result(SCHEDULE, log_snr), build(name, **config(name, log_snr[-1] == math.inf))
    for call in (
        lambda: exports.diffusers_arguments(beyond, scheduler),
        lambda: exports.diffusers_arguments(beyond, scheduler, kind="timesteps"),
        lambda: exports.install(scheduler, beyond),
        lambda: exports.install(scheduler, beyond, rounded=True),
    ):
        with pytest.raises(ValueError, match=r"node \d has log-SNR .* beyond the scheduler's table.*t_start and t_end"):
            call()
    assert exports.diffusers_rounding(beyond, scheduler).shift > 0.5  # which says how far it would have moved


def test_rounding_may_move_a_node_back_into_the_table_as_far_as_any_other():
    """The table's first spacing is 0.35; a node up to half of it beyond the end is a rounding like the others."""
    scheduler = build("EulerDiscreteScheduler", **config("EulerDiscreteScheduler", True))
    beyond = result(SCHEDULE, [SCHEDULE.log_snr(1.0), 0.0, SCHEDULE.log_snr(0.001) + 0.1, math.inf])
    with pytest.raises(ValueError, match=r"node 2 .* beyond"):
        exports.install(scheduler, beyond)
    assert exports.install(scheduler, beyond, rounded=True).shift == pytest.approx(0.1, abs=2e-4)


def test_dynamic_shifting_leaves_the_installed_steps_alone():
    wanted = 1 / (1 + np.exp(flow().log_snr))
    for options in ({}, {"mu": 0.7}):
        scheduler = build("FlowMatchEulerDiscreteScheduler", shift=3.0, use_dynamic_shifting=True)
        exports.install(scheduler, flow(), **options)
        np.testing.assert_allclose(sigmas_of_a_run(scheduler, 1.0), wanted, rtol=TOLERANCE, atol=1e-7)
        np.testing.assert_allclose(scheduler.timesteps, 1000 * wanted[:-1], rtol=1e-6)


def test_a_logarithm_of_no_signal_is_refused():
    scheduler = build("UniPCMultistepScheduler", use_flow_sigmas=True, prediction_type="flow_prediction")
    with pytest.raises(ValueError, match="t_start below T"):
        exports.install(scheduler, flow())
    with pytest.raises(TypeError, match="no table"):
        exports.install(build("FlowMatchEulerDiscreteScheduler"), flow(), rounded=True)
