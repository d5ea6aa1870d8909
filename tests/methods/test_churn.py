"""Churn: which steps are churned, the law on a Gaussian, other schedules, ends, refusals."""

import math
import pickle

import numpy as np
import pytest

import numdiff as nd
from numdiff.methods.churn import Churn, EDMStochastic, EulerChurn
from tests import gaussians, peers


def test_without_noise_it_is_the_base():
    times = [20.0, 5.0, 1.0, 0.2, 0.0]
    plain, churned = (m.discretize(gaussians.EDM, times) for m in (nd.Heun(), Churn(nd.Heun(), 0)))
    assert [t.plan for t in plain] == [t.plan for t in churned]
    assert Churn(nd.Heun(), 0).weak_order is None
    assert Churn(nd.Heun(), 0).steady().B == nd.Heun().steady().B


def test_the_window_and_the_cap():
    """Churned levels are those inside the window, ends included; rho^ is (1 + gamma) rho and gamma is capped."""
    times = [20.0, 5.0, 1.0, 0.2, 0.0]
    for amount, gamma in ((1.0, 0.25), (100.0, math.sqrt(2) - 1)):
        scheme = EulerChurn(amount, 1.0, 5.0).discretize(gaussians.EDM, times)
        assert [t.noises for t in scheme] == [0, 1, 1, 0]
        asked = [t.levels[0].sigma for t in scheme]
        np.testing.assert_allclose(asked, [20.0, 5.0 * (1 + gamma), 1.0 + gamma, 0.2])
        assert scheme.tableaus[2].Na[0][0] == pytest.approx(math.sqrt((1 + gamma) ** 2 - 1))


def test_one_noise_reaches_every_row_as_the_sample_does():
    (tableau, _) = EDMStochastic(8, 0.0, 100.0, 1.5).discretize(gaussians.EDM, [4.0, 1.0, 0.5])
    size = 1.5 * 4.0  # 8/2 is over the cap: rho^^2 = 2 rho^2
    assert tableau.U == ((1.0,), (1.0,))
    assert tableau.Na == (pytest.approx((size,)), pytest.approx((size,)))
    assert tableau.Nb == (pytest.approx((size,)),)


@pytest.mark.parametrize(("base", "order"), [(nd.DDIM(), 1), (nd.Heun(), 2), (nd.RK4(), 4)], ids=str)
def test_the_law_has_the_order_of_the_base(base, order):
    """Noise carries the marginals exactly, so a Gaussian's variance is right to the base's order."""
    method = Churn(base, 1.0)
    assert (method.order, method.weak_order) == (order, 1)
    assert gaussians.slopes(method)[0] > order - 0.1


@pytest.mark.parametrize("factor", [0.9, 1.1])
@pytest.mark.parametrize("base", [nd.DDIM(), nd.Heun()], ids=str)
def test_scaled_noise_has_weak_order_zero(base, factor):
    """The error of variance tends to (S_noise^2 - 1) times that of all the noise, as if added by steps without end."""
    plain, scaled = (Churn(base, 1.0, S_noise=x) for x in (1.0, factor))
    assert (plain.weak_order, scaled.weak_order) == (1, 0)
    assert Churn(base, 0, S_noise=factor).weak_order is None
    fine = np.linspace(0.0, 1.0, 513)
    noise = gaussians.affine(plain.discretize(gaussians.EDM, (4.0 * 0.0625**fine).tolist()))[1]
    for steps in (128, 512):
        error, own = gaussians.errors(scaled, steps)[0], gaussians.errors(plain, steps)[0]
        assert abs(error - abs(factor**2 - 1) * noise) < 0.02 * abs(factor**2 - 1) * noise + 1.1 * own
    assert gaussians.errors(plain, 512)[0] < 0.3 * gaussians.errors(scaled, 512)[0]


def test_edms_own_factor_is_one_of_them():
    assert (EDMStochastic().weak_order, EDMStochastic(S_noise=1).weak_order) == (0, 1)
    assert EulerChurn(1.0, S_noise=1.01).weak_order == 0


def test_evaluating_before_the_noise_has_order_one():
    assert 0.9 < gaussians.slopes(Churn(nd.DDIM(), 1.0, evaluation="before"))[0] < 1.2


def test_nothing_converges_at_the_cap():
    """There S_churn grows with N, and each step removes the noise of a fixed ratio: the law keeps the base's error."""
    for evaluation in ("before", "after"):
        coarse, fine = (gaussians.errors(Churn(nd.DDIM(), 1e6, evaluation=evaluation), n)[0] for n in (64, 512))
        assert fine > 0.5 * coarse


@pytest.mark.parametrize("schedule", [nd.schedules.VPLinear(), nd.schedules.Flow()], ids=lambda s: s.name)
@pytest.mark.parametrize("evaluation", ["after", "before"])
def test_schedules_of_one_log_snr_give_one_sample(schedule, evaluation):
    """In y = x/alpha nothing depends on alpha: a run there is EDM's on the same sigma/alpha."""
    levels = [*map(schedule.level, [0.9, 0.7, 0.4, 0.2, 0.05])]
    base = nd.DDIM("noise/ratio") if evaluation == "before" else nd.Heun("noise/ratio")
    method = Churn(base, 1.5, evaluation=evaluation)
    x = peers.MIXTURE.sample_level(5, levels[0], 3)
    found = peers.sampled(method.discretize(schedule, levels), start=x) / levels[-1].alpha
    same = method.discretize(gaussians.EDM, [level.rho for level in levels])
    expected = peers.sampled(same, start=x / levels[0].alpha)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11 * np.abs(expected).max())


def test_ends():
    """The last step may churn and then denoises; at alpha = 0 there is no more noise to add."""
    scheme = Churn(nd.DDIM("data/log-snr"), 1.0).discretize(nd.schedules.Flow(), [1.0, 0.6, 0.3, 0.0])
    assert [t.noises for t in scheme] == [0, 1, 1]
    assert scheme.tableaus[-1].plan.outputs[0] == ((1, 1.0),)  # alpha = 1 times the denoised estimate, no noise
    assert np.isfinite(peers.sampled(scheme, prediction="velocity")).all()


def test_methods_are_values():
    method = EDMStochastic()
    assert pickle.loads(pickle.dumps(method)) == method
    assert hash(method) == hash(EDMStochastic())
    assert method.name == "Churn(Heun, S_churn=40, on [0.05, 50], S_noise=1.003)"
    assert EulerChurn(2.0).stages == 1
    assert method.nfe(10) == 20


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Churn(nd.AdamsBashforth(2), 1), ValueError, "without memory"),
        (lambda: Churn(nd.DDIM(), -1), ValueError, "S_churn must be at least 0"),
        (lambda: Churn(nd.DDIM(), math.inf), ValueError, "S_churn"),
        (lambda: Churn(nd.DDIM(), 1, 2.0, 1.0), ValueError, "S_min must lie below S_max"),
        (lambda: Churn(nd.Heun(), 1, evaluation="before"), ValueError, "one evaluation"),
        (lambda: Churn(nd.DDIM(), 1, evaluation="never"), ValueError, "evaluation must be one of"),
        (lambda: EulerChurn(1).discretize(None, [0.0, 1.0]), ValueError, "give a noise schedule"),
        (lambda: EulerChurn(1).discretize(gaussians.EDM, [1.0, 2.0]), ValueError, "reverse the grid"),
        (lambda: EulerChurn(9).discretize(nd.schedules.EDM(), [80.0, 1.0, 0.5]), ValueError, "does not reach"),
        (lambda: EulerChurn(1).steady(), ValueError, "no steady step"),
    ],
)
def test_refusals(make, error, message):
    with pytest.raises(error, match=message):
        make()
