"""Laws on Gaussian data: W2 and KL against POT, extended precision and the spectral analysis of schemes."""

import math

import mpmath
import numpy as np
import ot
import pytest

import numdiff as nd
from numdiff.certification.own import of_method
from numdiff.certification.subject import Subject
from numdiff.work_precision import laws

SCHEDULE = nd.schedules.VPLinear()
SPAN = (-4.0, 4.0)


def normal(seed, d=3):
    rng = np.random.default_rng(seed)
    return laws.Normal(rng.standard_normal(d), rng.standard_normal((d, d)) + 2 * np.eye(d))


@pytest.mark.parametrize("seed", range(3))
def test_w2_is_the_distance_of_bures_and_wasserstein(seed):
    a, b = normal(seed), normal(seed + 10)
    wide = laws.Normal(a.mean, np.concatenate([0.6 * a.root, 0.8 * a.root], axis=1))  # of the same covariance
    expected = ot.gaussian.bures_wasserstein_distance(a.mean, b.mean, a.root @ a.root.T, b.root @ b.root.T)
    # POT's formula of traces loses half of the digits
    assert laws.wasserstein(a, b) == pytest.approx(float(expected), rel=1e-6)
    assert laws.wasserstein(wide, b) == pytest.approx(laws.wasserstein(a, b), rel=1e-12)


@pytest.mark.parametrize("size", [0.1, 1e-6, 1e-12])
def test_nothing_cancels_in_w2_between_close_laws(size):
    s, shift = np.array([0.5, 1.0, 2.0]), np.array([1.0, -2.0, 0.5]) * size
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    true, other = laws.Normal(np.zeros(3), turn * s), laws.Normal(turn @ shift, turn * (s + shift) @ turn.T)
    # commuting covariances: W2^2 is the sum of squares of what was added; adding it rounds at 1e-16
    expected = math.sqrt(2) * np.linalg.norm(shift)
    assert laws.wasserstein(other, true) == pytest.approx(expected, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("size", [1.0, 1e-3, 1e-6])
def test_kl_in_extended_precision(size):
    true, apart = normal(1), normal(2)
    found = laws.Normal(true.mean + size * apart.mean, true.root + size * apart.root)
    with mpmath.workdps(60):
        L, G = mpmath.matrix(true.root.tolist()), mpmath.matrix(found.root.tolist())
        shift = mpmath.matrix([mpmath.mpf(p) - mpmath.mpf(q) for p, q in zip(found.mean, true.mean, strict=True)])
        inverse = (L * L.T) ** -1
        product = inverse * (G * G.T)
        trace = sum(product[i, i] for i in range(3))
        expected = float((trace - 3 - mpmath.log(mpmath.det(product)) + (shift.T * inverse * shift)[0]) / 2)
    # a relative rounding u of the whitened root changes s - 1 by u cond(L), and the KL by twice its ratio to size
    assert laws.divergence(found, true) == pytest.approx(expected, rel=1e-13 / size + 1e-12)


def test_laws_that_are_no_normals_of_full_rank():
    true = normal(0)
    flat = laws.Normal(true.mean, np.diag([1.0, 1.0, 0.0]))
    assert laws.divergence(flat, true) == math.inf
    blown = laws.Normal(true.mean, np.full((3, 3), np.inf))
    assert laws.wasserstein(blown, true) == laws.divergence(blown, true) == math.inf


@pytest.mark.parametrize(
    "method", [nd.DDIM(), nd.UniPC(3), nd.Heun(), nd.SDEDPMSolverPP(2), nd.EulerAncestral()], ids=str
)
def test_a_diagram_has_the_distances_of_the_spectral_analysis(method):
    s, mu = np.array([0.3, 2.0]), np.array([1.0, -0.5])
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    problem = nd.problems.Gaussian(turn @ mu, turn * s**2 @ turn.T)
    found = nd.work_precision.diagram({"a": method}, problem, steps=(8,), errors=("W2", "KL"), span=SPAN)
    lams = np.linspace(*SPAN, 9)
    scheme = method.discretize(SCHEDULE, [SCHEDULE.level(SCHEDULE.time(lam)) for lam in lams])
    expected, last = nd.spectral.errors(scheme, s, mu), scheme.levels[-1]
    (record,) = found.records
    # the diagram measures x/alpha; both are exact up to the rounding of eight steps
    assert record.error("W2") == pytest.approx(expected.total_w2 / last.alpha, rel=1e-9)
    assert record.error("KL") == pytest.approx(expected.total_kl, rel=1e-9)


def test_a_sampler_that_is_not_affine_has_no_law():
    whole = of_method(nd.DDIM())
    subject = Subject("mine:clipping", lambda f, x, levels, setting: np.clip(whole.run(f, x, levels, setting), -1, 1))
    problem = nd.problems.Gaussian([0.5], [1.0])
    found = nd.work_precision.diagram({"clip": subject}, problem, steps=(8,), errors=("rms", "W2"))
    (row,) = found.left_out
    assert (row.label, row.number) == ("clip", 8)
    assert "no affine function" in row.reason
    assert set(found.records[0].errors) == {"rms"}


def test_one_run_finds_the_law_of_any_affine_map():
    A, a, B = np.array([[2.0, 1.0], [0.0, 3.0]]), np.array([1.0, -1.0]), np.array([[1.0, 4.0], [2.0, 0.0]])
    start = laws.Normal(np.array([5.0, 6.0]), np.diag([0.5, 2.0]))

    def go(y, noise):
        first, second = noise(y.shape), noise(y.shape)
        return y @ A.T + a + first @ B.T + 3 * second

    found = laws.generated(go, start)
    expected = A @ start.root @ start.root.T @ A.T + B @ B.T + 9 * np.eye(2)
    np.testing.assert_allclose(found.mean, A @ start.mean + a, rtol=1e-14)
    np.testing.assert_allclose(found.root @ found.root.T, expected, rtol=1e-12)
