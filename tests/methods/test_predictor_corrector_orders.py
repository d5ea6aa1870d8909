"""Orders of predictor-correctors: proved on equal steps and on any grid, and observed on a rough one."""

import numpy as np
import pytest

import numdiff as nd
from numdiff.methods.predictor_corrector import PredictorCorrector
from tests.methods.test_predictor_corrector_members import END, FORMS, MODEL, MODES, PLUGGED, VP, X, exact, rough, run

COUNTS = [(p, c) for p in (1, 2, 3) for c in range(6)]


def error(method, steps, start="exact"):
    scheme = method.discretize(VP, rough(steps), start=start)
    at = exact if start == "exact" else None
    return np.sqrt(np.mean((nd.sample(scheme, MODEL, X, exact=at) - exact(VP.level(END))) ** 2))


def slope(method, steps=48, start="exact"):
    return np.log2(error(method, steps, start) / error(method, 2 * steps, start))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("count", COUNTS, ids=str)
def test_the_order_is_proved_on_equal_steps_and_on_any_grid(count, mode):
    p, c = count
    if c == 0 and mode == "PECE":
        return
    method = PredictorCorrector(p, corrector=c, mode=mode)
    expected = min(p + 1, c) if c else p
    assert (method.order, nd.order.certified(method)) == (expected, expected)
    if c < 4:  # the rational functions of more points take seconds
        assert nd.order.any_grid(method).order == expected


@pytest.mark.parametrize("formulation", [nd.DATA_LOG_SNR, None], ids=str)
@pytest.mark.parametrize("count", COUNTS, ids=str)
def test_observed_orders_on_a_rough_grid(count, formulation):
    for mode in MODES if count[1] else MODES[:1]:
        method = PredictorCorrector(count[0], formulation, corrector=count[1], mode=mode)
        found = slope(method, 60)
        assert found > method.order - 0.35
        assert found < method.order + 0.7


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("count", [(1, 3), (3, 3), (2, 3), (3, 4), (3, 0)], ids=str)
def test_a_runge_kutta_start_keeps_the_order(count, mode):
    if count[1] or mode == "PEC":
        method = PredictorCorrector(count[0], nd.DATA_LOG_SNR, corrector=count[1], mode=mode)
        assert slope(method, 96, "runge-kutta") > method.order - 0.35


@pytest.mark.parametrize("method", PLUGGED, ids=str)
def test_a_corrector_raises_the_order_of_any_predictor_by_one(method):
    assert method.order == min(method.predictor.order + 1, method.corrector)
    found = slope(method, 192)
    assert abs(found - method.order) < 0.35, found


@pytest.mark.parametrize("form", FORMS)
def test_momentum_has_order_one_and_tends_to_no_momentum(form):
    method = nd.UniPC(2, beta=0.7, momentum=form)
    assert method.order == 1
    assert abs(slope(method, 192) - 1) < 0.35
    nearly = run(nd.UniPC(2, beta=1 - 1e-9, momentum=form), rough(9))
    np.testing.assert_allclose(nearly, run(nd.UniPC(2), rough(9)), atol=1e-7)
