"""Observed orders on nonlinear, non-autonomous problems and grids that are rough at every scale.

A grid repeats a pattern of steps with ratios up to 2, so that refining it never makes it smooth. The error of order p
falls by 2^p when the pattern is repeated twice as often; a wrong weight costs a whole order. At the numbers of steps
used the slope is within 0.2 of its limit on all of these problems, except where a velocity filter of small beta (memory
1/beta steps) still matters: TOLERANCE sits between that and 1.
"""

import functools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import numdiff as nd
from numdiff.formulations import FORMULATIONS
from tests.peers import MIXTURE

TOLERANCE = 0.35
ODES = nd.problems.odes()
SCHEDULE = nd.schedules.VPLinear()
START, END = 0.7, 0.25  # sigma/alpha from 12 to 1
X = MIXTURE.sample_level(16, SCHEDULE.level(START), 1)
patterns = st.lists(st.floats(1.0, 2.0), min_size=2, max_size=6)
betas = st.floats(0.2, 1.0)
starts = st.sampled_from(["exact", "runge-kutta"])
every_formulation = pytest.mark.parametrize("formulation", FORMULATIONS.values(), ids=FORMULATIONS.keys())


def rough(pattern, steps, first, last):
    s = np.cumsum([0.0, *np.tile(pattern, max(1, steps // len(pattern)))])
    return first + (last - first) * s / s[-1]


def slope(error, pattern, steps, first, last):
    coarse, fine = (error(rough(pattern, n, first, last)) for n in (steps, 2 * steps))
    return np.log2(coarse / fine)


def ode_error(method, name, start="exact"):
    problem, exact = ODES[name], ODES[name].exact if start == "exact" else None

    def error(grid):
        path = nd.solve_ivp(method, problem.fun, grid, problem.y0, start=start, exact=exact, trajectory=True)
        return np.abs(np.array(path).T - problem.exact(grid)).max()  # over the run: an end may pass through zero error

    return error


@functools.cache
def exact_flow(time):
    return MIXTURE.flow(SCHEDULE, X, START, time).x


def mixture_error(method, start="exact", prediction="noise"):
    model, exact = MIXTURE.model(SCHEDULE, prediction), exact_flow(END)

    def error(grid):
        scheme = method.discretize(SCHEDULE, grid, start=start)
        at = (lambda level: exact_flow(level.time)) if start == "exact" else None
        return np.sqrt(np.mean((nd.sample(scheme, model, X, prediction=prediction, exact=at) - exact) ** 2))

    return error


# --- claimed orders ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", range(1, 7))
@settings(max_examples=4)
@given(patterns, starts, st.sampled_from(["reciprocal", "bernoulli"]))
@example([1.0, 2.0], "exact", "reciprocal")
def test_adams_bashforth_keeps_its_order_on_odes(k, pattern, start, name):
    found = slope(ode_error(nd.AdamsBashforth(k), name, start), pattern, 96, *ODES[name].t_span)
    assert found > k - TOLERANCE


@pytest.mark.parametrize("k", range(1, 6))
@settings(max_examples=4)
@given(patterns, betas, starts, st.sampled_from(["reciprocal", "bernoulli"]))
@example([1.0, 2.0], 0.8, "exact", "reciprocal")
@example([1.0, 2.0], 0.2, "exact", "bernoulli")
def test_ghvb_keeps_its_order_on_odes(k, pattern, beta, start, name):
    found = slope(ode_error(nd.GHVB(k, beta), name, start), pattern, 144, *ODES[name].t_span)
    assert found > k - TOLERANCE


@every_formulation
@settings(max_examples=5)
@given(st.integers(2, 4), patterns, starts)
@example(3, [1.0, 2.0], "exact")
def test_adams_bashforth_keeps_its_order_on_a_diffusion(formulation, k, pattern, start):
    found = slope(mixture_error(nd.AdamsBashforth(k, formulation), start), pattern, 48, START, END)
    assert found > k - TOLERANCE


@every_formulation
@settings(max_examples=5)
@given(st.integers(2, 4), st.floats(0.3, 1.0), patterns, starts)
@example(3, 0.5, [1.0, 2.0], "exact")
def test_ghvb_keeps_its_order_on_a_diffusion(formulation, k, beta, pattern, start):
    found = slope(mixture_error(nd.GHVB(k, beta, formulation), start), pattern, 72, START, END)
    assert found > k - TOLERANCE


@settings(max_examples=5)
@given(patterns, st.sampled_from([nd.DPMSolverPP(2, rule="half"), nd.DPMSolver(2, rule="half")]))
def test_the_half_rule_has_order_two(pattern, method):
    assert slope(mixture_error(method), pattern, 48, START, END) > 2 - TOLERANCE


METHODS_OF_ORDER_ONE = [
    nd.HeavyBall(nd.AdamsBashforth(1), beta=1.9),
    nd.HeavyBall(nd.AdamsBashforth(2), beta=0.5),
    nd.HeavyBall(nd.AdamsBashforth(2), beta=1.4),
    nd.HeavyBall(nd.AdamsBashforth(4), beta=0.8),
    nd.HeavyBall(nd.GHVB(2, 0.7), beta=0.8),
    nd.Nesterov(nd.AdamsBashforth(2), beta=0.5),
    nd.Nesterov(nd.AdamsBashforth(1), beta=1.5),
]


@pytest.mark.parametrize("method", METHODS_OF_ORDER_ONE, ids=str)
@settings(max_examples=2)
@given(patterns)
def test_heavy_ball_and_nesterov_have_order_one_and_no_more(method, pattern):
    assert method.order == 1
    assert abs(slope(ode_error(method, "bernoulli"), pattern, 64, *ODES["bernoulli"].t_span) - 1) < TOLERANCE
    assert abs(slope(mixture_error(method), pattern, 64, START, END) - 1) < TOLERANCE


@pytest.mark.parametrize("formulation", [nd.NOISE_RATIO, nd.DATA_RATIO, nd.VELOCITY_TIME], ids=lambda f: f.name)
@pytest.mark.parametrize("family", [nd.Heun, nd.Midpoint, nd.Ralston, nd.Kutta3, nd.RK4])
def test_runge_kutta_methods_keep_their_order_on_a_diffusion(family, formulation):
    method = family(formulation)
    assert slope(mixture_error(method), [1.0, 2.0, 1.3], 24, START, END) > method.order - TOLERANCE


# --- what limits it ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [nd.AdamsBashforth(3), nd.AdamsBashforth(5), nd.GHVB(3, 0.8)], ids=str)
def test_a_start_of_lower_order_leaves_order_two(method):
    found = slope(ode_error(method, "reciprocal", "lower"), [1.0, 2.0], 192, *ODES["reciprocal"].t_span)
    assert abs(found - 2) < TOLERANCE


@pytest.mark.parametrize(
    "method", [nd.AdamsBashforth(3, weights="uniform"), nd.GHVB(3, 0.8, weights="uniform")], ids=["PLMS", "GHVB"]
)
def test_published_weights_fall_to_order_two_on_smooth_grids_and_one_on_rough_ones(method):
    smooth = lambda n: SCHEDULE.time(np.linspace(SCHEDULE.log_snr(START), SCHEDULE.log_snr(END), n + 1))  # noqa: E731
    error = mixture_error(method, "runge-kutta")
    for grid, order in ((smooth, 2), (lambda n: rough([1.0, 2.0], n, START, END), 1)):
        coarse, fine = error(grid(192)), error(grid(384))
        assert abs(np.log2(coarse / fine) - order) < TOLERANCE


def test_published_ghvb_weights_keep_order_two_from_the_first_velocity():
    """v_0 = f_0 is no steady velocity: even on equal steps and with exact starts order 3 is out of reach."""
    method, span = nd.GHVB(3, 0.5, weights="uniform"), ODES["bernoulli"].t_span
    assert abs(slope(ode_error(method, "bernoulli"), [1.0], 192, *span) - 2) < TOLERANCE
    assert slope(ode_error(nd.GHVB(3, 0.5), "bernoulli"), [1.0], 192, *span) > 3 - TOLERANCE


# --- orders= ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", [nd.AdamsBashforth, lambda k: nd.GHVB(k, 0.7)], ids=["AB", "GHVB"])
def test_orders_lower_single_steps(family):
    grid = np.linspace(0.9, 0.1, 7)
    lowered = family(3).discretize(SCHEDULE, grid, orders=np.array([1, 2, 3, 3, 2, 1]))
    for n, k in ((2, 3), (4, 2), (5, 1)):
        # the filter of an order-3 method knows more moments than that of order k, and these agree
        plain = family(k).discretize(SCHEDULE, grid).tableaus[n]
        np.testing.assert_allclose(lowered.tableaus[n].B[0], plain.B[0], rtol=1e-13)
        width = min(len(plain.V[0]), len(lowered.tableaus[n].V[0]))
        np.testing.assert_allclose(lowered.tableaus[n].V[0][:width], plain.V[0][:width], rtol=1e-13)
    assert lowered.nfe == 6


def test_exact_starts_cover_every_step_that_lacks_history():
    """orders may rise late: the sample is held until the last step that lacks history, not the first that has it."""
    method, grid = nd.AdamsBashforth(3), np.linspace(START, END, 65)
    scheme = method.discretize(SCHEDULE, grid, start="exact", orders=[1, *[3] * 63])
    assert scheme.exact_starts == 2
    found = nd.sample(scheme, MIXTURE.model(SCHEDULE), X, exact=lambda level: exact_flow(level.time))
    plain = nd.sample(
        method.discretize(SCHEDULE, grid, start="exact"),
        MIXTURE.model(SCHEDULE),
        X,
        exact=lambda level: exact_flow(level.time),
    )
    np.testing.assert_array_equal(found, plain)
