"""Stochastic schedulers of diffusers, an independent source, give the samples of their members here on the same noise.

Patched: ``torch.float32`` and ``np.float32`` of the scheduler's module mean float64, and ``randn_tensor`` there returns
noise that the run here gets too, number by number. What remains is the rounding of some twenty steps, TOLERANCE.
"""

import numpy as np
import pytest
import torch

import numdiff as nd
from numdiff.methods.published.classical import DDIM
from numdiff.methods.published.stochastic import DDPM, SDEDPMSolver, SDEDPMSolverPP
from numdiff.parameterizations import EDM
from tests import peers
from tests.peers import MIXTURE, SCHEDULE, TABLE, scaled_levels

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array:DeprecationWarning"),  # how diffusers hands tensors to NumPy
    pytest.mark.filterwarnings("ignore:.algorithm_types:FutureWarning"),  # the noise form, to be removed there
]
TOLERANCE = 1e-10
NOISES = torch.from_numpy(np.random.default_rng(7).standard_normal((40, 6, 2)))


@pytest.fixture
def diffusers(monkeypatch):
    """Build a scheduler by module and class name, in float64, its n-th noise being NOISES[n]."""

    def build(module, name, **config):
        drawn = iter(NOISES)
        return getattr(peers.scheduler_module(monkeypatch, module, lambda *_: next(drawn)), name)(**config)

    return build


def exact_model(prediction, schedule=SCHEDULE):
    model = MIXTURE.model(schedule, prediction)
    return lambda x, t: torch.from_numpy(model(x.numpy(), t))


def run(scheduler, x, *, prediction="noise", **options):
    model = exact_model(prediction)
    for t in scheduler.timesteps:
        x = scheduler.step(model(x, float(t)), t, x, return_dict=False, **options)[0]
    return x


def start(level):
    return torch.from_numpy(MIXTURE.sample_level(6, level, 3))


def check(method, levels, expected, x, *, model=None, prediction="noise", **options):
    scheme = method.discretize(SCHEDULE, levels, **options)
    found = nd.sample(
        scheme, model or exact_model(prediction), x, prediction=prediction, noise=lambda index, column: NOISES[index]
    )
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE * float(expected.abs().max()))


# --- DDIM and DDPM ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("eta", [0.2, 0.5, 1.0])
@pytest.mark.parametrize("to_one", [True, False])
@pytest.mark.parametrize(("name", "prediction"), [("epsilon", "noise"), ("v_prediction", "v")])
def test_ddim_with_eta(diffusers, eta, to_one, name, prediction):
    config = {"clip_sample": False, "set_alpha_to_one": to_one, "prediction_type": name}
    scheduler = diffusers("ddim", "DDIMScheduler", **config, **TABLE)
    scheduler.set_timesteps(20)
    grid = nd.grids.from_timesteps(SCHEDULE, scheduler.timesteps.numpy(), final="zero" if to_one else None)
    x = start(SCHEDULE.level(grid[0]))
    if not to_one:  # the last step goes from entry 0 to entry 0 itself there: no step at all, and it adds no noise
        np.testing.assert_allclose(float(scheduler._get_variance(0, -50)), 0, atol=1e-15)
    check(DDIM(eta=eta), grid, run(scheduler, x, prediction=prediction, eta=eta), x, prediction=prediction)


@pytest.mark.parametrize("variance", ["fixed_small", "fixed_small_log", "fixed_large"])
@pytest.mark.parametrize("steps", [20, 7])
def test_ddpm(diffusers, variance, steps):
    """Both variances, on the timesteps 950, ..., 0; the last step adds no noise and returns the denoised estimate."""
    scheduler = diffusers("ddpm", "DDPMScheduler", variance_type=variance, clip_sample=False, **TABLE)
    scheduler.set_timesteps(steps)
    grid = nd.grids.from_timesteps(SCHEDULE, scheduler.timesteps.numpy(), final="zero")
    x = start(SCHEDULE.level(grid[0]))
    method = DDPM("fixed-large" if variance == "fixed_large" else "fixed-small")
    check(method, grid, run(scheduler, x), x)


def test_ddpm_floor_of_the_variance(diffusers):
    """Where the last timestep is not 0, its noise is 1e-10 in place of none: the floor of 1e-20 under the variance."""
    scheduler = diffusers("ddpm", "DDPMScheduler", clip_sample=False, timestep_spacing="trailing", **TABLE)
    scheduler.set_timesteps(20)
    assert int(scheduler.timesteps[-1]) > 0
    grid = nd.grids.from_timesteps(SCHEDULE, scheduler.timesteps.numpy(), final="zero")
    x = start(SCHEDULE.level(grid[0]))
    check(DDPM(), grid, run(scheduler, x) - 1e-10 * NOISES[19], x)


def test_ddpm_logarithm_of_the_large_variance_is_not_a_number(diffusers):
    """Its step takes the square root of the logarithm, which is negative."""
    scheduler = diffusers("ddpm", "DDPMScheduler", variance_type="fixed_large_log", clip_sample=False, **TABLE)
    scheduler.set_timesteps(20)
    x = start(SCHEDULE.level(0.95))
    t = scheduler.timesteps[0]
    assert scheduler.step(x, t, x, return_dict=False)[0].isnan().all()


# --- SDE-DPM-Solver ---------------------------------------------------------------------------------------------------


CASES = [
    ("sde-dpmsolver++", "midpoint", 1, SDEDPMSolverPP(1)),
    ("sde-dpmsolver++", "midpoint", 2, SDEDPMSolverPP(2, rule="half")),
    ("sde-dpmsolver++", "heun", 2, SDEDPMSolverPP(2)),
    ("sde-dpmsolver++", "heun", 3, SDEDPMSolverPP(3, rule="sign")),
    ("sde-dpmsolver", "midpoint", 1, SDEDPMSolver(1)),
    ("sde-dpmsolver", "midpoint", 2, SDEDPMSolver(2, rule="half")),
    ("sde-dpmsolver", "heun", 2, SDEDPMSolver(2)),
]
OPTIONS = [{}, {"euler_at_final": True}, {"lower_order_final": False}]


def lowered(order, steps, final, options):
    """The orders of diffusers' steps: orders fall at the end below 15 steps, to 1 at a final sigma of zero always."""
    orders, falls = [order] * steps, options.get("lower_order_final", True) and steps < 15
    if falls or final == "zero" or options.get("euler_at_final"):
        orders[-1] = 1
    if falls:
        orders[-2] = min(order, 2)
    return orders


@pytest.mark.parametrize(("algorithm", "kind", "order", "method"), CASES, ids=[f"{c[0]}-{c[1]}-{c[2]}" for c in CASES])
@pytest.mark.parametrize("final", ["zero", "sigma_min"])
@pytest.mark.parametrize("steps", [10, 20])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_sde_dpm_solver(diffusers, algorithm, kind, order, method, final, steps, options):
    config = {"algorithm_type": algorithm, "solver_type": kind, "solver_order": order}
    config |= {"final_sigmas_type": final, **options}
    if algorithm == "sde-dpmsolver" and final == "zero":
        with pytest.raises(ValueError, match="final_sigmas_type"):
            diffusers("dpmsolver_multistep", "DPMSolverMultistepScheduler", **config, **TABLE)
        return
    scheduler = diffusers("dpmsolver_multistep", "DPMSolverMultistepScheduler", **config, **TABLE)
    scheduler.set_timesteps(steps)
    levels = scaled_levels(scheduler)
    x = start(levels[0])
    check(method, levels, run(scheduler, x), x, orders=lowered(order, steps, final, options))


@pytest.mark.parametrize(
    ("kind", "order", "rule"), [("midpoint", 1, "exact"), ("midpoint", 2, "half"), ("heun", 2, "exact")]
)
@pytest.mark.parametrize("cosine", [True, False])
def test_edm_and_cosine_dpm_solver(diffusers, kind, order, rule, cosine):
    """alpha = 1 there and the network is behind Karras' preconditioning; the cosine one trains on its negative."""
    name = "Cosine" * cosine or "EDM"
    config = {"solver_order": order, "solver_type": kind, "sigma_min": 0.02, "sigma_max": 40.0}
    config |= {"sigma_data": 0.5} | ({} if cosine else {"algorithm_type": "sde-dpmsolver++"})
    scheduler = diffusers(f"{name.lower()}_dpmsolver_multistep", f"{name}DPMSolverMultistepScheduler", **config)
    scheduler.set_timesteps(18)
    scheduler.sigmas = scheduler.sigmas.double()
    if cosine:  # its noise comes from a Brownian tree
        drawn = iter(NOISES)
        scheduler.noise_sampler = lambda s, t: next(drawn)
    levels = [nd.Level(float(s), 1.0, float(s), float(s)) for s in scheduler.sigmas]

    def network(x, sigma):
        level = nd.Level(sigma, 1.0, sigma, sigma)
        return torch.from_numpy(MIXTURE.predict(x.numpy(), level, EDM(0.5)))

    x = y = start(levels[0])
    for t, level in zip(scheduler.timesteps, levels, strict=False):
        answer = network(y, level.sigma)
        y = scheduler.step(-answer if cosine else answer, t, y, return_dict=False)[0]
    check(SDEDPMSolverPP(order, rule=rule), levels, y, x, model=network, prediction=EDM(0.5))
