"""The factors that the machine keeps as tensors: the numbers of the floats, and none of the run's business."""

import numpy as np
import pytest
import torch

import numdiff as nd
from numdiff.drivers import program
from numdiff.executor import step

SCHEDULE = nd.schedules.VPLinear()
METHOD = nd.AdamsBashforth(2)


def scheme():
    return METHOD.discretize(SCHEDULE, np.linspace(0.9, 0.1, 5))


def run(laid_out, x):
    return nd.sample(laid_out, lambda x, t: torch.tanh(x), x)


def by_floats(laid_out, x):
    """The same run by `step`, which multiplies with the floats themselves."""
    y = [x, *(None,) * (laid_out.registers - 1)]
    for entry in program(laid_out, nd.parameterizations.get("noise")):
        y = step(entry.tableau, y, lambda Y, level: torch.tanh(Y))
    return y[0]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_a_factor_kept_as_a_tensor_is_the_float(dtype):
    x = torch.randn(65, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)
    assert torch.equal(run(scheme(), x), by_floats(scheme(), x))


def test_a_scheme_run_first_in_inference_mode_serves_a_gradient_later():
    laid_out, x = scheme(), torch.randn(5)
    with torch.inference_mode():
        plain = run(laid_out, x)
    x.requires_grad_()
    sample = run(laid_out, x)
    sample.sum().backward()
    assert torch.equal(sample, plain)
    assert x.grad.abs().min() > 0


def test_a_scheme_run_first_inside_a_transform_serves_outside():
    laid_out, x = scheme(), torch.randn(3, 5)
    expected = run(scheme(), x)

    def machine(x):
        made = nd.Machine(program(laid_out, nd.parameterizations.get("noise")), x)
        while (question := made.ask()) is not None:
            made.tell(torch.tanh(question.x))
        return made.sample

    assert torch.allclose(torch.vmap(machine)(x), expected, rtol=1e-6, atol=1e-7)  # float32, vectorised otherwise
    gradient = torch.func.grad(lambda x: machine(x).sum())(x)
    assert gradient.shape == x.shape
    assert torch.equal(run(laid_out, x), expected)


def test_the_host_keeps_the_factors_whatever_the_default_device():
    laid_out, x = scheme(), torch.randn(5)
    with torch.device("meta"):
        sample = run(laid_out, x)
    assert torch.equal(sample, run(scheme(), x))
