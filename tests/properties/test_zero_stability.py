"""Zero-stability in the damping and in the step ratio: theorems, and the step matrices of the executor."""

from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import numdiff as nd
from numdiff.properties.stability.zero import RATIO
from numdiff.symbolic.polynomials import ZETA
from numdiff.weights import lagrange, steady_filter

BETA = sp.Symbol("beta")
r = RATIO
MEMBERS = nd.methods()
FAMILIES = {
    "HB": lambda k: nd.HeavyBall(nd.AdamsBashforth(k), beta=BETA),
    "NT": lambda k: nd.Nesterov(nd.AdamsBashforth(k), beta=BETA),
    "GHVB": lambda k: nd.GHVB(k, BETA),
    "HB exponential": lambda k: nd.HeavyBall(nd.DPMSolverPP(k), beta=BETA),
    "GHVB exponential": lambda k: nd.GHVB(k, BETA, nd.formulations.DATA_LOG_SNR),
}


def bdf_rho(k):
    """rho of the variable-step BDF formula: the derivative of the interpolant at the new node, geometric steps."""
    nodes, gap = [sp.Integer(0)], sp.Integer(1)
    for _ in range(k):
        nodes.append(nodes[-1] - gap)
        gap /= r
    slopes = [row[1] for row in lagrange(nodes)]
    return sp.Poly([sp.cancel(d / slopes[0]) for d in slopes], ZETA)


def sbdf2():
    """BDF2 with f extrapolated to the new node: x, the sample before it, and the evaluation before it."""
    rho = [-sp.cancel(c) for c in bdf_rho(2).all_coeffs()[1:]]
    weight = (1 + r) / (1 + 2 * r)  # of h f in x_{n+1} + ... = weight h f_{n+1}
    return nd.Tableau(
        A=[(0,)],
        U=[(1, 0, 0)],
        B=[(weight * (1 + r),), (0,), (1,)],
        V=[(*rho, -weight * r), (1, 0, 0), (0, 0, 0)],
    )


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("order", [1, 2, 3])
def test_momentum_is_zero_stable_up_to_two_and_weakly_there(family, order):
    found = nd.stability.zero_stability(FAMILIES[family](order))
    assert found.symbol == BETA
    assert found.stable == sp.Interval.Lopen(0, 2)
    assert found.weak == sp.FiniteSet(2)
    assert sp.rem(sp.Poly(found.rho, ZETA), sp.Poly((ZETA - 1) * (ZETA - 1 + BETA), ZETA)).is_zero


@pytest.mark.parametrize("name", MEMBERS)
def test_agrees_with_the_certificate_of_order_and_with_eigenvalues(name):
    method = MEMBERS[name]
    found = nd.stability.zero_stability(method)
    assert (found.stable is sp.S.Reals) == nd.order.is_zero_stable(method)
    V = np.array(method.steady(1e-9).V if method.kernel else method.steady().V, dtype=float)
    near = np.abs(np.abs(np.linalg.eigvals(V)) - 1) < 1e-6  # defective zeros of a register are far from the circle
    assert (found.weak is sp.S.Reals) == (near.sum() > 1)


def test_a_method_with_two_roots_on_the_circle_is_weak():
    assert nd.stability.zero_stability(nd.HeavyBall(nd.DDIM(), beta=2)).weak is sp.S.Reals
    assert nd.stability.zero_stability(nd.HeavyBall(nd.DDIM(), beta=Fraction(19, 10))).weak is sp.S.EmptySet


@pytest.mark.parametrize("family", FAMILIES)
def test_momentum_is_zero_stable_on_any_steps(family):
    found = nd.stability.largest_safe_ratio(FAMILIES[family](3))
    assert found.ratio is sp.oo
    assert "does not depend on the step ratio" in found.reason


@pytest.mark.parametrize("name", ["AB3", "GHVB3(4/5)", "HB(AB4, 4/5)"])
def test_products_of_step_matrices_stay_bounded_on_rough_grids(name):
    # on x' = 0 nothing may grow, whatever the steps; in units of the steps themselves
    rng = np.random.default_rng(1)
    times = np.concatenate([[0], np.cumsum(np.exp(rng.uniform(-1, 1, 60)))])
    program = list(MEMBERS[name].discretize(None, times))[8:]
    product = np.eye(program[0].registers)
    for tableau in program:
        product = np.array(tableau.V, dtype=float) @ product
        assert np.abs(product).max() < 1 + 10 * times[-1]


def test_variable_step_bdf():
    # Grigorieff (1983); Hairer, Norsett, Wanner III.5, for geometric grids
    assert nd.stability.largest_safe_ratio(bdf_rho(2)).ratio == 1 + sp.sqrt(2)
    assert sp.expand(nd.stability.largest_safe_ratio(bdf_rho(3)).ratio - (1 + sp.sqrt(5)) / 2) == 0


def test_extrapolated_bdf2_has_the_same_bound():
    # same rho, explicit: a tableau that runs
    found = nd.stability.largest_safe_ratio(sbdf2())
    assert found.ratio == 1 + sp.sqrt(2)
    assert "not zero-stable" in found.reason  # a double root at 1
    for ratio, bounded in ((2.41, True), (2.42, False)):
        V = np.array(sp.Matrix(sbdf2().V).subs(r, ratio).tolist(), dtype=float)
        assert (np.abs(np.linalg.matrix_power(V, 4000)).max() < 1e4) == bounded


def test_sets_of_the_ratio_have_exact_ends():
    stable = nd.stability.zero_stability(bdf_rho(2)).stable
    assert sp.Interval.open(1 - sp.sqrt(2), 1 + sp.sqrt(2)) in stable.args


def test_methods_that_no_ratio_saves():
    doubled = sp.Poly((ZETA - 1) * (ZETA - 2), ZETA)
    assert nd.stability.largest_safe_ratio(doubled).ratio == 0
    assert nd.stability.largest_safe_ratio(sp.Poly((ZETA - 1) * (ZETA - 1 - r), ZETA)).ratio == 0
    assert nd.stability.zero_stability(doubled).stable is sp.S.EmptySet


@settings(max_examples=8)
@given(st.integers(2, 6), st.fractions(Fraction(1, 10), Fraction(19, 10), max_denominator=20))
def test_the_filter_settles_just_above_its_ratio_and_not_below(order, beta):
    bound = nd.stability.largest_safe_ratio(nd.GHVB(order, beta)).filter
    if bound == 0:
        return
    steady_filter(float(beta), order, float(bound) * (1 + 1e-9))
    with pytest.raises(ValueError, match="no steady state"):
        steady_filter(float(beta), order, float(bound) * (1 - 1e-9))


def test_the_filter_ratio_is_the_largest_pole_of_its_moments():
    ratio = sp.Symbol("ratio", positive=True)
    for order in (2, 3, 4):
        poles = sp.denom(sp.together(steady_filter(BETA, order, ratio)[-1]))
        bound = nd.stability.largest_safe_ratio(nd.GHVB(order, BETA)).filter
        b = Fraction(1, 3)
        roots = sp.Poly(poles.subs(BETA, sp.Rational(1, 3)), ratio).nroots(n=30)
        largest = max(x for x in roots if x.is_real)
        assert abs(largest - bound.subs(BETA, sp.Rational(b))) < 1e-20
    assert nd.stability.largest_safe_ratio(nd.HeavyBall(nd.AdamsBashforth(3), beta=BETA)).filter is None


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda s: s.zero_stability(sp.Poly(ZETA - BETA * r, ZETA)), ValueError, "one symbol"),
        (lambda s: s.zero_stability("AB2"), TypeError, "method must be a method such as"),
        (lambda s: s.zero_stability(sp.Poly(ZETA - sp.pi, ZETA)), ValueError, "rational coefficients"),
        (lambda s: s.largest_safe_ratio(sp.Poly(ZETA - BETA * r, ZETA)), ValueError, "one symbol"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call(nd.stability)
