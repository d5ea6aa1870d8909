"""Ancestral and single-step stochastic samplers: identities, exact laws on a Gaussian, ends, refusals."""

import pickle
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
import torch

import numdiff as nd
from numdiff.methods.ancestral import Ancestral, DPM2Ancestral, DPMSolverPP2SAncestral, EulerAncestral
from numdiff.methods.churn import Churn
from numdiff.methods.dpmpp_sde import DPMSolverPPSDE, SingleStepSDE
from numdiff.methods.published.single_step import DPM2, DPMSolverSingle
from numdiff.noise import BrownianPath
from numdiff.sde import Tau, stochastic
from tests import gaussians, peers

SCHEDULES = [
    nd.schedules.VPLinear(),
    nd.schedules.Cosine(),
    nd.schedules.EDM(),
    nd.schedules.Flow(),
    nd.schedules.Discrete.stable_diffusion(),
]
ROUGH = np.cumsum([0.0, 1.0, 0.4, 1.3, 0.7, 1.1])


def grid(schedule, first=0.9, last=0.05):
    return ((first + (last - first) * ROUGH / ROUGH[-1]) * schedule.T).tolist()


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.name)
@pytest.mark.parametrize("eta", [0.3, 1])
@pytest.mark.parametrize("formulation", ["noise/ratio", "noise/log-snr", "data/log-snr", "data/ratio"])
def test_over_ddim_it_is_ddim_with_eta(schedule, eta, formulation):
    levels = [*map(schedule.level, grid(schedule))]
    expected = peers.sampled(nd.AdamsBashforth(1, stochastic(eta=eta)).discretize(schedule, levels))
    scheme = Ancestral(nd.DDIM(formulation), eta).discretize(schedule, levels)
    np.testing.assert_allclose(peers.sampled(scheme), expected, rtol=0, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("base", [nd.DDIM(), nd.Heun(), nd.RK4(), nd.DDIM("data/log-snr")], ids=str)
def test_without_noise_it_is_the_base(base):
    schedule = nd.schedules.VPLinear()
    for times in (grid(schedule), [*grid(schedule), 0.0]):
        schemes = [method.discretize(schedule, times) for method in (base, Ancestral(base, 0))]
        assert schemes[0].tableaus[-1].plan == schemes[1].tableaus[-1].plan
        assert np.array_equal(*map(peers.sampled, schemes))
    assert Ancestral(base, 0).weak_order is None
    assert Ancestral(base, 0).stages == base.stages


@pytest.mark.parametrize(
    ("base", "order"), [(nd.DDIM(), 1), (nd.Heun(), 2), (DPM2(), 2), (DPMSolverSingle(2), 2), (nd.RK4(), 4)], ids=str
)
def test_the_law_has_the_order_of_the_base(base, order):
    """On Gaussian data: the law to the base's order, mean and variance given the first sample to order 1 only."""
    method = Ancestral(base)
    assert (method.order, method.weak_order) == (order, 1)
    law, _, given = gaussians.slopes(method)
    assert law > order - 0.1
    assert 0.8 < given < 1.2


def test_the_flow_rule_restores_the_variance():
    """rho_down^2 + up^2 = rho_t^2, with sigma_down on the straight line of sigma that eta points to."""
    schedule, times, eta = nd.schedules.Flow(), [0.8, 0.5], 0.7
    (tableau,) = Ancestral(nd.Heun(), eta, rule="flow").discretize(schedule, times)
    down = tableau.levels[1]
    assert down.sigma == pytest.approx(0.5 * (1 - eta + eta * 0.5 / 0.8))
    up = tableau.Nb[0][0] / (1 - 0.5)
    assert down.rho**2 + up**2 == pytest.approx(1.0)


@pytest.mark.parametrize("r", [Fraction(1, 2), Fraction(3, 4), 1])
@pytest.mark.parametrize("rule", ["half", "exact"])
@pytest.mark.parametrize(("path", "order"), [("brownian", 2), ("rho", 2), ("independent", 1)])
def test_one_path_makes_weak_order_two(path, order, rule, r):
    method = DPMSolverPPSDE(r=r, rule=rule, path=path)
    assert method.weak_order == order
    assert order - 0.2 < gaussians.slopes(method)[2] < order + 0.3


def test_the_brownian_path_gives_both_levels_of_a_step_their_exact_law():
    """With a constant prediction the pair (x_m, x_t) is that of the SDE, whose noise is a function of one path."""
    scheme = DPMSolverPPSDE(path="brownian").discretize(gaussians.EDM, [4.0, 1.0])
    (tableau,) = scheme
    (_, (first, _)), ((shared, fresh),) = tableau.Na, tableau.Nb
    middle, last = 2.0, 1.0
    # x_t given x_m is the step m -> t with factor (sigma_t/sigma_m)^2 and variance sigma_t^2 (1 - (sigma_t/sigma_m)^2)
    assert shared == pytest.approx(first * (last / middle) ** 2)
    assert fresh == pytest.approx(last * np.sqrt(1 - (last / middle) ** 2))


def test_on_the_brownian_path_it_is_the_exponential_runge_kutta_method():
    """At tau = 1; with eta between 0 and 1 the part of a step and the whole have different tau here."""
    for formulation, r in (("data/log-snr", Fraction(1, 2)), ("noise/log-snr", Fraction(3, 4))):
        chosen = stochastic(formulation, 1)
        methods = SingleStepSDE(chosen, r), DPMSolverSingle(2, chosen, rule="dpmsolver", c2=r)
        found, expected = (m.discretize(gaussians.EDM, [8.0, 3.0, 1.0]).tableaus for m in methods)
        for a, b in zip(found, expected, strict=True):
            for name in ("A", "U", "B", "V", "Na", "Nb", "clocks"):
                np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("at", ["start", "end"])
def test_a_window_of_tau_opens_between_steps(at):
    """Inside it a step is that of a constant tau, stage included; outside that of the plain method."""
    levels = [8.0, 4.0, 2.0, 1.0]
    window = Tau(1.5, low=1.5, high=4.5, variable="rho", at=at)
    methods = [SingleStepSDE(stochastic("data/log-snr", tau)) for tau in (window, 1.5, 0)]
    windowed, always, never = ([t.plan for t in m.discretize(gaussians.EDM, levels)] for m in methods)
    on = [1, 2] if at == "start" else [0, 1]
    assert windowed == [always[n] if n in on else never[n] for n in range(3)]


def test_steady_steps_are_the_steps_of_a_uniform_log_snr_grid():
    """In X = x/kappa, for data and noise; and at order 1 they are those of the SDE's own formulation."""
    h, levels = 0.3, [gaussians.EDM.level(float(np.exp(0.5 - 0.3 * k))) for k in range(4)]
    for formulation in ("data/log-snr", "noise/log-snr"):
        base = nd.DDIM(formulation)
        for eta in (Fraction(1, 3), 1):
            method = Ancestral(base, eta)
            steady = method.steady(h).to_float()
            for tableau in method.discretize(gaussians.EDM, levels).tableaus:
                before, after = base.formulation.kappa(tableau.levels[0]), base.formulation.kappa(tableau.target)
                assert tableau.V[0][0] * before / after == pytest.approx(steady.V[0][0])
                assert tableau.B[0][0] / after == pytest.approx(steady.B[0][0])
    step, known = Ancestral(nd.DDIM("data/log-snr")).steady(), nd.AdamsBashforth(1, stochastic()).steady()
    assert sp.simplify(step.B[0][0] - known.B[0][0]) == sp.simplify(step.V[0][0] - known.V[0][0]) == 0
    assert Ancestral(nd.DDIM("data/log-snr")).kernel == -2
    two = DPMSolverPPSDE(rule="exact").coefficients()
    assert sp.simplify(sum(two) - known.B[0][0]) == 0
    with pytest.raises(ValueError, match="no steady step"):
        EulerAncestral().steady()


@pytest.mark.parametrize("eta", [Fraction(2, 5), 1])
def test_from_alpha_zero(eta):
    """A flow from t = 1: x_t is the denoised estimate and the part of the old noise that eta leaves, as for DDIM."""
    schedule, times = nd.schedules.Flow(), [1.0, 0.7, 0.4, 0.0]
    expected = peers.sampled(
        nd.AdamsBashforth(1, stochastic(eta=float(eta))).discretize(schedule, times), prediction="velocity"
    )
    for base in (nd.DDIM("data/log-snr"), nd.DDIM()):
        found = peers.sampled(Ancestral(base, eta).discretize(schedule, times), prediction="velocity")
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())
    scheme = DPMSolverPPSDE().discretize(schedule, times)
    assert [t.stages for t in scheme] == [1, 2, 1]
    assert np.isfinite(peers.sampled(scheme, prediction="velocity")).all()


def test_a_level_below_the_schedule_is_no_obstacle_unless_it_is_evaluated():
    schedule = nd.schedules.VE()
    times = np.linspace(schedule.T, 0.0, 6).tolist()
    assert np.isfinite(peers.sampled(EulerAncestral().discretize(schedule, times))).all()
    with pytest.raises(ValueError, match="does not reach"):
        Ancestral(nd.Heun()).discretize(schedule, times)


def test_the_noise_factor_scales_the_noise_alone():
    times = [10.0, 3.0, 1.0]
    for make in (EulerAncestral, DPMSolverPPSDE):
        plain, more = (make(noise_factor=c).discretize(gaussians.EDM, times).tableaus[0] for c in (1, 1.5))
        assert (plain.B, plain.V, plain.A) == (more.B, more.V, more.A)
        np.testing.assert_allclose(np.array(more.Nb), 1.5 * np.array(plain.Nb))


@pytest.mark.parametrize("factor", [Fraction(9, 10), 1.1])
@pytest.mark.parametrize("make", [EulerAncestral, DPM2Ancestral, DPMSolverPP2SAncestral, DPMSolverPPSDE])
def test_scaled_noise_has_weak_order_zero(make, factor):
    """The error of variance tends to (factor^2 - 1) times that of all the noise of the diffusion, and not to 0."""
    method, first, last = make(noise_factor=factor), 4.0, 0.25
    assert method.weak_order == 0
    assert make(noise_factor=1.0).weak_order == make().weak_order > 0
    assert make(0, noise_factor=factor).weak_order is None
    before, after = 1 + first**2, 1 + last**2
    limit = abs(float(factor) ** 2 - 1) * after * (1 - after / before)
    gaps = [np.abs(gaussians.errors(method, n)[[0, 2]] - limit) for n in (128, 512)]
    assert (gaps[1] < 0.05 * limit + gaps[0] / 2).all()
    assert (gaps[1] < 0.2 * limit).all()


@pytest.mark.parametrize(
    "method",
    [
        EulerAncestral(),
        Ancestral(nd.Heun(), 0.5),
        DPMSolverPPSDE(path="rho"),
        Churn(nd.Heun(), 2.0),
    ],
    ids=str,
)
def test_runs_on_one_brownian_path_approach_one_another(method):
    """Strong convergence: the samples of finer grids on the same paths differ less and less."""
    x = peers.MIXTURE.sample_level(32, gaussians.EDM.level(10.0), 3)

    def final(steps):
        u = np.linspace(0.0, 1.0, steps + 1)
        scheme = method.discretize(gaussians.EDM, (10.0 * 0.02 ** (u + 0.1 * np.sin(2 * np.pi * u))).tolist())
        model = peers.MIXTURE.model(gaussians.EDM, "data")
        return nd.sample(scheme, model, x, prediction="data", noise=BrownianPath(7))

    fine = final(160)
    errors = [np.mean(np.abs(final(n) - fine)) for n in (8, 40)]
    assert errors[1] < errors[0] / 3  # order 1/2 alone would give 2.2


def test_gradients_reach_the_grid():
    """d(sample)/d(middle level) agrees with a difference quotient, for each method, with its noise kept."""

    def final(method, middle):
        grid = torch.stack([torch.tensor(8.0, dtype=torch.float64), middle, torch.tensor(0.5, dtype=torch.float64)])
        scheme = method.discretize(gaussians.EDM, grid if middle.requires_grad else grid.tolist())
        x = torch.full((1,), 2.0, dtype=torch.float64)

        def model(x, t):
            return x / (1 + t * t)

        return nd.sample(scheme, model, x, prediction="data", noise=lambda n, k: x * (0.3 + n - 0.7 * k))

    middle = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    methods = [Ancestral(nd.Heun(), Fraction(1, 2)), DPMSolverPPSDE(), Churn(nd.Heun(), Fraction(1, 3))]
    for method in methods:
        (slope,) = torch.autograd.grad(final(method, middle).sum(), middle)
        d = 1e-5
        low, high = (float(final(method, torch.tensor(2.0 + s * d, dtype=torch.float64))) for s in (-1, 1))
        assert float(slope) == pytest.approx((high - low) / (2 * d), rel=1e-6)


@pytest.mark.parametrize("r", [None, 0.3, Fraction(2, 3), sp.Rational(1, 3), 1], ids=str)
@pytest.mark.parametrize("last", [0.1, 0.0])
def test_at_eta_zero_it_is_the_single_step_method_bit_by_bit(r, last):
    """With the published rule and the exact one, whatever the path of the noise that it does not add."""
    schedule, times = nd.schedules.VPLinear(), [0.9, 0.55, 0.3, last]
    nodes = {} if r is None else {"r": r}
    for rule, same in (("half", "dpmsolver"), ("exact", "exact")):
        expected = DPMSolverSingle(2, rule=same, c2=r).discretize(schedule, times)
        for path in ("brownian", "rho", "independent"):
            found = DPMSolverPPSDE(0, rule=rule, path=path, **nodes).discretize(schedule, times)
            assert [t.plan for t in found] == [t.plan for t in expected]


@pytest.mark.parametrize("path", ["brownian", "rho", "independent"])
@pytest.mark.parametrize("rule", ["half", "exact"])
def test_gradients_of_eta_and_of_the_inner_level(rule, path):
    """Against difference quotients, of every entry of the tableaus."""

    def total(make, x):
        scheme = make(x).discretize(nd.schedules.VPLinear(), [0.9, 0.6, 0.3])
        rows = [row for t in scheme for name in ("A", "U", "B", "V", "Na", "Nb") for row in getattr(t, name)]
        return sum((1 + 0.1 * k) * x for k, x in enumerate(sum(rows, ())))

    options = {"rule": rule, "path": path}
    for make in (
        lambda x: DPMSolverPPSDE(x, **options),
        lambda x: DPMSolverPPSDE(0.6, r=x, **options),
        lambda x: DPMSolverPPSDE(Fraction(1, 3), r=x, **options),
        lambda x: DPMSolverPPSDE(0, r=x, rule=rule),
        lambda x: DPMSolverPPSDE(sp.Rational(1, 3), noise_factor=x, **options),
    ):
        x, d = torch.tensor(0.4, dtype=torch.float64, requires_grad=True), 1e-6
        (slope,) = torch.autograd.grad(total(make, x), x)
        assert float(slope) == pytest.approx(float(total(make, 0.4 + d) - total(make, 0.4 - d)) / (2 * d), rel=1e-6)


@pytest.mark.parametrize("half", [sp.Rational(1, 2), sp.Float(0.5), sp.sqrt(2) / 2 * sp.cos(sp.pi / 4)], ids=str)
def test_sympy_numbers_run_as_floats(half):
    """They are no symbols: on grids of floats and of tensors the run is that of the float."""
    makers = (
        EulerAncestral,
        lambda x: Ancestral(nd.Heun(), 1, x),
        lambda x: Churn(nd.Heun(), x, x, 80 * x, 2 * x),
        DPMSolverPPSDE,
        lambda x: DPMSolverPPSDE(r=x, noise_factor=x),
        lambda x: nd.SiT("heun", norm=x),
        lambda x: nd.SASolver(2, tau=x),
    )
    grids = [0.9, 0.5, 0.2], torch.tensor([0.9, 0.5, 0.2], dtype=torch.float64, requires_grad=True)
    for make in makers:
        for times in grids:
            found, plain = (make(x).discretize(nd.schedules.VPLinear(), times) for x in (half, 0.5))
            for one, other in zip(found, plain, strict=True):
                for name in ("A", "U", "B", "V", "Na", "Nb"):
                    rows = [[torch.as_tensor(x).item() for x in row] for t in (one, other) for row in getattr(t, name)]
                    np.testing.assert_allclose(*np.split(np.array(rows), 2), rtol=1e-12, atol=1e-15)


def test_methods_are_values():
    for method in (Ancestral(nd.Heun(), Fraction(1, 2)), DPMSolverPPSDE(0.5, path="rho")):
        copy = pickle.loads(pickle.dumps(method))
        assert copy == method
        assert hash(copy) == hash(method)
        assert copy.name == method.name
    assert Ancestral(nd.Heun()).name != Ancestral(nd.Heun(), 0.5).name
    names = {DPMSolverPPSDE(path=p, rule=r).name for p in ("brownian", "rho") for r in ("half", "exact")}
    assert len(names) == 4


@pytest.mark.parametrize(("rule", "same"), [("half", "dpmsolver"), ("exact", "exact")])
@pytest.mark.parametrize("tau", [0.7, 1, 1.2])
def test_on_the_diffusions_own_path_it_is_the_stochastic_runge_kutta_method(rule, same, tau):
    """Two derivations of one method for constant tau: the joint law of both noises, and SEEDS-2 on data."""
    formulation, times = stochastic("data/log-snr", tau), grid(nd.schedules.VPLinear())
    found = SingleStepSDE(formulation, rule=rule).discretize(nd.schedules.VPLinear(), times)
    expected = DPMSolverSingle(2, formulation, rule=same).discretize(nd.schedules.VPLinear(), times)
    for one, other in zip(found, expected, strict=True):
        for name in ("A", "U", "B", "V", "Na", "Nb", "clocks"):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Ancestral("heun"), TypeError, "base must be a one-step method"),
        (lambda: Ancestral(nd.AdamsBashforth(2)), ValueError, "without memory"),
        (lambda: Ancestral(nd.UniPC(1)), ValueError, "without memory"),
        (lambda: Ancestral(nd.AdamsBashforth(1, stochastic())), ValueError, "no noise of its own"),
        (lambda: Ancestral(nd.DDIM(), 1.2), ValueError, r"eta must lie in \[0, 1\], got 1.2"),
        (lambda: Ancestral(nd.DDIM(), True), TypeError, "eta must be one number"),
        (lambda: Ancestral(nd.DDIM(), 1, -1), ValueError, "noise_factor must be at least 0"),
        (lambda: EulerAncestral().discretize(None, [0.0, 1.0]), ValueError, "give a noise schedule"),
        (lambda: EulerAncestral().discretize(gaussians.EDM, [1.0, 2.0]), ValueError, "reverse the grid"),
        (lambda: EulerAncestral().discretize(gaussians.EDM, [2.0, 1.0], start="exact"), ValueError, "adds noise"),
        (lambda: EulerAncestral(rule="edm"), ValueError, "rule must be one of"),
        (lambda: EulerAncestral(rule="flow").discretize(gaussians.EDM, [2.0, 1.0]), ValueError, "flow schedules"),
        (lambda: SingleStepSDE("noise/ratio"), ValueError, "must be in log-SNR"),
        (lambda: DPMSolverPPSDE(r=0), ValueError, r"r must lie in \(0, 1\]"),
        (lambda: DPMSolverPPSDE(path="tree"), ValueError, "path must be one of"),
        (lambda: DPMSolverPPSDE(rule="bh2"), ValueError, "rule must be one of"),
    ],
)
def test_refusals(make, error, message):
    with pytest.raises(error, match=message):
        make()
