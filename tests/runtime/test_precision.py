"""What low precision costs, against the run of the same numbers in float64."""

import numpy as np
import pytest
import torch

import numdiff as nd
from numdiff.runtime import precision
from tests.runtime.problem import SCHEDULE, run, sampler

GRID = np.linspace(0.95, 0.02, 41)
METHODS = [nd.DDIM(), nd.DPMSolverPP(2), nd.GHVB(3, 0.8), nd.UniPC(2)]


def gaussian(x, t):
    """The noise that is expected in x_t where data are normal with variance 1/4, in float64 and rounded once."""
    level = SCHEDULE.level(float(t))
    factor = level.sigma / (level.alpha**2 / 4 + level.sigma**2)
    return (x.double() * factor).to(x.dtype)


def errors(method, dtype):
    x = torch.randn(4000, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)
    scheme = method.discretize(SCHEDULE, GRID)

    def error(**options):
        made = sampler(scheme, model=gaussian, **options)
        plain = sampler(scheme, model=gaussian)
        return precision.error(lambda x: run(plain if x.dtype == torch.float64 else made, x), x)

    return error(), error(accumulate="float32"), error(state="float32")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("method", METHODS, ids=str)
def test_sums_in_float32_help_and_a_state_in_float32_helps_more(method, dtype):
    plain, accumulated, state = errors(method, dtype)
    eps = torch.finfo(dtype).eps
    assert state < accumulated < plain
    # With the state kept, only the model's inputs and outputs are rounded, at random, and the last sample once.
    assert state < eps
    assert plain > 2 * state


def test_float32_samples_are_as_good_without():
    plain, accumulated, state = errors(nd.DPMSolverPP(2), torch.float32)
    assert accumulated == pytest.approx(plain, rel=0.3)
    assert state == pytest.approx(plain, rel=0.3)


def test_a_state_in_float64_serves_float32():
    x = torch.randn(500, generator=torch.Generator().manual_seed(0))
    scheme = nd.GHVB(3, 0.8).discretize(SCHEDULE, GRID)
    reference = run(sampler(scheme, model=gaussian), x.double())
    plain, wide = (run(sampler(scheme, model=gaussian, state=state), x) for state in (None, "float64"))
    assert wide.dtype == torch.float32
    assert (wide - reference).norm() < (plain - reference).norm()
