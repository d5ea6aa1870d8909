"""The diffusion test problem and exponential methods: proved intervals against what the executor does."""

from fractions import Fraction
from time import perf_counter

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import numdiff as nd
from numdiff.formulations import DATA_LOG_SNR, DATA_RATIO, NOISE_LOG_SNR, NOISE_RATIO, VELOCITY_TIME
from numdiff.level import Level
from numdiff.symbolic.steady import H
from tests import zoo

BETA = sp.Symbol("beta")
MEMBERS = {n: m for n, m in nd.methods().items() if m.formulation != VELOCITY_TIME and m.points < 4}
STEPS, SPACING = 120, 0.25
HALF = nd.HeavyBall(nd.DPMSolverPP(2, rule="half"), beta=BETA)


def growth(method, kappa, h, steps=STEPS):
    """Factor of x/alpha per step in the second half of a run on the method's own prediction kappa x/scale."""
    schedule = nd.schedules.VE(1e-100, 1e100)  # alpha = 1
    log_snr = h * (np.arange(steps + 1) - steps / 2)
    levels = [Level(float(schedule.time(s)), 1.0, float(np.exp(-s)), 0.0) for s in log_snr]
    program = list(method.discretize(schedule, levels))
    noise = (method.formulation or NOISE_RATIO).prediction == "noise"
    state = [np.ones(np.size(kappa)), *[None] * (program[0].registers - 1)]
    sizes = []
    for tableau in program:
        state = nd.step(tableau, state, lambda x, level: kappa * x / (level.sigma if noise else level.alpha))
        sizes.append(np.abs(state[0]))
    # a pair of roots beats: compare maxima; the last steps of a run may differ
    blocks = np.array(sizes)[-steps // 2 - 4 : -4].reshape(2, steps // 4, -1).max(axis=1)
    return (blocks[1] / blocks[0]) ** (4 / steps)


def iterated(tableau, z, steps=240):
    """Growth per step of random registers under f = z Y."""
    state = list(np.random.default_rng(2).standard_normal((tableau.registers, 1)))
    total = []
    for _ in range(steps):
        state = nd.step(tableau, state, lambda Y, level: z * Y)
        size = max(float(np.abs(y).max()) for y in state)
        state = [y / size for y in state]
        total.append(np.log(size))
    return np.exp(np.mean(total[steps // 2 :]))


# --- the executor on the diffusion test problem ---


@pytest.mark.parametrize("name", zoo.by_weight(MEMBERS))
def test_the_executor_is_bounded_inside_and_grows_outside(name):
    method = MEMBERS[name]
    try:
        low, high = map(float, nd.stability.diffusion_interval(method, h=SPACING))
    except ValueError as error:  # a filter that does not settle on these steps
        if "no steady state" not in str(error):
            raise
        return
    neutral = low if low == 0 else high
    assert neutral == (0 if low == 0 else 1)
    other = high if low == 0 else low
    # 2 % beyond the end the root at stake exceeds 1 by a few per mille at least; the parasitic ones have decayed
    inward = 0.05 if low == 0 else -0.05
    kappa = np.array([0.98 * other, neutral + inward, 1.02 * other, neutral - inward])
    factors = growth(method, kappa, SPACING)
    assert (factors[:2] < 1).all()
    assert (factors[2:] > 1.002).all()


def test_half_rule_with_heavy_ball():
    low, high = nd.stability.diffusion_interval(HALF)
    assert high == 1
    assert sp.cancel(low / sp.coth(H / 2) + (2 - BETA) / (2 * BETA)) == 0


@settings(max_examples=20)
@given(st.floats(0.05, 3), st.fractions(Fraction(1, 10), Fraction(19, 10), max_denominator=20))
def test_half_rule_against_the_numeric_region(h, beta):
    low, high = nd.stability.diffusion_interval(HALF)
    low = float(low.subs({BETA: sp.Rational(beta), H: h}))
    method = nd.HeavyBall(nd.DPMSolverPP(2, rule="half"), beta=beta)
    points = np.array([low * (1 + 1e-9), low * (1 - 1e-9), float(high) - 1e-9, float(high) + 1e-9])
    assert nd.stability.region(method, points, h=h).tolist() == [False, True, True, False]


def test_ddim_is_one_method_in_every_formulation():
    ends = set()
    for formulation in (NOISE_RATIO, NOISE_LOG_SNR, DATA_RATIO, DATA_LOG_SNR):
        low, high = nd.stability.diffusion_interval(nd.DDIM(formulation))
        ends.add(low if formulation.prediction == "data" else 1 - high)
        assert nd.stability.diffusion_polynomial(nd.DDIM(formulation)) == nd.stability.diffusion_polynomial(nd.DDIM())
    assert all(sp.cancel((end + sp.coth(H / 2)).rewrite(sp.exp)) == 0 for end in ends)


def test_short_steps_give_the_classical_interval():
    # h kappa tends to the z of the classical real interval as h tends to 0
    for k in (1, 2, 3):
        x = nd.stability.real_interval(nd.AdamsBashforth(k))
        for formulation in (NOISE_RATIO, NOISE_LOG_SNR, DATA_LOG_SNR):
            low, high = nd.stability.diffusion_interval(nd.AdamsBashforth(k, formulation), h=Fraction(1, 10**6))
            assert float(high - low) * 1e-6 == pytest.approx(float(x), rel=1e-5)


def test_a_filter_that_does_not_settle():
    assert nd.stability.diffusion_interval(nd.GHVB(3, Fraction(4, 5)), h=Fraction(3, 4))[1] > 0  # e^{-3/2} > 1/5
    with pytest.raises(ValueError, match="no steady state"):
        nd.stability.diffusion_interval(nd.GHVB(3, Fraction(4, 5)), h=1)


@pytest.mark.parametrize("order", [2, 3])
def test_symbolic_damping_agrees_with_numbers(order):
    formula = nd.stability.diffusion_interval(nd.GHVB(order, BETA))[1]
    for beta, h in ((Fraction(4, 5), Fraction(1, 3)), (Fraction(7, 5), Fraction(1, 4))):
        number = nd.stability.diffusion_interval(nd.GHVB(order, beta), h=h)[1]
        assert float(number) == pytest.approx(
            float(formula.subs({BETA: sp.Rational(beta), H: sp.Rational(h)})), rel=1e-12
        )


def test_long_steps_can_lose_the_neighbourhood_of_one():
    third = nd.DPMSolverPP(3)
    with pytest.raises(ValueError, match="could not be proved"):
        nd.stability.diffusion_interval(third)
    assert nd.stability.diffusion_interval(third, h=(0, 1))[1] == 1
    fourth = nd.stability.diffusion_interval(nd.DPMSolverPP(4), h=3)
    assert float(fourth[1]) < 0.5
    inside, outside = growth(nd.DPMSolverPP(4), float(fourth[1]) * np.array([0.98, 1.02]), 3.0)
    assert inside < 1 < outside


def test_weak_methods():
    # leapfrog: steps in rho shrink with it, so that its second root is e^{-h} and not 1 in size
    leapfrog = nd.HeavyBall(nd.DDIM(), beta=2)
    assert nd.stability.diffusion_interval(leapfrog) == (0, 1)
    inside, outside = growth(leapfrog, np.array([0.98, 1.02]), SPACING)
    assert inside < 1 < outside
    # in log-SNR they do not, and nothing is left
    low, _ = nd.stability.diffusion_interval(nd.HeavyBall(nd.DPMSolverPP(2, rule="half"), beta=Fraction(2)), h=(0, 9))
    assert low == 0


def test_the_domain_bends_for_the_damping_of_the_filter_only():
    # the outer damping is not bound by the filter of the base
    wrapped = nd.HeavyBall(nd.GHVB(2, Fraction(4, 5)), beta=BETA)
    alone = nd.stability.diffusion_interval(wrapped, h=Fraction(1, 2))[1]
    number = nd.stability.diffusion_interval(nd.HeavyBall(wrapped.base, beta=Fraction(1, 10)), h=Fraction(1, 2))[1]
    assert float(alone.subs(BETA, sp.Rational(1, 10))) == pytest.approx(float(number), rel=1e-12)


# --- intervals in z ---


@pytest.mark.parametrize("name", [n for n, m in nd.methods().items() if m.kernel == 0])
def test_iterated_steps_just_inside_and_outside_the_real_interval(name):
    method = nd.methods()[name]
    x = float(nd.stability.real_interval(method))
    tableau = method.steady().to_float()
    assert iterated(tableau, -x * 0.98) < 1
    assert iterated(tableau, -x * 1.02) > 1.001


@pytest.mark.parametrize("name", [n for n, m in nd.methods().items() if m.kernel < 0])
def test_iterated_exponential_steps(name):
    method = nd.methods()[name]
    x = float(nd.stability.real_interval(method, h=Fraction(1, 2)))
    assert x == pytest.approx(float(nd.stability.real_interval(method, h=0.5)), rel=1e-9)
    tableau = method.steady(0.5).to_float()
    assert iterated(tableau, -x * 0.98) < 1
    assert iterated(tableau, -x * 1.02) > 1.001


def test_intervals_with_the_step_length_as_a_symbol():
    assert nd.stability.real_interval(nd.DPMSolverPP(1)) == sp.coth(H / 2)
    assert nd.stability.imaginary_interval(nd.DPMSolverPP(1)) ** 2 == sp.coth(H / 2)
    formula = nd.stability.real_interval(nd.DPMSolverPP(2))
    for h in (0.1, 1.0, 5.0):
        assert float(formula.subs(H, h)) == pytest.approx(float(nd.stability.real_interval(nd.DPMSolverPP(2), h=h)))


def test_imaginary_intervals_at_an_exact_step_length():
    y = float(nd.stability.imaginary_interval(nd.DPMSolverPP(2), h=Fraction(1, 2)))
    inside = nd.stability.region(nd.DPMSolverPP(2), 1j * y * np.array([0.5, 1 - 1e-9, 1 + 1e-9]), h=0.5)
    assert inside.tolist() == [True, True, False]


def test_fast_enough():
    start = perf_counter()
    nd.stability.diffusion_interval(
        nd.HeavyBall(nd.DPMSolverPP(3), beta=sp.Symbol("b")), h=(0, Fraction(1, 10)), domain=(1, 2)
    )
    assert perf_counter() - start < 2


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda f: f("AB2"), TypeError, "must be a method"),
        (lambda f: f(nd.FlowEuler()), ValueError, "works in time on the velocity"),
        (lambda f: f(nd.DDIM(), h=0), ValueError, "positive"),
        (lambda f: f(nd.DDIM(), h="1"), TypeError, "rational number or a float"),
        (lambda f: f(nd.DDIM(), h=(1, 0)), ValueError, "low < high"),
        (lambda f: f(nd.DDIM(), h=float("nan")), TypeError, "rational number or a float"),
        (lambda f: f(nd.GHVB(2, BETA), domain=(2, 0)), ValueError, "low < high"),
        (lambda f: f(nd.GHVB(2, BETA * sp.Symbol("a"))), ValueError, "one symbolic damping"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call(nd.stability.diffusion_interval)
