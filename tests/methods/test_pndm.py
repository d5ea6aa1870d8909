"""PNDM's starts and combinations, their orders, and what iPNDM_v's published weights are."""

import itertools

import numpy as np
import pytest
import sympy as sp

import numdiff as nd
from numdiff.methods.pndm import FPNDM, IPNDMV, PNDM, PseudoNumerical
from tests.methods.test_observed_orders import MIXTURE, SCHEDULE, START, X, exact_flow

A, B, C, U = sp.symbols("a b c u", positive=True)


def transfer(start, end, x, e):
    """Liu et al. 2022, eq. 11, as DDIM's step."""
    return end.alpha * (x - start.sigma * e) / start.alpha + end.sigma * e


def test_f_pndm_is_the_papers_algorithm():
    """Liu et al. 2022, eq. 13 in the first three steps (middle at the middle time), then eq. 12."""
    times, x = np.array([0.9, 0.75, 0.6, 0.5, 0.41, 0.3, 0.2]), np.array([0.4, -1.0])
    model = lambda x, t: np.tanh(1.3 * x) * (1 - t) + 0.2 * np.cos(3 * t)  # noqa: E731
    y, history = x, []
    for n, (s, t) in enumerate(itertools.pairwise(map(float, times))):
        here, mid, there = map(SCHEDULE.level, (s, (s + t) / 2, t))
        history.insert(0, model(y, s))
        if n < 3:
            e2 = model(transfer(here, mid, y, history[0]), mid.time)
            e3 = model(transfer(here, mid, y, e2), mid.time)
            e4 = model(transfer(here, there, y, e3), t)
            e = (history[0] + 2 * e2 + 2 * e3 + e4) / 6
        else:
            e = (55 * history[0] - 59 * history[1] + 37 * history[2] - 9 * history[3]) / 24
        y = transfer(here, there, y, e)
    scheme = FPNDM().discretize(SCHEDULE, times)
    np.testing.assert_allclose(nd.sample(scheme, model, x), y, rtol=1e-12)  # six steps, and divisions by alpha
    assert scheme.nfe == FPNDM().nfe(6) == 12 + 3


@pytest.mark.parametrize("warmup", ["heun", "runge-kutta", "lower"])
@pytest.mark.parametrize("points", [1, 2, 4])
def test_claims(warmup, points):
    method = PseudoNumerical(points, warmup)
    assert nd.order.certified(method) == method.order == points
    scheme = method.discretize(SCHEDULE, np.linspace(0.9, 0.2, 9))
    assert scheme.nfe == method.nfe(8)
    assert method.stages == scheme.tableaus[-1].stages == 1


def test_with_lower_start_it_is_plms():
    grid = np.linspace(0.9, 0.2, 9)
    for tableau, other in zip(
        PNDM(warmup="lower").discretize(SCHEDULE, grid), nd.PLMS(4).discretize(SCHEDULE, grid), strict=True
    ):
        assert (tableau.A, tableau.U, tableau.B, tableau.V) == (other.A, other.U, other.B, other.V)


def equal_in(variable, steps):
    """Times whose rho (or angle) is equally spaced, where equal-step weights are right."""
    rho = [SCHEDULE.level(t).rho for t in (START, 0.25)]
    s = np.linspace(*(rho if variable == "rho" else np.arctan(rho)), steps + 1)
    return SCHEDULE.time(-np.log(s if variable == "rho" else np.tan(s)))


def observed(method, variable, steps, **options):
    model, errors = MIXTURE.model(SCHEDULE, "v"), []
    for count in (steps, 2 * steps):
        grid = equal_in(variable, count)
        grid[0], grid[-1] = START, 0.25
        scheme = method.discretize(SCHEDULE, grid, **options)
        at = lambda level: exact_flow(level.time)  # noqa: E731
        found = nd.sample(scheme, model, X, prediction="v", exact=at if options else None)
        errors.append(np.sqrt(np.mean((found - exact_flow(0.25)) ** 2)))
    return np.log2(errors[0] / errors[1])


def test_combining_v_has_order_one_and_combining_noise_four():
    """Each on the grid that suits its weights, with exact starts: nothing but the combination differs."""
    assert observed(PNDM(), "rho", 128, start="exact") > 3.6
    assert abs(observed(PNDM(combine="v"), "angle", 128, start="exact") - 1) < 0.2
    assert PNDM(combine="v").order == 1


def test_combining_v_at_order_one_is_ddim():
    """There is one evaluation to convert, at its own level."""
    grid = np.linspace(0.9, 0.2, 6)
    both = [
        nd.sample(m.discretize(SCHEDULE, grid), MIXTURE.model(SCHEDULE, "v"), X, prediction="v")
        for m in (PNDM(1, combine="v"), nd.DDIM())
    ]
    np.testing.assert_allclose(*both, rtol=0, atol=1e-12)


def test_v_starts_at_alpha_zero_and_ends_at_sigma_zero():
    flow = nd.schedules.Flow()
    scheme = PNDM(combine="v").discretize(flow, np.linspace(1.0, 0.0, 9))
    found = nd.sample(
        scheme, MIXTURE.model(flow, "v"), np.random.default_rng(0).standard_normal((5, 2)), prediction="v"
    )
    assert np.isfinite(found).all()
    with pytest.raises(ValueError, match="formulation noise/ratio cannot start at alpha = 0"):
        PNDM().discretize(flow, np.linspace(1.0, 0.0, 9))


def test_what_it_refuses():
    with pytest.raises(ValueError, match="PNDM4 v has no steady step: it rotates the sample"):
        PNDM(combine="v").steady()
    with pytest.raises(ValueError, match='takes no start="runge-kutta"'):
        PNDM(combine="v").discretize(SCHEDULE, np.linspace(0.9, 0.2, 9), start="runge-kutta")
    with pytest.raises(ValueError, match="needs a schedule"):
        PNDM(combine="v").discretize(None, np.linspace(0.0, 1.0, 9))
    with pytest.raises(ValueError, match="warmup must be one of 'heun', 'runge-kutta', 'lower', got 'rk4'"):
        PNDM(warmup="rk4")
    with pytest.raises(ValueError, match="combine must be one of 'noise', 'v', got 'data'"):
        PNDM(combine="data")


# --- iPNDM_v ----------------------------------------------------------------------------------------------------------

RATIOS = (1 / A, A / B, B / C)


def weights(method):
    return method.coefficients(ratios=RATIOS[: method.points - 1])


def published_in_absolute_steps(h, h1, h2, h3):
    """The four-point weights as the code has them, with steps h, h_1, h_2, h_3."""
    first = (1 - h / (3 * (h + h1)) * (h * (h + h1)) / (h1 * (h1 + h2))) / 2
    second = (1 - h / (3 * (h + h1))) / 2 + (1 - h / (2 * (h + h1))) * h / (6 * (h + h1 + h2))
    second *= (h * (h + h1) * (h + h1 + h2)) / (h1 * (h1 + h2) * (h1 + h2 + h3))
    far = h1 * (h1 + h2) / (h2 * (h2 + h3))
    return (
        (2 + h / h1) / 2 + first + second,
        -h / h1 / 2 - (1 + h1 / h2) * first - (1 + h1 / h2 + far) * second,
        first * h1 / h2 + (h1 / h2 + far * (1 + h2 / h3)) * second,
        -second * far * h1 / h2,
    )


def test_ipndm_v_has_the_published_weights():
    expected = published_in_absolute_steps(sp.Integer(1), A, B, C)
    assert all(sp.simplify(x - y) == 0 for x, y in zip(weights(IPNDMV(4)), expected, strict=True))


def test_two_points_are_exact_and_three_on_equal_steps_only():
    assert all(sp.simplify(x - y) == 0 for x, y in zip(weights(IPNDMV(2)), weights(nd.LMS(2)), strict=True))
    assert IPNDMV(3).coefficients() == nd.AdamsBashforth(3).coefficients()
    found = weights(IPNDMV(3))
    nodes = (0, -A, -A - B)
    moments = [sp.factor(sp.simplify(sum(w * u**m for w, u in zip(found, nodes, strict=True)))) for m in range(3)]
    assert moments[:2] == [1, sp.Rational(1, 2)]
    assert sp.simplify(moments[2] - sp.Rational(1, 3) - (A * (A + B) - A - 1) / 2) == 0  # not 1/3: order 2


def test_four_points_do_not_even_sum_to_one():
    excess = sp.factor(sum(weights(IPNDMV(4))) - 1)
    assert excess.subs(C, B**2 / A).simplify() == 0  # a geometric grid
    assert excess.subs({A: 1, B: 1, C: 2}) == sp.Rational(11, 32) * sp.Rational(2, 3) * (sp.Rational(1, 2) - 1)
    assert nd.order.certified(IPNDMV(4)) == IPNDMV(4).order == 3
    assert nd.order.error_constant(IPNDMV(4)) == sp.Rational(3, 8) - sp.Rational(11, 24)  # as AB3's less its own


def test_three_slips_make_the_difference():
    """The factor outside the bracket and the sign make the exact g_2 and g_3 of Newton's form."""
    g2 = (1 - 1 / (3 * (1 + A))) / 2 * (1 + A) / (A * (A + B))
    assert sp.simplify(g2 - sp.integrate(U * (U + A), (U, 0, 1)) / (A * (A + B))) == 0
    scale = (1 + A) * (1 + A + B) / (A * (A + B) * (A + B + C))
    g3 = ((1 - 1 / (3 * (1 + A))) / 2 - (1 - 1 / (2 * (1 + A))) / (6 * (1 + A + B))) * scale
    assert sp.simplify(g3 - sp.integrate(U * (U + A) * (U + A + B), (U, 0, 1)) / (A * (A + B) * (A + B + C))) == 0


def test_orders_on_any_grid():
    """Proved with symbols for the ratios: the published weights lose one order at three points and all at four."""
    methods = (IPNDMV(2), IPNDMV(3), IPNDMV(4), PNDM(4), nd.LMS(4))
    assert [nd.order.any_grid(method).order for method in methods] == [2, 2, 0, 1, 4]
    with pytest.raises(ValueError, match="PNDM4 v"):
        nd.order.any_grid(PNDM(combine="v"))


@pytest.mark.parametrize(("method", "order"), [(nd.PNDM(), 3), (nd.FPNDM(3), 3), (nd.FPNDM(), 4)], ids=str)
def test_the_order_of_a_run_counts_its_own_start(method, order):
    """Equal steps of a plain ODE, where the middle time is the middle node: Heun's local error is h^3, RK4's h^5."""
    assert nd.order.of_run(method).order == order
    errors = [
        abs(float(nd.solve_ivp(method, lambda t, y: -y, np.linspace(0, 1, n + 1), 1.0)) - np.exp(-1)) for n in (80, 160)
    ]
    assert abs(np.log2(errors[0] / errors[1]) - order) < 0.2
