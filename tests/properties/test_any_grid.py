"""Orders on any grid: theorems, limits on equal steps, and what is no multistep method."""

from fractions import Fraction
from math import factorial

import pytest
import sympy as sp

import numdiff as nd
from numdiff.properties.order.grids import D, J
from numdiff.symbolic.trees import density
from numdiff.symbolic.variable_order import step_ratios
from numdiff.weights import steady_filter
from tests import zoo

BETA = sp.Symbol("beta")
ADAMS = [nd.AdamsBashforth(k) for k in (1, 2, 3, 4)]
LOG_SNR = [nd.NOISE_LOG_SNR, nd.DATA_LOG_SNR]
SLOW = "GHVB5(4/5)"  # half a minute; k = 5 is as k = 4
REGISTERED = {name: method for name, method in nd.methods().items() if name != SLOW and "bh1" not in name}


def on_equal_steps(expression):
    return expression.subs(dict.fromkeys(step_ratios(6), 1))


@pytest.mark.parametrize("name", zoo.by_weight(REGISTERED))
def test_every_registered_method_has_its_order_on_any_grid_unless_weights_are_for_equal_steps(name):
    method = REGISTERED[name]
    found = nd.order.any_grid(method)
    assert found.equal_order == nd.order.certified(method)
    published = "uniform" in name and method.points > 1
    assert found.order == (1 if published else method.order)
    assert found.smooth_order == min(found.equal_order, found.order + 1)
    assert found.residual != 0


@pytest.mark.parametrize(
    "method",
    [m for k in (1, 2, 3) for m in [nd.AdamsBashforth(k), *(nd.AdamsBashforth(k, f) for f in LOG_SNR)]]
    + [nd.AdamsBashforth(4), nd.DPMSolverPP(2, rule="half")],
    ids=str,
)
def test_adams_residuals_are_the_error_constant_on_equal_steps(method):
    difference = on_equal_steps(nd.order.any_grid(method).residual) - nd.order.error_constant(method)
    assert sp.expand(difference) == 0


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_ghvb_residuals_are_the_error_constant_at_the_fixed_point_of_the_filter(k):
    M = steady_filter(BETA, k + 1)
    fixed = {sp.Symbol(f"M_{m}"): M[m] for m in range(1, k + 1)}
    residual = on_equal_steps(nd.order.any_grid(nd.GHVB(k, BETA)).residual).subs(fixed)
    assert sp.cancel(residual - nd.order.error_constant(nd.GHVB(k, BETA))) == 0


@pytest.mark.parametrize("make", [nd.HeavyBall, nd.Nesterov])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_momentum_residuals_are_the_error_constant_at_the_fixed_point(make, k):
    # the mix makes p of u (1/2 from two points on), and M = (1-beta) M + beta p - 1 about the next node
    method = make(nd.AdamsBashforth(k), beta=BETA)
    p = sp.Rational(1, 2) if k > 1 else sp.Integer(0)
    residual = nd.order.any_grid(method).residual.subs(sp.Symbol("M_1"), (BETA * p - 1) / BETA)
    assert sp.cancel(residual - nd.order.error_constant(method)) == 0


def test_adams_of_two_points():
    # variable-step AB2: local error h^3 f'' (1/6 + 1/(4 r)), Hairer, Norsett, Wanner III.5
    (r,) = step_ratios(1)
    assert sp.cancel(nd.order.any_grid(nd.AdamsBashforth(2)).residual - sp.Rational(1, 6) - 1 / (4 * r)) == 0


@pytest.mark.parametrize("make", [nd.PLMS, lambda k: nd.AdamsBashforth(k, nd.DATA_LOG_SNR, weights="uniform")])
@pytest.mark.parametrize("k", [2, 3, 4])
def test_equal_step_weights_have_order_one_and_two_on_smooth_grids(make, k):
    found = nd.order.any_grid(make(k))
    assert (found.order, found.smooth_order, found.equal_order) == (1, 2, k)
    assert on_equal_steps(found.residual) == 0


def test_equal_step_ghvb():
    found = nd.order.any_grid(nd.GHVB(3, BETA, weights="uniform"))
    assert (found.order, found.smooth_order, found.equal_order) == (1, 2, 3)
    fixed = {sp.Symbol("M_1"): steady_filter(BETA, 2)[1]}
    assert sp.cancel(on_equal_steps(found.residual).subs(fixed)) == 0


def test_equal_step_adams_of_two_points_misses_what_the_ratio_changes():
    (r,) = step_ratios(1)
    assert sp.cancel(nd.order.any_grid(nd.PLMS(2)).residual - (r - 1) / (2 * r)) == 0


def test_without_damping_velocities_are_evaluations():
    # beta = 1: the oldest velocity is f at its node, M_m = 0 for m > 0
    past = {sp.Symbol(f"M_{m}"): 0 for m in (1, 2, 3)}
    residual = nd.order.any_grid(nd.GHVB(3, 1)).residual.subs(past)
    assert sp.cancel(residual - nd.order.any_grid(nd.AdamsBashforth(3)).residual) == 0


def test_leapfrog_owes_its_order_to_equal_steps():
    found = nd.order.any_grid(nd.HeavyBall(nd.AdamsBashforth(1), beta=2))
    assert (found.order, found.equal_order) == (1, 2)


def test_a_free_error_constant_is_the_same_on_every_grid():
    C = sp.Symbol("C")
    for order in (1, 2):
        method = nd.FilteredAdams(order, BETA, error=C)
        assert nd.order.any_grid(method).residual == C


def test_runge_kutta_sees_no_ratio():
    found = nd.order.any_grid(nd.RK4())
    assert (found.order, found.equal_order) == (4, 4)
    assert sp.expand(found.residual - nd.order.leading_error(nd.RK4()).expression) == 0


def test_proof():
    proof = {line.name: line for line in nd.order.any_grid(nd.GHVB(2, BETA)).proof}
    assert [*proof] == ["M_m", "M_0", "R_0", "R_1", "R_2/h"]
    assert proof["M_m"].value is None
    assert proof["R_1"].value == 0
    exponential = {line.name: line.value for line in nd.order.any_grid(nd.DPMSolverPP(1)).proof}
    h = sp.Symbol("h", positive=True)
    assert exponential["R_1"] == h * nd.symbolic.phi.phi(2, -h)
    assert exponential["R_1/h"] == sp.Rational(1, 2)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_predictor_correctors_on_equal_steps(k):
    # C D^p + J C~ D^{p-1}: C x^{(p+1)} sits on every tree, f' C~ x^{(p)} on the trees [u] of the method's B-series
    method = nd.PredictorCorrector(k)
    found, error = nd.order.any_grid(method), nd.order.leading_error(method)
    assert found.order == error.order == k + 1
    residual = sp.expand(on_equal_steps(found.residual))
    C, passed_on = residual.coeff(J, 0).coeff(D, k + 1), residual.coeff(J, 1).coeff(D, k)
    assert passed_on == nd.order.error_constant(nd.AdamsBashforth(k))
    for tree, value in error.coefficients:
        expected = C * sp.Rational(factorial(k + 2), density(tree))
        if len(tree) == 1:
            expected += passed_on * sp.Rational(factorial(k + 1), density(tree[0]))
        assert value == expected


def test_short_cuts_of_unipc_keep_the_order():
    found = nd.order.any_grid(nd.UniPC(2, rule="bh2"))
    assert found.order == found.equal_order == 3
    with pytest.raises(ValueError, match="no functions of the moments"):
        nd.order.any_grid(nd.UniPC(2, rule="bh1"))


class Other(nd.AdamsBashforth):
    """Has a memory that nobody has described."""


class Odd:
    """Can be laid out on a grid, and that is all."""

    discretize = print


def test_refusals():
    with pytest.raises(ValueError, match="neither a multistep"):
        nd.order.any_grid(Odd())
    with pytest.raises(ValueError, match="not known to keep"):
        nd.order.any_grid(Other(2))
    for method in (nd.GHVB(2, sp.sqrt(2) / 2), nd.PredictorCorrector(2, beta=sp.sqrt(2) / 2)):
        with pytest.raises(ValueError, match="no rational function"):
            nd.order.any_grid(method)
    for wrong in (nd.GHVB, "AB2", nd.AdamsBashforth(2).steady()):
        with pytest.raises(TypeError, match="instance of a method"):
            nd.order.any_grid(wrong)


def test_floats_are_read_as_decimals():
    assert nd.order.any_grid(nd.GHVB(2, 0.8)) == nd.order.any_grid(nd.GHVB(2, Fraction(4, 5)))
