"""Exact gains against high-precision runs and published formulas; growth in kappa against long runs."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy as sp

import numdiff as nd
from numdiff.properties.spectral import exact, response, steady_gain
from numdiff.properties.stability.kappa import KAPPA
from numdiff.symbolic.parametric import Q
from numdiff.symbolic.steady import H
from tests import zoo

MEMBERS = nd.methods()
STEADY = [name for name, method in MEMBERS.items() if method.formulation != nd.VELOCITY_TIME]
VP, EDM = nd.schedules.VPLinear(), nd.schedules.EDM()
S, q, h = sp.Symbol("s", nonnegative=True), sp.Symbol("q", positive=True), sp.Symbol("h", positive=True)


@pytest.mark.parametrize("name", zoo.by_weight(MEMBERS))
def test_exact_gain_is_the_float_gain(name):
    scheme = MEMBERS[name].discretize(VP, np.linspace(0.9, 0.1, 6))
    formula = exact(scheme)
    assert formula.is_rational_function(S)
    for s in (0.0, 0.3, 1.0, 20.0):
        with mpmath.workdps(60):
            value = float(sp.lambdify(S, formula, "mpmath")(mpmath.mpf(s)))
        found = response(scheme, s)
        assert value == pytest.approx(float(found.gain), rel=1e-12, abs=1e-13 * np.abs(found.gains).max())
    half = exact(scheme, s=Fraction(1, 2))
    assert half.is_Rational
    assert half == formula.subs(S, sp.Rational(1, 2))


def test_ddim_in_symbols():
    # Song et al. 2021, eq. 12 without noise, with E[x_0 | x] = alpha s^2 x/S and E[eps | x] = sigma x/S
    a, b, c, d = sp.symbols("a b c d", positive=True)
    levels = [nd.Level(1, a, b, 1), nd.Level(0, c, d, 0)]
    for formulation in (nd.NOISE_RATIO, nd.DATA_RATIO):
        gain = exact(nd.DDIM(formulation), levels)
        assert sp.cancel(gain - (a * c * S**2 + b * d) / (a**2 * S**2 + b**2)) == 0


RATIONALS = [nd.Level(3, Fraction(1, 4), 2, 3), nd.Level(2, Fraction(1, 2), 1, 2), nd.Level(1, 1, Fraction(1, 3), 1)]
CLEAN = [*RATIONALS, nd.Level(0, 1, 0, 0)]


@pytest.mark.parametrize("method", [nd.DDIM(), nd.AdamsBashforth(3), nd.GHVB(2, Fraction(1, 2)), nd.PLMS(2)], ids=str)
@pytest.mark.parametrize("levels", [RATIONALS, CLEAN], ids=["noisy", "clean"])
def test_exact_levels_give_what_a_float_layout_gives(method, levels):
    levels = levels if len(levels) > method.points else CLEAN
    gain = exact(method, levels)
    floats = [nd.Level(float(lv.time), float(lv.alpha), float(lv.sigma), float(lv.time)) for lv in levels]
    found = response(method.discretize(VP, floats), [0.0, 0.5, 4.0])
    values = [float(gain.subs(S, sp.Rational(s))) for s in (0.0, 0.5, 4.0)]
    np.testing.assert_allclose(found.gain, values, rtol=1e-13, atol=1e-15)
    assert all(c.q < 1000 for c in gain.atoms(sp.Rational))  # no rounding in it
    assert sp.limit(gain, S, sp.oo) == levels[-1].alpha / sp.Rational(levels[0].alpha)  # flat data keep x/alpha


def test_symbolic_damping():
    beta = sp.Symbol("beta", positive=True)
    formula = exact(nd.HeavyBall(nd.AdamsBashforth(1), beta=beta), RATIONALS)
    assert beta in formula.free_symbols
    value = exact(nd.HeavyBall(nd.AdamsBashforth(1), beta=Fraction(4, 5)), RATIONALS)
    assert sp.cancel(formula.subs(beta, sp.Rational(4, 5)) - value) == 0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda c: exact(c, s=0.5), TypeError, "nd.spectral.response"),
        (lambda c: exact(c, s=-1), ValueError, "not negative"),
        (lambda c: exact(c, s="s"), TypeError, "symbol or an exact number"),
        (lambda c: exact(nd.DDIM()), TypeError, "lay the method out first"),
        (lambda c: exact(c, RATIONALS), TypeError, "has its levels already"),
        (lambda c: exact(nd.Heun(), RATIONALS), TypeError, "multistep method"),
        (lambda c: exact(nd.DPMSolverPP(2), RATIONALS), ValueError, "no rational coefficients"),
        (lambda c: exact(nd.FlowEuler(), RATIONALS), ValueError, "no rational coefficients"),
        (lambda c: exact(nd.AdamsBashforth(3), RATIONALS), ValueError, "needs at least 4 levels, got 3"),
        (lambda c: exact(nd.DDIM(), [1, 0]), TypeError, "nd.Level"),
        (lambda c: exact(nd.DDIM(), [RATIONALS[0]] * 2), ValueError, "levels 0 and 1 have the same sigma/alpha"),
        (lambda c: exact(nd.DDIM(), CLEAN[::-1], s=0), ValueError, "leaves x no variance"),
        (
            lambda c: exact(nd.PLMS(2).discretize(VP, [0.9, 0.8, 0.7, 0.6], start="exact")),
            ValueError,
            "not rational in s",
        ),
        (lambda c: steady_gain("ddim", 1.0, h=1), TypeError, "method must be"),
        (lambda c: steady_gain(nd.FlowEuler(), 1.0, h=1), ValueError, "works in time"),
        (lambda c: steady_gain(nd.DDIM(), 1.0, h=0), ValueError, "h must be positive"),
        (lambda c: steady_gain(nd.DDIM(), 1.0, h=h), TypeError, "h must be real"),
        (lambda c: steady_gain(nd.DDIM(), sp.Symbol("k"), h=1), TypeError, "kappa must be real"),
        (lambda c: steady_gain(nd.GHVB(2, sp.Symbol("beta")), 1.0, h=1), ValueError, "symbols among its parameters"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call(nd.DDIM().discretize(VP, [0.9, 0.5, 0.1]))


@pytest.mark.parametrize("name", zoo.by_weight(n for n in STEADY if MEMBERS[n].points < 4))
def test_growth_is_one_at_the_ends_of_the_proved_interval(name):
    step, method = 0.2, MEMBERS[name]
    low, high = (float(end) for end in nd.stability.diffusion_interval(method, h=Fraction(1, 5)))
    if (method.formulation or nd.NOISE_RATIO).prediction == "noise":
        low, high = 1 - high, 1 - low
    inside, outside, flat = steady_gain(method, [low + 1e-6, low - 1e-6, 1.0], h=step)
    assert inside < 1 < outside
    assert high == 1
    assert flat == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("name", zoo.by_weight(STEADY))
def test_a_run_obeys_the_recurrence(name):
    # Cayley and Hamilton: samples of a long run with alpha = 1 satisfy the step's characteristic polynomial
    method, step, steps = MEMBERS[name], 0.1, 150
    schedule = nd.schedules.VE(sigma_min=1e-4, sigma_max=1e4)
    scheme = method.discretize(schedule, [schedule.time(x) for x in -8 + step * np.arange(steps + 1)])
    pi = nd.stability.diffusion_polynomial(method)
    at = {H: sp.Rational(1, 10), Q: sp.exp(-sp.Rational(1, 10))}
    for kappa in (0.6, -1.5):
        path = nd.sample(scheme, lambda x, t, k=kappa: k * x, np.ones(1), prediction="data", trajectory=True)
        c = np.array([float(x.subs(at)) for x in pi.eval(KAPPA, sp.Rational(kappa)).all_coeffs()])[::-1]
        # UniPC's last step does not correct; before it the transient of a velocity filter, 0.95^140 at worst, has gone
        y = np.array(path)[-1 - len(c) : -1, 0]
        assert abs(c @ y) <= 2e-9 * (np.abs(c) @ np.abs(y))
        roots = np.roots(c[::-1])
        assert steady_gain(method, kappa, h=step) == pytest.approx(np.abs(roots).max(), rel=1e-6)
        if kappa > 0:
            assert np.abs(roots).max() == pytest.approx(np.exp((kappa - 1) * step), rel=2e-2)
