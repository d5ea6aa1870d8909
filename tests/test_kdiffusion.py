"""k-diffusion's samplers, an independent source, give the same samples as their members here, in float64.

Stochastic samplers are given one noise: what k-diffusion draws is recorded and handed over. Its samplers that churn
call ``torch.randn_like``, every step, which is replaced in its module.
"""

import math

import pytest
import torch

import numdiff as nd
from numdiff.methods.ancestral import DPM2Ancestral, DPMSolverPP2SAncestral, EulerAncestral
from numdiff.methods.churn import Churn
from numdiff.methods.dpmpp_sde import DPMSolverPPSDE
from numdiff.methods.published.single_step import DPM2, DPMSolverSingle
from numdiff.sde import stochastic
from tests import peers

SIGMAS = peers.rough_sigmas(12)
X = peers.start(SIGMAS)


@pytest.fixture(scope="module")
def sampling():
    return peers.k_diffusion()


def check(method, expected, recorder=None, columns=1, sigmas=SIGMAS):
    scheme = method.discretize(peers.EDM, sigmas.tolist())
    noise = recorder and recorder.again(columns)
    peers.close(nd.sample(scheme, peers.model(), X, prediction="data", noise=noise), expected)


@pytest.mark.parametrize(
    ("name", "options", "method"),
    [
        ("euler", {}, nd.DDIM()),
        ("heun", {}, nd.Heun()),
        ("dpm_2", {}, DPM2()),
        ("dpmpp_2s_ancestral", {"eta": 0.0}, DPMSolverSingle(2, rule="dpmsolver")),
        *(("lms", {"order": k}, nd.LMS(k)) for k in (1, 2, 3, 4)),
        ("dpmpp_2m", {}, nd.DPMSolverPP(2, rule="half")),
    ],
    ids=str,
)
def test_deterministic(sampling, name, options, method):
    sample = getattr(sampling, f"sample_{name}")
    check(method, sample(peers.denoiser(), X, SIGMAS, disable=True, **options))


ANCESTRAL = {
    "euler": EulerAncestral,
    "dpm_2": DPM2Ancestral,
    "dpmpp_2s": DPMSolverPP2SAncestral,
}


@pytest.mark.parametrize("name", ANCESTRAL)
@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("s_noise", [1.0, 1.003])
def test_ancestral(sampling, name, eta, s_noise):
    noise = peers.Recorder(X)
    sample = getattr(sampling, f"sample_{name}_ancestral")
    expected = sample(peers.denoiser(), X, SIGMAS, disable=True, eta=eta, s_noise=s_noise, noise_sampler=noise)
    check(ANCESTRAL[name](eta, noise_factor=s_noise), expected, noise)


@pytest.mark.parametrize("solver", ["midpoint", "heun"])
@pytest.mark.parametrize("eta", [0.0, 0.49, 1.0, 1.7])
def test_dpmpp_2m_sde(sampling, solver, eta):
    """Its eta multiplies the log-SNR step of the noise: it is tau^2 here, and may exceed 1."""
    noise = peers.Recorder(X)
    options = {"eta": eta, "solver_type": solver, "noise_sampler": noise, "disable": True}
    expected = sampling.sample_dpmpp_2m_sde(peers.denoiser(), X, SIGMAS, **options)
    rule = "half" if solver == "midpoint" else "exact"
    check(nd.AdamsBashforth(2, stochastic("data/log-snr", math.sqrt(eta)), rule=rule), expected, noise)


@pytest.mark.parametrize("eta", [0.0, 0.49, 1.0])
def test_dpmpp_3m_sde(sampling, eta):
    """The published third-order term has half its size; the second step is the exact two-point rule."""
    noise = peers.Recorder(X)
    options = {"eta": eta, "noise_sampler": noise, "disable": True}
    expected = sampling.sample_dpmpp_3m_sde(peers.denoiser(), X, SIGMAS, **options)
    check(nd.AdamsBashforth(2, stochastic("data/log-snr", math.sqrt(eta)), rule="3m-heun"), expected, noise)


@pytest.mark.parametrize(("s_churn", "s_noise"), [(0.0, 1.0), (2.0, 1.0), (100.0, 1.003)])
@pytest.mark.parametrize(("name", "base"), [("euler", nd.DDIM()), ("heun", nd.Heun()), ("dpm_2", DPM2())], ids=str)
def test_churn(sampling, monkeypatch, name, base, s_churn, s_noise):
    """A share below and above the cap, in a window that leaves out the first and the last steps."""
    noise = peers.Recorder(X)
    fresh = peers.StandIn(torch, randn_like=lambda x: noise())
    monkeypatch.setattr(sampling, "torch", fresh)
    low, high = float(SIGMAS[9]), float(SIGMAS[1])  # both ends belong to the window
    options = {"s_churn": s_churn, "s_tmin": low, "s_tmax": high, "s_noise": s_noise, "disable": True}
    expected = getattr(sampling, f"sample_{name}")(peers.denoiser(), X, SIGMAS, **options)
    check(Churn(base, s_churn, low, high, s_noise), expected, noise)


@pytest.mark.parametrize("eta", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("r", [0.5, 0.8, 1.0])
def test_dpmpp_sde_with_independent_noises(sampling, eta, r):
    noise = peers.Recorder(X)
    options = {"eta": eta, "r": r, "noise_sampler": noise, "disable": True}
    expected = sampling.sample_dpmpp_sde(peers.denoiser(), X, SIGMAS, **options)
    check(DPMSolverPPSDE(eta, r=r, path="independent"), expected, noise, columns=2)


def test_dpmpp_sde_on_a_brownian_tree(sampling):
    """k-diffusion's default: both noises of a step come from one path whose clock is sigma.

    The second noise here is the path's own increment from the inner level to the end of the step.
    """
    tree = sampling.BrownianTreeNoiseSampler(X, SIGMAS[SIGMAS > 0].min(), SIGMAS.max(), seed=11)
    expected = sampling.sample_dpmpp_sde(peers.denoiser(), X, SIGMAS, noise_sampler=tree, disable=True)

    def noise(index, column):
        first, last = SIGMAS[index], SIGMAS[index + 1]
        middle = (first * last).sqrt()
        return tree(first, middle) if column == 0 else tree(middle, last)

    scheme = DPMSolverPPSDE(1, path="rho").discretize(peers.EDM, SIGMAS.tolist())
    peers.close(nd.sample(scheme, peers.model(), X, prediction="data", noise=noise), expected)
