"""diffusers' ancestral, churning and single-step stochastic schedulers give the same samples here, on the same noise.

They think in sigma/alpha. float32 goes through names of the scheduler's module, which a stand-in makes float64, as in
`test_diffusers`; its noise goes through ``randn_tensor``, which is replaced by a recorder. The model is the exact
mixture at the scheduler's own sigma, so that no table of time steps stands between the two programs.
"""

import numpy as np
import pytest
import torch

import numdiff as nd
from numdiff.methods.ancestral import DPM2Ancestral, EulerAncestral
from numdiff.methods.churn import Churn
from numdiff.methods.dpmpp_sde import DPMSolverPPSDE
from tests import peers
from tests.peers import SCHEDULE, TABLE

# how diffusers hands tensors to NumPy
pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")
PREDICTIONS = {"noise": "epsilon", "data": "sample", "v": "v_prediction"}


def level(rho):
    """The level of the variance-preserving schedule at sigma/alpha = rho."""
    return SCHEDULE.level(SCHEDULE.time(-float(np.log(rho))))


@pytest.fixture
def scheduler(monkeypatch):
    """Build a scheduler by module and class name, in float64, with its noise recorded."""

    def build(module, name, table=TABLE, **config):
        found = peers.scheduler_module(monkeypatch, module)
        return found, getattr(found, name)(**config, **table)

    return build


def start(scheduler, steps, count=6):
    scheduler.set_timesteps(steps)
    first = level(float(scheduler.sigmas[0]))
    return torch.from_numpy(peers.MIXTURE.sample_level(count, first, 3)) / first.alpha


def run(scheduler, y, prediction, **options):
    """diffusers' own loop; each input to the model is y/sqrt(1 + sigma^2), and sigma is read off the division."""
    for t in scheduler.timesteps:
        scaled = scheduler.scale_model_input(y, t)
        rho = float(torch.sqrt((y.flatten()[0] / scaled.flatten()[0]) ** 2 - 1))
        output = torch.from_numpy(peers.MIXTURE.predict(scaled.numpy(), level(rho), prediction))
        y = scheduler.step(output, t, y, return_dict=False, **options)[0]
    return y


def check(method, scheduler, y, expected, noise, prediction):
    """Run here from x = alpha y over the distinct sigmas."""
    rho = scheduler.sigmas.tolist()
    levels = [level(r) for r in sorted({r for r in rho if r > 0}, reverse=True)]
    levels += [SCHEDULE.level(0.0)]
    model = peers.MIXTURE.model(SCHEDULE, prediction)
    scheme = method.discretize(SCHEDULE, levels)
    found = nd.sample(
        scheme,
        lambda x, t: torch.from_numpy(model(x.numpy(), t)),
        y * levels[0].alpha,
        prediction=prediction,
        noise=noise,
    )
    peers.close(found, expected)


@pytest.mark.parametrize("prediction", ["noise", "v"])
@pytest.mark.parametrize(
    ("module", "name", "method"),
    [
        ("euler_ancestral_discrete", "EulerAncestralDiscreteScheduler", EulerAncestral()),
        ("k_dpm_2_ancestral_discrete", "KDPM2AncestralDiscreteScheduler", DPM2Ancestral()),
    ],
    ids=["euler", "dpm_2"],
)
def test_ancestral(scheduler, monkeypatch, module, name, method, prediction):
    found, peer = scheduler(module, name, prediction_type=PREDICTIONS[prediction])
    y = start(peer, 10)
    noise = peers.Recorder(y)
    monkeypatch.setattr(found, "randn_tensor", lambda *_, **__: noise())
    expected = run(peer, y, prediction)
    check(method, peer, y, expected, noise.again(), prediction)


@pytest.mark.parametrize(("prediction", "formulation"), [("noise", "noise/ratio"), ("data", "data/log-snr")])
@pytest.mark.parametrize(("s_churn", "s_noise"), [(2.0, 1.0), (100.0, 1.003)])
def test_euler_churns_after_the_evaluation(scheduler, monkeypatch, prediction, formulation, s_churn, s_noise):
    module, euler = scheduler("euler_discrete", "EulerDiscreteScheduler", prediction_type=PREDICTIONS[prediction])
    y = start(euler, 10)
    window = {"s_tmin": float(euler.sigmas[8]), "s_tmax": float(euler.sigmas[1])}
    churned = [n for n in range(10) if window["s_tmin"] <= float(euler.sigmas[n]) <= window["s_tmax"]]
    noise = peers.Recorder(y)
    monkeypatch.setattr(module, "randn_tensor", lambda *_, **__: noise())
    expected = run(euler, y, prediction, s_churn=s_churn, s_noise=s_noise, **window)
    assert len(noise.drawn) == len(churned) == 8
    method = Churn(nd.DDIM(formulation), s_churn, *(x * y for x, y in zip(window.values(), (0.99, 1.01), strict=True)))
    method = Churn(method.base, s_churn, method.S_min, method.S_max, s_noise, evaluation="before")
    check(method, euler, y, expected, lambda n, _: noise.drawn[churned.index(n)], prediction)


# the tree rounds its own ends to six decimals
@pytest.mark.filterwarnings("ignore:Should have t:UserWarning")
@pytest.mark.parametrize("prediction", ["noise", "v"])
def test_dpmsolver_sde(scheduler, prediction):
    """Its Brownian tree, with time sigma, gives the two noises of a step; it is asked again for the path's pieces."""
    module, sde = scheduler(
        "dpmsolver_sde", "DPMSolverSDEScheduler", prediction_type=PREDICTIONS[prediction], noise_sampler_seed=4
    )
    y = start(sde, 10)
    expected = run(sde, y, prediction)
    tree, rho = sde.noise_sampler, sorted(set(sde.sigmas.tolist()), reverse=True)
    assert isinstance(tree, module.BrownianTreeNoiseSampler)

    def noise(index, column):
        first, last = map(torch.tensor, map(np.float64, rho[index : index + 2]))
        middle = (first * last).sqrt()
        return tree(first, middle) if column == 0 else tree(middle, last)

    check(DPMSolverPPSDE(path="rho"), sde, y, expected, noise, prediction)


@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_euler_ancestral_for_rectified_flow(scheduler, monkeypatch, eta):
    """From pure noise at sigma = 1 to data; it adds 1e-12 to alpha and to its square before it divides."""
    found, peer = scheduler("ltx_euler_ancestral_rf", "LTXEulerAncestralRFScheduler", {}, eta=eta, s_noise=1.01)
    schedule, sigmas = nd.schedules.Flow(), [1.0, 0.85, 0.8, 0.55, 0.4, 0.2, 0.1, 0.0]
    peer.set_timesteps(sigmas=torch.tensor(sigmas, dtype=torch.float64))
    x = torch.from_numpy(peers.MIXTURE.sample_level(6, schedule.level(1.0), 3))
    noise = peers.Recorder(x)
    monkeypatch.setattr(found, "randn_tensor", lambda *_, **__: noise())
    model, y = peers.MIXTURE.model(schedule, "flow"), x
    for t, sigma in zip(peer.timesteps[:-1], sigmas, strict=False):
        y = peer.step(torch.from_numpy(model(y.numpy(), sigma)), t, y, return_dict=False)[0]
    scheme = EulerAncestral(eta, noise_factor=1.01, rule="flow").discretize(schedule, sigmas)
    run_here = nd.sample(
        scheme, lambda x, t: torch.from_numpy(model(x.numpy(), t)), x, prediction="flow", noise=noise.again()
    )
    peers.close(run_here, y)
