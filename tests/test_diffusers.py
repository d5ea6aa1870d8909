"""Published schedulers of diffusers, an independent source, give the same samples as their members here, in float64.

diffusers works in float32 in four places: the betas (all), the sigmas of a run (LMS, DPM-Solver, DEIS), the timesteps
(LMS) and the sample inside `DPMSolverMultistepScheduler.step`. All of them go through the names ``torch.float32`` and
``np.float32`` of the scheduler's module, so a stand-in for these two names makes the whole scheduler work in float64;
nothing else is touched. What remains is the rounding of two programs that share no line: about twenty steps of some ten
operations each on numbers up to 100 (1/alpha on this table), TOLERANCE relative to the sample.
"""

import numpy as np
import pytest
import torch

import numdiff as nd
from tests import peers
from tests.peers import MIXTURE, SCHEDULE, TABLE, scaled_levels

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array:DeprecationWarning"),  # how diffusers hands tensors to NumPy
    pytest.mark.filterwarnings(
        "ignore:.algorithm_types dpmsolver:FutureWarning"
    ),  # the noise form, to be removed there
]
TOLERANCE = 1e-11


@pytest.fixture
def diffusers(monkeypatch):
    """Build a scheduler by module and class name, in float64."""

    def build(module, name, **config):
        return getattr(peers.scheduler_module(monkeypatch, module), name)(**config)

    return build


def exact_model(prediction):
    """The exact model on tensors, worked out in NumPy: so few numbers are not worth torch's threads."""
    model = MIXTURE.model(SCHEDULE, prediction)
    return lambda x, t: torch.from_numpy(model(x.numpy(), t))


def run(scheduler, steps, x, *, prediction="noise", scale=1.0):
    """diffusers' own loop, with the exact model at its integer (or real) timesteps."""
    model = exact_model(prediction)
    scheduler.set_timesteps(steps)
    x = x / scale
    for t in scheduler.timesteps:
        scaled = scheduler.scale_model_input(x, t)
        x = scheduler.step(model(scaled, float(t)), t, x, return_dict=False)[0]
    return x


def start(time):
    return torch.from_numpy(MIXTURE.sample_level(6, SCHEDULE.level(time), 3))


def check(method, grid, expected, x, *, prediction="noise", **options):
    scheme = method.discretize(SCHEDULE, grid, **options)
    found = nd.sample(scheme, exact_model(prediction), x, prediction=prediction)
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE * float(expected.abs().max()))


def timesteps(scheduler, steps):
    scheduler.set_timesteps(steps)
    return scheduler.timesteps.numpy()


@pytest.mark.parametrize(("name", "prediction"), [("epsilon", "noise"), ("sample", "data"), ("v_prediction", "v")])
@pytest.mark.parametrize("to_one", [True, False])
def test_ddim(diffusers, name, prediction, to_one):
    scheduler = diffusers(
        "ddim", "DDIMScheduler", clip_sample=False, set_alpha_to_one=to_one, prediction_type=name, **TABLE
    )
    # "leading" spacing: timesteps 950, 900, ..., 0; the last one goes to abar = 1 or to entry 0 itself.
    grid = nd.grids.from_timesteps(SCHEDULE, timesteps(scheduler, 20), final="zero" if to_one else None)
    x = start(grid[0])
    for formulation in ("noise/ratio", "data/log-snr"):
        check(nd.DDIM(formulation), grid, run(scheduler, 20, x, prediction=prediction), x, prediction=prediction)


def test_pndm_is_plms_behind_a_step_of_heun(diffusers):
    """skip_prk_steps: the first step averages the evaluations at both its ends and keeps only the first as history.

    That is Heun's method in sigma/alpha, the Runge-Kutta start of a step whose order is named 3; then AB2, AB3, AB4.
    """
    scheduler = diffusers("pndm", "PNDMScheduler", skip_prk_steps=True, set_alpha_to_one=True, **TABLE)
    listed = timesteps(scheduler, 20)
    assert len(listed) == 21  # the second timestep is listed twice
    grid = nd.grids.from_timesteps(SCHEDULE, np.delete(listed, 2), final="zero")
    x = start(grid[0])
    orders = [3, 2, 3, *[4] * (len(grid) - 4)]
    check(nd.PLMS(4), grid, run(scheduler, 20, x), x, start="runge-kutta", orders=orders)
    assert nd.PLMS(4).discretize(SCHEDULE, grid, start="runge-kutta", orders=orders).nfe == 21


def test_ipndm_is_plms_from_a_lower_order_start(diffusers):
    """Its own schedule, sigma = sin^2, with v predictions; here on sigmas of our choice that avoid alpha = 0."""
    scheduler = diffusers("ipndm", "IPNDMScheduler")
    sigma = torch.sin(torch.linspace(1.3, 0.0, 12, dtype=torch.float64)) ** 2
    scheduler.set_timesteps(11)
    scheduler.betas, scheduler.alphas = sigma, torch.sqrt(1 - sigma**2)
    levels = [nd.Level(float(s), float(a), float(s), float(s)) for a, s in zip(scheduler.alphas, sigma, strict=True)]
    x = torch.from_numpy(MIXTURE.sample_level(6, levels[0], 3))
    y = x
    for n, t in enumerate(scheduler.timesteps):
        y = scheduler.step(MIXTURE.predict(y, levels[n], "v"), t, y, return_dict=False)[0]
    at = {level.model_time: level for level in levels}
    found = nd.sample(
        nd.PLMS(4).discretize(SCHEDULE, levels), lambda x, t: MIXTURE.predict(x, at[t], "v"), x, prediction="v"
    )
    np.testing.assert_allclose(found, y, rtol=0, atol=TOLERANCE * float(y.abs().max()))


def test_lms(diffusers):
    """Samples are x/alpha there; the weights come from quadrature, exact for cubics. The last step goes to sigma = 0.

    Its order is not lowered there: noise prediction has a limit at every order.
    """
    scheduler = diffusers("lms_discrete", "LMSDiscreteScheduler", timestep_spacing="leading", **TABLE)
    timesteps(scheduler, 20)
    levels = scaled_levels(scheduler)
    x = start(levels[0].time)
    check(nd.LMS(4), levels, run(scheduler, 20, x, scale=levels[0].alpha), x)


CASES = [
    ("dpmsolver++", "midpoint", 1, nd.DPMSolverPP(1)),
    ("dpmsolver++", "midpoint", 2, nd.DPMSolverPP(2, rule="half")),
    ("dpmsolver++", "heun", 2, nd.DPMSolverPP(2)),
    ("dpmsolver", "midpoint", 1, nd.DPMSolver(1)),
    ("dpmsolver", "midpoint", 2, nd.DPMSolver(2, rule="half")),
    ("dpmsolver", "heun", 2, nd.DPMSolver(2)),
]


@pytest.mark.parametrize(("algorithm", "kind", "order", "method"), CASES, ids=[f"{c[0]}-{c[1]}-{c[2]}" for c in CASES])
@pytest.mark.parametrize("final", ["zero", "sigma_min"])
@pytest.mark.parametrize("steps", [10, 20])
def test_dpm_solver_multistep(diffusers, algorithm, kind, order, method, final, steps):
    """Below 15 steps the last order is lowered; at a final sigma of zero it is 1 always, and noise is refused."""
    config = {"algorithm_type": algorithm, "solver_type": kind, "solver_order": order, "final_sigmas_type": final}
    if algorithm == "dpmsolver" and final == "zero":
        with pytest.raises(ValueError, match="final_sigmas_type"):
            diffusers("dpmsolver_multistep", "DPMSolverMultistepScheduler", **config, **TABLE)
        return
    scheduler = diffusers("dpmsolver_multistep", "DPMSolverMultistepScheduler", **config, **TABLE)
    timesteps(scheduler, steps)
    levels = scaled_levels(scheduler)
    x = start(levels[0].time)
    orders = None if steps >= 15 else [order] * (steps - 1) + [1]
    check(method, levels, run(scheduler, steps, x), x, orders=orders)


@pytest.mark.parametrize("prediction", [("epsilon", "noise"), ("sample", "data"), ("v_prediction", "v")], ids=str)
def test_dpm_solver_multistep_with_other_predictions(diffusers, prediction):
    config = {"algorithm_type": "dpmsolver++", "solver_order": 2, "prediction_type": prediction[0]}
    scheduler = diffusers("dpmsolver_multistep", "DPMSolverMultistepScheduler", **config, **TABLE)
    timesteps(scheduler, 20)
    levels = scaled_levels(scheduler)
    x, method = start(levels[0].time), nd.DPMSolverPP(2, rule="half")
    check(method, levels, run(scheduler, 20, x, prediction=prediction[1]), x, prediction=prediction[1])


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("steps", [10, 20])
def test_deis(diffusers, order, steps):
    """diffusers' DEIS interpolates in log(sigma/alpha); below 15 steps its last two orders are at most 2 and 1."""
    scheduler = diffusers("deis_multistep", "DEISMultistepScheduler", solver_order=order, **TABLE)
    timesteps(scheduler, steps)
    levels = scaled_levels(scheduler)
    x = start(levels[0].time)
    orders = None if steps >= 15 else [order] * (steps - 2) + [min(order, 2), 1]
    check(nd.DEIS(order, "log-rho"), levels, run(scheduler, steps, x), x, orders=orders)


@pytest.mark.parametrize("rule", ["bh1", "bh2"])
@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize(("predict_x0", "formulation"), [(True, "data/log-snr"), (False, "noise/log-snr")])
def test_unipc(diffusers, rule, order, predict_x0, formulation):
    """Orders rise 1, 2, ... and fall ..., 2, 1 at the end; at a final sigma of zero its bh1 is not a number."""
    final = "zero" if rule == "bh2" and predict_x0 else "sigma_min"
    config = {"solver_order": order, "solver_type": rule, "predict_x0": predict_x0, "final_sigmas_type": final}
    scheduler = diffusers("unipc_multistep", "UniPCMultistepScheduler", **config, **TABLE)
    timesteps(scheduler, 12)
    levels = scaled_levels(scheduler)
    x = start(levels[0].time)
    orders = [min(order, 12 - n) for n in range(12)]
    check(nd.UniPC(order, formulation, rule=rule), levels, run(scheduler, 12, x), x, orders=orders)
