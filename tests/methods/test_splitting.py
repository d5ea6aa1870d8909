"""Splitting methods are their recursions, with the orders, stability limits, costs and ends that they claim."""

import functools
import pickle
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
from scipy.integrate import solve_ivp

import numdiff as nd
from numdiff.executor import step
from numdiff.level import Level
from numdiff.methods import butcher
from numdiff.methods.splitting import LTSP, STSP, MultistepSplitting, Strang
from numdiff.properties.order.partitioned import additive_residuals, principal_defect
from numdiff.properties.stability.split import W, split_interval, split_polynomial, split_region
from numdiff.symbolic.polynomials import ZETA, Z, stability_polynomial
from tests.peers import MIXTURE

SCHEDULE = nd.schedules.VPLinear()
START, END = 0.7, 0.25
X = MIXTURE.sample_level(8, SCHEDULE.level(START), 1)
GRID = np.array([0.7, 0.61, 0.57, 0.45, 0.41, 0.3, 0.25])
WAYS = [("first", "start"), ("last", "start"), ("last", "end"), ("both", "end"), ("both", "start")]
PUBLISHED = [MultistepSplitting(nd.AdamsBashforth(k), c, at) for k in (1, 3) for c, at in WAYS]


def run(method, grid=GRID, x=X, schedule=SCHEDULE, prediction="noise", scale=2.5, component=1, **options):
    scheme = method.discretize(schedule, grid, **options)
    model, g = MIXTURE.model(schedule, prediction), MIXTURE.condition(schedule, component, scale, prediction)
    fields = {"condition": g} if isinstance(method, MultistepSplitting | Strang) else None
    if fields is None:
        return nd.sample(scheme, lambda x, t: model(x, t) + g(x, t), x, prediction=prediction)
    return nd.sample(scheme, model, x, prediction=prediction, fields=fields)


def eps(y, level):
    return MIXTURE.noise(level.alpha * y, level)


def gradient(y, level, scale=2.5):
    """Classifier guidance in noise units on the scaled sample."""
    return -scale * level.sigma * MIXTURE.component_score(level.alpha * y, level, 1)


# --- the recursions, written out --------------------------------------------------------------------------------------


def adams_weights(rho, n, k, uniform):
    """Weights of the polynomial through the newest points, by solving for the moments."""
    count, d = min(k, n + 1), rho[n + 1] - rho[n]
    nodes = np.array([-j if uniform else (rho[n - j] - rho[n]) / d for j in range(count)])
    return np.linalg.solve(np.vander(nodes, increasing=True).T, 1 / np.arange(1, count + 1))


@pytest.mark.parametrize("k", [1, 4])
@pytest.mark.parametrize("weights", ["uniform", "variable"])
@pytest.mark.parametrize(("condition", "at"), WAYS)
def test_the_splittings_are_their_recursions(k, weights, condition, at):
    levels = [SCHEDULE.level(t) for t in GRID]
    rho = [level.sigma / level.alpha for level in levels]
    y, history = X / levels[0].alpha, []
    share = 0.5 if condition == "both" else 1.0
    for n, level in enumerate(levels[:-1]):
        d = rho[n + 1] - rho[n]
        z = y if condition == "last" else y + share * d * gradient(y, level)
        history.insert(0, eps(z, level))
        a = adams_weights(rho, n, k, weights == "uniform")
        y = z + d * sum(w * e for w, e in zip(a, history, strict=False))
        if condition != "first":
            y = y + share * d * gradient(y, levels[n + 1] if at == "end" else level)
    family = STSP(k, weights=weights, at=at)
    method = family if condition == "both" else LTSP(k, weights=weights, condition=condition, at=at)
    np.testing.assert_allclose(run(method), levels[-1].alpha * y, rtol=1e-10)


@pytest.mark.parametrize("k", [1, 4])
@pytest.mark.parametrize("formulation", ["noise/ratio", "noise/log-snr", "data/log-snr", "data/ratio", "velocity/time"])
def test_without_a_condition_the_base_is_left(k, formulation):
    base = nd.AdamsBashforth(k, formulation)
    for method in (LTSP(k, formulation=formulation), LTSP(k, condition="first", base=base), STSP(base=base)):
        np.testing.assert_allclose(run(method, scale=0.0), run(base, scale=0.0), rtol=1e-12)


@pytest.mark.parametrize("base", [nd.HeavyBall(nd.AdamsBashforth(3), 0.8), nd.GHVB(3, 0.7)], ids=str)
def test_momentum_acts_on_the_model_alone(base):
    np.testing.assert_allclose(run(LTSP(base=base), scale=0.0), run(base, scale=0.0), rtol=1e-12)


def test_strang_is_three_flows():
    first, last = SCHEDULE.level(0.6), SCHEDULE.level(0.5)
    rho = [level.sigma / level.alpha for level in (first, last)]

    def at(s):
        return SCHEDULE.level(SCHEDULE.time(-np.log(s)))

    def midpoint(f, y, a, b):
        return y + (b - a) * f(y + (b - a) / 2 * f(y, at(a)), at((a + b) / 2))

    middle, y0 = sum(rho) / 2, X / first.alpha
    y = midpoint(gradient, midpoint(eps, midpoint(gradient, y0, rho[0], middle), *rho), middle, rho[1])
    np.testing.assert_allclose(run(Strang(), [0.6, 0.5]), last.alpha * y, rtol=1e-10)
    y = midpoint(eps, midpoint(gradient, midpoint(eps, y0, rho[0], middle), *rho), middle, rho[1])
    np.testing.assert_allclose(run(Strang(outer="model"), [0.6, 0.5]), last.alpha * y, rtol=1e-10)


# --- guidance ---------------------------------------------------------------------------------------------------------


def test_classifier_and_classifier_free_guidance_are_one_field():
    for t in (0.2, 0.5, 0.9):
        level = SCHEDULE.level(t)
        model_time = level.model_time
        g = MIXTURE.condition(SCHEDULE, 1, 3.0)
        wanted = -3.0 * level.sigma * MIXTURE.component_score(X, level, 1)
        np.testing.assert_allclose(g(X, model_time), wanted, rtol=1e-8, atol=1e-12)
        guided = MIXTURE.model(SCHEDULE)(X, model_time) + g(X, model_time) / 3
        np.testing.assert_allclose(
            guided, MIXTURE.conditional(1).model(SCHEDULE)(X, model_time), rtol=1e-10, atol=1e-12
        )


@pytest.mark.parametrize("method", [LTSP(3), LTSP(3, condition="first"), STSP(3), Strang()], ids=str)
def test_what_the_model_predicts_does_not_matter(method):
    noise = run(method)
    for prediction in ("data", "v", "velocity", "score"):
        np.testing.assert_allclose(run(method, prediction=prediction), noise, rtol=1e-9)


# --- orders -----------------------------------------------------------------------------------------------------------


@functools.cache
def guided_flow(scale):
    ends = [SCHEDULE.level(t) for t in (START, END)]
    rho = [level.sigma / level.alpha for level in ends]

    def slope(s, y):
        level, y = SCHEDULE.level(SCHEDULE.time(-np.log(s))), y.reshape(X.shape)
        return (eps(y, level) + gradient(y, level, scale)).ravel()

    found = solve_ivp(slope, rho, (X / ends[0].alpha).ravel(), method="DOP853", rtol=1e-10, atol=1e-12)
    return ends[1].alpha * found.y[:, -1].reshape(X.shape)


def observed(method, steps, pattern=(1.0, 1.7, 1.2), scale=2.5):
    errors = []
    for n in (steps, 2 * steps):
        s = np.cumsum([0.0, *np.tile(pattern, n // len(pattern))])
        grid = START + (END - START) * s / s[-1]
        errors.append(np.sqrt(np.mean((run(method, grid, scale=scale) - guided_flow(scale)) ** 2)))
    return np.log2(errors[0] / errors[1])


@pytest.mark.parametrize("method", [LTSP(2), LTSP(4), LTSP(4, condition="first"), STSP(4)], ids=str)
def test_published_splittings_have_order_one_and_no_more(method):
    assert method.order == 1
    assert abs(observed(method, 192) - 1) < 0.2


@pytest.mark.parametrize("formulation", [None, "data/ratio", "velocity/time"])
@pytest.mark.parametrize("method", [Strang(), Strang(butcher.HEUN, outer="model")], ids=str)
def test_strang_has_order_two(method, formulation):
    method = Strang(method.butcher, formulation, method.outer)
    assert abs(observed(method, 48) - 2) < 0.3


@pytest.mark.parametrize("k", [1, 2, 4, 8])
@pytest.mark.parametrize(("condition", "at"), WAYS)
def test_a_term_that_no_multistep_formula_removes(k, condition, at):
    """The principal root differs from e^{z+w} at degree two for every k; from k = 2 on the difference is the same."""
    order, defect = principal_defect(MultistepSplitting(nd.AdamsBashforth(k), condition, at), 2)
    assert order == 1
    square = W**2 * (Fraction(1, 4) if condition == "both" else 0)  # what two Euler halves make of e^w = 1 + w + w^2/2
    wanted = square - W**2 / 2 + (Z * W / 2 if k > 1 else -(Z**2) / 2)
    assert sp.expand(defect - wanted) == 0


@pytest.mark.parametrize("k", [2, 3])
def test_exact_flows_of_the_condition_do_not_help(k):
    """With F = e^w for 1 + w the term z w/2 stays: the history follows the trajectory of both fields."""
    t = sp.Symbol("t")
    a = nd.AdamsBashforth(k).coefficients()
    wanted = sp.exp(t * (Z + W))
    mix = sum(c * sp.exp(-i * t * (Z + W)) for i, c in enumerate(map(sp.nsimplify, a)))
    residual = sp.exp(t * W) * (1 + t * Z * mix) - wanted
    assert sp.expand(sp.series(residual, t, 0, 3).removeO() - t**2 * Z * W / 2) == 0


@pytest.mark.parametrize("k", [2, 3])
def test_the_unsplit_method_keeps_its_order(k):
    order, defect = principal_defect(nd.AdamsBashforth(k), k + 1)
    assert order == k
    assert sp.rem(defect, Z + W, Z) == 0


@pytest.mark.parametrize("outer", ["condition", "model"])
@pytest.mark.parametrize("array", [butcher.MIDPOINT, butcher.HEUN, butcher.RALSTON, butcher.KUTTA3, butcher.RK4])
def test_strang_satisfies_all_conditions_of_order_two(array, outer):
    method = Strang(array, outer=outer)
    residuals = additive_residuals(method, method.coefficients().c)
    assert len(residuals) == 8
    assert set(residuals.values()) == {0}
    assert principal_defect(method, 3)[0] >= 2


def test_one_step_lie_splitting_fails_the_conditions():
    residuals = additive_residuals(LTSP(1))
    assert residuals["",] == residuals["condition",] == 0
    assert residuals["", "condition"] == -Fraction(1, 2)  # the model comes first and sees nothing of the condition
    assert residuals["condition", ""] == Fraction(1, 2)
    with pytest.raises(ValueError, match="has memory"):
        additive_residuals(LTSP(2))


# --- stability --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 2, 4, 6])
@pytest.mark.parametrize(("condition", "at"), WAYS)
def test_the_stability_polynomial_is_the_recursion(k, condition, at):
    a = nd.AdamsBashforth(k).coefficients()
    factor = (1 + W / 2) ** 2 if condition == "both" else 1 + W
    recursion = ZETA**k - factor * (
        ZETA ** (k - 1) + Z * sum(sp.nsimplify(c) * ZETA ** (k - 1 - i) for i, c in enumerate(a))
    )
    found = split_polynomial(MultistepSplitting(nd.AdamsBashforth(k), condition, at))
    assert sp.expand(found.as_expr() - recursion) == 0


def test_the_unsplit_polynomial_depends_on_the_sum():
    found = split_polynomial(nd.AdamsBashforth(4)).as_expr()
    alone = nd.stability.polynomial(nd.AdamsBashforth(4)).as_expr()
    assert sp.expand(found - alone.subs(Z, Z + W)) == 0


@pytest.mark.parametrize("method", [LTSP(3), STSP(2), LTSP(2, formulation="data/log-snr"), Strang()], ids=str)
def test_one_eigenvalue_for_both_fields_is_the_plain_polynomial(method):
    found = split_polynomial(method).as_expr().subs(W, Z)
    assert sp.expand(found - stability_polynomial(method.steady()).as_expr()) == 0
    with pytest.raises(ValueError, match=r"evaluates the fields .*; use nd.stability.split_polynomial"):
        nd.stability.polynomial(method)


@pytest.mark.parametrize("formulation", ["data/log-snr", "noise/log-snr"])
def test_exponential_bases_are_left_where_there_is_no_condition(formulation):
    base = nd.AdamsBashforth(2, formulation)
    found = split_polynomial(STSP(base=base)).as_expr().subs(W, 0)
    difference = found - nd.stability.polynomial(base).as_expr()
    assert all(sp.simplify(c) == 0 for c in sp.Poly(difference, ZETA, Z).coeffs())
    with pytest.raises(ValueError, match="rational"):
        split_interval(STSP(base=base))
    # the condition alone multiplies by e^{ch} + w (e^{ch} - 1)/c: unstable next to w = 0 for c > 0, else down to -1
    wanted = 0 if base.kernel > 0 else 1 / np.tanh(0.05)
    assert abs(float(split_interval(LTSP(base=base), h=0.1)) - wanted) < 1e-9


def test_the_limits_of_the_guidance():
    assert split_interval(nd.AdamsBashforth(4)) == sp.Rational(3, 10)
    for k in range(1, 7):
        assert split_interval(LTSP(k)) == 2
        assert split_interval(STSP(k)) == 4


def test_regions_agree_with_the_intervals():
    w = -np.linspace(0.05, 5, 60)
    for method in (nd.AdamsBashforth(4), LTSP(4), STSP(4), Strang()):
        for z in (Fraction(0), Fraction(-1, 10)):
            limit = float(split_interval(method, z=z))
            np.testing.assert_array_equal(split_region(method, float(z), w), -w <= limit)
    with pytest.raises(ValueError, match="finite"):
        split_region(LTSP(2), np.nan, 0)
    with pytest.raises(ValueError, match="rational"):
        split_interval(LTSP(2), z=sp.pi)


# --- exact runs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [*PUBLISHED[5:], Strang(), Strang(butcher.HEUN, outer="model")], ids=str)
def test_a_run_on_linear_fields_is_a_product_of_matrices(method):
    """All in Fractions: a unit Gaussian, e = sigma x and g = -scale sigma x; for Strang e = t x and g = -scale t x."""
    sides = [(3, 4, 5), (5, 12, 13), (4, 3, 5), (12, 5, 13), (15, 8, 17), (24, 7, 25)]
    circle = sorted((Fraction(a, c), Fraction(b, c)) for a, b, c in sides)
    if isinstance(method, Strang):
        times = (Fraction(1), Fraction(3, 4), Fraction(2, 3), Fraction(1, 5))
        tableaus, gain = method.program([Level.of_time(t) for t in times], nd.VELOCITY_TIME), lambda level: level.time
    else:
        levels = [Level(Fraction(n), *point, model_time=Fraction(n)) for n, point in enumerate(circle)]
        tableaus, gain = method.program(levels, nd.NOISE_RATIO), lambda level: level.sigma
    gains = [
        [gain(level) * (Fraction(-3, 2) if tag else 1) for level, tag in zip(t.levels, t.tags, strict=True)]
        for t in tableaus
    ]
    product, y = sp.eye(tableaus[0].registers), [Fraction(1), *[Fraction(0)] * (tableaus[0].registers - 1)]
    for tableau, row in zip(tableaus, gains, strict=True):
        A, U, B, V = (sp.Matrix(getattr(tableau, name)).applyfunc(sp.nsimplify) for name in "AUBV")
        D = sp.diag(*map(sp.nsimplify, row))
        product = (V + B * D * (sp.eye(tableau.stages) - A * D).inv() * U) * product
        order = iter(row)
        y = step(tableau, y, lambda Y, level, order=order: next(order) * Y)
    assert all(type(v) in (Fraction, int) for v in y)
    assert product[:, 0] == sp.Matrix(y).applyfunc(sp.nsimplify)


# --- ends and doors ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("formulation", [None, "data/log-snr", "data/ratio"])
@pytest.mark.parametrize("method", [LTSP(3), LTSP(3, condition="first"), LTSP(3, at="end"), STSP(3), Strang()], ids=str)
def test_runs_reach_sigma_zero_without_evaluating_anything_there(method, formulation):
    if isinstance(method, Strang):
        if formulation == "data/log-snr":
            formulation = None
        method = Strang(formulation=formulation)
    else:
        method = MultistepSplitting(nd.AdamsBashforth(3, formulation), method.condition, method.at)
    grid = [0.7, 0.5, 0.3, 0.15, 0.05, 0.0]
    scheme = method.discretize(SCHEDULE, grid)
    assert all(level.sigma > 0 for tableau in scheme for level in tableau.levels)
    assert np.isfinite(run(method, grid)).all()
    if formulation and formulation.startswith("data"):  # the last step returns the guided denoised estimate
        path = nd.sample(
            scheme,
            MIXTURE.model(SCHEDULE),
            X,
            fields={"condition": MIXTURE.condition(SCHEDULE, 1, 1.0)},
            trajectory=True,
        )
        wanted = MIXTURE.conditional(1).denoise(path[-2], SCHEDULE.level(0.05))
        np.testing.assert_allclose(path[-1], wanted, rtol=1e-9)


@pytest.mark.parametrize("method", [LTSP(3), STSP(3), Strang()], ids=str)
def test_flow_schedules_run_from_pure_noise_to_data(method):
    schedule = nd.schedules.Flow()
    x = np.random.default_rng(0).standard_normal((5, 2))
    found = run(method, np.linspace(1, 0, 101), x, schedule, "flow", 1.0)
    wanted = MIXTURE.conditional(1).flow(schedule, x, 1.0, 0.0).x
    assert np.abs(found - wanted).max() < 0.05
    with pytest.raises(ValueError, match="does not determine"):
        run(method, np.linspace(1, 0, 20), x, schedule, "noise", 1.0)


@pytest.mark.parametrize("method", [*PUBLISHED, Strang()], ids=str)
def test_claims_of_cost_are_true(method):
    scheme = method.discretize(SCHEDULE, GRID)
    assert scheme.nfe == method.nfe(6) == 6 * method.stages
    assert sum(method.evaluations.values()) == method.stages
    assert scheme.nfe == 6 * (6 if isinstance(method, Strang) else 3 if method.condition == "both" else 2)
    copy = pickle.loads(pickle.dumps(method))
    assert (copy, hash(copy), str(copy)) == (method, hash(method), method.name)


def test_tensors_give_gradients_with_respect_to_times():
    torch = pytest.importorskip("torch")
    for method in (LTSP(2), STSP(2), Strang()):
        grid = torch.tensor([0.7, 0.5, 0.3], dtype=torch.float64, requires_grad=True)
        scheme = method.discretize(SCHEDULE, list(grid))
        x = torch.tensor(X)
        found = nd.sample(scheme, MIXTURE.model(SCHEDULE), x, fields={"condition": MIXTURE.condition(SCHEDULE, 1)})
        (slope,) = torch.autograd.grad(found.sum(), grid)
        assert bool(slope.isfinite().all())
        assert bool((slope != 0).any())


@pytest.mark.parametrize("method", [*PUBLISHED[5:], Strang(), Strang(outer="model")], ids=str)
def test_inversion_runs_the_method_backwards(method):
    fields = {"condition": MIXTURE.condition(SCHEDULE, 1, 0.5)}
    scheme = method.discretize(SCHEDULE, np.linspace(0.5, 0.3, 101))
    x = MIXTURE.sample_level(6, SCHEDULE.level(0.3), 2)
    back = nd.invert(scheme, MIXTURE.model(SCHEDULE), x, fields=fields)
    again = nd.sample(scheme, MIXTURE.model(SCHEDULE), back, fields=fields)
    assert np.abs(again - x).max() < 0.05


def test_bad_input_is_refused_at_the_door():
    with pytest.raises(TypeError, match="multistep"):
        MultistepSplitting(nd.Heun())
    with pytest.raises(ValueError, match="noise"):
        MultistepSplitting(nd.AdamsBashforth(2, nd.sde.stochastic("data/log-snr", tau=1)))
    with pytest.raises(ValueError, match="condition must be one of"):
        LTSP(2, condition="middle")
    with pytest.raises(ValueError, match="where the step starts"):
        LTSP(2, condition="first", at="end")
    with pytest.raises(ValueError, match="order 2 or more"):
        Strang(butcher.EULER)
    with pytest.raises(TypeError, match="array"):
        Strang("midpoint")
    with pytest.raises(ValueError, match="without kernel"):
        Strang(formulation="data/log-snr")
    with pytest.raises(ValueError, match="outer"):
        Strang(outer="classifier")
    for start in ("exact", "runge-kutta"):
        with pytest.raises(ValueError, match="order 1"):
            LTSP(2).discretize(SCHEDULE, GRID, start=start)
    with pytest.raises(ValueError, match="condition"):
        nd.sample(LTSP(2).discretize(SCHEDULE, GRID), MIXTURE.model(SCHEDULE), X)
