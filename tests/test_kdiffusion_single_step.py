"""k-diffusion's DPM-Solvers, an independent source, give the same samples as their members here, in float64."""

import math

import numpy as np
import pytest
import torch

import numdiff as nd
from numdiff.methods.ancestral import Ancestral
from numdiff.methods.published.single_step import DPM2, DPMSolverSingle
from numdiff.methods.single_step import SingleStep, order_list
from tests import peers

SIGMAS = peers.rough_sigmas(12)
X = peers.start(SIGMAS)


@pytest.fixture(scope="module")
def sampling():
    return peers.k_diffusion()


def check(method, sigmas, expected, noise=None):
    scheme = method.discretize(peers.EDM, sigmas)
    peers.close(nd.sample(scheme, peers.model(), X, prediction="data", noise=noise), expected)


def test_dpm_2(sampling):
    check(DPM2(), SIGMAS.tolist(), sampling.sample_dpm_2(peers.denoiser(), X, SIGMAS, disable=True))


@pytest.mark.parametrize("eta", [0.0, 0.6, 1.0])
def test_dpmpp_2s_ancestral(sampling, eta):
    noise = peers.Recorder(X)
    options = {"disable": True, "eta": eta, "noise_sampler": noise}
    expected = sampling.sample_dpmpp_2s_ancestral(peers.denoiser(), X, SIGMAS, **options)
    check(Ancestral(DPMSolverSingle(2, rule="dpmsolver"), eta), SIGMAS.tolist(), expected, noise.again())


@pytest.mark.parametrize("evaluations", [10, 11, 12])
def test_dpm_fast(sampling, monkeypatch, evaluations):
    """Its steps are equally long in log-SNR whatever their order; it makes its two ends in single precision itself."""
    largest, smallest = (float(SIGMAS[i]) for i in (0, -2))
    monkeypatch.setattr(
        sampling,
        "torch",
        peers.StandIn(torch, tensor=lambda x: torch.tensor(x, dtype=torch.float64), linspace=linspace),
    )
    expected = sampling.sample_dpm_fast(peers.denoiser(), X, smallest, largest, evaluations, disable=True)
    orders = order_list(3, evaluations)
    width = math.log(largest / smallest) / len(orders)
    inner = [n + i / k for n, k in enumerate(orders) for i in range(k)]
    sigmas = [largest * math.exp(-width * u) for u in (*inner, len(orders))]
    check(SingleStep(3, "noise/log-snr", "dpmsolver"), sigmas, expected)


def linspace(start, end, count, device):
    """torch's, of two tensors of float64."""
    return torch.from_numpy(np.linspace(float(start), float(end), count))
