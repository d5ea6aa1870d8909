"""Gradients with respect to a method's own parameters: damping and nodes as tensors, against central differences."""

import numpy as np
import pytest
import sympy as sp
import torch

import numdiff as nd
from numdiff.methods.predictor_corrector import MODES, MOMENTA

VP = nd.schedules.VPLinear()
TIMES = np.linspace(0.9, 0.1, 7)
X = torch.tensor([0.5, -1.0], dtype=torch.float64)


def model(x, t):
    return torch.tanh(x) * (1 - t) + 0.2 * torch.cos(x)


def final(method, times=TIMES, **options):
    return nd.sample(method.discretize(VP, times, **options), model, X).sum()


def agrees(build, at, times=TIMES, **options):
    """Compare the derivative of a run with a difference quotient of order 4."""
    parameter, h = torch.tensor(at, dtype=torch.float64, requires_grad=True), 1e-3
    (slope,) = torch.autograd.grad(final(build(parameter), times, **options), parameter)
    values = {k: float(final(build(at + k * h), times, **options)) for k in (-2, -1, 1, 2)}
    expected = (8 * (values[1] - values[-1]) - (values[2] - values[-2])) / (12 * h)
    assert expected != 0
    assert abs(float(slope) - expected) < 1e-6 * abs(expected)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("momentum", MOMENTA)
@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("formulation", ["data/log-snr", "noise/ratio"])
def test_damping_of_unipc(order, momentum, mode, formulation):
    build = lambda beta: nd.UniPC(order, formulation, beta=beta, momentum=momentum, mode=mode)  # noqa: E731
    for start in ("lower", "runge-kutta"):
        agrees(build, 0.8, start=start)


@pytest.mark.parametrize("momentum", MOMENTA)
@pytest.mark.parametrize("uncorrected", [(), (0, 1, -1), (2, 4)])
def test_damping_where_steps_only_predict(momentum, uncorrected):
    build = lambda beta: nd.UniPC(3, beta=beta, momentum=momentum, uncorrected=uncorrected)  # noqa: E731
    agrees(build, 0.8)
    agrees(build, 0.8, np.linspace(0.9, 0.0, 7))


@pytest.mark.parametrize("momentum", ["repaired", "published"])
def test_damping_at_one_has_a_gradient_too(momentum):
    agrees(lambda beta: nd.UniPC(2, beta=beta, momentum=momentum), 1.0)


@pytest.mark.parametrize("rule", ["exact", "taylor", "dpmsolver", "half"])
@pytest.mark.parametrize("formulation", ["data/log-snr", "noise/log-snr"])
def test_nodes_of_dpm_solver(rule, formulation):
    agrees(lambda c: nd.DPMSolverSingle(2, formulation, rule=rule, c2=c), 0.5)
    agrees(lambda c: nd.DPMSolverSingle(3, formulation, rule=rule, c2=c), 0.3)
    agrees(lambda c: nd.DPMSolverSingle(3, formulation, rule=rule, c3=c), 0.7)
    agrees(lambda c: nd.DPMSolverSingle(3, formulation, rule=rule, c2=c, c3=0.7), 0.3)


@pytest.mark.parametrize("build", [nd.RES, nd.HochbruckOstermann])
def test_nodes_of_stiff_methods(build):
    agrees(lambda c: build(2, c2=c), 0.4)
    agrees(lambda c: build(3, c2=c), 0.3)
    agrees(lambda c: build(3, c3=c), 0.8)


@pytest.mark.parametrize("build", [nd.DPMSolverSingle, nd.RES, nd.HochbruckOstermann])
def test_nodes_of_every_number_type_give_the_same_method(build):
    import mpmath

    plain = build(3, c2=0.3)
    for node in (sp.Rational(3, 10), np.float64(0.3), torch.tensor(0.3, dtype=torch.float64)):
        assert build(3, c2=node) == plain
    expected = plain.discretize(VP, TIMES)
    for node in (sp.Float("0.3"), mpmath.mpf("0.3"), 3 * sp.sqrt(2) / sp.sqrt(200)):
        for one, other in zip(build(3, c2=node).discretize(VP, TIMES), expected, strict=True):
            for name in ("A", "U", "B", "V"):
                np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-9, atol=1e-12)
