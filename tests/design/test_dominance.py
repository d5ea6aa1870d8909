"""What dominates what, exactly; and that the designs run, and stay bounded where what they dominate does not."""

from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

import numdiff as nd
from numdiff.design import dominates, dominating, merits, order_conditions, tradeoff
from numdiff.methods import registry
from numdiff.symbolic.polynomials import ZETA, multistep_pair
from numdiff.symbolic.steady import steady

BETA, GAMMA, C = sp.symbols("beta gamma C")
F = Fraction
Q = sp.Rational
SCHEDULE = nd.schedules.VPLinear()
ENDS = nd.grids.uniform_log_snr(SCHEDULE, 1)
DAMPINGS = (F(4, 5), F(1, 2), F(1, 5))
TARGETS = [nd.GHVB(k, b) for k in (1, 2, 3) for b in DAMPINGS]
TARGETS += [nd.HeavyBall(nd.AdamsBashforth(k), beta=b) for k in (2, 3) for b in DAMPINGS]
TARGETS += [nd.AdamsBashforth(k) for k in (1, 2, 3, 4)]
every_target = pytest.mark.parametrize(
    "target",
    [pytest.param(t, marks=[pytest.mark.slow] * (getattr(t, "beta", DAMPINGS[0]) != DAMPINGS[0])) for t in TARGETS],
    ids=str,
)


# --- designs that dominate --------------------------------------------------------------------------------------------


@every_target
def test_a_dominating_design_has_the_same_order_and_constant_and_a_longer_interval(target):
    design, own = dominating(target), merits(target)
    assert dominates(design, target)
    assert not dominates(target, design)
    assert design.order == own.order
    assert sp.expand(abs(design.error_constant) - abs(own.error_constant)) == 0
    assert design.real_interval > own.real_interval


@every_target
def test_its_numbers_are_those_of_its_own_tableau(target):
    design = dominating(target)
    found = merits(design.nearby)  # of rational parameters: certified like any method
    assert dominates(design.nearby, target)
    assert (found.order, abs(found.error_constant)) == (design.order, abs(design.error_constant))
    assert abs(float(found.real_interval - design.real_interval)) < 1e-4
    if design.value.is_Rational:
        assert found.real_interval == design.real_interval
        rho = sp.Poly(nd.stability.polynomial(design.method).as_expr().subs(sp.Symbol("z"), 0), ZETA)
        inner = sp.quo(rho, sp.Poly(ZETA - 1, ZETA))
        memory = np.abs(np.roots([float(c) for c in inner.all_coeffs()])).max()
        assert memory <= 0.8 + 1e-7  # a double root has half the digits


@every_target
def test_it_is_stable_inside_its_interval_where_the_other_is_not(target):
    """The roots of the numerical stability polynomial at the middle between the two ends."""
    design = dominating(target)
    z = -(float(merits(target).real_interval) + float(design.real_interval)) / 2
    ours, theirs = (growth(m, z) for m in (design.nearby, target))
    assert ours <= 1 + 1e-9 < 1 + 1e-3 < theirs


def growth(method, z):
    pi = nd.stability.polynomial(method).as_expr().subs(sp.Symbol("z"), z)
    return np.abs(np.roots([float(c) for c in sp.Poly(pi, ZETA).all_coeffs()])).max()


@pytest.mark.parametrize("k", [1, 2])
def test_the_longest_intervals_are_closed_forms_in_the_error_constant(k):
    """x* = 4 C + 2 for order 1, and 2 sqrt(4 C - 2/3) for order 2."""
    for b in DAMPINGS:
        C = merits(nd.GHVB(k, b)).error_constant
        x = dominating(nd.GHVB(k, b)).real_interval
        assert sp.expand(x - (4 * C + 2 if k == 1 else 2 * sp.sqrt(4 * C - Q(2, 3)))) == 0


def test_euler():
    """FA1(4/5, momentum = 1/5) has Euler's error constant and twice its interval."""
    ours, euler = merits(nd.FilteredAdams(1, F(4, 5), momentum=F(1, 5))), merits(nd.AdamsBashforth(1))
    assert (ours.order, ours.error_constant, ours.real_interval) == (1, Q(1, 2), 4)
    assert (euler.order, euler.error_constant, euler.real_interval) == (1, Q(1, 2), 2)


def test_the_formulation_stays():
    assert dominating(nd.GHVB(1, F(4, 5), nd.NOISE_RATIO)).method.formulation == nd.NOISE_RATIO
    assert dominating(nd.GHVB(1, 0.8)) == dominating(nd.GHVB(1, F(4, 5)))


def test_a_shorter_memory_costs_interval():
    long, short = (dominating(nd.GHVB(3, F(4, 5)), parasitic=m) for m in (F(4, 5), F(1, 2)))
    assert dominates(long, short)
    assert dominates(short, nd.GHVB(3, F(4, 5)))


def test_stretched_adams_is_not_dominated_in_the_class():
    assert dominating(nd.StretchedAdams(2)) is None


# --- dominance itself -------------------------------------------------------------------------------------------------


def test_dominance_is_strict_and_exact():
    stretched = nd.StretchedAdams(2)
    assert not dominates(stretched, stretched)
    assert dominates(stretched, nd.AdamsBashforth(2))
    assert not dominates(nd.GHVB(2, F(1, 2)), nd.AdamsBashforth(2))  # longer, but with a larger constant
    assert not dominates(nd.AdamsBashforth(2), nd.AdamsBashforth(1))  # C smaller, x* shorter
    root = dominating(nd.GHVB(2, F(4, 5)))  # x* = sqrt 6
    assert not dominates(root, root)
    rational = nd.FilteredAdams(2, F(4, 5), error=root.error_constant * (1 + Q(1, 10**30)))
    assert dominates(root, rational)


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match="has a symbol among its parameters, and a comparison needs numbers"):
        merits(nd.GHVB(2, BETA))
    with pytest.raises(ValueError, match="depends on the step length h, and so do its merits"):
        dominating(nd.DPMSolverPP(2))
    with pytest.raises(ValueError, match="no multistep method"):
        dominating(nd.RK4())
    with pytest.raises(ValueError, match="order must be at least 2, that of GHVB2"):
        dominating(nd.GHVB(2, F(4, 5)), order=1)
    with pytest.raises(TypeError, match="got 3"):
        dominating(3)


# --- what cannot be ---------------------------------------------------------------------------------------------------


def test_explicit_two_step_methods_of_order_2_are_ghvb2():
    """Order conditions leave one method to each root 1 - b of rho, and C and x* both fall with b: none dominates."""
    relaxed = nd.FilteredAdams(1, BETA, error=C)  # every explicit two-step method of order 1: rho and two coefficients
    rho, sigma = multistep_pair(steady(relaxed))
    assert sp.expand(rho.as_expr() - (ZETA - 1) * (ZETA - 1 + BETA)) == 0
    s, t = sp.symbols("s t")
    of_order_1, of_order_2 = (
        s + t - BETA,
        2 * t - (4 - (2 - BETA)),
    )  # sum i rho_i = sigma(1); sum i^2 rho_i = 2 sigma'(1)
    assert all(c.subs(dict(zip((s, t), sigma.all_coeffs()[::-1], strict=True))).expand() == 0 for c in [of_order_1])
    (free,) = sp.linsolve([of_order_1, of_order_2], s, t)
    ghvb = multistep_pair(steady(nd.GHVB(2, BETA)))
    assert sp.expand(ghvb[0].as_expr() - rho.as_expr()) == 0
    assert sp.expand(ghvb[1].as_expr() - free[0] - free[1] * ZETA) == 0
    (condition,) = order_conditions(relaxed, 2)
    assert sp.roots(condition, C) == {0: 1}
    assert sp.expand(sigma.as_expr().subs(C, 0) - ghvb[1].as_expr()) == 0
    method, b = nd.GHVB(2, BETA), sp.Symbol("b", positive=True)
    error, x = nd.order.error_constant(method), nd.stability.real_interval(method)
    assert all(sp.cancel(sp.diff(f, BETA)).subs(BETA, b).is_negative for f in (error, x))


def test_second_order_heavy_balls():
    """HB on AB2 has order 2 for no damping but 1; with two velocities exactly where 2 - beta - 2 gamma = 0."""
    assert [sp.roots(c, BETA) for c in order_conditions(nd.HeavyBall(nd.AdamsBashforth(2), beta=BETA), 2)] == [{1: 1}]
    (condition,) = order_conditions(nd.FilteredAdams(1, BETA, momentum=GAMMA), 2)
    assert sp.cancel(condition / (2 - BETA - 2 * GAMMA)).is_number
    assert order_conditions(nd.GHVB(2, BETA), 2) == ()
    (never,) = order_conditions(nd.AdamsBashforth(2), 3)
    assert never.is_number
    with pytest.raises(ValueError, match="order must be positive, got 0"):
        order_conditions(nd.GHVB(2, BETA), 0)


# --- along a family ---------------------------------------------------------------------------------------------------


def test_tradeoff_is_what_the_members_say():
    values = [F(1, 5), F(1, 2), 0.8, 1]
    found = tradeoff(nd.GHVB(2, BETA), values)
    for b, C, x in zip(values, found.error_constants, found.real_intervals, strict=True):
        own = merits(nd.GHVB(2, b))
        assert (C, x) == (own.error_constant, own.real_interval)
    assert found.parameters[2] == Q(4, 5)
    assert found.front() == (3, 2, 1, 0)  # a trade-off throughout
    assert all(column.dtype == float for column in found.arrays())


def test_the_front_leaves_out_what_is_dominated():
    """NT(AB2) at beta > 1 is worse in both than some member below 1."""
    values = [F(n, 10) for n in range(2, 20)]
    found = tradeoff(nd.Nesterov(nd.AdamsBashforth(2), BETA), values)
    kept = {found.parameters[i] for i in found.front()}
    points = list(zip(map(abs, found.error_constants), found.real_intervals, found.parameters, strict=True))
    for C, x, b in points:
        better = any(c <= C and y >= x and (c < C or y > x) for c, y, _ in points)
        assert better == (b not in kept)


def test_tradeoff_refuses():
    with pytest.raises(ValueError, match="must have exactly one symbol"):
        tradeoff(nd.GHVB(2, F(1, 2)), [1])
    with pytest.raises(ValueError, match=r"values must lie in \(0, 2\], got 3"):
        tradeoff(nd.GHVB(2, BETA), [3])


# --- runs -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [nd.GHVB(1, F(4, 5)), nd.GHVB(2, F(4, 5)), nd.GHVB(3, F(1, 2))], ids=str)
def test_a_design_runs_at_once_where_the_method_of_the_same_constant_blows_up(target):
    """y' = -L y with L h inside the design's interval and outside the other's."""
    design = dominating(target)
    steps, z = 400, 0.9 * float(design.real_interval)
    times = np.linspace(0.0, 1.0, steps + 1)
    ours, theirs = (
        abs(float(nd.solve_ivp(m, lambda t, y: -z * steps * y, times, np.array([1.0]))[0]))
        for m in (design.method, target)
    )
    assert ours < 1e-2 < 1e10 < theirs


def test_a_design_samples_a_mixture_better_with_more_steps():
    mixture = nd.problems.mixtures()["two-modes"]
    method = dominating(nd.GHVB(2, F(1, 2), nd.NOISE_RATIO)).method
    x = np.random.default_rng(0).standard_normal((8, mixture.dimension))
    exact = mixture.flow(SCHEDULE, x, *ENDS, rtol=1e-8).x
    errors = []
    for steps in (40, 80, 160):
        grid = nd.grids.uniform_log_snr(SCHEDULE, steps)
        assert np.allclose((grid[0], grid[-1]), ENDS)
        y = nd.sample(method.discretize(SCHEDULE, grid), mixture.model(SCHEDULE), x, prediction="noise")
        errors.append(np.abs(y - exact).max())
    assert errors[0] > 2 * errors[1] > 4 * errors[2]


def test_a_design_can_be_registered(monkeypatch):
    monkeypatch.setattr(registry, "FAMILIES", dict(registry.FAMILIES))
    design = dominating(nd.GHVB(2, F(1, 5)))

    def build(formulation=None):
        return nd.FilteredAdams(
            design.order, design.method.beta, momentum=design.method.momentum, formulation=formulation
        )

    registry.register("stretched-six", build, summary="dominates GHVB2(1/5)", options=("formulation",))
    assert nd.method("stretched-six") == design.method
    assert nd.method("Stretched-Six", formulation="noise/ratio").formulation == nd.NOISE_RATIO
    with pytest.raises(ValueError, match="'stretched-six' is registered already"):
        registry.register("stretched-six", build, summary="again")
    with pytest.raises(ValueError, match="must be lower-case letters"):
        registry.register("A b", build, summary="")
    with pytest.raises(ValueError, match="build does not take the options beta"):
        registry.register("other", build, summary="", options=("beta",))
