"""k-diffusion's names stand for what its samplers compute, whole runs on a mixture in float64.

Stochastic samplers run with their noise at 0, which tells their weights; tests of each method compare the noise.
"""

import pytest

import numdiff as nd
from numdiff.methods.registry import catalogue
from numdiff.methods.single_step import SingleStep
from tests import peers

SIGMAS = peers.rough_sigmas(12)
QUIET = {"euler_ancestral": "eta", "dpm_2_ancestral": "eta", "dpmpp_2s_ancestral": "eta", "dpmpp_sde": "eta"}
QUIET |= {"dpmpp_2m_sde": "tau", "dpmpp_3m_sde": "tau"}
NAMES = sorted({alias.name for alias in catalogue.ALIASES if alias.library == "k-diffusion"})


@pytest.fixture(scope="module")
def sampling():
    return peers.k_diffusion()


@pytest.mark.parametrize("name", [name for name in NAMES if name != "dpm_fast"])
def test_a_name_stands_for_what_its_sampler_computes(name, sampling):
    x = peers.start(SIGMAS)
    quiet = {"eta": 0.0, "s_noise": 0.0} if name in QUIET else {}
    expected = getattr(sampling, f"sample_{name}")(peers.denoiser(), x, SIGMAS, disable=True, **quiet)
    method = nd.method(f"k-diffusion:{name}", **({QUIET[name]: 0} if name in QUIET else {}))
    scheme = method.discretize(peers.EDM, SIGMAS.tolist())
    peers.close(nd.sample(scheme, peers.model(), x, prediction="data"), expected)


def test_dpm_fast_stands_for_what_is_compared_on_its_own_grid():
    """It takes two sigmas and makes the grid: see `tests.test_kdiffusion_single_step`."""
    assert nd.method("dpm_fast") == SingleStep(3, "noise/log-snr", "dpmsolver")


def test_every_sampler_of_k_diffusion_is_known(sampling):
    there = {name.removeprefix("sample_") for name in dir(sampling) if name.startswith("sample_")}
    assert set(NAMES) <= there
    assert all(catalogue.outside(name) for name in there - set(NAMES))
