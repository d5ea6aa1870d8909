"""Stochastic formulations: the exact solution of the linear problem, their ends, number types, noise levels, doors."""

import math
from fractions import Fraction
from itertools import pairwise

import mpmath as mp
import numpy as np
import pytest
import sympy as sp
import torch

import numdiff as nd
from numdiff.methods.predictor_corrector import PredictorCorrector
from numdiff.sde import Eta, Tau, stochastic

VP = nd.schedules.VPLinear()
FORMULATIONS = ("data/log-snr", "noise/log-snr", "noise/ratio")
every_formulation = pytest.mark.parametrize("formulation", FORMULATIONS)
HERE, THERE = VP.level(0.6), VP.level(0.4)


# --- the geometry of a step -------------------------------------------------------------------------------------------


@every_formulation
@pytest.mark.parametrize("tau", [0.3, 1.0, 1.7])
def test_moments_and_noise_are_the_integrals_of_the_equation(formulation, tau):
    """Quadrature in lambda of dy = weight f dlambda + noise dW.

    y is x/sigma e^{tau^2 lambda} for data and x/alpha for noise. The weight is that of the flow, 1 + tau^2 times, and
    the noise of x itself is tau sqrt(2) sigma dW.
    """
    span = stochastic(formulation, tau).span(HERE, THERE, 3)
    lam0, lam1 = HERE.log_snr, THERE.log_snr
    h, alpha, sigma = lam1 - lam0, THERE.alpha, THERE.sigma
    if formulation == "data/log-snr":

        def kernel(lam):  # x_t = sigma_t e^{-tau^2 lambda_t} int (1 + tau^2) e^{(1 + tau^2) lambda} x_0 dlambda
            return sigma * mp.e ** (-(tau**2) * lam1) * (1 + tau**2) * mp.e ** ((1 + tau**2) * lam)

        variance = mp.quad(lambda lam: 2 * tau**2 * sigma**2 * mp.e ** (2 * tau**2 * (lam - lam1)), [lam0, lam1])
        xi = sigma / HERE.sigma * math.exp(-(tau**2) * h)
    else:

        def kernel(lam):  # x_t = -alpha_t int (1 + tau^2) e^{-lambda} eps dlambda
            return -alpha * (1 + tau**2) * mp.e ** (-lam)

        variance = mp.quad(lambda lam: 2 * tau**2 * alpha**2 * mp.e ** (-2 * lam), [lam0, lam1])
        xi = alpha / HERE.alpha
    assert float(span.xi) == pytest.approx(xi, rel=1e-13)
    assert span.noise == pytest.approx(float(mp.sqrt(variance)), rel=1e-12)
    node = (lambda lam: mp.e ** (-lam)) if formulation == "noise/ratio" else (lambda lam: lam)
    for m, mu in enumerate(span.moments):
        exact = mp.quad(
            lambda lam, m=m: kernel(lam) * ((node(lam) - node(lam0)) / (node(lam1) - node(lam0))) ** m, [lam0, lam1]
        )
        assert mu == pytest.approx(float(exact), rel=1e-11)


@pytest.mark.parametrize("tau", [0.4, 1.0])
def test_a_step_with_the_exact_prediction_of_a_point_mass_keeps_the_law(tau):
    """Data at one point mu: x_0 = mu is constant, and the data step maps N(alpha mu, sigma^2) to itself exactly."""
    span = stochastic("data/log-snr", tau).span(HERE, THERE, 1)
    assert span.xi * HERE.alpha + span.moments[0] == pytest.approx(THERE.alpha, rel=1e-13)
    assert (span.xi * HERE.sigma) ** 2 + span.noise**2 == pytest.approx(THERE.sigma**2, rel=1e-13)


@every_formulation
@pytest.mark.parametrize("eta", [0.2, 0.7, 1])
def test_eta_is_the_fraction_of_the_noise_of_eta_one(formulation, eta):
    """And the step is DDIM's: x_t = alpha_t x_0 + sqrt(sigma_t^2 - n^2) eps + n z."""
    if formulation != "data/log-snr":
        with pytest.raises(ValueError, match="eta belongs to data"):
            stochastic(formulation, eta=eta)
        return
    span, full = (stochastic(eta=x).span(HERE, THERE, 1) for x in (eta, 1))
    h = THERE.log_snr - HERE.log_snr
    assert span.noise == pytest.approx(eta * full.noise, rel=1e-13)
    assert span.noise == pytest.approx(eta * THERE.sigma * math.sqrt(-math.expm1(-2 * h)), rel=1e-13)
    root = math.sqrt(THERE.sigma**2 - span.noise**2)
    assert span.xi == pytest.approx(root / HERE.sigma, rel=1e-13)
    assert span.moments[0] == pytest.approx(THERE.alpha - root * HERE.alpha / HERE.sigma, rel=1e-12)


def test_large_variance_is_beta_on_a_variance_preserving_schedule():
    large, small = (stochastic(eta=Eta(1, v)).span(HERE, THERE, 1) for v in ("large", "small"))
    assert large.noise**2 == pytest.approx(1 - (HERE.alpha / THERE.alpha) ** 2, rel=1e-13)
    assert large.noise / small.noise == pytest.approx(HERE.sigma / THERE.sigma, rel=1e-13)
    assert (large.xi, list(large.moments)) == (small.xi, list(small.moments))


# --- tau = 0 ----------------------------------------------------------------------------------------------------------


@every_formulation
@pytest.mark.parametrize("level", [0, 0.0, Fraction(0), sp.Integer(0), np.float64(0), Tau(0), Tau(0, low=0.2)], ids=str)
def test_level_zero_is_the_formulation_itself(formulation, level):
    assert stochastic(formulation, level) is nd.formulations.get(formulation)


def test_eta_zero_is_the_formulation_itself():
    assert stochastic(eta=0) is nd.formulations.get("data/log-snr")


METHODS = [
    lambda f: nd.AdamsBashforth(1, f),
    lambda f: nd.AdamsBashforth(3, f),
    lambda f: nd.AdamsBashforth(2, f, rule="half"),
    lambda f: PredictorCorrector(2, f),
    lambda f: nd.GHVB(2, 0.7, f),
    lambda f: nd.HeavyBall(nd.AdamsBashforth(2, f), 0.8),
]


@pytest.mark.filterwarnings("ignore:.* adds no noise on this grid:UserWarning")
@every_formulation
@pytest.mark.parametrize("make", METHODS)
def test_a_window_that_is_never_on_leaves_the_deterministic_method_bit_by_bit(formulation, make):
    grid = np.linspace(0.9, 0.1, 9)
    off = stochastic(formulation, Tau(1, high=0.05))
    found, plain = (make(f).discretize(VP, grid) for f in (off, formulation))
    for a, b in zip(found, plain, strict=True):
        assert (a.A, a.U, a.B, a.V) == (b.A, b.U, b.B, b.V)
        assert not a.noises


@every_formulation
def test_a_window_changes_the_steps_inside_it_only(formulation):
    grid = np.linspace(0.9, 0.1, 9)
    on = {
        at: [
            t.noises
            for t in nd.AdamsBashforth(2, stochastic(formulation, Tau(1, 0.25, 0.65, at=at))).discretize(VP, grid)
        ]
        for at in ("start", "end")
    }
    assert on["end"] == [0, 0, 1, 1, 1, 1, 0, 0]  # the ends 0.6, 0.5, 0.4, 0.3
    assert on["start"] == [0, 0, 0, 1, 1, 1, 1, 0]


@pytest.mark.parametrize("variable", ["time", "model_time", "rho", "log_snr"])
def test_windows_in_every_variable(variable):
    inside = [t for t in (0.1, 0.3, 0.5, 0.7) if 0.25 < t < 0.6]
    low, high = sorted(getattr(VP.level(t), variable) for t in (0.25, 0.6))
    level = Tau(1.5, low, high, variable)
    found = [t for t in (0.1, 0.3, 0.5, 0.7) if level.squared(VP.level(0.9), VP.level(t))]
    assert found == inside
    assert level.constant is None


# --- the ends ---------------------------------------------------------------------------------------------------------


@every_formulation
@pytest.mark.parametrize("tau", [0.5, 1])
def test_the_step_to_the_data_returns_the_denoised_estimate(formulation, tau):
    end = VP.level(0.0)
    span = stochastic(formulation, tau).span(HERE, end)
    assert not span.noise
    assert span.max_order == 1
    plain = nd.formulations.get(formulation).span(HERE, end, 1)
    assert (span.xi, list(span.moments)) == (plain.xi, list(plain.moments[:1]))
    scheme = nd.AdamsBashforth(3, stochastic(formulation, tau)).discretize(VP, np.linspace(0.9, 0.0, 7))
    assert [t.noises for t in scheme] == [1] * 5 + [0]
    assert all(math.isfinite(x) for t in scheme for row in (*t.B, *t.V) for x in row)


@pytest.mark.parametrize("options", [{"tau": 0.5}, {"tau": 1}, {"eta": 0.3}, {"eta": 1}], ids=str)
def test_the_step_from_pure_noise_is_the_limit(options):
    formulation, flow = stochastic(**options), nd.schedules.Flow()
    limit = formulation.span(flow.level(1.0), flow.level(0.8), 1)
    near = formulation.span(flow.level(1 - 1e-9), flow.level(0.8), 1)
    for found, expected in ((limit.xi, near.xi), (limit.moments[0], near.moments[0]), (limit.noise, near.noise)):
        slow = 1e-2 if options == {"tau": 0.5} else 1e-6  # the limit is approached like alpha^{tau^2}
        assert found == pytest.approx(expected, rel=1e-6, abs=slow)
    assert limit.clock[0] == 0.0
    assert limit.clock[1] == near.clock[1]


@every_formulation
def test_noise_rows_cannot_start_at_alpha_zero(formulation):
    flow, method = nd.schedules.Flow(), nd.AdamsBashforth(2, stochastic(formulation, 1))
    grid = [1.0, 0.6, 0.3, 0.0]
    if formulation == "data/log-snr":
        law = nd.spectral.errors(method.discretize(flow, grid), np.array([0.0, 0.7]))
        assert np.isfinite(law.variance).all()
        return
    with pytest.raises(ValueError, match="alpha = 0"):
        method.discretize(flow, grid)


@every_formulation
def test_it_runs_to_the_data_only(formulation):
    with pytest.raises(ValueError, match="leads to the noise"):
        nd.AdamsBashforth(2, stochastic(formulation, 1)).discretize(VP, np.linspace(0.1, 0.9, 5))


# --- Brownian time ----------------------------------------------------------------------------------------------------


@every_formulation
@pytest.mark.parametrize("tau", [0.5, 1.0])
def test_noises_are_scaled_increments_of_one_motion(formulation, tau):
    """Two short steps of the noise part, and one long one, from the same path: the same number."""
    middle, f = VP.level(0.5), stochastic(formulation, tau)
    first, second, whole = (f.span(a, b, 1) for a, b in ((HERE, middle), (middle, THERE), (HERE, THERE)))
    assert first.clock[1] == second.clock[0]
    assert whole.clock == (first.clock[0], second.clock[1])
    scale = [x.noise / math.sqrt(x.clock[1] - x.clock[0]) for x in (first, second, whole)]
    assert scale[1] == pytest.approx(scale[2], rel=1e-12)
    assert second.xi * scale[0] == pytest.approx(scale[2], rel=1e-12)


@pytest.mark.parametrize("eta", [0.3, 0.8])
def test_times_of_eta_never_overlap(eta):
    levels = [VP.level(float(t)) for t in np.linspace(0.9, 0.1, 9)]
    clocks = [stochastic(eta=eta).span(a, b, 1).clock for a, b in pairwise(levels)]
    assert all(a[0] < a[1] == b[0] < b[1] for a, b in pairwise(clocks))


# --- numbers ----------------------------------------------------------------------------------------------------------


@every_formulation
@pytest.mark.parametrize("tau", [Fraction(1, 2), sp.Rational(1, 2), np.float64(0.5), torch.tensor(0.5)], ids=str)
def test_every_number_type_gives_the_same_scheme(formulation, tau):
    grid = np.linspace(0.9, 0.0, 6)
    found, plain = (nd.AdamsBashforth(2, stochastic(formulation, x)).discretize(VP, grid) for x in (tau, 0.5))
    for a, b in zip(found, plain, strict=True):
        for x, y in ((a.B, b.B), (a.V, b.V), (a.Nb, b.Nb)):
            np.testing.assert_allclose(x, y, rtol=1e-13)


@pytest.mark.parametrize("options", [{"tau": 0.7}, {"tau": Fraction(7, 10)}, {"eta": 0.7}, {"eta": 1.0}], ids=str)
def test_gradients_of_the_grid_pass_through(options):
    t = torch.linspace(0.9, 0.1, 5, dtype=torch.float64, requires_grad=True)
    scheme = nd.AdamsBashforth(2, stochastic(**options)).discretize(VP, t)
    total = sum(t.Nb[0][0] + t.B[0][0] for t in scheme)
    assert torch.autograd.grad(total, t)[0].isfinite().all()
    plain = nd.AdamsBashforth(2, stochastic(**options)).discretize(VP, t.detach().numpy())
    assert float(total.detach()) == pytest.approx(sum(t.Nb[0][0] + t.B[0][0] for t in plain), rel=1e-12)


@pytest.mark.parametrize(("name", "value"), [("tau", 1.0), ("tau", 0.6), ("eta", 0.6), ("eta", 1.0)])
def test_gradients_of_the_noise_level_are_difference_quotients(name, value):
    """At eta = 1 too, where the rational short cut tau = eta would have another derivative."""

    def total(x):
        return sum(
            sum([t.Nb[0][0], t.B[0][0], t.V[0][0]])
            for t in nd.AdamsBashforth(1, stochastic(**{name: x})).discretize(VP, [0.8, 0.5, 0.3])
        )

    x = torch.tensor(value, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(total(x), x)
    if value == 1.0 and name == "eta":
        one_sided = [(total(1.0) - total(1.0 - d)) / d for d in (1e-5, 2e-5)]
        assert float(slope) == pytest.approx(2 * one_sided[0] - one_sided[1], rel=1e-6)
    else:
        assert float(slope) == pytest.approx((total(value + 1e-6) - total(value - 1e-6)) / 2e-6, rel=1e-6)


def test_symbols_stay_in_the_steady_step_and_are_refused_in_a_run():
    tau = sp.Symbol("tau", positive=True)
    method = nd.AdamsBashforth(1, stochastic("data/log-snr", tau))
    h = sp.Symbol("h", positive=True)
    step = method.steady()
    assert sp.simplify(step.V[0][0] - sp.exp(-(1 + tau**2) * h)) == 0
    with pytest.raises(ValueError, match="contains the symbol tau"):
        method.discretize(VP, np.linspace(0.9, 0.1, 5))


def test_the_steady_step_is_the_kernel_of_the_table():
    for formulation, c in (("data/log-snr", -2), ("noise/log-snr", 1)):
        span = stochastic(formulation, 1).steady_span(sp.Rational(1, 3), 2)
        assert sp.simplify(span.xi - sp.exp(sp.Rational(c, 3))) == 0
        assert span.c == c
    with pytest.raises(ValueError, match="no steady step"):
        nd.AdamsBashforth(1, stochastic(tau=Tau(1, low=0.5))).steady()
    with pytest.raises(ValueError, match="no steady step"):
        nd.AdamsBashforth(1, stochastic(eta=0.5)).steady()


def test_equal_formulations_are_equal_and_hash_alike():
    a, b = stochastic("data/log-snr", 1), stochastic("data/log-snr", Tau(1))
    assert a == b
    assert hash(a) == hash(b)
    assert a != stochastic("data/log-snr", 1, eta=None).base
    assert nd.AdamsBashforth(2, a) == nd.AdamsBashforth(2, b)


# --- doors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"tau": -1}, ValueError, "not negative"),
        ({"tau": math.inf}, ValueError, "not negative"),
        ({"tau": math.nan}, ValueError, "not negative"),
        ({"tau": True}, TypeError, "one number"),
        ({"tau": "1"}, TypeError, "one number"),
        ({"tau": np.ones(2)}, TypeError, "one number"),
        ({"eta": 1.1}, ValueError, "between 0 and 1"),
        ({"tau": 1, "eta": 1}, ValueError, "not both"),
        ({"formulation": "data/ratio"}, ValueError, "no stochastic form"),
        ({"formulation": "velocity/time"}, ValueError, "no stochastic form"),
    ],
    ids=str,
)
def test_bad_levels(options, error, match):
    with pytest.raises(error, match=match):
        stochastic(**options)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Tau(1, low=0.5, high=0.5),
        lambda: Tau(1, low=math.nan, high=0.5),
        lambda: Tau(1, variable="sigma"),
        lambda: Tau(1, at="middle"),
        lambda: Eta(0.5, "large"),
        lambda: Eta(1, "learned"),
    ],
)
def test_bad_windows_and_variances(make):
    with pytest.raises(ValueError, match=r"must|belongs to eta = 1"):
        make()


@pytest.mark.parametrize("start", ["exact", "runge-kutta"])
def test_no_start_follows_the_flow(start):
    with pytest.raises(ValueError, match="adds noise"):
        nd.AdamsBashforth(2, stochastic()).discretize(VP, np.linspace(0.9, 0.1, 5), start=start)


def test_a_window_that_meets_no_step_is_told():
    """The published window counts a table's thousand entries, and the times of this schedule run from 1 to 0."""
    method = nd.method("sa_solver")
    with pytest.warns(UserWarning, match=r"adds no noise on this grid: model_time runs from 0\.9 to 0\.1"):
        method.discretize(nd.schedules.VPLinear(), np.linspace(0.9, 0.1, 9))
