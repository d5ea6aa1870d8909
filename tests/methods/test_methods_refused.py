"""What methods refuse at the door: arrays that are none, orders that nothing can lower, nodes that coincide."""

import math

import numpy as np
import pytest
import sympy as sp
import torch

import numdiff as nd
from numdiff.methods.butcher import RK4
from numdiff.methods.exponential_butcher import ETD4RK
from numdiff.methods.single_step import SingleStep

VP = nd.schedules.VPLinear()
TIMES = np.linspace(0.9, 0.1, 9)


def refuses(error, message):
    return pytest.raises(error, match=message)


# --- constructors -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, "RK4", ETD4RK, ((0,), (1,))], ids=lambda value: type(value).__name__)
def test_runge_kutta_wants_an_array(value):
    with refuses(TypeError, "butcher must be an array of numdiff.methods.butcher such as RK4, got"):
        nd.RungeKutta(value)


@pytest.mark.parametrize("value", [None, "a", RK4], ids=lambda value: type(value).__name__)
def test_exponential_runge_kutta_wants_an_array(value):
    with refuses(TypeError, "table must be an array of numdiff.methods.exponential_butcher such as ETD4RK, got"):
        nd.ExponentialRungeKutta(value)


@pytest.mark.parametrize("label", [None, 3, ""], ids=repr)
def test_labels_are_names(label):
    for build, array in ((nd.RungeKutta, RK4), (nd.ExponentialRungeKutta, ETD4RK)):
        with refuses(TypeError, f"label must be a name for tables such as 'RK4', got {label!r}"):
            build(array, label)


RANGES = [
    (nd.DPMSolverSingle, 1, 3),
    (nd.SEEDS, 1, 3),
    (nd.RES, 2, 3),
    (nd.HochbruckOstermann, 1, 4),
    (SingleStep, 1, 3),
]


@pytest.mark.parametrize(("build", "lowest", "highest"), RANGES, ids=lambda value: getattr(value, "__name__", None))
def test_orders_of_single_step_methods(build, lowest, highest):
    for order in (True, 2.0, "2", None, np.float64(2)):
        with refuses(TypeError, "order must be an int, got"):
            build(order)
    for order in (lowest - 1, highest + 1, -1):
        with refuses(ValueError, f"order must be between {lowest} and {highest}, got {order}; it "):
            build(order)
    assert build(np.int64(highest)) == build(highest)


@pytest.mark.parametrize("steps", [-1, 0, None, "all", True], ids=repr)
def test_uncorrected_steps_are_several(steps):
    for build in (nd.UniPC, nd.PredictorCorrector):
        with refuses(TypeError, "uncorrected must be a tuple of step numbers such as"):
            build(3, uncorrected=steps)


@pytest.mark.parametrize("node", [0, 1.5, -0.5, math.nan, math.inf, sp.Rational(3, 2), torch.tensor(2.0)], ids=str)
def test_nodes_lie_inside_the_step(node):
    for build in (nd.DPMSolverSingle, nd.RES, nd.HochbruckOstermann):
        with refuses(
            ValueError, r"c2 must lie in \(0, 1\], got .*; it is the fraction of a step at which a stage sits"
        ):
            build(2, c2=node)
        with refuses(ValueError, r"c3 must lie in \(0, 1\], got"):
            build(3, c3=node)


@pytest.mark.parametrize("node", ["1/2", None, True, 1j, np.array([0.3, 0.5])], ids=repr)
def test_nodes_are_numbers(node):
    if node is not None:
        with refuses(TypeError, "c2 must be one (real )?number or a SymPy symbol, got"):
            nd.RES(2, c2=node)


def test_nodes_differ():
    for build in (nd.DPMSolverSingle, nd.HochbruckOstermann, nd.RES):
        with refuses(ValueError, "the nodes of a three-stage method must differ from each other, got 0, 3/10, 3/10"):
            build(3, c2=0.3, c3=0.3)
    for build in (nd.RES, nd.HochbruckOstermann):
        with refuses(ValueError, "order 2 has one node beside 0, c2, got c3=0.3; leave it out"):
            build(2, c3=0.3)


# --- orders= ----------------------------------------------------------------------------------------------------------

WITHOUT_MEMORY = [
    nd.RK4(),
    nd.Strang(),
    nd.BDIA(),
    nd.DPMSolverSingle(3),
    nd.SEEDS(2),
    nd.Ancestral(nd.Heun()),
    nd.Churn(nd.Heun(), S_churn=2.0),
]


@pytest.mark.parametrize("method", WITHOUT_MEMORY, ids=str)
def test_methods_without_past_evaluations_have_no_orders_to_lower(method):
    steps = len(TIMES) - 1
    for orders in ([1] * steps, [2] * steps, []):
        with refuses(ValueError, "combines no past evaluations, so that orders= has nothing to lower; leave it out"):
            method.discretize(VP, TIMES, orders=orders)
    assert method.discretize(VP, TIMES, orders=None).steps == steps


def test_orders_count_the_evaluations_combined():
    message = r"orders\[0\] must be an int from 1 to 3, got 4; PEC3 data/log-snr combines 3 evaluations"
    with refuses(ValueError, message):
        nd.UniPC(3).discretize(VP, TIMES, orders=[4] * 8)
    assert nd.UniPC(3).order == 4
    full = nd.UniPC(3).discretize(VP, TIMES)
    assert repr(nd.UniPC(3).discretize(VP, TIMES, orders=[3] * 8).tableaus) == repr(full.tableaus)


def test_orders_of_runs_are_refused_alike():
    with refuses(ValueError, "RK4 combines no past evaluations"):
        nd.order.of_run(nd.RK4(), orders=[1, 1, 1])
    with refuses(ValueError, r"orders\[1\] must be an int from 1 to 2, got 3; AB2 combines 2 evaluations"):
        nd.order.of_run(nd.AdamsBashforth(2), orders=[1, 3, 2])
    with refuses(TypeError, "orders must be a sequence of ints, one per step, got 2"):
        nd.order.of_run(nd.AdamsBashforth(2), orders=2)
    assert nd.order.of_run(nd.DDIM(), orders=[1, 1, 1]).order == 1


# --- nd.step ----------------------------------------------------------------------------------------------------------


def test_a_step_with_noise_wants_it():
    tableau = nd.SEEDS(2).discretize(VP, TIMES).tableaus[0]
    y, field = [np.ones(3)], lambda Y, level: -Y
    for noise in ((), [np.ones(3)], [np.ones(3)] * 3):
        with refuses(ValueError, f"noise must have 2 arrays like .*, one for each column, got {len(noise)}"):
            nd.step(tableau, y, field, noise)
    assert np.isfinite(nd.step(tableau, y, field, [np.ones(3)] * 2)[0]).all()
