"""The order of a run: leading terms against high-precision runs, what limits the order, and the slopes one observes."""

from fractions import Fraction
from itertools import pairwise

import mpmath
import numpy as np
import pytest
import sympy as sp

import numdiff as nd
from numdiff.formulations import VELOCITY_TIME
from numdiff.methods.layout import Layout
from numdiff.properties.order.run_steps import RHO, STEP, T
from tests import zoo

BETA = sp.Symbol("beta", positive=True)
CLASSICAL = {name: method for name, method in nd.methods().items() if not method.kernel}
MULTISTEP = {name: method for name, method in CLASSICAL.items() if not isinstance(method, nd.RungeKutta)}
DIFFERENT = [name for name in MULTISTEP if "/ratio" not in name or "uniform" in name]  # on a plain ODE


@pytest.fixture(autouse=True)
def digits():
    """High-precision runs carry 30 digits."""
    with mpmath.workdps(30):
        yield


def number(x):
    """An exact coefficient in 30 digits."""
    return mpmath.mpf(x.numerator) / x.denominator if isinstance(x, (int, Fraction)) else mpmath.mpf(x)


def high_precision(method, times, start):
    """y(t_N) of y' = -y, y(0) = 1, by the executor's step on the tableaus of the method's own program."""
    levels = tuple(map(nd.Level.of_time, times))
    layout = Layout(method, None, levels, VELOCITY_TIME, start, None, (method.points,) * (len(times) - 1))
    given = {level.time for level in levels[1 : layout.exact_starts + 1]}
    y = None
    for tableau in method._program(layout):
        y = y or [mpmath.mpf(1), *[mpmath.mpf(0)] * (tableau.registers - 1)]
        if tableau.stages and tableau.levels[0].time in given and not any(tableau.U[0][1:]):
            y[0] = mpmath.exp(-tableau.levels[0].time)
        new = nd.step(tableau.map(number), y, lambda Y, level: -Y)
        y = [mpmath.mpf(0) if value is None else value for value in new]
    return y[0]


def limit(values):
    """Richardson extrapolation of values at h, h/2, h/4, ... with an expansion in powers of h."""
    for power in range(1, len(values)):
        values = [(2**power * b - a) / (2**power - 1) for a, b in pairwise(values)]
    return values[0]


def scaled_error(method, start, end, counts, order, grid):
    """The limit of error(end)/h^order, where `grid` makes times from h and end."""
    values = []
    for n in counts:
        times, h = grid(n, end)
        error = high_precision(method, times, start) - mpmath.exp(-times[-1])
        values.append(error / h**order)
    return limit(values)


def equal(n, end):
    """n steps a unit of time."""
    h = mpmath.mpf(1) / n
    return [i * h for i in range(n * end + 1)], h


def alternating(n, end):
    """Steps of 2/3 h and 4/3 h."""
    h = mpmath.mpf(1) / n
    return [h * (i if i % 2 == 0 else i - 1 + mpmath.mpf(2) / 3) for i in range(n * end + 1)], h


RATE = sp.Rational(1, 2)


def smooth(n, end):
    """Local steps h e^{t/2}: t = -2 log(1 - h i/2)."""
    rho = mpmath.mpf(1) / 2
    h = (1 - mpmath.exp(-rho * end)) / (rho * n * end)
    return [-mpmath.log(1 - rho * h * i) / rho for i in range(n * end + 1)], h


def leading_coefficient(terms, end):
    """The coefficient of the lowest power of h in the predicted error, and the power."""
    order = terms.p if terms.k == terms.last == 0 else terms.q
    error = terms.error.subs({T: end, RHO: RATE})
    return float(sp.series(error, STEP, 0, order + 1).removeO().coeff(STEP, order)), order


@pytest.mark.parametrize("start", ["lower", "runge-kutta"])
@pytest.mark.parametrize("name", zoo.by_weight(DIFFERENT))
def test_leading_terms_are_what_high_precision_runs_tend_to(name, start):
    method = MULTISTEP[name]
    terms = nd.order.of_run(method, start=start).constant
    want, order = leading_coefficient(terms, 1)
    assert float(scaled_error(method, start, 1, (16, 32, 64), order, equal)) == pytest.approx(want, rel=5e-3, abs=1e-4)


@pytest.mark.parametrize(
    "method", [nd.AdamsBashforth(4), nd.GHVB(2, Fraction(4, 5)), nd.PredictorCorrector(2)], ids=str
)
@pytest.mark.parametrize("start", ["exact", "runge-kutta"])
def test_the_start_does_not_grow_and_the_steps_add_up(method, start):
    """error e^T = k h^q + C T h^p at T = 1 and T = 2 tells k and C apart."""
    terms = nd.order.of_run(method, start=start).constant
    one, two = (scaled_error(method, start, end, (16, 32, 64), terms.p, equal) * mpmath.exp(end) for end in (1, 2))
    k, C = float(terms.k + terms.last), float(terms.C)
    assert float(two - one) == pytest.approx(C, rel=1e-3)
    assert float(2 * one - two) == pytest.approx(k, abs=1e-3)


@pytest.mark.parametrize(
    "method",
    [
        nd.PLMS(2),
        nd.PLMS(3),
        nd.GHVB(3, Fraction(4, 5), weights="uniform"),
        nd.AdamsBashforth(3),
        nd.PredictorCorrector(2),
    ],
    ids=str,
)
@pytest.mark.parametrize(("grid", "times"), [("smooth", smooth), ("alternating", alternating)])
def test_leading_terms_on_other_grids(method, grid, times):
    terms = nd.order.of_run(method, start="runge-kutta", grid=grid).constant
    want, order = leading_coefficient(terms, 1)
    counts = (24, 48, 96, 192) if grid == "smooth" else (16, 32, 64, 128)
    assert float(scaled_error(method, "runge-kutta", 1, counts, order, times)) == pytest.approx(want, rel=3e-3)


def test_the_executor_in_doubles_shows_the_same_constant():
    terms = nd.order.of_run(nd.AdamsBashforth(3)).constant
    n = 2000
    error = float(nd.solve_ivp(nd.AdamsBashforth(3), lambda t, y: -y, np.linspace(0, 1, n + 1), 1.0)) - np.exp(-1)
    assert error == pytest.approx(float(terms.error.subs({T: 1, STEP: sp.Rational(1, n)})), rel=2e-3)


@pytest.mark.parametrize("name", zoo.by_weight(MULTISTEP))
def test_what_every_step_adds_is_the_error_constant(name):
    """C = (-1)^p times the error constant: computed minus exact is -C_{p+1}/sigma(1) h^p T x^{(p+1)}."""
    method = MULTISTEP[name]
    if not isinstance(method, nd.PredictorCorrector):
        terms = nd.order.of_run(method, start="exact").constant
        assert sp.simplify(terms.C - (-1) ** terms.p * nd.order.error_constant(method)) == 0


def test_one_euler_step_leaves_half_a_square():
    """x_1 - e^{-h} = 1 - h - e^{-h} = -h^2/2 + ..., and exact weights on exact memory add nothing of that order."""
    for method in (nd.AdamsBashforth(2), nd.AdamsBashforth(3), nd.AdamsBashforth(4), nd.GHVB(3, BETA)):
        terms = nd.order.of_run(method).constant
        assert (terms.k, terms.q) == (-sp.Rational(1, 2), 2)


@pytest.mark.parametrize("method", [nd.GHVB(3, BETA, weights="uniform"), nd.GHVB(4, BETA, weights="uniform")], ids=str)
def test_symbolic_dampings_and_numbers_agree(method):
    found = nd.order.of_run(method).constant
    for beta in (Fraction(1, 3), Fraction(4, 5), 1):
        number = nd.order.of_run(nd.GHVB(method.order, beta, weights="uniform")).constant
        assert (number.q, number.p) == (found.q, found.p)
        assert [sp.cancel(x.subs(BETA, sp.Rational(beta))) for x in (found.k, found.C)] == [number.k, number.C]


def test_the_published_velocity_leaves_order_two_even_on_exact_samples():
    """v_0 = f_0 is not the velocity of a run that has always been there: (1-beta)/beta of a step behind."""
    exact, published = nd.GHVB(3, BETA), nd.GHVB(3, BETA, weights="uniform")
    assert nd.order.of_run(exact, start="exact").order == 3
    run = nd.order.of_run(published, start="exact")
    assert (run.order, run.causes[0].name) == (2, "start-up")
    assert "velocity" in run.limiter
    assert run.constant.k.subs(BETA, 1) == 0


@pytest.mark.parametrize("given", ["ab2", nd.AdamsBashforth(2).steady()], ids=["name", "tableau"])
def test_what_has_no_step_on_a_geometric_grid_is_no_method(given):
    with pytest.raises(TypeError, match=r"method must be a method such as nd.AdamsBashforth\(2\), got "):
        nd.order.grid_sensitivity(given)


@pytest.mark.parametrize("method", [nd.PLMS(k) for k in (3, 4, 5)] + [nd.GHVB(4, BETA, weights="uniform")], ids=str)
def test_weights_for_equal_steps_lose_a_twelfth_on_smooth_grids(method):
    assert nd.order.grid_sensitivity(method) == -sp.Rational(1, 12)
    assert nd.order.of_run(method, start="runge-kutta", grid="smooth").constant.C == -RHO / 12


@pytest.mark.parametrize("name", zoo.by_weight(MULTISTEP))
def test_orders_on_grids(name):
    method = MULTISTEP[name]
    uniform = "uniform" in name and method.order > 1
    for grid, order in (("smooth", 2), ("alternating", 1)):
        run = nd.order.of_run(method, start="runge-kutta", grid=grid)
        velocity = uniform and name.startswith("GHVB")
        want = min(order if uniform else method.order, method.order, 2 if velocity else method.order)
        assert run.order == want, grid
    if method.order > 1:
        assert (nd.order.grid_sensitivity(method) == 0) == (not uniform)


@pytest.mark.parametrize(
    ("method", "start", "grid"),
    [
        (nd.PLMS(3), "runge-kutta", "uniform"),
        (nd.PLMS(3), "runge-kutta", "smooth"),
        (nd.PLMS(3), "runge-kutta", "alternating"),
        (nd.AdamsBashforth(3), "runge-kutta", "alternating"),
        (nd.AdamsBashforth(3), "lower", "uniform"),
        (nd.GHVB(3, Fraction(4, 5)), "runge-kutta", "alternating"),
        (nd.PredictorCorrector(2), "lower", "alternating"),
    ],
    ids=str,
)
def test_observed_orders_on_a_nonlinear_problem(method, start, grid):
    """y' = -y^2, y = 1/(1 + t)."""

    def error(n):
        s = np.arange(n + 1) / n
        if grid == "alternating":
            s[1::2] -= 1 / 3 / n
        times = np.expm1(1.5 * s) / np.expm1(1.5) if grid == "smooth" else s
        return abs(float(nd.solve_ivp(method, lambda t, y: -(y**2), times, 1.0, start=start)) - 0.5)

    want = nd.order.of_run(method, start=start, grid=grid).order
    assert nd.order.observed(error, [40, 80, 160, 320]).slope == pytest.approx(want, abs=0.2)


@pytest.mark.parametrize(
    ("orders", "order", "name"),
    [
        ((1, 2, 3, 4, 4, 4, 4, 4), 2, "start-up"),
        ((2, 2, 3, 4, 4, 4, 4, 4), 3, "start-up"),
        ((4, 4, 4, 4, 4, 4, 2, 1), 2, "lowered orders"),
        ((4, 4, 4, 4, 4, 4, 4, 2), 3, "lowered orders"),
        ((4, 4, 4, 2, 4, 4, 2, 4), 2, "lowered orders"),
        ((3, 3, 3, 3, 3, 3, 3, 3), 3, "lowered orders"),
        ((4, 4, 4, 4, 4, 4, 4, 4), 4, "method"),
    ],
)
def test_lowered_orders(orders, order, name):
    run = nd.order.of_run(nd.AdamsBashforth(4), start="exact", orders=orders)
    assert (run.order, run.causes[0].name) == (order, name)


def test_lowered_orders_show():
    """A last step of order 1 costs order 2; every other step of order 2 costs order 2 as well."""
    method, grid = nd.AdamsBashforth(4), lambda n: np.linspace(0, 1, n + 1)

    def error(orders):
        def run(n):
            scheme = method.discretize(None, grid(n), start="runge-kutta", orders=orders(n))
            y, machine = 1.0, nd.Machine(tuple(nd.executor.native(scheme, "velocity", "velocity")), np.ones(1))
            while (question := machine.ask()) is not None:
                machine.tell(-question.x)
            return abs(machine.sample[0] - np.exp(-y))

        return nd.order.observed(run, [40, 80, 160]).slope

    assert error(lambda n: [4] * (n - 1) + [1]) == pytest.approx(2, abs=0.1)
    assert error(lambda n: [4, 2] * (n // 2)) == pytest.approx(2, abs=0.1)


def test_schemes_tell_their_own_options():
    schedule = nd.schedules.VPLinear()
    grid = nd.grids.uniform_log_snr(schedule, steps=10)
    run = nd.order.of_run(nd.PLMS(4).discretize(schedule, grid, start="runge-kutta"))
    assert (run.order, run.causes[0].name) == (2, "grid")  # equal steps in log-SNR are not equal in sigma/alpha
    run = nd.order.of_run(nd.DPMSolverPP(3).discretize(schedule, grid, start="runge-kutta"))
    assert (run.order, run.constant) == (3, None)
    run = nd.order.of_run(nd.DPMSolverPP(3).discretize(schedule, grid))
    assert (run.order, run.causes[0].name) == (2, "start-up")
    ended = nd.DPMSolverPP(3).discretize(schedule, [*grid, 0.0], start="runge-kutta")
    run = nd.order.of_run(ended)
    assert (run.order, run.causes[0].name) == (2, "last step")
    assert "last positive sigma" in run.limiter
    with pytest.raises(ValueError, match="has its own start"):
        nd.order.of_run(ended, start="lower")


def test_schemes_of_plain_odes_tell_the_pattern_of_their_steps():
    times = np.arange(13.0)
    assert nd.order.of_run(nd.PLMS(3).discretize(None, times, start="runge-kutta")).order == 3
    times[1::2] += 0.2
    assert nd.order.of_run(nd.PLMS(3).discretize(None, times, start="runge-kutta")).order == 1
    assert nd.order.of_run(nd.PLMS(3).discretize(None, np.arange(13.0) ** 1.5, start="runge-kutta")).order == 2


def test_a_denoising_last_step_and_heuns():
    assert nd.order.of_run(nd.AdamsBashforth(3), start="runge-kutta", final="denoise").order == 2
    schedule = nd.schedules.VPLinear()
    ended = nd.Heun().discretize(schedule, [*nd.grids.uniform_log_snr(schedule, steps=5), 0.0])
    assert [cause.name for cause in nd.order.of_run(ended).causes] == ["method", "last step"]


@pytest.mark.parametrize("name", sorted(CLASSICAL))
def test_one_step_methods_need_no_start(name):
    if isinstance(CLASSICAL[name], nd.RungeKutta):
        run = nd.order.of_run(CLASSICAL[name], grid="alternating")
        assert (run.order, run.constant.k) == (CLASSICAL[name].order, 0)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"method": 3}, TypeError, "must be a method or a Scheme"),
        ({"method": nd.PLMS(2), "start": "euler"}, ValueError, "start must be one of"),
        ({"method": nd.PLMS(2), "grid": "random"}, ValueError, "grid must be one of"),
        ({"method": nd.PLMS(2), "final": "euler"}, ValueError, "final must be one of"),
        ({"method": nd.PLMS(2), "orders": (1, 3)}, ValueError, r"orders\[1\] must be an int from 1 to 2"),
    ],
)
def test_bad_input(arguments, error, message):
    with pytest.raises(error, match=message):
        nd.order.of_run(arguments.pop("method"), **arguments)


def test_a_memory_that_never_fades_has_an_order_but_no_leading_terms():
    """At damping 2 (leapfrog) what the start leaves goes on oscillating."""
    leapfrog = nd.HeavyBall(nd.AdamsBashforth(1), 2)
    run = nd.order.of_run(leapfrog)
    assert (run.order, run.constant) == (2, None)
    run = nd.order.of_run(nd.GHVB(3, 2, weights="uniform"), start="exact")
    assert (run.order, run.causes[0].name, run.constant) == (2, "start-up", None)


@pytest.mark.parametrize("k", [3, 4, 5, 6])
def test_what_the_published_velocity_leaves_in_closed_form(k):
    """On exact samples (-1)^(k-1) gamma_{k-1} beta^{k-3} (1-beta) h^2, gamma_j the coefficients of Adams-Bashforth.

    gamma_{k-1} is the error constant of Adams-Bashforth with k - 1 points.
    """
    terms = nd.order.of_run(nd.GHVB(k, BETA, weights="uniform"), start="exact").constant
    gamma = nd.order.error_constant(nd.AdamsBashforth(k - 1))
    assert terms.q == 2
    assert sp.expand(terms.k - (-1) ** (k - 1) * gamma * BETA ** (k - 3) * (1 - BETA)) == 0


def principal_share(method, start, z):
    """K in x_n = K zeta^n + parasitic terms, from the left eigenvector of the steady step on f = z Y."""
    r, n = method.registers, method.points + 2
    steady = method.steady().map(number)
    units = [[mpmath.mpf(i == j) for i in range(r)] for j in range(r)]
    columns = [nd.step(steady, unit, lambda Y, level: z * Y) for unit in units]
    matrix = mpmath.matrix([[columns[j][i] or mpmath.mpf(0) for j in range(r)] for i in range(r)])
    values, left, right = mpmath.eig(matrix, left=True, right=True)
    principal = min(range(r), key=lambda i: abs(values[i] - mpmath.exp(z)))
    u, v = left[principal, :], right[:, principal]
    y = [mpmath.mpf(1), *[mpmath.mpf(0)] * (r - 1)]
    levels = tuple(nd.Level.of_time(mpmath.mpf(i)) for i in range(2 * n + 1))
    layout = Layout(method, None, levels, VELOCITY_TIME, start, None, (method.points,) * (2 * n))
    for tableau, _ in zip(method._program(layout), range(n), strict=False):
        y = [mpmath.mpf(0) if x is None else x for x in nd.step(tableau.map(number), y, lambda Y, level: z * Y)]
    amplitude = sum(a * b for a, b in zip(u, y, strict=True)) / (u * v)[0] * v[0]
    return mpmath.re(amplitude / values[principal] ** n)


@pytest.mark.parametrize("start", ["lower", "runge-kutta"])
@pytest.mark.parametrize(
    "method",
    [
        nd.PLMS(3),
        nd.AdamsBashforth(4),
        nd.GHVB(3, Fraction(1, 2), weights="uniform"),
        nd.GHVB(2, Fraction(4, 5), weights="uniform"),
    ],
    ids=str,
)
def test_the_left_eigenvector_gives_the_same_start(method, start):
    terms = nd.order.of_run(method, start=start).constant
    h = mpmath.mpf(10) ** -4
    found = (principal_share(method, start, -h) - 1) / h**terms.q
    assert float(found) == pytest.approx(float(terms.k), rel=2e-3, abs=1e-4)
