"""Predictor-corrector methods: their weights, what momentum does to them, and how a run begins and ends."""

from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

import numdiff as nd
from numdiff.symbolic.polynomials import ZETA, Z

Q = Fraction
BETA = sp.Symbol("beta", positive=True)
VP = nd.schedules.VPLinear()
DATA = nd.problems.Gaussian([0.4, -0.7], [0.5, 0.3])
ORDERS = [1, 2, 3, 4]


def mixture():
    """Samples of noise, their exact images and the model of a mixture."""
    problem, x = nd.problems.mixtures()["two-modes"], np.linspace(-2, 2, 6)[:, None]
    return x, problem.flow(VP, x, VP.T, VP.t_end).x, problem.model(VP)


MIXTURE = mixture()


def test_weights_are_those_of_adams_bashforth_and_adams_moulton():
    found = nd.PredictorCorrector(2).coefficients()
    assert found.predictor == nd.AdamsBashforth(2).coefficients() == (Q(3, 2), Q(-1, 2))
    assert found.corrector == found.b == (Q(5, 12), Q(2, 3), Q(-1, 12))  # Hairer, Norsett, Wanner, III.1 (1.9)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_the_corrector_integrates_polynomials_up_to_its_degree_on_any_grid(k):
    ratios = sp.symbols(f"r1:{k}", positive=True)
    weights = nd.PredictorCorrector(k).coefficients(ratios=ratios)
    nodes = [sp.Integer(0)]
    for j in range(k - 1):
        nodes.append(nodes[-1] - 1 / sp.Mul(*ratios[: j + 1]))
    for m in range(k + 1):
        total = sum(w * u**m for w, u in zip(weights.corrector, [sp.Integer(1), *nodes], strict=True))
        assert sp.cancel(total - sp.Rational(1, m + 1)) == 0


@pytest.mark.parametrize("k", ORDERS)
def test_on_equal_steps_predictions_follow_the_adams_method_of_one_order_more(k):
    """Without a kernel the correction is the next term of the Adams-Bashforth sum, so the roots are that method's."""
    ours, adams = nd.stability.polynomial(nd.PredictorCorrector(k)), nd.stability.polynomial(nd.AdamsBashforth(k + 1))
    assert sp.rem(ours, adams, ZETA, Z).is_zero
    quotient = sp.quo(ours, adams, ZETA, Z)
    assert quotient.free_symbols <= {ZETA}
    assert all(abs(sp.N(r)) < 1 for r in sp.roots(quotient.as_expr(), ZETA))


@pytest.mark.parametrize("k", ORDERS)
def test_momentum_multiplies_the_real_interval(k):
    plain, damped = (nd.stability.real_interval(nd.PredictorCorrector(k, beta=b)) for b in (1, BETA))
    assert sp.cancel(damped - plain * (2 - BETA) / BETA) == 0


@pytest.mark.parametrize("formulation", [nd.DATA_LOG_SNR, nd.NOISE_LOG_SNR, None], ids=str)
@pytest.mark.parametrize("k", [1, 2, 3])
def test_runs_converge_with_the_order_that_is_claimed(k, formulation):
    x, reference, model = MIXTURE
    method, errors = nd.PredictorCorrector(k, formulation), []
    for steps in (80, 160, 320):
        grid = nd.grids.uniform_log_snr(VP, steps=steps)
        scheme = method.discretize(VP, grid, start="runge-kutta")
        errors.append(np.sqrt(np.mean((nd.sample(scheme, model, x) - reference) ** 2)))
    slope = np.log2(errors[1] / errors[2])
    assert abs(slope - method.order) < 0.45, (slope, errors)  # rising or falling towards k + 1 at 320 steps


@pytest.mark.parametrize("start", ["lower", "exact"])
def test_a_run_evaluates_once_a_step(start):
    method, exact = nd.UniPC(3), lambda level: DATA.flow(VP, X, 0.9, level.time).x
    X = np.array([[0.3, -1.2], [1.1, 0.8]])
    scheme = method.discretize(VP, np.linspace(0.9, 0.1, 11), start=start)
    assert (scheme.nfe, scheme.steps) == (10, 10)
    path = nd.sample(scheme, DATA.model(VP), X, trajectory=True, exact=exact if start == "exact" else None)
    assert len(path) == 11
    if start == "exact":  # the nodes that were supplied are the path's, and the others are not touched
        for level, x in zip(scheme.levels[: scheme.exact_starts + 1], path, strict=False):
            np.testing.assert_array_equal(x, exact(level) if level.time < 0.9 else X)


def test_the_rules_of_the_published_code_differ_in_two_point_formulas_only():
    h = sp.Symbol("h", positive=True)
    for rule in ("bh1", "bh2"):
        for k in (3, 4):
            assert nd.UniPC(k, rule=rule).coefficients() == nd.UniPC(k).coefficients()
        two = nd.UniPC(2, rule=rule).coefficients()
        assert two.corrector == nd.UniPC(2).coefficients().corrector
        slope = -sp.expand_func(sp.sympify(two.predictor[1]))
        expected = h / 2 if rule == "bh1" else (1 - sp.exp(-h)) / 2
        assert sp.simplify(slope - expected) == 0
    assert nd.UniPC(2, rule="bh2").coefficients().predictor == nd.DPMSolverPP(2, rule="half").coefficients()


def test_what_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="order must be between 1 and 7, got 8"):
        nd.UniPC(8)
    with pytest.raises(ValueError, match="rule must be one of 'exact', 'bh1', 'bh2', got 'bh3'"):
        nd.UniPC(2, rule="bh3")
    with pytest.raises(ValueError, match="ratios must have 1 entries for PEC2, got 2"):
        nd.PredictorCorrector(2).coefficients(ratios=(1, 1))
    with pytest.raises(ValueError, match=r"ratios\[0\] must be positive and finite"):
        nd.PredictorCorrector(2).coefficients(ratios=(0,))
