"""Published multistep and flow schedulers of diffusers give the same samples as their members here, in float64.

The schedulers work in float32 in places; the stand-in of `test_diffusers` for that name makes them work in float64.
"""

import numpy as np
import pytest
import torch

import numdiff as nd
from numdiff.methods.pndm import FPNDM, PNDM
from numdiff.methods.published.classical import FlowAB, FlowHeun
from numdiff.sde import stochastic
from tests import peers
from tests.test_diffusers import (
    MIXTURE,
    SCHEDULE,
    TABLE,
    TOLERANCE,
    check,
    diffusers,
    run,
    scaled_levels,
    start,
)
from tests.test_diffusers import pytestmark as pytestmark

__all__ = ["diffusers"]

FLOW = nd.schedules.Flow()


# --- PNDM -------------------------------------------------------------------------------------------------------------


def pndm_grid(scheduler, steps, to_one):
    """Every timestep once, and the level after the last one: abar = 1, or entry 0 of the table."""
    scheduler.set_timesteps(steps)
    listed = scheduler._timesteps[::-1].copy()
    last = "zero" if to_one or listed[-1] == 0 else "first-entry"
    grid = nd.grids.from_timesteps(SCHEDULE, listed, final=last)
    return grid if to_one or listed[-1] else grid[:-1]


PREDICTIONS = [("epsilon", "noise", "noise"), ("v_prediction", "v", "v")]


@pytest.mark.parametrize(("name", "prediction", "combine"), PREDICTIONS, ids=["epsilon", "v"])
@pytest.mark.parametrize("to_one", [True, False])
@pytest.mark.parametrize("spacing", ["leading", "trailing"])
@pytest.mark.parametrize("skip", [True, False])
def test_pndm(diffusers, name, prediction, combine, to_one, spacing, skip):
    """With v predictions diffusers combines v itself, and the same run with noise combined differs visibly."""
    config = {"skip_prk_steps": skip, "set_alpha_to_one": to_one, "prediction_type": name, "steps_offset": 1}
    scheduler = diffusers("pndm", "PNDMScheduler", timestep_spacing=spacing, **config, **TABLE)
    grid = pndm_grid(scheduler, 20, to_one)
    x = start(grid[0])
    method = (PNDM if skip else FPNDM)(combine=combine)
    scheme = method.discretize(SCHEDULE, grid)
    expected = run(scheduler, 20, x, prediction=prediction)
    check(method, grid, expected, x, prediction=prediction)
    assert scheme.nfe == method.nfe(20) == (21 if skip else 29)


def test_f_pndm_of_diffusers_is_one_entry_off_where_the_gap_is_odd(diffusers):
    """At gap 125 the first middle sample is at t - 62, but the network is told t - 63; Heun's start has no middle."""
    gaps = {}
    for skip, method in ((True, PNDM()), (False, FPNDM())):
        scheduler = diffusers("pndm", "PNDMScheduler", skip_prk_steps=skip, set_alpha_to_one=True, **TABLE)
        grid = pndm_grid(scheduler, 8, True)
        x = start(grid[0])
        expected = run(scheduler, 8, x).numpy()
        found = nd.sample(method.discretize(SCHEDULE, grid), MIXTURE.model(SCHEDULE), x.numpy())
        gaps[skip] = np.abs(found - expected).max() / np.abs(expected).max()
    assert gaps[True] < TOLERANCE
    assert 1e-6 < gaps[False] < 1e-2


# --- DPM-Solver multistep of order 3 ----------------------------------------------------------------------------------

RULES = {"midpoint": "3m", "heun": "3m-heun"}


@pytest.mark.parametrize("kind", RULES)
@pytest.mark.parametrize(
    ("algorithm", "family", "final", "steps"),
    [
        ("dpmsolver++", nd.DPMSolverPP, "zero", 20),
        ("dpmsolver++", nd.DPMSolverPP, "sigma_min", 10),
        ("dpmsolver", nd.DPMSolver, "sigma_min", 20),
        ("dpmsolver", nd.DPMSolver, "sigma_min", 10),
    ],
)
def test_dpm_solver_3m(diffusers, algorithm, family, kind, final, steps):
    """Below 15 steps the last two orders are 2 and 1; the two-point steps take the rule of the solver type."""
    config = {"algorithm_type": algorithm, "solver_type": kind, "solver_order": 3, "final_sigmas_type": final}
    scheduler = diffusers("dpmsolver_multistep", "DPMSolverMultistepScheduler", **config, **TABLE)
    scheduler.set_timesteps(steps)
    levels = scaled_levels(scheduler)
    x = start(levels[0].time)
    orders = None if steps >= 15 else [3] * (steps - 2) + [2, 1]
    expected = run(scheduler, steps, x)
    check(family(3, rule=RULES[kind]), levels, expected, x, orders=orders)
    exact = nd.sample(
        family(3).discretize(SCHEDULE, levels, orders=orders), MIXTURE.model(SCHEDULE), x.numpy(), prediction="noise"
    )
    assert np.abs(exact - expected.numpy()).max() > 1e3 * TOLERANCE  # the exact rule is another method


# --- flow matching, and sigma/alpha at alpha = 1 ----------------------------------------------------------------------


def flow_run(scheduler, steps, x):
    scheduler.set_timesteps(steps)
    model = MIXTURE.model(FLOW, "velocity")
    for t in scheduler.timesteps:
        x = scheduler.step(torch.from_numpy(model(x.numpy(), float(t) / 1000)), t, x, return_dict=False)[0]
    return x


def flow_check(method, sigmas, expected, x):
    found = nd.sample(
        method.discretize(FLOW, sigmas), MIXTURE.model(FLOW, "velocity"), x.numpy(), prediction="velocity"
    )
    np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=TOLERANCE * float(expected.abs().max()))


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_flow_match_euler(diffusers, shift):
    """Euler on the velocity from t = 1 to 0, which is DDIM where alpha = 1 - t."""
    scheduler = diffusers("flow_match_euler_discrete", "FlowMatchEulerDiscreteScheduler", shift=shift)
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((6, 2)))
    expected = flow_run(scheduler, 12, x)
    sigmas = scheduler.sigmas.numpy()
    for method in (nd.FlowEuler(), FlowAB(1), nd.DDIM("data/log-snr"), nd.DDIM("data/ratio")):
        flow_check(method, sigmas, expected, x)


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_flow_match_heun(diffusers, shift):
    scheduler = diffusers("flow_match_heun_discrete", "FlowMatchHeunDiscreteScheduler", shift=shift)
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((6, 2)))
    expected = flow_run(scheduler, 12, x)
    sigmas = [*scheduler.sigmas.numpy()[:1], *scheduler.sigmas.numpy()[1:-1:2], 0.0]
    flow_check(FlowHeun(), sigmas, expected, x)


PEERS = [
    ("euler_discrete", "EulerDiscreteScheduler", nd.DDIM()),
    ("heun_discrete", "HeunDiscreteScheduler", nd.Heun()),
]


@pytest.mark.parametrize(("module", "name", "method"), PEERS, ids=["euler", "heun"])
@pytest.mark.parametrize("spacing", ["linspace", "leading"])
@pytest.mark.parametrize("karras", [True, False])
def test_euler_and_heun(diffusers, module, name, method, spacing, karras):
    """Both think in sigma at alpha = 1, with the exact model at the scheduler's own sigma; the last step goes to 0."""
    scheduler = diffusers(module, name, timestep_spacing=spacing, use_karras_sigmas=karras, **TABLE)
    scheduler.set_timesteps(12)
    schedule, sigmas = nd.schedules.EDM(T=200.0), list(dict.fromkeys(scheduler.sigmas.tolist()))
    x = y = torch.from_numpy(MIXTURE.sample_level(6, schedule.level(sigmas[0]), 3))
    model = MIXTURE.model(schedule, "noise")
    for t in scheduler.timesteps:
        scheduler.scale_model_input(y, t)
        eps = torch.from_numpy(model(y.numpy(), float(scheduler.sigmas[scheduler.step_index])))
        y = scheduler.step(eps, t, y, return_dict=False)[0]
    found = nd.sample(method.discretize(schedule, sigmas), model, x.numpy(), prediction="noise")
    np.testing.assert_allclose(found, y.numpy(), rtol=0, atol=TOLERANCE * float(y.abs().max()))


def test_edm_euler_is_ddim(monkeypatch):
    """The scheduler is given the raw network F and preconditions it: D = c_skip x + c_out F."""
    scheduler = peers.scheduler_module(monkeypatch, "edm_euler").EDMEulerScheduler()
    scheduler.set_timesteps(12)
    schedule, sigmas = nd.schedules.EDM(T=200.0), scheduler.sigmas.tolist()
    x = y = torch.from_numpy(MIXTURE.sample_level(6, schedule.level(sigmas[0]), 3))
    denoised = MIXTURE.model(schedule, "data")
    for n, t in enumerate(scheduler.timesteps):
        scheduler.scale_model_input(y, t)
        skip = 0.25 / (sigmas[n] ** 2 + 0.25)
        out = sigmas[n] * 0.5 / (sigmas[n] ** 2 + 0.25) ** 0.5
        raw = (denoised(y.numpy(), sigmas[n]) - skip * y.numpy()) / out
        y = scheduler.step(torch.from_numpy(raw), t, y, return_dict=False)[0]
    found = nd.sample(nd.DDIM().discretize(schedule, sigmas), denoised, x.numpy(), prediction="data")
    np.testing.assert_allclose(found, y.numpy(), rtol=0, atol=TOLERANCE * float(y.abs().max()))


# --- k-diffusion ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("eta", [0.0, 0.6, 1.0])
def test_3m_of_k_diffusion(eta):
    """DPM++ 3M SDE, and at eta = 0 the same without noise: the exact rule at two points, the halved one at three."""
    sigmas = peers.rough_sigmas(12)
    x = peers.start(sigmas)
    recorder = peers.Recorder(x)
    expected = peers.k_diffusion().sample_dpmpp_3m_sde(
        peers.denoiser(), x, sigmas, disable=True, eta=eta, noise_sampler=recorder
    )
    method = nd.AdamsBashforth(2, stochastic(tau=eta**0.5), rule="3m-heun")
    scheme = method.discretize(peers.EDM, sigmas.tolist())
    noise = recorder.again() if eta else None
    peers.close(nd.sample(scheme, peers.model(), x, prediction="data", noise=noise), expected)
