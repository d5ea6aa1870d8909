"""diffusers' single-step DPM-Solver and KDPM2, an independent source, give the same samples as here, in float64.

Beside the names float32 of its module (see `tests.test_diffusers`), one precision of KDPM2's must go: it rounds its
interpolated times to the type of its timesteps, which are float32 there.
"""

import numpy as np
import pytest

import numdiff as nd
from numdiff.methods.published.single_step import DPM2
from numdiff.methods.single_step import SingleStep
from tests.test_diffusers import SCHEDULE, TABLE, check, diffusers, run, scaled_levels, start, timesteps

__all__ = ["diffusers"]
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.algorithm_types.dpmsolver:FutureWarning"),
]
RULES = {"midpoint": "half", "heun": "taylor"}
FORMULATIONS = {"dpmsolver++": "data/log-snr", "dpmsolver": "noise/log-snr"}


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("final", ["zero", "sigma_min"])
@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("kind", RULES)
@pytest.mark.parametrize("algorithm", FORMULATIONS)
def test_dpm_solver_single_step(diffusers, algorithm, kind, order, final, lower):
    """Without lower_order_final only a number of steps that the order divides is full; to sigma = 0 none is."""
    config = {"algorithm_type": algorithm, "solver_type": kind, "solver_order": order, "final_sigmas_type": final}
    if algorithm == "dpmsolver" and final == "zero":
        with pytest.raises(ValueError, match="final_sigmas_type"):
            diffusers("dpmsolver_singlestep", "DPMSolverSinglestepScheduler", **config, **TABLE)
        return
    for steps in (10, 11, 12):
        scheduler = diffusers(
            "dpmsolver_singlestep", "DPMSolverSinglestepScheduler", lower_order_final=lower, **config, **TABLE
        )
        timesteps(scheduler, steps)
        levels = scaled_levels(scheduler)
        x = start(levels[0].time)
        tail = "full" if not lower and final == "sigma_min" and steps % order == 0 else "diffusers"
        method = SingleStep(order, FORMULATIONS[algorithm], RULES[kind], tail)
        check(method, levels, run(scheduler, steps, x), x)


def test_the_official_list_differs_from_that_of_diffusers_in_the_last_steps_of_order_two(diffusers):
    scheduler = diffusers(
        "dpmsolver_singlestep",
        "DPMSolverSinglestepScheduler",
        solver_order=2,
        final_sigmas_type="sigma_min",
        lower_order_final=True,
        **TABLE,
    )
    timesteps(scheduler, 10)
    levels = scaled_levels(scheduler)
    x = start(levels[0].time)
    expected = run(scheduler, 10, x)
    method = SingleStep(2, rule="half")
    with pytest.raises(AssertionError):
        check(method, levels, expected, x)
    check(method, levels, expected, x, orders=[2] * 4 + [1] * 2)


def test_kdpm2(diffusers):
    """DPM-Solver-2 with the middle of log sigma for its node, here one of the grid; an Euler step to sigma = 0.

    The middles are diffusers' own, since the network's time there follows from its interpolation of the table.
    """
    scheduler = diffusers("k_dpm_2_discrete", "KDPM2DiscreteScheduler", timestep_spacing="leading", **TABLE)
    times = [*map(float, timesteps(scheduler, 10)), -1.0]
    rho = [float((scheduler.sigmas_interpol if n % 2 else scheduler.sigmas)[n]) for n in range(19)]
    levels = [
        nd.Level((t + 1) / 1000, (1 + r * r) ** -0.5, r * (1 + r * r) ** -0.5, t)
        for r, t in zip([*rho, 0.0], times, strict=True)
    ]
    x = start(levels[0].time)
    expected = run(scheduler, 10, x, scale=levels[0].alpha)
    method = SingleStep(2, "noise/log-snr", "half")
    check(method, levels, expected, x)
    (first, *_), (same, *_) = method.discretize(SCHEDULE, levels), DPM2().discretize(SCHEDULE, levels[::2])
    np.testing.assert_allclose([*first.B[0], *first.U[1]], [*same.B[0], *same.U[1]], rtol=1e-12, atol=1e-14)
