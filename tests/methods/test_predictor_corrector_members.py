"""Predictor-correctors of any numbers of points, in PEC and PECE mode, and the published methods among them."""

import pickle
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

import numdiff as nd
from numdiff.methods.predictor_corrector import PredictorCorrector
from numdiff.methods.published.correctors import AdamsBashforthMoulton, SASolver, UniC, UniP
from numdiff.sde import Tau, stochastic
from numdiff.symbolic.polynomials import ZETA, Z

Q = Fraction
VP, FLOW = nd.schedules.VPLinear(), nd.schedules.Flow()
PROBLEM = nd.problems.mixtures()["two-modes"]
START, END = 0.7, 0.25
X = np.linspace(-2, 2, 6)[:, None]
MODEL, DATA_MODEL = PROBLEM.model(VP), PROBLEM.model(VP, "data")
EXACT = {}
MODES = ["PEC", "PECE"]


PLUGGED = [
    UniC(nd.HeavyBall(nd.DPMSolverPP(2), beta=0.7)),
    UniC(nd.HeavyBall(nd.DPMSolverPP(2), beta=0.7), mode="PECE"),
    UniC(nd.GHVB(2, 0.8, nd.DATA_LOG_SNR)),
    UniC(nd.GHVB(3, 0.8, nd.NOISE_LOG_SNR), 3),
    UniC(nd.Nesterov(nd.AdamsBashforth(1), beta=0.6), 3),
    UniC(nd.AdamsBashforth(2, nd.DATA_LOG_SNR, rule="half"), 4),
]


def exact(level):
    if level.time not in EXACT:
        EXACT[level.time] = PROBLEM.flow(VP, X, START, level.time).x
    return EXACT[level.time]


def rough(steps):
    s = np.cumsum([0.0, *np.tile([1.0, 2.0, 1.3], steps // 3)])
    return START + (END - START) * s / s[-1]


def run(method, grid, prediction="noise", **options):
    return nd.sample(method.discretize(VP, grid, **options), PROBLEM.model(VP, prediction), X, prediction=prediction)


# --- weights and polynomials ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", range(1, 9))
def test_adams_moulton_weights_are_integrals_of_the_lagrange_basis(k):
    u, found = sp.Symbol("u"), AdamsBashforthMoulton(k).coefficients()
    for nodes, weights in (([1, *range(0, 1 - k, -1)][:k], found.corrector), (range(0, -k, -1), found.predictor)):
        for j, w in enumerate(weights):
            values = [(node, int(i == j)) for i, node in enumerate(nodes)]
            assert sp.Rational(w) == sp.integrate(sp.interpolate(values, u), (u, 0, 1))


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_adams_moulton_weights_are_nodepys(k):
    from nodepy import linear_multistep_method as reference

    theirs = reference.Adams_Moulton(k)  # k steps: k + 1 points; newest last
    assert [sp.nsimplify(b) for b in theirs.beta[::-1]] == [
        sp.Rational(w) for w in PredictorCorrector(k).coefficients().corrector
    ]


def sigma_of(weights, degree):
    """sigma of an Adams formula whose newest point is zeta^degree."""
    return sum(sp.Rational(w) * ZETA ** (degree - j) for j, w in enumerate(weights))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("count", [(1, 1), (2, 2), (3, 3), (4, 4), (2, 3), (3, 2), (1, 3)], ids=str)
def test_stability_polynomials_are_those_of_the_textbook(count, mode):
    """Lambert, Numerical Methods for Ordinary Differential Systems, 4.3, P(EC)E and P(EC), times a power of zeta."""
    method = PredictorCorrector(count[0], corrector=count[1], mode=mode)
    n, weights = 5, method.coefficients()
    rho = ZETA**n - ZETA ** (n - 1)
    below, sigma = sigma_of(weights.predictor, n - 1), sigma_of(weights.corrector, n)
    newest = sp.Rational(weights.corrector[0])
    if mode == "PECE":
        book = rho - Z * sigma + Z * newest * (rho - Z * below)
    else:
        book = ZETA**n * (rho - Z * sigma) + Z * (rho * sigma - rho * below)
    ours, book = nd.stability.polynomial(method).as_expr(), sp.expand(book)
    ratio = sp.cancel(book / ours)
    assert ratio.free_symbols <= {ZETA}
    assert sp.Poly(ratio, ZETA).is_monomial


@pytest.mark.parametrize("p", [1, 2, 3])
def test_without_a_corrector_it_is_the_predictor(p):
    for rule, adams in (("exact", nd.DPMSolverPP(p)), ("bh2", nd.DPMSolverPP(2, rule="half"))):
        alone = PredictorCorrector(adams.points, nd.DATA_LOG_SNR, rule, corrector=0)
        np.testing.assert_allclose(run(alone, rough(9)), run(adams, rough(9)), rtol=1e-12)
        damped = PredictorCorrector(adams.points, nd.DATA_LOG_SNR, rule, 0.7, corrector=0)
        np.testing.assert_allclose(run(damped, rough(9)), run(nd.HeavyBall(adams, beta=0.7), rough(9)), rtol=1e-12)
    ours, theirs = (nd.stability.polynomial(m) for m in (PredictorCorrector(p, corrector=0), nd.AdamsBashforth(p)))
    assert sp.cancel(ours.as_expr() / theirs.as_expr()).free_symbols <= {ZETA}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("count", [(1, 2), (2, 3), (3, 2), (2, 4)], ids=str)
def test_a_plugged_in_adams_predictor_is_the_built_in_one(count, mode):
    p, c = count
    for formulation in (nd.DATA_LOG_SNR, None):
        plugged = UniC(nd.AdamsBashforth(p, formulation), c, mode=mode)
        own = PredictorCorrector(p, formulation, corrector=c, mode=mode)
        for start in ("lower", "runge-kutta"):
            found, expected = (run(method, rough(12), start=start) for method in (plugged, own))
            np.testing.assert_allclose(found, expected, rtol=1e-12)
        ours, theirs = (nd.stability.polynomial(m, h=1 if formulation else None) for m in (plugged, own))
        ratio = sp.cancel(ours.as_expr() / theirs.as_expr())
        assert ratio.free_symbols <= {ZETA}
        assert plugged.coefficients() == own.coefficients()
        assert plugged.nfe(12) == own.nfe(12)


# --- evaluations ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", ["lower", "exact"])
@pytest.mark.parametrize("uncorrected", [(-1,), (), (0, 3, -1), (0, -2), (-1, 9)], ids=str)
@pytest.mark.parametrize("corrector", [0, 2, 4])
def test_evaluations_are_counted(corrector, uncorrected, start):
    for mode in MODES if corrector else MODES[:1]:
        method = PredictorCorrector(2, corrector=corrector, mode=mode, uncorrected=uncorrected)
        scheme = method.discretize(VP, rough(12), start=start)
        calls = []
        path = nd.sample(
            scheme,
            lambda x, t: calls.append(t) or MODEL(x, t),  # noqa: B023
            X,
            trajectory=True,
            exact=exact if start == "exact" else None,
        )
        assert len(path) == 13
        supplied = {n for n in range(scheme.exact_starts) if n not in uncorrected}  # evaluated once, not twice
        assert method.nfe(12) - len(supplied if mode == "PECE" else ()) == scheme.nfe == len(calls)
    assert PredictorCorrector(2).nfe(12) == 12
    assert PredictorCorrector(2, mode="PECE").nfe(12) == 23


def test_pece_evaluates_the_corrected_samples():
    asked = []
    scheme = PredictorCorrector(2, mode="PECE").discretize(VP, rough(9))
    path = nd.sample(scheme, lambda x, t: asked.append(x) or MODEL(x, t), X, trajectory=True)
    assert len(asked) == 17
    for n in range(1, 9):
        np.testing.assert_allclose(asked[2 * n], path[n], rtol=1e-14)
        assert np.abs(asked[2 * n - 1] - path[n]).max() > 1e-6  # and the predicted one before it


def test_uncorrected_steps_are_the_predictors():
    every = PredictorCorrector(2, nd.DATA_LOG_SNR, uncorrected=tuple(range(9)))
    np.testing.assert_allclose(run(every, rough(9)), run(nd.DPMSolverPP(2), rough(9)), rtol=1e-12)
    damped = PredictorCorrector(2, nd.DATA_LOG_SNR, beta=0.6, uncorrected=tuple(range(9)))
    expected = run(nd.HeavyBall(nd.DPMSolverPP(2), beta=0.6), rough(9))
    np.testing.assert_allclose(run(damped, rough(9)), expected, rtol=1e-12)
    with pytest.raises(ValueError, match=r"uncorrected\[0\] = 9 is not one of the 9 steps"):
        PredictorCorrector(2, uncorrected=(9,)).discretize(VP, rough(9))


@pytest.mark.parametrize("mode", MODES)
def test_a_last_step_that_corrects_is_the_next_step_of_a_longer_run(mode):
    method = PredictorCorrector(2, nd.DATA_LOG_SNR, mode=mode, uncorrected=())
    longer = nd.sample(method.discretize(VP, rough(12)), MODEL, X, trajectory=True)
    np.testing.assert_array_equal(run(method, rough(12)[:10]), longer[9])
    clean = method.discretize(VP, [0.9, 0.6, 0.3, 0.1, 0.0])  # no evaluation at sigma = 0
    assert clean.tableaus[-1].stages == 0
    assert np.isfinite(nd.sample(clean, MODEL, X)).all()


@pytest.mark.parametrize("mode", MODES)
def test_a_runge_kutta_step_may_be_the_last(mode):
    """From alpha = 0 the history is one short: two steps are the limit and, for two points, Heun's step."""
    data = nd.problems.Gaussian([0.4, -0.7], [0.5, 0.3])
    model, x = data.model(FLOW, "data"), np.array([[0.3, -1.2], [1.1, 0.8]])
    scheme = nd.UniPC(2, mode=mode).discretize(FLOW, [1.0, 0.5, 0.4], start="runge-kutta")
    path = nd.sample(scheme, model, x, prediction="data", trajectory=True)
    heun = nd.sample(nd.Heun("data/ratio").discretize(FLOW, [0.5, 0.4]), model, path[1], prediction="data")
    np.testing.assert_allclose(path[2], heun, rtol=1e-13)


# --- published methods ------------------------------------------------------------------------------------------------


def test_unip_is_adams_wherever_it_is_one():
    assert UniP(3) == nd.DPMSolverPP(3)
    assert UniP(2, rule="bh2") == nd.DPMSolverPP(2, rule="half")
    assert UniP(1, "noise/log-snr", rule="bh1") == nd.AdamsBashforth(1, nd.NOISE_LOG_SNR)
    assert UniP(2, rule="bh1") == nd.AdamsBashforth(2, nd.DATA_LOG_SNR, rule="bh1")
    for rule in ("bh1", "bh2"):
        method = UniP(3, rule=rule)
        assert (method.order, method.nfe(9)) == (3, 9)
        scheme = method.discretize(VP, rough(9))
        halved = nd.UniPC(3, rule=rule).discretize(VP, rough(9))  # its predictor, step by step
        for n in range(1, 9):
            np.testing.assert_allclose(scheme.tableaus[n].U[0], halved.tableaus[n].U[0], rtol=1e-15)
        second = UniP(2, rule=rule).discretize(VP, rough(9)).tableaus[1]  # the same two points, evaluated at the start
        expected = [second.V[0][0], second.B[0][0], second.V[0][1]]
        np.testing.assert_allclose(scheme.tableaus[2].U[0][:3], expected, rtol=1e-14)
        exactly = run(UniP(3), rough(9))
        assert np.abs(run(method, rough(9)) - exactly).max() > 1e-5  # its second step is a two-point formula


@pytest.mark.filterwarnings("ignore:.* adds no noise on this grid:UserWarning")
def test_sa_solver_without_noise_is_the_deterministic_method_bit_for_bit():
    for p, c in ((2, 3), (3, 4), (1, 2)):
        assert SASolver(p, c, tau=0) == nd.UniPC(p)
        np.testing.assert_array_equal(run(SASolver(p, c, tau=0), rough(9)), run(nd.UniPC(p), rough(9)))
    alone = SASolver(3, 0, tau=0)
    np.testing.assert_allclose(run(alone, rough(9)), run(nd.DPMSolverPP(3), rough(9)), rtol=1e-12)
    off = SASolver(2, tau=Tau(1, 0.9, 1.0))  # a window that the run never enters
    np.testing.assert_array_equal(run(off, rough(9)), run(SASolver(2, tau=0), rough(9)))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("formulation", ["data/log-snr", "noise/log-snr"])
def test_predictor_and_corrector_share_the_noise_of_a_step(formulation, mode):
    """For a constant prediction both are exact, so that they agree to rounding whatever the noise."""
    method, asked = SASolver(2, 3, tau=0.8, formulation=formulation, mode=mode), []
    scheme = method.discretize(VP, rough(12))
    constant = lambda x, t: asked.append(x) or np.full_like(x, 0.7)  # noqa: E731
    kwargs = {"prediction": formulation.split("/")[0], "generator": np.random.default_rng(2)}
    path = nd.sample(scheme, constant, X, trajectory=True, **kwargs)
    steps = [asked[0], *asked[1::2]] if mode == "PECE" else asked
    for predicted, corrected in zip(steps, path, strict=False):
        np.testing.assert_allclose(predicted, corrected, rtol=1e-12)
    assert len({float(x[0, 0]) for x in path}) == 13
    assert all(tableau.noises == 1 for tableau in scheme.tableaus[1:])
    assert [tableau.Na for tableau in scheme.tableaus[1:-1]] == [
        (tableau.Nb[0],) * tableau.stages for tableau in scheme.tableaus[1:-1]
    ]


def test_sa_solver_of_one_point_without_corrector_is_ddim_with_eta_one():
    method, ddim = SASolver(1, 0), nd.AdamsBashforth(1, stochastic(eta=1))
    noise = np.random.default_rng(3).standard_normal((12, *X.shape))
    ours = nd.sample(method.discretize(VP, rough(9)), MODEL, X, noise=lambda n, _: noise[n - 1])
    theirs = nd.sample(ddim.discretize(VP, rough(9)), MODEL, X, noise=lambda n, _: noise[n])
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


# --- momentum ---------------------------------------------------------------------------------------------------------

FORMS = ["repaired", "nesterov", "published"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("form", FORMS)
def test_a_constant_prediction_is_preserved_except_by_the_published_momentum(form, mode):
    method = nd.UniPC(2, beta=0.6, momentum=form, mode=mode)
    found = nd.sample(method.discretize(VP, rough(12)), lambda x, t: np.full_like(x, 0.7), X, prediction="data")
    here, there = VP.level(START), VP.level(END)
    expected = there.sigma / here.sigma * (X - here.alpha * 0.7) + there.alpha * 0.7
    if form == "published":
        assert np.abs(found - expected).min() > 1e-3  # everywhere alike, and no rounding
    else:
        np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_only_the_repaired_momentum_scales_the_real_interval(k):
    beta = Q(4, 5)
    plain = nd.stability.real_interval(PredictorCorrector(k))
    repaired, published = (
        nd.stability.real_interval(PredictorCorrector(k, beta=beta, momentum=form)) for form in FORMS[::2]
    )
    assert repaired == plain * (2 - beta) / beta
    assert published < repaired


@pytest.mark.parametrize("rule", ["bh1", "bh2"])
def test_the_published_momentum_is_that_of_its_formula(rule):
    """v+ = (1-beta) v + beta p/sigma_t and x+ = sigma_t (x/sigma_s + W v+), p the corrector's mix; x~ without v."""
    beta, x, v, asked = 0.7, X, None, []
    levels = [VP.level(t) for t in rough(9)]
    past = [DATA_MODEL(x, levels[0].model_time)]
    plain = nd.UniPC(2, rule=rule).discretize(VP, levels)
    for n, (tableau, there) in enumerate(zip(plain.tableaus[1:], levels[1:], strict=True)):
        W = there.alpha * -np.expm1(levels[n].log_snr - there.log_snr)
        xi, *weights = tableau.V[0] if n == 8 else tableau.U[0]
        predicted = xi * x + sum(w * f for w, f in zip(weights, past, strict=False) if w)
        if n == 8:
            x = predicted
            break
        asked.append(DATA_MODEL(predicted, there.model_time))
        mix = tableau.B[0][0] * asked[-1] + sum(w * f for w, f in zip(tableau.V[0][1:], past, strict=False) if w)
        mix = mix / W / there.sigma
        v = mix if v is None else (1 - beta) * v + beta * mix
        x = there.sigma * (x / levels[n].sigma + W * v)
        past = [asked[-1], *past]
    found = run(nd.UniPC(2, rule=rule, beta=beta, momentum="published"), rough(9))
    np.testing.assert_allclose(found, x, rtol=1e-11)


def test_the_published_predictor_has_no_momentum():
    published, plain = (m.discretize(VP, rough(9)) for m in (nd.UniPC(2, beta=0.5, momentum="published"), nd.UniPC(2)))
    for ours, theirs in zip(published.tableaus[1:-1], plain.tableaus[1:-1], strict=True):
        assert ours.U[0][:-1] == theirs.U[0]
        assert ours.U[0][-1] == 0
    assert (published.registers, plain.registers) == (4, 3)


# --- what they are ----------------------------------------------------------------------------------------------------


def test_names_tell_members_apart_and_members_travel():
    members = [PredictorCorrector(p, corrector=c) for p in (1, 2, 3) for c in range(6)]
    members += [AdamsBashforthMoulton(k, mode=mode) for k in (4, 5) for mode in MODES]
    members += [SASolver(2, tau=tau, rule=rule) for tau in (0, 0.5, Tau(1, 0.2, 0.8)) for rule in ("exact", "bh1")]
    members += [nd.UniPC(2, beta=0.5, momentum=form) for form in FORMS] + PLUGGED
    members += [nd.UniPC(2, uncorrected=steps) for steps in ((), (0,), (0, -1))]
    assert len({m.name for m in members}) == len(set(members)) == len(members)
    for member in members:
        assert pickle.loads(pickle.dumps(member)) == member
        assert member.registers == member.discretize(VP, rough(9)).registers
        if not member.stochastic or not isinstance(member.formulation.level, Tau) or member.formulation.level.constant:
            assert member.registers == member.steady(1.0 if member.kernel else None).registers
            assert member.stages == member.steady(1.0 if member.kernel else None).stages


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PredictorCorrector(2, corrector=9), "corrector must be between 0 and 8, got 9"),
        (lambda: PredictorCorrector(2, corrector=-1), "corrector must be between 0 and 8, got -1"),
        (lambda: PredictorCorrector(9, corrector=2), "order must be between 1 and 8, got 9"),
        (lambda: PredictorCorrector(2, mode="P(EC)2"), "mode must be one of 'PEC', 'PECE'"),
        (lambda: PredictorCorrector(2, corrector=0, mode="PECE"), "corrector=0 leaves nothing to evaluate twice"),
        (lambda: PredictorCorrector(2, momentum="polyak"), "momentum must be one of 'repaired', 'published', 'nest"),
        (lambda: PredictorCorrector(3, predictor=nd.AdamsBashforth(2)), "memory must be 2, the points of AB2, got 3"),
        (lambda: PredictorCorrector(2, nd.DATA_LOG_SNR, predictor=nd.AdamsBashforth(2)), "must share the formulation"),
        (lambda: PredictorCorrector(2, beta=0.5, predictor=nd.AdamsBashforth(2)), "give the damping to the predictor"),
        (lambda: SASolver(2, tau=-1), "tau must be not negative and finite, got -1"),
        (lambda: SASolver(2, formulation="velocity/time"), "has no stochastic form here"),
        (lambda: nd.order.any_grid(UniC(nd.AdamsBashforth(2))), "is proved for its own predictor and momentum only"),
    ],
)
def test_bad_input_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_input_of_the_wrong_type_is_refused():
    for make, message in (
        (lambda: PredictorCorrector(2, corrector=2.0), "corrector must be an int, got 2.0"),
        (lambda: PredictorCorrector(2, uncorrected=3), "uncorrected must be a tuple of step numbers"),
        (lambda: PredictorCorrector(2, uncorrected=("a",)), "uncorrected must contain ints"),
        (lambda: UniC(nd.UniPC(2)), "predictor must be a multistep method"),
        (lambda: PredictorCorrector(2, predictor=nd.Heun()), "predictor must be a multistep method"),
    ):
        with pytest.raises(TypeError, match=message):
            make()


# --- inversion --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uncorrected", "mirrored"),
    [((-1,), {8}), ((), set()), ((0, 1, -1), {7, 8}), ((2, -3, -1), {6, 2, 8}), ((0,), {8})],
)
def test_inversion_leaves_the_corrector_out_on_the_same_intervals_and_at_its_own_end(uncorrected, mirrored):
    grid, steps = rough(9), 9
    scheme = PredictorCorrector(2, nd.DATA_LOG_SNR, uncorrected=uncorrected).discretize(VP, grid)
    by_hand = PredictorCorrector(2, nd.DATA_LOG_SNR, uncorrected=tuple(mirrored)).discretize(VP, grid[::-1])
    calls = []
    found = nd.invert(scheme, lambda x, t: calls.append(t) or MODEL(x, t), X)
    machine = nd.Machine(nd.drivers.program(by_hand, nd.parameterizations.get("noise")), X)
    while (asked := machine.ask()) is not None:
        machine.tell(MODEL(asked.x, asked.level.model_time))
    np.testing.assert_array_equal(found, machine.sample)
    assert len(calls) == by_hand.nfe == by_hand.method.nfe(steps)
