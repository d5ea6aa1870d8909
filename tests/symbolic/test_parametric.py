"""Certificates: signs on boxes, the root condition as inequalities, ends of intervals as formulas in h and beta."""

from fractions import Fraction
from functools import cache

import mpmath
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import numdiff as nd
from numdiff.symbolic.critical import X
from numdiff.symbolic.hurwitz import conditions
from numdiff.symbolic.parametric import BOUNDS, Parameters, Q, UncertifiedError, certified_end, lowered
from numdiff.symbolic.polynomials import ZETA, Z, stability_polynomial
from numdiff.symbolic.positivity import sign_on
from numdiff.symbolic.rootcondition import is_schur
from numdiff.symbolic.steady import H

BETA = sp.Symbol("beta")
x, y = sp.symbols("x y")
UNIT = {x: (0, 1), y: (0, 1)}
ALL = Parameters({BETA: (0, 2)})
HALF = nd.HeavyBall(nd.DPMSolverPP(2, rule="half"), beta=BETA)
RULES = {
    "half": HALF,
    "exact": nd.HeavyBall(nd.DPMSolverPP(2), beta=BETA),
    "third": nd.HeavyBall(nd.DPMSolverPP(3), beta=BETA),
    "ghvb2": nd.GHVB(2, BETA, nd.formulations.DATA_LOG_SNR),
    "ghvb3": nd.GHVB(3, BETA, nd.formulations.DATA_LOG_SNR),
}


@cache
def symbolic(rule):
    return end(RULES[rule])


def end(method, axis="real", parameters=ALL):
    return certified_end(stability_polynomial(method.steady()), axis, parameters)


# --- signs ---


@pytest.mark.parametrize(
    ("p", "box", "sign"),
    [
        (x**2 - x * y + y**2, {x: (-1, 1), y: (2, 3)}, 1),
        (-1 - x, {x: (0, sp.oo)}, -1),
        (x * y * (1 - x), UNIT, 1),  # zero on the boundary only
        ((x - sp.Rational(1, 3)) ** 2 + sp.Rational(1, 1000), {x: (0, 1)}, 1),  # needs cuts
        ((x - sp.Rational(1, 2)) ** 2, {x: (0, 1)}, 0),
        ((x - sp.Rational(1, 2)) ** 2 + (y - sp.Rational(1, 2)) ** 2, UNIT, 0),  # zero at one point
        (x - y, UNIT, 0),
        (sp.Integer(-3), UNIT, -1),
        (sp.Integer(0), UNIT, 0),
    ],
)
def test_signs(p, box, sign):
    assert sign_on(sp.Poly(p, *box), box) == sign


@settings(max_examples=40)
@given(st.lists(st.integers(-9, 9), min_size=9, max_size=9))
def test_a_certified_sign_is_the_sign_everywhere(coefficients):
    p = sp.Poly.from_dict({(i // 3, i % 3): c for i, c in enumerate(coefficients)}, x, y)
    grid = np.linspace(0.02, 0.98, 25)
    values = np.array(coefficients, dtype=float).reshape(3, 3)
    seen = np.polynomial.polynomial.polygrid2d(grid, grid, values)
    verdict = sign_on(p, UNIT)
    if verdict:
        assert (seen * verdict > 0).all()
    elif seen.min() > 0.5:  # clearly positive polynomials are certified by twelve cuts
        pytest.fail(f"no certificate for {p}")


def test_bad_boxes():
    with pytest.raises(ValueError, match="no side in the box"):
        sign_on(sp.Poly(x + y, x, y), {x: (0, 1)})
    with pytest.raises(ValueError, match="low < high"):
        sign_on(sp.Poly(x, x), {x: (1, 0)})


# --- inequalities ---


@settings(max_examples=60)
@given(st.lists(st.fractions(-2, 2, max_denominator=8), min_size=1, max_size=5))
def test_conditions_are_those_of_schur(low):
    pi = sp.Poly.from_dict({(i, 0): sp.Rational(c) for i, c in enumerate([*low, 1])}, ZETA, Z)
    signs = []
    for condition in conditions(pi, "real"):
        value = condition.constant * sp.prod([f.as_expr() ** k for f, k in condition.factors])
        signs.append((int(sp.sign(value)), condition.power))
    holds = all(sign == signs[0][0] ** power for sign, power in signs) and signs[0][0] != 0
    assert holds == is_schur([(Fraction(c), Fraction(0)) for c in [*low, 1]])


# --- the strip around h = -log q ---


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("effort", [0, 1])
def test_bounds_on_the_step_length_hold(effort, side):
    # both agree with -log q at q = 1, and the difference is monotone
    bound = 1 / BOUNDS[effort][side]
    assert bound.subs(Q, 1) == 0
    slope = sp.cancel(sp.diff(bound, Q) + 1 / Q)  # of bound - (-log q)
    numerator, denominator = (sp.Poly(part, Q) for part in sp.fraction(slope))
    assert sign_on(numerator, {Q: (0, 1)}) * sign_on(denominator, {Q: (0, 1)}) == (-1 if side == 0 else 1)


def test_lowering_keeps_the_value():
    pi = stability_polynomial(nd.GHVB(3, Fraction(4, 5), nd.formulations.NOISE_LOG_SNR).steady())
    low = lowered(pi)
    factor = None
    for h in (sp.Rational(1, 2), sp.Integer(2)):
        point = {H: h, Q: sp.exp(-h)}
        scale = sp.N(low.LC().subs(point), 30)
        for power, value in pi.as_dict().items():
            got = sp.N(low.as_dict()[power].subs(point), 40) / scale
            factor = abs(got - sp.N(value.subs(H, h), 40))
            assert factor < 1e-25


# --- formulas ---


def test_half_rule_with_heavy_ball_in_closed_form():
    T = (1 + Q) / (1 - Q)  # coth(h/2)
    assert sp.cancel(end(HALF) - (2 - BETA) / (2 * BETA) * T) == 0


@pytest.mark.parametrize("rule", ["half", "exact", "third"])
def test_heavy_ball_scales_the_interval_of_any_base(rule):
    # the velocity's filter is 1 at zeta = 1 and beta/(2 - beta) at zeta = -1, where the interval ends
    base = RULES[rule].base
    alone = end(base, parameters=Parameters({}))
    assert sp.cancel(end(RULES[rule]) - (2 - BETA) / BETA * alone) == 0


@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=6)
@given(st.fractions(Fraction(1, 10), Fraction(19, 10), max_denominator=30), st.floats(0.05, 4))
def test_formulas_against_roots_in_high_precision(rule, beta, h):
    formula = symbolic(rule).subs({BETA: sp.Rational(beta)})
    with mpmath.workdps(40):
        point = {H: sp.Float(h, 40), Q: sp.exp(-sp.Float(h, 40))}
        value = mpmath.mpf(formula.subs(point))
        low = lowered(stability_polynomial(RULES[rule].steady())).as_expr().subs({BETA: sp.Rational(beta)} | point)

        def radius(z):
            p = sp.Poly(low.subs(Z, z), ZETA)
            return max(
                abs(w) for w in mpmath.polyroots([mpmath.mpf(c) for c in p.all_coeffs()], maxsteps=500, extraprec=200)
            )

        assert all(radius(-value * s) < 1 for s in (0.01, 0.5, 1 - mpmath.mpf(10) ** -12))
        assert radius(-value * (1 + mpmath.mpf(10) ** -12)) > 1


def test_a_growing_kernel_has_no_interval():
    assert end(nd.DPMSolver(2), parameters=Parameters({})) == 0


def test_endless_intervals():
    # decays by itself, and z takes no part in the size of the root: zeta = q/(1 + X)
    p = sp.Poly(ZETA * (1 - Z) - sp.exp(-H), ZETA, Z)
    assert certified_end(p, "real", Parameters({})) is sp.oo


def test_a_given_step_length_is_enclosed():
    # Adams with four points at h = 3 loses stability by a pair of roots, which no rational formula describes
    pi = stability_polynomial(nd.DPMSolverPP(4).steady())
    up = sp.Poly(pi.as_expr().subs(Z, -Z), ZETA, Z)
    found = certified_end(up, "real", Parameters({}, sp.Integer(3)))
    assert found.is_Float
    inside = nd.stability.region(nd.DPMSolverPP(4), float(found) * np.array([1 - 1e-9, 1 + 1e-9]), h=3.0)
    assert inside.tolist() == [True, False]


def test_what_is_not_proved_is_not_claimed():
    # the end changes from one root to another within the domain
    nesterov = nd.Nesterov(nd.DPMSolverPP(1), beta=BETA)
    with pytest.raises(UncertifiedError, match="could not be proved on the whole domain"):
        end(nesterov)
    below = end(nesterov, parameters=Parameters({BETA: (0, 1)}))
    assert sp.cancel(below - (2 - BETA) * (1 + Q) / (BETA * (3 - 2 * BETA) * (1 - Q))) == 0
    # data formulations of high order lose the neighbourhood of kappa = 1 on long steps only
    up = sp.Poly(stability_polynomial(nd.DPMSolverPP(3).steady()).as_expr().subs(Z, -Z), ZETA, Z)
    with pytest.raises(UncertifiedError):
        certified_end(up, "real", Parameters({}))
    assert certified_end(up, "real", Parameters({}, (sp.Integer(0), sp.Integer(1)))) == 1


def test_other_functions_are_refused():
    with pytest.raises(ValueError, match="whole exponent"):
        lowered(sp.Poly(ZETA - sp.exp(-H / 2) - Z, ZETA, Z))
    with pytest.raises(ValueError, match="rational in h"):
        lowered(sp.Poly(ZETA - sp.sin(H) - Z, ZETA, Z))
    assert X not in lowered(sp.Poly(ZETA - Z, ZETA, Z)).free_symbols
