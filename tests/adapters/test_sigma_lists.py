"""Lists of sigmas by name: k-diffusion's, published tables, and what cannot be listed."""

import math

import numpy as np
import pytest
import torch

import numdiff as nd
from numdiff.adapters import kdiffusion
from tests import peers

BAD = [
    (lambda: kdiffusion.sigmas("edm", 5, roh=3), TypeError, 'grid="karras" has no option roh; it takes rho'),
    (lambda: kdiffusion.sigmas("edm", 5, "optimized", roh=3), TypeError, "has no option roh; it takes method, "),
    (lambda: kdiffusion.sigmas("edm", grid=[1.0, 10.0, 80.0]), ValueError, "the grid must fall from noise to data"),
    (lambda: kdiffusion.sigmas("stable-diffusion", 6, "ays-svd"), ValueError, "from sigma/alpha = 700, .* at 14.6"),
    (lambda: kdiffusion.sigmas("edm", 10, "karas"), ValueError, "unknown grid 'karas'; did you mean 'karras'"),
    (lambda: kdiffusion.sigmas("edm"), ValueError, "steps is missing"),
    (lambda: kdiffusion.sigmas("edm", 10, "ays-sd15", t_end=1.0), TypeError, "published tables take no t_end"),
    (lambda: kdiffusion.sigmas("flow", 10, "ays-sd15"), ValueError, "is a flow schedule"),
    (lambda: kdiffusion.sigmas("edm", 3, [80.0, 1.0]), ValueError, "the grid makes 2 steps, got steps = 3"),
    (lambda: kdiffusion.sigmas("edm", 900, dtype=torch.bfloat16), ValueError, "do not fall strictly in torch.bfloat16"),
    (lambda: kdiffusion.sigmas("flow", 5, "polyexponential"), ValueError, "log-SNR is infinite at an end"),
]


@pytest.fixture(scope="module")
def sampling():
    return peers.k_diffusion()


@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_device_that_is_not_there():
    if torch.cuda.is_available():
        assert kdiffusion.sigmas("edm", 4, device="cuda").is_cuda
    else:
        with pytest.raises(ValueError, match="device = 'cuda' cannot be used here"):
            kdiffusion.sigmas("edm", 4, device="cuda")


RANGE = nd.schedules.EDM(T=14.6, t_end=0.03)


@pytest.mark.parametrize(
    ("grid", "theirs", "options"),
    [
        ("karras", "karras", {"rho": 7.0}),
        ("karras", "karras", {"rho": 5.0}),
        ("exponential", "exponential", {}),
        ("polyexponential", "polyexponential", {"rho": 1.5}),
    ],
)
def test_lists_of_k_diffusion(sampling, grid, theirs, options):
    """Theirs are computed in float32 throughout: 7th powers of sums with an error of 6e-8."""
    expected = getattr(sampling, f"get_sigmas_{theirs}")(9, 0.03, 14.6, **options)
    found = kdiffusion.sigmas(RANGE, 9, grid, **options)
    assert found.shape == (10,)
    assert found.dtype == torch.float32
    assert torch.allclose(found, expected, rtol=3e-6, atol=0)
    assert torch.equal(kdiffusion.sigmas(RANGE, 8, grid, final_zero=False, **options), found[:-1])


def test_published_lists():
    table = kdiffusion.sigmas("stable-diffusion", 10, "ays-sdxl")
    assert table[[0, 3, 9, 10]].tolist() == pytest.approx([14.615, 2.181, 0.113, 0.0])


@pytest.mark.slow  # scipy.stats takes half a second to import
def test_a_list_of_quantiles():
    schedule = nd.schedules.Discrete.stable_diffusion()
    found = kdiffusion.sigmas(schedule, 8, "beta", dtype=torch.float64)
    from scipy.stats import beta

    times = [schedule.time(-math.log(s)) for s in found[:-1].tolist()]
    places = (np.array(times) - schedule.t_end) / (1 - schedule.t_end)
    assert beta.cdf(places, 0.6, 0.6) == pytest.approx(1 - np.arange(8) / 8)


def test_lists_of_nodes_and_results():
    grid = nd.grids.uniform_log_snr(RANGE, 5)
    assert kdiffusion.sigmas(RANGE, grid=grid, dtype=torch.float64).tolist() == [*grid.tolist(), 0.0]
    result = nd.optimize.preset("edm", 6, "dpmpp-3m")
    expected = nd.optimize.sigmas(result)
    assert kdiffusion.sigmas("edm", 6, result, dtype=torch.float64).tolist() == expected.tolist()
    flow = kdiffusion.sigmas(nd.schedules.Flow(3.0), 4, "uniform-t", dtype=torch.float64, final_zero=False)
    assert flow[:2].tolist() == pytest.approx([1.0, float(nd.schedules.Flow(3.0).sigma(0.75025))])


@pytest.mark.slow
def test_optimized_list():
    found = kdiffusion.sigmas(RANGE, 5, "optimized", method=nd.DPMSolverPP(2), dtype=torch.float64)
    expected = nd.optimize.timesteps(nd.DPMSolverPP(2), RANGE, 5, final_zero=True)
    assert found.tolist() == nd.optimize.sigmas(expected).tolist()
    default = kdiffusion.sigmas(RANGE, 5, "optimized")
    assert not torch.allclose(default, found.float())
