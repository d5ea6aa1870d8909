"""Certified orders and error constants against published values, and against what a step does to known solutions."""

from fractions import Fraction

import mpmath
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import numdiff as nd
from numdiff.symbolic.multistep import taylor
from numdiff.symbolic.phi import phi
from numdiff.symbolic.polynomials import multistep_pair
from numdiff.symbolic.steady import H

BETA = sp.Symbol("beta")
GAMMA = [1, "1/2", "5/12", "3/8", "251/720", "95/288", "19087/60480", "5257/17280", "1070017/3628800"]
GAMMA = [sp.Rational(g) for g in GAMMA]


@pytest.mark.parametrize("name", nd.methods())
def test_every_registered_method_has_the_order_it_claims(name):
    method = nd.methods()[name]
    assert nd.order.certified(method) == method.order


def test_gamma_series():
    # -t / ((1-t) ln(1-t)) = sum gamma_j t^j
    t = sp.Symbol("t")
    series = sp.series(-t / ((1 - t) * sp.log(1 - t)), t, 0, 5).removeO()
    assert [series.coeff(t, j) for j in range(5)] == GAMMA[:5]


@pytest.mark.parametrize("k", range(1, 9))
def test_adams_error_constants(k):
    assert nd.order.error_constant(nd.AdamsBashforth(k)) == GAMMA[k]


@pytest.mark.parametrize("k", range(1, 6))
def test_momentum_error_constants(k):
    lag = (1 - BETA) / BETA
    heavy = nd.order.error_constant(nd.HeavyBall(nd.AdamsBashforth(k), beta=BETA))
    assert sp.cancel(heavy - (lag if k > 1 else (2 - BETA) / (2 * BETA))) == 0
    method = nd.GHVB(k, BETA)
    assert nd.order.certified(method) == k
    assert sp.cancel(nd.order.error_constant(method) - GAMMA[k] - lag * GAMMA[k - 1]) == 0


def test_heavy_ball_loses_to_ddim_below_two_thirds():
    constant = nd.order.error_constant(nd.HeavyBall(nd.AdamsBashforth(2), beta=BETA))
    assert sp.solve(sp.Eq(constant, nd.order.error_constant(nd.DDIM())), BETA) == [sp.Rational(2, 3)]
    same = nd.HeavyBall(nd.AdamsBashforth(2), beta=Fraction(2, 3))
    assert nd.order.error_constant(same) == nd.order.error_constant(nd.DDIM()) == sp.Rational(1, 2)


@pytest.mark.parametrize("formulation", [nd.DATA_LOG_SNR, nd.NOISE_LOG_SNR])
@pytest.mark.parametrize("make", [nd.AdamsBashforth, lambda k, f: nd.GHVB(k, BETA, f)])
def test_exact_exponential_rules_have_the_constants_of_their_classical_limit(formulation, make):
    for k in (1, 2, 3):
        method, classical = make(k, formulation), make(k, nd.NOISE_RATIO)
        assert nd.order.certified(method) == k
        assert sp.cancel(nd.order.error_constant(method) - nd.order.error_constant(classical)) == 0


@pytest.mark.parametrize(("formulation", "c"), [(nd.DATA_LOG_SNR, -1), (nd.NOISE_LOG_SNR, 1)])
def test_half_rule_adds_a_lower_derivative(formulation, c):
    # it puts h^2 phi_1/2 for h^2 phi_2, and phi_2 - phi_1/2 = -c h/12 + O(h^2)
    method, D = nd.AdamsBashforth(2, formulation, rule="half"), sp.Symbol("D")
    assert nd.order.certified(method) == 2
    assert sp.expand(nd.order.error_constant(method) - sp.Rational(5, 12) * D**2 + c * D / 12) == 0


def test_published_weights_keep_their_order_under_a_kernel():
    # the filter's fixed point meets the exponential moments, so that equal log-SNR steps are as good as equal steps
    for k in (1, 2, 3):
        assert nd.order.certified(nd.GHVB(k, BETA, nd.DATA_LOG_SNR, weights="uniform")) == k


@settings(max_examples=10)
@given(
    st.integers(1, 3),
    st.fractions(Fraction(1, 5), Fraction(39, 20), max_denominator=20),  # at 2 leapfrog has an order more
    st.sampled_from([-1, 1]),
    st.floats(-2, 2),
)
def test_residual_on_exponentials_is_what_the_constant_says(k, beta, c, w):
    # 60 digits of sum rho_i X(i h) - sum sigma_i f(i h) for f = e^{wu}, X = e^{wu}/(w - c), from the weights alone
    formulation = nd.DATA_LOG_SNR if c < 0 else nd.NOISE_LOG_SNR
    method = nd.GHVB(k, beta, formulation)
    rho, sigma = multistep_pair(method.steady())
    with mpmath.workdps(60):
        w = mpmath.mpf(w) + 4 * c  # well away from the resonance w = c
        step = mpmath.mpf(10) ** -8
        value = lambda x: mpmath.mpmathify(sp.N(sp.sympify(x).subs(H, sp.Float(step, 60)), 60))  # noqa: E731
        X = lambda i: mpmath.exp(w * i * step) / (w - c)  # noqa: E731
        residual = sum(value(rho.nth(i)) * X(i) for i in range(rho.degree() + 1))
        residual -= sum(value(sigma.nth(i)) * (w - c) * X(i) for i in range(sigma.degree() + 1))
        scale = sum(value(sigma.nth(i)) for i in range(sigma.degree() + 1)) / step
        constant = value(nd.order.error_constant(method))
        # relative error O(h) = 1e-8 times derivatives of size |w| <= 6
        assert abs(residual / scale / (step ** (k + 1) * w**k) / constant - 1) < 1e-5


def test_zero_stability():
    assert nd.order.is_zero_stable(nd.HeavyBall(nd.AdamsBashforth(2), beta=BETA))
    assert nd.order.is_zero_stable(nd.HeavyBall(nd.AdamsBashforth(2), beta=2))
    # x_{n+1} = -4 x_n + 5 x_{n-1} + h (4 f_n + 2 f_{n-1}): order 3 and worthless (Hairer, Norsett, Wanner I, III.3)
    U, B = [(1, 0, 0)], [(4,), (0,), (1,)]
    explosive = nd.Tableau(A=[(0,)], U=U, B=B, V=[(-4, 5, 2), (1, 0, 0), (0, 0, 0)])
    assert nd.order.error_constant(explosive) == sp.Rational(1, 36)  # C_4 = 1/6, sigma(1) = 6
    assert not nd.order.is_zero_stable(explosive)
    assert nd.order.certified(explosive) == 0


@pytest.mark.parametrize(
    ("root", "stable"), [(BETA - 1, True), (BETA, False), (3 - BETA, False), (1 - (BETA - 1) ** 2, False)]
)
def test_zero_stability_for_a_symbol_covers_all_of_its_range(root, stable):
    # rho = (zeta - 1)(zeta - root): |root| < 1 throughout (0, 2) or not
    tableau = nd.Tableau(A=[(0,)], U=[(1, 0)], B=[(1,), (0,)], V=[(1 + root, -root), (1, 0)])
    assert nd.order.is_zero_stable(tableau) == stable


def test_inconsistent_method():
    assert nd.order.certified(nd.Tableau(A=[(0,)], U=[(1,)], B=[(2,)], V=[(1,)])) == 0


def test_taylor_coefficients():
    expression = (1 + H) * sp.exp(-H) * phi(2, -H) / (phi(1, -H) * H) * H
    expected = sp.series(sp.expand_func(expression), H, 0, 5).removeO()
    assert taylor(expression, 5) == [expected.coeff(H, j) for j in range(5)]
    with pytest.raises(ValueError, match="pole"):
        taylor(1 / H, 3)


def test_what_cannot_be_certified_is_refused():
    floats = nd.AdamsBashforth(2).steady().to_float()
    with pytest.raises(ValueError, match="floating-point coefficients"):
        nd.order.certified(floats)
    two_fields = nd.Heun().steady().replace(tags=("a", "b"))
    with pytest.raises(ValueError, match="one field"):
        nd.order.certified(two_fields)
    with pytest.raises(ValueError, match="no multistep method"):
        nd.order.error_constant(nd.RK4())
    for beta in (sp.sqrt(2), sp.sqrt(BETA)):
        with pytest.raises(ValueError, match="use a Fraction nearby"):
            nd.order.certified(nd.GHVB(2, beta))
    with pytest.raises(TypeError, match="method must be a method such as"):
        nd.order.certified(lambda t, y: y)
