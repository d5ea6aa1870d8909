"""Every row of the table is the same ODE, and the ends of a schedule are limits of what happens near them."""

import math

import numpy as np
import pytest
import sympy as sp
import torch

import numdiff as nd
from numdiff import Level
from numdiff.formulations import FORMULATIONS, get

SCHEDULES = {s.name: s for s in (nd.schedules.VPLinear(), nd.schedules.EDM(), nd.schedules.Flow(shift=3.0))}
every_schedule = pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES.keys())
every_formulation = pytest.mark.parametrize("formulation", FORMULATIONS.values(), ids=FORMULATIONS.keys())
diffusions = pytest.mark.parametrize("name", [name for name in FORMULATIONS if name != "velocity/time"])


@every_schedule
@every_formulation
def test_each_row_is_the_probability_flow_ode(formulation, schedule):
    """d(x/kappa)/ds = c x/kappa + f along x = alpha x_0 + sigma eps with constant x_0 and eps; central differences."""
    x0, eps = 0.7, -1.3
    t, d = 0.4 * schedule.T, 1e-5 * schedule.T

    def X(t):
        level = schedule.level(t)
        return (level.alpha * x0 + level.sigma * eps) / formulation.kappa(level)

    before, level, after = map(schedule.level, (t - d, t, t + d))
    f = {"noise": eps, "data": x0, "velocity": level.d_alpha * x0 + level.d_sigma * eps}[formulation.prediction]
    slope = (X(t + d) - X(t - d)) / (formulation.node(after) - formulation.node(before))
    # Central differences over 1e-5 of the range: 1e-10 of truncation times third derivatives below 1e3, rounding 1e-10.
    assert slope == pytest.approx(formulation.c * X(t) + f, rel=1e-6)


@every_schedule
@every_formulation
@pytest.mark.parametrize("forward", [True, False])
def test_a_step_carries_a_constant_prediction_exactly(formulation, schedule, forward):
    start, end = schedule.level(0.6 * schedule.T), schedule.level(0.3 * schedule.T)
    if not forward:
        start, end = end, start
    span = formulation.span(start, end, 1)
    x0, eps = 0.7, -1.3
    x = start.alpha * x0 + start.sigma * eps
    if formulation.prediction == "velocity":
        found, expected = span.xi * x + span.moments[0] * 2.5, x + (end.time - start.time) * 2.5
    else:
        f = eps if formulation.prediction == "noise" else x0
        found, expected = span.xi * x + span.moments[0] * f, end.alpha * x0 + end.sigma * eps
    # W = kappa int e^{c(h-u)} du is known to a few ulp of kappa e^{ch} and kappa; x is up to 100 on EDM.
    assert found == pytest.approx(expected, rel=1e-14, abs=1e-14 * abs(x))


def near(zero, eps):
    """Levels with sigma (or alpha) = eps and the limit eps = 0."""
    other = math.sqrt((1 - eps) * (1 + eps))
    return Level(eps, other, eps, eps) if zero == "sigma" else Level(1 - eps, eps, other, 1 - eps)


@diffusions
@pytest.mark.parametrize("zero", ["sigma", "alpha"])
def test_arrivals_are_limits(name, zero):
    """Moments in absolute units, unit^m moments[m], tend to those of the infinite step wherever these are finite."""
    formulation, start, tiny = FORMULATIONS[name], Level(0.5, 0.8, 0.6, 0.5), 1e-10
    limit, close = (formulation.span(start, near(zero, eps), 4) for eps in (0.0, tiny))
    assert limit.xi == pytest.approx(close.xi, abs=2 * tiny)
    for m, value in enumerate(limit.moments):
        scale = (close.unit / limit.unit) ** m
        # The error is tiny times a polynomial in h = log(1/tiny) = 23, below 23^3 = 12167.
        assert value == pytest.approx(close.moments[m] * scale, abs=2e4 * tiny)
    data_at_sigma = formulation.prediction == "data" and zero == "sigma"
    noise_at_alpha = formulation.prediction == "noise" and zero == "alpha"
    assert limit.max_order == (1 if data_at_sigma or noise_at_alpha else 4)
    assert limit.infinite == (formulation.c != 0 or limit.max_order == 1)


@diffusions
@pytest.mark.parametrize("zero", ["sigma", "alpha"])
def test_departures_are_limits_or_refused(name, zero):
    formulation, end, tiny = FORMULATIONS[name], Level(0.5, 0.8, 0.6, 0.5), 1e-10
    refused = {"sigma": "data", "alpha": "noise"}[zero]
    if formulation.prediction == refused:
        with pytest.raises(
            ValueError, match=rf"{name} cannot start at {zero} = 0 \(time .*\); start at a .* time, or use"
        ):
            formulation.span(near(zero, 0.0), end, 1)
        return
    limit, close = (formulation.span(near(zero, eps), end, 1) for eps in (0.0, tiny))
    assert limit.xi == pytest.approx(close.xi, abs=2 * tiny)
    assert limit.moments[0] == pytest.approx(close.moments[0], abs=2 * tiny)
    assert formulation.is_finite(near(zero, 0.0)) == (formulation.c == 0)
    assert formulation.is_finite(near(zero, tiny))


@pytest.mark.parametrize(
    "number", [float, np.float32, torch.tensor, sp.Float], ids=["float", "float32", "torch", "sympy"]
)
def test_infinite_nodes_are_recognised_in_every_number_type(number):
    level = Level(1.0, number(0.0), number(1.0), 1.0)
    assert not nd.DATA_LOG_SNR.is_finite(level)
    assert nd.DATA_RATIO.is_finite(level)


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_the_denoising_step_returns_the_denoised_estimate(shift):
    schedule = nd.schedules.Flow(shift=shift)
    start, end, x0, eps = schedule.level(0.3), schedule.level(0.0), 0.7, -1.3
    x = start.alpha * x0 + start.sigma * eps
    for formulation in FORMULATIONS.values():
        span = formulation.denoising_span(start, end)
        f = {"noise": eps, "data": x0, "velocity": start.d_alpha * x0 + start.d_sigma * eps}[formulation.prediction]
        assert span.xi * x + span.moments[0] * f == pytest.approx(x0, rel=1e-14)  # a dozen operations


def test_names_find_formulations_and_unknown_ones_the_nearest():
    assert get("data/log-snr") is nd.DATA_LOG_SNR
    assert get(nd.NOISE_RATIO) is nd.NOISE_RATIO
    with pytest.raises(ValueError, match="unknown formulation 'data/logsnr'; did you mean 'data/log-snr'"):
        nd.AdamsBashforth(2, "data/logsnr")
