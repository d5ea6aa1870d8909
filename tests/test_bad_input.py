"""Every mistake of a caller is an error that names the argument, the value and the remedy."""

import math

import numpy as np
import pytest
import torch

import numdiff as nd

VP, FLOW = nd.schedules.VPLinear(), nd.schedules.Flow()
TIMES = [0.9, 0.7, 0.5, 0.3, 0.1]
SCHEME = nd.AdamsBashforth(2).discretize(VP, TIMES)
X = np.array([1.5, -0.25])


def model(x, t):
    return np.tanh(x) * (1 - t)


def refuses(error, message):
    return pytest.raises(error, match=message)


# --- grids ------------------------------------------------------------------------------------------------------------

GRIDS = [
    ([0.9, 0.5, 0.5, 0.1], ValueError, r"times must be strictly monotone, but t\[1\] = 0.5 and t\[2\] = 0.5; drop one"),
    ([0.9, 0.5, 0.6, 0.1], ValueError, r"times must be strictly monotone, but t\[1\] = 0.5 and t\[2\] = 0.6; drop one"),
    ([0.9], ValueError, "a grid needs at least two times, but has 1"),
    ([], ValueError, "a grid needs at least two times, but has 0"),
    ([0.9, math.nan, 0.1], ValueError, r"times must be finite, but t\[1\] = nan"),
    ([0.9, -math.inf], ValueError, r"times must be finite, but t\[1\] = -inf"),
    (
        [[0.9, 0.1], [0.5, 0.3]],
        TypeError,
        r"t\[0\] must be a float, a numpy array or a torch tensor of real numbers, not list",
    ),
    (np.array([[0.9, 0.1]]), ValueError, r"times must be one-dimensional, but have shape \(1, 2\)"),
    ("0.9, 0.1", TypeError, "a grid must be a sequence of times or levels, not str"),
    (0.9, TypeError, "a grid must be a sequence of times or levels, not float"),
    (["0.9", "0.1"], TypeError, r"t\[0\] must be a float, .*not str '0.9'"),
    ([True, False], TypeError, r"t\[0\] must be a number, not True"),
    ([VP.level(0.9), 0.5], TypeError, "a grid must be all times or all levels, not both"),
    (
        [VP.level(0.9), VP.level(0.9)],
        ValueError,
        r"log-SNRs must be strictly monotone, but log_snr\[0\] = .*; drop one",
    ),
]


@pytest.mark.parametrize(("grid", "error", "message"), GRIDS)
def test_grids(grid, error, message):
    with refuses(error, message):
        nd.DDIM().discretize(VP, grid)
    if not any(isinstance(entry, nd.Level) for entry in np.atleast_1d(np.array(grid, dtype=object)).ravel()):
        with refuses(error, message):
            nd.solve_ivp(nd.RK4(), lambda t, y: y, grid, 1.0)


def test_times_outside_the_schedule():
    with refuses(ValueError, r"t = 1.5 lies outside \[0.0, 1.0\], the range of the schedule"):
        nd.DDIM().discretize(VP, [1.5, 0.1])


# --- methods ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [0, -1, 9])
@pytest.mark.parametrize("build", [nd.AdamsBashforth, nd.PLMS, nd.DPMSolverPP, lambda k: nd.GHVB(k, 0.8)])
def test_orders_out_of_range(build, order):
    with refuses(ValueError, f"order must be between 1 and 8, got {order}"):
        build(order)


@pytest.mark.parametrize("order", [2.0, "2", None, True])
def test_orders_that_are_no_integers(order):
    with refuses(TypeError, f"order must be an int, got {order!r}; it counts evaluations"):
        nd.AdamsBashforth(order)


def test_orders_too_high_for_the_steps():
    with refuses(
        ValueError, "AB5 combines 5 evaluations and needs at least 5 steps, got 4; lower the order or take more"
    ):
        nd.AdamsBashforth(5).discretize(VP, TIMES)
    with refuses(
        ValueError, 'AB3 data/log-snr has too little history .* of 3 steps, so that start="exact" leaves nothing'
    ):
        nd.AdamsBashforth(3, "data/log-snr").discretize(FLOW, [1.0, 0.6, 0.3, 0.1], start="exact")


@pytest.mark.parametrize("beta", [0, -0.5, 2.1, math.nan, math.inf, np.float64(3.0), torch.tensor(0.0)], ids=str)
@pytest.mark.parametrize("build", [lambda beta: nd.GHVB(2, beta), lambda beta: nd.HeavyBall(nd.DDIM(), beta=beta)])
def test_beta_out_of_range(build, beta):
    with refuses(ValueError, r"beta must lie in \(0, 2\], got .*; beta = 1 is the method without momentum"):
        build(beta)


@pytest.mark.parametrize("beta", [None, "0.8", True, np.array([0.5, 0.6]), 1j], ids=repr)
def test_beta_that_is_no_number(beta):
    with refuses(TypeError, "beta must be one (real )?number or a SymPy symbol, got"):
        nd.Nesterov(nd.DDIM(), beta=beta)


def test_unknown_options_of_methods():
    with refuses(ValueError, "weights must be one of 'variable', 'uniform', got 'equal'"):
        nd.AdamsBashforth(2, weights="equal")
    with refuses(ValueError, "rule must be one of 'exact', 'half', 'bh1', '3m', '3m-heun', got 'midpoint'"):
        nd.DPMSolverPP(2, rule="midpoint")
    with refuses(ValueError, 'rule="half" is a two-point rule; use it with order=2, not order=3'):
        nd.DPMSolverPP(3, rule="half")
    with refuses(ValueError, "variant must be one of 'rho', 'log-rho', 'time', got 'lambda'"):
        nd.DEIS(2, "lambda")
    with refuses(ValueError, "unknown formulation 'noise'; did you mean 'noise/ratio'"):
        nd.GHVB(2, 0.8, "noise")


def test_unknown_options_of_discretize():
    with refuses(ValueError, "start must be one of 'lower', 'runge-kutta', 'exact', got 'heun'"):
        nd.DDIM().discretize(VP, TIMES, start="heun")
    with refuses(ValueError, "final must be one of None, 'limit', 'denoise', got 'zero'"):
        nd.DDIM().discretize(VP, TIMES, final="zero")
    with refuses(ValueError, r"orders must have one entry per step \(4\), got 3"):
        nd.AdamsBashforth(2).discretize(VP, TIMES, orders=[1, 2, 2])
    for bad in (0, 3, 2.0, True):
        with refuses(ValueError, rf"orders\[1\] must be an int from 1 to 2, got {bad!r}"):
            nd.AdamsBashforth(2).discretize(VP, TIMES, orders=[1, bad, 2, 2])


def test_formulations_that_a_schedule_does_not_have():
    table = nd.schedules.Discrete.ddpm_linear()
    with refuses(
        ValueError, "velocity/time needs d alpha/dt .* which schedule ddpm-linear does not have; choose noise/ratio"
    ):
        nd.FlowEuler().discretize(table, TIMES)
    with refuses(
        ValueError, "AB2 data/log-snr has no steady step on a geometric grid: its weights depend on h; use ratio=1"
    ):
        nd.DPMSolverPP(2).steady(ratio=2)


# --- running ----------------------------------------------------------------------------------------------------------


def test_grids_that_run_the_wrong_way():
    up = nd.DDIM().discretize(VP, TIMES[::-1])
    with refuses(
        ValueError, r"the grid runs from data to noise \(t = 0.1 to 0.9\); lay the method out from noise to data"
    ):
        nd.sample(up, model, X)
    times = torch.tensor(TIMES[::-1], requires_grad=True)
    with refuses(ValueError, "the grid runs from data to noise"):
        nd.sample(nd.DDIM().discretize(VP, times), model, torch.ones(2))


def test_schemes_of_the_other_kind():
    plain = nd.DDIM().discretize(None, TIMES)
    for run in (nd.sample, nd.invert):
        with refuses(ValueError, r"the scheme belongs to a plain ODE \(its schedule is None\); use solve_ivp"):
            run(plain, model, X)


@pytest.mark.parametrize(
    "x", [[1.0, 2.0], 1.0, np.array([1, 2]), np.array(["a"]), torch.tensor([1, 2]), None], ids=repr
)
def test_samples_that_are_no_floating_arrays(x):
    with refuses(TypeError, "the sample must start as a floating NumPy array or torch tensor, got .*; convert it"):
        nd.sample(SCHEME, model, x)


def test_exact_starts_without_the_exact_sample():
    scheme = nd.AdamsBashforth(2).discretize(VP, TIMES, start="exact")
    with refuses(ValueError, 'start="exact" needs exact=, a function that returns the exact sample'):
        nd.sample(scheme, model, X)
    with refuses(ValueError, 'start="exact" needs exact='):
        nd.solve_ivp(nd.AdamsBashforth(2), lambda t, y: y, [0, 1, 2], 1.0, start="exact")


def test_unknown_and_mismatched_predictions():
    with refuses(ValueError, "unknown prediction 'velocty'; did you mean 'velocity'"):
        nd.sample(SCHEME, model, X, prediction="velocty")
    table = nd.schedules.Discrete.ddpm_linear()
    with refuses(
        ValueError, "prediction 'velocity' needs d_alpha and d_sigma, which the level at t = 0.9 lacks .*; use 'noise'"
    ):
        nd.sample(nd.DDIM().discretize(table, TIMES), model, X, prediction="velocity")


# --- models -----------------------------------------------------------------------------------------------------------


def at_third_call(bad):
    """A model that goes wrong in its third evaluation, at t = 0.5."""
    calls = []

    def broken(x, t):
        calls.append(t)
        return bad(x) if len(calls) == 3 else 0.5 * x

    return broken


def poisoned(value):
    def bad(x):
        out = 0 * x
        out[-1] = value
        return out

    return bad


MODELS = [
    (poisoned(math.nan), ValueError, "a value that is not finite"),
    (poisoned(math.inf), ValueError, "a value that is not finite"),
    (lambda x: x[:1], ValueError, r"shape \(1,\) .*; expected \(2,\), as the sample"),
    (lambda x: x[None], ValueError, r"shape \(1, 2\) .*; expected \(2,\), as the sample"),
    (
        lambda x: x.astype(np.float32) if isinstance(x, np.ndarray) else x.float(),
        TypeError,
        "dtype .*float32 .*float64",
    ),
    (lambda x: None, TypeError, "NoneType .*; expected"),
    (lambda x: (x,), TypeError, "tuple .*; expected"),
    (lambda x: 1.0, TypeError, "float .*; expected"),
    (lambda x: torch.ones(2, dtype=float) if isinstance(x, np.ndarray) else np.ones(2), TypeError, ".*; expected"),
]


@pytest.mark.parametrize(("bad", "error", "message"), MODELS)
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_models_that_return_something_else(bad, error, message, library):
    x = X.copy() if library == "numpy" else torch.from_numpy(X.copy())
    with refuses(error, "the model returned " + message) as caught:
        nd.sample(SCHEME, at_third_call(bad), x)
    assert "at evaluation 3, step 3 (model time 0.5)" in str(caught.value)


def test_the_evaluation_is_counted_within_steps_of_several_stages():
    scheme = nd.Heun().discretize(VP, TIMES)
    with refuses(ValueError, r"a value that is not finite at evaluation 3, step 2 \(model time 0.7\)"):
        nd.sample(scheme, at_third_call(poisoned(math.nan)), X)


def test_large_finite_values_are_not_mistaken_for_infinite_ones():
    """The check looks at a sum first, which may overflow where no entry does."""
    huge = torch.full((4,), 1e308, dtype=torch.float64)
    found = nd.sample(nd.DDIM().discretize(VP, [0.5, 0.49]), lambda x, t: huge, 0 * huge)
    assert torch.isfinite(found).all()
    half = torch.full((4096,), 6e4, dtype=torch.float16)
    assert torch.isfinite(nd.sample(nd.DDIM().discretize(VP, [0.5, 0.49]), lambda x, t: half, 0 * half)).all()


def test_right_sides_that_return_something_else():
    with refuses(ValueError, r"fun returned shape \(1,\) at .* step 1 \(t = 0.0\); expected \(2,\), as y0"):
        nd.solve_ivp(nd.RK4(), lambda t, y: [1.0], [0, 1], [1.0, 2.0])
    with refuses(ValueError, "fun returned a value that is not finite at evaluation 1, step 1"):
        nd.solve_ivp(nd.RK4(), lambda t, y: [math.nan, 1.0], [0, 1], [1.0, 2.0])
    with refuses(TypeError, "y0 must start as a floating NumPy array or torch tensor"):
        nd.solve_ivp(nd.RK4(), lambda t, y: y, [0, 1], "one")
