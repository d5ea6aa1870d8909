"""SA-Solver and the variants of UniPC in diffusers, an independent source, give the samples of their members here.

Patched, as in `test_diffusers`: ``torch.float32`` and ``np.float32`` of the scheduler's module mean float64 (its betas
and the sigmas of a run), and ``randn_tensor`` there returns noise that the run here gets too. SA-Solver's coefficients
are integrals of monomials in the log-SNR itself, not in its distance from the node: with steps of 0.4 at log-SNRs up to
4.5 four points cancel by (4.5/0.4)^3, a thousandfold, and their weights are right to some 1e-12 (measured
below). TOLERANCE is a hundred of that, and is relative to the sample.
"""

import numpy as np
import pytest
import torch

import numdiff as nd
from numdiff.methods.published.correctors import SASolver, UniC
from numdiff.sde import Tau, stochastic
from tests.test_diffusers import SCHEDULE, TABLE, diffusers, exact_model, run, scaled_levels, start, timesteps

pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")  # how diffusers hands tensors to NumPy
TOLERANCE = 1e-10
NOISES = torch.from_numpy(np.random.default_rng(7).standard_normal((40, 6, 2)))
STEPS = 12
PUBLISHED_TAU = Tau(1, 200, 800, variable="model_time", at="start")
build = diffusers  # the fixture, under a name that pytest finds here


def check(method, levels, expected, x, *, prediction="noise", **options):
    scheme = method.discretize(SCHEDULE, levels, **options)
    drawn = lambda index, column: NOISES[index - 1]  # tableau 0 is the opening evaluation  # noqa: E731
    found = nd.sample(scheme, exact_model(prediction), x, prediction=prediction, noise=drawn)
    assert found.dtype == expected.dtype == torch.float64
    assert bool(torch.isfinite(expected).all())
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE * float(expected.abs().max()))


def sa_solver(build, monkeypatch, steps=STEPS, **config):
    """Return diffusers' scheduler, its timesteps set and its noise that of NOISES, and the levels of its run."""
    scheduler = build("sasolver", "SASolverScheduler", **config, **TABLE)
    drawn = iter(NOISES)
    monkeypatch.setattr("diffusers.schedulers.scheduling_sasolver.randn_tensor", lambda *a, **k: next(drawn))
    timesteps(scheduler, steps)
    return scheduler, scaled_levels(scheduler)


def lowered(method, steps=STEPS):
    """Orders as diffusers lowers them: the predictor's min(p, N - n), the corrector's min(c, N - n + 1)."""
    return [min(method.points, steps - n) for n in range(steps)]


@pytest.mark.parametrize("predict", ["data_prediction", "noise_prediction"])
@pytest.mark.parametrize("corrector", [1, 2, 3, 4])
@pytest.mark.parametrize("predictor", [1, 2, 3, 4])
def test_sa_solver(build, monkeypatch, predictor, corrector, predict):
    """Its default tau is 1 from t = 200 to 800, asked at the start of a step; its two-point tweak is bh1, for data."""
    config = {"predictor_order": predictor, "corrector_order": corrector, "algorithm_type": predict}
    scheduler, levels = sa_solver(build, monkeypatch, **config)
    data = predict == "data_prediction"
    formulation, rule = ("data/log-snr", "bh1") if data else ("noise/log-snr", "exact")
    method = SASolver(predictor, corrector, tau=PUBLISHED_TAU, formulation=formulation, rule=rule)
    x = start(levels[0].time)
    check(method, levels, run(scheduler, STEPS, x), x, orders=lowered(method))


@pytest.mark.parametrize("tau", [0, 0.5, 1])
@pytest.mark.parametrize("points", [(2, 2), (3, 4), (1, 3)], ids=str)
def test_sa_solver_with_a_constant_tau(build, monkeypatch, points, tau):
    config = {"predictor_order": points[0], "corrector_order": points[1], "tau_func": lambda t: tau}
    scheduler, levels = sa_solver(build, monkeypatch, **config)
    x, method = start(levels[0].time), SASolver(*points, tau=tau, rule="bh1")
    check(method, levels, run(scheduler, STEPS, x), x, orders=lowered(method))


@pytest.mark.parametrize("spacing", ["leading", "trailing"])
@pytest.mark.parametrize("prediction", [("sample", "data"), ("v_prediction", "v")], ids=str)
def test_sa_solver_with_other_predictions_and_grids(build, monkeypatch, prediction, spacing):
    config = {"prediction_type": prediction[0], "timestep_spacing": spacing, "lower_order_final": False}
    scheduler, levels = sa_solver(build, monkeypatch, predictor_order=3, corrector_order=3, **config)
    x, method = start(levels[0].time), SASolver(3, tau=PUBLISHED_TAU, rule="bh1")
    if levels[-1].sigma == levels[-2].sigma:
        pytest.fail("this grid repeats its last level")
    check(method, levels, run(scheduler, STEPS, x, prediction=prediction[1]), x, prediction=prediction[1])


def test_grids_that_repeat_their_last_sigma_spend_the_last_evaluation_on_a_correction(build, monkeypatch):
    """With Karras' sigmas the last step has no length: the evaluation there corrects the step before, and that is all.

    Its order is lowered as if it were a step. Noise in a step of no length has no size.
    """
    scheduler, levels = sa_solver(build, monkeypatch, use_karras_sigmas=True, tau_func=lambda t: 1)
    assert levels[-1].sigma == levels[-2].sigma
    x, method = start(levels[0].time), SASolver(2, tau=1, rule="bh1", uncorrected=())
    expected = run(scheduler, STEPS, x)
    check(method, levels[:-1], expected, x)
    assert method.discretize(SCHEDULE, levels[:-1]).nfe == method.nfe(STEPS - 1) == STEPS


def test_its_coefficients_cancel_by_powers_of_the_log_snr(build, monkeypatch):
    """What float64 leaves of them, against the shifted ones here: the tolerance above rests on this."""
    scheduler, levels = sa_solver(build, monkeypatch)
    for order, bound in ((1, 1e-14), (2, 1e-14), (3, 1e-12), (4, 1e-11)):
        worst = 0.0
        for n in range(4, STEPS):
            lam = [torch.tensor(level.log_snr, dtype=torch.float64) for level in levels[n - 4 : n + 2]][::-1]
            h = float(lam[0] - lam[1])
            theirs = scheduler.get_coefficients_fn(order, lam[1], lam[0], lam[1 : order + 1], torch.tensor(1.0))
            theirs = np.array([float(w * torch.exp(-2 * lam[0])) for w in theirs])
            ours = np.array(nd.weights.adams([float(u - lam[1]) for u in lam[1 : order + 1]], h, -2.0))
            worst = max(worst, np.abs(theirs - ours).max() / np.abs(ours).max())
        assert worst < bound


@pytest.mark.parametrize("disabled", [[0], [0, 1, 2], [5]], ids=str)
def test_unipc_without_correction_of_some_steps(build, disabled):
    config = {"solver_order": 3, "solver_type": "bh2", "disable_corrector": disabled}
    scheduler = build("unipc_multistep", "UniPCMultistepScheduler", **config, **TABLE)
    timesteps(scheduler, STEPS)
    levels = scaled_levels(scheduler)
    x, method = start(levels[0].time), nd.UniPC(3, rule="bh2", uncorrected=(*disabled, -1))
    check(method, levels, run(scheduler, STEPS, x), x, orders=[min(3, STEPS - n) for n in range(STEPS)])


@pytest.mark.parametrize("kind", ["midpoint", "heun"])
def test_unipc_with_a_plugged_in_predictor(build, kind):
    """solver_p converts the network's output at the corrected sample: the same only where it predicts data."""
    config = {"prediction_type": "sample", "final_sigmas_type": "sigma_min", "lower_order_final": False}
    plugged = build("dpmsolver_multistep", "DPMSolverMultistepScheduler", solver_type=kind, **config, **TABLE)
    scheduler = build("unipc_multistep", "UniPCMultistepScheduler", solver_p=plugged, solver_order=3, **config, **TABLE)
    timesteps(scheduler, 20)
    levels = scaled_levels(scheduler)
    x = start(levels[0].time)
    method = UniC(nd.DPMSolverPP(2, rule="half" if kind == "midpoint" else "exact"), 4, rule="bh2")
    check(method, levels, run(scheduler, 20, x, prediction="data"), x, prediction="data")


def test_stochastic_members_are_what_they_say():
    assert SASolver(3, 4, tau=0) == nd.UniPC(3)
    assert SASolver(2, tau=0.5).formulation == stochastic("data/log-snr", 0.5)
    assert SASolver(2).stochastic
