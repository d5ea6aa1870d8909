"""Residuals on any grid against exact runs of the executor, and the field arithmetic that they are proved in."""

from fractions import Fraction
from itertools import accumulate

import pytest
import sympy as sp

import numdiff as nd
from numdiff.symbolic.variable_order import Element, residuals, step_ratios
from numdiff.weights import moments

B = Fraction(4, 5)
BETA = sp.Symbol("beta")
AB2 = nd.AdamsBashforth(2)
METHODS = [nd.AdamsBashforth(1), nd.AdamsBashforth(3), nd.PLMS(3), nd.GHVB(1, B), nd.GHVB(2, B), nd.GHVB(3, B)]
METHODS += [nd.GHVB(3, B, weights="uniform"), nd.HeavyBall(AB2, beta=B), nd.Nesterov(AB2, beta=B)]
METHODS += [nd.HeavyBall(nd.PLMS(2), beta=Fraction(3, 2)), nd.HeavyBall(nd.GHVB(2, B), beta=Fraction(1, 2))]
METHODS += [m for m in nd.methods().values() if m.name in ("FA2(4/5, error=1/2)", "FA2(4/3, momentum=1/3)")]


def run(method, times, f):
    """Run a quadrature dx/dt = f(t) exactly; return the registers before every step."""
    levels = [nd.Level(t, Fraction(1), t, t) for t in times]  # alpha = 1: the ratio variable is t
    state, states = [Fraction(0)] * method.registers, []
    for tableau in method.program(levels, nd.NOISE_RATIO):
        states.append(state)
        state = nd.step(tableau, state, lambda Y, level: f(level.time))
    return [*states, state]


def past_values(method, times, n, m):
    """What the velocities before step n make of u^m, in units of the step: outermost first, as in `residuals`."""
    h, k = times[n + 1] - times[n], method.points
    if isinstance(method, (nd.HeavyBall, nd.Nesterov)):
        own = run(method, times[: n + 2], lambda t: ((t - times[n]) / h) ** m)[n][-1]
        return [own, *past_values(method.base, times, n, m)]
    if isinstance(method, nd.AdamsBashforth):
        return []
    oldest = max(k - 1, 1)
    registers = run(method, times[: n + 2], lambda t: ((t - times[n - oldest]) / h) ** m)[n]
    return [registers[oldest], *([registers[oldest + 1]] if getattr(method, "momentum", 0) else [])]


@pytest.mark.parametrize("method", METHODS, ids=str)
@pytest.mark.parametrize("steps", [(3, 2, 5, 4, 6, 5), (1, 2, 1, 2, 1, 2)], ids=str)
def test_residuals_are_what_a_run_misses(method, steps):
    # integrate u^m over the last step of an irregular grid: exact minus numerical is h R_m, with the ratios and the
    # velocities of that very run; start-up steps are part of the past
    times = [*accumulate(map(Fraction, steps), initial=Fraction(1))]
    n, h = len(steps) - 1, steps[-1]
    found = residuals(method)
    ratios = step_ratios(len(found.nodes))
    known = {r: sp.Rational(steps[n - j], steps[n - j - 1]) for j, r in enumerate(ratios)}
    velocities = [past_values(method, times, n, m) for m in range(1, method.points + 1)]
    known |= dict(
        zip(found.past, [sp.Rational(v) for column in zip(*velocities, strict=True) for v in column], strict=True)
    )
    for m in range(method.points + 1):
        states = run(method, times, lambda t, m=m: ((t - times[n]) / h) ** m)
        missed = Fraction(1, m + 1) - (states[n + 1][0] - states[n][0]) / h
        assert found.expression(m, moments(1, 0, method.points + 1)).subs(known) == sp.Rational(missed)
        assert not found.vanishes(m) or missed == 0


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_adams_weights_are_exact_for_every_kernel(k):
    for method in (nd.AdamsBashforth(k), nd.AdamsBashforth(k, nd.DATA_LOG_SNR), nd.GHVB(k, BETA)):
        found = residuals(method)
        assert [found.vanishes(m) for m in range(k + 1)] == [True] * k + [False]


@pytest.mark.parametrize("formulation", [nd.NOISE_LOG_SNR, nd.DATA_LOG_SNR])
def test_kernels_enter_through_phi(formulation):
    # R_k with the exponential moments, against the weights that the method returns for the same ratio
    method, h, r = nd.AdamsBashforth(2, formulation), sp.Symbol("h", positive=True), sp.Rational(3, 2)
    mu = moments(h, formulation.c, 3)
    expected = mu[2] - sum(w * u**2 for w, u in zip(method.coefficients(ratios=[r]), (0, -1 / r), strict=True))
    (ratio,) = step_ratios(1)
    assert sp.expand(residuals(method).expression(2, mu).subs(ratio, r) - expected) == 0


def test_expansion_in_the_step():
    # half rule: R_1 = h phi_2(c h) - h phi_1(c h)/2 = -c h^2/12 + O(h^3)
    found = residuals(nd.DPMSolverPP(2, rule="half"))
    assert [found.expansion(1, -1, i) for i in (0, 1)] == [0, sp.Rational(1, 12)]


def test_elements_are_numbers_like_any_other():
    x, y = sp.symbols("x y")
    domain = sp.ZZ.frac_field(x, y)
    a = Element(domain.from_sympy(x))
    for value in (a + 1, 1 + a, a - y, y - a, a * Fraction(1, 2), y * a, a / (1 - y), (1 - y) / a, -a, a.cancel()):
        assert isinstance(value, Element)
    assert (a * a - 1) / (a - 1) == a + 1
    assert (y + 1) * a - y * a == a
    assert hash(a + a) == hash(2 * a)
    assert a != a + 1


def test_what_is_unknown_is_refused():
    with pytest.raises(ValueError, match="no rational function"):
        residuals(nd.GHVB(2, sp.sqrt(2) / 2))
    with pytest.raises(ValueError, match="not known to keep"):
        residuals(nd.Heun())
