"""Closed forms, derivations and limits against the executor's own tableaus, integrals and textbook facts."""

from fractions import Fraction
from functools import cache

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import numdiff as nd
from numdiff.formulations import FORMULATIONS, Span
from numdiff.level import Level
from numdiff.methods.momentum import Momentum
from numdiff.methods.multistep import Multistep, Point
from numdiff.symbolic.closed_forms import (
    BETA,
    RATIO,
    free_ratios,
    general_weights,
    ratio_symbols,
    readable,
    remembers,
    two_step,
    weights,
)
from numdiff.symbolic.derivations import derivation
from numdiff.symbolic.limits import limits
from numdiff.symbolic.multistep import taylor
from numdiff.symbolic.phi import phi
from numdiff.symbolic.polynomials import to_sympy
from numdiff.symbolic.steady import H
from numdiff.weights import moments

METHODS = nd.methods()
MULTISTEP = {name: m for name, m in METHODS.items() if isinstance(m, Multistep)}
SHORT = {name: m for name, m in METHODS.items() if m.points <= 4}  # the rest on equal steps only, to save time
ratios_near_1 = st.fractions(Fraction(4, 5), Fraction(5, 4), max_denominator=12)


def level_at(formulation, s):
    """The level of a variance-preserving schedule (any time for a velocity) at which the variable is s."""
    if formulation.prediction == "velocity":
        return Level.of_time(s)
    log_snr = {"rho": -np.log(abs(s)), "inverse-rho": np.log(abs(s)), "log-snr": s}[formulation.variable]
    alpha, sigma = (float((1 + np.exp(sign * 2 * log_snr)) ** -0.5) for sign in (-1, 1))
    return Level(time=-log_snr, alpha=alpha, sigma=sigma, model_time=-log_snr)


def last_step(method, formulation, steps):
    """The tableau of the last of `steps` in the formulation's variable, and kappa at its end."""
    s = np.cumsum([1.0, *map(float, steps)])  # from 1 upwards: positive, as rho and 1/rho must be
    levels = [level_at(formulation, x) for x in s]
    schedule = None if formulation.prediction == "velocity" else nd.schedules.VPLinear()
    return method.discretize(schedule, levels).tableaus[-1], formulation.kappa(levels[-1])


def rational(x):
    return sp.Rational(x.numerator, x.denominator)


@cache
def symbolic(method):
    return weights(method, ratios=free_ratios(method))


def evaluated(row, values):
    return [float(x.subs(values).evalf(30)) for x in row]


# --- weights ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMULATIONS)
@pytest.mark.parametrize("order", [1, 2, 3, 4])
@settings(max_examples=4, deadline=None)
@given(steps=st.lists(ratios_near_1, min_size=4, max_size=4))
def test_adams_weights_in_symbolic_ratios_are_the_executors_on_that_grid(name, order, steps):
    method, formulation = nd.AdamsBashforth(order, name), FORMULATIONS[name]
    lengths = [Fraction(1, 10)]
    for ratio in reversed(steps):  # the last step has length 1/10, and r_1 = steps[0] is its ratio to the one before
        lengths.append(lengths[-1] * ratio)
    tableau, kappa = last_step(method, formulation, lengths)
    found = (tableau.B[0][0], *tableau.V[0][1:])
    values = {r: rational(x) for r, x in zip(ratio_symbols(method), steps, strict=False)}
    h = rational(lengths[-1])
    scale = float(kappa) * (1 if method.kernel else float(h))
    ours = [scale * w for w in evaluated(symbolic(method)["weight"], {H: h, **values})]
    # nodes of size 2 are subtracted to steps of size 0.1 and divided three times; weights are below 5 steps
    np.testing.assert_allclose(found, ours, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("name", FORMULATIONS)
@pytest.mark.parametrize("order", [1, 2, 3])
@settings(max_examples=3, deadline=None)
@given(ratio=st.fractions(Fraction(9, 10), Fraction(6, 5), max_denominator=10))
def test_ghvb_weights_in_r_are_the_executors_after_many_geometric_steps(name, order, ratio):
    method, formulation, beta = nd.GHVB(order, Fraction(4, 5), name), FORMULATIONS[name], Fraction(4, 5)
    last, count = 0.1, 30  # the transient (0.2/0.9^2)^30 is below 1e-18
    tableau, kappa = last_step(method, formulation, [last / float(ratio) ** n for n in range(count, -1, -1)])
    h = sp.Rational(1, 10)
    values = {RATIO: rational(ratio), H: h}
    scale = float(kappa) * (1 if method.kernel else float(h))
    w = [scale * x for x in evaluated(symbolic(method)["weight"], values)]
    row = [beta * w[0], (1 - beta) * w[0] + (w[1] if order > 1 else 0), *w[2:]]
    # node differences lose a factor s/h ~ 100 twice, and velocities of neighbours differ by little
    np.testing.assert_allclose([tableau.B[0][0], *tableau.V[0][1:]], [float(x) for x in row], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("order", [2, 3, 4])
@settings(max_examples=3, deadline=None)
@given(steps=st.lists(ratios_near_1, min_size=6, max_size=6))
def test_general_weights_and_their_update_follow_a_run_on_any_grid(order, steps):
    """The state of the executor's filter goes through `update` and gives its tableau through `weights`, exactly."""
    beta = Fraction(4, 5)
    method = nd.GHVB(order, beta)
    form = general_weights(method)
    s, lengths, state, M = Fraction(0), [Fraction(1)], None, None
    for ratio in steps:
        lengths.append(lengths[-1] * ratio)
    nodes = [s]
    for n, length in enumerate(lengths):
        count = min(order, n + 1)
        relative = tuple((u - s) / length for u in reversed(nodes))[: max(count, 2)]
        point = Point(Span(1, length, moments(length, 0, count)), relative, count, first=n == 0)
        tableau, state = method.advance(state, point)
        if n >= order:
            known = {r: rational(lengths[n - j] / lengths[n - j - 1]) for j, r in enumerate(form.ratios)}
            oldest = [to_sympy(x) for x in state.moments(order - 1, point)[1:order]]
            if M is not None:
                assert oldest == M
            known |= dict(zip(form.moments, oldest, strict=True))
            w = [x.subs(known) * to_sympy(length) for x in form.weights]
            row = [to_sympy(beta) * w[0], (1 - to_sympy(beta)) * w[0] + w[1], *w[2:]]
            assert [to_sympy(x) for x in (tableau.B[0][0], *tableau.V[0][1:])] == row
            if n + 1 < len(lengths):
                coming = {sp.Symbol("r_0", positive=True): rational(lengths[n + 1] / length)}
                M = [x.subs(known | coming) for x in form.update]
        s += length
        nodes.append(s)


@pytest.mark.parametrize("name", MULTISTEP)
def test_weights_are_in_lowest_terms_and_equal_the_methods_own(name):
    method = MULTISTEP[name]
    for ratios in (None, free_ratios(method) if name in SHORT else None):
        own = method.coefficients(ratios=ratios)
        for shown, value in zip(weights(method, ratios=ratios)["weight"], own, strict=True):
            assert sp.cancel(shown - to_sympy(value)) == 0
            assert sp.gcd(*sp.fraction(shown)).is_number


def test_variable_step_ab2_is_the_textbooks():
    (r,) = ratio_symbols(nd.AdamsBashforth(2))
    assert weights(nd.AdamsBashforth(2), ratios=[r])["weight"] == (1 + r / 2, -r / 2)


def test_dpm_solver_pp_2m_is_the_published_one():
    # Lu et al. 2022, algorithm 2: D = (1 + 1/(2 r_0)) x_n - 1/(2 r_0) x_{n-1} with r_0 = h_{n-1}/h_n, times 1 - e^{-h}
    method = nd.DPMSolverPP(2, rule="half")
    (r,) = ratio_symbols(method)
    total = H * phi(1, -H)
    assert sp.expand_func(total).equals(1 - sp.exp(-H))
    for w, published in zip(weights(method, ratios=[r])["weight"], (1 + r / 2, -r / 2), strict=True):
        assert sp.cancel(w - total * published) == 0


@pytest.mark.parametrize("formulation", [None, "data/log-snr", "noise/log-snr"])
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_ghvb_satisfies_its_moment_conditions_identically_in_r_h_and_beta(order, formulation):
    """Moments of the filter as sums over the infinite geometric past: they share nothing with the fixed point."""
    method = nd.GHVB(order, BETA, formulation)
    w = weights(method, ratios=(RATIO,) * (order - 1))["weight"]
    mu = [to_sympy(x) for x in moments(H if method.kernel else 1, method.kernel, order)]
    E = RATIO**-1
    for m in range(order):
        total = -mu[m]
        for i, weight in enumerate(w):
            # v_{n+1-i} = beta sum_j (1-beta)^j f_{n-i-j}, f at -(E + ... + E^q) = (E^q - 1) E/(1-E), q = i + j
            scale, seen = (E / (1 - E)) ** m, 0
            for p in range(m + 1):  # sum_j (1-beta)^j E^{p(i+j)} is geometric
                geometric = E ** (p * i) / (1 - (1 - BETA) * E**p)
                seen += BETA * sp.binomial(m, p) * (-1) ** (m - p) * geometric
            total += weight * scale * seen
        assert readable(total) == 0


@pytest.mark.parametrize("h", [sp.Rational(1, 3), 0.5])
def test_a_step_length_may_be_a_number(h):
    exact = sp.Rational(1, 3) if h != 0.5 else sp.Rational(1, 2)
    method = nd.AdamsBashforth(2, "data/log-snr")
    symbols = weights(method)["weight"]
    assert [sp.expand(x.subs(H, exact) - y) for x, y in zip(symbols, weights(method, h=h)["weight"], strict=True)] == [
        0,
        0,
    ]


@pytest.mark.parametrize("name", ["AB3", "AB2 data/log-snr", "HB(AB2, 4/5)", "NT(AB2 data/log-snr, 4/5)", "GHVB3(4/5)",
                                  "GHVB2(4/5) noise/log-snr"])  # fmt: skip
def test_the_two_step_form_is_what_a_run_does(name):
    """D_n of a run on geometric steps, from the tableaus and random predictions, against gain and weights."""
    method, ratio, length = MULTISTEP[name], 1.1, 0.2
    form = two_step(method, ratios=(sp.Rational(11, 10),) * method.points)
    rng, state = np.random.default_rng(7), None
    y, f, D, h, nodes = [0.3] + [0.0] * (method.registers - 1), [], [], length / ratio**40, [0.0]
    formulation = method.formulation or nd.NOISE_RATIO
    for n in range(41):
        count = min(method.points, n + 1)
        relative = tuple((u - nodes[-1]) / h for u in reversed(nodes))[: max(count, 2)]
        point = Point(formulation.steady_span(h, count), relative, count, first=n == 0)
        tableau, state = method.advance(state, point)
        f.insert(0, rng.normal())
        new = nd.step(tableau.to_float(), y, lambda Y, level: f[0])
        D.insert(0, new[0] - float(point.span.xi) * y[0])
        y, h = new, h * ratio
        nodes.append(nodes[-1] + h / ratio)
    scale = 1 if method.kernel else length
    numbers = [float(x.subs(H, length)) for x in (form.gain, *form.weights)]
    predicted = numbers[0] * D[1] + scale * sum(c * x for c, x in zip(numbers[1:], f, strict=False))
    assert D[0] == pytest.approx(predicted, rel=1e-9)  # (0.2/1.1)^40 of the start is left; nodes lose two digits


# --- derivations ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "ratio"), [(name, 1) for name in METHODS] + [(name, RATIO) for name in SHORT])
def test_every_check_of_every_derivation_holds_but_those_of_published_variants(name, ratio):
    method = METHODS[name]
    failed = [step.title for step in derivation(method, ratio=ratio) if step.check and not step.holds]
    base = getattr(method, "base", method)
    inexact = getattr(base, "rule", "exact") != "exact"
    inexact |= getattr(base, "weights", "variable") == "uniform" and isinstance(base, nd.AdamsBashforth) and ratio != 1
    assert all("polynomials exactly" in t or "integrated exactly" in t for t in failed)
    assert bool(failed) == inexact


@pytest.mark.parametrize("formulation", [None, "data/log-snr"])
@pytest.mark.parametrize("make", [nd.AdamsBashforth, nd.GHVB])
def test_derivations_end_in_the_methods_weights(make, formulation):
    method = make(3, BETA, formulation) if make is nd.GHVB else make(3, formulation)
    steps = derivation(method, ratio=RATIO)
    (shown,) = [step for step in steps if step.title == "weights"]
    assert tuple(e.rhs for e in shown.equations) == weights(method, ratios=(RATIO,) * 2)["weight"]
    assert all(isinstance(e, sp.Eq) for step in steps for e in step.equations)


def test_the_damping_of_hb_moves_one_root():
    form = two_step(nd.HeavyBall(nd.AdamsBashforth(2), BETA), ratios=(RATIO, RATIO))
    assert sp.expand(form.gain - RATIO * (1 - BETA)) == 0
    equal = two_step(nd.HeavyBall(nd.AdamsBashforth(2, "data/log-snr"), BETA))
    assert sp.expand(equal.gain - (1 - BETA)) == 0


def test_a_runge_kutta_derivation_counts_trees():
    counts = [len(s.equations) for s in derivation(nd.RK4()) if "order" in s.title]
    assert counts == [1, 1, 2, 4, 9]  # rooted trees with 1, ..., 5 vertices


# --- limits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in MULTISTEP if name in SHORT])
def test_every_limit_of_every_multistep_method_is_verified(name):
    method = MULTISTEP[name]
    try:
        found = limits(method)
    except ValueError:
        assert not method.kernel
        assert all(w.is_number for w in weights(method, ratios=free_ratios(method))["weight"])
        assert not isinstance(method, nd.GHVB | Momentum)
        return
    assert [x.name for x in found if not x.verified] == []
    names = {x.name for x in found}
    assert ("h -> 0" in names) == bool(method.kernel)
    assert ({"beta -> 0", "beta -> 1"} <= names) == isinstance(method, nd.GHVB | Momentum)


def test_a_limit_is_refuted_where_it_is_wrong():
    (limit,) = limits(nd.AdamsBashforth(2))
    wrong = type(limit)(limit.name, limit.of, limit.value, limit.equals, limit.value[::-1])
    assert limit.verified
    assert not wrong.verified
    assert not type(limit)("", "", (sp.zoo,), "", (sp.Integer(1),)).verified


@pytest.mark.parametrize("order", [2, 3])
def test_h_to_0_agrees_with_the_taylor_series_of_phi(order):
    found = next(x for x in limits(nd.GHVB(order, BETA, "noise/log-snr")) if x.name == "h -> 0")
    for w, value in zip(weights(nd.GHVB(order, BETA, "noise/log-snr"), ratios=(RATIO,) * (order - 1))["weight"],
                        found.value, strict=True):  # fmt: skip
        zeroth, first = taylor(w, 2)
        assert zeroth == 0
        assert sp.cancel(first - value) == 0


def test_ghvb_with_little_damping_is_adams_of_one_order_less():
    # in floats: beta = 1e-6 on equal steps, applied to a polynomial that AB2 integrates and GHVB3 sees through v
    found = {x.of: x for x in limits(nd.GHVB(3, Fraction(4, 5))) if x.name == "beta -> 0"}
    assert found["(b_0, b_1, ..., a)"].value == (sp.Rational(3, 2), -sp.Rational(1, 2), 0)
    near = [float(x.subs(BETA, 1e-6)) for x in two_step(nd.GHVB(3, BETA)).weights]
    np.testing.assert_allclose(near, [1.5, -2, 0.5], atol=1e-5)  # (3/2 - 1/2 E)(1 - E)


# --- doors ------------------------------------------------------------------------------------------------------------


def test_questions_without_an_answer_say_why():
    with pytest.raises(ValueError, match="RK4 is a one-step method: it has a Butcher array"):
        weights(nd.RK4())
    with pytest.raises(ValueError, match="RK4 has no limits: its weights depend on no step ratio"):
        limits(nd.RK4())
    with pytest.raises(ValueError, match="use weights"):
        general_weights(nd.AdamsBashforth(3))
    with pytest.raises(ValueError, match="has no two-step form"):
        two_step(nd.RK4())
    with pytest.raises(ValueError, match="ratios must have 3 entries"):
        two_step(nd.GHVB(3, BETA), ratios=(RATIO,))
    with pytest.raises(ValueError, match="remembers every step"):
        two_step(nd.GHVB(2, BETA), ratios=(1, 2))
    with pytest.raises(ValueError, match="does not depend on the step length"):
        derivation(nd.AdamsBashforth(2), h=Fraction(1, 2))
    with pytest.raises(TypeError, match="h must be a number, got"):
        weights(nd.DPMSolverPP(2), h=sp.Symbol("k"))
    with pytest.raises(ValueError, match="h must be positive"):
        weights(nd.DPMSolverPP(2), h=-1)
    with pytest.raises(ValueError, match="ratio must be positive"):
        derivation(nd.AdamsBashforth(2), ratio=0)
    with pytest.raises(ValueError, match="has no steady state"):
        derivation(nd.GHVB(3, Fraction(1, 10)), ratio=Fraction(1, 2))
    for question in (derivation, limits):
        with pytest.raises(TypeError, match="must be a numdiff method"):
            question("AB2")


def test_which_methods_remember_every_step():
    assert remembers(nd.GHVB(3, BETA))
    assert remembers(nd.HeavyBall(nd.GHVB(2, BETA), BETA))
    assert not remembers(nd.HeavyBall(nd.AdamsBashforth(3), BETA))
    assert not remembers(nd.UniPC(2))
