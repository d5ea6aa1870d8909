"""The stability polynomial against other ways to the same polynomial."""

from fractions import Fraction
from time import perf_counter

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

import numdiff as nd
from numdiff.symbolic.polynomials import (
    ZETA,
    Z,
    multistep_pair,
    parameters,
    stability_polynomial,
    step_matrix,
    to_sympy,
)
from numdiff.symbolic.steady import H, exact_method, steady

BETA = sp.Symbol("beta")
MEMBERS = {name: m for name, m in nd.methods().items() if m.kernel == 0}


@pytest.mark.parametrize("order", range(1, 6))
def test_adams_pairs_are_nodepys(order):
    from nodepy import linear_multistep_method as reference

    rho, sigma = multistep_pair(nd.AdamsBashforth(order).steady())
    theirs = reference.Adams_Bashforth(order)
    assert [sp.Rational(c) for c in theirs.alpha] == rho.all_coeffs()[::-1]
    assert [sp.Rational(c) for c in theirs.beta][:order] == [sigma.nth(i) for i in range(order)]


@pytest.mark.parametrize("name", MEMBERS)
def test_step_matrix_has_the_polynomials_roots(name):
    # eigenvalues of V + z B (I - z A)^-1 U, computed in floating point without any of the symbolic code
    tableau = MEMBERS[name].steady()
    A, U, B, V = (np.array(getattr(tableau, n), dtype=float).reshape(shape) for n, shape in _shapes(tableau).items())
    pi = stability_polynomial(tableau)
    for z in (-0.3 + 0.2j, 0.1 - 1.1j):
        M = V + z * B @ np.linalg.solve(np.eye(len(A)) - z * A, U)
        characteristic = np.poly(M)
        ours = [complex(c) for c in sp.Poly(pi.as_expr().subs(Z, z), ZETA).all_coeffs()]
        ours += [0] * (len(characteristic) - len(ours))  # the removed zeta^m
        # np.poly multiplies out the eigenvalues: a few hundred roundings of coefficients of size up to 30
        np.testing.assert_allclose(characteristic, ours, atol=1e-11)


def _shapes(tableau):
    s, r = tableau.stages, tableau.registers
    return {"A": (s, s), "U": (s, r), "B": (r, s), "V": (r, r)}


@pytest.mark.parametrize("make", [lambda k: nd.GHVB(k, BETA), lambda k: nd.HeavyBall(nd.AdamsBashforth(k), beta=BETA)])
def test_momentum_as_published(make):
    # (1-E)(1-(1-beta)E) x_{n+1} = d beta (sum_i w_i E^i) E f_{n+1}, with the method's own weights w_i
    for k in range(1, 6):
        method = make(k)
        weights = [to_sympy(w) for w in method.coefficients()]
        pi = stability_polynomial(method.steady())
        E = 1 / ZETA
        operator = (1 - E) * (1 - (1 - BETA) * E) - Z * BETA * sum(w * E ** (i + 1) for i, w in enumerate(weights))
        assert sp.cancel(operator * ZETA ** pi.degree(ZETA) - pi.as_expr()) == 0


def test_nesterov_as_published():
    for k in range(1, 5):
        method = nd.Nesterov(nd.AdamsBashforth(k), beta=BETA)
        pi, E = stability_polynomial(method.steady()), 1 / ZETA
        mix = sum(to_sympy(a) * E ** (i + 1) for i, a in enumerate(nd.AdamsBashforth(k).coefficients()))
        operator = (1 - E) * (1 - (1 - BETA) * E) - Z * (BETA * (2 - BETA) - BETA * (1 - BETA) * E) * mix
        assert sp.cancel(operator * ZETA ** pi.degree(ZETA) - pi.as_expr()) == 0


def test_half_rule_with_heavy_ball_as_derived_by_hand():
    # P(r) = (r - e^-h)(r-1+beta) - (1-e^-h) beta kappa (3r-1)/2
    method = nd.HeavyBall(nd.DPMSolverPP(2, rule="half"), beta=BETA)
    pi = sp.expand_func(stability_polynomial(method.steady()).as_expr())
    q = sp.exp(-H)
    assert sp.simplify(pi - ((ZETA - q) * (ZETA - 1 + BETA) - (1 - q) * BETA * Z * (3 * ZETA - 1) / 2)) == 0


def test_pole_cancels_zero():
    pi = stability_polynomial(nd.HeavyBall(nd.AdamsBashforth(2), beta=Fraction(2, 3)).steady())
    assert sp.factor(pi.as_expr()) == sp.factor((ZETA - sp.Rational(1, 3)) * (ZETA - 1 - Z))


@given(st.integers(1, 4), st.fractions(Fraction(1, 50), 2, max_denominator=50))
def test_symbols_may_be_filled_in_before_or_after(order, beta):
    symbolic = stability_polynomial(nd.GHVB(order, BETA).steady()).as_expr().subs(BETA, to_sympy(beta))
    filled = stability_polynomial(nd.GHVB(order, beta).steady()).as_expr()
    idle = ZETA if (order, beta) == (1, 1) else 1  # v is f itself, and its register is read by nothing: a root 0 more
    assert sp.expand(symbolic - idle * filled) == 0


def test_runge_kutta_is_the_truncated_exponential():
    pi = stability_polynomial(nd.RK4().steady())
    assert pi.as_expr() == ZETA - sum(Z**k / sp.factorial(k) for k in range(5))
    with pytest.raises(ValueError, match="degree 4 in z"):
        multistep_pair(nd.RK4().steady())


def test_irrational_entries_stay_exact():
    root = sp.sqrt(2)
    gill = nd.Tableau(A=[(0, 0), (root, 0)], U=[(1,), (1,)], B=[(1 - root / 4, root / 4)], V=[(1,)])
    assert sp.expand(stability_polynomial(gill).as_expr() - (ZETA - 1 - Z - Z**2 / 2)) == 0


def test_field_of_exponential_methods_is_a_rational_function_field():
    # over such a field zero tests are exact, which they are not over SymPy's expressions ("EX")
    pi = stability_polynomial(nd.GHVB(3, BETA, nd.DATA_LOG_SNR).steady())
    assert pi.domain.is_FractionField
    assert parameters(pi) == (BETA, H)


def test_fast_at_order_five():
    method = nd.GHVB(5, BETA)
    tableau = method.steady()
    start = perf_counter()
    stability_polynomial(tableau)
    assert perf_counter() - start < 1.0  # 0.01 s when idle; a second is the promise


def test_no_stages():
    # the closing tableau of a predictor-corrector evaluates nothing
    step = nd.Tableau(A=[], U=[], B=[(), ()], V=[(1, 1), (0, 0)])
    assert step_matrix(step).shape == (2, 2)
    assert stability_polynomial(step).as_expr() == ZETA - 1


@pytest.mark.parametrize("entry", [float("nan"), np.array([1.0, 2.0]), "1"])
def test_entries_that_are_no_numbers(entry):
    with pytest.raises(TypeError, match="finite scalar"):
        to_sympy(entry)


# --- reading a method exactly ---


def test_float_damping_is_read_as_the_decimal_it_prints_as():
    assert exact_method(nd.GHVB(2, 0.8)) == nd.GHVB(2, Fraction(4, 5))
    nested = exact_method(nd.HeavyBall(nd.GHVB(2, 0.1), beta=np.float64(0.7)))
    assert nested == nd.HeavyBall(nd.GHVB(2, Fraction(1, 10)), beta=Fraction(7, 10))
    assert exact_method(nd.AdamsBashforth(2)) == nd.AdamsBashforth(2)
    assert exact_method(nd.GHVB(2, sp.Float("0.3"))) == nd.GHVB(2, Fraction(3, 10))


def test_damping_from_torch():
    torch = pytest.importorskip("torch")
    beta = torch.tensor(0.8, dtype=torch.float64)
    assert exact_method(nd.GHVB(2, beta)) == nd.GHVB(2, Fraction(4, 5))


def test_steady_refuses_what_is_no_method():
    with pytest.raises(TypeError, match=r"pass an instance, AdamsBashforth\(\.\.\.\)"):
        steady(nd.AdamsBashforth)
    with pytest.raises(TypeError, match=r"method must be a method such as nd.AdamsBashforth\(2\), got 3$"):
        steady(3)
    with pytest.raises(TypeError, match=r"got 'ab2'; nd.method\('ab2'\) makes one of a name$"):
        nd.stability.real_interval("ab2")
    assert nd.stability.real_interval(nd.method("ab2")) == nd.stability.real_interval(nd.AdamsBashforth(2))
    scheme = nd.GHVB(2, 0.8).discretize(nd.schedules.VPLinear(), [1.0, 0.5, 0.1])
    with pytest.raises(TypeError, match=r"got Scheme\(.*; pass scheme.method$"):
        nd.order.certified(scheme)
    assert nd.order.certified(scheme.method) == 2


@pytest.mark.parametrize(
    ("h", "error"),
    [("0.1", TypeError), (True, TypeError), (0, ValueError), (-0.1, ValueError), (float("nan"), ValueError)],
)
def test_steady_refuses_bad_steps(h, error):
    with pytest.raises(error, match="h must be"):
        steady(nd.DPMSolverPP(2), h)


def test_steady_refuses_a_step_length_that_changes_nothing():
    with pytest.raises(ValueError, match="drop h"):
        steady(nd.AdamsBashforth(2), 0.1)


def test_steady_fills_a_tableau_in():
    method = nd.DPMSolverPP(2)
    filled, direct = steady(method.steady(), Fraction(1, 10)), steady(method, 0.1)
    assert float(filled.B[0][0]) == pytest.approx(float(direct.B[0][0]), rel=1e-14)
